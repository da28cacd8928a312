//! The request event: decoding (the function's side) and building (ALB's side).
//!
//! Decoding keeps every byte that ALB kept. Building loses exactly what ALB loses: the order between different query
//! keys, `?a` against `?a=`, empty pieces, and in single-value mode all but the last value of a name.

use std::borrow::Cow;
use std::fmt;

use bytes::{BufMut, Bytes, BytesMut};
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use http::uri::{PathAndQuery, Uri};
use http::{Method, Request};
use serde::de::{DeserializeSeed, Deserializer, Error, IgnoredAny, MapAccess, SeqAccess, Visitor};

use super::HeaderMode;
use crate::content;
use crate::json::{Text, write_string};
use crate::{DecodeError, Event, Format, Front, Undecodable};

/// ALB's health checker has no other field than this one (ELB guide, "Lambda functions as targets").
const HEALTH_CHECKER: &[u8] = b"ELB-HealthChecker/";

/// Events of fewer bytes are not worth a copy of their fields.
const LARGE_EVENT: usize = 64 * 1024;

// === The function's side

pub(super) fn decode(event: &Bytes, text: &str) -> Result<Event, Undecodable> {
    read(event, text).map_err(|error| Undecodable { format: format_of(event), error })
}

fn read(event: &Bytes, text: &str) -> Result<Event, DecodeError> {
    let mut deserializer = serde_json::Deserializer::from_str(text);
    let members = MembersSeed { event }.deserialize(&mut deserializer).map_err(DecodeError::json)?;
    deserializer.end().map_err(DecodeError::json)?;
    let method = members.method.ok_or(DecodeError::Missing("httpMethod"))?;
    let path = members.path.ok_or(DecodeError::Missing("path"))?;

    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::from_bytes(method.0.as_bytes()).map_err(|_| DecodeError::Method)?;
    *request.uri_mut() = target(path.into_bytes(event), members.query)?;
    *request.headers_mut() = members.fields;
    if let Some(body) = members.body.filter(|body| !body.0.is_empty()) {
        let is_shared = !members.is_base64 && matches!(body.0, Cow::Borrowed(_));
        *request.body_mut() = if members.is_base64 {
            content::decode_base64(body.0.as_bytes()).ok_or(DecodeError::Base64)?.into()
        } else {
            body.into_bytes(event)
        };
        if !is_shared && event.len() > LARGE_EVENT {
            detach(&mut request);
        }
    }
    let front = Front::from_fields(members.mode.format(), request.headers());
    let is_health_check = is_health_check(request.headers());
    Ok(Event { request, front: Front { is_health_check, ..front } })
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

/// A client can forge the user agent, but ALB adds a host and `X-Forwarded-For` to all that clients send.
fn is_health_check(fields: &HeaderMap) -> bool {
    fields.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(HEALTH_CHECKER))
        && !fields.contains_key(HOST)
        && !fields.contains_key("x-forwarded-for")
}

/// Joins path and query as ALB gave them: ALB leaves both encoded, so no codec may touch them.
fn target(path: Bytes, query: BytesMut) -> Result<Uri, DecodeError> {
    if !path.starts_with(b"/") && path != "*" {
        return Err(DecodeError::Target("the path does not begin with `/`".to_owned()));
    }
    let target = if query.is_empty() {
        path
    } else {
        let mut target = BytesMut::with_capacity(path.len() + 1 + query.len());
        target.extend_from_slice(&path);
        target.put_u8(b'?');
        target.extend_from_slice(&query);
        target.freeze()
    };
    // The library would cut the target off here.
    let has_fragment = target.contains(&b'#');
    match PathAndQuery::from_maybe_shared(target.clone()) {
        Ok(target) if !has_fragment => Ok(Uri::from(target)),
        _ => Err(DecodeError::Target(why_no_target(&target))),
    }
}

