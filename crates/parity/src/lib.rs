//! Judges a migration from many comparison records: does the new system respond as the old one does?
//!
//! Owns finding records in logs, counting them in constant memory, the formulas of the judgement, and gates. Does no
//! I/O: the caller reads the log and passes bytes in. Does not own the comparison of two responses or the format of a
//! record (`crossfade-compare`), nor any output except the texts of gates and judgements.
//!
//! Reading order: `lines` (finds the records), `tally` (counts them, by `place`), `judge` (turns the counts into an
//! `assessment`), `marks` (the conclusion about each place, from `evidence` and `history`), `verdict` (the conclusion about
//! everything, with its `reason`s), `gate` (evaluates conditions on it). `docs/report.md` documents the formulas, the thresholds and the limits.
//!
//! `examples/judge.rs` shows it in use.

// No input may end the process. `clippy.toml` lists the arithmetic that is left to the fuzz targets.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable
    )
)]

// No log has 2^64 records, so sums of counts cannot overflow.
#[allow(clippy::arithmetic_side_effects)]
mod assessment;
#[allow(clippy::arithmetic_side_effects)] // as above
mod binomial;
#[allow(clippy::arithmetic_side_effects)] // as above
mod effect;
#[allow(clippy::arithmetic_side_effects)] // as above
mod evidence;
mod gate;
#[allow(clippy::arithmetic_side_effects)] // as above
mod guard;
#[allow(clippy::arithmetic_side_effects)] // as above
mod history;
#[allow(clippy::arithmetic_side_effects)] // as above
mod judge;
#[allow(clippy::arithmetic_side_effects)] // as above
mod latency;
mod lines;
#[allow(clippy::arithmetic_side_effects)] // as above
mod marks;
pub mod number;
#[allow(clippy::arithmetic_side_effects)] // as above
mod place;
#[allow(clippy::arithmetic_side_effects)] // as above
mod proportion;
mod reason;
mod repeat;
#[allow(clippy::arithmetic_side_effects)] // as above
mod tally;
#[allow(clippy::arithmetic_side_effects)] // as above
mod timeline;
#[allow(clippy::arithmetic_side_effects)] // as above
mod traffic;
#[allow(clippy::arithmetic_side_effects)] // as above
mod users;
#[allow(clippy::arithmetic_side_effects)] // as above
mod verdict;

pub use assessment::{
    Assessment, Bucket, Change, Difference, Endpoint, EndpointName, Example, ExampleResponse, Interval, Intervals,
    Latency, Mark, Outcomes, Parity, Percentiles, Places, Responses, Route, Summary, Timeline, Verdict, Why,
};
pub use effect::Effect;
pub use gate::{ConditionResult, Gate, GateError};
pub use guard::{Decision, Judged, Step};
pub use judge::judge;
pub use latency::{Histogram, Percentile};
pub use lines::{Logged, Part, RecordFinder, Skipped, Unreadable};
pub use proportion::{share, wilson};
pub use reason::{Place, Reason};
pub use tally::Tally;
pub use traffic::{
    BackendTraffic, EndpointTraffic, RouteTraffic, Served, Traffic, TrafficBucket, TrafficTally, TrafficTimeline,
    VersionTraffic,
};
pub use users::Users;
pub use verdict::PARITY_THRESHOLD;
