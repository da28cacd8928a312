//! Two answers to the same request: what differs, and by which rules.
//!
//! Owns comparing and the rules for it. The record that the log carries is `crossfade-journal`'s. Sends nothing and knows
//! neither configuration file nor Lambda; does no I/O, and takes the date as an argument.
//!
//! Reading order: `comparison` (the order of everything), `rules` (what can be asked for), `findings` (what
//! holds for all kinds of differences), `work` (how much a comparison may do), `matcher` (which rules hold
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
mod rules;
mod shown;
mod spot;
mod text;
mod treat_equal;
mod walk;
mod work;

pub use crossfade_journal::comparison::{Class, Difference, Verdict};

pub use comparison::{Answer, Comparison, compare, compare_until, measured};
pub use endpoint::{PathTemplate, endpoint};
pub use rules::{Accepted, Date, FieldNames, Place, Pointer, Rules, Tolerance, TreatEqual, Unordered};
pub use work::MAX_WORK;
