//! `compress`: gzip for text. Owns the decision which responses are compressed, and the encoder.

use std::io::Write;

use bytes::Bytes;
use flate2::Compression as Level;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_LENGTH, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH};
use http::{Method, Response, StatusCode};

use super::codings::{Gzip, gzip};
use super::fields::{changed, is_encoded, is_fixed, media_type, vary_by_coding, weaken};

/// Bytes of content below which the time that is saved on the network is not worth the time that it costs here: one packet.
const SMALLEST: u64 = 1400;

/// The route's `compress`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Compression {
    /// All text.
    Text,
    /// Text that the front end could not carry otherwise.
    Large,
    /// Nothing.
    Never,
}

impl Compression {
    pub(crate) fn of(compress: Option<bool>) -> Self {
        match compress {
            Some(true) => Compression::Text,
            None => Compression::Large,
            Some(false) => Compression::Never,
        }
    }

    /// Returns whether so much content stays as it is, whatever it is, for a front end that carries so much.
    pub(crate) fn leaves(self, length: usize, carried: usize) -> bool {
        match self {
            Compression::Never => true,
            // Base64 takes a third more.
            Compression::Large => length < carried / 2,
            Compression::Text => false,
        }
    }
}

/// Marks a response that is compressed if the front end cannot carry it.
#[derive(Clone, Copy, Debug)]
struct IfTooLarge;

/// Marks a response that was compressed until its content was mapped.
#[derive(Clone, Copy, Debug)]
pub(super) struct Recode;

/// Returns whether the response was compressed until its content was mapped.
pub(crate) fn is_to_be_recoded<B>(response: &Response<B>) -> bool {
    response.extensions().get::<Recode>().is_some()
}

/// Compresses the response if the client takes gzip, or marks it for [`compress`] if the front end, which carries so many bytes,
/// may be unable to carry it as it is.
pub(crate) fn for_client<'v>(
    compression: Compression,
    method: &Method,
    request: &HeaderMap,
    accepted: impl FnOnce() -> Vec<&'v HeaderValue>,
    carried: usize,
    response: &mut Response<Bytes>,
) {
    let was_compressed = response.extensions_mut().remove::<Recode>().is_some();
    match compression {
        _ if was_compressed => {
            if !is_encoded(response.headers()) && gzip(accepted()) != Gzip::Refused {
                encode(method, response);
            }
        }
        _ if compression.leaves(response.body().len(), carried) => {}
        Compression::Never => {}
        Compression::Large => {
            if is_compressible(response) && gzip(accepted()) != Gzip::Refused {
                response.extensions_mut().insert(IfTooLarge);
            }
        }
        Compression::Text if response.status() == StatusCode::NOT_MODIFIED => {
            not_modified(request, response.headers_mut());
        }
        Compression::Text if is_compressible(response) && is_worth_it(method, response) => {
            vary_by_coding(response.headers_mut());
            match gzip(accepted()) {
                Gzip::Preferred => encode(method, response),
                Gzip::Acceptable if response.body().len() > carried / 2 => {
                    response.extensions_mut().insert(IfTooLarge);
                }
                Gzip::Acceptable | Gzip::Refused => {}
            }
        }
        Compression::Text => {}
    }
}

/// The same for a response whose content is still to come, which no front end is unable to carry. `was_compressed` if its content
/// is decoded to be mapped.
pub(crate) fn for_stream<'v>(
    compression: Compression,
    was_compressed: bool,
    accepted: impl FnOnce() -> Vec<&'v HeaderValue>,
    response: &mut Response<()>,
) -> Option<Encoder> {
    if was_compressed {
        // What the back end wanted, events as well: each piece is flushed.
        if gzip(accepted()) == Gzip::Refused {
            return None;
        }
        response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        return Some(Encoder::new());
    }
    if compression != Compression::Text
        || !is_compressible(response)
        || length(response).is_some_and(|it| it < SMALLEST)
    {
        return None;
    }
    vary_by_coding(response.headers_mut());
    if gzip(accepted()) != Gzip::Preferred {
        return None;
    }
    changed(response.headers_mut());
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
    Some(Encoder::new())
}

/// Compresses a response that the front end has turned out to be unable to carry. Returns `false` if its client takes no gzip, or
/// the route does not allow it.
#[must_use]
pub fn compress(response: &mut Response<Bytes>) -> bool {
    let is_marked = response.extensions_mut().remove::<IfTooLarge>().is_some();
    if is_marked {
        vary_by_coding(response.headers_mut());
        encode(&Method::GET, response);
    }
    is_marked
}

/// Returns whether the content is text as a whole that has no coding and may get one.
pub(crate) fn is_compressible<B>(response: &Response<B>) -> bool {
    is_text(media_type(response.headers()))
        && !is_encoded(response.headers())
        && !is_fixed(response.status(), response.headers())
}

