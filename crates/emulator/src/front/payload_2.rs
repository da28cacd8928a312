//! Events of payload format 2.0: API Gateway HTTP APIs, and function URLs, which differ in what they decode and in where cookies
//! stand.

use serde_json::{Map, Value, json};

use super::endpoint::{BasePath, EndpointKind};
use super::request::{Request, decoded_path};

/// The event of a request.
pub(super) fn event(request: &Request<'_>) -> Value {
    let endpoint = request.endpoint;
    let is_url = endpoint.kind == EndpointKind::FunctionUrl;
    let decoded = match endpoint.base {
        BasePath::Stage => decoded_path(request.path).unwrap_or_else(|| request.path.to_owned()),
        // The stage takes the place of a mapping's base path, also where the client's path has neither.
        _ if endpoint.has_custom_domain() && endpoint.stage != "$default" => {
            format!("/{}{}", endpoint.stage, request.matched)
        }
        BasePath::Mapping(_) => request.matched.to_owned(),
        BasePath::Root => decoded_path(request.path).unwrap_or_else(|| request.path.to_owned()),
    };
    let raw_path = if is_url { request.path } else { &decoded };
    let mut headers = request.joined_fields(",");
    let mut cookies = request.cookies();
    if !is_url {
        headers.remove("cookie");
        // A cookie without a name is lost.
        cookies.retain(|cookie| cookie.find('=').is_some_and(|at| at > 0));
    }
    let route_key = match &*request.route.path {
        "$default" => "$default".to_owned(),
        path => format!("{} {path}", request.route.method),
    };
    let (domain, prefix) = request.domain();
    let account = if is_url { "anonymous" } else { "000000000000" };
    let request_id = if is_url { &request.ids.request } else { &request.ids.extended };
    let (body, is_base64) = request.content();
    let mut event = json!({
        "version": "2.0",
        "routeKey": route_key,
        "rawPath": raw_path,
        "rawQueryString": request.query,
        "headers": headers,
        "requestContext": {
            "accountId": account,
            "apiId": endpoint.id,
            "domainName": domain,
            "domainPrefix": prefix,
            "http": {
                "method": request.method,
                "path": decoded,
                "protocol": request.protocol,
                "sourceIp": request.client.ip().to_canonical().to_string(),
                "userAgent": request.user_agent(),
            },
            "requestId": request_id,
            "routeKey": route_key,
            "stage": endpoint.stage,
            "time": request.request_time(),
            "timeEpoch": request.epoch(),
        },
        "isBase64Encoded": is_base64,
    });
    // Members without a value are left out.
    let query: Map<String, Value> =
        request.decoded_query().into_iter().map(|(name, values)| (name, values.join(",").into())).collect();
    let parameters: Map<String, Value> =
        request.parameters.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let optional = [
        ("cookies", (!cookies.is_empty()).then(|| json!(cookies))),
        ("queryStringParameters", (!query.is_empty()).then(|| query.into())),
        ("pathParameters", (!parameters.is_empty()).then(|| parameters.into())),
        ("body", (!body.is_null()).then_some(body)),
    ];
    if let Some(event) = event.as_object_mut() {
        event.extend(optional.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))));
    }
    event
}
