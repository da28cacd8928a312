//! `crossfade dev` with functions in the making: changes of their code and of the rules, their output, what keeps them from
//! running. The functions are shell scripts that use curl.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::{Dev, command};

/// Answers with the kind of its event's fields and this text.
fn script(text: &str) -> String {
    format!(
        r#"#!/bin/sh
api="http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime/invocation"
while :; do
  answer=$(curl -s -i --noproxy '*' "$api/next") || exit 1
  id=$(printf '%s' "$answer" | tr -d '\r' | sed -n 's/^lambda-runtime-aws-request-id: //p')
  mode=single
  case $answer in *multiValueHeaders*) mode=multi;; esac
  case $answer in *'"path":"/slow"'*) sleep 2;; esac
  printf '\033[31mred\033[0m\r  at line 1\n'
  curl -s -o /dev/null --noproxy '*' "$api/$id/response" -d "{{\"statusCode\":200,\"headers\":{{\"connection\":\"x\"}},\"multiValueHeaders\":{{}},\"body\":\"{text} $mode\"}}"
done
"#
    )
}

fn folder_with(files: &[(&str, &str)]) -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    files.iter().for_each(|(name, text)| write(folder.path(), name, text));
    folder
}

/// An executable file.
fn write(folder: &Path, name: &str, text: &str) {
    let file = folder.join(name);
    fs::create_dir_all(file.parent().unwrap()).unwrap();
    fs::write(&file, text).unwrap();
    fs::set_permissions(file, PermissionsExt::from_mode(0o755)).unwrap();
}

/// Status and body.
fn ask(alb: &str, path: &str) -> String {
    let url = format!("{alb}{path}");
    let fixed = ["-s", "--max-time", "25", "--noproxy", "*", "-w", "\n%{http_code}", &url];
    let output = Command::new("curl").args(fixed).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let (body, status) = text.rsplit_once('\n').unwrap();
    format!("{status} {}", if status == "200" { body } else { "" }).trim_end().to_owned()
}

pub(crate) fn a_change_of_the_code_is_in_the_next_request_and_requests_in_progress_end() {
    let folder = folder_with(&[("function.sh", &script("one"))]);
    let dev = Dev::start_in(folder.path(), &["--function", "sh function.sh", "--no-inspect"]);
    assert_eq!(ask(&dev.alb, "/"), "200 one single");
    let alb = &dev.alb;
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| ask(alb, "/slow"));
        std::thread::sleep(std::time::Duration::from_millis(500));
        write(folder.path(), "function.sh", &script("two"));
        // Neither data nor dependencies are code.
        write(folder.path(), "node_modules/a/index.js", "");
        write(folder.path(), "data.sqlite", "");
        assert_eq!(dev.told("has changed"), "function.sh has changed: the next request uses it");
        assert_eq!(ask(&dev.alb, "/"), "200 two single");
        assert_eq!(slow.join().unwrap(), "200 one single");
    });
    assert!(dev.stop("-INT").success());
}

pub(crate) fn without_reload_nothing_changes() {
    let folder = folder_with(&[("function.sh", &script("one"))]);
    let arguments = ["--function", "./function.sh", "--no-inspect", "--no-reload", "--multi-value-headers"];
    let dev = Dev::start_in(folder.path(), &arguments);
    assert_eq!(ask(&dev.alb, "/"), "200 one multi");
    write(folder.path(), "function.sh", &script("two"));
    std::thread::sleep(std::time::Duration::from_millis(1500));
    assert_eq!(ask(&dev.alb, "/"), "200 one multi");
    assert!(dev.stop("-INT").success());
}

