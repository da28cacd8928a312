//! Policies for failures of back ends: retry, failover, circuit breaker. Owns compiled data and pure decisions; the
//! proxy acts on them.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use http::{Method, StatusCode};

/// `retry` of a back end: sending a request to it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// `attempts`: number of retries after the first attempt, 1 to 5.
    pub attempts: u32,
    /// `codes`: statuses that are retried.
    pub codes: Codes,
    /// `backoff`: time before the first retry; doubles with each retry.
    pub backoff: Duration,
    /// `methods`: methods that are retried although they are not idempotent, even if the back end may have seen the
    /// request.
    pub methods: Vec<Method>,
    /// `budget`: retries as a percentage of all requests to the back end.
    pub budget: u32,
}

/// `failover` of a route: another back end for the same request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// `on`: no connection could be established.
    pub on_connect_error: bool,
    /// `on`: no response in time.
    pub on_timeout: bool,
    /// `on`: the connection broke, or the response is not valid HTTP.
    pub on_reset: bool,
    /// `on`: statuses.
    pub on_codes: Codes,
    /// `to`: index into `RoutingTable::backends`.
    pub to: usize,
    /// `methods`: methods that fail over although they are not safe, even if the back end may have seen the request.
    pub methods: Vec<Method>,
}

/// `outlier` of a back end: after `failures` consecutive failures in this environment its circuit breaker opens for
/// `hold`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlier {
    /// `failures`: failed connections, timeouts, broken responses and 5xx statuses.
    pub failures: u32,
    /// `for`.
    pub hold: Duration,
}

/// A set of statuses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codes(Vec<RangeInclusive<u16>>);

impl Codes {
    /// Returns `true` if the set contains a status.
    #[must_use]
    pub fn contains(&self, status: StatusCode) -> bool {
        self.0.iter().any(|range| range.contains(&status.as_u16()))
    }

    /// Returns `true` if the set is empty.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl FromIterator<RangeInclusive<u16>> for Codes {
    fn from_iter<I: IntoIterator<Item = RangeInclusive<u16>>>(codes: I) -> Self {
        Codes(codes.into_iter().collect())
    }
}

/// Renders as in the file: `502, 5xx`.
impl fmt::Display for Codes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, range) in self.0.iter().enumerate() {
            let separator = if index == 0 { "" } else { ", " };
            match (range.start(), range.end()) {
                (start, end) if start == end => write!(f, "{separator}{start}")?,
                (start, _) => write!(f, "{separator}{}xx", start / 100)?,
            }
        }
        Ok(())
    }
}

/// Returns `true` if a request that a back end may have seen can be sent again: its method is idempotent (RFC 9110
/// section 9.2.2), or the configuration lists it.
#[must_use]
pub fn may_repeat(method: &Method, named: &[Method]) -> bool {
    method.is_idempotent() || named.contains(method)
}
