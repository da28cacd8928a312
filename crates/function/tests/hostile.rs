//! Events, configurations and answers that want to get further than they should, through the real process: into a second
//! request, a second answer, the Runtime API, another host, round in circles.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};
use support::{Call, Function, event, response, serve};

/// A back end that answers `ok`, and what it received.
fn back_end() -> (String, Arc<Mutex<Vec<Call>>>) {
    let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
    let seen = calls.clone();
    let address = serve(move |call| {
        seen.lock().unwrap().push(call);
        response("200 OK", &[("content-type", "text/plain")], b"ok")
    });
    (format!("http://{address}"), calls)
}

fn changed(member: &str, value: Value) -> Value {
    let mut event = event("GET", "/a");
    *event.pointer_mut(member).unwrap_or_else(|| panic!("{member}")) = value;
    event
}

#[test] // request smuggling and forgery
fn no_event_makes_another_request_than_its_own() {
    let (url, calls) = back_end();
    let function = Function::start(&[("CROSSFADE_BACKEND", &url)]);
    let host = url.strip_prefix("http://").unwrap().to_owned();
    let refused = [
        changed("/path", json!("//evil.example\r\nHost: evil.example\r\n\r\nGET /x")),
        changed("/path", json!("/a HTTP/1.1\r\nx: y")),
        changed("/path", json!("/a HTTP/1.1")),
        changed("/path", json!("/a\u{0}b")),
        changed("/path", json!("/a\tb")),
        changed("/path", json!("/a#b")),
        changed("/path", json!("@evil.example/x")),
        changed("/path", json!(":80/x")),
        changed("/path", json!("evil.example/x")),
        changed("/path", json!("http://evil.example/x")),
        changed("/path", json!("https://evil.example@localhost/x")),
        changed("/path", json!("\\\\evil.example\\x")),
        changed("/path", json!("")),
        changed("/path", json!("?x")),
        changed("/queryStringParameters", json!({ "a": "b HTTP/1.1\r\nx: y" })),
        changed("/queryStringParameters", json!({ "a\r\n": "b" })),
        changed("/queryStringParameters", json!({ "a": "b#c" })),
        changed("/httpMethod", json!("GET /evil HTTP/1.1\r\nHost: a\r\n\r\nGET")),
        changed("/httpMethod", json!("")),
        changed("/headers", json!({ "host": "a\r\nx-evil: 1" })),
        changed("/headers", json!({ "host": "a", "x\r\nx-evil": "1" })),
        changed("/headers", json!({ "host": "a", "x: y\r\nz": "1" })),
        changed("/headers", json!({ "host": "a", "x": "\u{0}" })),
        changed("/headers", json!({ "host": "a", "": "1" })),
        changed("/headers", json!({ "host": "a", "x y": "1" })),
        changed("/headers", json!({ "host": "a", ":authority": "evil.example" })),
    ];
    for event in refused {
        let reply = function.invoke(&event).json();
        assert_eq!(reply["statusCode"], 400, "{event} {reply}");
        assert!(calls.lock().unwrap().is_empty(), "{event}");
    }
    // What may stand in a request line goes through as it is, to the one host.
    for path in [
        "//evil.example/x",
        "/@evil.example/x",
        "/\\evil.example/x",
        "/..%2f..%2fx",
        "/%0d%0ax:%20y",
        "/%00",
        "/;/../x",
    ] {
        let reply = function.invoke(&changed("/path", json!(path))).json();
        assert_eq!(reply["statusCode"], 200, "{path} {reply}");
        let call = calls.lock().unwrap().pop().unwrap();
        assert_eq!(call.line, format!("GET {path} HTTP/1.1"));
        assert_eq!(call.field("host"), Some(&*host));
    }
}

#[test] // the event's own framing fields are not the back end's
fn no_field_frames_another_request() {
    let (url, calls) = back_end();
    let function = Function::start(&[("CROSSFADE_BACKEND", &url)]);
    let body = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    for fields in [
        json!({ "content-length": "0" }),
        json!({ "content-length": "4", "transfer-encoding": "chunked" }),
        json!({ "Transfer-Encoding": "chunked", "transfer-encoding": "identity" }),
        json!({ "connection": "content-length, host, x-forwarded-for", "te": "chunked" }),
        json!({ "upgrade": "h2c", "connection": "Upgrade, HTTP2-Settings", "http2-settings": "AAMAAABkAARAAAAAAAIAAAAA" }),
        json!({ "expect": "100-continue" }),
    ] {
        let mut event = changed("/body", json!(body));
        event["httpMethod"] = json!("POST");
        event["headers"].as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        assert_eq!(function.invoke(&event).json()["statusCode"], 200, "{fields}");
        let call = calls.lock().unwrap().pop().unwrap();
        assert_eq!((&*call.line, &*call.body), ("POST /a HTTP/1.1", body.as_bytes()), "{fields}");
        for name in ["transfer-encoding", "te", "upgrade", "connection", "expect"] {
            assert_eq!(call.field(name), None, "{fields}");
        }
        assert_eq!(call.field("x-forwarded-for"), Some("203.0.113.7"), "{fields}");
        assert!(calls.lock().unwrap().is_empty(), "{fields}");
    }
}

