//! One compiled value of a condition. Owns the ways to compare; the builder of a condition chooses among them.

use std::fmt;

use crate::normal::with_normal_escapes;
use crate::regex::{Regex, RegexError};
use crate::wildcard::{Case, Escapes, Wildcard};

/// One value of a condition, compiled once, with its source text.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Pattern {
    source: Box<str>,
    matcher: Matcher,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
enum Matcher {
    Wildcard(Wildcard),
    Regex(Regex),
    /// A path without its last `/`, and everything below it.
    Prefix(Box<str>),
    Exact(Box<str>),
}

impl Pattern {
    /// Returns an ALB wildcard pattern, which must match the whole input: `*` matches any bytes, `?` exactly one.
    #[must_use]
    pub fn wildcard(source: &str, case: Case, escapes: Escapes) -> Self {
        Self { source: source.into(), matcher: Matcher::Wildcard(Wildcard::new(source, case, escapes)) }
    }

    /// Returns a regex pattern, which is unanchored unless it contains anchors.
    ///
    /// # Errors
    ///
    /// [`RegexError`] if the regex is invalid or too large.
    pub fn regex(source: &str, case: Case) -> Result<Self, RegexError> {
        Ok(Self { source: source.into(), matcher: Matcher::Regex(Regex::with_case(source, case)?) })
    }

    /// Returns a pattern for a path and everything below it: `/api` matches `/api` and `/api/x`, not `/apix`. A
    /// trailing `/` makes no difference.
    #[must_use]
    pub fn path_prefix(source: &str) -> Self {
        let path = source.strip_suffix('/').unwrap_or(source);
        Self { source: source.into(), matcher: Matcher::Prefix(path.into()) }
    }

    /// Returns a pattern that matches exactly this text, case-sensitively.
    #[must_use]
    pub fn exact(source: &str) -> Self {
        Self { source: source.into(), matcher: Matcher::Exact(source.into()) }
    }

    /// Returns the pattern for normalised paths: the escapes in its text, such as `%c3` and `%61`, match what they are
    /// there (`%C3` and `a`). A regex stays as it is, and so do dot segments, which no such path has.
    #[must_use]
    pub fn for_paths(self) -> Self {
        let normal = match with_normal_escapes(self.source.as_bytes()) {
            normal if *normal == *self.source.as_bytes() => return self,
            normal => String::from_utf8_lossy(&normal).into_owned(),
        };
        let matcher = match self.matcher {
            Matcher::Wildcard(_) => Matcher::Wildcard(Wildcard::new(&normal, Case::Sensitive, Escapes::None)),
            Matcher::Prefix(_) => Self::path_prefix(&normal).matcher,
            Matcher::Exact(_) => Self::exact(&normal).matcher,
            Matcher::Regex(regex) => Matcher::Regex(regex),
        };
        Self { matcher, ..self }
    }

    /// Returns `true` if the text has a dot segment, so that it matches no normalised path. A regex may have anything.
    #[must_use]
    pub fn has_dot_segment(&self) -> bool {
        let dots = self.source.replace("%2e", ".").replace("%2E", ".");
        self.as_regex().is_none() && dots.split('/').any(|segment| matches!(segment, "." | ".."))
    }

    /// Returns the value as it was written.
    #[must_use]
    pub fn source(&self) -> &str {
        &self.source
    }

    /// Returns the regex if this pattern is one.
    #[must_use]
    pub fn as_regex(&self) -> Option<&Regex> {
        match &self.matcher {
            Matcher::Regex(regex) => Some(regex),
            _ => None,
        }
    }

    /// Returns ALB's globs with the same meaning, one of which must match; `None` for a regex and for a text that globs cannot
    /// express.
    #[must_use]
    pub fn globs(&self) -> Option<Vec<String>> {
        let is_literal = |text: &str| !text.contains(['*', '?']);
        match &self.matcher {
            Matcher::Wildcard(_) => Some(vec![self.source.to_string()]),
            Matcher::Prefix(path) if path.is_empty() => Some(vec!["/*".to_owned()]),
            Matcher::Prefix(path) if is_literal(path) => Some(vec![path.to_string(), format!("{path}/*")]),
            Matcher::Exact(text) if is_literal(text) => Some(vec![text.to_string()]),
            Matcher::Prefix(_) | Matcher::Exact(_) | Matcher::Regex(_) => None,
        }
    }

