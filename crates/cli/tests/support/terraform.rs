//! The real `terraform` with a stand-in for the AWS provider (`tests/terraform/provider.py`). Owns its installation in
//! `target/tools/terraform` and the plan of the example in `deploy/terraform`; knows nothing of the results.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::OnceLock;

use crossfade_testkit::tools::{Absent, PYTHON, Tool, make};
use serde_json::Value;

use super::install::{installed_from, target, virtual_environment};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/terraform");
/// The module that users get.
pub const MODULE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/terraform");
/// The first version in which a validation may use other variables.
const OLDEST: (u32, u32) = (1, 9);

/// The program, and the stand-in that it finds instead of the provider.
pub static TERRAFORM: Tool = Tool::new(|| {
    let install = "install Terraform 1.9 or later (https://developer.hashicorp.com/terraform/install)";
    let output = plain().args(["version", "-json"]).output();
    let output = output.map_err(|_| Absent::Unpackaged(format!("`terraform` is missing: {install}")))?;
    let version: Value = serde_json::from_slice(&output.stdout).unwrap_or_default();
    let version = version["terraform_version"].as_str().unwrap_or_default().to_owned();
    let mut numbers = version.split('.').map_while(|number| number.parse::<u32>().ok());
    if (numbers.next().unwrap_or_default(), numbers.next().unwrap_or_default()) < OLDEST {
        return Err(Absent::Unpackaged(format!("`terraform` is version {version}: {install}")));
    }
    PYTHON.find()?;
    installed_from(
        Path::new(SOURCE),
        "tools/terraform",
        &["requirements.txt", "provider.py", "schema.json"],
        |folder| {
            virtual_environment(folder, "requirements.txt")?;
            let provider = folder.join(format!("plugins/registry.terraform.io/hashicorp/aws/6.25.0/{}", platform()));
            fs::create_dir_all(&provider).unwrap();
            let script = format!("#!/bin/sh\nexec '{0}/bin/python' '{0}/provider.py'\n", folder.display());
            let file = provider.join("terraform-provider-aws_v6.25.0");
            fs::write(&file, script).unwrap();
            // What an empty file says is not asked of the user's own.
            fs::write(folder.join("terraform.rc"), "").unwrap();
            make(Command::new("chmod").arg("+x").arg(&file))
        },
    )
    .map(drop)
});

/// The example of `deploy/terraform`, planned once for all tests. [`planned`] is the plan.
pub static PLANNED: Tool = Tool::new(|| {
    TERRAFORM.find()?;
    let folder = module()?;
    let example = folder.path().join("examples/existing-listener");
    fs::write(example.join("bootstrap.zip"), "a placeholder").unwrap();
    let listener = format!("-var=listener_arn={}", super::LISTENER);
    let backend = "-var=backend=https://legacy.example.com";
    terraform(&example, &["init", "-backend=false", &plugins()])?;
    terraform(&example, &["validate"])?;
    terraform(&example, &["plan", "-out=plan", &listener, backend])?;
    let json = terraform(&example, &["show", "-json", "plan"])?;
    _ = PLAN.set(serde_json::from_str(&json).unwrap());
    Ok(())
});

static PLAN: OnceLock<Value> = OnceLock::new();

/// The output of `terraform show -json` for the plan of the example, with [`super::LISTENER`] and the back end
/// `https://legacy.example.com`. There once [`PLANNED`] is.
pub fn planned() -> &'static Value {
    PLAN.get().expect("the test does not need `PLANNED`")
}

/// A copy of the module's folder, in which Terraform may write.
pub fn module() -> Result<tempfile::TempDir, Absent> {
    let folder = tempfile::tempdir().unwrap();
    make(Command::new("cp").arg("-R").arg(format!("{MODULE}/.")).arg(folder.path()))?;
    Ok(folder)
}

/// The output of a command in this folder.
///
/// # Errors
/// With the program's own message.
pub fn terraform(folder: &Path, arguments: &[&str]) -> Result<String, Absent> {
    let mut command = plain();
    command.args(arguments).current_dir(folder);
    let output = command.output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    if output.status.success() {
        return Ok(said);
    }
    Err(Absent::Broken(format!("{command:?} failed:\n{said}{}", String::from_utf8_lossy(&output.stderr))))
}

/// For `init`.
pub fn plugins() -> String {
    format!("-plugin-dir={}", folder().join("plugins").display())
}

/// The environment is empty: no credentials, no proxy, nothing of the developer's.
fn plain() -> Command {
    let mut command = Command::new("terraform");
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default()).env("HOME", folder());
    command.env("AWS_STAND_IN_SCHEMA", folder().join("schema.json"));
    command.env("TF_CLI_CONFIG_FILE", folder().join("terraform.rc")).env("CHECKPOINT_DISABLE", "1");
    // A provider that is not HashiCorp's library has no certificates for the loopback connection.
    command.env("TF_DISABLE_PLUGIN_TLS", "1").env("TF_IN_AUTOMATION", "1").env("TF_CLI_ARGS", "-no-color");
    // `version` and `show` know the option as well.
    command
}

fn folder() -> PathBuf {
    std::path::absolute(target().join("tools/terraform")).unwrap()
}

/// As Terraform names it: `linux_amd64`.
fn platform() -> String {
    let (os, architecture) = (std::env::consts::OS, std::env::consts::ARCH);
    let os = if os == "macos" { "darwin" } else { os };
    let architecture = match architecture {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    };
    format!("{os}_{architecture}")
}
