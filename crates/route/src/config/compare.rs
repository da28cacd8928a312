//! `compare` of a mirror: the rules of comparison. `crossfade-compare` applies them.

use std::borrow::Cow;

use crossfade_compare::{
    Accepted, Date, FieldNames, Mask, PathTemplate, Place, Pointer, Rules, Scoped, Tolerance, TreatEqual, Unordered,
};
use crossfade_document::{Key, Node};

use super::forward::field_name;
use crate::mirror::Noise;
use crate::read::{Collector, Read};

/// Beginnings of places in content that is not JSON.
const PLACE_KEYS: [&str; 5] = ["selector", "column", "line", "variable", "url"];

/// Returns the rules, or `None` for `compare: false`, and the requests that are repeated.
pub(super) fn read(node: Option<&Node>, diagnostics: &mut Collector) -> (Option<Rules>, Noise) {
    let usual = (Some(Rules::default()), Noise::default());
    let Some(node) = node else { return usual };
    if node.as_text().is_some() {
        return match node.boolean(diagnostics) {
            Some(false) => (None, Noise::NONE),
            _ => usual,
        };
    }
    read_rules(node, diagnostics).unwrap_or(usual)
}

fn read_rules(node: &Node, diagnostics: &mut Collector) -> Option<(Option<Rules>, Noise)> {
    let [noise, keep_values, endpoints, scoped, rules @ ..] = node.keys(
        diagnostics,
        [
            "noise",
            "keepValues",
            "endpoints",
            "rules",
            "headers",
            "ignore",
            "unordered",
            "tolerance",
            "treatEqual",
            "mask",
            "accepted",
            "redact",
        ],
    )?;
    let noise = noise.and_then(|node| read_noise(node, diagnostics)).unwrap_or_default();
    let [.., redact] = rules;
    let rules = Rules {
        keep_values: keep_values.and_then(|node| node.boolean(diagnostics)).unwrap_or_default(),
        endpoints: list(endpoints, diagnostics, read_endpoint),
        scoped: list(scoped, diagnostics, read_scoped),
        ..read_common(rules, diagnostics)
    };
    if let Some(node) = redact.filter(|_| !rules.keep_values) {
        node.warn(diagnostics, "has no effect without `keepValues: true`: values are not logged", None);
    }
    Some((Some(rules), noise))
}

/// Reads the rules that can be limited to some endpoints.
fn read_common(
    [headers, ignore, unordered, tolerance, treat_equal, mask, accepted, redact]: [Option<&Node>; 8],
    diagnostics: &mut Collector,
) -> Rules {
    Rules {
        headers: headers.and_then(|node| read_headers(node, diagnostics)).unwrap_or_default(),
        ignore: list(ignore, diagnostics, read_ignored),
        unordered: list(unordered, diagnostics, read_unordered),
        tolerance: tolerance.map(|node| read_tolerance(node, diagnostics)).unwrap_or_default(),
        treat_equal: list(treat_equal, diagnostics, read_treat_equal),
        mask: list(mask, diagnostics, read_mask),
        accepted: list(accepted, diagnostics, read_accepted),
        redact: list(redact, diagnostics, read_place),
        ..Rules::default()
    }
}

/// Reads an entry of `rules`: `endpoints`, and the rules for them.
fn read_scoped(node: &Node, diagnostics: &mut Collector) -> Option<Scoped> {
    let [endpoints, rules @ ..] = node.keys(
        diagnostics,
        ["endpoints", "headers", "ignore", "unordered", "tolerance", "treatEqual", "mask", "accepted", "redact"],
    )?;
    if endpoints.is_none() {
        let hint = "write `endpoints: [\"/orders/{id}\"]`; rules for all endpoints belong into `compare` itself";
        node.missing(diagnostics, "endpoints", hint);
    }
    let paths = list(endpoints, diagnostics, read_endpoint);
    Some(Scoped { paths, rules: read_common(rules, diagnostics) })
}

