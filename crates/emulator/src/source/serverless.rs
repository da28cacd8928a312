//! Files of the Serverless Framework: which parts of them make listeners, rules, target groups and functions. Owns the
//! framework's shapes, names and defaults (its guide, "Application Load Balancer" and "Functions", and osls 4);
//! variables are `variables`', what a condition may hold is `crossfade-rule`'s.
//!
//! As the framework does: each condition may be one value or a list, `header` one header or a list of them (each a
//! condition of its own), and all keys of `query` together are ONE condition, of which any may match.

use std::time::Duration;

use crossfade_document::{Diagnostic, Diagnostics, Key, Place, did_you_mean};
use crossfade_event::HeaderMode;
use crossfade_rule::{Condition, ConditionError};

use super::draft::Draft;
use super::findings::Findings;
use super::node::{Node, Unknown, Value, excerpt, resolve_dynamic_references};
use super::variables::Variables;
use super::{apis, cloudformation, elbv2, quota};
use crate::{Action, Function, HealthCheck, Matcher, Rule, Transforms};

const EVENT_KEYS: [&str; 7] =
    ["listenerArn", "priority", "conditions", "multiValueHeaders", "healthCheck", "targetGroupName", "authorizer"];
/// The top-level keys and those of `provider` and of a function that are read, and three others that look like `stage`,
/// `stages` or each other; no further one looks like any of them.
const FILE_KEYS: [&str; 9] =
    ["frameworkVersion", "functions", "params", "provider", "resources", "service", "stages", "state", "useDotenv"];
const PROVIDER_KEYS: [&str; 8] = ["environment", "logs", "memorySize", "region", "runtime", "stage", "tags", "timeout"];
const FUNCTION_KEYS: [&str; 8] =
    ["environment", "events", "handler", "memorySize", "name", "reservedConcurrency", "runtime", "timeout"];
const CONDITION_KEYS: [&str; 6] = ["host", "path", "method", "header", "query", "ip"];

/// The events that are read.
const EVENTS: [&str; 3] = ["alb", "http", "httpApi"];

