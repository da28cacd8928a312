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
    // The length is the load balancer's to say.
    fields.remove(header::CONTENT_LENGTH);
    if !bodyless {
        fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
    }
    if bodyless && length > 0 {
        warnings.push(format!("the body of {length} bytes was dropped: a {} response has no body", status.as_str()));
    }
    if bodyless || method == Method::HEAD {
        *response.body_mut() = Bytes::new();
    }
}
