//! The effective rules as text: listeners, rules by priority, target groups, functions, and attributes that are not at
//! their defaults. Owns wording and layout only.

use std::fmt::Write;

use crossfade_event::HeaderMode;

use crate::{
    Action, BasePath, Endpoint, FixedResponse, Forward, Function, HealthCheck, Listener, LoadBalancerAttributes,
    MutualAuthentication, Redirect, Rule, Settings, TargetGroup, Transforms,
};

/// Returns the whole table.
#[must_use]
pub fn table(settings: &Settings) -> String {
    let mut text = String::new();
    for listener in &settings.listeners {
        let _ = writeln!(text, "listener {}{}", listener.name, in_brackets(&listener_facts(listener)));
        if let Some(endpoint) = &listener.endpoint {
            routes(&mut text, settings, endpoint);
            continue;
        }
        let mut rules: Vec<&Rule> = listener.rules.iter().collect();
        rules.sort_by_key(|rule| rule.priority);
        for rule in rules {
            let conditions: Vec<String> = rule.conditions.iter().map(ToString::to_string).collect();
            let _ = writeln!(text, "  {:<8} {}", rule.priority, conditions.join(" and "));
            for transform in transforms_text(&rule.transforms) {
                let _ = writeln!(text, "           {transform}");
            }
            let _ = writeln!(text, "           {}", action_text(settings, &rule.action));
            if !rule.origin.is_empty() {
                let _ = writeln!(text, "           at {}", rule.origin);
            }
        }
        let _ = writeln!(text, "  default  {}", action_text(settings, &listener.default_action));
        let _ = writeln!(text);
    }
    if !settings.target_groups.is_empty() {
        let _ = writeln!(text, "target groups");
        for group in &settings.target_groups {
            let _ = writeln!(text, "  {}: {}", group.name, group_facts(settings, group));
        }
        let _ = writeln!(text);
    }
    if !settings.functions.is_empty() {
        let _ = writeln!(text, "functions");
        for function in &settings.functions {
            let mut facts = vec![format!("handler {}", function.handler)];
            facts.extend(function.runtime.clone());
            facts.push(format!("{} MiB", function.memory_mib));
            facts.push(format!("{} s", function.timeout.as_secs_f64()));
            facts.push(concurrency_text(function));
            // Values may be secrets.
            let names: Vec<&str> = function.env.iter().map(|(name, _)| name.as_str()).collect();
            if !names.is_empty() {
                facts.push(format!("environment {}", names.join(" ")));
            }
            let _ = writeln!(text, "  {}: {}", function.name, facts.join(", "));
        }
    }
    let attributes = changed_attributes(settings);
    if !attributes.is_empty() {
        let _ = writeln!(text, "\nattributes that are not at their default");
        for attribute in attributes {
            let _ = writeln!(text, "  {attribute}");
        }
    }
    text
}

fn routes(text: &mut String, settings: &Settings, endpoint: &Endpoint) {
    for route in &endpoint.routes {
        let function = settings.functions.get(route.function).map_or("nothing", |function| &function.name);
        let streams = if route.streamed { ", streams responses" } else { "" };
        let _ = writeln!(text, "  {:<8} {}", route.method, route.path);
        let _ = writeln!(text, "           forward to {function}{streams}");
        if !route.origin.is_empty() {
            let _ = writeln!(text, "           at {}", route.origin);
        }
    }
    let _ = writeln!(text);
}

fn in_brackets(facts: &[String]) -> String {
    if facts.is_empty() { String::new() } else { format!(" ({})", facts.join(", ")) }
}

fn listener_facts(listener: &Listener) -> Vec<String> {
    let mut facts = Vec::new();
    if let Some(endpoint) = &listener.endpoint {
        facts.push(endpoint.kind.name().to_owned());
        match &endpoint.base {
            BasePath::Root => {}
            BasePath::Stage => facts.push(format!("paths begin with /{}", endpoint.stage)),
            BasePath::Mapping(base) => facts.push(format!("paths begin with /{base}")),
        }
        if let Some(cors) = &endpoint.cors {
            facts.push(format!("CORS for {}", cors.allow_origins.join(" ")));
        }
        return facts;
    }
    let protocol = if listener.tls.is_some() { "HTTPS" } else { "HTTP" };
    match listener.port {
        Some(port) => facts.push(format!("{protocol}, port {port} in AWS")),
        None => facts.push(protocol.to_owned()),
    }
    match listener.tls.as_ref().map(|tls| &tls.mutual) {
        Some(MutualAuthentication::Passthrough) => facts.push("client certificates passed through".to_owned()),
        Some(MutualAuthentication::Verify { .. }) => facts.push("client certificates verified".to_owned()),
        Some(MutualAuthentication::Off) | None => {}
    }
    facts
}

fn group_facts(settings: &Settings, group: &TargetGroup) -> String {
    let function = group.function.and_then(|index| settings.functions.get(index));
    let target = match function {
        Some(function) => format!("function {}", function.name),
        None => "no target, so 503".to_owned(),
    };
    let mode = match group.mode {
        HeaderMode::Multi => "multi-value headers",
        HeaderMode::Single => "single-value headers",
    };
    let check = match &group.health_check {
        Some(check) => check_text(check),
        None => "no health check".to_owned(),
    };
    format!("{target}, {mode}, {check}")
}

