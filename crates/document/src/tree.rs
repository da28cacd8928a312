//! The tree that a document is parsed into. Owns no syntax and no messages.

use std::convert::Infallible;

/// A position in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// Number that the caller gave to the file.
    pub file: u32,
    /// Counted from 1.
    pub line: u32,
    /// Counted from 1, in characters.
    pub column: u32,
}

impl Place {
    /// Returns a position in the file with the number 0.
    #[must_use]
    pub fn new(line: u32, column: u32) -> Self {
        Place { file: 0, line, column }
    }
}

/// A value and its position. `X` is an additional kind of value for callers that resolve references in a tree; parsing
/// never creates one.
#[derive(Clone, Debug)]
pub struct Node<X = Infallible> {
    /// Unique among the nodes of one text, including those that an alias repeats. 0 for nodes that were not parsed.
    pub id: u32,
    /// Position of the first character.
    pub place: Place,
    /// The value.
    pub value: Value<X>,
}

/// A scalar, a list or a map.
#[derive(Clone, Debug)]
pub enum Value<X = Infallible> {
    /// A string, number, boolean or null.
    Scalar(Scalar),
    /// Values in order.
    List(Vec<Node<X>>),
    /// Members in the order of the text.
    Map(Vec<(Key, Node<X>)>),
    /// Created by callers that resolve references.
    Unknown(X),
}

/// A value that is not a collection. The reader of the value decides its type: `010` is a number in one context and a
/// customer ID in another.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// The value as text, with variables replaced and escapes decoded.
    pub text: Box<str>,
    /// `true` if the value was not quoted: only then can it be a number, a boolean or null.
    pub is_plain: bool,
    /// The source form, if it differs from `text`, as with variables.
    pub written: Option<Box<Written>>,
}

/// A text that differs from its value, such as one with variables. Messages show the source form, since the values of
/// variables may be secrets.
#[derive(Clone, Debug)]
pub struct Written {
    /// The text as it is in the file.
    pub text: Box<str>,
    /// The text with the values of the variables.
    pub pieces: Vec<Piece>,
}

/// A part of a text. In a text with a syntax of its own, such as `${host}`, only parts from the file are interpreted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Text from the file.
    OfFile(String),
    /// The value of an environment variable.
    OfEnvironment(String),
}

/// A key of a map.
#[derive(Clone, Debug)]
pub struct Key {
    /// Position of the first character.
    pub place: Place,
    /// The name.
    pub name: Box<str>,
}

impl Piece {
    fn text(&self) -> &str {
        match self {
            Piece::OfFile(text) | Piece::OfEnvironment(text) => text,
        }
    }
}

impl Scalar {
    /// Returns an unquoted scalar.
    pub fn plain(text: impl Into<Box<str>>) -> Self {
        Scalar { text: text.into(), is_plain: true, written: None }
    }

    /// Returns a quoted scalar, which is always a string.
    pub fn quoted(text: impl Into<Box<str>>) -> Self {
        Scalar { text: text.into(), is_plain: false, written: None }
    }

    /// Returns a scalar made of text and values of variables. It counts as unquoted, so the result can be of any type.
    #[must_use]
    pub fn expanded(text: &str, pieces: Vec<Piece>) -> Self {
        let expanded: String = pieces.iter().map(Piece::text).collect();
        Scalar { written: Some(Box::new(Written { text: text.into(), pieces })), ..Scalar::plain(expanded) }
    }

    /// Returns `true` for null of the core schema (YAML 1.2 section 10.3). A quoted text is never null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.is_plain && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }

    /// Returns the boolean of the core schema.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match &*self.text {
            "true" | "True" | "TRUE" if self.is_plain => Some(true),
            "false" | "False" | "FALSE" if self.is_plain => Some(false),
            _ => None,
        }
    }

    /// Returns the number if it is decimal and unquoted.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        let digits = self.text.trim_start_matches(['-', '+', '.']);
        let is_numeric = self.is_plain && digits.starts_with(|first: char| first.is_ascii_digit());
        if is_numeric { self.text.parse().ok() } else { None }
    }
}

