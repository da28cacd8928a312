//! Events that move a migration: a schedule's and alarms'. The store and the log are stand-ins of this file, since they also
//! misbehave; `crates/cli/tests` has real ones.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use crossfade_journal::with_otel_names;
use serde_json::{Value, json};
use support::{Call, Folder, Function, REQUEST_ID, event, response, serve};

const ARN: &str = "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:modern-5xx";

/// S3 with one object, and CloudWatch Logs.
#[derive(Default)]
struct Aws {
    object: Option<String>,
    writes: u32,
    log: Vec<Value>,
    /// Answers of the store that come before the real ones, by method.
    faults: Vec<(&'static str, Vec<u8>)>,
    calls: Vec<Call>,
}

impl Aws {
    fn start() -> (Arc<Mutex<Aws>>, SocketAddr) {
        let aws = Arc::new(Mutex::new(Aws::default()));
        let shared = aws.clone();
        (aws, serve(move |call| shared.lock().unwrap().answer(call)))
    }

    fn answer(&mut self, call: Call) -> Vec<u8> {
        let method = call.line.split(' ').next().unwrap().to_owned();
        self.calls.push(call.clone());
        if call.field("x-amz-target") == Some("Logs_20140328.FilterLogEvents") {
            return self.page(&call);
        }
        if let Some(at) = self.faults.iter().position(|(fault, _)| *fault == method) {
            return self.faults.remove(at).1;
        }
        let error =
            |status: &str, code: &str| response(status, &[], format!("<Error><Code>{code}</Code></Error>").as_bytes());
        let etag = format!("\"{}\"", self.writes);
        match (method.as_str(), &self.object) {
            ("GET", None) => error("404 Not Found", "NoSuchKey"),
            ("GET", Some(_)) if call.field("if-none-match") == Some(&etag) => response("304 Not Modified", &[], b""),
            ("GET", Some(text)) => response("200 OK", &[("etag", &etag)], text.as_bytes()),
            ("PUT", object) => {
                let fits = match (call.field("if-match"), call.field("if-none-match")) {
                    (Some(tag), _) => object.is_some() && tag == etag,
                    (None, Some(_)) => object.is_none(),
                    (None, None) => true,
                };
                if !fits {
                    return error("412 Precondition Failed", "PreconditionFailed");
                }
                self.writes += 1;
                self.object = Some(String::from_utf8(call.body).unwrap());
                response("200 OK", &[("etag", &format!("\"{}\"", self.writes))], b"")
            }
            other => panic!("{other:?}"),
        }
    }

    /// Thirty lines on a page, and one page that is empty.
    fn page(&self, call: &Call) -> Vec<u8> {
        let asked = call.json();
        let number: usize = asked["nextToken"].as_str().map_or(0, |token| token.parse().unwrap());
        let lines = if number == 1 { &[][..] } else { &self.log };
        let begin = number.saturating_sub(1).min(number) * 30;
        // The type comes first, as the function writes it.
        let message = |line: &Value| format!("{{\"type\":\"access\",{}", &line.to_string()[1..]);
        let event = |(at, line): (usize, &Value)| json!({ "eventId": at.to_string(), "message": message(line) });
        let events: Vec<Value> = lines.iter().enumerate().skip(begin).take(30).map(event).collect();
        let mut page = json!({ "events": events, "searchedLogStreams": [] });
        if begin + 30 < self.log.len() {
            page["nextToken"] = (number + 1).to_string().into();
        }
        response("200 OK", &[], page.to_string().as_bytes())
    }

