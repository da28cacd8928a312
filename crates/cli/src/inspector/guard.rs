//! Access control: the page is for a browser on this machine, and for its own forms.
//!
//! A foreign page must not read the inspector (DNS rebinding), embed it, or trigger an action. Three things prevent that: the
//! `Host` field, which a page cannot choose; the fields in which a browser identifies the requesting page (`Origin`, and
//! `Sec-Fetch-Site` of Fetch Metadata); and a random token in every form.

use std::net::SocketAddr;

use anyhow::{Result, anyhow};
use crossfade_emulator::guard::is_loopback_host;
use http::{HeaderMap, Method, StatusCode, header};

/// The status and the reason of a rejected request.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    pub(super) why: &'static str,
}

/// Returns 256 random bits from the system's generator.
pub(super) fn random() -> Result<String> {
    let mut bytes = [0; 32];
    let provider = rustls::crypto::ring::default_provider();
    provider.secure_random.fill(&mut bytes).map_err(|_| anyhow!("the system provides no random numbers"))?;
    Ok(bytes.iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Checks host, origin and method of a request.
pub(super) fn check(address: SocketAddr, method: &Method, fields: &HeaderMap) -> Result<(), Refusal> {
    let mut hosts = fields.get_all(header::HOST).iter();
    let host = hosts.next().and_then(|host| host.to_str().ok()).unwrap_or_default();
    if hosts.next().is_some() || !is_loopback_host(host, address.port()) {
        let why = "the inspector responds only at the address that `crossfade dev` printed";
        return Err(Refusal { status: StatusCode::MISDIRECTED_REQUEST, why });
    }
    let field = |name: &str| fields.get(name).map(|value| value.to_str().unwrap_or("?"));
    let site = field("sec-fetch-site");
    let is_own = matches!(site, None | Some("same-origin" | "none"));
    if *method == Method::GET || *method == Method::HEAD {
        // Other pages may link to this one, but not load it as a part of themselves.
        let is_link = field("sec-fetch-mode") == Some("navigate") && field("sec-fetch-dest") == Some("document");
        let has_other_origin = field("origin").is_some_and(|origin| !is_origin(origin, host));
        return if (is_own || is_link) && !has_other_origin { Ok(()) } else { Err(foreign()) };
    }
    let is_own_form = match field("origin") {
        // With our `Referrer-Policy` a browser sends `Origin: null` for a form (Fetch, "append a request `Origin` header");
        // `Sec-Fetch-Site` still distinguishes the same origin.
        Some("null") => site == Some("same-origin"),
        Some(origin) => is_origin(origin, host),
        // Not a browser.
        None => true,
    };
    if is_own && is_own_form { Ok(()) } else { Err(foreign()) }
}

fn foreign() -> Refusal {
    Refusal { status: StatusCode::FORBIDDEN, why: "only pages of the inspector may send this request" }
}

fn is_origin(origin: &str, host: &str) -> bool {
    origin.strip_prefix("http://").is_some_and(|own| own.eq_ignore_ascii_case(host))
}

/// Compares in constant time.
pub(super) fn is_token(sent: &str, token: &str) -> bool {
    let differs = sent.bytes().zip(token.bytes()).fold(0, |differs, (a, b)| differs | (a ^ b));
    sent.len() == token.len() && differs == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn status(method: Method, fields: &[(&'static str, &str)]) -> Option<u16> {
        let mut map = HeaderMap::new();
        for (name, value) in fields {
            map.append(*name, value.parse().unwrap());
        }
        check(([127, 0, 0, 1], 8081).into(), &method, &map).err().map(|refusal| refusal.status.as_u16())
    }

    #[test]
    fn only_this_machines_names_are_answered() {
        for host in ["127.0.0.1:8081", "127.1.2.3:8081", "localhost:8081", "LOCALHOST:8081", "[::1]:8081"] {
            assert_eq!(status(Method::GET, &[("host", host)]), None, "{host}");
        }
        for host in ["", "127.0.0.1", "localhost", "127.0.0.1:8080", "evil.example:8081", "localhost.evil.example:8081"]
        {
            assert_eq!(status(Method::GET, &[("host", host)]), Some(421), "{host}");
        }
        assert_eq!(status(Method::GET, &[]), Some(421));
        assert_eq!(status(Method::GET, &[("host", "localhost:8081"), ("host", "localhost:8081")]), Some(421));
    }

    #[test]
    fn other_pages_may_link_and_nothing_else() {
        const HOST: (&str, &str) = ("host", "localhost:8081");
        let site = |site| ("sec-fetch-site", site);
        let (navigate, document, frame) =
            (("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document"), ("sec-fetch-dest", "iframe"));
        assert_eq!(status(Method::GET, &[HOST, site("cross-site"), navigate, document]), None);
        assert_eq!(status(Method::GET, &[HOST, site("cross-site"), navigate, frame]), Some(403));
        // Another port of this machine is the same site, but another origin.
        for other in ["cross-site", "same-site"] {
            assert_eq!(status(Method::GET, &[HOST, site(other)]), Some(403));
            assert_eq!(status(Method::POST, &[HOST, site(other), navigate, document]), Some(403));
        }
        let origin = |origin| ("origin", origin);
        for (fields, expected) in [
            (&[HOST][..], None),
            (&[HOST, origin("http://localhost:8081")], None),
            (&[HOST, origin("null"), site("same-origin")], None),
            (&[HOST, origin("null")], Some(403)),
            (&[HOST, origin("http://localhost:8080")], Some(403)),
            (&[HOST, origin("https://localhost:8081")], Some(403)),
            (&[HOST, origin("http://evil.example")], Some(403)),
            (&[HOST, origin("http://localhost:8081"), site("cross-site")], Some(403)),
        ] {
            assert_eq!(status(Method::POST, fields), expected, "{fields:?}");
        }
        assert_eq!(status(Method::GET, &[HOST, origin("http://evil.example")]), Some(403));
    }

    #[test]
    fn tokens_are_random_and_compared_as_a_whole() {
        let (a, b) = (random().unwrap(), random().unwrap());
        assert_eq!((a.len(), a == b), (64, false));
        assert!(is_token(&a, &a) && !is_token(&b, &a) && !is_token("", &a) && !is_token(&a[..63], &a));
    }
}
