//! The members of events that API Gateway, function URLs and VPC Lattice send: under one roof, since they are spelled
//! differently and mean the same. Reads them; what they say of a request is up to the formats.

use std::borrow::Cow;
use std::net::IpAddr;

use bytes::Bytes;
use http::header::{COOKIE, Entry, HOST, HeaderMap, HeaderValue};
use http::{Method, Request};

use crate::read;
use crate::reader::{Reader, Text};
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
    cookies: Vec<Text<'a>>,
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
#[derive(Debug, Default)]
pub(crate) struct Context<'a> {
    pub(crate) path: Option<Text<'a>>,
    pub(crate) stage: Option<Text<'a>>,
    pub(crate) domain_name: Option<Text<'a>>,
    pub(crate) resource_path: Option<Text<'a>>,
    http_method: Option<Text<'a>>,
    request_id: Option<Text<'a>>,
    identity: Client<'a>,
    http: Client<'a>,
}

/// `identity` of payload 1.0, `http` of payload 2.0.
#[derive(Debug, Default)]
struct Client<'a> {
    method: Option<Text<'a>>,
    path: Option<Text<'a>>,
    source_ip: Option<Text<'a>>,
}

impl<'a> Members<'a> {
    /// Reads an event, whose text this is.
    pub(crate) fn read(event: &Bytes, text: &'a str) -> Result<Self, DecodeError> {
        let mut members = Members::default();
        let mut reader = Reader::new(text);
        let is_object = reader.object(|reader, name| members.take(reader, &name.0, event))?;
        reader.end()?;
        if !is_object {
            return Err(reader.problem("it is not an object"));
        }
        // It has all members of a request, but no client waits for a response to it.
        if members.is_authorizer {
            return Err(DecodeError::Unsupported("a Lambda authorizer's, which is not an HTTP request to forward"));
        }
        Ok(members)
    }

    fn take(&mut self, reader: &mut Reader<'a>, name: &str, event: &Bytes) -> Result<(), DecodeError> {
        match name {
            "version" => self.version = reader.optional_string()?,
            "httpMethod" | "method" => self.method = reader.optional_string()?,
            "path" | "raw_path" | "rawPath" => self.path = reader.optional_string()?,
            "rawQueryString" => self.raw_query = reader.optional_string()?,
            "resource" => self.resource = reader.optional_string()?,
            "body" => self.body = reader.optional_string()?,
            "isBase64Encoded" | "is_base64_encoded" => self.is_base64 = reader.flag()?,
            "cookies" => {
                self.cookies.clear();
                if !reader.takes_null()? {
                    reader.array(|reader| {
                        self.cookies.push(reader.string()?);
                        Ok(())
                    })?;
                }
            }
            "requestContext" => self.context = Context::read(reader)?,
            "pathParameters" => self.path_parameters = parameters(reader)?,
            "queryStringParameters" | "query_string_parameters" | "multiValueQueryStringParameters" => {
                let query = parameters(reader)?;
                // The last value of each key is in both.
                if name == "multiValueQueryStringParameters" && !query.is_empty() || self.query.is_empty() {
                    self.query = query;
                }
            }
            "headers" | "multiValueHeaders" => {
                let fields = read::fields(reader, true, event)?.unwrap_or_default();
                // Both families say the same, but only one has all values.
                if !self.fields.is_multi && !fields.is_empty() {
                    self.fields = Fields { map: fields, is_multi: name == "multiValueHeaders" };
                }
            }
            "methodArn" | "routeArn" => self.is_authorizer |= reader.skip()?,
            _ => {
                reader.skip()?;
            }
        }
        Ok(())
    }

    /// The path of payload 2.0 without its raw one.
    pub(crate) fn http_path(&mut self) -> Option<Text<'a>> {
        self.context.http.path.take()
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
        let method = self.method.or(http_method).or(http.method).ok_or(DecodeError::Missing("method"))?;
        let mut request = Request::new(Bytes::new());
        *request.method_mut() = Method::from_bytes(method.0.as_bytes()).map_err(|_| DecodeError::Method("`method`"))?;
        *request.uri_mut() = target::join(target.path, &target.query)?;
        *request.headers_mut() = self.fields.map;
        let fields = request.headers_mut();
        set_cookies(fields, self.cookies)?;
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

impl<'a> Context<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut context = Context::default();
        reader.object(|reader, name| {
            match &*name.0 {
                "path" => context.path = reader.optional_string()?,
                "stage" => context.stage = reader.optional_string()?,
                "domainName" => context.domain_name = reader.optional_string()?,
                "resourcePath" => context.resource_path = reader.optional_string()?,
                "httpMethod" => context.http_method = reader.optional_string()?,
                "requestId" => context.request_id = reader.optional_string()?,
                "identity" => context.identity = Client::read(reader)?,
                "http" => context.http = Client::read(reader)?,
                _ => {
                    reader.skip()?;
                }
            }
            Ok(())
        })?;
        Ok(context)
    }
}

impl<'a> Client<'a> {
    fn read(reader: &mut Reader<'a>) -> Result<Self, DecodeError> {
        let mut client = Client::default();
        reader.object(|reader, name| {
            match &*name.0 {
                "method" => client.method = reader.optional_string()?,
                "path" => client.path = reader.optional_string()?,
                "sourceIp" => client.source_ip = reader.optional_string()?,
                _ => {
                    reader.skip()?;
                }
            }
            Ok(())
        })?;
        Ok(client)
    }
}

/// An object of strings, or of arrays of strings, as pairs.
fn parameters<'a>(reader: &mut Reader<'a>) -> Result<Parameters<'a>, DecodeError> {
    let mut pairs = Vec::new();
    read::pairs(reader, true, |key, value| {
        pairs.push((key, value));
        Ok(())
    })?;
    Ok(pairs)
}
