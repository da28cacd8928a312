//! JSON text as a tree. Owns the limits of its size, numbers, and the digests by which arrays are told to hold the same
//! in another order; comparing two trees is for `walk`.

use std::borrow::Cow;
use std::cell::Cell;
use std::fmt;
use std::hash::{DefaultHasher, Hash, Hasher};

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::rules::{Rules, TreatEqual};
use crate::spot::{PathStep, Spot};
use crate::treat_equal;

/// The most values in a document.
const MAX_NODES: usize = 250_000;
/// The deepest that they may be nested; below the limit of `serde_json`, which would be no JSON.
const MAX_DEPTH: usize = 100;

/// A value, and all that is in it.
#[derive(Debug)]
pub(crate) struct Node<'a> {
    pub(crate) value: Value<'a>,
    /// The same for two values that count as equal, as far as [`Node::digest`] can tell. 0 until then.
    pub(crate) digest: Cell<u64>,
}

#[derive(Debug)]
pub(crate) enum Value<'a> {
    Null,
    Bool(bool),
    Number(Number),
    Text(Cow<'a, str>),
    Array(Vec<Node<'a>>),
    /// Sorted by name, each name once.
    Object(Vec<(Cow<'a, str>, Node<'a>)>),
}

/// A number: whole ones exactly, as far as 64 bits go.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Number {
    /// Also 1.0 and 1e3.
    Whole(i64),
    /// Above the others.
    Large(u64),
    /// All the rest.
    Float(f64),
}

/// Why there is no tree.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum NoTree {
    /// The text is no JSON.
    NotJson,
    /// It has too many values, or is nested too deep.
    TooLarge,
}

/// Reads a document. A byte order mark is passed over; of members of the same name the last one counts.
pub(crate) fn parse(text: &[u8]) -> Result<Node<'_>, NoTree> {
    let text = text.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(text);
    let text = std::str::from_utf8(text).map_err(|_| NoTree::NotJson)?;
    let (nodes, is_too_deep) = (Cell::new(0), Cell::new(false));
    let seed = Seed { nodes: &nodes, is_too_deep: &is_too_deep, depth: 0 };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    match seed.deserialize(&mut deserializer) {
        Ok(node) => deserializer.end().map(|()| node).map_err(|_| NoTree::NotJson),
        Err(_) if nodes.get() > MAX_NODES || is_too_deep.get() => Err(NoTree::TooLarge),
        Err(_) => Err(NoTree::NotJson),
    }
}

impl<'a> Node<'a> {
    /// Fills in the digests from here down: without what is ignored, with all texts of one of `treatEqual` alike, and
    /// with the elements of `unordered` arrays in any order. `path` leads here, and is the same afterwards.
    pub(crate) fn digest(&'a self, rules: &Rules, path: &mut Vec<PathStep<'a>>) -> u64 {
        let mut hasher = DefaultHasher::new();
        std::mem::discriminant(&self.value).hash(&mut hasher);
        match &self.value {
            Value::Null => {}
            Value::Bool(value) => value.hash(&mut hasher),
            Value::Number(number) => number.hash(&rules.treat_equal, &mut hasher),
            Value::Text(text) if treat_equal::is_any(text, &rules.treat_equal) => {}
            Value::Text(text) => text.hash(&mut hasher),
            Value::Array(items) => {
                let mut digests = Vec::with_capacity(items.len());
                for (index, item) in items.iter().enumerate() {
                    path.push(PathStep::Index(index));
                    digests.push(item.digest_unless_ignored(rules, path));
                    path.pop();
                }
                if rules.unordered.iter().any(|unordered| unordered.pointer.covers(path, false)) {
                    digests.sort_unstable();
                }
                digests.hash(&mut hasher);
            }
            Value::Object(members) => {
                for (name, member) in members {
                    path.push(PathStep::Name { name, is_folded: false });
                    if let Some(digest) = member.digest_unless_ignored(rules, path) {
                        (name, digest).hash(&mut hasher);
                    }
                    path.pop();
                }
            }
        }
        self.digest.set(hasher.finish());
        self.digest.get()
    }

    fn digest_unless_ignored(&'a self, rules: &Rules, path: &mut Vec<PathStep<'a>>) -> Option<u64> {
        let is_ignored = rules.ignore.iter().any(|place| place.covers(&Spot::Json(path)));
        (!is_ignored).then(|| self.digest(rules, path))
    }

    /// As a record shows it: what is inside of an array or object is not.
    pub(crate) fn shown(&self) -> Cow<'_, str> {
        match &self.value {
            Value::Null => "null".into(),
            Value::Bool(value) => if *value { "true" } else { "false" }.into(),
            Value::Number(Number::Whole(number)) => number.to_string().into(),
            Value::Number(Number::Large(number)) => number.to_string().into(),
            Value::Number(Number::Float(number)) => number.to_string().into(),
            Value::Text(text) => Cow::Borrowed(text),
            Value::Array(items) if items.is_empty() => "[]".into(),
            Value::Array(_) => "[…]".into(),
            Value::Object(members) if members.is_empty() => "{}".into(),
            Value::Object(_) => "{…}".into(),
        }
    }
}

impl Number {
    fn from_f64(number: f64) -> Self {
        // Below 2^63 a whole one converts without loss.
        if number.fract() == 0.0 && number.abs() < 9_223_372_036_854_775_808.0 {
            Number::Whole(number as i64)
        } else {
            Number::Float(number)
        }
    }

    pub(crate) fn as_f64(self) -> f64 {
        match self {
            Number::Whole(number) => number as f64,
            Number::Large(number) => number as f64,
            Number::Float(number) => number,
        }
    }

