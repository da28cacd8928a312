//! `crossfade compare`: sends requests to both systems and compares the responses, before anything is deployed.
//!
//! Owns the options and the order of the steps. `crate::requests` reads the input, `choice` selects, `systems` configures the
//! proxy, `pace` sets the pace, `results` takes what comes back. The proxy sends and compares, as it does for a mirror, and
//! `report` judges.

mod choice;
mod pace;
mod results;
mod systems;

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::collections::hash_map::RandomState;
use std::fs::File;
use std::hash::BuildHasher;
use std::io::LineWriter;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use anyhow::{Context, Result, bail};
use crossfade_event::{Format, Front, alb};
use crossfade_journal::comparison::Record;
use crossfade_proxy::{Exchange, Invocation, Proxy, Reached};
use http::header::{ACCEPT, COOKIE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::{Method, Request};
use tokio::time::Instant;

use self::choice::{Choice, Sample};
use self::pace::{End, Pace};
use self::results::Results;
use self::systems::NAMES;
use super::Verdict;
use super::explain::header;
use super::report::{Output, judged};
use crate::report::input::{Logs, Unreadable};
use crate::requests::{self, Asked};
use crate::system::Stop;
use crate::terminal::{printable, progress, say};

/// Compare two systems: send requests from a list, a log or a HAR file to both, and report
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade compare --legacy https://old.example.com --modern https://new.example.com paths.txt
  crossfade compare --legacy URL --modern URL --dedupe --sample 500 --html report.html alb-logs/*.gz
  crossfade compare --legacy URL --modern URL --cookie 'session=...' browser.har
  crossfade compare --legacy URL --modern URL --output new.log old.log    what differed, once more

The format of each file is detected: paths or URLs (one per line, with a method before them or not, `#` comments), access
logs of ALB, CloudFront (standard log), NGINX and Apache (combined or common), HAR files, or a comparison log.
Only GET, HEAD and OPTIONS are sent, unless `--method` names others. `http` URLs must be of loopback or private addresses.
Ctrl-C stops sending and prints the report.
Exit codes: 0 all gates pass, 1 a gate fails, 2 the comparison could not be made.")]
pub(super) struct Options {
    /// Files with requests, plain or gzipped; `-` reads standard input
    #[arg(value_name = "INPUT", required = true)]
    input: Vec<PathBuf>,
    /// URL of the old system; its path is put before that of every request
    #[arg(long, value_name = "URL")]
    legacy: String,
    /// URL of the new system
    #[arg(long, value_name = "URL")]
    modern: String,
    /// Send requests with this unsafe method as well; can be repeated
    #[arg(long, value_name = "METHOD")]
    method: Vec<Method>,
    /// Requests per second; each goes to both systems
    #[arg(long, value_name = "N", default_value = "10", value_parser = rate)]
    rate: f64,
    /// Requests at the same time
    #[arg(long, value_name = "N", default_value = "4", value_parser = clap::value_parser!(u16).range(1..=1000))]
    concurrency: u16,
    /// Time limit for each response
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = timeout)]
    timeout: Duration,
    /// Header field of all requests, to both systems; can be repeated
    #[arg(short = 'H', long = "header", value_name = "NAME: VALUE", value_parser = header)]
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Cookies of all requests, to both systems, such as those of a login
    #[arg(long, value_name = "NAME=VALUE[; ...]")]
    cookie: Option<HeaderValue>,
    /// Send only so many requests, or such a share: the same ones in every run
    #[arg(long, value_name = "N|P%", value_parser = Sample::parse)]
    sample: Option<Sample>,
    /// Send each method and URL once
    #[arg(long)]
    dedupe: bool,
    /// Send a request whose responses differ up to so many more times, until there is enough evidence
    #[arg(long, value_name = "N", default_value = "7", value_parser = clap::value_parser!(u8).range(0..=100))]
    again: u8,
    /// Compare by the `compare` rules of this crossfade.yaml, those of the route that a request matches
    #[arg(long, value_name = "FILE")]
    rules: Option<PathBuf>,
    /// Compare all requests by the rules of this route
    #[arg(long, value_name = "NAME", requires = "rules")]
    route: Option<String>,
    /// Keep differing values and queries out of the report and the log; secrets in them are masked anyway
    #[arg(long)]
    hide_values: bool,
    /// Write the comparison log to this file, for `crossfade report`
    #[arg(long, value_name = "FILE")]
    output: Option<PathBuf>,
    #[command(flatten)]
    report: Output,
}

fn rate(text: &str) -> Result<f64, &'static str> {
    let rate = text.parse().ok().filter(|rate| (0.001..=1000.0).contains(rate));
    rate.ok_or("expected requests per second, from 0.001 to 1000")
}

fn timeout(text: &str) -> Result<Duration, &'static str> {
    let range = Duration::from_millis(100)..=Duration::from_secs(600);
    let timeout = humantime::parse_duration(text).ok().filter(|timeout| range.contains(timeout));
    timeout.ok_or("expected a duration from 100ms to 10m, such as `30s`")
}

/// Requests after which a system that none of them could connect to is given up.
const FIRST: u64 = 5;

/// There is no front end that limits a response; the comparison itself decodes 4 MiB. Nothing is decoded or encoded.
static FORMAT: Format = Format {
    name: "compare",
    service: "`crossfade compare`",
    prefix: "",
    recognizes: |_| false,
    decode: alb::SINGLE.decode,
    encode: |_, _| Ok(()),
    prelude: None,
    max_response_bytes: 16 << 20,
};

/// A request, and how often it has been sent.
struct Job {
    asked: Arc<Asked>,
    sent: u8,
}

/// The result of one request.
struct Sent {
    job: Job,
    records: Vec<Record>,
    /// The reason why nothing was sent.
    problem: Option<String>,
}

pub(super) fn run(options: &Options) -> Result<Verdict> {
    let (table, cert_file) = systems::table(options)?;
    let mut logs = Logs::default();
    let asked = read(options, &table, &mut logs.unreadable)?;
    let proxy = Arc::new(Proxy::new(table, cert_file, "crossfade-compare")?);
    let log = match &options.output {
        Some(file) => {
            let opened = File::create(file).with_context(|| format!("cannot write `{}`", file.display()))?;
            Some(LineWriter::new(opened))
        }
        None => None,
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().context("cannot start")?;
    let results = runtime.block_on(send_all(options, &proxy, asked, log))?;
    // A look-up or a comparison that still runs is not waited for.
    runtime.shutdown_background();
    judged(&options.report, &results.tally, logs, 0)
}

/// The requests to send. Prints how many there are, and how many are skipped.
fn read(options: &Options, table: &crossfade_route::RoutingTable, unreadable: &mut Unreadable) -> Result<Vec<Asked>> {
    let mut choice = Choice::new(&options.method, table.backends(), options.sample, options.dedupe);
    for file in &options.input {
        let name = file.display().to_string();
        let mut each = |format, line| choice.take(format, line);
        let read = if name == "-" {
            requests::read("standard input", std::io::stdin().lock(), unreadable, &mut each)
        } else {
            File::open(file).and_then(|opened| requests::read(&name, opened, unreadable, &mut each))
        };
        read.with_context(|| format!("cannot read `{name}`"))?;
    }
    let (asked, counts) = choice.finish()?;
    let mut lines = counts.lines();
    if let Some(first) = &unreadable.first {
        lines.push(format!("{} unreadable, the first: {}", unreadable.count, printable(first)));
    }
    let skipped: String = lines.iter().map(|line| format!("\n  {line}")).collect();
    if asked.is_empty() {
        bail!("the input has no request to send{skipped}");
    }
    say(&format!("{} of {} requests are sent to both systems{skipped}", asked.len(), counts.read));
    Ok(asked)
}

async fn send_all(
    options: &Options,
    proxy: &Arc<Proxy>,
    asked: Vec<Asked>,
    log: Option<LineWriter<File>>,
) -> Result<Results> {
    let fields = Arc::new(options.fields());
    let host: Option<HeaderValue> = proxy.table().backends().first().map(|backend| backend.authority.clone());
    let (timeout, random) = (options.timeout, Random::new());
    let total = asked.len() as u64;
    let bar = progress(total);
    let mut results = Results::new(options, log);
    let jobs: VecDeque<Job> = asked.into_iter().map(|asked| Job { asked: Arc::new(asked), sent: 0 }).collect();
    let jobs = RefCell::new(jobs);
    let next = || jobs.borrow_mut().pop_front();
    let work = |job: Job| {
        let request = request(&job.asked, &fields, host.as_ref());
        send(proxy.clone(), job, request, random.bits(), timeout)
    };
    let mut failed = None;
    let each = |sent: Sent| {
        let again = match results.take(sent) {
            Ok(again) => again,
            Err(error) => {
                failed = Some(error);
                return ControlFlow::Break(());
            }
        };
        if let Some(job) = again {
            bar.inc_length(1);
            jobs.borrow_mut().push_back(job);
        }
        bar.inc(1);
        bar.set_message(format!("{} differ", results.different));
        let is_unreachable = results.unreachable().is_some() && results.sent >= FIRST;
        if is_unreachable { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let pace = Pace { rate: options.rate, concurrency: options.concurrency.into() };
    let end = pace::run(next, pace, work, interrupted(), each).await;
    bar.finish_and_clear();
    if let Some(error) = failed {
        return Err(error).context("cannot write the comparison log");
    }
    if let Some(index) = results.unreachable() {
        bail!("{}", unreachable(proxy, index, results.sent).await);
    }
    if end == End::Interrupted {
        say(&format!("interrupted after {} of {total} requests", results.finished));
    }
    if let Some(problem) = &results.first_problem {
        if results.sent == 0 {
            bail!("no request could be sent, the first: {}", printable(problem));
        }
        say(&format!("{} requests could not be sent, the first: {}", results.not_sent, printable(problem)));
    }
    Ok(results)
}

/// Completes when the user stops the run.
async fn interrupted() {
    let Ok(mut stop) = Stop::new(false) else { return std::future::pending().await };
    stop.requested().await;
    // The second one ends the process at once.
    tokio::spawn(async move {
        stop.requested().await;
        std::process::exit(130);
    });
}

/// The request as a client of the old system would send it.
fn request(asked: &Asked, common: &HeaderMap, host: Option<&HeaderValue>) -> Request<bytes::Bytes> {
    let mut request = Request::new(asked.body.clone());
    *request.method_mut() = asked.method.clone();
    *request.uri_mut() = asked.target.clone().into();
    let headers = request.headers_mut();
    headers.insert(USER_AGENT, HeaderValue::from_static(concat!("crossfade-compare/", env!("CARGO_PKG_VERSION"))));
    headers.insert(ACCEPT, HeaderValue::from_static("*/*"));
    let own = asked.host.as_ref().and_then(|own| HeaderValue::from_str(own.as_str()).ok());
    headers.extend(own.or_else(|| host.cloned()).map(|host| (HOST, host)));
    // A field of the options takes the place of the input's.
    headers.extend(asked.fields.clone());
    headers.extend(common.clone());
    request
}

