//! CloudFormation and SAM templates: the resources that are read, and how they refer to one another. Owns no function
//! of the template language (`intrinsics`) and no shape of ELBv2 (`elbv2`).

use std::collections::BTreeMap;
use std::time::Duration;

use crossfade_document::{Place, did_you_mean};
use crossfade_event::HeaderMode;
use http::StatusCode;

use super::draft::{Draft, name_in_arn};
use super::intrinsics::Intrinsics;
use super::node::{Node, Unknown, Value, excerpt};
use super::references::names;
use super::{apis, elbv2, quota};
use crate::{Action, Function, Listener, Rule, Tls, Transforms};

const LOAD_BALANCER: &str = "AWS::ElasticLoadBalancingV2::LoadBalancer";
const LISTENER: &str = "AWS::ElasticLoadBalancingV2::Listener";
const RULE: &str = "AWS::ElasticLoadBalancingV2::ListenerRule";
const TARGET_GROUP: &str = "AWS::ElasticLoadBalancingV2::TargetGroup";
const FUNCTION: &str = "AWS::Lambda::Function";
const SAM_FUNCTION: &str = "AWS::Serverless::Function";

/// All properties of a load balancer, a listener and a target group (template reference).
const LOAD_BALANCER_KEYS: [&str; 14] = [
    "EnableCapacityReservationProvisionStabilize",
    "EnablePrefixForIpv6SourceNat",
    "EnforceSecurityGroupInboundRulesOnPrivateLinkTraffic",
    "IpAddressType",
    "Ipv4IpamPoolId",
    "LoadBalancerAttributes",
    "MinimumLoadBalancerCapacity",
    "Name",
    "Scheme",
    "SecurityGroups",
    "SubnetMappings",
    "Subnets",
    "Tags",
    "Type",
];
const LISTENER_KEYS: [&str; 9] = [
    "AlpnPolicy",
    "Certificates",
    "DefaultActions",
    "ListenerAttributes",
    "LoadBalancerArn",
    "MutualAuthentication",
    "Port",
    "Protocol",
    "SslPolicy",
];
const TARGET_GROUP_KEYS: [&str; 20] = [
    "HealthCheckEnabled",
    "HealthCheckIntervalSeconds",
    "HealthCheckPath",
    "HealthCheckPort",
    "HealthCheckProtocol",
    "HealthCheckTimeoutSeconds",
    "HealthyThresholdCount",
    "IpAddressType",
    "Matcher",
    "Name",
    "Port",
    "Protocol",
    "ProtocolVersion",
    "Tags",
    "TargetControlPort",
    "TargetGroupAttributes",
    "TargetType",
    "Targets",
    "UnhealthyThresholdCount",
    "VpcId",
];
/// The properties of a function that are read; no other one looks like any of them.
const FUNCTION_KEYS: [&str; 8] = [
    "CodeUri",
    "Environment",
    "FunctionName",
    "Handler",
    "MemorySize",
    "ReservedConcurrentExecutions",
    "Runtime",
    "Timeout",
];
/// The sections of a template.
const SECTIONS: [&str; 11] = [
    "AWSTemplateFormatVersion",
    "Conditions",
    "Description",
    "Globals",
    "Hooks",
    "Mappings",
    "Metadata",
    "Outputs",
    "Parameters",
    "Resources",
    "Rules",
];
/// The attributes of a resource (template reference, "Resource attributes").
const RESOURCE_KEYS: [&str; 10] = [
    "Condition",
    "Connectors",
    "CreationPolicy",
    "DeletionPolicy",
    "DependsOn",
    "Metadata",
    "Properties",
    "Type",
    "UpdatePolicy",
    "UpdateReplacePolicy",
];

/// Lambda's largest memory (developer guide, "Lambda quotas").
const MAX_MEMORY: u32 = 10_240;
/// The most concurrent environments: more than any account has.
const MAX_CONCURRENCY: usize = 100_000;

