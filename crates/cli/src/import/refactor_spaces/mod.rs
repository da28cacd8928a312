//! Routes of AWS Migration Hub Refactor Spaces as a configuration: the output of `list-routes`, and the URLs of `list-services`.
//!
//! Owns the members of that JSON (`RouteSummary` and `ServiceSummary` in the service's API reference) and the order of routes:
//! Refactor Spaces writes them into a REST API of API Gateway, which prefers literal segments to parameters, and these to child
//! paths. `tests` are derived from the routes as API Gateway chooses among resources, not from the order of the file.

mod samples;

use std::collections::BTreeMap;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::Imported;
use super::conditions::{Atom, escaped, regex};
use super::file::{File, LEFT_OUT, Names, Route};
use super::findings::{Findings, Kind};
use super::yaml::Yaml;

/// Most routes of one application; Refactor Spaces has fewer.
const MAX_ROUTES: usize = 5000;

#[derive(Deserialize)]
struct Output {
    #[serde(rename = "RouteSummaryList")]
    routes: Option<Vec<Summary>>,
    #[serde(rename = "ServiceSummaryList")]
    services: Option<Vec<Service>>,
}

/// `RouteSummary`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Summary {
    route_id: String,
    route_type: String,
    #[serde(default)]
    service_id: String,
    source_path: Option<String>,
    #[serde(default)]
    methods: Vec<String>,
    #[serde(default)]
    include_child_paths: bool,
    #[serde(default)]
    append_source_path: bool,
    #[serde(default)]
    state: String,
}

/// `ServiceSummary`.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Service {
    service_id: String,
    #[serde(default)]
    name: String,
    #[serde(default)]
    endpoint_type: String,
    url_endpoint: Option<UrlEndpoint>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct UrlEndpoint {
    url: String,
}

/// A route with its back end.
#[derive(Debug)]
struct Entry {
    summary: Summary,
    /// Index of the file, line and column of its ID.
    place: (usize, usize, usize),
    segments: Vec<Segment>,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Segment {
    Literal(String),
    Parameter,
}

/// Imports the files. `proxy` is the URL that gets the requests of routes that are not imported.
///
/// # Errors
///
/// A file is something else, or there are no routes.
pub(crate) fn import(files: &[(String, String)], proxy: Option<&str>) -> Result<Imported> {
    let findings = Findings::new(files.iter().map(|(name, _)| name.clone()).collect());
    let (mut entries, mut services) = (Vec::new(), BTreeMap::new());
    for (index, (name, text)) in files.iter().enumerate() {
        let output: Output = serde_json::from_str(text)
            .with_context(|| format!("`{name}` is not the output of `list-routes` or `list-services`"))?;
        if output.routes.is_none() && output.services.is_none() {
            bail!(
                "`{name}` has neither `RouteSummaryList` nor `ServiceSummaryList`\n  hint: run `aws migration-hub-refactor-spaces list-routes`, or `list-services`"
            );
        }
        services.extend(output.services.into_iter().flatten().map(|service| (service.service_id.clone(), service)));
        for summary in output.routes.into_iter().flatten() {
            let place = place(text, index, &summary.route_id);
            let segments = segments(summary.source_path.as_deref().unwrap_or_default());
            entries.push(Entry { summary, place, segments });
        }
    }
    if entries.len() > MAX_ROUTES {
        bail!("more than {MAX_ROUTES} routes");
    }
    let Some(default) = entries.iter().position(|entry| entry.summary.route_type == "DEFAULT") else {
        bail!(
            "the files have no route of the type `DEFAULT`\n  hint: name the output of `list-routes` of one application"
        )
    };
    let default = entries.remove(default);
    entries.sort_by_key(Entry::order);
    let mut writer = Writer {
        services,
        findings,
        backends: Vec::new(),
        names: Names::default(),
        known: BTreeMap::new(),
        proxy: proxy.map(str::to_owned),
    };
    let mut names = Names::default();
    let mut routes = Vec::new();
    for entry in &entries {
        routes.push(writer.route(entry, &mut names));
    }
    let default_route = Route { name: String::new(), conditions: Vec::new(), ..writer.route(&default, &mut names) };
    let requests = samples::requests(&entries, &default, &writer.services);
    let mut file = File { backends: writer.backends, routes, default: default_route, tests: Vec::new() };
    if file.backends.is_empty() {
        file.backends.push(("legacy".to_owned(), Yaml::text("https://legacy.example.com")));
    }
    Ok(Imported { file, findings: writer.findings, requests })
}

impl Entry {
    /// Routes with a lower one come first: segment by segment a literal before a parameter, then the longer path, then the exact one,
    /// then the one with methods.
    fn order(&self) -> (Vec<(u8, String)>, bool, bool) {
        let mut key: Vec<(u8, String)> = self
            .segments
            .iter()
            .map(|segment| match segment {
                Segment::Literal(text) => (0, text.clone()),
                Segment::Parameter => (1, String::new()),
            })
            .collect();
        // The end of a path comes after every segment.
        key.push((2, String::new()));
        (key, self.summary.include_child_paths, self.summary.methods.is_empty())
    }

    fn is_active(&self) -> bool {
        self.summary.state == "ACTIVE" || self.summary.state.is_empty()
    }

    /// Returns true if the route is for this path.
    fn matches(&self, path: &str) -> bool {
        let found: Vec<&str> = path.strip_prefix('/').unwrap_or(path).split('/').collect();
        let is_long = if self.summary.include_child_paths {
            found.len() >= self.segments.len()
        } else {
            found.len() == self.segments.len()
        };
        is_long
            && self.segments.iter().zip(&found).all(|(segment, text)| match segment {
                Segment::Literal(literal) => literal == text,
                Segment::Parameter => !text.is_empty(),
            })
    }

