//! The notices that the emulator sends to the program that started it: plain data, one value per event; and the limit
//! on how much of a function's output may wait. Prints nothing.

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
    /// A request has its response.
    Exchange(Box<Exchange>),
    /// The function or an extension of it wrote a line to its standard output or standard error.
    FunctionLine {
        /// The environment that wrote it.
        environment: u32,
        /// The function's name.
        function: Arc<str>,
        /// The line without its line break. Bytes that are not UTF-8 are replaced; lines over 1 MiB are split.
        line: String,
        /// Keep this until the line has been handled: while too many bytes wait, further lines are skipped.
        waiting: Waiting,
    },
    /// An environment asked for its first invocation.
    Started {
        /// Its number, counting from 1 over all functions.
        environment: u32,
        /// The function's name.
        function: String,
        /// The time since the start of the process.
        init: Duration,
    },
    /// The process of an environment has ended, for any reason.
    Exited {
        /// Its number.
        environment: u32,
        /// For example `exit status: 1` or `signal: 9 (SIGKILL)`.
        status: String,
        /// The emulator ended it because it is shutting down or other settings are in use.
        planned: bool,
    },
    /// A connection ended in the TLS handshake.
    Handshake {
        /// The other end.
        client: SocketAddr,
        /// The TLS error.
        problem: String,
    },
    /// A target has become healthy or unhealthy.
    Health {
        /// The target group.
        target_group: String,
        /// The new state.
        healthy: bool,
        /// The result of the last check.
        detail: String,
    },
    /// A message for the developer that belongs to no request.
    Warning {
        /// The function's name.
        function: String,
        /// One line.
        text: String,
    },
}