pub(super) fn read(draft: &mut Draft<'_>, document: Node) {
    if document.get("Resources").is_none() {
        let hint = "a template has `Resources`; use `--serverless` for a file of the Serverless Framework";
        draft.findings.error_with_hint(&document.place, "this is not a CloudFormation template", hint);
        return;
    }
    resources(draft, &document);
}

/// Returns whether a template has any resource of a load balancer or another front end.
pub(super) fn has_front_ends(template: &Node) -> bool {
    let kinds = [LOAD_BALANCER, LISTENER, RULE, TARGET_GROUP];
    let resources = template.get("Resources").map_or(&[][..], Node::members);
    let is_one = |kind: &str| kinds.contains(&kind) || apis::is_of_front_end(kind);
    resources.iter().any(|(_, resource)| resource.get("Type").and_then(Node::as_text).is_some_and(is_one))
}

/// Evaluates a function with the resources and parameters of this template.
pub(super) fn evaluate(template: &Node, draft: &Draft<'_>, function: &Node) -> Option<Node> {
    intrinsics_of(draft, template).evaluate(function)
}

fn intrinsics_of<'t>(draft: &Draft<'t>, template: &'t Node) -> Intrinsics<'t> {
    Intrinsics::new(template, draft.options, &draft.region, draft.knows_region)
}

/// A resource that is read.
pub(super) struct Resource {
    pub(super) id: String,
    pub(super) kind: String,
    pub(super) place: Place,
    pub(super) properties: Node,
    /// The folder with the code of a function, in templates that the CDK wrote.
    asset: Option<String>,
    /// As [`super::draft::DraftRule::assumption`].
    assumption: Option<String>,
}

/// Reads resources: functions first, since target groups refer to them, and so on down to the rules.
pub(super) fn resources(draft: &mut Draft<'_>, template: &Node) {
    let mut intrinsics = intrinsics_of(draft, template);
    unknown_parameters(draft, template);
    draft.findings.misspelt(template.members(), &SECTIONS);
    let Some(members) = template.get("Resources").and_then(|node| draft.findings.map("Resources", node)) else {
        return;
    };
    let kinds = [FUNCTION, SAM_FUNCTION, LOAD_BALANCER, TARGET_GROUP, LISTENER, RULE];
    let (mut found, mut not_emulated) = (Vec::new(), apis::NotEmulated::default());
    for (key, node) in members {
        if key.name.starts_with("Fn::") {
            draft.findings.warning(
                &key.place,
                format!("`{}` is not emulated, so the resources that it creates are missing", key.name),
            );
            continue;
        }
        let kind = node.get("Type").and_then(Node::as_text).unwrap_or_default();
        not_emulated.note(kind, &key.place, &key.name);
        if !kinds.contains(&kind) && !apis::KINDS.contains(&kind) {
            continue;
        }
        draft.findings.set_part(format!("`{}`", excerpt(&key.name)));
        let assumption = match exists(draft, &mut intrinsics, node) {
            Exists::Yes => None,
            Exists::No => continue,
            Exists::Assumed(condition) => Some(condition),
        };
        draft.findings.misspelt(node.members(), &RESOURCE_KEYS);
        let properties = node.get("Properties").and_then(|node| intrinsics.evaluate(node));
        let properties = properties.filter(|node| !node.is_null()).unwrap_or_else(|| empty_map(&node.place));
        if draft.findings.map("Properties", &properties).is_none() {
            continue;
        }
        let asset = node.at(&["Metadata", "aws:asset:path"]).and_then(Node::as_text).map(str::to_owned);
        found.push(Resource {
            id: key.name.to_string(),
            kind: kind.to_owned(),
            place: key.place,
            properties,
            asset,
            assumption,
        });
    }
    for kind in kinds {
        for resource in found.iter().filter(|resource| resource.kind == kind) {
            draft.findings.set_part(format!("`{}`", excerpt(&resource.id)));
            match kind {
                LOAD_BALANCER => load_balancer(draft, resource),
                TARGET_GROUP => target_group(draft, resource, &intrinsics),
                LISTENER => listener(draft, resource, &intrinsics),
                RULE => rule(draft, resource),
                _ => function(draft, resource, template, &mut intrinsics),
            }
        }
    }
    read_apis(draft, &found, &mut intrinsics);
    if !draft.listeners.is_empty() {
        not_emulated.say(draft);
    }
    for name in &intrinsics.used_defaults {
        if let Some(default) =
            template.at(&["Parameters", name, "Default"]).filter(|default| default.as_text().is_some())
        {
            draft.findings.set_part(format!("parameter `{}`", excerpt(name)));
            draft.findings.secret_string("Default", default);
        }
    }
    draft.findings.set_part("`Conditions`");
    for node in &intrinsics.surprising {
        draft.findings.string("Fn::Equals", node);
    }
    draft.findings.set_part("");
    let balancers: Vec<&Resource> = found.iter().filter(|resource| resource.kind == LOAD_BALANCER).collect();
    if let [_, second, ..] = balancers[..] {
        let message = "several load balancers: here every listener gets the attributes of all of them";
        draft.findings.warning(&second.place, message);
    }
}

