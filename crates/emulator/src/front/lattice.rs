//! Events of VPC Lattice, versions 1 and 2.

use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use super::request::{Request, all_of_each, last_of_each};

/// The event of a request in version 1: values of a field are joined, and the last one of a parameter counts.
pub(super) fn event_1(request: &Request<'_>) -> Value {
    let (body, is_base64) = request.content();
    let mut event = json!({
        "raw_path": whole_path(request),
        "method": request.method,
        "headers": request.joined_fields(", "),
        "is_base64_encoded": is_base64,
    });
    add(&mut event, [("query_string_parameters", last_of_each(&request.raw_query())), ("body", body)]);
    event
}

/// The path with its query, as sent.
fn whole_path(request: &Request<'_>) -> String {
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    format!("{}{query}", request.path)
}

/// Adds the members that have a value.
fn add(event: &mut Value, optional: [(&str, Value); 2]) {
    if let Some(event) = event.as_object_mut() {
        let present = optional.into_iter().filter(|(_, value)| !value.is_null());
        event.extend(present.map(|(name, value)| (name.to_owned(), value)));
    }
}

/// The event of a request in version 2.
pub(super) fn event_2(request: &Request<'_>) -> Value {
    let (body, is_base64) = request.content();
    let arn = |kind: &str, id: &str| format!("arn:aws:vpc-lattice:{}:000000000000:{kind}/{id}", request.region);
    let micros = request.time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let fields: Vec<_> = request.headers.keys().map(|name| (name.as_str().to_owned(), request.values(name))).collect();
    let mut event = json!({
        "version": "2.0",
        "path": whole_path(request),
        "method": request.method,
        "headers": all_of_each(&fields),
        "isBase64Encoded": is_base64,
        "requestContext": {
            "serviceNetworkArn": arn("servicenetwork", "sn-0123456789abcdef0"),
            "serviceArn": arn("service", &request.endpoint.id),
            "targetGroupArn": arn("targetgroup", "tg-0123456789abcdef0"),
            "identity": { "sourceVpcArn": format!("arn:aws:ec2:{}:000000000000:vpc/vpc-0123456789abcdef0", request.region) },
            "region": request.region,
            "timeEpoch": micros.to_string(),
        },
    });
    add(&mut event, [("queryStringParameters", all_of_each(&request.raw_query())), ("body", body)]);
    event
}
