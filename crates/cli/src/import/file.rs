//! A configuration that an import writes: back ends, routes, default and tests, as text with comments. Owns the order of keys and
//! unique names. It knows no foreign format.

use std::collections::{BTreeMap, BTreeSet};

use super::conditions::{self, Atom};
use super::yaml::Yaml;

/// The start of the comment at a route that stands for a part that was not imported.
pub(crate) const LEFT_OUT: &str = "NOT IMPORTED: ";

/// The highest priority of a route.
const MAX_PRIORITY: usize = 50_000;

/// A configuration.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) backends: Vec<(String, Yaml)>,
    pub(crate) routes: Vec<Route>,
    pub(crate) default: Route,
    pub(crate) tests: Vec<Test>,
}

/// A route, without its priority.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Route {
    pub(crate) name: String,
    pub(crate) comments: Vec<String>,
    pub(crate) conditions: Vec<Atom>,
    /// The action and what belongs to it.
    pub(crate) body: Vec<(String, Yaml)>,
}

/// A request and its expected result.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Test {
    pub(crate) method: String,
    pub(crate) url: String,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) ip: Option<String>,
    pub(crate) expect: Vec<(&'static str, String)>,
}

impl File {
    /// The file, with these lines as comments at its start.
    pub(crate) fn text(&self, about: &str) -> String {
        let mut text = "# yaml-language-server: $schema=./crossfade.schema.json\n".to_owned();
        text += &comment(about, 0);
        text += "version: 1\n\nbackends:\n";
        for (name, backend) in &self.backends {
            text += &backend.entry(name, 2);
        }
        if !self.routes.is_empty() {
            text += "\n# The first route whose conditions match is used.\nroutes:\n";
            let step = (MAX_PRIORITY / self.routes.len().max(1)).clamp(1, 10);
            for (index, route) in self.routes.iter().enumerate() {
                text += &route.text((index + 1) * step);
            }
        }
        text += "\n";
        for line in &self.default.comments {
            text += &comment(line, 0);
        }
        text += &Yaml::Map(self.default.body.clone()).entry("default", 0);
        if !self.tests.is_empty() {
            text += "\ntests:\n";
            self.tests.iter().for_each(|test| text += &test.text());
        }
        text
    }
}

impl File {
    /// Returns true if a route stands for a part that was not imported.
    pub(crate) fn is_left_out(&self, route: &str) -> bool {
        let route = self.routes.iter().find(|it| it.name == route).unwrap_or(&self.default);
        route.comments.iter().any(|comment| comment.starts_with(LEFT_OUT))
    }

    /// The URLs of the back ends that a route chooses from.
    pub(crate) fn urls(&self, route: &str) -> BTreeSet<&str> {
        let route = self.routes.iter().find(|it| it.name == route).unwrap_or(&self.default);
        let forward = route.body.iter().find(|(key, _)| key == "forward").map(|(_, value)| value);
        let names: Vec<&Yaml> = match forward {
            Some(name @ Yaml::Text(_)) => vec![name],
            Some(forward) => match forward.get("targets") {
                Some(Yaml::List(targets)) => targets.iter().filter_map(|target| target.get("backend")).collect(),
                _ => Vec::new(),
            },
            None => Vec::new(),
        };
        let url = |name: &Yaml| {
            let (_, backend) =
                self.backends.iter().find(|(known, _)| matches!(name, Yaml::Text(name) if name == known))?;
            match backend.get("url").unwrap_or(backend) {
                Yaml::Text(url) => Some(&**url),
                _ => None,
            }
        };
        names.into_iter().filter_map(url).collect()
    }
}

impl Route {
    fn text(&self, priority: usize) -> String {
        let mut text: String = self.comments.iter().map(|line| comment(line, 2)).collect();
        text += &format!("  - name: {}\n    priority: {priority}\n", Yaml::text(&self.name).flow());
        if !self.conditions.is_empty() {
            text += &conditions::rendered(&self.conditions).entry("conditions", 4);
        }
        self.body.iter().for_each(|(key, value)| text += &value.entry(key, 4));
        text
    }
}

impl Test {
    fn text(&self) -> String {
        let request = format!("{} {}", self.method, self.url);
        let is_plain = |c: char| c.is_ascii_alphanumeric() || " /:.-_?=&%~+,@".contains(c);
        let request = if request.chars().all(is_plain) { request } else { Yaml::text(&request).flow() };
        let mut text = format!("  - request: {request}\n");
        let map = |pairs: Vec<(&str, &str)>| {
            Yaml::Map(pairs.into_iter().map(|(key, value)| (key.to_owned(), Yaml::text(value))).collect())
        };
        if !self.headers.is_empty() {
            text += &map(self.headers.iter().map(|(name, value)| (&**name, &**value)).collect()).entry("headers", 4);
        }
        if let Some(ip) = &self.ip {
            text += &Yaml::text(ip).entry("ip", 4);
        }
        let expected = |(key, value): &(&str, String)| {
            let value = if *key == "status" { Yaml::number(value) } else { Yaml::text(value) };
            ((*key).to_owned(), value)
        };
        text + &Yaml::Map(self.expect.iter().map(expected).collect()).entry("expect", 4)
    }
}

fn comment(text: &str, indent: usize) -> String {
    let space = " ".repeat(indent);
    text.lines().map(|line| format!("{space}# {}\n", crate::terminal::printable(line))).collect()
}

/// Names for back ends and routes that are valid and unique.
#[derive(Debug, Default)]
pub(crate) struct Names {
    taken: BTreeMap<String, usize>,
}

impl Names {
    /// A name like this one: with a number if it is taken.
    pub(crate) fn unique(&mut self, wish: &str) -> String {
        let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
        let mut name = String::new();
        for c in wish.chars() {
            match is_of_a_name(c) {
                true => name.push(c),
                false if name.ends_with('-') => {}
                false => name.push('-'),
            }
        }
        let name: String = name.trim_matches(['-', '.']).chars().take(40).collect();
        let name = match &*name {
            "" => "root".to_owned(),
            "default" => "default-1".to_owned(),
            _ => name,
        };
        let mut candidate = name.clone();
        while self.taken.contains_key(&candidate) {
            let number = self.taken.entry(name.clone()).or_insert(1);
            *number += 1;
            candidate = format!("{name}-{number}");
        }
        self.taken.insert(candidate.clone(), 1);
        candidate
    }
}
