//! The request event: decoding (the function's side) and building (ALB's side).
//!
//! Decoding keeps every byte that ALB kept. Building loses exactly what ALB loses: the order between different query
//! keys, `?a` against `?a=`, empty pieces, and in single-value mode all but the last value of a name.

use bytes::Bytes;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE, HOST, HeaderMap, HeaderName, USER_AGENT};
use http::uri::Uri;
use http::{Method, Request};

use super::HeaderMode;
use crate::json::write_string;
use crate::read;
use crate::reader::{Reader, Text};
use crate::target::{self, Query};
use crate::{DecodeError, Event, Format, Front, Undecodable};

/// ALB's health checker has no other field than this one (ELB guide, "Lambda functions as targets").
const HEALTH_CHECKER: &[u8] = b"ELB-HealthChecker/";

// === The function's side

pub(super) fn decode(event: &Bytes, text: &str) -> Result<Event, Undecodable> {
    read(event, text).map_err(|error| Undecodable { format: format_of(event), error })
}

fn read(event: &Bytes, text: &str) -> Result<Event, DecodeError> {
    let members = Members::read(event, text)?;
    let method = members.method.ok_or(DecodeError::Missing("httpMethod"))?;
    let path = members.path.ok_or(DecodeError::Missing("path"))?;

    let mut request = Request::new(Bytes::new());
    *request.method_mut() = Method::from_bytes(method.0.as_bytes()).map_err(|_| DecodeError::Method("`httpMethod`"))?;
    *request.uri_mut() = target(path.into_bytes(event), &members.query.0)?;
    *request.headers_mut() = members.fields;
    read::set_content(&mut request, event, members.body, members.is_base64)?;
    let front = Front::from_fields(members.mode.format(), request.headers());
    let is_health_check = is_health_check(request.headers());
    Ok(Event { request, front: Front { is_health_check, ..front } })
}

/// A client can forge the user agent, but ALB adds a host and `X-Forwarded-For` to all that clients send.
fn is_health_check(fields: &HeaderMap) -> bool {
    fields.get(USER_AGENT).is_some_and(|agent| agent.as_bytes().starts_with(HEALTH_CHECKER))
        && !fields.contains_key(HOST)
        && !fields.contains_key("x-forwarded-for")
}

/// ALB leaves path and query encoded, so no codec may touch them.
fn target(path: Bytes, query: &[u8]) -> Result<Uri, DecodeError> {
    if !path.starts_with(b"/") && path != "*" {
        return Err(DecodeError::Target("the path does not begin with `/`".to_owned()));
    }
    target::join(path, query)
}

/// The format of an event that cannot be decoded, as far as it shows one, so that its sender can read the response.
pub(crate) fn format_of(event: &[u8]) -> &'static Format {
    let mut is_multi = false;
    let text = std::str::from_utf8(event).unwrap_or_default();
    // The problem is known already.
    let _ = Reader::new(text).object(|reader, name| {
        let is_there = reader.skip()?;
        is_multi |= is_there && name.0 == "multiValueHeaders";
        Ok(())
    });
    if is_multi { &super::MULTI } else { &super::SINGLE }
}

/// The event's members, as far as a request needs them.
struct Members<'a> {
    mode: HeaderMode,
    method: Option<Text<'a>>,
    path: Option<Text<'a>>,
    query: Query,
    fields: HeaderMap,
    body: Option<Text<'a>>,
    is_base64: bool,
}

impl<'a> Members<'a> {
    /// Reads an event, whose text this is.
    fn read(event: &Bytes, text: &'a str) -> Result<Self, DecodeError> {
        let mut members = Members {
            mode: HeaderMode::Single,
            method: None,
            path: None,
            query: Query::default(),
            fields: HeaderMap::new(),
            body: None,
            is_base64: false,
        };
        let mut reader = Reader::new(text);
        let is_object = reader.object(|reader, name| {
            match &*name.0 {
                "httpMethod" => members.method = reader.optional_string()?,
                "path" => members.path = reader.optional_string()?,
                "body" => members.body = reader.optional_string()?,
                "isBase64Encoded" => members.is_base64 = reader.flag()?,
                name @ ("queryStringParameters" | "multiValueQueryStringParameters") => {
                    let mut query = Query::default();
                    read::pairs(reader, false, |key, value| {
                        query.append(&key.0, &value.0);
                        Ok(())
                    })?;
                    if name == "multiValueQueryStringParameters" || members.query.0.is_empty() {
                        members.query = query;
                    }
                }
                name @ ("headers" | "multiValueHeaders") => {
                    let is_multi = name == "multiValueHeaders";
                    // Both families together were never seen; if they come, the richer one counts.
                    if let Some(fields) = read::fields(reader, false, event)?
                        && (is_multi || members.mode == HeaderMode::Single)
                    {
                        members.fields = fields;
                        members.mode = if is_multi { HeaderMode::Multi } else { HeaderMode::Single };
                    }
                }
                _ => {
                    reader.skip()?;
                }
            }
            Ok(())
        })?;
        reader.end()?;
        if is_object { Ok(members) } else { Err(reader.problem("it is not an object")) }
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
