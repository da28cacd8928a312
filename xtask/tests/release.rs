//! The files in `release/`: they are the same for the same programs, they name each other rightly, and the installer installs what
//! has the checksum of the release, and nothing else.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::{Command, ExitCode, Output};

use crossfade_testkit::folder::Folder;
use crossfade_testkit::server::{Action, Server, response};
use crossfade_testkit::tests;
use crossfade_testkit::tools::{self, Absent, BASH, CURL, Tool};

const ROOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/..");
const TARGETS: [&str; 5] = [
    "x86_64-unknown-linux-gnu",
    "aarch64-unknown-linux-gnu",
    "x86_64-apple-darwin",
    "aarch64-apple-darwin",
    "x86_64-pc-windows-msvc",
];
const ARCHITECTURES: [&str; 2] = ["x86_64", "arm64"];

/// Releases are made on Linux.
static ARCHIVERS: Tool = Tool::new(|| {
    let has = |program: &str| Command::new(program).arg("--version").output();
    match (has("tar"), has("zip")) {
        (Ok(tar), Ok(_)) if String::from_utf8_lossy(&tar.stdout).contains("GNU tar") => Ok(()),
        _ => Err(Absent::Missing("GNU tar or zip is missing: install tar and zip".to_owned())),
    }
});

fn main() -> ExitCode {
    tools::run(tests! {
        [] every_file_of_the_release_has_one_name;
        [BASH, ARCHIVERS] the_same_programs_give_the_same_files;
        [BASH, ARCHIVERS, CURL] the_installer_installs_what_has_the_checksum_of_the_release;
    })
}

fn read(name: &str) -> String {
    fs::read_to_string(Path::new(ROOT).join(name)).unwrap()
}

/// The words of a text that look like a target of Rust.
fn targets(text: &str) -> BTreeSet<&str> {
    let systems = ["-unknown-linux-gnu", "-apple-darwin", "-pc-windows-msvc"];
    let is_part = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    let words = text.split(|c| !is_part(c)).map(|word| word.strip_prefix("crossfade-").unwrap_or(word));
    words.filter(|word| systems.iter().any(|system| word.ends_with(system) && word.len() > system.len())).collect()
}

fn every_file_of_the_release_has_one_name() {
    let all = BTreeSet::from(TARGETS);
    let unix = all.iter().copied().filter(|target| !target.contains("windows")).collect();
    let [assemble, installer, formula, workflow] =
        ["release/assemble.sh", "release/install.sh", "release/crossfade.rb", ".github/workflows/release.yml"]
            .map(read);
    assert_eq!(targets(&assemble), all);
    assert_eq!(targets(&installer), unix);
    assert_eq!(targets(&formula), unix);
    assert_eq!(targets(&workflow), all);

    // The command looks for these names beside itself.
    let command = read("crates/cli/src/commands/package.rs");
    assert!(command.contains("format!(\"bootstrap-{wanted}\")"));
    for architecture in ARCHITECTURES {
        let program = format!("bootstrap-{architecture}");
        assert!(assemble.contains(&program) && formula.contains(&program), "{program}");
        assert!(workflow.contains(&format!("arch: {architecture}\n")), "{architecture}");
    }
    assert!(workflow.contains("built/crossfade-function-${{ matrix.arch }}.zip"));
    assert!(assemble.contains("/crossfade-function-{x86_64,arm64}.zip"));
    let manifest = read("crates/cli/Cargo.toml");
    assert!(manifest.contains("/releases/download/v{ version }/crossfade-{ target }{ archive-suffix }\""));
    assert!(manifest.contains("bin-dir = \"crossfade-{ target }/{ bin }{ binary-ext }\""));
}

/// Programs as the jobs of the workflow hand them over. The command says its version, as far as a script can.
fn built() -> Folder {
    let built = Folder::new();
    for target in TARGETS {
        fs::create_dir(built.join(target)).unwrap();
        let program = if target.contains("windows") { "crossfade.exe" } else { "crossfade" };
        built.write(Path::new(target).join(program), "#!/bin/sh\necho crossfade 9.8.7\n");
    }
    for architecture in ARCHITECTURES {
        built.write(format!("bootstrap-{architecture}"), format!("program for {architecture}"));
        built.write(format!("crossfade-function-{architecture}.zip"), "a package");
    }
    built.write("crossfade.cdx.json", "{}");
    built.write("bootstrap.cdx.json", "{}");
    built
}

