//! Properties of every event and every reply: nothing is lost that ALB keeps, and nothing panics.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use bytes::Bytes;
use crossfade_event::alb::RequestLine;
use crossfade_event::{CONNECTION_FIELDS, FORMATS, HeaderMode, alb, decode_request, payload_1, payload_2};
use http::header::{HeaderMap, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};
use proptest::collection::vec;
use proptest::prelude::*;

fn mode() -> impl Strategy<Value = HeaderMode> {
    prop_oneof![Just(HeaderMode::Single), Just(HeaderMode::Multi)]
}

fn method() -> impl Strategy<Value = Method> {
    prop_oneof![Just(Method::GET), Just(Method::POST), Just(Method::DELETE), Just("REPORT".parse().unwrap())]
}

/// Field lines as HTTP allows them, UTF-8 as ALB's JSON demands, and none that ends with the connection or describes the content.
fn fields() -> impl Strategy<Value = HeaderMap> {
    let name = prop_oneof!["[a-z]{1,8}", "x-[a-z0-9_-]{1,6}", Just("cookie".to_owned()), Just("set-cookie".to_owned())];
    let value = "[ -~\u{e9}\u{1f600}]{0,20}";
    vec((name, value), 0..8).prop_map(|lines| {
        let line = |(name, value): (String, String)| {
            (HeaderName::from_bytes(name.as_bytes()).unwrap(), HeaderValue::from_str(&value).unwrap())
        };
        let mut fields = HeaderMap::new();
        let is_passed_on = |name: &str| !name.starts_with("content-") && !CONNECTION_FIELDS.contains(&name);
        for (name, value) in lines.into_iter().map(line).filter(|(name, _)| is_passed_on(name.as_str())) {
            fields.append(name, value);
        }
        fields
    })
}

/// Distinct keys, each with its values together: what ALB's maps can hold.
fn query() -> impl Strategy<Value = String> {
    let piece = "[a-zA-Z0-9%+;/?:@!$'()*,._~\\[\\]-]{0,8}";
    vec((piece, vec(piece, 1..3)), 0..5).prop_map(|groups| {
        let mut seen = std::collections::HashSet::new();
        let mut pieces = Vec::new();
        for (key, values) in groups.into_iter().filter(|(key, _)| seen.insert(key.clone())) {
            pieces.extend(values.into_iter().map(|value| format!("{key}={value}")));
        }
        pieces.join("&")
    })
}

fn response() -> impl Strategy<Value = Response<Bytes>> {
    (200u16..=599, fields(), vec(any::<u8>(), 0..300), 0usize..30).prop_map(|(status, fields, content, repeat)| {
        let mut response = Response::new(Bytes::from(content.repeat(repeat + 1)));
        *response.status_mut() = StatusCode::from_u16(status).unwrap();
        *response.headers_mut() = fields;
        response
    })
}