/// Reads the front ends besides the load balancer, by the functions that are known already.
fn read_apis(draft: &mut Draft<'_>, found: &[Resource], intrinsics: &mut Intrinsics<'_>) {
    let mut known = BTreeMap::new();
    for (index, names) in draft.names.iter().enumerate() {
        known.extend(names.iter().map(|name| (name.as_str(), index)));
    }
    let functions = found.iter().filter(|resource| resource.kind == FUNCTION || resource.kind == SAM_FUNCTION);
    let functions =
        functions.filter_map(|resource| Some((resource.id.as_str(), *known.get(resource.id.as_str())?))).collect();
    apis::read(draft, found, functions, intrinsics);
}

/// Warns of parameters that the template does not have: a misspelt one would have no effect.
fn unknown_parameters(draft: &mut Draft<'_>, template: &Node) {
    for (name, _) in &draft.options.parameters {
        let is_expression = name.starts_with(['!', '{']);
        let is_known = is_expression || name.starts_with("AWS::") || template.at(&["Parameters", name]).is_some();
        // The format version is optional.
        let is_template =
            ["AWSTemplateFormatVersion", "Parameters", "Resources"].iter().any(|key| template.get(key).is_some());
        if !is_known && is_template {
            let message = format!("the template has no parameter `{}`", excerpt(name));
            match did_you_mean(name, &names(template, &["Parameters"])) {
                Some(hint) => draft.findings.warning_with_hint(&template.place, message, hint),
                None => draft.findings.warning(&template.place, message),
            }
        }
    }
}

/// The existence of a resource.
enum Exists {
    Yes,
    No,
    /// If this condition is true, which only AWS knows.
    Assumed(String),
}

/// Evaluates a resource's `Condition`.
fn exists(draft: &mut Draft<'_>, intrinsics: &mut Intrinsics<'_>, resource: &Node) -> Exists {
    let Some(condition) = resource.get("Condition") else { return Exists::Yes };
    let Some(name) = draft.findings.string("Condition", condition) else { return Exists::No };
    match intrinsics.condition(&name) {
        Ok(true) => Exists::Yes,
        Ok(false) => Exists::No,
        Err(unknown) if unknown.is_error => {
            let message = format!("condition `{}`: {}", excerpt(&name), unknown.why);
            match unknown.hint {
                Some(hint) => draft.findings.error_with_hint(&condition.place, message, hint),
                None => draft.findings.error(&condition.place, message),
            }
            Exists::No
        }
        Err(unknown) => {
            let (shown, why) = (excerpt(&name), unknown.why);
            let message = format!("condition `{shown}` cannot be evaluated ({why}) and is assumed to be true");
            draft.findings.warn_once(&condition.place, message, unknown.hint);
            Exists::Assumed(name)
        }
    }
}

