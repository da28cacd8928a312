//! The local ALB beside `serverless-offline`'s, with the same rules and the same Node handler: the results of the same requests
//! (`fidelity`), and requests per second (`load`). It owns the order and the output.

mod fidelity;
mod load;
mod server;

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, ensure};

use crate::function::{RAW_FLOOR, build};
use crate::process;
use server::Kit;

/// Prints both tables as Markdown to standard output; progress goes to standard error.
///
/// # Errors
/// When something cannot be built, installed or started, an answer is wrong, or in a debug build without `quick`.
pub fn run(quick: bool) -> anyhow::Result<()> {
    ensure!(
        quick || !cfg!(debug_assertions),
        "a debug build is no measure: `cargo run --release -p crossfade-bench -- emulator`"
    );
    for tool in ["curl", "wrk", "h2load", "node", "npm"] {
        let found = Command::new(tool).arg("--version").output();
        found.with_context(|| {
            format!("cannot start `{tool}`: install it (`h2load` is in the package nghttp2-client)")
        })?;
    }
    eprintln!("bench: building and installing");
    let target = build("crossfade", &["crossfade"])?;
    let floor = build("crossfade-bench", &[RAW_FLOOR])?.join(RAW_FLOOR);
    let kit = Kit { crossfade: target.join("crossfade"), floor, node: node()?, offline: offline()? };

    println!("{}, nothing pinned; everything on this machine, the load generator too.", process::machine());
    println!("Node {}, {}.\n", node_version(), versions(&kit));
    println!("### The same requests\n\n{}", fidelity::table(&kit)?);
    println!("### Requests per second\n\n{}", load::table(&kit, quick)?);
    Ok(())
}

/// The Node handler on `aws-lambda-ric`. The test that proves it works also installs it.
fn node() -> anyhow::Result<PathBuf> {
    let folder = workspace().join("target/foreign/node");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let test = ["test", "--quiet", "--package", "crossfade", "--test", "tools", "node_on"];
    let output = Command::new(cargo).current_dir(workspace()).args(test).env("CI", "true").output()?;
    ensure!(
        output.status.success() && folder.join("node_modules/aws-lambda-ric").is_dir(),
        "`cargo {}` failed:\n{}",
        test.join(" "),
        String::from_utf8_lossy(&output.stdout)
    );
    Ok(folder)
}

/// `serverless-offline` with the same handler.
fn offline() -> anyhow::Result<PathBuf> {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("serverless-offline");
    let folder = workspace().join("target/serverless-offline");
    std::fs::create_dir_all(&folder)?;
    let lock = std::fs::read(source.join("package-lock.json"))?;
    let same = std::fs::read(folder.join("package-lock.json")).is_ok_and(|present| present == lock);
    for file in [".npmrc", "package.json", "package-lock.json", "serverless.yml"] {
        std::fs::copy(source.join(file), folder.join(file))?;
    }
    std::fs::copy(workspace().join("crates/cli/tests/functions/node/handler.js"), folder.join("handler.js"))?;
    if !same || !folder.join("node_modules/.package-lock.json").exists() {
        let npm = Command::new("npm").args(["ci", "--silent"]).current_dir(&folder).status()?;
        ensure!(npm.success(), "`npm ci` failed in `{}`", folder.display());
    }
    Ok(folder)
}

fn workspace() -> PathBuf {
    let own = Path::new(env!("CARGO_MANIFEST_DIR"));
    own.parent().unwrap_or(own).to_owned()
}

fn node_version() -> String {
    let output = Command::new("node").arg("--version").output();
    output.map_or_else(|_| "?".to_owned(), |output| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// The versions that were installed.
fn versions(kit: &Kit) -> String {
    let version = |folder: &Path, name: &str| {
        let text = std::fs::read_to_string(folder.join("node_modules").join(name).join("package.json"));
        let package: serde_json::Value = serde_json::from_str(&text.unwrap_or_default()).unwrap_or_default();
        format!("{name} {}", package["version"].as_str().unwrap_or("?"))
    };
    [
        version(&kit.node, "aws-lambda-ric"),
        version(&kit.offline, "serverless-offline"),
        version(&kit.offline, "osls"),
        version(&kit.offline, "@hapi/hapi"),
    ]
    .join(", ")
}
