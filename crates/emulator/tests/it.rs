//! The tests of the local ALB, as one binary: a binary for each file would link the same crates a dozen times. Each module
//! is a file here.

#![allow(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod actions;
mod attributes;
mod front_streams;
mod fronts;
mod golden;
mod health;
mod hostile;
mod http2;
mod https;
mod lambda;
mod lambda_extensions;
mod lambda_lifecycle;
mod lambda_managed;
mod listener;
mod reload;
mod source;
mod support;