/// The room of a line that has not been handled. It becomes free when all clones are dropped.
#[derive(Clone, Debug, Default)]
pub struct Waiting(#[expect(dead_code, reason = "held for its drop")] Option<Arc<Place>>);

/// The bytes of all lines that wait to be handled.
#[derive(Debug, Default)]
pub(crate) struct Backlog(AtomicUsize);

#[derive(Debug)]
struct Place {
    backlog: Arc<Backlog>,
    bytes: usize,
}

impl Backlog {
    /// The most bytes of waiting lines, over all processes.
    pub(crate) const MOST_BYTES: usize = 32 * 1024 * 1024;
    /// The overhead of a line besides its text, in bytes.
    const LINE: usize = 128;

    /// Takes room for a line of this length in bytes. Returns `None` if the room is used up.
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

/// One request and its response.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// Counting from 1 over all listeners.
    pub number: u64,
    /// The number of times that the settings had been replaced, see [`crate::Emulator::reload`].
    pub generation: usize,
    /// The time at which the load balancer had read the request's head.
    pub time: SystemTime,
    /// Index into [`crate::Settings::listeners`] of that generation.
    pub listener: usize,
    /// The front end that the request came through: `alb`, or an [`crate::EndpointKind`]'s name.
    pub front: &'static str,
    /// Method and path of the route that was chosen, for front ends with routes.
    pub route: Option<String>,
    /// `http`, `https` or `h2`, as in the access log.
    pub kind: &'static str,
    /// The other end of the connection.
    pub client: Option<SocketAddr>,
    /// As sent; `-` if the request is too malformed to have one.
    pub method: String,
    /// Path and query as sent; `-` as above.
    pub target: String,
    /// The path in the form that conditions see, if it was sent in another one.
    pub normalised_path: Option<String>,
    /// `HTTP/1.1` and so on; `-` as above.
    pub version: &'static str,
    /// The effective `Host`; empty if the request has none.
    pub host: String,
    /// `User-Agent`
    pub user_agent: String,
    /// `X-Amzn-Trace-Id` as the target gets it.
    pub trace_id: String,
    /// The TLS session; `None` without TLS.
    pub tls: Option<TlsInfo>,
    /// The rule that was applied.
    pub rule: RuleRef,
    /// The rules that did not match, in order of evaluation: priority, and the index of the first condition that does
    /// not hold.
    pub skipped: Vec<(u32, usize)>,
    /// The actions taken, in the words of the access log: `forward`, `redirect`, `fixed-response`, `rewrite`.
    pub actions: Vec<&'static str>,
    /// `Location` of a redirect action.
    pub redirect: Option<String>,
    /// The result of the transforms.
    pub transformed: Option<Transformed>,
    /// ARN of the selected target group.
    pub target_group: Option<String>,
    /// The function that was invoked.
    pub function: Option<String>,
    /// The classification by desync mitigation. `None` for HTTP/2.
    pub classification: Option<Classification>,
    /// The status code that the client was sent.
    pub status: u16,
    /// The status code that the function returned.
    pub target_status: Option<u16>,
    /// The `error_reason` that an ALB's access log would have, for example `LambdaInvalidResponse`.
    pub elb_reason: Option<String>,
    /// The reason for the load balancer's own error response: one line for the developer.
    pub problem: Option<String>,
    /// Effects that are probably not intended, for example fields that were lost. One line each.
    pub warnings: Vec<String>,
    /// The number of `warnings`, the last ones, that are about the function's reply: it will probably cause them again.
    pub reply_warnings: usize,
    /// From the request's head until the response is ready to be sent.
    pub duration: Duration,
    /// From the request's head until the function was invoked, and until it had responded. `None` if it was not
    /// invoked.
    pub target_times: Option<(Duration, Duration)>,
    /// The environment that was invoked.
    pub environment: Option<u32>,
    /// A process was started for this request.
    pub cold: bool,
    /// The Lambda request id.
    pub request_id: Option<String>,
    /// The peak memory of the environment so far, in bytes.
    pub memory: Option<u64>,
    /// Length of the request's body, in bytes.
    pub request_bytes: usize,
    /// Length of the response's body, in bytes.
    pub response_bytes: usize,
    /// Bytes of the request and of the response, including their heads.
    pub wire_bytes: (usize, usize),
    /// The messages, if [`crate::Settings::keep_messages`] is set.
    pub messages: Option<Box<Messages>>,
    /// This end of the connection.
    pub local: Option<SocketAddr>,
    /// The connection's number, which all its requests share.
    pub connection: u64,
    /// The same time by the monotonic clock.
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
    /// The function's reply.
    pub reply: Option<Bytes>,
    /// The fields that the client was sent.
    pub response_fields: HeaderMap,
    /// The body that the client was sent.
    pub response_body: Bytes,
}

/// A TLS session, with OpenSSL's names, as in the access log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TlsInfo {
    /// `TLSv1.2` or `TLSv1.3`.
    pub version: &'static str,
    /// Such as `ECDHE-RSA-AES128-GCM-SHA256` or `TLS_AES_128_GCM_SHA256`.
    pub cipher_suite: &'static str,
    /// The name that the client asked for.
    pub server_name: Option<String>,
}

/// The result of a rule's transforms, in the words of the access log.
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
    /// Returns whether the request came through a load balancer.
    #[must_use]
    pub fn is_of_load_balancer(&self) -> bool {
        self.front == "alb"
    }

    /// An exchange that begins now, with everything else at its default.
    #[must_use]
    pub fn new(method: impl Into<String>, target: impl Into<String>) -> Self {
        Self {
            number: 0,
            generation: 0,
            time: SystemTime::now(),
            listener: 0,
            front: "alb",
            route: None,
            kind: "http",
            client: None,
            method: method.into(),
            target: target.into(),
            normalised_path: None,
            version: "-",
            host: String::new(),
            user_agent: String::new(),
            trace_id: String::new(),
            tls: None,
            rule: RuleRef::Default,
            skipped: Vec::new(),
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
            reply_warnings: 0,
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

/// The rule that matched a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleRef {
    /// The listener rule with this priority.
    Priority(u32),
    /// The listener's default rule.
    Default,
    /// The request was rejected before any rule was evaluated.
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
