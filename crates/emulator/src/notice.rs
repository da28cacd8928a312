//! What the emulator tells whoever started it: plain data, one value for each thing that happened. Owns no printing.

use std::fmt;
use std::time::Duration;

/// Something that happened.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Notice {
    /// A request was answered.
    Exchange(Exchange),
    /// The function wrote a line to its standard output or standard error.
    FunctionLine {
        /// The environment that wrote it.
        environment: u32,
        /// Without the line break; what is not UTF-8 is replaced, very long lines come in pieces.
        line: String,
    },
    /// An environment asked for its first invocation.
    Started {
        /// Its number, counting from 1.
        environment: u32,
        /// From the start of the process to that moment.
        init: Duration,
    },
    /// The process of an environment is gone, for whatever reason.
    Exited {
        /// Its number.
        environment: u32,
        /// For example `exit status: 1` or `signal: 9 (SIGKILL)`.
        status: String,
    },
}

/// One request and what became of it.
#[derive(Clone, Debug)]
pub struct Exchange {
    /// As sent; `-` where the request was too malformed to have one.
    pub method: String,
    /// Path and query as sent; `-` as above.
    pub target: String,
    /// The rule that was applied.
    pub rule: RuleRef,
    /// The status that the client was sent.
    pub status: u16,
    /// The `error_reason` that an ALB's access log would have, for example `LambdaInvalidResponse`.
    pub elb_reason: Option<String>,
    /// Why the load balancer answered and not the function: one line for the developer.
    pub problem: Option<String>,
    /// What went right but not as meant, for example fields that were lost. One line each.
    pub warnings: Vec<String>,
    /// From the request's head to the answer, ready to be sent.
    pub duration: Duration,
    /// The environment that was invoked.
    pub environment: Option<u32>,
    /// Whether a process had to be started for this request.
    pub cold: bool,
    /// Length of the request's body.
    pub request_bytes: usize,
    /// Length of the response's body.
    pub response_bytes: usize,
}

impl Exchange {
    pub(crate) fn new(method: String, target: String) -> Self {
        Self {
            method,
            target,
            rule: RuleRef::Default,
            status: 0,
            elb_reason: None,
            problem: None,
            warnings: Vec::new(),
            duration: Duration::ZERO,
            environment: None,
            cold: false,
            request_bytes: 0,
            response_bytes: 0,
        }
    }
}

/// The rule that a request met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RuleRef {
    /// The listener rule with this priority.
    Priority(u32),
    /// The listener's default rule. Also of a request that was refused before rules are looked at.
    Default,
}

impl fmt::Display for RuleRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Priority(priority) => write!(f, "{priority}"),
            Self::Default => f.write_str("default"),
        }
    }
}
