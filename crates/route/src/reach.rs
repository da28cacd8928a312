//! Where the function may go for a back end, and where it never goes whatever a name resolves to: decided for the literals of
//! the configuration when it compiles, and for every address when a connection is made. Resolves nothing.

use std::fmt;
use std::net::{IpAddr, Ipv6Addr};

use crate::surroundings::Surroundings;
use crate::table::Scheme;

/// What the addresses of a back end are held to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Plain text stays in loopback and private networks.
    pub scheme: Scheme,
    /// `allowLinkLocal`.
    pub link_local: bool,
    /// Host and port of the Runtime API that this process gets its events from, if there is one.
    pub runtime_api: Option<(String, u16)>,
}

/// Why no back end may be at an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prohibited {
    /// Unspecified, multicast, broadcast.
    NoHost,
    /// The metadata services of clouds are there.
    LinkLocal,
    /// A request there would take the function's own events, or answer them.
    RuntimeApi,
    /// Plain text would leave the private network.
    PlainText,
}

/// `fd00:ec2::/32`: the instance metadata service and its like over IPv6.
const AWS_SERVICES: [u16; 2] = [0xfd00, 0x0ec2];

impl Reach {
    pub(crate) fn new(scheme: Scheme, link_local: bool, surroundings: &dyn Surroundings) -> Self {
        let runtime_api = surroundings.variable("AWS_LAMBDA_RUNTIME_API");
        Reach { scheme, link_local, runtime_api: runtime_api.as_deref().and_then(host_and_port) }
    }

    /// Whether a back end may be at an address.
    ///
    /// # Errors
    ///
    /// Why it may not.
    pub fn check(&self, ip: IpAddr, port: u16) -> Result<(), Prohibited> {
        let ip = ip.to_canonical();
        if is_no_host(ip) {
            return Err(Prohibited::NoHost);
        }
        let is_link_local = is_link_local(ip);
        if is_link_local && !self.link_local {
            return Err(Prohibited::LinkLocal);
        }
        if self.is_runtime_api(ip, port) {
            return Err(Prohibited::RuntimeApi);
        }
        if self.scheme == Scheme::Http && !is_private(ip) && !is_link_local {
            return Err(Prohibited::PlainText);
        }
        Ok(())
    }

    /// The same for a host as it is written; a name is allowed, until it is resolved.
    pub(crate) fn check_host(&self, host: &str, port: u16) -> Result<(), Prohibited> {
        match host.parse() {
            Ok(ip) => self.check(ip, port),
            Err(_) => match &self.runtime_api {
                Some((own, own_port)) if own.eq_ignore_ascii_case(host) && *own_port == port => {
                    Err(Prohibited::RuntimeApi)
                }
                _ => Ok(()),
            },
        }
    }

    /// All of loopback is one host: what listens there may listen on each of its addresses.
    fn is_runtime_api(&self, ip: IpAddr, port: u16) -> bool {
        let Some((host, own_port)) = &self.runtime_api else { return false };
        let is_own = match host.parse::<IpAddr>() {
            Ok(own) => own.to_canonical() == ip || (own.to_canonical().is_loopback() && ip.is_loopback()),
            Err(_) => host.eq_ignore_ascii_case("localhost") && ip.is_loopback(),
        };
        is_own && *own_port == port
    }
}

impl Prohibited {
    /// What to do about it.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Prohibited::NoHost => "write the address of the back end",
            Prohibited::LinkLocal => "write the address of the back end; if it is this one, `allowLinkLocal: true`",
            Prohibited::RuntimeApi => "write the address of the back end",
            Prohibited::PlainText => "use `https`",
        }
    }
}

/// What follows "the address …".
impl fmt::Display for Prohibited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Prohibited::NoHost => "is none that a host can have",
            Prohibited::LinkLocal => "is link-local, where clouds keep credentials",
            Prohibited::RuntimeApi => "is that of the Runtime API, where this function gets its events from",
            Prohibited::PlainText => "is public, and plain `http` goes to loopback and private addresses only",
        })
    }
}

