//! Attributes of load balancer and listener that alter traffic.

use crossfade_emulator::{Classification, Settings};
use crossfade_event::HeaderMode;

use crate::support::{Alb, settings};

fn with(attributes: &[(&str, &str)]) -> Alb {
    let mut settings = settings(HeaderMode::Multi);
    for (key, value) in attributes {
        set(&mut settings, key, value);
    }
    Alb::start(settings)
}

fn set(settings: &mut Settings, key: &str, value: &str) {
    let known =
        settings.load_balancer.set(key, value).unwrap() || settings.listeners[0].attributes.set(key, value).unwrap();
    assert!(known, "{key}");
}

fn fields(alb: &Alb, fields: &str) -> serde_json::Value {
    alb.get("/", fields).json()["multiValueHeaders"].clone()
}

#[test]
fn forwarded_for_is_appended_preserved_or_removed() {
    let sent = "X-Forwarded-For: 192.0.2.1\r\nX-Forwarded-For: 192.0.2.2\r\nX-Forwarded-Proto: https\r\nX-Forwarded-Port: 1\r\n";
    let mode = |mode| with(&[("routing.http.xff_header_processing.mode", mode)]);
    let alb = mode("append");
    let got = fields(&alb, sent);
    assert_eq!(got["x-forwarded-for"], serde_json::json!(["192.0.2.1, 192.0.2.2, 127.0.0.1"]));
    assert_eq!(got["x-forwarded-proto"][0], "http");
    assert_eq!(got["x-forwarded-port"][0], alb.address.port().to_string());
    assert_eq!(fields(&mode("preserve"), sent)["x-forwarded-for"], serde_json::json!(["192.0.2.1", "192.0.2.2"]));
    assert_eq!(fields(&mode("preserve"), "").get("x-forwarded-for"), None);
    assert_eq!(fields(&mode("remove"), sent).get("x-forwarded-for"), None);

    let alb = with(&[("routing.http.xff_client_port.enabled", "true")]);
    let got = fields(&alb, "");
    let address = got["x-forwarded-for"][0].as_str().unwrap();
    assert!(address.strip_prefix("127.0.0.1:").unwrap().parse::<u16>().is_ok(), "{address}");
}

#[test]
fn the_port_of_host_depends_on_the_listener_unless_it_is_preserved() {
    let host = |port: Option<u16>, preserve: &str, sent: &str| {
        let mut settings = settings(HeaderMode::Single);
        settings.listeners[0].port = port;
        set(&mut settings, "routing.http.preserve_host_header.enabled", preserve);
        let alb = Alb::start(settings);
        let sent = sent.replace("PORT", &alb.address.port().to_string());
        let event = alb.send(format!("GET / HTTP/1.1\r\nHost: {sent}\r\n\r\n")).json();
        event["headers"]["host"].as_str().unwrap().replace(&alb.address.port().to_string(), "PORT")
    };
    assert_eq!(host(Some(443), "false", "Shop.example.com:PORT"), "Shop.example.com");
    assert_eq!(host(Some(8443), "false", "shop.example.com"), "shop.example.com:8443");
    assert_eq!(host(Some(443), "true", "shop.example.com:PORT"), "shop.example.com:PORT");
    // Where the port in AWS is not known, links that a function makes of it shall work here.
    assert_eq!(host(None, "false", "shop.example.com:PORT"), "shop.example.com:PORT");
}

#[test]
fn invalid_field_names_are_dropped_if_asked_for() {
    let sent = "x_under: 1\r\nx-fine: 2\r\n";
    assert_eq!(fields(&with(&[]), sent)["x_under"][0], "1");
    let mut alb = with(&[("routing.http.drop_invalid_header_fields.enabled", "true")]);
    let got = fields(&alb, sent);
    assert_eq!((got.get("x_under"), got["x-fine"][0].as_str()), (None, Some("2")));
    assert!(alb.exchange().warnings[0].starts_with("field `x_under` was dropped"));
}

