//! Authentication that belongs to a connection and not to a request (NTLM, Negotiate; RFC 4559 section 6): who sends the
//! next request on such a connection is taken for who authenticated on it. Owns how such messages are recognised; that
//! their connections carry no other request is `attempt`'s.

use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};
use http::{HeaderMap, HeaderValue};

/// The scheme of such credentials in a request.
pub(crate) fn presented(request: &HeaderMap) -> Option<&'static str> {
    request.get_all(AUTHORIZATION).iter().flat_map(parts).find_map(scheme)
}

/// The scheme of such a challenge in a response, among others or alone.
pub(crate) fn asked_for(response: &HeaderMap) -> Option<&'static str> {
    response.get_all(WWW_AUTHENTICATE).iter().flat_map(parts).find_map(scheme)
}

/// A comma in a quoted parameter makes false parts. One that looks like a challenge costs a connection, nothing more.
fn parts(value: &HeaderValue) -> impl Iterator<Item = &[u8]> {
    value.as_bytes().split(|byte| *byte == b',')
}

/// The scheme that a part begins with, if it is one of a connection: NTLM, and what stands for or is within Negotiate.
fn scheme(part: &[u8]) -> Option<&'static str> {
    let part = part.trim_ascii_start();
    let end = part.iter().position(|byte| !byte.is_ascii_alphanumeric() && *byte != b'-').unwrap_or(part.len());
    let name = part.get(..end)?;
    let known = [
        ("ntlm", "ntlm"),
        ("negotiate", "negotiate"),
        ("gss-negotiate", "negotiate"),
        ("kerberos", "negotiate"),
        ("nego2", "negotiate"),
        ("pku2u", "negotiate"),
    ];
    known.into_iter().find(|(known, _)| name.eq_ignore_ascii_case(known.as_bytes())).map(|(_, scheme)| scheme)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemes_are_found_in_every_place_and_spelling() {
        for (lines, expected) in [
            (&["NTLM"][..], Some("ntlm")),
            (&["ntlm TlRMTVNTUAAC"], Some("ntlm")),
            (&["negotiate"], Some("negotiate")),
            (&["Basic realm=\"a\", NEGOTIATE"], Some("negotiate")),
            (&["Basic realm=\"a, b\",\tNegotiate oYG2MIGz,NTLM"], Some("negotiate")),
            (&["Bearer", "Digest nonce=\"x\", NTLM"], Some("ntlm")),
            (&["Kerberos"], Some("negotiate")),
            (&["Negotiate:x"], Some("negotiate")),
            (&["Basic realm=\"NTLM\""], None),
            (&["Bearer scope=negotiate"], None),
            (&["NTLMv9", "Negotiated", ""], None),
        ] {
            let mut fields = HeaderMap::new();
            for line in lines {
                fields.append(WWW_AUTHENTICATE, HeaderValue::from_static(line));
            }
            assert_eq!(asked_for(&fields), expected, "{lines:?}");
            assert_eq!(presented(&fields), None, "{lines:?}");
        }
        for (value, expected) in [
            ("NTLM TlRMTVNTUAAB", Some("ntlm")),
            ("nEgOtIaTe YIIJvwYG", Some("negotiate")),
            ("negotiate,abc", Some("negotiate")),
            ("Basic x, NTLM x", Some("ntlm")),
            ("Basic bnRsbTp4", None),
            ("Bearer ntlm", None),
        ] {
            let fields = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
            assert_eq!(presented(&fields), expected, "{value}");
        }
    }
}
