//! Streamed replies on the wire, between a back end that says when it sends and a Runtime API that says when it reads.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crossfade_event::Front;
use crossfade_event::payload_2::FUNCTION_URL;
use crossfade_route::{Nothing, RoutingTable};
use crossfade_testkit::http2;
use crossfade_testkit::origin::{Conn, Origin, Tls};
use crossfade_testkit::wait::PATIENCE;
use http::Request;
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::time::{Instant, timeout};

use super::*;
use crate::invoke::{Answered, Reply, answer, mirror};

const ACCEPTED: &[u8] = b"HTTP/1.1 202 Accepted\r\ncontent-length: 0\r\n\r\n";

fn proxy(config: &str) -> Proxy {
    let config = format!("version: 1\nstreaming: function-url\n{config}");
    Proxy::new(RoutingTable::from_config(&config, "test.yaml", &Nothing).unwrap(), None, "test").unwrap()
}

fn proxy_of(origin: &Origin) -> Proxy {
    proxy(&format!("backends: {{ legacy: '{}' }}\ndefault: {{ forward: legacy }}\n", origin.url()))
}

fn get(path: &str) -> Request<Bytes> {
    Request::get(path).header("host", "shop.example").header("accept-encoding", "gzip").body(Bytes::new()).unwrap()
}

/// All that became of a request.
struct Outcome {
    posted: Result<(), ApiError>,
    record: Value,
    /// The lines of comparisons.
    compared: Vec<Value>,
}

/// Serves one request with a limit of time; the Runtime API is this listener.
async fn serve(proxy: &Proxy, api: &TcpListener, limit: Duration) -> Outcome {
    let started = Instant::now();
    let invocation = Invocation {
        front: Front::new(&FUNCTION_URL),
        request_id: "request-1".to_owned(),
        trace_id: None,
        trace: None,
        deployment: None,
        started,
        time: SystemTime::now(),
        deadline: started + limit,
        seed: 0,
    };
    let mut buffer = Vec::new();
    let Answered { mut record, mut pending, reply } = answer(proxy, Ok(get("/a")), &invocation, &mut buffer).await;
    let Reply::Beginning(rest) = reply else { panic!("not streamed: {}", buffer.escape_ascii()) };
    let mut runtime_api = RuntimeApi::new(&api.local_addr().unwrap().to_string());
    let stream = Stream { proxy, invocation: &invocation, record: &mut record, pending: &mut pending };
    let posted = stream.post(&mut runtime_api, Some("invocation-7"), buffer.into(), rest).await;
    let record = serde_json::to_value(&record).unwrap();
    let lines = match pending {
        Some(pending) => mirror(proxy, *pending, &invocation, std::future::pending()).await,
        None => Vec::new(),
    };
    let compared = lines.iter().map(|line| serde_json::from_slice(line).unwrap()).collect();
    Outcome { posted, record, compared }
}

/// The function's side of a connection to the Runtime API, as it comes.
struct Posted {
    connection: TcpStream,
    bytes: Vec<u8>,
}

impl Posted {
    async fn accept(api: &TcpListener) -> Self {
        Posted { connection: api.accept().await.unwrap().0, bytes: Vec::new() }
    }

    /// Reads until these bytes have come.
    async fn until(&mut self, end: &[u8]) {
        while !self.bytes.windows(end.len()).any(|window| window == end) {
            let read = timeout(PATIENCE, self.connection.read_buf(&mut self.bytes)).await;
            assert_ne!(read.expect("nothing comes").unwrap(), 0, "the end: {}", self.bytes.escape_ascii());
        }
    }

