//! CloudFormation's intrinsic functions, evaluated as far as no AWS is needed (template reference, "Intrinsic function
//! reference" and "Pseudo parameters"). Owns the local values of references to resources: names and ARNs made of
//! logical ids, with the account 000000000000. What only AWS knows becomes [`Value::Unknown`].

use crossfade_document::{Place, did_you_mean};

use super::draft::Options;
use super::node::{Node, Unknown, Value, excerpt};

/// Functions, references and conditions within one another, and levels of the tree: few enough for the smallest stack.
const MAX_NESTING: usize = 100;
/// The most nodes evaluated for one file.
const MAX_STEPS: usize = 1_000_000;
/// The most text that functions may produce, in bytes.
const MAX_GROWN: usize = 1024 * 1024;

/// The most unknown names that get a hint: each is compared with all names of the template.
const MAX_HINTS: usize = 100;

/// The account of all ARNs here.
pub(super) const ACCOUNT: &str = "000000000000";

/// The functions that are evaluated here.
const FUNCTIONS: [&str; 8] =
    ["Ref", "Fn::GetAtt", "Fn::Sub", "Fn::Join", "Fn::Split", "Fn::Select", "Fn::If", "Fn::FindInMap"];

/// Evaluates the functions of one template.
pub(super) struct Intrinsics<'t> {
    template: &'t Node,
    options: &'t Options,
    region: String,
    nesting: usize,
    steps: usize,
    grown: usize,
    hints: usize,
}

type Evaluated = Result<Option<Node>, Unknown>;

impl<'t> Intrinsics<'t> {
    pub(super) fn new(template: &'t Node, options: &'t Options, region: &str) -> Self {
        Intrinsics { template, options, region: region.to_owned(), nesting: 0, steps: 0, grown: 0, hints: 0 }
    }

    pub(super) fn region(&self) -> &str {
        &self.region
    }

    /// Returns the same tree with all functions evaluated. `AWS::NoValue` removes its node.
    pub(super) fn evaluate(&mut self, node: &Node) -> Option<Node> {
        self.steps += 1;
        if self.nesting > MAX_NESTING || self.steps > MAX_STEPS {
            let why = "the references are circular or nested too deep";
            return Some(unknown_node(node, invalid(why.to_owned())));
        }
        self.nesting += 1;
        let evaluated = self.one(node);
        self.nesting -= 1;
        evaluated
    }

    fn one(&mut self, node: &Node) -> Option<Node> {
        if let Some((name, argument)) = node.only_member()
            && (name == "Ref" || name.starts_with("Fn::"))
        {
            return match self.call(name, argument) {
                Ok(result) => result.map(|result| Node { place: node.place, ..result }),
                Err(unknown) => Some(unknown_node(node, unknown)),
            };
        }
        let value = match &node.value {
            Value::List(items) => Value::List(items.iter().filter_map(|item| self.evaluate(item)).collect()),
            Value::Map(members) => {
                let members = members.iter().filter_map(|(key, node)| Some((key.clone(), self.evaluate(node)?)));
                Value::Map(members.collect())
            }
            other => other.clone(),
        };
        Some(Node::new(node.place, value))
    }

