//! References of a template to its parameters and resources: `Ref`, `Fn::GetAtt`, and the same within `Fn::Sub`. Owns the local
//! values of references to resources: names and ARNs made of logical IDs, with the account 000000000000. The functions around
//! them are `intrinsics`'.

use crossfade_document::{Place, did_you_mean};

use super::intrinsics::{Evaluated, Intrinsics};
use super::node::{Node, Unknown, Value, excerpt, option_for, without_dynamic_references};

/// The most unknown names that get a hint: each is compared with all names of the template.
const MAX_HINTS: usize = 100;

/// The account of all ARNs here, unless the user gives it.
pub(super) const ACCOUNT: &str = "000000000000";
pub(super) const ACCOUNT_ID: &str = "AWS::AccountId";
pub(super) const REGION: &str = "AWS::Region";

impl<'t> Intrinsics<'t> {
    /// Returns the value of `Ref` to a parameter, a resource or a pseudo parameter.
    pub(super) fn reference(&mut self, place: &Place, name: &str) -> Evaluated {
        let text = |text: &str| Ok(Some(Node::quoted(*place, text)));
        let declared = self.template.at(&["Parameters", name]);
        if let (Some(value), true) = (self.given(name), declared.is_some() || name.starts_with("AWS::")) {
            return parameter(place, declared, Node::quoted(*place, value));
        }
        let unknown = |why: String| {
            let hint = Some(format!("set it with `--param {name}=VALUE`"));
            Unknown { written: format!("!Ref {name}"), hint, ..Unknown::elsewhere(why) }
        };
        match name {
            "AWS::NoValue" => return Ok(None),
            REGION => return text(&self.region),
            "AWS::Partition" => return text("aws"),
            ACCOUNT_ID => return text(ACCOUNT),
            "AWS::URLSuffix" => return text("amazonaws.com"),
            _ if name.starts_with("AWS::") => {
                return Err(unknown(format!("only a deployed stack has `{}`", excerpt(name))));
            }
            _ => {}
        }
        let Some(declared) = declared else { return text(&self.resource(name)?) };
        let kind = declared.get("Type").and_then(Node::as_text).unwrap_or("String");
        // The default of such a one is the name in the parameter store.
        let is_in_store = kind.starts_with("AWS::SSM::");
        match declared.get("Default").filter(|_| !is_in_store) {
            Some(default) => {
                self.used_defaults.insert(name.to_owned());
                parameter(place, Some(declared), Node::quoted(*place, default.as_text().unwrap_or_default()))
            }
            None if is_in_store => Err(unknown(format!("the parameter `{name}` is in the parameter store"))),
            None => Err(unknown(format!("the parameter `{name}` has no default"))),
        }
    }

