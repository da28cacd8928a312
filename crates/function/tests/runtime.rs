//! The function as Lambda sees it: a process that talks to the Runtime API.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::io::Read;
use std::process::Command;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossfade_testkit::process::Signal;
use serde_json::{Value, json};
use support::{Call, Folder, Function, event, response, serve};

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

#[test]
fn an_invocation() {
    let (url, calls) = back_end();
    let function = Function::start(&[("CROSSFADE_BACKEND", &url), ("AWS_LAMBDA_FUNCTION_NAME", "shop")]);
    let posted = function.invoke(&event("GET", "/a"));
    assert_eq!(
        posted.line,
        "POST /2018-06-01/runtime/invocation/8476a536-e9f4-11e8-9739-2dfe598c3fcd/response HTTP/1.1"
    );
    assert_eq!(posted.field("lambda-runtime-invocation-id"), Some("invocation-7"));
    assert_eq!(
        posted.json(),
        json!({
            "statusCode": 200, "statusDescription": "200 OK", "headers": { "content-type": "text/plain" },
            "body": "ok", "isBase64Encoded": false
        })
    );
    let call = calls.lock().unwrap()[0].clone();
    assert_eq!((call.field("cdn-loop"), call.field("via")), (Some("crossfade-shop;deployment=9cf6a971"), None));
    assert_eq!(call.field("x-request-id"), Some("8476a536-e9f4-11e8-9739-2dfe598c3fcd"));
    assert_eq!(call.field("x-amzn-trace-id"), Some("Root=1-alb"));

    let line = &function.log(1)[0];
    for (member, value) in [
        ("type", json!("access")),
        ("request_id", json!("8476a536-e9f4-11e8-9739-2dfe598c3fcd")),
        ("trace_id", json!("Root=1-alb")),
        ("method", json!("GET")),
        ("path", json!("/a")),
        ("route", json!("default")),
        ("backend", json!("backend")),
        ("status", json!(200)),
        ("response_bytes", json!(2)),
        ("attempts", json!(1)),
    ] {
        assert_eq!(line[member], value, "{line}");
    }
    for duration in ["total_ms", "connect_ms", "first_byte_ms"] {
        assert!(line[duration].as_f64().unwrap() > 0.0, "{line}");
    }
}

#[test] // the variable `_X_AMZN_TRACE_ID` is not set
fn a_request_without_a_trace_gets_lambdas() {
    let (url, calls) = back_end();
    let function = Function::start(&[("CROSSFADE_BACKEND", &url)]);
    let mut event = event("GET", "/");
    event["headers"] = json!({ "host": "a", "x-forwarded-for": "203.0.113.7" });
    function.invoke(&event);
    assert_eq!(calls.lock().unwrap()[0].field("x-amzn-trace-id"), Some("Root=1-lambda;Parent=1;Sampled=0"));
}

#[test]
fn one_connection_to_each_side() {
    let (url, calls) = back_end();
    let function = Function::start(&[("CROSSFADE_BACKEND", &url)]);
    for _ in 0..20 {
        assert_eq!(function.invoke(&event("GET", "/")).connection, 0);
    }
    assert!(calls.lock().unwrap().iter().all(|call| call.connection == 0));
}

