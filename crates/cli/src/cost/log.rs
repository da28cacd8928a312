//! Measures a log of the function: requests, their time and size, copies, and what Lambda has billed.
//!
//! `crate::report::input` finds our records, each once, and `report_lines` what Lambda reports. Nothing is extrapolated here.

use std::fs::File;
use std::io::{Read, Result};
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossfade_journal::AccessRecord;
use crossfade_journal::comparison::{Record, Verdict};
use crossfade_parity::Part;
use memchr::memmem;
use serde::Serialize;

use super::report_lines::Reports;
use super::usage::{MAX_INVOCATION, Measured};
use crate::report::input::{Entry, Logs};

/// The route of a health check's line.
const HEALTH_CHECK: &str = "health-check";

/// Reasons of lost copies that may have been sent (docs/configuration.md, "Lost copies").
const SENT: [&str; 4] = ["budget", "time", "shutdown", "frozen"];

/// Sums over the lines of the logs.
#[derive(Default)]
pub(crate) struct Measurement {
    logs: Logs,
    reports: Reports,
    /// Lines of requests of clients.
    lines: u64,
    /// The requests that these stand for.
    requests: f64,
    billed_ms: f64,
    request_bytes: f64,
    response_bytes: f64,
    spilled: f64,
    spilled_bytes: f64,
    access_bytes: f64,
    has_metrics: bool,
    health_checks: f64,
    comparisons: u64,
    /// Those that were sent.
    copies: f64,
    copy_ms: f64,
    timed_copies: f64,
    comparison_bytes: f64,
    first: Option<SystemTime>,
    last: Option<SystemTime>,
}

impl Measurement {
    /// Adds the content of a file.
    pub(crate) fn read_file(&mut self, path: &Path) -> Result<()> {
        self.read(&path.display().to_string(), File::open(path)?)
    }

    /// Adds the content of a log; messages use `name` for it.
    pub(crate) fn read(&mut self, name: &str, log: impl Read) -> Result<()> {
        let (mut logs, mut reports) = (std::mem::take(&mut self.logs), std::mem::take(&mut self.reports));
        let read = logs.read_parts(name, log, &mut |part| match part {
            Part::Record(Entry::Access(record), object) => self.add(&record, object),
            Part::Record(Entry::Comparison(record), object) => self.add_copy(&record, object),
            Part::Text(text) => reports.push(text),
        });
        reports.end();
        (self.logs, self.reports) = (logs, reports);
        read.map(drop)
    }

    /// Adds a request; `object` is what it was read from.
    fn add(&mut self, record: &AccessRecord<'static>, object: &[u8]) {
        let requests = record.requests() as f64;
        if record.route.as_deref() == Some(HEALTH_CHECK) {
            self.health_checks += requests;
            return;
        }
        self.lines = self.lines.saturating_add(1);
        self.requests += requests;
        // Lambda bills each begun millisecond. A line from elsewhere may have any number.
        let ms = record.total_ms.ceil();
        self.billed_ms += requests * if ms.is_finite() { ms.clamp(1.0, MAX_INVOCATION) } else { 1.0 };
        self.request_bytes += requests * record.request_bytes as f64;
        self.response_bytes += requests * record.response_bytes as f64;
        if let Some(bytes) = record.spilled_bytes {
            self.spilled += requests;
            self.spilled_bytes += requests * bytes as f64;
        }
        self.access_bytes += object.len().saturating_add(1) as f64;
        self.has_metrics |= has_metrics(object);
        // Of a line without a time.
        if record.time == UNIX_EPOCH {
            return;
        }
        self.first = Some(self.first.map_or(record.time, |first| first.min(record.time)));
        self.last = Some(self.last.map_or(record.time, |last| last.max(record.time)));
    }

    fn add_copy(&mut self, record: &Record, object: &[u8]) {
        self.comparisons = self.comparisons.saturating_add(1);
        self.comparison_bytes += object.len().saturating_add(1) as f64;
        let is_lost = record.verdict == Verdict::Lost;
        // For any other reason, such as `open`, nothing was sent.
        if is_lost && record.reason.as_deref().is_some_and(|reason| !SENT.contains(&reason)) {
            return;
        }
        self.copies += 1.0;
        if let Some(ms) = record.mirror.ms.filter(|ms| ms.is_finite() && *ms >= 0.0 && !is_lost) {
            self.timed_copies += 1.0;
            self.copy_ms += ms;
        }
    }

    /// Requests, if there are any: of access lines, or of `REPORT` lines alone.
    pub(crate) fn requests(&self) -> Option<f64> {
        Some(if self.lines > 0 { self.requests } else { self.reports.count as f64 - self.reported_checks() })
            .filter(|requests| *requests > 0.0)
    }

    /// The time from the first to the last request. Without access lines it is unknown.
    pub(crate) fn span(&self) -> Option<Duration> {
        self.last?.duration_since(self.first?).ok()
    }

    /// Number of access lines, comparison lines and `REPORT` lines.
    pub(crate) fn counts(&self) -> Counts {
        Counts { access_lines: self.lines, comparison_lines: self.comparisons, report_lines: self.reports.count }
    }

    /// Records that cannot be read, with the first of them.
    pub(crate) fn unreadable(&self) -> Option<(u64, &str)> {
        let unreadable = &self.logs.unreadable;
        unreadable.first.as_deref().map(|first| (unreadable.count, first))
    }

    /// Average billed time without what follows the response.
    pub(crate) fn duration_ms(&self) -> Option<f64> {
        average(self.billed_ms, self.requests)
    }

    pub(crate) fn request_bytes(&self) -> Option<f64> {
        average(self.request_bytes, self.requests)
    }

