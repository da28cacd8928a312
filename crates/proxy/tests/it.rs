//! The tests of the proxy in front of back ends, as one binary: a binary for each file would link the same crates a
//! dozen times. Each module is a file here; `sent_once` is a binary of its own.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod connection_auth;
mod content;
mod failures;
mod forwarding;
mod hostile;
mod http2;
mod maintenance;
mod mapped_streams;
mod mirror;
mod policy;
mod reload;
mod repeated;
mod routing;
mod stand_still;
mod support;
mod tls;
