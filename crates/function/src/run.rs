//! The loop: the next event, its answer, its log line, copies for a mirror, the next event. Also start and end of the process
//! and of its lanes, the loops that run side by side.

use std::hash::{BuildHasher, RandomState};
use std::num::NonZeroUsize;
use std::pin::pin;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use crossfade_event::{DecodeError, FORMATS};
use crossfade_journal::{AccessRecord, Names, Sample, Trace, Wanted, share_number, with_otel_names};
use crossfade_live::{AFTERWARDS, AT_START, Notice};
use crossfade_proxy::{Invocation, number_thread};
use crossfade_route::{Share, Tracing};
use http::HeaderValue;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio::time::Instant;

use crate::current::{ConfigurationError, Current};
use crate::invoke::{Answered, Reply, answer, decode, mirror};
use crate::log::{Level, log_error, log_fatal, write_line, write_record};
use crate::runtime_api::{ApiError, NextEvent, RuntimeApi};
use crate::settings::Settings;
use crate::streaming::Stream;
use crate::xray;

/// Room for most access lines, so that their buffer does not grow on the way.
const LINE: usize = 1024;

/// Time kept back from an invocation's deadline for encoding and posting the answer.
pub(crate) const MARGIN: Duration = Duration::from_millis(250);

/// Limit of an invocation without a deadline.
const NO_DEADLINE: Duration = Duration::from_secs(30);

/// Deadlines below it, in milliseconds since 1970, are not dates: it is in 2001.
const FIRST_DEADLINE: u64 = 1_000_000_000_000;

/// Polling interval for detecting that the process was frozen, and the delay that a busy machine may add to it. A shorter
/// freeze affects a shadow request as a slow network does.
const BEAT: Duration = Duration::from_millis(250);

