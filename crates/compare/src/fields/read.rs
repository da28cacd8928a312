//! Reads the value of a field into its parts. Owns the structure of each field.

use std::collections::BTreeMap;

use http::header::{self, HeaderName};

use super::grammar::{elements, in_order, parameter, split, split_links, unquoted};
use super::{Lines, cookie};
use crate::clock;
use crate::parts::{Parts, Value, step};
use crate::sorting;
use crate::url;

/// Relations of a link that are compared separately.
const MAX_RELATIONS: usize = 8;
/// Parameters that differ on every response: only their presence is compared.
const RANDOM: [&str; 2] = ["nonce", "opaque"];
/// Names of the encoding that browsers use for all of them.
const LATIN: [&str; 7] = ["latin1", "iso-8859-1", "iso8859-1", "us-ascii", "ascii", "windows-1252", "cp1252"];
const JAVASCRIPT: [&str; 4] =
    ["application/javascript", "application/x-javascript", "application/ecmascript", "text/ecmascript"];

/// Returns the parts of both values of a field; of those that are not there, none.
pub(super) fn read(name: &HeaderName, lines: &[Lines; 2]) -> [Parts; 2] {
    if *name == header::LINK {
        return links(lines);
    }
    lines.each_ref().map(|lines| {
        let mut parts = Parts::default();
        if !lines.texts.is_empty() {
            one(name, lines, &mut parts);
        }
        parts
    })
}

/// Returns `true` for fields of which each part stands for itself, so that a part may be there in one response only.
pub(super) fn is_open(name: &HeaderName) -> bool {
    [header::LINK, header::SET_COOKIE, header::VARY].contains(name)
}

fn one(name: &HeaderName, lines: &Lines, parts: &mut Parts) {
    let first = lines.texts.first().map_or("", |line| line.trim());
    match *name {
        header::SET_COOKIE => *parts = cookie::read(lines),
        header::LOCATION | header::CONTENT_LOCATION => url::add(first, "", parts),
        header::REFRESH => refresh(first, parts),
        header::CACHE_CONTROL => directives(elements(&lines.texts), parts),
        header::STRICT_TRANSPORT_SECURITY => directives(split(first, ';'), parts),
        header::CONTENT_SECURITY_POLICY | header::CONTENT_SECURITY_POLICY_REPORT_ONLY => policies(lines, parts),
        header::VARY => {
            members(elements(&lines.texts).filter(|name| !name.eq_ignore_ascii_case("accept-encoding")), parts)
        }
        header::ACCESS_CONTROL_ALLOW_HEADERS | header::ACCESS_CONTROL_EXPOSE_HEADERS | header::CONTENT_ENCODING => {
            members(elements(&lines.texts), parts)
        }
        header::ALLOW | header::ACCESS_CONTROL_ALLOW_METHODS => {
            elements(&lines.texts).for_each(|method| parts.add(step(method), Value::Present));
        }
        header::CONTENT_TYPE => media_type(first, parts),
        header::CONTENT_DISPOSITION => disposition(first, parts),
        header::WWW_AUTHENTICATE | header::PROXY_AUTHENTICATE => challenges(lines, parts),
        header::CONTENT_RANGE => range(first, parts),
        header::RETRY_AFTER => retry_after(first, lines.time, parts),
        header::ACCEPT_RANGES
        | header::CONTENT_LANGUAGE
        | header::X_FRAME_OPTIONS
        | header::X_CONTENT_TYPE_OPTIONS
        | header::ACCESS_CONTROL_ALLOW_CREDENTIALS => {
            parts.text("", in_order(elements(&lines.texts).map(str::to_ascii_lowercase)));
        }
        // The last one that a browser knows counts.
        header::REFERRER_POLICY => {
            parts.text("", elements(&lines.texts).map(str::to_ascii_lowercase).collect::<Vec<_>>().join(", "));
        }
        _ => match name.as_str() {
            "sourcemap" | "x-sourcemap" => url::add(first, "", parts),
            "permissions-policy" => permissions(lines, parts),
            "clear-site-data" => {
                elements(&lines.texts).for_each(|kind| parts.add(step(&unquoted(kind)), Value::Present))
            }
            "x-robots-tag" => robots(lines, parts),
            "cross-origin-opener-policy"
            | "cross-origin-opener-policy-report-only"
            | "cross-origin-embedder-policy"
            | "cross-origin-embedder-policy-report-only"
            | "cross-origin-resource-policy" => item(first, parts),
            _ => parts.text("", lines.joined()),
        },
    }
}

