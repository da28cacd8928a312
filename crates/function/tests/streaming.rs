//! Streamed replies of the real function: which events get them, and what they cost in memory.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::time::Duration;

use serde_json::{Value, json};
use support::{Call, Folder, Function, event, response, serve};

/// An event of a function URL.
fn of_url(path: &str) -> Value {
    json!({
        "version": "2.0", "routeKey": "$default", "rawPath": path, "rawQueryString": "",
        "headers": { "host": "abc.lambda-url.eu-west-1.on.aws", "x-forwarded-proto": "https" },
        "requestContext": {
            "accountId": "anonymous", "apiId": "abc", "domainName": "abc.lambda-url.eu-west-1.on.aws",
            "domainPrefix": "abc", "requestId": "r", "routeKey": "$default", "stage": "$default",
            "http": { "method": "GET", "path": path, "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7" }
        },
        "isBase64Encoded": false
    })
}

/// An event of a REST API.
fn of_rest(path: &str) -> Value {
    json!({
        "resource": "/{proxy+}", "path": path, "httpMethod": "GET",
        "headers": { "Host": "abc.execute-api.eu-west-1.amazonaws.com" },
        "multiValueHeaders": { "Host": ["abc.execute-api.eu-west-1.amazonaws.com"] },
        "queryStringParameters": null, "multiValueQueryStringParameters": null,
        "pathParameters": { "proxy": "a" }, "stageVariables": null,
        "requestContext": {
            "resourceId": "1", "resourcePath": "/{proxy+}", "httpMethod": "GET", "path": format!("/prod{path}"),
            "protocol": "HTTP/1.1", "stage": "prod", "requestId": "r", "apiId": "abc",
            "identity": { "sourceIp": "203.0.113.7" }
        },
        "body": null, "isBase64Encoded": false
    })
}

/// A back end that responds with `ok` and two cookies.
fn back_end() -> String {
    let fields = [("content-type", "text/plain"), ("set-cookie", "a=1"), ("set-cookie", "b=2")];
    format!("http://{}", serve(move |_| response("200 OK", &fields, b"ok")))
}

fn is_streamed(posted: &Call) -> bool {
    let is_streamed = posted.field("lambda-runtime-function-response-mode") == Some("streaming");
    assert_eq!(posted.body.windows(8).any(|bytes| bytes == [0; 8]), is_streamed);
    let content_type = posted.field("content-type").unwrap_or_default();
    assert_eq!(content_type == "application/vnd.awslambda.http-integration-response", is_streamed, "{content_type}");
    is_streamed
}

#[test]
fn the_front_ends_that_are_named_get_them() {
    let url = back_end();
    let folder = Folder::new();
    for (streaming, variable, expected) in [
        ("", "", [false, false]),
        ("streaming: function-url", "", [true, false]),
        ("streaming: [rest-api]", "", [false, true]),
        ("streaming: [rest-api, function-url]", "", [true, true]),
        ("streaming: rest-api", "function-url", [true, false]),
        ("", "function-url,rest-api", [true, true]),
    ] {
        let file = folder.write(
            "crossfade.yaml",
            format!("version: 1\n{streaming}\nbackends: {{ a: '{url}' }}\ndefault: {{ forward: a }}\n"),
        );
        let function = Function::start(&[("CROSSFADE_CONFIG", &file), ("CROSSFADE_STREAMING", variable)]);
        let streamed = [of_url("/a"), of_rest("/a")].map(|event| is_streamed(&function.invoke(&event)));
        assert_eq!(streamed, expected, "{streaming} {variable}");
        // ALB cannot.
        let posted = function.invoke(&event("GET", "/a"));
        assert!(!is_streamed(&posted));
        assert_eq!(posted.json()["body"], "ok");
    }
}

#[test]
fn each_front_end_has_its_prelude() {
    let function =
        Function::start(&[("CROSSFADE_BACKEND", &back_end()), ("CROSSFADE_STREAMING", "function-url,rest-api")]);
    let fields = r#""content-length":"2","content-type":"text/plain""#;
    let multi = r#""content-length":["2"],"content-type":["text/plain"],"set-cookie":["a=1","b=2"]"#;
    for (event, expected) in [
        (of_url("/a"), format!("{{\"statusCode\":200,\"headers\":{{{fields}}},\"cookies\":[\"a=1\",\"b=2\"]}}")),
        (of_rest("/a"), format!("{{\"statusCode\":200,\"multiValueHeaders\":{{{multi}}}}}")),
    ] {
        let posted = function.invoke(&event);
        assert_eq!(posted.line.split(' ').nth(1).unwrap().rsplit('/').next(), Some("response"));
        assert_eq!(posted.field("lambda-runtime-invocation-id"), Some("invocation-7"));
        assert_eq!(String::from_utf8(posted.body).unwrap(), format!("{expected}\0\0\0\0\0\0\0\0ok"));
        let line = function.log(1).pop().unwrap();
        assert_eq!((&line["status"], &line["response_bytes"]), (&200.into(), &2.into()), "{line}");
    }
}

#[test]
fn a_wrong_variable_keeps_the_function_from_starting() {
    let mut function = Function::start(&[("CROSSFADE_BACKEND", "http://127.0.0.1:9"), ("CROSSFADE_STREAMING", "alb")]);
    let posted = function.posted();
    assert!(posted.line.contains("/init/error "), "{}", posted.line);
    let message = posted.json()["errorMessage"].as_str().unwrap().to_owned();
    assert_eq!(
        message,
        "`CROSSFADE_STREAMING` is not a list of `function-url` and `rest-api`, with commas between them"
    );
    assert!(!function.wait().success());
}

#[cfg(target_os = "linux")]
#[test]
fn the_memory_does_not_grow_with_the_content() {
    const LENGTH: usize = 96 << 20;
    let address = serve(|_| response("200 OK", &[("content-type", "video/mp4")], &vec![b'x'; LENGTH]));
    let function = Function::start(&[
        ("CROSSFADE_BACKEND", &format!("http://{address}")),
        ("CROSSFADE_STREAMING", "function-url"),
    ]);
    function.give(of_url("/large").to_string(), Duration::from_secs(60), "202 Accepted");
    let posted = function.posted();
    let end = posted.body.windows(8).position(|bytes| bytes == [0; 8]).unwrap();
    assert_eq!(posted.body.len() - end - 8, LENGTH);
    let status = std::fs::read_to_string(format!("/proc/{}/status", function.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
    assert!(kilobytes < 32 * 1024, "{kilobytes} KB");
}
