//! Events `http` and `httpApi` of the Serverless Framework, and the settings of its provider for them. Owns the framework's
//! shapes of routes, and which of its settings are read.

use crossfade_document::{Key, Place};

use super::{
    Api, DEFAULT_STAGE, add_route, cors, endpoint_of, http_api_of, is_text, media_types, milliseconds,
    say_not_emulated, with_slash,
};
use super::{http_api, rest_api};
use crate::source::draft::Draft;
use crate::source::node::{Node, Value};
use crate::{Cors, EndpointKind, Route};

/// The logical IDs of the framework's APIs in its template.
pub(super) const REST_API: &str = "ApiGatewayRestApi";
pub(super) const HTTP_API: &str = "HttpApi";

/// Warns of settings of the provider that change what APIs do.
pub(in crate::source) fn provider(draft: &mut Draft<'_>, provider: &Node, kinds: &[&str]) {
    const OF_REST: [&str; 12] = [
        "binaryMediaTypes",
        "description",
        "disableDefaultEndpoint",
        "metrics",
        "request",
        "restApiId",
        "restApiResources",
        "restApiRootResourceId",
        "shouldStartNameWithService",
        "websocketApiId",
        "websocketsApiName",
        "websocketApiRouteSelectionExpression",
    ];
    const OF_HTTP: [&str; 10] = [
        // Those of events count.
        "authorizers",
        "cors",
        "disableDefaultEndpoint",
        "id",
        "metrics",
        "name",
        "payload",
        "shouldStartNameWithService",
        "timeout",
        "useProviderTags",
    ];
    for (event, name, read) in [("http", "apiGateway", &OF_REST[..]), ("httpApi", "httpApi", &OF_HTTP[..])] {
        if let Some(settings) = provider.get(name).filter(|_| kinds.contains(&event)) {
            say_not_emulated(draft, &format!("`provider.{name}`"), settings, read);
        }
    }
}

/// The method and path of an event: `GET /a`, `*`, or a map.
fn method_and_path(draft: &mut Draft<'_>, what: &str, event: &Node) -> Option<(String, String)> {
    let (method, path) = match &event.value {
        Value::Map(_) => {
            let mut text = |name: &str| match event.get(name) {
                Some(node) => draft.findings.string(name, node),
                None => None,
            };
            let (method, path) = (text("method"), text("path"));
            if path.is_none() && event.get("path").is_none() {
                draft.findings.missing(&event.place, event, "path");
            }
            (method.unwrap_or_else(|| "ANY".to_owned()), path?)
        }
        _ => {
            let text = draft.findings.string(what, event)?;
            match text.split_once(' ') {
                Some((method, path)) => (method.to_owned(), path.trim().to_owned()),
                None => ("ANY".to_owned(), text),
            }
        }
    };
    let method = if method == "*" { "ANY".to_owned() } else { method.to_ascii_uppercase() };
    let path = if path == "*" { "$default".to_owned() } else { with_slash(&path) };
    Some((method, path))
}

/// Reads an `http` event: a route of the service's REST API.
pub(in crate::source) fn http_event(
    draft: &mut Draft<'_>,
    provider: &Node,
    stage: &str,
    function: usize,
    event: &Node,
) {
    let Some((method, path)) = method_and_path(draft, "http", event) else { return };
    // The framework knows no such path of a REST API.
    let path = if path == "$default" { "/{proxy+}".to_owned() } else { path };
    let read = ["path", "method", "integration", "response", "timeoutInMillis", "operationId"];
    say_not_emulated(draft, "an `http` event", event, &read);
    if let Some(integration) = event.get("integration").filter(|node| !node.is_null()) {
        let is_proxy =
            ["lambda-proxy", "lambda_proxy", "aws_proxy"].iter().any(|kind| is_text(Some(integration), kind));
        if !is_proxy {
            let hint = "`--lenient` treats it as `lambda-proxy`";
            draft.findings.unless_lenient(&integration.place, "only `lambda-proxy` integrations are emulated", hint);
        }
    }
    let streamed = is_text(event.at(&["response", "transferMode"]), "stream");
    let timeout = milliseconds(draft, "timeoutInMillis", event.get("timeoutInMillis"));
    let mut api = Api::new(REST_API, stage);
    api.binary_media_types = media_types(draft, "binaryMediaTypes", provider.at(&["apiGateway", "binaryMediaTypes"]));
    let route = Route { method, path, streamed, timeout, ..Route::all(function) };
    add_route(draft, &api, EndpointKind::RestApi, &event.place, route);
    // A resource may have been the first.
    if let Some(endpoint) = endpoint_of(draft, &api, EndpointKind::RestApi) {
        endpoint.binary_media_types = api.binary_media_types;
    }
}

