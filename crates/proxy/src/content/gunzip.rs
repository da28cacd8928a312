//! Decoding gzip that comes in pieces, so that content can be mapped while the back end is still sending it. Owns the format
//! (RFC 1952); the limit of its output is the caller's, piece by piece. Content that is whole is decoded by `crossfade-compare`.

use bytes::{Buf, Bytes};
use flate2::{Crc, Decompress, FlushDecompress, Status};

/// Bytes of a header, which may have a name and a comment.
const MAX_HEAD: usize = 16 * 1024;
/// Checksum and length.
const TAIL: usize = 8;

/// Flags of the header.
const HAS_CHECKSUM: u8 = 1 << 1;
const HAS_EXTRA: u8 = 1 << 2;
const HAS_NAME: u8 = 1 << 3;
const HAS_COMMENT: u8 = 1 << 4;

/// The content is not gzip, or is cut short.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Broken;

#[derive(Debug)]
enum State {
    /// The header of a member, as far as it has come.
    Head(Vec<u8>),
    Content,
    /// The end of a member.
    Tail(Vec<u8>),
    /// Bytes after the last member, which decoders ignore.
    Padding,
}

/// Decodes one content, of any number of members.
#[derive(Debug)]
pub(crate) struct Gunzip {
    state: State,
    inflate: Decompress,
    sum: Crc,
    input: Bytes,
    is_first: bool,
}

impl Gunzip {
    pub(crate) fn new() -> Self {
        Gunzip {
            state: State::Head(Vec::new()),
            inflate: Decompress::new(false),
            sum: Crc::new(),
            input: Bytes::new(),
            is_first: true,
        }
    }

    /// Takes the next piece. The one before must have been decoded.
    pub(crate) fn push(&mut self, piece: Bytes) {
        self.input = piece;
    }

    /// Appends as much of the content as there is room for in `out`. Returns whether there may be more of this piece.
    pub(crate) fn pull(&mut self, out: &mut Vec<u8>) -> Result<bool, Broken> {
        loop {
            match &mut self.state {
                State::Content => {
                    let (taken, length) = (self.inflate.total_in(), out.len());
                    let status = self.inflate.decompress_vec(&self.input, out, FlushDecompress::None);
                    let taken = (self.inflate.total_in() - taken) as usize;
                    self.input.advance(taken.min(self.input.len()));
                    self.sum.update(out.get(length..).unwrap_or_default());
                    match status {
                        Ok(Status::StreamEnd) => self.state = State::Tail(Vec::new()),
                        // The decoder may hold output back that there is no room for.
                        Ok(_) if out.len() == out.capacity() => return Ok(true),
                        Ok(_) if self.input.is_empty() => return Ok(false),
                        Ok(_) if taken > 0 || out.len() > length => {}
                        _ => return Err(Broken),
                    }
                }
                _ if self.input.is_empty() => return Ok(false),
                State::Head(head) if head.is_empty() && !self.is_first && !self.input.starts_with(&[0x1F]) => {
                    self.state = State::Padding;
                }
                State::Head(head) => {
                    head.push(self.input.get_u8());
                    match length_of_head(head)? {
                        Some(length) if length == head.len() => self.state = State::Content,
                        _ if head.len() > MAX_HEAD => return Err(Broken),
                        _ => {}
                    }
                }
                State::Tail(tail) => {
                    tail.push(self.input.get_u8());
                    if tail.len() == TAIL {
                        let expected = [self.sum.sum().to_le_bytes(), self.sum.amount().to_le_bytes()].concat();
                        if *tail != expected {
                            return Err(Broken);
                        }
                        self.inflate.reset(false);
                        self.sum.reset();
                        (self.state, self.is_first) = (State::Head(Vec::new()), false);
                    }
                }
                State::Padding => self.input.clear(),
            }
        }
    }

    /// Checks that the content is complete.
    pub(crate) fn finish(&self) -> Result<(), Broken> {
        match &self.state {
            State::Head(head) if head.is_empty() => Ok(()),
            State::Padding => Ok(()),
            _ => Err(Broken),
        }
    }
}