    /// Returns the bytes that every match starts with, possibly none; in lower case if case is ignored.
    #[must_use]
    pub fn literal_prefix(&self) -> Vec<u8> {
        match &self.matcher {
            Matcher::Wildcard(wildcard) => wildcard.literal_prefix(),
            Matcher::Regex(regex) => regex.literal_prefix(),
            Matcher::Prefix(text) | Matcher::Exact(text) => text.as_bytes().to_vec(),
        }
    }

    /// Returns the only input that matches, if there is exactly one; in lower case if case is ignored.
    #[must_use]
    pub fn only_match(&self) -> Option<Vec<u8>> {
        match &self.matcher {
            Matcher::Wildcard(wildcard) => (wildcard.wildcards() == 0).then(|| wildcard.literal_prefix()),
            Matcher::Exact(text) => Some(text.as_bytes().to_vec()),
            Matcher::Regex(_) | Matcher::Prefix(_) => None,
        }
    }

    /// Returns `true` only if this pattern matches every input that `other` matches. May return `false` even if it
    /// does.
    #[must_use]
    pub fn covers(&self, other: &Pattern) -> bool {
        match (&self.matcher, &other.matcher) {
            (Matcher::Wildcard(wide), Matcher::Wildcard(narrow)) => wide.covers(narrow),
            (_, Matcher::Exact(text)) => self.matches(text.as_bytes()),
            (Matcher::Wildcard(wide), Matcher::Prefix(text)) => wide.covers(&Wildcard::new(
                &format!("{}*", text.replace(['*', '?'], "?")),
                Case::Sensitive,
                Escapes::None,
            )),
            // The wildcard's literal prefix is in lower case, the inputs need not be.
            (Matcher::Prefix(_), Matcher::Wildcard(narrow)) if narrow.ignores_case() => false,
            (Matcher::Prefix(_), _) => {
                let literal = other.literal_prefix();
                // Below `/api` means starting with `/api/`.
                let is_below = self.matches(&literal) && literal.len() > self.literal_prefix().len();
                is_below || self.matcher == other.matcher
            }
            (wide, narrow) => wide == narrow,
        }
    }

    /// Returns `true` if the input matches.
    #[must_use]
    pub fn matches(&self, input: &[u8]) -> bool {
        match &self.matcher {
            Matcher::Wildcard(wildcard) => wildcard.matches(input),
            Matcher::Regex(regex) => regex.is_match(input),
            Matcher::Prefix(path) => is_below(input, path.as_bytes()),
            Matcher::Exact(text) => input == text.as_bytes(),
        }
    }

    pub(crate) fn wildcards(&self) -> usize {
        match &self.matcher {
            Matcher::Wildcard(wildcard) => wildcard.wildcards(),
            Matcher::Regex(_) | Matcher::Prefix(_) | Matcher::Exact(_) => 0,
        }
    }
}

/// Returns `true` if `path` equals `prefix`, which has no trailing `/`, or lies below it.
fn is_below(path: &[u8], prefix: &[u8]) -> bool {
    path.strip_prefix(prefix).is_some_and(|rest| matches!(rest.first(), None | Some(b'/')))
}

