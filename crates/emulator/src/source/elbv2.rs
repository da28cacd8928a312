//! ELBv2's own JSON (API reference: `RuleCondition`, `Action`, `RuleTransform`, attributes, health checks), as
//! CloudFormation and `describe-rules` have it. What is read has all functions and variables replaced. Owns shapes; how
//! much of each is allowed is `quota`'s.

use std::time::Duration;

use crossfade_document::Key;
use crossfade_event::HeaderMode;
use crossfade_rule::{Condition, Regex, Rewrite};
use http::StatusCode;

use super::draft::Draft;
use super::findings::Findings;
use super::node::{Node, Value, excerpt};
use super::quota;
use crate::{
    Action, FixedResponse, Forward, HealthCheck, ListenerAttributes, LoadBalancerAttributes, Matcher,
    MutualAuthentication, Redirect, TargetGroup, Transforms, WeightedGroup,
};

/// Attributes that exist and have no effect here (API reference, `LoadBalancerAttribute`, `ListenerAttribute`,
/// `TargetGroupAttribute`).
const WITHOUT_EFFECT: [&str; 12] = [
    "access_logs.s3.",
    "connection_logs.s3.",
    "health_check_logs.s3.",
    "deletion_protection.enabled",
    "deregistration_delay.",
    "ipv6.deny_all_igw_traffic",
    "load_balancing.",
    "slow_start.duration_seconds",
    "stickiness.",
    "target_group_health.",
    "waf.fail_open.enabled",
    "zonal_shift.config.enabled",
];

/// Reads `Conditions` of a rule. Returns `None` if one of them is invalid.
pub(super) fn conditions(findings: &mut Findings, node: &Node) -> Option<Vec<Condition>> {
    let items = findings.list("Conditions", node)?;
    if items.is_empty() {
        findings.error(&node.place, "a rule needs at least one condition");
        return None;
    }
    let conditions: Vec<Condition> = items.iter().filter_map(|item| condition(findings, item)).collect();
    (conditions.len() == items.len()).then_some(conditions)
}

/// The kinds of conditions, and the member that has the values of each.
const KINDS: [(&str, &str); 6] = [
    ("host-header", "HostHeaderConfig"),
    ("path-pattern", "PathPatternConfig"),
    ("http-header", "HttpHeaderConfig"),
    ("http-request-method", "HttpRequestMethodConfig"),
    ("query-string", "QueryStringConfig"),
    ("source-ip", "SourceIpConfig"),
];

fn condition(findings: &mut Findings, node: &Node) -> Option<Condition> {
    let members = findings.map("Conditions", node)?;
    let known: Vec<&str> =
        ["Field", "Values", "RegexValues"].into_iter().chain(KINDS.map(|(_, config)| config)).collect();
    findings.only("Conditions", members, &known);
    let field = match node.get("Field") {
        Some(field) => findings.string("Field", field)?,
        None => KINDS.iter().find(|(_, config)| node.get(config).is_some()).map_or("", |(kind, _)| kind).to_owned(),
    };
    let Some((_, config)) = KINDS.iter().find(|(kind, _)| *kind == field) else {
        let kinds = KINDS.map(|(kind, _)| kind);
        let message = format!("`Field` is `{}`; it must be one of {}", excerpt(&field), kinds.join(", "));
        findings.unknown_word(&node.place, message, &field, &kinds);
        return None;
    };
    // `describe-rules` has the values of some kinds in both places.
    let within = node.get(config).unwrap_or(node);
    let members = findings.map(config, within)?;
    if node.get(config).is_some() {
        let known: &[&str] = match field.as_str() {
            "http-header" => &["HttpHeaderName", "Values", "RegexValues"],
            "host-header" | "path-pattern" => &["Values", "RegexValues"],
            _ => &["Values"],
        };
        findings.only(config, members, known);
    }
    let values = |findings: &mut Findings, name: &str| match within.get(name) {
        Some(list) => findings.strings(name, list),
        None => Some(Vec::new()),
    };
    let made = match field.as_str() {
        "query-string" => {
            let mut pairs = Vec::new();
            for pair in within.get("Values").map_or(Some(&[][..]), |list| findings.list("Values", list))? {
                let members = findings.map("Values", pair)?;
                findings.only("Values", members, &["Key", "Value"]);
                let key = pair.get("Key").filter(|key| !key.is_null()).map(|key| findings.string("Key", key));
                let Some(value) = pair.get("Value") else {
                    findings.missing(&pair.place, pair, "Value");
                    return None;
                };
                pairs.push((key.map_or(Some(None), |key| key.map(Some))?, findings.string("Value", value)?));
            }
            Condition::query(pairs)
        }
        "http-request-method" => Condition::method(values(findings, "Values")?),
        "source-ip" => Condition::ip(values(findings, "Values")?),
        _ => {
            let (globs, regexes) = (values(findings, "Values")?, values(findings, "RegexValues")?);
            if !globs.is_empty() && !regexes.is_empty() {
                findings.error(&within.place, "a condition cannot have both `Values` and `RegexValues`");
                return None;
            }
            let is_regex = !regexes.is_empty();
            match field.as_str() {
                "host-header" if is_regex => Condition::host_regex(regexes),
                "host-header" => Condition::host(globs),
                "path-pattern" if is_regex => Condition::path_regex(regexes),
                "path-pattern" => Condition::path(globs),
                _ => {
                    let Some(name) = within.get("HttpHeaderName") else {
                        findings.missing(&within.place, within, "HttpHeaderName");
                        return None;
                    };
                    let name = findings.string("HttpHeaderName", name)?;
                    if is_regex { Condition::header_regex(&name, regexes) } else { Condition::header(&name, globs) }
                }
            }
        }
    };
    made.map_err(|error| findings.error(&within.place, error)).ok()
}

