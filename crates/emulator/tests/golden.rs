//! Requests as bytes, and the events that the function gets for them: one file each in `tests/golden/`.
//!
//! A file has a `mode:` line, `=== request` with the request (line breaks of the head become CR LF; `\xNN` is a byte), and
//! `=== event` with the event as indented JSON; the port and the new part of the trace id are replaced. `BLESS=1 cargo test`
//! writes the events; look at what it wrote.
//!
//! Whole exchanges are in `tests/exchanges/`: besides, `source:` says where it is known from that AWS does so, `=== reply` is
//! what the function answers, and then comes what the developer is told and what the client gets.

use crossfade_event::HeaderMode;
use serde_json::Value;

use crate::support::{self, Alb, cases};

#[test]
fn events_are_as_an_alb_builds_them() {
    let single = support::single();
    let multi = support::multi();
    cases::each("golden", 10, |case| {
        let alb = match case.value("mode") {
            Some("single") => &single,
            Some("multi") => &multi,
            other => panic!("{}: mode {other:?}", case.file.display()),
        };
        format!("{}\n", event(alb, &cases::unescape(case.request)))
    });
}

#[test]
fn whole_exchanges_are_as_with_an_alb() {
    let start = |mode| {
        let mut settings = support::settings(mode);
        settings.keep_messages = true;
        Alb::start(settings)
    };
    let (mut single, mut multi) = (start(HeaderMode::Single), start(HeaderMode::Multi));
    cases::each("exchanges", 30, |case| {
        assert!(case.value("source").is_some(), "{}: no source", case.file.display());
        let alb = if case.value("mode") == Some("single") { &mut single } else { &mut multi };
        exchange(alb, &case.with_instruction("x-reply"))
    });
}

/// Event, what is told, and the response. The function answers what a field tells it to, which is left out of the event.
fn exchange(alb: &mut Alb, request: &[u8]) -> String {
    let mut client = alb.connect();
    client.write(request);
    let response = if request.starts_with(b"HEAD") { client.read_bodyless() } else { client.read() };
    let told = alb.exchange();
    let mut out = match told.messages.as_ref().and_then(|messages| messages.event.clone()) {
        Some(event) => normal(alb, serde_json::from_slice(&event).unwrap()),
        None => "none".to_owned(),
    };
    out += "\n=== told\n";
    for line in told.elb_reason.iter().chain(&told.problem) {
        out += &format!("{line}\n");
    }
    for warning in &told.warnings {
        out += &format!("warning: {warning}\n");
    }
    out += "=== response\n";
    for line in response.head.lines() {
        let is_now = line.starts_with("date: ") && !line.contains("1994");
        out += if is_now { "date: NOW" } else { line };
        out += "\n";
    }
    out += &response.body.escape_ascii().to_string().replace("\\r\\n", "\n");
    if !out.ends_with('\n') {
        out += "\n";
    }
    out
}

fn event(alb: &Alb, request: &[u8]) -> String {
    let response = alb.send(request);
    if response.status != 200 {
        return format!("{} {}", response.status, response.text().replace("\r\n", "\n"));
    }
    normal(alb, response.json())
}

/// Without what differs from run to run.
fn normal(alb: &Alb, mut event: Value) -> String {
    for family in ["headers", "multiValueHeaders"] {
        let Some(fields) = event.get_mut(family) else { continue };
        fields.as_object_mut().unwrap().remove("x-reply");
        for (name, value) in fields.as_object_mut().unwrap() {
            let value = match value {
                Value::Array(values) => &mut values[0],
                value => value,
            };
            match name.as_str() {
                "x-forwarded-port" => {
                    assert_eq!(*value, alb.address.port().to_string());
                    *value = "PORT".into();
                }
                "x-amzn-trace-id" => {
                    let text = value.as_str().unwrap();
                    let (new, sent) = text.split_at("Root=1-00000000-000000000000000000000000".len());
                    *value = format!("{}1-TIME-RANDOM{sent}", &new[..5]).into();
                }
                _ => {}
            }
        }
    }
    serde_json::to_string_pretty(&event).unwrap()
}
