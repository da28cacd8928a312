//! JSON text as a compact tree. Owns parsing, size limits, numbers, and the digests that detect reordered arrays;
//! `walk` compares two trees.

mod decimal;
mod reader;

use std::borrow::Cow;
use std::hash::{DefaultHasher, Hash, Hasher};

pub(crate) use self::decimal::Decimal;
use self::reader::Reader;
use crate::matcher::Matcher;
use crate::rules::Rules;
use crate::sorting;
use crate::spot::PathStep;
use crate::treat_equal::{self, TreatEqual};
use crate::work::{Stop, Work};

/// Values in a document.
const MAX_NODES: usize = 250_000;
/// Nesting depth.
const MAX_DEPTH: usize = 100;
/// Memory of the trees of both documents together in bytes: twice what a megabyte of small objects needs.
pub(crate) const MAX_TREES: usize = 16 * 1024 * 1024;
/// Cost of visiting a value, in units of work.
const VALUE_WORK: usize = 4;

/// A document: its values in the order of the text, each followed by its content. A member is its name followed by its
/// value; an array or object has a second slot for its digest.
#[derive(Debug)]
pub(crate) struct Tree<'a> {
    text: &'a str,
    /// Unescaped copies of texts that contain escapes.
    unescaped: String,
    slots: Vec<Slot>,
    /// Position of the first value that other software writes although it is not JSON.
    invalid: Option<usize>,
}

/// Twelve bytes: numbers and positions are stored as two halves, which avoids alignment to eight bytes.
#[derive(Clone, Copy, Debug)]
struct Slot {
    tag: Tag,
    low: u32,
    high: u32,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Tag {
    Null,
    False,
    True,
    /// Start and end in the document.
    Number,
    /// `NaN` and the like, likewise.
    NotANumber,
    /// Start and end in the document.
    Text,
    /// Start and end in `unescaped`.
    Unescaped,
    /// Number of elements, or of members including duplicates, and the slot behind the last one.
    Array,
    Object,
    /// Equal for values that count as equal, as far as [`Tree::fill_digests`] can tell.
    Digest,
}

/// A value of a tree, or the name of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Node(u32);

#[derive(Debug)]
pub(crate) enum Value<'t> {
    Null,
    Bool(bool),
    Number(Decimal<'t>),
    /// `NaN`, `Infinity` or `-Infinity`.
    NotANumber(&'t str),
    Text(&'t str),
    /// Number of elements.
    Array(usize),
    /// Number of members.
    Object(usize),
}

impl Value<'_> {
    /// Returns a number for each type.
    pub(crate) fn kind(self) -> u64 {
        match self {
            Value::Null => 1,
            Value::Bool(_) => 2,
            Value::Number(_) => 3,
            Value::NotANumber(_) => 4,
            Value::Text(_) => 5,
            Value::Array(_) => 6,
            Value::Object(_) => 7,
        }
    }
}

/// A reason why there is no tree.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoTree {
    /// The text is not JSON.
    NotJson,
    /// Parsing stopped: too many values, nested too deeply, or no work left.
    Stopped(Stop),
}

const TOO_MUCH: NoTree = NoTree::Stopped(Stop::TooLarge);

/// Parses a document (RFC 8259) into at most `memory` bytes. A byte order mark is skipped.
pub(crate) fn parse<'a>(text: &'a [u8], memory: usize, work: &Work<'_>) -> Result<Tree<'a>, NoTree> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    work.spend(text.len())?;
    let text = std::str::from_utf8(text).map_err(|_| NoTree::NotJson)?;
    let mut tree = Tree { text, unescaped: String::new(), slots: Vec::new(), invalid: None };
    let slots = tree.count_slots().min(memory / size_of::<Slot>());
    tree.slots.try_reserve_exact(slots).map_err(|_| TOO_MUCH)?;
    Reader::new(tree, memory, work).document()
}

impl<'a> Tree<'a> {
    /// The document itself.
    pub(crate) const ROOT: Node = Node(0);

    /// Returns the bytes that the tree occupies.
    pub(crate) fn memory(&self) -> usize {
        self.slots.capacity() * size_of::<Slot>() + self.unescaped.capacity()
    }

