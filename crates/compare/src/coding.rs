//! Decodes `Content-Encoding`, for comparison only. Owns the supported codings and the limits on the size of content
//! and on the memory of decoders; `content` interprets the result.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use ruzstd::decoding::StreamingDecoder;
use ruzstd::decoding::errors::FrameDecoderError;

use crate::work::{Stop, Work};

/// Size of decoded content in bytes: more of one is not compared.
pub const MAX_DECODED: usize = 4 * 1024 * 1024;
/// Number of codings applied to one content.
const MAX_CODINGS: usize = 4;
/// `Window_Descriptor` (RFC 8878 section 3.1.1.1.2) of 8 MiB, the largest Zstandard window that senders may use on the
/// web (RFC 9659).
const MAX_ZSTD_WINDOW: u8 = 13 << 3;
/// `Window_Descriptor` of [`MAX_DECODED`].
const ZSTD_WINDOW: u8 = 12 << 3;
const ZSTD_MAGIC: [u8; 4] = [0x28, 0xB5, 0x2F, 0xFD];
/// Cost of creating a Zstandard decoder, which happens for each frame, in units of work.
const ZSTD_FRAME_WORK: usize = 32 * 1024;
/// Cost of a byte of input, which may be a table to build or a member of its own, in units of work.
const INPUT_WORK: usize = 16;
/// Bytes decoded, and bytes of input consumed, between two checks of the work limit.
const CHUNK: usize = 4 * 1024;

/// A reason why content could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotDecoded {
    /// The content may be valid, but is not decoded.
    Stopped(Stop),
    /// The content does not conform to its coding.
    Broken,
}

const UNKNOWN: NotDecoded = NotDecoded::Stopped(Stop::Coding);
const LARGE: NotDecoded = NotDecoded::Stopped(Stop::TooLarge);

/// A content coding (RFC 9110 section 8.4.1, RFC 7932, RFC 8878).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
    Unknown,
}

/// Returns the codings in the order in which they were applied, without `identity`.
pub(crate) fn codings(headers: &HeaderMap) -> Vec<Coding> {
    let names = headers.get_all(CONTENT_ENCODING).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    names.filter_map(|name| Coding::named(name.trim_ascii())).take(MAX_CODINGS + 1).collect()
}

impl Coding {
    fn named(name: &[u8]) -> Option<Self> {
        let is = |known: &[&str]| known.iter().any(|known| name.eq_ignore_ascii_case(known.as_bytes()));
        match name {
            _ if is(&["", "identity"]) => None,
            _ if is(&["gzip", "x-gzip"]) => Some(Coding::Gzip),
            _ if is(&["deflate"]) => Some(Coding::Deflate),
            _ if is(&["br"]) => Some(Coding::Brotli),
            _ if is(&["zstd"]) => Some(Coding::Zstd),
            _ => Some(Coding::Unknown),
        }
    }

    fn decode(self, body: &[u8], work: &Work<'_>) -> Result<Vec<u8>, NotDecoded> {
        let input = Metered { rest: body, work };
        let mut content = Vec::new();
        match self {
            Coding::Gzip => read(&mut MultiGzDecoder::new(input), &mut content, work)?,
            // `deflate` is zlib's format (RFC 9110 section 8.4.1.2), but some senders omit the zlib wrapper.
            Coding::Deflate => match read(&mut ZlibDecoder::new(input), &mut content, work) {
                Err(NotDecoded::Broken) => {
                    content = Vec::new();
                    read(&mut DeflateDecoder::new(Metered { rest: body, work }), &mut content, work)?;
                }
                decoded => decoded?,
            },
            Coding::Brotli => brotli(body, &mut content, work)?,
            Coding::Zstd => zstd(body, &mut content, work)?,
            Coding::Unknown => return Err(UNKNOWN),
        }
        Ok(content)
    }
}

