//! The front ends besides the load balancer in files: the APIs with their routes, the functions that they name, and the notices
//! about what is not emulated. Each source has a module: `events` (the Serverless Framework), `sam`, `rest_api`
//! (`AWS::ApiGateway`), `http_api` (`AWS::ApiGatewayV2`), `urls` (function URLs), `openapi` (definitions of APIs). Owns what they
//! share.

mod events;
mod http_api;
mod openapi;
mod rest_api;
mod sam;
mod urls;

use std::collections::BTreeMap;
use std::time::Duration;

use crossfade_document::Place;

use super::cloudformation::{Resource, function_named};
use super::draft::Draft;
use super::intrinsics::Intrinsics;
use super::node::{Node, Value, excerpt};
use crate::{BasePath, Cors, Endpoint, EndpointKind, Listener, Route};

pub(super) use events::{http_api_event, http_event, provider, stand_ins};
pub(super) use urls::url;

/// The kinds of resources that front ends are made of.
pub(super) const KINDS: [&str; 12] = [
    sam::API,
    sam::HTTP_API,
    rest_api::API,
    rest_api::RESOURCE,
    rest_api::METHOD,
    rest_api::DEPLOYMENT,
    rest_api::STAGE,
    http_api::API,
    http_api::ROUTE,
    http_api::INTEGRATION,
    http_api::STAGE,
    urls::URL,
];

const DOMAIN: &str = "`--base-path PATH` sets the base path of a mapping";
const NO_HINT: &str = "";
/// The kinds of resources that belong to front ends and are not emulated, and what to do instead.
const NOT_EMULATED: [(&str, &str); 18] = [
    ("AWS::ApiGateway::ApiKey", NO_HINT),
    ("AWS::ApiGateway::Authorizer", NO_HINT),
    ("AWS::ApiGateway::BasePathMapping", DOMAIN),
    ("AWS::ApiGateway::BasePathMappingV2", DOMAIN),
    ("AWS::ApiGateway::DomainName", DOMAIN),
    ("AWS::ApiGateway::DomainNameV2", DOMAIN),
    ("AWS::ApiGateway::GatewayResponse", NO_HINT),
    ("AWS::ApiGateway::RequestValidator", NO_HINT),
    ("AWS::ApiGateway::UsagePlan", NO_HINT),
    ("AWS::ApiGateway::VpcLink", NO_HINT),
    ("AWS::ApiGatewayV2::ApiGatewayManagedOverrides", NO_HINT),
    ("AWS::ApiGatewayV2::ApiMapping", DOMAIN),
    ("AWS::ApiGatewayV2::Authorizer", NO_HINT),
    ("AWS::ApiGatewayV2::DomainName", DOMAIN),
    ("AWS::ApiGatewayV2::VpcLink", NO_HINT),
    ("AWS::CloudFront::Distribution", NO_HINT),
    ("AWS::Serverless::Application", "name the nested template with another `--template`"),
    ("AWS::VpcLattice::Service", "`--front lattice` without a file puts VPC Lattice in front of a function"),
];

/// The advice about events that are no requests.
pub(super) const EVENTS_HINT: &str = "only requests invoke functions here; call the handlers of other events in a test";

/// The most places in one notice.
const MOST_NAMED: usize = 6;

/// The APIs that frameworks make of events, by their logical IDs. A listener of one has only its kind as its name.
const MADE_OF_EVENTS: [&str; 4] = [events::REST_API, events::HTTP_API, sam::OWN_API, sam::OWN_HTTP_API];

/// Things that are left out for one reason, which one notice names.
#[derive(Default)]
pub(super) struct LeftOut {
    /// The first place of each, and how many there are.
    all: Vec<(Place, String, usize)>,
    indices: BTreeMap<String, usize>,
}