    /// The source path as a regex, without its end.
    fn regex(&self) -> String {
        let segment = |segment: &Segment| match segment {
            Segment::Literal(text) => format!("/{}", escaped(text)),
            Segment::Parameter => "/[^/]+".to_owned(),
        };
        self.segments.iter().map(segment).collect()
    }
}

struct Writer {
    services: BTreeMap<String, Service>,
    findings: Findings,
    backends: Vec<(String, Yaml)>,
    names: Names,
    /// Names of back ends by service.
    known: BTreeMap<String, String>,
    proxy: Option<String>,
}

impl Writer {
    fn route(&mut self, entry: &Entry, names: &mut Names) -> Route {
        let Summary { source_path, methods, include_child_paths, append_source_path, state, route_id, .. } =
            &entry.summary;
        let path = source_path.as_deref().unwrap_or_default();
        let is_literal = entry.segments.iter().all(|segment| matches!(segment, Segment::Literal(_)));
        let mut conditions = Vec::new();
        if !entry.segments.is_empty() {
            let value = match (is_literal, *include_child_paths) {
                (true, true) => Yaml::map([("prefix", Yaml::text(path))]),
                (true, false) => Yaml::map([("exact", Yaml::text(path))]),
                (false, true) => regex(&format!("^{}(/|$)", entry.regex())),
                (false, false) => regex(&format!("^{}$", entry.regex())),
            };
            conditions.push(Atom::Path(vec![value]));
        }
        if !methods.is_empty() {
            conditions.push(Atom::Method(methods.clone()));
            let reason = "a request with another method goes on to the next route that matches";
            self.findings.add(Kind::Differs, entry.place, &format!("Methods {}", methods.join(", ")), reason);
        }
        let mut route =
            Route { name: names.unique(path), comments: vec![format!("{route_id}.")], conditions, body: Vec::new() };
        if !entry.is_active() {
            route.body.push(("enabled".to_owned(), Yaml::Raw("false".to_owned())));
            if state != "INACTIVE" {
                let reason = "the route is neither active nor inactive, so it is imported with `enabled: false`";
                self.findings.add(Kind::Differs, entry.place, &format!("State {state}"), reason);
            }
        }
        match self.backend(entry) {
            Ok(backend) => {
                if !append_source_path && !entry.segments.is_empty() {
                    let entry = match is_literal {
                        true => Yaml::map([("prefix", Yaml::text(path)), ("replace", Yaml::text("/"))]),
                        false => Yaml::map([
                            ("regex", Yaml::text(&format!("^{}/?", entry.regex()))),
                            ("replace", Yaml::text("/")),
                        ]),
                    };
                    route.body.push(("transforms".to_owned(), Yaml::map([("path", entry)])));
                }
                route.body.push(("forward".to_owned(), Yaml::text(&backend)));
            }
            Err(reason) => {
                self.findings.add(Kind::NotImported, entry.place, &format!("{route_id} {path}"), &reason);
                route.comments = vec![format!("{LEFT_OUT}{route_id}: {reason}.")];
                route.body.push(self.instead(route_id));
            }
        }
        route
    }

    fn instead(&mut self, route_id: &str) -> (String, Yaml) {
        let Some(url) = self.proxy.clone() else {
            let body = format!("{route_id} is not imported\n");
            let response =
                [("status", Yaml::number(501)), ("contentType", Yaml::text("text/plain")), ("body", Yaml::text(&body))];
            return ("fixedResponse".to_owned(), Yaml::map(response));
        };
        let name = match self.known.get("") {
            Some(name) => name.clone(),
            None => {
                let name = self.names.unique("proxy");
                self.backends.push((name.clone(), Yaml::text(&url)));
                self.known.insert(String::new(), name.clone());
                name
            }
        };
        ("forward".to_owned(), Yaml::text(&name))
    }

    /// The back end of a route's service.
    fn backend(&mut self, entry: &Entry) -> Result<String, String> {
        let id = &entry.summary.service_id;
        if let Some(name) = self.known.get(id).filter(|_| !id.is_empty()) {
            return Ok(name.clone());
        }
        let service = self.services.get(id).ok_or_else(|| {
            format!("the URL of its service `{id}` is missing: name the output of `list-services` as well")
        })?;
        let url = match &service.url_endpoint {
            Some(endpoint) => endpoint.url.trim_end_matches('/').to_owned(),
            None => {
                return Err(format!(
                    "its service `{}` is a Lambda function ({}): give it a function URL or a rule of the load balancer",
                    service.name, service.endpoint_type
                ));
            }
        };
        crossfade_route::RoutingTable::from_backend_url(&url, "service", &crossfade_route::Nothing).map_err(
            |errors| {
                let message = errors.list.first().map_or("invalid URL", |error| &error.message);
                format!("its service `{}`: {message}", service.name)
            },
        )?;
        let name = self.names.unique(if service.name.is_empty() { id } else { &service.name });
        self.backends.push((name.clone(), Yaml::text(&url)));
        self.known.insert(id.clone(), name.clone());
        Ok(name)
    }
}

fn segments(path: &str) -> Vec<Segment> {
    let segment = |text: &str| match text.starts_with('{') && text.ends_with('}') {
        true => Segment::Parameter,
        false => Segment::Literal(text.to_owned()),
    };
    path.split('/').filter(|segment| !segment.is_empty()).map(segment).collect()
}

/// The place of an ID in a file.
fn place(text: &str, file: usize, id: &str) -> (usize, usize, usize) {
    let at = text.find(&format!("\"{id}\"")).unwrap_or(0);
    let before = text.get(..at).unwrap_or_default();
    let line_start = before.rfind('\n').map_or(0, |at| at + 1);
    (file, before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}
