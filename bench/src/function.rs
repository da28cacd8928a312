//! The compared functions: builds and starts each, and passes it the address of its back end. It owns processes, and
//! no measuring: a [`Process`] ends when it is dropped.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context as _, bail, ensure};
use crossfade_event::HeaderMode;
use crossfade_testkit::process;

/// One of the functions compared.
#[derive(Debug, Clone)]
pub struct Function {
    /// The name in the tables.
    pub name: &'static str,
    /// The header mode its events come in. The article's handler fails every event in multi-value mode.
    pub mode: HeaderMode,
    /// Program and arguments.
    pub command: Vec<OsString>,
}

/// Crossfade's own function, as the tables call it.
pub const OURS: &str = "crossfade";
/// The anchor that does no more than the Runtime API.
pub const RAW_FLOOR: &str = "raw-floor";
/// The anchor that does no more than forward.
pub const RAW_PROXY: &str = "raw-proxy";
/// The official runtime crate and a constant answer.
pub const ECHO_FLOOR: &str = "echo-floor";
/// The sixty lines anyone writes with the official crates.
pub const FLOOR: &str = "floor";
/// The handler written to the article's description.
pub const ARTICLE: &str = "article";
/// The careful Node handler.
pub const FIXED: &str = "fixed";

impl Function {
    /// Crossfade's `bootstrap` from that target folder.
    #[must_use]
    pub fn ours(target: &Path) -> Self {
        Self::binary(OURS, target, "bootstrap")
    }

    /// One of the anchors from that target folder.
    #[must_use]
    pub fn anchor(name: &'static str, target: &Path) -> Self {
        Self::binary(name, target, name)
    }

    /// The article's handler or the fixed one. Call [`install_node_packages`] first.
    #[must_use]
    pub fn node(name: &'static str) -> Self {
        let folder = node_folder();
        let mode = if name == ARTICLE { HeaderMode::Single } else { HeaderMode::Multi };
        let script = folder.join(format!("{name}.js"));
        Self { name, mode, command: vec!["node".into(), folder.join("runtime.js").into(), script.into()] }
    }

    /// Returns whether its response is always the same.
    #[must_use]
    pub fn is_constant(&self) -> bool {
        [RAW_FLOOR, ECHO_FLOOR].contains(&self.name)
    }

    fn binary(name: &'static str, target: &Path, file: &str) -> Self {
        Self { name, mode: HeaderMode::Multi, command: vec![target.join(file).into()] }
    }

    /// Starts it under `wrapper` (a tool and its arguments; empty for none). What it prints goes nowhere, its errors to
    /// `NAME.log` in `folder`.
    ///
    /// # Errors
    /// When the program cannot be started.
    pub fn start(&self, api: &str, backend: &Backend, folder: &Path, wrapper: &[OsString]) -> anyhow::Result<Process> {
        let log = folder.join(format!("{}.log", self.name));
        let line: Vec<&OsString> = wrapper.iter().chain(&self.command).collect();
        let (program, arguments) = line.split_first().context("an empty command")?;
        let child = Command::new(program)
            .args(arguments)
            .envs(backend.environment())
            .env("AWS_LAMBDA_RUNTIME_API", api)
            .env("AWS_LAMBDA_FUNCTION_NAME", "bench")
            .env("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST")
            .env("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128")
            .env("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand")
            .env("AWS_REGION", "eu-west-1")
            .env("_HANDLER", "bootstrap")
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(File::create(&log)?)
            .spawn()
            .with_context(|| format!("cannot start `{}`", program.to_string_lossy()))?;
        Ok(Process { child: child.into(), log })
    }
}

/// The address of a function's back end, and the authority that it trusts.
#[derive(Debug, Clone)]
pub struct Backend {
    /// `https://localhost:PORT`
    pub url: String,
    /// The authority's certificate.
    pub ca_file: PathBuf,
}

impl Backend {
    /// The same facts under the names each function reads.
    #[must_use]
    pub fn environment(&self) -> Vec<(String, String)> {
        let ca_file = self.ca_file.to_string_lossy().into_owned();
        vec![
            ("CROSSFADE_BACKEND".to_owned(), self.url.clone()),
            ("SSL_CERT_FILE".to_owned(), ca_file.clone()),
            ("BACKEND".to_owned(), self.url.clone()),
            ("NODE_EXTRA_CA_CERTS".to_owned(), ca_file),
        ]
    }
}

/// A running function; killed and waited for when dropped.
#[derive(Debug)]
pub struct Process {
    child: process::Process,
    log: PathBuf,
}

