//! The location of a difference and its notation. Owns pointers with their variable parts replaced; `rules` owns the
//! patterns of rules.

use std::fmt::Write;

use http::header::HeaderName;

use crate::evidence::{Exact, STATUS, continued};

/// A location at which two responses differ.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spot<'a> {
    /// The status.
    Status,
    /// A field.
    Field(&'a HeaderName),
    /// A part of a field, such as `basket/secure` of `set-cookie`.
    Part(&'a HeaderName, &'a str),
    /// The content as a whole.
    Body,
    /// A place in JSON; an empty path is the whole document.
    Json(&'a [PathStep<'a>]),
    /// A place in content of another kind.
    Other(&'a Inner<'a>),
}

/// A place in content other than JSON, which that content's module writes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Inner<'a> {
    /// See [`Difference::pointer`](crate::Difference::pointer).
    pub(crate) pointer: &'a str,
    /// See [`Difference::at`](crate::Difference::at).
    pub(crate) at: Option<&'a str>,
    /// The exact places that contain it, as texts that are unique within the content, the outermost first.
    pub(crate) above: &'a [String],
}

/// A step into JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PathStep<'a> {
    /// To an element by its position.
    Index {
        index: usize,
        /// `true` if the position is shown as `*`.
        is_folded: bool,
    },
    /// To an element that has another position in the other array; its position is shown as `*`.
    Loose {
        index: usize,
        /// The contents of the primary's and of the mirror's element.
        contents: [u64; 2],
    },
    /// To an element by a member that identifies it.
    Keyed {
        by: &'a str,
        key: &'a str,
        /// The position in the primary's array, or in the mirror's if only that has it.
        index: usize,
        /// `true` if the key is data and is shown as `*`.
        is_folded: bool,
    },
    /// To a member.
    Name {
        /// The name without escapes.
        name: &'a str,
        /// `true` if the name is data and is shown as `*`.
        is_folded: bool,
    },
}

impl PathStep<'_> {
    /// Returns `true` if it leads to the member, or the element, with this name in a rule.
    pub(crate) fn is_named(&self, text: &str) -> bool {
        match self {
            PathStep::Name { name, .. } => *name == text,
            PathStep::Index { index, .. } | PathStep::Loose { index, .. } => is_index(text, *index),
            PathStep::Keyed { by, key, index, .. } => {
                let inner = text.strip_prefix('[').and_then(|text| text.strip_suffix(']'));
                let pair = inner.and_then(|inner| inner.strip_prefix(by)?.strip_prefix('='));
                pair == Some(key) || is_index(text, *index)
            }
        }
    }
}

/// Elements of an array that vary when the request is repeated. Evidence about an element must not depend on its partner, which
/// is another one in each comparison: it is about its key, about its position if that is the same in both arrays, or about the
/// number of elements with its content.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Elements {
    /// The one at a position of the first array.
    At(usize),
    /// Those whose position is another one, if they are many.
    Moved,
    /// Those with a content.
    Content(u64),
    /// Those of which there are more in one array, if they are many.
    Others,
    /// All, since elements were paired by a key.
    Keyed,
    /// All, since elements were not paired by a key.
    Keyless,
}

impl Elements {
    pub(crate) fn exact(self, array: Exact) -> Exact {
        match self {
            Elements::At(index) => continued(continued(array, b"#"), &index.to_le_bytes()),
            Elements::Moved => continued(array, b"#"),
            Elements::Content(digest) => continued(continued(array, b"*"), &digest.to_le_bytes()),
            Elements::Others => continued(array, b"*"),
            Elements::Keyed => continued(array, b"=="),
            Elements::Keyless => continued(array, b"!="),
        }
    }
}

/// Indices have no leading zeros (RFC 6901 section 4).
fn is_index(text: &str, index: usize) -> bool {
    text.starts_with(|first: char| first.is_ascii_digit())
        && text.parse() == Ok(index)
        && (text == "0" || !text.starts_with('0'))
}

