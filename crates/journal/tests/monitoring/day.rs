//! A day of a function's log, generated: access and comparison lines as the real types write them, Lambda's own lines, and foreign
//! ones. Each line has a fact beside it, which comes from what was decided to happen, not from the line.

use std::fmt::Write;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossfade_journal::comparison::{Against, Class, Difference, Kind, Record, Repeated, Side, VERSION, Verdict};
use crossfade_journal::{AccessRecord, Journal, Outcome, Role};
use crossfade_testkit::insights::Event;

/// 2026-11-24T00:00:00Z.
const BEGIN: u64 = 1_795_478_400_000;
/// Milliseconds between two invocations.
const PACE: u64 = 21_600;
const INVOCATIONS: u64 = 4_000;

/// One access line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Request {
    pub at: u64,
    pub route: Option<&'static str>,
    pub path: &'static str,
    pub backend: Option<&'static str>,
    /// The back end that the route chose, if that is another one.
    pub target: Option<&'static str>,
    pub chosen: Option<&'static str>,
    pub status: u16,
    pub error: Option<&'static str>,
    pub weight: Option<u32>,
    pub live: Option<u32>,
    pub spilled: Option<u64>,
    pub total: f64,
    /// Of the attempt that decided.
    pub began: f64,
    pub connect: Option<f64>,
    pub first_byte: f64,
    pub retries: u64,
    pub is_open: bool,
    /// Back end, outcome and duration of the first attempt, if there was a second one.
    pub first: Option<(&'static str, &'static str, f64)>,
}

/// One comparison line.
#[derive(Clone, Debug)]
pub(crate) struct Copy {
    pub request_id: String,
    pub route: &'static str,
    pub endpoint: &'static str,
    pub against: Against,
    pub verdict: Verdict,
    pub reason: Option<&'static str>,
    pub primary_ms: f64,
    pub mirror_ms: Option<f64>,
    pub difference: Option<(&'static str, Class, Option<Repeated>)>,
}

/// One `REPORT` line.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Invocation {
    pub at: u64,
    pub duration: f64,
    pub init: Option<f64>,
}

#[derive(Default)]
pub(crate) struct Day {
    pub events: Vec<Event>,
    pub requests: Vec<Request>,
    pub copies: Vec<Copy>,
    pub invocations: Vec<Invocation>,
    /// Time and text of warnings and errors.
    pub messages: Vec<(u64, &'static str, &'static str)>,
}

/// Numbers that look like chance and are the same on every machine (xorshift64*).
pub(crate) struct Chance(u64);

impl Chance {
    fn next(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33
    }

    fn below(&mut self, end: u64) -> u64 {
        self.next() % end
    }

    fn of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len() as u64) as usize].clone()
    }

    /// Whole milliseconds, most of them near `usual`.
    fn around(&mut self, usual: u64) -> u64 {
        let slow = if self.below(50) == 0 { 10 } else { 1 };
        usual / 2 + self.below(usual) * slow
    }
}

pub(crate) fn day() -> Day {
    let (mut day, mut chance) = (Day::default(), Chance(0x9e37_79b9_7f4a_7c15));
    for number in 0..INVOCATIONS {
        day.invoke(number, &mut chance);
    }
    for (at, kind, level, message) in [
        (3_000_000, "warning", "WARN", "certificates of `modern` are not verified"),
        (40_000_000, "error", "ERROR", "`crossfade.yaml` cannot be read"),
    ] {
        let line = serde_json::json!({ "type": kind, "level": level, "message": message });
        day.add(BEGIN + at, line.to_string());
        day.messages.push((BEGIN + at, kind, message));
    }
    let line = |rest: &str| format!("{{\"type\":\"live\",\"level\":\"INFO\",\"place\":\"s3://b/live.json\",{rest}}}");
    day.add(BEGIN + 50_000_000, line("\"replaces\":11,\"version\":12,\"by\":\"ann\",\"change\":\"promote\""));
    day.add(BEGIN + 60_000_000, line("\"version\":12,\"failures\":1,\"error\":\"S3 responded with 503\""));
    day.messages.push((BEGIN + 60_000_000, "live", "S3 responded with 503"));
    for foreign in [
        "INIT_START Runtime Version: provided:al2023.v100",
        "EXTENSION\tName: agent\tState: Ready\tEvents: [INVOKE, SHUTDOWN]",
        "{\"type\":\"access",
        "{\"status\":500,\"error\":\"of another program\"}",
        "{\"type\":{\"of\":\"another program\"},\"verdict\":7}",
        "[\"access\"]",
        "",
    ] {
        day.add(BEGIN + 1_000_000, foreign.to_owned());
    }
    day
}

fn time(at: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(at)
}

fn ms(milliseconds: f64) -> Duration {
    Duration::from_micros((milliseconds * 1_000.0) as u64)
}

impl Day {
    fn add(&mut self, timestamp: u64, message: String) {
        self.events.push(Event { timestamp, message });
    }

