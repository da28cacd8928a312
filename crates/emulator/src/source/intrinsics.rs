//! CloudFormation's intrinsic functions, evaluated as far as no AWS is needed (template reference, "Intrinsic function
//! reference" and "Pseudo parameters"). Owns the functions; references are `references`'
//! and conditions `conditions`'. What only AWS knows becomes [`Value::Unknown`], whose text (`expression`)
//! is the whole function with all arguments evaluated that can be.

use std::collections::BTreeSet;

use crossfade_document::{Place, did_you_mean};

use super::draft::Options;
use super::expression::{brief, call, join, shown};
use super::node::{Node, Part, Unknown, Value, excerpt, option_for, resolve_dynamic_references};
use super::references::{ACCOUNT, ACCOUNT_ID, REGION};

/// Functions, references and conditions within one another, and levels of the tree: few enough for the smallest stack.
const MAX_NESTING: usize = 100;
/// The most nodes evaluated for one file.
const MAX_STEPS: usize = 1_000_000;
/// The most text that functions may produce, in bytes.
const MAX_GROWN: usize = 1024 * 1024;

/// The functions that are evaluated here.
const FUNCTIONS: [&str; 8] =
    ["Ref", "Fn::GetAtt", "Fn::Sub", "Fn::Join", "Fn::Split", "Fn::Select", "Fn::If", "Fn::FindInMap"];

/// Evaluates the functions of one template.
pub(super) struct Intrinsics<'t> {
    pub(super) template: &'t Node,
    pub(super) options: &'t Options,
    pub(super) region: String,
    /// The region is the default.
    pub(super) is_region_guessed: bool,
    nesting: usize,
    steps: usize,
    grown: usize,
    pub(super) hints: usize,
    /// The parameters whose defaults were used.
    pub(super) used_defaults: BTreeSet<String>,
    /// Unquoted scalars that a condition compares with the text that they have in the file, in vain.
    pub(super) surprising: Vec<Node>,
}

pub(super) type Evaluated = Result<Option<Node>, Unknown>;

impl<'t> Intrinsics<'t> {
    pub(super) fn new(template: &'t Node, options: &'t Options, region: &str, knows_region: bool) -> Self {
        let is_region_guessed = !knows_region;
        let region = region.to_owned();
        let (used_defaults, surprising) = (BTreeSet::new(), Vec::new());
        Intrinsics {
            template,
            options,
            region,
            is_region_guessed,
            nesting: 0,
            steps: 0,
            grown: 0,
            hints: 0,
            used_defaults,
            surprising,
        }
    }

    /// Returns the same tree with all functions evaluated. `AWS::NoValue` removes its node.
    pub(super) fn evaluate(&mut self, node: &Node) -> Option<Node> {
        let mut node = self.value(node)?;
        resolve_dynamic_references(&mut node, &self.options.parameters);
        Some(node)
    }

    /// As [`Intrinsics::evaluate`]; dynamic references are still texts.
    fn value(&mut self, node: &Node) -> Option<Node> {
        if let Err(unknown) = self.enter() {
            return Some(unknown_at(node.place, named_by(node, unknown)));
        }
        let evaluated = self.one(node);
        self.leave();
        evaluated
    }

    /// Begins a step. One that begins must [`Intrinsics::leave`].
    pub(super) fn enter(&mut self) -> Result<(), Unknown> {
        self.steps += 1;
        if self.nesting > MAX_NESTING || self.steps > MAX_STEPS {
            return Err(Unknown::error("the references are circular or nested too deep".to_owned()));
        }
        self.nesting += 1;
        Ok(())
    }

    pub(super) fn leave(&mut self) {
        self.nesting -= 1;
    }

