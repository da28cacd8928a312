//! The addresses of the local load balancer: `--host`, and how this machine and others reach them.
//!
//! Owns which addresses they are and the messages about them. The emulator binds them.

use std::io::ErrorKind;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs, UdpSocket};

use anyhow::{Result, anyhow, bail, ensure};
use crossfade_emulator::StartError;

use crate::certificate::LOCAL_NAMES;

/// The name by which containers reach the machine that they run on.
const HOST_OF_CONTAINERS: &str = "host.docker.internal";

/// Addresses to listen on, IPv4 first. The first one is required; a machine may lack the others.
pub(super) struct Host {
    pub(super) first: IpAddr,
    pub(super) also: Vec<IpAddr>,
    /// As it was written, without brackets.
    written: Option<String>,
}

impl Host {
    /// # Errors
    /// If `written` is neither an address nor a name that resolves to some.
    pub(super) fn of(written: Option<&str>) -> Result<Host> {
        let Some(text) = written else {
            return Ok(Host {
                first: Ipv4Addr::LOCALHOST.into(),
                also: vec![Ipv6Addr::LOCALHOST.into()],
                written: None,
            });
        };
        let bare = text.strip_prefix('[').and_then(|text| text.strip_suffix(']')).unwrap_or(text);
        let hint = "hint: write an address of this machine, such as `0.0.0.0` for all of IPv4, or one of its names";
        ensure!(
            !bare.is_empty() && text.parse::<SocketAddr>().is_err() && !text.contains('/'),
            "`--host {text}` is neither an address nor a name\n  {hint}; `--port` sets the port"
        );
        let mut found: Vec<IpAddr> = match bare.parse() {
            Ok(ip) => vec![ip],
            Err(_) => (bare, 0)
                .to_socket_addrs()
                .map_err(|error| anyhow!("`--host`: cannot resolve `{bare}`: {error}\n  {hint}"))?
                .map(|address| address.ip())
                .collect(),
        };
        found.sort_unstable();
        found.dedup();
        let mut found = found.into_iter();
        let Some(first) = found.next() else { bail!("`--host`: `{bare}` has no address\n  {hint}") };
        Ok(Host { first, also: found.collect(), written: Some(bare.to_owned()) })
    }

    /// A warning if other machines can send requests.
    pub(super) fn warning(&self) -> Option<String> {
        let written = self.written.as_deref().filter(|_| !self.is_local())?;
        Some(format!(
            "warning: with `--host {written}`, everybody who can reach this machine can call your functions\n  \
             hint: the inspector stays on 127.0.0.1; without `--host` the load balancer does as well"
        ))
    }

    /// The names for a certificate.
    pub(super) fn names(&self) -> Vec<String> {
        let mut names = LOCAL_NAMES.map(String::from).to_vec();
        if !self.is_local() {
            names.push(HOST_OF_CONTAINERS.to_owned());
        }
        let ips = [self.first].into_iter().chain(self.also.iter().copied());
        names.extend(
            ips.flat_map(|ip| [ip].into_iter().chain(on_network(ip)))
                .filter(|ip| !ip.is_unspecified())
                .map(|ip| ip.to_string()),
        );
        names.extend(self.written.clone().filter(|written| written.parse::<IpAddr>().is_err()));
        names.sort_unstable();
        names.dedup();
        names
    }

    /// True if only this machine can send requests.
    pub(super) fn is_local(&self) -> bool {
        [self.first].iter().chain(&self.also).all(IpAddr::is_loopback)
    }
}

/// The address at which this machine reaches a listener.
pub(super) fn from_here(address: SocketAddr) -> SocketAddr {
    match address.ip().is_unspecified() {
        // `::` is IPv4 as well.
        true => SocketAddr::new(Ipv4Addr::LOCALHOST.into(), address.port()),
        false => address,
    }
}