    fn call(&mut self, name: &str, argument: &Node) -> Evaluated {
        let place = &argument.place;
        let text = |text: String| Ok(Some(Node::quoted(*place, text)));
        match name {
            "Ref" => {
                let name = self.text(argument)?;
                self.reference(place, &name)
            }
            "Fn::GetAtt" => {
                let (resource, attribute) = match argument.as_text().and_then(|text| text.split_once('.')) {
                    Some((resource, attribute)) => (resource.to_owned(), attribute.to_owned()),
                    None => {
                        let [resource, attribute] = self.arguments(name, argument)?;
                        (self.text(&resource)?, self.text(&attribute)?)
                    }
                };
                text(self.attribute(&resource, &attribute)?)
            }
            "Fn::Sub" => text(self.substitute(argument)?),
            "Fn::Join" => {
                let [separator, list] = self.arguments(name, argument)?;
                let separator = self.text(&separator)?;
                let pieces = self.list(&list)?.iter().map(|item| self.text(item)).collect::<Result<Vec<_>, _>>()?;
                text(self.grow(pieces.join(&separator))?)
            }
            "Fn::Split" => {
                let [separator, whole] = self.arguments(name, argument)?;
                let (separator, whole) = (self.text(&separator)?, self.text(&whole)?);
                if separator.is_empty() {
                    return Err(invalid("`Fn::Split` has an empty separator".to_owned()));
                }
                let pieces = whole.split(&separator).map(|piece| Node::quoted(*place, piece)).collect();
                Ok(Some(Node::new(*place, Value::List(pieces))))
            }
            "Fn::Select" => {
                let [index, list] = self.arguments(name, argument)?;
                let index = self.text(&index)?;
                let list = self.list(&list)?;
                let item = index.parse().ok().and_then(|index: usize| list.get(index));
                let item = item.ok_or_else(|| invalid(format!("`Fn::Select` has no item `{}`", excerpt(&index))))?;
                known(item.clone()).map(Some)
            }
            "Fn::If" => {
                let Value::List(parts) = &argument.value else { return Err(misused(name)) };
                let [condition, then, otherwise] = &parts[..] else { return Err(misused(name)) };
                let condition = self.text(condition)?;
                let chosen = if self.condition(&condition)? { then } else { otherwise };
                self.evaluate(chosen).map(known).transpose()
            }
            "Fn::FindInMap" => {
                let Value::List(parts) = &argument.value else { return Err(misused(name)) };
                let names = parts.iter().take(3).map(|part| self.text(part)).collect::<Result<Vec<_>, _>>()?;
                let path: Vec<&str> = ["Mappings"].into_iter().chain(names.iter().map(String::as_str)).collect();
                let found = (names.len() == 3).then(|| self.template.at(&path)).flatten();
                let default = parts.get(3).and_then(|extra| extra.get("DefaultValue"));
                let found = found.or(default);
                let found = found.ok_or_else(|| invalid(format!("`Fn::FindInMap` finds no `{}`", names.join("."))))?;
                self.evaluate(found).map(known).transpose()
            }
            "Fn::ImportValue" => Err(unavailable("another stack exports it")),
            "Fn::Base64" | "Fn::Cidr" | "Fn::GetAZs" | "Fn::Transform" | "Fn::Length" | "Fn::ToJsonString"
            | "Fn::GetStackOutput" => Err(unavailable("this function is not emulated")),
            "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" => {
                Err(invalid(format!("`{name}` is only valid in `Conditions`")))
            }
            _ => {
                let why = format!("there is no function `{}`", excerpt(name));
                Err(Unknown { hint: did_you_mean(name, &FUNCTIONS), ..invalid(why) })
            }
        }
    }

    fn reference(&mut self, place: &Place, name: &str) -> Evaluated {
        let text = |text: &str| Ok(Some(Node::quoted(*place, text)));
        let given = self.options.parameters.iter().rev().find(|(parameter, _)| parameter == name);
        let declared = self.template.at(&["Parameters", name]);
        if let (Some((_, value)), true) = (given, declared.is_some() || name.starts_with("AWS::")) {
            return self.parameter(place, declared, Node::quoted(*place, value.as_str()));
        }
        match name {
            "AWS::NoValue" => return Ok(None),
            "AWS::Region" => return text(&self.region),
            "AWS::Partition" => return text("aws"),
            "AWS::AccountId" => return text(ACCOUNT),
            "AWS::URLSuffix" => return text("amazonaws.com"),
            _ if name.starts_with("AWS::") => {
                let hint = format!("set it with `--parameter {name}=VALUE`");
                return Err(Unknown { hint: Some(hint), ..unavailable("only a deployed stack has it") });
            }
            _ => {}
        }
        if let Some(declared) = declared {
            let kind = declared.get("Type").and_then(Node::as_text).unwrap_or("String");
            // The default of such a one is the name in the parameter store.
            let is_in_store = kind.starts_with("AWS::SSM::");
            return match declared.get("Default").filter(|_| !is_in_store) {
                Some(default) => self.parameter(place, Some(declared), default.clone()),
                None => {
                    let hint = Some(format!("set it with `--parameter {name}=VALUE`"));
                    let why = if is_in_store { "it is in the parameter store" } else { "the parameter has no default" };
                    Err(Unknown { hint, ..unavailable(why) })
                }
            };
        }
        text(&self.resource(name)?)
    }