    fn one(&mut self, node: &Node) -> Option<Node> {
        if let Some((name, argument)) = node.only_member()
            && (name == "Ref" || name.starts_with("Fn::"))
        {
            return match self.call(name, argument) {
                Ok(result) => result.map(|result| Node { place: node.place, ..result }),
                Err(unknown) => Some(self.unresolved(node.place, named_by(node, unknown))),
            };
        }
        let value = match &node.value {
            Value::List(items) => Value::List(items.iter().filter_map(|item| self.value(item)).collect()),
            Value::Map(members) => {
                let members = members.iter().filter_map(|(key, node)| Some((key.clone(), self.value(node)?)));
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
                        let [resource, attribute] = self.known(name, argument)?;
                        (text_of(&resource)?, text_of(&attribute)?)
                    }
                };
                text(self.attribute(&resource, &attribute)?)
            }
            "Fn::Sub" => self.substitute(argument),
            "Fn::Join" => {
                let arguments = self.arguments(name, argument)?;
                self.join(place, arguments)
            }
            "Fn::Split" => {
                let [separator, whole] = self.known(name, argument)?;
                let (separator, whole) = (text_of(&separator)?, text_of(&whole)?);
                if separator.is_empty() {
                    return Err(Unknown::error("`Fn::Split` has an empty separator".to_owned()));
                }
                let pieces = whole.split(&separator).map(|piece| Node::quoted(*place, piece)).collect();
                Ok(Some(Node::new(*place, Value::List(pieces))))
            }
            "Fn::Select" => {
                let [index, list] = self.known(name, argument)?;
                let (index, Value::List(list)) = (text_of(&index)?, list.value) else {
                    return Err(Unknown::error("expected a list".to_owned()));
                };
                let item = index.parse().ok().and_then(|index: usize| list.into_iter().nth(index));
                item.map(Some).ok_or_else(|| Unknown::error(format!("`Fn::Select` has no item `{}`", excerpt(&index))))
            }
            "Fn::If" => self.choose(argument),
            "Fn::FindInMap" => self.find_in_map(argument),
            "Fn::ImportValue" => Err(self.not_evaluated(name, argument, "another stack exports it")),
            "Fn::Base64" | "Fn::Cidr" | "Fn::GetAZs" | "Fn::Transform" | "Fn::Length" | "Fn::ToJsonString"
            | "Fn::GetStackOutput" => Err(self.not_evaluated(name, argument, "this function is not emulated")),
            "Fn::Equals" | "Fn::And" | "Fn::Or" | "Fn::Not" => {
                Err(Unknown::error(format!("`{name}` is only valid in `Conditions`")))
            }
            _ => {
                let why = format!("there is no function `{}`", excerpt(name));
                Err(Unknown { hint: did_you_mean(name, &FUNCTIONS), ..Unknown::error(why) })
            }
        }
    }

    /// Returns the value that the user gives for an expression, or an unknown value.
    fn unresolved(&self, place: Place, unknown: Unknown) -> Node {
        match self.given(&unknown.written) {
            Some(value) => Node::quoted(place, value),
            None => unknown_at(place, unknown),
        }
    }

    /// Evaluates `Fn::Sub`: `${Name}`, `${Resource.Attribute}`, its own names, and `${!Literal}`.
    fn substitute(&mut self, argument: &Node) -> Evaluated {
        let place = argument.place;
        let (template, own) = match &argument.value {
            Value::List(parts) => match &parts[..] {
                [template, own] => (self.text(template)?, own.members()),
                _ => return Err(misused("Fn::Sub")),
            },
            _ => (self.text(argument)?, [].as_slice()),
        };
        let mut parts = Vec::new();
        let mut rest = template.as_str();
        while let Some((before, after)) = rest.split_once("${") {
            parts.push(Node::quoted(place, before));
            let Some((name, behind)) = after.split_once('}') else {
                let why = format!("`{}` has a `${{` without a `}}`", excerpt(&template));
                return Err(Unknown::error(why));
            };
            rest = behind;
            if let Some(literal) = name.strip_prefix('!') {
                parts.push(Node::quoted(place, format!("${{{literal}}}")));
                continue;
            }
            let name = name.trim();
            let value = match own.iter().find(|(key, _)| &*key.name == name) {
                Some((_, node)) => self.value(node),
                None => match name.split_once('.') {
                    Some((resource, attribute)) if self.template.at(&["Resources", resource]).is_some() => {
                        let text = self.attribute(resource, attribute);
                        Some(
                            text.map_or_else(
                                |unknown| self.unresolved(place, unknown),
                                |text| Node::quoted(place, text),
                            ),
                        )
                    }
                    _ => self.reference(&place, name).unwrap_or_else(|unknown| Some(self.unresolved(place, unknown))),
                },
            };
            parts.extend(value);
        }
        parts.push(Node::quoted(place, rest));
        self.concatenate(&place, parts)
    }

    fn join(&mut self, place: &Place, [separator, list]: [Node; 2]) -> Evaluated {
        let (Some(between), Value::List(items)) = (known_text(&separator), &list.value) else {
            // An error if it is neither unknown nor a list.
            let cause = cause(&[&separator, &list]).cloned();
            let cause = cause.unwrap_or_else(|| Unknown::error("expected a text and a list".to_owned()));
            return Err(self.unknown_call("Fn::Join", &[separator, list], cause));
        };
        let mut parts = Vec::new();
        for (index, item) in items.iter().enumerate() {
            if index > 0 {
                parts.push(Node::quoted(*place, between));
            }
            parts.push(item.clone());
        }
        self.concatenate(place, parts)
    }

    /// Joins texts, of which only some may be known.
    fn concatenate(&mut self, place: &Place, texts: Vec<Node>) -> Evaluated {
        let mut parts: Vec<Part> = Vec::new();
        let mut add = |part: Part| match (parts.last_mut(), part) {
            (Some(Part::Known(text)), Part::Known(more)) => text.push_str(&more),
            (_, Part::Known(text)) if text.is_empty() => {}
            (_, part) => parts.push(part),
        };
        let mut cause: Option<Unknown> = None;
        let mut length = 0;
        for text in texts {
            match text.value {
                Value::Scalar(scalar) => {
                    length += scalar.text.len();
                    add(Part::Known(scalar.text.into_string()));
                }
                Value::Unknown(unknown) if unknown.is_error => return Err(unknown),
                Value::Unknown(mut unknown) => {
                    length += unknown.written.len();
                    match std::mem::take(&mut unknown.parts) {
                        none if none.is_empty() => add(Part::Unknown(unknown.written.clone())),
                        within => within.into_iter().for_each(&mut add),
                    }
                    cause.get_or_insert(unknown);
                }
                Value::List(_) | Value::Map(_) => {
                    return Err(Unknown::error(format!("expected a text, found {}", text.value.kind())));
                }
            }
        }
        self.grow(length)?;
        let Some(cause) = cause else {
            let text = parts.into_iter().map(|part| match part {
                Part::Known(text) | Part::Unknown(text) => text,
            });
            return Ok(Some(Node::quoted(*place, text.collect::<String>())));
        };
        Err(Unknown { written: join(&parts), parts, ..cause })
    }

    fn choose(&mut self, argument: &Node) -> Evaluated {
        let [condition, then, otherwise] = argument.items() else { return Err(misused("Fn::If")) };
        let name = self.text(condition)?;
        let unknown = match self.condition(&name) {
            Ok(holds) => return Ok(self.value(if holds { then } else { otherwise })),
            Err(unknown) if unknown.is_error => return Err(unknown),
            Err(unknown) => unknown,
        };
        let branches = [self.value(then), self.value(otherwise)];
        let [one, other] = branches.each_ref().map(|branch| branch.as_ref().map(shown));
        let [then, otherwise] = branches;
        if one == other {
            return Ok(then);
        }
        let none = || {
            Node::new(
                argument.place,
                Value::Unknown(Unknown { written: "!Ref AWS::NoValue".to_owned(), ..Unknown::default() }),
            )
        };
        let arguments = [Node::quoted(argument.place, name), then.unwrap_or_else(none), otherwise.unwrap_or_else(none)];
        Err(self.unknown_call("Fn::If", &arguments, unknown))
    }

    fn find_in_map(&mut self, argument: &Node) -> Evaluated {
        let names: Vec<Node> = argument.items().iter().take(3).filter_map(|part| self.value(part)).collect();
        let [_, _, _] = &names[..] else { return Err(misused("Fn::FindInMap")) };
        if let Some(cause) = cause(&names.iter().collect::<Vec<_>>()).cloned() {
            return Err(self.unknown_call("Fn::FindInMap", &names, cause));
        }
        let path = names.iter().map(text_of).collect::<Result<Vec<_>, _>>()?;
        let keys: Vec<&str> = ["Mappings"].into_iter().chain(path.iter().map(String::as_str)).collect();
        let template = self.template;
        if let Some(found) = template.at(&keys) {
            return Ok(self.value(found));
        }
        if let Some(guessed) = path.iter().find_map(|key| self.guessed(key)) {
            let as_in_file = |node: Node| {
                let parameter = match known_text(&node) {
                    Some(ACCOUNT) => ACCOUNT_ID,
                    Some(region) if *region == self.region => REGION,
                    _ => return node,
                };
                unknown_at(node.place, Unknown { written: format!("!Ref {parameter}"), ..guessed.clone() })
            };
            let names: Vec<Node> = names.into_iter().map(as_in_file).collect();
            return Err(self.unknown_call("Fn::FindInMap", &names, guessed));
        }
        match argument.items().get(3).and_then(|extra| extra.get("DefaultValue")) {
            Some(default) => Ok(self.value(default)),
            None => Err(Unknown::error(format!("`Fn::FindInMap` finds no `{}`", excerpt(&path.join("."))))),
        }
    }

    fn grow(&mut self, more: usize) -> Result<(), Unknown> {
        self.grown += more;
        if self.grown > MAX_GROWN {
            return Err(Unknown::error("the functions of this template produce too much text".to_owned()));
        }
        Ok(())
    }

    /// Evaluates a function's arguments.
    pub(super) fn arguments<const N: usize>(&mut self, name: &str, argument: &Node) -> Result<[Node; N], Unknown> {
        let evaluated: Vec<Node> = argument.items().iter().filter_map(|item| self.value(item)).collect();
        evaluated.try_into().map_err(|_| misused(name))
    }

    /// Evaluates arguments that must all be known.
    fn known<const N: usize>(&mut self, name: &str, argument: &Node) -> Result<[Node; N], Unknown> {
        let arguments: [Node; N] = self.arguments(name, argument)?;
        match cause(&arguments.each_ref()).cloned() {
            Some(cause) => Err(self.unknown_call(name, &arguments, cause)),
            None => Ok(arguments),
        }
    }

    /// Returns the unknown value of a function that is not evaluated here.
    fn not_evaluated(&mut self, name: &str, argument: &Node, why: &str) -> Unknown {
        let argument = self.value(argument).unwrap_or_else(|| Node::quoted(argument.place, ""));
        match argument.value {
            Value::Unknown(unknown) if unknown.is_error => unknown,
            _ => {
                let written = call(name, &shown(&argument));
                let hint = Some(option_for(&written));
                self.named(written, Unknown { hint, ..Unknown::elsewhere(why) })
            }
        }
    }

    /// Returns the unknown value of a function with these arguments. For an error, the innermost function is shown.
    fn unknown_call(&mut self, name: &str, arguments: &[Node], cause: Unknown) -> Unknown {
        if cause.is_error {
            return cause;
        }
        let place = arguments.first().map_or(Place::new(1, 1), |first| first.place);
        let written = call(name, &shown(&Node::new(place, Value::List(arguments.to_vec()))));
        self.named(written, cause)
    }

    fn named(&mut self, written: String, cause: Unknown) -> Unknown {
        match self.grow(written.len()) {
            Ok(()) => Unknown { written, parts: Vec::new(), ..cause },
            Err(error) => error,
        }
    }

    pub(super) fn text(&mut self, node: &Node) -> Result<String, Unknown> {
        self.value(node).map_or(Ok(String::new()), |node| text_of(&node))
    }
}

