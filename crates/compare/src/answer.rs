//! One of the two responses that are compared, as borrowed parts. Owns no rule and no conversion.

use std::time::SystemTime;

use http::{HeaderMap, StatusCode};

/// A response as its back end sent it.
#[derive(Clone, Copy, Debug)]
pub struct Answer<'a> {
    /// Status code.
    pub status: StatusCode,
    /// Fields.
    pub headers: &'a HeaderMap,
    /// Content, encoded according to `Content-Encoding`.
    pub body: &'a [u8],
    /// Time at which it arrived.
    pub time: SystemTime,
}
