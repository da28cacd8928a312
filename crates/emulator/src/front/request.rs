//! A request in the parts that events are made of: fields under the names that the service gives them, decoded parameters,
//! cookies, the content as text or base64. Owns what each service drops and adds; the shape of an event is its format's.

use std::net::SocketAddr;
use std::time::{SystemTime, UNIX_EPOCH};

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, header};
use serde_json::{Map, Value, json};

use super::endpoint::{Endpoint, EndpointKind, Route};
use crate::http::{Head, list};

/// A request, ready to become an event.
pub(super) struct Request<'r> {
    pub(super) endpoint: &'r Endpoint,
    pub(super) route: &'r Route,
    /// The values in the route's path, as they stand in the path that was matched.
    pub(super) parameters: &'r [(String, String)],
    pub(super) method: &'r str,
    /// As sent, with the base path.
    pub(super) path: &'r str,
    /// Behind the base path; decoded for an HTTP API.
    pub(super) matched: &'r str,
    pub(super) query: &'r str,
    pub(super) headers: &'r HeaderMap,
    /// The spelling of names, as sent.
    pub(super) names: &'r Names,
    pub(super) body: &'r Bytes,
    pub(super) client: SocketAddr,
    pub(super) protocol: &'static str,
    pub(super) time: SystemTime,
    pub(super) ids: &'r Ids,
    pub(super) region: &'r str,
}

/// The identifiers that a service gives a request.
pub(super) struct Ids {
    /// A UUID.
    pub(super) request: String,
    /// In the form of API Gateway's extended request IDs.
    pub(super) extended: String,
}

impl Ids {
    pub(super) fn new() -> Self {
        let id: String = crate::random::hex(22).chars().map(|digit| if digit == '0' { 'A' } else { digit }).collect();
        Self { request: crate::random::uuid(), extended: format!("{id}=") }
    }
}

/// The names of a request's fields as the client spelled them.
#[derive(Default)]
pub(super) struct Names(Vec<String>);

impl Names {
    /// Reads them from the bytes of a head.
    pub(super) fn of(head: &[u8]) -> Self {
        let lines = head.split(|byte| *byte == b'\n').skip(1);
        let names = lines.filter_map(|line| std::str::from_utf8(line.split(|byte| *byte == b':').next()?).ok());
        Self(names.filter(|name| !name.trim().is_empty()).map(str::to_owned).collect())
    }

    fn spelled(&self, name: &HeaderName) -> &str {
        let found = self.0.iter().rev().find(|sent| sent.eq_ignore_ascii_case(name.as_str()));
        found.map_or("", String::as_str)
    }
}

/// Fields that no service passes on: they belong to the connection or are answered by the service.
const NEVER_PASSED: [&str; 10] = [
    "connection",
    "expect",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];
/// Further fields that a REST API drops ("Amazon API Gateway important notes").
const NOT_IN_REST: [&str; 6] =
    ["content-length", "content-md5", "max-forwards", "server", "www-authenticate", "x-http-method-override"];
/// Names that API Gateway spells its own way in payload format 1.0; all others stay as sent.
const CAPITALS: [&str; 6] =
    ["Host", "User-Agent", "X-Amzn-Trace-Id", "X-Forwarded-For", "X-Forwarded-Port", "X-Forwarded-Proto"];
/// The content type of requests without content, as an HTTP API adds it.
const NO_CONTENT: HeaderValue = HeaderValue::from_static("text/plain; charset=utf-8");

