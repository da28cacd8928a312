//! The history of a request, its record in the log, and the secrets that neither may show.
//!
//! Owns the journal of the attempts (`attempt`), the lines of the log in both directions (`access`, `comparison`), the
//! definition of a secret and the marker that replaces one (`redaction`). Does no I/O and reads no clock: whoever sends
//! keeps the journal and brings the times.

// No input may end the process. `clippy.toml` says which arithmetic is left to the fuzz targets.
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

mod access;
mod attempt;
pub mod comparison;
pub mod redaction;
mod written;

pub use access::{AccessRecord, AttemptRecord, Skipped, Step};
pub use attempt::{Attempt, Journal, Outcome, Role};
pub use written::milliseconds;
