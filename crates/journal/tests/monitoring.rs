//! The queries of `deploy/monitoring` over a day of log lines: every result is compared with one that is computed from what happened.
//! Also: the queries mention members that lines have, and the dashboard and the deploy files have these queries.
//! `monitoring/results.txt` shows the results. `BLESS=1` writes it, the dashboard, and the copies of both in the deploy files.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

#[path = "monitoring/day.rs"]
mod day;
#[path = "monitoring/files.rs"]
mod files;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;
use std::sync::OnceLock;

use crossfade_journal::comparison::{Against, Class, Difference, Digest, NotRepeated, Repeated, Side, Verdict};
use crossfade_journal::{AccessRecord, Journal, Outcome, Role};
use crossfade_testkit::insights::{Event, Log, Query, Table};
use serde_json::Value;

use day::{Copy, Day, Request, day};
use files::{blessed, pack};

const FIVE_MINUTES: u64 = 300_000;

fn today() -> &'static (Day, Log) {
    static TODAY: OnceLock<(Day, Log)> = OnceLock::new();
    TODAY.get_or_init(|| {
        let day = day();
        let log = Log::new(&day.events);
        (day, log)
    })
}

/// The result of a query, `alarms/NAME` or `queries/NAME`.
#[track_caller]
fn result(name: &str) -> Table {
    let text = &pack()[name];
    let query = Query::parse(text).unwrap_or_else(|error| panic!("{name}: {error}"));
    query.run(&today().1).unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Compares columns and rows, whatever their order.
#[track_caller]
fn is_result(name: &str, columns: &str, mut expected: Vec<Vec<String>>) {
    let table = result(&format!("queries/{name}"));
    assert_eq!(table.columns.join(" "), columns, "{name}");
    let mut found = table.texts();
    assert!(found.len() > 1, "{name}: {found:?}");
    found.sort();
    expected.sort();
    assert_eq!(found, expected, "{name}");
}

/// As [`Table::texts`] shows numbers.
fn text(number: f64) -> String {
    let text = format!("{number:.2}");
    text.trim_end_matches('0').trim_end_matches('.').to_owned()
}

fn whole(number: u64) -> String {
    number.to_string()
}

/// The smallest of the values that this share of them does not exceed.
fn percentile(values: &[f64], percent: usize) -> String {
    let does_not_exceed = |limit: f64| values.iter().filter(|value| **value <= limit).count();
    let enough = values.iter().copied().filter(|value| does_not_exceed(*value) * 100 >= percent * values.len());
    enough.min_by(f64::total_cmp).map(text).unwrap_or_default()
}

fn greatest(values: &[f64]) -> String {
    values.iter().copied().max_by(f64::total_cmp).map(text).unwrap_or_default()
}

fn grouped<T, K: Ord>(items: impl IntoIterator<Item = T>, key: impl Fn(&T) -> K) -> BTreeMap<K, Vec<T>> {
    let mut groups: BTreeMap<K, Vec<T>> = BTreeMap::new();
    for item in items {
        groups.entry(key(&item)).or_default().push(item);
    }
    groups
}

fn requests() -> impl Iterator<Item = &'static Request> {
    today().0.requests.iter()
}

/// Requests of clients.
fn of_clients() -> impl Iterator<Item = &'static Request> {
    requests().filter(|it| it.route != Some("health-check"))
}

/// Those that went to a back end.
fn forwarded() -> impl Iterator<Item = &'static Request> {
    requests().filter(|it| it.backend.is_some())
}

fn copies() -> impl Iterator<Item = &'static Copy> {
    today().0.copies.iter().filter(|copy| copy.against == Against::Mirror)
}

fn weight(requests: &[&Request]) -> u64 {
    requests.iter().map(|it| u64::from(it.weight.unwrap_or(1))).sum()
}

fn has_failed(it: &Request) -> bool {
    it.status >= 500 || it.error == Some("http_response_incomplete")
}

fn failures(requests: &[&Request]) -> u64 {
    weight(&requests.iter().copied().filter(|it| has_failed(it)).collect::<Vec<_>>())
}

fn totals(requests: &[&Request]) -> Vec<f64> {
    requests.iter().map(|it| it.total).collect()
}

fn bin(at: u64) -> u64 {
    at / FIVE_MINUTES * FIVE_MINUTES
}

