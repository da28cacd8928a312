//! REST APIs as CloudFormation has them: `AWS::ApiGateway::RestApi`, `Resource`, `Method`, `Deployment` and `Stage`. Owns how
//! they refer to one another and which of their properties are read; a definition in `Body` is `openapi`'s.

use std::collections::BTreeMap;

use super::{
    Api, DEFAULT_STAGE, LeftOut, Resources, add_route, is_text, media_types, milliseconds, sam, say_not_emulated,
    with_slash, words, written,
};
use crate::source::cloudformation::Resource;
use crate::source::draft::Draft;
use crate::source::node::{Node, excerpt};
use crate::{EndpointKind, Route};

pub(super) const API: &str = "AWS::ApiGateway::RestApi";
pub(super) const RESOURCE: &str = "AWS::ApiGateway::Resource";
pub(super) const METHOD: &str = "AWS::ApiGateway::Method";
pub(super) const DEPLOYMENT: &str = "AWS::ApiGateway::Deployment";
pub(super) const STAGE: &str = "AWS::ApiGateway::Stage";

/// The kinds of resources that the property `RestApiId` may name.
const OWNERS: [&str; 2] = [API, sam::API];
/// The most resources within one another: more than a path of API Gateway can have segments.
const MAX_DEPTH: usize = 100;

/// Collects the APIs with their stages.
pub(super) fn apis(draft: &mut Draft<'_>, resources: &Resources<'_>, apis: &mut BTreeMap<String, Api>) {
    let stages = resources.by_owner(STAGE, "RestApiId", &OWNERS);
    let deployments = resources.by_owner(DEPLOYMENT, "RestApiId", &OWNERS);
    for resource in resources.of_kind(API) {
        draft.findings.set_part(format!("`{}`", excerpt(&resource.id)));
        let read = [
            "ApiKeySourceType",
            "BinaryMediaTypes",
            "Body",
            "BodyS3Location",
            "Description",
            "DisableExecuteApiEndpoint",
            "EndpointConfiguration",
            "FailOnWarnings",
            "Mode",
            "Name",
            "Parameters",
            "Tags",
        ];
        say_not_emulated(draft, "a REST API", &resource.properties, &read);
        let own = |all: &BTreeMap<_, Vec<_>>| all.get(&Some(resource.id.as_str())).cloned().unwrap_or_default();
        let name = stage_of(draft, &own(&stages), &own(&deployments));
        let mut api = Api::new(&resource.id, name.as_deref().unwrap_or(DEFAULT_STAGE));
        api.binary_media_types = media_types(draft, "BinaryMediaTypes", resource.properties.get("BinaryMediaTypes"));
        apis.insert(resource.id.clone(), api);
    }
    draft.findings.set_part("");
}

/// The name of an API's stage: the first one, or that of its deployment.
fn stage_of(draft: &mut Draft<'_>, stages: &[&Resource], deployments: &[&Resource]) -> Option<String> {
    for stage in stages {
        let read =
            ["AccessLogSetting", "DeploymentId", "Description", "RestApiId", "StageName", "Tags", "TracingEnabled"];
        say_not_emulated(draft, "a stage", &stage.properties, &read);
    }
    if let [first, second, ..] = stages {
        let shown = first.properties.get("StageName").map_or("the first one", written);
        let message = format!("several stages: paths begin with `{}`", excerpt(shown));
        draft.findings.warning_with_hint(&second.place, message, "`--api-stage NAME` chooses another one");
    }
    let node = stages.iter().chain(deployments).find_map(|resource| resource.properties.get("StageName"))?;
    let node = draft.findings.if_known("StageName", node)?;
    draft.findings.string("StageName", node)
}

