//! `tracing`: what the traces of other tools depend on. Owns no ids and no fields.

use crate::mirror::Share;

/// `tracing`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Tracing {
    /// `xray`: a subsegment for each attempt of a request that X-Ray has sampled.
    pub xray: bool,
    /// `w3c: create`, and `sampled`: the share of the created parents that have the flag. `None` forwards what came.
    pub created: Option<Share>,
}

impl Tracing {
    /// Returns whether requests need anything of it.
    #[must_use]
    #[inline]
    pub fn is_on(self) -> bool {
        self.xray || self.created.is_some()
    }
}
