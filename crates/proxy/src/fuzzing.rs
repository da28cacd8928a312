//! Entry points for `fuzz/`: the transforms of content that outside bytes go through, without a connection. Not part of the public
//! interface. Owns nothing but the way in.

use std::sync::Arc;

use bytes::Bytes;
use crossfade_route::Backend;

use crate::content::{Gunzip, Mapping, Names};

/// Content whose URLs were mapped.
#[derive(Debug, PartialEq, Eq)]
pub struct Mapped {
    /// All of it.
    pub content: Vec<u8>,
    /// `false` if it is as it was.
    pub is_changed: bool,
    /// Bytes that waited for the next piece, at most.
    pub held: usize,
}

/// Maps content of a media type that comes in these pieces. `None` without a `publicUrl`.
pub fn mapped<'p>(backend: &Backend, media_type: &str, pieces: impl IntoIterator<Item = &'p [u8]>) -> Option<Mapped> {
    let public = backend.public_url.as_ref()?;
    let names = Arc::new(Names::new(public, backend, Some(&backend.authority)));
    let mut mapping = Mapping::new(names, public, media_type);
    let (mut content, mut held) = (Vec::new(), 0);
    for piece in pieces {
        mapping.push(piece, &mut content);
        held = held.max(mapping.held());
    }
    let is_changed = mapping.finish(&mut content);
    Some(Mapped { content, is_changed, held })
}

/// Decodes gzip that comes in these pieces, up to a limit. `None` if it is broken, cut short or longer.
pub fn decoded<'p>(pieces: impl IntoIterator<Item = &'p [u8]>, limit: usize) -> Option<Vec<u8>> {
    let (mut decoder, mut content) = (Gunzip::new(), Vec::new());
    for piece in pieces {
        decoder.push(Bytes::copy_from_slice(piece));
        let mut has_more = true;
        while has_more {
            let mut out = Vec::with_capacity(1024);
            has_more = decoder.pull(&mut out).ok()?;
            content.append(&mut out);
            if content.len() > limit {
                return None;
            }
        }
    }
    decoder.finish().ok().map(|()| content)
}
