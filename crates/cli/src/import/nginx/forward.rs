//! `proxy_pass` as `forward`: back ends from URLs and upstreams, weights, paths, fields and mirrors.

use super::choice::{self, Found};
use super::compile::{Compiler, Site, Values, groups, path_transform, with_values};
use super::model::{Location, Matcher, ProxyPass, Redirects, Settings, Upstream, Variable};
use super::patterns::whole;
use super::reading::at;
use super::redirects::Body;
use super::text::{Piece, Text};
use super::variables;
use crate::import::conditions::escaped;
use crate::import::file::Names;
use crate::import::findings::Kind;
use crate::import::yaml::Yaml;

/// Largest weight of a target.
const MAX_WEIGHT: u64 = 999;

/// The back ends so far. The same URL with other settings is another back end.
#[derive(Debug, Default)]
pub(super) struct Backends {
    pub(super) list: Vec<(String, Yaml)>,
    pub(super) names: Names,
}

impl Backends {
    fn name(&mut self, wish: &str, backend: Yaml) -> String {
        if let Some((name, _)) = self.list.iter().find(|(_, known)| *known == backend) {
            return name.clone();
        }
        let name = self.names.unique(wish);
        self.list.push((name.clone(), backend));
        name
    }
}

/// A `proxy_pass` in one case of the variables.
pub(super) struct Sent<'s, 'm> {
    pub(super) site: Site<'m>,
    pub(super) values: &'s Values,
    pub(super) proxy: &'s ProxyPass,
    /// Entries of `transforms.path` from `rewrite`.
    pub(super) rewrites: &'s [Yaml],
}

/// URLs with their shares, and the value by which users are distributed.
type Parts = (Vec<(u32, Text)>, Option<Text>);

/// A URL without variables.
#[derive(Clone, Debug, PartialEq)]
struct Destination {
    scheme: String,
    authority: String,
    transforms: Vec<(String, Yaml)>,
}

