//! Warnings about parts of a request that get lost: folded lines, and in a target group without multi-value headers
//! (user guide) all but the last value of a repeated field or query key. ALB drops them silently.

use std::collections::BTreeMap;

use http::{Version, header};

use crate::http::Head;

/// Said for each folded field line. ALB supports none: it appends a colon to the line, which then goes on as a field of
/// a name that cannot be held here ("Troubleshoot your Application Load Balancers").
pub(super) const FOLDED_LINE: &str = "a folded field line was dropped; ALB turns it into a field with a malformed name";

/// The most warnings of a request: a client may repeat thousands of keys.
const MOST: usize = 5;

/// Returns one line for each name that is repeated.
pub(super) fn of_single_mode(head: &Head) -> Vec<String> {
    let mut lost = Vec::new();
    for name in head.headers.keys() {
        let count = head.headers.get_all(name).iter().count();
        if count > 1 {
            let cookie_crumbs = name == header::COOKIE && head.version == Version::HTTP_2;
            let why = if cookie_crumbs { " (HTTP/2 clients may split their cookies)" } else { "" };
            lost.push(format!(
                "field `{name}` occurs {count} times{why}; without multi-value headers only the last value is forwarded"
            ));
        }
    }
    let mut keys: BTreeMap<&str, usize> = BTreeMap::new();
    let query = String::from_utf8_lossy(head.query().unwrap_or_default()).into_owned();
    for piece in query.split('&').filter(|piece| !piece.is_empty()) {
        *keys.entry(piece.split('=').next().unwrap_or_default()).or_default() += 1;
    }
    for (key, count) in keys.into_iter().filter(|(_, count)| *count > 1) {
        let key = if key.chars().count() > 60 { "…" } else { key };
        lost.push(format!(
            "query key `{key}` occurs {count} times; without multi-value headers only the last value is forwarded"
        ));
    }
    if lost.len() > MOST {
        let more = lost.split_off(MOST - 1).len();
        lost.push(format!("{more} more names occur several times"));
    }
    lost
}
