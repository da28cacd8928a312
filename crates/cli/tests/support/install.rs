//! Programs and packages that tests of foreign software need: downloads them into `target/`, and checks whether a program exists.

use std::path::{Path, PathBuf};
use std::process::Command;

/// `target/NAME` with these files and what `install` adds; left as it is when it was made from the same files.
pub fn installed_from(source: &Path, name: &str, files: &[&str], install: impl FnOnce(&Path)) -> PathBuf {
    let folder = std::path::absolute(target().join(name)).unwrap();
    let wanted: String = files.iter().map(|file| std::fs::read_to_string(source.join(file)).unwrap()).collect();
    let stamp = folder.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|present| present == wanted) {
        return folder;
    }
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    for file in files {
        std::fs::copy(source.join(file), folder.join(file)).unwrap();
    }
    install(&folder);
    std::fs::write(stamp, wanted).unwrap();
    folder
}

pub fn virtual_environment(folder: &Path, requirements: &str) {
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv"]).arg(folder);
    run(venv);
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", "-r", requirements]);
    pip.current_dir(folder);
    run(pip);
}

/// Of the workspace, or wherever this build's is.
pub fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
}

pub fn path_with(folder: &Path) -> std::ffi::OsString {
    let old = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(folder.to_owned()).chain(std::env::split_paths(&old))).unwrap()
}

/// True if all these programs are there; in CI they must be.
pub fn available(programs: &[&str]) -> bool {
    let missing = |program: &&&str| Command::new(program).arg("--version").output().is_err();
    let Some(program) = programs.iter().find(missing) else { return true };
    assert!(std::env::var_os("CI").is_none_or(|value| value != "true"), "`{program}` is missing");
    eprintln!("skipped: `{program}` is missing");
    false
}

pub fn run(mut command: Command) {
    let output = command.output().unwrap_or_else(|error| panic!("cannot run {:?}: {error}", command.get_program()));
    let told = [output.stdout, output.stderr].concat();
    assert!(output.status.success(), "{command:?}\n{}", String::from_utf8_lossy(&told));
}
