//! Pairs of answers beside what is found to differ, in `fixtures/comparisons/NAME`: `primary.http`, `mirror.http` and, if
//! there are rules, `rules.txt` -> `expected.txt`. A new case is a new folder; with `BLESS=1` in the environment the
//! expectations are written anew.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crossfade_compare::{
    Accepted, Answer, Comparison, Date, FieldNames, Place, Pointer, Rules, Tolerance, TreatEqual, Unordered, compare,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// The date of the comparisons.
const NOW: &str = "2026-06-01T12:00:00Z";

#[test]
fn answers_are_compared() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/comparisons");
    let mut names: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    names.sort();
    let mut failures = String::new();
    for case in &names {
        let (primary, mirror) = (Stored::read(&case.join("primary.http")), Stored::read(&case.join("mirror.http")));
        let rules = rules(&fs::read_to_string(case.join("rules.txt")).unwrap_or_default());
        let now = humantime::parse_rfc3339(NOW).unwrap();
        let actual = describe(&compare(&primary.answer(), &mirror.answer(), &rules, now));
        let golden = case.join("expected.txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, &actual).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        if expected != actual {
            let name = case.file_name().unwrap().display();
            writeln!(failures, "{name}\n--- expected\n{expected}\n--- actual\n{actual}").unwrap();
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(names.len() > 30);
}

/// An answer as a file has it: a line for the status, one for each field, an empty one, and the content without the last
/// end of line.
struct Stored {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Stored {
    fn read(path: &Path) -> Self {
        let text = fs::read_to_string(path).unwrap();
        let (head, body) = text.split_once("\n\n").unwrap_or((text.trim_end(), ""));
        let (status, fields) = head.split_once('\n').unwrap_or((head, ""));
        let mut headers = HeaderMap::new();
        for field in fields.lines() {
            let (name, value) = field.split_once(':').unwrap();
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value.trim()).unwrap());
        }
        let body = body.strip_suffix('\n').unwrap_or(body).to_owned();
        Stored { status: status.parse().unwrap(), headers, body }
    }

    fn answer(&self) -> Answer<'_> {
        Answer { status: self.status, headers: &self.headers, body: self.body.as_bytes() }
    }
}

/// One rule per line, its name first.
fn rules(text: &str) -> Rules {
    let mut rules = Rules::default();
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let pointer = || Pointer::parse(words[1]).unwrap();
        let place = || Place::parse(words[1]).unwrap();
        match words[0] {
            "headers" if words[1] == "all" => rules.headers = FieldNames::All,
            "headers" => {
                rules.headers = FieldNames::Named(words[1..].iter().map(|name| name.parse().unwrap()).collect())
            }
            "ignore" => rules.ignore.push(place()),
            "unordered" => {
                rules.unordered.push(Unordered { pointer: pointer(), by: words.get(2).map(|name| (*name).to_owned()) });
            }
            "tolerance" => rules.tolerance.push((pointer(), Tolerance::parse(words[2]).unwrap())),
            "treatEqual" => rules.treat_equal.push(match words[1] {
                "uuid" => TreatEqual::Uuid,
                "timestamp" => TreatEqual::Timestamp,
                "hash" => TreatEqual::Hash,
                "token" => TreatEqual::Token,
                other => panic!("{other}"),
            }),
            "accepted" => {
                let until = words.get(2).map(|date| Date::parse(date).unwrap());
                rules.accepted.push(Accepted { place: place(), until });
            }
            "keepValues" => rules.keep_values = true,
            "redact" => rules.redact.push(place()),
            other => panic!("{other}"),
        }
    }
    rules
}

fn describe(comparison: &Comparison) -> String {
    let mut text = format!("{:?}", comparison.verdict).to_lowercase();
    if let Some(reason) = comparison.reason {
        write!(text, " {reason}").unwrap();
    }
    text.push('\n');
    for difference in &comparison.differences {
        let class = format!("{:?}", difference.class).to_lowercase();
        write!(text, "{class} {}", difference.pointer).unwrap();
        if let Some(at) = &difference.at {
            write!(text, " ({at})").unwrap();
        }
        if difference.primary.is_some() || difference.mirror.is_some() {
            let value = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
            write!(text, " {} -> {}", value(&difference.primary), value(&difference.mirror)).unwrap();
        }
        text.push_str(if difference.accepted { " accepted\n" } else { "\n" });
    }
    if comparison.more > 0 {
        writeln!(text, "and {} more", comparison.more).unwrap();
    }
    text
}
