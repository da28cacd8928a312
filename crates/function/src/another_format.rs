//! An event format that only this test knows: all that it takes is in this file. `proxy` and `function` carry its requests and
//! responses within its own limits, and with what its front end knows of the client.

use std::io::{Read, Write};
use std::net::{IpAddr, TcpListener};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crossfade_event::{DecodeError, Event, FORMATS, Format, Front, Undecodable};
use crossfade_journal::AccessRecord;
use crossfade_proxy::{Invocation, Proxy};
use crossfade_route::{Nothing, RoutingTable};
use http::Request;
use http::uri::Scheme;
use tokio::time::Instant;

use crate::invoke::{Answered, answer, decode};

/// `{"courier": "GET http://203.0.113.9:8080/prod /a?b"}`: method; scheme, client address, port and base path; target.
static COURIER: Format = Format {
    name: "courier",
    service: "the courier",
    prefix: "",
    recognizes: |shape| shape.has("courier"),
    decode: |event, _| read(event).map_err(|error| Undecodable { format: &COURIER, error }),
    encode: |response, out| {
        out.extend_from_slice(response.status().as_str().as_bytes());
        for (name, value) in response.headers() {
            out.extend_from_slice(format!("; {name}={}", value.to_str().unwrap()).as_bytes());
        }
        out.extend_from_slice(b"; ");
        out.extend_from_slice(response.body());
        Ok(())
    },
    prelude: None,
    max_response_bytes: 10,
};

fn read(event: &Bytes) -> Result<Event, DecodeError> {
    let invalid = || DecodeError::Json("not a courier's".to_owned());
    let event: serde_json::Value = serde_json::from_slice(event).map_err(|_| invalid())?;
    let words = event["courier"].as_str().ok_or_else(invalid)?;
    let [method, client, target] = words.split(' ').collect::<Vec<_>>().try_into().map_err(|_| invalid())?;
    let client: http::Uri = client.parse().map_err(|_| invalid())?;
    let mut request = Request::new(Bytes::new());
    *request.method_mut() = method.parse().map_err(|_| DecodeError::Method("`courier`"))?;
    *request.uri_mut() = target.parse().map_err(|_| invalid())?;
    let front = Front {
        scheme: client.scheme().cloned().unwrap_or(Scheme::HTTPS),
        source_ip: client.host().and_then(|host| host.parse::<IpAddr>().ok()),
        port: client.port_u16(),
        base_path: client.path().trim_end_matches('/').to_owned(),
        ..Front::new(&COURIER)
    };
    request.headers_mut().insert("host", http::HeaderValue::from_static("shop.example"));
    Ok(Event { request, front })
}

/// A back end that responds with so many bytes.
fn back_end(length: usize) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut connection, _) = listener.accept().unwrap();
        let _ = connection.read(&mut [0; 4096]);
        let content = "x".repeat(length);
        let _ = write!(connection, "HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{content}");
    });
    url
}

async fn asked(config: &str, event: &str) -> (String, AccessRecord<'static>) {
    let proxy = Proxy::new(RoutingTable::from_config(config, "", &Nothing).unwrap(), None, "test").unwrap();
    let formats = [FORMATS, &[&COURIER]].concat();
    let (request, front) = decode(&formats, &Bytes::copy_from_slice(event.as_bytes()));
    let started = Instant::now();
    let invocation = Invocation {
        front,
        request_id: "1".to_owned(),
        trace_id: None,
        trace: None,
        deployment: None,
        started,
        time: SystemTime::now(),
        deadline: started + Duration::from_secs(10),
        seed: 0,
    };
    let mut reply = Vec::new();
    let Answered { record, .. } = answer(&proxy, request, &invocation, &mut reply).await;
    let record = serde_json::from_str(&serde_json::to_string(&record).unwrap()).unwrap();
    (String::from_utf8(reply).unwrap(), record)
}

fn config(back_end: &str) -> String {
    format!(
        "{{version: 1, backends: {{b: {{url: '{back_end}'}}}}, default: {{forward: b}}, routes: [{{name: moved, \
         priority: 1, conditions: {{path: ['/old/*'], ip: [203.0.113.0/24]}}, redirect: {{path: '/new', status: 302}}}}]}}"
    )
}

