//! The beginning of a streamed reply: status and fields as JSON, then eight zero bytes, then the content as it is.
//!
//! Sources: Lambda developer guide, "Response streaming for Lambda functions"; API Gateway developer guide, "Set up a Lambda
//! proxy integration with payload response streaming". Formats whose service takes such replies name one of these functions
//! as their [`crate::Format::prelude`].

use std::io::Write;

use http::header::{HeaderMap, SET_COOKIE};
use http::response::Parts;

use crate::EncodeError;
use crate::json::{write_field_value, write_string};

/// `Content-Type` of such a reply.
pub const CONTENT_TYPE: &str = "application/vnd.awslambda.http-integration-response";

/// The bytes between fields and content.
pub const DELIMITER: [u8; 8] = [0; 8];

/// The bytes in which API Gateway looks for the end of the delimiter.
const MAX_REST: usize = 16 * 1024;

/// For a Function URL: one string for each name, in `headers`; cookies apart, since they cannot be joined (RFC 9110 section 5.3).
///
/// # Errors
///
/// None: Lambda names no limit.
pub fn function_url(parts: &Parts, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    begin(parts, out);
    out.extend_from_slice(br#","headers":{"#);
    let names = parts.headers.keys().filter(|name| **name != SET_COOKIE);
    separated(out, names, |out, name| {
        write_string(out, name.as_str());
        out.push(b':');
        let values: Vec<&[u8]> = parts.headers.get_all(name).iter().map(|value| value.as_bytes()).collect();
        write_field_value(out, &values.join(&b", "[..]));
    });
    out.push(b'}');
    if parts.headers.contains_key(SET_COOKIE) {
        out.extend_from_slice(br#","cookies":"#);
        write_values(out, &parts.headers, SET_COOKIE.as_str());
    }
    end(out);
    Ok(())
}

/// For a REST API: all values of each name, in `multiValueHeaders`.
///
/// # Errors
///
/// [`EncodeError::FieldsTooLarge`] if API Gateway would not find the delimiter.
pub fn rest_api(parts: &Parts, out: &mut Vec<u8>) -> Result<(), EncodeError> {
    let start = out.len();
    begin(parts, out);
    out.extend_from_slice(br#","multiValueHeaders":{"#);
    separated(out, parts.headers.keys(), |out, name| {
        write_string(out, name.as_str());
        out.push(b':');
        write_values(out, &parts.headers, name.as_str());
    });
    out.push(b'}');
    end(out);
    let size = out.len().saturating_sub(start);
    if size > MAX_REST {
        out.truncate(start);
        return Err(EncodeError::FieldsTooLarge { service: "API Gateway", size, limit: MAX_REST });
    }
    Ok(())
}

fn begin(parts: &Parts, out: &mut Vec<u8>) {
    // A `Vec` takes every write.
    let _ = write!(out, r#"{{"statusCode":{}"#, parts.status.as_u16());
}

fn end(out: &mut Vec<u8>) {
    out.push(b'}');
    out.extend_from_slice(&DELIMITER);
}

fn write_values(out: &mut Vec<u8>, fields: &HeaderMap, name: &str) {
    out.push(b'[');
    separated(out, fields.get_all(name).iter(), |out, value| write_field_value(out, value.as_bytes()));
    out.push(b']');
}

/// Writes items with commas between them.
fn separated<T>(out: &mut Vec<u8>, items: impl Iterator<Item = T>, write: impl Fn(&mut Vec<u8>, T)) {
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write(out, item);
    }
}

#[cfg(test)]
mod tests {
    use http::Response;

    use super::*;

    fn parts(fields: &[(&'static str, &str)]) -> Parts {
        let mut response = Response::builder().status(201);
        for (name, value) in fields {
            response = response.header(*name, value.as_bytes());
        }
        response.body(()).unwrap().into_parts().0
    }

    #[test]
    fn fields_are_in_the_family_that_the_service_reads() {
        let response =
            parts(&[("set-cookie", "a=1"), ("vary", "accept"), ("set-cookie", "b=\"2\""), ("vary", "origin")]);
        for (prelude, expected) in [
            (
                function_url as crate::Prelude,
                r#"{"statusCode":201,"headers":{"vary":"accept, origin"},"cookies":["a=1","b=\"2\""]}"#,
            ),
            (
                rest_api,
                r#"{"statusCode":201,"multiValueHeaders":{"set-cookie":["a=1","b=\"2\""],"vary":["accept","origin"]}}"#,
            ),
        ] {
            let mut out = b"before".to_vec();
            prelude(&response, &mut out).unwrap();
            assert_eq!(out, [b"before", expected.as_bytes(), &[0; 8]].concat(), "{}", out.escape_ascii());
        }
    }

    #[test]
    fn without_fields_and_with_bytes_that_are_not_utf8() {
        let mut out = Vec::new();
        function_url(&parts(&[]), &mut out).unwrap();
        assert_eq!(out, b"{\"statusCode\":201,\"headers\":{}}\0\0\0\0\0\0\0\0");
        let mut response = parts(&[]);
        response.headers.insert("x", http::HeaderValue::from_bytes(b"\xe9").unwrap());
        out.clear();
        rest_api(&response, &mut out).unwrap();
        assert_eq!(out, "{\"statusCode\":201,\"multiValueHeaders\":{\"x\":[\"é\"]}}\0\0\0\0\0\0\0\0".as_bytes());
    }

    #[test]
    fn api_gateway_has_a_limit() {
        let mut out = b"before".to_vec();
        let large = "x".repeat(MAX_REST);
        let size = MAX_REST + r#"{"statusCode":201,"multiValueHeaders":{"a":[""]}}"#.len() + DELIMITER.len();
        let error = EncodeError::FieldsTooLarge { service: "API Gateway", size, limit: MAX_REST };
        assert_eq!(rest_api(&parts(&[("a", &large)]), &mut out), Err(error));
        assert_eq!(out, b"before");
        assert_eq!(function_url(&parts(&[("a", &large)]), &mut out), Ok(()));
    }
}
