//! YAML (and so JSON) text as a tree. Owns the syntax, the supported subset and the limits; does not interpret values.
//!
//! Built on the parser's events, not on serde, which would triple the size of this code in the function. Anchors and
//! aliases are supported, several documents in one file are not. Callers decide about tags and merge keys.

use std::collections::{BTreeMap, BTreeSet};

use granit_parser::{Event, Parser, ScalarStyle, ScanError, Span, StrInput};

use crate::diagnostic::{Diagnostic, MAX_FINDINGS};
use crate::tree::{Key, Node, Piece, Place, Scalar, Value, duplicates};

/// Longest text in bytes: enough for some ten thousand routes, which still parse quickly.
pub const MAX_TEXT: usize = 8 * 1024 * 1024;

/// Nodes in one document, including those repeated by aliases. Stops aliases of aliases from growing exponentially.
pub const MAX_NODES: usize = 1_000_000;

/// Nesting depth of a document. Deeper recursion could overflow a small stack.
pub const MAX_DEPTH: usize = 64;

/// Replaces the variables in a text. Returns `None` if it contains none.
pub type Substitute<'s> = &'s dyn Fn(&str) -> Option<Result<Vec<Piece>, Unresolved>>;

/// Applies a tag to its node. For `!Ref`, `handle` is `!` and `suffix` is `Ref`.
pub type Tag<X> = fn(Node<X>, handle: &str, suffix: &str) -> Node<X>;

/// Returns the members of a map together with those merged by `<<`; `None` if a merged value is neither a map nor a
/// list of maps.
pub type Merge<X> = fn(members: Vec<(Key, Node<X>)>, merged: Vec<Node<X>>) -> Option<Vec<(Key, Node<X>)>>;

/// A variable that has no value.
#[derive(Clone, Debug)]
pub struct Unresolved {
    /// States the problem.
    pub message: String,
    /// States the remedy.
    pub hint: String,
}

/// Options of the caller.
#[derive(Clone, Copy)]
pub struct Options<'o, X> {
    /// File number stored in all positions.
    pub file: u32,
    /// Applies tags. If `None`, a tag is an error.
    pub tag: Option<Tag<X>>,
    /// Resolves merge keys. If `None`, `<<` is an ordinary key.
    pub merge: Option<Merge<X>>,
    /// Replaces variables in values. A variable in a key is an error.
    pub substitute: Option<Substitute<'o>>,
    /// Masks secrets in a key before a message shows it.
    pub mask: fn(&str) -> String,
}

impl<X> std::fmt::Debug for Options<'_, X> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Options").field("file", &self.file).finish_non_exhaustive()
    }
}

/// Parses a text that holds one document. An empty text is null. Duplicate keys and errors in variables are added to
/// `diagnostics`, and the tree is still returned, with all duplicates.
///
/// # Errors
///
/// The first syntax error, or the limit that the text exceeds.
pub fn parse<X: Clone>(
    text: &str,
    options: &Options<'_, X>,
    diagnostics: &mut Vec<Diagnostic>,
) -> Result<Node<X>, Box<Diagnostic>> {
    let start = Place { file: options.file, line: 1, column: 1 };
    if text.len() > MAX_TEXT {
        let message = format!("the file is {} bytes long, the limit is {MAX_TEXT}", text.len());
        return Err(Box::new(Diagnostic { place: None, ..Diagnostic::error(start, message) }));
    }
    let events = Parser::new_from_str(text);
    let mut reader = Reader { events, anchors: BTreeMap::new(), nodes: 0, depth: 0, options, diagnostics };
    let document = loop {
        match reader.next()? {
            (Event::StreamStart | Event::DocumentStart(..), _) => {}
            (Event::StreamEnd | Event::DocumentEnd, _) => return Ok(Node::plain(start, "")),
            (event, span) => break reader.node(event, span)?,
        }
    };
    loop {
        match reader.next()? {
            (Event::DocumentEnd, _) => {}
            (Event::StreamEnd, _) => return Ok(document),
            (_, span) => {
                let error = reader.error(span, "a second document starts here, expected only one");
                let hint = Some("remove the `---`, or put one of the documents in a file of its own".to_owned());
                return Err(Box::new(Diagnostic { hint, ..*error }));
            }
        }
    }
}

struct Reader<'t, 'o, X> {
    events: Parser<'t, StrInput<'t>>,
    anchors: BTreeMap<usize, Node<X>>,
    nodes: usize,
    depth: usize,
    options: &'o Options<'o, X>,
    diagnostics: &'o mut Vec<Diagnostic>,
}