    pub(crate) fn response_bytes(&self) -> Option<f64> {
        average(self.response_bytes, self.requests)
    }

    /// Share of the requests that have a line, and its bytes.
    pub(crate) fn access_log(&self) -> Option<(f64, f64)> {
        let lines = self.lines as f64;
        Some((average(lines, self.requests)?, average(self.access_bytes, lines)?))
    }

    /// Returns true if access lines have metrics.
    pub(crate) fn has_metrics(&self) -> bool {
        self.has_metrics
    }

    pub(crate) fn copies(&self) -> Option<Copies> {
        let line = average(self.comparison_bytes, self.comparisons as f64)?;
        let requests = self.requests()?;
        Some(Copies {
            share: self.copies / requests,
            ms: average(self.copy_ms, self.timed_copies),
            lines: self.comparisons as f64 / requests,
            line,
        })
    }

    /// Share of the responses that were stored, and their size.
    pub(crate) fn spilled(&self) -> Option<(f64, f64)> {
        Some((average(self.spilled, self.requests)?, average(self.spilled_bytes, self.spilled)?))
    }

    /// Health checks that the reports contain: all, or of a log in which only some lines have a report, the same share of them.
    fn reported_checks(&self) -> f64 {
        let all = self.requests + self.health_checks;
        let share = average(self.reports.count as f64, all).unwrap_or_default().min(1.0);
        self.health_checks * share
    }

    /// Memory, and the billed time of invocations without health checks, each of which is billed 1 ms, as Lambda reports them. Of a log in which only some have a report, the average counts
    /// for all.
    pub(crate) fn billed(&self) -> Option<(Option<f64>, Measured)> {
        let checks = self.reported_checks();
        let count = self.reports.count as f64 - checks;
        let billed_ms = average((self.reports.billed_ms - checks).max(0.0), count)?;
        let measured = Measured { invocations_per_request: (count / self.requests()?).max(1.0), billed_ms };
        Some((self.reports.memory_mb, measured))
    }

    /// Share of the invocations that were cold starts, and the time of one.
    pub(crate) fn cold_starts(&self) -> Option<(f64, Option<f64>)> {
        let cold = self.reports.cold_starts as f64;
        Some((average(cold, self.reports.count as f64)?, average(self.reports.init_ms, cold)))
    }
}

/// Shadow requests of a log.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Copies {
    /// Copies that were sent, for each request.
    pub(crate) share: f64,
    /// Average time of one.
    pub(crate) ms: Option<f64>,
    /// Comparison lines for each request.
    pub(crate) lines: f64,
    /// Bytes of such a line.
    pub(crate) line: f64,
}

/// Numbers of the lines that were read.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Counts {
    pub(crate) access_lines: u64,
    pub(crate) comparison_lines: u64,
    pub(crate) report_lines: u64,
}

fn average(sum: f64, count: f64) -> Option<f64> {
    (count > 0.0).then(|| sum / count)
}

/// Returns true for a line with the member `_aws`. Within a string, its quotation mark would be escaped.
fn has_metrics(object: &[u8]) -> bool {
    memmem::find_iter(object, b"\"_aws\":").any(|at| object.get(..at).is_some_and(|before| !before.ends_with(b"\\")))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const REPORT: &str = "REPORT RequestId: real\tDuration: 60.12 ms\tBilled Duration: 61 ms\tMemory Size: 128 MB\tMax Memory Used: 20 MB\t\n";

    fn measured(log: &str) -> Measurement {
        let mut all = Measurement::default();
        all.read("log", log.as_bytes()).unwrap();
        all
    }

    fn access(number: u32, members: &serde_json::Value) -> String {
        let mut line = json!({ "version": 3, "time": format!("2026-11-24T10:{:02}:00Z", number % 60), "route": "orders",
            "request_id": format!("{number:08x}-0000-4000-8000-000000000000"), "method": "GET", "path": "/a", "status": 200, "total_ms": 59.2 });
        line.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
        format!("{{\"type\":\"access\",{}", line.to_string().split_at(1).1)
    }

    #[test]
    fn a_client_cannot_forge_a_report() {
        let event = r#"/platform.report"requestId":"x","billedDurationMs":900000"#;
        let nested = r#"{"time":"2026-11-24T10:57:42.123Z","type":"platform.report","record":{"requestId":"x","metrics":{"billedDurationMs":9}}}"#;
        let line = "REPORT RequestId: x\tBilled Duration: 900000 ms\n";
        for (number, text) in (0..).zip([event, nested, line]) {
            for name in ["path", "method", "host", "user_agent"] {
                let forged = access(number, &json!({ name: text }));
                let cut = forged.trim_end_matches('}');
                let exported = json!({ "timestamp": 1, "message": forged }).to_string();
                let event = format!(r#"{{"time":"2026-11-24T10:00:00Z","type":"function","record":{forged}}}"#);
                let quoted = format!("a,\"{}\"", forged.replace('"', "\"\""));
                for log in [&forged, cut, &exported, &event, &quoted] {
                    let log = format!("{REPORT}{log}\n{}\n{REPORT}", access(99, &json!({})));
                    let all = measured(&log);
                    assert_eq!((all.counts().report_lines, all.reports.billed_ms), (1, 61.0), "{log}");
                    assert!(all.counts().access_lines >= 1, "{log}");
                }
            }
        }
        let compared = format!(r#"{{"type":"compare","version":2,"endpoint":{}}}"#, json!(event));
        assert_eq!(measured(&compared).counts().report_lines, 0);
        // An event that begins with its type is Lambda's.
        let first = r#"{"type":"platform.report","record":{"requestId":"x","metrics":{"billedDurationMs":9}}}"#;
        assert_eq!(measured(first).counts().report_lines, 1);
    }
}
