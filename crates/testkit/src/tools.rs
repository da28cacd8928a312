//! A harness for tests that need programs which do not come with Rust. A test whose programs are missing is ignored with the
//! reason, and fails if the variable `CI` is `true`.
//!
//! libtest decides when it compiles which tests are ignored, and calls a test `ok` that returned early. So these tests are
//! binaries with `harness = false`, which look for their tools when they run. Each leaves a list of its tests that did not run,
//! which `xtask/tests/what_did_not_run.rs` prints at the end of `cargo test --workspace`.

use std::env;
use std::fmt;
use std::fs;
use std::path::PathBuf;
use std::process::{Command, ExitCode, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use libtest_mimic::{Arguments, Completion, Failed, Trial};

/// A program, or something that is made with one.
pub struct Tool {
    look: fn() -> Result<(), Absent>,
    found: OnceLock<Result<(), Absent>>,
    is_reported: AtomicBool,
}

/// The reason why a tool cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Absent {
    /// This machine does not have it.
    Missing(String),
    /// Nor can `.ci/run` install it from a package registry: left out everywhere.
    Unpackaged(String),
    /// It is there and does not work: a failure everywhere.
    Broken(String),
}

impl fmt::Display for Absent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Absent::Missing(reason) | Absent::Unpackaged(reason) | Absent::Broken(reason)) = self;
        f.write_str(reason)
    }
}

/// A test and its tools.
pub struct Test {
    /// As a filter and the output name it.
    pub name: String,
    /// All that it needs.
    pub needs: Vec<&'static Tool>,
    /// It panics if it fails.
    pub run: fn(),
}

/// Tests by their paths, each after its tools: `tests! { [NODE] module::test; [] module::asynchronous_test.await; }`.
#[macro_export]
macro_rules! tests {
    (@run $test:path) => { $test };
    (@run $test:path, $await:ident) => { || $crate::tools::block_on($test()) };
    ($([$($tool:expr),*] $($path:ident)::+ $(. $await:ident)?;)*) => {
        vec![$($crate::tools::Test {
            name: [$(stringify!($path)),+].join("::"),
            needs: vec![$(&$tool),*],
            run: $crate::tests!(@run $($path)::+ $(, $await)?),
        }),*]
    };
}

/// Runs an asynchronous test.
pub fn block_on(test: impl Future<Output = ()>) {
    tokio::runtime::Builder::new_multi_thread().enable_all().build().unwrap().block_on(test);
}

/// Node.js with npm.
pub static NODE: Tool = Tool::new(|| {
    let install = "install Node.js 20.19 or later, with npm (https://nodejs.org)";
    let version = said("node", &["--print", "process.versions.node"]).ok_or_else(|| missing("node", install))?;
    let mut numbers = version.trim().split('.').map_while(|number| number.parse::<u32>().ok());
    if (numbers.next(), numbers.next()) < (Some(20), Some(19)) {
        return Err(Absent::Missing(format!("`node` is version {}: {install}", version.trim())));
    }
    has("npm", "--version", install)
});

/// Python with what makes a virtual environment, which Debian packages apart.
pub static PYTHON: Tool = Tool::new(|| {
    let install = "install Python 3 with venv (Debian: python3-venv)";
    has("python3", "--version", install)?;
    said("python3", &["-c", "import ensurepip, venv"]).map(drop).ok_or_else(|| missing("venv", install))
});

/// A C++ compiler and make.
pub static COMPILER: Tool = Tool::new(|| {
    let install = "install a C++ compiler and make (Debian: build-essential)";
    has("g++", "--version", install)?;
    has("make", "--version", install)
});

/// A browser; [`chromium`] is its path.
pub static CHROMIUM: Tool = Tool::new(|| match chromium() {
    Some(_) => Ok(()),
    None => Err(missing("chromium", "install Chromium or Chrome, or name it in the variable `CHROMIUM`")),
});

/// The web server; [`nginx`] is its path.
pub static NGINX: Tool = Tool::new(|| match nginx() {
    Some(_) => Ok(()),
    None => Err(missing("nginx", "install nginx (Debian: nginx-light)")),
});

/// The command line of OpenSSL.
pub static OPENSSL: Tool = Tool::new(|| has("openssl", "version", "install OpenSSL"));

/// An HTTP client that is not ours.
pub static CURL: Tool = Tool::new(|| has("curl", "--version", "install curl"));

/// The shell that curl commands are written for.
pub static BASH: Tool = Tool::new(|| has("bash", "--version", "install bash"));

impl Tool {
    /// Found by this function, which is asked once.
    #[must_use]
    pub const fn new(look: fn() -> Result<(), Absent>) -> Self {
        Self { look, found: OnceLock::new(), is_reported: AtomicBool::new(false) }
    }

    /// Looks for it.
    ///
    /// # Errors
    /// When it cannot be used.
    pub fn find(&self) -> Result<(), Absent> {
        self.found.get_or_init(self.look).clone()
    }
}

/// The path of Chromium: that of the variable `CHROMIUM`, or the first in the path.
#[must_use]
pub fn chromium() -> Option<PathBuf> {
    let named = env::var_os("CHROMIUM").map(PathBuf::from);
    named.or_else(|| ["chromium", "chromium-browser", "google-chrome"].iter().find_map(|name| in_path(name, &[])))
}

/// The path of nginx. Debian keeps it where only root looks.
#[must_use]
pub fn nginx() -> Option<PathBuf> {
    in_path("nginx", &["/usr/sbin"])
}