/// A reason for the process to end that is not Lambda's.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RunError {
    #[error("{0}")]
    Configuration(#[from] ConfigurationError),
    #[error("{0}")]
    Api(#[from] ApiError),
    #[error("cannot wait for signals: {0}")]
    Signal(#[source] std::io::Error),
    #[error("cannot start a thread: {0}")]
    Thread(#[source] std::io::Error),
    #[error("a lane failed: {0}")]
    Lane(String),
}

/// Serves until Lambda ends the environment.
pub(crate) async fn run(settings: Settings) -> Result<(), RunError> {
    let mut api = RuntimeApi::new(&settings.runtime_api);
    let concurrency = settings.concurrency;
    let address = settings.runtime_api.clone();
    let current = match Current::start(settings) {
        Ok(current) => Arc::new(current),
        Err(error) => {
            if let Err(api_error) = api.init_error("Crossfade.Configuration", &error.to_string()).await {
                log_fatal(&api_error.to_string());
            }
            return Err(error.into());
        }
    };
    current.refresh(SystemTime::now(), AT_START).await;
    let (stop, stopped) = watch::channel(());
    let mut shares = shares(concurrency).into_iter();
    let mut lanes = start(&current, api, &address, shares.next().unwrap_or(1), &stopped);
    for (number, share) in (1..).zip(shares) {
        let (current, address, stop, stopped) = (current.clone(), address.clone(), stop.clone(), stopped.clone());
        lanes.spawn_blocking(move || {
            number_thread(number);
            runtime().map_err(RunError::Thread)?.block_on(async {
                let lanes = start(&current, RuntimeApi::new(&address), &address, share, &stopped);
                drop(stopped);
                join(lanes, &stop).await
            })
        });
    }
    drop(stopped);
    // Lambda sends it before it ends an environment that has an extension; others just stop.
    let mut terminate = Terminate::new().map_err(RunError::Signal)?;
    let mut joined = pin!(join(lanes, &stop));
    loop {
        tokio::select! {
            _ = terminate.recv() => {
                let _ = stop.send(());
            }
            outcome = &mut joined => return outcome,
        }
    }
}

/// SIGTERM.
#[cfg(unix)]
struct Terminate(tokio::signal::unix::Signal);

#[cfg(unix)]
impl Terminate {
    fn new() -> std::io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        signal(SignalKind::terminate()).map(Terminate)
    }

    async fn recv(&mut self) {
        self.0.recv().await;
    }
}

/// `crossfade dev` on Windows ends its function without a signal.
#[cfg(not(unix))]
struct Terminate;

#[cfg(not(unix))]
impl Terminate {
    fn new() -> std::io::Result<Self> {
        Ok(Terminate)
    }

    async fn recv(&mut self) {
        std::future::pending().await
    }
}

/// The lanes of each thread. One thread for each CPU, since Managed Instances start more environments when the CPUs are busy, and
/// one thread can keep only one of them so.
fn shares(lanes: usize) -> Vec<usize> {
    let cpus = if lanes > 1 { available_parallelism().map_or(1, NonZeroUsize::get) } else { 1 };
    let threads = cpus.min(lanes);
    (0..threads).map(|thread| lanes / threads + usize::from(thread < lanes % threads)).collect()
}

/// The runtime of a thread. Each has its own, since handing work between threads costs more than the work.
pub(crate) fn runtime() -> std::io::Result<Runtime> {
    Builder::new_current_thread().enable_io().enable_time().build()
}

/// Starts lanes on this thread; the first one uses this connection.
fn start(
    current: &Arc<Current>,
    api: RuntimeApi,
    address: &str,
    count: usize,
    stopped: &watch::Receiver<()>,
) -> JoinSet<Result<(), RunError>> {
    tokio::spawn(tick());
    // Tasks, also for a single one: the runtime looks for I/O before every turn of what it blocks on, but not of tasks.
    let mut lanes = JoinSet::new();
    let others = (1..count).map(|_| RuntimeApi::new(address));
    for api in [api].into_iter().chain(others) {
        lanes.spawn(serve(current.clone(), api, stopped.clone()));
    }
    lanes
}

/// Waits for lanes. One fails where the Runtime API does, and then Lambda expects the process to end (a container error). The
/// others, of all threads, answer what they have first.
async fn join(mut lanes: JoinSet<Result<(), RunError>>, stop: &watch::Sender<()>) -> Result<(), RunError> {
    let mut outcome = Ok(());
    while let Some(ended) = lanes.join_next().await {
        let ended = ended.unwrap_or_else(|error| Err(RunError::Lane(error.to_string())));
        if let Err(error) = &ended {
            if !lanes.is_empty() {
                log_error(&format!("{error}; the process ends after the other lanes have answered"));
            }
            let _ = stop.send(());
        }
        outcome = outcome.and(ended);
    }
    outcome
}

/// A timer that is due before any deadline. The runtime's timers wake their driver, by a system call, whenever a new one
/// is the earliest: so with this one, not for every request.
async fn tick() {
    loop {
        tokio::time::sleep(Duration::from_secs(1)).await;
    }
}

/// A lane: one invocation at a time, over a connection of its own. Once `stop` has changed it ends, before the next
/// invocation and without waiting for shadow requests.
async fn serve(current: Arc<Current>, mut api: RuntimeApi, mut stop: watch::Receiver<()>) -> Result<(), RunError> {
    let mut buffer = Vec::new();
    let mut random = Random::new();
    let mut daemon = None;
    // One wait for the whole life: to begin it anew for each event costs more than to look at it.
    let mut stopped = pin!(stop.changed());
    loop {
        let next = tokio::select! {
            biased;
            _ = &mut stopped => return Ok(()),
            next = api.next() => next?,
        };
        let NextEvent { request_id, invocation_id, deadline_ms, trace_id, deployment, event } = next;
        let started = Instant::now();
        let time = SystemTime::now();
        let deadline = started + time_to_answer(deadline_ms, time);
        let seed = random.next();
        let (request, front) = decode(FORMATS, &event);
        if let Err(DecodeError::UnknownFormat) = &request
            && let Some(notice) = Notice::of(&event)
        {
            let outcome = Box::pin(current.act(&notice, time, deadline)).await;
            write_line(outcome.failure.as_ref().map_or(Level::Info, |_| Level::Error), outcome.text());
            let posted = match outcome.failure {
                None => api.respond(&request_id, invocation_id.as_deref(), outcome.text().into()).await,
                Some(message) => api.fail(&request_id, invocation_id.as_deref(), &message).await,
            };
            match posted {
                Err(error @ ApiError::Status { status: ..500, .. }) => log_error(&error.to_string()),
                result => result?,
            }
            current.refresh(SystemTime::now(), AFTERWARDS).await;
            continue;
        }
        // Its memory is free as soon as nothing of the request is in it.
        drop(event);
        let mut invocation =
            Invocation { front, request_id, trace_id, trace: None, deployment, started, time, deadline, seed };

        if current.is_live_at_hand() {
            current.refresh(time, AFTERWARDS).await;
        }
        let proxy = current.proxy();
        let tracing = proxy.table().tracing;
        if tracing.is_on() {
            invocation.trace = trace_of(tracing, &invocation);
        }
        let Answered { mut record, mut pending, reply: mut rest } =
            answer(&proxy, request, &invocation, &mut buffer).await;
        if let Reply::TooLarge(large) = rest {
            let bucket = current.spill(proxy.table());
            let bucket = bucket.as_deref().map_err(String::clone);
            // Boxed, as below.
            let spill = large.spill(&proxy, bucket, &invocation, &mut record, pending.as_deref_mut(), &mut buffer);
            Box::pin(spill).await;
            rest = Reply::Whole;
        }
        let reply = Bytes::from(std::mem::take(&mut buffer));
        let posted = match rest {
            Reply::Whole | Reply::TooLarge(_) => {
                api.respond(&invocation.request_id, invocation_id.as_deref(), reply.clone()).await
            }
            // Boxed, so that a function that streams nothing has no room for it.
            Reply::Beginning(rest) => {
                let stream =
                    Stream { proxy: &proxy, invocation: &invocation, record: &mut record, pending: &mut pending };
                Box::pin(stream.post(&mut api, invocation_id.as_deref(), reply.clone(), rest)).await
            }
        };
        let share = proxy.table().access_log;
        if is_logged(&mut record, share, seed)
            && let Some(mut line) = line_of(&record, proxy.table().access_names)
        {
            if let Some(metrics) = &proxy.table().metrics {
                metrics.add_to_access(&mut line, &record, sample(share, seed), proxy.table().access_names);
            }
            write_record(level_of(&record), line);
        }
        if let Some(trace) = &invocation.trace {
            xray::send(trace, &invocation, current.xray_daemon.as_deref(), &mut daemon);
        }
        match posted {
            Err(error @ ApiError::Status { status: ..500, .. }) => {
                log_error(&format!("the reply to {} was refused: {error}", invocation.request_id));
            }
            result => result?,
        }
        // The memory of a large reply is used again, if the connection has let go of it.
        if reply.is_unique() {
            buffer = Vec::from(reply);
            buffer.clear();
        }
        // The client has its answer; the environment is not frozen before it asks for the next event.
        if let Some(pending) = pending {
            let mut is_over = false;
            let stop = async {
                tokio::select! {
                    _ = &mut stopped => {
                        is_over = true;
                        "shutdown"
                    }
                    () = standstill() => "frozen",
                }
            };
            for line in mirror(&proxy, *pending, &invocation, stop).await {
                write_record(Level::Info, line);
            }
            if let Some(trace) = &invocation.trace {
                xray::send(trace, &invocation, current.xray_daemon.as_deref(), &mut daemon);
            }
            if is_over {
                return Ok(());
            }
        }
        if !current.is_live_at_hand() {
            current.refresh(SystemTime::now(), AFTERWARDS).await;
        }
    }
}

/// Returns the trace of a request that needs one.
#[cold]
fn trace_of(tracing: Tracing, invocation: &Invocation) -> Option<Box<Trace>> {
    let is_sampled = tracing.created.map(|share| share.has(share_number(invocation.seed)));
    let wanted = Wanted { xray: tracing.xray, w3c: is_sampled };
    let text = |field: &Option<HeaderValue>| field.as_ref().and_then(|field| field.to_str().ok().map(str::to_owned));
    let (platform, front) = (text(&invocation.trace_id), text(&invocation.front.trace_id));
    Trace::new(wanted, platform.as_deref(), front.as_deref(), invocation.seed)
}

/// Returns the line of the access log.
fn line_of(record: &AccessRecord<'_>, names: Names) -> Option<Vec<u8>> {
    let mut line = Vec::with_capacity(LINE);
    serde_json::to_writer(&mut line, record).ok()?;
    Some(if names == Names::Otel { with_otel_names(&line) } else { line })
}

/// Returns `true` for a request of this share, whose line then also stands for others, and for every request with a failure: the
/// client's response is one, or an attempt failed before it.
fn is_logged(record: &mut AccessRecord<'_>, share: Share, seed: u128) -> bool {
    let has_failure = record.status >= 500 || record.error.is_some() || !record.journal.is_empty();
    if has_failure || share == Share::ALL {
        return true;
    }
    // Not the bits that choose targets and copies.
    record.weight = Some(share.stands_for((seed >> 64) as u32));
    share.has((seed >> 64) as u64)
}

/// The part that the lines of this share are of all. The line of a failure is one more, unless the share has it anyway.
fn sample(share: Share, seed: u128) -> Sample {
    Sample { has_all: !share.is_zero(), is_chosen: share.has((seed >> 64) as u64) }
}

/// The level of a request's line: `ERROR` if the client got a failure, `WARN` if a retry or failover kept it from that.
fn level_of(record: &AccessRecord<'_>) -> Level {
    if record.is_failure() {
        Level::Error
    } else if record.retries > 0 || !record.skipped.is_empty() {
        Level::Warn
    } else {
        Level::Info
    }
}

/// Completes once the process has been frozen: stopped, or suspended with its machine. Requests that were in flight then hit
/// time limits, ours and those of others, that say nothing about the back end. Of two clocks the one that kept running counts.
async fn standstill() {
    loop {
        let (before, time) = (Instant::now(), SystemTime::now());
        tokio::time::sleep(BEAT).await;
        if before.elapsed().max(time.elapsed().unwrap_or_default()) > 2 * BEAT {
            return;
        }
    }
}

/// Random bits for shares of traffic and for ids that must not be guessed: SipHash with a key from the system.
struct Random {
    keyed: [RandomState; 2],
    count: u64,
}

impl Random {
    fn new() -> Self {
        Random { keyed: [RandomState::new(), RandomState::new()], count: 0 }
    }

    fn next(&mut self) -> u128 {
        self.count += 1;
        let [high, low] = [0, 1].map(|index: usize| u128::from(self.keyed[index].hash_one(self.count)));
        high << 64 | low
    }
}

/// Time until the deadline, less the margin; zero if the deadline passed while the process was frozen, since nobody waits
/// for the response any more. `cargo lambda watch` sends a duration instead of a deadline.
fn time_to_answer(deadline_ms: Option<u64>, now: SystemTime) -> Duration {
    let since_epoch = deadline_ms.filter(|since_epoch| *since_epoch >= FIRST_DEADLINE).map(Duration::from_millis);
    let Some(deadline) = since_epoch.and_then(|since_epoch| UNIX_EPOCH.checked_add(since_epoch)) else {
        return NO_DEADLINE;
    };
    let left = deadline.duration_since(now).unwrap_or_default();
    left.saturating_sub(MARGIN).max(left / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_lane_is_on_one_thread() {
        for lanes in [1, 2, 3, 8, 64, 1600] {
            let shares = shares(lanes);
            assert_eq!(shares.iter().sum::<usize>(), lanes);
            assert!(shares.iter().max().unwrap() - shares.iter().min().unwrap() <= 1, "{shares:?}");
        }
        assert_eq!(shares(1), [1]);
    }

    #[test]
    fn the_answer_is_due_before_the_deadline() {
        let now = UNIX_EPOCH + Duration::from_secs(1_800_000_000);
        let left = |milliseconds: i64| time_to_answer(Some((1_800_000_000_000 + milliseconds) as u64), now);
        assert_eq!(left(30_000), Duration::from_millis(29_750));
        assert_eq!(left(300), Duration::from_millis(150));
        for passed in [0, -1, -600, -86_400_000] {
            assert_eq!(left(passed), Duration::ZERO, "{passed}");
        }
        for no_deadline in [None, Some(1), Some(600_000), Some(u64::MAX)] {
            assert!(time_to_answer(no_deadline, now) >= NO_DEADLINE, "{no_deadline:?}");
        }
    }
}