    /// Reads to the end of the reply, accepts it, and returns the reply after its prelude, out of its chunks.
    async fn accepted(mut self) -> (Value, Vec<u8>, String) {
        let mut at = 0;
        let (mut content, mut trailers) = (Vec::new(), None);
        while trailers.is_none() {
            let start = self.bytes.windows(4).position(|window| window == b"\r\n\r\n").map(|start| start + 4);
            at = at.max(start.unwrap_or(0));
            while let (Some(_), Ok(httparse::Status::Complete((head, size)))) =
                (start, httparse::parse_chunk_size(&self.bytes[at..]))
            {
                let (from, to) = (at + head, at + head + size as usize);
                if size == 0 {
                    trailers = self.bytes[at..].ends_with(b"\r\n\r\n").then(|| self.bytes[from..].to_vec());
                    break;
                }
                if self.bytes.len() < to + 2 {
                    break;
                }
                content.extend_from_slice(&self.bytes[from..to]);
                at = to + 2;
            }
            if trailers.is_none() {
                let read = timeout(PATIENCE, self.connection.read_buf(&mut self.bytes)).await;
                assert_ne!(read.expect("nothing comes").unwrap(), 0, "the end: {}", self.bytes.escape_ascii());
            }
        }
        self.connection.write_all(ACCEPTED).await.unwrap();
        let end = content.windows(8).position(|window| window == [0; 8]).unwrap();
        let prelude = serde_json::from_slice(&content[..end]).unwrap();
        (prelude, content.split_off(end + 8), String::from_utf8(trailers.unwrap()).unwrap())
    }
}

async fn listener() -> TcpListener {
    TcpListener::bind("127.0.0.1:0").await.unwrap()
}

/// A back end that sends one piece, and the other when it is told.
async fn in_two(first: &'static str, second: &'static str) -> (Origin, Arc<Notify>) {
    let notify = Arc::new(Notify::new());
    let told = notify.clone();
    let origin = Origin::start(Tls::Plain, move |mut conn: Conn| {
        let told = told.clone();
        async move {
            while conn.request().await.is_some() {
                conn.write(first).await;
                told.notified().await;
                conn.write(second).await;
                if second.is_empty() {
                    return;
                }
            }
        }
    });
    (origin.await, notify)
}

#[tokio::test]
async fn the_wire() {
    let (origin, go_on) =
        in_two("HTTP/1.1 200 OK\r\ncontent-length: 11\r\nset-cookie: a=1\r\nx-a: 1\r\n\r\nfirst ", "other").await;
    let (proxy, api) = (proxy_of(&origin), listener().await);
    let address = api.local_addr().unwrap();
    let (outcome, ()) = tokio::join!(serve(&proxy, &api, PATIENCE), async {
        let mut posted = Posted::accept(&api).await;
        // Before the back end has sent the rest.
        posted.until(b"6\r\nfirst \r\n").await;
        go_on.notify_one();
        posted.until(b"0\r\n\r\n").await;
        let prelude = r#"{"statusCode":200,"headers":{"content-length":"11","x-a":"1"},"cookies":["a=1"]}"#;
        let expected = format!(
            "POST /2018-06-01/runtime/invocation/request-1/response HTTP/1.1\r\n\
             host: {address}\r\n\
             lambda-runtime-invocation-id: invocation-7\r\n\
             content-type: application/vnd.awslambda.http-integration-response\r\n\
             lambda-runtime-function-response-mode: streaming\r\n\
             transfer-encoding: chunked\r\n\
             trailer: Lambda-Runtime-Function-Error-Type, Lambda-Runtime-Function-Error-Body\r\n\r\n\
             {:x}\r\n{prelude}\0\0\0\0\0\0\0\0\r\n6\r\nfirst \r\n5\r\nother\r\n0\r\n\r\n",
            prelude.len() + 8
        );
        assert_eq!(String::from_utf8(posted.bytes).unwrap(), expected);
        posted.connection.write_all(ACCEPTED).await.unwrap();
    });
    outcome.posted.unwrap();
    let record = &outcome.record;
    assert_eq!((&record["status"], &record["response_bytes"]), (&200.into(), &11.into()), "{record}");
    assert_eq!((record.get("error"), record.get("journal")), (None, None), "{record}");
    assert!(record["total_ms"].as_f64() >= record["first_byte_ms"].as_f64(), "{record}");

    // The connection to the back end is kept.
    go_on.notify_one();
    let (outcome, (_, content, _)) =
        tokio::join!(serve(&proxy, &api, PATIENCE), async { Posted::accept(&api).await.accepted().await });
    assert_eq!((content, origin.connections()), (b"first other".to_vec(), 1));
    assert_eq!(outcome.record.get("connect_ms"), None);
}

