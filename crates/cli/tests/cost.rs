//! `crossfade cost` from outside: what it takes from options, a log and a file, what it refuses, and the examples of docs/cost.md. The
//! arithmetic is tested in `crates/cli/src/cost/tests.rs`. `BLESS=1` writes the expected texts.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

use crate::report::{HOSTILE, is_golden, requests};

/// Runs `cost` with this on standard input.
fn cost(input: &str, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.arg("cost").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || _ = stdin.write_all(input.as_bytes()));
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

/// Standard output and standard error of a success.
#[track_caller]
fn told(input: &str, arguments: &[&str]) -> (String, String) {
    let output = cost(input, arguments);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(0), "{arguments:?}: {errors}");
    (String::from_utf8(output.stdout).unwrap(), errors)
}

#[track_caller]
fn json_of(input: &str, arguments: &[&str]) -> Value {
    serde_json::from_str(&told(input, &[arguments, &["--json"]].concat()).0).unwrap()
}

#[track_caller]
fn refused(input: &str, arguments: &[&str]) -> String {
    let output = cost(input, arguments);
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0), "{arguments:?}");
    String::from_utf8(output.stderr).unwrap()
}

/// The item with this name.
fn item<'d>(document: &'d Value, name: &str) -> &'d Value {
    let items = document["crossfade"]["items"].as_array().unwrap();
    items.iter().find(|item| item["name"] == name).unwrap_or(&Value::Null)
}

#[track_caller]
fn is(found: &Value, expected: f64) {
    let found = found.as_f64().unwrap_or_else(|| panic!("{found}"));
    assert!((found - expected).abs() <= 1e-6 * expected.abs().max(1.0), "{found} is not {expected}");
}

/// Six hours with 10,800 lines: one in two seconds. Each hundredth is a health check.
fn log() -> String {
    let line = |number: u64| {
        let members = match number % 100 {
            99 => json!({ "route": "health-check", "method": null, "path": null, "total_ms": 0.2 }),
            _ => json!({ "route": "orders", "path": "/api/orders/7", "backend": "legacy", "total_ms": 59.2,
                "request_bytes": 400, "response_bytes": 9_000 }),
        };
        requests::line(number * 2, number, &members)
    };
    (0..10_800).map(line).collect()
}

const FIGURES: [&str; 4] = ["--requests", "10M/month", "--duration", "60ms"];

/// With a migration, a mirror and a share of the access log.
fn file(folder: &Path) -> PathBuf {
    let file = folder.join("crossfade.yaml");
    let text = "version: 1
backends: { legacy: https://legacy.example.com, modern: https://modern.example.com }
accessLog: { percent: 10 }
metrics: true
spill: { bucket: crossfade-spill }
migration: { from: legacy, to: modern, routes: orders }
routes:
  - name: orders
    priority: 1
    conditions: { path: /api/orders* }
    forward: { targets: [{ backend: legacy, weight: 1 }, { backend: modern, weight: 0 }], sticky: { by: { cookie: customer_id } } }
    mirror: { backend: modern, percent: 20, compare: {} }
  - name: search
    priority: 2
    conditions: { path: /search }
    forward: legacy
    mirror: { backend: modern, percent: 5, compare: {} }
default: { forward: legacy }
";
    std::fs::write(&file, text).unwrap();
    file
}

#[test]
fn the_texts_are_the_golden_ones() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path());
    let file = file.to_str().unwrap();
    for (name, input, arguments) in [
        ("cost/figures.txt", "", &FIGURES[..]),
        ("cost/log.txt", &log(), &["-"]),
        ("cost/file.txt", "", &[&FIGURES[..], &["--config", file]].concat()),
        (
            "cost/everything.txt",
            "",
            &[
                &FIGURES[..],
                &[
                    "--mirror",
                    "5%",
                    "--mirror-duration",
                    "80ms",
                    "--live",
                    "appconfig",
                    "--arch",
                    "arm64",
                    "--region",
                    "eu-central-1",
                ],
                &[
                    "--metrics",
                    "20",
                    "--alarms",
                    "4",
                    "--dashboards",
                    "1",
                    "--front",
                    "lattice",
                    "--network",
                    "nat",
                    "--spill",
                    "0.1%",
                ],
                &[
                    "--memory",
                    "256",
                    "--cold-starts",
                    "1%",
                    "--init",
                    "30ms",
                    "--request-size",
                    "2KB",
                    "--response-size",
                    "600KB",
                ],
                &["--live-interval", "30s", "--environments", "4", "--access-log", "50%", "--spill-size", "20MB"],
            ]
            .concat(),
        ),
        ("cost/figures.json", "", &[&FIGURES[..], &["--json"]].concat()),
    ] {
        let (text, errors) = told(input, arguments);
        assert_eq!(errors, "", "{name}");
        is_golden(name, &text);
        assert!(name.ends_with("json") || text.lines().all(|line| line.chars().count() <= 130), "{name}");
    }
}

