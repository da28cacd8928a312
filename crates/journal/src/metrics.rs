//! The metrics of a line of the log, in CloudWatch's embedded metric format: a line that has them is still the same record for
//! every reader, and CloudWatch makes metrics of it. Owns their names, units and causes (`docs/metrics.md`). Decides neither
//! which lines are written nor the namespace.
//!
//! The format is that of the page "Specification: Embedded metric format" of the CloudWatch user guide.

use std::fmt::Write as _;
use std::io::Write as _;
use std::time::{SystemTime, UNIX_EPOCH};

use crate::access::AccessRecord;
use crate::attempt::Role;
use crate::comparison::{Against, Record, Verdict};
use crate::otel::{self, Names};

/// The setting `metrics`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Metrics {
    /// The namespace, as [`Metrics::is_namespace`] accepts it; `None` for the one that follows from the function's name.
    pub namespace: Option<String>,
    /// Metrics of each route as well, besides those of all requests together.
    pub routes: bool,
}

/// The name of a metric, which is the member of the line that has its value, and its unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Metric {
    /// The name.
    pub name: &'static str,
    /// A unit of CloudWatch.
    pub unit: &'static str,
}

/// The part that the requests of the log are of all requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sample {
    /// Requests without a failure are logged too, at least some: then the lines together stand for all requests.
    pub has_all: bool,
    /// The line is there whatever its outcome: its durations are a sample of those of all requests.
    pub is_chosen: bool,
}

const fn count(name: &'static str) -> Metric {
    Metric { name, unit: "Count" }
}

const fn duration(name: &'static str) -> Metric {
    Metric { name, unit: "Milliseconds" }
}

const REQUESTS: Metric = count("requests");
const TOTAL: Metric = duration("total_ms");
const OVERHEAD: Metric = duration("overhead_ms");
const BACKEND: Metric = duration("backend_ms");
const ERRORS: Metric = count("errors");
const CLIENT_ERRORS: Metric = count("client_errors");
const BACKEND_ERRORS: Metric = count("backend_errors");
const TIMEOUT_ERRORS: Metric = count("timeout_errors");
const CONNECT_ERRORS: Metric = count("connect_errors");
const RESPONSE_ERRORS: Metric = count("response_errors");
const CIRCUIT_ERRORS: Metric = count("circuit_errors");
const PROXY_ERRORS: Metric = count("proxy_errors");
const FAILOVERS: Metric = count("failovers");
const RETRIES: Metric = count("retries");
const CIRCUIT_OPEN: Metric = count("circuit_open");
const COMPARED: Metric = count("compared");
const DIFFERENT: Metric = count("different");
const LOST: Metric = count("lost");
const LIVE: Metric = Metric { name: "live", unit: "None" };

impl Metrics {
    /// The default namespace; with the name of the function, where that is known, after a slash.
    pub const NAMESPACE: &'static str = "Crossfade";
    /// The longest name of a route that can be the value of a dimension, in bytes.
    pub const LONGEST: usize = 250;
    /// The metrics of every route.
    pub const OF_ANY: [Metric; 5] = [REQUESTS, TOTAL, OVERHEAD, ERRORS, CLIENT_ERRORS];
    /// Those of a route with back ends, in addition.
    pub const OF_FORWARDING: [Metric; 10] = [
        BACKEND,
        BACKEND_ERRORS,
        TIMEOUT_ERRORS,
        CONNECT_ERRORS,
        RESPONSE_ERRORS,
        CIRCUIT_ERRORS,
        PROXY_ERRORS,
        FAILOVERS,
        RETRIES,
        CIRCUIT_OPEN,
    ];
    /// Those of a route with shadow requests that are compared, in addition.
    pub const OF_COMPARING: [Metric; 3] = [COMPARED, DIFFERENT, LOST];
    /// Those of the whole function.
    pub const OF_FUNCTION: [Metric; 1] = [LIVE];

    /// Returns `true` for a name that CloudWatch accepts as a namespace, save those that are AWS's own.
    #[must_use]
    pub fn is_namespace(name: &str) -> bool {
        (1..=255).contains(&name.len())
            && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._/#: ".contains(&byte))
            && !name.starts_with(':')
            && !name.starts_with("AWS/")
            && !name.trim().is_empty()
    }

    /// Adds metrics to the line of a record, which is a complete JSON object whose members have these names; metrics keep theirs.
    /// Health checks have none.
    pub fn add_to_access(&self, line: &mut Vec<u8>, record: &AccessRecord<'_>, sample: Sample, names: Names) {
        if record.method.is_none() && record.error.is_none() {
            return;
        }
        let mut members = Members { is_renamed: names == Names::Otel, ..Members::new() };
        let requests = record.requests();
        if sample.has_all {
            members.put(REQUESTS, requests);
        }
        if sample.is_chosen {
            members.has(TOTAL, Some(record.total_ms));
            let backend = record.backend_ms.unwrap_or_default();
            members.put_duration(OVERHEAD, record.total_ms - backend);
            members.has(BACKEND, record.backend_ms);
        }
        if record.is_failure() {
            members.put(ERRORS, 1);
        }
        if let Some(cause) = cause(record) {
            members.put(cause, requests);
        }
        if record.journal.iter().any(|attempt| attempt.role == Role::Failover && attempt.outcome != "open") {
            members.put(FAILOVERS, 1);
        }
        members.has(RETRIES, (record.retries > 0).then_some(record.retries.into()));
        if record.skipped.iter().any(|skipped| skipped.outcome == "open") {
            members.put(CIRCUIT_OPEN, 1);
        }
        if members.is_renamed {
            for member in ["route", LIVE.name] {
                if let Some(value) = otel::value_of(line, member) {
                    members.begin(member);
                    members.values.push_str(value);
                }
            }
        }
        self.add(line, record.time, record.route.is_some(), record.live.is_some(), &members);
    }

