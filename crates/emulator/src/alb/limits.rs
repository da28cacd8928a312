//! What an ALB refuses by the head of a request alone (user guide, "Troubleshoot your Application Load Balancers" and
//! "Quotas"), and how it reads the body of an HTTP/2 request. A refusal here needs no rule. What cannot be read as HTTP at all
//! is refused in `head`, what is suspicious in `desync`.

use bytes::Bytes;
use crossfade_event::alb::MAX_REQUEST_BODY;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Duration, timeout};

use super::error_page::Refusal;
use super::head::Head;
use crate::pieces;

/// The longest request line, in bytes.
pub(super) const MAX_REQUEST_LINE: usize = 16 * 1024;
/// The longest single field, name and value, in bytes.
const MAX_FIELD: usize = 16 * 1024;
/// The most bytes of all fields.
pub(super) const MAX_FIELDS: usize = 64 * 1024;
/// The most addresses in `X-Forwarded-For`.
const MAX_FORWARDED_FOR: usize = 30;

/// Checks that hold for every target of a load balancer.
pub(super) fn check_head(head: &Head) -> Result<(), Refusal> {
    if head.method == Method::TRACE {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "a load balancer does not take TRACE"));
    }
    if head.method == Method::CONNECT {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "a load balancer does not take CONNECT"));
    }
    // Only CONNECT has an authority for a target (RFC 9112 section 3.2), and only OPTIONS an asterisk.
    if !head.path().starts_with(b"/") && &*head.target != b"*" {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "the request's target has no path"));
    }
    if head.line_length > MAX_REQUEST_LINE {
        return Err(line_too_long(head.line_length));
    }
    let mut all = 0;
    for (name, value) in &head.headers {
        let length = name.as_str().len() + value.len() + ": \r\n".len();
        if length > MAX_FIELD {
            let problem = format!("the field `{name}` has {length} bytes, a load balancer takes {MAX_FIELD}");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, problem));
        }
        all += length;
    }
    if all > MAX_FIELDS {
        return Err(fields_too_long(all));
    }
    if let Some(refusal) = unknown_coding(&head.headers) {
        return Err(refusal);
    }
    let addresses = list(&head.headers, "x-forwarded-for").count();
    if addresses > MAX_FORWARDED_FOR {
        let problem = format!("`X-Forwarded-For` has {addresses} addresses, a load balancer takes {MAX_FORWARDED_FOR}");
        let status = StatusCode::from_u16(463).unwrap_or(StatusCode::BAD_REQUEST);
        return Err(Refusal::new(status, problem));
    }
    Ok(())
}

pub(super) fn line_too_long(length: usize) -> Refusal {
    let problem = format!("the request line has {length} bytes, a load balancer takes {MAX_REQUEST_LINE}");
    Refusal::new(StatusCode::URI_TOO_LONG, problem)
}

pub(super) fn fields_too_long(length: usize) -> Refusal {
    let problem = format!("all fields have {length} bytes, a load balancer takes {MAX_FIELDS}");
    Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, problem)
}

/// A transfer coding that a load balancer does not know, so that nobody can say where the body ends.
pub(super) fn unknown_coding(headers: &HeaderMap) -> Option<Refusal> {
    let known = |coding: &&[u8]| coding.eq_ignore_ascii_case(b"chunked") || coding.eq_ignore_ascii_case(b"identity");
    let coding = list(headers, "transfer-encoding").find(|coding| !known(coding))?;
    let problem = format!("transfer coding `{}` is not supported", coding.escape_ascii());
    Some(Refusal::new(StatusCode::NOT_IMPLEMENTED, problem))
}

/// With `routing.http.drop_invalid_header_fields.enabled`: names of other characters than letters, digits and `-` go.
pub(super) fn drop_invalid_fields(headers: &mut HeaderMap, warnings: &mut Vec<String>) {
    let is_invalid =
        |name: &&HeaderName| !name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let invalid: Vec<HeaderName> = headers.keys().filter(is_invalid).cloned().collect();
    for name in invalid {
        warnings.push(format!("field `{name}` was dropped: `routing.http.drop_invalid_header_fields.enabled` is true"));
        headers.remove(name);
    }
}

/// Checks that hold for Lambda targets only.
pub(super) fn check_lambda(version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if version == Version::HTTP_2 && content_type.starts_with(b"application/grpc") {
        let problem = "a target group of a function speaks HTTP/1, gRPC needs HTTP/2";
        return Err(Refusal::new(StatusCode::from_u16(464).unwrap_or(StatusCode::BAD_REQUEST), problem));
    }
    let upgrades = list(headers, "connection").any(|option| option.eq_ignore_ascii_case(b"upgrade"));
    if upgrades && list(headers, "upgrade").any(|protocol| protocol.eq_ignore_ascii_case(b"websocket")) {
        let problem = "a Lambda function cannot serve a WebSocket";
        return Err(Refusal::because("LambdaWebsocketNotSupported", StatusCode::BAD_REQUEST, problem));
    }
    Ok(())
}

/// Reads the whole body of an HTTP/2 request, as a load balancer does before it invokes a function, but no more than a
/// function gets.
pub(super) async fn read_body(headers: &HeaderMap, mut body: Incoming, idle: Duration) -> Result<Bytes, Refusal> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if let Some(length) = declared.filter(|length| *length > MAX_REQUEST_BODY as u64) {
        return Err(body_too_large(&format!("{length} bytes")));
    }
    let mut pieces = Vec::new();
    let mut length = 0;
    loop {
        let frame = timeout(idle, body.frame()).await.map_err(|_| body_too_slow())?;
        let Some(frame) = frame else { break };
        let Ok(data) = frame.map_err(|_| body_cut_off())?.into_data() else { continue };
        length += data.len();
        if length > MAX_REQUEST_BODY {
            return Err(body_too_large("more"));
        }
        pieces.push(data);
    }
    Ok(pieces::join(pieces))
}

pub(super) fn body_too_large(length: &str) -> Refusal {
    let problem =
        format!("the request's body has {length}, a load balancer hands {MAX_REQUEST_BODY} bytes to a function");
    Refusal::because("LambdaRequestTooLarge", StatusCode::PAYLOAD_TOO_LARGE, problem)
}

pub(super) fn body_cut_off() -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, "the client did not send the whole body")
}

pub(super) fn body_too_slow() -> Refusal {
    Refusal::new(StatusCode::REQUEST_TIMEOUT, "the client stopped in the middle of the body")
}

/// The members of a comma-separated field, over all its lines.
pub(super) fn list<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).into_iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|item| !item.is_empty())
}
