//! Event formats of AWS front ends, to and from `http::Request` and `http::Response`.
//!
//! Owns the bytes: what a front end's JSON says becomes an HTTP message without a byte of target, field or content
//! changed, and back. Both directions live here, so that the function and the emulator are held to the same rules.
//! Does not route, forward, log or do any I/O.
//!
//! To add a format: a module like [`alb`], a variant of [`EventFormat`], an arm in each function below.

// No input may end the process. `clippy.toml` says which arithmetic is left to the fuzz targets.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable
    )
)]

pub mod alb;
mod content;
mod error;
mod json;

use bytes::Bytes;
use http::{Request, Response};

pub use error::{DecodeError, EncodeError, Undecodable};

/// Which front end sent an event, with what is needed to answer in kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EventFormat {
    /// Application Load Balancer, Lambda target group.
    Alb(HeaderMode),
}

/// The target group attribute `lambda.multi_value_headers.enabled`: the shape of header fields (and, in requests, of
/// query parameters). It holds for the request and its reply alike (ELB guide, "Lambda functions as targets").
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HeaderMode {
    /// `headers`: one string for each name; the default of a target group.
    Single,
    /// `multiValueHeaders`: an array of strings for each name.
    Multi,
}

/// A decoded event.
#[derive(Debug)]
pub struct Event {
    /// The format to answer in.
    pub format: EventFormat,
    /// The request as the front end received it: an origin-form target, `host` among the fields, the content decoded.
    pub request: Request<Bytes>,
    /// The front end asks after the function's own health; no client is behind it.
    pub is_health_check: bool,
}

/// Reads an event. Field values, and content that needs no decoding, share the event's memory.
///
/// # Errors
///
/// [`Undecodable`] for whatever is not an HTTP request in a known format; it names the format to answer in.
pub fn decode_request(event: &Bytes) -> Result<Event, Undecodable> {
    alb::decode_request(event)
}

/// Appends the reply to `out`, which is left as it was on error.
///
/// # Errors
///
/// [`EncodeError`] where the front end would refuse the reply for its size.
pub fn encode_response(format: EventFormat, response: &Response<Bytes>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    match format {
        EventFormat::Alb(mode) => alb::encode_response(mode, response, out),
    }
}
