//! The load balancer's side of an exchange: what it refuses, how it says so, how it treats a connection and a reply.

use crossfade_emulator::{Action, Rule, RuleRef};
use crossfade_event::HeaderMode;
use crossfade_rule::Condition;

use crate::support::{self, Alb, multi, single};

/// A refusal is an ALB's page with an ALB's reason, and the function never hears of the request.
#[track_caller]
fn refuses(alb: &mut Alb, request: &str, status: u16, reason: &str, problem: &str) {
    let response = alb.send(request);
    assert_eq!(response.status, status, "{}", response.head);
    assert_eq!(response.field("server"), Some("awselb/2.0"), "{}", response.head);
    assert_eq!(response.field("content-type"), Some("text/html"));
    let title = format!("<head><title>{status}");
    assert!(response.text().starts_with("<html>\r\n") && response.text().contains(&title), "{}", response.text());
    let exchange = alb.exchange();
    assert_eq!((exchange.status, exchange.elb_reason.unwrap_or_default().as_str()), (status, reason));
    assert_eq!(exchange.problem.unwrap(), problem);
    assert_eq!(exchange.environment, None);
}

#[test]
fn refuses_what_an_alb_refuses() {
    let mut alb = single();
    let alb = &mut alb;
    refuses(alb, "TRACE / HTTP/1.1\r\nHost: a\r\n\r\n", 405, "", "ALB rejects TRACE");
    refuses(alb, "CONNECT a:443 HTTP/1.1\r\nHost: a\r\n\r\n", 400, "", "ALB rejects CONNECT");
    refuses(
        alb,
        "GET / HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\nUpgrade: WebSocket\r\n\r\n",
        400,
        "LambdaWebsocketNotSupported",
        "a Lambda function cannot serve a WebSocket",
    );
    refuses(alb, "GET abc HTTP/1.1\r\nHost: a\r\n\r\n", 400, "", "the request's target has no path");
    refuses(alb, "GET / HTTP/1.1\r\n\r\n", 400, "", "the request has no `Host`");
    refuses(alb, "GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", 400, "", "the request has more than one `Host`");
    refuses(
        alb,
        "POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
        501,
        "",
        "transfer coding `gzip` is not supported",
    );
}

#[test]
fn limits_of_the_head() {
    let mut alb = single();
    let alb = &mut alb;
    // The request line: 16 K pass, one byte more does not.
    let target = |length: usize| format!("/{}", "a".repeat(length - "GET / HTTP/1.1".len()));
    assert_eq!(alb.get(&target(16_384), "").status, 200);
    alb.exchange();
    let line = format!("GET {} HTTP/1.1\r\nHost: a\r\n\r\n", target(16_385));
    refuses(alb, &line, 414, "", "the request line is 16385 bytes long, the limit is 16384");
    let field = format!("GET / HTTP/1.1\r\nHost: a\r\nX-Big: {}\r\n\r\n", "b".repeat(16_384));
    refuses(alb, &field, 413, "", "the field `x-big` is 16393 bytes long, the limit is 16384");
    let fields: String = (0..5).map(|n| format!("X-{n}: {}\r\n", "b".repeat(15_000))).collect();
    let fields = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    refuses(alb, &fields, 413, "", "all fields together are 75044 bytes long, the limit is 65536");
    // Many small fields are fine.
    let many: String = (0..300).map(|n| format!("X-{n}: b\r\n")).collect();
    assert_eq!(alb.get("/", &many).status, 200);
    alb.exchange();
    let thirty = ["10.0.0.1"; 30].join(",");
    assert_eq!(alb.get("/", &format!("X-Forwarded-For: {thirty}\r\n")).status, 200);
    alb.exchange();
    let request =
        format!("GET / HTTP/1.1\r\nHost: a\r\nX-Forwarded-For: {thirty}\r\nX-Forwarded-For: 10.0.0.2\r\n\r\n");
    refuses(alb, &request, 463, "", "`X-Forwarded-For` has 31 addresses, the limit is 30");
    assert!(alb.send(&request).head.starts_with("HTTP/1.1 463 \r\n"));
}

