//! Requests for the tests of an imported file: one for each location, server name, rewrite and case of a map, and those next to
//! the borders between locations.

use super::choice::Space;
use super::model::{Block, Key, Map, Matcher, Model, Name, Server, Step, TestKind, Variable};
use super::order::encoded;
use super::patterns::{self, translated};
use crate::import::expected::{ARGUMENT, Request};

/// Most requests for one file.
const MAX_REQUESTS: usize = 400;

/// The requests, in the order of the file.
pub(super) fn requests(model: &Model, spaces: &[Space<'_>]) -> Vec<Request> {
    let mut requests: Vec<Request> = Vec::new();
    let mut add = |request: Request| {
        if requests.len() < MAX_REQUESTS && !requests.contains(&request) {
            requests.push(request);
        }
    };
    for space in spaces {
        for server in &space.servers {
            let hosts = hosts(space, server);
            let Some(host) = hosts.first() else { continue };
            let plain = |host: &str, path: &str| Request {
                is_https: !space.is_http_only,
                host: host.to_owned(),
                path: path.to_owned(),
                method: "GET".to_owned(),
                ..Request::default()
            };
            let paths = paths(&server.block);
            for path in &paths {
                add(plain(host, path));
            }
            for host in hosts.iter().skip(1) {
                add(plain(host, "/"));
            }
            for path in paths.iter().take(8).filter(|path| path.len() > 1) {
                add(Request { arguments: vec![(ARGUMENT.to_owned(), "1".to_owned())], ..plain(host, path) });
            }
            let mut blocks = vec![&server.block];
            while let Some(block) = blocks.pop() {
                blocks.extend(block.locations.iter().map(|location| &location.block));
                tests(&block.steps, &mut |name, value| {
                    for path in paths.iter().take(3) {
                        if let Some(request) = with(plain(host, path), name, value) {
                            add(request);
                        }
                    }
                });
            }
            for variable in model.variables.values() {
                let Variable::Map(map) = variable else { continue };
                for (name, value) in values(map) {
                    for path in paths.iter().take(12) {
                        if let Some(request) = with(plain(host, path), name, &value) {
                            add(request);
                        }
                    }
                }
            }
        }
    }
    requests
}

/// Hosts that reach the server: one for each name.
fn hosts(space: &Space<'_>, server: &Server) -> Vec<String> {
    let named = server.names.iter().filter_map(|name| match name {
        Name::Exact(name) => Some(name.clone()),
        Name::Leading(end) => Some(format!("any{end}")),
        Name::Trailing(start) => Some(format!("{start}org")),
        Name::Regex(pattern) => patterns::sample(&translated(pattern).ok()?).map(|host| host.to_ascii_lowercase()),
    });
    let unnamed = || Some("unknown.example".to_owned());
    let is_host = |host: &String| {
        !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-.".contains(&byte))
    };
    let is_reached = |host: &String| space.server(host).is_some_and(|found| std::ptr::eq(found, server));
    named.chain(unnamed()).filter(|host| is_host(host) && is_reached(host)).collect()
}

fn paths(block: &Block) -> Vec<String> {
    let (mut prefixes, mut regexes, mut paths) = (Vec::new(), Vec::new(), Vec::new());
    let mut blocks = vec![block];
    while let Some(block) = blocks.pop() {
        for step in &block.steps {
            if let Step::Rewrite { regex, .. } = step {
                regexes.extend(translated(regex).ok().and_then(|source| sample(&source)));
            }
        }
        for location in &block.locations {
            blocks.push(&location.block);
            match &location.matcher {
                Matcher::Exact(path) => paths.extend([path.clone(), format!("{path}x")]),
                Matcher::Prefix { path, .. } => {
                    paths.extend([path.clone(), format!("{path}x"), format!("{path}x/y")]);
                    paths.extend(path.strip_suffix('/').filter(|it| !it.is_empty()).map(str::to_owned));
                    prefixes.push(path.clone());
                }
                Matcher::Regex(pattern) => regexes.extend(translated(pattern).ok().and_then(|source| sample(&source))),
            }
        }
    }
    paths.extend(regexes.iter().cloned());
    // A regex replaces a prefix, unless that has `^~`.
    for prefix in &prefixes {
        for regex in &regexes {
            paths.push(format!("{}{regex}", prefix.trim_end_matches('/')));
        }
    }
    paths.extend(["/".to_owned(), "/no-such-path".to_owned()]);
    // The normal form: NGINX merges slashes and decodes, Crossfade does not.
    let is_normal =
        |path: &String| path.starts_with('/') && !path.contains("//") && !path.contains("/.") && encoded(path) == *path;
    let mut unique = Vec::new();
    for path in paths.into_iter().filter(is_normal) {
        if !unique.contains(&path) {
            unique.push(path);
        }
    }
    unique
}

/// A path that a regex matches.
fn sample(source: &str) -> Option<String> {
    let text = patterns::sample(source)?;
    let path = if text.starts_with('/') { text } else { format!("/a{text}") };
    let regex = crossfade_rule::Regex::new(source).ok()?;
    regex.is_match(path.as_bytes()).then_some(path)
}

/// The source of a map and values of its entries.
fn values(map: &Map) -> Vec<(&str, String)> {
    let Some(source) = map.source.as_variable() else { return Vec::new() };
    let values = map.entries.iter().filter_map(|(key, _)| match key {
        Key::Exact(text) => Some(text.clone()),
        Key::Mask(_) => None,
        Key::Regex(pattern) => {
            let source = translated(pattern).ok()?;
            let text = patterns::sample(&source)?;
            crossfade_rule::Regex::new(&source).ok()?.is_match(text.as_bytes()).then_some(text)
        }
    });
    values.take(8).chain(["none-of-these".to_owned()]).map(|value| (source, value)).collect()
}

/// The variables and values of the conditions of `if`.
fn tests(steps: &[Step], add: &mut dyn FnMut(&str, &str)) {
    for step in steps {
        let Step::If { condition, steps, .. } = step else { continue };
        match &condition.kind {
            TestKind::True => add(&condition.variable, "1"),
            TestKind::Equals(value) => value.as_literal().into_iter().for_each(|value| add(&condition.variable, value)),
            TestKind::Matches(pattern) => {
                let text = translated(pattern).ok().and_then(|source| patterns::sample(&source));
                text.iter().for_each(|text| add(&condition.variable, text));
            }
        }
        tests(steps, add);
    }
}

/// The request with a value of a variable; `None` if a request cannot have it.
fn with(mut request: Request, variable: &str, value: &str) -> Option<Request> {
    let is_plain = value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-._/".contains(&byte));
    if value.is_empty() || !is_plain {
        return None;
    }
    let value = value.to_owned();
    if let Some(cookie) = variable.strip_prefix("cookie_") {
        request.cookies.push((cookie.to_owned(), value));
    } else if let Some(key) = variable.strip_prefix("arg_") {
        request.arguments.push((key.to_owned(), value));
    } else {
        match variable {
            "request_method" => request.method = value,
            "uri" | "request_uri" | "document_uri" if value.starts_with('/') && encoded(&value) == value => {
                request.path = value
            }
            "http_host" | "host" | "http_x_forwarded_proto" | "http_x_forwarded_for" => return None,
            _ => request.fields.push((variable.strip_prefix("http_")?.replace('_', "-"), value)),
        }
    }
    Some(request)
}
