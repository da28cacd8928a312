//! YAML (and so JSON) text as a tree whose nodes know their file, line and column. Knows nothing of what it means, but for
//! CloudFormation's short tags, which it reads as the long form: `!Ref X` is `{ Ref: X }`, `!Sub x` is `{ "Fn::Sub": x }`.
//!
//! Anchors, aliases and merge keys work; several documents do not. Size, nodes and depth have bounds, aliases counted.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput, Tag};

/// The longest text, in bytes. CloudFormation takes 1 MB.
pub(super) const MAX_TEXT: usize = 8 * 1024 * 1024;
/// Nodes in one document: more than any template has, few enough that aliases of aliases cannot grow without end.
pub(super) const MAX_NODES: usize = 500_000;
/// Nodes within nodes: more than any template has, few enough for the smallest stack.
pub(super) const MAX_DEPTH: usize = 64;

/// Where something stands; line and column from 1.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) file: Arc<str>,
    pub(super) line: usize,
    pub(super) column: usize,
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file, self.line, self.column)
    }
}

#[derive(Clone, Debug)]
pub(super) struct Node {
    pub(super) place: Place,
    pub(super) value: Value,
}

#[derive(Clone, Debug)]
pub(super) enum Value {
    Scalar(Scalar),
    List(Vec<Node>),
    /// In the order of the text; no name twice.
    Map(Vec<(Key, Node)>),
    /// What cannot be known here. No text gives it; those who replace variables do.
    Unknown(Unknown),
}

/// A value that is no collection.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Without quotes: it can be a number, a boolean or nothing.
    pub(super) is_plain: bool,
}

/// A name in a map.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) place: Place,
    pub(super) name: String,
}

/// A value that only AWS, or nobody, could tell.
#[derive(Clone, Debug)]
pub(super) struct Unknown {
    /// As it stands in the file.
    pub(super) written: String,
    pub(super) why: String,
    pub(super) hint: Option<String>,
    /// A mistake of whoever wrote it, and not a matter of AWS.
    pub(super) is_mistake: bool,
}

/// Why a text is no tree.
#[derive(Clone, Debug)]
pub(super) struct Malformed {
    pub(super) place: Place,
    pub(super) message: String,
}

impl Scalar {
    pub(super) fn plain(text: impl Into<String>) -> Self {
        Scalar { text: text.into(), is_plain: true }
    }

    pub(super) fn quoted(text: impl Into<String>) -> Self {
        Scalar { text: text.into(), is_plain: false }
    }

    /// The core schema (YAML 1.2 section 10.3): only what stands without quotes can be other than text.
    pub(super) fn is_null(&self) -> bool {
        self.is_plain && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }
}

impl Node {
    pub(super) fn text(place: &Place, text: impl Into<String>) -> Node {
        Node { place: place.clone(), value: Value::Scalar(Scalar::quoted(text)) }
    }

    pub(super) fn null(place: &Place) -> Node {
        Node { place: place.clone(), value: Value::Scalar(Scalar::plain("")) }
    }

    pub(super) fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// The member of a map.
    pub(super) fn get(&self, name: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(members) => members.iter().find(|(key, _)| key.name == name).map(|(_, node)| node),
            _ => None,
        }
    }

    /// By the names of maps and the indices of lists.
    pub(super) fn at<'n>(&'n self, path: &[&str]) -> Option<&'n Node> {
        path.iter().try_fold(self, |node, name| node.get(name))
    }

    pub(super) fn as_text(&self) -> Option<&str> {
        match &self.value {
            Value::Scalar(scalar) if !scalar.is_null() => Some(&scalar.text),
            _ => None,
        }
    }

    pub(super) fn members(&self) -> &[(Key, Node)] {
        match &self.value {
            Value::Map(members) => members,
            _ => &[],
        }
    }

    pub(super) fn items(&self) -> &[Node] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The only member of a map that has but one: how intrinsic functions are written.
    pub(super) fn only_member(&self) -> Option<(&str, &Node)> {
        match &self.value {
            Value::Map(members) => match &members[..] {
                [(key, node)] => Some((&key.name, node)),
                _ => None,
            },
            _ => None,
        }
    }

    /// For messages.
    pub(super) fn kind(&self) -> &'static str {
        match &self.value {
            Value::Scalar(scalar) if scalar.is_null() => "nothing",
            Value::Scalar(_) => "a value",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Unknown(_) => "something unknown",
        }
    }

    /// How many nodes there are in it, and on how many levels.
    pub(super) fn extent(&self) -> (usize, usize) {
        let sum = |(nodes, levels): (usize, usize), inner: &Node| {
            let (more, below) = inner.extent();
            (nodes + more, levels.max(below + 1))
        };
        match &self.value {
            Value::Map(members) => members.iter().map(|(_, inner)| inner).fold((1, 1), sum),
            Value::List(items) => items.iter().fold((1, 1), sum),
            Value::Scalar(_) | Value::Unknown(_) => (1, 1),
        }
    }
}