/// Reads an `httpApi` event: a route of the service's HTTP API. A function may have a payload format of its own, and then its
/// routes are those of a listener of their own.
pub(in crate::source) fn http_api_event(
    draft: &mut Draft<'_>,
    provider: &Node,
    definition: &Node,
    function: usize,
    event: &Node,
) {
    let Some((method, path)) = method_and_path(draft, "httpApi", event) else { return };
    say_not_emulated(draft, "an `httpApi` event", event, &["path", "method"]);
    let payload = definition.at(&["httpApi", "payload"]).or_else(|| provider.at(&["httpApi", "payload"]));
    let route = Route { method, path, ..Route::all(function) };
    let mut api = Api::new(HTTP_API, DEFAULT_STAGE);
    let kind = http_api_of(payload);
    if endpoint_of(draft, &api, kind).is_none_or(|endpoint| endpoint.cors.is_none()) {
        let (given, every) = (provider.at(&["httpApi", "cors"]), every());
        let or_default = |own: Vec<String>, default: &Vec<String>| if own.is_empty() { default.clone() } else { own };
        api.cors = cors(draft, "cors", given, &every).map(|own| Cors {
            allow_origins: or_default(own.allow_origins, &every.allow_origins),
            allow_methods: or_default(own.allow_methods, &every.allow_methods),
            allow_headers: or_default(own.allow_headers, &every.allow_headers),
            ..own
        });
    }
    add_route(draft, &api, kind, &event.place, route);
    // A resource may have been the first.
    if let Some(endpoint) = endpoint_of(draft, &api, kind).filter(|endpoint| endpoint.cors.is_none()) {
        endpoint.cors = api.cors;
    }
}

/// The framework's settings for `cors: true`, except that it lists only the methods of the routes.
fn every() -> Cors {
    let list = |texts: &str| texts.split(' ').map(str::to_owned).collect();
    let fields =
        "Content-Type X-Amz-Date Authorization X-Api-Key X-Amz-Security-Token X-Amz-User-Agent X-Amzn-Trace-Id";
    Cors {
        allow_origins: list("*"),
        allow_methods: list("OPTIONS GET POST PUT PATCH DELETE HEAD"),
        allow_headers: list(fields),
        ..Cors::default()
    }
}

/// The framework's own APIs, for references to them in `resources`: the names that its template gives them.
pub(in crate::source) fn stand_ins(place: Place, stage: &str, [rest, http]: [bool; 2]) -> Vec<(Key, Node)> {
    let key = |name: &str| Key { place, name: name.into() };
    let resource = |id: &str, kind: &str, properties: Vec<(Key, Node)>| {
        let members = vec![
            (key("Type"), Node::quoted(place, kind)),
            (key("Properties"), Node::new(place, Value::Map(properties))),
        ];
        (key(id), Node::new(place, Value::Map(members)))
    };
    let mut all = Vec::new();
    if rest {
        let of_api = (key("RestApiId"), Node::quoted(place, REST_API));
        let stage = (key("StageName"), Node::quoted(place, stage));
        all.push(resource(REST_API, rest_api::API, Vec::new()));
        all.push(resource("ApiGatewayDeployment", rest_api::DEPLOYMENT, vec![of_api, stage]));
    }
    if http {
        all.push(resource(HTTP_API, http_api::API, Vec::new()));
    }
    all
}
