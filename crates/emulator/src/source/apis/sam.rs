//! SAM: `AWS::Serverless::Api` and `AWS::Serverless::HttpApi` with the defaults of `Globals`, and the events `Api` and `HttpApi` of
//! functions. Owns SAM's defaults, such as the stage of the APIs that it makes of events, and which of its settings are read.

use std::collections::BTreeMap;

use crossfade_document::Place;

use super::{
    Api, DEFAULT_STAGE, LeftOut, Resources, add_route, cors, every_origin, http_api, http_api_of, is_text, media_types,
    milliseconds, rest_api, say_not_emulated, urls, with_slash, words,
};
use crate::source::draft::Draft;
use crate::source::intrinsics::Intrinsics;
use crate::source::node::{Node, Value, excerpt};
use crate::{EndpointKind, Route};

pub(super) const API: &str = "AWS::Serverless::Api";
pub(super) const HTTP_API: &str = "AWS::Serverless::HttpApi";
const FUNCTION: &str = "AWS::Serverless::Function";
/// The logical IDs of the APIs that SAM makes of events.
pub(super) const OWN_API: &str = "ServerlessRestApi";
pub(super) const OWN_HTTP_API: &str = "ServerlessHttpApi";

/// Properties that are read, or change nothing that an emulator could show.
const API_KEYS: [&str; 16] = [
    "AlwaysDeploy",
    "BinaryMediaTypes",
    "DefinitionBody",
    "DefinitionUri",
    "Description",
    "DisableExecuteApiEndpoint",
    "EndpointConfiguration",
    "FailOnWarnings",
    "MergeDefinitions",
    "Mode",
    "Name",
    "OpenApiVersion",
    "PropagateTags",
    "StageName",
    "Tags",
    "TracingEnabled",
];
const HTTP_API_KEYS: [&str; 10] = [
    "CorsConfiguration",
    "DefinitionBody",
    "DefinitionUri",
    "Description",
    "DisableExecuteApiEndpoint",
    "FailOnWarnings",
    "Name",
    "PropagateTags",
    "StageName",
    "Tags",
];

/// Collects the APIs.
pub(super) fn apis(
    draft: &mut Draft<'_>,
    resources: &Resources<'_>,
    intrinsics: &mut Intrinsics<'_>,
    apis: &mut BTreeMap<String, Api>,
) {
    for (id, kind, section, what) in
        [(OWN_API, API, "Api", "`Globals.Api`"), (OWN_HTTP_API, HTTP_API, "HttpApi", "`Globals.HttpApi`")]
    {
        let globals = intrinsics.template.at(&["Globals", section]).and_then(|node| intrinsics.evaluate(node));
        let (read, default) = match kind {
            API => (&API_KEYS[..], "Prod"),
            _ => (&HTTP_API_KEYS[..], DEFAULT_STAGE),
        };
        let (mut binary, mut cross) = (Vec::new(), None);
        if let Some(globals) = &globals {
            draft.findings.set_part("");
            say_not_emulated(draft, what, globals, read);
            binary = media_types(draft, "BinaryMediaTypes", globals.get("BinaryMediaTypes"));
            cross = cors(draft, "CorsConfiguration", globals.get("CorsConfiguration"), &every_origin());
        }
        apis.insert(
            id.to_owned(),
            Api { binary_media_types: binary.clone(), cors: cross.clone(), ..Api::new(id, default) },
        );
        for resource in resources.of_kind(kind) {
            draft.findings.set_part(format!("`{}`", excerpt(&resource.id)));
            let own = &resource.properties;
            say_not_emulated(draft, &format!("an `{kind}`"), own, read);
            let stage = own.get("StageName").filter(|node| !node.is_null());
            if stage.is_none() && kind == API {
                draft.findings.missing(&resource.place, own, "StageName");
            }
            let stage = stage.and_then(|stage| draft.findings.if_known("StageName", stage));
            let stage = stage.and_then(|stage| draft.findings.string("StageName", stage));
            let mut api = Api::new(&resource.id, stage.as_deref().unwrap_or(default));
            api.binary_media_types = media_types(draft, "BinaryMediaTypes", own.get("BinaryMediaTypes"));
            api.binary_media_types.extend_from_slice(&binary);
            api.cors = cross.clone();
            if let Some(own) = own.get("CorsConfiguration") {
                api.cors = cors(draft, "CorsConfiguration", Some(own), &every_origin());
            }
            apis.insert(resource.id.clone(), api);
        }
    }
    draft.findings.set_part("");
}