/// Parses a text that holds one document; an empty one is nothing.
pub(super) fn parse(text: &str, file: &str) -> Result<Node, Malformed> {
    let file: Arc<str> = file.into();
    let start = Place { file: Arc::clone(&file), line: 1, column: 1 };
    if text.len() > MAX_TEXT {
        let message = format!("the file has {} bytes, it may have {MAX_TEXT}", text.len());
        return Err(Malformed { place: start, message });
    }
    let events = Parser::new_from_str(text.strip_prefix('\u{feff}').unwrap_or(text));
    let mut reader = Reader { events, file, anchors: BTreeMap::new(), nodes: 0, depth: 0 };
    let document = loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(Node::null(&start)),
            (event, span) => break reader.node(event, span)?,
        }
    };
    loop {
        match reader.next()? {
            (Event::DocumentEnd, _) => {}
            (Event::StreamEnd, _) => return Ok(document),
            (_, span) => return Err(reader.wrong(span, "a second document begins here, there may be one only")),
        }
    }
}

struct Reader<'t> {
    events: Parser<'t, StrInput<'t>>,
    file: Arc<str>,
    anchors: BTreeMap<usize, Node>,
    nodes: usize,
    depth: usize,
}

impl<'t> Reader<'t> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Malformed> {
        let event = self.events.next_event().unwrap_or(Ok((Event::StreamEnd, Span::default())));
        event.map_err(|error| self.not_yaml(&error))
    }

    /// The node that an event begins.
    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node, Malformed> {
        self.depth += 1;
        self.count(span, 1, 0)?;
        let (value, anchor, tag) = match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain;
                (Value::Scalar(Scalar { text: text.into(), is_plain }), anchor, tag)
            }
            Event::SequenceStart(_, anchor, tag) => (Value::List(self.items()?), anchor, tag),
            Event::MappingStart(_, anchor, tag) => (Value::Map(self.members()?), anchor, tag),
            Event::Alias(anchor) => {
                let Some(node) = self.anchors.get(&anchor).cloned() else {
                    return Err(self.wrong(span, "an alias within what it stands for"));
                };
                let (nodes, levels) = node.extent();
                self.count(span, nodes, levels - 1)?;
                self.depth -= 1;
                return Ok(Node { place: self.place(span), value: node.value });
            }
            _ => return Err(self.wrong(span, "this is not expected here")),
        };
        self.depth -= 1;
        let place = self.place(span);
        let node = tagged(Node { place, value }, tag.as_deref());
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    fn count(&mut self, span: Span, nodes: usize, levels_below: usize) -> Result<(), Malformed> {
        self.nodes += nodes;
        if self.nodes > MAX_NODES {
            return Err(self.wrong(span, "the document is too large"));
        }
        if self.depth + levels_below > MAX_DEPTH {
            return Err(self.wrong(span, "the document is too deep"));
        }
        Ok(())
    }

    fn items(&mut self) -> Result<Vec<Node>, Malformed> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn members(&mut self) -> Result<Vec<(Key, Node)>, Malformed> {
        let mut members: Vec<(Key, Node)> = Vec::new();
        let mut merged: Vec<(Key, Node)> = Vec::new();
        let mut known = BTreeMap::new();
        loop {
            let (key, is_merge) = match self.next()? {
                (Event::MappingEnd, _) => break,
                (Event::Scalar(text, style, ..), span) => {
                    let is_merge = text == "<<" && style == ScalarStyle::Plain;
                    (Key { place: self.place(span), name: text.into() }, is_merge)
                }
                (_, span) => return Err(self.wrong(span, "a key must be a text")),
            };
            let (event, span) = self.next()?;
            let node = self.node(event, span)?;
            if is_merge {
                merged.extend(self.merged(span, node)?);
                continue;
            }
            if let Some(line) = known.insert(key.name.clone(), key.place.line) {
                let message = format!("duplicate key `{}`, it stands in line {line}, too", key.name);
                return Err(Malformed { place: key.place, message });
            }
            members.push((key, node));
        }
        // What is written wins over what is merged, and of that the first.
        for (key, node) in merged {
            if known.insert(key.name.clone(), key.place.line).is_none() {
                members.push((key, node));
            }
        }
        Ok(members)
    }

    fn merged(&self, span: Span, node: Node) -> Result<Vec<(Key, Node)>, Malformed> {
        match node.value {
            Value::Map(members) => Ok(members),
            Value::List(maps) => {
                let maps: Vec<_> = maps.into_iter().map(|map| self.merged(span, map)).collect::<Result<_, _>>()?;
                Ok(maps.into_iter().flatten().collect())
            }
            Value::Scalar(_) | Value::Unknown(_) => Err(self.wrong(span, "`<<` takes a map or a list of maps")),
        }
    }

    fn place(&self, span: Span) -> Place {
        Place { file: Arc::clone(&self.file), line: span.start.line(), column: span.start.col() + 1 }
    }

    fn wrong(&self, span: Span, message: &str) -> Malformed {
        Malformed { place: self.place(span), message: message.to_owned() }
    }

    fn not_yaml(&self, error: &ScanError) -> Malformed {
        let (line, column) = (error.marker().line(), error.marker().col() + 1);
        let place = Place { file: Arc::clone(&self.file), line, column };
        Malformed { place, message: format!("this is not YAML: {}", error.kind()) }
    }
}