impl<'m> Compiler<'m, '_> {
    /// The action and what belongs to it.
    ///
    /// # Errors
    ///
    /// The reason why it is not imported.
    pub(super) fn forward(&mut self, sent: &Sent<'_, 'm>) -> Result<Body, String> {
        let settings = sent.site.location.map_or(&sent.site.server.block.settings, |location| &location.block.settings);
        let (parts, key) = self.parts(sent)?;
        let mut destinations = Vec::new();
        for (share, url) in parts {
            destinations.push((share, destination(&url, sent)?));
        }
        let (host, request_headers) = self.request_fields(settings, sent);
        let all_alike =
            destinations.windows(2).all(|pair| matches!(pair, [(_, a), (_, b)] if a.transforms == b.transforms));
        if !all_alike && !sent.rewrites.is_empty() {
            return Err("`rewrite` and several paths at back ends are not supported together".to_owned());
        }
        let mut targets: Vec<(u64, Yaml, Yaml)> = Vec::new();
        let (mut failover, mut by) = (None, None::<Text>);
        let sums: Vec<u64> = destinations.iter().map(|(_, it)| self.sum_of_weights(&it.authority)).collect();
        let common = sums.iter().copied().fold(1, lcm);
        for ((share, destination), sum) in destinations.iter().zip(sums) {
            let servers = self.servers(destination, settings, host.as_ref(), sent)?;
            // It would be that of the other destinations as well.
            match servers.backup {
                Some(_) if destinations.len() > 1 => {
                    let shown = format!("backup of `{}`", destination.authority);
                    let reason = "`failover` belongs to a route, which has several upstreams here";
                    self.findings.add(Kind::NotImported, at(sent.proxy.place), &shown, reason);
                }
                backup => failover = backup,
            }
            by = by.or(servers.hash);
            let transforms = if all_alike { Yaml::Map(Vec::new()) } else { Yaml::Map(destination.transforms.clone()) };
            for (weight, backend) in servers.primaries {
                let weight = u64::from(*share) * weight * (common / sum.max(1));
                targets.push((weight, Yaml::text(&backend), transforms.clone()));
            }
        }
        let sticky = self.sticky(key.as_ref().or(by.as_ref()), sent);
        let mut body = Body::new();
        if let Some((_, first)) = destinations.first().filter(|(_, it)| all_alike && !it.transforms.is_empty()) {
            body.push(("transforms".to_owned(), Yaml::Map(first.transforms.clone())));
        }
        body.push(("forward".to_owned(), action(self.scaled(targets, sent), sticky, failover)));
        body.extend(self.mirror(settings, sent));
        body.extend(request_headers);
        body.extend(self.response_fields(settings, sent.site, sent.values, true));
        Ok(body)
    }

    /// The URLs with their shares, and the value by which users are distributed.
    fn parts(&mut self, sent: &Sent<'_, 'm>) -> Result<Parts, String> {
        let url = with_values(&sent.proxy.url, sent.values);
        let split = url.variables().find_map(|name| match self.model.variables.get(name) {
            Some(Variable::Split(split)) => Some((name.to_owned(), split)),
            _ => None,
        });
        let Some((name, split)) = split else { return Ok((vec![(1, url)], None)) };
        let reason = "Crossfade's hash gives users to the targets in the same shares, but not the same users to each";
        self.findings.add(Kind::Differs, at(split.place), &format!("split_clients ${name}"), reason);
        let with = |value: &Text| url.with(&|other| (other == name).then(|| value.clone()));
        Ok((
            split.parts.iter().filter(|(share, _)| *share > 0).map(|(share, value)| (*share, with(value))).collect(),
            Some(split.key.clone()),
        ))
    }

    fn sum_of_weights(&self, authority: &str) -> u64 {
        let weights = |upstream: &Upstream| {
            upstream.servers.iter().filter(|it| !it.is_backup).map(|it| u64::from(it.weight)).sum()
        };
        self.model.upstreams.get(authority).map_or(1, weights)
    }

    fn servers(
        &mut self,
        destination: &Destination,
        settings: &Settings,
        host: Option<&Yaml>,
        sent: &Sent<'_, 'm>,
    ) -> Result<Servers, String> {
        let Destination { scheme, authority, .. } = destination;
        let Some(upstream) = self.model.upstreams.get(authority) else {
            let backend = self.backend(&format!("{scheme}://{authority}"), settings, host.cloned(), None, sent)?;
            let name = self.backends.name(authority, backend);
            return Ok(Servers { primaries: vec![(1, name)], backup: None, hash: None });
        };
        // Its name is the host that NGINX sends by default.
        let host = host.cloned().or_else(|| is_host(authority).then(|| Yaml::text(authority)));
        let (mut primaries, mut backup) = (Vec::new(), None);
        let count = upstream.servers.len();
        for (index, server) in upstream.servers.iter().enumerate() {
            if server.address.starts_with("unix:") {
                return Err("Crossfade connects over TCP, not to a Unix socket".to_owned());
            }
            let url = format!("{scheme}://{}", server.address);
            let outlier = server.max_fails.filter(|fails| *fails > 0).map(|fails| {
                let time = server.fail_timeout.as_deref().and_then(duration).unwrap_or_else(|| "10s".to_owned());
                Yaml::map([("failures", Yaml::number(fails)), ("for", Yaml::text(&time))])
            });
            let backend = self.backend(&url, settings, host.clone(), outlier, sent)?;
            let wish = if count == 1 { authority.clone() } else { format!("{authority}-{}", index + 1) };
            let name = self.backends.name(&wish, backend);
            match server.is_backup {
                false => primaries.push((u64::from(server.weight), name)),
                true if backup.is_none() => backup = Some(name),
                true => {
                    let reason = "`failover` names one back end, the first of these";
                    self.findings.add(
                        Kind::NotImported,
                        at(server.place),
                        &format!("server {}", server.address),
                        reason,
                    );
                }
            }
        }
        if primaries.is_empty() {
            return Err(format!("the upstream `{authority}` has no server that gets requests"));
        }
        if primaries.len() > 1 && backup.is_none() {
            let reason = "NGINX tries the next server when one fails (`proxy_next_upstream`); add `failover`";
            self.findings.add(Kind::Differs, at(upstream.place), &format!("upstream {authority}"), reason);
        }
        Ok(Servers { primaries, backup, hash: upstream.hash.clone() })
    }

    /// The value of a back end.
    fn backend(
        &mut self,
        url: &str,
        settings: &Settings,
        host: Option<Yaml>,
        outlier: Option<Yaml>,
        sent: &Sent<'_, 'm>,
    ) -> Result<Yaml, String> {
        crossfade_route::RoutingTable::from_backend_url(url, "proxy_pass", &crossfade_route::Nothing).map_err(
            |errors| {
                let first = errors.list.first();
                first.map_or_else(|| "the URL is invalid".to_owned(), |error| error.message.clone())
            },
        )?;
        let mut keys = vec![("url".to_owned(), Yaml::text(url))];
        let is_preserved = host == Some(Yaml::text("preserve"));
        if let Some(public) = self.public_url(url, settings, is_preserved, sent) {
            keys.push(("publicUrl".to_owned(), public));
            keys.push(("hostHeader".to_owned(), host.unwrap_or_else(|| Yaml::text("backend"))));
        } else if let Some(host) = host {
            keys.push(("hostHeader".to_owned(), host));
        }
        let limit =
            |key: &str, value: &Option<String>| Some((key.to_owned(), Yaml::text(&duration(value.as_deref()?)?)));
        let mut timeouts: Vec<_> = limit("connect", &settings.connect_timeout).into_iter().collect();
        timeouts.extend(limit("backendRequest", &settings.read_timeout));
        if !timeouts.is_empty() {
            keys.push(("timeouts".to_owned(), Yaml::Map(timeouts)));
        }
        keys.extend(outlier.map(|outlier| ("outlier".to_owned(), outlier)));
        // The short form.
        Ok(if keys.len() == 1 { Yaml::text(url) } else { Yaml::Map(keys) })
    }

    /// NGINX maps redirects of the back end to its own address unless `proxy_redirect` is off.
    fn public_url(&mut self, url: &str, settings: &Settings, is_preserved: bool, sent: &Sent<'_, 'm>) -> Option<Yaml> {
        let host = sent.site.server_name().filter(|name| name.contains('.'));
        let public = host.map(|host| format!("https://{host}"));
        let own = url.split_once("://").map_or(url, |(_, host)| host);
        if let Redirects::Replace(pairs) = &settings.redirect {
            for (from, to, place) in pairs {
                let is_own = from.source().contains(own) || from.source().contains("$proxy_host");
                if !is_own || public.is_none() {
                    let reason = "only redirects to the back end's own URL are mapped, to the first name of the server (`publicUrl`)";
                    let shown = format!("proxy_redirect {} {}", from.source(), to.source());
                    self.findings.add(Kind::NotImported, at(*place), &shown, reason);
                }
            }
        }
        let is_mapped = match &settings.redirect {
            Redirects::Off => false,
            Redirects::Default => !is_preserved,
            Redirects::Replace(_) => true,
        };
        let mut maps_content = false;
        for (from, to, place) in &settings.sub_filters {
            let (from, to) = (from.source(), to.source());
            let is_own = from.trim_end_matches('/').split_once("//").is_some_and(|(_, host)| host == own);
            let to_public =
                to.contains("$host") || to.contains("${host}") || host.is_some_and(|host| to.contains(host));
            if is_own && to_public && public.is_some() {
                maps_content = true;
            } else {
                let reason = "Crossfade replaces only the back end's own URL in content (`publicUrl`)";
                self.findings.add(Kind::NotImported, at(*place), &format!("sub_filter {from} {to}"), reason);
            }
        }
        match (public, maps_content) {
            (Some(public), true) => {
                let mut types = vec![Yaml::text("text/html")];
                types.extend(
                    settings
                        .sub_filter_types
                        .iter()
                        .filter(|it| *it != "text/html" && it.contains('/'))
                        .map(|it| Yaml::text(it)),
                );
                Some(Yaml::map([("url", Yaml::text(&public)), ("content", Yaml::List(types))]))
            }
            (Some(public), false) if is_mapped => Some(Yaml::text(&public)),
            _ => None,
        }
    }

    /// `hostHeader`, and `requestHeaders`.
    fn request_fields(&mut self, settings: &Settings, sent: &Sent<'_, 'm>) -> (Option<Yaml>, Body) {
        const OURS: [&str; 5] =
            ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "x-forwarded-port", "x-forwarded-server"];
        const HOP: [&str; 4] = ["connection", "upgrade", "te", "transfer-encoding"];
        let (mut host, mut set, mut removed) = (None, Vec::new(), Vec::new());
        for (name, text, place) in &settings.set_header {
            let text = with_values(text, sent.values);
            let lower = name.to_ascii_lowercase();
            let shown = format!("proxy_set_header {name}");
            if lower == "host" {
                host = match (text.as_variable(), text.as_literal()) {
                    (Some("host" | "http_host"), _) => Some(Yaml::text("preserve")),
                    (Some("proxy_host"), _) => None,
                    (Some("server_name"), _) => sent.site.server_name().map(Yaml::text),
                    (_, Some(literal)) if is_host(literal) => Some(Yaml::text(literal)),
                    // `$host:$server_port`.
                    _ if text.variables().next() == Some("host") => Some(Yaml::text("preserve")),
                    _ => {
                        let reason = "`hostHeader` is the client's host, the back end's, or a name";
                        self.findings.add(Kind::NotImported, at(*place), &shown, reason);
                        None
                    }
                };
                continue;
            }
            if OURS.contains(&&*lower) && text.variables().next().is_some() {
                let reason = "the load balancer and Crossfade set these fields";
                self.findings.add(Kind::NotNeeded, at(*place), &shown, reason);
                continue;
            }
            if HOP.contains(&&*lower) {
                let (kind, reason) = match lower == "upgrade" || text.as_literal() != Some("") {
                    true => (
                        Kind::NotImported,
                        "the load balancer passes no upgrades to a function, so WebSocket needs a rule of its own",
                    ),
                    false => (Kind::NotNeeded, "Crossfade removes hop-by-hop fields"),
                };
                self.findings.add(kind, at(*place), &shown, reason);
                continue;
            }
            match variables::field_value(&text, &|name| sent.site.variable(name)) {
                Ok(value) if value.is_empty() => removed.push(Yaml::text(&lower)),
                Ok(value) => set.push((lower, Yaml::template(&value))),
                Err(variable) if own_field(&lower, &variable) => {}
                Err(variable) => {
                    let reason = format!("the variable `${variable}` is not supported in a field");
                    self.findings.add(Kind::NotImported, at(*place), &shown, &reason);
                }
            }
        }
        let mut edits = Vec::new();
        if !removed.is_empty() {
            edits.push(("remove".to_owned(), Yaml::List(removed)));
        }
        if !set.is_empty() {
            edits.push(("set".to_owned(), Yaml::Map(set)));
        }
        let body = if edits.is_empty() { Vec::new() } else { vec![("requestHeaders".to_owned(), Yaml::Map(edits))] };
        (host, body)
    }

    fn sticky(&mut self, key: Option<&Text>, sent: &Sent<'_, 'm>) -> Option<Yaml> {
        let (by, note) = variables::users(key?);
        if let Some(note) = note {
            let shown = format!("proxy_pass {}", sent.proxy.url.source());
            self.findings.add(Kind::Differs, at(sent.proxy.place), &shown, &format!("{note} (`{}`)", key?.source()));
        }
        Some(Yaml::map([("by", by?)]))
    }

    /// Weights as small numbers in the same ratio. Each back end occurs once.
    fn scaled(&mut self, targets: Vec<(u64, Yaml, Yaml)>, sent: &Sent<'_, 'm>) -> Vec<(u64, Yaml, Yaml)> {
        let mut merged: Vec<(u64, Yaml, Yaml)> = Vec::new();
        for (weight, backend, transforms) in targets {
            match merged.iter_mut().find(|(_, known, _)| *known == backend) {
                Some((sum, ..)) => *sum += weight,
                None => merged.push((weight, backend, transforms)),
            }
        }
        let divisor = merged.iter().map(|(weight, ..)| *weight).fold(0, gcd).max(1);
        merged.iter_mut().for_each(|(weight, ..)| *weight /= divisor);
        let largest = merged.iter().map(|(weight, ..)| *weight).max().unwrap_or(1);
        if largest > MAX_WEIGHT {
            let reason = "weights are whole numbers up to 999, so the shares are rounded";
            let shown = format!("proxy_pass {}", sent.proxy.url.source());
            self.findings.add(Kind::Differs, at(sent.proxy.place), &shown, reason);
            for (weight, ..) in &mut merged {
                *weight = (*weight * MAX_WEIGHT + largest / 2) / largest;
            }
        }
        merged
    }

    fn mirror(&mut self, settings: &Settings, sent: &Sent<'_, 'm>) -> Body {
        let mut mirrors = settings.mirrors.iter();
        let Some((path, place)) = mirrors.next() else { return Vec::new() };
        let shown = format!("mirror {path}");
        for (path, place) in mirrors {
            self.findings.add(Kind::NotImported, at(*place), &format!("mirror {path}"), "a route has one mirror");
        }
        match self.mirrored(path, sent) {
            Ok(mirror) => {
                let reason = "NGINX copies all requests, Crossfade those with safe methods unless `methods` of the mirror lists others";
                self.findings.add(Kind::Differs, at(*place), &shown, reason);
                vec![("mirror".to_owned(), mirror)]
            }
            Err(reason) => {
                self.findings.add(Kind::NotImported, at(*place), &shown, &reason);
                Vec::new()
            }
        }
    }

    fn mirrored(&mut self, path: &str, sent: &Sent<'_, 'm>) -> Result<Yaml, String> {
        let Found::Location(location) = choice::location(&sent.site.server.block, path) else {
            return Err("no location has this path".to_owned());
        };
        let Some(proxy) = &location.block.proxy else { return Err("its location has no `proxy_pass`".to_owned()) };
        let site = Site { location: Some(location), ..sent.site };
        let inner = Sent { site, values: sent.values, proxy, rewrites: &[] };
        let (mut parts, key) = self.parts(&inner)?;
        let total: u32 = parts.iter().map(|(share, _)| share).sum();
        // An empty value mirrors nothing.
        parts.retain(|(_, url)| {
            url.0
                .iter()
                .any(|piece| matches!(piece, Piece::Literal(text) if !["http://", "https://"].contains(&&**text)))
        });
        let [(share, url)] = parts.as_slice() else { return Err("a mirror has one back end".to_owned()) };
        let destination = mirror_destination(url, location)?;
        let (host, _) = self.request_fields(&location.block.settings, &inner);
        let servers = self.servers(&destination, &location.block.settings, host.as_ref(), &inner)?;
        let [(_, backend)] = servers.primaries.as_slice() else { return Err("a mirror has one back end".to_owned()) };
        let percent = if key.is_some() { f64::from(*share) * 100.0 / f64::from(total.max(1)) } else { 100.0 };
        let mut mirror =
            vec![("backend".to_owned(), Yaml::text(backend)), ("percent".to_owned(), Yaml::number(percent))];
        if let Some(sticky) = self.sticky(key.as_ref(), &inner) {
            mirror.push(("sticky".to_owned(), sticky));
        }
        // The copy has the client's path, or one of its own.
        mirror.push(("transforms".to_owned(), Yaml::Map(destination.transforms)));
        if mirror.last().is_some_and(|(_, value)| *value == Yaml::Map(Vec::new())) && sent.rewrites.is_empty() {
            mirror.pop();
        }
        Ok(Yaml::Map(mirror))
    }
}

