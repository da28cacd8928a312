//! `crossfade test`: checks the expectations in a configuration against `explain`.
//!
//! Owns the comparison and its report. `crossfade-route` owns the syntax of expectations.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use crossfade_journal::redaction::shown_query;
use crossfade_proxy::Proxy;
use crossfade_route::{Checked, Expectation};
use http::{Method, Uri};
use maud::html;
use serde::Serialize;

use super::environment::{Environment, Recorder};
use super::explain::{Asked, Explanation, LOCALHOST, Outcome, proxy};
use super::report::write;
use super::{Verdict, configuration};
use crate::html::render_xml;
use crate::terminal::{print, print_json, printable, say};

/// Run the `tests` of a configuration: requests and their expected routing
#[derive(clap::Args)]
#[command(after_help = "\
A test in the configuration:
  tests:
    - request: GET https://shop.example.com/api/orders/7
      headers: { cookie: customer_id=42 }
      expect: { route: orders-read, backend: modern, upstream: /v2/orders/7 }

No request is sent. Exit codes: 0 all tests pass, 1 a test fails, 2 the tests could not run, or there are none.")]
pub(super) struct Options {
    /// Configuration file
    #[arg(value_name = "FILE", default_value = "crossfade.yaml")]
    config: PathBuf,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
    /// Also write the results to this file, as JUnit's XML for CI systems
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

pub(super) fn run(options: &Options) -> Result<Verdict> {
    // Reports all errors of the file.
    let proxy = proxy(&options.config, None)?;
    let results = Results::of(&options.config, &proxy)?;
    if results.tests.is_empty() {
        bail!("`{}` has no tests\n  hint: add some at its end, such as\n{}", results.file, example(&proxy)?);
    }
    if let Some(path) = &options.junit {
        write(path, &results.junit()).with_context(|| format!("cannot write `{}`", path.display()))?;
    }
    match options.json {
        true => print_json(&results.json()?)?,
        false => print(&results.text())?,
    }
    Ok(if results.failed == 0 { Verdict::Clean } else { Verdict::Findings })
}

/// Runs the tests of a file for another command. Prints the results to standard error unless all pass. Returns `true` if one
/// fails.
pub(super) fn is_rejected(file: &Path) -> Result<bool> {
    let results = Results::of(file, &proxy(file, None)?)?;
    if results.failed > 0 {
        say(results.text().trim_end());
    }
    Ok(results.failed > 0)
}

/// A test that the configuration passes.
fn example(proxy: &Proxy) -> Result<String> {
    let url = "https://www.example.com/";
    let asked = Asked { method: Method::GET, url: Uri::from_static(url), headers: Vec::new(), ip: LOCALHOST };
    let Explanation { outcome, route, .. } = Explanation::of(proxy, None, &asked, 0)?;
    let expected = match (outcome, route) {
        (Outcome::Sent(sent), Some(route)) if sent.target.by_chance => format!("route: {}", route.name),
        (Outcome::Sent(sent), _) => format!("backend: {}", sent.target.backend),
        (Outcome::Answered { answer }, _) => format!("status: {}", answer.status),
    };
    Ok(format!("    tests:\n      - request: GET {url}\n        expect: {{ {expected} }}"))
}

/// The results of all tests of a file. Serialised, it is the document of `--json`.
#[derive(Serialize)]
struct Results {
    /// The version of this document.
    version: u32,
    file: String,
    /// Number of tests that failed.
    failed: usize,
    tests: Vec<Test>,
}

/// The result of one test, without values of the environment.
#[derive(Serialize)]
struct Test {
    line: u32,
    request: String,
    ok: bool,
    /// The unmet expectations.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    differences: Vec<Difference>,
    /// The reason for the target of a test that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    reason: Option<String>,
}

#[derive(Serialize)]
struct Difference {
    /// The key below `expect`.
    key: &'static str,
    expected: String,
    /// `None` if there is no such thing, as the back end of a redirect.
    found: Option<String>,
}

impl Results {
    /// Runs the tests of a file, from which `proxy` was made.
    fn of(path: &Path, proxy: &Proxy) -> Result<Results> {
        let (file, text) = (path.display().to_string(), configuration::text(path)?);
        let recorder = Recorder::new(path.parent().unwrap_or(path));
        let expectations = Checked::new(&text, &file, &recorder).expectations;
        let environment = recorder.environment();
        let tests = expectations.iter().map(|expectation| Test::run(expectation, proxy, &environment));
        let tests = tests.collect::<Result<Vec<_>>>()?;
        let failed = tests.iter().filter(|test| !test.ok).count();
        Ok(Results { version: 1, file, failed, tests })
    }

    fn text(&self) -> String {
        let mut text = String::new();
        for test in &self.tests {
            let verdict = if test.ok { "ok  " } else { "FAIL" };
            text += &format!("{verdict} {}:{}: {}\n", self.file, test.line, test.request);
            for line in test.problems() {
                text += &format!("       {line}\n");
            }
        }
        let count = self.tests.len();
        text + &format!("{count} test{}, {} failed\n", if count == 1 { "" } else { "s" }, self.failed)
    }

