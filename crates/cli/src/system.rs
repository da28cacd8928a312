//! Differences between operating systems: permissions of new files, the identity of a file, and how a user stops a command.
//! On Windows files have the permissions of their folder, and a command ends with Ctrl-C.

use std::fs::File;
use std::io;

/// Starts a temporary file or folder with these permission bits, before the umask.
pub(crate) fn temporary<'b>(mode: u32) -> tempfile::Builder<'b, 'b> {
    let builder = tempfile::Builder::new();
    #[cfg(unix)]
    let builder = {
        let mut builder = builder;
        builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(mode));
        builder
    };
    #[cfg(not(unix))]
    let _ = mode;
    builder
}

/// Device and inode of a regular file. A pipe has another content each time it is opened. `None` if the system has no such
/// numbers.
#[cfg(unix)]
pub(crate) fn identity(file: &File) -> io::Result<Option<(u64, u64)>> {
    use std::os::unix::fs::MetadataExt;
    let facts = file.metadata()?;
    Ok(facts.is_file().then(|| (facts.dev(), facts.ino())))
}

/// Windows has such numbers, but the standard library does not read them.
#[cfg(not(unix))]
pub(crate) fn identity(_: &File) -> io::Result<Option<(u64, u64)>> {
    Ok(None)
}

/// The user's wish to end a command.
#[cfg(unix)]
pub(crate) struct Stop {
    interrupt: tokio::signal::unix::Signal,
    terminate: tokio::signal::unix::Signal,
    hangup: Option<tokio::signal::unix::Signal>,
}

#[cfg(unix)]
impl Stop {
    /// Listens for Ctrl-C and SIGTERM, and with `hangup` for a closed terminal. From here on they do not kill the process.
    pub(crate) fn new(hangup: bool) -> io::Result<Stop> {
        use tokio::signal::unix::{SignalKind, signal};
        let interrupt = signal(SignalKind::interrupt())?;
        let terminate = signal(SignalKind::terminate())?;
        let hangup = hangup.then(|| signal(SignalKind::hangup())).transpose()?;
        Ok(Stop { interrupt, terminate, hangup })
    }

    /// Completes at the next one.
    pub(crate) async fn requested(&mut self) {
        let hangup = async {
            match &mut self.hangup {
                Some(hangup) => hangup.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
            _ = hangup => {}
        }
    }
}

/// The user's wish to end a command.
#[cfg(windows)]
pub(crate) struct Stop {
    interrupt: tokio::signal::windows::CtrlC,
    close: Option<tokio::signal::windows::CtrlClose>,
}

#[cfg(windows)]
impl Stop {
    /// Listens for Ctrl-C, and with `hangup` for a closed window. From here on they do not kill the process.
    pub(crate) fn new(hangup: bool) -> io::Result<Stop> {
        let close = hangup.then(tokio::signal::windows::ctrl_close).transpose()?;
        Ok(Stop { interrupt: tokio::signal::windows::ctrl_c()?, close })
    }

    /// Completes at the next one.
    pub(crate) async fn requested(&mut self) {
        let close = async {
            match &mut self.close {
                Some(close) => close.recv().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = close => {}
        }
    }
}
