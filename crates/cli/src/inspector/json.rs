//! Re-indents a JSON document and replaces some of its scalars. Keeps the order of members, repeated names and the text of
//! numbers. The caller decides which scalars are replaced.

use serde::de::IgnoredAny;

/// Deeper documents are not re-indented.
const MOST_DEPTH: usize = 64;
/// Arrays of scalars up to this length stay on one line.
const MOST_INLINE: usize = 72;

/// A re-indented document, possibly truncated.
pub(super) struct Laid {
    pub(super) text: String,
    /// True if a scalar was replaced.
    pub(super) is_changed: bool,
    /// The omitted rest of the document, which is not in `text`.
    pub(super) rest: Option<Rest>,
}

/// The part of a document that is not shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rest {
    Values(usize),
    Bytes(usize),
}

impl Laid {
    /// Returns true if the text is complete and nothing was replaced.
    pub(super) fn is_as_sent(&self) -> bool {
        !self.is_changed && self.rest.is_none()
    }

    /// Returns the document without white space between tokens. An ellipsis marks the omitted rest.
    pub(super) fn compact(&self) -> String {
        let text: String = Tokens::of(&self.text).collect();
        if self.rest.is_some() { text + "…" } else { text }
    }
}

/// The replacements in a document.
pub(super) struct Masks<'a> {
    /// Called once for each name.
    pub(super) is_secret: &'a dyn Fn(&str) -> bool,
    /// Returns the replacement of a scalar. Its argument is the text in the document, such as `"a\n"` or `1.0`.
    pub(super) replace: &'a dyn Fn(&Path, &str) -> Option<String>,
}

/// The names on the way to a scalar.
#[derive(Default)]
pub(super) struct Path {
    names: Vec<(String, bool)>,
    secrets: usize,
}

impl Path {
    pub(super) fn names(&self) -> impl DoubleEndedIterator<Item = &str> {
        self.names.iter().map(|(name, _)| name.as_str())
    }

    /// Returns true if one of the names is that of a secret.
    pub(super) fn is_secret(&self) -> bool {
        self.secrets > 0
    }

    fn push(&mut self, name: String, is_secret: bool) {
        self.secrets += usize::from(is_secret);
        self.names.push((name, is_secret));
    }

    fn pop(&mut self) {
        if let Some((_, is_secret)) = self.names.pop() {
            self.secrets -= usize::from(is_secret);
        }
    }
}

/// Re-indents a document, up to the value that reaches `most` bytes. Returns `None` if it is invalid JSON or too deep. Runs in
/// linear time.
pub(super) fn lay_out(document: &str, most: usize, masks: &Masks<'_>) -> Option<Laid> {
    serde_json::from_str::<IgnoredAny>(document).ok()?;
    let mut tokens = Tokens::of(document);
    let mut out = Writer { text: String::new(), levels: Vec::new(), path: Path::default() };
    let mut is_changed = false;
    loop {
        let here = tokens;
        let Some(token) = tokens.next() else { break };
        if out.text.len() >= most && !matches!(token, "}" | "]" | "," | ":") {
            return Some(Laid { text: out.text, is_changed, rest: Some(Rest::Values(here.values())) });
        }
        match token {
            "{" | "[" => {
                out.before_value();
                out.text.push_str(token);
                let mut behind = tokens;
                if let Some(closing @ ("}" | "]")) = behind.next() {
                    tokens = behind;
                    out.text.push_str(closing);
                    out.after_value();
                    continue;
                }
                let is_inline = token == "[" && is_short(tokens);
                out.levels.push(Level { is_object: token == "{", is_inline, is_empty: true, has_name: false });
                if out.levels.len() > MOST_DEPTH {
                    return None;
                }
            }
            "}" | "]" => {
                let level = out.levels.pop()?;
                if !level.is_inline {
                    out.new_line();
                }
                out.text.push_str(token);
                out.after_value();
            }
            "," => out.text.push(','),
            ":" => out.text.push_str(": "),
            scalar if out.expects_name() => {
                out.before_name();
                out.text.push_str(scalar);
                let name: String = serde_json::from_str(scalar).unwrap_or_default();
                let is_secret = (masks.is_secret)(&name);
                out.path.push(name, is_secret);
            }
            scalar => {
                out.before_value();
                match (masks.replace)(&out.path, scalar) {
                    Some(other) => {
                        is_changed = true;
                        out.text.push_str(&other);
                    }
                    None => out.text.push_str(scalar),
                }
                out.after_value();
            }
        }
    }
    Some(Laid { text: out.text, is_changed, rest: None })
}