/// The servers of a destination.
struct Servers {
    primaries: Vec<(u64, String)>,
    backup: Option<String>,
    hash: Option<Text>,
}

/// `X-Real-IP` and the like from fields of the load balancer, which pass anyway.
fn own_field(name: &str, variable: &str) -> bool {
    variables::field(variable).is_some_and(|field| field == name)
}

/// The action `forward`.
fn action(targets: Vec<(u64, Yaml, Yaml)>, sticky: Option<Yaml>, failover: Option<String>) -> Yaml {
    let is_single = targets.len() == 1;
    let list: Vec<Yaml> = targets
        .into_iter()
        .map(|(weight, backend, transforms)| {
            let mut target = vec![("backend".to_owned(), backend)];
            if !is_single {
                target.push(("weight".to_owned(), Yaml::number(weight)));
            }
            if transforms != Yaml::Map(Vec::new()) {
                target.push(("transforms".to_owned(), transforms));
            }
            Yaml::Map(target)
        })
        .collect();
    if let ([Yaml::Map(target)], None) = (list.as_slice(), &failover)
        && let [(_, backend)] = target.as_slice()
    {
        return backend.clone();
    }
    let mut forward = vec![("targets".to_owned(), Yaml::List(list))];
    forward.extend(sticky.filter(|_| !is_single).map(|sticky| ("sticky".to_owned(), sticky)));
    forward.extend(failover.map(|to| ("failover".to_owned(), Yaml::map([("to", Yaml::text(&to))]))));
    Yaml::Map(forward)
}