impl LeftOut {
    pub(super) fn add(&mut self, place: &Place, what: &str) {
        let index = *self.indices.entry(what.to_owned()).or_insert(self.all.len());
        match self.all.get_mut(index) {
            Some((.., count)) => *count = count.saturating_add(1),
            None => self.all.push((*place, excerpt(what), 1)),
        }
    }

    /// Says that they are left out: `why` goes before the colon.
    pub(super) fn say(&self, draft: &mut Draft<'_>, why: &str, hint: &str) {
        let Some((first, ..)) = self.all.first() else { return };
        let mut named: Vec<String> = Vec::new();
        for (place, what, count) in self.all.iter().take(MOST_NAMED) {
            let more = if *count > 1 { format!(" and {} more", count.saturating_sub(1)) } else { String::new() };
            named.push(format!("`{what}` ({}{more})", draft.origin(place)));
        }
        let more = self.all.len().saturating_sub(MOST_NAMED);
        let more = if more > 0 { format!(", and {more} more") } else { String::new() };
        let message = format!("{why}: {}{more}", named.join(", "));
        match hint {
            NO_HINT => draft.findings.warning(first, message),
            hint => draft.findings.warning_with_hint(first, message, hint),
        }
    }

    /// The same as the end of a sentence, without places.
    pub(super) fn kinds(&self) -> String {
        let kinds: Vec<&str> = self.indices.keys().map(String::as_str).collect();
        if kinds.is_empty() { String::new() } else { format!("; not emulated: `{}`", kinds.join("`, `")) }
    }
}

/// The resources of front ends that are not emulated, by their kind.
#[derive(Default)]
pub(super) struct NotEmulated(BTreeMap<usize, LeftOut>);

impl NotEmulated {
    pub(super) fn note(&mut self, kind: &str, place: &Place, id: &str) {
        if let Some(index) = NOT_EMULATED.iter().position(|(known, _)| *known == kind) {
            self.0.entry(index).or_default().add(place, id);
        }
    }

    pub(super) fn say(&self, draft: &mut Draft<'_>) {
        for (index, left_out) in &self.0 {
            let (kind, hint) = NOT_EMULATED.get(*index).copied().unwrap_or_default();
            left_out.say(draft, &format!("`{kind}` is not emulated"), hint);
        }
    }
}

/// Returns whether a kind of resource belongs to a front end besides the load balancer, read or not.
pub(super) fn is_of_front_end(kind: &str) -> bool {
    KINDS.contains(&kind) || NOT_EMULATED.iter().any(|(known, _)| *known == kind)
}

/// The resources that front ends are made of, by their logical IDs.
struct Resources<'r> {
    all: &'r [Resource],
    by_id: BTreeMap<&'r str, &'r Resource>,
    /// The functions of the template, with their indices.
    functions: BTreeMap<&'r str, usize>,
}

impl<'r> Resources<'r> {
    fn of_kind(&self, kind: &'static str) -> impl Iterator<Item = &'r Resource> + use<'r> {
        self.all.iter().filter(move |resource| resource.kind == kind)
    }