impl<'t, X: Clone> Reader<'t, '_, X> {
    fn next(&mut self) -> Result<(Event<'t>, Span), Box<Diagnostic>> {
        let event = self.events.next_event().unwrap_or(Ok((Event::StreamEnd, Span::default())));
        event.map_err(|error| self.not_yaml(&error))
    }

    /// Builds the node that starts with `event`.
    fn node(&mut self, event: Event<'t>, span: Span) -> Result<Node<X>, Box<Diagnostic>> {
        self.depth += 1;
        self.nodes += 1;
        self.check_limits(span, 0)?;
        let id = self.last_id();
        let (value, anchor, tag) = match event {
            Event::Scalar(text, style, anchor, tag) => (self.scalar(&text, style, span), anchor, tag),
            Event::SequenceStart(_, anchor, tag) => (Value::List(self.items()?), anchor, tag),
            Event::MappingStart(_, anchor, tag) => (Value::Map(self.members()?), anchor, tag),
            Event::Alias(anchor) => return self.alias(anchor, span),
            _ => return Err(self.error(span, "unexpected content")),
        };
        self.depth -= 1;
        let mut node = Node { id, place: self.place(span), value };
        if let Some(tag) = tag {
            // The place is that of the value; the tag is before it.
            let Some(apply) = self.options.tag else { return Err(self.error(span, "tags are not supported")) };
            let (handle, suffix) = tag.parts();
            node = apply(node, handle, suffix);
        }
        if anchor > 0 {
            self.anchors.insert(anchor, node.clone());
        }
        Ok(node)
    }

    /// Copies the anchored node and gives the copy new IDs.
    fn alias(&mut self, anchor: usize, span: Span) -> Result<Node<X>, Box<Diagnostic>> {
        let Some(node) = self.anchors.get(&anchor) else {
            return Err(self.error(span, "an alias inside its own anchor"));
        };
        let (nodes, levels) = node.extent();
        let mut next = self.last_id();
        self.nodes += nodes;
        self.check_limits(span, levels.saturating_sub(1))?;
        self.depth -= 1;
        let mut copy = Node { place: self.place(span), ..node.clone() };
        copy.renumber(&mut next);
        Ok(copy)
    }

    fn check_limits(&self, span: Span, levels_below: usize) -> Result<(), Box<Diagnostic>> {
        if self.nodes > MAX_NODES {
            // No single place is at fault.
            let error = self.error(span, TOO_MANY);
            return Err(Box::new(Diagnostic { place: None, ..*error }));
        }
        if self.depth + levels_below > MAX_DEPTH {
            return Err(self.error(span, TOO_DEEP));
        }
        Ok(())
    }

    /// `MAX_NODES` fits in 32 bits.
    fn last_id(&self) -> u32 {
        self.nodes as u32
    }

    fn items(&mut self) -> Result<Vec<Node<X>>, Box<Diagnostic>> {
        let mut items = Vec::new();
        loop {
            match self.next()? {
                (Event::SequenceEnd, _) => return Ok(items),
                (event, span) => items.push(self.node(event, span)?),
            }
        }
    }

    fn members(&mut self) -> Result<Vec<(Key, Node<X>)>, Box<Diagnostic>> {
        let mut members: Vec<(Key, Node<X>)> = Vec::new();
        let mut merged: Vec<Node<X>> = Vec::new();
        let mut merged_at = None;
        loop {
            let (key, is_merge) = match self.next()? {
                (Event::MappingEnd, _) => break,
                (Event::Scalar(text, style, ..), span) => {
                    let is_merge = self.options.merge.is_some() && text == "<<" && style == ScalarStyle::Plain;
                    (Key { place: self.place(span), name: text.into() }, is_merge)
                }
                (_, span) => return Err(self.error(span, "a key must be a string")),
            };
            if self.options.substitute.is_some_and(|substitute| substitute(&key.name).is_some()) {
                let hint = Some("variables work in values only".to_owned());
                self.diagnostics
                    .push(Diagnostic { hint, ..Diagnostic::error(key.place, "a variable in a key".to_owned()) });
            }
            let (event, span) = self.next()?;
            let node = self.node(event, span)?;
            if is_merge {
                merged.push(node);
                merged_at = Some(span);
            } else {
                members.push((key, node));
            }
        }
        self.note_duplicates(&members);
        if let (Some(merge), Some(span)) = (self.options.merge, merged_at) {
            return merge(members, merged).ok_or_else(|| self.error(span, NO_MERGE));
        }
        Ok(members)
    }

    fn note_duplicates(&mut self, members: &[(Key, Node<X>)]) {
        for (first, second) in duplicates(members.iter().map(|(key, _)| key).collect()) {
            if self.diagnostics.len() < MAX_FINDINGS {
                let message = format!("duplicate key `{}`", (self.options.mask)(&second.name));
                let hint = Some(format!("first defined in line {}", first.place.line));
                self.diagnostics.push(Diagnostic { hint, ..Diagnostic::error(second.place, message) });
            }
        }
    }

    fn scalar(&mut self, text: &str, style: ScalarStyle, span: Span) -> Value<X> {
        let as_it_is = || if style == ScalarStyle::Plain { Scalar::plain(text) } else { Scalar::quoted(text) };
        Value::Scalar(match self.options.substitute.and_then(|substitute| substitute(text)) {
            None => as_it_is(),
            Some(Ok(pieces)) => Scalar::expanded(text, pieces),
            Some(Err(Unresolved { message, hint })) => {
                let place = self.place(span);
                self.diagnostics.push(Diagnostic { hint: Some(hint), ..Diagnostic::error(place, message) });
                as_it_is()
            }
        })
    }

    fn place(&self, span: Span) -> Place {
        self.place_at(span.start.line(), span.start.col())
    }

    /// Lines and columns fit in 32 bits, since `MAX_TEXT` does.
    fn place_at(&self, line: usize, column: usize) -> Place {
        Place { file: self.options.file, line: line as u32, column: (column as u32).saturating_add(1) }
    }

    fn error(&self, span: Span, message: &str) -> Box<Diagnostic> {
        Box::new(Diagnostic::error(self.place(span), message.to_owned()))
    }

    fn not_yaml(&self, error: &ScanError) -> Box<Diagnostic> {
        let place = self.place_at(error.marker().line(), error.marker().col());
        let hint = Some("check quotes, brackets and indentation in this line and the one before".to_owned());
        Box::new(Diagnostic { hint, ..Diagnostic::error(place, format!("invalid YAML: {}", error.kind())) })
    }
}

