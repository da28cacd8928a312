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
pub(crate) enum Sign {
    /// An answer of its own.
    Well,
    /// It is out of service.
    Ill,
    /// Nothing: neither a failure more in the row, nor the end of the row.
    Neither,
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
    down_until: Option<SystemTime>,
    saved: u32,
}

impl Health {
    pub(super) fn new(outlier: Option<Outlier>, retry: Option<&Retry>) -> Self {
        let state = State { failures_in_a_row: 0, down_until: None, saved: MAX_SAVED };
        Health { outlier, earned: retry.map_or(0, |retry| retry.budget), state: Mutex::new(state) }
    }

    /// Returns whether the circuit breaker is open. Once its time has passed it is closed, and one more failure opens it
    /// again.
    pub(crate) fn is_down(&self, now: SystemTime) -> bool {
        self.down_for(now).is_some()
    }

    /// Time until the circuit breaker closes, if it is open.
    pub(crate) fn down_for(&self, now: SystemTime) -> Option<Duration> {
        let outlier = self.outlier?;
        let until = self.with(|state| state.down_until)?;
        // A clock that was set back must not make a minute of an hour.
        until.duration_since(now).ok().filter(|left| !left.is_zero() && *left <= outlier.hold)
    }

    /// Takes note of how an attempt went.
    pub(crate) fn note(&self, sign: Sign, now: SystemTime) {
        let Some(outlier) = self.outlier else { return };
        self.with(|state| match sign {
            Sign::Neither => {}
            Sign::Well => {
                state.failures_in_a_row = 0;
                state.down_until = None;
            }
            Sign::Ill => {
                state.failures_in_a_row = state.failures_in_a_row.saturating_add(1);
                if state.failures_in_a_row >= outlier.failures {
                    state.down_until = now.checked_add(outlier.hold);
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
        for sign in [Sign::Ill, Sign::Ill, Sign::Well, Sign::Ill, Sign::Neither, Sign::Ill] {
            health.note(sign, START);
        }
        assert!(!health.is_down(START));
        health.note(Sign::Ill, START);
        assert_eq!(health.down_for(START + 9 * SECOND), Some(SECOND));
        assert!(!health.is_down(START + 10 * SECOND));
    }

    #[test]
    fn a_clock_that_is_set_back_keeps_nothing_down() {
        let health = Health::new(Some(Outlier { failures: 1, hold: 10 * SECOND }), None);
        health.note(Sign::Ill, START + 3600 * SECOND);
        assert!(!health.is_down(START));
    }

    #[test]
    fn after_its_time_one_failure_is_enough_and_one_answer_heals() {
        let health = Health::new(Some(Outlier { failures: 2, hold: 10 * SECOND }), None);
        health.note(Sign::Ill, START);
        health.note(Sign::Ill, START);
        let later = START + 11 * SECOND;
        health.note(Sign::Ill, later);
        assert!(health.is_down(later + 9 * SECOND));
        health.note(Sign::Well, later + 11 * SECOND);
        health.note(Sign::Ill, later + 12 * SECOND);
        assert!(!health.is_down(later + 12 * SECOND));
    }

    #[test]
    fn without_an_outlier_nothing_is_down() {
        let health = Health::new(None, None);
        (0..100).for_each(|_| health.note(Sign::Ill, START));
        assert!(!health.is_down(START));
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