    /// Returns a parameter's value, split where its type is a list.
    fn parameter(&mut self, place: &Place, declared: Option<&Node>, value: Node) -> Evaluated {
        let kind = declared.and_then(|declared| declared.get("Type")).and_then(Node::as_text).unwrap_or_default();
        if kind != "CommaDelimitedList" && !kind.starts_with("List<") {
            return Ok(Some(value));
        }
        let items = value.as_text().unwrap_or_default().split(',');
        let items = items.map(|item| Node::quoted(*place, item.trim())).collect();
        Ok(Some(Node::new(*place, Value::List(items))))
    }

    /// Returns the value of `Ref` to a resource.
    fn resource(&mut self, name: &str) -> Result<String, Unknown> {
        // SAM's references to the alias that it makes.
        if let Some((function, "Alias" | "Version")) = name.split_once('.') {
            return self.attribute(function, "Arn");
        }
        let Some(resource) = self.template.at(&["Resources", name]) else {
            let why = format!("there is no parameter or resource `{}`", excerpt(name));
            return Err(self.no_such(why, name, &["Parameters", "Resources"]));
        };
        let kind = resource.get("Type").and_then(Node::as_text).unwrap_or_default();
        let property = |name| resource.at(&["Properties", name]);
        let (region, account) = (self.region.clone(), ACCOUNT);
        let of_load_balancing = |rest: String| format!("arn:aws:elasticloadbalancing:{region}:{account}:{rest}");
        match kind {
            "AWS::ElasticLoadBalancingV2::TargetGroup" => Ok(of_load_balancing(format!("targetgroup/{name}/0"))),
            "AWS::ElasticLoadBalancingV2::LoadBalancer" => Ok(of_load_balancing(format!("loadbalancer/app/{name}/0"))),
            "AWS::ElasticLoadBalancingV2::Listener" => Ok(of_load_balancing(format!("listener/app/local/0/{name}"))),
            "AWS::Lambda::Function" | "AWS::Serverless::Function" => {
                let own = property("FunctionName").and_then(|own| self.text(own).ok());
                Ok(own.unwrap_or_else(|| name.to_owned()))
            }
            "AWS::Lambda::Alias" | "AWS::Lambda::Version" => {
                let Some(function) = property("FunctionName") else {
                    return Err(invalid(format!("`{name}` has no `FunctionName`")));
                };
                let function = self.text(function)?;
                let qualifier = match property("Name") {
                    Some(alias) if kind.ends_with("Alias") => self.text(alias)?,
                    _ => "1".to_owned(),
                };
                let arn = if function.starts_with("arn:") { function } else { self.function_arn(&function) };
                Ok(format!("{arn}:{qualifier}"))
            }
            _ => Err(unavailable("the resource exists only in AWS")),
        }
    }

    fn attribute(&mut self, resource: &str, attribute: &str) -> Result<String, Unknown> {
        let Some(kind) = self.template.at(&["Resources", resource, "Type"]).and_then(Node::as_text) else {
            let why = format!("there is no resource `{}`", excerpt(resource));
            return Err(self.no_such(why, resource, &["Resources"]));
        };
        match (kind, attribute) {
            ("AWS::Lambda::Function" | "AWS::Serverless::Function", "Arn") => {
                let name = self.resource(resource)?;
                Ok(self.function_arn(&name))
            }
            (_, "Arn" | "TargetGroupArn" | "ListenerArn" | "LoadBalancerArn" | "AliasArn" | "FunctionArn") => {
                self.resource(resource)
            }
            _ => Err(unavailable("the resource exists only in AWS")),
        }
    }

