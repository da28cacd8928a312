//! An external Lambda extension for the tests. It registers for the events in `EXTENSION_EVENTS` (such as `INVOKE,SHUTDOWN`)
//! and tells in a line what it gets. By the variable `EXTENSION_SCRIPT`, a list: `exit` (before it registers),
//! `late` (takes its time before it registers), `init-error`,
//! `slow` (3 s of work after each INVOKE), `stuck` (never asks for more after one), `crash` (ends at an INVOKE),
//! `crash-late` (600 ms after one), `report` (reports an error and ends at an INVOKE), `stay` (does not end at SHUTDOWN), `telemetry` (subscribes).
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a crash, which the tests see")]

mod api;

use std::time::Duration;

use api::{Api, EXTENSION};
use serde_json::Value;

fn main() {
    let script = std::env::var("EXTENSION_SCRIPT").unwrap_or_default();
    let does = |what: &str| script.split(',').any(|step| step == what);
    if does("exit") {
        std::process::exit(5);
    }
    if does("late") {
        std::thread::sleep(Duration::from_millis(300));
        println!("extension registers soon");
        std::thread::sleep(Duration::from_millis(200));
    }
    let events = std::env::var("EXTENSION_EVENTS").unwrap_or_default();
    let events: Vec<&str> = events.split(',').filter(|event| !event.is_empty()).collect();
    let mut api = Api::connect();
    let registered = api.register("scripted_extension", &events);
    let names: Vec<String> = std::env::vars().map(|(name, _)| name).collect();
    println!("extension registered: {}, {}", registered.summary(), String::from_utf8(registered.body.clone()).unwrap());
    println!("extension has _HANDLER: {}", names.iter().any(|name| name == "_HANDLER"));
    let id = registered.field("lambda-extension-identifier");
    let fields = [("lambda-extension-identifier", id.as_str())];
    let with_type = [fields[0], ("lambda-extension-function-error-type", "Extension.Odd")];
    if does("telemetry") {
        let answer = api.call("PUT", "/2022-07-01/telemetry", &fields, b"{}");
        println!("extension subscribed: {}", answer.summary());
    }
    if does("init-error") {
        let without_type = api.call("POST", &format!("{EXTENSION}init/error"), &fields, b"");
        println!("extension without a type: {}", without_type.summary());
        assert_eq!(api.call("POST", &format!("{EXTENSION}init/error"), &with_type, b"").status, 202);
        let next = api.call("GET", &format!("{EXTENSION}event/next"), &fields, b"");
        println!("extension after its error: {}", next.summary());
        std::process::exit(1);
    }
    loop {
        let next = api.call("GET", &format!("{EXTENSION}event/next"), &fields, b"");
        assert_eq!((next.status, next.field("lambda-extension-event-identifier").len()), (200, 36));
        let event: Value = serde_json::from_slice(&next.body).unwrap();
        println!("extension event: {event}");
        match event["eventType"].as_str() {
            Some("SHUTDOWN") if !does("stay") => return,
            Some("INVOKE") if does("slow") => std::thread::sleep(Duration::from_secs(3)),
            Some("INVOKE") if does("stuck") => std::thread::sleep(Duration::from_secs(600)),
            Some("INVOKE") if does("crash-late") => {
                std::thread::sleep(Duration::from_millis(600));
                std::process::exit(4);
            }
            Some("INVOKE") if does("crash") => std::process::exit(4),
            Some("INVOKE") if does("report") => {
                api.call("POST", &format!("{EXTENSION}exit/error"), &with_type, br#"{"errorMessage":"no more"}"#);
                std::process::exit(1);
            }
            _ => {}
        }
    }
}