const ACTIONS: [&str; 6] =
    ["forward", "redirect", "fixed-response", "authenticate-oidc", "authenticate-cognito", "jwt-validation"];

const ACTION_KEYS: [&str; 9] = [
    "Type",
    "Order",
    "TargetGroupArn",
    "ForwardConfig",
    "RedirectConfig",
    "FixedResponseConfig",
    "AuthenticateOidcConfig",
    "AuthenticateCognitoConfig",
    "JwtValidationConfig",
];

/// Reads `Actions` of a rule or `DefaultActions` of a listener: any that authenticate, and exactly one other.
pub(super) fn actions(draft: &mut Draft<'_>, what: &str, node: &Node) -> Option<Action> {
    let items = draft.findings.list(what, node)?;
    let mut answering = Vec::new();
    for item in items {
        let members = draft.findings.map(what, item)?;
        draft.findings.only(what, members, &ACTION_KEYS);
        let Some(kind) = item.get("Type") else {
            draft.findings.missing(&item.place, item, "Type");
            return None;
        };
        let kind = draft.findings.string("Type", kind)?;
        match kind.as_str() {
            "forward" | "redirect" | "fixed-response" => answering.push((kind, item)),
            "authenticate-oidc" | "authenticate-cognito" | "jwt-validation" => draft.findings.unless_lenient(
                &item.place,
                format!("the action `{kind}` is not emulated"),
                "`--lenient` ignores it: requests are then unauthenticated",
            ),
            other => {
                let message =
                    format!("the action `{}` does not exist; there are {}", excerpt(other), ACTIONS.join(", "));
                draft.findings.unknown_word(&item.place, message, other, &ACTIONS);
                return None;
            }
        }
    }
    let [(kind, item)] = &answering[..] else {
        let count = answering.len();
        let message = format!("{count} of forward, redirect and fixed-response, there must be exactly one");
        draft.findings.error(&node.place, message);
        return None;
    };
    let action = match kind.as_str() {
        "forward" => Action::Forward(forward(draft, item)?),
        "redirect" => Action::Redirect(redirect(&mut draft.findings, item)?),
        _ => Action::FixedResponse(fixed_response(&mut draft.findings, item)?),
    };
    quota::action(&mut draft.findings, &item.place, &action);
    Some(action)
}