    pub(super) fn function_arn(&self, name: &str) -> String {
        format!("arn:aws:lambda:{}:{ACCOUNT}:function:{name}", self.region)
    }

    /// Evaluates `Fn::Sub`: `${Name}`, `${Resource.Attribute}`, its own names, and `${!Literal}`.
    fn substitute(&mut self, argument: &Node) -> Result<String, Unknown> {
        let (template, own) = match &argument.value {
            Value::List(parts) => match &parts[..] {
                [template, own] => (self.text(template)?, own.members()),
                _ => return Err(misused("Fn::Sub")),
            },
            _ => (self.text(argument)?, [].as_slice()),
        };
        let mut whole = String::new();
        let mut rest = template.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            whole.push_str(before);
            let Some((name, behind)) = after.split_once('}') else {
                return Err(invalid(format!("`{}` has a `${{` without a `}}`", excerpt(&template))));
            };
            rest = behind;
            if let Some(literal) = name.strip_prefix('!') {
                whole.push_str(&format!("${{{literal}}}"));
                continue;
            }
            let name = name.trim();
            let value = match own.iter().find(|(key, _)| &*key.name == name) {
                Some((_, node)) => self.text(node)?,
                None => match name.split_once('.') {
                    Some((resource, attribute)) if self.template.at(&["Resources", resource]).is_some() => {
                        self.attribute(resource, attribute)?
                    }
                    _ => match self.reference(&argument.place, name)? {
                        Some(node) => self.text(&node)?,
                        None => String::new(),
                    },
                },
            };
            whole = self.grow(whole + &value)?;
        }
        whole.push_str(rest);
        Ok(whole)
    }

    /// Returns the error for a name that is not in these sections of the template.
    fn no_such(&mut self, why: String, name: &str, sections: &[&str]) -> Unknown {
        let hint = match self.hints {
            0..MAX_HINTS => did_you_mean(name, &names(self.template, sections)),
            _ => None,
        };
        self.hints += 1;
        Unknown { hint, ..invalid(why) }
    }

    fn grow(&mut self, text: String) -> Result<String, Unknown> {
        self.grown += text.len();
        if self.grown > MAX_GROWN {
            return Err(invalid("the functions of this template produce too much text".to_owned()));
        }
        Ok(text)
    }

    /// Evaluates a condition of `Conditions`.
    pub(super) fn condition(&mut self, name: &str) -> Result<bool, Unknown> {
        let Some(condition) = self.template.at(&["Conditions", name]) else {
            let why = format!("there is no condition `{}`", excerpt(name));
            return Err(self.no_such(why, name, &["Conditions"]));
        };
        self.holds(condition)
    }

    fn holds(&mut self, condition: &Node) -> Result<bool, Unknown> {
        self.steps += 1;
        if self.nesting > MAX_NESTING || self.steps > MAX_STEPS {
            return Err(invalid("the references are circular or nested too deep".to_owned()));
        }
        let Some((name, argument)) = condition.only_member() else {
            return Err(invalid("a condition must be one function, such as `Fn::Equals`".to_owned()));
        };
        self.nesting += 1;
        let result = self.holds_by(name, argument);
        self.nesting -= 1;
        result
    }

    fn holds_by(&mut self, name: &str, argument: &Node) -> Result<bool, Unknown> {
        match name {
            "Condition" => {
                let name = self.text(argument)?;
                self.condition(&name)
            }
            "Fn::Equals" => {
                let [left, right] = self.arguments(name, argument)?;
                Ok(self.text(&left)? == self.text(&right)?)
            }
            "Fn::Not" => match argument.items() {
                [inner] => Ok(!self.holds(inner)?),
                _ => Err(misused(name)),
            },
            // One that is known may decide it whatever the others are.
            "Fn::And" | "Fn::Or" => {
                let decisive = name == "Fn::Or";
                let mut unknown = None;
                for inner in argument.items() {
                    match self.holds(inner) {
                        Ok(holds) if holds == decisive => return Ok(decisive),
                        Ok(_) => {}
                        Err(error) => unknown = Some(error),
                    }
                }
                unknown.map_or(Ok(!decisive), Err)
            }
            _ => Err(invalid(format!("`{}` is not a condition function", excerpt(name)))),
        }
    }

    /// Evaluates a function's arguments.
    fn arguments<const N: usize>(&mut self, name: &str, argument: &Node) -> Result<[Node; N], Unknown> {
        let evaluated: Vec<Node> = argument.items().iter().filter_map(|item| self.evaluate(item)).collect();
        evaluated.try_into().map_err(|_| misused(name))
    }

    fn text(&mut self, node: &Node) -> Result<String, Unknown> {
        let node = self.evaluate(node).unwrap_or_else(|| Node::quoted(node.place, ""));
        match node.value {
            Value::Scalar(scalar) => Ok(scalar.text.into_string()),
            Value::Unknown(unknown) => Err(unknown),
            Value::List(_) | Value::Map(_) => Err(invalid(format!("expected a text, found {}", node.value.kind()))),
        }
    }

    fn list(&mut self, node: &Node) -> Result<Vec<Node>, Unknown> {
        match self.evaluate(node).map(|node| node.value) {
            Some(Value::List(items)) => Ok(items),
            Some(Value::Unknown(unknown)) => Err(unknown),
            _ => Err(invalid("expected a list".to_owned())),
        }
    }
}

