//! A JSON document as it is, with other white space and with some of its scalars replaced: order, repeated names and the
//! text of numbers stay. Owns no opinion on what is replaced.

use serde::de::IgnoredAny;

/// Deeper documents are not laid out.
const MOST_DEPTH: usize = 64;
/// Arrays of scalars up to this length stay in one line.
const MOST_INLINE: usize = 72;

/// A document that is laid out.
pub(super) struct Laid {
    pub(super) text: String,
    /// Whether something was replaced.
    pub(super) is_changed: bool,
}

impl Laid {
    /// Without white space between tokens.
    pub(super) fn compact(&self) -> String {
        tokens(&self.text).concat()
    }
}

/// What replaces a scalar: gets the names on the way to it and its text in the document, such as `"a\n"` or `1.0`.
pub(super) type Replace<'a> = dyn Fn(&[String], &str) -> Option<String> + 'a;

/// Lays a document out, or says that it is none.
pub(super) fn lay_out(document: &str, replace: &Replace<'_>) -> Option<Laid> {
    serde_json::from_str::<IgnoredAny>(document).ok()?;
    let tokens = tokens(document);
    let mut out = Writer { text: String::with_capacity(document.len() * 2), levels: Vec::new(), path: Vec::new() };
    let mut is_changed = false;
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        at += 1;
        match *token {
            "{" | "[" => {
                out.before_value();
                out.text.push_str(token);
                let closing = tokens.get(at).copied().unwrap_or_default();
                if matches!(closing, "}" | "]") {
                    out.text.push_str(closing);
                    out.after_value();
                    at += 1;
                    continue;
                }
                let is_inline = *token == "[" && is_short(tokens.get(at..).unwrap_or_default());
                out.levels.push(Level { is_object: *token == "{", is_inline, is_empty: true, has_name: false });
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
                out.path.push(serde_json::from_str(scalar).unwrap_or_default());
            }
            scalar => {
                out.before_value();
                match replace(&out.path, scalar) {
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
    Some(Laid { text: out.text, is_changed })
}

struct Level {
    is_object: bool,
    is_inline: bool,
    is_empty: bool,
    /// The name of a member has been written, its value not yet.
    has_name: bool,
}

struct Writer {
    text: String,
    levels: Vec<Level>,
    /// The names on the way.
    path: Vec<String>,
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

/// Whether these are the rest of an array of few, short scalars.
fn is_short(tokens: &[&str]) -> bool {
    let mut length = 0;
    for token in tokens {
        match *token {
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

/// Of a document that is one.
fn tokens(document: &str) -> Vec<&str> {
    let bytes = document.as_bytes();
    let mut tokens = Vec::new();
    let mut at = 0;
    while let Some(byte) = bytes.get(at) {
        let end = match byte {
            b' ' | b'\t' | b'\r' | b'\n' => {
                at += 1;
                continue;
            }
            b'{' | b'}' | b'[' | b']' | b',' | b':' => at + 1,
            b'"' => end_of_string(bytes, at),
            _ => {
                let rest = bytes.get(at..).unwrap_or_default();
                let length = rest.iter().position(|byte| b" \t\r\n,]}".contains(byte));
                at + length.unwrap_or(rest.len()).max(1)
            }
        };
        tokens.push(document.get(at..end).unwrap_or_default());
        at = end;
    }
    tokens
}

/// Behind the closing quote of the string that begins here.
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

    #[test]
    fn only_white_space_and_what_is_asked_for_changes() {
        let hide = |path: &[String], _: &str| path.iter().any(|name| name == "b").then(|| "\"x\"".to_owned());
        let laid =
            lay_out(r#" {"a":[1.0, 1e2,"\u0041"],"a":{},"b":{"c":[true]},"d":[{"e":null},[]]} "#, &hide).unwrap();
        assert!(laid.is_changed);
        assert_eq!(
            laid.text,
            "{\n  \"a\": [1.0, 1e2, \"\\u0041\"],\n  \"a\": {},\n  \"b\": {\n    \"c\": [\"x\"]\n  },\n  \"d\": [\n    {\n      \
             \"e\": null\n    },\n    []\n  ]\n}"
        );
        for scalar in ["1", "\"a\\\"b\"", "null"] {
            assert_eq!(lay_out(scalar, &|_, _| None).unwrap().text, scalar);
        }
        for bad in ["", "{", "{]", "a", &"[".repeat(100_000), &format!("{}{}", "[".repeat(100), "]".repeat(100))] {
            assert!(lay_out(bad, &|_, _| None).is_none());
        }
    }

    #[test]
    fn laying_out_keeps_the_value() {
        let document = r#"{"a":[[1,[2,{"b":"c,]}\\"}]],""],"d":{"e":{"f":[]}},"g":"é😀"}"#;
        let laid = lay_out(document, &|_, _| None).unwrap();
        let value = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(value(&laid.text), value(document));
        assert!(!laid.is_changed);
        assert_eq!(laid.compact(), document);
    }
}