/// The addresses at which other machines reach a listener on all addresses, as far as they are known.
pub(super) fn on_network(listens: IpAddr) -> Vec<IpAddr> {
    if !listens.is_unspecified() {
        return Vec::new();
    }
    // Nothing is sent: this only asks which address a packet to a network elsewhere (for documentation) would come from.
    let source = |any: IpAddr, elsewhere: &str| {
        let socket = UdpSocket::bind((any, 0)).ok()?;
        socket.connect((elsewhere, 9)).ok()?;
        Some(socket.local_addr().ok()?.ip()).filter(|ip| !ip.is_loopback() && !ip.is_unspecified())
    };
    let v4 = source(Ipv4Addr::UNSPECIFIED.into(), "192.0.2.1");
    let v6 = source(Ipv6Addr::UNSPECIFIED.into(), "2001:db8::1").filter(|_| listens.is_ipv6());
    v4.into_iter().chain(v6).collect()
}

/// The messages about addresses that could not be used; a machine without IPv6 is mentioned once.
pub(super) fn unavailable(problems: &[StartError]) -> Vec<String> {
    let mut messages = Vec::new();
    for problem in problems {
        let message = match problem {
            StartError::Listen { address, error } if address.is_ipv6() && error.kind() != ErrorKind::AddrInUse => {
                "the local ALB is served over IPv4 only: this machine has no IPv6".to_owned()
            }
            StartError::Listen { address, .. } if address.ip().is_loopback() => {
                format!("warning: {problem}\n  hint: until then, `localhost` may lead to that program")
            }
            problem => format!("warning: {problem}"),
        };
        if !messages.contains(&message) {
            messages.push(message);
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(written: &str) -> Result<(String, usize, bool)> {
        let host = Host::of(Some(written))?;
        Ok((host.first.to_string(), host.also.len(), host.warning().is_some()))
    }

    #[test]
    fn addresses_and_names() {
        let usual = Host::of(None).unwrap();
        assert_eq!((usual.first.to_string(), usual.also), ("127.0.0.1".to_owned(), vec![Ipv6Addr::LOCALHOST.into()]));
        for (written, first, warned) in [
            ("0.0.0.0", "0.0.0.0", true),
            ("::", "::", true),
            ("[::]", "::", true),
            ("[::1]", "::1", false),
            ("127.0.0.2", "127.0.0.2", false),
            ("192.0.2.7", "192.0.2.7", true),
        ] {
            assert_eq!(host(written).unwrap(), (first.to_owned(), 0, warned), "{written}");
        }
        let (first, _, warned) = host("localhost").unwrap();
        assert!(["127.0.0.1", "::1"].contains(&first.as_str()) && !warned, "{first}");
        for wrong in ["", "[]", "0.0.0.0:80", "[::]:80", "http://0.0.0.0", "10.0.0.0/8", "no such name.invalid"] {
            let told = format!("{:#}", host(wrong).unwrap_err());
            assert!(told.starts_with("`--host") && told.contains("hint: write an address"), "{wrong}: {told}");
        }
    }

    #[test]
    fn certificates_are_valid_for_each_name_once() {
        let names = |written| Host::of(written).unwrap().names();
        assert_eq!(names(None), ["127.0.0.1", "::1", "localhost"]);
        assert_eq!(names(Some("127.0.0.1")), ["127.0.0.1", "::1", "localhost"]);
        assert_eq!(names(Some("192.0.2.7")), ["127.0.0.1", "192.0.2.7", "::1", "host.docker.internal", "localhost"]);
        assert!(!names(Some("0.0.0.0")).contains(&"0.0.0.0".to_owned()));
    }

    #[test]
    fn what_cannot_be_used_is_told_once() {
        let problem = |address: &str, kind: ErrorKind| StartError::Listen {
            address: address.parse().unwrap(),
            error: kind.into(),
        };
        let missing = || problem("[::1]:80", ErrorKind::AddrNotAvailable);
        assert_eq!(unavailable(&[missing(), missing()]).len(), 1);
        let taken = unavailable(&[problem("[::1]:80", ErrorKind::AddrInUse)]);
        assert!(
            taken[0].contains("[::1]:80") && taken[0].contains("`localhost` may lead to that program"),
            "{taken:?}"
        );
    }
}
