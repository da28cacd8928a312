//! The examples in the documentation: configurations are free of errors and warnings and their tests pass, and the output that
//! the README shows is the output of the command above it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

fn read(page: &str) -> String {
    fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page)).unwrap()
}

/// The blocks of a page in this language.
fn blocks(page: &str, language: &str) -> Vec<String> {
    let (text, fence) = (read(page), format!("```{language}\n"));
    let blocks = text.split(&fence).skip(1).filter_map(|rest| rest.split_once("```"));
    blocks.map(|(block, _)| block.to_owned()).collect()
}

/// The YAML blocks of a page that are whole files.
fn examples(page: &str) -> Vec<String> {
    let blocks = blocks(page, "yaml").into_iter();
    blocks.filter(|block| block.lines().any(|line| line == "version: 1")).collect()
}

fn crossfade(folder: &Path, arguments: &[impl AsRef<str>]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.args(arguments.iter().map(AsRef::as_ref)).current_dir(folder).output().unwrap()
}

#[test]
fn every_complete_example_is_right() {
    for page in ["README.md", "docs/configuration.md", "docs/back-ends.md"] {
        let examples = examples(page);
        assert!(!examples.is_empty(), "{page}");
        for example in examples {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("crossfade.yaml"), &example).unwrap();
            let has_tests = example.lines().any(|line| line.starts_with("tests:"));
            let commands = [(true, &["check", "--deny-warnings"][..]), (has_tests, &["test"])];
            for (_, arguments) in commands.into_iter().filter(|(is_run, _)| *is_run) {
                let output = crossfade(folder.path(), arguments);
                let told =
                    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{page}\n{example}\n{told}");
            }
        }
    }
}

/// With the `crossfade.yaml` that the README shows, and the log of which its report and the screenshot of the page are made.
#[test]
fn the_readme_shows_the_output_of_its_commands() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("crossfade.yaml"), examples("README.md").first().unwrap()).unwrap();
    let log = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/docs/comparisons.log.gz");
    fs::copy(log, folder.path().join("comparisons.log.gz")).unwrap();

    let mut shown = 0;
    for block in blocks("README.md", "console") {
        let (command, expected) = block.split_once('\n').unwrap();
        // The others only list commands to type.
        if expected.trim().is_empty() || expected.lines().any(|line| line.starts_with("$ ")) {
            continue;
        }
        let Some(line) = command.strip_prefix("$ crossfade ") else { continue };
        let output = crossfade(folder.path(), &shell_words::split(line).unwrap());
        let found = String::from_utf8(output.stdout).unwrap();
        assert!(has_all(&found, expected), "README.md: `{command}` prints\n{found}");
        shown += 1;
    }
    assert_eq!(shown, 2, "`explain` and `report`");
}

/// Returns true if `found` is `expected`, in which a line `…` matches any number of lines.
fn has_all(found: &str, expected: &str) -> bool {
    let lines: Vec<&str> = found.lines().collect();
    let expected: Vec<&str> = expected.lines().collect();
    let pieces: Vec<&[&str]> = expected.split(|line| line.trim() == "…").collect();
    let mut at = 0;
    for (index, piece) in pieces.iter().enumerate() {
        let rest = &lines[at..];
        let starts = match (index, piece.len()) {
            (_, length) if length > rest.len() => return false,
            (0, _) => 0..1,
            _ => 0..rest.len() - piece.len() + 1,
        };
        match starts.clone().find(|start| rest[*start..].starts_with(piece)) {
            Some(start) => at += start + piece.len(),
            None => return false,
        }
    }
    // After a last `…` more may come.
    at == lines.len() || pieces.last().is_some_and(|last| last.is_empty())
}

#[test]
fn an_ellipsis_stands_for_lines_and_nothing_else_does() {
    let found = "a\nb\nc\nd\n";
    for expected in ["a\nb\nc\nd\n", "a\n…\nd\n", "a\nb\n…\n", "…\nc\nd\n", "a\n  …\nc\n…\n"] {
        assert!(has_all(found, expected), "{expected}");
    }
    for expected in ["a\nb\nc\n", "b\n…\n", "a\n…\nc\n", "a\nc\n…\n", "a\n…\nd\nd\n"] {
        assert!(!has_all(found, expected), "{expected}");
    }
}
