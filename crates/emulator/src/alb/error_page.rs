//! The load balancer's own error responses: a refusal, and the small page that shows it.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use crate::http::phrase;

/// The value of `Server` in ALB's own responses.
pub(super) const SERVER: HeaderValue = HeaderValue::from_static("awselb/2.0");

/// A request that the load balancer rejects, and its status code.
#[derive(Debug)]
pub(super) struct Refusal {
    pub(super) status: StatusCode,
    /// The `error_reason` of the access log, where AWS has one.
    pub(super) reason: Option<&'static str>,
    /// One line for the developer.
    pub(super) problem: String,
}

impl Refusal {
    pub(super) fn new(status: StatusCode, problem: impl Into<String>) -> Self {
        Self { status, reason: None, problem: problem.into() }
    }

    pub(super) fn because(reason: &'static str, status: StatusCode, problem: impl Into<String>) -> Self {
        Self { status, reason: Some(reason), problem: problem.into() }
    }
}

/// Returns ALB's error page. Status codes without a reason phrase are shown as a number.
pub(super) fn page(status: StatusCode) -> Response<Bytes> {
    let title = format!("{} {}", status.as_str(), phrase(status)).trim_end().to_owned();
    let body = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    let mut response = Response::new(Bytes::from(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::SERVER, SERVER);
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}
