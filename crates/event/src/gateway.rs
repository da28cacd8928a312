//! The members of events that API Gateway, function URLs and VPC Lattice send: under one roof, since they are spelled
//! differently and mean the same. Reads them; what they say of a request is up to the formats.

use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;

use bytes::Bytes;
use http::header::{COOKIE, Entry, HOST, HeaderMap, HeaderValue};
use http::{Method, Request};
use serde::Deserialize;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};

use crate::json::Text;
use crate::read::{self, Pairs, append_field};
use crate::target::{self, Delivered, Query};
use crate::{DecodeError, Event, Format, Front};

/// The members that a request can depend on. A member that is absent and one that is `null` are the same.
#[derive(Debug, Default)]
pub(crate) struct Members<'a> {
    pub(crate) version: Option<Text<'a>>,
    /// `httpMethod` or `method`.
    method: Option<Text<'a>>,
    /// `path`, `raw_path` or `rawPath`.
    pub(crate) path: Option<Text<'a>>,
    pub(crate) raw_query: Option<Text<'a>>,
    pub(crate) resource: Option<Text<'a>>,
    pub(crate) path_parameters: Parameters<'a>,
    query: Parameters<'a>,
    fields: Fields,
    cookies: Option<Vec<Text<'a>>>,
    body: Option<Text<'a>>,
    is_base64: bool,
    pub(crate) context: Context<'a>,
    is_authorizer: bool,
}

/// Names and values, in the order of the event.
pub(crate) type Parameters<'a> = Vec<(Text<'a>, Text<'a>)>;

/// The fields, and whether they come from `multiValueHeaders`.
#[derive(Debug, Default)]
struct Fields {
    map: HeaderMap,
    is_multi: bool,
}

/// `requestContext`.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
pub(crate) struct Context<'a> {
    #[serde(borrow)]
    pub(crate) path: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) stage: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) domain_name: Option<Text<'a>>,
    #[serde(borrow)]
    pub(crate) resource_path: Option<Text<'a>>,
    #[serde(borrow)]
    http_method: Option<Text<'a>>,
    #[serde(borrow)]
    request_id: Option<Text<'a>>,
    #[serde(borrow)]
    identity: Option<Client<'a>>,
    #[serde(borrow)]
    http: Option<Client<'a>>,
}

/// `identity` of payload 1.0, `http` of payload 2.0.
#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Client<'a> {
    #[serde(borrow)]
    method: Option<Text<'a>>,
    #[serde(borrow)]
    path: Option<Text<'a>>,
    #[serde(borrow)]
    source_ip: Option<Text<'a>>,
}

impl<'a> Members<'a> {
    /// Reads an event, whose text this is.
    pub(crate) fn read(event: &Bytes, text: &'a str) -> Result<Self, DecodeError> {
        let mut deserializer = serde_json::Deserializer::from_str(text);
        let members = MembersSeed { event }.deserialize(&mut deserializer).map_err(DecodeError::json)?;
        deserializer.end().map_err(DecodeError::json)?;
        // It has all members of a request, but no client waits for a response to it.
        if members.is_authorizer {
            return Err(DecodeError::Unsupported("a Lambda authorizer's, which is not an HTTP request to forward"));
        }
        Ok(members)
    }

    /// The path of payload 2.0 without its raw one.
    pub(crate) fn http_path(&mut self) -> Option<Text<'a>> {
        self.context.http.as_mut()?.path.take()
    }

    /// The query that the keys and values of the event make.
    pub(crate) fn query(&self, delivered: &Delivered) -> Query {
        let mut query = Query::default();
        for (key, value) in &self.query {
            query.append_escaped(delivered, &key.0, &value.0);
        }
        query
    }

    /// Returns whether the client contacted the API by a domain name of its owner.
    pub(crate) fn has_custom_domain(&self) -> bool {
        self.context.domain_name.as_ref().is_some_and(|name| !name.0.contains(".execute-api."))
    }

    /// Returns whether the event is a function URL's: its domain name, or without one the client's host, is that of one.
    pub(crate) fn is_of_function_url(&self) -> bool {
        let is_of_url = |name: &str| name.split('.').nth(1) == Some("lambda-url");
        match &self.context.domain_name {
            Some(name) => is_of_url(&name.0),
            None => self.fields.map.get(HOST).and_then(|host| host.to_str().ok()).is_some_and(is_of_url),
        }
    }

    /// The part of a path that is the stage, with a slash before it: only if the path has all of it and nothing else there.
    pub(crate) fn stage_prefix<'p>(&self, path: &'p str) -> &'p str {
        let stage = self.context.stage.as_ref().map_or("", |stage| &*stage.0);
        let rest = path.strip_prefix('/').and_then(|path| path.strip_prefix(stage));
        let rest = rest.filter(|rest| rest.is_empty() || rest.starts_with('/'));
        match (stage, rest) {
            ("" | "$default", _) | (_, None) => "",
            (_, Some(rest)) => path.strip_suffix(rest).unwrap_or_default(),
        }
    }

    /// Makes the event of a target and the other members. `base_path` is the part of the client's path that is not in the
    /// target.
    pub(crate) fn into_event(
        self,
        format: &'static Format,
        event: &Bytes,
        target: Target,
        base_path: String,
    ) -> Result<Event, DecodeError> {
        let Context { domain_name, http_method, request_id, identity, http, .. } = self.context;
        let (identity, http) = (identity.unwrap_or_default(), http.unwrap_or_default());
        let method = self.method.or(http_method).or(http.method).ok_or(DecodeError::Missing("method"))?;
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::from_bytes(method.0.as_bytes()).map_err(|_| DecodeError::Method("`method`"))?;
        *request.uri_mut() = target::join(target.path, &target.query)?;
        *request.headers_mut() = self.fields.map;
        let fields = request.headers_mut();
        set_cookies(fields, self.cookies.unwrap_or_default())?;
        if let Some(name) = domain_name
            && let Entry::Vacant(host) = fields.entry(HOST)
            && let Ok(name) = HeaderValue::from_str(&name.0)
        {
            host.insert(name);
        }
        read::set_content(&mut request, event, self.body, self.is_base64)?;
        let source_ip = identity.source_ip.or(http.source_ip);
        let front = Front {
            source_ip: source_ip.and_then(|address| address_of(&address.0)),
            base_path,
            request_id: request_id.map(|id| id.0.into_owned()).filter(|id| !id.is_empty()),
            ..Front::from_fields(format, request.headers())
        };
        Ok(Event { request, front })
    }
}

