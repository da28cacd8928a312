//! What the emulator tells whoever started it: plain data, one value for each thing that happened, and how much of a
//! function's output may wait to be told. Owns no printing.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use http::HeaderMap;

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// A request was answered.
    Exchange(Box<Exchange>),
    /// The function or an extension of it wrote a line to its standard output or standard error.
    FunctionLine {
        /// The environment that wrote it.
        environment: u32,
        /// Without the line break; what is not UTF-8 is replaced, lines of more than 1 MiB come in pieces.
        line: String,
        /// Held until the line is told: while lines of too many bytes wait, the next ones are skipped.
        waiting: Waiting,
    },
    /// An environment asked for its first invocation.
    Started {
        /// Its number, counting from 1 over all functions.
        environment: u32,
        /// Whose it is.
        function: String,
        /// From the start of the process to that moment.
        init: Duration,
    },
    /// The process of an environment is gone, for whatever reason.
    Exited {
        /// Its number.
        environment: u32,
        /// For example `exit status: 1` or `signal: 9 (SIGKILL)`.
        status: String,
    },
    /// A connection ended before the client had said anything in HTTP.
    Handshake {
        /// The other end.
        client: SocketAddr,
        /// What went wrong with TLS.
        problem: String,
    },
    /// A target has become healthy or unhealthy.
    Health {
        /// The target group.
        target_group: String,
        /// What it is now.
        healthy: bool,
        /// What the last check saw.
        detail: String,
    },
    /// Something that a developer should know and that belongs to no request.
    Warning {
        /// Of which function.
        function: String,
        /// One line.
        text: String,
    },
}

/// The place of a line that is not told yet. Free again when all copies of it are dropped.
#[derive(Clone, Debug, Default)]
pub struct Waiting(#[expect(dead_code, reason = "held for its drop")] Option<Arc<Place>>);

/// The bytes of all lines that wait to be told.
#[derive(Debug, Default)]
pub(crate) struct Backlog(AtomicUsize);

#[derive(Debug)]
struct Place {
    backlog: Arc<Backlog>,
    bytes: usize,
}

impl Backlog {
    /// The most bytes of lines that wait, whatever processes they come from.
    pub(crate) const MOST_BYTES: usize = 32 * 1024 * 1024;
    /// What a line takes besides its text.
    const LINE: usize = 128;

    /// A place for a line of so many bytes; `None` while there is no room.
    pub(crate) fn place(self: &Arc<Self>, length: usize) -> Option<Waiting> {
        let bytes = length.saturating_add(Self::LINE);
        let room = |waiting: usize| waiting.checked_add(bytes).filter(|waiting| *waiting <= Self::MOST_BYTES);
        self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, room).ok()?;
        Some(Waiting(Some(Arc::new(Place { backlog: Arc::clone(self), bytes }))))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        self.backlog.0.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Counting from 1 over all listeners.
    pub number: u64,
    /// When the load balancer had the request's head.
    pub time: SystemTime,
    /// Index into [`crate::Settings::listeners`].
    pub listener: usize,
    /// `http`, `https` or `h2`, as in the access log.
    pub kind: &'static str,
    /// The other end of the connection.
    pub client: Option<SocketAddr>,
    /// As sent; `-` where the request was too malformed to have one.
    pub method: String,
    /// Path and query as sent; `-` as above.
    pub target: String,
    /// `HTTP/1.1` and so on; `-` as above.
    pub version: &'static str,
    /// `Host` as it was settled; empty if the request has none.
    pub host: String,
    /// `User-Agent`
    pub user_agent: String,
    /// `X-Amzn-Trace-Id` as the target gets it.
    pub trace_id: String,
    /// Of the TLS connection.
    pub tls: Option<TlsInfo>,
    /// The rule that was applied.
    pub rule: RuleRef,
    /// The rules that were looked at and passed over, in their order: priority, and the first of its conditions that does
    /// not hold, counting from 0.
    pub passed_over: Vec<(u32, usize)>,
    /// What the load balancer did, in the words of the access log: `forward`, `redirect`, `fixed-response`, `rewrite`.
    pub actions: Vec<&'static str>,
    /// `Location` of a redirect action.
    pub redirect: Option<String>,
    /// What transforms made of the request.
    pub transformed: Option<Transformed>,
    /// ARN of the target group that was chosen.
    pub target_group: Option<String>,
    /// The function that was invoked.
    pub function: Option<String>,
    /// What the desync classifier says, and why if it is not `Compliant`.
    pub classification: Option<Classification>,
    /// The status that the client was sent.
    pub status: u16,
    /// The status that the function gave.
    pub target_status: Option<u16>,
    /// The `error_reason` that an ALB's access log would have, for example `LambdaInvalidResponse`.
    pub elb_reason: Option<String>,
    /// Why the load balancer answered and not the function: one line for the developer.
    pub problem: Option<String>,
    /// What went right but not as meant, for example fields that were lost. One line each.
    pub warnings: Vec<String>,
    /// From the request's head to the answer, ready to be sent.
    pub duration: Duration,
    /// Of that: until the function was invoked, and until it had answered. `None` if it was not.
    pub target_times: Option<(Duration, Duration)>,
    /// The environment that was invoked.
    pub environment: Option<u32>,
    /// Whether a process had to be started for this request.
    pub cold: bool,
    /// The Lambda request id.
    pub request_id: Option<String>,
    /// The most memory that the environment has used so far, in bytes.
    pub memory: Option<u64>,
    /// Length of the request's body.
    pub request_bytes: usize,
    /// Length of the response's body.
    pub response_bytes: usize,
    /// Bytes of the request and of the response with their heads.
    pub wire_bytes: (usize, usize),
    /// What was said, if [`crate::Settings::keep_messages`].
    pub messages: Option<Box<Messages>>,
    /// This end of the connection.
    pub local: Option<SocketAddr>,
    /// A number that all requests of a connection have.
    pub connection: u64,
    /// When the load balancer had the request's head, by the clock that measures.
    pub started: Instant,
}

/// The messages of an exchange.
#[derive(Clone, Debug, Default)]
pub struct Messages {
    /// The client's fields, as sent.
    pub request_fields: HeaderMap,
    /// The client's body.
    pub request_body: Bytes,
    /// The event that the function got.
    pub event: Option<Bytes>,
    /// What the function answered.
    pub reply: Option<Bytes>,
    /// The fields that the client was sent.
    pub response_fields: HeaderMap,
    /// The body that the client was sent.
    pub response_body: Bytes,
}

/// Of a TLS connection, in OpenSSL's words, as the access log has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// Such as `ECDHE-RSA-AES128-GCM-SHA256` or `TLS_AES_128_GCM_SHA256`.
    pub cipher_suite: &'static str,
    /// The name that the client asked for.
    pub server_name: Option<String>,
}

