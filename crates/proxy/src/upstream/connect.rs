//! From a back end's name to a connection that speaks HTTP: look-up, TCP, TLS, HTTP version. Each step has its errors.

use std::io;
use std::net::{IpAddr, SocketAddr};

use crossfade_route::{Backend, Http2, PemFile, Reach, Scheme};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;
use tokio::time::{Instant, timeout, timeout_at};
use tokio_rustls::TlsConnector;

use super::stream::{self, Stream};
use super::tls::{SetupError, Tls};
use super::{Connection, Sender};
use crate::ProxyError;

/// Fields of an answer over HTTP/2, bytes as RFC 9113 section 6.5.2 counts them. More than any front end carries, so that
/// it is the front end's limit that answers; HTTP/1.1 answers may have 100 field lines.
const MAX_FIELDS: u32 = 256 * 1024;

#[derive(Clone, Debug)]
pub(super) struct Connector {
    /// Names or addresses with their ports, never empty; the first that can be connected to is taken.
    destinations: Vec<(String, u16)>,
    reach: Reach,
    http2: Http2,
    /// Present for `https`.
    tls: Option<Tls>,
}

impl Connector {
    pub(super) fn new(backend: &Backend, cert_file: Option<&PemFile>) -> Result<Self, SetupError> {
        let tls = match backend.scheme {
            Scheme::Https => Some(Tls::new(backend, cert_file)?),
            Scheme::Http => None,
        };
        let destinations = match backend.addresses.as_slice() {
            [] => vec![(backend.host.clone(), backend.port)],
            addresses => addresses.to_vec(),
        };
        Ok(Connector { destinations, reach: backend.reach.clone(), http2: backend.http2, tls })
    }

    /// Opens a connection, or fails at the deadline. Each destination gets its share of the time.
    pub(super) async fn connect(&self, deadline: Instant) -> Result<Connection, ProxyError> {
        let mut failure = None;
        for (left, (host, port)) in (1..=self.destinations.len() as u32).rev().zip(&self.destinations) {
            let now = Instant::now();
            let share = deadline.saturating_duration_since(now) / left;
            match self.connect_to(host, *port, now + share).await {
                Ok(connection) => return Ok(connection),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| ProxyError::Internal("no destination to try".to_owned())))
    }

    async fn connect_to(&self, host: &str, port: u16, deadline: Instant) -> Result<Connection, ProxyError> {
        let addresses = timeout_at(deadline, look_up(host, port))
            .await
            .map_err(|_| ProxyError::DnsTimeout(host.to_owned()))?
            .map_err(|source| ProxyError::Dns { host: host.to_owned(), source })?;
        timeout_at(deadline, async {
            let tcp = self.open(host, &addresses, deadline).await?;
            let (stream, offers_http2) = self.secure(tcp).await?;
            self.speak(stream, offers_http2).await
        })
        .await
        .map_err(|_| ProxyError::ConnectTimeout(format!("{host}:{port}")))?
    }

    /// The first address that answers. Addresses that no back end may have are passed over. Each gets its share of the
    /// time, so that one that swallows packets leaves some for the next.
    async fn open(&self, host: &str, addresses: &[SocketAddr], deadline: Instant) -> Result<TcpStream, ProxyError> {
        let mut failure = None;
        for (addresses_left, address) in (1..=addresses.len() as u32).rev().zip(addresses) {
            if let Err(reason) = self.reach.check(address.ip(), address.port()) {
                failure = Some(ProxyError::AddressProhibited { host: host.to_owned(), ip: address.ip(), reason });
                continue;
            }
            let share = deadline.saturating_duration_since(Instant::now()) / addresses_left;
            let Ok(connected) = timeout(share, TcpStream::connect(address)).await else {
                failure = Some(ProxyError::ConnectTimeout(address.to_string()));
                continue;
            };
            match connected {
                Ok(tcp) => {
                    // Nagle's algorithm would hold a request back until the last answer is acknowledged.
                    let _ = tcp.set_nodelay(true);
                    return Ok(tcp);
                }
                Err(source) if source.kind() == io::ErrorKind::ConnectionRefused => {
                    failure = Some(ProxyError::ConnectionRefused(address.to_string()));
                }
                Err(source) if source.kind() == io::ErrorKind::ConnectionReset => {
                    failure = Some(ProxyError::BrokenEarly(source));
                }
                Err(source) => failure = Some(ProxyError::Unroutable { address: address.to_string(), source }),
            }
        }
        Err(failure.unwrap_or_else(|| ProxyError::Internal("no address to try".to_owned())))
    }

