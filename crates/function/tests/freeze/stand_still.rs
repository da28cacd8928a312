//! Single cases of a process that stands still within an invocation, or from before it until its time is over.

use std::sync::Mutex;
use std::sync::mpsc::channel;
use std::thread::{self, sleep};
use std::time::Duration;

use crossfade_testkit::process::Signal;
use serde_json::{Value, json};

use crate::support::{Folder, Function, Held, PATIENCE, event, response, serve};
use crate::{LIMIT, signal};

/// A back end that answers with the request line when the test says so.
fn held() -> Held {
    Held::start("application/json", |call| json!({ "line": call.line }).to_string())
}

fn still(function: &Function, length: Duration, meanwhile: impl FnOnce()) {
    signal(function, Signal::STOP);
    meanwhile();
    sleep(length);
    signal(function, Signal::CONT);
}

#[test]
fn a_request_whose_time_is_over_before_it_begins_is_not_sent() {
    let back_end = held();
    back_end.release(9);
    let function = Function::start(&[("CROSSFADE_BACKEND", &format!("http://{}", back_end.address))]);
    function.invoke(&event("GET", "/first"));
    // It asks for the next event, and gets it while it stands still.
    sleep(Duration::from_millis(200));
    still(&function, Duration::from_millis(800), || {
        function.give_as("late", &event("POST", "/late"), Duration::from_millis(400));
    });
    let late = function.posted().json();
    assert_eq!(late["statusCode"], 503, "{late}");
    assert!(function.invoke(&event("GET", "/next")).json()["body"].as_str().unwrap().contains("/next"));
    let asked: Vec<_> = back_end.asked_so_far().map(|call| call.line).collect();
    assert_eq!(asked, ["GET /first HTTP/1.1", "GET /next HTTP/1.1"]);
}

#[test]
fn a_time_that_ends_while_the_process_stands_still_is_over_when_it_goes_on() {
    let back_end = held();
    let folder = Folder::new();
    let text = format!(
        "version: 1\nbackends:\n  back: {{ url: 'http://{}', retry: {{ attempts: 3, methods: [POST] }} }}\ndefault: \
         {{ forward: back }}\n",
        back_end.address
    );
    let config = folder.write("crossfade.yaml", text);
    let function = Function::start(&[("CROSSFADE_CONFIG", &config)]);
    for method in ["GET", "POST"] {
        function.give_as("late", &event(method, "/late"), Duration::from_millis(800));
        assert_eq!(back_end.asked().line, format!("{method} /late HTTP/1.1"));
        // The answer is there when the process goes on, or never comes: both is right.
        still(&function, Duration::from_millis(1200), || {
            if method == "GET" {
                back_end.release(1);
            }
        });
        let status = function.posted().json()["statusCode"].clone();
        assert!(status == 504 || (status == 200 && method == "GET"), "{method}: {status}");
        back_end.release(if method == "GET" { 1 } else { 2 });
        let next = function.invoke(&event("GET", "/next")).json();
        assert!(next["body"].as_str().unwrap().contains("/next"), "{next}");
        assert_eq!(back_end.asked().line, "GET /next HTTP/1.1", "not sent again after its time");
    }
}

#[test]
fn a_retry_is_not_sent_when_its_time_was_over_in_the_wait_before_it() {
    let (tell, asked) = channel();
    let tell = Mutex::new(tell);
    // On a connection that is kept for the next one.
    let address = serve(move |call| {
        let _ = tell.lock().unwrap().send(call.line);
        response("503 Service Unavailable", &[], b"busy")
    });
    let folder = Folder::new();
    let text = format!(
        "version: 1\nbackends:\n  back: {{ url: 'http://{address}', retry: {{ attempts: 1, codes: [503], backoff: 600ms, methods: \
         [POST] }} }}\ndefault: {{ forward: back }}\n"
    );
    let config = folder.write("crossfade.yaml", text);
    let function = Function::start(&[("CROSSFADE_CONFIG", &config)]);
    function.give_as("a", &event("POST", "/a"), Duration::from_secs(2));
    asked.recv_timeout(PATIENCE).unwrap();
    sleep(Duration::from_millis(100));
    still(&function, Duration::from_millis(2500), || {});
    assert_eq!(function.posted().json()["statusCode"], 503);
    assert_eq!(asked.try_iter().count(), 0, "sent again after its time");
}

#[test]
fn an_answer_that_came_while_the_process_stood_still_is_not_too_late() {
    let back_end = held();
    let folder = Folder::new();
    let text = format!(
        "version: 1\nbackends:\n  back:\n    url: 'http://{}'\n    timeouts: {{ backendRequest: 700ms }}\n    outlier: {{ \
         failures: 1 }}\ndefault: {{ forward: back }}\n",
        back_end.address
    );
    let config = folder.write("crossfade.yaml", text);
    let function = Function::start(&[("CROSSFADE_CONFIG", &config)]);
    // On a new connection, then on a kept one.
    for method in ["GET", "POST", "GET"] {
        function.give_as("a", &event(method, "/a"), LIMIT);
        back_end.asked();
        still(&function, Duration::from_millis(1200), || back_end.release(1));
        let reply = function.posted().json();
        assert_eq!(reply["statusCode"], 200, "{method}: {reply}");
    }
    assert_eq!(back_end.asked_so_far().count(), 0);
}

