//! Who the client is: the address that the load balancer, or a proxy before it that is trusted, has put into
//! `X-Forwarded-For`. What stands before that is the client's claim.

use std::net::{IpAddr, SocketAddr};

use http::HeaderMap;

use crate::forwarding::X_FORWARDED_FOR;

/// The address `trusted_hops` from the end: 1 is the one that the load balancer saw.
pub(crate) fn client_ip(fields: &HeaderMap, trusted_hops: usize) -> Option<IpAddr> {
    let lines = fields.get_all(X_FORWARDED_FOR);
    let members = lines.iter().rev().flat_map(|line| line.as_bytes().rsplit(|byte| *byte == b','));
    let member = members.into_iter().nth(trusted_hops.checked_sub(1)?)?;
    let text = std::str::from_utf8(member).ok()?.trim();
    // With a port where the load balancer's `xff_client_port` is on.
    let address = text.parse().or_else(|_| text.parse::<SocketAddr>().map(|with_port| with_port.ip())).ok();
    address.or_else(|| text.strip_prefix('[')?.strip_suffix(']')?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(hops: usize, lines: &[&str]) -> Option<String> {
        let fields = lines.iter().map(|line| (X_FORWARDED_FOR, line.parse().unwrap())).collect();
        client_ip(&fields, hops).map(|ip| ip.to_string())
    }

    #[test] // T14
    fn only_what_trusted_proxies_have_written_counts() {
        let lines = ["1.1.1.1, 2.2.2.2", "3.3.3.3"];
        assert_eq!(at(1, &lines).as_deref(), Some("3.3.3.3"));
        assert_eq!(at(2, &lines).as_deref(), Some("2.2.2.2"));
        assert_eq!(at(3, &lines).as_deref(), Some("1.1.1.1"));
        assert_eq!(at(4, &lines), None);
        assert_eq!(at(0, &lines), None);
    }

    #[test]
    fn addresses_in_every_form() {
        assert_eq!(at(1, &["192.0.2.7:5123"]).as_deref(), Some("192.0.2.7"));
        assert_eq!(at(1, &["[2001:db8::1]:443"]).as_deref(), Some("2001:db8::1"));
        assert_eq!(at(1, &["[2001:db8::1]"]).as_deref(), Some("2001:db8::1"));
        assert_eq!(at(1, &["2001:db8::1"]).as_deref(), Some("2001:db8::1"));
        for none in ["", "unknown", "_hidden", "1.2.3.4.5", "1.2.3.4,"] {
            assert_eq!(at(1, &[none]), None, "{none}");
        }
        assert_eq!(at(1, &[]), None);
    }
}
