//! `docs/local-alb.md`, `docs/local-fronts.md` and `docs/local-functions.md` name a test for each behaviour: these exist.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

/// The crates whose tests may be named, and the folders of cases.
const CRATES: [&str; 4] = ["crates/emulator", "crates/rule", "crates/cli", "crates/event"];
const CASES: [&str; 4] = [
    "crates/emulator/tests/golden",
    "crates/emulator/tests/exchanges",
    "crates/emulator/tests/fronts",
    "crates/emulator/tests/source",
];
/// The pages, and the rows that each has at least.
const PAGES: [(&str, usize); 3] =
    [("docs/local-alb.md", 40), ("docs/local-fronts.md", 40), ("docs/local-functions.md", 10)];

/// `file::test` of all tests below a folder.
fn tests(folder: &Path, found: &mut BTreeSet<String>) {
    for entry in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
        if entry.is_dir() {
            tests(&entry, found);
        } else if entry.extension().is_some_and(|extension| extension == "rs") {
            let file = entry.file_stem().unwrap().to_str().unwrap().to_owned();
            let text = fs::read_to_string(&entry).unwrap();
            let lines = text.lines().map(str::trim_start);
            let functions = lines.filter_map(|line| {
                line.strip_prefix("async fn ")
                    .or(line.strip_prefix("fn "))
                    .or(line.strip_prefix("pub fn "))
                    .or(line.strip_prefix("pub(crate) fn "))
            });
            found.extend(functions.map(|name| format!("{file}::{}", name.split(['(', '<']).next().unwrap())));
        }
    }
}

#[test]
fn every_behaviour_names_a_test_that_exists() {
    let root = Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/.."));
    let mut known = BTreeSet::new();
    for name in CRATES {
        tests(&root.join(name).join("src"), &mut known);
        tests(&root.join(name).join("tests"), &mut known);
    }
    let cases: BTreeSet<String> = CASES
        .iter()
        .filter_map(|folder| fs::read_dir(root.join(folder)).ok())
        .flatten()
        .map(|entry| entry.unwrap().path().file_stem().unwrap().to_str().unwrap().to_owned())
        .collect();

    for (page, least) in PAGES {
        let text = fs::read_to_string(root.join(page)).unwrap();
        check(page, &text, least, &known, &cases);
    }
}

fn check(page: &str, text: &str, least: usize, known: &BTreeSet<String>, cases: &BTreeSet<String>) {
    let (mut rows, mut wrong) = (0, Vec::new());
    for line in text.lines().filter(|line| line.starts_with("| ") && !line.starts_with("| ---")) {
        let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
        let [behaviour, here, tests] = cells.as_slice() else {
            // A table of another shape.
            continue;
        };
        if *behaviour == "behaviour" {
            continue;
        }
        rows += 1;
        let says = ["as AWS", "as the framework", "differs:", "not emulated", "open"]
            .iter()
            .any(|word| here.starts_with(word));
        if !says {
            wrong.push(format!("`{behaviour}`: `{here}` is neither as AWS, nor different, nor left out, nor open"));
        }
        let named: Vec<&str> = tests.split(", ").map(str::trim).filter(|name| !name.is_empty()).collect();
        if named.is_empty() && !here.starts_with("not emulated") {
            wrong.push(format!("`{behaviour}` has no test"));
        }
        for name in named {
            let exists = match name.strip_prefix('"') {
                Some(case) => cases.contains(case.trim_end_matches('"')),
                None => known.contains(name.trim_matches('`')),
            };
            if !exists {
                wrong.push(format!("`{behaviour}`: there is no {name}"));
            }
        }
    }
    assert!(rows > least, "{page}: only {rows} rows were read");
    assert!(wrong.is_empty(), "{page}\n{}", wrong.join("\n"));
}