impl Spot<'_> {
    /// Returns the form of [`crate::Difference::pointer`].
    pub(crate) fn pointer(&self) -> String {
        match self {
            Spot::Status => "status".to_owned(),
            Spot::Field(name) => name.as_str().to_owned(),
            Spot::Part(name, part) => format!("{name}/{part}"),
            Spot::Body | Spot::Json([]) => "body".to_owned(),
            Spot::Json(path) => json_pointer(path, false),
            Spot::Other(inner) => inner.pointer.to_owned(),
        }
    }

    /// Returns the total length of its names in bytes.
    pub(crate) fn length(&self) -> usize {
        let Spot::Json(path) = self else { return 0 };
        path.iter().map(|step| if let PathStep::Name { name, .. } = step { name.len() } else { 0 }).sum()
    }

    /// Returns the form of [`crate::Difference::at`].
    pub(crate) fn at(&self) -> Option<String> {
        match self {
            Spot::Json(path) => {
                let (at, pointer) = (json_pointer(path, true), json_pointer(path, false));
                (at != pointer).then_some(at)
            }
            Spot::Other(inner) => inner.at.map(str::to_owned),
            _ => None,
        }
    }

    /// Adds the hashes of its ancestors to `trail`, beginning with a hash, and returns its own. A line, an element of a
    /// page or of a list that only the mirror has (`is_extra`) is like any other at its place: random ones, such as
    /// advertisements, are elsewhere in every response, or have another key.
    pub(crate) fn exact(&self, begin: Exact, is_extra: bool, trail: &mut Vec<Exact>) -> Exact {
        match self {
            Spot::Status => continued(begin, STATUS),
            Spot::Field(name) => continued(begin, name.as_str().as_bytes()),
            Spot::Part(name, part) => {
                let field = continued(begin, name.as_str().as_bytes());
                trail.push(field);
                let above = part.match_indices('/').filter_map(|(end, _)| part.get(..end));
                trail.extend(above.map(|above| continued(field, above.as_bytes())));
                continued(field, part.as_bytes())
            }
            Spot::Body => continued(begin, b"body"),
            Spot::Json(path) => path.iter().enumerate().fold(continued(begin, b"body"), |array, (at, step)| {
                trail.push(array);
                let is_last = at.checked_add(1) == Some(path.len());
                match step {
                    PathStep::Keyed { is_folded: true, .. } | PathStep::Name { is_folded: true, .. }
                        if is_extra && is_last =>
                    {
                        trail.push(Elements::Keyless.exact(array));
                        continued(array, b"+")
                    }
                    PathStep::Index { index, .. } => {
                        trail.extend([Elements::Keyed, Elements::Moved].map(|elements| elements.exact(array)));
                        Elements::At(*index).exact(array)
                    }
                    PathStep::Loose { contents: [primary, mirror], .. } => {
                        let others = [Elements::Keyed, Elements::Others, Elements::Content(*mirror)];
                        trail.extend(others.map(|elements| elements.exact(array)));
                        Elements::Content(*primary).exact(array)
                    }
                    PathStep::Keyed { key, .. } => {
                        trail.push(Elements::Keyless.exact(array));
                        continued(continued(array, b"="), key.as_bytes())
                    }
                    PathStep::Name { name, .. } => continued(array, name.as_bytes()),
                }
            }),
            Spot::Other(inner) => {
                let body = continued(begin, b"body");
                trail.push(body);
                trail.extend(inner.above.iter().map(|above| continued(body, above.as_bytes())));
                match inner.at {
                    Some(at) if !is_extra => continued(body, at.as_bytes()),
                    _ => continued(body, inner.pointer.as_bytes()),
                }
            }
        }
    }
}

/// Encodes a path (RFC 6901 section 3).
fn json_pointer(path: &[PathStep<'_>], has_indices: bool) -> String {
    let mut text = String::with_capacity(path.len() * 8);
    for step in path {
        text.push('/');
        match step {
            PathStep::Index { index, is_folded: false } => push_index(&mut text, *index),
            PathStep::Index { index, .. } | PathStep::Loose { index, .. } | PathStep::Keyed { index, .. }
                if has_indices =>
            {
                push_index(&mut text, *index)
            }
            PathStep::Index { .. } | PathStep::Loose { .. } | PathStep::Keyed { is_folded: true, .. } => text.push('*'),
            // A name that is data stays folded, since it may be a secret.
            PathStep::Name { is_folded: true, .. } => text.push('*'),
            PathStep::Keyed { by, key, .. } => {
                text.push('[');
                push_escaped(&mut text, by);
                text.push('=');
                push_escaped(&mut text, key);
                text.push(']');
            }
            PathStep::Name { name, .. } => push_escaped(&mut text, name),
        }
    }
    text
}

fn push_index(text: &mut String, index: usize) {
    let _ = write!(text, "{index}"); // a String takes all
}

fn push_escaped(text: &mut String, name: &str) {
    for character in name.chars() {
        match character {
            '~' => text.push_str("~0"),
            '/' => text.push_str("~1"),
            _ => text.push(character),
        }
    }
}