    fn json(&self) -> Result<String> {
        Ok(serde_json::to_string_pretty(self)? + "\n")
    }

    /// JUnit's XML, as CI systems read it. A request that occurs twice has the line in its name.
    fn junit(&self) -> String {
        let mut times = HashMap::<&str, u32>::new();
        for test in &self.tests {
            *times.entry(&test.request).or_default() += 1;
        }
        let name = |test: &Test| {
            let is_repeated = times.get(test.request.as_str()).is_some_and(|times| *times > 1);
            xml(&if is_repeated { format!("{} (line {})", test.request, test.line) } else { test.request.clone() })
        };
        let (file, count, failed) = (xml(&self.file), self.tests.len(), self.failed);
        render_xml(html! {
            testsuites name="crossfade test" tests=(count) failures=(failed) errors="0" {
                testsuite name=(file) tests=(count) failures=(failed) errors="0" skipped="0" {
                    @for test in &self.tests {
                        testcase classname=(file) name=(name(test)) file=(file) line=(test.line) {
                            @let problems: Vec<_> = test.problems().map(|line| xml(&line)).collect();
                            @if let Some(first) = problems.first().filter(|_| !test.ok) {
                                failure message=(first) type="expectation" { (problems.join("\n")) }
                            }
                        }
                    }
                }
            }
        })
    }
}

/// Text without the characters that XML cannot have (XML 1.0, section 2.2), nor others that mislead. `maud` escapes the rest.
fn xml(text: &str) -> String {
    printable(text).replace(['\u{fffe}', '\u{ffff}'], "\u{fffd}")
}

impl Test {
    fn run(expected: &Expectation, proxy: &Proxy, environment: &Environment) -> Result<Test> {
        let Expectation { line, method, url, headers, ip, .. } = expected;
        let asked =
            Asked { method: method.clone(), url: url.clone(), headers: headers.clone(), ip: ip.unwrap_or(LOCALHOST) };
        let found = Explanation::of(proxy, None, &asked, 0)?;
        let sent = match &found.outcome {
            Outcome::Sent(sent) => Some(sent),
            Outcome::Answered { .. } => None,
        };
        let mut differences = differences(expected, &found, environment);
        let is_about_target = expected.backend.is_some() || expected.upstream.is_some();
        let by_chance = sent.filter(|sent| is_about_target && sent.target.by_chance);
        let reason = match (by_chance, sent) {
            (Some(sent), _) => {
                // A match this time proves nothing.
                differences.clear();
                Some(format!("the target is chosen {}", sent.target.why))
            }
            (None, Some(sent)) if !differences.is_empty() => {
                Some(format!("target {}: {}", sent.target.backend, sent.target.why))
            }
            _ => None,
        };
        let reason = reason.map(|reason| environment.hide(&reason));
        let request = shown(&format!("{method} {url}"), environment);
        let ok = differences.is_empty() && reason.is_none();
        Ok(Test { line: *line, request, ok, differences, reason })
    }

    /// A line for each unmet expectation, and the reason for the target.
    fn problems(&self) -> impl Iterator<Item = String> {
        let differences = self.differences.iter().map(|Difference { key, expected, found }| {
            format!("{key}: expected {expected}, found {}", found.as_deref().unwrap_or("nothing"))
        });
        differences.chain(self.reason.clone())
    }
}

fn differences(expected: &Expectation, found: &Explanation, environment: &Environment) -> Vec<Difference> {
    let (sent, answer) = match &found.outcome {
        Outcome::Sent(sent) => (Some(sent), None),
        Outcome::Answered { answer } => (None, Some(answer)),
    };
    let upstream = sent.map(|sent| match &expected.upstream {
        Some(path) if path.starts_with('/') => path_of(&sent.upstream.url),
        _ => sent.upstream.url.as_str(),
    });
    let expected_status = expected.status.map(|status| status.as_u16().to_string());
    let status = answer.map(|answer| answer.status.to_string());
    let all = [
        ("route", &expected.route, found.route.as_ref().map(|route| route.name.as_str())),
        ("backend", &expected.backend, sent.map(|sent| sent.target.backend.as_str())),
        ("upstream", &expected.upstream, upstream),
        ("status", &expected_status, status.as_deref()),
        ("location", &expected.location, answer.and_then(|answer| answer.location.as_deref())),
    ];
    let different = all.into_iter().filter_map(|(key, expected, found)| {
        let expected = expected.as_deref().filter(|expected| found != Some(*expected))?;
        let found = found.map(|found| shown(found, environment));
        Some(Difference { key, expected: shown(expected, environment), found })
    });
    different.collect()
}

/// A URL or another expected value, without values of the environment and without secrets in its query.
fn shown(url: &str, environment: &Environment) -> String {
    let url = environment.hide(url);
    match url.split_once('?') {
        Some((path, query)) => format!("{path}?{}", shown_query(query, true)),
        None => url,
    }
}

/// The part of a URL after the authority.
pub(super) fn path_of(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let path = url.get(after_scheme..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| after_scheme + at);
    url.get(path..).unwrap_or_default()
}
