//! Pairs of answers beside the differences that comparing them finds: one file each in `tests/comparisons/`.
//!
//! A file says in `about:` what it shows. Its sections are `--- rules`, which may be missing, `--- primary` and `--- mirror`
//! (a line for the status, one for each header field, an empty one, the content), perhaps `--- primary again` and `--- mirror again` with
//! the responses to the repeated request, and `--- expect`. A new case is a new file;
//! `BLESS=1 cargo test` writes the last section, to be read in the diff.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crossfade_compare::{
    Accepted, Answer, Comparison, Date, FieldNames, Mask, Place, Pointer, Rules, Salt, Settings, Tolerance, TreatEqual,
    Unordered, compare,
};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

/// The date of the comparisons.
const NOW: &str = "2026-06-01T12:00:00Z";

const EXPECT: &str = "--- expect\n";

#[test]
fn answers_are_compared() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/comparisons");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let mut failures = String::new();
    for file in &files {
        let text = fs::read_to_string(file).unwrap();
        let (case, expected) = text.split_once(EXPECT).unwrap_or((&text, ""));
        assert!(case.starts_with("about: "), "{}: no `about:`", file.display());
        for name in case.lines().filter_map(|line| line.strip_prefix("--- ")) {
            assert!(
                ["rules", "primary", "mirror", "primary again", "mirror again"].contains(&name),
                "{}: unknown section `{name}`",
                file.display()
            );
        }
        let answer =
            |name| Stored::parse(section(case, name).unwrap_or_else(|| panic!("{}: no {name}", file.display())));
        let (primary, mirror) = (answer("primary"), answer("mirror"));
        let rules = rules(section(case, "rules").unwrap_or_default());
        let now = humantime::parse_rfc3339(NOW).unwrap();
        let salt = Salt::default();
        let settings = Settings::new(&rules, now, &salt);
        let compare = |one: &Stored, other: &Stored| compare(&one.answer(), &other.answer(), &settings);
        let mut comparison = compare(&primary, &mirror);
        if let Some(again) = section(case, "primary again") {
            let of_mirror = section(case, "mirror again").map(|again| compare(&mirror, &Stored::parse(again)));
            comparison.repeat(&compare(&primary, &Stored::parse(again)), of_mirror.as_ref());
        }
        let actual = describe(&comparison);
        if std::env::var_os("BLESS").is_some() {
            fs::write(file, format!("{case}{EXPECT}{actual}")).unwrap();
        } else if expected != actual {
            writeln!(failures, "{}\n--- expected\n{expected}\n--- actual\n{actual}", file.display()).unwrap();
        }
    }
    assert!(failures.is_empty(), "{failures}");
    assert!(files.len() > 30);
}

/// The lines between `--- NAME` and the empty line before the next section.
fn section<'a>(case: &'a str, name: &str) -> Option<&'a str> {
    let (_, rest) = case.split_once(&format!("\n--- {name}\n"))?;
    let text = rest.find("\n--- ").map_or(rest, |end| &rest[..=end]);
    text.strip_suffix("\n\n").or(text.strip_suffix('\n'))
}

/// An answer as a section has it.
struct Stored {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Stored {
    fn parse(text: &str) -> Self {
        let (head, body) = text.split_once("\n\n").unwrap_or((text, ""));
        let (status, fields) = head.split_once('\n').unwrap_or((head, ""));
        let mut headers = HeaderMap::new();
        for field in fields.lines() {
            let (name, value) = field.split_once(':').unwrap();
            headers.append(HeaderName::try_from(name).unwrap(), HeaderValue::try_from(value.trim()).unwrap());
        }
        Stored { status: status.parse().unwrap(), headers, body: body.to_owned() }
    }

    fn answer(&self) -> Answer<'_> {
        Answer {
            status: self.status,
            headers: &self.headers,
            body: self.body.as_bytes(),
            time: humantime::parse_rfc3339(NOW).unwrap(),
        }
    }
}

/// One rule per line, its name first.
fn rules(text: &str) -> Rules {
    let mut rules = Rules::default();
    for line in text.lines() {
        let words: Vec<_> = line.split(' ').collect();
        let pointer = || Pointer::parse(words[1]).unwrap();
        let place = || Place::parse(words[1]).unwrap();
        // Places of text contain spaces.
        let whole = || Place::parse(&line[words[0].len() + 1..]).unwrap();
        match words[0] {
            "headers" if words[1] == "all" => rules.headers = FieldNames::All,
            "headers" => {
                rules.headers = FieldNames::Named(words[1..].iter().map(|name| name.parse().unwrap()).collect())
            }
            "ignore" => rules.ignore.push(whole()),
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
            "mask" => rules.mask.push(Mask::parse(line.split_once(' ').unwrap().1).unwrap()),
            "keepValues" => rules.keep_values = true,
            "redact" => rules.redact.push(whole()),
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
        if let Some(repeated) = difference.repeated {
            write!(text, " [{}]", format!("{repeated:?}").to_lowercase()).unwrap();
        }
        text.push_str(if difference.accepted { " accepted\n" } else { "\n" });
    }
    if comparison.more > 0 {
        writeln!(text, "and {} more", comparison.more).unwrap();
    }
    text
}
