//! Listener rules as routes, in YAML that `crossfade check` accepts. Owns the names of routes and the translation of ALB's
//! conditions. Not in a configuration: a value that no request can match, and the rules' transforms and weights.

use std::collections::HashMap;

use crossfade_rule::{Condition, Pattern, QueryValue};

use crate::import::yaml::{quoted_if_needed, scalar};

/// A listener rule that becomes a route.
#[derive(Debug)]
pub(super) struct ListenerRule {
    pub(super) priority: u32,
    pub(super) conditions: Vec<Condition>,
    /// Name of the function that the rule forwards to.
    pub(super) function: String,
    /// The load balancer rewrites the request.
    pub(super) has_transforms: bool,
}

/// One route for each rule, named after its function.
pub(super) fn text(rules: &[ListenerRule]) -> String {
    let mut numbers = HashMap::new();
    rules.iter().map(|rule| route(rule, &mut numbers)).collect()
}

fn route(rule: &ListenerRule, numbers: &mut HashMap<String, u32>) -> String {
    let ListenerRule { priority, conditions, function, has_transforms } = rule;
    let is_of_a_name = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    let function = function.replace(|c| !is_of_a_name(c), "-");
    let number = numbers.entry(function.clone()).and_modify(|number| *number += 1).or_insert(1);
    let name = scalar(&format!("{function}-{number}"));
    let mut comments = String::new();
    for value in conditions.iter().flat_map(values_of_paths) {
        if let Some(reason) = no_match(value) {
            comments += &format!("  # Rule {priority}: `{}` is left out, since {reason}.\n", value.source());
        }
    }
    if *has_transforms {
        comments +=
            &format!("  # Rule {priority}: the load balancer rewrites the request; add that as `transforms`.\n");
    }
    let never_matches = |condition: &Condition| {
        let values = values_of_paths(condition);
        !values.is_empty() && !values.iter().any(can_match)
    };
    if conditions.iter().any(never_matches) {
        return comments + "\n";
    }
    let conditions: String =
        entries(conditions).iter().map(|(kind, value)| format!("      {kind}: {value}\n")).collect();
    format!(
        "{comments}  - name: {name}\n    priority: {priority}\n    conditions:\n{conditions}    forward: legacy\n\n"
    )
}

fn values_of_paths(condition: &Condition) -> &[Pattern] {
    if let Condition::Path(values) = condition { values } else { &[] }
}

fn can_match(path: &Pattern) -> bool {
    no_match(path).is_none()
}

/// Returns the reason why a value matches no path; `None` if it may match one.
fn no_match(path: &Pattern) -> Option<&'static str> {
    let begins = path.as_regex().is_some() || path.source().starts_with(['/', '*', '?']);
    match (begins, path.has_dot_segment()) {
        (false, _) => Some("every path begins with `/`"),
        (true, true) => Some("no path has dot segments when rules are evaluated"),
        (true, false) => None,
    }
}

/// The keys and values of `conditions`, in the order of the rule. Each key occurs once: several headers share one, and
/// further conditions of another kind go into `anyOf`, which holds if its only map does.
fn entries(conditions: &[Condition]) -> Vec<(&'static str, String)> {
    let headers = list(conditions.iter().filter_map(|condition| match condition {
        Condition::Header { name, values } => {
            Some(format!("{{ name: {}, values: {} }}", scalar(name.as_str()), list(values.iter().map(pattern))))
        }
        _ => None,
    }));
    let (mut entries, mut further) = (Vec::<(&str, String)>::new(), Vec::new());
    for condition in conditions {
        let kind = condition.kind();
        if entries.iter().any(|(known, _)| *known == kind) {
            further.extend((kind != "header").then(|| condition.clone()));
            continue;
        }
        let value = match condition {
            Condition::Host(values) => list(values.iter().map(pattern)),
            Condition::Path(values) => list(values.iter().filter(|value| can_match(value)).map(path)),
            Condition::Method(values) => list(values.iter().map(|value| scalar(value))),
            Condition::Header { .. } => headers.clone(),
            Condition::Query(values) => query(values),
            Condition::Ip(ranges) => list(ranges.iter().map(|range| scalar(&range.to_string()))),
        };
        entries.push((kind, value));
    }
    if !further.is_empty() {
        let further = self::entries(&further).into_iter().map(|(kind, value)| format!("{kind}: {value}"));
        entries.push(("anyOf", format!("[{{ {} }}]", further.collect::<Vec<_>>().join(", "))));
    }
    entries
}

/// Groups the values by key; a plain list if no value has a key.
fn query(values: &[QueryValue]) -> String {
    if values.iter().all(|pair| pair.key.is_none()) {
        return list(values.iter().map(|pair| scalar(pair.value.source())));
    }
    let mut keys: Vec<(String, Vec<String>)> = Vec::new();
    for pair in values {
        // A configuration has no variables in keys, not even escaped ones; `?` is any character.
        let key = pair.key.as_ref().map_or("*", Pattern::source).replace("${env:", "?{env:");
        let value = scalar(pair.value.source());
        match keys.iter_mut().find(|(known, _)| *known == key) {
            Some((_, values)) => values.push(value),
            None => keys.push((key, vec![value])),
        }
    }
    let members: Vec<_> = keys
        .into_iter()
        .map(|(key, values)| format!("{}: {}", quoted_if_needed(&key), list(values.into_iter())))
        .collect();
    format!("{{ {} }}", members.join(", "))
}

fn pattern(pattern: &Pattern) -> String {
    match pattern.as_regex() {
        Some(_) => format!("{{ regex: {} }}", scalar(pattern.source())),
        None => scalar(pattern.source()),
    }
}

/// ALB allows `"` in a path; in a configuration it is rejected as a probable mistake, except in a regex.
fn path(value: &Pattern) -> String {
    if value.as_regex().is_some() || !value.source().contains('"') {
        return pattern(value);
    }
    let piece = |c: char| match c {
        '*' => ".*".to_owned(),
        '?' => ".".to_owned(),
        c if c.is_ascii_alphanumeric() || "/_-~\"'@:&%".contains(c) => c.to_string(),
        c => format!("\\{c}"),
    };
    let regex: String = value.source().chars().map(piece).collect();
    format!("{{ regex: {} }}", scalar(&format!("^{regex}$")))
}

fn list(items: impl Iterator<Item = String>) -> String {
    format!("[{}]", items.collect::<Vec<_>>().join(", "))
}
