//! The response of a demo back end, and its usual forms. Owns no page.

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderValue};
use http::{Response, StatusCode};
use http_body_util::Full;

pub(super) type Answer = Response<Full<Bytes>>;

/// A short plain-text response.
pub(super) fn text(status: StatusCode, message: &'static str) -> Answer {
    let mut answer = content("text/plain; charset=utf-8", message);
    *answer.status_mut() = status;
    answer
}

pub(super) fn content(media_type: &'static str, body: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(body.into()));
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(media_type));
    answer
}

pub(super) fn json(value: &serde_json::Value) -> Answer {
    content("application/json", format!("{value:#}\n"))
}