proptest! {
    #[test] // path, query, fields and body, byte for byte, in both modes
    fn a_request_survives_the_event(
        mode in mode(),
        method in method(),
        path in "/[a-zA-Z0-9%/.;@:\\\\]{0,20}",
        query in query(),
        mut fields in fields(),
        content_type in prop_oneof![Just(None), Just(Some("text/plain")), Just(Some("image/png")), Just(Some("application/json; charset=utf-8"))],
        text in "\\PC{0,40}",
    ) {
        if let Some(value) = content_type {
            fields.insert("content-type", HeaderValue::from_static(value));
        }
        let target = if query.is_empty() { path } else { format!("{path}?{query}") };
        let mut request = Request::new(());
        *request.method_mut() = method;
        *request.uri_mut() = target.parse().unwrap();
        *request.headers_mut() = fields;
        let (parts, ()) = request.into_parts();

        let event = alb::encode_request(mode, "arn", RequestLine::new(&parts.method, &parts.uri), &parts.headers, text.as_bytes()).unwrap();
        let event = decode_request(FORMATS, &Bytes::from(event)).unwrap();

        prop_assert_eq!(event.front.format.name, mode.format().name);
        prop_assert_eq!(event.request.method(), &parts.method);
        prop_assert_eq!(event.request.body(), text.as_bytes());
        for name in parts.headers.keys() {
            let sent: Vec<_> = parts.headers.get_all(name).iter().collect();
            let got: Vec<_> = event.request.headers().get_all(name).iter().collect();
            match mode {
                HeaderMode::Multi => prop_assert_eq!(got, sent),
                HeaderMode::Single => prop_assert_eq!(got, &sent[sent.len() - 1..]),
            }
        }
        prop_assert_eq!(event.request.headers().keys_len(), parts.headers.keys_len());
        if mode == HeaderMode::Multi {
            prop_assert_eq!(event.request.uri(), &parts.uri);
        } else {
            prop_assert_eq!(event.request.uri().path(), parts.uri.path());
        }
    }

    #[test] // binary content and several cookies, in both modes
    fn a_response_survives_the_reply(mode in mode(), response in response()) {
        let mut reply = b"kept".to_vec();
        (mode.format().encode)(&response, &mut reply).unwrap();
        prop_assert!(reply.starts_with(b"kept"));
        let reply = alb::decode_response(mode, &reply[4..]).unwrap().response;

        prop_assert_eq!(reply.status(), response.status());
        prop_assert_eq!(reply.body(), response.body());
        for name in response.headers().keys() {
            let sent: Vec<_> = response.headers().get_all(name).iter().map(HeaderValue::as_bytes).collect();
            let got: Vec<_> = reply.headers().get_all(name).iter().map(HeaderValue::as_bytes).collect();
            let letters = name.as_str().bytes().filter(u8::is_ascii_alphabetic).count();
            if mode == HeaderMode::Multi || sent.len() <= 1 << letters.min(12) {
                prop_assert_eq!(got, sent);
            } else {
                prop_assert_eq!(got.join(&b", "[..]), sent.join(&b", "[..]));
            }
        }
    }

    #[test] // a path that was decoded is one that decodes to the same
    fn a_decoded_path_is_restored(path in "/([a-zA-Z0-9 \"#<>?{}|\\\\^`/.~!$&'()*+,;=:@\\[\\]-]|\\PC){0,20}") {
        let event = serde_json::json!({ "rawPath": path, "requestContext": { "http": { "method": "GET" } } });
        let event = decode_request(FORMATS, &Bytes::from(event.to_string())).unwrap();
        let target = event.request.uri().to_string();
        prop_assert!(target.bytes().all(|byte| byte.is_ascii_graphic() && !b"\"#<>?{}|\\^`[]".contains(&byte)), "{}", target);
        // A `%` that looks like an escape stays.
        if !path.contains('%') {
            prop_assert_eq!(unescaped(&target), path.into_bytes());
        }
    }

    #[test] // parameters that were decoded are those that decode to the same, and no others
    fn decoded_parameters_are_restored(parameters in vec(("\\PC{0,8}", vec("\\PC{0,8}", 1..3)), 1..5)) {
        let map: serde_json::Map<_, _> = parameters.into_iter().map(|(key, values)| (key, values.into())).collect();
        let event = serde_json::json!({
            "resource": "/", "path": "/", "httpMethod": "GET", "multiValueQueryStringParameters": map,
        });
        let event = decode_request(FORMATS, &Bytes::from(event.to_string())).unwrap();
        let mut found = serde_json::Map::new();
        for piece in event.request.uri().query().unwrap().split('&') {
            let (key, value) = piece.split_once('=').unwrap();
            let [key, value] = [key, value].map(|text| String::from_utf8(unescaped(text)).unwrap());
            let values = found.entry(key).or_insert_with(|| serde_json::Value::Array(Vec::new()));
            values.as_array_mut().unwrap().push(value.into());
        }
        prop_assert_eq!(found, map);
    }

    #[test] // nothing but the form of content depends on the front end
    fn a_response_survives_every_reply(response in response()) {
        for format in [&payload_1::REST_API, &payload_1::HTTP_API, &payload_2::HTTP_API, &payload_2::FUNCTION_URL] {
            let mut reply = b"kept".to_vec();
            (format.encode)(&response, &mut reply).unwrap();
            prop_assert!(reply.starts_with(b"kept"));
            let reply: serde_json::Value = serde_json::from_slice(&reply[4..]).unwrap();
            prop_assert_eq!(&reply["statusCode"], response.status().as_u16());
            let body = reply["body"].as_str().unwrap();
            let body = match reply["isBase64Encoded"].as_bool().unwrap() {
                true => base64_simd::STANDARD.decode_to_vec(body).unwrap(),
                false => body.as_bytes().to_vec(),
            };
            prop_assert_eq!(&body, response.body());
            for name in response.headers().keys() {
                let sent = response.headers().get_all(name).iter().map(|value| String::from_utf8_lossy(value.as_bytes()));
                let sent: Vec<_> = sent.collect();
                let got = match (reply.get("multiValueHeaders"), name.as_str()) {
                    (Some(fields), name) => fields[name].clone(),
                    (None, "set-cookie") => reply["cookies"].clone(),
                    (None, name) => serde_json::json!([reply["headers"][name]]),
                };
                let joined = reply.get("multiValueHeaders").is_none() && name != "set-cookie";
                let expected = if joined { serde_json::json!([sent.join(", ")]) } else { serde_json::json!(sent) };
                prop_assert_eq!(got, expected);
            }
        }
    }

    #[test] // a panic would cost the environment
    fn no_event_panics(event in vec(any::<u8>(), 0..200)) {
        let _ = decode_request(FORMATS, &Bytes::from(event.clone()));
        let _ = alb::decode_response(HeaderMode::Single, &event);
        let _ = alb::decode_response(HeaderMode::Multi, &event);
    }

    #[test] // JSON with the right names and anything below them
    fn no_json_event_panics(
        method in json(), path in json(), query in json(), headers in json(), multi in json(), body in json(), flag in json(),
    ) {
        let event = format!(
            r#"{{"requestContext":{{"elb":{{}}}},"httpMethod":{method},"path":{path},"queryStringParameters":{query},
                "headers":{headers},"multiValueHeaders":{multi},"body":{body},"isBase64Encoded":{flag}}}"#
        );
        let _ = decode_request(FORMATS, &Bytes::from(event));
        for (first, context) in [
            (r#""resource":"/{proxy+}""#, format!(r#"{{"path":{path},"stage":{flag},"identity":{method}}}"#)),
            (r#""version":"1.0""#, format!(r#"{{"resourcePath":{path},"identity":{{"sourceIp":{flag}}}}}"#)),
            (r#""version":"2.0""#, format!(r#"{{"stage":{flag},"http":{{"method":{method},"path":{path}}}}}"#)),
            (r#""version":"2.0""#, format!(r#"{{"serviceArn":{flag},"targetGroupArn":1}}"#)),
            (r#""raw_path":"/""#, headers.clone()),
        ] {
            let event = format!(
                r#"{{{first},"requestContext":{context},"httpMethod":{method},"path":{path},"rawQueryString":{flag},
                    "pathParameters":{headers},"multiValueQueryStringParameters":{query},"headers":{headers},
                    "multiValueHeaders":{multi},"cookies":{multi},"body":{body},"is_base64_encoded":{flag}}}"#
            );
            if let Ok(event) = decode_request(FORMATS, &Bytes::from(event)) {
                prop_assert!(event.request.uri().path().starts_with('/'));
            }
        }
        let reply = format!(
            r#"{{"statusCode":{method},"statusDescription":{path},"headers":{headers},"multiValueHeaders":{multi},
                "body":{body},"isBase64Encoded":{flag}}}"#
        );
        let _ = alb::decode_response(HeaderMode::Single, reply.as_bytes());
        let _ = alb::decode_response(HeaderMode::Multi, reply.as_bytes());
    }
}

