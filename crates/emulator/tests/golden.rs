//! Requests as bytes, and the events that the function gets for them: one file each in `tests/golden/`.
//!
//! A file has a `mode:` line, `=== request` with the request (line breaks of the head become CR LF; `\xNN` is a byte), and
//! `=== event` with the event as indented JSON; the port and the new part of the trace id are replaced. `BLESS=1 cargo test`
//! writes the events; look at what it wrote.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

mod support;

use serde_json::Value;
use support::Alb;

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

fn event(alb: &Alb, request: &[u8]) -> String {
    let response = alb.send(request);
    if response.status != 200 {
        return format!("{} {}", response.status, response.text().replace("\r\n", "\n"));
    }
    let mut event = response.json();
    for family in ["headers", "multiValueHeaders"] {
        let Some(fields) = event.get_mut(family) else { continue };
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
fn unescape(request: &str) -> Vec<u8> {
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
