//! Canaries in what the function starts from and in events: what it posts to the Runtime API when it cannot start, and what it
//! logs, has none of them. What requests and answers leave behind in a whole run is in `crates/cli/tests/canary.rs`.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::time::Duration;

use crossfade_testkit::server::closed_port;
use serde_json::json;
use support::{Folder, Function, event, response, serve};

/// The value of `${env:API_TOKEN}`, with the syntax of every template in it. No part of it may be shown.
const FROM_ENVIRONMENT: &str = "canary-environment$canary_name${canary_braces}#{host}$1";

/// Whatever these ask for, lines differ by their time and level alone. At `FATAL` there is no line but the one of the end.
const LEVELS: [&[(&str, &str)]; 3] = [
    &[],
    &[
        ("AWS_LAMBDA_LOG_LEVEL", "TRACE"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ("RUST_LOG", "trace"),
        ("RUST_BACKTRACE", "full"),
    ],
    &[("AWS_LAMBDA_LOG_LEVEL", "FATAL"), ("AWS_LAMBDA_LOG_FORMAT", "Text")],
];

#[track_caller]
fn assert_clean(what: &str, text: &str) {
    assert!(!text.to_ascii_lowercase().contains("canary"), "{what}:\n{text}");
}

/// Starts with this, which must fail, and looks at what it says.
#[track_caller]
fn fails(what: &str, environment: &[(&str, &str)], levels: &[(&str, &str)], expected: &str) {
    let all = [&[("API_TOKEN", FROM_ENVIRONMENT)], environment, levels].concat();
    let mut function = Function::start(&all);
    let posted = function.posted();
    assert_eq!(posted.line, "POST /2018-06-01/runtime/init/error HTTP/1.1");
    let text = posted.json()["errorMessage"].as_str().unwrap().to_owned();
    assert!(text.contains(expected), "{what}: {text}");
    assert_clean(what, &format!("{posted:?}"));
    assert_eq!(function.wait().code(), Some(1), "{what}");
    let log = function.log(1);
    assert_eq!(log[0]["message"].as_str(), Some(text.as_str()), "{what}");
    assert_clean(what, &function.said());
}

fn folder_with_keys() -> Folder {
    let folder = Folder::new();
    folder.write("text.key", "canary-key");
    folder.write("broken.key", "-----BEGIN PRIVATE KEY-----\ncanary-key\n-----END PRIVATE KEY-----\n");
    folder
}

/// Each has a mistake on the line of a secret, or in one.
fn wrong_configurations() -> Vec<String> {
    let backend =
        |keys: &str| format!("backends: {{ a: {{ url: https://a.example, {keys} }} }}\ndefault: {{ forward: a }}\n");
    let route = |keys: &str| {
        format!(
            "backends: {{ a: https://a.example }}\nroutes: [{{ name: x, priority: 1, {keys} }}]\ndefault: {{ forward: a }}\n"
        )
    };
    let set = |values: &str| route(&format!("forward: a, requestHeaders: {{ set: {{ {values} }} }}"));
    vec![
        set(r#"authorization: 'Bearer canary-literal', x-a: "\u0001""#),
        set(r#"x-plain: 'canary-plain', x-a: "\u0001""#),
        set("authorization:Bearer-canary-no-space"),
        set("x-a: '${clientIp}${env:API_TOKEN}${nothing}'"),
        set("x-a: '${${env:API_TOKEN}}'"),
        set("x-a: \"\\u0001${env:API_TOKEN}\""),
        "backends: { a: 'https://anna:canary-userinfo@a.example/' }\ndefault: { forward: a }\n".to_owned(),
        "backends: { a: 'https://anna:ca/nary-canary@a.example/' }\ndefault: { forward: a }\n".to_owned(),
        "backends: { a: 'https://a.example/?token=canary-query' }\ndefault: { forward: a }\n".to_owned(),
        "backends: { a: 'https://anna:${env:API_TOKEN}@a.example/' }\ndefault: { forward: a }\n".to_owned(),
        "backends: { a: https://a.example }\ndefault: { forward: 'https://anna:canary-elsewhere@b.example' }\n"
            .to_owned(),
        "backends: { a: https://a.example }\ndefault: '${env:API_TOKEN}'\n".to_owned(),
        "backends: { a: https://a.example }\ndefault: { forward: a, x-token: canary-unknown-key }\n".to_owned(),
        "backends: { a: https://a.example }\ndefault: { forward: a }\npassword: canary\npassword: canary\n".to_owned(),
        "backends: { a: https://a.example }\ndefault: { forward: a }\nx: [canary-unclosed\n".to_owned(),
        "backends: { a: https://a.example }\ndefault: { forward: a }\nx: 'canary' canary\n".to_owned(),
        "backends: { a: https://a.example }\ndefault: { forward: a }\nx: *canary\n".to_owned(),
        backend("tls: { clientCert: { certFile: text.key, keyFile: text.key } }"),
        backend("tls: { clientCert: { certFile: broken.key, keyFile: broken.key } }"),
        backend("tls: { caFile: text.key }"),
        backend("tls: { caFile: broken.key }"),
        backend("tls: { caFile: '${env:API_TOKEN}' }"),
        backend("tls: { serverName: 'x ${env:API_TOKEN}' }"),
        backend("hostHeader: 'anna:canary-user@b.example/'").replace("anna:", "https://anna:"),
        route("conditions: { header: { name: x-api-key, values: [{ regex: '(canary-regex' }] } }, forward: a"),
        route("conditions: { path: [{ regex: '(${env:API_TOKEN}' }] }, forward: a"),
        route("forward: a, transforms: { query: { regex: '^', replace: 'key=${env:API_TOKEN}&$9' } }"),
        route("forward: a, transforms: { query: { regex: '^', replace: '${${env:API_TOKEN}}' } }"),
        route("redirect: { host: b.example, query: 'key=${env:API_TOKEN}&${9}' }"),
        route(
            "forward: { targets: [{ backend: a }], sticky: { by: { cookie: s }, pin: { a: canary-pin, b: canary-pin } } }",
        ),
        route("forward: a").replace("name: x", "name: '${env:API_TOKEN}'"),
    ]
}

#[test]
fn a_configuration_that_cannot_be_used_keeps_its_secrets() {
    let folder = folder_with_keys();
    for (text, levels) in wrong_configurations().iter().zip(LEVELS.iter().cycle()) {
        let file = folder.write("crossfade.yaml", format!("version: 1\n{text}"));
        fails(text, &[("CROSSFADE_CONFIG", &file)], levels, "");
        // JSON has another way to be read.
        let json = text.starts_with("backends: { a: 'https").then(|| {
            let url = text.split('\'').nth(1).unwrap();
            json!({ "version": 1, "backends": { "a": url }, "default": { "forward": "a" } }).to_string()
        });
        if let Some(json) = json {
            let file = folder.write("crossfade.json", &json);
            fails(&json, &[("CROSSFADE_CONFIG", &file)], levels, "crossfade.json:1:");
        }
    }
    for url in [
        "canary-no-url",
        "anna:canary-user@a.example",
        "https://anna:canary-user@a.example",
        "https://anna:canary/user@a.example",
        "https://a.example/?token=canary-query",
        "canary-scheme://a.example",
        "https://a.example:canary-port",
    ] {
        fails(url, &[("CROSSFADE_BACKEND", url)], &[], "CROSSFADE_BACKEND: ");
    }
    let key = folder.write("ca.pem", "-----BEGIN CERTIFICATE-----\ncanary\n-----END CERTIFICATE-----\n");
    fails("ca.pem", &[("CROSSFADE_BACKEND", "https://a.example"), ("SSL_CERT_FILE", &key)], &[], "ca.pem");
}

/// The log must not contain the line of the file.
#[test]
fn a_message_in_the_log_gives_the_place_and_not_the_line() {
    let folder = Folder::new();
    let text = "version: 1\nbackends: { a: https://a.example }\ndefault: { forward: a, requestHeaders: { set: { x: 'canary', x-a: \"\\u0001\" } } }\n";
    let file = folder.write("crossfade.yaml", text);
    let function = Function::start(&[("CROSSFADE_CONFIG", &file)]);
    let text = function.posted().json()["errorMessage"].as_str().unwrap().to_owned();
    let expected = format!(
        "{file}:3:67: `default.requestHeaders.set.x-a`: invalid field value\n   hint: use visible characters on \
         one line"
    );
    assert_eq!(text, expected);
}

#[test]
fn a_changed_configuration_that_is_wrong_keeps_its_secrets() {
    let address = serve(|call| response("200 OK", &[], call.field("x-token").unwrap_or_default().as_bytes()));
    let folder = folder_with_keys();
    let good = format!(
        "version: 1\nbackends: {{ a: 'http://{address}' }}\ndefault: {{ forward: a, requestHeaders: {{ set: {{ x-token: \
         '${{env:API_TOKEN}}' }} }} }}\n"
    );
    let file = folder.write("crossfade.yaml", &good);
    let function = Function::start(&[
        ("CROSSFADE_CONFIG", file.as_str()),
        ("CROSSFADE_RELOAD", "1"),
        ("API_TOKEN", FROM_ENVIRONMENT),
    ]);
    let invoke = |function: &Function| function.invoke(&event("GET", "/")).json()["body"].clone();
    // As it is: nothing in it is a variable of a template.
    assert_eq!(invoke(&function), FROM_ENVIRONMENT);
    let mut lines = 1;
    for text in wrong_configurations() {
        folder.write("next.yaml", format!("version: 1\n{text}"));
        std::fs::rename(folder.path().join("next.yaml"), &file).unwrap();
        assert_eq!(invoke(&function), FROM_ENVIRONMENT);
        lines += 2;
        let log = function.log(lines);
        let told = log.iter().rev().find(|line| line["type"] == "error").unwrap()["message"].as_str().unwrap();
        assert!(told.starts_with("the configuration is unchanged: "), "{told}");
        assert_clean(&text, &function.said());
    }
}

#[test]
fn an_event_leaves_nothing_of_its_values_in_the_log() {
    let closed = closed_port();
    let url = format!("http://127.0.0.1:{closed}");
    let headers = json!({
        "host": "shop.example.com", "authorization": "Bearer canary-authorization", "cookie": "session=canary-cookie",
        "x-api-key": "canary-key", "x-plain": "canary-plain", "user-agent": "canary-agent", "referer": "https://a/?x=canary",
        "x-forwarded-for": "canary-address", "x-amzn-trace-id": "Root=1-alb",
    });
    let good = || {
        let mut event = event("POST", "/plain");
        event["headers"] = headers.clone();
        event["queryStringParameters"] = json!({ "token": "canary-query", "canary-name": "1" });
        event["body"] = json!("password=canary-body");
        event
    };
    let change = |name: &str, value: serde_json::Value| {
        let mut event = good();
        event[name] = value;
        event.to_string()
    };
    let with_field = |name: &str, value: serde_json::Value| {
        let mut event = good();
        event["headers"][name] = value;
        event.to_string()
    };
    let events = [
        good().to_string(),
        change("headers", json!("canary")),
        change("headers", json!({ "x": { "canary": "canary" } })),
        change("multiValueHeaders", json!({ "x-token": "canary" })),
        change("queryStringParameters", json!({ "x": ["canary"] })),
        change("queryStringParameters", json!({ "x": "canary \u{1}" })),
        change("queryStringParameters", json!("canary")),
        change("isBase64Encoded", json!("canary")),
        change("isBase64Encoded", json!(true)),
        change("body", json!({ "canary": 1 })),
        change("httpMethod", json!("CANARY canary")),
        change("path", json!(["canary"])),
        change("path", json!("no-slash-canary")),
        change("requestContext", json!("canary")),
        with_field("x-secret", json!("canary\r\nx: y")),
        // Names are told, values never.
        with_field("no name", json!("canary")),
        with_field("upgrade", json!("websocket; canary")),
        with_field("via", json!("1.1 crossfade (canary)")),
        with_field("content-length", json!("canary")),
        with_field("host", json!("canary/@canary canary")),
        r#"{"canary": "canary"}"#.to_owned(),
        r#"{"canary": canary"#.to_owned(),
        r#""canary"#.to_owned(),
        "canary".to_owned(),
    ];
    for levels in LEVELS {
        let function = Function::start(&[&[("CROSSFADE_BACKEND", url.as_str())], levels].concat());
        let has_lines = !levels.contains(&("AWS_LAMBDA_LOG_LEVEL", "FATAL"));
        for (count, event) in events.iter().enumerate() {
            function.give(event, Duration::from_secs(10), "202 Accepted");
            let posted = function.posted();
            // Never `error`: its message would be for Lambda's log.
            assert!(posted.line.ends_with("/response HTTP/1.1"), "{}", posted.line);
            assert_clean(event, &String::from_utf8_lossy(&posted.body));
            function.log(if has_lines { count + 1 } else { 0 });
            assert_clean(event, &function.said());
        }
    }
}
