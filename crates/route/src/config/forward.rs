//! `forward`: targets, and what decides between them.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use crossfade_document::{Node, did_you_mean};
use http::header::HeaderName;

use super::backends::{Backends, read_code, read_methods};
use super::conditions::cookie_name;
use super::transforms;
use crate::policy::Failover;
use crate::read::{Findings, Read};
use crate::sticky::{JwtSource, OptIn, Sticky, StickyKey};
use crate::table::{Forward, Target};
use crate::transform::Transforms;

const OPT_IN_COOKIE: &str = "crossfade_opt_in";
const OPT_IN_AGE: Duration = Duration::from_secs(30 * 86_400);
const ASSIGNED_COOKIE: &str = "crossfade_user";

pub(super) fn read<'n>(node: &'n Node, backends: &mut Backends<'n>, mistakes: &mut Findings) -> Option<Forward> {
    if node.as_text().is_some() {
        let target = read_target(node, backends, mistakes)?;
        return Some(Forward { targets: vec![target], sticky: None, opt_in: None, failover: None });
    }
    let [targets, sticky, opt_in, failover] = node.keys(mistakes, ["targets", "sticky", "optIn", "failover"])?;
    let Some(targets_node) = targets else {
        node.wrong(mistakes, "`targets` is missing", Some("write `forward: NAME`, or name `targets`".into()));
        return None;
    };
    let items = targets_node.list(mistakes)?;
    let mut targets: Vec<Target> = Vec::new();
    for item in items {
        let Some(target) = read_target(item, backends, mistakes) else { continue };
        if targets.iter().any(|other| other.backend == target.backend) {
            item.wrong(mistakes, format!("`{}` is a target already", target.name), Some("add up their weights".into()));
        }
        targets.push(target);
    }
    if targets.len() == items.len() && targets.iter().all(|target| target.weight == 0) {
        targets_node.wrong(mistakes, "all weights are 0: nothing would get a request", None);
    }
    let read_failover = failover.and_then(|node| read_failover(node, &targets, backends, mistakes));
    let sticky_read = sticky.and_then(|node| read_sticky(node, &targets, mistakes));
    let opt_in = opt_in.and_then(|node| read_opt_in(node, mistakes));
    if let (Some(node), [only]) = (sticky, targets.as_slice()) {
        node.doubtful(mistakes, format!("`{}` is the only target: there is nothing to choose", only.name), None);
    }
    Some(Forward { targets, sticky: sticky_read, opt_in, failover: read_failover })
}

/// The name of a back end, or `{backend, weight, transforms}`.
fn read_target<'n>(node: &'n Node, backends: &mut Backends<'n>, mistakes: &mut Findings) -> Option<Target> {
    let ([backend, weight, transforms], name) = match node.as_text() {
        Some(_) => ([Some(node), None, None], node),
        None => {
            let keys = node.keys(mistakes, ["backend", "weight", "transforms"])?;
            let Some(name) = keys[0] else {
                node.wrong(mistakes, "`backend` is missing", None);
                return None;
            };
            (keys, name)
        }
    };
    let weight = weight.and_then(|node| node.whole(mistakes, 0..=999)).unwrap_or(1);
    let transforms = transforms.map_or_else(Transforms::default, |node| transforms::read(node, mistakes));
    Some(Target { backend: backends.find(backend?, mistakes)?, name: name.as_text()?.to_owned(), weight, transforms })
}

/// The index of the target that a node names.
fn find_target(name: &str, node: &Node, targets: &[Target], mistakes: &mut Findings) -> Option<usize> {
    let index = targets.iter().position(|target| target.name == name);
    if index.is_none() {
        let names: Vec<&str> = targets.iter().map(|target| target.name.as_str()).collect();
        let hint = did_you_mean(name, &names).unwrap_or_else(|| format!("targets of this route: {}", names.join(", ")));
        node.wrong(mistakes, "this is no target of the route", Some(hint));
    }
    index
}

