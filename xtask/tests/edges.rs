//! The allowed dependencies between our crates, and the crates that must stay out of the pure ones and of the deployed binary.
//!
//! Cargo refuses what a manifest does not declare; these tests refuse declaring it. Only normal dependencies count: a test
//! may use anything.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

/// All that is allowed. A new edge is a decision: change it here and in ARCHITECTURE.md.
const EDGES: [(&str, &[&str]); 16] = [
    ("crossfade-document", &[]),
    ("crossfade-event", &[]),
    ("crossfade-journal", &[]),
    ("crossfade-rule", &[]),
    ("crossfade-compare", &["crossfade-journal"]),
    ("crossfade-parity", &["crossfade-journal"]),
    ("crossfade-route", &["crossfade-compare", "crossfade-document", "crossfade-journal", "crossfade-rule"]),
    ("crossfade-migration", &["crossfade-journal", "crossfade-parity", "crossfade-route"]),
    ("crossfade-live", &["crossfade-journal", "crossfade-migration", "crossfade-route"]),
    ("crossfade-proxy", &["crossfade-compare", "crossfade-event", "crossfade-journal", "crossfade-route"]),
    (
        "crossfade-function",
        &["crossfade-event", "crossfade-journal", "crossfade-live", "crossfade-proxy", "crossfade-route"],
    ),
    ("crossfade-emulator", &["crossfade-document", "crossfade-event", "crossfade-rule"]),
    // It checks the configuration that it packages.
    ("crossfade-package", &["crossfade-document", "crossfade-proxy", "crossfade-route"]),
    (
        "crossfade",
        &[
            "crossfade-compare",
            "crossfade-document",
            "crossfade-emulator",
            "crossfade-event",
            "crossfade-function",
            "crossfade-journal",
            "crossfade-migration",
            "crossfade-package",
            "crossfade-parity",
            "crossfade-proxy",
            "crossfade-route",
            "crossfade-rule",
        ],
    ),
    // What is under test must not check itself.
    ("crossfade-testkit", &[]),
    ("xtask", &["crossfade-package"]),
];

/// Crates that need no runtime, no socket, no clock and no command line must be unable to have one.
const PURE: [&str; 8] = [
    "crossfade-compare",
    "crossfade-document",
    "crossfade-event",
    "crossfade-journal",
    "crossfade-migration",
    "crossfade-parity",
    "crossfade-rule",
    "crossfade-route",
];
const NOT_PURE: [&str; 7] = ["clap", "tokio", "mio", "hyper", "hyper-util", "rustls", "ring"];

/// Weight or cold start that the deployed binary must not have.
const NOT_DEPLOYED: [&str; 12] = [
    "anyhow",
    "aws-lc-rs",
    "aws-lc-sys",
    "clap",
    "crossfade-emulator",
    "crossfade-testkit",
    "maud",
    "native-tls",
    "openssl",
    "rcgen",
    "tracing-subscriber",
    "url", // changes the bytes of what it parses
];

fn cargo(arguments: &[&str]) -> String {
    let output = Command::new(env!("CARGO"))
        .args(arguments)
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "cargo {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("cargo writes UTF-8")
}

/// Names of all crates that a crate is built from, on this platform.
fn built_from(package: &str) -> BTreeSet<String> {
    cargo(&["tree", "--locked", "-p", package, "-e", "normal,build", "--prefix", "none", "-f", "{p}"])
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(String::from)
        .collect()
}

#[test]
fn our_crates_use_each_other_only_as_the_table_says() {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version=1", "--locked"]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let ours: BTreeSet<&str> = packages.iter().map(|package| package["name"].as_str().unwrap()).collect();
    let allowed = BTreeMap::from(EDGES);
    let mut wrong = Vec::new();
    for package in packages {
        let name = package["name"].as_str().unwrap();
        // They measure and fuzz the others, and nobody uses them: they may use any.
        if matches!(name, "crossfade-bench" | "crossfade-fuzz-targets") {
            continue;
        }
        let Some(allowed) = allowed.get(name) else {
            wrong.push(format!("`{name}` is not in the table"));
            continue;
        };
        for dependency in package["dependencies"].as_array().unwrap() {
            let uses = dependency["name"].as_str().unwrap();
            if dependency["kind"].is_null() && ours.contains(uses) && !allowed.contains(&uses) {
                wrong.push(format!("`{name}` may not use `{uses}`"));
            }
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// Only the benchmark, which nobody uses, builds with it.
#[test]
fn testkit_is_a_dev_dependency() {
    let metadata = cargo(&["metadata", "--no-deps", "--format-version=1", "--locked"]);
    let metadata: serde_json::Value = serde_json::from_str(&metadata).unwrap();
    let (mut tested, mut wrong) = (0, Vec::new());
    for package in metadata["packages"].as_array().unwrap() {
        let uses = package["dependencies"].as_array().unwrap().iter();
        for dependency in uses.filter(|dependency| dependency["name"] == "crossfade-testkit") {
            match (package["name"].as_str().unwrap(), dependency["kind"].as_str()) {
                (_, Some("dev")) => tested += 1,
                ("crossfade-bench", None) => {}
                (name, kind) => wrong.push(format!("`{name}`: {}", kind.unwrap_or("normal"))),
            }
        }
    }
    assert!(tested > 0, "no crate has it as a dev-dependency: this test reads `cargo metadata` wrongly");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn pure_crates_pull_in_no_runtime_and_no_network() {
    for package in PURE {
        let crates = built_from(package);
        assert!(crates.contains(package), "`cargo tree` names no `{package}`: this test reads it wrongly");
        let found: Vec<_> = NOT_PURE.iter().filter(|name| crates.contains(**name)).collect();
        assert!(found.is_empty(), "`{package}` is built from {found:?}");
    }
}

#[test]
fn the_deployed_binary_has_no_command_line_no_server_and_one_tls_stack() {
    let crates = built_from("crossfade-function");
    assert!(crates.contains("rustls"), "`cargo tree` names no `rustls`: this test reads it wrongly");
    let found: Vec<_> = NOT_DEPLOYED.iter().filter(|name| crates.contains(**name)).collect();
    assert!(found.is_empty(), "`crossfade-function` is built from {found:?}");

    // `hyper feature "server"` is how `cargo tree` writes an enabled feature.
    let tree = cargo(&["tree", "--locked", "-p", "crossfade-function", "-e", "normal,features", "--prefix", "none"]);
    assert!(tree.contains("hyper feature \"client\""), "`cargo tree` names no features: this test reads it wrongly");
    for line in tree.lines() {
        let server = line.starts_with("hyper") && line.contains("feature \"server");
        assert!(!server, "an HTTP server is compiled into the deployed binary: {line}");
    }
}
