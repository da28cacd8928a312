//! HTTP/2 to the back end: chosen by ALPN, one connection for all requests, stale ones replaced.

use std::time::Duration;

use bytes::Bytes;
use crossfade_testkit::http2;
use http::{HeaderValue, Method, Request, Response};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};

use crate::support::{Origin, ProxyOf as _, Tls, ask, ask_within, get, request};

/// Answers with what it received, in text; some paths get something else.
async fn echo(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, h2::Error> {
    let (head, body) = request.into_parts();
    let mut response = Response::new(Full::new(Bytes::new()));
    match head.uri.path() {
        "/hang" => std::future::pending().await,
        "/malformed" => return Err(h2::Reason::PROTOCOL_ERROR.into()),
        "/http1" => return Err(h2::Reason::HTTP_1_1_REQUIRED.into()),
        "/broken" => return Err(h2::Reason::INTERNAL_ERROR.into()),
        "/large" => {
            response.headers_mut().insert("content-length", HeaderValue::from_static("5000000"));
            return Ok(response);
        }
        "/fields" => {
            response.headers_mut().insert("x-large", HeaderValue::try_from("x".repeat(30_000)).unwrap());
            return Ok(response);
        }
        _ => {}
    }
    let host = head.headers.get("host").map_or("no host field", |_| "a host field");
    let content = body.collect().await.unwrap().to_bytes();
    let text = format!("{:?} {} {} {host} {}", head.version, head.method, head.uri, content.escape_ascii());
    Ok(Response::new(Full::new(Bytes::from(text))))
}

/// Serves HTTP/2 for a while, then closes the connection.
async fn server(lifetime: Duration) -> Origin {
    Origin::start(Tls::Http2, move |conn| async move {
        let serve = hyper::server::conn::http2::Builder::new(TokioExecutor::new())
            .serve_connection(TokioIo::new(conn.socket), service_fn(echo));
        let _ = tokio::time::timeout(lifetime, serve).await;
    })
    .await
}

#[tokio::test]
async fn requests_share_one_connection() {
    let origin = server(Duration::from_secs(60)).await;
    let proxy = origin.proxy();
    let port = origin.address.port();
    let answer = ask(&proxy, request(Method::POST, "/a/../b?x=%20", &[("host", "www.example.com")], "hi")).await;
    assert_eq!(answer.body, format!("HTTP/2.0 POST https://localhost:{port}/a/../b?x=%20 no host field hi"));
    let (a, b, c) = tokio::join!(ask(&proxy, get("/1")), ask(&proxy, get("/2")), ask(&proxy, get("/3")));
    assert_eq!((a.status, b.status, c.status), (200, 200, 200));
    assert_eq!(origin.connections(), 1);
}

#[tokio::test] // back ends close idle connections while the function is frozen
async fn a_connection_closed_while_idle_costs_nothing() {
    let origin = server(Duration::from_millis(50)).await;
    let proxy = origin.proxy();
    for method in [Method::GET, Method::POST, Method::GET] {
        let answer = ask(&proxy, request(method, "/", &[], "x")).await;
        assert_eq!(answer.status, 200, "{}", answer.record);
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(origin.connections(), 3);
}

#[tokio::test]
async fn a_connection_that_went_silent_is_not_used_again() {
    let origin = server(Duration::from_secs(60)).await;
    let proxy = origin.proxy();
    assert_eq!(ask(&proxy, get("/")).await.status, 200);
    assert_eq!(ask_within(&proxy, get("/hang"), Duration::from_millis(100)).await.status, 504);
    assert_eq!(ask(&proxy, get("/")).await.status, 200);
    assert_eq!(origin.connections(), 2);
}

#[tokio::test]
async fn a_length_without_content_is_no_content() {
    let origin = server(Duration::from_secs(60)).await;
    let answer = ask(&origin.proxy(), request(Method::HEAD, "/large", &[], "")).await;
    assert_eq!(
        (answer.status, answer.fields["content-length"].as_bytes()),
        (200, &b"5000000"[..]),
        "{}",
        answer.record
    );
}

#[tokio::test] // fields may take 32 K together
async fn fields_that_the_front_end_carries_are_carried() {
    let origin = server(Duration::from_secs(60)).await;
    let answer = ask(&origin.proxy(), get("/fields")).await;
    assert_eq!(answer.status, 200, "{}", answer.record);
    assert_eq!(answer.fields["x-large"].len(), 30_000);
}

#[tokio::test]
async fn a_back_end_that_speaks_only_http2_can_be_refused() {
    let origin = server(Duration::from_secs(60)).await;
    let answer = ask(&origin.proxy_with("http2: never"), get("/")).await;
    assert_eq!((answer.status, answer.error()), (502, "tls_alert_received"), "{}", answer.record);
}

#[tokio::test]
async fn a_stream_that_is_refused_for_its_request_does_not_take_the_back_end_down() {
    let origin = server(Duration::from_secs(60)).await;
    for (target, is_open) in [("/malformed", false), ("/http1", false), ("/broken", true)] {
        let proxy = origin.proxy_with("outlier: { failures: 2, for: 30s }");
        for _ in 0..3 {
            ask(&proxy, request(Method::POST, target, &[("host", "www.example.com")], "x")).await;
        }
        assert_eq!(ask(&proxy, get("/")).await.status == 503, is_open, "{target}");
    }
}

#[tokio::test] // RFC 9113 section 8.1: a response ends with END_STREAM, and with nothing else
async fn a_stream_that_is_reset_without_an_error_is_incomplete() {
    for (length, detail) in [(None, "it ended after 4 bytes"), (Some(10), "it ended after 4 of 10 bytes")] {
        let origin = Origin::start(Tls::Http2, move |mut conn| async move {
            http2::greet(&mut conn).await;
            while let Some((stream, _)) = http2::request(&mut conn).await {
                http2::begin(&mut conn, stream, length, b"four").await;
                http2::reset(&mut conn, stream, 0).await;
            }
        })
        .await;
        let answer = ask(&origin.proxy(), get("/")).await;
        assert_eq!((answer.status, answer.error()), (502, "http_response_incomplete"));
        assert!(answer.record.to_string().contains(detail), "{}", answer.record);
    }
}
