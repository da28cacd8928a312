//! Load for a long time: `crossfade dev` with the real function, clients that know every byte they must get, back ends
//! that are killed, stopped and restarted meanwhile. It owns the run and its figures; `content` has the requests and responses,
//! `back_ends` the processes, `client` the checks.

mod back_ends;
mod client;
mod content;

use std::collections::BTreeMap;
use std::fmt;
use std::io::{BufRead as _, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use crossfade_testkit::process::{Process, Signal};

use self::back_ends::{BackEnd, Troubles, trouble};
use self::client::{HOLD, Tally};
use self::content::BACK_ENDS;
use crate::certificate::Tls;
use crate::process;

pub use back_ends::serve;

/// For the start of `crossfade dev` and for its end.
const PATIENCE: Duration = Duration::from_secs(60);
/// Between two looks at the processes.
const LOOK: Duration = Duration::from_millis(500);
/// Environments may outnumber clients: on a busy machine one that has answered may be slow to ask for more, and a new
/// one is started in its place. So many for each client, that none is throttled for that.
const SPARE: usize = 2;

/// The duration and the load of a run.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Duration of the traffic.
    pub duration: Duration,
    /// Concurrent requests.
    pub clients: usize,
    /// Between two troubles with back ends, milliseconds.
    pub pause_ms: (u64, u64),
    /// For how long a back end is stopped now and then, beyond its `backendRequest`; never if `None`.
    pub stop_ms: Option<u64>,
    /// Memory must not grow. A short run cannot check this: it ends before each process has had its largest bodies.
    pub must_be_flat: bool,
}

impl Plan {
    /// For tests.
    #[must_use]
    pub fn short() -> Self {
        let duration = Duration::from_secs(15);
        Plan { duration, clients: 12, pause_ms: (500, 2000), stop_ms: None, must_be_flat: false }
    }

    /// 50 concurrent requests.
    #[must_use]
    pub fn long(minutes: u64) -> Self {
        let duration = Duration::from_secs(minutes * 60);
        Plan { duration, clients: 50, pause_ms: (3000, 12_000), stop_ms: Some(13_000), must_be_flat: true }
    }
}

/// The programs of a run.
#[derive(Debug, Clone)]
pub struct Programs {
    /// The command `crossfade`.
    pub crossfade: PathBuf,
    /// The function.
    pub bootstrap: PathBuf,
    /// This one, for the back ends.
    pub bench: PathBuf,
}

/// The memory and file descriptors of the processes at one moment.
#[derive(Debug, Clone, Default)]
struct Look {
    /// For each function process, by its id: KiB of private memory, and descriptors.
    functions: BTreeMap<u32, (u64, usize)>,
    /// The same of the emulator.
    emulator: (u64, usize),
}

impl Look {
    fn at(dev: u32) -> anyhow::Result<Self> {
        let of = |pid| Ok::<_, anyhow::Error>((process::own_memory_kib(pid)?, process::descriptors(pid)?));
        // One may end between being found and being looked at.
        Ok(Look {
            functions: process::children(dev)?.into_iter().filter_map(|pid| Some((pid, of(pid).ok()?))).collect(),
            emulator: of(dev)?,
        })
    }

    fn memory(&self) -> impl Iterator<Item = u64> {
        self.functions.values().map(|(memory, _)| *memory)
    }

    /// KiB of one function process, of those that are in both looks: others have carried less in the one than in the
    /// other. NaN if there are none.
    fn mean_memory_beside(&self, other: &Look) -> f64 {
        let both: Vec<u64> = (self.functions.iter())
            .filter(|(pid, _)| other.functions.contains_key(pid))
            .map(|(_, (memory, _))| *memory)
            .collect();
        both.iter().sum::<u64>() as f64 / both.len() as f64
    }

    fn most_descriptors(&self) -> usize {
        self.functions.values().map(|(_, descriptors)| *descriptors).max().unwrap_or(0)
    }
}

/// The results of a run.
#[derive(Debug)]
pub struct Figures {
    plan: Plan,
    tally: Tally,
    troubles: Troubles,
    /// After a quarter of the time, when everything has been used.
    start: Look,
    /// When the traffic had ended.
    end: Look,
    /// Maxima of all samples: the memory of one function process, and the number of environments.
    most_memory: u64,
    most_environments: usize,
    /// The most recent reasons of the load balancer's own error responses.
    reasons: Vec<String>,
    /// By error type: what the function's log said of it the first time.
    details: BTreeMap<String, String>,
}

