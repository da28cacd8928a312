//! The time from a change of live state until it takes effect: real functions with an S3 of the testkit and the default
//! interval, at several rates. It owns the changes, the requests and their table.

use std::fmt::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};
use std::{fs, thread};

use anyhow::{Context as _, ensure};
use crossfade_testkit::event::event;
use crossfade_testkit::process::Process;
use crossfade_testkit::runtime_api::RuntimeApi;
use crossfade_testkit::server::{response, serve};
use serde_json::json;

use crate::function::build;
use crate::process;

/// Environments, and requests per second to all of them together, each in its turn.
const CASES: [(usize, u32); 4] = [(1, 1), (1, 100), (10, 1), (10, 100)];

/// Changes in each case.
const CHANGES: u32 = 20;

/// `CROSSFADE_LIVE_INTERVAL` by default.
const INTERVAL: Duration = Duration::from_secs(10);

/// The times of a change: from the write to the first request decided by the new version, and to the last one decided by the old.
struct Change {
    first: Duration,
    last: Duration,
}

/// Runs all cases at once, for about ten minutes, and prints a table.
///
/// # Errors
/// When something cannot be built or started, or an answer is wrong.
pub fn run() -> anyhow::Result<()> {
    let bootstrap = build("crossfade-function", &["bootstrap"])?.join("bootstrap");
    let measured = thread::scope(|scope| {
        let bootstrap = &bootstrap;
        let threads = CASES.map(|(environments, rate)| scope.spawn(move || changes(bootstrap, environments, rate)));
        threads.map(|thread| thread.join().map_err(|_| anyhow::anyhow!("a case failed")))
    });
    let mut table = "| environments | requests/s | first by the new version, median | worst | last by the old version, median | worst |\n\
                     | --: | --: | --: | --: | --: | --: |\n"
        .to_owned();
    for ((environments, rate), changes) in CASES.iter().zip(measured) {
        let changes = changes??;
        let [first, last] = [|it: &Change| it.first, |it: &Change| it.last].map(|time| {
            let mut times: Vec<Duration> = changes.iter().map(time).collect();
            times.sort_unstable();
            let at = |index: usize| times.get(index).copied().unwrap_or_default().as_secs_f64();
            format!("{:.1} s | {:.1} s", at(times.len() / 2), at(times.len().saturating_sub(1)))
        });
        writeln!(table, "| {environments} | {rate} | {first} | {last} |")?;
    }
    println!("{}\n\n{CHANGES} changes in each row, interval {INTERVAL:?}.\n\n{table}", process::machine());
    Ok(())
}

fn changes(bootstrap: &Path, environments: usize, rate: u32) -> anyhow::Result<Vec<Change>> {
    let version = Arc::new(AtomicU32::new(1));
    let stored = version.clone();
    let store = serve(move |call| {
        let version = stored.load(Ordering::SeqCst);
        let etag = format!("\"{version}\"");
        match call.field("if-none-match") == Some(&etag) {
            true => response("304 Not Modified", &[("etag", &etag)], b""),
            false => response("200 OK", &[("etag", &etag)], overlay(version).as_bytes()),
        }
    });
    let [legacy, modern] = ["legacy", "modern"].map(|name| serve(move |_| response("200 OK", &[], name.as_bytes())));
    let folder = tempfile::tempdir()?;
    let config = folder.path().join("crossfade.yaml");
    fs::write(
        &config,
        format!(
            "version: 1\nbackends: {{ legacy: 'http://{legacy}', modern: 'http://{modern}' }}\n\
             default: {{ forward: {{ targets: [legacy, {{ backend: modern, weight: 0 }}] }} }}\n"
        ),
    )?;
    let start = || {
        let api = RuntimeApi::start();
        let process = Process::start(
            Command::new(bootstrap)
                .env_clear()
                .env("AWS_LAMBDA_RUNTIME_API", api.address.to_string())
                .env("CROSSFADE_CONFIG", &config)
                .env("CROSSFADE_LIVE", "s3://bucket/live.json")
                .env("AWS_ENDPOINT_URL_S3", format!("http://{store}"))
                .env("AWS_REGION", "eu-west-1")
                .env("AWS_ACCESS_KEY_ID", "id")
                .env("AWS_SECRET_ACCESS_KEY", "secret")
                .stdout(Stdio::null()),
        );
        (process, api)
    };
    let mut functions: Vec<(Process, RuntimeApi)> = Vec::new();
    // They begin at different times, and so do not read at the same.
    for _ in 0..environments {
        functions.push(start());
        thread::sleep(INTERVAL / u32::try_from(environments)?);
    }
    let request = event("GET", "/");
    // The system that decides by a version.
    let system = |version: u32| if version % 2 == 1 { "legacy" } else { "modern" };
    let ask = |turn: usize| -> anyhow::Result<String> {
        let (_, api) = functions.get(turn % environments).context("no function")?;
        let reply: serde_json::Value = serde_json::from_slice(&api.invoke(&request).body)?;
        ensure!(reply["statusCode"] == 200, "{reply}");
        Ok(reply["body"].as_str().unwrap_or_default().to_owned())
    };
    let (gap, mut turn, mut found) = (Duration::from_secs(1) / rate, 0, Vec::new());
    let mut due = Instant::now();
    // A request at its time, with the time at which it was decided.
    let mut next = || -> anyhow::Result<(usize, String, Instant)> {
        thread::sleep(due.saturating_duration_since(Instant::now()));
        due += gap;
        turn += 1;
        let at = Instant::now();
        Ok((turn % environments, ask(turn)?, at))
    };
    for change in 0..CHANGES {
        // Changes come at any time between two reads.
        let end = Instant::now() + INTERVAL.mul_f64(f64::from(change) * 0.618 % 1.0);
        while Instant::now() < end {
            next()?;
        }
        let changed = version.fetch_add(1, Ordering::SeqCst) + 1;
        let written = Instant::now();
        let (mut first, mut last, mut moved) = (None, Duration::ZERO, vec![false; environments]);
        while moved.contains(&false) {
            let (environment, by, at) = next()?;
            let after = at.saturating_duration_since(written);
            ensure!(after < 10 * INTERVAL, "a change has no effect");
            if by == system(changed) {
                first = first.or(Some(after));
                moved[environment] = true;
            } else {
                last = after;
            }
        }
        found.push(Change { first: first.unwrap_or_default(), last });
    }
    Ok(found)
}

/// Everyone is on the old system in odd versions.
fn overlay(version: u32) -> String {
    let (legacy, modern) = (version % 2, (version + 1) % 2);
    let weights = json!({ "legacy": legacy, "modern": modern });
    json!({ "format": 1, "version": version, "routes": { "default": { "weights": weights } } }).to_string()
}
