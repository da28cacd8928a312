//! The examples in the documentation are configurations: without mistakes, without doubts, and with tests that pass.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

use std::fs;
use std::path::Path;
use std::process::Command;

/// The YAML blocks of a page that are whole files.
fn examples(page: &str) -> Vec<String> {
    let text = fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(page)).unwrap();
    let blocks = text.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```"));
    blocks.map(|(block, _)| block.to_owned()).filter(|block| block.lines().any(|line| line == "version: 1")).collect()
}

#[test]
fn every_complete_example_is_right() {
    for page in ["README.md", "docs/configuration.md", "docs/back-ends.md"] {
        let examples = examples(page);
        assert!(!examples.is_empty(), "{page}");
        for example in examples {
            let folder = tempfile::tempdir().unwrap();
            fs::write(folder.path().join("crossfade.yaml"), &example).unwrap();
            for arguments in [&["check", "--deny-warnings"][..], &["test"]] {
                let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
                    .args(arguments)
                    .current_dir(folder.path())
                    .output()
                    .unwrap();
                let told =
                    String::from_utf8_lossy(&output.stdout).into_owned() + &String::from_utf8_lossy(&output.stderr);
                assert!(output.status.success(), "{page}\n{example}\n{told}");
            }
        }
    }
}
