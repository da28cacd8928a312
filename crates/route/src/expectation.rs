//! `tests` of a configuration: a request and its expected result. `crossfade test` compares them.

use std::net::IpAddr;

use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};

/// One of the `tests`.
#[derive(Clone, Debug)]
pub struct Expectation {
    /// The line that it begins on, counted from 1.
    pub line: u32,
    /// Method of the request.
    pub method: Method,
    /// Scheme, host, path and query.
    pub url: Uri,
    /// Fields of the request.
    pub headers: Vec<(HeaderName, HeaderValue)>,
    /// The client's address.
    pub ip: Option<IpAddr>,
    /// The route that must match.
    pub route: Option<String>,
    /// The back end that must be chosen.
    pub backend: Option<String>,
    /// `https://host/path?query` at the back end, or only the path and query if it begins with `/`.
    pub upstream: Option<String>,
    /// The status of a response that does not come from a back end.
    pub status: Option<StatusCode>,
    /// The `Location` of a redirect.
    pub location: Option<String>,
}
