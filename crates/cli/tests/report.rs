//! `crossfade report` from outside: input, output, gates and exit codes.
//!
//! `report/*.txt` and `.json` are the reports on generated logs (`report/logs.rs`); `BLESS=1` writes them.

pub(crate) mod logs;
pub(crate) mod requests;

use std::io::Write;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use serde_json::{Value, json};

fn command(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.arg("report").args(arguments);
    command
}

/// Runs `report` with this on standard input.
pub(crate) fn report(input: &str, arguments: &[&str]) -> Output {
    let mut child =
        command(arguments).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let input = input.to_owned();
    let writer = std::thread::spawn(move || {
        let _ = stdin.write_all(input.as_bytes());
    });
    let output = child.wait_with_output().unwrap();
    writer.join().unwrap();
    output
}

#[track_caller]
pub(crate) fn told(output: &Output, code: i32) -> String {
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{errors}");
    assert_eq!(errors, "");
    String::from_utf8(output.stdout.clone()).unwrap()
}

#[track_caller]
fn json_of(input: &str, arguments: &[&str]) -> Value {
    serde_json::from_str(&told(&report(input, &[&["--json"], arguments].concat()), 0)).unwrap()
}

#[track_caller]
pub(crate) fn is_golden(name: &str, text: &str) {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(name);
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, text).unwrap();
    }
    assert_eq!(text, std::fs::read_to_string(&file).unwrap_or_default(), "{name}");
}

/// One record, with members put in place of others.
fn record(changes: &[(&str, Value)]) -> String {
    let mut record = json!({
        "version": 1, "time": "2026-11-24T08:00:00Z", "against": "mirror", "request_id": "r", "route": "orders",
        "method": "GET", "endpoint": "/orders/{id}", "verdict": "match",
        "primary": { "backend": "legacy", "status": 200, "ms": 10.0 },
        "mirror": { "backend": "modern", "status": 200, "ms": 10.0 },
    });
    for (name, value) in changes {
        record[name] = value.clone();
    }
    // `type` comes first.
    record.to_string().replacen('{', "{\"type\":\"compare\",", 1) + "\n"
}

fn different(pointers: &[&str]) -> [(&'static str, Value); 2] {
    let differences: Vec<_> = pointers.iter().map(|pointer| json!({ "class": "value", "pointer": pointer })).collect();
    [("verdict", json!("different")), ("differences", json!(differences))]
}

#[test]
fn the_help_text_is_the_golden_one() {
    is_golden("golden/help-report.txt", &told(&report("", &["--help"]), 0));
}

#[test]
fn a_log_is_summed_up() {
    for (name, records, healthy, arguments) in [
        ("report/differs.txt", 12_000, false, &["--title", "Shop, week 2", "--examples", "1"][..]),
        ("report/same.txt", 12_000, true, &[]),
        ("report/few.txt", 40, true, &[]),
        ("report/nothing.txt", 0, true, &[]),
        ("report/differs.json", 3_000, false, &["--json", "--examples", "1"]),
    ] {
        let text = told(&report(&logs::log(records, healthy), arguments), 0);
        is_golden(name, &text);
        let is_wide = |line: &&str| !line.contains("curl") && line.chars().count() > 100;
        assert_eq!(text.lines().find(is_wide).filter(|_| name.ends_with("txt")), None);
    }
}

/// Ends of elements that a reader sees as the end of a line.
const LINE_ENDS: [&str; 12] = [
    "</h1>",
    "</h2>",
    "</h3>",
    "</p>",
    "</dl>",
    "</figure>",
    "</section>",
    "</thead>",
    "</tr>",
    "</li>",
    "</summary>",
    "</pre>",
];

/// The visible text of the page, line by line. `report_page.rs` tests its appearance.
#[test]
fn the_page_has_what_the_text_has() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.html");
    let arguments =
        ["--title", "Shop", "--examples", "1", "--gate", "samples>=5000,lost<=1%", "--html", file.to_str().unwrap()];
    told(&report(&logs::log(3_000, false), &arguments), 1);
    let page = std::fs::read_to_string(&file).unwrap();
    let (head, body) = page.split_once("<style>").unwrap();
    let body = body.split_once("</style>").unwrap().1;
    let body = LINE_ENDS.iter().fold(body.to_owned(), |body, end| body.replace(end, &format!("{end}\n")));
    let head = head.replace('<', "\n<");
    let mut outline = String::new();
    for line in head.lines().chain(body.lines()) {
        // A tag becomes a gap, but those that say what part this is.
        let words: Vec<_> = line
            .split('<')
            .filter_map(|piece| {
                let (tag, text) = piece.split_once('>').unwrap_or(("", piece));
                let part = ["h1", "h2", "h3", "meta", "svg id", "title"].iter().any(|name| tag.starts_with(name));
                let part = if part { format!("<{tag}>") } else { String::new() };
                Some(part + text.trim()).filter(|words| !words.is_empty())
            })
            .collect();
        if !words.is_empty() {
            outline += &(words.join(" ") + "\n");
        }
    }
    is_golden("report/page.txt", &outline);
}

