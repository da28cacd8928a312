//! Responses that the load balancer cannot carry: which ones are stored, how, and what happens when that fails. The bucket here is a
//! stand-in that remembers requests and misbehaves on purpose; `crates/cli/tests` has moto.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crossfade_testkit::server::{Action, Server};
use serde_json::{Value, json};
use support::{Call, Folder, Function, event, response, serve};

const MB: usize = 1 << 20;

/// A bucket that takes everything, unless `refuses` has a response for a request.
struct Bucket {
    address: SocketAddr,
    calls: Arc<Mutex<Vec<Call>>>,
}

impl Bucket {
    fn start(refuses: impl Fn(&Call, usize) -> Option<Vec<u8>> + Send + Sync + 'static) -> Bucket {
        let calls: Arc<Mutex<Vec<Call>>> = Arc::default();
        let known = calls.clone();
        let address = serve(move |call| {
            let count = known.lock().unwrap().len();
            let answer = refuses(&call, count).unwrap_or_else(|| accept(&call));
            known.lock().unwrap().push(call);
            answer
        });
        Bucket { address, calls }
    }

    /// The requests so far, as methods and what is to be done.
    fn requests(&self) -> Vec<String> {
        let calls = self.calls.lock().unwrap();
        let short = |call: &Call| {
            let (method, target) = (call.line.split(' ').next().unwrap(), call.target());
            format!("{method} {}", target.split_once('?').map_or("", |(_, query)| query))
        };
        calls.iter().map(short).collect()
    }

    fn content(&self) -> Vec<u8> {
        let calls = self.calls.lock().unwrap();
        calls.iter().filter(|call| call.line.starts_with("PUT")).flat_map(|call| call.body.clone()).collect()
    }
}

fn accept(call: &Call) -> Vec<u8> {
    match call.target().split_once('?').map(|(_, query)| query) {
        Some("uploads=") => response(
            "200 OK",
            &[],
            b"<InitiateMultipartUploadResult><UploadId>u/1==</UploadId></InitiateMultipartUploadResult>",
        ),
        Some(query) if query.starts_with("partNumber=") => {
            let number = query.trim_start_matches("partNumber=").split('&').next().unwrap();
            response("200 OK", &[("etag", &format!("\"tag-{number}\""))], b"")
        }
        Some(_) if call.line.starts_with("POST") => response("200 OK", &[], b"<CompleteMultipartUploadResult/>"),
        Some(_) => b"HTTP/1.1 204 No Content\r\n\r\n".to_vec(),
        None => response("200 OK", &[("etag", "\"tag\"")], b""),
    }
}

/// A function with a back end of two routes: `/kept/…` stores nothing.
fn start(folder: &Folder, bucket: SocketAddr, back_end: SocketAddr) -> Function {
    let file = folder.write(
        "crossfade.yaml",
        format!(
            "version: 1\nspill: {{ bucket: shop-responses, expires: 10m }}\nbackends: {{ a: 'http://{back_end}' }}\n\
             routes:\n  - {{ name: kept, priority: 1, conditions: {{ path: /kept/* }}, forward: a, spill: false }}\n\
             default: {{ forward: a }}\n"
        ),
    );
    Function::start(&[
        ("CROSSFADE_CONFIG", &file),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "s3cret"),
        ("AWS_SESSION_TOKEN", "t0ken"),
        ("AWS_ENDPOINT_URL_S3", &format!("http://{bucket}")),
    ])
}

/// Bytes that neither gzip nor text make smaller.
fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u64;
    let next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 56) as u8
    };
    std::iter::repeat_with(next).take(length).collect()
}

fn chunked(fields: &str, content: &[u8], is_complete: bool) -> Vec<u8> {
    let mut answer = format!("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n{fields}\r\n").into_bytes();
    for chunk in content.chunks(100_000) {
        answer.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
        answer.extend_from_slice(chunk);
        answer.extend_from_slice(b"\r\n");
    }
    if is_complete {
        answer.extend_from_slice(b"0\r\n\r\n");
    }
    answer
}

fn line(function: &Function) -> Value {
    let is_access = |line: &Value| line["type"] == "access";
    function.log_until(|log| log.iter().any(is_access)).into_iter().rfind(is_access).unwrap()
}

