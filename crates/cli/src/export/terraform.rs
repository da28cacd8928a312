//! Listener rules as Terraform (`aws_lb_listener_rule`). Target groups and the listener are variables.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use crossfade_document::misleads;

use super::elbv2::{AlbCondition, Kind, Values};
use super::{Rule, RuleAction};
use crate::terminal::printable;

pub(super) fn text(rules: &[Rule], groups: &BTreeMap<String, String>, about: &[String]) -> String {
    let mut text: String = about.iter().map(|line| format!("# {}\n", printable(line))).collect();
    let variable = |name: &str, description: &str| {
        format!("\nvariable \"{name}\" {{\n  type        = string\n  description = {}\n}}\n", string(description))
    };
    text += &variable("listener_arn", "Listener of the load balancer");
    if rules.iter().any(|rule| rule.action == RuleAction::Function) {
        text += &variable("function_target_group_arn", "Target group of the Crossfade function");
    }
    for (label, backend) in groups {
        text += &variable(&group(Some(label)), &format!("Target group of back end {backend}"));
    }
    for rule in rules {
        text += &format!(
            "\nresource \"aws_lb_listener_rule\" \"{}\" {{\n  listener_arn = var.listener_arn\n  priority     = {}\n",
            label(rule),
            rule.priority
        );
        text += &action(&rule.action);
        match rule.conditions.as_slice() {
            [] => text += &block("condition", 2, &block("path_pattern", 4, "      values = [\"/*\"]\n")),
            conditions => conditions.iter().for_each(|it| text += &condition(it)),
        }
        if let RuleAction::Forward { host: Some(host), .. } = &rule.action {
            let rewrite = format!("        regex   = \"^.*$\"\n        replace = {}\n", string(host));
            let config = block("host_header_rewrite_config", 4, &block("rewrite", 6, &rewrite));
            text += &block("transform", 2, &format!("    type = \"host-header-rewrite\"\n{config}"));
        }
        text += "}\n";
    }
    text
}

fn action(action: &RuleAction) -> String {
    let inner = match action {
        RuleAction::Function => {
            format!("    type             = \"forward\"\n    target_group_arn = var.{}\n", group(None))
        }
        RuleAction::Forward { backend, .. } => {
            format!("    type             = \"forward\"\n    target_group_arn = var.{}\n", group(Some(backend)))
        }
        RuleAction::Redirect { status, parts } => {
            let mut lines = vec![("status_code", format!("HTTP_{status}"))];
            let names = ["protocol", "host", "port", "path", "query"];
            lines.extend(names.into_iter().zip(parts).filter_map(|(name, value)| Some((name, value.clone()?))));
            format!("    type = \"redirect\"\n{}", block("redirect", 4, &assignments(&lines, 6)))
        }
        RuleAction::FixedResponse { status, content_type, body } => {
            // The provider requires it.
            let content_type = content_type.clone().unwrap_or_else(|| "text/plain".to_owned());
            let mut lines = vec![("content_type", content_type), ("status_code", status.to_string())];
            if !body.is_empty() {
                lines.push(("message_body", body.clone()));
            }
            format!("    type = \"fixed-response\"\n{}", block("fixed_response", 4, &assignments(&lines, 6)))
        }
    };
    block("action", 2, &inner)
}

fn condition(condition: &AlbCondition) -> String {
    let (name, mut lines) = match &condition.kind {
        Kind::Host => ("host_header", String::new()),
        Kind::Path => ("path_pattern", String::new()),
        Kind::Method => ("http_request_method", String::new()),
        Kind::Header(name) => ("http_header", format!("      http_header_name = {}\n", string(name))),
        Kind::Query => ("query_string", String::new()),
        Kind::Ip => ("source_ip", String::new()),
    };
    // `terraform fmt` aligns neighbours.
    let space = if lines.is_empty() { "" } else { "          " };
    let list = |values: &[String]| values.iter().map(|value| string(value)).collect::<Vec<_>>().join(", ");
    match &condition.values {
        Values::Globs(values) => lines += &format!("      values{space} = [{}]\n", list(values)),
        Values::Regexes(values) => {
            let space = space.get(6..).unwrap_or_default();
            lines += &format!("      regex_values{space} = [{}]\n", list(values));
        }
        Values::Pairs(pairs) => {
            let pair = |(key, value): &(Option<String>, String)| {
                let mut lines: Vec<(&str, String)> = key.iter().map(|key| ("key", key.clone())).collect();
                lines.push(("value", value.clone()));
                block(name, 4, &assignments(&lines, 6))
            };
            return block("condition", 2, &pairs.iter().map(pair).collect::<String>());
        }
    }
    block("condition", 2, &block(name, 4, &lines))
}

fn block(name: &str, indent: usize, inner: &str) -> String {
    let space = " ".repeat(indent);
    let line = if indent == 2 { "\n" } else { "" };
    format!("{line}{space}{name} {{\n{inner}{space}}}\n")
}

/// Aligned as `terraform fmt` does it.
fn assignments(lines: &[(&str, String)], indent: usize) -> String {
    let width = lines.iter().map(|(name, _)| name.len()).max().unwrap_or(0);
    let space = " ".repeat(indent);
    lines.iter().map(|(name, value)| format!("{space}{name:width$} = {}\n", string(value))).collect()
}

/// A string of HCL, without its templates. Its escapes are not all of JSON's
/// (<https://developer.hashicorp.com/terraform/language/expressions/strings>).
fn string(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted += "\\n",
            '\r' => quoted += "\\r",
            '\t' => quoted += "\\t",
            // A template begins with one of these twice to be none.
            '{' if quoted.ends_with(['$', '%']) => {
                quoted.extend(quoted.chars().next_back());
                quoted.push(c);
            }
            c if misleads(c) => _ = write!(quoted, "\\U{:08X}", u32::from(c)),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

fn group(backend: Option<&str>) -> String {
    match backend {
        Some(name) => format!("{}_target_group_arn", identifier(name)),
        None => "function_target_group_arn".to_owned(),
    }
}

fn label(rule: &Rule) -> String {
    format!("rule_{}_{}", rule.priority, identifier(&rule.route))
}

fn identifier(name: &str) -> String {
    let name: String =
        name.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' }).collect();
    if name.starts_with(|c: char| c.is_ascii_digit()) { format!("b_{name}") } else { name }
}
