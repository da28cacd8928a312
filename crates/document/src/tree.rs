//! The tree: what a document is once it is read. Owns no syntax and no message.

use std::convert::Infallible;

/// Where something is in a text.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    /// The caller's number of the file.
    pub file: u32,
    /// From 1.
    pub line: u32,
    /// From 1, in characters.
    pub column: u32,
}

impl Place {
    /// A place in the file with the number 0.
    #[must_use]
    pub fn new(line: u32, column: u32) -> Self {
        Place { file: 0, line, column }
    }
}

/// A value and where it is. `X` is what else a value may be for those who resolve references in a tree; no text gives it.
#[derive(Clone, Debug)]
pub struct Node<X = Infallible> {
    /// Different for all nodes of one text, even for those that an alias repeats. 0 in nodes that no text gave.
    pub id: u32,
    /// Where it begins.
    pub place: Place,
    /// The value.
    pub value: Value<X>,
}

/// Any value.
#[derive(Clone, Debug)]
pub enum Value<X = Infallible> {
    /// A value that is no collection.
    Scalar(Scalar),
    /// Values in order.
    List(Vec<Node<X>>),
    /// In the order of the text.
    Map(Vec<(Key, Node<X>)>),
    /// Put there by those who resolve references.
    Unknown(X),
}

/// A value that is no collection. Its reader decides what type it has: `010` is a number in one place and a customer's id
/// in another.
#[derive(Clone, Debug)]
pub struct Scalar {
    /// The value's text.
    pub text: Box<str>,
    /// Without quotes: it can be a number, a boolean or nothing.
    pub is_plain: bool,
    /// The form in the file, where it differs from `text`.
    pub written: Option<Box<Written>>,
}

/// A text with variables: as it is in the file, since their values are not shown, and split into its pieces.
#[derive(Clone, Debug)]
pub struct Written {
    /// As it is in the file.
    pub text: Box<str>,
    /// The same with the values.
    pub pieces: Vec<Piece>,
}

/// A part of a text. Only text of the file can mean something where a text has a syntax of its own, such as `${host}`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// Written in the file.
    OfFile(String),
    /// The value of a variable of the environment.
    OfEnvironment(String),
}

/// A name in a map.
#[derive(Clone, Debug)]
pub struct Key {
    /// Where it begins.
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
    /// A text without quotes.
    pub fn plain(text: impl Into<Box<str>>) -> Self {
        Scalar { text: text.into(), is_plain: true, written: None }
    }

    /// A text within quotes.
    pub fn quoted(text: impl Into<Box<str>>) -> Self {
        Scalar { text: text.into(), is_plain: false, written: None }
    }

    /// A text with the values of variables in it; these can be of any type, even within quotes.
    #[must_use]
    pub fn expanded(text: &str, pieces: Vec<Piece>) -> Self {
        let expanded: String = pieces.iter().map(Piece::text).collect();
        Scalar { written: Some(Box::new(Written { text: text.into(), pieces })), ..Scalar::plain(expanded) }
    }

    /// Returns whether it is null in the core schema (YAML 1.2 section 10.3): a text in quotes never is.
    #[must_use]
    pub fn is_null(&self) -> bool {
        self.is_plain && matches!(&*self.text, "" | "~" | "null" | "Null" | "NULL")
    }

    /// The boolean of the core schema.
    #[must_use]
    pub fn as_bool(&self) -> Option<bool> {
        match &*self.text {
            "true" | "True" | "TRUE" if self.is_plain => Some(true),
            "false" | "False" | "FALSE" if self.is_plain => Some(false),
            _ => None,
        }
    }

    /// The decimal number, if it is a finite one.
    #[must_use]
    pub fn as_number(&self) -> Option<f64> {
        let digits = self.text.trim_start_matches(['-', '+', '.']);
        let is_numeric = self.is_plain && digits.starts_with(|first: char| first.is_ascii_digit());
        if is_numeric { self.text.parse().ok() } else { None }
    }
}

impl<X> Value<X> {
    /// The type, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self {
            Value::Scalar(scalar) if scalar.is_null() => "nothing",
            Value::Scalar(scalar) if scalar.as_bool().is_some() => "a boolean",
            Value::Scalar(scalar) if scalar.as_number().is_some() => "a number",
            Value::Scalar(_) => "a text",
            Value::List(_) => "a list",
            Value::Map(_) => "a map",
            Value::Unknown(_) => "something unknown",
        }
    }
}

impl<X> Node<X> {
    /// A node that no text gave.
    #[must_use]
    pub fn new(place: Place, value: Value<X>) -> Self {
        Node { id: 0, place, value }
    }

    /// A text within quotes that no file gave.
    pub fn quoted(place: Place, text: impl Into<Box<str>>) -> Self {
        Node::new(place, Value::Scalar(Scalar::quoted(text)))
    }

    /// A text without quotes that no file gave.
    pub fn plain(place: Place, text: impl Into<Box<str>>) -> Self {
        Node::new(place, Value::Scalar(Scalar::plain(text)))
    }

    /// Returns whether it is null.
    #[must_use]
    pub fn is_null(&self) -> bool {
        matches!(&self.value, Value::Scalar(scalar) if scalar.is_null())
    }

    /// The member of a map.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Node<X>> {
        self.members().iter().find(|(key, _)| &*key.name == name).map(|(_, node)| node)
    }

    /// By the names of maps, from this node down.
    #[must_use]
    pub fn at(&self, path: &[&str]) -> Option<&Node<X>> {
        path.iter().try_fold(self, |node, name| node.get(name))
    }

    /// The scalar, unless it is null.
    #[must_use]
    pub fn as_scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) if !scalar.is_null() => Some(scalar),
            _ => None,
        }
    }

    /// The text of a scalar, unless it is null.
    #[must_use]
    pub fn as_text(&self) -> Option<&str> {
        self.as_scalar().map(|scalar| &*scalar.text)
    }

    /// The members, if it is a map.
    #[must_use]
    pub fn as_map(&self) -> Option<&[(Key, Node<X>)]> {
        match &self.value {
            Value::Map(members) => Some(members),
            _ => None,
        }
    }

    /// The members of a map; nothing else has any.
    #[must_use]
    pub fn members(&self) -> &[(Key, Node<X>)] {
        self.as_map().unwrap_or_default()
    }

    /// The items of a list; nothing else has any.
    #[must_use]
    pub fn items(&self) -> &[Node<X>] {
        match &self.value {
            Value::List(items) => items,
            _ => &[],
        }
    }

    /// The member of a map that has exactly one.
    #[must_use]
    pub fn only_member(&self) -> Option<(&str, &Node<X>)> {
        match self.members() {
            [(key, node)] => Some((&key.name, node)),
            _ => None,
        }
    }

    /// The number of nodes in it, itself included, and the number of levels they are on.
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
    /// Gives all nodes new IDs, from `next` on.
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

/// Keys of one map that have the same name, each with the one before it.
pub(crate) fn duplicates(mut keys: Vec<&Key>) -> Vec<(&Key, &Key)> {
    keys.sort_by_key(|key| &key.name);
    let pairs = keys.iter().zip(keys.iter().skip(1)).map(|(first, second)| (*first, *second));
    pairs.filter(|(first, second)| first.name == second.name).collect()
}
