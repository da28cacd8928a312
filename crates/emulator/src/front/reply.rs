//! A function's reply as each service reads it: its members, its fields, its content; and the prelude of a streamed one. Owns
//! what is rejected, renamed and dropped; the response to a rejected reply is `refusal`'s.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode, header};
use serde_json::{Map, Value};

use super::endpoint::{Endpoint, EndpointKind};
use super::request::{essence, is_listed};

/// A response, and what is probably not intended about it.
pub(super) struct Reply {
    pub(super) response: Response<Bytes>,
    pub(super) warnings: Vec<String>,
}

/// The members of a reply that each service knows.
fn members(kind: EndpointKind) -> &'static [&'static str] {
    match kind {
        EndpointKind::RestApi | EndpointKind::HttpApi1 => {
            &["statusCode", "headers", "multiValueHeaders", "body", "isBase64Encoded"]
        }
        EndpointKind::HttpApi | EndpointKind::FunctionUrl => {
            &["statusCode", "headers", "cookies", "body", "isBase64Encoded"]
        }
        EndpointKind::Lattice | EndpointKind::Lattice1 => {
            &["statusCode", "statusDescription", "headers", "body", "isBase64Encoded"]
        }
    }
}

/// Reads a whole reply. `accept` is the client's field.
///
/// # Errors
///
/// The reason why the service rejects it.
pub(super) fn read(endpoint: &Endpoint, answer: &[u8], accept: Option<&HeaderValue>) -> Result<Reply, String> {
    let kind = endpoint.kind;
    let lenient = matches!(kind, EndpointKind::HttpApi | EndpointKind::FunctionUrl);
    let value: Value = serde_json::from_slice(answer).map_err(|error| format!("it is not JSON: {error}"))?;
    let reply = match value {
        Value::Object(reply) if !lenient || reply.get("statusCode").is_some_and(|status| !status.is_null()) => reply,
        other if lenient => return Ok(inferred(&other)),
        _ => return Err("it is not an object with `statusCode`; does the handler return a value?".to_owned()),
    };
    let mut warnings = Vec::new();
    let unknown = reply.keys().find(|name| !members(kind).contains(&name.as_str()));
    match (kind, unknown) {
        (EndpointKind::RestApi, Some(unknown)) => return Err(format!("a REST API knows no member `{unknown}`")),
        (_, Some(unknown)) => warnings.push(format!("{} ignores the member `{unknown}` of the reply", kind.service())),
        (_, None) => {}
    }
    if lenient && reply.contains_key("cookies") && reply.contains_key("multiValueHeaders") {
        return Err("it has both `cookies` and `multiValueHeaders`".to_owned());
    }
    let mut response = head(kind, &reply, &mut warnings)?;
    let is_base64 = match reply.get("isBase64Encoded") {
        None | Some(Value::Null) => false,
        Some(Value::Bool(is_base64)) => *is_base64,
        Some(_) => return Err("`isBase64Encoded` is not a boolean".to_owned()),
    };
    let body = match reply.get("body") {
        None | Some(Value::Null) => "",
        Some(Value::String(body)) => body,
        Some(_) => return Err("`body` is not a string; encode it as JSON".to_owned()),
    };
    *response.body_mut() = match is_base64 {
        true if kind == EndpointKind::RestApi && !accepts_binary(&endpoint.binary_media_types, accept) => {
            warnings.push(
                "the body is sent as base64 text: `binaryMediaTypes` lists no type that the client accepts first"
                    .to_owned(),
            );
            Bytes::copy_from_slice(body.as_bytes())
        }
        true => base64_simd::STANDARD
            .decode_to_vec(body.as_bytes())
            .map_err(|_| "`body` is not base64, though `isBase64Encoded` is true".to_owned())?
            .into(),
        false => Bytes::copy_from_slice(body.as_bytes()),
    };
    Ok(Reply { response, warnings })
}

/// The prelude of a streamed reply: status and fields. The content follows.
///
/// # Errors
///
/// The reason why the service rejects it.
pub(super) fn read_prelude(kind: EndpointKind, prelude: &[u8]) -> Result<Reply, String> {
    let value: Value = serde_json::from_slice(prelude).map_err(|error| format!("its prelude is not JSON: {error}"))?;
    let Value::Object(prelude) = value else { return Err("its prelude is not an object".to_owned()) };
    const KNOWN: [&str; 4] = ["statusCode", "headers", "multiValueHeaders", "cookies"];
    if let Some(unknown) = prelude.keys().find(|name| !KNOWN.contains(&name.as_str())) {
        return Err(format!("its prelude has the unknown member `{unknown}`"));
    }
    let mut prelude = prelude;
    prelude.entry("statusCode").or_insert_with(|| 200.into());
    let mut warnings = Vec::new();
    let response = head(kind, &prelude, &mut warnings)?;
    Ok(Reply { response, warnings })
}