/// Sends a request to both systems, as the function does for a client and for its mirror.
async fn send(proxy: Arc<Proxy>, job: Job, request: Request<bytes::Bytes>, seed: u128, timeout: Duration) -> Sent {
    let started = Instant::now();
    let invocation = Invocation {
        front: Front::new(&FORMAT),
        request_id: format!("{seed:032x}"),
        trace_id: None,
        trace: None,
        deployment: None,
        started,
        time: SystemTime::now(),
        // For both systems, and for the repetitions that measure noise.
        deadline: started + 5 * timeout,
        seed,
    };
    let Exchange { record, pending, .. } = proxy.handle(request, &invocation).await;
    match pending {
        Some(pending) => {
            let records = proxy.mirror(*pending, &invocation, std::future::pending()).await;
            Sent { job, records, problem: None }
        }
        None => {
            let problem = record.detail.or(record.error).map_or_else(|| "no reason is known".to_owned(), Into::into);
            Sent { job, records: Vec::new(), problem: Some(problem) }
        }
    }
}

/// The message about a system that cannot be reached, with the reason of one more connection.
async fn unreachable(proxy: &Proxy, index: usize, count: u64) -> String {
    let name = NAMES.get(index).copied().unwrap_or_default();
    let probes = proxy.probe(index, None, Duration::from_secs(5)).await;
    let reasons = probes.iter().filter_map(|probe| match &probe.outcome {
        Err(error) | Ok(Reached { answer: Err(error), .. }) => Some(format!("{}: {error}", probe.destination)),
        Ok(_) => None,
    });
    let reason = reasons.into_iter().next().unwrap_or_else(|| "no response".to_owned());
    let first = if count == 1 { "the only request".to_owned() } else { format!("all of the first {count} requests") };
    let mut text = format!("cannot connect to the {name} system, {}\n  {first} failed", printable(&reason));
    if reason.contains("certificate") {
        text += "\n  hint: `SSL_CERT_FILE` names a file with authorities to trust besides the public ones";
    }
    text
}

impl Options {
    /// Returns true if all requests get one `Host`.
    fn has_host(&self) -> bool {
        self.headers.iter().any(|(name, _)| name == HOST)
    }

    /// The fields that all requests get.
    fn fields(&self) -> HeaderMap {
        let cookie = self.cookie.iter().map(|cookie| (COOKIE, cookie.clone()));
        let mut fields = HeaderMap::new();
        for (name, value) in self.headers.iter().cloned().chain(cookie) {
            fields.append(name, value);
        }
        fields
    }
}

/// Random bits for each request.
struct Random {
    keyed: [RandomState; 2],
    count: Cell<u64>,
}

impl Random {
    fn new() -> Random {
        Random { keyed: [RandomState::new(), RandomState::new()], count: Cell::new(0) }
    }

    fn bits(&self) -> u128 {
        self.count.set(self.count.get() + 1);
        let [high, low] = &self.keyed;
        u128::from(high.hash_one(self.count.get())) << 64 | u128::from(low.hash_one(self.count.get()))
    }
}