impl Figures {
    /// Checks the figures.
    ///
    /// # Errors
    /// All of it, in words.
    pub fn verdict(&self) -> Result<(), String> {
        let mut wrong = [&self.tally.told[..], &self.reasons].concat();
        if self.tally.wrong > 0 {
            wrong.push(format!("{} answers are wrong", self.tally.wrong));
        }
        if self.tally.identical == 0 || self.troubles.kills == 0 || self.tally.errors.is_empty() {
            wrong.push("nothing was answered, or no back end was missed: that is no test".to_owned());
        }
        let (start, end) = (self.start.mean_memory_beside(&self.end), self.end.mean_memory_beside(&self.start));
        if self.plan.must_be_flat && start.is_nan() {
            wrong.push(
                "no function was there from the first quarter of the time to the end: nothing is known of memory"
                    .to_owned(),
            );
        }
        if self.plan.must_be_flat && end > start * 1.25 {
            wrong.push(format!("the functions' memory has grown from {start:.0} to {end:.0} KiB each"));
        }
        if self.plan.must_be_flat && self.end.emulator.0 as f64 > self.start.emulator.0 as f64 * 1.25 + 16.0 * 1024.0 {
            wrong.push("the emulator's memory has grown".to_owned());
        }
        // Those of the runtime and of its API, and what is left for a moment of connections to back ends that were
        // killed.
        if self.end.most_descriptors() > 32 {
            wrong.push(format!("a function has {} descriptors", self.end.most_descriptors()));
        }
        // It has some for each environment.
        let more = self.end.functions.len().saturating_sub(self.start.functions.len());
        if self.end.emulator.1 > self.start.emulator.1 + 16 + 8 * more {
            let (start, end) = (self.start.emulator.1, self.end.emulator.1);
            wrong.push(format!("the emulator had {start} descriptors, and has {end}"));
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong.join("\n")) }
    }
}

impl fmt::Display for Figures {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Figures { plan, tally, troubles, start, end, .. } = self;
        let mib = |kib: u64| kib as f64 / 1024.0;
        let bytes = |bytes: u64| bytes as f64 / 1e6;
        writeln!(f, "| | |\n|---|--:|")?;
        writeln!(f, "| traffic | {:.1} min, {} clients |", plan.duration.as_secs_f64() / 60.0, plan.clients)?;
        writeln!(f, "| back ends killed; stopped | {}; {} |", troubles.kills, troubles.stops)?;
        writeln!(f, "| requests | {} |", tally.requests)?;
        writeln!(f, "| the back end's answer, byte for byte | {} |", tally.identical)?;
        for (kind, count) in &tally.errors {
            writeln!(f, "| back end not there: {kind} | {count} |")?;
        }
        writeln!(f, "| wrong or without an answer | {} |", tally.wrong)?;
        let (answers, requests) = (bytes(tally.answer_bytes), bytes(tally.request_bytes));
        writeln!(f, "| content compared: of answers; of requests | {answers:.1} MB; {requests:.1} MB |")?;
        writeln!(f, "| environments, at most | {} |", self.most_environments)?;
        for (error, detail) in &self.details {
            writeln!(f, "| the log of {error}, the first time | {} |", detail.replace('|', "\\|"))?;
        }
        for (when, look, other) in [("after a quarter of the time", start, end), ("at the end", end, start)] {
            let (least, most) = (look.memory().min().unwrap_or(0), look.memory().max().unwrap_or(0));
            let (least, mean, most) = (mib(least), look.mean_memory_beside(other) / 1024.0, mib(most));
            writeln!(f, "| a function's memory {when}: least, most | {least:.1}, {most:.1} MiB |")?;
            writeln!(f, "| a function's memory {when}: mean of those that are there both times | {mean:.1} MiB |")?;
            writeln!(f, "| a function's descriptors {when}, at most | {} |", look.most_descriptors())?;
            let (memory, descriptors) = look.emulator;
            writeln!(f, "| emulator {when}: memory, descriptors | {:.1} MiB, {descriptors} |", mib(memory))?;
        }
        writeln!(f, "| a function's memory, the most ever | {:.1} MiB |", mib(self.most_memory))
    }
}

