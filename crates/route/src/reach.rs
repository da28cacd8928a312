//! The addresses that a back end may have. Checked for literals when the configuration compiles, and for every resolved
//! address when a connection is made. Resolves nothing.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use crate::scheme::Scheme;

/// Restrictions on the addresses of a back end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reach {
    /// Plain text is limited to loopback and private networks.
    pub scheme: Scheme,
    /// `allowLinkLocal`.
    pub link_local: bool,
    /// The Runtime API that this process gets its events from, if there is one.
    pub runtime_api: Option<Arc<RuntimeApi>>,
}

/// Location of the Runtime API.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RuntimeApi {
    /// Name or IP address as it is written, without brackets.
    pub host: String,
    /// Port.
    pub port: u16,
    /// All addresses that the host resolves to; for an IP address, that one.
    pub addresses: Vec<IpAddr>,
}

/// A reason why a back end must not have an address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Prohibited {
    /// Unspecified, multicast or broadcast.
    NoHost,
    /// Clouds have their metadata services there.
    LinkLocal,
    /// A request there could consume the function's own events, or respond to them.
    RuntimeApi,
    /// Plain text would leave the private network.
    PlainText,
}

/// `fd00:ec2::/32`: the instance metadata service and similar services over IPv6.
const AWS_SERVICES: [u16; 2] = [0xfd00, 0x0ec2];

impl Reach {
    /// Accepts the addresses that the back end may have.
    ///
    /// # Errors
    ///
    /// The reason why it may not have this one.
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

    /// Likewise for a host as it is written. Names are accepted until they are resolved.
    pub(crate) fn check_host(&self, host: &str, port: u16) -> Result<(), Prohibited> {
        match host.parse() {
            Ok(ip) => self.check(ip, port),
            Err(_) => match &self.runtime_api {
                Some(own) if own.host.eq_ignore_ascii_case(host) && own.port == port => Err(Prohibited::RuntimeApi),
                _ => Ok(()),
            },
        }
    }

    /// Returns `true` if the address is the Runtime API's. All loopback addresses count as one host, because a server
    /// may listen on any of them, and connecting to the unspecified address connects to loopback.
    fn is_runtime_api(&self, ip: IpAddr, port: u16) -> bool {
        let Some(own) = self.runtime_api.as_deref().filter(|own| own.port == port) else { return false };
        own.addresses
            .iter()
            .map(IpAddr::to_canonical)
            .any(|address| address == ip || ((address.is_loopback() || address.is_unspecified()) && ip.is_loopback()))
    }
}

impl Prohibited {
    /// Returns the remedy.
    pub(crate) fn hint(self) -> &'static str {
        match self {
            Prohibited::NoHost => "write the address of the back end",
            Prohibited::LinkLocal => "write the address of the back end, or set `allowLinkLocal: true` if this is it",
            Prohibited::RuntimeApi => "write the address of the back end",
            Prohibited::PlainText => "use `https`",
        }
    }
}

/// Completes the sentence "the address …".
impl fmt::Display for Prohibited {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Prohibited::NoHost => "is not an address of a host",
            Prohibited::LinkLocal => "is link-local, where cloud metadata services provide credentials",
            Prohibited::RuntimeApi => "belongs to the Lambda Runtime API",
            Prohibited::PlainText => "is public, but plain `http` is limited to loopback and private addresses",
        })
    }
}

pub(crate) fn is_private(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        // 100.64.0.0/10 is shared address space (RFC 6598), which containers in some VPCs use.
        IpAddr::V4(v4) => v4.is_loopback() || v4.is_private() || matches!(v4.octets(), [100, 64..=127, ..]),
        IpAddr::V6(v6) => v6.is_loopback() || v6.is_unique_local(),
    }
}

/// Returns `true` for link-local addresses and those that clouds treat alike: `169.254.169.254` and `169.254.170.2`
/// provide credentials.
pub(crate) fn is_link_local(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => v4.is_link_local(),
        IpAddr::V6(v6) => {
            v6.is_unicast_link_local() || is_of_aws(v6) || embedded(v6).is_some_and(|v4| v4.is_link_local())
        }
    }
}

