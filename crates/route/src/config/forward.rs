//! `forward`: the targets, and the choice between them.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use crossfade_document::{Key, Node, did_you_mean};
use http::header::HeaderName;

use super::backends::{Backends, read_code, read_methods};
use super::conditions::cookie_name;
use super::transforms;
use crate::policy::Failover;
use crate::read::{Collector, Expected, Read};
use crate::sticky::{JwtSource, OptIn, Sticky, StickyKey};
use crate::table::{Forward, Target};
use crate::transform::Transforms;

const OPT_IN_COOKIE: &str = "crossfade_opt_in";
const OPT_IN_AGE: Duration = Duration::from_secs(30 * 86_400);
const ASSIGNED_COOKIE: &str = "crossfade_user";

pub(super) fn read<'n>(node: &'n Node, backends: &mut Backends<'n>, diagnostics: &mut Collector) -> Option<Forward> {
    if node.as_text().is_some() {
        let target = read_target(node, backends, diagnostics)?;
        return Some(Forward { targets: vec![target], sticky: None, opt_in: None, failover: None });
    }
    let members = node.map_of(diagnostics, Expected::Forward)?;
    let is_target = |(key, _): &(Key, Node)| &*key.name == "backend" || backends.has(&key.name);
    if node.get("targets").is_none() && members.iter().any(is_target) {
        let hint = "write `forward: NAME`, or list `targets`";
        node.invalid(diagnostics, "missing key `targets`".into(), Some(hint), Expected::Forward);
        return None;
    }
    let [targets, sticky, opt_in, failover] = node.keys(diagnostics, ["targets", "sticky", "optIn", "failover"])?;
    let Some(targets_node) = targets else {
        node.missing(diagnostics, "targets", "write `forward: NAME`, or list `targets`");
        return None;
    };
    let items = targets_node.list_of(diagnostics, Expected::Targets)?;
    let mut targets: Vec<Target> = Vec::new();
    for item in items {
        let Some(target) = read_target(item, backends, diagnostics) else { continue };
        if targets.iter().any(|other| other.backend == target.backend) {
            item.error(diagnostics, format!("duplicate target `{}`", target.name), Some("add up their weights".into()));
        }
        targets.push(target);
    }
    if targets.len() == items.len() && targets.iter().all(|target| target.weight == 0) {
        targets_node.error(diagnostics, "all weights are 0: no target would get requests", None);
    }
    let read_failover = failover.and_then(|node| read_failover(node, &targets, backends, diagnostics));
    let known = Targets { list: &targets, are_complete: targets.len() == items.len() };
    let sticky_read = sticky.and_then(|node| read_sticky(node, &known, diagnostics));
    let opt_in = opt_in.and_then(|node| read_opt_in(node, diagnostics));
    if let (Some(node), [only]) = (sticky, targets.as_slice()) {
        node.warn(diagnostics, format!("has no effect: `{}` is the only target", only.name), None);
    }
    Some(Forward { targets, sticky: sticky_read, opt_in, failover: read_failover })
}

/// Reads the name of a back end, or `{backend, weight, transforms}`.
fn read_target<'n>(node: &'n Node, backends: &mut Backends<'n>, diagnostics: &mut Collector) -> Option<Target> {
    let ([backend, weight, transforms], name) = match node.as_text() {
        Some(_) => ([Some(node), None, None], node),
        None => {
            if let [(name, _)] = node.map(diagnostics)?
                && backends.has(&name.name)
            {
                let message = "expected the name of a back end, or a map with `backend` and `weight`";
                node.invalid(diagnostics, message.into(), None, Expected::Target);
                return None;
            }
            let keys = node.keys(diagnostics, ["backend", "weight", "transforms"])?;
            let Some(name) = keys[0] else {
                node.missing(diagnostics, "backend", "write `{backend: NAME, weight: 10}`");
                return None;
            };
            (keys, name)
        }
    };
    let weight = weight.and_then(|node| node.whole(diagnostics, 0..=999)).unwrap_or(1);
    let transforms = transforms.map_or_else(Transforms::default, |node| transforms::read(node, diagnostics));
    Some(Target {
        backend: backends.find(backend?, diagnostics)?,
        name: name.as_text()?.to_owned(),
        weight,
        transforms,
    })
}

/// The targets of a route that could be read.
struct Targets<'t> {
    list: &'t [Target],
    are_complete: bool,
}

