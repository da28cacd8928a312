//! `crossfade package`: the zip file for Lambda, from a prebuilt program and a configuration.
//!
//! Owns the options, where the program is found, and the output. `check` and `test` decide whether a configuration is
//! packaged; `crossfade-package` makes and checks the archive.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use clap::ValueEnum;
use crossfade_package::{Architecture, Configuration, Files, Package, Program};
use serde_json::{Value, json};

use super::{Verdict, check, test};
use crate::terminal::{print, print_json, say};

/// Write the zip file for Lambda: the function and a configuration that passes `check` and `test`
#[derive(clap::Args)]
#[command(after_help = "\
Examples:
  crossfade package --config crossfade.yaml
  crossfade package --config crossfade.yaml --arch arm64 --output deploy/serverless/bootstrap.zip
  crossfade package --config crossfade.yaml --binary target/release/bootstrap
  crossfade package                                  no configuration: set CROSSFADE_BACKEND for the function

The function's program is `bootstrap-x86_64` or `bootstrap-arm64` beside this command, as the release archives have them, or
`bootstrap` there. Nothing is compiled or downloaded. The package has every file that the configuration names, at the same
relative path, and the configuration as JSON, which starts faster. The same input gives the same bytes on every machine.
`${env:NAME}` is checked with this shell's environment, and read from the function's at each start.
Exit codes: 0 written, 1 the configuration has errors or a test fails, 2 the package could not be made.")]
pub(super) struct Options {
    /// Configuration to check, test and package [default: none]
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
    /// Processor architecture of the function [default: that of `--binary`, otherwise x86_64]
    #[arg(long)]
    arch: Option<Arch>,
    /// Program of the function, instead of the one beside this command
    #[arg(long, value_name = "FILE")]
    binary: Option<PathBuf>,
    /// Add another file at the same relative path, such as that of SSL_CERT_FILE; can be repeated
    #[arg(long = "with", value_name = "FILE")]
    with: Vec<PathBuf>,
    /// Archive to write
    #[arg(short, long, value_name = "FILE", default_value = "bootstrap.zip")]
    output: PathBuf,
    /// Print one JSON document instead of text
    #[arg(long)]
    json: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Arch {
    #[value(name = "x86_64")]
    X86_64,
    Arm64,
}

impl From<Arch> for Architecture {
    fn from(arch: Arch) -> Architecture {
        match arch {
            Arch::X86_64 => Architecture::X86_64,
            Arch::Arm64 => Architecture::Arm64,
        }
    }
}

pub(super) fn run(options: &Options) -> Result<Verdict> {
    let mut files = Files::default();
    let mut configuration = None;
    if let Some(file) = &options.config {
        if check::is_rejected(file)? || test::is_rejected(file)? {
            return Ok(Verdict::Findings);
        }
        let added = Configuration::add(file, &mut files)?;
        // What `check` accepts may still be something that a package cannot hold.
        if added.diagnostics.has_errors() {
            say(&added.diagnostics.with_lines().to_string());
            return Ok(Verdict::Findings);
        }
        configuration = Some(added);
    }
    for file in &options.with {
        let added = files.add(Path::new(""), file).map_err(anyhow::Error::msg);
        added.with_context(|| format!("cannot package `{}`", file.display()))?;
    }
    let wanted = options.arch.map(Architecture::from);
    let (path, program) = match &options.binary {
        Some(path) => (path.clone(), read(path)?),
        None => beside(wanted.unwrap_or(Architecture::ALL[0]))?,
    };
    let package = Package::new(program, &path, files)?;
    let found = package.program.architecture;
    if let Some(wanted) = wanted.filter(|wanted| *wanted != found) {
        bail!(
            "`{}` is built for {found}, not for {wanted}\n  hint: pass `--arch {found}`, or another `--binary`",
            path.display()
        );
    }
    if let Some(folder) = options.output.parent().filter(|folder| !folder.as_os_str().is_empty()) {
        fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    }
    let output = options.output.display();
    fs::write(&options.output, &package.zip).with_context(|| format!("cannot write `{output}`"))?;
    for warning in &package.warnings {
        say(&format!("warning: {warning}"));
    }
    let document = Written { package: &package, configuration: configuration.as_ref(), output: output.to_string() };
    match options.json {
        true => print_json(&document.json())?,
        false => print(&document.text())?,
    }
    Ok(Verdict::Clean)
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))
}