impl Process {
    /// Its process id.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// The last lines it wrote to standard error, for an error message.
    #[must_use]
    pub fn last_words(&self) -> String {
        let text = std::fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&text);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(6)..].join("\n")
    }

    /// Asks it to end, as Lambda does, and waits for it: so that a wrapper can write what it counted.
    ///
    /// # Panics
    /// When it does not end.
    pub fn terminate(mut self) {
        self.child.signal(process::Signal::TERM);
        self.child.wait();
    }
}

/// The folder of the Node handlers.
#[must_use]
pub fn node_folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("node")
}

/// Installs what the article's handler needs, if it is not there yet.
///
/// # Errors
/// When `npm` is missing or fails.
pub fn install_node_packages() -> anyhow::Result<()> {
    if node_folder().join("node_modules").is_dir() {
        return Ok(());
    }
    let status = Command::new("npm")
        .args(["ci", "--no-audit", "--no-fund", "--silent"])
        .current_dir(node_folder())
        .status()
        .context("cannot start `npm`: install Node 20 or newer")?;
    ensure!(status.success(), "`npm ci` failed in `{}`", node_folder().display());
    Ok(())
}

/// Builds binaries with cargo in the profile that this program itself was built in, each package for itself, so that
/// what is measured is what would ship. Returns the folder they are in.
///
/// # Errors
/// When cargo fails.
pub fn build(package: &str, binaries: &[&str]) -> anyhow::Result<PathBuf> {
    let mut arguments = vec!["--package", package];
    for binary in binaries {
        arguments.extend(["--bin", binary]);
    }
    cargo(&[&["build"], &arguments[..]].concat().into_iter().map(Into::into).collect::<Vec<_>>())?;
    own_folder()
}

/// Builds the binaries of ours as `cargo test --workspace` has them, with its features: alone they would have others, and the
/// AWS SDK would be compiled once more, for minutes. Returns the folder they are in.
///
/// # Errors
/// When cargo fails.
pub fn build_for_tests() -> anyhow::Result<PathBuf> {
    // Tests that start these binaries.
    cargo(&["test", "--workspace", "--no-run", "--test", "it", "--test", "runtime"].map(Into::into))?;
    own_folder()
}

/// Builds `echo-floor` and `floor`, which have a workspace of their own, beside the others. Returns the folder they are
/// in.
///
/// # Errors
/// When cargo fails.
pub fn build_official_anchors() -> anyhow::Result<PathBuf> {
    let own = own_folder()?;
    let target = own.with_file_name("anchors");
    let manifest = Path::new(env!("CARGO_MANIFEST_DIR")).join("anchors/Cargo.toml");
    cargo(&[
        "build".into(),
        "--locked".into(),
        "--manifest-path".into(),
        manifest.into(),
        "--target-dir".into(),
        target.clone().into(),
    ])?;
    Ok(target.join(own.file_name().unwrap_or_default()))
}

/// Installs a binary of a published package, with the versions of its own lock file, beside the others, unless it is there.
/// Returns its path.
///
/// # Errors
/// When cargo fails.
pub fn install(package: &str, version: &str, binary: &str) -> anyhow::Result<PathBuf> {
    let root = own_folder()?.with_file_name(format!("{package}-{version}"));
    let program = root.join("bin").join(binary);
    if !program.is_file() {
        let status = cargo_command()
            .args(["install", "--quiet", "--locked", package, "--version", version, "--bin", binary, "--root"])
            .arg(&root)
            .status()
            .context("cannot start `cargo`")?;
        ensure!(status.success(), "`cargo install {package}` failed");
    }
    Ok(program)
}

/// Cargo without the variables that `cargo run` sets for this program: `ring` is built again if they change, and with it all
/// that depends on it.
fn cargo_command() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    let names = std::env::vars_os().map(|(name, _)| name);
    for name in names.filter(|name| {
        ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|start| name.as_encoded_bytes().starts_with(start.as_bytes()))
    }) {
        command.env_remove(name);
    }
    command
}

fn cargo(arguments: &[OsString]) -> anyhow::Result<()> {
    let mut command = cargo_command();
    command.current_dir(env!("CARGO_MANIFEST_DIR")).args(arguments).arg("--quiet");
    if !cfg!(debug_assertions) {
        command.arg("--release");
    }
    if !command.status().context("cannot start `cargo`")?.success() {
        bail!("`cargo` failed with {arguments:?}");
    }
    Ok(())
}

/// The folder of release builds, regardless of the profile of this program.
///
/// # Errors
/// When this program's own place is not known.
pub fn release_folder() -> anyhow::Result<PathBuf> {
    Ok(own_folder()?.with_file_name("release"))
}

/// The folder of this program's build; tests run from `deps`, one level below.
fn own_folder() -> anyhow::Result<PathBuf> {
    let own = std::env::current_exe()?;
    let folder = own.parent().context("this program is in no folder")?;
    Ok(if folder.ends_with("deps") { folder.parent().unwrap_or(folder) } else { folder }.to_owned())
}
