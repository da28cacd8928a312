//! The routes or rules that a request skips, and the one that it matches: one way to say it in `explain` and in the inspector.
//!
//! Owns the choice of the nearest of many. `crossfade-route` decides.

use crossfade_route::{Observer, RequestView, Route, Skipped as SkippedRoute};
use crossfade_rule::Distance;
use serde::Serialize;

/// Of more skipped routes than this, only the nearest so many are shown.
pub(crate) const MOST_SHOWN: usize = 20;

/// A rule or route that the request does not match.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Skipped {
    pub(crate) priority: Option<u32>,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) name: String,
    /// The first condition that failed.
    pub(crate) condition: String,
    /// The value that the request has instead.
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) found: String,
}

/// The rule or route that the request matches.
#[derive(Debug, Serialize)]
pub(crate) struct Taken {
    pub(crate) priority: Option<u32>,
    pub(crate) name: String,
    #[serde(skip_serializing_if = "String::is_empty")]
    pub(crate) conditions: String,
}

/// The skipped ones in the order of their evaluation: all, or the nearest of them.
#[derive(Debug, Default, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct SkippedList {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) skipped: Vec<Skipped>,
    /// The number of skipped ones that are not in the list.
    #[serde(skip_serializing_if = "is_zero")]
    pub(crate) skipped_left_out: usize,
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde's form")]
fn is_zero(count: &usize) -> bool {
    *count == 0
}

impl SkippedList {
    /// Keeps the `most` with the least distance.
    pub(crate) fn nearest(mut all: Vec<(Distance, Skipped)>, most: usize) -> SkippedList {
        let skipped_left_out = all.len().saturating_sub(most);
        let mut order: Vec<usize> = (0..all.len()).collect();
        // Stable: of equally near ones, the first by priority.
        order.sort_by(|one, other| all.get(*one).map(|it| &it.0).cmp(&all.get(*other).map(|it| &it.0)));
        let far: std::collections::BTreeSet<usize> = order.into_iter().skip(most).collect();
        let mut index = 0..;
        all.retain(|_| index.next().is_some_and(|index| !far.contains(&index)));
        SkippedList { skipped: all.into_iter().map(|(_, skipped)| skipped).collect(), skipped_left_out }
    }
}

impl Skipped {
    pub(crate) fn texts(&mut self) -> [&mut String; 3] {
        [&mut self.name, &mut self.condition, &mut self.found]
    }
}

impl Taken {
    pub(crate) fn texts(&mut self) -> [&mut String; 2] {
        [&mut self.name, &mut self.conditions]
    }

    pub(crate) fn of(route: &Route) -> Taken {
        Taken { priority: route.priority, name: route.name.clone(), conditions: route.conditions() }
    }
}

/// Collects the routes that a request skips.
#[derive(Default)]
pub(crate) struct Collected<'m> {
    all: Vec<(Distance, Skipped)>,
    /// The request as it may be shown, if not as it is.
    masked: Option<RequestView<'m>>,
}

impl<'m> Collected<'m> {
    pub(crate) fn showing(masked: Option<RequestView<'m>>) -> Collected<'m> {
        Collected { all: Vec::new(), masked }
    }

    pub(crate) fn nearest(self, most: usize) -> SkippedList {
        SkippedList::nearest(self.all, most)
    }
}

impl Observer for Collected<'_> {
    const EVALUATES_ALL: bool = true;

    fn skipped(&mut self, skipped: SkippedRoute<'_>) {
        let SkippedRoute { route, request, .. } = skipped;
        let found = skipped.found(self.masked.as_ref().unwrap_or(request));
        let (priority, name, condition) = (route.priority, route.name.clone(), skipped.condition());
        self.all.push((skipped.distance(), Skipped { priority, name, condition, found }));
    }
}

#[cfg(test)]
mod tests {
    use crossfade_route::{Nothing, RoutingTable};
    use http::{HeaderMap, Method};

    use super::*;

    /// Of 10,000 routes, those that one condition excludes whose value resembles the request.
    #[test]
    fn the_nearest_of_many_routes_stay_in_order() {
        let mut text = "version: 1\nbackends: {b: https://b.example}\ndefault: {forward: b}\nroutes:\n".to_owned();
        for route in 1..=10_000 {
            let method = if route == 7_777 { ", method: POST" } else { "" };
            text += &format!(
                "- {{name: r{route}, priority: {route}, conditions: {{path: /service{route}/*{method}}}, forward: b}}\n"
            );
        }
        let table = RoutingTable::from_config(&text, "", &Nothing).unwrap();
        for (path, matched, expected) in [
            ("/service7777/x", "default", &["r777", "r7770", "r7777"][..]),
            ("/service778/x", "r778", &["r7", "r77", "r770"]),
        ] {
            let (uri, fields) = (path.parse().unwrap(), HeaderMap::new());
            let mut collected = Collected::default();
            let view = RequestView::new(&Method::GET, &uri, &fields, None);
            assert_eq!(table.select_observed(&view, &mut collected).name, matched);
            let count = collected.all.len();
            let list = collected.nearest(MOST_SHOWN);
            assert_eq!((list.skipped.len(), list.skipped_left_out), (MOST_SHOWN, count - MOST_SHOWN));
            let names: Vec<&str> = list.skipped.iter().map(|it| it.name.as_str()).collect();
            assert!(expected.iter().all(|name| names.contains(name)), "{names:?}");
            assert!(list.skipped.windows(2).all(|pair| pair[0].priority < pair[1].priority), "{names:?}");
        }
    }
}
