//! Parses the URL of a request that is only described: by `crossfade explain` and by `tests` of a configuration. Reads what
//! curl reads, but leaves the path as it is written, like `--path-as-is`.

use http::Uri;

use crate::redirect::is_host;

/// Parses `[http[s]://]host[:port][/path][?query][#fragment]`. The scheme defaults to `http`, as in curl. The result has a
/// scheme, an authority without the scheme's own port, and a path; it has no fragment.
///
/// # Errors
///
/// The problem, in words that do not contain the URL.
pub fn request_url(text: &str) -> Result<Uri, &'static str> {
    let text = text.split('#').next().unwrap_or_default();
    let scheme_end = text.find("://").filter(|end| text.find(['/', '?']).is_none_or(|slash| *end < slash));
    let (scheme, rest) = match scheme_end.and_then(|end| Some((text.get(..end)?, text.get(end..)?.get(3..)?))) {
        None => ("http", text),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("https") => ("https", rest),
        Some((scheme, rest)) if scheme.eq_ignore_ascii_case("http") => ("http", rest),
        Some(_) => return Err("the scheme must be `http` or `https`"),
    };
    let (authority, target) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    if authority.contains('@') {
        return Err("a user name has no place in the URL; write a header `authorization`");
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.contains(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if host.is_empty() {
        return Err("the URL has no host");
    }
    if !host.is_ascii() {
        return Err(
            "the host has characters that are not ASCII; write it in punycode, such as `xn--bcher-kva.example`",
        );
    }
    if !is_host(host) {
        return Err("invalid host");
    }
    let port = match port {
        None => None,
        // `http:/path`
        Some("") if scheme_end.is_none() => return Err("expected `//` after the scheme"),
        Some("") => None,
        Some(digits) => match digits.parse::<u16>() {
            Ok(port) if port > 0 && digits.bytes().all(|digit| digit.is_ascii_digit()) => Some(port),
            _ => return Err("the port must be a number from 1 to 65535"),
        },
    };
    if target.bytes().any(|byte| byte <= b' ' || byte == 0x7f) {
        return Err("spaces and control characters must be percent-encoded, as in `%20`");
    }
    let own_port = if scheme == "https" { 443 } else { 80 };
    let port = port.filter(|port| *port != own_port).map(|port| format!(":{port}")).unwrap_or_default();
    let slash = if target.starts_with('/') { "" } else { "/" };
    let url = format!("{scheme}://{host}{port}{slash}{target}").parse();
    url.map_err(|_| "a character of the path or query must be percent-encoded, or the URL is too long")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_that_curl_reads() {
        for (text, expected) in [
            ("https://a.example", "https://a.example/"),
            ("https://a.example?x=1", "https://a.example/?x=1"),
            ("HTTPS://A.example/X", "https://A.example/X"),
            ("a.example/b?c=d", "http://a.example/b?c=d"),
            ("localhost:8080", "http://localhost:8080/"),
            ("localhost?u=https://b.example/", "http://localhost/?u=https://b.example/"),
            ("https://a.example:443/b", "https://a.example/b"),
            ("https://a.example:080/b", "https://a.example:80/b"),
            ("http://a.example:80", "http://a.example/"),
            ("https://a.example:/b", "https://a.example/b"),
            ("https://a.example/b#c?d", "https://a.example/b"),
            ("https://a.example#c", "https://a.example/"),
            ("https://[::1]:8443/b", "https://[::1]:8443/b"),
            ("https://[2001:db8::1]", "https://[2001:db8::1]/"),
            ("https://192.0.2.7/%2F../b//c", "https://192.0.2.7/%2F../b//c"),
            ("https://a_b.example./[x]{y}|\"", "https://a_b.example./[x]{y}|\""),
            ("https://a.example/é?ö", "https://a.example/é?ö"),
            ("https://xn--bcher-kva.example/", "https://xn--bcher-kva.example/"),
        ] {
            assert_eq!(request_url(text).map(|url| url.to_string()).as_deref(), Ok(expected), "{text}");
        }
    }

    #[test]
    fn urls_that_no_request_has() {
        for (text, expected) in [
            ("", "no host"),
            ("/path", "no host"),
            ("?x", "no host"),
            ("//a.example/", "no host"),
            ("http://", "no host"),
            ("https:///b", "no host"),
            ("https://:443/b", "no host"),
            ("https://?x=1", "no host"),
            ("#a", "no host"),
            ("ftp://a.example:99999/", "scheme"),
            ("file:///etc/passwd", "scheme"),
            ("://a.example", "scheme"),
            ("http:/a.example", "expected `//`"),
            ("https:", "expected `//`"),
            ("https://a.example:99999/", "port"),
            ("https://a.example:0/", "port"),
            ("https://a.example:+80/", "port"),
            ("https://a.example:x/", "port"),
            ("https://user:pass@a.example/", "user name"),
            ("user@a.example", "user name"),
            ("https://a b.example/", "invalid host"),
            ("https://a%20b.example/", "invalid host"),
            ("https://a.example\\b/", "invalid host"),
            ("https://::1/", "invalid host"),
            ("https://[::1", "invalid host"),
            ("https://[fe80::1%25eth0]/", "invalid host"),
            ("https://bücher.example/", "punycode"),
            ("https://a.example/b c", "spaces"),
            ("https://a.example/b\tc", "spaces"),
            ("https://a.example/b?c d", "spaces"),
        ] {
            let problem = request_url(text).expect_err(text);
            assert!(problem.contains(expected), "{text}: {problem}");
        }
        assert!(request_url(&format!("https://a.example/{}", "x".repeat(70_000))).is_err());
    }
}