fn forward(draft: &mut Draft<'_>, action: &Node) -> Option<Forward> {
    let config = action.get("ForwardConfig").filter(|config| !config.is_null());
    let mut targets = Vec::new();
    if let Some(config) = config {
        let members = draft.findings.map("ForwardConfig", config)?;
        draft.findings.only("ForwardConfig", members, &["TargetGroups", "TargetGroupStickinessConfig"]);
    }
    let listed = config.and_then(|config| config.get("TargetGroups")).filter(|groups| !groups.is_null());
    match (listed, action.get("TargetGroupArn")) {
        (Some(groups), _) => {
            for item in draft.findings.list("TargetGroups", groups)? {
                draft.findings.only("TargetGroups", item.members(), &["TargetGroupArn", "Weight"]);
                let Some(arn) = item.get("TargetGroupArn") else {
                    draft.findings.missing(&item.place, item, "TargetGroupArn");
                    return None;
                };
                let group = group_of(draft, arn)?;
                let weight = match item.get("Weight").filter(|weight| !weight.is_null()) {
                    Some(weight) => draft.findings.number("Weight", weight, 0..=u16::MAX)?,
                    None => 1,
                };
                targets.push(WeightedGroup { group, weight });
            }
        }
        (None, Some(arn)) => targets.push(WeightedGroup { group: group_of(draft, arn)?, weight: 1 }),
        (None, None) => {}
    }
    if targets.is_empty() {
        draft.findings.error(&action.place, "a forward needs `TargetGroupArn` or `ForwardConfig` with `TargetGroups`");
        return None;
    }
    let mut stickiness = None;
    if let Some(sticky) = config.and_then(|config| config.get("TargetGroupStickinessConfig")) {
        let findings = &mut draft.findings;
        findings.only("TargetGroupStickinessConfig", sticky.members(), &["Enabled", "DurationSeconds"]);
        let enabled = sticky.get("Enabled").map_or(Some(false), |enabled| findings.boolean("Enabled", enabled))?;
        if enabled {
            let Some(duration) = sticky.get("DurationSeconds") else {
                findings.missing(&sticky.place, sticky, "DurationSeconds");
                return None;
            };
            let seconds = findings.number_within("DurationSeconds", duration, 1..=604_800)?;
            stickiness = Some(Duration::from_secs(seconds.into()));
        }
    }
    Some(Forward { targets, stickiness })
}

/// Returns the index of a target group.
fn group_of(draft: &mut Draft<'_>, arn: &Node) -> Option<usize> {
    let id = draft.findings.reference("TargetGroupArn", arn)?;
    let is_defined = draft.group_ids.contains(&id);
    let index = draft.group(&id);
    if !is_defined {
        let group = draft.settings.target_groups.get(index);
        let function = group.and_then(|group| draft.settings.functions.get(group.function?));
        let name = function.map_or("", |function| &function.name);
        let hint = format!("it gets the function `{name}`, with Lambda's defaults and single-value headers");
        let message = format!("the file does not define the target group `{}`", excerpt(&id));
        draft.findings.warning_with_hint(&arn.place, message, hint);
    }
    Some(index)
}

fn redirect(findings: &mut Findings, action: &Node) -> Option<Redirect> {
    let config = config(findings, action, "RedirectConfig")?;
    findings.only("RedirectConfig", config.members(), &["Protocol", "Port", "Host", "Path", "Query", "StatusCode"]);
    let status = match config.get("StatusCode").map(|status| findings.string("StatusCode", status)) {
        Some(status) => match status?.as_str() {
            "HTTP_301" => StatusCode::MOVED_PERMANENTLY,
            "HTTP_302" => StatusCode::FOUND,
            other => {
                let message = format!("`StatusCode` is `{}`; it must be HTTP_301 or HTTP_302", excerpt(other));
                findings.error(&config.place, message);
                return None;
            }
        },
        None => {
            findings.missing(&config.place, config, "StatusCode");
            return None;
        }
    };
    let mut redirect = Redirect::to_itself(status);
    let parts = [
        ("Protocol", &mut redirect.protocol),
        ("Host", &mut redirect.host),
        ("Port", &mut redirect.port),
        ("Path", &mut redirect.path),
        ("Query", &mut redirect.query),
    ];
    for (name, part) in parts {
        match config.get(name) {
            Some(node) if node.is_null() => {}
            // An empty query removes the query; other parts must not be empty.
            Some(node) if node.as_text() == Some("") && name == "Query" => part.clear(),
            Some(node) => *part = findings.string(name, node)?,
            None => {}
        }
    }
    let problem = problem_of(&redirect);
    if let Some(problem) = &problem {
        findings.error(&config.place, problem);
    }
    problem.is_none().then_some(redirect)
}