    fn overlay(&self) -> Value {
        self.object.as_ref().map_or(Value::Null, |text| serde_json::from_str(text).unwrap())
    }
}

fn put(aws: &Mutex<Aws>, object: String, log: Vec<Value>) {
    let mut aws = aws.lock().unwrap();
    (aws.object, aws.log) = (Some(object), log);
}

/// Two routes that migrate; `keys` are those of `migration`.
fn config(folder: &Folder, keys: &str) -> String {
    let system = |name: &'static str| serve(move |_| response("200 OK", &[], name.as_bytes()));
    let (legacy, modern) = (system("legacy"), system("modern"));
    folder.write(
        "crossfade.yaml",
        format!(
            "version: 1\nbackends: {{ legacy: 'http://{legacy}', modern: 'http://{modern}' }}\nmigration:\n  from: legacy\n  \
             to: modern\n  guard: errors<=+0.5%\n  samples: 5\n{keys}\nroutes:\n  - name: orders\n    priority: 1\n    \
             conditions: {{ path: /orders/* }}\n    forward:\n      targets: [{{ backend: legacy }}, \
             {{ backend: modern, weight: 0 }}]\ndefault:\n  forward:\n    targets: [{{ backend: legacy }}, {{ backend: modern, \
             weight: 0 }}]\n"
        ),
    )
}

fn start(config: &str, address: SocketAddr, more: &[(&str, &str)]) -> Function {
    let url = format!("http://{address}");
    let mut environment = vec![
        ("CROSSFADE_CONFIG", config),
        ("CROSSFADE_LIVE", "s3://bucket/live.json"),
        ("CROSSFADE_LIVE_INTERVAL", "1h"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL", &url),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/crossfade"),
    ];
    environment.extend(more);
    Function::start(&environment)
}

fn ago(seconds: u64) -> String {
    humantime::format_rfc3339_seconds(SystemTime::now() - Duration::from_secs(seconds)).to_string()
}

/// A state of both routes: so many percent on the new system, for an hour.
fn state(version: u32, percent: u32, phase: &str) -> String {
    state_since(version, percent, phase, 3600)
}

fn state_since(version: u32, percent: u32, phase: &str, seconds: u64) -> String {
    let route = json!({
        "version": version,
        "weights": { "legacy": 100 - percent, "modern": percent },
        "migration": { "share": percent, "phase": phase, "since": ago(seconds) },
    });
    json!({ "format": 1, "version": version, "by": "anna", "routes": { "orders": route, "default": route } })
        .to_string()
}

/// So many requests of a route on a back end that version 3 decided, half an hour ago and later.
fn requests(route: &str, backend: &str, count: u64, status: u16) -> Vec<Value> {
    let line = |number: u64| {
        json!({
            "version": 3, "time": ago(3500 - number), "request_id": "1", "method": "GET",
            "path": "/orders/1", "live": 3, "route": route, "backend": backend, "status": status, "total_ms": 12.0,
            "attempts": 1,
        })
    };
    (0..count).map(line).collect()
}

fn advance(function: &Function) -> Value {
    let call = function.invoke(&json!({ "crossfade": "advance" }));
    assert!(call.target().ends_with(&format!("/invocation/{REQUEST_ID}/response")), "{}", call.line);
    call.json()
}

fn alarm(name: &str, state: &str, seconds_ago: u64) -> Value {
    json!({
        "source": "aws.cloudwatch", "detail-type": "CloudWatch Alarm State Change", "time": ago(seconds_ago),
        "resources": [format!("arn:aws:cloudwatch:eu-west-1:123456789012:alarm:{name}")],
        "detail": { "alarmName": name, "state": { "value": state, "reason": "5 errors", "timestamp": ago(seconds_ago) } },
    })
}

/// The system of the next request.
fn system(function: &Function) -> String {
    function.invoke(&event("GET", "/orders/1")).json()["body"].as_str().unwrap().to_owned()
}

#[test]
fn a_schedule_begins_the_next_step_and_applies_it_at_once() {
    let (folder, (aws, address)) = (Folder::new(), Aws::start());
    aws.lock().unwrap().object = Some(state(3, 50, "running"));
    let config = config(&folder, "  schedule: advance");
    let function = start(&config, address, &[]);
    for (route, backend) in [("orders", "legacy"), ("orders", "modern"), ("default", "legacy"), ("default", "modern")] {
        aws.lock().unwrap().log.extend(requests(route, backend, 20, 200));
    }
    let document = advance(&function);
    let route = &document["routes"][0];
    assert_eq!((&document["changed"], &document["version"]), (&json!(true), &json!(4)), "{document}");
    assert_eq!(
        (&route["route"], &route["share"], &route["phase"], &route["decision"]),
        (&json!("orders"), &json!(100.0), &json!("finished"), &json!("advance")),
        "{document}"
    );
    assert_eq!(route["guard"][0]["decision"], "holds");
    let overlay = aws.lock().unwrap().overlay();
    assert_eq!(overlay["routes"]["orders"]["migration"]["share"], 100.0);
    assert_eq!((&overlay["by"], &overlay["reason"]), (&json!("schedule"), &json!("the guard holds")));
    for _ in 0..5 {
        assert_eq!(system(&function), "modern");
    }
    // The reply is the log line as well.
    let log = function.log_until(|log| log.iter().any(|line| line["event"] == "advance"));
    assert_eq!(log.iter().find(|line| line["event"] == "advance").unwrap(), &document);
    let calls = &aws.lock().unwrap().calls;
    let asked = calls.iter().find(|call| call.field("x-amz-target").is_some()).unwrap();
    assert_eq!(asked.json()["logGroupName"], "/aws/lambda/crossfade");
    assert!(asked.json()["filterPattern"].as_str().unwrap().contains("$.route = \"orders\""));
    assert!(asked.field("authorization").unwrap().contains("/eu-west-1/logs/aws4_request"));
}

/// The filter knows the route under one name only, so it asks for the lines of all routes.
#[test]
fn a_schedule_reads_lines_with_opentelemetrys_names() {
    let (folder, (aws, address)) = (Folder::new(), Aws::start());
    let lines = ["legacy", "modern"].map(|backend| requests("orders", backend, 20, 200)).concat();
    let renamed = |line: &Value| serde_json::from_slice(&with_otel_names(line.to_string().as_bytes())).unwrap();
    put(&aws, state(3, 50, "running"), lines.iter().map(renamed).collect());
    let config = config(&folder, "  routes: [orders]\n  schedule: advance\naccessLog: { names: otel }");
    let document = advance(&start(&config, address, &[]));
    assert_eq!(document["routes"][0]["decision"], "advance", "{document}");
    let calls = &aws.lock().unwrap().calls;
    let asked = calls.iter().find(|call| call.field("x-amz-target").is_some()).unwrap();
    assert_eq!(asked.json()["filterPattern"], r#"{ ($.type = "access" || $.type = "compare") }"#);
}

#[test]
fn a_schedule_holds_and_says_why() {
    let good = |count| [requests("orders", "legacy", count, 200), requests("orders", "modern", count, 200)].concat();
    let slow = ("CROSSFADE_LIVE_INTERVAL", "1h");
    let cases: Vec<(&str, String, Vec<Value>, &str, &str)> = vec![
        ("advance", state(3, 10, "running"), good(3), "hold", "3 of 5 samples: 2 are missing"),
        ("advance", state(3, 10, "paused"), good(20), "hold", "it is paused"),
        ("advance", state(3, 10, "running"), Vec::new(), "hold", "not in effect yet"),
        ("advance", state_since(3, 10, "running", 60), good(20), "hold", "not in effect yet"),
        ("abort", state(3, 10, "running"), good(20), "hold", "`migration.schedule: abort` begins no step"),
    ];
    for (schedule, object, log, decision, reason) in cases {
        let (folder, (aws, address)) = (Folder::new(), Aws::start());
        put(&aws, object, log);
        let function = start(&config(&folder, &format!("  schedule: {schedule}\n  routes: orders")), address, &[slow]);
        let document = advance(&function);
        assert_eq!(document["changed"], false, "{document}");
        assert_eq!(document["routes"][0]["decision"], decision, "{document}");
        assert!(document["routes"][0]["reason"].as_str().unwrap().contains(reason), "{reason}: {document}");
        assert_eq!(aws.lock().unwrap().writes, 0);
    }
}

#[test]
fn a_schedule_takes_users_back_where_the_guard_fails() {
    for schedule in ["abort", "advance"] {
        let (folder, (aws, address)) = (Folder::new(), Aws::start());
        let log = [
            requests("orders", "legacy", 300, 200),
            requests("orders", "modern", 200, 503),
            requests("default", "legacy", 300, 200),
            requests("default", "modern", 200, 200),
        ];
        put(&aws, state(3, 50, "running"), log.concat());
        let function = start(&config(&folder, &format!("  schedule: {schedule}")), address, &[]);
        let document = advance(&function);
        let [orders, default] = [0, 1].map(|at| &document["routes"][at]);
        assert_eq!(
            (&orders["decision"], &orders["share"], &orders["phase"]),
            (&json!("abort"), &json!(0.0), &json!("aborted"))
        );
        assert_eq!((&default["decision"], &default["share"]), (&json!("hold"), &json!(50.0)), "{document}");
        assert_eq!(system(&function), "legacy");
    }
}

#[test]
fn without_permission_or_a_state_a_schedule_changes_nothing() {
    let (folder, (aws, address)) = (Folder::new(), Aws::start());
    aws.lock().unwrap().object = Some(state(3, 50, "running"));
    let error = |document: Value, expected: &str| {
        assert_eq!(document["level"], "ERROR", "{document}");
        assert!(document["error"].as_str().unwrap().contains(expected), "{document}, expected {expected}");
    };
    error(advance(&start(&config(&folder, ""), address, &[])), "set `migration.schedule` to `advance`");
    let file = config(&folder, "  schedule: advance");
    error(advance(&start(&file, address, &[("CROSSFADE_LIVE", "")])), "`CROSSFADE_LIVE` is not set");
    let port = address.port().to_string();
    let appconfig = [("CROSSFADE_LIVE", "appconfig:a/b/c"), ("AWS_APPCONFIG_EXTENSION_HTTP_PORT", port.as_str())];
    error(advance(&start(&file, address, &appconfig)), "cannot write to AppConfig");
    let function = start(&file, address, &[]);
    error(function.invoke(&json!({ "crossfade": "promote" })).json(), "is not `advance`");
    aws.lock().unwrap().faults =
        vec![("GET", response("403 Forbidden", &[], b"<Error><Code>AccessDenied</Code></Error>"))];
    error(advance(&function), "AccessDenied");
    let unplanned =
        folder.write("other.yaml", "version: 1\nbackends: { a: http://127.0.0.1:1 }\ndefault: { forward: a }\n");
    error(advance(&start(&unplanned, address, &[])), "the configuration has no `migration`");
    assert_eq!(aws.lock().unwrap().writes, 0);
}

#[test]
fn a_client_cannot_send_such_an_event() {
    let (folder, (aws, address)) = (Folder::new(), Aws::start());
    aws.lock().unwrap().object = Some(state(3, 50, "running"));
    let function = start(&config(&folder, "  schedule: advance\n  alarms: modern-5xx"), address, &[]);
    for body in [json!({ "crossfade": "advance" }), alarm("modern-5xx", "ALARM", 0)] {
        let mut request = event("POST", "/orders/1");
        request["body"] = body.to_string().into();
        assert_eq!(function.invoke(&request).json()["statusCode"], 200);
        // A front end that is not supported: no request, and no event either.
        let mut other = body.clone();
        other["requestContext"] = json!({ "http": { "method": "POST" } });
        assert_eq!(function.invoke(&other).json()["statusCode"], 400);
    }
    assert_eq!(aws.lock().unwrap().writes, 0);
}

#[test]
fn another_writer_wins_and_the_schedule_holds() {
    let (folder, (aws, address)) = (Folder::new(), Aws::start());
    let log = [requests("orders", "legacy", 20, 200), requests("orders", "modern", 20, 200)];
    put(&aws, state(3, 50, "running"), log.concat());
    let function = start(&config(&folder, "  schedule: advance\n  routes: orders"), address, &[]);
    let conflict = response("412 Precondition Failed", &[], b"<Error><Code>PreconditionFailed</Code></Error>");
    aws.lock().unwrap().faults = vec![("PUT", conflict)];
    let document = advance(&function);
    assert_eq!((&document["changed"], &document["error"]), (&json!(false), &Value::Null), "{document}");
    assert!(document["routes"][0]["reason"].as_str().unwrap().contains("somebody else"), "{document}");
    // Where writing fails: a step forward waits for the next time, a step back is tried again by Lambda.
    let denied = || response("403 Forbidden", &[], b"<Error><Code>AccessDenied</Code></Error>");
    aws.lock().unwrap().faults = vec![("PUT", denied())];
    let document = advance(&function);
    assert!(document["error"].as_str().unwrap().contains("S3 responded AccessDenied to a write"), "{document}");
    assert_eq!((&document["routes"][0]["decision"], &document["routes"][0]["share"]), (&json!("hold"), &json!(50.0)));
    let mut state = aws.lock().unwrap();
    state.log.extend(requests("orders", "modern", 200, 503));
    state.faults = vec![("PUT", denied())];
    drop(state);
    let call = function.invoke(&json!({ "crossfade": "advance" }));
    assert!(call.target().ends_with("/error"), "{} {}", call.line, call.json());
}

/// Compact JSON of 250 KB would be too long on several lines: functions would reject it.
#[test]
fn an_alarm_finds_room_in_a_full_state() {
    let (folder, (aws, address)) = (Folder::new(), Aws::start());
    let mut full: Value = serde_json::from_str(&state(3, 50, "running")).unwrap();
    let pins: Vec<String> = (0..14_000).map(|number| format!("customer-{number:05}")).collect();
    full["routes"]["orders"]["pin"] = json!({ "modern": pins });
    aws.lock().unwrap().object = Some(full.to_string());
    let function = start(&config(&folder, "  alarms: modern-5xx"), address, &[]);
    let document = function.invoke(&alarm("modern-5xx", "ALARM", 0)).json();
    assert_eq!(document["changed"], true, "{document}");
    assert_eq!(system(&function), "legacy");
    let aws = aws.lock().unwrap();
    let written = aws.object.as_ref().unwrap();
    assert!(written.len() <= 256 * 1024, "{}", written.len());
    assert_eq!(aws.overlay()["routes"]["orders"]["pin"]["modern"][0], "customer-00000", "nothing had to go");
}

#[test]
fn an_alarm_takes_everybody_back_once() {
    for listed in ["modern-5xx", ARN] {
        let (folder, (aws, address)) = (Folder::new(), Aws::start());
        aws.lock().unwrap().object = Some(state(3, 100, "finished"));
        let function = start(&config(&folder, &format!("  alarms: ['{listed}', other]")), address, &[]);
        assert_eq!(system(&function), "modern");
        for (name, new) in [("modern-4xx", "ALARM"), ("modern-5xx", "OK"), ("modern-5xx", "INSUFFICIENT_DATA")] {
            let document = function.invoke(&alarm(name, new, 0)).json();
            assert_eq!(document["changed"], false, "{document}");
        }
        assert_eq!(aws.lock().unwrap().writes, 0);
        assert_eq!(system(&function), "modern");
        // Yesterday's as well: users are on the new system.
        let document = function.invoke(&alarm("modern-5xx", "ALARM", 86_400)).json();
        assert_eq!((&document["changed"], &document["version"]), (&json!(true), &json!(4)), "{document}");
        assert_eq!(system(&function), "legacy");
        let overlay = aws.lock().unwrap().overlay();
        for route in ["orders", "default"] {
            assert_eq!(overlay["routes"][route]["migration"]["phase"], "aborted");
        }
        assert_eq!((&overlay["by"], &overlay["reason"]), (&json!("alarm modern-5xx"), &json!("5 errors")));
        let document = function.invoke(&alarm("modern-5xx", "ALARM", 0)).json();
        assert_eq!((&document["changed"], &document["aborted"]), (&json!(false), &json!(true)), "{document}");
        assert_eq!(aws.lock().unwrap().writes, 1);
    }
}

#[test]
fn a_late_alarm_does_not_end_what_was_begun_anew() {
    for (percent, seconds_ago, writes) in [(0, 7200, 0), (0, 60, 1), (10, 7200, 1)] {
        let (folder, (aws, address)) = (Folder::new(), Aws::start());
        aws.lock().unwrap().object = Some(state(3, percent, "running"));
        let function = start(&config(&folder, "  alarms: modern-5xx"), address, &[]);
        let document = function.invoke(&alarm("modern-5xx", "ALARM", seconds_ago)).json();
        assert_eq!(aws.lock().unwrap().writes, writes, "{percent} % {seconds_ago} s");
        assert_eq!(document.get("aborted"), (writes > 0).then_some(&json!(true)), "{document}");
    }
}

#[test]
fn an_alarm_wins_against_other_writers_and_a_store_that_fails() {
    let error =
        |status: &str, code: &str| response(status, &[], format!("<Error><Code>{code}</Code></Error>").as_bytes());
    let denied = || error("403 Forbidden", "AccessDenied");
    let conflict = || error("412 Precondition Failed", "PreconditionFailed");
    let damaged = || response("200 OK", &[("etag", "\"9\"")], b"{\"format\": 1, \"vers");
    // The state in the store keeps its number unless it cannot be read: then the clock's is above all.
    for (faults, is_above_all) in [
        (
            vec![
                ("PUT", conflict()),
                ("PUT", conflict()),
                ("PUT", error("409 Conflict", "ConditionalRequestConflict")),
            ],
            false,
        ),
        // What passes is waited for.
        (
            vec![
                ("GET", error("503 Slow Down", "SlowDown")),
                ("GET", error("503 Slow Down", "SlowDown")),
                ("PUT", error("500 Oops", "InternalError")),
                ("PUT", error("503 Slow Down", "SlowDown")),
            ],
            false,
        ),
        (vec![("GET", denied()), ("GET", denied())], true),
        (vec![("GET", damaged()), ("GET", damaged())], true),
        (vec![("PUT", denied()), ("PUT", denied())], false),
    ] {
        let (folder, (aws, address)) = (Folder::new(), Aws::start());
        aws.lock().unwrap().object = Some(state(3, 50, "running"));
        let function = start(&config(&folder, "  alarms: modern-5xx"), address, &[]);
        system(&function);
        aws.lock().unwrap().faults = faults;
        let document = function.invoke(&alarm("modern-5xx", "ALARM", 0)).json();
        assert_eq!(document["changed"], true, "{document}");
        let version = aws.lock().unwrap().overlay()["version"].as_u64().unwrap();
        assert_eq!(version > 1_700_000_000, is_above_all, "{document}");
        assert_eq!(system(&function), "legacy");
    }
}

#[test]
fn an_alarm_that_cannot_be_written_fails_so_that_lambda_tries_again() {
    let (folder, (aws, address)) = (Folder::new(), Aws::start());
    aws.lock().unwrap().object = Some(state(3, 50, "running"));
    let function = start(&config(&folder, "  alarms: modern-5xx"), address, &[]);
    system(&function);
    let denied = || ("PUT", response("403 Forbidden", &[], b"<Error><Code>AccessDenied</Code></Error>"));
    aws.lock().unwrap().faults = (0..1000).map(|_| denied()).collect();
    function.give(alarm("modern-5xx", "ALARM", 0).to_string(), Duration::from_secs(3), "202 Accepted");
    let call = function.posted();
    assert!(call.target().ends_with(&format!("/invocation/{REQUEST_ID}/error")), "{}", call.line);
    assert!(call.json()["errorMessage"].as_str().unwrap().contains("AccessDenied"), "{}", call.json());
    // Requests go on.
    assert_eq!(function.invoke(&event("GET", "/orders/1")).json()["statusCode"], 200);
}

#[test]
fn a_file_is_written_in_one_step_with_its_history() {
    let folder = Folder::new();
    let file = folder.write("live.json", state(3, 100, "finished"));
    let place = format!("file:{file}");
    let config = config(&folder, "  schedule: advance\n  alarms: modern-5xx");
    let function = Function::start(&[("CROSSFADE_CONFIG", &config), ("CROSSFADE_LIVE", &place)]);
    assert_eq!(system(&function), "modern");
    let document = function.invoke(&alarm("modern-5xx", "ALARM", 0)).json();
    assert_eq!(document["changed"], true, "{document}");
    assert_eq!(system(&function), "legacy");
    let written: Value = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
    assert_eq!(written["version"], 4);
    assert!(fs::exists(format!("{file}.history/0000000004.json")).unwrap());
    let document = advance(&function);
    assert_eq!(document["routes"][0]["reason"], "it is aborted", "{document}");
}

#[test]
fn a_parameter_is_claimed_before_it_is_written() {
    let (folder, value) = (Folder::new(), Arc::new(Mutex::new((state(3, 50, "running"), 7_u32))));
    let calls = Arc::new(Mutex::new(Vec::new()));
    let (kept, held) = (calls.clone(), value.clone());
    let address = serve(move |call| {
        let (action, body) = (call.field("x-amz-target").unwrap().to_owned(), call.json());
        let action = action.strip_prefix("AmazonSSM.").unwrap().to_owned();
        kept.lock().unwrap().push(format!("{action} {}", body["Name"].as_str().unwrap()));
        let mut held = held.lock().unwrap();
        let reply = match action.as_str() {
            "GetParameter" => json!({ "Parameter": { "Value": held.0, "Version": held.1 } }),
            "PutParameter" if body["Overwrite"] == true => {
                assert!(body.get("Type").is_none(), "another type, such as `SecureString`, would be an error");
                *held = (body["Value"].as_str().unwrap().to_owned(), held.1 + 1);
                json!({ "Version": held.1 })
            }
            _ => json!({}),
        };
        response("200 OK", &[], reply.to_string().as_bytes())
    });
    let config = config(&folder, "  alarms: modern-5xx");
    let function = start(&config, address, &[("CROSSFADE_LIVE", "ssm:/shop/live")]);
    system(&function);
    calls.lock().unwrap().clear();
    let document = function.invoke(&alarm("modern-5xx", "ALARM", 0)).json();
    assert_eq!(document["changed"], true, "{document}");
    let claim = "/shop/live.claim-7-1";
    assert_eq!(
        *calls.lock().unwrap(),
        [
            "GetParameter /shop/live".to_owned(),
            format!("PutParameter {claim}"),
            "GetParameter /shop/live".to_owned(),
            "PutParameter /shop/live".to_owned(),
            format!("DeleteParameter {claim}"),
        ]
    );
    assert_eq!(system(&function), "legacy");
}
