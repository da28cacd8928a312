//! The file format: its keys, their values, and the [`RoutingTable`] that they define. The parts of the file have
//! modules of their own; this one owns the top level.

mod advice;
mod backends;
mod compare;
mod conditions;
mod error_pages;
mod expectations;
mod fields;
mod forward;
mod metrics;
mod migration;
mod mirror;
mod routes;
mod spill;
mod tracing;
mod transforms;
mod warnings;

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crossfade_document::{
    Diagnostic, Diagnostics, Explained, Judgement, Node, Options, Place, Scalar, Severity, explain, may_be_a_mistake,
    parse, parse_json,
};
use crossfade_journal::Names;

use crate::backend::Backend;
use crate::backend_url::{self, UrlError};
use crate::expectation::Expectation;
use crate::field_edits::FieldEdits;
use crate::masked::masked;
use crate::migration::Plan;
use crate::mirror::Share;
use crate::reach::Reach;
use crate::read::{Advice, Collector, Expected, Read};
use crate::select::Index;
use crate::streaming::Streaming;
use crate::surroundings::Surroundings;
use crate::table::{Action, Forward, HealthCheck, Route, RoutingTable, Target};
use crate::tracing::Tracing;
use crate::transform::Transforms;
use crate::variables::substitute;

use http::header::HeaderName;

use backends::Backends;
use routes::Routes;

/// The default of `requestId.header`.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The default of `maintenance.retryAfter`.
const RETRY_AFTER: Duration = Duration::from_secs(300);

