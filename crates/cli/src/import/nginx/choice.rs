//! NGINX's choice of a server and of a location, as `ngx_http_find_virtual_server` and `ngx_http_core_find_location` make it
//! (src/http/ngx_http_request.c, ngx_http_core_module.c). Tests of the imported file expect what this finds; `order` puts routes into
//! an order that gives the same.

use crossfade_rule::Regex;

use super::model::{Block, Location, Matcher, Model, Name, Pattern, Server};
use super::patterns::translated;

/// The servers for one scheme, where some are for one scheme only.
#[derive(Clone, Debug)]
pub(super) struct Space<'m> {
    /// Behind the load balancer, `X-Forwarded-Proto` tells the schemes apart.
    pub(super) is_http_only: bool,
    pub(super) servers: Vec<&'m Server>,
}

/// The servers by scheme, http first; one space if it makes no difference.
pub(super) fn spaces(model: &Model) -> Vec<Space<'_>> {
    let of = |is_http_only: bool| {
        let is_of = |server: &&Server| if is_http_only { server.is_http } else { server.is_https };
        Space { is_http_only, servers: model.servers.iter().filter(is_of).collect() }
    };
    let (http, https) = (of(true), of(false));
    if https.servers.is_empty() {
        return vec![Space { is_http_only: false, ..http }];
    }
    let is_same = http.servers.len() == https.servers.len()
        && http.servers.iter().zip(&https.servers).all(|(a, b)| std::ptr::eq(*a, *b));
    if http.servers.is_empty() || is_same { vec![https] } else { vec![http, https] }
}

impl<'m> Space<'m> {
    /// The server for requests that name no other.
    pub(super) fn default(&self) -> Option<&'m Server> {
        self.servers.iter().find(|server| server.is_default).or(self.servers.first()).copied()
    }

    /// The server for a host: by its exact name, the longest name that begins with `*`, the longest that ends with `*`, or the
    /// first regex (documentation of `server_name`).
    pub(super) fn server(&self, host: &str) -> Option<&'m Server> {
        let host = host.to_ascii_lowercase();
        let rank = |name: &Name| match name {
            Name::Exact(name) => (*name == host).then_some((3, name.len())),
            Name::Leading(end) => (host.ends_with(&**end) && host.len() > end.len()).then_some((2, end.len())),
            Name::Trailing(start) => {
                (host.starts_with(&**start) && host.len() > start.len()).then_some((1, start.len()))
            }
            Name::Regex(_) => None,
        };
        let names = || self.servers.iter().flat_map(|server| server.names.iter().map(move |name| (*server, name)));
        let mut best: Option<((u8, usize), &Server)> = None;
        for (server, name) in names() {
            if let Some(rank) = rank(name).filter(|rank| best.is_none_or(|(before, _)| *rank > before)) {
                best = Some((rank, server));
            }
        }
        let regex = || names().find(|(_, name)| matches!(name, Name::Regex(regex) if matches(regex, &host)));
        best.map(|(_, server)| server).or_else(|| regex().map(|(server, _)| server)).or(self.default())
    }
}

/// NGINX's choice for a path.
#[derive(Clone, Copy, Debug)]
pub(super) enum Found<'m> {
    Location(&'m Location),
    /// The path with a slash at its end.
    Slash(&'m Location),
    None,
}

enum Static<'m> {
    Exact(&'m Location),
    Prefix(&'m Location),
    Slash(&'m Location),
    None,
}

/// Returns the location for a normalised path.
pub(super) fn location<'m>(block: &'m Block, path: &str) -> Found<'m> {
    find(block, path).1
}

/// True if the search ends there: nothing of an outer block can replace it.
fn find<'m>(block: &'m Block, path: &str) -> (bool, Found<'m>) {
    let (prefix, no_regex) = match statically(block, path) {
        Static::Exact(location) => return (true, Found::Location(location)),
        Static::Slash(location) => return (true, Found::Slash(location)),
        Static::Prefix(location) => match find(&location.block, path) {
            (true, found) => return (true, found),
            (false, found) => {
                let found = if matches!(found, Found::None) { Found::Location(location) } else { found };
                (found, matches!(location.matcher, Matcher::Prefix { no_regex: true, .. }))
            }
        },
        Static::None => (Found::None, false),
    };
    if !no_regex {
        let mut regexes = block.locations.iter();
        let found = regexes.find(|it| matches!(&it.matcher, Matcher::Regex(regex) if matches(regex, path)));
        if let Some(found) = found {
            let inner = find(&found.block, path).1;
            return (true, if matches!(inner, Found::None) { Found::Location(found) } else { inner });
        }
    }
    (false, prefix)
}

fn statically<'m>(block: &'m Block, path: &str) -> Static<'m> {
    let mut longest: Option<(usize, &Location)> = None;
    for location in &block.locations {
        match &location.matcher {
            Matcher::Exact(exact) if exact == path => return Static::Exact(location),
            Matcher::Prefix { path: prefix, .. }
                if path.starts_with(&**prefix) && longest.is_none_or(|(length, _)| prefix.len() > length) =>
            {
                longest = Some((prefix.len(), location));
            }
            _ => {}
        }
    }
    // Any other location with this path would be the longest.
    let is_taken = longest.is_some_and(|(length, _)| length == path.len());
    match block.locations.iter().find(|it| with_slash(it).is_some_and(|short| short == path)).filter(|_| !is_taken) {
        Some(location) => Static::Slash(location),
        None => longest.map_or(Static::None, |(_, location)| Static::Prefix(location)),
    }
}

/// The path without the slash at its end, for which NGINX redirects to the path with it: of a location with `proxy_pass`.
pub(super) fn with_slash(location: &Location) -> Option<&str> {
    let (Matcher::Exact(path) | Matcher::Prefix { path, .. }) = &location.matcher else { return None };
    path.strip_suffix('/').filter(|short| !short.is_empty() && location.block.proxy.is_some())
}

/// Returns true if the regex matches; false if Crossfade cannot compile it.
pub(super) fn matches(pattern: &Pattern, text: &str) -> bool {
    let regex = translated(pattern).ok().and_then(|source| Regex::new(&source).ok());
    regex.is_some_and(|regex| regex.is_match(text.as_bytes()))
}
