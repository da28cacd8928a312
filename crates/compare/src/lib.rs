//! Two answers to the same request: what differs, by which rules, and the record of it that the log carries.
//!
//! Owns comparing, the rules for it, and the format of the record, in both directions. Sends nothing and knows neither
//! configuration file nor Lambda; does no I/O, and takes the date as an argument.
//!
//! Reading order: `comparison` (the order of everything), `rules` (what can be asked for), `record` (what comes out),
//! `findings` (what holds for all kinds of differences), `work` (how much a comparison may do), `matcher` (which rules hold
//! at a place), then the part of an answer that you look for: `fields`, `content`
//! with `coding`, `json` and `walk`, `text` and `markup`.

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

mod coding;
mod comparison;
mod content;
mod endpoint;
mod fields;
mod findings;
mod json;
mod markup;
mod matcher;
mod record;
mod rules;
mod shown;
mod spot;
mod text;
mod treat_equal;
mod walk;
mod work;

pub use comparison::{Answer, Comparison, compare, compare_until, measured};
pub use endpoint::{PathTemplate, endpoint};
pub use record::{Against, Class, Difference, Kind, Record, Side, VERSION, Verdict};
pub use rules::{Accepted, Date, FieldNames, Place, Pointer, Rules, Tolerance, TreatEqual, Unordered};
pub use work::MAX_WORK;
