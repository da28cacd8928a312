//! The reverse proxy: an `http::Request` in, an `http::Response` out, whatever happens on the way.
//!
//! Owns what happens to a request between the two: fields, destination, connections, deadline, failures, the record of
//! it. Knows no event format and no Lambda; opens sockets to back ends only.
//!
//! Reading order: `pipeline` (everything in its order), `plan` (all before something is sent), `failover`, `retry` and `attempt`
//! (sending), then the stage you look for.

mod attempt;
mod body;
mod client;
mod comparing;
mod connection_auth;
mod content;
mod error;
mod failover;
mod fields;
mod forwarding;
pub mod fuzzing;
mod hop_by_hop;
mod identity;
mod invocation;
mod lookalikes;
mod measuring;
mod mirror;
mod pipeline;
mod plan;
mod probe;
mod proxy;
mod public_url;
mod respond;
mod retry;
mod shared_cache;
mod spilling;
mod time;
mod tls_hint;
mod tracing;
mod upstream;

pub use body::{Body, Streamed};
pub use client::Client;
pub use content::compress;
pub use error::ProxyError;
pub use invocation::Invocation;
pub use mirror::Pending;
pub use pipeline::Exchange;
pub use plan::{Context, Outgoing, Plan, Sending, Step};
pub use probe::{Answer, Probe, Reached, Session};
pub use proxy::Proxy;
pub use respond::{Preference, failure, healthy};
pub use spilling::{fields_of_content, is_spillable, redirect};
pub use time::TimeLimit;
pub use upstream::{SetupError, number_thread};