/// Reads the events and the function URLs of functions.
pub(super) fn functions(
    draft: &mut Draft<'_>,
    resources: &Resources<'_>,
    intrinsics: &mut Intrinsics<'_>,
    apis: &BTreeMap<String, Api>,
) {
    let globals = intrinsics.template.at(&["Globals", "Function", "FunctionUrlConfig"]);
    let globals = globals.and_then(|globals| intrinsics.evaluate(globals));
    let mut others = LeftOut::default();
    for resource in resources.of_kind(FUNCTION) {
        let Some(function) = resources.functions.get(resource.id.as_str()).copied() else { continue };
        draft.findings.set_part(format!("`{}`", excerpt(&resource.id)));
        let url = resource.properties.get("FunctionUrlConfig").or(globals.as_ref());
        if let Some(url) = url.filter(|url| !url.is_null()) {
            urls::of_sam(draft, &resource.id, function, url);
        }
        for (name, event) in resource.properties.get("Events").map_or(&[][..], Node::members) {
            let nothing = Node::plain(event.place, "");
            let settings = event.get("Properties").filter(|settings| !settings.is_null()).unwrap_or(&nothing);
            match event.get("Type").and_then(Node::as_text).unwrap_or_default() {
                "Api" => api_event(draft, resources, apis, function, &name.place, settings),
                "HttpApi" => http_api_event(draft, resources, apis, function, &name.place, settings),
                kind => others.add(&name.place, kind),
            }
        }
    }
    draft.findings.set_part("");
    if !draft.listeners.is_empty() {
        others.say(draft, "these events are not emulated", super::EVENTS_HINT);
    }
}

/// The API that an event belongs to: the one that it names, or the one that SAM makes.
fn api_of(
    draft: &mut Draft<'_>,
    resources: &Resources<'_>,
    apis: &BTreeMap<String, Api>,
    event: &Node,
    (name, own, kinds): (&str, &str, [&str; 2]),
) -> Option<Api> {
    let Some(named) = event.get(name).filter(|named| !named.is_null()) else { return apis.get(own).cloned() };
    let resource = resources.named(Some(named), &kinds).map(|resource| resource.id.as_str());
    let id = resource.or_else(|| words(named).find(|word| *word == own));
    match id.and_then(|id| apis.get(id)) {
        Some(api) => Some(api.clone()),
        None => Api::elsewhere(draft, name, named),
    }
}

fn api_event(
    draft: &mut Draft<'_>,
    resources: &Resources<'_>,
    apis: &BTreeMap<String, Api>,
    function: usize,
    place: &Place,
    settings: &Node,
) {
    let read = ["Path", "Method", "RestApiId", "TimeoutInMillis", "ResponseTransferMode", "RequestModel"];
    say_not_emulated(draft, "an `Api` event", settings, &read);
    let Some(path) = settings.get("Path") else { return draft.findings.missing(place, settings, "Path") };
    let Some(path) = draft.findings.string("Path", path) else { return };
    let route = Route {
        method: method(settings),
        path: with_slash(&path),
        streamed: is_text(settings.get("ResponseTransferMode"), "STREAM"),
        timeout: milliseconds(draft, "TimeoutInMillis", settings.get("TimeoutInMillis")),
        ..Route::all(function)
    };
    let api = api_of(draft, resources, apis, settings, ("RestApiId", OWN_API, [API, rest_api::API]));
    if let Some(api) = api {
        add_route(draft, &api, EndpointKind::RestApi, place, route);
    }
}

fn http_api_event(
    draft: &mut Draft<'_>,
    resources: &Resources<'_>,
    apis: &BTreeMap<String, Api>,
    function: usize,
    place: &Place,
    settings: &Node,
) {
    let read = ["Path", "Method", "ApiId", "PayloadFormatVersion", "TimeoutInMillis"];
    say_not_emulated(draft, "an `HttpApi` event", settings, &read);
    let path = match settings.get("Path") {
        Some(path) => draft.findings.string("Path", path).map(|path| with_slash(&path)),
        None => Some("$default".to_owned()),
    };
    let Some(path) = path else { return };
    // As an OpenAPI definition spells it.
    let path = if path == "/$default" { "$default".to_owned() } else { path };
    let timeout = milliseconds(draft, "TimeoutInMillis", settings.get("TimeoutInMillis"));
    let kind = http_api_of(settings.get("PayloadFormatVersion"));
    let api = api_of(draft, resources, apis, settings, ("ApiId", OWN_HTTP_API, [HTTP_API, http_api::API]));
    if let Some(api) = api {
        add_route(draft, &api, kind, place, Route { method: method(settings), path, timeout, ..Route::all(function) });
    }
}

fn method(settings: &Node) -> String {
    match settings.get("Method").and_then(Node::as_text) {
        None | Some("*" | "x-amazon-apigateway-any-method") => "ANY".to_owned(),
        Some(method) => method.to_ascii_uppercase(),
    }
}

/// The definition of an API, if it is not made of events: in the template, or in a file.
pub(super) fn definition(properties: &Node) -> Option<(&'static str, &Node)> {
    ["DefinitionBody", "DefinitionUri"].into_iter().find_map(|name| {
        let node = properties.get(name).filter(|node| !node.is_null())?;
        Some((name, node)).filter(|(_, node)| !matches!(&node.value, Value::Map(members) if members.is_empty()))
    })
}
