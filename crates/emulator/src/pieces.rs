//! A body that came in pieces, as one. Owns no reading and no limit.

use bytes::Bytes;

/// Joins pieces. Most bodies are one, which is handed on without a copy.
pub(crate) fn join(mut pieces: Vec<Bytes>) -> Bytes {
    match pieces.len() {
        1 => pieces.swap_remove(0),
        _ => pieces.concat().into(),
    }
}
