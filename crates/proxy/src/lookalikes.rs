//! Field names that a back end cannot tell apart. CGI makes `HTTP_X_TENANT` of `X-Tenant` (RFC 3875 section 4.1.18), and so do
//! WSGI, Rack and PHP; many servers make the same of `X_Tenant` and `X.Tenant`. Owns which of a client's fields would be read
//! in the place of one that Crossfade sets, removes or vouches for. What is vouched for is `hop_by_hop`'s and `forwarding`'s.

use crossfade_route::FieldEdits;
use http::header::{HeaderMap, HeaderName};

use crate::forwarding;
use crate::hop_by_hop::{self, remove_where};

/// Returns whether CGI could take a client's field of this name for one that the front end or Crossfade vouches for, or
/// that never passes. Those fields themselves are not lookalikes.
#[inline]
pub(crate) fn is_lookalike(name: &str, request_id_field: &str) -> bool {
    let is_ours = |plain: &str| hop_by_hop::is_protected(plain) || forwarding::is_removed(plain);
    name != request_id_field && (is_same_to_cgi(name, request_id_field) || (!is_plain(name) && is_ours(&plain(name))))
}

/// Removes the client's fields that CGI could take for one that `edits` are about. Fields that the front end or Crossfade
/// vouch for stay, whatever the names of the edits.
#[inline]
pub(crate) fn remove_edited(fields: &mut HeaderMap, request_id_field: &HeaderName, edits: &FieldEdits) {
    if !edits.is_empty() {
        let is_genuine = |name: &str| name == request_id_field.as_str() || hop_by_hop::is_protected(name);
        remove_where(fields, |name| !is_genuine(name) && is_edited(name, edits));
    }
}

/// A name as CGI sees it: with a hyphen for everything but letters and digits.
pub(crate) fn plain(name: &str) -> String {
    name.chars().map(|character| if character.is_ascii_alphanumeric() { character } else { '-' }).collect()
}

#[inline]
fn is_plain(name: &str) -> bool {
    const PLAIN: [bool; 256] = {
        let mut plain = [false; 256];
        let mut byte = 0;
        while byte < 256 {
            plain[byte] = (byte as u8).is_ascii_alphanumeric() || byte as u8 == b'-';
            byte += 1;
        }
        plain
    };
    name.bytes().all(|byte| PLAIN[usize::from(byte)])
}

/// Returns whether an edit is about a field with another name that CGI cannot tell from this one.
fn is_edited(name: &str, edits: &FieldEdits) -> bool {
    edits.names().any(|edited| edited.as_str() != name && is_same_to_cgi(edited.as_str(), name))
}

#[inline]
fn is_same_to_cgi(one: &str, other: &str) -> bool {
    let is_same =
        |(one, other): (u8, u8)| one == other || !(one.is_ascii_alphanumeric() || other.is_ascii_alphanumeric());
    one.len() == other.len() && one.bytes().zip(other.bytes()).all(is_same)
}

#[cfg(test)]
mod tests {
    use crossfade_route::{Nothing, RoutingTable};

    use super::*;

    fn remove(fields: &mut HeaderMap, request_id_field: &'static str, table: &RoutingTable) {
        let request_id_field = HeaderName::from_static(request_id_field);
        remove_where(fields, |name| is_lookalike(name, request_id_field.as_str()));
        remove_edited(fields, &request_id_field, &table.default_route().request_fields);
    }

    /// The names that are left where a route sets `x-tenant` and `x_legacy`, adds `x-env` and removes `x-debug`.
    fn left(names: &[&'static str]) -> Vec<String> {
        let text = "{version: 1, backends: {b: 'https://b'}, default: {forward: b, requestHeaders: \
                    {set: {x-tenant: '7', x_legacy: '1'}, add: {x-env: a}, remove: [x-debug]}}}";
        let table = RoutingTable::from_config(text, "", &Nothing).unwrap();
        let mut fields: HeaderMap = names.iter().map(|name| (name.parse().unwrap(), "1".parse().unwrap())).collect();
        remove(&mut fields, "x-request-id", &table);
        let mut left: Vec<_> = fields.keys().map(ToString::to_string).collect();
        left.sort();
        left
    }

    #[test]
    fn what_cgi_takes_for_a_field_of_ours_goes() {
        for name in [
            "x_forwarded_for",
            "x-forwarded_for",
            "x.forwarded.proto",
            "x_forwarded_host",
            "x_forwarded_anything",
            "x_amzn_trace_id",
            "x_amzn_oidc_data",
            "x_request_id",
            "x_crossfade_mirror",
            "transfer_encoding",
            "content_length",
            "proxy_authorization",
            "keep_alive",
            "x_tenant",
            "x.tenant",
            "x!tenant",
            "x-legacy",
            "x_env",
            "x_debug",
        ] {
            assert!(left(&[name]).is_empty(), "{name}");
        }
    }

    #[test]
    fn an_edit_of_a_lookalike_takes_nothing_genuine_away() {
        let text = "{version: 1, backends: {b: 'https://b'}, default: {forward: b, requestHeaders: \
                    {remove: [x_forwarded_for, x_amzn_trace_id, x_request_id, cdn_loop, x_debug]}}}";
        let table = RoutingTable::from_config(text, "", &Nothing).unwrap();
        let genuine = ["x-forwarded-for", "x-amzn-trace-id", "x-request-id", "cdn-loop"];
        let names = genuine.iter().chain(&["x_forwarded_for", "x-debug"]);
        let mut fields: HeaderMap = names.map(|name| (name.parse().unwrap(), "1".parse().unwrap())).collect();
        remove(&mut fields, "x-request-id", &table);
        assert_eq!(fields.keys().map(HeaderName::as_str).collect::<Vec<_>>(), genuine);
    }

    #[test]
    fn the_field_of_the_request_id_may_have_any_name() {
        let table = RoutingTable::from_backend_url("https://b.example", "", &Nothing).unwrap();
        let names = ["x_corr_id", "x-corr-id", "x.corr.id", "x-other"];
        let mut fields: HeaderMap = names.iter().map(|name| (name.parse().unwrap(), "1".parse().unwrap())).collect();
        remove(&mut fields, "x_corr_id", &table);
        assert_eq!(fields.keys().map(HeaderName::as_str).collect::<Vec<_>>(), ["x_corr_id", "x-other"]);
    }

    #[test]
    fn others_stay_and_so_do_the_fields_themselves() {
        let names = ["accept", "x-forwarded-for", "x-tenant", "x_correlation_id", "x_legacy", "x_tenants", "xtenant"];
        let mut expected = names.map(str::to_owned);
        expected.sort();
        assert_eq!(left(&names), expected);
    }
}