/// Returns the IPv4 address to which a translator maps an IPv6 one: NAT64 (RFC 6052, `64:ff9b::/96`), 6to4 (RFC 3056,
/// `2002::/16`), and the old IPv4-compatible form (`::a.b.c.d`).
fn embedded(v6: Ipv6Addr) -> Option<Ipv4Addr> {
    let of = |high: u16, low: u16| Ipv4Addr::from((u32::from(high) << 16) | u32::from(low));
    match v6.segments() {
        [0x64, 0xff9b, 0, 0, 0, 0, high, low] | [0, 0, 0, 0, 0, 0, high, low] => Some(of(high, low)),
        [0x2002, high, low, ..] => Some(of(high, low)),
        _ => None,
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

    const METADATA: [&str; 10] = [
        "64:ff9b::a9fe:a9fe",
        "::a9fe:a9fe",
        "2002:a9fe:a9fe::1",
        "169.254.169.254",
        "169.254.170.2",
        "169.254.0.1",
        "::ffff:169.254.169.254",
        "fe80::1",
        "fd00:ec2::254",
        "fd00:ec2::23",
    ];

    fn reach(scheme: Scheme, link_local: bool) -> Reach {
        Reach { scheme, link_local, runtime_api: None }
    }

    /// Returns the restrictions of a function whose Runtime API is at port 9001 of a host with these addresses.
    fn beside(host: &str, addresses: &[&str]) -> Reach {
        let addresses = addresses.iter().map(|address| address.parse().unwrap()).collect();
        let runtime_api = RuntimeApi { host: host.to_owned(), port: 9001, addresses };
        Reach { scheme: Scheme::Http, link_local: true, runtime_api: Some(Arc::new(runtime_api)) }
    }

    #[track_caller]
    fn is(reach: &Reach, host: &str, port: u16, expected: Option<Prohibited>) {
        assert_eq!(reach.check(host.parse().unwrap(), port).err(), expected, "{host} {port} {reach:?}");
        assert_eq!(reach.check_host(host, port).err(), expected, "{host} {port} {reach:?}");
    }

    #[test]
    fn prohibited_addresses() {
        for scheme in [Scheme::Http, Scheme::Https] {
            for host in ["0.0.0.0", "::", "::ffff:0.0.0.0", "224.0.0.1", "255.255.255.255", "ff02::1"] {
                is(&reach(scheme, true), host, 443, Some(Prohibited::NoHost));
            }
            for host in METADATA {
                is(&reach(scheme, false), host, 80, Some(Prohibited::LinkLocal));
                is(&reach(scheme, true), host, 80, None);
            }
            for host in ["127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "100.64.1.1", "::1", "fd00::1"] {
                is(&reach(scheme, false), host, 80, None);
            }
        }
        is(&reach(Scheme::Https, false), "203.0.113.7", 80, None);
        is(&reach(Scheme::Http, true), "203.0.113.7", 80, Some(Prohibited::PlainText));
    }

    #[test]
    fn the_runtime_api_is_prohibited() {
        for local in [beside("127.0.0.1", &["127.0.0.1"]), beside("0.0.0.0", &["0.0.0.0"]), beside("::", &["::"])] {
            for host in ["127.0.0.1", "127.0.0.2", "::1", "::ffff:127.0.0.1"] {
                is(&local, host, 9001, Some(Prohibited::RuntimeApi));
                is(&local, host, 9002, None);
            }
            is(&local, "10.0.0.1", 9001, None);
        }
        let in_lambda = beside("169.254.100.1", &["169.254.100.1"]);
        is(&in_lambda, "169.254.100.1", 9001, Some(Prohibited::RuntimeApi));
        is(&beside("fd00::1", &["fd00::1"]), "fd00::1", 9001, Some(Prohibited::RuntimeApi));
        // A name stands for all its addresses, and is rejected where it is written.
        let named = beside("runtime.internal", &["10.0.0.1", "::ffff:10.0.0.2"]);
        for host in ["10.0.0.1", "10.0.0.2"] {
            is(&named, host, 9001, Some(Prohibited::RuntimeApi));
        }
        is(&named, "127.0.0.1", 9001, None);
        assert_eq!(named.check_host("RUNTIME.internal", 9001), Err(Prohibited::RuntimeApi));
        assert_eq!(named.check_host("runtime.internal", 80), Ok(()));
    }
}
