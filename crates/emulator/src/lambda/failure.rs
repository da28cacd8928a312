//! The ways in which an invocation can fail: the message for the developer, and the reason in ALB's access log.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

/// The reason that ALB logs for all failures inside the function.
const UNHANDLED: &str = "LambdaUnhandled";

/// The cause behind a failure, as far as it can be seen: the end of its message.
#[derive(Clone, Debug, Default)]
pub(crate) struct Hint(pub(super) Option<String>);

impl fmt::Display for Hint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_ref().map_or(Ok(()), |cause| write!(f, "; {cause}"))
    }
}

#[derive(Clone, Debug, Error)]
pub(crate) enum Failure {
    #[error("throttled: {}", throttled(*.limit, *.reserved_by))]
    Throttled { limit: usize, reserved_by: Option<&'static str> },
    #[error("cannot start `{program}`: {error}")]
    CannotStart { program: String, error: String },
    #[error("the function did not request its first invocation within the init timeout of {} s{}", .0.as_secs_f64(), .1)]
    InitTimeout(Duration, Hint),
    #[error(
        "the function was restarted and did not request its first invocation within its timeout of {} s{}",
        .0.as_secs_f64(), .1
    )]
    SecondInitTimeout(Duration, Hint),
    #[error("the function failed to initialise: {0}{1}")]
    InitError(String, Hint),
    #[error("the function's process exited before it requested an invocation ({0}){1}")]
    InitExit(String, Hint),
    #[error("the extension `{name}` reported an error: {error}")]
    ExtensionError { name: String, error: String },
    #[error("the extension `{name}` exited ({status}), which ends the environment{hint}")]
    ExtensionExit { name: String, status: String, hint: Hint },
    #[error("the function did not respond within its timeout of {} s; {}", .limit.as_secs_f64(), after_timeout(*.killed))]
    TimedOut { limit: Duration, killed: bool },
    #[error("the function's process exited before it responded ({0})")]
    Exited(String),
    /// The process ended while it was idle and the invocation never reached it: another environment may serve it.
    #[error("the function's process exited before it received the invocation ({0})")]
    NeverTaken(String),
    /// In Lambda's log: `Runtime.OutOfMemory`, `signal: killed`.
    #[error(
        "out of memory: the function used {} MiB of {limit_mib} MiB; its process was killed \
         (`Runtime.OutOfMemory`)",
        .used.div_ceil(1 << 20)
    )]
    OutOfMemory { used: u64, limit_mib: u32 },
    #[error("the function reported an error: {0}")]
    FunctionError(String),
    #[error("the function's response is larger than Lambda's limit of {limit} bytes")]
    ResponseTooLarge { limit: usize },
    #[error("the function streamed its response, but ALB accepts only buffered responses")]
    Streaming,
    #[error("the function's connection closed before it had sent the whole response")]
    CutOff,
    #[error("the emulator is shutting down")]
    ShuttingDown,
}

fn throttled(limit: usize, reserved_by: Option<&str>) -> String {
    match (reserved_by, limit) {
        (None, _) => format!("{limit} requests are in progress, the default concurrency of an AWS account"),
        (Some(setting), 0) => format!("`{setting}` is 0"),
        (Some(setting), _) => {
            format!(
                "all {limit} environments are busy, and `{setting}` allows no more; raise it unless you are testing this"
            )
        }
    }
}

fn after_timeout(killed: bool) -> &'static str {
    match killed {
        true => "its process was killed",
        false => "its process keeps running, as on Lambda Managed Instances",
    }
}

impl Failure {
    /// The `error_reason` of an ALB's access log.
    pub(crate) fn reason(&self) -> &'static str {
        match self {
            Self::Throttled { .. } => "LambdaThrottling",
            Self::ResponseTooLarge { .. } => "LambdaResponseTooLarge",
            Self::Streaming => "LambdaInvalidResponse",
            Self::ShuttingDown => "LambdaServiceException",
            Self::CannotStart { .. }
            | Self::InitTimeout(..)
            | Self::SecondInitTimeout(..)
            | Self::InitError(..)
            | Self::InitExit(..)
            | Self::ExtensionError { .. }
            | Self::ExtensionExit { .. }
            | Self::TimedOut { .. }
            | Self::Exited(_)
            | Self::NeverTaken(_)
            | Self::OutOfMemory { .. }
            | Self::CutOff
            | Self::FunctionError(_) => UNHANDLED,
        }
    }

    /// The message without the cause, for a failure that is going to be repeated.
    pub(super) fn brief(&self) -> String {
        let mut failure = self.clone();
        if let Self::InitTimeout(_, hint)
        | Self::InitExit(_, hint)
        | Self::InitError(_, hint)
        | Self::ExtensionExit { hint, .. } = &mut failure
        {
            *hint = Hint::default();
        }
        failure.to_string()
    }

    /// Returns whether Lambda retries the init phase within the invocation. A program that cannot be started is not
    /// retried.
    pub(super) fn is_of_init(&self) -> bool {
        matches!(
            self,
            Self::InitTimeout(..)
                | Self::InitError(..)
                | Self::InitExit(..)
                | Self::ExtensionError { .. }
                | Self::ExtensionExit { .. }
                | Self::OutOfMemory { .. }
        )
    }
}
