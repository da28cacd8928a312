//! `crossfade test`: checks the expectations in a configuration against `explain`.
//!
//! Owns the comparison and its report. `crossfade-route` owns the syntax of expectations.

use std::path::PathBuf;

use anyhow::Result;
use crossfade_journal::redaction::shown_query;
use crossfade_route::{Checked, Expectation};

use super::environment::{Environment, Recorder};
use super::explain::{Asked, Explanation, LOCALHOST, Outcome, proxy};
use super::{Verdict, configuration};
use crate::terminal::print;

/// Run the `tests` of a configuration: requests and their expected routing
#[derive(clap::Args)]
#[command(after_help = "\
A test in the configuration:
  tests:
    - request: GET https://shop.example.com/api/orders/7
      headers: { cookie: customer_id=42 }
      expect: { route: orders-read, backend: modern, upstream: /v2/orders/7 }

No request is sent. Exit codes: 0 all tests pass, 1 a test fails, 2 the tests could not run.")]
pub(super) struct Options {
    /// Configuration file
    #[arg(value_name = "FILE", default_value = "crossfade.yaml")]
    config: PathBuf,
}

pub(super) fn run(options: &Options) -> Result<Verdict> {
    let file = options.config.display();
    // Reports all errors of the file.
    let proxy = proxy(&options.config)?;
    let text = configuration::text(&options.config)?;
    let recorder = Recorder::new(options.config.parent().unwrap_or(&options.config));
    let expectations = Checked::new(&text, &file.to_string(), &recorder).expectations;
    let environment = recorder.environment();
    let (mut failed, mut report) = (0, String::new());
    for expectation in &expectations {
        let Expectation { line, method, url, headers, ip, .. } = expectation;
        let asked =
            Asked { method: method.clone(), url: url.clone(), headers: headers.clone(), ip: ip.unwrap_or(LOCALHOST) };
        let differences = differences(expectation, &Explanation::of(&proxy, None, &asked)?, &environment);
        failed += usize::from(!differences.is_empty());
        let verdict = if differences.is_empty() { "ok  " } else { "FAIL" };
        let request = shown(&format!("{method} {url}"), &environment);
        report += &format!("{verdict} {file}:{line}: {request}\n");
        for difference in differences {
            report += &format!("       {difference}\n");
        }
    }
    let count = expectations.len();
    report += &format!("{count} test{}, {failed} failed\n", if count == 1 { "" } else { "s" });
    print(&report)?;
    Ok(if failed == 0 { Verdict::Clean } else { Verdict::Findings })
}

/// A line for each unmet expectation, without values of the environment.
fn differences(expected: &Expectation, found: &Explanation, environment: &Environment) -> Vec<String> {
    let sent = match &found.outcome {
        Outcome::Sent(sent) => Some(sent),
        Outcome::Answered { .. } => None,
    };
    let answer = match &found.outcome {
        Outcome::Answered { answer } => Some(answer),
        Outcome::Sent(_) => None,
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
    let different = all.into_iter().filter_map(|(name, expected, found)| {
        let expected = expected.as_deref()?;
        let found_text = found.map_or("nothing".to_owned(), |found| shown(found, environment));
        (found != Some(expected))
            .then(|| format!("{name}: expected {}, found {found_text}", shown(expected, environment)))
    });
    let mut different: Vec<String> = different.collect();
    let is_about_target = expected.backend.is_some() || expected.upstream.is_some();
    if let Some(sent) = sent.filter(|sent| is_about_target && sent.target.by_chance) {
        // A match this time proves nothing.
        return vec![environment.hide(&format!("the target is chosen {}", sent.target.why))];
    }
    if let (false, Some(sent)) = (different.is_empty(), sent) {
        different.push(environment.hide(&format!("target {}: {}", sent.target.backend, sent.target.why)));
    }
    different
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
fn path_of(url: &str) -> &str {
    let after_scheme = url.find("://").map_or(0, |at| at + 3);
    let path = url.get(after_scheme..).and_then(|rest| rest.find('/')).map_or(url.len(), |at| after_scheme + at);
    url.get(path..).unwrap_or_default()
}
