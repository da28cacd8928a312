//! Output of the AWS command line: `describe-rules`, alone or with the members of `describe-listeners`,
//! `describe-target-groups` and `describe-target-health` in the same object, or in a list of such objects. Owns how
//! these belong together; ELBv2's own JSON is `elbv2`'s.

use crossfade_document::Place;
use crossfade_event::HeaderMode;
use crossfade_rule::Condition;
use http::StatusCode;

use super::draft::{Draft, name_in_arn};
use super::node::{Node, Value, excerpt};
use super::{cloudformation, elbv2, quota};
use crate::{Action, Listener, Rule, Tls, Transforms};

/// The members of the outputs that can be combined.
const PARTS: [&str; 8] = [
    "Attributes",
    "Listeners",
    "LoadBalancerAttributes",
    "LoadBalancers",
    "NextMarker",
    "Rules",
    "TargetGroups",
    "TargetHealthDescriptions",
];
const RULE_KEYS: [&str; 6] = ["Actions", "Conditions", "IsDefault", "Priority", "RuleArn", "Transforms"];
/// Those that `describe-listeners` prints, and `ListenerAttributes`, which users add.
const LISTENER_KEYS: [&str; 10] = [
    "AlpnPolicy",
    "Certificates",
    "DefaultActions",
    "ListenerArn",
    "ListenerAttributes",
    "LoadBalancerArn",
    "MutualAuthentication",
    "Port",
    "Protocol",
    "SslPolicy",
];
/// Those that `describe-target-groups` prints, and `TargetGroupAttributes`, which users add.
const TARGET_GROUP_KEYS: [&str; 20] = [
    "HealthCheckEnabled",
    "HealthCheckIntervalSeconds",
    "HealthCheckPath",
    "HealthCheckPort",
    "HealthCheckProtocol",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "IpAddressType",
    "LoadBalancerArns",
    "Matcher",
    "Port",
    "Protocol",
    "ProtocolVersion",
    "TargetControlPort",
    "TargetGroupArn",
    "TargetGroupAttributes",
    "TargetGroupName",
    "TargetType",
    "UnhealthyThresholdCount",
    "VpcId",
];

pub(super) fn read(draft: &mut Draft<'_>, document: Node) {
    let parts: Vec<&Node> = match document.items() {
        [] => vec![&document],
        items => items.iter().collect(),
    };
    if !parts.iter().any(|part| part.get("Rules").is_some()) {
        let hint = "the file must be the output of `aws elbv2 describe-rules --listener-arn ARN`";
        draft.findings.error_with_hint(&document.place, "`Rules` is missing", hint);
        return;
    }
    for part in &parts {
        draft.findings.misspelt(part.members(), &PARTS);
    }
    let all = |draft: &mut Draft<'_>, name: &str| -> Vec<Node> {
        let lists = parts.iter().filter_map(|part| part.get(name)).filter(|list| !list.is_null());
        lists.flat_map(|list| draft.findings.list(name, list).unwrap_or_default().to_vec()).collect()
    };
    let (rules, listeners) = (all(draft, "Rules"), all(draft, "Listeners"));
    let (groups, health) = (all(draft, "TargetGroups"), all(draft, "TargetHealthDescriptions"));
    for attributes in all(draft, "LoadBalancerAttributes") {
        let place = attributes.place;
        let list = Node::new(place, Value::List(vec![attributes]));
        elbv2::load_balancer_attributes(&mut draft.findings, &list, &mut draft.settings.load_balancer);
    }
    for group in &groups {
        target_group(draft, group, &health, groups.len() == 1);
    }
    for node in &listeners {
        listener(draft, node);
    }
    for node in &rules {
        rule(draft, node);
    }
}

fn target_group(draft: &mut Draft<'_>, group: &Node, health: &[Node], is_only: bool) {
    draft.findings.set_part("");
    let Some(arn) = group.get("TargetGroupArn").and_then(|arn| draft.findings.string("TargetGroupArn", arn)) else {
        return draft.findings.missing(&group.place, group, "TargetGroupArn");
    };
    let name = group.get("TargetGroupName").and_then(Node::as_text).map_or_else(|| name_in_arn(&arn), str::to_owned);
    draft.findings.set_part(format!("target group `{}`", excerpt(&name)));
    draft.findings.misspelt(group.members(), &TARGET_GROUP_KEYS);
    let kind = group.get("TargetType").and_then(Node::as_text).unwrap_or("lambda");
    let mut function = None;
    if kind == "lambda" {
        // What `describe-target-health` prints does not say whose health it is.
        let is_of_this = |target: &Node| match target.get("TargetGroupArn") {
            Some(of) => of.as_text() == Some(&arn),
            None => is_only,
        };
        let target = health.iter().find(|target| is_of_this(target));
        let target = target.and_then(|target| target.at(&["Target", "Id"])).and_then(Node::as_text);
        function = Some(match target {
            Some(target) => cloudformation::function_named(draft, target),
            None => draft.function(&arn, &name),
        });
    } else {
        let message = format!("its targets are not functions (`TargetType` is `{}`)", excerpt(kind));
        draft.findings.warning_with_hint(&group.place, message, "requests to it get 503 here");
    }
    let mut settings = draft.new_group(&name, HeaderMode::Single, function);
    settings.arn.clone_from(&arn);
    if kind == "lambda" {
        match group.get("TargetGroupAttributes") {
            Some(attributes) => elbv2::target_group_attributes(&mut draft.findings, attributes, &mut settings),
            None => {
                let hint = "add the output of `aws elbv2 describe-target-group-attributes` to the group as `TargetGroupAttributes`";
                draft.findings.warning_with_hint(
                    &group.place,
                    "its header mode is unknown; single-value headers are assumed",
                    hint,
                );
            }
        }
        settings.health_check = elbv2::health_check(&mut draft.findings, group);
    }
    draft.add_group(&arn, settings);
}

