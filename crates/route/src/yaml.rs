//! YAML (and so JSON) text as a tree whose nodes know their place. Knows nothing of what it means, but for
//! `${env:NAME}`, which it replaces in values.
//!
//! Built on the parser's events, not on serde: the tree is all that is needed, and a third of the size in the function.
//! Anchors and aliases work; tags, merge keys and several documents do not, and say so.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use crate::diagnostic::{Diagnostic, MAX_FINDINGS};
use crate::masked::masked;
use crate::surroundings::Surroundings;

/// The longest text, in bytes: some ten thousand routes, and still read in a moment.
pub(crate) const MAX_TEXT: usize = 8 * 1024 * 1024;

/// Nodes in one document: more than any real configuration has, few enough that aliases of aliases cannot grow without
/// end.
pub(crate) const MAX_NODES: usize = 1_000_000;

/// Nodes within nodes: more than any real configuration has, few enough for the smallest stack.
const MAX_DEPTH: usize = 64;

/// How a variable of the environment begins.
pub(crate) const VARIABLE: &str = "${env:";

/// A value and where it stands: line and column, from 1.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: (u32, u32),
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    /// In the order of the text; no name twice.
    Map(Vec<(Key, Node)>),
}

/// A value that is no collection. What type it has is for its reader to say: `010` is a number in one place and a
/// customer's id in another.
#[derive(Clone, Debug)]
pub(crate) struct Scalar {
    pub(crate) text: Box<str>,
    /// Without quotes: it can be a number, a boolean or nothing.
    is_plain: bool,
    /// How it stands in the file, where that is not `text`.
    pub(crate) written: Option<Box<Written>>,
}

/// A text with variables of the environment: as it stands in the file, since their values are not shown, and taken apart.
#[derive(Clone, Debug)]
pub(crate) struct Written {
    pub(crate) text: Box<str>,
    pub(crate) pieces: Vec<Piece>,
}

/// A part of a text. Only what stands in the file can mean something where a text has a syntax of its own, such as `${host}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    OfFile(String),
    OfEnvironment(String),
}

impl Piece {
    fn text(&self) -> &str {
        match self {
            Piece::OfFile(text) | Piece::OfEnvironment(text) => text,
        }
    }
}

/// A name in a map.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) place: (u32, u32),
    pub(crate) name: Box<str>,
}

impl Scalar {
    pub(crate) fn plain(text: &str) -> Self {
        Scalar { text: text.into(), is_plain: true, written: None }
    }

    pub(crate) fn quoted(text: &str) -> Self {
        Scalar { text: text.into(), is_plain: false, written: None }
    }

    /// With the environment's values in it; these can be of any type, even within quotes.
    pub(crate) fn expanded(text: &str, pieces: Vec<Piece>) -> Self {
        let expanded: String = pieces.iter().map(Piece::text).collect();
        Scalar { written: Some(Box::new(Written { text: text.into(), pieces })), ..Scalar::plain(&expanded) }
    }

    /// The core schema (YAML 1.2 section 10.3): only what stands without quotes can be other than text.
    pub(crate) fn is_null(&self) -> bool {
        self.is_plain && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }

    pub(crate) fn as_bool(&self) -> Option<bool> {
        match &*self.text {
            "true" | "True" | "TRUE" if self.is_plain => Some(true),
            "false" | "False" | "FALSE" if self.is_plain => Some(false),
            _ => None,
        }
    }

    pub(crate) fn as_number(&self) -> Option<f64> {
        let digits = self.text.trim_start_matches(['-', '+', '.']);
        let is_numeric = self.is_plain && digits.starts_with(|first: char| first.is_ascii_digit());
        if is_numeric { self.text.parse().ok() } else { None }
    }
}

