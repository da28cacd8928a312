//! Regular expressions as ALB has them: linear time, ASCII classes, no look-around and no back-references (user guide,
//! "Transforms for listener rules"). Owns the engine and its limits; where a regex is allowed is decided by its callers.

use std::fmt;
use std::hash::{Hash, Hasher};

use thiserror::Error;

use crate::wildcard::Case;

/// The longest regex, in characters. ALB allows 128 in conditions and 1,024 in transforms.
const MAX_LENGTH: usize = 1024;
/// The most memory that one compiled regex may take, in bytes.
const MAX_COMPILED: usize = 256 * 1024;
/// The deepest nesting of groups.
const MAX_NESTING: u32 = 32;

/// A compiled regular expression. It searches: without `^` and `$` a match may stand anywhere.
#[derive(Clone, Debug)]
pub struct Regex {
    compiled: regex_lite::Regex,
    ignores_case: bool,
}

/// Why a text is no regular expression here.
#[derive(Clone, Debug, Error, PartialEq, Eq)]
#[error("{0}")]
pub struct RegexError(String);

impl Regex {
    /// Compiles; upper and lower case differ.
    ///
    /// # Errors
    ///
    /// [`RegexError`] for what is none, or too large.
    pub fn new(source: &str) -> Result<Self, RegexError> {
        Self::with_case(source, Case::Sensitive)
    }

    pub(crate) fn with_case(source: &str, case: Case) -> Result<Self, RegexError> {
        if source.is_empty() {
            return Err(RegexError("an empty regex matches everything".to_owned()));
        }
        let length = source.chars().count();
        if length > MAX_LENGTH {
            return Err(RegexError(format!("{length} characters, a regex may have {MAX_LENGTH}")));
        }
        regex_lite::RegexBuilder::new(source)
            .case_insensitive(case == Case::Insensitive)
            .size_limit(MAX_COMPILED)
            .nest_limit(MAX_NESTING)
            .build()
            .map(|compiled| Self { compiled, ignores_case: case == Case::Insensitive })
            .map_err(|error| RegexError(error.to_string()))
    }

    /// Whether it matches anywhere. What is not UTF-8 never matches.
    #[must_use]
    pub fn is_match(&self, input: &[u8]) -> bool {
        std::str::from_utf8(input).is_ok_and(|input| self.compiled.is_match(input))
    }

    /// The first match with its groups.
    #[must_use]
    pub fn captures<'i>(&self, input: &'i str) -> Option<regex_lite::Captures<'i>> {
        self.compiled.captures(input)
    }

    /// The names of its groups, in their order. The first is the whole match and has none.
    pub fn group_names(&self) -> impl Iterator<Item = Option<&str>> {
        self.compiled.capture_names()
    }

    /// The bytes that every match begins with; empty where the regex does not plainly say.
    pub(crate) fn literal_prefix(&self) -> Vec<u8> {
        let source = self.source();
        let Some(anchored) = source.strip_prefix('^').filter(|_| !source.contains('|') && !self.ignores_case) else {
            return Vec::new();
        };
        let is_literal = |c: &char| c.is_ascii_alphanumeric() || "/_-~%&=:@,;!'\" ".contains(*c);
        let mut literal: String = anchored.chars().take_while(is_literal).collect();
        // The last one belongs to what repeats it.
        if anchored.strip_prefix(&*literal).is_some_and(|rest| rest.starts_with(['*', '?', '{'])) {
            literal.pop();
        }
        literal.into_bytes()
    }

    /// As it was written.
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

    #[test] // T12
    fn what_could_take_long_is_refused_or_linear() {
        for source in ["", "(", "a{99999}", "(a{500}){500}", &"(".repeat(40), &"a".repeat(1025), r"(a)\1", "(?=a)"] {
            assert!(Regex::new(source).is_err(), "{source}");
        }
        let evil = Regex::new("^(a+)+$").unwrap();
        assert!(!evil.is_match(format!("{}!", "a".repeat(16 * 1024)).as_bytes()));
    }

    #[test]
    fn it_searches_and_knows_its_case() {
        assert!(Regex::new("b").unwrap().is_match(b"abc"));
        assert!(!Regex::new("^B").unwrap().is_match(b"bc"));
        assert!(Regex::with_case("^B", Case::Insensitive).unwrap().is_match(b"bc"));
        assert!(!Regex::new(".").unwrap().is_match(b"\xff"));
    }
}