fn unescaped(text: &str) -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut rest = text.as_bytes();
    while let Some((&byte, tail)) = rest.split_first() {
        let is_escape = byte == b'%';
        bytes.push(if is_escape {
            u8::from_str_radix(std::str::from_utf8(&tail[..2]).unwrap(), 16).unwrap()
        } else {
            byte
        });
        rest = if is_escape { &tail[2..] } else { tail };
    }
    bytes
}

fn json() -> impl Strategy<Value = String> {
    let text = prop_oneof![
        "[a-z/%]{0,6}",
        Just("GET".to_owned()),
        Just("/".to_owned()),
        Just("\\r\\n".to_owned()),
        Just("\\ud800".to_owned())
    ];
    let scalar = prop_oneof![
        text.prop_map(|text| format!("\"{text}\"")),
        Just("null".to_owned()),
        Just("true".to_owned()),
        Just("200".to_owned()),
        Just("-1.5e300".to_owned()),
    ];
    scalar.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            vec(inner.clone(), 0..3).prop_map(|items| format!("[{}]", items.join(","))),
            vec(("[a-z]{0,4}", inner), 0..3).prop_map(|members| {
                let members: Vec<_> = members.into_iter().map(|(key, value)| format!("\"{key}\":{value}")).collect();
                format!("{{{}}}", members.join(","))
            }),
        ]
    })
}
