//! `crossfade report --traffic` from outside. `report/traffic*` are the reports on a generated log (`report/requests.rs`);
//! `BLESS=1` writes them.

use std::io::Write;
use std::path::Path;

use serde_json::{Value, json};

use crate::report::{HOSTILE, is_golden, logs, report, requests, told};

/// The report on this log, without errors.
#[track_caller]
fn traffic(log: &str, arguments: &[&str]) -> String {
    told(&report(log, &[&["--traffic"], arguments].concat()), 0)
}

#[track_caller]
fn json_of(log: &str, arguments: &[&str]) -> Value {
    serde_json::from_str(&traffic(log, &[&["--json"], arguments].concat())).unwrap()
}

/// The reason for which there is no report.
#[track_caller]
fn refused(log: &str, arguments: &[&str]) -> String {
    let output = report(log, &[&["--traffic"], arguments].concat());
    assert_eq!((output.status.code(), output.stdout.len()), (Some(2), 0));
    String::from_utf8(output.stderr).unwrap()
}

#[test]
fn a_log_is_summed_up() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("crossfade.yaml");
    std::fs::write(&config, requests::CONFIG).unwrap();
    let config = config.to_str().unwrap();
    for (name, count, arguments) in [
        ("report/traffic.txt", 12_000, &["--config", config, "--title", "Shop, week 2"][..]),
        ("report/traffic-old.txt", 12_000, &["--old", "legacy"]),
        ("report/traffic-other.txt", 12_000, &["--old", "modern", "--route", "orders"]),
        ("report/traffic-all.txt", 12_000, &[]),
        ("report/traffic-few.txt", 3, &["--config", config]),
        ("report/traffic.json", 40, &["--json", "--config", config]),
    ] {
        let text = traffic(&requests::log(count), arguments);
        is_golden(name, &text);
        let is_wide = |line: &&str| line.chars().count() > 110;
        assert_eq!(text.lines().find(is_wide).filter(|_| name.ends_with("txt")), None);
    }
}

/// In the order of effort, each with its reason.
#[test]
fn what_to_switch_off_next_comes_first() {
    let step = |route: &str, chosen: &str, backend: &str| {
        let members = json!({ "route": route, "path": "/", "backend": backend, "chosen": chosen });
        (0..10).map(|number| requests::line(number, number, &members)).collect::<String>()
    };
    let skipped = json!({ "route": "failing", "backend": "legacy", "target": "modern", "chosen": "hash",
        "skipped": [{ "backend": "modern", "outcome": "503" }] });
    let mut log: String = [
        ("lonely", "only"),
        ("asked", "opt-in"),
        ("pinned", "pin"),
        ("strangers", "otherwise"),
        ("moving", "hash"),
        ("moving", "weight"),
    ]
    .map(|(route, chosen)| step(route, chosen, "legacy"))
    .concat();
    log += &requests::line(5, 1, &skipped);
    log += &step("moved", "weight", "modern");
    log += &step("leaving", "weight", "legacy");
    for number in 0..100 {
        let members = json!({ "route": "leaving", "backend": "modern", "chosen": "weight" });
        log += &requests::line(100 + number, number, &members);
    }
    let document = json_of(&log, &["--old", "legacy"]);
    let steps: Vec<(&str, &str)> = document["switch_off"]
        .as_array()
        .unwrap()
        .iter()
        .map(|step| (step["route"].as_str().unwrap(), step["state"].as_str().unwrap()))
        .collect();
    let expected = [
        ("moved", "unused"),
        ("leaving", "no-longer-used"),
        ("failing", "in-use"),
        ("moving", "in-use"),
        ("strangers", "in-use"),
        ("pinned", "in-use"),
        ("asked", "in-use"),
        ("lonely", "in-use"),
    ];
    assert_eq!(steps, expected);
    let why = &document["switch_off"][2]["why"];
    assert_eq!((&why[0]["by"], &why[0]["requests"]), (&json!("failover"), &json!(1)));
    assert!(why[0]["advice"].as_str().unwrap().starts_with("`modern` failed (503 1)"), "{why}");
    // That one of a hundred is not among the next fifty may be chance.
    let rare = |number: u64| {
        let backend = if number == 50 { "legacy" } else { "modern" };
        requests::line(number, number, &json!({ "route": "rare", "backend": backend, "chosen": "weight" }))
    };
    let rare: String = (0..100).map(rare).collect();
    assert_eq!(json_of(&rare, &["--old", "legacy"])["state"], "in-use");
    // Nor does a reduced log say more than its lines: these three stand for three hundred requests.
    let reduced = |number: u64| {
        let backend = if number < 4 { "legacy" } else { "modern" };
        let members = json!({ "route": "reduced", "backend": backend, "chosen": "weight", "weight": 100 });
        requests::line(number * 60, number, &members)
    };
    let log = |lines: u64| (0..lines).map(reduced).collect::<String>();
    assert_eq!(json_of(&log(7), &["--old", "legacy"])["state"], "in-use");
    assert_eq!(json_of(&log(12), &["--old", "legacy"])["state"], "no-longer-used");
}