/// Adds names without values, in lower case.
fn members<'m>(names: impl Iterator<Item = &'m str>, parts: &mut Parts) {
    let mut names: Vec<_> = names.map(|name| step(&name.to_ascii_lowercase())).collect();
    sorting::sort(&mut names);
    names.dedup();
    names.into_iter().for_each(|name| parts.add(name, Value::Present));
}

/// Adds directives, the last one of each name.
fn directives<'d>(pieces: impl Iterator<Item = &'d str>, parts: &mut Parts) {
    let directives: BTreeMap<_, _> = pieces.map(parameter).collect();
    for (name, value) in directives {
        // A list of fields.
        let is_list = matches!(&*name, "no-cache" | "private");
        let value = match value {
            Some(value) if is_list => Value::Text(in_order(split(&value, ',').map(str::to_ascii_lowercase))),
            Some(value) => Value::Text(value),
            None => Value::Present,
        };
        parts.add(step(&name), value);
    }
}

/// Adds the parameters of a value.
fn parameters<'p>(pieces: impl Iterator<Item = &'p str>, prefix: &str, parts: &mut Parts) {
    for piece in pieces {
        let (name, value) = parameter(piece);
        parts.text(format!("{prefix}{}", step(&name)), value.unwrap_or_default());
    }
}

/// A value in lower case, with parameters.
fn item(text: &str, parts: &mut Parts) {
    let mut pieces = split(text, ';');
    parts.text("", pieces.next().unwrap_or_default().to_ascii_lowercase());
    parameters(pieces, "", parts);
}

/// RFC 9110 section 8.3.1. The boundary of parts is left out, and the charset where it is the default (RFC 8259 section
/// 8.1).
fn media_type(text: &str, parts: &mut Parts) {
    let mut pieces = split(text, ';');
    let media_type = pieces.next().unwrap_or_default().to_ascii_lowercase();
    let is_json = media_type.ends_with("/json") || media_type.ends_with("+json");
    let media_type = if JAVASCRIPT.contains(&&*media_type) { "text/javascript".to_owned() } else { media_type };
    parts.text("", media_type);
    for (name, value) in pieces.map(parameter) {
        let value = value.unwrap_or_default();
        match &*name {
            "boundary" => {}
            "charset" => match &*value.to_ascii_lowercase() {
                "utf-8" | "utf8" if is_json => {}
                "utf8" => parts.text(name, "utf-8"),
                charset if LATIN.contains(&charset) => parts.text(name, "iso-8859-1"),
                charset => parts.text(name, charset),
            },
            _ => parts.text(step(&name), value),
        }
    }
}

/// RFC 6266: `filename*` replaces `filename`.
fn disposition(text: &str, parts: &mut Parts) {
    let mut pieces = split(text, ';');
    parts.text("", pieces.next().unwrap_or_default().to_ascii_lowercase());
    let mut values: BTreeMap<_, _> = pieces.map(parameter).collect();
    let decoded = values.remove("filename*").flatten().and_then(|value| extended(&value));
    if let Some(decoded) = decoded {
        values.insert("filename".to_owned(), Some(decoded));
    }
    for (name, value) in values {
        parts.text(step(&name), value.unwrap_or_default());
    }
}

/// Decodes an extended value (RFC 8187 section 3.2).
fn extended(text: &str) -> Option<String> {
    let mut pieces = text.splitn(3, '\'');
    let (charset, _, value) = (pieces.next()?, pieces.next()?, pieces.next()?);
    let (mut bytes, mut rest) = (Vec::with_capacity(value.len()), value.as_bytes());
    while let Some((first, behind)) = rest.split_first() {
        let (byte, behind) = url::encoded(rest).unwrap_or((*first, behind));
        bytes.push(byte);
        rest = behind;
    }
    if charset.eq_ignore_ascii_case("utf-8") {
        return String::from_utf8(bytes).ok();
    }
    charset.eq_ignore_ascii_case("iso-8859-1").then(|| bytes.into_iter().map(char::from).collect())
}