/// Returns an error if a part of a redirect has a keyword or a form that it may not have (API reference,
/// `RedirectActionConfig`).
fn problem_of(redirect: &Redirect) -> Option<String> {
    let Redirect { protocol, host, port, path, query, .. } = redirect;
    let parts: [(&str, &str, &[&str]); 5] = [
        ("Protocol", protocol, &["protocol"]),
        ("Host", host, &["host"]),
        ("Port", port, &["port"]),
        ("Path", path, &["host", "port", "path"]),
        ("Query", query, &["protocol", "host", "port", "path", "query"]),
    ];
    for (name, part, allowed) in parts {
        for piece in part.split("#{").skip(1) {
            let keyword = piece.split_once('}').map_or(piece, |(keyword, _)| keyword);
            if !allowed.contains(&keyword) {
                let keyword = excerpt(keyword);
                return Some(format!(
                    "`{name}` has the keyword `#{{{keyword}}}`; it may have #{{{}}}",
                    allowed.join("} #{")
                ));
            }
        }
    }
    if !matches!(protocol.as_str(), "HTTP" | "HTTPS" | "#{protocol}") {
        return Some(format!("`Protocol` is `{}`; it must be HTTP, HTTPS or #{{protocol}}", excerpt(protocol)));
    }
    if port != "#{port}" && !port.parse().is_ok_and(|port: u16| port > 0) {
        return Some(format!("`Port` is `{}`; it must be a number from 1 to 65535 or #{{port}}", excerpt(port)));
    }
    (!path.starts_with('/')).then(|| format!("`Path` is `{}`, it must begin with `/`", excerpt(path)))
}

fn fixed_response(findings: &mut Findings, action: &Node) -> Option<FixedResponse> {
    let config = config(findings, action, "FixedResponseConfig")?;
    findings.only("FixedResponseConfig", config.members(), &["StatusCode", "ContentType", "MessageBody"]);
    let Some(status) = config.get("StatusCode") else {
        findings.missing(&config.place, config, "StatusCode");
        return None;
    };
    let text = findings.string("StatusCode", status)?;
    let code = text.parse().ok().and_then(|code: u16| StatusCode::from_u16(code).ok());
    let Some(code) = code.filter(|code| matches!(code.as_u16() / 100, 2 | 4 | 5)) else {
        findings.error(&status.place, format!("`StatusCode` is `{}`; it must be 2xx, 4xx or 5xx", excerpt(&text)));
        return None;
    };
    let optional = |findings: &mut Findings, name: &str| match config.get(name).filter(|node| !node.is_null()) {
        Some(node) => findings.string(name, node).map(Some),
        None => Some(None),
    };
    let content_type = optional(findings, "ContentType")?.filter(|kind| !kind.is_empty());
    let body = optional(findings, "MessageBody")?.unwrap_or_default();
    Some(FixedResponse { status: code, content_type, body })
}

fn config<'n>(findings: &mut Findings, action: &'n Node, name: &str) -> Option<&'n Node> {
    match action.get(name) {
        Some(config) => findings.map(name, config).map(|_| config),
        None => {
            findings.missing(&action.place, action, name);
            None
        }
    }
}

/// Reads `Transforms` of a rule.
pub(super) fn transforms(findings: &mut Findings, node: &Node) -> Option<Transforms> {
    let mut transforms = Transforms::default();
    for item in findings.list("Transforms", node)? {
        let members = findings.map("Transforms", item)?;
        findings.only("Transforms", members, &["Type", "UrlRewriteConfig", "HostHeaderRewriteConfig"]);
        let kind = item.get("Type").map_or(Some(String::new()), |kind| findings.string("Type", kind))?;
        let (slot, name) = match kind.as_str() {
            "url-rewrite" => (&mut transforms.url, "UrlRewriteConfig"),
            "host-header-rewrite" => (&mut transforms.host, "HostHeaderRewriteConfig"),
            other => {
                let message = format!("`Type` is `{}`; it must be url-rewrite or host-header-rewrite", excerpt(other));
                findings.unknown_word(&item.place, message, other, &["url-rewrite", "host-header-rewrite"]);
                return None;
            }
        };
        let rewrite = rewrite(findings, item, name)?;
        if slot.replace(rewrite).is_some() {
            findings.error(&item.place, format!("a rule has at most one `{kind}`"));
        }
    }
    Some(transforms)
}

