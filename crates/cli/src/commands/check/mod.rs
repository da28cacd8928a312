//! `crossfade check`: all errors and warnings of a configuration before it is deployed.
//!
//! Owns the output and the exit code. Findings come from `crossfade-route`, from the proxy if it cannot start, from `migration` and `metrics`, with
//! `--front` from `front`, and with `--connect` from `connect`.

mod connect;
mod front;
pub(super) mod metrics;
mod migration;

use std::fs;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use anyhow::{Context, Result};
use crossfade_function::LocalSurroundings;
use crossfade_proxy::Proxy;
use crossfade_route::{Checked, Diagnostic, Diagnostics, PemFile, Place, Severity, decode};
use http::header::HeaderValue;
use serde_json::{Value, json};

use self::connect::Look;
use self::front::Front;
use self::metrics::Count;
use super::{Verdict, configuration};
use crate::terminal::{print, print_json, say};

/// Check a crossfade.yaml and report all errors at once, each with its line and a hint
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade check
  crossfade check --deny-warnings deploy/crossfade.yaml    for CI
  crossfade check --json | jq -r '.findings[].message'
  crossfade check --connect --deny-warnings                before a deployment, from the function's network
  crossfade check --live s3://bucket/live.json             before a deployment during a migration
  crossfade check --front rest-api                         warns of what this front end cannot do

`--connect` connects from this machine to each back end, as the function would: it trusts `SSL_CERT_FILE` in addition to
the public authorities, and sends one `HEAD` for the base path to each of the back end's `addresses`. A back end that
cannot be reached, or that responds with 421 to its `Host`, is an error. One unreachable address of several, a
certificate that expires within 30 days, a 400 and a 5xx are warnings.

Relative paths in the configuration start at its folder. `${env:NAME}` comes from this shell's environment.
Findings go to standard output. Exit codes: 0 no errors, 1 errors, 2 the check could not run.")]
pub(super) struct Options {
    /// Configuration file
    #[arg(value_name = "FILE", default_value = "crossfade.yaml")]
    file: PathBuf,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
    /// Exit with 1 for warnings as well
    #[arg(long)]
    deny_warnings: bool,
    /// Connect to each back end: check address, TLS, certificates, latency and Host
    #[arg(long)]
    connect: bool,
    /// Check that the live state in this place fits the file: file:PATH, s3://BUCKET/KEY, ssm:/NAME or appconfig:APPLICATION/ENVIRONMENT/PROFILE [default: $CROSSFADE_LIVE]
    #[arg(long, value_name = "PLACE")]
    live: Option<String>,
    /// Front end that the file is for: warn of its limits; can be repeated [possible values: alb, rest-api, http-api, http-api-1.0, function-url, lattice, lattice-1]
    #[arg(long = "front", value_name = "KIND", value_parser = Front::parse)]
    fronts: Vec<Front>,
    /// Host that clients send, for `hostHeader: preserve` [default: the host of `publicUrl`]
    #[arg(long, value_name = "HOST", requires = "connect")]
    host: Option<HeaderValue>,
}

pub(super) fn run(options: &Options) -> Result<Verdict> {
    let result = CheckResult::of(options)?;
    if options.json { print_json(&result.json()) } else { print(&result.text()) }?;
    let (errors, warnings) = (result.count(Severity::Error), result.count(Severity::Warning));
    let is_clean = errors == 0 && (warnings == 0 || !options.deny_warnings);
    Ok(if is_clean { Verdict::Clean } else { Verdict::Findings })
}

/// Checks a file for another command. Prints what there is to say, to standard error. Returns `true` if it has errors.
pub(super) fn is_rejected(file: &Path) -> Result<bool> {
    let options = Options {
        file: file.to_owned(),
        json: false,
        deny_warnings: false,
        connect: false,
        live: None,
        fronts: Vec::new(),
        host: None,
    };
    let result = CheckResult::of(&options)?;
    if !result.findings.list.is_empty() {
        say(result.text().trim_end());
    }
    Ok(result.count(Severity::Error) > 0)
}

/// The errors of a configuration file that the function rejected, as `check` reports them: with the mistakes behind them.
pub(super) fn explained(errors: &Diagnostics) -> Option<Diagnostics> {
    let file = Path::new(&errors.source_name);
    let text = decode(fs::read(file).ok()?)?;
    let folder = file.parent().unwrap_or(Path::new(""));
    let found = Checked::new(&text, &errors.source_name, &LocalSurroundings { folder }).diagnostics;
    found.has_errors().then_some(found)
}

struct CheckResult {
    findings: Diagnostics,
    backends: usize,
    routes: usize,
    /// Without errors in the configuration.
    metrics: Option<Count>,
    /// Empty without `--connect`, and if the configuration has errors.
    looks: Vec<Look>,
    now: SystemTime,
}