struct Level {
    is_object: bool,
    is_inline: bool,
    is_empty: bool,
    /// True between the name of a member and its value.
    has_name: bool,
}

struct Writer {
    text: String,
    levels: Vec<Level>,
    path: Path,
}

impl Writer {
    fn new_line(&mut self) {
        self.text.push('\n');
        for _ in &self.levels {
            self.text.push_str("  ");
        }
    }

    fn expects_name(&self) -> bool {
        self.levels.last().is_some_and(|level| level.is_object && !level.has_name)
    }

    fn before_name(&mut self) {
        self.new_line();
        if let Some(level) = self.levels.last_mut() {
            level.has_name = true;
        }
    }

    fn before_value(&mut self) {
        let Some(level) = self.levels.last_mut() else { return };
        if level.is_object {
            return;
        }
        let (is_inline, is_first) = (level.is_inline, level.is_empty);
        level.is_empty = false;
        match (is_inline, is_first) {
            (true, true) => {}
            (true, false) => self.text.push(' '),
            (false, _) => self.new_line(),
        }
    }

    fn after_value(&mut self) {
        if let Some(level) = self.levels.last_mut()
            && level.is_object
        {
            level.has_name = false;
            self.path.pop();
        }
    }
}

/// Returns true for the rest of an array of few, short scalars.
fn is_short(tokens: Tokens<'_>) -> bool {
    let mut length = 0;
    for token in tokens {
        match token {
            "]" => return true,
            "{" | "[" => return false,
            other => length += other.len(),
        }
        if length > MOST_INLINE {
            return false;
        }
    }
    false
}

/// Reads a valid document, or the start of one.
#[derive(Clone, Copy)]
struct Tokens<'d> {
    document: &'d str,
    at: usize,
}

impl<'d> Tokens<'d> {
    fn of(document: &'d str) -> Self {
        Tokens { document, at: 0 }
    }

    /// Counts the values that begin here or later.
    fn values(self) -> usize {
        self.fold(0_usize, |count, token| match token {
            "}" | "]" | "," => count,
            // The string before it was a name.
            ":" => count.saturating_sub(1),
            _ => count + 1,
        })
    }
}

impl<'d> Iterator for Tokens<'d> {
    type Item = &'d str;

    fn next(&mut self) -> Option<&'d str> {
        let bytes = self.document.as_bytes();
        let is_blank = |byte: &u8| matches!(byte, b' ' | b'\t' | b'\r' | b'\n');
        let start = self.at + bytes.get(self.at..)?.iter().position(|byte| !is_blank(byte))?;
        self.at = match bytes.get(start)? {
            b'{' | b'}' | b'[' | b']' | b',' | b':' => start + 1,
            b'"' => end_of_string(bytes, start),
            _ => {
                let rest = bytes.get(start..).unwrap_or_default();
                let length = rest.iter().position(|byte| b" \t\r\n,]}".contains(byte));
                start + length.unwrap_or(rest.len()).max(1)
            }
        };
        self.document.get(start..self.at)
    }
}