/// Names, for a message, the first problem that RFC 3986 has with a target. Servers accept many such targets, and so do we.
fn why_no_target(target: &[u8]) -> String {
    let is_wrong = |byte: &u8| byte.is_ascii_control() || b" \"#<>`".contains(byte);
    match target.iter().copied().find(is_wrong) {
        Some(byte) => format!("it has `{}`, which must be percent-encoded", byte.escape_ascii()),
        None => "it is too long".to_owned(),
    }
}

/// The format of an event that cannot be decoded, as far as it shows one, so that its sender can read the response.
pub(crate) fn format_of(event: &[u8]) -> &'static Format {
    #[derive(serde::Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Peek {
        multi_value_headers: Option<IgnoredAny>,
    }
    match serde_json::from_slice::<Peek>(event) {
        Ok(Peek { multi_value_headers: Some(_) }) => &super::MULTI,
        _ => &super::SINGLE,
    }
}

/// The event's members, as far as a request needs them.
struct Members<'a> {
    mode: HeaderMode,
    method: Option<Text<'a>>,
    path: Option<Text<'a>>,
    query: BytesMut,
    fields: HeaderMap,
    body: Option<Text<'a>>,
    is_base64: bool,
}

struct MembersSeed<'b> {
    event: &'b Bytes,
}

impl<'de> DeserializeSeed<'de> for MembersSeed<'_> {
    type Value = Members<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'de> Visitor<'de> for MembersSeed<'_> {
    type Value = Members<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an event object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut members = Members {
            mode: HeaderMode::Single,
            method: None,
            path: None,
            query: BytesMut::new(),
            fields: HeaderMap::new(),
            body: None,
            is_base64: false,
        };
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match &*key.0 {
                "httpMethod" => members.method = map.next_value()?,
                "path" => members.path = map.next_value()?,
                "body" => members.body = map.next_value()?,
                "isBase64Encoded" => members.is_base64 = map.next_value::<Option<bool>>()?.unwrap_or(false),
                name @ ("queryStringParameters" | "multiValueQueryStringParameters") => {
                    let is_multi = name == "multiValueQueryStringParameters";
                    let mut query = BytesMut::new();
                    map.next_value_seed(Pairs(|key: Text<'de>, value: Text<'de>| {
                        append_parameter(&mut query, &key.0, &value.0);
                        Ok(())
                    }))?;
                    if is_multi || members.query.is_empty() {
                        members.query = query;
                    }
                }
                name @ ("headers" | "multiValueHeaders") => {
                    let is_multi = name == "multiValueHeaders";
                    // Both families together were never seen; if they come, the richer one counts.
                    let counts = is_multi || members.mode == HeaderMode::Single;
                    let mut fields = HeaderMap::with_capacity(32);
                    let present = map.next_value_seed(Pairs(|name: Text<'de>, value: Text<'de>| {
                        append_field(&mut fields, self.event, &name, value)
                    }))?;
                    if present && counts {
                        members.fields = fields;
                        members.mode = if is_multi { HeaderMode::Multi } else { HeaderMode::Single };
                    }
                }
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(members)
    }
}

fn append_parameter(query: &mut BytesMut, key: &str, value: &str) {
    query.reserve(key.len() + value.len() + 2);
    if !query.is_empty() {
        query.put_u8(b'&');
    }
    query.extend_from_slice(key.as_bytes());
    query.put_u8(b'=');
    query.extend_from_slice(value.as_bytes());
}

/// Names and values that HTTP does not allow are refused here, so no CR, LF or NUL reaches a back end.
fn append_field(fields: &mut HeaderMap, event: &Bytes, name: &Text<'_>, value: Text<'_>) -> Result<(), String> {
    let field =
        HeaderName::from_bytes(name.0.as_bytes()).map_err(|_| format!("field name {:?} is not a token", name.0))?;
    let value = HeaderValue::from_maybe_shared(value.into_bytes(event))
        .map_err(|_| format!("the value of field `{field}` has a control character"))?;
    fields.try_append(field, value).map_err(|_| "there are too many fields".to_owned())?;
    Ok(())
}

