//! `routes` and `default`: which requests, and what happens to them.

use std::collections::HashMap;

use bytes::Bytes;
use crossfade_document::Node;
use http::StatusCode;
use http::header::HeaderValue;

use super::backends::{Backends, is_name, read_file};
use super::fields::{self, Side};
use super::{conditions, forward, mirror, transforms};
use crate::read::{Findings, Read};
use crate::redirect::{Redirect, is_host};
use crate::requirement::Requirement;
use crate::surroundings::Surroundings;
use crate::table::{Action, FieldEdits, FieldValue, FixedResponse, Route};
use crate::template::{Groups, Template};
use crate::transform::Transforms;

/// The name of the last route.
pub(super) const DEFAULT: &str = "default";

/// The routes that are enabled, by ascending priority, and where each stands.
#[derive(Debug, Default)]
pub(super) struct Routes<'n> {
    pub(super) routes: Vec<Route>,
    pub(super) nodes: HashMap<String, &'n Node>,
}

pub(super) fn read<'n>(
    node: &'n Node,
    backends: &mut Backends<'n>,
    surroundings: &dyn Surroundings,
    mistakes: &mut Findings,
) -> Routes<'n> {
    // Nothing but comments is as good as no routes.
    let items = if node.is_empty() { &[] } else { node.list(mistakes).unwrap_or_default() };
    let mut read = Routes { routes: Vec::with_capacity(items.len()), nodes: HashMap::new() };
    let mut priorities: HashMap<u32, &'n Node> = HashMap::new();
    for item in items {
        let Some(Header { name, priority, enabled }) = read_header(item, mistakes) else { continue };
        if let Some(name) = name
            && let Some(other) = read.nodes.insert(name.to_owned(), item)
        {
            let hint = format!("the other one begins in line {}", other.place.line);
            let shown = item.get("name").map(Node::shown).unwrap_or_default();
            item.wrong(mistakes, format!("there are two routes `{shown}`"), Some(hint));
        }
        if let Some(priority) = priority
            && let Some(other) = priorities.insert(priority, item)
        {
            let hint = format!("the other one begins in line {}", other.place.line);
            item.wrong(mistakes, format!("there are two routes with priority {priority}"), Some(hint));
        }
        let body = read_body(item, true, backends, surroundings, mistakes);
        if let (Some(body), Some(name), Some(priority)) = (body, name, priority)
            && enabled
        {
            read.routes.push(Route { name: name.to_owned(), priority: Some(priority), ..body });
        }
    }
    read.routes.sort_by_key(|route| route.priority);
    read
}

pub(super) fn read_default<'n>(
    node: &'n Node,
    backends: &mut Backends<'n>,
    surroundings: &dyn Surroundings,
    mistakes: &mut Findings,
) -> Option<Route> {
    if node.as_text().is_some() {
        let hint = format!("write `default: {{forward: {}}}`", node.shown());
        node.wrong(mistakes, "is a text, expected a map", Some(hint));
        return None;
    }
    read_body(node, false, backends, surroundings, mistakes)
}

struct Header<'n> {
    name: Option<&'n str>,
    priority: Option<u32>,
    enabled: bool,
}

fn read_header<'n>(node: &'n Node, mistakes: &mut Findings) -> Option<Header<'n>> {
    node.map(mistakes)?;
    let name = match node.get("name") {
        Some(node) => {
            let name = node.text(mistakes);
            if name.is_some_and(|name| !is_name(name)) {
                node.wrong(mistakes, "a route's name has letters, digits, `-`, `_` and `.` only", None);
            } else if name == Some(DEFAULT) {
                node.wrong(mistakes, "this is the name of the last route, which has no conditions", None);
            }
            name
        }
        None => {
            node.wrong(mistakes, "`name` is missing", Some("name it: logs and `crossfade explain` do, too".into()));
            None
        }
    };
    let priority = match node.get("priority") {
        Some(node) => node.whole(mistakes, 1..=50_000),
        None => {
            let hint = "the lowest is looked at first, as with ALB; leave room: 10, 20, 30";
            node.wrong(mistakes, "`priority` is missing", Some(hint.into()));
            None
        }
    };
    let enabled = node.get("enabled").and_then(|node| node.boolean(mistakes)).unwrap_or(true);
    Some(Header { name, priority, enabled })
}