/// Runs the load. [`Figures::verdict`] checks the figures.
///
/// # Errors
/// When something cannot be started.
pub fn run(plan: &Plan, programs: &Programs) -> anyhow::Result<Figures> {
    let folder = tempfile::tempdir()?;
    Tls::generate(folder.path())?;
    let back_ends: Vec<BackEnd> =
        BACK_ENDS.iter().map(|_| BackEnd::start(&programs.bench, folder.path())).collect::<anyhow::Result<_>>()?;
    write_configuration(folder.path(), &back_ends, plan)?;
    let dev = Dev::start(programs, folder.path(), plan.clients * SPARE)?;

    let ended = AtomicBool::new(false);
    let (tally, troubles, start, looks) = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..plan.clients as u64)
            .map(|seed| {
                scope.spawn({
                    let (dev, back_ends, ended) = (&dev, &back_ends, &ended);
                    move || client::run(&dev.alb, seed << 32, back_ends, ended)
                })
            })
            .collect();
        let troubles = scope.spawn(|| trouble(&back_ends, plan.pause_ms, plan.stop_ms, &ended));
        let looks = watch(dev.child.id(), plan.duration, &ended);
        ended.store(true, Ordering::Relaxed);
        let mut tally = Tally::default();
        for client in clients {
            tally.add(client.join().map_err(|_| anyhow::anyhow!("a client broke"))?);
        }
        tally.settle();
        let troubles = troubles.join().map_err(|_| anyhow::anyhow!("nobody made trouble"))??;
        let looks = looks?;
        let start = looks.get(looks.len() / 4).cloned().unwrap_or_default();
        anyhow::Ok((tally, troubles, start, looks))
    })?;
    let end = Look::at(dev.child.id())?;
    let each = |of: fn(&Look) -> u64| looks.iter().chain([&end]).map(of).max().unwrap_or(0);
    let figures = Figures {
        plan: plan.clone(),
        tally,
        troubles,
        start,
        most_memory: each(|look| look.memory().max().unwrap_or(0)),
        most_environments: each(|look| look.functions.len() as u64) as usize,
        end,
        reasons: lock(&dev.reasons).clone(),
        details: lock(&dev.details).clone(),
    };
    dev.stop()?;
    Ok(figures)
}

/// Looks at the processes until the time is over.
fn watch(dev: u32, duration: Duration, ended: &AtomicBool) -> anyhow::Result<Vec<Look>> {
    let (begun, mut looks) = (Instant::now(), Vec::new());
    while begun.elapsed() < duration && !ended.load(Ordering::Relaxed) {
        std::thread::sleep(LOOK);
        looks.push(Look::at(dev).context("`crossfade dev` is gone")?);
    }
    Ok(looks)
}

fn write_configuration(folder: &Path, back_ends: &[BackEnd], plan: &Plan) -> anyhow::Result<()> {
    let limit = plan.stop_ms.map_or("20s".to_owned(), |stop| format!("{}ms", stop - 3000));
    let mut config = "version: 1\nbackends:\n".to_owned();
    let mut routes = "routes:\n".to_owned();
    for (index, (name, back_end)) in BACK_ENDS.iter().zip(back_ends).enumerate() {
        let breaker = match index + 1 == BACK_ENDS.len() {
            true => format!(", outlier: {{ failures: 3, for: {}ms }}", HOLD.as_millis()),
            false => String::new(),
        };
        config.push_str(&format!(
            "  {name}: {{ url: 'https://localhost:{}', tls: {{ caFile: ca.pem }}, timeouts: {{ backendRequest: {limit} }}{breaker} }}\n",
            back_end.port
        ));
        routes.push_str(&format!(
            "  - {{ name: {name}, priority: {}, conditions: {{ path: ['/*/{name}/*'] }}, forward: {name} }}\n",
            index + 1
        ));
    }
    std::fs::write(
        folder.join("crossfade.yaml"),
        format!("{config}{routes}default: {{ fixedResponse: {{ status: 404 }} }}\n"),
    )?;
    // With this timeout, the function itself reports a stopped back end.
    let listeners = "service: soak\nprovider: { name: aws, runtime: provided.al2023, memorySize: 128, timeout: 29 }\n\
                     functions:\n  proxy:\n    handler: bootstrap\n    events:\n      \
                     - alb: { listenerArn: x, priority: 1, multiValueHeaders: true, conditions: { path: '/multi/*' } }\n      \
                     - alb: { listenerArn: x, priority: 2, conditions: { path: '/single/*' } }\n";
    Ok(std::fs::write(folder.join("serverless.yml"), listeners)?)
}

