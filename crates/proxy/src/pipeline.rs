//! What happens to a request, in its order. The stages have their own modules; this one owns the order, and what is
//! done with the answer.

use std::borrow::Cow;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crossfade_route::{Observer, PemFile, RoutingTable};
use http::header::{CONTENT_LENGTH, HOST, HeaderValue, SET_COOKIE};
use http::{Method, Request, Response, StatusCode};
use tokio::time::Instant;

use crate::attempt::{Bounds, Trace};
use crate::identity::Identity;
use crate::mirror::{Pending, Primary};
use crate::plan::{Context, Outgoing, Plan, Planner, Sending, Step};
use crate::upstream::{SetupError, Upstream, Upstreams};
use crate::{AccessRecord, ProxyError, failover, forwarding, hop_by_hop, public_url, respond, retry, shared_cache};

/// The proxy: a routing table and the live clients of its back ends. Shared by all invocations.
#[derive(Debug)]
pub struct Proxy {
    table: RoutingTable,
    /// In the order of [`RoutingTable::backends`].
    pub(crate) upstreams: Vec<Upstream>,
    /// The same for copies of requests, which must not be felt by the requests themselves; empty if no route has a mirror.
    pub(crate) apart: Vec<Upstream>,
    identity: Identity,
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
    /// Tells functions of one name in different accounts and regions apart, for loops. The same in all invocations of a
    /// process; `None` if it is not known.
    pub deployment: Option<u32>,
    /// When it began.
    pub started: Instant,
    /// The same by the clock on the wall.
    pub time: SystemTime,
    /// When the answer must be there.
    pub deadline: Instant,
    /// Random bits, others for each invocation: for shares of traffic and for ids.
    pub seed: u128,
}

/// An answer and the record of how it came to be.
#[derive(Debug)]
pub struct Exchange<'t> {
    /// For the client.
    pub response: Response<Bytes>,
    /// For the log.
    pub record: AccessRecord,
    /// For [`Proxy::mirror`], once the client has its answer.
    pub pending: Option<Box<Pending<'t>>>,
}

/// The answer of a back end.
#[derive(Clone, Debug)]
pub(crate) struct Answered<'t> {
    pub(crate) response: Response<Bytes>,
    /// What it is the answer to.
    pub(crate) sent: Outgoing<'t>,
    /// From sending to the last byte, without the time for a new connection.
    pub(crate) took: Duration,
}

impl Proxy {
    /// Makes the clients; opens no connection. `cert_file` is trusted for every back end besides the built-in roots;
    /// `pseudonym` names this proxy, and no other of its account and region, in `CDN-Loop` and `Via`.
    ///
    /// # Errors
    ///
    /// [`SetupError`] for what cannot work with any request.
    pub fn new(
        table: RoutingTable,
        cert_file: Option<&PemFile>,
        pseudonym: &str,
        limits: Limits,
    ) -> Result<Self, SetupError> {
        let mut made = Upstreams::new(table.backends().len(), cert_file);
        let upstreams: Vec<Upstream> =
            table.backends().iter().map(|backend| made.upstream(backend)).collect::<Result<_, _>>()?;
        let has_mirror = table.routes().iter().chain([table.default_route()]).any(|route| route.mirror.is_some());
        let apart = if has_mirror { upstreams.iter().map(Upstream::apart).collect() } else { Vec::new() };
        Ok(Proxy { table, upstreams, apart, identity: Identity::new(pseudonym), limits })
    }

    /// The configuration.
    #[must_use]
    pub fn table(&self) -> &RoutingTable {
        &self.table
    }

