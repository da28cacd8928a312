//! Accepts a listener's connections, performs the TLS handshake, and hands each connection to HTTP/1 (`http1`) or
//! HTTP/2 (`http2`), or to another front end (`crate::front`).

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::server::TlsStream;

use super::connection_info::ConnectionInfo;
use super::listener::Listener;
use super::{http1, http2, tls};
use crate::generation::Generation;
use crate::{MutualAuthentication, Notice, closing, front, random};

/// The first bytes of an HTTP/2 connection (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// Accepts connections of the listener with this number in the current settings until the shutdown, and then serves those
/// that are open until they have sent their last response. Dropping the future ends them immediately.
pub(crate) async fn accept(
    socket: TcpListener,
    index: usize,
    current: watch::Receiver<Arc<Generation>>,
    mut shutdown: watch::Receiver<bool>,
) {
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            () = closing::closed(&mut shutdown) => break,
            accepted = socket.accept() => accepted,
            Some(_) = connections.join_next() => continue,
        };
        match accepted {
            Ok((stream, peer)) => {
                let listener = current.borrow().listener(index);
                // Without one, the connection is closed: the current settings have fewer listeners.
                if let Some((listener, closing)) = listener {
                    connections.spawn(listener.serve_connection(stream, peer, closing));
                }
            }
            // Out of file descriptors, for instance: others will be freed.
            Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
        }
    }
    // From here on no client can connect.
    drop(socket);
    while connections.join_next().await.is_some() {}
}

impl Listener {
    async fn serve_connection(
        self: Arc<Self>,
        stream: TcpStream,
        peer: SocketAddr,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let Ok(local) = stream.local_addr() else { return };
        // A socket on `::` shows clients of IPv4 as `::ffff:192.0.2.7`.
        let [peer, local] = [peer, local].map(|address| SocketAddr::new(address.ip().to_canonical(), address.port()));
        let _ = stream.set_nodelay(true);
        let idle = self.balancer().attributes.idle_timeout;
        let id = random::number();
        let Some(acceptor) = self.tls().map(|(acceptor, _)| acceptor.clone()) else {
            return self.plain(stream, ConnectionInfo { peer, local, tls: None, id }, shutdown).await;
        };
        let accepted = tokio::select! {
            accepted = timeout(idle, acceptor.accept(stream)) => accepted,
            () = closing::closed(&mut shutdown) => return,
        };
        let problem = match accepted {
            Ok(Ok(stream)) => {
                return self.secure(stream, ConnectionInfo { peer, local, tls: None, id }, shutdown).await;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the client stopped sending in the middle of the handshake".to_owned(),
        };
        // Without HTTP there is no response: in AWS only the connection log has this.
        let _ = self.balancer().notices.send(Notice::Handshake { client: peer, problem });
    }

    async fn secure(
        self: Arc<Self>,
        stream: TlsStream<TcpStream>,
        connection: ConnectionInfo,
        shutdown: watch::Receiver<bool>,
    ) {
        let mutual = self.tls().map_or(&MutualAuthentication::Off, |(_, mutual)| mutual);
        let balancer = &self.balancer().attributes;
        let session = tls::session(stream.get_ref().1, mutual, balancer, self.attributes());
        let is_http2 = session.is_http2;
        let connection = Arc::new(ConnectionInfo { tls: Some(session), ..connection });
        if let Some(endpoint) = self.endpoint().cloned() {
            front::serve(self, endpoint, stream, BytesMut::new(), connection, shutdown).await;
        } else if is_http2 {
            http2::serve(self, stream, connection, shutdown).await;
        } else {
            http1::serve(self, stream, BytesMut::new(), connection, shutdown).await;
        }
    }

    /// Serves HTTP/1, as in AWS, and also HTTP/2 to clients that begin with its preface, as load generators do.
    async fn plain(
        self: Arc<Self>,
        mut stream: TcpStream,
        connection: ConnectionInfo,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let idle = self.balancer().attributes.idle_timeout;
        let connection = Arc::new(connection);
        let mut first = BytesMut::with_capacity(8 * 1024);
        if let Some(endpoint) = self.endpoint().cloned() {
            return front::serve(self, endpoint, stream, first, connection, shutdown).await;
        }
        while PREFACE.starts_with(&first) && first.len() < PREFACE.len() {
            let read = tokio::select! {
                read = timeout(idle, stream.read_buf(&mut first)) => read,
                () = closing::closed(&mut shutdown) => return,
            };
            match read {
                Ok(Ok(1..)) => {}
                _ if first.is_empty() => return,
                _ => break,
            }
        }
        if self.balancer().attributes.http2 && first.starts_with(PREFACE) {
            http2::serve(self, Rewound { first: first.freeze(), stream }, connection, shutdown).await;
        } else {
            http1::serve(self, stream, first, connection, shutdown).await;
        }
    }
}

/// A stream whose first bytes were read already.
struct Rewound {
    first: Bytes,
    stream: TcpStream,
}

impl AsyncRead for Rewound {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        if self.first.is_empty() {
            return std::pin::Pin::new(&mut self.stream).poll_read(context, buffer);
        }
        let length = self.first.len().min(buffer.remaining());
        buffer.put_slice(&self.first.split_to(length));
        std::task::Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Rewound {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> std::task::Poll<std::io::Result<usize>> {
        std::pin::Pin::new(&mut self.stream).poll_write(context, bytes)
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.stream).poll_shutdown(context)
    }
}
