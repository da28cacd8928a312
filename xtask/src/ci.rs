//! `cargo xtask ci`: every check that a change has to pass, in one list.
//!
//! Owns the list and its order (cheap ones first). All steps run even when one fails: one round tells everything.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::package::cargo;

/// A cargo command and what it is called in the summary.
const STEPS: [(&str, &[&str]); 7] = [
    ("format", &["fmt", "--all", "--check"]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
    ("docs", &["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"]),
    // Needs no network but for crates that are not there yet.
    ("deny", &["deny", "--locked", "check", "bans", "licenses", "sources"]),
    ("tests", &["test", "--workspace", "--locked", "--no-fail-fast"]),
    ("package", &["xtask", "package"]),
    ("budget", &["run", "--quiet", "--locked", "--package", "crossfade-bench", "--", "budget"]),
];

/// Runs all steps; `false` when one of them found something.
pub(crate) fn run() -> Result<bool> {
    let mut summary = Vec::new();
    let mut clean = true;
    for (name, arguments) in STEPS {
        eprintln!("\n== {name}: cargo {}", arguments.join(" "));
        let start = Instant::now();
        // The only way to say it to rustdoc; the other steps do not look at it.
        let status = cargo().args(arguments).env("RUSTDOCFLAGS", "-D warnings").status().context("cannot run cargo")?;
        clean &= status.success();
        let verdict = if status.success() { "ok" } else { "FAILED" };
        summary.push(line(name, verdict, start));
    }
    clean &= advisories(&mut summary)?;
    println!("\n{}", summary.join("\n"));
    Ok(clean)
}

/// Known faults of our dependencies. Their list is a repository on GitHub; where that is out of reach, nothing is known, and
/// the summary says so.
fn advisories(summary: &mut Vec<String>) -> Result<bool> {
    eprintln!("\n== advisories: cargo deny check advisories");
    let start = Instant::now();
    let output = cargo().args(["deny", "--locked", "check", "advisories"]).output().context("cannot run cargo")?;
    let told = String::from_utf8_lossy(&output.stderr);
    eprint!("{told}");
    let is_out_of_reach = !output.status.success() && told.contains("failed to fetch advisory database");
    let verdict = match output.status.success() {
        true => "ok",
        false if is_out_of_reach => "NOT CHECKED",
        false => "FAILED",
    };
    summary.push(line("advisories", verdict, start));
    Ok(output.status.success() || is_out_of_reach)
}

fn line(name: &str, verdict: &str, start: Instant) -> String {
    format!("{name:<12}{verdict:<12}{:>6.1} s", start.elapsed().as_secs_f64())
}
