//! The reply: encoding (the function's side) and ALB's strict reading of it.

use std::fmt;
use std::io::Write;

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, HeaderMap, HeaderName, HeaderValue};
use http::{Response, StatusCode};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;
use serde_json::value::RawValue;

use super::{HeaderMode, MAX_RESPONSE_FIELDS, MAX_RESPONSE_JSON};
use crate::content::{self, Form};
use crate::json::{write_field_value, write_string};
use crate::reply::{size_of_fields, write_multi_fields};
use crate::{CONNECTION_FIELDS, EncodeError};

// === The function's side

/// A reply that a service takes.
pub(crate) struct Limits {
    pub(crate) service: &'static str,
    /// Bytes of the whole reply.
    pub(crate) json: usize,
    /// Bytes of all fields.
    pub(crate) fields: usize,
}

/// Writes no `null` and only string values: ALB answers 502 to anything else.
pub(crate) fn encode(
    mode: HeaderMode,
    limits: &'static Limits,
    response: &Response<Bytes>,
    out: &mut Vec<u8>,
) -> Result<(), EncodeError> {
    let &Limits { service, json, fields } = limits;
    let fields_size = size_of_fields(response.headers());
    if fields_size > fields {
        return Err(EncodeError::FieldsTooLarge { service, size: fields_size, limit: fields });
    }
    let start = out.len();
    out.reserve(256 + fields_size + response.body().len() * 4 / 3);
    let status = response.status();
    // A `Vec` takes every write.
    let _ = write!(
        out,
        r#"{{"statusCode":{},"statusDescription":"{} {}","#,
        status.as_u16(),
        status.as_u16(),
        status.canonical_reason().unwrap_or("Unknown")
    );
    match mode {
        HeaderMode::Single => write_single_fields(out, response.headers()),
        HeaderMode::Multi => write_multi_fields(out, response.headers()),
    }
    out.extend_from_slice(br#","body":"#);

    const IS_BASE64: &[u8] = br#","isBase64Encoded":true}"#;
    const IS_TEXT: &[u8] = br#","isBase64Encoded":false}"#;
    let envelope = out.len() - start + IS_TEXT.len();
    match content::write(out, response.body(), json.saturating_sub(envelope), Form::Cheapest) {
        Ok(is_base64) => {
            out.extend_from_slice(if is_base64 { IS_BASE64 } else { IS_TEXT });
            Ok(())
        }
        Err(size) => {
            out.truncate(start);
            Err(EncodeError::TooLarge { service, size: envelope + size, limit: json })
        }
    }
}

/// A name can stand only once in `headers`, but ALB passes names that differ in case on as fields of their own. Where a
/// name has not spellings enough, the rest is joined as a list (RFC 9110 section 5.3).
fn write_single_fields(out: &mut Vec<u8>, fields: &HeaderMap) {
    out.extend_from_slice(br#""headers":{"#);
    let mut is_first = true;
    let mut member = |out: &mut Vec<u8>, name: &str, value: &[u8]| {
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        write_string(out, name);
        out.push(b':');
        write_field_value(out, value);
    };
    for name in fields.keys() {
        let values: Vec<&[u8]> = fields.get_all(name).iter().map(HeaderValue::as_bytes).collect();
        let spellings = number_of_spellings(name.as_str());
        let (apart, rest) = values.split_at(values.len().min(spellings - 1));
        for (index, value) in apart.iter().enumerate() {
            member(out, &spelling(name.as_str(), index), value);
        }
        if !rest.is_empty() {
            member(out, &spelling(name.as_str(), spellings - 1), &rest.join(&b", "[..]));
        }
    }
    out.push(b'}');
}

/// At least 1, and no more than could ever be needed.
fn number_of_spellings(name: &str) -> usize {
    let letters = name.bytes().filter(u8::is_ascii_alphabetic).count();
    1 << letters.min(12)
}

/// The spelling number `index` of a name: bit `n` of it makes the `n`th letter a capital.
fn spelling(name: &str, mut index: usize) -> String {
    let spell = |letter: char| {
        if !letter.is_ascii_alphabetic() {
            return letter;
        }
        let is_capital = index & 1 == 1;
        index >>= 1;
        if is_capital { letter.to_ascii_uppercase() } else { letter }
    };
    name.chars().map(spell).collect()
}

// === ALB's side

/// A reply that ALB accepts.
#[derive(Debug)]
pub struct Reply {
    /// The response for the client, before the load balancer adds its own fields. `Content-Length` is as the function
    /// gave it, if that is a number: only the load balancer knows whether the response has content.
    pub response: Response<Bytes>,
    /// The parts of the reply that ALB drops silently or that AWS does not document, one line each; no values.
    pub warnings: Vec<String>,
}

/// The reason why ALB answers 502 instead of passing a reply on.
#[derive(Debug, thiserror::Error)]
pub enum ReplyError {
    /// Over [`MAX_RESPONSE_JSON`].
    #[error("the reply has {0} bytes of JSON, {MAX_RESPONSE_JSON} are allowed")]
    TooLarge(usize),
    /// Over [`MAX_RESPONSE_FIELDS`].
    #[error("the response fields have {0} bytes, {MAX_RESPONSE_FIELDS} are allowed")]
    FieldsTooLarge(usize),
    /// Not JSON, or a member cannot be read.
    #[error("the reply cannot be read as JSON: {0}")]
    Json(#[from] serde_json::Error),
    /// JSON, but not an object.
    #[error("the reply is {0}, expected an object with `statusCode`; does the handler return a value?")]
    NotAnObject(&'static str),
    /// A member is missing or not what it has to be.
    #[error("`{member}` {problem}")]
    Member {
        /// Its name.
        member: &'static str,
        /// The problem, and the value that ALB expects.
        problem: String,
    },
}

impl ReplyError {
    /// `error_reason` of ALB's access log.
    #[must_use]
    pub fn reason(&self) -> &'static str {
        match self {
            ReplyError::TooLarge(_) => "LambdaResponseTooLarge",
            ReplyError::FieldsTooLarge(_)
            | ReplyError::Json(_)
            | ReplyError::NotAnObject(_)
            | ReplyError::Member { .. } => "LambdaInvalidResponse",
        }
    }
}

/// The reply's members. An absent one and a `null` are different things to ALB, so they are kept apart.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(default, rename_all = "camelCase", expecting = "an object")]
struct Members<'a> {
    #[serde(deserialize_with = "present")]
    status_code: Option<Value>,
    #[serde(deserialize_with = "present")]
    status_description: Option<Value>,
    #[serde(borrow, deserialize_with = "present")]
    headers: Option<&'a RawValue>,
    #[serde(borrow, deserialize_with = "present")]
    multi_value_headers: Option<&'a RawValue>,
    #[serde(deserialize_with = "present")]
    body: Option<Value>,
    #[serde(deserialize_with = "present")]
    is_base64_encoded: Option<Value>,
}

fn present<'de, T: Deserialize<'de>, D: Deserializer<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    T::deserialize(deserializer).map(Some)
}

/// An object in its own order, with names that differ only in case kept apart.
struct Object(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Object {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ObjectVisitor;
        impl<'de> Visitor<'de> for ObjectVisitor {
            type Value = Object;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Object, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Object(members))
            }
        }
        deserializer.deserialize_map(ObjectVisitor)
    }
}