/// The first byte is the window size (RFC 7932 section 9.1), which the decoder allocates in full. A size above the
/// content limit is reduced to the largest one within it: no backward reference can reach beyond the content.
fn brotli(body: &[u8], content: &mut Vec<u8>, work: &Work<'_>) -> Result<(), NotDecoded> {
    let Some((first, rest)) = body.split_first() else { return Err(NotDecoded::Broken) };
    let (first, most) = match first {
        // Not a window of RFC 7932, but the mark of a "large window" of up to 1 GiB.
        first if first & 0x7F == 0x11 => return Err(UNKNOWN),
        // 2^23 and 2^24 bytes become 2^22, of which 16 bytes are not usable.
        first if first & 0x0F == 0x0D || first & 0x0F == 0x0F => (first & 0xF0 | 0x0B, MAX_DECODED - 16),
        first => (*first, MAX_DECODED),
    };
    let first = [first];
    let mut input = Metered { rest: &first, work }.chain(Metered { rest, work });
    // Dynamic dispatch, as for all decoders, keeps the code small.
    let input: &mut dyn Read = &mut input;
    read(&mut brotli_decompressor::Decompressor::new(input, CHUNK), content, work)?;
    if content.len() > most { Err(LARGE) } else { Ok(()) }
}

/// Decodes all frames, which follow one another (RFC 8878 section 3.1).
fn zstd<'a>(mut body: &'a [u8], content: &mut Vec<u8>, work: &'a Work<'_>) -> Result<(), NotDecoded> {
    while !body.is_empty() {
        work.spend(ZSTD_FRAME_WORK).map_err(NotDecoded::Stopped)?;
        let (magic, frame) = body.split_at_checked(4).ok_or(NotDecoded::Broken)?;
        // A skippable frame: four bytes hold its length.
        if matches!(magic, [0x50..=0x5F, 0x2A, 0x4D, 0x18]) {
            let (length, rest) = frame.split_first_chunk().ok_or(NotDecoded::Broken)?;
            body = rest.get(u32::from_le_bytes(*length) as usize..).ok_or(NotDecoded::Broken)?;
            continue;
        }
        if magic != ZSTD_MAGIC {
            return Err(NotDecoded::Broken);
        }
        let (descriptor, rest) = frame.split_first().ok_or(NotDecoded::Broken)?;
        let is_single_segment = descriptor & 0x20 != 0;
        let [first, second, third, fourth] = ZSTD_MAGIC;
        let mut head = [first, second, third, fourth, *descriptor, 0];
        let (head, rest) = match rest.split_first() {
            Some((window, rest)) if !is_single_segment => {
                if *window > MAX_ZSTD_WINDOW {
                    return Err(UNKNOWN);
                }
                // No more than the content limit, since the decoder buffers a whole window before it returns anything.
                head[5] = ZSTD_WINDOW.min(*window);
                (&head[..], rest)
            }
            _ => (&head[..5], rest),
        };
        let mut input = Metered { rest: head, work }.chain(Metered { rest, work });
        let pointer: &mut dyn Read = &mut input;
        let mut decoder = match StreamingDecoder::new_with_max_window_size(pointer, MAX_DECODED as u64) {
            Ok(decoder) => decoder,
            // A single segment declares the size of its content.
            Err(FrameDecoderError::WindowSizeTooBig { .. }) => return Err(LARGE),
            Err(FrameDecoderError::DictNotProvided { .. }) => return Err(UNKNOWN),
            Err(_) => return Err(broken(work)),
        };
        read(&mut decoder, content, work)?;
        drop(decoder);
        body = input.into_inner().1.rest;
    }
    Ok(())
}

/// Decodes all codings of a content.
pub(crate) fn decode<'a>(codings: &[Coding], body: &'a [u8], work: &Work<'_>) -> Result<Cow<'a, [u8]>, NotDecoded> {
    if codings.len() > MAX_CODINGS || codings.contains(&Coding::Unknown) {
        return Err(UNKNOWN);
    }
    let mut content = Cow::Borrowed(body);
    for coding in codings.iter().rev() {
        // A response to HEAD, or a 204: nothing to decode.
        if content.is_empty() {
            break;
        }
        content = Cow::Owned(coding.decode(&content, work)?);
    }
    if content.len() > MAX_DECODED { Err(LARGE) } else { Ok(content) }
}

