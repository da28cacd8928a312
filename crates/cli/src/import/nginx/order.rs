//! Locations and names of servers as conditions, in an order in which the first match is NGINX's choice. `choice` is that choice itself.
//!
//! Without regexes and nesting, the longest prefix comes first. Regexes come before prefixes, since they replace them. Prefixes
//! that are special, with `^~` or nested locations, come before the regexes, each with those regexes that apply below it.

use std::cmp::Reverse;

use super::choice::{self, Found, Space};
use super::model::{Block, Location, Matcher, Name, Server};
use super::patterns::translated;
use super::reading::at;
use crate::import::conditions::{Atom, escaped, regex};
use crate::import::findings::{Findings, Kind};
use crate::import::yaml::Yaml;

/// A place in the order: the conditions, and the location that is chosen.
pub(super) type Leaf<'m> = (Vec<Atom>, Found<'m>);

/// The kind of a name, and the longest first.
type Rank = (u8, Reverse<usize>);

/// The servers of a space, with the conditions for the host. The last one has none.
pub(super) fn servers<'m>(space: &Space<'m>, findings: &mut Findings) -> Vec<(Vec<Atom>, &'m Server)> {
    let Some(default) = space.default() else { return Vec::new() };
    let is_default = |server: &Server| std::ptr::eq(server, default);
    // Names of the default server matter only where another server would take their requests.
    let has_patterns = |server: &Server| server.names.iter().any(|name| !matches!(name, Name::Exact(_)));
    let others = space.servers.iter().any(|server| !is_default(server) && has_patterns(server));
    let mut groups: Vec<(Rank, Vec<Atom>, &'m Server)> = Vec::new();
    for server in space.servers.iter().copied().filter(|server| !is_default(server) || others) {
        let exact = |name: &Name| if let Name::Exact(name) = name { Some(Yaml::text(name)) } else { None };
        // The first server with a name gets its requests.
        let is_reached = |name: &&Name| match name {
            Name::Exact(name) => space.server(name).is_some_and(|found| std::ptr::eq(found, server)),
            _ => true,
        };
        let hosts: Vec<Yaml> = server.names.iter().filter(is_reached).filter_map(exact).collect();
        let unreached = server.names.iter().filter(|name| !is_reached(name));
        for name in unreached {
            if let Name::Exact(name) = name {
                let reason = format!("another server with the name `{name}` gets its requests");
                findings.add(Kind::NotImported, at(server.place), "server", &reason);
            }
        }
        if !hosts.is_empty() {
            groups.push(((0, Reverse(0)), vec![Atom::Host(hosts)], server));
        }
        for name in &server.names {
            let (rank, value) = match name {
                Name::Exact(_) => continue,
                Name::Leading(end) => ((1, Reverse(end.len())), Yaml::text(&format!("*{end}"))),
                Name::Trailing(start) => ((2, Reverse(start.len())), Yaml::text(&format!("{start}*"))),
                Name::Regex(pattern) => match translated(pattern) {
                    Ok(source) => ((3, Reverse(0)), regex(source.trim_start_matches("(?i)"))),
                    Err(reason) => {
                        let subject = format!("server_name ~{}", pattern.source);
                        findings.add(Kind::NotImported, at(server.place), &subject, &reason);
                        continue;
                    }
                },
            };
            groups.push((rank, vec![Atom::Host(vec![value])], server));
        }
        if server.names.is_empty() && !is_default(server) {
            let reason = "it has no name, and another server is the default";
            findings.add(Kind::NotImported, at(server.place), "server", reason);
        }
    }
    groups.sort_by_key(|(rank, ..)| *rank);
    let mut groups: Vec<_> = groups.into_iter().map(|(_, atoms, server)| (atoms, server)).collect();
    groups.push((Vec::new(), default));
    groups
}

/// The locations of a server. The last one has no condition.
pub(super) fn locations<'m>(root: &'m Block, findings: &mut Findings) -> Vec<Leaf<'m>> {
    let mut order = Order { root, leaves: Vec::new(), findings };
    order.fixed(root);
    order.block(root, &[], &[], &[], ("", Found::None));
    order.leaves
}

/// A regex with the locations below it.
type Item<'m> = (Atom, &'m Location);

struct Order<'m, 'f> {
    root: &'m Block,
    leaves: Vec<Leaf<'m>>,
    findings: &'f mut Findings,
}

