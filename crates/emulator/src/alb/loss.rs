//! What a target group without multi-value headers loses of a request (user guide, "Multi-value headers"): all but the last
//! value of a repeated field or query key. The load balancer is silent about it; a developer should know.

use std::collections::BTreeMap;

use http::{Version, header};

use super::head::Head;

/// So many lines at most; a client may repeat thousands of keys.
const MOST: usize = 5;

/// One line for each name that is repeated.
pub(super) fn of_single_mode(head: &Head) -> Vec<String> {
    let mut lost = Vec::new();
    for name in head.headers.keys() {
        let count = head.headers.get_all(name).iter().count();
        if count > 1 {
            let cookie_crumbs = name == header::COOKIE && head.version == Version::HTTP_2;
            let why = if cookie_crumbs { " (HTTP/2 clients may split their cookies)" } else { "" };
            lost.push(format!(
                "field `{name}` came {count} times{why}, only the last is passed on without multi-value headers"
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
            "query key `{key}` came {count} times, only the last is passed on without multi-value headers"
        ));
    }
    if lost.len() > MOST {
        let more = lost.split_off(MOST - 1).len();
        lost.push(format!("{more} more names came several times"));
    }
    lost
}
