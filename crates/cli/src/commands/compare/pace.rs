//! The pace of many requests: so many per second, so many at a time, until there are no more or the user stops.
//!
//! Owns the pace; it knows neither requests nor responses.

use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio::time::{Instant, MissedTickBehavior, interval, sleep_until};

/// Wait for responses after the user has stopped.
const GRACE: Duration = Duration::from_secs(3);

/// Limits of sending.
#[derive(Clone, Copy, Debug)]
pub(super) struct Pace {
    /// Jobs that begin within a second; they are spread evenly.
    pub(super) rate: f64,
    /// Jobs that run at the same time.
    pub(super) concurrency: usize,
}

/// The reason why no more jobs begin.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum End {
    Complete,
    /// The user has stopped.
    Interrupted,
    /// `each` has.
    Broken,
}

/// Runs jobs at a pace until `next` has none and all have finished, and calls `each` with every result, which may lead to more
/// jobs. After an interruption, the running ones get a few seconds.
pub(super) async fn run<J, F>(
    mut next: impl FnMut() -> Option<J>,
    pace: Pace,
    work: impl Fn(J) -> F,
    interrupted: impl Future<Output = ()>,
    mut each: impl FnMut(F::Output) -> ControlFlow<()>,
) -> End
where
    F: Future<Output: Send> + Send + 'static,
{
    let mut ticks = interval(Duration::from_secs_f64(1.0 / pace.rate));
    // A late start is not made up for: the rate is a promise to the systems.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let (mut job, mut running) = (next(), JoinSet::new());
    let mut interrupted = pin!(interrupted);
    let (mut end, mut until) = (End::Complete, None);
    while !running.is_empty() || (until.is_none() && job.is_some()) {
        let may_begin = until.is_none() && job.is_some() && running.len() < pace.concurrency;
        tokio::select! {
            biased;
            () = &mut interrupted, if until.is_none() => {
                (end, until) = (End::Interrupted, Some(Instant::now() + GRACE));
            }
            () = sleep_until(until.unwrap_or_else(Instant::now)), if until.is_some() => break,
            Some(finished) = running.join_next() => match finished {
                Ok(output) => {
                    if each(output).is_break() {
                        return End::Broken;
                    }
                    job = job.or_else(&mut next);
                }
                // A defect of ours is shown as one, in its place.
                Err(error) => {
                    if let Ok(panic) = error.try_into_panic() {
                        std::panic::resume_unwind(panic);
                    }
                }
            },
            _ = ticks.tick(), if may_begin => {
                if let Some(job) = std::mem::replace(&mut job, next()) {
                    running.spawn(work(job));
                }
            }
        }
    }
    end
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;

    /// When each of so many jobs began, if a job takes so long and the user stops then.
    async fn begins(count: usize, pace: Pace, takes: Duration, stop: Duration) -> (End, Vec<Duration>, usize) {
        let start = Instant::now();
        let (begun, mut finished) = (RefCell::new(Vec::new()), 0);
        let work = |_: usize| {
            begun.borrow_mut().push(start.elapsed());
            tokio::time::sleep(takes)
        };
        let each = |()| {
            finished += 1;
            ControlFlow::Continue(())
        };
        let mut jobs = 0..count;
        let end = run(|| jobs.next(), pace, work, tokio::time::sleep(stop), each).await;
        (end, begun.into_inner(), finished)
    }

    const LONG: Duration = Duration::from_secs(1000);

    #[tokio::test(start_paused = true)]
    async fn no_second_has_more_than_the_rate() {
        for rate in [0.5, 3.0, 20.0, 200.0] {
            let pace = Pace { rate, concurrency: 500 };
            let (end, begun, finished) = begins(100, pace, Duration::from_millis(700), LONG).await;
            assert_eq!((end, begun.len(), finished), (End::Complete, 100, 100));
            for begin in &begun {
                let within = |at: &&Duration| (*begin..*begin + Duration::from_secs(1)).contains(*at);
                assert!(begun.iter().filter(within).count() <= rate.ceil() as usize + 1, "{rate}: {begun:?}");
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn slow_systems_get_no_more_than_the_concurrency_and_no_burst_afterwards() {
        let pace = Pace { rate: 10.0, concurrency: 2 };
        let (_, begun, _) = begins(10, pace, Duration::from_secs(5), LONG).await;
        let seconds: Vec<u64> = begun.iter().map(Duration::as_secs).collect();
        assert_eq!(seconds, [0, 0, 5, 5, 10, 10, 15, 15, 20, 20]);
        assert!(begun.windows(2).all(|pair| pair[1] - pair[0] >= Duration::from_millis(99)), "{begun:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn after_an_interruption_nothing_begins_and_what_runs_may_finish() {
        let pace = Pace { rate: 1.0, concurrency: 500 };
        let stop = Duration::from_millis(10_500);
        let (end, begun, finished) = begins(100, pace, Duration::from_secs(2), stop).await;
        assert_eq!((end, begun.len(), finished), (End::Interrupted, 11, 11));
        let (end, begun, finished) = begins(100, pace, Duration::from_secs(20), stop).await;
        assert_eq!((end, begun.len(), finished), (End::Interrupted, 11, 0));
    }
}