/// The result of checking a configuration.
#[derive(Debug)]
pub struct Checked {
    /// `None` if there are errors.
    pub table: Option<RoutingTable>,
    /// `migration`, also if there are errors elsewhere: an abort must not fail for them. Routes with errors are missing in it.
    pub plan: Option<Plan>,
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
    // Within a caller it would be optimised as that is, for speed.
    #[inline(never)]
    pub fn from_config(
        text: &str,
        source_name: &str,
        surroundings: &dyn Surroundings,
    ) -> Result<RoutingTable, Diagnostics> {
        if let Some(document) = parse_json(text, &|text| substitute(text, surroundings)) {
            let mut diagnostics = Collector::default();
            let table = read(&document, surroundings, &mut Vec::new(), &mut diagnostics);
            if let Some(table) = table.filter(|_| !diagnostics.has_errors()) {
                return Ok(table);
            }
        }
        let mut found = examine(text, surroundings, None);
        if let (true, [error]) = (found.is_syntax_error, found.list.as_mut_slice()) {
            error.hint = Some("`crossfade check` names the mistake".to_owned());
        }
        // The text is needed for excerpts only: a function that starts without errors does not keep it.
        found.table.ok_or_else(|| Diagnostics::new(source_name, text.to_owned(), found.list, masked))
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
            compress: None,
            spills: true,
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
            access_log: Share::ALL,
            metrics: None,
            access_names: Names::default(),
            tracing: Tracing::default(),
            error_pages: Vec::new(),
            maintenance_retry_after: RETRY_AFTER,
            streaming: Streaming::default(),
            spill: None,
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
    /// Compiles the text of a `crossfade.yaml`, looks for warnings, and for the mistakes behind its errors.
    #[must_use]
    pub fn new(text: &str, source_name: &str, surroundings: &dyn Surroundings) -> Checked {
        let mut found = examine(text, surroundings, Some(&advice::ADVICE));
        explain_errors(text, &mut found, &|text| examine(text, surroundings, Some(&advice::ADVICE)));
        let Examined { table, plan, expectations, list, .. } = found;
        Checked { table, plan, expectations, diagnostics: Diagnostics::new(source_name, text.to_owned(), list, masked) }
    }
}

/// The content of a text, and its diagnostics in order.
struct Examined {
    /// `None` if there are errors.
    table: Option<RoutingTable>,
    plan: Option<Plan>,
    expectations: Vec<Expectation>,
    list: Vec<Diagnostic>,
    /// The only error hides all others.
    is_syntax_error: bool,
}

impl Examined {
    fn judgement(&self) -> Judgement {
        match self.list.first().and_then(|first| first.place) {
            Some(place) if self.is_syntax_error => Err(place),
            _ => Ok(errors(&self.list).filter_map(line).collect()),
        }
    }
}

fn examine(text: &str, surroundings: &dyn Surroundings, advice: Option<&'static Advice>) -> Examined {
    let mut list = Vec::new();
    let (mut table, mut expectations) = (None, Vec::new());
    let substitute = |text: &str| substitute(text, surroundings);
    let options = Options { file: 0, tag: None, merge: None, substitute: Some(&substitute), mask: masked };
    let document = parse(text, &options, &mut list);
    let is_syntax_error = document.is_err();
    match document {
        Ok(document) => {
            let mut diagnostics = Collector::new(advice.filter(|_| list.is_empty()));
            table = read(&document, surroundings, &mut expectations, &mut diagnostics);
            // Errors that follow from an error in the text itself are not reported again.
            let first: Vec<_> = list.iter().map(|diagnostic: &Diagnostic| diagnostic.place).collect();
            list.extend(
                diagnostics.located(&document).into_iter().filter(|diagnostic| !first.contains(&diagnostic.place)),
            );
        }
        Err(error) => list = vec![*error],
    }
    list.sort_by_key(|diagnostic| diagnostic.place);
    list.dedup();
    let has_errors = errors(&list).next().is_some();
    if has_errors {
        // Warnings are about a valid file, and may follow from the errors.
        list.retain(|diagnostic| diagnostic.severity == Severity::Error);
    }
    let plan = table.as_ref().and_then(|table| table.plan.clone());
    Examined { table: table.filter(|_| !has_errors), plan, expectations, list, is_syntax_error }
}

fn errors(list: &[Diagnostic]) -> impl Iterator<Item = &Diagnostic> {
    list.iter().filter(|diagnostic| diagnostic.severity == Severity::Error)
}

fn line(diagnostic: &Diagnostic) -> Option<u32> {
    diagnostic.place.map(|place| place.line)
}

/// Lines with errors that are explained.
const EXPLAINED: usize = 8;

/// Replaces errors by the mistakes in the text that cause them, where changing a line shows that it does.
fn explain_errors(text: &str, found: &mut Examined, examine: &dyn Fn(&str) -> Examined) {
    let judge = |text: &str| examine(text).judgement();
    if let Err(place) = found.judgement() {
        if !found.list.first().is_some_and(may_be_a_mistake) {
            return;
        }
        let mistakes = syntax_mistakes(text, place, &judge);
        if !mistakes.is_empty() {
            found.list = mistakes;
        }
        return;
    }
    let line = |diagnostic: &Diagnostic| diagnostic.place.map(|place| place.line);
    let errors = |list: &[Diagnostic]| -> Vec<Option<u32>> {
        list.iter().filter(|it| it.severity == Severity::Error).map(line).collect()
    };
    let mut mistakes = Vec::new();
    let mut lines = errors(&found.list);
    lines.dedup();
    for at in lines.into_iter().take(EXPLAINED) {
        if !errors(&found.list).contains(&at) {
            continue;
        }
        let Some(Explained { diagnostic, text: corrected }) =
            at.and_then(|at| explain(text, Place::new(at, 1), masked, &judge))
        else {
            continue;
        };
        let left = examine(&corrected).list;
        let is_left = |error: &Diagnostic| {
            left.iter().any(|other| (line(other), &other.message) == (line(error), &error.message))
        };
        found.list.retain(|error| is_left(error));
        mistakes.push(diagnostic);
    }
    found.list.append(&mut mistakes);
    found.list.sort_by_key(|diagnostic| diagnostic.place);
}

/// Returns the mistake behind a syntax error; all of them if the text can be read without them.
fn syntax_mistakes(text: &str, place: Place, judge: &dyn Fn(&str) -> Judgement) -> Vec<Diagnostic> {
    let (mut mistakes, mut text, mut state, mut is_final) = (Vec::new(), text.to_owned(), Err(place), false);
    for _ in 0..EXPLAINED {
        let Err(place) = state else { break };
        let Some(explained) = explain(&text, place, masked, judge) else { break };
        // A second mistake in a line may come from the change of the first one.
        if !mistakes.iter().any(|mistake| line(mistake) == line(&explained.diagnostic)) {
            mistakes.push(explained.diagnostic);
        }
        // A change that does not help is the last one: a merge conflict.
        if explained.text == text {
            is_final = true;
            break;
        }
        text = explained.text;
        state = judge(&text);
    }
    // A guess that leaves the text unreadable is none, except for the `=` of other formats.
    if state.is_err() && !is_final {
        mistakes.truncate(1);
        mistakes.retain(|mistake| mistake.message.starts_with("`=`"));
    }
    mistakes.sort_by_key(|mistake| mistake.place);
    mistakes
}

fn read(
    top: &Node,
    surroundings: &dyn Surroundings,
    expectations: &mut Vec<Expectation>,
    diagnostics: &mut Collector,
) -> Option<RoutingTable> {
    if top.as_map().is_none() {
        let hint = "start the file with `version: 1`";
        top.error(diagnostics, format!("expected a map, found {}", top.value.kind()), Some(hint.into()));
        return None;
    }
    let [
        version,
        backends,
        routes,
        default,
        migration,
        timeouts,
        request_id,
        client_ip,
        health_check,
        access_log,
        metrics,
        tracing,
        streaming,
        spill,
        error_pages,
        maintenance,
        tests,
    ] = top.keys(
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
            "accessLog",
            "metrics",
            "tracing",
            "streaming",
            "spill",
            "errorPages",
            "maintenance",
            "tests",
        ],
    )?;
    match version {
        None => top.missing(diagnostics, "version", "start the file with `version: 1`"),
        Some(version) => {
            if version.as_text() != Some("1") {
                version.error(diagnostics, "unsupported version, expected 1", Some("write `version: 1`".into()));
            }
        }
    }
    let mut backends = match backends {
        Some(node) => Backends::read(node, surroundings, diagnostics),
        None => {
            top.missing(diagnostics, "backends", "define at least one: `backends: {legacy: https://…}`");
            Backends::default()
        }
    };
    let read_routes =
        routes.map(|node| routes::read(node, &mut backends, surroundings, diagnostics)).unwrap_or_default();
    let default = match default {
        Some(node) => routes::read_default(node, &mut backends, surroundings, diagnostics),
        None => {
            let hint = "set the target of requests that match no route: `default: {forward: NAME}`";
            top.missing(diagnostics, "default", hint);
            None
        }
    };
    let all_routes = read_routes.routes.iter().chain(&read_routes.disabled).chain(&default);
    let plan = migration.and_then(|node| migration::read(node, all_routes.clone(), &mut backends, diagnostics));
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
    let access_log = access_log.and_then(|node| read_access_log(node, diagnostics));
    let metrics = metrics.and_then(|node| metrics::read(node, all_routes, diagnostics));
    let tracing = tracing.and_then(|node| tracing::read(node, diagnostics));
    let error_pages = error_pages.map(|node| error_pages::read(node, surroundings, diagnostics)).unwrap_or_default();
    let retry_after = maintenance.and_then(|node| {
        let [retry_after] = node.keys(diagnostics, ["retryAfter"])?;
        retry_after?.duration(diagnostics)
    });
    let streaming = streaming.and_then(|node| read_streaming(node, diagnostics));
    let spill = spill.and_then(|node| spill::read(node, diagnostics));
    if let Some(node) = tests {
        *expectations = expectations::read(node, &read_routes, &backends, diagnostics);
    }
    let Routes { routes, disabled, nodes, .. } = read_routes;
    let index = Index::new(&routes);
    let table = RoutingTable {
        backends: std::mem::take(&mut backends.compiled),
        index,
        routes,
        disabled,
        default: default?,
        trusted_hops: trusted_hops.map_or(1, |hops| hops as usize),
        request_timeout,
        request_id_field: request_id_field.unwrap_or(REQUEST_ID),
        health_check: health_check.unwrap_or_default(),
        metrics,
        access_log: access_log.map_or(Share::ALL, |(share, _)| share),
        access_names: access_log.map_or_else(Names::default, |(_, names)| names),
        tracing: tracing.unwrap_or_default(),
        streaming: streaming.unwrap_or_default(),
        spill,
        error_pages,
        maintenance_retry_after: retry_after.unwrap_or(RETRY_AFTER),
        plan,
        live: None,
    };
    if let Some(advice) = diagnostics.advice().filter(|_| !diagnostics.has_errors()) {
        (advice.warn)(&table, &Nodes { top, routes: &nodes, backends: &backends }, diagnostics);
    }
    Some(table)
}

