//! The demo from outside: its back ends, over TLS and with an independent client, and the commands that its start message prints.

use std::process::{Command, Output};

use crossfade::demo::{BackendStats, Demo};

use crate::support::{Dev, word_after};

/// Standard output of curl, trusting the demo authority only.
async fn curl(demo: &Demo, arguments: &[String]) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &demo.ca_pem).unwrap();
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--max-time", "20", "--noproxy", "*", "--cacert"]).arg(ca).args(arguments);
    let output = tokio::task::spawn_blocking(move || curl.output()).await.unwrap().expect("curl is installed");
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    output.stdout
}

pub(crate) async fn both_versions_of_http_give_the_same_bytes() {
    let demo = Demo::start().await.unwrap();
    for (address, name) in [(demo.legacy, "legacy"), (demo.modern, "modern")] {
        for path in ["/", "/image", "/gzip", "/latin1", "/bytes/300000", "/text/0", "/orders/42"] {
            let url = format!("https://localhost:{}{path}", address.port());
            let old = curl(&demo, &["--http1.1".into(), url.clone()]).await;
            let new = curl(&demo, &["--http2".into(), url]).await;
            assert!(old == new, "{name} {path}: {} and {} bytes", old.len(), new.len());
            assert_eq!(old.is_empty(), path == "/text/0");
        }
        for (version, told) in [("--http1.1", "HTTP/1.1 200"), ("--http2", "HTTP/2 200")] {
            let head =
                curl(&demo, &[version.into(), "--head".into(), format!("https://localhost:{}/head", address.port())])
                    .await;
            let head = String::from_utf8(head).unwrap();
            assert!(head.starts_with(told), "{head}");
            assert!(head.contains("content-length: 1024") && head.contains("x-demo-method: HEAD"), "{head}");
            assert!(head.contains(&format!("x-demo-backend: {name}")), "{head}");
        }
    }
}

/// The certificates name the address and the host, and only this run's authority signed them.
pub(crate) async fn only_the_demo_authority_vouches_for_the_back_ends() {
    let demo = Demo::start().await.unwrap();
    curl(&demo, &[format!("https://127.0.0.1:{}/", demo.legacy.port())]).await;
    let stranger = Demo::start().await.unwrap();
    let url = format!("https://localhost:{}/", stranger.legacy.port());
    let folder = tempfile::tempdir().unwrap();
    let ca = folder.path().join("ca.pem");
    std::fs::write(&ca, &demo.ca_pem).unwrap();
    let refused = tokio::task::spawn_blocking(move || {
        Command::new("curl")
            .args(["--silent", "--max-time", "20", "--noproxy", "*", "--cacert"])
            .arg(ca)
            .arg(url)
            .status()
    });
    assert_eq!(refused.await.unwrap().expect("curl is installed").code(), Some(60), "60: not verified");
    assert_eq!(stranger.stats().legacy, BackendStats { connections: 0, requests: 0 });
}

pub(crate) async fn connections_and_requests_are_counted_apart() {
    let demo = Demo::start().await.unwrap();
    let url = format!("https://localhost:{}/echo", demo.legacy.port());
    curl(&demo, &[url.clone(), url.clone(), url]).await;
    assert_eq!(demo.stats().legacy, BackendStats { connections: 1, requests: 3 });
    assert_eq!(demo.stats().modern, BackendStats { connections: 0, requests: 0 });
}

pub(crate) async fn closing_connections_ends_open_ones_and_accepts_new_ones() {
    let demo = Demo::start().await.unwrap();
    let port = demo.modern.port();
    let waiting = {
        let folder = tempfile::tempdir().unwrap();
        let ca = folder.path().join("ca.pem");
        std::fs::write(&ca, &demo.ca_pem).unwrap();
        tokio::task::spawn_blocking(move || {
            let url = format!("https://localhost:{port}/slow?ms=15000");
            let curl = Command::new("curl")
                .args(["--silent", "--max-time", "20", "--noproxy", "*", "--cacert"])
                .arg(ca)
                .arg(url)
                .status();
            drop(folder);
            curl
        })
    };
    for _ in 0..500 {
        if demo.stats().modern.requests == 1 {
            break;
        }
        tokio::time::sleep(std::time::Duration::from_millis(10)).await;
    }
    demo.close_connections();
    let status = waiting.await.unwrap().expect("curl is installed");
    assert!(!status.success() && status.code() != Some(28), "cut off, not timed out: {status}");
    curl(&demo, &[format!("https://localhost:{port}/")]).await;
}

