//! The examples in the documentation: configurations are free of errors and warnings and their tests pass, and the output that
//! the README shows is the output of the command above it.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use crossfade_route::Overlay;
use serde_json::json;

use crate::support::{Dev, word_after};

fn read(page: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page)).unwrap()
}

/// The blocks of a page in this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let (text, fence) = (read(page), format!("```{language}\n"));
    let blocks = text.split(&fence).skip(1).filter_map(|rest| rest.split_once("```"));
    blocks.map(|(block, _)| block.to_owned()).collect()
}

/// The YAML blocks of a page that are whole files.
fn examples(page: &str) -> Vec<String> {
    let blocks = blocks(page, "yaml").into_iter();
    blocks.filter(|block| block.lines().any(|line| line == "version: 1")).collect()
}

fn crossfade(folder: &Path, arguments: &[impl AsRef<str>]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.args(arguments.iter().map(AsRef::as_ref)).current_dir(folder).output().unwrap()
}

pub(crate) fn every_complete_example_is_right() {
    for page in [
        "README.md",
        "docs/configuration.md",
        "docs/back-ends.md",
        "docs/large-responses.md",
        "docs/migration.md",
        "docs/tracing.md",
    ] {
        let examples = examples(page);
        assert!(!examples.is_empty(), "{page}");
        for example in examples {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("crossfade.yaml"), &example).unwrap();
            let has_tests = example.lines().any(|line| line.starts_with("tests:"));
            let commands = [(true, &["check", "--deny-warnings"][..]), (has_tests, &["test"])];
            for (_, arguments) in commands.into_iter().filter(|(is_run, _)| *is_run) {
                let output = crossfade(folder.path(), arguments);
                let told =
                    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{page}\n{example}\n{told}");
            }
        }
    }
}

/// The commands of a page: in blocks of the console, and in the text.
fn commands(page: &str) -> Vec<String> {
    let text = read(page);
    let outside: String = text.split("```").step_by(2).collect();
    let spans = outside.split('`').skip(1).step_by(2).map(|span| span.replace("\\|", "|")).collect::<Vec<_>>();
    let lines = blocks(page, "console");
    let lines = lines.iter().flat_map(|block| block.lines()).map(|line| line.trim_start_matches("$ ").to_owned());
    let parts = lines.chain(spans).flat_map(|line| line.split(" | ").map(str::to_owned).collect::<Vec<_>>());
    parts.filter(|part| part.starts_with("crossfade ")).collect()
}

/// Each command and each of its options.
pub(crate) fn every_command_is_one() {
    let mut count = 0;
    let mut help = BTreeMap::new();
    for page in [
        "docs/migration.md",
        "docs/configuration.md",
        "docs/large-responses.md",
        "docs/import.md",
        "docs/export.md",
        "docs/cost.md",
        "docs/doctor.md",
        "deploy/serverless/README.md",
        "deploy/terraform/README.md",
        "deploy/cdk/README.md",
    ] {
        for command in commands(page) {
            let words = shell_words::split(&command).unwrap_or_else(|error| panic!("{page}: {command}: {error}"));
            let name = words.get(1).unwrap().clone();
            let help = help.entry(name.clone()).or_insert_with(|| {
                let output = crossfade(Path::new("."), &[&*name, "--help"]);
                assert!(output.status.success(), "{page}: {command}\n{}", String::from_utf8_lossy(&output.stderr));
                String::from_utf8(output.stdout).unwrap()
            });
            for option in words.iter().filter(|word| word.starts_with("--")) {
                let option = option.split('=').next().unwrap();
                assert!(
                    help.contains(&format!("{option} ")) || help.contains(&format!("{option}\n")),
                    "{page}: {command}"
                );
            }
            count += 1;
        }
    }
    assert!(count > 40, "only {count} commands found: this test looks in the wrong place");
}

/// A log of two hours: users on the old system, and copies whose responses are the same.
fn log_of_the_mirror() -> String {
    let begin = SystemTime::now() - Duration::from_secs(2 * 60 * 60);
    let line = |number: u64| {
        let time = humantime::format_rfc3339_millis(begin + Duration::from_secs(number * 6)).to_string();
        let request_id = number.to_string();
        let access = json!({
            "version": 3, "time": time, "request_id": request_id, "method": "GET", "path": "/orders/7", "route": "orders",
            "backend": "legacy", "status": 200, "first_byte_ms": 20, "attempts": 1,
        });
        let copy = json!({
            "version": crossfade_journal::comparison::VERSION, "time": time, "against": "mirror", "request_id": request_id,
            "route": "orders", "method": "GET", "endpoint": "/orders/{id}", "verdict": "match",
            "primary": {"backend": "legacy", "status": 200, "ms": 20.0},
            "mirror": {"backend": "modern", "status": 200, "ms": 20.0},
        });
        // The type comes first.
        let [access, copy] = [("access", access), ("compare", copy)]
            .map(|(kind, rest)| rest.to_string().replacen('{', &format!("{{\"type\":\"{kind}\","), 1));
        format!("{access}\n{copy}\n")
    };
    (0..1_200).map(line).collect()
}