fn empty_map(place: &Place) -> Node {
    Node::new(*place, Value::Map(Vec::new()))
}

fn function(draft: &mut Draft<'_>, resource: &Resource, template: &Node, intrinsics: &mut Intrinsics<'_>) {
    // A placeholder for a function of a `serverless.yml` is already known.
    if draft.names.iter().any(|names| names.contains(&resource.id)) {
        return;
    }
    let own = &resource.properties;
    draft.findings.misspelt(own.members(), &FUNCTION_KEYS);
    let globals = template.at(&["Globals", "Function"]).filter(|_| resource.kind == SAM_FUNCTION);
    let globals =
        globals.and_then(|globals| intrinsics.evaluate(globals)).unwrap_or_else(|| empty_map(&resource.place));
    let property = |name: &str| own.get(name).or_else(|| globals.get(name)).filter(|node| !node.is_null());
    say_left_out(draft, "names", property("FunctionName"));
    let mut text = |name: &str| {
        let node =
            property(name).filter(|node| name == "FunctionName" || draft.findings.if_known(name, node).is_some());
        node.and_then(Node::as_text).map(str::to_owned)
    };
    let name = text("FunctionName").unwrap_or_else(|| resource.id.clone());
    let mut function = Function::new(&name, Vec::new());
    function.directory = Some(draft.folder.clone());
    // SAM's name for the folder with the code, and what `aws cloudformation package` takes for one.
    let code = if resource.kind == SAM_FUNCTION { "CodeUri" } else { "Code" };
    let code = property(code).and_then(Node::as_text).map(str::to_owned).or_else(|| resource.asset.clone());
    if let Some(code) = code.map(|code| draft.folder.join(code)).filter(|code| code.is_dir()) {
        function.directory = Some(code);
    }
    function.runtime = text("Runtime");
    function.handler = text("Handler").unwrap_or(function.handler);
    limits(
        draft,
        &mut function,
        ["Timeout", "MemorySize", "ReservedConcurrentExecutions"].map(|it| (it, property(it))),
    );
    function.env = draft.region_variable();
    let mut left_out = Vec::new();
    for environment in [globals.get("Environment"), own.get("Environment")].into_iter().flatten() {
        let Some(environment) = draft.findings.if_known("Environment", environment) else { continue };
        draft.findings.only("Environment", environment.members(), &["Variables"]);
        let variables = environment.get("Variables");
        let variables = variables.and_then(|node| draft.findings.if_known("Variables", node));
        let Some(variables) = variables.and_then(|node| draft.findings.map("Variables", node)) else { continue };
        for (_, node) in variables {
            say_left_out(draft, "environment variables", Some(node));
        }
        elbv2::add_environment(&mut draft.findings, variables, &mut function.env, &mut left_out);
    }
    let index = draft.add_function(function, vec![resource.id.clone(), name]);
    draft.leave_out(index, left_out);
    // What templates of the Serverless Framework make of a function's key.
    if let Some(key) = resource.id.strip_suffix("LambdaFunction") {
        let mut characters = key.chars();
        let first = characters.next().map(|first| first.to_ascii_lowercase());
        draft.add_name(index, &first.into_iter().chain(characters).collect::<String>());
    }
}

/// Returns the value that only AWS knows.
fn unknown_of(node: &Node) -> Option<&Unknown> {
    match &node.value {
        Value::Unknown(unknown) if !unknown.is_error => Some(unknown),
        _ => None,
    }
}

/// Says that values which do not matter are left out, if an option can set what is missing: once per cause, not for each
/// value. `crossfade dev` lists the environment variables.
fn say_left_out(draft: &mut Draft<'_>, what: &str, node: Option<&Node>) {
    let unknown = node.and_then(|node| Some((node.place, unknown_of(node)?)));
    // Those for a single value would be too many.
    let is_option = |hint: &String| hint.starts_with("set it with") && !hint.contains('\'');
    if let Some((place, Unknown { why, hint: Some(hint), .. })) =
        unknown.filter(|(_, it)| it.hint.as_ref().is_some_and(is_option))
    {
        let message = format!("{what} are left out: {why}");
        draft.findings.warn_once(&place, message, Some(hint.clone()));
    }
}

