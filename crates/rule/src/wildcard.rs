//! ALB's wildcards: `*` matches any run of bytes, including none and including `/`; `?` matches exactly one byte;
//! everything else, even `[`, is literal. A pattern must match the whole input. Owns compiling and matching;
//! `condition.rs` decides which fields allow wildcards and ignore case.

/// Case sensitivity for ASCII letters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Case {
    /// Upper and lower case differ.
    Sensitive,
    /// Upper and lower case are equal.
    Insensitive,
}

/// Escapes of wildcards. ALB has them in query-string conditions only.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Escapes {
    /// A backslash is literal.
    None,
    /// `\*` and `\?` are literal.
    Backslash,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Token {
    Byte(u8),
    One,
    Any,
}

/// A compiled wildcard pattern.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Wildcard {
    tokens: Box<[Token]>,
    case: Case,
}

impl Wildcard {
    pub(crate) fn new(source: &str, case: Case, escapes: Escapes) -> Self {
        let mut tokens = Vec::with_capacity(source.len());
        let mut bytes = source.bytes().peekable();
        while let Some(byte) = bytes.next() {
            let token = match byte {
                // Consecutive stars are equivalent to one.
                b'*' if tokens.last() == Some(&Token::Any) => continue,
                b'*' => Token::Any,
                b'?' => Token::One,
                b'\\' if escapes == Escapes::Backslash => match bytes.next_if(|next| matches!(next, b'*' | b'?')) {
                    Some(literal) => Token::Byte(literal),
                    None => Token::Byte(b'\\'),
                },
                literal if case == Case::Insensitive => Token::Byte(literal.to_ascii_lowercase()),
                literal => Token::Byte(literal),
            };
            tokens.push(token);
        }
        Self { tokens: tokens.into(), case }
    }

    /// Returns the number of wildcards, as ALB's quota counts them.
    pub(crate) fn wildcards(&self) -> usize {
        self.tokens.iter().filter(|token| !matches!(token, Token::Byte(_))).count()
    }

    pub(crate) fn ignores_case(&self) -> bool {
        self.case == Case::Insensitive
    }

    /// Returns the bytes that every match starts with; in lower case if case is ignored.
    pub(crate) fn literal_prefix(&self) -> Vec<u8> {
        let literals = self.tokens.iter().map_while(|token| match token {
            Token::Byte(byte) => Some(*byte),
            Token::One | Token::Any => None,
        });
        literals.collect()
    }

    pub(crate) fn matches(&self, input: &[u8]) -> bool {
        self.accepts(input, |token, byte| match token {
            Token::Byte(literal) => literal == self.fold(*byte),
            Token::One | Token::Any => true,
        })
    }

    /// Returns `true` only if this pattern matches every input that `other` matches. May return `false` even if it
    /// does.
    pub(crate) fn covers(&self, other: &Wildcard) -> bool {
        let same_case = self.case == other.case || self.case == Case::Insensitive;
        same_case
            && self.accepts(&other.tokens, |token, symbol| match (token, symbol) {
                (Token::Byte(literal), Token::Byte(byte)) => literal == self.fold(*byte),
                (Token::Byte(_), Token::One | Token::Any) | (Token::One, Token::Any) => false,
                (Token::One | Token::Any, _) => true,
            })
    }

    /// Matches greedily and backtracks to the last star only: time is at most pattern × input, memory constant. `fits`
    /// decides whether a token matches one symbol of the input; a star matches any run of symbols that fit it.
    fn accepts<S>(&self, input: &[S], fits: impl Fn(Token, &S) -> bool) -> bool {
        let (mut at, mut next) = (0, 0);
        // Where to continue after a mismatch: behind the last star, one symbol further than last time.
        let mut retry: Option<(usize, usize)> = None;
        loop {
            match (self.tokens.get(next), input.get(at)) {
                (Some(Token::Any), _) => {
                    next += 1;
                    retry = Some((next, at));
                }
                (Some(token), Some(symbol)) if fits(*token, symbol) => (next, at) = (next + 1, at + 1),
                (None, None) => return true,
                _ => match retry {
                    Some((after_star, from)) if from < input.len() => {
                        retry = Some((after_star, from + 1));
                        (next, at) = (after_star, from + 1);
                    }
                    _ => return false,
                },
            }
        }
    }