/// Reads a reply as strictly as ALB does.
///
/// # Errors
///
/// [`ReplyError`] for each that ALB turns into a 502.
pub fn decode_response(mode: HeaderMode, reply: &[u8]) -> Result<Reply, ReplyError> {
    if reply.len() > MAX_RESPONSE_JSON {
        return Err(ReplyError::TooLarge(reply.len()));
    }
    // serde would take an array for the members in their order.
    if !reply.trim_ascii_start().starts_with(b"{")
        && let Ok(other) = serde_json::from_slice::<Value>(reply)
    {
        return Err(ReplyError::NotAnObject(type_of(&other)));
    }
    let members: Members = serde_json::from_slice(reply)?;
    let mut warnings = Vec::new();
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status(members.status_code)?;
    warnings.extend(check_description(response.status(), members.status_description)?);
    *response.headers_mut() = match mode {
        HeaderMode::Single => single_fields(members.headers, members.multi_value_headers, &mut warnings)?,
        HeaderMode::Multi => multi_fields(members.multi_value_headers, members.headers, &mut warnings)?,
    };
    let size = size_of_fields(response.headers());
    if size > MAX_RESPONSE_FIELDS {
        return Err(ReplyError::FieldsTooLarge(size));
    }
    drop_own_fields(response.headers_mut(), &mut warnings);
    *response.body_mut() = body(members.body, members.is_base64_encoded)?;
    Ok(Reply { response, warnings })
}