fn in_path(program: &str, more: &[&str]) -> Option<PathBuf> {
    let path = env::var_os("PATH").unwrap_or_default();
    let folders = env::split_paths(&path).chain(more.iter().map(PathBuf::from));
    folders.map(|folder| folder.join(program)).find(|file| file.is_file())
}

/// Looks for a program that prints its version.
///
/// # Errors
/// [`Absent::Missing`] with these words on how to install it.
pub fn has(program: &str, version: &str, install: &str) -> Result<(), Absent> {
    said(program, &[version]).map(drop).ok_or_else(|| missing(program, install))
}

fn missing(program: &str, install: &str) -> Absent {
    Absent::Missing(format!("`{program}` is missing: {install}"))
}

/// The output of a program that succeeds.
fn said(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Runs a command that makes a tool.
///
/// # Errors
/// [`Absent::Broken`] with its output, if it fails or cannot be started.
pub fn make(command: &mut Command) -> Result<(), Absent> {
    let told = match command.output() {
        Ok(output) if output.status.success() => return Ok(()),
        Ok(output) => String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned(),
        Err(error) => error.to_string(),
    };
    Err(Absent::Broken(format!("{command:?} failed:\n{told}")))
}

/// The main function of a test binary.
#[must_use]
pub fn run(tests: Vec<Test>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    // As libtest reads it.
    let threads = env::var("RUST_TEST_THREADS").ok().and_then(|threads| threads.parse().ok());
    // These tests wait for other processes half of their time.
    let twice = || std::thread::available_parallelism().map(|cpus| 2 * cpus.get()).ok();
    arguments.test_threads = arguments.test_threads.or(threads).or_else(twice);
    let left_out = Arc::new(Mutex::new(Vec::new()));
    let trial = |test: Test| {
        let left_out = left_out.clone();
        Trial::ignorable_test(test.name.clone(), move || {
            let Some(reason) = reason(&test, env::var_os("CI").is_some_and(|value| value == "true"))? else {
                (test.run)();
                return Ok(Completion::Completed);
            };
            let line = format!("{}: {reason}", test.name);
            left_out.lock().unwrap_or_else(PoisonError::into_inner).push(line);
            Ok(Completion::ignored_with(reason))
        })
    };
    let conclusion = libtest_mimic::run(&arguments, tests.into_iter().map(trial).collect());
    if !arguments.list {
        leave(&left_out.lock().unwrap_or_else(PoisonError::into_inner));
    }
    conclusion.exit_code()
}

/// The reason to leave a test out. One cause fails one test: the first one that needs the tool.
fn reason(test: &Test, is_ci: bool) -> Result<Option<String>, Failed> {
    for tool in &test.needs {
        let (is_failure, reason) = match tool.find() {
            Ok(()) => continue,
            Err(Absent::Missing(reason)) => (is_ci, reason),
            Err(Absent::Unpackaged(reason)) => (false, reason),
            Err(Absent::Broken(reason)) => (true, reason),
        };
        return match is_failure && !tool.is_reported.swap(true, Ordering::Relaxed) {
            true => Err(reason.into()),
            // In the form of a line.
            false => Ok(Some(reason.lines().next().unwrap_or_default().to_owned())),
        };
    }
    Ok(None)
}

/// Replaces this binary's list of tests that did not run: `target/PROFILE/did-not-run/PACKAGE-BINARY`.
fn leave(lines: &[String]) {
    let own = env::current_exe().unwrap();
    let name = own.file_stem().unwrap_or_default().to_string_lossy();
    let name = name.rsplit_once('-').map_or(&*name, |(name, _)| name);
    let package = env::var("CARGO_PKG_NAME").unwrap_or_default();
    let folder = own.ancestors().nth(2).unwrap().join("did-not-run");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join(format!("{package}-{name}")), lines.join("\n")).unwrap();
}

#[cfg(test)]
mod tests {
    use super::*;

    static HERE: Tool = Tool::new(|| Ok(()));
    static MISSING: Tool = Tool::new(|| has("no-such-program", "--version", "install it"));
    static UNPACKAGED: Tool = Tool::new(|| Err(Absent::Unpackaged("download it".to_owned())));
    static BROKEN: Tool = Tool::new(|| make(Command::new("sh").args(["-c", "echo first; echo second >&2; exit 1"])));

    #[test]
    fn a_test_is_left_out_with_a_reason_and_one_cause_fails_one_test() {
        let test = |needs: &[&'static Tool]| Test { name: String::new(), needs: needs.to_vec(), run: || () };
        let left_out =
            |needs: &[_], is_ci| reason(&test(needs), is_ci).map_err(|failed| failed.message().unwrap().to_owned());
        assert_eq!(left_out(&[&HERE], true), Ok(None));
        let missing = || "`no-such-program` is missing: install it".to_owned();
        for (is_ci, expected) in [
            (false, Ok(Some(missing()))),
            (true, Err(missing())),
            (true, Ok(Some(missing()))),
            (false, Ok(Some(missing()))),
        ] {
            assert_eq!(left_out(&[&HERE, &MISSING], is_ci), expected);
        }
        assert_eq!(left_out(&[&HERE, &UNPACKAGED], true), Ok(Some("download it".to_owned())));
        let broken = left_out(&[&BROKEN], false).unwrap_err();
        assert!(broken.ends_with("failed:\nfirst\nsecond\n"), "{broken}");
        assert!(left_out(&[&BROKEN], false).unwrap().unwrap().ends_with("failed:"));
    }
}
