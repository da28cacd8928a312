//! Listener rules as a CloudFormation template in JSON. Target groups and the listener are parameters.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};

use super::{Rule, elbv2, identifier};
use crate::terminal::printable_json;

pub(super) fn text(rules: &[Rule], groups: &BTreeMap<String, String>, about: &[String]) -> String {
    let mut parameters = Map::new();
    let arn = |description: &str| json!({ "Type": "String", "Description": description });
    parameters.insert("ListenerArn".to_owned(), arn("Listener of the load balancer"));
    if rules.iter().any(|rule| rule.action == super::RuleAction::Function) {
        parameters.insert("FunctionTargetGroupArn".to_owned(), arn("Target group of the Crossfade function"));
    }
    for (label, backend) in groups {
        parameters.insert(parameter(label), arn(&format!("Target group of back end {backend}")));
    }
    let group = |backend: Option<&str>| match backend {
        Some(name) => json!({ "Ref": parameter(name) }),
        None => json!({ "Ref": "FunctionTargetGroupArn" }),
    };
    let mut resources = Map::new();
    for rule in rules {
        let mut properties = json!({
            "ListenerArn": { "Ref": "ListenerArn" },
            "Priority": rule.priority,
            "Conditions": elbv2::conditions(&rule.conditions),
            "Actions": elbv2::actions(&rule.action, &group),
        });
        if let Some(transforms) = elbv2::transforms(&rule.action) {
            properties["Transforms"] = transforms;
        }
        let resource = json!({ "Type": "AWS::ElasticLoadBalancingV2::ListenerRule", "Properties": properties });
        resources.insert(format!("Rule{}{}", rule.priority, identifier(&rule.route)), resource);
    }
    let template: Value = json!({
        "AWSTemplateFormatVersion": "2010-09-09",
        "Description": about.first(),
        "Metadata": { "Crossfade": about },
        "Parameters": parameters,
        "Resources": resources,
    });
    printable_json(&serde_json::to_string_pretty(&template).unwrap_or_default()) + "\n"
}

fn parameter(backend: &str) -> String {
    format!("{}TargetGroupArn", identifier(backend))
}