    /// The resource of one of these kinds that a reference names.
    fn named(&self, node: Option<&Node>, kinds: &[&str]) -> Option<&'r Resource> {
        words(node?).filter_map(|word| self.by_id.get(word)).find(|resource| kinds.contains(&&*resource.kind)).copied()
    }

    /// The resources of a kind by the resource of `owners` that their property names.
    fn by_owner(
        &self,
        kind: &'static str,
        property: &str,
        owners: &[&str],
    ) -> BTreeMap<Option<&'r str>, Vec<&'r Resource>> {
        let mut all: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for resource in self.of_kind(kind) {
            let owner = self.named(resource.properties.get(property), owners);
            all.entry(owner.map(|owner| owner.id.as_str())).or_default().push(resource);
        }
        all
    }

    /// The function that a node names: by ARN or name, by the URI of an integration, or by an expression with its logical ID.
    fn function(&self, draft: &mut Draft<'_>, node: &Node) -> usize {
        match &node.value {
            Value::Unknown(unknown) => match words(node).find_map(|word| self.functions.get(word)) {
                Some(index) => *index,
                None => draft.function(&unknown.written, &unknown.written),
            },
            _ => {
                let text = node.as_text().unwrap_or_default();
                let arn = text.split_once("/functions/").map_or(text, |(_, rest)| rest);
                let arn = ["/invocations", STREAMING].iter().find_map(|end| arn.strip_suffix(end)).unwrap_or(arn);
                function_named(draft, arn)
            }
        }
    }

    /// The function that an integration's URI names, and whether it is to stream; `None` for another target.
    fn integrated(&self, draft: &mut Draft<'_>, uri: Option<&Node>) -> Option<(usize, bool)> {
        let uri = uri.filter(|uri| !uri.is_null())?;
        let text = written(uri);
        if uri.as_text().is_some() && !text.contains("lambda") && text.contains(['/', ':']) {
            return None;
        }
        Some((self.function(draft, uri), text.contains(STREAMING)))
    }
}

/// The end of the URI of an integration that streams.
const STREAMING: &str = "/response-streaming-invocations";

/// A text, or the expression in its place.
fn written(node: &Node) -> &str {
    match &node.value {
        Value::Unknown(unknown) => unknown.written.as_str(),
        _ => node.as_text().unwrap_or_default(),
    }
}

/// The words of a text or an expression, among which are the logical IDs that it names.
fn words(node: &Node) -> impl Iterator<Item = &str> {
    written(node).split(|c: char| !c.is_ascii_alphanumeric()).filter(|word| !word.is_empty())
}

/// The settings that the routes of an API have in common.
#[derive(Clone)]
struct Api {
    /// The logical ID, or the expression that names an API of another stack.
    id: String,
    stage: String,
    binary_media_types: Vec<String>,
    cors: Option<Cors>,
    /// It is not in the file, so nothing is known of its stages.
    is_elsewhere: bool,
}

impl Api {
    fn new(id: &str, stage: &str) -> Self {
        let (id, stage) = (id.to_owned(), stage.to_owned());
        Api { id, stage, binary_media_types: Vec::new(), cors: None, is_elsewhere: false }
    }

    /// The API that a reference names, if no resource of the file is it.
    fn elsewhere(draft: &mut Draft<'_>, name: &str, reference: &Node) -> Option<Self> {
        let id = draft.findings.reference(name, reference)?;
        Some(Api { is_elsewhere: true, ..Api::new(&id, DEFAULT_STAGE) })
    }

    /// The ID of its listener for a kind of event.
    fn listener(&self, kind: EndpointKind) -> String {
        format!("{} {}", kind.name(), excerpt(&self.id))
    }
}

/// The stage that is not part of paths.
const DEFAULT_STAGE: &str = "$default";

/// Reads the front ends of a template, whose functions are known.
pub(super) fn read(
    draft: &mut Draft<'_>,
    all: &[Resource],
    functions: BTreeMap<&str, usize>,
    intrinsics: &mut Intrinsics<'_>,
) {
    let by_id = all.iter().map(|resource| (resource.id.as_str(), resource)).collect();
    let resources = Resources { all, by_id, functions };
    let mut apis = BTreeMap::new();
    sam::apis(draft, &resources, intrinsics, &mut apis);
    rest_api::apis(draft, &resources, &mut apis);
    http_api::apis(draft, &resources, &mut apis);
    sam::functions(draft, &resources, intrinsics, &apis);
    urls::read(draft, &resources);
    openapi::definitions(draft, &resources, intrinsics, &apis);
    rest_api::methods(draft, &resources, &apis);
    http_api::routes(draft, &resources, &apis);
    let mut unused = LeftOut::default();
    for api in apis.values().filter(|api| !MADE_OF_EVENTS.contains(&api.id.as_str())) {
        let is_used = |kind: EndpointKind| draft.listeners.iter().any(|listener| listener.id == api.listener(kind));
        if !EndpointKind::ALL.into_iter().any(is_used)
            && let Some(resource) = resources.by_id.get(api.id.as_str())
        {
            unused.add(&resource.place, &api.id);
        }
    }
    draft.findings.set_part("");
    unused.say(draft, "APIs without a route to a function are left out", NO_HINT);
}