#[test]
fn requests_and_failures_are_counted_with_their_weights() {
    let bins = grouped(of_clients(), |it| bin(it.at));
    assert!(bins.len() > 280 && weight(&bins.values().flatten().copied().collect::<Vec<_>>()) > 5_000);
    let row = |(at, of): (u64, Vec<&Request>)| vec![whole(at), whole(weight(&of)), whole(failures(&of))];
    is_result("requests", "bin(5m) requests failures", bins.into_iter().map(row).collect());

    let pairs = grouped(of_clients(), |it| (it.route.unwrap_or("none"), it.backend.unwrap_or("none")));
    let row = |((route, backend), of): ((&str, &str), Vec<&Request>)| {
        let (all, failed) = (weight(&of), failures(&of));
        let percent = 100.0 * failed as f64 / all as f64;
        vec![route.to_owned(), backend.to_owned(), whole(all), whole(failed), text(percent)]
    };
    is_result(
        "failed-share",
        "matched back_end requests failures failed_percent",
        pairs.into_iter().map(row).collect(),
    );

    let wrong = requests().filter(|it| it.status >= 500 || it.error.is_some());
    let causes =
        grouped(wrong, |it| (it.error.unwrap_or("from the back end"), it.status, it.backend.unwrap_or("none")));
    let row = |((cause, status, backend), of): ((&str, u16, &str), Vec<&Request>)| {
        vec![cause.to_owned(), status.to_string(), backend.to_owned(), whole(weight(&of))]
    };
    is_result("errors", "cause status back_end responses", causes.into_iter().map(row).collect());
}

#[test]
fn times_are_those_of_the_requests() {
    let pairs = grouped(forwarded(), |it| (it.route.unwrap(), it.backend.unwrap()));
    let row = |((route, backend), of): ((&str, &str), Vec<&Request>)| {
        let times = totals(&of);
        let percentiles = [50, 95, 99].map(|percent| percentile(&times, percent));
        [vec![route.to_owned(), backend.to_owned(), whole(weight(&of))], percentiles.to_vec(), vec![greatest(&times)]]
            .concat()
    };
    is_result("latency", "route backend requests p50 p95 p99 slowest", pairs.into_iter().map(row).collect());

    let paths = grouped(forwarded(), |it| (it.path, it.backend.unwrap()));
    let row = |((path, backend), of): ((&str, &str), Vec<&Request>)| {
        let times = totals(&of);
        vec![path.to_owned(), backend.to_owned(), whole(weight(&of)), percentile(&times, 95), greatest(&times)]
    };
    is_result("slow-paths", "path backend requests p95 slowest", paths.into_iter().map(row).collect());

    let single = forwarded().filter(|it| it.first.is_none() && it.first_byte > 0.0);
    let row = |(at, of): (u64, Vec<&Request>)| {
        let phases: [fn(&Request) -> f64; 3] = [
            |it| it.began,
            |it| it.first_byte - it.connect.unwrap_or_default(),
            |it| it.total - it.began - it.first_byte,
        ];
        let times = phases.map(|phase| of.iter().map(|it| phase(it)).collect::<Vec<_>>());
        let figures = times.iter().flat_map(|times| [percentile(times, 50), percentile(times, 99)]);
        std::iter::once(whole(at)).chain(figures).collect()
    };
    is_result(
        "phases",
        "bin(5m) before_p50 before_p99 back_end_p50 back_end_p99 after_p50 after_p99",
        grouped(single, |it| bin(it.at)).into_iter().map(row).collect(),
    );

    let row = |(backend, of): (&str, Vec<&Request>)| {
        let new: Vec<&Request> = of.iter().copied().filter(|it| it.connect.is_some()).collect();
        let times: Vec<f64> = new.iter().filter_map(|it| it.connect).collect();
        let percent = 100.0 * weight(&new) as f64 / weight(&of) as f64;
        let figures = [text(percent), percentile(&times, 50), percentile(&times, 99), greatest(&times)];
        [vec![backend.to_owned(), whole(weight(&of))], figures.to_vec()].concat()
    };
    is_result(
        "connections",
        "backend requests new_percent p50 p99 slowest",
        grouped(forwarded(), |it| it.backend.unwrap()).into_iter().map(row).collect(),
    );
}

