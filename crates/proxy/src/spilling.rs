//! `spill`: responses that the front end cannot carry, but that may be stored elsewhere for the client. Owns which ones may be, how much
//! of them is read before that is known, and the redirect. Storing is the caller's.

use bytes::Bytes;
use crossfade_route::PublicUrl;
use http::header::{
    ACCEPT_RANGES, AGE, CACHE_CONTROL, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CONTENT_LENGTH,
    CONTENT_LOCATION, CONTENT_TYPE, ETAG, EXPIRES, HeaderMap, HeaderName, HeaderValue, LAST_MODIFIED, LOCATION, PRAGMA,
    TRAILER,
};
use http::{Method, Response, StatusCode, response};
use http_body_util::BodyExt;
use hyper::body::{Body as _, Incoming};

use crate::ProxyError;
use crate::attempt::broken;
use crate::content::{DIGESTS, is_fixed, media_type};

/// Fields that describe the content, and how long it may be kept. They go where it goes.
const OF_CONTENT: [HeaderName; 6] =
    [CONTENT_TYPE, CONTENT_DISPOSITION, CONTENT_ENCODING, CONTENT_LANGUAGE, CACHE_CONTROL, EXPIRES];

/// Fields that are true of neither the redirect nor the stored content, which has a validator and ranges of its own.
const LOST: [HeaderName; 8] =
    [CONTENT_LENGTH, CONTENT_LOCATION, ETAG, LAST_MODIFIED, ACCEPT_RANGES, AGE, PRAGMA, TRAILER];

/// Marks a response that may be stored if the front end cannot carry it.
#[derive(Clone, Copy, Debug)]
struct MaySpill;

/// Returns whether a response may be stored: the redirect leads to the same content for a GET, but to one with the status 200. Part of a
/// content would be taken for all of it.
pub(crate) fn may_spill(method: &Method, status: StatusCode) -> bool {
    *method == Method::GET && matches!(status, StatusCode::OK | StatusCode::NON_AUTHORITATIVE_INFORMATION)
}

pub(crate) fn mark(response: &mut Response<Bytes>) {
    response.extensions_mut().insert(MaySpill);
}

/// Returns whether a whole response that the front end has turned out to be unable to carry may be stored.
#[must_use]
pub fn is_spillable(response: &Response<Bytes>) -> bool {
    response.extensions().get::<MaySpill>().is_some()
}

/// The beginning of a response.
#[derive(Debug)]
pub(crate) enum Beginning {
    /// There is no more, or what there is can be read whole.
    Fits(Response<Incoming>),
    /// This is all of it.
    Whole(Response<Bytes>),
    /// Too much, and this much of it has been read.
    TooLarge(Response<Incoming>, Bytes),
}

/// Finds out whether a response has more than `limit` bytes of content, and reads no more than that. A content that is to be mapped
/// must be read whole, and events have no end.
pub(crate) async fn begin(
    method: &Method,
    response: Response<Incoming>,
    public: Option<&PublicUrl>,
    limit: usize,
) -> Result<Beginning, ProxyError> {
    let media_type = media_type(response.headers());
    let is_mapped =
        public.is_some_and(|public| public.maps(media_type) && !is_fixed(response.status(), response.headers()));
    let is_endless = media_type.eq_ignore_ascii_case("text/event-stream");
    if is_mapped || is_endless || !may_spill(method, response.status()) || response.body().is_end_stream() {
        return Ok(Beginning::Fits(response));
    }
    match response.body().size_hint().exact() {
        Some(length) if length <= limit as u64 => return Ok(Beginning::Fits(response)),
        Some(_) => return Ok(Beginning::TooLarge(response, Bytes::new())),
        None => {}
    }
    let (parts, mut incoming) = response.into_parts();
    let mut content = Vec::new();
    while let Some(frame) = incoming.frame().await {
        if let Ok(piece) = frame.map_err(broken)?.into_data() {
            content.extend_from_slice(&piece);
        }
        if content.len() > limit {
            return Ok(Beginning::TooLarge(Response::from_parts(parts, incoming), content.into()));
        }
    }
    Ok(Beginning::Whole(Response::from_parts(parts, content.into())))
}

/// Turns the head of a response into a redirect to its content.
#[must_use]
pub fn redirect(mut parts: response::Parts, location: HeaderValue) -> Response<Bytes> {
    // The method stays, and the client keeps asking here (RFC 9110 section 15.4.8).
    parts.status = StatusCode::TEMPORARY_REDIRECT;
    for name in OF_CONTENT.iter().chain(&LOST) {
        parts.headers.remove(name);
    }
    for name in DIGESTS {
        parts.headers.remove(name);
    }
    parts.headers.insert(LOCATION, location);
    // The link expires, and is for this client.
    parts.headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    Response::from_parts(parts, Bytes::new())
}

/// The fields that go with the content, each in one line of ASCII: that is what S3 stores. Parameters that cannot be stored, such as a name of
/// a file in another charset, are left out.
#[must_use]
pub fn fields_of_content(fields: &HeaderMap) -> HeaderMap {
    let mut stored = HeaderMap::new();
    for name in OF_CONTENT {
        let lines: Vec<&[u8]> = fields.get_all(&name).iter().map(HeaderValue::as_bytes).collect();
        let joined = lines.join(&b", "[..]);
        let first = joined.split(|byte| *byte == b';').next().unwrap_or_default();
        let value = [&*joined, first].into_iter().find(|value| value.is_ascii() && !value.trim_ascii().is_empty());
        if let Some(value) = value.and_then(|value| HeaderValue::from_bytes(value.trim_ascii()).ok()) {
            stored.insert(name, value);
        }
    }
    stored
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_its_fields() {
        let mut response = Response::new(());
        for (name, value) in [
            ("content-type", "application/pdf"),
            ("content-disposition", "attachment; filename=\"r\u{e9}sum\u{e9}.pdf\""),
            ("content-length", "5000000"),
            ("cache-control", "private"),
            ("cache-control", "max-age=60"),
            ("content-language", ""),
            ("etag", "\"a\""),
            ("accept-ranges", "bytes"),
            ("repr-digest", "sha-256=:AA==:"),
            ("set-cookie", "a=1"),
            ("set-cookie", "b=2"),
            ("access-control-allow-origin", "https://shop.example.com"),
            ("x-request-id", "7"),
        ] {
            response.headers_mut().append(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        }
        let (parts, ()) = response.into_parts();
        let lines = |fields: &HeaderMap| -> Vec<String> {
            fields.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect()
        };
        assert_eq!(
            lines(&fields_of_content(&parts.headers)),
            ["content-type: application/pdf", "content-disposition: attachment", "cache-control: private, max-age=60"]
        );
        let redirect = redirect(parts, HeaderValue::from_static("https://bucket.example/key"));
        assert_eq!(redirect.status(), 307);
        let mut found = lines(redirect.headers());
        found.sort();
        assert_eq!(
            found,
            [
                "access-control-allow-origin: https://shop.example.com",
                "cache-control: no-store",
                "location: https://bucket.example/key",
                "set-cookie: a=1",
                "set-cookie: b=2",
                "x-request-id: 7",
            ]
        );
    }

    #[test]
    fn only_the_whole_content_of_a_get_may_be_elsewhere() {
        for (method, status, expected) in [
            (Method::GET, 200, true),
            (Method::GET, 203, true),
            (Method::GET, 206, false),
            (Method::GET, 404, false),
            (Method::HEAD, 200, false),
            (Method::POST, 200, false),
        ] {
            assert_eq!(may_spill(&method, StatusCode::from_u16(status).unwrap()), expected, "{method} {status}");
        }
    }
}
