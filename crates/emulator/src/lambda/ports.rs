//! Free ports of one environment, for `{port}` and `{port:NAME}` in commands and variables. Owns the form of the
//! placeholder and that no two environments of this process get the same port.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::random;

/// Where ports are chosen: below the ranges from which systems take the ports of outgoing connections (32768 on Linux,
/// 49152 elsewhere), so that none is taken between its choice and its use.
const FIRST: u16 = 20_000;
const COUNT: u16 = 12_000;

/// The ports of all environments.
static TAKEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());

fn taken() -> MutexGuard<'static, BTreeSet<u16>> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// The ports that an environment has been given so far, by name. They are free again when this is dropped.
#[derive(Default)]
pub(super) struct Ports(BTreeMap<String, u16>);

impl Ports {
    /// Replaces `{port}` and `{port:NAME}` by a free port: the same one for the same name. `{{port}}` becomes `{port}`;
    /// all other braces stay, also those of a shell's `${port}`.
    ///
    /// # Errors
    ///
    /// If no port is free.
    pub(super) fn fill(&mut self, template: &str) -> io::Result<String> {
        let mut filled = String::with_capacity(template.len());
        let mut rest = template;
        while let Some((before, from)) = rest.split_once("{port") {
            filled.push_str(before);
            let end = from.split_once('}').filter(|(name, _)| is_name(name));
            let Some((name, behind)) = end else {
                filled.push_str("{port");
                rest = from;
                continue;
            };
            rest = behind;
            if before.ends_with('$') {
                filled.push_str(&format!("{{port{name}}}"));
            } else if let (true, Some(behind)) = (before.ends_with('{'), behind.strip_prefix('}')) {
                // The first of the doubled braces stands already.
                filled.push_str(&format!("port{name}}}"));
                rest = behind;
            } else {
                filled.push_str(&self.port(name)?.to_string());
            }
        }
        Ok(filled + rest)
    }

    fn port(&mut self, name: &str) -> io::Result<u16> {
        if let Some(port) = self.0.get(name) {
            return Ok(*port);
        }
        let port = choose()?;
        self.0.insert(name.to_owned(), port);
        Ok(port)
    }
}

impl Drop for Ports {
    fn drop(&mut self) {
        let mut taken = taken();
        self.0.values().for_each(|port| _ = taken.remove(port));
    }
}

/// What may stand between `{port` and `}`: nothing, or `:NAME`.
fn is_name(text: &str) -> bool {
    let is_word =
        |name: &str| !name.is_empty() && name.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-'));
    text.is_empty() || text.strip_prefix(':').is_some_and(is_word)
}

fn choose() -> io::Result<u16> {
    let mut taken = taken();
    let start = random::number();
    let candidates = (0..COUNT).map(|step| {
        let offset = start.wrapping_add(step.into()).checked_rem(COUNT.into()).unwrap_or_default();
        FIRST.saturating_add(u16::try_from(offset).unwrap_or_default())
    });
    let mut free = candidates.filter(|port| !taken.contains(port) && is_free(*port));
    let port = free.next().ok_or_else(|| io::Error::new(io::ErrorKind::AddrInUse, "no port is free for `{port}`"))?;
    drop(free);
    taken.insert(port);
    Ok(port)
}

/// Returns true if a server can listen on a port, over IPv4 and, where there is any, over IPv6.
fn is_free(port: u16) -> bool {
    let in_use =
        |address: SocketAddr| TcpListener::bind(address).is_err_and(|error| error.kind() == io::ErrorKind::AddrInUse);
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).is_ok() && !in_use((Ipv6Addr::LOCALHOST, port).into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_filled_and_other_braces_stay() {
        let mut ports = Ports::default();
        let port = ports.fill("{port}").unwrap();
        let admin = ports.fill("{port:admin}").unwrap();
        assert!(port != admin && is_free(port.parse().unwrap()), "{port} {admin}");
        for (template, filled) in [
            ("http://127.0.0.1:{port}/{port:admin}", format!("http://127.0.0.1:{port}/{admin}")),
            ("{port}{port}", format!("{port}{port}")),
            (r#"{"a":{port}}"#, format!(r#"{{"a":{port}}}"#)),
            ("{{port}} {{port:admin}} {{port}", format!("{{port}} {{port:admin}} {{{port}")),
            ("{{port}}}", "{port}}".to_owned()),
            ("${port} ${port:admin} ${port:-80}", "${port} ${port:admin} ${port:-80}".to_owned()),
            (
                "{} {ports} {port:} {port:a b} {port {PORT} {{}} {port",
                "{} {ports} {port:} {port:a b} {port {PORT} {{}} {port".to_owned(),
            ),
            ("", String::new()),
        ] {
            assert_eq!(ports.fill(template).unwrap(), filled, "{template}");
        }
    }

    #[test]
    fn environments_have_different_ports_until_they_end() {
        let mut environments: Vec<Ports> = (0..50).map(|_| Ports::default()).collect();
        let ports: BTreeSet<String> = environments.iter_mut().map(|ports| ports.fill("{port}").unwrap()).collect();
        assert_eq!(ports.len(), 50);
        let first: u16 = ports.first().unwrap().parse().unwrap();
        assert!(taken().contains(&first));
        drop(environments);
        assert!(!taken().contains(&first));
    }
}
