//! A borrowed view of the parts of a request that conditions can test. Owns splitting a host and a query string;
//! allocates nothing but a path that is not in its normal form.

use std::borrow::Cow;
use std::net::IpAddr;

use http::header::{COOKIE, HOST, HeaderMap, HeaderValue};
use http::{Method, Uri};

use crate::normal::normalised;

/// The parts of one request that conditions can test, as raw bytes; only the path is normalised.
#[derive(Clone, Debug)]
pub struct RequestView<'a> {
    /// The method as sent; methods are case-sensitive (RFC 9110 section 9.1).
    pub method: &'a str,
    /// The `Host` field, with or without a port; empty if absent.
    pub host: &'a [u8],
    /// The path without the query, in the form that [`normalised`] returns.
    pub path: Cow<'a, [u8]>,
    /// Everything after the first `?`, as sent.
    pub query: Option<&'a [u8]>,
    /// The request's fields.
    pub headers: &'a HeaderMap,
    /// The peer of the TCP connection, never an address from `X-Forwarded-For`. `None` matches no address range.
    pub source_ip: Option<IpAddr>,
}

impl<'a> RequestView<'a> {
    /// Returns the view of a request whose host is in its `Host` field.
    #[must_use]
    pub fn new(method: &'a Method, uri: &'a Uri, headers: &'a HeaderMap, source_ip: Option<IpAddr>) -> Self {
        RequestView {
            method: method.as_str(),
            host: headers.get(HOST).map(HeaderValue::as_bytes).unwrap_or_default(),
            path: normalised(uri.path().as_bytes()),
            query: uri.query().map(str::as_bytes),
            headers,
            source_ip,
        }
    }

    /// Returns the host without its port: `a.example` for `a.example:8080`, `[::1]` for `[::1]:80`.
    #[must_use]
    pub fn host_name(&self) -> &'a [u8] {
        let name_end = match self.host.iter().rposition(|byte| *byte == b':') {
            // A colon inside the brackets belongs to the IPv6 address.
            Some(colon) if !self.host.iter().skip(colon).any(|byte| *byte == b']') => colon,
            _ => self.host.len(),
        };
        self.host.get(..name_end).unwrap_or_default()
    }

    /// Returns the key/value pairs of the query, not decoded. A piece without `=` is a key with an empty value, empty
    /// pieces are skipped, and a `#` ends the query.
    pub fn query_pairs(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let query = self.query.unwrap_or_default();
        let query = query.split(|byte| *byte == b'#').next().unwrap_or_default();
        let pieces = query.split(|byte| *byte == b'&').filter(|piece| !piece.is_empty());
        pieces.map(|piece| at_equals(piece).unwrap_or((piece, &[])))
    }

    /// Returns the name and value of each cookie (RFC 6265 section 5.4), as sent.
    pub fn cookies(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        let lines = self.headers.get_all(COOKIE).iter();
        let cookies = lines.flat_map(|line| line.as_bytes().split(|byte| *byte == b';'));
        cookies.filter_map(|cookie| {
            let (name, value) = at_equals(cookie)?;
            Some((name.trim_ascii(), value.trim_ascii()))
        })
    }
}

/// Returns the bytes before and after the first `=`.
fn at_equals(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = bytes.iter().position(|byte| *byte == b'=')?;
    Some((bytes.get(..equals)?, bytes.get(equals + 1..)?))
}
