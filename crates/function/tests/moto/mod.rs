//! The function's own requests to S3 and Systems Manager, as moto takes them.

use crossfade_testkit::client::Client;
use crossfade_testkit::moto::Moto;
use serde_json::{Value, json};

use crate::support::{Folder, Function, event, response, serve};

const STATE: &str = r#"{"format":1,"version":3,"by":"anna","routes":{"default":{"version":3,"weights":{"legacy":0,"modern":1},"migration":{"share":100,"phase":"running","since":"2026-11-28T12:00:00Z"}}}}"#;

/// Sends a request to moto, which checks no signature.
fn send(moto: &Moto, method: &str, path: &str, fields: &str, body: &str) -> String {
    let address = moto.url.strip_prefix("http://").unwrap();
    let service = if fields.contains("AmazonSSM") { "ssm" } else { "s3" };
    let mut client = Client::connect(address);
    client.write(format!(
        "{method} {path} HTTP/1.1\r\nhost: {address}\r\nauthorization: AWS4-HMAC-SHA256 \
         Credential=AKID/20261128/eu-west-1/{service}/aws4_request, SignedHeaders=host, Signature=0\r\n{fields}\
         content-length: {}\r\n\r\n{body}",
        body.len()
    ));
    let answer = client.read();
    assert_eq!(answer.status, 200, "{method} {path}: {}", answer.text());
    answer.text().to_owned()
}

fn parameter(moto: &Moto, action: &str, body: &Value) -> Value {
    let fields = format!("content-type: application/x-amz-json-1.1\r\nx-amz-target: AmazonSSM.{action}\r\n");
    serde_json::from_str(&send(moto, "POST", "/", &fields, &body.to_string())).unwrap()
}

fn start(folder: &Folder, moto: &Moto, place: &str) -> Function {
    let system = |name: &'static str| serve(move |_| response("200 OK", &[], name.as_bytes()));
    let (legacy, modern) = (system("legacy"), system("modern"));
    let config = folder.write(
        "crossfade.yaml",
        format!(
            "version: 1\nbackends: {{ legacy: 'http://{legacy}', modern: 'http://{modern}' }}\nmigration:\n  from: legacy\n  \
             to: modern\n  guard: errors<=+0.5%\n  alarms: modern-5xx\ndefault:\n  forward:\n    targets: \
             [{{ backend: legacy }}, {{ backend: modern, weight: 0 }}]\n"
        ),
    );
    Function::start(&[
        ("CROSSFADE_CONFIG", &config),
        ("CROSSFADE_LIVE", place),
        ("CROSSFADE_LIVE_INTERVAL", "1h"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "secret"),
        ("AWS_ENDPOINT_URL", &moto.url),
    ])
}

fn system(function: &Function) -> String {
    function.invoke(&event("GET", "/")).json()["body"].as_str().unwrap().to_owned()
}

/// Asserts that an alarm takes everybody back, once, and returns the state that it wrote.
fn assert_taken_back(function: &Function) {
    assert_eq!(system(function), "modern", "{}", function.said());
    let alarm = json!({
        "source": "aws.cloudwatch", "alarmArn": "arn:aws:cloudwatch:eu-west-1:123456789012:alarm:modern-5xx",
        "alarmData": { "alarmName": "modern-5xx", "state": { "value": "ALARM", "reason": "{{5}} errors" } },
    });
    let document = function.invoke(&alarm).json();
    assert_eq!((&document["changed"], &document["version"]), (&json!(true), &json!(4)), "{document}");
    assert_eq!(system(function), "legacy");
    let document = function.invoke(&alarm).json();
    assert_eq!((&document["changed"], &document["aborted"]), (&json!(false), &json!(true)), "{document}");
}

fn assert_written(text: &str) {
    let overlay: Value = serde_json::from_str(text).unwrap();
    assert_eq!((&overlay["version"], &overlay["reason"]), (&json!(4), &json!("{{5}} errors")), "{overlay}");
}

pub(crate) fn an_object_is_read_and_an_alarm_writes_it() {
    let (folder, moto) = (Folder::new(), Moto::start(&[]));
    let place =
        "<CreateBucketConfiguration><LocationConstraint>eu-west-1</LocationConstraint></CreateBucketConfiguration>";
    send(&moto, "PUT", "/shop", "", place);
    send(&moto, "PUT", "/shop/a%20key/live.json", "", STATE);
    assert_taken_back(&start(&folder, &moto, "s3://shop/a key/live.json"));
    assert_written(&send(&moto, "GET", "/shop/a%20key/live.json", "", ""));
}

pub(crate) fn a_parameter_is_read_and_an_alarm_writes_it() {
    let (folder, moto) = (Folder::new(), Moto::start(&[]));
    for kind in ["String", "SecureString"] {
        let name = format!("/shop/{kind}");
        parameter(&moto, "PutParameter", &json!({ "Name": name, "Value": STATE, "Type": kind }));
        assert_taken_back(&start(&folder, &moto, &format!("ssm:{name}")));
        let now = parameter(&moto, "GetParameter", &json!({ "Name": name, "WithDecryption": true }));
        assert_eq!(now["Parameter"]["Type"], kind, "it keeps its type");
        assert_written(now["Parameter"]["Value"].as_str().unwrap());
    }
}
