//! Sending a request to its back end again (`retry`), and what counts as a failure of a back end. One sending is
//! `attempt`'s; going to another back end is `failover`'s.

use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crossfade_journal::{Journal, Role};
use crossfade_route::{Retry, may_repeat};
use http::{Method, Response, request};
use tokio::time::Instant;

use crate::ProxyError;
use crate::attempt::{self, Bounds};
use crate::body::Body;
use crate::error::Failure;
use crate::time::SHORTEST;
use crate::upstream::{Signal, Upstream};

/// Sends a request, as often as `retry` of the back end allows, and reports each result to the circuit breaker.
pub(crate) async fn send<'t>(
    upstream: &'t Upstream,
    parts: &request::Parts,
    body: &Bytes,
    bounds: Bounds,
    mut role: Role,
    journal: &mut Journal<'t>,
) -> Result<Response<Body<'t>>, ProxyError> {
    upstream.health.earn_retry();
    let mut sent_again = 0;
    loop {
        let limit = upstream.backend.timeouts.backend_request;
        let mut result = attempt::send(upstream, parts, body, bounds, limit, role, journal).await;
        match (signal(parts, &result), result.as_mut().map(Response::body_mut)) {
            (Signal::Success, Ok(Body::Streamed(streamed))) => streamed.is_noted_at_end = true,
            (signal, _) => upstream.health.note(signal, bounds.wall_clock()),
        }
        let Some(wait) = wait_before_next(upstream.backend.retry.as_ref(), &parts.method, &result, sent_again) else {
            return result;
        };
        let wait = wait.mul_f64(bounds.jitter);
        let left = bounds.deadline.saturating_duration_since(Instant::now());
        if left <= wait.saturating_add(SHORTEST) || !upstream.health.spend_retry() {
            return result;
        }
        tokio::time::sleep(wait).await;
        // The process may have been frozen meanwhile.
        if bounds.is_over() {
            return result;
        }
        sent_again += 1;
        role = Role::Retry;
    }
}

/// The wait before the next sending; `None` if there is none.
fn wait_before_next(
    retry: Option<&Retry>,
    method: &Method,
    result: &Result<Response<Body<'_>>, ProxyError>,
    sent_again: u32,
) -> Option<Duration> {
    let retry = retry.filter(|retry| sent_again < retry.attempts)?;
    let is_wanted = match failure(result)? {
        Failure::Connect => true,
        Failure::Timeout | Failure::Reset => may_repeat(method, &retry.methods),
        Failure::Status(status) => retry.codes.contains(status) && may_repeat(method, &retry.methods),
    };
    is_wanted.then(|| retry.backoff.saturating_mul(1 << sent_again.min(8)))
}

/// The kind of failure that a result is; a response is a failure of its status.
pub(crate) fn failure<B>(result: &Result<Response<B>, ProxyError>) -> Option<Failure> {
    match result {
        Ok(response) => Some(Failure::Status(response.status())),
        Err(error) => error.failure(),
    }
}

/// Fields and target of a request, in bytes, beyond what common servers take (8 KB by default). Many of them break the
/// connection rather than respond with 431, above all over HTTP/2.
const LARGE_HEAD: usize = 8000;

/// The result of an attempt, as the circuit breaker (`outlier`) counts it.
pub(crate) fn signal<B>(sent: &request::Parts, result: &Result<Response<B>, ProxyError>) -> Signal {
    match result {
        Ok(response) => match response.status().as_u16() {
            // Caused by this request: an unknown method, a version of HTTP, endless negotiation, a loop, an extension, a
            // network that requires a login. Any client can send such requests on purpose.
            501 | 505 | 506 | 508 | 510 | 511 => Signal::Ignored,
            500.. => Signal::Failure,
            _ => Signal::Success,
        },
        // Any client can send so many fields on purpose.
        Err(error) if error.failure() == Some(Failure::Reset) && size_of_head(sent) > LARGE_HEAD => Signal::Ignored,
        Err(error) if error.is_outage() => Signal::Failure,
        Err(_) => Signal::Ignored,
    }
}

fn size_of_head(parts: &request::Parts) -> usize {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    target + parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
}

impl Bounds {
    /// The wall-clock time, which the circuit breaker uses: other clocks may stop in a frozen environment.
    pub(crate) fn wall_clock(&self) -> SystemTime {
        self.now + self.started.elapsed()
    }
}
