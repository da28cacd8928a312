//! Warnings about a valid file: it does what it says, but probably not what its author wants.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crossfade_document::{Node, Scalar, Value, to_ascii};

use super::Nodes;
use crate::backend::{Backend, HostHeader};
use crate::read::{Collector, Read};
use crate::scheme::Scheme;
use crate::sticky::StickyKey;
use crate::table::{Action, Forward, Route, RoutingTable};

pub(super) fn warn(table: &RoutingTable, nodes: &Nodes<'_, '_>, diagnostics: &mut Collector) {
    for (name, node) in nodes.backends.unused() {
        node.warn(diagnostics, format!("no route uses `{name}`"), None);
    }
    // Without errors, both have all of them.
    for (backend, node) in table.backends.iter().zip(nodes.backends.nodes()) {
        plain_text(backend, node, diagnostics);
        foreign_host(backend, node, diagnostics);
    }
    for route in table.routes.iter().chain([&table.default]) {
        let node = nodes.routes.get(&route.name).copied().or_else(|| nodes.top.get(&route.name));
        if let (Action::Forward(forward), Some(node)) = (&route.action, node.and_then(|node| node.get("forward"))) {
            alternating(forward, node, diagnostics);
        }
    }
    if table.spill.is_none() {
        spilling_nowhere(nodes.top, diagnostics);
    }
    for (route, by) in table.shadowed() {
        if let Some(node) = nodes.routes.get(&route.name) {
            shadowed(node, by, diagnostics);
        }
    }
    for conditions in nodes.top.get("routes").into_iter().flat_map(Node::items).filter_map(|it| it.get("conditions")) {
        misread(conditions, diagnostics);
    }
    late_failover(table, nodes.top, diagnostics);
    migrating(table, nodes.top, diagnostics);
    look_alikes(nodes.top, diagnostics);
}

/// `spill: true` of routes, without a bucket.
fn spilling_nowhere(top: &Node, diagnostics: &mut Collector) {
    let routes = top.get("routes").into_iter().flat_map(Node::items).chain(top.get("default"));
    for node in routes.filter_map(|route| route.get("spill")) {
        if node.as_scalar().and_then(Scalar::as_bool) == Some(true) {
            let hint = "name one: `spill: {bucket: NAME}` at the top of the file";
            node.warn(diagnostics, "there is no bucket for large responses", Some(hint.into()));
        }
    }
}

/// Services of AWS that find what to serve by `Host`: domain, the label after the first one, and name.
const BY_HOST: [(&str, Option<&str>, &str); 4] = [
    (".on.aws", Some("lambda-url"), "a function URL"),
    (".on.aws", Some("lambda-web"), "a Web Function"),
    (".amazonaws.com", Some("execute-api"), "API Gateway"),
    (".cloudfront.net", None, "CloudFront"),
];

/// A back end that rejects every `Host` but its own names.
fn foreign_host(backend: &Backend, node: &Node, diagnostics: &mut Collector) {
    let is_own = match &backend.host_header {
        HostHeader::Backend => true,
        HostHeader::Preserve => false,
        HostHeader::Literal(value) => value.as_bytes().eq_ignore_ascii_case(backend.authority.as_bytes()),
    };
    let host = backend.host.as_str();
    let is_by_host = |(domain, label, _): &&(&str, Option<&str>, &str)| {
        host.ends_with(domain) && label.is_none_or(|label| host.split('.').nth(1) == Some(label))
    };
    if !is_own
        && let Some((.., service)) = BY_HOST.iter().find(is_by_host)
        && let Some(node) = node.get("hostHeader")
    {
        let message = format!("{service} rejects a `Host` that is not one of its own names");
        let hint = "use `hostHeader: backend`, unless it has this host as a custom domain name";
        node.warn(diagnostics, message, Some(hint.into()));
    }
}

