//! Counts access lines in bounded memory, however many there are and whatever clients put into them.
//!
//! Health checks and requests that no route took do not count.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use crossfade_journal::AccessRecord;

use super::{
    BackendTraffic, EndpointTraffic, RouteTraffic, Served, Traffic, TrafficBucket, TrafficTimeline, VersionTraffic,
};
use crate::latency::Histogram;
use crate::proportion::share;
use crate::tally::{OTHER, cut, merge_words};
use crate::timeline::{Merge, Timeline};

/// Routes, back ends, outcomes and versions that are counted by name; further ones are counted together.
const MAX_NAMES: usize = 2_000;
/// Endpoints that are counted by name. Clients make them up, so they take no room from the names of the configuration.
const MAX_ENDPOINTS: usize = 2_000;

/// The route of a health check that the function answers itself.
const HEALTH_CHECK: &str = "health-check";

/// The reasons for a choice that an access line may have.
const REASONS: [&str; 8] = ["only", "weight", "hash", "pin", "opt-in", "otherwise", "assigned", "failover"];

/// Counts of access lines.
#[derive(Debug, Default)]
pub struct TrafficTally {
    routes: BTreeMap<String, RouteTally>,
    versions: BTreeMap<Option<u32>, Use>,
    all: Use,
    lines: u64,
    failures: u64,
    names: usize,
    endpoints: usize,
    /// No endpoint can make room for another one.
    is_full: bool,
    is_folded: bool,
}

#[derive(Debug, Default)]
struct RouteTally {
    requests: u64,
    backends: BTreeMap<String, BackendTally>,
    endpoints: BTreeMap<String, EndpointTally>,
    timeline: Timeline<Counts>,
}

#[derive(Clone, Debug, Default)]
struct BackendTally {
    served: ServedTally,
    tried: u64,
    failed: u64,
    skipped: BTreeMap<String, u64>,
    latency: Histogram,
}

#[derive(Debug, Default)]
struct EndpointTally {
    not_found: u64,
    backends: BTreeMap<String, ServedTally>,
}

#[derive(Clone, Debug, Default)]
struct ServedTally {
    used: Use,
    by: BTreeMap<&'static str, u64>,
}

/// Requests, and the times of the first and the last one.
#[derive(Clone, Copy, Debug, Default)]
struct Use {
    requests: u64,
    span: Option<(SystemTime, SystemTime)>,
}

impl Use {
    fn add(&mut self, requests: u64, time: Option<SystemTime>) {
        self.merge(Use { requests, span: time.map(|time| (time, time)) });
    }

    fn merge(&mut self, other: Use) {
        self.requests += other.requests;
        self.span = match (self.span, other.span) {
            (Some(own), Some(other)) => Some((own.0.min(other.0), own.1.max(other.1))),
            (own, other) => own.or(other),
        };
    }
}

impl ServedTally {
    fn add(&mut self, requests: u64, time: Option<SystemTime>, by: &'static str) {
        self.used.add(requests, time);
        *self.by.entry(by).or_default() += requests;
    }

    fn merge(&mut self, other: ServedTally) {
        self.used.merge(other.used);
        for (by, requests) in other.by {
            *self.by.entry(by).or_default() += requests;
        }
    }

    fn served(&self, of: u64) -> Served {
        let (first, last) = self.used.span.unzip();
        Served { requests: self.used.requests, share: share(self.used.requests, of), by: self.by.clone(), first, last }
    }
}

impl BackendTally {
    fn merge(&mut self, other: &BackendTally) {
        self.served.merge(other.served.clone());
        self.tried += other.tried;
        self.failed += other.failed;
        merge_words(&mut self.skipped, &other.skipped);
        self.latency.merge(&other.latency);
    }
}

impl EndpointTally {
    fn requests(&self) -> u64 {
        self.backends.values().map(|served| served.used.requests).sum()
    }

    /// Returns whether no back end knows it, as those that scanners try.
    fn is_missing(&self) -> bool {
        self.not_found == self.requests()
    }

    fn merge(&mut self, other: EndpointTally) {
        self.not_found += other.not_found;
        for (name, served) in other.backends {
            self.backends.entry(name).or_default().merge(served);
        }
    }
}

#[derive(Clone, Debug, Default)]
struct Counts {
    /// Requests by back end.
    backends: BTreeMap<String, u64>,
    lines: u64,
}

