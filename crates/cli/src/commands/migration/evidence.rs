//! The logs that are the evidence for a step: files, standard input or a log group. Owns reading them once, whatever they are read
//! for. `crossfade-migration` decides.

use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result};
use crossfade_migration::{Evidences, Judgement};
use serde_json::{Value, json};

use crate::cloudwatch;
use crate::migration::{MAX_HISTORY, Migration, history, rfc3339};
use crate::report::input::{Entry, Logs};
use crate::report::time;

/// The part of a log group that is read before the first change of the routes.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// The logs that are the evidence.
#[derive(clap::Args)]
pub(super) struct EvidenceOptions {
    /// Logs of the function, plain or gzipped; `-` reads standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    /// Read this log group of CloudWatch Logs: a name or an ARN
    #[arg(long, value_name = "NAME")]
    log_group: Option<String>,
    /// Ignore requests before this time, such as 2026-11-24T09:00+01:00, or 2h for two hours ago [default for `--log-group`: the last change of the routes, or 24h]
    #[arg(long, value_name = "TIME", value_parser = parse_time)]
    since: Option<SystemTime>,
}

fn parse_time(text: &str) -> Result<SystemTime, &'static str> {
    time::parse(text, SystemTime::now())
}

/// The logs that were read.
#[derive(Debug, Default)]
pub(super) struct Input {
    pub(super) requests: u64,
    pub(super) comparisons: u64,
    /// Times of the first and the last record.
    pub(super) span: Option<(SystemTime, SystemTime)>,
    unreadable: u64,
    first_unreadable: Option<String>,
}

impl EvidenceOptions {
    /// Returns false if no log is named.
    pub(super) fn are_there(&self) -> bool {
        !self.files.is_empty() || self.log_group.is_some()
    }

    /// Reads the logs, decides about every route, and calls `each` for every record that counts.
    pub(super) async fn judgements(
        &self,
        migration: &Migration,
        now: SystemTime,
        mut each: impl FnMut(&Entry),
    ) -> Result<(Vec<Judgement>, Input)> {
        let mut evidences = migration.evidences()?;
        let mut input = Input::default();
        let mut logs = Logs::default();
        let mut count = |entry: Entry| {
            let time = match &entry {
                Entry::Access(record) => record.time,
                Entry::Comparison(record) => record.time,
            };
            if self.since.is_some_and(|since| time < since) {
                return;
            }
            input.add(&entry, time);
            each(&entry);
            add(&mut evidences, &entry);
        };
        for file in &self.files {
            let read = match file.as_os_str() == "-" {
                true => logs.read("standard input", std::io::stdin().lock(), &mut count).map(drop),
                false => logs.read_file(file, &mut count),
            };
            read.with_context(|| format!("cannot read `{}`", file.display()))?;
        }
        if let Some(group) = &self.log_group {
            let from = match self.since {
                Some(since) => since,
                None => last_change(migration).await.unwrap_or(now - DAY),
            };
            let mut lines = logs.lines("the log group");
            cloudwatch::read(group, from, now, |line| lines.push(line, &mut count)).await?;
            lines.end(&mut count);
        }
        (input.unreadable, input.first_unreadable) = (logs.unreadable.count, logs.unreadable.first);
        if let Some(warning) = input.warning() {
            evidences.incomplete(warning);
        }
        Ok((evidences.judgements(now), input))
    }
}

fn add(evidences: &mut Evidences<'_>, entry: &Entry) {
    match entry {
        Entry::Access(record) => evidences.add_access(record),
        Entry::Comparison(record) => evidences.add_comparison(record),
    }
}

/// The earliest of the last changes that moved users of a route; `None` if one was never moved.
async fn last_change(migration: &Migration) -> Option<SystemTime> {
    let overlay = migration.stored.overlay.as_ref()?;
    let version = |route: &String| overlay.routes.get(route).map_or(0, |changes| changes.version);
    let version = migration.plan.routes.iter().map(version).min().filter(|version| *version > 0)?;
    if version == overlay.version {
        return Some(overlay.at);
    }
    let history = history(&migration.store, MAX_HISTORY).await.unwrap_or_default();
    history.iter().find(|overlay| overlay.version == version).map(|overlay| overlay.at)
}

impl Input {
    fn add(&mut self, entry: &Entry, time: SystemTime) {
        match entry {
            Entry::Access(_) => self.requests += 1,
            Entry::Comparison(_) => self.comparisons += 1,
        }
        self.span = Some(self.span.map_or((time, time), |(first, last)| (first.min(time), last.max(time))));
    }

    /// `1,200 requests and 300 shadow requests, 2026-11-28T12:00:00Z to 2026-11-28T13:00:00Z`.
    pub(super) fn text(&self) -> String {
        use crossfade_parity::number::grouped;
        let span =
            self.span.map(|(first, last)| format!(", {} to {}", rfc3339(first), rfc3339(last))).unwrap_or_default();
        format!("{} requests and {} shadow requests{span}", grouped(self.requests), grouped(self.comparisons))
    }

    /// Lines that could not be read.
    pub(super) fn warning(&self) -> Option<String> {
        let first = self.first_unreadable.as_ref()?;
        Some(format!("{} records cannot be read, the first one at {first}", self.unreadable))
    }

    pub(super) fn json(&self) -> Value {
        json!({
            "requests": self.requests,
            "comparisons": self.comparisons,
            "from": self.span.map(|(first, _)| rfc3339(first)),
            "to": self.span.map(|(_, last)| rfc3339(last)),
            "unreadable": self.unreadable,
        })
    }
}
