//! Every way in which an invocation can fail, what it is called in an ALB's access log, and how it is told to the developer.

use std::time::Duration;

use thiserror::Error;

/// The reason that an ALB logs for whatever goes wrong inside the function.
const UNHANDLED: &str = "LambdaUnhandled";

#[derive(Clone, Debug, Error)]
pub(crate) enum Failure {
    #[error("throttled: {}", throttled(*.limit))]
    Throttled { limit: usize },
    #[error("cannot start `{program}`: {error}")]
    CannotStart { program: String, error: String },
    #[error("the function did not ask for its first invocation within {} s (init timeout)", .0.as_secs_f64())]
    InitTimeout(Duration),
    #[error(
        "the function was started once more, and did not ask for its first invocation within its timeout of {} s",
        .0.as_secs_f64()
    )]
    SecondInitTimeout(Duration),
    #[error("the function failed to initialise: {0}")]
    InitError(String),
    #[error("the function's process ended before it asked for an invocation ({0})")]
    InitExit(String),
    #[error("the extension `{name}` reported an error: {error}")]
    ExtensionError { name: String, error: String },
    #[error("the extension `{name}` ended ({status}), and the environment with it")]
    ExtensionExit { name: String, status: String },
    #[error("the function did not answer within its timeout of {} s; {}", .limit.as_secs_f64(), after_timeout(*.killed))]
    TimedOut { limit: Duration, killed: bool },
    #[error("the function's process ended before it answered ({0})")]
    Exited(String),
    /// The process ended while it was idle and the invocation never reached it: another environment may serve it.
    #[error("the function's process ended before it took the invocation ({0})")]
    NeverTaken(String),
    /// In Lambda's log: `Runtime.OutOfMemory`, `signal: killed`.
    #[error(
        "out of memory: the function used {} MiB and has {limit_mib}; its process was killed \
         (`Runtime.OutOfMemory`)",
        .used.div_ceil(1 << 20)
    )]
    OutOfMemory { used: u64, limit_mib: u32 },
    #[error("the function reported an error: {0}")]
    FunctionError(String),
    #[error("the function's answer is larger than the {limit} bytes that Lambda takes")]
    ResponseTooLarge { limit: usize },
    #[error("the function streamed its answer, but a load balancer takes buffered answers only")]
    Streaming,
    #[error("the answer was cut off while the function sent it")]
    CutOff,
    #[error("the emulator is shutting down")]
    ShuttingDown,
}

fn throttled(limit: usize) -> String {
    match limit {
        0 => "the function's reserved concurrency is 0".to_owned(),
        _ => format!("all {limit} environments are busy; raise the concurrency limit if that is not what you test"),
    }
}

fn after_timeout(killed: bool) -> &'static str {
    match killed {
        true => "its process was killed",
        false => "its process goes on, as on Lambda Managed Instances",
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
            | Self::InitTimeout(_)
            | Self::SecondInitTimeout(_)
            | Self::InitError(_)
            | Self::InitExit(_)
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

    /// Whether Lambda tries the init phase once more, within the invocation. What cannot be started would fail alike.
    pub(super) fn is_of_init(&self) -> bool {
        matches!(
            self,
            Self::InitTimeout(_)
                | Self::InitError(_)
                | Self::InitExit(_)
                | Self::ExtensionError { .. }
                | Self::ExtensionExit { .. }
                | Self::OutOfMemory { .. }
        )
    }
}
