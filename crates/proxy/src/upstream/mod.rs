//! The live client of one back end: connections kept across invocations, one request over one of them.
//!
//! Owns the pool and its rules for connections that died while the environment was frozen. Whether a failed request
//! may be sent again is `attempt`'s decision; this module says how much was sent and received.

mod connect;
mod health;
mod stream;
mod tls;

use std::cell::Cell;
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;
use std::time::{Duration, SystemTime};

use crate::ProxyError;
use crate::time::Allowance;
use bytes::Bytes;
pub(crate) use connect::Opened;
use crossfade_route::{Backend, PemFile};
use health::Health;
pub(crate) use health::Signal;
use http::{Request, Response};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::client::conn::{TrySendError, http1, http2};
use stream::Traffic;
pub use tls::SetupError;
use tls::TlsConfigs;

/// Connections idle for longer are not used again, unless the back end named a time of its own (`Keep-Alive`). Front
/// ends close idle connections after 60 s (ALB) to 75 s (nginx), and a network that forgot one (NAT: 350 s) lets a
/// request vanish without an error.
const MAX_IDLE: Duration = Duration::from_secs(50);

/// The same for requests that may not be sent twice. Node.js, Apache and others close after 5 s, and in a frozen
/// environment nobody hears of it; a request that runs into that is lost.
const MAX_IDLE_FOR_ONCE: Duration = Duration::from_secs(4);

/// Idle HTTP/1.1 connections kept: more than one only where invocations run side by side.
const MAX_IDLE_CONNECTIONS: usize = 256;

thread_local! {
    static THREAD: Cell<u32> = const { Cell::new(0) };
}

/// Gives the calling thread a number, other than 0, which the first one has. A connection is served by the thread that opened
/// it, so requests of other threads do not use it.
pub fn number_thread(number: u32) {
    THREAD.set(number);
}

/// Makes the clients of one configuration. Equal TLS settings are shared.
#[derive(Debug)]
pub(crate) struct Upstreams<'c> {
    tls: TlsConfigs<'c>,
}

impl<'c> Upstreams<'c> {
    /// For so many back ends. `cert_file` is trusted for each besides the built-in roots.
    pub(crate) fn new(count: usize, cert_file: Option<&'c PemFile>) -> Self {
        Upstreams { tls: TlsConfigs::new(count, cert_file) }
    }

    pub(crate) fn upstream(&mut self, backend: &'c Arc<Backend>) -> Result<Upstream, SetupError> {
        let tls = self.tls.of(backend)?;
        let health = Health::new(backend.outlier, backend.retry.as_ref());
        let connector = connect::Connector::new(backend.clone(), tls);
        Ok(Upstream { backend: backend.clone(), health, connector, idle: Mutex::default() })
    }
}

/// A live client. One for each back end of the configuration.
#[derive(Debug)]
pub(crate) struct Upstream {
    pub(crate) backend: Arc<Backend>,
    pub(crate) health: Health,
    connector: connect::Connector,
    idle: Mutex<Vec<Idle>>,
}

/// A connection between two requests. The clock of the wall is used: others may stand still in a frozen environment.
#[derive(Debug)]
struct Idle {
    connection: Connection,
    since: SystemTime,
    /// The idle time that the back end has announced.
    keep_alive: Option<Duration>,
}

/// A connection ready for a request.
#[derive(Debug)]
pub(crate) struct Connection {
    sender: Sender,
    traffic: Traffic,
    /// See [`number_thread`].
    thread: u32,
}

#[derive(Debug)]
enum Sender {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

/// A failed request on a connection, and its known progress.
#[derive(Debug)]
pub(crate) struct SendFailure {
    pub(crate) error: hyper::Error,
    pub(crate) progress: Progress,
}

/// The progress of a failed request.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Progress {
    /// The back end cannot have seen any of it.
    pub(crate) nothing_sent: bool,
    /// Not a byte of an answer came.
    pub(crate) nothing_received: bool,
}

impl Upstream {
    /// A client of the same back end that shares nothing with this one that a request could notice: no connection and no
    /// health.
    pub(crate) fn for_mirror(&self) -> Self {
        let health = Health::new(self.backend.outlier, None);
        Upstream { backend: self.backend.clone(), health, connector: self.connector.clone(), idle: Mutex::default() }
    }

    /// The most recently used idle connection of this thread that still seems to live, for a request that may be sent twice or not.
    pub(crate) async fn checkout(&self, now: SystemTime, is_idempotent: bool) -> Option<Connection> {
        loop {
            let mut idle = self.last_idle()?;
            // A clock that was set back makes the age unknown.
            let age = now.duration_since(idle.since).unwrap_or(MAX_IDLE);
            if age >= idle.keep_alive.unwrap_or(MAX_IDLE)
                || idle.connection.traffic.is_kept_from_others()
                || !idle.connection.is_ready().await
            {
                continue;
            }
            if !is_idempotent && age >= idle.keep_alive.unwrap_or(MAX_IDLE_FOR_ONCE) {
                // Good enough for others; the rest of the pool is older still.
                self.keep(idle);
                return None;
            }
            if let Some(shared) = idle.connection.share() {
                self.keep(Idle { connection: shared, since: idle.since, keep_alive: idle.keep_alive });
            }
            return Some(idle.connection);
        }
    }