    async fn secure(&self, tcp: TcpStream) -> Result<(Stream, bool), ProxyError> {
        let Some(tls) = &self.tls else {
            return Ok((Stream::plain(tcp), self.http2 == Http2::Always));
        };
        let connector = TlsConnector::from(tls.config.clone());
        let stream = connector.connect(tls.server_name.clone(), stream::buffered(tcp)).await.map_err(tls_error)?;
        let offers_http2 = stream.get_ref().1.alpn_protocol() == Some(b"h2");
        Ok((Stream::tls(stream), offers_http2))
    }

    async fn speak(&self, stream: Stream, offers_http2: bool) -> Result<Connection, ProxyError> {
        if self.http2 == Http2::Always && !offers_http2 {
            return Err(ProxyError::Http2NotOffered);
        }
        let traffic = stream.traffic();
        let io = TokioIo::new(stream);
        // The tasks end with their connection; its errors reach the request that is on it.
        let sender = if offers_http2 {
            let mut http2 = http2::Builder::new(TokioExecutor::new());
            // The 16 KiB of the library would stop answers that the front end can carry.
            http2.max_header_list_size(MAX_FIELDS);
            let (sender, connection) = http2.handshake(io).await.map_err(ProxyError::Handshake)?;
            tokio::spawn(async move {
                let _ = connection.await;
            });
            Sender::Http2(sender)
        } else {
            let (sender, connection) = http1::handshake(io).await.map_err(ProxyError::Handshake)?;
            tokio::spawn(async move {
                let _ = connection.await;
            });
            Sender::Http1(sender)
        };
        Ok(Connection { sender, traffic })
    }
}

async fn look_up(host: &str, port: u16) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let addresses: Vec<_> = tokio::net::lookup_host((host, port)).await?.collect();
    if addresses.is_empty() { Err(io::Error::other("the name has no address")) } else { Ok(addresses) }
}

fn tls_error(error: io::Error) -> ProxyError {
    match error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>()) {
        Some(error @ rustls::Error::InvalidCertificate(_)) => ProxyError::TlsCertificate(error.clone()),
        Some(error @ rustls::Error::AlertReceived(_)) => ProxyError::TlsAlert(error.clone()),
        Some(_) => ProxyError::Tls(error),
        None => ProxyError::BrokenEarly(error),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use crossfade_route::{Prohibited, RoutingTable, RuntimeApi, Surroundings};

    use super::*;

    /// An environment whose Runtime API is here.
    struct InLambda;

    impl Surroundings for InLambda {
        fn variable(&self, _: &str) -> Option<String> {
            None
        }

        fn file(&self, _: &std::path::Path) -> Result<Vec<u8>, String> {
            Err("none".to_owned())
        }

        fn runtime_api(&self) -> Option<Arc<RuntimeApi>> {
            let addresses = vec![std::net::Ipv4Addr::LOCALHOST.into()];
            Some(Arc::new(RuntimeApi { host: "127.0.0.1".to_owned(), port: 9001, addresses }))
        }
    }

    #[tokio::test] // T26: a name that resolves to something else than when it was looked at
    async fn addresses_are_checked_when_a_connection_is_made() {
        let table = RoutingTable::from_backend_url("https://shop.example.com", "test", &InLambda).unwrap();
        let connector = Connector::new(&table.backends()[0], None).unwrap();
        for (address, expected) in [
            ("169.254.169.254:443", Prohibited::LinkLocal),
            ("169.254.170.2:80", Prohibited::LinkLocal),
            ("[fd00:ec2::254]:443", Prohibited::LinkLocal),
            ("[::ffff:169.254.169.254]:443", Prohibited::LinkLocal),
            ("[fe80::1]:443", Prohibited::LinkLocal),
            ("127.0.0.1:9001", Prohibited::RuntimeApi),
            ("[::1]:9001", Prohibited::RuntimeApi),
            ("0.0.0.0:443", Prohibited::NoHost),
        ] {
            let deadline = Instant::now() + std::time::Duration::from_secs(5);
            match connector.open("shop.example.com", &[address.parse().unwrap()], deadline).await {
                Err(ProxyError::AddressProhibited { reason, .. }) => assert_eq!(reason, expected, "{address}"),
                other => panic!("{address}: {other:?}"),
            }
        }
    }
}
