//! The file format: its keys, their values, and the [`RoutingTable`] that they define. The parts of the file have
//! modules of their own; this one owns the top level.

mod backends;
mod compare;
mod conditions;
mod expectations;
mod fields;
mod forward;
mod migration;
mod mirror;
mod routes;
mod transforms;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use crossfade_document::{Diagnostic, Diagnostics, Node, Options, Place, parse, parse_json};

use crate::backend::Backend;
use crate::backend_url::{self, UrlError};
use crate::expectation::Expectation;
use crate::field_edits::FieldEdits;
use crate::masked::masked;
use crate::reach::Reach;
use crate::read::{Collector, Read};
use crate::select::Index;
use crate::surroundings::Surroundings;
use crate::table::{Action, Forward, HealthCheck, Route, RoutingTable, Target};
use crate::transform::Transforms;
use crate::variables::substitute;

use http::header::HeaderName;

use backends::Backends;

/// The default of `requestId.header`.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The result of checking a configuration.
#[derive(Debug)]
pub struct Checked {
    /// `None` if there are errors.
    pub table: Option<RoutingTable>,
    /// `tests`, for `crossfade test`.
    pub expectations: Vec<Expectation>,
    /// Errors and warnings.
    pub diagnostics: Diagnostics,
}

impl RoutingTable {
    /// Compiles the configuration of a single URL, to which all traffic goes. `source_name` is for messages;
    /// `surroundings` supply the Runtime API's address.
    ///
    /// # Errors
    ///
    /// [`Diagnostics`] with the problem of the URL.
    pub fn from_backend_url(
        url: &str,
        source_name: &str,
        surroundings: &dyn Surroundings,
    ) -> Result<RoutingTable, Diagnostics> {
        of_url("backend", url, false, surroundings).map(RoutingTable::everything_to).map_err(|error| {
            // The URL itself is not shown: it may be a secret that was put there by accident.
            let hint = Some(error.hint.to_owned());
            let list = vec![Diagnostic { place: None, hint, ..Diagnostic::error(Place::new(1, 1), error.message) }];
            Diagnostics::new(source_name, String::new(), list, masked)
        })
    }

