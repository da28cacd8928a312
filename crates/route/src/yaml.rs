//! YAML (and so JSON) text as a tree whose nodes know their place. Knows nothing of what it means.
//!
//! Built on the parser's events, not on serde: the tree is all that is needed, and a third of the size in the function.
//! Anchors and aliases work; tags, merge keys and several documents do not, and say so.

use std::collections::BTreeMap;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use crate::diagnostic::Diagnostic;

/// Nodes in one document: more than any real configuration has, few enough that aliases of aliases cannot grow without
/// end.
const MAX_NODES: usize = 50_000;

/// Nodes within nodes: more than any real configuration has, few enough for the smallest stack.
const MAX_DEPTH: usize = 64;

/// A value and where it stands: line and column, from 1.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) place: (usize, usize),
    pub(crate) value: Value,
}

#[derive(Clone, Debug)]
pub(crate) enum Value {
    Null,
    Bool,
    Number(f64),
    Text(String),
    List,
    /// In the order of the text; no name twice.
    Map(Vec<(Key, Node)>),
}

/// A name in a map.
#[derive(Clone, Debug)]
pub(crate) struct Key {
    pub(crate) place: (usize, usize),
    pub(crate) name: String,
}

impl Value {
    /// For messages.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Value::Null => "nothing",
            Value::Bool => "a boolean",
            Value::Number(_) => "a number",
            Value::Text(_) => "a text",
            Value::List => "a list",
            Value::Map(_) => "a map",
        }
    }
}

/// Parses a text that holds one document.
pub(crate) fn parse(text: &str) -> Result<Node, Diagnostic> {
    let mut reader = Reader { events: Parser::new_from_str(text), anchors: BTreeMap::new(), nodes: 0, depth: 0 };
    let document = loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(Node { place: (1, 1), value: Value::Null }),
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

struct Reader<'t> {
    events: Parser<'t, StrInput<'t>>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Diagnostic> {
        self.events.next_event().unwrap_or(Ok((Event::StreamEnd, Span::default()))).map_err(not_yaml)
    }

    /// The node that an event begins.
    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, Diagnostic> {
        self.nodes += 1;
        if self.nodes > MAX_NODES {
            return Err(wrong(span, "the document is too large"));
        }
        self.depth += 1;
        if self.depth > MAX_DEPTH {
            return Err(wrong(span, "the document is too deep"));
        }
        let (value, anchor, tag) = match event {
            Event::Scalar(text, style, anchor, tag) => (scalar(&text, style), anchor, tag),
            Event::SequenceStart(_, anchor, tag) => {
                self.items()?;
                (Value::List, anchor, tag)
            }
            Event::MappingStart(_, anchor, tag) => (Value::Map(self.members()?), anchor, tag),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(wrong(span, "an alias within what it stands for"));
                };
                self.nodes += size(&node);
                self.depth -= 1;
                return Ok(Node { place: place(span), ..node });
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

    fn items(&mut self) -> Result<(), Diagnostic> {
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(()),
                (event, span) => self.node(event, span)?,
            };
        }
    }

    fn members(&mut self) -> Result<Vec<(Key, Node)>, Diagnostic> {
        let mut members: Vec<(Key, Node)> = Vec::new();
        loop {
            let (key, span) = match self.next()? {
                (Event::MappingEnd, _) => return Ok(members),
                (Event::Scalar(text, ..), span) => (Key { place: place(span), name: text.into_owned() }, span),
                (_, span) => return Err(wrong(span, "a key must be a text")),
            };
            if members.iter().any(|(other, _)| other.name == key.name) {
                return Err(wrong(span, &format!("duplicate key `{}`", key.name)));
            }
            let (event, span) = self.next()?;
            let node = self.node(event, span)?;
            members.push((key, node));
        }
    }
}

/// The core schema (YAML 1.2 section 10.3): only what stands without quotes can be other than text.
fn scalar(text: &str, style: ScalarStyle) -> Value {
    if style != ScalarStyle::Plain {
        return Value::Text(text.to_owned());
    }
    match text {
        "" | "~" | "null" | "Null" | "NULL" => Value::Null,
        "true" | "True" | "TRUE" | "false" | "False" | "FALSE" => Value::Bool,
        _ => {
            let is_numeric = text.trim_start_matches(['-', '+', '.']).starts_with(|first: char| first.is_ascii_digit());
            match text.parse() {
                Ok(number) if is_numeric => Value::Number(number),
                _ => Value::Text(text.to_owned()),
            }
        }
    }
}

fn size(node: &Node) -> usize {
    match &node.value {
        Value::Map(members) => 1 + members.iter().map(|(_, node)| size(node)).sum::<usize>(),
        _ => 1,
    }
}

fn place(span: Span) -> (usize, usize) {
    (span.start.line(), span.start.col() + 1)
}

fn wrong(span: Span, message: &str) -> Diagnostic {
    Diagnostic { place: Some(place(span)), path: String::new(), message: message.to_owned(), hint: None }
}

fn not_yaml(error: ScanError) -> Diagnostic {
    let place = Some((error.marker().line(), error.marker().col() + 1));
    let message = format!("this is not YAML: {}", error.kind());
    Diagnostic { place, path: String::new(), message, hint: None }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(text: &str) -> Value {
        parse(text).unwrap().value
    }

    #[test]
    fn only_plain_scalars_have_a_type() {
        assert!(matches!(value("5"), Value::Number(5.0)));
        assert!(matches!(value("-1.5e3"), Value::Number(-1500.0)));
        assert!(matches!(value("true"), Value::Bool));
        assert!(matches!(value("~"), Value::Null));
        for text in ["'5'", "\"true\"", "yes", "5s", "inf", "nan", "1.2.3", "|\n  5\n"] {
            assert!(matches!(value(text), Value::Text(_)), "{text}");
        }
    }

    #[test]
    fn aliases_stand_for_what_they_name() {
        let Value::Map(members) = value("a: &x {b: 1}\nc: *x\n") else { panic!("no map") };
        assert!(matches!(&members[1].1.value, Value::Map(inner) if inner[0].0.name == "b"));
        assert_eq!(members[1].1.place, (2, 4));
    }

    #[test] // T23's kin: a few lines that stand for billions of nodes
    fn aliases_cannot_explode() {
        let mut text = "a0: &a0 {x: 1}\n".to_owned();
        for level in 1..40 {
            let below = level - 1;
            text.push_str(&format!("a{level}: &a{level} {{x: *a{below}, y: *a{below}}}\n"));
        }
        assert_eq!(parse(&text).unwrap_err().message, "the document is too large");
    }

    #[test]
    fn deep_nesting_is_refused_and_does_not_overflow_the_stack() {
        for text in ["[".repeat(65), "[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000)] {
            assert!(parse(&text).is_err());
        }
    }
}