/// Conditions in the syntax of other tools, which mean something else here.
fn misread(conditions: &Node, diagnostics: &mut Collector) {
    for method in values(conditions.get("method")) {
        match own_text(method) {
            Some("ANY" | "ALL" | "*") => {
                let hint = "remove it: without `method`, a route matches every method";
                method.warn(diagnostics, "no request has this method", Some(hint.into()));
            }
            Some(text) if text.contains('|') => {
                let hint = format!("write `method: [{}]`", text.replace('|', ", "));
                method.warn(diagnostics, "no request has this method", Some(hint));
            }
            _ => {}
        }
    }
    for path in values(conditions.get("path")) {
        if let Some(prefix) = path.get("prefix")
            && let Some(text) = own_text(prefix).filter(|text| text.contains('*'))
        {
            let hint = match text.strip_suffix('*').filter(|rest| !rest.contains('*')) {
                Some(rest) => {
                    format!("write `prefix: {}`", if rest == "/" { rest } else { rest.trim_end_matches('/') })
                }
                None => "to use wildcards, write the path without `prefix`".into(),
            };
            prefix.warn(diagnostics, "`*` is an ordinary character in a prefix", Some(hint));
        }
        if own_text(path).is_some_and(|text| text.ends_with(',')) {
            path.warn(diagnostics, "the comma is part of the path", Some("remove it".into()));
        }
        let Some(regex) = path.get("regex") else { continue };
        if let Some(text) = own_text(regex).and_then(|text| text.strip_prefix("/^")) {
            let inner = text.strip_suffix('/').unwrap_or(text).replace("\\/", "/");
            let hint = format!("write `regex: '^{}'`", inner.replace('\'', "''"));
            regex.warn(diagnostics, "never matches: the slash before `^` is part of the regex", Some(hint));
        }
    }
    for query in values(conditions.get("query")) {
        let Some((key, value)) = own_text(query).and_then(|text| text.split_once('=')) else { continue };
        let key = key.trim_start_matches('?');
        // A value may contain `=`, as in Base64, but not begin with a key.
        if !key.is_empty() && !value.is_empty() && !value.contains('=') {
            let hint = format!("to match a key and its value, write `query: {{{key}: \"{value}\"}}`");
            query.warn(diagnostics, "a text is compared with the values of all keys", Some(hint));
        }
    }
    control_characters(conditions, diagnostics);
    let nested = conditions.get("anyOf").into_iter().flat_map(Node::items).chain(conditions.get("not"));
    nested.for_each(|conditions| misread(conditions, diagnostics));
}

/// Returns a text of the file. Values from the environment are not shown.
fn own_text(node: &Node) -> Option<&str> {
    node.as_scalar().filter(|scalar| scalar.written.is_none())?;
    node.as_text()
}

fn values(node: Option<&Node>) -> &[Node] {
    match node {
        Some(Node { value: Value::List(items), .. }) => items,
        Some(node) => std::slice::from_ref(node),
        None => &[],
    }
}

/// `"\b"` in double quotes is a backspace.
fn control_characters(node: &Node, diagnostics: &mut Collector) {
    node.items().iter().for_each(|item| control_characters(item, diagnostics));
    for (key, member) in node.members() {
        // These have conditions of their own.
        if !matches!(&*key.name, "anyOf" | "not") {
            control_characters(member, diagnostics);
        }
    }
    if node.as_text().is_some_and(|text| text.contains(char::is_control)) {
        let hint = "a backslash in double quotes is an escape sequence: use single quotes";
        node.warn(diagnostics, "never matches: a control character cannot occur here", Some(hint.into()));
    }
}

/// Unquoted values that begin or end with a character that looks like another one, such as a typographic quote. They
/// are part of the value.
fn look_alikes(node: &Node, diagnostics: &mut Collector) {
    node.items().iter().for_each(|item| look_alikes(item, diagnostics));
    node.members().iter().for_each(|(_, member)| look_alikes(member, diagnostics));
    let Some(scalar) = node.as_scalar().filter(|scalar| scalar.is_plain && scalar.written.is_none()) else { return };
    let ends = [scalar.text.chars().next(), scalar.text.chars().next_back()];
    let is_odd = ends.into_iter().flatten().any(|c| to_ascii(c.encode_utf8(&mut [0; 4])).is_some());
    if let Some((_, _, name)) = to_ascii(&scalar.text).filter(|_| is_odd) {
        let hint =
            "type the character of the keyboard; if this one belongs to the value, put the whole value in quotes";
        node.warn(diagnostics, format!("{name} is part of this value"), Some(hint.into()));
    }
}

fn shadowed(node: &Node, by: &Route, diagnostics: &mut Collector) {
    let priority = by.priority.unwrap_or_default();
    let message = format!("this route never matches: `{}` (priority {priority}) matches all of its requests", by.name);
    node.warn(diagnostics, message, Some("give it a lower priority number, or remove it".into()));
}