/// Reads timeout (seconds), memory (MiB) and reserved concurrency, each given with its name in the file.
pub(super) fn limits(draft: &mut Draft<'_>, function: &mut Function, given: [(&'static str, Option<&Node>); 3]) {
    let findings = &mut draft.findings;
    let [(timeout, seconds), (memory, mebibytes), (concurrency, reserved)] =
        given.map(|(name, node)| (name, node.and_then(|node| findings.if_known(name, node))));
    if let Some(node) = seconds
        && let Some(seconds) = findings.number(timeout, node, 1..=Function::MAX_TIMEOUT.as_secs())
    {
        function.timeout = Duration::from_secs(seconds);
        if function.timeout > Function::FORMER_MAX_TIMEOUT {
            let former = Function::FORMER_MAX_TIMEOUT.as_secs();
            let message =
                format!("`{timeout}` is {seconds}; Lambda's API allows more than {former} s since November 2026");
            findings.warning_with_hint(&node.place, message, "older tools may reject it");
        }
    }
    if let Some(mebibytes) = mebibytes.and_then(|node| findings.number(memory, node, 128..=MAX_MEMORY)) {
        function.memory_mib = mebibytes;
    }
    if let Some(reserved) = reserved.and_then(|node| findings.number(concurrency, node, 0..=MAX_CONCURRENCY)) {
        function.max_concurrency = reserved;
        function.reserved_by = Some(concurrency);
    }
}

fn load_balancer(draft: &mut Draft<'_>, resource: &Resource) {
    draft.findings.misspelt(resource.properties.members(), &LOAD_BALANCER_KEYS);
    if let Some(attributes) = resource.properties.get("LoadBalancerAttributes") {
        elbv2::load_balancer_attributes(&mut draft.findings, attributes, &mut draft.settings.load_balancer);
    }
}

fn target_group(draft: &mut Draft<'_>, resource: &Resource, intrinsics: &Intrinsics<'_>) {
    let properties = &resource.properties;
    draft.findings.misspelt(properties.members(), &TARGET_GROUP_KEYS);
    let id = intrinsics.target_group_arn(&resource.id);
    // Nothing here depends on the name of a target group, and that of a stack is the usual one.
    let of_stack = |node: &&Node| unknown_of(node).is_some_and(|unknown| unknown.written.contains("AWS::StackName"));
    say_left_out(draft, "names", properties.get("Name").filter(|name| !of_stack(name)));
    let name = properties.get("Name").and_then(Node::as_text).unwrap_or(&resource.id).to_owned();
    let kind = match properties.get("TargetType") {
        // Of the other kinds, each needs a port.
        Some(kind) if unknown_of(kind).is_some() && properties.get("Port").is_none() => "lambda",
        kind => kind.and_then(Node::as_text).unwrap_or("instance"),
    };
    let mut function = None;
    if kind == "lambda" {
        let targets = properties.get("Targets").and_then(|targets| draft.findings.if_known("Targets", targets));
        function = Some(match targets.map(|targets| draft.findings.list("Targets", targets)) {
            Some(Some([target])) if unknown_of(target).is_some() => draft.function(&id, &name),
            Some(Some([target])) => {
                draft.findings.only("Targets", target.members(), &["Id", "Port", "AvailabilityZone", "QuicServerId"]);
                match target.get("Id") {
                    Some(id) => target_function(draft, id, &name),
                    None => return draft.findings.missing(&target.place, target, "Id"),
                }
            }
            Some(Some(targets)) if targets.len() > 1 => {
                return draft.findings.error(&resource.place, "a Lambda target group has at most one target");
            }
            // Registered from elsewhere.
            _ => draft.function(&id, &name),
        });
    } else {
        let message = format!("the targets of `{}` are not functions (`TargetType` is `{}`)", name, excerpt(kind));
        draft.findings.warning_with_hint(&resource.place, message, "requests to it get 503 here");
    }
    let mut group = draft.new_group(&name, HeaderMode::Single, function);
    if kind == "lambda" {
        if let Some(attributes) = properties.get("TargetGroupAttributes") {
            elbv2::target_group_attributes(&mut draft.findings, attributes, &mut group);
        }
        group.health_check = elbv2::health_check(&mut draft.findings, properties);
    }
    if let Some(function) = group.function {
        draft.add_name(function, &resource.id);
    }
    draft.add_group(&id, group);
}

