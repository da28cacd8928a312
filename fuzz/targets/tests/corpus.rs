//! Every input of the committed corpora through the target that it is for: what fuzzing
//! found once stays found, on any toolchain.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::io::Read;
use std::path::Path;

use crossfade_fuzz_targets::TARGETS;
use flate2::read::GzDecoder;

/// The inputs of a target with their names: those that have a file each, and those in its archive.
fn inputs(corpora: &Path, target: &str) -> Vec<(String, Vec<u8>)> {
    let mut inputs = Vec::new();
    if let Ok(folder) = fs::read_dir(corpora.join(target)) {
        for entry in folder {
            let path = entry.unwrap().path();
            inputs.push((path.display().to_string(), fs::read(&path).unwrap()));
        }
    }
    let archive = fs::File::open(corpora.join(format!("{target}.tar.gz"))).unwrap();
    for entry in tar::Archive::new(GzDecoder::new(archive)).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = format!("{target}.tar.gz: {}", entry.path().unwrap().display());
        let mut input = Vec::new();
        entry.read_to_end(&mut input).unwrap();
        inputs.push((name, input));
    }
    inputs
}

#[test]
fn no_input_of_a_corpus_breaks_its_target() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    let mut archives = 0;
    for (name, target) in TARGETS {
        let inputs = inputs(&corpora, name);
        assert!(inputs.len() >= 200, "{name} has {} inputs", inputs.len());
        for (name, input) in inputs {
            // The name of the input that breaks it is all that a panic does not say.
            eprintln!("{name}");
            target(&input);
        }
        archives += 1;
    }
    let here = fs::read_dir(&corpora).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert_eq!(here.filter(|name| name.ends_with(".tar.gz")).count(), archives, "a corpus without a target");
}
