//! NGINX's response to a request, step by step with the values of its variables. Tests of the imported file expect this, so
//! it shares no code with `compile` and `forward`, which write conditions and actions.

use std::collections::BTreeSet;
use std::net::IpAddr;

use crossfade_rule::Regex;

use super::choice::{self, Found, Space};
use super::model::{
    Block, Flag, Key, Location, Map, Matcher, Model, Pattern, ProxyPass, Step, Test, TestKind, Variable,
};
use super::patterns::translated;
use super::text::{Piece, Text};
use crate::import::expected::{Answer, Request};

/// The client's address.
const CLIENT: [u8; 4] = [127, 0, 0, 1];

/// Returns what NGINX does.
pub(super) fn answer(model: &Model, spaces: &[Space<'_>], request: &Request) -> Answer {
    let space = spaces.iter().find(|space| space.is_http_only != request.is_https || spaces.len() == 1);
    let Some(server) = space.and_then(|space| space.server(&request.host)) else { return Answer::Foreign };
    let mut state = State {
        model,
        request,
        path: request.path.clone(),
        is_rewritten: false,
        server_name: String::new(),
        groups: Vec::new(),
    };
    for name in &server.names {
        if let super::model::Name::Exact(name) = name {
            state.server_name = name.clone();
            break;
        }
    }
    if let Some(answer) = state.steps(&server.block, None) {
        return answer;
    }
    match choice::location(&server.block, &request.path) {
        Found::Location(location) => state.location(location),
        Found::Slash(_) => {
            let query = if request.arguments.is_empty() { String::new() } else { format!("?{}", request.query()) };
            let url = format!("{}://{}{}/{query}", request.scheme(), request.host, request.path);
            Answer::Redirect { status: 301, url }
        }
        Found::None => Answer::Foreign,
    }
}

struct State<'s> {
    model: &'s Model,
    request: &'s Request,
    path: String,
    is_rewritten: bool,
    server_name: String,
    /// Groups of the last regex that matched: by number, and by name.
    groups: Vec<(String, String)>,
}

