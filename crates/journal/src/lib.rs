//! The history of a request, its record in the log, and the secrets that neither may show.
//!
//! Owns the journal of the attempts (`attempt`), their place in a distributed trace (`trace`), the lines of the log in both
//! directions (`access`, `comparison`), their names in OpenTelemetry (`otel`) and the metrics in them (`metrics`), the definition of a
//! secret and the marker that replaces one (`redaction`). Does no I/O and reads no clock: whoever sends keeps the journal and
//! brings the times.

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
mod metrics;
mod otel;
pub mod redaction;
mod trace;
mod written;

pub use access::{AccessRecord, AttemptRecord, Skipped, Step};
pub use attempt::{Attempt, Journal, Outcome, Role};
pub use metrics::{Metric, Metrics, Sample};
pub use otel::{Names, OTEL_NAMES, otel_name, with_otel_names};
pub use trace::{Span, Trace, Wanted, share_number, trace_id_of};
pub use written::{milliseconds, stamp};
