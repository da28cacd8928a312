//! The Lambda Runtime API of one environment: `next`, `response`, `error`, `init/error` (Lambda developer guide, "Using the
//! Lambda runtime API for custom runtimes"). Owns the protocol and the invocation in hand; not the process, not the pool.

use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use serde::Deserialize;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinSet;

use super::failure::Failure;
use crate::{pieces, random};

/// The largest answer of a function that Lambda takes, in bytes ("Lambda quotas": 6 MB; the number is the one that its error
/// message gives).
pub(super) const MAX_RESPONSE: usize = 6_291_556;
/// How many finished invocations are remembered, to tell a late answer (410) from a made-up id (400).
const REMEMBERED: usize = 16;
/// The longest text of a function's error that is told.
const LONGEST_ERROR: usize = 500;

const REQUEST_ID: &str = "lambda-runtime-aws-request-id";
const INVOCATION_ID: &str = "lambda-runtime-invocation-id";
const RESPONSE_MODE: &str = "lambda-runtime-function-response-mode";
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";

/// What the function did, for the environment to act on.
#[derive(Debug)]
pub(super) enum Signal {
    /// It asked for an invocation.
    Waiting,
    /// It reported that it cannot start.
    InitError(String),
}

/// One event to be handed over.
pub(super) struct Invocation {
    pub(super) event: Bytes,
    pub(super) trace_id: String,
    /// When the process is killed for it.
    pub(super) deadline: SystemTime,
    pub(super) answer: oneshot::Sender<Result<Bytes, Failure>>,
}

/// Where the pool leaves an invocation and the function picks it up: at most one at a time.
pub(super) struct RuntimeApi {
    function_arn: String,
    state: Mutex<State>,
    queued: Notify,
    signals: mpsc::UnboundedSender<Signal>,
}

#[derive(Default)]
struct State {
    /// Whether the pool has been told that the function asks, and has not been answered with an invocation yet. A runtime
    /// may hang up and ask again: that is no second environment.
    asked: bool,
    queued: Option<Invocation>,
    open: Option<Open>,
    over: VecDeque<String>,
    /// Set once, when the process has ended: how.
    closed: Option<String>,
}

/// The invocation that the function works on.
struct Open {
    request_id: String,
    invocation_id: String,
    answer: oneshot::Sender<Result<Bytes, Failure>>,
}

/// An answer that the function gets instead of `202 Accepted`.
struct Rejection(StatusCode, &'static str, &'static str);

const NO_SUCH_CALL: Rejection = Rejection(StatusCode::NOT_FOUND, "NotFound", "no such call");
const NO_SUCH_REQUEST: Rejection = Rejection(StatusCode::BAD_REQUEST, "InvalidRequestID", "no such request id");
const OTHER_INVOCATION: Rejection =
    Rejection(StatusCode::BAD_REQUEST, "InvalidInvocationId", "the invocation id is not the one of this request");
const CUT_OFF: Rejection = Rejection(StatusCode::BAD_REQUEST, "InvalidRequest", "the body was cut off");
const NOT_ANSWERED: Rejection =
    Rejection(StatusCode::FORBIDDEN, "InvalidStateTransition", "the present invocation has not been answered");
