//! Listeners and rules as the SDK returns them, in the JSON of `aws elbv2 describe-rules`, so that the emulator reads a deployed rule
//! exactly as it reads one in a file. Owns the translation only.

use aws_sdk_elasticloadbalancingv2::types::{
    Action, Listener, RewriteConfig, Rule, RuleCondition, RuleTransform, TargetGroup,
};
use serde_json::{Map, Value, json};

/// One document with a listener, its rules and the target groups of the function, whose target is `function`.
pub(super) fn document(listener: &Listener, rules: &[Rule], groups: &[(&TargetGroup, bool)], function: &str) -> Value {
    let groups_json: Vec<Value> = groups.iter().map(|(group, is_multi)| target_group(group, *is_multi)).collect();
    let health: Vec<Value> = groups
        .iter()
        .map(|(group, _)| json!({ "TargetGroupArn": group.target_group_arn(), "Target": { "Id": function } }))
        .collect();
    json!({
        "Listeners": [object([
            ("ListenerArn", json!(listener.listener_arn())),
            ("LoadBalancerArn", json!(listener.load_balancer_arn())),
            ("Port", json!(listener.port())),
            ("Protocol", json!(listener.protocol().map(|protocol| protocol.as_str()))),
            ("DefaultActions", Value::Array(listener.default_actions().iter().map(action).collect())),
        ])],
        "Rules": rules.iter().map(rule).collect::<Vec<_>>(),
        "TargetGroups": groups_json,
        "TargetHealthDescriptions": health,
    })
}

/// Without members that have no value.
fn object<const N: usize>(members: [(&str, Value); N]) -> Value {
    let present = members.into_iter().filter(|(_, value)| !value.is_null());
    Value::Object(present.map(|(name, value)| (name.to_owned(), value)).collect::<Map<_, _>>())
}

fn target_group(group: &TargetGroup, is_multi: bool) -> Value {
    let value = if is_multi { "true" } else { "false" };
    object([
        ("TargetGroupArn", json!(group.target_group_arn())),
        ("TargetGroupName", json!(group.target_group_name())),
        ("TargetType", json!("lambda")),
        ("TargetGroupAttributes", json!([{ "Key": "lambda.multi_value_headers.enabled", "Value": value }])),
    ])
}

fn rule(rule: &Rule) -> Value {
    object([
        ("RuleArn", json!(rule.rule_arn())),
        ("Priority", json!(rule.priority())),
        ("IsDefault", json!(rule.is_default())),
        ("Conditions", Value::Array(rule.conditions().iter().map(condition).collect())),
        ("Transforms", list(rule.transforms().iter().map(transform).collect())),
        ("Actions", Value::Array(rule.actions().iter().map(action).collect())),
    ])
}

/// Leaves out an empty list.
fn list(values: Vec<Value>) -> Value {
    if values.is_empty() { Value::Null } else { Value::Array(values) }
}

fn texts(values: &[String]) -> Value {
    if values.is_empty() { Value::Null } else { json!(values) }
}

fn condition(condition: &RuleCondition) -> Value {
    let host = condition.host_header_config();
    let path = condition.path_pattern_config();
    let header = condition.http_header_config();
    let query = condition.query_string_config().map(|config| {
        let values = config.values().iter();
        let values: Vec<Value> =
            values.map(|pair| object([("Key", json!(pair.key())), ("Value", json!(pair.value()))])).collect();
        json!({ "Values": values })
    });
    let has_config = [
        host.is_some(),
        path.is_some(),
        header.is_some(),
        query.is_some(),
        condition.http_request_method_config().is_some(),
        condition.source_ip_config().is_some(),
    ]
    .contains(&true);
    // AWS repeats them in the older members of the condition itself.
    let (values, regexes) = match has_config {
        true => (Value::Null, Value::Null),
        false => (texts(condition.values()), texts(condition.regex_values())),
    };
    let nullable = |config: Option<Value>| config.unwrap_or_default();
    object([
        ("Field", json!(condition.field())),
        ("Values", values),
        ("RegexValues", regexes),
        ("HostHeaderConfig", nullable(host.map(|it| patterns(None, it.values(), it.regex_values())))),
        ("PathPatternConfig", nullable(path.map(|it| patterns(None, it.values(), it.regex_values())))),
        (
            "HttpHeaderConfig",
            nullable(header.map(|it| patterns(it.http_header_name(), it.values(), it.regex_values()))),
        ),
        ("QueryStringConfig", nullable(query)),
        (
            "HttpRequestMethodConfig",
            nullable(condition.http_request_method_config().map(|it| patterns(None, it.values(), &[]))),
        ),
        ("SourceIpConfig", nullable(condition.source_ip_config().map(|it| patterns(None, it.values(), &[])))),
    ])
}

