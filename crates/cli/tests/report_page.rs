//! The page of `crossfade report` in a real browser: Chromium, driven by `browser/look.mjs`.
//!
//! Without Chromium the tests are skipped, unless the variable `CI` is `true`.

use std::process::Command;
use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

use crate::report::logs;
use crate::support::browser;

/// The rendered page of a log, in light and dark, on a desktop and on a phone. Returns nothing without a browser.
fn looks(log: &str, arguments: &[&str]) -> Vec<Value> {
    if !browser::is_here() {
        return Vec::new();
    }
    let folder = tempfile::tempdir().unwrap();
    let (input, page) = (folder.path().join("log"), folder.path().join("report.html"));
    std::fs::write(&input, log).unwrap();
    let mut report = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    report.arg("report").args(arguments).arg("--html").args([&page, &input]);
    let told = report.output().unwrap();
    assert!(told.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&told.stderr));
    let output = browser::run("look.mjs", &[page.as_ref()]).unwrap();
    let looks: Vec<Value> = serde_json::from_slice(&output).unwrap();
    assert_eq!(looks.len(), 4);
    looks
}

/// Checks of every page.
fn is_sound(look: &Value) {
    assert_eq!(look["messages"], json!([]), "the console is silent: {look}");
    assert_eq!(look["requests"], json!(["file"]), "nothing but the page is fetched");
    assert_eq!(look["width"], look["viewport"], "nothing is cut off at the side");
    assert_eq!((&look["scripts"], &look["handlers"], &look["links"]), (&json!(0), &json!(0), &json!(0)));
    assert!(look["smallest"].as_f64().unwrap() >= 11.0, "{}", look["smallest"]);
    assert_eq!(look["faint"], json!([]), "all text has enough contrast");
    assert_eq!(look["lost"], json!([]), "every link has a target");
    assert_eq!(look["overlaps"], json!([]), "every label can be read: {}", look["viewport"]);
    let headings: Vec<u64> = look["headings"].as_array().unwrap().iter().filter_map(Value::as_u64).collect();
    assert_eq!(headings.iter().filter(|level| **level == 1).count(), 1);
    assert!(headings.windows(2).all(|pair| pair[1] <= pair[0] + 1), "{headings:?}");
}

#[test]
fn the_page_shows_what_differs() {
    for look in looks(&logs::log(6_000, false), &[]) {
        is_sound(&look);
        assert_eq!(look["verdict"], "Differs");
        assert!(look["parity"].as_u64().unwrap() > 20 && look["parityHeight"].as_f64().unwrap() > 150.0, "{look}");
        let curves = look["latency"].as_array().unwrap();
        assert!(curves.len() == 2 && curves.iter().all(|heights| heights.as_u64().unwrap() > 20), "{look}");
        let count = |name: &str| look[name].as_u64().unwrap();
        assert!(count("causes") >= 3 && count("rules") >= count("causes"), "{look}");
    }
}

/// A log whose requests are spread over this time, from 2026-11-24T08:00:07Z on.
fn spread(seconds: u64) -> String {
    let log = logs::log(3_000, false);
    let lines: Vec<&str> = log.lines().collect();
    let time = |number: usize| {
        let after = Duration::from_secs(seconds).mul_f64(number as f64 / lines.len() as f64);
        humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_secs(1_795_507_207) + after)
    };
    let begin = r#""time":""#;
    let replaced = lines.iter().enumerate().map(|(number, line)| {
        let (head, rest) = line.split_once(begin).unwrap();
        let (_, tail) = rest.split_once('"').unwrap();
        format!("{head}{begin}{}\"{tail}\n", time(number))
    });
    replaced.collect()
}

/// From seconds to years: as many labels as there is room for, on a phone as well.
#[test]
fn time_labels_can_be_read_whatever_the_span() {
    for seconds in [1, 240, 100_000, 34_000_000] {
        for look in looks(&spread(seconds), &[]) {
            is_sound(&look);
            let labels = look["times"].as_array().unwrap().len();
            let most = if look["viewport"] == 390 { 4 } else { 9 };
            assert!((1..=most).contains(&labels), "{seconds} s: {}", look["times"]);
        }
    }
}

#[test]
fn the_page_leads_with_the_gate() {
    let log = logs::log(6_000, true);
    for (gate, verdict) in [("parity>=99.5%,samples>=1000", "Gate passed"), ("samples>=1000000", "Gate failed")] {
        for look in looks(&log, &["--gate", gate]) {
            is_sound(&look);
            assert_eq!(look["verdict"], verdict);
        }
    }
}

/// Neither nothing, nor one record, nor names without end break the page.
#[test]
fn odd_logs_make_sound_pages() {
    let one = logs::log(1, true);
    let long = one.replace("orders", &"x<b>\\u202e".repeat(60)).replace("/products", &"/products".repeat(60));
    let hostile = logs::log(400, false)
        .replace("/items/*/price", "</style><script>alert(1)</script><img src=x onerror=alert(1)>");
    for log in ["", one.as_str(), long.as_str(), hostile.as_str()] {
        looks(log, &["--title", &"</title><script>alert(1)</script>".repeat(20)]).iter().for_each(is_sound);
    }
}