fn wrong(member: &'static str, problem: impl Into<String>) -> ReplyError {
    ReplyError::Member { member, problem: problem.into() }
}

/// For a message: the JSON type of a value.
fn type_of(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "a boolean",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

fn status(value: Option<Value>) -> Result<StatusCode, ReplyError> {
    const MEMBER: &str = "statusCode";
    let value = value.ok_or_else(|| wrong(MEMBER, "is missing"))?;
    let Value::Number(number) = &value else {
        return Err(wrong(MEMBER, format!("is {}, it must be a number", type_of(&value))));
    };
    number
        .as_u64()
        .and_then(|code| u16::try_from(code).ok())
        .filter(|code| (200..=599).contains(code))
        .and_then(|code| StatusCode::from_u16(code).ok())
        .ok_or_else(|| wrong(MEMBER, format!("is {number}, it must be a whole number from 200 to 599")))
}

/// Returns a warning for a text other than the status code, a space and a reason. AWS documents that form, but AWS's own
/// adapter for Go sends the reason alone, and its users see it work.
fn check_description(status: StatusCode, value: Option<Value>) -> Result<Option<String>, ReplyError> {
    const MEMBER: &str = "statusDescription";
    let warning = |problem| Ok(Some(format!("`{MEMBER}` {problem}")));
    match value {
        None => Ok(None),
        Some(Value::String(text)) => match text.split_once(' ') {
            Some((code, reason)) if is_code(code) && !reason.is_empty() && code == status.as_str() => Ok(None),
            Some((code, _)) if is_code(code) && code != status.as_str() => {
                warning("begins with another code than `statusCode`, which the client gets")
            }
            _ => warning(
                "is not the code and a reason, such as \"200 OK\", which AWS documents; the client gets `statusCode`",
            ),
        },
        Some(other) => {
            Err(wrong(MEMBER, format!("is {}, it must be a string like \"200 OK\" or absent", type_of(&other))))
        }
    }
}

fn is_code(text: &str) -> bool {
    text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit())
}

fn single_fields(
    headers: Option<&RawValue>,
    other_family: Option<&RawValue>,
    warnings: &mut Vec<String>,
) -> Result<HeaderMap, ReplyError> {
    const MEMBER: &str = "headers";
    if headers.is_none() && other_family.is_some() {
        let problem = "is missing: the target group has multi-value headers off, so `multiValueHeaders` is not read";
        return Err(wrong(MEMBER, problem));
    }
    let mut fields = HeaderMap::new();
    for (name, value) in object(MEMBER, headers, warnings)? {
        append(&mut fields, MEMBER, &name, &value)?;
    }
    // Libraries that send both families lose nothing, but for what only the other one can hold.
    for (name, values) in object("multiValueHeaders", other_family, &mut Vec::new()).unwrap_or_default() {
        let count = values.as_array().map_or(0, Vec::len);
        if count > 1 && fields.get_all(&name).iter().count() < count {
            warnings.push(format!(
                "`{name}` has {count} values in `multiValueHeaders`, which is not read: the target group has multi-value \
                 headers off"
            ));
        }
    }
    Ok(fields)
}

