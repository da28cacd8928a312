//! Where a difference is, and how that is written. Owns pointers with their changing parts folded; the patterns that the
//! rules have are in `rules`.

use std::fmt::Write;

use http::header::HeaderName;

/// Where two answers differ.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Spot<'a> {
    /// Their status.
    Status,
    /// A field.
    Field(&'a HeaderName),
    /// The content as a whole, if it is no JSON.
    Body,
    /// A place in JSON; without a step the whole of it.
    Json(&'a [PathStep<'a>]),
}

/// A step down in JSON.
#[derive(Clone, Copy, Debug)]
pub(crate) enum PathStep<'a> {
    /// To an element.
    Index(usize),
    /// To a member.
    Name {
        /// Unescaped.
        name: &'a str,
        /// Whether it stands for many, and is shown as `*`.
        is_folded: bool,
    },
}

impl PathStep<'_> {
    /// Whether it goes to the member, or the element, that a rule calls so.
    pub(crate) fn is_named(&self, text: &str) -> bool {
        match self {
            PathStep::Name { name, .. } => *name == text,
            // Without leading zeros (RFC 6901 section 4).
            PathStep::Index(index) => {
                text.starts_with(|first: char| first.is_ascii_digit())
                    && text.parse() == Ok(*index)
                    && (text == "0" || !text.starts_with('0'))
            }
        }
    }
}

impl Spot<'_> {
    /// As [`crate::Difference::pointer`] has it.
    pub(crate) fn pointer(&self) -> String {
        match self {
            Spot::Status => "status".to_owned(),
            Spot::Field(name) => name.as_str().to_owned(),
            Spot::Body | Spot::Json([]) => "body".to_owned(),
            Spot::Json(path) => json_pointer(path, false),
        }
    }

    /// How long its names are together, in bytes.
    pub(crate) fn length(&self) -> usize {
        let Spot::Json(path) = self else { return 0 };
        path.iter().map(|step| if let PathStep::Name { name, .. } = step { name.len() } else { 0 }).sum()
    }

    /// As [`crate::Difference::at`] has it.
    pub(crate) fn at(&self) -> Option<String> {
        match self {
            Spot::Json(path) if path.iter().any(|step| matches!(step, PathStep::Index(_))) => {
                Some(json_pointer(path, true))
            }
            _ => None,
        }
    }
}

/// RFC 6901 section 3.
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
