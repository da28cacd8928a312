//! Reads `upstream`, `map` and `split_clients`. Owns their parameters.

use super::model::{Key, Map, Model, Pattern, Split, Upstream, UpstreamServer, Variable};
use super::reading::at;
use super::syntax::Directive;
use super::text::Text;
use crate::import::findings::{Findings, Kind};

pub(super) fn upstream(directive: &Directive, block: &[Directive], findings: &mut Findings) -> Upstream {
    let mut upstream = Upstream { place: directive.place, servers: Vec::new(), hash: None };
    for inner in block {
        match &*inner.name {
            "server" => upstream.servers.extend(server(inner, findings)),
            "ip_hash" => upstream.hash = Some(Text::parse("$remote_addr")),
            "hash" => upstream.hash = Some(Text::parse(inner.word(0))),
            "least_conn" | "random" | "least_time" | "fair" => {
                let reason = "Crossfade chooses at random by weight, not by load";
                findings.add(Kind::Differs, at(inner.place), &inner.shown(), reason);
            }
            "sticky" => findings.not_imported(inner, "use `sticky`"),
            _ => findings.other(inner),
        }
    }
    upstream
}

/// `None` if it gets no requests.
fn server(directive: &Directive, findings: &mut Findings) -> Option<UpstreamServer> {
    let mut server = UpstreamServer {
        place: directive.place,
        address: directive.word(0).to_owned(),
        weight: 1,
        is_backup: false,
        max_fails: None,
        fail_timeout: None,
    };
    for word in directive.words.iter().skip(1) {
        match (word.text.split_once('='), &*word.text) {
            (Some(("weight", value)), _) => server.weight = value.parse().unwrap_or(1),
            (Some(("max_fails", value)), _) => server.max_fails = value.parse().ok(),
            (Some(("fail_timeout", value)), _) => server.fail_timeout = Some(value.to_owned()),
            (None, "backup") => server.is_backup = true,
            (None, "down") => {
                let reason = "a server that is `down` gets no requests";
                findings.add(Kind::NotNeeded, at(directive.place), &directive.shown(), reason);
                return None;
            }
            (None, "resolve") | (Some(("service", _)), _) => {}
            (_, other) => {
                let reason = format!("`{other}` has no counterpart; the server is imported without it");
                findings.not_imported(directive, &reason);
            }
        }
    }
    Some(server)
}

pub(super) fn map(directive: &Directive, block: &[Directive], model: &mut Model, findings: &mut Findings) {
    let mut map = Map {
        place: directive.place,
        source: Text::parse(directive.word(0)),
        has_hostnames: false,
        entries: Vec::new(),
        default: Text::default(),
    };
    let pattern = |source: &str, ignores_case| Key::Regex(Pattern { source: source.to_owned(), ignores_case });
    map.has_hostnames = block.iter().any(|entry| entry.name == "hostnames" && entry.words.is_empty());
    let (mut exact, mut masks, mut regexes) = (Vec::new(), Vec::new(), Vec::new());
    for entry in block {
        let value = Text::parse(entry.word(0));
        match (&*entry.name, entry.words.len()) {
            ("hostnames" | "volatile", 0) => {}
            ("default", 1) => map.default = value,
            (_, 0) => findings.not_imported(entry, "an entry has a value"),
            (key, _) => match key.strip_prefix('~') {
                Some(source) => regexes.push(match source.strip_prefix('*') {
                    Some(source) => (pattern(source, true), value),
                    None => (pattern(source, false), value),
                }),
                None if map.has_hostnames && (key.starts_with(['*', '.']) || key.ends_with('*')) => {
                    masks.push((Key::Mask(key.to_ascii_lowercase()), value));
                }
                // `\default` and the like are the word itself.
                None => exact.push((Key::Exact(key.strip_prefix('\\').unwrap_or(key).to_owned()), value)),
            },
        }
    }
    // The longest mask at the start is first, then that at the end (documentation of ngx_http_map_module).
    let order = |key: &Key| match key {
        Key::Mask(mask) => (!mask.starts_with(['*', '.']), std::cmp::Reverse(mask.len())),
        _ => (false, std::cmp::Reverse(0)),
    };
    masks.sort_by_key(|(key, _)| order(key));
    map.entries = [exact, masks, regexes].concat();
    insert(directive, directive.word(1), Variable::Map(map), model, findings);
}

pub(super) fn split(directive: &Directive, block: &[Directive], model: &mut Model, findings: &mut Findings) {
    let mut split = Split { place: directive.place, key: Text::parse(directive.word(0)), parts: Vec::new() };
    let mut rest = 10_000_u32;
    for part in block {
        let share = match part.name.strip_suffix('%') {
            None if part.name == "*" => Some(rest),
            None => None,
            Some(number) => hundredths(number),
        };
        match share.filter(|share| *share <= rest && part.words.len() == 1) {
            Some(share) => {
                rest -= share;
                split.parts.push((share, Text::parse(part.word(0))));
            }
            None => findings.not_imported(part, "expected a percentage with at most two decimals, or `*`, and a value"),
        }
    }
    // The rest has an empty value.
    if rest > 0 {
        split.parts.push((rest, Text::default()));
    }
    insert(directive, directive.word(1), Variable::Split(split), model, findings);
}

fn hundredths(number: &str) -> Option<u32> {
    let (whole, decimals) = number.split_once('.').unwrap_or((number, ""));
    if decimals.len() > 2 {
        return None;
    }
    let whole: u32 = whole.parse().ok()?;
    let decimals: u32 = format!("{decimals:0<2}").parse().ok()?;
    whole.checked_mul(100)?.checked_add(decimals)
}

fn insert(directive: &Directive, name: &str, variable: Variable, model: &mut Model, findings: &mut Findings) {
    match name.strip_prefix('$') {
        Some(name) if !name.is_empty() => _ = model.variables.insert(name.to_owned(), variable),
        _ => findings.not_imported(directive, "expected the name of a variable"),
    }
}
