//! Changes to the content of responses. Each is a transform of bytes without I/O: it takes the content in pieces of any size, and
//! its result does not depend on where they end.
//!
//! Owns the decision which responses are changed, and the fields that say so to the client. A response that is streamed to the
//! client is changed piece by piece by the same transforms (`Mapper`, `Encoder`).

mod codings;
mod compress;
mod fields;
mod gunzip;
mod html;
mod mapping;
mod names;
#[cfg(test)]
mod properties;
mod spelling;
#[cfg(test)]
mod tests;
mod urls;

pub use compress::compress;
pub(crate) use compress::{Compression, Encoder, for_client, for_stream, is_compressible, is_to_be_recoded};
pub(crate) use fields::{DIGESTS, is_fixed, media_type};
pub(crate) use gunzip::Gunzip;
pub(crate) use mapping::{Mapper, Mapping, map, only_decodable};
pub(crate) use names::Names;

/// Bytes of content that are read from a back end although the front end cannot carry them, since they may fit once they are
/// compressed.
pub(crate) const LARGEST: usize = 8 * 1024 * 1024;