#[test]
fn the_help_is_the_golden_one() {
    is_golden("golden/help-cost.txt", &told("", &["--help"]).0);
}

/// 10,692 requests in 21,596 s (the last line is a health check, at 21,598 s), each of 60 ms.
#[test]
fn a_log_is_extrapolated_from_its_first_to_its_last_request() {
    let document = json_of(&log(), &["-"]);
    let requests = 10_692.0 * 2_628_000.0 / 21_596.0;
    is(&document["requests_per_month"], requests);
    is(&document["log"]["seconds"], 21_596.0);
    is(&item(&document, "Lambda duration")["quantity"], requests * 0.06 * 0.125);
    // Both parts of the log, in any order, compressed, and one of them twice.
    let folder = tempfile::tempdir().unwrap();
    let whole = log();
    let middle = whole.match_indices('\n').nth(5_000).unwrap().0 + 1;
    let (first, second) = whole.split_at(middle);
    let [one, other] = ["one.log", "other.log.gz"].map(|name| folder.path().join(name));
    std::fs::write(&one, first).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(std::fs::File::create(&other).unwrap(), flate2::Compression::fast());
    gzip.write_all(second.as_bytes()).unwrap();
    gzip.finish().unwrap();
    let [one, other] = [&one, &other].map(|file| file.to_str().unwrap());
    let parts = json_of("", &[other, one, one]);
    assert_eq!(parts["crossfade"], document["crossfade"]);
    // The span of a filtered log is that of its traffic, and options override what it says.
    let day = json_of(&log(), &["-", "--span", "1d"]);
    is(&day["requests_per_month"], 10_692.0 * 730.0 / 24.0);
    let other = json_of(&log(), &["-", "--requests", "1M", "--duration", "100ms", "--response-size", "0B"]);
    is(&item(&other, "Lambda duration")["quantity"], 1e6 * 0.1 * 0.125);
}

#[test]
fn a_line_stands_for_its_weight_and_copies_are_those_of_the_log() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path());
    let access = |number: u64| {
        let members = json!({ "route": "orders", "path": "/", "backend": "legacy", "total_ms": 99.5, "weight": 10,
            "spilled_bytes": if number.is_multiple_of(10) { json!(9_000_000) } else { Value::Null } });
        requests::line(number * 10, number, &members)
    };
    let copy = |number: u64| {
        let time = humantime::format_rfc3339_millis(
            std::time::UNIX_EPOCH + std::time::Duration::from_secs(1_795_507_200 + number),
        );
        let record = json!({ "version": 2, "time": time.to_string(), "against": "mirror", "request_id": format!("{number:036}"),
            "route": "orders", "method": "GET", "endpoint": "/", "verdict": "match",
            "primary": { "backend": "legacy", "status": 200, "ms": 90.0 }, "mirror": { "backend": "modern", "status": 200, "ms": 50.0 } });
        record.to_string().replacen('{', "{\"type\":\"compare\",", 1) + "\n"
    };
    let log: String = (0..1_000).map(access).chain((0..500).map(copy)).collect();
    // The file's 20 % are not what was mirrored.
    let document = json_of(&log, &["-", "--config", file.to_str().unwrap()]);
    let requests = 10_000.0 * 2_628_000.0 / 9_990.0;
    is(&document["requests_per_month"], requests);
    is(&item(&document, "Shadow requests")["quantity"], requests * 0.05 * 0.05 * 0.125);
    is(&item(&document, "Stored responses, writes")["quantity"], requests * 0.1 * 4.0);
    let bytes = item(&document, "Access log")["quantity"].as_f64().unwrap() * 1e9 / (requests / 10.0);
    // With those of the file's metrics.
    assert!((545.0..745.0).contains(&bytes), "{bytes}");
}

