//! Streamed responses: from the Runtime API to the client, as they arrive.

use std::time::{Duration, Instant};

use crossfade_emulator::{Endpoint, EndpointKind};

use crate::support::{self, Alb};

/// At full speed.
fn endpoint(kind: EndpointKind) -> Endpoint {
    let mut endpoint = Endpoint::new(kind, 0);
    endpoint.routes.iter_mut().for_each(|route| route.streamed = true);
    endpoint.stream_rate = None;
    endpoint
}

fn streaming(kind: EndpointKind) -> Alb {
    Alb::start(support::endpoint(endpoint(kind)))
}

/// Both services that stream.
const BOTH: [EndpointKind; 2] = [EndpointKind::FunctionUrl, EndpointKind::RestApi];

#[test]
fn bytes_reach_the_client_while_the_function_still_writes() {
    for kind in BOTH {
        let mut alb = streaming(kind);
        alb.get(
            "/",
            r#"x-stream: {"prelude":{"statusCode":200},"pieces":["warm"]}
"#,
        );
        let mut client = alb.connect();
        let script = r#"{"prelude":{"statusCode":201,"headers":{"content-type":"text/event-stream"},"cookies":["a=1","b=2"]},"pieces":["one",2000,"two"]}"#;
        let began = Instant::now();
        client.write(format!("GET /events HTTP/1.1\r\nhost: a\r\nx-stream: {script}\r\n\r\n"));
        let mut seen = String::new();
        while !seen.contains("one") {
            seen += &String::from_utf8(client.read_some().unwrap()).unwrap();
        }
        assert!(began.elapsed() < Duration::from_millis(1500), "{kind:?}");
        assert!(seen.starts_with("HTTP/1.1 201 Created\r\n"), "{seen}");
        for line in
            ["content-type: text/event-stream", "set-cookie: a=1", "set-cookie: b=2", "transfer-encoding: chunked"]
        {
            assert!(seen.contains(&format!("\r\n{line}\r\n")), "{line}: {seen}");
        }
        while !seen.ends_with("3\r\ntwo\r\n0\r\n\r\n") {
            seen += &String::from_utf8(client.read_some().unwrap()).unwrap();
        }
        alb.exchange();
        let exchange = alb.exchange();
        assert_eq!((exchange.status, exchange.response_bytes, exchange.problem), (201, 6, None));
        // The connection and the environment are of further use.
        client.write("GET / HTTP/1.1\r\nhost: a\r\nx-stream: {\"prelude\":{},\"pieces\":[\"x\"]}\r\n\r\n");
        let next = client.read();
        assert_eq!((next.status, next.body.as_slice()), (200, &b"x"[..]));
        assert_eq!(alb.exchange().environment, exchange.environment);
    }
}

#[test]
fn a_declared_length_is_kept_and_an_old_client_gets_no_chunks() {
    let alb = streaming(EndpointKind::FunctionUrl);
    let script = r#"{"prelude":{"headers":{"content-length":"6"}},"pieces":["abc","def"]}"#;
    let response = alb.get("/", &format!("x-stream: {script}\r\n"));
    assert!(response.head.contains("content-length: 6\r\n") && !response.head.contains("chunked"), "{}", response.head);
    assert_eq!(response.body, b"abcdef");
    let mut client = alb.connect();
    client.write("GET / HTTP/1.0\r\nhost: a\r\nx-stream: {\"prelude\":{},\"pieces\":[\"abc\"]}\r\n\r\n");
    let all = String::from_utf8(client.read_all()).unwrap();
    assert!(all.ends_with("\r\n\r\nabc") && all.contains("connection: close"), "{all}");
}

