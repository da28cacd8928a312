//! A request's head as events and conditions take it. Owns no parsing (`crate::http`).

use std::net::IpAddr;

use crossfade_event::alb::RequestLine;
use crossfade_rule::{RequestView, normalised};
use http::{HeaderValue, header};

use crate::http::Head;

/// The request line, for an event.
pub(super) fn line(head: &Head) -> RequestLine<'_> {
    RequestLine { method: head.method.as_str(), path: head.path(), query: head.query() }
}

/// The parts of a request that conditions match, for a client with this address.
pub(super) fn view(head: &Head, source_ip: IpAddr) -> RequestView<'_> {
    RequestView {
        method: head.method.as_str(),
        host: head.headers.get(header::HOST).map(HeaderValue::as_bytes).unwrap_or_default(),
        path: normalised(head.path()),
        query: head.query(),
        headers: &head.headers,
        source_ip: Some(source_ip),
    }
}