/// Appends the output of a decoder, up to the limits of size and work.
fn read(decoder: &mut dyn Read, content: &mut Vec<u8>, work: &Work<'_>) -> Result<(), NotDecoded> {
    let mut chunk = [0; CHUNK];
    loop {
        let count = decoder.read(&mut chunk).map_err(|_| broken(work))?;
        work.spend(count).map_err(NotDecoded::Stopped)?;
        let Some(decoded) = chunk.get(..count).filter(|decoded| !decoded.is_empty()) else { return Ok(()) };
        let length = content.len() + count;
        if length > MAX_DECODED {
            return Err(LARGE);
        }
        if length > content.capacity() {
            // Doubles the capacity, but never beyond what can be needed.
            let capacity = (2 * content.capacity()).clamp(length, MAX_DECODED);
            content.try_reserve_exact(capacity - content.len()).map_err(|_| LARGE)?;
        }
        content.extend_from_slice(decoded);
    }
}

/// The decoder may have failed because the work limit was reached.
fn broken(work: &Work<'_>) -> NotDecoded {
    work.stopped().map_or(NotDecoded::Broken, NotDecoded::Stopped)
}

/// Input that charges work as it is read.
struct Metered<'a, 'w> {
    rest: &'a [u8],
    work: &'a Work<'w>,
}