const OVER: Rejection = Rejection(StatusCode::GONE, "InvocationOver", "the invocation is over");
const TOO_LARGE: Rejection =
    Rejection(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", "the response is larger than Lambda takes");

impl RuntimeApi {
    pub(super) fn new(function_arn: String, signals: mpsc::UnboundedSender<Signal>) -> Self {
        Self { function_arn, state: Mutex::default(), queued: Notify::new(), signals }
    }

    /// Leaves an invocation for the function. Its `answer` is served in any case, also if the process has ended.
    pub(super) fn leave(&self, invocation: Invocation) {
        let mut state = self.lock();
        if let Some(status) = &state.closed {
            let _ = invocation.answer.send(Err(Failure::NeverTaken(status.clone())));
            return;
        }
        state.queued = Some(invocation);
        drop(state);
        self.queued.notify_one();
    }

    /// The process has ended: whatever it had been given fails.
    pub(super) fn close(&self, status: &str) {
        let mut state = self.lock();
        state.closed = Some(status.to_owned());
        if let Some(invocation) = state.queued.take() {
            let _ = invocation.answer.send(Err(Failure::NeverTaken(status.to_owned())));
        }
        if let Some(open) = state.open.take() {
            let _ = open.answer.send(Err(Failure::Exited(status.to_owned())));
        }
    }

    /// Serves connections until the future is dropped, which also ends them.
    pub(super) async fn serve(self: Arc<Self>, listener: TcpListener) {
        let mut connections = JoinSet::new();
        loop {
            let stream = tokio::select! {
                accepted = listener.accept() => match accepted {
                    Ok((stream, _)) => stream,
                    Err(_) => {
                        // Out of file descriptors, for instance: others will be freed.
                        tokio::time::sleep(Duration::from_millis(20)).await;
                        continue;
                    }
                },
                Some(_) = connections.join_next() => continue,
            };
            let _ = stream.set_nodelay(true);
            let api = Arc::clone(&self);
            connections.spawn(async move {
                let service = service_fn(|request| {
                    let api = Arc::clone(&api);
                    async move { Ok::<_, Infallible>(api.answer(request).await) }
                });
                // An error here is the function hanging up; the process' end is noticed elsewhere.
                let _ =
                    hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service).await;
            });
        }
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let (parts, body) = request.into_parts();
        let path = parts.uri.path().strip_prefix("/2018-06-01/runtime/").unwrap_or_default();
        if parts.method == Method::GET && path == "invocation/next" {
            return self.next().await.unwrap_or_else(Rejection::into_response);
        }
        // Read in any case: a connection with an unread body would be closed, and the function with it.
        let content = collect(body).await;
        let call = path.strip_prefix("invocation/").and_then(|call| call.split_once('/'));
        let outcome = match (path, call) {
            _ if parts.method != Method::POST => Err(NO_SUCH_CALL),
            ("init/error", _) => {
                let _ = self.signals.send(Signal::InitError(describe_error(&parts.headers, content)));
                Ok(())
            }
            (_, Some((id, "response"))) => self.response(id, &parts.headers, content),
            (_, Some((id, "error"))) => {
                let error = describe_error(&parts.headers, content);
                self.finish(id, &parts.headers, Err(Failure::FunctionError(error)))
            }
            _ => Err(NO_SUCH_CALL),
        };
        match outcome {
            Ok(()) => json(StatusCode::ACCEPTED, r#"{"status":"OK"}"#.into()),
            Err(rejection) => rejection.into_response(),
        }
    }

    /// The long poll: takes as long as it takes, as the function may be frozen inside the call.
    async fn next(&self) -> Result<Response<Full<Bytes>>, Rejection> {
        {
            let mut state = self.lock();
            if state.open.is_some() {
                return Err(NOT_ANSWERED);
            }
            if !std::mem::replace(&mut state.asked, true) {
                let _ = self.signals.send(Signal::Waiting);
            }
        }
        loop {
            // A caller that hangs up drops this future between two invocations. One that it has just been given is lost,
            // as in Lambda, until the timeout.
            if let Some(invocation) = self.take() {
                return Ok(invocation);
            }
            self.queued.notified().await;
        }
    }

    fn take(&self) -> Option<Response<Full<Bytes>>> {
        let mut state = self.lock();
        let Invocation { event, trace_id, deadline, answer } = state.queued.take()?;
        state.asked = false;
        let open = Open { request_id: random::uuid(), invocation_id: random::uuid(), answer };
        let deadline_ms = deadline.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis();
        let mut response = json(StatusCode::OK, event);
        let fields = [
            (REQUEST_ID, &open.request_id),
            (INVOCATION_ID, &open.invocation_id),
            ("lambda-runtime-deadline-ms", &deadline_ms.to_string()),
            ("lambda-runtime-invoked-function-arn", &self.function_arn),
            ("lambda-runtime-trace-id", &trace_id),
        ];
        for (name, value) in fields {
            // The trace id is the client's; what cannot be a field is left out.
            if let Ok(value) = HeaderValue::from_str(value) {
                response.headers_mut().insert(name, value);
            }
        }
        state.open = Some(open);
        Some(response)
    }

    fn response(&self, id: &str, headers: &HeaderMap, content: Content) -> Result<(), Rejection> {
        let streamed =
            headers.get(RESPONSE_MODE).is_some_and(|mode| mode.as_bytes().eq_ignore_ascii_case(b"streaming"));
        let (answer, told) = match content {
            _ if streamed => (Err(Failure::Streaming), Ok(())),
            Content::Whole(bytes) => (Ok(bytes), Ok(())),
            Content::TooLarge => (Err(Failure::ResponseTooLarge { limit: MAX_RESPONSE }), Err(TOO_LARGE)),
            Content::CutOff => (Err(Failure::CutOff), Err(CUT_OFF)),
        };
        self.finish(id, headers, answer).and(told)
    }

    /// Takes an answer, if it may be given under this id and with the invocation id that was echoed. Echoing none is
    /// tolerated.
    fn finish(&self, id: &str, headers: &HeaderMap, answer: Result<Bytes, Failure>) -> Result<(), Rejection> {
        let mut state = self.lock();
        let Some(open) = state.open.take_if(|open| open.request_id == id) else {
            return Err(if state.over.iter().any(|over| over == id) { OVER } else { NO_SUCH_REQUEST });
        };
        if headers.get(INVOCATION_ID).is_some_and(|echoed| echoed.as_bytes() != open.invocation_id.as_bytes()) {
            state.open = Some(open);
            return Err(OTHER_INVOCATION);
        }
        if state.over.len() == REMEMBERED {
            state.over.pop_front();
        }
        state.over.push_back(open.request_id);
        let _ = open.answer.send(answer);
        Ok(())
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Rejection {
    fn into_response(self) -> Response<Full<Bytes>> {
        let Self(status, kind, message) = self;
        json(status, format!(r#"{{"errorMessage":"{message}","errorType":"{kind}"}}"#).into())
    }
}

fn json(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

enum Content {
    Whole(Bytes),
    TooLarge,
    CutOff,
}

/// Reads all of a body and keeps no more than Lambda would. The rest is read too, so that the function hears the answer.
async fn collect(mut body: Incoming) -> Content {
    let mut pieces = Vec::new();
    let mut length = 0_usize;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else { return Content::CutOff };
        let Ok(data) = frame.into_data() else { continue };
        length = length.saturating_add(data.len());
        if length <= MAX_RESPONSE {
            pieces.push(data);
        }
    }
    if length > MAX_RESPONSE { Content::TooLarge } else { Content::Whole(pieces::join(pieces)) }
}

/// `Type: message` on one line, from what the runtime sent, however much of it is there.
fn describe_error(headers: &HeaderMap, content: Content) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Sent {
        error_message: String,
        error_type: String,
    }
    let body = match content {
        Content::Whole(bytes) => bytes,
        Content::TooLarge | Content::CutOff => Bytes::new(),
    };
    let sent: Sent = serde_json::from_slice(&body).unwrap_or_default();
    let header = headers.get(ERROR_TYPE).map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
    let kind = if sent.error_type.is_empty() { header.unwrap_or_default() } else { sent.error_type };
    let text = match (kind.is_empty(), sent.error_message.is_empty()) {
        (false, false) => format!("{kind}: {}", sent.error_message),
        (false, true) => kind,
        (true, false) => sent.error_message,
        (true, true) if body.is_empty() => "no details given".to_owned(),
        (true, true) => String::from_utf8_lossy(&body).into_owned(),
    };
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(LONGEST_ERROR) {
        line.truncate(cut);
        line.push('…');
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_runtime_that_hangs_up_and_asks_again_is_told_once() {
        let (signals, mut received) = mpsc::unbounded_channel();
        let api = RuntimeApi::new("arn".to_owned(), signals);
        for _ in 0..3 {
            assert!(tokio::time::timeout(Duration::from_millis(1), api.next()).await.is_err());
        }
        let (answer, _answered) = oneshot::channel();
        api.leave(Invocation { event: Bytes::new(), trace_id: String::new(), deadline: SystemTime::now(), answer });
        assert!(api.next().await.is_ok());
        assert!(matches!(received.try_recv(), Ok(Signal::Waiting)));
        assert!(received.try_recv().is_err());
    }
}
