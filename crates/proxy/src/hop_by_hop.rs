//! Fields that belong to one connection and never pass (RFC 9110 section 7.6.1). What is added instead is
//! `forwarding`'s.

use crossfade_event::{CONNECTION_FIELDS, is_vouched_for};
use http::header::{CONNECTION, HeaderMap, HeaderName};

#[inline]
fn is_hop_by_hop(name: &str) -> bool {
    CONNECTION_FIELDS.contains(&name) || matches!(name, "proxy-authenticate" | "proxy-authorization")
}

/// Removes what is hop-by-hop by definition, what `Connection` names, and what else does not pass: all in one look at the
/// names, since every request pays for it.
///
/// A sender may not take away what the front end or we vouch for: naming such a field in `Connection` has no
/// effect (CVE-2021-32813 and its kin).
pub(crate) fn remove(fields: &mut HeaderMap, request_id_field: &HeaderName, other: impl Fn(&str) -> bool) {
    if fields.contains_key(CONNECTION) {
        let named: Vec<HeaderName> = fields
            .get_all(CONNECTION)
            .iter()
            .flat_map(|value| value.as_bytes().split(|byte| *byte == b','))
            .filter_map(|name| HeaderName::from_bytes(name.trim_ascii()).ok())
            .filter(|name: &HeaderName| name != request_id_field && !is_ours(name.as_str()))
            .collect();
        for name in named {
            fields.remove(name);
        }
    }
    remove_where(fields, |name| is_hop_by_hop(name) || other(name));
}

/// Removes all fields whose names fit.
pub(crate) fn remove_where(fields: &mut HeaderMap, fits: impl Fn(&str) -> bool) {
    // One look at each name is cheaper than one search for each of a list.
    let found: Vec<HeaderName> = fields.keys().filter(|name| fits(name.as_str())).cloned().collect();
    for name in found {
        fields.remove(name);
    }
}

/// Returns whether a field of this name is hop-by-hop, or vouched for by the front end or by us.
pub(crate) fn is_protected(name: &str) -> bool {
    is_hop_by_hop(name) || is_ours(name)
}

/// The name of a field that the front end or this proxy writes.
#[inline]
fn is_ours(name: &str) -> bool {
    matches!(name, "host" | "cdn-loop" | "via") || is_vouched_for(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn left(lines: &[(&'static str, &'static str)]) -> Vec<String> {
        let mut fields = HeaderMap::new();
        for (name, value) in lines {
            fields.append(*name, value.parse().unwrap());
        }
        remove(&mut fields, &HeaderName::from_static("x-request-id"), |_| false);
        let mut names: Vec<_> = fields.keys().map(ToString::to_string).collect();
        names.sort();
        names
    }

    #[test]
    fn named_fields_go_on_every_connection_line() {
        let lines = [
            ("connection", "close, X-One, caf\u{E9}"),
            ("connection", "x-two"),
            ("x-one", "1"),
            ("x-two", "2"),
            ("x", "3"),
        ];
        assert_eq!(left(&lines), ["x"]);
    }

    #[test]
    fn a_client_cannot_take_away_what_is_vouched_for() {
        let lines = [
            ("connection", "x-forwarded-for, host, x-amzn-trace-id, x-request-id, cdn-loop"),
            ("connection", "CDN-Loop , via"),
            ("x-forwarded-for", "203.0.113.7"),
            ("host", "a"),
            ("x-amzn-trace-id", "Root=1"),
            ("x-request-id", "7"),
            ("via", "1.1 a"),
            ("cdn-loop", "a"),
        ];
        assert_eq!(left(&lines), ["cdn-loop", "host", "via", "x-amzn-trace-id", "x-forwarded-for", "x-request-id"]);
    }

    #[test]
    fn hop_by_hop_fields_go_without_a_connection_field() {
        let lines = [("te", "trailers"), ("keep-alive", "timeout=5"), ("upgrade", "h2c"), ("accept", "*/*")];
        assert_eq!(left(&lines), ["accept"]);
    }

    #[test]
    fn no_configuration_can_set_what_belongs_to_a_connection() {
        use crossfade_route::{Nothing, RoutingTable};
        for name in CONNECTION_FIELDS {
            let text = format!(
                "{{version: 1, backends: {{b: 'https://b'}}, default: {{forward: b, requestHeaders: {{set: {{{name}: x}}}}}}}}"
            );
            assert!(RoutingTable::from_config(&text, "", &Nothing).is_err(), "{name}");
        }
    }
}
