//! `crossfade check` from outside: its output as text and as JSON, and the exit codes.
//!
//! `crates/route/tests/config` has the errors themselves.

use std::process::{Command, Output};

use serde_json::{Value, json};
use tempfile::TempDir;

const CLEAN: &str = "version: 1\nbackends: { legacy: https://a.example }\ndefault: { forward: legacy }\n";
const ERRORS: &str = "\
version: 1
backends:
  legacy: { uri: https://a.example }
routes:
  - name: orders
    priority: 10
    conditions: { path: [orders/*] }
    forward: legcy
default: { forward: legacy }
";
const WARNINGS: &str = "\
version: 1
backends:
  legacy: https://a.example
  modern: https://b.example
routes:
  - name: all
    priority: 10
    conditions: { path: [/*] }
    forward: legacy
  - name: none
    priority: 20
    conditions: { path: [/x] }
    forward: legacy
default: { forward: legacy }
";

/// Runs `check` in a folder with a `crossfade.yaml` and other files.
fn check_with(content: &[u8], files: &[(&str, &str)], arguments: &[&str]) -> Output {
    let folder = folder_with(content, files);
    run(&folder, arguments)
}

fn check(content: &str, arguments: &[&str]) -> Output {
    check_with(content.as_bytes(), &[], arguments)
}

fn folder_with(content: &[u8], files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("crossfade.yaml"), content).unwrap();
    for (name, content) in files {
        std::fs::write(folder.path().join(name), content).unwrap();
    }
    folder
}

fn run(folder: &TempDir, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.current_dir(folder.path()).env_remove("CHECK_TEST_URL").arg("check").args(arguments).output().unwrap()
}

#[track_caller]
fn told(output: &Output, code: i32) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    assert_eq!(errors, "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn told_as_json(output: &Output, code: i32) -> Value {
    serde_json::from_str(&told(output, code)).unwrap()
}

#[test]
fn the_help_text_is_the_golden_one() {
    let output = check(CLEAN, &["--help"]);
    assert_eq!(told(&output, 0), include_str!("golden/help-check.txt"));
}

#[test]
fn a_good_file_is_summed_up() {
    assert_eq!(told(&check(CLEAN, &[]), 0), "crossfade.yaml: ok, 1 back end, 0 routes\n");
    let output = check(CLEAN, &["--deny-warnings", "--json"]);
    assert_eq!(
        told_as_json(&output, 0),
        json!({ "file": "crossfade.yaml", "errors": 0, "warnings": 0, "findings": [] })
    );
}

#[test]
fn metrics_have_a_number_and_a_price() {
    let config = |metrics: &str| {
        format!(
            "version: 1\nbackends: {{ legacy: https://a.example, modern: https://b.example }}\nroutes:\n  \
             - {{ name: copied, priority: 1, conditions: {{ path: [/a] }}, forward: legacy, mirror: {{ backend: modern, \
             percent: 1, compare: {{}} }} }}\n  \
             - {{ name: moved, priority: 2, conditions: {{ path: [/b] }}, redirect: {{ path: /c }} }}\n\
             default: {{ forward: legacy }}\nmetrics: {metrics}\n"
        )
    };
    for (metrics, count, usd) in [
        // With the version of a live state.
        ("true", 18 + 1, "5.70"),
        // All, a route with a mirror, a redirect, the default.
        ("{ routes: true }", 18 + 1 + 18 + 5 + 15, "17.10"),
    ] {
        let text = told(&check(&config(metrics), &[]), 0);
        let expected =
            format!("crossfade.yaml: ok, 2 back ends, 2 routes, at most {count} metrics, {usd} USD a month\n");
        assert_eq!(text, expected);
        let document = told_as_json(&check(&config(metrics), &["--json"]), 0);
        assert_eq!(document["metrics"], json!({ "atMost": count, "usdPerMonth": usd.parse::<f64>().unwrap() }));
    }
    assert!(!told(&check(&config("false"), &[]), 0).contains("USD"));
    let text = told(&check(&config("true\naccessLog: false"), &["--deny-warnings"]), 1);
    assert!(text.contains("crossfade.yaml:7:10: warning: `metrics`: with `accessLog: false` there are no"), "{text}");
    assert!(text.ends_with("\ncrossfade.yaml: 1 warning, at most 19 metrics, 5.70 USD a month\n"), "{text}");
}

#[test]
fn errors_are_shown_all_at_once() {
    assert_eq!(told(&check(ERRORS, &[]), 1), include_str!("golden/check-errors.txt"));
}

#[test]
fn errors_as_json_have_what_the_text_has() {
    let document = told_as_json(&check(ERRORS, &["--json"]), 1);
    assert_eq!(document, serde_json::from_str::<Value>(include_str!("golden/check-errors.json")).unwrap());
}

#[test]
fn warnings_count_where_they_are_denied() {
    assert_eq!(told(&check(WARNINGS, &[]), 0), include_str!("golden/check-warnings.txt"));
    assert_eq!(told(&check(WARNINGS, &["--deny-warnings"]), 1), include_str!("golden/check-warnings.txt"));
    let document = told_as_json(&check(WARNINGS, &["--json"]), 0);
    assert_eq!((&document["errors"], &document["warnings"]), (&json!(0), &json!(2)));
    assert_eq!(document["findings"][1]["route"], "none");
}

#[test]
fn what_only_a_start_would_find_is_found() {
    let config = "version: 1\nbackends: { legacy: { url: https://a.example, tls: { caFile: ca.pem } } }\n\
                  default: { forward: legacy }\n";
    let output = check_with(config.as_bytes(), &[("ca.pem", "no certificate")], &[]);
    let text = told(&output, 1);
    assert!(text.starts_with("crossfade.yaml: ca.pem: no certificate in it"), "{text}");
    assert!(text.ends_with("\ncrossfade.yaml: 1 error\n"), "{text}");
    let output = check_with(config.as_bytes(), &[("ca.pem", "no certificate")], &["--json"]);
    let finding = &told_as_json(&output, 1)["findings"][0];
    let members: Vec<_> = finding.as_object().unwrap().keys().cloned().collect();
    assert_eq!(members, ["message", "severity"]);
}

#[test]
fn files_are_looked_for_beside_the_configuration() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("deploy")).unwrap();
    let config = format!(
        "{CLEAN}routes: [{{ name: a, priority: 1, conditions: {{ path: /a }}, fixedResponse: {{ status: 503, bodyFile: a.txt }} }}]\n"
    );
    std::fs::write(folder.path().join("deploy/a.yaml"), config).unwrap();
    std::fs::write(folder.path().join("deploy/a.txt"), "closed").unwrap();
    assert_eq!(told(&run(&folder, &["deploy/a.yaml"]), 0), "deploy/a.yaml: ok, 1 back end, 1 route\n");
}

#[test]
fn variables_come_from_the_environment() {
    let config = CLEAN.replace("https://a.example", "\"${env:CHECK_TEST_URL}\"");
    let folder = folder_with(config.as_bytes(), &[]);
    let text = told(&run(&folder, &[]), 1);
    assert!(text.contains("`CHECK_TEST_URL` is not set"), "{text}");
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    let output =
        command.current_dir(folder.path()).env("CHECK_TEST_URL", "https://a.example").arg("check").output().unwrap();
    told(&output, 0);
}

#[test]
fn what_is_no_text_is_shown_where_it_stands() {
    let output =
        check_with(b"version: 1\n# caf\xe9\nbackends: { l: https://a.example }\ndefault: { forward: l }\n", &[], &[]);
    assert_eq!(
        told(&output, 1),
        "crossfade.yaml:2:6: this is not UTF-8\n   |\n 2 | # caf\u{fffd}\n   |      ^\n   hint: save the file as UTF-8\n\
         crossfade.yaml: 1 error\n"
    );
    for content in [&b"\xff\xfe\x00"[..], b"\0", b"\x80"] {
        let output = check_with(content, &[], &["--json"]);
        assert!(told_as_json(&output, 1)["errors"].as_u64().unwrap() > 0);
    }
}

#[test]
fn utf_16_is_read_as_well() {
    // As Windows PowerShell writes it.
    let utf16: Vec<u8> = std::iter::once(0xfeff).chain(CLEAN.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    assert_eq!(told(&check_with(&utf16, &[], &[]), 0), "crossfade.yaml: ok, 1 back end, 0 routes\n");
}

#[test]
fn other_commands_name_the_mistake_as_well() {
    let folder =
        folder_with(b"version: 1\nbackends:\n\tlegacy: https://a.example\ndefault: { forward: legacy }\n", &[]);
    for arguments in [&["explain", "https://a/"][..], &["test"], &["dev", "--config", "crossfade.yaml"]] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        let output = command.current_dir(folder.path()).args(arguments).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert!(errors.starts_with("error: crossfade.yaml:3:1: a tab in the indentation\n"), "{errors}");
        assert_eq!(output.status.code(), Some(2));
    }
}

#[test]
fn a_check_that_cannot_run_says_why() {
    let folder = folder_with(CLEAN.as_bytes(), &[]);
    for (arguments, reason) in [
        (&["no-such.yaml"][..], "error: cannot read `no-such.yaml`: No such file"),
        (&["."], "error: `.` is a folder"),
        (&["--jsn"], "error: unexpected argument '--jsn'"),
        (&["a.yaml", "b.yaml"], "error: unexpected argument 'b.yaml'"),
    ] {
        let output = run(&folder, arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(output.stdout.is_empty() && errors.starts_with(reason), "{errors}");
    }
}

#[test]
fn limits_of_the_front_ends_in_use_are_warnings() {
    let large = "x".repeat(1_100_000);
    let file = "\
version: 1
streaming: function-url
timeouts: { request: 60s }
backends:
  legacy: { url: https://a.example, timeouts: { backendRequest: 40s } }
routes:
  - name: notice
    priority: 10
    conditions: { path: [/notice] }
    fixedResponse: { status: 200, contentType: text/plain, bodyFile: notice.txt }
default: { forward: legacy }
";
    let files = [("notice.txt", large.as_str())];
    let warnings = |arguments: &[&str]| {
        let output = check_with(file.as_bytes(), &files, &[&["--json"], arguments].concat());
        let result: Value = serde_json::from_slice(&output.stdout).unwrap();
        let findings = result["findings"].as_array().unwrap().iter();
        findings.map(|it| format!("{} {}", it["line"], it["message"].as_str().unwrap())).collect::<Vec<_>>()
    };
    assert_eq!(warnings(&[]), [""; 0]);
    assert_eq!(warnings(&["--front", "function-url"]), [""; 0]);
    let gives_up = |line: u32, time: &str| {
        format!(
            "{line} API Gateway (REST API) does not wait for {time}: its clients get a 504 or 503 of its own after 29s"
        )
    };
    let not_streamed = "2 no front end of `--front` is a function-url, so nothing is streamed through it".to_owned();
    assert_eq!(warnings(&["--front", "rest-api"]), [not_streamed.clone(), gives_up(3, "60s"), gives_up(5, "40s")]);
    assert_eq!(warnings(&["--front", "rest-api", "--front", "function-url"]), [gives_up(3, "60s"), gives_up(5, "40s")]);
    let behind_alb = warnings(&["--front", "alb"]);
    assert_eq!(behind_alb[0], not_streamed);
    assert!(behind_alb[1].starts_with("10 the response is too large for the load balancer: "), "{behind_alb:?}");

    let output = check(CLEAN, &["--front", "nlb"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("expected one of alb, rest-api"));
}
