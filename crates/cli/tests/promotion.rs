//! The commands of a live migration from outside, with the state in a file and generated logs.
//!
//! `promotion/*.txt` are transcripts with times masked; `BLESS=1` writes them. The complaints that users of other tools have are
//! the table in `no_migration_gets_stuck_or_out_of_hand`.

use std::fmt::Write as _;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::{Duration, SystemTime};

use serde_json::{Value, json};
use tempfile::TempDir;

const CONFIG: &str = "\
version: 1
backends: { legacy: https://legacy.example, modern: https://modern.example }
routes:
  - name: orders
    priority: 10
    conditions: { path: /orders/* }
    forward:
      targets: [legacy, { backend: modern, weight: 0 }]
      sticky: { by: { cookie: customer_id }, otherwise: legacy, pin: { modern: [anna] } }
      optIn: { query: system }
    mirror: { backend: modern, percent: 20 }
  - name: carts
    priority: 20
    conditions: { path: /carts/* }
    forward: { targets: [legacy, { backend: modern, weight: 0 }], sticky: { by: { cookie: customer_id }, otherwise: legacy } }
    mirror: { backend: modern, percent: 20 }
default: { forward: legacy }
migration: { from: legacy, to: modern, guard: 'parity>=99%, errors<=+0.5%', routes: [orders] }
";

/// The same for both routes.
fn both() -> String {
    CONFIG.replace(", routes: [orders]", "")
}

/// A folder with the file, the state and a log.
struct Place(TempDir);

impl Place {
    fn new() -> Place {
        let place = Place(tempfile::tempdir().unwrap());
        place.write("crossfade.yaml", CONFIG);
        place
    }

    /// With this state of `orders`, three hours old.
    fn with(phase: &str, share: u32) -> Place {
        let place = Place::new();
        let since = ago(3 * 3600);
        let mut orders = json!({
            "version": 4, "weights": { "legacy": 100 - share, "modern": share }, "pin": { "modern": ["bert"] },
            "migration": { "share": share, "phase": phase, "since": since },
        });
        if phase == "aborted" {
            orders["only"] = json!("legacy");
        }
        let live = json!({
            "format": 1, "version": 4, "at": since, "by": "anna", "change": "promote orders", "routes": { "orders": orders },
        });
        place.write("live.json", &live.to_string());
        place
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.0.path().join(name), text).unwrap();
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command.current_dir(self.0.path()).env("CROSSFADE_LIVE", "file:live.json").env("USER", "carla");
        command.args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        command
    }

    /// The exit code and all output.
    fn run(&self, arguments: &[&str]) -> (i32, String) {
        let Output { status, stdout, stderr } = self.command(arguments).output().unwrap();
        (status.code().unwrap(), String::from_utf8(stdout).unwrap() + &String::from_utf8(stderr).unwrap())
    }

    fn json(&self, arguments: &[&str]) -> Value {
        serde_json::from_slice(&self.command(arguments).output().unwrap().stdout).unwrap()
    }

    fn live(&self) -> Value {
        serde_json::from_str(&std::fs::read_to_string(self.0.path().join("live.json")).unwrap()).unwrap()
    }

    /// Phase and share of `orders`.
    fn orders(&self) -> (String, f64) {
        let migration = &self.live()["routes"]["orders"]["migration"];
        (migration["phase"].as_str().unwrap().to_owned(), migration["share"].as_f64().unwrap())
    }

    #[track_caller]
    fn is_golden(&self, name: &str, commands: &[&[&str]]) {
        let mut text = String::new();
        for arguments in commands {
            let (code, output) = self.run(arguments);
            let _ = writeln!(text, "$ crossfade {}\n{output}[{code}]\n", shown(arguments));
        }
        let text = masked(&text.replace(env!("CARGO_BIN_EXE_crossfade"), "crossfade"));
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/promotion").join(name);
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&file, &text).unwrap();
        }
        assert_eq!(text, std::fs::read_to_string(&file).unwrap_or_default(), "{name}");
    }
}

fn shown(arguments: &[&str]) -> String {
    let quoted = |word: &&str| if word.contains(' ') { format!("'{word}'") } else { (*word).to_owned() };
    arguments.iter().map(quoted).collect::<Vec<_>>().join(" ")
}

fn ago(seconds: u64) -> String {
    humantime::format_rfc3339_seconds(SystemTime::now() - Duration::from_secs(seconds)).to_string()
}

/// Times as `TIME`, with the distance from now as `AGO`.
fn masked(text: &str) -> String {
    const LENGTH: usize = "2026-11-28T12:00:00Z".len();
    let (mut masked, mut rest) = (String::new(), text);
    let is_time = |text: &str| humantime::parse_rfc3339(text).is_ok();
    while let Some(c) = rest.chars().next() {
        let Some(after) = rest.get(..LENGTH).filter(|head| is_time(head)).and_then(|_| rest.get(LENGTH..)) else {
            masked.push(c);
            rest = &rest[c.len_utf8()..];
            continue;
        };
        masked.push_str("TIME");
        rest = after;
        if let Some((distance, after)) = after.strip_prefix(" (").and_then(|after| after.split_once(')'))
            && (distance.ends_with(" ago") || distance.starts_with("in "))
        {
            masked.push_str(" (AGO)");
            rest = after;
        }
    }
    masked
}

/// Requests of users of `orders`: a version, a back end, the number, every n-th of which fails; over the last two hours.
fn requests(version: u32, backend: &str, count: u64, nth: u64) -> String {
    let mut log = String::new();
    for number in 0..count {
        let is_failed = nth > 0 && number % nth == 0;
        let time = ago(7200 - 7190 * number / count);
        let line = json!({
            "version": 3, "time": time, "request_id": id("a", backend, number), "method": "GET", "path": "/orders/7",
            "live": version, "route": "orders", "backend": backend, "chosen": if number % 10 == 0 { "pin" } else { "hash" },
            "status": if is_failed { 503 } else { 200 }, "total_ms": 20.0,
        });
        log.push_str(&line.to_string().replacen('{', "{\"type\":\"access\",", 1));
        log.push('\n');
    }
    log
}

/// Shadow requests of `orders`, every n-th of which has another status.
fn comparisons(version: u32, count: u64, nth: u64) -> String {
    let mut log = String::new();
    for number in 0..count {
        let differs = nth > 0 && number % nth == 0;
        let line = json!({
            "version": 1, "time": ago(7200 - 7190 * number / count), "against": "mirror", "request_id": id("b", "", number),
            "live": version, "route": "orders", "method": "GET", "endpoint": "/orders/{id}",
            "verdict": if differs { "different" } else { "match" },
            "primary": { "backend": "legacy", "status": 200, "ms": 10.0 },
            "mirror": { "backend": "modern", "status": if differs { 404 } else { 200 }, "ms": 10.0 },
            "differences": if differs { json!([{ "class": "status" }]) } else { json!([]) },
        });
        log.push_str(&line.to_string().replacen('{', "{\"type\":\"compare\",", 1));
        log.push('\n');
    }
    log
}

fn id(kind: &str, backend: &str, number: u64) -> String {
    format!("87add8f1-20bb-4142-{kind:0<4}-{:0<4}{number:08}", backend.len())
}

/// A step at 10 % whose guard holds.
fn good() -> String {
    requests(4, "legacy", 900, 0) + &requests(4, "modern", 600, 0) + &comparisons(4, 600, 0)
}

/// Each row is a complaint about a tool for progressive delivery: the state of `orders`, its log, a command, its exit code, words
/// of its output, and the state after it.
#[test]
fn no_migration_gets_stuck_or_out_of_hand() {
    let few = requests(4, "legacy", 100, 0) + &requests(4, "modern", 12, 0) + &comparisons(4, 12, 0);
    let failing = requests(4, "legacy", 900, 0) + &requests(4, "modern", 600, 3) + &comparisons(4, 600, 0);
    let unclear = requests(4, "legacy", 900, 0) + &requests(4, "modern", 600, 97) + &comparisons(4, 600, 0);
    let stopped = requests(3, "legacy", 900, 0) + &comparisons(3, 600, 0);
    let half = good() + &requests(3, "legacy", 3_000, 0).replace("87add8f1", "87add8f2");
    let ten = ("running", 10);
    for (complaint, (phase, share), log, arguments, code, words, after) in [
        // argo-rollouts #3756, #1259; flagger #1801: an abort waits behind a pause or a gate.
        ("abort of a paused one", ("paused", 10), "", "abort", 0, "10 % -> 0 %", ("aborted", 0.0)),
        ("abort while a gate waits", ten, &*few, "abort", 0, "10 % -> 0 %", ("aborted", 0.0)),
        // argo-rollouts #4461.
        ("abort after all users have moved", ("finished", 100), "", "abort", 0, "100 % -> 0 %", ("aborted", 0.0)),
        ("abort of one that has not begun", ("running", 0), "", "abort", 0, "running -> aborted", ("aborted", 0.0)),
        ("a second abort", ("aborted", 0), "", "abort", 0, "aborted already in version 4", ("aborted", 0.0)),
        ("abort with a route", ten, "", "abort --route orders --yes", 0, "10 % -> 0 %", ("aborted", 0.0)),
        // flagger #1011: no traffic, and it advances; #1035, #883: little traffic, and it fails.
        ("no log", ten, "", "promote --yes", 1, "there is no evidence", ("running", 10.0)),
        ("an empty log", ten, "", "promote --yes log", 1, "there are no records", ("running", 10.0)),
        ("the traffic stops", ten, &*stopped, "promote --yes log", 1, "not in effect yet", ("running", 10.0)),
        ("little traffic", ten, &*few, "promote --yes log", 1, "10 of 500 samples: 490 are missing", ("running", 10.0)),
        // argo-rollouts #261: inconclusive for ever.
        ("no conclusion", ten, &*unclear, "promote --yes log", 1, "cannot be judged", ("running", 10.0)),
        (
            "no conclusion, and a person decides",
            ten,
            &*unclear,
            "promote --yes --force --reason ok log",
            0,
            "10 % -> 25 %",
            ("running", 25.0),
        ),
        // flagger #1307: a gate without metrics.
        ("force without a reason", ten, "", "promote --yes --force", 2, "--reason", ("running", 10.0)),
        ("a step with evidence", ten, &*good(), "promote --yes log", 0, "10 % -> 25 %", ("running", 25.0)),
        (
            "a share between the steps",
            ten,
            &*good(),
            "promote --yes --to 12.5% log",
            0,
            "10 % -> 12.5 %",
            ("running", 12.5),
        ),
        (
            "a share that goes back",
            ten,
            &*good(),
            "promote --yes --to 5% log",
            1,
            "takes all of them back",
            ("running", 10.0),
        ),
        // argo-rollouts #4595: weights that are set, but not in force.
        ("half of the requests follow", ten, &*half, "promote --yes log", 1, "not in effect yet", ("running", 10.0)),
        (
            "the guard fails",
            ten,
            &*failing,
            "promote --yes log",
            1,
            "abort --route orders` takes them back",
            ("running", 10.0),
        ),
        // argo-rollouts #4265: only half of it works from a pause.
        (
            "everyone from a pause",
            ("paused", 10),
            &*good(),
            "promote --yes --full --route orders log",
            0,
            "10 % -> 100 %",
            ("finished", 100.0),
        ),
        (
            "a step from a pause",
            ("paused", 10),
            &*good(),
            "promote --yes --route orders log",
            0,
            "paused -> running",
            ("running", 25.0),
        ),
        (
            "a pipeline meets a pause",
            ("paused", 10),
            &*good(),
            "promote --yes log",
            1,
            "it is paused; `crossfade resume` goes on, `--route` with its name moves it nevertheless",
            ("paused", 10.0),
        ),
        // argo-rollouts #2929: it begins again by itself.
        (
            "promote after an abort",
            ("aborted", 0),
            &*good(),
            "promote --yes --route orders log",
            1,
            "resume` with its `--route` begins it anew",
            ("aborted", 0.0),
        ),
        (
            "promote with force after an abort",
            ("aborted", 0),
            "",
            "promote --yes --route orders --force --reason x",
            1,
            "resume",
            ("aborted", 0.0),
        ),
        // argo-rollouts #872, #4294: stuck.
        ("resume after an abort", ("aborted", 0), "", "resume --yes", 0, "aborted -> running", ("running", 0.0)),
        ("resume after a pause", ("paused", 10), "", "resume --yes", 0, "paused -> running", ("running", 10.0)),
        ("a second pause", ("paused", 10), "", "pause --yes --route orders", 0, "paused already", ("paused", 10.0)),
        (
            "resume of a running one",
            ten,
            "",
            "resume --yes --route orders",
            0,
            "nothing changes: resumed already",
            ("running", 10.0),
        ),
        (
            "pause at the end",
            ("finished", 100),
            "",
            "pause --yes --route orders",
            1,
            "all users are on the new system",
            ("finished", 100.0),
        ),
        (
            "promote at the end",
            ("finished", 100),
            "",
            "promote --yes --route orders",
            1,
            "all users are on the new system",
            ("finished", 100.0),
        ),
        // Nobody can be asked.
        ("pause in a script without --yes", ten, "", "pause", 2, "add `--yes`", ("running", 10.0)),
        ("another route", ten, "", "promote --yes --route order", 2, "did you mean `orders`?", ("running", 10.0)),
    ] {
        let place = Place::with(phase, share);
        place.write("log", log);
        let (got, output) = place.run(&arguments.split(' ').collect::<Vec<_>>());
        assert_eq!(got, code, "{complaint}: {output}");
        assert!(output.contains(words), "{complaint}: {output}");
        assert_eq!(place.orders(), (after.0.to_owned(), after.1), "{complaint}: {output}");
        // argo-rollouts #4486: the route by header is gone after a resume.
        assert_eq!(place.live()["routes"]["orders"]["pin"]["modern"][0], "bert", "{complaint}");
    }
}

#[test]
fn a_step_begins_with_shadow_requests_alone() {
    let place = Place::new();
    let shadow =
        requests(0, "legacy", 900, 0).replace("\"live\":0,", "") + &comparisons(0, 600, 0).replace("\"live\":0,", "");
    place.write("log", &shadow);
    let (code, output) = place.run(&["promote", "--yes", "--route", "orders", "log"]);
    assert_eq!(code, 0, "{output}");
    assert_eq!(place.orders(), ("running".to_owned(), 1.0));
    // The other route has no evidence: it stays, and the first one does not wait for it.
    let place = Place::new();
    place.write("crossfade.yaml", &both());
    place.write("log", &shadow);
    let (code, output) = place.run(&["promote", "--yes", "log"]);
    assert_eq!(code, 1, "{output}");
    assert!(output.contains("route `carts`: 0 of 500 samples: 500 are missing"), "{output}");
    assert!(output.contains("promote the others alone with `--route orders`"), "{output}");
}

#[test]
fn of_two_people_at_once_the_second_is_told_who_was_faster() {
    let place = Place::with("running", 10);
    let mut child = place.command(&["promote", "--yes", "-"]).stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    // More than a pipe holds: when it is written, the state has been read.
    stdin.write_all(good().as_bytes()).unwrap();
    let (code, output) = place.run(&["pause", "--yes", "--route", "orders", "--by", "dora", "--reason", "sale"]);
    assert_eq!(code, 0, "{output}");
    drop(stdin);
    let output = child.wait_with_output().unwrap();
    let told = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{told}");
    assert!(told.contains("dora has changed the live state in the meantime: version 5 at "), "{told}");
    assert!(told.contains("pause orders (sale)"), "{told}");
    assert_eq!(place.orders(), ("paused".to_owned(), 10.0));
}

#[test]
fn an_abort_wins_over_those_who_keep_changing_the_state() {
    let place = Place::with("running", 10);
    std::thread::scope(|scope| {
        let busy = |command: &'static str| {
            let place = &place;
            move || {
                for _ in 0..5 {
                    place.run(&[command, "--yes", "--route", "orders"]);
                }
            }
        };
        scope.spawn(busy("pause"));
        scope.spawn(busy("resume"));
        let (code, output) = place.run(&["abort", "--reason", "it burns"]);
        assert_eq!(code, 0, "{output}");
    });
    let (code, output) = place.run(&["history"]);
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("carla: abort orders (it burns)"), "{output}");
}

#[test]
fn an_abort_needs_no_readable_state_and_no_file_without_errors() {
    let place = Place::with("running", 10);
    assert_eq!(place.run(&["pause", "--yes", "--route", "orders"]).0, 0);
    place.write("live.json", "{\"format\": 1, \"vers");
    let (code, output) = place.run(&["status"]);
    assert!(code == 2 && output.contains("the live state is invalid"), "{output}");
    let (code, output) = place.run(&["abort"]);
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("could not be read and was overwritten"), "{output}");
    assert_eq!(place.orders(), ("aborted".to_owned(), 0.0));
    let live = place.live();
    assert!(live["version"].as_u64().unwrap() > 1_700_000_000, "functions ignore lower versions: {live}");
    assert_eq!(live["routes"]["orders"]["pin"]["modern"][0], "bert", "what could be saved of it is there");

    let place = Place::with("running", 10);
    place.write("crossfade.yaml", &CONFIG.replace("priority: 10", "priorty: 10"));
    assert_eq!(place.run(&["promote", "--yes", "--force", "--reason", "x"]).0, 2);
    let (code, output) = place.run(&["abort"]);
    assert_eq!(code, 0, "{output}");
    assert!(output.contains("cannot be used as it is; its `migration` says enough for an abort"), "{output}");
    assert_eq!(place.orders(), ("aborted".to_owned(), 0.0));

    let plan = "guard: 'parity>=99%, errors<=+0.5%'";
    for (file, words) in [
        (CONFIG.replace(plan, "steps: [10%, ten]"), "its `migration`"),
        (CONFIG.replace(plan, "bake: 30minn"), "its `migration`"),
        (CONFIG.replace("migration:", "# migration:"), "the live state"),
        ("{".to_owned(), "the live state"),
        (String::new(), "the live state"),
    ] {
        let place = Place::with("running", 10);
        place.write("crossfade.yaml", &file);
        let (code, output) = place.run(&["abort"]);
        assert!(code == 0 && output.contains(words), "{output}");
        let live = place.live();
        assert_eq!(live["routes"]["orders"]["only"], "legacy", "{live}");
    }
    let place = Place::with("running", 10);
    std::fs::remove_file(place.0.path().join("crossfade.yaml")).unwrap();
    let (code, output) = place.run(&["abort"]);
    assert!(code == 0 && output.contains("10 % -> 0 %"), "{output}");
}

#[test]
fn an_abort_finds_room_in_a_full_state() {
    let place = Place::with("running", 10);
    let mut live = place.live();
    let pins: Vec<String> = (0..14_000).map(|number| format!("customer-{number:05}")).collect();
    live["routes"]["orders"]["pin"]["modern"] = json!(pins);
    live["routes"]["orders"]["pin"]["legacy"] = json!(["x".repeat(261_900 - live.to_string().len())]);
    place.write("live.json", &live.to_string());
    let reason = "slow ".repeat(190);
    assert_eq!(place.run(&["pause", "--yes", "--reason", reason.trim()]).0, 2, "there is no room");
    let (code, output) = place.run(&["abort", "--by", "eve", "--reason", reason.trim()]);
    assert_eq!(code, 0, "{output}");
    assert_eq!(place.live()["routes"]["orders"]["only"], "legacy");
}

#[test]
fn undo_replaces_a_state_that_cannot_be_read() {
    for damage in ["{\"format\": 1, \"vers", "<html>", "", "{\"format\": 2, \"version\": 3}"] {
        let place = Place::with("running", 10);
        assert_eq!(place.run(&["pause", "--yes", "--route", "orders"]).0, 0);
        place.write("live.json", damage);
        let (code, output) = place.run(&["status"]);
        assert!(code == 2 && output.contains("`crossfade undo` returns to the last valid version"), "{output}");
        let (code, output) = place.run(&["undo", "--yes"]);
        assert_eq!(code, 0, "{output}");
        assert_eq!(place.orders(), ("paused".to_owned(), 10.0));
        // The damaged one is kept beside the version that it claims to be, or after the last.
        let document = place.json(&["history", "--json"]);
        assert_eq!(
            document["versions"][1]["revision"], "5.manual-01",
            "in its place, whatever number it claims: {document}"
        );
        let (code, output) = place.run(&["undo", "4", "--yes"]);
        assert_eq!(code, 0, "{output}");
        assert_eq!(place.orders(), ("running".to_owned(), 10.0));
    }
    for (version, state) in [("5", json!("paused")), ("4", json!("running")), ("0", Value::Null)] {
        let place = Place::with("running", 10);
        assert_eq!(place.run(&["pause", "--yes", "--route", "orders"]).0, 0);
        place.write("live.json", "{\"format\": 2, \"version\": 6}");
        let (code, output) = place.run(&["undo", version, "--yes"]);
        assert_eq!(code, 0, "{output}");
        assert_eq!(place.live()["routes"]["orders"]["migration"]["phase"], state, "{output}");
    }
    // Without any version that can be read.
    let place = Place::new();
    place.write("live.json", "{");
    let (code, output) = place.run(&["undo", "--yes"]);
    assert!(code == 2 && output.contains("`undo 0` returns to the file alone"), "{output}");
    assert_eq!(place.run(&["undo", "0", "--yes"]).0, 0);
    assert_eq!(place.live()["routes"], json!({}));
    // Nothing to do with the document.
    let (code, output) = Place::new().run(&["status", "--live", "file:crossfade.yaml/live.json"]);
    assert!(code == 2 && !output.contains("hint: `crossfade undo`"), "{output}");
}

#[test]
fn a_state_that_contradicts_its_step_is_told() {
    for (key, value, words) in [
        ("weights", json!({ "legacy": 1, "modern": 9 }), "the weights in the live state send 90 % to modern"),
        ("only", json!("modern"), "`only` in the live state sends everyone to modern"),
    ] {
        let place = Place::with("running", 10);
        let mut live = place.live();
        live["routes"]["orders"][key] = value;
        live.as_object_mut().unwrap().remove("at");
        place.write("live.json", &live.to_string());
        let (code, output) = place.run(&["status"]);
        assert!(code == 0 && output.contains(words) && output.contains("at an unknown time, anna"), "{output}");
    }
    let (_, output) = Place::with("running", 10).run(&["status"]);
    assert!(!output.contains("warning"), "{output}");
}

/// A person may write the state, or remove it.
#[test]
fn no_version_of_a_file_is_lost() {
    let place = Place::with("running", 10);
    let versions = || {
        let document = place.json(&["history", "--json"]);
        let version = |version: &Value| version["version"].as_u64().unwrap_or_default();
        document["versions"].as_array().unwrap().iter().map(version).collect::<Vec<_>>()
    };
    assert_eq!(versions(), [4], "it was written by hand");
    assert_eq!(place.run(&["pause", "--yes", "--route", "orders"]).0, 0);
    let mut live = place.live();
    live["routes"]["orders"]["mirror"] = 7.into();
    place.write("live.json", &live.to_string());
    assert_eq!(place.run(&["set", "orders", "maintenance=true", "--yes"]).0, 0);
    assert_eq!(versions(), [6, 5, 5, 4]);
    assert_eq!(place.run(&["undo", "--yes"]).0, 0);
    assert_eq!(place.live()["routes"]["orders"]["mirror"], 7, "as it was before the last change");
    std::fs::remove_file(place.0.path().join("live.json")).unwrap();
    assert_eq!(place.run(&["pause", "--yes", "--route", "orders"]).0, 0);
    assert_eq!(versions(), [8, 7, 6, 5, 5, 4]);
    // With the number of the version before.
    let mut live = place.live();
    live["routes"]["orders"]["mirror"] = 9.into();
    place.write("live.json", &live.to_string());
    let (code, output) = place.run(&["undo", "--yes"]);
    assert!(code == 0 && output.contains("mirror: 9 -> as in the file"), "{output}");
}

#[test]
fn a_change_that_moves_nobody_keeps_the_evidence() {
    let place = Place::with("running", 10);
    let evidence = || {
        let orders = &place.live()["routes"]["orders"];
        (orders["version"].clone(), orders["migration"]["since"].clone())
    };
    let before = evidence();
    for arguments in [
        &["set", "orders", "mirror=5%", "--yes"][..],
        &["undo", "--yes"],
        &["pause", "--yes", "--route", "orders"],
        &["undo", "--yes"],
    ] {
        assert_eq!(place.run(arguments).0, 0);
        assert_eq!(evidence(), before, "{arguments:?}");
    }
    let (code, output) = place.run(&["set", "orders", "mirror=20", "pin.modern=bert", "--yes"]);
    assert!(code == 0 && !output.contains("pin:"), "{output}");
    let (code, output) = place.run(&["set", "orders", "mirror=20", "--yes"]);
    assert!(code == 0 && output.contains("nothing changes"), "{output}");
    let (code, output) = place.run(&["set", "order", "mirror=20", "--yes"]);
    assert!(code == 2 && output.contains("did you mean `orders`?"), "{output}");
    place.write("crossfade.yaml", &CONFIG.replace("migration:", "# migration:"));
    let changed = place.json(&["set", "orders", "maintenance=true", "--yes", "--json"]);
    let expected = json!([{ "route": "orders", "changes": ["maintenance: as in the file -> true"] }]);
    assert_eq!(changed["differences"], expected, "without a plan: {changed}");
}

#[test]
fn status_and_plan_know_who_stopped_a_route() {
    let place = Place::with("running", 10);
    place.write("crossfade.yaml", &both());
    assert_eq!(place.run(&["pause", "--yes", "--by", "eve", "--route", "orders"]).0, 0);
    assert_eq!(place.run(&["set", "orders", "mirror=5%", "--yes"]).0, 0);
    let orders = |command: &[&str]| place.json(&[command, &["--json"]].concat())["routes"][0].clone();
    let status = orders(&["status"]);
    assert_eq!((&status["change"], &status["by"]), (&json!("pause orders"), &json!("eve")), "{status}");
    let (plan, named) = (orders(&["plan"]), orders(&["plan", "--route", "orders"]));
    assert!(plan["refused"].as_str().unwrap().starts_with("it is paused"), "as promote does: {plan}");
    assert_eq!((&named["refused"], &named["to"]), (&Value::Null, &json!(25.0)), "{named}");
    // `set` moves nobody.
    std::fs::remove_dir_all(place.0.path().join("live.json.history")).unwrap();
    let status = orders(&["status"]);
    assert_eq!((&status["change"], &status["version"]), (&Value::Null, &json!(4)), "{status}");
}

#[test]
fn names_and_reasons_are_one_line_each() {
    let place = Place::with("running", 10);
    let output =
        place.command(&["pause", "--yes", "--route", "orders"]).env("USER", "eve\n   9  forged").output().unwrap();
    assert!(output.status.success());
    assert_eq!(place.live()["by"], "eve 9  forged");
    // Others may write the state as well.
    let mut live = place.live();
    live["change"] = "pause\n    9  forged".into();
    place.write("live.json", &live.to_string());
    for command in ["history", "status"] {
        let (code, output) = place.run(&[command]);
        assert!(code == 0 && output.contains("eve 9  forged: pause 9  forged"), "{output}");
    }
}

#[test]
fn undo_returns_to_any_version_as_a_new_one() {
    let place = Place::new();
    let force = |more: &[&str]| {
        let (code, output) =
            place.run(&[&["promote", "--yes", "--force", "--reason", "x", "--route", "orders"], more].concat());
        assert_eq!(code, 0, "{output}");
    };
    force(&[]);
    force(&["--to", "25%"]);
    assert_eq!(place.run(&["abort", "--route", "orders"]).0, 0);
    for (arguments, version, state, words) in [
        (&["undo", "--yes"][..], 4, ("running", 25.0), "0 % -> 25 % of the users on modern, aborted -> running"),
        (&["undo", "--yes", "1"], 5, ("running", 1.0), "25 % -> 1 %"),
        (&["undo", "--yes", "1"], 5, ("running", 1.0), "nothing changes: all is as in version 1 already"),
        (&["undo", "--yes"], 6, ("running", 25.0), "undo: as in version 4"),
    ] {
        let (code, output) = place.run(arguments);
        assert_eq!(code, 0, "{output}");
        assert!(output.contains(words), "{output}");
        assert_eq!(place.live()["version"], version, "{output}");
        assert_eq!(place.orders(), (state.0.to_owned(), state.1), "{output}");
    }
    assert_eq!(place.run(&["undo", "--yes", "0"]).0, 0);
    assert_eq!(place.live()["routes"]["orders"], json!({ "version": 7 }), "the file alone, and evidence since then");
    for (version, words) in [("7", "is the present one"), ("9", "is the present one")] {
        let (code, output) = place.run(&["undo", "--yes", version]);
        assert!(code == 2 && output.contains(words), "{output}");
    }
    let place = Place::with("running", 10);
    let (code, output) = place.run(&["undo", "--yes"]);
    assert!(code == 2 && output.contains("cannot find the version before"), "{output}");
    assert!(Place::new().run(&["undo", "--yes"]).1.contains("there is nothing to undo"));
}

#[test]
fn every_command_prints_the_golden_text() {
    let place = Place::with("running", 10);
    place.write("crossfade.yaml", &both());
    place.write("log", &good());
    place.is_golden("status.txt", &[&["status"], &["status", "--route", "orders", "log"]]);
    place.is_golden("plan.txt", &[&["plan", "log"], &["plan", "--to", "50%", "--route", "orders"]]);
    place.is_golden(
        "promote.txt",
        &[
            &["promote", "--yes"],
            &["promote", "--yes", "--route", "orders", "log"],
            &["promote", "--yes", "--force", "--reason", "no carts at night"],
        ],
    );
    place.is_golden(
        "changes.txt",
        &[
            &["pause", "--yes", "--route", "orders", "--reason", "sale"],
            &["pause", "--yes", "--route", "orders"],
            &["resume", "--yes", "--route", "orders"],
            &["abort", "--reason", "checkout is slow"],
            &["abort"],
            &["undo", "--yes"],
            &["history"],
        ],
    );
}

#[test]
fn json_documents_have_what_a_pipeline_needs() {
    let place = Place::with("running", 10);
    place.write("log", &good());
    let status = place.json(&["status", "--json", "log"]);
    assert_eq!(
        (&status["format"], &status["live"]["version"], &status["live"]["by"]),
        (&json!(1), &json!(4), &json!("anna"))
    );
    let orders = &status["routes"][0];
    assert_eq!(
        json!([orders["route"], orders["phase"], orders["share"], orders["step"], orders["steps"], orders["evidence"]]),
        json!(["orders", "running", 10.0, 2, 5, "pass"])
    );
    assert_eq!(json!([orders["decision"], orders["next"], orders["recentShare"]]), json!(["advance", 25.0, 1.0]));
    let plan = place.json(&["plan", "--json", "--route", "orders", "log"]);
    let orders = &plan["routes"][0];
    assert_eq!(json!([orders["from"], orders["to"], orders["moves"]]), json!([10.0, 25.0, 15.0]));
    assert_eq!(orders["requests"], json!({ "all": 1500, "byShare": 1350, "moving": 203 }));
    assert_eq!(orders["later"].as_array().unwrap().len(), 2);
    let refused = place.json(&["promote", "--json", "--yes"]);
    assert_eq!((&refused["changed"], &refused["version"]), (&json!(false), &json!(4)));
    assert_eq!(refused["refused"][0]["route"], "orders");
    let done = place.json(&["promote", "--json", "--yes", "--route", "orders", "log"]);
    assert_eq!((&done["changed"], &done["version"]), (&json!(true), &json!(5)));
    assert_eq!(done["routes"][0]["after"], json!({ "phase": "running", "share": 25.0 }));
    assert_eq!(place.json(&["history", "--json"])["versions"][0]["change"], "promote orders to 25 %");
}

#[test]
fn explain_and_check_know_the_migration() {
    let place = Place::with("running", 10);
    let explain = |more: &[&str]| {
        let request = ["explain", "-H", "cookie: customer_id=bert", "https://shop.example/orders/7"];
        place.run(&[&request, more].concat()).1
    };
    let file = place.command(&["explain", "-H", "cookie: customer_id=bert", "https://shop.example/orders/7"]);
    let output = { file }.env_remove("CROSSFADE_LIVE").output().unwrap();
    let output = String::from_utf8(output.stdout).unwrap();
    assert!(
        output.contains(
            "\nmigration     legacy -> modern: running, everyone on legacy, before step 1 of 5, by the file\n"
        ),
        "{output}"
    );
    assert!(output.contains("\ntarget        legacy: "), "{output}");
    // The variable is that of the function.
    assert_eq!(explain(&[]), explain(&["--live", "file:live.json"]));
    let output = explain(&["--live", "file:live.json"]);
    assert!(
        output.contains(
            "\nmigration     legacy -> modern: running, 10 % on modern, step 2 of 5, by version 4 of the live state\n"
        ),
        "{output}"
    );
    assert!(output.contains("\ntarget        modern: pinned by cookie customer_id\n"), "{output}");
    let json: Value = serde_json::from_str(&explain(&["--json", "--live", "file:live.json"])).unwrap();
    assert_eq!(
        json["migration"],
        json!({ "from": "legacy", "to": "modern", "phase": "running", "share": 10.0, "live": 4 })
    );

    for (from, to, code, words) in [
        ("version: 1", "version: 1", 0, "ok, 2 back ends"),
        ("parity>=99%, errors", "parity>=99%, eror", 1, "crossfade.yaml:18:47: "),
        ("parity>=99%, errors", "orders: errors", 1, "a guard has no route"),
        ("errors<=+0.5%", "errors>=+0.5%", 1, "write `<=`"),
        ("parity>=99%", "parity<99%", 1, "`parity<99%` fails for a system that is better"),
        ("parity>=99%", "verdict=differs", 1, "write `verdict=same`"),
        ("version: 1", "version: 1\naccessLog: false", 0, "`errors<=+0.5%` needs the requests of users"),
        ("migration: {", "migration: { samples: 19,", 0, "use 100 or more"),
        ("migration: {", "migration: { bake: 30s, schedule: advance,", 0, "as fast as it is invoked"),
        (
            "    mirror: { backend: modern, percent: 20 }\n  - name: carts",
            "  - name: carts",
            0,
            "no step has its evidence: `parity>=99%` needs them",
        ),
        (
            "name: orders",
            "name: order",
            1,
            "version 4 of the live state in file:live.json does not fit: there is no route `orders`",
        ),
    ] {
        place.write("crossfade.yaml", &both().replacen(from, to, 1));
        let (got, output) = place.run(&["check", "--live", "file:live.json"]);
        assert_eq!(got, code, "{to}: {output}");
        assert!(output.contains(words), "{to}: {output}");
    }
}
