//! Signals to a process and all that it has started. Owns the differences between operating systems: Windows has no signals, so
//! processes there are neither frozen nor asked to end.

/// A signal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Signal {
    /// SIGTERM.
    Terminate,
    /// SIGKILL.
    Kill,
    /// SIGSTOP.
    Stop,
    /// SIGCONT.
    Continue,
}

/// Sends a signal to the group of the process with this ID. It fails if all are gone already, which is what is wanted.
#[cfg(unix)]
pub(super) fn send(id: i32, signal: Signal) {
    use rustix::process::{Pid, Signal as Posix, kill_process_group};
    let posix = match signal {
        Signal::Terminate => Posix::TERM,
        Signal::Kill => Posix::KILL,
        Signal::Stop => Posix::STOP,
        Signal::Continue => Posix::CONT,
    };
    if let Some(group) = Pid::from_raw(id) {
        let _ = kill_process_group(group, posix);
    }
}

/// Ends the process with this ID and those that it started.
#[cfg(not(unix))]
pub(super) fn send(id: i32, signal: Signal) {
    use std::process::{Command, Stdio};
    if signal == Signal::Kill && id > 0 {
        let mut command = Command::new("taskkill");
        command.args(["/T", "/F", "/PID", &id.to_string()]).stdin(Stdio::null());
        let _ = command.stdout(Stdio::null()).stderr(Stdio::null()).status();
    }
}

/// Makes the command start a group of its own.
pub(super) fn in_own_group(command: &mut tokio::process::Command) -> &mut tokio::process::Command {
    #[cfg(unix)]
    command.process_group(0);
    command
}