/// Reads a place that is left out, and warns if nothing is left.
fn read_ignored(node: &Node, diagnostics: &mut Collector) -> Option<Place> {
    let place = read_place(node, diagnostics)?;
    let blinded = match read_written(node, diagnostics).as_deref() {
        Some("body" | "/**" | "/*") => Some("no content is compared: the report cannot say that it is the same"),
        Some("status") => Some("no status is compared: an error page would count as the same"),
        Some("selector: html" | "selector: body" | "selector: *") => Some("no page is compared"),
        _ => None,
    };
    if let Some(message) = blinded {
        node.warn(diagnostics, message, Some("ignore the places that may differ, such as `/items/*/price`".into()));
    }
    Some(place)
}

fn read_mask(node: &Node, diagnostics: &mut Collector) -> Option<Mask> {
    match Mask::parse(node.text(diagnostics)?) {
        Ok(mask) => Some(mask),
        Err(error) => {
            let hint = "write a regular expression such as `build [0-9]+`";
            node.error(diagnostics, format!("`{}` is not a mask: {error}", node.shown()), Some(hint.into()));
            None
        }
    }
}

/// Reads shares, or `false` for none.
fn read_noise(node: &Node, diagnostics: &mut Collector) -> Option<Noise> {
    if node.as_text().is_some() {
        return node.boolean(diagnostics).map(|is_measured| if is_measured { Noise::default() } else { Noise::NONE });
    }
    let [repeat, self_compare] = node.keys(diagnostics, ["repeat", "selfCompare"])?;
    let mut noise = Noise::default();
    for (node, share) in [(repeat, &mut noise.repeat), (self_compare, &mut noise.self_compare)] {
        *share = node.and_then(|node| node.share(diagnostics)).unwrap_or(*share);
    }
    Some(noise)
}

fn list<'n, T>(
    node: Option<&'n Node>,
    diagnostics: &mut Collector,
    read: fn(&'n Node, &mut Collector) -> Option<T>,
) -> Vec<T> {
    let items = node.and_then(|node| node.one_or_more(diagnostics)).unwrap_or_default();
    items.iter().filter_map(|item| read(item, diagnostics)).collect()
}

/// Reads `usual`, `all`, or names of fields.
fn read_headers(node: &Node, diagnostics: &mut Collector) -> Option<FieldNames> {
    match node.as_text() {
        Some("usual") => return Some(FieldNames::Usual),
        Some("all") => return Some(FieldNames::All),
        _ => {}
    }
    let items = node.one_or_more(diagnostics)?;
    items.iter().map(|item| field_name(item, diagnostics)).collect::<Option<_>>().map(FieldNames::Named)
}

fn read_place(node: &Node, diagnostics: &mut Collector) -> Option<Place> {
    let text = read_written(node, diagnostics)?;
    let place = Place::parse(&text);
    if place.is_none() {
        let hint = "write a JSON Pointer like `/items/*/price`, a field's name, `status`, `body`, or a place as the report shows it";
        let shown = if node.as_map().is_some() { text } else { node.shown().into() };
        node.error(diagnostics, format!("`{shown}` is not a place in a response"), Some(hint.into()));
    }
    place
}

/// Reads the text of a place, or the map that YAML makes of `selector: main > p` without quotes.
fn read_written<'n>(node: &'n Node, diagnostics: &mut Collector) -> Option<Cow<'n, str>> {
    if node.as_map().is_none() {
        return node.text(diagnostics).map(Cow::Borrowed);
    }
    let members = node.keys(diagnostics, PLACE_KEYS)?;
    let mut given = PLACE_KEYS.iter().zip(members).filter_map(|(key, value)| Some((key, value?)));
    match (given.next(), given.next()) {
        (Some((key, value)), None) => Some(Cow::Owned(format!("{key}: {}", value.text(diagnostics)?))),
        (Some(_), Some(_)) => {
            node.error(diagnostics, "a place has one key", Some("write `{selector: main > p}`".into()));
            None
        }
        (None, _) => None,
    }
}

