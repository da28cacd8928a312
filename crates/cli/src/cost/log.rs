//! Measures a log of the function: requests, their time and size, copies, and what Lambda has billed.
//!
//! `crate::report::input` finds our records, each once, and `report_lines` what Lambda reports. Nothing is extrapolated here.

use std::fs::File;
use std::io::{Read, Result};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crossfade_journal::AccessRecord;
use crossfade_journal::comparison::{Record, Verdict};
use serde::Serialize;

use super::report_lines::{Reports, Tee};
use super::usage::Measured;
use crate::report::input::{Entry, Logs, decompressed};

/// The route of a health check's line.
const HEALTH_CHECK: &str = "health-check";

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
        let plain = Tee { from: decompressed(log)?, reports: &mut reports };
        let read = logs.read(name, plain, &mut |entry| match entry {
            Entry::Access(record) => self.add(&record),
            Entry::Comparison(record) => self.add_copy(&record),
        });
        reports.end();
        (self.logs, self.reports) = (logs, reports);
        read.map(drop)
    }

    fn add(&mut self, record: &AccessRecord<'static>) {
        if record.route.as_deref() == Some(HEALTH_CHECK) {
            return;
        }
        let requests = record.requests() as f64;
        self.lines = self.lines.saturating_add(1);
        self.requests += requests;
        // Lambda bills each begun millisecond. A line from elsewhere may have any number.
        let ms = record.total_ms.ceil();
        self.billed_ms += requests * if ms.is_finite() { ms.clamp(1.0, 900_000.0) } else { 1.0 };
        self.request_bytes += requests * record.request_bytes as f64;
        self.response_bytes += requests * record.response_bytes as f64;
        if let Some(bytes) = record.spilled_bytes {
            self.spilled += requests;
            self.spilled_bytes += requests * bytes as f64;
        }
        self.access_bytes += written(record);
        self.first = Some(self.first.map_or(record.time, |first| first.min(record.time)));
        self.last = Some(self.last.map_or(record.time, |last| last.max(record.time)));
    }

    fn add_copy(&mut self, record: &Record) {
        self.copies += 1.0;
        self.comparison_bytes += written(record);
        if let Some(ms) = record.mirror.ms.filter(|ms| ms.is_finite() && *ms >= 0.0 && record.verdict != Verdict::Lost)
        {
            self.timed_copies += 1.0;
            self.copy_ms += ms;
        }
    }

    /// Requests, if there are any: of access lines, or of `REPORT` lines alone.
    pub(crate) fn requests(&self) -> Option<f64> {
        let reported = self.reports.count as f64;
        Some(if self.lines > 0 { self.requests } else { reported }).filter(|requests| *requests > 0.0)
    }

    /// The time from the first to the last request. Without access lines it is unknown.
    pub(crate) fn span(&self) -> Option<Duration> {
        self.last?.duration_since(self.first?).ok()
    }

    /// Number of access lines, comparison lines and `REPORT` lines.
    pub(crate) fn counts(&self) -> Counts {
        Counts { access_lines: self.lines, comparison_lines: self.copies as u64, report_lines: self.reports.count }
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

    /// Copies for each request, the time that one takes, and the bytes of its line.
    pub(crate) fn copies(&self) -> Option<(f64, Option<f64>, f64)> {
        let line = average(self.comparison_bytes, self.copies)?;
        Some((self.copies / self.requests()?, average(self.copy_ms, self.timed_copies), line))
    }

    /// Share of the responses that were stored, and their size.
    pub(crate) fn spilled(&self) -> Option<(f64, f64)> {
        Some((average(self.spilled, self.requests)?, average(self.spilled_bytes, self.spilled)?))
    }

    /// Memory, and the billed time of all invocations, as Lambda reports them. Of a log in which only some have a report, the average counts
    /// for all.
    pub(crate) fn billed(&self) -> Option<(Option<f64>, Measured)> {
        let count = self.reports.count as f64;
        let billed_ms = average(self.reports.billed_ms, count)?;
        let measured = Measured { invocations_per_request: (count / self.requests()?).max(1.0), billed_ms };
        Some((self.reports.memory_mb, measured))
    }

    /// Share of the invocations that were cold starts, and the time of one.
    pub(crate) fn cold_starts(&self) -> Option<(f64, Option<f64>)> {
        let cold = self.reports.cold_starts as f64;
        Some((average(cold, self.reports.count as f64)?, average(self.reports.init_ms, cold)))
    }
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

/// The bytes of a line, as the function writes it.
fn written(record: &impl Serialize) -> f64 {
    let mut length = Length(0);
    match serde_json::to_writer(&mut length, record) {
        Ok(()) => length.0.saturating_add(1) as f64,
        Err(_) => 0.0,
    }
}

struct Length(usize);

impl std::io::Write for Length {
    fn write(&mut self, bytes: &[u8]) -> Result<usize> {
        self.0 = self.0.saturating_add(bytes.len());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> Result<()> {
        Ok(())
    }
}