impl Merge for Counts {
    fn merge(&mut self, other: Self) {
        merge_words(&mut self.backends, &other.backends);
        self.lines += other.lines;
    }
}

impl TrafficTally {
    /// Returns an empty tally.
    #[must_use]
    pub fn new() -> TrafficTally {
        TrafficTally::default()
    }

    /// Counts a line, without its endpoint. The order of lines matters only beyond a limit.
    pub fn add(&mut self, record: &AccessRecord<'_>) {
        self.count(record, None);
    }

    /// Counts a line of this endpoint: a name that is the same for all requests that differ in values only.
    pub fn add_at(&mut self, record: &AccessRecord<'_>, endpoint: &str) {
        self.count(record, Some(endpoint));
    }

    fn count(&mut self, record: &AccessRecord<'_>, endpoint: Option<&str>) {
        let Some(route) = record.route.as_deref().filter(|route| *route != HEALTH_CHECK) else { return };
        // A line without a time says that it is of 1970.
        let time = Some(record.time).filter(|time| *time != UNIX_EPOCH);
        let requests = record.requests();
        self.lines += 1;
        self.failures += u64::from(is_failure(record));
        self.all.add(requests, time);
        self.versions.entry(self.known_version(record.live)).or_default().add(requests, time);

        let route = self.known(route, |tally, name| tally.routes.contains_key(name));
        self.routes.entry(route.clone()).or_default().requests += requests;
        for skipped in &record.skipped {
            self.add_skipped(&route, &skipped.backend, &skipped.outcome, requests);
        }
        let Some(name) = record.backend.as_deref() else { return };
        let by = reason(record, name);
        let backend = self.known_backend(&route, name);
        if let Some(endpoint) = endpoint {
            let endpoint = self.known_endpoint(&route, endpoint, record.status);
            let Some(tally) = self.routes.get_mut(&route) else { return };
            let endpoint = tally.endpoints.entry(endpoint).or_default();
            endpoint.backends.entry(backend.clone()).or_default().add(requests, time, by);
            endpoint.not_found += if record.status == 404 { requests } else { 0 };
        }
        let Some(tally) = self.routes.get_mut(&route) else { return };
        if let Some(time) = time {
            let counts = tally.timeline.bucket(time);
            *counts.backends.entry(backend.clone()).or_default() += requests;
            counts.lines += 1;
        }
        let tally = tally.backends.entry(backend).or_default();
        tally.served.add(requests, time, by);
        tally.tried += requests;
        if record.is_failure() {
            tally.failed += requests;
        } else if record.skipped.is_empty() {
            tally.latency.add(record.total_ms);
        }
    }

    fn add_skipped(&mut self, route: &str, backend: &str, outcome: &str, requests: u64) {
        let name = self.known_backend(route, backend);
        let outcome = self.known(outcome, |tally, outcome| {
            let backend = tally.routes.get(route).and_then(|route| route.backends.get(&name));
            backend.is_some_and(|backend| backend.skipped.contains_key(outcome))
        });
        let Some(tally) = self.routes.get_mut(route) else { return };
        let backend = tally.backends.entry(name).or_default();
        // One whose circuit breaker is open was not asked.
        if outcome != "open" {
            backend.tried += requests;
            backend.failed += requests;
        }
        *backend.skipped.entry(outcome).or_default() += requests;
    }

    /// Returns the counts so far.
    #[must_use]
    pub fn traffic(&self) -> Traffic {
        let (mut backends, mut timeline) = (BTreeMap::<&str, BackendTally>::new(), Timeline::default());
        for route in self.routes.values() {
            for (name, backend) in &route.backends {
                backends.entry(name).or_default().merge(backend);
            }
            timeline.merge(&route.timeline);
        }
        let version = |(version, used): (&Option<u32>, &Use)| {
            let (first, last) = used.span.unzip();
            let share = share(used.requests, self.all.requests);
            VersionTraffic { version: *version, requests: used.requests, share, first, last }
        };
        let minutes = self.minutes();
        let (from, until) = self.all.span.unzip();
        Traffic {
            requests: self.all.requests,
            lines: self.lines,
            failures: self.failures,
            from,
            until,
            backends: figures(backends.iter().map(|(name, tally)| (*name, tally)), minutes),
            routes: self.routes.iter().map(|(name, route)| route.traffic(name, minutes)).collect(),
            versions: self.versions.iter().map(version).collect(),
            timeline: over_time(&timeline),
            folded: self.is_folded,
        }
    }

