//! HTTP APIs as CloudFormation has them: `AWS::ApiGatewayV2::Api`, `Route`, `Integration` and `Stage`. Owns how they refer to one
//! another and which of their properties are read; a definition in `Body` is `openapi`'s.

use std::collections::BTreeMap;

use crossfade_document::Place;

use super::{
    Api, DEFAULT_STAGE, LeftOut, Resources, add_route, cors, every_origin, http_api_of, is_text, milliseconds, sam,
    say_not_emulated, written,
};
use crate::source::draft::Draft;
use crate::source::node::{Node, excerpt};
use crate::{EndpointKind, Route};

pub(super) const API: &str = "AWS::ApiGatewayV2::Api";
pub(super) const ROUTE: &str = "AWS::ApiGatewayV2::Route";
pub(super) const INTEGRATION: &str = "AWS::ApiGatewayV2::Integration";
pub(super) const STAGE: &str = "AWS::ApiGatewayV2::Stage";

/// The kinds of resources that the property `ApiId` may name.
const OWNERS: [&str; 2] = [API, sam::HTTP_API];

/// Collects the APIs with their stages, and reads the targets of those that a quick start makes.
pub(super) fn apis(draft: &mut Draft<'_>, resources: &Resources<'_>, apis: &mut BTreeMap<String, Api>) {
    let stages = resources.by_owner(STAGE, "ApiId", &OWNERS);
    let mut sockets = LeftOut::default();
    for resource in resources.of_kind(API) {
        draft.findings.set_part(format!("`{}`", excerpt(&resource.id)));
        let properties = &resource.properties;
        if is_text(properties.get("ProtocolType"), "WEBSOCKET") {
            sockets.add(&resource.place, &resource.id);
            continue;
        }
        let read = [
            "Body",
            "BodyS3Location",
            "CorsConfiguration",
            "Description",
            "DisableExecuteApiEndpoint",
            "FailOnWarnings",
            "IpAddressType",
            "Name",
            "ProtocolType",
            "RouteKey",
            "Tags",
            "Target",
            "Version",
        ];
        say_not_emulated(draft, "an HTTP API", properties, &read);
        let own = stages.get(&Some(resource.id.as_str())).map_or(&[][..], Vec::as_slice);
        for stage in own {
            let read = ["AccessLogSettings", "ApiId", "AutoDeploy", "DeploymentId", "Description", "StageName", "Tags"];
            say_not_emulated(draft, "a stage", &stage.properties, &read);
        }
        if let [first, second, ..] = own {
            let shown = first.properties.get("StageName").map_or("the first one", written);
            let message = format!("several stages: here the API has the stage `{}`", excerpt(shown));
            draft.findings.warning_with_hint(&second.place, message, "`--api-stage NAME` chooses another one");
        }
        let name = own.iter().find_map(|stage| stage.properties.get("StageName"));
        let name = name.and_then(|name| draft.findings.if_known("StageName", name));
        let name = name.and_then(|name| draft.findings.string("StageName", name));
        let mut api = Api::new(&resource.id, name.as_deref().unwrap_or(DEFAULT_STAGE));
        api.cors = cors(draft, "CorsConfiguration", properties.get("CorsConfiguration"), &every_origin());
        apis.insert(resource.id.clone(), api);
    }
    draft.findings.set_part("");
    sockets.say(draft, "WebSocket APIs are not emulated", super::NO_HINT);
}

/// Reads the routes, and the targets of APIs that a quick start makes.
pub(super) fn routes(draft: &mut Draft<'_>, resources: &Resources<'_>, apis: &BTreeMap<String, Api>) {
    let (mut not_functions, mut unknown) = (LeftOut::default(), LeftOut::default());
    for resource in resources.of_kind(API) {
        let properties = &resource.properties;
        let (Some(target), Some(api)) = (properties.get("Target"), apis.get(&resource.id)) else { continue };
        draft.findings.set_part(format!("`{}`", excerpt(&resource.id)));
        let key = properties.get("RouteKey").and_then(Node::as_text).unwrap_or("$default");
        match resources.integrated(draft, Some(target)) {
            Some((function, _)) => {
                add_route_of_key(draft, api, EndpointKind::HttpApi, &resource.place, key, Route::all(function));
            }
            None => not_functions.add(&resource.place, key),
        }
    }
    for resource in resources.of_kind(ROUTE) {
        draft.findings.set_part(format!("`{}`", excerpt(&resource.id)));
        let (properties, place) = (&resource.properties, &resource.place);
        let owner = resources.named(properties.get("ApiId"), &OWNERS);
        if owner.is_some_and(|owner| is_text(owner.properties.get("ProtocolType"), "WEBSOCKET")) {
            continue;
        }
        let Some(id) = properties.get("ApiId") else {
            draft.findings.missing(place, properties, "ApiId");
            continue;
        };
        let api = match owner {
            Some(owner) => apis.get(&owner.id).cloned(),
            None => Api::elsewhere(draft, "ApiId", id),
        };
        let Some(api) = api else { continue };
        let Some(key) = properties.get("RouteKey").and_then(|key| draft.findings.string("RouteKey", key)) else {
            draft.findings.missing(place, properties, "RouteKey");
            continue;
        };
        let Some(integration) = resources.named(properties.get("Target"), &[INTEGRATION]) else {
            unknown.add(place, &key);
            continue;
        };
        let integration = &integration.properties;
        let is_proxy = !is_text(integration.get("IntegrationType"), "HTTP_PROXY");
        let target = resources.integrated(draft, integration.get("IntegrationUri").filter(|_| is_proxy));
        let Some((function, _)) = target else {
            not_functions.add(place, &key);
            continue;
        };
        say_not_emulated(
            draft,
            "a route",
            properties,
            &["ApiId", "AuthorizerId", "OperationName", "RouteKey", "Target"],
        );
        let timeout = milliseconds(draft, "TimeoutInMillis", integration.get("TimeoutInMillis"));
        let kind = http_api_of(integration.get("PayloadFormatVersion"));
        add_route_of_key(draft, &api, kind, place, &key, Route { timeout, ..Route::all(function) });
    }
    draft.findings.set_part("");
    not_functions.say(
        draft,
        "routes whose integration is not a function are left out",
        "only Lambda proxy integrations are emulated",
    );
    unknown.say(draft, "routes whose integration is not in the file are left out", super::NO_HINT);
}

/// Adds a route with a key such as `GET /a` or `$default`.
fn add_route_of_key(draft: &mut Draft<'_>, api: &Api, kind: EndpointKind, place: &Place, key: &str, route: Route) {
    let (method, path) = key.split_once(' ').unwrap_or(("ANY", "$default"));
    let route = Route { method: method.to_owned(), path: path.to_owned(), ..route };
    add_route(draft, api, kind, place, route);
}
