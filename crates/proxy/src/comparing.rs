//! Comparing two answers away from the thread that serves. Owns the thread, that it has one comparison at a time, and when
//! that ends; what differs is found by `crossfade-compare`.
//!
//! Other invocations are served meanwhile, so that their clients wait for no comparison, and the end of the time, of the
//! environment or of a standstill is noticed in the middle of one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::SystemTime;

use crossfade_compare::{Answer, Comparison, Rules, Salt, Settings};
use crossfade_journal::comparison::Verdict;
use http::Response;
use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::body::Kept;

/// One comparison at a time in the whole process: its memory must not be multiplied by the number of invocations.
static TURN: Mutex<()> = Mutex::const_new(());

/// The end of all shadow requests and comparisons, and the reason recorded for those that have not finished by then.
#[derive(Clone, Copy, Debug)]
pub(crate) struct End {
    pub(crate) at: Instant,
    pub(crate) reason: &'static str,
}

/// A response.
#[derive(Clone, Debug)]
pub(crate) struct Arrived {
    pub(crate) response: Response<Kept>,
    /// The date at which it began to arrive.
    pub(crate) time: SystemTime,
}

/// Tells the thread to stop once nothing waits for its result any more.
struct Waiting(Arc<AtomicBool>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// Compares two responses on a thread, which is started for the first comparison and kept for some seconds. `Lost` if the
/// comparison does not end in time, `Unknown` if it panics. The thread stops soon after its result is no longer needed.
pub(crate) async fn compare(
    [primary, mirror]: [Arrived; 2],
    rules: Arc<Rules>,
    salt: Salt,
    now: SystemTime,
    end: End,
) -> Comparison {
    on_thread(end, move |is_over| {
        let is_cut = [&primary, &mirror].iter().any(|arrived| arrived.response.body().is_cut());
        let settings = Settings { is_over, is_cut, ..Settings::new(&rules, now, &salt) };
        crossfade_compare::compare(&seen(&primary), &seen(&mirror), &settings)
    })
    .await
}

/// Does the work of a comparison on the thread. It asks whether its time is over, and for the reason.
async fn on_thread(
    end: End,
    work: impl FnOnce(&dyn Fn() -> Option<&'static str>) -> Comparison + Send + 'static,
) -> Comparison {
    let waiting = Waiting(Arc::default());
    let is_left = waiting.0.clone();
    let compared = async {
        let turn = TURN.lock().await;
        let work = move || {
            let _turn = turn;
            work(&|| (is_left.load(Ordering::Relaxed) || end.at <= Instant::now()).then_some(end.reason))
        };
        let result = tokio::task::spawn_blocking(work).await;
        result.unwrap_or_else(|_| Comparison::without_differences(Verdict::Unknown, Some("proxy_internal_error")))
    };
    tokio::select! {
        biased;
        comparison = compared => comparison,
        () = tokio::time::sleep_until(end.at) => Comparison::without_differences(Verdict::Lost, Some(end.reason)),
    }
}

fn seen(Arrived { response, time }: &Arrived) -> Answer<'_> {
    Answer { status: response.status(), headers: response.headers(), body: &response.body().start, time: *time }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bytes::Bytes;

    use super::*;

    fn response(body: &str) -> Arrived {
        let response = Response::builder().header("content-type", "application/json");
        Arrived { response: response.body(Bytes::from(body.to_owned()).into()).unwrap(), time: SystemTime::now() }
    }

    fn documents() -> [Arrived; 2] {
        let values = "{\"a\":[1,2,3]},".repeat(40_000);
        ["1", "2"].map(|last| response(&format!("[{values}{last}]")))
    }

    async fn compared(responses: [Arrived; 2], end: End) -> Comparison {
        compare(responses, Arc::new(Rules::default()), Salt::default(), SystemTime::now(), end).await
    }

    fn end(left: Duration) -> End {
        End { at: Instant::now() + left, reason: "budget" }
    }

    #[tokio::test]
    async fn others_are_served_while_it_compares() {
        let mut turns = 0;
        let comparison = tokio::select! {
            biased;
            comparison = compared(documents(), end(Duration::from_secs(60))) => comparison,
            () = async { loop { tokio::task::yield_now().await; turns += 1; } } => unreachable!(),
        };
        assert_eq!(comparison.verdict, Verdict::Different);
        assert!(turns > 100, "{turns}");
    }

    #[tokio::test]
    async fn it_ends_with_the_time_and_the_next_one_has_its_turn() {
        let lost = Comparison::without_differences(Verdict::Lost, Some("budget"));
        assert_eq!(compared(documents(), end(Duration::from_millis(1))).await, lost);
        // Left alone in the middle.
        let left = tokio::time::timeout(Duration::from_millis(1), compared(documents(), end(Duration::from_secs(60))));
        assert!(left.await.is_err());
        let small = [response("1"), response("2")];
        assert_eq!(compared(small, end(Duration::from_secs(60))).await.verdict, Verdict::Different);
        // A panic is a result, and must not block the next comparison.
        let broken = on_thread(end(Duration::from_secs(60)), |_| panic!("a defect")).await;
        assert_eq!(broken, Comparison::without_differences(Verdict::Unknown, Some("proxy_internal_error")));
        // It is not begun while another one has its turn.
        let turn = TURN.lock().await;
        let small = [response("1"), response("1")];
        assert_eq!(compared(small, end(Duration::from_millis(10))).await, lost);
        drop(turn);
    }
}
