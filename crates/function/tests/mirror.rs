//! Timing of shadow requests: after the reply, before the next event, and not after the end. The real process runs between
//! a Runtime API and two back ends.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use crossfade_testkit::process::Signal;
use serde_json::{Value, json};
use support::{Folder, Function, Held, PATIENCE, event, response, serve};

fn held() -> Held {
    Held::start("text/plain", |_| "ok".to_owned())
}

fn legacy() -> SocketAddr {
    serve(|_| response("200 OK", &[("content-type", "text/plain")], b"ok"))
}

/// Requests to `/mirrored` are copied, others are not. None is repeated unless the keys say so.
fn config(legacy: SocketAddr, modern: SocketAddr, mirror: &str) -> (Folder, String) {
    let folder = Folder::new();
    let once = if mirror.contains("compare") { "" } else { ", compare: { noise: false }" };
    let text = format!(
        "version: 1\nbackends: {{ legacy: 'http://{legacy}', modern: 'http://{modern}' }}\nroutes:\n  - name: mirrored\n    priority: 1\n    \
         conditions: {{ path: /mirrored }}\n    forward: legacy\n    mirror: {{ backend: modern, percent: 100{once}, {mirror} }}\ndefault: {{ \
         forward: legacy }}\n"
    );
    let file = folder.write("crossfade.yaml", text);
    (folder, file)
}

fn comparisons(log: &[Value]) -> Vec<&Value> {
    log.iter().filter(|line| line["type"] == "compare").collect()
}

#[test]
fn a_copy_is_sent_after_the_reply_and_before_the_next_event() {
    let modern = held();
    let (_folder, file) = config(legacy(), modern.address, "");
    let function = Function::start(&[("CROSSFADE_CONFIG", &file)]);
    let plain = function.invoke(&event("GET", "/plain")).body;
    let posted = function.invoke(&event("GET", "/mirrored"));
    assert_eq!(posted.body, plain, "the same bytes with and without a mirror");
    // The copy has no answer yet, and the client has its own.
    modern.asked();
    assert_eq!(function.log(2).len(), 2, "both access lines are there, and no comparison yet");

    function.give(event("GET", "/plain").to_string(), Duration::from_secs(10), "202 Accepted");
    std::thread::sleep(Duration::from_millis(200));
    assert_eq!(function.log(2).len(), 2, "the next event waits for the copy");
    modern.release(1);
    function.posted();
    let log = function.log(4);
    let kinds: Vec<_> = log.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(kinds, ["access", "access", "compare", "access"]);
    assert_eq!((&log[2]["verdict"], &log[2]["request_id"]), (&json!("match"), &log[1]["request_id"]));
}

#[test]
fn a_mirror_that_hangs_ends_with_the_invocation() {
    let modern = held();
    let (_folder, file) = config(legacy(), modern.address, "budget: 60s");
    let function = Function::start(&[("CROSSFADE_CONFIG", &file)]);
    function.give(event("GET", "/mirrored").to_string(), Duration::from_secs(1), "202 Accepted");
    function.posted();
    let log = function.log(2);
    let lost = comparisons(&log)[0];
    assert_eq!((&lost["verdict"], &lost["reason"]), (&json!("lost"), &json!("time")));
    assert_eq!(function.invoke(&event("GET", "/plain")).json()["statusCode"], 200);
}

#[test]
fn the_end_of_the_environment_loses_a_copy_and_says_so() {
    let modern = held();
    let (_folder, file) = config(legacy(), modern.address, "");
    let mut function = Function::start(&[("CROSSFADE_CONFIG", &file)]);
    function.invoke(&event("GET", "/mirrored"));
    modern.asked();
    function.child.signal(Signal::TERM);
    assert!(function.wait().success());
    let log = function.log(2);
    assert_eq!(
        (&comparisons(&log)[0]["verdict"], &comparisons(&log)[0]["reason"]),
        (&json!("lost"), &json!("shutdown"))
    );
}

