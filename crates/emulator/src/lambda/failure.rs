//! Every way in which an invocation can fail, what it is called in an ALB's access log, and how it is told to the developer.

use std::time::Duration;

use thiserror::Error;

/// The reason that an ALB logs for whatever goes wrong inside the function.
const UNHANDLED: &str = "LambdaUnhandled";

#[derive(Clone, Debug, Error)]
pub(crate) enum Failure {
    #[error("throttled: all {limit} environments are busy; raise the concurrency limit if that is not what you test")]
    Throttled { limit: usize },
    #[error("cannot start `{program}`: {error}")]
    CannotStart { program: String, error: String },
    #[error("the function did not ask for its first invocation within {} s (init timeout)", .0.as_secs_f64())]
    InitTimeout(Duration),
    #[error("the function failed to initialise: {0}")]
    InitError(String),
    #[error("the function's process ended before it asked for an invocation ({0})")]
    InitExit(String),
    #[error("the function did not answer within its timeout of {} s; its process was killed", .0.as_secs_f64())]
    TimedOut(Duration),
    #[error("the function's process ended before it answered ({0})")]
    Exited(String),
    /// The process ended while it was idle and the invocation never reached it: another environment may serve it.
    #[error("the function's process ended before it took the invocation ({0})")]
    NeverTaken(String),
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
            | Self::InitError(_)
            | Self::InitExit(_)
            | Self::TimedOut(_)
            | Self::Exited(_)
            | Self::NeverTaken(_)
            | Self::CutOff
            | Self::FunctionError(_) => UNHANDLED,
        }
    }
}