/// Copies for which nothing was sent have a line, but no time and no transfer.
#[test]
fn lost_copies_that_were_not_sent_have_only_their_lines() {
    let compared = |number: u64, verdict: &Value| {
        let mut record = json!({ "version": 2, "time": "2026-11-24T10:00:00Z", "against": "mirror", "request_id": format!("{number:036}"),
            "route": "orders", "method": "GET", "endpoint": "/", "primary": { "backend": "legacy", "status": 200, "ms": 90.0 } });
        record.as_object_mut().unwrap().extend(verdict.as_object().unwrap().clone());
        record.to_string().replacen('{', "{\"type\":\"compare\",", 1) + "\n"
    };
    let sent = json!({ "verdict": "match", "mirror": { "backend": "modern", "status": 200, "ms": 50.0 } });
    let lost = |reason: &str| json!({ "verdict": "lost", "reason": reason, "mirror": { "backend": "modern" } });
    let all = [sent, lost("open"), lost("disconnected"), lost("http_request_error"), lost("budget")];
    let lines: String = (0..).zip(&all).map(|(number, verdict)| compared(number, verdict)).collect();
    let document = json_of(&(log() + &lines), &["-"]);
    let requests = document["requests_per_month"].as_f64().unwrap();
    is(&item(&document, "Shadow requests")["quantity"], requests * 2.0 / 10_692.0 * 0.05 * 0.125);
    is(&item(&document, "Comparison log")["quantity"], requests / 10_692.0 * lines.len() as f64 / 1e9);
    assert_eq!(document["log"]["lines"]["comparison_lines"], 5);
}

/// Whatever their names and members are, the bytes of lines are those of the log; metrics are not added twice.
#[test]
fn lines_count_as_they_were_written() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path());
    let named = |number: u64, more: &str| {
        format!(
            "{{\"type\":\"access\",\"version\":3,\"time\":\"2026-11-24T1{number}:00:00.000Z\",\"faas.invocation_id\":\"{number:036}\",\
             \"crossfade.route\":\"orders\",\"url.path\":\"/\\\"_aws\\\":\",\"http.server.request.duration\":0.0592{more}}}\n"
        )
    };
    let metrics = r#","timestamp":"2026-11-24T10:00:00Z","level":"INFO","_aws":{"Timestamp":1,"CloudWatchMetrics":[]}"#;
    let untimed = "{\"type\":\"access\",\"version\":3,\"request_id\":\"a\"}\n";
    for (more, added) in [("", 345.0), (metrics, 0.0)] {
        let log: String = (0..4).map(|number| named(number, more)).collect();
        let exported: String =
            log.lines().map(|line| format!("{{\"timestamp\":1,\"message\":{}}}\n", json!(line))).collect();
        for text in [&log, &exported] {
            let document = json_of(text, &["-", "--config", file.to_str().unwrap()]);
            is(&document["log"]["seconds"], 3.0 * 3_600.0);
            let requests = document["requests_per_month"].as_f64().unwrap();
            let line = log.len() as f64 / 4.0 + added;
            is(&item(&document, "Access log")["quantity"], requests * line / 1e9);
        }
    }
    // A line without a time is a request, but none of 1970.
    let log: String = (0..4).map(|number| named(number, "")).collect();
    is(&json_of(&(log + untimed), &["-"])["log"]["seconds"], 3.0 * 3_600.0);
}