fn read_sticky(node: &Node, targets: &[Target], mistakes: &mut Findings) -> Option<Sticky> {
    let [by, pin, otherwise] = node.keys(mistakes, ["by", "pin", "otherwise"])?;
    let key = match by {
        Some(node) => read_key(node, mistakes),
        None => {
            node.wrong(mistakes, "`by` is missing", Some("write `by: {cookie: NAME}`".into()));
            None
        }
    };
    let mut pins: HashMap<Box<[u8]>, usize> = HashMap::new();
    for (key, values) in pin.and_then(|node| node.map(mistakes)).unwrap_or_default() {
        let Some(target) = find_target(&key.name, values, targets, mistakes) else { continue };
        for node in values.one_or_more(mistakes).unwrap_or_default() {
            let Some(value) = node.text(mistakes) else { continue };
            if pins.insert(value.as_bytes().into(), target).is_some_and(|other| other != target) {
                node.wrong(mistakes, "this value is pinned to another target, too", None);
            }
        }
    }
    if let (Some(node), Some(StickyKey::Assigned { .. })) = (otherwise, &key) {
        node.doubtful(mistakes, "has no effect: with `assigned` every request has a value", None);
    }
    let otherwise = otherwise.and_then(|node| find_target(node.text(mistakes)?, node, targets, mistakes));
    Some(Sticky { by: key?, pins, otherwise })
}

/// What a user is known by: `ip`, `assigned`, or a map with one key.
pub(super) fn read_key(node: &Node, mistakes: &mut Findings) -> Option<StickyKey> {
    match node.as_text() {
        Some("ip") => return Some(StickyKey::Ip),
        Some("assigned") => return Some(StickyKey::Assigned { cookie: ASSIGNED_COOKIE.to_owned() }),
        _ => {}
    }
    const WAYS: &str = "ip, assigned, or one of {cookie: …}, {header: …}, {query: …}, {jwtClaim: …}, {assigned: …}";
    if node.as_map().is_none() {
        node.wrong(mistakes, format!("expected {WAYS}"), None);
        return None;
    }
    let [cookie, header, query, jwt_claim, assigned] =
        node.keys(mistakes, ["cookie", "header", "query", "jwtClaim", "assigned"])?;
    let keys = [cookie, header, query, jwt_claim, assigned];
    if keys.iter().flatten().count() != 1 {
        node.wrong(mistakes, format!("expected {WAYS}"), None);
        return None;
    }
    if let Some(node) = cookie {
        return Some(StickyKey::Cookie(cookie_name(node, mistakes)?.as_bytes().into()));
    }
    if let Some(node) = header {
        return Some(StickyKey::Header(field_name(node, mistakes)?));
    }
    if let Some(node) = query {
        return Some(StickyKey::Query(node.text(mistakes)?.as_bytes().into()));
    }
    if let Some(node) = assigned {
        return Some(StickyKey::Assigned { cookie: cookie_name(node, mistakes)?.to_owned() });
    }
    read_jwt_claim(jwt_claim?, mistakes)
}

/// The name of a claim, or `{claim, header}`, `{claim, cookie}`; without those the token is in `Authorization`.
fn read_jwt_claim(node: &Node, mistakes: &mut Findings) -> Option<StickyKey> {
    if let Some(claim) = node.as_text() {
        return Some(StickyKey::JwtClaim { claim: claim.to_owned(), from: JwtSource::Authorization });
    }
    let [claim, header, cookie] = node.keys(mistakes, ["claim", "header", "cookie"])?;
    let from = match (header, cookie) {
        (None, None) => JwtSource::Authorization,
        (Some(node), None) => JwtSource::Header(field_name(node, mistakes)?),
        (None, Some(node)) => JwtSource::Cookie(cookie_name(node, mistakes)?.as_bytes().into()),
        (Some(_), Some(node)) => {
            node.wrong(mistakes, "the token is in a header or in a cookie, not in both", None);
            return None;
        }
    };
    let Some(claim) = claim else {
        node.wrong(mistakes, "`claim` is missing", Some("write `{claim: sub}`".into()));
        return None;
    };
    Some(StickyKey::JwtClaim { claim: claim.text(mistakes)?.to_owned(), from })
}

