//! Selects the route of a request: the first match by priority. Owns the index that narrows the routes by host and
//! path, so that the time does not grow with their number.

use crossfade_rule::{Distance, Pattern, RequestView, distance};

use crate::requirement::{Requirement, all_hold};
use crate::table::{Route, RoutingTable};

/// Routes with more combinations of host and path get fewer, less specific entries.
const MAX_ENTRIES_OF_A_ROUTE: usize = 256;

/// Finds the routes that a request can match, by exact host and by the literal prefix of the path.
#[derive(Clone, Debug, Default)]
pub(crate) struct Index {
    /// Sorted by host, in lower case.
    hosts: Vec<(Box<[u8]>, PathIndex)>,
    /// Routes for any host, or for hosts by pattern.
    any_host: PathIndex,
}

/// Literal prefixes of paths, sorted. All prefixes of a given path are on the chain of `parent` that starts at the last
/// entry that is not greater than the path.
#[derive(Clone, Debug, Default)]
struct PathIndex(Vec<Entry>);

#[derive(Clone, Debug)]
struct Entry {
    prefix: Box<[u8]>,
    /// The longest other entry that is a prefix of this one.
    parent: Option<usize>,
    /// Indices of routes, ascending.
    routes: Vec<usize>,
}

impl Index {
    /// `routes` must be in the order of their priorities.
    pub(crate) fn new(routes: &[Route]) -> Self {
        let mut places: Vec<(Option<Vec<u8>>, Vec<u8>, usize)> = Vec::new();
        for (route, Route { requirements, .. }) in routes.iter().enumerate() {
            let mut hosts = exact_hosts(requirements);
            let mut prefixes = path_prefixes(requirements);
            if hosts.len() * prefixes.len() > MAX_ENTRIES_OF_A_ROUTE {
                hosts = vec![None];
            }
            if prefixes.len() > MAX_ENTRIES_OF_A_ROUTE {
                prefixes = vec![Vec::new()];
            }
            for host in hosts {
                places.extend(prefixes.iter().map(|prefix| (host.clone(), prefix.clone(), route)));
            }
        }
        places.sort_unstable();
        places.dedup();

        let mut index = Index::default();
        for (host, prefix, route) in places {
            let paths = match host {
                None => &mut index.any_host,
                Some(host) => {
                    if index.hosts.last().is_none_or(|(last, _)| **last != *host) {
                        index.hosts.push((host.into(), PathIndex::default()));
                    }
                    match index.hosts.last_mut() {
                        Some((_, paths)) => paths,
                        None => continue,
                    }
                }
            };
            paths.push(prefix, route);
        }
        index
    }

    /// Returns groups of the routes that a request with this host and path can match, each ascending. No other route
    /// can match.
    pub(crate) fn candidates<'i>(&'i self, host: &'i [u8], path: &'i [u8]) -> impl Iterator<Item = &'i [usize]> {
        let lower = || host.iter().map(u8::to_ascii_lowercase);
        let found = self.hosts.binary_search_by(|(entry, _)| entry.iter().copied().cmp(lower())).ok();
        let of_host = found.and_then(|found| self.hosts.get(found)).map(|(_, paths)| paths);
        of_host.into_iter().chain([&self.any_host]).flat_map(|paths| paths.beginning(path))
    }
}

impl PathIndex {
    /// Prefixes must arrive sorted, and the routes of each ascending.
    fn push(&mut self, prefix: Vec<u8>, route: usize) {
        if let Some(last) = self.0.last_mut().filter(|last| *last.prefix == *prefix) {
            last.routes.push(route);
            return;
        }
        let before = self.0.len().checked_sub(1);
        let parent = self.chain(before).find(|(_, entry)| prefix.starts_with(&entry.prefix)).map(|(index, _)| index);
        self.0.push(Entry { prefix: prefix.into(), parent, routes: vec![route] });
    }

    fn beginning<'i>(&'i self, path: &'i [u8]) -> impl Iterator<Item = &'i [usize]> {
        let last = self.0.partition_point(|entry| *entry.prefix <= *path).checked_sub(1);
        let begins = self.chain(last).filter(|(_, entry)| path.starts_with(&entry.prefix));
        begins.map(|(_, entry)| entry.routes.as_slice())
    }

    /// Iterates from an entry to the root.
    fn chain(&self, from: Option<usize>) -> impl Iterator<Item = (usize, &Entry)> {
        std::iter::successors(from.and_then(|at| Some((at, self.0.get(at)?))), |(_, entry)| {
            entry.parent.and_then(|at| Some((at, self.0.get(at)?)))
        })
    }
}

/// Returns the hosts of a route in lower case if it matches exact hosts only; otherwise a single `None`.
fn exact_hosts(requirements: &[Requirement]) -> Vec<Option<Vec<u8>>> {
    let patterns = requirements.iter().find_map(Requirement::host_patterns);
    let exact = patterns.and_then(|patterns| patterns.iter().map(Pattern::only_match).collect::<Option<Vec<_>>>());
    exact.map_or_else(|| vec![None], |hosts| hosts.into_iter().map(Some).collect())
}

/// Returns the literal prefixes of a route's paths.
fn path_prefixes(requirements: &[Requirement]) -> Vec<Vec<u8>> {
    let patterns = requirements.iter().find_map(Requirement::path_patterns);
    patterns.map_or_else(|| vec![Vec::new()], |patterns| patterns.iter().map(Pattern::literal_prefix).collect())
}