/// With cold starts and shadow requests in them, and without health checks: 108 of 1 ms, which are a constant of each month.
#[test]
fn reports_of_lambda_say_what_was_billed() {
    let report = |number: u64| {
        let init = if number.is_multiple_of(100) { "Init Duration: 18.20 ms\t" } else { "" };
        format!(
            "2026-11-24T08:00:00 REPORT RequestId: {number:08x}-5d2b-4e0f-9a31-6f0c2b7d9e55\tDuration: 69.10 ms\tBilled Duration: 70 ms\t\
             Memory Size: 256 MB\tMax Memory Used: 21 MB\t{init}\n"
        )
    };
    let log = log() + &(0..10_800).map(report).collect::<String>();
    let document = json_of(&log, &["-"]);
    let requests = 10_692.0 * 2_628_000.0 / 21_596.0;
    is(&item(&document, "Lambda requests")["quantity"], requests);
    let billed = (10_800.0 * 70.0 - 108.0) / 10_692.0;
    is(&item(&document, "Lambda duration")["quantity"], requests * billed / 1e3 * 0.25);
    is(&item(&document, "Health checks")["quantity"], 87_600.0);
    let more = json_of(&log, &["-", "--requests", "1B", "--health-check", "10s"]);
    is(&item(&more, "Lambda requests")["quantity"], 1e9);
    is(&item(&more, "Health checks")["quantity"], 262_800.0);
    for name in ["Cold starts", "Shadow requests"] {
        assert!(item(&document, name).is_null(), "{name}");
    }
    assert_eq!(
        document["log"]["lines"],
        json!({ "access_lines": 10_692, "comparison_lines": 0, "report_lines": 10_800 })
    );
    // Without access lines, these are the requests; the time is missing.
    let reports: String = (0..100).map(report).collect();
    let found = refused(&reports, &["-"]);
    assert!(found.contains("no access line") && found.contains("--span 24h"), "{found}");
    let alone = json_of(&reports, &["-", "--span", "1h"]);
    is(&alone["requests_per_month"], 73_000.0);
    assert!(item(&alone, "Health checks").is_null(), "they are among the reports");
}

#[test]
fn the_file_says_what_is_mirrored_and_logged() {
    let folder = tempfile::tempdir().unwrap();
    let file = file(folder.path());
    // 20 %, of which 1 % go to the old system again (`selfCompare`).
    let document = json_of("", &[&FIGURES[..], &["--config", file.to_str().unwrap()]].concat());
    is(&item(&document, "Shadow requests")["quantity"], 10e6 * 0.202 * 0.06 * 0.125);
    is(&item(&document, "Access log")["quantity"], 0.37 + 0.345);
    is(&item(&document, "Custom metrics")["quantity"], 19.0);
    let assumed = document["assumed"].to_string();
    assert!(assumed.contains("orders 20.20 %, search 5.05 %"), "{assumed}");
    assert!(assumed.contains("`migration`") && assumed.contains("`spill`"), "{assumed}");
    let given = [
        "--config",
        file.to_str().unwrap(),
        "--mirror",
        "0%",
        "--access-log",
        "100%",
        "--live",
        "none",
        "--spill",
        "0%",
        "--metrics",
        "0",
    ];
    let given = json_of("", &[&FIGURES[..], &given].concat());
    assert_eq!(given["crossfade"], json_of("", &FIGURES)["crossfade"]);
    std::fs::write(&file, "version: 1\nbackend: x\n").unwrap();
    let found = refused("", &[&FIGURES[..], &["--config", file.to_str().unwrap()]].concat());
    assert!(found.contains("crossfade.yaml:2"), "{found}");
}

