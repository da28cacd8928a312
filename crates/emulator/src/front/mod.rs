//! The front ends besides the load balancer: API Gateway's REST and HTTP APIs, function URLs, and VPC Lattice. HTTP/1 belongs
//! to `crate::http`, connections and their TLS to `crate::alb`, the function to `crate::lambda`.
//!
//! The events and the reading of replies are written anew, from what AWS documents and was seen to do, and share no code with
//! the formats that the function reads: otherwise a mistake in one would hide that in the other.
//!
//! Reading order: `serve` (a connection), `exchange` (the steps of a request), `endpoint` (settings and routes), `cors`, `request`,
//! then an event format (`payload_1`, `payload_2`, `lattice`), `reply`, `refusal`.

mod cors;
mod endpoint;
mod exchange;
mod lattice;
mod payload_1;
mod payload_2;
mod refusal;
mod reply;
mod request;
mod serve;

pub use cors::Cors;
pub use endpoint::{BasePath, Endpoint, EndpointKind, Route};
pub(crate) use serve::serve;
