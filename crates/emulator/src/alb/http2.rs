//! A client's HTTP/2 connection to a listener. A library handles frames; this file owns when the connection ends, and
//! that every request is reported. The steps of a request are in `exchange`.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use bytes::Bytes;
use crossfade_event::alb::MAX_REQUEST_BODY;
use http::{HeaderMap, Request, Response, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::connection_info::ConnectionInfo;
use super::exchange::{Answered, Decision};
use super::listener::Listener;
use crate::http::{Head, RequestError};
use crate::{closing, pieces};

/// Streams at a time on one connection ("Listeners for your Application Load Balancers").
const MOST_STREAMS: u32 = 128;
/// Far above ALB's limit, so that our check responds instead of the library resetting the stream. In bytes.
const MOST_FIELD_BYTES: u32 = 4 * 1024 * 1024;

/// The requests of a connection that have no response yet.
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

    /// Waits until there has been no request for this time.
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

/// Serves until the client leaves, the idle timeout or the connection's lifetime is over, or the emulator shuts down.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send + 'static>(
    listener: Arc<Listener>,
    stream: S,
    connection: Arc<ConnectionInfo>,
    mut shutdown: watch::Receiver<bool>,
) {
    let attributes = &listener.balancer().attributes;
    let (idle, keep_alive) = (attributes.idle_timeout, attributes.client_keep_alive);
    let open = Arc::new(Open::default());
    let service = service_fn(|request| {
        let (listener, info, one) = (Arc::clone(&listener), Arc::clone(&connection), open.add());
        async move {
            let response = answer(listener, info, request).await;
            drop(one);
            Ok::<_, Infallible>(response)
        }
    });
    let mut server = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
    server.timer(TokioTimer::new()).max_concurrent_streams(MOST_STREAMS).max_header_list_size(MOST_FIELD_BYTES);
    let mut serving = pin!(server.serve_connection(TokioIo::new(stream), service));
    tokio::select! {
        // Errors are clients that hung up.
        _ = &mut serving => return,
        () = open.idle(idle) => {}
        () = tokio::time::sleep(keep_alive) => {}
        () = closing::closed(&mut shutdown) => {}
    }
    // GOAWAY; what has begun is answered.
    serving.as_mut().graceful_shutdown();
    let _ = serving.await;
}

async fn answer(
    listener: Arc<Listener>,
    connection: Arc<ConnectionInfo>,
    request: Request<Incoming>,
) -> Response<Full<Bytes>> {
    let (parts, body) = request.into_parts();
    let mut head = Head::from_parts(parts);
    let method = head.method.clone();
    let mut exchange = listener.begin(&connection, &head);
    exchange.wire_bytes.0 = head.line_length + length_of(&head.headers);
    let (mut exchange, response) = match listener.decide(&connection, &mut head, &mut exchange) {
        Err(refusal) => {
            let response = listener.refuse(&mut exchange, refusal);
            (exchange, response)
        }
        Ok(Decision::Respond(response)) => (exchange, response),
        Ok(Decision::Invoke(target)) => {
            match read_body(&head.headers, body, listener.balancer().attributes.idle_timeout).await {
                Ok(body) => {
                    exchange.wire_bytes.0 += body.len();
                    // A task of its own, since a function that was invoked finishes even if the client is gone.
                    let invoked = Arc::clone(&listener).invoke(Arc::clone(&connection), head, body, target, exchange);
                    let mut waiting =
                        Waiting { listener: Arc::clone(&listener), invocation: Some(tokio::spawn(invoked)) };
                    waiting.answered().await.unwrap_or_else(|| listener.broken(&connection))
                }
                Err(error) => {
                    let response = listener.refuse(&mut exchange, error.into());
                    (exchange, response)
                }
            }
        }
    };
    let response = listener.finish(&mut exchange, &method, response);
    exchange.wire_bytes.1 = length_of(response.headers()) + response.body().len();
    listener.notify(exchange, response.clone());
    response.map(Full::new)
}

/// Reads the whole body, as ALB does before it invokes a function.
///
/// # Errors
///
/// For a body over 1 MB, one that is cut off, and one that takes longer than `idle` between two frames.
async fn read_body(headers: &HeaderMap, mut body: Incoming, idle: Duration) -> Result<Bytes, RequestError> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if let Some(length) = declared.filter(|length| *length > MAX_REQUEST_BODY as u64) {
        return Err(RequestError::BodyTooLarge { length: Some(length), limit: MAX_REQUEST_BODY });
    }
    let mut pieces = Vec::new();
    let mut length = 0;
    loop {
        let frame = timeout(idle, body.frame()).await.map_err(|_| RequestError::BodyTimedOut)?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| RequestError::BodyCutOff)?.into_data() else { continue };
        length += data.len();
        if length > MAX_REQUEST_BODY {
            return Err(RequestError::BodyTooLarge { length: None, limit: MAX_REQUEST_BODY });
        }
        pieces.push(data);
    }
    Ok(pieces::join(pieces))
}

/// An invocation whose client waits. The library drops it when the client leaves, and then it is reported as such.
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
            tokio::spawn(Arc::clone(&self.listener).client_left(invocation));
        }
    }
}

/// The length of the fields in HTTP/1's form, in bytes: an approximation of HTTP/2's bytes on the wire.
fn length_of(headers: &HeaderMap) -> usize {
    headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum()
}
