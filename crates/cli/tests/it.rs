//! The tests of the `crossfade` binary, as one binary: one for each file would link the whole command line two dozen times.
//! Each module is a file here; `back_pressure` and `shadow` are binaries of their own.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod canary;
mod check;
mod check_connect;
mod command_line;
mod compare;
mod demo;
mod deploy_serverless;
mod dev;
mod docs;
mod expectations;
mod explain;
mod foreign;
mod front;
mod init;
mod inspector;
mod inspector_page;
mod list_rules;
mod managed;
mod migration;
mod real_servers;
mod recipes;
mod report;
mod report_page;
mod schema;
mod support;
mod terminal;