pub(super) fn field_name(node: &Node, mistakes: &mut Findings) -> Option<HeaderName> {
    let name = HeaderName::from_bytes(node.text(mistakes)?.as_bytes()).ok();
    if name.is_none() {
        node.wrong(mistakes, format!("`{}` is not a field name", node.shown()), None);
    }
    name
}

fn read_opt_in(node: &Node, mistakes: &mut Findings) -> Option<OptIn> {
    let [query, header, cookie, max_age] = node.keys(mistakes, ["query", "header", "cookie", "maxAge"])?;
    if query.is_none() && header.is_none() {
        let hint = "name a `query` key or a `header` by which a request can choose";
        node.wrong(mistakes, "nothing says how to opt in", Some(hint.into()));
    }
    let cookie = cookie.map_or(Some(OPT_IN_COOKIE), |node| cookie_name(node, mistakes))?;
    let max_age = max_age.and_then(|node| node.duration(mistakes)).unwrap_or(OPT_IN_AGE);
    Some(OptIn {
        query: query.and_then(|node| node.text(mistakes)).map(|text| text.as_bytes().into()),
        header: header.and_then(|node| field_name(node, mistakes)),
        cookie: cookie.to_owned(),
        max_age: max_age.as_secs(),
    })
}

fn read_failover<'n>(
    node: &'n Node,
    targets: &[Target],
    backends: &mut Backends<'n>,
    mistakes: &mut Findings,
) -> Option<Failover> {
    let [on, to, methods] = node.keys(mistakes, ["on", "to", "methods"])?;
    let Some(to) = to else {
        node.wrong(mistakes, "`to` is missing", Some("write `failover: {to: NAME}`".into()));
        return None;
    };
    let methods = methods.map(|node| read_methods(node, mistakes)).unwrap_or_default();
    let events = on.map_or_else(Events::usual, |node| Events::read(node, mistakes));
    let index = backends.find(to, mistakes)?;
    if targets.iter().all(|target| target.backend == index) {
        to.doubtful(mistakes, "the only target cannot fail over to itself", None);
    }
    let can_time_out = |target: &&Target| {
        target.backend != index
            && backends.get(target.backend).is_some_and(|backend| backend.timeouts.backend_request.is_none())
    };
    if events.timeout
        && let Some(target) = targets.iter().find(can_time_out)
    {
        let hint = format!("give `{}` a limit: `timeouts: {{backendRequest: 5s}}`", target.name);
        let message = format!("`{}` has all the time there is: when it is over, none is left for another", target.name);
        on.unwrap_or(node).doubtful(mistakes, message, Some(hint));
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
    /// Where nothing is said: whatever shows that a back end is out of service, and not that it has refused a request.
    fn usual() -> Self {
        Events { connect_error: true, timeout: true, reset: true, codes: vec![502..=502, 503..=503, 504..=504] }
    }

    fn read(node: &Node, mistakes: &mut Findings) -> Self {
        let mut events = Events { connect_error: false, timeout: false, reset: false, codes: Vec::new() };
        for item in node.one_or_more(mistakes).unwrap_or_default() {
            match item.as_text() {
                Some("connectError") => events.connect_error = true,
                Some("timeout") => events.timeout = true,
                Some("reset") => events.reset = true,
                Some(text) if text.starts_with(|first: char| first.is_ascii_digit()) => {
                    events.codes.extend(read_code(item, mistakes));
                }
                _ => {
                    let known = ["connectError", "timeout", "reset", "5xx"];
                    let hint = item.as_text().and_then(|text| did_you_mean(text, &known));
                    let message = "expected connectError, timeout, reset, or a status like 503 or 5xx";
                    item.wrong(mistakes, message, hint);
                }
            }
        }
        events
    }
}