/// The response to a reply without `statusCode`: the reply as JSON, or a string as such.
fn inferred(value: &Value) -> Reply {
    let text = match value {
        Value::String(text) => text.clone(),
        other => other.to_string(),
    };
    let mut response = Response::new(Bytes::from(text));
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    let warning = "the reply has no `statusCode`: the client gets 200 with the reply as it is".to_owned();
    Reply { response, warnings: vec![warning] }
}

fn head(kind: EndpointKind, reply: &Map<String, Value>, warnings: &mut Vec<String>) -> Result<Response<Bytes>, String> {
    let mut response = Response::new(Bytes::new());
    *response.status_mut() = status(reply.get("statusCode"), warnings)?;
    let mut fields = HeaderMap::new();
    let has_many = matches!(kind, EndpointKind::RestApi | EndpointKind::HttpApi1);
    if let Some(multi) = object(reply, "multiValueHeaders")?.filter(|_| has_many) {
        for (name, values) in multi {
            let Value::Array(values) = values else {
                return Err(format!("`multiValueHeaders.{name}` is not an array"));
            };
            for value in values {
                add(&mut fields, name, value)?;
            }
        }
    }
    for (name, value) in object(reply, "headers")?.into_iter().flatten() {
        let mut one = HeaderMap::new();
        add(&mut one, name, value)?;
        for (name, value) in one.iter() {
            // The same pair in both families is one field.
            if !fields.get_all(name).iter().any(|other| other == value) {
                fields.append(name, value.clone());
            }
        }
    }
    match reply.get("cookies") {
        None | Some(Value::Null) => {}
        Some(Value::Array(cookies)) => {
            for cookie in cookies {
                add(&mut fields, "set-cookie", cookie)?;
            }
        }
        Some(_) => return Err("`cookies` is not an array".to_owned()),
    }
    *response.headers_mut() = passed_on(kind, fields);
    if let Some(default) = default_type(kind) {
        response.headers_mut().entry(header::CONTENT_TYPE).or_insert(default);
    }
    Ok(response)
}

fn default_type(kind: EndpointKind) -> Option<HeaderValue> {
    match kind {
        EndpointKind::RestApi | EndpointKind::FunctionUrl => Some(HeaderValue::from_static("application/json")),
        EndpointKind::HttpApi | EndpointKind::HttpApi1 => Some(HeaderValue::from_static("text/plain; charset=utf-8")),
        EndpointKind::Lattice | EndpointKind::Lattice1 => None,
    }
}

fn status(value: Option<&Value>, warnings: &mut Vec<String>) -> Result<StatusCode, String> {
    let number = match value {
        Some(Value::Number(number)) => number.as_u64(),
        Some(Value::String(text)) if text.len() == 3 && text.bytes().all(|byte| byte.is_ascii_digit()) => {
            warnings.push("`statusCode` is a string; an Application Load Balancer would reject it".to_owned());
            text.parse().ok()
        }
        None | Some(Value::Null) => return Err("it has no `statusCode`".to_owned()),
        Some(_) => None,
    };
    let status = number.and_then(|number| u16::try_from(number).ok()).filter(|number| (200..600).contains(number));
    let status = status.and_then(|status| StatusCode::from_u16(status).ok());
    status.ok_or_else(|| "`statusCode` is not a number from 200 to 599".to_owned())
}

fn object<'r>(reply: &'r Map<String, Value>, name: &str) -> Result<Option<&'r Map<String, Value>>, String> {
    match reply.get(name) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(object)) => Ok(Some(object)),
        Some(_) => Err(format!("`{name}` is not an object")),
    }
}

fn add(fields: &mut HeaderMap, name: &str, value: &Value) -> Result<(), String> {
    let text = match value {
        Value::String(text) => text.clone(),
        Value::Number(_) | Value::Bool(_) => value.to_string(),
        Value::Null => return Ok(()),
        Value::Array(_) | Value::Object(_) => return Err(format!("the value of field `{name}` is not a string")),
    };
    let valid = HeaderName::try_from(name).ok().zip(HeaderValue::from_bytes(text.as_bytes()).ok());
    let (name, value) = valid.ok_or_else(|| format!("field `{name}` cannot stand in a response"))?;
    fields.append(name, value);
    Ok(())
}

/// Fields of a response that API Gateway's REST APIs and function URLs rename to `x-amzn-Remapped-…` ("Amazon API Gateway
/// important notes").
const REMAPPED: [&str; 8] =
    ["authorization", "connection", "content-md5", "date", "max-forwards", "server", "user-agent", "www-authenticate"];
