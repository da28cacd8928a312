//! What the AWS command line prints: `describe-rules`, alone or with the members of `describe-listeners`,
//! `describe-target-groups` and `describe-target-health` in the same object, or in a list of such objects. Owns how these
//! belong together; ELBv2's shapes are `elbv2`'s.

use crossfade_document::Place;
use crossfade_event::HeaderMode;
use crossfade_rule::Condition;
use http::StatusCode;

use super::node::{Node, Value};
use super::report::excerpt;
use super::{Draft, cloudformation, elbv2, name_in_arn, quota};
use crate::{Action, Function, Listener, Rule, Tls, Transforms};

pub(super) fn read(draft: &mut Draft<'_>, document: Node) {
    let parts: Vec<&Node> = match document.items() {
        [] => vec![&document],
        items => items.iter().collect(),
    };
    if !parts.iter().any(|part| part.get("Rules").is_some()) {
        let hint = "it is what `aws elbv2 describe-rules --listener-arn ARN` prints";
        draft.report.mistake_with_hint(&document.place, "there are no `Rules`", hint);
        return;
    }
    let all = |draft: &mut Draft<'_>, name: &str| -> Vec<Node> {
        let lists = parts.iter().filter_map(|part| part.get(name)).filter(|list| !list.is_null());
        lists.flat_map(|list| draft.report.list(name, list).unwrap_or_default().to_vec()).collect()
    };
    let (rules, listeners) = (all(draft, "Rules"), all(draft, "Listeners"));
    let (groups, health) = (all(draft, "TargetGroups"), all(draft, "TargetHealthDescriptions"));
    for attributes in all(draft, "LoadBalancerAttributes") {
        let place = attributes.place;
        let list = Node::new(place, Value::List(vec![attributes]));
        elbv2::load_balancer_attributes(&mut draft.report, &list, &mut draft.settings.load_balancer);
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
    draft.report.about("");
    let Some(arn) = group.get("TargetGroupArn").and_then(|arn| draft.report.string("TargetGroupArn", arn)) else {
        return draft.report.mistake(&group.place, "`TargetGroupArn` is missing");
    };
    let name = group.get("TargetGroupName").and_then(Node::as_text).map_or_else(|| name_in_arn(&arn), str::to_owned);
    draft.report.about(format!("target group `{}`", excerpt(&name)));
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
            None => draft.add_function(Function::new(&name, Vec::new()), vec![name.clone()]),
        });
    } else {
        let message = format!("its targets are no functions (`TargetType` is `{}`)", excerpt(kind));
        draft.report.warning_with_hint(&group.place, message, "requests to it get 503 here");
    }
    let mut settings = draft.new_group(&name, HeaderMode::Single, function);
    settings.arn.clone_from(&arn);
    if kind == "lambda" {
        match group.get("TargetGroupAttributes") {
            Some(attributes) => elbv2::target_group_attributes(&mut draft.report, attributes, &mut settings),
            None => {
                let hint = "add what `aws elbv2 describe-target-group-attributes` prints to the group, as `TargetGroupAttributes`";
                draft.report.warning_with_hint(
                    &group.place,
                    "its header mode is not known, single-value headers are assumed",
                    hint,
                );
            }
        }
        settings.health_check = elbv2::health_check(&mut draft.report, group);
    }
    draft.add_group(&arn, settings);
}

fn listener(draft: &mut Draft<'_>, node: &Node) {
    draft.report.about("");
    let Some(arn) = node.get("ListenerArn").and_then(|arn| draft.report.string("ListenerArn", arn)) else {
        return draft.report.mistake(&node.place, "`ListenerArn` is missing");
    };
    draft.report.about(format!("listener `{}`", excerpt(&name_in_arn(&arn))));
    let protocol = node.get("Protocol").and_then(Node::as_text).unwrap_or("HTTP");
    if !matches!(protocol, "HTTP" | "HTTPS") {
        let message =
            format!("left out: its protocol is `{}`, which is no Application Load Balancer's", excerpt(protocol));
        return draft.report.warning(&node.place, message);
    }
    let default = node.get("DefaultActions").and_then(|actions| elbv2::actions(draft, "DefaultActions", actions));
    let mut listener = Listener::http(default.unwrap_or_else(|| Action::status(StatusCode::NOT_FOUND)));
    listener.name = name_in_arn(&arn);
    listener.port = node.get("Port").and_then(|port| draft.report.number("Port", port, 1..=u16::MAX));
    if protocol == "HTTPS" {
        let mutual = node.get("MutualAuthentication");
        let mutual = mutual.map(|mutual| elbv2::mutual_authentication(&mut draft.report, mutual));
        listener.tls = Some(Tls { mutual: mutual.unwrap_or_default(), ..Tls::default() });
    }
    if let Some(attributes) = node.get("ListenerAttributes") {
        elbv2::listener_attributes(&mut draft.report, attributes, &mut listener.attributes);
    }
    draft.add_listener(&arn, listener, &node.place);
}

/// A rule's ARN is its listener's with the rule's id behind it.
fn listener_arn(rule: &Node) -> String {
    let arn = rule.get("RuleArn").and_then(Node::as_text).unwrap_or_default();
    match arn.rsplit_once('/') {
        Some((listener, _)) => listener.replacen(":listener-rule/", ":listener/", 1),
        None => "http".to_owned(),
    }
}

fn rule(draft: &mut Draft<'_>, node: &Node) {
    let place: &Place = &node.place;
    draft.report.about("");
    if draft.report.map("Rules", node).is_none() {
        return;
    }
    let Some(priority) = node.get("Priority").and_then(|node| draft.report.string("Priority", node)) else {
        return draft.report.mistake(place, "`Priority` is missing");
    };
    draft.report.about(format!("priority {}", excerpt(&priority)));
    if node.get("Actions").is_none() {
        return draft.report.mistake(place, "`Actions` is missing");
    }
    let arn = listener_arn(node);
    if priority == "default" {
        // AWS gives it neither ("Listener rules"); empty lists are how it says so.
        let has =
            |key: &str| node.get(key).is_some_and(|node| matches!(&node.value, Value::List(list) if !list.is_empty()));
        if has("Conditions") || has("Transforms") {
            draft.report.warning(place, "conditions and transforms of the default rule are ignored, it has none");
        }
        if let Some(action) = node.get("Actions").and_then(|actions| elbv2::actions(draft, "Actions", actions)) {
            let index = draft.listener(&arn, place);
            if let Some(draft) = draft.listeners.get_mut(index) {
                draft.listener.default_action = action;
            }
        }
        return;
    }
    let number = node.get("Priority").and_then(|node| elbv2::priority(&mut draft.report, node));
    if node.get("Conditions").is_none() {
        return draft.report.mistake(place, "`Conditions` is missing");
    }
    let read: Option<(Vec<Condition>, Transforms, Action)> = cloudformation::rule_parts(draft, node);
    if let (Some(priority), Some((conditions, transforms, action))) = (number, read) {
        quota::conditions(&mut draft.report, place, &conditions);
        let listener = draft.listener(&arn, place);
        draft.add_rule(listener, Rule { priority, conditions, transforms, action, origin: draft.origin(place) }, place);
    }
}
