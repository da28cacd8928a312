//! The memory use of an environment: anonymous pages of all processes in its groups, from `/proc`. Linux only;
//! elsewhere it is unknown and unlimited.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::process::Group;

/// The shortest time between two searches for new processes, each of which reads all of `/proc`.
const BETWEEN_SEARCHES: Duration = Duration::from_millis(500);
/// The shortest time between two measurements at responses, of which there can be thousands per second.
const BETWEEN_ANSWERS: Duration = Duration::from_millis(20);

#[derive(Default)]
pub(super) struct Memory {
    peak: AtomicU64,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    groups: Vec<Group>,
    processes: Vec<u32>,
    searched: Option<Instant>,
    looked: Option<Instant>,
}

impl Memory {
    pub(super) fn add(&self, group: Group) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        state.processes.extend(group.id());
        state.groups.push(group);
    }

    /// Returns the peak so far, in bytes.
    pub(super) fn peak(&self) -> Option<u64> {
        Some(self.peak.load(Ordering::Relaxed)).filter(|peak| *peak > 0)
    }

    /// Returns the bytes in use. Call it at intervals while there is work.
    pub(super) fn look(&self) -> u64 {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.searched.is_none_or(|searched| now - searched >= BETWEEN_SEARCHES) {
            let groups: Vec<u32> = state.groups.iter().filter_map(Group::id).collect();
            state.processes = linux::members(&groups);
            state.searched = Some(now);
        }
        self.sum(&mut state, now)
    }

    /// Returns the bytes in use when a response is posted, unless they have just been measured.
    pub(super) fn look_at_answer(&self) -> Option<u64> {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Instant::now();
        if state.looked.is_some_and(|looked| now - looked < BETWEEN_ANSWERS) {
            return None;
        }
        Some(self.sum(&mut state, now))
    }

    fn sum(&self, state: &mut State, now: Instant) -> u64 {
        state.looked = Some(now);
        // Pages that a process shares with the one that it was forked from count once; that takes the system longer.
        let bytes = match state.processes.as_slice() {
            [only] => linux::anonymous(*only),
            several => several.iter().map(|process| linux::proportional(*process)).sum(),
        };
        self.peak.fetch_max(bytes, Ordering::Relaxed);
        bytes
    }
}

#[cfg(target_os = "linux")]
mod linux {
    /// The processes of these groups.
    pub(super) fn members(groups: &[u32]) -> Vec<u32> {
        let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
        let processes = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok());
        processes.filter(|process| group_of(*process).is_some_and(|group| groups.contains(&group))).collect()
    }

    /// The fifth field of `/proc/<pid>/stat`; the second is in parentheses and may have anything in it (proc(5)).
    fn group_of(process: u32) -> Option<u32> {
        let stat = std::fs::read(format!("/proc/{process}/stat")).ok()?;
        let after_name = stat.iter().rposition(|byte| *byte == b')')? + 1;
        let rest = std::str::from_utf8(stat.get(after_name..)?).ok()?;
        rest.split_ascii_whitespace().nth(2)?.parse().ok()
    }

    /// `Pss_Anon` of `/proc/<pid>/smaps_rollup`, in bytes (proc(5)); without that line, the memory that is not
    /// backed by files.
    pub(super) fn proportional(process: u32) -> u64 {
        let rollup = std::fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
        let line = rollup.lines().find_map(|line| line.strip_prefix("Pss_Anon:"));
        let kilobytes = line.and_then(|line| line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
        kilobytes.map_or_else(|| anonymous(process), |kilobytes| kilobytes.saturating_mul(1024))
    }

    /// Resident pages less those of files and shared memory: the second and third field of `/proc/<pid>/statm`.
    pub(super) fn anonymous(process: u32) -> u64 {
        let statm = std::fs::read_to_string(format!("/proc/{process}/statm")).unwrap_or_default();
        let mut pages = statm.split(' ').skip(1).map(|pages| pages.parse::<u64>().unwrap_or_default());
        let (resident, shared) = (pages.next().unwrap_or_default(), pages.next().unwrap_or_default());
        resident.saturating_sub(shared).saturating_mul(rustix::param::page_size() as u64)
    }
}

#[cfg(not(target_os = "linux"))]
mod linux {
    pub(super) fn members(_groups: &[u32]) -> Vec<u32> {
        Vec::new()
    }

    pub(super) fn anonymous(_process: u32) -> u64 {
        0
    }

    pub(super) fn proportional(_process: u32) -> u64 {
        0
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    #[test]
    fn this_process_uses_memory_and_is_of_its_group() {
        let before = super::linux::anonymous(std::process::id());
        let block = vec![1_u8; 64 << 20];
        let after = super::linux::anonymous(std::process::id());
        assert!(block[block.len() / 2] == 1 && after >= before + (48 << 20), "{before} {after}");
        // Nothing here is shared with a fork: both ways of counting are about the same.
        let proportional = super::linux::proportional(std::process::id());
        assert!(proportional > 48 << 20 && proportional <= after + (16 << 20), "{proportional} {after}");
        let group = rustix::process::getpgrp().as_raw_nonzero().get() as u32;
        assert!(super::linux::members(&[group]).contains(&std::process::id()));
    }
}