#[test]
fn a_gate_decides_the_exit_code_and_says_which_part_failed() {
    let log = logs::log(12_000, false);
    let passing = "parity>=97%, samples>=5000, p99<=10s, lost<=1%, errors<=1%, unknown<=50, regressions<20";
    is_golden("report/gate-passes.txt", &head(&told(&report(&log, &["--gate", passing]), 0)));
    let failing =
        ["--gate", "parity>=99.5%,samples>=5000,p95<=+10%", "--gate", "orders-read: p95<=+10%", "--gate", "no: lost=0"];
    is_golden("report/gate-fails.txt", &head(&told(&report(&log, &failing), 1)));
}

/// As far as the causes.
fn head(text: &str) -> String {
    text.split("\nWhat to do first").next().unwrap().to_owned()
}

#[test]
fn a_gate_never_passes_on_nothing() {
    let lost = record(&[("verdict", json!("lost"))]);
    for log in ["", "no record\n", &lost] {
        for gate in [
            "parity>=0%",
            "samples>=0",
            "lost<=100%",
            "errors=0",
            "regressions=0",
            "p95<=1s",
            "p95<=+1000%",
            "unknown=0",
            "verdict=same",
        ] {
            told(&report(log, &["--gate", gate]), 1);
        }
    }
}

#[test]
fn a_report_that_cannot_be_made_says_why() {
    for (arguments, reason) in [
        (&["no-such.log"][..], "error: cannot read `no-such.log`: No such file"),
        (&["."], "error: cannot read `.`: "),
        (&["--gate", "parity>=99"], "error: invalid value 'parity>=99' for '--gate"),
        (&["--since", "yesterday"], "error: invalid value 'yesterday'"),
        (&["--html", "no/such/folder.html"], "error: cannot write `no/such/folder.html`: "),
    ] {
        let output = report("", arguments);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(output.stdout.is_empty() && errors.starts_with(reason), "{errors}");
    }
}

#[test]
fn what_the_primary_does_to_itself_is_noise() {
    let mut log = String::new();
    for number in 0..1000 {
        let itself = ("against", json!("self"));
        // A tenth of the answers differ at /noise, whoever gives them; a fiftieth at /wrong, only the mirror's.
        let changes = if number % 10 == 0 { different(&["/noise"]).to_vec() } else { Vec::new() };
        log += &record(&changes);
        log += &record(&[changes, vec![itself]].concat());
        if number % 50 == 0 {
            log += &record(&different(&["/noise", "/wrong"]));
        }
    }
    let document = json_of(&log, &[]);
    let overall = &document["overall"];
    let counts =
        ["compared", "matching", "noise_only", "different", "self_compared", "regressions"].map(|name| &overall[name]);
    assert_eq!(json!(counts), json!([1020, 900, 100, 20, 1000, 1]));
    let marks: Vec<_> = document["endpoints"][0]["differences"].as_array().unwrap().iter().collect();
    assert_eq!((&marks[0]["pointer"], &marks[0]["mark"]), (&json!("/wrong"), &json!("regression")));
    assert_eq!((&marks[1]["pointer"], &marks[1]["mark"]), (&json!("/noise"), &json!("noise")));
    assert_eq!(document["timeline"]["buckets"], json!([{ "begin": 1_795_507_200, "compared": 1020, "same": 1000 }]));
}

