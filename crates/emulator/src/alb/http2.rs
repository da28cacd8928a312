//! A client's HTTP/2 connection: the library takes its frames apart, here is when it ends, and that no request gets lost.
//! What becomes of a request is `exchange`'s.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use super::exchange::{Answered, Decision, Ends};
use super::head::Head;
use super::limits;
use super::listener::Listener;

/// Streams at a time on one connection ("Listeners for your Application Load Balancers").
const MOST_STREAMS: u32 = 128;
/// Far above the limit of a load balancer, so that it is our check that answers and not a stream that is reset.
const MOST_FIELD_BYTES: u32 = 4 * 1024 * 1024;

/// Requests of a connection that have no answer yet.
#[derive(Default)]
struct Open {
    count: AtomicUsize,
    changed: Notify,
}

impl Open {
    fn add(self: &Arc<Self>) -> OpenOne {
        self.count.fetch_add(1, Ordering::Relaxed);
        self.changed.notify_one();
        OpenOne(Arc::clone(self))
    }

    /// Ends when there was no request for so long.
    async fn idle(&self, timeout: Duration) {
        loop {
            let nothing = self.count.load(Ordering::Relaxed) == 0;
            tokio::select! {
                () = self.changed.notified() => {}
                () = tokio::time::sleep(timeout), if nothing => return,
            }
        }
    }
}

struct OpenOne(Arc<Open>);

impl Drop for OpenOne {
    fn drop(&mut self) {
        self.0.count.fetch_sub(1, Ordering::Relaxed);
        self.0.changed.notify_one();
    }
}

/// Serves until the client leaves, is idle for too long, has been there for too long, or all is to end.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    listener: Arc<Listener>,
    stream: S,
    ends: Arc<Ends>,
    mut closing: watch::Receiver<bool>,
) {
    let attributes = &listener.balancer().attributes;
    let (idle, keep_alive) = (attributes.idle_timeout, attributes.client_keep_alive);
    let open = Arc::new(Open::default());
    let service = service_fn(|request| {
        let (listener, ends, one) = (Arc::clone(&listener), Arc::clone(&ends), open.add());
        async move {
            let response = answer(listener, ends, request).await;
            drop(one);
            Ok::<_, Infallible>(response)
        }
    });
    let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    server.timer(TokioTimer::new()).max_concurrent_streams(MOST_STREAMS).max_header_list_size(MOST_FIELD_BYTES);
    let mut connection = pin!(server.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // Errors are clients that hung up.
        _ = &mut connection => return,
        () = open.idle(idle) => {}
        () = tokio::time::sleep(keep_alive) => {}
        () = super::closed(&mut closing) => {}
    }
    // GOAWAY; what has begun is answered.
    connection.as_mut().graceful_shutdown();
    let _ = connection.await;
}

async fn answer(listener: Arc<Listener>, ends: Arc<Ends>, request: Request<Incoming>) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let mut head = Head::from_parts(parts);
    let method = head.method.clone();
    let mut exchange = listener.begin(&ends, &head);
    exchange.wire_bytes.0 = head.line_length + length_of(&head.headers);
    let (mut exchange, response) = match listener.decide(&ends, &mut head, &mut exchange) {
        Err(refusal) => {
            let response = listener.refuse(&mut exchange, refusal);
            (exchange, response)
        }
        Ok(Decision::Answer(response)) => (exchange, response),
        Ok(Decision::Invoke(invocation)) => {
            match limits::read_body(&head.headers, body, listener.balancer().attributes.idle_timeout).await {
                Ok(body) => {
                    exchange.wire_bytes.0 += body.len();
                    // A task of its own, since a function that was invoked finishes even if the client is gone.
                    let invoked = Arc::clone(&listener).invoke(Arc::clone(&ends), head, body, invocation, exchange);
                    let mut waiting =
                        Waiting { listener: Arc::clone(&listener), invocation: Some(tokio::spawn(invoked)) };
                    waiting.answered().await.unwrap_or_else(|| listener.broken(&ends))
                }
                Err(refusal) => {
                    let response = listener.refuse(&mut exchange, refusal);
                    (exchange, response)
                }
            }
        }
    };
    let response = listener.finish(&mut exchange, &method, response);
    exchange.wire_bytes.1 = length_of(response.headers()) + response.body().len();
    listener.tell(exchange, response.clone());
    response.map(Full::new)
}

/// An invocation whose client waits. The library drops what a client has left: then it is told as such.
struct Waiting {
    listener: Arc<Listener>,
    invocation: Option<JoinHandle<Answered>>,
}

impl Waiting {
    async fn answered(&mut self) -> Option<Answered> {
        let answered = self.invocation.as_mut()?.await;
        self.invocation = None;
        answered.ok()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if let Some(invocation) = self.invocation.take() {
            tokio::spawn(Arc::clone(&self.listener).left(invocation));
        }
    }
}

/// Of the fields: nobody counts HTTP/2's bytes on the wire, so it is about what HTTP/1 would take.
fn length_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}