/// Observes a selection. `()` ignores it.
pub trait Observer {
    /// `true` to evaluate every route before the match, even those that the index excludes.
    const EVALUATES_ALL: bool;

    /// The request does not match a route.
    fn skipped(&mut self, skipped: Skipped<'_>);
}

impl Observer for () {
    const EVALUATES_ALL: bool = false;

    fn skipped(&mut self, _: Skipped<'_>) {}
}

/// A route that a request does not match.
#[derive(Clone, Copy, Debug)]
pub struct Skipped<'a> {
    /// The route.
    pub route: &'a Route,
    /// The first condition that fails.
    failed: &'a Requirement,
    /// The request.
    pub request: &'a RequestView<'a>,
}

impl Skipped<'_> {
    /// Describes the first condition that fails, without values that it compares with secrets.
    #[must_use]
    pub fn condition(&self) -> String {
        self.failed.to_string()
    }

    /// Describes what a request has instead: this one, or the same without its secrets.
    #[must_use]
    pub fn found(&self, request: &RequestView<'_>) -> String {
        self.failed.found(request)
    }

    /// Returns the distance of the request from this route.
    #[must_use]
    pub fn distance(&self) -> Distance {
        let failed = self.route.requirements.iter().filter(|requirement| !requirement.holds(self.request));
        distance(failed.map(|requirement| requirement.resemblance(self.request)))
    }
}

impl RoutingTable {
    /// Returns the route that a request matches.
    #[must_use]
    pub fn select(&self, request: &RequestView<'_>) -> &Route {
        self.select_observed(request, &mut ())
    }

    /// Like [`RoutingTable::select`], with an observer.
    pub fn select_observed<O: Observer>(&self, request: &RequestView<'_>, observer: &mut O) -> &Route {
        if O::EVALUATES_ALL { self.scan(request, observer) } else { self.look_up(request) }.unwrap_or(&self.default)
    }

    /// Evaluates every route in order.
    fn scan<O: Observer>(&self, request: &RequestView<'_>, observer: &mut O) -> Option<&Route> {
        self.routes.iter().find(|route| match route.requirements.iter().find(|it| !it.holds(request)) {
            Some(failed) => {
                observer.skipped(Skipped { route, failed, request });
                false
            }
            None => true,
        })
    }

    /// Evaluates only the routes of the index, and none behind a match.
    fn look_up(&self, request: &RequestView<'_>) -> Option<&Route> {
        let mut best: Option<usize> = None;
        for group in self.index.candidates(request.host_name(), request.path) {
            let is_better = |index: &&usize| best.is_none_or(|best| **index < best);
            let matches =
                |index: &&usize| self.routes.get(**index).is_some_and(|route| all_hold(&route.requirements, request));
            best = group.iter().take_while(is_better).find(matches).copied().or(best);
        }
        best.and_then(|best| self.routes.get(best))
    }

    /// Returns the routes that can never match, as far as this can be determined, each with an earlier route that
    /// matches all of its requests, in the order of their priorities.
    #[must_use]
    pub fn shadowed(&self) -> Vec<(&Route, &Route)> {
        self.routes.iter().enumerate().filter_map(|(at, route)| Some((route, self.shadow_of(at, route)?))).collect()
    }

    fn shadow_of(&self, at: usize, route: &Route) -> Option<&Route> {
        let covers = |wide: &Route| {
            wide.requirements.iter().all(|wide| route.requirements.iter().any(|narrow| wide.covers(narrow)))
        };
        // A route that covers this one is found by looking up any of its requests.
        let host = exact_hosts(&route.requirements).into_iter().next().flatten().unwrap_or_default();
        let path = path_prefixes(&route.requirements).into_iter().next().unwrap_or_default();
        let mut candidates: Vec<usize> =
            self.index.candidates(&host, &path).flatten().copied().filter(|other| *other < at).collect();
        candidates.sort_unstable();
        candidates.into_iter().filter_map(|other| self.routes.get(other)).find(|wide| covers(wide))
    }
}

#[cfg(test)]
mod tests {
    use std::fmt::Write;

    use super::*;
    use crate::surroundings::Nothing;

    #[test]
    fn the_number_of_candidates_does_not_grow_with_the_routes() {
        for count in [10, 2_000] {
            let mut text = "version: 1\nbackends: {b: https://b.example}\ndefault: {forward: b}\nroutes:\n".to_owned();
            for route in 0..count {
                let (host, team) = (route % 20, route / 10);
                let conditions = format!("{{host: h{host}.example, path: /team{team}/service{route}/*}}");
                let _ = writeln!(
                    text,
                    "- {{name: r{route}, priority: {}, conditions: {conditions}, forward: b}}",
                    route + 1
                );
            }
            let table = RoutingTable::from_config(&text, "", &Nothing).unwrap();
            for route in 0..count {
                let (host, path) =
                    (format!("h{}.example", route % 20), format!("/team{}/service{route}/x", route / 10));
                let candidates: Vec<&usize> =
                    table.index.candidates(host.as_bytes(), path.as_bytes()).flatten().collect();
                assert!(candidates.contains(&&route) && candidates.len() <= 2, "{candidates:?} for {route}");
            }
        }
    }
}
