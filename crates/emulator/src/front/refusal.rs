//! The responses that a service gives by itself: one table of statuses and texts for each, and the fields that it adds to
//! every response.

use std::fmt;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};

use super::endpoint::EndpointKind::{self, FunctionUrl, HttpApi, HttpApi1, Lattice, Lattice1, RestApi};
use super::request::Ids;
use crate::http::RequestError;
use crate::lambda::Failure;

/// A request that the service answers by itself.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) why: Why,
    /// One line for the developer.
    pub(super) problem: String,
}

/// The reasons that a service distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Why {
    /// The request cannot be read.
    Malformed,
    /// The path does not begin with the stage or the base path.
    NoStage,
    /// No route has this path and method.
    NoRoute,
    /// The content is too large, or the event that it becomes.
    TooLarge,
    /// Request line and fields are too large.
    HeadTooLarge,
    /// The client took too long.
    Slow,
    /// The function failed, or its response is malformed or too large.
    Function,
    /// The service has waited long enough.
    TimedOut,
    Throttled,
}

impl Refusal {
    pub(super) fn new(why: Why, problem: impl fmt::Display) -> Self {
        Self { why, problem: problem.to_string() }
    }
}

impl From<RequestError> for Refusal {
    fn from(error: RequestError) -> Self {
        let why = match error {
            RequestError::Malformed(_)
            | RequestError::HeadCutOff
            | RequestError::BodyCutOff
            | RequestError::UnsupportedVersion(_)
            | RequestError::UnsupportedCoding(_) => Why::Malformed,
            RequestError::LineTooLong { .. }
            | RequestError::FieldsTooLong { .. }
            | RequestError::TooManyFields { .. } => Why::HeadTooLarge,
            RequestError::BodyTooLarge { .. } => Why::TooLarge,
            RequestError::HeadTimedOut | RequestError::BodyTimedOut => Why::Slow,
        };
        Self::new(why, error)
    }
}

impl From<Failure> for Refusal {
    fn from(failure: Failure) -> Self {
        let why = match failure {
            Failure::Throttled { .. } => Why::Throttled,
            _ => Why::Function,
        };
        Self::new(why, failure)
    }
}

/// Status, content and `x-amzn-ErrorType` of a service's own response. Texts and statuses are from responses of real APIs
/// where those are published, and from the documentation.
fn response_of(kind: EndpointKind, why: Why) -> (u16, &'static str, Option<&'static str>) {
    match (kind, why) {
        (RestApi, Why::Malformed | Why::Slow) => (400, r#"{"message": "Bad Request"}"#, Some("BadRequestException")),
        (RestApi, Why::NoStage) => (403, r#"{"message":"Forbidden"}"#, Some("ForbiddenException")),
        (RestApi, Why::NoRoute) => {
            (403, r#"{"message":"Missing Authentication Token"}"#, Some("MissingAuthenticationTokenException"))
        }
        (RestApi, Why::TooLarge) => (413, r#"{"message":"Request Too Long"}"#, Some("RequestTooLargeException")),
        (RestApi, Why::HeadTooLarge) => (431, r#"{"message":"Request Header Fields Too Large"}"#, None),
        (RestApi, Why::Function) => {
            (502, r#"{"message": "Internal server error"}"#, Some("InternalServerErrorException"))
        }
        (RestApi, Why::Throttled) => {
            (500, r#"{"message": "Internal server error"}"#, Some("InternalServerErrorException"))
        }
        (RestApi, Why::TimedOut) => {
            (504, r#"{"message": "Endpoint request timed out"}"#, Some("InternalServerErrorException"))
        }
        (HttpApi | HttpApi1, Why::Malformed | Why::Slow) => (400, r#"{"message":"Bad Request"}"#, None),
        (HttpApi | HttpApi1, Why::NoStage | Why::NoRoute) => (404, r#"{"message":"Not Found"}"#, None),
        (HttpApi | HttpApi1, Why::TooLarge) => (413, r#"{"message":"Request Entity Too Large"}"#, None),
        (HttpApi | HttpApi1, Why::HeadTooLarge) => (431, r#"{"message":"Request Header Fields Too Large"}"#, None),
        (HttpApi | HttpApi1, Why::Function) => (500, r#"{"message":"Internal Server Error"}"#, None),
        (HttpApi | HttpApi1, Why::TimedOut | Why::Throttled) => (503, r#"{"message":"Service Unavailable"}"#, None),
        (FunctionUrl, Why::Malformed | Why::Slow) => (400, r#"{"message":"Bad Request"}"#, None),
        (FunctionUrl, Why::NoStage | Why::NoRoute) => (404, r#"{"Message":null}"#, None),
        (FunctionUrl, Why::TooLarge) => {
            (413, r#"{"message":"Request Entity Too Large"}"#, Some("RequestEntityTooLargeException"))
        }
        (FunctionUrl, Why::HeadTooLarge) => (431, r#"{"message":"Request Header Fields Too Large"}"#, None),
        (FunctionUrl, Why::Function | Why::TimedOut) => (502, "Internal Server Error", None),
        (FunctionUrl, Why::Throttled) => (
            429,
            r#"{"Reason":"ConcurrentInvocationLimitExceeded","Type":"User","message":"Rate Exceeded."}"#,
            Some("TooManyRequestsException"),
        ),
        (Lattice | Lattice1, Why::Malformed | Why::Slow) => (400, "", None),
        (Lattice | Lattice1, Why::NoStage | Why::NoRoute) => (404, "", None),
        (Lattice | Lattice1, Why::TooLarge) => (413, "", None),
        (Lattice | Lattice1, Why::HeadTooLarge) => (431, "", None),
        (Lattice | Lattice1, Why::Function | Why::TimedOut | Why::Throttled) => (502, "", None),
    }
}

/// Returns the service's own response.
pub(super) fn response(kind: EndpointKind, why: Why) -> Response<Bytes> {
    let (status, body, error_type) = response_of(kind, why);
    let mut response = Response::new(Bytes::from_static(body.as_bytes()));
    *response.status_mut() = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    if !body.is_empty() {
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
    if let Some(error_type) = error_type {
        response.headers_mut().insert("x-amzn-errortype", HeaderValue::from_static(error_type));
    }
    response
}

/// Adds the fields that the service adds to every response.
pub(super) fn add_own_fields(kind: EndpointKind, headers: &mut HeaderMap, ids: &Ids, trace: &str) {
    let own: &[(&str, &str)] = match kind {
        RestApi => &[("x-amzn-requestid", &ids.request), ("x-amz-apigw-id", &ids.extended), ("x-amzn-trace-id", trace)],
        HttpApi | HttpApi1 => &[("apigw-requestid", &ids.extended)],
        FunctionUrl => &[("x-amzn-requestid", &ids.request), ("x-amzn-trace-id", trace)],
        Lattice | Lattice1 => &[],
    };
    for (name, value) in own {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::from_str(value)) {
            headers.insert(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_service_has_its_own_statuses() {
        for (why, expected) in [
            (Why::Malformed, [400, 400, 400, 400]),
            (Why::NoStage, [403, 404, 404, 404]),
            (Why::NoRoute, [403, 404, 404, 404]),
            (Why::TooLarge, [413, 413, 413, 413]),
            (Why::Function, [502, 500, 502, 502]),
            (Why::TimedOut, [504, 503, 502, 502]),
            (Why::Throttled, [500, 503, 429, 502]),
        ] {
            let statuses = [RestApi, HttpApi, FunctionUrl, Lattice].map(|kind| response(kind, why).status().as_u16());
            assert_eq!(statuses, expected, "{why:?}");
        }
    }
}
