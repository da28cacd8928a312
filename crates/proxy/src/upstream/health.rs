//! The health of a back end as one environment has seen it: whether its circuit breaker is open (`outlier`), and how many
//! retries it may still get (`retry.budget`). Both come from observing requests; nothing probes the back end.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crossfade_route::{Outlier, Retry};

/// Retries that may be saved up, in hundredths: the budget must not depend on a long past, and a new environment can
/// help its first requests.
const MAX_SAVED: u32 = 10 * RETRY;
const RETRY: u32 = 100;

/// The result of an attempt, as the circuit breaker counts it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// It responded.
    Success,
    /// It is out of service.
    Failure,
    /// It says nothing about the back end, and neither continues nor ends a row of failures.
    Ignored,
}

#[derive(Debug)]
pub(crate) struct Health {
    outlier: Option<Outlier>,
    /// `retry.budget`, percent: what each request adds, in hundredths of a retry.
    earned: u32,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    failures_in_a_row: u32,
    open_until: Option<SystemTime>,
    saved: u32,
}

impl Health {
    pub(super) fn new(outlier: Option<Outlier>, retry: Option<&Retry>) -> Self {
        let state = State { failures_in_a_row: 0, open_until: None, saved: MAX_SAVED };
        Health { outlier, earned: retry.map_or(0, |retry| retry.budget), state: Mutex::new(state) }
    }

    /// Returns whether the circuit breaker is open. Once its time has passed it is closed, and one more failure opens it
    /// again.
    pub(crate) fn is_open(&self, now: SystemTime) -> bool {
        self.open_for(now).is_some()
    }

    /// Time until the circuit breaker closes, if it is open.
    pub(crate) fn open_for(&self, now: SystemTime) -> Option<Duration> {
        let outlier = self.outlier?;
        let until = self.with(|state| state.open_until)?;
        // A clock that was set back must not make a minute of an hour.
        until.duration_since(now).ok().filter(|left| !left.is_zero() && *left <= outlier.hold)
    }

    /// Takes note of how an attempt went.
    pub(crate) fn note(&self, signal: Signal, now: SystemTime) {
        let Some(outlier) = self.outlier else { return };
        self.with(|state| match signal {
            Signal::Ignored => {}
            Signal::Success => {
                state.failures_in_a_row = 0;
                state.open_until = None;
            }
            Signal::Failure => {
                state.failures_in_a_row = state.failures_in_a_row.saturating_add(1);
                if state.failures_in_a_row >= outlier.failures {
                    state.open_until = now.checked_add(outlier.hold);
                }
            }
        });
    }

    /// A request has come, and brings its share of a retry.
    pub(crate) fn earn_retry(&self) {
        if self.earned > 0 {
            self.with(|state| state.saved = state.saved.saturating_add(self.earned).min(MAX_SAVED));
        }
    }

    /// Takes one retry of the budget, if there is one.
    pub(crate) fn spend_retry(&self) -> bool {
        self.with(|state| match state.saved.checked_sub(RETRY) {
            Some(rest) => {
                state.saved = rest;
                true
            }
            None => false,
        })
    }

    fn with<T>(&self, act: impl FnOnce(&mut State) -> T) -> T {
        act(&mut self.state.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    const START: SystemTime = SystemTime::UNIX_EPOCH;
    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn failures_in_a_row_and_only_those_take_a_back_end_down() {
        let health = Health::new(Some(Outlier { failures: 3, hold: 10 * SECOND }), None);
        for sign in
            [Signal::Failure, Signal::Failure, Signal::Success, Signal::Failure, Signal::Ignored, Signal::Failure]
        {
            health.note(sign, START);
        }
        assert!(!health.is_open(START));
        health.note(Signal::Failure, START);
        assert_eq!(health.open_for(START + 9 * SECOND), Some(SECOND));
        assert!(!health.is_open(START + 10 * SECOND));
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nothing_down() {
        let health = Health::new(Some(Outlier { failures: 1, hold: 10 * SECOND }), None);
        health.note(Signal::Failure, START + 3600 * SECOND);
        assert!(!health.is_open(START));
    }

    #[test]
    fn after_its_time_one_failure_is_enough_and_one_answer_heals() {
        let health = Health::new(Some(Outlier { failures: 2, hold: 10 * SECOND }), None);
        health.note(Signal::Failure, START);
        health.note(Signal::Failure, START);
        let later = START + 11 * SECOND;
        health.note(Signal::Failure, later);
        assert!(health.is_open(later + 9 * SECOND));
        health.note(Signal::Success, later + 11 * SECOND);
        health.note(Signal::Failure, later + 12 * SECOND);
        assert!(!health.is_open(later + 12 * SECOND));
    }

    #[test]
    fn without_an_outlier_nothing_is_down() {
        let health = Health::new(None, None);
        (0..100).for_each(|_| health.note(Signal::Failure, START));
        assert!(!health.is_open(START));
    }

    #[test]
    fn retries_are_a_share_of_the_requests() {
        let retry = Retry {
            attempts: 1,
            codes: std::iter::empty().collect(),
            backoff: SECOND,
            methods: Vec::new(),
            budget: 20,
        };
        let health = Health::new(None, Some(&retry));
        let spent = |requests: usize| {
            (0..requests)
                .filter(|_| {
                    health.earn_retry();
                    health.spend_retry()
                })
                .count()
        };
        spent(100);
        assert_eq!(spent(1000), 200);
    }
}
