//! `conditions` of a route. ALB's six condition types have ALB's semantics but not its limits on length and number:
//! those protect a shared load balancer, and apply to the rules that ALB evaluates itself.

use std::net::IpAddr;

use crossfade_document::{Node, Value};
use crossfade_rule::{Case, Condition, Escapes, Pattern, QueryValue};
use http::header::{HOST, HeaderName};
use ipnet::IpNet;

use super::backends::read_method;
use crate::read::{Collector, Expected, Read};
use crate::requirement::Requirement;

/// Reads a map of conditions, all of which must hold.
pub(super) fn read(node: &Node, diagnostics: &mut Collector) -> Vec<Requirement> {
    let known = ["host", "path", "method", "header", "query", "ip", "cookie", "not", "anyOf"];
    // Lists of conditions are usual elsewhere.
    if !node.items().is_empty() {
        node.expected(diagnostics, "a map", None, Expected::Conditions);
        return Vec::new();
    }
    let Some([host, path, method, header, query, ip, cookie, not, any_of]) = node.keys(diagnostics, known) else {
        return Vec::new();
    };
    let mut all = Vec::new();
    // Cheapest conditions first.
    if let Some(node) = method {
        let methods =
            values(node, diagnostics, |node, diagnostics| Some(read_method(node, diagnostics)?.as_str().into()));
        all.push(Requirement::Alb(Condition::Method(methods)));
    }
    if let Some(node) = host {
        all.push(Requirement::Alb(Condition::Host(values(node, diagnostics, read_host))));
    }
    if let Some(node) = path {
        all.push(Requirement::Alb(Condition::Path(values(node, diagnostics, read_path))));
    }
    if let Some(node) = ip {
        all.push(Requirement::Alb(Condition::Ip(values(node, diagnostics, read_range))));
    }
    if let Some(node) = header {
        all.extend(values(node, diagnostics, read_header));
    }
    if let Some(node) = cookie {
        all.extend(values(node, diagnostics, read_cookie));
    }
    if let Some(node) = query {
        all.extend(read_query(node, diagnostics));
    }
    if let Some(node) = not {
        let group = read_group(node, diagnostics);
        all.push(Requirement::Not(group));
    }
    if let Some(node) = any_of {
        let groups = node.list(diagnostics).unwrap_or_default();
        all.push(Requirement::AnyOf(groups.iter().map(|group| read_group(group, diagnostics)).collect()));
    }
    all
}

/// Reads nested conditions. An empty map would always hold, so it is an error.
fn read_group(node: &Node, diagnostics: &mut Collector) -> Vec<Requirement> {
    if node.as_map().is_some_and(<[_]>::is_empty) {
        node.error(diagnostics, "expected at least one condition", Some("add one, like `path: [/api/*]`".into()));
    }
    read(node, diagnostics)
}

/// Reads one value or a list of values.
fn values<'n, T>(
    node: &'n Node,
    diagnostics: &mut Collector,
    read: impl Fn(&'n Node, &mut Collector) -> Option<T>,
) -> Vec<T> {
    let items = node.one_or_more(diagnostics).unwrap_or_default();
    items.iter().filter_map(|item| read(item, diagnostics)).collect()
}