#[test] // a panic would cost the environment
fn undecodable_events_cost_an_answer_and_nothing_else() {
    let (url, calls) = back_end();
    let function = Function::start(&[("CROSSFADE_BACKEND", &url)]);
    let broken = |change: fn(&mut Value)| {
        let mut event = event("GET", "/");
        change(&mut event);
        event.to_string()
    };
    let events = [
        "null".to_owned(),
        "{}".to_owned(),
        "[]".to_owned(),
        "{".to_owned(),
        json!({ "source": "aws.events", "detail-type": "Scheduled Event", "detail": {} }).to_string(),
        broken(|event| event["path"] = json!("evil.example.com")),
        broken(|event| event["path"] = json!("/a\r\nx: y")),
        broken(|event| event["headers"]["a b"] = json!("1")),
        broken(|event| event["headers"]["a"] = json!("1\r\nb: 2")),
        broken(|event| event["httpMethod"] = json!("GE T")),
        broken(|event| {
            event["body"] = json!("no base64");
            event["isBase64Encoded"] = json!(true);
        }),
    ];
    let names: serde_json::Map<_, _> = (0..40_000).map(|number| (format!("x-{number}"), json!(""))).collect();
    let mut huge = event("GET", "/");
    huge["headers"] = Value::Object(names);
    let events: Vec<_> = events.into_iter().chain([huge.to_string()]).collect();
    let count = events.len();
    for event in events {
        function.give(&event, Duration::from_secs(10), "202 Accepted");
        let posted = function.posted();
        assert!(posted.line.contains("/response "), "{}", posted.line);
        assert_eq!(posted.json()["statusCode"], 400, "{event}");
        // The sender of an event that is not a request may invoke the function, and reads why.
        let is_request = !matches!(event.as_bytes(), b"{}") && !event.contains("aws.events");
        let details = "; details=\"unsupported event: not an HTTP request from an Application Load Balancer, API Gateway, a \
                       function URL or VPC Lattice\"";
        let expected = format!("crossfade; error=http_request_error{}", if is_request { "" } else { details });
        assert_eq!(posted.json()["headers"]["proxy-status"], expected);
        assert_eq!(posted.json()["body"], "Bad Request\n");
    }
    assert_eq!(function.invoke(&event("GET", "/")).json()["statusCode"], 200);
    let log = function.log(count + 1);
    assert!(log[..count].iter().all(|line| line["error"] == "http_request_error" && line["detail"].is_string()));
    assert_eq!(calls.lock().unwrap().len(), 1);
}

#[test] // they have no `Host`, and their number is not that of the traffic
fn health_checks_do_not_reach_the_back_end() {
    let (url, calls) = back_end();
    let function = Function::start(&[("CROSSFADE_BACKEND", &url)]);
    let mut check = event("GET", "/");
    check["headers"] = json!({ "user-agent": "ELB-HealthChecker/2.0" });
    assert_eq!(function.invoke(&check).json()["statusCode"], 200);
    assert!(calls.lock().unwrap().is_empty());

    let folder = Folder::new();
    let text =
        format!("{{version: 1, backends: {{a: '{url}'}}, healthCheck: {{answer: backend}}, default: {{forward: a}}}}");
    let file = folder.write("crossfade.yaml", text);
    let function = Function::start(&[("CROSSFADE_CONFIG", &file)]);
    assert_eq!(function.invoke(&check).json()["body"], "ok");
    assert_eq!(calls.lock().unwrap().len(), 1);
}

#[test] // it would answer 502 without a reason
fn replies_that_the_load_balancer_would_refuse_are_replaced() {
    let address = serve(|call| {
        let path = call.line.split(' ').nth(1).unwrap().to_owned();
        let (fields, body) = match path.as_str() {
            "/binary-too-large" => (0, vec![0xff; 800_000]),
            "/text-too-large" => (0, vec![b'"'; 1_040_000]),
            "/fields-too-large" => (34_000, Vec::new()),
            "/large-binary" => (0, vec![0xff; 780_000]),
            "/large-text" => (0, vec![b'a'; 1_040_000]),
            other => panic!("{other}"),
        };
        response("200 OK", &[("x-large", &"x".repeat(fields))], &body)
    });
    let function = Function::start(&[("CROSSFADE_BACKEND", &format!("http://{address}"))]);
    for (path, error) in [
        ("/binary-too-large", "http_response_body_size"),
        ("/text-too-large", "http_response_body_size"),
        ("/fields-too-large", "http_response_header_section_size"),
    ] {
        let posted = function.invoke(&event("GET", path));
        assert_eq!(posted.json()["statusCode"], 502, "{path}");
        let status = posted.json()["headers"]["proxy-status"].as_str().unwrap().to_owned();
        assert!(status.starts_with(&format!("crossfade; error={error}; details=\"")), "{status}");
        assert!(status.contains("are allowed"), "{status}");
    }
    for path in ["/large-binary", "/large-text"] {
        let posted = function.invoke(&event("GET", path));
        assert_eq!(posted.json()["statusCode"], 200, "{path}");
        assert!(posted.body.len() <= 1_048_576);
    }
    let log = function.log(5);
    assert_eq!(log[0]["error"], "http_response_body_size");
    assert_eq!(log[0]["status"], 502);
}

