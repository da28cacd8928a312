//! A back end's URL, taken apart once. Knows nothing of files and diagnostics: it yields a sentence for what is wrong.

use std::net::{IpAddr, Ipv6Addr};

use http::Uri;
use http::header::HeaderValue;

use crate::table::Scheme;

/// The parts of `https://host[:port][/base]`.
#[derive(Debug, PartialEq)]
pub(crate) struct BackendUrl {
    pub(crate) scheme: Scheme,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) authority: HeaderValue,
    pub(crate) base_path: String,
}

/// What is wrong with a URL, and what to do.
#[derive(Debug, PartialEq)]
pub(crate) struct UrlMistake {
    pub(crate) message: String,
    pub(crate) hint: &'static str,
}

const FORM: &str = "write https://host, https://host:port or https://host/base";

pub(crate) fn parse(text: &str) -> Result<BackendUrl, UrlMistake> {
    let mistake = |message: &str, hint| Err(UrlMistake { message: message.to_owned(), hint });
    let Some((scheme_text, rest)) = text.split_once("://") else {
        return mistake("the URL has no scheme", FORM);
    };
    let scheme = match scheme_text.to_ascii_lowercase().as_str() {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        // Not which one: it may be a value from the environment.
        _ => return mistake("this scheme is not supported", "use `https`, or `http` for a private network"),
    };
    if rest.contains(['?', '#']) {
        return mistake("a back end's URL has no query and no fragment", "keep scheme, host, port and base path");
    }
    if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
        return mistake("a back end's URL has no user name", "let the client send its own `Authorization`");
    }
    let Ok(uri) = text.parse::<Uri>() else {
        return mistake("this is not a URL", FORM);
    };
    let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
        return mistake("the URL has no host", FORM);
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let port = match authority.as_str().strip_prefix(authority.host()).and_then(|rest| rest.strip_prefix(':')) {
        None => scheme.default_port(),
        Some(digits) => match digits.parse() {
            Ok(port) if port > 0 && !digits.starts_with('+') => port,
            _ => return mistake("the port is not a number from 1 to 65535", FORM),
        },
    };
    let ip = host.parse::<IpAddr>().ok();
    if scheme == Scheme::Http && ip.is_some_and(|ip| !is_private(ip)) {
        return mistake("plain `http` is allowed to loopback and private addresses only", "use `https`");
    }
    let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if ip.is_none() && !is_name {
        return mistake("the host has a character that no host name has", FORM);
    }
    let bracketed = if matches!(ip, Some(IpAddr::V6(_))) { format!("[{host}]") } else { host.clone() };
    let authority = if port == scheme.default_port() { bracketed } else { format!("{bracketed}:{port}") };
    let base_path = uri.path().trim_end_matches('/').to_owned();
    if has_dot_segment(&base_path) {
        return mistake("the base path has a `.` or `..` segment", "write the path that they stand for");
    }
    let Ok(authority) = HeaderValue::from_str(&authority) else {
        return mistake("the host cannot stand in a `Host` field", FORM);
    };
    Ok(BackendUrl { scheme, host, port, authority, base_path })
}

impl Scheme {
    fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }

    /// Whether a back end of this scheme may be at an address. Plain text stays in loopback and private networks; no
    /// scheme reaches link-local addresses, where clouds keep their credentials, nor what is no host at all.
    #[must_use]
    pub fn allows(self, ip: IpAddr) -> bool {
        let ip = ip.to_canonical();
        match ip {
            IpAddr::V4(v4) if v4.is_link_local() || v4.is_multicast() || v4.is_broadcast() || v4.is_unspecified() => {
                false
            }
            IpAddr::V6(v6) if is_unicast_link_local(v6) || v6.is_multicast() || v6.is_unspecified() => false,
            IpAddr::V6(v6) if v6.segments()[..2] == AWS_SERVICES => false,
            _ => self == Scheme::Https || is_private(ip),
        }
    }
}

fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        // 100.64.0.0/10 is shared address space (RFC 6598), which containers get in some VPCs.
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || matches!(v4.octets(), [100, 64..=127, ..]),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
    }
}

/// `fd00:ec2::/32`: the instance metadata service and its like over IPv6.
const AWS_SERVICES: [u16; 2] = [0xfd00, 0x0ec2];

