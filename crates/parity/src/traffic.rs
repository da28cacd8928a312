//! Traffic: how many requests each back end serves, how well, and under which version of the live state, from access lines.
//!
//! Owns these counts in bounded memory, and the trend. Judges nothing; health checks and requests that no route took do not
//! count.

use std::collections::BTreeMap;
use std::time::SystemTime;

use crossfade_journal::AccessRecord;
use serde::Serialize;

use crate::assessment::Percentiles;
use crate::latency::Histogram;
use crate::proportion::share;
use crate::tally::{OTHER, cut};
use crate::timeline::{Merge, Timeline};

/// Routes, back ends, versions and endpoints that are counted by name; further ones are counted together.
const MAX_NAMES: usize = 2_000;

/// The route of a health check that the function answers itself.
const HEALTH_CHECK: &str = "health-check";

/// Counts of access lines.
#[derive(Debug)]
pub struct TrafficTally {
    /// Names the endpoint of a path.
    endpoint: fn(&str) -> String,
    routes: BTreeMap<String, RouteTally>,
    versions: BTreeMap<Option<u32>, Use>,
    span: Option<(SystemTime, SystemTime)>,
    requests: u64,
    names: usize,
    is_folded: bool,
}

#[derive(Debug, Default)]
struct RouteTally {
    requests: u64,
    backends: BTreeMap<String, BackendTally>,
    endpoints: BTreeMap<String, BTreeMap<String, Use>>,
    timeline: Timeline<Counts>,
}

#[derive(Debug, Default)]
struct BackendTally {
    served: Use,
    /// Requests sent to it, also those that another back end served in the end, and how many of them failed.
    tried: u64,
    failed: u64,
    latency: Histogram,
}

/// Requests, and the times of the first and the last one.
#[derive(Clone, Copy, Debug)]
struct Use {
    requests: u64,
    first: SystemTime,
    last: SystemTime,
}

impl Default for Use {
    fn default() -> Self {
        Use { requests: 0, first: SystemTime::UNIX_EPOCH, last: SystemTime::UNIX_EPOCH }
    }
}

impl Use {
    fn add(&mut self, time: SystemTime) {
        (self.first, self.last) = match self.requests {
            0 => (time, time),
            _ => (self.first.min(time), self.last.max(time)),
        };
        self.requests += 1;
    }
}

/// Requests by back end.
#[derive(Debug, Default)]
struct Counts(BTreeMap<String, u64>);

impl Merge for Counts {
    fn merge(&mut self, other: Self) {
        for (name, count) in other.0 {
            *self.0.entry(name).or_default() += count;
        }
    }
}

/// The requests of a log.
#[derive(Debug, Serialize)]
pub struct Traffic {
    /// Requests that count.
    pub requests: u64,
    /// Seconds since 1970 of the first and the last one.
    pub from: Option<u64>,
    /// As [`Traffic::from`].
    pub until: Option<u64>,
    /// By route, in the order of their names.
    pub routes: Vec<RouteTraffic>,
    /// By version of the live state, ascending.
    pub versions: Vec<VersionTraffic>,
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
    /// The back ends that served some, or failed to.
    pub backends: Vec<BackendTraffic>,
    /// By endpoint, the one with most requests first.
    pub endpoints: Vec<EndpointTraffic>,
    /// Width of the buckets in `trend` in seconds.
    pub seconds: u64,
}

/// The requests of a back end.
#[derive(Debug, Serialize)]
pub struct BackendTraffic {
    /// Its name.
    pub backend: String,
    /// Requests that it served.
    pub requests: u64,
    /// Their share of those that any back end served.
    pub share: f64,
    /// Requests per minute over the time of the whole log.
    pub per_minute: f64,
    /// Requests that were sent to it, also those that another back end served in the end.
    pub tried: u64,
    /// Those of `tried` that it failed: no response, or one from 500.
    pub failed: u64,
    /// Response times in milliseconds, of requests that it served at once; `None` without any.
    pub latency: Option<Percentiles>,
    /// Seconds since 1970 of the last request that it served; `None` if it served none.
    pub last: Option<u64>,
    /// All of these times; not serialised.
    #[serde(skip)]
    pub histogram: Histogram,
    /// Its share over time: seconds since 1970, its requests, and those of all back ends.
    pub trend: Vec<(u64, u64, u64)>,
}

/// The requests of an endpoint.
#[derive(Debug, Serialize)]
pub struct EndpointTraffic {
    /// The path with placeholders.
    pub endpoint: String,
    /// Requests by back end.
    pub backends: BTreeMap<String, u64>,
    /// Seconds since 1970 of the last request by back end.
    pub last: BTreeMap<String, u64>,
}

