//! `tests`: requests and their expected results.

use crossfade_document::{Node, did_you_mean};
use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};

use super::backends::Backends;
use super::routes::{DEFAULT, Routes};
use crate::expectation::Expectation;
use crate::read::{Collector, Read};
use crate::request_url::request_url;

pub(super) fn read<'n>(
    node: &'n Node,
    routes: &Routes<'n>,
    backends: &Backends<'n>,
    diagnostics: &mut Collector,
) -> Vec<Expectation> {
    let items = if node.is_empty() { &[] } else { node.list(diagnostics).unwrap_or_default() };
    items.iter().filter_map(|item| read_one(item, routes, backends, diagnostics)).collect()
}

fn read_one<'n>(
    node: &'n Node,
    routes: &Routes<'n>,
    backends: &Backends<'n>,
    diagnostics: &mut Collector,
) -> Option<Expectation> {
    let [request, headers, ip, expect] = node.keys(diagnostics, ["request", "headers", "ip", "expect"])?;
    let (Some(request), Some(expect)) = (request, expect) else {
        let hint = "write `- {request: GET https://host/path, expect: {backend: NAME}}`";
        node.error(diagnostics, "`request` and `expect` are both required", Some(hint.into()));
        return None;
    };
    let request_line = read_request(request, diagnostics);
    let headers = headers.map(|node| read_headers(node, diagnostics)).unwrap_or_default();
    let ip = ip.and_then(|node| {
        let ip = node.text(diagnostics)?.parse().ok();
        if ip.is_none() {
            node.error(diagnostics, format!("`{}` is not an IP address", node.shown()), None);
        }
        ip
    });
    let [route, backend, upstream, status, location] =
        expect.keys(diagnostics, ["route", "backend", "upstream", "status", "location"])?;
    if expect.as_map().is_some_and(<[_]>::is_empty) {
        expect.error(
            diagnostics,
            "expected at least one expectation",
            Some("set route, backend, upstream, status or location".into()),
        );
    }
    let route = route.and_then(|node| read_route(node, routes, diagnostics));
    let backend = backend.and_then(|node| {
        let name = node.text(diagnostics)?;
        if !backends.has(name) {
            node.error(diagnostics, format!("unknown back end `{}`", node.shown()), Some(backends.hint(name)));
        }
        Some(name.to_owned())
    });
    let mut text = |node: Option<&'n Node>| node.and_then(|node| node.text(diagnostics)).map(str::to_owned);
    let (upstream, location) = (text(upstream), text(location));
    let status = status.and_then(|node| node.whole(diagnostics, 200..=599));
    let status = status.and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok());
    let (method, url) = request_line?;
    Some(Expectation { line: node.place.line, method, url, headers, ip, route, backend, upstream, status, location })
}

/// Reads `GET https://host/path?query`; the method defaults to GET.
fn read_request(node: &Node, diagnostics: &mut Collector) -> Option<(Method, Uri)> {
    let text = node.text(diagnostics)?;
    let (method, url) = text.split_once(' ').unwrap_or(("GET", text));
    let parsed = match (Method::from_bytes(method.as_bytes()), request_url(url.trim())) {
        (Ok(method), Ok(url)) => Ok((method, url)),
        (Err(_), _) => Err("invalid method"),
        (_, Err(problem)) => Err(problem),
    };
    if let Err(problem) = parsed {
        let hint = "write it like `GET https://shop.example.com/orders/7?x=1`";
        node.error(diagnostics, format!("`{}` is not a request: {problem}", node.shown()), Some(hint.into()));
    }
    parsed.ok()
}

fn read_headers(node: &Node, diagnostics: &mut Collector) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (key, values) in node.map(diagnostics).unwrap_or_default() {
        let name = HeaderName::from_bytes(key.name.as_bytes());
        if name.is_err() {
            values.error(diagnostics, format!("`{}` is not a field name", key.name), None);
        }
        for node in values.one_or_more(diagnostics).unwrap_or_default() {
            let value = node.text(diagnostics).map(HeaderValue::from_str);
            match (&name, value) {
                (Ok(name), Some(Ok(value))) => headers.push((name.clone(), value)),
                (_, Some(Err(_))) => node.error(diagnostics, "invalid field value", None),
                _ => {}
            }
        }
    }
    headers
}

fn read_route<'n>(node: &'n Node, routes: &Routes<'n>, diagnostics: &mut Collector) -> Option<String> {
    let name = node.text(diagnostics)?;
    if name != DEFAULT && !routes.nodes.contains_key(name) {
        let names: Vec<&str> = routes.routes.iter().map(|route| route.name.as_str()).collect();
        let hint = did_you_mean(name, &names);
        node.error(diagnostics, format!("unknown route `{}`", node.shown()), hint);
    } else if name != DEFAULT && !routes.routes.iter().any(|route| route.name == name) && !diagnostics.has_errors() {
        node.warn(diagnostics, format!("no request matches `{}`: it is disabled", node.shown()), None);
    }
    Some(name.to_owned())
}
