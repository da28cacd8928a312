//! Back ends that fail at every stage: status, `Proxy-Status`, time, what is sent again, and that nothing internal
//! shows.

use std::time::{Duration, Instant};

use http::Method;
use tokio::io::AsyncWriteExt;

use crate::support::{
    OK, Origin, ProxyOf as _, Tls, ask, ask_later, ask_within, closed_port, get, proxy, request, silent,
};

#[tokio::test] // each gets a status and a reason, and certificates are verified
async fn connections_that_cannot_be_made() {
    let closed = closed_port();
    let untrusted = Origin::answering(Tls::Good, OK).await;
    let self_signed = Origin::answering(Tls::SelfSigned, OK).await;
    let expired = Origin::answering(Tls::Expired, OK).await;
    let wrong_host = Origin::answering(Tls::WrongHost, OK).await;
    let plain = Origin::start(Tls::Plain, |mut conn| async move {
        conn.write("HTTP/1.1 400 Bad Request\r\n\r\n").await;
    })
    .await;
    let http1 = Origin::answering(Tls::Good, OK).await;
    let plain_as_tls = format!("https://localhost:{}", plain.address.port());
    for (proxy, status, error) in [
        (proxy(&format!("https://127.0.0.1:{closed}"), "", b""), 502, "connection_refused"),
        (proxy("https://no-such-host.invalid", "", b""), 502, "dns_error"),
        (proxy(&untrusted.url(), "", b""), 502, "tls_certificate_error"),
        (self_signed.proxy(), 502, "tls_certificate_error"),
        (expired.proxy(), 502, "tls_certificate_error"),
        (wrong_host.proxy(), 502, "tls_certificate_error"),
        (proxy(&plain_as_tls, "", b""), 502, "tls_protocol_error"),
        (http1.proxy_with("http2: always"), 502, "tls_alert_received"),
    ] {
        let answer = ask(&proxy, get("/")).await;
        assert_eq!((answer.status, answer.error()), (status, error), "{}", answer.record);
        assert_eq!(answer.record["error"], error);
        assert!(answer.record["detail"].is_string());
        let body = std::str::from_utf8(&answer.body).unwrap();
        assert_eq!(body, "Bad Gateway\n");
    }
}

#[tokio::test]
async fn a_server_name_can_differ_from_the_host() {
    let origin = Origin::answering(Tls::WrongHost, OK).await;
    let answer = ask(&origin.proxy_with("tls: { serverName: other.example.com }"), get("/")).await;
    assert_eq!(answer.status, 200);
}