fn patterns(name: Option<&str>, values: &[String], regexes: &[String]) -> Value {
    object([("HttpHeaderName", json!(name)), ("Values", texts(values)), ("RegexValues", texts(regexes))])
}

fn transform(transform: &RuleTransform) -> Value {
    let rewrites = |rewrites: &[RewriteConfig]| {
        let rewrites = rewrites.iter();
        let rewrites = rewrites.map(|it| object([("Regex", json!(it.regex())), ("Replace", json!(it.replace()))]));
        json!({ "Rewrites": rewrites.collect::<Vec<_>>() })
    };
    let url = transform.url_rewrite_config().map(|config| rewrites(config.rewrites()));
    let host = transform.host_header_rewrite_config().map(|config| rewrites(config.rewrites()));
    object([
        ("Type", json!(transform.r#type().map(|it| it.as_str()))),
        ("UrlRewriteConfig", url.unwrap_or_default()),
        ("HostHeaderRewriteConfig", host.unwrap_or_default()),
    ])
}

fn action(action: &Action) -> Value {
    let forward = action.forward_config().map(|config| {
        let targets = config.target_groups().iter();
        let targets: Vec<Value> = targets
            .map(|it| object([("TargetGroupArn", json!(it.target_group_arn())), ("Weight", json!(it.weight()))]))
            .collect();
        let stickiness = config
            .target_group_stickiness_config()
            .map(|it| object([("Enabled", json!(it.enabled())), ("DurationSeconds", json!(it.duration_seconds()))]));
        object([("TargetGroups", json!(targets)), ("TargetGroupStickinessConfig", stickiness.unwrap_or_default())])
    });
    let redirect = action.redirect_config().map(|it| {
        object([
            ("Protocol", json!(it.protocol())),
            ("Host", json!(it.host())),
            ("Port", json!(it.port())),
            ("Path", json!(it.path())),
            ("Query", json!(it.query())),
            ("StatusCode", json!(it.status_code().map(|code| code.as_str()))),
        ])
    });
    let fixed = action.fixed_response_config().map(|it| {
        object([
            ("StatusCode", json!(it.status_code())),
            ("ContentType", json!(it.content_type())),
            ("MessageBody", json!(it.message_body())),
        ])
    });
    // AWS returns the group in both members.
    let group = if forward.is_some() { None } else { action.target_group_arn() };
    object([
        ("Type", json!(action.r#type().map(|it| it.as_str()))),
        ("Order", json!(action.order())),
        ("TargetGroupArn", json!(group)),
        ("ForwardConfig", forward.unwrap_or_default()),
        ("RedirectConfig", redirect.unwrap_or_default()),
        ("FixedResponseConfig", fixed.unwrap_or_default()),
    ])
}

/// The target groups that the actions of rules and a listener name.
pub(super) fn named_groups<'a>(actions: impl Iterator<Item = &'a Action>) -> Vec<String> {
    actions
        .flat_map(|action| {
            let tuples = action.forward_config().map(|config| config.target_groups()).unwrap_or_default();
            let tuples = tuples.iter().filter_map(|tuple| tuple.target_group_arn());
            action.target_group_arn().into_iter().chain(tuples).map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}