/// Path and query, escaped where they have to be.
pub(crate) struct Target {
    pub(crate) path: Bytes,
    pub(crate) query: Bytes,
}

impl Target {
    /// Escapes a path; one that does not begin with a slash gets it.
    pub(crate) fn new(path: Bytes, delivered: &Delivered, query: Bytes) -> Target {
        let path = if path.starts_with(b"/") { path } else { Bytes::from([b"/", &path[..]].concat()) };
        Target { path: delivered.escaped(path), query }
    }
}

/// The bytes of a text, or those of the rest of it once a prefix is cut off; shared with the event where they lie in it.
pub(crate) fn without_prefix(text: Text<'_>, prefix: usize, event: &Bytes) -> Bytes {
    let rest = match text.0 {
        Cow::Borrowed(text) => Cow::Borrowed(text.get(prefix..).unwrap_or_default()),
        Cow::Owned(text) => Cow::Owned(text.get(prefix..).unwrap_or_default().to_owned()),
    };
    Text(rest).into_bytes(event)
}

/// Payload 2.0 has each cookie apart, and with some front ends the field as well.
fn set_cookies(fields: &mut HeaderMap, cookies: Vec<Text<'_>>) -> Result<(), DecodeError> {
    let cookies: Vec<&str> = cookies.iter().map(|cookie| &*cookie.0).filter(|cookie| !cookie.is_empty()).collect();
    if !cookies.is_empty() {
        let value = HeaderValue::from_bytes(cookies.join("; ").as_bytes());
        let value = value.map_err(|_| DecodeError::Json("`cookies` has a control character".to_owned()))?;
        fields.insert(COOKIE, value);
    }
    Ok(())
}

/// `192.0.2.1`, `2001:db8::1`; AWS's own examples have `192.0.2.1/32`, and the console's tests a word.
fn address_of(text: &str) -> Option<IpAddr> {
    text.split('/').next()?.trim().parse().ok()
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
        let mut members = Members::default();
        while let Some(key) = map.next_key::<Text<'de>>()? {
            match &*key.0 {
                "version" => members.version = map.next_value()?,
                "httpMethod" | "method" => members.method = map.next_value()?,
                "path" | "raw_path" | "rawPath" => members.path = map.next_value()?,
                "rawQueryString" => members.raw_query = map.next_value()?,
                "resource" => members.resource = map.next_value()?,
                "body" => members.body = map.next_value()?,
                "isBase64Encoded" | "is_base64_encoded" => {
                    members.is_base64 = map.next_value::<Option<bool>>()?.unwrap_or(false);
                }
                "cookies" => members.cookies = map.next_value()?,
                "requestContext" => members.context = map.next_value::<Option<_>>()?.unwrap_or_default(),
                "pathParameters" => members.path_parameters = map.next_value_seed(Collect)?,
                name @ ("queryStringParameters" | "query_string_parameters" | "multiValueQueryStringParameters") => {
                    let query = map.next_value_seed(Collect)?;
                    // The last value of each key is in both.
                    if name == "multiValueQueryStringParameters" && !query.is_empty() || members.query.is_empty() {
                        members.query = query;
                    }
                }
                name @ ("headers" | "multiValueHeaders") => {
                    let is_multi = name == "multiValueHeaders";
                    let mut fields = HeaderMap::with_capacity(32);
                    let append =
                        |name: Text<'de>, value: Text<'de>| append_field(&mut fields, self.event, &name, value);
                    map.next_value_seed(Pairs { each: append, skips_null: true })?;
                    // Both families say the same, but only one has all values.
                    if !members.fields.is_multi && !fields.is_empty() {
                        members.fields = Fields { map: fields, is_multi };
                    }
                }
                "methodArn" | "routeArn" => members.is_authorizer |= map.next_value::<Option<IgnoredAny>>()?.is_some(),
                _ => {
                    map.next_value::<IgnoredAny>()?;
                }
            }
        }
        Ok(members)
    }
}

/// An object of strings, or of arrays of strings, as pairs.
struct Collect;

impl<'de> DeserializeSeed<'de> for Collect {
    type Value = Parameters<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
        let mut pairs = Vec::new();
        let each = |key: Text<'de>, value: Text<'de>| {
            pairs.push((key, value));
            Ok(())
        };
        Pairs { each, skips_null: true }.deserialize(deserializer)?;
        Ok(pairs)
    }
}
