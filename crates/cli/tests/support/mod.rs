//! Shared by test files: a running `crossfade dev`, and programs that are installed once.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub)] // a test may panic; not every test uses everything

pub mod browser;
pub mod cdk;
pub mod install;
pub mod lint;
pub mod terraform;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::Receiver;

use crossfade_testkit::process::{Process, Signal, lines};
use crossfade_testkit::wait::PATIENCE;

/// The listener of the load balancer that all deploy files are tested with.
pub const LISTENER: &str =
    "arn:aws:elasticloadbalancing:eu-west-1:123456789012:listener/app/front/50dc6c495c0c9188/f2f7dc8efc522ab2";

/// A running `crossfade dev`.
pub struct Dev {
    pub child: Process,
    /// `http://127.0.0.1:PORT`
    pub alb: String,
    /// The same of the inspector; empty without one.
    pub inspector: String,
    pub banner: String,
    /// The request lines.
    pub stdout: Receiver<String>,
    pub stderr: Receiver<String>,
}

impl Dev {
    pub fn start(arguments: &[&str]) -> Dev {
        Dev::start_in(Path::new("."), arguments)
    }

    pub fn start_in(folder: &Path, arguments: &[&str]) -> Dev {
        Dev::start_with(folder, arguments, &[])
    }

    /// With more in the environment.
    pub fn start_with(folder: &Path, arguments: &[&str], environment: &[(&str, &str)]) -> Dev {
        let mut command = command(folder);
        let mut child = Process::start(command.args(arguments).envs(environment.iter().copied())).asked_to_end();
        let stdout = lines(child.child.stdout.take().unwrap());
        let stderr = lines(child.child.stderr.take().unwrap());
        let mut dev =
            Dev { child, alb: String::new(), inspector: String::new(), banner: String::new(), stdout, stderr };
        // It ends with a blank line below the commands to type, or the rules.
        let is_complete = |banner: &str| {
            banner.ends_with("\n\n") && (banner.contains("\nTry:") || banner.contains("\nRules, by priority:"))
        };
        while !is_complete(&dev.banner) {
            match dev.stderr.recv_timeout(PATIENCE) {
                Ok(line) => dev.banner += &format!("{line}\n"),
                Err(_) => panic!("no complete banner: {}", dev.banner),
            }
        }
        let label = if dev.banner.contains("local ALB") { "local ALB" } else { "front end" };
        dev.alb = word_after(&dev.banner, label);
        if dev.banner.contains("  inspector ") {
            dev.inspector = word_after(&dev.banner, "  inspector ");
        }
        dev
    }

    /// The demo back end as the banner tells to reach it: authority file and `https://localhost:PORT`.
    pub fn legacy(&self) -> (PathBuf, String) {
        (PathBuf::from(word_after(&self.banner, "--cacert")), word_after(&self.banner, "legacy"))
    }

    /// The next line for a request; what came of copies is passed over.
    pub fn next_line(&self) -> String {
        loop {
            let line = self.stdout.recv_timeout(PATIENCE).expect("a line for a request");
            if !["mirror ", "self-comparison "].iter().any(|word| line.trim_start().starts_with(word)) {
                return line;
            }
        }
    }

    /// Waits for a line on standard error that has these words.
    pub fn told(&self, words: &str) -> String {
        let mut others = String::new();
        loop {
            match self.stderr.recv_timeout(PATIENCE) {
                Ok(line) if line.contains(words) => return line,
                Ok(line) => others += &format!("{line}\n"),
                Err(_) => panic!("nobody says `{words}`: {others}"),
            }
        }
    }

    /// Sends a signal and waits for the end.
    pub fn stop(mut self, signal: &str) -> ExitStatus {
        self.end(signal)
    }

    /// The same, for what is still in its pipes.
    pub fn end(&mut self, signal: &str) -> ExitStatus {
        self.child.signal(match signal {
            "-HUP" => Signal::HUP,
            "-INT" => Signal::INT,
            "-TERM" => Signal::TERM,
            _ => panic!("{signal}"),
        });
        self.child.wait()
    }
}

/// `crossfade dev` on a free port, with pipes.
pub fn command(folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.args(["dev", "--port", "0"]).current_dir(folder);
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

pub fn word_after(text: &str, label: &str) -> String {
    let (_, rest) = text.split_once(label).unwrap_or_else(|| panic!("no `{label}` in: {text}"));
    rest.split_whitespace().next().unwrap_or_default().to_string()
}