#[test] // response splitting
fn no_answer_splits_the_reply() {
    let raw: Arc<Mutex<&'static str>> = Arc::default();
    let answer = raw.clone();
    let address = serve(move |_| answer.lock().unwrap().as_bytes().to_vec());
    let function = Function::start(&[("CROSSFADE_BACKEND", &format!("http://{address}"))]);
    let ok = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";
    for (hostile, status) in [
        (
            "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nset-cookie: evil=1\r\ncontent-length: 0\r\n\r\n",
            200,
        ),
        ("HTTP/1.1 200 OK\r\nx: a\rset-cookie: evil=1\r\ncontent-length: 2\r\n\r\nok", 502),
        ("HTTP/1.1 200 OK\r\nx: \0\r\ncontent-length: 2\r\n\r\nok", 502),
        ("HTTP/1.1 200 OK\r\nset-cookie : evil=1\r\ncontent-length: 2\r\n\r\nok", 502),
        ("HTTP/1.1 200 OK\r\ncontent-length: 2\r\ncontent-length: 3\r\n\r\nok!", 502),
        ("HTTP/1.1 101 Switching Protocols\r\nupgrade: h2c\r\nconnection: upgrade\r\n\r\n", 502),
        ("HTTP/1.1 999 Odd\r\ncontent-length: 0\r\n\r\n", 502),
        ("HTTP/1.1 200 \"}],\"headers\":{\"set-cookie\":\"evil=1\"},\"x\":\"\r\ncontent-length: 2\r\n\r\nok", 200),
    ] {
        *raw.lock().unwrap() = hostile;
        let reply = function.invoke(&event("GET", "/")).json();
        assert_eq!(reply["statusCode"], status, "{hostile:?} {reply}");
        assert!(reply["headers"].get("set-cookie").is_none(), "{hostile:?} {reply}");
        *raw.lock().unwrap() = ok;
        let reply = function.invoke(&event("GET", "/")).json();
        assert_eq!((&reply["statusCode"], &reply["body"]), (&json!(200), &json!("ok")), "after {hostile:?}");
    }
}

#[test] // request forgery against the environment itself
fn the_function_is_not_its_own_back_end() {
    // A Runtime API that is there, and can be told why the process does not start.
    let (url, _) = back_end();
    let function = Function::start(&[("CROSSFADE_BACKEND", &url)]);
    let api = function.address;
    drop(function);
    for (url, error) in [
        (format!("http://{api}"), "Runtime API"),
        (format!("http://127.0.0.1:{}/2018-06-01", api.port()), "Runtime API"),
        ("https://169.254.169.254".to_owned(), "link-local"),
        ("http://169.254.170.2".to_owned(), "link-local"),
        ("https://[fd00:ec2::254]".to_owned(), "link-local"),
    ] {
        let mut function = Function::start_with_api(api, &[("CROSSFADE_BACKEND", &url)]);
        let status = function.wait();
        assert!(!status.success(), "{url}");
        let log = function.log(1);
        assert!(log[0]["message"].as_str().unwrap().contains(error), "{url} {log:?}");
    }
}

#[test] // a loop is billed without end
fn a_loop_costs_one_round() {
    let (url, calls) = back_end();
    let function = Function::start(&[("CROSSFADE_BACKEND", &url), ("AWS_LAMBDA_FUNCTION_NAME", "shop")]);
    for via in ["1.1 crossfade-shop", "2 cdn, 1.1 CROSSFADE-SHOP", "1.1 a (x), 1.1 crossfade-shop (y)"] {
        let mut event = event("GET", "/");
        event["headers"]["via"] = json!(via);
        event["headers"]["connection"] = json!("via");
        assert_eq!(function.invoke(&event).json()["statusCode"], 508, "{via}");
    }
    assert!(calls.lock().unwrap().is_empty());
    // Other functions of ours on the way are none: of another name, or of the same in another account.
    let mut event = event("GET", "/");
    event["headers"]["via"] = json!("1.1 crossfade-shop-staging");
    event["headers"]["cdn-loop"] = json!("crossfade-shop;deployment=00000001");
    function.give(event.to_string(), Duration::from_secs(10), "202 Accepted");
    assert_eq!(function.posted().json()["statusCode"], 200);
    // What the back end got is a loop when it comes back, whatever else is in it.
    let call = calls.lock().unwrap()[0].clone();
    let mut members = call.fields.iter().filter(|(name, _)| name.eq_ignore_ascii_case("cdn-loop"));
    let (_, member) = members.next_back().unwrap();
    assert_ne!(member, "crossfade-shop;deployment=00000001");
    for again in [member.clone(), format!("cloudflare; loops=1, {member}"), "crossfade-shop".to_owned()] {
        event["headers"]["cdn-loop"] = json!(again);
        event["headers"]["connection"] = json!("cdn-loop");
        assert_eq!(function.invoke(&event).json()["statusCode"], 508, "{again}");
    }
    assert_eq!(calls.lock().unwrap().len(), 1);
}