/// A function's key and definition, and the events that are read, with their numbers and kinds.
struct Defined {
    key: String,
    place: Place,
    definition: Node,
    events: Vec<(usize, &'static str, Node)>,
}

impl Defined {
    /// The settings of its function URL.
    fn url(&self) -> Option<&Node> {
        self.definition.get("url").filter(|url| !matches!(url.as_text(), Some("" | "false" | "null")))
    }
}

/// The settings that all functions of a file share.
struct Service {
    name: String,
    stage: String,
    provider: Node,
    /// `resources`, if there is a front end in it.
    resources: Option<Node>,
}

pub(super) fn read(draft: &mut Draft<'_>, document: Node) {
    let start = document.place;
    draft.findings.misspelt(document.members(), &FILE_KEYS);
    let folder = draft.folder.clone();
    let mut variables = Variables::new(document, &folder, draft.options, std::mem::take(&mut draft.files));
    for (place, unreadable) in variables.read_dotenv() {
        draft.findings.warning(&place, unreadable);
    }
    if let Some(key) = variables.params_beside_stages() {
        let message = "Framework v4 rejects `params` beside `stages`; here both count, `stages` first";
        draft.findings.warning_with_hint(&key, message, "move the parameters to `stages.<stage>.params`");
    }
    let nothing = || Node::plain(start, "");
    let provider = variables.at(&["provider"]).unwrap_or_else(nothing);
    if let Value::Unknown(unknown) = &provider.value {
        draft.findings.unknown("provider", &provider, unknown);
    }
    draft.findings.misspelt(provider.members(), &PROVIDER_KEYS);
    draft.knows_region |= provider.get("region").and_then(Node::as_text).is_some();
    draft.region = variables.region();
    let name = match variables.at(&["service"]) {
        Some(service) => service.get("name").unwrap_or(&service).as_text().unwrap_or("service").to_owned(),
        None => "service".to_owned(),
    };
    let stage = variables.stage();
    let resources = variables.at(&["resources"]);
    if let Some(Node { value: Value::Unknown(unknown), place, .. }) = &resources {
        let message =
            format!("`resources` is `{}`, {}: a front end in it is ignored", excerpt(&unknown.written), unknown.why);
        draft.findings.warning(place, message);
    }
    let resources = resources.map(|node| template(&node)).filter(cloudformation::has_front_ends);
    let mut service = Service { name, stage, provider, resources };

    let mut functions = variables.at(&["functions"]).unwrap_or_else(nothing);
    resolve_dynamic_references(&mut functions, &draft.options.parameters);
    resolve_dynamic_references(&mut service.provider, &draft.options.parameters);
    (draft.files, draft.environment) = variables.finish();
    let mut defined = Vec::new();
    functions_of(&mut draft.findings, &functions, &mut defined);
    let others = other_events(&defined);
    let kinds: Vec<&str> = defined.iter().flat_map(|function| &function.events).map(|(_, kind, _)| *kind).collect();
    apis::provider(draft, &service.provider, &kinds);
    let uses = ["http", "httpApi"].map(|kind| kinds.contains(&kind));
    let is_needed =
        |function: &Defined| service.resources.is_some() || !function.events.is_empty() || function.url().is_some();
    let defined: Vec<Defined> = defined.into_iter().filter(is_needed).collect();
    let mut indices = Vec::new();
    for function in &defined {
        draft.findings.set_part(format!("function `{}`", excerpt(&function.key)));
        indices.push(add_function(draft, &service, function));
    }
    draft.findings.set_part("");
    read_resources(draft, &mut service, &defined, uses);
    let mut groups = Vec::new();
    for (function, index) in defined.iter().zip(indices) {
        for (number, kind, event) in &function.events {
            draft.findings.set_part(format!("function `{}`, event {number}", excerpt(&function.key)));
            match *kind {
                "http" => apis::http_event(draft, &service.provider, &service.stage, index, event),
                "httpApi" => apis::http_api_event(draft, &service.provider, &function.definition, index, event),
                _ => read_event(draft, &service, function, index, event, &mut groups),
            }
        }
        if let Some(url) = function.url() {
            draft.findings.set_part(format!("function `{}`", excerpt(&function.key)));
            apis::url(draft, &function.key, index, url);
        }
    }
    draft.findings.set_part("");
    if !draft.listeners.is_empty() {
        others.say(draft, "these events are not emulated", apis::EVENTS_HINT);
    }
    if draft.listeners.is_empty() && !draft.findings.has_errors() {
        let others = others.kinds();
        let message = format!("no function has an `alb`, `http` or `httpApi` event, or a `url`{others}");
        let hint = "add one under `functions.<name>.events`, as `- alb: ...` or `- httpApi: '*'`; rules that another stack creates are read with \
                    `--template`, `--terraform` or `--describe-rules`";
        draft.findings.error_with_hint(&start, message, hint);
    }
}

/// The events of functions that are not emulated. Misspelt ones have a warning of their own.
fn other_events(defined: &[Defined]) -> apis::LeftOut {
    let mut others = apis::LeftOut::default();
    for function in defined.iter().map(|function| &function.definition) {
        for event in function.get("events").map_or(&[][..], Node::items) {
            let name = event.as_text().or_else(|| Some(&event.members().first()?.0.name));
            // `- http` alone is no route.
            let is_read = |name: &str| EVENTS.contains(&name) && event.as_text().is_none();
            if let Some(name) = name.filter(|name| !is_read(name) && did_you_mean(name, &EVENTS).is_none()) {
                others.add(&event.place, name);
            }
        }
    }
    others
}

/// `functions` is a map, or a list of maps.
fn functions_of(findings: &mut Findings, node: &Node, defined: &mut Vec<Defined>) {
    match &node.value {
        Value::List(parts) => parts.iter().for_each(|part| functions_of(findings, part, defined)),
        _ if node.is_null() => {}
        _ => {
            for (key, definition) in findings.map("functions", node).unwrap_or_default() {
                findings.set_part(format!("function `{}`", excerpt(&key.name)));
                findings.misspelt(definition.members(), &FUNCTION_KEYS);
                let events = events_of(findings, &key.name, definition);
                let definition = definition.clone();
                defined.push(Defined { key: key.name.to_string(), place: key.place, definition, events });
                findings.set_part("");
            }
        }
    }
}

/// Returns the events of a function that are read, with their numbers among all its events. An unknown value in place of an
/// event is an error, since it could be a rule.
fn events_of(findings: &mut Findings, key: &str, definition: &Node) -> Vec<(usize, &'static str, Node)> {
    if definition.is_null() || findings.map(&format!("functions.{}", excerpt(key)), definition).is_none() {
        return Vec::new();
    }
    let Some(events) = definition.get("events").filter(|events| !events.is_null()) else { return Vec::new() };
    let mut found = Vec::new();
    for (index, event) in findings.list("events", events).unwrap_or_default().iter().enumerate() {
        match &event.value {
            Value::Unknown(unknown) => findings.unknown("events", event, unknown),
            Value::Map(members) if !EVENTS.iter().any(|kind| event.get(kind).is_some()) => {
                findings.misspelt(members, &EVENTS);
            }
            _ => {
                let of_kind = |kind: &'static str| Some((index + 1, kind, event.get(kind)?.clone()));
                found.extend(EVENTS.into_iter().filter_map(of_kind));
            }
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
        if let Value::Unknown(Unknown { is_error: false, .. }) = environment.value {
            left_out.push("environment".to_owned());
            continue;
        }
        let Some(variables) = draft.findings.map("environment", environment) else { continue };
        elbv2::add_environment(&mut draft.findings, variables, &mut function.env, &mut left_out);
    }
    let index = draft.add_function(function, vec![key.clone(), name, logical_id(key)]);
    draft.leave_out(index, left_out);
    index
}

/// The logical ID of a function in the framework's template.
fn logical_id(key: &str) -> String {
    let plain = key.replace('-', "Dash").replace('_', "Underscore");
    let mut rest = plain.chars();
    let first: String = rest.next().map(|first| first.to_uppercase().collect()).unwrap_or_default();
    format!("{first}{}LambdaFunction", rest.as_str())
}

/// Merges `resources`, which is a template or a list of templates, into one.
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

/// Reads the front ends in `resources`. If they have errors without the rest of the stack, they are left out with a warning.
/// `uses` says whether the framework makes a REST and an HTTP API.
fn read_resources(draft: &mut Draft<'_>, service: &mut Service, defined: &[Defined], uses: [bool; 2]) {
    let Some(resources) = &mut service.resources else { return };
    // So that references to the functions mean something.
    if let Value::Map(sections) = &mut resources.value
        && let Some((_, Node { value: Value::Map(members), .. })) =
            sections.iter_mut().find(|(key, _)| &*key.name == "Resources")
    {
        members.extend(defined.iter().map(|function| stand_in(&service.name, &service.stage, function)));
        members.extend(apis::stand_ins(resources.place, &service.stage, uses));
    }
    let before = draft.mark();
    let trial = draft.findings.trial();
    let findings = std::mem::replace(&mut draft.findings, trial);
    cloudformation::resources(draft, resources);
    let trial = std::mem::replace(&mut draft.findings, findings);
    match trial.finish() {
        Ok(warnings) => draft.findings.take_warnings(warnings),
        Err(errors) => {
            draft.return_to(before);
            let first = errors.into_iter().take(1).map(|error| Diagnostic { hint: None, ..error }).collect();
            let first = Diagnostics::in_files(draft.files.clone().into_names(), first).texts().concat();
            draft.findings.warning_with_hint(
                &resources.place,
                format!(
                    "the front ends in `resources` are ignored, since they depend on other parts of the stack ({first})"
                ),
                "`osls package` writes a complete template; use it with \
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
    let Some(members) = draft.findings.map("alb", alb) else { return };
    draft.findings.only("alb", members, &EVENT_KEYS);
    for name in ["priority", "conditions"] {
        if alb.get(name).is_none() {
            draft.findings.missing(&alb.place, alb, name);
        }
    }
    let findings = &mut draft.findings;
    let priority = alb.get("priority").and_then(|node| findings.number("priority", node, 1..=quota::MAX_PRIORITY));
    if let Some(priority) = priority {
        let part = findings.part().to_owned();
        findings.set_part(format!("{part}, priority {priority}"));
    }
    let conditions = alb.get("conditions").and_then(|node| conditions(findings, node));
    if let Some(authorizer) = alb.get("authorizer") {
        let hint = "`--lenient` ignores it: requests are then unauthenticated";
        findings.unless_lenient(&authorizer.place, "`authorizer` is not emulated", hint);
    }
    let is_multi = alb.get("multiValueHeaders").and_then(|node| findings.boolean("multiValueHeaders", node));
    let mode = if is_multi == Some(true) { HeaderMode::Multi } else { HeaderMode::Single };
    let check = alb.get("healthCheck").and_then(|node| findings.if_known("healthCheck", node));
    let check = check.and_then(|node| health_check(findings, node));
    let name = alb.get("targetGroupName").and_then(|node| findings.if_known("targetGroupName", node));
    let name = name.and_then(|node| findings.string("targetGroupName", node));
    let listener = listener(draft, service, alb);
    let group = group(draft, groups, Wanted { function, mode, name, check }, defined, &alb.place);
    if let (Some(priority), Some(conditions), Some(listener)) = (priority, conditions, listener) {
        quota::conditions(&mut draft.findings, &alb.place, &conditions);
        let listener = draft.listener(&listener, &alb.place);
        let (transforms, action) = (Transforms::default(), Action::forward_to(group));
        draft.add_rule(
            listener,
            Rule { priority, conditions, transforms, action, origin: draft.origin(&alb.place) },
            &alb.place,
        );
    }
}

/// Returns the ID of this event's listener.
fn listener(draft: &mut Draft<'_>, service: &Service, alb: &Node) -> Option<String> {
    let Some(node) = alb.get("listenerArn") else {
        draft.findings.warning(&alb.place, "`listenerArn` is missing, which the framework rejects");
        return Some("http".to_owned());
    };
    match &node.value {
        Value::Map(_) => {
            let nothing = Node::plain(node.place, "");
            let template = service.resources.as_ref().unwrap_or(&nothing);
            let evaluated = cloudformation::evaluate(template, draft, node)?;
            if node.get("Ref").is_none() && !matches!(evaluated.value, Value::Map(_)) {
                draft
                    .findings
                    .warning(&node.place, "`listenerArn` is a function other than `Ref`, which the framework rejects");
            }
            match (node.only_member(), draft.listeners.iter().any(|known| evaluated.as_text() == Some(&known.id))) {
                // The listener could not be read, or is another part of the stack.
                (Some(("Ref", name)), false) => draft.findings.string("Ref", name),
                _ => draft.findings.reference("listenerArn", &evaluated),
            }
        }
        _ => draft.findings.reference("listenerArn", node),
    }
}

/// The target group that an event describes.
struct Wanted {
    function: usize,
    mode: HeaderMode,
    name: Option<String>,
    check: Option<HealthCheck>,
}

/// Returns the index of the target group of a function and a header mode. The last event's settings apply.
fn group(draft: &mut Draft<'_>, groups: &mut Vec<Group>, wanted: Wanted, defined: &Defined, place: &Place) -> usize {
    let Wanted { function, mode, name, check } = wanted;
    let known = groups.iter().find(|group| (group.function, group.mode) == (function, mode)).map(|group| group.index);
    match known {
        Some(index) => {
            let Some(group) = draft.settings.target_groups.get_mut(index) else { return index };
            if group.health_check != check {
                let hint =
                    "a target group has one health check; repeat it in every event, for example with a YAML anchor";
                let message =
                    "the health check differs from that of an earlier event of this target group; the last one applies";
                draft.findings.warning_with_hint(place, message, hint);
                group.health_check = check;
            }
            if let Some(name) = name {
                group.name.clone_from(&name);
                draft.add_name(function, &name);
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

/// Reads `healthCheck`: `true`, `false`, or a map over the framework's defaults, which differ from ELBv2's.
fn health_check(findings: &mut Findings, node: &Node) -> Option<HealthCheck> {
    let mut check = HealthCheck { unhealthy_threshold: 5, ..HealthCheck::default() };
    if !matches!(node.value, Value::Map(_)) {
        return findings.boolean("healthCheck", node)?.then_some(check);
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
    findings.only("healthCheck", node.members(), &known);
    if node.get("enabled").is_some_and(|enabled| findings.boolean("enabled", enabled) == Some(false)) {
        return None;
    }
    let mut number = |name: &str, range| {
        let node = findings.if_known(name, node.get(name)?)?;
        findings.number(name, node, range)
    };
    let seconds = |number: u32| Duration::from_secs(number.into());
    check.interval = number("intervalSeconds", 5..=300).map_or(check.interval, seconds);
    check.timeout = number("timeoutSeconds", 2..=120).map_or(check.timeout, seconds);
    check.healthy_threshold = number("healthyThresholdCount", 2..=10).unwrap_or(check.healthy_threshold);
    check.unhealthy_threshold = number("unhealthyThresholdCount", 2..=10).unwrap_or(check.unhealthy_threshold);
    if let Some(path) = node.get("path").and_then(|path| findings.if_known("path", path)) {
        check.path = findings.string("path", path).unwrap_or(check.path);
    }
    if let Some(matcher) = node.get("matcher") {
        findings.only("matcher", matcher.members(), &["httpCode"]);
    }
    if let Some(codes) = node.at(&["matcher", "httpCode"]).and_then(|codes| findings.if_known("httpCode", codes))
        && let Some(text) = findings.string("httpCode", codes)
    {
        match Matcher::parse(&text) {
            Ok(matcher) => check.matcher = matcher,
            Err(problem) => findings.error(&codes.place, format!("`httpCode`: {problem}")),
        }
    }
    if check.timeout >= check.interval {
        findings.error(&node.place, "`timeoutSeconds` must be less than `intervalSeconds`");
    }
    Some(check)
}

fn conditions(findings: &mut Findings, node: &Node) -> Option<Vec<Condition>> {
    let members = findings.map("conditions", node)?;
    findings.only("conditions", members, &CONDITION_KEYS);
    let mut conditions = Vec::new();
    let mut are_all_good = members.iter().all(|(key, _)| CONDITION_KEYS.contains(&&*key.name));
    for (key, node) in members {
        if &*key.name == "header" {
            let headers = if node.items().is_empty() { std::slice::from_ref(node) } else { node.items() };
            for node in headers {
                let header = header(findings, node);
                are_all_good &= header.is_some();
                conditions.extend(header);
            }
            continue;
        }
        let made = match &*key.name {
            "query" => query(findings, node),
            "host" => findings.one_or_more("host", node).map(Condition::host),
            "path" => findings.one_or_more("path", node).map(Condition::path),
            "method" => findings.one_or_more("method", node).map(Condition::method),
            "ip" => findings.one_or_more("ip", node).map(Condition::ip),
            _ => continue,
        };
        let condition = made.and_then(|made| made.map_err(|error| findings.error(&node.place, error)).ok());
        are_all_good &= condition.is_some();
        conditions.extend(condition);
    }
    if members.is_empty() {
        findings.error(&node.place, "a rule needs at least one condition");
        return None;
    }
    are_all_good.then_some(conditions)
}

fn header(findings: &mut Findings, node: &Node) -> Option<Condition> {
    let members = findings.map("header", node)?;
    findings.only("header", members, &["name", "values"]);
    let (Some(name), Some(values)) = (node.get("name"), node.get("values")) else {
        findings.error(&node.place, "`header` needs `name` and `values`");
        return None;
    };
    let (name, values) = (findings.string("header", name)?, findings.one_or_more("header", values)?);
    Condition::header(&name, values).map_err(|error| findings.error(&node.place, error)).ok()
}

/// Reads `query`, whose keys are ORed although they look ANDed.
fn query(findings: &mut Findings, node: &Node) -> Option<Result<Condition, ConditionError>> {
    let members = findings.map("query", node)?;
    let mut pairs = Vec::new();
    for (key, value) in members {
        if let Value::List(_) = value.value {
            findings.warning(&value.place, "`query` has a list of values, which the framework rejects");
        }
        pairs
            .extend(findings.one_or_more("query", value)?.into_iter().map(|value| (Some(key.name.to_string()), value)));
    }
    if members.len() < 2 {
        return Some(Condition::query(pairs));
    }
    if let [first, second, ..] = &pairs[..] {
        let shown = |(key, value): &(Option<String>, String)| {
            format!("`{}={}`", excerpt(key.as_deref().unwrap_or_default()), excerpt(value))
        };
        let message = format!(
            "{} pairs in one `query` are ORed: {} OR {} matches, since the framework creates one condition for all of them",
            pairs.len(),
            shown(first),
            shown(second)
        );
        let hint = "an `alb` event cannot require both, and two events are two rules, which are ORed as well; define the rule \
                    under `resources` as an `AWS::ElasticLoadBalancingV2::ListenerRule` with two `query-string` conditions";
        findings.warning_with_hint(&node.place, message, hint);
    }
    Some(Condition::query(pairs))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Keys of the framework's schema that are not read here.
    #[test]
    fn keys_of_the_framework_are_not_taken_for_misspelt_ones() {
        let file = "app build configValidationMode custom deprecationNotificationMode disabledDeprecations frameworkVersion layers \
                    org outputs package plugins projectDir stages state unresolvedVariablesNotificationMode useDotenv \
                    variablesResolutionMode";
        let provider = "alb apiGateway apiKeys apiName architecture cfnRole cloudFront deploymentBucket deploymentMethod \
                        deploymentPrefix disableRollback ecr endpointType eventBridge httpApi iam iamManagedPolicies \
                        iamRoleStatements kmsKeyArn lambdaHashingVersion layers logRetentionInDays logs name notificationArns \
                        profile resolver resourcePolicy role rolePermissionsBoundary rollbackConfiguration runtimeManagement s3 \
                        snapStart stackName stackParameters stackPolicy stackTags tags tracing usagePlan versionFunctions vpc \
                        vpcEndpointIds websocket websocketsApiName";
        let function = "architecture awsKmsKeyArn build capacityProvider concurrencyAutoscaling condition dependsOn description \
                        destinations disableLogs ephemeralStorageSize fileSystemConfig iamRoleStatements image kmsKeyArn layers \
                        logDataProtectionPolicy logRetentionInDays logs maximumEventAge maximumRetryAttempts onError package \
                        provisionedConcurrency role runtimeManagement snapStart tags tracing url versionFunction vpc";
        let event = "activemq alexaSkill alexaSmartHome cloudFront cloudwatchEvent cloudwatchLog cognitoUserPool eventBridge http \
                     httpApi iot iotFleetProvisioning kafka msk rabbitmq s3 schedule sns sqs stream websocket";
        let known: [(&str, &[&str]); 4] =
            [(file, &FILE_KEYS), (provider, &PROVIDER_KEYS), (function, &FUNCTION_KEYS), (event, &EVENTS)];
        for (keys, known) in known {
            for key in keys.split_whitespace().filter(|key| !known.contains(key)) {
                assert_eq!(crossfade_document::did_you_mean(key, known), None, "{key}");
            }
        }
    }

    #[test]
    fn logical_ids_are_the_frameworks() {
        assert_eq!(logical_id("proxy"), "ProxyLambdaFunction");
        assert_eq!(logical_id("my-a_b"), "MyDashaUnderscorebLambdaFunction");
        assert_eq!(logical_id(""), "LambdaFunction");
    }
}