/// What transforms made of a request, in the words of the access log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Transformed {
    /// The new host.
    pub host: Option<String>,
    /// The new path and query.
    pub uri: Option<String>,
    /// `TransformSuccess`, `TransformInvalidPath` and so on.
    pub status: &'static str,
}

/// The verdict of ALB's classifier of requests (`http_desync_guardian`).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classification {
    /// `Compliant`, `Acceptable`, `Ambiguous` or `Severe`.
    pub tier: &'static str,
    /// Such as `BothTeClPresent`; `None` for what is compliant.
    pub reason: Option<String>,
}

impl Exchange {
    /// One of which nothing is known yet.
    #[must_use]
    pub fn new(method: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            number: 0,
            time: SystemTime::now(),
            listener: 0,
            kind: "http",
            client: None,
            method: method.into(),
            target: target.into(),
            version: "-",
            host: String::new(),
            user_agent: String::new(),
            trace_id: String::new(),
            tls: None,
            rule: RuleRef::Default,
            passed_over: Vec::new(),
            actions: Vec::new(),
            redirect: None,
            transformed: None,
            target_group: None,
            function: None,
            classification: None,
            status: 0,
            target_status: None,
            elb_reason: None,
            problem: None,
            warnings: Vec::new(),
            duration: Duration::ZERO,
            target_times: None,
            environment: None,
            cold: false,
            request_id: None,
            memory: None,
            request_bytes: 0,
            response_bytes: 0,
            wire_bytes: (0, 0),
            messages: None,
            local: None,
            connection: 0,
            started: Instant::now(),
        }
    }
}

/// The rule that a request met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleRef {
    /// The listener rule with this priority.
    Priority(u32),
    /// The listener's default rule.
    Default,
    /// The request was refused before rules are looked at.
    None,
}

impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Priority(priority) => write!(f, "{priority}"),
            Self::Default => f.write_str("default"),
            Self::None => f.write_str("none"),
        }
    }
}
