//! The answers that the proxy makes itself: failures, health, redirects, fixed responses. Decides nothing: `error` says which status.

use bytes::Bytes;
use crossfade_route::{ErrorPage, FixedResponse};
use http::header::{
    ACCEPT, ALLOW, CACHE_CONTROL, CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, LOCATION, RETRY_AFTER, VARY,
};
use http::{Method, Request, Response, StatusCode};

use crate::ProxyError;

const PROXY_STATUS: HeaderName = HeaderName::from_static("proxy-status");

/// The answer to a request that failed: a short text without internals, and the cause as a `Proxy-Status` field
/// (RFC 9209).
#[must_use]
pub fn failure(error: &ProxyError) -> Response<Bytes> {
    let mut response = plain(error.status());
    let mut proxy_status = format!("crossfade; error={}", error.error_type());
    if let Some(details) = error.public_details() {
        // A structured field string (RFC 8941 section 3.3.3); our details are ASCII without quotes.
        proxy_status.push_str(&format!("; details=\"{details}\""));
    }
    if let Ok(value) = HeaderValue::from_str(&proxy_status) {
        response.headers_mut().insert(PROXY_STATUS, value);
    }
    if let Some(seconds) = error.retry_after() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(seconds));
    }
    if let ProxyError::MethodRefused(_) = error {
        let allowed = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE, OPTIONS");
        response.headers_mut().insert(ALLOW, allowed);
    }
    response
}

/// The method and the `Accept` of a request, which choose the page of an error (`errorPages`).
#[derive(Clone, Debug)]
pub struct Preference {
    method: Method,
    accept: Option<String>,
}

impl Preference {
    #[inline]
    pub(crate) fn of(request: &Request<Bytes>) -> Self {
        Preference { method: request.method().clone(), accept: accept(request.headers()) }
    }

    /// Gives an error of ours its page.
    pub(crate) fn page(&self, pages: &[ErrorPage], response: &mut Response<Bytes>) {
        page(pages, &self.method, self.accept.as_deref(), response);
    }
}

/// The answer to a health check of the front end.
#[must_use]
pub fn healthy() -> Response<Bytes> {
    plain(StatusCode::OK)
}

/// `fixedResponse` of a route.
pub(crate) fn fixed(fixed: &FixedResponse, method: &Method, request: &HeaderMap) -> Response<Bytes> {
    let has_content = *method != Method::HEAD && !matches!(fixed.status.as_u16(), 204 | 205 | 304);
    let mut response = Response::new(if has_content { fixed.body.clone() } else { Bytes::new() });
    *response.status_mut() = fixed.status;
    if let Some(content_type) = &fixed.content_type {
        response.headers_mut().insert(CONTENT_TYPE, content_type.clone());
    }
    if !fixed.pages.is_empty() {
        page(&fixed.pages, method, accept(request).as_deref(), &mut response);
    }
    response
}

/// The client's `Accept`, all lines of it.
fn accept(request: &HeaderMap) -> Option<String> {
    let lines: Vec<&str> = request.get_all(ACCEPT).iter().filter_map(|line| line.to_str().ok()).collect();
    (!lines.is_empty()).then(|| lines.join(", "))
}

/// `errorPages`: gives an error of ours the content that the client accepts best.
fn page(pages: &[ErrorPage], method: &Method, accept: Option<&str>, response: &mut Response<Bytes>) {
    let Some(page) = ErrorPage::choose(pages, response.status(), accept) else { return };
    *response.body_mut() = if *method == Method::HEAD { Bytes::new() } else { page.body.clone() };
    response.headers_mut().insert(CONTENT_TYPE, page.content_type.clone());
    response.headers_mut().insert(VARY, HeaderValue::from_static("accept"));
}

/// `redirect` of a route.
pub(crate) fn redirect(status: StatusCode, location: HeaderValue) -> Response<Bytes> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status;
    response.headers_mut().insert(LOCATION, location);
    response
}

fn plain(status: StatusCode) -> Response<Bytes> {
    let text = format!("{}\n", status.canonical_reason().unwrap_or("Error"));
    let mut response = Response::new(Bytes::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("text/plain; charset=utf-8"));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