/// A `failover` on timeout that cannot happen because `timeouts.request` expires first.
fn late_failover(table: &RoutingTable, top: &Node, diagnostics: &mut Collector) {
    let (Some(node), Some(limit)) = (top.get("timeouts"), table.request_timeout) else { return };
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

/// Requests of one user that go to different systems by chance.
fn alternating(forward: &Forward, node: &Node, diagnostics: &mut Collector) {
    let mut weighted = forward.targets.iter().filter(|target| target.weight > 0);
    let (Some(one), Some(other)) = (weighted.next(), weighted.next()) else { return };
    let Some(sticky) = &forward.sticky else {
        let message = format!("each request of a user goes to `{}` or `{}` by chance", one.name, other.name);
        let hint = "keep users on one system: add `sticky: {by: assigned}` or `sticky: {by: {cookie: NAME}, otherwise: TARGET}`";
        node.get("targets").unwrap_or(node).warn(diagnostics, message, Some(hint.into()));
        return;
    };
    let part = match &sticky.by {
        StickyKey::Cookie(_) => "cookie",
        StickyKey::Header(_) => "header",
        StickyKey::Query(_) => "query key",
        StickyKey::JwtClaim { .. } => "claim",
        // Every request has one.
        StickyKey::Ip | StickyKey::Assigned { .. } => return,
    };
    if sticky.otherwise.is_none() {
        let message = format!("each request without this {part} goes to `{}` or `{}` by chance", one.name, other.name);
        let hint = format!("send them to one system: `otherwise: {}`", one.name);
        node.get("sticky").unwrap_or(node).warn(diagnostics, message, Some(hint));
    }
}

/// Routes of a migration where moving users is not what it seems.
fn migrating(table: &RoutingTable, top: &Node, diagnostics: &mut Collector) {
    let (Some(plan), Some(node)) = (&table.plan, top.get("migration")) else { return };
    let all = table.routes.iter().chain(&table.disabled).chain([&table.default]);
    for route in all.filter(|route| plan.routes.contains(&route.name)) {
        let Action::Forward(forward) = &route.action else { continue };
        let weighted = forward.targets.iter().filter(|target| target.weight > 0).count();
        // With two weights there is a warning about them already.
        if forward.sticky.is_none() && weighted < 2 {
            let message = format!("without `sticky` in route `{}`, a step moves requests and not users", route.name);
            let hint = "identify users, as in `sticky: {by: {cookie: customer_id}, otherwise: …}`";
            node.warn(diagnostics, message, Some(hint.into()));
        }
    }
}

/// A name behind `http` that may have a public address: requests to it would fail.
fn plain_text(backend: &Backend, node: &Node, diagnostics: &mut Collector) {
    if backend.scheme != Scheme::Http {
        return;
    }
    let addresses = backend.addresses.iter().map(|(host, _)| host.as_str());
    let hosts: Vec<&str> = if backend.addresses.is_empty() { vec![&backend.host] } else { addresses.collect() };
    if let Some(host) = hosts.into_iter().find(|host| !is_private_name(host)) {
        let message = format!(
            "requests fail with 502 if `{host}` has a public address: plain `http` is limited to loopback and private ones"
        );
        let hint =
            "use `https`; `crossfade check --connect` in the function's network shows whether the address is accepted";
        node.get("url").unwrap_or(node).warn(diagnostics, message, Some(hint.into()));
    }
}

/// Returns `true` for IP addresses, which are checked where they are read, and for names that only private networks have.
fn is_private_name(host: &str) -> bool {
    /// Reserved for private networks, loopback and tests (RFC 6761, RFC 6762, RFC 8375, ICANN 2024), or usual there.
    const PRIVATE: [&str; 7] = ["internal", "local", "localhost", "test", "home.arpa", "lan", "intranet"];
    let host = host.trim_end_matches('.');
    let ends_with = |suffix: &str| host.strip_suffix(suffix).is_some_and(|rest| rest.ends_with('.'));
    // Names of internal load balancers resolve to private addresses.
    let is_internal_load_balancer = host.starts_with("internal-") && host.ends_with(".elb.amazonaws.com");
    !host.contains('.')
        || host.parse::<IpAddr>().is_ok()
        || PRIVATE.into_iter().any(ends_with)
        || is_internal_load_balancer
}
