//! Finds the data in a script: object, array and scalar literals that are assigned to variables or passed to functions.
//! Builds no tree: it follows quotes, comments, regular expressions and brackets, and visits each byte a bounded number of
//! times.

use super::literal;
use crate::work::{Stop, Work};

/// Brackets within brackets. What is deeper is not searched.
const MAX_DEPTH: usize = 200;
/// Data of a script.
const MAX_DATA: usize = 10_000;
/// Bytes of a name.
const MAX_NAME: usize = 100;
/// Cost of a byte of a script, in units of work.
const BYTE_WORK: usize = 4;

/// Data in a script.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Data<'a> {
    /// The variable, the function or the property.
    pub(super) name: &'a str,
    /// The range of the literal.
    pub(super) range: (usize, usize),
    /// Begin of the statement, if that only assigns the literal.
    pub(super) statement: Option<usize>,
    /// `true` if the literal is a string that contains JSON.
    pub(super) is_encoded: bool,
}

/// The token before a position.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Before {
    Begin,
    /// A name or keyword.
    Word,
    /// A string, number, template or regular expression.
    Literal,
    /// A bracket that closes.
    Close,
    /// `=`, but not `==`.
    Assign,
    Other(u8),
}

/// A bracket that is open.
struct Open<'a> {
    byte: u8,
    at: usize,
    /// `true` as long as it contains nothing but data.
    is_data: bool,
    /// The name of what is in it: of a literal, or of arguments.
    name: Option<&'a str>,
    /// See [`Data::statement`].
    statement: Option<usize>,
    /// Begin of the expression that an index belongs to.
    chain: Option<usize>,
}

struct Scan<'a> {
    text: &'a str,
    at: usize,
    before: Before,
    /// `true` if a line ended since the last token.
    is_new_line: bool,
    open: Vec<Open<'a>>,
    data: Vec<Data<'a>>,
    /// Begin of the expression that ends here: `window.a["b"]`.
    chain: Option<usize>,
    /// Begin of the statement that consists of that expression so far.
    statement: Option<usize>,
    /// The expression that is assigned to.
    target: Option<&'a str>,
    /// Up to where each kind of quote, and `/`, is known to have no end.
    unclosed: [usize; 4],
}

/// Returns the data, in the order of the text.
pub(super) fn data<'a>(text: &'a str, work: &Work<'_>) -> Result<Vec<Data<'a>>, Stop> {
    work.spend(BYTE_WORK * text.len())?;
    let mut scan = Scan {
        text,
        at: 0,
        before: Before::Begin,
        is_new_line: false,
        open: Vec::new(),
        data: Vec::new(),
        chain: None,
        statement: None,
        target: None,
        unclosed: [0; 4],
    };
    while scan.at < text.len() && scan.open.len() < MAX_DEPTH && scan.data.len() < MAX_DATA {
        scan.step();
    }
    Ok(scan.data)
}