impl Value {
    /// For messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Scalar(scalar) if scalar.is_null() => "nothing",
            Value::Scalar(scalar) if scalar.as_bool().is_some() => "a boolean",
            Value::Scalar(scalar) if scalar.as_number().is_some() => "a number",
            Value::Scalar(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Parses a text that holds one document. What can be told without giving up on the document goes into `mistakes`.
pub(crate) fn parse(
    text: &str,
    surroundings: &dyn Surroundings,
    mistakes: &mut Vec<Diagnostic>,
) -> Result<Node, Box<Diagnostic>> {
    if text.len() > MAX_TEXT {
        let message = format!("the file has {} bytes, it may have {MAX_TEXT}", text.len());
        return Err(Box::new(Diagnostic { place: None, ..Diagnostic::error((1, 1), message) }));
    }
    let events = Parser::new_from_str(text);
    let mut reader = Reader { events, anchors: BTreeMap::new(), nodes: 0, depth: 0, surroundings, mistakes };
    let document = loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (Event::StreamEnd | Event::DocumentEnd, _) => {
                return Ok(Node { place: (1, 1), value: Value::Scalar(Scalar::plain("")) });
            }
            (event, span) => break reader.node(event, span)?,
        }
    };
    loop {
        match reader.next()? {
            (Event::DocumentEnd, _) => {}
            (Event::StreamEnd, _) => return Ok(document),
            (_, span) => return Err(wrong(span, "a second document begins here, there may be one only")),
        }
    }
}

struct Reader<'t, 's> {
    events: Parser<'t, StrInput<'t>>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    depth: usize,
    surroundings: &'s dyn Surroundings,
    mistakes: &'s mut Vec<Diagnostic>,
}

impl<'t> Reader<'t, '_> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Box<Diagnostic>> {
        self.events.next_event().unwrap_or(Ok((Event::StreamEnd, Span::default()))).map_err(not_yaml)
    }

    /// The node that an event begins.
    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, Box<Diagnostic>> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(wrong(span, "the document is too large"));
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(wrong(span, "the document is too deep"));
        }
        let (value, anchor, tag) = match event {
            Event::Scalar(text, style, anchor, tag) => (self.scalar(&text, style, span), anchor, tag),
            Event::SequenceStart(_, anchor, tag) => (Value::List(self.items()?), anchor, tag),
            Event::MappingStart(_, anchor, tag) => (Value::Map(self.members()?), anchor, tag),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor) else {
                    return Err(wrong(span, "an alias within what it stands for"));
                };
                let (nodes, levels) = extent(node);
                self.nodes += nodes;
                if self.nodes > MAX_NODES {
                    return Err(wrong(span, "the document is too large"));
                }
                if self.depth + levels > MAX_DEPTH + 1 {
                    return Err(wrong(span, "the document is too deep"));
                }
                self.depth -= 1;
                return Ok(Node { place: place(span), value: node.value.clone() });
            }
            _ => return Err(wrong(span, "this is not expected here")),
        };
        if tag.is_some() {
            return Err(wrong(span, "tags are not supported"));
        }
        self.depth -= 1;
        let node = Node { place: place(span), value };
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn items(&mut self) -> Result<Vec<Node>, Box<Diagnostic>> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn members(&mut self) -> Result<Vec<(Key, Node)>, Box<Diagnostic>> {
        let mut members: Vec<(Key, Node)> = Vec::new();
        loop {
            let key = match self.next()? {
                (Event::MappingEnd, _) => break,
                (Event::Scalar(text, ..), span) => Key { place: place(span), name: text.into() },
                (_, span) => return Err(wrong(span, "a key must be a text")),
            };
            if key.name.contains(VARIABLE) {
                let hint = Some("variables are replaced in values only".to_owned());
                self.mistakes
                    .push(Diagnostic { hint, ..Diagnostic::error(key.place, "a variable in a key".to_owned()) });
            }
            let (event, span) = self.next()?;
            let node = self.node(event, span)?;
            members.push((key, node));
        }
        self.note_duplicates(&members);
        Ok(members)
    }

    fn note_duplicates(&mut self, members: &[(Key, Node)]) {
        let mut keys: Vec<&Key> = members.iter().map(|(key, _)| key).collect();
        keys.sort_by_key(|key| &key.name);
        for pair in keys.windows(2) {
            if let [first, second] = pair
                && first.name == second.name
                && self.mistakes.len() < MAX_FINDINGS
            {
                let message = format!("duplicate key `{}`", masked(&second.name));
                let hint = Some(format!("it stands in line {}, too", first.place.0));
                self.mistakes.push(Diagnostic { hint, ..Diagnostic::error(second.place, message) });
            }
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Span) -> Value {
        let as_it_is = if style == ScalarStyle::Plain { Scalar::plain(text) } else { Scalar::quoted(text) };
        if !text.contains(VARIABLE) {
            return Value::Scalar(as_it_is);
        }
        match expand(text, self.surroundings) {
            Ok(pieces) => Value::Scalar(Scalar::expanded(text, pieces)),
            Err((message, hint)) => {
                self.mistakes.push(Diagnostic { hint: Some(hint), ..Diagnostic::error(place(span), message) });
                Value::Scalar(as_it_is)
            }
        }
    }
}

