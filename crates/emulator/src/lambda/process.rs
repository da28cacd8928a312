//! The child processes of an environment, each in a process group of its own so that what it started ends with it. Owns
//! starting, signals, output lines and the news of their end; not what they are asked to do.

use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::Command;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::signal::{self, Signal};
use crate::notice::{Backlog, Notice, Waiting};

/// The time to wait for the rest of the output of processes that have ended.
const LAST_OUTPUT: Duration = Duration::from_millis(500);
/// The longest output line, in bytes; longer ones are split. 1 MiB, the longest record that `crossfade report` reads,
/// and CR LF.
const LONGEST_LINE: u64 = 1024 * 1024 + 2;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Runtime,
    /// With its index in [`crate::Function::extensions`].
    Extension(usize),
}

/// A process to start.
pub(super) struct LaunchSpec<'a> {
    pub(super) role: Role,
    pub(super) command: &'a [String],
    pub(super) directory: Option<&'a Path>,
    pub(super) variables: Vec<(String, String)>,
}

/// A process group; 0 after it has ended, since the system may reuse its ID.
#[derive(Clone)]
pub(super) struct Group(Arc<AtomicI32>);

impl Group {
    pub(super) fn id(&self) -> Option<u32> {
        u32::try_from(self.0.load(Ordering::Relaxed)).ok().filter(|id| *id > 0)
    }

    pub(super) fn signal(&self, signal: Signal) {
        signal::send(self.0.load(Ordering::Relaxed), signal);
    }

    /// Kills all remaining processes, and forgets the ID.
    fn finish(&self) {
        self.signal(Signal::Kill);
        self.0.store(0, Ordering::Relaxed);
    }
}

struct Process {
    role: Role,
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
    function: Arc<str>,
    notices: mpsc::UnboundedSender<Notice>,
    backlog: Arc<Backlog>,
    list: Vec<Process>,
    output: Vec<JoinHandle<()>>,
    exit: mpsc::UnboundedSender<(Role, String)>,
    exits: mpsc::UnboundedReceiver<(Role, String)>,
}

impl Processes {
    pub(super) fn new(
        environment: u32,
        function: &str,
        notices: mpsc::UnboundedSender<Notice>,
        backlog: Arc<Backlog>,
    ) -> Self {
        let (exit, exits) = mpsc::unbounded_channel();
        Self {
            environment,
            function: function.into(),
            notices,
            backlog,
            list: Vec::new(),
            output: Vec::new(),
            exit,
            exits,
        }
    }

