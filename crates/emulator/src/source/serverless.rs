//! Files of the Serverless Framework: which parts of them make listeners, rules, target groups and functions. Owns the
//! framework's shapes, names and defaults (its guide, "Application Load Balancer" and "Functions", and osls 4); variables
//! are `variables`', what a condition may hold is `crossfade-rule`'s.
//!
//! As the framework does: each condition may be one value or a list, `header` one header or a list of them (each a condition
//! of its own), and all keys of `query` together are ONE condition, of which any may match.

use std::time::Duration;

use crossfade_document::{Key, Place};
use crossfade_event::HeaderMode;
use crossfade_rule::{Condition, ConditionError};

use super::node::{Node, Unknown, Value};
use super::report::{Report, excerpt};
use super::variables::Variables;
use super::{Draft, cloudformation, elbv2, quota, report};
use crate::{Action, Function, HealthCheck, Matcher, Rule, Transforms};

const EVENT_KEYS: [&str; 7] =
    ["listenerArn", "priority", "conditions", "multiValueHeaders", "healthCheck", "targetGroupName", "authorizer"];
const CONDITION_KEYS: [&str; 6] = ["host", "path", "method", "header", "query", "ip"];

/// A function's key, what it holds, and its `alb` events with their numbers.
struct Defined {
    key: String,
    place: Place,
    definition: Node,
    events: Vec<(usize, Node)>,
}

/// What functions have in common.
struct Service {
    name: String,
    stage: String,
    provider: Node,
    /// `resources`, if there is a load balancer in it.
    resources: Option<Node>,
}

pub(super) fn read(draft: &mut Draft<'_>, document: Node) {
    let start = document.place;
    let folder = draft.folder.clone();
    let mut variables = Variables::new(document, &folder, draft.options, std::mem::take(&mut draft.files));
    let nothing = || Node::plain(start, "");
    let provider = variables.at(&["provider"]).unwrap_or_else(nothing);
    if let Value::Unknown(unknown) = &provider.value {
        draft.report.unknown("provider", &provider, unknown);
    }
    draft.knows_region |= provider.get("region").and_then(Node::as_text).is_some();
    draft.region = variables.region();
    let name = match variables.at(&["service"]) {
        Some(service) => service.get("name").unwrap_or(&service).as_text().unwrap_or("service").to_owned(),
        None => "service".to_owned(),
    };
    let stage = variables.stage();
    let resources = variables.at(&["resources"]);
    if let Some(Node { value: Value::Unknown(unknown), place, .. }) = &resources {
        let message = format!(
            "`resources` is `{}`, {}: a load balancer in it is not seen",
            excerpt(&unknown.written),
            unknown.why
        );
        draft.report.warning(place, message);
    }
    let resources = resources.map(|node| template(&node)).filter(cloudformation::has_load_balancing);
    let mut service = Service { name, stage, provider, resources };

    let functions = variables.at(&["functions"]).unwrap_or_else(nothing);
    (draft.files, draft.environment) = variables.finish();
    let mut defined = Vec::new();
    functions_of(&mut draft.report, &functions, &mut defined);
    let is_needed = |function: &Defined| service.resources.is_some() || !function.events.is_empty();
    let defined: Vec<Defined> = defined.into_iter().filter(is_needed).collect();
    let mut indices = Vec::new();
    for function in &defined {
        draft.report.about(format!("function `{}`", excerpt(&function.key)));
        indices.push(add_function(draft, &service, function));
    }
    draft.report.about("");
    read_resources(draft, &mut service, &defined);
    let mut groups = Vec::new();
    for (function, index) in defined.iter().zip(indices) {
        for (number, event) in &function.events {
            draft.report.about(format!("function `{}`, event {number}", excerpt(&function.key)));
            read_event(draft, &service, function, index, event, &mut groups);
        }
    }
    draft.report.about("");
    if draft.listeners.is_empty() && !draft.report.has_mistakes() {
        draft
            .report
            .mistake(&start, "no `alb` event in any function; rules come from `functions.<name>.events: - alb: ...`");
    }
}

