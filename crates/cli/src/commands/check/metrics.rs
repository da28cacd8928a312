//! The number of CloudWatch metrics that a configuration makes, their price, and findings about them.

use crossfade_document::{Node, Options, parse};
use crossfade_journal::Metrics;
use crossfade_route::{Action, Diagnostic, Place, Route, RoutingTable, Severity};
use serde_json::{Value, json};

use crate::prices::{self, Region};

/// The metrics of a configuration, if it has any.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::commands) struct Count(usize);

impl Count {
    /// The most that there can be: rare ones, such as failovers, come and cost only in hours that have them.
    pub(in crate::commands) fn of(table: &RoutingTable) -> Option<Self> {
        let metrics = table.metrics.as_ref()?;
        let routes = || table.all_routes();
        let together = count(routes().any(forwards), routes().any(compares));
        // A request that no route gets, such as one in a loop, is an error of the proxy.
        let loops = usize::from(!routes().any(forwards));
        let each = if metrics.routes { routes().map(|route| count(forwards(route), compares(route))).sum() } else { 0 };
        // Live state needs no plan.
        Some(Count(together + loops + each + Metrics::OF_FUNCTION.len()))
    }

    pub(in crate::commands) fn number(self) -> f64 {
        self.0 as f64
    }

    pub(super) fn text(self) -> String {
        format!("at most {} metrics, {:.2} USD a month", self.0, self.price())
    }

    pub(super) fn json(self) -> Value {
        json!({ "atMost": self.0, "usdPerMonth": self.price() })
    }

    /// US dollars a month in us-east-1, if each has values in every hour; rounded to cents.
    fn price(self) -> f64 {
        (prices::CUSTOM_METRIC.of(Region::UsEast1, self.number()) * 100.0).round() / 100.0
    }
}

fn count(forwards: bool, compares: bool) -> usize {
    let of = |holds: bool, count: usize| if holds { count } else { 0 };
    Metrics::OF_ANY.len() + of(forwards, Metrics::OF_FORWARDING.len()) + of(compares, Metrics::OF_COMPARING.len())
}

fn forwards(route: &Route) -> bool {
    matches!(route.action, Action::Forward(_))
}

fn compares(route: &Route) -> bool {
    route.mirror.is_some()
}

/// A warning if the log has too few lines for metrics.
pub(super) fn warnings(table: &RoutingTable, text: &str) -> Option<Diagnostic> {
    if table.metrics.is_none() || !table.access_log.is_zero() {
        return None;
    }
    let message = "with `accessLog: false` there are no metrics of requests and durations, only of failures".to_owned();
    let hint = "log a part of the requests, such as `accessLog: {percent: 1}`: then each line counts for a hundred";
    Some(Diagnostic {
        severity: Severity::Warning,
        path: "metrics".to_owned(),
        hint: Some(hint.to_owned()),
        ..Diagnostic::error(place(text), message)
    })
}

fn place(text: &str) -> Place {
    let options = Options { file: 0, tag: None, merge: None, substitute: None, mask: str::to_owned };
    let top: Option<Node> = parse(text, &options, &mut Vec::new()).ok();
    top.as_ref().and_then(|top| top.get("metrics")).map_or(Place::new(1, 1), |node| node.place)
}