/// Adds a route, and the API's front end if it is the first one.
fn add_route(draft: &mut Draft<'_>, api: &Api, kind: EndpointKind, place: &Place, route: Route) {
    let id = api.listener(kind);
    let name = if MADE_OF_EVENTS.contains(&api.id.as_str()) { kind.name() } else { &id };
    if api.is_elsewhere {
        let shown = excerpt(&api.id);
        let message =
            format!("the API `{shown}` is not in this file, so its stage is unknown: paths begin at its root");
        let hint = "`--front KIND --api-stage NAME` sets the stage";
        draft.findings.warn_once(place, message, Some(hint.to_owned()));
    }
    let at = listener_of(draft, &id, name, kind, place, |endpoint| {
        endpoint.base = if api.stage == DEFAULT_STAGE { BasePath::Root } else { BasePath::Stage };
        endpoint.stage.clone_from(&api.stage);
        endpoint.binary_media_types.clone_from(&api.binary_media_types);
        endpoint.cors = api.cors.clone().filter(|_| kind != EndpointKind::RestApi);
    });
    let origin = draft.origin(place);
    let listener = draft.listeners.get_mut(at).map(|listener| &mut listener.listener);
    let Some(endpoint) = listener.and_then(|listener| listener.endpoint.as_mut()) else { return };
    if endpoint.routes.iter().any(|other| (&other.method, &other.path) == (&route.method, &route.path)) {
        let message = format!("the route `{} {}` occurs more than once", excerpt(&route.method), excerpt(&route.path));
        return draft.findings.error(place, message);
    }
    endpoint.routes.push(Route { origin, ..route });
}

/// The front end of an API for a kind of event, if it has a route already.
fn endpoint_of<'d>(draft: &'d mut Draft<'_>, api: &Api, kind: EndpointKind) -> Option<&'d mut Endpoint> {
    let id = api.listener(kind);
    draft.listeners.iter_mut().find(|listener| listener.id == id)?.listener.endpoint.as_mut()
}

/// Returns whether the API has a route already.
fn has_route(draft: &Draft<'_>, api: &Api, method: &str, path: &str) -> bool {
    let kinds = [EndpointKind::RestApi, EndpointKind::HttpApi, EndpointKind::HttpApi1];
    let ids = kinds.map(|kind| api.listener(kind));
    let own = draft.listeners.iter().filter(|listener| ids.contains(&listener.id));
    own.filter_map(|listener| listener.listener.endpoint.as_ref())
        .flat_map(|endpoint| &endpoint.routes)
        .any(|route| route.method == method && route.path == path)
}

/// Returns the index of a front end, which is made if it is new.
fn listener_of(
    draft: &mut Draft<'_>,
    id: &str,
    name: &str,
    kind: EndpointKind,
    place: &Place,
    set: impl FnOnce(&mut Endpoint),
) -> usize {
    draft.listeners.iter().position(|listener| listener.id == id).unwrap_or_else(|| {
        let mut endpoint = Endpoint::new(kind, 0);
        endpoint.routes.clear();
        set(&mut endpoint);
        let listener = Listener { name: name.to_owned(), ..Listener::endpoint(endpoint) };
        draft.add_listener(id, listener, place)
    })
}