/// Reads the methods.
pub(super) fn methods(draft: &mut Draft<'_>, resources: &Resources<'_>, apis: &BTreeMap<String, Api>) {
    let (mut not_functions, mut without_root) = (LeftOut::default(), LeftOut::default());
    for resource in resources.of_kind(METHOD) {
        draft.findings.set_part(format!("`{}`", excerpt(&resource.id)));
        let properties = &resource.properties;
        let read = [
            "AuthorizationType",
            "AuthorizerId",
            "HttpMethod",
            "Integration",
            "MethodResponses",
            "OperationName",
            "RequestModels",
            "RequestParameters",
            "ResourceId",
            "RestApiId",
        ];
        let integration = properties.get("Integration");
        let method = properties.get("HttpMethod").and_then(|node| draft.findings.string("HttpMethod", node));
        let Some(method) = method else {
            draft.findings.missing(&resource.place, properties, "HttpMethod");
            continue;
        };
        let Some(id) = properties.get("RestApiId") else {
            draft.findings.missing(&resource.place, properties, "RestApiId");
            continue;
        };
        let api = match resources.named(Some(id), &OWNERS) {
            Some(owner) => apis.get(&owner.id).cloned(),
            None => Api::elsewhere(draft, "RestApiId", id),
        };
        let Some(api) = api else { continue };
        let Some(path) = path_of(draft, resources, resource, &mut without_root) else { continue };
        let shown = format!("{method} {path}");
        let target = integration
            .filter(|integration| is_text(integration.get("Type"), "AWS_PROXY"))
            .and_then(|integration| resources.integrated(draft, integration.get("Uri")));
        let (Some(integration), Some((function, streams))) = (integration, target) else {
            not_functions.add(&resource.place, &shown);
            continue;
        };
        say_not_emulated(draft, "a method", properties, &read);
        if let Some(kind) = properties.get("AuthorizationType").filter(|kind| !is_text(Some(kind), "NONE")) {
            let hint = "`--lenient` ignores it: requests are then unauthenticated";
            draft.findings.unless_lenient(&kind.place, "`AuthorizationType` of a method is not emulated", hint);
        }
        let streamed = streams || is_text(integration.get("ResponseTransferMode"), "STREAM");
        let timeout = milliseconds(draft, "TimeoutInMillis", integration.get("TimeoutInMillis"));
        let route = Route { method: method.to_ascii_uppercase(), path, streamed, timeout, ..Route::all(function) };
        add_route(draft, &api, EndpointKind::RestApi, &resource.place, route);
    }
    draft.findings.set_part("");
    not_functions.say(
        draft,
        "methods whose integration is not `AWS_PROXY` with a function are left out",
        "only Lambda proxy integrations are emulated",
    );
    without_root.say(
        draft,
        "paths are taken to begin at the root, since these parents of resources are not in the file",
        super::NO_HINT,
    );
}

/// The path of a method, from the resource that it names up to the root.
fn path_of(
    draft: &mut Draft<'_>,
    resources: &Resources<'_>,
    method: &Resource,
    without_root: &mut LeftOut,
) -> Option<String> {
    let mut parts: Vec<String> = Vec::new();
    let mut node = method.properties.get("ResourceId");
    if node.is_none() {
        draft.findings.missing(&method.place, &method.properties, "ResourceId");
        return None;
    }
    while let Some(resource) = resources.named(node, &[RESOURCE]) {
        let part = resource.properties.get("PathPart").and_then(|part| draft.findings.string("PathPart", part));
        let Some(part) = part else {
            draft.findings.missing(&resource.place, &resource.properties, "PathPart");
            return None;
        };
        parts.push(part);
        if parts.len() > MAX_DEPTH {
            draft.findings.error(&method.place, "its resources are circular or nested too deep");
            return None;
        }
        node = resource.properties.get("ParentId");
    }
    let is_root = |node: &Node| words(node).any(|word| word == "RootResourceId");
    if let Some(node) = node.filter(|node| !is_root(node)) {
        without_root.add(&node.place, &draft.findings.reference("ParentId", node)?);
    }
    parts.reverse();
    Some(with_slash(&parts.join("/")))
}
