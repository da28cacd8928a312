//! The child process of an environment, in a process group of its own so that what it started ends with it. Owns starting,
//! its environment variables, its output lines, and killing; not what it is asked to do.

use std::io;
use std::net::SocketAddr;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};
use tokio::process::{Child, Command};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::JoinHandle;

use crate::{Function, Notice, random};

/// How long a process may take to end by itself after SIGTERM.
const TERMINATION: Duration = Duration::from_millis(500);
/// How long to wait for the rest of the output of a process that has ended.
const LAST_OUTPUT: Duration = Duration::from_millis(500);
/// Longer output lines are told in pieces.
const LONGEST_LINE: u64 = 64 * 1024;

pub(super) struct Process {
    child: Child,
    group: Group,
    output: Vec<JoinHandle<()>>,
}

/// Kills the group when dropped, so that no path out of the emulator leaves processes behind.
struct Group(Option<Pid>);

impl Group {
    fn signal(&self, signal: Signal) {
        if let Some(pid) = self.0 {
            // It fails if all are gone already, which is what is wanted.
            let _ = kill_process_group(pid, signal);
        }
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        self.signal(Signal::KILL);
    }
}

impl Process {
    pub(super) fn start(
        function: &Function,
        environment: u32,
        runtime_api: SocketAddr,
        notices: &UnboundedSender<Notice>,
    ) -> io::Result<Self> {
        let Some((program, arguments)) = function.command.split_first() else {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "the command is empty"));
        };
        let mut child = Command::new(program)
            .args(arguments)
            .env_clear()
            .envs(variables(function, runtime_api))
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()?;
        let group = Group(child.id().and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw));
        let mut output = Vec::new();
        if let Some(stdout) = child.stdout.take() {
            output.push(tokio::spawn(tell_lines(stdout, environment, notices.clone())));
        }
        if let Some(stderr) = child.stderr.take() {
            output.push(tokio::spawn(tell_lines(stderr, environment, notices.clone())));
        }
        Ok(Self { child, group, output })
    }

    /// Waits until the process has ended by itself. May be dropped and called again.
    pub(super) async fn ended(&mut self) -> String {
        describe(self.child.wait().await)
    }

    /// Ends the process and all that it started: at once, or after a SIGTERM and some time to react to it.
    pub(super) async fn end(&mut self, at_once: bool) -> String {
        if !at_once {
            self.group.signal(Signal::TERM);
            if let Ok(status) = tokio::time::timeout(TERMINATION, self.child.wait()).await {
                return describe(status);
            }
        }
        self.group.signal(Signal::KILL);
        describe(self.child.wait().await)
    }

    /// After the end: kills what the process left behind and waits for its last output.
    pub(super) async fn tidy_up(mut self) {
        self.group.signal(Signal::KILL);
        // The id may soon be another group's.
        self.group.0 = None;
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

/// What Lambda sets for a function on an OS-only runtime (Lambda developer guide, "Using Lambda environment variables"),
/// with `PATH` and `HOME` of this machine. `Function::env` wins, except over the address of the Runtime API.
fn variables(function: &Function, runtime_api: SocketAddr) -> Vec<(String, String)> {
    let region = function.region();
    let mut variables = vec![
        ("AWS_LAMBDA_FUNCTION_NAME", function.name.clone()),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST".to_owned()),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", function.memory_mib.to_string()),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand".to_owned()),
        ("AWS_LAMBDA_LOG_GROUP_NAME", format!("/aws/lambda/{}", function.name)),
        ("AWS_LAMBDA_LOG_STREAM_NAME", format!("local/[$LATEST]{}", random::hex(32))),
        ("AWS_REGION", region.clone()),
        ("AWS_DEFAULT_REGION", region),
        ("_HANDLER", function.handler.clone()),
        ("TZ", ":UTC".to_owned()),
    ];
    if let Ok(directory) = std::env::current_dir() {
        variables.push(("LAMBDA_TASK_ROOT", directory.to_string_lossy().into_owned()));
    }
    for name in ["PATH", "HOME"] {
        if let Ok(value) = std::env::var(name) {
            variables.push((name, value));
        }
    }
    let mut variables: Vec<_> = variables.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
    // Later entries win.
    variables.extend(function.env.iter().cloned());
    variables.push(("AWS_LAMBDA_RUNTIME_API".to_owned(), runtime_api.to_string()));
    variables
}

async fn tell_lines(output: impl AsyncRead + Unpin, environment: u32, notices: UnboundedSender<Notice>) {
    let mut output = BufReader::new(output);
    let mut line = Vec::new();
    loop {
        line.clear();
        match (&mut output).take(LONGEST_LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let text = line.strip_suffix(b"\n").unwrap_or(&line);
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        // Nobody listening is no reason to stop reading: the function would block on a full pipe.
        let _ = notices.send(Notice::FunctionLine { environment, line: String::from_utf8_lossy(text).into_owned() });
    }
}