    /// What would happen to a request, without sending anything. The observer is told of the routes passed over.
    ///
    /// # Errors
    ///
    /// What the request would fail with before anything is sent.
    pub fn plan<'t, O: Observer>(
        &'t self,
        request: Request<Bytes>,
        invocation: &'t Invocation,
        observer: &mut O,
    ) -> Result<Plan<'t>, ProxyError> {
        let (parts, body) = request.into_parts();
        self.planner(invocation).plan(parts, &body, observer)
    }

    /// The copy of a request that the mirror of its route takes.
    ///
    /// # Errors
    ///
    /// Why no copy can be made, or [`ProxyError::Internal`] if it is not copied.
    pub fn copy<'t>(
        &'t self,
        context: &Context<'t>,
        sending: &Sending<'t>,
        invocation: &'t Invocation,
    ) -> Result<Outgoing<'t>, ProxyError> {
        let copy = sending.copy.as_deref().cloned();
        let copy = copy.ok_or_else(|| ProxyError::Internal("nothing is copied".to_owned()))?;
        self.planner(invocation).copy(context, sending.forward, copy, &Bytes::new()).0
    }

    /// The name of a back end.
    pub(crate) fn name_of(&self, index: usize) -> &str {
        self.table.backends().get(index).map_or("", |backend| backend.name.as_str())
    }

    pub(crate) fn planner<'t>(&'t self, invocation: &'t Invocation) -> Planner<'t> {
        Planner { table: &self.table, identity: &self.identity, invocation }
    }

    /// Answers a request. A failure is an answer, too.
    pub async fn handle<'t>(&'t self, request: Request<Bytes>, invocation: &'t Invocation) -> Exchange<'t> {
        let mut record = AccessRecord {
            time: Some(invocation.time),
            request_id: invocation.request_id.clone(),
            trace_id: trace_id(request.headers().get(forwarding::X_AMZN_TRACE_ID).or(invocation.trace_id.as_ref())),
            method: Some(request.method().to_string()),
            path: Some(request.uri().path().to_owned()),
            request_bytes: request.body().len(),
            ..AccessRecord::default()
        };
        let mut pending = None;
        let response = self.answer(request, invocation, &mut record, &mut pending).await.unwrap_or_else(|error| {
            record.note(&error);
            respond::failure(&error)
        });
        record.status = response.status().as_u16();
        record.response_bytes = response.body().len();
        record.total_ms = Some(invocation.started.elapsed());
        Exchange { response, record, pending }
    }

    async fn answer<'t>(
        &'t self,
        request: Request<Bytes>,
        invocation: &'t Invocation,
        record: &mut AccessRecord,
        pending: &mut Option<Box<Pending<'t>>>,
    ) -> Result<Response<Bytes>, ProxyError> {
        let (parts, body) = request.into_parts();
        let Plan { context, step } = self.planner(invocation).plan(parts, &body, &mut ())?;
        record.route = Some(context.route.name.clone());

        let mut sending = match step {
            Step::Fail(error) => return Err(error),
            Step::Answer(response) => return Ok(response),
            Step::Send(sending) => sending,
        };
        record.chosen = Some(sending.choice.reason.as_str());
        let (forward, set_cookie, copy) = (sending.forward, sending.choice.set_cookie.clone(), sending.copy.take());
        let mut result = self.send(&context, *sending, &body, invocation, record).await;
        if let Ok(Answered { response, sent, .. }) = &mut result {
            self.received(response, sent);
        }
        let copied = copy.map(|copy| (copy, Primary::of(&result, record.backend.as_ref())));
        let result = result.map(|Answered { mut response, sent, .. }| {
            context.edit_response(invocation, Some(sent.backend), response.headers_mut());
            // Ours comes last: without it users would change sides. But a cache would hand it to everyone.
            if let Some(cookie) = set_cookie.filter(|_| !shared_cache::may_store(response.status(), response.headers()))
            {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            response
        });
        *pending = copied
            .filter(|(copy, primary)| !primary.is(self.name_of(copy.mirror.backend)))
            .map(|(copy, primary)| Box::new(Pending { copy: *copy, context, forward, body, primary }));
        result
    }

    /// Sends a request to the back end that was chosen, or, where that fails or is known to be down, to the one that
    /// `failover` names.
    async fn send<'t>(
        &'t self,
        context: &Context<'t>,
        sending: Sending<'t>,
        body: &Bytes,
        invocation: &'t Invocation,
        record: &mut AccessRecord,
    ) -> Result<Answered<'t>, ProxyError> {
        let bounds = self.bounds(invocation);
        let Sending { forward, outgoing: first, otherwise, .. } = sending;
        if bounds.is_over() {
            return Err(ProxyError::NoTime);
        }
        let down_for = |index: usize| {
            let upstream = &self.upstreams[index];
            upstream.backend.outlier.and_then(|_| upstream.health.down_for(bounds.wall_clock()))
        };

        let mut first_answer = None;
        let otherwise = match (down_for(first.index), otherwise) {
            (Some(left), otherwise) => {
                record.pass_over(first.backend, "down".into());
                let down = |left| ProxyError::Down { backend: first.backend.name.clone(), left };
                let otherwise = otherwise.ok_or_else(|| down(left))?;
                if let Some(other_left) = down_for(otherwise.failover.to) {
                    record.pass_over(&self.upstreams[otherwise.failover.to].backend, "down".into());
                    return Err(down(left.min(other_left)));
                }
                otherwise
            }
            (None, otherwise) => {
                let (result, Trace { took, may_be_seen, .. }) = self.send_one(&first, body, bounds, record).await;
                let failure = retry::failure(&result);
                let is_wanted = |failover| {
                    failure.is_some_and(|it| failover::is_wanted(failover, &first.parts.method, it, may_be_seen))
                };
                match otherwise.filter(|otherwise| is_wanted(otherwise.failover) && !bounds.is_over()) {
                    None => return result.map(|response| Answered { response, sent: first, took }),
                    Some(otherwise) => {
                        record.pass_over(first.backend, outcome(&result));
                        first_answer = result.ok().map(|response| (response, took));
                        otherwise
                    }
                }
            }
        };
        let to = otherwise.failover.to;
        let elsewhere = async {
            let second = self.planner(invocation).elsewhere(context, forward, *otherwise, body)?;
            let (result, Trace { took, .. }) = self.send_one(&second, body, bounds, record).await;
            result.map(|response| Answered { response, sent: second, took })
        };
        match (elsewhere.await, first_answer) {
            // A bad answer is better than none.
            (Err(error), Some((response, took))) => {
                record.pass_over(&self.upstreams[to].backend, error.error_type().into());
                record.backend = Some(first.backend.name.clone());
                Ok(Answered { response, sent: first, took })
            }
            (result, _) => result,
        }
    }

    async fn send_one(
        &self,
        outgoing: &Outgoing<'_>,
        body: &Bytes,
        bounds: Bounds,
        record: &mut AccessRecord,
    ) -> (Result<Response<Bytes>, ProxyError>, Trace) {
        let mut trace = Trace::default();
        let result = retry::send(&self.upstreams[outgoing.index], &outgoing.parts, body, bounds, &mut trace).await;
        record.backend = Some(outgoing.backend.name.clone());
        note(record, &trace, bounds.started);
        (result, trace)
    }

    /// Makes the answer of a back end that of the client's request.
    pub(crate) fn received(&self, response: &mut Response<Bytes>, sent: &Outgoing<'_>) {
        drop_length(&sent.parts.method, response);
        let fields = response.headers_mut();
        hop_by_hop::remove(fields, &self.table.request_id_field);
        if let Some(public) = &sent.backend.public_url {
            public_url::apply(public, sent.backend, sent.parts.headers.get(HOST), fields);
        }
    }

    pub(crate) fn bounds(&self, invocation: &Invocation) -> Bounds {
        let deadline = match self.table.request_timeout {
            Some(limit) => invocation.deadline.min(invocation.started + limit),
            None => invocation.deadline,
        };
        Bounds {
            deadline,
            response_bytes: self.limits.response_bytes,
            started: invocation.started,
            now: invocation.time,
            // The low bits choose targets.
            jitter: 0.5 + f64::from((invocation.seed >> 112) as u16) / f64::from(u16::MAX) / 2.0,
        }
    }
}

