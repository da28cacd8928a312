//! The rule language of Application Load Balancer (ALB) listeners: conditions on a request, with ALB's exact semantics.
//!
//! Owns the six condition types, their patterns and validation, ALB's quotas for one rule, and the rewriting of
//! transforms. Pure: no I/O, no clock. Does not own the order of rules, actions, or the files that define rules; those
//! belong to the crates that evaluate rules.
//!
//! Matching works on raw bytes as the client sent them: nothing is percent-decoded or normalised. ALB's documentation
//! says that path rules are evaluated "after URI normalization" without defining it. Matching the bytes that are
//! forwarded ensures that a decision is always about the path that the target sees.
//!
//! ```
//! use crossfade_rule::{Condition, RequestView};
//!
//! let condition = Condition::path(["/img/*/pics"])?;
//! let headers = http::HeaderMap::new();
//! let request = RequestView {
//!     method: "GET", host: b"shop.example.com", path: b"/img/a/b/pics", query: None, headers: &headers, source_ip: None,
//! };
//! assert!(condition.matches(&request)); // `*` spans `/`
//! # Ok::<(), crossfade_rule::ConditionError>(())
//! ```

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
mod pattern;
mod quota;
mod regex;
mod request;
mod resemblance;
mod rewrite;
mod wildcard;

pub use condition::{Condition, ConditionError, QueryValue};
pub use pattern::Pattern;
pub use quota::{MAX_VALUES_PER_RULE, MAX_WILDCARDS_PER_RULE, QuotaError, check_quotas};
pub use regex::{Regex, RegexError};
pub use request::RequestView;
pub use resemblance::{Distance, distance};
pub use rewrite::{Replacement, Rewrite};
pub use wildcard::{Case, Escapes};