#[test]
fn an_error_that_comes_after_the_back_end_s_response_has_its_page() {
    let address = serve(|call| match call.line.contains("/fields") {
        true => response("200 OK", &[("x-large", &"x".repeat(34_000))], b""),
        false => response("200 OK", &[], &vec![0xff; 800_000]),
    });
    let folder = Folder::new();
    let pages = "[{codes: 5xx, contentType: text/html, body: Sorry}, {codes: [502], contentType: application/json, \
                 body: '{}'}, {codes: 400, contentType: text/html, body: Not ours}]";
    let file = folder.write(
        "crossfade.yaml",
        format!("{{version: 1, backends: {{a: 'http://{address}'}}, errorPages: {pages}, default: {{forward: a}}}}"),
    );
    let function = Function::start(&[("CROSSFADE_CONFIG", &file)]);
    let cases = [
        ("GET", "/large", "text/html, */*;q=0.1", "text/html", "Sorry"),
        ("GET", "/large", "application/json", "application/json", "{}"),
        ("GET", "/fields", "application/json", "application/json", "{}"),
        ("HEAD", "/fields", "text/html", "text/html", ""),
        ("GET", "/large", "image/png", "text/plain; charset=utf-8", "Bad Gateway\n"),
    ];
    for (method, path, accepted, media_type, body) in cases {
        let mut event = event(method, path);
        event["headers"]["accept"] = json!(accepted);
        let reply = function.invoke(&event).json();
        assert_eq!((&reply["statusCode"], &reply["body"]), (&json!(502), &json!(body)), "{method} {path} {accepted}");
        let fields = &reply["headers"];
        assert_eq!((&fields["content-type"], &fields["cache-control"]), (&json!(media_type), &json!("no-store")));
        assert!(fields["proxy-status"].as_str().unwrap().starts_with("crossfade; error=http_response_"), "{fields}");
    }
    // Of an event that is no request nobody knows what its sender accepts.
    let reply = function.invoke(&json!({ "source": "aws.events" })).json();
    assert_eq!((&reply["statusCode"], &reply["body"]), (&json!(400), &json!("Bad Request\n")));
    let log = function.log(cases.len());
    assert_eq!((&log[0]["response_bytes"], &log[3]["response_bytes"]), (&json!(5), &json!(0)));
}

#[test]
fn text_that_the_load_balancer_would_refuse_is_compressed() {
    let text = "{\"name\": \"value\"}".repeat(200_000);
    let sent = text.clone();
    let address = serve(move |call| {
        let kind = if call.line.contains("/image") { "image/png" } else { "application/json" };
        response("200 OK", &[("content-type", kind), ("etag", "\"a\"")], sent.as_bytes())
    });
    let folder = Folder::new();
    let file = folder.write(
        "crossfade.yaml",
        format!(
            "{{version: 1, backends: {{a: 'http://{address}'}}, routes: [{{name: plain, priority: 1, conditions: \
             {{path: /plain}}, forward: a, compress: false}}], default: {{forward: a, requestHeaders: {{remove: \
             accept-encoding}}}}}}"
        ),
    );
    let function = Function::start(&[("CROSSFADE_CONFIG", &file)]);
    for (path, accepted, status) in [
        ("/", "gzip", 200),
        ("/", "br, *;q=0.1", 200),
        ("/", "br", 502),
        ("/", "gzip;q=0", 502),
        ("/plain", "gzip", 502),
        ("/image", "gzip", 502),
    ] {
        let mut event = event("GET", path);
        event["headers"]["accept-encoding"] = json!(accepted);
        let reply = function.invoke(&event).json();
        assert_eq!(reply["statusCode"], status, "{path} {accepted}");
        if status == 200 {
            let fields = &reply["headers"];
            assert_eq!((&fields["content-encoding"], &fields["etag"]), (&json!("gzip"), &json!("W/\"a\"")));
            assert_eq!(fields["vary"], "accept-encoding");
            let content = base64_simd::STANDARD.decode_to_vec(reply["body"].as_str().unwrap()).unwrap();
            let mut decoded = String::new();
            flate2::read::GzDecoder::new(&content[..]).read_to_string(&mut decoded).unwrap();
            assert!(decoded == text);
        } else {
            let why = reply["headers"]["proxy-status"].as_str().unwrap();
            assert!(why.ends_with("; send it compressed, in pages, or past the proxy\""), "{why}");
        }
    }
    assert!(function.log(1)[0]["response_bytes"].as_u64().unwrap() < 100_000);
}

