//! `cargo xtask ci`: every check that a change has to pass, in one list.
//!
//! Owns the list, its order (cheap ones first) and the summary at the end. All steps run even if one fails, so that one run
//! reports everything.

use std::ffi::OsStr;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Instant;

use anyhow::{Context, Result};

use crate::not_run;
use crate::package::{build_command, cargo, target};

/// A cargo command and what it is called in the summary.
const STEPS: [(&str, &[&str]); 5] = [
    ("format", &["fmt", "--all", "--check"]),
    ("lints", &["clippy", "--workspace", "--all-targets", "--locked", "--", "-D", "warnings"]),
    ("docs", &["doc", "--workspace", "--no-deps", "--document-private-items", "--locked"]),
    ("tests", &["test", "--workspace", "--locked", "--no-fail-fast"]),
    ("package", &["xtask", "package"]),
];

/// The workspaces whose lock files are checked: ours, those of the fuzz targets and of the bench's anchors, that of a
/// function of other people.
const MANIFESTS: [&str; 4] =
    ["Cargo.toml", "fuzz/Cargo.toml", "bench/anchors/Cargo.toml", "crates/cli/tests/functions/rust/Cargo.toml"];

/// The variable with the reason why CI may pass without the advisory database. Without it, an unreachable database is a
/// failure.
const REASON: &str = "CI_WITHOUT_ADVISORIES";

/// The result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Verdict {
    Ok,
    Failed,
    NotChecked,
}

/// Runs all steps and prints their results. Returns `false` if a step failed, or could not run without an accepted reason.
pub(crate) fn run() -> Result<bool> {
    let start = Instant::now();
    let mut results = Vec::new();
    // Most of it is a single thread, so it runs beside the first steps. If it fails, `package` repeats it and shows why.
    let mut ahead = build_command().stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("cannot run cargo")?;
    for (name, arguments) in STEPS {
        if name == "tests" {
            ahead.wait().context("cannot wait for cargo")?;
        }
        results.push(step(name, cargo().args(arguments))?);
        // Before what takes long.
        if name == "docs" {
            for manifest in MANIFESTS {
                let arguments = deny(manifest, &["bans", "licenses", "sources"]);
                results.push(step(&format!("deny {manifest}"), cargo().args(arguments))?);
            }
        }
    }
    // The tests have built it. `cargo run` would compile half of its crates again, with fewer features.
    results.push(step("budget", Command::new(target()?.join("debug/crossfade-bench")).arg("budget"))?);
    for manifest in MANIFESTS {
        results.push(advisories(manifest)?);
    }
    println!();
    for (name, verdict, seconds) in &results {
        let verdict = match verdict {
            Verdict::Ok => "ok",
            Verdict::Failed => "FAILED",
            Verdict::NotChecked => "NOT CHECKED",
        };
        println!("{name:<50}{verdict:<12}{seconds:>6.1} s");
    }
    let left_out = not_run::by_reason(&target()?.join("debug"));
    print!("\n{}", not_run::summary(&left_out));
    let verdicts: Vec<Verdict> = results.iter().map(|(_, verdict, _)| *verdict).collect();
    let reason = std::env::var(REASON).unwrap_or_default();
    let (passes, text) = conclusion(&verdicts, reason.trim(), left_out.values().map(Vec::len).sum());
    println!("\n{text} ({} s)", start.elapsed().as_secs());
    Ok(passes)
}

type StepResult = (String, Verdict, f64);

fn step(name: &str, command: &mut Command) -> Result<StepResult> {
    let arguments: Vec<_> = command.get_args().map(OsStr::to_string_lossy).collect();
    let program = Path::new(command.get_program()).file_name().unwrap_or_default().to_string_lossy().into_owned();
    eprintln!("\n== {name}: {program} {}", arguments.join(" "));
    let start = Instant::now();
    // The only way to say it to rustdoc; the other steps do not look at it.
    let verdict = match command.env("RUSTDOCFLAGS", "-D warnings").status() {
        Ok(status) if status.success() => Verdict::Ok,
        Ok(_) => Verdict::Failed,
        Err(error) => {
            eprintln!("error: cannot run `{program}`: {error}");
            Verdict::Failed
        }
    };
    Ok((name.to_owned(), verdict, start.elapsed().as_secs_f64()))
}