/// Each command of the runbook in its order, with the state in a file, a log that allows the first step, and nobody to ask.
pub(crate) fn the_runbook_works_as_it_is_written() {
    let page = "docs/migration.md";
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("crossfade.yaml"), examples(page).first().unwrap()).unwrap();
    fs::write(folder.path().join("function.log"), log_of_the_mirror()).unwrap();
    let lines = blocks(page, "console").concat();
    let mut states = Vec::new();
    // The back ends of the example do not exist.
    for line in lines.lines().filter(|line| line.starts_with("crossfade ") && !line.contains("--connect")) {
        let line = line.replace("--log-group /aws/lambda/crossfade-dev-proxy", "function.log");
        let mut words = shell_words::split(&line).unwrap();
        if words[1] == "promote" {
            words.push("--yes".to_owned());
        }
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command.args(&words[1..]).current_dir(folder.path()).env("CROSSFADE_LIVE", "file:live.json");
        let output = command.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{line}\n{said}");
        let state = fs::read_to_string(folder.path().join("live.json")).ok();
        let progress = state.map(|text| Overlay::parse(&text, "").unwrap().routes["orders"].migration.unwrap());
        let shown = progress.map(|it| format!("{} % {}", it.share.percent(), it.phase.as_str()));
        states.push((words[1].clone(), shown.unwrap_or_default()));
    }
    let states: Vec<(&str, &str)> = states.iter().map(|(command, state)| (command.as_str(), state.as_str())).collect();
    let expected = [
        ("check", ""),
        ("test", ""),
        ("status", ""),
        ("report", ""),
        ("plan", ""),
        ("promote", "1 % running"),
        ("status", "1 % running"),
        ("abort", "0 % aborted"),
        ("undo", "1 % running"),
        ("pause", "1 % paused"),
        ("resume", "1 % running"),
        ("abort", "0 % aborted"),
        ("report", "0 % aborted"),
    ];
    assert_eq!(states, expected);
}

/// The overlay in the documentation, and the members in its tables.
pub(crate) fn the_overlay_is_one() {
    let page = "docs/configuration.md";
    let overlays: Vec<String> = blocks(page, "json").into_iter().filter(|block| block.contains("\"format\"")).collect();
    assert_eq!(overlays.len(), 1);
    let overlay = Overlay::parse(&overlays[0], page).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(Overlay::parse(&overlay.to_text(), page).ok().as_ref(), Some(&overlay));
    assert!(overlay.routes.len() > 1 && overlay.routes.values().all(|changes| !changes.is_empty()));
    let text = read(page);
    let section = text.split_once("### The overlay\n").unwrap().1.split_once("### What it costs").unwrap().0;
    let cells = section.lines().filter_map(|line| line.strip_prefix("| ")?.split(" |").next());
    let documented: Vec<&str> = cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)).collect();
    assert_eq!(documented.len(), 7 + 9, "{documented:?}");
    for member in documented {
        let in_top = format!("{{format: 1, version: 1, {member}: []}}");
        let in_route = format!("{{format: 1, version: 1, routes: {{a: {{{member}: []}}}}}}");
        let is_known = [in_top, in_route]
            .iter()
            .any(|text| Overlay::parse(text, "").err().is_none_or(|error| !error.to_string().contains("unknown key")));
        assert!(is_known, "`{member}` is no member of an overlay");
    }
}

/// With the `crossfade.yaml` that the README shows, and the log of which its report and the screenshot of the page are made.
pub(crate) fn the_readme_shows_the_output_of_its_commands() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("crossfade.yaml"), examples("README.md").first().unwrap()).unwrap();
    let log = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/docs/comparisons.log.gz");
    fs::copy(log, folder.path().join("comparisons.log.gz")).unwrap();

    let mut shown = 0;
    for block in blocks("README.md", "console") {
        let (command, expected) = block.split_once('\n').unwrap();
        // The others only list commands to type.
        if expected.trim().is_empty() || expected.lines().any(|line| line.starts_with("$ ")) {
            continue;
        }
        let Some(line) = command.strip_prefix("$ crossfade ") else { continue };
        let output = crossfade(folder.path(), &shell_words::split(line).unwrap());
        let found = String::from_utf8(output.stdout).unwrap();
        assert!(has_all(&found, expected), "README.md: `{command}` prints\n{found}");
        shown += 1;
    }
    assert_eq!(shown, 2, "`explain` and `report`");
}

