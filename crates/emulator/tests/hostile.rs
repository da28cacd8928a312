//! Requests and replies that want more than one meaning: targets that look like other hosts, games with `Host`, fields and
//! bodies that hide a request, replies that hide an answer. What the load balancer does not refuse, the function gets as one
//! request. Framing in each mitigation mode is in `attributes`.

use serde_json::{Value, json};

use crate::support::{Alb, multi, single};

/// The event that a request becomes, or the status of its refusal.
#[track_caller]
fn event(alb: &Alb, request: &str) -> Result<Value, u16> {
    let response = alb.send(request);
    if response.status == 200 { Ok(response.json()) } else { Err(response.status) }
}

#[test] // a target never becomes a host or another path
fn targets_stay_paths() {
    let alb = multi();
    for path in [
        "//evil.example/x",
        "/@evil.example/x",
        "/\\evil.example/x",
        "/:80/x",
        "/a/../../x",
        "/%2e%2e/%2f%5cx",
        "/..;/x",
        "/[::1%25lo]/x",
        "/http://evil.example/x",
        "/%0d%0aHost:%20evil.example",
        "/%00",
    ] {
        let event = event(&alb, &format!("GET {path} HTTP/1.1\r\nHost: a.example\r\n\r\n"));
        let event = event.unwrap_or_else(|status| panic!("{path}: {status}"));
        assert_eq!((&event["path"], &event["multiValueHeaders"]["host"]), (&json!(path), &json!(["a.example"])));
    }
    for target in [
        "@evil.example/x",
        ":80/x",
        "evil.example/x",
        "\\\\evil.example\\x",
        "ftp://evil.example/x",
        "http:/evil.example/x",
        "http://",
        "http://?x",
        "http:///x",
        "?x",
        "/a\tb",
        "/a\u{b}b",
        "/a\u{7f}b",
    ] {
        let event = event(&alb, &format!("GET {target} HTTP/1.1\r\nHost: a.example\r\n\r\n"));
        assert_eq!(event.err(), Some(400), "{target:?}");
    }
}

#[test] // conflicting hosts never select another target
fn games_with_host() {
    let alb = multi();
    for (target, fields, host) in [
        // RFC 9112 section 3.2.2: the authority of an absolute target wins.
        ("http://b.example/x", "Host: a.example\r\n", Ok("b.example")),
        ("HTTP://b.example/x", "Host: a.example\r\n", Ok("b.example")),
        ("http://a.example@b.example/x", "Host: a.example\r\n", Ok("b.example")),
        ("http://b.example:8080/x", "Host: a.example\r\n", Ok("b.example:8080")),
        ("http://[fe80::1%25eth0]/x", "Host: a.example\r\n", Ok("[fe80::1%25eth0]")),
        ("http://b.example\\@evil.example/x", "Host: a.example\r\n", Ok("evil.example")),
        ("/x", "Host: a.example\r\nHost: b.example\r\n", Err(400)),
        ("http://b.example/x", "Host: a.example\r\nHost: b.example\r\n", Err(400)),
        ("/x", "Host: a.example\r\nHost: a.example\r\n", Err(400)),
        ("/x", "Host:\r\n", Err(400)),
        ("/x", "", Err(400)),
        ("/x", "Host : a.example\r\n", Err(400)),
        // Ignored, as RFC 9112 section 2.2 allows.
        ("/x", " Host: b.example\r\nHost: a.example\r\n", Ok("a.example")),
        ("/x", "X: y\r\n Host: b.example\r\nHost: a.example\r\n", Ok("a.example")),
        ("/x", "Host: a.example\r\nX-Forwarded-Host: b.example\r\nX-Host: b.example\r\n", Ok("a.example")),
        ("/x", "Host: a.example\u{0}\r\n", Err(400)),
        ("/x", "Host: a.example\rHost: b.example\r\n", Err(400)),
    ] {
        let got = event(&alb, &format!("GET {target} HTTP/1.1\r\n{fields}\r\n"));
        match (got, host) {
            (Ok(event), Ok(host)) => {
                assert_eq!(event["multiValueHeaders"]["host"], json!([host]), "{target} {fields:?}");
                assert_eq!(event["path"], "/x", "{target} {fields:?}");
            }
            (got, expected) => assert_eq!(got.map(drop), expected.map(drop), "{target} {fields:?}"),
        }
    }
}

#[test] // clients cannot spoof what the load balancer says about them
fn fields_of_the_load_balancer_are_its_own() {
    let alb = multi();
    let claims = "X-Forwarded-For: 10.0.0.1\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 443\r\n\
                  Connection: X-Forwarded-For, X-Forwarded-Proto\r\n";
    let event = event(&alb, &format!("GET / HTTP/1.1\r\nHost: a\r\n{claims}\r\n")).unwrap();
    let fields = &event["multiValueHeaders"];
    assert_eq!(fields["x-forwarded-for"], json!(["10.0.0.1, 127.0.0.1"]));
    assert_eq!(fields["x-forwarded-proto"], json!(["http"]));
    assert_eq!(fields["x-forwarded-port"], json!([alb.address.port().to_string()]));
}

