//! `failover`: sending a request to one back end, or to two. Owns the decision to use the second one, and which response
//! counts then. Sending to one back end, as often as its `retry` says, is `retry`'s.

use std::time::Duration;

use bytes::Bytes;
use crossfade_journal::{Journal, Outcome, Role};
use crossfade_route::Failover;
use http::{Method, Response};

use crate::attempt::Bounds;
use crate::body::Body;
use crate::error::Failure;
use crate::invocation::Invocation;
use crate::plan::{Context, Outgoing, Sending};
use crate::proxy::Proxy;
use crate::{ProxyError, retry};

/// The response of a back end.
#[derive(Debug)]
pub(crate) struct Answered<'t, B = Body<'t>> {
    pub(crate) response: Response<B>,
    /// The request that it answers.
    pub(crate) sent: Outgoing<'t>,
    /// From sending to the last byte, or to the head of one that is streamed, without the time for a new connection.
    pub(crate) took: Duration,
}

impl Proxy {
    /// Sends a request to the back end that was chosen, or, if that fails or its circuit breaker is open, to the one that
    /// `failover` names.
    pub(crate) async fn send<'t>(
        &'t self,
        context: &Context<'t>,
        sending: Sending<'t>,
        body: &Bytes,
        invocation: &'t Invocation,
        journal: &mut Journal<'t>,
    ) -> Result<Answered<'t>, ProxyError> {
        let bounds = self.bounds(invocation, context.route);
        let Sending { forward, outgoing: first, otherwise, .. } = sending;
        if bounds.is_over() {
            return Err(ProxyError::NoTime);
        }
        let open_for = |index: usize| {
            let upstream = &self.upstreams[index];
            upstream.backend.outlier.and_then(|_| upstream.health.open_for(bounds.wall_clock()))
        };

        let mut first_answer = None;
        let otherwise = match (open_for(first.index), otherwise) {
            (Some(left), otherwise) => {
                journal.skip(&first.backend.name, Role::First, bounds.started.elapsed());
                let open = |left| ProxyError::CircuitOpen { backend: first.backend.name.clone(), left };
                let otherwise = otherwise.ok_or_else(|| open(left))?;
                if let Some(other_left) = open_for(otherwise.failover.to) {
                    let name = &self.upstreams[otherwise.failover.to].backend.name;
                    journal.skip(name, Role::Failover, bounds.started.elapsed());
                    return Err(open(left.min(other_left)));
                }
                otherwise
            }
            (None, otherwise) => {
                let (result, took) = self.send_one(&first, body, bounds, Role::First, journal).await;
                let may_be_seen = journal.attempts().any(|attempt| attempt.may_be_seen);
                let failure = retry::failure(&result);
                let is_wanted =
                    |failover| failure.is_some_and(|it| is_wanted(failover, &first.parts.method, it, may_be_seen));
                match otherwise.filter(|otherwise| is_wanted(otherwise.failover) && !bounds.is_over()) {
                    None => return result.map(|response| Answered { response, sent: first, took }),
                    Some(otherwise) => {
                        first_answer = result.ok().map(|response| (response, took));
                        otherwise
                    }
                }
            }
        };
        let (to, of_first) = (&self.upstreams[otherwise.failover.to].backend, journal.len().saturating_sub(1));
        // Boxed, so that a request without a failure has no room for it.
        let elsewhere = Box::pin(async {
            let second =
                self.planner(invocation).elsewhere(context, forward, *otherwise, body).inspect_err(|error| {
                    let now = bounds.started.elapsed();
                    journal.begin(&to.name, Role::Failover, now).end(now, Outcome::Error(error.error_type()), false);
                })?;
            let (result, took) = self.send_one(&second, body, bounds, Role::Failover, journal).await;
            result.map(|response| Answered { response, sent: second, took })
        });
        match (elsewhere.await, first_answer) {
            // A bad response is better than none.
            (Err(_), Some((response, took))) => {
                journal.decide(of_first);
                Ok(Answered { response, sent: first, took })
            }
            (result, _) => result,
        }
    }

    async fn send_one<'t>(
        &'t self,
        outgoing: &Outgoing<'_>,
        body: &Bytes,
        bounds: Bounds,
        role: Role,
        journal: &mut Journal<'t>,
    ) -> (Result<Response<Body<'t>>, ProxyError>, Duration) {
        let upstream = &self.upstreams[outgoing.index];
        let result = retry::send(upstream, &outgoing.parts, body, bounds, role, journal).await;
        (result, journal.last().map_or(Duration::ZERO, |attempt| attempt.took))
    }
}

/// Returns whether this failure of the first back end sends the request to the other one. A request that the first may have
/// seen, in this attempt or an earlier one, goes to the second only if it is safe, or if the configuration names its
/// method: two systems with separate stores are not one server, for which idempotence (RFC 9110 section 9.2.2) would be
/// enough.
fn is_wanted(failover: &Failover, method: &Method, failure: Failure, may_be_seen: bool) -> bool {
    let is_named = match failure {
        Failure::Connect => failover.on_connect_error,
        Failure::Timeout => failover.on_timeout,
        Failure::Reset => failover.on_reset,
        Failure::Status(status) => failover.on_codes.contains(status),
    };
    is_named && (!may_be_seen || method.is_safe() || failover.methods.contains(method))
}
