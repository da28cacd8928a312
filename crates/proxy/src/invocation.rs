//! The part of an invocation that is not the request: front end, ids, time. Decides nothing.

use std::time::SystemTime;

use crossfade_event::Front;
use crossfade_journal::Trace;
use http::header::HeaderValue;
use tokio::time::Instant;

/// One invocation of the function, its request apart.
#[derive(Debug)]
pub struct Invocation {
    /// The service that the request came through.
    pub front: Front,
    /// Goes to the back end and into the log.
    pub request_id: String,
    /// The trace header of the platform, for requests that bring none.
    pub trace_id: Option<HeaderValue>,
    /// The trace that the attempts belong to, if `tracing` is on.
    pub trace: Option<Box<Trace>>,
    /// Tells functions of one name in different accounts and regions apart, for loops. The same in all invocations of a
    /// process; `None` if it is not known.
    pub deployment: Option<u32>,
    /// The start of the invocation.
    pub started: Instant,
    /// The same by the clock on the wall.
    pub time: SystemTime,
    /// The end of the time for the response.
    pub deadline: Instant,
    /// Random bits, others for each invocation: for shares of traffic and for ids.
    pub seed: u128,
}