    /// One invocation with all of its lines.
    fn invoke(&mut self, number: u64, chance: &mut Chance) {
        let at = BEGIN + number * PACE + chance.below(PACE / 2);
        let id = format!("id-{number}");
        let request = scenario(number, at, chance);
        let init = number.is_multiple_of(97).then(|| 20.0 + chance.below(40) as f64);
        let duration = request.total + 1.5;
        self.invocations.push(Invocation { at, duration, init });
        // Lambda's own lines, in the second half of the day as JSON.
        if number < INVOCATIONS / 2 {
            self.add(at, format!("START RequestId: {id} Version: $LATEST"));
            self.add(at, access(&request, &id));
            self.add(at, format!("END RequestId: {id}"));
            let mut line = format!(
                "REPORT RequestId: {id}\tDuration: {duration:.2} ms\tBilled Duration: 99 ms\tMemory Size: 128 MB\t"
            );
            line += "Max Memory Used: 30 MB\t";
            if let Some(init) = init {
                write!(line, "Init Duration: {init:.2} ms\t").unwrap();
            }
            self.add(at, line);
        } else {
            self.add(at, access(&request, &id));
            let mut metrics =
                serde_json::json!({ "durationMs": duration, "billedDurationMs": 99, "memorySizeMB": 128 });
            if let Some(init) = init {
                metrics["initDurationMs"] = serde_json::json!(init);
            }
            let record = serde_json::json!({ "requestId": id, "metrics": metrics, "status": "success" });
            self.add(at, serde_json::json!({ "type": "platform.report", "record": record }).to_string());
        }
        if request.route == Some("orders") && request.backend == Some("legacy") && chance.below(2) == 0 {
            let copy = copy(&id, &request, chance);
            self.add(at + 3, comparison(&copy, at));
            self.copies.push(copy);
        }
        self.requests.push(request);
    }
}

/// A request, and its fate by its number.
fn scenario(number: u64, at: u64, chance: &mut Chance) -> Request {
    let began = 0.25 * (1 + chance.below(4)) as f64;
    let reads = |backend: &str| if backend == "legacy" { 60 } else { 40 };
    let mut it = Request { at, total: began, ..Request::default() };
    match number % 40 {
        0 => return Request { route: Some("health-check"), status: 200, ..it },
        1 if number % 200 == 1 => return Request { status: 400, error: Some("http_request_error"), ..it },
        2 => return Request { route: Some("closed"), path: "/closed", status: 200, ..it },
        _ => (),
    }
    let (route, path) =
        chance.of(&[("orders", "/api/orders/7"), ("orders", "/api/orders"), ("pages", "/"), ("pages", "/about")]);
    let target = chance.of(&["legacy", "legacy", "modern"]);
    let other = if target == "legacy" { "modern" } else { "legacy" };
    it = Request { route: Some(route), path, chosen: Some(chance.of(&["hash", "pin"])), began, ..it };
    it.live = (at > BEGIN + 30_000_000).then_some(if at < BEGIN + 50_000_000 { 11 } else { 12 });
    (it.backend, it.status) = (Some(target), chance.of(&[200, 200, 200, 200, 404]));
    it.connect = (chance.below(10) == 0).then(|| 5.0 + chance.below(10) as f64);
    it.first_byte = it.connect.unwrap_or_default() + chance.around(reads(target)) as f64;
    let mut failed = true;
    match number % 40 {
        3 => it.status = 500,
        4 => it.error = Some("http_response_incomplete"),
        5 => {
            (it.first, it.retries) = (Some((target, "503", 30.0)), 1);
            it.began = 40.0;
        }
        6 => {
            it.first = Some((target, "connection_refused", 2.0));
            (it.backend, it.target, it.began) = (Some(other), Some(target), 3.0);
        }
        7 => {
            (it.first, it.is_open) = (Some((target, "open", 0.0)), true);
            (it.backend, it.target) = (Some(other), Some(target));
        }
        8 => {
            (it.backend, it.target, it.is_open) = (None, Some(target), true);
            (it.status, it.error, it.total) = (503, Some("destination_unavailable"), began);
            (it.connect, it.first_byte) = (None, 0.0);
            return it;
        }
        9 => {
            (it.status, it.error, it.connect, it.first_byte) = (502, Some("connection_refused"), None, 0.0);
            it.total = began + 2.0;
            return it;
        }
        10 => {
            it.first = Some((target, "connection_terminated", 1.0));
            it.began = began + 1.0;
        }
        other => {
            failed = false;
            if other == 11 {
                (it.status, it.spilled) = (302, Some(2_000_000 + chance.below(1_000_000)));
            }
        }
    }
    if it.error.is_some() {
        it.status = 200;
    }
    it.total = it.began + it.first_byte + 0.5 * chance.below(8) as f64;
    // In the evening the log is a reduced one: of the others, one of ten.
    it.weight = (!failed && at > BEGIN + 64_800_000).then_some(10);
    it
}