#[test] // Lambda would answer 502 without a reason
fn the_answer_is_out_before_the_deadline() {
    let address = serve(|_| {
        std::thread::sleep(Duration::from_secs(3600));
        Vec::new()
    });
    let function = Function::start(&[("CROSSFADE_BACKEND", &format!("http://{address}"))]);
    function.give(event("GET", "/").to_string(), Duration::from_millis(600), "202 Accepted");
    let posted = function.posted();
    assert_eq!(posted.json()["statusCode"], 504);
    assert_eq!(posted.json()["headers"]["proxy-status"], "crossfade; error=http_response_timeout");
    let total = function.log(1)[0]["total_ms"].as_f64().unwrap();
    assert!((300.0..600.0).contains(&total), "{total} ms of 600");
}

#[test]
fn a_refused_reply_is_survived() {
    let (url, _) = back_end();
    let function = Function::start(&[("CROSSFADE_BACKEND", &url)]);
    for verdict in ["410 Gone", "400 Bad Request", "413 Too Large"] {
        function.give(event("GET", "/").to_string(), Duration::from_secs(10), verdict);
        function.posted();
    }
    assert_eq!(function.invoke(&event("GET", "/")).json()["statusCode"], 200);
    let refused = function.log(7).iter().filter(|line| line["type"] == "error").count();
    assert_eq!(refused, 3);
}

#[test]
fn a_container_error_ends_the_process() {
    let (url, _) = back_end();
    let mut function = Function::start(&[("CROSSFADE_BACKEND", &url)]);
    function.give(event("GET", "/").to_string(), Duration::from_secs(10), "500 Container Error");
    function.posted();
    assert_eq!(function.wait().code(), Some(1));
}

#[test]
fn a_lane_that_fails_is_logged_at_once_and_ends_the_process_when_the_others_have_answered() {
    let (release, released) = std::sync::mpsc::channel::<()>();
    let (ask, asked) = std::sync::mpsc::channel::<String>();
    let (ask, gate) = (Mutex::new(ask), Mutex::new(released));
    let address = serve(move |call| {
        ask.lock().unwrap().send(call.line.clone()).unwrap();
        if call.line.starts_with("GET /held ") {
            let _ = gate.lock().unwrap().recv_timeout(support::PATIENCE);
        }
        response("200 OK", &[], b"ok")
    });
    let url = format!("http://{address}");
    let mut function = Function::start(&[("CROSSFADE_BACKEND", &url), ("AWS_LAMBDA_MAX_CONCURRENCY", "3")]);
    function.give(event("GET", "/held").to_string(), Duration::from_secs(10), "202 Accepted");
    assert_eq!(asked.recv_timeout(support::PATIENCE).unwrap(), "GET /held HTTP/1.1");
    function.give(event("GET", "/fails").to_string(), Duration::from_secs(10), "500 Container Error");
    function.posted();
    assert_eq!(asked.recv_timeout(support::PATIENCE).unwrap(), "GET /fails HTTP/1.1");
    // Said while the other lane is still at work; the third, which waits for an event, ends without one.
    let log = function.log(2);
    assert!(log[1]["message"].as_str().unwrap().contains("answered 500 to response"), "{log:?}");
    assert_eq!(function.child.try_wait().unwrap(), None);
    release.send(()).unwrap();
    assert_eq!(function.posted().json()["body"], "ok");
    assert_eq!(function.wait().code(), Some(1));
    assert!(asked.try_recv().is_err());
}

