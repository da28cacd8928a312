//! Chromium for the tests that look at a page, and the scripts that drive it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::LazyLock;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");

/// Chromium, if it is here; with what drives it installed, once for all tests.
static CHROMIUM: LazyLock<Option<PathBuf>> = LazyLock::new(|| {
    let named = std::env::var_os("CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<_> = std::env::split_paths(&path).collect();
    let names = ["chromium", "chromium-browser", "google-chrome"];
    let found = names.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    let found = named.or_else(|| found.into_iter().find(|file| file.is_file()));
    match &found {
        Some(_) => install(),
        None if std::env::var_os("CI").is_some_and(|value| value == "true") => {
            panic!("there is no Chromium; hint: install it, or name it in the variable `CHROMIUM`")
        }
        None => eprintln!("skipped: Chromium is missing; the variable `CHROMIUM` can name it"),
    }
    found
});

/// `npm ci`, when there is no installation or the lock file is newer than it.
fn install() {
    let modified = |file: &str| Path::new(FOLDER).join(file).metadata().and_then(|data| data.modified()).ok();
    if modified("node_modules/.package-lock.json") < modified("package-lock.json") {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund"]).current_dir(FOLDER);
        succeeded(npm);
    }
}

fn succeeded(mut command: Command) -> Output {
    let output = command.output().unwrap_or_else(|error| {
        panic!("cannot run {:?}: {error}; hint: install node 20.19 or later, with npm", command.get_program())
    });
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}\n{}{errors}", String::from_utf8_lossy(&output.stdout));
    output
}

/// True if there is one.
pub fn is_here() -> bool {
    CHROMIUM.is_some()
}

/// The output of a script of the folder, given Chromium and these arguments. Nothing without a browser.
pub fn run(script: &str, arguments: &[&OsStr]) -> Option<Vec<u8>> {
    let chromium = CHROMIUM.as_ref()?;
    let mut node = Command::new("node");
    node.arg(Path::new(FOLDER).join(script)).arg(chromium).args(arguments);
    Some(succeeded(node).stdout)
}
