//! 64 invocations at a time in one process, as on Managed Instances: Crossfade's function and `floor`, which uses the official crate's
//! `run_concurrent`, in turns. It owns the Runtime API for many lanes, and the table. Everything shares the machine's CPUs, so
//! the CPU time for each request says more than the rate.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use crossfade_testkit::message::{Kind, Reader};
use crossfade_testkit::server::Server;

use crate::certificate::Tls;
use crate::function::{Backend, FLOOR, Function, build, build_official_anchors};
use crate::process;
use crate::warm::median;
use crate::workload::{Workload, script};

const AT_ONCE: usize = 64;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(3);
/// The time until all lanes have connections and nothing is slow for the first time.
const WARM_UP: Duration = Duration::from_secs(1);
/// The back end's own time: all lanes wait for it at once.
const BACK_END: Duration = Duration::from_millis(2);

/// One round of one function.
struct Round {
    requests: f64,
    /// Microseconds.
    cpu: f64,
    p50: f64,
    p99: f64,
    memory: u64,
}

/// Prints a table.
///
/// # Errors
/// When something cannot be built or started, or an answer is wrong.
pub fn run() -> anyhow::Result<()> {
    let functions = [
        Function::ours(&build("crossfade-function", &["bootstrap"])?),
        Function::anchor(FLOOR, &build_official_anchors()?),
    ];
    let folder = tempfile::tempdir()?;
    let tls = Tls::generate(folder.path())?;
    let workloads = Workload::all();
    let small = workloads.first().context("no workload")?;
    let answer = script(&workloads);
    let origin = Server::start(Some(tls.server.clone()), move |at, request| {
        thread::sleep(BACK_END);
        answer(at, request)
    })?;
    let backend = Backend { url: origin.url(), ca_file: tls.ca_file.clone() };

    println!("{}; {AT_ONCE} at a time, a back end that takes {} ms.\n", process::machine(), BACK_END.as_millis());
    println!("| | CPUs of the function | requests/s | CPU µs / request | p50 ms | p99 ms | peak RSS MiB |");
    println!("|---|---|--:|--:|--:|--:|--:|");
    // With one CPU Crossfade has one thread.
    for cpus in ["0", "all"] {
        let mut rounds: [Vec<Round>; 2] = Default::default();
        for _ in 0..ROUNDS {
            for (function, rounds) in functions.iter().zip(&mut rounds) {
                rounds.push(round(function, small, &backend, folder.path(), cpus)?);
            }
        }
        for (function, rounds) in functions.iter().zip(&rounds) {
            let of = |value: fn(&Round) -> f64| median(rounds.iter().map(value).collect());
            println!(
                "| {} | {cpus} | {:.0} | {:.1} | {:.2} | {:.2} | {:.1} |",
                function.name,
                of(|round| round.requests),
                of(|round| round.cpu),
                of(|round| round.p50),
                of(|round| round.p99),
                of(|round| round.memory as f64 / 1024.0)
            );
        }
    }
    Ok(())
}