    /// The time of the log, at least a second.
    fn minutes(&self) -> f64 {
        let span = self.all.span.and_then(|(first, last)| last.duration_since(first).ok()).unwrap_or_default();
        span.as_secs_f64().max(1.0) / 60.0
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

    fn known_backend(&mut self, route: &str, name: &str) -> String {
        self.known(name, |tally, name| tally.routes.get(route).is_some_and(|route| route.backends.contains_key(name)))
    }

    fn known_version(&self, version: Option<u32>) -> Option<u32> {
        let has_room = self.versions.len() < MAX_NAMES || self.versions.contains_key(&version);
        version.filter(|_| has_room)
    }

    fn known_endpoint(&mut self, route: &str, endpoint: &str, status: u16) -> String {
        let name = cut(endpoint);
        if self.routes.get(route).is_some_and(|route| route.endpoints.contains_key(&name)) {
            return name;
        }
        if self.endpoints >= MAX_ENDPOINTS && status != 404 && !self.is_full {
            self.fold_missing();
        }
        if self.endpoints >= MAX_ENDPOINTS {
            self.is_folded = true;
            return OTHER.to_owned();
        }
        self.endpoints += 1;
        name
    }

    /// Makes room: endpoints that no back end knows are counted together.
    fn fold_missing(&mut self) {
        let before = self.endpoints;
        for route in self.routes.values_mut() {
            let missing: Vec<EndpointTally> = route
                .endpoints
                .extract_if(.., |name, endpoint| name != OTHER && endpoint.is_missing())
                .map(|it| it.1)
                .collect();
            self.endpoints -= missing.len();
            for endpoint in missing {
                route.endpoints.entry(OTHER.to_owned()).or_default().merge(endpoint);
            }
        }
        self.is_full = self.endpoints == before;
        self.is_folded = true;
    }
}

impl RouteTally {
    fn traffic(&self, name: &str, minutes: f64) -> RouteTraffic {
        let endpoint = |(name, tally): (&String, &EndpointTally)| {
            let requests = tally.requests();
            let backend = |(name, served): (&String, &ServedTally)| (name.clone(), served.served(requests));
            EndpointTraffic {
                endpoint: name.clone(),
                requests,
                not_found: tally.not_found,
                backends: tally.backends.iter().map(backend).collect(),
            }
        };
        let mut endpoints: Vec<EndpointTraffic> = self.endpoints.iter().map(endpoint).collect();
        endpoints.sort_by_key(|endpoint| std::cmp::Reverse(endpoint.requests));
        RouteTraffic {
            route: name.to_owned(),
            requests: self.requests,
            backends: figures(self.backends.iter().map(|(name, tally)| (name.as_str(), tally)), minutes),
            endpoints,
            timeline: over_time(&self.timeline),
        }
    }
}

/// Returns the figures of back ends that serve the same requests.
fn figures<'t>(
    backends: impl Iterator<Item = (&'t str, &'t BackendTally)> + Clone,
    minutes: f64,
) -> Vec<BackendTraffic> {
    let served: u64 = backends.clone().map(|(_, tally)| tally.served.used.requests).sum();
    let figures = |(name, tally): (&str, &BackendTally)| BackendTraffic {
        backend: name.to_owned(),
        served: tally.served.served(served),
        per_minute: tally.served.used.requests as f64 / minutes,
        tried: tally.tried,
        failed: tally.failed,
        skipped: tally.skipped.clone(),
        latency: tally.latency.percentiles(),
        histogram: tally.latency.clone(),
    };
    backends.map(figures).collect()
}

fn over_time(timeline: &Timeline<Counts>) -> TrafficTimeline {
    let bucket = |(number, counts): (&u64, &Counts)| TrafficBucket {
        begin: number * timeline.width,
        backends: counts.backends.clone(),
        lines: counts.lines,
    };
    TrafficTimeline { seconds: timeline.width, buckets: timeline.buckets.iter().map(bucket).collect() }
}