fn multi_fields(
    headers: Option<&RawValue>,
    other_family: Option<&RawValue>,
    warnings: &mut Vec<String>,
) -> Result<HeaderMap, ReplyError> {
    const MEMBER: &str = "multiValueHeaders";
    if headers.is_none() && other_family.is_some_and(|other| !matches!(other.get(), "null" | "{}")) {
        warnings.push(
            "`headers` is lost: the target group has multi-value headers on, so only `multiValueHeaders` is read"
                .into(),
        );
    }
    let mut fields = HeaderMap::new();
    for (name, values) in object(MEMBER, headers, warnings)? {
        let Value::Array(values) = values else {
            let problem = format!("has {} for `{name}`, it must be an array of strings", type_of(&values));
            return Err(wrong(MEMBER, problem));
        };
        for value in values {
            append(&mut fields, MEMBER, &name, &value)?;
        }
    }
    Ok(fields)
}

/// The members of an object. A name that stands there twice, in the same spelling, is what a JSON object cannot have: the
/// last one counts.
fn object(
    member: &'static str,
    json: Option<&RawValue>,
    warnings: &mut Vec<String>,
) -> Result<Vec<(String, Value)>, ReplyError> {
    let Some(json) = json else { return Ok(Vec::new()) };
    let Object(members) = serde_json::from_str(json.get())
        .map_err(|_| wrong(member, "is not an object: leave it out where there are no fields"))?;
    let mut last: Vec<(String, Value)> = Vec::with_capacity(members.len());
    for (name, value) in members {
        match last.iter_mut().find(|(other, _)| *other == name) {
            Some((_, other)) => {
                warnings.push(format!("`{member}` has `{name}` twice, only the last counts"));
                *other = value;
            }
            None => last.push((name, value)),
        }
    }
    Ok(last)
}

fn append(fields: &mut HeaderMap, member: &'static str, name: &str, value: &Value) -> Result<(), ReplyError> {
    let Value::String(text) = value else {
        return Err(wrong(member, format!("has {} for `{name}`, it must be a string", type_of(value))));
    };
    let field = HeaderName::from_bytes(name.as_bytes())
        .map_err(|_| wrong(member, format!("has the name {name:?}, which is not a field name")))?;
    let value = HeaderValue::from_bytes(text.as_bytes())
        .map_err(|_| wrong(member, format!("has a control character in the value of `{name}`")))?;
    fields.append(field, value);
    Ok(())
}

/// ALB does not honour hop-by-hop fields (ELB guide, "Lambda functions as targets"), nor a length that is none.
fn drop_own_fields(fields: &mut HeaderMap, warnings: &mut Vec<String>) {
    let length: Vec<&HeaderValue> = fields.get_all(CONTENT_LENGTH).iter().collect();
    if !matches!(length[..], [length] if is_length(length.as_bytes())) {
        fields.remove(CONTENT_LENGTH);
    }
    for name in CONNECTION_FIELDS {
        if fields.remove(name).is_some() {
            warnings.push(format!("field `{name}` is not honoured: it belongs to one connection"));
        }
    }
}

fn is_length(text: &[u8]) -> bool {
    !text.is_empty() && text.iter().all(u8::is_ascii_digit)
}

fn body(body: Option<Value>, is_base64: Option<Value>) -> Result<Bytes, ReplyError> {
    let is_base64 = match is_base64 {
        None => false,
        Some(Value::Bool(is_base64)) => is_base64,
        Some(other) => {
            return Err(wrong("isBase64Encoded", format!("is {}, it must be a boolean", type_of(&other))));
        }
    };
    match body {
        None => Ok(Bytes::new()),
        Some(Value::String(text)) if is_base64 => content::decode_base64(text.as_bytes())
            .map(Bytes::from)
            .ok_or_else(|| wrong("body", "is not base64, but `isBase64Encoded` is true")),
        Some(Value::String(text)) => Ok(text.into()),
        Some(other) => Err(wrong("body", format!("is {}, it must be a string or absent", type_of(&other)))),
    }
}
