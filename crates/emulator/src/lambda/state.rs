//! The data behind the coordinator: an environment's phase, its invocations from queued to finished, its extensions.
//! Makes no decision; those are in `coordinator` and `extensions_api`.

use std::collections::VecDeque;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use tokio::sync::oneshot;

use super::extension::Extension;
use super::failure::Failure;
use super::process::Group;
use super::signal::Signal;
use super::stream::Answer;

/// The number of finished invocations that are remembered, to distinguish a late response (410) from an unknown ID
/// (400).
const REMEMBERED: usize = 16;

/// An event for the runtime, and the channel for its response.
pub(super) struct Invocation {
    pub(super) request_id: String,
    pub(super) event: Bytes,
    pub(super) trace_id: String,
    /// The time at which it times out, by the wall clock for the function, and by the monotonic clock.
    pub(super) deadline: SystemTime,
    pub(super) until: Instant,
    pub(super) answer: Waiting,
}

/// The channel for a response.
pub(super) type Waiting = oneshot::Sender<Result<Answer, Failure>>;

/// The part of an invocation that the runtime gets.
pub(super) struct NextInvocation {
    pub(super) request_id: String,
    pub(super) invocation_id: String,
    pub(super) event: Bytes,
    pub(super) trace_id: String,
    pub(super) deadline_ms: u64,
}

#[derive(Default)]
pub(super) struct State {
    pub(super) phase: Phase,
    pub(super) groups: Vec<Group>,
    pub(super) frozen: bool,
    /// The invoke phase is over; nothing to do until the next invocation.
    pub(super) idle: bool,
    /// The environment calls `Coordinator::tick` at intervals.
    pub(super) ticking: bool,
    /// The runtime has called `next` at least once; from then on no extension can register.
    pub(super) has_asked: bool,
    /// The number of open `next` calls of the runtime.
    pub(super) polls: usize,
    pub(super) queued: VecDeque<Invocation>,
    pub(super) open: Vec<InProgress>,
    pub(super) over: VecDeque<Finished>,
    /// The time at which the last invocation times out.
    pub(super) until: Option<Instant>,
    pub(super) extensions: Vec<Extension>,
}

#[derive(Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Init,
    Running,
    /// With the status with which the environment ended.
    Closed(String),
}

/// An invocation that the runtime works on.
pub(super) struct InProgress {
    pub(super) request_id: String,
    pub(super) invocation_id: String,
    pub(super) stage: Stage,
}

/// The progress of an invocation that the runtime works on.
pub(super) enum Stage {
    /// It has no response yet.
    Waiting(Waiting),
    /// Its response has begun, and is being streamed.
    Streaming,
    /// It has timed out, on Managed Instances.
    TimedOut,
}

pub(super) struct Finished {
    pub(super) request_id: String,
    pub(super) timed_out: bool,
}

impl State {
    pub(super) fn remember(&mut self, over: Finished) {
        if self.over.len() == REMEMBERED {
            self.over.pop_front();
        }
        self.over.push_back(over);
    }

    pub(super) fn freeze(&mut self) {
        self.frozen = true;
        for group in &self.groups {
            group.signal(Signal::Stop);
        }
    }

    pub(super) fn thaw(&mut self) {
        if std::mem::take(&mut self.frozen) {
            for group in &self.groups {
                group.signal(Signal::Continue);
            }
        }
    }
}

pub(super) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    u64::try_from(since).unwrap_or(u64::MAX)
}