#[test]
fn what_crossfade_did_about_failures_is_counted() {
    let is_failover = |it: &Request| it.backend.is_some() && it.target.is_some();
    let moved = requests().filter(|it| it.retries > 0 || is_failover(it) || it.is_open);
    let row = |(at, of): (u64, Vec<&Request>)| {
        let count = |is: &dyn Fn(&Request) -> bool| whole(of.iter().filter(|it| is(it)).count() as u64);
        vec![whole(at), count(&|it| it.retries > 0), count(&is_failover), count(&|it| it.is_open)]
    };
    let rows = grouped(moved, |it| bin(it.at)).into_iter().map(row).collect();
    is_result("failovers", "bin(5m) retried failed_over open_circuits", rows);

    let firsts = grouped(requests().filter(|it| it.first.is_some()), |it| {
        let (backend, outcome, _) = it.first.unwrap();
        (backend, outcome)
    });
    let row = |((backend, outcome), of): ((&str, &str), Vec<&Request>)| {
        let saved = of.iter().filter(|it| it.status < 500).count() as u64;
        let times: Vec<f64> = of.iter().map(|it| it.first.unwrap().2).collect();
        vec![backend.to_owned(), outcome.to_owned(), whole(of.len() as u64), whole(saved), greatest(&times)]
    };
    is_result("first-attempts", "back_end outcome requests saved longest_ms", firsts.into_iter().map(row).collect());

    let spilled = grouped(requests().filter(|it| it.spilled.is_some()), |it| (it.route.unwrap(), it.backend.unwrap()));
    let row = |((route, backend), of): ((&str, &str), Vec<&Request>)| {
        let bytes: u64 = of.iter().map(|it| it.spilled.unwrap() * u64::from(it.weight.unwrap_or(1))).sum();
        let largest = of.iter().filter_map(|it| it.spilled).max().unwrap();
        let megabytes = text(bytes as f64 / 1024.0 / 1024.0);
        vec![route.to_owned(), backend.to_owned(), whole(weight(&of)), megabytes, whole(largest)]
    };
    is_result("spill", "route backend responses megabytes largest_bytes", spilled.into_iter().map(row).collect());
}

#[test]
fn the_state_of_the_migration_is_shown() {
    let systems = grouped(forwarded(), |it| (it.backend.unwrap(), it.route.unwrap(), it.chosen.unwrap()));
    let row = |((backend, route, chosen), of): ((&str, &str, &str), Vec<&Request>)| {
        let moved: Vec<&Request> = of.iter().copied().filter(|it| it.target.is_some()).collect();
        vec![backend.to_owned(), route.to_owned(), chosen.to_owned(), whole(weight(&of)), whole(weight(&moved))]
    };
    is_result("systems", "backend route reason requests by_failover", systems.into_iter().map(row).collect());

    let row = |(live, of): (u32, Vec<&Request>)| {
        let time = |it: &Request| {
            let at = std::time::UNIX_EPOCH + std::time::Duration::from_millis(it.at);
            let json = serde_json::to_value(AccessRecord::new(at, "", &Journal::default())).unwrap();
            json["time"].as_str().unwrap().to_owned()
        };
        vec![live.to_string(), whole(weight(&of)), time(of.first().unwrap()), time(of.last().unwrap())]
    };
    let versions = grouped(requests().filter(|it| it.live.is_some()), |it| it.live.unwrap());
    is_result("live", "live requests first last", versions.into_iter().map(row).collect());

    let messages = today().0.messages.iter();
    let rows = messages.map(|(at, kind, text)| vec![whole(*at), (*kind).to_owned(), (*text).to_owned()]);
    is_result("messages", "@timestamp type text", rows.collect());
}