impl Read for Metered<'_, '_> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let count = self.rest.len().min(buffer.len()).min(CHUNK);
        self.work.spend(count * INPUT_WORK).map_err(|_| std::io::ErrorKind::Other)?;
        let (taken, rest) = self.rest.split_at_checked(count).unwrap_or_default();
        if let Some(buffer) = buffer.get_mut(..count) {
            buffer.copy_from_slice(taken);
        }
        self.rest = rest;
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use http::HeaderValue;

    use super::*;
    use crate::work::never_over;

    fn decode<'a>(codings: &[Coding], body: &'a [u8]) -> Result<Cow<'a, [u8]>, NotDecoded> {
        super::decode(codings, body, &Work::new(&never_over))
    }

    fn named(names: &[&'static str]) -> Vec<Coding> {
        let lines = names.iter().map(|name| (CONTENT_ENCODING, HeaderValue::from_static(name)));
        codings(&lines.collect())
    }

    fn gzip(body: &[u8]) -> Vec<u8> {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn zlib(body: &[u8]) -> Vec<u8> {
        let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    fn deflate(body: &[u8]) -> Vec<u8> {
        let mut encoder = DeflateEncoder::new(Vec::new(), Compression::default());
        encoder.write_all(body).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn codings_are_undone() {
        let text = b"Hello, hello!".as_slice();
        // Stored without compression.
        let brotli = b"\x0b\x06\x80Hello, hello!\x03";
        let zstd = b"\x28\xb5\x2f\xfd\x20\x0d\x69\x00\x00Hello, hello!";
        let two = [gzip(b"Hello, "), gzip(b"hello!")].concat();
        for (names, body) in [
            (&["gzip"][..], gzip(text)),
            (&["X-GZIP"], gzip(text)),
            (&["gzip"], two),
            (&["deflate"], zlib(text)),
            (&["deflate"], deflate(text)),
            (&["identity"], text.to_vec()),
            (&[], text.to_vec()),
            (&["deflate, gzip"], gzip(&zlib(text))),
            (&["deflate", "identity", "gzip"], gzip(&zlib(text))),
            (&["br"], brotli.to_vec()),
            // With windows of 8 MiB and 16 MiB.
            (&["br"], [b"\x0d", &brotli[1..]].concat()),
            (&["br"], [b"\x0f", &brotli[1..]].concat()),
            (&["zstd"], zstd.to_vec()),
            // A window of 8 MiB, a skippable frame, and two frames.
            (&["zstd"], b"\x28\xb5\x2f\xfd\x00\x68\x69\x00\x00Hello, hello!".to_vec()),
            (&["zstd"], [b"\x5f\x2a\x4d\x18\x02\0\0\0ab", zstd.as_slice()].concat()),
            (
                &["zstd"],
                b"\x28\xb5\x2f\xfd\x20\x07\x39\x00\x00Hello, \x28\xb5\x2f\xfd\x20\x06\x31\x00\x00hello!".to_vec(),
            ),
        ] {
            assert_eq!(decode(&named(names), &body).as_deref(), Ok(text), "{names:?}");
            assert_eq!(decode(&named(names), b"").as_deref(), Ok(b"".as_slice()), "{names:?}");
        }
    }

    #[test]
    fn content_compressed_by_other_software() {
        let text = "Hello, hello! ".repeat(20);
        for (name, body) in [
            ("br", b"\x1b\x17\x01\xf8\x8d\xd4\x46\xf3\x5a\x46\x0d\x82\x54\x86\xa6\xd9\xde\x42\x58\xc6\x82\xf1\x00\x44\xa3\x73\x34\x00".as_slice()),
            ("zstd", b"\x28\xb5\x2f\xfd\x04\x68\xad\x00\x00\x70\x48\x65\x6c\x6c\x6f\x2c\x20\x68\x65\x6c\x6c\x6f\x21\x20\x01\x00\x07\xa1\x4e\x25\xc8\x48\xe9\xbc"),
        ] {
            assert_eq!(decode(&named(&[name]), body).as_deref(), Ok(text.as_bytes()), "{name}");
        }
    }

    #[test]
    fn what_cannot_be_undone() {
        use NotDecoded::Broken;
        // Decompression bombs.
        let bomb = gzip(&gzip(&vec![0; 64 * 1024 * 1024]));
        assert!(bomb.len() < 10_000);
        let cut = gzip(b"Hello").get(..12).unwrap().to_vec();
        for (names, body, why) in [
            (&["gzip, gzip"][..], bomb, LARGE),
            (&["gzip"], gzip(&vec![0; MAX_DECODED + 1]), LARGE),
            (&[], vec![0; MAX_DECODED + 1], LARGE),
            (&["gzip"], cut, Broken),
            (&["gzip"], b"Hello".to_vec(), Broken),
            (&["deflate"], b"\xFF\xFF\xFF".to_vec(), Broken),
            (&["br"], b"\xFF\xFF\xFF".to_vec(), Broken),
            (&["zstd"], b"Hello".to_vec(), Broken),
            // A window of 3.75 TB, and one of 9 MiB.
            (&["zstd"], b"\x28\xb5\x2f\xfd\x00\xff\x69\x00\x00".to_vec(), UNKNOWN),
            (&["zstd"], b"\x28\xb5\x2f\xfd\x00\x69\x69\x00\x00Hello, hello!".to_vec(), UNKNOWN),
            // A single segment of 4 GiB.
            (&["zstd"], b"\x28\xb5\x2f\xfd\xa0\xff\xff\xff\xff\x69\x00\x00".to_vec(), LARGE),
            // A skippable frame that is longer than the content.
            (&["zstd"], b"\x50\x2a\x4d\x18\xff\xff\xff\xff".to_vec(), Broken),
            // The large window of 2^30 bytes.
            (&["br"], b"\x11\x1e\x03Hello, hello!".to_vec(), UNKNOWN),
            (&["br, gzip"], gzip(b"\x91\x1e\x03Hello, hello!"), UNKNOWN),
            (&["compress"], b"Hello".to_vec(), UNKNOWN),
            (&["gzip, gzip, gzip, gzip, gzip"], b"Hello".to_vec(), UNKNOWN),
        ] {
            assert_eq!(decode(&named(names), &body), Err(why), "{names:?}");
        }
        assert!(decode(&named(&["gzip"]), &gzip(&vec![0; MAX_DECODED])).is_ok());
    }
}