/// Returns the index of the function that a target's `Id` names, with or without an alias or version.
fn target_function(draft: &mut Draft<'_>, id: &Node, group: &str) -> usize {
    match unknown_of(id) {
        Some(unknown) => draft.function(&unknown.written, group),
        None => match draft.findings.string("Id", id) {
            Some(text) => function_named(draft, &text),
            None => draft.function(group, group),
        },
    }
}

/// Returns the index of a function by ARN or name. The account and region of one that the file defines may be unknown, so
/// its name decides.
pub(super) fn function_named(draft: &mut Draft<'_>, text: &str) -> usize {
    let name = name_in_arn(text);
    let name = name.split(':').next().unwrap_or_default();
    let is_defined = |index: &usize| !draft.function_ids.values().any(|known| known == index);
    let mut of_the_name = draft.settings.functions.iter().zip(0..).filter(|(function, _)| function.name == name);
    match of_the_name.find_map(|(_, index)| Some(index).filter(is_defined)) {
        Some(index) => index,
        None => draft.function(unqualified(text), name),
    }
}

/// The ARN of a function without its alias or version.
fn unqualified(arn: &str) -> &str {
    match arn.match_indices(':').nth(6) {
        Some((end, _)) if arn.starts_with("arn:") => arn.get(..end).unwrap_or(arn),
        _ => arn,
    }
}

fn listener(draft: &mut Draft<'_>, resource: &Resource, intrinsics: &Intrinsics<'_>) {
    let properties = &resource.properties;
    draft.findings.misspelt(properties.members(), &LISTENER_KEYS);
    let has_certificate = properties.get("Certificates").is_some_and(|certificates| !certificates.is_null());
    let protocol = properties.get("Protocol").and_then(|protocol| draft.findings.if_known("Protocol", protocol));
    let protocol =
        protocol.and_then(Node::as_text).unwrap_or(if has_certificate { "HTTPS" } else { "HTTP" }).to_owned();
    if !matches!(protocol.as_str(), "HTTP" | "HTTPS") {
        let message = format!(
            "ignored: its protocol is `{}`, which Application Load Balancers do not support",
            excerpt(&protocol)
        );
        return draft.findings.warning(&resource.place, message);
    }
    let default_action = match properties.get("DefaultActions") {
        Some(actions) => elbv2::actions(draft, "DefaultActions", actions),
        None => {
            draft.findings.missing(&resource.place, properties, "DefaultActions");
            None
        }
    };
    let mut listener = Listener::http(default_action.unwrap_or_else(|| Action::status(StatusCode::NOT_FOUND)));
    listener.name.clone_from(&resource.id);
    let port = properties.get("Port").and_then(|port| draft.findings.if_known("Port", port));
    listener.port = port.and_then(|port| draft.findings.number("Port", port, 1..=u16::MAX));
    if protocol == "HTTPS" {
        let mutual = properties.get("MutualAuthentication");
        let mutual = mutual.map(|mutual| elbv2::mutual_authentication(&mut draft.findings, mutual));
        listener.tls = Some(Tls { mutual: mutual.unwrap_or_default(), ..Tls::default() });
    }
    if let Some(attributes) = properties.get("ListenerAttributes") {
        elbv2::listener_attributes(&mut draft.findings, attributes, &mut listener.attributes);
    }
    let id = intrinsics.listener_arn(&resource.id);
    draft.add_listener(&id, listener, &resource.place);
}

