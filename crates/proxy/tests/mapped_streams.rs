//! Content that is mapped to the public URL while the back end is still sending it.

use std::io::{Read, Write};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crossfade_event::payload_2::FUNCTION_URL;
use crossfade_proxy::{Body, Exchange, Proxy, ProxyError, Streamed};
use http::{HeaderMap, Method, Request};
use tokio::sync::Mutex;
use tokio::sync::mpsc::{UnboundedSender, unbounded_channel};

use crate::support::{Origin, Tls, config, invocation_from, request};

const PATIENCE: Duration = Duration::from_secs(10);

/// A back end that sends these fields, and then a piece of content each time that it gets one to send.
async fn origin(fields: &str) -> (Origin, UnboundedSender<Vec<u8>>) {
    let (sender, pieces) = unbounded_channel::<Vec<u8>>();
    let pieces = Arc::new(Mutex::new(pieces));
    let head = format!("HTTP/1.1 200 OK\r\n{fields}transfer-encoding: chunked\r\n\r\n");
    let origin = Origin::start(Tls::Plain, move |mut conn| {
        let (pieces, head) = (pieces.clone(), head.clone());
        async move {
            while conn.request().await.is_some() {
                conn.write(&head).await;
                while let Some(piece) = pieces.lock().await.recv().await {
                    conn.write([format!("{:x}\r\n", piece.len()).as_bytes(), &piece, b"\r\n"].concat()).await;
                }
                conn.write("0\r\n\r\n").await;
            }
        }
    });
    (origin.await, sender)
}

fn proxy_of(origin: &Origin, keys: &str) -> Proxy {
    let url = origin.url();
    config(
        &format!(
            "streaming: function-url\nbackends:\n  modern: {{ url: '{url}/v2', publicUrl: {{ url: https://shop.example.com, \
             content: ['text/*', application/json] }} }}\ndefault: {{ forward: modern{keys} }}\n"
        ),
        &[],
    )
}

fn get(accepted: &str) -> Request<Bytes> {
    request(Method::GET, "/a", &[("host", "shop.example.com"), ("accept-encoding", accepted)], "")
}

