//! Listener rules as commands of the AWS CLI, in a shell script. ARNs are variables of the environment.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use serde_json::json;

use super::{Rule, RuleAction, elbv2};
use crate::terminal::{printable, printable_json};

pub(super) fn text(rules: &[Rule], groups: &BTreeMap<String, String>, about: &[String]) -> String {
    let mut text = "#!/bin/sh\n".to_owned();
    about.iter().for_each(|line| text += &format!("# {}\n", printable(line)));
    text += "set -eu\n: \"${LISTENER_ARN:?the ARN of the listener}\"\n";
    if rules.iter().any(|rule| rule.action == RuleAction::Function) {
        text += ": \"${FUNCTION_TARGET_GROUP_ARN:?the ARN of the target group of the Crossfade function}\"\n";
    }
    for (label, backend) in groups {
        let _ = writeln!(text, ": \"${{{}:?the ARN of the target group of back end {backend}}}\"", variable(label));
    }
    for rule in rules {
        // The only part that is not literal is put between the quotes.
        let placeholder = |backend: Option<&str>| {
            json!(format!("\u{1}{}\u{1}", backend.map_or_else(|| "FUNCTION_TARGET_GROUP_ARN".to_owned(), variable)))
        };
        let actions = quoted(&elbv2::actions(&rule.action, &placeholder).to_string());
        let conditions = quoted(&elbv2::conditions(&rule.conditions).to_string());
        let _ = write!(
            text,
            "\n# {}\naws elbv2 create-rule --listener-arn \"$LISTENER_ARN\" --priority {} \\\n  --conditions {conditions} \\\n  --actions {actions}",
            printable(&rule.route),
            rule.priority
        );
        if let Some(transforms) = elbv2::transforms(&rule.action) {
            let _ = write!(text, " \\\n  --transforms {}", quoted(&transforms.to_string()));
        }
        text += "\n";
    }
    text
}

fn variable(backend: &str) -> String {
    let name: String =
        backend.chars().map(|c| if c.is_ascii_alphanumeric() { c.to_ascii_uppercase() } else { '_' }).collect();
    let name = if name.starts_with(|c: char| c.is_ascii_digit()) { format!("B_{name}") } else { name };
    format!("{name}_TARGET_GROUP_ARN")
}

/// JSON in single quotes, except for variables between `\u{1}`, which JSON escapes.
fn quoted(text: &str) -> String {
    let text = printable_json(text);
    let mut out = String::from("'");
    for (index, piece) in text.split("\\u0001").enumerate() {
        let is_name = piece.bytes().all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit() || byte == b'_');
        match index % 2 {
            1 if is_name => out += &format!("'\"${piece}\"'"),
            _ => out += &piece.replace('\'', "'\\''"),
        }
    }
    out + "'"
}