/// Reads a string, or a map whose only key is one of `ways`.
fn read_pattern<'n, const N: usize>(
    node: &'n Node,
    diagnostics: &mut Collector,
    ways: [&'static str; N],
    case: Case,
    escapes: Escapes,
) -> Option<Pattern> {
    let text = |node: &'n Node, diagnostics: &mut Collector| {
        let text = node.text(diagnostics)?;
        if text.is_empty() {
            node.error(diagnostics, "must not be empty", Some("remove it, or write `*` to match any value".into()));
        }
        Some(text).filter(|text| !text.is_empty())
    };
    if !matches!(node.value, Value::Map(_)) {
        return Some(Pattern::wildcard(text(node, diagnostics)?, case, escapes));
    }
    let found = node.keys(diagnostics, ways)?;
    let mut named = ways.into_iter().zip(found).filter_map(|(way, node)| Some((way, node?)));
    let (Some((way, value)), None) = (named.next(), named.next()) else {
        let ways = ways.map(|way| format!("{{{way}: …}}")).join(" or ");
        node.error(diagnostics, format!("expected a string or {ways}"), None);
        return None;
    };
    let source = text(value, diagnostics)?;
    match way {
        "prefix" => Some(Pattern::path_prefix(source)),
        "exact" => Some(Pattern::exact(source)),
        _ => match Pattern::regex(source, case) {
            Ok(pattern) => Some(pattern),
            Err(error) => {
                value.error(diagnostics, format!("invalid regex: {error}"), None);
                None
            }
        },
    }
}

fn read_host(node: &Node, diagnostics: &mut Collector) -> Option<Pattern> {
    let pattern = read_pattern(node, diagnostics, ["regex"], Case::Insensitive, Escapes::None)?;
    let is_host = |byte: u8| byte.is_ascii_alphanumeric() || b"-._*?[]:".contains(&byte);
    let has_port = pattern.source().contains(':') && !pattern.source().contains('[');
    if pattern.as_regex().is_none() && (has_port || !pattern.source().bytes().all(is_host)) {
        let hint = "write a name without scheme, port and path, like `*.example.com`";
        node.error(diagnostics, format!("`{}` is not a valid host", node.shown()), Some(hint.into()));
    }
    Some(pattern)
}

fn read_path(node: &Node, diagnostics: &mut Collector) -> Option<Pattern> {
    let pattern = read_pattern(node, diagnostics, ["regex", "prefix", "exact"], Case::Sensitive, Escapes::None)?;
    let pattern = pattern.for_paths();
    if pattern.as_regex().is_some() {
        return Some(pattern);
    }
    let source = pattern.source();
    let can_be_glob = node.as_map().is_none();
    let begins = if can_be_glob { source.starts_with(['/', '*', '?']) } else { source.starts_with('/') };
    if !begins {
        node.invalid(diagnostics, "never matches: every path begins with `/`".into(), None, Expected::Path);
    }
    if pattern.has_dot_segment() {
        let hint = "conditions see `/b` for `/a/../b`; write the path without dot segments";
        node.error(diagnostics, "never matches: no path has dot segments", Some(hint.into()));
    }
    if begins && let Some(odd) = source.chars().find(|c| !c.is_ascii_graphic() || "#\"<>\\^`{|}".contains(*c)) {
        let hint = "write it percent-encoded, like `/caf%C3%A9`";
        node.invalid(diagnostics, format!("{odd:?} cannot occur in a path"), Some(hint), Expected::Path);
    }
    if can_be_glob && source.split_once('?').is_some_and(|(_, after)| after.contains('=')) {
        let hint = "to match the query, use `query: {key: value}`";
        node.warn(diagnostics, "`?` matches any one character here", Some(hint.into()));
    }
    Some(pattern)
}

fn read_range(node: &Node, diagnostics: &mut Collector) -> Option<IpNet> {
    let text = node.text(diagnostics)?;
    let range = text.parse().ok().or_else(|| text.parse::<IpAddr>().map(IpNet::from).ok());
    if range.is_none() {
        let hint = "write an address or a range, like `192.0.2.0/24` or `2001:db8::/32`";
        node.error(diagnostics, format!("`{}` is not an address range", node.shown()), Some(hint.into()));
    }
    range
}

