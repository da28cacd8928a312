//! Requests and answers that want to get somewhere else: to another host, past the fields that are vouched for, into a second
//! request or a second answer, round in circles. Each as a table of cases.

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;

use crossfade_route::{RoutingTable, RuntimeApi, Surroundings};
use http::{HeaderValue, Method, Request};

use crate::support::{OK, Origin, ProxyOf as _, Tls, ask, config_with, get, request};

/// The lines of the only request that came.
fn only(origin: &Origin) -> Vec<String> {
    let requests = origin.requests();
    assert_eq!(requests.len(), 1, "{requests:?}");
    requests[0].lines().map(str::to_owned).collect()
}

#[tokio::test] // the configuration alone decides where to connect
async fn no_target_leaves_the_back_end() {
    let evil = Origin::answering(Tls::Plain, OK).await;
    let port = evil.address.port();
    for target in [
        format!("//127.0.0.1:{port}/x"),
        format!("///127.0.0.1:{port}/x"),
        format!("/@127.0.0.1:{port}/x"),
        format!("/\\127.0.0.1:{port}/x"),
        format!("/\\\\127.0.0.1:{port}\\x"),
        format!("/:{port}/x"),
        format!("/http://127.0.0.1:{port}/x"),
        format!("/%2f%2f127.0.0.1:{port}/x"),
        format!("/%5c%5c127.0.0.1:{port}/x"),
        format!("/%40127.0.0.1:{port}/x"),
        format!("/;@127.0.0.1:{port}/x"),
        format!("/?@127.0.0.1:{port}/x"),
        format!("/?url=http://127.0.0.1:{port}/x"),
        format!("/..//127.0.0.1:{port}/x"),
        format!("/.%2e/@127.0.0.1:{port}/x"),
        format!("/[::1%25lo]:{port}/x"),
        format!("/%E2%81%84%E2%81%84127.0.0.1:{port}/x"),
    ] {
        let origin = Origin::answering(Tls::Plain, OK).await;
        let answer = ask(&origin.proxy(), get(&target)).await;
        assert_eq!(answer.status, 200, "{target}");
        let lines = only(&origin);
        // As the back end's transcript writes it.
        assert_eq!(lines[0], format!("GET {} HTTP/1.1", target.as_bytes().escape_ascii()));
        assert_eq!(lines.iter().filter(|line| line.to_ascii_lowercase().starts_with("host:")).count(), 1);
        assert!(lines.contains(&format!("host: localhost:{}", origin.address.port())), "{lines:?}");
    }
    assert_eq!(evil.connections(), 0);
}

#[tokio::test] // request forgery by a target in absolute form, which no event has
async fn an_absolute_target_is_not_a_destination() {
    let evil = Origin::answering(Tls::Plain, OK).await;
    let authority = evil.address;
    for target in [
        format!("http://{authority}/x"),
        format!("https://{authority}/x"),
        format!("http://user@{authority}/x"),
        format!("http://localhost@{authority}/x"),
    ] {
        let origin = Origin::answering(Tls::Plain, OK).await;
        let request =
            Request::builder().uri(&target).header("host", "www.example.com").body(bytes::Bytes::new()).unwrap();
        assert_eq!(ask(&origin.proxy(), request).await.status, 200, "{target}");
        assert_eq!(only(&origin)[0], "GET /x HTTP/1.1", "{target}");
    }
    assert_eq!(evil.connections(), 0);
}

