//! The blocks of the AWS provider in ELBv2's own shape, which `elbv2` reads. Owns their names and defaults (AWS provider 6,
//! `aws_lb_listener_rule`, `aws_lb_listener`, `aws_lb_target_group`, `aws_lb`); an empty text and an empty list are how the provider
//! says that something is not set.

use crossfade_document::{Key, Place};

use super::super::findings::Findings;
use super::super::node::{Node, Value};

/// The blocks of a condition: the provider's name, ELBv2's kind, and the member that has the values.
const CONDITIONS: [(&str, &str, &str); 6] = [
    ("host_header", "host-header", "HostHeaderConfig"),
    ("path_pattern", "path-pattern", "PathPatternConfig"),
    ("http_header", "http-header", "HttpHeaderConfig"),
    ("http_request_method", "http-request-method", "HttpRequestMethodConfig"),
    ("query_string", "query-string", "QueryStringConfig"),
    ("source_ip", "source-ip", "SourceIpConfig"),
];

/// Attributes of a load balancer: the provider's name and ELBv2's.
const LOAD_BALANCER: [(&str, &str); 9] = [
    ("client_keep_alive", "client_keep_alive.seconds"),
    ("desync_mitigation_mode", "routing.http.desync_mitigation_mode"),
    ("drop_invalid_header_fields", "routing.http.drop_invalid_header_fields.enabled"),
    ("enable_http2", "routing.http2.enabled"),
    ("enable_tls_version_and_cipher_suite_headers", "routing.http.x_amzn_tls_version_and_cipher_suite.enabled"),
    ("enable_xff_client_port", "routing.http.xff_client_port.enabled"),
    ("idle_timeout", "idle_timeout.timeout_seconds"),
    ("preserve_host_header", "routing.http.preserve_host_header.enabled"),
    ("xff_header_processing_mode", "routing.http.xff_header_processing.mode"),
];

/// More target groups than any rule has: ALB allows 5.
pub(super) const MOST_TARGETS: usize = 100;

/// The blocks of one kind: a list, or a single one.
pub(super) fn blocks(node: Option<&Node>) -> &[Node] {
    match node {
        Some(Node { value: Value::List(items), .. }) => items,
        Some(node @ Node { value: Value::Map(_) | Value::Unknown(_), .. }) => std::slice::from_ref(node),
        _ => &[],
    }
}

/// The members that have a value.
pub(super) fn map<'n>(place: Place, members: impl IntoIterator<Item = (&'n str, Node)>) -> Node {
    let members = members.into_iter().map(|(name, node)| (Key { place, name: name.into() }, node));
    Node::new(place, Value::Map(members.collect()))
}

/// The first block of a kind that may occur once.
fn block<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    blocks(node.get(name)).first().filter(|block| !block.is_null())
}

/// Returns an attribute that is set.
fn set<'n>(node: &'n Node, name: &str) -> Option<&'n Node> {
    let is_empty = |node: &Node| match &node.value {
        Value::Scalar(scalar) => scalar.is_null() || scalar.text.is_empty(),
        Value::List(items) => items.is_empty(),
        Value::Map(_) | Value::Unknown(_) => false,
    };
    node.get(name).filter(|node| !is_empty(node))
}

/// Members of the result, each with the attribute that has its value, as far as they are set.
fn renamed<'n>(node: &Node, names: &[(&'n str, &str)]) -> Vec<(&'n str, Node)> {
    names.iter().filter_map(|(new, old)| Some((*new, set(node, old)?.clone()))).collect()
}

fn text(place: Place, text: &str) -> Node {
    Node::quoted(place, text)
}

/// Returns `Conditions`, or nothing if a block has none or several kinds.
pub(super) fn conditions(findings: &mut Findings, rule: &Node) -> Option<Node> {
    let blocks = blocks(rule.get("condition"));
    if blocks.is_empty() {
        findings.error(&rule.place, "a rule needs at least one `condition`");
        return None;
    }
    let conditions: Vec<Node> = blocks.iter().filter_map(|block| condition(findings, block)).collect();
    (conditions.len() == blocks.len()).then(|| Node::new(rule.place, Value::List(conditions)))
}

