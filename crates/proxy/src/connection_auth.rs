//! Authentication that belongs to a connection and not to a request (NTLM, Negotiate; RFC 4559 section 6): who sends the
//! next request on such a connection is taken for who authenticated on it. Owns how such messages are recognised; that
//! their connections carry no other request is `attempt`'s.

use http::HeaderMap;
use http::header::{AUTHORIZATION, WWW_AUTHENTICATE};

/// The scheme of such credentials in a request.
pub(crate) fn presented(request: &HeaderMap) -> Option<&'static str> {
    request.get_all(AUTHORIZATION).iter().find_map(|value| scheme(value.as_bytes()))
}

/// The scheme of such a challenge in a response, among others or alone.
pub(crate) fn asked_for(response: &HeaderMap) -> Option<&'static str> {
    // A comma in a quoted parameter makes parts that are none. One that looks like a challenge costs a connection, no more.
    let parts =
        response.get_all(WWW_AUTHENTICATE).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    parts.into_iter().find_map(scheme)
}

/// How one of them begins.
fn scheme(credentials: &[u8]) -> Option<&'static str> {
    let name = credentials.trim_ascii_start().split(u8::is_ascii_whitespace).next()?;
    ["ntlm", "negotiate"].into_iter().find(|known| name.eq_ignore_ascii_case(known.as_bytes()))
}

#[cfg(test)]
mod tests {
    use http::HeaderValue;

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
            ("Basic bnRsbTp4", None),
            ("Bearer ntlm", None),
        ] {
            let fields = HeaderMap::from_iter([(AUTHORIZATION, HeaderValue::from_static(value))]);
            assert_eq!(presented(&fields), expected, "{value}");
        }
    }
}