#[test]
fn the_runtime_api_is_no_back_end_however_its_address_is_written() {
    for (own, back_end) in [
        ("http://127.0.0.1:PORT/", "http://127.0.0.1:PORT"),
        ("127.0.0.1:PORT/", "http://localhost:PORT"),
        ("http://localhost:PORT", "http://127.0.0.1:PORT"),
        ("HTTP://LOCALHOST:PORT/", "http://127.0.0.2:PORT"),
        ("127.1:PORT", "http://localhost:PORT"),
    ] {
        let function = Function::start_named(own, &[("CROSSFADE_BACKEND", back_end)]);
        // Refused where it is written, or where it resolves to it.
        if !back_end.contains("localhost") {
            let posted = function.posted().json();
            assert!(
                posted["errorMessage"].as_str().unwrap().contains("belongs to the Lambda Runtime API"),
                "{own} {posted}"
            );
        } else {
            let reply = function.invoke(&event("GET", "/2018-06-01/runtime/invocation/next")).json();
            assert_eq!(reply["headers"]["proxy-status"], "crossfade; error=destination_ip_prohibited", "{own}");
        }
    }
}

#[test]
fn sigterm_ends_the_process_cleanly() {
    let (url, _) = back_end();
    let mut function = Function::start(&[("CROSSFADE_BACKEND", &url)]);
    function.invoke(&event("GET", "/"));
    function.child.signal(Signal::TERM);
    assert_eq!(function.wait().code(), Some(0));
}

#[test]
fn concurrent_invocations_share_the_process() {
    // The back end answers the second request first: with one invocation at a time that would never come.
    let (first, released) = std::sync::mpsc::channel::<()>();
    let gate = Mutex::new(released);
    let address = serve(move |call| {
        if call.line.starts_with("GET /first ") {
            gate.lock().unwrap().recv_timeout(support::PATIENCE).unwrap();
        } else {
            first.send(()).unwrap();
        }
        response("200 OK", &[], call.line.as_bytes())
    });
    let url = format!("http://{address}");
    let function = Function::start(&[("CROSSFADE_BACKEND", &url), ("AWS_LAMBDA_MAX_CONCURRENCY", "2")]);
    function.give(event("GET", "/first").to_string(), Duration::from_secs(10), "202 Accepted");
    function.give(event("GET", "/second").to_string(), Duration::from_secs(10), "202 Accepted");
    let mut bodies = [function.posted().json()["body"].clone(), function.posted().json()["body"].clone()];
    bodies.sort_by_key(ToString::to_string);
    assert_eq!(bodies, [json!("GET /first HTTP/1.1"), json!("GET /second HTTP/1.1")]);
}

#[test]
fn mistakes_in_the_configuration_are_init_errors() {
    let folder = Folder::new();
    let config = folder.write(
        "crossfade.yaml",
        "version: 1\nbackends: { a: { url: https://a.example, tls: { caFile: no.pem } } }\ndefault: { forward: a }\n",
    );
    let broken = folder.write("broken.yaml", "version: 1\nbackends: { a: a.example }\ndefault: { forward: b }\n");
    for (name, value, message) in [
        (
            "CROSSFADE_BACKEND",
            "shop.example.com",
            "CROSSFADE_BACKEND: the URL has no scheme\n   hint: write https://host",
        ),
        (
            "CROSSFADE_BACKEND",
            "https://user:hunter2@a.example",
            "CROSSFADE_BACKEND: the URL must not have a user name\n",
        ),
        (
            "CROSSFADE_CONFIG",
            &config,
            "crossfade.yaml:2:57: `backends.a.tls.caFile`: cannot read `no.pem`: No such file",
        ),
        ("CROSSFADE_CONFIG", &broken, "unknown back end `b`"),
        ("CROSSFADE_CONFIG", "/nonexistent/x.yaml", "cannot read `/nonexistent/x.yaml`: No such file"),
        ("NOTHING", "", "no configuration: set `CROSSFADE_BACKEND="),
    ] {
        let mut function = Function::start(&[(name, value)]);
        let posted = function.posted();
        assert_eq!(posted.line, "POST /2018-06-01/runtime/init/error HTTP/1.1");
        assert_eq!(posted.field("lambda-runtime-function-error-type"), Some("Crossfade.Configuration"));
        let text = posted.json()["errorMessage"].as_str().unwrap().to_owned();
        assert!(text.contains(message), "{text}");
        assert_eq!(function.wait().code(), Some(1));
    }
}

