//! Packages that tests of foreign software need, downloaded once.

use std::path::{Path, PathBuf};
use std::process::Command;

use crossfade_testkit::tools::{Absent, make};

/// `target/NAME` with these files and what `install` adds; left as it is when it was made from the same files.
pub fn installed_from(
    source: &Path,
    name: &str,
    files: &[&str],
    install: impl FnOnce(&Path) -> Result<(), Absent>,
) -> Result<PathBuf, Absent> {
    let folder = std::path::absolute(target().join(name)).unwrap();
    let wanted: String = files.iter().map(|file| std::fs::read_to_string(source.join(file)).unwrap()).collect();
    let stamp = folder.join("installed");
    if std::fs::read_to_string(&stamp).is_ok_and(|present| present == wanted) {
        return Ok(folder);
    }
    let _ = std::fs::remove_dir_all(&folder);
    std::fs::create_dir_all(&folder).unwrap();
    for file in files {
        std::fs::copy(source.join(file), folder.join(file)).unwrap();
    }
    install(&folder)?;
    std::fs::write(stamp, wanted).unwrap();
    Ok(folder)
}

pub fn virtual_environment(folder: &Path, requirements: &str) -> Result<(), Absent> {
    make(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
    let mut pip = Command::new(folder.join("bin/python"));
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", "-r", requirements]);
    make(pip.current_dir(folder))
}

/// `npm ci`, when there is no installation or the lock file is newer than it.
pub fn npm_ci(folder: &Path) -> Result<(), Absent> {
    let modified = |file: &str| folder.join(file).metadata().and_then(|data| data.modified()).ok();
    if modified("node_modules/.package-lock.json") >= modified("package-lock.json") {
        return Ok(());
    }
    make(Command::new("npm").args(["ci", "--no-audit", "--no-fund"]).current_dir(folder))
}

/// Of the workspace, or wherever this build's is.
pub fn target() -> PathBuf {
    Path::new(env!("CARGO_TARGET_TMPDIR")).parent().unwrap().to_owned()
}

pub fn path_with(folder: &Path) -> std::ffi::OsString {
    let old = std::env::var_os("PATH").unwrap_or_default();
    std::env::join_paths(std::iter::once(folder.to_owned()).chain(std::env::split_paths(&old))).unwrap()
}
