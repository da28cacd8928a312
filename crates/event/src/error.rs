//! Problems of events, and replies that are too large. The messages are for logs: they quote names, never values.

/// A problem with an event.
#[derive(Debug, thiserror::Error)]
pub enum DecodeError {
    /// JSON is Unicode.
    #[error("the event is not UTF-8")]
    NotUtf8,
    /// Not JSON, or a member of the wrong type.
    #[error("the event cannot be read: {0}")]
    Json(String),
    /// JSON, but from no front end that we know: a scheduled event, a direct invocation.
    #[error(
        "unsupported event: not an HTTP request from an Application Load Balancer, API Gateway, a function URL or VPC \
         Lattice"
    )]
    UnknownFormat,
    /// From a service that we know, but nothing that could be forwarded.
    #[error("unsupported event: {0}")]
    Unsupported(&'static str),
    /// A member that every HTTP event has.
    #[error("the event has no `{0}`")]
    Missing(&'static str),
    /// RFC 9110 section 9.1: a method is a token.
    #[error("{0} is not a method")]
    Method(&'static str),
    /// The target could only be forwarded with other bytes than the client sent.
    #[error("`path` or query is invalid in a request line: {0}")]
    Target(String),
    /// `isBase64Encoded` is true and `body` is something else.
    #[error("`body` is not base64")]
    Base64,
}

/// A reply that the front end would refuse.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EncodeError {
    /// The whole reply, after base64 or escaping.
    #[error("the response is too large for {service}: {size} bytes of JSON, {limit} are allowed")]
    TooLarge {
        /// See [`crate::Format::service`].
        service: &'static str,
        /// Bytes that the reply would take.
        size: usize,
        /// Bytes that it may take.
        limit: usize,
    },
    /// All fields together.
    #[error("the response fields are too large for {service}: {size} bytes, {limit} are allowed")]
    FieldsTooLarge {
        /// See [`crate::Format::service`].
        service: &'static str,
        /// Bytes of all names and values.
        size: usize,
        /// Bytes that they may take.
        limit: usize,
    },
}
