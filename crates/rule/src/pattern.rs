//! One comparison value of a condition, compiled. Owns the choice of how it is compared; today that is always a wildcard
//! pattern (a value without wildcards is one that stands for itself).

use std::fmt;

use crate::wildcard::{Case, Escapes, Wildcard};

/// One comparison value of a condition, compiled once, with the text that it was made from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    source: Box<str>,
    matcher: Matcher,
}

/// ALB's `RegexValues` will be a second variant; nothing outside this file depends on there being one only.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Matcher {
    Wildcard(Wildcard),
}

impl Pattern {
    pub(crate) fn wildcard(source: &str, case: Case, escapes: Escapes) -> Self {
        Self { source: source.into(), matcher: Matcher::Wildcard(Wildcard::new(source, case, escapes)) }
    }

    /// The value as it was written.
    pub fn source(&self) -> &str {
        &self.source
    }

    pub(crate) fn matches(&self, input: &[u8]) -> bool {
        match &self.matcher {
            Matcher::Wildcard(wildcard) => wildcard.matches(input),
        }
    }

    pub(crate) fn wildcards(&self) -> usize {
        match &self.matcher {
            Matcher::Wildcard(wildcard) => wildcard.wildcards(),
        }
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.source)
    }
}
