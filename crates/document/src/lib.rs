//! YAML and JSON text as a tree whose nodes know their place, and diagnostics: `crossfade.yaml`, files of the Serverless
//! Framework and templates are read with this.
//!
//! Owns the syntax, its limits (size, nodes, depth, aliases), the form of a finding and "did you mean". Knows no key of
//! any file, no variable and no name of a secret: callers pass in how variables are replaced, what a tag means and how
//! text is masked. Does no I/O.
//!
//! Reading order: `tree`, `yaml`, `json` (the same tree without places, faster), `diagnostic`.

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

mod diagnostic;
mod json;
mod tree;
mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, MAX_FINDINGS, Severity, WithLines, closest, did_you_mean, misleads};
pub use json::parse as parse_json;
pub use tree::{Key, Node, Piece, Place, Scalar, Value, Written};
pub use yaml::{MAX_DEPTH, MAX_NODES, MAX_TEXT, Merge, Options, Substitute, Tag, Unresolved, merge_keys, parse};
