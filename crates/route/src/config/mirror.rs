//! `mirror` of a route: the requests that are mirrored, and where to. `compare` reads the rules of comparison.

use std::sync::Arc;
use std::time::Duration;

use crossfade_document::Node;
use http::Method;

use super::backends::{Backends, read_methods};
use super::compare;
use super::fields::{self, Side};
use super::forward::{field_name, read_key};
use super::transforms;
use crate::field_edits::FieldEdits;
use crate::mirror::{Credentials, Mirror};
use crate::read::{Collector, Read};
use crate::sticky::{Sticky, StickyKey};
use crate::table::Forward;
use crate::template::Groups;

/// The default: long enough for a slow page, short enough for typical Lambda timeouts.
const BUDGET: Duration = Duration::from_secs(10);

pub(super) fn read<'n>(
    node: &'n Node,
    forward: Option<&Forward>,
    groups: &Groups,
    backends: &mut Backends<'n>,
    diagnostics: &mut Collector,
) -> Option<Mirror> {
    let [backend, percent, sticky, methods, transforms, request_headers, credentials, timeouts, budget, compare] = node
        .keys(
            diagnostics,
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
            node.missing(diagnostics, key, &format!("write `{key}: {example}`"));
        }
    }
    let index = backend.and_then(|node| backends.find(node, diagnostics));
    if let (Some(node), Some(index), Some(forward)) = (backend, index, forward)
        && forward.targets.iter().all(|target| target.backend == index)
    {
        node.warn(
            diagnostics,
            "receives all requests already: a request is not mirrored to the back end that serves it",
            None,
        );
    }
    let share = percent.and_then(|node| node.share(diagnostics));
    let sticky = match sticky {
        Some(node) => read_sticky(node, diagnostics),
        None => forward.and_then(|forward| forward.sticky.clone()),
    };
    let named = methods.map(|node| read_methods(node, diagnostics)).unwrap_or_default();
    let unsafe_methods: Vec<_> = named.iter().filter(|method| !method.is_safe()).map(Method::as_str).collect();
    if let Some(node) = methods.filter(|_| !unsafe_methods.is_empty()) {
        let hint =
            "make sure that the new system recognises shadow requests by `x-crossfade-mirror: 1`, or has its own data";
        let message = format!("{} may have side effects, which would happen twice", unsafe_methods.join(", "));
        node.warn(diagnostics, message, Some(hint.into()));
    }
    let timeout = timeouts.and_then(|node| {
        let [backend_request] = node.keys(diagnostics, ["backendRequest"])?;
        backend_request?.duration(diagnostics)
    });
    let transforms = transforms.map(|node| transforms::read(node, diagnostics));
    let request_fields =
        request_headers.map_or_else(FieldEdits::default, |node| fields::read(node, Side::Request, groups, diagnostics));
    let credentials = credentials.and_then(|node| read_credentials(node, diagnostics));
    let budget = budget.and_then(|node| node.duration(diagnostics));
    let (rules, noise) = compare::read(compare, diagnostics);
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
        noise,
    })
}

fn read_sticky(node: &Node, diagnostics: &mut Collector) -> Option<Sticky> {
    let [by] = node.keys(diagnostics, ["by"])?;
    let Some(by) = by else {
        node.missing(diagnostics, "by", "write `by: {cookie: NAME}`");
        return None;
    };
    let key = read_key(by, diagnostics)?;
    if matches!(key, StickyKey::Assigned { .. }) {
        let hint = "set it in `forward.sticky`, which also applies to the mirror";
        by.error(diagnostics, "a mirror cannot assign cookies", Some(hint.into()));
    }
    Some(Sticky::by(key))
}

/// Reads `true`, `false`, or the names of fields that are passed on.
fn read_credentials(node: &Node, diagnostics: &mut Collector) -> Option<Credentials> {
    match node.as_scalar().map(|scalar| (scalar.as_bool(), &*scalar.text)) {
        Some((Some(true), _)) => return Some(Credentials::Passed),
        Some((Some(false), _)) => return Some(Credentials::Withheld),
        Some((None, "yes" | "no" | "on" | "off" | "true" | "false")) => {
            node.boolean(diagnostics);
            return None;
        }
        _ => {}
    }
    let items = node.one_or_more(diagnostics)?;
    items.iter().map(|item| field_name(item, diagnostics)).collect::<Option<_>>().map(Credentials::Only)
}
