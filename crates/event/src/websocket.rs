//! WebSocket APIs of API Gateway: recognized, so that a developer who connects such an API to the function reads the reason
//! why it fails. Such an API sends each message of a client as an event, and none of them is an HTTP request.

use crate::payload_1::REST_API;
use crate::{DecodeError, Format, Undecodable};

/// Events of a WebSocket API. Its replies have the members of payload 1.0.
pub static WEBSOCKET_API: Format = Format {
    name: "websocket-api",
    service: "the WebSocket API",
    prefix: "",
    recognizes: |shape| shape.context_has("connectionId"),
    decode: |_, _| {
        let error = DecodeError::Unsupported(
            "a WebSocket API's, which has no HTTP requests to forward; use an HTTP API or a REST API",
        );
        Err(Undecodable { format: &WEBSOCKET_API, error })
    },
    encode: REST_API.encode,
    prelude: None,
    max_response_bytes: REST_API.max_response_bytes,
};