    fn last_idle(&self) -> Option<Idle> {
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let thread = THREAD.get();
        let last = idle.iter().rposition(|idle| idle.connection.thread == thread)?;
        Some(idle.remove(last))
    }

    /// A new connection.
    pub(crate) async fn connect(&self, time: &mut Allowance) -> Result<Connection, ProxyError> {
        self.connector.connect(time).await
    }

    /// Names or addresses of the back end with their ports, in the order in which they are tried.
    pub(crate) fn destinations(&self) -> &[(String, u16)] {
        self.connector.destinations()
    }

    /// A connection to one destination on which HTTP has not begun.
    pub(crate) async fn open(&self, host: &str, port: u16, time: &mut Allowance) -> Result<Opened, ProxyError> {
        self.connector.open(host, port, time).await
    }

    /// Begins HTTP on a connection.
    pub(crate) async fn speak(&self, opened: Opened) -> Result<Connection, ProxyError> {
        self.connector.speak(opened).await
    }

    /// Takes a connection back after a complete answer.
    #[inline]
    pub(crate) fn checkin(&self, connection: Connection, now: SystemTime, keep_alive: Option<Duration>) {
        self.keep(Idle { connection, since: now, keep_alive });
    }

    /// One HTTP/2 connection carries all requests of a thread, so the newest takes the place of others.
    #[inline]
    fn keep(&self, kept: Idle) {
        if kept.connection.traffic.is_kept_from_others() {
            return;
        }
        let mut idle = self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.connection.is_http2() {
            let thread = kept.connection.thread;
            idle.retain(|other| !other.connection.is_http2() || other.connection.thread != thread);
        }
        if idle.len() < MAX_IDLE_CONNECTIONS {
            idle.push(kept);
        }
    }

    /// Forgets all idle connections: where one was found dead, the others have most likely died with it.
    pub(crate) fn discard_idle(&self) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }
}

/// Returns whether the back end says over HTTP/2 that it has not processed the request (RFC 9113 section 8.7): it rejects
/// the stream, or has closed the connection in an orderly way before it. The library reports only these two cases.
fn was_refused(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| {
        let is_orderly_end = cause.is_go_away() && cause.reason() == Some(h2::Reason::NO_ERROR);
        let is_refused = cause.is_reset() && cause.reason() == Some(h2::Reason::REFUSED_STREAM);
        cause.is_remote() && (is_orderly_end || is_refused)
    })
}

impl Connection {
    /// Returns whether a request can be sent at once. It cannot if the connection is closed, or if the previous request is
    /// still being sent: a back end may respond before it has read everything, and then read no more.
    async fn is_ready(&mut self) -> bool {
        std::future::poll_fn(|cx| {
            let poll = match &mut self.sender {
                Sender::Http1(sender) => sender.poll_ready(cx),
                Sender::Http2(sender) => sender.poll_ready(cx),
            };
            Poll::Ready(matches!(poll, Poll::Ready(Ok(()))))
        })
        .await
    }

    /// A second handle, where the connection can carry several exchanges at a time.
    fn share(&self) -> Option<Connection> {
        match &self.sender {
            Sender::Http1(_) => None,
            Sender::Http2(sender) => {
                let (sender, traffic) = (Sender::Http2(sender.clone()), self.traffic.clone());
                Some(Connection { sender, traffic, thread: self.thread })
            }
        }
    }

    pub(crate) fn is_http2(&self) -> bool {
        matches!(self.sender, Sender::Http2(_))
    }

    /// No other request gets this connection from now on. Those that are on it over HTTP/2 end there.
    pub(crate) fn keep_from_others(&self) {
        self.traffic.keep_from_others();
    }

    /// Sends a request and waits for the head of the answer.
    pub(crate) async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, SendFailure> {
        let before = self.traffic.snapshot();
        let result = match &mut self.sender {
            Sender::Http1(sender) => sender.try_send_request(request).await,
            Sender::Http2(sender) => sender.try_send_request(request).await,
        };
        result.map_err(|failure: TrySendError<_>| {
            let after = self.traffic.snapshot();
            let was_returned = failure.message().is_some() || was_refused(failure.error());
            // Over HTTP/2 the bytes may be of another exchange, or of the connection itself.
            let is_counted = !self.is_http2();
            let progress = Progress {
                nothing_sent: was_returned || (is_counted && before.nothing_sent_until(after)),
                nothing_received: was_returned || !is_counted || before.nothing_read_until(after),
            };
            SendFailure { error: failure.into_error(), progress }
        })
    }
}