#[test]
fn a_body_of_one_mebibyte_passes_and_one_byte_more_does_not() {
    let mut alb = single();
    let post = |fields: &str, body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n{body}");
    let body = "x".repeat(1_048_576);
    // `x-reply` keeps the answer small; the event would not fit into a reply.
    let fields = "Content-Length: 1048576\r\nx-reply: {\"statusCode\":200}\r\n";
    assert_eq!(alb.send(post(fields, &body)).status, 200);
    assert_eq!(alb.exchange().request_bytes, 1_048_576);

    let declared = post("Content-Length: 1048577\r\n", &format!("{body}x"));
    let problem = "the body is 1048577 bytes long, the limit is 1048576 bytes";
    refuses(&mut alb, &declared, 413, "LambdaRequestTooLarge", problem);
    let chunked = post("Transfer-Encoding: chunked\r\n", &format!("100001\r\n{body}x\r\n0\r\n\r\n"));
    let problem = "the body is too long, the limit is 1048576 bytes";
    refuses(&mut alb, &chunked, 413, "LambdaRequestTooLarge", problem);

    // A client that sends a lot before it reads gets to see the answer all the same.
    let large = "x".repeat(5_000_000);
    let problem = "the body is 5000000 bytes long, the limit is 1048576 bytes";
    let declared = post("Content-Length: 5000000\r\n", &large);
    refuses(&mut alb, &declared, 413, "LambdaRequestTooLarge", problem);
    let problem = "the body is too long, the limit is 1048576 bytes";
    let chunked = post("Transfer-Encoding: chunked\r\n", &format!("4c4b40\r\n{large}\r\n0\r\n\r\n"));
    refuses(&mut alb, &chunked, 413, "LambdaRequestTooLarge", problem);

    // Refused without waiting for a body that is never sent.
    let mut client = alb.connect();
    client.write(post("Content-Length: 99999999\r\nExpect: 100-continue\r\n", "").as_bytes());
    let response = client.read();
    assert_eq!((response.status, response.field("connection")), (413, Some("close")));
    assert!(client.is_closed());
}

#[test]
fn expect_100_continue_is_answered_here_and_not_forwarded() {
    let alb = single();
    let mut client = alb.connect();
    client.write(
        b"POST / HTTP/1.1\r\nHost: a\r\nExpect: 100-continue\r\nContent-Type: text/plain\r\nContent-Length: 5\r\n\r\n",
    );
    assert_eq!(client.read().head, "HTTP/1.1 100 Continue\r\n\r\n");
    client.write(b"hello");
    let event = client.read().json();
    assert_eq!(event["body"], "hello");
    assert_eq!(event["headers"].get("expect"), None);
}

#[test]
fn what_is_no_request_is_told_too() {
    let mut alb = single();
    let bad = [
        ("GET / HTTP/1.1\r\nHost: a\r\nX-Bad: a\0b\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nX Space: a\r\n\r\n", 400),
        ("GET / HTTP/1.1\r\nHost: a\r\nno colon\r\n\r\n", 400),
        ("GET / HTTP/3.0\r\nHost: a\r\n\r\n", 505),
        ("GET /\r\n\r\n", 400),
        ("\x16\x03\x01\x02\r\n\r\n", 400),
    ];
    let long = format!("GET /{} HTTP/1.1\r\nHost: a\r\n\r\n", "a".repeat(66_000));
    let fields: String = (0..60).map(|n| format!("X-{n}: {}\r\n", "a".repeat(10_000))).collect();
    let big = format!("GET / HTTP/1.1\r\nHost: a\r\n{fields}\r\n");
    for (request, status) in bad.into_iter().chain([(long.as_str(), 414), (big.as_str(), 413)]) {
        let response = alb.send(request);
        assert_eq!((response.status, response.field("connection")), (status, Some("close")), "{request:?}");
        let exchange = alb.exchange();
        assert_eq!((exchange.status, exchange.method.as_str(), exchange.rule), (status, "-", RuleRef::None));
        assert!(exchange.problem.is_some() && exchange.environment.is_none());
    }
}