fn rule(draft: &mut Draft<'_>, resource: &Resource) {
    let properties = &resource.properties;
    let known = ["ListenerArn", "Priority", "Conditions", "Actions", "Transforms", "Tags"];
    draft.findings.only("Properties", properties.members(), &known);
    for name in ["ListenerArn", "Priority", "Conditions", "Actions"] {
        if properties.get(name).is_none() {
            draft.findings.missing(&resource.place, properties, name);
        }
    }
    let priority = properties.get("Priority").and_then(|node| elbv2::priority(&mut draft.findings, node));
    if let Some(priority) = priority {
        draft.findings.set_part(format!("`{}`, priority {priority}", excerpt(&resource.id)));
    }
    let listener = properties.get("ListenerArn").and_then(|node| draft.findings.reference("ListenerArn", node));
    let read = rule_parts(draft, properties);
    if let (Some(priority), Some(listener), Some((conditions, transforms, action))) = (priority, listener, read) {
        quota::conditions(&mut draft.findings, &resource.place, &conditions);
        let origin = draft.origin(&resource.place);
        let listener = draft.listener(&listener, &resource.place);
        draft.add_rule(listener, Rule { priority, conditions, transforms, action, origin }, &resource.place);
        let added = draft.listeners.get_mut(listener).and_then(|listener| listener.rules.last_mut());
        if let Some(added) = added {
            added.assumption.clone_from(&resource.assumption);
        }
    }
}

type Parts = (Vec<crossfade_rule::Condition>, Transforms, Action);

/// Reads all three parts of a rule, so that the errors of each are reported.
pub(super) fn rule_parts(draft: &mut Draft<'_>, rule: &Node) -> Option<Parts> {
    let conditions = rule.get("Conditions").and_then(|node| elbv2::conditions(&mut draft.findings, node));
    let transforms = match rule.get("Transforms").filter(|node| !node.is_null()) {
        Some(node) => elbv2::transforms(&mut draft.findings, node),
        None => Some(Transforms::default()),
    };
    let action = rule.get("Actions").and_then(|node| elbv2::actions(draft, "Actions", node));
    Some((conditions?, transforms?, action?))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Properties of functions in templates that are not read here (template reference, both kinds).
    #[test]
    fn properties_of_functions_are_not_taken_for_misspelt_ones() {
        let keys = "Architectures AssumeRolePolicyDocument AutoPublishAlias AutoPublishAliasAllProperties AutoPublishCodeSha256 \
                    CapacityProviderConfig Code CodeSigningConfigArn DeadLetterConfig DeadLetterQueue DeploymentPreference \
                    Description DurableConfig EphemeralStorage EventInvokeConfig Events FileSystemConfigs FunctionScalingConfig \
                    FunctionUrlConfig ImageConfig ImageUri InlineCode KmsKeyArn Layers LoggingConfig PackageType \
                    PermissionsBoundary Policies PropagateTags ProvisionedConcurrencyConfig PublishToLatestPublished \
                    RecursiveLoop Role RolePath RuntimeManagementConfig SnapStart SourceKMSKeyArn Tags TenancyConfig Tracing \
                    TracingConfig VersionDeletionPolicy VersionDescription VpcConfig";
        for key in keys.split_whitespace() {
            assert_eq!(did_you_mean(key, &FUNCTION_KEYS), None, "{key}");
        }
        for key in ["Transform", "IgnoreGlobals"] {
            assert_eq!(did_you_mean(key, &SECTIONS), None, "{key}");
            assert_eq!(did_you_mean(key, &RESOURCE_KEYS), None, "{key}");
        }
    }
}