/// Returns the reason why one of these values is unknown: an error if there is one.
pub(super) fn cause<'n>(nodes: &[&'n Node]) -> Option<&'n Unknown> {
    let unknown = |node: &&'n Node| match &node.value {
        Value::Unknown(unknown) => Some(unknown),
        _ => None,
    };
    let mut all = nodes.iter().filter_map(unknown);
    all.clone().find(|unknown| unknown.is_error).or_else(|| all.next())
}

fn known_text(node: &Node) -> Option<&str> {
    match &node.value {
        Value::Scalar(scalar) => Some(&scalar.text),
        _ => None,
    }
}

pub(super) fn text_of(node: &Node) -> Result<String, Unknown> {
    match &node.value {
        Value::Scalar(scalar) => Ok(scalar.text.to_string()),
        Value::Unknown(unknown) => Err(unknown.clone()),
        Value::List(_) | Value::Map(_) => Err(Unknown::error(format!("expected a text, found {}", node.value.kind()))),
    }
}

/// Returns the same unknown value, with the text in the file if it has no expression.
fn named_by(node: &Node, unknown: Unknown) -> Unknown {
    let written = if unknown.written.is_empty() { brief(node) } else { unknown.written };
    Unknown { written, ..unknown }
}

fn unknown_at(place: Place, unknown: Unknown) -> Node {
    Node::new(place, Value::Unknown(unknown))
}

