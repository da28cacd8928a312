//! Compares two responses to the same request: the differences, and the rules for them.
//!
//! Owns comparison and its rules. The record that the log carries is `crossfade-journal`'s. Sends nothing, and knows neither
//! the configuration file nor Lambda. Does no I/O; the date is an argument.
//!
//! Reading order: `comparison` (the order of everything), `rules` (what users can configure) with `matcher` (the rules at a
//! place), `findings` (common to all kinds of differences), `evidence` (repeated requests), `work` (the work limit), then the
//! part of a response that you look for: `fields` with `parts` and `url`; `content` with `coding` and `charset`; `json` and
//! `walk`; `markup`; `lines`, `table`, `form`, `script` and `ndjson`. `align` and `sorting` serve them all.

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

mod afterwards;
mod align;
mod answer;
mod charset;
mod clock;
mod coding;
mod comparison;
mod content;
mod endpoint;
mod evidence;
mod fields;
mod findings;
mod form;
mod json;
mod lines;
mod markup;
mod matcher;
mod ndjson;
mod parts;
mod rules;
mod script;
mod shown;
mod sorting;
mod spot;
mod table;
mod treat_equal;
mod url;
mod walk;
mod work;

pub use crossfade_journal::comparison::{Class, Difference, Digest, Repeated, Verdict};

pub use afterwards::Effect;
pub use answer::Answer;
pub use coding::MAX_DECODED;
pub use comparison::{Settings, compare};
pub use endpoint::{PathTemplate, endpoint};
pub use evidence::{Places, Salt};
pub use findings::Comparison;
pub use markup::Selector;
pub use rules::{Accepted, Date, FieldNames, Mask, Place, Pointer, Rules, Scoped, Tolerance, Unordered};
pub use treat_equal::TreatEqual;
pub use work::MAX_WORK;
