//! The cost of a front end: the same small GET as an event of each, to one Crossfade process each, in turns. It owns the choice
//! of front ends, their events and the table. The events are those of the local front ends, taken down by a function that does
//! nothing else ([`record`]).

use std::fs;
use std::io::Write as _;
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, ensure};
use crossfade_emulator::EndpointKind;
use crossfade_event::HeaderMode;
use crossfade_testkit::message::{Kind, Reader};
use crossfade_testkit::server::Server;
use serde_json::Value;

use crate::certificate::Tls;
use crate::conformance::Through;
use crate::function::{Backend, Function, build};
use crate::report::figure;
use crate::warm::{Direct, Lane, Sample, median};
use crate::workload::{Workload, script};
use crate::{counts, process, raw};

const ROUNDS: usize = 30;
/// Of each front end in a round.
const REQUESTS: usize = 200;
const WARM_UP: usize = 1000;
/// Requests over which instructions are counted.
const COUNTED: usize = 200;
/// For the client of a local front end.
const PATIENCE: Duration = Duration::from_secs(20);

/// The first one is what the others are compared with.
const FRONTS: [(&str, Through); 7] = [
    ("ALB, multi-value headers", Through::Alb(HeaderMode::Multi)),
    ("ALB", Through::Alb(HeaderMode::Single)),
    ("REST API", Through::Endpoint(EndpointKind::RestApi)),
    ("HTTP API 1.0", Through::Endpoint(EndpointKind::HttpApi1)),
    ("HTTP API 2.0", Through::Endpoint(EndpointKind::HttpApi)),
    ("function URL", Through::Endpoint(EndpointKind::FunctionUrl)),
    ("Lattice, V2", Through::Endpoint(EndpointKind::Lattice)),
];

/// A front end that is measured.
struct Series {
    name: &'static str,
    event: Vec<u8>,
    lane: Lane,
    samples: Vec<Sample>,
}

/// Prints a table.
///
/// # Errors
/// When something cannot be built or started, or a reply is wrong.
pub fn run() -> anyhow::Result<()> {
    let function = Function::ours(&build("crossfade-function", &["bootstrap"])?);
    let folder = tempfile::tempdir()?;
    let workloads = Workload::all();
    let small = workloads.first().context("no workload")?;
    let events: Vec<Vec<u8>> = FRONTS
        .iter()
        .map(|(name, through)| event(*through, small, folder.path()).with_context(|| format!("the event of {name}")))
        .collect::<anyhow::Result<_>>()?;

    let cpu = process::pin_to_one_cpu()?;
    let tls = Tls::generate(folder.path())?;
    let origin = Server::start(Some(tls.server.clone()), script(&workloads))?;
    let backend = Backend { url: origin.url(), ca_file: tls.ca_file.clone() };
    let check = |reply: &[u8]| check(small, reply);
    let mut direct = Direct::connect(origin.port(), &tls.client)?;
    let mut series = FRONTS
        .iter()
        .zip(events)
        .map(|(&(name, _), event)| {
            let mut lane = Lane::start(&function, &backend, folder.path(), &[])?;
            lane.run_checked(&event, WARM_UP, &check).with_context(|| name.to_owned())?;
            Ok(Series { name, event, lane, samples: Vec::with_capacity(ROUNDS) })
        })
        .collect::<anyhow::Result<Vec<_>>>()?;
    let mut floor = Vec::with_capacity(ROUNDS);
    for round in 0..ROUNDS {
        floor.push(direct.run(small, REQUESTS)?);
        for turn in 0..series.len() {
            let at = (round + turn) % series.len();
            let Series { lane, event, samples, .. } = &mut series[at];
            samples.push(lane.run_checked(event, REQUESTS, &check)?);
        }
    }
    let mut missing = None;
    let instructions: Vec<f64> = series
        .iter()
        .map(|one| {
            let exchange = |lane: &mut Lane, requests: usize| lane.run_checked(&one.event, requests, &check);
            match counts::instructions_while(&function, &backend, folder.path(), COUNTED, &exchange) {
                Ok(counted) => counted.per_request as f64,
                Err(error) => {
                    missing = Some(error);
                    f64::NAN
                }
            }
        })
        .collect();

    println!(
        "{}; everything on CPU {cpu}. {}, {ROUNDS} rounds of {REQUESTS} requests.\n",
        process::machine(),
        small.name
    );
    println!(
        "| | bytes of the event | p50 µs | added µs | CPU µs | x added | x CPU | instructions | x instructions |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|"
    );
    println!(
        "| no function | | {} | | | | | | |",
        figure(median(floor.iter().map(|sample| sample.latency).collect()), 1)
    );
    let added = |one: &Series, round: usize| one.samples[round].latency - floor[round].latency;
    for (one, count) in series.iter().zip(&instructions) {
        let over = |pick: &dyn Fn(usize) -> f64| median((0..ROUNDS).map(pick).collect());
        println!(
            "| {} | {} | {:.1} | {:.1} | {:.1} | {:.2} | {:.2} | {} | {} |",
            one.name,
            one.event.len(),
            over(&|round| one.samples[round].latency),
            over(&|round| added(one, round)),
            over(&|round| one.samples[round].cpu),
            over(&|round| added(one, round) / added(&series[0], round)),
            over(&|round| one.samples[round].cpu / series[0].samples[round].cpu),
            figure(*count, 0),
            figure(count / instructions[0], 3),
        );
    }
    if let Some(error) = missing {
        println!("\ninstructions: {error:#}");
    }
    Ok(())
}

/// The event that a local front end makes of the request.
fn event(through: Through, workload: &Workload, folder: &Path) -> anyhow::Result<Vec<u8>> {
    let file = folder.join("event.json");
    let _ = fs::remove_file(&file);
    let words = [std::env::current_exe()?.into_os_string(), "record-event".into(), file.clone().into()];
    let words = words.map(|word| word.to_string_lossy().into_owned()).to_vec();
    let function = crossfade_emulator::Function::new("recorder", words);
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let (sender, _notices) = tokio::sync::mpsc::unbounded_channel();
    let emulator = runtime.block_on(crossfade_emulator::start(through.settings(function), sender))?;
    let mut stream = TcpStream::connect(emulator.local_addr())?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(&workload.client())?;
    let answered = Reader::new(stream).read(Kind::Response).map(|_| ());
    runtime.block_on(emulator.shutdown());
    answered?;
    fs::read(&file).context("the function got no event")
}

/// A function that keeps the event in a file.
///
/// # Errors
/// Those of the file and of the Runtime API.
pub fn record(file: &Path) -> anyhow::Result<()> {
    raw::serve(|event, reply| {
        fs::write(file, event)?;
        reply.write_all(br#"{"statusCode":200,"headers":{},"multiValueHeaders":{},"body":"","isBase64Encoded":false}"#)
    })?;
    Ok(())
}

/// Checks a reply in any of the formats: they share these members.
fn check(workload: &Workload, reply: &[u8]) -> anyhow::Result<()> {
    let reply: Value = serde_json::from_slice(reply)?;
    let body = reply["body"].as_str().unwrap_or_default();
    ensure!(reply["statusCode"] == 200, "status {}: `{body}`", reply["statusCode"]);
    if reply["isBase64Encoded"] == true {
        return workload.check_body(&base64_simd::STANDARD.decode_to_vec(body)?);
    }
    workload.check_body(body.as_bytes())
}