/// All but name, priority and `enabled`; those are missing in the result. The default has fewer keys.
fn read_body<'n>(
    node: &'n Node,
    is_route: bool,
    backends: &mut Backends<'n>,
    surroundings: &dyn Surroundings,
    mistakes: &mut Findings,
) -> Option<Route> {
    let (conditions, rest) = if is_route {
        let [_, _, _, conditions, rest @ ..] = node.keys(
            mistakes,
            [
                "name",
                "priority",
                "enabled",
                "conditions",
                "forward",
                "redirect",
                "fixedResponse",
                "transforms",
                "requestHeaders",
                "responseHeaders",
                "mirror",
            ],
        )?;
        (conditions, rest)
    } else {
        let keys =
            ["forward", "redirect", "fixedResponse", "transforms", "requestHeaders", "responseHeaders", "mirror"];
        (None, node.keys(mistakes, keys)?)
    };
    let [forward, redirect, fixed, transforms, request_headers, response_headers, mirror] = rest;
    let requirements = match conditions {
        Some(node) => conditions::read(node, mistakes),
        None => Vec::new(),
    };
    if is_route && conditions.is_none_or(|node| node.as_map().is_some_and(<[_]>::is_empty)) {
        let hint = "name `conditions`; for all other requests there is `default`";
        node.doubtful(mistakes, "a route without conditions takes every request", Some(hint.into()));
    }
    let groups = requirements.iter().find_map(Requirement::path_patterns).map(Groups::of).unwrap_or_default();
    let mut edits = |node: Option<&'n Node>, side| {
        node.map_or_else(FieldEdits::default, |node| fields::read(node, side, &groups, mistakes))
    };
    let (request_fields, response_fields) =
        (edits(request_headers, Side::Request), edits(response_headers, Side::Response));
    let compiled_transforms = transforms.map_or_else(Transforms::default, |node| transforms::read(node, mistakes));

    if [forward, redirect, fixed].iter().flatten().count() != 1 {
        let hint = if is_route { "write `forward: NAME`" } else { "write `default: {forward: NAME}`" };
        node.wrong(mistakes, "expected one of forward, redirect, fixedResponse", Some(hint.into()));
    }
    if forward.is_none() {
        for node in [transforms, request_headers, mirror].into_iter().flatten() {
            node.wrong(mistakes, "has no meaning without `forward`", None);
        }
    }
    let forward = forward.and_then(|node| forward::read(node, backends, mistakes));
    let mirror = mirror.and_then(|node| mirror::read(node, forward.as_ref(), &groups, backends, mistakes));
    let forward = forward.map(Action::Forward);
    let redirect = redirect.and_then(|node| read_redirect(node, &groups, mistakes)).map(Action::Redirect);
    let fixed = fixed.and_then(|node| read_fixed(node, surroundings, mistakes)).map(Action::FixedResponse);
    let action = forward.or(redirect).or(fixed)?;

    let has_group = |edits: &FieldEdits| {
        let mut values = edits.set.iter().chain(&edits.add);
        values.any(|(_, value)| matches!(value, FieldValue::Template(template) if template.has_group()))
    };
    let uses_groups = has_group(&request_fields)
        || has_group(&response_fields)
        || mirror.as_ref().is_some_and(|mirror| has_group(&mirror.request_fields))
        || matches!(&action, Action::Redirect(redirect) if redirect.has_group());
    Some(Route {
        name: DEFAULT.to_owned(),
        priority: None,
        requirements,
        transforms: compiled_transforms,
        action,
        request_fields,
        response_fields,
        mirror,
        uses_groups,
    })
}

