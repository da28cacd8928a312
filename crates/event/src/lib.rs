//! Event formats of AWS front ends, to and from `http::Request` and `http::Response`.
//!
//! Owns the bytes: what a front end's JSON says becomes an HTTP message without a byte of target, field or content
//! changed, and back. Both directions live here, so that the function and the emulator are held to the same rules.
//! Does not route, forward, log or do any I/O.
//!
//! To add a format: a module with a [`Format`] like those of [`alb`], and its line in [`FORMATS`].

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
mod detect;
mod error;
mod fields;
mod front;
mod gateway;
mod json;
pub mod lattice;
pub mod payload_1;
pub mod payload_2;
mod read;
mod reader;
mod reply;
mod target;
pub mod websocket;

use bytes::Bytes;

pub use alb::HeaderMode;
pub use error::{DecodeError, EncodeError};
pub use fields::{CONNECTION_FIELDS, is_vouched_for};
pub use front::{Event, Format, Front, Prelude, Shape, Undecodable};

/// The formats that Crossfade knows, in the order in which detection tries them.
pub const FORMATS: &[&Format] = &[
    &alb::SINGLE,
    &payload_2::HTTP_API,
    &payload_1::REST_API,
    &payload_1::HTTP_API,
    &lattice::V1,
    &lattice::V2,
    &websocket::WEBSOCKET_API,
];

/// Reads an event of one of these formats. Field values, and content that needs no decoding, share the event's memory.
///
/// # Errors
///
/// [`Undecodable`] for whatever is not an HTTP request in one of the formats; it names the format to respond in.
pub fn decode_request(formats: &[&'static Format], event: &Bytes) -> Result<Event, Undecodable> {
    // Checked once as a whole, which is several times cheaper than string by string.
    let text = std::str::from_utf8(event).map_err(|_| DecodeError::NotUtf8);
    let detected = text.and_then(|text| Ok((detect::detect(formats, text)?, text)));
    match detected {
        Ok((format, text)) => (format.decode)(event, text),
        Err(error) => Err(Undecodable { format: fallback(event), error }),
    }
}

/// The format to respond in to an event of no known format.
#[must_use]
pub fn fallback(event: &[u8]) -> &'static Format {
    alb::format_of(event)
}
