//! The child processes of an environment, each in a process group of its own so that what it started ends with it. Owns
//! starting, signals, output lines and the news of their end; not what they are asked to do.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use crate::{Notice, Waiting};

/// How long to wait for the rest of the output of processes that have ended.
const LAST_OUTPUT: Duration = Duration::from_millis(500);
/// So many lines of one output may wait to be told.
const MOST_WAITING: usize = 1024;
/// Longer output lines are told in pieces.
const LONGEST_LINE: u64 = 64 * 1024;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Who {
    Runtime,
    /// By its place in [`crate::Function::extensions`].
    Extension(usize),
}

/// What to start.
pub(super) struct Start<'a> {
    pub(super) who: Who,
    pub(super) command: &'a [String],
    pub(super) directory: Option<&'a Path>,
    pub(super) variables: Vec<(String, String)>,
}

/// A process group; 0 once it is gone, since its id may then become another one's.
#[derive(Clone)]
pub(super) struct Group(Arc<AtomicI32>);

impl Group {
    pub(super) fn id(&self) -> Option<u32> {
        u32::try_from(self.0.load(Ordering::Relaxed)).ok().filter(|id| *id > 0)
    }

    pub(super) fn signal(&self, signal: Signal) {
        if let Some(pid) = Pid::from_raw(self.0.load(Ordering::Relaxed)) {
            // It fails if all are gone already, which is what is wanted.
            let _ = kill_process_group(pid, signal);
        }
    }

    /// Kills what is left of it, for the last time.
    fn finish(&self) {
        self.signal(Signal::KILL);
        self.0.store(0, Ordering::Relaxed);
    }
}

struct Process {
    who: Who,
    group: Group,
    status: Option<String>,
}

/// Kills the group when dropped, so that no path out of the emulator leaves processes behind.
impl Drop for Process {
    fn drop(&mut self) {
        self.group.finish();
    }
}

/// All processes of an environment.
pub(super) struct Processes {
    environment: u32,
    notices: mpsc::UnboundedSender<Notice>,
    list: Vec<Process>,
    output: Vec<JoinHandle<()>>,
    exit: mpsc::UnboundedSender<(Who, String)>,
    exits: mpsc::UnboundedReceiver<(Who, String)>,
}

impl Processes {
    pub(super) fn new(environment: u32, notices: mpsc::UnboundedSender<Notice>) -> Self {
        let (exit, exits) = mpsc::unbounded_channel();
        Self { environment, notices, list: Vec::new(), output: Vec::new(), exit, exits }
    }

    pub(super) fn start(&mut self, start: Start<'_>) -> io::Result<Group> {
        let Start { who, command, directory, variables } = start;
        let Some((program, arguments)) = command.split_first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"));
        };
        let mut command = Command::new(program);
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        let mut child = command
            .args(arguments)
            .env_clear()
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
        let group = Group(Arc::new(AtomicI32::new(id)));
        if let Some(stdout) = child.stdout.take() {
            self.output.push(tokio::spawn(tell_lines(stdout, self.environment, self.notices.clone())));
        }
        if let Some(stderr) = child.stderr.take() {
            self.output.push(tokio::spawn(tell_lines(stderr, self.environment, self.notices.clone())));
        }
        self.list.push(Process { who, group: group.clone(), status: None });
        let exit = self.exit.clone();
        tokio::spawn(async move {
            let status = describe(child.wait().await);
            let _ = exit.send((who, status));
        });
        Ok(group)
    }

    /// Waits until one of them has ended. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> (Who, String) {
        // There is always a sender: the one in here.
        let Some((who, status)) = self.exits.recv().await else { return std::future::pending().await };
        if let Some(process) = self.list.iter_mut().find(|process| process.who == who) {
            process.status = Some(status.clone());
            // What it has left behind goes with it.
            process.group.finish();
        }
        (who, status)
    }

    /// How the runtime ended, or that it was never started.
    pub(super) fn status(&self) -> String {
        let runtime = self.list.iter().find(|process| process.who == Who::Runtime);
        runtime.and_then(|process| process.status.clone()).unwrap_or_else(|| "not started".to_owned())
    }

    /// Sends it to one of them, or to all.
    pub(super) fn signal(&self, who: Option<Who>, signal: Signal) {
        let meant = |process: &&Process| who.is_none_or(|who| process.who == who) && process.status.is_none();
        self.list.iter().filter(meant).for_each(|process| process.group.signal(signal));
    }

    /// Waits until one has ended, or all, but no longer than that.
    pub(super) async fn wait(&mut self, who: Option<Who>, until: Option<Instant>) {
        let wanted = |this: &Self| {
            this.list.iter().any(|process| who.is_none_or(|who| process.who == who) && process.status.is_none())
        };
        while wanted(self) {
            match until {
                None => _ = self.ended().await,
                Some(until) => {
                    if tokio::time::timeout_at(until, self.ended()).await.is_err() {
                        return;
                    }
                }
            }
        }
    }

    /// After the end: kills what the processes left behind and waits for their last output.
    pub(super) async fn tidy_up(mut self) {
        self.list.clear();
        for lines in self.output {
            let abort = lines.abort_handle();
            if tokio::time::timeout(LAST_OUTPUT, lines).await.is_err() {
                abort.abort();
            }
        }
    }
}

fn describe(status: io::Result<ExitStatus>) -> String {
    match status {
        Ok(status) => status.to_string(),
        Err(error) => format!("status unknown: {error}"),
    }
}

/// Reads on whatever becomes of the lines: the function would block on a full pipe. Whoever does not come along with telling
/// them gets the number of those that were left out.
async fn tell_lines(output: impl AsyncRead + Unpin, environment: u32, notices: mpsc::UnboundedSender<Notice>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    let waiting = Arc::new(());
    let mut left_out = 0_usize;
    let tell = |line: String| {
        let _ = notices.send(Notice::FunctionLine { environment, line, waiting: Waiting(Arc::clone(&waiting)) });
    };
    loop {
        line.clear();
        match (&mut output).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        if Arc::strong_count(&waiting) > MOST_WAITING {
            left_out += 1;
            continue;
        }
        if left_out > 0 {
            tell(format!("({left_out} lines were left out, there were too many to tell)"));
            left_out = 0;
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        tell(String::from_utf8_lossy(text).into_owned());
    }
    if left_out > 0 {
        tell(format!("({left_out} lines were left out, there were too many to tell)"));
    }
}