/// Reads `{name, values}`; without values, presence is enough.
fn named_values<'n>(
    node: &'n Node,
    diagnostics: &mut Collector,
    case: Case,
) -> Option<(&'n Node, &'n str, Vec<Pattern>)> {
    let [name, compared] = node.keys(diagnostics, ["name", "values"])?;
    let compared = match compared {
        Some(node) => values(node, diagnostics, |node, diagnostics| {
            read_pattern(node, diagnostics, ["regex"], case, Escapes::None)
        }),
        None => vec![Pattern::wildcard("*", case, Escapes::None)],
    };
    let Some(name) = name else {
        node.missing(diagnostics, "name", "write `{name: x-beta, values: [\"1\"]}`");
        return None;
    };
    Some((name, name.text(diagnostics)?, compared))
}

fn read_header(node: &Node, diagnostics: &mut Collector) -> Option<Requirement> {
    let (node, text, values) = named_values(node, diagnostics, Case::Insensitive)?;
    match HeaderName::from_bytes(text.as_bytes()) {
        Ok(HOST) => {
            node.error(diagnostics, "`host` cannot be matched as a header", Some("use the `host` condition".into()))
        }
        Ok(name) => return Some(Requirement::Alb(Condition::Header { name, values })),
        Err(_) => node.error(diagnostics, format!("`{}` is not a field name", node.shown()), None),
    }
    None
}

fn read_cookie(node: &Node, diagnostics: &mut Collector) -> Option<Requirement> {
    let (node, _, values) = named_values(node, diagnostics, Case::Sensitive)?;
    Some(Requirement::Cookie { name: cookie_name(node, diagnostics)?.into(), values })
}

/// Reads a token (RFC 6265 section 4.1.1).
pub(super) fn cookie_name<'n>(node: &'n Node, diagnostics: &mut Collector) -> Option<&'n str> {
    let text = node.text(diagnostics)?;
    // Field names are tokens as well.
    let is_token = HeaderName::from_bytes(text.as_bytes()).is_ok();
    if !is_token {
        node.error(diagnostics, format!("`{}` is not a cookie name", node.shown()), None);
    }
    is_token.then_some(text)
}

/// Reads `{key: value}`, where one matching pair is enough, `{allOf: {key: value}}`, or a list of values that any key
/// may have.
fn read_query<'n>(node: &'n Node, diagnostics: &mut Collector) -> Vec<Requirement> {
    let any = |pairs| Requirement::Alb(Condition::Query(pairs));
    let Some(members) = node.as_map() else {
        let of_any_key = |node: &'n Node, diagnostics: &mut Collector| {
            Some(QueryValue { key: None, value: read_query_value(node, diagnostics)? })
        };
        return vec![any(values(node, diagnostics, of_any_key))];
    };
    if members.is_empty() {
        node.error(diagnostics, "expected at least one value", Some("write `query: {key: value}`".into()));
    }
    let mut alternatives = Vec::new();
    let mut all = Vec::new();
    for (key, value) in members {
        match value.as_map() {
            Some(pairs) if &*key.name == "allOf" => {
                if pairs.is_empty() {
                    value.error(diagnostics, "expected at least one value", Some("write `allOf: {key: value}`".into()));
                }
                all.extend(pairs.iter().map(|(key, value)| any(query_values(&key.name, value, diagnostics))));
            }
            _ => alternatives.extend(query_values(&key.name, value, diagnostics)),
        }
    }
    if !alternatives.is_empty() {
        all.push(any(alternatives));
    }
    all
}

fn query_values(key: &str, node: &Node, diagnostics: &mut Collector) -> Vec<QueryValue> {
    let key = Pattern::wildcard(key, Case::Insensitive, Escapes::Backslash);
    values(node, diagnostics, |node, diagnostics| {
        Some(QueryValue { key: Some(key.clone()), value: read_query_value(node, diagnostics)? })
    })
}

/// An empty value is valid: `?a=`.
fn read_query_value(node: &Node, diagnostics: &mut Collector) -> Option<Pattern> {
    if node.as_text() == Some("") {
        return Some(Pattern::wildcard("", Case::Insensitive, Escapes::None));
    }
    read_pattern(node, diagnostics, ["regex"], Case::Insensitive, Escapes::Backslash)
}