/// `functions` is a map, or a list of maps.
fn functions_of(report: &mut Report, node: &Node, defined: &mut Vec<Defined>) {
    match &node.value {
        Value::List(parts) => parts.iter().for_each(|part| functions_of(report, part, defined)),
        _ if node.is_null() => {}
        _ => {
            for (key, definition) in report.map("functions", node).unwrap_or_default() {
                report.about(format!("function `{}`", excerpt(&key.name)));
                let events = alb_events(report, &key.name, definition);
                let definition = definition.clone();
                defined.push(Defined { key: key.name.to_string(), place: key.place, definition, events });
                report.about("");
            }
        }
    }
}

/// The `alb` events of a function, with their position among all its events. What is not known in the place of any of
/// these may stand for rules, which must not be lost without a word.
fn alb_events(report: &mut Report, key: &str, definition: &Node) -> Vec<(usize, Node)> {
    if definition.is_null() || report.map(&format!("functions.{}", excerpt(key)), definition).is_none() {
        return Vec::new();
    }
    let Some(events) = definition.get("events").filter(|events| !events.is_null()) else { return Vec::new() };
    let mut found = Vec::new();
    for (index, event) in report.list("events", events).unwrap_or_default().iter().enumerate() {
        match &event.value {
            Value::Unknown(unknown) => report.unknown("events", event, unknown),
            _ => found.extend(event.get("alb").map(|alb| (index + 1, alb.clone()))),
        }
    }
    found
}

fn add_function(draft: &mut Draft<'_>, service: &Service, defined: &Defined) -> usize {
    let Defined { key, definition, .. } = defined;
    let of_either = |name: &str| {
        let own = definition.get(name).filter(|node| !node.is_null());
        own.or_else(|| service.provider.get(name)).filter(|node| !node.is_null())
    };
    let text = |name: &str| of_either(name).and_then(Node::as_text).map(str::to_owned);
    let own_name = definition.get("name").and_then(Node::as_text).map(str::to_owned);
    let name = own_name.unwrap_or_else(|| format!("{}-{}-{key}", service.name, service.stage));
    let mut function = Function::new(&name, Vec::new());
    // The framework's defaults, not Lambda's.
    function.timeout = Duration::from_secs(6);
    function.memory_mib = 1024;
    function.directory = Some(draft.folder.clone());
    function.handler = definition.get("handler").and_then(Node::as_text).unwrap_or("bootstrap").to_owned();
    function.runtime = text("runtime");
    let reserved = definition.get("reservedConcurrency").filter(|node| !node.is_null());
    let (timeout, memory) = (("timeout", of_either("timeout")), ("memorySize", of_either("memorySize")));
    cloudformation::limits(draft, &mut function, [timeout, memory, ("reservedConcurrency", reserved)]);
    function.env = draft.region_variable();
    let mut left_out = Vec::new();
    for holder in [&service.provider, definition] {
        let Some(environment) = holder.get("environment").filter(|node| !node.is_null()) else { continue };
        if let Value::Unknown(Unknown { is_mistake: false, .. }) = environment.value {
            left_out.push("environment".to_owned());
            continue;
        }
        let Some(variables) = draft.report.map("environment", environment) else { continue };
        let (known, unknown) = elbv2::environment(&mut draft.report, variables);
        function.env.retain(|(name, _)| !known.iter().any(|(other, _)| other == name));
        left_out.retain(|name| !known.iter().any(|(other, _)| other == name));
        function.env.extend(known);
        left_out.extend(unknown);
    }
    let index = draft.add_function(function, vec![key.clone(), name, logical_id(key)]);
    draft.leave_out(index, left_out);
    index
}

/// As the framework calls a function in its template.
fn logical_id(key: &str) -> String {
    let plain = key.replace('-', "Dash").replace('_', "Underscore");
    let mut rest = plain.chars();
    let first: String = rest.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}LambdaFunction", rest.as_str())
}

/// `resources` is a template, or a list of such.
fn template(node: &Node) -> Node {
    let parts: &[Node] = if node.items().is_empty() { std::slice::from_ref(node) } else { node.items() };
    let mut sections: Vec<(Key, Node)> = Vec::new();
    for (key, section) in parts.iter().flat_map(Node::members) {
        match sections.iter_mut().find(|(known, _)| known.name == key.name) {
            Some((_, Node { value: Value::Map(members), .. })) => members.extend_from_slice(section.members()),
            Some(_) => {}
            None => sections.push((key.clone(), section.clone())),
        }
    }
    Node::new(node.place, Value::Map(sections))
}

