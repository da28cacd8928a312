//! Tests of the judgement as a whole, on records that a model of two systems makes.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    reason = "a test may panic, in its helpers too"
)]

mod same_application;
mod simulation;
mod verdicts;
