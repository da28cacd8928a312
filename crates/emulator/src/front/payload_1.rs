//! Events of payload format 1.0: API Gateway REST APIs, and HTTP APIs that are set to it.

use serde_json::{Map, Value, json};

use super::endpoint::{BasePath, EndpointKind};
use super::request::{Request, all_of_each, last_of_each};

/// The event of a request.
pub(super) fn event(request: &Request<'_>) -> Value {
    let endpoint = request.endpoint;
    let is_rest = endpoint.kind == EndpointKind::RestApi;
    let fields = request.spelled_fields();
    let query = request.decoded_query();
    let (body, is_base64) = request.content();
    let resource = match &*request.route.path {
        "$default" if is_rest => "/{proxy+}",
        path => path,
    };
    let path = match endpoint.base {
        BasePath::Stage if is_rest => request.matched,
        BasePath::Root | BasePath::Stage | BasePath::Mapping(_) => request.path,
    };
    let parameters: Map<String, Value> =
        request.parameters.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    let parameters = if parameters.is_empty() { Value::Null } else { parameters.into() };
    let mut identity =
        json!({ "sourceIp": request.client.ip().to_canonical().to_string(), "userAgent": request.user_agent() });
    const UNKNOWN: [&str; 10] = [
        "accessKey",
        "accountId",
        "caller",
        "cognitoAuthenticationProvider",
        "cognitoAuthenticationType",
        "cognitoIdentityId",
        "cognitoIdentityPoolId",
        "principalOrgId",
        "user",
        "userArn",
    ];
    if let Some(identity) = identity.as_object_mut() {
        identity.extend(UNKNOWN.map(|name| (name.to_owned(), Value::Null)));
    }
    let (domain, prefix) = request.domain();
    let request_id = if is_rest { &request.ids.request } else { &request.ids.extended };
    let resource_id = if is_rest { "abc123" } else { resource };
    let mut event = json!({
        "resource": resource,
        "path": path,
        "httpMethod": request.method,
        "headers": last_of_each(&fields),
        "multiValueHeaders": all_of_each(&fields),
        "queryStringParameters": last_of_each(&query),
        "multiValueQueryStringParameters": all_of_each(&query),
        "pathParameters": parameters,
        "stageVariables": null,
        "requestContext": {
            "accountId": "000000000000",
            "apiId": endpoint.id,
            "domainName": domain,
            "domainPrefix": prefix,
            "extendedRequestId": request.ids.extended,
            "httpMethod": request.method,
            "identity": identity,
            "path": request.path,
            "protocol": request.protocol,
            "requestId": request_id,
            "requestTime": request.request_time(),
            "requestTimeEpoch": request.epoch(),
            "resourceId": resource_id,
            "resourcePath": resource,
            "stage": endpoint.stage,
        },
        "body": body,
        "isBase64Encoded": is_base64,
    });
    if !is_rest && let Some(event) = event.as_object_mut() {
        event.insert("version".to_owned(), json!("1.0"));
    }
    event
}
