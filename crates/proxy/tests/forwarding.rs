//! The requests that reach the back end, and the responses that reach the client: bytes, fields, destinations.

use http::Method;

use crate::support::{OK, Origin, ProxyOf as _, Tls, ask, get, proxy, request};

#[tokio::test]
async fn targets_pass_byte_for_byte() {
    let origin = Origin::answering(Tls::Good, OK).await;
    let proxy = origin.proxy();
    let targets = [
        "/a/../b/./c//d?q=a%20b+c&q=%E9&flag=&x[]=%2F;y",
        "/%2e%2e/%2F..;/x",
        "//evil.example.com/x",
        "/@evil.example.com",
        "/:80/x",
        "/\\evil",
        "/caf\u{e9}?\u{e9}",
        "/?",
        "/a?b?c=//d",
    ];
    for target in targets {
        assert_eq!(ask(&proxy, get(target)).await.status, 200, "{target}");
    }
    let received: Vec<_> = origin.requests().iter().map(|text| text.lines().next().unwrap().to_owned()).collect();
    let expected: Vec<_> =
        targets.iter().map(|target| format!("GET {} HTTP/1.1", target.as_bytes().escape_ascii())).collect();
    assert_eq!(received, expected);
    assert_eq!(origin.connections(), 1);
}

#[tokio::test] // hop-by-hop fields, spoofed `X-Forwarded-*`, `Host`
async fn fields_are_the_back_ends_own() {
    let origin = Origin::answering(Tls::Good, OK).await;
    let fields = [
        ("host", "www.example.com"),
        ("accept", "*/*"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("x-forwarded-for", "203.0.113.7"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "443"),
        ("x-forwarded-host", "spoofed.example.com"),
        ("forwarded", "for=spoofed"),
        ("x-amzn-trace-id", "Root=1-6a5145a7-5c3686ff7df3149177a89157"),
        ("connection", "keep-alive, x-secret, x-forwarded-for"),
        ("x-secret", "1"),
        ("te", "trailers"),
        ("expect", "100-continue"),
        ("upgrade", "h2c"),
        ("proxy", "http://evil"),
        ("content-length", "99"),
        ("via", "2 edge"),
        ("cdn-loop", "edge; loops=1"),
    ];
    ask(&origin.proxy(), request(Method::POST, "/x", &fields, "hello")).await;
    let port = origin.address.port();
    let expected = format!(
        "POST /x HTTP/1.1
host: localhost:{port}
accept: */*
cookie: a=1; b=2
x-forwarded-for: 203.0.113.7
x-forwarded-proto: https
x-forwarded-port: 443
x-forwarded-host: www.example.com
x-amzn-trace-id: Root=1-6a5145a7-5c3686ff7df3149177a89157
via: 2 edge
cdn-loop: edge; loops=1, crossfade-test
x-request-id: 8476a536-e9f4-11e8-9739-2dfe598c3fcd
content-length: 5

hello"
    );
    let mut received: Vec<_> = origin.requests()[0].lines().map(str::to_owned).collect();
    let mut expected: Vec<_> = expected.lines().map(str::to_owned).collect();
    received.sort();
    expected.sort();
    assert_eq!(received, expected);
}

#[tokio::test]
async fn a_post_of_nothing_has_a_length() {
    let origin = Origin::answering(Tls::Plain, OK).await;
    ask(&origin.proxy(), request(Method::POST, "/", &[], "")).await;
    ask(&origin.proxy(), request(Method::GET, "/", &[], "")).await;
    let requests = origin.requests();
    assert!(requests[0].contains("\ncontent-length: 0\n"), "{}", requests[0]);
    assert!(!requests[1].contains("content-length"), "{}", requests[1]);
}

#[tokio::test]
async fn the_clients_request_id_is_kept() {
    let origin = Origin::answering(Tls::Plain, OK).await;
    ask(&origin.proxy(), request(Method::GET, "/", &[("x-request-id", "mine")], "")).await;
    assert!(origin.requests()[0].contains("\nx-request-id: mine\n"));
}

#[tokio::test]
async fn the_host_is_chosen_by_configuration() {
    let origin = Origin::answering(Tls::Good, OK).await;
    for (keys, host) in [
        ("hostHeader: preserve", "www.example.com".to_owned()),
        ("hostHeader: shop.internal:8080", "shop.internal:8080".to_owned()),
        ("hostHeader: backend", format!("localhost:{}", origin.address.port())),
    ] {
        ask(&origin.proxy_with(keys), get("/")).await;
        let requests = origin.requests();
        let received = requests.last().unwrap();
        assert!(received.contains(&format!("\nhost: {host}\n")), "{keys}: {received}");
        assert!(received.contains("\nx-forwarded-host: www.example.com\n"), "{keys}: {received}");
    }
}

/// nginx and IIS do not compress what a request with this field asks for.
#[tokio::test] // so that other proxies see a loop
async fn via_is_added_where_the_configuration_asks_for_it() {
    let origin = Origin::answering(Tls::Good, OK).await;
    for (keys, sent, received) in [
        ("via: false", &[][..], &[][..]),
        ("via: false", &["2 edge"], &["via: 2 edge"]),
        ("via: true", &[], &["via: 1.1 crossfade-test"]),
        ("via: true", &["2 edge", "1.1 a, 1.0 b"], &["via: 2 edge, 1.1 a, 1.0 b, 1.1 crossfade-test"]),
    ] {
        let fields: Vec<_> = sent.iter().map(|value| ("via", *value)).collect();
        ask(&origin.proxy_with(keys), request(Method::GET, "/", &fields, "")).await;
        let requests = origin.requests();
        let last = requests.last().unwrap();
        assert_eq!(last.lines().filter(|line| line.starts_with("via: ")).collect::<Vec<_>>(), received, "{keys}");
        assert!(last.contains("\ncdn-loop: crossfade-test\n"), "{keys}: {last}");
    }
}

#[tokio::test]
async fn a_preserved_host_is_one_host() {
    let origin = Origin::answering(Tls::Plain, OK).await;
    let proxy = origin.proxy_with("hostHeader: preserve");
    for fields in [&[("host", "a"), ("host", "b")][..], &[("host", "a b")], &[("host", "u@a")], &[("host", "")]] {
        let answer = ask(&proxy, request(Method::GET, "/", fields, "")).await;
        assert_eq!((answer.status, answer.error()), (400, "http_request_error"), "{fields:?}");
    }
    assert_eq!(ask(&proxy, request(Method::GET, "/", &[], "")).await.status, 200);
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test] // path traversal
async fn a_base_path_is_put_before_and_cannot_be_left() {
    let origin = Origin::answering(Tls::Plain, OK).await;
    let proxy = proxy(&format!("{}/v2", origin.url()), "", b"");
    ask(&proxy, get("/orders/7?x=1")).await;
    ask(&proxy, get("/")).await;
    for target in ["/../admin", "/a/%2e%2e/%2E./admin", "/..;/admin", "/a\\..\\..\\admin"] {
        let answer = ask(&proxy, get(target)).await;
        assert_eq!((answer.status, answer.error()), (400, "http_request_error"), "{target}");
    }
    let lines: Vec<_> = origin.requests().iter().map(|text| text.lines().next().unwrap().to_owned()).collect();
    assert_eq!(lines, ["GET /v2/orders/7?x=1 HTTP/1.1", "GET /v2/ HTTP/1.1"]);
}

#[tokio::test] // redirects are not followed, cookies not folded, request fields not reflected
async fn answers_pass_as_they_are() {
    let answer = "HTTP/1.1 302 Found\r\nlocation: https://other.example.com/x\r\nset-cookie: a=1\r\nset-cookie: b=2\r\n\
                  content-encoding: gzip\r\nconnection: close, x-hop\r\nx-hop: 1\r\nkeep-alive: timeout=5\r\n\
                  content-length: 3\r\n\r\n\x1f\x7f\0";
    let origin = Origin::answering(Tls::Good, answer).await;
    let answer = ask(&origin.proxy(), get("/")).await;
    let fields: Vec<_> =
        answer.fields.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    assert_eq!(answer.status, 302);
    assert_eq!(
        fields,
        ["location: https://other.example.com/x", "set-cookie: a=1", "set-cookie: b=2", "content-encoding: gzip"]
    );
    assert_eq!(answer.body, "\x1f\x7f\0");
    assert_eq!(origin.requests().len(), 1);
}

#[tokio::test]
async fn answers_without_content() {
    for (method, raw, status, length) in [
        (Method::HEAD, "HTTP/1.1 200 OK\r\ncontent-length: 1234\r\n\r\n", 200, Some("1234")),
        (Method::GET, "HTTP/1.1 204 No Content\r\n\r\n", 204, None),
        (Method::GET, "HTTP/1.1 304 Not Modified\r\netag: \"x\"\r\ncontent-length: 7\r\n\r\n", 304, Some("7")),
        (Method::GET, "HTTP/1.1 103 Early Hints\r\nlink: <x>\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n", 204, None),
    ] {
        let origin = Origin::answering(Tls::Plain, raw).await;
        let proxy = origin.proxy();
        for _ in 0..2 {
            let answer = ask(&proxy, request(method.clone(), "/", &[], "")).await;
            assert_eq!(answer.status, status, "{raw}");
            assert!(answer.body.is_empty(), "{raw}");
            assert_eq!(answer.fields.get("content-length").map(|value| value.to_str().unwrap()), length, "{raw}");
        }
        assert_eq!(origin.connections(), 1, "{raw}");
    }
}

#[tokio::test]
async fn chunked_answers_are_joined() {
    let raw = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n";
    let origin = Origin::answering(Tls::Good, raw).await;
    let answer = ask(&origin.proxy(), get("/")).await;
    assert_eq!(answer.body, "abcde");
    assert!(!answer.fields.contains_key("transfer-encoding"));
}

#[tokio::test] // `TRACE`, `CONNECT`, `Upgrade`, loops
async fn some_requests_are_not_forwarded() {
    let origin = Origin::answering(Tls::Plain, OK).await;
    let proxy = origin.proxy();
    for (request, status, error) in [
        (request(Method::TRACE, "/", &[], ""), 405, "http_request_denied"),
        (request(Method::CONNECT, "/", &[], ""), 405, "http_request_denied"),
        (request(Method::GET, "/", &[("upgrade", "WebSocket")], ""), 400, "http_upgrade_failed"),
        (request(Method::GET, "/", &[("via", "1.1 crossfade-test")], ""), 508, "proxy_loop_detected"),
    ] {
        let answer = ask(&proxy, request).await;
        assert_eq!((answer.status, answer.error()), (status, error));
    }
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn the_record_knows_no_secrets() {
    let origin = Origin::answering(Tls::Plain, OK).await;
    let fields = [("authorization", "Bearer SECRET"), ("cookie", "s=SECRET")];
    let answer = ask(&origin.proxy(), request(Method::POST, "/p?token=SECRET", &fields, "SECRET")).await;
    let line = answer.record.to_string();
    assert!(!line.contains("SECRET"), "{line}");
    assert_eq!(answer.record["path"], "/p");
    assert_eq!(answer.record["status"], 200);
    assert_eq!(answer.record["backend"], "legacy");
    assert_eq!(answer.record["request_bytes"], 6);
    assert_eq!(answer.record["response_bytes"], 2);
}
