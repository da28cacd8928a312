//! Properties of mapped content, whatever it is and in whatever pieces it comes.

use std::io::Write;

use bytes::Bytes;
use crossfade_route::{Backend, Nothing, RoutingTable};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, ETAG, HOST, HeaderMap, HeaderValue};
use http::{Method, Response, StatusCode};
use proptest::prelude::*;

use super::mapping::{Mapper, map};

/// A back end without a base path, with one, and with one of the public URL.
const BACKENDS: [(&str, &str); 3] = [
    ("https://old.example.com", "https://shop.example.com"),
    ("https://old.example.com:8443/v2", "https://shop.example.com"),
    ("https://old.example.com", "https://shop.example.com/new"),
];
const TYPES: [&str; 4] = ["text/html", "text/css", "application/json", "text/event-stream"];
/// Pieces that begin, continue and end whatever is recognized.
const WORDS: [&str; 48] = [
    "<",
    ">",
    "</",
    "a",
    "h",
    "href",
    "src",
    "=",
    "'",
    "\"",
    "/",
    "//",
    "\\/",
    "\\\\\\/",
    "\\u002F",
    "&#x2F;",
    ":",
    "&#58;",
    "v2",
    "/v2/",
    "http",
    "https:",
    "https://",
    "HTTPS:\\/\\/",
    "old.example.com",
    "OLD.EXAMPLE.com",
    "shop.example.com",
    ":8443",
    ":443",
    ":",
    "@",
    ".",
    ".evil.org",
    "<script ",
    "</script>",
    "<style>",
    "</style ",
    "url(",
    "@import ",
    " ",
    "\n",
    "<!--",
    "-->",
    "srcset",
    ",",
    "integrity",
    "\u{E9}",
    "https://old.example.com/",
];

fn with_backend<T>(at: usize, test: impl FnOnce(&Backend) -> T) -> T {
    let (url, public) = BACKENDS[at];
    let text = format!(
        "{{version: 1, backends: {{b: {{url: '{url}', publicUrl: {{url: '{public}', content: ['text/*', \
         application/json]}}}}}}, default: {{forward: b}}}}"
    );
    let table = RoutingTable::from_config(&text, "", &Nothing).unwrap();
    test(&table.backends()[0])
}

fn fields(media_type: &'static str) -> HeaderMap {
    let fields = [
        (CONTENT_TYPE, HeaderValue::from_static(media_type)),
        (ETAG, HeaderValue::from_static("\"1\"")),
        ("digest".parse().unwrap(), HeaderValue::from_static("x")),
    ];
    HeaderMap::from_iter(fields)
}

fn whole(backend: &Backend, media_type: &'static str, content: &[u8]) -> Response<Bytes> {
    let request = HeaderMap::from_iter([(HOST, backend.authority.clone())]);
    let mut response = Response::new(Bytes::copy_from_slice(content));
    *response.headers_mut() = fields(media_type);
    map(backend.public_url.as_ref().unwrap(), backend, &Method::GET, &request, &mut response);
    response
}

/// The content after it came in pieces of these lengths, over and over.
fn streamed(
    backend: &Backend,
    media_type: &'static str,
    is_encoded: bool,
    content: &[u8],
    lengths: &[usize],
) -> Vec<u8> {
    let request = HeaderMap::from_iter([(HOST, backend.authority.clone())]);
    let mut fields = fields(media_type);
    let sent = if is_encoded {
        fields.insert(CONTENT_ENCODING, HeaderValue::from_static("gzip"));
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(content).unwrap();
        encoder.finish().unwrap()
    } else {
        content.to_vec()
    };
    let public = backend.public_url.as_ref().unwrap();
    let mut mapper = Mapper::of(public, backend, &request, StatusCode::OK, &mut fields).unwrap();
    let (mut rest, mut out, mut lengths) = (&sent[..], Vec::new(), lengths.iter().cycle());
    while !rest.is_empty() {
        let (piece, after) = rest.split_at((*lengths.next().unwrap()).min(rest.len()));
        mapper.push(Bytes::copy_from_slice(piece), &mut out).unwrap();
        while mapper.has_more() {
            mapper.pull(&mut out).unwrap();
        }
        rest = after;
    }
    mapper.finish(&mut out).unwrap();
    assert!(fields.get(CONTENT_ENCODING).is_none() && fields.get("digest").is_none() && fields[ETAG] == "W/\"1\"");
    out
}

fn text() -> impl Strategy<Value = Vec<u8>> {
    let word = prop_oneof![
        8 => prop::sample::select(&WORDS[..]).prop_map(|word| word.as_bytes().to_vec()),
        1 => prop::collection::vec(any::<u8>(), 0..4),
    ];
    prop::collection::vec(word, 0..40).prop_map(|words| words.concat())
}

fn contains(text: &[u8], part: &str) -> bool {
    text.windows(part.len()).any(|window| window.eq_ignore_ascii_case(part.as_bytes()))
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn pieces_do_not_matter(
        at in 0..3_usize,
        kind in prop::sample::select(&TYPES[..]),
        is_encoded: bool,
        text in text(),
        lengths in prop::collection::vec(1..20_usize, 1..6),
    ) {
        with_backend(at, |backend| {
            let whole = whole(backend, kind, &text);
            let streamed = streamed(backend, kind, is_encoded, &text, &lengths);
            prop_assert_eq!(streamed.escape_ascii().to_string(), whole.body().escape_ascii().to_string());
            Ok(())
        })?;
    }

    #[test]
    fn content_changes_only_where_the_back_end_is_named_and_fields_say_so(
        at in 0..3_usize,
        kind in prop::sample::select(&TYPES[..]),
        text in text(),
    ) {
        with_backend(at, |backend| {
            let response = whole(backend, kind, &text);
            let is_same = response.body() == &text;
            prop_assert_eq!(is_same, *response.headers() == fields(kind), "{}", text.escape_ascii());
            // Paths and `integrity` need no host.
            if kind != "text/html" && kind != "text/css" && !contains(&text, "old.example.com") {
                prop_assert!(is_same, "{}", text.escape_ascii());
            }
            Ok(())
        })?;
    }

    #[test]
    fn nothing_is_mapped_twice_and_no_url_of_the_back_end_is_left(
        kind in prop::sample::select(&TYPES[..]),
        text in text(),
    ) {
        with_backend(0, |backend| {
            let once = whole(backend, kind, &text);
            prop_assert!(!contains(once.body(), "https://old.example.com/"), "{}", text.escape_ascii());
            let twice = whole(backend, kind, once.body());
            prop_assert_eq!(twice.body(), once.body());
            prop_assert_eq!(twice.headers(), &fields(kind));
            Ok(())
        })?;
    }
}
