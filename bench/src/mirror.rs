//! The cost of a mirror in latency for the client and in Lambda time: the same function without one, with one that is
//! compared, and with one that takes five seconds, in turns. It owns these configurations and their table.

use std::ffi::OsString;
use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use crossfade_testkit::server::{Action, Server};

use crate::certificate::Tls;
use crate::function::{Backend, Function, build};
use crate::process;
use crate::runtime_api::Timing;
use crate::warm::Lane;
use crate::workload::{Workload, script};

/// The response time of the slow mirror.
const SLOW: Duration = Duration::from_secs(5);
/// One request to the slow one in each round, and one after the same wait without a mirror.
const ROUNDS: usize = 40;
/// Requests to each of the others in a round.
const REQUESTS: usize = 100;
const WARM_UP: usize = 2000;

/// One way to configure the function, and what it took.
struct Series {
    name: &'static str,
    lane: Lane,
    timings: Vec<Timing>,
}

/// Prints a table.
///
/// # Errors
/// When something cannot be built or started, or an answer is wrong.
pub fn run() -> anyhow::Result<()> {
    let function = Function::ours(&build("crossfade-function", &["bootstrap"])?);
    let cpu = process::pin_to_one_cpu()?;
    let folder = tempfile::tempdir()?;
    let tls = Tls::generate(folder.path())?;
    let workloads = Workload::all();
    let small = workloads.first().context("no workload")?;
    let origin = Server::start(Some(tls.server.clone()), script(&workloads))?;
    let hanging = Server::start(Some(tls.server.clone()), |_, _| Action::Hang)?;
    let backend = Backend { url: origin.url(), ca_file: tls.ca_file.clone() };
    let event = small.event(function.mode)?;

    let to = |name: &str| format!(", mirror: {{ backend: {name}, percent: 100, budget: {}s }}", SLOW.as_secs());
    let start = |name: &'static str, mirror: &str| -> anyhow::Result<Series> {
        let text = format!(
            "version: 1\nbackends: {{ legacy: '{}', modern: '{}', hanging: '{}' }}\ndefault: {{ forward: legacy{mirror} }}\n",
            origin.url(),
            origin.url(),
            hanging.url()
        );
        let lane = Lane::start(&function, &backend, folder.path(), &configured(folder.path(), name, &text)?)?;
        Ok(Series { name, lane, timings: Vec::new() })
    };
    let mut busy = [start("no mirror", "")?, start("compared with an equal one", &to("modern"))?];
    let mut pausing = [start("a mirror of 5 s", &to("hanging"))?, start("no mirror, after a pause of 5 s", "")?];

    for series in &mut busy {
        series.lane.timings(small, &event, WARM_UP)?;
    }
    let [slow, none] = &mut pausing;
    slow.lane.timings(small, &event, 1)?;
    none.lane.timings(small, &event, WARM_UP)?;
    for _ in 0..ROUNDS {
        for series in &mut busy {
            series.timings.extend(series.lane.timings(small, &event, REQUESTS)?);
        }
        let [slow, none] = &mut pausing;
        let begun = Instant::now();
        slow.timings.extend(slow.lane.timings(small, &event, 1)?);
        std::thread::sleep(SLOW.saturating_sub(begun.elapsed()));
        none.timings.extend(none.lane.timings(small, &event, 1)?);
    }

    println!("{}; everything on CPU {cpu}.\n", process::machine());
    println!("| | requests | client p50 µs | p99 µs | x p50 | x p99 | cycle p50 µs |");
    println!("|---|--:|--:|--:|--:|--:|--:|");
    let [none, compared] = &busy;
    let [slow, paused] = &pausing;
    for (series, beside) in [(none, none), (compared, none), (paused, paused), (slow, paused)] {
        let latency = |series: &Series, share| percentile(&series.timings, share, |timing| timing.latency);
        println!(
            "| {} | {} | {:.1} | {:.1} | {:.2} | {:.2} | {:.0} |",
            series.name,
            series.timings.len(),
            latency(series, 0.5),
            latency(series, 0.99),
            latency(series, 0.5) / latency(beside, 0.5),
            latency(series, 0.99) / latency(beside, 0.99),
            percentile(&series.timings, 0.5, |timing| timing.cycle),
        );
    }
    Ok(())
}

/// A command before the function's own that gives it this configuration in place of a single back end.
fn configured(folder: &Path, name: &str, text: &str) -> anyhow::Result<Vec<OsString>> {
    let file = folder.join(format!("{}.yaml", name.replace(' ', "-")));
    fs::write(&file, text)?;
    let mut variable = OsString::from("CROSSFADE_CONFIG=");
    variable.push(file);
    Ok(vec!["env".into(), "-u".into(), "CROSSFADE_BACKEND".into(), variable])
}

/// In microseconds.
fn percentile(timings: &[Timing], share: f64, of: fn(&Timing) -> Duration) -> f64 {
    let mut values: Vec<f64> = timings.iter().map(|timing| of(timing).as_secs_f64() * 1e6).collect();
    values.sort_by(f64::total_cmp);
    let index = (share * values.len() as f64).ceil() as usize;
    values.get(index.saturating_sub(1)).copied().unwrap_or_default()
}
