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

use crate::support::{self, Alb};

#[test]
fn events_are_as_an_alb_builds_them() {
    let single = support::single();
    let multi = support::multi();
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/golden");
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 10, "the golden files are missing");
    let mut failures = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let (before, expected) = text.split_once("=== event\n").unwrap_or((&text, ""));
        let (mode, request) = before.split_once("=== request\n").expect("no `=== request`");
        let alb = match mode.lines().find_map(|line| line.strip_prefix("mode: ")) {
            Some("single") => &single,
            Some("multi") => &multi,
            other => panic!("{}: mode {other:?}", file.display()),
        };
        let actual = event(alb, &unescape(request));
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&file, format!("{before}=== event\n{actual}\n")).unwrap();
        } else if actual.trim() != expected.trim() {
            failures.push(format!("{}\n--- expected\n{expected}--- actual\n{actual}", file.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

#[test]
fn whole_exchanges_are_as_with_an_alb() {
    let start = |mode| {
        let mut settings = support::settings(mode);
        settings.keep_messages = true;
        Alb::start(settings)
    };
    let (mut single, mut multi) = (start(HeaderMode::Single), start(HeaderMode::Multi));
    let directory = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/exchanges");
    let mut files: Vec<_> = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= 30, "the golden files are missing");
    let mut failures = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let (before, expected) = text.split_once("=== event\n").unwrap_or((&text, ""));
        let (head, rest) = before.split_once("=== request\n").expect("no `=== request`");
        let (request, reply) = rest.split_once("=== reply\n").expect("no `=== reply`");
        assert!(head.contains("\nsource: "), "{}: no source", file.display());
        let alb = if head.starts_with("mode: single") { &mut single } else { &mut multi };
        let actual = exchange(alb, request.trim_end(), reply);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&file, format!("{before}=== event\n{actual}")).unwrap();
        } else if actual != expected {
            failures.push(format!("{}\n--- expected\n{expected}--- actual\n{actual}", file.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Event, what is told, and the response. The function answers what a field tells it to, which is left out of the event.
fn exchange(alb: &mut Alb, request: &str, reply: &str) -> String {
    let one_line: String = reply.lines().map(str::trim).collect::<Vec<_>>().join(" ");
    let (line, rest) = request.split_once('\n').unwrap();
    let request = unescape(&format!("{line}\nx-reply: {one_line}\n{}", with_empty_line(rest)));
    let mut client = alb.connect();
    client.write(&request);
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

/// A section of a file loses its last line breaks, which may be the end of the head.
pub(crate) fn with_empty_line(rest: &str) -> String {
    if rest.contains("\n\n") { rest.to_owned() } else { format!("{rest}\n\n") }
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

/// Head lines get CR LF, the body none; the last line break of the section is not part of it.
pub(crate) fn unescape(request: &str) -> Vec<u8> {
    let (head, body) = request.split_once("\n\n").expect("no empty line after the head");
    let body = body.strip_suffix('\n').unwrap_or(body);
    let text = format!("{}\r\n\r\n{body}", head.replace('\n', "\r\n"));
    let mut bytes = Vec::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(&after[..2], 16).unwrap());
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}
