//! `conditions` of a route. ALB's six have ALB's meaning but not its limits on length and number: those protect a shared
//! load balancer, and are for the rules that it evaluates itself.

use std::net::IpAddr;

use crossfade_document::{Node, Value};
use crossfade_rule::{Case, Condition, Escapes, Pattern, QueryValue};
use http::header::{HOST, HeaderName};
use ipnet::IpNet;

use super::backends::read_method;
use crate::read::{Findings, Read};
use crate::requirement::Requirement;

/// Reads a map of conditions, all of which must hold.
pub(super) fn read(node: &Node, mistakes: &mut Findings) -> Vec<Requirement> {
    let known = ["host", "path", "method", "header", "query", "ip", "cookie", "not", "anyOf"];
    let Some([host, path, method, header, query, ip, cookie, not, any_of]) = node.keys(mistakes, known) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    // The cheapest first.
    if let Some(node) = method {
        let methods = values(node, mistakes, |node, mistakes| Some(read_method(node, mistakes)?.as_str().into()));
        all.push(Requirement::Alb(Condition::Method(methods)));
    }
    if let Some(node) = host {
        all.push(Requirement::Alb(Condition::Host(values(node, mistakes, read_host))));
    }
    if let Some(node) = path {
        all.push(Requirement::Alb(Condition::Path(values(node, mistakes, read_path))));
    }
    if let Some(node) = ip {
        all.push(Requirement::Alb(Condition::Ip(values(node, mistakes, read_range))));
    }
    if let Some(node) = header {
        all.extend(values(node, mistakes, read_header));
    }
    if let Some(node) = cookie {
        all.extend(values(node, mistakes, read_cookie));
    }
    if let Some(node) = query {
        all.extend(read_query(node, mistakes));
    }
    if let Some(node) = not {
        let group = read_group(node, mistakes);
        all.push(Requirement::Not(group));
    }
    if let Some(node) = any_of {
        let groups = node.list(mistakes).unwrap_or_default();
        all.push(Requirement::AnyOf(groups.iter().map(|group| read_group(group, mistakes)).collect()));
    }
    all
}

/// Conditions within a condition: none at all would hold always.
fn read_group(node: &Node, mistakes: &mut Findings) -> Vec<Requirement> {
    if node.as_map().is_some_and(<[_]>::is_empty) {
        node.wrong(mistakes, "there is no condition", Some("name one, like `path: [/api/*]`".into()));
    }
    read(node, mistakes)
}

/// One value or a list of them.
fn values<'n, T>(
    node: &'n Node,
    mistakes: &mut Findings,
    read: impl Fn(&'n Node, &mut Findings) -> Option<T>,
) -> Vec<T> {
    let items = node.one_or_more(mistakes).unwrap_or_default();
    items.iter().filter_map(|item| read(item, mistakes)).collect()
}

/// A text, or one of the ways that a map names by its only key.
fn read_pattern<'n, const N: usize>(
    node: &'n Node,
    mistakes: &mut Findings,
    ways: [&'static str; N],
    case: Case,
    escapes: Escapes,
) -> Option<Pattern> {
    let text = |node: &'n Node, mistakes: &mut Findings| {
        let text = node.text(mistakes)?;
        if text.is_empty() {
            node.wrong(mistakes, "is empty", Some("leave it out; for any value write `*`".into()));
        }
        Some(text).filter(|text| !text.is_empty())
    };
    if !matches!(node.value, Value::Map(_)) {
        return Some(Pattern::wildcard(text(node, mistakes)?, case, escapes));
    }
    let found = node.keys(mistakes, ways)?;
    let mut named = ways.into_iter().zip(found).filter_map(|(way, node)| Some((way, node?)));
    let (Some((way, value)), None) = (named.next(), named.next()) else {
        let ways = ways.map(|way| format!("{{{way}: …}}")).join(" or ");
        node.wrong(mistakes, format!("expected a text or {ways}"), None);
        return None;
    };
    let source = text(value, mistakes)?;
    match way {
        "prefix" => Some(Pattern::path_prefix(source)),
        "exact" => Some(Pattern::exact(source)),
        _ => match Pattern::regex(source, case) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                let hint = "no look-around and no back-references; every regex takes linear time";
                value.wrong(mistakes, format!("this is no regex: {error}"), Some(hint.into()));
                None
            }
        },
    }
}

fn read_host(node: &Node, mistakes: &mut Findings) -> Option<Pattern> {
    let pattern = read_pattern(node, mistakes, ["regex"], Case::Insensitive, Escapes::None)?;
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*?[]:".contains(&byte);
    let has_port = pattern.source().contains(':') && !pattern.source().contains('[');
    if pattern.as_regex().is_none() && (has_port || !pattern.source().bytes().all(is_host)) {
        let hint = "write a name without scheme, port and path, like `*.example.com`";
        node.wrong(mistakes, format!("`{}` is no host", node.shown()), Some(hint.into()));
    }
    Some(pattern)
}

