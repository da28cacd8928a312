//! A listener: accepts connections, greets clients with TLS where that is asked for, and hands the connection to HTTP/1
//! (`http1`) or HTTP/2. What becomes of a request is in `exchange`.

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;
use tokio::time::timeout;
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::exchange::{Decision, Ends, length_of};
use super::head::Head;
use super::http1::Connection;
use super::rule::Rules;
use super::{Balancer, limits, tls};
use crate::{ListenerAttributes, MutualAuthentication, Notice, random};

/// HTTP/2 streams at a time on one connection ("Listeners for your Application Load Balancers").
const MOST_STREAMS: u32 = 128;
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

    /// Serves until the future is dropped, which also ends all connections.
    pub(crate) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                Some(_) = connections.join_next() => continue,
            };
            match accepted {
                Ok((stream, peer)) => {
                    connections.spawn(Arc::clone(&self).connection(stream, peer));
                }
                // Out of file descriptors, for instance: others will be freed.
                Err(_) => tokio::time::sleep(Duration::from_millis(20)).await,
            }
        }
    }

    async fn connection(self: Arc<Self>, stream: TcpStream, peer: SocketAddr) {
        let Ok(local) = stream.local_addr() else { return };
        let _ = stream.set_nodelay(true);
        let idle = self.balancer.attributes.idle_timeout;
        let connection = random::number();
        let Some(acceptor) = self.tls.as_ref().map(|(acceptor, _)| acceptor.clone()) else {
            return self.plain(stream, Ends { peer, local, tls: None, connection }).await;
        };
        let problem = match timeout(idle, acceptor.accept(stream)).await {
            Ok(Ok(stream)) => return self.secure(stream, Ends { peer, local, tls: None, connection }).await,
            Ok(Err(error)) => error.to_string(),
            Err(_) => "the client stopped in the middle of the handshake".to_owned(),
        };
        // Nothing was said in HTTP, so there is nobody to answer: in AWS only the connection log knows.
        let _ = self.balancer.notices.send(Notice::Handshake { client: peer, problem });
    }

    async fn secure(self: Arc<Self>, stream: TlsStream<TcpStream>, ends: Ends) {
        let mutual = self.tls.as_ref().map_or(&MutualAuthentication::Off, |(_, mutual)| mutual);
        let idle = self.balancer.attributes.idle_timeout;
        let tls_fields = self.balancer.attributes.tls_fields;
        let session = tls::session(stream.get_ref().1, mutual, tls_fields, &self.attributes);
        let is_http2 = session.is_http2;
        let ends = Arc::new(Ends { tls: Some(session), ..ends });
        if is_http2 {
            self.http2(stream, ends).await;
        } else {
            Connection::new(stream, BytesMut::new(), idle).serve(self, ends).await;
        }
    }

    /// Plain connections are HTTP/1 in AWS. Here HTTP/2 is taken as well, from clients that know that they can, as load
    /// generators do.
    async fn plain(self: Arc<Self>, mut stream: TcpStream, ends: Ends) {
        let idle = self.balancer.attributes.idle_timeout;
        let ends = Arc::new(ends);
        let mut first = BytesMut::with_capacity(8 * 1024);
        while PREFACE.starts_with(&first) && first.len() < PREFACE.len() {
            match timeout(idle, stream.read_buf(&mut first)).await {
                Ok(Ok(1..)) => {}
                _ => break,
            }
        }
        if self.balancer.attributes.http2 && first.starts_with(PREFACE) {
            self.http2(Rewound { first: first.freeze(), stream }, ends).await;
        } else {
            Connection::new(stream, first, idle).serve(self, ends).await;
        }
    }

    async fn http2<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(self: Arc<Self>, stream: S, ends: Arc<Ends>) {
        let service = service_fn(|request| {
            let (listener, ends) = (Arc::clone(&self), Arc::clone(&ends));
            async move { Ok::<_, Infallible>(listener.stream(ends, request).await) }
        });
        let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
        server.timer(TokioTimer::new()).max_concurrent_streams(MOST_STREAMS);
        // Twice the limit, so that it is our check that answers and not a reset stream.
        server.max_header_list_size(2 * limits::MAX_FIELDS as u32);
        // Errors are clients that hung up.
        let _ = server.serve_connection(TokioIo::new(stream), service).await;
    }

    /// One request of an HTTP/2 connection.
    async fn stream(self: Arc<Self>, ends: Arc<Ends>, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let mut head = Head::from_parts(parts);
        let method = head.method.clone();
        let mut exchange = self.begin(&ends, &head);
        let (mut exchange, response) = match self.decide(&ends, &mut head, &mut exchange) {
            Err(refusal) => {
                let response = self.refuse(&mut exchange, refusal);
                (exchange, response)
            }
            Ok(Decision::Answer(response)) => (exchange, response),
            Ok(Decision::Invoke(invocation)) => {
                match limits::read_body(&head.headers, body, self.balancer.attributes.idle_timeout).await {
                    Ok(body) => {
                        exchange.wire_bytes.0 += body.len();
                        // A task of its own, since a function that was invoked finishes even if the client is gone.
                        let invoked = Arc::clone(&self).invoke(Arc::clone(&ends), head, body, invocation, exchange);
                        tokio::spawn(invoked).await.unwrap_or_else(|_| self.broken(&ends))
                    }
                    Err(refusal) => {
                        let response = self.refuse(&mut exchange, refusal);
                        (exchange, response)
                    }
                }
            }
        };
        let response = self.finish(&mut exchange, &method, response);
        exchange.wire_bytes.1 = length_of(response.headers()) + response.body().len();
        self.tell(exchange, response.clone());
        response.map(Full::new)
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