fn round(
    function: &Function,
    workload: &Workload,
    backend: &Backend,
    folder: &std::path::Path,
    cpus: &str,
) -> anyhow::Result<Round> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let mut wrapper: Vec<std::ffi::OsString> =
        vec!["env".into(), format!("AWS_LAMBDA_MAX_CONCURRENCY={AT_ONCE}").into()];
    if cpus != "all" {
        wrapper.extend(["taskset", "-c", cpus].map(Into::into));
    }
    let process = function.start(&listener.local_addr()?.to_string(), backend, folder, &wrapper)?;
    let event = workload.event(function.mode)?;
    let (is_measured, is_over) = (AtomicBool::new(false), AtomicBool::new(false));
    let sequence = AtomicU64::new(0);
    let latencies = Mutex::new(Vec::new());
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                let (stream, _) = listener.accept()?;
                stream.set_nodelay(true)?;
                let (event, is_measured, is_over, sequence, latencies) =
                    (&event, &is_measured, &is_over, &sequence, &latencies);
                Ok(scope.spawn(move || -> anyhow::Result<()> {
                    let mut lane = Lane { api: Reader::new(stream), outgoing: Vec::new() };
                    let mut measured = Vec::new();
                    while !is_over.load(Ordering::Relaxed) {
                        let took = match lane.invoke(event, sequence, |reply| workload.check(function.mode, reply)) {
                            // The function ends when the first lane has closed its connection.
                            Err(_) if is_over.load(Ordering::Relaxed) => break,
                            took => took?,
                        };
                        if is_measured.load(Ordering::Relaxed) {
                            measured.push(took.as_secs_f64() * 1e3);
                        }
                    }
                    latencies.lock().unwrap_or_else(std::sync::PoisonError::into_inner).extend(measured);
                    Ok(())
                }))
            })
            .collect::<anyhow::Result<_>>()?;
        thread::sleep(WARM_UP);
        is_measured.store(true, Ordering::Relaxed);
        let (cpu, started) = (process::cpu_nanoseconds(process.pid())?, Instant::now());
        thread::sleep(ROUND);
        let (cpu, took) = (process::cpu_nanoseconds(process.pid())? - cpu, started.elapsed());
        let memory = process::peak_memory_kib(process.pid());
        is_over.store(true, Ordering::Relaxed);
        let memory = memory?;
        for lane in lanes {
            lane.join().map_err(|_| anyhow::anyhow!("a lane panicked"))??;
        }
        let mut latencies = std::mem::take(&mut *latencies.lock().unwrap_or_else(std::sync::PoisonError::into_inner));
        latencies.sort_by(f64::total_cmp);
        ensure!(!latencies.is_empty(), "no request in {ROUND:?}: {}", process.last_words());
        let count = latencies.len() as f64;
        let at = |share: f64| latencies.get((count * share) as usize).copied().unwrap_or_default();
        Ok(Round {
            requests: count / took.as_secs_f64(),
            cpu: cpu as f64 / count / 1e3,
            p50: at(0.5),
            p99: at(0.99),
            memory,
        })
    })
}

/// A connection of one lane of the function.
struct Lane {
    api: Reader<TcpStream>,
    outgoing: Vec<u8>,
}

impl Lane {
    /// Waits for a `next`, hands over `event`, and takes the reply, which must be the one to it. Returns the time until the
    /// reply was there.
    fn invoke(
        &mut self,
        event: &[u8],
        sequence: &AtomicU64,
        check: impl FnOnce(&[u8]) -> anyhow::Result<()>,
    ) -> anyhow::Result<Duration> {
        let next = self.api.read(Kind::Request)?.context("the function has ended")?;
        ensure!(next.second_word().ends_with(b"/invocation/next"), "not a `next`");
        let id = format!("8f5a1a6c-0c1e-4c55-9a30-{:012x}", sequence.fetch_add(1, Ordering::Relaxed));
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() + 30_000;
        self.outgoing.clear();
        write!(
            self.outgoing,
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: {id}\r\n\
             Lambda-Runtime-Deadline-Ms: {deadline}\r\nLambda-Runtime-Trace-Id: Root=1-6a5145a7-5c3686ff7df3149177a89157\r\n\
             Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-west-1:111122223333:function:bench\r\n\
             Content-Length: {}\r\n\r\n",
            event.len()
        )?;
        self.outgoing.extend_from_slice(event);
        let started = Instant::now();
        self.api.stream.write_all(&self.outgoing)?;
        let reply = self.api.read(Kind::Request)?.context("the function has ended")?;
        let took = started.elapsed();
        let target = String::from_utf8_lossy(reply.second_word());
        ensure!(target.ends_with(&format!("/invocation/{id}/response")), "`{target}` instead of the reply to {id}");
        check(&reply.body)?;
        self.api.stream.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")?;
        Ok(took)
    }
}