#[test]
fn a_response_that_breaks_off_does_not_look_whole() {
    for (script, problem) in [
        (r#"{"prelude":{},"pieces":["abc"],"error":true}"#, "the function reported an error: Odd: it broke off"),
        (
            r#"{"prelude":{},"pieces":["abc",200,"EXIT"]}"#,
            "the function's connection closed before it had sent the whole response",
        ),
    ] {
        for kind in BOTH {
            let mut alb = streaming(kind);
            let mut client = alb.connect();
            client.write(format!("GET / HTTP/1.1\r\nhost: a\r\nx-stream: {script}\r\n\r\n"));
            let all = String::from_utf8(client.read_all()).unwrap();
            assert!(all.starts_with("HTTP/1.1 200") && all.ends_with("3\r\nabc\r\n"), "{all}");
            assert_eq!(alb.exchange().problem.as_deref(), Some(problem));
        }
    }
}

#[test]
fn the_function_s_timeout_ends_a_stream() {
    let mut settings = support::endpoint(endpoint(EndpointKind::FunctionUrl));
    settings.functions[0].timeout = Duration::from_secs(1);
    let mut alb = Alb::start(settings);
    let mut client = alb.connect();
    client.write("GET / HTTP/1.1\r\nhost: a\r\nx-stream: {\"prelude\":{},\"pieces\":[\"abc\",30000,\"def\"]}\r\n\r\n");
    let all = String::from_utf8(client.read_all()).unwrap();
    assert!(all.ends_with("3\r\nabc\r\n"), "{all}");
    let problem = alb.exchange().problem.unwrap();
    assert_eq!(problem, "the function did not respond within its timeout of 1 s; its process was killed");
    // The next request gets another environment.
    assert_eq!(alb.get("/", "x-stream: {\"prelude\":{},\"pieces\":[]}\r\n").status, 200);
    assert!(alb.exchange().cold);
}

#[test]
fn a_client_that_leaves_does_not_stop_the_function() {
    let mut alb = streaming(EndpointKind::FunctionUrl);
    let mut client = alb.connect();
    client.write("GET / HTTP/1.1\r\nhost: a\r\nx-stream: {\"prelude\":{},\"pieces\":[\"abc\",1000,\"def\"]}\r\n\r\n");
    let _ = client.read_some().unwrap();
    drop(client);
    let problem = alb.exchange().problem.unwrap();
    assert_eq!(problem, "the client closed the connection before it had the whole response");
    assert_eq!(alb.line("streamed: "), "202 ok");
}

#[test]
fn a_large_response_is_never_whole_in_memory_and_a_slow_client_slows_the_function_down() {
    let mut alb = streaming(EndpointKind::FunctionUrl);
    // 32 MiB, of which the kernel's buffers hold a part.
    let mut client = alb.connect();
    let text = "0123456789abcdef".repeat(4);
    client.write(format!(
        "GET / HTTP/1.1\r\nhost: a\r\nx-stream: {{\"prelude\":{{}},\"pieces\":[[\"{text}\",512]]}}\r\n\r\n"
    ));
    std::thread::sleep(Duration::from_millis(700));
    assert!(!alb.has_seen(|notice| matches!(notice, crossfade_emulator::Notice::Exchange(_))));
    let response = client.read();
    assert_eq!(response.body.len(), 32 << 20);
    assert_eq!(alb.exchange().response_bytes, 32 << 20);
}

#[test]
fn the_mode_of_both_sides_must_agree() {
    // Streamed to a service that is set to whole responses.
    for (kind, status) in [
        (EndpointKind::RestApi, 502),
        (EndpointKind::HttpApi, 500),
        (EndpointKind::FunctionUrl, 502),
        (EndpointKind::Lattice, 502),
        (EndpointKind::Lattice1, 502),
    ] {
        let mut alb = Alb::start(support::endpoint(Endpoint::new(kind, 0)));
        assert_eq!(alb.get("/", "x-stream: {\"prelude\":{},\"pieces\":[\"a\"]}\r\n").status, status, "{kind:?}");
        assert!(alb.exchange().problem.unwrap().contains("turn streaming on in both"));
    }
    // Whole, where a stream is expected: a function URL passes on the JSON, a REST API rejects it.
    let reply = r#"{"statusCode":404,"body":"a"}"#;
    let url = streaming(EndpointKind::FunctionUrl).get("/", &format!("x-reply: {reply}\r\n"));
    assert_eq!((url.status, url.text()), (200, reply));
    assert_eq!(streaming(EndpointKind::RestApi).get("/", &format!("x-reply: {reply}\r\n")).status, 502);
}

#[test]
fn a_prelude_is_checked_and_a_function_url_does_without() {
    let alb = streaming(EndpointKind::FunctionUrl);
    let plain = alb.get("/", "x-stream: {\"type\":\"text/plain\",\"pieces\":[\"a\",\"b\"]}\r\n");
    assert_eq!((plain.status, plain.text()), (200, "ab"));
    assert!(plain.head.contains("content-type: text/plain\r\n"), "{}", plain.head);
    let mut rest = streaming(EndpointKind::RestApi);
    for (script, problem) in [
        (r#"{"type":"text/plain","pieces":["a"]}"#, "it ends before its prelude does"),
        (r#"{"prelude":{"body":"a"},"pieces":[]}"#, "its prelude has the unknown member `body`"),
        (r#"{"pieces":["no json\u0000\u0000\u0000\u0000\u0000\u0000\u0000\u0000a"]}"#, "its prelude is not JSON"),
        (r#"{"pieces":[["xxxxxxxxxxxxxxxx",2]]}"#, "its prelude does not end within 16384 bytes"),
    ] {
        assert_eq!(rest.get("/", &format!("x-stream: {script}\r\n")).status, 502, "{script}");
        let told = rest.exchange().problem.unwrap();
        assert!(told.contains(problem), "{told}");
    }
}

#[test]
fn a_response_over_200_mb_is_cut_off() {
    let mut settings = support::endpoint(endpoint(EndpointKind::FunctionUrl));
    settings.functions[0].memory_mib = 1024;
    let mut alb = Alb::start(settings);
    let mut client = alb.connect();
    let text = "0123456789abcdef".repeat(64);
    client.write(format!(
        "GET / HTTP/1.1\r\nhost: a\r\nx-stream: {{\"prelude\":{{}},\"pieces\":[[\"{text}\",202]]}}\r\n\r\n"
    ));
    let received = client.read_all();
    assert!(received.len() > 190 << 20 && received.len() < 202 << 20, "{}", received.len());
    let problem = alb.exchange().problem.unwrap();
    assert_eq!(problem, "the function's response is larger than Lambda's limit of 209715200 bytes");
    assert_eq!(alb.line("streamed: "), "413 RequestEntityTooLarge");
}

#[test]
fn beyond_its_first_megabytes_a_response_is_slow() {
    for (kind, burst) in [(EndpointKind::FunctionUrl, 6), (EndpointKind::RestApi, 10)] {
        let alb = Alb::start(support::endpoint(Endpoint { stream_rate: Some(2 << 20), ..endpoint(kind) }));
        let text = "0123456789abcdef".repeat(64);
        let seconds = |mebibytes: usize| {
            let script = format!("{{\"prelude\":{{}},\"pieces\":[[\"{text}\",{mebibytes}]]}}");
            let began = Instant::now();
            assert_eq!(alb.get("/", &format!("x-stream: {script}\r\n")).body.len(), mebibytes << 20);
            began.elapsed().as_secs_f64()
        };
        let (free, paced) = (seconds(burst), seconds(burst + 3));
        assert!(free < 1.4 && paced >= 1.4, "{kind:?}: {free} {paced}");
    }
}
