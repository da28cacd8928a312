//! OpenAPI definitions of APIs with the integrations that API Gateway reads in them: `Body` of REST and HTTP APIs,
//! `DefinitionBody` and `DefinitionUri` of SAM, in the template or in a file beside it. Owns the shapes of the extensions
//! `x-amazon-apigateway-*`; nothing else of OpenAPI has a meaning here.

use std::collections::BTreeMap;

use super::{
    Api, LeftOut, Resources, add_route, cors, every_origin, has_route, http_api, http_api_of, is_off, is_text,
    media_types, milliseconds, rest_api, sam, say_not_emulated,
};
use crate::source::dialect::Dialect;
use crate::source::draft::Draft;
use crate::source::intrinsics::Intrinsics;
use crate::source::node::{self, Node, Value, excerpt};
use crate::{EndpointKind, Route};

const INTEGRATION: &str = "x-amazon-apigateway-integration";
const ANY_METHOD: &str = "x-amazon-apigateway-any-method";
const BINARY: &str = "x-amazon-apigateway-binary-media-types";
const CORS: &str = "x-amazon-apigateway-cors";
const METHODS: [&str; 9] = ["get", "put", "post", "delete", "options", "head", "patch", "trace", ANY_METHOD];
/// Extensions at the top of a definition that are read, or change nothing that an emulator could show.
const READ: [&str; 5] = [
    CORS,
    BINARY,
    "x-amazon-apigateway-documentation",
    "x-amazon-apigateway-importexport-version",
    "x-amazon-apigateway-endpoint-configuration",
];

/// Reads the definitions of all APIs that have one.
pub(super) fn definitions(
    draft: &mut Draft<'_>,
    resources: &Resources<'_>,
    intrinsics: &mut Intrinsics<'_>,
    apis: &BTreeMap<String, Api>,
) {
    let mut left_out = Operations::default();
    for kind in [sam::API, sam::HTTP_API, rest_api::API, http_api::API] {
        for resource in resources.of_kind(kind) {
            let Some(api) = apis.get(&resource.id) else { continue };
            draft.findings.set_part(format!("`{}`", excerpt(&resource.id)));
            let found = match kind {
                sam::API | sam::HTTP_API => sam::definition(&resource.properties),
                _ => ["Body", "BodyS3Location"]
                    .into_iter()
                    .find_map(|name| Some((name, resource.properties.get(name).filter(|node| !node.is_null())?))),
            };
            let Some((name, node)) = found else { continue };
            let read = Definition { api, is_rest: matches!(kind, sam::API | rest_api::API) };
            let raw = intrinsics.template.at(&["Resources", &resource.id, "Properties", name]);
            match located(name, node, raw) {
                Located::Here => read.operations(draft, resources, node, &mut left_out),
                Located::InFile { path, is_part } => {
                    let Some(document) = load(draft, name, node, &path) else { continue };
                    // SAM evaluates functions in a file that a template includes, and none in one that is a definition.
                    let document = if is_part { intrinsics.evaluate(&document) } else { Some(document) };
                    if let Some(document) = document {
                        read.operations(draft, resources, &document, &mut left_out);
                    }
                }
                Located::Elsewhere => {
                    let message = format!("the definition in `{name}` is not here, so its routes are left out");
                    draft.findings.warning_with_hint(
                        &node.place,
                        message,
                        "write it in the template, or name a file beside the template",
                    );
                }
            }
        }
    }
    draft.findings.set_part("");
    left_out.not_functions.say(
        draft,
        "operations whose integration is not `aws_proxy` with a function are left out",
        "only Lambda proxy integrations are emulated",
    );
    left_out.without.say(draft, &format!("operations without `{INTEGRATION}` are left out"), super::NO_HINT);
}

/// The operations that are left out.
#[derive(Default)]
struct Operations {
    not_functions: LeftOut,
    without: LeftOut,
}

/// The place of a definition.
enum Located {
    /// In the template.
    Here,
    /// `is_part` if the template includes the file.
    InFile { path: String, is_part: bool },
    /// In a bucket.
    Elsewhere,
}

