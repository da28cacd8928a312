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
use crate::error::Failure;
use crate::time::SHORTEST;
use crate::upstream::{Sign, Upstream};

/// Sends a request, as often as `retry` of the back end allows, and tells the back end's health how it went.
pub(crate) async fn send<'t>(
    upstream: &'t Upstream,
    parts: &request::Parts,
    body: &Bytes,
    bounds: Bounds,
    mut role: Role,
    journal: &mut Journal<'t>,
) -> Result<Response<Bytes>, ProxyError> {
    upstream.health.earn_retry();
    let mut sent_again = 0;
    loop {
        let limit = upstream.backend.timeouts.backend_request;
        let result = attempt::send(upstream, parts, body, bounds, limit, role, journal).await;
        upstream.health.note(sign(parts, &result), bounds.wall_clock());
        let Some(wait) = wait_before_next(upstream.backend.retry.as_ref(), &parts.method, &result, sent_again) else {
            return result;
        };
        let wait = wait.mul_f64(bounds.jitter);
        let left = bounds.deadline.saturating_duration_since(Instant::now());
        if left <= wait.saturating_add(SHORTEST) || !upstream.health.spend_retry() {
            return result;
        }
        tokio::time::sleep(wait).await;
        // The process may have stood still meanwhile.
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
    result: &Result<Response<Bytes>, ProxyError>,
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

/// How a back end failed, every answer taken for a failure of its status.
pub(crate) fn failure(result: &Result<Response<Bytes>, ProxyError>) -> Option<Failure> {
    match result {
        Ok(response) => Some(Failure::Status(response.status())),
        Err(error) => error.failure(),
    }
}

/// Fields and target of a request, in bytes, beyond what common servers take (8 KB by default). Many of them break the
/// connection rather than answer 431, above all over HTTP/2.
const LARGE_HEAD: usize = 8000;

/// What an attempt counts as for `outlier`.
pub(crate) fn sign(sent: &request::Parts, result: &Result<Response<Bytes>, ProxyError>) -> Sign {
    match result {
        Ok(response) => match response.status().as_u16() {
            // The fault of this request or of what it asks for: an unknown method, a version of HTTP, negotiation without
            // end, a loop, an extension, a network that wants a login. Anybody can send such requests on purpose.
            501 | 505 | 506 | 508 | 510 | 511 => Sign::Neither,
            500.. => Sign::Ill,
            _ => Sign::Well,
        },
        // Anybody can send so many fields on purpose.
        Err(error) if error.failure() == Some(Failure::Reset) && size_of_head(sent) > LARGE_HEAD => Sign::Neither,
        Err(error) if error.is_outage() => Sign::Ill,
        Err(_) => Sign::Neither,
    }
}

fn size_of_head(parts: &request::Parts) -> usize {
    let target = parts.uri.path_and_query().map_or(0, |target| target.as_str().len());
    target + parts.headers.iter().map(|(name, value)| name.as_str().len() + value.len()).sum::<usize>()
}

impl Bounds {
    /// The time by the clock on the wall, which the breaker goes by: others may stand still in a frozen environment.
    pub(crate) fn wall_clock(&self) -> SystemTime {
        self.now + self.started.elapsed()
    }
}
