//! A server before moto: it denies operations, since moto allows all, and answers for CloudWatch, since moto does not speak the protocol
//! of the SDK (`rpcv2Cbor`). Owns how a request names its operation.

use std::sync::{Arc, Mutex};

use crossfade_testkit::client::{self, Client};
use crossfade_testkit::server::{Call, response, serve};
use serde_json::{Value, json};

/// A request of the SDK, by its operation.
fn operation(call: &Call) -> String {
    let body = String::from_utf8_lossy(&call.body);
    if let Some(action) = body.split('&').find_map(|pair| pair.strip_prefix("Action=")) {
        return action.to_owned();
    }
    if let Some(target) = call.field("x-amz-target") {
        return target.rsplit('.').next().unwrap().to_owned();
    }
    let path = call.target().split('?').next().unwrap();
    match path.rsplit('/').next().unwrap() {
        "configuration" => "GetFunctionConfiguration",
        "concurrency" => "GetFunctionConcurrency",
        "policy" => "GetPolicy",
        "account-settings" => "GetAccountSettings",
        other => other,
    }
    .to_owned()
}

/// A server before moto, which allows everything and has no alarms for the SDK.
pub(crate) fn front(
    moto: &str,
    is_denied: fn(&str) -> bool,
    alarms: Arc<Mutex<Value>>,
    seen: Arc<Mutex<Vec<String>>>,
) -> String {
    let host = client::host(moto).to_owned();
    let address = serve(move |call| {
        let operation = operation(&call);
        seen.lock().unwrap().push(operation.clone());
        let is_cbor = call.field("smithy-protocol").is_some();
        if is_denied(&operation) {
            let error = json!({ "__type": "AccessDeniedException", "message": "no" });
            let body = match call.field("content-type") {
                _ if is_cbor => cbor(&error),
                Some(kind) if kind.contains("form-urlencoded") => {
                    b"<ErrorResponse><Error><Code>AccessDenied</Code><Message>no</Message></Error></ErrorResponse>"
                        .to_vec()
                }
                _ => error.to_string().into_bytes(),
            };
            let fields = [("x-amzn-errortype", "AccessDeniedException"), ("smithy-protocol", "rpc-v2-cbor")];
            return response("403 Forbidden", &fields, &body);
        }
        if is_cbor {
            let fields = [("content-type", "application/cbor"), ("smithy-protocol", "rpc-v2-cbor")];
            return response("200 OK", &fields, &cbor(&alarms.lock().unwrap()));
        }
        let mut request = format!("{}\r\n", call.line).into_bytes();
        for (name, value) in call.fields.iter().filter(|(name, _)| !name.eq_ignore_ascii_case("connection")) {
            request.extend_from_slice(format!("{name}: {value}\r\n").as_bytes());
        }
        request.extend_from_slice(b"connection: close\r\n\r\n");
        request.extend_from_slice(&call.body);
        let mut client = Client::connect(&*host);
        client.write(request);
        client.read_all()
    });
    format!("http://{address}")
}

/// The value in CBOR (RFC 8949, section 3): texts, lists, maps and booleans.
fn cbor(value: &Value) -> Vec<u8> {
    let head = |kind: u8, length: usize| match u8::try_from(length) {
        Ok(short @ 0..24) => vec![kind << 5 | short],
        Ok(byte) => vec![kind << 5 | 24, byte],
        Err(_) => [vec![kind << 5 | 25], u16::try_from(length).unwrap().to_be_bytes().to_vec()].concat(),
    };
    match value {
        Value::Bool(value) => vec![0xf4 + u8::from(*value)],
        Value::String(text) => [head(3, text.len()), text.clone().into_bytes()].concat(),
        Value::Array(items) => head(4, items.len()).into_iter().chain(items.iter().flat_map(cbor)).collect(),
        Value::Object(members) => {
            let members = members.iter().flat_map(|(name, member)| [cbor(&json!(name)), cbor(member)].concat());
            head(5, value.as_object().unwrap().len()).into_iter().chain(members).collect()
        }
        Value::Null | Value::Number(_) => panic!("no alarm needs it: {value}"),
    }
}
