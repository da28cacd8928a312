//! S3, Systems Manager, CloudWatch, Lambda and Elastic Load Balancing as moto imitates them (<https://docs.getmoto.org>), on a loopback port. Owns its
//! installation in `target/tools/moto`; knows nothing of the requests.

use std::env;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::folder::Folder;
use crate::process::Process;
use crate::tools::{Absent, PYTHON, Tool, make};
use crate::wait;

/// moto and what it needs for these services.
const REQUIREMENTS: &str = include_str!("../moto.txt");
/// It serves.
const SCRIPT: &str = include_str!("../moto.py");

/// Python with moto. The first test that needs it installs it, which takes half a minute and 140 MB.
pub static MOTO: Tool = Tool::new(|| {
    PYTHON.find()?;
    let folder = folder();
    fs::create_dir_all(&folder).unwrap();
    // Test binaries may run at the same time.
    let lock = File::create(folder.join("lock")).unwrap();
    lock.lock().unwrap();
    let stamp = folder.join("installed");
    if fs::read_to_string(&stamp).is_ok_and(|installed| installed == REQUIREMENTS) {
        return Ok(());
    }
    fs::write(folder.join("requirements.txt"), REQUIREMENTS).unwrap();
    make(Command::new("python3").args(["-m", "venv"]).arg(folder.join("python")))?;
    let mut pip = Command::new(python());
    pip.args(["-m", "pip", "install", "--quiet", "--no-deps", "--disable-pip-version-check", "-r"]);
    // Without a network there is no moto.
    make(pip.arg(folder.join("requirements.txt"))).map_err(|error| {
        let error = error.to_string();
        let last = error.lines().rfind(|line| !line.trim().is_empty()).unwrap_or_default();
        Absent::Missing(format!("`moto` cannot be installed: {last}"))
    })?;
    fs::write(stamp, REQUIREMENTS).unwrap();
    Ok(())
});

/// A running moto, which ends with its owner. Everything in it is gone then.
pub struct Moto {
    _process: Process,
    log: Folder,
    /// For `AWS_ENDPOINT_URL`.
    pub url: String,
}

impl Moto {
    /// Starts one. `variables` are moto's own, such as `MOTO_S3_DEFAULT_MAX_KEYS`.
    ///
    /// # Panics
    /// When it does not start.
    #[must_use]
    pub fn start(variables: &[(&str, &str)]) -> Self {
        let log = Folder::new();
        let output = || Stdio::from(File::options().create(true).append(true).open(log.join("log")).unwrap());
        let mut command = Command::new(python());
        command.args(["-c", SCRIPT]).envs(variables.iter().copied());
        let process = Process::start(command.stdin(Stdio::null()).stdout(output()).stderr(output()));
        let url = wait::until_ok("the start of moto", || {
            let said = log.read("log");
            let (_, rest) = said.split_once("Running on ").ok_or_else(|| said.clone())?;
            let (url, _) = rest.split_once('\n').ok_or_else(|| said.clone())?;
            Ok::<_, String>(url.trim().to_owned())
        });
        Self { _process: process, log, url }
    }

    /// All that it has logged: a line for each request.
    #[must_use]
    pub fn log(&self) -> String {
        self.log.read("log")
    }
}

fn folder() -> PathBuf {
    // `target/PROFILE/deps/TEST`
    let own = env::current_exe().unwrap();
    own.ancestors().nth(3).unwrap_or(Path::new("target")).join("tools/moto")
}

fn python() -> PathBuf {
    folder().join("python/bin/python")
}
