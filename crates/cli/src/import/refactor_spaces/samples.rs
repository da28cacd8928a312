//! Requests for the tests of imported routes, and the service that Refactor Spaces sends each to, by the routes themselves.

use std::collections::{BTreeMap, BTreeSet};

use super::{Entry, Segment, Service};
use crate::import::expected::{Answer, Request};

/// Most requests for one application.
const MAX_REQUESTS: usize = 300;

pub(super) fn requests(
    entries: &[Entry],
    default: &Entry,
    services: &BTreeMap<String, Service>,
) -> Vec<(Request, Answer)> {
    let mut paths = vec!["/".to_owned(), "/no-such-path".to_owned()];
    for entry in entries {
        let segment = |segment: &Segment| match segment {
            Segment::Literal(text) => format!("/{text}"),
            Segment::Parameter => "/x".to_owned(),
        };
        let path: String = entry.segments.iter().map(segment).collect();
        paths.extend([format!("{path}/child"), format!("{path}x"), path]);
    }
    let mut requests: Vec<(Request, Answer)> = Vec::new();
    for path in paths {
        for method in ["GET", "POST"] {
            let request = Request {
                is_https: true,
                host: "www.example.com".to_owned(),
                path: path.clone(),
                method: method.to_owned(),
                ..Request::default()
            };
            if requests.len() < MAX_REQUESTS && !requests.iter().any(|(known, _)| *known == request) {
                let answer = answer(&request, entries, default, services);
                requests.push((request, answer));
            }
        }
    }
    requests
}

/// API Gateway compares the path with all resources segment by segment; the most specific one that matches is chosen.
fn answer(request: &Request, entries: &[Entry], default: &Entry, services: &BTreeMap<String, Service>) -> Answer {
    let is_for = |entry: &&Entry| {
        let methods = &entry.summary.methods;
        entry.is_active() && entry.matches(&request.path) && (methods.is_empty() || methods.contains(&request.method))
    };
    let literals =
        |entry: &Entry| -> Vec<bool> { entry.segments.iter().map(|it| matches!(it, Segment::Literal(_))).collect() };
    // Both match, so at the first segment that differs one of them has a literal, or ends.
    let better = |a: &&Entry, b: &&Entry| {
        let key =
            |entry: &Entry| (literals(entry), !entry.summary.include_child_paths, !entry.summary.methods.is_empty());
        key(a).cmp(&key(b))
    };
    let entry = entries.iter().filter(is_for).max_by(better).unwrap_or(default);
    let Some(url) = services.get(&entry.summary.service_id).and_then(|service| service.url_endpoint.as_ref()) else {
        return Answer::Foreign;
    };
    let url = url.url.trim_end_matches('/');
    let base_at = url.find("://").map_or(0, |at| at + 3);
    let base = url[base_at..].find('/').map_or("", |at| &url[base_at + at..]);
    let path = match entry.summary.append_source_path || entry.segments.is_empty() {
        true => request.path.clone(),
        false => {
            let rest: Vec<&str> = request.path.split('/').skip(1 + entry.segments.len()).collect();
            format!("/{}", rest.join("/"))
        }
    };
    Answer::From { servers: BTreeSet::from([url.to_owned()]), path: format!("{base}{path}") }
}
