//! Every input of the committed corpora through the target that it is for: what fuzzing
//! found once stays found, on any toolchain.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::path::{Path, PathBuf};

use crossfade_fuzz_targets::TARGETS;

fn inputs(folder: &Path) -> Vec<PathBuf> {
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files
}

#[test] // T7, T16, T23
fn no_input_of_a_corpus_breaks_its_target() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    for (name, target) in TARGETS {
        let files = inputs(&corpora.join(name));
        assert!(files.len() >= 10, "{name} has {} inputs", files.len());
        for file in files {
            // The name of the input that breaks it is all that a panic does not say.
            eprintln!("{}", file.display());
            target(&fs::read(&file).unwrap());
        }
    }
    assert_eq!(inputs(&corpora).len(), TARGETS.len(), "a corpus without a target");
}