#[test]
fn copies_that_hang_hold_up_only_their_own_lane() {
    const LANES: usize = 8;
    let modern = held();
    let (_folder, file) = config(legacy(), modern.address, "");
    let lanes = LANES.to_string();
    let function = Function::start(&[("CROSSFADE_CONFIG", &file), ("AWS_LAMBDA_MAX_CONCURRENCY", &lanes)]);
    for _ in 1..LANES {
        assert_eq!(function.invoke(&event("GET", "/mirrored")).json()["statusCode"], 200);
    }
    // One is left, and serves.
    for _ in 0..20 {
        assert_eq!(function.invoke(&event("GET", "/plain")).json()["body"], "ok");
    }
    assert!(comparisons(&function.log(20 + LANES - 1)).is_empty());
    for _ in 1..LANES {
        modern.release(1);
    }
    let log = function.log(20 + 2 * (LANES - 1));
    assert_eq!(comparisons(&log).iter().filter(|line| line["verdict"] == "match").count(), LANES - 1);
}

#[test]
fn a_mirror_costs_the_client_nothing_that_can_be_told_from_its_answer() {
    let legacy =
        serve(|_| response("404 Not Found", &[("content-type", "image/png"), ("x-a", "1")], b"\x89PNG\xff\x00"));
    let modern = serve(|_| response("200 OK", &[("set-cookie", "a=b"), ("x-b", "2")], b"other"));
    let (_folder, file) = config(legacy, modern, "compare: { noise: { selfCompare: 100 } }");
    let function = Function::start(&[("CROSSFADE_CONFIG", &file)]);
    let plain = function.invoke(&event("GET", "/plain"));
    let mirrored = function.invoke(&event("GET", "/mirrored"));
    assert_eq!((plain.fields.len(), plain.body), (mirrored.fields.len(), mirrored.body));
    assert_eq!(comparisons(&function.log(4)).len(), 2);
}

/// Two systems whose answers take long to compare, with rules that make it longer, and the reason for which that may end.
fn long_comparison(keys: &str) -> (Folder, String) {
    // Many rules rather than a large answer, which would take its time in the thread of all lanes.
    let content = |last: &str| format!("[{}{last}]", "{\"b\":1},".repeat(10_000)).into_bytes();
    let answer = |content: Vec<u8>| {
        serve(move |call| {
            let content = if call.target() == "/mirrored" { &content[..] } else { b"1" };
            response("200 OK", &[("content-type", "application/json")], content)
        })
    };
    let (legacy, modern) = (answer(content("1")), answer(content("2")));
    let rules: Vec<String> = (0..4000).map(|number| format!("'/**/x/**/y{number}'")).collect();
    config(legacy, modern, &format!("{keys} compare: {{ noise: false, ignore: [{}] }}", rules.join(", ")))
}

#[test]
fn a_long_comparison_holds_up_only_its_own_lane_and_has_a_record() {
    let (_folder, file) = long_comparison("budget: 5s,");
    let log = (0..20).find_map(|_| {
        let function = Function::start(&[("CROSSFADE_CONFIG", &file), ("AWS_LAMBDA_MAX_CONCURRENCY", "3")]);
        let invoke = |path| {
            function.give_as(path, &event("GET", path), 2 * PATIENCE);
            function.posted().json()
        };
        // Both compare, one after the other.
        invoke("/mirrored");
        invoke("/mirrored");
        for _ in 0..5 {
            assert_eq!(invoke("/plain")["statusCode"], 200);
        }
        let log = function.log(9);
        // A busy machine may stop a process, which then loses its comparisons and says so.
        comparisons(&log).iter().all(|line| line["reason"] != "frozen").then_some(log)
    });
    let log = log.expect("a process that nobody stopped");
    let types: Vec<_> = log.iter().map(|line| line["type"].as_str().unwrap()).collect();
    assert_eq!(types[..7], ["access"; 7], "the third lane has served meanwhile");
    let comparisons = comparisons(&log);
    assert_eq!(comparisons.len(), 2);
    for line in comparisons {
        let is_ended = [("unknown", "too-large"), ("lost", "budget")]
            .iter()
            .any(|(verdict, reason)| line["verdict"] == *verdict && line["reason"] == *reason);
        assert!(is_ended, "{line}");
    }
}

#[test]
fn a_comparison_ends_with_the_budget() {
    let (_folder, file) = long_comparison("budget: 200ms,");
    let function = Function::start(&[("CROSSFADE_CONFIG", &file)]);
    function.invoke(&event("GET", "/mirrored"));
    // The only lane is free again.
    assert_eq!(function.invoke(&event("GET", "/plain")).json()["statusCode"], 200);
    let log = function.log(3);
    let lost = comparisons(&log)[0];
    assert_eq!((&lost["verdict"], &lost["reason"]), (&json!("lost"), &json!("budget")));
}