/// Replaces `${env:NAME}` and `${env:NAME, default}`; `$${env:` stands for `${env:`.
pub(crate) fn expand(text: &str, surroundings: &dyn Surroundings) -> Result<Vec<Piece>, (String, String)> {
    let (mut pieces, mut of_file) = (Vec::new(), String::new());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once(VARIABLE) {
        if let Some(before) = before.strip_suffix('$') {
            of_file.push_str(before);
            of_file.push_str(VARIABLE);
            rest = after;
            continue;
        }
        let Some((inner, behind)) = after.split_once('}') else {
            return Err(("`${env:` has no `}`".to_owned(), "write `${env:NAME}` or `${env:NAME, default}`".to_owned()));
        };
        let (name, default) = match inner.split_once(',') {
            Some((name, default)) => (name.trim(), Some(unquoted(default.trim()))),
            None => (inner.trim(), None),
        };
        let value = surroundings.variable(name).or_else(|| default.map(str::to_owned)).ok_or_else(|| {
            let hint = format!("set it, or give a default: `${{env:{name}, value}}`");
            (format!("the environment variable `{name}` is not set"), hint)
        })?;
        of_file.push_str(before);
        pieces.extend([Piece::OfFile(std::mem::take(&mut of_file)), Piece::OfEnvironment(value)]);
        rest = behind;
    }
    of_file.push_str(rest);
    pieces.push(Piece::OfFile(of_file));
    Ok(pieces)
}

fn unquoted(text: &str) -> &str {
    let within = |quote| text.strip_prefix(quote).and_then(|text| text.strip_suffix(quote));
    within('\'').or_else(|| within('"')).unwrap_or(text)
}

/// How many nodes there are in one, and on how many levels.
fn extent(node: &Node) -> (usize, usize) {
    let sum = |(nodes, levels): (usize, usize), inner: &Node| {
        let (more, below) = extent(inner);
        (nodes + more, levels.max(below + 1))
    };
    match &node.value {
        Value::Map(members) => members.iter().map(|(_, inner)| inner).fold((1, 1), sum),
        Value::List(items) => items.iter().fold((1, 1), sum),
        Value::Scalar(_) => (1, 1),
    }
}

fn place(span: Span) -> (u32, u32) {
    from_marker(span.start.line(), span.start.col())
}

/// A text is far shorter than these numbers reach.
fn from_marker(line: usize, column: usize) -> (u32, u32) {
    (line as u32, (column as u32).saturating_add(1))
}

fn wrong(span: Span, message: &str) -> Box<Diagnostic> {
    Box::new(Diagnostic::error(place(span), message.to_owned()))
}