/// Returns whether a media type is text, or a format that does not compress itself. Events of a stream would wait for one
/// another.
fn is_text(media_type: &str) -> bool {
    let media_type = media_type.to_ascii_lowercase();
    match media_type.split_once('/') {
        Some(("text", subtype)) => subtype != "event-stream",
        Some((_, subtype)) => {
            matches!(
                subtype,
                "json"
                    | "javascript"
                    | "x-javascript"
                    | "ecmascript"
                    | "xml"
                    | "graphql"
                    | "x-ndjson"
                    | "ndjson"
                    | "jsonlines"
                    | "json-seq"
                    | "yaml"
                    | "x-yaml"
                    | "sql"
                    | "rtf"
                    | "wasm"
                    | "x-www-form-urlencoded"
                    | "vnd.ms-fontobject"
                    | "ttf"
                    | "otf"
                    | "x-font-ttf"
                    | "bmp"
            ) || ["+json", "+xml", "+yaml", "+text"].iter().any(|suffix| subtype.ends_with(suffix))
        }
        None => false,
    }
}

/// The response to a HEAD request has the fields of the one to GET, as far as they are known (RFC 9110 section 9.3.2).
fn is_worth_it(method: &Method, response: &Response<Bytes>) -> bool {
    match *method {
        Method::HEAD => response.status().is_success() && length(response).is_none_or(|length| length >= SMALLEST),
        _ => response.body().len() as u64 >= SMALLEST,
    }
}

/// `Content-Length`.
fn length<B>(response: &Response<B>) -> Option<u64> {
    response.headers().get(CONTENT_LENGTH)?.to_str().ok()?.trim().parse().ok()
}

fn encode(method: &Method, response: &mut Response<Bytes>) {
    if *method != Method::HEAD {
        let mut encoder = Encoder::new();
        let mut content = Vec::with_capacity(response.body().len() / 4);
        encoder.push(response.body(), &mut content);
        encoder.finish(&mut content);
        if content.len() >= response.body().len() {
            return;
        }
        *response.body_mut() = Bytes::from(content);
    }
    changed(response.headers_mut());
    response.headers_mut().insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
}

/// The client's copy is the compressed one if its validator is the weak form of the back end's. The fields of a 304 are those that
/// the content would have (RFC 9110 section 15.4.5).
pub(super) fn not_modified(request: &HeaderMap, fields: &mut HeaderMap) {
    let Some(strong) = fields.get(ETAG).filter(|value| value.as_bytes().starts_with(b"\"")) else { return };
    let weak = [b"W/", strong.as_bytes()].concat();
    let mut lines = request.get_all(IF_NONE_MATCH).iter();
    if lines.any(|line| line.as_bytes().windows(weak.len()).any(|part| part == weak)) {
        weaken(fields);
        vary_by_coding(fields);
    }
}

/// Encodes content as gzip (RFC 1952), in pieces of any size.
#[derive(Debug)]
pub(crate) struct Encoder(GzEncoder<Vec<u8>>);

impl Encoder {
    pub(crate) fn new() -> Self {
        Encoder(GzEncoder::new(Vec::new(), Level::new(LEVEL)))
    }

    /// Takes a piece and appends the output that is complete.
    pub(crate) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        // A vector takes everything.
        let _ = self.0.write_all(piece);
        out.append(self.0.get_mut());
    }

    /// Appends what stands for all pieces so far, so that the client can decode them.
    pub(crate) fn flush(&mut self, out: &mut Vec<u8>) {
        let _ = self.0.flush();
        out.append(self.0.get_mut());
    }

    /// Appends the rest.
    pub(crate) fn finish(mut self, out: &mut Vec<u8>) {
        let _ = self.0.try_finish();
        out.append(self.0.get_mut());
    }
}

/// A megabyte of JSON takes 7 ms of a processor and becomes 130 KB, one of HTML 11 ms and 247 KB. At level 2 it is 5 ms and 155 KB,
/// 7 ms and 278 KB; at level 6 it is 15 ms and 124 KB, 28 ms and 236 KB.
const LEVEL: u32 = 3;

#[cfg(test)]
mod tests {
    use std::io::Read;

    use super::*;

    fn response(fields: &[(&'static str, &'static str)], body: &str) -> Response<Bytes> {
        let mut response = Response::new(Bytes::copy_from_slice(body.as_bytes()));
        for (name, value) in fields {
            response.headers_mut().append(*name, HeaderValue::from_static(value));
        }
        response
    }

    fn compressed(method: &Method, accepted: &'static str, response: &mut Response<Bytes>) -> bool {
        let accepted = HeaderValue::from_static(accepted);
        let request = HeaderMap::new();
        for_client(Compression::Text, method, &request, || vec![&accepted], 1 << 20, response);
        response.headers().get(CONTENT_ENCODING).is_some_and(|value| value == "gzip")
    }

    fn decoded(content: &[u8]) -> Vec<u8> {
        let mut text = Vec::new();
        flate2::read::GzDecoder::new(content).read_to_end(&mut text).unwrap();
        text
    }

