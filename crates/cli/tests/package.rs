//! `crossfade package`: the same bytes everywhere, nothing that `check` and `test` reject, and no program that Lambda could not
//! start. `xtask/tests/package.rs` starts the function from a package.

use std::fs::{self, File};
use std::io::Read;
use std::path::Path;
use std::process::{Command, Output};

use crossfade_testkit::folder::Folder;
use serde_json::Value;

const CONFIG: &str = "# Comments stay here.
version: 1
backends: { legacy: https://legacy.example.com, modern: 'https://${env:STAGE, test}.example.com' }
routes:
  - name: orders
    priority: 10
    conditions: { path: [/api/orders/*] }
    forward: { targets: [{ backend: modern, weight: 5 }, { backend: legacy, weight: 95 }], sticky: { by: { cookie: id } } }
  - name: closed
    priority: 20
    conditions: { path: [/closed] }
    fixedResponse: { status: 503, bodyFile: pages/closed.html }
default: { forward: legacy }
tests:
  - request: GET https://shop.example.com/
    expect: { backend: legacy }
";

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn package(folder: &Folder, arguments: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.arg("package").args(arguments).current_dir(folder.path()).env_remove("STAGE").output().unwrap()
}

/// A folder with the configuration, its file, and a small program of the system that Lambda could start as well.
fn project(config: &str) -> Folder {
    let folder = Folder::new();
    fs::create_dir(folder.join("pages")).unwrap();
    folder.write("pages/closed.html", "<h1>closed</h1>");
    folder.write("crossfade.yaml", config);
    folder.write("program", fs::read("/bin/true").unwrap());
    folder
}

/// The program for the other processor, as far as its header says.
fn for_arm64(program: &[u8]) -> Vec<u8> {
    const E_MACHINE: std::ops::Range<usize> = 18..20;
    let mut program = program.to_vec();
    program[E_MACHINE].copy_from_slice(&183_u16.to_le_bytes());
    program
}

#[test]
fn the_help_text_is_the_golden_one() {
    let output = Command::new(env!("CARGO_BIN_EXE_crossfade")).args(["package", "--help"]).output().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/help-package.txt");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&file, &output.stdout).unwrap();
    }
    assert_eq!(text(&output.stdout), fs::read_to_string(file).unwrap());
}

#[test]
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn a_package_has_the_same_bytes_in_every_folder() {
    let arguments = ["--config", "crossfade.yaml", "--binary", "program", "--output", "out/bootstrap.zip"];
    let archives = [(); 2].map(|()| {
        let folder = project(CONFIG);
        let output = package(&folder, &[&arguments[..], &["--json"]].concat());
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let document: Value = serde_json::from_slice(&output.stdout).unwrap();
        let zip = fs::read(folder.join("out/bootstrap.zip")).unwrap();
        assert_eq!(document["size"], zip.len());
        assert_eq!(document["variables"], serde_json::json!([]));
        assert_eq!(document["compiled"], true);
        let names: Vec<_> = document["files"].as_array().unwrap().iter().map(|file| &file["name"]).collect();
        assert_eq!(names, ["bootstrap", "crossfade.yaml", "pages/closed.html"]);
        let hex = Command::new("sha256sum").arg(folder.join("out/bootstrap.zip")).output().unwrap();
        assert_eq!(text(&hex.stdout).split(' ').next(), document["sha256"].as_str());
        (zip, document["codeSha256"].clone(), folder)
    });
    assert!(archives[0].0 == archives[1].0);
    assert_eq!(archives[0].1, archives[1].1);

    let folder = &archives[0].2;
    let mut zip = zip::ZipArchive::new(File::open(folder.join("out/bootstrap.zip")).unwrap()).unwrap();
    assert_eq!(zip.by_name("bootstrap").unwrap().unix_mode(), Some(0o100_755));
    let mut config = String::new();
    zip.by_name("crossfade.yaml").unwrap().read_to_string(&mut config).unwrap();
    serde_json::from_str::<Value>(&config).unwrap();
    assert!(config.contains("https://${env:STAGE, test}.example.com") && !config.contains("tests"), "{config}");

    let output = package(folder, &arguments);
    let told = text(&output.stdout);
    for expected in ["out/bootstrap.zip: ", "0755", "x86_64, glibc 2.", "crossfade.yaml", "as JSON", "CodeSha256  "] {
        assert!(told.contains(expected), "{expected}: {told}");
    }
}

#[test]
fn what_check_or_test_reject_is_not_packaged() {
    let failing = CONFIG.replace("expect: { backend: legacy }", "expect: { backend: modern }");
    for (config, expected) in [
        (CONFIG.replace("forward: legacy", "forward: legcy"), "did you mean `legacy`?"),
        (failing, "FAIL crossfade.yaml:15: GET https://shop.example.com/"),
        (CONFIG.replace("pages/closed.html", "../closed.html"), "cannot read `../closed.html`"),
    ] {
        let folder = project(&config);
        let output = package(&folder, &["--config", "crossfade.yaml", "--binary", "program"]);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(1), "{errors}");
        assert!(errors.contains(expected), "{errors}");
        assert!(!folder.join("bootstrap.zip").exists());
    }
}

#[test]
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
fn the_program_must_be_one_that_lambda_starts() {
    let folder = project(CONFIG);
    folder.write("arm", for_arm64(&fs::read("/bin/true").unwrap()));
    folder.write("script", "#!/bin/sh\n");
    for (arguments, expected) in [
        (&["--binary", "script"][..], "`script`: not a 64-bit ELF executable"),
        (&["--binary", "missing"], "cannot read `missing`: No such file"),
        (&["--binary", "program", "--arch", "arm64"], "`program` is built for x86_64, not for arm64"),
        (&["--binary", "arm", "--arch", "x86_64"], "`arm` is built for arm64, not for x86_64"),
    ] {
        let output = package(&folder, arguments);
        let errors = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{errors}");
        assert!(errors.contains(expected), "{errors}");
        assert!(!folder.join("bootstrap.zip").exists());
    }
    let output = package(&folder, &["--binary", "arm"]);
    let told = text(&output.stdout);
    assert!(told.contains("arm64") && told.contains("no configuration: set `CROSSFADE_BACKEND="), "{told}");
}

/// As a release archive is unpacked.
#[test]
#[cfg(all(target_os = "linux", target_env = "gnu", target_arch = "x86_64"))]
fn the_program_is_the_one_beside_the_command() {
    let folder = project(CONFIG);
    let command = folder.join("crossfade");
    if fs::hard_link(env!("CARGO_BIN_EXE_crossfade"), &command).is_err() {
        fs::copy(env!("CARGO_BIN_EXE_crossfade"), &command).unwrap();
    }
    let run = |arguments: &[&str]| {
        Command::new(&command).arg("package").args(arguments).current_dir(folder.path()).output().unwrap()
    };
    let errors = text(&run(&[]).stderr);
    assert!(errors.contains("there is no program for x86_64 in `"), "{errors}");
    assert!(errors.contains("hint: a release archive of Crossfade has it as `bootstrap-x86_64`"), "{errors}");

    let program = fs::read("/bin/true").unwrap();
    folder.write("bootstrap", &program);
    let errors = text(&run(&["--arch", "arm64"]).stderr);
    assert!(errors.contains("there is no program for arm64 in `"), "{errors}");
    folder.write("bootstrap-arm64", for_arm64(&program));
    for arch in ["x86_64", "arm64"] {
        let output = run(&["--arch", arch, "--config", "crossfade.yaml"]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        assert!(text(&output.stdout).contains(arch));
    }
}