    pub(super) fn start(&mut self, start: LaunchSpec<'_>) -> io::Result<Group> {
        let LaunchSpec { role, command, directory, variables } = start;
        let Some((program, arguments)) = command.split_first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"));
        };
        let mut command = Command::new(program);
        if let Some(directory) = directory {
            command.current_dir(directory);
        }
        let mut child = signal::in_own_group(&mut command)
            .args(arguments)
            .env_clear()
            .envs(variables)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .kill_on_drop(true)
            .spawn()?;
        let id = child.id().and_then(|id| i32::try_from(id).ok()).unwrap_or_default();
        let group = Group(Arc::new(AtomicI32::new(id)));
        if let Some(stdout) = child.stdout.take() {
            self.send_lines(stdout);
        }
        if let Some(stderr) = child.stderr.take() {
            self.send_lines(stderr);
        }
        self.list.push(Process { role, group: group.clone(), status: None });
        let exit = self.exit.clone();
        tokio::spawn(async move {
            let status = describe(child.wait().await);
            let _ = exit.send((role, status));
        });
        Ok(group)
    }

    fn send_lines(&mut self, output: impl AsyncRead + Unpin + Send + 'static) {
        let (notices, backlog) = (self.notices.clone(), Arc::clone(&self.backlog));
        self.output.push(tokio::spawn(send_lines(
            output,
            (self.environment, Arc::clone(&self.function)),
            notices,
            backlog,
        )));
    }

    /// Waits until one of them has ended. Dropping the future loses nothing.
    pub(super) async fn ended(&mut self) -> (Role, String) {
        // There is always a sender: the one in here.
        let Some((role, status)) = self.exits.recv().await else { return std::future::pending().await };
        if let Some(process) = self.list.iter_mut().find(|process| process.role == role) {
            process.status = Some(status.clone());
            // What it has left behind goes with it.
            process.group.finish();
        }
        (role, status)
    }

    /// Returns the exit status of the runtime, or `not started`.
    pub(super) fn status(&self) -> String {
        let runtime = self.list.iter().find(|process| process.role == Role::Runtime);
        runtime.and_then(|process| process.status.clone()).unwrap_or_else(|| "not started".to_owned())
    }

    /// Sends a signal to one of them, or to all.
    pub(super) fn signal(&self, role: Option<Role>, signal: Signal) {
        let meant = |process: &&Process| role.is_none_or(|role| process.role == role) && process.status.is_none();
        self.list.iter().filter(meant).for_each(|process| process.group.signal(signal));
    }

    /// Waits until one has ended, or all, but no longer than `until`.
    pub(super) async fn wait(&mut self, role: Option<Role>, until: Option<Instant>) {
        let wanted = |this: &Self| {
            this.list.iter().any(|process| role.is_none_or(|role| process.role == role) && process.status.is_none())
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

    /// Kills all processes that are left and waits for their last output.
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

/// Sends each line as a notice. Reads on even if they are not handled, since the function would block on a full pipe:
/// lines beyond the limit are skipped and counted.
async fn send_lines(
    output: impl AsyncRead + Unpin,
    (environment, function): (u32, Arc<str>),
    notices: mpsc::UnboundedSender<Notice>,
    backlog: Arc<Backlog>,
) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    let mut skipped = 0_u64;
    let tell = |line: String, waiting| {
        let function = Arc::clone(&function);
        let _ = notices.send(Notice::FunctionLine { environment, function, line, waiting });
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

    /// The notices of an output while nobody handles them.
    async fn notices_of(output: &[u8], backlog: &Arc<Backlog>) -> Vec<Notice> {
        let (notices, mut inbox) = mpsc::unbounded_channel();
        send_lines(output, (1, "a".into()), notices, Arc::clone(backlog)).await;
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
                let lines = notices_of(output.as_bytes(), &backlog).await;
                let lengths: Vec<usize> = lines.iter().map(|line| text(line).len()).collect();
                assert_eq!(lengths, if output.is_empty() { vec![] } else { vec![length] }, "{length} {end:?}");
            }
        }
        let lines = notices_of(&vec![b'x'; 3 << 20], &backlog).await;
        assert_eq!(lines.iter().map(|line| text(line).len()).sum::<usize>(), 3 << 20);
    }

    #[tokio::test]
    async fn what_waits_is_bounded_in_bytes_and_the_rest_is_counted() {
        for length in [10, 1 << 10, 1 << 20] {
            let backlog = Arc::default();
            let count = (2 * Backlog::MOST_BYTES / (length + 1)).min(400_000);
            let output = format!("{}\n", "x".repeat(length)).repeat(count);
            let lines = notices_of(output.as_bytes(), &backlog).await;
            let kept = lines.len() - 1;
            let bytes: usize = lines.iter().map(|line| text(line).len()).sum();
            assert!(bytes <= Backlog::MOST_BYTES && kept > 0 && kept < count, "{length}: {bytes} {kept}");
            let last = text(lines.last().unwrap()).to_owned();
            assert_eq!(last, skipped_lines((count - kept) as u64), "{length}");
            // Another process shares the same room, and gets it when the lines are dropped.
            assert!(backlog.place(Backlog::MOST_BYTES / 2).is_none());
            drop(lines);
            assert!(backlog.place(Backlog::MOST_BYTES / 2).is_some());
        }
    }
}
