//! Hostile files: each must be rejected quickly. A hang shows as a test that does not end.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use crossfade_route::{Checked, Nothing};
use serde_json::json;

/// Returns the beginning of the diagnostics.
fn rejection(text: &str) -> String {
    let checked = Checked::new(text, "hostile.yaml", &Nothing);
    assert!(checked.table.is_none(), "this is a configuration");
    let errors = checked.diagnostics.to_string();
    assert!(errors.len() < 200_000, "{} bytes of diagnostics", errors.len());
    errors
}

fn with_route(route: serde_json::Value) -> String {
    json!({ "version": 1, "backends": { "b": "https://b.example" }, "routes": [route], "default": { "forward": "b" } })
        .to_string()
}

#[test]
fn large_files() {
    assert!(rejection(&"a".repeat(10_000_000)).contains("bytes"));
    assert!(rejection(&format!("version: 1 #{}", "x".repeat(10_000_000))).contains("bytes"));
    rejection(&"- x\n".repeat(200_000));
    rejection(&"k: v\n".repeat(200_000));
    rejection(&format!("version: 1\nbackends: {{a: '{}'}}", "y".repeat(1_000_000)));
}

#[test]
fn deep_files() {
    for (open, times) in
        [("[", 1_000_000), ("{a: ", 500_000), ("- ", 500_000), ("? ", 500_000), ("a:\n ", 1000), ("&a [", 100_000)]
    {
        rejection(&open.repeat(times));
    }
}

#[test]
fn anchors_of_anchors() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..60 {
        let below = format!("*a{}", level - 1);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", [below.as_str(); 10].join(", ")));
    }
    assert!(rejection(&text).contains("too many nodes"));
    rejection("a: &a [*a]");
    rejection("a: *nobody");
}

#[test]
fn regexes() {
    for regex in [
        "(a+)+$".repeat(200),
        "a{1,1000}{1,1000}".to_owned(),
        "((a{100}){100}){100}".to_owned(),
        "(".repeat(1000),
        "[".repeat(1000),
        "(?=a)".to_owned(),
        r"\1(a)".to_owned(),
        r"\p{Greek}".to_owned(),
        "x".repeat(5000),
    ] {
        let errors = rejection(&with_route(
            json!({ "name": "r", "priority": 1, "conditions": { "path": { "regex": regex } }, "forward": "b" }),
        ));
        assert!(errors.contains("invalid regex"), "{errors}");
    }
}

#[test]
fn many_errors_are_reported_up_to_a_limit() {
    let routes: Vec<_> = (0..5_000).map(|_| json!({ "nam": "x" })).collect();
    let text = json!({ "version": 1, "backends": {}, "routes": routes, "default": {} }).to_string();
    assert!(rejection(&text).contains(" more"));
    let lines: String = (0..50_000).map(|number| format!("key{number}: 1\n")).collect();
    assert!(rejection(&lines).contains(" more"));
}

#[test]
fn odd_bytes() {
    for text in [
        "\u{0}",
        "\u{feff}",
        "version: 1\u{0}",
        "\u{1b}[2J: x",
        "a: \"\\ud800\"",
        "%YAML 9.9\n---\na",
        "--- a\n--- b",
        "!!binary x: y",
        "a: !x y",
    ] {
        assert!(!rejection(text).contains('\u{1b}'), "{text:?}");
    }
}