#[tokio::test] // spoofed hosts have no effect
async fn hosts_and_forwarded_hosts_decide_nothing() {
    let evil = Origin::answering(Tls::Plain, OK).await;
    let evil_host = evil.address.to_string();
    let cases: [&[(&str, &str)]; 9] = [
        &[("host", &evil_host)],
        &[("host", "www.example.com"), ("x-forwarded-host", &evil_host)],
        &[("host", "www.example.com"), ("x-forwarded-host", "a"), ("x-forwarded-host", &evil_host)],
        &[("host", "www.example.com"), ("x-host", &evil_host), ("x-forwarded-server", &evil_host)],
        &[("host", "www.example.com"), ("forwarded", "host=evil.example;for=127.0.0.1")],
        &[("host", "www.example.com"), ("x-original-url", "/admin"), ("x-rewrite-url", "/admin")],
        &[("host", "www.example.com"), ("x-http-method-override", "DELETE")],
        &[("host", "www.example.com@evil.example")],
        &[("host", "www.example.com"), ("host", &evil_host)],
    ];
    for fields in cases {
        let origin = Origin::answering(Tls::Plain, OK).await;
        let answer = ask(&origin.proxy(), request(Method::GET, "/x", fields, "")).await;
        assert_eq!(answer.status, 200, "{fields:?}");
        let lines = only(&origin);
        assert_eq!(lines[0], "GET /x HTTP/1.1");
        let named = |name: &str| lines.iter().filter(|line| line.starts_with(name)).cloned().collect::<Vec<_>>();
        assert_eq!(named("host:"), [format!("host: localhost:{}", origin.address.port())], "{fields:?}");
        // One, and what the load balancer saw as `Host`: never what the client put there.
        assert_eq!(named("x-forwarded-host:"), [format!("x-forwarded-host: {}", fields[0].1)], "{fields:?}");
        assert!(named("forwarded:").is_empty(), "{fields:?}");
    }
    assert_eq!(evil.connections(), 0);
}

#[tokio::test] // CGI and WSGI read `x_forwarded_for` as `X-Forwarded-For`
async fn lookalikes_of_what_is_vouched_for_reach_nobody() {
    let origin = Origin::answering(Tls::Plain, OK).await;
    let proxy = origin.proxy();
    let names = ["x_forwarded_for", "x-forwarded_proto", "x_amzn_oidc_identity", "x_crossfade_mirror", "x_request_id"];
    let fields: Vec<_> = names.iter().chain(&["x_customer"]).map(|name| (*name, "forged")).collect();
    assert_eq!(ask(&proxy, request(Method::GET, "/", &fields, "")).await.status, 200);
    let forged: Vec<_> = only(&origin).into_iter().filter(|line| line.ends_with(": forged")).collect();
    assert_eq!(forged, ["x_customer: forged"]);
}

#[tokio::test] // framing fields are always rewritten
async fn the_clients_framing_is_not_the_back_ends() {
    let cases: [&[(&str, &str)]; 9] = [
        &[("transfer-encoding", "chunked")],
        &[("transfer-encoding", "chunked"), ("content-length", "3")],
        &[("transfer-encoding", "xchunked"), ("transfer-encoding", "chunked")],
        &[("content-length", "0")],
        &[("content-length", "3"), ("content-length", "400")],
        &[("content-length", "+5")],
        &[("connection", "content-length"), ("content-length", "1")],
        &[("connection", "transfer-encoding, te, upgrade"), ("upgrade", "h2c"), ("http2-settings", "AAMAAABk")],
        &[("trailer", "content-length"), ("te", "trailers, chunked")],
    ];
    for fields in cases {
        let origin = Origin::answering(Tls::Plain, OK).await;
        let body = "GET /hidden HTTP/1.1\r\nhost: a\r\n\r\n";
        let proxy = origin.proxy();
        assert_eq!(ask(&proxy, request(Method::POST, "/x", fields, body)).await.status, 200, "{fields:?}");
        // The next one on the same connection is the next one.
        assert_eq!(ask(&proxy, get("/next")).await.status, 200, "{fields:?}");
        let requests = origin.requests();
        let lines: Vec<_> = requests.iter().map(|text| text.lines().next().unwrap()).collect();
        assert_eq!(lines, ["POST /x HTTP/1.1", "GET /next HTTP/1.1"], "{fields:?}");
        let framing: Vec<_> =
            requests[0].lines().take_while(|line| !line.is_empty()).filter(|line| is_framing(line)).collect();
        assert_eq!(framing, [format!("content-length: {}", body.len())], "{fields:?}");
    }
}

fn is_framing(line: &str) -> bool {
    ["content-length:", "transfer-encoding:", "te:", "trailer:", "upgrade:", "connection:"]
        .iter()
        .any(|name| line.starts_with(name))
}

#[tokio::test] // header injection
async fn no_field_becomes_two() {
    for value in ["a\r\nx-evil: 1", "a\nx-evil: 1", "a\rx-evil: 1", "a\0", "\r\n\r\nGET /hidden HTTP/1.1"] {
        assert!(HeaderValue::from_str(value).is_err(), "the type lets it in: {value:?}");
    }
    // What the type takes: control bytes are out, octets beyond ASCII and tabs are in, and stay on their line.
    let origin = Origin::answering(Tls::Plain, OK).await;
    let mut hostile = get("/");
    let sneaky = HeaderValue::from_bytes(b"a\t\xe5\x98\x8a\xe5\x98\x8dx-evil: 1").unwrap();
    hostile.headers_mut().insert("x-sneaky", sneaky);
    ask(&origin.proxy(), hostile).await;
    assert!(!only(&origin).iter().any(|line| line.starts_with("x-evil")));
}