/// The load balancer's part of `resources`, if it can be read without the rest of the stack.
fn read_resources(draft: &mut Draft<'_>, service: &mut Service, defined: &[Defined]) {
    let Some(resources) = &mut service.resources else { return };
    // So that references to the functions mean something.
    if let Value::Map(sections) = &mut resources.value
        && let Some((_, Node { value: Value::Map(members), .. })) =
            sections.iter_mut().find(|(key, _)| &*key.name == "Resources")
    {
        members.extend(defined.iter().map(|function| stand_in(&service.name, &service.stage, function)));
    }
    let before = (draft.listeners.len(), draft.group_ids.len(), draft.names.len());
    let trial = Report::new(draft.options.lenient);
    let report = std::mem::replace(&mut draft.report, trial);
    cloudformation::resources(draft, resources);
    let trial = std::mem::replace(&mut draft.report, report);
    match trial.finish() {
        Ok(warnings) => draft.report.take_warnings(warnings),
        Err(mistakes) => {
            draft.listeners.truncate(before.0);
            draft.group_ids.truncate(before.1);
            draft.settings.target_groups.truncate(before.1);
            draft.names.truncate(before.2);
            draft.left_out.truncate(before.2);
            draft.settings.functions.truncate(before.2);
            let first = report::texts(mistakes.into_iter().take(1).collect(), &draft.files).concat();
            draft.report.warning_with_hint(
                &resources.place,
                format!("the load balancer in `resources` is left out, it does not stand alone ({first})"),
                "`osls package` writes a template that has everything: \
                 `--template .serverless/cloudformation-template-update-stack.json`",
            );
        }
    }
}

fn stand_in(service: &str, stage: &str, function: &Defined) -> (Key, Node) {
    let place = &function.place;
    let key = |name: &str| Key { place: *place, name: name.into() };
    let map = |members| Node::new(*place, Value::Map(members));
    let own = function.definition.get("name").and_then(Node::as_text).map(str::to_owned);
    let name = own.unwrap_or_else(|| format!("{service}-{stage}-{}", function.key));
    let properties = map(vec![(key("FunctionName"), Node::quoted(*place, name))]);
    let kind = Node::quoted(*place, "AWS::Lambda::Function");
    (key(&logical_id(&function.key)), map(vec![(key("Type"), kind), (key("Properties"), properties)]))
}

/// A target group of a function, and whether an event has said what its health check is.
struct Group {
    function: usize,
    mode: HeaderMode,
    index: usize,
}

fn read_event(
    draft: &mut Draft<'_>,
    service: &Service,
    defined: &Defined,
    function: usize,
    alb: &Node,
    groups: &mut Vec<Group>,
) {
    let Some(members) = draft.report.map("alb", alb) else { return };
    draft.report.only("alb", members, &EVENT_KEYS);
    for name in ["priority", "conditions"] {
        if alb.get(name).is_none() {
            draft.report.mistake(&alb.place, format!("`{name}` is missing"));
        }
    }
    let report = &mut draft.report;
    let priority = alb.get("priority").and_then(|node| report.number("priority", node, 1..=quota::MAX_PRIORITY));
    if let Some(priority) = priority {
        let about = report.subject().to_owned();
        report.about(format!("{about}, priority {priority}"));
    }
    let conditions = alb.get("conditions").and_then(|node| conditions(report, node));
    if let Some(authorizer) = alb.get("authorizer") {
        let hint = "`--lenient` passes over it: requests then come unauthenticated";
        report.unless_lenient(&authorizer.place, "`authorizer` is not emulated", hint);
    }
    let is_multi = alb.get("multiValueHeaders").and_then(|node| report.boolean("multiValueHeaders", node));
    let mode = if is_multi == Some(true) { HeaderMode::Multi } else { HeaderMode::Single };
    let check = alb.get("healthCheck").and_then(|node| health_check(report, node));
    let name = alb.get("targetGroupName").and_then(|node| report.string("targetGroupName", node));
    let listener = listener(draft, service, alb);
    let group = group(draft, groups, Wanted { function, mode, name, check }, defined, &alb.place);
    if let (Some(priority), Some(conditions), Some(listener)) = (priority, conditions, listener) {
        quota::conditions(&mut draft.report, &alb.place, &conditions);
        let listener = draft.listener(&listener, &alb.place);
        let (transforms, action) = (Transforms::default(), Action::forward_to(group));
        draft.add_rule(
            listener,
            Rule { priority, conditions, transforms, action, origin: draft.origin(&alb.place) },
            &alb.place,
        );
    }
}