fn is_unicast_link_local(ip: Ipv6Addr) -> bool {
    ip.segments()[0] & 0xffc0 == 0xfe80
}

/// Whether a server that normalises paths could leave the directory a path begins in: `.` or `..` segments, also
/// percent-encoded however often, behind a backslash, with a path parameter (`..;x`) or a NUL.
#[must_use]
pub fn has_dot_segment(path: &str) -> bool {
    let mut lower = String::with_capacity(path.len());
    let mut rest = path;
    while let Some((before, after)) = rest.split_once('%') {
        lower.push_str(before);
        lower.push('%');
        // However often it was encoded.
        rest = after.trim_start_matches("25");
    }
    lower.push_str(rest);
    lower.make_ascii_lowercase();
    for (encoded, plain) in [("%2e", "."), ("%2f", "/"), ("%5c", "/"), ("%3b", ";"), ("%00", ";")] {
        lower = lower.replace(encoded, plain);
    }
    lower.split(['/', '\\']).any(|segment| {
        let segment = segment.split([';']).next().unwrap_or_default();
        segment == "." || segment == ".."
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts(text: &str) -> (String, u16, String, String) {
        let url = parse(text).unwrap();
        (url.host, url.port, url.authority.to_str().unwrap().to_owned(), url.base_path)
    }

    fn own(host: &str, port: u16, authority: &str, base: &str) -> (String, u16, String, String) {
        (host.to_owned(), port, authority.to_owned(), base.to_owned())
    }

    #[test]
    fn urls_are_taken_apart() {
        assert_eq!(parts("https://Shop.example.com"), own("shop.example.com", 443, "shop.example.com", ""));
        assert_eq!(parts("https://h.example:443/"), own("h.example", 443, "h.example", ""));
        assert_eq!(parts("HTTPS://h.example"), own("h.example", 443, "h.example", ""));
        assert_eq!(parts("https://h.example:8443/v2/"), own("h.example", 8443, "h.example:8443", "/v2"));
        assert_eq!(parts("https://[::1]:8443"), own("::1", 8443, "[::1]:8443", ""));
        assert_eq!(parts("http://10.1.2.3"), own("10.1.2.3", 80, "10.1.2.3", ""));
    }

    #[test]
    fn bad_urls_are_refused() {
        for text in [
            "",
            "shop.example.com",
            "https://",
            "https:///path",
            "ftp://h.example",
            "https://user@h.example",
            "https://user:pass@h.example/",
            "https://h.example?x=1",
            "https://h.example/#f",
            "https://h.example:0",
            "https://h.example:99999",
            "https://h.example:x",
            "https://h ost",
            "https://h.example/a/../b",
            "http://203.0.113.7",
            "https://h.example:+80",
            "https://h,i",
            "https://h'i",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }

    #[test] // T10
    fn dot_segments_are_seen_in_every_disguise() {
        for path in [
            "/..",
            "/a/../b",
            "/a/.",
            "/%2e%2e/b",
            "/.%2E/b",
            "/a\\..\\b",
            "/a%2f..%2fb",
            "/a%5c..",
            "/..;x/b",
            "/%252e%252e/",
            "/%2525252E./",
            "/..%253bx",
            "/..%00/",
        ] {
            assert!(has_dot_segment(path), "{path}");
        }
        for path in ["/", "/a.b", "/...", "/a/..b", "/.well-known/x"] {
            assert!(!has_dot_segment(path), "{path}");
        }
    }

    #[test] // T26
    fn addresses_that_no_back_end_has() {
        let allows = |scheme: Scheme, ip: &str| scheme.allows(ip.parse().unwrap());
        for ip in [
            "169.254.169.254",
            "::ffff:169.254.169.254",
            "fe80::1",
            "0.0.0.0",
            "::",
            "224.0.0.1",
            "ff02::1",
            "fd00:ec2::254",
        ] {
            assert!(!allows(Scheme::Https, ip), "{ip}");
        }
        for ip in ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.1.1", "::1", "fd00::1"] {
            assert!(allows(Scheme::Http, ip), "{ip}");
        }
        assert!(allows(Scheme::Https, "203.0.113.7"));
        assert!(!allows(Scheme::Http, "203.0.113.7"));
    }
}