#[test]
fn a_file_is_stored_with_its_fields_and_the_client_redirected() {
    for length in [MB, 3 * MB] {
        let bucket = Bucket::start(|_, _| None);
        let content = noise(length);
        let fields = [
            ("content-type", "application/pdf"),
            ("content-disposition", "attachment; filename=\"r.pdf\""),
            ("cache-control", "private, max-age=60"),
            ("etag", "\"7\""),
            ("set-cookie", "a=1"),
        ];
        let expected = content.clone();
        let back_end = serve(move |_| response("200 OK", &fields, &content));
        let folder = Folder::new();
        let function = start(&folder, bucket.address, back_end);
        let reply = function.invoke(&event("GET", "/files/report.pdf")).json();
        assert_eq!(reply["statusCode"], 307, "{reply}\n{}", function.said());
        let fields = &reply["headers"];
        assert_eq!((&fields["cache-control"], &fields["set-cookie"]), (&json!("no-store"), &json!("a=1")), "{fields}");
        for name in ["content-type", "content-disposition", "content-length", "etag"] {
            assert!(fields[name].is_null(), "{fields}");
        }
        let location = fields["location"].as_str().unwrap().to_owned();
        let begin = format!("http://{}/shop-responses/responses/", bucket.address);
        let (key, query) = location.strip_prefix(&begin).unwrap().split_once('?').unwrap();
        assert_eq!(key.split_once('/').map(|(random, name)| (random.len(), name)), Some((32, "report.pdf")), "{key}");
        for part in
            ["X-Amz-Credential=AKID%2F", "&X-Amz-Expires=600&", "&X-Amz-Security-Token=t0ken&", "&X-Amz-Signature="]
        {
            assert!(query.contains(part), "{query}");
        }

        assert_eq!(bucket.requests(), ["PUT "]);
        let calls = bucket.calls.lock().unwrap();
        assert_eq!(calls[0].target(), format!("/shop-responses/responses/{key}"));
        assert!(calls[0].body == expected, "{} bytes", calls[0].body.len());
        for (name, value) in [
            ("content-type", "application/pdf"),
            ("content-disposition", "attachment; filename=\"r.pdf\""),
            ("cache-control", "private, max-age=60"),
        ] {
            assert_eq!(calls[0].field(name), Some(value));
        }
        assert_eq!((calls[0].field("etag"), calls[0].field("set-cookie")), (None, None));
        let line = line(&function);
        assert_eq!((&line["status"], &line["response_bytes"]), (&json!(307), &json!(0)), "{line}");
        assert_eq!((&line["spilled_bytes"], &line["error"]), (&json!(length), &Value::Null), "{line}");
        assert!(!function.said().contains("X-Amz-"), "the link is a secret");
    }
}

#[test]
fn a_content_of_unknown_length_is_stored_in_parts() {
    let bucket = Bucket::start(|_, _| None);
    let content = noise(20 * MB);
    let expected = content.clone();
    let back_end = serve(move |_| chunked("content-type: video/mp4\r\n", &content, true));
    let folder = Folder::new();
    let function = start(&folder, bucket.address, back_end);
    let reply = function.invoke(&event("GET", "/a/")).json();
    assert_eq!(reply["statusCode"], 307, "{reply}\n{}", function.said());
    assert_eq!(
        bucket.requests(),
        [
            "POST uploads=",
            "PUT partNumber=1&uploadId=u%2F1%3D%3D",
            "PUT partNumber=2&uploadId=u%2F1%3D%3D",
            "PUT partNumber=3&uploadId=u%2F1%3D%3D",
            "POST uploadId=u%2F1%3D%3D",
        ]
    );
    assert!(bucket.content() == expected);
    let calls = bucket.calls.lock().unwrap();
    assert_eq!(calls[0].field("content-type"), Some("video/mp4"));
    let document = String::from_utf8(calls[4].body.clone()).unwrap();
    let (_, parts) = document.split_once('>').unwrap();
    let part = |number| format!("<Part><PartNumber>{number}</PartNumber><ETag>\"tag-{number}\"</ETag></Part>");
    assert_eq!(parts, format!("{}{}{}</CompleteMultipartUpload>", part(1), part(2), part(3)));
    assert_eq!(line(&function)["spilled_bytes"], 20 * MB);
    // A small one is not touched.
    let back_end = serve(|_| chunked("", b"small", true));
    let function = start(&folder, bucket.address, back_end);
    assert_eq!(function.invoke(&event("GET", "/a")).json()["body"], "small");
}

