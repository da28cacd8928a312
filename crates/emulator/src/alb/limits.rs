//! What an ALB refuses by the head of a request alone (user guide, "Troubleshoot your Application Load Balancers" and
//! "Quotas"), and how it reads a body. A refusal here needs no rule.
//!
//! Some requests never get this far, since the HTTP library has answered them with a bare status (they are told as
//! malformed): a request line or field that is not HTTP/1; a folded field; `Content-Length` twice with two values; a
//! `Transfer-Encoding` that does not end in `chunked` (400; an ALB answers 501); in a target, `<`, `>`, DEL and what is not
//! UTF-8, a backtick in the path, `"` in the query (400; an ALB is said to be lenient); a head of several hundred kilobytes
//! or more than 2000 fields (431); a target over 65 534 bytes (414). A target loses a `#` and what follows it before
//! anything here sees it.

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, Method, StatusCode, Version, header};
use http_body_util::BodyExt;
use hyper::body::Incoming;
use tokio::time::{Duration, Instant, timeout, timeout_at};

use super::error_page::Refusal;
use crate::pieces;

/// The longest request line, in bytes.
const MAX_REQUEST_LINE: usize = 16 * 1024;
/// The longest single field, name and value, in bytes.
const MAX_FIELD: usize = 16 * 1024;
/// The most bytes of all fields.
pub(super) const MAX_FIELDS: usize = 64 * 1024;
/// The most addresses in `X-Forwarded-For`.
const MAX_FORWARDED_FOR: usize = 30;
/// How long a client may be silent, in a head or a body (`idle_timeout.timeout_seconds`, by default).
pub(super) const IDLE_TIMEOUT: Duration = Duration::from_secs(60);
/// How much of a refused body is read so that the client gets to see the answer, and for how long.
const DRAINED: usize = 8 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(1);

/// Checks that hold for every target of a load balancer.
pub(super) fn check_head(parts: &Parts) -> Result<(), Refusal> {
    if parts.method == Method::TRACE {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "a load balancer does not take TRACE"));
    }
    if parts.method == Method::CONNECT {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "a load balancer does not take CONNECT"));
    }
    // `GET example` parses as an authority; only CONNECT has that form (RFC 9112 section 3.2).
    if !parts.uri.path().starts_with('/') && parts.uri.path() != "*" {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "the request's target has no path"));
    }
    let line = parts.method.as_str().len() + target_length(parts) + "  HTTP/1.1".len();
    if line > MAX_REQUEST_LINE {
        let problem = format!("the request line has {line} bytes, a load balancer takes {MAX_REQUEST_LINE}");
        return Err(Refusal::new(StatusCode::URI_TOO_LONG, problem));
    }
    let mut all = 0;
    for (name, value) in &parts.headers {
        let length = name.as_str().len() + value.len() + ": \r\n".len();
        if length > MAX_FIELD {
            let problem = format!("the field `{name}` has {length} bytes, a load balancer takes {MAX_FIELD}");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, problem));
        }
        all += length;
    }
    if all > MAX_FIELDS {
        let problem = format!("all fields have {all} bytes, a load balancer takes {MAX_FIELDS}");
        return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, problem));
    }
    for coding in list(&parts.headers, "transfer-encoding") {
        if !coding.eq_ignore_ascii_case(b"chunked") && !coding.eq_ignore_ascii_case(b"identity") {
            let problem = format!("transfer coding `{}` is not supported", String::from_utf8_lossy(coding));
            return Err(Refusal::new(StatusCode::NOT_IMPLEMENTED, problem));
        }
    }
    let addresses = list(&parts.headers, "x-forwarded-for").count();
    if addresses > MAX_FORWARDED_FOR {
        let problem = format!("`X-Forwarded-For` has {addresses} addresses, a load balancer takes {MAX_FORWARDED_FOR}");
        let status = StatusCode::from_u16(463).unwrap_or(StatusCode::BAD_REQUEST);
        return Err(Refusal::new(status, problem));
    }
    Ok(())
}

/// Checks that hold for Lambda targets only.
pub(super) fn check_lambda(parts: &Parts) -> Result<(), Refusal> {
    let upgrades = list(&parts.headers, "connection").any(|option| option.eq_ignore_ascii_case(b"upgrade"));
    if upgrades && list(&parts.headers, "upgrade").any(|protocol| protocol.eq_ignore_ascii_case(b"websocket")) {
        let problem = "a Lambda function cannot serve a WebSocket";
        return Err(Refusal::because("LambdaWebsocketNotSupported", StatusCode::BAD_REQUEST, problem));
    }
    Ok(())
}

/// Reads the whole body, as a load balancer does before it invokes a function, but no more than `limit`.
pub(super) async fn read_body(
    headers: &HeaderMap,
    version: Version,
    mut body: Incoming,
    limit: usize,
) -> Result<Bytes, Refusal> {
    let declared = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if let Some(length) = declared.filter(|length| *length > limit as u64) {
        // A client that waits for `100 Continue` has sent nothing and will not, unless the body is read.
        if !(version == Version::HTTP_11 && headers.contains_key(header::EXPECT)) {
            drain(&mut body).await;
        }
        return Err(too_large(&format!("{length} bytes"), limit));
    }
    let mut pieces = Vec::new();
    let mut length = 0;
    loop {
        let Ok(frame) = timeout(IDLE_TIMEOUT, body.frame()).await else {
            return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, "the client stopped in the middle of the body"));
        };
        let Some(frame) = frame else { break };
        let Ok(frame) = frame else {
            return Err(Refusal::new(StatusCode::BAD_REQUEST, "the client did not send the whole body"));
        };
        let Ok(data) = frame.into_data() else { continue };
        length += data.len();
        if length > limit {
            drain(&mut body).await;
            return Err(too_large("more", limit));
        }
        pieces.push(data);
    }
    Ok(pieces::join(pieces))
}

fn too_large(length: &str, limit: usize) -> Refusal {
    let problem = format!("the request's body has {length}, a load balancer hands {limit} bytes to a function");
    Refusal::because("LambdaRequestTooLarge", StatusCode::PAYLOAD_TOO_LARGE, problem)
}

/// Closing a connection on unread data resets it, and the answer is lost with it: so some of a refused body is read.
async fn drain(body: &mut Incoming) {
    let end = Instant::now() + DRAIN_TIME;
    let mut left = DRAINED;
    while let Ok(Some(Ok(frame))) = timeout_at(end, body.frame()).await {
        left = left.saturating_sub(frame.data_ref().map_or(0, Bytes::len));
        if left == 0 {
            return;
        }
    }
}

fn target_length(parts: &Parts) -> usize {
    let origin = parts.uri.path_and_query().map_or(1, |target| target.as_str().len());
    // HTTP/2 has no request line; its authority is a field of its own.
    let absolute = parts.version < Version::HTTP_2;
    match (parts.uri.scheme_str(), parts.uri.authority()) {
        (Some(scheme), Some(authority)) if absolute => scheme.len() + "://".len() + authority.as_str().len() + origin,
        _ => origin,
    }
}

/// The members of a comma-separated field, over all its lines.
fn list<'a>(headers: &'a HeaderMap, name: &'a str) -> impl Iterator<Item = &'a [u8]> {
    let lines = headers.get_all(name).into_iter();
    lines
        .flat_map(|line| line.as_bytes().split(|byte| *byte == b','))
        .map(<[u8]>::trim_ascii)
        .filter(|item| !item.is_empty())
}