    /// Returns the line and the column, from 1, of the first value that is not JSON although other software writes it, and
    /// the value.
    pub(crate) fn invalid(&self) -> Option<(usize, usize, &str)> {
        let (before, rest) = self.text.split_at_checked(self.invalid?)?;
        let line = before.bytes().filter(|byte| *byte == b'\n').count().saturating_add(1);
        let column = before.rsplit('\n').next().unwrap_or_default().chars().count().saturating_add(1);
        let end = rest.bytes().take_while(|byte| byte.is_ascii_alphabetic() || *byte == b'-').count();
        Some((line, column, rest.get(..end)?))
    }

    pub(crate) fn value(&self, node: Node) -> Value<'_> {
        let slot = self.slot(node);
        match slot.tag {
            Tag::Null | Tag::Digest => Value::Null,
            Tag::False => Value::Bool(false),
            Tag::True => Value::Bool(true),
            Tag::Number => Value::Number(Decimal(self.text_of(slot))),
            Tag::NotANumber => Value::NotANumber(self.text_of(slot)),
            Tag::Text | Tag::Unescaped => Value::Text(self.text_of(slot)),
            Tag::Array => Value::Array(slot.low as usize),
            Tag::Object => Value::Object(slot.low as usize),
        }
    }

    /// Returns the name of a member.
    pub(crate) fn name(&self, node: Node) -> &str {
        self.text_of(self.slot(node))
    }

    /// Returns the value of the member with this name node.
    pub(crate) fn value_of(name: Node) -> Node {
        Node(name.0.saturating_add(1))
    }

    /// Returns the elements of an array, or the names of an object, in the order of the text.
    pub(crate) fn children(&self, node: Node) -> impl Iterator<Item = Node> {
        let slot = self.slot(node);
        let (count, is_object) = match slot.tag {
            Tag::Array => (slot.low, false),
            Tag::Object => (slot.low, true),
            _ => (0, false),
        };
        let mut next = Node(node.0.saturating_add(2));
        (0..count).map(move |_| {
            let child = next;
            next = self.behind(if is_object { Self::value_of(child) } else { child });
            child
        })
    }

    /// Returns the names of an object, sorted. Of duplicates only the last is returned, as in most readers.
    pub(crate) fn names(&self, node: Node, work: &Work<'_>) -> Result<Vec<Node>, Stop> {
        let mut names: Vec<Node> = self.children(node).collect();
        let bytes: usize = names.iter().map(|name| self.name(*name).len()).sum();
        work.spend(bytes + names.len() * (VALUE_WORK + names.len().checked_ilog2().unwrap_or(0) as usize))?;
        sorting::sort_by(&mut names, &|one, other| self.name(*one).cmp(self.name(*other)).then(other.cmp(one)));
        names.dedup_by(|later, kept| self.name(*later) == self.name(*kept));
        Ok(names)
    }

    /// Returns the member of an object with this name, the last one if there are several.
    pub(crate) fn member(&self, node: Node, name: &str) -> Option<Node> {
        let Value::Object(_) = self.value(node) else { return None };
        self.children(node).filter(|child| self.name(*child) == name).last().map(Self::value_of)
    }

    /// Returns the length of a text or number in bytes; 0 for other values.
    pub(crate) fn length(&self, node: Node) -> usize {
        match self.value(node) {
            Value::Text(text) | Value::Number(Decimal(text)) => text.len(),
            _ => 0,
        }
    }

    /// Returns the digest of a value; for an array or object, the one that [`Tree::fill_digests`] computed.
    pub(crate) fn digest(&self, node: Node, kinds: &[TreatEqual]) -> u64 {
        let slot = self.slot(node);
        let mut hasher = DefaultHasher::new();
        slot.tag.class().hash(&mut hasher);
        match self.value(node) {
            Value::Null => {}
            Value::Bool(value) => value.hash(&mut hasher),
            Value::Number(number) => number.hash(&mut hasher),
            Value::NotANumber(text) => text.hash(&mut hasher),
            Value::Text(text) => match treat_equal::whole(text, kinds) {
                Some(text) => text.hash(&mut hasher),
                None => text.hash(&mut hasher),
            },
            Value::Array(_) | Value::Object(_) => return self.slot(Node(node.0.saturating_add(1))).bits(),
        }
        hasher.finish()
    }

    /// Returns a hash of a text, number or boolean without any rule applied; `None` for other values.
    pub(crate) fn key(&self, node: Node) -> Option<u64> {
        match self.value(node) {
            Value::Text(_) | Value::Number(_) | Value::Bool(_) => Some(self.digest(node, &[])),
            Value::Null | Value::NotANumber(_) | Value::Array(_) | Value::Object(_) => None,
        }
    }

    /// Computes the digests of arrays and objects: without ignored places, with all texts of one `treatEqual` kind
    /// alike, and with the elements of `unordered` arrays in any order.
    pub(crate) fn fill_digests(&mut self, rules: &Rules, work: &Work<'_>) -> Result<(), Stop> {
        self.fill_from(Self::ROOT, rules, &mut Matcher::of_digests(rules), work)
    }

    fn fill_from(&mut self, node: Node, rules: &Rules, matcher: &mut Matcher<'_>, work: &Work<'_>) -> Result<(), Stop> {
        let is_object = match self.value(node) {
            Value::Array(_) => false,
            Value::Object(_) => true,
            Value::Text(text) => return work.spend(text.len()),
            _ => return Ok(()),
        };
        let slot = self.slot(node);
        let mut hasher = DefaultHasher::new();
        slot.tag.class().hash(&mut hasher);
        if is_object {
            for name in self.names(node, work)? {
                let member = Self::value_of(name);
                matcher.enter(&PathStep::Name { name: self.name(name), is_folded: false }, work)?;
                if !matcher.marks().is_ignored {
                    self.fill_from(member, rules, matcher, work)?;
                    (self.name(name), self.digest(member, &rules.treat_equal)).hash(&mut hasher);
                }
                matcher.leave();
            }
        } else {
            let is_unordered = matcher.unordered().is_some();
            let mut digests = Vec::new();
            let mut item = Node(node.0.saturating_add(2));
            for index in 0..slot.low as usize {
                work.spend(VALUE_WORK)?;
                matcher.enter(&PathStep::Index { index, is_folded: true }, work)?;
                let is_ignored = matcher.marks().is_ignored;
                if !is_ignored {
                    self.fill_from(item, rules, matcher, work)?;
                }
                let digest = if is_ignored { 0 } else { self.digest(item, &rules.treat_equal) };
                if is_unordered {
                    digests.push(digest)
                } else {
                    digest.hash(&mut hasher)
                }
                matcher.leave();
                item = self.behind(item);
            }
            digests.sort_unstable();
            digests.hash(&mut hasher);
            slot.low.hash(&mut hasher);
        }
        let digest = Slot::of(Tag::Digest, hasher.finish());
        if let Some(slot) = self.slots.get_mut(node.0.saturating_add(1) as usize) {
            *slot = digest;
        }
        Ok(())
    }

    /// Renders a value for a record. The contents of arrays and objects are not shown.
    pub(crate) fn shown(&self, node: Node) -> Cow<'_, str> {
        match self.value(node) {
            Value::Null => "null".into(),
            Value::Bool(value) => if value { "true" } else { "false" }.into(),
            Value::Number(Decimal(text)) | Value::NotANumber(text) => Cow::Borrowed(text),
            Value::Text(text) => Cow::Borrowed(text),
            Value::Array(0) => "[]".into(),
            Value::Array(_) => "[…]".into(),
            Value::Object(0) => "{}".into(),
            Value::Object(_) => "{…}".into(),
        }
    }

    fn slot(&self, node: Node) -> Slot {
        self.slots.get(node.0 as usize).copied().unwrap_or(Slot { tag: Tag::Null, low: 0, high: 0 })
    }

    /// Returns the slot behind a value and its content.
    fn behind(&self, node: Node) -> Node {
        let slot = self.slot(node);
        match slot.tag {
            Tag::Array | Tag::Object => Node(slot.high),
            _ => Node(node.0.saturating_add(1)),
        }
    }

    fn text_of(&self, slot: Slot) -> &str {
        let text = if slot.tag == Tag::Unescaped { &self.unescaped } else { self.text };
        text.get(slot.low as usize..slot.high as usize).unwrap_or_default()
    }

    /// Returns the number of slots that the document needs if it is valid JSON.
    fn count_slots(&self) -> usize {
        let (mut slots, mut is_text, mut is_escaped) = (1_usize, false, false);
        let mut has_opened = false;
        for byte in self.text.bytes() {
            match byte {
                _ if is_escaped => is_escaped = false,
                b'\\' if is_text => is_escaped = true,
                b'"' => is_text = !is_text,
                // The first value in it, and its digest.
                b'[' | b'{' if !is_text => slots += 2,
                // A value, or the name before one.
                b',' | b':' if !is_text => slots += 1,
                b']' | b'}' if has_opened => slots -= 1,
                b' ' | b'\t' | b'\n' | b'\r' if !is_text => continue,
                _ => {}
            }
            has_opened = !is_text && matches!(byte, b'[' | b'{');
        }
        slots
    }
}

