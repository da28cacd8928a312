//! A step of a live migration and its evidence, for all who take one: a person's command, a pipeline, the inspector, and the
//! function when a schedule invokes it.
//!
//! Owns which records count for a step, and what follows from them for the routes of a plan. `crossfade-parity` judges the
//! records; `crossfade-route` owns the plan, the transitions and the overlay. Does no I/O: records, times and the present state
//! are arguments.

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

mod advance;
// No log has 2^64 records, so sums of counts cannot overflow.
#[allow(clippy::arithmetic_side_effects)]
mod evidence;

pub use advance::{Advance, advance, may_promote, why};
pub use evidence::{Condition, Evidences, Judgement, word};