#[test] // each of these bodies hides a second request
fn no_body_is_a_request() {
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let length = hidden.len();
    for fields in [
        format!("Content-Length: {length}\r\nContent-Length: 0\r\n"),
        format!("Content-Length: 0\r\nContent-Length: {length}\r\n"),
        "Content-Length: 0, 1\r\n".to_owned(),
        "Content-Length: 0x0\r\n".to_owned(),
        "Content-Length: -0\r\n".to_owned(),
        "Content-Length: 0 0\r\n".to_owned(),
        "Content-Length: \u{c}0\r\n".to_owned(),
        "Content-Length : 0\r\n".to_owned(),
        "Content-Length\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity, gzip\r\n".to_owned(),
        "Transfer-Encoding: \u{b}chunked\r\n".to_owned(),
        "Transfer-Encoding: \"chunked\"\r\n".to_owned(),
        "Transfer-Encoding: chunked;q=1\r\n".to_owned(),
        "Transfer-Encoding: chunked\r\nTransfer-Encoding: cow\r\n".to_owned(),
        "Transfer-Encoding\u{b}: chunked\r\n".to_owned(),
        "X: y\rTransfer-Encoding: chunked\r\n".to_owned(),
        "X: y\r\n\rTransfer-Encoding: chunked\r\n".to_owned(),
        "X: y\u{0}\r\nTransfer-Encoding: chunked\r\n".to_owned(),
        "Content-Length: 0\r\nTransfer-Encoding: xchunked\r\n".to_owned(),
    ] {
        let mut alb = single();
        let mut client = alb.connect();
        client.write(format!("POST /first HTTP/1.1\r\nHost: a\r\n{fields}\r\n{hidden}").as_bytes());
        let first = client.read();
        assert!(first.status >= 400, "{fields:?}: {}", first.status);
        assert!(client.is_closed(), "{fields:?}");
        assert_ne!(alb.exchange().target, "/hidden", "{fields:?}");
    }
    // A body that looks like a request is a body.
    let mut alb = single();
    let mut client = alb.connect();
    for framed in [
        format!("Content-Length: {length}\r\n\r\n{hidden}"),
        format!("Transfer-Encoding: chunked\r\n\r\n{length:x}\r\n{hidden}\r\n0\r\n\r\n"),
    ] {
        client.write(format!("POST /first HTTP/1.1\r\nHost: a\r\nContent-Type: text/plain\r\n{framed}").as_bytes());
        assert_eq!(client.read().json()["body"], hidden);
        assert_eq!(alb.exchange().target, "/first");
    }
}

#[test] // response splitting
fn no_reply_is_two_answers() {
    let evil = "x\\r\\n\\r\\nHTTP/1.1 200 OK\\r\\nSet-Cookie: evil=1";
    for reply in [
        format!(r#"{{"statusCode":200,"headers":{{"x":"{evil}"}}}}"#),
        r#"{"statusCode":200,"headers":{"x":"a\rSet-Cookie: evil=1"}}"#.to_owned(),
        r#"{"statusCode":200,"headers":{"x":"a\nSet-Cookie: evil=1"}}"#.to_owned(),
        r#"{"statusCode":200,"headers":{"x":"a\u0000"}}"#.to_owned(),
        r#"{"statusCode":200,"headers":{"x\r\nSet-Cookie: evil=1\r\ny":"a"}}"#.to_owned(),
        r#"{"statusCode":200,"headers":{"x: y":"a"}}"#.to_owned(),
        r#"{"statusCode":200,"headers":{"":"a"}}"#.to_owned(),
        r#"{"statusCode":100,"headers":{}}"#.to_owned(),
        r#"{"statusCode":101,"headers":{"upgrade":"h2c"}}"#.to_owned(),
        r#"{"statusCode":"200 OK\r\nSet-Cookie: evil=1","headers":{}}"#.to_owned(),
    ] {
        let alb = single();
        let response = alb.get("/", &format!("x-reply: {reply}\r\n"));
        assert_eq!(response.status, 502, "{reply}");
        assert_eq!(response.field("set-cookie"), None, "{reply}");
    }
    // Framing is the load balancer's to say, and the reason is HTTP's.
    let alb = single();
    let mut client = alb.connect();
    for reply in [
        r#"{"statusCode":200,"headers":{"content-length":"0"},"body":"HTTP/1.1 200 OK"}"#,
        r#"{"statusCode":200,"headers":{"transfer-encoding":"chunked","connection":"close"},"body":"0"}"#,
        r#"{"statusCode":200,"statusDescription":"200 OK\r\nSet-Cookie: evil=1","headers":{},"body":"b"}"#,
    ] {
        client.write(format!("GET / HTTP/1.1\r\nHost: a\r\nx-reply: {reply}\r\n\r\n").as_bytes());
        let response = client.read();
        assert_eq!((response.status, response.field("set-cookie")), (200, None), "{reply}");
        assert_eq!(response.field("transfer-encoding"), None, "{reply}");
        let sent: Value = serde_json::from_str(reply).unwrap();
        assert_eq!(response.text(), sent["body"].as_str().unwrap(), "{reply}");
    }
}
