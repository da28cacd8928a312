//! A running `crossfade dev`, for the tests that use one.

#![allow(clippy::unwrap_used, dead_code, unreachable_pub)] // a test may panic; not every test uses everything

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

/// Longest wait for anything that should happen at once.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running `crossfade dev`.
pub struct Dev {
    pub child: Child,
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
        let mut child = Command::new(env!("CARGO_BIN_EXE_crossfade"))
            .args(["dev", "--port", "0"])
            .current_dir(folder)
            .args(arguments)
            .envs(environment.iter().copied())
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let stdout = lines(child.stdout.take().unwrap());
        let stderr = lines(child.stderr.take().unwrap());
        // From here on a panic stops the child.
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
        dev.alb = word_after(&dev.banner, "local ALB");
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
            if !["mirror ", "once more "].iter().any(|word| line.trim_start().starts_with(word)) {
                return line;
            }
        }
    }

    /// Waits for a line on standard error that has these words.
    pub fn told(&self, words: &str) -> String {
        loop {
            let line = self.stderr.recv_timeout(PATIENCE).unwrap_or_else(|_| panic!("nobody says `{words}`"));
            eprintln!("dev: {line}");
            if line.contains(words) {
                return line;
            }
        }
    }

    /// Sends a signal and waits for the end.
    pub fn stop(mut self, signal: &str) -> ExitStatus {
        let sent = Command::new("kill").args([signal, &self.child.id().to_string()]).status().unwrap();
        assert!(sent.success());
        let deadline = Instant::now() + PATIENCE;
        while Instant::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("still running after {signal}");
    }
}

impl Drop for Dev {
    fn drop(&mut self) {
        // A test that fails leaves nothing behind; one that stopped it already finds nothing to kill.
        if self.child.try_wait().is_ok_and(|status| status.is_none()) {
            let _ = Command::new("kill").arg(self.child.id().to_string()).status();
            let _ = self.child.wait();
        }
    }
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

pub fn word_after(text: &str, label: &str) -> String {
    let (_, rest) = text.split_once(label).unwrap_or_else(|| panic!("no `{label}` in: {text}"));
    rest.split_whitespace().next().unwrap_or_default().to_string()
}