    /// Compiles the text of a `crossfade.yaml` (or of equivalent JSON) without looking for warnings.
    ///
    /// # Errors
    ///
    /// [`Diagnostics`] with every error in the text.
    pub fn from_config(
        text: &str,
        source_name: &str,
        surroundings: &dyn Surroundings,
    ) -> Result<RoutingTable, Diagnostics> {
        if let Some(document) = parse_json(text, &|text| substitute(text, surroundings)) {
            let mut diagnostics = Collector::default();
            let table = read(&document, surroundings, false, &mut Vec::new(), &mut diagnostics);
            if let Some(table) = table.filter(|_| !diagnostics.has_errors()) {
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
            disabled: Vec::new(),
            default,
            trusted_hops: 1,
            request_timeout: None,
            request_id_field: REQUEST_ID,
            health_check: HealthCheck::default(),
            plan: None,
            live: None,
        }
    }
}

impl Backend {
    /// Returns a destination for requests of the function's own. It may be link-local.
    ///
    /// # Errors
    ///
    /// The problem of the URL, without the URL.
    pub fn own(name: &str, url: &str, surroundings: &dyn Surroundings) -> Result<Backend, String> {
        of_url(name, url, true, surroundings).map_err(|error| error.message)
    }
}

fn of_url(name: &str, url: &str, link_local: bool, surroundings: &dyn Surroundings) -> Result<Backend, UrlError> {
    let parsed = backend_url::parse(url)?;
    let reach = Reach { scheme: parsed.scheme, link_local, runtime_api: surroundings.runtime_api() };
    match reach.check_host(&parsed.host, parsed.port) {
        Ok(()) => Ok(Backend::new(name, parsed, reach)),
        Err(it) => Err(UrlError { message: format!("the host {it}"), hint: it.hint() }),
    }
}

impl Checked {
    /// Compiles the text of a `crossfade.yaml` and looks for warnings.
    #[must_use]
    pub fn new(text: &str, source_name: &str, surroundings: &dyn Surroundings) -> Checked {
        check(text, source_name, surroundings, true)
    }
}

fn check(text: &str, source_name: &str, surroundings: &dyn Surroundings, with_warnings: bool) -> Checked {
    let mut list = Vec::new();
    let (mut table, mut expectations) = (None, Vec::new());
    let substitute = |text: &str| substitute(text, surroundings);
    let options = Options { file: 0, tag: None, merge: None, substitute: Some(&substitute), mask: masked };
    match parse(text, &options, &mut list) {
        Ok(document) => {
            let mut diagnostics = Collector::default();
            let with_warnings = with_warnings && list.is_empty();
            table = read(&document, surroundings, with_warnings, &mut expectations, &mut diagnostics);
            // Errors that follow from an error in the text itself are not reported again.
            let first: Vec<_> = list.iter().map(|diagnostic: &Diagnostic| diagnostic.place).collect();
            list.extend(
                diagnostics.located(&document).into_iter().filter(|diagnostic| !first.contains(&diagnostic.place)),
            );
        }
        Err(error) => list.push(*error),
    }
    list.sort_by_key(|diagnostic| diagnostic.place);
    // Needed for excerpts only: a function that starts without errors does not keep it.
    let text = if list.is_empty() && !with_warnings { String::new() } else { text.to_owned() };
    let diagnostics = Diagnostics::new(source_name, text, list, masked);
    let table = table.filter(|_| !diagnostics.has_errors());
    Checked { table, expectations, diagnostics }
}

fn read(
    top: &Node,
    surroundings: &dyn Surroundings,
    with_warnings: bool,
    expectations: &mut Vec<Expectation>,
    diagnostics: &mut Collector,
) -> Option<RoutingTable> {
    let [version, backends, routes, default, migration, timeouts, request_id, client_ip, health_check, tests] = top
        .keys(
            diagnostics,
            [
                "version",
                "backends",
                "routes",
                "default",
                "migration",
                "timeouts",
                "requestId",
                "clientIp",
                "healthCheck",
                "tests",
            ],
        )?;
    match version {
        None => top.error(diagnostics, "missing key `version`", Some("start the file with `version: 1`".into())),
        Some(version) => {
            if version.as_text() != Some("1") {
                version.error(diagnostics, "unsupported version, expected 1", None);
            }
        }
    }
    let mut backends = match backends {
        Some(node) => Backends::read(node, surroundings, diagnostics),
        None => {
            let hint = "define at least one: `backends: {legacy: https://…}`";
            top.error(diagnostics, "missing key `backends`", Some(hint.into()));
            Backends::default()
        }
    };
    let read_routes =
        routes.map(|node| routes::read(node, &mut backends, surroundings, diagnostics)).unwrap_or_default();
    let default = match default {
        Some(node) => routes::read_default(node, &mut backends, surroundings, diagnostics),
        None => {
            let hint = "set the target of requests that match no route: `default: {forward: NAME}`";
            top.error(diagnostics, "missing key `default`", Some(hint.into()));
            None
        }
    };
    let all_routes = read_routes.routes.iter().chain(&read_routes.disabled).chain(&default);
    let plan = migration.and_then(|node| migration::read(node, all_routes.clone(), &mut backends, diagnostics));
    if let (Some(node), Some(plan), true) = (migration, &plan, with_warnings && !diagnostics.has_errors()) {
        migration::warn(node, plan, all_routes, diagnostics);
    }
    let request_timeout = timeouts.and_then(|node| {
        let [request] = node.keys(diagnostics, ["request"])?;
        request?.duration(diagnostics)
    });
    let request_id_field = request_id.and_then(|node| {
        let [header] = node.keys(diagnostics, ["header"])?;
        fields::read_request_id(header?, diagnostics)
    });
    let trusted_hops = client_ip.and_then(|node| {
        let [hops] = node.keys(diagnostics, ["trustedHops"])?;
        hops?.whole(diagnostics, 1..=10)
    });
    let health_check = health_check.and_then(|node| {
        let [answer] = node.keys(diagnostics, ["answer"])?;
        answer?.word(diagnostics, &[("function", HealthCheck::Function), ("backend", HealthCheck::Backend)])
    });
    if let Some(node) = tests {
        *expectations = expectations::read(node, &read_routes, &backends, diagnostics);
    }
    if with_warnings && !diagnostics.has_errors() {
        backends.warn_unused(diagnostics);
    }
    let nodes = read_routes.nodes;
    let index = Index::new(&read_routes.routes);
    let table = RoutingTable {
        backends: backends.compiled,
        index,
        routes: read_routes.routes,
        disabled: read_routes.disabled,
        default: default?,
        trusted_hops: trusted_hops.map_or(1, |hops| hops as usize),
        request_timeout,
        request_id_field: request_id_field.unwrap_or(REQUEST_ID),
        health_check: health_check.unwrap_or_default(),
        plan,
        live: None,
    };
    if with_warnings && !diagnostics.has_errors() {
        for (route, by) in table.shadowed() {
            let Some(node) = nodes.get(&route.name) else { continue };
            let priority = by.priority.unwrap_or_default();
            let message =
                format!("this route never matches: `{}` (priority {priority}) matches all of its requests", by.name);
            node.warn(diagnostics, message, Some("give it a lower priority number, or remove it".into()));
        }
        if let (Some(node), Some(limit)) = (timeouts, table.request_timeout) {
            warn_of_late_failover(node, limit, &table, diagnostics);
        }
    }
    Some(table)
}

/// Warns about a `failover` on timeout that cannot happen because `timeouts.request` expires first.
fn warn_of_late_failover(node: &Node, limit: Duration, table: &RoutingTable, diagnostics: &mut Collector) {
    let mut names = BTreeSet::new();
    for route in table.routes.iter().chain([&table.default]) {
        let Action::Forward(Forward { targets, failover: Some(failover), .. }) = &route.action else { continue };
        let backends = targets.iter().filter(|target| target.backend != failover.to).map(|target| target.backend);
        let slow = backends.filter_map(|index| table.backends.get(index));
        let slow = slow.filter(|backend| backend.timeouts.backend_request.is_some_and(|own| own >= limit));
        names.extend(slow.filter(|_| failover.on_timeout).map(|backend| &*backend.name));
    }
    for name in names {
        let message = format!("`{name}` may use all of it, so a timeout leaves no time for `failover`");
        node.warn(diagnostics, message, Some(format!("give `{name}` a shorter `backendRequest`")));
    }
}
