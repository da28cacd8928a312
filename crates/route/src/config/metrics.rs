//! `metrics`: its keys and checks.

use crossfade_document::{Node, Scalar};
use crossfade_journal::Metrics;

use crate::read::{Collector, Expected, Read};
use crate::table::Route;

pub(super) fn read<'r>(
    node: &Node,
    routes: impl Iterator<Item = &'r Route>,
    diagnostics: &mut Collector,
) -> Option<Metrics> {
    match node.as_scalar().map(Scalar::as_bool) {
        Some(Some(is_on)) => return is_on.then(Metrics::default),
        Some(None) => {
            let hint = "`true` writes those of all requests together, `{routes: true}` those of each route as well";
            node.expected(diagnostics, "true, false or a map", Some(hint), Expected::Boolean);
            return None;
        }
        None => {}
    }
    let [namespace, by_route] = node.keys(diagnostics, ["namespace", "routes"])?;
    let namespace = namespace.and_then(|node| {
        let namespace = node.text(diagnostics)?;
        if !Metrics::is_namespace(namespace) {
            let hint =
                "write up to 255 letters, digits, spaces and `. - _ / # :`, and not `AWS/` or `:` at the beginning";
            node.error(diagnostics, format!("`{}` is not a namespace of CloudWatch", node.shown()), Some(hint.into()));
        }
        Some(namespace.to_owned())
    });
    let is_by_route = by_route.and_then(|node| node.boolean(diagnostics)).unwrap_or_default();
    if let Some(route) = routes.filter(|_| is_by_route).find(|route| route.name.len() > Metrics::LONGEST) {
        let message = format!("the name of route `{}` is too long for a dimension", route.name);
        let hint = format!("shorten it to {} bytes", Metrics::LONGEST);
        by_route.unwrap_or(node).error(diagnostics, message, Some(hint));
    }
    Some(Metrics { namespace, routes: is_by_route })
}
