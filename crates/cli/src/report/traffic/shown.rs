//! The figures of a traffic report in words, the same in every format. Text of the log must be escaped.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime};

use crossfade_parity::number::{grouped, percent};
use crossfade_parity::{EndpointTraffic, Traffic, TrafficTimeline, share};

use super::TrafficReport;
use super::next::{Candidate, State};

/// Parts of the time of the log that show the trend; the last one is the present.
pub(super) const CELLS: u64 = 20;

/// The heading, and true if it is good.
pub(super) fn conclusion(report: &TrafficReport) -> (&'static str, Option<bool>) {
    match report.state {
        Some(State::Unused) => ("not used", Some(true)),
        Some(State::NoLongerUsed) => ("no longer used", Some(true)),
        Some(State::InUse) => ("still in use", None),
        Some(State::NoRequests) | None => ("traffic", None),
    }
}

/// The sentence below the heading.
pub(super) fn sum(report: &TrafficReport) -> String {
    let traffic = &report.traffic;
    let requests = counted(traffic.requests, "request");
    let Some(old) = &report.old else {
        return match present(traffic) {
            shares if shares.is_empty() => requests,
            shares => format!("{requests}; in the last {}: {}", last_part(traffic), shares.join(", ")),
        };
    };
    let own = traffic.backends.iter().find(|backend| backend.backend == *old);
    let served = own.map(|own| &own.served).filter(|served| served.requests > 0);
    match (served, now(traffic, &traffic.timeline, old)) {
        (None, _) => format!("{old} served none of {requests}"),
        (Some(served), Some(now)) if now > 0.0 => format!(
            "{old} serves {} of the requests in the last {}, and {} of all {}",
            percent(now),
            last_part(traffic),
            percent(served.share),
            grouped(traffic.requests)
        ),
        (Some(served), _) => format!(
            "{old} served {} of {requests}, the last one {} before the end of the log",
            percent(served.share),
            ago(traffic, served.last)
        ),
    }
}

/// The share of each back end in the last part of the log, the largest first.
fn present(traffic: &Traffic) -> Vec<String> {
    let share = |name: &str| now(traffic, &traffic.timeline, name).filter(|share| *share > 0.0);
    let shares = traffic.backends.iter().filter_map(|it| Some((it.backend.as_str(), share(&it.backend)?)));
    let mut shares: Vec<(&str, f64)> = shares.collect();
    shares.sort_by(|one, other| other.1.total_cmp(&one.1));
    shares.iter().take(4).map(|(name, share)| format!("{name} {}", percent(*share))).collect()
}

/// The parts of the log's time: for each the requests of a back end, and those of all.
pub(super) fn cells(traffic: &Traffic, timeline: &TrafficTimeline, backend: &str) -> Vec<(u64, u64)> {
    traffic.from.zip(traffic.until).map_or(Vec::new(), |span| timeline.cells(backend, span, CELLS))
}

/// The share of a back end in the last part of the log; `None` without requests then.
pub(super) fn now(traffic: &Traffic, timeline: &TrafficTimeline, backend: &str) -> Option<f64> {
    let (own, all) = cells(traffic, timeline, backend).last().copied().filter(|(_, all)| *all > 0)?;
    Some(share(own, all))
}

/// The length of the last part of the log.
pub(super) fn last_part(traffic: &Traffic) -> String {
    let span = traffic.from.zip(traffic.until).and_then(|(from, until)| until.duration_since(from).ok());
    let cells = cells(traffic, &traffic.timeline, "").len().max(1);
    duration(span.unwrap_or_default() / u32::try_from(cells).unwrap_or(1))
}

/// The time from a moment to the end of the log.
pub(super) fn ago(traffic: &Traffic, time: Option<SystemTime>) -> String {
    let ago = time.zip(traffic.until).map(|(time, until)| until.duration_since(time).unwrap_or_default());
    ago.map_or("-".to_owned(), duration)
}

/// `45 s`, `12 min`, `5 h` or `3 days`.
fn duration(duration: Duration) -> String {
    match duration.as_secs() {
        seconds @ ..120 => format!("{seconds} s"),
        seconds @ ..7_200 => format!("{} min", seconds / 60),
        seconds @ ..172_800 => format!("{} h", seconds / 3_600),
        seconds => format!("{} days", grouped(seconds / 86_400)),
    }
}