/// How a back end failed, in a word for the log.
fn outcome(result: &Result<Response<Bytes>, ProxyError>) -> Cow<'static, str> {
    match result {
        Ok(response) => response.status().as_str().to_owned().into(),
        Err(error) => error.error_type().into(),
    }
}

/// The load balancer computes the length of what it gets. Only where there is no content by definition does the field
/// say something else (RFC 9110 section 8.6).
fn drop_length(method: &Method, response: &mut Response<Bytes>) {
    if *method != Method::HEAD && response.status() != StatusCode::NOT_MODIFIED {
        response.headers_mut().remove(CONTENT_LENGTH);
    }
}

/// Adds what happened at one back end.
fn note(record: &mut AccessRecord, trace: &Trace, started: Instant) {
    let since = |earlier: Option<Instant>, later: Option<Instant>| -> Option<Duration> {
        Some(later?.saturating_duration_since(earlier?))
    };
    record.attempts += trace.attempts;
    record.retries += trace.retries;
    record.connect_ms = since(trace.connect_started, trace.connected);
    record.first_byte_ms = since(Some(started), trace.first_byte);
    record.connection_auth = trace.connection_auth.or(record.connection_auth);
}

fn trace_id(value: Option<&HeaderValue>) -> Option<String> {
    value.and_then(|value| value.to_str().ok()).map(str::to_owned)
}
