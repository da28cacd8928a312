//! Sends changes to open pages as Server-Sent Events (HTML, "Server-sent events"): a few times a second the newest few rows, and
//! the number of all. The rate is bounded, whatever the load.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc::Sender;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::Shared;
use super::filter::Filter;
use super::list::{counts, row};
use crate::html::render;

const TICK: Duration = Duration::from_millis(250);
/// Maximum rows per tick, which makes 32 per second.
pub(super) const MOST_ROWS: usize = 8;
/// Interval of comments on an idle connection, which detect that the browser has gone.
const HEARTBEAT: Duration = Duration::from_secs(15);

/// The state of a page: its clock and its newest id.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Known {
    pub(super) clock: u64,
    pub(super) id: u64,
}

impl Known {
    /// Parses `RUN.CLOCK.ID`, the id of an event. Returns `None` for another run.
    pub(super) fn parse(text: &str, run: &str) -> Option<Known> {
        let mut parts = text.split('.');
        let is_ours = parts.next() == Some(run);
        let known = Known { clock: parts.next()?.parse().ok()?, id: parts.next()?.parse().ok()? };
        is_ours.then_some(known)
    }
}

/// Sends events until the browser disconnects.
pub(super) async fn tell(shared: Arc<Shared>, filter: Filter, mut known: Known, out: Sender<Bytes>) {
    let mut ticks = interval(TICK);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut last = Instant::now();
    loop {
        ticks.tick().await;
        let news = shared.store().news(|entry| filter.matches(entry), known.clock, known.id, MOST_ROWS);
        let event = if news.clock == known.clock {
            if last.elapsed() < HEARTBEAT {
                if out.is_closed() {
                    return;
                }
                continue;
            }
            ": still here\n\n".to_owned()
        } else {
            // Some may already be dropped; without a filter all of them would have matched.
            let new = if filter.is_empty() { news.seen.saturating_sub(known.id) } else { news.new };
            known = Known { clock: news.clock, id: news.seen };
            let lost = shared.lost.load(Ordering::Relaxed);
            // Oldest first, because the page puts each row above the previous one.
            let rows = news.entries.iter().rev();
            let rows: Vec<_> =
                rows.map(|entry| json!({ "id": entry.id, "html": render(row(&shared, entry)) })).collect();
            let data = json!({
                "rows": rows,
                "new": new,
                "seen": counts(news.seen + lost, news.kept, lost, shared.lost_lines.load(Ordering::Relaxed)),
                "all": filter.is_empty().then_some(news.seen + lost),
            });
            format!("id: {}.{}.{}\ndata: {data}\n\n", shared.run, known.clock, known.id)
        };
        last = Instant::now();
        if out.send(event.into()).await.is_err() {
            return;
        }
    }
}
