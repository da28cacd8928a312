//! Pieces of events that formats read alike: objects of strings or of arrays of strings, fields, content. Knows no format.

use std::borrow::Cow;

use bytes::Bytes;
use http::Request;
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::uri::{PathAndQuery, Uri};

use crate::DecodeError;
use crate::content;
use crate::reader::{Reader, Text};

/// Events of fewer bytes are not worth a copy of their fields.
const LARGE_EVENT: usize = 64 * 1024;

/// Appends a field. Names and values that HTTP does not allow are refused here, so no CR, LF or NUL reaches a back end.
fn append_field(fields: &mut HeaderMap, event: &Bytes, name: &Text<'_>, value: Text<'_>) -> Result<(), String> {
    let field = field_name(&name.0).ok_or_else(|| format!("field name {:?} is not a token", name.0))?;
    let value = HeaderValue::from_maybe_shared(value.into_bytes(event))
        .map_err(|_| format!("the value of field `{field}` has a control character"))?;
    fields.try_append(field, value).map_err(|_| "there are too many fields".to_owned())?;
    Ok(())
}

/// Names that most requests have, and `http` does not know: a copy of one of these takes no memory, wherever it is made.
fn field_name(name: &str) -> Option<HeaderName> {
    macro_rules! known {
        ($($name:literal)*) => {
            match name {
                $($name => const { HeaderName::from_static($name) },)*
                _ => HeaderName::from_bytes(name.as_bytes()).ok()?,
            }
        };
    }
    Some(
        known!("x-forwarded-for" "x-forwarded-proto" "x-forwarded-port" "x-amzn-trace-id" "sec-fetch-site" "sec-fetch-mode" "sec-fetch-dest"
        "sec-fetch-user" "sec-ch-ua" "sec-ch-ua-mobile" "sec-ch-ua-platform" "priority"),
    )
}

/// Makes `body` the content of a request whose target and fields are set.
pub(crate) fn set_content(
    request: &mut Request<Bytes>,
    event: &Bytes,
    body: Option<Text<'_>>,
    is_base64: bool,
) -> Result<(), DecodeError> {
    let Some(body) = body.filter(|body| !body.0.is_empty()) else { return Ok(()) };
    let is_shared = !is_base64 && matches!(body.0, Cow::Borrowed(_));
    *request.body_mut() = if is_base64 {
        content::decode_base64(body.0.as_bytes()).ok_or(DecodeError::Base64)?.into()
    } else {
        body.into_bytes(event)
    };
    if !is_shared && event.len() > LARGE_EVENT {
        detach(request);
    }
    Ok(())
}

/// Copies what a request still shares with its event, so that the event's memory is free while a back end is asked.
fn detach(request: &mut Request<Bytes>) {
    for value in request.headers_mut().values_mut() {
        // It is one already.
        if let Ok(copy) = HeaderValue::from_bytes(value.as_bytes()) {
            *value = copy;
        }
    }
    let target = request.uri().path_and_query().map(|target| Bytes::copy_from_slice(target.as_str().as_bytes()));
    if let Some(Ok(copy)) = target.map(PathAndQuery::from_maybe_shared) {
        *request.uri_mut() = Uri::from(copy);
    }
}

/// Takes an object of strings, or of arrays of strings, and hands it to a function pair by pair in the event's order. `null` is
/// the empty object. A value that is `null` counts as absent if `skips_null`; otherwise it is an error. Returns whether there
/// was an object.
pub(crate) fn pairs<'a>(
    reader: &mut Reader<'a>,
    skips_null: bool,
    mut each: impl FnMut(Text<'a>, Text<'a>) -> Result<(), String>,
) -> Result<bool, DecodeError> {
    reader.object(|reader, name| match reader.peek() {
        Some(b'[') => reader.array(|reader| {
            let value = reader.string()?;
            each(name.clone(), value).map_err(|problem| reader.problem(&problem))
        }),
        Some(b'n') if skips_null => reader.takes_null().map(drop),
        _ => {
            let value = reader.string()?;
            each(name, value).map_err(|problem| reader.problem(&problem))
        }
    })
}

/// Takes the fields of a request.
pub(crate) fn fields(
    reader: &mut Reader<'_>,
    skips_null: bool,
    event: &Bytes,
) -> Result<Option<HeaderMap>, DecodeError> {
    let mut fields = HeaderMap::with_capacity(24);
    let is_there = pairs(reader, skips_null, |name, value| append_field(&mut fields, event, &name, value))?;
    Ok(is_there.then_some(fields))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_event_is_not_kept_for_its_fields() {
        let event = |body: &str, is_base64: bool| {
            let event = format!(
                "{{\"requestContext\":{{\"elb\":{{}}}},\"httpMethod\":\"POST\",\"path\":\"/a\",\
                 \"queryStringParameters\":{{\"q\":\"1\"}},\"headers\":{{\"x-a\":\"b\"}},\
                 \"body\":\"{body}\",\"isBase64Encoded\":{is_base64}}}"
            );
            Bytes::from(event.into_bytes())
        };
        for (body, is_base64, is_kept) in [
            (r"\u0001".repeat(100_000), false, false),
            ("AQID".repeat(100_000), true, false),
            // Its content lies in the event itself.
            ("a".repeat(100_000), false, true),
        ] {
            let event = event(&body, is_base64);
            let request = crate::decode_request(crate::FORMATS, &event).unwrap().request;
            assert_eq!(event.is_unique(), !is_kept);
            assert_eq!(
                (request.uri().to_string().as_str(), &request.headers()["x-a"]),
                ("/a?q=1", &"b".parse().unwrap())
            );
        }
    }
}
