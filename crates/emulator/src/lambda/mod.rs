//! The local Lambda: execution environments as child processes, each with a Runtime API and an Extensions API of its
//! own, and the pool of them. Knows nothing of HTTP requests of clients: an invocation is bytes in, bytes or a
//! [`failure::Failure`] out, whole or as a stream.

mod api;
mod call;
mod coordinator;
mod environment;
mod extension;
mod extensions_api;
mod failure;
pub(crate) mod launch;
mod memory;
mod pool;
mod ports;
mod process;
mod runtime_api;
mod shutdown;
mod signal;
mod state;
mod stream;
mod variables;

pub(crate) use failure::Failure;
pub(crate) use pool::Pool;
pub(crate) use stream::{Answer, Streamed};
