//! `crossfade dev` as a user runs it: the real binary, the real function as its child, curl as the client.
//!
//! `command_line.rs` tests invalid command lines.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Command;
use std::sync::mpsc::channel;

use crossfade_testkit::client::Response;
use crossfade_testkit::process::{Process, Signal};
use crossfade_testkit::server::closed_port;

use crate::support::{Dev, command, word_after};

/// An answer as far as both ways to a back end must agree on it.
#[derive(Debug, PartialEq, Eq)]
struct Answer {
    status: String,
    /// `content-type`, `content-encoding`, `etag`, `location` and every `set-cookie`, sorted.
    fields: Vec<String>,
    body: Vec<u8>,
}

fn curl(url: &str, arguments: &[&str]) -> Answer {
    let output = Command::new("curl")
        .args([
            "--silent",
            "--show-error",
            "--include",
            "--http1.1",
            "--path-as-is",
            "--max-time",
            "25",
            "--noproxy",
            "*",
        ])
        .args(arguments)
        .arg(url)
        .output()
        .expect("curl is installed");
    assert!(output.status.success(), "curl {url} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    let response = Response::of_curl(&output.stdout).expect("a head");
    let kept = ["content-type", "content-encoding", "etag", "location", "set-cookie"];
    let mut fields: Vec<String> = response
        .fields()
        .filter(|(name, _)| kept.contains(&name.as_str()))
        .map(|(name, value)| format!("{name}: {value}"))
        .collect();
    fields.sort();
    Answer { status: response.status.to_string(), fields, body: response.body }
}

/// `/echo` through the load balancer.
fn echo(dev: &Dev, target: &str, arguments: &[&str]) -> serde_json::Value {
    let answer = curl(&format!("{}{target}", dev.alb), arguments);
    assert_eq!(answer.status, "200", "{target}");
    serde_json::from_slice(&answer.body).unwrap()
}

fn binary_file(folder: &Path) -> String {
    let file = folder.join("binary");
    let bytes: Vec<u8> = (0..=255_u8).cycle().take(200_000).collect();
    std::fs::File::create(&file).unwrap().write_all(&bytes).unwrap();
    format!("@{}", file.display())
}

/// Nothing is lost or changed between the client and the back end.
#[test]
fn what_comes_through_is_byte_identical_to_asking_the_back_end() {
    let dev = Dev::start(&[]);
    let (ca, legacy) = dev.legacy();
    let ca = ca.to_str().unwrap();
    let folder = tempfile::tempdir().unwrap();
    let binary = binary_file(folder.path());
    let upload = ["--data-binary", binary.as_str(), "-H", "content-type: application/x-odd"];
    let text = ["--data-binary", "d\u{e9}j\u{e0} vu", "-H", "content-type: text/plain; charset=utf-8"];
    let cases: [(&str, &[&str]); 16] = [
        ("/", &[]),
        ("/orders/42", &[]),
        ("/image", &[]),
        ("/bytes/0", &[]),
        ("/bytes/500000", &[]),
        ("/text/5000", &[]),
        ("/gzip", &["-H", "accept-encoding: gzip"]),
        ("/latin1", &[]),
        ("/cookies", &[]),
        ("/redirect?to=https://x.example/%2f?a%20b", &[]),
        ("/status/204", &[]),
        ("/status/503", &[]),
        ("/etag", &["-H", "if-none-match: \"crossfade-demo-1\""]),
        ("/head", &["--head"]),
        ("/upload", &upload),
        ("/upload", &text),
    ];
    for (target, arguments) in cases {
        let direct = curl(&format!("{legacy}{target}"), &[arguments, &["--cacert", ca]].concat());
        let through = curl(&format!("{}{target}", dev.alb), arguments);
        assert_eq!((&through.status, &through.fields), (&direct.status, &direct.fields), "{target}");
        assert!(through.body == direct.body, "{target}: {} bytes, not {}", through.body.len(), direct.body.len());
    }
    assert!(dev.stop("-INT").success());
}

/// The request reaches the back end as the client wrote it.
#[test]
fn path_query_and_cookies_arrive_as_they_were_sent() {
    let dev = Dev::start(&[]);
    for target in [
        "/echo?q=a%20b",
        "/echo?q=a+b",
        "/echo?q=%E9",
        "/echo?path=%2Fa%2fb",
        "/echo?q=%25&r=~!*'()&s=x;y",
        "/echo?u=https%3A%2F%2Fe.example%3Fa%3Db%26c",
    ] {
        assert_eq!(echo(&dev, target, &[])["target"], target);
    }
    let told = echo(&dev, "/echo", &["-b", "session=a%20b; theme=dark"]);
    let fields = told["fields"].as_array().unwrap();
    assert!(fields.contains(&serde_json::json!(["cookie", "session=a%20b; theme=dark"])), "{fields:?}");
    // A path that a URL parser would fold into `/echo`: it must arrive as it is, where there is no such page.
    for path in ["/a/../echo", "/a/%2e%2e/echo", "//echo", "/./echo"] {
        assert_eq!(curl(&format!("{}{path}", dev.alb), &[]).status, "404", "{path}");
    }
    assert!(dev.stop("-INT").success());
}

/// A target group without multi-value headers keeps one field of a name, and cookies survive all the same.
#[test]
fn three_cookies_survive_single_value_headers() {
    let dev = Dev::start(&["--single-value-headers"]);
    let cookies = curl(&format!("{}/cookies", dev.alb), &[]);
    assert_eq!(cookies.fields.iter().filter(|field| field.starts_with("set-cookie")).count(), 3, "{cookies:?}");
    assert!(dev.stop("-INT").success());
}

#[test]
fn each_request_is_one_readable_line() {
    let dev = Dev::start(&[]);
    curl(&format!("{}/orders/42?q=%20", dev.alb), &[]);
    curl(&format!("{}/status/404", dev.alb), &["-X", "DELETE"]);
    let (first, second) = (dev.next_line(), dev.next_line());
    let words: Vec<&str> = first.split_whitespace().collect();
    assert_eq!((words[1..4].join(" "), words[5]), ("GET 200 legacy".to_string(), "ms"), "{first}");
    assert!(first.ends_with("/orders/42?q=***  [orders, otherwise]  [cold start]"), "{first}");
    assert_eq!(second.split_whitespace().skip(1).take(3).collect::<Vec<_>>(), ["DELETE", "404", "legacy"], "{second}");
    assert!(second.ends_with("ms  /status/404"), "a second cold start: {second}");
    assert!(dev.stop("-INT").success());
}

/// A back end that is not there is an answer with a reason, not an error of the function.
#[test]
fn a_dead_back_end_is_told_with_its_cause() {
    let free = closed_port();
    let dev = Dev::start(&["--backend", &format!("http://127.0.0.1:{free}")]);
    assert_eq!(curl(&dev.alb, &[]).status, "502");
    let (line, detail) = (dev.next_line(), dev.next_line());
    assert!(line.contains(" GET     502 "), "{line}");
    assert!(detail.starts_with("   ") && detail.contains("refused"), "{detail}");
    assert!(dev.stop("-INT").success());
}

/// An option takes precedence over files in the current folder.
#[test]
fn a_configuration_in_the_current_folder_does_not_contradict_an_option() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("crossfade.yaml"), "not even a configuration").unwrap();
    let free = closed_port();
    let dev = Dev::start_in(folder.path(), &["--backend", &format!("http://127.0.0.1:{free}")]);
    curl(&dev.alb, &[]);
    let (line, detail) = (dev.next_line(), dev.next_line());
    assert!(detail.contains("refused"), "{line}\n{detail}");
    assert!(dev.stop("-INT").success());
}