/// Takes a URL apart, and finds the path at the back end.
fn destination(url: &Text, sent: &Sent<'_, '_>) -> Result<Destination, String> {
    let has_variables = sent.proxy.url.variables().next().is_some();
    let location = sent.site.location;
    let mut destination = without_path(url)?;
    let (_, path) = host_and_path(url)?;
    let rewrites = sent.rewrites.to_vec();
    // The path of the request, as the client sent it.
    let own = match location.map(|location| &location.matcher) {
        Some(Matcher::Prefix { path, .. } | Matcher::Exact(path)) => Some(&**path),
        _ => None,
    };
    let is_unchanged = path.0.is_empty()
        || path.as_variable() == Some("request_uri")
        || path.strip_suffix(&["uri", "is_args", "args"]).is_some_and(|rest| rest.0.is_empty())
        || !has_variables && path.as_literal().is_some_and(|path| own == Some(path));
    let mut entries = rewrites;
    let mut drops_query = false;
    if !is_unchanged {
        let (path, keeps_query) = match path.strip_suffix(&["is_args", "args"]) {
            Some(path) => (path, true),
            None => (path, !has_variables),
        };
        drops_query = !keeps_query;
        let entry = match (has_variables, location.map(|location| &location.matcher)) {
            // Replaces the part of the path that the location names.
            (false, Some(Matcher::Prefix { path: from, .. } | Matcher::Exact(from))) => {
                replaced(&super::order::encoded(from), path.as_literal().unwrap_or_default())?
            }
            (false, _) => {
                return Err("NGINX rejects a path of `proxy_pass` in `if` and in locations with a regex".to_owned());
            }
            (true, _) => {
                let source = sent.site.regex();
                let groups = groups(source.as_deref());
                path_transform(&source.map_or_else(|| "^.*$".to_owned(), |source| whole(&source)), &path, &groups)?
            }
        };
        entries.push(entry);
    }
    if !entries.is_empty() {
        let entries = if let [one] = entries.as_slice() { one.clone() } else { Yaml::List(entries) };
        destination.transforms.push(("path".to_owned(), entries));
    }
    if drops_query {
        let entry = [("regex", Yaml::text("^.+$")), ("replace", Yaml::text(""))];
        destination.transforms.push(("query".to_owned(), Yaml::map(entry)));
    }
    Ok(destination)
}

