//! Fields of a response whose content is changed: the kind of content that they name, and those that would be wrong afterwards.

use http::StatusCode;
use http::header::{
    ACCEPT_ENCODING, ACCEPT_RANGES, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_RANGE, CONTENT_TYPE, ETAG,
    HeaderMap, HeaderName, HeaderValue, VARY,
};

/// Digests of the content, old and new (RFC 1864, RFC 3230, RFC 9530).
pub(crate) const DIGESTS: [&str; 4] = ["content-md5", "digest", "content-digest", "repr-digest"];

/// The media type, without its parameters.
pub(crate) fn media_type(fields: &HeaderMap) -> &str {
    let value = fields.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    value.split(';').next().unwrap_or_default().trim()
}

/// Returns whether no proxy may change the content: it is a piece of one, or the sender forbids it (RFC 9110 section 7.7).
pub(crate) fn is_fixed(status: StatusCode, fields: &HeaderMap) -> bool {
    status == StatusCode::PARTIAL_CONTENT
        || fields.contains_key(CONTENT_RANGE)
        || has_member(fields, &CACHE_CONTROL, "no-transform")
}

/// Returns whether the content has a coding.
pub(crate) fn is_encoded(fields: &HeaderMap) -> bool {
    let names = fields.get_all(CONTENT_ENCODING).iter().flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    names.into_iter().map(<[u8]>::trim_ascii).any(|name| !name.is_empty() && !name.eq_ignore_ascii_case(b"identity"))
}

/// Removes everything that is true of the former content only. Its validator still says that two contents have the same meaning,
/// no longer that they are the same bytes (RFC 9110 section 8.8.1).
pub(crate) fn changed(fields: &mut HeaderMap) {
    fields.remove(CONTENT_LENGTH);
    fields.remove(ACCEPT_RANGES);
    for name in DIGESTS {
        fields.remove(name);
    }
    weaken(fields);
}

/// Makes a strong `ETag` a weak one.
pub(crate) fn weaken(fields: &mut HeaderMap) {
    if let Some(strong) = fields.get(ETAG).filter(|value| value.as_bytes().starts_with(b"\""))
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", strong.as_bytes()].concat())
    {
        fields.insert(ETAG, weak);
    }
}

/// Tells caches that the response depends on `Accept-Encoding`. In one line with what is there: of several a front end may hand on
/// the last one only.
pub(crate) fn vary_by_coding(fields: &mut HeaderMap) {
    if has_member(fields, &VARY, "*") || has_member(fields, &VARY, ACCEPT_ENCODING.as_str()) {
        return;
    }
    let lines = fields.get_all(VARY).iter().map(HeaderValue::as_bytes).filter(|line| !line.trim_ascii().is_empty());
    let joined = lines.chain([&b"accept-encoding"[..]]).collect::<Vec<_>>().join(&b", "[..]);
    if let Ok(value) = HeaderValue::from_bytes(&joined) {
        fields.insert(VARY, value);
    }
}

fn has_member(fields: &HeaderMap, name: &HeaderName, member: &str) -> bool {
    let members = fields.get_all(name).iter().flat_map(|line| line.as_bytes().split(|byte| *byte == b','));
    members.into_iter().any(|it| it.trim_ascii().eq_ignore_ascii_case(member.as_bytes()))
}