/// Adds the directives of all policies, each with its sources in any order and nonces replaced.
fn policies(lines: &Lines, parts: &mut Parts) {
    let mut policies: Vec<BTreeMap<String, String>> = Vec::new();
    for policy in elements(&lines.texts) {
        let mut directives = BTreeMap::new();
        for directive in split(policy, ';') {
            let mut words = directive.split_ascii_whitespace();
            let name = words.next().unwrap_or_default().to_ascii_lowercase();
            // The first one counts.
            directives.entry(name).or_insert_with(|| in_order(words.map(source)));
        }
        policies.push(directives);
    }
    sorting::sort(&mut policies);
    for (name, sources) in policies.into_iter().flatten() {
        parts.text(step(&name), sources);
    }
}

/// Returns a source of a policy: keywords, schemes and hosts in lower case.
fn source(word: &str) -> String {
    let lower = word.to_ascii_lowercase();
    if lower.starts_with("'nonce-") {
        return "'nonce-*'".to_owned();
    }
    if lower.starts_with("'sha") {
        return word.to_owned();
    }
    let host = word.find("://").map_or(0, |scheme| scheme + 3);
    let path = word.get(host..).and_then(|rest| rest.find('/')).map_or(word.len(), |path| host + path);
    match (lower.get(..path), word.get(path..)) {
        (Some(host), Some(path)) => format!("{host}{path}"),
        _ => word.to_owned(),
    }
}

/// Adds the features with their lists of origins, in any order.
fn permissions(lines: &Lines, parts: &mut Parts) {
    for element in elements(&lines.texts) {
        let (name, value) = element.split_once('=').unwrap_or((element, ""));
        let value = value.trim();
        let origins = value.strip_prefix('(').map_or(value, |inner| inner.trim_end_matches(')'));
        let origins = in_order(origins.split_ascii_whitespace().map(unquoted));
        parts.text(step(&name.trim().to_ascii_lowercase()), format!("({origins})"));
    }
}

/// Adds the directives for crawlers, below the name of the crawler if a line begins with one.
fn robots(lines: &Lines, parts: &mut Parts) {
    const WITH_VALUES: [&str; 4] = ["max-snippet", "max-image-preview", "max-video-preview", "unavailable_after"];
    for line in &lines.texts {
        let line = line.to_ascii_lowercase();
        let (crawler, directives) = match line.split_once(':') {
            Some((name, rest)) if !name.contains(',') && !WITH_VALUES.contains(&name.trim()) => {
                (format!("{}/", step(name.trim())), rest)
            }
            _ => (String::new(), &*line),
        };
        for directive in split(directives, ',') {
            let (name, value) = directive.split_once(':').unwrap_or((directive, ""));
            parts.text(format!("{crawler}{}", step(name.trim())), value.trim());
        }
    }
}

/// Adds the schemes with their parameters (RFC 9110 section 11.6.1).
fn challenges(lines: &Lines, parts: &mut Parts) {
    let mut scheme = String::new();
    for element in elements(&lines.texts) {
        // A scheme stands before its first parameter, with a space between them, or alone.
        let (first, rest) = element.split_once(' ').unwrap_or((element, ""));
        let is_parameter = first.contains('=') || rest.trim_start().starts_with('=');
        let parameter_text = if is_parameter {
            element
        } else {
            scheme = step(&first.to_ascii_lowercase());
            parts.add(&*scheme, Value::Present);
            rest.trim()
        };
        if parameter_text.is_empty() {
            continue;
        }
        if !parameter_text.trim_end_matches('=').contains('=') {
            parts.add(format!("{scheme}/token"), Value::Present);
            continue;
        }
        let (name, value) = parameter(parameter_text);
        let value = if RANDOM.contains(&&*name) { Value::Present } else { Value::Text(value.unwrap_or_default()) };
        parts.add(format!("{scheme}/{}", step(&name)), value);
    }
}

