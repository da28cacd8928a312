//! Chromium for the tests that look at a page, and the scripts that drive it.

use std::ffi::OsStr;
use std::path::Path;
use std::process::Command;

use crossfade_testkit::tools::{self, CHROMIUM, NODE, Tool};

use super::install::npm_ci;

const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/browser");

/// Chromium, with what drives it.
pub static BROWSER: Tool = Tool::new(|| {
    CHROMIUM.find()?;
    NODE.find()?;
    npm_ci(Path::new(FOLDER))
});

/// The output of a script of the folder, given Chromium and these arguments.
pub fn run(script: &str, arguments: &[&OsStr]) -> Vec<u8> {
    let mut node = Command::new("node");
    node.arg(Path::new(FOLDER).join(script)).arg(tools::chromium().unwrap()).args(arguments);
    let output = node.output().unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{node:?}\n{}{errors}", String::from_utf8_lossy(&output.stdout));
    output.stdout
}