    /// Whether two are the same. Whole numbers exactly; others as closely as they are read, which is to some units in
    /// the last place.
    pub(crate) fn is_same(self, other: Self) -> bool {
        match (self, other) {
            (Number::Whole(one), Number::Whole(other)) => one == other,
            (Number::Large(one), Number::Large(other)) => one == other,
            (Number::Whole(_), Number::Large(_)) | (Number::Large(_), Number::Whole(_)) => false,
            (one, other) => {
                let (one, other) = (one.as_f64(), other.as_f64());
                one == other || (one - other).abs() <= 4.0 * f64::EPSILON * one.abs().max(other.abs())
            }
        }
    }

    fn hash(self, treat_equal: &[TreatEqual], hasher: &mut DefaultHasher) {
        if treat_equal.iter().any(|kind| kind.fits_number(self.as_f64())) {
            return;
        }
        // Coarse enough for those that are nearly the same, too.
        match self {
            Number::Whole(number) => number.hash(hasher),
            Number::Large(number) => number.hash(hasher),
            // Rounded, so that what is the same up to the last bits has one hash; what is beyond an `f32` would all be 0 or
            // infinite there.
            Number::Float(number) => match number as f32 {
                narrow if narrow.is_normal() => narrow.to_bits().hash(hasher),
                _ => (number.to_bits() >> 29).hash(hasher),
            },
        }
    }
}

#[derive(Clone, Copy)]
struct Seed<'s> {
    nodes: &'s Cell<usize>,
    is_too_deep: &'s Cell<bool>,
    depth: usize,
}

impl<'s> Seed<'s> {
    fn node<'de, E: Error>(self, value: Value<'de>) -> Result<Node<'de>, E> {
        self.nodes.set(self.nodes.get() + 1);
        if self.nodes.get() > MAX_NODES {
            return Err(E::custom("too many values"));
        }
        Ok(Node { value, digest: Cell::new(0) })
    }

    fn deeper<E: Error>(self) -> Result<Self, E> {
        if self.depth >= MAX_DEPTH {
            self.is_too_deep.set(true);
            return Err(E::custom("too deep"));
        }
        Ok(Self { depth: self.depth + 1, ..self })
    }
}

impl<'de> DeserializeSeed<'de> for Seed<'_> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Seed<'_> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Node<'de>, E> {
        self.node(Value::Null)
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node<'de>, E> {
        self.node(Value::Bool(value))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Node<'de>, E> {
        self.node(Value::Number(i64::try_from(number).map_or(Number::Large(number), Number::Whole)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Node<'de>, E> {
        self.node(Value::Number(Number::Whole(number)))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Node<'de>, E> {
        self.node(Value::Number(Number::from_f64(number)))
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Node<'de>, E> {
        self.node(Value::Text(Cow::Borrowed(text)))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node<'de>, E> {
        self.node(Value::Text(Cow::Owned(text.to_owned())))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node<'de>, A::Error> {
        let seed = self.deeper()?;
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(seed)? {
            list.push(item);
        }
        self.node(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node<'de>, A::Error> {
        let seed = self.deeper()?;
        let mut list: Vec<(Cow<'de, str>, Node<'de>)> = Vec::new();
        while let Some(name) = members.next_key_seed(Name)? {
            list.push((name, members.next_value_seed(seed)?));
        }
        // The sort is stable, and what is dropped comes first: the last of a name stays.
        list.reverse();
        list.sort_by(|(one, _), (other, _)| one.cmp(other));
        list.dedup_by(|(later, _), (kept, _)| later == kept);
        self.node(Value::Object(list))
    }
}

/// A member's name, borrowed if it can be.
struct Name;

impl<'de> DeserializeSeed<'de> for Name {
    type Value = Cow<'de, str>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Cow<'de, str>, D::Error> {
        deserializer.deserialize_str(self)
    }
}

impl<'de> Visitor<'de> for Name {
    type Value = Cow<'de, str>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a name")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Borrowed(text))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Cow<'de, str>, E> {
        Ok(Cow::Owned(text.to_owned()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(text: &str, rules: &Rules) -> u64 {
        parse(text.as_bytes()).unwrap().digest(rules, &mut Vec::new())
    }

    #[test]
    fn what_is_the_same_has_the_same_digest() {
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
    fn numbers_are_the_same() {
        let number = |text: &str| match parse(text.as_bytes()).unwrap().value {
            Value::Number(number) => number,
            other => panic!("{other:?}"),
        };
        for (one, other, is_same) in [
            ("0.30000000000000004", "0.3", true),
            ("0.3", "0.30001", false),
            ("1e400000", "1", false),
            ("18446744073709551615", "18446744073709551614", false),
            ("1e100", "1e100", true),
        ] {
            // One that no float can hold is no JSON here.
            if parse(one.as_bytes()).is_ok() {
                assert_eq!(number(one).is_same(number(other)), is_same, "{one} {other}");
                assert_eq!(number(other).is_same(number(one)), is_same, "{other} {one}");
            }
        }
    }

    #[test]
    fn limits() {
        // T23
        let error = |text: &str| parse(text.as_bytes()).unwrap_err();
        assert_eq!(error(&"[".repeat(1_000_000)), NoTree::TooLarge);
        assert_eq!(error(&format!("[{}1]", "1,".repeat(MAX_NODES))), NoTree::TooLarge);
        assert_eq!(error(&format!("{}{}", "[".repeat(MAX_DEPTH + 1), "]".repeat(MAX_DEPTH + 1))), NoTree::TooLarge);
        assert!(parse(format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH)).as_bytes()).is_ok());
        for text in ["", "{", "[1,]", "1 2", "<html>", "nul", "{\"a\"}"] {
            assert_eq!(error(text), NoTree::NotJson, "{text}");
        }
        assert_eq!(parse(b"\"\xFF\"").unwrap_err(), NoTree::NotJson);
    }
}