/// By one configuration for all; what only one of the workspaces needs of it is no finding.
fn deny<'a>(manifest: &'a str, checks: &[&'a str]) -> Vec<&'a str> {
    let quiet = ["-A", "unmatched-skip", "-A", "unnecessary-skip", "-A", "license-not-encountered"];
    let quiet = [&quiet[..], &["-A", "license-exception-not-encountered"]].concat();
    let begin = ["deny", "--manifest-path", manifest, "--config", "deny.toml", "--locked", "check"];
    [&begin[..], &quiet, checks].concat()
}

/// Known faults of our dependencies. Their list is a repository on GitHub; where that is out of reach, only the
/// versions that `deny.toml` names are known to be bad.
fn advisories(manifest: &str) -> Result<StepResult> {
    let name = format!("advisories {manifest}");
    let arguments = deny(manifest, &["advisories"]);
    eprintln!("\n== {name}: cargo {}", arguments.join(" "));
    let start = Instant::now();
    let output = cargo().args(arguments).output().context("cannot run cargo")?;
    let told = String::from_utf8_lossy(&output.stderr);
    eprint!("{told}");
    let verdict = match output.status.success() {
        true => Verdict::Ok,
        false if told.contains("failed to fetch advisory database") => Verdict::NotChecked,
        false => Verdict::Failed,
    };
    Ok((name, verdict, start.elapsed().as_secs_f64()))
}

/// Returns `true` if CI passes, and the last line of its output. `left_out` tests did not run.
fn conclusion(verdicts: &[Verdict], reason: &str, left_out: usize) -> (bool, String) {
    if verdicts.contains(&Verdict::Failed) {
        return (false, "checks FAILED".to_owned());
    }
    match (verdicts.contains(&Verdict::NotChecked), reason) {
        (false, _) if left_out == 0 => (true, "all checks passed".to_owned()),
        (false, _) => (true, format!("all OTHER checks passed; {left_out} tests were NOT RUN")),
        (true, "") => {
            let hint = "reach GitHub, or say in `CI_WITHOUT_ADVISORIES` why they need not be";
            (false, format!("checks FAILED: advisories were NOT CHECKED; hint: {hint}"))
        }
        (true, reason) => {
            let tests = if left_out == 0 { String::new() } else { format!("{left_out} tests were NOT RUN; ") };
            (true, format!("all OTHER checks passed; {tests}advisories were NOT CHECKED: {reason}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::{Path, PathBuf};

    use super::*;

    #[test]
    fn what_was_not_checked_is_not_said_to_have_passed() {
        use Verdict::{Failed, NotChecked, Ok};
        for (verdicts, reason, left_out, passes, says) in [
            (&[Ok, Ok][..], "", 0, true, "all checks passed"),
            (&[Ok, Ok], "no network", 0, true, "all checks passed"),
            (&[Ok, Ok], "", 3, true, "3 tests were NOT RUN"),
            (&[Ok, Failed], "no network", 0, false, "checks FAILED"),
            (&[NotChecked, Failed], "no network", 0, false, "checks FAILED"),
            (&[Ok, NotChecked], "", 0, false, "advisories were NOT CHECKED"),
            (&[Ok, NotChecked], "no network", 0, true, "advisories were NOT CHECKED: no network"),
            (&[Ok, NotChecked], "no network", 3, true, "3 tests were NOT RUN; advisories were NOT CHECKED"),
        ] {
            let (found, text) = conclusion(verdicts, reason, left_out);
            assert!(found == passes && text.contains(says), "{verdicts:?} {reason}: {found} {text}");
            let is_all = left_out == 0 && verdicts.iter().all(|verdict| *verdict == Ok);
            assert_eq!(text == "all checks passed", is_all, "{text}");
        }
    }

    #[test]
    fn every_lock_file_is_checked() {
        fn locks(folder: &Path, found: &mut Vec<PathBuf>) {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
                if path.is_dir() && !path.is_symlink() && !["target", "node_modules", ".git"].contains(&name) {
                    locks(&path, found);
                } else if name == "Cargo.lock" {
                    found.push(path);
                }
            }
        }
        let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
        let mut found = Vec::new();
        locks(root, &mut found);
        let mut checked: Vec<PathBuf> =
            MANIFESTS.iter().map(|manifest| root.join(manifest).with_file_name("Cargo.lock")).collect();
        found.sort();
        checked.sort();
        assert_eq!(found, checked);
    }
}