fn rewrite(findings: &mut Findings, transform: &Node, name: &str) -> Option<Rewrite> {
    let config = config(findings, transform, name)?;
    let Some([item]) = config.get("Rewrites").map(Node::items) else {
        findings.error(&config.place, format!("`{name}` needs `Rewrites` with one item"));
        return None;
    };
    findings.only(name, config.members(), &["Rewrites"]);
    findings.only("Rewrites", item.members(), &["Regex", "Replace"]);
    let (Some(regex), Some(replace)) = (item.get("Regex"), item.get("Replace")) else {
        findings.error(&item.place, "a rewrite needs `Regex` and `Replace`");
        return None;
    };
    let (source, replace) = (findings.string("Regex", regex)?, findings.string("Replace", replace)?);
    let compiled = Regex::new(&source);
    let compiled = compiled.map_err(|error| findings.error(&regex.place, format!("`Regex`: {error}"))).ok()?;
    let rewrite = Rewrite::new(compiled, &replace);
    let rewrite = rewrite.map_err(|group| {
        findings.error(
            &item.place,
            format!("`Replace` names the group `{}`, which `Regex` does not have", excerpt(&group)),
        );
    });
    let rewrite = rewrite.ok()?;
    quota::rewrite(findings, &item.place, &rewrite);
    Some(rewrite)
}

/// Returns key, value and node of each attribute that has an effect.
fn attributes(findings: &mut Findings, what: &str, node: &Node) -> Vec<(String, String, Node)> {
    let mut attributes = Vec::new();
    let Some(node) = findings.if_known(what, node) else { return attributes };
    for item in findings.list(what, node).unwrap_or_default() {
        if findings.if_known(what, item).is_none() {
            continue;
        }
        findings.only(what, item.members(), &["Key", "Value"]);
        match (item.get("Key"), item.get("Value")) {
            (Some(key), Some(value)) => {
                let Some(key) = findings.if_known(what, key).and_then(|key| findings.string("Key", key)) else {
                    continue;
                };
                if WITHOUT_EFFECT.iter().any(|known| key.starts_with(known)) {
                    continue;
                }
                let text = findings.if_known(&key, value).and_then(|value| text_of(findings, &key, value));
                attributes.extend(text.map(|text| (key, text, item.clone())));
            }
            _ => findings.error(&item.place, format!("an item of `{what}` needs `Key` and `Value`")),
        }
    }
    attributes
}

/// Returns a text; a null value is an empty text.
fn text_of(findings: &mut Findings, what: &str, node: &Node) -> Option<String> {
    if node.is_null() { Some(String::new()) } else { findings.text(what, node) }
}

fn set(findings: &mut Findings, what: &str, node: &Node, mut set: impl FnMut(&str, &str) -> Result<bool, String>) {
    for (key, value, item) in attributes(findings, what, node) {
        match set(&key, &value) {
            Ok(true) => {}
            Ok(false) => findings.warning(&item.place, format!("`{what}` has no attribute `{}`", excerpt(&key))),
            Err(must) => {
                findings.error(&item.place, format!("the attribute `{key}` is `{}`: {must}", excerpt(&value)));
            }
        }
    }
}

pub(super) fn load_balancer_attributes(findings: &mut Findings, node: &Node, attributes: &mut LoadBalancerAttributes) {
    set(findings, "LoadBalancerAttributes", node, |key, value| attributes.set(key, value));
}

/// Reads `ListenerAttributes`. An empty value is the default.
pub(super) fn listener_attributes(findings: &mut Findings, node: &Node, attributes: &mut ListenerAttributes) {
    set(findings, "ListenerAttributes", node, |key, value| match value {
        "" if key.starts_with("routing.http.") => Ok(true),
        _ => attributes.set(key, value),
    });
}

pub(super) fn target_group_attributes(findings: &mut Findings, node: &Node, group: &mut TargetGroup) {
    set(findings, "TargetGroupAttributes", node, |key, value| {
        if key != "lambda.multi_value_headers.enabled" {
            return Ok(false);
        }
        group.mode = match value {
            "true" => HeaderMode::Multi,
            "false" => HeaderMode::Single,
            _ => return Err("it must be true or false".to_owned()),
        };
        Ok(true)
    });
}