/// `!!str` makes a text of what it stands at; other tags of YAML say what is plain anyway. A tag of CloudFormation is a
/// function with what it stands at as its argument.
fn tagged(node: Node, tag: Option<&Tag>) -> Node {
    let Some(tag) = tag else { return node };
    let (handle, suffix) = tag.parts();
    if handle != "!" || suffix.is_empty() {
        let is_text = suffix == "str" || handle == "!";
        return match node.value {
            Value::Scalar(scalar) => {
                let is_plain = scalar.is_plain && !is_text;
                Node { value: Value::Scalar(Scalar { is_plain, ..scalar }), ..node }
            }
            _ => node,
        };
    }
    let name = match suffix {
        "Ref" | "Condition" => suffix.to_owned(),
        other => format!("Fn::{other}"),
    };
    let place = node.place.clone();
    let argument = match (suffix, &node.value) {
        // `!GetAtt Function.Arn`: the attribute begins behind the first dot, save for nested stacks and SAM's aliases.
        ("GetAtt", Value::Scalar(scalar)) => match scalar.text.split_once('.') {
            Some((resource, attribute)) => {
                let parts = [resource, attribute].map(|part| Node::text(&place, part));
                Node { place: place.clone(), value: Value::List(parts.into()) }
            }
            None => node,
        },
        _ => node,
    };
    Node { place: place.clone(), value: Value::Map(vec![(Key { place, name }, argument)]) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Node, Malformed> {
        super::parse(text, "x.yml")
    }

    /// As JSON, more or less.
    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Scalar(scalar) if scalar.is_null() => "null".to_owned(),
            Value::Scalar(scalar) => scalar.text.clone(),
            Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
            Value::Map(members) => {
                let members: Vec<_> =
                    members.iter().map(|(key, node)| format!("{}: {}", key.name, shown(node))).collect();
                format!("{{{}}}", members.join(", "))
            }
            Value::Unknown(unknown) => format!("?{}", unknown.written),
        }
    }

    #[test]
    fn short_tags_are_the_long_form() {
        let node = parse(
            "a: !Ref X\nb: !GetAtt F.Arn\nc: !Sub ['${A}', { A: !Ref B }]\nd: !If [C, !Ref 'AWS::NoValue', 1]\ne: !!str 5\nf: ! 5\ng: !Condition C\n",
        );
        assert_eq!(
            shown(&node.unwrap()),
            "{a: {Ref: X}, b: {Fn::GetAtt: [F, Arn]}, c: {Fn::Sub: [${A}, {A: {Ref: B}}]}, \
             d: {Fn::If: [C, {Ref: AWS::NoValue}, 1]}, e: 5, f: 5, g: {Condition: C}}"
        );
    }

    #[test]
    fn merge_keys_add_what_is_not_written() {
        let node =
            parse("a: &a { x: 1, y: 2 }\nb: &b { y: 3, z: 4 }\nc:\n  y: 5\n  <<: [*a, *b]\nd: { <<: *a }\n").unwrap();
        assert_eq!(shown(node.get("c").unwrap()), "{y: 5, x: 1, z: 4}");
        assert_eq!(shown(node.get("d").unwrap()), "{x: 1, y: 2}");
        assert!(parse("a: { <<: 1 }").unwrap_err().message.contains("`<<`"));
    }

    #[test]
    fn places_count_from_one() {
        let node = parse("a:\n  - b: c\n").unwrap();
        let inner = node.at(&["a"]).unwrap().items()[0].get("b").unwrap();
        assert_eq!(inner.place.to_string(), "x.yml:2:8");
    }

    #[test]
    fn json_with_its_escapes() {
        let node = parse("{\n\t\"a\\/b\": \"\\u00e9\\n\", \"c\": [1, true, null]\n}").unwrap();
        assert_eq!(shown(&node), "{a/b: \u{e9}\n, c: [1, true, null]}");
    }

    #[test]
    fn what_has_no_end_or_no_sense_is_refused() {
        let mut laughs = "a0: &a0 [1]\n".to_owned();
        for level in 1..40 {
            laughs.push_str(&format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1));
        }
        assert_eq!(parse(&laughs).unwrap_err().message, "the document is too large");
        let mut deep = "a0: &a0 [x]\n".to_owned();
        for level in 1..100 {
            deep.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        assert_eq!(parse(&deep).unwrap_err().message, "the document is too deep");
        for text in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000), "? ".repeat(100_000)] {
            assert!(parse(&text).is_err());
        }
        assert!(parse(&"a".repeat(10_000_000)).unwrap_err().message.contains("bytes"));
        assert!(parse("a: &a [*a]").is_err());
        assert!(parse("a: 1\na: 2").unwrap_err().message.contains("duplicate key `a`"));
        assert!(parse("a: 1\n---\nb: 2").unwrap_err().message.contains("second document"));
        assert!(parse("").unwrap().is_null() && parse("# only\n").unwrap().is_null());
    }
}