/// An object of strings, or of arrays of strings, handed to a function pair by pair in the event's order. `null` is
/// the empty object. Yields whether there was an object.
struct Pairs<F>(F);

impl<'de, F> DeserializeSeed<'de> for Pairs<F>
where
    F: FnMut(Text<'de>, Text<'de>) -> Result<(), String>,
{
    type Value = bool;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_option(self)
    }
}

impl<'de, F> Visitor<'de> for Pairs<F>
where
    F: FnMut(Text<'de>, Text<'de>) -> Result<(), String>,
{
    type Value = bool;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object of strings")
    }

    fn visit_none<E: Error>(self) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_map(self)
    }

    fn visit_map<A: MapAccess<'de>>(mut self, mut map: A) -> Result<bool, A::Error> {
        while let Some(key) = map.next_key::<Text<'de>>()? {
            map.next_value_seed(Values { key, each: &mut self.0 })?;
        }
        Ok(true)
    }
}

/// One string or an array of them.
struct Values<'de, 'f, F> {
    key: Text<'de>,
    each: &'f mut F,
}

impl<'de, F> DeserializeSeed<'de> for Values<'de, '_, F>
where
    F: FnMut(Text<'de>, Text<'de>) -> Result<(), String>,
{
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de, F> Visitor<'de> for Values<'de, '_, F>
where
    F: FnMut(Text<'de>, Text<'de>) -> Result<(), String>,
{
    type Value = ();

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string or an array of strings")
    }

    fn visit_borrowed_str<E: Error>(self, value: &'de str) -> Result<(), E> {
        (self.each)(self.key, Text(value.into())).map_err(E::custom)
    }

    fn visit_str<E: Error>(self, value: &str) -> Result<(), E> {
        (self.each)(self.key, Text(value.to_owned().into())).map_err(E::custom)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut values: A) -> Result<(), A::Error> {
        while let Some(value) = values.next_element::<Text<'de>>()? {
            (self.each)(Text(self.key.0.clone()), value).map_err(A::Error::custom)?;
        }
        Ok(())
    }
}

// === ALB's side

/// A request that ALB cannot put into an event; `error_reason` in its access log is `LambdaBadRequest`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum EncodeRequestError {
    /// JSON strings are Unicode.
    #[error("the value of field `{0}` is not UTF-8")]
    Field(HeaderName),
    /// The same of path and query.
    #[error("path or query are not UTF-8")]
    Target,
    /// Content that its type makes text must be UTF-8.
    #[error("the content is of a text type, but not UTF-8")]
    Content,
}

/// The first line of a request, as raw bytes: what no URI library has touched.
#[derive(Clone, Copy, Debug)]
pub struct RequestLine<'a> {
    /// As sent.
    pub method: &'a str,
    /// Percent-encoded as sent.
    pub path: &'a [u8],
    /// The part after the `?`; `None` is the same as empty.
    pub query: Option<&'a [u8]>,
}

impl<'a> RequestLine<'a> {
    /// Of a request whose target went through a URI.
    #[must_use]
    pub fn new(method: &'a Method, uri: &'a Uri) -> Self {
        RequestLine { method: method.as_str(), path: uri.path().as_bytes(), query: uri.query().map(str::as_bytes) }
    }
}

