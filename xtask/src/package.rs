//! `cargo xtask package`: from sources to the zip file that is deployed.
//!
//! Owns the build and what is printed. `crossfade-package` makes and checks the archive; `crossfade package` does the same with a
//! prebuilt program.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use crossfade_package::{Configuration, Files, Package};

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The archive to write
    #[arg(long, value_name = "FILE", default_value = "target/package/bootstrap.zip")]
    out: PathBuf,
    /// A configuration to check and to put beside the binary, as `crossfade.yaml`, with every file that it names
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Another file to put beside the binary (a relative path, kept), such as that of `SSL_CERT_FILE`; may be repeated
    #[arg(long = "with", value_name = "FILE")]
    with: Vec<PathBuf>,
    /// Package this executable (made by `cargo lambda` or `cargo zigbuild`, say) instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    // Before the build: a misspelt path should not cost two minutes.
    let mut files = Files::default();
    let configuration = options.config.as_ref().map(|config| Configuration::add(config, &mut files)).transpose()?;
    if let Some(Configuration { diagnostics, .. }) = &configuration {
        if !diagnostics.list.is_empty() {
            eprintln!("{}", diagnostics.with_lines());
        }
        ensure!(!diagnostics.has_errors(), "`{}` has errors, so there is no package", diagnostics.source_name);
    }
    for file in &options.with {
        let added = files.add(Path::new(""), file).map_err(anyhow::Error::msg);
        added.with_context(|| format!("cannot package `{}`", file.display()))?;
    }
    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build()?,
    };
    let program = fs::read(&binary).with_context(|| format!("cannot read `{}`", binary.display()))?;
    let package = Package::new(program, &binary, files)?;
    for warning in &package.warnings {
        eprintln!("warning: {warning}");
    }
    if let Some(folder) = options.out.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    }
    fs::write(&options.out, &package.zip).with_context(|| format!("cannot write `{}`", options.out.display()))?;

    let width = package.files.iter().map(|(name, ..)| name.len()).max().unwrap_or_default();
    for (index, (name, size, _)) in package.files.iter().enumerate() {
        let program = &package.program;
        let linkage =
            format!(", {}, {}, needs {}", program.architecture, program.library(), program.libraries.join(" "));
        println!("{name:<width$}  {size} bytes{}", if index == 0 { &linkage } else { "" });
    }
    let variables: Vec<_> = configuration.iter().flat_map(|it| &it.variables).map(|name| format!("`{name}`")).collect();
    if !variables.is_empty() {
        println!(
            "the function's environment needs {}: the package was checked with this shell's values",
            variables.join(", ")
        );
    }
    let size = package.zip.len();
    println!("{}  {size} bytes, {:.1} KiB", options.out.display(), size as f64 / 1024.0);
    Ok(())
}

/// The release binary of the function, built as the lock file says.
fn build() -> Result<PathBuf> {
    let status = build_command().status().context("cannot run cargo")?;
    ensure!(status.success(), "the build failed");
    Ok(target()?.join("release/bootstrap"))
}

/// Builds the program that is deployed.
pub(crate) fn build_command() -> Command {
    let mut build = cargo();
    build.args(["build", "--release", "--locked", "-p", "crossfade-function", "--bin", "bootstrap"]);
    build
}

/// The folder that cargo builds into.
pub(crate) fn target() -> Result<PathBuf> {
    let metadata =
        cargo().args(["metadata", "--no-deps", "--format-version=1"]).output().context("cannot run cargo")?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).context("cargo metadata")?;
    let target = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
    Ok(target.into())
}

/// The cargo that runs this chore, in the workspace.
pub(crate) fn cargo() -> Command {
    Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The same binary gives the same archive, whatever the folder, and the names and times of the files.
    #[test]
    #[cfg(all(target_os = "linux", target_env = "gnu"))]
    fn a_package_is_reproducible() {
        let archives = [(); 2].map(|()| {
            let folder = tempfile::tempdir().unwrap();
            let (out, config) = (folder.path().join("deep/bootstrap.zip"), folder.path().join("any-name.yaml"));
            fs::write(&config, "version: 1\nbackends: { a: 'https://a.example' }\ndefault: { forward: a }\n").unwrap();
            // A small program of the system that Lambda could start as well.
            let binary = folder.path().join("program");
            fs::write(&binary, fs::read("/bin/true").unwrap()).unwrap();
            let options = Options { out: out.clone(), config: Some(config), with: Vec::new(), binary: Some(binary) };
            run(&options).unwrap_or_else(|error| panic!("{error:#}"));
            fs::read(out).unwrap()
        });
        assert!(archives[0] == archives[1]);
    }
}
