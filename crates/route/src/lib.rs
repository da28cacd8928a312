//! `crossfade.yaml`: compiles text to diagnostics or an immutable [`RoutingTable`].
//!
//! Owns the configuration's vocabulary and everything that is decided before a request arrives: names, addresses and
//! durations are parsed here, once, and every error is reported with its position. Does no I/O: no files, no
//! environment, no clock, no randomness.
//!
//! Reading order: `table` (the result), `select` (which route a request matches), the modules of the parts of a route,
//! `config` (how the file is read), `read` and `variables` (its tools; `crossfade-document` parses the text).

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

mod backend;
mod backend_url;
mod config;
mod dot_segments;
mod error_page;
mod expectation;
mod field_edits;
mod masked;
pub mod migration;
mod mirror;
mod moves;
mod overlay;
mod policy;
mod reach;
mod read;
mod redirect;
mod request_url;
mod requirement;
mod scheme;
mod select;
mod spill;
mod sticky;
mod streaming;
mod surroundings;
mod table;
mod template;
mod tracing;
mod transform;
mod variables;

/// The JSON Schema of the file, for editors. Only [`Checked`] verifies what a schema cannot express, such as references
/// to names and the syntax of regexes.
pub const SCHEMA: &str = include_str!("../crossfade.schema.json");

pub use backend::{Backend, ClientCert, HostHeader, Http2, PemFile, PublicUrl, Timeouts, TlsSettings, TlsVersion};
pub use config::Checked;
pub use crossfade_document::{Diagnostic, Diagnostics, Place, Severity, WithLines, decode, misleads};
pub use crossfade_rule::{RequestView, normalised};
pub use dot_segments::has_dot_segment;
pub use error_page::ErrorPage;
pub use expectation::Expectation;
pub use field_edits::{FieldEdits, FieldValue};
pub use mirror::{Credentials, MIRROR_FIELD, Mirror, Noise, Share};
pub use moves::{Author, Move, MoveError, Moved, Transition};
pub use overlay::{FORMAT, MAX_OVERLAY, Overlaid, Overlay, RouteChanges};
pub use policy::{Codes, Failover, Outlier, Retry, may_repeat};
pub use reach::{Prohibited, Reach, RuntimeApi};
pub use read::parse_duration;
pub use redirect::{Captures, Redirect, RequestParts, is_host};
pub use request_url::request_url;
pub use scheme::Scheme;
pub use select::{Observer, Skipped};
pub use spill::Spill;
pub use sticky::{Choice, OptIn, Reason, Sticky};
pub use streaming::Streaming;
pub use surroundings::{Nothing, Surroundings};
pub use table::{Action, FixedResponse, Forward, HealthCheck, Route, RoutingTable, Target};
pub use template::{Template, Variable};
pub use tracing::Tracing;
pub use transform::{TransformError, Transforms};