impl<X> Value<X> {
    /// Returns the type with its article, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Scalar(scalar) if scalar.is_null() => "an empty value",
            Value::Scalar(scalar) if scalar.as_bool().is_some() => "a boolean",
            Value::Scalar(scalar) if scalar.as_number().is_some() => "a number",
            Value::Scalar(_) => "a string",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Unknown(_) => "an unresolved value",
        }
    }
}

impl<X> Node<X> {
    /// Returns a node that was not parsed.
    #[must_use]
    pub fn new(place: Place, value: Value<X>) -> Self {
        Node { id: 0, place, value }
    }

    /// Returns a quoted scalar that was not parsed.
    pub fn quoted(place: Place, text: impl Into<Box<str>>) -> Self {
        Node::new(place, Value::Scalar(Scalar::quoted(text)))
    }

    /// Returns an unquoted scalar that was not parsed.
    pub fn plain(place: Place, text: impl Into<Box<str>>) -> Self {
        Node::new(place, Value::Scalar(Scalar::plain(text)))
    }

    /// Returns `true` if the value is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// Returns the first member of a map with this name; `None` without one, or if the node is not a map.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node<X>> {
        self.members().iter().find(|(key, _)| &*key.name == name).map(|(_, node)| node)
    }

    /// Follows the names of nested maps from this node.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<&Node<X>> {
        path.iter().try_fold(self, |node, name| node.get(name))
    }

    /// Returns the scalar unless it is null.
    #[must_use]
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) if !scalar.is_null() => Some(scalar),
            _ => None,
        }
    }

    /// Returns the text of a scalar unless it is null.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        self.as_scalar().map(|scalar| &*scalar.text)
    }

    /// Returns the members of a map; `None` for other nodes.
    #[must_use]
    pub fn as_map(&self) -> Option<&[(Key, Node<X>)]> {
        match &self.value {
            Value::Map(members) => Some(members),
            _ => None,
        }
    }

    /// Returns the members of a map; empty for other nodes.
    #[must_use]
    pub fn members(&self) -> &[(Key, Node<X>)] {
        self.as_map().unwrap_or_default()
    }

    /// Returns the items of a list; empty for other nodes.
    #[must_use]
    pub fn items(&self) -> &[Node<X>] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// Returns the member of a map that has exactly one.
    #[must_use]
    pub fn only_member(&self) -> Option<(&str, &Node<X>)> {
        match self.members() {
            [(key, node)] => Some((&key.name, node)),
            _ => None,
        }
    }

    /// Returns the number of nodes, this one included, and the number of levels that they span.
    #[must_use]
    pub fn extent(&self) -> (usize, usize) {
        let sum = |(nodes, levels): (usize, usize), inner: &Node<X>| {
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

impl<X> Node<X> {
    /// Assigns new consecutive IDs to all nodes, starting with `next`.
    pub(crate) fn renumber(&mut self, next: &mut u32) {
        self.id = *next;
        *next = next.saturating_add(1);
        match &mut self.value {
            Value::List(items) => items.iter_mut().for_each(|item| item.renumber(next)),
            Value::Map(members) => members.iter_mut().for_each(|(_, member)| member.renumber(next)),
            Value::Scalar(_) | Value::Unknown(_) => {}
        }
    }
}

/// Returns each key that is not the first of its name, behind that first one.
pub(crate) fn duplicates(mut keys: Vec<&Key>) -> Vec<(&Key, &Key)> {
    keys.sort_by_key(|key| &key.name);
    let groups = keys.chunk_by(|one, other| one.name == other.name);
    groups.flat_map(|group| group.iter().skip(1).filter_map(|later| Some((*group.first()?, *later)))).collect()
}