/// The length of a header that begins so; `None` if more of it is needed to tell.
fn length_of_head(head: &[u8]) -> Result<Option<usize>, Broken> {
    if !head.iter().zip([0x1F, 0x8B, 8]).all(|(byte, expected)| *byte == expected) {
        return Err(Broken);
    }
    let Some(flags) = head.get(3) else { return Ok(None) };
    let has = |flag: u8| flags & flag != 0;
    let mut length = 10;
    if has(HAS_EXTRA) {
        let Some([low, high]) = head.get(length..length + 2) else { return Ok(None) };
        length += 2 + usize::from(u16::from_le_bytes([*low, *high]));
    }
    for flag in [HAS_NAME, HAS_COMMENT] {
        if has(flag) {
            let Some(end) = head.get(length..).and_then(|rest| rest.iter().position(|byte| *byte == 0)) else {
                return Ok(None);
            };
            length += end + 1;
        }
    }
    if has(HAS_CHECKSUM) {
        length += 2;
    }
    Ok(Some(length))
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::{Compression, GzBuilder};

    use super::*;

    fn decoded(content: &[u8], piece: usize, room: usize) -> Result<Vec<u8>, Broken> {
        let (mut gunzip, mut all) = (Gunzip::new(), Vec::new());
        for piece in content.chunks(piece) {
            gunzip.push(Bytes::copy_from_slice(piece));
            loop {
                let mut out = Vec::with_capacity(room);
                let has_more = gunzip.pull(&mut out)?;
                assert!(out.len() <= out.capacity().max(room));
                all.append(&mut out);
                if !has_more {
                    break;
                }
            }
        }
        gunzip.finish().map(|()| all)
    }

    fn encoded(builder: GzBuilder, text: &[u8]) -> Vec<u8> {
        let mut encoder = builder.write(Vec::new(), Compression::default());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn content_in_pieces_is_that_of_the_whole() {
        let text: Vec<u8> = (0..100_000_u32).flat_map(|number| (number / 7).to_le_bytes()).collect();
        let plain = encoded(GzBuilder::new(), &text);
        let full = encoded(GzBuilder::new().filename("name").comment("x").extra([7; 300]).mtime(1), &text);
        let empty = encoded(GzBuilder::new(), b"");
        let members = [&empty[..], &plain, &full, &empty].concat();
        for (content, expected) in [
            (&plain, text.clone()),
            (&full, text.clone()),
            (&empty, Vec::new()),
            (&members, [&text[..], &text].concat()),
            (&[&plain[..], &[0; 50]].concat(), text.clone()),
            (&[&plain[..], b"garbage"].concat(), text.clone()),
            (&Vec::new(), Vec::new()),
        ] {
            for (piece, room) in [(1, 100_000), (7, 1000), (4096, 32 * 1024), (usize::MAX, 32 * 1024), (50_000, 37)] {
                assert!(decoded(content, piece, room).as_ref() == Ok(&expected), "{} {piece} {room}", content.len());
            }
        }
    }

    /// Nothing that has come is kept back until more comes.
    #[test]
    fn a_piece_that_was_flushed_is_decoded_as_far_as_it_goes() {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), Compression::default());
        let mut gunzip = Gunzip::new();
        for number in 0..200_usize {
            let text = format!("data: {number}\n\n").repeat(1 + number * 97 % 9000);
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.flush().unwrap();
            gunzip.push(std::mem::take(encoder.get_mut()).into());
            let mut all = Vec::new();
            loop {
                let mut out = Vec::with_capacity(32 * 1024);
                let has_more = gunzip.pull(&mut out).unwrap();
                all.append(&mut out);
                if !has_more {
                    break;
                }
            }
            assert!(all == text.as_bytes(), "{number}");
        }
    }

    #[test]
    fn broken_content_is_found() {
        let good = encoded(GzBuilder::new(), b"hello, hello, hello");
        for cut in 1..good.len() {
            assert_eq!(decoded(&good[..cut], 5, 100), Err(Broken), "{cut}");
        }
        for at in [0, 1, 2, 12, good.len() - 1, good.len() - 5] {
            let mut bad = good.clone();
            bad[at] ^= 0x55;
            assert_eq!(decoded(&bad, 3, 100), Err(Broken), "{at}");
        }
        let endless = [&[0x1F, 0x8B, 8, HAS_NAME, 0, 0, 0, 0, 0, 0], &[b'a'; 2 * MAX_HEAD][..]].concat();
        assert_eq!(decoded(&endless, 1000, 100), Err(Broken));
    }
}
