//! Events of VPC Lattice, version 2.

use std::time::UNIX_EPOCH;

use serde_json::{Value, json};

use super::request::{Request, all_of_each};

/// The event of a request.
pub(super) fn event(request: &Request<'_>) -> Value {
    let (body, is_base64) = request.content();
    let arn = |kind: &str, id: &str| format!("arn:aws:vpc-lattice:{}:000000000000:{kind}/{id}", request.region);
    let query = if request.query.is_empty() { String::new() } else { format!("?{}", request.query) };
    let micros = request.time.duration_since(UNIX_EPOCH).unwrap_or_default().as_micros();
    let fields: Vec<_> = request.headers.keys().map(|name| (name.as_str().to_owned(), request.values(name))).collect();
    let mut event = json!({
        "version": "2.0",
        "path": format!("{}{query}", request.path),
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
    let query = all_of_each(&request.raw_query());
    let optional = [("queryStringParameters", query), ("body", body)];
    if let Some(event) = event.as_object_mut() {
        event.extend(
            optional.into_iter().filter(|(_, value)| !value.is_null()).map(|(name, value)| (name.to_owned(), value)),
        );
    }
    event
}
