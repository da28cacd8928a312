//! Requests that are repeated to find out how much each system differs from itself: which ones, how often, and the evidence in
//! the records.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use crossfade_proxy::Proxy;
use http::Method;
use serde_json::{Value, json};
use tokio::sync::Notify;

use crate::support::{self, Answer, Origin, Tls, ask, changed, config, get, request};

/// Responds with `status content` to the first request, the second and so on, and with the last one to all others.
async fn responding(responses: &'static [&'static str]) -> Origin {
    let count = Arc::new(AtomicUsize::new(0));
    Origin::start(Tls::Plain, move |mut conn| {
        let count = count.clone();
        async move {
            while conn.request().await.is_some() {
                let response = responses.get(count.fetch_add(1, Ordering::SeqCst)).or(responses.last()).unwrap();
                let (status, content) = response.split_once(' ').unwrap();
                conn.write(message(status, content)).await;
            }
        }
    })
    .await
}

fn message(status: &str, content: &str) -> String {
    let length = if status == "304" { String::new() } else { format!("content-length: {}\r\n", content.len()) };
    format!("HTTP/1.1 {status} Any\r\ncontent-type: application/json\r\n{length}\r\n{content}")
}

fn text(legacy: &Origin, modern: &Origin, mirror: &str) -> String {
    format!(
        "backends: {{ legacy: '{}', modern: '{}' }}\ndefault: {{ forward: legacy, mirror: {{ backend: modern, percent: 100, {mirror} }} \
         }}\n",
        legacy.url(),
        modern.url()
    )
}

fn mirrored(legacy: &Origin, modern: &Origin, mirror: &str) -> Proxy {
    config(&text(legacy, modern, mirror), &[])
}

/// The evidence in a record, as `place: repeated`, and the reason why there is none.
fn evidence(record: &Value) -> String {
    let differences = record["differences"].as_array().into_iter().flatten().map(|difference| {
        let repeated = difference["repeated"].as_str().unwrap_or("-");
        format!("{}: {repeated}", difference["pointer"].as_str().unwrap())
    });
    let mut parts: Vec<String> = differences.collect();
    parts.sort();
    parts.extend(record["not_repeated"].as_str().map(str::to_owned));
    format!("{} {}", record["verdict"].as_str().unwrap(), parts.join(", ")).trim_end().to_owned()
}

fn only(answer: &Answer) -> &Value {
    assert_eq!(answer.comparisons.len(), 1, "{:?}", answer.comparisons);
    &answer.comparisons[0]
}