/// What tells this event's listener from others. One that only AWS could name is called as the file calls it.
fn listener(draft: &mut Draft<'_>, service: &Service, alb: &Node) -> Option<String> {
    let Some(node) = alb.get("listenerArn") else {
        draft.report.warning(&alb.place, "`listenerArn` is missing, which the framework refuses");
        return Some("http".to_owned());
    };
    match &node.value {
        Value::Unknown(unknown) if !unknown.is_mistake => Some(unknown.written.clone()),
        Value::Map(_) => match node.only_member() {
            Some(("Ref", name)) => {
                let name = draft.report.string("Ref", name)?;
                let known = service.resources.as_ref().and_then(|it| cloudformation::listener_id(it, draft, &name));
                // What could not be read is left out already.
                let is_known =
                    known.as_ref().is_some_and(|id| draft.listeners.iter().any(|listener| listener.id == *id));
                Some(known.filter(|_| is_known).unwrap_or(name))
            }
            _ => draft.report.string("listenerArn", node),
        },
        _ => draft.report.string("listenerArn", node),
    }
}

/// What an event says of its target group.
struct Wanted {
    function: usize,
    mode: HeaderMode,
    name: Option<String>,
    check: Option<HealthCheck>,
}

/// The target group of a function and a header mode. What the last event says holds for all.
fn group(draft: &mut Draft<'_>, groups: &mut Vec<Group>, wanted: Wanted, defined: &Defined, place: &Place) -> usize {
    let Wanted { function, mode, name, check } = wanted;
    let known = groups.iter().find(|group| (group.function, group.mode) == (function, mode)).map(|group| group.index);
    match known {
        Some(index) => {
            let Some(group) = draft.settings.target_groups.get_mut(index) else { return index };
            if group.health_check != check {
                let hint =
                    "a target group has one health check; repeat it at every event, for example by a YAML anchor";
                let message = "another health check than at an earlier event of this target group; the last one holds";
                draft.report.warning_with_hint(place, message, hint);
                group.health_check = check;
            }
            if let Some(name) = name {
                group.name.clone_from(&name);
                draft.call(function, &name);
            }
            index
        }
        None => {
            let mut group = draft.new_group(name.as_deref().unwrap_or(&defined.key), mode, Some(function));
            group.health_check = check;
            let id = format!("{} {mode:?}", defined.key);
            let index = draft.add_group(&id, group);
            groups.push(Group { function, mode, index });
            index
        }
    }
}

/// `true`, `false`, or what differs from the framework's defaults, which are not quite ELBv2's.
fn health_check(report: &mut Report, node: &Node) -> Option<HealthCheck> {
    let mut check = HealthCheck { unhealthy_threshold: 5, ..HealthCheck::default() };
    if !matches!(node.value, Value::Map(_)) {
        return report.boolean("healthCheck", node)?.then_some(check);
    }
    let known = [
        "enabled",
        "path",
        "intervalSeconds",
        "timeoutSeconds",
        "healthyThresholdCount",
        "unhealthyThresholdCount",
        "matcher",
    ];
    report.only("healthCheck", node.members(), &known);
    if node.get("enabled").is_some_and(|enabled| report.boolean("enabled", enabled) == Some(false)) {
        return None;
    }
    let mut number = |name: &str, range| node.get(name).and_then(|node| report.number(name, node, range));
    let seconds = |number: u32| Duration::from_secs(number.into());
    check.interval = number("intervalSeconds", 5..=300).map_or(check.interval, seconds);
    check.timeout = number("timeoutSeconds", 2..=120).map_or(check.timeout, seconds);
    check.healthy_threshold = number("healthyThresholdCount", 2..=10).unwrap_or(check.healthy_threshold);
    check.unhealthy_threshold = number("unhealthyThresholdCount", 2..=10).unwrap_or(check.unhealthy_threshold);
    if let Some(path) = node.get("path").and_then(|path| report.string("path", path)) {
        check.path = path;
    }
    if let Some(codes) = node.at(&["matcher", "httpCode"])
        && let Some(text) = report.string("httpCode", codes)
    {
        match Matcher::parse(&text) {
            Ok(matcher) => check.matcher = matcher,
            Err(problem) => report.mistake(&codes.place, format!("`httpCode`: {problem}")),
        }
    }
    if check.timeout >= check.interval {
        report.mistake(&node.place, "`timeoutSeconds` must be less than `intervalSeconds`");
    }
    Some(check)
}