impl<'a> Scan<'a> {
    fn rest(&self) -> &'a str {
        self.text.get(self.at..).unwrap_or_default()
    }

    fn step(&mut self) {
        let rest = self.rest();
        let Some(first) = rest.bytes().next() else { return };
        match first {
            b'\n' => {
                self.is_new_line = true;
                self.at += 1;
            }
            _ if first.is_ascii_whitespace() => self.at += 1,
            b'/' if rest.starts_with("//") => self.at += rest.find('\n').unwrap_or(rest.len()),
            b'/' if rest.starts_with("/*") => self.at += rest.find("*/").map_or(rest.len(), |end| end + 2),
            b'"' | b'\'' | b'`' => self.quoted(first),
            b'/' if self.is_value() || self.before == Before::Close => match self.closed(3, end_of_regex) {
                Some(length) => self.token(length, Before::Literal, false),
                None => self.token(1, Before::Other(b'/'), false),
            },
            b'(' | b'[' | b'{' => self.open(first),
            b')' | b']' | b'}' => self.close(),
            b'=' => {
                let length = rest.bytes().take_while(|byte| *byte == b'=').count();
                let is_arrow = rest.starts_with("=>");
                let is_operator = matches!(self.before, Before::Other(b'!' | b'<' | b'>' | b'+' | b'-' | b'*' | b'%'));
                if length == 1 && !is_arrow && !is_operator {
                    self.target = self.expression();
                    self.token(1, Before::Assign, false);
                } else {
                    self.token(length + usize::from(is_arrow), Before::Other(b'>'), false);
                }
            }
            _ if literal::is_word(first) && first != b'+' && first != b'.' => self.word(),
            _ => {
                let length = rest.chars().next().map_or(1, char::len_utf8);
                let is_data = matches!(first, b',' | b':' | b'-' | b'!' | b'.' | b'+');
                if first == b';' {
                    self.target = None;
                }
                let chain = self.chain.filter(|_| first == b'.');
                let statement = self.statement.filter(|_| first == b'.');
                self.token(length, Before::Other(first), is_data);
                (self.chain, self.statement) = (chain, statement);
            }
        }
    }

    /// Consumes a token.
    fn token(&mut self, length: usize, before: Before, is_data: bool) {
        if !is_data && let Some(open) = self.open.last_mut() {
            open.is_data = false;
        }
        self.at += length;
        self.before = before;
        self.is_new_line = false;
        if !matches!(before, Before::Word | Before::Assign) {
            (self.chain, self.statement) = (None, None);
        }
    }

    /// Returns `true` where a value can begin.
    fn is_value(&self) -> bool {
        !matches!(self.before, Before::Word | Before::Literal | Before::Close)
    }

    /// Returns the length of what begins here and has an end, as `end` finds it; kinds are numbered.
    fn closed(&mut self, kind: usize, end: fn(&str) -> Option<usize>) -> Option<usize> {
        let known = self.unclosed.get(kind).copied().unwrap_or(0);
        if self.at < known {
            return None;
        }
        let length = end(self.rest());
        if length.is_none() {
            let line = if kind == 2 { None } else { self.rest().find('\n') };
            let until = line.map_or(self.text.len(), |end| self.at + end);
            self.unclosed.get_mut(kind).into_iter().for_each(|known| *known = until);
        }
        length
    }

    fn quoted(&mut self, quote: u8) {
        let kind = usize::from(quote == b'\'') + 2 * usize::from(quote == b'`');
        let Some(length) = self.closed(kind, end_of_string) else { return self.token(1, Before::Other(quote), false) };
        let is_template = quote == b'`';
        if !is_template {
            self.scalar(length, true);
        }
        self.token(length, Before::Literal, !is_template);
    }

    /// Notes a scalar literal, if it is all that is assigned, or the argument of `JSON.parse`.
    fn scalar(&mut self, length: usize, is_string: bool) {
        let behind = self.text.get(self.at + length..).unwrap_or_default();
        let next = behind.trim_start_matches([' ', '\t', '\r']).bytes().next();
        let is_end = matches!(next, None | Some(b';' | b',' | b'\n' | b'}'));
        let range = (self.at, self.at + length);
        if self.before == Before::Assign
            && is_end
            && let Some(name) = self.target
        {
            let statement = self.statement.filter(|_| next != Some(b','));
            self.data.push(Data { name, range, statement, is_encoded: false });
        } else if is_string
            && self.before == Before::Other(b'(')
            && next == Some(b')')
            && let Some(name) = self.open.last().and_then(|open| open.name)
            && (name == "JSON.parse" || name.ends_with(".parseJSON"))
        {
            self.data.push(Data { name: self.target.unwrap_or(name), range, statement: None, is_encoded: true });
        }
    }

    fn word(&mut self) {
        let rest = self.rest();
        let length = rest.bytes().position(|byte| !literal::is_word(byte) || byte == b'+').unwrap_or(rest.len());
        let word = rest.get(..length).unwrap_or_default();
        let is_number = word.starts_with(|first: char| first.is_ascii_digit());
        let is_keyword = matches!(word, "true" | "false" | "null" | "undefined" | "NaN" | "Infinity");
        if is_number || is_keyword {
            if self.before == Before::Assign {
                self.scalar(length, false);
            }
            return self.token(length, Before::Literal, true);
        }
        let is_name =
            matches!(self.before, Before::Other(b'{' | b',')) && self.open.last().is_some_and(Open::is_object);
        let is_joined = self.before == Before::Other(b'.');
        let is_declared = matches!(word, "var" | "let" | "const" | "export");
        let is_first = match self.before {
            Before::Begin | Before::Other(b';' | b'{') => true,
            Before::Close | Before::Literal | Before::Word => {
                self.is_new_line || self.text.get(..self.at).is_some_and(|text| text.ends_with('}'))
            }
            _ => false,
        };
        let was_declared = self.before == Before::Word && self.is_declared();
        let (chain, statement) = (self.chain, self.statement);
        let at = self.at;
        self.token(length, Before::Word, is_name);
        self.chain = if is_joined { chain } else { Some(at) };
        self.statement = if is_first { Some(at) } else { statement.filter(|_| is_joined || was_declared) };
        // The name comes next.
        let is_return = matches!(word, "return" | "typeof" | "case" | "default" | "in" | "of" | "new");
        if is_return {
            (self.before, self.chain, self.statement) = (Before::Other(b'('), None, None);
        }
        if is_declared {
            self.chain = None;
        }
    }

    /// Returns `true` behind `var`, `let` or `const`.
    fn is_declared(&self) -> bool {
        self.chain.is_none()
    }

    /// Returns the expression that ends here.
    fn expression(&self) -> Option<&'a str> {
        let text = self.text.get(self.chain?..self.at)?.trim_end();
        (text.len() <= MAX_NAME).then_some(text)
    }

    fn open(&mut self, byte: u8) {
        let callee = self.expression();
        let is_index = byte == b'[' && !self.is_value();
        let above = self.open.last();
        let (name, statement) = match (byte, self.before) {
            (b'(', Before::Word | Before::Close) => (callee, None),
            (b'(', _) => (None, None),
            _ if is_index => (None, self.statement),
            (_, Before::Assign) => (self.target, self.statement),
            (_, Before::Other(b'(' | b',')) if above.is_some_and(|above| above.byte == b'(') => {
                (above.and_then(|above| above.name), None)
            }
            (_, Before::Other(b':')) => (self.property(), None),
            _ => (None, None),
        };
        let chain = self.chain.filter(|_| is_index);
        let is_data = byte != b'(' && !is_index;
        let at = self.at;
        self.token(1, Before::Other(byte), byte != b'(' && !is_index);
        self.open.push(Open { byte, at, is_data, name, statement, chain });
    }

    /// Returns the name of the property whose value comes next.
    fn property(&self) -> Option<&'a str> {
        let before = self.text.get(..self.at)?.trim_end().strip_suffix(':')?.trim_end();
        let quoted = before.strip_suffix(['"', '\'']).unwrap_or(before);
        let begin =
            quoted.bytes().rev().take(MAX_NAME).take_while(|byte| literal::is_word(*byte) || *byte == b'-').count();
        let name = quoted.get(quoted.len() - begin..)?;
        (!name.is_empty()).then_some(name)
    }

    fn close(&mut self) {
        let closed = self.open.pop();
        let is_data = closed.as_ref().is_some_and(|closed| closed.is_data);
        self.token(1, Before::Close, is_data);
        let Some(Open { at, name, statement, chain, .. }) = closed else { return };
        if let (true, Some(name)) = (is_data, name) {
            // It contains those within it.
            while self.data.pop_if(|data| data.range.0 > at).is_some() {}
            let next = self.rest().trim_start_matches([' ', '\t', '\r']).bytes().next();
            let is_whole = matches!(next, None | Some(b';' | b'\n' | b'}'));
            let is_end = is_whole || matches!(next, Some(b',' | b')'));
            if is_end {
                let statement = statement.filter(|_| is_whole);
                self.data.push(Data { name, range: (at, self.at), statement, is_encoded: false });
            }
        }
        if chain.is_some() {
            (self.chain, self.statement, self.before) = (chain, statement, Before::Word);
        }
    }
}

