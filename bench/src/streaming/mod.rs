//! Streamed responses: Crossfade beside the AWS Lambda Web Adapter in front of nginx, in turns, over a Runtime API that reads
//! replies as they come. It owns the order of things, the events and the table.
//!
//! `back_end` sends, `api` receives, `wire` reads HTTP/1 without keeping it, `adapter` is the other function.

mod adapter;
mod api;
mod back_end;
mod wire;

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, ensure};
use serde_json::json;

use self::adapter::{Programs, Running};
use self::api::StreamingApi;
use self::back_end::{BackEnd, Content, Direct, LARGE, ONE, PAUSE, TWO};
use crate::certificate::Tls;
use crate::function::{Backend, Function, Process, build};
use crate::process;
use crate::report::figure;
use crate::warm::median;

const ROUNDS: usize = 20;
/// Responses in two pieces, in each round.
const PIECES: usize = 50;
const WARM_UP: usize = 100;
/// Between two looks at memory.
const LOOK: Duration = Duration::from_millis(5);
const MEGABYTE: f64 = 1e6;

/// The times of one exchange.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Times {
    /// Just before the event, or the request of `direct`, was written.
    asked: Instant,
    /// The first byte of content.
    first: Instant,
    /// The last byte of the reply.
    last: Instant,
}

/// A way to get the back end's response.
enum Lane {
    /// No function.
    Direct(Box<Direct>),
    Ours(StreamingApi, Process),
    Adapter(StreamingApi, Running),
}

impl Lane {
    fn fetch(&mut self, content: Content) -> anyhow::Result<Times> {
        match self {
            Self::Direct(direct) => direct.fetch(content),
            Self::Ours(api, process) => api.invoke(&event(content), content).with_context(|| process.last_words()),
            Self::Adapter(api, running) => {
                api.invoke(&event(content), content).with_context(|| running.adapter().last_words())
            }
        }
    }

    /// The processes of the function; none for `direct`.
    fn pids(&self) -> anyhow::Result<Vec<u32>> {
        match self {
            Self::Direct(_) => Ok(Vec::new()),
            Self::Ours(_, process) => Ok(vec![process.pid()]),
            Self::Adapter(_, running) => running.pids(),
        }
    }

    /// A figure of all processes together.
    fn sum(&self, of: fn(u32) -> anyhow::Result<u64>) -> anyhow::Result<u64> {
        self.pids()?.into_iter().map(of).sum()
    }
}

/// The figures of one lane; a value for each round.
struct Series {
    name: &'static str,
    lane: Lane,
    /// Microseconds from the back end's first byte to the client's, for each response.
    behind: Vec<Vec<f64>>,
    /// Responses whose first piece came with the second.
    late: usize,
    /// The median of the microseconds from the event to the first byte.
    first: Vec<f64>,
    /// Megabytes in a second.
    rate: Vec<f64>,
    /// Microseconds of the function's CPU time for a megabyte.
    cpu: Vec<f64>,
}

impl Series {
    fn new(name: &'static str, lane: Lane) -> Self {
        Self { name, lane, behind: Vec::new(), late: 0, first: Vec::new(), rate: Vec::new(), cpu: Vec::new() }
    }

    /// Responses that pause after their first piece.
    fn pieces(&mut self, back_end: &BackEnd, count: usize) -> anyhow::Result<()> {
        let (mut behind, mut first, mut pauses) = (Vec::new(), Vec::new(), Vec::new());
        for _ in 0..count {
            let times = self.lane.fetch(TWO).with_context(|| self.name)?;
            let sent = back_end.first_byte()?;
            pauses.push(micros(times.last - times.first));
            behind.push(micros(times.first.saturating_duration_since(sent)));
            first.push(micros(times.first - times.asked));
        }
        self.late += pauses.iter().filter(|pause| **pause < micros(PAUSE) / 2.0).count();
        self.behind.push(behind);
        self.first.push(median(first));
        Ok(())
    }

