//! The order in which to switch the old system off: where nobody uses it, where nobody uses it any more, and where it is still in
//! use, with the reasons. Pure.

use std::cmp::Reverse;
use std::time::{SystemTime, UNIX_EPOCH};

use crossfade_parity::number::grouped;
use crossfade_parity::{BackendTraffic, RouteTraffic, Traffic, TrafficBucket, TrafficTimeline, share};
use serde::{Serialize, Serializer};

use super::systems::Systems;

/// Lines that the old system would have had since its last one, if it still served its earlier share: with five, chance explains
/// their absence in less than 1 % of all cases. A line of a reduced log that stands for several requests is no more than one.
const EXPECTED: f64 = 5.0;

/// The use of the old system, in the order of the effort that switching it off takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum State {
    /// It served no request of the log.
    Unused,
    /// It has not served one for so long that this is not chance.
    NoLongerUsed,
    /// There is no request to tell by.
    NoRequests,
    /// It serves requests.
    InUse,
}

/// A route that may send requests to the old system.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Candidate {
    pub(super) route: String,
    pub(super) state: State,
    /// Requests that the old system served, and its share of those that any back end served.
    pub(super) requests: u64,
    #[serde(serialize_with = "rounded")]
    pub(super) share: f64,
    /// Requests that other back ends served since the old one's last.
    pub(super) since: u64,
    /// The reasons for which it served requests, the least effort first.
    pub(super) why: Vec<Why>,
    /// The next step.
    pub(super) advice: String,
}

/// A reason for which the old system served requests.
#[derive(Debug, PartialEq, Serialize)]
pub(super) struct Why {
    pub(super) by: &'static str,
    pub(super) requests: u64,
    /// Its cause, and what to do. Text of the log must be escaped.
    pub(super) advice: String,
}

/// Returns the state of a back end; `None` without any request.
pub(super) fn state(backends: &[BackendTraffic], timeline: &TrafficTimeline, old: &str) -> Option<State> {
    let all: u64 = backends.iter().map(|backend| backend.served.requests).sum();
    let own = backends.iter().find(|backend| backend.backend == old).map(|backend| &backend.served);
    let (requests, last) = own.map_or((0, None), |served| (served.requests, served.last));
    if all == 0 {
        return None;
    }
    // Before its last request all had this share.
    let earlier = share(requests, all.saturating_sub(since(timeline, last)).max(1));
    let lines: u64 = later(timeline, last).map(|bucket| bucket.lines).sum();
    let expected = lines as f64 * earlier;
    Some(match requests {
        0 => State::Unused,
        _ if expected >= EXPECTED => State::NoLongerUsed,
        _ => State::InUse,
    })
}

/// The requests after a time.
fn since(timeline: &TrafficTimeline, last: Option<SystemTime>) -> u64 {
    later(timeline, last).flat_map(|bucket| bucket.backends.values()).sum()
}

/// The parts of the time that are wholly after a moment; none if it is unknown.
fn later(timeline: &TrafficTimeline, last: Option<SystemTime>) -> impl Iterator<Item = &TrafficBucket> {
    let last = last.and_then(|last| last.duration_since(UNIX_EPOCH).ok()).map_or(u64::MAX, |last| last.as_secs());
    timeline.buckets.iter().filter(move |bucket| bucket.begin > last)
}

/// Returns the routes that may send requests to the old system, the least effort first. Empty if it is not known.
pub(super) fn candidates(systems: &Systems, traffic: &Traffic) -> Vec<Candidate> {
    let Some(old) = &systems.old else { return Vec::new() };
    let in_file = |route: &str| systems.routes.as_ref().map(|routes| routes.get(route).copied().unwrap_or_default());
    let seen = traffic.routes.iter().filter_map(|route| candidate(route, systems, old, in_file(&route.route)));
    let unseen = systems
        .routes
        .iter()
        .flatten()
        .filter(|(name, can_reach)| **can_reach && traffic.routes.iter().all(|route| route.route != **name));
    let unseen = unseen.map(|(name, _)| Candidate {
        route: name.clone(),
        state: State::NoRequests,
        requests: 0,
        share: 0.0,
        since: 0,
        why: Vec::new(),
        advice: "the log has no request of this route: look at a longer one, or remove the route".to_owned(),
    });
    let mut candidates: Vec<Candidate> = seen.chain(unseen).collect();
    candidates.sort_by(|one, other| {
        let key = |it: &Candidate| (it.state, it.effort(), Reverse(it.since));
        key(one).cmp(&key(other)).then(one.share.total_cmp(&other.share)).then_with(|| one.route.cmp(&other.route))
    });
    candidates
}