impl Open<'_> {
    fn is_object(&self) -> bool {
        self.byte == b'{'
    }
}

/// Returns the length of a quoted text. Only templates may contain line ends that are not escaped.
pub(super) fn end_of_string(text: &str) -> Option<usize> {
    let (mut is_escaped, quote) = (false, text.bytes().next()?);
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'\n' if quote != b'`' => return None,
            _ if byte == quote => return Some(at + 1),
            _ => {}
        }
    }
    None
}

/// Returns the length of a regular expression, with its flags.
fn end_of_regex(text: &str) -> Option<usize> {
    let (mut is_escaped, mut is_class) = (false, false);
    for (at, byte) in text.bytes().enumerate().skip(1) {
        match byte {
            b'\n' => return None,
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = true,
            b'[' => is_class = true,
            b']' => is_class = false,
            b'/' if !is_class => {
                let flags = text.bytes().skip(at + 1).take_while(u8::is_ascii_alphabetic).count();
                return Some(at + 1 + flags);
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::never_over;

    #[test]
    fn data_is_found() {
        for (script, expected) in [
            ("var a = {b: 1};", "a={b: 1}!"),
            ("a = 1\nb = 'x'\n", "a=1! b='x'!"),
            ("let a = {}, b = [];", "a={} b=[]"),
            ("window.a['b'] = {\"c\": [1]}", "window.a['b']={\"c\": [1]}!"),
            ("f({a: 1}, [2])", "f={a: 1} f=[2]"),
            ("a = JSON.parse('{}')", "a='{}'"),
            ("x = {a: {b: 1}, c: function () {}}", "a={b: 1}"),
            ("if (a == {}) { b }", ""),
            ("a = b ? {} : []", ""),
            ("function f() { return {a: 1} }", ""),
            ("a = /[/{]'/.test(b); c = {d: 1}", "c={d: 1}!"),
            ("a = `{${b}`; c = '}'; // d = {}\n/* e = {} */", "c='}'!"),
            ("a += {}", ""),
            ("a = 'b", ""),
            ("(((((", ""),
            ("]})", ""),
        ] {
            let found = data(script, &Work::new(&never_over)).unwrap();
            let shown = |data: &Data<'_>| {
                let whole = if data.statement.is_some() { "!" } else { "" };
                format!("{}={}{whole}", data.name, &script[data.range.0..data.range.1])
            };
            assert_eq!(found.iter().map(shown).collect::<Vec<_>>().join(" "), expected, "{script}");
        }
    }
}