/// Asks, and gives the head and the content to a test.
async fn ask<T>(proxy: &Proxy, accepted: &str, test: impl AsyncFnOnce(HeaderMap, Box<Streamed<'_>>) -> T) -> T {
    let invocation = invocation_from(&FUNCTION_URL, PATIENCE, SystemTime::now());
    let Exchange { response, .. } = proxy.handle(get(accepted), &invocation).await;
    let (parts, body) = response.into_parts();
    let Body::Streamed(streamed) = body else { panic!("not streamed: {parts:?}") };
    test(parts.headers, streamed).await
}

async fn next(streamed: &mut Streamed<'_>) -> Option<Result<Bytes, ProxyError>> {
    let next = tokio::time::timeout(PATIENCE, streamed.next()).await.expect("nothing comes");
    assert!(!matches!(&next, Some(Ok(piece)) if piece.is_empty()), "an empty piece ends the content");
    next
}

async fn text(streamed: &mut Streamed<'_>) -> String {
    String::from_utf8(next(streamed).await.unwrap().unwrap().to_vec()).unwrap()
}

#[tokio::test]
async fn nothing_waits_but_the_beginning_of_a_url_or_a_tag() {
    let (origin, back_end) = origin("content-type: text/html\r\n").await;
    let proxy = proxy_of(&origin, "");
    ask(&proxy, "", async |_, mut streamed| {
        for (piece, expected) in [
            ("<p>one</p>", "<p>one</p>"),
            ("two https://loc", "two "),
            ("alhost/v2/b.", "https://shop.example.com/b."),
            ("three <a href='/v2", "three "),
            ("/c'>four", "<a href='/c'>four"),
            ("five https://localhoax h", "five https://localhoax "),
            ("i", "hi"),
        ] {
            back_end.send(piece.into()).unwrap();
            assert_eq!(text(&mut streamed).await, expected);
        }
        back_end.send("https://localhost/v2".into()).unwrap();
        drop(back_end);
        assert_eq!(text(&mut streamed).await, "https://shop.example.com");
        assert!(next(&mut streamed).await.is_none());
        assert!(next(&mut streamed).await.is_none());
    })
    .await;
}

#[tokio::test]
async fn an_event_is_passed_on_before_the_next_one() {
    let (origin, back_end) = origin("content-type: text/event-stream\r\n").await;
    let proxy = proxy_of(&origin, ", compress: true");
    ask(&proxy, "gzip", async |fields, mut streamed| {
        assert!(!fields.contains_key("content-encoding"), "{fields:?}");
        for _ in 0..3 {
            back_end.send("data: {\"next\": \"https:\\/\\/localhost\\/v2\\/b\"}\n\n".into()).unwrap();
            let expected = "data: {\"next\": \"https:\\/\\/shop.example.com\\/b\"}\n\n";
            assert_eq!(text(&mut streamed).await, expected);
        }
    })
    .await;
}

#[tokio::test]
async fn fields_that_may_be_wrong_for_the_mapped_content_are_corrected() {
    let fields = "etag: \"1\"\r\nlast-modified: Sun, 06 Nov 1994 08:49:37 GMT\r\naccept-ranges: bytes\r\ncontent-md5: \
                  x\r\ndigest: x\r\nrepr-digest: x\r\ncontent-digest: x\r\n";
    let changed = ["content-type", "etag", "last-modified"].as_slice();
    let all = ["content-type", "etag", "last-modified", "accept-ranges", "content-md5", "digest", "repr-digest"];
    let all = [&all[..], &["content-digest"]].concat();
    for (more, names, etag) in [
        ("content-type: text/html\r\n", changed, "W/\"1\""),
        ("content-type: image/png\r\n", &all, "\"1\""),
        (
            "content-type: text/html\r\ncache-control: no-transform\r\n",
            &[&all[..], &["cache-control"]].concat(),
            "\"1\"",
        ),
        // Nobody has asked for it.
        ("content-type: text/html\r\ncontent-encoding: br\r\n", &[&all[..], &["content-encoding"]].concat(), "\"1\""),
        (
            "content-type: text/html\r\ncontent-encoding: gzip, gzip\r\n",
            &[&all[..], &["content-encoding"]].concat(),
            "\"1\"",
        ),
    ] {
        let (origin, back_end) = origin(&format!("{fields}{more}")).await;
        ask(&proxy_of(&origin, ""), "gzip", async |fields, mut streamed| {
            let mut got: Vec<&str> = fields.keys().map(http::HeaderName::as_str).collect();
            let mut expected = names.to_vec();
            got.sort_unstable();
            expected.sort_unstable();
            assert_eq!((got, &fields["etag"]), (expected, &etag.parse().unwrap()), "{more}");
            back_end.send("https://localhost/v2/".into()).unwrap();
            let expected = if etag.starts_with('W') { "https://shop.example.com/" } else { "https://localhost/v2/" };
            assert_eq!(text(&mut streamed).await, expected, "{more}");
        })
        .await;
    }
}

/// A declared length is that of the content before it was mapped.
#[tokio::test]
async fn a_length_is_passed_on_only_if_nothing_changes_it() {
    for (media_type, length) in [("text/html", None), ("image/png", Some("21"))] {
        let answer =
            format!("HTTP/1.1 200 OK\r\ncontent-type: {media_type}\r\ncontent-length: 21\r\n\r\nhttps://localhost/v2/");
        let origin = Origin::answering(Tls::Plain, Box::leak(answer.into_boxed_str())).await;
        ask(&proxy_of(&origin, ""), "gzip", async |fields, mut streamed| {
            assert_eq!(fields.get("content-length").map(|value| value.to_str().unwrap()), length);
            text(&mut streamed).await;
            assert!(next(&mut streamed).await.is_none());
        })
        .await;
    }
}

#[tokio::test]
async fn gzip_is_decoded_piece_by_piece_and_the_client_gets_it_again() {
    for (accepted, asked, coding) in [
        ("gzip, br, zstd, deflate", "gzip", Some("gzip")),
        ("br;q=1, gzip;q=0.5, identity;q=0.1", "gzip;q=0.5, identity;q=0.1", Some("gzip")),
        // This back end does not mind.
        ("br", "identity", None),
    ] {
        let (origin, back_end) =
            origin("content-type: text/event-stream\r\ncontent-encoding: gzip\r\nvary: origin\r\n").await;
        let proxy = proxy_of(&origin, "");
        ask(&proxy, accepted, async |fields, mut streamed| {
            assert_eq!(fields.get("content-encoding").map(|value| value.to_str().unwrap()), coding);
            assert_eq!(fields["vary"], "origin, accept-encoding");
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            let mut decoder = flate2::write::GzDecoder::new(Vec::new());
            for number in 0..3 {
                write!(encoder, "data: https://localhost/v2/{number}\n\n").unwrap();
                encoder.flush().unwrap();
                back_end.send(std::mem::take(encoder.get_mut())).unwrap();
                let piece = next(&mut streamed).await.unwrap().unwrap();
                match coding {
                    Some(_) => {
                        decoder.write_all(&piece).unwrap();
                        decoder.flush().unwrap();
                    }
                    None => decoder.get_mut().extend_from_slice(&piece),
                }
                let text = String::from_utf8(std::mem::take(decoder.get_mut())).unwrap();
                assert_eq!(text, format!("data: https://shop.example.com/{number}\n\n"));
            }
            back_end.send(encoder.finish().unwrap()).unwrap();
            drop(back_end);
            if coding.is_some() {
                decoder.write_all(&next(&mut streamed).await.unwrap().unwrap()).unwrap();
                decoder.finish().unwrap();
            }
            assert!(next(&mut streamed).await.is_none());
        })
        .await;
        let requests = origin.requests();
        let field = requests.last().unwrap().lines().find_map(|line| line.strip_prefix("accept-encoding: "));
        assert_eq!(field, Some(asked), "{accepted}");
    }
}

#[tokio::test]
async fn a_coding_that_breaks_ends_the_content_with_an_error() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"hello, hello, hello https://localhost/v2/").unwrap();
    let good = encoder.finish().unwrap();
    let mut bad = good.clone();
    bad[good.len() - 6] ^= 1;
    for pieces in [&good[..20], &bad] {
        let (origin, back_end) = origin("content-type: text/html\r\ncontent-encoding: gzip\r\n").await;
        back_end.send(pieces.to_vec()).unwrap();
        drop(back_end);
        ask(&proxy_of(&origin, ""), "gzip", async |_, mut streamed| {
            let error = loop {
                match next(&mut streamed).await.expect("an error") {
                    Ok(_) => {}
                    Err(error) => break error,
                }
            };
            assert_eq!(error.error_type(), "http_response_content_coding");
            assert!(next(&mut streamed).await.is_none());
        })
        .await;
    }
}

