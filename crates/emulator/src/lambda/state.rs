//! The data behind the desk: an environment's phase, its invocations from waiting to over, its extensions. Owns no decision;
//! those are in `desk` and `extensions_api`.

use std::collections::VecDeque;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use rustix::process::Signal;
use tokio::sync::oneshot;

use super::extensions_api::Extension;
use super::failure::Failure;
use super::process::Group;

/// How many finished invocations are remembered, to tell a late answer (410) from a made-up id (400).
const REMEMBERED: usize = 16;

/// One event to be handed over.
pub(super) struct Invocation {
    pub(super) request_id: String,
    pub(super) event: Bytes,
    pub(super) trace_id: String,
    /// When it times out, as it is told, and by the clock that does not jump.
    pub(super) deadline: SystemTime,
    pub(super) until: Instant,
    pub(super) answer: oneshot::Sender<Result<Bytes, Failure>>,
}

/// What the runtime gets of it.
pub(super) struct Handed {
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
    /// Nothing to do until the pool leaves something: the invoke phase is over.
    pub(super) idle: bool,
    /// Whether somebody calls `Desk::tick`.
    pub(super) ticking: bool,
    /// The runtime has asked at least once; from then on no extension can register.
    pub(super) has_asked: bool,
    /// How many `next` calls of the runtime are open.
    pub(super) polls: usize,
    pub(super) queued: VecDeque<Invocation>,
    pub(super) open: Vec<Open>,
    pub(super) over: VecDeque<Over>,
    /// Of the last invocation.
    pub(super) until: Option<Instant>,
    pub(super) extensions: Vec<Extension>,
}

#[derive(Default, PartialEq, Eq)]
pub(super) enum Phase {
    #[default]
    Init,
    Running,
    /// How the environment ended.
    Closed(String),
}

/// An invocation that the runtime works on.
pub(super) struct Open {
    pub(super) request_id: String,
    pub(super) invocation_id: String,
    /// `None` once it has timed out, on Managed Instances.
    pub(super) answer: Option<oneshot::Sender<Result<Bytes, Failure>>>,
}

pub(super) struct Over {
    pub(super) request_id: String,
    pub(super) timed_out: bool,
}

impl State {
    pub(super) fn remember(&mut self, over: Over) {
        if self.over.len() == REMEMBERED {
            self.over.pop_front();
        }
        self.over.push_back(over);
    }

    pub(super) fn freeze(&mut self) {
        self.frozen = true;
        for group in &self.groups {
            group.signal(Signal::STOP);
        }
    }

    pub(super) fn thaw(&mut self) {
        if std::mem::take(&mut self.frozen) {
            for group in &self.groups {
                group.signal(Signal::CONT);
            }
        }
    }
}

pub(super) fn milliseconds(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
    u64::try_from(since).unwrap_or(u64::MAX)
}
