//! JSON text as the tree that `yaml` makes of it, several times as fast but without places: a large configuration is
//! written by a program, and nobody has to be shown a line of it as long as nothing is wrong.

use std::cell::Cell;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};

use crate::tree::{Key, Node, Place, Scalar, Value, duplicates};
use crate::yaml::{MAX_NODES, MAX_TEXT, Substitute};

const NOWHERE: Place = Place { file: 0, line: 1, column: 1 };

/// Parses a JSON object; all its nodes are at the beginning of the text. `None` if the text is no such object, is too
/// large, has a fraction, a name twice or a variable in one, or needs a variable that has no value: [`crate::parse`] says
/// what is wrong.
#[must_use]
pub fn parse(text: &str, substitute: Substitute<'_>) -> Option<Node> {
    if text.len() > MAX_TEXT || !text.starts_with('{') {
        return None;
    }
    let tree = Tree { substitute, nodes: &Cell::new(0) };
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let node = tree.deserialize(&mut deserializer).ok()?;
    deserializer.end().ok()?;
    Some(node)
}

#[derive(Clone, Copy)]
struct Tree<'s> {
    substitute: Substitute<'s>,
    nodes: &'s Cell<usize>,
}

impl Tree<'_> {
    fn node<E: Error>(self, value: Value) -> Result<Node, E> {
        self.nodes.set(self.nodes.get() + 1);
        if self.nodes.get() > MAX_NODES {
            return Err(E::custom("too large"));
        }
        // Far fewer than there are numbers.
        Ok(Node { id: self.nodes.get() as u32, place: NOWHERE, value })
    }

    fn plain<E: Error>(self, text: &str) -> Result<Node, E> {
        self.node(Value::Scalar(Scalar::plain(text)))
    }
}

impl<'de> DeserializeSeed<'de> for Tree<'_> {
    type Value = Node;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Tree<'_> {
    type Value = Node;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E: Error>(self) -> Result<Node, E> {
        self.plain("null")
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node, E> {
        self.plain(if value { "true" } else { "false" })
    }

    fn visit_u64<E: Error>(self, value: u64) -> Result<Node, E> {
        self.plain(&value.to_string())
    }

    fn visit_i64<E: Error>(self, value: i64) -> Result<Node, E> {
        self.plain(&value.to_string())
    }

    /// Its digits are lost here, and a user's number would be another.
    fn visit_f64<E: Error>(self, _: f64) -> Result<Node, E> {
        Err(E::custom("no whole number"))
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node, E> {
        self.node(Value::Scalar(match (self.substitute)(text) {
            None => Scalar::quoted(text),
            Some(Ok(pieces)) => Scalar::expanded(text, pieces),
            Some(Err(unresolved)) => return Err(E::custom(unresolved.message)),
        }))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut items: A) -> Result<Node, A::Error> {
        let mut list = Vec::new();
        while let Some(item) = items.next_element_seed(self)? {
            list.push(item);
        }
        self.node(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut members: A) -> Result<Node, A::Error> {
        let mut map: Vec<(Key, Node)> = Vec::new();
        while let Some(name) = members.next_key::<Box<str>>()? {
            if (self.substitute)(&name).is_some() {
                return Err(A::Error::custom("a variable in a key"));
            }
            map.push((Key { place: NOWHERE, name }, members.next_value_seed(self)?));
        }
        if !duplicates(map.iter().map(|(key, _)| key).collect()).is_empty() {
            return Err(A::Error::custom("a name twice"));
        }
        self.node(Value::Map(map))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tree::Piece;
    use crate::yaml::{Options, Unresolved};

    /// `<a>` is a variable without a value, any other text with a `<` one with the value 5.
    fn substitute(text: &str) -> Option<Result<Vec<Piece>, Unresolved>> {
        match text {
            "<a>" => Some(Err(Unresolved { message: "a".to_owned(), hint: "b".to_owned() })),
            _ if text.contains('<') => Some(Ok(vec![Piece::OfEnvironment("5".to_owned())])),
            _ => None,
        }
    }

    fn parse(text: &str) -> Option<Node> {
        super::parse(text, &substitute)
    }

    /// A tree without its places.
    fn shape(node: &Node) -> String {
        match &node.value {
            Value::Scalar(scalar) => format!("{:?} {:?} {:?}", scalar.text, scalar.as_number(), scalar.as_bool()),
            Value::List(items) => format!("{:?}", items.iter().map(shape).collect::<Vec<_>>()),
            Value::Map(members) => {
                format!("{:?}", members.iter().map(|(key, node)| (&key.name, shape(node))).collect::<Vec<_>>())
            }
            Value::Unknown(never) => match *never {},
        }
    }

    #[test]
    fn both_ways_to_the_tree_agree() {
        for text in [
            r#"{"a": [1, -2, true, false, "x", "7", "true", ""], "b": {"c": {}}, "d": []}"#,
            r#"{"\u00e9\n": "\ud83d\ude00 \" \\ \/ \t", "n": 18446744073709551615}"#,
            r#"{"a": "<b>", "b": "b"}"#,
        ] {
            let options =
                Options { file: 0, tag: None, merge: None, substitute: Some(&substitute), mask: str::to_owned };
            let yaml = crate::yaml::parse(text, &options, &mut Vec::new()).unwrap();
            assert_eq!(shape(&parse(text).unwrap()), shape(&yaml), "{text}");
        }
    }

    #[test]
    fn what_is_not_right_is_left_to_yaml() {
        for text in [
            "a: 1",
            r#"{"a": 1, "a": 2}"#,
            r#"{"a": "<a>"}"#,
            r#"{"a": 1.5}"#,
            r#"{"a": 123456789012345678901234567890}"#,
            r#"{"<b>": 1}"#,
            "{} {}",
            "{a: 1}",
            "[]",
            "",
            &format!("{{\"a\": {}", "[".repeat(100_000)),
            &format!("{{\"a\": [{}1]}}", "1,".repeat(MAX_NODES)),
        ] {
            assert!(parse(text).is_none(), "{}", text.get(..20).unwrap_or(text));
        }
    }
}