/// Reads `MutualAuthentication` of a listener. The trust store is in S3, so the caller must provide it.
pub(super) fn mutual_authentication(findings: &mut Findings, node: &Node) -> MutualAuthentication {
    let known = [
        "Mode",
        "TrustStoreArn",
        "IgnoreClientCertificateExpiry",
        "AdvertiseTrustStoreCaNames",
        "TrustStoreAssociationStatus",
    ];
    let Some(node) = findings.if_known("MutualAuthentication", node) else { return MutualAuthentication::Off };
    findings.only("MutualAuthentication", node.members(), &known);
    let mode = node.get("Mode").filter(|mode| !mode.is_null());
    let Some(mode) = mode.and_then(|mode| findings.if_known("MutualAuthentication.Mode", mode)) else {
        return MutualAuthentication::Off;
    };
    match findings.string("MutualAuthentication.Mode", mode).as_deref() {
        Some("off") | None => MutualAuthentication::Off,
        Some("passthrough") => MutualAuthentication::Passthrough,
        Some("verify") => MutualAuthentication::Verify { ca_pem: String::new() },
        Some(other) => {
            let message = format!("`Mode` is `{}`; it must be off, passthrough or verify", excerpt(other));
            findings.unknown_word(&mode.place, message, other, &["off", "passthrough", "verify"]);
            MutualAuthentication::Off
        }
    }
}

/// Reads the health check of a Lambda target group; off unless `HealthCheckEnabled`.
pub(super) fn health_check(findings: &mut Findings, group: &Node) -> Option<HealthCheck> {
    let known = |findings: &mut Findings, name: &str| {
        let node = group.get(name).filter(|node| !node.is_null())?;
        findings.if_known(name, node)
    };
    let enabled = known(findings, "HealthCheckEnabled")?;
    if !findings.boolean("HealthCheckEnabled", enabled)? {
        return None;
    }
    let mut check = HealthCheck::default();
    if let Some(path) = known(findings, "HealthCheckPath") {
        check.path = findings.string("HealthCheckPath", path)?;
    }
    let mut number = |name: &str, range| known(findings, name).and_then(|node| findings.number(name, node, range));
    let interval = number("HealthCheckIntervalSeconds", 5..=300);
    let timeout = number("HealthCheckTimeoutSeconds", 2..=120);
    check.healthy_threshold = number("HealthyThresholdCount", 2..=10).unwrap_or(check.healthy_threshold);
    check.unhealthy_threshold = number("UnhealthyThresholdCount", 2..=10).unwrap_or(check.unhealthy_threshold);
    let seconds =
        |number: Option<u32>, otherwise| number.map_or(otherwise, |seconds| Duration::from_secs(seconds.into()));
    check.interval = seconds(interval, check.interval);
    check.timeout = seconds(timeout, check.timeout);
    let matcher = known(findings, "Matcher");
    if let Some(matcher) = matcher {
        findings.only("Matcher", matcher.members(), &["HttpCode", "GrpcCode"]);
    }
    let codes = matcher.and_then(|matcher| matcher.get("HttpCode"));
    if let Some(codes) = codes.and_then(|codes| findings.if_known("Matcher.HttpCode", codes)) {
        let text = findings.string("Matcher.HttpCode", codes)?;
        match Matcher::parse(&text) {
            Ok(matcher) => check.matcher = matcher,
            Err(problem) => findings.error(&codes.place, format!("`Matcher`: {problem}")),
        }
    }
    if check.timeout >= check.interval {
        findings.error(&group.place, "the health check's timeout must be shorter than its interval");
    }
    Some(check)
}

/// Reads `Priority` of a rule.
pub(super) fn priority(findings: &mut Findings, node: &Node) -> Option<u32> {
    findings.number("Priority", node, 1..=quota::MAX_PRIORITY)
}

/// Adds texts by name, such as `Environment.Variables`, to those of the same names before. `left_out` gets the names whose
/// values only AWS knows.
pub(super) fn add_environment(
    findings: &mut Findings,
    members: &[(Key, Node)],
    env: &mut Vec<(String, String)>,
    left_out: &mut Vec<String>,
) {
    for (key, node) in members {
        let name = &*key.name;
        env.retain(|(known, _)| known != name);
        left_out.retain(|known| known != name);
        match &node.value {
            Value::Unknown(value) if !value.is_error => left_out.push(name.to_owned()),
            // What is left of a function that is not evaluated here.
            Value::Map(_) => left_out.push(name.to_owned()),
            // The framework leaves it out; CloudFormation rejects the template.
            Value::Scalar(scalar) if scalar.is_null() => {}
            _ => env.extend(findings.secret_string(name, node).map(|value| (name.to_owned(), value))),
        }
    }
}
