//! Files that want to do harm: each gives an error, and soon. A hang shows as a test that does not end.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use crossfade_route::{Checked, Nothing};
use serde_json::json;

/// The first words of what is said.
fn refusal(text: &str) -> String {
    let checked = Checked::new(text, "hostile.yaml", &Nothing);
    assert!(checked.table.is_none(), "this is a configuration");
    let told = checked.diagnostics.to_string();
    assert!(told.len() < 200_000, "{} bytes of mistakes", told.len());
    told
}

fn with_route(route: serde_json::Value) -> String {
    json!({ "version": 1, "backends": { "b": "https://b.example" }, "routes": [route], "default": { "forward": "b" } })
        .to_string()
}

#[test]
fn large_files() {
    assert!(refusal(&"a".repeat(10_000_000)).contains("bytes"));
    assert!(refusal(&format!("version: 1 #{}", "x".repeat(10_000_000))).contains("bytes"));
    refusal(&"- x\n".repeat(200_000));
    refusal(&"k: v\n".repeat(200_000));
    refusal(&format!("version: 1\nbackends: {{a: '{}'}}", "y".repeat(1_000_000)));
}

#[test]
fn deep_files() {
    for (open, times) in
        [("[", 1_000_000), ("{a: ", 500_000), ("- ", 500_000), ("? ", 500_000), ("a:\n ", 1000), ("&a [", 100_000)]
    {
        refusal(&open.repeat(times));
    }
}

#[test]
fn anchors_of_anchors() {
    let mut text = "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n".to_owned();
    for level in 1..60 {
        let below = format!("*a{}", level - 1);
        text.push_str(&format!("a{level}: &a{level} [{}]\n", [below.as_str(); 10].join(", ")));
    }
    assert!(refusal(&text).contains("too large"));
    refusal("a: &a [*a]");
    refusal("a: *nobody");
}

#[test] // T12
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
        let told = refusal(&with_route(
            json!({ "name": "r", "priority": 1, "conditions": { "path": { "regex": regex } }, "forward": "b" }),
        ));
        assert!(told.contains("this is no regex"), "{told}");
    }
}

#[test]
fn many_mistakes_are_told_up_to_a_limit() {
    let routes: Vec<_> = (0..5_000).map(|_| json!({ "nam": "x" })).collect();
    let text = json!({ "version": 1, "backends": {}, "routes": routes, "default": {} }).to_string();
    assert!(refusal(&text).contains(" more"));
    let lines: String = (0..50_000).map(|number| format!("key{number}: 1\n")).collect();
    assert!(refusal(&lines).contains(" more"));
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
        assert!(!refusal(text).contains('\u{1b}'), "{text:?}");
    }
}