/// Returns the index of the target that a node names. If some targets could not be read, it may name one of those.
fn find_target(name: &str, node: &Node, targets: &Targets<'_>, diagnostics: &mut Collector) -> Option<usize> {
    let index = targets.list.iter().position(|target| target.name == name);
    if index.is_none() && targets.are_complete {
        let names: Vec<&str> = targets.list.iter().map(|target| target.name.as_str()).collect();
        let hint = did_you_mean(name, &names).unwrap_or_else(|| format!("targets of this route: {}", names.join(", ")));
        node.error(diagnostics, "not a target of this route", Some(hint));
    }
    index
}

fn read_sticky(node: &Node, targets: &Targets<'_>, diagnostics: &mut Collector) -> Option<Sticky> {
    let [by, pin, otherwise] = node.keys(diagnostics, ["by", "pin", "otherwise"])?;
    let key = match by {
        Some(node) => read_key(node, diagnostics),
        None => {
            node.missing(diagnostics, "by", "write `by: {cookie: NAME}`");
            None
        }
    };
    let mut pins: HashMap<Box<[u8]>, usize> = HashMap::new();
    for (key, values) in pin.and_then(|node| node.map(diagnostics)).unwrap_or_default() {
        let Some(target) = find_target(&key.name, values, targets, diagnostics) else { continue };
        for node in values.one_or_more(diagnostics).unwrap_or_default() {
            let Some(value) = node.text(diagnostics) else { continue };
            if pins.insert(value.as_bytes().into(), target).is_some_and(|other| other != target) {
                node.error(diagnostics, "this value is also pinned to another target", None);
            }
        }
    }
    if let (Some(node), Some(StickyKey::Assigned { .. })) = (otherwise, &key) {
        node.warn(diagnostics, "has no effect: with `assigned` every request has a value", None);
    }
    let otherwise = otherwise.and_then(|node| find_target(node.text(diagnostics)?, node, targets, diagnostics));
    Some(Sticky { by: key?, pins, otherwise })
}

/// Reads the identity of a user: `ip`, `assigned`, or a map with one key.
pub(super) fn read_key(node: &Node, diagnostics: &mut Collector) -> Option<StickyKey> {
    match node.as_text() {
        Some("ip") => return Some(StickyKey::Ip),
        Some("assigned") => return Some(StickyKey::Assigned { cookie: ASSIGNED_COOKIE.to_owned() }),
        _ => {}
    }
    const WAYS: &str = "ip, assigned, or one of {cookie: …}, {header: …}, {query: …}, {jwtClaim: …}, {assigned: …}";
    if node.as_map().is_none() {
        node.error(diagnostics, format!("expected {WAYS}"), None);
        return None;
    }
    let [cookie, header, query, jwt_claim, assigned] =
        node.keys(diagnostics, ["cookie", "header", "query", "jwtClaim", "assigned"])?;
    let keys = [cookie, header, query, jwt_claim, assigned];
    if keys.iter().flatten().count() != 1 {
        node.error(diagnostics, format!("expected {WAYS}"), None);
        return None;
    }
    if let Some(node) = cookie {
        return Some(StickyKey::Cookie(cookie_name(node, diagnostics)?.as_bytes().into()));
    }
    if let Some(node) = header {
        return Some(StickyKey::Header(field_name(node, diagnostics)?));
    }
    if let Some(node) = query {
        return Some(StickyKey::Query(node.text(diagnostics)?.as_bytes().into()));
    }
    if let Some(node) = assigned {
        return Some(StickyKey::Assigned { cookie: cookie_name(node, diagnostics)?.to_owned() });
    }
    read_jwt_claim(jwt_claim?, diagnostics)
}

/// Reads the name of a claim, `{claim, header}` or `{claim, cookie}`; by default the token is in `Authorization`.
fn read_jwt_claim(node: &Node, diagnostics: &mut Collector) -> Option<StickyKey> {
    if let Some(claim) = node.as_text() {
        return Some(StickyKey::JwtClaim { claim: claim.to_owned(), from: JwtSource::Authorization });
    }
    let [claim, header, cookie] = node.keys(diagnostics, ["claim", "header", "cookie"])?;
    let from = match (header, cookie) {
        (None, None) => JwtSource::Authorization,
        (Some(node), None) => JwtSource::Header(field_name(node, diagnostics)?),
        (None, Some(node)) => JwtSource::Cookie(cookie_name(node, diagnostics)?.as_bytes().into()),
        (Some(_), Some(node)) => {
            node.error(diagnostics, "`header` and `cookie` are mutually exclusive", None);
            return None;
        }
    };
    let Some(claim) = claim else {
        node.missing(diagnostics, "claim", "write `{claim: sub}`");
        return None;
    };
    Some(StickyKey::JwtClaim { claim: claim.text(diagnostics)?.to_owned(), from })
}

