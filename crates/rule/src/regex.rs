//! Regular expressions with ALB's syntax: linear time, ASCII classes, no look-around and no back-references (user
//! guide, "Transforms for listener rules"). Owns the engine and its limits; callers decide where a regex is allowed.

use std::fmt;
use std::hash::{Hash, Hasher};

use thiserror::Error;

use crate::wildcard::Case;

/// Length in characters. ALB allows 128 in conditions and 1,024 in transforms.
const MAX_LENGTH: usize = 1024;
/// Memory of one compiled regex in bytes.
const MAX_COMPILED: usize = 256 * 1024;
/// Nesting depth of groups.
const MAX_NESTING: u32 = 32;

/// A compiled regular expression. It is unanchored: without `^` and `$` it matches anywhere in the input.
#[derive(Clone, Debug)]
pub struct Regex {
    compiled: regex_lite::Regex,
    ignores_case: bool,
}

/// An invalid or too large regular expression.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct RegexError(String);

impl Regex {
    /// Compiles a case-sensitive regex.
    ///
    /// # Errors
    ///
    /// [`RegexError`] if it is invalid or too large.
    pub fn new(source: &str) -> Result<Self, RegexError> {
        Self::with_case(source, Case::Sensitive)
    }

    pub(crate) fn with_case(source: &str, case: Case) -> Result<Self, RegexError> {
        if source.is_empty() {
            return Err(RegexError("an empty regex matches everything".to_owned()));
        }
        let length = source.chars().count();
        if length > MAX_LENGTH {
            return Err(RegexError(format!("{length} characters long, the limit is {MAX_LENGTH}")));
        }
        regex_lite::RegexBuilder::new(source)
            .case_insensitive(case == Case::Insensitive)
            .size_limit(MAX_COMPILED)
            .nest_limit(MAX_NESTING)
            .build()
            .map(|compiled| Self { compiled, ignores_case: case == Case::Insensitive })
            .map_err(|error| RegexError(error.to_string()))
    }

    /// Returns `true` if it matches anywhere in the input. Input that is not UTF-8 never matches.
    #[must_use]
    pub fn is_match(&self, input: &[u8]) -> bool {
        std::str::from_utf8(input).is_ok_and(|input| self.compiled.is_match(input))
    }

    /// Returns the first match with its groups.
    #[must_use]
    pub fn captures<'i>(&self, input: &'i str) -> Option<regex_lite::Captures<'i>> {
        self.compiled.captures(input)
    }

    /// Returns the names of the groups in order. The first group is the whole match and has no name.
    pub fn group_names(&self) -> impl Iterator<Item = Option<&str>> {
        self.compiled.capture_names()
    }

    /// Returns bytes that every match starts with; may be shorter than possible, or empty.
    pub(crate) fn literal_prefix(&self) -> Vec<u8> {
        let source = self.source();
        let Some(anchored) = source.strip_prefix('^').filter(|_| !source.contains('|') && !self.ignores_case) else {
            return Vec::new();
        };
        let is_literal = |c: &char| c.is_ascii_alphanumeric() || "/_-~%&=:@,;!'\" ".contains(*c);
        let mut literal: String = anchored.chars().take_while(is_literal).collect();
        // The last character belongs to the repetition that follows.
        if anchored.strip_prefix(&*literal).is_some_and(|rest| rest.starts_with(['*', '?', '{'])) {
            literal.pop();
        }
        literal.into_bytes()
    }

    /// Returns the regex as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        self.compiled.as_str()
    }
}

impl PartialEq for Regex {
    fn eq(&self, other: &Self) -> bool {
        self.source() == other.source() && self.ignores_case == other.ignores_case
    }
}

impl Eq for Regex {}

impl Hash for Regex {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.source().hash(state);
    }
}

impl fmt::Display for Regex {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.source())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slow_regexes_are_rejected_or_run_in_linear_time() {
        for source in ["", "(", "a{99999}", "(a{500}){500}", &"(".repeat(40), &"a".repeat(1025), r"(a)\1", "(?=a)"] {
            assert!(Regex::new(source).is_err(), "{source}");
        }
        let evil = Regex::new("^(a+)+$").unwrap();
        assert!(!evil.is_match(format!("{}!", "a".repeat(16 * 1024)).as_bytes()));
    }

    #[test]
    fn regexes_are_unanchored_and_case_sensitive() {
        assert!(Regex::new("b").unwrap().is_match(b"abc"));
        assert!(!Regex::new("^B").unwrap().is_match(b"bc"));
        assert!(Regex::with_case("^B", Case::Insensitive).unwrap().is_match(b"bc"));
        assert!(!Regex::new(".").unwrap().is_match(b"\xff"));
    }
}