/// `bytes 0-9/100` (RFC 9110 section 14.4).
fn range(text: &str, parts: &mut Parts) {
    let read = text.split_once(' ').and_then(|(unit, rest)| Some((unit, rest.trim().split_once('/')?)));
    match read {
        Some((unit, (range, total))) => {
            parts.text("unit", unit.to_ascii_lowercase());
            parts.text("range", range.trim());
            parts.text("total", total.trim());
        }
        None => parts.text("", text),
    }
}

/// Seconds or a date (RFC 9110 section 10.2.3).
fn retry_after(text: &str, time: f64, parts: &mut Parts) {
    let seconds = match text.parse::<u32>() {
        Ok(seconds) => Some(f64::from(seconds)),
        Err(_) => clock::read(text).map(|clock| (clock.seconds() - time).max(0.0)),
    };
    parts.add("", seconds.map_or_else(|| Value::Text(text.to_owned()), Value::Seconds));
}

/// `5; url=/next`.
fn refresh(text: &str, parts: &mut Parts) {
    let (delay, target) = text.split_once([';', ',']).unwrap_or((text, ""));
    parts.text("delay", delay.trim());
    let target = target.trim();
    if target.is_empty() {
        return;
    }
    let is_named = target.get(..3).is_some_and(|name| name.eq_ignore_ascii_case("url"));
    let named = target.get(3..).and_then(|rest| rest.trim_start().strip_prefix('='));
    let target = if is_named { named.unwrap_or(target) } else { target };
    url::add(target.trim().trim_matches(['"', '\'']), "", parts);
}

/// A relation of a link to its target.
struct Link<'l> {
    relation: String,
    url: &'l str,
    parameters: Vec<(String, String)>,
}

/// Adds the relations with the parts of their URLs and their parameters (RFC 8288). A relation to several targets in either
/// response has their paths as a further step, so that each is compared with its own.
fn links(lines: &[Lines; 2]) -> [Parts; 2] {
    let links = lines.each_ref().map(|lines| {
        let links = lines.texts.iter().flat_map(|line| split_links(line, ','));
        links.flat_map(relations).collect::<Vec<_>>()
    });
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    for links in &links {
        let mut own: BTreeMap<&str, usize> = BTreeMap::new();
        links.iter().for_each(|link| *own.entry(&link.relation).or_default() += 1);
        for (relation, count) in own {
            let most = counts.entry(relation.to_owned()).or_default();
            *most = count.max(*most);
        }
    }
    links.map(|links| {
        let mut parts = Parts::default();
        for link in links {
            let mut name = step(&link.relation);
            if counts.get(&link.relation).is_some_and(|count| *count > 1) {
                name = format!("{name}/{}", step(&url::label(link.url)));
            }
            url::add(link.url, &format!("{name}/"), &mut parts);
            for (parameter, value) in link.parameters {
                parts.text(format!("{name}/{}", step(&parameter)), value);
            }
            parts.add(name, Value::Present);
        }
        parts
    })
}

fn relations(text: &str) -> Vec<Link<'_>> {
    let mut pieces = split_links(text, ';');
    let target = pieces.next().unwrap_or_default();
    let url = target.strip_prefix('<').unwrap_or(target).trim_end_matches('>');
    // The first one of each name counts.
    let parameters: Vec<_> = pieces.map(parameter).collect();
    let first = |wanted: &str| parameters.iter().find(|(name, _)| name == wanted).and_then(|(_, value)| value.clone());
    let relations = first("rel").unwrap_or_else(|| "none".to_owned());
    let others: Vec<_> = parameters.iter().filter(|(name, _)| name != "rel").collect();
    let others: Vec<_> =
        others.into_iter().map(|(name, value)| (name.clone(), value.clone().unwrap_or_default())).collect();
    let link = |relation: &str| Link { relation: relation.to_ascii_lowercase(), url, parameters: others.clone() };
    if relations.split_ascii_whitespace().count() > MAX_RELATIONS {
        return vec![link(&relations)];
    }
    relations.split_ascii_whitespace().map(link).collect()
}