fn condition(findings: &mut Findings, node: &Node) -> Option<Node> {
    let place = node.place;
    let members = findings.map("condition", node)?;
    let known: Vec<&str> = CONDITIONS.iter().map(|(name, ..)| *name).chain(["field", "values"]).collect();
    findings.only("condition", members, &known);
    // Before version 3 of the provider.
    if let (Some(field), Some(values)) = (set(node, "field"), set(node, "values")) {
        return Some(map(place, [("Field", field.clone()), ("Values", values.clone())]));
    }
    let present: Vec<_> = CONDITIONS.iter().filter(|(name, ..)| set(node, name).is_some()).collect();
    let [(name, field, config)] = present[..] else {
        let names = CONDITIONS.map(|(name, ..)| name).join(", ");
        findings.error(&place, format!("a `condition` has one of {names}; here are {}", present.len()));
        return None;
    };
    let of_kind = blocks(node.get(name));
    let values = match (*name, of_kind) {
        ("query_string", pairs) => {
            let pairs = pairs.iter().map(|pair| match &pair.value {
                Value::Map(_) => map(pair.place, renamed(pair, &[("Key", "key"), ("Value", "value")])),
                _ => pair.clone(),
            });
            map(place, [("Values", Node::new(place, Value::List(pairs.collect())))])
        }
        (_, [only]) => match &only.value {
            Value::Map(_) => {
                let names =
                    [("HttpHeaderName", "http_header_name"), ("Values", "values"), ("RegexValues", "regex_values")];
                map(only.place, renamed(only, &names))
            }
            _ => only.clone(),
        },
        _ => {
            findings.error(&place, format!("a `condition` has `{name}` once"));
            return None;
        }
    };
    Some(map(place, [("Field", text(place, field)), (config, values)]))
}

/// Returns an action. `group` gives the id of the target group of a node, by the path from the action to its attribute.
pub(super) fn action(node: &Node, mut group: impl FnMut(&Node, &[&str]) -> Node) -> Node {
    let place = node.place;
    if !matches!(node.value, Value::Map(_)) {
        return node.clone();
    }
    let mut members = renamed(node, &[("Type", "type")]);
    match node.get("type").and_then(Node::as_text) {
        Some("forward") => match block(node, "forward") {
            Some(forward) => members.push(("ForwardConfig", forward_config(forward, &mut group))),
            None => members.push(("TargetGroupArn", group(node, &["target_group_arn"]))),
        },
        Some("redirect") => {
            let config = block(node, "redirect").map(|redirect| {
                let names = [
                    ("Protocol", "protocol"),
                    ("Host", "host"),
                    ("Port", "port"),
                    ("Path", "path"),
                    ("StatusCode", "status_code"),
                ];
                // An empty query removes it.
                let query = redirect.get("query").filter(|query| !query.is_null()).cloned();
                let query = query.map(|query| ("Query", query));
                map(redirect.place, renamed(redirect, &names).into_iter().chain(query))
            });
            members.extend(config.map(|config| ("RedirectConfig", config)));
        }
        Some("fixed-response") => {
            let config = block(node, "fixed_response").map(|fixed| {
                let names =
                    [("StatusCode", "status_code"), ("ContentType", "content_type"), ("MessageBody", "message_body")];
                map(fixed.place, renamed(fixed, &names))
            });
            members.extend(config.map(|config| ("FixedResponseConfig", config)));
        }
        _ => {}
    }
    map(place, members)
}

