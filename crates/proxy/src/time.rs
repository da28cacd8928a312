//! Limits of time in a process that may stand still: Lambda freezes it, a host stops it, another request holds up its only
//! thread. A limit that ran out meanwhile says little about a back end, and what came about meanwhile was only not looked
//! at. Owns that second look; the limits themselves belong to whoever sets them.

use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout_at};

/// With less time than this nothing is begun that needs a back end: a connection over the internet takes about as long, and
/// what is sent and not waited for is worse than what is not sent. A timer that rings later than by this rings late because
/// the process stood still.
pub(crate) const SHORTEST: Duration = Duration::from_millis(20);

/// The limit that ran out on a back end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TimeLimit {
    /// The back end's own, `connect` or `backendRequest`, and it had nine tenths of it at least.
    Own,
    /// Less than that: the request had no more time, or the process stood still.
    Cut,
}

/// The end of a back end's own limit that begins at `started`, at the latest `latest`, and the limit that runs out then.
/// That is its own limit also if only a tenth of it or less is cut off: limits with the same value end at different times
/// because of earlier steps.
pub(crate) fn end(started: Instant, own: Duration, latest: Instant, cut: TimeLimit) -> (Instant, TimeLimit) {
    let limit = if latest.saturating_duration_since(started) >= own - own / 10 { TimeLimit::Own } else { cut };
    ((started + own).min(latest), limit)
}

/// The time for something that takes several steps, such as a connection.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Allowance {
    end: Instant,
    /// No second look makes it last longer than this.
    latest: Instant,
    limit: TimeLimit,
    /// The extension of the limit for the time that the process was frozen.
    pub(crate) made_up: Duration,
}

impl Allowance {
    pub(crate) fn new(end: Instant, limit: TimeLimit, latest: Instant) -> Self {
        Allowance { end, latest, limit, made_up: Duration::ZERO }
    }

    /// The limit that runs out.
    pub(crate) fn limit(&self) -> TimeLimit {
        self.limit
    }

    /// The share of one of so many that may use what is left.
    pub(crate) fn share(&self, of: u32) -> Self {
        let now = Instant::now();
        let end = now + self.end.saturating_duration_since(now) / of.max(1);
        Allowance { end, made_up: Duration::ZERO, ..*self }
    }

    /// Takes back a share: what was made up there is not at the expense of the others.
    pub(crate) fn take_back(&mut self, share: Allowance) {
        if !share.made_up.is_zero() {
            self.make_up(share.made_up);
        }
    }

    /// Waits for a step; `None` if the time is over. If the process stood still, the step gets the lost time once more, and
    /// what comes after it has as much left as it had before.
    pub(crate) async fn step<F: Future>(&mut self, step: F) -> Option<F::Output> {
        let (began, end) = (Instant::now(), self.end);
        let mut step = pin!(step);
        let first = timeout_at(end, &mut step).await.ok();
        let late = end.elapsed();
        if late <= SHORTEST {
            return first;
        }
        self.make_up(late);
        if first.is_some() {
            return first;
        }
        let again = late.min(end.saturating_duration_since(began)).max(SHORTEST);
        self.make_up(again);
        let now = Instant::now();
        timeout_at((now + again).min(self.latest).max(now + SHORTEST), step).await.ok()
    }

    fn make_up(&mut self, lost: Duration) {
        self.limit = TimeLimit::Cut;
        self.made_up += lost;
        self.end = (self.end + lost).min(self.latest);
    }
}

/// Waits for something until a deadline. If the process stood still then, what it is may be there, and is looked at once
/// more; if it is not, the time was [`TimeLimit::Cut`].
pub(crate) async fn by<F: Future>(deadline: Instant, limit: TimeLimit, future: F) -> Result<F::Output, TimeLimit> {
    let mut future = pin!(future);
    if let Ok(output) = timeout_at(deadline, &mut future).await {
        return Ok(output);
    }
    if deadline.elapsed() <= SHORTEST {
        return Err(limit);
    }
    timeout_at(Instant::now() + SHORTEST, future).await.map_err(|_| TimeLimit::Cut)
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use tokio::sync::oneshot;
    use tokio::time::sleep;

    use super::*;

    const LIMIT: Duration = Duration::from_millis(300);

    fn allowance() -> Allowance {
        let now = Instant::now();
        Allowance::new(now + LIMIT, TimeLimit::Own, now + 100 * LIMIT)
    }

    /// The thread stands still, and something comes about only afterwards, as a handshake goes on then.
    async fn after_a_stop(stop: Duration) -> u8 {
        let (tell, told) = oneshot::channel();
        tokio::spawn(async move {
            std::thread::sleep(stop);
            sleep(LIMIT / 6).await;
            let _ = tell.send(7);
        });
        told.await.unwrap()
    }

    #[tokio::test]
    async fn what_comes_about_after_a_stop_is_waited_for() {
        let mut time = allowance();
        assert_eq!(time.step(after_a_stop(3 * LIMIT)).await, Some(7));
        assert_eq!(time.limit(), TimeLimit::Cut);
        // The steps after it have time as well.
        assert_eq!(time.step(sleep(LIMIT / 6)).await, Some(()));
    }

    #[tokio::test]
    async fn a_share_that_was_lost_is_not_lost_to_the_next() {
        let mut time = allowance();
        let mut share = time.share(2);
        let stopped = async {
            std::thread::sleep(4 * LIMIT);
            pending::<()>().await;
        };
        assert_eq!(share.step(stopped).await, None);
        time.take_back(share);
        assert_eq!(time.share(1).step(after_a_stop(Duration::ZERO)).await, Some(7));
    }

    #[tokio::test]
    async fn without_a_stop_the_limit_is_the_limit() {
        // A busy machine stops the thread as well, and then the limit is no longer its own.
        let is_undisturbed = async || {
            let mut time = allowance();
            assert_eq!(time.step(pending::<()>()).await, None);
            assert_eq!(time.limit() == TimeLimit::Own, time.made_up == Duration::ZERO);
            assert!(time.made_up.is_zero() || time.made_up > SHORTEST, "{:?}", time.made_up);
            time.limit() == TimeLimit::Own
        };
        for _ in 0..100 {
            if is_undisturbed().await {
                return;
            }
        }
        panic!("the limit is always cut");
    }

    #[tokio::test]
    async fn a_stop_makes_nothing_last_beyond_the_end_of_the_request() {
        let now = Instant::now();
        let mut time = Allowance::new(now + LIMIT, TimeLimit::Own, now + 2 * LIMIT);
        let stopped = async {
            std::thread::sleep(10 * LIMIT);
            sleep(5 * LIMIT).await;
        };
        assert_eq!(time.step(stopped).await, None);
    }
}
