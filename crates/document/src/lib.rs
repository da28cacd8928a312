//! Parses YAML and JSON into a tree whose nodes have positions, and prints diagnostics. Used for `crossfade.yaml`,
//! Serverless Framework files and CloudFormation templates.
//!
//! Owns the syntax, its limits (size, nodes, depth, aliases), the form of diagnostics, and "did you mean". Does not
//! know the keys of any file, the names of variables or of secrets: callers pass functions that replace variables,
//! apply tags and mask text. Does no I/O.
//!
//! Reading order: `text`, `tree`, `yaml`, `json` (the same tree without positions, faster), `diagnostic`, `repair` (finds the
//! mistake behind a syntax error).

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

mod diagnostic;
mod json;
mod repair;
mod text;
mod tree;
mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics, MAX_FINDINGS, Severity, WithLines, closest, did_you_mean, misleads};
pub use json::parse as parse_json;
pub use repair::{Explained, Judgement, explain, to_ascii};
pub use text::decode;
pub use tree::{Key, Node, Piece, Place, Scalar, Value, Written};
pub use yaml::{
    MAX_DEPTH, MAX_NODES, MAX_TEXT, Merge, Options, Substitute, Tag, Unresolved, may_be_a_mistake, merge_keys, parse,
};
