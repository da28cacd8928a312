//! Habits of the tree that no compiler checks: how files open, how long they are, what lock files hold,
//! and that nothing in them is known to be faulty.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

use std::fs;
use std::path::{Path, PathBuf};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
/// Made by tools, not by us.
const NOT_OURS: [&str; 4] = ["target", "node_modules", ".git", ".serverless"];
/// The most lines of a file, not counting tests.
const MOST_LINES: usize = 800;

fn files(wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    files_below(Path::new(ROOT), wanted)
}

fn files_below(root: &Path, wanted: impl Fn(&Path) -> bool) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            if path.is_symlink() || NOT_OURS.contains(&name) {
                continue;
            } else if path.is_dir() {
                folders.push(path);
            } else if wanted(&path) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn has_extension_rs(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

fn rust_files() -> Vec<PathBuf> {
    let found = files(has_extension_rs);
    assert!(found.len() > 20, "only {} Rust files found: this test looks in the wrong place", found.len());
    found
}

#[test]
fn every_rust_file_opens_by_saying_what_it_owns() {
    let silent: Vec<_> =
        rust_files().into_iter().filter(|file| !fs::read_to_string(file).unwrap().starts_with("//! ")).collect();
    assert!(silent.is_empty(), "without `//!` in the first line: {silent:#?}");
}

/// Crates whose doc comments have been rewritten as contracts. Add a crate here when its comments are.
const CONTRACTS: [&str; 7] = ["compare", "document", "emulator", "parity", "route", "rule", "testkit"];

/// A doc comment states what an item returns or guarantees. One that opens with a question word is a title.
#[test]
fn doc_comments_are_contracts() {
    const QUESTIONS: [&str; 6] = ["What", "Whether", "How", "Why", "Where", "Which"];
    let crates = Path::new(ROOT).join("crates");
    let mut titles = Vec::new();
    for file in CONTRACTS.iter().flat_map(|name| files_below(&crates.join(name), has_extension_rs)) {
        let text = fs::read_to_string(&file).unwrap();
        let mut is_inside = false;
        for (index, line) in text.lines().map(str::trim_start).enumerate() {
            let comment = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
            let first_word = comment.and_then(|comment| comment.split_whitespace().next()).unwrap_or_default();
            if !is_inside && QUESTIONS.contains(&first_word) {
                titles.push(format!("{}:{}: {line}", file.display(), index + 1));
            }
            is_inside = comment.is_some();
        }
    }
    assert!(titles.is_empty(), "doc comments that open with a question word: {titles:#?}");
}

#[test]
fn no_file_is_longer_than_a_reader_can_bear() {
    let long: Vec<_> = rust_files()
        .into_iter()
        .filter(|file| !file.components().any(|part| part.as_os_str() == "tests"))
        .filter_map(|file| {
            let text = fs::read_to_string(&file).unwrap();
            let lines = text.lines().take_while(|line| line.trim() != "#[cfg(test)]").count();
            (lines > MOST_LINES).then_some((file, lines))
        })
        .collect();
    assert!(long.is_empty(), "more than {MOST_LINES} lines: {long:#?}");
}

/// Crates whose test files are modules of one binary, `tests/it.rs`, list them there: cargo finds no file by itself, and a
/// file that nobody lists is never compiled.
#[test]
fn every_test_file_is_compiled() {
    let manifests = files_below(&Path::new(ROOT).join("crates"), |path| path.ends_with("Cargo.toml"));
    let (mut merged, mut left_out) = (0, Vec::new());
    for manifest in manifests {
        let text = fs::read_to_string(&manifest).unwrap();
        if !text.contains("\nautotests = false\n") {
            continue;
        }
        let folder = manifest.with_file_name("tests");
        let root = fs::read_to_string(folder.join("it.rs")).unwrap();
        for entry in fs::read_dir(&folder).unwrap() {
            let file = entry.unwrap().path();
            let name = file.file_stem().unwrap().to_str().unwrap();
            let is_listed = root.lines().any(|line| line == format!("mod {name};"))
                || text.lines().any(|line| line == format!("path = \"tests/{name}.rs\""));
            if has_extension_rs(&file) && !is_listed {
                left_out.push(file);
            }
        }
        merged += 1;
    }
    assert!(merged > 0, "no crate with `autotests = false`: this test looks in the wrong place");
    assert!(left_out.is_empty(), "neither a module of `it.rs` nor a `[[test]]` of its crate: {left_out:#?}");
}

/// The templates of pages escape every value. HTML that is not escaped has one place, where its few lines can be checked.
#[test]
fn html_is_written_by_templates_that_escape() {
    const UNESCAPED: [&str; 5] = ["PreEscaped", "Escaper", "Render for", "</", "\"<!"];
    let source = Path::new(ROOT).join("crates/cli/src");
    let exempt = [source.join("html.rs"), source.join("inspector/tests.rs")];
    let (mut templates, mut wrong) = (0, Vec::new());
    for file in rust_files().into_iter().filter(|file| file.starts_with(&source) && !exempt.contains(file)) {
        let text = fs::read_to_string(&file).unwrap();
        let has_templates = text.contains("maud");
        templates += usize::from(has_templates);
        for (index, line) in text.lines().enumerate().take_while(|(_, line)| line.trim() != "#[cfg(test)]") {
            let is_unescaped = UNESCAPED.iter().any(|pattern| line.contains(pattern));
            let is_rendered = has_templates && line.contains(".into_string()");
            if (is_unescaped || is_rendered) && !line.trim_start().starts_with("//") {
                wrong.push(format!("{}:{}: {}", file.display(), index + 1, line.trim()));
            }
        }
    }
    assert!(templates >= 8, "only {templates} files with templates: this test looks in the wrong place");
    assert!(wrong.is_empty(), "HTML that no template escapes; only `cli/src/html.rs` may have some: {wrong:#?}");
}

/// A lock file must install the same from anywhere, so it names versions and checksums and no machine.
#[test]
fn lock_files_name_no_registry_but_the_public_index() {
    let locks = files(|path| path.file_name().is_some_and(|name| name == "Cargo.lock" || name == "package-lock.json"));
    assert!(locks.len() >= 2, "{locks:?}: this test looks in the wrong place");
    for lock in locks {
        for (index, line) in fs::read_to_string(&lock).unwrap().lines().enumerate() {
            let line = line.trim();
            let source = line.strip_prefix("source = ");
            let foreign =
                source.is_some_and(|from| from != "\"registry+https://github.com/rust-lang/crates.io-index\"");
            assert!(!foreign && !line.starts_with("\"resolved\":"), "{}:{}: {line}", lock.display(), index + 1);
        }
    }
}

/// `deny.toml` names versions with known faults. CI asks `cargo deny` about them; this needs no tool and no network,
/// and finds lines that would match nothing.
#[test]
fn no_lock_file_has_a_version_with_a_known_fault() {
    let version = |text: &str| -> Vec<u64> {
        let numbers = text.split(['-', '+']).next().unwrap().split('.');
        numbers.map(|number| number.parse().unwrap_or_else(|_| panic!("{text}"))).collect()
    };
    let deny = fs::read_to_string(Path::new(ROOT).join("deny.toml")).unwrap();
    let faulty: Vec<(&str, bool, Vec<u64>)> = deny
        .lines()
        .filter(|line| line.contains("RUSTSEC-") && !line.trim_start().starts_with('#'))
        .map(|line| {
            let (_, rest) = line.split_once("{ crate = \"").unwrap_or_else(|| panic!("{line}"));
            let (name, range) =
                rest.split('"').next().unwrap().split_once(':').unwrap_or_else(|| panic!("no range: {line}"));
            let is_below = range.starts_with('<');
            (name, is_below, version(range.strip_prefix(['<', '=']).unwrap_or_else(|| panic!("{line}"))))
        })
        .collect();
    assert!(faulty.len() > 10, "{faulty:?}: this test looks in the wrong place");
    let mut used = std::collections::BTreeSet::new();
    for lock in files(|path| path.file_name().is_some_and(|name| name == "Cargo.lock")) {
        let text = fs::read_to_string(&lock).unwrap();
        for package in text.split("[[package]]").skip(1) {
            let field = |name: &str| {
                let line = package.lines().find_map(|line| line.strip_prefix(&format!("{name} = \"")));
                line.unwrap().trim_end_matches('"').to_owned()
            };
            let (name, found) = (field("name"), version(&field("version")));
            for (_, is_below, bound) in faulty.iter().filter(|(faulty, ..)| *faulty == name) {
                used.insert(name.clone());
                let is_faulty = if *is_below { found < *bound } else { found == *bound };
                assert!(!is_faulty, "{}: {name} {found:?} has a known fault", lock.display());
            }
        }
    }
    let unused: Vec<_> = faulty.iter().filter(|(name, ..)| !used.contains(*name)).collect();
    assert!(unused.is_empty(), "in no lock file: {unused:?}");
}
