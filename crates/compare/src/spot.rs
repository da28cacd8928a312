//! The location of a difference and its notation. Owns pointers with their variable parts replaced; `rules` owns the
//! patterns of rules.

use std::fmt::Write;

use http::header::HeaderName;

/// A location at which two responses differ.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spot<'a> {
    /// The status.
    Status,
    /// A field.
    Field(&'a HeaderName),
    /// The content as a whole, if it is not JSON.
    Body,
    /// A place in JSON; an empty path is the whole document.
    Json(&'a [PathStep<'a>]),
}

/// A step into JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PathStep<'a> {
    /// To an element.
    Index(usize),
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
            // Indices have no leading zeros (RFC 6901 section 4).
            PathStep::Index(index) => {
                text.starts_with(|first: char| first.is_ascii_digit())
                    && text.parse() == Ok(*index)
                    && (text == "0" || !text.starts_with('0'))
            }
        }
    }
}

impl Spot<'_> {
    /// Returns the form of [`crate::Difference::pointer`].
    pub(crate) fn pointer(&self) -> String {
        match self {
            Spot::Status => "status".to_owned(),
            Spot::Field(name) => name.as_str().to_owned(),
            Spot::Body | Spot::Json([]) => "body".to_owned(),
            Spot::Json(path) => json_pointer(path, false),
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
            Spot::Json(path) if path.iter().any(|step| matches!(step, PathStep::Index(_))) => {
                Some(json_pointer(path, true))
            }
            _ => None,
        }
    }
}

/// Encodes a path (RFC 6901 section 3).
fn json_pointer(path: &[PathStep<'_>], has_indices: bool) -> String {
    let mut text = String::with_capacity(path.len() * 8);
    for step in path {
        text.push('/');
        match step {
            PathStep::Index(index) if has_indices => {
                let _ = write!(text, "{index}"); // a String takes all
            }
            PathStep::Index(_) | PathStep::Name { is_folded: true, .. } => text.push('*'),
            PathStep::Name { name, .. } => {
                for character in name.chars() {
                    match character {
                        '~' => text.push_str("~0"),
                        '/' => text.push_str("~1"),
                        _ => text.push(character),
                    }
                }
            }
        }
    }
    text
}
