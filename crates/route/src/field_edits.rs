//! The compiled changes to fields, `requestHeaders` and `responseHeaders`. `config` reads them, the proxy applies them.

use http::header::{HeaderName, HeaderValue};

use crate::template::Template;

/// `requestHeaders` or `responseHeaders`, applied in the order of these members.
#[derive(Clone, Debug, Default)]
pub struct FieldEdits {
    /// Removes all values of these fields.
    pub remove: Vec<HeaderName>,
    /// Replaces the values of a field; removes it if a variable has no value.
    pub set: Vec<(HeaderName, FieldValue)>,
    /// Adds a value to a field; does nothing if a variable has no value.
    pub add: Vec<(HeaderName, FieldValue)>,
}

impl FieldEdits {
    /// Returns the names of all fields that are changed.
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.remove.iter().chain(self.set.iter().chain(&self.add).map(|(name, _)| name))
    }

    /// Returns `true` if nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}

/// The value of a field that the configuration sets.
#[derive(Clone, Debug)]
pub enum FieldValue {
    /// A constant.
    Constant(HeaderValue),
    /// A text with variables.
    Template(Template),
}
