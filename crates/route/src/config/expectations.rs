//! `tests`: requests and what is to become of them.

use crossfade_document::{Node, did_you_mean};
use http::header::{HeaderName, HeaderValue};
use http::{Method, StatusCode, Uri};

use super::backends::Backends;
use super::routes::{DEFAULT, Routes};
use crate::expectation::Expectation;
use crate::read::{Findings, Read};

pub(super) fn read<'n>(
    node: &'n Node,
    routes: &Routes<'n>,
    backends: &Backends<'n>,
    mistakes: &mut Findings,
) -> Vec<Expectation> {
    let items = if node.is_empty() { &[] } else { node.list(mistakes).unwrap_or_default() };
    items.iter().filter_map(|item| read_one(item, routes, backends, mistakes)).collect()
}

fn read_one<'n>(
    node: &'n Node,
    routes: &Routes<'n>,
    backends: &Backends<'n>,
    mistakes: &mut Findings,
) -> Option<Expectation> {
    let [request, headers, ip, expect] = node.keys(mistakes, ["request", "headers", "ip", "expect"])?;
    let (Some(request), Some(expect)) = (request, expect) else {
        let hint = "write `- {request: GET https://host/path, expect: {backend: NAME}}`";
        node.wrong(mistakes, "`request` and `expect` belong together", Some(hint.into()));
        return None;
    };
    let request_line = read_request(request, mistakes);
    let headers = headers.map(|node| read_headers(node, mistakes)).unwrap_or_default();
    let ip = ip.and_then(|node| {
        let ip = node.text(mistakes)?.parse().ok();
        if ip.is_none() {
            node.wrong(mistakes, format!("`{}` is no IP address", node.shown()), None);
        }
        ip
    });
    let [route, backend, upstream, status, location] =
        expect.keys(mistakes, ["route", "backend", "upstream", "status", "location"])?;
    if expect.as_map().is_some_and(<[_]>::is_empty) {
        expect.wrong(mistakes, "nothing is expected", Some("name route, backend, upstream, status or location".into()));
    }
    let route = route.and_then(|node| read_route(node, routes, mistakes));
    let backend = backend.and_then(|node| {
        let name = node.text(mistakes)?;
        if !backends.has(name) {
            node.wrong(mistakes, format!("there is no back end `{}`", node.shown()), Some(backends.hint(name)));
        }
        Some(name.to_owned())
    });
    let mut text = |node: Option<&'n Node>| node.and_then(|node| node.text(mistakes)).map(str::to_owned);
    let (upstream, location) = (text(upstream), text(location));
    let status = status.and_then(|node| node.whole(mistakes, 200..=599));
    let status = status.and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok());
    let (method, url) = request_line?;
    Some(Expectation { line: node.place.line, method, url, headers, ip, route, backend, upstream, status, location })
}

/// `GET https://host/path?query`; without a method it is GET.
fn read_request(node: &Node, mistakes: &mut Findings) -> Option<(Method, Uri)> {
    let text = node.text(mistakes)?;
    let (method, url) = text.split_once(' ').unwrap_or(("GET", text));
    let method = Method::from_bytes(method.as_bytes()).ok();
    let url = url.trim().parse::<Uri>().ok().filter(|url| url.scheme().is_some() && url.host().is_some());
    if method.is_none() || url.is_none() {
        let hint = "write it like `GET https://shop.example.com/orders/7?x=1`";
        node.wrong(mistakes, format!("`{}` is no request", node.shown()), Some(hint.into()));
    }
    Some((method?, url?))
}

fn read_headers(node: &Node, mistakes: &mut Findings) -> Vec<(HeaderName, HeaderValue)> {
    let mut headers = Vec::new();
    for (key, values) in node.map(mistakes).unwrap_or_default() {
        let name = HeaderName::from_bytes(key.name.as_bytes());
        if name.is_err() {
            values.wrong(mistakes, format!("`{}` is not a field name", key.name), None);
        }
        for node in values.one_or_more(mistakes).unwrap_or_default() {
            let value = node.text(mistakes).map(HeaderValue::from_str);
            match (&name, value) {
                (Ok(name), Some(Ok(value))) => headers.push((name.clone(), value)),
                (_, Some(Err(_))) => node.wrong(mistakes, "this cannot be the value of a field", None),
                _ => {}
            }
        }
    }
    headers
}

fn read_route<'n>(node: &'n Node, routes: &Routes<'n>, mistakes: &mut Findings) -> Option<String> {
    let name = node.text(mistakes)?;
    if name != DEFAULT && !routes.nodes.contains_key(name) {
        let names: Vec<&str> = routes.routes.iter().map(|route| route.name.as_str()).collect();
        let hint = did_you_mean(name, &names);
        node.wrong(mistakes, format!("there is no route `{}`", node.shown()), hint);
    } else if name != DEFAULT && !routes.routes.iter().any(|route| route.name == name) && !mistakes.has_errors() {
        node.doubtful(mistakes, format!("no request meets `{}`: it is not enabled", node.shown()), None);
    }
    Some(name.to_owned())
}