fn assembled() -> Folder {
    let (built, out) = (built(), Folder::new());
    let mut command = Command::new("bash");
    command.arg(Path::new(ROOT).join("release/assemble.sh")).args(["9.8.7", "somebody/crossfade"]);
    let output = command.arg(built.path()).arg(out.path()).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    out
}

fn the_same_programs_give_the_same_files() {
    let (first, second) = (assembled(), assembled());
    let sums = first.read("SHA256SUMS");
    assert_eq!(sums, second.read("SHA256SUMS"));
    let mut names: Vec<_> = sums.lines().filter_map(|line| line.split_once("  ")).map(|(_, name)| name).collect();
    names.sort_unstable();
    let mut expected: Vec<String> = TARGETS
        .iter()
        .map(|target| format!("crossfade-{target}.{}", if target.contains("windows") { "zip" } else { "tar.gz" }))
        .chain(ARCHITECTURES.iter().map(|architecture| format!("crossfade-function-{architecture}.zip")))
        .chain(["crossfade.cdx.json", "bootstrap.cdx.json", "install.sh", "crossfade.rb"].map(str::to_owned))
        .collect();
    expected.sort_unstable();
    assert_eq!(names, expected);
    let formula = first.read("crossfade.rb");
    for line in sums.lines().filter(|line| line.ends_with(".tar.gz")) {
        let (sum, name) = line.split_once("  ").unwrap();
        assert!(formula.contains(sum), "{name}");
    }
    assert!(formula.contains("https://github.com/somebody/crossfade/releases/download/v9.8.7/crossfade-"));
}

/// A server of a release, whose archives may be damaged on the way.
fn release(files: Folder, is_damaged: bool) -> Server {
    let script = move |path: &str| {
        let name = path.strip_prefix("/v9.8.7/")?;
        let mut content = fs::read(files.join(name)).ok()?;
        if is_damaged && name.ends_with(".tar.gz") {
            *content.last_mut()? ^= 1;
        }
        Some(response("200 OK", &[], &content))
    };
    let start = Server::start(None, move |_, message| {
        let path = String::from_utf8_lossy(message.second_word()).into_owned();
        Action::Send(script(&path).unwrap_or_else(|| response("404 Not Found", &[], b"")).into())
    });
    start.unwrap()
}

fn install(script: &Path, server: &Server, home: &Folder, version: Option<&str>) -> Output {
    let mut command = Command::new("sh");
    command.arg(script).env("HOME", home.path()).env("CROSSFADE_RELEASES", server.url());
    command.env_remove("CROSSFADE_HOME").env_remove("CROSSFADE_BIN").env_remove("CROSSFADE_VERSION");
    command.envs(version.map(|version| ("CROSSFADE_VERSION", version))).output().unwrap()
}

fn the_installer_installs_what_has_the_checksum_of_the_release() {
    let files = assembled();
    let (script, home) = (Folder::new(), Folder::new());
    fs::copy(files.join("install.sh"), script.join("install.sh")).unwrap();
    let script = script.join("install.sh");

    let damaged = Folder::new();
    for file in fs::read_dir(files.path()).unwrap() {
        let file = file.unwrap();
        fs::copy(file.path(), damaged.join(file.file_name())).unwrap();
    }
    let (server, damaging) = (release(files, false), release(damaged, true));
    let refused = |output: Output, expected: &str| {
        let errors = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(expected) && errors.contains("hint: "), "{errors}");
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0, "something was installed");
    };
    refused(install(&script, &damaging, &home, None), "and the release says");
    refused(install(&script, &server, &home, Some("1.0.0")), "/v1.0.0/crossfade-");
    refused(install(&Path::new(ROOT).join("release/install.sh"), &server, &home, None), "not from a release");

    // The second time, it replaces what is there.
    for version in [None, Some("v9.8.7")] {
        let output = install(&script, &server, &home, version);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let told = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(told.starts_with("installed crossfade 9.8.7 in ") && told.contains("to your PATH: export"), "{told}");
        let link = fs::canonicalize(home.join(".local/bin/crossfade")).unwrap();
        for architecture in ARCHITECTURES {
            let program = link.with_file_name(format!("bootstrap-{architecture}"));
            assert_eq!(fs::read_to_string(program).unwrap(), format!("program for {architecture}"));
        }
    }
}