/// Returns the position after the closing quote of the string that begins here.
pub(super) fn end_of_string(bytes: &[u8], start: usize) -> usize {
    let mut at = start + 1;
    while let Some(byte) = bytes.get(at) {
        match byte {
            b'\\' => at += 2,
            b'"' => return at + 1,
            _ => at += 1,
        }
    }
    bytes.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALL: usize = usize::MAX;
    const NOTHING: Masks<'_> = Masks { is_secret: &|_| false, replace: &|_, _| None };

    #[test]
    fn only_white_space_and_what_is_asked_for_changes() {
        let hide =
            Masks { is_secret: &|name| name == "b", replace: &|path, _| path.is_secret().then(|| "\"x\"".to_owned()) };
        let laid =
            lay_out(r#" {"a":[1.0, 1e2,"\u0041"],"a":{},"b":{"c":[true]},"d":[{"e":null},[]]} "#, ALL, &hide).unwrap();
        assert!(laid.is_changed && laid.rest.is_none());
        assert_eq!(
            laid.text,
            "{\n  \"a\": [1.0, 1e2, \"\\u0041\"],\n  \"a\": {},\n  \"b\": {\n    \"c\": [\"x\"]\n  },\n  \"d\": [\n    {\n      \
             \"e\": null\n    },\n    []\n  ]\n}"
        );
        for scalar in ["1", "\"a\\\"b\"", "null"] {
            assert_eq!(lay_out(scalar, ALL, &NOTHING).unwrap().text, scalar);
        }
        for bad in ["", "{", "{]", "a", &"[".repeat(100_000), &format!("{}{}", "[".repeat(100), "]".repeat(100))] {
            assert!(lay_out(bad, ALL, &NOTHING).is_none());
        }
    }

    #[test]
    fn laying_out_keeps_the_value() {
        let document = r#"{"a":[[1,[2,{"b":"c,]}\\"}]],""],"d":{"e":{"f":[]}},"g":"é😀"}"#;
        let laid = lay_out(document, ALL, &NOTHING).unwrap();
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&laid.text), value(document));
        assert!(!laid.is_changed);
        assert_eq!(laid.compact(), document);
    }

    #[test]
    fn what_is_not_laid_out_is_counted_and_costs_no_replacing() {
        let asked = std::cell::Cell::new((0, 0));
        let counting = Masks {
            is_secret: &|_| {
                asked.set((asked.get().0 + 1, asked.get().1));
                false
            },
            replace: &|_, _| {
                asked.set((asked.get().0, asked.get().1 + 1));
                None
            },
        };
        let name = "n".repeat(1000);
        for (document, values) in [
            (format!("[{}]", vec!["1"; 400_000].join(",")), 400_000),
            (format!("{{{}}}", vec![r#""a":"b""#; 100_000].join(",")), 100_000),
            (format!(r#"{{"{name}":[{}]}}"#, vec!["1"; 400_000].join(",")), 400_000),
            (format!("[{}]", vec!["[]"; 400_000].join(",")), 400_000),
            (format!("[{}]", vec![r#"{"a":{}}"#; 100_000].join(",")), 200_000),
        ] {
            asked.set((0, 0));
            let laid = lay_out(&document, 10_000, &counting).unwrap();
            assert!(laid.text.len() < 10_000 + 2000, "{}", laid.text.len());
            let Some(Rest::Values(rest)) = laid.rest else { panic!("{:?}", laid.rest) };
            let shown = Tokens::of(&laid.text).values();
            // All of their containers are shown.
            assert!((1..=2).contains(&(shown + rest - values)), "{shown} and {rest} of {values}");
            let (names, scalars) = asked.get();
            assert!(names <= shown && scalars <= shown, "{names} {scalars} {shown}");
            assert!(laid.compact().ends_with('…'));
        }
        // Completely, or not at all.
        assert_eq!(lay_out("[1,2]", 6, &NOTHING).unwrap().rest, None);
        assert_eq!(lay_out("[1,2,3]", 4, &NOTHING).unwrap().rest, Some(Rest::Values(1)));
    }
}
