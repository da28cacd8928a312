//! What an invocation brings besides its request, and what the front end can carry. Decides nothing.

use std::time::SystemTime;

use http::header::HeaderValue;
use tokio::time::Instant;

/// What the front end can carry.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// Content of a response, bytes; more is not even read.
    pub response_bytes: usize,
}

/// What is known of an invocation besides its request.
#[derive(Debug)]
pub struct Invocation {
    /// Goes to the back end and into the log.
    pub request_id: String,
    /// The trace header of the platform, for requests that bring none.
    pub trace_id: Option<HeaderValue>,
    /// Tells functions of one name in different accounts and regions apart, for loops. The same in all invocations of a
    /// process; `None` if it is not known.
    pub deployment: Option<u32>,
    /// When it began.
    pub started: Instant,
    /// The same by the clock on the wall.
    pub time: SystemTime,
    /// When the answer must be there.
    pub deadline: Instant,
    /// Random bits, others for each invocation: for shares of traffic and for ids.
    pub seed: u128,
}
