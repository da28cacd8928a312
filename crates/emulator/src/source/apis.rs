//! The front ends besides the load balancer in files: events `http`, `httpApi` and `url` of the Serverless Framework, events `Api`
//! and `HttpApi` and `FunctionUrlConfig` of SAM, `AWS::Lambda::Url`, and `AWS::ApiGatewayV2`. Owns which of their settings are
//! read; every other one is a finding.

use std::time::Duration;

use crossfade_document::Place;

use super::cloudformation::function_named;
use super::draft::Draft;
use super::node::{Node, Value, excerpt};
use crate::{BasePath, Endpoint, EndpointKind, Listener, Route};

/// Adds a route, and the front end if it is the first one. `set` gets the front end, for what its files say about it.
pub(super) fn add_route(
    draft: &mut Draft<'_>,
    id: &str,
    kind: EndpointKind,
    place: &Place,
    route: Route,
    set: impl FnOnce(&mut Endpoint),
) {
    let at = draft.listeners.iter().position(|listener| listener.id == id).unwrap_or_else(|| {
        let mut endpoint = Endpoint::new(kind, 0);
        endpoint.routes.clear();
        let listener = Listener { name: id.to_owned(), ..Listener::endpoint(endpoint) };
        draft.add_listener(id, listener, place)
    });
    let origin = draft.origin(place);
    let listener = draft.listeners.get_mut(at).map(|listener| &mut listener.listener);
    let Some(endpoint) = listener.and_then(|listener| listener.endpoint.as_mut()) else { return };
    set(endpoint);
    if endpoint.routes.iter().any(|other| (&other.method, &other.path) == (&route.method, &route.path)) {
        let message = format!("the route `{} {}` occurs more than once", excerpt(&route.method), excerpt(&route.path));
        return draft.findings.error(place, message);
    }
    endpoint.routes.push(Route { origin, ..route });
}

/// Warns of all settings but these.
fn say_not_emulated(draft: &mut Draft<'_>, what: &str, node: &Node, read: &[&str]) {
    for (key, value) in node.members().iter().filter(|(key, value)| !read.contains(&&*key.name) && !value.is_null()) {
        if ["authorizer", "authorizers", "Auth", "AuthType"].contains(&&*key.name) {
            let hint = "`--lenient` ignores it: requests are then unauthenticated";
            draft.findings.unless_lenient(&value.place, format!("`{}` of {what} is not emulated", key.name), hint);
        } else {
            draft.findings.warning(&key.place, format!("`{}` of {what} is not emulated", excerpt(&key.name)));
        }
    }
}

/// A path as API Gateway has it, with a slash in front.
fn with_slash(path: &str) -> String {
    if path.starts_with('/') { path.to_owned() } else { format!("/{path}") }
}

fn milliseconds(draft: &mut Draft<'_>, name: &str, node: Option<&Node>) -> Option<Duration> {
    let node = node.filter(|node| !node.is_null()).and_then(|node| draft.findings.if_known(name, node))?;
    draft.findings.number(name, node, 50..=900_000).map(Duration::from_millis)
}

