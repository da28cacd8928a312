//! The requests of users that a route sends to two systems, as the guard of a step counts them.
//!
//! Each counts once, for the system that the route chose. Owns which of them count, and which of them failed.

use crossfade_journal::AccessRecord;

use crate::latency::Histogram;
use crate::proportion::Trials;
use crate::timeline::{Merge, Timeline};

/// Counts of access lines of one route. Memory is bounded, however many there are.
#[derive(Clone, Debug)]
pub struct Users {
    from: String,
    to: String,
    timeline: Timeline<Both>,
    old: Times,
    new: Times,
}

/// The requests of the old system and of the new one.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Both {
    pub(crate) old: Trials,
    pub(crate) new: Trials,
}

/// Response times of requests that did not fail.
#[derive(Clone, Debug, Default)]
struct Times {
    /// Requests that were sent once.
    once: Histogram,
    /// Those that were sent again. A reduced log has all of them, so there they are not a sample like the others.
    again: Histogram,
}

impl Merge for Both {
    fn merge(&mut self, other: Self) {
        self.old.merge(other.old);
        self.new.merge(other.new);
    }
}

impl Users {
    /// Starts without requests, with the names of the old system and of the new one.
    #[must_use]
    pub fn of(from: &str, to: &str) -> Users {
        let (from, to) = (from.to_owned(), to.to_owned());
        Users { from, to, timeline: Timeline::default(), old: Times::default(), new: Times::default() }
    }

    /// Counts an access line. The order does not matter.
    pub fn add(&mut self, record: &AccessRecord<'_>) {
        // Testers choose the system, and what they ask for, themselves.
        if matches!(record.chosen.as_deref(), Some("pin" | "opt-in")) {
            return;
        }
        let has_one_step = record.skipped.is_empty() && record.journal.is_empty();
        let steps = if has_one_step { Vec::new() } else { record.steps() };
        let first = steps.first().map(|step| step.backend).or(record.backend.as_deref());
        let Some(target) = record.target.as_deref().or(first) else { return };
        let is_new = target == self.to;
        if !is_new && target != self.from {
            return;
        }
        // A system whose circuit breaker is open is skipped as well.
        let is_failed = record.is_failure() || record.skipped.iter().any(|skipped| skipped.backend == target);
        if !is_failed && record.backend.as_deref() != Some(target) {
            return; // a request that is invalid, and was sent to none
        }
        let both = self.timeline.bucket(record.time);
        let (trials, times) = if is_new { (&mut both.new, &mut self.new) } else { (&mut both.old, &mut self.old) };
        trials.add(is_failed, record.requests());
        if !is_failed {
            let times = if record.journal.is_empty() { &mut times.once } else { &mut times.again };
            times.add(record.total_ms);
        }
    }

    /// Returns all requests.
    pub(crate) fn all(&self) -> Both {
        let mut all = Both::default();
        self.timeline.buckets.values().for_each(|both| all.merge(*both));
        all
    }

    /// Returns the requests of the latest time with so many samples of the new system; `None` if those are all.
    pub(crate) fn latest(&self, samples: u64) -> Option<Both> {
        let mut latest = Both::default();
        let mut buckets = self.timeline.buckets.values().rev();
        buckets.by_ref().find(|both| {
            latest.merge(**both);
            latest.new.samples() >= samples
        })?;
        buckets.next().map(|_| latest)
    }

    /// Returns the response times of the old system and of the new one.
    pub(crate) fn times(&self) -> (Histogram, Histogram) {
        let Both { old, new } = self.all();
        let is_reduced = old.is_reduced() || new.is_reduced();
        let of = |times: &Times| {
            let mut all = times.once.clone();
            if !is_reduced {
                all.merge(&times.again);
            }
            all
        };
        (of(&self.old), of(&self.new))
    }
}