const TOO_MANY: &str = "the document has too many nodes";
const TOO_DEEP: &str = "the document is nested too deeply";
const NO_MERGE: &str = "`<<` needs a map or a list of maps";

/// Returns `true` if a mistake in the syntax may be behind an error of [`parse`]: it is neither a limit nor a merge key.
#[must_use]
pub fn may_be_a_mistake(error: &Diagnostic) -> bool {
    ![TOO_MANY, TOO_DEEP, NO_MERGE].contains(&&*error.message)
}

/// YAML 1.1's merge keys, for [`Options::merge`]: explicit members override merged ones, and earlier merged maps
/// override later ones.
#[must_use]
pub fn merge_keys<X>(mut members: Vec<(Key, Node<X>)>, merged: Vec<Node<X>>) -> Option<Vec<(Key, Node<X>)>> {
    fn add<X>(node: Node<X>, known: &mut BTreeSet<Box<str>>, members: &mut Vec<(Key, Node<X>)>) -> Option<()> {
        match node.value {
            Value::Map(more) => members.extend(more.into_iter().filter(|(key, _)| known.insert(key.name.clone()))),
            Value::List(maps) => maps.into_iter().try_for_each(|map| add(map, known, members))?,
            Value::Scalar(_) | Value::Unknown(_) => return None,
        }
        Some(())
    }
    let mut known = members.iter().map(|(key, _)| key.name.clone()).collect();
    merged.into_iter().try_for_each(|node| add(node, &mut known, &mut members))?;
    Some(members)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::convert::Infallible;

    const PLAIN: Options<'_, Infallible> =
        Options { file: 0, tag: None, merge: None, substitute: None, mask: str::to_owned };

    fn parse(text: &str) -> Result<Node, Box<Diagnostic>> {
        super::parse(text, &PLAIN, &mut Vec::new())
    }

    /// Renders a tree in a form close to JSON.
    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Scalar(scalar) if scalar.is_null() => "null".to_owned(),
            Value::Scalar(scalar) => scalar.text.to_string(),
            Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
            Value::Map(members) => {
                let members: Vec<_> =
                    members.iter().map(|(key, node)| format!("{}: {}", key.name, shown(node))).collect();
                format!("{{{}}}", members.join(", "))
            }
            Value::Unknown(never) => match *never {},
        }
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
    fn aliases_repeat_the_anchored_node() {
        let Value::Map(members) = parse("a: &x {b: 1}\nc: *x\n").unwrap().value else { panic!("not a map") };
        assert!(matches!(&members[1].1.value, Value::Map(inner) if &*inner[0].0.name == "b"));
        assert_eq!(members[1].1.place, Place::new(2, 4));
    }

    #[test] // "billion laughs": a few lines that expand to billions of nodes
    fn aliases_cannot_explode() {
        for (open, close, separator) in [("{x: ", "}", ", y: "), ("[", "]", ", ")] {
            let mut text = format!("a0: &a0 {open}1{close}\n");
            for level in 1..40 {
                let below = level - 1;
                text.push_str(&format!("a{level}: &a{level} {open}*a{below} {separator}*a{below} {close}\n"));
            }
            assert_eq!(parse(&text).unwrap_err().message, "the document has too many nodes");
        }
    }

    #[test]
    fn deep_nesting_is_rejected_and_does_not_overflow_the_stack() {
        for text in
            ["[".repeat(65), "[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000), "? ".repeat(100_000)]
        {
            assert!(parse(&text).is_err());
        }
    }

    #[test]
    fn aliases_do_not_nest_deeper_than_what_is_written() {
        let mut text = "a0: &a0 [x]\n".to_owned();
        for level in 1..100 {
            text.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        assert_eq!(parse(&text).unwrap_err().message, "the document is nested too deeply");
    }

    #[test]
    fn large_texts_are_rejected_and_large_maps_are_not_quadratic() {
        assert!(parse(&"a".repeat(10_000_000)).unwrap_err().message.contains("bytes"));
        let many: String = (0..100_000).map(|number| format!("k{number}: 1\n")).collect();
        assert!(parse(&many).is_ok());
    }

    #[test]
    fn merge_keys_add_what_is_not_written() {
        let parse = |text| super::parse(text, &Options { merge: Some(merge_keys), ..PLAIN }, &mut Vec::new());
        let node =
            parse("a: &a { x: 1, y: 2 }\nb: &b { y: 3, z: 4 }\nc:\n  y: 5\n  <<: [*a, *b]\nd: { <<: *a }\n").unwrap();
        assert_eq!(shown(node.get("c").unwrap()), "{y: 5, x: 1, z: 4}");
        assert_eq!(shown(node.get("d").unwrap()), "{x: 1, y: 2}");
        assert!(parse("a: { <<: 1 }").unwrap_err().message.contains("`<<`"));
        assert_eq!(shown(&super::parse("<<: { a: 1 }", &PLAIN, &mut Vec::new()).unwrap()), "{<<: {a: 1}}");
    }

    #[test]
    fn the_caller_applies_tags() {
        assert_eq!(parse("a: !x 1").unwrap_err().message, "tags are not supported");
        let tag: Tag<Infallible> = |node, handle, suffix| Node::quoted(node.place, format!("{handle}{suffix}"));
        let node = super::parse("[!x 1, !y {}]", &Options { tag: Some(tag), ..PLAIN }, &mut Vec::new()).unwrap();
        assert_eq!(shown(&node), "[!x, !y]");
    }

    #[test]
    fn places_count_from_one() {
        let node = super::parse("a:\n  - b: c\n", &Options { file: 7, ..PLAIN }, &mut Vec::new()).unwrap();
        let inner = node.at(&["a"]).unwrap().items()[0].get("b").unwrap();
        assert_eq!(inner.place, Place { file: 7, line: 2, column: 8 });
    }

    #[test]
    fn nodes_have_ids_of_their_own_even_where_an_alias_repeats_them() {
        fn ids(node: &Node, all: &mut Vec<u32>) {
            all.push(node.id);
            node.items().iter().for_each(|item| ids(item, all));
            node.members().iter().for_each(|(_, member)| ids(member, all));
        }
        let mut all = Vec::new();
        let text = "a: &a { x: [1, 2], y: &y 3 }\nb: *a\nc: &c [*a, *y, *a]\nd: [*c, 4, *c]\n";
        ids(&parse(text).unwrap(), &mut all);
        let count = all.len();
        all.sort_unstable();
        all.dedup();
        assert_eq!((all.len(), all.contains(&0)), (count, false));
    }

    #[test]
    fn json_with_its_escapes() {
        let node = parse("{\n\t\"a\\/b\": \"\\u00e9\\n\", \"c\": [1, true, null]\n}").unwrap();
        assert_eq!(shown(&node), "{a/b: \u{e9}\n, c: [1, true, null]}");
    }

    #[test]
    fn duplicates_are_reported_and_a_second_document_is_rejected() {
        let mut diagnostics = Vec::new();
        super::parse("a: 1\na: 2\nb: { c: 1, c: 2 }", &PLAIN, &mut diagnostics).unwrap();
        let found: Vec<_> = diagnostics.iter().map(|it| (it.message.as_str(), it.place)).collect();
        let expected = [("duplicate key `c`", Some(Place::new(3, 12))), ("duplicate key `a`", Some(Place::new(2, 1)))];
        assert_eq!(found, expected);
        assert!(parse("a: 1\n---\nb: 2").unwrap_err().message.contains("second document"));
        assert!(parse("a: &a [*a]").is_err());
        assert!(parse("").unwrap().is_null() && parse("# only\n").unwrap().is_null());
    }
}
