//! Reads JSON in place, member by member, without a tree (RFC 8259). Owns the syntax; knows no format. Strings borrow from
//! the text wherever they have no escapes. An event is most of what a small request costs the function besides its back end,
//! and this takes a third of what a general library does.

use std::borrow::Cow;

use bytes::Bytes;

use crate::DecodeError;

/// Nesting of what is skipped; what is read is as deep as its format.
const MAX_DEPTH: u32 = 128;

/// A JSON string.
#[derive(Clone, Debug)]
pub(crate) struct Text<'a>(pub(crate) Cow<'a, str>);

impl Text<'_> {
    /// The same bytes, shared with `input` where they lie in it.
    pub(crate) fn into_bytes(self, input: &Bytes) -> Bytes {
        match self.0 {
            Cow::Borrowed(text) => input.slice_ref(text.as_bytes()),
            Cow::Owned(text) => Bytes::from(text),
        }
    }
}

/// A position in a JSON text: that of the next value, with space before it, or behind the last one.
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Reader { text, at: 0 }
    }

    /// Takes an object and hands each member to a function, which must take the value. `null` is an object without members.
    /// Returns whether there is an object.
    pub(crate) fn object(
        &mut self,
        mut member: impl FnMut(&mut Self, Text<'a>) -> Result<(), DecodeError>,
    ) -> Result<bool, DecodeError> {
        if self.takes_null()? {
            return Ok(false);
        }
        self.open(b'{')?;
        if self.takes(b'}') {
            return Ok(true);
        }
        loop {
            let name = self.string()?;
            if !self.takes(b':') {
                return Err(self.expected("`:`"));
            }
            member(self, name)?;
            if self.takes(b'}') {
                return Ok(true);
            }
            if !self.takes(b',') {
                return Err(self.expected("`,` or `}`"));
            }
        }
    }

    /// Takes an array: the function must take one element each time.
    pub(crate) fn array(
        &mut self,
        mut element: impl FnMut(&mut Self) -> Result<(), DecodeError>,
    ) -> Result<(), DecodeError> {
        self.open(b'[')?;
        if self.takes(b']') {
            return Ok(());
        }
        loop {
            element(self)?;
            if self.takes(b']') {
                return Ok(());
            }
            if !self.takes(b',') {
                return Err(self.expected("`,` or `]`"));
            }
        }
    }

    /// Takes a string.
    pub(crate) fn string(&mut self) -> Result<Text<'a>, DecodeError> {
        self.open(b'"')?;
        let start = self.at;
        let plain = self.plain();
        if self.byte() == Some(b'"') {
            self.at += 1;
            return Ok(Text(Cow::Borrowed(plain)));
        }
        self.at = start;
        Ok(Text(Cow::Owned(self.unescaped()?)))
    }

    /// Takes a string; `None` for `null`.
    pub(crate) fn optional_string(&mut self) -> Result<Option<Text<'a>>, DecodeError> {
        if self.takes_null()? { Ok(None) } else { self.string().map(Some) }
    }

    /// Takes `true`, `false` or `null`, which is false.
    pub(crate) fn flag(&mut self) -> Result<bool, DecodeError> {
        match self.peek() {
            Some(b't') => self.word("true").map(|()| true),
            Some(b'f') => self.word("false").map(|()| false),
            Some(b'n') => self.word("null").map(|()| false),
            _ => Err(self.wrong_type()),
        }
    }

    /// Takes `null`, if it is next.
    pub(crate) fn takes_null(&mut self) -> Result<bool, DecodeError> {
        if self.peek() != Some(b'n') {
            return Ok(false);
        }
        self.word("null").map(|()| true)
    }

    /// The first byte of the next value, which says of which kind it is.
    #[inline]
    pub(crate) fn peek(&mut self) -> Option<u8> {
        // Nearly always: AWS sends no space.
        match self.byte() {
            Some(..=b' ') => self.peek_behind_space(),
            byte => byte,
        }
    }

    #[cold]
    fn peek_behind_space(&mut self) -> Option<u8> {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.byte() {
            self.at += 1;
        }
        self.byte()
    }

    /// Takes a value of any kind. Returns whether it is something else than `null`.
    pub(crate) fn skip(&mut self) -> Result<bool, DecodeError> {
        if self.takes_null()? {
            return Ok(false);
        }
        // One bit for each value that is open: an object or an array.
        let (mut objects, mut depth) = (0_u128, 0);
        loop {
            match self.peek() {
                Some(open @ (b'{' | b'[')) => {
                    if depth == MAX_DEPTH {
                        return Err(self.problem("it is nested too deep"));
                    }
                    self.at += 1;
                    (objects, depth) = (objects << 1 | u128::from(open == b'{'), depth.saturating_add(1));
                    let close = if open == b'{' { b'}' } else { b']' };
                    if self.peek() != Some(close) {
                        if open == b'{' {
                            self.name()?;
                        }
                        continue;
                    }
                }
                _ => self.skip_scalar()?,
            }
            // The value has ended, and with it perhaps those around it.
            loop {
                if depth == 0 {
                    return Ok(true);
                }
                let is_object = objects & 1 == 1;
                if self.takes(if is_object { b'}' } else { b']' }) {
                    (objects, depth) = (objects >> 1, depth.saturating_sub(1));
                    continue;
                }
                if !self.takes(b',') {
                    return Err(self.expected(if is_object { "`,` or `}`" } else { "`,` or `]`" }));
                }
                if is_object {
                    self.name()?;
                }
                break;
            }
        }
    }

    /// Checks that nothing follows.
    pub(crate) fn end(&mut self) -> Result<(), DecodeError> {
        match self.peek() {
            None => Ok(()),
            Some(_) => Err(self.problem("something follows the end of the event")),
        }
    }

    /// An error about the next byte, or about what ends before it.
    #[cold]
    pub(crate) fn problem(&self, what: &str) -> DecodeError {
        let before = self.text.as_bytes().get(..self.at).unwrap_or_default();
        let line = 1 + before.iter().filter(|byte| **byte == b'\n').count();
        let column = 1 + before.iter().rev().take_while(|byte| **byte != b'\n').count();
        DecodeError::Json(format!("{what} at line {line} column {column}"))
    }

    /// The value is not quoted, since it may be a secret.
    #[cold]
    fn wrong_type(&mut self) -> DecodeError {
        match self.peek() {
            None => self.problem("it is cut off"),
            Some(b'{' | b'[' | b'"' | b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => {
                self.problem("a member has the wrong type")
            }
            Some(_) => self.problem("a value is missing"),
        }
    }

    #[cold]
    fn expected(&mut self, what: &str) -> DecodeError {
        match self.peek() {
            None => self.problem("it is cut off"),
            Some(_) => self.problem(&format!("{what} is missing")),
        }
    }

    fn byte(&self) -> Option<u8> {
        self.text.as_bytes().get(self.at).copied()
    }

    fn takes(&mut self, byte: u8) -> bool {
        let is_next = self.peek() == Some(byte);
        self.at += usize::from(is_next);
        is_next
    }

    fn open(&mut self, first: u8) -> Result<(), DecodeError> {
        if self.takes(first) { Ok(()) } else { Err(self.wrong_type()) }
    }

    fn word(&mut self, word: &str) -> Result<(), DecodeError> {
        if !self.text.as_bytes().get(self.at..).unwrap_or_default().starts_with(word.as_bytes()) {
            return Err(self.problem("a value is missing"));
        }
        self.at += word.len();
        Ok(())
    }

    /// The name of a member that is skipped.
    fn name(&mut self) -> Result<(), DecodeError> {
        self.string()?;
        if self.takes(b':') { Ok(()) } else { Err(self.expected("`:`")) }
    }

    fn skip_scalar(&mut self) -> Result<(), DecodeError> {
        match self.peek() {
            Some(b'"') => self.string().map(drop),
            Some(b'-' | b'0'..=b'9') => self.skip_number(),
            Some(b'n') => self.word("null"),
            _ => self.flag().map(drop),
        }
    }

    fn skip_number(&mut self) -> Result<(), DecodeError> {
        self.at += usize::from(self.byte() == Some(b'-'));
        let first = self.byte();
        let mut is_valid = match self.digits() {
            0 => false,
            1 => true,
            _ => first != Some(b'0'),
        };
        if self.byte() == Some(b'.') {
            self.at += 1;
            is_valid &= self.digits() > 0;
        }
        if let Some(b'e' | b'E') = self.byte() {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), Some(b'+' | b'-')));
            is_valid &= self.digits() > 0;
        }
        if is_valid { Ok(()) } else { Err(self.problem("a number is invalid")) }
    }

    fn digits(&mut self) -> usize {
        let start = self.at;
        while self.byte().is_some_and(|byte| byte.is_ascii_digit()) {
            self.at += 1;
        }
        self.at - start
    }

    /// Takes the part of a string that stands for itself: up to a quote, a backslash or a control character.
    fn plain(&mut self) -> &'a str {
        const ONES: u64 = 0x0101_0101_0101_0101;
        const HIGH: u64 = ONES << 7;
        let rest = self.text.get(self.at..).unwrap_or_default();
        let (words, tail) = rest.as_bytes().as_chunks::<8>();
        // Eight bytes at a time. The high bit of a byte is set if it is special, and perhaps if one before it is.
        let special = |word: &[u8; 8]| {
            let word = u64::from_le_bytes(*word);
            // The quote, 0x22, changes places with 0x20: then it and the control characters are all that is below 0x21.
            let (low, backslash) = (word ^ 0x0202_0202_0202_0202, word ^ 0x5C5C_5C5C_5C5C_5C5C);
            (low.wrapping_sub(0x2121_2121_2121_2121) & !low | backslash.wrapping_sub(ONES) & !backslash) & HIGH
        };
        let found = words.iter().enumerate().find_map(|(index, word)| match special(word) {
            0 => None,
            found => Some(index * 8 + found.trailing_zeros() as usize / 8),
        });
        let length = found.unwrap_or_else(|| {
            let plain = tail.iter().take_while(|byte| !matches!(byte, b'"' | b'\\' | 0..0x20)).count();
            words.len() * 8 + plain
        });
        self.at += length;
        rest.get(..length).unwrap_or_default()
    }

    /// Takes the rest of a string that has escapes.
    fn unescaped(&mut self) -> Result<String, DecodeError> {
        let mut out = String::new();
        loop {
            out.push_str(self.plain());
            let special = self.byte();
            self.at += usize::from(special.is_some());
            match special {
                Some(b'"') => return Ok(out),
                Some(b'\\') => out.push(self.escape()?),
                Some(_) => return Err(self.problem("a string has a control character")),
                None => return Err(self.problem("it is cut off in a string")),
            }
        }
    }

    fn escape(&mut self) -> Result<char, DecodeError> {
        let byte = self.byte();
        self.at += usize::from(byte.is_some());
        Ok(match byte {
            Some(byte @ (b'"' | b'\\' | b'/')) => char::from(byte),
            Some(b'b') => '\u{8}',
            Some(b'f') => '\u{c}',
            Some(b'n') => '\n',
            Some(b'r') => '\r',
            Some(b't') => '\t',
            Some(b'u') => {
                let unit = self.code_unit()?;
                let low = match unit {
                    0xD800..0xDC00 if self.text.as_bytes().get(self.at..).unwrap_or_default().starts_with(b"\\u") => {
                        self.at += 2;
                        Some(self.code_unit()?)
                    }
                    _ => None,
                };
                let decoded = char::decode_utf16([unit].into_iter().chain(low)).next();
                decoded.and_then(Result::ok).ok_or_else(|| self.problem("half of a surrogate pair"))?
            }
            Some(_) => return Err(self.problem("an escape is unknown")),
            None => return Err(self.problem("it is cut off in a string")),
        })
    }

    /// The four hexadecimal digits of a `\u` escape.
    fn code_unit(&mut self) -> Result<u16, DecodeError> {
        let digits = self.text.get(self.at..self.at + 4).filter(|digits| digits.bytes().all(|b| b.is_ascii_hexdigit()));
        let unit = digits.and_then(|digits| u16::from_str_radix(digits, 16).ok());
        let unit = unit.ok_or_else(|| self.problem("a `\\u` escape without four hexadecimal digits"))?;
        self.at += 4;
        Ok(unit)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::Value;

    use super::*;

    /// A value as the library would read it. Numbers are not read, so they are all one.
    fn read(reader: &mut Reader<'_>) -> Result<Value, DecodeError> {
        match reader.peek() {
            Some(b'{') => {
                let mut members = serde_json::Map::new();
                reader.object(|reader, name| {
                    members.insert(name.0.into_owned(), read(reader)?);
                    Ok(())
                })?;
                Ok(Value::Object(members))
            }
            Some(b'[') => {
                let mut elements = Vec::new();
                reader.array(|reader| {
                    elements.push(read(reader)?);
                    Ok(())
                })?;
                Ok(Value::Array(elements))
            }
            Some(b'"') => Ok(Value::String(reader.string()?.0.into_owned())),
            Some(b't' | b'f') => Ok(Value::Bool(reader.flag()?)),
            Some(b'n') => reader.takes_null().map(|_| Value::Null),
            _ => reader.skip().map(|_| Value::Number(0.into())),
        }
    }

    fn without_numbers(value: Value) -> Value {
        match value {
            Value::Number(_) => Value::Number(0.into()),
            Value::Array(elements) => elements.into_iter().map(without_numbers).collect(),
            Value::Object(members) => members.into_iter().map(|(name, value)| (name, without_numbers(value))).collect(),
            other => other,
        }
    }

    /// We read in a text what the library reads in it, and skipping accepts the same texts.
    fn check(text: &str) {
        let theirs = serde_json::from_str::<Value>(text);
        // It reads numbers as well, and rejects those that no float can hold.
        if theirs.as_ref().is_err_and(|error| error.to_string().starts_with("number out of range")) {
            return;
        }
        let mut reader = Reader::new(text);
        let ours = read(&mut reader).and_then(|value| reader.end().map(|()| value));
        let mut reader = Reader::new(text);
        let skipped = reader.skip().and_then(|is_there| reader.end().map(|()| is_there));
        match theirs {
            Ok(theirs) => {
                assert_eq!(skipped.ok(), Some(!theirs.is_null()), "{text}");
                assert_eq!(ours.ok(), Some(without_numbers(theirs)), "{text}");
            }
            Err(error) => {
                assert!(ours.is_err() && skipped.is_err(), "{text}: {error}, {ours:?}, {skipped:?}");
            }
        }
    }

    #[test]
    fn every_kind_of_value_and_every_error() {
        for text in [
            "",
            " ",
            "{",
            "{}",
            " { } ",
            "[",
            "[]",
            "[ ]",
            "{]",
            "[}",
            "nul",
            "null",
            "nulll",
            "tru",
            "true",
            "false",
            "\"",
            "\"\"",
            "\"a",
            r#""\"#,
            r#""\""#,
            r#""\"""#,
            r#""\x""#,
            r#""\b\f\n\r\t\/\\""#,
            "\"\n\"",
            "\"\u{1f}\"",
            "\"\u{7f}\"",
            r#""\u00""#,
            r#""\u00e9""#,
            r#""\uD83D""#,
            r#""\uD83D\uDE00""#,
            r#""\uDE00""#,
            r#""\uD83D\u0041""#,
            r#""\uD83D\n""#,
            r#""\u+041""#,
            r#""\uéaaa""#,
            "-",
            "0",
            "-0",
            "01",
            "1.",
            ".1",
            "1.5",
            "1e",
            "1e+",
            "1e+5",
            "1E-5",
            "1.5e5",
            "+1",
            "1 2",
            "[1,]",
            "[,1]",
            "[1 2]",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{,}",
            "{\"a\":1 \"b\":2}",
            "{a:1}",
            "{1:1}",
            "[[[1],[{}]],{\"a\":[{\"b\":null}]}]",
            "[1}",
            "{\"a\":[}",
            "[\"a\",\"\\u0000\"]",
            "\u{feff}1",
            "{\"a\":1,\"a\":2}",
            "[true,false,null,-1.5e3]",
            "NaN",
            "\"é\u{1F600}\"",
            "\u{a0}1",
        ] {
            check(text);
        }
        for length in 0..20 {
            for end in ["\"", "\\n\"", "\u{1}\"", "é\"", "\u{7f}\"", ""] {
                check(&format!("\"{}{end}", "a".repeat(length)));
            }
        }
    }

    #[test]
    fn nesting_is_limited() {
        let nested = |depth: usize| format!("{}{}", "[".repeat(depth), "]".repeat(depth));
        assert!(Reader::new(&nested(128)).skip().is_ok());
        assert!(Reader::new(&nested(129)).skip().is_err());
        assert!(Reader::new(&"[".repeat(1_000_000)).skip().is_err());
    }

    #[test]
    fn what_has_no_escape_is_borrowed() {
        let text = r#"["plain","with\n"]"#;
        let mut borrowed = Vec::new();
        let mut reader = Reader::new(text);
        reader
            .array(|reader| {
                borrowed.push(matches!(reader.string()?.0, Cow::Borrowed(_)));
                Ok(())
            })
            .unwrap();
        assert_eq!(borrowed, [true, false]);
    }

    #[test]
    fn errors_name_a_place_and_no_value() {
        let mut reader = Reader::new("{\n \"a\": 17}");
        let error = reader.object(|reader, _| reader.string().map(drop)).unwrap_err();
        assert_eq!(error.to_string(), "the event cannot be read: a member has the wrong type at line 2 column 7");
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_library(text in "([\\[\\]{},: \"\\\\ntruefalsnl0-9.eE+-]|\\\\u[dD][89a-cA-F][0-9]{2}|\\PC){0,24}") {
            check(&text);
        }

        #[test]
        fn it_agrees_with_the_library_about_what_is_nearly_json(value in json(), at in any::<prop::sample::Index>(), other in "[\\[\\]{},:\"\\\\a0]") {
            let text = value.to_string();
            check(&text);
            let at = at.index(text.len());
            if let (Some(before), Some(after)) = (text.get(..at), text.get(at + 1..)) {
                check(&format!("{before}{other}{after}"));
                check(&format!("{before}{after}"));
            }
        }
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Bool),
            any::<i64>().prop_map(Value::from),
            "\\PC{0,12}|[\u{0}-\u{1f}\"\\\\a]{0,12}".prop_map(Value::String),
        ];
        leaf.prop_recursive(4, 32, 5, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..5).prop_map(Value::Array),
                prop::collection::vec(("\\PC{0,6}", inner), 0..5)
                    .prop_map(|members| Value::Object(members.into_iter().collect())),
            ]
        })
    }
}