/// Both failing is no match, and what says nothing about the mirror is no sample.
#[test]
fn only_what_was_compared_counts_for_parity() {
    let mut log = String::new();
    for verdict in ["match", "accepted", "different", "failed", "unknown", "lost"] {
        log += &record(&[("verdict", json!(verdict))]);
    }
    let overall = &json_of(&log, &[])["overall"];
    assert_eq!((&overall["copies"], &overall["compared"], &overall["same"]), (&json!(6), &json!(3), &json!(2)));
    // A difference without a place is no noise, and neither is one among more than a line can hold.
    assert_eq!(overall["noise_only"], 0);
    let itself = |mut changes: Vec<(&'static str, Value)>| {
        changes.push(("against", json!("self")));
        record(&changes)
    };
    let mut more = different(&["/noise"]).to_vec();
    let noise = itself(more.clone());
    more.push(("more", json!(3)));
    let document = json_of(&(noise + &record(&more) + &record(&different(&["/noise"]))), &[]);
    assert_eq!((&document["overall"]["noise_only"], &document["overall"]["different"]), (&json!(1), &json!(1)));
}

#[test]
fn refused_copies_without_credentials_are_explained() {
    let refused = record(&[
        ("verdict", json!("different")),
        ("credentials_withheld", json!(true)),
        ("mirror", json!({ "backend": "modern", "status": 401 })),
    ]);
    let text = told(&report(&(refused + &record(&[])), &[]), 0).replace("\n  ", " ");
    assert!(
        text.contains(
            "note: 1 of 2 shadow requests were rejected and had been sent without the client's credentials: see `mirror.credentials`\n"
        ),
        "{text}"
    );
}

#[test]
fn routes_and_times_can_be_chosen() {
    let log = logs::log(3_000, false);
    let count = |arguments: &[&str]| json_of(&log, arguments)["input"]["records"].as_u64().unwrap();
    let (orders, rest) = (count(&["--route", "orders-read"]), count(&["--route", "catalogue", "--route", "search"]));
    assert_eq!(orders + rest, 3_000);
    let (before, after) = (count(&["--until", "2026-11-24T09:00:00Z"]), count(&["--since", "2026-11-24T09:00:00Z"]));
    assert_eq!((before, after), (1500, 1500));
}

#[test]
fn times_can_have_any_usual_form() {
    let log = logs::log(3_000, false);
    let count = |arguments: &[&str]| json_of(&log, arguments)["input"]["records"].as_u64().unwrap();
    for time in
        ["2026-11-24T10:00:00+01:00", "2026-11-24 09:00", "2026-11-24T03:30-05:30", "1795510800", "1795510800000"]
    {
        assert_eq!((count(&["--until", time]), count(&["--since", time])), (1500, 1500), "{time}");
    }
    assert_eq!((count(&["--since", "2026-11-24"]), count(&["--since", "2026-11-25"])), (3_000, 0));
    for time in ["yesterday", "2026-11-24T09:00:00 CET", "10"] {
        let errors = String::from_utf8(report("", &["--since", time]).stderr).unwrap();
        for form in ["`2026-11-24T08:00:00Z`", "`2026-11-24`", "+01:00`", "seconds", "`2h`"] {
            assert!(errors.contains(form), "{time}: {errors}");
        }
    }
    let output = report("", &["--since", "2h", "--until", "3h"]);
    let errors = String::from_utf8(output.stderr).unwrap();
    assert!(output.status.code() == Some(2) && errors.contains("`--since` is not before `--until`"), "{errors}");
    let text = told(&report(&log, &["--since", "2026-11-25"]), 0);
    assert!(text.contains("note: 3,000 records were excluded by options\n"), "{text}");
    assert!(!text.contains("no comparison was found"), "{text}");
}

/// A file under several names, its compressed copy, and exports that overlap.
#[test]
fn each_record_counts_once() {
    let folder = tempfile::tempdir().unwrap();
    let path = |name: &str| folder.path().join(name).to_str().unwrap().to_owned();
    let text = logs::log(100, false);
    let lines: Vec<_> = text.split_inclusive('\n').collect();
    let [log, begin, end, link] = ["log", "begin", "end", "link"].map(path);
    for (file, content) in [(&log, &lines[..]), (&begin, &lines[..60]), (&end, &lines[40..])] {
        std::fs::write(file, content.concat()).unwrap();
    }
    std::os::unix::fs::symlink(&log, &link).unwrap();
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    gzip.write_all(text.as_bytes()).unwrap();
    std::fs::write(path("log.gz"), gzip.finish().unwrap()).unwrap();
    let once = json_of(&text, &[]);
    for (files, repeated) in [
        (&[&log, &log][..], 100),
        (&[&log, &link], 100),
        (&[&log, &path("log.gz")], 100),
        (&[&begin, &end], 20),
        (&[&begin, &end, &log, &path("./end")], 20 + 100 + 60),
        (&[&"-".to_owned(), &log], 100),
    ] {
        let arguments: Vec<&str> = files.iter().map(|file| file.as_str()).collect();
        let mut document = json_of(&text, &arguments);
        assert_eq!(document["input"]["repeated"].take(), json!(repeated), "{files:?}");
        assert_eq!((&document["input"]["records"], &document["overall"]), (&json!(100), &once["overall"]), "{files:?}");
    }
    let page = path("report.html");
    let report = told(&report("", &[&log, &log, "--html", &page]), 0);
    assert!(report.contains("note: 100 records occur more than once, and were counted once\n"), "{report}");
    assert!(
        std::fs::read_to_string(page).unwrap().contains("100 records occur more than once, and were counted once.")
    );
    assert_eq!(once["input"].get("repeated"), None);
}