fn known(node: Node) -> Result<Node, Unknown> {
    match node.value {
        Value::Unknown(unknown) => Err(unknown),
        _ => Ok(node),
    }
}

/// Returns an unknown value that names the innermost function without a value.
fn unknown_node(node: &Node, unknown: Unknown) -> Node {
    let written = if unknown.written.is_empty() { written(node) } else { unknown.written };
    Node::new(node.place, Value::Unknown(Unknown { written, ..unknown }))
}

/// The short form of a function, as in YAML.
fn written(node: &Node) -> String {
    let Some((name, argument)) = node.only_member() else { return node.as_text().unwrap_or("...").to_owned() };
    let name = name.strip_prefix("Fn::").unwrap_or(name);
    let items: Vec<&str> = argument.items().iter().filter_map(Node::as_text).collect();
    let argument = match (name, argument.as_text()) {
        (_, Some(text)) => text.to_owned(),
        ("GetAtt", None) => items.join("."),
        _ => "...".to_owned(),
    };
    format!("!{name} {argument}")
}

fn invalid(why: String) -> Unknown {
    Unknown { written: String::new(), why, hint: None, is_error: true }
}

/// The names in sections of a template.
pub(super) fn names<'t>(template: &'t Node, sections: &[&str]) -> Vec<&'t str> {
    let members = sections.iter().filter_map(|section| template.get(section)).flat_map(Node::members);
    members.map(|(key, _)| &*key.name).collect()
}

fn unavailable(why: &str) -> Unknown {
    Unknown { written: String::new(), why: why.to_owned(), hint: None, is_error: false }
}