/// `in_file` is whether the route can send requests to the old system, if there is a configuration.
fn candidate(route: &RouteTraffic, systems: &Systems, old: &str, in_file: Option<bool>) -> Option<Candidate> {
    let state = state(&route.backends, &route.timeline, old)?;
    let own = route.backends.iter().find(|backend| backend.backend == old);
    if state == State::Unused && in_file == Some(false) {
        return None;
    }
    let mut why: Vec<Why> = own
        .iter()
        .flat_map(|own| &own.served.by)
        .map(|(&by, requests)| Why { by, requests: *requests, advice: advice(by, route, systems, old) })
        .collect();
    why.sort_by_key(|why| (effort(why.by), Reverse(why.requests)));
    let since = match own.and_then(|own| own.served.last) {
        None => route.backends.iter().map(|backend| backend.served.requests).sum(),
        last => since(&route.timeline, last),
    };
    let advice = match (state, in_file) {
        (_, Some(false)) => "the configuration no longer sends it requests of this route".to_owned(),
        (State::Unused | State::NoLongerUsed, _) => format!("remove `{old}` from its targets and `failover`"),
        (State::InUse, _) if route.endpoints.iter().all(|endpoint| endpoint.not_found == endpoint.requests) => {
            "all of its responses are 404: nobody loses anything".to_owned()
        }
        _ => String::new(),
    };
    Some(Candidate {
        route: route.route.clone(),
        state,
        requests: own.map_or(0, |own| own.served.requests),
        share: own.map_or(0.0, |own| own.served.share),
        since,
        why,
        advice,
    })
}

impl Candidate {
    /// That of its hardest reason.
    fn effort(&self) -> usize {
        match self.state {
            State::InUse => self.why.iter().map(|why| effort(why.by)).max().unwrap_or_default(),
            _ => 0,
        }
    }
}

/// The effort that it takes to end a reason, compared with others.
fn effort(by: &str) -> usize {
    let order = ["failover", "weight", "hash", "assigned", "otherwise", "pin", "opt-in", "only"];
    match order.iter().position(|known| *known == by) {
        // All end when the weights change.
        Some(1..=3) => 1,
        Some(at) => at,
        None => order.len(),
    }
}

fn advice(by: &str, route: &RouteTraffic, systems: &Systems, old: &str) -> String {
    let new = systems.new.as_deref().map_or("the new system".to_owned(), |new| format!("`{new}`"));
    match by {
        "failover" => format!("{}; remove `failover` when that is repaired", failures(route, old)),
        "weight" | "hash" | "assigned" if systems.new.is_some() => {
            "these users have not moved yet: `crossfade promote`".to_owned()
        }
        "weight" | "hash" | "assigned" => "these users have not moved yet: change the weights".to_owned(),
        "otherwise" => format!("these requests have no user's value: set `sticky.otherwise` to {new}"),
        "pin" => format!("these users are pinned to it: remove them from `sticky.pin`, or pin them to {new}"),
        "opt-in" => "these requests ask for it: remove `optIn`, or tell its users".to_owned(),
        "only" => format!("it is the only target: add {new} to `targets`"),
        _ => "the lines do not say".to_owned(),
    }
}

/// The failures that made requests of a route go to another back end: `modern failed (503 10, open 2)`.
fn failures(route: &RouteTraffic, old: &str) -> String {
    let failed = route.backends.iter().filter(|backend| backend.backend != old && !backend.skipped.is_empty());
    let failed = failed.map(|backend| {
        let outcomes = backend.skipped.iter().map(|(outcome, count)| format!("{outcome} {}", grouped(*count)));
        format!("`{}` failed ({})", backend.backend, outcomes.collect::<Vec<_>>().join(", "))
    });
    let failed: Vec<String> = failed.collect();
    if failed.is_empty() { "another back end failed".to_owned() } else { failed.join(", ") }
}

fn rounded<S: Serializer>(share: &f64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64((share * 1e6).round() / 1e6)
}