fn conditions(report: &mut Report, node: &Node) -> Option<Vec<Condition>> {
    let members = report.map("conditions", node)?;
    report.only("conditions", members, &CONDITION_KEYS);
    let mut conditions = Vec::new();
    let mut are_all_good = members.iter().all(|(key, _)| CONDITION_KEYS.contains(&&*key.name));
    for (key, node) in members {
        if &*key.name == "header" {
            let headers = if node.items().is_empty() { std::slice::from_ref(node) } else { node.items() };
            for node in headers {
                let header = header(report, node);
                are_all_good &= header.is_some();
                conditions.extend(header);
            }
            continue;
        }
        let made = match &*key.name {
            "query" => query(report, node),
            "host" => report.one_or_more("host", node).map(Condition::host),
            "path" => report.one_or_more("path", node).map(Condition::path),
            "method" => report.one_or_more("method", node).map(Condition::method),
            "ip" => report.one_or_more("ip", node).map(Condition::ip),
            _ => continue,
        };
        let condition = made.and_then(|made| made.map_err(|error| report.mistake(&node.place, error)).ok());
        are_all_good &= condition.is_some();
        conditions.extend(condition);
    }
    if members.is_empty() {
        report.mistake(&node.place, "a rule needs at least one condition");
        return None;
    }
    are_all_good.then_some(conditions)
}

fn header(report: &mut Report, node: &Node) -> Option<Condition> {
    let members = report.map("header", node)?;
    report.only("header", members, &["name", "values"]);
    let (Some(name), Some(values)) = (node.get("name"), node.get("values")) else {
        report.mistake(&node.place, "`header` needs `name` and `values`");
        return None;
    };
    let (name, values) = (report.string("header", name)?, report.one_or_more("header", values)?);
    Condition::header(&name, values).map_err(|error| report.mistake(&node.place, error)).ok()
}

/// The trap of this format: what looks like AND is OR.
fn query(report: &mut Report, node: &Node) -> Option<Result<Condition, ConditionError>> {
    let members = report.map("query", node)?;
    let mut pairs = Vec::new();
    for (key, value) in members {
        if let Value::List(_) = value.value {
            report.warning(&value.place, "`query` has a list of values, which the framework refuses");
        }
        pairs.extend(report.one_or_more("query", value)?.into_iter().map(|value| (Some(key.name.to_string()), value)));
    }
    if members.len() < 2 {
        return Some(Condition::query(pairs));
    }
    if let [first, second, ..] = &pairs[..] {
        let shown = |(key, value): &(Option<String>, String)| {
            format!("`{}={}`", excerpt(key.as_deref().unwrap_or_default()), excerpt(value))
        };
        let message = format!(
            "{} pairs in one `query` are alternatives: {} OR {} is enough, since the framework makes one condition of them",
            pairs.len(),
            shown(first),
            shown(second)
        );
        let hint = "an `alb` event cannot ask for both, and two events are two rules, so alternatives again; write the rule \
                    under `resources` as an `AWS::ElasticLoadBalancingV2::ListenerRule` with two `query-string` conditions";
        report.warning_with_hint(&node.place, message, hint);
    }
    Some(Condition::query(pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logical_ids_are_the_frameworks() {
        assert_eq!(logical_id("proxy"), "ProxyLambdaFunction");
        assert_eq!(logical_id("my-a_b"), "MyDashaUnderscorebLambdaFunction");
        assert_eq!(logical_id(""), "LambdaFunction");
    }
}