pub(super) fn misused(name: &str) -> Unknown {
    Unknown::error(format!("`{name}` has the wrong arguments"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::dialect::TEMPLATE;
    use crate::source::node;

    /// The value of `x` in a template, as text, or what is not known.
    fn value(function: &str) -> Result<String, Unknown> {
        let template = format!(
            "Parameters:\n  P: {{ Type: String, Default: p }}\n  L: {{ Type: CommaDelimitedList, Default: 'a, b' }}\n  N: {{ Type: String }}\n  \
             S: {{ Type: 'AWS::SSM::Parameter::Value<String>', Default: /s }}\n\
             Mappings: {{ M: {{ a: {{ b: c, l: [d, e] }} }}, R: {{ eu-central-1: {{ b: c }} }} }}\n\
             Conditions:\n  Is: !Equals [!Ref P, p]\n  Not: !Not [!Condition Is]\n  Maybe: !Equals [!Ref N, n]\n  \
             Or: !Or [!Condition Maybe, !Condition Is]\n  And: !And [!Condition Maybe, !Condition Not]\n  Round: !Condition Round\n  \
             Same: !Equals [!Sub 'a-${{N}}', !Join ['-', [a, !Ref N]]]\n  Account: !Equals [!Ref 'AWS::AccountId', '123456789012']\n\
             Resources:\n  F: {{ Type: AWS::Lambda::Function, Properties: {{ FunctionName: !Sub '${{P}}-f' }} }}\n  \
             V: {{ Type: AWS::Lambda::Version, Properties: {{ FunctionName: !Ref F }} }}\n  \
             A: {{ Type: AWS::Lambda::Alias, Properties: {{ FunctionName: !GetAtt F.Arn, Name: live }} }}\n  \
             B: {{ Type: AWS::S3::Bucket }}\n  \
             D: {{ Type: AWS::Lambda::Function, Properties: {{ FunctionName: '{{{{resolve:ssm:/d}}}}' }} }}\n  \
             Stack: {{ Type: AWS::CloudFormation::Stack }}\n  G: {{ Type: AWS::Serverless::Function }}\nx: {function}\n"
        );
        let options =
            Options { parameters: vec![("AWS::StackName".to_owned(), "stack".to_owned())], ..Options::default() };
        let (template, _) = node::parse(&template, 0, &TEMPLATE).unwrap();
        let mut intrinsics = Intrinsics::new(&template, &options, "eu-west-1", false);
        let evaluated = intrinsics.evaluate(template.get("x").unwrap());
        match evaluated.map(|node| node.value) {
            Some(Value::Scalar(scalar)) => Ok(scalar.text.into_string()),
            Some(Value::List(items)) => Ok(items.iter().filter_map(Node::as_text).collect::<Vec<_>>().join("|")),
            Some(Value::Map(members)) => Ok(format!("{} members", members.len())),
            Some(Value::Unknown(unknown)) => Err(unknown),
            None => Ok("nothing".to_owned()),
        }
    }

    fn x(function: &str) -> Result<String, String> {
        value(function).map_err(|unknown| unknown.why)
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
            ("!Sub '${G.Alias}'", "arn:aws:lambda:eu-west-1:000000000000:function:G"),
            ("!Sub '${P}/${F.Arn}/${!P}/${AWS::StackName}'", &format!("p/{function}/${{P}}/stack")),
            ("!Sub ['${P}${Q}', { Q: !Ref P }]", "pp"),
            ("!Join ['-', [a, !Ref P]]", "a-p"),
            ("!Join ['-', !Ref L]", "a-b"),
            ("!Select [1, !Split [',', 'a,b']]", "b"),
            ("!FindInMap [M, a, b]", "c"),
            ("!FindInMap [M, a, l]", "d|e"),
            ("!FindInMap [M, a, z, { DefaultValue: d }]", "d"),
            ("!If [Is, a, !ImportValue z]", "a"),
            ("!If [Not, a, b]", "b"),
            ("!If [Or, a, b]", "a"),
            ("!If [And, a, b]", "b"),
            ("!If [Maybe, a, a]", "a"),
            ("!If [Same, a, b]", "a"),
            ("!Select [0, [a, !Ref N]]", "a"),
            ("!Select [0, !Split [':', '{{resolve:ssm:/a}}']]", "{{resolve"),
            ("!GetAtt D.Arn", "arn:aws:lambda:eu-west-1:000000000000:function:D"),
        ] {
            assert_eq!(x(text), Ok(value.to_owned()), "{text}");
        }
    }

    #[test]
    fn what_is_not_known_says_why() {
        for (text, why) in [
            ("!Ref N", "the parameter `N` has no default"),
            ("!Ref S", "the parameter `S` is in the parameter store"),
            ("!If [Maybe, a, b]", "the parameter `N` has no default"),
            ("!If [Round, a, b]", "the references are circular or nested too deep"),
            ("!If [None, a, b]", "there is no condition `None`"),
            ("!ImportValue z", "another stack exports it"),
            ("!Ref B", "the resource `B` exists only in AWS"),
            ("!GetAtt F.Nothing", "the resource `F` exists only in AWS"),
            ("!Ref Nothing", "there is no parameter or resource `Nothing`"),
            ("!Ref AWS::StackId", "only a deployed stack has `AWS::StackId`"),
            ("!Select [2, [a, b]]", "`Fn::Select` has no item `2`"),
            ("!FindInMap [M, a, z]", "`Fn::FindInMap` finds no `M.a.z`"),
            ("!FindInMap [M, !Ref AWS::AccountId, b]", "the account is unknown here"),
            ("!FindInMap [M, !Sub 'a${AWS::AccountId}', b]", "the account is unknown here"),
            ("!FindInMap [M, !Ref AWS::AccountId, b, { DefaultValue: d }]", "the account is unknown here"),
            ("!FindInMap [R, !Ref AWS::Region, b]", "the region is unknown here"),
            ("!FindInMap [M, !Ref N, b]", "the parameter `N` has no default"),
            ("!If [Account, a, b]", "the account is unknown here"),
            ("!Sub 'x{{resolve:ssm:/a}}'", "only AWS resolves dynamic references"),
            ("!Join [a]", "`Fn::Join` has the wrong arguments"),
            ("!Equals [a, a]", "`Fn::Equals` is only valid in `Conditions`"),
            ("!Nonsense a", "there is no function `Fn::Nonsense`"),
        ] {
            assert_eq!(x(text), Err(why.to_owned()), "{text}");
        }
    }

    /// Each line has the spellings of one value.
    #[test]
    fn what_only_aws_knows_is_its_whole_expression() {
        let lines: [(&str, &[&str]); 20] = [
            (
                "!Ref N",
                &[
                    "!Ref N",
                    "{ Ref: N }",
                    "!Sub '${N}'",
                    "!Join ['', [!Ref N]]",
                    "!Sub ['${A}', { A: !Ref N }]",
                    "!Select [1, [a, !Ref N]]",
                ],
            ),
            (
                "!GetAtt Stack.Outputs.A",
                &["!GetAtt Stack.Outputs.A", "{ Fn::GetAtt: [Stack, Outputs.A] }", "!Sub '${Stack.Outputs.A}'"],
            ),
            ("!GetAtt Stack.Outputs.B", &["!GetAtt Stack.Outputs.B"]),
            (
                "!ImportValue p-Listener",
                &[
                    "!ImportValue p-Listener",
                    "{ Fn::ImportValue: !Sub '${P}-Listener' }",
                    "{ 'Fn::ImportValue': { 'Fn::Join': ['-', [!Ref P, Listener]] } }",
                ],
            ),
            (
                "!ImportValue !Sub '${N}-Http'",
                &[
                    "{ Fn::ImportValue: !Sub '${N}-Http' }",
                    "{ Fn::ImportValue: !Join ['', [!Ref N, '-Http']] }",
                    "{ Fn::ImportValue: { Fn::Sub: ['${A}-${B}', { A: !Ref N, B: Http }] } }",
                ],
            ),
            ("!ImportValue !Sub '${N}-Https'", &["{ Fn::ImportValue: !Sub '${N}-Https' }"]),
            ("!Select [0, !Ref N]", &["!Select [0, !Ref N]", "{ Fn::Select: ['0', { Ref: N }] }"]),
            ("!Select [1, !Ref N]", &["!Select [1, !Ref N]"]),
            ("!Select [0, !Split [',', !ImportValue z]]", &["!Select [0, !Split [',', !ImportValue z]]"]),
            ("!Select [0, !Split [':', !ImportValue z]]", &["!Select [0, !Split [':', !ImportValue z]]"]),
            (
                "!Sub 'a-${N}-${B}'",
                &["!Sub 'a-${N}-${B}'", "!Join ['-', [a, !Ref N, !Ref B]]", "!Sub ['${X}-${B}', { X: !Sub 'a-${N}' }]"],
            ),
            (
                "!Join ['', [a-, !ImportValue z]]",
                &[
                    "!Sub ['a-${Z}', { Z: !ImportValue z }]",
                    "!Join ['-', [a, !ImportValue z]]",
                    "!Join ['', ['a', !Join ['', ['-', !ImportValue z]]]]",
                ],
            ),
            ("!Sub 'it''s ${!N}${N}'", &["!Sub \"it's ${!N}${N}\""]),
            ("!Join [',', !Ref N]", &["!Join [',', !Ref N]"]),
            ("!If [Maybe, a, !ImportValue z]", &["!If [Maybe, !Sub 'a', !ImportValue z]"]),
            ("!If [Maybe, a, !Ref AWS::NoValue]", &["!If [Maybe, a, !Ref AWS::NoValue]"]),
            ("!FindInMap [M, !Ref N, b]", &["!FindInMap [M, !Ref N, b]"]),
            ("!FindInMap [M, !Ref AWS::AccountId, b]", &["!FindInMap [M, !Ref AWS::AccountId, b]"]),
            (
                "!Transform {Name: AWS::Include, Parameters: {Location: s3://p/x}}",
                &["{ Fn::Transform: { Name: 'AWS::Include', Parameters: { Location: !Sub 's3://${P}/x' } } }"],
            ),
            (
                "{{resolve:ssm:/p/x}}-y",
                &[
                    "'{{resolve:ssm:/p/x}}-y'",
                    "!Sub '{{resolve:ssm:/${P}/x}}-y'",
                    "!Join ['-', ['{{resolve:ssm:/p/x}}', y]]",
                ],
            ),
        ];
        for (written, spellings) in lines {
            for spelling in spellings {
                assert_eq!(value(spelling).map_err(|unknown| unknown.written), Err(written.to_owned()), "{spelling}");
            }
        }
    }
}