    /// Returns a parameter's value from the options.
    pub(super) fn given(&self, name: &str) -> Option<&'t str> {
        let given = self.options.parameters.iter().rev().find(|(parameter, _)| parameter == name);
        given.map(|(_, value)| value.as_str())
    }

    /// Returns the value of `Ref` to a resource.
    fn resource(&mut self, name: &str) -> Result<String, Unknown> {
        // SAM's references to the alias that it makes.
        if let Some((function, "Alias" | "Version")) = name.split_once('.') {
            return self.attribute(function, "Arn");
        }
        let Some(resource) = self.template.at(&["Resources", name]) else {
            let why = format!("there is no parameter or resource `{}`", excerpt(name));
            let unknown = self.no_such(why, name, &["Parameters", "Resources"]);
            return Err(Unknown { written: format!("!Ref {name}"), ..unknown });
        };
        let kind = resource.get("Type").and_then(Node::as_text).unwrap_or_default();
        let property = |name| resource.at(&["Properties", name]);
        match kind {
            "AWS::ElasticLoadBalancingV2::TargetGroup" => Ok(self.target_group_arn(name)),
            "AWS::ElasticLoadBalancingV2::LoadBalancer" => Ok(self.arn(&format!("loadbalancer/app/{name}/0"))),
            "AWS::ElasticLoadBalancingV2::Listener" => Ok(self.listener_arn(name)),
            "AWS::Lambda::Function" | "AWS::Serverless::Function" => {
                let own = property("FunctionName").and_then(|own| self.text(own).ok());
                let own = own.and_then(|own| without_dynamic_references(&own, &self.options.parameters).ok());
                Ok(own.unwrap_or_else(|| name.to_owned()))
            }
            "AWS::Lambda::Alias" | "AWS::Lambda::Version" => {
                let Some(function) = property("FunctionName") else {
                    return Err(Unknown::error(format!("`{name}` has no `FunctionName`")));
                };
                let function = self.text(function)?;
                let qualifier = match property("Name") {
                    Some(alias) if kind.ends_with("Alias") => self.text(alias)?,
                    _ => "1".to_owned(),
                };
                let arn = if function.starts_with("arn:") { function } else { self.function_arn(&function) };
                Ok(format!("{arn}:{qualifier}"))
            }
            _ => Err(only_in_aws(name, format!("!Ref {name}"))),
        }
    }

    /// Returns the value of `Fn::GetAtt`.
    pub(super) fn attribute(&mut self, resource: &str, attribute: &str) -> Result<String, Unknown> {
        let written = || format!("!GetAtt {resource}.{attribute}");
        let Some(kind) = self.template.at(&["Resources", resource, "Type"]).and_then(Node::as_text) else {
            let why = format!("there is no resource `{}`", excerpt(resource));
            return Err(Unknown { written: written(), ..self.no_such(why, resource, &["Resources"]) });
        };
        match (kind, attribute) {
            ("AWS::Lambda::Function" | "AWS::Serverless::Function", "Arn")
            | ("AWS::Serverless::Function", "Alias" | "Version") => {
                let name = self.resource(resource)?;
                Ok(self.function_arn(&name))
            }
            (_, "Arn" | "TargetGroupArn" | "ListenerArn" | "LoadBalancerArn" | "AliasArn" | "FunctionArn") => {
                self.resource(resource).map_err(|unknown| {
                    let hint = unknown.hint.map(|_| option_for(&written()));
                    Unknown { written: written(), hint, ..unknown }
                })
            }
            _ => Err(only_in_aws(resource, written())),
        }
    }

    fn account(&self) -> &str {
        self.given(ACCOUNT_ID).unwrap_or(ACCOUNT)
    }

    fn arn(&self, resource: &str) -> String {
        format!("arn:aws:elasticloadbalancing:{}:{}:{resource}", self.region, self.account())
    }

    pub(super) fn target_group_arn(&self, name: &str) -> String {
        self.arn(&format!("targetgroup/{name}/0"))
    }

    pub(super) fn listener_arn(&self, name: &str) -> String {
        self.arn(&format!("listener/app/local/0/{name}"))
    }

    fn function_arn(&self, name: &str) -> String {
        format!("arn:aws:lambda:{}:{}:function:{name}", self.region, self.account())
    }

    /// Returns why a text is not that of AWS, if it contains the account or region that is made up here.
    pub(super) fn guessed(&self, text: &str) -> Option<Unknown> {
        let is_guessed = self.is_region_guessed && self.given(REGION).is_none();
        let of_region = || Unknown {
            hint: Some("set it with `--region NAME`".to_owned()),
            ..Unknown::elsewhere("the region is unknown here")
        };
        self.guessed_account(text).or_else(|| (is_guessed && text.contains(&self.region)).then(of_region))
    }

    pub(super) fn guessed_account(&self, text: &str) -> Option<Unknown> {
        let is_guessed = text.contains(ACCOUNT) && self.given(ACCOUNT_ID).is_none();
        is_guessed.then(|| Unknown {
            hint: Some(format!("set it with `--param {ACCOUNT_ID}=VALUE`")),
            ..Unknown::elsewhere("the account is unknown here")
        })
    }

    /// Returns the error for a name that is not in these sections of the template.
    pub(super) fn no_such(&mut self, why: String, name: &str, sections: &[&str]) -> Unknown {
        let has_hints_left = self.hints < MAX_HINTS;
        self.hints += 1;
        let known = if has_hints_left { names(self.template, sections) } else { Vec::new() };
        let hint = did_you_mean(name, &known);
        // SAM's own names begin so, or extend that of a resource. Another name close to a known one is misspelt.
        let is_derived = name.starts_with("Serverless") || known.iter().any(|known| name.starts_with(known));
        if self.template.get("Transform").is_some() && sections.contains(&"Resources") && (is_derived || hint.is_none())
        {
            return Unknown::elsewhere(format!("{why}, unless the template's `Transform` adds it"));
        }
        Unknown { hint, ..Unknown::error(why) }
    }
}

/// Returns a parameter's value, split where its type is a list.
fn parameter(place: &Place, declared: Option<&Node>, value: Node) -> Evaluated {
    let kind = declared.and_then(|declared| declared.get("Type")).and_then(Node::as_text).unwrap_or_default();
    if kind != "CommaDelimitedList" && !kind.starts_with("List<") {
        return Ok(Some(value));
    }
    let items = value.as_text().unwrap_or_default().split(',');
    let items = items.map(|item| Node::quoted(*place, item.trim())).collect();
    Ok(Some(Node::new(*place, Value::List(items))))
}

fn only_in_aws(resource: &str, written: String) -> Unknown {
    let hint = Some(option_for(&written));
    Unknown { written, hint, ..Unknown::elsewhere(format!("the resource `{}` exists only in AWS", excerpt(resource))) }
}

/// The names in sections of a template.
pub(super) fn names<'t>(template: &'t Node, sections: &[&str]) -> Vec<&'t str> {
    let members = sections.iter().filter_map(|section| template.get(section)).flat_map(Node::members);
    members.map(|(key, _)| &*key.name).collect()
}