#[tokio::test] // response smuggling
async fn no_answer_becomes_two() {
    let split = "HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\nHTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nstale";
    for (raw, status) in [
        (split, 200),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokGET / HTTP/1.1\r\n\r\n", 200),
        ("HTTP/1.1 200 OK\r\ncontent-length: 3\r\ncontent-length: 5\r\n\r\nabcde", 502),
        ("HTTP/1.1 200 OK\r\ncontent-length: 5, 3\r\n\r\nabcde", 502),
        ("HTTP/1.1 200 OK\r\nx: a\rset-cookie: evil=1\r\ncontent-length: 0\r\n\r\n", 502),
        ("HTTP/1.1 200 OK\r\nx: a\0b\r\ncontent-length: 0\r\n\r\n", 502),
        ("HTTP/1.1 200 OK\r\nx : a\r\ncontent-length: 0\r\n\r\n", 502),
        ("HTTP/1.1 200 OK\r\n x: folded\r\ncontent-length: 0\r\n\r\n", 502),
        ("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nzz\r\n\r\n", 502),
    ] {
        let origin = Origin::answering(Tls::Plain, raw).await;
        let proxy = origin.proxy();
        let first = ask(&proxy, get("/1")).await;
        assert_eq!(first.status, status, "{raw:?} {}", first.record);
        assert!(!first.fields.contains_key("set-cookie"), "{raw:?}");
        assert_ne!(first.body, "stale", "{raw:?}");
        // What was left on the connection is nobody's answer.
        let second = ask(&proxy, get("/2")).await;
        assert_ne!(second.body, "stale", "{raw:?}");
        assert_eq!(second.status, status, "{raw:?} {}", second.record);
    }
}

#[tokio::test] // a loop is billed without end
async fn loops_end_in_508_and_reach_nobody() {
    let origin = Origin::answering(Tls::Plain, OK).await;
    let proxy = origin.proxy();
    for via in [
        &["1.1 crossfade-test"][..],
        &["HTTP/1.1 Crossfade-Test"],
        &["2 edge, 1.1 crossfade-test (behind alb)"],
        &["1.0 a", "1.1 b", "1.1 crossfade-test"],
        &["1.1\tcrossfade-test"],
        &[", ,1.1  crossfade-test ,"],
    ] {
        let fields: Vec<_> = via.iter().map(|value| ("via", *value)).collect();
        let answer = ask(&proxy, request(Method::GET, "/", &fields, "")).await;
        assert_eq!((answer.status, answer.error()), (508, "proxy_loop_detected"), "{via:?}");
    }
    assert_eq!(origin.connections(), 0);
    // RFC 8586: the field that every request of ours has.
    for members in [
        &["crossfade-test"][..],
        &["cloudflare; loops=1, Crossfade-Test"],
        &["Fastly, Fastly", "crossfade-test;deployment=00000001;x=\"a, b\""],
        &["a;b=\", crossfade-test"],
    ] {
        let fields: Vec<_> = members.iter().map(|value| ("cdn-loop", *value)).collect();
        let answer = ask(&proxy, request(Method::GET, "/", &fields, "")).await;
        assert_eq!((answer.status, answer.error()), (508, "proxy_loop_detected"), "{members:?}");
    }
    // The client cannot hide that it has been here.
    for (name, value) in [("via", "1.1 crossfade-test"), ("cdn-loop", "crossfade-test")] {
        let fields = [(name, value), ("connection", "close, CDN-Loop"), ("connection", "via")];
        assert_eq!(ask(&proxy, request(Method::GET, "/", &fields, "")).await.status, 508);
    }
    assert_eq!(origin.connections(), 0);
    // Nor can somebody else's name stop it.
    for via in ["1.1 crossfade-test-2", "crossfade-test", "1.1 x crossfade-test", "1.1 (crossfade-test)"] {
        assert_eq!(ask(&proxy, request(Method::GET, "/", &[("via", via)], "")).await.status, 200, "{via}");
    }
    let others = "crossfade-test-2, a;b=\"c, crossfade-test, d\", test";
    let fields = [("cdn-loop", others), ("connection", "cdn-loop")];
    assert_eq!(ask(&proxy, request(Method::GET, "/", &fields, "")).await.status, 200);
    // What others have put there goes on as it is, before ours.
    let requests = origin.requests();
    let sent: Vec<_> = requests.last().unwrap().lines().filter(|line| line.starts_with("cdn-loop: ")).collect();
    let others = format!("cdn-loop: {}", others.escape_default());
    assert_eq!(sent, [format!("{others}, crossfade-test")]);
}