#[test]
fn comparisons_are_counted_by_endpoint_difference_and_cause() {
    let compared = copies().filter(|it| matches!(it.verdict, Verdict::Match | Verdict::Accepted | Verdict::Different));
    let row = |((route, endpoint), of): ((&str, &str), Vec<&Copy>)| {
        let differ = of.iter().filter(|it| it.verdict == Verdict::Different).count();
        let equal = 100.0 * (of.len() - differ) as f64 / of.len() as f64;
        // A record with more than 200 members is known by its beginning.
        let known = |it: &&&Copy| it.difference.is_none() || !it.request_id.ends_with('9');
        let primary: Vec<f64> = of.iter().filter(known).map(|it| it.primary_ms).collect();
        let mirror: Vec<f64> = of.iter().filter(known).filter_map(|it| it.mirror_ms).collect();
        let figures = [
            whole(of.len() as u64),
            whole(differ as u64),
            text(equal),
            percentile(&primary, 95),
            percentile(&mirror, 95),
        ];
        [vec![route.to_owned(), "GET".to_owned(), endpoint.to_owned()], figures.to_vec()].concat()
    };
    is_result(
        "parity",
        "route method endpoint copies differ equal_percent primary_p95 mirror_p95",
        grouped(compared, |it| (it.route, it.endpoint)).into_iter().map(row).collect(),
    );

    let kind = |it: &&Copy| {
        let (place, class, repeated) = it.difference.unwrap();
        let repeated = match repeated {
            Some(Repeated::Same) => "same",
            Some(Repeated::Varies) => "varies",
            _ => "not measured",
        };
        (it.endpoint, place, class.as_str(), repeated)
    };
    let row = |((endpoint, place, class, repeated), of): ((&str, &str, &str, &str), Vec<&Copy>)| {
        let example = of.last().unwrap().request_id.clone();
        let texts = [endpoint, place, class, repeated].map(str::to_owned);
        [texts.to_vec(), vec![whole(of.len() as u64), example]].concat()
    };
    let different = grouped(copies().filter(|it| it.verdict == Verdict::Different), kind);
    is_result("differences", "endpoint place class repeated copies example", different.into_iter().map(row).collect());

    let row = |((verdict, cause), of): ((&str, &str), Vec<&Copy>)| {
        vec!["orders".to_owned(), verdict.to_owned(), cause.to_owned(), whole(of.len() as u64)]
    };
    let without = copies().filter_map(|it| {
        let verdict = match it.verdict {
            Verdict::Lost => "lost",
            Verdict::Unknown => "unknown",
            Verdict::Failed => "failed",
            _ => return None,
        };
        Some((verdict, it))
    });
    let causes = grouped(without, |(verdict, it)| (*verdict, it.reason.unwrap_or("status of the primary")));
    let rows = causes.into_iter().map(|(key, of)| row((key, of.into_iter().map(|(_, it)| it).collect())));
    is_result("lost-copies", "route verdict cause copies", rows.collect());
}

/// Of lines in text and in JSON.
#[test]
fn cold_starts_are_those_of_lambdas_own_lines() {
    let invocations = &today().0.invocations;
    assert!(invocations.iter().filter(|it| it.init.is_some()).count() > 40);
    let row = |(at, of): (u64, Vec<&day::Invocation>)| {
        let starts: Vec<f64> = of.iter().filter_map(|it| it.init).collect();
        let durations: Vec<f64> = of.iter().map(|it| it.duration).collect();
        let figures =
            [whole(of.len() as u64), whole(starts.len() as u64), greatest(&starts), percentile(&durations, 99)];
        [vec![whole(at)], figures.to_vec()].concat()
    };
    let rows = grouped(invocations, |it| bin(it.at)).into_iter().map(row).collect();
    is_result("cold-starts", "bin(5m) invocations cold_starts longest_start_ms duration_p99", rows);
}

#[test]
fn alarms_measure_shares_of_lines() {
    let percent = |of: &[bool]| text(100.0 * of.iter().filter(|failed| **failed).count() as f64 / of.len() as f64);
    let failed: Vec<bool> = of_clients().map(has_failed).collect();
    assert_eq!(result("alarms/failed-responses").texts(), [[percent(&failed)]]);

    let sent = requests().filter(|it| it.backend.or(it.target).is_some());
    let by_system = grouped(sent, |it| it.target.or(it.backend).unwrap());
    let expected: Vec<Vec<String>> = by_system
        .into_iter()
        .map(|(system, of)| {
            let failed: Vec<bool> = of.iter().map(|it| has_failed(it) || it.target.is_some()).collect();
            vec![system.to_owned(), percent(&failed)]
        })
        .collect();
    assert_eq!(result("alarms/back-end-failing").texts(), expected);

    let lost: Vec<bool> = copies().map(|it| it.verdict == Verdict::Lost).collect();
    assert_eq!(result("alarms/lost-copies").texts(), [[percent(&lost)]]);
}