fn check_text(check: &HealthCheck) -> String {
    let HealthCheck { path, interval, timeout, healthy_threshold, unhealthy_threshold, matcher } = check;
    let (interval, timeout) = (interval.as_secs(), timeout.as_secs());
    format!(
        "health check {path} every {interval} s, at most {timeout} s, {matcher} is healthy, \
         up after {healthy_threshold}, down after {unhealthy_threshold}"
    )
}

/// Describes the environments of a function and what happens to requests beyond them, such as `10 environments (further
/// requests wait)`.
#[must_use]
pub fn concurrency_text(function: &Function) -> String {
    let environments = match function.max_concurrency {
        1 => "1 environment".to_owned(),
        count => format!("{count} environments"),
    };
    match function.reserved_by {
        Some(setting) => format!("{environments} (further requests are throttled: {setting})"),
        None => format!("{environments} (further requests wait)"),
    }
}

/// Describes an action on one line.
#[must_use]
pub fn action_text(settings: &Settings, action: &Action) -> String {
    match action {
        Action::Forward(Forward { targets, stickiness }) => {
            let name =
                |index: usize| settings.target_groups.get(index).map_or("?".to_owned(), |it| group_name(settings, it));
            let mut text = match &targets[..] {
                [target] => format!("forward to {}", name(target.group)),
                _ => {
                    let targets =
                        targets.iter().map(|target| format!("{} (weight {})", name(target.group), target.weight));
                    format!("forward to {}", targets.collect::<Vec<_>>().join(" or "))
                }
            };
            if let Some(duration) = stickiness {
                let _ = write!(text, ", sticky for {} s", duration.as_secs());
            }
            text
        }
        Action::Redirect(Redirect { protocol, host, port, path, query, status }) => {
            let query = if query.is_empty() { String::new() } else { format!("?{query}") };
            format!("redirect {} to {protocol}://{host}:{port}{path}{query}", status.as_u16())
        }
        Action::FixedResponse(FixedResponse { status, content_type, body }) => {
            let mut text = format!("fixed response {}", status.as_u16());
            if let Some(kind) = content_type {
                let _ = write!(text, ", {kind}");
            }
            if !body.is_empty() {
                let _ = write!(text, ", {} characters", body.chars().count());
            }
            text
        }
    }
}

/// Returns a target group's name, with its function's unless that contains it: some tools generate names.
fn group_name(settings: &Settings, group: &TargetGroup) -> String {
    match group.function.and_then(|index| settings.functions.get(index)) {
        Some(function) if !function.name.contains(&group.name) => format!("{} [{}]", group.name, function.name),
        _ => group.name.clone(),
    }
}

/// Returns one line for each transform.
#[must_use]
pub fn transforms_text(transforms: &Transforms) -> Vec<String> {
    let rewrites = [("rewrite of the host", &transforms.host), ("rewrite of the URL", &transforms.url)];
    let text = |(what, rewrite): (&str, &Option<crossfade_rule::Rewrite>)| {
        rewrite.as_ref().map(|rewrite| format!("{what}: {} -> {}", rewrite.regex(), rewrite.replace()))
    };
    rewrites.into_iter().filter_map(text).collect()
}

/// Returns the attributes that differ from their defaults, by their keys in the ELBv2 API.
fn changed_attributes(settings: &Settings) -> Vec<String> {
    let facts = |attributes: &LoadBalancerAttributes| {
        let LoadBalancerAttributes {
            idle_timeout,
            client_keep_alive,
            preserve_host_header,
            drop_invalid_header_fields,
            desync_mitigation,
            forwarded_for,
            forwarded_for_port,
            tls_fields,
            key_exchange_field,
            http2,
        } = attributes;
        [
            format!("idle_timeout.timeout_seconds = {}", idle_timeout.as_secs()),
            format!("client_keep_alive.seconds = {}", client_keep_alive.as_secs()),
            format!("routing.http.preserve_host_header.enabled = {preserve_host_header}"),
            format!("routing.http.drop_invalid_header_fields.enabled = {drop_invalid_header_fields}"),
            format!("routing.http.desync_mitigation_mode = {desync_mitigation:?}").to_lowercase(),
            format!("routing.http.xff_header_processing.mode = {forwarded_for:?}").to_lowercase(),
            format!("routing.http.xff_client_port.enabled = {forwarded_for_port}"),
            format!("routing.http.x_amzn_tls_version_and_cipher_suite.enabled = {tls_fields}"),
            format!("routing.http.x_amzn_tls_kx.enabled = {key_exchange_field}"),
            format!("routing.http2.enabled = {http2}"),
        ]
    };
    let defaults = facts(&LoadBalancerAttributes::default());
    let mut changed: Vec<String> = facts(&settings.load_balancer)
        .into_iter()
        .zip(defaults)
        .filter(|(own, default)| own != default)
        .map(|it| it.0)
        .collect();
    for Listener { name, attributes, .. } in &settings.listeners {
        if !attributes.server_field {
            changed.push(format!("listener {name}: no field `server`"));
        }
        let shown = attributes
            .response_fields
            .iter()
            .map(|(field, value)| format!("{field}: {}", value.to_str().unwrap_or("...")));
        changed.extend(shown.map(|field| format!("listener {name}: answers have `{field}`")));
        let renamed = attributes.request_names.iter();
        changed.extend(renamed.map(|(own, new)| format!("listener {name}: `{own}` is called `{new}`")));
    }
    changed
}
