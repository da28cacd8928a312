//! Conditions, actions and transforms as ELBv2's API has them (`RuleCondition`, `Action`, `RuleTransform`), and the quotas of one
//! rule: values beyond them go into further rules with the same action.

use crossfade_rule::{Condition, Pattern, check_quotas};
use serde_json::{Value, json};

use super::RuleAction;

/// Most values in all conditions of a rule (ALB quotas).
const MAX_VALUES: usize = 5;
/// Most rules for one route, whose values are combined.
const MAX_RULES: usize = 100;

/// A condition of a rule.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AlbCondition {
    pub(crate) kind: Kind,
    pub(crate) values: Values,
}

/// The field of a condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Kind {
    Host,
    Path,
    Method,
    Header(String),
    Query,
    Ip,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Values {
    Globs(Vec<String>),
    Regexes(Vec<String>),
    /// Key and value.
    Pairs(Vec<(Option<String>, String)>),
}

impl Values {
    pub(crate) fn len(&self) -> usize {
        match self {
            Values::Globs(values) | Values::Regexes(values) => values.len(),
            Values::Pairs(pairs) => pairs.len(),
        }
    }

    fn chunks(&self, size: usize) -> Vec<Values> {
        match self {
            Values::Globs(values) => values.chunks(size).map(|it| Values::Globs(it.to_vec())).collect(),
            Values::Regexes(values) => values.chunks(size).map(|it| Values::Regexes(it.to_vec())).collect(),
            Values::Pairs(pairs) => pairs.chunks(size).map(|it| Values::Pairs(it.to_vec())).collect(),
        }
    }
}

/// The conditions of a route as those of rules, one of which must match.
#[derive(Debug)]
pub(crate) struct Expressed {
    /// Without the conditions that have a problem.
    pub(crate) rules: Vec<Vec<AlbCondition>>,
    pub(crate) problems: Vec<String>,
}

/// Expresses conditions; what ALB rejects becomes a problem.
pub(crate) fn expressed(conditions: &[&Condition]) -> Expressed {
    let mut rules: Vec<Vec<AlbCondition>> = vec![Vec::new()];
    let mut problems = Vec::new();
    let mut seen: Vec<&'static str> = Vec::new();
    for condition in conditions {
        let kind = condition.kind();
        // The rules of ALB: a field once, except for headers and queries.
        if seen.contains(&kind) && !["header", "query"].contains(&kind) {
            problems.push(format!("a second condition `{kind}`"));
            continue;
        }
        seen.push(kind);
        // The number of values is kept below.
        let single = Vec::from([(*condition).clone()]);
        let broken =
            check_quotas(&single).into_iter().find(|error| error.is_certain() && !error.to_string().contains("values"));
        match (broken, alternatives(condition)) {
            (None, Ok(alternatives)) => {
                let combined = rules.iter().flat_map(|rule| {
                    alternatives.iter().map(move |next| [&**rule, std::slice::from_ref(next)].concat())
                });
                rules = combined.collect();
            }
            (Some(error), _) => problems.push(error.to_string()),
            (None, Err(problem)) => problems.push(problem),
        }
    }
    let rules: Vec<_> = rules.into_iter().flat_map(split).collect();
    if rules.len() > MAX_RULES {
        problems.push(format!("its conditions have so many values that {} rules would be needed", rules.len()));
        return Expressed { rules: vec![Vec::new()], problems };
    }
    Expressed { rules, problems }
}

/// A condition has globs or regexes, so both are two alternatives.
fn alternatives(condition: &Condition) -> Result<Vec<AlbCondition>, String> {
    let of = |kind: Kind, patterns: &[Pattern]| {
        let (mut globs, mut regexes) = (Vec::new(), Vec::new());
        for pattern in patterns {
            match (pattern.as_regex(), pattern.globs()) {
                (Some(regex), _) => regexes.push(regex.source().to_owned()),
                (None, Some(found)) => globs.extend(found),
                (None, None) => {
                    return Err(format!("`{}` has characters that are wildcards of a load balancer", pattern.source()));
                }
            }
        }
        let both = [Values::Globs(globs), Values::Regexes(regexes)];
        Ok(both
            .into_iter()
            .filter(|values| values.len() > 0)
            .map(|values| AlbCondition { kind: kind.clone(), values })
            .collect())
    };
    let one = |kind, values| Ok(vec![AlbCondition { kind, values }]);
    match condition {
        Condition::Host(patterns) => of(Kind::Host, patterns),
        Condition::Path(patterns) => of(Kind::Path, patterns),
        Condition::Header { name, values } => of(Kind::Header(name.to_string()), values),
        Condition::Method(methods) => {
            one(Kind::Method, Values::Globs(methods.iter().map(ToString::to_string).collect()))
        }
        Condition::Ip(ranges) => one(Kind::Ip, Values::Globs(ranges.iter().map(ToString::to_string).collect())),
        Condition::Query(pairs) => {
            let is_regex = |pattern: &Pattern| pattern.as_regex().is_some();
            if pairs.iter().any(|pair| is_regex(&pair.value) || pair.key.as_ref().is_some_and(is_regex)) {
                return Err("a regex in `query`".to_owned());
            }
            let pair = |pair: &crossfade_rule::QueryValue| {
                (pair.key.as_ref().map(|key| key.source().to_owned()), pair.value.source().to_owned())
            };
            one(Kind::Query, Values::Pairs(pairs.iter().map(pair).collect()))
        }
    }
}

