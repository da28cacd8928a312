//! HTTP/1 as a server reads and writes it (RFC 9112): heads, bodies, framing. Knows nothing of load balancers: limits
//! are arguments, and the caller decides what a request means and which response it gets.
//!
//! Own code and no library: a library repairs or rejects by its own judgement what an ALB classifies, passes on, or
//! rejects with a status code of its own.
//!
//! Reading order: `head`, `framing`, `connection` (reads requests), `response`, `error`.

mod connection;
mod error;
mod framing;
mod head;
mod response;

pub(crate) use connection::{Connection, Limits};
pub(crate) use error::RequestError;
pub(crate) use framing::{Framing, framing, keeps_alive, list, unknown_coding};
pub(crate) use head::Head;
pub(crate) use response::{phrase, write_head};
