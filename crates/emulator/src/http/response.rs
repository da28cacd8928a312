//! The bytes of a response's head. Owns no field but `Date` and `Connection`.

use std::time::SystemTime;

use bytes::Bytes;
use http::{Response, StatusCode, header};
use httpdate::HttpDate;

/// The reason phrase of a status line; empty where HTTP has none.
pub(crate) fn phrase(status: StatusCode) -> &'static str {
    status.canonical_reason().unwrap_or_default()
}

/// Returns the head of a response in HTTP/1.1, with `Date` unless the response has one, and with `Connection`.
pub(crate) fn write_head(response: &Response<Bytes>, close: bool) -> Vec<u8> {
    let status = response.status();
    let mut out = Vec::with_capacity(512);
    let reason = phrase(status);
    out.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).as_bytes());
    if !response.headers().contains_key(header::DATE) {
        out.extend_from_slice(format!("date: {}\r\n", HttpDate::from(SystemTime::now())).as_bytes());
    }
    for (name, value) in response.headers() {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(if close { b"connection: close\r\n\r\n" } else { b"connection: keep-alive\r\n\r\n" });
    out
}
