//! A Runtime API of Lambda, a few lines over [`crate::server`].
//!
//! Written apart from the emulator on purpose: a second opinion of what Lambda says on the wire. It enforces nothing and starts
//! no process.

use std::net::SocketAddr;
use std::sync::Mutex;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::Value;

use crate::server::{Call, response, serve};
use crate::wait::PATIENCE;

/// With a qualifier, as an alias has one.
const FUNCTION_ARN: &str = "arn:aws:lambda:eu-central-1:123456789012:function:shop:live";

/// The request id of invocations that need no other.
pub const REQUEST_ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

/// The platform's trace header, unless a test has another one.
const TRACE_ID: &str = "Root=1-lambda;Parent=1;Sampled=0";

/// The answer to a `next`.
struct Next {
    request_id: String,
    event: Vec<u8>,
    deadline: Duration,
    verdict: &'static str,
    trace_id: String,
}

/// The server. It lives until the test process ends.
pub struct RuntimeApi {
    /// For `AWS_LAMBDA_RUNTIME_API`.
    pub address: SocketAddr,
    events: Sender<Next>,
    calls: Receiver<Call>,
}

impl RuntimeApi {
    /// One that has no event yet.
    #[must_use]
    pub fn start() -> Self {
        let (events, waiting) = channel::<Next>();
        let (posted, calls) = channel();
        let waiting = Mutex::new(waiting);
        let answers = Mutex::new((posted, "202 Accepted"));
        let address = serve(move |call| {
            if call.line == "GET /2018-06-01/runtime/invocation/next HTTP/1.1" {
                // Blocks as Lambda does; the sender is gone when the test is over.
                let Ok(next) = waiting.lock().unwrap().recv() else { return response("500 Over", &[], b"") };
                answers.lock().unwrap().1 = next.verdict;
                let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + next.deadline;
                let fields = [
                    ("Lambda-Runtime-Aws-Request-Id", next.request_id.as_str()),
                    ("Lambda-Runtime-Deadline-Ms", &deadline.as_millis().to_string()),
                    ("Lambda-Runtime-Invocation-Id", "invocation-7"),
                    ("Lambda-Runtime-Invoked-Function-Arn", FUNCTION_ARN),
                    ("Lambda-Runtime-Trace-Id", &next.trace_id),
                ];
                return response("200 OK", &fields, &next.event);
            }
            let answers = answers.lock().unwrap();
            let _ = answers.0.send(call);
            response(answers.1, &[], b"{\"status\":\"OK\"}")
        });
        Self { address, events, calls }
    }

    /// Gives an event; `verdict` is the status of the answer to what the function posts.
    pub fn give(&self, event: impl AsRef<[u8]>, deadline: Duration, verdict: &'static str) {
        self.hand_out(REQUEST_ID, event.as_ref(), deadline, verdict, TRACE_ID);
    }

    /// The same with a request id of its own, and a reply that is accepted.
    pub fn give_as(&self, request_id: &str, event: &Value, deadline: Duration) {
        self.hand_out(request_id, event.to_string().as_bytes(), deadline, "202 Accepted", TRACE_ID);
    }

    /// Gives an event with this trace header of the platform, and returns what the function posts.
    pub fn invoke_in(&self, trace_id: &str, event: &Value) -> Call {
        let deadline = Duration::from_secs(10);
        self.hand_out(REQUEST_ID, event.to_string().as_bytes(), deadline, "202 Accepted", trace_id);
        self.posted()
    }

    fn hand_out(&self, request_id: &str, event: &[u8], deadline: Duration, verdict: &'static str, trace_id: &str) {
        let (request_id, trace_id) = (request_id.to_owned(), trace_id.to_owned());
        let next = Next { request_id, event: event.to_vec(), deadline, verdict, trace_id };
        self.events.send(next).unwrap();
    }

    /// The next request that the function posts.
    ///
    /// # Panics
    /// When it posts nothing.
    pub fn posted(&self) -> Call {
        self.calls.recv_timeout(PATIENCE).expect("the function posts nothing")
    }

    /// Gives an event and returns what the function posts.
    pub fn invoke(&self, event: &Value) -> Call {
        self.give(event.to_string(), Duration::from_secs(10), "202 Accepted");
        self.posted()
    }
}
