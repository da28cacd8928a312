//! `mirror` of a route: who gets copies of which requests. What is compared is in `compare`.

use std::sync::Arc;
use std::time::Duration;

use crossfade_document::Node;
use http::Method;

use super::backends::{Backends, read_methods};
use super::compare;
use super::fields::{self, Side};
use super::forward::{field_name, read_key};
use super::transforms;
use crate::mirror::{Credentials, Mirror};
use crate::read::{Findings, Read};
use crate::sticky::{Sticky, StickyKey};
use crate::table::{FieldEdits, Forward};
use crate::template::Groups;

/// Where nothing is said: long enough for a slow page, short enough for Lambda's usual timeouts.
const BUDGET: Duration = Duration::from_secs(10);

pub(super) fn read<'n>(
    node: &'n Node,
    forward: Option<&Forward>,
    groups: &Groups,
    backends: &mut Backends<'n>,
    mistakes: &mut Findings,
) -> Option<Mirror> {
    let [backend, percent, sticky, methods, transforms, request_headers, credentials, timeouts, budget, compare] = node
        .keys(
            mistakes,
            [
                "backend",
                "percent",
                "sticky",
                "methods",
                "transforms",
                "requestHeaders",
                "credentials",
                "timeouts",
                "budget",
                "compare",
            ],
        )?;
    for (key, member, example) in [("backend", backend, "modern"), ("percent", percent, "20")] {
        if member.is_none() {
            node.wrong(mistakes, format!("`{key}` is missing"), Some(format!("write `{key}: {example}`")));
        }
    }
    let index = backend.and_then(|node| backends.find(node, mistakes));
    if let (Some(node), Some(index), Some(forward)) = (backend, index, forward)
        && forward.targets.iter().all(|target| target.backend == index)
    {
        node.doubtful(mistakes, "has all the requests already: nothing is copied to the one that answers", None);
    }
    let share = percent.and_then(|node| node.share(mistakes));
    let sticky = match sticky {
        Some(node) => read_sticky(node, mistakes),
        None => forward.and_then(|forward| forward.sticky.clone()),
    };
    let named = methods.map(|node| read_methods(node, mistakes)).unwrap_or_default();
    let unsafe_methods: Vec<_> = named.iter().filter(|method| !method.is_safe()).map(Method::as_str).collect();
    if let Some(node) = methods.filter(|_| !unsafe_methods.is_empty()) {
        let hint = "see that the new system knows these requests by `x-crossfade-mirror: 1`, or has data of its own";
        let message = format!("{} may change something, and happens twice", unsafe_methods.join(", "));
        node.doubtful(mistakes, message, Some(hint.into()));
    }
    let timeout = timeouts.and_then(|node| {
        let [backend_request] = node.keys(mistakes, ["backendRequest"])?;
        backend_request?.duration(mistakes)
    });
    let transforms = transforms.map(|node| transforms::read(node, mistakes));
    let request_fields =
        request_headers.map_or_else(FieldEdits::default, |node| fields::read(node, Side::Request, groups, mistakes));
    let credentials = credentials.and_then(|node| read_credentials(node, mistakes));
    let budget = budget.and_then(|node| node.duration(mistakes));
    let (rules, self_compare) = compare::read(compare, mistakes);
    Some(Mirror {
        backend: index?,
        share: share?,
        sticky,
        methods: named,
        transforms,
        request_fields,
        credentials: credentials.unwrap_or_default(),
        backend_request: timeout,
        budget: budget.unwrap_or(BUDGET),
        compare: rules.map(Arc::new),
        self_compare,
    })
}

fn read_sticky(node: &Node, mistakes: &mut Findings) -> Option<Sticky> {
    let [by] = node.keys(mistakes, ["by"])?;
    let Some(by) = by else {
        node.wrong(mistakes, "`by` is missing", Some("write `by: {cookie: NAME}`".into()));
        return None;
    };
    let key = read_key(by, mistakes)?;
    if matches!(key, StickyKey::Assigned { .. }) {
        let hint = "write it in `forward.sticky`: a mirror goes by that one, too";
        by.wrong(mistakes, "a mirror gives out no cookies", Some(hint.into()));
    }
    Some(Sticky::by(key))
}

/// `true`, `false`, or the fields that pass.
fn read_credentials(node: &Node, mistakes: &mut Findings) -> Option<Credentials> {
    match node.as_text() {
        Some("true") => return Some(Credentials::Passed),
        Some("false") => return Some(Credentials::Withheld),
        _ => {}
    }
    let items = node.one_or_more(mistakes)?;
    items.iter().map(|item| field_name(item, mistakes)).collect::<Option<_>>().map(Credentials::Only)
}