/// A relative path in the configuration is relative to the configuration, wherever the command was typed.
#[test]
fn a_configuration_names_its_authority_relative_to_itself() {
    let demo = Dev::start(&[]);
    let (ca, legacy) = demo.legacy();
    let folder = tempfile::tempdir().unwrap();
    std::fs::create_dir(folder.path().join("here")).unwrap();
    std::fs::copy(ca, folder.path().join("here/ca.pem")).unwrap();
    let config =
        format!("version: 1\nbackends: {{a: {{url: '{legacy}', tls: {{caFile: ca.pem}}}}}}\ndefault: {{forward: a}}\n");
    std::fs::write(folder.path().join("here/proxy.yaml"), config).unwrap();
    let dev = Dev::start_in(folder.path(), &["--config", "here/proxy.yaml"]);
    assert_eq!(curl(&format!("{}/orders/42", dev.alb), &[]).status, "200");
    assert!(dev.stop("-INT").success());
    assert!(demo.stop("-INT").success());
}

/// The rules of the file that is deployed decide on the laptop too.
#[test]
fn listener_rules_come_from_the_serverless_file() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/serverless/serverless.yml");
    let dev = Dev::start(&["--serverless", file]);
    for (path, arguments, status, rule) in [
        ("/api/orders/42", &[][..], "404", "[rule 110]"), // the demo back end has no such page, and says so itself
        ("/orders/42", &["-H", "X-Crossfade: PREVIEW-7"], "200", "[rule 120]"),
        ("/orders/42?crossfade=on", &[], "200", "[rule 130]"),
        ("/orders/42?crossfade=off", &[], "404", "[rule default: fixed-response]"),
        ("/api/orders/42", &["-X", "POST"], "404", "[rule default: fixed-response]"),
    ] {
        assert_eq!(curl(&format!("{}{path}", dev.alb), arguments).status, status, "{path} {arguments:?}");
        let line = dev.next_line();
        assert!(line.contains(rule), "{path} {arguments:?}: {line}");
        assert_eq!(line.contains(" legacy "), !rule.contains("default"), "{line}");
    }
    assert!(dev.stop("-INT").success());
}