/// Types a command, as a user would.
fn shell(command: &str) -> Output {
    Command::new("sh").args(["-c", command]).output().unwrap()
}

#[track_caller]
fn succeeds(command: &str) -> String {
    let output = shell(command);
    assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).unwrap()
}

/// The commands below `Try:`, as they are printed.
fn commands(banner: &str) -> Vec<String> {
    let tries = banner.split_once("\nTry:\n").unwrap().1.replace("\\\n", "");
    tries.lines().filter(|line| line.starts_with("  ")).map(|line| line.trim().to_owned()).collect()
}

#[track_caller]
fn command_with<'c>(commands: &'c [String], words: &str) -> &'c str {
    commands.iter().find(|command| command.contains(words)).unwrap_or_else(|| panic!("no {words}: {commands:?}"))
}

pub(crate) fn every_command_that_the_demo_prints_works() {
    let dev = Dev::start(&[]);
    let commands = commands(&dev.banner);
    assert!(commands.len() >= 7, "{commands:?}");
    for command in &commands {
        succeeds(&command.replace("$(seq 100)", "$(seq 20)"));
    }

    // The order is that of the tour: the requests are the evidence, and in the end all customers are back.
    let moved = succeeds(command_with(&commands, "customer_id"));
    assert_eq!(moved.matches("x-demo-backend: legacy").count(), 20, "{moved}");
    succeeds(&command_with(&commands, " abort ").replace(" abort ", " resume "));
    succeeds(&command_with(&commands, " promote ").replace("--yes", "--yes --force --reason 'as a test'"));
    let moved = succeeds(command_with(&commands, "customer_id"));
    assert_eq!(moved.matches("x-demo-backend: modern").count(), 3, "{moved}");
    dev.told("live state | version 4 by ");

    // Those in the report as well, although only the demo's own authority vouches for the back ends.
    let text = succeeds(command_with(&commands, " report "));
    let repeated: Vec<&str> = text.lines().map(str::trim).filter(|line| line.starts_with("curl ")).collect();
    assert!(repeated.len() >= 8, "{text}");
    for command in repeated {
        let answer = succeeds(command);
        assert!(answer.contains("x-demo-backend: "), "{command}: {answer}");
    }
    assert!(dev.stop("-INT").success());
}

/// The first time, somebody may want to keep the log.
pub(crate) fn a_report_on_a_log_in_another_folder_trusts_the_demo() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("kept function.log");
    let dev = Dev::start(&["--log", log.to_str().unwrap()]);
    succeeds(&format!("curl -sS {}/orders/1", dev.alb));
    dev.next_line();
    crossfade_testkit::wait::eventually("a comparison", || std::fs::read_to_string(&log).unwrap().contains("mirror"));
    let text = succeeds(command_with(&commands(&dev.banner), " report "));
    let command = text.lines().map(str::trim).find(|line| line.starts_with("curl ")).unwrap();
    assert!(succeeds(command).contains("x-demo-backend"), "{command}");
    assert!(dev.stop("-INT").success());
}

/// Some of the customers that the start message asks for move at each step, and stay.
pub(crate) fn customers_move_with_the_weights_and_no_step_has_a_warning() {
    let dev = Dev::start(&[]);
    let config = word_after(&dev.banner, "  config ");
    let check = || {
        let output = Command::new(env!("CARGO_BIN_EXE_crossfade")).args(["check", "--deny-warnings", &config]).output();
        let output = output.unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    };
    check();
    let text = std::fs::read_to_string(&config).unwrap();
    let commands = commands(&dev.banner);
    let customers = command_with(&commands, "customer_id");
    let mut before = Vec::new();
    // As the README says.
    for (weight, expected) in [(0, 0), (5, 2), (10, 3), (20, 4)] {
        let changed = text.replace("modern, weight: 0 ", &format!("modern, weight: {weight} "));
        assert!(weight == 0 || changed != text);
        if weight > 0 {
            std::fs::write(&config, changed).unwrap();
            dev.told("has changed: the next request uses it");
            check();
        }
        let told = succeeds(customers);
        let moved: Vec<_> = told.lines().filter(|line| line.contains("modern")).map(str::to_owned).collect();
        assert_eq!((told.lines().count(), moved.len()), (20, expected), "{weight}: {told}");
        assert!(before.iter().all(|customer| moved.contains(customer)), "{before:?} {moved:?}");
        before = moved;
    }
    assert!(dev.stop("-INT").success());
}
