//! The scheme of a back end. Owns the type alone; `reach` says where plain text may go.

/// The scheme of a back end's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// For loopback and private networks only.
    Http,
    /// Certificates are verified.
    Https,
}

impl Scheme {
    /// Returns the scheme as in a URL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
}
