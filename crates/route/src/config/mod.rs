//! The file format: which keys there are, what each may hold, and which [`RoutingTable`] they make. The parts of the file
//! have their own modules; this one owns the top level.

mod backends;
mod compare;
mod conditions;
mod expectations;
mod fields;
mod forward;
mod mirror;
mod routes;
mod transforms;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crossfade_document::{Diagnostic, Diagnostics, Node, Options, Place, parse, parse_json};

use crate::backend_url::{self, UrlMistake};
use crate::expectation::Expectation;
use crate::masked::masked;
use crate::reach::Reach;
use crate::read::{Findings, Read};
use crate::select::Index;
use crate::surroundings::Surroundings;
use crate::table::{Action, Backend, FieldEdits, Forward, HealthCheck, Route, RoutingTable, Target};
use crate::transform::Transforms;
use crate::variables::substitute;

use http::header::HeaderName;

use backends::Backends;

/// `requestId.header` where nothing is said.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What came of a configuration.
#[derive(Debug)]
pub struct Checked {
    /// Absent if there are errors.
    pub table: Option<RoutingTable>,
    /// `tests`, for `crossfade test`.
    pub expectations: Vec<Expectation>,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
}

impl RoutingTable {
    /// The configuration that a single URL stands for: everything goes there. `source_name` is for messages; of the
    /// surroundings the Runtime API's address counts.
    ///
    /// # Errors
    ///
    /// [`Diagnostics`] with the one thing that is wrong with the URL.
    pub fn from_backend_url(
        url: &str,
        source_name: &str,
        surroundings: &dyn Surroundings,
    ) -> Result<RoutingTable, Diagnostics> {
        let parsed = backend_url::parse(url).and_then(|parsed| {
            let reach = Reach::new(parsed.scheme, false, surroundings);
            match reach.check_host(&parsed.host, parsed.port) {
                Ok(()) => Ok(Backend::new("backend", parsed, reach)),
                Err(it) => Err(UrlMistake { message: format!("the host {it}"), hint: it.hint() }),
            }
        });
        parsed.map(RoutingTable::everything_to).map_err(|mistake| {
            // Not the URL: whatever was put there by mistake may be a secret.
            let hint = Some(mistake.hint.to_owned());
            let list = vec![Diagnostic { place: None, hint, ..Diagnostic::error(Place::new(1, 1), mistake.message) }];
            Diagnostics::new(source_name, String::new(), list, masked)
        })
    }

    /// Compiles the text of a `crossfade.yaml` (or of the same in JSON). Warnings are not looked for.
    ///
    /// # Errors
    ///
    /// [`Diagnostics`] with every mistake in the text.
    pub fn from_config(
        text: &str,
        source_name: &str,
        surroundings: &dyn Surroundings,
    ) -> Result<RoutingTable, Diagnostics> {
        if let Some(document) = parse_json(text, &|text| substitute(text, surroundings)) {
            let mut mistakes = Findings::default();
            let table = read(&document, surroundings, false, &mut Vec::new(), &mut mistakes);
            if let Some(table) = table.filter(|_| !mistakes.has_errors()) {
                return Ok(table);
            }
        }
        let Checked { table, diagnostics, .. } = check(text, source_name, surroundings, false);
        table.ok_or(diagnostics)
    }

    fn everything_to(backend: Backend) -> Self {
        let target = Target { backend: 0, name: backend.name.clone(), weight: 1, transforms: Transforms::default() };
        let default = Route {
            name: routes::DEFAULT.to_owned(),
            priority: None,
            requirements: Vec::new(),
            transforms: Transforms::default(),
            action: Action::Forward(Forward { targets: vec![target], sticky: None, opt_in: None, failover: None }),
            request_fields: FieldEdits::default(),
            response_fields: FieldEdits::default(),
            mirror: None,
            uses_groups: false,
        };
        RoutingTable {
            backends: vec![Arc::new(backend)],
            index: Index::default(),
            routes: Vec::new(),
            default,
            trusted_hops: 1,
            request_timeout: None,
            request_id_field: REQUEST_ID,
            health_check: HealthCheck::default(),
        }
    }
}

impl Checked {
    /// Compiles the text of a `crossfade.yaml`, and looks for what can hardly be meant, too.
    #[must_use]
    pub fn new(text: &str, source_name: &str, surroundings: &dyn Surroundings) -> Checked {
        check(text, source_name, surroundings, true)
    }
}

fn check(text: &str, source_name: &str, surroundings: &dyn Surroundings, doubts: bool) -> Checked {
    let mut list = Vec::new();
    let (mut table, mut expectations) = (None, Vec::new());
    let substitute = |text: &str| substitute(text, surroundings);
    let options = Options { file: 0, tag: None, merge: None, substitute: Some(&substitute), mask: masked };
    match parse(text, &options, &mut list) {
        Ok(document) => {
            let mut mistakes = Findings::default();
            let doubts = doubts && list.is_empty();
            table = read(&document, surroundings, doubts, &mut expectations, &mut mistakes);
            // What follows from a mistake in the text itself is not one more.
            let first: Vec<_> = list.iter().map(|mistake: &Diagnostic| mistake.place).collect();
            list.extend(mistakes.located(&document).into_iter().filter(|mistake| !first.contains(&mistake.place)));
        }
        Err(mistake) => list.push(*mistake),
    }
    list.sort_by_key(|diagnostic| diagnostic.place);
    // For excerpts only: a function that starts well has no use for it.
    let text = if list.is_empty() && !doubts { String::new() } else { text.to_owned() };
    let diagnostics = Diagnostics::new(source_name, text, list, masked);
    let table = table.filter(|_| !diagnostics.has_errors());
    Checked { table, expectations, diagnostics }
}

