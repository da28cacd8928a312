//! `crossfade test` from outside: its documents for machines, and files without tests. `explain.rs` tests its text.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use serde_json::{Value, json};

const ROUTES: &str = "version: 1
backends: { legacy: https://legacy.example.com, modern: https://modern.example.com }
routes:
  - { name: blog, priority: 1, conditions: { path: /blog/* }, redirect: { host: blog.example.com, status: 301 } }
";
const TESTS: &str = "default: { forward: legacy }
tests:
  - request: GET https://a.example/
    expect: { backend: legacy }
  - request: https://a.example/blog/7?a=%3Cb%3E&c='
    expect: { status: 302, location: \"https://a.example/<&'\\\"]]>\\u202e\\u0001\\uffff\" }
  - request: GET https://a.example/
    headers: { x-a: b }
    expect: { backend: modern }
";

fn test(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crossfade")).arg("test").args(arguments).current_dir(folder).output().unwrap()
}

fn folder_with(text: &str) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("crossfade.yaml"), text).unwrap();
    folder
}

#[test]
fn the_document_has_every_test_and_what_is_different() {
    let folder = folder_with(&format!("{ROUTES}{TESTS}"));
    let output = test(folder.path(), &["--json"]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(!text.contains('\u{202e}'), "{text}");
    let found: Value = serde_json::from_str(&text).unwrap();
    let location = "https://a.example/<&'\"]]>\u{202e}\u{1}\u{ffff}";
    let expected = json!({
        "version": 1, "file": "crossfade.yaml", "failed": 2,
        "tests": [
            { "line": 7, "request": "GET https://a.example/", "ok": true },
            {
                "line": 9, "request": "GET https://a.example/blog/7?a=%3Cb%3E&c='", "ok": false,
                "differences": [
                    { "key": "status", "expected": "302", "found": "301" },
                    { "key": "location", "expected": location, "found": "https://blog.example.com/blog/7?a=%3Cb%3E&c='" },
                ],
            },
            {
                "line": 11, "request": "GET https://a.example/", "ok": false,
                "differences": [{ "key": "backend", "expected": "modern", "found": "legacy" }],
                "reason": "target legacy: the only target",
            },
        ],
    });
    assert_eq!(found, expected, "{found:#}");
}

#[test]
fn the_junit_file_is_xml_whatever_a_test_contains() {
    let folder = folder_with(&format!("{ROUTES}{TESTS}"));
    let output = test(folder.path(), &["--junit", "junit.xml"]);
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    assert!(String::from_utf8_lossy(&output.stdout).ends_with("3 tests, 2 failed\n"), "the text is printed as well");
    let text = fs::read_to_string(folder.path().join("junit.xml")).unwrap();
    let document = roxmltree::Document::parse(&text).unwrap_or_else(|error| panic!("{error}: {text}"));
    let elements = |name: &'static str| document.descendants().filter(move |node| node.has_tag_name(name));
    let suite = elements("testsuite").next().unwrap();
    let counts = ["name", "tests", "failures", "errors", "skipped"].map(|name| suite.attribute(name).unwrap());
    assert_eq!(counts, ["crossfade.yaml", "3", "2", "0", "0"]);
    assert_eq!(suite.parent().unwrap().attribute("failures"), Some("2"));
    let names: Vec<_> = elements("testcase").map(|case| case.attribute("name").unwrap()).collect();
    // A reader of the file tells equal requests apart.
    let expected = [
        "GET https://a.example/ (line 7)",
        "GET https://a.example/blog/7?a=%3Cb%3E&c='",
        "GET https://a.example/ (line 11)",
    ];
    assert_eq!(names, expected);
    let lines: Vec<_> = elements("testcase").map(|case| case.attribute("line").unwrap()).collect();
    assert_eq!(lines, ["7", "9", "11"]);
    let failures: Vec<_> = elements("failure").map(|failure| failure.text().unwrap()).collect();
    let location = "https://a.example/<&'\"]]>\\u{202e}\\u{1}\u{fffd}";
    let expected = [
        &*format!(
            "status: expected 302, found 301\nlocation: expected {location}, found https://blog.example.com/blog/7?a=%3Cb%3E&c='"
        ),
        "backend: expected modern, found legacy\ntarget legacy: the only target",
    ];
    assert_eq!(failures, expected);
    // A file that cannot be written is no success.
    let output = test(folder.path(), &["--junit", "no/such/folder.xml"]);
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2), "{errors}");
    assert!(errors.contains("cannot write `no/such/folder.xml`"), "{errors}");
}

/// In a pipeline, success would say that something was checked. The example in the hint passes.
#[test]
fn a_file_without_tests_fails_with_an_example_that_passes() {
    let chance = "{ targets: [{ backend: legacy, weight: 1 }, { backend: modern, weight: 1 }] }";
    for (default, expected) in [
        ("default: { forward: modern }\n".to_owned(), "backend: modern"),
        ("default: { fixedResponse: { status: 503 } }\n".to_owned(), "status: 503"),
        (format!("default: {{ forward: {chance} }}\n"), "route: default"),
        ("default: { forward: legacy }\ntests: []\n".to_owned(), "backend: legacy"),
    ] {
        let text = format!("{ROUTES}{default}");
        let folder = folder_with(&text);
        for arguments in [&[][..], &["--json"], &["--junit", "junit.xml"]] {
            let output = test(folder.path(), arguments);
            let errors = String::from_utf8(output.stderr).unwrap();
            assert_eq!(output.status.code(), Some(2), "{errors}");
            assert!(
                output.stdout.is_empty() && errors.starts_with("error: `crossfade.yaml` has no tests\n  hint: "),
                "{errors}"
            );
            assert!(errors.contains(&format!("expect: {{ {expected} }}")), "{errors}");
            let example = errors.split_once("such as\n").unwrap().1.replace("\n    ", "\n");
            fs::write(folder.path().join("with.yaml"), text.replace("tests: []\n", "") + example.trim_start()).unwrap();
            let output = test(folder.path(), &["with.yaml"]);
            assert!(output.status.success(), "{example}: {}", String::from_utf8_lossy(&output.stderr));
        }
    }
}
