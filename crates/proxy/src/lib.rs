//! The reverse proxy: an `http::Request` in, an `http::Response` out, whatever happens on the way.
//!
//! Owns what happens to a request between the two: fields, destination, connections, deadline, failures, the record of
//! it. Knows no event format and no Lambda; opens sockets to back ends only.
//!
//! Reading order: `pipeline` (everything in its order), then the stage you look for.

mod access_log;
mod attempt;
mod error;
mod forwarding;
mod hop_by_hop;
mod pipeline;
mod respond;
mod upstream;

pub use access_log::AccessRecord;
pub use error::ProxyError;
pub use pipeline::{Exchange, Invocation, Limits, Proxy};
pub use respond::{failure, healthy};
pub use upstream::{PemText, SetupError, Trust};
