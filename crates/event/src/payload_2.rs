//! Payload format 2.0: API Gateway's HTTP APIs and Lambda function URLs.
//!
//! A function URL delivers the path as the client sent it. An HTTP API decodes it, some escapes even twice: `%2F` has become
//! a slash, `%3F` has ended the path, and no one can tell; all other bytes that a path cannot have are encoded again. The
//! query is as the client sent it. Values of one field are joined by commas, but each cookie stands apart, in both
//! directions.
//!
//! Source: API Gateway developer guide, "Create AWS Lambda proxy integrations for HTTP APIs"; Lambda developer guide,
//! "Invoking Lambda function URLs"; where they are silent, what AWS was seen to do.

use bytes::Bytes;
use http::header::{HeaderMap, HeaderValue, SET_COOKIE};

use crate::content::Form;
use crate::gateway::{Members, Target, without_prefix};
use crate::json::{write_field_value, write_string};
use crate::reply::{Layout, MAX_LAMBDA_RESPONSE, write_values};
use crate::target::{DECODED_PARAMETER, DECODED_PATH, ENCODED_PATH, ENCODED_QUERY};
use crate::{DecodeError, Event, Format, Undecodable};

/// An HTTP API. It recognizes and reads the events of function URLs as well, which have the same members.
pub static HTTP_API: Format = Format {
    name: "http-api",
    service: HTTP_LAYOUT.service,
    prefix: r#"{"version":"2.0","routeKey":""#,
    recognizes: |shape| shape.has("rawPath") || shape.context_has("http"),
    decode: |event, text| read(event, text).map_err(|error| Undecodable { format: &HTTP_API, error }),
    encode: |response, out| HTTP_LAYOUT.encode(response, out),
    prelude: None,
    // Plain text takes at least its own length in the reply.
    max_response_bytes: MAX_LAMBDA_RESPONSE,
};

/// A function URL.
pub static FUNCTION_URL: Format = Format {
    name: "function-url",
    service: URL_LAYOUT.service,
    prefix: "",
    recognizes: |_| false,
    decode: HTTP_API.decode,
    encode: |response, out| URL_LAYOUT.encode(response, out),
    prelude: Some(|parts, out| URL_LAYOUT.encode_prelude(parts, out)),
    max_response_bytes: MAX_LAMBDA_RESPONSE,
};

const HTTP_LAYOUT: Layout = Layout { service: "the HTTP API", form: Form::Cheapest, fields: write_fields };

const URL_LAYOUT: Layout = Layout { service: "the function URL", ..HTTP_LAYOUT };

fn read(event: &Bytes, text: &str) -> Result<Event, DecodeError> {
    let mut members = Members::read(event, text)?;
    let path = members.path.take().or_else(|| members.http_path()).ok_or(DecodeError::Missing("rawPath"))?;
    let query = match members.raw_query.take() {
        Some(query) => ENCODED_QUERY.escaped(query.into_bytes(event)),
        None => members.query(&DECODED_PARAMETER).0.freeze(),
    };
    if members.is_of_function_url() {
        let target = Target::new(path.into_bytes(event), &ENCODED_PATH, query);
        return members.into_event(&FUNCTION_URL, event, target, String::new());
    }
    // The path has the stage, but through a custom domain the client's has the base path of the mapping in its place, which no
    // member says.
    let stage = members.stage_prefix(&path.0).to_owned();
    let target = Target::new(without_prefix(path, stage.len(), event), &DECODED_PATH, query);
    let base_path = if members.has_custom_domain() { String::new() } else { stage };
    members.into_event(&HTTP_API, event, target, base_path)
}

/// `headers`, with the values of each name in one, and `cookies`. Both in one would send cookies twice, and
/// `multiValueHeaders` beside `cookies` is an error.
fn write_fields(out: &mut Vec<u8>, fields: &HeaderMap) {
    out.extend_from_slice(br#""headers":{"#);
    let mut is_first = true;
    for name in fields.keys().filter(|name| **name != SET_COOKIE) {
        if !std::mem::take(&mut is_first) {
            out.push(b',');
        }
        write_string(out, name.as_str());
        out.push(b':');
        let mut values = fields.get_all(name).iter().map(HeaderValue::as_bytes);
        match (values.next(), values.next()) {
            (Some(only), None) => write_field_value(out, only),
            _ => {
                let values: Vec<&[u8]> = fields.get_all(name).iter().map(HeaderValue::as_bytes).collect();
                write_field_value(out, &values.join(&b", "[..]));
            }
        }
    }
    out.push(b'}');
    if fields.contains_key(SET_COOKIE) {
        out.extend_from_slice(br#","cookies":"#);
        write_values(out, fields.get_all(SET_COOKIE).iter());
    }
}
