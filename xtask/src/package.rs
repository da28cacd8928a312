//! `cargo xtask package`: from sources to the zip file that is deployed.
//!
//! Owns the order of steps and what is printed. It refuses to write an archive that Amazon Linux 2023 could not start, or that
//! Lambda would not take.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::archive::{self, Entry};
use crate::configuration::{self, Files, MOST_UNPACKED, PROGRAM, has_private_key};
use crate::linkage::Linkage;

/// The largest archive that Lambda takes directly (AWS, "Lambda quotas"); a larger one goes through S3.
const MOST_UPLOADED: usize = 50 * 1024 * 1024;

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
    let variables = match &options.config {
        Some(config) => configuration::add(config, &mut files)?,
        None => BTreeSet::new(),
    };
    for file in &options.with {
        let added = files.add(Path::new(""), file).map_err(anyhow::Error::msg);
        added.with_context(|| format!("cannot package `{}`", file.display()))?;
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

    let mut entries = vec![Entry { name: PROGRAM.into(), mode: 0o755, data: program }];
    entries.extend(files.sorted().into_iter().map(|(name, data)| Entry { name, mode: 0o644, data }));
    let unpacked: usize = entries.iter().map(|entry| entry.data.len()).sum();
    ensure!(
        unpacked as u64 <= MOST_UNPACKED,
        "the files of the package have {unpacked} bytes, and Lambda allows {MOST_UNPACKED}:\n{}",
        entries.iter().map(|entry| format!("{:>12} {}\n", entry.data.len(), entry.name)).collect::<String>()
    );
    // The program has the words that it reads keys by.
    for key in entries.iter().filter(|entry| entry.name != PROGRAM && has_private_key(&entry.data)) {
        eprintln!(
            "warning: the package contains a private key, `{}`: protect the archive, and allow `lambda:GetFunction` and the deployment's bucket only to those who may have the key",
            key.name
        );
    }
    let zip = archive::write(&entries)?;
    if zip.len() > MOST_UPLOADED {
        eprintln!("warning: the archive has more than 50 MB: deploy it through S3, as the Serverless Framework does");
    }
    if let Some(folder) = options.out.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    }
    fs::write(&options.out, &zip).with_context(|| format!("cannot write `{}`", options.out.display()))?;

    let glibc = linkage.glibc.map_or_else(|| "no glibc".to_string(), |version| format!("glibc {version}"));
    let sizes = entries.iter().map(|entry| (entry.name.as_str(), entry.data.len()));
    let width = sizes.clone().map(|(name, _)| name.len()).max().unwrap_or_default();
    for (name, size) in sizes {
        let linkage = format!(", {}, {glibc}, needs {}", linkage.architecture, linkage.libraries.join(" "));
        println!("{name:<width$}  {size} bytes{}", if name == PROGRAM { &linkage } else { "" });
    }
    if !variables.is_empty() {
        let names: Vec<_> = variables.iter().map(|name| format!("`{name}`")).collect();
        println!(
            "the function's environment needs {}: the package was checked with this shell's values",
            names.join(", ")
        );
    }
    println!("{}  {} bytes, {:.1} KiB", options.out.display(), zip.len(), zip.len() as f64 / 1024.0);
    Ok(())
}

fn read(file: &Path) -> Result<Vec<u8>> {
    fs::read(file).with_context(|| format!("cannot read `{}`", file.display()))
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