#[tokio::test]
async fn the_client_is_the_one_that_the_front_end_knows() {
    let config = config("http://127.0.0.1:9");
    let (reply, record) = asked(&config, r#"{"courier": "GET http://203.0.113.9:8080/prod /old/1?q=1"}"#).await;
    assert_eq!(reply, "302; location=http://shop.example:8080/prod/new?q=1; ");
    assert_eq!(record.route.as_deref(), Some("moved"));
    let (_, record) = asked(&config, r#"{"courier": "GET http://198.51.100.9/ /old/1"}"#).await;
    assert_eq!(record.route.as_deref(), Some("default"));
}

#[tokio::test]
async fn a_response_has_to_fit_the_front_end_of_its_request() {
    let event = r#"{"courier": "GET https://203.0.113.9/ /"}"#;
    let (reply, _) = asked(&config(&back_end(10)), event).await;
    assert_eq!(reply, "200; xxxxxxxxxx");
    let (reply, record) = asked(&config(&back_end(11)), event).await;
    assert!(reply.starts_with("502; "), "{reply}");
    let detail = record.detail.unwrap();
    assert_eq!(
        detail,
        "the response is too large for the courier: more than 10 bytes of content; send it compressed, in pages, or past the proxy"
    );
}

#[tokio::test]
async fn errors_are_written_in_the_format_of_the_event() {
    let config = config("http://127.0.0.1:9");
    let (reply, _) = asked(&config, r#"{"courier": "nonsense"}"#).await;
    assert!(reply.starts_with("400; "), "{reply}");
    let (reply, _) = asked(&config, r#"{"requestContext": {"elb": {}}, "multiValueHeaders": {}}"#).await;
    assert!(reply.starts_with(r#"{"statusCode":400,"#) && reply.contains("multiValueHeaders"), "{reply}");
}

#[tokio::test]
async fn the_sender_of_an_event_that_is_no_request_reads_why() {
    let config = config("http://127.0.0.1:9");
    for (event, reason) in [
        (r#"{"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}}"#, "not an HTTP request from an"),
        (r#"{"requestContext": {"connectionId": "a", "eventType": "MESSAGE"}, "body": "x"}"#, "a WebSocket API's"),
        (
            r#"{"type": "REQUEST", "methodArn": "arn", "resource": "/", "httpMethod": "GET", "path": "/"}"#,
            "a Lambda authorizer's",
        ),
    ] {
        let (reply, record) = asked(&config, event).await;
        let reason = format!("unsupported event: {reason}");
        assert!(reply.starts_with(r#"{"statusCode":400,"#) && reply.contains(&reason), "{reply}");
        assert!(record.detail.unwrap().starts_with(&reason));
    }
}

#[tokio::test]
async fn each_front_end_gets_its_own_reply() {
    let config = config(&back_end(1));
    let context = r#""requestContext": {"http": {"method": "GET", "sourceIp": "203.0.113.9"}, "domainName": "a.b", "requestId": "i="}"#;
    let event = format!(r#"{{"rawPath": "/old/a b", "rawQueryString": "q=1", {context}}}"#);
    let (reply, record) = asked(&config, &event).await;
    assert!(reply.starts_with(r#"{"statusCode":302,"headers":{"location":"https://a.b/new?q=1"}"#), "{reply}");
    assert_eq!((record.route.as_deref(), record.front_request_id.as_deref()), (Some("moved"), Some("i=")));
    // A claim of the client, who is another one.
    let forged = event
        .replace("203.0.113.9", "198.51.100.9")
        .replace("{\"raw", r#"{"headers": {"x-forwarded-for": "203.0.113.9"}, "raw"#);
    let (reply, record) = asked(&config, &forged).await;
    assert!(reply.starts_with(r#"{"statusCode":200,"headers":{"content-type":"application/octet-stream"}"#), "{reply}");
    assert_eq!(record.route.as_deref(), Some("default"));
}