/// Each of the two systems names itself, by a port of its own.
#[tokio::test]
async fn systems_are_compared_by_what_their_clients_get() {
    let system = async || {
        let origin = Origin::start(Tls::Plain, |mut conn| async move {
            while let Some(request) = conn.request().await {
                let host = request.lines().find_map(|line| line.strip_prefix("host: ")).unwrap().to_owned();
                let body = format!("<a href='http://{host}/v2/a'>{}</a>", "x".repeat(1000));
                let head = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-encoding: gzip\r\n";
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(body.as_bytes()).unwrap();
                let body = encoder.finish().unwrap();
                let head = format!("{head}content-length: {}\r\n\r\n", body.len());
                conn.write([head.as_bytes(), &body].concat()).await;
            }
        });
        origin.await
    };
    let (legacy, modern) = (system().await, system().await);
    let keys = "publicUrl: { url: https://shop.example.com, content: text/html }";
    let proxy = config(
        &format!(
            "streaming: function-url\nbackends:\n  legacy: {{ url: '{}/v2', {keys} }}\n  modern: {{ url: '{}/v2', {keys} }}\n\
             default: {{ forward: legacy, mirror: {{ backend: modern, percent: 100, compare: {{}} }} }}\n",
            legacy.url(),
            modern.url()
        ),
        &[],
    );
    let invocation = invocation_from(&FUNCTION_URL, PATIENCE, SystemTime::now());
    let Exchange { response, mut record, pending } = proxy.handle(get("gzip"), &invocation).await;
    let Body::Streamed(mut streamed) = response.into_body() else { panic!("not streamed") };
    let (mut pending, mut sent) = (pending.unwrap(), 0);
    while let Some(piece) = next(&mut streamed).await {
        sent += piece.unwrap().len() as u64;
    }
    streamed.conclude(sent, None, &invocation, &mut record, Some(&mut pending));
    let records = proxy.mirror(*pending, &invocation, std::future::pending()).await;
    let record = serde_json::to_value(&records[0]).unwrap();
    assert_eq!(record["verdict"], "match", "{record}");
    let length = "<a href='https://shop.example.com/a'></a>".len() + 1000;
    assert_eq!((&record["primary"]["bytes"], &record["mirror"]["bytes"]), (&length.into(), &length.into()), "{record}");
    assert_eq!((legacy.requests().len(), modern.requests().len()), (1, 1));
}

/// A megabyte of it is a kilobyte.
#[tokio::test]
async fn content_that_expands_is_never_in_memory_as_a_whole() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    std::io::copy(&mut std::io::repeat(b'a').take(20 << 20), &mut encoder).unwrap();
    let (origin, back_end) = origin("content-type: text/html\r\ncontent-encoding: gzip\r\n").await;
    back_end.send(encoder.finish().unwrap()).unwrap();
    drop(back_end);
    ask(&proxy_of(&origin, ""), "br", async |_, mut streamed| {
        let mut length = 0;
        while let Some(piece) = next(&mut streamed).await {
            let piece = piece.unwrap().len();
            assert!(piece <= 64 * 1024, "{piece}");
            length += piece;
        }
        assert_eq!(length, 20 << 20);
    })
    .await;
}