#[test]
fn response_fields_are_inserted_over_the_function_s_own() {
    let alb = with(&[
        ("routing.http.response.strict_transport_security.header_value", "max-age=1"),
        ("routing.http.response.x_frame_options.header_value", "DENY"),
        ("routing.http.response.server.enabled", "false"),
    ]);
    let reply = r#"{"statusCode":200,"multiValueHeaders":{"x-frame-options":["SAMEORIGIN","X"]}}"#;
    let response = alb.get("/", &format!("x-reply: {reply}\r\n"));
    assert_eq!(response.field("strict-transport-security"), Some("max-age=1"));
    let frames: Vec<&str> = response.head.lines().filter(|line| line.starts_with("x-frame-options")).collect();
    assert_eq!((frames, response.field("server")), (vec!["x-frame-options: DENY"], None));
    // Also in what the load balancer says itself.
    let refused = alb.send("TRACE / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!((refused.field("x-frame-options"), refused.field("server")), (Some("DENY"), None));
}

/// Status of a request in each mode, and whether its connection is closed after it.
#[track_caller]
fn desync(request: &str, outcomes: [(u16, bool); 3], tier: &'static str, reason: &str) {
    for (mode, expected) in ["monitor", "defensive", "strictest"].into_iter().zip(outcomes) {
        let mut alb = with(&[("routing.http.desync_mitigation_mode", mode)]);
        let mut client = alb.connect();
        client.write(request.as_bytes());
        let response = client.read();
        let closes = response.field("connection") == Some("close");
        assert_eq!((response.status, closes), expected, "{mode} {request:?}");
        assert_eq!(closes, closes && client.is_closed());
        let reason = (!reason.is_empty()).then(|| reason.to_owned());
        assert_eq!(alb.exchange().classification, Some(Classification { tier, reason }), "{request:?}");
    }
}

// What two servers may read differently.
#[test]
fn ambiguous_requests_pass_are_the_last_or_are_refused() {
    let (pass, last, refused) = ((200, false), (200, true), (400, true));
    desync("GET / HTTP/1.1\r\nHost: a\r\n\r\n", [pass, pass, pass], "Compliant", "");
    desync("GET /a b HTTP/1.1\r\nHost: a\r\n\r\n", [pass, pass, refused], "Acceptable", "SpaceInUri");
    desync("GET / HTTP/1.1\nHost: a\n\n", [pass, pass, refused], "Acceptable", "NonCrLfLineTermination");
    let both = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n";
    desync(both, [pass, last, refused], "Ambiguous", "BothTeClPresent");
    let body = "GET / HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nab";
    desync(body, [pass, last, refused], "Ambiguous", "UndefinedContentLengthSemantics");
    let twice = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab";
    desync(twice, [refused, refused, refused], "Severe", "MultipleContentLength");
    let plus = "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: +1\r\n\r\na";
    desync(plus, [refused, refused, refused], "Severe", "BadContentLength");
    let space = "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding : chunked\r\n\r\n0\r\n\r\n";
    desync(space, [refused, refused, refused], "Ambiguous", "SuspiciousHeader");
}

// A request that hides behind another one is never served.
#[test]
fn nothing_is_smuggled() {
    let hidden = "GET /hidden HTTP/1.1\r\nHost: a\r\n\r\n";
    let attempts = [
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: {}\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n{hidden}",
            5 + hidden.len()
        ),
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: 4\r\n\r\n0\r\n\r\n{hidden}"
        ),
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: xchunked\r\nContent-Length: 4\r\n\r\nabcd{hidden}"),
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 0\r\nContent-Length: 40\r\n\r\n{hidden}"),
        format!("POST / HTTP/1.1\r\nHost: a\r\nContent-Length:\x0b0\r\n\r\n{hidden}"),
        format!("POST / HTTP/1.1\r\nHost: a\r\nX: y\rContent-Length: 0\r\n\r\n{hidden}"),
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0x0\r\n\r\n{hidden}"),
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nab\r\n0\r\n\r\n{hidden}"),
        format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n-1\r\n\r\n{hidden}"),
        format!(
            "POST / HTTP/1.1\r\nHost: a\r\n Transfer-Encoding: chunked\r\nContent-Length: 5\r\n\r\n0\r\n\r\n{hidden}"
        ),
    ];
    for attempt in attempts {
        let mut alb = with(&[]);
        let mut client = alb.connect();
        client.write(attempt.as_bytes());
        let first = client.read();
        assert_eq!(first.field("connection"), Some("close"), "{} for {attempt:?}", first.status);
        assert!(client.is_closed(), "{attempt:?}");
        assert_ne!(alb.exchange().target, "/hidden", "{attempt:?}");
    }
}