    fn large(&mut self) -> anyhow::Result<()> {
        let before = self.lane.sum(process::cpu_nanoseconds)?;
        let times = self.lane.fetch(LARGE).with_context(|| self.name)?;
        let cpu = self.lane.sum(process::cpu_nanoseconds)? - before;
        let megabytes = LARGE.length as f64 / MEGABYTE;
        self.rate.push(megabytes / (times.last - times.asked).as_secs_f64());
        self.cpu.push(cpu as f64 / 1e3 / megabytes);
        Ok(())
    }

    /// The most memory during a large response, in KiB, with shared pages counted once.
    fn memory(&mut self) -> anyhow::Result<u64> {
        let (pids, is_over) = (self.lane.pids()?, AtomicBool::new(false));
        thread::scope(|scope| {
            let looking = scope.spawn(|| {
                let mut most = 0;
                while !is_over.load(Ordering::Relaxed) {
                    let now: u64 = pids.iter().filter_map(|pid| process::proportional_memory_kib(*pid).ok()).sum();
                    most = most.max(now);
                    thread::sleep(LOOK);
                }
                most
            });
            let fetched = self.lane.fetch(LARGE);
            is_over.store(true, Ordering::Relaxed);
            let most = looking.join().map_err(|_| anyhow!("the look at memory panicked"))?;
            fetched.map(|_| most)
        })
    }

    /// Microseconds below which this share of all first bytes is.
    fn behind(&self, share: f64) -> f64 {
        let mut all: Vec<f64> = self.behind.concat();
        all.sort_by(f64::total_cmp);
        let index = (share * all.len() as f64).ceil() as usize;
        all.get(index.saturating_sub(1)).copied().unwrap_or(f64::NAN)
    }
}

/// Prints a table.
///
/// # Errors
/// When something cannot be built or started, or a response is wrong.
pub fn run() -> anyhow::Result<()> {
    ensure!(
        !cfg!(debug_assertions),
        "a debug build measures itself: `cargo run --release -p crossfade-bench -- streaming`"
    );
    let function = Function::ours(&build("crossfade-function", &["bootstrap"])?);
    let programs = Programs::find()?;
    let cpu = process::pin_to_one_cpu()?;
    let folder = tempfile::tempdir()?;
    let tls = Tls::generate(folder.path())?;
    let back_end = BackEnd::start(tls.server.clone())?;
    let backend = Backend { url: format!("https://localhost:{}", back_end.port), ca_file: tls.ca_file.clone() };

    let [ours_api, whole_api, adapter_api] = [StreamingApi::start()?, StreamingApi::start()?, StreamingApi::start()?];
    let streaming = ["env", "CROSSFADE_STREAMING=function-url"].map(Into::into);
    let ours = function.start(&ours_api.address, &backend, folder.path(), &streaming)?;
    let adapter = programs.start(&adapter_api.address, &backend, folder.path())?;
    let whole = Function { name: "crossfade-whole", ..function };
    let whole = whole.start(&whole_api.address, &backend, folder.path(), &[])?;
    let mut whole = Lane::Ours(whole_api, whole);
    let mut series = [
        Series::new("no function", Lane::Direct(Box::new(Direct::connect(back_end.port, &tls.client)?))),
        Series::new("Crossfade", Lane::Ours(ours_api, ours)),
        Series::new("Lambda Web Adapter, nginx", Lane::Adapter(adapter_api, adapter)),
    ];

    for one in &mut series {
        for _ in 0..WARM_UP {
            one.lane.fetch(ONE).with_context(|| one.name)?;
        }
        one.lane.fetch(LARGE).with_context(|| one.name)?;
    }
    (0..WARM_UP).try_for_each(|_| whole.fetch(ONE).map(drop))?;
    // Of a whole response as long as the first piece, with and without the function.
    let (mut whole_times, mut direct_times) = (Vec::new(), Vec::new());
    for round in 0..ROUNDS {
        for turn in 0..series.len() {
            let one = &mut series[(round + turn) % 3];
            one.pieces(&back_end, PIECES)?;
            one.large()?;
        }
        for (lane, times) in [(&mut whole, &mut whole_times), (&mut series[0].lane, &mut direct_times)] {
            let taken = (0..PIECES).map(|_| {
                // As before a response in two pieces: otherwise nothing of the function would have left the caches.
                thread::sleep(PAUSE);
                lane.fetch(ONE).map(|times| micros(times.last - times.asked))
            });
            times.push(median(taken.collect::<anyhow::Result<_>>()?));
        }
    }

    println!("{}; everything on CPU {cpu}. {}.\n", process::machine(), programs.versions()?);
    println!(
        "{ROUNDS} rounds of {PIECES} responses in two pieces and one of {} MiB. `x` is the median over rounds of this / Crossfade.\n",
        LARGE.length / (1024 * 1024)
    );
    println!(
        "| | first byte after the back end's: p50 µs | p99 µs | x p50 | {} MiB: MB/s | x | CPU µs / MB | x | peak PSS MiB | peak RSS MiB |\n\
         |---|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
        LARGE.length / (1024 * 1024)
    );
    for at in 0..series.len() {
        let is_function = at > 0;
        let memory = if is_function { series[at].memory()? as f64 / 1024.0 } else { f64::NAN };
        let (one, ours) = (&series[at], &series[1]);
        let resident = one.lane.sum(process::peak_memory_kib)? as f64 / 1024.0;
        let ratio = |of: &dyn Fn(&Series, usize) -> f64| {
            median((0..ROUNDS).map(|round| of(one, round) / of(ours, round)).collect())
        };
        let or_none = |value: f64| if is_function { value } else { f64::NAN };
        println!(
            "| {} | {} | {} | {} | {} | {} | {} | {} | {} | {} |",
            one.name,
            figure(one.behind(0.5), 1),
            figure(one.behind(0.99), 1),
            figure(ratio(&|one, round| median(one.behind[round].clone())), 2),
            figure(median(one.rate.clone()), 0),
            figure(ratio(&|one, round| one.rate[round]), 2),
            figure(or_none(median(one.cpu.clone())), 0),
            figure(or_none(ratio(&|one, round| one.cpu[round])), 2),
            figure(memory, 1),
            figure(or_none(resident), 1),
        );
    }
    println!();
    for one in &series {
        println!(
            "{}: in {} of {} responses the first piece came with the second.",
            one.name,
            one.late,
            ROUNDS * PIECES
        );
    }

    let over = |of: &dyn Fn(usize) -> f64| median((0..ROUNDS).map(of).collect());
    let streamed = over(&|round| series[1].first[round] - series[0].first[round]);
    let whole = over(&|round| whole_times[round] - direct_times[round]);
    println!(
        "\nFrom the event to the first byte, the function adds {streamed:.1} µs to what the same takes without it; to a whole response of \
         the same size, one invocation adds {whole:.1} µs: {}.",
        if streamed <= whole { "the first byte is not later than that" } else { "THE FIRST BYTE IS LATER THAN THAT" }
    );
    Ok(())
}

