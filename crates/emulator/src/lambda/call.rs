//! The parts that all calls of Lambda's local APIs have in common: bodies, responses, rejections, error reports. Knows
//! no call.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body_util::Full;
use serde::Deserialize;

/// The largest response of a function that Lambda accepts, in bytes ("Lambda quotas": 6 MB; the exact number is in its
/// error message).
pub(super) const MAX_RESPONSE: usize = 6_291_556;
/// The longest description of an error, in characters; the rest is cut.
const LONGEST_ERROR: usize = 500;

/// An error response to a call: status, error type, message; worded like Lambda where its texts are known
/// (aws-lambda-runtime-interface-emulator).
pub(super) struct Rejection(pub(super) StatusCode, pub(super) &'static str, pub(super) String);

impl Rejection {
    pub(super) fn forbidden(kind: &'static str, message: impl Into<String>) -> Self {
        Self(StatusCode::FORBIDDEN, kind, message.into())
    }

    pub(super) fn no_such_call() -> Self {
        Self(StatusCode::NOT_FOUND, "NotFound", "no such call".to_owned())
    }

    pub(super) fn into_response(self) -> Response<Full<Bytes>> {
        let Self(status, kind, message) = self;
        let body = serde_json::json!({ "errorMessage": message, "errorType": kind });
        json(status, body.to_string().into())
    }
}

pub(super) fn json(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response
}

pub(super) fn accepted() -> Response<Full<Bytes>> {
    json(StatusCode::ACCEPTED, Bytes::from_static(br#"{"status":"OK"}"#))
}

/// The body of a call.
pub(super) enum Content {
    Whole(Bytes),
    TooLarge,
    CutOff,
}

/// Describes a reported error as `Type: message`, on one line; parts that are missing are left out. `field` names the
/// header field that can also have the type.
pub(super) fn describe_error(headers: &HeaderMap, field: &str, content: Content) -> String {
    #[derive(Default, Deserialize)]
    #[serde(default, rename_all = "camelCase")]
    struct Sent {
        error_message: String,
        error_type: String,
    }
    let body = match content {
        Content::Whole(bytes) => bytes,
        Content::TooLarge | Content::CutOff => Bytes::new(),
    };
    let sent: Sent = serde_json::from_slice(&body).unwrap_or_default();
    let header = headers.get(field).map(|kind| String::from_utf8_lossy(kind.as_bytes()).into_owned());
    let kind = if sent.error_type.is_empty() { header.unwrap_or_default() } else { sent.error_type };
    let text = match (kind.is_empty(), sent.error_message.is_empty()) {
        (false, false) => format!("{kind}: {}", sent.error_message),
        (false, true) => kind,
        (true, false) => sent.error_message,
        (true, true) if body.is_empty() => "no details given".to_owned(),
        (true, true) => String::from_utf8_lossy(&body).into_owned(),
    };
    let mut line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if let Some((cut, _)) = line.char_indices().nth(LONGEST_ERROR) {
        line.truncate(cut);
        line.push('…');
    }
    line
}