fn located(name: &str, node: &Node, raw: Option<&Node>) -> Located {
    let local = |node: Option<&Node>, is_part| match node.and_then(Node::as_text) {
        Some(path) if !path.contains("://") => Located::InFile { path: path.to_owned(), is_part },
        _ => Located::Elsewhere,
    };
    match raw.and_then(Node::only_member) {
        Some(("Fn::Transform", transform)) if is_text(transform.get("Name"), "AWS::Include") => {
            local(transform.at(&["Parameters", "Location"]), true)
        }
        _ if name == "DefinitionUri" => local(Some(node), false),
        _ if matches!(node.value, Value::Map(_)) && name != "BodyS3Location" => Located::Here,
        _ => Located::Elsewhere,
    }
}

fn load(draft: &mut Draft<'_>, name: &str, node: &Node, path: &str) -> Option<Node> {
    let file = draft.folder.join(path);
    let text = match crate::source::text(&file) {
        Ok(text) => text,
        Err(error) => {
            draft.findings.error(&node.place, format!("`{name}`: cannot read `{}`: {error}", excerpt(path)));
            return None;
        }
    };
    let number = draft.files.add(&file.to_string_lossy());
    match node::parse(&text, number, Dialect::of_template(&text)) {
        Ok((document, warnings)) => {
            draft.findings.take_warnings(warnings);
            Some(document)
        }
        Err(malformed) => {
            draft.findings.malformed(&node.place, *malformed);
            None
        }
    }
}

/// A definition that is being read.
struct Definition<'a> {
    api: &'a Api,
    is_rest: bool,
}

impl Definition<'_> {
    fn operations(
        &self,
        draft: &mut Draft<'_>,
        resources: &Resources<'_>,
        definition: &Node,
        left_out: &mut Operations,
    ) {
        let mut api = self.api.clone();
        api.binary_media_types.extend(media_types(draft, BINARY, definition.get(BINARY)));
        if !self.is_rest && definition.get(CORS).is_some() {
            api.cors = cors(draft, CORS, definition.get(CORS), &every_origin());
        }
        let extensions = definition.members().iter();
        let extensions = extensions.filter(|(key, _)| key.name.starts_with("x-amazon-apigateway-")).cloned().collect();
        say_not_emulated(draft, "a definition", &Node::new(definition.place, Value::Map(extensions)), &READ);
        let Some(paths) = definition.get("paths").filter(|paths| !paths.is_null()) else { return };
        for (path, item) in draft.findings.map("paths", paths).unwrap_or_default() {
            for (method, operation) in item.members() {
                if !METHODS.contains(&&*method.name) {
                    continue;
                }
                let (method, place) = match &*method.name {
                    ANY_METHOD => ("ANY".to_owned(), &method.place),
                    name => (name.to_ascii_uppercase(), &method.place),
                };
                let path = match &*path.name {
                    "/$default" if !self.is_rest => "$default".to_owned(),
                    path => path.to_owned(),
                };
                let shown = format!("{method} {path}");
                let Some(integration) = operation.get(INTEGRATION).map(|node| referred(definition, node)) else {
                    // SAM adds the integration of an event.
                    if !has_route(draft, &api, &method, &path) {
                        left_out.without.add(place, &shown);
                    }
                    continue;
                };
                let is_proxy = is_text(integration.get("type"), "aws_proxy");
                let uri = integration.get("uri").filter(|_| is_proxy);
                let Some((function, streams)) = resources.integrated(draft, uri) else {
                    left_out.not_functions.add(place, &shown);
                    continue;
                };
                let security = operation.get("security").or_else(|| definition.get("security"));
                if let Some(security) = security.filter(|security| !is_off(security)) {
                    let hint = "`--lenient` ignores it: requests are then unauthenticated";
                    draft.findings.unless_lenient(&security.place, "`security` of an operation is not emulated", hint);
                }
                let kind = match self.is_rest {
                    true => EndpointKind::RestApi,
                    false => http_api_of(integration.get("payloadFormatVersion")),
                };
                let streamed = self.is_rest && (streams || is_text(integration.get("responseTransferMode"), "STREAM"));
                let timeout = milliseconds(draft, "timeoutInMillis", integration.get("timeoutInMillis"));
                add_route(draft, &api, kind, place, Route { method, path, streamed, timeout, ..Route::all(function) });
            }
        }
    }
}

/// The integration that `$ref` names among the components of a definition.
fn referred<'n>(definition: &'n Node, node: &'n Node) -> &'n Node {
    let reference = node.get("$ref").and_then(Node::as_text).and_then(|reference| reference.strip_prefix("#/"));
    let found = reference.and_then(|reference| definition.at(&reference.split('/').collect::<Vec<_>>()));
    found.unwrap_or(node)
}
