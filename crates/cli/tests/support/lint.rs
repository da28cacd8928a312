//! The tools that check deploy files without AWS: `cfn-lint`, `sam` and the translator of SAM. Owns their installation in
//! `target/tools/lint`; knows no template.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crossfade_testkit::tools::{Absent, PYTHON, Tool};

use super::install::{installed_from, path_with, target, virtual_environment};

/// The requirements of both, pinned.
const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/support");
const REQUIREMENTS: &str = "lint.txt";

static INSTALLED: OnceLock<PathBuf> = OnceLock::new();

/// Python with `cfn-lint` and `sam`. The first test that needs them installs them, which takes half a minute and 340 MB.
pub static LINT: Tool = Tool::new(|| {
    PYTHON.find()?;
    let tools = target().join("tools");
    std::fs::create_dir_all(&tools).unwrap();
    // Test binaries may run at the same time.
    let lock = std::fs::File::create(tools.join("lint.lock")).unwrap();
    lock.lock().unwrap();
    let folder = installed_from(Path::new(FOLDER), "tools/lint", &[REQUIREMENTS], |folder| {
        // Without a network there are no tools.
        virtual_environment(folder, REQUIREMENTS).map_err(|error| {
            let error = error.to_string();
            let last = error.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
            Absent::Missing(format!("`cfn-lint` and `sam` cannot be installed: {last}"))
        })
    });
    let _ = INSTALLED.set(folder?);
    Ok(())
});

/// A program of the virtual environment, such as `cfn-lint`, `sam` or `python`. It gets no credentials and nothing of the
/// developer's environment.
///
/// # Panics
/// Before [`LINT`] has been found.
pub fn lint_tool(program: &str) -> Command {
    let folder = INSTALLED.get().unwrap().join("bin");
    let mut command = Command::new(folder.join(program));
    command.env_clear().env("PATH", path_with(&folder)).env("HOME", std::env::temp_dir());
    command.env("SAM_CLI_TELEMETRY", "0").env("AWS_DEFAULT_REGION", "eu-west-1");
    command
}

/// The complaints of `cfn-lint` about a template; none is an empty text. `ignored` are codes, such as `W3005`.
pub fn cfn_lint(template: &Path, ignored: &[&str]) -> String {
    let mut command = lint_tool("cfn-lint");
    command.args(["--regions", "eu-west-1", "--template"]).arg(template);
    if !ignored.is_empty() {
        command.arg("--ignore-checks").args(ignored);
    }
    let output = command.output().unwrap();
    String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned()
}