/// The program that was installed with this command.
fn beside(wanted: Architecture) -> Result<(PathBuf, Vec<u8>)> {
    let command = std::env::current_exe().context("cannot find this command's own folder")?;
    // A link in the `PATH` leads to where the archive was unpacked.
    let command = fs::canonicalize(&command).unwrap_or(command);
    let folder = command.parent().unwrap_or(Path::new(""));
    let names = [format!("bootstrap-{wanted}"), "bootstrap".to_owned()];
    let hint = format!(
        "a release archive of Crossfade has it as `bootstrap-{wanted}`; or build it in a clone with `cargo build --release -p \
         crossfade-function` and pass `--binary target/release/bootstrap`"
    );
    for path in names.iter().map(|name| folder.join(name)).filter(|path| path.is_file()) {
        let program = read(&path)?;
        let Program { architecture, has_debug_info, .. } =
            Program::read(&program).with_context(|| format!("`{}`", path.display()))?;
        ensure!(!has_debug_info, "`{}` is a development build, which starts slowly\n  hint: {hint}", path.display());
        if architecture == wanted || path.ends_with(&names[0]) {
            return Ok((path, program));
        }
    }
    bail!("there is no program for {wanted} in `{}`\n  hint: {hint}", folder.display())
}

/// The result of the command.
struct Written<'p> {
    package: &'p Package,
    configuration: Option<&'p Configuration>,
    output: String,
}

impl Written<'_> {
    fn text(&self) -> String {
        let Package { zip, files, program, code_sha256, sha256, .. } = self.package;
        let rows = files.iter().map(|(name, size, mode)| {
            let note = match name.as_str() {
                "bootstrap" => format!("{}, {}", program.architecture, program.library()),
                "crossfade.yaml" if self.configuration.is_some_and(|it| it.is_compiled) => "as JSON".to_owned(),
                _ => String::new(),
            };
            format!("  {mode:04o} {size:>9}  {name:<20}  {note}").trim_end().to_owned() + "\n"
        });
        let rows: String = rows.collect();
        let mut text = format!(
            "{}: {} bytes ({:.2} MB), {}\n{rows}sha256      {sha256}\nCodeSha256  {code_sha256}\n",
            self.output,
            zip.len(),
            zip.len() as f64 / 1e6,
            program.architecture,
        );
        if self.configuration.is_none() {
            text += "no configuration: set `CROSSFADE_BACKEND=https://…` for the function\n";
        }
        if self.configuration.is_some_and(|it| !it.is_compiled) {
            text += "the configuration stays YAML: JSON would read one of its values differently\n";
        }
        let variables: Vec<_> =
            self.configuration.iter().flat_map(|it| &it.variables).map(|name| format!("`{name}`")).collect();
        if !variables.is_empty() {
            text += &format!("the function's environment needs {}\n", variables.join(", "));
        }
        text
    }

    fn json(&self) -> String {
        let Package { zip, files, program, code_sha256, sha256, warnings, .. } = self.package;
        let files: Vec<Value> = files
            .iter()
            .map(|(name, size, mode)| json!({ "name": name, "size": size, "mode": format!("{mode:04o}") }))
            .collect();
        let document = json!({
            "version": 1,
            "file": self.output,
            "size": zip.len(),
            "sha256": sha256,
            "codeSha256": code_sha256,
            "architecture": program.architecture.name(),
            "library": program.library(),
            "compiled": self.configuration.map(|it| it.is_compiled),
            "variables": self.configuration.map(|it| &it.variables),
            "files": files,
            "warnings": warnings,
        });
        format!("{document:#}\n")
    }
}
