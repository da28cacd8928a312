//! The Lambda Runtime API of one environment: `next`, `response`, `error`, `init/error` (Lambda developer guide, "Using
//! the Lambda runtime API for custom runtimes"). Owns fields and status codes; the state is `coordinator`'s.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode};
use http_body_util::Full;

use super::call::{Content, MAX_RESPONSE, Rejection, accepted, describe_error, json};
use super::coordinator::Coordinator;
use super::failure::Failure;
use super::state::NextInvocation;

const REQUEST_ID: &str = "lambda-runtime-aws-request-id";
const INVOCATION_ID: &str = "lambda-runtime-invocation-id";
const RESPONSE_MODE: &str = "lambda-runtime-function-response-mode";
const ERROR_TYPE: &str = "lambda-runtime-function-error-type";

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
            let Posted { answer, verdict } = response(headers, content)?;
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

/// The result for the load balancer, and the response to the function.
struct Posted {
    answer: Result<Bytes, Failure>,
    verdict: Result<(), Rejection>,
}

fn response(headers: &HeaderMap, content: Content) -> Result<Posted, Rejection> {
    let mode = headers.get(RESPONSE_MODE).map_or(&b"buffered"[..], HeaderValue::as_bytes);
    let streamed = mode.eq_ignore_ascii_case(b"streaming");
    if !streamed && !mode.eq_ignore_ascii_case(b"buffered") {
        let message = "Invalid function response mode".to_owned();
        return Err(Rejection(StatusCode::BAD_REQUEST, "InvalidFunctionResponseMode", message));
    }
    Ok(match content {
        _ if streamed => Posted { answer: Err(Failure::Streaming), verdict: Ok(()) },
        Content::Whole(bytes) => Posted { answer: Ok(bytes), verdict: Ok(()) },
        Content::TooLarge => {
            let message = format!("Exceeded maximum allowed payload size ({MAX_RESPONSE} bytes).");
            let verdict = Err(Rejection(StatusCode::PAYLOAD_TOO_LARGE, "RequestEntityTooLarge", message));
            Posted { answer: Err(Failure::ResponseTooLarge { limit: MAX_RESPONSE }), verdict }
        }
        Content::CutOff => {
            let message = "HTTP request detected as truncated".to_owned();
            let verdict = Err(Rejection(StatusCode::BAD_REQUEST, "TruncatedHTTPRequest", message));
            Posted { answer: Err(Failure::CutOff), verdict }
        }
    })
}
