//! Reads cookies (RFC 6265 section 5.2). Owns the conditions under which a browser deletes one. A cookie's value is a secret
//! and is not read.

use std::collections::BTreeSet;

use super::Lines;
use crate::clock;
use crate::parts::{Parts, Value, step};
use crate::sorting;

/// A line of `Set-Cookie`.
struct Cookie {
    name: String,
    domain: Option<String>,
    path: Option<String>,
    /// Further attributes in lower case.
    others: Vec<(String, Value)>,
    lifetime: Lifetime,
}

#[derive(Clone, Copy)]
enum Lifetime {
    /// The cookie is deleted.
    Over,
    /// Until the browser ends.
    Session,
    /// Seconds from the response on.
    Seconds(f64),
}

/// Returns, for each cookie, `NAME`, `NAME/secure` and so on for its attributes, `NAME/lifetime` for a cookie that outlives
/// the session, `NAME/deleted` for one that the browser deletes.
pub(super) fn read(lines: &Lines) -> Parts {
    let mut parts = Parts::default();
    let mut known = BTreeSet::new();
    // Later ones replace earlier ones.
    for cookie in lines.texts.iter().rev().map(|line| cookie(line, lines.time)) {
        if !known.insert((cookie.name.clone(), cookie.domain.clone(), cookie.path.clone())) {
            continue;
        }
        let name = if cookie.name.is_empty() { "*".to_owned() } else { step(&cookie.name) };
        let mut add = |attribute: &str, value| parts.add(format!("{name}/{attribute}"), value);
        match cookie.lifetime {
            Lifetime::Over => add("deleted", Value::Present),
            Lifetime::Session => {}
            Lifetime::Seconds(seconds) => add("lifetime", Value::Seconds(seconds)),
        }
        for (attribute, value) in [("domain", cookie.domain), ("path", cookie.path)] {
            if let Some(value) = value {
                add(attribute, Value::Text(value));
            }
        }
        for (attribute, value) in cookie.others {
            add(&step(&attribute), value);
        }
        parts.add(name, Value::Present);
    }
    parts
}

fn cookie(line: &str, time: f64) -> Cookie {
    let mut pieces = line.split(';').map(str::trim);
    let (name, value) = pair(pieces.next().unwrap_or_default()).unwrap_or(("", line));
    let mut cookie =
        Cookie { name: name.to_owned(), domain: None, path: None, others: Vec::new(), lifetime: Lifetime::Session };
    let (mut expires, mut max_age) = (None, None);
    for attribute in pieces.filter(|piece| !piece.is_empty()) {
        let (name, value) = pair(attribute).unwrap_or((attribute, ""));
        match &*name.to_ascii_lowercase() {
            "expires" => expires = clock::read(value.trim_matches('"')).map(|clock| clock.seconds() - time).or(expires),
            "max-age" => max_age = age(value.trim_matches('"')).or(max_age),
            "domain" => cookie.domain = Some(value.trim_start_matches('.').to_ascii_lowercase()),
            "path" => cookie.path = value.starts_with('/').then(|| value.to_owned()),
            // Their value means nothing.
            name @ ("secure" | "httponly" | "partitioned") => cookie.others.push((name.to_owned(), Value::Present)),
            name => cookie.others.push((name.to_owned(), Value::Text(value.to_ascii_lowercase()))),
        }
    }
    // The last one of the same name counts.
    cookie.others.reverse();
    sorting::sort_by(&mut cookie.others, &|(one, _), (other, _)| one.cmp(other));
    cookie.others.dedup_by(|(one, _), (other, _)| one == other);
    cookie.lifetime = match max_age.or(expires) {
        _ if value.is_empty() => Lifetime::Over,
        Some(seconds) if seconds <= 0.0 => Lifetime::Over,
        Some(seconds) => Lifetime::Seconds(seconds),
        None => Lifetime::Session,
    };
    cookie
}

fn pair(text: &str) -> Option<(&str, &str)> {
    text.split_once('=').map(|(name, value)| (name.trim(), value.trim()))
}

fn age(text: &str) -> Option<f64> {
    let digits = text.strip_prefix('-').unwrap_or(text);
    digits.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}