#[test]
fn logs_of_windows_are_read() {
    let text = logs::log(100, false).replace('\n', "\r\n");
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("log");
    let utf16: Vec<u8> = "\u{feff}".encode_utf16().chain(text.encode_utf16()).flat_map(u16::to_le_bytes).collect();
    for bytes in [utf16, format!("\u{feff}{text}").into_bytes()] {
        std::fs::write(&log, bytes).unwrap();
        let document = json_of("", &[log.to_str().unwrap()]);
        let input = ["records", "unreadable"].map(|name| &document["input"][name]);
        assert_eq!(input, [&json!(100), &json!(0)]);
    }
}

/// The commands of a report on the demo's log, or with another private authority.
#[test]
fn commands_trust_the_authority_that_the_back_ends_need() {
    let folder = tempfile::tempdir().unwrap();
    let [log, beside, other] = ["comparisons.log", "ca.pem", "it's.pem"].map(|name| folder.path().join(name));
    std::fs::write(&log, logs::log(3_000, false)).unwrap();
    let commands = |arguments: &[&str]| {
        let text = told(&report("", arguments), 0);
        let commands: Vec<_> = text.lines().filter(|line| line.contains("curl -sS")).map(str::to_owned).collect();
        assert!(!commands.is_empty());
        commands
    };
    let (log, other) = (log.to_str().unwrap(), other.to_str().unwrap());
    assert!(commands(&[log]).iter().all(|command| !command.contains("--cacert")));
    let quoted = format!(" --cacert {} ", shell_words::quote(other));
    assert!(commands(&[log, "--cacert", other]).iter().all(|command| command.contains(&quoted)));
    std::fs::write(&beside, "").unwrap();
    let found = format!(" --cacert {} ", beside.display());
    assert!(commands(&[log]).iter().all(|command| command.contains(&found)));
}

#[test]
fn several_files_are_one_report() {
    let folder = tempfile::tempdir().unwrap();
    let log = logs::log(100, false);
    let lines: Vec<_> = log.split_inclusive('\n').collect();
    let (first, second) = (folder.path().join("a.log"), folder.path().join("b.log"));
    std::fs::write(&first, lines[..50].concat()).unwrap();
    std::fs::write(&second, lines[50..].concat()).unwrap();
    let output = command(&[second.to_str().unwrap(), first.to_str().unwrap(), "--json"]).output().unwrap();
    let document: Value = serde_json::from_str(&told(&output, 0)).unwrap();
    assert_eq!(document["input"]["records"], 100);
    assert_eq!(document["overall"], json_of(&log, &[])["overall"]);
}

/// The rule that a report suggests makes its difference intended, without new traffic.
#[test]
fn a_suggested_rule_can_be_tried_on_the_same_log() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("crossfade.yaml");
    let log = logs::log(6_000, false);
    let causes = |document: &Value| -> Vec<String> {
        let pointer = |cause: &Value| cause["pointers"][0].as_str().unwrap().to_owned();
        document["causes"].as_array().unwrap().iter().map(pointer).collect()
    };
    let document = json_of(&log, &[]);
    let found = causes(&document);
    assert!(
        ["strict-transport-security", "/items/*/price"].iter().all(|it| found.contains(&(*it).to_owned())),
        "{found:?}"
    );
    for (cause, pointer) in
        document["causes"].as_array().unwrap().iter().zip(&found).filter(|(cause, _)| cause["rule"].is_string())
    {
        let rule = cause["rule"].as_str().unwrap().replace('\n', "\n    ");
        let text = format!(
            "version: 1\nbackends: {{ legacy: https://a.example, modern: https://b.example }}\n\
             default:\n  forward: legacy\n  mirror:\n    backend: modern\n    percent: 100\n    {rule}\n"
        );
        std::fs::write(&config, text).unwrap();
        let mut again = causes(&json_of(&log, &["--rules", config.to_str().unwrap()]));
        // The file does not accept what an older one accepted.
        again.retain(|it| it != "cache-control");
        let expected: Vec<_> = found.iter().filter(|it| *it != pointer).collect();
        assert_eq!(again.iter().collect::<Vec<_>>(), expected, "{pointer}");
    }
}

