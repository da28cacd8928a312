//! Crossfade on the laptop: the commands and the demo back ends.
//!
//! Owns nothing of the proxy or of the local load balancer: it wires them together. It is a library so that tests and
//! the benchmark can start the demo back ends by themselves.

// All output goes through `terminal`.
#![deny(clippy::print_stdout, clippy::print_stderr)]

pub mod aws;
mod certificate;
pub mod cloudwatch;
pub mod commands;
mod cost;
pub mod demo;
mod doctor;
mod export;
mod html;
mod import;
mod inspector;
pub mod live;
mod migration;
mod prices;
mod program;
mod report;
mod requests;
mod routes;
mod system;
mod terminal;