#[test]
fn certificates_are_found_beside_the_configuration() {
    let folder = Folder::new();
    folder.write("ca.pem", "no certificate");
    let config = folder.write(
        "crossfade.yaml",
        "version: 1\nbackends: { a: { url: https://a.example, tls: { caFile: ca.pem } } }\ndefault: { forward: a }\n",
    );
    let function = Function::start(&[("CROSSFADE_CONFIG", &config)]);
    let message = function.posted().json()["errorMessage"].as_str().unwrap().to_owned();
    assert_eq!(message, "ca.pem: no certificate in it; a PEM file with `BEGIN CERTIFICATE` blocks is expected");
}

#[test]
fn started_by_hand_it_says_what_to_do() {
    let output = Command::new(env!("CARGO_BIN_EXE_bootstrap")).env_clear().output().unwrap();
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stdout).contains("crossfade dev"));
}

/// Of requests that go well a share is logged, of those with a failure all.
#[test]
fn the_access_log_can_be_reduced_and_has_every_failure() {
    let answers = serve(|call| match call.target() {
        "/503" => response("503 Service Unavailable", &[], b""),
        "/404" => response("404 Not Found", &[], b""),
        _ => response("200 OK", &[], b"ok"),
    });
    let folder = Folder::new();
    let config = |keys: &str| {
        folder.write(
            "crossfade.yaml",
            format!(
                "version: 1\nbackends: {{ a: http://{answers}, dead: http://127.0.0.1:1 }}\nroutes:\n  \
                 - {{ name: failover, priority: 1, conditions: {{ path: [/failover] }}, \
                 forward: {{ targets: [dead], failover: {{ on: connectError, to: a }} }} }}\n  \
                 - {{ name: dead, priority: 2, conditions: {{ path: [/dead] }}, forward: dead }}\n\
                 default: {{ forward: a }}\n{keys}\n"
            ),
        )
    };
    let logged = |keys: &str, share: &str, paths: &[&str]| -> Vec<(String, Option<u64>)> {
        let (file, end) = (config(keys), "/503");
        let function = Function::start(&[("CROSSFADE_CONFIG", &file), ("CROSSFADE_ACCESS_LOG", share)]);
        for path in paths.iter().chain([&end]) {
            function.invoke(&event("GET", path));
        }
        // The last one is always logged, after the others.
        let lines = function.log_until(|lines| lines.last().is_some_and(|line| line["path"] == end));
        let of = |line: &Value| (line["path"].as_str().unwrap().to_owned(), line["weight"].as_u64());
        let mut lines: Vec<_> = lines.iter().map(of).collect();
        assert_eq!(lines.pop(), Some((end.to_owned(), None)), "a failure stands for itself");
        lines
    };
    let all = ["/a", "/404", "/failover", "/dead"];
    let failures = ["/failover", "/dead"];
    for (keys, share, expected) in [
        ("", "", &all[..]),
        ("accessLog: true", "", &all),
        ("accessLog: false", "", &failures),
        ("accessLog: { percent: 0 }", "", &failures),
        ("accessLog: false", "100", &all),
        ("", "0", &failures),
    ] {
        let expected: Vec<_> = expected.iter().map(|path| ((*path).to_owned(), None)).collect();
        assert_eq!(logged(keys, share, &all), expected, "{keys} {share}");
    }
    let some = logged("accessLog: { percent: 25 }", "", &["/a"; 400]);
    assert!((50..150).contains(&some.len()), "{} of 400", some.len());
    assert!(some.iter().all(|(_, weight)| *weight == Some(4)), "{some:?}");

    let function = Function::start(&[("CROSSFADE_BACKEND", "http://127.0.0.1:1"), ("CROSSFADE_ACCESS_LOG", "some")]);
    let posted = function.posted();
    assert!(posted.line.ends_with("/init/error HTTP/1.1"), "{}", posted.line);
    let message = posted.json()["errorMessage"].as_str().unwrap().to_owned();
    assert!(message.contains("`CROSSFADE_ACCESS_LOG` is not a percentage from 0 to 100"), "{message}");
}