fn is_text(node: Option<&Node>, text: &str) -> bool {
    node.and_then(Node::as_text).is_some_and(|own| own.eq_ignore_ascii_case(text))
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
pub(super) fn http_event(draft: &mut Draft<'_>, provider: &Node, stage: &str, function: usize, event: &Node) {
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
    let binary = provider.at(&["apiGateway", "binaryMediaTypes"]);
    let binary = binary.and_then(|types| draft.findings.one_or_more("binaryMediaTypes", types)).unwrap_or_default();
    let route = Route { method, path, streamed, timeout, ..Route::all(function) };
    add_route(draft, "rest-api", EndpointKind::RestApi, &event.place, route, |endpoint| {
        (endpoint.stage, endpoint.base) = (stage.to_owned(), BasePath::Stage);
        endpoint.binary_media_types = binary;
    });
}

/// Reads an `httpApi` event: a route of the service's HTTP API. A function may have a payload format of its own, and then its
/// routes are those of a listener of their own.
pub(super) fn http_api_event(draft: &mut Draft<'_>, provider: &Node, definition: &Node, function: usize, event: &Node) {
    let Some((method, path)) = method_and_path(draft, "httpApi", event) else { return };
    say_not_emulated(draft, "an `httpApi` event", event, &["path", "method"]);
    let payload = definition.at(&["httpApi", "payload"]).or_else(|| provider.at(&["httpApi", "payload"]));
    let kind = if is_text(payload, "1.0") { EndpointKind::HttpApi1 } else { EndpointKind::HttpApi };
    let route = Route { method, path, ..Route::all(function) };
    add_route(draft, kind.name(), kind, &event.place, route, |_| {});
}

/// Reads the `url` of a function.
pub(super) fn url(draft: &mut Draft<'_>, key: &str, function: usize, url: &Node) {
    match &url.value {
        Value::Map(_) => say_not_emulated(draft, "`url`", url, &["invokeMode"]),
        _ if draft.findings.boolean("url", url) != Some(true) => return,
        _ => {}
    }
    let streamed = is_text(url.get("invokeMode"), "RESPONSE_STREAM");
    add_url(draft, key, function, &url.place, streamed);
}

fn add_url(draft: &mut Draft<'_>, name: &str, function: usize, place: &Place, streamed: bool) {
    let route = Route { streamed, ..Route::all(function) };
    let id = format!("function-url of {}", excerpt(name));
    add_route(draft, &id, EndpointKind::FunctionUrl, place, route, |_| {});
}

/// Reads the events and the function URL of an `AWS::Serverless::Function`.
pub(super) fn sam_function(draft: &mut Draft<'_>, id: &str, function: usize, properties: &Node) {
    if let Some(url) = properties.get("FunctionUrlConfig").filter(|url| !url.is_null()) {
        let read: &[&str] =
            if is_text(url.get("AuthType"), "NONE") { &["InvokeMode", "AuthType"] } else { &["InvokeMode"] };
        say_not_emulated(draft, "`FunctionUrlConfig`", url, read);
        add_url(draft, id, function, &url.place, is_text(url.get("InvokeMode"), "RESPONSE_STREAM"));
    }
    for (name, event) in properties.get("Events").map_or(&[][..], Node::members) {
        let kind = event.get("Type").and_then(Node::as_text).unwrap_or_default();
        let nothing = Node::plain(event.place, "");
        let settings = event.get("Properties").unwrap_or(&nothing);
        let text = |name: &str| settings.get(name).and_then(Node::as_text);
        let method = text("Method").unwrap_or("ANY").to_ascii_uppercase();
        let place = name.place;
        match kind {
            "Api" => {
                let path = with_slash(text("Path").unwrap_or("/"));
                say_not_emulated(draft, "an `Api` event", settings, &["Path", "Method", "RestApiId"]);
                let route = Route { method, path, ..Route::all(function) };
                add_route(draft, "rest-api", EndpointKind::RestApi, &place, route, |endpoint| {
                    // SAM's name for the stage of its own API.
                    (endpoint.stage, endpoint.base) = ("Prod".to_owned(), BasePath::Stage);
                });
            }
            "HttpApi" => {
                let read = ["Path", "Method", "ApiId", "PayloadFormatVersion", "TimeoutInMillis"];
                say_not_emulated(draft, "an `HttpApi` event", settings, &read);
                let path = text("Path").map_or_else(|| "$default".to_owned(), with_slash);
                let is_1 = is_text(settings.get("PayloadFormatVersion"), "1.0");
                let timeout = milliseconds(draft, "TimeoutInMillis", settings.get("TimeoutInMillis"));
                let kind = if is_1 { EndpointKind::HttpApi1 } else { EndpointKind::HttpApi };
                let route = Route { method, path, timeout, ..Route::all(function) };
                add_route(draft, kind.name(), kind, &place, route, |_| {});
            }
            _ => {}
        }
    }
}

/// Reads an `AWS::Lambda::Url`.
pub(super) fn lambda_url(
    draft: &mut Draft<'_>,
    id: &str,
    place: &Place,
    properties: &Node,
    functions: &[(String, usize)],
) {
    let read: &[&str] = match is_text(properties.get("AuthType"), "NONE") {
        true => &["TargetFunctionArn", "InvokeMode", "AuthType", "Qualifier"],
        false => &["TargetFunctionArn", "InvokeMode", "Qualifier"],
    };
    say_not_emulated(draft, "a function URL", properties, read);
    let Some(target) = properties.get("TargetFunctionArn") else {
        return draft.findings.missing(place, properties, "TargetFunctionArn");
    };
    let function = target_of(draft, target, functions);
    let streamed = is_text(properties.get("InvokeMode"), "RESPONSE_STREAM");
    add_url(draft, id, function, place, streamed);
}

/// The function that a node names: by ARN or name, by the URI of an integration, or by an expression with its logical ID.
fn target_of(draft: &mut Draft<'_>, node: &Node, functions: &[(String, usize)]) -> usize {
    match &node.value {
        Value::Unknown(unknown) => match functions.iter().find(|(id, _)| mentions(node, id)) {
            Some((_, index)) => *index,
            None => draft.function(&unknown.written, &unknown.written),
        },
        _ => {
            let text = node.as_text().unwrap_or_default();
            let arn = text.split_once("/functions/").map_or(text, |(_, rest)| rest);
            let arn = arn.strip_suffix("/invocations").unwrap_or(arn);
            function_named(draft, arn)
        }
    }
}

/// Returns whether a text or an expression has this ID as a word.
fn mentions(node: &Node, id: &str) -> bool {
    let text = match &node.value {
        Value::Unknown(unknown) => unknown.written.as_str(),
        _ => node.as_text().unwrap_or_default(),
    };
    text.split(|c: char| !c.is_ascii_alphanumeric()).any(|word| word == id)
}

/// A resource of `AWS::ApiGatewayV2`: its logical ID, the last part of its type, its place, its properties.
pub(super) type OfApi<'r> = (&'r str, &'r str, &'r Place, &'r Node);

/// Reads the HTTP APIs among resources of `AWS::ApiGatewayV2`.
pub(super) fn api_gateway_v2(draft: &mut Draft<'_>, all: &[OfApi<'_>], functions: &[(String, usize)]) {
    let of_kind = |wanted: &'static str| all.iter().filter(move |(_, kind, ..)| *kind == wanted);
    for (id, _, place, properties) in of_kind("Api") {
        draft.findings.set_part(format!("`{}`", excerpt(id)));
        if is_text(properties.get("ProtocolType"), "WEBSOCKET") {
            draft.findings.warning(place, "WebSocket APIs are not emulated");
            continue;
        }
        let read = ["Name", "ProtocolType", "Description", "Tags", "Target", "RouteKey"];
        say_not_emulated(draft, "an HTTP API", properties, &read);
        let is_own = |properties: &Node| properties.get("ApiId").is_some_and(|api| mentions(api, id));
        let stage = of_kind("Stage").find(|(.., stage)| is_own(stage));
        let stage = stage.and_then(|(.., stage)| stage.get("StageName")?.as_text()).unwrap_or("$default").to_owned();
        if let Some(target) = properties.get("Target") {
            let function = target_of(draft, target, functions);
            let key = properties.get("RouteKey").and_then(Node::as_text).unwrap_or("$default").to_owned();
            add_route_of_key(draft, id, place, &key, EndpointKind::HttpApi, &stage, Route::all(function));
        }
        for (route_id, _, place, route) in of_kind("Route").filter(|(.., route)| is_own(route)) {
            draft.findings.set_part(format!("`{}`", excerpt(route_id)));
            say_not_emulated(draft, "a route", route, &["ApiId", "RouteKey", "Target", "OperationName"]);
            let Some(key) = route.get("RouteKey").and_then(|key| draft.findings.string("RouteKey", key)) else {
                draft.findings.missing(place, route, "RouteKey");
                continue;
            };
            let target = route.get("Target");
            let integration = of_kind("Integration").find(|(id, ..)| target.is_some_and(|target| mentions(target, id)));
            let Some((_, _, _, integration)) = integration else {
                draft.findings.warning(place, "the route is ignored: its integration is not in the template");
                continue;
            };
            let Some(uri) = integration
                .get("IntegrationUri")
                .filter(|_| !is_text(integration.get("IntegrationType"), "HTTP_PROXY"))
            else {
                draft.findings.warning(place, "the route is ignored: its integration is not a function");
                continue;
            };
            let is_1 = is_text(integration.get("PayloadFormatVersion"), "1.0");
            let kind = if is_1 { EndpointKind::HttpApi1 } else { EndpointKind::HttpApi };
            let timeout = milliseconds(draft, "TimeoutInMillis", integration.get("TimeoutInMillis"));
            let function = target_of(draft, uri, functions);
            add_route_of_key(draft, id, place, &key, kind, &stage, Route { timeout, ..Route::all(function) });
        }
    }
    draft.findings.set_part("");
}

/// Adds a route with a key such as `GET /a` or `$default`.
fn add_route_of_key(
    draft: &mut Draft<'_>,
    api: &str,
    place: &Place,
    key: &str,
    kind: EndpointKind,
    stage: &str,
    route: Route,
) {
    let (method, path) = key.split_once(' ').unwrap_or(("ANY", "$default"));
    let route = Route { method: method.to_owned(), path: path.to_owned(), ..route };
    let id = format!("{} {}", kind.name(), excerpt(api));
    add_route(draft, &id, kind, place, route, |endpoint| {
        endpoint.stage = stage.to_owned();
        endpoint.base = if stage == "$default" { BasePath::Root } else { BasePath::Stage };
    });
}
