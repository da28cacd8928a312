//! Any conditions before any request: what covers another condition holds where that one does, and what a condition says of
//! itself is true.

use crossfade_rule::{Case, Condition, Escapes, Pattern, Regex, RequestView, Rewrite, check_quotas, normalised};
use http::{HeaderMap, HeaderName, HeaderValue};

use crate::text;

/// Lines with conditions and rewrites up to an empty one: `path /a/*`, `path~ ^/a`, `header x-a b`, `rewrite ^/a /b`. Then
/// method, host, target and address of a request in one line, with spaces between, and its fields.
pub fn rule(data: &[u8]) {
    let text = text(data);
    let (rule, request) = text.split_once("\n\n").unwrap_or((text, ""));
    let lines = || rule.lines().take(20).filter_map(|line| line.split_once(' '));
    let conditions: Vec<Condition> = lines().filter_map(|(kind, value)| condition(kind, value)).collect();
    let patterns: Vec<Pattern> = lines().filter_map(|(kind, value)| pattern(kind, value)).collect();
    for broken in check_quotas(&conditions) {
        assert!(!broken.to_string().is_empty());
    }

    let (line, fields) = request.split_once('\n').unwrap_or((request, ""));
    let mut words = line.split(' ');
    let mut word = || words.next().unwrap_or_default();
    let (method, host, target, address) = (word(), word(), word(), word());
    let (path, query) = target.split_once('?').map_or((target, None), |(path, query)| (path, Some(query)));
    let headers = headers(fields);
    let request = RequestView {
        method,
        host: host.as_bytes(),
        path: normalised(path.as_bytes()),
        query: query.map(str::as_bytes),
        headers: &headers,
        source_ip: address.parse().ok(),
    };
    assert!(request.host.starts_with(request.host_name()));
    assert!(request.query_pairs().all(|(key, _)| !key.contains(&b'&')));
    let _ = request.cookies().count();

    for one in &conditions {
        assert!(!one.to_string().is_empty());
        assert_eq!(one.matches(&request), one.clone().matches(&request));
        for other in &conditions {
            if one.covers(other) && other.matches(&request) {
                assert!(one.matches(&request), "`{one}` covers `{other}`");
            }
        }
    }
    for one in &patterns {
        if one.matches(&request.path) {
            assert!(folded(&request.path).starts_with(&folded(&one.literal_prefix())), "{one}");
            assert!(one.only_match().is_none_or(|only| folded(&only) == folded(&request.path)), "{one}");
        }
        for other in &patterns {
            if one.covers(other) && other.matches(&request.path) {
                assert!(one.matches(&request.path), "`{one}` covers `{other}`");
            }
        }
    }
    for (regex, replace) in lines().filter(|(kind, _)| *kind == "rewrite").filter_map(|(_, it)| it.split_once(' ')) {
        let rewrite = Regex::new(regex).ok().and_then(|regex| Rewrite::new(regex, replace).ok());
        let _ = rewrite.and_then(|rewrite| rewrite.apply(target));
    }
}

fn folded(bytes: &[u8]) -> Vec<u8> {
    bytes.to_ascii_lowercase()
}

fn headers(lines: &str) -> HeaderMap {
    let field = |line: &str| {
        let (name, value) = line.split_once(':')?;
        Some((HeaderName::from_bytes(name.as_bytes()).ok()?, HeaderValue::from_str(value.trim()).ok()?))
    };
    lines.lines().take(50).filter_map(field).collect()
}

fn condition(kind: &str, value: &str) -> Option<Condition> {
    let (name, rest) = value.split_once(' ').unwrap_or((value, ""));
    let values = || value.split(" | ");
    let condition = match kind {
        "host" => Condition::host(values()),
        "host~" => Condition::host_regex(values()),
        "path" => Condition::path(values()),
        "path~" => Condition::path_regex(values()),
        "method" => Condition::method(values()),
        "header" => Condition::header(name, rest.split(" | ")),
        "header~" => Condition::header_regex(name, rest.split(" | ")),
        "query" => Condition::query(values().map(|pair| match pair.split_once('=') {
            Some((key, value)) => (Some(key), value),
            None => (None, pair),
        })),
        "ip" => Condition::ip(values()),
        "paths" => {
            return Some(Condition::Path(
                values()
                    .flat_map(|value| value.split_once(' '))
                    .filter_map(|(kind, value)| pattern(kind, value))
                    .collect(),
            ));
        }
        _ => return None,
    };
    if let Err(error) = &condition {
        assert!(!error.to_string().is_empty());
    }
    condition.ok()
}

fn pattern(kind: &str, value: &str) -> Option<Pattern> {
    match kind {
        "glob" => Some(Pattern::wildcard(value, Case::Sensitive, Escapes::None)),
        "glob-i" => Some(Pattern::wildcard(value, Case::Insensitive, Escapes::Backslash)),
        "regex" => Pattern::regex(value, Case::Sensitive).ok(),
        "regex-i" => Pattern::regex(value, Case::Insensitive).ok(),
        "prefix" => Some(Pattern::path_prefix(value)),
        "exact" => Some(Pattern::exact(value)),
        _ => None,
    }
}