impl State<'_> {
    fn location(&mut self, location: &Location) -> Answer {
        if let Matcher::Regex(pattern) = &location.matcher {
            self.matches(pattern, &self.path.clone());
        }
        let block = &location.block;
        let mut proxy = None;
        if let Some(answer) = self.steps(block, Some(&mut proxy)) {
            return answer;
        }
        for (is_allowed, range) in &block.settings.access {
            if range.as_ref().is_none_or(|range| contains(range, IpAddr::from(CLIENT))) {
                if !is_allowed {
                    return Answer::Status(403);
                }
                break;
            }
        }
        if block.is_internal {
            return Answer::Status(404);
        }
        match proxy.or(block.proxy.clone()) {
            Some(proxy) if block.settings.protection.is_none() => self.proxy(&proxy, location),
            _ => Answer::Foreign,
        }
    }

    /// The rewrite phase; `proxy` becomes that of the last `if` that holds.
    fn steps(&mut self, block: &Block, proxy: Option<&mut Option<ProxyPass>>) -> Option<Answer> {
        let mut chosen = None;
        let found = self.list(&block.steps, &mut chosen);
        if let Some(proxy) = proxy {
            *proxy = chosen;
        }
        found.flatten()
    }

    /// `Some(None)` if a `break` ends it.
    fn list(&mut self, steps: &[Step], chosen: &mut Option<ProxyPass>) -> Option<Option<Answer>> {
        for step in steps {
            match step {
                Step::Return { status, text, .. } => return Some(Some(self.returned(*status, text.as_ref()))),
                Step::Rewrite { regex, replacement, flag, .. } => {
                    if translated(regex).is_err() {
                        continue;
                    }
                    if !self.matches(regex, &self.path.clone()) {
                        continue;
                    }
                    let Some(text) = self.value(replacement) else { return Some(Some(Answer::Foreign)) };
                    match flag {
                        Flag::Redirect | Flag::Permanent => {
                            let status = if *flag == Flag::Permanent { 301 } else { 302 };
                            return Some(Some(Answer::Redirect { status, url: self.url(&text, true) }));
                        }
                        Flag::Last => return Some(Some(Answer::Foreign)),
                        Flag::Break => {
                            self.path = text;
                            self.is_rewritten = true;
                            return Some(None);
                        }
                    }
                }
                Step::If { condition, steps, proxy, .. } => match self.holds(condition) {
                    None => {}
                    Some(false) => {}
                    Some(true) => {
                        if let Some(found) = self.list(steps, chosen) {
                            return Some(found);
                        }
                        if proxy.is_some() {
                            chosen.clone_from(proxy);
                        }
                    }
                },
                Step::Break => return Some(None),
                Step::Foreign(_) => {}
            }
        }
        None
    }

    fn returned(&self, status: u16, text: Option<&Text>) -> Answer {
        let text = match text.map(|text| self.value(text)) {
            Some(None) => return Answer::Foreign,
            Some(Some(text)) => Some(text),
            None => None,
        };
        match (status, text) {
            (301 | 302 | 303 | 307 | 308, Some(url)) => Answer::Redirect { status, url: self.url(&url, false) },
            (200..=599, _) if status != 444 => Answer::Status(status),
            _ => Answer::Foreign,
        }
    }

    /// An absolute URL. `rewrite` appends the query.
    fn url(&self, text: &str, appends: bool) -> String {
        let mut url = match text.starts_with('/') {
            true => format!("{}://{}{text}", self.request.scheme(), self.request.host),
            false => text.to_owned(),
        };
        if let Some(without) = url.strip_suffix('?') {
            return without.to_owned();
        }
        if appends && !self.request.arguments.is_empty() {
            url.push(if url.contains('?') { '&' } else { '?' });
            url += &self.request.query();
        }
        // As the client reads it.
        let path_at = url.find("://").map_or(0, |at| at + 3);
        if !url[path_at..].contains('/') {
            url.push('/');
        }
        url
    }

    fn proxy(&self, proxy: &ProxyPass, location: &Location) -> Answer {
        let has_variables = proxy.url.variables().next().is_some();
        let (mut servers, mut paths) = (BTreeSet::new(), BTreeSet::new());
        for url in self.values(&proxy.url) {
            let Some(url) = url else { return Answer::Foreign };
            let Some((scheme, rest)) = url.split_once("://") else { return Answer::Foreign };
            let (authority, path) = match rest.find('/') {
                Some(at) => rest.split_at(at),
                None => (rest, ""),
            };
            match self.model.upstreams.get(authority) {
                Some(upstream) => {
                    let primaries = upstream.servers.iter().filter(|server| !server.is_backup && server.weight > 0);
                    servers.extend(primaries.map(|server| format!("{scheme}://{}", server.address)));
                }
                None => _ = servers.insert(format!("{scheme}://{authority}")),
            }
            let query =
                if self.request.arguments.is_empty() { String::new() } else { format!("?{}", self.request.query()) };
            paths.insert(match (&location.matcher, path) {
                _ if self.is_rewritten => format!("{}{query}", self.path),
                (_, "") => self.request.target(),
                _ if has_variables => path.to_owned(),
                (Matcher::Prefix { path: own, .. } | Matcher::Exact(own), to) => {
                    format!("{to}{}{query}", self.path.strip_prefix(&**own).unwrap_or_default())
                }
                (Matcher::Regex(_), _) => return Answer::Foreign,
            });
        }
        match (paths.len(), paths.pop_first()) {
            (1, Some(path)) if !servers.is_empty() => Answer::From { servers, path },
            _ => Answer::Foreign,
        }
    }

    fn holds(&mut self, test: &Test) -> Option<bool> {
        let value = self.variable(&test.variable)?;
        let holds = match &test.kind {
            TestKind::True => !value.is_empty() && value != "0",
            TestKind::Equals(other) => value == self.value(other)?,
            TestKind::Matches(pattern) => {
                translated(pattern).ok()?;
                self.matches(pattern, &value)
            }
        };
        Some(holds != test.is_negated)
    }

    fn matches(&mut self, pattern: &Pattern, text: &str) -> bool {
        let Some(regex) = translated(pattern).ok().and_then(|source| Regex::new(&source).ok()) else { return false };
        let Some(captures) = regex.captures(text) else { return false };
        let group = |index: usize| captures.get(index).map_or(String::new(), |it| it.as_str().to_owned());
        self.groups = (1..captures.len()).map(|index| (index.to_string(), group(index))).collect();
        let names: Vec<_> = regex
            .group_names()
            .enumerate()
            .filter_map(|(index, name)| Some((name?.to_owned(), group(index))))
            .collect();
        self.groups.extend(names);
        true
    }

    /// The value, if no `split_clients` is in it and all its variables are known.
    fn value(&self, text: &Text) -> Option<String> {
        match self.values(text).as_slice() {
            [Some(value)] => Some(value.clone()),
            _ => None,
        }
    }

    /// The values for all users.
    fn values(&self, text: &Text) -> Vec<Option<String>> {
        let split = text.variables().find_map(|name| match self.model.variables.get(name) {
            Some(Variable::Split(split)) => Some((name, split)),
            _ => None,
        });
        if let Some((name, split)) = split {
            let parts = split.parts.iter().filter(|(share, _)| *share > 0);
            return parts
                .flat_map(|(_, part)| self.values(&text.with(&|it| (it == name).then(|| part.clone()))))
                .collect();
        }
        let map = text.variables().find_map(|name| match self.model.variables.get(name) {
            Some(Variable::Map(map)) => Some((name, map)),
            _ => None,
        });
        if let Some((name, map)) = map {
            let Some(value) = self.looked_up(map) else { return vec![None] };
            // A map whose value is itself has none.
            if value.variables().any(|inner| inner == name) {
                return vec![None];
            }
            return self.values(&text.with(&|it| (it == name).then(|| value.clone())));
        }
        let mut value = String::new();
        for piece in &text.0 {
            match piece {
                Piece::Literal(text) => value += text,
                Piece::Variable(name) => match self.variable(name) {
                    Some(text) => value += &text,
                    None => return vec![None],
                },
            }
        }
        vec![Some(value)]
    }

    fn looked_up(&self, map: &Map) -> Option<Text> {
        let source = self.value(&map.source)?;
        let lower = source.to_ascii_lowercase();
        let matches = |key: &Key| match key {
            Key::Exact(text) => text.eq_ignore_ascii_case(&source),
            Key::Mask(mask) => match (mask.strip_prefix('*'), mask.strip_prefix('.'), mask.strip_suffix('*')) {
                (Some(end), ..) => lower.ends_with(end),
                (_, Some(name), _) => lower == name || lower.ends_with(&**mask),
                (.., Some(start)) => lower.starts_with(start),
                _ => false,
            },
            Key::Regex(pattern) => choice::matches(pattern, &source),
        };
        Some(map.entries.iter().find(|(key, _)| matches(key)).map_or(&map.default, |(_, value)| value).clone())
    }

    fn variable(&self, name: &str) -> Option<String> {
        if self.model.variables.contains_key(name) {
            return self.value(&Text(vec![Piece::Variable(name.to_owned())]));
        }
        if let Some((_, value)) = self.groups.iter().find(|(known, _)| known == name) {
            return Some(value.clone());
        }
        let of = |list: &[(String, String)], name: &str| {
            list.iter()
                .find(|(known, _)| known.eq_ignore_ascii_case(name))
                .map(|(_, value)| value.clone())
                .unwrap_or_default()
        };
        if let Some(cookie) = name.strip_prefix("cookie_") {
            return Some(of(&self.request.cookies, cookie));
        }
        if let Some(key) = name.strip_prefix("arg_") {
            return Some(of(&self.request.arguments, key));
        }
        Some(match name {
            "host" | "http_host" => self.request.host.clone(),
            "server_name" => self.server_name.clone(),
            "scheme" => self.request.scheme().to_owned(),
            "request_method" => self.request.method.clone(),
            "uri" | "document_uri" => self.path.clone(),
            "request_uri" => self.request.target(),
            "args" | "query_string" => self.request.query(),
            "is_args" => {
                if self.request.arguments.is_empty() {
                    String::new()
                } else {
                    "?".to_owned()
                }
            }
            "remote_addr" => IpAddr::from(CLIENT).to_string(),
            _ => match name.strip_prefix("http_") {
                Some("x_forwarded_proto") => self.request.scheme().to_owned(),
                Some(field) => of(&self.request.fields, &field.replace('_', "-")),
                None => return None,
            },
        })
    }
}

/// Returns true if a range or an address contains the address.
fn contains(range: &str, address: IpAddr) -> bool {
    let (network, length) = range.split_once('/').unwrap_or((range, "32"));
    let (Ok(IpAddr::V4(network)), Ok(length), IpAddr::V4(address)) = (network.parse(), length.parse::<u32>(), address)
    else {
        return false;
    };
    let mask = u32::MAX.checked_shl(32_u32.saturating_sub(length)).unwrap_or(0);
    u32::from(network) & mask == u32::from(address) & mask
}
