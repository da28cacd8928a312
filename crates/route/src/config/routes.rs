//! `routes` and `default`: conditions and actions.

use std::collections::HashMap;

use bytes::Bytes;
use crossfade_document::Node;
use http::StatusCode;
use http::header::HeaderValue;

use super::backends::{Backends, is_name, read_file};
use super::fields::{self, Side};
use super::{conditions, forward, mirror, transforms};
use crate::field_edits::{FieldEdits, FieldValue};
use crate::read::{Collector, Expected, Read};
use crate::redirect::{Redirect, is_host};
use crate::requirement::Requirement;
use crate::surroundings::Surroundings;
use crate::table::{Action, FixedResponse, Route};
use crate::template::{Groups, Template};
use crate::transform::Transforms;

/// The name of the last route.
pub(super) const DEFAULT: &str = "default";

/// The enabled routes by ascending priority, with their nodes.
#[derive(Debug, Default)]
pub(super) struct Routes<'n> {
    pub(super) routes: Vec<Route>,
    /// The others.
    pub(super) disabled: Vec<Route>,
    pub(super) nodes: HashMap<String, &'n Node>,
    /// `false` if a route or its name could not be read, which has been reported.
    pub(super) is_complete: bool,
}

/// The keys of a route. `default` has those from `forward` on.
const KEYS: [&str; 13] = [
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
    "compress",
    "spill",
    "mirror",
];

pub(super) fn read<'n>(
    node: &'n Node,
    backends: &mut Backends<'n>,
    surroundings: &dyn Surroundings,
    diagnostics: &mut Collector,
) -> Routes<'n> {
    // A key with only comments below it is equivalent to no routes.
    let items = if node.is_empty() { &[] } else { node.list_of(diagnostics, Expected::Routes).unwrap_or_default() };
    let is_complete = node.is_empty() || !items.is_empty();
    let routes = Vec::with_capacity(items.len());
    let mut read = Routes { routes, is_complete, ..Routes::default() };
    let mut priorities: HashMap<u32, &'n Node> = HashMap::new();
    for item in items {
        let Some([name, priority, enabled, parts @ ..]) = item.keys(diagnostics, KEYS) else {
            read.is_complete = false;
            continue;
        };
        let Header { name, priority, enabled } = read_header(item, [name, priority, enabled], diagnostics);
        read.is_complete &= name.is_some();
        if let Some(name) = name
            && let Some(other) = read.nodes.insert(name.to_owned(), item)
        {
            let hint = format!("first used in line {}", other.place.line);
            let shown = item.get("name").map(Node::shown).unwrap_or_default();
            item.error(diagnostics, format!("duplicate route name `{shown}`"), Some(hint));
        }
        if let Some(priority) = priority
            && let Some(other) = priorities.insert(priority, item)
        {
            let hint = format!("first used in line {}", other.place.line);
            item.error(diagnostics, format!("duplicate priority {priority}"), Some(hint));
        }
        let body = read_body(item, true, parts, backends, surroundings, diagnostics);
        if let (Some(body), Some(name), Some(priority)) = (body, name, priority) {
            let route = Route { name: name.to_owned(), priority: Some(priority), ..body };
            if enabled { read.routes.push(route) } else { read.disabled.push(route) }
        }
    }
    read.routes.sort_by_key(|route| route.priority);
    read
}

pub(super) fn read_default<'n>(
    node: &'n Node,
    backends: &mut Backends<'n>,
    surroundings: &dyn Surroundings,
    diagnostics: &mut Collector,
) -> Option<Route> {
    if node.as_text().is_some() {
        let hint = format!("write `default: {{forward: {}}}`", node.shown());
        node.error(diagnostics, "expected a map, found a string", Some(hint));
        return None;
    }
    let [_, _, _, _, known @ ..] = KEYS;
    let [forward, redirect, fixed, transforms, request_headers, response_headers, compress, spill, mirror] =
        node.keys(diagnostics, known)?;
    let parts =
        [None, forward, redirect, fixed, transforms, request_headers, response_headers, compress, spill, mirror];
    read_body(node, false, parts, backends, surroundings, diagnostics)
}

struct Header<'n> {
    name: Option<&'n str>,
    priority: Option<u32>,
    enabled: bool,
}