fn read_path(node: &Node, mistakes: &mut Findings) -> Option<Pattern> {
    let pattern = read_pattern(node, mistakes, ["regex", "prefix", "exact"], Case::Sensitive, Escapes::None)?;
    if pattern.as_regex().is_some() {
        return Some(pattern);
    }
    let source = pattern.source();
    let can_be_glob = node.as_map().is_none();
    let begins = if can_be_glob { source.starts_with(['/', '*', '?']) } else { source.starts_with('/') };
    if !begins {
        node.wrong(mistakes, "never matches: every path begins with `/`", None);
    }
    if let Some(odd) = source.chars().find(|c| !c.is_ascii_graphic() || "#\"<>\\^`{|}".contains(*c)) {
        let hint = "paths are compared as they are sent: percent-encoded, like `/caf%C3%A9`";
        node.wrong(mistakes, format!("{odd:?} stands in no path"), Some(hint.into()));
    }
    if can_be_glob && source.split_once('?').is_some_and(|(_, after)| after.contains('=')) {
        let hint = "for the query there is a condition: `query: {key: value}`";
        node.doubtful(mistakes, "`?` stands for any one character here", Some(hint.into()));
    }
    Some(pattern)
}

fn read_range(node: &Node, mistakes: &mut Findings) -> Option<IpNet> {
    let text = node.text(mistakes)?;
    let range = text.parse().ok().or_else(|| text.parse::<IpAddr>().map(IpNet::from).ok());
    if range.is_none() {
        let hint = "write an address or a range, like `192.0.2.0/24` or `2001:db8::/32`";
        node.wrong(mistakes, format!("`{}` is no address range", node.shown()), Some(hint.into()));
    }
    range
}

/// `{name, values}`; without values it is enough that it is there.
fn named_values<'n>(node: &'n Node, mistakes: &mut Findings, case: Case) -> Option<(&'n Node, &'n str, Vec<Pattern>)> {
    let [name, compared] = node.keys(mistakes, ["name", "values"])?;
    let compared = match compared {
        Some(node) => {
            values(node, mistakes, |node, mistakes| read_pattern(node, mistakes, ["regex"], case, Escapes::None))
        }
        None => vec![Pattern::wildcard("*", case, Escapes::None)],
    };
    let Some(name) = name else {
        node.wrong(mistakes, "`name` is missing", Some("write `{name: x-beta, values: [\"1\"]}`".into()));
        return None;
    };
    Some((name, name.text(mistakes)?, compared))
}

fn read_header(node: &Node, mistakes: &mut Findings) -> Option<Requirement> {
    let (node, text, values) = named_values(node, mistakes, Case::Insensitive)?;
    match HeaderName::from_bytes(text.as_bytes()) {
        Ok(HOST) => node.wrong(mistakes, "there is a condition for that", Some("use `host`".into())),
        Ok(name) => return Some(Requirement::Alb(Condition::Header { name, values })),
        Err(_) => node.wrong(mistakes, format!("`{}` is not a field name", node.shown()), None),
    }
    None
}

fn read_cookie(node: &Node, mistakes: &mut Findings) -> Option<Requirement> {
    let (node, _, values) = named_values(node, mistakes, Case::Sensitive)?;
    Some(Requirement::Cookie { name: cookie_name(node, mistakes)?.into(), values })
}

/// A token (RFC 6265 section 4.1.1).
pub(super) fn cookie_name<'n>(node: &'n Node, mistakes: &mut Findings) -> Option<&'n str> {
    let text = node.text(mistakes)?;
    // A field name is the same token.
    let is_token = HeaderName::from_bytes(text.as_bytes()).is_ok();
    if !is_token {
        node.wrong(mistakes, format!("`{}` is no cookie name", node.shown()), None);
    }
    is_token.then_some(text)
}

/// `{key: value}` where one pair is enough, `{allOf: {key: value}}`, or a list of values that any key may have.
fn read_query<'n>(node: &'n Node, mistakes: &mut Findings) -> Vec<Requirement> {
    let any = |pairs| Requirement::Alb(Condition::Query(pairs));
    let Some(members) = node.as_map() else {
        let of_any_key = |node: &'n Node, mistakes: &mut Findings| {
            Some(QueryValue { key: None, value: read_query_value(node, mistakes)? })
        };
        return vec![any(values(node, mistakes, of_any_key))];
    };
    if members.is_empty() {
        node.wrong(mistakes, "there is no value", Some("write `query: {key: value}`".into()));
    }
    let mut alternatives = Vec::new();
    let mut all = Vec::new();
    for (key, value) in members {
        match value.as_map() {
            Some(pairs) if &*key.name == "allOf" => {
                if pairs.is_empty() {
                    value.wrong(mistakes, "there is no value", Some("write `allOf: {key: value}`".into()));
                }
                all.extend(pairs.iter().map(|(key, value)| any(query_values(&key.name, value, mistakes))));
            }
            _ => alternatives.extend(query_values(&key.name, value, mistakes)),
        }
    }
    if !alternatives.is_empty() {
        all.push(any(alternatives));
    }
    all
}

fn query_values(key: &str, node: &Node, mistakes: &mut Findings) -> Vec<QueryValue> {
    let key = Pattern::wildcard(key, Case::Insensitive, Escapes::Backslash);
    values(node, mistakes, |node, mistakes| {
        Some(QueryValue { key: Some(key.clone()), value: read_query_value(node, mistakes)? })
    })
}

/// An empty value is one: `?a=`.
fn read_query_value(node: &Node, mistakes: &mut Findings) -> Option<Pattern> {
    if node.as_text() == Some("") {
        return Some(Pattern::wildcard("", Case::Insensitive, Escapes::None));
    }
    read_pattern(node, mistakes, ["regex"], Case::Insensitive, Escapes::Backslash)
}