#[tokio::test]
async fn each_difference_has_its_own_evidence() {
    type Case = (&'static [&'static str], &'static [&'static str], &'static str, &'static str, [usize; 2]);
    // Responses of both systems, keys of the mirror, evidence, requests to both systems.
    let cases: [Case; 19] = [
        (&[r#"200 {"x":1}"#], &[r#"200 {"x":1}"#], "", "match", [1, 1]),
        // A token.
        (&[r#"200 {"t":"a"}"#, r#"200 {"t":"b"}"#], &[r#"200 {"t":"c"}"#], "", "different /t: varies", [2, 1]),
        // A real difference.
        (&[r#"200 {"x":1}"#], &[r#"200 {"x":2}"#], "", "different /x: same", [2, 2]),
        (
            &[r#"200 {"t":"a","x":1}"#, r#"200 {"t":"b","x":1}"#],
            &[r#"200 {"t":"c","x":2}"#],
            "",
            "different /t: varies, /x: same",
            [2, 2],
        ),
        // Two replicas of the old system.
        (&[r#"200 {"x":1}"#, r#"200 {"x":2}"#], &[r#"200 {"x":2}"#], "", "different /x: swapped", [2, 1]),
        (&[r#"200 {"x":1}"#], &[r#"200 {"x":2}"#, r#"200 {"x":3}"#], "", "different /x: unstable", [2, 2]),
        // With another status, the second response shows nothing about a place but that it varies.
        (&[r#"200 {"x":1}"#, r#"404 {"x":1}"#], &[r#"200 {"x":2}"#], "", "different /x: varies", [2, 1]),
        (&[r#"200 {"x":1}"#], &[r#"200 {"x":2}"#, r#"404 {"x":2}"#], "", "different /x: unstable", [2, 2]),
        // A second response that is a failure may be due to the second request.
        (&[r#"200 {"x":1}"#, "503 -"], &[r#"200 {"x":2}"#], "", "different /x: -, failed", [2, 1]),
        (&[r#"200 {"x":1}"#, "429 -"], &[r#"200 {"x":2}"#], "", "different /x: -, failed", [2, 1]),
        (&[r#"200 {"x":1}"#], &[r#"200 {"x":2}"#, "503 -"], "", "different /x: primary", [2, 2]),
        (&[r#"200 {"x":1}"#], &[r#"200 {"x":2}"#, "429 -"], "", "different /x: primary", [2, 2]),
        // So may be the first one, but it is a difference.
        (&[r#"200 {"x":1}"#], &["500 -"], "", "different status: same", [2, 2]),
        (&[r#"200 {"x":1}"#], &["500 -", r#"200 {"x":1}"#], "", "different status: unstable", [2, 2]),
        (&["200 1", "404 1"], &["404 1"], "", "different status: swapped", [2, 1]),
        // Nothing is repeated that nobody will look at.
        (&[r#"200 {"x":1}"#], &[r#"200 {"x":2}"#], "compare: { accepted: /x }", "accepted /x: -", [1, 1]),
        (&[r#"200 {"x":1}"#], &[r#"200 {"x":2}"#], "compare: false", "unknown", [1, 1]),
        (&[r#"200 {"x":1}"#], &[r#"200 {"x":2}"#], "compare: { noise: false }", "different /x: -, share", [1, 1]),
        (
            &[r#"200 {"x":1}"#],
            &[r#"200 {"x":2}"#],
            "compare: { noise: { repeat: 0 } }",
            "different /x: -, share",
            [1, 1],
        ),
    ];
    for (ours, theirs, mirror, expected, requests) in cases {
        let (legacy, modern) = (responding(ours).await, responding(theirs).await);
        let answer = ask(&mirrored(&legacy, &modern, mirror), get("/a")).await;
        assert_eq!(evidence(only(&answer)), expected, "{ours:?} {theirs:?} {mirror}: {:?}", answer.comparisons);
        assert_eq!([legacy.requests().len(), modern.requests().len()], requests, "{ours:?} {theirs:?} {mirror}");
        let is_marked = |request: &String| request.contains("\nx-crossfade-mirror: 1\n");
        assert!(legacy.requests().iter().skip(1).chain(&modern.requests()).all(is_marked));
    }
}

#[tokio::test]
async fn a_mirror_that_does_not_respond_is_asked_again() {
    let legacy = responding(&["200 1"]).await;
    let modern = Origin::start(Tls::Plain, |mut conn| async move {
        conn.request().await;
        conn.reset();
    })
    .await;
    let answer = ask(&mirrored(&legacy, &modern, ""), get("/a")).await;
    assert_eq!(evidence(only(&answer)), "different status: same");
    assert_eq!(modern.requests().len(), 2);
}

#[tokio::test]
async fn a_write_is_not_repeated() {
    let (legacy, modern) = (responding(&[r#"200 {"x":1}"#]).await, responding(&[r#"200 {"x":2}"#]).await);
    let proxy = mirrored(&legacy, &modern, "methods: [POST], compare: { noise: { selfCompare: 100 } }");
    let answer = ask(&proxy, request(Method::POST, "/a", &[("host", "www.example.com")], "x=1")).await;
    assert_eq!(evidence(only(&answer)), "different /x: -, unsafe");
    assert_eq!((legacy.requests().len(), modern.requests().len()), (1, 1));
}

#[tokio::test]
async fn one_repeated_request_serves_both_purposes() {
    for (repeat, expected, requests) in
        [("100", "different /t: varies, /x: same", 2), ("0", "different /t: varies, /x: primary", 1)]
    {
        let legacy = responding(&[r#"200 {"t":"a","x":1}"#, r#"200 {"t":"b","x":1}"#]).await;
        let modern = responding(&[r#"200 {"t":"c","x":2}"#]).await;
        let mirror = format!("compare: {{ noise: {{ repeat: {repeat}, selfCompare: 100 }} }}");
        let answer = ask(&mirrored(&legacy, &modern, &mirror), get("/a")).await;
        let [mirror, itself] = &answer.comparisons[..] else { panic!("{:?}", answer.comparisons) };
        assert_eq!([evidence(mirror), evidence(itself)], [expected, "different /t: -"], "{repeat}");
        assert_eq!([&mirror["against"], &itself["against"]], ["mirror", "self"]);
        assert_eq!([legacy.requests().len(), modern.requests().len()], [2, requests], "{repeat}");
    }
}

/// Responds to the first request, and to none after it.
async fn once(asked_again: Arc<Notify>) -> Origin {
    let count = Arc::new(AtomicUsize::new(0));
    Origin::start(Tls::Plain, move |mut conn| {
        let (count, asked_again) = (count.clone(), asked_again.clone());
        async move {
            while conn.request().await.is_some() {
                if count.fetch_add(1, Ordering::SeqCst) > 0 {
                    asked_again.notify_one();
                    std::future::pending::<()>().await;
                }
                conn.write(message("200", r#"{"x":1}"#)).await;
            }
        }
    })
    .await
}

#[tokio::test] // the environment may end at any time
async fn a_difference_is_recorded_although_there_was_no_time_to_repeat_it() {
    let (legacy, modern) = (once(Arc::default()).await, responding(&[r#"200 {"x":2}"#]).await);
    let answer = ask(&mirrored(&legacy, &modern, "budget: 500ms"), get("/a")).await;
    assert_eq!(evidence(only(&answer)), "different /x: -, budget");
    // The same if it is the mirror that does not respond any more: there is half of the evidence.
    let (legacy, modern) = (responding(&[r#"200 {"x":2}"#]).await, once(Arc::default()).await);
    let answer = ask(&mirrored(&legacy, &modern, "budget: 500ms"), get("/a")).await;
    assert_eq!(evidence(only(&answer)), "different /x: primary");

    let asked_again = Arc::new(Notify::new());
    let (legacy, modern) = (once(asked_again.clone()).await, responding(&[r#"200 {"x":2}"#]).await);
    let proxy = mirrored(&legacy, &modern, "");
    let invocation = support::invocation(Duration::from_secs(10), SystemTime::now());
    let pending = proxy.handle(get("/a"), &invocation).await.pending.unwrap();
    let stop = async {
        asked_again.notified().await;
        "shutdown"
    };
    let records = proxy.mirror(*pending, &invocation, stop).await;
    assert_eq!(evidence(&serde_json::to_value(&records[0]).unwrap()), "different /x: -, budget");
}

/// Responds with 304 if there is a condition, unless it holds no copy that the client could have.
async fn validating(holds: bool, content: &'static str) -> Origin {
    Origin::start(Tls::Plain, move |mut conn| async move {
        while let Some(request) = conn.request().await {
            let has = |name: &str| request.contains(&format!("\n{name}: "));
            let (status, content) = match content.split_once(' ') {
                _ if holds && (has("if-none-match") || has("if-modified-since")) => ("304", ""),
                Some((status, content)) if has("range") => (status, content),
                Some((_, content)) => ("200", content),
                None => ("200", content),
            };
            conn.write(message(status, content)).await;
        }
    })
    .await
}

#[tokio::test]
async fn a_304_is_compared_by_the_content_that_it_stands_for() {
    type System = (bool, &'static str);
    // For each system: it holds what the client has, and its content.
    let cases: [(System, System, &str, &str, [usize; 2]); 8] = [
        ((true, "[1]"), (false, "[1]"), "", "match", [2, 1]),
        ((false, "[1]"), (true, "[1]"), "", "match", [1, 2]),
        ((true, "[1]"), (false, "[2]"), "", "different /0: same", [3, 2]),
        ((false, "[1]"), (true, "[2]"), "", "different /0: same", [2, 3]),
        ((true, "[1]"), (true, "[2]"), "", "match", [1, 1]),
        ((true, "[1]"), (false, "[2]"), "compare: { noise: { repeat: 0 } }", "unknown", [1, 1]),
        ((true, "206 [1]"), (false, "206 [1]"), "", "match", [2, 1]),
        ((true, "206 [1]"), (false, "[1]"), "", "match", [2, 1]),
    ];
    for (ours, theirs, mirror, expected, requests) in cases {
        let (legacy, modern) = (validating(ours.0, ours.1).await, validating(theirs.0, theirs.1).await);
        let fields = [
            ("host", "www.example.com"),
            ("if-none-match", "\"a\""),
            ("if-modified-since", "Sat, 01 Nov 2025 10:00:00 GMT"),
            ("range", "bytes=0-2"),
            ("if-range", "\"a\""),
        ];
        let answer = ask(&mirrored(&legacy, &modern, mirror), request(Method::GET, "/a", &fields, "")).await;
        let record = only(&answer);
        assert_eq!(evidence(record).replace("/*", "/0"), expected, "{ours:?} {theirs:?} {mirror}: {record}");
        assert_eq!([legacy.requests().len(), modern.requests().len()], requests, "{ours:?} {theirs:?} {mirror}");
        if expected == "unknown" {
            assert_eq!(record["reason"], "not-modified");
        }
        // Only the other system says which part of the content is meant.
        let is_partial = ours.1.contains("206") && theirs.1.contains("206");
        for later in legacy.requests().iter().skip(1).chain(modern.requests().iter().skip(1)) {
            let has = |name: &str| later.contains(&format!("\n{name}: "));
            let names = ["if-none-match", "if-modified-since", "if-range", "range"].map(has);
            assert_eq!(names, [false, false, false, is_partial], "{later}");
        }
        // The record has what was sent first.
        assert_eq!(record["primary"]["status"], if ours.0 { 304 } else { 200 });
    }
    // A system that has nothing else to say.
    let (legacy, modern) = (responding(&["304 "]).await, responding(&["200 1"]).await);
    let answer = ask(&mirrored(&legacy, &modern, ""), get("/a")).await;
    assert_eq!((&only(&answer)["verdict"], &only(&answer)["reason"]), (&json!("unknown"), &json!("not-modified")));
}

#[tokio::test]
async fn equal_requests_are_recognised_within_one_process() {
    let (legacy, modern) = (responding(&[r#"200 {"x":1}"#]).await, responding(&[r#"200 {"x":2}"#]).await);
    let proxy = mirrored(&legacy, &modern, "compare: { noise: false }");
    let with = |target: &str, fields: &[(&'static str, &str)]| {
        request(Method::GET, target, &[&[("host", "www.example.com")], fields].concat(), "")
    };
    let digests = async |proxy: &Proxy, request| {
        let answer = ask(proxy, request).await;
        ["salt", "request"].map(|member| only(&answer)[member].as_str().unwrap().to_owned())
    };
    let [salt, first] = digests(&proxy, with("/a?x=1", &[])).await;
    for (target, fields, is_same) in [
        ("/a?x=1", &[][..], true),
        ("/a?x=1", &[("user-agent", "b"), ("x-forwarded-for", "192.0.2.1")], true),
        ("/a?x=2", &[], false),
        ("/b?x=1", &[], false),
        // Another user, or another wish.
        ("/a?x=1", &[("cookie", "a=b")], false),
        ("/a?x=1", &[("authorization", "Basic YTpi")], false),
        ("/a?x=1", &[("accept-language", "de")], false),
    ] {
        let [salted, digest] = digests(&proxy, with(target, fields)).await;
        assert_eq!((salted == salt, digest == first), (true, is_same), "{target} {fields:?}");
    }
    let successor = changed(&proxy, &text(&legacy, &modern, "compare: { keepValues: true, noise: false }"), &[]);
    assert_eq!(digests(&successor, with("/a?x=1", &[])).await, [salt.clone(), first.clone()]);
    let [other, digest] = digests(&mirrored(&legacy, &modern, ""), with("/a?x=1", &[])).await;
    assert!(other != salt && digest != first);
}