/// Ctrl-C and a polite kill: exit code 0, no process and no file left.
#[test]
#[cfg(target_os = "linux")]
fn a_signal_stops_everything_and_leaves_nothing_behind() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let dev = Dev::start(&[]);
        curl(&format!("{}/orders/1", dev.alb), &[]);
        let (ca, _) = dev.legacy();
        let children = children(dev.child.id());
        assert!(ca.exists());
        assert!(!children.is_empty(), "the function is a process of its own");
        assert_eq!(dev.stop(signal).code(), Some(0), "{signal}");
        assert!(!ca.parent().unwrap().exists(), "{signal}: {} is left", ca.display());
        let left: Vec<_> = children.iter().filter(|pid| Path::new(&format!("/proc/{pid}")).exists()).collect();
        assert!(left.is_empty(), "{signal}: processes {left:?} are left");
    }
}

/// Whoever read the output may go first, as with `| head` or a closed terminal.
#[test]
fn nobody_reading_is_no_reason_to_fail() {
    let mut child = Process::start(&mut command(Path::new("."))).asked_to_end();
    drop(child.child.stdout.take());
    let mut banner = BufReader::new(child.child.stderr.take().unwrap()).lines().map_while(Result::ok);
    let alb = word_after(&banner.find(|line| line.contains("local ALB")).unwrap(), "local ALB");
    drop(banner);
    let dev =
        Dev { child, alb, inspector: String::new(), banner: String::new(), stdout: channel().1, stderr: channel().1 };
    assert_eq!(curl(&format!("{}/orders/42", dev.alb), &[]).status, "200");
    assert_eq!(curl(&format!("{}/orders/42", dev.alb), &[]).status, "200");
    assert_eq!(dev.stop("-HUP").code(), Some(0));
}

#[cfg(target_os = "linux")]
fn children(parent: u32) -> Vec<u32> {
    let is_child = |pid: &u32| {
        std::fs::read_to_string(format!("/proc/{pid}/status"))
            .is_ok_and(|status| status.lines().any(|line| line == format!("PPid:\t{parent}")))
    };
    let entries = std::fs::read_dir("/proc").unwrap();
    entries.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok()).filter(is_child).collect()
}

