//! Every committed input through the target that it is for: what fuzzing found once stays found, on any toolchain. The inputs
//! are the seeds with names, those in the archives, and the data of other crates' own tests.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a failed test")]

use std::fs;
use std::io::Read;
use std::path::Path;

use crossfade_fuzz_targets::TARGETS;
use flate2::read::GzDecoder;

/// A target, a folder of `crates` with inputs for it, or with folders of them, and how their names end.
const OWNED_BY_OTHERS: [(&str, &str, &[&str]); 5] = [
    ("config", "route/tests/config", &[".yaml"]),
    ("event", "event/tests/alb", &[".event.json"]),
    ("event", "event/tests/fronts", &[".event.json"]),
    ("reply", "event/tests/alb", &[".reply.json"]),
    ("source", "emulator/tests/source", &[".yml", ".json"]),
];

/// An input with its name.
type Input = (String, Vec<u8>);

/// The files of a folder, and of those in it, whose names end so.
fn files(folder: &Path, endings: &[&str]) -> Vec<Input> {
    let mut inputs = Vec::new();
    for entry in fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.display().to_string();
        if path.is_dir() {
            inputs.append(&mut files(&path, endings));
        } else if endings.iter().any(|ending| name.ends_with(ending)) {
            inputs.push((name, fs::read(&path).unwrap()));
        }
    }
    inputs
}

fn packed(archive: &Path) -> Vec<Input> {
    let mut inputs = Vec::new();
    let file = fs::File::open(archive).unwrap();
    for entry in tar::Archive::new(GzDecoder::new(file)).entries().unwrap() {
        let mut entry = entry.unwrap();
        let name = format!("{}: {}", archive.display(), entry.path().unwrap().display());
        let mut input = Vec::new();
        entry.read_to_end(&mut input).unwrap();
        inputs.push((name, input));
    }
    inputs
}

#[test]
fn no_committed_input_breaks_its_target() {
    let corpora = Path::new(env!("CARGO_MANIFEST_DIR")).join("../corpus");
    let crates = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../crates");
    for (name, target) in TARGETS {
        let mut inputs = files(&corpora.join(name), &[""]);
        assert!(inputs.len() >= 30, "{name} has {} seeds", inputs.len());
        let mut archive = packed(&corpora.join(format!("{name}.tar.gz")));
        assert!(archive.len() >= 200, "{name}.tar.gz has {} inputs", archive.len());
        inputs.append(&mut archive);
        for (_, folder, endings) in OWNED_BY_OTHERS.iter().filter(|(of, ..)| *of == name) {
            let mut owned = files(&crates.join(folder), endings);
            assert!(owned.len() >= 15, "{folder} has {} inputs for {name}", owned.len());
            inputs.append(&mut owned);
        }
        for (name, input) in inputs {
            // The name of the input that breaks it is all that a panic does not say.
            eprintln!("{name}");
            target(&input);
        }
    }
    let here = fs::read_dir(&corpora).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    let unknown: Vec<_> =
        here.filter(|file| TARGETS.iter().all(|(name, _)| file.split('.').next() != Some(name))).collect();
    assert!(unknown.is_empty(), "no target has {unknown:?}");
}