#[test]
fn what_is_missing_or_wrong_is_named() {
    for (arguments, expected) in [
        (&[][..], "no traffic to calculate with"),
        (&["--requests", "10M"], "the time of a request is missing"),
        (&["--duration", "60ms"], "no traffic to calculate with"),
        (&["--requests", "10m/month", "--duration", "60ms"], "`10M/month` for 10 million"),
        (&["--requests=-5/s", "--duration", "60ms"], "such as `10M/month`"),
        (&["--requests", "NaN", "--duration", "60ms"], "such as `10M/month`"),
        (&["--requests", "1e19", "--duration", "60ms"], "more than 1e18"),
        (&["--requests", "1", "--duration", "60"], "with its unit"),
        (&["--requests", "1", "--duration", "31min"], "at most 30 minutes"),
        (&["--requests", "1", "--duration", "1s", "--mirror", "120%"], "from 0% to 100%"),
        (&["--requests", "1", "--duration", "1s", "--region", "mars-1"], "us-east-1, eu-west-1, eu-central-1"),
        (&["--requests", "1", "--duration", "1s", "--front", "nlb"], "expected one of alb, rest-api"),
        (&["--requests", "1", "--duration", "1s", "--memory", "64"], "128..=10240"),
        (&["--requests", "1", "--duration", "1s", "--span", "1h"], "LOG"),
        (&["no-such.log"], "cannot read `no-such.log`"),
    ] {
        let found = refused("", arguments);
        assert!(found.contains(expected), "{arguments:?}: {found}");
    }
    let one = requests::line(0, 0, &json!({ "backend": "legacy" }));
    let check = requests::line(0, 0, &json!({ "route": "health-check" }));
    for (log, expected) in [
        ("", "neither access lines"),
        ("nothing of ours\n", "neither access lines"),
        (&check, "neither access lines"),
        ("{\"type\":\"access\",\"version\":3,", "records cannot be read, the first at standard input:1"),
        (&one, "all its requests are of one moment"),
        ("{\"type\":\"access\",\"version\":3,\"request_id\":\"a\"}", "its access lines have no `time`"),
    ] {
        let found = refused(log, &["-"]);
        assert!(found.contains(expected), "{log}: {found}");
    }
}

#[test]
fn a_short_log_is_warned_of() {
    let log: String = (0..60).map(|number| requests::line(number, number, &json!({ "backend": "legacy" }))).collect();
    let (text, errors) = told(&log, &["-"]);
    assert_eq!(errors, "warning: the log covers only 59s: a month may be quite different\n");
    assert!(text.contains("a month like the 59s of the log, with 60 requests"), "{text}");
    let cut = log.clone() + "{\"type\":\"access\",\"version\":3,";
    assert!(told(&cut, &["-"]).1.contains("warning: 1 records cannot be read, the first at standard input:61"));
}

#[test]
fn hostile_logs_give_a_cost_and_steer_no_terminal() {
    let mut log = String::new();
    for (number, text) in (0..).zip(HOSTILE) {
        let members = json!({ "route": text, "path": text, "backend": text, "total_ms": 1e300, "request_bytes": u64::MAX,
            "response_bytes": u64::MAX, "weight": u32::MAX, "spilled_bytes": u64::MAX });
        log += &requests::line(number * 3_600, number, &members);
        log += &format!("REPORT RequestId: {text}\tBilled Duration: 1e999 ms\tMemory Size: 99999999999999999999 MB\n");
    }
    let (text, errors) = told(&log, &["-"]);
    assert!(!text.contains(['\u{1b}', '\u{7}']) && errors.is_empty(), "{text}{errors}");
    let document = json_of(&log, &["-"]);
    assert!(document["crossfade"]["usd"].as_f64().unwrap() > 0.0);
}

/// Each example of the page prints what the page shows; `…` stands for any lines.
#[test]
fn the_page_shows_what_the_command_prints() {
    let page = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/cost.md")).unwrap();
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("function.log"), log()).unwrap();
    file(folder.path());
    let mut shown = 0;
    for block in page.split("```console\n").skip(1).map(|rest| rest.split_once("```").unwrap().0) {
        let (command, expected) = block.split_once('\n').unwrap();
        let Some(arguments) = command.strip_prefix("$ crossfade cost ") else { continue };
        let mut run = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        let output =
            run.arg("cost").args(shell_words::split(arguments).unwrap()).current_dir(folder.path()).output().unwrap();
        let found = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
        let mut rest = found.as_str();
        for piece in expected.split("…\n") {
            rest =
                rest.split_once(piece).unwrap_or_else(|| panic!("{command} does not print\n{piece}\nbut\n{found}")).1;
        }
        shown += 1;
    }
    assert!(shown >= 2, "{shown}");
}