fn forward_config(forward: &Node, group: &mut impl FnMut(&Node, &[&str]) -> Node) -> Node {
    let mut groups = Vec::new();
    for (number, target) in blocks(forward.get("target_group")).iter().enumerate() {
        let mut members = vec![("TargetGroupArn", target_of(target, &number.to_string(), group))];
        members.extend(renamed(target, &[("Weight", "weight")]));
        groups.push(map(target.place, members));
    }
    let mut members = vec![("TargetGroups", Node::new(forward.place, Value::List(groups)))];
    if let Some(sticky) = block(forward, "stickiness") {
        let names = [("Enabled", "enabled"), ("DurationSeconds", "duration")];
        members.push(("TargetGroupStickinessConfig", map(sticky.place, renamed(sticky, &names))));
    }
    map(forward.place, members)
}

/// The expression of a planned target group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Own {
    pub(super) number: usize,
    /// Another one may have its weight.
    pub(super) is_guess: bool,
}

/// For each target group of a `forward`, its expression: a plan has them sorted, as a set. `arns` has what the expressions refer
/// to. Known ARNs tell them apart, and weights that are constants; the others follow in the order of the configuration, each once.
pub(super) fn order(planned: &[Node], expressions: &[Node], arns: &[String]) -> Vec<Own> {
    // The provider plans an omitted weight as 1.
    let weight = |node: Option<&Node>| match node {
        Some(node) if !node.is_null() => node.as_text().map(str::to_owned),
        _ => Some("1".to_owned()),
    };
    let constant = |node: &Node| match node.get("weight") {
        Some(weight_of) => weight_of.get("constant_value").and_then(|value| weight(Some(value))),
        None => weight(None),
    };
    if planned.len() > MOST_TARGETS || expressions.len() > MOST_TARGETS {
        return Vec::new();
    }
    let mut free: Vec<usize> = (0..expressions.len()).collect();
    let mut numbers: Vec<Option<usize>> = vec![None; planned.len()];
    for (target, number) in planned.iter().zip(&mut numbers) {
        let arn = target.get("arn").and_then(Node::as_text).filter(|arn| !arn.is_empty());
        let at = free.iter().position(|it| arn.is_some() && arns.get(*it).map(String::as_str) == arn);
        *number = at.map(|at| free.remove(at));
    }
    for (target, number) in planned.iter().zip(&mut numbers).filter(|(_, number)| number.is_none()) {
        let weight = weight(target.get("weight"));
        let is_own = |it: &usize| weight.is_some() && expressions.get(*it).and_then(constant) == weight;
        *number = free.iter().position(is_own).map(|at| free.remove(at));
    }
    let left = planned.iter().zip(&numbers).filter(|(_, number)| number.is_none());
    let mut left: Vec<_> = left.map(|(target, _)| weight(target.get("weight"))).collect();
    let is_clear = left.len() == free.len();
    left.dedup();
    // Those with one weight are interchangeable.
    let is_guess = !is_clear || left.len() > 1;
    let mut free = free.into_iter();
    let own = numbers.into_iter().enumerate().map(|(at, number)| match number {
        Some(number) => Own { number, is_guess: false },
        None => Own { number: free.next().unwrap_or(at), is_guess },
    });
    own.collect()
}

/// The attribute is `arn` here and `target_group_arn` in a simple action.
fn target_of(target: &Node, number: &str, group: &mut impl FnMut(&Node, &[&str]) -> Node) -> Node {
    match set(target, "arn") {
        Some(arn) if arn.as_text().is_some() => arn.clone(),
        _ => group(target, &["forward", "0", "target_group", number, "arn"]),
    }
}

/// Returns `Transforms`.
pub(super) fn transforms(rule: &Node) -> Node {
    let configs =
        [("url_rewrite_config", "UrlRewriteConfig"), ("host_header_rewrite_config", "HostHeaderRewriteConfig")];
    let transform = |node: &Node| {
        if !matches!(node.value, Value::Map(_)) {
            return node.clone();
        }
        let mut members = renamed(node, &[("Type", "type")]);
        for (name, config) in configs {
            let Some(found) = block(node, name) else { continue };
            let rewrites = blocks(found.get("rewrite")).iter().map(|rewrite| {
                let mut members = renamed(rewrite, &[("Regex", "regex")]);
                // An empty text is a replacement.
                members.extend(rewrite.get("replace").filter(|it| !it.is_null()).map(|it| ("Replace", it.clone())));
                map(rewrite.place, members)
            });
            let rewrites = Node::new(found.place, Value::List(rewrites.collect()));
            members.push((config, map(found.place, [("Rewrites", rewrites)])));
        }
        map(node.place, members)
    };
    let all = blocks(rule.get("transform")).iter().map(transform).collect();
    Node::new(rule.place, Value::List(all))
}