/// Each command of the tour, in the folder in which a reader types it.
pub(crate) fn the_tour_works_as_it_is_written() {
    let folder = tempfile::tempdir().unwrap();
    let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs").canonicalize().unwrap();
    std::os::unix::fs::symlink(docs, folder.path().join("docs")).unwrap();
    // `/slow` waits for Lambda's timeout.
    let dev = Dev::start(&["--timeout", "3s"]);
    let log = word_after(&dev.banner, "  log ");
    let temporary = log.strip_suffix("/function.log").unwrap();
    let readme = read("README.md");
    let tour = readme.split_once("## Tour").unwrap().1.split_once("Now point it").unwrap().0;
    let tour = tour.split("```console\n").skip(1).map(|rest| rest.split_once("```").unwrap().0).collect::<String>();
    let shown = tour
        .replace("\\\n", "")
        .replace("\n$ curl -s --data", "; curl -s --data")
        .replace("http://127.0.0.1:8080", &dev.alb)
        .replace("/tmp/crossfade-…", temporary)
        .replace("cargo crossfade", env!("CARGO_BIN_EXE_crossfade"))
        .replace("$(seq 100)", "$(seq 20)");
    let commands: Vec<&str> = shown.lines().filter_map(|line| line.strip_prefix("$ ")).collect();
    assert!(commands.len() >= 8, "{shown}");
    let mut printed = String::new();
    for command in &commands {
        let output = Command::new("sh").args(["-c", command]).current_dir(folder.path()).output().unwrap();
        assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
        printed += &String::from_utf8_lossy(&output.stdout);
    }
    for words in [
        "\"phone\": \"555-0100\"",
        "504 Gateway",
        "/customer/phone is missing",
        "customer 15: x-demo-backend: modern",
        "customer 18: x-demo-backend: modern",
        "customer 19: x-demo-backend: modern",
        "customer 20: x-demo-backend: legacy",
    ] {
        assert!(printed.contains(words), "{words}: {printed}");
    }
    assert_eq!(printed.matches("x-demo-backend: modern").count(), 3, "{printed}");
    assert!(folder.path().join("report.html").exists());
    // The last command takes them back.
    let again = commands.iter().find(|command| command.contains("customer_id")).unwrap();
    let output = Command::new("sh").args(["-c", again]).output().unwrap();
    let told = String::from_utf8_lossy(&output.stdout);
    assert_eq!(told.matches("x-demo-backend: legacy").count(), 20, "{told}");
    assert!(dev.stop("-INT").success());
    assert!(!Path::new(temporary).exists());
}

/// Returns true if `found` is `expected`, in which a line `…` matches any number of lines.
fn has_all(found: &str, expected: &str) -> bool {
    let lines: Vec<&str> = found.lines().collect();
    let expected: Vec<&str> = expected.lines().collect();
    let pieces: Vec<&[&str]> = expected.split(|line| line.trim() == "…").collect();
    let mut at = 0;
    for (index, piece) in pieces.iter().enumerate() {
        let rest = &lines[at..];
        let starts = match (index, piece.len()) {
            (_, length) if length > rest.len() => return false,
            (0, _) => 0..1,
            _ => 0..rest.len() - piece.len() + 1,
        };
        match starts.clone().find(|start| rest[*start..].starts_with(piece)) {
            Some(start) => at += start + piece.len(),
            None => return false,
        }
    }
    // After a last `…` more may come.
    at == lines.len() || pieces.last().is_some_and(|last| last.is_empty())
}

pub(crate) fn an_ellipsis_stands_for_lines_and_nothing_else_does() {
    let found = "a\nb\nc\nd\n";
    for expected in ["a\nb\nc\nd\n", "a\n…\nd\n", "a\nb\n…\n", "…\nc\nd\n", "a\n  …\nc\n…\n"] {
        assert!(has_all(found, expected), "{expected}");
    }
    for expected in ["a\nb\nc\n", "b\n…\n", "a\n…\nc\n", "a\nc\n…\n", "a\n…\nd\nd\n"] {
        assert!(!has_all(found, expected), "{expected}");
    }
}
