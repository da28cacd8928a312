//! `crossfade report --traffic` without its command line: who is still on the old system, and what to switch off next.
//!
//! Owns the JSON document and its notes. `systems` says which back end is the old one, `next` in which order it can be switched
//! off; `text` and `html` render the other formats. `crossfade-parity` counts the lines.

pub(crate) mod html;
mod next;
mod shown;
mod systems;
pub(crate) mod text;

use crossfade_parity::Traffic;
use crossfade_parity::number::grouped;
use serde::Serialize;

use super::Reading;
use super::input::Logs;
use next::{Candidate, State};
pub(crate) use systems::Systems;

/// Lines of failures, without any others, that a log has because others are not logged.
const ONLY_FAILURES: u64 = 20;

/// The contents of a traffic report in every format. Serialised, it is the JSON document of `docs/report.md`.
#[derive(Debug, Serialize)]
pub(crate) struct TrafficReport {
    /// The version of this document.
    version: u32,
    #[serde(skip_serializing_if = "Option::is_none")]
    title: Option<String>,
    /// The back end to switch off, if it is known, and the one that replaces it.
    #[serde(skip_serializing_if = "Option::is_none")]
    old: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    new: Option<String>,
    /// That of the old one in all routes together.
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<State>,
    input: Reading,
    /// Uses of the old system that can end, the least effort first.
    switch_off: Vec<Candidate>,
    #[serde(flatten)]
    traffic: Traffic,
    hints: Vec<String>,
}

impl TrafficReport {
    /// `records` is the number of access lines, of which options excluded `left_out`.
    pub(crate) fn new(
        title: Option<String>,
        systems: &Systems,
        traffic: Traffic,
        logs: Logs,
        records: u64,
        left_out: u64,
    ) -> TrafficReport {
        let mut hints = hints(systems, &traffic, records - left_out);
        let (input, hint) = Reading::new(records, left_out, logs);
        hints.extend(hint);
        TrafficReport {
            version: 1,
            title,
            old: systems.old.clone(),
            new: systems.new.clone(),
            state: systems.old.as_deref().and_then(|old| next::state(&traffic.backends, &traffic.timeline, old)),
            input,
            switch_off: next::candidates(systems, &traffic),
            traffic,
            hints,
        }
    }
}

/// Sentences about what the figures cannot tell. Text of the log must be escaped.
fn hints(systems: &Systems, traffic: &Traffic, records: u64) -> Vec<String> {
    let mut hints = Vec::new();
    let uncounted = records.saturating_sub(traffic.lines);
    if uncounted > 0 {
        hints.push(format!("{} lines are of health checks, or of requests that no route took", grouped(uncounted)));
    }
    if traffic.requests > traffic.lines {
        let (lines, requests) = (grouped(traffic.lines), grouped(traffic.requests));
        hints.push(format!("{lines} lines stand for {requests} requests, since `accessLog` reduces the log"));
    }
    if traffic.lines >= ONLY_FAILURES && traffic.failures == traffic.lines {
        let advice = "set `accessLog: { percent: 10 }` or `true` to log others as well";
        hints.push(format!("every line is of a failure, so the shares are those of failures: {advice}"));
    }
    match &systems.old {
        // The configuration knows the names.
        Some(old)
            if systems.routes.is_none()
                && traffic.lines > 0
                && traffic.backends.iter().all(|backend| backend.backend != *old) =>
        {
            let known: Vec<_> = traffic.backends.iter().map(|backend| format!("`{}`", backend.backend)).collect();
            hints.push(format!("`{old}` is not in the log, whose back ends are {}", known.join(", ")));
        }
        Some(_) => {}
        None => hints.push(
            "to see what to switch off next, name the old system: `--old legacy`, or `--config crossfade.yaml` with a `migration`"
                .to_owned(),
        ),
    }
    if traffic.folded {
        hints.push("there are so many names that some are counted together as `(other)`".to_owned());
    }
    hints
}
