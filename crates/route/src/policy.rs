//! What to do when a back end fails: retry, failover, breaker. Compiled data and the pure decisions on it; who acts on
//! them is the proxy's.

use std::fmt;
use std::ops::RangeInclusive;
use std::time::Duration;

use http::{Method, StatusCode};

/// `retry` of a back end: sending a request to it again.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Retry {
    /// `attempts`: how often at most, besides the first time; 1 to 5.
    pub attempts: u32,
    /// `codes`: answers that are as good as none.
    pub codes: Codes,
    /// `backoff`: the wait before the first retry; it doubles each time.
    pub backoff: Duration,
    /// `methods`: sent again, too, though they are not idempotent, where the back end may have seen them.
    pub methods: Vec<Method>,
    /// `budget`: retries as a share of all requests to the back end, in percent.
    pub budget: u32,
}

/// `failover` of a route: another back end in the same request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failover {
    /// `on`: no connection could be made.
    pub on_connect_error: bool,
    /// `on`: no answer in time.
    pub on_timeout: bool,
    /// `on`: the connection broke, or the answer is no HTTP.
    pub on_reset: bool,
    /// `on`: statuses.
    pub on_codes: Codes,
    /// `to`: index into `RoutingTable::backends`.
    pub to: usize,
    /// `methods`: sent elsewhere, too, though they are not safe, where the back end may have seen them.
    pub methods: Vec<Method>,
}

/// `outlier` of a back end: after `failures` in a row in this environment it counts as down for the time of `hold`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Outlier {
    /// `failures`: failed connections, timeouts, broken answers and statuses from 500.
    pub failures: u32,
    /// `for`.
    pub hold: Duration,
}

/// A set of statuses.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Codes(Vec<RangeInclusive<u16>>);

impl Codes {
    /// Whether a status is one of them.
    #[must_use]
    pub fn contains(&self, status: StatusCode) -> bool {
        self.0.iter().any(|range| range.contains(&status.as_u16()))
    }

    /// Whether there is none.
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

/// As in the file: `502, 5xx`.
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

/// Whether a request that a back end may have seen can be sent again: it is idempotent (RFC 9110 section 9.2.2), or the
/// configuration names its method.
#[must_use]
pub fn may_repeat(method: &Method, named: &[Method]) -> bool {
    method.is_idempotent() || named.contains(method)
}