pub(crate) fn a_debugger_has_one_environment_and_all_the_time() {
    // Longer than the init phase may take, and the second request waits for the first.
    let slow = script("one").replace("while :; do", "sleep 11; while :; do");
    let folder = folder_with(&[("function.sh", &slow)]);
    let dev = Dev::start_in(folder.path(), &["--function", "./function.sh", "--debug", "--no-inspect"]);
    assert!(dev.banner.contains("./function.sh, no time limit, 1 environment"), "{}", dev.banner);
    let alb = &dev.alb;
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(|| ask(alb, "/slow"))).collect();
        for client in clients {
            assert_eq!(client.join().unwrap(), "200 one single");
        }
    });
    let lines: Vec<String> = (0..4).map(|_| dev.next_line()).collect();
    assert_eq!(lines.iter().filter(|line| line.contains("[cold start]")).count(), 1, "{lines:?}");
    assert!(dev.stop("-INT").success());
}

pub(crate) fn rules_are_read_again_and_errors_change_nothing() {
    let service = |rules: &str| format!("service: a\nfunctions:\n  web:\n    handler: a.b\n    events: {rules}\n");
    let rules = |path: &str| format!("- alb: {{ listenerArn: x, priority: 1, conditions: {{ path: {path} }} }}\n");
    let folder = folder_with(&[
        ("serverless.yml", &service("${file(rules.yml)}")),
        ("rules.yml", &rules("/a")),
        ("function.sh", &script("one")),
    ]);
    let dev = Dev::start_in(
        folder.path(),
        &["--serverless", "serverless.yml", "--function", "./function.sh", "--inspect", "0"],
    );
    assert_eq!([ask(&dev.alb, "/a"), ask(&dev.alb, "/b")], ["200 one single", "404"]);
    write(folder.path(), "rules.yml", &rules("/b"));
    assert_eq!(dev.told("has changed"), "rules.yml has changed: the next request uses it");
    assert_eq!([ask(&dev.alb, "/a"), ask(&dev.alb, "/b")], ["404", "200 one single"]);
    write(folder.path(), "rules.yml", &rules("[/c"));
    dev.told("rules.yml:");
    dev.told("rules.yml has errors: what was valid last stays in use");
    assert_eq!(ask(&dev.alb, "/b"), "200 one single");
    // Code that changes together with rules that have errors is not lost.
    write(folder.path(), "rules.yml", &rules("[/d"));
    write(folder.path(), "function.sh", &script("two"));
    dev.told("rules.yml has errors: what was valid last stays in use");
    assert_eq!(dev.told("has changed"), "function.sh has changed: the next request uses it");
    assert_eq!(ask(&dev.alb, "/b"), "200 two single");
    write(folder.path(), "function.sh", &script("one"));
    dev.told("function.sh has changed");
    write(folder.path(), "serverless.yml", &service(&format!("\n      {}", rules("/d"))));
    assert_eq!(dev.told("has changed"), "serverless.yml has changed: the next request uses it");
    assert_eq!([ask(&dev.alb, "/b"), ask(&dev.alb, "/d")], ["404", "200 one single"]);
    // The inspector shows each request with the rules that it was served with.
    let page = |number: u32| {
        let url = format!("{}/requests/{number}", dev.inspector);
        let output = Command::new("curl").args(["-s", "--noproxy", "*", &url]).output().unwrap();
        String::from_utf8(output.stdout).unwrap()
    };
    let (first, last) = (page(1), page(8));
    assert!(first.contains("path is /a") && !first.contains("path is /d"), "{first}");
    assert!(last.contains("path is /d") && !last.contains("path is /a"), "{last}");
    assert!(dev.stop("-INT").success());
}