/// Renders the source; other kinds than wildcards are marked: `regex ^/a`, `prefix /a`, `exact /a`.
impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let way = match &self.matcher {
            Matcher::Wildcard(_) => "",
            Matcher::Regex(_) => "regex ",
            Matcher::Prefix(_) => "prefix ",
            Matcher::Exact(_) => "exact ",
        };
        write!(f, "{way}{}", self.source)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn glob(source: &str) -> Pattern {
        Pattern::wildcard(source, Case::Sensitive, Escapes::None)
    }

    #[test]
    fn a_prefix_ends_at_a_segment() {
        for source in ["/api", "/api/"] {
            let api = Pattern::path_prefix(source);
            assert!(api.matches(b"/api") && api.matches(b"/api/") && api.matches(b"/api/x"), "{source}");
            assert!(!api.matches(b"/apix") && !api.matches(b"/ap") && !api.matches(b"/API"), "{source}");
        }
        let everything = Pattern::path_prefix("/");
        assert!(everything.matches(b"/") && everything.matches(b"/x") && !everything.matches(b"*"));
    }

    #[test]
    fn escapes_of_paths_are_as_in_normal_paths() {
        for pattern in
            [glob("/caf%c3%a9/%61*"), Pattern::path_prefix("/caf%c3%a9/%61"), Pattern::exact("/caf%c3%a9/%61")]
        {
            let source = pattern.source().to_owned();
            let pattern = pattern.for_paths();
            assert!(pattern.matches(b"/caf%C3%A9/a") && !pattern.matches(b"/caf%c3%a9/%61"), "{pattern}");
            assert_eq!(pattern.source(), source);
        }
        assert!(glob("/%2?/100%*").for_paths().matches(b"/%2x/100%"));
    }

    #[test]
    fn exact_has_no_wildcards() {
        assert!(Pattern::exact("/a*").matches(b"/a*"));
        assert!(!Pattern::exact("/a*").matches(b"/ab"));
    }

    #[test]
    fn what_a_match_begins_with() {
        let regex = |source| Pattern::regex(source, Case::Sensitive).unwrap().literal_prefix();
        assert_eq!(glob("/a/*/b").literal_prefix(), b"/a/");
        assert_eq!(regex("^/api/(.*)$"), b"/api/");
        assert_eq!(regex("^/colou?r"), b"/colo");
        assert_eq!(regex("^/a{2}"), b"/");
        assert_eq!(regex(r"^/v1\.0/"), b"/v1");
        assert_eq!(regex("^/a|/b"), b"");
        assert_eq!(regex("/a"), b"");
        assert_eq!(regex("^(?i)/a"), b"");
        assert_eq!(regex("^/caf\u{e9}*"), b"/caf");
    }

    #[test]
    fn covering() {
        assert!(Pattern::path_prefix("/api").covers(&glob("/api/*")));
        assert!(Pattern::path_prefix("/api").covers(&Pattern::exact("/api")));
        assert!(Pattern::path_prefix("/api").covers(&Pattern::path_prefix("/api/v1")));
        assert!(Pattern::path_prefix("/api").covers(&Pattern::path_prefix("/api/")));
        assert!(!Pattern::path_prefix("/api").covers(&glob("/api*")));
        assert!(!Pattern::path_prefix("/api").covers(&Pattern::path_prefix("/apix")));
        assert!(glob("/*").covers(&Pattern::path_prefix("/api")));
        assert!(!glob("/api/*").covers(&Pattern::path_prefix("/api")));
        let any_case = Pattern::wildcard("/API/*", Case::Insensitive, Escapes::None);
        assert!(!Pattern::path_prefix("/api").covers(&any_case) && any_case.covers(&glob("/api/*")));
        let regex = Pattern::regex("^/a", Case::Sensitive).unwrap();
        assert!(regex.covers(&regex) && regex.covers(&Pattern::exact("/ab")) && !regex.covers(&glob("/a*")));
    }

    proptest::proptest! {
        #[test]
        fn covered_inputs_match(
            wide in pattern(),
            narrow in pattern(),
            input in "/?[ab/]{0,6}",
        ) {
            if wide.covers(&narrow) && narrow.matches(input.as_bytes()) {
                proptest::prop_assert!(wide.matches(input.as_bytes()), "{wide} {narrow}");
            }
            if wide.matches(input.as_bytes()) {
                proptest::prop_assert!(input.as_bytes().starts_with(&wide.literal_prefix()));
                proptest::prop_assert!(wide.only_match().is_none_or(|only| only == input.as_bytes()));
            }
        }
    }

    fn pattern() -> impl proptest::strategy::Strategy<Value = Pattern> {
        use proptest::prelude::*;
        ("/?[ab/*?]{0,5}", 0..4).prop_map(|(text, way)| match way {
            0 => Pattern::path_prefix(&text),
            1 => Pattern::exact(&text),
            2 => {
                let source = text.replace("?", "b?").replace("*", "a*");
                Pattern::regex(&format!("^{source}"), Case::Sensitive).unwrap()
            }
            _ => glob(&text),
        })
    }
}
