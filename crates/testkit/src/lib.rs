//! Shared by the tests of several crates: scripted back ends, an HTTP client, certificates, a Runtime API, child processes,
//! temporary folders, Logs Insights, and a harness for tests that need further programs. One HTTP/1 reader and one certificate authority, so that
//! a test that fails blames the code under test.
//!
//! It owns no assertion about Crossfade and uses no other crate of this workspace: what is under test must not check itself.
//! A failure in here is a failed test, so most of it panics instead of returning errors. It is a dev-dependency, of the
//! benchmark alone also a normal one; `xtask/tests/edges.rs` holds that.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]
#![allow(missing_debug_implementations, reason = "nothing here is printed")]

pub mod appconfig;
pub mod authority;
pub mod client;
pub mod emf;
pub mod event;
pub mod folder;
pub mod http2;
pub mod insights;
pub mod message;
pub mod moto;
pub mod origin;
pub mod process;
pub mod runtime_api;
pub mod server;
pub mod tls;
pub mod tools;
pub mod wait;

pub use {rcgen, rustls};
