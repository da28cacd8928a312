//! The shutdown phase of an environment (Lambda developer guide, "Lambda Extensions API"): immediate without
//! extensions, with a SIGTERM and 500 ms with internal ones, with SHUTDOWN events and 2 s with external ones.

use std::time::{Duration, SystemTime};

use tokio::time::Instant;

use super::coordinator::Coordinator;
use super::extension::Extensions;
use super::process::{Processes, Role};
use super::signal::Signal;

const WITH_INTERNAL: Duration = Duration::from_millis(500);
const WITH_EXTERNAL: Duration = Duration::from_millis(2000);
/// The runtime's share of the latter; then the extensions get SHUTDOWN (aws-lambda-runtime-interface-emulator).
const OF_RUNTIME: Duration = Duration::from_millis(600);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reason {
    Spindown,
    Timeout,
    Failure,
}

impl Reason {
    /// As in the SHUTDOWN event.
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Spindown => "spindown",
            Self::Timeout => "timeout",
            Self::Failure => "failure",
        }
    }
}

/// Ends all processes. The Extensions API must be served meanwhile.
pub(super) async fn shut_down(processes: &mut Processes, coordinator: &Coordinator, reason: Reason) {
    let extensions = coordinator.extensions();
    if extensions != Extensions::None {
        coordinator.thaw();
        let (all, runtime) = match extensions {
            Extensions::External => (WITH_EXTERNAL, OF_RUNTIME),
            _ => (WITH_INTERNAL, WITH_INTERNAL),
        };
        let start = Instant::now();
        let deadline = SystemTime::now() + all;
        // First the runtime, then the extensions.
        processes.signal(Some(Role::Runtime), Signal::Terminate);
        processes.wait(Some(Role::Runtime), Some(start + runtime)).await;
        processes.signal(Some(Role::Runtime), Signal::Kill);
        if extensions == Extensions::External {
            for index in coordinator.send_shutdown(reason, deadline) {
                processes.signal(Some(Role::Extension(index)), Signal::Kill);
            }
        }
        processes.wait(None, Some(start + all)).await;
    }
    processes.signal(None, Signal::Kill);
    processes.wait(None, None).await;
}