#[tokio::test] // without multi-value headers ALB forwards only the last line of a field
async fn a_loop_through_two_proxies_is_seen_by_the_last_line_alone() {
    let origin = Origin::answering(Tls::Plain, OK).await;
    let proxy = origin.proxy_with("via: true");
    let fields = [("cdn-loop", "first"), ("cdn-loop", "crossfade-other;deployment=1"), ("via", "1.1 edge")];
    assert_eq!(ask(&proxy, request(Method::GET, "/", &fields, "")).await.status, 200);
    let lines = only(&origin);
    let of = |name: &str| lines.iter().filter(|line| line.starts_with(name)).cloned().collect::<Vec<_>>();
    assert_eq!(of("cdn-loop:"), ["cdn-loop: first, crossfade-other;deployment=1, crossfade-test"]);
    assert_eq!(of("via:"), ["via: 1.1 edge, 1.1 crossfade-test"]);
    // What comes back after the other proxy has appended itself.
    let back = [("cdn-loop", "first, crossfade-other;deployment=1, crossfade-test, crossfade-other;deployment=1")];
    assert_eq!(ask(&proxy, request(Method::GET, "/", &back, "")).await.status, 508);
}

/// An environment whose Runtime API is at an address.
struct InLambda(SocketAddr);

impl Surroundings for InLambda {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, _: &Path) -> Result<Vec<u8>, String> {
        Err("there are no files here".to_owned())
    }

    fn runtime_api(&self) -> Option<Arc<RuntimeApi>> {
        let (host, port) = (self.0.ip().to_string(), self.0.port());
        Some(Arc::new(RuntimeApi { host, port, addresses: vec![self.0.ip()] }))
    }
}

#[tokio::test] // request forgery against the environment itself
async fn the_runtime_api_is_no_back_end_by_any_name() {
    let api = Origin::answering(Tls::Plain, OK).await;
    let surroundings = InLambda(api.address);
    let port = api.address.port();
    for url in [
        format!("http://127.0.0.1:{port}"),
        format!("http://[::1]:{port}/2018-06-01"),
        format!("https://127.1.1.1:{port}"),
    ] {
        let mistakes = RoutingTable::from_backend_url(&url, "test", &surroundings).unwrap_err().to_string();
        assert!(mistakes.contains("belongs to the Lambda Runtime API"), "{mistakes}");
        let text = format!(
            "version: 1\nbackends:\n  a:\n    url: {url}\n    allowLinkLocal: true\ndefault: {{ forward: a }}\n"
        );
        let mistakes = RoutingTable::from_config(&text, "test.yaml", &surroundings).unwrap_err().to_string();
        assert!(mistakes.contains("test.yaml:4:10: `backends.a.url`: "), "{mistakes}");
    }
    // By a name it shows when the name is resolved.
    for url in [format!("http://localhost:{port}"), format!("http://LocalHost:{port}/2018-06-01")] {
        let proxy = config_with(&format!("backends: {{ a: {url} }}\ndefault: {{ forward: a }}\n"), &surroundings, &[]);
        let answer = ask(&proxy, get("/runtime/invocation/next")).await;
        assert_eq!((answer.status, answer.error()), (502, "destination_ip_prohibited"), "{url}");
    }
    assert_eq!(api.connections(), 0);
    // Another port of the same host is a back end like any other.
    let origin = Origin::answering(Tls::Plain, OK).await;
    let text = format!("backends: {{ a: http://127.0.0.1:{} }}\ndefault: {{ forward: a }}\n", origin.address.port());
    assert_eq!(ask(&config_with(&text, &surroundings, &[]), get("/")).await.status, 200);
}
