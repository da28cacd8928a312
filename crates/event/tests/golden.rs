//! Events and replies beside what they must become, in `tests/alb` and, for all other front ends, in `tests/fronts`. A new case
//! is a new file; with `BLESS=1` in the environment the expectations are written anew, to be read in the diff.
//!
//! `NAME.event.json` -> `NAME.request.txt`; `NAME.response.txt` -> `NAME.FORMAT.json`, for ALB `NAME.single.json` and
//! `NAME.multi.json`; `NAME.reply.json` with `NAME.reply.single.txt` and `NAME.reply.multi.txt` for ALB's reading of foreign
//! replies.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use crossfade_event::{FORMATS, Format, Front, HeaderMode, alb, decode_request, lattice, payload_1, payload_2};
use http::{HeaderMap, HeaderName, HeaderValue, Response};

const MODES: [(HeaderMode, &str); 2] = [(HeaderMode::Single, "single"), (HeaderMode::Multi, "multi")];

const ALB: &str = "alb";
const FRONTS: &str = "fronts";

/// One format of each way to write replies.
const WRITERS: [&Format; 4] = [&payload_1::REST_API, &payload_1::HTTP_API, &payload_2::FUNCTION_URL, &lattice::V2];

fn folder(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name)
}

/// All cases of a folder whose file name ends so.
fn cases(place: &str, suffix: &str) -> Vec<(String, Vec<u8>)> {
    let mut cases: Vec<_> = fs::read_dir(folder(place))
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter_map(|path| {
            let name = path.file_name()?.to_str()?.strip_suffix(suffix)?.to_owned();
            Some((name, fs::read(&path).unwrap()))
        })
        .collect();
    assert!(!cases.is_empty(), "no {suffix} in {place}");
    cases.sort();
    cases
}

fn check(place: &str, file: &str, actual: &str) {
    let path = folder(place).join(file);
    if std::env::var_os("BLESS").is_some() {
        fs::write(&path, actual).unwrap();
    }
    let expected = fs::read_to_string(&path).unwrap_or_default();
    assert!(expected == actual, "{file}\n--- expected\n{expected}\n--- actual\n{actual}");
}

/// Fields and content as text: bytes that are no printable ASCII are escaped.
fn write_message(text: &mut String, fields: &HeaderMap, body: &[u8]) {
    for (name, value) in fields {
        writeln!(text, "{name}: {}", value.as_bytes().escape_ascii()).unwrap();
    }
    if !body.is_empty() {
        writeln!(text, "\n{}", body.escape_ascii()).unwrap();
    }
}

/// The parts of a front end that are not a field of every request.
fn write_front(text: &mut String, place: &str, front: &Front) {
    write!(text, "# {:?}", front.format).unwrap();
    if front.is_health_check {
        text.push_str(", health check");
    }
    if place == FRONTS {
        let or_none = |value: Option<String>| value.unwrap_or_else(|| "none".to_owned());
        let client = or_none(front.source_ip.map(|ip| ip.to_string()));
        let (scheme, port) = (&front.scheme, or_none(front.port.map(|port| port.to_string())));
        let request_id = or_none(front.request_id.clone());
        write!(text, ", client {client}, {scheme} port {port}, base path {:?}, id {request_id}", front.base_path)
            .unwrap();
    }
    text.push('\n');
}

#[test]
fn events_become_requests() {
    for place in [ALB, FRONTS] {
        for (name, event) in cases(place, ".event.json") {
            let mut text = String::new();
            match decode_request(FORMATS, &Bytes::from(event)) {
                Ok(event) => {
                    write_front(&mut text, place, &event.front);
                    writeln!(text, "{} {}", event.request.method(), event.request.uri()).unwrap();
                    write_message(&mut text, event.request.headers(), event.request.body());
                }
                Err(undecodable) => writeln!(text, "# {:?}\nerror: {undecodable}", undecodable.format).unwrap(),
            }
            check(place, &format!("{name}.request.txt"), &text);
        }
    }
}

#[test]
fn responses_become_replies() {
    let modes = MODES.map(|(mode, name)| (mode.format(), name));
    let formats = WRITERS.map(|format| (format, format.name));
    for (place, formats) in [(ALB, &modes[..]), (FRONTS, &formats[..])] {
        for (name, source) in cases(place, ".response.txt") {
            let response = parse_response(&source);
            for (format, format_name) in formats {
                let mut reply = Vec::new();
                (format.encode)(&response, &mut reply).unwrap();
                check(place, &format!("{name}.{format_name}.json"), &(String::from_utf8(reply).unwrap() + "\n"));
            }
        }
    }
}

#[test]
fn replies_are_read_as_alb_reads_them() {
    for (name, reply) in cases(ALB, ".reply.json") {
        for (mode, mode_name) in MODES {
            let mut text = String::new();
            match alb::decode_response(mode, &reply) {
                Ok(reply) => {
                    writeln!(text, "{}", reply.response.status().as_u16()).unwrap();
                    write_message(&mut text, reply.response.headers(), reply.response.body());
                    for warning in reply.warnings {
                        writeln!(text, "warning: {warning}").unwrap();
                    }
                }
                Err(error) => writeln!(text, "502 {}: {error}", error.reason()).unwrap(),
            }
            check(ALB, &format!("{name}.reply.{mode_name}.txt"), &text);
        }
    }
}

/// `200`, fields, an empty line, the content; `\xNN`, `\n` and `\\` are unescaped.
fn parse_response(source: &[u8]) -> Response<Bytes> {
    let source = std::str::from_utf8(source).unwrap();
    let (head, body) = source.split_once("\n\n").unwrap_or((source, ""));
    let mut lines = head.lines();
    let mut response = Response::new(Bytes::from(unescape(body.trim_end_matches('\n'))));
    *response.status_mut() = lines.next().unwrap().parse().unwrap();
    for line in lines {
        let (name, value) = line.split_once(": ").unwrap();
        let value = HeaderValue::from_bytes(&unescape(value)).unwrap();
        response.headers_mut().append(HeaderName::from_bytes(name.as_bytes()).unwrap(), value);
    }
    response
}

fn unescape(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'\\' {
            bytes.push(byte);
            continue;
        }
        match rest.next().unwrap() {
            b'n' => bytes.push(b'\n'),
            b'x' => {
                let digits = [rest.next().unwrap(), rest.next().unwrap()];
                bytes.push(u8::from_str_radix(std::str::from_utf8(&digits).unwrap(), 16).unwrap());
            }
            other => bytes.push(other),
        }
    }
    bytes
}
