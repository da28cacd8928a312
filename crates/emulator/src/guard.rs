//! Rejects requests of web pages, for servers on loopback that are for programs of this machine only.
//!
//! A page of any site can send requests to loopback, and read the responses if its own name resolves there (DNS
//! rebinding). It cannot choose `Host` and the fields that its browser adds: `Origin` and Fetch Metadata
//! (`Sec-Fetch-*`). The load balancer's listeners are for browsers and do not check this.

use std::net::{Ipv4Addr, Ipv6Addr};

use http::{HeaderMap, header};

/// The field that Node's `fetch` sends in every request. A browser never sends it alone.
const FETCH_OF_NODE: (&str, &[u8]) = ("sec-fetch-mode", b"cors");

/// Returns whether the value of a `Host` field is an address of this machine, or `localhost`, with this port.
#[must_use]
pub fn is_loopback_host(host: &str, port: u16) -> bool {
    let Some((name, own)) = host.rsplit_once(':') else { return false };
    if own != port.to_string() {
        return false;
    }
    let name = name.strip_suffix('.').unwrap_or(name);
    if let Some(address) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) {
        return address.parse::<Ipv6Addr>().is_ok_and(|address| address.to_canonical().is_loopback());
    }
    name.eq_ignore_ascii_case("localhost") || name.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
}

/// Returns the reason to reject a request to a server on this port that is for programs only; `None` for requests of
/// programs. A request without `Host` is a program's: every browser sends the field.
pub(crate) fn page(fields: &HeaderMap, port: u16) -> Option<&'static str> {
    let mut hosts = fields.get_all(header::HOST).iter();
    let first = hosts.next();
    let is_own = first.is_none_or(|host| host.to_str().is_ok_and(|host| is_loopback_host(host, port)));
    if !is_own || hosts.next().is_some() {
        return Some("`Host` must be the address in `AWS_LAMBDA_RUNTIME_API`");
    }
    let mut metadata = fields.iter().filter(|(name, _)| name.as_str().starts_with("sec-fetch-")).peekable();
    let is_of_node =
        |(name, value): (&http::HeaderName, &http::HeaderValue)| (name.as_str(), value.as_bytes()) == FETCH_OF_NODE;
    let has_metadata = metadata.peek().is_some() && !metadata.all(is_of_node);
    // Browsers without Fetch Metadata name the page for an image.
    let is_page = has_metadata || fields.contains_key(header::ORIGIN) || fields.contains_key(header::REFERER);
    is_page.then_some("a web page must not call this API (`Origin`, `Referer`, `Sec-Fetch-*`)")
}

#[cfg(test)]
mod tests {
    use super::*;

    const PORT: u16 = 9001;

    fn is_refused(fields: &[(&'static str, &str)]) -> bool {
        let fields = fields.iter().map(|(name, value)| (http::HeaderName::from_static(name), value.parse().unwrap()));
        let mut map = HeaderMap::new();
        fields.for_each(|(name, value)| _ = map.append(name, value));
        page(&map, PORT).is_some()
    }

    #[test]
    fn every_spelling_of_loopback_is_taken_and_no_other_name() {
        for own in
            ["127.0.0.1:9001", "localhost:9001", "LocalHost:9001", "localhost.:9001", "[::1]:9001", "127.8.9.1:9001"]
        {
            assert!(is_loopback_host(own, PORT), "{own}");
        }
        assert!(is_loopback_host("[::ffff:127.0.0.1]:9001", PORT));
        for other in [
            "",
            "127.0.0.1",
            "localhost",
            "127.0.0.1:9002",
            "127.0.0.1:09001",
            "127.0.0.1:",
            "evil.example:9001",
            "localhost.evil.example:9001",
            "127.0.0.1.evil.example:9001",
            "evil-localhost:9001",
            "10.0.0.1:9001",
            "0.0.0.0:9001",
            "[::2]:9001",
            "[::1:9001",
            "::1:9001",
            "a@localhost:9001",
        ] {
            assert!(!is_loopback_host(other, PORT), "{other}");
        }
    }

    #[test]
    fn programs_are_told_from_pages() {
        let host = ("host", "127.0.0.1:9001");
        for programs in [
            &[][..],
            &[host],
            &[host, ("user-agent", "Mozilla/5.0"), ("accept", "*/*")],
            // Node's `fetch`.
            &[host, ("sec-fetch-mode", "cors"), ("accept-language", "*")],
        ] {
            assert!(!is_refused(programs), "{programs:?}");
        }
        for pages in [
            &[("host", "evil.example:9001")][..],
            &[host, host],
            &[host, ("origin", "http://evil.example")],
            &[host, ("origin", "null")],
            &[host, ("origin", "http://127.0.0.1:9001")],
            &[host, ("sec-fetch-site", "cross-site")],
            &[host, ("sec-fetch-site", "same-origin")],
            &[host, ("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate")],
            &[host, ("sec-fetch-mode", "no-cors")],
            &[host, ("sec-fetch-mode", "cors"), ("sec-fetch-dest", "empty")],
            &[host, ("sec-fetch-storage-access", "active")],
        ] {
            assert!(is_refused(pages), "{pages:?}");
        }
    }
}
