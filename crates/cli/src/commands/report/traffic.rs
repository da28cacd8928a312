//! `crossfade report --traffic`: who is still on the old system, from access lines.
//!
//! Owns reading them and the errors about logs without any. `crate::report::traffic` owns the report.

use anyhow::{Context, Result, bail};
use crossfade_parity::TrafficTally;
use crossfade_parity::number::grouped;

use super::{Options, Verdict, table, write};
use crate::program;
use crate::report::input::{Entry, Logs};
use crate::report::traffic::{Systems, TrafficReport, html, text};
use crate::terminal::{has_colours, print_json, print_painted};

pub(super) fn run(options: &Options) -> Result<Verdict> {
    let table = options.config.as_deref().map(table).transpose()?;
    let mut systems = Systems::new(options.old.clone(), table.as_ref())?;
    systems.only(&options.route);
    let (mut logs, mut tally) = (Logs::default(), TrafficTally::new());
    let (mut records, mut left_out, mut comparisons) = (0, 0, 0);
    options.read(&mut logs, |entry| match entry {
        Entry::Access(record) => {
            records += 1;
            if options.asks_for(record.route.as_deref().unwrap_or_default(), record.time) {
                tally.add_at(&record, &systems.endpoint(&record));
            } else {
                left_out += 1;
            }
        }
        Entry::Comparison(_) => comparisons += 1,
    })?;
    if records == 0 {
        bail!(without_lines(comparisons, logs.unreadable.first.as_deref()));
    }
    let output = &options.output;
    let report = TrafficReport::new(output.title.clone(), &systems, tally.traffic(), logs, records, left_out);
    if let Some(file) = &output.html {
        write(file, &html::page(&report)).with_context(|| format!("cannot write `{}`", file.display()))?;
    }
    if output.json {
        print_json(&(serde_json::to_string_pretty(&report)? + "\n"))?;
    } else {
        print_painted(&text::text(&report, has_colours()))?;
    }
    Ok(Verdict::Clean)
}

fn without_lines(comparisons: u64, unreadable: Option<&str>) -> String {
    let found = match (comparisons, unreadable) {
        (0, None) => "the log has no access line (`\"type\":\"access\"`)".to_owned(),
        (0, Some(first)) => format!("the log has no access line that can be read, the first at {first}"),
        (count, _) => format!(
            "the log has {} comparisons, but no access line: comparisons are of shadow requests, which serve no user",
            grouped(count)
        ),
    };
    format!(
        "{found}\n  hint: the function writes a line for each request unless `accessLog` is false: \
         `aws logs filter-log-events --log-group-name GROUP --filter-pattern '{{ $.type = \"access\" }}' --output json | \
         {} report --traffic`",
        program::name()
    )
}