fn read_pointer(text: &str, node: &Node, diagnostics: &mut Collector) -> Option<Pointer> {
    let pointer = Pointer::parse(text);
    if pointer.is_none() {
        let hint = "write `/items/*/price`: `*` is any one step, `**` any number, `~1` a slash in a name";
        node.error(diagnostics, "invalid JSON Pointer", Some(hint.into()));
    }
    pointer
}

/// Reads a pointer, or `{pointer, by}`.
fn read_unordered(node: &Node, diagnostics: &mut Collector) -> Option<Unordered> {
    if let Some(text) = node.as_text() {
        return Some(Unordered { pointer: read_pointer(text, node, diagnostics)?, by: None });
    }
    let [pointer, by] = node.keys(diagnostics, ["pointer", "by"])?;
    let Some(pointer) = pointer else {
        node.missing(diagnostics, "pointer", "write `{pointer: /items, by: id}`");
        return None;
    };
    let by = by.and_then(|node| node.text(diagnostics)).map(str::to_owned);
    Some(Unordered { pointer: read_pointer(pointer.text(diagnostics)?, pointer, diagnostics)?, by })
}

/// Reads a map of tolerances by pointer.
fn read_tolerance(node: &Node, diagnostics: &mut Collector) -> Vec<(Pointer, Tolerance)> {
    let mut read = Vec::new();
    for (key, node) in node.map(diagnostics).unwrap_or_default() {
        let pointer = read_pointer(&key.name, node, diagnostics);
        let tolerance = node.text(diagnostics).and_then(|text| {
            let tolerance = Tolerance::parse(text);
            if tolerance.is_none() {
                let hint = "write an absolute difference like 0.01, or a percentage like 1%";
                node.error(diagnostics, format!("`{}` is not a tolerance", node.shown()), Some(hint.into()));
            }
            tolerance
        });
        read.extend(pointer.zip(tolerance));
    }
    read
}

fn read_treat_equal(node: &Node, diagnostics: &mut Collector) -> Option<TreatEqual> {
    let words = [
        ("uuid", TreatEqual::Uuid),
        ("timestamp", TreatEqual::Timestamp),
        ("hash", TreatEqual::Hash),
        ("token", TreatEqual::Token),
    ];
    node.word(diagnostics, &words)
}

/// Reads a place, or `{pointer, until}`.
fn read_accepted(node: &Node, diagnostics: &mut Collector) -> Option<Accepted> {
    let is_place = |members: &[(Key, Node)]| matches!(members, [(key, _)] if PLACE_KEYS.contains(&&*key.name));
    if node.as_map().is_none_or(is_place) {
        return Some(Accepted { place: read_place(node, diagnostics)?, until: None });
    }
    let [pointer, until] = node.keys(diagnostics, ["pointer", "until"])?;
    let Some(pointer) = pointer else {
        node.missing(diagnostics, "pointer", "write `{pointer: /total, until: 2026-12-31}`");
        return None;
    };
    let until = match until {
        Some(node) => {
            let date = Date::parse(node.text(diagnostics)?);
            if date.is_none() {
                let hint = "write the last day, like 2026-12-31";
                node.error(diagnostics, format!("`{}` is not a date", node.shown()), Some(hint.into()));
            }
            Some(date?)
        }
        None => None,
    };
    Some(Accepted { place: read_place(pointer, diagnostics)?, until })
}

fn read_endpoint(node: &Node, diagnostics: &mut Collector) -> Option<PathTemplate> {
    let template = PathTemplate::parse(node.text(diagnostics)?);
    if template.is_none() {
        let hint = "write `/products/{slug}/reviews`; a final `**` matches any number of segments";
        node.error(diagnostics, format!("`{}` is not an endpoint template", node.shown()), Some(hint.into()));
    }
    template
}
