//! `crossfade report` without its command line: reads logs and renders the report.
//!
//! Owns the JSON document. `input` reads logs, `time` the times of options, `rules` judges their records again; `causes` groups differences, `standing` says
//! what is wrong at each endpoint; `text` on `paper`, and `html` with its `charts`, render the other formats. `traffic` is the report
//! on users' requests. `crossfade-parity` computes and judges the figures.

mod causes;
mod charts;
pub(crate) mod html;
pub(crate) mod input;
mod paper;
pub(crate) mod rules;
mod standing;
pub(crate) mod text;
pub(crate) mod time;
pub(crate) mod traffic;

use crossfade_parity::{Assessment, ConditionResult, Endpoint, Reason, Route, Summary, Timeline, Verdict};
use serde::Serialize;

use causes::Cause;
use input::{Logs, Unreadable};

/// The contents of a report in every format. Serialised, it is the JSON document of `docs/report.md`.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    /// The version of this document.
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    verdict: Verdict,
    reasons: Vec<Reason>,
    /// The differences by cause: what to do first.
    causes: Vec<Cause>,
    /// Empty without gates.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) gate: Vec<ConditionResult>,
    input: Input,
    overall: Summary,
    routes: Vec<Route>,
    endpoints: Vec<Endpoint>,
    timeline: Timeline,
    hints: Vec<String>,
}

/// The log that was read.
#[derive(Debug, Serialize)]
struct Input {
    #[serde(flatten)]
    reading: Reading,
    /// Time of the first and of the last request (RFC 3339, UTC, whole seconds).
    #[serde(skip_serializing_if = "Option::is_none")]
    from: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    to: Option<String>,
    /// Names of the back ends.
    #[serde(skip_serializing_if = "Option::is_none")]
    primary: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    mirror: Option<String>,
}

/// Counts of the records that a report is about.
#[derive(Debug, Serialize)]
struct Reading {
    records: u64,
    /// Records excluded by `--route`, `--since`, `--until`.
    left_out: u64,
    /// Records that occurred again, and were counted once.
    #[serde(skip_serializing_if = "is_zero")]
    repeated: u64,
    unreadable: u64,
    /// `FILE:LINE: REASON`.
    #[serde(skip_serializing_if = "Option::is_none")]
    first_unreadable: Option<String>,
}

impl Reading {
    /// With a hint for the reader if it may be inaccurate.
    fn new(records: u64, left_out: u64, logs: Logs) -> (Reading, Option<String>) {
        let hint = "there are so many records that some of those which occur again may be counted twice";
        let hint = logs.may_repeat().then(|| hint.to_owned());
        let Logs { repeated, unreadable: Unreadable { count: unreadable, first: first_unreadable }, .. } = logs;
        (Reading { records, left_out, repeated, unreadable, first_unreadable }, hint)
    }
}

impl Report {
    pub(crate) fn new(
        title: Option<String>,
        gate: Vec<ConditionResult>,
        assessment: Assessment,
        logs: Logs,
        left_out: u64,
    ) -> Report {
        let Assessment { verdict, reasons, records, span, backends, overall, routes, endpoints, timeline, mut hints } =
            assessment;
        let (reading, hint) = Reading::new(records, left_out, logs);
        hints.extend(hint);
        let time = |time| humantime::format_rfc3339_seconds(time).to_string();
        let (from, to) = span.map(|(from, to)| (time(from), time(to))).unzip();
        let (primary, mirror) = backends.unzip();
        let input = Input { reading, from, to, primary, mirror };
        let causes = causes::causes(&endpoints);
        Report { version: 2, title, verdict, reasons, causes, gate, input, overall, routes, endpoints, timeline, hints }
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_zero(number: &u64) -> bool {
    *number == 0
}