fn not_yaml(error: ScanError) -> Box<Diagnostic> {
    let place = from_marker(error.marker().line(), error.marker().col());
    Box::new(Diagnostic::error(place, format!("this is not YAML: {}", error.kind())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::surroundings::Nothing;

    fn parse(text: &str) -> Result<Node, Box<Diagnostic>> {
        super::parse(text, &Nothing, &mut Vec::new())
    }

    fn scalar(text: &str) -> Scalar {
        match parse(text).unwrap().value {
            Value::Scalar(scalar) => scalar,
            other => panic!("{}", other.kind()),
        }
    }

    #[test]
    fn only_plain_scalars_have_a_type_and_all_keep_their_text() {
        assert_eq!(scalar("-1.5e3").as_number(), Some(-1500.0));
        assert_eq!(scalar("010").as_number(), Some(10.0));
        assert_eq!(&*scalar("010").text, "010");
        assert_eq!(scalar("true").as_bool(), Some(true));
        assert!(scalar("~").is_null() && scalar("").is_null());
        for text in ["'5'", "\"true\"", "yes", "5s", "inf", "nan", "1.2.3", "|\n  5\n", "'~'"] {
            let scalar = scalar(text);
            assert!(scalar.as_number().is_none() && scalar.as_bool().is_none() && !scalar.is_null(), "{text}");
        }
    }

    #[test]
    fn aliases_stand_for_what_they_name() {
        let Value::Map(members) = parse("a: &x {b: 1}\nc: *x\n").unwrap().value else { panic!("no map") };
        assert!(matches!(&members[1].1.value, Value::Map(inner) if &*inner[0].0.name == "b"));
        assert_eq!(members[1].1.place, (2, 4));
    }

    #[test] // T23's kin: a few lines that stand for billions of nodes
    fn aliases_cannot_explode() {
        for (open, close, separator) in [("{x: ", "}", ", y: "), ("[", "]", ", ")] {
            let mut text = format!("a0: &a0 {open}1{close}\n");
            for level in 1..40 {
                let below = level - 1;
                text.push_str(&format!("a{level}: &a{level} {open}*a{below} {separator}*a{below} {close}\n"));
            }
            assert_eq!(parse(&text).unwrap_err().message, "the document is too large");
        }
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
        for text in ["[".repeat(65), "[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000)] {
            assert!(parse(&text).is_err());
        }
    }

    #[test]
    fn aliases_do_not_nest_deeper_than_what_is_written() {
        let mut text = "a0: &a0 [x]\n".to_owned();
        for level in 1..100 {
            text.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        assert_eq!(parse(&text).unwrap_err().message, "the document is too deep");
    }

    #[test]
    fn large_texts_and_maps_take_no_time() {
        assert!(parse(&"a".repeat(10_000_000)).unwrap_err().message.contains("bytes"));
        let many: String = (0..100_000).map(|number| format!("k{number}: 1\n")).collect();
        assert!(parse(&many).is_ok());
    }

    struct Variables;

    impl Surroundings for Variables {
        fn variable(&self, name: &str) -> Option<String> {
            (name == "PORT").then(|| "8443".to_owned())
        }

        fn file(&self, _: &std::path::Path) -> Result<Vec<u8>, String> {
            Err(String::new())
        }
    }

    #[test]
    fn variables_of_the_environment() {
        let expand = |text| expand(text, &Variables).map(|pieces| Scalar::expanded(text, pieces).text.into_string());
        assert_eq!(expand("https://h:${env:PORT}/").unwrap(), "https://h:8443/");
        assert_eq!(expand("${env:PORT}${env:NONE, a b}${env:NONE,''}").unwrap(), "8443a b");
        assert_eq!(expand("$${env:PORT}").unwrap(), "${env:PORT}");
        assert!(expand("${env:NONE}").unwrap_err().0.contains("NONE"));
        assert!(expand("${env:NONE").is_err());
        let Value::Scalar(port) = super::parse("'${env:PORT}'", &Variables, &mut Vec::new()).unwrap().value else {
            panic!("no scalar")
        };
        assert_eq!(port.as_number(), Some(8443.0));
    }
}
