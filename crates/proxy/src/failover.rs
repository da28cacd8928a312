//! `failover`: the one back end that a request is sent to, or the two. Owns when the second one is asked, and which answer
//! counts then. Sending to one back end, as often as its `retry` says, is `retry`'s.

use std::borrow::Cow;
use std::time::Duration;

use bytes::Bytes;
use crossfade_route::Failover;
use http::{Method, Response};
use tokio::time::Instant;

use crate::attempt::{Bounds, Trace};
use crate::error::Failure;
use crate::invocation::Invocation;
use crate::plan::{Context, Outgoing, Sending};
use crate::proxy::Proxy;
use crate::{AccessRecord, ProxyError, retry};

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
    /// Sends a request to the back end that was chosen, or, where that fails or is known to be down, to the one that
    /// `failover` names.
    pub(crate) async fn send<'t>(
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
                let is_wanted =
                    |failover| failure.is_some_and(|it| is_wanted(failover, &first.parts.method, it, may_be_seen));
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
}

/// Whether this failure of the first back end sends the request to the other one. What the first may have seen, in this
/// attempt or in one before it, goes to the second only if it changes nothing, or the configuration names its method: two
/// systems with stores of their own are not one server, for which idempotence (RFC 9110 section 9.2.2) would be enough.
fn is_wanted(failover: &Failover, method: &Method, failure: Failure, may_be_seen: bool) -> bool {
    let is_named = match failure {
        Failure::Connect => failover.on_connect_error,
        Failure::Timeout => failover.on_timeout,
        Failure::Reset => failover.on_reset,
        Failure::Status(status) => failover.on_codes.contains(status),
    };
    is_named && (!may_be_seen || method.is_safe() || failover.methods.contains(method))
}

/// How a back end failed, in a word for the log.
fn outcome(result: &Result<Response<Bytes>, ProxyError>) -> Cow<'static, str> {
    match result {
        Ok(response) => response.status().as_str().to_owned().into(),
        Err(error) => error.error_type().into(),
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