/// Rules with few enough values. The condition with the most is split.
fn split(rule: Vec<AlbCondition>) -> Vec<Vec<AlbCondition>> {
    let count: usize = rule.iter().map(|condition| condition.values.len()).sum();
    let largest = rule.iter().enumerate().max_by_key(|(_, condition)| condition.values.len());
    let Some((index, largest)) = largest.filter(|_| count > MAX_VALUES) else { return vec![rule] };
    let size = MAX_VALUES.saturating_sub(count - largest.values.len()).max(1);
    if largest.values.len() <= size {
        return vec![rule];
    }
    let chunks = largest.values.chunks(size);
    let with = |values: Values| {
        let mut rule = rule.clone();
        if let Some(condition) = rule.get_mut(index) {
            condition.values = values;
        }
        split(rule)
    };
    chunks.into_iter().flat_map(with).collect()
}

/// `Conditions` of a rule. One without conditions matches every path.
pub(super) fn conditions(conditions: &[AlbCondition]) -> Value {
    if conditions.is_empty() {
        return json!([{ "Field": "path-pattern", "PathPatternConfig": { "Values": ["/*"] } }]);
    }
    conditions.iter().map(condition).collect()
}

fn condition(condition: &AlbCondition) -> Value {
    let (field, config) = match &condition.kind {
        Kind::Host => ("host-header", "HostHeaderConfig"),
        Kind::Path => ("path-pattern", "PathPatternConfig"),
        Kind::Method => ("http-request-method", "HttpRequestMethodConfig"),
        Kind::Header(_) => ("http-header", "HttpHeaderConfig"),
        Kind::Query => ("query-string", "QueryStringConfig"),
        Kind::Ip => ("source-ip", "SourceIpConfig"),
    };
    let mut inner = match &condition.values {
        Values::Globs(values) => json!({ "Values": values }),
        Values::Regexes(values) => json!({ "RegexValues": values }),
        Values::Pairs(pairs) => {
            let pair = |(key, value): &(Option<String>, String)| match key {
                Some(key) => json!({ "Key": key, "Value": value }),
                None => json!({ "Value": value }),
            };
            json!({ "Values": pairs.iter().map(pair).collect::<Vec<_>>() })
        }
    };
    if let Kind::Header(name) = &condition.kind {
        inner["HttpHeaderName"] = json!(name);
    }
    json!({ "Field": field, config: inner })
}

/// `Actions` of a rule. Target groups are what `group` returns: for a back end, or for the function.
pub(super) fn actions(action: &RuleAction, group: &dyn Fn(Option<&str>) -> Value) -> Value {
    let action = match action {
        RuleAction::Function => json!({ "Type": "forward", "TargetGroupArn": group(None) }),
        RuleAction::Forward { backend, .. } => json!({ "Type": "forward", "TargetGroupArn": group(Some(backend)) }),
        RuleAction::Redirect { status, parts } => {
            let mut config = json!({ "StatusCode": format!("HTTP_{status}") });
            for (key, value) in ["Protocol", "Host", "Port", "Path", "Query"].iter().zip(parts) {
                if let Some(value) = value {
                    config[*key] = json!(value);
                }
            }
            json!({ "Type": "redirect", "RedirectConfig": config })
        }
        RuleAction::FixedResponse { status, content_type, body } => {
            let mut config = json!({ "StatusCode": status.to_string() });
            if !body.is_empty() {
                config["MessageBody"] = json!(body);
            }
            if let Some(content_type) = content_type {
                config["ContentType"] = json!(content_type);
            }
            json!({ "Type": "fixed-response", "FixedResponseConfig": config })
        }
    };
    json!([action])
}

/// `Transforms` of a rule, which give the back end its own host; `None` if it gets the client's.
pub(super) fn transforms(action: &RuleAction) -> Option<Value> {
    let RuleAction::Forward { host: Some(host), .. } = action else { return None };
    let rewrite = json!({ "Regex": "^.*$", "Replace": host });
    Some(json!([{ "Type": "host-header-rewrite", "HostHeaderRewriteConfig": { "Rewrites": [rewrite] } }]))
}
