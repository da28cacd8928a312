//! Warnings about what the front ends in use (`--front`) cannot do: wait so long, stream, carry a response of ours. Owns the comparison; the
//! limits are the emulator's and those of the event formats.

use std::time::Duration;

use crossfade_document::{Node, Options, parse};
use crossfade_emulator::EndpointKind;
use crossfade_event::{Format, alb, lattice, payload_1, payload_2};
use crossfade_route::{Action, Diagnostic, FixedResponse, Place, Route, RoutingTable, Severity};
use http::Response;
use http::header::CONTENT_TYPE;

use crate::commands::{ALB, front as kind};

/// A front end as `--front` names it; the load balancer has no kind.
#[derive(Clone, Copy, Debug)]
pub(super) struct Front(Option<EndpointKind>);

impl Front {
    pub(super) fn parse(name: &str) -> Result<Self, String> {
        kind(name).map(Front)
    }

    fn name(self) -> &'static str {
        self.0.map_or(ALB, EndpointKind::name)
    }

    fn service(self) -> &'static str {
        self.0.map_or("the load balancer", EndpointKind::service)
    }

    fn format(self) -> &'static Format {
        match self.0 {
            None => &alb::MULTI,
            Some(EndpointKind::RestApi) => &payload_1::REST_API,
            Some(EndpointKind::HttpApi1) => &payload_1::HTTP_API,
            Some(EndpointKind::HttpApi) => &payload_2::HTTP_API,
            Some(EndpointKind::FunctionUrl) => &payload_2::FUNCTION_URL,
            Some(EndpointKind::Lattice1) => &lattice::V1,
            Some(EndpointKind::Lattice) => &lattice::V2,
        }
    }
}

/// Warnings about a file behind these front ends.
pub(super) fn limits(fronts: &[Front], table: &RoutingTable, text: &str) -> Vec<Diagnostic> {
    let options = Options { file: 0, tag: None, merge: None, substitute: None, mask: str::to_owned };
    let top: Option<Node> = parse(text, &options, &mut Vec::new()).ok();
    let warning = |path: &[&str], message: String, hint: &str| {
        // Where the key comes from a merge or an alias, what contains it is named.
        let node = (0..=path.len()).rev().find_map(|end| top.as_ref()?.at(path.get(..end)?));
        Diagnostic {
            severity: Severity::Warning,
            path: path.join("."),
            hint: Some(hint.to_owned()),
            ..Diagnostic::error(node.map_or(Place::new(1, 1), |node| node.place), message)
        }
    };
    let mut findings = Vec::new();
    for name in table.streaming.names() {
        if !fronts.is_empty() && !fronts.iter().any(|front| front.name() == name) {
            let message = format!("no front end of `--front` is a {name}, so nothing is streamed through it");
            let hint =
                "function URLs and REST APIs can stream, if they are set to it; others take whole responses only";
            findings.push(warning(&["streaming"], message, hint));
        }
    }
    for &front in fronts {
        let streams = table.streaming.has(front.name());
        if let Some(limit) = front.0.and_then(EndpointKind::timeout).filter(|_| !streams) {
            let hint = format!("wait for less than {limit:?}, or raise the limit of the API where it can be raised");
            let late = |time: Option<Duration>| time.filter(|time| *time > limit);
            let told = |time: Duration| {
                format!(
                    "{} does not wait for {time:?}: its clients get a 504 or 503 of its own after {limit:?}",
                    front.service()
                )
            };
            findings
                .extend(late(table.request_timeout).map(|time| warning(&["timeouts", "request"], told(time), &hint)));
            for backend in table.backends() {
                let path = ["backends", &*backend.name, "timeouts", "backendRequest"];
                let time = late(backend.timeouts.backend_request);
                findings.extend(time.map(|time| warning(&path, told(time), &hint)));
            }
        }
        for route in table.routes().iter().chain([table.default_route()]) {
            if let Some(problem) = uncarried(front, route) {
                let hint = "make the content smaller, or redirect to it";
                let is_it = |node: &&Node| node.get("name").and_then(Node::as_text) == Some(&route.name);
                let node = top.iter().filter_map(|top| top.get("routes")).flat_map(Node::items).find(is_it);
                let place = node.and_then(|node| node.get("fixedResponse")).map(|node| node.place);
                let finding = warning(&["default"], problem, hint);
                findings.push(Diagnostic {
                    place: place.or(finding.place),
                    path: if place.is_some() { "routes".to_owned() } else { finding.path },
                    route: Some(route.name.clone()),
                    ..finding
                });
            }
        }
    }
    findings
}

/// The reason why a front end cannot carry the response that a route has in the file. None streams a response that is this large.
fn uncarried(front: Front, route: &Route) -> Option<String> {
    let Action::FixedResponse(FixedResponse { status, content_type, body, pages, .. }) = &route.action else {
        return None;
    };
    let contents = [(content_type.as_ref(), body)];
    let contents = contents.into_iter().chain(pages.iter().map(|page| (Some(&page.content_type), &page.body)));
    contents.into_iter().find_map(|(content_type, body)| {
        let mut response = Response::new(body.clone());
        *response.status_mut() = *status;
        if let Some(content_type) = content_type {
            response.headers_mut().insert(CONTENT_TYPE, content_type.clone());
        }
        (front.format().encode)(&response, &mut Vec::new()).err().map(|error| error.to_string())
    })
}
