//! The benchmark from start to end: builds, pins, measures, prints. It owns the order of things and the list of
//! functions.

use std::path::Path;
use std::process::Command;

use anyhow::{bail, ensure};
use crossfade_testkit::server::Server;

use crate::certificate::Tls;
use crate::function::{
    ARTICLE, Backend, ECHO_FLOOR, FIXED, FLOOR, Function, OURS, RAW_FLOOR, RAW_PROXY, build, build_official_anchors,
    install_node_packages, node_folder,
};
use crate::report::{Counts, bodies_table, cold_table, warm_table};
use crate::warm::{Direct, Lane, Plan, measure};
use crate::workload::{Workload, script};
use crate::{cold, counts, process};

/// The whole run.
const FULL: Plan = Plan { rounds: 20, requests: 200, warm_up: 2000, cold: 25, counted: 500 };
/// A look, not a measurement.
const QUICK: Plan = Plan { rounds: 3, requests: 50, warm_up: 200, cold: 3, counted: 100 };

/// Measures and prints the tables to standard output; progress goes to standard error. `only` names the functions to
/// measure; empty means all of them.
///
/// # Errors
/// For an unknown name, for anything that cannot be built or started, and in a debug build, which would measure the
/// harness itself.
pub fn run(quick: bool, only: &[&str]) -> anyhow::Result<()> {
    ensure!(
        quick || !cfg!(debug_assertions),
        "a debug build measures itself: `cargo run --release -p crossfade-bench -- run`"
    );
    let plan = if quick { QUICK } else { FULL };
    progress("building");
    install_node_packages()?;
    let target = build("crossfade-bench", &[RAW_FLOOR, RAW_PROXY])?;
    let official = build_official_anchors()?;
    let all = [
        Function::anchor(RAW_FLOOR, &target),
        Function::anchor(ECHO_FLOOR, &official),
        Function::anchor(RAW_PROXY, &target),
        Function::ours(&target),
        Function::anchor(FLOOR, &official),
        Function::node(ARTICLE),
        Function::node(FIXED),
    ];
    let known = all.each_ref().map(|function| function.name);
    if let Some(unknown) = only.iter().find(|name| !known.contains(name)) {
        bail!("no function `{unknown}`: there are {}", known.join(", "));
    }
    let chosen = |function: &Function| only.is_empty() || only.contains(&function.name);
    let functions: Vec<Function> = all.into_iter().filter(chosen).collect();
    if functions.iter().any(|function| function.name == OURS) {
        build("crossfade-function", &["bootstrap"])?;
    }
    let cpu = process::pin_to_one_cpu()?;
    let folder = tempfile::tempdir()?;
    let tls = Tls::generate(folder.path())?;
    let workloads = Workload::all();
    let Some((small, larger)) = workloads.split_first() else {
        return Ok(());
    };
    let origin = Server::start(Some(tls.server.clone()), script(&workloads))?;
    let backend = Backend { url: origin.url(), ca_file: tls.ca_file.clone() };

    progress("cold starts");
    let cold = cold::measure(&functions, small, &backend, folder.path(), plan.cold)?;

    progress("small GET");
    let mut direct = Direct::connect(origin.port(), &tls.client)?;
    let mut lanes: Vec<Lane> = functions
        .iter()
        .map(|function| Lane::start(function, &backend, folder.path(), &[]))
        .collect::<anyhow::Result<_>>()?;
    let warm = measure(&mut lanes, &mut direct, small, plan.rounds, plan.requests, plan.warm_up)?;

    let mut bodies = Vec::new();
    for workload in larger {
        progress(workload.name);
        let count = plan.requests / workload.share;
        let series = measure(&mut lanes, &mut direct, workload, plan.rounds, count, plan.warm_up / workload.share)?;
        bodies.push((workload.name, series));
    }

    let mut notes = Vec::new();
    let large = larger.iter().max_by_key(|workload| (workload.share, workload.name.contains("binary")));
    let mut counted = Vec::new();
    for (function, lane) in functions.iter().zip(&mut lanes) {
        progress(&format!("counts of {}", function.name));
        let mut kept = |what: &str, error: anyhow::Error| notes.push(format!("{what} of {}: {error:#}", function.name));
        let native = ![ARTICLE, FIXED].contains(&function.name);
        let mut counts = Counts::default();
        match counts::system_calls(lane, small, folder.path(), plan.counted) {
            Ok(calls) => counts.system_calls = Some(calls),
            Err(error) => kept("system calls", error),
        }
        if let Some(large) = large
            && function.name != ARTICLE
        {
            match counts::system_calls(lane, large, folder.path(), plan.counted / large.share) {
                Ok(calls) => counts.system_calls_large = Some(calls),
                Err(error) => kept("system calls", error),
            }
        }
        // Node compiles while it runs: its instructions say nothing.
        if native {
            match counts::instructions(function, small, &backend, folder.path(), plan.counted) {
                Ok(instructions) => counts.instructions = Some(instructions),
                Err(error) => kept("instructions", error),
            }
            match counts::zip_size(Path::new(&function.command[0]), folder.path()) {
                Ok(size) => counts.zip = Some(size),
                Err(error) => kept("zip", error),
            }
        }
        counted.push((function.name, counts));
    }

    println!("# Crossfade beside others\n");
    println!("{}; everything on CPU {cpu}.", process::machine());
    println!("{}; Node {}; node-fetch {}.\n", version("rustc"), version("node"), node_fetch_version());
    println!(
        "{} rounds of {} small requests, {} cold starts each. `x` is the median over rounds of this / {RAW_PROXY}, of cold starts this / {ECHO_FLOOR}. \
         `{OURS}`, `{FIXED}` and the anchors get multi-value events, `{ARTICLE}` single-value ones (it fails the others). \
         Every answer was checked byte for byte.\n",
        plan.rounds, plan.requests, plan.cold
    );
    println!("## Warm: {}\n\n{}", small.name, warm_table(&warm, &counted));
    println!("## Larger bodies: p50 µs (x latency / x CPU)\n\n{}", bodies_table(&bodies, &counted));
    println!("## Cold start\n\n{}", cold_table(&cold, &counted));
    let package = target.with_file_name("package").join("bootstrap.zip");
    if let Ok(metadata) = std::fs::metadata(&package) {
        println!("`target/package/bootstrap.zip`, as it was last packaged: {} KiB.", metadata.len() / 1024);
    }
    for note in notes {
        println!("Not counted: {note}.");
    }
    Ok(())
}

fn progress(what: &str) {
    eprintln!("bench: {what}");
}

fn version(program: &str) -> String {
    let output = Command::new(program).arg("--version").output();
    output.map_or_else(|_| "?".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

fn node_fetch_version() -> String {
    let file = node_folder().join("node_modules/node-fetch/package.json");
    let text = std::fs::read_to_string(file).unwrap_or_default();
    let package: serde_json::Value = serde_json::from_str(&text).unwrap_or_default();
    package["version"].as_str().unwrap_or("?").to_owned()
}