pub(super) fn field_name(node: &Node, diagnostics: &mut Collector) -> Option<HeaderName> {
    let name = HeaderName::from_bytes(node.text(diagnostics)?.as_bytes()).ok();
    if name.is_none() {
        node.error(diagnostics, format!("`{}` is not a field name", node.shown()), None);
    }
    name
}

fn read_opt_in(node: &Node, diagnostics: &mut Collector) -> Option<OptIn> {
    let [query, header, cookie, max_age] = node.keys(diagnostics, ["query", "header", "cookie", "maxAge"])?;
    if query.is_none() && header.is_none() {
        let hint = "set the query key or the header with which requests opt in";
        node.error(diagnostics, "missing key `query` or `header`", Some(hint.into()));
    }
    let cookie = cookie.map_or(Some(OPT_IN_COOKIE), |node| cookie_name(node, diagnostics))?;
    let max_age = max_age.and_then(|node| node.duration(diagnostics)).unwrap_or(OPT_IN_AGE);
    Some(OptIn {
        query: query.and_then(|node| node.text(diagnostics)).map(|text| text.as_bytes().into()),
        header: header.and_then(|node| field_name(node, diagnostics)),
        cookie: cookie.to_owned(),
        max_age: max_age.as_secs(),
    })
}

fn read_failover<'n>(
    node: &'n Node,
    targets: &[Target],
    backends: &mut Backends<'n>,
    diagnostics: &mut Collector,
) -> Option<Failover> {
    let [on, to, methods] = node.keys(diagnostics, ["on", "to", "methods"])?;
    let Some(to) = to else {
        node.missing(diagnostics, "to", "write `failover: {to: NAME}`");
        return None;
    };
    let methods = methods.map(|node| read_methods(node, diagnostics)).unwrap_or_default();
    let events = on.map_or_else(Events::usual, |node| Events::read(node, diagnostics));
    let index = backends.find(to, diagnostics)?;
    if targets.iter().all(|target| target.backend == index) {
        to.warn(diagnostics, "the only target cannot fail over to itself", None);
    }
    let can_time_out = |target: &&Target| {
        target.backend != index
            && backends.get(target.backend).is_some_and(|backend| backend.timeouts.backend_request.is_none())
    };
    if events.timeout
        && let Some(target) = targets.iter().find(can_time_out)
    {
        let hint = format!("set a limit for `{}`: `timeouts: {{backendRequest: 5s}}`", target.name);
        let message =
            format!("`{}` has no `backendRequest` limit, so a timeout leaves no time for failover", target.name);
        on.unwrap_or(node).warn(diagnostics, message, Some(hint));
    }
    let Events { connect_error, timeout, reset, codes } = events;
    Some(Failover {
        on_connect_error: connect_error,
        on_timeout: timeout,
        on_reset: reset,
        on_codes: codes.into_iter().collect(),
        to: index,
        methods,
    })
}

/// `failover.on`.
struct Events {
    connect_error: bool,
    timeout: bool,
    reset: bool,
    codes: Vec<RangeInclusive<u16>>,
}

impl Events {
    /// The default: signs that a back end is out of service, but not that it rejected a request.
    fn usual() -> Self {
        Events { connect_error: true, timeout: true, reset: true, codes: vec![502..=502, 503..=503, 504..=504] }
    }

    fn read(node: &Node, diagnostics: &mut Collector) -> Self {
        let mut events = Events { connect_error: false, timeout: false, reset: false, codes: Vec::new() };
        for item in node.one_or_more(diagnostics).unwrap_or_default() {
            match item.as_text() {
                Some("connectError") => events.connect_error = true,
                Some("timeout") => events.timeout = true,
                Some("reset") => events.reset = true,
                Some(text) if text.starts_with(|first: char| first.is_ascii_digit()) => {
                    events.codes.extend(read_code(item, diagnostics));
                }
                _ => {
                    let known = ["connectError", "timeout", "reset", "5xx"];
                    let hint = item.as_text().and_then(|text| did_you_mean(text, &known));
                    let message = "expected connectError, timeout, reset, or a status like 503 or 5xx";
                    item.error(diagnostics, message, hint);
                }
            }
        }
        events
    }
}