fn read_header<'n>(
    node: &'n Node,
    [name, priority, enabled]: [Option<&'n Node>; 3],
    diagnostics: &mut Collector,
) -> Header<'n> {
    let name = match name {
        Some(node) => {
            let name = node.text(diagnostics);
            if name.is_some_and(|name| !is_name(name)) {
                node.error(diagnostics, "a route's name may contain only letters, digits, `-`, `_` and `.`", None);
            } else if name == Some(DEFAULT) {
                node.error(diagnostics, "`default` is reserved for the last route", None);
            }
            name
        }
        None => {
            node.missing(diagnostics, "name", "logs and `crossfade explain` refer to routes by name");
            None
        }
    };
    let priority = match priority {
        Some(node) => node.whole(diagnostics, 1..=50_000),
        None => {
            let hint = "routes are evaluated by ascending priority, as in ALB; leave gaps: 10, 20, 30";
            node.missing(diagnostics, "priority", hint);
            None
        }
    };
    let enabled = enabled.and_then(|node| node.boolean(diagnostics)).unwrap_or(true);
    Header { name, priority, enabled }
}

/// Reads everything except name, priority and `enabled`, which are empty in the result.
fn read_body<'n>(
    node: &'n Node,
    is_route: bool,
    parts: [Option<&'n Node>; 10],
    backends: &mut Backends<'n>,
    surroundings: &dyn Surroundings,
    diagnostics: &mut Collector,
) -> Option<Route> {
    let [conditions, forward, redirect, fixed, transforms, request_headers, response_headers, compress, spill, mirror] =
        parts;
    let errors = diagnostics.len();
    let requirements = match conditions {
        Some(node) => conditions::read(node, diagnostics),
        None => Vec::new(),
    };
    let has_errors = diagnostics.len() > errors || diagnostics.is_misnamed(node, "conditions");
    if is_route && conditions.is_none_or(|node| node.as_map().is_some_and(<[_]>::is_empty)) {
        let hint = "add `conditions`; `default` handles all other requests";
        node.warn(diagnostics, "a route without conditions matches every request", Some(hint.into()));
    }
    let groups = match requirements.iter().find_map(Requirement::path_patterns) {
        _ if has_errors => Groups::unknown(),
        Some(patterns) => Groups::of(patterns),
        None => Groups::default(),
    };
    let mut edits = |node: Option<&'n Node>, side| {
        node.map_or_else(FieldEdits::default, |node| fields::read(node, side, &groups, diagnostics))
    };
    let (request_fields, response_fields) =
        (edits(request_headers, Side::Request), edits(response_headers, Side::Response));
    let compiled_transforms = transforms.map_or_else(Transforms::default, |node| transforms::read(node, diagnostics));

    let actions = [("forward", forward), ("redirect", redirect), ("fixedResponse", fixed)];
    let is_misnamed = actions.iter().any(|(key, _)| diagnostics.is_misnamed(node, key));
    let mut given = actions.iter().filter_map(|(key, node)| Some((*key, (*node)?)));
    match (given.next(), given.next()) {
        (None, _) if !is_misnamed => {
            let hint = if is_route { "write `forward: NAME`" } else { "write `default: {forward: NAME}`" };
            node.error(diagnostics, "expected one of forward, redirect, fixedResponse", Some(hint.into()));
        }
        (Some((first, _)), Some((second, node))) => {
            let message = format!("a second action: there is `{first}` already");
            let hint = format!("remove `{first}` or `{second}`, or give each a route of its own");
            node.error(diagnostics, message, Some(hint));
        }
        _ => {}
    }
    if [forward, redirect, fixed].iter().flatten().count() == 1 && forward.is_none() {
        for node in [transforms, request_headers, compress, spill, mirror].into_iter().flatten() {
            node.error(diagnostics, "requires `forward`", None);
        }
    }
    let compress = compress.and_then(|node| node.boolean(diagnostics));
    let spills = spill.and_then(|node| node.boolean(diagnostics)).unwrap_or(true);
    let forward = forward.and_then(|node| forward::read(node, backends, diagnostics));
    let mirror = mirror.and_then(|node| mirror::read(node, forward.as_ref(), &groups, backends, diagnostics));
    let forward = forward.map(Action::Forward);
    let redirect = redirect.and_then(|node| read_redirect(node, &groups, diagnostics)).map(Action::Redirect);
    let fixed = fixed.and_then(|node| read_fixed(node, surroundings, diagnostics)).map(Action::FixedResponse);
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
        compress,
        spills,
        mirror,
        uses_groups,
    })
}