/// Returns a target group's members for the health check. Without a block AWS decides: functions are not checked.
pub(super) fn health_check(group: &Node) -> Node {
    let place = group.place;
    let Some(check) = block(group, "health_check").filter(|check| matches!(check.value, Value::Map(_))) else {
        return map(place, []);
    };
    let names = [
        ("HealthCheckPath", "path"),
        ("HealthCheckIntervalSeconds", "interval"),
        ("HealthCheckTimeoutSeconds", "timeout"),
        ("HealthyThresholdCount", "healthy_threshold"),
        ("UnhealthyThresholdCount", "unhealthy_threshold"),
    ];
    // What is unknown in a plan has AWS's default.
    let mut members: Vec<_> =
        renamed(check, &names).into_iter().filter(|(_, node)| !matches!(node.value, Value::Unknown(_))).collect();
    let enabled = set(check, "enabled").cloned().unwrap_or_else(|| Node::plain(place, "true"));
    members.push(("HealthCheckEnabled", enabled));
    if let Some(matcher) = set(check, "matcher").filter(|matcher| !matches!(matcher.value, Value::Unknown(_))) {
        members.push(("Matcher", map(place, [("HttpCode", matcher.clone())])));
    }
    map(check.place, members)
}

fn attributes(place: Place, found: impl IntoIterator<Item = (String, Node)>) -> Node {
    // What is unknown in a plan has AWS's default.
    let found = found.into_iter().filter(|(_, value)| !matches!(value.value, Value::Unknown(_)));
    let items = found.map(|(key, value)| map(value.place, [("Key", text(value.place, &key)), ("Value", value)]));
    Node::new(place, Value::List(items.collect()))
}

/// Returns `TargetGroupAttributes`, as far as they matter to a function.
pub(super) fn target_group_attributes(group: &Node) -> Node {
    let mode = set(group, "lambda_multi_value_headers_enabled").cloned();
    attributes(group.place, mode.map(|mode| ("lambda.multi_value_headers.enabled".to_owned(), mode)))
}

/// Returns `LoadBalancerAttributes`.
pub(super) fn load_balancer_attributes(balancer: &Node) -> Node {
    let found = LOAD_BALANCER.iter().filter_map(|(name, key)| Some(((*key).to_owned(), set(balancer, name)?.clone())));
    attributes(balancer.place, found)
}

/// Returns `ListenerAttributes`: `routing_http_response_server_enabled` is `routing.http.response.server.enabled`.
pub(super) fn listener_attributes(listener: &Node) -> Node {
    let found = listener.members().iter().filter_map(|(key, _)| {
        let (direction, rest) = ["request", "response"]
            .iter()
            .find_map(|direction| Some((direction, key.name.strip_prefix(&format!("routing_http_{direction}_"))?)))?;
        let (name, end) = ["header_name", "header_value", "enabled"]
            .iter()
            .find_map(|end| Some((rest.strip_suffix(&format!("_{end}"))?, end)))?;
        Some((format!("routing.http.{direction}.{name}.{end}"), set(listener, &key.name)?.clone()))
    });
    attributes(listener.place, found)
}

/// Returns `MutualAuthentication`.
pub(super) fn mutual_authentication(listener: &Node) -> Option<Node> {
    let block = block(listener, "mutual_authentication")?;
    Some(map(block.place, renamed(block, &[("Mode", "mode")])))
}
