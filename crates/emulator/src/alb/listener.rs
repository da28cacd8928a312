//! A listener: accepts connections, greets clients with TLS where that is asked for, and hands the connection to HTTP/1
//! (`http1`) or HTTP/2 (`http2`). What becomes of a request is in `exchange`.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::exchange::Ends;
use super::http1::Connection;
use super::rule::Rules;
use super::{Balancer, http2, tls};
use crate::{ListenerAttributes, MutualAuthentication, Notice, random};

/// How an HTTP/2 connection begins (RFC 9113 section 3.4).
const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(crate) struct Listener {
    index: usize,
    port: Option<u16>,
    rules: Rules,
    attributes: ListenerAttributes,
    tls: Option<(TlsAcceptor, MutualAuthentication)>,
    balancer: Arc<Balancer>,
}

impl Listener {
    /// # Errors
    ///
    /// What is wrong with the certificate.
    pub(crate) fn new(index: usize, settings: crate::Listener, balancer: Arc<Balancer>) -> Result<Self, String> {
        let tls = match settings.tls {
            Some(tls) => {
                let config = tls::server_config(&tls, balancer.attributes.http2)?;
                Some((TlsAcceptor::from(Arc::new(config)), tls.mutual))
            }
            None => None,
        };
        let rules = Rules::new(settings.rules, settings.default_action);
        Ok(Self { index, port: settings.port, rules, attributes: settings.attributes, tls, balancer })
    }

    pub(super) fn index(&self) -> usize {
        self.index
    }

    /// The listener's port in AWS, if it is known.
    pub(super) fn port(&self) -> Option<u16> {
        self.port
    }

    pub(super) fn rules(&self) -> &Rules {
        &self.rules
    }

    pub(super) fn attributes(&self) -> &ListenerAttributes {
        &self.attributes
    }

    pub(super) fn balancer(&self) -> &Balancer {
        &self.balancer
    }

    /// Serves until all is to end, and its connections have their last answer; or until the future is dropped, which ends them at
    /// once.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener, mut closing: watch::Receiver<bool>) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                () = super::closed(&mut closing) => break,
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(Arc::clone(&self).connection(stream, peer, closing.clone()));
                }
                // Out of file descriptors, for instance: others will be freed.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
        // From here on nobody can connect.
        drop(listener);
        while connections.join_next().await.is_some() {}
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr, mut closing: watch::Receiver<bool>) {
        let Ok(local) = stream.local_addr() else { return };
        let _ = stream.set_nodelay(true);
        let idle = self.balancer.attributes.idle_timeout;
        let connection = random::number();
        let Some(acceptor) = self.tls.as_ref().map(|(acceptor, _)| acceptor.clone()) else {
            return self.plain(stream, Ends { peer, local, tls: None, connection }, closing).await;
        };
        let accepted = tokio::select! {
            accepted = timeout(idle, acceptor.accept(stream)) => accepted,
            () = super::closed(&mut closing) => return,
        };
        let problem = match accepted {
            Ok(Ok(stream)) => {
                return self.secure(stream, Ends { peer, local, tls: None, connection }, closing).await;
            }
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the client stopped in the middle of the handshake".to_owned(),
        };
        // Nothing was said in HTTP, so there is nobody to answer: in AWS only the connection log knows.
        let _ = self.balancer.notices.send(Notice::Handshake { client: peer, problem });
    }

    async fn secure(self: Arc<Self>, stream: TlsStream<TcpStream>, ends: Ends, closing: watch::Receiver<bool>) {
        let mutual = self.tls.as_ref().map_or(&MutualAuthentication::Off, |(_, mutual)| mutual);
        let idle = self.balancer.attributes.idle_timeout;
        let tls_fields = self.balancer.attributes.tls_fields;
        let session = tls::session(stream.get_ref().1, mutual, tls_fields, &self.attributes);
        let is_http2 = session.is_http2;
        let ends = Arc::new(Ends { tls: Some(session), ..ends });
        if is_http2 {
            http2::serve(self, stream, ends, closing).await;
        } else {
            Connection::new(stream, BytesMut::new(), idle, closing).serve(self, ends).await;
        }
    }

    /// Plain connections are HTTP/1 in AWS. Here HTTP/2 is taken as well, from clients that know that they can, as load
    /// generators do.
    async fn plain(self: Arc<Self>, mut stream: TcpStream, ends: Ends, mut closing: watch::Receiver<bool>) {
        let idle = self.balancer.attributes.idle_timeout;
        let ends = Arc::new(ends);
        let mut first = BytesMut::with_capacity(8 * 1024);
        while PREFACE.starts_with(&first) && first.len() < PREFACE.len() {
            let read = tokio::select! {
                read = timeout(idle, stream.read_buf(&mut first)) => read,
                () = super::closed(&mut closing) => return,
            };
            match read {
                Ok(Ok(1..)) => {}
                _ if first.is_empty() => return,
                _ => break,
            }
        }
        if self.balancer.attributes.http2 && first.starts_with(PREFACE) {
            http2::serve(self, Rewound { first: first.freeze(), stream }, ends, closing).await;
        } else {
            Connection::new(stream, first, idle, closing).serve(self, ends).await;
        }
    }
}

/// A stream of which something was read already.
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