/// A function that writes without end fills neither the memory nor the way of Ctrl-C.
#[test]
#[cfg(target_os = "linux")]
fn a_function_that_writes_without_end_is_borne() {
    let dev = Dev::start(&["--function", "sh -c 'yes a line that is written again and again'"]);
    let asked = Command::new("curl").args(["-s", "--max-time", "2", "--noproxy", "*", &dev.alb]).status().unwrap();
    assert!(!asked.success(), "it never asks for the request");
    let status = std::fs::read_to_string(format!("/proc/{}/status", dev.child.id())).unwrap();
    let resident = word_after(&status, "VmRSS:").parse::<u64>().unwrap() / 1024;
    assert!(resident < 300, "{resident} MiB");
    assert!(dev.stop("-INT").success());
}

/// A function writes long lines, with characters that need escapes, to a terminal that is not read.
#[test]
#[cfg(target_os = "linux")]
fn long_lines_that_nobody_reads_are_borne() {
    use std::io::{BufRead, BufReader};

    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("lines");
    std::fs::write(&file, format!("{}\n", "\u{1b}".repeat(900_000)).repeat(20)).unwrap();
    let function = format!("sh -c 'while :; do cat {}; done'", file.display());
    let mut command = command(folder.path());
    let mut child = Process::start(command.args(["--no-inspect", "--function", &function])).asked_to_end();
    let stdout = child.child.stdout.take().unwrap();
    let mut stderr = BufReader::new(child.child.stderr.take().unwrap());
    let mut banner = String::new();
    while !banner.contains("Try:") {
        assert!(stderr.read_line(&mut banner).unwrap() > 0, "{banner}");
    }
    let alb = word_after(&banner, "local ALB");
    let asked = Command::new("curl").args(["-s", "--max-time", "4", "--noproxy", "*", &alb]).status().unwrap();
    assert!(!asked.success(), "it never asks for the request");
    let status = std::fs::read_to_string(format!("/proc/{}/status", child.id())).unwrap();
    let resident = word_after(&status, "VmHWM:").parse::<u64>().unwrap() / 1024;
    child.signal(Signal::INT);
    child.wait();
    drop((stdout, stderr));
    assert!(resident < 400, "{resident} MiB");
}

/// Records of up to 1 MiB come whole to the file that `report` reads.
#[test]
fn long_records_are_kept_whole() {
    let folder = tempfile::tempdir().unwrap();
    let record = |length: usize| {
        let head = r#"{"type":"compare","version":1,"time":"2026-11-24T10:57:42.123Z","against":"mirror","request_id":"ID","route":"a","method":"GET","endpoint":"/","verdict":"match","primary":{"backend":"l","status":200},"mirror":{"backend":"m","status":200,"url":""#;
        format!("{head}{}\"}}}}", "x".repeat(length - head.len() - 3))
    };
    let lengths = [1_000, 65_535, 65_536, 65_537, 200_000, 1 << 20];
    let lines: Vec<String> = lengths.iter().map(|length| record(*length)).collect();
    assert!(lines.iter().zip(lengths).all(|(line, length)| line.len() == length));
    std::fs::write(folder.path().join("lines"), lines.join("\n") + "\nlast\n").unwrap();
    let function = "sh -c 'cat lines; exec sleep 600'";
    let dev = Dev::start_in(folder.path(), &["--function", function, "--comparisons", "kept.log", "--timeout", "2s"]);
    let _ = Command::new("curl").args(["-s", "--max-time", "20", "--noproxy", "*", &dev.alb]).output().unwrap();
    dev.told("| last");
    assert!(dev.stop("-INT").success());
    // The function is started again when it has asked for nothing.
    let kept = std::fs::read_to_string(folder.path().join("kept.log")).unwrap();
    let runs = kept.lines().count() / lines.len();
    assert!(
        runs > 0 && kept == (lines.join("\n") + "\n").repeat(runs),
        "{:?}",
        kept.lines().map(str::len).collect::<Vec<_>>()
    );
    let report = Command::new(env!("CARGO_BIN_EXE_crossfade"))
        .args(["report", "--json", "kept.log"])
        .current_dir(folder.path())
        .output()
        .unwrap();
    let report: serde_json::Value = serde_json::from_slice(&report.stdout).unwrap();
    let found = (report["input"]["records"].as_u64(), report["input"]["unreadable"].as_u64());
    assert_eq!(found, (Some(kept.lines().count() as u64), Some(0)), "{report}");
}