/// Warns of all settings but these, of each once in a file.
fn say_not_emulated(draft: &mut Draft<'_>, what: &str, node: &Node, read: &[&str]) {
    const CHECKS: [&str; 6] = ["authorizer", "Auth", "AuthType", "AuthorizationType", "authorizationType", "security"];
    for (key, value) in node.members().iter().filter(|(key, value)| !read.contains(&&*key.name) && !value.is_null()) {
        if is_off(value) {
            continue;
        }
        if CHECKS.contains(&&*key.name) {
            let hint = "`--lenient` ignores it: requests are then unauthenticated";
            draft.findings.unless_lenient(&value.place, format!("`{}` of {what} is not emulated", key.name), hint);
        } else {
            let message = format!("`{}` of {what} is not emulated", excerpt(&key.name));
            draft.findings.warn_once(&key.place, message, None);
        }
    }
}

/// Returns whether a setting switches something off: `false`, `NONE`, nothing, or a map of such ones.
fn is_off(node: &Node) -> bool {
    match &node.value {
        Value::Scalar(scalar) => matches!(&*scalar.text, "false" | "NONE" | ""),
        Value::List(items) => items.is_empty(),
        Value::Map(members) => members.iter().all(|(_, value)| is_off(value)),
        Value::Unknown(_) => false,
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

/// The texts of a list of media types, in which only known ones count.
fn media_types(draft: &mut Draft<'_>, name: &str, node: Option<&Node>) -> Vec<String> {
    let node = node.filter(|node| !node.is_null()).and_then(|node| draft.findings.if_known(name, node));
    node.and_then(|node| draft.findings.one_or_more(name, node)).unwrap_or_default()
}

/// The names of cross-origin settings: those of CloudFormation and SAM, of a definition, and of the framework.
const CORS_KEYS: [[&str; 6]; 3] = [
    ["AllowOrigins", "AllowMethods", "AllowHeaders", "ExposeHeaders", "MaxAge", "AllowCredentials"],
    ["allowOrigins", "allowMethods", "allowHeaders", "exposeHeaders", "maxAge", "allowCredentials"],
    ["allowedOrigins", "allowedMethods", "allowedHeaders", "exposedResponseHeaders", "maxAge", "allowCredentials"],
];

/// Reads the cross-origin settings of an HTTP API: a map, or `true` for `every`.
fn cors(draft: &mut Draft<'_>, name: &str, node: Option<&Node>, every: &Cors) -> Option<Cors> {
    let node = node.filter(|node| !is_off(node)).and_then(|node| draft.findings.if_known(name, node))?;
    let Value::Map(members) = &node.value else {
        return draft.findings.boolean(name, node).filter(|is_on| *is_on).map(|_| every.clone());
    };
    let has = |keys: &&[&str; 6]| members.iter().all(|(key, _)| keys.contains(&&*key.name));
    let keys = CORS_KEYS.iter().find(has).unwrap_or(&CORS_KEYS[0]);
    draft.findings.only(name, members, keys);
    let [origins, methods, headers, exposed, age, credentials] = *keys;
    let mut list = |key: &str| match node.get(key).filter(|node| !node.is_null()) {
        Some(values) => draft.findings.one_or_more(key, values).unwrap_or_default(),
        None => Vec::new(),
    };
    Some(Cors {
        allow_origins: list(origins),
        allow_methods: list(methods),
        allow_headers: list(headers),
        expose_headers: list(exposed),
        max_age: node.get(age).and_then(|age| draft.findings.number("MaxAge", age, 0..=86_400)),
        allow_credentials: node.get(credentials).and_then(|node| draft.findings.boolean(credentials, node))
            == Some(true),
    })
}

/// SAM's settings for `CorsConfiguration: true`.
fn every_origin() -> Cors {
    Cors { allow_origins: vec!["*".to_owned()], ..Cors::default() }
}

/// The kind of an HTTP API with this version of its payload.
fn http_api_of(version: Option<&Node>) -> EndpointKind {
    if is_text(version, "1.0") { EndpointKind::HttpApi1 } else { EndpointKind::HttpApi }
}
