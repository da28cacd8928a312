//! What happens to a request, in its order. The stages have their own modules; this one owns the order.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crossfade_route::{Backend, RoutingTable, has_dot_segment};
use http::header::{CONTENT_LENGTH, HeaderValue};
use http::uri::{PathAndQuery, Uri};
use http::{Method, Request, Response, StatusCode, request, response};
use tokio::time::Instant;

use crate::attempt::{self, Bounds, Trace};
use crate::forwarding::{self, Forwarding};
use crate::upstream::{SetupError, Trust, Upstream};
use crate::{AccessRecord, ProxyError, hop_by_hop, respond};

/// The proxy: a routing table and the live clients of its back ends. Shared by all invocations.
#[derive(Debug)]
pub struct Proxy {
    table: RoutingTable,
    /// In the order of [`RoutingTable::backends`].
    upstreams: Vec<Upstream>,
    /// Our name in `Via`, for loops.
    pseudonym: String,
    via: HeaderValue,
    limits: Limits,
}

/// What the front end can carry.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Content of a response, bytes; more is not even read.
    pub response_bytes: usize,
}

/// What is known of an invocation besides its request.
#[derive(Debug)]
pub struct Invocation {
    /// Goes to the back end and into the log.
    pub request_id: String,
    /// The trace header of the platform, for requests that bring none.
    pub trace_id: Option<HeaderValue>,
    /// When it began.
    pub started: Instant,
    /// The same by the clock on the wall.
    pub time: SystemTime,
    /// When the answer must be there.
    pub deadline: Instant,
}

/// An answer and the record of how it came to be.
#[derive(Debug)]
pub struct Exchange {
    /// For the client.
    pub response: Response<Bytes>,
    /// For the log.
    pub record: AccessRecord,
}

impl Proxy {
    /// Makes the clients; opens no connection. `pseudonym` is a token that names this proxy and no other.
    ///
    /// # Errors
    ///
    /// [`SetupError`] for what cannot work with any request.
    pub fn new(table: RoutingTable, trust: &Trust, pseudonym: &str, limits: Limits) -> Result<Self, SetupError> {
        let upstreams =
            table.backends().iter().map(|backend| Upstream::new(backend.clone(), trust)).collect::<Result<_, _>>()?;
        let via = HeaderValue::from_str(&format!("1.1 {pseudonym}"))
            .unwrap_or_else(|_| HeaderValue::from_static("1.1 crossfade"));
        Ok(Proxy { table, upstreams, pseudonym: pseudonym.to_owned(), via, limits })
    }

    /// The configuration.
    #[must_use]
    pub fn table(&self) -> &RoutingTable {
        &self.table
    }

    /// Answers a request. A failure is an answer, too.
    pub async fn handle(&self, request: Request<Bytes>, invocation: &Invocation) -> Exchange {
        let mut record = AccessRecord {
            time: Some(invocation.time),
            request_id: invocation.request_id.clone(),
            trace_id: trace_id(request.headers().get(forwarding::X_AMZN_TRACE_ID).or(invocation.trace_id.as_ref())),
            method: Some(request.method().to_string()),
            path: Some(request.uri().path().to_owned()),
            request_bytes: request.body().len(),
            ..AccessRecord::default()
        };
        let response = self.forward(request, invocation, &mut record).await.unwrap_or_else(|error| {
            record.note(&error);
            respond::failure(&error)
        });
        record.status = response.status().as_u16();
        record.response_bytes = response.body().len();
        record.total_ms = Some(invocation.started.elapsed());
        Exchange { response, record }
    }

    async fn forward(
        &self,
        request: Request<Bytes>,
        invocation: &Invocation,
        record: &mut AccessRecord,
    ) -> Result<Response<Bytes>, ProxyError> {
        let (mut parts, body) = request.into_parts();
        self.refuse(&parts)?;

        let selection = self.table.select();
        record.route = Some(selection.route.to_owned());
        record.backend = Some(selection.backend.name.clone());

        hop_by_hop::remove(&mut parts.headers, &self.table.request_id_field);
        Forwarding {
            backend: selection.backend,
            via: &self.via,
            request_id_field: &self.table.request_id_field,
            request_id: &invocation.request_id,
            trace_id: invocation.trace_id.as_ref(),
        }
        .apply(&mut parts.headers, &parts.method, &body)?;
        parts.uri = target(selection.backend, parts.uri)?;

        let bounds = Bounds {
            deadline: self.deadline(invocation),
            response_bytes: self.limits.response_bytes,
            now: invocation.time,
        };
        let mut trace = Trace::default();
        let answer = attempt::send(&self.upstreams[selection.index], &parts, &body, bounds, &mut trace).await;
        note(record, &trace, invocation.started);

        let (mut head, content) = answer?.into_parts();
        if !(200..=599).contains(&head.status.as_u16()) {
            return Err(ProxyError::StatusNotCarried(head.status.as_u16()));
        }
        hop_by_hop::remove(&mut head.headers, &self.table.request_id_field);
        drop_length(&parts.method, &mut head);
        Ok(Response::from_parts(head, content))
    }

    /// What is not forwarded at all.
    fn refuse(&self, parts: &request::Parts) -> Result<(), ProxyError> {
        if matches!(parts.method, Method::TRACE | Method::CONNECT) {
            return Err(ProxyError::MethodRefused(parts.method.clone()));
        }
        if forwarding::is_websocket(&parts.headers) {
            return Err(ProxyError::WebSocketRefused);
        }
        if forwarding::is_loop(&parts.headers, &self.pseudonym) {
            return Err(ProxyError::Loop(self.pseudonym.clone()));
        }
        Ok(())
    }

    fn deadline(&self, invocation: &Invocation) -> Instant {
        match self.table.request_timeout {
            Some(limit) => invocation.deadline.min(invocation.started + limit),
            None => invocation.deadline,
        }
    }
}

/// The target for the back end: its base path, then the client's path and query, byte for byte.
fn target(backend: &Backend, uri: Uri) -> Result<Uri, ProxyError> {
    if backend.base_path.is_empty() {
        return Ok(uri);
    }
    if has_dot_segment(uri.path()) {
        let problem = format!("a path with dot segments could leave the base path `{}`", backend.base_path);
        return Err(ProxyError::RequestInvalid(problem));
    }
    let received = uri.path_and_query().map_or("", PathAndQuery::as_str);
    if !received.starts_with('/') {
        return Err(ProxyError::RequestInvalid(format!("`{received}` has no place below a base path")));
    }
    PathAndQuery::try_from(format!("{}{received}", backend.base_path))
        .map(Uri::from)
        .map_err(|_| ProxyError::RequestInvalid("the target is too long for its back end".to_owned()))
}

/// The load balancer computes the length of what it gets. Only where there is no content by definition does the field
/// say something else (RFC 9110 section 8.6).
fn drop_length(method: &Method, head: &mut response::Parts) {
    if *method != Method::HEAD && head.status != StatusCode::NOT_MODIFIED {
        head.headers.remove(CONTENT_LENGTH);
    }
}

fn note(record: &mut AccessRecord, trace: &Trace, started: Instant) {
    let since = |earlier: Option<Instant>, later: Option<Instant>| -> Option<Duration> {
        Some(later?.saturating_duration_since(earlier?))
    };
    record.attempts = trace.attempts;
    record.connect_ms = since(trace.connect_started, trace.connected);
    record.first_byte_ms = since(Some(started), trace.first_byte);
}

fn trace_id(value: Option<&HeaderValue>) -> Option<String> {
    value.and_then(|value| value.to_str().ok()).map(str::to_owned)
}