fn read_redirect<'n>(node: &'n Node, groups: &Groups, mistakes: &mut Findings) -> Option<Redirect> {
    let [protocol, host, port, path, query, status] =
        node.keys(mistakes, ["protocol", "host", "port", "path", "query", "status"])?;
    // ALB writes them in capitals.
    let (http, https) = (Some("http"), Some("https"));
    let words = [("http", http), ("https", https), ("#{protocol}", None), ("HTTP", http), ("HTTPS", https)];
    let to = protocol.and_then(|node| node.word(mistakes, &words)).flatten();
    if to.is_none() && [host, port, path].iter().all(Option::is_none) {
        let hint = "name protocol, host, port or path, as ALB asks for";
        node.wrong(mistakes, "this leads back to the same route", Some(hint.into()));
    }
    if let Some(node) = protocol.filter(|_| to == Some("http")) {
        node.doubtful(mistakes, "this takes clients from https to http", Some("redirect to https".into()));
    }
    let words = [
        ("301", StatusCode::MOVED_PERMANENTLY),
        ("302", StatusCode::FOUND),
        ("303", StatusCode::SEE_OTHER),
        ("307", StatusCode::TEMPORARY_REDIRECT),
        ("308", StatusCode::PERMANENT_REDIRECT),
    ];
    let status = status.map_or(Some(StatusCode::FOUND), |node| node.word(mistakes, &words));
    let mut template = |node: Option<&'n Node>, is_right: fn(&str) -> bool, hint: &str| {
        let node = node?;
        let text = node.text(mistakes)?;
        if !is_right(text) {
            node.wrong(mistakes, format!("`{}` cannot stand here", node.shown()), Some(hint.to_owned()));
        }
        match Template::parse_redirect(&node.pieces(), groups) {
            Ok(template) => Some(template),
            Err(mistake) => {
                node.wrong(mistakes, mistake.message, Some(mistake.hint));
                None
            }
        }
    };
    let redirect = Redirect {
        protocol: to,
        host: template(host, |text| !text.is_empty(), "write a host"),
        port: template(port, is_port, "write a number from 1 to 65535, or #{port}"),
        path: template(
            path,
            |text| text.starts_with('/') && is_visible(text),
            "write a path that begins with `/`, like `/#{path}`",
        ),
        query: template(query, |text| !text.starts_with('?') && is_visible(text), "write it without its `?`"),
        // With a mistake in it the table is not used.
        status: status.unwrap_or(StatusCode::FOUND),
    };
    if let (Some(node), Some(template)) = (host, &redirect.host)
        && !template.texts().all(|text| text.is_empty() || is_host(text))
    {
        let hint = "write a host without scheme, port and path; for the port there is `port`";
        node.wrong(mistakes, format!("`{}` is no host", node.shown()), Some(hint.into()));
    }
    Some(redirect)
}

fn is_port(text: &str) -> bool {
    text == "#{port}" || text.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn read_fixed(node: &Node, surroundings: &dyn Surroundings, mistakes: &mut Findings) -> Option<FixedResponse> {
    let [status, content_type, body, body_file] = node.keys(mistakes, ["status", "contentType", "body", "bodyFile"])?;
    let status = match status {
        Some(node) => node.whole(mistakes, 200..=599),
        None => {
            node.wrong(mistakes, "`status` is missing", Some("write `status: 503`".into()));
            None
        }
    };
    let content_type = content_type.and_then(|node| {
        let value = HeaderValue::from_str(node.text(mistakes)?).ok();
        if value.is_none() {
            node.wrong(mistakes, format!("`{}` is no content type", node.shown()), None);
        }
        value
    });
    let body = match (body, body_file) {
        (Some(_), Some(file)) => {
            file.wrong(mistakes, "`body` and `bodyFile`: keep one", None);
            None
        }
        (Some(node), None) => node.text(mistakes).map(|text| Bytes::copy_from_slice(text.as_bytes())),
        (None, Some(node)) => read_file(node, surroundings, mistakes).map(Bytes::from),
        (None, None) => Some(Bytes::new()),
    };
    let status = u16::try_from(status?).ok().and_then(|status| StatusCode::from_u16(status).ok());
    Some(FixedResponse { status: status?, content_type, body: body? })
}
