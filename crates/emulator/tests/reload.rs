//! Other settings replace those in use: rules and functions change, requests in progress do not notice.

use std::time::Duration;

use crossfade_emulator::{Action, Notice};
use crossfade_event::HeaderMode;
use http::StatusCode;

use crate::support::{eventually, is_alive, settings, single};

#[test]
fn the_next_request_gets_a_new_process_and_the_old_one_ends() {
    let mut alb = single();
    let mut client = alb.connect();
    client.write(b"GET /pid HTTP/1.1\r\nHost: a\r\n\r\n");
    let old = client.read().json()["pid"].as_u64().unwrap();
    assert_eq!(alb.exchange().generation, 0);
    alb.reload(settings(HeaderMode::Single));
    let new = alb.get("/pid", "").json();
    assert_ne!(new["pid"].as_u64().unwrap(), old);
    let exchange = alb.exchange();
    assert_eq!((exchange.number, exchange.environment, exchange.cold, exchange.generation), (2, Some(2), true, 1));
    eventually("the end of the old process", || !is_alive(old));
    assert!(alb.notice(|notice| match notice {
        Notice::Exited { environment: 1, planned, .. } => Some(*planned),
        _ => None,
    }));
    // An idle connection is closed, so that its next request gets the new settings, too.
    assert!(client.is_closed());
    alb.shutdown();
    eventually("the end of the new process", || !is_alive(new["pid"].as_u64().unwrap()));
}

#[test]
fn a_request_in_progress_ends_with_its_own_settings() {
    let mut alb = single();
    let mut slow = alb.connect();
    slow.write(b"GET /sleep/1500 HTTP/1.1\r\nHost: a\r\n\r\n");
    std::thread::sleep(Duration::from_millis(600));
    let mut closed = settings(HeaderMode::Single);
    closed.listeners[0].default_action = Action::status(StatusCode::FORBIDDEN);
    for _ in 0..3 {
        alb.reload(closed.clone());
    }
    assert_eq!(alb.get("/", "").status, 403);
    let answer = slow.read();
    assert_eq!(answer.status, 200);
    assert_eq!(answer.field("connection"), Some("close"));
    assert!(slow.is_closed());
}

#[test]
fn work_after_the_response_ends_before_its_environment_does() {
    let mut alb = single();
    let pid = alb.get("/pid", "").json()["pid"].as_u64().unwrap();
    assert_eq!(alb.get("/slow-next/900", "").status, 200);
    alb.reload(settings(HeaderMode::Single));
    std::thread::sleep(Duration::from_millis(400));
    assert!(is_alive(pid));
    eventually("the end of the process", || !is_alive(pid));
}

#[test]
fn listeners_are_added_and_removed() {
    let mut alb = single();
    let mut two = settings(HeaderMode::Single);
    two.listeners.push(two.listeners[0].clone());
    two.listeners[1].default_action = Action::status(StatusCode::IM_A_TEAPOT);
    alb.reload(two);
    let second = alb.addresses()[1];
    let ask = || crate::support::client::send(second, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n");
    assert_eq!(ask().status, 418);
    alb.reload(settings(HeaderMode::Single));
    assert_eq!(alb.get("/", "").status, 200);
    assert!(crate::support::Client::connect(second).is_closed());
}

#[test]
fn settings_that_cannot_be_used_change_nothing() {
    let mut alb = single();
    let pid = alb.get("/pid", "").json()["pid"].clone();
    let mut wrong = settings(HeaderMode::Single);
    wrong.functions[0].command.clear();
    assert_eq!(alb.try_reload(wrong).unwrap_err().to_string(), "the command of function `scripted` is empty");
    assert_eq!(alb.get("/pid", "").json()["pid"], pid);
}

#[test]
fn many_reloads_leave_nothing_behind() {
    let mut alb = single();
    let mut pids = Vec::new();
    for _ in 0..5 {
        pids.push(alb.get("/pid", "").json()["pid"].as_u64().unwrap());
        alb.reload(settings(HeaderMode::Single));
    }
    eventually("the end of all", || pids.iter().all(|pid| !is_alive(*pid)));
}