/// The first rows of each result, for people.
#[test]
fn the_results_are_shown() {
    let mut text = String::new();
    for (name, query) in pack() {
        let title = query.lines().next().unwrap().trim_start_matches("# ");
        let table = result(name).to_string();
        let (lines, rows) = (table.lines().take(9).map(|line| format!("    {line}\n")), table.lines().count() - 1);
        writeln!(text, "{name}: {title}\n{}", lines.collect::<String>()).unwrap();
        if rows > 8 {
            writeln!(text, "    … {} more\n", rows - 8).unwrap();
        }
    }
    blessed(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/monitoring/results.txt"), &text);
}

/// Lines with every member that there is.
fn complete() -> [Value; 2] {
    let mut journal = Journal::default();
    (journal.route, journal.target, journal.chosen) = (Some("r"), Some("a"), Some("hash"));
    let time = std::time::UNIX_EPOCH;
    for backend in ["a", "c", "b"] {
        let attempt = journal.begin(backend, Role::First, std::time::Duration::ZERO);
        (attempt.connect, attempt.first_byte, attempt.auth) =
            (Some(Default::default()), Some(Default::default()), Some("ntlm"));
        attempt.end(std::time::Duration::ZERO, Outcome::Status(200), true);
    }
    let mut access = AccessRecord::new(time, "id", &journal);
    (access.trace_id, access.front_request_id) = (Some("t".into()), Some("f".into()));
    (access.method, access.path, access.weight, access.live) = (Some("GET".into()), Some("/".into()), Some(2), Some(1));
    (access.spilled_bytes, access.retries) = (Some(1), 1);
    (access.error, access.detail) = (Some("e".into()), Some("d".into()));

    let side = Side {
        backend: "a".to_owned(),
        status: Some(200),
        error: Some("e".to_owned()),
        ms: Some(1.0),
        bytes: Some(1),
        url: Some("u".to_owned()),
        fields: BTreeMap::new(),
    };
    let mut record = day::record(Verdict::Different, side.clone(), side);
    (record.reason, record.not_repeated) = (Some("r".to_owned()), Some(NotRepeated::Share));
    (record.request, record.salt, record.live) = (Some(Digest(1)), Some(Digest(2)), Some(1));
    record.differences = vec![Difference { repeated: Some(Repeated::Same), ..Difference::new(Class::Value, "/a") }];
    (record.more, record.credentials_withheld) = (1, true);
    [serde_json::to_value(&access).unwrap(), serde_json::to_value(&record).unwrap()]
}

/// Returns `true` if the line has a scalar at this path, such as `journal.0.backend`.
fn has(line: &Value, field: &str) -> bool {
    let steps = field.split('.').map(|step| step.parse::<usize>().map_err(|_| step));
    let found = steps.into_iter().try_fold(line, |at, step| match step {
        Ok(index) => at.get(index),
        Err(name) => at.get(name),
    });
    found.is_some_and(|value| !value.is_object() && !value.is_array())
}

/// A member with another name must change the queries as well.
#[test]
fn queries_mention_members_that_lines_have() {
    let [access, compare] = complete();
    // Lambda's own lines, and those of the function with a message.
    let others = ["@timestamp", "@type", "@duration", "@initDuration", "record.metrics.durationMs"];
    let others: BTreeSet<&str> = others.into_iter().chain(["record.metrics.initDurationMs", "message"]).collect();
    for (name, text) in pack() {
        for field in Query::parse(text).unwrap().fields() {
            let is_of = |kind: &str, line: &Value| text.contains(&format!("type = \"{kind}\"")) && has(line, &field);
            let is_known = is_of("access", &access) || is_of("compare", &compare) || others.contains(field.as_str());
            assert!(
                is_known || (name == "queries/messages" && has(&access, &field)) || field == "type",
                "{name}: {field}"
            );
        }
    }
    assert!(has(&access, "skipped.1.outcome") && !has(&access, "skipped") && !has(&access, "skipped.7.outcome"));
}

/// A log without any of our lines, and one with nothing but health checks.
#[test]
fn no_lines_are_no_failure() {
    let health = r#"{"type":"access","version":3,"time":"2026-01-01T00:00:00.123Z","request_id":"8f5c","route":"health-check","status":200,"request_bytes":0,"response_bytes":0,"total_ms":0.1,"attempts":0}"#;
    let foreign = ["END RequestId: 1", "{}", "not JSON", health];
    let events: Vec<Event> = foreign.map(|message| Event { timestamp: 1, message: message.to_owned() }).to_vec();
    for log in [Log::new(&[]), Log::new(&events)] {
        for (name, text) in pack() {
            let table = Query::parse(text).unwrap().run(&log).unwrap_or_else(|error| panic!("{name}: {error}"));
            assert_eq!(table.rows.len(), 0, "{name}");
        }
    }
}
