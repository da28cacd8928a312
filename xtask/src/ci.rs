//! `cargo xtask ci`: every check that a change has to pass, in one list.
//!
//! Owns the list and its order (cheap ones first). All steps run even when one fails: one round tells everything.

use std::time::Instant;

use anyhow::{Context, Result};

use crate::package::cargo;

/// A cargo command and what it is called in the summary.
const STEPS: [(&str, &[&str]); 6] = [
    ("format", &["fmt", "--all", "--check"]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
    ("docs", &["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"]),
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
        summary.push(format!("{name:<8}{verdict:<8}{:>6.1} s", start.elapsed().as_secs_f64()));
    }
    println!("\n{}", summary.join("\n"));
    Ok(clean)
}
