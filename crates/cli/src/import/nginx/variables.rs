//! NGINX's variables as conditions: the cases of a `map`, the conditions of `if`, and users by the key of `split_clients`.

use super::model::{Key, Map, Pattern, Test, TestKind};
use super::patterns::translated;
use super::text::{Piece, Text};
use crate::import::conditions::{Atom, escaped, literal, regex};
use crate::import::yaml::Yaml;

/// The cases of a map in order, each with its conditions and value. The last one has no condition.
///
/// # Errors
///
/// The reason why its source is no condition.
pub(super) fn cases(map: &Map) -> Result<Vec<(Vec<Atom>, Text)>, String> {
    let Some(variable) = map.source.as_variable() else {
        return Err(format!("the source `{}` is not a single variable", map.source.source()));
    };
    let mut cases = Vec::new();
    for (key, value) in &map.entries {
        let atom = match key {
            Key::Exact(text) if text.is_empty() => empty(variable)?,
            Key::Exact(text) => equals(variable, text, true)?,
            Key::Regex(pattern) => matches(variable, pattern)?,
            Key::Mask(mask) => {
                let end = mask.strip_prefix('.').map(|name| vec![Yaml::text(name), Yaml::text(&format!("*.{name}"))]);
                match (variable, end) {
                    ("host" | "http_host", Some(both)) => Atom::Host(both),
                    ("host" | "http_host", None) => Atom::Host(vec![Yaml::text(mask)]),
                    _ => return Err("`hostnames` is supported for `$host` only".to_owned()),
                }
            }
        };
        cases.push((vec![atom], value.clone()));
    }
    cases.push((Vec::new(), map.default.clone()));
    Ok(cases)
}

/// The condition of an `if` about a variable of the request.
pub(super) fn condition(test: &Test) -> Result<Atom, String> {
    let atom = match &test.kind {
        TestKind::True => {
            let falsy = [empty(&test.variable)?, equals(&test.variable, "0", false)?];
            Atom::Not(vec![Atom::Any(falsy.map(|atom| vec![atom]).into())])
        }
        TestKind::Equals(value) => match value.as_literal() {
            Some("") => empty(&test.variable)?,
            Some(value) => equals(&test.variable, value, false)?,
            None => return Err("a comparison with a variable is not supported".to_owned()),
        },
        TestKind::Matches(pattern) => matches(&test.variable, pattern)?,
    };
    Ok(if test.is_negated { negated(atom) } else { atom })
}

fn negated(atom: Atom) -> Atom {
    match atom {
        Atom::Not(mut inner) if inner.len() == 1 => inner.remove(0),
        atom => Atom::Not(vec![atom]),
    }
}

/// A request without this variable, or with an empty one.
fn empty(variable: &str) -> Result<Atom, String> {
    values(variable, vec![regex(".")]).map(negated)
}

fn equals(variable: &str, value: &str, ignores_case: bool) -> Result<Atom, String> {
    let has_case = value.bytes().any(|byte| byte.is_ascii_alphabetic());
    match variable {
        "request_method" => Ok(Atom::Method(vec![value.to_ascii_uppercase()])),
        "remote_addr" | "realip_remote_addr" => Ok(Atom::Ip(vec![value.to_owned()])),
        "uri" | "document_uri" | "request_uri" => {
            // A request URI with this path and a query is another one, which a path cannot tell apart.
            let (path, query) = value.split_once('?').unwrap_or((value, ""));
            if !query.is_empty() {
                return Err("a URI with a query is not supported".to_owned());
            }
            Ok(Atom::Path(vec![match ignores_case && has_case {
                true => regex(&format!("(?i)^{}$", escaped(path))),
                false => Yaml::map([("exact", Yaml::text(path))]),
            }]))
        }
        // Case is significant in cookies only.
        _ if variable.starts_with("cookie_") && ignores_case && has_case => {
            values(variable, vec![regex(&format!("(?i)^{}$", escaped(value)))])
        }
        _ => values(variable, vec![literal(value)]),
    }
}

