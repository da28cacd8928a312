//! `cargo xtask package`: from sources to the zip file that is deployed.
//!
//! Owns the order of steps and what is printed. It refuses to write an archive that Amazon Linux 2023 could not start.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::archive::{self, Entry};
use crate::linkage::Linkage;

#[derive(clap::Args)]
pub(crate) struct Options {
    /// The archive to write
    #[arg(long, value_name = "FILE", default_value = "target/package/bootstrap.zip")]
    out: PathBuf,
    /// A configuration to put beside the binary, as `crossfade.yaml`
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Another file that the configuration names (a relative path, kept), such as a `caFile`; may be repeated
    #[arg(long = "with", value_name = "FILE")]
    with: Vec<PathBuf>,
    /// Package this executable (made by `cargo lambda` or `cargo zigbuild`, say) instead of building one
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
}

pub(crate) fn run(options: &Options) -> Result<()> {
    // Before the build: a misspelt path should not cost two minutes.
    let mut beside = Vec::new();
    if let Some(config) = &options.config {
        beside.push(Entry { name: "crossfade.yaml".into(), mode: 0o644, data: read(config)? });
    }
    for file in &options.with {
        beside.push(Entry { name: name_inside(file)?, mode: 0o644, data: read(file)? });
    }

    let binary = match &options.binary {
        Some(binary) => binary.clone(),
        None => build()?,
    };
    let program = read(&binary)?;
    let linkage = Linkage::read(&program).with_context(|| format!("`{}`", binary.display()))?;
    let problems = linkage.problems();
    ensure!(
        problems.is_empty(),
        "`{}` would not start on Amazon Linux 2023:\n  {}\nhint: build on a system with an older glibc, or with `cargo lambda build --release -p crossfade-function` and `--binary`",
        binary.display(),
        problems.join("\n  ")
    );

    let size = program.len();
    let mut entries = vec![Entry { name: "bootstrap".into(), mode: 0o755, data: program }];
    entries.append(&mut beside);
    let zip = archive::write(&entries)?;
    if let Some(folder) = options.out.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    }
    fs::write(&options.out, &zip).with_context(|| format!("cannot write `{}`", options.out.display()))?;

    let glibc = linkage.glibc.map_or_else(|| "no glibc".to_string(), |version| format!("glibc {version}"));
    println!("bootstrap  {size} bytes, {}, {glibc}, needs {}", linkage.architecture, linkage.libraries.join(" "));
    println!("{}  {} bytes, {:.1} KiB", options.out.display(), zip.len(), zip.len() as f64 / 1024.0);
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))
}

/// Only a path that stays below the archive's root means the same thing in Lambda's folder as here.
fn name_inside(file: &Path) -> Result<String> {
    let parts: Option<Vec<&str>> = file
        .components()
        .map(|part| match part {
            std::path::Component::Normal(name) => name.to_str(),
            _ => None,
        })
        .collect();
    match parts {
        Some(parts) if !parts.is_empty() => Ok(parts.join("/")),
        _ => bail!("`{}` must be a relative path without `..`: it is kept inside the archive", file.display()),
    }
}

/// The release binary of the function, built as the lock file says.
fn build() -> Result<PathBuf> {
    let status = cargo()
        .args(["build", "--release", "--locked", "-p", "crossfade-function", "--bin", "bootstrap"])
        .status()
        .context("cannot run cargo")?;
    ensure!(status.success(), "the build failed");
    let metadata =
        cargo().args(["metadata", "--no-deps", "--format-version=1"]).output().context("cannot run cargo")?;
    let metadata: serde_json::Value = serde_json::from_slice(&metadata.stdout).context("cargo metadata")?;
    let target = metadata["target_directory"].as_str().context("cargo metadata names no target directory")?;
    Ok(Path::new(target).join("release/bootstrap"))
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
            fs::write(&config, "version: 1\n").unwrap();
            // A small program of the system that Lambda could start as well.
            let binary = folder.path().join("program");
            fs::write(&binary, fs::read("/bin/true").unwrap()).unwrap();
            let options = Options { out: out.clone(), config: Some(config), with: Vec::new(), binary: Some(binary) };
            run(&options).unwrap_or_else(|error| panic!("{error:#}"));
            fs::read(out).unwrap()
        });
        assert!(archives[0] == archives[1]);
    }

    #[test]
    fn files_beside_the_binary_keep_a_relative_path_only() {
        assert_eq!(name_inside(Path::new("certs/./corp-ca.pem")).unwrap(), "certs/corp-ca.pem");
        for bad in ["/etc/ca.pem", "../ca.pem", "certs/../../ca.pem", ""] {
            assert!(name_inside(Path::new(bad)).is_err(), "{bad}");
        }
    }
}