/// Removes what the service does not pass on, and adds what it says about the client.
pub(super) fn settle_fields(
    kind: EndpointKind,
    headers: &mut HeaderMap,
    body: &Bytes,
    (client, port, is_https): (SocketAddr, u16, bool),
) {
    for name in list(headers, "connection").map(<[u8]>::to_vec).collect::<Vec<_>>() {
        if let Ok(name) = HeaderName::from_bytes(&name) {
            headers.remove(name);
        }
    }
    for name in NEVER_PASSED {
        headers.remove(name);
    }
    if kind == EndpointKind::RestApi {
        for name in NOT_IN_REST {
            headers.remove(name);
        }
        let signed = |value: &HeaderValue| value.as_bytes().starts_with(b"AWS4-");
        if headers.get(header::AUTHORIZATION).is_some_and(signed) {
            headers.remove(header::AUTHORIZATION);
        }
    } else if !kind.is_lattice() || !body.is_empty() {
        headers.insert(header::CONTENT_LENGTH, HeaderValue::from(body.len()));
    }
    if matches!(kind, EndpointKind::HttpApi | EndpointKind::HttpApi1) && body.is_empty() {
        headers.entry(header::CONTENT_TYPE).or_insert(NO_CONTENT);
    }
    let earlier: Vec<&[u8]> = headers.get_all("x-forwarded-for").into_iter().map(HeaderValue::as_bytes).collect();
    let mut addresses = earlier.join(&b", "[..]);
    if !addresses.is_empty() {
        addresses.extend_from_slice(b", ");
    }
    addresses.extend_from_slice(client.ip().to_canonical().to_string().as_bytes());
    insert(headers, "x-forwarded-for", &addresses);
    if kind.is_lattice() {
        return;
    }
    insert(headers, "x-forwarded-port", port.to_string().as_bytes());
    insert(headers, "x-forwarded-proto", if is_https { b"https" } else { b"http" });
    let traced = |value: &HeaderValue| value.as_bytes().windows(5).any(|part| part == b"Root=");
    if !headers.get("x-amzn-trace-id").is_some_and(traced) {
        insert(headers, "x-amzn-trace-id", format!("Root={}", crate::alb::new_trace_id()).as_bytes());
    }
}

fn insert(headers: &mut HeaderMap, name: &'static str, value: &[u8]) {
    if let Ok(value) = HeaderValue::from_bytes(value) {
        headers.insert(name, value);
    }
}

/// The bytes of a field as text: UTF-8 if they are, else Latin-1.
pub(super) fn text(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) => text.to_owned(),
        Err(_) => value.iter().copied().map(char::from).collect(),
    }
}