#[test]
fn the_rest_gets_what_it_would_get_without() {
    let bucket = Bucket::start(|_, _| None);
    let back_end = serve(move |call: Call| match call.target() {
        "/head" => b"HTTP/1.1 200 OK\r\ncontent-length: 5000000\r\n\r\n".to_vec(),
        "/events" => response("200 OK", &[("content-type", "text/event-stream; charset=utf-8")], &noise(2 * MB)),
        "/part" => response("206 Partial Content", &[("content-range", "bytes 0-2097151/9000000")], &noise(2 * MB)),
        "/error" => response("404 Not Found", &[], &noise(2 * MB)),
        "/text" => response("200 OK", &[("content-type", "application/json")], &b"[1, 2, 3], ".repeat(300_000)),
        _ => response("200 OK", &[], &noise(2 * MB)),
    });
    let folder = Folder::new();
    let function = start(&folder, bucket.address, back_end);
    let mut text = event("GET", "/text");
    text["headers"]["accept-encoding"] = json!("gzip");
    for (event, status) in [
        (event("HEAD", "/head"), 200),
        (event("GET", "/part"), 502),
        (event("GET", "/events"), 502),
        (event("GET", "/error"), 502),
        (event("POST", "/file"), 502),
        (event("GET", "/kept/file"), 502),
        (text, 200),
    ] {
        let reply = function.invoke(&event).json();
        assert_eq!(reply["statusCode"], status, "{event} {}", reply["headers"]);
        if status == 502 {
            let field = reply["headers"]["proxy-status"].as_str().unwrap();
            assert!(field.contains("http_response_body_size") && field.contains("send it compressed"), "{field}");
        }
    }
    assert_eq!(bucket.requests(), [""; 0]);
    // Text that does not fit even so, or for a client without gzip.
    assert_eq!(function.invoke(&event("GET", "/text")).json()["statusCode"], 307);
    assert_eq!(bucket.requests(), ["PUT "]);
}

#[test]
fn a_failure_is_a_502_that_says_what_to_do_and_leaves_nothing_behind() {
    let error =
        |status: &str, code: &str| response(status, &[], format!("<Error><Code>{code}</Code></Error>").as_bytes());
    type Refuses = Box<dyn Fn(&Call, usize) -> Option<Vec<u8>> + Send + Sync>;
    let cases: [(usize, Refuses, &str, usize); 6] = [
        (
            2 * MB,
            Box::new(move |_, _| Some(error("403 Forbidden", "AccessDenied"))),
            "S3 responded AccessDenied; allow the function `s3:PutObject`",
            1,
        ),
        (2 * MB, Box::new(move |_, _| Some(error("404 Not Found", "NoSuchBucket"))), "create the bucket", 1),
        (
            2 * MB,
            Box::new(move |_, _| Some(error("301 Moved Permanently", "PermanentRedirect"))),
            "in the function's region",
            1,
        ),
        (2 * MB, Box::new(move |_, _| Some(error("503 Slow Down", "SlowDown"))), "S3 responded SlowDown", 3),
        (
            9 * MB,
            Box::new(move |call, _| {
                call.target().contains("partNumber=2").then(|| error("403 Forbidden", "AccessDenied"))
            }),
            "AccessDenied",
            4,
        ),
        (9 * MB, Box::new(move |_, count| (count == 3).then(|| error("200 OK", "InternalError"))), "InternalError", 5),
    ];
    for (length, refuses, expected, requests) in cases {
        let bucket = Bucket::start(refuses);
        let back_end = serve(move |_| response("200 OK", &[], &noise(length)));
        let folder = Folder::new();
        let function = start(&folder, bucket.address, back_end);
        let reply = function.invoke(&event("GET", "/a")).json();
        assert_eq!(reply["statusCode"], 502, "{expected}");
        let field = reply["headers"]["proxy-status"].as_str().unwrap();
        assert!(field.contains("send it compressed, in pages, or past the proxy") && !field.contains("S3"), "{field}");
        let line = line(&function);
        let detail = line["detail"].as_str().unwrap();
        assert!(detail.contains(expected) && !detail.contains("shop-responses"), "{detail}");
        assert_eq!((&line["error"], &line["spilled_bytes"]), (&json!("http_response_body_size"), &Value::Null));
        let found = bucket.requests();
        assert_eq!(found.len(), requests, "{found:?}");
        if length > 8 * MB {
            assert_eq!(found.last().unwrap(), "DELETE uploadId=u%2F1%3D%3D");
        }
    }
}

#[test]
fn a_busy_bucket_is_asked_again() {
    let bucket = Bucket::start(|_, count| (count < 2).then(|| response("503 Slow Down", &[], b"")));
    let back_end = serve(|_| response("200 OK", &[], &noise(2 * MB)));
    let folder = Folder::new();
    let function = start(&folder, bucket.address, back_end);
    assert_eq!(function.invoke(&event("GET", "/a")).json()["statusCode"], 307);
    assert_eq!(bucket.requests().len(), 3);
}

#[test]
fn a_content_that_breaks_off_is_not_stored() {
    let bucket = Bucket::start(|_, _| None);
    let back_end = Server::start(None, |_, _| Action::SendAndClose(chunked("", &noise(9 * MB), false).into())).unwrap();
    let folder = Folder::new();
    let function = start(&folder, bucket.address, back_end.keep());
    let reply = function.invoke(&event("GET", "/a")).json();
    assert_eq!(reply["statusCode"], 502);
    assert_eq!(reply["headers"]["proxy-status"], "crossfade; error=http_response_incomplete");
    let found = bucket.requests();
    assert!(!found.iter().any(|request| request.starts_with("POST uploadId")), "{found:?}");
    assert_eq!(found.last().unwrap(), "DELETE uploadId=u%2F1%3D%3D", "{found:?}");
    assert_eq!(line(&function)["error"], "http_response_incomplete");
}