impl<'m> Order<'m, '_> {
    /// Single paths, at any depth: `=`, and the redirects that add a slash.
    fn fixed(&mut self, block: &'m Block) {
        for location in &block.locations {
            let paths = [
                choice::with_slash(location),
                if let Matcher::Exact(path) = &location.matcher { Some(&**path) } else { None },
            ];
            for path in paths.into_iter().flatten() {
                let found = choice::location(self.root, path);
                let (Found::Location(chosen) | Found::Slash(chosen)) = found else { continue };
                if std::ptr::eq(chosen, location) && !self.leaves.iter().any(|(_, leaf)| is_same(leaf, &found)) {
                    self.leaves.push((vec![exact(path)], found));
                }
            }
            self.fixed(&location.block);
        }
    }

    /// `outer` are the regexes of outer blocks that are tried before a prefix of this one, `guard` the conditions of this block,
    /// and `context` those that its locations do not imply. All its paths begin with `region`.
    fn block(
        &mut self,
        block: &'m Block,
        outer: &[Item<'m>],
        guard: &[Atom],
        context: &[Atom],
        (region, own): (&str, Found<'m>),
    ) {
        let regexes: Vec<Item<'m>> = block.locations.iter().filter_map(|it| self.regex(it)).collect();
        let mut prefixes: Vec<(&str, bool, &Location)> = Vec::new();
        for location in &block.locations {
            if let Matcher::Prefix { path, no_regex } = &location.matcher {
                let is_special = *no_regex && !regexes.is_empty() || !location.block.locations.is_empty();
                prefixes.push((path, is_special, location));
            }
        }
        prefixes.sort_by_key(|(path, ..)| Reverse(path.len()));
        let is_below_special =
            |path: &str| prefixes.iter().any(|(other, is_special, _)| *is_special && path.starts_with(other));
        let (special, plain): (Vec<_>, Vec<_>) = prefixes.iter().partition(|(path, ..)| is_below_special(path));
        for (path, _, location) in special {
            let no_regex = matches!(location.matcher, Matcher::Prefix { no_regex: true, .. });
            let tried = if no_regex { outer.to_vec() } else { [&*regexes, outer].concat() };
            let guard: Vec<Atom> = prefix(path).into_iter().chain(context.iter().cloned()).collect();
            if !(path.starts_with(region) || region.starts_with(path)) {
                continue;
            }
            let inner = if path.starts_with(region) { path } else { region };
            self.block(&location.block, &tried, &guard, context, (inner, Found::Location(location)));
        }
        for (atom, location) in regexes.iter().chain(outer) {
            // Nothing in the region matches.
            if !start(location).is_none_or(|start| start.starts_with(region) || region.starts_with(&start)) {
                continue;
            }
            let conditions: Vec<Atom> = std::iter::once(atom.clone()).chain(guard.iter().cloned()).collect();
            match location.block.locations.is_empty() {
                true => self.leaves.push((conditions, Found::Location(location))),
                false => {
                    self.block(&location.block, &[], &conditions, &conditions, (region, Found::Location(location)))
                }
            }
        }
        for (path, _, location) in plain {
            if !(path.starts_with(region) || region.starts_with(path)) {
                continue;
            }
            let conditions = prefix(path).into_iter().chain(context.iter().cloned()).collect();
            self.leaves.push((conditions, Found::Location(location)));
        }
        self.leaves.push((guard.to_vec(), own));
    }

    fn regex(&mut self, location: &'m Location) -> Option<Item<'m>> {
        let Matcher::Regex(pattern) = &location.matcher else { return None };
        match translated(pattern) {
            Ok(source) => Some((Atom::Path(vec![regex(&source)]), location)),
            Err(reason) => {
                let subject = format!("location ~ {}", pattern.source);
                let reason = format!("{reason}; other routes get its requests");
                self.findings.add(Kind::NotImported, at(location.place), &subject, &reason);
                None
            }
        }
    }
}

/// The text that every path begins with for which the regex of a location matches; `None` if it has no such text.
fn start(location: &Location) -> Option<String> {
    let Matcher::Regex(pattern) = &location.matcher else { return None };
    let source = pattern.source.strip_prefix('^').filter(|source| !pattern.ignores_case && !source.contains('|'))?;
    let mut start: String = source.chars().take_while(|c| c.is_ascii_alphanumeric() || "/-_".contains(*c)).collect();
    // The last character may be repeated, or not be there at all.
    start.pop();
    Some(start)
}

fn is_same(one: &Found<'_>, other: &Found<'_>) -> bool {
    match (one, other) {
        (Found::Location(a), Found::Location(b)) | (Found::Slash(a), Found::Slash(b)) => std::ptr::eq(*a, *b),
        _ => false,
    }
}

fn exact(path: &str) -> Atom {
    Atom::Path(vec![Yaml::map([("exact", Yaml::text(&encoded(path)))])])
}

/// Paths that begin with this text; `None` for all.
fn prefix(path: &str) -> Option<Atom> {
    let path = encoded(path);
    let value = match path.contains('*') {
        true => regex(&format!("^{}", escaped(&path))),
        false => Yaml::text(&format!("{path}*")),
    };
    (path != "/").then(|| Atom::Path(vec![value]))
}

/// A decoded path as clients send it, in normal form.
pub(super) fn encoded(path: &str) -> String {
    let mut text = String::new();
    for byte in path.bytes() {
        match byte {
            b if b.is_ascii_alphanumeric() || b"/-._~!$&'()*+,;=:@".contains(&b) => text.push(char::from(b)),
            b => text += &format!("%{b:02X}"),
        }
    }
    text
}
