//! `Content-Encoding` undone, for the comparison alone. Owns the codings that are known and how large content may become;
//! what the content is is for `content`.

use std::borrow::Cow;
use std::io::Read;

use flate2::read::{DeflateDecoder, MultiGzDecoder, ZlibDecoder};
use http::HeaderMap;
use http::header::CONTENT_ENCODING;
use ruzstd::decoding::StreamingDecoder;

/// The most that content may become, in bytes.
pub(crate) const MAX_DECODED: usize = 4 * 1024 * 1024;
/// The most codings on top of each other.
const MAX_CODINGS: usize = 4;
/// The largest window of Zstandard that is served, in bytes: what RFC 9659 asks for.
const MAX_ZSTD_WINDOW: u64 = 8 * 1024 * 1024;

/// Why content could not be decoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NotDecoded {
    /// There is a coding that is not known.
    Unknown,
    /// It is more than [`MAX_DECODED`].
    TooLarge,
    /// It is not what the coding says.
    Broken,
}

/// A coding (RFC 9110 section 8.4.1, RFC 7932, RFC 8878).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Coding {
    Gzip,
    Deflate,
    Brotli,
    Zstd,
    Unknown,
}

/// The codings in the order in which they were applied; `identity` is none.
pub(crate) fn codings(headers: &HeaderMap) -> Vec<Coding> {
    let names = headers.get_all(CONTENT_ENCODING).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    names.filter_map(|name| Coding::named(name.trim_ascii())).take(MAX_CODINGS + 1).collect()
}

impl Coding {
    fn named(name: &[u8]) -> Option<Self> {
        match name.to_ascii_lowercase().as_slice() {
            b"" | b"identity" => None,
            b"gzip" | b"x-gzip" => Some(Coding::Gzip),
            b"deflate" => Some(Coding::Deflate),
            b"br" => Some(Coding::Brotli),
            b"zstd" => Some(Coding::Zstd),
            _ => Some(Coding::Unknown),
        }
    }

    fn decode(self, body: &[u8]) -> Result<Vec<u8>, NotDecoded> {
        match self {
            Coding::Gzip => read(MultiGzDecoder::new(body)),
            // It is zlib's format (RFC 9110 section 8.4.1.2), but not all who send it know.
            Coding::Deflate => match read(ZlibDecoder::new(body)) {
                Err(NotDecoded::Broken) => read(DeflateDecoder::new(body)),
                decoded => decoded,
            },
            Coding::Brotli => read(brotli_decompressor::Decompressor::new(body, 4096)),
            Coding::Zstd => {
                let mut rest = body;
                let frame = StreamingDecoder::new_with_max_window_size(&mut rest, MAX_ZSTD_WINDOW);
                let content = read(frame.map_err(|_| NotDecoded::Broken)?)?;
                // A frame more is allowed, but nobody sends one.
                if rest.is_empty() { Ok(content) } else { Err(NotDecoded::Broken) }
            }
            Coding::Unknown => Err(NotDecoded::Unknown),
        }
    }
}

/// Content with all its codings undone.
pub(crate) fn decode<'a>(codings: &[Coding], body: &'a [u8]) -> Result<Cow<'a, [u8]>, NotDecoded> {
    if codings.len() > MAX_CODINGS || codings.contains(&Coding::Unknown) {
        return Err(NotDecoded::Unknown);
    }
    let mut content = Cow::Borrowed(body);
    for coding in codings.iter().rev() {
        // The answer to a HEAD, or a 204: there is nothing to decode.
        if content.is_empty() {
            break;
        }
        content = Cow::Owned(coding.decode(&content)?);
    }
    if content.len() > MAX_DECODED { Err(NotDecoded::TooLarge) } else { Ok(content) }
}

fn read(decoder: impl Read) -> Result<Vec<u8>, NotDecoded> {
    let mut content = Vec::new();
    /// One more than may be tells that there is more.
    const MOST: u64 = MAX_DECODED as u64 + 1;
    decoder.take(MOST).read_to_end(&mut content).map_err(|_| NotDecoded::Broken)?;
    if content.len() > MAX_DECODED { Err(NotDecoded::TooLarge) } else { Ok(content) }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use flate2::Compression;
    use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
    use http::HeaderValue;

    use super::*;

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
        // Stored, not compressed.
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
            (&["zstd"], zstd.to_vec()),
        ] {
            assert_eq!(decode(&named(names), &body).as_deref(), Ok(text), "{names:?}");
            assert_eq!(decode(&named(names), b"").as_deref(), Ok(b"".as_slice()), "{names:?}");
        }
    }

    #[test]
    fn what_other_software_compressed() {
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
        use NotDecoded::{Broken, TooLarge, Unknown};
        // T23
        let bomb = gzip(&gzip(&vec![0; 64 * 1024 * 1024]));
        assert!(bomb.len() < 10_000);
        let cut = gzip(b"Hello").get(..12).unwrap().to_vec();
        for (names, body, why) in [
            (&["gzip, gzip"][..], bomb, TooLarge),
            (&["gzip"], gzip(&vec![0; MAX_DECODED + 1]), TooLarge),
            (&[], vec![0; MAX_DECODED + 1], TooLarge),
            (&["gzip"], cut, Broken),
            (&["gzip"], b"Hello".to_vec(), Broken),
            (&["deflate"], b"\xFF\xFF\xFF".to_vec(), Broken),
            (&["br"], b"\xFF\xFF\xFF".to_vec(), Broken),
            (&["zstd"], b"Hello".to_vec(), Broken),
            // A window of 3.75 TB.
            (&["zstd"], b"\x28\xb5\x2f\xfd\x00\xff\x69\x00\x00".to_vec(), Broken),
            (&["compress"], b"Hello".to_vec(), Unknown),
            (&["gzip, gzip, gzip, gzip, gzip"], b"Hello".to_vec(), Unknown),
        ] {
            assert_eq!(decode(&named(names), &body), Err(why), "{names:?}");
        }
        assert!(decode(&named(&["gzip"]), &gzip(&vec![0; MAX_DECODED])).is_ok());
    }
}