#[test]
fn a_log_without_access_lines_is_explained() {
    let comparisons = logs::log(20, true);
    for (log, words) in [
        ("", "error: the log has no access line (`\"type\":\"access\"`)\n  hint: the function writes"),
        ("no record\n", "error: the log has no access line"),
        (&comparisons, "error: the log has 20 comparisons, but no access line: comparisons are of shadow requests"),
        (
            "\n{\"type\":\"access\",\"version\":9}",
            "no access line that can be read, the first at standard input:2: format version 9",
        ),
    ] {
        let errors = refused(log, &[]);
        assert!(errors.contains(words), "{errors}");
        assert!(errors.contains("`accessLog`") && errors.contains("{ $.type = \"access\" }"), "{errors}");
    }
    // Without the option everything is as before.
    let text = told(&report(&requests::log(20), &[]), 0);
    assert!(text.contains("no comparison was found"), "{text}");
    assert_eq!(told(&report(&(requests::log(20) + &comparisons), &[]), 0), told(&report(&comparisons, &[]), 0));
}

#[test]
fn options_that_mean_nothing_here_are_refused() {
    let folder = tempfile::tempdir().unwrap();
    let [config, bare] = ["crossfade.yaml", "bare.yaml"].map(|name| folder.path().join(name));
    std::fs::write(&config, requests::CONFIG).unwrap();
    std::fs::write(&bare, "version: 1\nbackends: { legacy: https://a.example }\ndefault: { forward: legacy }\n")
        .unwrap();
    let (config, bare) = (config.to_str().unwrap(), bare.to_str().unwrap());
    let log = requests::log(20);
    for (arguments, words) in [
        (&["--gate", "parity>=99%"][..], "'--traffic' cannot be used with '--gate"),
        (&["--rules", config], "'--traffic' cannot be used with '--rules"),
        (&["--examples", "3"], "'--traffic' cannot be used with '--examples"),
        (&["--config", config, "--old", "legcy"], "no back end `legcy`\n  hint: did you mean `legacy`?"),
        (&["--config", "no-such.yaml"], "cannot read `no-such.yaml`"),
        (&["--html", "no/such/folder.html"], "cannot write `no/such/folder.html`"),
    ] {
        let errors = refused(&log, arguments);
        assert!(errors.contains(words), "{errors}");
    }
    let errors = String::from_utf8(report(&log, &["--old", "legacy"]).stderr).unwrap();
    assert!(errors.contains("--traffic"), "{errors}");
    // A file without a plan does not say which system is the old one; a misspelt name without a file is not in the log.
    assert!(traffic(&log, &["--config", bare]).contains("name the old system: `--old legacy`"));
    let text = traffic(&log, &["--old", "legcy"]);
    assert!(text.contains("note: `legcy` is not in the log, whose back ends are `legacy`, `modern`"), "{text}");
}