/// The line of a request, by way of its journal.
fn access(it: &Request, id: &str) -> String {
    let mut journal = Journal::default();
    (journal.route, journal.chosen) = (it.route, it.chosen);
    journal.target = it.target.or(it.backend);
    let mut role = Role::First;
    if let Some((backend, outcome, took)) = it.first {
        role = match outcome {
            "open" => {
                journal.skip(backend, Role::First, ms(0.1));
                Role::Failover
            }
            "connection_terminated" => Role::Resent,
            _ if Some(backend) == it.backend => Role::Retry,
            _ => Role::Failover,
        };
        if outcome != "open" {
            let attempt = journal.begin(backend, Role::First, ms(0.1));
            attempt.is_sent = outcome != "connection_refused";
            attempt.end(ms(0.1 + took), outcome.parse().map_or(Outcome::Error(outcome), Outcome::Status), true);
        }
    }
    if let Some(backend) = it.backend {
        let attempt = journal.begin(backend, role, ms(it.began));
        let is_answered = it.first_byte > 0.0;
        (attempt.connect, attempt.is_sent) = (it.connect.map(ms), is_answered);
        attempt.first_byte = is_answered.then(|| ms(it.began + it.first_byte));
        let outcome = if is_answered { Outcome::Status(it.status) } else { Outcome::Error(it.error.unwrap()) };
        attempt.end(ms(it.total), outcome, is_answered);
    } else if it.is_open {
        journal.skip(it.target.unwrap(), Role::First, ms(0.1));
    }
    let mut record = AccessRecord::new(time(it.at), id, &journal);
    if !it.path.is_empty() {
        (record.method, record.path) = (Some("GET".into()), Some(it.path.into()));
    }
    (record.weight, record.live, record.status, record.total_ms) = (it.weight, it.live, it.status, it.total);
    (record.spilled_bytes, record.error) = (it.spilled, it.error.map(Into::into));
    serde_json::to_string(&record).unwrap()
}

fn copy(id: &str, request: &Request, chance: &mut Chance) -> Copy {
    let endpoint = if request.path.ends_with('7') { "/api/orders/{id}" } else { "/api/orders" };
    let mut it = Copy {
        request_id: id.to_owned(),
        route: request.route.unwrap(),
        endpoint,
        against: if chance.below(10) == 0 { Against::Itself } else { Against::Mirror },
        verdict: Verdict::Match,
        reason: None,
        primary_ms: request.first_byte,
        mirror_ms: Some(chance.around(40) as f64),
        difference: None,
    };
    match chance.below(10) {
        0 => it.verdict = Verdict::Accepted,
        1 | 2 => {
            it.verdict = Verdict::Different;
            it.difference = Some(chance.of(&[
                ("/items/*/price", Class::Value, Some(Repeated::Same)),
                ("/requestId", Class::Value, Some(Repeated::Varies)),
                ("status", Class::Status, None),
            ]));
        }
        3 => {
            (it.verdict, it.mirror_ms) = (Verdict::Lost, None);
            it.reason = Some(chance.of(&["time", "budget", "open"]));
        }
        4 => (it.verdict, it.reason) = (Verdict::Unknown, Some("too-large")),
        5 => it.verdict = Verdict::Failed,
        _ => (),
    }
    it
}

fn comparison(copy: &Copy, at: u64) -> String {
    let side = |backend: &str, ms| Side { backend: backend.to_owned(), status: Some(200), ms, ..Side::default() };
    let mut record = record(copy.verdict, side("legacy", Some(copy.primary_ms)), side("modern", copy.mirror_ms));
    (record.time, record.against, record.request_id) = (time(at), copy.against, copy.request_id.clone());
    (record.route, record.endpoint) = (copy.route.to_owned(), copy.endpoint.to_owned());
    record.reason = copy.reason.map(str::to_owned);
    if let Some((pointer, class, repeated)) = copy.difference {
        record.differences = vec![Difference { repeated, ..Difference::new(class, pointer) }];
        // Many others, of which Logs Insights does not discover all.
        let others = if copy.request_id.ends_with('9') { 199 } else { 1 };
        record.differences.extend((0..others).map(|at| Difference::new(Class::Text, format!("/lines/{at}"))));
    }
    serde_json::to_string(&record).unwrap()
}

/// A comparison of nothing in particular.
pub(crate) fn record(verdict: Verdict, primary: Side, mirror: Side) -> Record {
    Record {
        kind: Kind::Compare,
        version: VERSION,
        time: time(BEGIN),
        against: Against::Mirror,
        request_id: String::new(),
        route: String::new(),
        method: "GET".to_owned(),
        endpoint: String::new(),
        verdict,
        reason: None,
        not_repeated: None,
        request: None,
        live: None,
        salt: None,
        differences: Vec::new(),
        more: 0,
        credentials_withheld: false,
        primary,
        mirror,
    }
}
