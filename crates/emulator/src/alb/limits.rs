//! ALB's limits, and the requests that it refuses by their heads alone, before any rule (user guide, "Troubleshoot your
//! Application Load Balancers" and "Quotas"). Suspicious requests are refused in `desync`.

use std::time::Duration;

use crossfade_event::alb::MAX_REQUEST_BODY;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Version, header};

use super::error_page::Refusal;
use crate::http::{Head, Limits, RequestError, list, unknown_coding};

/// The longest request line, in bytes.
const MAX_REQUEST_LINE: usize = 16 * 1024;
/// The longest single field, name and value, in bytes.
const MAX_FIELD: usize = 16 * 1024;
/// The most bytes of all fields.
const MAX_FIELDS: usize = 64 * 1024;
/// The most addresses in `X-Forwarded-For`.
const MAX_FORWARDED_FOR: usize = 30;

/// The limits of an HTTP/1 connection with this idle timeout.
pub(super) fn of_http1(idle: Duration) -> Limits {
    Limits { request_line: MAX_REQUEST_LINE, fields: MAX_FIELDS, body: MAX_REQUEST_BODY, idle }
}

/// ALB's status codes for requests that cannot be read.
impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        let status = match error {
            RequestError::Malformed(_) | RequestError::HeadCutOff | RequestError::BodyCutOff => StatusCode::BAD_REQUEST,
            RequestError::UnsupportedVersion(_) => StatusCode::HTTP_VERSION_NOT_SUPPORTED,
            RequestError::UnsupportedCoding(_) => StatusCode::NOT_IMPLEMENTED,
            RequestError::LineTooLong { .. } => StatusCode::URI_TOO_LONG,
            RequestError::FieldsTooLong { .. } | RequestError::TooManyFields { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            RequestError::BodyTooLarge { .. } => {
                let (reason, status) = ("LambdaRequestTooLarge", StatusCode::PAYLOAD_TOO_LARGE);
                return Refusal::because(reason, status, error.to_string());
            }
            RequestError::HeadTimedOut | RequestError::BodyTimedOut => StatusCode::REQUEST_TIMEOUT,
        };
        Refusal::new(status, error.to_string())
    }
}

/// Makes the checks that hold for every kind of target.
///
/// # Errors
///
/// The refusal of the first check that fails.
pub(super) fn check_head(head: &Head) -> Result<(), Refusal> {
    if head.method == Method::TRACE {
        return Err(Refusal::new(StatusCode::METHOD_NOT_ALLOWED, "ALB rejects TRACE"));
    }
    if head.method == Method::CONNECT {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "ALB rejects CONNECT"));
    }
    // Only CONNECT has an authority for a target (RFC 9112 section 3.2), and only OPTIONS an asterisk.
    if !head.path().starts_with(b"/") && &*head.target != b"*" {
        return Err(Refusal::new(StatusCode::BAD_REQUEST, "the request's target has no path"));
    }
    if head.line_length > MAX_REQUEST_LINE {
        return Err(RequestError::LineTooLong { length: head.line_length, limit: MAX_REQUEST_LINE }.into());
    }
    let mut all = 0;
    for (name, value) in &head.headers {
        let length = name.as_str().len() + value.len() + ": \r\n".len();
        if length > MAX_FIELD {
            let problem = format!("the field `{name}` is {length} bytes long, the limit is {MAX_FIELD}");
            return Err(Refusal::new(StatusCode::PAYLOAD_TOO_LARGE, problem));
        }
        all += length;
    }
    if all > MAX_FIELDS {
        return Err(RequestError::FieldsTooLong { length: all, limit: MAX_FIELDS }.into());
    }
    unknown_coding(&head.headers)?;
    let addresses = list(&head.headers, "x-forwarded-for").count();
    if addresses > MAX_FORWARDED_FOR {
        let problem = format!("`X-Forwarded-For` has {addresses} addresses, the limit is {MAX_FORWARDED_FOR}");
        let status = StatusCode::from_u16(463).unwrap_or(StatusCode::BAD_REQUEST);
        return Err(Refusal::new(status, problem));
    }
    Ok(())
}

/// Drops fields whose names have other characters than letters, digits and `-`, as with
/// `routing.http.drop_invalid_header_fields.enabled`.
pub(super) fn drop_invalid_fields(headers: &mut HeaderMap, warnings: &mut Vec<String>) {
    let is_invalid =
        |name: &&HeaderName| !name.as_str().bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
    let invalid: Vec<HeaderName> = headers.keys().filter(is_invalid).cloned().collect();
    for name in invalid {
        warnings.push(format!("field `{name}` was dropped: `routing.http.drop_invalid_header_fields.enabled` is true"));
        headers.remove(name);
    }
}

/// Makes the checks that hold for Lambda targets only.
///
/// # Errors
///
/// 464 for gRPC over HTTP/2, 400 for a WebSocket.
pub(super) fn check_lambda(version: Version, headers: &HeaderMap) -> Result<(), Refusal> {
    let content_type = headers.get(header::CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    if version == Version::HTTP_2 && content_type.starts_with(b"application/grpc") {
        let problem = "gRPC needs HTTP/2, but Lambda target groups use HTTP/1";
        return Err(Refusal::new(StatusCode::from_u16(464).unwrap_or(StatusCode::BAD_REQUEST), problem));
    }
    let upgrades = list(headers, "connection").any(|option| option.eq_ignore_ascii_case(b"upgrade"));
    if upgrades && list(headers, "upgrade").any(|protocol| protocol.eq_ignore_ascii_case(b"websocket")) {
        let problem = "a Lambda function cannot serve a WebSocket";
        return Err(Refusal::because("LambdaWebsocketNotSupported", StatusCode::BAD_REQUEST, problem));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_that_cannot_be_read_have_albs_status_codes() {
        let status = |error: RequestError| Refusal::from(error).status.as_u16();
        assert_eq!(status(RequestError::Malformed("x".to_owned())), 400);
        assert_eq!(status(RequestError::HeadCutOff), 400);
        assert_eq!(status(RequestError::BodyCutOff), 400);
        assert_eq!(status(RequestError::HeadTimedOut), 408);
        assert_eq!(status(RequestError::BodyTimedOut), 408);
        assert_eq!(status(RequestError::BodyTooLarge { length: None, limit: 1 }), 413);
        // RFC 6585 has 431 for both.
        assert_eq!(status(RequestError::FieldsTooLong { length: 2, limit: 1 }), 413);
        assert_eq!(status(RequestError::TooManyFields { limit: 1 }), 413);
        assert_eq!(status(RequestError::LineTooLong { length: 2, limit: 1 }), 414);
        assert_eq!(status(RequestError::UnsupportedCoding("x".to_owned())), 501);
        assert_eq!(status(RequestError::UnsupportedVersion("x".to_owned())), 505);
    }
}
