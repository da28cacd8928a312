//! The command line: help texts, and errors that are reported before anything starts.
//!
//! `dev.rs` tests the runs themselves.

use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::process::{Command, Output};

fn crossfade(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crossfade")).args(arguments).output().unwrap()
}

/// Standard error of a command that could not run: exit code 2 and nothing on standard output.
fn refusal(arguments: &[&str]) -> String {
    let output = crossfade(arguments);
    assert_eq!(output.status.code(), Some(2), "{arguments:?}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "", "{arguments:?}");
    let told = String::from_utf8(output.stderr).unwrap();
    assert!(!told.contains("local ALB"), "something was started: {told}");
    told
}

/// A reviewer sees in the golden files what a user sees.
#[test]
fn help_texts_are_the_golden_ones() {
    for (arguments, golden) in [
        (&["--help"][..], include_str!("golden/help.txt")),
        (&["dev", "--help"], include_str!("golden/help-dev.txt")),
        (&["doctor", "--help"], include_str!("golden/help-doctor.txt")),
    ] {
        let output = crossfade(arguments);
        assert_eq!(String::from_utf8_lossy(&output.stdout), golden, "{arguments:?}");
        assert!(output.status.success());
    }
}

/// Commands for users, as `--help` lists them.
const COMMANDS: [&str; 23] = [
    "compare",
    "dev",
    "check",
    "explain",
    "test",
    "report",
    "cost",
    "package",
    "doctor",
    "status",
    "plan",
    "promote",
    "pause",
    "resume",
    "abort",
    "undo",
    "set",
    "history",
    "init",
    "export",
    "schema",
    "completions",
    "man",
];

#[test]
fn every_shell_completes_all_commands_and_their_options() {
    for shell in ["bash", "zsh", "fish", "powershell", "elvish"] {
        let output = crossfade(&["completions", shell]);
        assert!(output.status.success() && output.stderr.is_empty(), "{shell}");
        let script = String::from_utf8(output.stdout).unwrap();
        for word in COMMANDS.iter().chain(&["max-concurrency", "since", "junit"]) {
            assert!(script.contains(word), "{shell}: {word}");
        }
        // Only `dev` starts the function.
        assert!(!script.contains("as a child of `dev`"), "{shell}");
    }
    let refused = refusal(&["completions", "tcsh"]);
    assert!(refused.contains("bash") && refused.contains("zsh"), "{refused}");
}

#[test]
fn every_command_has_a_manual_page() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("share/man1");
    let output = crossfade(&["man", "--output", pages.to_str().unwrap()]);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let mut files: Vec<_> =
        std::fs::read_dir(&pages).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    files.sort();
    let mut expected: Vec<_> = COMMANDS.iter().map(|name| format!("crossfade-{name}.1")).collect();
    expected.push("crossfade.1".to_owned());
    expected.sort();
    assert_eq!(files, expected);
    for (arguments, file) in [(&["man"][..], "crossfade.1"), (&["man", "report"], "crossfade-report.1")] {
        let page = String::from_utf8(crossfade(arguments).stdout).unwrap();
        assert_eq!(page, std::fs::read_to_string(pages.join(file)).unwrap());
        let name = file.trim_end_matches(".1").replace('-', "\\-");
        assert!(page.contains(".TH ") && page.contains(&format!(".SH NAME\n{name}")), "{page}");
    }
    // Lines of examples are not filled: a hyphen in a command would break it.
    let report = std::fs::read_to_string(pages.join("crossfade-report.1")).unwrap();
    assert!(report.contains(".SH EXAMPLES\n.nf\n") && !report.contains("SH EXTRA"), "{report}");
    assert!(refusal(&["man", "function"]).contains("hint: the commands are compare, dev, "));
}