/// Builds the event that ALB sends for a request: names lower-cased, path and query as they came, the content as text
/// or base64 by its type.
///
/// # Errors
///
/// [`EncodeRequestError`] where ALB fails the request.
pub fn encode_request(
    mode: HeaderMode,
    target_group_arn: &str,
    line: RequestLine<'_>,
    fields: &HeaderMap,
    body: &[u8],
) -> Result<Vec<u8>, EncodeRequestError> {
    let text = |bytes| std::str::from_utf8(bytes).map_err(|_| EncodeRequestError::Target);
    let is_text = is_text(fields);
    let (query_name, fields_name) = match mode {
        HeaderMode::Single => ("queryStringParameters", "headers"),
        HeaderMode::Multi => ("multiValueQueryStringParameters", "multiValueHeaders"),
    };
    let mut out = Vec::with_capacity(1024 + body.len() * 3 / 2);
    out.extend_from_slice(br#"{"requestContext":{"elb":{"targetGroupArn":"#);
    write_string(&mut out, target_group_arn);
    out.extend_from_slice(br#"}},"httpMethod":"#);
    write_string(&mut out, line.method);
    out.extend_from_slice(br#","path":"#);
    write_string(&mut out, text(line.path)?);
    write_name(&mut out, query_name);
    write_groups(&mut out, mode, &query_groups(text(line.query.unwrap_or_default())?));
    write_name(&mut out, fields_name);
    write_groups(&mut out, mode, &field_groups(fields)?);
    out.extend_from_slice(br#","body":"#);
    if body.is_empty() {
        out.extend_from_slice(br#""""#);
    } else if is_text {
        write_string(&mut out, std::str::from_utf8(body).map_err(|_| EncodeRequestError::Content)?);
    } else {
        write_string(&mut out, &base64_simd::STANDARD.encode_to_string(body));
    }
    out.extend_from_slice(if body.is_empty() || is_text {
        br#","isBase64Encoded":false}"#
    } else {
        br#","isBase64Encoded":true}"#
    });
    Ok(out)
}

/// The names of an object with the values of each, in the order of first appearance.
type Groups<'a> = Vec<(&'a str, Vec<&'a str>)>;

fn query_groups(query: &str) -> Groups<'_> {
    let mut groups = Groups::new();
    for piece in query.split('&').filter(|piece| !piece.is_empty()) {
        let (key, value) = piece.split_once('=').unwrap_or((piece, ""));
        match groups.iter_mut().find(|(name, _)| *name == key) {
            Some((_, values)) => values.push(value),
            None => groups.push((key, vec![value])),
        }
    }
    groups
}

fn field_groups(fields: &HeaderMap) -> Result<Groups<'_>, EncodeRequestError> {
    let mut groups = Groups::with_capacity(fields.keys_len());
    for name in fields.keys() {
        let mut values = Vec::new();
        for value in fields.get_all(name) {
            let text = std::str::from_utf8(value.as_bytes());
            values.push(text.map_err(|_| EncodeRequestError::Field(name.clone()))?);
        }
        groups.push((name.as_str(), values));
    }
    Ok(groups)
}

fn write_name(out: &mut Vec<u8>, name: &str) {
    out.push(b',');
    write_string(out, name);
    out.push(b':');
}

/// In single-value mode the last value sent by the client wins (ELB guide, "Multi-value headers").
fn write_groups(out: &mut Vec<u8>, mode: HeaderMode, groups: &Groups<'_>) {
    out.push(b'{');
    for (index, (name, values)) in groups.iter().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(out, name);
        out.push(b':');
        match mode {
            HeaderMode::Single => write_string(out, values.last().copied().unwrap_or_default()),
            HeaderMode::Multi => {
                out.push(b'[');
                for (index, value) in values.iter().enumerate() {
                    if index > 0 {
                        out.push(b',');
                    }
                    write_string(out, value);
                }
                out.push(b']');
            }
        }
    }
    out.push(b'}');
}

/// Returns whether ALB hands content on as text: its type says so and it is not encoded (ELB guide, "Lambda functions as
/// targets"). Content without a type is not text.
fn is_text(fields: &HeaderMap) -> bool {
    if fields.contains_key(CONTENT_ENCODING) {
        return false;
    }
    let Some(value) = fields.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let media_type = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    media_type.starts_with("text/")
        || matches!(media_type.as_str(), "application/json" | "application/javascript" | "application/xml")
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