    #[test]
    fn text_is_compressed_and_its_fields_say_so() {
        let text = "Hello, hello! ".repeat(200);
        let fields = [
            ("content-type", "Text/HTML; charset=utf-8"),
            ("etag", "\"a\""),
            ("vary", "origin"),
            ("vary", "cookie"),
            ("accept-ranges", "bytes"),
            ("content-md5", "x"),
            ("repr-digest", "x"),
            ("content-encoding", "identity"),
        ];
        let mut it = response(&fields, &text);
        assert!(compressed(&Method::GET, "br, gzip", &mut it));
        assert_eq!(decoded(it.body()), text.as_bytes());
        let all: Vec<String> = it.headers().iter().map(|(name, value)| format!("{name}: {value:?}")).collect();
        assert_eq!(
            all,
            [
                "content-type: \"Text/HTML; charset=utf-8\"",
                "etag: \"W/\\\"a\\\"\"",
                "vary: \"origin, cookie, accept-encoding\"",
                "content-encoding: \"gzip\"",
            ]
        );
        // The same fields for HEAD, as far as they are known.
        let mut head = response(&[&fields[..], &[("content-length", "2800")]].concat(), "");
        assert!(compressed(&Method::HEAD, "gzip", &mut head));
        assert_eq!(head.headers(), it.headers());
        let mut small = response(&[("content-type", "text/html"), ("content-length", "28")], "");
        assert!(!compressed(&Method::HEAD, "gzip", &mut small));
        assert_eq!(small.headers()["content-length"], "28");
    }

    #[test]
    fn the_rest_is_left_alone() {
        let text = "Hello, hello! ".repeat(200);
        let html = ("content-type", "text/html");
        for (fields, body) in [
            (&[html][..], "Hello"),
            (&[], &text),
            (&[("content-type", "image/png")], &text),
            (&[("content-type", "text/event-stream")], &text),
            (&[html, ("content-encoding", "br")], &text),
            (&[html, ("cache-control", "public, No-Transform")], &text),
            (&[html, ("content-range", "bytes 0-2799/9000")], &text),
        ] {
            let mut it = response(fields, body);
            assert!(!compressed(&Method::GET, "gzip", &mut it), "{fields:?}");
            assert_eq!((it.body(), it.headers()), (response(fields, body).body(), response(fields, body).headers()));
        }
        // The response depends on the client even so.
        let mut it = response(&[html], &text);
        assert!(!compressed(&Method::GET, "br", &mut it));
        assert_eq!((it.headers()["vary"].as_bytes(), it.body().len()), (&b"accept-encoding"[..], text.len()));
        let mut it = response(&[html, ("vary", "*")], &text);
        assert!(compressed(&Method::GET, "gzip", &mut it));
        assert_eq!(it.headers()["vary"], "*");
    }

    #[test]
    fn a_large_response_is_compressed_only_when_it_does_not_fit() {
        let text = "Hello, hello! ".repeat(100_000);
        let accepted = HeaderValue::from_static("gzip;q=0.1, identity");
        for (compression, is_marked) in
            [(Compression::Large, true), (Compression::Never, false), (Compression::Text, true)]
        {
            let mut it = response(&[("content-type", "application/hal+json")], &text);
            for_client(compression, &Method::GET, &HeaderMap::new(), || vec![&accepted], 1 << 20, &mut it);
            assert_eq!(it.body().len(), text.len());
            assert_eq!(compress(&mut it), is_marked);
            if is_marked {
                assert_eq!(decoded(it.body()), text.as_bytes());
                assert_eq!(it.headers()["vary"], "accept-encoding");
            }
        }
    }

    #[test]
    fn a_304_has_the_validator_of_the_copy_that_the_client_has() {
        for (sent, expected) in [("W/\"a\"", "W/\"a\""), ("\"b\", W/\"a\"", "W/\"a\""), ("\"a\"", "\"a\"")] {
            let mut it = response(&[("etag", "\"a\"")], "");
            *it.status_mut() = StatusCode::NOT_MODIFIED;
            let request = HeaderMap::from_iter([(IF_NONE_MATCH, sent.parse().unwrap())]);
            for_client(Compression::Text, &Method::GET, &request, Vec::new, 1 << 20, &mut it);
            assert_eq!(it.headers()["etag"], expected, "{sent}");
        }
    }

    #[test]
    fn pieces_do_not_matter() {
        let text: Vec<u8> = (0..100_000u32).flat_map(|number| (number % 977).to_string().into_bytes()).collect();
        for size in [1, 7, 1000, 70_000] {
            let (mut encoder, mut out) = (Encoder::new(), Vec::new());
            for piece in text.chunks(size) {
                encoder.push(piece, &mut out);
            }
            encoder.finish(&mut out);
            assert_eq!(decoded(&out), text, "{size}");
        }
    }
}