#[test]
fn a_client_that_stops_in_the_middle_is_told_408_and_an_idle_one_is_let_go() {
    let mut settings = support::settings(HeaderMode::Single);
    settings.load_balancer.idle_timeout = std::time::Duration::from_millis(200);
    let mut alb = Alb::start(settings);
    for start in ["GET / HTTP/1.1\r\nHo", "POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\n\r\nab"] {
        let mut client = alb.connect();
        client.write(start.as_bytes());
        let response = client.read();
        assert_eq!((response.status, response.field("connection")), (408, Some("close")), "{start}");
        assert_eq!(alb.exchange().status, 408);
    }
    let mut client = alb.connect();
    client.write(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert_eq!(client.read().status, 200);
    assert!(client.is_closed());
}

#[test]
fn a_connection_that_says_nothing_is_let_go_and_one_that_is_old_gets_its_last_answer() {
    let mut settings = support::settings(HeaderMode::Single);
    settings.load_balancer.idle_timeout = std::time::Duration::from_millis(200);
    settings.load_balancer.client_keep_alive = std::time::Duration::ZERO;
    let alb = Alb::start(settings);
    assert!(alb.connect().is_closed());
    let response = alb.get("/", "");
    assert_eq!((response.status, response.field("connection")), (200, Some("close")));
}

#[test]
fn an_answer_of_the_load_balancer_s_own_does_not_wait_for_a_body() {
    let mut settings = support::settings(HeaderMode::Single);
    settings.listeners[0].default_action = Action::status(http::StatusCode::NOT_FOUND);
    let alb = Alb::start(settings);
    let mut client = alb.connect();
    client.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\n");
    let response = client.read();
    assert_eq!((response.status, response.field("connection")), (404, Some("close")));
}

#[test]
fn a_request_under_way_at_the_end_is_answered_and_told() {
    let mut alb = single();
    let mut client = alb.connect();
    client.write(b"GET /sleep/10000 HTTP/1.1\r\nHost: a\r\n\r\n");
    alb.notice(|notice| matches!(notice, crossfade_emulator::Notice::Started { .. }).then_some(()));
    // One that has nothing to wait for does not hold up the end.
    let _idle = alb.connect();
    alb.shutdown();
    assert_eq!(client.read().status, 502);
    assert_eq!(alb.exchange().status, 502);
}

// User information is a secret.
#[test]
fn user_information_in_a_target_is_not_told() {
    let mut alb = single();
    alb.send("TRACE http://user:hunter2@h.example/x HTTP/1.1\r\nHost: a\r\n\r\n");
    let exchange = alb.exchange();
    assert_eq!(exchange.host, "h.example");
    assert!(!crossfade_emulator::access_log::line(&exchange).contains("hunter2"));
}

#[test]
fn requests_may_be_sent_ahead_and_are_answered_in_their_order() {
    let alb = single();
    let mut client = alb.connect();
    let ahead: String =
        (0..5).map(|n| format!("POST /{n} HTTP/1.1\r\nHost: a\r\nContent-Length: 2\r\n\r\nxy")).collect();
    client.write(ahead.as_bytes());
    for n in 0..5 {
        assert_eq!(client.read().json()["path"], format!("/{n}"));
    }
}

#[test]
fn http_1_0_clients_are_served_and_closed() {
    let alb = single();
    let mut client = alb.connect();
    client.write(b"GET / HTTP/1.0\r\n\r\n");
    let response = client.read();
    assert_eq!(response.json()["headers"]["host"], alb.address.to_string());
    assert_eq!(response.field("connection"), Some("close"));
    assert!(client.is_closed());
    let mut client = alb.connect();
    client.write(b"GET / HTTP/1.0\r\nHost: a\r\nConnection: keep-alive\r\n\r\n");
    assert_eq!(client.read().field("connection"), Some("keep-alive"));
}

#[test]
fn a_connection_serves_many_requests_and_one_environment_is_enough() {
    let mut alb = single();
    let mut client = alb.connect();
    for n in 1..=30 {
        client.write(b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n");
        let response = client.read();
        assert_eq!(response.json()["served"], n);
        let exchange = alb.exchange();
        assert_eq!((exchange.environment, exchange.cold), (Some(1), n == 1));
    }
}

fn rule(priority: u32, mode: HeaderMode, conditions: Vec<Condition>) -> Rule {
    let action = Action::forward_to(if mode == HeaderMode::Single { support::SINGLE } else { support::MULTI });
    Rule { action, ..support::rule(priority, conditions) }
}

#[test]
fn the_first_rule_by_priority_wins_and_sets_the_mode() {
    let mut alb = Alb::with_rules(vec![
        rule(30, HeaderMode::Single, vec![Condition::path(["/*"]).unwrap(), Condition::host(["shop.*.com"]).unwrap()]),
        rule(10, HeaderMode::Multi, vec![Condition::path(["/multi/*"]).unwrap()]),
        rule(20, HeaderMode::Single, vec![Condition::ip(["192.0.2.0/24"]).unwrap()]),
    ]);
    assert!(alb.get("/multi/a", "").json().get("multiValueHeaders").is_some());
    assert_eq!(alb.exchange().rule, RuleRef::Priority(10));
    assert!(alb.get("/a", "").json().get("headers").is_some());
    assert_eq!(alb.exchange().rule, RuleRef::Priority(30));
    // The host of an absolute target is the one that rules see.
    assert_eq!(alb.send("GET http://other.net/a HTTP/1.1\r\nHost: shop.example.com\r\n\r\n").status, 404);
    let exchange = alb.exchange();
    assert_eq!((exchange.rule, exchange.actions.as_slice()), (RuleRef::Default, ["fixed-response"].as_slice()));
    // An address that the client claims opens nothing.
    assert_eq!(alb.send("GET /a HTTP/1.1\r\nHost: x.net\r\nX-Forwarded-For: 192.0.2.1\r\n\r\n").status, 404);
}

fn reply(alb: &Alb, method: &str, reply: &str) -> support::Response {
    let mut client = alb.connect();
    client.write(format!("{method} / HTTP/1.1\r\nHost: a\r\nx-reply: {reply}\r\n\r\n").as_bytes());
    if method == "HEAD" { client.read_bodyless() } else { client.read() }
}

#[test]
fn a_malformed_reply_is_a_502_and_the_problem_says_why() {
    let mut alb = single();
    let bad = [
        ("{}", "statusCode"),
        ("not json", "JSON"),
        (r#"{"statusCode":"200"}"#, "statusCode"),
        (r#"{"statusCode":200,"body":null}"#, "body"),
        (r#"{"statusCode":200,"headers":{"content-length":12}}"#, "content-length"),
        (r#"{"statusCode":200,"isBase64Encoded":"true"}"#, "isBase64Encoded"),
        (r#"{"statusCode":200,"body":"%","isBase64Encoded":true}"#, "base64"),
        (r#"{"statusCode":200,"multiValueHeaders":{"a":["b"]}}"#, "multi-value"),
        (r#"{"statusCode":101}"#, "statusCode"),
    ];
    for (text, named) in bad {
        assert_eq!(reply(&alb, "GET", text).status, 502, "{text}");
        let (status, reason, problem) = alb.outcome();
        assert_eq!((status, reason.as_str()), (502, "LambdaInvalidResponse"), "{text}");
        assert!(problem.starts_with("the function's reply is malformed: ") && problem.contains(named), "{problem}");
        assert!(!problem.contains('\n'), "{problem}");
    }
    // All the same environment: a bad reply is no crash.
    assert_eq!(alb.get("/pid", "").json()["served"], bad.len() + 1);
}

// Several cookies in both modes.
#[test]
fn a_reply_keeps_its_cookies() {
    let cookies = |alb: &Alb, text: &str| {
        let response = reply(alb, "GET", text);
        response.head.lines().filter(|line| line.to_lowercase().starts_with("set-cookie")).count()
    };
    assert_eq!(cookies(&single(), r#"{"statusCode":200,"headers":{"set-cookie":"a=1","Set-cookie":"b=2"}}"#), 2);
    assert_eq!(cookies(&multi(), r#"{"statusCode":200,"multiValueHeaders":{"set-cookie":["a=1","b=2"]}}"#), 2);
}

#[test]
fn statuses_and_methods_without_a_body() {
    let mut alb = single();
    let response = reply(&alb, "GET", r#"{"statusCode":204,"headers":{"content-length":"3"},"body":"abc"}"#);
    assert_eq!((response.status, response.field("content-length")), (204, None));
    assert_eq!(alb.exchange().warnings, ["the body of 3 bytes was dropped: a 204 response has no body"]);
    let response = reply(&alb, "GET", r#"{"statusCode":304,"headers":{"etag":"x"}}"#);
    assert_eq!((response.status, response.field("etag"), response.field("content-length")), (304, Some("x"), None));
    alb.exchange();
    let response = reply(&alb, "HEAD", r#"{"statusCode":200,"body":"abc"}"#);
    assert_eq!((response.status, response.field("content-length")), (200, Some("3")));
    assert_eq!(alb.exchange().response_bytes, 0);
    // The connection goes on, whether there is a length or not.
    let mut client = alb.connect();
    for (reply, length) in [
        (r#"{"statusCode":200,"headers":{"content-length":"1488324"}}"#, Some("1488324")),
        (r#"{"statusCode":200}"#, None),
    ] {
        client.write(format!("HEAD / HTTP/1.1\r\nhost: a.example\r\nx-reply: {reply}\r\n\r\n"));
        let response = client.read_bodyless();
        assert_eq!((response.status, response.field("content-length")), (200, length));
        assert_eq!(alb.exchange().response_bytes, 0);
    }
    let response = reply(
        &alb,
        "GET",
        r#"{"statusCode":599,"headers":{"content-length":"999"},"body":"aGk=","isBase64Encoded":true}"#,
    );
    assert_eq!((response.status, response.text()), (599, "hi"));
    assert!(response.head.starts_with("HTTP/1.1 599 \r\n"), "{}", response.head);
}

#[test]
fn server_and_date_are_added_and_a_function_s_own_are_kept() {
    let alb = single();
    let response = reply(&alb, "GET", r#"{"statusCode":200}"#);
    assert_eq!((response.field("server"), response.field("content-length")), (Some("awselb/2.0"), Some("0")));
    assert!(response.field("date").is_some_and(|date| date.ends_with(" GMT")));
    let own = r#"{"statusCode":200,"headers":{"Server":"mine","Date":"Thu, 01 Jan 1970 00:00:00 GMT"}}"#;
    let response = reply(&alb, "GET", own);
    assert_eq!(
        (response.field("server"), response.field("date")),
        (Some("mine"), Some("Thu, 01 Jan 1970 00:00:00 GMT"))
    );
    assert_eq!(response.head.to_lowercase().matches("\r\nserver: ").count(), 1);
}

#[test]
fn a_binary_reply_arrives_as_it_was_and_stays_encoded() {
    let alb = multi();
    let text = r#"{"statusCode":200,"multiValueHeaders":{"content-encoding":["gzip"]},"body":"H4sIAP8ADQo=","isBase64Encoded":true}"#;
    let response = reply(&alb, "GET", text);
    assert_eq!(response.body, [0x1f, 0x8b, 0x08, 0x00, 0xff, 0x00, 0x0d, 0x0a]);
    assert_eq!((response.field("content-encoding"), response.field("content-length")), (Some("gzip"), Some("8")));
}

#[test]
fn hop_by_hop_fields_of_a_reply_are_dropped_with_a_warning() {
    let mut alb = single();
    let text = r#"{"statusCode":200,"headers":{"transfer-encoding":"chunked","connection":"close","keep-alive":"1"},"body":"abc"}"#;
    let mut client = alb.connect();
    for _ in 0..2 {
        client.write(format!("GET / HTTP/1.1\r\nHost: a\r\nx-reply: {text}\r\n\r\n").as_bytes());
        let response = client.read();
        assert_eq!((response.text(), response.field("transfer-encoding")), ("abc", None));
        assert_eq!((response.field("connection"), response.field("keep-alive")), (Some("keep-alive"), None));
        assert_eq!(alb.exchange().warnings.len(), 3);
    }
}

#[test]
fn too_large_replies_are_502_and_say_which_limit() {
    let mut alb = single();
    assert_eq!(alb.get("/big/1048576", "").status, 502);
    let (_, reason, problem) = alb.outcome();
    assert_eq!(reason, "LambdaResponseTooLarge");
    assert!(problem.contains("1048576"), "{problem}");
    let response = alb.get("/big/1000000", "");
    assert_eq!((response.status, response.body.len()), (200, 1_000_000));
    alb.exchange();
    assert_eq!(alb.get("/huge", "").status, 502);
    let outcome = alb.outcome();
    let problem = "the function's response is larger than Lambda's limit of 6291556 bytes";
    assert_eq!(outcome, (502, "LambdaResponseTooLarge".into(), problem.into()));
    assert_eq!(alb.get("/big-fields/33000", "").status, 502);
    let (_, reason, problem) = alb.outcome();
    assert_eq!(reason, "LambdaInvalidResponse");
    assert!(problem.contains("32768"), "{problem}");
}

#[test]
fn what_single_mode_loses_is_warned_about() {
    let mut alb = single();
    alb.get("/?a=1&b=2&a=3&c", "Cookie: a\r\nX-Forwarded-For: 10.0.0.1\r\nCookie: b\r\nX-Forwarded-For: 10.0.0.2\r\n");
    assert_eq!(
        alb.exchange().warnings,
        [
            "field `cookie` occurs 2 times; without multi-value headers only the last value is forwarded",
            "query key `a` occurs 2 times; without multi-value headers only the last value is forwarded",
        ]
    );
    let many: String = (0..50).map(|n| format!("k{n}=1&k{n}=2&")).collect();
    alb.get(&format!("/?{many}"), "");
    assert_eq!(alb.exchange().warnings.len(), 5);
    let mut alb = multi();
    alb.get("/?a=1&a=3", "Cookie: a\r\nCookie: b\r\n");
    assert!(alb.exchange().warnings.is_empty());
}

#[test]
fn a_client_that_leaves_early_does_not_stop_the_function() {
    let mut alb = single();
    let mut client = alb.connect();
    client.write(b"GET /sleep/200 HTTP/1.1\r\nHost: a\r\n\r\n");
    // The function has it once its process has started.
    alb.notice(|notice| matches!(notice, crossfade_emulator::Notice::Started { .. }).then_some(()));
    drop(client);
    let exchange = alb.exchange();
    assert_eq!((exchange.status, exchange.target.as_str()), (460, "/sleep/200"));
    assert!(exchange.problem.unwrap().contains("closed the connection"));
    assert_eq!(alb.get("/pid", "").json()["served"], 2);
}

#[test]
fn a_body_that_is_cut_off_is_not_forwarded() {
    let mut alb = single();
    let mut client = alb.connect();
    client.write(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 10\r\n\r\nhalf");
    drop(client);
    assert_eq!(
        alb.outcome(),
        (400, String::new(), "the client closed the connection before it had sent the whole body".into())
    );
}

#[test]
fn a_port_in_use_is_told() {
    let alb = single();
    let mut settings = support::settings(HeaderMode::Single);
    settings.listeners[0].listen = alb.address;
    let error =
        alb.block_on(crossfade_emulator::start(settings, tokio::sync::mpsc::unbounded_channel().0)).unwrap_err();
    let problem = "the port is in use; stop the program that uses it or choose another port";
    assert_eq!(error.to_string(), format!("cannot listen on {}: {problem}", alb.address));

    let twice = vec![
        rule(5, HeaderMode::Single, vec![]),
        rule(1, HeaderMode::Single, vec![]),
        rule(5, HeaderMode::Multi, vec![]),
    ];
    let mut settings = support::settings(HeaderMode::Single);
    settings.listeners[0].rules = twice;
    let error =
        alb.block_on(crossfade_emulator::start(settings, tokio::sync::mpsc::unbounded_channel().0)).unwrap_err();
    assert_eq!(error.to_string(), "two rules have the priority 5; a listener's priorities must differ");
}