/// The requests that a version of the live state decided.
#[derive(Debug, Serialize)]
pub struct VersionTraffic {
    /// `None`: the configuration alone.
    pub version: Option<u32>,
    /// Requests.
    pub requests: u64,
    /// Seconds since 1970.
    pub first: u64,
    /// Seconds since 1970.
    pub last: u64,
}

impl TrafficTally {
    /// Returns an empty tally. `endpoint` makes the name of an endpoint from a path: the same for all that differ in values only.
    pub fn new(endpoint: fn(&str) -> String) -> TrafficTally {
        TrafficTally {
            endpoint,
            routes: BTreeMap::new(),
            versions: BTreeMap::new(),
            span: None,
            requests: 0,
            names: 0,
            is_folded: false,
        }
    }

    /// Counts a line. The order of lines does not matter.
    pub fn add(&mut self, record: &AccessRecord<'_>) {
        let Some(route) = record.route.as_deref().filter(|route| *route != HEALTH_CHECK) else { return };
        let time = record.time;
        self.requests += 1;
        self.span = Some(self.span.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
        self.versions.entry(self.known_version(record.live)).or_default().add(time);
        let route = self.known(route, |tally, name| tally.routes.contains_key(name));
        let backend = record.backend.as_deref();
        let backend = backend.map(|name| self.known(name, |tally, name| tally.has_backend(&route, name)));
        let skipped: Vec<String> = record
            .skipped
            .iter()
            // It was not asked.
            .filter(|skipped| skipped.outcome != "open")
            .map(|skipped| self.known(&skipped.backend, |tally, name| tally.has_backend(&route, name)))
            .collect();
        let endpoint = (self.endpoint)(record.path.as_deref().unwrap_or_default());
        let endpoint = self.known(&endpoint, |tally, name| {
            tally.routes.get(&route).is_some_and(|route| route.endpoints.contains_key(name))
        });

        let tally = self.routes.entry(route).or_default();
        tally.requests += 1;
        let is_at_once = skipped.is_empty();
        for name in skipped {
            let backend = tally.backends.entry(name).or_default();
            backend.tried += 1;
            backend.failed += 1;
        }
        let Some(name) = backend else { return };
        *tally.timeline.bucket(time).0.entry(name.clone()).or_default() += 1;
        tally.endpoints.entry(endpoint).or_default().entry(name.clone()).or_default().add(time);
        let backend = tally.backends.entry(name).or_default();
        backend.served.add(time);
        backend.tried += 1;
        if record.status >= 500 {
            backend.failed += 1;
        } else if is_at_once {
            backend.latency.add(record.total_ms);
        }
    }

    /// Returns the counts so far.
    pub fn traffic(&self) -> Traffic {
        let version = |(version, used): (&Option<u32>, &Use)| VersionTraffic {
            version: *version,
            requests: used.requests,
            first: seconds(used.first),
            last: seconds(used.last),
        };
        Traffic {
            requests: self.requests,
            from: self.span.map(|(first, _)| seconds(first)),
            until: self.span.map(|(_, last)| seconds(last)),
            routes: self.routes.iter().map(|(name, route)| route.traffic(name, self.minutes())).collect(),
            versions: self.versions.iter().map(version).collect(),
            folded: self.is_folded,
        }
    }

    /// The time of the log, at least a second.
    fn minutes(&self) -> f64 {
        let span = self.span.and_then(|(first, last)| last.duration_since(first).ok()).unwrap_or_default();
        span.as_secs_f64().max(1.0) / 60.0
    }

    fn has_backend(&self, route: &str, name: &str) -> bool {
        self.routes.get(route).is_some_and(|route| route.backends.contains_key(name))
    }

    /// Returns a name, or that of the others if there are too many.
    fn known(&mut self, name: &str, is_known: impl Fn(&Self, &str) -> bool) -> String {
        let name = cut(name);
        if is_known(self, &name) {
            return name;
        }
        if self.names >= MAX_NAMES {
            self.is_folded = true;
            return OTHER.to_owned();
        }
        self.names += 1;
        name
    }

    fn known_version(&self, version: Option<u32>) -> Option<u32> {
        let has_room = self.versions.len() < MAX_NAMES || self.versions.contains_key(&version);
        version.filter(|_| has_room)
    }
}

impl RouteTally {
    fn traffic(&self, name: &str, minutes: f64) -> RouteTraffic {
        let served: u64 = self.backends.values().map(|backend| backend.served.requests).sum();
        let backend = |(name, tally): (&String, &BackendTally)| {
            let point = |(number, counts): (&u64, &Counts)| {
                let own = counts.0.get(name).copied().unwrap_or_default();
                (number * self.timeline.width, own, counts.0.values().sum())
            };
            BackendTraffic {
                backend: name.clone(),
                requests: tally.served.requests,
                share: share(tally.served.requests, served),
                per_minute: tally.served.requests as f64 / minutes,
                tried: tally.tried,
                failed: tally.failed,
                latency: tally.latency.percentiles(),
                histogram: tally.latency.clone(),
                last: (tally.served.requests > 0).then(|| seconds(tally.served.last)),
                trend: self.timeline.buckets.iter().map(point).collect(),
            }
        };
        let endpoint = |(name, backends): (&String, &BTreeMap<String, Use>)| EndpointTraffic {
            endpoint: name.clone(),
            backends: backends.iter().map(|(name, used)| (name.clone(), used.requests)).collect(),
            last: backends.iter().map(|(name, used)| (name.clone(), seconds(used.last))).collect(),
        };
        let mut endpoints: Vec<EndpointTraffic> = self.endpoints.iter().map(endpoint).collect();
        endpoints.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.backends.values().sum::<u64>()));
        RouteTraffic {
            route: name.to_owned(),
            requests: self.requests,
            backends: self.backends.iter().map(backend).collect(),
            endpoints,
            seconds: self.timeline.width,
        }
    }
}

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(SystemTime::UNIX_EPOCH).map_or(0, |since| since.as_secs())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// A line at this second.
    fn line(second: u64, path: &str, members: serde_json::Value) -> AccessRecord<'static> {
        let time = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_900_000_000 + second);
        let mut line = json!({
            "type": "access", "version": 2, "time": humantime::format_rfc3339(time).to_string(), "route": "orders",
            "path": path, "status": 200, "total_ms": 10.0, "backend": "legacy",
        });
        line.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        serde_json::from_value(line).unwrap()
    }

    #[test]
    fn requests_by_back_end_endpoint_and_version() {
        let mut tally = TrafficTally::new(|path| path.replace(|c: char| c.is_ascii_digit(), ""));
        for second in 0..60 {
            tally.add(&line(second, &format!("/orders/{second}"), json!({ "live": 1 })));
        }
        for second in 60..100 {
            tally.add(&line(second, "/orders/7/items", json!({ "live": 2, "backend": "modern", "total_ms": 20.0 })));
        }
        let failed = json!({ "live": 2, "skipped": [{ "backend": "modern", "outcome": "503" }] });
        tally.add(&line(110, "/orders/1", failed));
        tally.add(&line(111, "/orders/1", json!({ "live": 2, "backend": "modern", "status": 502 })));
        let open = json!({ "live": 2, "skipped": [{ "backend": "modern", "outcome": "open" }] });
        tally.add(&line(120, "/orders/1", open));
        tally.add(&line(120, "/orders/1", json!({ "live": 2, "backend": null, "status": 301 })));
        tally.add(&line(120, "/", json!({ "route": "health-check", "backend": null })));
        tally.add(&line(120, "/", json!({ "route": null, "backend": null })));

        let traffic = tally.traffic();
        assert_eq!((traffic.requests, traffic.from, traffic.until), (104, Some(1_900_000_000), Some(1_900_000_120)));
        let [route] = &traffic.routes[..] else { panic!("{traffic:?}") };
        let [legacy, modern] = &route.backends[..] else { panic!("{route:?}") };
        assert_eq!((legacy.requests, legacy.tried, legacy.failed, legacy.per_minute), (62, 62, 0, 31.0));
        assert_eq!((modern.requests, modern.tried, modern.failed), (41, 42, 2));
        assert!((modern.share - 41.0 / 103.0).abs() < 1e-12);
        assert!((modern.latency.as_ref().unwrap().p50 - 20.0).abs() < 0.3);
        assert_eq!(
            modern.trend.iter().map(|(_, own, all)| (own.min(&1), all.min(&1))).collect::<Vec<_>>()[0],
            (&0, &1)
        );
        assert_eq!(route.endpoints[0].endpoint, "/orders/");
        assert_eq!(route.endpoints[1].backends, BTreeMap::from([("modern".to_owned(), 40)]));
        let versions: Vec<_> = traffic.versions.iter().map(|used| (used.version, used.requests)).collect();
        assert_eq!(versions, [(Some(1), 60), (Some(2), 44)]);
    }

    #[test]
    fn memory_is_bounded_whatever_clients_send() {
        let mut tally = TrafficTally::new(|path| path.replace(|c: char| c.is_ascii_digit(), ""));
        for number in 0..3 * MAX_NAMES {
            let name = format!("/{}-{}", "x".repeat(number % 50), number / 50);
            tally.add(&line(0, &name, json!({ "route": name, "backend": name, "live": number })));
        }
        let traffic = tally.traffic();
        assert!(traffic.folded && traffic.routes.len() <= MAX_NAMES + 1 && traffic.versions.len() <= MAX_NAMES + 1);
        assert_eq!(traffic.requests, 3 * MAX_NAMES as u64);
    }
}