#[test]
fn the_end_of_the_environment_ends_a_comparison_and_says_so() {
    let (_folder, file) = long_comparison("");
    let mut function = Function::start(&[("CROSSFADE_CONFIG", &file)]);
    function.invoke(&event("GET", "/mirrored"));
    // It compares when both answers are there.
    std::thread::sleep(Duration::from_millis(150));
    function.child.signal(Signal::TERM);
    assert!(function.wait().success());
    let log = function.log(2);
    let lost = comparisons(&log)[0];
    assert_eq!((&lost["verdict"], &lost["reason"]), (&json!("lost"), &json!("shutdown")));
}

#[test] // a few bytes that decode to gigabytes
fn an_answer_of_some_bytes_takes_no_memory() {
    let legacy = serve(|_| response("200 OK", &[("content-type", "text/plain")], b"ok"));
    // The mark of a large window, and one of 2^30 bytes.
    let large = b"\x11\x1e\x8d\xff\x7f\x03";
    let modern = serve(|_| response("200 OK", &[("content-type", "text/plain"), ("content-encoding", "br")], large));
    let (_folder, file) = config(legacy, modern, "");
    let function = Function::start(&[("CROSSFADE_CONFIG", &file)]);
    function.invoke(&event("GET", "/mirrored"));
    let log = function.log(2);
    let unknown = comparisons(&log)[0];
    assert_eq!((&unknown["verdict"], &unknown["reason"]), (&json!("unknown"), &json!("coding")));
    assert!(peak(&function) < 64 * 1024, "{} KiB", peak(&function));
}

/// The largest memory that the process has had, in KiB.
fn peak(function: &Function) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{}/status", function.child.id())).unwrap();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test] // the smallest function has 128 MB
fn four_responses_of_a_megabyte_fit_into_little_memory() {
    /// Media type, beginning, one of many parts, end. `OWN` is another value in each system, `NOISE` in each response.
    const CONTENTS: [[&str; 4]; 5] = [
        // Nearly as many values as are compared at all.
        ["application/json", "{\"a\":[1", ",[1234,5678,1234]", "],\"b\":\"OWN\",\"c\":\"NOISE\"}"],
        ["text/html", "<html><body>", "<p class=a>12345</p>", "<b id=b>OWN</b><i id=c>NOISE</i>"],
        ["application/xml", "<all>", "<one><two>12</two></one>", "<b>OWN</b><c>NOISE</c></all>"],
        ["text/csv", "a,b,c\n", "1,2,3\n", "OWN,2,3\n1,NOISE,3\n"],
        ["text/plain", "", "some words\n", "b: OWN\nc: NOISE\n"],
    ];
    for [media_type, begin, part, end] in CONTENTS {
        let content = move |own: &str, noise: usize| {
            let end = end.replace("OWN", own).replace("NOISE", &format!("{own}{noise}"));
            format!("{begin}{}{end}", part.repeat(980_000 / part.len())).into_bytes()
        };
        let answer = |own: &'static str| {
            let count = AtomicUsize::new(0);
            serve(move |_| {
                let content = content(own, count.fetch_add(1, Ordering::SeqCst));
                response("200 OK", &[("content-type", media_type)], &content)
            })
        };
        let mirror = "compare: { noise: { repeat: 100, selfCompare: 0 } }, budget: 60s";
        let (_folder, file) = config(answer("old"), answer("new"), mirror);
        let function = Function::start(&[("CROSSFADE_CONFIG", &file)]);
        function.give_as("a", &event("GET", "/mirrored"), 2 * PATIENCE);
        function.posted();
        let log = function.log(2);
        let line = comparisons(&log)[0];
        let evidence: Vec<_> = line["differences"].as_array().unwrap().iter().map(|it| &it["repeated"]).collect();
        assert!(!evidence.is_empty() && evidence.iter().all(|repeated| repeated.is_string()), "{media_type}: {line}");
        assert!(peak(&function) < 64 * 1024, "{media_type}: {} KiB", peak(&function));
    }
}