    fn fold(&self, byte: u8) -> u8 {
        match self.case {
            Case::Sensitive => byte,
            Case::Insensitive => byte.to_ascii_lowercase(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn matches(pattern: &str, input: &str) -> bool {
        Wildcard::new(pattern, Case::Sensitive, Escapes::None).matches(input.as_bytes())
    }

    #[test]
    fn the_whole_input_must_match_and_a_star_spans_slashes() {
        assert!(matches("/img/*", "/img/a/b/c.png"));
        assert!(matches("/img/*", "/img/"));
        assert!(!matches("/img/*", "/img"));
        assert!(!matches("/img", "/img/"));
        assert!(!matches("img/*", "/img/a"));
        assert!(matches("*", ""));
        assert!(matches("", ""));
        assert!(!matches("", "a"));
        assert!(matches("*.jpg", "/a.jpg/b.jpg"));
    }

    #[test]
    fn a_question_mark_is_exactly_one_byte_and_brackets_are_literal() {
        assert!(matches("/v?/x", "/v1/x"));
        assert!(!matches("/v?/x", "/v/x"));
        assert!(!matches("/v?/x", "/v12/x"));
        assert!(matches("/a[bc]", "/a[bc]"));
        assert!(!matches("/a[bc]", "/ab"));
        assert!(matches("*?", "a"));
        assert!(!matches("*?", ""));
    }

    #[test]
    fn a_backslash_escapes_only_where_it_is_asked_to() {
        let escaped = Wildcard::new(r"a\*b\?c\d", Case::Sensitive, Escapes::Backslash);
        assert!(escaped.matches(br"a*b?c\d"));
        assert!(!escaped.matches(br"axb?c\d"));
        assert_eq!(escaped.wildcards(), 0);
        assert!(matches(r"a\*", r"a\zzz"));
    }

    #[test]
    fn many_stars_do_not_explode() {
        let pattern = "a*".repeat(60) + "b";
        assert!(!matches(&pattern, &"a".repeat(20_000)));
    }

    #[test]
    fn a_pattern_covers_narrower_ones() {
        let covers = |wide: &str, narrow: &str| {
            let [wide, narrow] = [wide, narrow].map(|text| Wildcard::new(text, Case::Sensitive, Escapes::None));
            wide.covers(&narrow)
        };
        assert!(covers("/api/*", "/api/orders/*"));
        assert!(covers("*", "/?"));
        assert!(covers("/a?c", "/abc"));
        assert!(!covers("/api/*", "/api*"));
        assert!(!covers("/?", "/*"));
        assert!(!covers("/a*", "/b"));
    }

    /// The definition of matching, written without regard to speed.
    fn oracle(pattern: &[u8], input: &[u8]) -> bool {
        match (pattern.split_first(), input.split_first()) {
            (None, None) => true,
            (Some((b'*', rest)), None) => oracle(rest, input),
            (Some((b'*', rest)), Some((_, tail))) => oracle(rest, input) || oracle(pattern, tail),
            (Some((b'?', rest)), Some((_, tail))) => oracle(rest, tail),
            (Some((literal, rest)), Some((byte, tail))) => literal == byte && oracle(rest, tail),
            _ => false,
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]
        // A tiny alphabet makes near misses and overlapping runs common.
        #[test]
        fn agrees_with_the_naive_definition(pattern in "[ab/*?]{0,10}", input in "[ab/]{0,12}") {
            prop_assert_eq!(matches(&pattern, &input), oracle(pattern.as_bytes(), input.as_bytes()), "{} on {}", pattern, input);
        }

        #[test]
        fn covered_inputs_match(wide in "[ab*?]{0,6}", narrow in "[ab*?]{0,6}", input in "[ab]{0,8}") {
            let [wide, narrow] = [wide, narrow].map(|text| Wildcard::new(&text, Case::Sensitive, Escapes::None));
            prop_assert!(wide.covers(&wide));
            if wide.covers(&narrow) && narrow.matches(input.as_bytes()) {
                prop_assert!(wide.matches(input.as_bytes()));
            }
        }

        #[test]
        fn ignoring_case_equals_lowering_both(pattern in "[abAB*?]{0,8}", input in "[abAB]{0,8}") {
            let insensitive = Wildcard::new(&pattern, Case::Insensitive, Escapes::None).matches(input.as_bytes());
            prop_assert_eq!(insensitive, oracle(pattern.to_ascii_lowercase().as_bytes(), input.to_ascii_lowercase().as_bytes()));
        }
    }
}
