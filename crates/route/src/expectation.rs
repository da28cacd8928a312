//! `tests` of a configuration: a request and what is to become of it. Compares nothing: `crossfade test` does.

use std::net::IpAddr;

use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};

/// One of the `tests`.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The line that it begins in, from 1.
    pub line: u32,
    /// As a client would send it.
    pub method: Method,
    /// Scheme, host, path and query.
    pub url: Uri,
    /// Its fields.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// The route that it is to meet.
    pub route: Option<String>,
    /// The back end that it is to go to.
    pub backend: Option<String>,
    /// `https://host/path?query` at the back end; from the path on if it begins with `/`.
    pub upstream: Option<String>,
    /// Of an answer that comes from no back end.
    pub status: Option<StatusCode>,
    /// Where a redirect is to lead.
    pub location: Option<String>,
}