/// An entry of `transforms.path` that replaces the start of a path.
fn replaced(from: &str, to: &str) -> Result<Yaml, String> {
    if to.contains(['?', '#', ' ']) {
        return Err("a path with a query is not supported".to_owned());
    }
    let segments =
        |text: &str| text.strip_suffix('/').map(|text| if text.is_empty() { "/".to_owned() } else { text.to_owned() });
    Ok(match (segments(from), segments(to)) {
        // Whole segments.
        (Some(from), Some(to)) if from != "/" => {
            Yaml::map([("prefix", Yaml::text(&from)), ("replace", Yaml::text(&to))])
        }
        _ => {
            let replace = Yaml::text(&to.replace('$', "$$"));
            Yaml::map([("regex", Yaml::text(&format!("^{}", escaped(from)))), ("replace", replace)])
        }
    })
}

fn mirror_destination(url: &Text, location: &Location) -> Result<Destination, String> {
    let mut destination = without_path(url)?;
    let (_, path) = host_and_path(url)?;
    if path.as_variable() == Some("request_uri") {
        return Ok(destination);
    }
    // Otherwise the copy has the path of the mirror's location, which replaces the client's.
    let Some(path) = path.as_literal() else { return Err("such a path of a copy is not supported".to_owned()) };
    let (Matcher::Exact(own) | Matcher::Prefix { path: own, .. }) = &location.matcher else {
        return Err("a mirror to a regex is not supported".to_owned());
    };
    let path = if path.is_empty() { own } else { path };
    let entry = [("regex", Yaml::text("^.*$")), ("replace", Yaml::text(&path.replace('$', "$$")))];
    destination.transforms.push(("path".to_owned(), Yaml::map(entry)));
    Ok(destination)
}

