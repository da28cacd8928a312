//! Events as the services in front of a function send them, written by hand: no encoder of ours makes them.

use serde_json::{Value, json};

/// An event of an ALB in single-value mode.
#[must_use]
pub fn event(method: &str, path: &str) -> Value {
    json!({
        "requestContext": { "elb": { "targetGroupArn": "arn" } },
        "httpMethod": method,
        "path": path,
        "queryStringParameters": {},
        "headers": { "host": "www.example.com", "x-forwarded-for": "203.0.113.7", "x-amzn-trace-id": "Root=1-alb" },
        "body": "",
        "isBase64Encoded": false
    })
}
