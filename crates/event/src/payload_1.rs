//! Payload format 1.0: API Gateway's REST APIs, and HTTP APIs that ask for it.
//!
//! The path is as the client sent it (sources disagree about HTTP APIs). The query is decoded, so its keys and values are
//! encoded again. `multiValueHeaders` has all values of each field, in both directions.
//!
//! Source: API Gateway developer guide, "Set up Lambda proxy integrations" and "Create AWS Lambda proxy integrations for HTTP
//! APIs"; where they are silent, what AWS was seen to do.

use bytes::Bytes;

use crate::content::Form;
use crate::gateway::{Members, Target, without_prefix};
use crate::reader::Text;
use crate::reply::{Layout, MAX_LAMBDA_RESPONSE, write_multi_fields};
use crate::target::{DECODED_PARAMETER, DECODED_PATH, ENCODED_PATH};
use crate::{DecodeError, Event, Format, Undecodable};

/// A REST API. It recognizes and reads the events of both kinds of API.
pub static REST_API: Format = Format {
    name: "rest-api",
    service: REST_LAYOUT.service,
    prefix: r#"{"resource":"/"#,
    recognizes: |shape| shape.has("resource") || shape.context_has("resourcePath"),
    decode: |event, text| decode(event, text, &REST_API),
    encode: |response, out| REST_LAYOUT.encode(response, out),
    prelude: Some(|parts, out| REST_LAYOUT.encode_prelude(parts, out)),
    // Plain text takes at least its own length in the reply.
    max_response_bytes: MAX_LAMBDA_RESPONSE,
};

/// An HTTP API with payload format 1.0.
pub static HTTP_API: Format = Format {
    name: "http-api-1.0",
    service: HTTP_LAYOUT.service,
    prefix: r#"{"version":"1.0","resource":""#,
    recognizes: REST_API.recognizes,
    decode: |event, text| decode(event, text, &HTTP_API),
    encode: |response, out| HTTP_LAYOUT.encode(response, out),
    prelude: None,
    max_response_bytes: MAX_LAMBDA_RESPONSE,
};

/// An API that has no `binaryMediaTypes` hands base64 on as it is.
const REST_LAYOUT: Layout = Layout { service: "the REST API", form: Form::Text, fields: write_multi_fields };

const HTTP_LAYOUT: Layout = Layout { service: "the HTTP API", form: Form::Cheapest, fields: write_multi_fields };

fn decode(event: &Bytes, text: &str, format: &'static Format) -> Result<Event, Undecodable> {
    read(event, text).map_err(|error| Undecodable { format, error })
}

fn read(event: &Bytes, text: &str) -> Result<Event, DecodeError> {
    let mut members = Members::read(event, text)?;
    let is_http_api = members.version.as_ref().is_some_and(|version| version.0 == "1.0");
    let path = members.path.take().or_else(|| members.context.path.take()).ok_or(DecodeError::Missing("path"))?;
    let (base_path, kept) = base_path(&members, &path.0);
    let (format, delivered) = if is_http_api { (&HTTP_API, &DECODED_PATH) } else { (&REST_API, &ENCODED_PATH) };
    let query = members.query(&DECODED_PARAMETER).0.freeze();
    let target = Target::new(without_prefix(path, kept, event), delivered, query);
    members.into_event(format, event, target, base_path)
}

/// Returns the client's path up to the API's, and the length of it that `path` has as well.
///
/// Through the API's own domain the client's path begins with the stage, which `path` lacks (REST) or has (HTTP). Through a
/// custom domain it begins with the base path of the mapping, which `path` has as well.
fn base_path(members: &Members<'_>, path: &str) -> (String, usize) {
    let full = members.context.path.as_ref().map_or("", |full| &*full.0);
    // The root of an API is `/prod` without a slash as well.
    let base = if path == "/" { full.trim_end_matches('/') } else { full.strip_suffix(path).unwrap_or_default() };
    if is_base(base) {
        return (base.to_owned(), 0);
    }
    let resource = members.resource.as_ref().or(members.context.resource_path.as_ref());
    let own = resource.and_then(|resource| expanded(&resource.0, &members.path_parameters));
    let mapped = own.and_then(|own| path.trim_end_matches('/').strip_suffix(own.trim_end_matches('/')));
    let base = mapped.filter(|base| is_base(base)).unwrap_or_else(|| members.stage_prefix(path));
    (base.to_owned(), base.len())
}

/// Returns whether a text is one or more segments with a slash before each.
fn is_base(text: &str) -> bool {
    text.starts_with('/') && !text.ends_with('/')
}

/// The path that a resource such as `/orders/{id}` or `/{proxy+}` stands for; `None` if a parameter is missing.
fn expanded(resource: &str, parameters: &[(Text<'_>, Text<'_>)]) -> Option<String> {
    let mut path = String::new();
    for segment in resource.strip_prefix('/')?.split('/') {
        path.push('/');
        match segment.strip_prefix('{').and_then(|name| name.strip_suffix('}')) {
            Some(name) => {
                let name = name.strip_suffix('+').unwrap_or(name);
                path.push_str(&parameters.iter().find(|(known, _)| known.0 == name)?.1.0);
            }
            None => path.push_str(segment),
        }
    }
    Some(path)
}