#[tokio::test]
async fn an_answer_of_our_own_is_a_stream_as_well() {
    let api = listener().await;
    let fixed = "fixedResponse: { status: 404, contentType: text/plain, body: 'no' }";
    for (config, status, content) in [
        (format!("backends: {{ a: 'http://127.0.0.1:9' }}\ndefault: {{ {fixed} }}\n"), 404, "no"),
        ("backends: { a: 'http://127.0.0.1:9' }\ndefault: { forward: a }\n".to_owned(), 502, "Bad Gateway\n"),
    ] {
        let proxy = proxy(&config);
        let (outcome, (prelude, body, trailers)) =
            tokio::join!(serve(&proxy, &api, PATIENCE), async { Posted::accept(&api).await.accepted().await });
        outcome.posted.unwrap();
        assert_eq!((&prelude["statusCode"], body.as_slice()), (&status.into(), content.as_bytes()));
        assert_eq!(trailers, "\r\n");
        assert_eq!(outcome.record["response_bytes"], content.len());
    }
}

#[tokio::test]
async fn what_breaks_off_ends_with_trailers() {
    for (rest, limit, error) in [
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfour", PATIENCE, "http_response_incomplete"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfour\r\n", PATIENCE, "http_response_incomplete"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n4\r\nfour\r\nx\r\n", PATIENCE, "http_protocol_error"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfour", Duration::from_millis(400), "http_response_timeout"),
    ] {
        let (origin, go_on) = in_two(rest, "").await;
        let (proxy, api) = (proxy_of(&origin), listener().await);
        let (outcome, (prelude, content, trailers)) = tokio::join!(serve(&proxy, &api, limit), async {
            let mut posted = Posted::accept(&api).await;
            posted.until(b"4\r\nfour\r\n").await;
            if limit == PATIENCE {
                go_on.notify_one();
            }
            posted.accepted().await
        });
        outcome.posted.unwrap();
        assert_eq!((&prelude["statusCode"], content.as_slice()), (&200.into(), &b"four"[..]));
        let body = serde_json::json!({
            "errorMessage": format!("the response is incomplete: {error}"),
            "errorType": format!("Crossfade.{error}"), "stackTrace": []
        });
        let expected = format!(
            "Lambda-Runtime-Function-Error-Type: Crossfade.{error}\r\nLambda-Runtime-Function-Error-Body: {}\r\n\r\n",
            base64_simd::STANDARD.encode_to_string(body.to_string())
        );
        assert_eq!(trailers, expected);
        let record = &outcome.record;
        assert_eq!((&record["status"], &record["error"]), (&200.into(), &error.into()), "{record}");
        assert_eq!(record["response_bytes"], 4, "{record}");
    }
}

#[tokio::test]
async fn a_back_end_that_breaks_off_opens_its_circuit_breaker() {
    let (origin, go_on) = in_two("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nfour", "").await;
    let url = origin.url();
    let proxy = proxy(&format!(
        "backends: {{ a: {{ url: '{url}', outlier: {{ failures: 2, for: 60s }} }} }}\ndefault: {{ forward: a }}\n"
    ));
    let api = listener().await;
    for (status, count) in [(200, 1), (200, 2), (503, 2)] {
        go_on.notify_one();
        let (_, (prelude, ..)) =
            tokio::join!(serve(&proxy, &api, PATIENCE), async { Posted::accept(&api).await.accepted().await });
        assert_eq!((&prelude["statusCode"], origin.connections()), (&status.into(), count));
    }
}