/// As CloudWatch Logs exports them.
#[test]
fn exports_of_cloudwatch_are_read() {
    let log = requests::log(200);
    let expected = json_of(&log, &[]);
    let lines = || log.lines();
    let short: String = lines().map(|line| format!("2026-11-24T08:00:00 {line}\n")).collect();
    let detailed: String =
        lines().map(|line| format!("2026-11-24T08:00:00.123000+00:00 2026/11/24/[$LATEST]0a1b {line}\n")).collect();
    let events: Vec<Value> =
        lines().map(|line| json!({ "eventId": "1", "timestamp": 1, "message": format!("{line}\n") })).collect();
    let csv = |line: &str| format!("2026-11-24 08:00:00.123,\"{}\"\n", line.replace('"', "\"\""));
    let csv = "@timestamp,@message\n".to_owned() + &lines().map(csv).collect::<String>();
    let fields = |line: &str| json!([{ "field": "@timestamp", "value": "x" }, { "field": "@message", "value": line }]);
    let insights = json!({ "results": lines().map(fields).collect::<Vec<_>>(), "status": "Complete" });
    let object: String = lines()
        .map(|line| format!("{{\"time\":\"2026-11-24T08:00:00Z\",\"type\":\"function\",\"record\":{line}}}\n"))
        .collect();
    for (name, log) in [
        ("tail --format short", short),
        ("tail --format detailed", detailed),
        ("filter-log-events --output json", serde_json::to_string_pretty(&json!({ "events": events })).unwrap()),
        ("CSV of Logs Insights", csv),
        ("get-query-results", insights.to_string()),
        ("a telemetry extension", object),
    ] {
        assert_eq!(json_of(&log, &[]), expected, "{name}");
    }
}

#[test]
fn files_of_any_kind_are_read_and_each_line_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let log = requests::log(200);
    let lines: Vec<_> = log.split_inclusive('\n').collect();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(lines[..120].concat().as_bytes()).unwrap();
    let utf16: Vec<u8> =
        "\u{feff}".encode_utf16().chain(lines[80..].concat().encode_utf16()).flat_map(u16::to_le_bytes).collect();
    let (begin, end) = (path("begin.gz"), path("end.log"));
    std::fs::write(&begin, gzip.finish().unwrap()).unwrap();
    std::fs::write(&end, utf16).unwrap();
    let mut document = json_of("", &[&end, &begin]);
    assert_eq!(document["input"]["repeated"].take(), json!(40));
    let once = json_of(&log, &[]);
    for member in ["requests", "backends", "routes", "versions", "timeline"] {
        assert_eq!(document[member], once[member], "{member}");
    }
}

#[test]
fn routes_and_times_can_be_chosen() {
    let log = requests::log(2_000);
    let count = |arguments: &[&str]| json_of(&log, arguments)["lines"].as_u64().unwrap();
    assert_eq!(count(&[]), 1_900);
    assert_eq!(count(&["--route", "orders"]) + count(&["--route", "search", "--route", "catalogue"]), 1_600);
    let (before, after) = (count(&["--until", "2026-11-24T09:00"]), count(&["--since", "2026-11-24T09:00"]));
    assert_eq!((before, before + after), (950, 1_900));
    // Routes that were not asked for are no routes without requests.
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("crossfade.yaml");
    std::fs::write(&config, requests::CONFIG).unwrap();
    let document = json_of(&log, &["--route", "orders", "--config", config.to_str().unwrap()]);
    assert_eq!(document["switch_off"].as_array().unwrap().len(), 1, "{document}");
    let text = traffic(&log, &["--since", "2026-11-25"]);
    assert!(text.contains("note: 2,000 lines were excluded by options\n"), "{text}");
}

/// Lines of a reduced log stand for others, and a log of failures alone shows no shares of requests.
#[test]
fn a_reduced_log_is_extrapolated() {
    let members = |backend: &str, weight: u64, status: u64| json!({ "route": "r", "path": "/", "backend": backend, "chosen": "weight", "weight": weight, "status": status });
    let mut log = String::new();
    for number in 0..10 {
        log += &requests::line(number, number, &members("legacy", 10, 200));
        log += &requests::line(number, 100 + number, &members("modern", 1, 500));
    }
    let document = json_of(&log, &[]);
    let counts: Vec<_> = document["backends"].as_array().unwrap().iter().map(|it| &it["requests"]).collect();
    assert_eq!((json!(counts), &document["requests"], &document["lines"]), (json!([100, 10]), &json!(110), &json!(20)));
    let text = traffic(&log, &[]);
    assert!(text.contains("note: 20 lines stand for 110 requests"), "{text}");
    let failures: String = (0..30).map(|number| requests::line(number, number, &members("legacy", 1, 503))).collect();
    assert!(traffic(&failures, &[]).contains("note: every line is of a failure"));
}