fn without_path(url: &Text) -> Result<Destination, String> {
    let (host, _) = host_and_path(url)?;
    let (scheme, authority) = host.split_once("://").ok_or("the URL has no scheme")?;
    Ok(Destination { scheme: scheme.to_ascii_lowercase(), authority: authority.to_owned(), transforms: Vec::new() })
}

/// `scheme://host`, and the rest.
fn host_and_path(url: &Text) -> Result<(String, Text), String> {
    let unsupported = |name: &str| {
        format!(
            "the variable `${name}` is neither of a `map` nor of `split_clients`: name the host, which comes from the configuration alone"
        )
    };
    let Some((Piece::Literal(first), rest)) = url.0.split_first() else {
        return Err(url.variables().next().map_or_else(|| "the URL is empty".to_owned(), unsupported));
    };
    let authority_at = first.find("://").map_or(0, |at| at + 3);
    let (host, path) = match first[authority_at..].find('/') {
        Some(at) => first.split_at(authority_at + at),
        None => (&**first, ""),
    };
    if host.len() == authority_at {
        return Err(rest.first().map_or_else(
            || "the URL has no host".to_owned(),
            |piece| match piece {
                Piece::Variable(name) => unsupported(name),
                Piece::Literal(_) => "the URL has no host".to_owned(),
            },
        ));
    }
    // A variable in the host, or a path in one.
    if let (true, Some(Piece::Variable(name))) = (path.is_empty(), rest.first())
        && !["request_uri", "uri", "is_args"].contains(&&**name)
    {
        return Err(unsupported(name));
    }
    let mut pieces = Text::literal(path).0;
    pieces.extend(rest.iter().cloned());
    Ok((host.to_owned(), Text(pieces)))
}

fn is_host(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte))
}

/// A time of NGINX, whose default unit is a second, as ours; `None` if it is another one.
fn duration(text: &str) -> Option<String> {
    let number = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.strip_prefix(number)?;
    let is_positive = number.bytes().all(|byte| byte.is_ascii_digit()) && number.bytes().any(|byte| byte != b'0');
    let unit = match unit {
        "" => "s",
        "ms" | "s" | "m" | "h" | "d" => unit,
        _ => return None,
    };
    is_positive.then(|| format!("{number}{unit}"))
}

fn gcd(a: u64, b: u64) -> u64 {
    if b == 0 { a } else { gcd(b, a % b) }
}

fn lcm(a: u64, b: u64) -> u64 {
    let b = b.max(1);
    (a / gcd(a, b)).saturating_mul(b)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_nginx_are_ours() {
        for (text, expected) in [
            ("5", Some("5s")),
            ("500ms", Some("500ms")),
            ("1m", Some("1m")),
            ("0", None),
            ("1m30s", None),
            ("1w", None),
        ] {
            assert_eq!(duration(text).as_deref(), expected, "{text}");
        }
    }
}