impl Request<'_> {
    /// Each field with all its values, under the names of payload format 1.0.
    pub(super) fn spelled_fields(&self) -> Vec<(String, Vec<String>)> {
        let spelled = |name: &HeaderName| {
            if let Some(own) = CAPITALS.iter().find(|own| own.eq_ignore_ascii_case(name.as_str())) {
                return (*own).to_owned();
            }
            match (self.endpoint.kind, self.names.spelled(name)) {
                (EndpointKind::HttpApi1, _) if name == header::CONTENT_LENGTH => "Content-Length".to_owned(),
                (EndpointKind::RestApi, sent) if !sent.is_empty() => sent.to_owned(),
                _ => name.as_str().to_owned(),
            }
        };
        self.headers.keys().map(|name| (spelled(name), self.values(name))).collect()
    }

    /// All values of a field.
    pub(super) fn values(&self, name: &HeaderName) -> Vec<String> {
        self.headers.get_all(name).into_iter().map(|value| text(value.as_bytes())).collect()
    }

    /// Each field with its values joined, under its name in lower case.
    pub(super) fn joined_fields(&self, separator: &str) -> Map<String, Value> {
        let joined = |name: &HeaderName| match name == header::COOKIE {
            true => self.values(name).join("; "),
            false => self.values(name).join(separator),
        };
        self.headers.keys().map(|name| (name.as_str().to_owned(), joined(name).into())).collect()
    }

    /// The cookies, one by one.
    pub(super) fn cookies(&self) -> Vec<String> {
        let lines = self.values(&header::COOKIE);
        let cookies = lines.iter().flat_map(|line| line.split(';')).map(str::trim).filter(|cookie| !cookie.is_empty());
        cookies.map(str::to_owned).collect()
    }

    /// The query's parameters, decoded, in the order of the first one of each name.
    pub(super) fn decoded_query(&self) -> Vec<(String, Vec<String>)> {
        let splits = |mark| mark == '&' || mark == ';' && self.endpoint.kind == EndpointKind::RestApi;
        grouped(self.query.split(splits).filter(|part| !part.is_empty()).map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (decoded_parameter(name), decoded_parameter(value))
        }))
    }

    /// The query's parameters as sent.
    pub(super) fn raw_query(&self) -> Vec<(String, Vec<String>)> {
        grouped(self.query.split('&').filter(|part| !part.is_empty()).map(|part| {
            let (name, value) = part.split_once('=').unwrap_or((part, ""));
            (name.to_owned(), value.to_owned())
        }))
    }

    /// The content, and whether it is base64.
    pub(super) fn content(&self) -> (Value, bool) {
        if self.body.is_empty() {
            return (Value::Null, false);
        }
        let content_type = self.headers.get(header::CONTENT_TYPE).map(|value| text(value.as_bytes()));
        let essence = essence(content_type.as_deref().unwrap_or_default());
        let encoded = self.headers.contains_key(header::CONTENT_ENCODING);
        let is_binary = match self.endpoint.kind {
            EndpointKind::RestApi => is_listed(&self.endpoint.binary_media_types, &essence),
            EndpointKind::Lattice | EndpointKind::Lattice1 => !is_text(&essence),
            EndpointKind::HttpApi | EndpointKind::HttpApi1 | EndpointKind::FunctionUrl => {
                encoded || !is_text(&essence) || std::str::from_utf8(self.body).is_err()
            }
        };
        match is_binary {
            true => (base64_simd::STANDARD.encode_to_string(self.body).into(), true),
            false => (String::from_utf8_lossy(self.body).into(), false),
        }
    }

    /// `10/Jul/2026:19:19:04 +0000`.
    pub(super) fn request_time(&self) -> String {
        // `Fri, 10 Jul 2026 19:19:04 GMT`
        let date = httpdate::fmt_http_date(self.time);
        let mut words = date.split(' ').skip(1);
        let mut word = || words.next().unwrap_or_default();
        let (day, month, year, time) = (word(), word(), word(), word());
        format!("{day}/{month}/{year}:{time} +0000")
    }

    /// Milliseconds since 1970.
    pub(super) fn epoch(&self) -> u64 {
        let since = self.time.duration_since(UNIX_EPOCH).unwrap_or_default();
        u64::try_from(since.as_millis()).unwrap_or_default()
    }

    pub(super) fn user_agent(&self) -> String {
        self.values(&header::USER_AGENT).pop().unwrap_or_default()
    }

    /// The domain name in AWS, and its first label. A custom domain is the host that the client names.
    pub(super) fn domain(&self) -> (String, String) {
        let (id, region) = (&self.endpoint.id, self.region);
        let host = self.headers.get(header::HOST).filter(|_| self.endpoint.has_custom_domain());
        let host = host.map(|host| text(host.as_bytes())).unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default();
        match (host, self.endpoint.kind) {
            ("", EndpointKind::FunctionUrl) => (format!("{id}.lambda-url.{region}.on.aws"), id.clone()),
            ("", _) => (format!("{id}.execute-api.{region}.amazonaws.com"), id.clone()),
            _ => (host.to_owned(), host.split('.').next().unwrap_or_default().to_owned()),
        }
    }
}

fn grouped(pairs: impl Iterator<Item = (String, String)>) -> Vec<(String, Vec<String>)> {
    let mut all: Vec<(String, Vec<String>)> = Vec::new();
    let mut places = std::collections::HashMap::new();
    for (name, value) in pairs {
        let place = *places.entry(name.clone()).or_insert(all.len());
        match all.get_mut(place) {
            Some((_, values)) => values.push(value),
            None => all.push((name, vec![value])),
        }
    }
    all
}

/// The last value of each name; `null` without any, as API Gateway has it.
pub(super) fn last_of_each(all: &[(String, Vec<String>)]) -> Value {
    object(all, |values| values.last().map_or(Value::Null, |last| json!(last)))
}

/// All values of each name; `null` without any.
pub(super) fn all_of_each(all: &[(String, Vec<String>)]) -> Value {
    object(all, |values| json!(values))
}

