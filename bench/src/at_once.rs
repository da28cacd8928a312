//! 64 invocations at a time in one process, as on Managed Instances: Crossfade's function and `floor`, which uses the official crate's
//! `run_concurrent`, in turns. It owns the Runtime API for many lanes, and the table. Everything shares the machine's CPUs, so
//! the CPU time for each request says more than the rate.

use std::collections::HashMap;
use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, anyhow, ensure};
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
    let api = Api {
        event: &event,
        check: &|reply| workload.check(function.mode, reply),
        is_measured: AtomicBool::new(false),
        is_over: AtomicBool::new(false),
        sequence: AtomicU64::new(0),
        begun: Mutex::default(),
        latencies: Mutex::default(),
    };
    listener.set_nonblocking(true)?;
    let (cpu, took, memory) = thread::scope(|scope| {
        let accepting = scope.spawn(|| -> anyhow::Result<()> {
            let mut connections = Vec::new();
            while !api.is_over.load(Ordering::Relaxed) {
                match listener.accept() {
                    Ok((stream, _)) => connections.push(scope.spawn(|| api.serve(stream))),
                    Err(_) => thread::sleep(Duration::from_millis(1)),
                }
            }
            connections.into_iter().try_for_each(|one| one.join().map_err(|_| anyhow!("a connection panicked"))?)
        });
        thread::sleep(WARM_UP);
        api.is_measured.store(true, Ordering::Relaxed);
        let measured = (|| {
            let (before, started) = (process::cpu_nanoseconds(process.pid())?, Instant::now());
            thread::sleep(ROUND);
            let cpu = process::cpu_nanoseconds(process.pid())? - before;
            anyhow::Ok((cpu, started.elapsed(), process::peak_memory_kib(process.pid())?))
        })();
        api.is_over.store(true, Ordering::Relaxed);
        let last_words = process.last_words();
        drop(process);
        accepting.join().map_err(|_| anyhow!("the listener panicked"))??;
        measured.context(last_words)
    })?;
    let mut latencies = api.latencies.into_inner().unwrap_or_else(PoisonError::into_inner);
    ensure!(!latencies.is_empty(), "no request in {ROUND:?}");
    latencies.sort_by(f64::total_cmp);
    let count = latencies.len() as f64;
    let at = |share: f64| latencies.get((count * share) as usize).copied().unwrap_or_default();
    let (requests, cpu) = (count / took.as_secs_f64(), cpu as f64 / count / 1e3);
    Ok(Round { requests, cpu, p50: at(0.5), p99: at(0.99), memory })
}

/// The Runtime API. A client may ask for an event on one connection and post the reply on another.
struct Api<'a> {
    event: &'a [u8],
    check: &'a (dyn Fn(&[u8]) -> anyhow::Result<()> + Sync),
    is_measured: AtomicBool,
    is_over: AtomicBool,
    sequence: AtomicU64,
    /// By request id.
    begun: Mutex<HashMap<String, Instant>>,
    /// In milliseconds.
    latencies: Mutex<Vec<f64>>,
}

impl Api<'_> {
    /// Serves a connection until the function ends.
    fn serve(&self, stream: TcpStream) -> anyhow::Result<()> {
        stream.set_nonblocking(false)?;
        stream.set_nodelay(true)?;
        let mut reader = Reader::new(stream);
        let served = self.serve_all(&mut reader);
        // At the end the function is killed in the middle of requests.
        if self.is_over.load(Ordering::Relaxed) { Ok(()) } else { served }
    }

    fn serve_all(&self, reader: &mut Reader<TcpStream>) -> anyhow::Result<()> {
        while let Some(request) = reader.read(Kind::Request)? {
            let now = Instant::now();
            let target = String::from_utf8_lossy(request.second_word()).into_owned();
            let answer = if target.ends_with("/invocation/next") {
                self.next()?
            } else {
                let id = target.rsplit('/').nth(1).unwrap_or_default();
                let begun = lock(&self.begun).remove(id);
                let begun = begun.filter(|_| target.ends_with("/response"));
                let took = now - begun.with_context(|| format!("`{target}` is no reply to an event"))?;
                (self.check)(&request.body)?;
                if self.is_measured.load(Ordering::Relaxed) && !self.is_over.load(Ordering::Relaxed) {
                    lock(&self.latencies).push(took.as_secs_f64() * 1e3);
                }
                b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n".to_vec()
            };
            reader.stream.write_all(&answer)?;
        }
        Ok(())
    }

    fn next(&self) -> anyhow::Result<Vec<u8>> {
        let id = format!("8f5a1a6c-0c1e-4c55-9a30-{:012x}", self.sequence.fetch_add(1, Ordering::Relaxed));
        let deadline = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis() + 30_000;
        let mut answer = format!(
            "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: {id}\r\n\
             Lambda-Runtime-Deadline-Ms: {deadline}\r\nLambda-Runtime-Trace-Id: Root=1-6a5145a7-5c3686ff7df3149177a89157\r\n\
             Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-west-1:111122223333:function:bench\r\n\
             Content-Length: {}\r\n\r\n",
            self.event.len()
        )
        .into_bytes();
        answer.extend_from_slice(self.event);
        lock(&self.begun).insert(id, Instant::now());
        Ok(answer)
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