fn misused(name: &str) -> Unknown {
    invalid(format!("`{name}` has the wrong arguments"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::node;

    /// The value of `x` in a template, as text, or what is wrong with it.
    fn x(function: &str) -> Result<String, String> {
        let template = format!(
            "Parameters:\n  P: {{ Type: String, Default: p }}\n  L: {{ Type: CommaDelimitedList, Default: 'a, b' }}\n  N: {{ Type: String }}\n  \
             S: {{ Type: 'AWS::SSM::Parameter::Value<String>', Default: /s }}\n\
             Mappings: {{ M: {{ a: {{ b: c, l: [d, e] }} }} }}\n\
             Conditions:\n  Yes: !Equals [!Ref P, p]\n  No: !Not [!Condition Yes]\n  Maybe: !Equals [!Ref N, n]\n  \
             Or: !Or [!Condition Maybe, !Condition Yes]\n  And: !And [!Condition Maybe, !Condition No]\n  Round: !Condition Round\n\
             Resources:\n  F: {{ Type: AWS::Lambda::Function, Properties: {{ FunctionName: !Sub '${{P}}-f' }} }}\n  \
             V: {{ Type: AWS::Lambda::Version, Properties: {{ FunctionName: !Ref F }} }}\n  \
             A: {{ Type: AWS::Lambda::Alias, Properties: {{ FunctionName: !GetAtt F.Arn, Name: live }} }}\n  \
             B: {{ Type: AWS::S3::Bucket }}\nx: {function}\n"
        );
        let options =
            Options { parameters: vec![("AWS::StackName".to_owned(), "stack".to_owned())], ..Options::default() };
        let template = node::parse(&template, 0).unwrap();
        let evaluated = Intrinsics::new(&template, &options, "eu-west-1").evaluate(template.get("x").unwrap());
        match evaluated.map(|node| node.value) {
            Some(Value::Scalar(scalar)) => Ok(scalar.text.into_string()),
            Some(Value::List(items)) => Ok(items.iter().filter_map(Node::as_text).collect::<Vec<_>>().join("|")),
            Some(Value::Map(members)) => Ok(format!("{} members", members.len())),
            Some(Value::Unknown(unknown)) => Err(unknown.why),
            None => Ok("nothing".to_owned()),
        }
    }

    #[test]
    fn functions_as_aws_has_them() {
        let function = "arn:aws:lambda:eu-west-1:000000000000:function:p-f";
        for (text, value) in [
            ("!Ref P", "p"),
            ("!Ref L", "a|b"),
            ("!Ref AWS::NoValue", "nothing"),
            ("[1, !Ref AWS::NoValue, 2]", "1|2"),
            ("{ a: !Ref AWS::NoValue, b: 1 }", "1 members"),
            ("!Ref AWS::Region", "eu-west-1"),
            ("!Ref F", "p-f"),
            ("!GetAtt F.Arn", function),
            ("!GetAtt [F, Arn]", function),
            ("{ Fn::GetAtt: F.Arn }", function),
            ("!Ref V", &format!("{function}:1")),
            ("!Ref A", &format!("{function}:live")),
            ("!Ref F.Alias", function),
            ("!Sub '${P}/${F.Arn}/${!P}/${AWS::StackName}'", &format!("p/{function}/${{P}}/stack")),
            ("!Sub ['${P}${Q}', { Q: !Ref P }]", "pp"),
            ("!Join ['-', [a, !Ref P]]", "a-p"),
            ("!Join ['-', !Ref L]", "a-b"),
            ("!Select [1, !Split [',', 'a,b']]", "b"),
            ("!FindInMap [M, a, b]", "c"),
            ("!FindInMap [M, a, l]", "d|e"),
            ("!FindInMap [M, a, z, { DefaultValue: d }]", "d"),
            ("!If [Yes, a, !ImportValue z]", "a"),
            ("!If [No, a, b]", "b"),
            ("!If [Or, a, b]", "a"),
            ("!If [And, a, b]", "b"),
        ] {
            assert_eq!(x(text), Ok(value.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_says_why() {
        for (text, why) in [
            ("!Ref N", "the parameter has no default"),
            ("!Ref S", "it is in the parameter store"),
            ("!If [Maybe, a, b]", "the parameter has no default"),
            ("!If [Round, a, b]", "the references are circular or nested too deep"),
            ("!If [None, a, b]", "there is no condition `None`"),
            ("!ImportValue z", "another stack exports it"),
            ("!Ref B", "the resource exists only in AWS"),
            ("!GetAtt F.Nothing", "the resource exists only in AWS"),
            ("!Ref Nothing", "there is no parameter or resource `Nothing`"),
            ("!Ref AWS::StackId", "only a deployed stack has it"),
            ("!Select [2, [a, b]]", "`Fn::Select` has no item `2`"),
            ("!FindInMap [M, a, z]", "`Fn::FindInMap` finds no `M.a.z`"),
            ("!Join [a]", "`Fn::Join` has the wrong arguments"),
            ("!Equals [a, a]", "`Fn::Equals` is only valid in `Conditions`"),
            ("!Nonsense a", "there is no function `Fn::Nonsense`"),
        ] {
            assert_eq!(x(text), Err(why.to_owned()), "{text}");
        }
    }
}
