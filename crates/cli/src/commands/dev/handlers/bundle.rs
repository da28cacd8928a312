//! JavaScript that the project's esbuild makes of a TypeScript handler. Owns esbuild's options and the place of the result.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use crossfade_emulator::Function;

use super::{folder_of, project};
use crate::terminal::say;

/// A handler to bundle.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::commands::dev) struct Bundle {
    /// The folder of the results, in which the handler has the same path as in the function's folder.
    pub(super) root: PathBuf,
    function: String,
    program: PathBuf,
    source: PathBuf,
    result: PathBuf,
    target: Option<String>,
}

impl Bundle {
    /// For a TypeScript file of a function; `None` without esbuild in the project.
    pub(super) fn find(function: &Function, file: &Path) -> Option<Bundle> {
        let modules = project(function).into_iter().map(|folder| folder.join("node_modules"));
        let modules = modules.into_iter().find(|folder| folder.join(".bin/esbuild").exists())?;
        // Ignored by git and by the watch, and packages that stay outside the bundle are found from here.
        let root = modules.join(".cache/crossfade").join(&function.name);
        // `.cjs` is CommonJS whatever a `package.json` says.
        let result = root.join(file.strip_prefix(folder_of(function)).ok()?).with_extension("cjs");
        let version = function.runtime.as_deref().and_then(|runtime| runtime.strip_prefix("nodejs"));
        let target = version.and_then(|version| version.strip_suffix(".x")).map(|version| format!("node{version}"));
        let source = std::path::absolute(file).ok()?;
        let program = modules.join(".bin/esbuild");
        Some(Bundle { root, function: function.name.clone(), program, source, result, target })
    }

    /// Writes the result. Warnings go to standard error.
    ///
    /// # Errors
    /// Those of the source, as esbuild reports them.
    pub(in crate::commands::dev) fn make(&self) -> Result<()> {
        let Bundle { program, source, result, target, function, .. } = self;
        let mut command = Command::new(program);
        command.args(["--bundle", "--platform=node", "--format=cjs", "--sourcemap", "--log-level=warning"]);
        command.args(target.iter().map(|target| format!("--target={target}")));
        command.arg(format!("--outfile={}", result.display())).arg(source).stdin(Stdio::null());
        command.current_dir(source.parent().unwrap_or(Path::new("/")));
        let output = command.output().with_context(|| format!("cannot start `{}`", program.display()))?;
        let told = String::from_utf8_lossy(&output.stderr);
        let told = told.trim();
        if !output.status.success() {
            bail!("function `{function}`: esbuild cannot bundle `{}`\n{told}", source.display());
        }
        if !told.is_empty() {
            say(told);
        }
        Ok(())
    }
}