/// A back end that sends as fast as it can, and how much it has sent.
async fn endless() -> (Origin, Arc<AtomicU64>) {
    let sent = Arc::new(AtomicU64::new(0));
    let counter = sent.clone();
    let origin = Origin::start(Tls::Plain, move |mut conn: Conn| {
        let counter = counter.clone();
        async move {
            conn.request().await;
            conn.write("HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await;
            let piece = vec![b'x'; 64 * 1024];
            while conn.socket.write_all(&piece).await.is_ok() {
                counter.fetch_add(piece.len() as u64, Ordering::SeqCst);
            }
            counter.store(u64::MAX, Ordering::SeqCst);
        }
    });
    (origin.await, sent)
}

/// The bytes that a back end has sent once it can send no more.
async fn sent_until_full(sent: &AtomicU64) -> u64 {
    let mut before = 0;
    loop {
        tokio::time::sleep(Duration::from_millis(200)).await;
        let now = sent.load(Ordering::SeqCst);
        if now == before && now > 0 {
            return now;
        }
        before = now;
    }
}

#[tokio::test]
async fn nothing_is_read_that_is_not_taken_and_the_time_ends_that() {
    let (origin, sent) = endless().await;
    let (proxy, api) = (proxy_of(&origin), listener().await);
    let (outcome, _posted) = tokio::join!(serve(&proxy, &api, Duration::from_millis(1500)), async {
        let posted = Posted::accept(&api).await;
        let before = sent_until_full(&sent).await;
        // No more than the system's buffers for sockets, and two of ours.
        assert!(before < 24 << 20, "{before}");
        posted
    });
    outcome.posted.unwrap();
    assert_eq!(outcome.record["error"], "http_response_timeout");
    timeout(PATIENCE, async {
        while sent.load(Ordering::SeqCst) != u64::MAX {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    })
    .await
    .expect("the back end is still sending");
}

#[tokio::test]
async fn the_time_ends_also_a_response_that_never_waits() {
    let (origin, _) = endless().await;
    let (proxy, api) = (proxy_of(&origin), listener().await);
    let (outcome, trailers) = tokio::join!(serve(&proxy, &api, Duration::from_millis(300)), async {
        let mut posted = Posted::accept(&api).await;
        while !posted.bytes.ends_with(b"\r\n\r\n") || posted.bytes.len() < 1000 {
            let kept = posted.bytes.len().saturating_sub(1000);
            posted.bytes.drain(..kept);
            let read = timeout(PATIENCE, posted.connection.read_buf(&mut posted.bytes)).await;
            assert_ne!(read.expect("nothing comes").unwrap(), 0);
        }
        posted.connection.write_all(ACCEPTED).await.unwrap();
        String::from_utf8(posted.bytes).unwrap()
    });
    outcome.posted.unwrap();
    assert!(trailers.contains("Error-Type: Crossfade.http_response_timeout\r\n"));
    assert_eq!(outcome.record["error"], "http_response_timeout");
}

#[tokio::test]
async fn a_client_that_goes_ends_the_response() {
    // (the answer of the API, its error)
    for (answer, error) in [
        (&b""[..], None),
        (
            b"HTTP/1.1 413 Content Too Large\r\ncontent-length: 0\r\n\r\n",
            Some("the Runtime API answered 413 to response"),
        ),
    ] {
        // The back end waits, or sends more than is taken.
        for is_endless in [false, true] {
            let (origin, _told) = match is_endless {
                true => (endless().await.0, None),
                false => {
                    let (origin, told) = in_two("HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nfour", "").await;
                    (origin, Some(told))
                }
            };
            let (shadow, _) = in_two("HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\nfour", "").await;
            let proxy = proxy(&format!(
                "backends: {{ legacy: '{}', modern: '{}' }}\ndefault: {{ forward: legacy, mirror: {{ backend: modern, percent: 100, compare: {{}} }} }}\n",
                origin.url(),
                shadow.url()
            ));
            let api = listener().await;
            let (outcome, _connection) = tokio::join!(serve(&proxy, &api, PATIENCE), async {
                let mut posted = Posted::accept(&api).await;
                posted.until(b"statusCode").await;
                posted.connection.write_all(answer).await.unwrap();
                (!answer.is_empty()).then_some(posted.connection)
            });
            assert_eq!(outcome.posted.err().map(|error| error.to_string()).as_deref(), error);
            let record = &outcome.record;
            assert_eq!((&record["status"], record.get("error")), (&200.into(), None), "{record}");
            let detail = record["detail"].as_str().unwrap();
            assert!(detail.starts_with("the front end took no more than "), "{detail}");
            assert_eq!((outcome.compared.len(), shadow.connections()), (0, 0));
        }
    }
}

/// A back end that responds with so many bytes and a field.
async fn large(bytes: usize, field: &'static str) -> Origin {
    Origin::start(Tls::Plain, move |mut conn: Conn| async move {
        while conn.request().await.is_some() {
            conn.write(format!("HTTP/1.1 200 OK\r\n{field}\r\ncontent-length: {bytes}\r\n\r\n")).await;
            conn.write(vec![b'x'; bytes]).await;
        }
    })
    .await
}

#[tokio::test]
async fn the_beginning_is_compared() {
    const LARGE: usize = 5 << 20;
    for (sizes, fields, verdict, reason) in [
        ([10, 10], ["content-type: a/b", "content-type: a/b"], "match", None),
        ([4 << 20, 4 << 20], ["content-type: a/b", "content-type: a/b"], "match", None),
        ([10, 11], ["content-type: a/b", "content-type: a/b"], "different", None),
        ([LARGE, LARGE], ["content-type: a/b", "content-type: a/b"], "unknown", Some("too-large")),
        ([10, LARGE], ["content-type: a/b", "content-type: a/b"], "unknown", Some("too-large")),
        ([LARGE, LARGE], ["content-type: a/b", "content-type: a/c"], "different", None),
    ] {
        let [legacy, modern] = [large(sizes[0], fields[0]).await, large(sizes[1], fields[1]).await];
        let proxy = proxy(&format!(
            "backends: {{ legacy: '{}', modern: '{}' }}\n\
             default: {{ forward: legacy, mirror: {{ backend: modern, percent: 100, compare: {{}} }} }}\n",
            legacy.url(),
            modern.url()
        ));
        let api = listener().await;
        let (outcome, (_, content, _)) =
            tokio::join!(serve(&proxy, &api, PATIENCE), async { Posted::accept(&api).await.accepted().await });
        assert_eq!(content.len(), sizes[0]);
        let line = &outcome.compared[0];
        assert_eq!((&line["verdict"], line["reason"].as_str()), (&verdict.into(), reason), "{sizes:?} {line}");
        assert_eq!(
            (&line["primary"]["bytes"], &line["mirror"]["bytes"]),
            (&sizes[0].into(), &sizes[1].into()),
            "{line}"
        );
    }
}

#[tokio::test]
async fn text_is_compressed_piece_by_piece() {
    let (origin, go_on) = in_two(
        "HTTP/1.1 200 OK\r\ncontent-type: text/plain\r\ntransfer-encoding: chunked\r\n\r\n5\r\nfirst\r\n",
        "1\r\n!\r\n0\r\n\r\n",
    )
    .await;
    let url = origin.url();
    let proxy = proxy(&format!("backends: {{ a: '{url}' }}\ndefault: {{ forward: a, compress: true }}\n"));
    let api = listener().await;
    let (outcome, (prelude, content, _)) = tokio::join!(serve(&proxy, &api, PATIENCE), async {
        let mut posted = Posted::accept(&api).await;
        posted.until(&[0; 8]).await;
        // The end of what a decoder can read so far.
        posted.until(b"\0\0\xff\xff\r\n").await;
        go_on.notify_one();
        posted.accepted().await
    });
    assert_eq!(prelude["headers"]["content-encoding"], "gzip", "{prelude}");
    let mut text = String::new();
    std::io::Read::read_to_string(&mut flate2::read::GzDecoder::new(&*content), &mut text).unwrap();
    assert_eq!(text, "first!");
    assert_eq!(outcome.record["response_bytes"], content.len());
}

#[tokio::test]
async fn only_the_head_decides_about_another_attempt() {
    let origin = Origin::start(Tls::Plain, |mut conn: Conn| async move {
        if conn.request().await.is_some() {
            let status = if conn.number == 0 { "503 Service Unavailable" } else { "200 OK" };
            conn.write(format!("HTTP/1.1 {status}\r\nconnection: close\r\ncontent-length: 9\r\n\r\nfour")).await;
        }
    })
    .await;
    let config = |policy: &str| {
        let url = origin.url();
        format!(
            "backends: {{ a: {{ url: '{url}', retry: {{ attempts: 3, codes: [503], backoff: 1ms }} }}, b: '{url}' }}\n\
             default: {{ forward: {policy} }}\n"
        )
    };
    let proxy = proxy(&config("a"));
    let api = listener().await;
    let (outcome, (prelude, content, trailers)) =
        tokio::join!(serve(&proxy, &api, PATIENCE), async { Posted::accept(&api).await.accepted().await });
    // The second one breaks off as well, when the client has a part of it.
    assert_eq!((&prelude["statusCode"], content.as_slice()), (&200.into(), &b"four"[..]));
    assert!(trailers.contains("Crossfade.http_response_incomplete"), "{trailers}");
    assert_eq!(origin.connections(), 2);
    let outcomes: Vec<_> =
        outcome.record["journal"].as_array().unwrap().iter().map(|attempt| attempt["outcome"].clone()).collect();
    assert_eq!(outcomes, ["503", "http_response_incomplete"]);
}

fn http2_proxy_of(origin: &Origin) -> Proxy {
    let url = origin.url();
    proxy(&format!("backends: {{ legacy: {{ url: '{url}', http2: always }} }}\ndefault: {{ forward: legacy }}\n"))
}

#[tokio::test]
async fn http2_is_passed_on_piece_by_piece() {
    let go_on = Arc::new(Notify::new());
    let told = go_on.clone();
    let origin = Origin::start(Tls::Plain, move |mut conn: Conn| {
        let told = told.clone();
        async move {
            http2::greet(&mut conn).await;
            while let Some((stream, _)) = http2::request(&mut conn).await {
                http2::begin(&mut conn, stream, Some(9), b"four").await;
                told.notified().await;
                http2::end(&mut conn, stream, b"other").await;
            }
        }
    })
    .await;
    let (proxy, api) = (http2_proxy_of(&origin), listener().await);
    for _ in 0..2 {
        let (outcome, (prelude, content, trailers)) = tokio::join!(serve(&proxy, &api, PATIENCE), async {
            let mut posted = Posted::accept(&api).await;
            // Before the back end has sent the rest.
            posted.until(b"4\r\nfour\r\n").await;
            go_on.notify_one();
            posted.accepted().await
        });
        outcome.posted.unwrap();
        assert_eq!(prelude["headers"], serde_json::json!({ "content-length": "9" }));
        assert_eq!((content.as_slice(), trailers.as_str()), (&b"fourother"[..], "\r\n"));
        assert_eq!(outcome.record.get("error"), None);
    }
    assert_eq!(origin.connections(), 1);
}

#[tokio::test] // RFC 9113 section 8.1: a response ends with END_STREAM, and with nothing else
async fn a_reset_within_a_stream_ends_with_trailers() {
    // INTERNAL_ERROR, CANCEL, NO_ERROR
    for (code, length) in [(2, None), (8, None), (0, Some(10)), (0, None)] {
        let go_on = Arc::new(Notify::new());
        let told = go_on.clone();
        let origin = Origin::start(Tls::Plain, move |mut conn: Conn| {
            let told = told.clone();
            async move {
                http2::greet(&mut conn).await;
                while let Some((stream, _)) = http2::request(&mut conn).await {
                    http2::begin(&mut conn, stream, length, b"four").await;
                    told.notified().await;
                    http2::reset(&mut conn, stream, code).await;
                }
            }
        })
        .await;
        let (proxy, api) = (http2_proxy_of(&origin), listener().await);
        let (outcome, (prelude, content, trailers)) = tokio::join!(serve(&proxy, &api, PATIENCE), async {
            let mut posted = Posted::accept(&api).await;
            posted.until(b"4\r\nfour\r\n").await;
            go_on.notify_one();
            posted.accepted().await
        });
        outcome.posted.unwrap();
        assert_eq!((&prelude["statusCode"], content.as_slice()), (&200.into(), &b"four"[..]));
        let place = format!("code {code}, length {length:?}");
        assert!(trailers.contains("Error-Type: Crossfade.http_response_incomplete\r\n"), "{place}: {trailers}");
        assert_eq!(outcome.record["error"], "http_response_incomplete", "{place}");
        assert_eq!(outcome.record["response_bytes"], 4, "{place}");
    }
}

#[tokio::test]
async fn http2_sends_no_more_than_is_taken() {
    const CANCEL: u32 = 8;
    let (sent, reset) = (Arc::new(AtomicU64::new(0)), Arc::new(std::sync::Mutex::new(None)));
    let (counter, seen) = (sent.clone(), reset.clone());
    let origin = Origin::start(Tls::Plain, move |conn: Conn| {
        let (counter, seen) = (counter.clone(), seen.clone());
        async move {
            let code = http2::pour(conn, &counter).await;
            *seen.lock().unwrap() = Some(code);
        }
    })
    .await;
    let (proxy, api) = (http2_proxy_of(&origin), listener().await);
    let (outcome, _posted) = tokio::join!(serve(&proxy, &api, Duration::from_millis(1500)), async {
        let posted = Posted::accept(&api).await;
        let before = sent_until_full(&sent).await;
        // A window, and the system's buffers for the socket of the reply.
        assert!(before < 24 << 20, "{before}");
        posted
    });
    outcome.posted.unwrap();
    assert_eq!(outcome.record["error"], "http_response_timeout");
    let ended = timeout(PATIENCE, async {
        loop {
            if let Some(code) = *reset.lock().unwrap() {
                return code;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    });
    assert_eq!(ended.await.expect("the back end is still sending"), Some(CANCEL));
}