#[test]
fn a_bucket_that_does_not_answer_costs_the_rest_of_the_time() {
    let bucket = Server::start(None, |_, _| Action::Hang).unwrap();
    let back_end = serve(|_| response("200 OK", &[], &noise(2 * MB)));
    let folder = Folder::new();
    let function = start(&folder, bucket.keep(), back_end);
    function.give(event("GET", "/a").to_string(), Duration::from_secs(2), "202 Accepted");
    let reply = function.posted().json();
    assert_eq!(reply["statusCode"], 504, "{reply}");
    assert_eq!(line(&function)["error"], "http_response_timeout");
}

#[test]
fn without_credentials_the_reason_is_logged() {
    let back_end = serve(|_| response("200 OK", &[], &noise(2 * MB)));
    let folder = Folder::new();
    let file = folder.write(
        "crossfade.yaml",
        format!(
            "version: 1\nspill: {{ bucket: shop }}\nbackends: {{ a: 'http://{back_end}' }}\ndefault: {{ forward: a }}\n"
        ),
    );
    let function = Function::start(&[("CROSSFADE_CONFIG", &file), ("AWS_REGION", "eu-west-1")]);
    assert_eq!(function.invoke(&event("GET", "/a")).json()["statusCode"], 502);
    let line = line(&function);
    assert!(line["detail"].as_str().unwrap().ends_with("there are no credentials in the environment"), "{line}");
}

#[test]
fn a_stored_response_is_compared() {
    for (length, differs, verdict, reason) in [
        (3 * MB, false, "match", Value::Null),
        (3 * MB, true, "different", Value::Null),
        (5 * MB, true, "unknown", json!("too-large")),
    ] {
        let bucket = Bucket::start(|_, _| None);
        let system = move |differs: bool| {
            serve(move |_| {
                let mut content = noise(length);
                content[length - 1] ^= u8::from(differs);
                response("200 OK", &[("content-type", "application/pdf")], &content)
            })
        };
        let (legacy, modern) = (system(false), system(differs));
        let folder = Folder::new();
        let file = folder.write(
            "crossfade.yaml",
            format!(
                "version: 1\nspill: {{ bucket: shop }}\nbackends: {{ a: 'http://{legacy}', b: 'http://{modern}' }}\n\
                 default: {{ forward: a, mirror: {{ backend: b, percent: 100 }} }}\n"
            ),
        );
        let function = Function::start(&[
            ("CROSSFADE_CONFIG", &file),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", "s3cret"),
            ("AWS_ENDPOINT_URL_S3", &format!("http://{}", bucket.address)),
        ]);
        assert_eq!(function.invoke(&event("GET", "/a")).json()["statusCode"], 307);
        let is_compared = |line: &Value| line["type"] == "compare";
        let log = function.log_until(|log| log.iter().any(is_compared));
        let record = log.iter().find(|line| is_compared(line)).unwrap();
        assert_eq!((&record["verdict"], &record["reason"]), (&json!(verdict), &reason), "{record}");
        assert_eq!(
            (&record["primary"]["status"], &record["primary"]["bytes"]),
            (&json!(200), &json!(length)),
            "{record}"
        );
        assert_eq!(bucket.requests(), ["PUT "], "the copy is not stored");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn the_memory_does_not_grow_with_the_content() {
    const LENGTH: usize = 96 * MB;
    let length = Arc::new(Mutex::new(0));
    let known = length.clone();
    let bucket = serve(move |call| {
        *known.lock().unwrap() += if call.line.starts_with("PUT") { call.body.len() } else { 0 };
        accept(&call)
    });
    let back_end = serve(|_| response("200 OK", &[("content-type", "video/mp4")], &vec![b'x'; LENGTH]));
    let folder = Folder::new();
    let function = start(&folder, bucket, back_end);
    function.give(event("GET", "/large").to_string(), Duration::from_secs(60), "202 Accepted");
    let reply = function.posted().json();
    assert_eq!((&reply["statusCode"], *length.lock().unwrap()), (&json!(307), LENGTH), "{reply}");
    let status = std::fs::read_to_string(format!("/proc/{}/status", function.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    let kilobytes: usize = peak.trim().trim_end_matches(" kB").parse().unwrap();
    println!("{kilobytes} KB");
    assert!(kilobytes < 48 * 1024, "{kilobytes} KB");
}