/// A rate in a unit that makes it at least 1: `12/s`, `3.2/min`.
pub(super) fn rate(per_minute: f64) -> String {
    let units = [(1.0 / 60.0, "s"), (1.0, "min"), (60.0, "h"), (1_440.0, "day")];
    let unit = units.into_iter().find(|(minutes, _)| per_minute * minutes >= 1.0);
    let (minutes, unit) = unit.unwrap_or((1_440.0, "day"));
    match per_minute * minutes {
        rate if rate >= 9.95 => format!("{}/{unit}", grouped(rate.round() as u64)),
        rate => format!("{rate:.1}/{unit}"),
    }
}

pub(super) fn counted(count: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(count), if count == 1 { "" } else { "s" })
}

/// `weight 1,204, failover 3`.
pub(super) fn reasons(by: &BTreeMap<&'static str, u64>) -> String {
    let words: Vec<_> = by.iter().map(|(by, count)| format!("{by} {}", grouped(*count))).collect();
    words.join(", ")
}

/// The state of a candidate in a few words.
pub(super) fn state(candidate: &Candidate) -> &'static str {
    match candidate.state {
        State::Unused => "not used",
        State::NoLongerUsed => "no longer used",
        State::NoRequests => "no request",
        State::InUse => "in use",
    }
}

/// The evidence for a candidate's state, as a sentence; empty without any.
pub(super) fn evidence(report: &TrafficReport, candidate: &Candidate) -> String {
    let traffic = &report.traffic;
    let route = traffic.routes.iter().find(|route| route.route == candidate.route);
    let old = report.old.as_deref().unwrap_or_default();
    let last = route.and_then(|route| route.backends.iter().find(|backend| backend.backend == old)?.served.last);
    match candidate.state {
        State::Unused => format!("{}, all by others", counted(candidate.since, "request")),
        State::NoLongerUsed => {
            let since = counted(candidate.since, "request");
            format!("the last one {} before the end of the log; {since} since then, all by others", ago(traffic, last))
        }
        State::NoRequests => String::new(),
        State::InUse => {
            let now = route.and_then(|route| now(traffic, &route.timeline, old));
            let now = now.map(|now| format!(", {} at the end of the log", percent(now))).unwrap_or_default();
            format!("{}, {}{now}", counted(candidate.requests, "request"), percent(candidate.share))
        }
    }
}

/// The endpoints that the old system serves, with their routes, the one with most of its requests first.
pub(super) fn still_served(report: &TrafficReport) -> Vec<(&str, &EndpointTraffic)> {
    let own = |endpoint: &EndpointTraffic| {
        report.old.as_ref().and_then(|old| endpoint.backends.get(old)).map_or(0, |served| served.requests)
    };
    let mut served: Vec<_> = endpoints(report).filter(|(_, endpoint)| own(endpoint) > 0).collect();
    served.sort_by_key(|(_, endpoint)| std::cmp::Reverse(own(endpoint)));
    served
}

/// All endpoints with their routes, but for paths that no back end knows.
pub(super) fn endpoints(report: &TrafficReport) -> impl Iterator<Item = (&str, &EndpointTraffic)> {
    let all = report.traffic.routes.iter();
    let all = all.flat_map(|route| route.endpoints.iter().map(move |endpoint| (route.route.as_str(), endpoint)));
    all.filter(|(_, endpoint)| endpoint.not_found < endpoint.requests)
}

/// The endpoints that the old system did not serve, in words; `None` without any.
pub(super) fn without_old(report: &TrafficReport) -> Option<String> {
    let old = report.old.as_ref()?;
    let count = endpoints(report).filter(|(_, endpoint)| !endpoint.backends.contains_key(old)).count() as u64;
    (count > 0).then(|| format!("{} without a request to {old}", counted(count, "endpoint")))
}

/// The paths that no back end knows, in words; `None` without any.
pub(super) fn not_found(report: &TrafficReport) -> Option<String> {
    let all: u64 = report.traffic.routes.iter().map(|route| route.endpoints.len() as u64).sum();
    let missing = all - endpoints(report).count() as u64;
    (missing > 0).then(|| format!("{} whose responses are all 404", counted(missing, "path")))
}

/// `version 7`, or that there was none.
pub(super) fn version(version: Option<u32>) -> String {
    version.map_or("no live state".to_owned(), |version| format!("version {version}"))
}

/// Notes for the end of the report.
pub(super) fn notes(report: &TrafficReport) -> Vec<String> {
    let input = &report.input;
    let mut notes = Vec::new();
    if input.left_out > 0 {
        notes.push(format!("{} were excluded by options", counted(input.left_out, "line")));
    }
    if input.repeated > 0 {
        notes.push(crate::report::text::counted_once(input.repeated));
    }
    if let Some(first) = &input.first_unreadable {
        notes.push(format!("{} could not be read, the first at {first}", grouped(input.unreadable)));
    }
    notes.extend(report.hints.iter().cloned());
    notes
}