fn matches(variable: &str, pattern: &Pattern) -> Result<Atom, String> {
    let source = translated(pattern)?;
    match variable {
        "uri" | "document_uri" => Ok(Atom::Path(vec![regex(&source)])),
        "request_uri" if !pattern.source.contains(['?', '$']) => Ok(Atom::Path(vec![regex(&source)])),
        "request_method" => {
            let names = pattern.source.trim_start_matches(['^', '(']).trim_end_matches(['$', ')']);
            let methods: Vec<String> = names.split('|').map(str::to_owned).collect();
            let is_plain = methods.iter().all(|it| !it.is_empty() && it.bytes().all(|byte| byte.is_ascii_uppercase()));
            let is_whole = pattern.source.starts_with('^') && pattern.source.ends_with('$')
                || methods.iter().all(|it| it.len() > 2);
            if is_plain && is_whole { Ok(Atom::Method(methods)) } else { unsupported(variable) }
        }
        "remote_addr" => unsupported(variable),
        _ => values(variable, vec![regex(&source)]),
    }
}

/// One of the values.
fn values(variable: &str, values: Vec<Yaml>) -> Result<Atom, String> {
    if let Some(name) = variable.strip_prefix("cookie_") {
        return Ok(Atom::Cookie(name.to_owned(), values));
    }
    if let Some(key) = variable.strip_prefix("arg_") {
        return Ok(Atom::Query(key.to_owned(), values));
    }
    match variable {
        "host" | "http_host" => Ok(Atom::Host(values)),
        // The load balancer sets it.
        "scheme" => Ok(Atom::Header("x-forwarded-proto".to_owned(), values)),
        _ => match field(variable) {
            Some(name) => Ok(Atom::Header(name, values)),
            None => unsupported(variable),
        },
    }
}

/// The field of `$http_name`.
pub(super) fn field(variable: &str) -> Option<String> {
    Some(variable.strip_prefix("http_")?.replace('_', "-"))
}

fn unsupported(variable: &str) -> Result<Atom, String> {
    Err(format!("a condition on `${variable}` is not supported"))
}

/// The value of `sticky.by` for a key; `None` if users are chosen at random. The note says what is lost.
pub(super) fn users(key: &Text) -> (Option<Yaml>, Option<&'static str>) {
    let variables: Vec<&str> = key.variables().collect();
    let random =
        ["request_id", "msec", "connection", "connection_requests", "date_gmt", "date_local", "time_iso8601", "pid"];
    if variables.iter().any(|name| random.contains(name)) {
        return (None, None);
    }
    let by = |name: &str| match name.strip_prefix("cookie_") {
        Some(cookie) => Some(Yaml::map([("cookie", Yaml::text(cookie))])),
        None => match (name, name.strip_prefix("arg_"), field(name)) {
            ("remote_addr" | "binary_remote_addr" | "realip_remote_addr" | "proxy_add_x_forwarded_for", ..) => {
                Some(Yaml::text("ip"))
            }
            ("http_x_forwarded_for", ..) => Some(Yaml::text("ip")),
            (_, Some(key), _) => Some(Yaml::map([("query", Yaml::text(key))])),
            (.., Some(field)) => Some(Yaml::map([("header", Yaml::text(&field))])),
            _ => None,
        },
    };
    let known: Vec<Yaml> = variables.iter().filter_map(|name| by(name)).collect();
    let one = variables.len() == 1;
    match known.iter().find(|it| matches!(it, Yaml::Map(_))).filter(|_| one).or(known.first()) {
        Some(by) if one => (Some(by.clone()), None),
        Some(by) => (Some(by.clone()), Some("Crossfade tells users apart by one value, the first of these")),
        None => (None, Some("Crossfade does not know this value of a request; requests are distributed at random")),
    }
}

/// A value of a field with our variables; `other` knows those of the place, such as groups.
///
/// # Errors
///
/// The variable that has no counterpart.
pub(super) fn field_value(text: &Text, other: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    let mut value = String::new();
    for piece in &text.0 {
        match piece {
            Piece::Literal(text) => value += &text.replace('$', "$$"),
            Piece::Variable(name) => match &**name {
                "remote_addr" | "realip_remote_addr" => value += "${clientIp}",
                "request_id" => value += "${requestId}",
                "host" | "http_host" => value += "${host}",
                name => value += &other(name).ok_or_else(|| name.to_owned())?,
            },
        }
    }
    Ok(value)
}