/// A running `crossfade dev`.
#[derive(Debug)]
struct Dev {
    child: Process,
    /// `127.0.0.1:PORT`
    alb: String,
    /// Its last lines of output.
    words: Kept,
    /// The reasons of the load balancer's own error responses.
    reasons: Kept,
    /// By error type: what the function's log said of it the first time.
    details: Arc<Mutex<BTreeMap<String, String>>>,
}

impl Dev {
    fn start(programs: &Programs, folder: &Path, environments: usize) -> anyhow::Result<Self> {
        let config = folder.join("crossfade.yaml");
        let mut child = Command::new(&programs.crossfade)
            .args(["dev", "--port", "0", "--no-inspect", "--serverless", "serverless.yml"])
            .args(["--max-concurrency", &environments.to_string()])
            .arg("--function")
            .arg(&programs.bootstrap)
            .args(["--env", &format!("CROSSFADE_CONFIG={}", config.display())])
            .current_dir(folder)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start `{}`", programs.crossfade.display()))?;
        let (stdout, stderr) = (child.stdout.take().context("no output")?, child.stderr.take().context("no output")?);
        let mut dev = Dev {
            child: Process::from(child).asked_to_end(),
            alb: String::new(),
            words: Kept::default(),
            reasons: Kept::default(),
            details: Arc::default(),
        };
        let (words, details) = (Arc::clone(&dev.words), Arc::clone(&dev.details));
        listen(stderr, move |line| {
            if let Some((error, detail)) = error_of(&line) {
                lock(&details).entry(error).or_insert(detail);
            }
            keep(&words, line);
        });
        let reasons = Arc::clone(&dev.reasons);
        // Below the line of a request that the load balancer answered for the function it says why.
        listen(stdout, move |line| {
            if line.contains(" Lambda") {
                keep(&reasons, line);
            }
        });
        let begun = Instant::now();
        while dev.alb.is_empty() {
            ensure!(begun.elapsed() < PATIENCE && dev.child.try_wait()?.is_none(), "no start: {}", dev.last_words());
            std::thread::sleep(Duration::from_millis(20));
            let words = dev.last_words();
            let address = words.split_once("http://").and_then(|(_, rest)| rest.split_whitespace().next());
            dev.alb = address.unwrap_or_default().to_owned();
        }
        Ok(dev)
    }

    fn last_words(&self) -> String {
        lock(&self.words).join("\n")
    }

    /// As with Ctrl-C; it takes its functions with it.
    fn stop(mut self) -> anyhow::Result<()> {
        self.child.signal(Signal::INT);
        let begun = Instant::now();
        while self.child.try_wait()?.is_none() {
            ensure!(begun.elapsed() < PATIENCE, "`crossfade dev` does not end");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(())
    }
}

/// The last lines of an output.
type Kept = Arc<Mutex<Vec<String>>>;

fn keep(kept: &Kept, line: String) {
    let mut kept = lock(kept);
    if kept.len() > 40 {
        kept.remove(0);
    }
    kept.push(line);
}

/// The error type and detail in a line of the function's log, if it reports an error.
fn error_of(line: &str) -> Option<(String, String)> {
    let record: serde_json::Value = serde_json::from_str(line.split_once(" | ")?.1).ok()?;
    Some((record["error"].as_str()?.to_owned(), record["detail"].as_str()?.to_owned()))
}

/// Gives all lines of an output to somebody.
fn listen(pipe: impl Read + Send + 'static, to: impl FnMut(String) + Send + 'static) {
    std::thread::spawn(move || BufReader::new(pipe).lines().map_while(Result::ok).for_each(to));
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