fn read_redirect<'n>(node: &'n Node, groups: &Groups, diagnostics: &mut Collector) -> Option<Redirect> {
    let [protocol, host, port, path, query, status] =
        node.keys(diagnostics, ["protocol", "host", "port", "path", "query", "status"])?;
    // ALB writes them in capitals.
    let (http, https) = (Some("http"), Some("https"));
    let words = [("http", http), ("https", https), ("#{protocol}", None), ("HTTP", http), ("HTTPS", https)];
    let to = protocol.and_then(|node| node.word(diagnostics, &words)).flatten();
    if to.is_none() && [host, port, path].iter().all(Option::is_none) {
        let hint = "set at least one of protocol, host, port and path, as ALB requires";
        node.error(diagnostics, "this redirects to the same URL", Some(hint.into()));
    }
    if let Some(node) = protocol.filter(|_| to == Some("http")) {
        node.warn(diagnostics, "this redirects clients from https to http", Some("redirect to https".into()));
    }
    let words = [
        ("301", StatusCode::MOVED_PERMANENTLY),
        ("302", StatusCode::FOUND),
        ("303", StatusCode::SEE_OTHER),
        ("307", StatusCode::TEMPORARY_REDIRECT),
        ("308", StatusCode::PERMANENT_REDIRECT),
    ];
    let status = status.map_or(Some(StatusCode::FOUND), |node| node.word(diagnostics, &words));
    let mut template = |node: Option<&'n Node>, is_right: fn(&str) -> bool, hint: &str| {
        let node = node?;
        let text = node.text(diagnostics)?;
        if !is_right(text) {
            node.error(diagnostics, format!("`{}` is not allowed here", node.shown()), Some(hint.to_owned()));
        }
        match Template::parse_redirect(&node.pieces(), groups) {
            Ok(template) => Some(template),
            Err(error) => {
                node.error(diagnostics, error.message, Some(error.hint));
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
        // With an error the table is not used.
        status: status.unwrap_or(StatusCode::FOUND),
    };
    if let (Some(node), Some(template)) = (host, &redirect.host)
        && !template.texts().all(|text| text.is_empty() || is_host(text))
    {
        let hint = "write a host without scheme, port and path; use `port` for the port";
        node.error(diagnostics, format!("`{}` is not a valid host", node.shown()), Some(hint.into()));
    }
    Some(redirect)
}

fn is_port(text: &str) -> bool {
    text == "#{port}" || text.parse::<u16>().is_ok_and(|port| port > 0)
}

fn is_visible(text: &str) -> bool {
    text.bytes().all(|byte| byte.is_ascii_graphic())
}

fn read_fixed(node: &Node, surroundings: &dyn Surroundings, diagnostics: &mut Collector) -> Option<FixedResponse> {
    let [status, content_type, body, body_file] =
        node.keys(diagnostics, ["status", "contentType", "body", "bodyFile"])?;
    let status = match status {
        Some(node) => node.whole(diagnostics, 200..=599),
        None => {
            node.missing(diagnostics, "status", "write `status: 503`");
            None
        }
    };
    let content_type = content_type.and_then(|node| read_content_type(node, diagnostics));
    let body = read_content(body, body_file, surroundings, diagnostics);
    let status = u16::try_from(status?).ok().and_then(|status| StatusCode::from_u16(status).ok());
    Some(FixedResponse { status: status?, content_type, body: body?, pages: Vec::new(), is_maintenance: false })
}

pub(super) fn read_content_type(node: &Node, diagnostics: &mut Collector) -> Option<HeaderValue> {
    let value = HeaderValue::from_str(node.text(diagnostics)?).ok();
    if value.is_none() {
        node.error(diagnostics, format!("`{}` is not a content type", node.shown()), None);
    }
    value
}

/// Reads `body` or `bodyFile`.
pub(super) fn read_content(
    body: Option<&Node>,
    body_file: Option<&Node>,
    surroundings: &dyn Surroundings,
    diagnostics: &mut Collector,
) -> Option<Bytes> {
    match (body, body_file) {
        (Some(_), Some(file)) => {
            file.error(diagnostics, "`body` and `bodyFile` are mutually exclusive", None);
            None
        }
        (Some(node), None) => node.text(diagnostics).map(|text| Bytes::copy_from_slice(text.as_bytes())),
        (None, Some(node)) => read_file(node, surroundings, diagnostics).map(Bytes::from),
        (None, None) => Some(Bytes::new()),
    }
}
