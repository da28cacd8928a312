//! The last step of an answer, whoever gave it: the fields that are the load balancer's own, and no body where HTTP has none.

use bytes::Bytes;
use http::{HeaderValue, Method, Response, StatusCode, header};
use http_body_util::Full;
use hyper::ext::ReasonPhrase;

use super::error_page;

/// Makes the answer ready to be sent. `Date` and the length of a body that is sent are written by the HTTP library.
pub(super) fn finish(
    method: &Method,
    mut response: Response<Bytes>,
    warnings: &mut Vec<String>,
) -> Response<Full<Bytes>> {
    let status = response.status();
    let length = response.body().len();
    let bodyless = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    // A function's own `Server` is kept; what an ALB does with it is not documented.
    response.headers_mut().entry(header::SERVER).or_insert(error_page::SERVER);
    // The length is the load balancer's to say.
    response.headers_mut().remove(header::CONTENT_LENGTH);
    if bodyless || method == Method::HEAD {
        if length > 0 && bodyless {
            warnings.push(format!("the body of {length} bytes was dropped: a {} has none", status.as_str()));
        }
        if !bodyless {
            response.headers_mut().insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        *response.body_mut() = Bytes::new();
    }
    if status.canonical_reason().is_none() {
        // Or the library would write `<none>`.
        response.extensions_mut().insert(ReasonPhrase::from_static(b""));
    }
    response.map(Full::new)
}
