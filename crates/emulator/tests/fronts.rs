//! Whole exchanges through the front ends besides the load balancer: one file each in `tests/fronts/`.
//!
//! A file has `front:`, `source:` (where it is known from that AWS does so), and optional lines: `stage:`, `base-path:`,
//! `cors:` (origins), `routes:` (such as `GET /a, ANY /b/{id}`), `binary:` (media types), `stream: yes`. Then `=== request` and `=== reply` as in
//! `support::cases`; the rest is written with `BLESS=1`.

use crossfade_emulator::{BasePath, Cors, Endpoint, EndpointKind, Exchange, Route};
use serde_json::Value;

use crate::support::cases::{self, Case};
use crate::support::{self, Alb};

#[test]
fn whole_exchanges_are_as_with_each_front_end() {
    cases::each("fronts", 30, |case| {
        assert!(case.value("source").is_some(), "{}: no source", case.file.display());
        let mut settings = support::endpoint(endpoint(case));
        settings.keep_messages = true;
        let instruction = match case.reply.as_str() {
            "" => "",
            reply if case.value("stream").is_some() && !reply.contains("\"statusCode\": 299") => "x-stream",
            _ => "x-reply",
        };
        exchange(&mut Alb::start(settings), &case.with_instruction(instruction))
    });
}

fn endpoint(case: &Case<'_>) -> Endpoint {
    let mut endpoint = Endpoint::new(EndpointKind::of_name(case.value("front").unwrap()).unwrap(), 0);
    if let Some(stage) = case.value("stage") {
        (endpoint.stage, endpoint.base) = (stage.to_owned(), BasePath::Stage);
    }
    if let Some(base) = case.value("base-path") {
        endpoint.base = if base == "/" { BasePath::Root } else { BasePath::Mapping(base.to_owned()) };
    }
    if let Some(routes) = case.value("routes") {
        let route = |route: &str| {
            let (method, path) = route.split_once(' ').unwrap_or(("ANY", route));
            Route { method: method.to_owned(), path: path.to_owned(), ..Route::all(0) }
        };
        endpoint.routes = routes.split(", ").map(route).collect();
    }
    let list = |texts: &str| texts.split(' ').map(str::to_owned).collect::<Vec<_>>();
    endpoint.cors = case.value("cors").map(|origins| Cors {
        allow_origins: list(origins),
        allow_methods: list("GET POST"),
        allow_headers: list("content-type x-own"),
        expose_headers: list("x-page"),
        max_age: Some(60),
        allow_credentials: !origins.contains("* "),
    });
    endpoint.binary_media_types =
        case.value("binary").iter().flat_map(|types| types.split(", ")).map(str::to_owned).collect();
    endpoint.routes.iter_mut().for_each(|route| route.streamed = case.value("stream").is_some());
    endpoint
}

/// Event, what is told, and the response. The function answers what a field tells it to, which is left out of the event.
fn exchange(alb: &mut Alb, request: &[u8]) -> String {
    let mut client = alb.connect();
    client.write(request);
    let response = if request.starts_with(b"HEAD") { client.read_bodyless() } else { client.read() };
    let told = alb.exchange();
    let mut out = match told.messages.as_ref().and_then(|messages| messages.event.clone()) {
        Some(event) => serde_json::to_string_pretty(&normal(serde_json::from_slice(&event).unwrap())).unwrap(),
        None => "none".to_owned(),
    };
    out += "\n=== told\n";
    for line in told.route.iter().map(|route| format!("route: {route}")).chain(told.problem.clone()) {
        out += &format!("{line}\n");
    }
    for warning in &told.warnings {
        out += &format!("warning: {warning}\n");
    }
    out += "=== response\n";
    for line in response.head.lines() {
        out += &normal_line(line, &told);
        out += "\n";
    }
    out += &response.body.escape_ascii().to_string();
    if !out.ends_with('\n') {
        out += "\n";
    }
    // `127.0.0.1:PORT` is in an event only as the port.
    out.replace(&format!("\"{}\"", alb.address.port()), "\"PORT\"")
}

/// Without what differs from run to run.
fn normal(mut value: Value) -> Value {
    const CHANGING: [&str; 7] =
        ["requestId", "extendedRequestId", "requestTime", "requestTimeEpoch", "time", "timeEpoch", "x-reply"];
    match &mut value {
        Value::Object(members) => {
            members.retain(|name, _| name != "x-reply" && name != "x-stream");
            for (name, member) in members.iter_mut() {
                if CHANGING.contains(&name.as_str()) {
                    *member = "CHANGES".into();
                } else if name.eq_ignore_ascii_case("x-amzn-trace-id") {
                    *member = "TRACE".into();
                } else {
                    *member = normal(member.take());
                }
            }
        }
        Value::Array(members) => members.iter_mut().for_each(|member| *member = normal(member.take())),
        _ => {}
    }
    value
}

