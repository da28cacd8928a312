//! The tests of the `crossfade` binary, as one binary: one for each file would link the whole command line two dozen times.
//! Each module is a file here; `tools` has those that need more programs than Rust brings, and `back_pressure` and `shadow` are
//! binaries of their own.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod check;
mod check_connect;
mod command_line;
mod compare;
mod cost;
mod expectations;
mod explain;
mod export;
mod files;
mod import;
mod init;
mod live_migration;
mod managed;
mod migration;
mod package;
mod promotion;
mod report;
mod report_traffic;
mod schema;
mod support;
mod terminal;
