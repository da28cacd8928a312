//! The text of what only AWS can evaluate, in CloudFormation's short form: `!Select [0, !Ref Arns]`,
//! `!Sub '${Cluster}-listener'`. Equal values have equal texts, so that a text identifies a listener or target group. Owns
//! this form; the values are `intrinsics`'.

use super::node::{Node, Part, Value};

/// The text of a function.
pub(super) fn call(name: &str, argument: &str) -> String {
    format!("!{} {argument}", name.strip_prefix("Fn::").unwrap_or(name))
}

/// The text of an evaluated value.
pub(super) fn shown(node: &Node) -> String {
    let mut text = String::new();
    show(node, &mut text);
    text
}

fn show(node: &Node, text: &mut String) {
    match &node.value {
        Value::Scalar(scalar) => text.push_str(&quoted(&scalar.text)),
        Value::Unknown(unknown) => text.push_str(&unknown.written),
        Value::List(items) => {
            text.push('[');
            for (index, item) in items.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                show(item, text);
            }
            text.push(']');
        }
        Value::Map(members) => {
            text.push('{');
            for (index, (key, member)) in members.iter().enumerate() {
                text.push_str(if index > 0 { ", " } else { "" });
                text.push_str(&quoted(&key.name));
                text.push_str(": ");
                show(member, text);
            }
            text.push('}');
        }
    }
}

/// A text in quotes, unless it cannot be taken for anything else.
fn quoted(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "_-./:*@".contains(c);
    match text.chars().all(is_plain) && !text.is_empty() && !text.ends_with(':') {
        true => text.to_owned(),
        false => in_quotes(text),
    }
}

fn in_quotes(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// The text of parts in a row: `!Sub` if all unknown ones can be its variables, otherwise `!Join`.
pub(super) fn join(parts: &[Part]) -> String {
    if let [Part::Unknown(only)] = parts {
        return only.clone();
    }
    let as_variable = |part: &Part| match part {
        Part::Known(text) => Some(text.replace("${", "${!")),
        Part::Unknown(expression) => {
            let name = expression.strip_prefix("!Ref ").or_else(|| expression.strip_prefix("!GetAtt "));
            name.map(|name| format!("${{{name}}}"))
        }
    };
    if let Some(template) = parts.iter().map(as_variable).collect::<Option<String>>() {
        return call("Sub", &in_quotes(&template));
    }
    let items = parts.iter().map(|part| match part {
        Part::Known(text) => quoted(text),
        Part::Unknown(expression) => expression.clone(),
    });
    call("Join", &format!("['', [{}]]", items.collect::<Vec<_>>().join(", ")))
}

/// The short form of a function as in the file, without its nested arguments.
pub(super) fn brief(node: &Node) -> String {
    let Some((name, argument)) = node.only_member() else { return node.as_text().unwrap_or("...").to_owned() };
    let items: Vec<&str> = argument.items().iter().filter_map(Node::as_text).collect();
    match (name, argument.as_text()) {
        (_, Some(text)) => call(name, text),
        ("Fn::GetAtt", None) => call(name, &items.join(".")),
        _ => call(name, "..."),
    }
}
