//! Parses the URL of a back end. Knows nothing of files and diagnostics: an error is a sentence and a hint.

use std::net::IpAddr;

use http::Uri;
use http::header::HeaderValue;

use crate::dot_segments::has_dot_segment;
use crate::reach::{is_link_local, is_private};
use crate::scheme::Scheme;

/// The parts of `https://host[:port][/base]`.
#[derive(Debug, PartialEq)]
pub(crate) struct BackendUrl {
    pub(crate) scheme: Scheme,
    pub(crate) host: String,
    pub(crate) port: u16,
    pub(crate) authority: HeaderValue,
    pub(crate) base_path: String,
}

/// An invalid URL: the problem and the remedy.
#[derive(Debug, PartialEq)]
pub(crate) struct UrlError {
    pub(crate) message: String,
    pub(crate) hint: &'static str,
}

const FORM: &str = "write https://host, https://host:port or https://host/base";

pub(crate) fn parse(text: &str) -> Result<BackendUrl, UrlError> {
    let error = |message: &str, hint| Err(UrlError { message: message.to_owned(), hint });
    let Some((scheme_text, rest)) = text.split_once("://") else {
        return error("the URL has no scheme", FORM);
    };
    let scheme = match scheme_text.to_ascii_lowercase().as_str() {
        "https" => Scheme::Https,
        "http" => Scheme::Http,
        // The scheme is not shown: it may come from the environment.
        _ => return error("unsupported scheme", "use `https`, or `http` for a private network"),
    };
    if rest.contains(['?', '#']) {
        return error("the URL must not have a query or a fragment", "keep only scheme, host, port and base path");
    }
    if rest.split('/').next().is_some_and(|authority| authority.contains('@')) {
        return error("the URL must not have a user name", "let the client send its own `Authorization`");
    }
    let Ok(uri) = text.parse::<Uri>() else {
        return error("invalid URL", FORM);
    };
    let Some(authority) = uri.authority().filter(|authority| !authority.host().is_empty()) else {
        return error("the URL has no host", FORM);
    };
    let host = authority.host().trim_start_matches('[').trim_end_matches(']').to_ascii_lowercase();
    let port = match authority.as_str().strip_prefix(authority.host()).and_then(|rest| rest.strip_prefix(':')) {
        None => scheme.default_port(),
        Some(digits) => match digits.parse() {
            Ok(port) if port > 0 && !digits.starts_with('+') => port,
            _ => return error("the port is not a number from 1 to 65535", FORM),
        },
    };
    let ip = host.parse::<IpAddr>().ok();
    // `reach` rejects link-local addresses, unless the back end allows them.
    if scheme == Scheme::Http && ip.is_some_and(|ip| !is_private(ip) && !is_link_local(ip)) {
        return error("plain `http` is allowed to loopback and private addresses only", "use `https`");
    }
    let is_name = host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte));
    if ip.is_none() && !is_name {
        return error("the host has a character that is not allowed in host names", FORM);
    }
    // No top-level domain is a number (RFC 3696 section 2), but resolvers read `2852039166`, `0xa9fea9fe` and `0251.1`
    // as IPv4 addresses that a reader does not recognise.
    if ip.is_none() && host.rsplit('.').find(|label| !label.is_empty()).is_some_and(is_number) {
        return error("the host is a number, but not an IPv4 address", "write four decimal numbers, as in 192.0.2.7");
    }
    let bracketed = if matches!(ip, Some(IpAddr::V6(_))) { format!("[{host}]") } else { host.clone() };
    let authority = if port == scheme.default_port() { bracketed } else { format!("{bracketed}:{port}") };
    let base_path = uri.path().trim_end_matches('/').to_owned();
    if has_dot_segment(&base_path) {
        return error("the base path has a `.` or `..` segment", "write the resolved path");
    }
    let Ok(authority) = HeaderValue::from_str(&authority) else {
        return error("the host is not a valid `Host` field value", FORM);
    };
    Ok(BackendUrl { scheme, host, port, authority, base_path })
}

fn is_number(label: &str) -> bool {
    match label.strip_prefix("0x") {
        Some(digits) => digits.bytes().all(|byte| byte.is_ascii_hexdigit()),
        None => label.bytes().all(|byte| byte.is_ascii_digit()),
    }
}

impl Scheme {
    fn default_port(self) -> u16 {
        match self {
            Scheme::Http => 80,
            Scheme::Https => 443,
        }
    }
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
    fn bad_urls_are_rejected() {
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
            // Numbers and other disguises of addresses, and user names that look like hosts.
            "https://2852039166",
            "https://0xa9fea9fe",
            "https://0251.0376.0251.0376",
            "https://169.254.43518",
            "https://169.254.169.254.",
            "https://127.1",
            "https://[fe80::1%25eth0]",
            "https://[fe80::1%eth0]",
            "https://h.example@169.254.169.254",
            "https://h.example\\@evil.example",
            "https://evil%2eexample",
            "https://h.example:80:81",
            "https://[::1",
            "https://::1",
            "https:h.example",
            "https:///h.example",
            "//h.example",
        ] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