/// With the log of the README, which `crossfade dev` wrote.
#[test]
fn a_real_log_is_judged_by_new_rules() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("crossfade.yaml");
    let log = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/docs/comparisons.log.gz");
    let rules = "version: 1
backends: { legacy: https://a.example, modern: https://b.example }
routes:
  - name: shop
    priority: 1
    conditions: { path: /x }
    forward: legacy
    mirror: { backend: modern, percent: 1, compare: { rules: [{ endpoints: \"/customers/{id}\", accepted: status }] } }
  - name: orders
    priority: 2
    conditions: { path: /orders/* }
    forward: legacy
    mirror:
      backend: modern
      percent: 1
      compare: { ignore: /customer/phone, tolerance: { /discount: DISCOUNT }, unordered: /items }
default: { forward: legacy }
";
    for (tolerance, verdict, causes) in [("0.01", "same", json!([])), ("0.001", "differs", json!(["/discount"]))] {
        std::fs::write(&config, rules.replace("DISCOUNT", tolerance)).unwrap();
        let arguments = ["--json", "--rules", config.to_str().unwrap(), log.to_str().unwrap()];
        let document: Value = serde_json::from_str(&told(&report("", &arguments), 0)).unwrap();
        let pointers: Vec<_> =
            document["causes"].as_array().unwrap().iter().map(|cause| &cause["pointers"][0]).collect();
        assert_eq!((document["verdict"].as_str(), json!(pointers)), (Some(verdict), causes), "{tolerance}");
    }
}

#[test]
fn rules_that_cannot_be_used_are_explained() {
    let folder = tempfile::tempdir().unwrap();
    let config = folder.path().join("crossfade.yaml");
    let file = config.to_str().unwrap();
    let base = "version: 1\nbackends: { legacy: https://a.example, modern: https://b.example }\n";
    let mirror = |rules: &str| {
        format!(
            "{base}default: {{ forward: legacy, mirror: {{ backend: modern, percent: 100, compare: {{ {rules} }} }} }}\n"
        )
    };
    let log = record(&different(&["/a"]));
    for (text, code, message) in [
        (format!("{base}default: {{ forward: legacy }}\n"), 2, "has a `mirror` with rules"),
        (mirror("ignored: /a"), 2, "unknown key `ignored`"),
        (
            mirror("mask: '[0-9]+'"),
            0,
            "warning: masks could not be applied to 1 differences, whose values are not in the log",
        ),
    ] {
        std::fs::write(&config, text).unwrap();
        let output = report(&log, &["--rules", file]);
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{errors}");
        assert!(errors.contains(message), "{errors}");
    }
}

/// Possible contents of an endpoint, a pointer, a value, a URL or a reason.
pub(crate) const HOSTILE: [&str; 8] = [
    "\u{1b}[2J\u{1b}]0;owned\u{7}",
    "</style><script>alert(1)</script>",
    "\"><img src=x onerror=alert(1)>",
    "' onmouseover='alert(1)",
    "javascript:alert(1)",
    "\u{202e}txt.exe\u{2066}\u{200b}\u{9b}2J\u{e0041}",
    "-o/etc/passwd https://a;$(id)`id`\n\r\trm -rf /",
    "&lt;b&gt;]]><!--",
];

#[test]
fn nothing_in_a_log_can_run_in_the_page_or_steer_the_terminal() {
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    let mut log = String::new();
    for text in HOSTILE.map(str::to_owned).into_iter().chain([format!("/{}", "<u>".repeat(20_000))]) {
        let side = json!({ "backend": text, "error": text, "url": text });
        let url = json!({ "backend": text, "status": 200, "url": format!("https://a.example/{text}") });
        let difference = json!({ "class": "value", "pointer": text, "at": text, "primary": text, "mirror": text });
        let members = ["request_id", "route", "method", "endpoint", "reason"].map(|name| (name, json!(text)));
        let rest = [("differences", json!([difference])), ("primary", url), ("mirror", side)];
        for method in [text.as_str(), "GET"] {
            for verdict in ["different", "unknown", "lost"] {
                let last = [("verdict", json!(verdict)), ("method", json!(method))];
                log += &record(&[&members[..], &rest[..], &last[..]].concat());
            }
        }
        log += &record(&[("verdict", json!(text))]);
    }
    let output = report(&log, &["--title", HOSTILE[1], "--html", page.to_str().unwrap()]);
    let (text, page) = (told(&output, 0), std::fs::read_to_string(&page).unwrap());
    let document = told(&report(&log, &["--json"]), 0);
    let parsed: Value = serde_json::from_str(&document).unwrap();
    assert!(parsed["routes"].as_array().unwrap().iter().any(|route| route["route"] == HOSTILE[5]), "nothing is lost");
    for shown in [&text, &page, &document] {
        let steers = |c: char| (c.is_control() && c != '\n') || "\u{202e}\u{2066}\u{200b}\u{e0041}".contains(c);
        assert_eq!(shown.find(steers), None, "{shown}");
    }
    assert!(text.contains(r"\u{1b}[2J") && text.contains(r"\u{202e}txt.exe"));
    // Links lead to places in the page.
    let links = page.matches("href=").count()
        - page.matches("href=\"#endpoint-").count()
        - page.matches("href=\"#causes\"").count();
    assert_eq!((links, page.matches("href=\"data:,\"").count()), (1, 1));
    for (written, times) in [("<script", 0), ("<img", 0), ("<u>", 0), ("<!--", 0), ("]]>", 0), ("</style>", 1)] {
        assert_eq!(page.matches(written).count(), times, "{written}");
    }
    // Every quote in a tag is one of ours: no attribute has grown.
    for tag in page.split('<').skip(1).filter_map(|rest| rest.split('>').next()) {
        assert!(!tag.contains(" on"), "<{tag}>");
    }
    assert!(page.contains("&lt;script&gt;alert(1)&lt;/script&gt;"));
}

/// The same of what is not in a log: the name of its file, and the routes of a gate.
#[test]
fn nothing_on_the_command_line_can_run_in_the_page() {
    let folder = tempfile::tempdir().unwrap();
    let (log, page) = (folder.path().join("\"'><img src=x onerror=alert(1)>"), folder.path().join("report.html"));
    std::fs::write(&log, record(&[]) + &record(&[("verdict", json!(1))])).unwrap();
    let gate = "\"'><script>alert(1)</script>: samples>=1";
    let title = "</title></style><script>alert(1)</script>\u{202e}";
    let mut command = command(&["--title", title, "--gate", gate, "--html"]);
    let output = command.args([&page, &log]).output().unwrap();
    assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
    let page = std::fs::read_to_string(&page).unwrap();
    for shown in ["&quot;'&gt;&lt;img src=x", "&quot;'&gt;&lt;script&gt;alert(1)", "&lt;/title&gt;&lt;/style&gt;"] {
        assert!(page.contains(shown), "{shown}: {page}");
    }
    for raw in ["<script", "<img", "\"'>", "\u{202e}"] {
        assert!(!page.contains(raw), "{raw}: {page}");
    }
    assert_eq!(page.matches("</style>").count(), 1);
}

/// Peak memory in KiB of a report on this number of bytes.
#[cfg(target_os = "linux")]
fn peak_memory(log: &str, times: usize) -> u64 {
    use std::io::Read;
    let mut child = command(&["--json"]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    for _ in 0..times {
        stdin.write_all(log.as_bytes()).unwrap();
    }
    stdin.flush().unwrap();
    // All but the last pipe's worth has been read; it lives as long as the input is open.
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    drop(stdin);
    let mut text = String::new();
    child.stdout.take().unwrap().read_to_string(&mut text).unwrap();
    assert!(child.wait().unwrap().success());
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}

#[cfg(target_os = "linux")]
#[test]
fn ten_times_the_log_needs_no_more_memory() {
    let log = logs::log(10_000, false);
    let times = 5_000_000 / log.len() + 1;
    let (small, large) = (peak_memory(&log, times), peak_memory(&log, times * 10));
    assert!(large < small + small / 4, "{small} KiB for 5 MB, {large} KiB for 50 MB");
    assert!(large < 64 * 1024, "{large} KiB");
}

/// Dates and numbers that no function of ours writes: a record has them, or is counted as unreadable.
#[test]
fn no_date_and_no_number_breaks_a_report() {
    let side = |ms: &str, status: &str, bytes: &str| {
        format!(r#"{{"backend":"b","status":{status},"ms":{ms},"bytes":{bytes}}}"#)
    };
    let usual = side("1.5", "200", "10");
    let time = "2026-11-24T10:57:42.123Z";
    let line = |time: &str, more: &str, primary: &str, mirror: &str| {
        format!(
            r#"{{"type":"compare","version":1,"time":"{time}","against":"mirror","request_id":"i","route":"r","method":"GET","endpoint":"/","verdict":"different","more":{more},"differences":[{{"class":"value","pointer":"/a"}}],"primary":{primary},"mirror":{mirror}}}"#
        )
    };
    let dates = [
        ("1970-01-01T00:00:00Z", true),
        ("1970-01-01T00:00:00.000000001Z", true),
        ("9990-01-01T00:00:00Z", true),
        ("9999-12-31T23:59:59.999999999Z", true),
        ("9999-12-31T23:59:60Z", true),
        ("9999-02-30T00:00:00Z", false),
        ("0000-01-01T00:00:00Z", false),
        ("0001-01-01T00:00:00Z", false),
        ("1969-12-31T23:59:59Z", false),
        ("-0001-01-01T00:00:00Z", false),
        ("10000-01-01T00:00:00Z", false),
        ("2026-13-01T00:00:00Z", false),
        ("2026-11-24T25:00:00Z", false),
        ("2026-11-24T10:57:42+01:00", false),
        ("", false),
    ];
    let dates = dates.iter().map(|(date, is_one)| (line(date, "0", &usual, &usual), *is_one));
    let numbers = [
        ("1e308", "200", "10", true),
        ("-1e308", "200", "10", true),
        ("5e-324", "200", "18446744073709551615", true),
        ("-0.0", "65535", "0", true),
        ("0", "0", "0", true),
        ("1e999", "200", "10", false),
        ("NaN", "200", "10", false),
        ("Infinity", "200", "10", false),
        ("1.5", "65536", "10", false),
        ("1.5", "-1", "10", false),
        ("1.5", "200", "18446744073709551616", false),
        ("1.5", "200", "-1", false),
    ];
    let numbers =
        numbers.iter().map(|(ms, status, bytes, is_one)| (line(time, "0", &usual, &side(ms, status, bytes)), *is_one));
    let counts = [("4294967295", true), ("4294967296", false), ("-1", false), ("1.5", false)];
    let counts = counts.iter().map(|(more, is_one)| (line(time, more, &usual, &usual), *is_one));
    let cases: Vec<(String, bool)> = dates.chain(numbers).chain(counts).collect();
    let folder = tempfile::tempdir().unwrap();
    let page = folder.path().join("report.html");
    let run = |log: &str, records: u64, unreadable: u64| {
        let told = told(&report(log, &["--html", page.to_str().unwrap()]), 0);
        assert!(!told.contains("NaN"), "{log}: {told}");
        let html = std::fs::read_to_string(&page).unwrap();
        assert!(html.ends_with("</html>\n") && !html.contains("NaN"), "{log}");
        let json = json_of(log, &[]);
        assert_eq!(
            (&json["input"]["records"], &json["input"]["unreadable"]),
            (&json!(records), &json!(unreadable)),
            "{log}"
        );
    };
    // By itself, beside a usual one, before and after many.
    let usual = line(time, "0", &usual, &usual) + "\n";
    for (log, is_one) in &cases {
        let (records, unreadable) = (u64::from(*is_one), u64::from(!*is_one));
        run(&format!("{log}\n"), records, unreadable);
        run(&format!("{usual}{log}\n"), records + 1, unreadable);
        run(&format!("{}{log}\n{}", usual.repeat(60), usual.repeat(60)), records + 120, unreadable);
    }
    let all: String = cases.iter().map(|(log, _)| format!("{log}\n")).collect();
    let good = cases.iter().filter(|(_, is_one)| *is_one).count() as u64;
    run(&all.repeat(30), good * 30, (cases.len() as u64 - good) * 30);
}
