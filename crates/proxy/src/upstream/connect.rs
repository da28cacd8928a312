//! From a back end's name to a connection that speaks HTTP: look-up, TCP, TLS, HTTP version. Each step has its errors.

use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use crossfade_route::{Backend, Http2};
use hyper::client::conn::{http1, http2};
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::ClientConnection;
use tokio::net::TcpStream;
use tokio_rustls::TlsConnector;

use super::stream::{self, Socket, Stream};
use super::tls::Tls;
use super::{Connection, Sender, THREAD};
use crate::ProxyError;
use crate::time::Allowance;

/// Fields of an answer over HTTP/2, bytes as RFC 9113 section 6.5.2 counts them. More than any front end carries, so that
/// it is the front end's limit that answers; HTTP/1.1 answers may have 100 field lines.
const MAX_FIELDS: u32 = 256 * 1024;

#[derive(Clone, Debug)]
pub(super) struct Connector {
    backend: Arc<Backend>,
    /// Of `addresses`, else of the URL; never empty.
    destinations: Arc<[(String, u16)]>,
    /// Present for `https`.
    tls: Option<Tls>,
}

/// A connection on which HTTP has not begun. `stream` has what TLS agreed on.
#[derive(Debug)]
pub(crate) struct Opened {
    stream: Stream,
    /// The address and port that was reached.
    pub(crate) address: SocketAddr,
}

impl Opened {
    /// The TLS session, if there is one.
    pub(crate) fn session(&self) -> Option<&ClientConnection> {
        self.stream.session()
    }
}

impl Connector {
    pub(super) fn new(backend: Arc<Backend>, tls: Option<Tls>) -> Self {
        let destinations = match backend.addresses.as_slice() {
            [] => Arc::from([(backend.host.clone(), backend.port)]),
            addresses => Arc::from(addresses),
        };
        Connector { backend, destinations, tls }
    }

    pub(super) fn destinations(&self) -> &[(String, u16)] {
        &self.destinations
    }

    /// A connection that speaks HTTP, to the first destination where there is one. Each destination gets its share of the
    /// time.
    pub(super) async fn connect(&self, time: &mut Allowance) -> Result<Connection, ProxyError> {
        let mut failure = None;
        for (left, (host, port)) in (1..=self.destinations.len() as u32).rev().zip(&*self.destinations) {
            let mut share = time.share(left);
            let connected = self.connect_to(host, *port, &mut share).await;
            time.take_back(share);
            match connected {
                Ok(connection) => return Ok(connection),
                Err(error) => failure = Some(error),
            }
        }
        Err(failure.unwrap_or_else(|| ProxyError::Internal("no destination to try".to_owned())))
    }

    async fn connect_to(&self, host: &str, port: u16, time: &mut Allowance) -> Result<Connection, ProxyError> {
        let opened = self.open(host, port, time).await?;
        let address = opened.address;
        let spoken = time.step(self.speak(opened)).await;
        spoken.unwrap_or_else(|| Err(ProxyError::ConnectTimeout(address.to_string(), time.limit())))
    }

    /// Look-up, TCP and TLS.
    pub(super) async fn open(&self, host: &str, port: u16, time: &mut Allowance) -> Result<Opened, ProxyError> {
        let looked_up = time.step(look_up(host, port)).await;
        let addresses = looked_up
            .ok_or_else(|| ProxyError::DnsTimeout(host.to_owned(), time.limit()))?
            .map_err(|source| ProxyError::Dns { host: host.to_owned(), source })?;
        let (tcp, address) = self.open_tcp(host, &addresses, time).await?;
        let secured = time.step(self.secure(tcp)).await;
        let stream = secured.ok_or_else(|| ProxyError::ConnectTimeout(address.to_string(), time.limit()))??;
        Ok(Opened { stream, address })
    }

    /// The first address that answers. Addresses that no back end may have are passed over. Each gets its share of the
    /// time, so that one that swallows packets leaves some for the next.
    async fn open_tcp(
        &self,
        host: &str,
        addresses: &[SocketAddr],
        time: &mut Allowance,
    ) -> Result<(TcpStream, SocketAddr), ProxyError> {
        let mut failure = None;
        for (addresses_left, address) in (1..=addresses.len() as u32).rev().zip(addresses) {
            if let Err(reason) = self.backend.reach.check(address.ip(), address.port()) {
                failure = Some(ProxyError::AddressProhibited { host: host.to_owned(), ip: address.ip(), reason });
                continue;
            }
            let mut share = time.share(addresses_left);
            let connected = share.step(TcpStream::connect(address)).await;
            time.take_back(share);
            match connected {
                None => failure = Some(ProxyError::ConnectTimeout(address.to_string(), time.limit())),
                Some(Ok(tcp)) => {
                    // Nagle's algorithm would hold a request back until the last answer is acknowledged.
                    let _ = tcp.set_nodelay(true);
                    return Ok((tcp, *address));
                }
                Some(Err(source)) if source.kind() == io::ErrorKind::ConnectionRefused => {
                    failure = Some(ProxyError::ConnectionRefused(address.to_string()));
                }
                Some(Err(source)) if source.kind() == io::ErrorKind::ConnectionReset => {
                    failure = Some(ProxyError::BrokenEarly(source));
                }
                Some(Err(source)) => failure = Some(ProxyError::Unroutable { address: address.to_string(), source }),
            }
        }
        Err(failure.unwrap_or_else(|| ProxyError::Internal("no address to try".to_owned())))
    }

    async fn secure(&self, tcp: TcpStream) -> Result<Stream, ProxyError> {
        let socket = Socket::new(tcp);
        let Some(tls) = &self.tls else { return Ok(Stream::plain(socket)) };
        let connector = TlsConnector::from(tls.config.clone());
        let tls = connector.connect(tls.server_name.clone(), stream::buffered(socket)).await.map_err(tls_error)?;
        Ok(Stream::tls(tls, self.backend.tls.allow_missing_close_notify))
    }

    /// Begins HTTP on a connection, in the version that TLS agreed on.
    pub(super) async fn speak(&self, Opened { stream, .. }: Opened) -> Result<Connection, ProxyError> {
        let is_http2 = match stream.session() {
            Some(session) => session.alpn_protocol() == Some(b"h2"),
            None => self.backend.http2 == Http2::Always,
        };
        if self.backend.http2 == Http2::Always && !is_http2 {
            return Err(ProxyError::Http2NotOffered);
        }
        let traffic = stream.traffic();
        let io = TokioIo::new(stream);
        // The tasks end with their connection; its errors reach the request that is on it.
        let sender = if is_http2 {
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
        Ok(Connection { sender, traffic, thread: THREAD.get() })
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
    use tokio::time::Instant;

    use super::*;
    use crate::time::TimeLimit;

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

    #[tokio::test] // a name may resolve to another address than at the check (DNS rebinding)
    async fn addresses_are_checked_when_a_connection_is_made() {
        let table = RoutingTable::from_backend_url("https://shop.example.com", "test", &InLambda).unwrap();
        let connector = Connector::new(table.backends()[0].clone(), None);
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
            let end = Instant::now() + std::time::Duration::from_secs(5);
            let mut time = Allowance::new(end, TimeLimit::Own, end);
            match connector.open_tcp("shop.example.com", &[address.parse().unwrap()], &mut time).await {
                Err(ProxyError::AddressProhibited { reason, .. }) => assert_eq!(reason, expected, "{address}"),
                other => panic!("{address}: {other:?}"),
            }
        }
    }
}
