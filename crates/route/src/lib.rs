//! `crossfade.yaml`: from text to diagnostics or an immutable [`RoutingTable`].
//!
//! Owns the configuration's vocabulary and everything that is decided before a request comes: names, addresses and
//! durations are parsed here, once, and every mistake is reported with its place. Does no I/O: no file, no
//! environment, no clock, no randomness.
//!
//! Reading order: `table` (what comes out), `config` (how it is read), `document`, `yaml` and `diagnostic` (the tools).

mod backend_url;
mod config;
mod diagnostic;
mod document;
mod table;
mod yaml;

pub use diagnostic::{Diagnostic, Diagnostics};
pub use table::{Backend, HealthCheck, HostHeader, Http2, RoutingTable, Scheme, Selection, Timeouts, TlsSettings};

pub use backend_url::has_dot_segment;
