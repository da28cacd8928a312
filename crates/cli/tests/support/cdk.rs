//! The constructs of `deploy/cdk`, synthesised by the real libraries, without credentials. Owns the installation of the library for Python
//! in `target/tools/cdk`; knows nothing of the templates.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::Command;
use std::sync::OnceLock;

use crossfade_testkit::tools::{Absent, NODE, PYTHON, Tool, make};
use serde_json::Value;

use super::LISTENER;
use super::install::{installed_from, npm_ci};

pub const FOLDER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/cdk");
const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cdk");
/// The stack of the example, among [`typescript`] and [`python`].
pub const EXAMPLE: &str = "crossfade";

/// Templates by the names of their stacks: [`EXAMPLE`], and one for each feature in `deploy/cdk/test/features.ts`.
pub type Templates = BTreeMap<String, Value>;

static OF_TYPESCRIPT: OnceLock<Templates> = OnceLock::new();
static OF_PYTHON: OnceLock<Templates> = OnceLock::new();

/// The stacks in TypeScript, synthesised once for all tests. [`typescript`] has the templates.
pub static TYPESCRIPT: Tool = Tool::new(|| {
    NODE.find()?;
    npm_ci(Path::new(FOLDER))?;
    let mut command = Command::new("node");
    command.arg(tsx()).arg(Path::new(FOLDER).join("test/features.ts"));
    _ = OF_TYPESCRIPT.set(synthesised(command)?);
    Ok(())
});

/// The same in Python. The library takes 460 MB and ten seconds.
pub static PYTHON_CDK: Tool = Tool::new(|| {
    NODE.find()?;
    PYTHON.find()?;
    let folder = installed_from(Path::new(SOURCE), "tools/cdk", &["requirements.txt"], |folder| {
        make(Command::new("python3").args(["-m", "venv"]).arg(folder))?;
        let mut pip = Command::new(folder.join("bin/python"));
        // Compiling 460 MB would take longer than everything else.
        pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--no-compile", "--disable-pip-version-check"]);
        make(pip.args(["-r", "requirements.txt"]).current_dir(folder))
    })?;
    let mut command = Command::new(folder.join("bin/python"));
    command.arg("-B").arg(Path::new(FOLDER).join("python/test/features.py"));
    _ = OF_PYTHON.set(synthesised(command)?);
    Ok(())
});

/// There once [`TYPESCRIPT`] is.
pub fn typescript() -> &'static Templates {
    OF_TYPESCRIPT.get().expect("the test does not need `TYPESCRIPT`")
}

/// There once [`PYTHON_CDK`] is.
pub fn python() -> &'static Templates {
    OF_PYTHON.get().expect("the test does not need `PYTHON_CDK`")
}

/// The program that runs TypeScript.
pub fn tsx() -> std::path::PathBuf {
    Path::new(FOLDER).join("node_modules/tsx/dist/cli.mjs")
}

/// Runs a program that writes the example and the features, with nothing of the developer's in its environment.
fn synthesised(mut command: Command) -> Result<Templates, Absent> {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("bootstrap.zip"), "a placeholder").unwrap();
    command.arg("features").current_dir(folder.path()).env_clear().env("HOME", folder.path());
    command.env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("CDK_OUTDIR", "example");
    command
        .env("JSII_SILENCE_WARNING_END_OF_LIFE_NODE_VERSION", "1")
        .env("JSII_SILENCE_WARNING_DEPRECATED_NODE_VERSION", "1");
    command.env("ALB_LISTENER_ARN", LISTENER).env("CROSSFADE_BACKEND", "https://legacy.example.com");
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    // The CDK checks the templates, too. It says so and goes on.
    if !output.status.success() || said.contains("WARNING ") {
        let said = format!("{command:?} failed:\n{said}{}", String::from_utf8_lossy(&output.stdout));
        return Err(Absent::Broken(said));
    }
    let mut templates = Templates::new();
    for part in ["example", "features"] {
        for file in fs::read_dir(folder.path().join(part)).unwrap() {
            let file = file.unwrap();
            if let Some(name) = file.file_name().to_string_lossy().strip_suffix(".template.json") {
                let template = serde_json::from_slice(&fs::read(file.path()).unwrap()).unwrap();
                templates.insert(name.to_owned(), template);
            }
        }
    }
    Ok(templates)
}
