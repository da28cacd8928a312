//! The last step of every response: the load balancer's own fields, and no body where HTTP allows none.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};

use super::error_page;
use crate::ListenerAttributes;

/// Completes a response, except for `Connection` and a missing `Date`.
pub(super) fn finish(
    attributes: &ListenerAttributes,
    method: &Method,
    response: &mut Response<Bytes>,
    warnings: &mut Vec<String>,
) {
    let status = response.status();
    let length = response.body().len();
    let bodyless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let said = length_to_say(method, response);
    let fields = response.headers_mut();
    // A function's own `Server` is kept; what an ALB does with it is not documented.
    if attributes.server_field {
        fields.entry(header::SERVER).or_insert(error_page::SERVER);
    } else if fields.get(header::SERVER) == Some(&error_page::SERVER) {
        fields.remove(header::SERVER);
    }
    for (name, value) in &attributes.response_fields {
        fields.insert(name, value.clone());
    }
    match said {
        Some(said) => drop(fields.insert(header::CONTENT_LENGTH, said)),
        None => drop(fields.remove(header::CONTENT_LENGTH)),
    }
    if bodyless && length > 0 {
        warnings.push(format!("the body of {length} bytes was dropped: a {} response has no body", status.as_str()));
    }
    if bodyless || method == Method::HEAD {
        *response.body_mut() = Bytes::new();
    }
}

/// The value of `Content-Length`, as RFC 9110 section 8.6 has it. Where HTTP allows no content, only the function knows
/// the length that a GET would have.
fn length_to_say(method: &Method, response: &Response<Bytes>) -> Option<HeaderValue> {
    let body = response.body();
    match response.status() {
        StatusCode::NO_CONTENT => None,
        StatusCode::NOT_MODIFIED => response.headers().get(header::CONTENT_LENGTH).cloned(),
        _ if method == Method::HEAD && body.is_empty() => response.headers().get(header::CONTENT_LENGTH).cloned(),
        _ => Some(HeaderValue::from(body.len())),
    }
}
