//! What happened to a request, how the log records it, and what nobody may see of it.
//!
//! Owns the definition of a secret and the marker that replaces one (`redaction`). Does no I/O and reads no clock.

// No input may end the process.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable
    )
)]

pub mod redaction;
