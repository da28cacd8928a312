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

use crate::notice::{Backlog, Notice, Waiting};

/// How long to wait for the rest of the output of processes that have ended.
const LAST_OUTPUT: Duration = Duration::from_millis(500);
/// Longer output lines are told in pieces: a record of 1 MiB, the longest that `crossfade report` reads, and its line break.
const LONGEST_LINE: u64 = 1024 * 1024 + 2;

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
    backlog: Arc<Backlog>,
    list: Vec<Process>,
    output: Vec<JoinHandle<()>>,
    exit: mpsc::UnboundedSender<(Who, String)>,
    exits: mpsc::UnboundedReceiver<(Who, String)>,
}

impl Processes {
    pub(super) fn new(environment: u32, notices: mpsc::UnboundedSender<Notice>, backlog: Arc<Backlog>) -> Self {
        let (exit, exits) = mpsc::unbounded_channel();
        Self { environment, notices, backlog, list: Vec::new(), output: Vec::new(), exit, exits }
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
            self.tell_lines(stdout);
        }
        if let Some(stderr) = child.stderr.take() {
            self.tell_lines(stderr);
        }
        self.list.push(Process { who, group: group.clone(), status: None });
        let exit = self.exit.clone();
        tokio::spawn(async move {
            let status = describe(child.wait().await);
            let _ = exit.send((who, status));
        });
        Ok(group)
    }

    fn tell_lines(&mut self, output: impl AsyncRead + Unpin + Send + 'static) {
        let (notices, backlog) = (self.notices.clone(), Arc::clone(&self.backlog));
        self.output.push(tokio::spawn(tell_lines(output, self.environment, notices, backlog)));
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

/// Reads on whatever becomes of the lines: the function would block on a full pipe. Whoever does not keep up with telling
/// them gets the number of those that were skipped.
async fn tell_lines(
    output: impl AsyncRead + Unpin,
    environment: u32,
    notices: mpsc::UnboundedSender<Notice>,
    backlog: Arc<Backlog>,
) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    let mut skipped = 0_u64;
    let tell = |line: String, waiting| {
        let _ = notices.send(Notice::FunctionLine { environment, line, waiting });
    };
    loop {
        line.clear();
        match (&mut output).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {}
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        let Some(waiting) = backlog.place(text.len()) else {
            skipped = skipped.saturating_add(1);
            continue;
        };
        if skipped > 0 {
            tell(skipped_lines(skipped), Waiting::default());
            skipped = 0;
        }
        tell(String::from_utf8_lossy(text).into_owned(), waiting);
    }
    if skipped > 0 {
        tell(skipped_lines(skipped), Waiting::default());
    }
}

fn skipped_lines(count: u64) -> String {
    let lines = if count == 1 { "line" } else { "lines" };
    format!("(skipped {count} {lines}: they came faster than they could be shown)")
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What is told of an output while nobody takes it: the lines, and the bytes that they have together.
    async fn told(output: &[u8], backlog: &Arc<Backlog>) -> Vec<Notice> {
        let (notices, mut inbox) = mpsc::unbounded_channel();
        tell_lines(output, 1, notices, Arc::clone(backlog)).await;
        std::iter::from_fn(|| inbox.try_recv().ok()).collect()
    }

    fn text(notice: &Notice) -> &str {
        let Notice::FunctionLine { line, .. } = notice else { panic!("no line: {notice:?}") };
        line
    }

    #[tokio::test]
    async fn lines_are_whole_up_to_1_mib() {
        let backlog = Arc::default();
        for length in [0, 1, 65_535, 65_536, 65_537, 1 << 20] {
            for end in ["\n", "\r\n", ""] {
                let output = format!("{}{end}", "x".repeat(length));
                let lines = told(output.as_bytes(), &backlog).await;
                let lengths: Vec<usize> = lines.iter().map(|line| text(line).len()).collect();
                assert_eq!(lengths, if output.is_empty() { vec![] } else { vec![length] }, "{length} {end:?}");
            }
        }
        let lines = told(&vec![b'x'; 3 << 20], &backlog).await;
        assert_eq!(lines.iter().map(|line| text(line).len()).sum::<usize>(), 3 << 20);
    }

    #[tokio::test]
    async fn what_waits_is_bounded_in_bytes_and_the_rest_is_counted() {
        for length in [10, 1 << 10, 1 << 20] {
            let backlog = Arc::default();
            let count = (2 * Backlog::MOST_BYTES / (length + 1)).min(400_000);
            let output = format!("{}\n", "x".repeat(length)).repeat(count);
            let lines = told(output.as_bytes(), &backlog).await;
            let kept = lines.len() - 1;
            let bytes: usize = lines.iter().map(|line| text(line).len()).sum();
            assert!(bytes <= Backlog::MOST_BYTES && kept > 0 && kept < count, "{length}: {bytes} {kept}");
            let last = text(lines.last().unwrap()).to_owned();
            assert_eq!(last, skipped_lines((count - kept) as u64), "{length}");
            // Another process waits for the same room, and gets it when the lines are told.
            assert!(backlog.place(Backlog::MOST_BYTES / 2).is_none());
            drop(lines);
            assert!(backlog.place(Backlog::MOST_BYTES / 2).is_some());
        }
    }
}
