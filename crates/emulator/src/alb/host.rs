//! The syntax of a host, for the parts of the load balancer that build URLs or requests with one.

use std::net::Ipv6Addr;

/// Returns whether a text is a host with or without a port (RFC 3986 section 3.2): a name, an IPv4 address, or an IPv6
/// address in brackets. Names may have `_`, as some have.
pub(super) fn is_host(text: &str) -> bool {
    let (name, port) = match text.rsplit_once(':') {
        Some((name, port)) if !port.ends_with(']') => (name, port),
        _ => (text, "0"),
    };
    let is_port = port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok();
    is_port && if name.starts_with('[') { is_bracketed(name) } else { is_name(name) }
}

fn is_name(name: &str) -> bool {
    !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// `[::1]`, or with a zone `[fe80::1%25eth0]` (RFC 6874).
fn is_bracketed(name: &str) -> bool {
    let Some(inside) = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')) else { return false };
    let (address, zone) = inside.split_once("%25").unwrap_or((inside, "0"));
    address.parse::<Ipv6Addr>().is_ok() && is_name(zone)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hosts_are_told_from_what_looks_like_one() {
        for host in ["a", "a.example", "a_b.example.", "10.0.0.1", "[::1]", "[fe80::1%25eth0]", "a:80", "[::1]:65535"] {
            assert!(is_host(host), "{host}");
        }
        for other in [
            "",
            ":80",
            "[::1",
            "::1]",
            "::1",
            "[::1]x",
            "[::1]:",
            "a:",
            "a:x",
            "a:65536",
            "a:+1",
            "[a]",
            "[]",
            "[::1%25]",
            "a b",
            "a/b",
            "a?b",
            "a#b",
            "a\\b",
            "a@b",
            "a,b",
            "é",
            "a%2fb",
            "[[::1]]",
            "[::1]:80:80",
            "a:80:80",
        ] {
            assert!(!is_host(other), "{other}");
        }
    }
}