impl CheckResult {
    fn of(Options { file, connect, live, fronts, host, .. }: &Options) -> Result<CheckResult> {
        let bytes = configuration::bytes(file)?;
        let folder = file.parent().unwrap_or(Path::new(""));
        let text = decode(bytes.clone());
        let is_text = text.is_some();
        let text = text.unwrap_or_else(|| String::from_utf8_lossy(&bytes).into_owned());
        let Checked { table, diagnostics: mut findings, .. } =
            Checked::new(&text, &file.display().to_string(), &LocalSurroundings { folder });
        findings.list.extend(not_utf8(&bytes).filter(|_| !is_text));
        let (mut backends, mut routes, mut metrics, mut looks, now) = (0, 0, None, Vec::new(), SystemTime::now());
        if let Some(table) = table {
            (backends, routes) = (table.backends().len(), table.routes().len());
            metrics = Count::of(&table);
            findings.list.extend(metrics::warnings(&table, &text));
            findings.list.extend(migration::guard(&table, &text));
            findings.list.extend(front::limits(fronts, &table, &text));
            if let Some(place) = super::migration::place(live.as_ref()) {
                let overlay = super::migration::read(&place)?;
                findings.list.extend(overlay.iter().flat_map(|overlay| migration::live(&table, overlay, &place)));
            }
            let cert_file = if *connect { cert_file()? } else { None };
            // Only building a client parses certificates and keys.
            match Proxy::new(table, cert_file, "crossfade-check") {
                Ok(proxy) if *connect => looks = connect::look(proxy, host.as_ref())?,
                Ok(_) => {}
                Err(error) => findings.list.push(finding(None, error.to_string(), None)),
            }
        }
        findings.list.extend(looks.iter().flat_map(|look| look.findings(now)));
        findings.list.sort_by_key(|finding| finding.place);
        Ok(CheckResult { findings, backends, routes, metrics, looks, now })
    }

    fn count(&self, severity: Severity) -> usize {
        self.findings.list.iter().filter(|finding| finding.severity == severity).count()
    }

    fn text(&self) -> String {
        let looks: String = self.looks.iter().map(|look| look.text(self.now) + "\n").collect();
        looks + &self.findings_text()
    }

    fn findings_text(&self) -> String {
        let file = &self.findings.source_name;
        let metrics = self.metrics.map(|count| format!(", {}", count.text())).unwrap_or_default();
        if self.findings.list.is_empty() {
            let (backends, routes) = (counted(self.backends, "back end"), counted(self.routes, "route"));
            return format!("{file}: ok, {backends}, {routes}{metrics}\n");
        }
        let counts = [(self.count(Severity::Error), "error"), (self.count(Severity::Warning), "warning")];
        let counts: Vec<_> = counts.iter().filter(|(n, _)| *n > 0).map(|(n, noun)| counted(*n, noun)).collect();
        format!("{}\n{file}: {}{metrics}\n", self.findings.with_lines(), counts.join(", "))
    }

    fn json(&self) -> String {
        let findings: Vec<_> = self.findings.list.iter().map(as_json).collect();
        let mut document = json!({
            "file": self.findings.source_name,
            "errors": self.count(Severity::Error),
            "warnings": self.count(Severity::Warning),
            "findings": findings,
        });
        if let Some(count) = self.metrics {
            document["metrics"] = count.json();
        }
        if !self.looks.is_empty() {
            document["connections"] = self.looks.iter().map(Look::json).collect();
        }
        format!("{document:#}\n")
    }
}

/// Omits members without a value.
fn as_json(finding: &Diagnostic) -> Value {
    let severity = match finding.severity {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let members = [
        ("severity", json!(severity)),
        ("line", json!(finding.place.map(|place| place.line))),
        ("column", json!(finding.place.map(|place| place.column))),
        ("path", json!(Some(&finding.path).filter(|path| !path.is_empty()))),
        ("route", json!(finding.route)),
        ("message", json!(finding.message)),
        ("hint", json!(finding.hint)),
    ];
    let present = members.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(present.map(|(name, value)| (name.to_owned(), value)).collect())
}

/// An error for the first byte that is not UTF-8.
fn not_utf8(bytes: &[u8]) -> Option<Diagnostic> {
    let first = bytes.utf8_chunks().next().filter(|chunk| !chunk.invalid().is_empty())?;
    let line = first.valid().matches('\n').count() + 1;
    let column = first.valid().chars().rev().take_while(|character| *character != '\n').count() + 1;
    let place = u32::try_from(line).ok().zip(u32::try_from(column).ok());
    let place = place.map(|(line, column)| Place::new(line, column));
    Some(finding(place, "this is not UTF-8".to_owned(), Some("save the file as UTF-8".to_owned())))
}

fn finding(place: Option<Place>, message: String, hint: Option<String>) -> Diagnostic {
    Diagnostic { place, hint, ..Diagnostic::error(Place::new(1, 1), message) }
}

/// `SSL_CERT_FILE`, as the function reads it.
fn cert_file() -> Result<Option<PemFile>> {
    let Some(path) = super::cert_file()? else { return Ok(None) };
    let text = fs::read(&path).with_context(|| format!("`SSL_CERT_FILE`: cannot read `{}`", path.display()))?;
    Ok(Some(PemFile { path, text }))
}

fn counted(number: usize, noun: &str) -> String {
    format!("{number} {noun}{}", if number == 1 { "" } else { "s" })
}
