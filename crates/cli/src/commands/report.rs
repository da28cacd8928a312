//! `crossfade report`: judges the comparisons in a log, or counts the requests in it.
//!
//! Owns the options, the input and output files and the exit code; `traffic` is `--traffic`. Records are found and judged by
//! `crossfade-parity`; `crate::report` owns reading logs and the output formats.

mod traffic;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow, bail};
use crossfade_function::LocalSurroundings;
use crossfade_journal::comparison::Record;
use crossfade_parity::{Gate, Tally, judge};
use crossfade_route::{Checked, RoutingTable};

use super::dev::CA_FILE;
use super::{Verdict, configuration};
use crate::program;
use crate::report::input::{Logs, Sought};
use crate::report::rules::Rejudge;
use crate::report::{Report, html, text, time};
use crate::system::temporary;
use crate::terminal::{has_colours, print_json, print_painted, printable, say};

/// Report from a log whether the new system gives the same responses, or who still uses the old one
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  aws logs tail /aws/lambda/crossfade --since 1d --format short | crossfade report
  crossfade report --html report.html export/*/*.gz
  crossfade report --gate 'parity>=99.5%,samples>=5000,p95<=+10%,lost<=1%' comparisons.log
  crossfade report --gate 'orders: parity>=99.9%' --gate 'verdict=same' comparisons.log
  crossfade report --rules crossfade.yaml comparisons.log
  aws logs tail /aws/lambda/crossfade --since 7d --format short | crossfade report --traffic --old legacy

Logs can have any format that contains the records; other lines are ignored.
Gates can test verdict, parity, parity-low, raw-parity, samples, regressions, unjudged, not-measured, unclear, p50, p90, p95, p99,
errors, lost and unknown.
Exit codes: 0 every gate passes, or none is given; 1 a gate fails; 2 the report could not be made.")]
pub(super) struct Options {
    /// Logs, plain or gzipped; `-` or no file reads standard input
    #[arg(value_name = "FILE")]
    files: Vec<PathBuf>,
    #[command(flatten)]
    output: Output,
    /// Include only this route; can be repeated
    #[arg(long, value_name = "NAME")]
    route: Vec<String>,
    /// Include only requests from this time on, such as 2026-11-24, 2026-11-24T09:00+01:00, or 2h for two hours ago
    #[arg(long, value_name = "TIME", value_parser = time)]
    since: Option<SystemTime>,
    /// Include only requests before this time; times without an offset are UTC
    #[arg(long, value_name = "TIME", value_parser = time)]
    until: Option<SystemTime>,
    /// Judge again by the rules of this crossfade.yaml, instead of those that were in force
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Report from access lines which back end serves which requests, and what to switch off next
    #[arg(long, conflicts_with_all = ["gate", "rules", "cacert", "examples"])]
    traffic: bool,
    /// With `--traffic`: the back end to switch off [default: `migration.from` of `--config`]
    #[arg(long, value_name = "BACKEND", requires = "traffic")]
    old: Option<String>,
    /// With `--traffic`: the crossfade.yaml with the routes, the names of endpoints and the `migration`
    #[arg(long, value_name = "FILE", requires = "traffic")]
    config: Option<PathBuf>,
    /// Certificate authority that the curl commands of the report trust [default: `ca.pem` in the folder of a log, as `dev` writes it for its demo]
    #[arg(long, value_name = "FILE")]
    cacert: Option<PathBuf>,
}

/// The options for the report itself, also of `compare`.
#[derive(clap::Args)]
pub(super) struct Output {
    /// Also write an HTML page to this file
    #[arg(long, value_name = "FILE")]
    html: Option<PathBuf>,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
    /// Exit with 1 unless all conditions hold: `[ROUTE: ]CONDITION[,CONDITION]...`; can be repeated
    #[arg(long, value_parser = Gate::parse)]
    gate: Vec<Gate>,
    /// Maximum number of examples per difference
    #[arg(long, value_name = "N", default_value_t = 1)]
    pub(super) examples: usize,
    /// Heading of the report
    #[arg(long)]
    title: Option<String>,
}

fn time(text: &str) -> Result<SystemTime, &'static str> {
    time::parse(text, SystemTime::now())
}

pub(super) fn run(options: &Options) -> Result<Verdict> {
    if let (Some(since), Some(until)) = (options.since, options.until)
        && since >= until
    {
        bail!("no request can be both since and before these times: `--since` is not before `--until`");
    }
    if options.files.is_empty() && std::io::stdin().is_terminal() {
        bail!(
            "no log to report on\n  hint: name the file that `{0} dev` prints, or send a log: `aws logs tail … | {0} report`",
            program::name()
        );
    }
    if options.traffic { traffic::run(options) } else { comparisons(options) }
}

fn comparisons(options: &Options) -> Result<Verdict> {
    let mut tally = Tally::new(options.output.examples).with_cacert(options.cacert());
    let (mut logs, mut left_out) = (Logs::default(), 0);
    let mut rejudge = options.rules.as_deref().map(rules).transpose()?;
    options.read(&mut logs, |mut record: Record| {
        if options.asks_for(&record.route, record.time) {
            if let Some(rejudge) = &mut rejudge {
                rejudge.judge(&mut record);
            }
            tally.add(&record);
        } else {
            left_out += 1;
        }
    })?;
    for warning in rejudge.iter().flat_map(Rejudge::warnings) {
        say(&format!("warning: {}", printable(&warning)));
    }
    judged(&options.output, &tally, logs, left_out)
}

fn table(file: &Path) -> Result<RoutingTable> {
    let text = configuration::text(file)?;
    let surroundings = LocalSurroundings { folder: file.parent().unwrap_or(Path::new("")) };
    let Checked { table, diagnostics, .. } = Checked::new(&text, &file.display().to_string(), &surroundings);
    table.ok_or_else(|| anyhow!("{}", diagnostics.with_lines()))
}

/// The rules of a configuration.
fn rules(file: &Path) -> Result<Rejudge> {
    let table = table(file)?;
    let rejudge = Rejudge::new(&table);
    if !rejudge.has_rules() {
        bail!("no route of `{}` has a `mirror` with rules", file.display());
    }
    Ok(rejudge)
}

/// Judges the records that were counted, and prints the report.
pub(super) fn judged(output: &Output, tally: &Tally, logs: Logs, left_out: u64) -> Result<Verdict> {
    let assessment = judge(tally);
    let gate = output.gate.iter().flat_map(|gate| gate.check(&assessment)).collect();
    let report = Report::new(output.title.clone(), gate, assessment, logs, left_out);
    if let Some(file) = &output.html {
        write(file, &html::page(&report)).with_context(|| format!("cannot write `{}`", file.display()))?;
    }
    if output.json {
        print_json(&(serde_json::to_string_pretty(&report)? + "\n"))?;
    } else {
        print_painted(&text::text(&report, has_colours()))?;
    }
    Ok(if report.gate.iter().all(|part| part.ok) { Verdict::Clean } else { Verdict::Findings })
}

impl Options {
    fn cacert(&self) -> Option<String> {
        let beside = || self.files.iter().map(|log| log.with_file_name(CA_FILE)).find(|file| file.is_file());
        self.cacert.clone().or_else(beside).map(|file| file.to_string_lossy().into_owned())
    }

    /// Calls `each` with the records of all logs.
    fn read<S: Sought>(&self, logs: &mut Logs, mut each: impl FnMut(S)) -> Result<()> {
        let standard_input = [PathBuf::from("-")];
        for file in if self.files.is_empty() { &standard_input } else { self.files.as_slice() } {
            let read = match file.as_os_str() == "-" {
                true => logs.read("standard input", std::io::stdin().lock(), &mut each).map(drop),
                false => logs.read_file(file, &mut each),
            };
            read.with_context(|| format!("cannot read `{}`", file.display()))?;
        }
        Ok(())
    }

    fn asks_for(&self, route: &str, time: SystemTime) -> bool {
        (self.route.is_empty() || self.route.iter().any(|asked| asked == route))
            && self.since.is_none_or(|since| time >= since)
            && self.until.is_none_or(|until| time < until)
    }
}

/// Replaces the file atomically: a reader never sees half of it.
pub(super) fn write(file: &Path, page: &str) -> std::io::Result<()> {
    let folder = file.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let mut temporary = temporary(ORDINARY).tempfile_in(folder)?;
    temporary.write_all(page.as_bytes())?;
    temporary.persist(file)?;
    Ok(())
}

/// The permissions of an ordinary file: others read reports, and temporary files are private by default.
const ORDINARY: u32 = 0o666;