fn read(
    top: &Node,
    surroundings: &dyn Surroundings,
    doubts: bool,
    expectations: &mut Vec<Expectation>,
    mistakes: &mut Findings,
) -> Option<RoutingTable> {
    let [version, backends, routes, default, timeouts, request_id, client_ip, health_check, tests] = top.keys(
        mistakes,
        ["version", "backends", "routes", "default", "timeouts", "requestId", "clientIp", "healthCheck", "tests"],
    )?;
    match version {
        None => top.wrong(mistakes, "`version` is missing", Some("begin the file with `version: 1`".into())),
        Some(version) => {
            if version.as_text() != Some("1") {
                version.wrong(mistakes, "this program reads version 1", None);
            }
        }
    }
    let mut backends = match backends {
        Some(node) => Backends::read(node, surroundings, mistakes),
        None => {
            let hint = "name at least one: `backends: {legacy: https://…}`";
            top.wrong(mistakes, "`backends` is missing", Some(hint.into()));
            Backends::default()
        }
    };
    let read_routes = routes.map(|node| routes::read(node, &mut backends, surroundings, mistakes)).unwrap_or_default();
    let default = match default {
        Some(node) => routes::read_default(node, &mut backends, surroundings, mistakes),
        None => {
            let hint = "say where requests go that meet no route: `default: {forward: NAME}`";
            top.wrong(mistakes, "`default` is missing", Some(hint.into()));
            None
        }
    };
    let request_timeout = timeouts.and_then(|node| {
        let [request] = node.keys(mistakes, ["request"])?;
        request?.duration(mistakes)
    });
    let request_id_field = request_id.and_then(|node| {
        let [header] = node.keys(mistakes, ["header"])?;
        fields::read_request_id(header?, mistakes)
    });
    let trusted_hops = client_ip.and_then(|node| {
        let [hops] = node.keys(mistakes, ["trustedHops"])?;
        hops?.whole(mistakes, 1..=10)
    });
    let health_check = health_check.and_then(|node| {
        let [answer] = node.keys(mistakes, ["answer"])?;
        answer?.word(mistakes, &[("function", HealthCheck::Function), ("backend", HealthCheck::Backend)])
    });
    if let Some(node) = tests {
        *expectations = expectations::read(node, &read_routes, &backends, mistakes);
    }
    if doubts && !mistakes.has_errors() {
        backends.doubt_unused(mistakes);
    }
    let nodes = read_routes.nodes;
    let index = Index::new(&read_routes.routes);
    let table = RoutingTable {
        backends: backends.compiled,
        index,
        routes: read_routes.routes,
        default: default?,
        trusted_hops: trusted_hops.map_or(1, |hops| hops as usize),
        request_timeout,
        request_id_field: request_id_field.unwrap_or(REQUEST_ID),
        health_check: health_check.unwrap_or_default(),
    };
    if doubts && !mistakes.has_errors() {
        for (route, by) in table.shadowed() {
            let Some(node) = nodes.get(&route.name) else { continue };
            let priority = by.priority.unwrap_or_default();
            let message =
                format!("this route can never match: `{}` (priority {priority}) takes all of its requests", by.name);
            node.doubtful(mistakes, message, Some("give it a lower priority number, or remove it".into()));
        }
        if let (Some(node), Some(limit)) = (timeouts, table.request_timeout) {
            doubt_late_failover(node, limit, &table, mistakes);
        }
    }
    Some(table)
}

/// Warns of a `failover` after a timeout that comes only when `timeouts.request` is over.
fn doubt_late_failover(node: &Node, limit: Duration, table: &RoutingTable, mistakes: &mut Findings) {
    let mut names = BTreeSet::new();
    for route in table.routes.iter().chain([&table.default]) {
        let Action::Forward(Forward { targets, failover: Some(failover), .. }) = &route.action else { continue };
        let backends = targets.iter().filter(|target| target.backend != failover.to).map(|target| target.backend);
        let slow = backends.filter_map(|index| table.backends.get(index));
        let slow = slow.filter(|backend| backend.timeouts.backend_request.is_some_and(|own| own >= limit));
        names.extend(slow.filter(|_| failover.on_timeout).map(|backend| &*backend.name));
    }
    for name in names {
        let message = format!("`{name}` may take all of it: after a timeout there no time is left for `failover`");
        node.doubtful(mistakes, message, Some(format!("give `{name}` a shorter `backendRequest`")));
    }
}
