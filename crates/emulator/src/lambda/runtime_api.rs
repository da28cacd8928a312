//! The Lambda Runtime API of one environment: `next`, `response`, `error`, `init/error` (Lambda developer guide, "Using
//! the Lambda runtime API for custom runtimes"). Owns fields and status codes; the state is `coordinator`'s.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;

use super::call::{Content, MAX_RESPONSE, Rejection, accepted, describe_error, json};
use super::coordinator::Coordinator;
use super::failure::Failure;
use super::state::NextInvocation;
use super::stream::Answer;

const REQUEST_ID: &str = "lambda-runtime-aws-request-id";
const INVOCATION_ID: &str = "lambda-runtime-invocation-id";
const RESPONSE_MODE: &str = "lambda-runtime-function-response-mode";
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";
const ERROR_BODY: &str = "lambda-runtime-function-error-body";

/// The largest response that a function may stream, in bytes ("Lambda quotas": 200 MB).
const MAX_STREAM: usize = 200 * 1024 * 1024;

/// Serves the long poll, without a time limit, as the function may be frozen during the call.
pub(super) async fn next(coordinator: &Coordinator) -> Result<Response<Full<Bytes>>, Rejection> {
    let NextInvocation { request_id, invocation_id, event, trace_id, deadline_ms } = coordinator.next().await?;
    let mut response = json(StatusCode::OK, event);
    let fields = [
        (REQUEST_ID, request_id),
        (INVOCATION_ID, invocation_id),
        ("lambda-runtime-deadline-ms", deadline_ms.to_string()),
        ("lambda-runtime-invoked-function-arn", coordinator.function_arn.clone()),
        ("lambda-runtime-trace-id", trace_id),
    ];
    for (name, value) in fields {
        // The trace id is the client's; what cannot be a field is left out.
        if let Ok(value) = HeaderValue::try_from(value) {
            response.headers_mut().insert(name, value);
        }
    }
    Ok(response)
}

pub(super) fn post(
    coordinator: &Coordinator,
    call: &str,
    headers: &HeaderMap,
    content: Content,
) -> Result<Response<Full<Bytes>>, Rejection> {
    let invocation = call.strip_prefix("invocation/").and_then(|call| call.split_once('/'));
    let echoed = headers.get(INVOCATION_ID).map(HeaderValue::as_bytes);
    match (call, invocation) {
        ("init/error", _) => coordinator.init_error(describe_error(headers, ERROR_TYPE, content))?,
        (_, Some((id, "response"))) => {
            let Posted { answer, verdict } = response(content);
            coordinator.finish(id, echoed, answer)?;
            verdict?;
        }
        (_, Some((id, "error"))) => {
            let error = describe_error(headers, ERROR_TYPE, content);
            coordinator.finish(id, echoed, Err(Failure::FunctionError(error)))?;
        }
        _ => return Err(Rejection::no_such_call()),
    }
    Ok(accepted())
}

/// The result for the front end, and the response to the function.
struct Posted {
    answer: Result<Answer, Failure>,
    verdict: Result<(), Rejection>,
}

fn response(content: Content) -> Posted {
    match content {
        Content::Whole(bytes) => Posted { answer: Ok(Answer::Whole(bytes)), verdict: Ok(()) },
        Content::TooLarge => Posted {
            answer: Err(Failure::ResponseTooLarge { limit: MAX_RESPONSE }),
            verdict: Err(too_large(MAX_RESPONSE)),
        },
        Content::CutOff => Posted { answer: Err(Failure::CutOff), verdict: Err(truncated()) },
    }
}

fn too_large(limit: usize) -> Rejection {
    let message = format!("Exceeded maximum allowed payload size ({limit} bytes).");
    Rejection(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message)
}

fn truncated() -> Rejection {
    let message = "HTTP request detected as truncated".to_owned();
    Rejection(StatusCode::BAD_REQUEST, "TruncatedHTTPRequest", message)
}

/// Returns the request ID of a call that posts a streamed response.
///
/// # Errors
///
/// The rejection of a response mode that Lambda does not know.
pub(super) fn streamed<'p>(path: &'p str, headers: &HeaderMap) -> Result<Option<&'p str>, Rejection> {
    let posted = path.strip_prefix("invocation/").and_then(|call| call.strip_suffix("/response"));
    let Some(id) = posted else { return Ok(None) };
    let mode = headers.get(RESPONSE_MODE).map_or(&b"buffered"[..], HeaderValue::as_bytes);
    if mode.eq_ignore_ascii_case(b"buffered") {
        return Ok(None);
    }
    if mode.eq_ignore_ascii_case(b"streaming") {
        return Ok(Some(id));
    }
    let message = "Invalid function response mode".to_owned();
    Err(Rejection(StatusCode::BAD_REQUEST, "InvalidFunctionResponseMode", message))
}

/// Passes a streamed response on as it arrives. All of it is read, also if nobody wants it any longer: a client that leaves
/// does not stop the function.
pub(super) async fn stream(
    coordinator: &Coordinator,
    id: &str,
    headers: &HeaderMap,
    mut body: Incoming,
) -> Result<Response<Full<Bytes>>, Rejection> {
    let echoed = headers.get(INVOCATION_ID).map(HeaderValue::as_bytes);
    let sink = match coordinator.stream(id, echoed, headers.get(header::CONTENT_TYPE).cloned()) {
        Ok(sink) => sink,
        Err(rejection) => {
            while body.frame().await.is_some_and(|frame| frame.is_ok()) {}
            return Err(rejection);
        }
    };
    let (mut length, mut end, mut verdict) = (0_usize, Ok(None), Ok(()));
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            (end, verdict) = (Err(Failure::CutOff), Err(truncated()));
            break;
        };
        match frame.into_data() {
            Ok(data) => {
                length = length.saturating_add(data.len());
                if length <= MAX_STREAM {
                    sink.send(Ok(Some(data))).await;
                } else if verdict.is_ok() {
                    verdict = Err(too_large(MAX_STREAM));
                    sink.send(Err(Failure::ResponseTooLarge { limit: MAX_STREAM })).await;
                }
            }
            Err(frame) => {
                let error = frame.trailers_ref().filter(|trailers| trailers.contains_key(ERROR_TYPE));
                if let Some(trailers) = error {
                    end = Err(Failure::FunctionError(describe_trailers(trailers)));
                }
            }
        }
    }
    sink.send(end).await;
    coordinator.finish(id, echoed, Err(Failure::CutOff))?;
    verdict.map(|()| accepted())
}

/// Describes the error in the trailers of a streamed response: its type, and its JSON in base64.
fn describe_trailers(trailers: &HeaderMap) -> String {
    let body = trailers.get(ERROR_BODY).map(HeaderValue::as_bytes).unwrap_or_default();
    let body = base64_simd::STANDARD.decode_to_vec(body).unwrap_or_default();
    describe_error(trailers, ERROR_TYPE, Content::Whole(body.into()))
}