/// The reason for which this back end served a request.
fn reason(record: &AccessRecord<'_>, backend: &str) -> &'static str {
    let has_one_step = record.skipped.is_empty() && record.journal.is_empty();
    let steps = if has_one_step { Vec::new() } else { record.steps() };
    let by = steps.iter().rfind(|step| step.backend == backend).and_then(|step| step.by);
    let by = by.or(record.chosen.as_deref().filter(|_| has_one_step));
    by.and_then(|by| REASONS.into_iter().find(|known| *known == by)).unwrap_or("unknown")
}

/// Returns whether every log has the line, however reduced it is.
fn is_failure(record: &AccessRecord<'_>) -> bool {
    record.status >= 500 || record.error.is_some() || !record.skipped.is_empty() || !record.journal.is_empty()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    const BEGIN: u64 = 1_900_000_000;

    /// A line at this second.
    fn line(second: u64, members: serde_json::Value) -> AccessRecord<'static> {
        let time = humantime::format_rfc3339(UNIX_EPOCH + Duration::from_secs(BEGIN + second));
        let mut line = json!({
            "type": "access", "version": 3, "time": time.to_string(), "route": "orders", "status": 200, "total_ms": 10.0,
            "backend": "legacy", "chosen": "weight",
        });
        line.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        serde_json::from_value(line).unwrap()
    }

    fn at(second: u64) -> Option<SystemTime> {
        Some(UNIX_EPOCH + Duration::from_secs(BEGIN + second))
    }

    #[test]
    fn requests_by_back_end_endpoint_and_version() {
        let mut tally = TrafficTally::new();
        for second in 0..60 {
            tally.add_at(&line(second, json!({ "live": 1 })), "GET /orders/{id}");
        }
        for second in 60..100 {
            let modern = json!({ "live": 2, "backend": "modern", "total_ms": 20.0 });
            tally.add_at(&line(second, modern), "GET /orders/{id}/items");
        }
        for (second, members) in [
            (110, json!({ "target": "modern", "skipped": [{ "backend": "modern", "outcome": "503" }] })),
            (111, json!({ "backend": "modern", "status": 502 })),
            (120, json!({ "target": "modern", "skipped": [{ "backend": "modern", "outcome": "open" }] })),
            (120, json!({ "backend": null, "chosen": null, "status": 301 })),
            (120, json!({ "route": "health-check", "backend": null })),
            (120, json!({ "route": null, "backend": null })),
        ] {
            let mut line = line(second, members);
            line.live = Some(2);
            tally.add_at(&line, "GET /orders/{id}");
        }
        // A time that is not there does not make the log begin in 1970.
        let mut undated = line(0, json!({}));
        undated.time = UNIX_EPOCH;
        tally.add(&undated);

        let traffic = tally.traffic();
        assert_eq!((traffic.requests, traffic.lines, traffic.failures), (105, 105, 3));
        assert_eq!((traffic.from, traffic.until), (at(0), at(120)));
        let [route] = &traffic.routes[..] else { panic!("{traffic:?}") };
        let [legacy, modern] = &route.backends[..] else { panic!("{route:?}") };
        assert_eq!((legacy.served.requests, legacy.tried, legacy.failed, legacy.per_minute), (63, 63, 0, 31.5));
        assert_eq!(legacy.served.by, BTreeMap::from([("failover", 2), ("weight", 61)]));
        assert_eq!((legacy.served.first, legacy.served.last), (at(0), at(120)));
        assert_eq!((modern.served.requests, modern.tried, modern.failed), (41, 42, 2));
        assert_eq!(modern.skipped, [("503", 1), ("open", 1)].map(|(word, count)| (word.to_owned(), count)).into());
        assert!((modern.served.share - 41.0 / 104.0).abs() < 1e-12);
        assert!((modern.latency.as_ref().unwrap().p50 - 20.0).abs() < 0.3);
        let [first, second] = &route.endpoints[..] else { panic!("{route:?}") };
        assert_eq!((first.endpoint.as_str(), first.requests), ("GET /orders/{id}", 63));
        assert_eq!((second.requests, second.backends["modern"].last), (40, at(99)));
        let versions: Vec<_> = traffic.versions.iter().map(|used| (used.version, used.requests)).collect();
        assert_eq!(versions, [(None, 1), (Some(1), 60), (Some(2), 44)]);
    }

    #[test]
    fn a_line_counts_for_the_requests_that_it_stands_for() {
        let mut tally = TrafficTally::new();
        tally.add_at(&line(0, json!({ "weight": 10, "status": 404 })), "GET /a");
        tally.add_at(&line(1, json!({ "weight": 10, "live": 1 })), "GET /a");
        tally.add_at(&line(2, json!({ "status": 500, "live": 1 })), "GET /a");
        tally.add_at(&line(3, json!({ "weight": 0, "backend": "modern" })), "GET /a");
        let traffic = tally.traffic();
        assert_eq!((traffic.requests, traffic.lines), (22, 4));
        let [legacy, modern] = &traffic.backends[..] else { panic!("{traffic:?}") };
        assert_eq!((legacy.served.requests, legacy.tried, legacy.failed), (21, 21, 1));
        assert_eq!(modern.served.requests, 1);
        let versions: Vec<_> = traffic.versions.iter().map(|used| (used.version, used.requests)).collect();
        assert_eq!(versions, [(None, 11), (Some(1), 11)]);
        assert_eq!((traffic.routes[0].endpoints[0].requests, traffic.routes[0].endpoints[0].not_found), (22, 10));
        assert_eq!(traffic.timeline.buckets.iter().flat_map(|bucket| bucket.backends.values()).sum::<u64>(), 22);
    }

    /// The reason is that of the back end whose response the client got, in lines of any version.
    #[test]
    fn reasons_are_those_of_the_last_back_end() {
        let journal = |backend: &str, role: &str, outcome: &str| json!({ "backend": backend, "role": role, "outcome": outcome, "began_ms": 0.0, "took_ms": 1.0 });
        let skipped = json!([{ "backend": "modern", "outcome": "503" }]);
        for (members, by) in [
            (json!({}), "weight"),
            (json!({ "chosen": "opt-in" }), "opt-in"),
            (json!({ "chosen": "otherwise" }), "otherwise"),
            (json!({ "chosen": null }), "unknown"),
            (json!({ "chosen": "\u{1b}[2J" }), "unknown"),
            (json!({ "chosen": "pin", "target": "modern", "skipped": skipped }), "failover"),
            (json!({ "version": 1, "passed_over": skipped }), "failover"),
            (json!({ "version": 2, "skipped": skipped }), "failover"),
            // A retry is no failover.
            (json!({ "journal": [journal("legacy", "first", "503"), journal("legacy", "retry", "200")] }), "weight"),
            // Both failed, and the client got the first error.
            (
                json!({ "journal": [journal("legacy", "first", "503"), journal("modern", "failover", "connection_refused")] }),
                "weight",
            ),
        ] {
            let mut tally = TrafficTally::new();
            tally.add(&line(0, members.clone()));
            let legacy = tally.traffic().backends.remove(0);
            assert_eq!(
                (legacy.backend.as_str(), &legacy.served.by),
                ("legacy", &BTreeMap::from([(by, 1)])),
                "{members}"
            );
        }
    }

    #[test]
    fn memory_is_bounded_whatever_clients_send() {
        let mut tally = TrafficTally::new();
        for number in 0..3 * MAX_NAMES {
            let name = format!("/{}-{}", "x".repeat(number % 50), number / 50);
            let skipped = json!([{ "backend": name, "outcome": name }]);
            let members = json!({ "route": name, "backend": name, "live": number, "skipped": skipped });
            tally.add_at(&line(number as u64, members), &name);
        }
        let traffic = tally.traffic();
        assert!(traffic.folded && traffic.routes.len() <= MAX_NAMES + 1 && traffic.versions.len() <= MAX_NAMES + 1);
        assert!(
            traffic.routes.iter().map(|route| route.endpoints.len()).sum::<usize>()
                <= MAX_ENDPOINTS + traffic.routes.len()
        );
        assert_eq!(traffic.requests, 3 * MAX_NAMES as u64);
    }

    /// Scanners send any number of paths that nobody knows.
    #[test]
    fn paths_that_no_back_end_knows_take_no_room_from_endpoints() {
        let mut tally = TrafficTally::new();
        for number in 0..2 * MAX_ENDPOINTS {
            tally.add_at(&line(0, json!({ "status": 404 })), &format!("GET /scan{number}"));
            tally.add_at(
                &line(0, json!({ "route": format!("late{}", number % 7) })),
                &format!("GET /real{}", number % 100),
            );
        }
        let traffic = tally.traffic();
        let names = |found: &dyn Fn(&EndpointTraffic) -> bool| {
            traffic.routes.iter().flat_map(|route| &route.endpoints).filter(|endpoint| found(endpoint)).count()
        };
        assert_eq!(names(&|endpoint| endpoint.endpoint.starts_with("GET /real")), 700);
        assert!(names(&|_| true) <= MAX_ENDPOINTS + 8);
        let other = traffic.routes.iter().flat_map(|route| &route.endpoints).find(|it| it.endpoint == OTHER).unwrap();
        assert_eq!(other.requests, other.not_found);
        // When all of them are known, the rest is counted together, in linear time.
        for number in 0..20 * MAX_ENDPOINTS {
            tally.add_at(&line(0, json!({})), &format!("GET /more{number}"));
        }
        let traffic = tally.traffic();
        let counted: u64 = traffic.routes.iter().flat_map(|route| &route.endpoints).map(|it| it.requests).sum();
        assert_eq!(counted, 24 * MAX_ENDPOINTS as u64);
    }

    /// A line of a few names, at any time.
    fn lines() -> impl Strategy<Value = Vec<AccessRecord<'static>>> {
        let time = prop_oneof![0..100_u64, 0..1_000_000_u64, Just(0), Just(250_000_000_000 - BEGIN)];
        let name = || prop::sample::select(vec!["a", "b", "c"]);
        let skipped = prop::option::of((name(), prop::sample::select(vec!["503", "open", "timeout"])));
        let members =
            (time, name(), prop::option::of(name()), skipped, 1..30_u32, prop::sample::select(vec![200, 404, 500]));
        let lines = members.prop_map(|(second, route, backend, skipped, weight, status)| {
            let skipped: Vec<_> =
                skipped.iter().map(|(backend, outcome)| json!({ "backend": backend, "outcome": outcome })).collect();
            line(
                second,
                json!({ "route": route, "backend": backend, "skipped": skipped, "weight": weight, "status": status }),
            )
        });
        prop::collection::vec(lines, 0..60)
    }

    fn counted<'r>(lines: impl Iterator<Item = &'r AccessRecord<'static>>) -> Traffic {
        let mut tally = TrafficTally::new();
        lines.for_each(|line| tally.add_at(line, &format!("GET /{}", line.status)));
        tally.traffic()
    }

    proptest! {
        #[test]
        fn shares_and_counts_add_up(lines in lines()) {
            let traffic = counted(lines.iter());
            let served: u64 = lines.iter().filter(|line| line.backend.is_some()).map(AccessRecord::requests).sum();
            let sums = |backends: &[BackendTraffic]| {
                let requests: u64 = backends.iter().map(|backend| backend.served.requests).sum();
                let reasons: u64 = backends.iter().flat_map(|backend| backend.served.by.values()).sum();
                let share: f64 = backends.iter().map(|backend| backend.served.share).sum();
                (requests, reasons, requests == 0 || (share - 1.0).abs() < 1e-9)
            };
            let timed = |timeline: &TrafficTimeline| {
                timeline.buckets.iter().flat_map(|bucket| bucket.backends.values()).sum::<u64>()
            };
            prop_assert_eq!(sums(&traffic.backends), (served, served, true));
            prop_assert_eq!(timed(&traffic.timeline), served);
            prop_assert!(traffic.timeline.buckets.len() <= 240);
            let mut all = 0;
            for route in &traffic.routes {
                let (requests, reasons, is_whole) = sums(&route.backends);
                prop_assert!(is_whole && requests == reasons && requests <= route.requests);
                prop_assert_eq!(timed(&route.timeline), requests);
                prop_assert_eq!(route.endpoints.iter().map(|endpoint| endpoint.requests).sum::<u64>(), requests);
                all += requests;
            }
            prop_assert_eq!(all, served);
            prop_assert_eq!(traffic.routes.iter().map(|route| route.requests).sum::<u64>(), traffic.requests);
            prop_assert_eq!(traffic.versions.iter().map(|version| version.requests).sum::<u64>(), traffic.requests);
            if let (Some(from), Some(until)) = (traffic.from, traffic.until) {
                for cells in [1, 7, 20] {
                    let cells = traffic.timeline.cells("a", (from, until), cells);
                    prop_assert_eq!(cells.iter().map(|(_, all)| all).sum::<u64>(), served);
                }
            }
        }

        #[test]
        fn the_order_of_lines_does_not_matter(lines in lines()) {
            let json = |traffic: Traffic| serde_json::to_value(traffic).unwrap();
            prop_assert_eq!(json(counted(lines.iter())), json(counted(lines.iter().rev())));
        }
    }
}