fn listener(draft: &mut Draft<'_>, node: &Node) {
    draft.findings.set_part("");
    let Some(arn) = node.get("ListenerArn").and_then(|arn| draft.findings.string("ListenerArn", arn)) else {
        return draft.findings.missing(&node.place, node, "ListenerArn");
    };
    draft.findings.set_part(format!("listener `{}`", excerpt(&name_in_arn(&arn))));
    draft.findings.misspelt(node.members(), &LISTENER_KEYS);
    let protocol = node.get("Protocol").and_then(Node::as_text).unwrap_or("HTTP");
    if !matches!(protocol, "HTTP" | "HTTPS") {
        let message = format!(
            "ignored: its protocol is `{}`, which Application Load Balancers do not support",
            excerpt(protocol)
        );
        return draft.findings.warning(&node.place, message);
    }
    let default = node.get("DefaultActions").and_then(|actions| elbv2::actions(draft, "DefaultActions", actions));
    let mut listener = Listener::http(default.unwrap_or_else(|| Action::status(StatusCode::NOT_FOUND)));
    listener.name = name_in_arn(&arn);
    listener.port = node.get("Port").and_then(|port| draft.findings.number("Port", port, 1..=u16::MAX));
    if protocol == "HTTPS" {
        let mutual = node.get("MutualAuthentication");
        let mutual = mutual.map(|mutual| elbv2::mutual_authentication(&mut draft.findings, mutual));
        listener.tls = Some(Tls { mutual: mutual.unwrap_or_default(), ..Tls::default() });
    }
    if let Some(attributes) = node.get("ListenerAttributes") {
        elbv2::listener_attributes(&mut draft.findings, attributes, &mut listener.attributes);
    }
    draft.add_listener(&arn, listener, &node.place);
}

/// Returns the ARN of a rule's listener, which is the rule's ARN without its last part.
fn listener_arn(rule: &Node) -> String {
    let arn = rule.get("RuleArn").and_then(Node::as_text).unwrap_or_default();
    match arn.rsplit_once('/') {
        Some((listener, _)) => listener.replacen(":listener-rule/", ":listener/", 1),
        None => "http".to_owned(),
    }
}

fn rule(draft: &mut Draft<'_>, node: &Node) {
    let place: &Place = &node.place;
    draft.findings.set_part("");
    if draft.findings.map("Rules", node).is_none() {
        return;
    }
    let Some(priority) = node.get("Priority").and_then(|node| draft.findings.string("Priority", node)) else {
        return draft.findings.missing(place, node, "Priority");
    };
    draft.findings.set_part(format!("priority {}", excerpt(&priority)));
    draft.findings.misspelt(node.members(), &RULE_KEYS);
    if node.get("Actions").is_none() {
        return draft.findings.missing(place, node, "Actions");
    }
    let arn = listener_arn(node);
    if priority == "default" {
        // AWS gives it neither ("Listener rules"); empty lists are how it says so.
        let has =
            |key: &str| node.get(key).is_some_and(|node| matches!(&node.value, Value::List(list) if !list.is_empty()));
        if has("Conditions") || has("Transforms") {
            draft.findings.warning(place, "the default rule cannot have conditions or transforms; they are ignored");
        }
        if let Some(action) = node.get("Actions").and_then(|actions| elbv2::actions(draft, "Actions", actions)) {
            let index = draft.listener(&arn, place);
            if let Some(draft) = draft.listeners.get_mut(index) {
                draft.listener.default_action = action;
            }
        }
        return;
    }
    let number = node.get("Priority").and_then(|node| elbv2::priority(&mut draft.findings, node));
    if node.get("Conditions").is_none() {
        return draft.findings.missing(place, node, "Conditions");
    }
    let read: Option<(Vec<Condition>, Transforms, Action)> = cloudformation::rule_parts(draft, node);
    if let (Some(priority), Some((conditions, transforms, action))) = (number, read) {
        quota::conditions(&mut draft.findings, place, &conditions);
        let listener = draft.listener(&arn, place);
        draft.add_rule(listener, Rule { priority, conditions, transforms, action, origin: draft.origin(place) }, place);
    }
}
