//! Traffic: how many requests each back end serves, how well, why, and under which version of the live state, from access lines.
//!
//! Owns the figures; `tally` counts the lines. Judges nothing.

mod tally;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

use crate::assessment::{Percentiles, rounded};
use crate::latency::Histogram;

pub use tally::TrafficTally;

/// The requests of a log.
#[derive(Debug, Serialize)]
pub struct Traffic {
    /// Requests that a route took. In a reduced log, an estimate: a line stands for several.
    pub requests: u64,
    /// Lines of these requests.
    pub lines: u64,
    /// Lines that a reduced log always has: a status from 500, an error, a failed or skipped attempt.
    pub failures: u64,
    /// Times of the first and the last request (RFC 3339, UTC, whole seconds).
    #[serde(serialize_with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub from: Option<SystemTime>,
    /// As [`Traffic::from`].
    #[serde(serialize_with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub until: Option<SystemTime>,
    /// By back end, of all routes together, in the order of their names.
    pub backends: Vec<BackendTraffic>,
    /// By route, in the order of their names.
    pub routes: Vec<RouteTraffic>,
    /// By version of the live state, ascending.
    pub versions: Vec<VersionTraffic>,
    /// Of all routes together.
    pub timeline: TrafficTimeline,
    /// There were too many names, and some were counted together as `(other)`.
    pub folded: bool,
}

/// The requests of a route.
#[derive(Debug, Serialize)]
pub struct RouteTraffic {
    /// The route's name.
    pub route: String,
    /// All of its requests, also those that no back end served.
    pub requests: u64,
    /// The back ends that served some, or failed to, in the order of their names.
    pub backends: Vec<BackendTraffic>,
    /// The one with most requests first.
    pub endpoints: Vec<EndpointTraffic>,
    /// Requests over time.
    pub timeline: TrafficTimeline,
}

/// The requests of a back end.
#[derive(Debug, Serialize)]
pub struct BackendTraffic {
    /// Its name.
    pub backend: String,
    /// The requests whose response or error the client got from it.
    #[serde(flatten)]
    pub served: Served,
    /// Those requests per minute over the time of the whole log.
    #[serde(serialize_with = "rounded")]
    pub per_minute: f64,
    /// Requests that were sent to it, also those that another back end served in the end.
    pub tried: u64,
    /// Those of `tried` that it failed: no response, or one from 500.
    pub failed: u64,
    /// Requests that went from it to another back end, by outcome: `open` (circuit breaker), a status, or an error type.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub skipped: BTreeMap<String, u64>,
    /// Response times in milliseconds, of requests that it served at once; `None` without any.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency: Option<Percentiles>,
    /// All of these times; not serialised.
    #[serde(skip)]
    pub histogram: Histogram,
}

/// Requests that a back end served.
#[derive(Clone, Debug, Serialize)]
pub struct Served {
    /// Their number.
    pub requests: u64,
    /// Their share of those that any back end served.
    #[serde(serialize_with = "rounded")]
    pub share: f64,
    /// Their number by the reason for which this back end served them: that for the route's choice, `failover`, or `unknown`.
    pub by: BTreeMap<&'static str, u64>,
    /// Times of the first and the last one (RFC 3339, UTC, whole seconds).
    #[serde(serialize_with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub first: Option<SystemTime>,
    /// As [`Served::first`].
    #[serde(serialize_with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub last: Option<SystemTime>,
}

/// The requests of an endpoint.
#[derive(Debug, Serialize)]
pub struct EndpointTraffic {
    /// Method and path with placeholders, or `(other)` for those beyond the limit.
    pub endpoint: String,
    /// Requests that a back end served.
    pub requests: u64,
    /// Those whose response was 404.
    pub not_found: u64,
    /// By back end.
    pub backends: BTreeMap<String, Served>,
}

/// The requests that a version of the live state decided.
#[derive(Debug, Serialize)]
pub struct VersionTraffic {
    /// `None`: the configuration alone.
    pub version: Option<u32>,
    /// Requests.
    pub requests: u64,
    /// Their share of all.
    #[serde(serialize_with = "rounded")]
    pub share: f64,
    /// Times of the first and the last one (RFC 3339, UTC, whole seconds).
    #[serde(serialize_with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub first: Option<SystemTime>,
    /// As [`VersionTraffic::first`].
    #[serde(serialize_with = "rfc3339", skip_serializing_if = "Option::is_none")]
    pub last: Option<SystemTime>,
}

/// Requests that back ends served, over time.
#[derive(Debug, Serialize)]
pub struct TrafficTimeline {
    /// Width of a bucket in seconds: a power of two that makes at most 240 buckets span all of them.
    pub seconds: u64,
    /// Buckets with requests, in order of time.
    pub buckets: Vec<TrafficBucket>,
}

/// A span of time of the width [`TrafficTimeline::seconds`].
#[derive(Debug, Serialize)]
pub struct TrafficBucket {
    /// Seconds since 1970.
    pub begin: u64,
    /// Requests by back end.
    pub backends: BTreeMap<String, u64>,
    /// Lines of these requests.
    pub lines: u64,
}

impl TrafficTimeline {
    /// Returns the requests of a back end, and those of all, in each of `cells` equal parts of the time between two moments;
    /// fewer parts if the buckets are wider than that. A bucket counts where it begins.
    #[must_use]
    pub fn cells(&self, backend: &str, (from, until): (SystemTime, SystemTime), cells: u64) -> Vec<(u64, u64)> {
        let (from, until) = (seconds(from), seconds(until));
        let span = until.saturating_sub(from).saturating_add(1);
        let cells = cells.min(span.div_ceil(self.seconds.max(1))).max(1);
        let mut all = vec![(0, 0); usize::try_from(cells).unwrap_or_default()];
        for bucket in &self.buckets {
            let after = u128::from(bucket.begin.saturating_sub(from).min(span - 1));
            let cell = usize::try_from(after * u128::from(cells) / u128::from(span)).unwrap_or_default();
            if let Some((own, total)) = all.get_mut(cell) {
                *own += bucket.backends.get(backend).copied().unwrap_or_default();
                *total += bucket.backends.values().sum::<u64>();
            }
        }
        all
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

fn rfc3339<S: Serializer>(time: &Option<SystemTime>, serializer: S) -> Result<S::Ok, S::Error> {
    time.map(|time| humantime::format_rfc3339_seconds(time).to_string()).serialize(serializer)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn parts_of_the_time_are_equal_and_lose_nothing() {
        let at = |second: u64| UNIX_EPOCH + Duration::from_secs(second);
        let bucket = |begin, requests| {
            let backends = [("legacy", requests), ("modern", 1)].map(|(name, count)| (name.to_owned(), count)).into();
            TrafficBucket { begin, backends, lines: requests + 1 }
        };
        let timeline = TrafficTimeline {
            seconds: 4,
            buckets: vec![bucket(96, 1), bucket(100, 2), bucket(108, 4), bucket(136, 8)],
        };
        for ((from, until), cells, expected) in [
            ((99, 138), 4, &[(7, 10), (0, 0), (0, 0), (8, 9)][..]),
            ((99, 138), 1, &[(15, 19)]),
            // Buckets of four seconds have no twenty parts.
            ((100, 107), 20, &[(3, 5), (12, 14)]),
            ((100, 100), 20, &[(15, 19)]),
            ((0, 253_402_300_799), 2, &[(15, 19), (0, 0)]),
        ] {
            assert_eq!(timeline.cells("legacy", (at(from), at(until)), cells), expected, "{from} {until}");
        }
    }
}