fn object(all: &[(String, Vec<String>)], value: impl Fn(&[String]) -> Value) -> Value {
    match all.is_empty() {
        true => Value::Null,
        false => Value::Object(all.iter().map(|(name, values)| (name.clone(), value(values))).collect()),
    }
}

/// The type of a content type without its parameters, in lower case.
pub(super) fn essence(content_type: &str) -> String {
    content_type.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
}

/// Returns whether a media type is one of `binaryMediaTypes`.
pub(super) fn is_listed(listed: &[String], essence: &str) -> bool {
    listed.iter().map(|listed| listed.replace("~1", "/").to_ascii_lowercase()).any(|listed| {
        match listed.strip_suffix("/*") {
            Some("*") => true,
            Some(kind) => essence.split('/').next() == Some(kind),
            None => listed == essence,
        }
    })
}

fn is_text(essence: &str) -> bool {
    let types = ["application/json", "application/javascript", "application/xml"];
    essence.starts_with("text/") || types.contains(&essence) || essence.ends_with("+json") || essence.ends_with("+xml")
}

/// Decodes a parameter of a query: percent escapes, and `+` as a space. What is no escape stays.
fn decoded_parameter(text: &str) -> String {
    String::from_utf8_lossy(&unescaped(&text.replace('+', " ")).0).into_owned()
}

/// Decodes percent escapes. Returns as well whether all `%` were part of one.
fn unescaped(text: &str) -> (Vec<u8>, bool) {
    let (mut out, mut valid) = (Vec::with_capacity(text.len()), true);
    let mut rest = text.as_bytes();
    while let Some((first, after)) = rest.split_first() {
        let digits = after.get(..2).filter(|digits| *first == b'%' && digits.iter().all(u8::is_ascii_hexdigit));
        let byte = digits.and_then(|digits| u8::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok());
        match byte {
            Some(byte) => {
                out.push(byte);
                rest = after.get(2..).unwrap_or_default();
            }
            None => {
                valid &= *first != b'%';
                out.push(*first);
                rest = after;
            }
        }
    }
    (out, valid)
}

/// Decodes a path as an HTTP API does: once, then up to a `?` that came to light, and once more. `None` if a `%` is part of no
/// escape in either turn, which is 400.
pub(super) fn decoded_path(path: &str) -> Option<String> {
    let decoded = |text: &str| {
        let (bytes, valid) = unescaped(text);
        valid.then(|| String::from_utf8_lossy(&bytes).into_owned())
    };
    let once = decoded(path)?;
    decoded(once.split('?').next().unwrap_or_default())
}

/// The head's path and query as text.
pub(super) fn target(head: &Head) -> (String, String) {
    (text(head.path()), text(head.query().unwrap_or_default()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test] // as live APIs were seen to do
    fn an_http_api_decodes_paths_twice() {
        for (sent, expected) in [
            ("/plain", Some("/plain")),
            ("/space%20value", Some("/space value")),
            ("/question%3Fvalue", Some("/question")),
            ("/percent%25done", None),
            ("/hash%23value", Some("/hash#value")),
            ("/slash%2Fvalue", Some("/slash/value")),
            ("/unicode-%CE%BB-%E4%B8%96", Some("/unicode-λ-世")),
            ("/literal%252Fvalue", Some("/literal/value")),
            ("/literal%253Fvalue", Some("/literal?value")),
            ("/literal%2525value", Some("/literal%value")),
            ("/bare%", None),
            ("/a+b", Some("/a+b")),
        ] {
            assert_eq!(decoded_path(sent).as_deref(), expected, "{sent}");
        }
    }

    #[test]
    fn media_types_match_with_wildcards() {
        let listed = |listed: &[&str], essence| {
            is_listed(&listed.iter().map(|it| (*it).to_owned()).collect::<Vec<_>>(), essence)
        };
        assert!(listed(&["*/*"], "") && listed(&["image/*"], "image/png") && listed(&["image~1png"], "image/png"));
        assert!(!listed(&[], "image/png") && !listed(&["image/*"], "text/plain"));
    }
}
