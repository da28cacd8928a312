//! The local Lambda: execution environments as child processes, each with a Runtime API of its own, and the pool of them.
//! Knows nothing of HTTP requests of clients: an invocation is bytes in, bytes or a [`failure::Failure`] out.

mod environment;
mod failure;
mod pool;
mod process;
mod runtime_api;

pub(crate) use pool::Pool;
