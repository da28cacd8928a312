//! The rule language of Application Load Balancer (ALB) listeners: conditions on a request, with ALB's exact semantics.
//!
//! Owns the six condition types, their patterns and validation, the normal form of paths, ALB's quotas for one rule, and
//! the rewriting of transforms. Pure: no I/O, no clock. Does not own the order of rules, actions, or the files that define rules; those
//! belong to the crates that evaluate rules.
//!
//! Matching works on raw bytes as the client sent them, except for the path: as with ALB, conditions see it in its
//! normal form, so that `/%61dmin` and `/x/../admin` are `/admin` to all of them. It is forwarded as it was sent.
//!
//! `examples/condition.rs` shows it in use.

// No input may end the process. `clippy.toml` lists the arithmetic that is left to the fuzz targets.
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

mod condition;
mod normal;
mod pattern;
mod quota;
mod regex;
mod request;
mod resemblance;
mod rewrite;
mod wildcard;

pub use condition::{Condition, ConditionError, QueryValue};
pub use normal::normalised;
pub use pattern::Pattern;
pub use quota::{MAX_VALUES_PER_RULE, MAX_WILDCARDS_PER_RULE, QuotaError, check_quotas};
pub use regex::{Regex, RegexError};
pub use request::RequestView;
pub use resemblance::{Distance, distance};
pub use rewrite::{Replacement, Rewrite};
pub use wildcard::{Case, Escapes};