/// Reads `true`, `false`, or a share and the names of the members.
fn read_access_log(node: &Node, diagnostics: &mut Collector) -> Option<(Share, Names)> {
    match node.as_scalar().and_then(Scalar::as_bool) {
        Some(true) => Some((Share::ALL, Names::default())),
        Some(false) => Some((Share::NONE, Names::default())),
        None if node.as_scalar().is_some() => {
            let hint = "`false` logs failures only, `{percent: 10}` a tenth of the other requests as well";
            node.expected(diagnostics, "true, false or a map", Some(hint), Expected::Boolean);
            None
        }
        None => {
            let [percent, names] = node.keys(diagnostics, ["percent", "names"])?;
            let share = percent.map_or(Some(Share::ALL), |node| node.share(diagnostics));
            let words = [("crossfade", Names::Crossfade), ("otel", Names::Otel)];
            let names = names.map_or(Some(Names::default()), |node| node.word(diagnostics, &words));
            share.zip(names)
        }
    }
}

/// Reads front ends.
fn read_streaming(node: &Node, diagnostics: &mut Collector) -> Option<Streaming> {
    let names = node.one_or_more(diagnostics)?;
    let fronts = names.iter().filter_map(|name| name.word(diagnostics, &Streaming::WORDS));
    Some(fronts.fold(Streaming::default(), Streaming::with))
}

/// The nodes that a routing table was compiled from.
pub(crate) struct Nodes<'n, 'r> {
    top: &'n Node,
    routes: &'r HashMap<String, &'n Node>,
    backends: &'r Backends<'n>,
}
