//! WebSocket APIs of API Gateway: recognized, so that whoever connects such an API to the function is told that it cannot work.
//! Each message of a client is an event of its own there, and no back end speaks HTTP that could take it.

use crate::payload_1::REST_API;
use crate::{DecodeError, Format, Undecodable};

/// Events of a WebSocket API. Its replies have the members of payload 1.0.
pub static WEBSOCKET_API: Format = Format {
    name: "websocket-api",
    service: "the WebSocket API",
    prefix: "",
    recognizes: |shape| shape.context_has("connectionId"),
    decode: |_, _| {
        let error = DecodeError::Unsupported("a WebSocket API's, which only HTTP cannot be made of");
        Err(Undecodable { format: &WEBSOCKET_API, error })
    },
    encode: REST_API.encode,
    prelude: None,
    max_response_bytes: REST_API.max_response_bytes,
};
