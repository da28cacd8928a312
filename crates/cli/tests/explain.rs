//! `crossfade explain` and `crossfade test` from outside. The configuration is `explain/crossfade.yaml`; each case is a file
//! `explain/NAME.args` with one argument per line, beside the expected output, which `BLESS=1` writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain")
}

fn crossfade(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crossfade")).args(arguments).current_dir(folder).output().unwrap()
}

fn printed(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].concat().try_into().unwrap()
}

fn is_golden(golden: &Path, actual: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::write(golden, actual).unwrap();
    }
    let expected = fs::read_to_string(golden).unwrap_or_default();
    assert!(expected == actual, "{}\n--- expected\n{expected}\n--- actual\n{actual}", golden.display());
}

#[test]
fn explanations_are_the_golden_ones() {
    let mut cases = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "args") {
            continue;
        }
        cases += 1;
        let arguments = fs::read_to_string(&path).unwrap();
        let arguments: Vec<&str> = arguments.lines().collect();
        let output = crossfade(&folder(), &[&["explain"], &arguments[..]].concat());
        is_golden(&path.with_extension("txt"), &printed(&output));
    }
    assert!(cases > 8, "{cases}");
}

#[test]
fn help_texts_are_the_golden_ones() {
    for (command, golden) in [("explain", "golden/help-explain.txt"), ("test", "golden/help-test.txt")] {
        let output = crossfade(&folder(), &[command, "--help"]);
        is_golden(&folder().join("..").join(golden), &printed(&output));
    }
}

#[test]
fn the_tests_of_a_configuration_pass_or_say_what_is_different() {
    let output = crossfade(&folder(), &["test"]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert!(printed(&output).ends_with("2 tests, 0 failed\n"));

    let other = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(folder().join("crossfade.yaml")).unwrap();
    let text =
        text.replace("status: 301, location", "status: 302, location").replace("pin: { modern:", "pin: { legacy:");
    let text = text
        + "  - request: https://shop.example.com/api/orders/7\n    expect: { route: orders-read, backend: legacy }\n";
    fs::write(other.path().join("crossfade.yaml"), text).unwrap();
    let output = crossfade(other.path(), &["test"]);
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    is_golden(&folder().join("../golden/test-failures.txt"), &printed(&output));
}

#[test]
fn what_cannot_be_explained_is_refused() {
    for (arguments, told) in [
        (&["explain", "/path"][..], "hint: write `https://host/path`"),
        (&["explain", "http://"], "error: `http://` is not a complete URL"),
        (&["explain", "G T", "https://a/"], "error: `G T` is not a method"),
        (&["report", "--since", "yesterday"], "expected a time in UTC such as `2026-11-24T08:00:00Z`"),
        (&["explain", "https://a/", "--config", "nowhere.yaml"], "cannot read `nowhere.yaml`"),
        (
            &["explain", "https://a/", "--serverless", "crossfade.yaml"],
            "`crossfade.yaml` is a configuration of Crossfade",
        ),
        (&["explain", "https://a/", "-H", "no colon"], "expected `name: value`"),
        (&["test", "nowhere.yaml"], "cannot read `nowhere.yaml`"),
    ] {
        let output = crossfade(&folder(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(printed(&output).contains(told), "{arguments:?}: {}", printed(&output));
    }
}