impl Tag {
    /// Returns a number that is the same for values that may be equal.
    fn class(self) -> u8 {
        match self {
            Tag::Null | Tag::Digest => 0,
            Tag::False | Tag::True => 1,
            Tag::Number | Tag::NotANumber => 2,
            Tag::Text | Tag::Unescaped => 3,
            Tag::Array => 4,
            Tag::Object => 5,
        }
    }
}

impl Slot {
    fn of(tag: Tag, bits: u64) -> Self {
        Slot { tag, low: bits as u32, high: (bits >> 32) as u32 }
    }

    fn bits(self) -> u64 {
        u64::from(self.high) << 32 | u64::from(self.low)
    }
}

impl From<Stop> for NoTree {
    fn from(stop: Stop) -> Self {
        NoTree::Stopped(stop)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::work::never_over;

    fn parse(text: &[u8]) -> Result<Tree<'_>, NoTree> {
        super::parse(text, MAX_TREES, &Work::new(&never_over))
    }

    fn digest(text: &str, rules: &Rules) -> u64 {
        let mut tree = parse(text.as_bytes()).unwrap();
        tree.fill_digests(rules, &Work::new(&never_over)).unwrap();
        tree.digest(Tree::ROOT, &rules.treat_equal)
    }

    #[test]
    fn equal_values_have_equal_digests() {
        let rules = Rules::default();
        for (one, other, is_same) in [
            ("1", "1.0", true),
            ("-0.0", "0", true),
            ("1e3", "1000", true),
            ("18446744073709551615", "18446744073709551615", true),
            ("9007199254740993", "9007199254740992", false),
            ("0.1", "0.10", true),
            ("null", "false", false),
            ("\"\"", "null", false),
            ("[]", "{}", false),
            ("[[1],[]]", "[[],[1]]", false),
            (r#"{"a":1,"b":2}"#, r#"{ "b": 2, "a": 1 }"#, true),
            (r#"{"a":1,"a":2}"#, r#"{"a":2}"#, true),
            (r#""\u0041""#, r#""A""#, true),
            ("\u{FEFF}1", "1", true),
        ] {
            assert_eq!(digest(one, &rules) == digest(other, &rules), is_same, "{one} {other}");
        }
    }

    #[test]
    fn what_other_software_writes() {
        for (text, shown) in [
            (r#""\ud83d""#, "\u{FFFD}d83d"),
            (r#""\ud83dx""#, "\u{FFFD}d83dx"),
            (r#""\ud83d\ud83d\ude00""#, "\u{FFFD}d83d\u{1F600}"),
            (r#""\ude00""#, "\u{FFFD}de00"),
            ("NaN", "NaN"),
            ("-Infinity", "-Infinity"),
            ("1e400", "1e400"),
        ] {
            assert_eq!(parse(text.as_bytes()).unwrap().shown(Tree::ROOT), shown, "{text}");
        }
        assert_eq!(parse(b"[1,\n NaN]").unwrap().invalid(), Some((2, 2, "NaN")));
        assert_eq!(parse(b"[1]").unwrap().invalid(), None);
    }

    #[test]
    fn limits() {
        // Nesting and size must not exhaust the stack or the memory.
        let error = |text: &str| parse(text.as_bytes()).unwrap_err();
        assert_eq!(error(&"[".repeat(1_000_000)), TOO_MUCH);
        assert_eq!(error(&format!("[{}1]", "1,".repeat(MAX_NODES))), TOO_MUCH);
        assert_eq!(error(&format!("{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1))), TOO_MUCH);
        assert!(parse(format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH)).as_bytes()).is_ok());
        for text in ["", "{", "[1,]", "1 2", "<html>", "nul", "{\"a\"}"] {
            assert_eq!(error(text), NoTree::NotJson, "{text}");
        }
        assert_eq!(parse(b"\"\xFF\"").unwrap_err(), NoTree::NotJson);
    }

    #[test]
    fn a_tree_is_small() {
        for (unit, most) in [("{\"a\":1}", 6.1), ("{\"id\":12,\"name\":\"x\"}", 4.0), ("[]", 8.1), ("\"\\n\"", 4.0)] {
            let text = format!("[{}{unit}]", format!("{unit},").repeat(100_000 / unit.len()));
            let tree = parse(text.as_bytes()).unwrap();
            let ratio = tree.memory() as f64 / text.len() as f64;
            assert!(ratio <= most, "{unit}: {ratio} bytes a byte");
        }
        // Slots and texts without escapes stay within their limits.
        let escaped = format!("[{}\"\"]", format!("\"{}\",", "a\\n".repeat(1000)).repeat(1000));
        for text in [&escaped, &format!("[{}[]]", "[],".repeat(200_000)), &"[,".repeat(100_000)] {
            let tree = super::parse(text.as_bytes(), 1_000_000, &Work::new(&never_over));
            assert!(tree.is_err());
        }
    }

    /// Converts to the value that `serde_json` parses, with the members of each object sorted.
    fn as_value(tree: &Tree<'_>, node: Node) -> serde_json::Value {
        match tree.value(node) {
            Value::Null => serde_json::Value::Null,
            Value::Bool(value) => value.into(),
            Value::Number(Decimal(text)) => text.parse().unwrap_or_else(|_| text.into()),
            Value::NotANumber(text) => text.into(),
            Value::Text(text) => text.into(),
            Value::Array(_) => tree.children(node).map(|item| as_value(tree, item)).collect(),
            Value::Object(_) => {
                let names = tree.names(node, &Work::new(&never_over)).unwrap();
                let member = |name: Node| (tree.name(name).to_owned(), as_value(tree, Tree::value_of(name)));
                names.into_iter().map(member).collect()
            }
        }
    }

    proptest! {
        #[test]
        fn documents_parse_as_with_serde_json(
            text in "\\PC{0,20}|[\\[\\]{}:,\"\\\\aeu0D8. -]{0,12}|[\\[{]{0,3}\"(a|\\\\[nu/x\"]|\\\\u[dD][89cC]00){0,4}\":?[0-9.eE+-]{0,6}[\\]} ]{0,3}|-?[0-9]{1,20}(\\.[0-9]{1,3})?",
        ) {
            let others = serde_json::from_str::<serde_json::Value>(&text);
            let ours = parse(text.as_bytes());
            // Lone surrogates, and numbers beyond the range of floats.
            let is_wider = text.contains("\\u") || text.contains(['e', 'E']) || text.contains("NaN");
            prop_assert!(ours.is_ok() == others.is_ok() || (ours.is_ok() && is_wider), "{:?}", others);
            if let (Ok(ours), Ok(others)) = (ours, others) {
                let (ours, others) = (as_value(&ours, Tree::ROOT), others);
                if !others.is_f64() && !text.contains(['.', 'e', 'E']) {
                    prop_assert_eq!(ours, others);
                }
            }
        }
    }
}
