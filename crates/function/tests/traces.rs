//! Traces: the fields that back ends get, the subsegments that X-Ray's daemon gets, and the ids in the log. The real process runs
//! between a Runtime API, back ends, and a UDP socket in the daemon's place.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::collections::HashSet;
use std::net::{SocketAddr, UdpSocket};
use std::sync::{Arc, Mutex};
use std::time::{SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use support::{Call, Folder, Function, PATIENCE, event, response, serve};

const ROOT: &str = "1-5759e988-bd862e3fe1be46a994272793";
const SEGMENT: &str = "53995c3f42cd8ad8";
const SAMPLED: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=1;Lineage=1:0a7b:0";
const UNSAMPLED: &str = "Root=1-5759e988-bd862e3fe1be46a994272793;Parent=53995c3f42cd8ad8;Sampled=0";
/// The W3C form of the root.
const W3C_ROOT: &str = "5759e988bd862e3fe1be46a994272793";

/// The daemon's socket.
struct Daemon(UdpSocket);

impl Daemon {
    fn start() -> Daemon {
        let socket = UdpSocket::bind("127.0.0.1:0").unwrap();
        socket.set_read_timeout(Some(PATIENCE)).unwrap();
        Daemon(socket)
    }

    /// With the address for TCP, where nothing is sent.
    fn address(&self) -> String {
        format!("tcp:127.0.0.1:1 udp:{}", self.0.local_addr().unwrap())
    }

    /// The next document, which fulfils the rules of the guide for a subsegment that is sent by itself.
    fn document(&self) -> Value {
        let mut datagram = vec![0; 65_536];
        let length = self.0.recv(&mut datagram).expect("no subsegment");
        let text = std::str::from_utf8(&datagram[..length]).unwrap();
        let (header, document) = text.split_once('\n').unwrap();
        assert_eq!(serde_json::from_str::<Value>(header).unwrap(), json!({ "format": "json", "version": 1 }));
        assert!(document.len() <= 64 * 1024);
        let document: Value = serde_json::from_str(document).unwrap();
        let text = |member: &str| document[member].as_str().unwrap_or_else(|| panic!("no {member}: {document}"));
        for id in ["id", "parent_id"] {
            assert!(is_hex(text(id), 16), "{document}");
        }
        assert_eq!((text("type"), text("namespace")), ("subsegment", "remote"));
        let trace: Vec<_> = text("trace_id").split('-').collect();
        assert!(trace.len() == 3 && trace[0] == "1" && is_hex(trace[1], 8) && is_hex(trace[2], 24), "{document}");
        assert!((1..=200).contains(&text("name").chars().count()), "{document}");
        let [start, end] = ["start_time", "end_time"].map(|member| document[member].as_f64().unwrap());
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
        assert!(start <= end && end <= now + 1.0 && now - start < 600.0, "{document}");
        document
    }
}

fn is_hex(text: &str, length: usize) -> bool {
    text.len() == length && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
}

/// A back end that fails the requested number of requests, and keeps all of them.
#[derive(Clone, Default)]
struct Requests(Arc<Mutex<Vec<Call>>>);

impl Requests {
    fn serve(&self, failures: usize) -> SocketAddr {
        let all = self.clone();
        serve(move |call| {
            let mut all = all.0.lock().unwrap();
            all.push(call);
            let status = if all.len() <= failures { "503 Busy" } else { "200 OK" };
            response(status, &[("content-type", "text/plain")], b"hello")
        })
    }

    /// The values of a field, request by request.
    fn values(&self, name: &str) -> Vec<Vec<String>> {
        self.0.lock().unwrap().iter().map(|call| values(call, name)).collect()
    }
}

fn values(call: &Call, name: &str) -> Vec<String> {
    call.fields.iter().filter(|(known, _)| known.eq_ignore_ascii_case(name)).map(|(_, value)| value.clone()).collect()
}

fn parent_of(field: &str) -> &str {
    field.split(';').find_map(|parameter| parameter.strip_prefix("Parent=")).unwrap_or_else(|| panic!("{field}"))
}

fn config(backends: &str, route: &str) -> (Folder, String) {
    let folder = Folder::new();
    let file = folder.write("crossfade.yaml", format!("version: 1\nbackends: {backends}\ndefault: {route}\n"));
    (folder, file)
}

#[test]
fn each_attempt_of_a_sampled_request_is_a_subsegment_and_the_back_ends_parent() {
    let (legacy, modern, daemon) = (Requests::default(), Requests::default(), Daemon::start());
    let backends = format!(
        "{{ modern: {{ url: 'http://{}/base', retry: {{ attempts: 1, codes: [503] }} }}, legacy: 'http://{}' }}",
        modern.serve(2),
        legacy.serve(0)
    );
    let route = "{ forward: { targets: [modern], failover: { to: legacy, on: [503] } } }\ntracing: { xray: true }";
    let (_folder, file) = config(&backends, route);
    let function = Function::start(&[("CROSSFADE_CONFIG", &file), ("AWS_XRAY_DAEMON_ADDRESS", &daemon.address())]);

    // Nothing is sent for it, since the first document is of the next request.
    function.invoke_in(
        UNSAMPLED,
        &json!({ "requestContext": { "elb": {} }, "httpMethod": "GET", "path": "/health",
        "headers": { "user-agent": "ELB-HealthChecker/2.0" }, "body": "", "isBase64Encoded": false }),
    );
    let mut asked = event("GET", "/orders/7");
    asked["queryStringParameters"] = json!({ "token": "canary" });
    assert_eq!(function.invoke_in(SAMPLED, &asked).json()["statusCode"], 200);

    let documents = [daemon.document(), daemon.document(), daemon.document()];
    let sent = [modern.values("x-amzn-trace-id"), legacy.values("x-amzn-trace-id")].concat();
    assert_eq!(sent.len(), 3);
    for (document, field) in documents.iter().zip(&sent) {
        let id = document["id"].as_str().unwrap();
        assert_eq!(*field, [format!("Root={ROOT};Parent={id};Sampled=1;Lineage=1:0a7b:0")]);
        assert_eq!((&document["trace_id"], &document["parent_id"]), (&json!(ROOT), &json!(SEGMENT)));
    }
    let ids: HashSet<_> = documents.iter().map(|document| document["id"].to_string()).collect();
    assert_eq!(ids.len(), 3, "{documents:?}");
    let roles = documents.each_ref().map(|document| document["annotations"]["crossfade_role"].as_str().unwrap());
    assert_eq!(roles, ["first", "retry", "failover"]);
    let statuses = documents.each_ref().map(|document| document["http"]["response"]["status"].as_u64().unwrap());
    assert_eq!(statuses, [503, 503, 200]);
    assert_eq!(documents.each_ref().map(|document| document["fault"] == true), [true, true, false]);
    let [first, _, last] = &documents;
    let url = first["http"]["request"]["url"].as_str().unwrap();
    assert!(url.starts_with("http://127.0.0.1:") && url.ends_with("/base/orders/7"), "{url}");
    assert_eq!((&last["name"], &last["http"]["response"]["content_length"]), (&json!("legacy"), &json!(5)));
    assert!(!format!("{documents:?}").contains("canary"));
    let access = &function.log(2)[1];
    assert_eq!((&access["xray_trace_id"], &access["trace_id"]), (&json!(ROOT), &json!("Root=1-alb")));
}

#[test]
fn a_back_end_that_cannot_be_reached_is_a_fault_with_its_cause() {
    let daemon = Daemon::start();
    let (_folder, file) = config("{ legacy: 'http://127.0.0.1:1' }", "{ forward: legacy }\ntracing: { xray: true }");
    let function = Function::start(&[("CROSSFADE_CONFIG", &file), ("AWS_XRAY_DAEMON_ADDRESS", &daemon.address())]);
    assert_eq!(function.invoke_in(SAMPLED, &event("GET", "/")).json()["statusCode"], 502);
    let document = daemon.document();
    let exception = &document["cause"]["exceptions"][0];
    assert_eq!((&document["fault"], &exception["type"]), (&json!(true), &json!("connection_refused")), "{document}");
    assert!(is_hex(exception["id"].as_str().unwrap(), 16), "{document}");
}

#[test]
fn a_shadow_request_is_a_subsegment_of_its_own() {
    let (legacy, modern, daemon) = (Requests::default(), Requests::default(), Daemon::start());
    let backends = format!("{{ legacy: 'http://{}', modern: 'http://{}' }}", legacy.serve(0), modern.serve(0));
    let route = "{ forward: legacy, mirror: { backend: modern, percent: 100 } }\ntracing: { xray: true }";
    let (_folder, file) = config(&backends, route);
    let function = Function::start(&[("CROSSFADE_CONFIG", &file), ("AWS_XRAY_DAEMON_ADDRESS", &daemon.address())]);
    function.invoke_in(SAMPLED, &event("GET", "/"));
    let [first, copy] = [daemon.document(), daemon.document()];
    let role = |document: &Value| document["annotations"]["crossfade_role"].clone();
    assert_eq!((role(&first), role(&copy)), (json!("first"), json!("mirror")));
    assert_eq!(parent_of(&legacy.values("x-amzn-trace-id")[0][0]), first["id"]);
    assert_eq!(parent_of(&modern.values("x-amzn-trace-id")[0][0]), copy["id"]);
}

/// Nothing is sent, the front end's field stays, and a bad address costs a warning.
#[test]
fn without_the_key_or_the_daemon_requests_are_served_as_ever() {
    let (legacy, daemon) = (Requests::default(), Daemon::start());
    let backends = format!("{{ legacy: 'http://{}' }}", legacy.serve(0));
    let (_folder, file) = config(&backends, "{ forward: legacy }");
    let function = Function::start(&[("CROSSFADE_CONFIG", &file), ("AWS_XRAY_DAEMON_ADDRESS", &daemon.address())]);
    function.invoke_in(SAMPLED, &event("GET", "/"));
    assert_eq!(legacy.values("x-amzn-trace-id"), [["Root=1-alb"]]);
    assert!(function.log(1)[0].get("xray_trace_id").is_none());

    let (_folder, file) = config(&backends, "{ forward: legacy }\ntracing: { xray: true }");
    for address in ["", "daemon:2000"] {
        let function = Function::start(&[("CROSSFADE_CONFIG", &file), ("AWS_XRAY_DAEMON_ADDRESS", address)]);
        for _ in 0..2 {
            assert_eq!(function.invoke_in(SAMPLED, &event("GET", "/")).json()["statusCode"], 200);
        }
        let log = function.log(3);
        let warnings: Vec<_> = log.iter().filter(|line| line["type"] == "warning").collect();
        assert_eq!(warnings.len(), 1, "{log:?}");
        assert!(warnings[0]["message"].as_str().unwrap().contains("AWS_XRAY_DAEMON_ADDRESS"), "{log:?}");
    }
    daemon.0.set_nonblocking(true).unwrap();
    assert!(daemon.0.recv(&mut [0; 16]).is_err(), "something was sent without the key");
}

/// A request with such lines of `traceparent` and `tracestate`.
fn with_parent(parents: &[&str], state: Option<&str>) -> Value {
    let mut event = event("GET", "/");
    let headers = event.as_object_mut().unwrap().remove("headers").unwrap();
    let headers = headers.as_object().unwrap().iter().map(|(name, value)| (name.clone(), json!([value])));
    let mut headers: serde_json::Map<String, Value> = headers.collect();
    if !parents.is_empty() {
        headers.insert("traceparent".to_owned(), json!(parents));
    }
    headers.extend(state.map(|state| ("tracestate".to_owned(), json!([state]))));
    event["multiValueHeaders"] = headers.into();
    event.as_object_mut().unwrap().remove("queryStringParameters");
    event["multiValueQueryStringParameters"] = json!({});
    event
}

const VALID: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

#[test]
fn a_traceparent_is_forwarded_as_it_is() {
    let legacy = Requests::default();
    let function = Function::start(&[("CROSSFADE_BACKEND", &format!("http://{}", legacy.serve(0)))]);
    for parents in [&[VALID][..], &["nonsense"], &[VALID, VALID], &[]] {
        function.invoke_in(SAMPLED, &with_parent(parents, Some("vendor=a,b=c")));
        assert_eq!(legacy.values("traceparent").pop().unwrap(), parents);
        assert_eq!(legacy.values("tracestate").pop().unwrap(), ["vendor=a,b=c"]);
    }
    assert!(function.log(4).iter().all(|line| line.get("w3c_trace_id").is_none()));
}

/// Events of the front ends, as far as a request needs them, with these fields.
fn events_of_all_front_ends(fields: &[(&str, &str)]) -> Vec<Value> {
    let single: Value =
        fields.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into();
    let multi: Value = fields
        .iter()
        .map(|(name, value)| ((*name).to_owned(), json!([value])))
        .collect::<serde_json::Map<_, _>>()
        .into();
    let gateway = json!({ "http": { "method": "GET", "path": "/", "protocol": "HTTP/1.1", "sourceIp": "203.0.113.7" },
        "stage": "$default", "requestId": "1", "domainName": "shop.example.com" });
    let url = json!({ "http": gateway["http"], "stage": "$default", "requestId": "1",
        "domainName": "abc.lambda-url.eu-central-1.on.aws" });
    let rest = json!({ "stage": "prod", "path": "/prod/", "httpMethod": "GET", "protocol": "HTTP/1.1", "requestId": "1",
        "domainName": "shop.example.com", "identity": { "sourceIp": "203.0.113.7" } });
    let elb = json!({ "elb": { "targetGroupArn": "arn" } });
    vec![
        json!({ "requestContext": elb, "httpMethod": "GET", "path": "/", "queryStringParameters": {}, "headers": single,
            "body": "", "isBase64Encoded": false }),
        json!({ "requestContext": elb, "httpMethod": "GET", "path": "/", "multiValueQueryStringParameters": {},
            "multiValueHeaders": multi, "body": "", "isBase64Encoded": false }),
        json!({ "resource": "/", "path": "/", "httpMethod": "GET", "headers": single, "multiValueHeaders": multi,
            "queryStringParameters": null, "multiValueQueryStringParameters": null, "requestContext": rest, "body": null,
            "isBase64Encoded": false }),
        json!({ "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "", "headers": single,
            "requestContext": gateway, "isBase64Encoded": false }),
        json!({ "version": "2.0", "routeKey": "$default", "rawPath": "/", "rawQueryString": "", "headers": single,
            "requestContext": url, "isBase64Encoded": false }),
        json!({ "version": "2.0", "path": "/", "method": "GET", "headers": multi, "queryStringParameters": {},
            "body": "", "isBase64Encoded": false, "requestContext": {
                "serviceNetworkArn": "arn", "serviceArn": "arn", "targetGroupArn": "arn", "region": "eu-central-1",
                "identity": { "sourceVpcArn": "arn" }, "timeEpoch": "1769000000000000" } }),
    ]
}

#[test]
fn trace_fields_pass_through_every_front_end() {
    let legacy = Requests::default();
    let function = Function::start(&[("CROSSFADE_BACKEND", &format!("http://{}", legacy.serve(0)))]);
    let amzn = "Self=1-67891234-12456789abcdef012345678;Root=1-67891233-abcdef012345678912345678;CalledFrom=app";
    for parent in [VALID, "nonsense"] {
        let fields = [
            ("host", "shop.example.com"),
            ("x-forwarded-for", "203.0.113.7"),
            ("x-amzn-trace-id", amzn),
            ("traceparent", parent),
            ("tracestate", "vendor=a,b=c"),
        ];
        for event in events_of_all_front_ends(&fields) {
            let reply = function.invoke_in(SAMPLED, &event);
            assert_eq!(reply.json()["statusCode"], 200, "{event}");
            for (name, value) in &fields[2..] {
                assert_eq!(legacy.values(name).pop().unwrap(), [*value], "{name} of {event}");
            }
        }
    }
}

#[test]
fn a_missing_or_invalid_traceparent_is_created() {
    let (legacy, daemon) = (Requests::default(), Daemon::start());
    let backends = format!("{{ legacy: 'http://{}' }}", legacy.serve(0));
    let function = |tracing: &str| {
        let (folder, file) = config(&backends, &format!("{{ forward: legacy }}\ntracing: {tracing}"));
        (Function::start(&[("CROSSFADE_CONFIG", &file), ("AWS_XRAY_DAEMON_ADDRESS", &daemon.address())]), folder)
    };
    let (creating, _folder) = function("{ w3c: create }");
    let (unsampled, _folder) = function("{ w3c: create, sampled: 0 }");
    let (sampling, _folder) = function("{ w3c: create, sampled: 30 }");
    let sampled = (0..200).filter(|_| {
        sampling.invoke_in(UNSAMPLED, &with_parent(&[], None));
        legacy.values("traceparent").pop().unwrap()[0].ends_with("-01")
    });
    let count = sampled.count();
    assert!((25..100).contains(&count), "{count} of 200 are not about 30 %");
    let (both, _folder) = function("{ w3c: create, xray: true }");
    let last = |name: &str| legacy.values(name).pop().unwrap();
    // The function, the platform's header, and the created flags.
    for (function, platform, flags) in
        [(&creating, UNSAMPLED, "01"), (&unsampled, SAMPLED, "00"), (&both, UNSAMPLED, "00"), (&both, SAMPLED, "01")]
    {
        for parents in [&[][..], &["nonsense"], &[VALID, VALID]] {
            let reply = function.invoke_in(platform, &with_parent(parents, Some("vendor=a")));
            assert!(!String::from_utf8_lossy(&reply.body).contains("traceparent"), "the client does not see it");
            let created = last("traceparent");
            let parts: Vec<_> = created[0].split('-').collect();
            assert_eq!((created.len(), parts[0], parts[1], parts[3]), (1, "00", W3C_ROOT, flags), "{created:?}");
            assert!(is_hex(parts[2], 16) && parts[2] != "0000000000000000", "{created:?}");
            assert_eq!(last("tracestate"), [""; 0], "it belongs to another parent");
            if platform == SAMPLED && flags == "01" {
                assert_eq!(daemon.document()["id"], parts[2], "both systems have one parent");
                assert_eq!(parent_of(&last("x-amzn-trace-id")[0]), parts[2]);
            }
        }
        function.invoke_in(UNSAMPLED, &with_parent(&[VALID], Some("vendor=a")));
        assert_eq!((last("traceparent"), last("tracestate")), (vec![VALID.to_owned()], vec!["vendor=a".to_owned()]));
    }
    let log = creating.log(4);
    let ids: Vec<_> = log.iter().map(|line| line["w3c_trace_id"].as_str().unwrap()).collect();
    assert_eq!(ids, [W3C_ROOT, W3C_ROOT, W3C_ROOT, "4bf92f3577b34da6a3ce929d0e0e4736"]);
}

/// `requestHeaders` is applied last, to these fields as to all others.
#[test]
fn fields_that_the_configuration_edits_stay_edited() {
    let (legacy, daemon) = (Requests::default(), Daemon::start());
    let backends =
        format!("{{ legacy: {{ url: 'http://{}', retry: {{ attempts: 1, codes: [503] }} }} }}", legacy.serve(1));
    let edits = "{ set: { traceparent: mine }, remove: [x-amzn-trace-id] }";
    let route = format!("{{ forward: legacy, requestHeaders: {edits} }}\ntracing: {{ w3c: create, xray: true }}");
    let (_folder, file) = config(&backends, &route);
    let function = Function::start(&[("CROSSFADE_CONFIG", &file), ("AWS_XRAY_DAEMON_ADDRESS", &daemon.address())]);
    function.invoke_in(SAMPLED, &event("GET", "/"));
    assert_eq!(legacy.values("traceparent"), [["mine"], ["mine"]]);
    assert_eq!(legacy.values("x-amzn-trace-id"), [[""; 0], [""; 0]]);
}

#[test]
fn an_access_line_has_opentelemetrys_names() {
    let legacy = Requests::default();
    let backends = format!("{{ legacy: 'http://{}' }}", legacy.serve(0));
    let (_folder, file) = config(&backends, "{ forward: legacy }\naccessLog: { names: otel }");
    let function = Function::start(&[("CROSSFADE_CONFIG", &file)]);
    function.invoke(&event("GET", "/orders/7"));
    let line = &function.log(1)[0];
    assert_eq!((&line["type"], &line["version"]), (&json!("access"), &json!(3)), "{line}");
    assert_eq!((&line["http.request.method"], &line["url.path"]), (&json!("GET"), &json!("/orders/7")), "{line}");
    assert_eq!(
        (&line["http.response.status_code"], &line["crossfade.route"]),
        (&json!(200), &json!("default")),
        "{line}"
    );
    let seconds = line["http.server.request.duration"].as_f64().unwrap();
    assert!(seconds > 0.0 && seconds < 10.0, "{line}");
}
