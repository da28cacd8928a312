//! Figures from Linux about a process and the machine: CPU time, peak memory, the one CPU everything is pinned to, and the
//! name of the folder for the figures of this machine. It starts and ends nothing.

use std::fs;
use std::time::SystemTime;

use anyhow::Context as _;
use rustix::thread::{CpuSet, sched_getaffinity, sched_setaffinity};

/// CPU time of all threads that the process has now, in nanoseconds (`/proc/PID/task/*/schedstat`, first figure).
/// Threads that ended are not counted, and none of the functions measured ends threads while it serves.
///
/// # Errors
/// When the process is gone.
pub fn cpu_nanoseconds(pid: u32) -> anyhow::Result<u64> {
    let mut total = 0;
    for task in fs::read_dir(format!("/proc/{pid}/task"))? {
        let text = fs::read_to_string(task?.path().join("schedstat"))?;
        let first = text.split_whitespace().next().unwrap_or_default();
        total += first.parse::<u64>().with_context(|| format!("`schedstat` says `{text}`"))?;
    }
    Ok(total)
}

/// Peak memory of the process so far, in KiB (`VmHWM`).
///
/// # Errors
/// When the process is gone.
pub fn peak_memory_kib(pid: u32) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/status"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).context("`/proc/PID/status` has no `VmHWM`")
}

/// Pins this process, its threads and children to come to one CPU, the last it may use; returns which. On several CPUs
/// the wake-ups between them drown what is measured.
///
/// # Errors
/// If the kernel rejects it.
pub fn pin_to_one_cpu() -> anyhow::Result<usize> {
    let allowed = sched_getaffinity(None)?;
    let cpu = (0..CpuSet::MAX_CPU).rev().find(|&cpu| allowed.is_set(cpu)).context("this process may use no CPU")?;
    let mut only = CpuSet::new();
    only.set(cpu);
    sched_setaffinity(None, &only)?;
    Ok(cpu)
}

/// A line of `/proc/cpuinfo`.
fn cpu(key: &str) -> String {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = cpuinfo.lines().find(|line| line.starts_with(key));
    line.and_then(|line| line.split(':').nth(1)).map_or_else(|| "?".to_owned(), |value| value.trim().to_owned())
}

fn cpus() -> usize {
    let cpuinfo = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    cpuinfo.lines().filter(|line| line.starts_with("processor")).count()
}

/// One line about the machine: CPU model, how many CPUs, kernel.
#[must_use]
pub fn machine() -> String {
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    format!(
        "{} (family {}, model {}), {} CPUs, Linux {}",
        cpu("model name"),
        cpu("cpu family"),
        cpu("model\t"),
        cpus(),
        kernel.trim()
    )
}

/// The name in `bench/runs` of the folder for figures of today and of this machine: `2026-11-24-amd-epyc-f25m1-2cpu`.
#[must_use]
pub fn run_name() -> String {
    let now = humantime::format_rfc3339_seconds(SystemTime::now()).to_string();
    let model = cpu("model name").to_ascii_lowercase();
    let words = model.split(|letter: char| !letter.is_ascii_alphanumeric()).filter(|word| !word.is_empty());
    let words = words.collect::<Vec<_>>().join("-");
    format!(
        "{}-{words}-f{}m{}-{}cpu",
        now.split('T').next().unwrap_or_default(),
        cpu("cpu family"),
        cpu("model\t"),
        cpus()
    )
}

/// Memory of the process in KiB, with pages that several processes share counted in parts (`Pss`).
///
/// # Errors
/// When the process is gone, or its memory may not be read.
pub fn proportional_memory_kib(pid: u32) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/smaps_rollup"))?;
    let line = text.lines().find_map(|line| line.strip_prefix("Pss:"));
    let number = line.and_then(|line| line.split_whitespace().next());
    number.and_then(|number| number.parse().ok()).context("`/proc/PID/smaps_rollup` has no `Pss`")
}

/// Memory of the process's own, in KiB: resident pages less those of files (`/proc/PID/statm`).
///
/// # Errors
/// When the process is gone.
pub fn own_memory_kib(pid: u32) -> anyhow::Result<u64> {
    let text = fs::read_to_string(format!("/proc/{pid}/statm"))?;
    let mut pages = text.split(' ').skip(1).map(|pages| pages.parse::<u64>().unwrap_or(0));
    let (resident, shared) = (pages.next().unwrap_or(0), pages.next().unwrap_or(0));
    Ok(resident.saturating_sub(shared) * rustix::param::page_size() as u64 / 1024)
}

/// The number of open file descriptors of a process.
///
/// # Errors
/// When the process is gone.
pub fn descriptors(pid: u32) -> anyhow::Result<usize> {
    Ok(fs::read_dir(format!("/proc/{pid}/fd"))?.count())
}

/// The processes that it has started itself.
///
/// # Errors
/// If `/proc` is missing.
pub fn children(pid: u32) -> anyhow::Result<Vec<u32>> {
    let all = fs::read_dir("/proc")?.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
    Ok(all.filter(|child| parent_of(*child) == Some(pid)).collect())
}

/// The fourth field of `/proc/PID/stat`; the second is in parentheses and may have anything in it.
fn parent_of(pid: u32) -> Option<u32> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1)?.parse().ok()
}