fn normal_line(line: &str, told: &Exchange) -> String {
    const CHANGING: [&str; 4] = ["x-amzn-requestid: ", "x-amz-apigw-id: ", "apigw-requestid: ", "date: "];
    if let Some(name) = CHANGING.into_iter().find(|name| line.starts_with(*name)) {
        return format!("{name}CHANGES");
    }
    match line.strip_prefix("x-amzn-trace-id: ") {
        Some(trace) => {
            assert_eq!(trace, told.trace_id);
            "x-amzn-trace-id: TRACE".to_owned()
        }
        None => line.to_owned(),
    }
}

#[test]
fn what_the_fields_of_a_request_may_take_up_is_limited() {
    for (kind, status) in [("rest-api", 431), ("http-api", 431), ("function-url", 200), ("lattice", 200)] {
        let mut alb = Alb::start(support::endpoint(Endpoint::new(EndpointKind::of_name(kind).unwrap(), 0)));
        let response = alb.get("/", &format!("x-large: {}\r\n", "x".repeat(10_300)));
        assert_eq!(response.status, status, "{kind}");
        assert_eq!(alb.exchange().front, kind);
    }
}

#[test]
fn requests_that_are_too_large_are_413_and_never_reach_the_function() {
    for (kind, body, text) in [
        ("rest-api", "Request Too Long", true),
        ("http-api", "Request Entity Too Large", true),
        ("function-url", "Request Entity Too Large", true),
        ("http-api", "Request Entity Too Large", false),
    ] {
        let mut alb = Alb::start(support::endpoint(Endpoint::new(EndpointKind::of_name(kind).unwrap(), 0)));
        // As text, the event is over 6 MB by its envelope alone; as base64, 4.5 MiB are enough.
        let (content_type, length) =
            if text { ("text/plain", 6 * 1024 * 1024) } else { ("application/pdf", 4_719_000) };
        let head =
            format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-type: {content_type}\r\ncontent-length: {length}\r\n\r\n");
        let mut request = head.into_bytes();
        request.extend(std::iter::repeat_n(b'x', length));
        let response = alb.send(request);
        assert_eq!((response.status, response.json()["message"].as_str()), (413, Some(body)), "{kind}");
        assert_eq!(alb.exchange().environment, None);
        let declared = alb.send(format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {}\r\n\r\n", 11 << 20));
        assert_eq!(declared.status, 413, "{kind}");
    }
}

#[test]
fn a_function_that_fails_has_each_service_s_status_and_text() {
    for (kind, expected) in [
        ("rest-api", r#"502 {"message": "Internal server error"}"#),
        ("http-api", r#"500 {"message":"Internal Server Error"}"#),
        ("http-api-1.0", r#"500 {"message":"Internal Server Error"}"#),
        ("function-url", "502 Internal Server Error"),
        ("lattice", "502 "),
    ] {
        let mut settings = support::endpoint(Endpoint::new(EndpointKind::of_name(kind).unwrap(), 0));
        settings.functions[0].timeout = std::time::Duration::from_secs(1);
        let alb = Alb::start(settings);
        for path in ["/error", "/crash", "/sleep/20000", "/huge"] {
            let response = alb.get(path, "");
            assert_eq!(format!("{} {}", response.status, response.text()), expected, "{kind} {path}");
        }
        assert_eq!(alb.get("/", "").status, 200, "{kind}");
    }
}

#[test]
fn throttling_has_each_service_s_status() {
    for (kind, status) in [("rest-api", 500), ("http-api", 503), ("function-url", 429), ("lattice", 502)] {
        let mut settings = support::endpoint(Endpoint::new(EndpointKind::of_name(kind).unwrap(), 0));
        (settings.functions[0].max_concurrency, settings.functions[0].reserved_by) = (0, Some("--max-concurrency"));
        assert_eq!(Alb::start(settings).get("/", "").status, status, "{kind}");
    }
}

#[test]
fn an_api_does_not_wait_for_the_function_s_own_timeout() {
    for (kind, status) in [("rest-api", 504), ("http-api", 503), ("http-api-1.0", 503)] {
        let mut endpoint = Endpoint::new(EndpointKind::of_name(kind).unwrap(), 0);
        endpoint.routes.iter_mut().for_each(|route| route.timeout = Some(std::time::Duration::from_millis(300)));
        let mut alb = Alb::start(support::endpoint(endpoint));
        let response = alb.get("/sleep/1500", "");
        assert_eq!(response.status, status, "{kind}: {}", response.text());
        let problem = alb.exchange().problem.unwrap();
        assert_eq!(problem, "the function did not respond within the 0.3 s that the API waits");
    }
}