#[test]
fn nothing_in_a_log_can_run_in_the_page_or_steer_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("traffic.html");
    let mut log = String::new();
    for (number, text) in
        (0..).zip(HOSTILE.map(str::to_owned).into_iter().chain([format!("/{}", "<u>".repeat(20_000))]))
    {
        let members = json!({
            "request_id": text, "route": text, "method": text, "path": format!("/{text}"), "backend": text, "target": "x",
            "chosen": text, "error": text, "skipped": [{ "backend": text, "outcome": text }, { "backend": "x", "outcome": text }],
        });
        log += &requests::line(number, number, &members);
        log += &requests::line(number, number, &json!({ "route": "r", "path": format!("/{text}"), "backend": text }));
        log += &format!("{{\"type\":\"access\",\"version\":3,\"status\":{}}}\n", json!(text));
    }
    for old in [HOSTILE[0], HOSTILE[1], HOSTILE[6], "none"].map(|old| format!("--old={old}")) {
        let text = traffic(&log, &["--title", HOSTILE[1], &old, "--html", page.to_str().unwrap()]);
        let page = std::fs::read_to_string(&page).unwrap();
        let document = traffic(&log, &["--json", &old]);
        let parsed: Value = serde_json::from_str(&document).unwrap();
        assert!(
            parsed["routes"].as_array().unwrap().iter().any(|route| route["route"] == HOSTILE[5]),
            "nothing is lost"
        );
        for shown in [&text, &page, &document] {
            let steers = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{2066}\u{200b}\u{e0041}".contains(c);
            assert_eq!(shown.find(steers), None, "{shown}");
        }
        for (written, times) in [("<script", 0), ("<img", 0), ("<u>", 0), ("<!--", 0), ("]]>", 0), ("</style>", 1)] {
            assert_eq!(page.matches(written).count(), times, "{written}");
        }
        for tag in page.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
            assert!(!tag.contains(" on"), "<{tag}>");
        }
        assert!(page.ends_with("</html>\n") && page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
    }
}

/// Lines that no function of ours writes: clocks that are wrong, lines of one moment, values at the ends of their ranges.
#[test]
fn no_date_and_no_number_breaks_a_report() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("traffic.html");
    let served =
        |time: &str| json!({ "time": time, "route": "r", "path": "/", "backend": "legacy", "chosen": "weight" });
    let dates = ["1970-01-01T00:00:00Z", "1970-01-01T00:00:01Z", "9999-12-31T23:59:59.999Z", "2026-11-24T08:00:00Z"];
    for one in dates {
        for other in dates {
            let mut log = requests::line(0, 1, &served(one)) + &requests::line(0, 2, &served(other));
            log += &requests::line(
                0,
                3,
                &json!({ "route": "r", "backend": "modern", "total_ms": 1e308, "weight": 4_294_967_295_u32 }),
            );
            log += &requests::line(
                0,
                4,
                &json!({ "route": "r", "backend": null, "total_ms": -1.0, "weight": 0, "status": 0 }),
            );
            let text = traffic(&log, &["--old", "legacy", "--html", page.to_str().unwrap()]);
            let page = std::fs::read_to_string(&page).unwrap();
            assert!(page.ends_with("</html>\n"), "{one} {other}");
            for shown in [&text, &page] {
                assert!(!shown.contains("NaN") && !shown.contains("inf"), "{one} {other}: {shown}");
            }
            assert_eq!(json_of(&log, &[])["requests"], 100_003, "{one} {other}");
        }
    }
}

/// The report in the documentation is the one on the log of the tests.
#[test]
fn the_documentation_shows_a_real_report() {
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/report.md");
    let docs = std::fs::read_to_string(docs).unwrap();
    let example = docs.split_once("report --traffic --config crossfade.yaml access.log\n").unwrap().1;
    let example = example.split_once("```").unwrap().0;
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/report/traffic.txt");
    let golden = std::fs::read_to_string(golden).unwrap();
    for part in example.split("\n…\n") {
        assert!(golden.contains(part.trim_matches('\n')), "docs/report.md:\n{part}\n\n{golden}");
    }
}