/// `host:port`; an IPv6 address may have brackets.
fn host_and_port(text: &str) -> Option<(String, u16)> {
    let (host, port) = text.rsplit_once(':')?;
    Some((host.trim_start_matches('[').trim_end_matches(']').to_owned(), port.parse().ok()?))
}

pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        // 100.64.0.0/10 is shared address space (RFC 6598), which containers get in some VPCs.
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || matches!(v4.octets(), [100, 64..=127, ..]),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
    }
}

/// Link-local, or what clouds treat as such: `169.254.169.254` and `169.254.170.2` give out credentials.
pub(crate) fn is_link_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => v6.is_unicast_link_local() || is_of_aws(v6),
    }
}

fn is_of_aws(ip: Ipv6Addr) -> bool {
    let [first, second, ..] = ip.segments();
    [first, second] == AWS_SERVICES
}

fn is_no_host(ip: IpAddr) -> bool {
    match ip {
        IpAddr::V4(v4) => v4.is_multicast() || v4.is_broadcast() || v4.is_unspecified(),
        IpAddr::V6(v6) => v6.is_multicast() || v6.is_unspecified(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const METADATA: [&str; 7] = [
        "169.254.169.254",
        "169.254.170.2",
        "169.254.0.1",
        "::ffff:169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
        "fd00:ec2::23",
    ];

    fn reach(scheme: Scheme, link_local: bool, runtime_api: Option<&str>) -> Reach {
        Reach { scheme, link_local, runtime_api: runtime_api.and_then(host_and_port) }
    }

    #[track_caller]
    fn is(reach: &Reach, host: &str, port: u16, expected: Option<Prohibited>) {
        assert_eq!(reach.check(host.parse().unwrap(), port).err(), expected, "{host} {port} {reach:?}");
        assert_eq!(reach.check_host(host, port).err(), expected, "{host} {port} {reach:?}");
    }

    #[test] // T26
    fn addresses_that_no_back_end_has() {
        for scheme in [Scheme::Http, Scheme::Https] {
            for host in ["0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.1", "255.255.255.255", "ff02::1"] {
                is(&reach(scheme, true, None), host, 443, Some(Prohibited::NoHost));
            }
            for host in METADATA {
                is(&reach(scheme, false, None), host, 80, Some(Prohibited::LinkLocal));
                is(&reach(scheme, true, None), host, 80, None);
            }
            for host in ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.1.1", "::1", "fd00::1"] {
                is(&reach(scheme, false, None), host, 80, None);
            }
        }
        is(&reach(Scheme::Https, false, None), "203.0.113.7", 80, None);
        is(&reach(Scheme::Http, true, None), "203.0.113.7", 80, Some(Prohibited::PlainText));
    }

    #[test] // T26
    fn the_runtime_api_is_no_back_end() {
        let local = reach(Scheme::Http, true, Some("127.0.0.1:9001"));
        for host in ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"] {
            is(&local, host, 9001, Some(Prohibited::RuntimeApi));
            is(&local, host, 9002, None);
        }
        is(&local, "10.0.0.1", 9001, None);
        is(&reach(Scheme::Http, true, Some("169.254.100.1:9001")), "169.254.100.1", 9001, Some(Prohibited::RuntimeApi));
        is(&reach(Scheme::Http, true, Some("[fd00::1]:9001")), "fd00::1", 9001, Some(Prohibited::RuntimeApi));
        let named = reach(Scheme::Http, true, Some("localhost:9001"));
        is(&named, "127.0.0.1", 9001, Some(Prohibited::RuntimeApi));
        assert_eq!(named.check_host("LOCALHOST", 9001), Err(Prohibited::RuntimeApi));
        assert_eq!(named.check_host("localhost", 80), Ok(()));
        for none in ["", "x", "127.0.0.1", "127.0.0.1:x"] {
            assert_eq!(host_and_port(none), None, "{none}");
        }
    }
}
