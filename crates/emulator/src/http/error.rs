//! The reasons for which a request cannot be read. Owns their texts; the status codes are the caller's.

use thiserror::Error;

/// A request that cannot be read.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
pub(crate) enum RequestError {
    #[error("the request is malformed: {0}")]
    Malformed(String),
    #[error("HTTP version `{0}` is not supported")]
    UnsupportedVersion(String),
    #[error("transfer coding `{0}` is not supported")]
    UnsupportedCoding(String),
    #[error("the request line is {length} bytes long, the limit is {limit}")]
    LineTooLong { length: usize, limit: usize },
    #[error("all fields together are {length} bytes long, the limit is {limit}")]
    FieldsTooLong { length: usize, limit: usize },
    #[error("the request has more than {limit} fields")]
    TooManyFields { limit: usize },
    /// `length` is `None` for a chunked body, of which only the first chunks were read.
    #[error("the body is {} long, the limit is {limit} bytes", length.map_or("too".to_owned(), |it| format!("{it} bytes")))]
    BodyTooLarge { length: Option<u64>, limit: usize },
    #[error("the client closed the connection before it had sent the whole request")]
    HeadCutOff,
    #[error("the client closed the connection before it had sent the whole body")]
    BodyCutOff,
    #[error("the client stopped sending in the middle of the request's head")]
    HeadTimedOut,
    #[error("the client stopped sending in the middle of the body")]
    BodyTimedOut,
}

impl RequestError {
    /// An error of syntax; `problem` completes "the request is malformed:".
    pub(super) fn malformed(problem: impl Into<String>) -> Self {
        RequestError::Malformed(problem.into())
    }
}