    /// Adds metrics to the line of a comparison. Only those of shadow requests are samples of the traffic.
    pub fn add_to_comparison(&self, line: &mut Vec<u8>, record: &Record) {
        let mut members = Members::new();
        match record.verdict {
            _ if record.against != Against::Mirror => return,
            Verdict::Match | Verdict::Accepted => members.put(COMPARED, 1),
            Verdict::Different => {
                members.put(COMPARED, 1);
                members.put(DIFFERENT, 1);
            }
            Verdict::Lost => members.put(LOST, 1),
            Verdict::Failed | Verdict::Unknown => return,
        }
        self.add(line, record.time, true, false, &members);
    }

    fn add(&self, line: &mut Vec<u8>, time: SystemTime, has_route: bool, has_live: bool, members: &Members) {
        if (members.names.is_empty() && !has_live) || line.pop() != Some(b'}') {
            return;
        }
        let milliseconds = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        // Writing to memory does not fail.
        let _ = write!(line, r#","_aws":{{"Timestamp":{milliseconds},"CloudWatchMetrics":["#);
        let mut directive = |dimensions: &str, names: &str| {
            let namespace = self.namespace.as_deref().unwrap_or(Self::NAMESPACE);
            let parts =
                [r#"{"Namespace":""#, namespace, r#"","Dimensions":["#, dimensions, r#"],"Metrics":["#, names, "]},"];
            for part in parts {
                line.extend_from_slice(part.as_bytes());
            }
        };
        if !members.names.is_empty() {
            directive(if self.routes && has_route { r#"[],["route"]"# } else { "[]" }, &members.names);
        }
        if has_live {
            let mut live = Members::new();
            live.name(LIVE);
            directive("[]", &live.names);
        }
        // The last comma.
        line.pop();
        for part in ["]}", &members.values, "}"] {
            line.extend_from_slice(part.as_bytes());
        }
    }
}

/// The metrics of a line.
struct Members {
    /// Their definitions.
    names: String,
    /// The members with their values, save those that the line has anyway.
    values: String,
    /// The members that the line has anyway have other names there.
    is_renamed: bool,
}

impl Members {
    /// With room for those of most lines.
    fn new() -> Self {
        Members { names: String::with_capacity(256), values: String::with_capacity(64), is_renamed: false }
    }

    /// A metric whose value, if there is one, the line has anyway: a duration in milliseconds, or a number.
    fn has(&mut self, metric: Metric, value: Option<f64>) {
        match value {
            Some(value) if self.is_renamed => self.put_duration(metric, value),
            Some(_) => self.name(metric),
            None => {}
        }
    }

    fn name(&mut self, metric: Metric) {
        let comma = if self.names.is_empty() { "" } else { "," };
        for part in [comma, r#"{"Name":""#, metric.name, r#"","Unit":""#, metric.unit, r#""}"#] {
            self.names.push_str(part);
        }
    }

    fn put(&mut self, metric: Metric, value: u64) {
        self.name(metric);
        self.begin(metric.name);
        let _ = write!(self.values, "{value}");
    }

    /// To the microsecond, as the other times. Costs less than the text of a floating-point number.
    fn put_duration(&mut self, metric: Metric, milliseconds: f64) {
        self.name(metric);
        self.begin(metric.name);
        let value = (milliseconds * 1000.0).round() as u64;
        let _ = write!(self.values, "{}.{:03}", value / 1000, value % 1000);
    }

    fn begin(&mut self, member: &str) {
        for part in [",\"", member, "\":"] {
            self.values.push_str(part);
        }
    }
}

/// The metric that counts an error response; `None` if there was none, or if the configuration gives it, as a maintenance page.
fn cause(record: &AccessRecord<'_>) -> Option<Metric> {
    let Some(error) = record.error.as_deref() else {
        return match record.status {
            400..500 => Some(CLIENT_ERRORS),
            500.. if record.backend.is_some() => Some(BACKEND_ERRORS),
            _ => None,
        };
    };
    Some(match error {
        _ if (400..500).contains(&record.status) => CLIENT_ERRORS,
        // The last one has no time left for a request.
        "dns_timeout" | "connection_timeout" | "http_response_timeout" | "proxy_internal_response" => TIMEOUT_ERRORS,
        "destination_unavailable" => CIRCUIT_ERRORS,
        "dns_error" | "connection_refused" => CONNECT_ERRORS,
        error if error.starts_with("destination_ip_") || error.starts_with("tls_") => CONNECT_ERRORS,
        error if error.starts_with("proxy_") => PROXY_ERRORS,
        _ => RESPONSE_ERRORS,
    })
}