/// Fields of a response that belong to the connection.
const DROPPED: [&str; 11] = [
    "connection",
    "content-length",
    "expect",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// Removes and renames what the service does not pass on under its own name.
fn passed_on(kind: EndpointKind, fields: HeaderMap) -> HeaderMap {
    let remaps = matches!(kind, EndpointKind::RestApi | EndpointKind::FunctionUrl);
    let mut passed = HeaderMap::with_capacity(fields.len());
    for (name, value) in &fields {
        if remaps && REMAPPED.contains(&name.as_str()) {
            if let Ok(name) = HeaderName::try_from(format!("x-amzn-remapped-{name}")) {
                passed.append(name, value.clone());
            }
        } else if name == header::CONTENT_LENGTH || !DROPPED.contains(&name.as_str()) {
            passed.append(name, value.clone());
        }
    }
    passed
}

/// Returns whether a REST API sends a base64 body as the bytes that it stands for.
fn accepts_binary(listed: &[String], accept: Option<&HeaderValue>) -> bool {
    let accept = accept.and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    // Only the first type counts.
    is_listed(listed, &essence(accept.split(',').next().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(kind: EndpointKind, reply: &str) -> String {
        match read(&Endpoint::new(kind, 0), reply.as_bytes(), None) {
            Ok(Reply { response, .. }) => {
                let text = |value: &HeaderValue| String::from_utf8_lossy(value.as_bytes()).into_owned();
                let fields: Vec<_> =
                    response.headers().iter().map(|(name, value)| format!("{name}: {}", text(value))).collect();
                let body = String::from_utf8_lossy(response.body());
                format!("{} [{}] {body}", response.status().as_u16(), fields.join(", ")).trim_end().to_owned()
            }
            Err(problem) => problem,
        }
    }

    #[test]
    fn replies_are_read_as_each_service_does() {
        use EndpointKind::{FunctionUrl, HttpApi, Lattice, RestApi};
        for (kind, reply, expected) in [
            (RestApi, r#"{"statusCode":200,"body":"a"}"#, "200 [content-type: application/json] a"),
            (RestApi, r#"{"statusCode":"201"}"#, "201 [content-type: application/json]"),
            (RestApi, r#"{"statusCode":200,"cookies":[]}"#, "a REST API knows no member `cookies`"),
            (RestApi, r#"{"body":"a"}"#, "it has no `statusCode`"),
            (RestApi, r#"{"statusCode":200,"body":{"a":1}}"#, "`body` is not a string; encode it as JSON"),
            (
                RestApi,
                r#"{"statusCode":200,"headers":{"a":"1","b":true},"multiValueHeaders":{"a":["1","2"]}}"#,
                "200 [a: 1, a: 2, b: true, content-type: application/json]",
            ),
            (
                RestApi,
                r#"{"statusCode":401,"headers":{"WWW-Authenticate":"Basic","TE":"x","Server":"own"}}"#,
                "401 [x-amzn-remapped-server: own, x-amzn-remapped-www-authenticate: Basic, content-type: application/json]",
            ),
            (
                RestApi,
                r#"{"statusCode":200,"body":"aGk=","isBase64Encoded":true}"#,
                "200 [content-type: application/json] aGk=",
            ),
            (RestApi, "null", "it is not an object with `statusCode`; does the handler return a value?"),
            (
                HttpApi,
                r#"{"statusCode":200,"body":"aGk=","isBase64Encoded":true}"#,
                "200 [content-type: text/plain; charset=utf-8] hi",
            ),
            (HttpApi, r#"{"errorMessage":"x"}"#, r#"200 [content-type: application/json] {"errorMessage":"x"}"#),
            (HttpApi, r#""hello""#, "200 [content-type: application/json] hello"),
            (HttpApi, r#"{"statusCode":"odd"}"#, "`statusCode` is not a number from 200 to 599"),
            (
                HttpApi,
                r#"{"statusCode":200,"cookies":["a=1"],"multiValueHeaders":{}}"#,
                "it has both `cookies` and `multiValueHeaders`",
            ),
            (
                HttpApi,
                r#"{"statusCode":200,"cookies":["a=1","b=2"],"headers":{"WWW-Authenticate":"Basic"}}"#,
                "200 [www-authenticate: Basic, set-cookie: a=1, set-cookie: b=2, content-type: text/plain; charset=utf-8]",
            ),
            (
                FunctionUrl,
                r#"{"statusCode":200,"headers":{"www-authenticate":"Basic"}}"#,
                "200 [x-amzn-remapped-www-authenticate: Basic, content-type: application/json]",
            ),
            (FunctionUrl, "odd", "it is not JSON: expected value at line 1 column 1"),
            (Lattice, r#"{"statusCode":200,"statusDescription":"200 OK","body":"a"}"#, "200 [] a"),
        ] {
            assert_eq!(outcome(kind, reply), expected, "{kind:?} {reply}");
        }
    }
}