/// The examples in help texts work where they are printed: a checkout has no `crossfade` in its `PATH`.
#[test]
fn help_names_the_command_by_which_it_was_called() {
    let help = |called: &str, package: Option<&str>, arguments: &[&str]| {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command.arg0(called).args(arguments).env_remove("CARGO_PKG_NAME");
        command.envs(package.map(|package| ("CARGO_PKG_NAME", package)));
        String::from_utf8(command.output().unwrap().stdout).unwrap()
    };
    let examples = ["\n  {} report --html report.html", " | {} report\n"];
    for (called, package, name) in [
        ("crossfade", None, "crossfade"),
        ("crossfade", Some("crossfade"), "crossfade"),
        ("target/debug/crossfade", Some("crossfade"), "cargo crossfade"),
    ] {
        let report = help(called, package, &["report", "--help"]);
        for example in examples {
            assert!(report.contains(&example.replace("{}", name)), "{called}: {report}");
        }
        assert!(report.contains(&format!("Usage: {name} report ")), "{called}: {report}");
        assert!(report.contains("tail /aws/lambda/crossfade --since"), "{report}");
        let all = help(called, package, &["--help"]);
        assert!(all.contains(&format!("\n  {name} compare --legacy")), "{all}");
    }
}

#[test]
fn the_version_is_that_of_the_package() {
    let output = crossfade(&["--version"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), concat!("crossfade ", env!("CARGO_PKG_VERSION"), "\n"));
}

#[test]
fn a_port_in_use_is_named_with_what_to_do() {
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let told = refusal(&["dev", "--port", &port]);
    assert!(told.starts_with(&format!("error: cannot listen on `127.0.0.1:{port}`")), "{told}");
    assert!(told.contains("hint: choose another port with `--port`"), "{told}");
}

#[test]
fn a_missing_file_is_named() {
    for option in ["--config", "--serverless"] {
        let told = refusal(&["dev", "--port", "0", option, "no/such/file.yaml"]);
        assert!(told.starts_with("error: cannot read ") && told.contains("no/such/file.yaml"), "{option}: {told}");
    }
}

#[test]
fn a_bad_back_end_is_told_with_the_option_it_came_from() {
    for url in ["ftp://example.com", "example.com", "https://", "https://user:secret@example.com", "https://h/?q=1"] {
        let told = refusal(&["dev", "--port", "0", "--backend", url]);
        assert!(told.contains("--backend"), "{url}: {told}");
    }
}

#[test]
fn all_errors_of_a_configuration_are_reported_at_once_with_their_lines() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crossfade.yaml");
    std::fs::write(&file, "version: 1\nbackends:\n  legacy: {uri: https://a.example}\ndefault: {forward: modern}\n")
        .unwrap();
    let told = refusal(&["dev", "--port", "0", "--config", file.to_str().unwrap()]);
    assert!(told.contains("crossfade.yaml:3:"), "{told}");
    assert!(told.contains("`uri`"), "{told}");
    assert!(told.contains("`modern`"), "{told}");
}

/// The function reads it at its start: too late for whoever typed the command.
#[test]
fn a_missing_authority_file_is_told_before_the_function_needs_it() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crossfade.yaml");
    let backends = "{legacy: {url: 'https://a.example', tls: {caFile: no-such-ca.pem}}}";
    std::fs::write(&file, format!("version: 1\nbackends: {backends}\ndefault: {{forward: legacy}}\n")).unwrap();
    let told = refusal(&["dev", "--port", "0", "--config", file.to_str().unwrap()]);
    assert!(told.contains("no-such-ca.pem"), "{told}");
}

#[test]
fn a_serverless_file_without_rules_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("serverless.yml");
    std::fs::write(&file, "service: x\nfunctions:\n  a:\n    handler: b\n").unwrap();
    let told = refusal(&["dev", "--port", "0", "--serverless", file.to_str().unwrap()]);
    assert!(told.contains("serverless.yml"), "{told}");
    assert!(told.contains("alb"), "{told}");
}

#[test]
fn a_function_that_cannot_be_run_is_refused() {
    let told = refusal(&["dev", "--port", "0", "--function", "no-such-program --flag"]);
    assert!(told.contains("cannot find the program `no-such-program`"), "{told}");
    assert!(refusal(&["dev", "--port", "0", "--function", "sh -c 'open"]).contains("invalid quoting"));
}

#[test]
fn options_that_contradict_each_other_are_refused() {
    for arguments in [
        ["--backend", "https://a.example", "--config", "x.yaml"],
        ["--serverless", "x.yml", "--single-value-headers", "--verbose"],
        ["--timeout", "30", "--port", "0"],
        ["--timeout", "1801s", "--port", "0"],
        ["--max-concurrency", "0", "--port", "0"],
    ] {
        refusal(&[&["dev"], &arguments[..]].concat());
    }
}
