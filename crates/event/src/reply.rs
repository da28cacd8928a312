//! Replies: the pieces that formats share, and whole replies to API Gateway and function URLs. Which fields a reply has where
//! is up to its format.

use std::borrow::Cow;
use std::io::Write;

use bytes::Bytes;
use http::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use http::{Response, StatusCode, response};

use crate::EncodeError;
use crate::content::{self, Form};
use crate::json::{write_field_value, write_string};

/// A reply's JSON, bytes; above it Lambda rejects the reply, whoever has invoked the function (Lambda guide, "Lambda
/// quotas").
pub(crate) const MAX_LAMBDA_RESPONSE: usize = 6 * 1024 * 1024;

/// The beginning of a streamed reply in which its head must end, bytes (API Gateway guide, "Set up a Lambda proxy integration
/// with payload response streaming").
const MAX_PRELUDE: usize = 16 * 1024;

/// Ends the head of a streamed reply (Lambda guide, "Building a custom runtime").
const END_OF_PRELUDE: [u8; 8] = [0; 8];

/// A way to write replies of a status, fields and content, and nothing else: API Gateway rejects members that it does not know.
pub(crate) struct Layout {
    pub(crate) service: &'static str,
    pub(crate) form: Form,
    /// Appends members with all fields.
    pub(crate) fields: fn(&mut Vec<u8>, &HeaderMap),
}

impl Layout {
    /// Appends a whole reply. Content without a type gets the one that its recipient may assume (RFC 9110 section 8.3):
    /// otherwise API Gateway says that it is JSON or text.
    pub(crate) fn encode(&self, response: &Response<Bytes>, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        const IS_BASE64: &[u8] = br#","isBase64Encoded":true}"#;
        const IS_TEXT: &[u8] = br#","isBase64Encoded":false}"#;
        let start = out.len();
        let mut fields = Cow::Borrowed(response.headers());
        if !response.body().is_empty() && !fields.contains_key(CONTENT_TYPE) {
            fields.to_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/octet-stream"));
        }
        out.reserve(256 + size_of_fields(&fields) + response.body().len() * 4 / 3);
        self.head(response.status(), &fields, out);
        out.extend_from_slice(br#","body":"#);
        let envelope = out.len() - start + IS_TEXT.len();
        match content::write(out, response.body(), MAX_LAMBDA_RESPONSE.saturating_sub(envelope), self.form) {
            Ok(is_base64) => {
                out.extend_from_slice(if is_base64 { IS_BASE64 } else { IS_TEXT });
                Ok(())
            }
            Err(size) => {
                out.truncate(start);
                let (service, size) = (self.service, envelope + size);
                Err(EncodeError::TooLarge { service, size, limit: MAX_LAMBDA_RESPONSE })
            }
        }
    }

    /// Appends the beginning of a streamed reply: all that comes before the content.
    pub(crate) fn encode_prelude(&self, parts: &response::Parts, out: &mut Vec<u8>) -> Result<(), EncodeError> {
        let start = out.len();
        self.head(parts.status, &parts.headers, out);
        out.push(b'}');
        out.extend_from_slice(&END_OF_PRELUDE);
        let size = out.len() - start;
        if size > MAX_PRELUDE {
            out.truncate(start);
            return Err(EncodeError::FieldsTooLarge { service: self.service, size, limit: MAX_PRELUDE });
        }
        Ok(())
    }

    fn head(&self, status: StatusCode, fields: &HeaderMap, out: &mut Vec<u8>) {
        // A `Vec` takes every write.
        let _ = write!(out, r#"{{"statusCode":{},"#, status.as_u16());
        (self.fields)(out, fields);
    }
}

/// Bytes of all fields in HTTP/1.1.
pub(crate) fn size_of_fields(fields: &HeaderMap) -> usize {
    fields.iter().map(|(name, value)| name.as_str().len() + value.len() + ": \r\n".len()).sum()
}

/// `multiValueHeaders`: an array of values for each name.
pub(crate) fn write_multi_fields(out: &mut Vec<u8>, fields: &HeaderMap) {
    out.extend_from_slice(br#""multiValueHeaders":{"#);
    for (index, name) in fields.keys().enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_string(out, name.as_str());
        out.push(b':');
        write_values(out, fields.get_all(name).iter());
    }
    out.push(b'}');
}

/// Field values as an array.
pub(crate) fn write_values<'v>(out: &mut Vec<u8>, values: impl Iterator<Item = &'v HeaderValue>) {
    out.push(b'[');
    for (index, value) in values.enumerate() {
        if index > 0 {
            out.push(b',');
        }
        write_field_value(out, value.as_bytes());
    }
    out.push(b']');
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{payload_1, payload_2};

    #[test]
    fn the_head_of_a_streamed_reply_ends_in_eight_zeros() {
        let mut response = Response::new(());
        for (name, value) in [("content-type", "text/event-stream"), ("set-cookie", "a=1"), ("set-cookie", "b=2")] {
            response.headers_mut().append(name, value.parse().unwrap());
        }
        let (parts, ()) = response.into_parts();
        for (format, expected) in [
            (
                &payload_1::REST_API,
                r#"{"statusCode":200,"multiValueHeaders":{"content-type":["text/event-stream"],"set-cookie":["a=1","b=2"]}}"#,
            ),
            (
                &payload_2::FUNCTION_URL,
                r#"{"statusCode":200,"headers":{"content-type":"text/event-stream"},"cookies":["a=1","b=2"]}"#,
            ),
        ] {
            let mut out = b"kept".to_vec();
            format.prelude.unwrap()(&parts, &mut out).unwrap();
            assert_eq!(out, format!("kept{expected}\0\0\0\0\0\0\0\0").into_bytes());
        }
    }

    #[test]
    fn a_head_that_no_front_end_finds_the_end_of_is_an_error() {
        let (mut parts, ()) = Response::new(()).into_parts();
        parts.headers.insert("x-a", "a".repeat(MAX_PRELUDE).parse().unwrap());
        let mut out = b"kept".to_vec();
        let error = payload_2::FUNCTION_URL.prelude.unwrap()(&parts, &mut out).unwrap_err();
        assert!(error.to_string().starts_with("the response fields are too large for the function URL"), "{error}");
        assert_eq!(out, b"kept");
    }

    #[test]
    fn a_reply_has_to_fit_lambda() {
        for format in [&payload_1::REST_API, &payload_1::HTTP_API, &payload_2::HTTP_API, &payload_2::FUNCTION_URL] {
            let mut out = Vec::new();
            let text = Bytes::from(vec![b'a'; MAX_LAMBDA_RESPONSE - 200]);
            (format.encode)(&Response::new(text.clone()), &mut out).unwrap();
            assert!(out.ends_with(br#""isBase64Encoded":false}"#) && out.len() <= MAX_LAMBDA_RESPONSE, "{format:?}");
            out.clear();
            let binary = Bytes::from(vec![0xFF; MAX_LAMBDA_RESPONSE * 3 / 4]);
            let error = (format.encode)(&Response::new(binary), &mut out).unwrap_err();
            assert!(error.to_string().contains("6291456 are allowed") && out.is_empty(), "{error}");
        }
    }
}