/// A GET through a function URL.
fn event(content: Content) -> Vec<u8> {
    let domain = "abcdefghijklmnopqrstuvwxyz012345.lambda-url.eu-west-1.on.aws";
    json!({
        "version": "2.0",
        "routeKey": "$default",
        "rawPath": content.path,
        "rawQueryString": "",
        "headers": {
            "accept": "*/*",
            "accept-encoding": "gzip",
            "host": domain,
            "user-agent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            "x-amzn-trace-id": "Root=1-6a5145a7-5c3686ff7df3149177a89157",
            "x-forwarded-for": "203.0.113.7",
            "x-forwarded-port": "443",
            "x-forwarded-proto": "https",
        },
        "requestContext": {
            "accountId": "anonymous",
            "apiId": "abcdefghijklmnopqrstuvwxyz012345",
            "domainName": domain,
            "domainPrefix": "abcdefghijklmnopqrstuvwxyz012345",
            "http": {
                "method": "GET",
                "path": content.path,
                "protocol": "HTTP/1.1",
                "sourceIp": "203.0.113.7",
                "userAgent": "Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0",
            },
            "requestId": "8f5a1a6c-0c1e-4c55-9a30-000000000001",
            "routeKey": "$default",
            "stage": "$default",
            "time": "29/Nov/2026:11:00:00 +0000",
            "timeEpoch": 1_795_950_000_000_u64,
        },
        "isBase64Encoded": false,
    })
    .to_string()
    .into_bytes()
}

fn micros(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1e6
}