pub(crate) fn output_has_its_colours_where_they_are_wanted_and_a_warning_about_replies_comes_once() {
    let folder = folder_with(&[("function.sh", &script("one"))]);
    let start = |environment: &[(&str, &str)]| {
        Dev::start_with(folder.path(), &["--function", "./function.sh", "--no-inspect"], environment)
    };
    let dev = start(&[]);
    for _ in 0..3 {
        assert_eq!(ask(&dev.alb, "/"), "200 one single");
    }
    assert_eq!([dev.told("red"), dev.told("at line")], ["function 1 | red", "function 1 |   at line 1"]);
    let lines: Vec<String> = (0..4).map(|_| dev.next_line()).collect();
    assert_eq!(lines.iter().filter(|line| line.contains("field `connection` is not honoured")).count(), 1, "{lines:?}");
    let coloured = start(&[("CLICOLOR_FORCE", "1")]);
    assert_eq!(ask(&coloured.alb, "/"), "200 one single");
    assert_eq!(coloured.told("red"), "function 1 | \u{1b}[31mred\u{1b}[0m");
    assert!(coloured.next_line().contains("\u{1b}[32m200\u{1b}[0m"));
    let plain = start(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")]);
    assert_eq!(ask(&plain.alb, "/"), "200 one single");
    assert_eq!(plain.told("red"), "function 1 | red");
}

pub(crate) fn each_environment_has_its_own_port() {
    let folder = folder_with(&[("function.sh", &script("$PORT $1"))]);
    let arguments = ["--function", "./function.sh {port}", "--env", "PORT={port}", "--no-inspect"];
    let dev = Dev::start_in(folder.path(), &arguments);
    let alb = &dev.alb;
    let mut ports: Vec<String> = std::thread::scope(|scope| {
        let clients: Vec<_> = (0..2).map(|_| scope.spawn(|| ask(alb, "/slow"))).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    ports.dedup();
    assert_eq!(ports.len(), 2, "{ports:?}");
    for port in ports {
        let words: Vec<&str> = port.split(' ').collect();
        assert!(words[0] == "200" && words[1] == words[2] && words[1].parse::<u16>().is_ok(), "{port}");
    }
    assert!(dev.stop("-INT").success());
}

pub(crate) fn what_cannot_run_is_told_before_anything_starts() {
    let folder = folder_with(&[("windows.sh", "#!/usr/bin/env sh\r\nexit\r\n"), ("folder/a", "")]);
    fs::write(folder.path().join("plain.sh"), "#!/bin/sh\n").unwrap();
    for (function, told) in [
        ("./windows.sh", "`./windows.sh` has Windows line endings"),
        ("env A=b ./windows.sh", "`./windows.sh` has Windows line endings"),
        ("./plain.sh", "`./plain.sh` is not executable"),
        ("./folder", "`./folder` is a folder"),
        ("./none", "cannot find the file `./none`"),
        ("no-such-npx a.b", "cannot find the program `no-such-npx`"),
    ] {
        let output = command(folder.path()).args(["--function", function]).output().unwrap();
        let errors = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(2), "{function}");
        assert!(errors.starts_with(&format!("error: `--function`: {told}")), "{errors}");
    }
    // In the folder of the function, wherever the command was typed.
    let service = "service: a\nfunctions: { web: { handler: a.b, events: [{ alb: { listenerArn: x, priority: 1, conditions: { path: / } } }] } }\n";
    write(folder.path(), "folder/serverless.yml", service);
    write(folder.path(), "folder/bootstrap", &script("here"));
    let arguments = ["--serverless", "folder/serverless.yml", "--function", "./bootstrap", "--no-inspect"];
    let dev = Dev::start_in(folder.path(), &arguments);
    assert_eq!(ask(&dev.alb, "/"), "200 here single");
    assert!(dev.stop("-INT").success());
}

pub(crate) fn a_handler_without_a_runtime_client_is_told_which_one_it_needs() {
    let folder = folder_with(&[("handler.py", "def handler(event, context): pass\n")]);
    let dev = Dev::start_in(folder.path(), &["--function", "true handler.py", "--no-inspect"]);
    assert_eq!(ask(&dev.alb, "/"), "502");
    let (_, told) = (dev.next_line(), dev.next_line());
    assert!(
        told.contains("`pip install awslambdaric`, then `--function 'python3 -m awslambdaric handler.handler'`"),
        "{told}"
    );
    assert!(dev.stop("-INT").success());
}
