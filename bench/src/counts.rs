//! Figures that do not depend on the load of the machine: system calls (`strace`), instructions (`valgrind`) and the size of the
//! package (`zip`). It owns the use of these tools; if one is missing or not permitted, it says so and the run continues.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};

use crate::function::{Backend, Function};
use crate::warm::{Lane, Sample};
use crate::workload::Workload;

const ATTACH_LIMIT: Duration = Duration::from_secs(10);

/// System calls for each request, over `count` requests in the steady state, all threads.
///
/// # Errors
/// When `strace` is missing or may not attach.
pub fn system_calls(lane: &mut Lane, workload: &Workload, folder: &Path, count: usize) -> anyhow::Result<f64> {
    let summary = folder.join("strace.txt");
    let attached = folder.join("strace.log");
    let pid = lane.process.pid().to_string();
    let mut strace = Command::new("strace")
        .args(["-c", "-f", "-o"])
        .arg(&summary)
        .args(["-p", &pid])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(std::fs::File::create(&attached)?)
        .spawn()
        .context("no `strace`")?;
    let started = Instant::now();
    while !std::fs::read_to_string(&attached)?.contains("attached") {
        if started.elapsed() > ATTACH_LIMIT || strace.try_wait()?.is_some() {
            let _ = strace.kill();
            let _ = strace.wait();
            bail!("`strace` cannot attach: {}", std::fs::read_to_string(&attached)?.trim());
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    let event = workload.event(lane.function.mode)?;
    let outcome = lane.run(workload, &event, count);
    let signal = rustix::process::kill_process(rustix::process::Pid::from_child(&strace), rustix::process::Signal::INT);
    strace.wait()?;
    outcome?;
    signal?;
    let text = std::fs::read_to_string(&summary)?;
    let total = text.lines().find(|line| line.ends_with(" total"));
    let calls = total.and_then(|line| line.split_whitespace().nth(3));
    let calls: f64 = calls.and_then(|calls| calls.parse().ok()).context("`strace` wrote no total")?;
    Ok(calls / count as f64)
}

/// Instructions of one function, counted in user space.
#[derive(Debug, Clone, Copy)]
pub struct Instructions {
    /// From the start of the process to its first answer.
    pub to_first_answer: u64,
    /// For each further request in the steady state.
    pub per_request: u64,
}

/// Counts instructions: three runs of 1, 50 and 50 + `count` requests; the difference of the last two is the steady
/// state.
///
/// # Errors
/// When `valgrind` is missing or cannot run the function.
pub fn instructions(
    function: &Function,
    workload: &Workload,
    backend: &Backend,
    folder: &Path,
    count: usize,
) -> anyhow::Result<Instructions> {
    let event = workload.event(function.mode)?;
    instructions_while(function, backend, folder, count, &|lane, requests| lane.run(workload, &event, requests))
}

/// The same for other exchanges: `exchange` carries out so many of them.
///
/// # Errors
/// When `valgrind` is missing or cannot run the function, and those of `exchange`.
pub fn instructions_while(
    function: &Function,
    backend: &Backend,
    folder: &Path,
    count: usize,
    exchange: &dyn Fn(&mut Lane, usize) -> anyhow::Result<Sample>,
) -> anyhow::Result<Instructions> {
    let counted = |requests: usize| -> anyhow::Result<u64> {
        let valgrind = Valgrind::new(folder)?;
        let mut lane = Lane::start(function, backend, folder, &valgrind.words)?;
        exchange(&mut lane, requests)?;
        lane.process.terminate();
        valgrind.collected()
    };
    let (first, few, many) = (counted(1)?, counted(50)?, counted(50 + count)?);
    Ok(Instructions { to_first_answer: first, per_request: many.saturating_sub(few) / count as u64 })
}

/// Counts the instructions of a command from its start to its end.
///
/// # Errors
/// When `valgrind` is missing, or the command fails.
pub fn instructions_of(program: &Path, arguments: &[&str]) -> anyhow::Result<u64> {
    let folder = tempfile::tempdir()?;
    let valgrind = Valgrind::new(folder.path())?;
    let [first, options @ ..] = valgrind.words.as_slice() else { bail!("no words") };
    let status = Command::new(first).args(options).arg(program).args(arguments).status()?;
    ensure!(status.success(), "{arguments:?} failed");
    valgrind.collected()
}

/// The words to put before a command to count its instructions, and the file that gets the count.
struct Valgrind {
    words: Vec<OsString>,
    log: PathBuf,
}

impl Valgrind {
    fn new(folder: &Path) -> anyhow::Result<Valgrind> {
        Command::new("valgrind").arg("--version").output().context("no `valgrind`")?;
        let log = folder.join("valgrind.log");
        let mut words: Vec<OsString> =
            ["valgrind", "--tool=callgrind", "--callgrind-out-file=/dev/null", "--vgdb=no"].map(OsString::from).into();
        let mut log_option = OsString::from("--log-file=");
        log_option.push(&log);
        words.push(log_option);
        Ok(Valgrind { words, log })
    }

    fn collected(&self) -> anyhow::Result<u64> {
        let text = std::fs::read_to_string(&self.log)?;
        let collected = text.lines().find_map(|line| line.split("Collected : ").nth(1));
        collected.and_then(|number| number.trim().parse().ok()).context("`valgrind` wrote no count")
    }
}

/// The size in bytes of a zip (level 9) that holds this one file, as Lambda would get it.
///
/// # Errors
/// When `zip` is missing or fails.
pub fn zip_size(binary: &Path, folder: &Path) -> anyhow::Result<u64> {
    let zip = folder.join("size.zip");
    let _ = std::fs::remove_file(&zip);
    let status = Command::new("zip").args(["-9", "-q", "-j"]).arg(&zip).arg(binary).status().context("no `zip`")?;
    ensure!(status.success(), "`zip` failed");
    Ok(std::fs::metadata(&zip)?.len())
}
