//! Child processes that end with their owner, and the lines that they write. Which program, and with what, is the test's
//! affair.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;
use std::{io, thread};

use rustix::process::{Pid, kill_process};

pub use rustix::process::Signal;

use crate::wait::{self, PATIENCE};

/// A process that is ended when this is dropped.
#[derive(Debug)]
pub struct Process {
    /// The process itself.
    pub child: Child,
    last_signal: Signal,
}

impl Process {
    /// Starts one that is killed in the end.
    ///
    /// # Panics
    /// When the program cannot be started.
    pub fn start(command: &mut Command) -> Self {
        command.spawn().unwrap_or_else(|error| panic!("cannot start {:?}: {error}", command.get_program())).into()
    }

    /// The same for one that has children: it is asked to end, and killed if it does not.
    #[must_use]
    pub fn asked_to_end(mut self) -> Self {
        self.last_signal = Signal::TERM;
        self
    }

    /// The process ID.
    #[must_use]
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// The status, if it has ended.
    ///
    /// # Errors
    /// The system's.
    pub fn try_wait(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Sends a signal.
    ///
    /// # Panics
    /// When the process is gone.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits for the end.
    ///
    /// # Panics
    /// When it does not end within [`PATIENCE`].
    pub fn wait(&mut self) -> ExitStatus {
        wait::until("the end of the process", || self.child.try_wait().unwrap())
    }
}

impl From<Child> for Process {
    fn from(child: Child) -> Self {
        Self { child, last_signal: Signal::KILL }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if !matches!(self.child.try_wait(), Ok(None)) {
            return;
        }
        let _ = kill_process(Pid::from_child(&self.child), self.last_signal);
        let mut looks = PATIENCE.as_millis() / 5;
        while looks > 0 && matches!(self.child.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(5));
            looks -= 1;
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a pipe as they come. The sender is gone when the pipe ends.
pub fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}

/// All lines of a pipe up to now.
pub fn kept(pipe: impl Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = lines.clone();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            kept.lock().unwrap().push(line);
        }
    });
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The shell says when it is ready; what it writes when it is asked to end comes before the end of its output.
    #[test]
    fn a_process_ends_with_its_owner_and_may_be_asked_to() {
        for (is_asked, expected) in [(true, &["ready", "asked"][..]), (false, &["ready"])] {
            let script = "trap 'echo asked; exit' TERM; echo ready; while :; do sleep 0.01; done";
            let mut command = Command::new("sh");
            let mut process = Process::start(command.args(["-c", script]).stdout(std::process::Stdio::piped()));
            let output = lines(process.child.stdout.take().unwrap());
            let mut said = vec![output.recv_timeout(PATIENCE).unwrap()];
            drop(if is_asked { process.asked_to_end() } else { process });
            said.extend(std::iter::from_fn(|| output.recv_timeout(PATIENCE).ok()));
            assert_eq!(said, expected);
        }
    }
}
