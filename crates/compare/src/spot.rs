//! The location of a difference and its notation. Owns pointers with their variable parts replaced; `rules` owns the
//! patterns of rules.

use std::cmp::Ordering;
use std::fmt::Write;

use http::header::HeaderName;

use crate::evidence::{Exact, NOWHERE, STATUS, continued};
use crate::work::{Stop, Work};

/// Elements that are recorded one by one if they vary; more are recorded together.
const MAX_VARYING: usize = 256;
/// Cost of looking at an element, in units of work.
const ELEMENT_WORK: usize = 8;

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
    /// Likewise, with its exact place, those that contain it, and `true` if one of them is known by its content.
    Exact(&'a Inner<'a>, &'a [Exact], Exact, bool),
    /// A line or a row of it, and a part of that, which may be empty.
    Element(&'a Inner<'a>, Element, &'a str),
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
        /// `true` if both arrays have the same keys.
        is_stable: bool,
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

/// Identifies an element of a sequence, as evidence. That must not depend on the element's partner, which is another one in
/// each comparison.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Element {
    /// By its position, which is the same in both sequences.
    At(usize),
    /// By the number of elements with its content, and with that of its partner.
    Loose([u64; 2]),
    /// By a hash of its key.
    Keyed(u64),
}

impl Element {
    pub(crate) fn exact(self, sequence: Exact, trail: &mut Vec<Exact>) -> Exact {
        match self {
            Element::At(index) => {
                trail.extend([Elements::Keyed, Elements::Moved].map(|elements| elements.exact(sequence)));
                Elements::At(index).exact(sequence)
            }
            Element::Loose([primary, mirror]) => {
                let others = [Elements::Keyed, Elements::Others, Elements::Content(mirror)];
                trail.extend(others.map(|elements| elements.exact(sequence)));
                Elements::Content(primary).exact(sequence)
            }
            Element::Keyed(key) => {
                trail.push(Elements::Keyless.exact(sequence));
                Elements::Key(key).exact(sequence)
            }
        }
    }
}

/// Elements of a sequence that vary when the request is repeated.
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
    /// The one with a key.
    Key(u64),
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
            Elements::Key(key) => continued(continued(array, b"="), &key.to_le_bytes()),
            Elements::Keyed => continued(array, b"=="),
            Elements::Keyless => continued(array, b"!="),
        }
    }
}

/// Returns the elements of two sequences without keys that are evidence of noise: those at the positions `moved`, which have
/// no partner or another position, and those of which there are not as many in the other sequence. `contents` are their
/// digests.
pub(crate) fn varying(
    moved: impl Iterator<Item = usize>,
    contents: [&[u64]; 2],
    work: &Work<'_>,
) -> Result<Vec<Elements>, Stop> {
    let mut elements = Vec::new();
    let moved: Vec<usize> = moved.take(MAX_VARYING + 1).collect();
    match moved.len() {
        0..=MAX_VARYING => elements.extend(moved.into_iter().map(Elements::At)),
        _ => elements.push(Elements::Moved),
    }
    let sorted = |digests: &[u64]| {
        work.spend(digests.len() * (ELEMENT_WORK + digests.len().checked_ilog2().unwrap_or(0) as usize))?;
        let mut sorted = digests.to_vec();
        sorted.sort_unstable();
        Ok(sorted)
    };
    let (left, right) = (sorted(contents[0])?, sorted(contents[1])?);
    let single = merged(&left, &right, u64::cmp).filter(|(one, other)| one.is_none() || other.is_none());
    let single: Vec<u64> = single.filter_map(|(one, other)| one.or(other)).copied().take(MAX_VARYING + 1).collect();
    match single.len() {
        0..=MAX_VARYING => elements.extend(single.into_iter().map(Elements::Content)),
        _ => elements.push(Elements::Others),
    }
    Ok(elements)
}

/// Merges two sorted lists into pairs of equal keys and single entries.
pub(crate) fn merged<'i, T>(
    ours: &'i [T],
    theirs: &'i [T],
    order: impl Fn(&T, &T) -> Ordering,
) -> impl Iterator<Item = (Option<&'i T>, Option<&'i T>)> {
    let (mut left, mut right) = (ours.iter().peekable(), theirs.iter().peekable());
    std::iter::from_fn(move || {
        let order = match (left.peek(), right.peek()) {
            (None, None) => return None,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some(one), Some(other)) => order(one, other),
        };
        let one = if order.is_le() { left.next() } else { None };
        Some((one, if order.is_ge() { right.next() } else { None }))
    })
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
            Spot::Other(inner) | Spot::Exact(inner, ..) | Spot::Element(inner, ..) => inner.pointer.to_owned(),
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
            Spot::Other(inner) | Spot::Exact(inner, ..) | Spot::Element(inner, ..) => inner.at.map(str::to_owned),
            _ => None,
        }
    }

    /// Returns `true` if it, or one that contains it, is known by its content, or by a key among others that vary.
    pub(crate) fn is_loose(&self) -> bool {
        match self {
            // Arrays without keys in common are not compared by keys, so that it depends on them whether a value is recognised.
            Spot::Json(path) => path
                .iter()
                .any(|step| matches!(step, PathStep::Loose { .. } | PathStep::Keyed { is_stable: false, .. })),
            Spot::Element(_, element, _) => matches!(element, Element::Loose(_)),
            Spot::Exact(.., is_loose) => *is_loose,
            _ => false,
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
            Spot::Json(path) => path.iter().fold(continued(begin, b"body"), |array, step| {
                trail.push(array);
                match step {
                    PathStep::Index { index, .. } => Element::At(*index).exact(array, trail),
                    PathStep::Loose { contents, .. } => Element::Loose(*contents).exact(array, trail),
                    PathStep::Keyed { key, .. } => {
                        Element::Keyed(continued(NOWHERE, key.as_bytes())).exact(array, trail)
                    }
                    PathStep::Name { name, .. } => continued(array, name.as_bytes()),
                }
            }),
            Spot::Exact(_, above, exact, _) => {
                trail.extend_from_slice(above);
                *exact
            }
            Spot::Element(_, element, part) => {
                let (body, elements) = (continued(begin, b"body"), self::elements(begin));
                trail.extend([body, elements]);
                let element = element.exact(elements, trail);
                if part.is_empty() {
                    return element;
                }
                trail.push(element);
                continued(element, part.as_bytes())
            }
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

/// Returns the exact place of all elements of a content that consists of lines or rows.
pub(crate) fn elements(begin: Exact) -> Exact {
    continued(continued(begin, b"body"), b"elements")
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