/// Everything to `primary`, with copies.
fn mirrored(primary: &Held, mirror: &Held, keys: &str) -> (Folder, Function) {
    let folder = Folder::new();
    let once = if keys.contains("compare") { "" } else { ", compare: { noise: false }" };
    let text = format!(
        "version: 1\nbackends: {{ primary: 'http://{}', mirror: 'http://{}' }}\ndefault:\n  forward: primary\n  mirror: \
         {{ backend: mirror, percent: 100, methods: [POST]{once}, {keys} }}\n",
        primary.address, mirror.address
    );
    let config = folder.write("crossfade.yaml", text);
    let function = Function::start(&[("CROSSFADE_CONFIG", &config)]);
    (folder, function)
}

fn comparisons(log: &[Value]) -> Vec<Value> {
    let comparisons = log.iter().filter(|line| line["type"] == "compare");
    comparisons.map(|line| json!([line["request_id"], line["verdict"], line["reason"], line["mirror"]["ms"]])).collect()
}

#[test]
fn a_copy_that_is_on_its_way_while_the_process_stands_still_is_lost() {
    let cases = [
        // Its own time would be over, which otherwise is a difference.
        ("timeouts: { backendRequest: 700ms }", false),
        ("timeouts: { backendRequest: 700ms }", true),
        // It would seem to have taken a second, of which it took nothing.
        ("budget: 60s", true),
        ("budget: 60s, compare: false", true),
        ("budget: 1s", true),
        ("budget: 1s", false),
    ];
    thread::scope(|scope| {
        for (keys, is_answered) in cases {
            scope.spawn(move || copy_on_its_way(keys, is_answered));
        }
    });
}

fn copy_on_its_way(keys: &str, is_answered: bool) {
    let (primary, mirror) = (held(), held());
    primary.release(9);
    let (_folder, function) = mirrored(&primary, &mirror, keys);
    for (method, lines) in [("GET", 4), ("POST", 8)] {
        function.give_as(method, &event(method, "/a"), LIMIT);
        assert_eq!(function.posted().json()["statusCode"], 200);
        mirror.asked();
        still(&function, Duration::from_millis(1200), || {
            if is_answered {
                mirror.release(1);
            }
        });
        // The next one is compared with its own answer, not with one that came too late.
        function.give_as("next", &event("GET", "/next"), LIMIT);
        function.posted();
        mirror.release(if is_answered { 1 } else { 2 });
        assert_eq!(mirror.asked().line, "GET /next HTTP/1.1", "{keys}: {method} was sent again");
        let said = comparisons(&function.log(lines));
        let [.., lost, next] = said.as_slice() else { panic!("{keys}: {said:?}") };
        assert_eq!(*lost, json!([method, "lost", "frozen", null]), "{keys}, answered: {is_answered}");
        let verdict = if keys.contains("false") { "unknown" } else { "match" };
        assert_eq!((&next[0], &next[1]), (&json!("next"), &json!(verdict)), "{keys}");
    }
}

#[test]
fn a_second_question_is_lost_alone_if_the_process_stands_still_then() {
    let (primary, mirror) = (held(), held());
    mirror.release(1);
    primary.release(1);
    let (_folder, function) = mirrored(&primary, &mirror, "compare: { noise: { selfCompare: 100 } }");
    function.give_as("a", &event("GET", "/a"), LIMIT);
    function.posted();
    primary.asked();
    assert_eq!(primary.asked().field("x-crossfade-mirror"), Some("1"));
    still(&function, Duration::from_millis(1200), || primary.release(1));
    let log = function.log(3);
    let said: Vec<_> = log[1..].iter().map(|line| [&line["against"], &line["verdict"], &line["reason"]]).collect();
    assert_eq!(json!(said), json!([["mirror", "match", null], ["self", "lost", "frozen"]]));
}

#[test]
fn a_copy_is_not_begun_when_the_time_for_it_is_over() {
    let (primary, mirror) = (held(), held());
    let (_folder, function) = mirrored(&primary, &mirror, "budget: 60s");
    function.give_as("a", &event("GET", "/a"), Duration::from_secs(1));
    primary.asked();
    still(&function, Duration::from_millis(1200), || primary.release(1));
    function.posted();
    assert_eq!(comparisons(&function.log(2)), [json!(["a", "lost", "time", null])]);
    assert_eq!(mirror.asked_so_far().count(), 0);
}