#[tokio::test]
async fn nothing_takes_longer_than_the_deadline() {
    let limit = Duration::from_millis(300);
    let mute = silent().await;
    let no_answer = Origin::start(Tls::Good, |mut conn| async move {
        conn.request().await;
        std::future::pending::<()>().await;
    })
    .await;
    let half_an_answer = Origin::start(Tls::Good, |mut conn| async move {
        conn.request().await;
        conn.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
        std::future::pending::<()>().await;
    })
    .await;
    let trickle = Origin::start(Tls::Plain, |mut conn| async move {
        conn.request().await;
        conn.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n").await;
        for _ in 0..1000 {
            conn.write("x").await;
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    })
    .await;
    let connect_limit = "timeouts: { connect: 100ms }";
    let attempt_limit = "timeouts: { backendRequest: 100ms }";
    for (proxy, error) in [
        (proxy(&format!("https://{mute}"), connect_limit, b""), "connection_timeout"),
        (proxy(&format!("https://{mute}"), "", b""), "connection_timeout"),
        (no_answer.proxy(), "http_response_timeout"),
        (no_answer.proxy_with(attempt_limit), "http_response_timeout"),
        (half_an_answer.proxy(), "http_response_timeout"),
        (trickle.proxy(), "http_response_timeout"),
    ] {
        let started = Instant::now();
        let answer = ask_within(&proxy, get("/"), limit).await;
        assert_eq!((answer.status, answer.error()), (504, error), "{}", answer.record);
        // Not a figure of speed: the back ends would take forever.
        assert!(started.elapsed() < limit * 10);
    }
}

#[tokio::test] // response smuggling
async fn answers_that_break_or_make_no_sense() {
    for (raw, error) in [
        ("", "connection_terminated"),
        ("HTTP/1.1 200 OK\r\ncontent-le", "http_response_incomplete"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf", "http_response_incomplete"),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nab", "http_response_incomplete"),
        ("220 smtp.example.com ESMTP\r\n", "http_protocol_error"),
        ("HTTP/1.1 200 OK\r\nbad field: x\r\ncontent-length: 0\r\n\r\n", "http_protocol_error"),
        ("HTTP/1.1 200 OK\r\ncontent-length: 1\r\ncontent-length: 2\r\n\r\nab", "http_protocol_error"),
        ("HTTP/1.1 200 OK\r\ncontent-length: -1\r\n\r\n", "http_protocol_error"),
    ] {
        let origin = Origin::start(Tls::Good, move |mut conn| async move {
            conn.request().await;
            conn.write(raw).await;
            let _ = conn.socket.shutdown().await;
        })
        .await;
        let answer = ask(&origin.proxy(), get("/")).await;
        assert_eq!((answer.status, answer.error()), (502, error), "{raw:?} {}", answer.record);
        assert_eq!(origin.requests().len(), 1, "{raw:?}: a fresh connection is no reason to send again");
    }
}

#[tokio::test] // response smuggling: leftover bytes must not become the next response
async fn bytes_behind_an_answer_are_no_answer() {
    let origin = Origin::start(Tls::Plain, |mut conn| async move {
        while let Some(request) = conn.request().await {
            let own = if request.starts_with("GET /first") { "first" } else { "other" };
            let smuggled = "HTTP/1.1 200 OK\r\ncontent-length: 8\r\n\r\nsmuggled";
            conn.write(format!("HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n{own}{smuggled}")).await;
        }
    })
    .await;
    let proxy = origin.proxy();
    assert_eq!(ask(&proxy, get("/first")).await.body, "first");
    for _ in 0..3 {
        let answer = ask(&proxy, get("/second")).await;
        assert_eq!(answer.body, "other", "{}", answer.record);
    }
}

#[tokio::test] // a load balancer takes 1 MB of JSON
async fn answers_too_large_for_the_front_end() {
    let promised = Origin::start(Tls::Good, |mut conn| async move {
        conn.request().await;
        conn.write("HTTP/1.1 200 OK\r\ncontent-length: 1048577\r\n\r\n").await;
        std::future::pending::<()>().await;
    })
    .await;
    let unannounced = Origin::start(Tls::Good, |mut conn| async move {
        conn.request().await;
        conn.write("HTTP/1.1 200 OK\r\n\r\n").await;
        loop {
            conn.write([b'x'; 10_000]).await;
        }
    })
    .await;
    for origin in [promised, unannounced] {
        let answer = ask(&origin.proxy(), get("/")).await;
        assert_eq!(answer.status, 502);
        assert_eq!(
            answer.error(),
            "http_response_body_size; details=\"the response is too large for the load balancer: more than 1048576 \
             bytes of content; send it compressed, in pages, or past the proxy\""
        );
    }
}

#[tokio::test] // back ends close idle connections while the function is frozen
async fn a_connection_closed_while_idle_costs_nothing() {
    for method in [Method::GET, Method::POST] {
        let origin = Origin::start(Tls::Good, |mut conn| async move {
            conn.request().await;
            conn.write(OK).await;
            let _ = conn.socket.shutdown().await;
        })
        .await;
        let proxy = origin.proxy();
        for _ in 0..5 {
            let answer = ask(&proxy, request(method.clone(), "/", &[], "x")).await;
            assert_eq!(answer.status, 200, "{}", answer.record);
            // The end of the connection has arrived when the next request is sent.
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
        assert_eq!(origin.requests().len(), 5, "{method}");
    }
}

#[tokio::test] // the back end closes the connection while the request arrives
async fn a_dying_connection_is_replaced_only_where_that_is_safe() {
    for (method, status, sent) in
        [(Method::GET, 200, 3), (Method::PUT, 200, 3), (Method::POST, 502, 2), (Method::PATCH, 502, 2)]
    {
        let origin = Origin::start(Tls::Good, |mut conn| async move {
            conn.request().await;
            conn.write(OK).await;
            if conn.number == 0 {
                conn.request().await;
                return;
            }
            conn.answer_all(OK).await;
        })
        .await;
        let proxy = origin.proxy();
        assert_eq!(ask(&proxy, get("/")).await.status, 200);
        let answer = ask(&proxy, request(method.clone(), "/", &[], "x")).await;
        assert_eq!(answer.status, status, "{method} {}", answer.record);
        assert_eq!(origin.requests().len(), sent, "{method}");
        if status == 200 {
            assert_eq!(answer.record["attempts"], 2);
            let roles: Vec<_> = (0..2).map(|at| &answer.record["journal"][at]["role"]).collect();
            assert_eq!(roles, ["first", "resent"]);
            assert_eq!(answer.record["journal"][0]["outcome"], "connection_terminated");
        } else {
            assert_eq!(answer.error(), "connection_terminated");
        }
    }
}

#[tokio::test] // a second answer could be mixed into the first
async fn an_answer_that_has_begun_is_never_asked_for_again() {
    let origin = Origin::start(Tls::Good, |mut conn| async move {
        conn.request().await;
        conn.write(OK).await;
        conn.request().await;
        conn.write("HTTP/1.1 200 OK\r\ncont").await;
    })
    .await;
    let proxy = origin.proxy();
    ask(&proxy, get("/")).await;
    let answer = ask(&proxy, get("/")).await;
    assert_eq!((answer.status, answer.error()), (502, "http_response_incomplete"));
    assert_eq!(origin.requests().len(), 2);
}

#[tokio::test] // one that is older than a freeze may be dead
async fn how_long_a_connection_is_kept() {
    let silent = Origin::answering(Tls::Plain, OK).await;
    let five_seconds = "HTTP/1.1 200 OK\r\nkeep-alive: timeout=5\r\ncontent-length: 2\r\n\r\nok";
    let talking = Origin::answering(Tls::Plain, five_seconds).await;
    let long = "HTTP/1.1 200 OK\r\nkeep-alive: timeout=100\r\ncontent-length: 2\r\n\r\nok";
    let patient = Origin::answering(Tls::Plain, long).await;
    for (origin, method, seconds, is_kept) in [
        (&silent, Method::GET, 49, true),
        (&silent, Method::GET, 51, false),
        (&silent, Method::POST, 3, true),
        (&silent, Method::POST, 5, false),
        (&talking, Method::GET, 3, true),
        (&talking, Method::GET, 5, false),
        (&patient, Method::POST, 98, true),
        (&patient, Method::GET, 100, false),
    ] {
        let proxy = origin.proxy();
        let before = origin.connections();
        ask(&proxy, get("/")).await;
        ask_later(&proxy, request(method.clone(), "/", &[], ""), Duration::from_secs(seconds)).await;
        let opened = origin.connections() - before;
        assert_eq!(opened == 1, is_kept, "{method} after {seconds} s");
    }
}

#[tokio::test] // a response before the request was read, on a connection that stays open
async fn an_early_answer_does_not_block_the_next_request() {
    let origin = Origin::start(Tls::Plain, |mut conn| async move {
        if conn.number == 0 {
            conn.write("HTTP/1.1 401 Unauthorized\r\ncontent-length: 2\r\n\r\nno").await;
            std::future::pending::<()>().await;
        }
        conn.answer_all(OK).await;
    })
    .await;
    let proxy = origin.proxy();
    let large = "x".repeat(20_000_000);
    assert_eq!(ask(&proxy, request(Method::POST, "/", &[], &large)).await.status, 401);
    let answer = ask(&proxy, get("/")).await;
    assert_eq!(answer.status, 200, "{}", answer.record);
}

#[tokio::test]
async fn statuses_that_no_front_end_carries() {
    for raw in ["HTTP/1.1 999 No\r\ncontent-length: 0\r\n\r\n", "HTTP/1.1 600 No\r\ncontent-length: 0\r\n\r\n"] {
        let origin = Origin::answering(Tls::Plain, raw).await;
        let answer = ask(&origin.proxy(), get("/")).await;
        assert_eq!((answer.status, answer.error()), (502, "http_protocol_error"), "{}", answer.record);
    }
}

#[tokio::test]
async fn the_log_says_what_the_system_said() {
    let origin = Origin::start(Tls::Plain, |mut conn| async move {
        conn.request().await;
        conn.write("HTTP/1.1 200 OK\r\ncontent-length: 10\r\n\r\nhalf").await;
    })
    .await;
    let answer = ask(&origin.proxy(), get("/")).await;
    let detail = answer.record["detail"].as_str().unwrap();
    assert!(detail.starts_with("the response is incomplete: ") && detail.matches(": ").count() >= 2, "{detail}");
}

#[tokio::test]
async fn a_failure_does_not_harm_the_next_request() {
    let origin = Origin::start(Tls::Good, |mut conn| async move {
        while let Some(text) = conn.request().await {
            if text.starts_with("GET /hang") {
                std::future::pending::<()>().await;
            }
            conn.write(OK).await;
        }
    })
    .await;
    let proxy = origin.proxy();
    for _ in 0..3 {
        assert_eq!(ask(&proxy, get("/")).await.status, 200);
        assert_eq!(ask_within(&proxy, get("/hang"), Duration::from_millis(50)).await.status, 504);
    }
    assert_eq!(ask(&proxy, get("/")).await.body, "ok");
}
