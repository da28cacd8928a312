//! A configuration in the form that starts fastest: the same values as JSON.
//!
//! The function reads JSON in a fraction of the instructions of YAML (`bench -- routes`). Owns the translation, and the proof
//! that it means the same: both texts are compiled, and the tables compared. What JSON cannot express stays YAML.

use crossfade_document::{Node, Options, Scalar, Value as Tree, parse};
use crossfade_route::{RoutingTable, Surroundings};

/// A key that the function does not use.
const TESTS: &str = "tests";

/// Longest value in one line, in bytes.
const LINE: usize = 100;

/// Spaces for each level.
const INDENT: usize = 2;

/// Returns the JSON for a valid configuration, indented so that people can read an error's line in it. Variables of the
/// environment are still variables, comments and `tests` are gone.
///
/// Returns `None` if JSON would have another meaning, as for the status `0200`.
pub(crate) fn as_json(text: &str, surroundings: &dyn Surroundings) -> Option<String> {
    let options = Options { file: 0, tag: None, merge: None, substitute: None, mask: str::to_owned };
    let mut tree = parse(text, &options, &mut Vec::new()).ok()?;
    if let Tree::Map(members) = &mut tree.value {
        members.retain(|(key, _)| &*key.name != TESTS);
    }
    let json = written(&tree, 0) + "\n";
    let table = |text| RoutingTable::from_config(text, "", surroundings).ok().map(|table| format!("{table:?}"));
    (table(text)? == table(&json)?).then_some(json)
}

/// A value in one line if it is short, otherwise a line for each item or member, in the order of the file.
fn written(node: &Node, indent: usize) -> String {
    let (open, close, parts): (_, _, Vec<_>) = match &node.value {
        Tree::Scalar(scalar) => return of_scalar(scalar),
        Tree::List(items) => ('[', ']', items.iter().map(|item| (String::new(), item)).collect()),
        Tree::Map(members) => {
            let name = |name: &str| format!("{}: ", quoted(name));
            ('{', '}', members.iter().map(|(key, member)| (name(&key.name), member)).collect())
        }
        Tree::Unknown(never) => match *never {},
    };
    let indent = indent + INDENT;
    let parts: Vec<String> = parts.into_iter().map(|(name, part)| name + &written(part, indent)).collect();
    let length: usize = parts.iter().map(|part| part.len() + 2).sum();
    if length <= LINE && !parts.iter().any(|part| part.contains('\n')) {
        return format!("{open}{}{close}", parts.join(", "));
    }
    let separator = format!(",\n{:indent$}", "");
    format!("{open}\n{:indent$}{}\n{:outer$}{close}", "", parts.join(&separator), "", outer = indent - INDENT)
}

/// Numbers are numbers only in the notation that JSON keeps. A reader of a fraction takes it as a text as well.
fn of_scalar(scalar: &Scalar) -> String {
    let text = &*scalar.text;
    let is_whole = || text.parse::<i64>().is_ok_and(|number| number.to_string() == text);
    match scalar.is_plain {
        _ if scalar.is_null() => "null".to_owned(),
        true if matches!(text, "true" | "false") || is_whole() => text.to_owned(),
        _ => quoted(text),
    }
}

fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}

#[cfg(test)]
mod tests {
    use crossfade_route::Nothing;

    use super::*;

    const BACKENDS: &str = "version: 1\nbackends: { a: https://a.example, b: https://b.example }\n";

    #[test]
    fn values_keep_their_meaning_and_their_order() {
        let yaml = format!(
            "# a comment\n{BACKENDS}accessLog: {{ percent: 0.5 }}\nroutes:\n  - name: 0017\n    priority: 10\n    conditions:\n      \
             path: [/z/*, /a/*]\n      header: [{{ name: x-id, values: ['1.10', 010, true] }}]\n    forward: {{ targets: [{{ backend: b, \
             weight: 1 }}, {{ backend: a, weight: 99 }}] }}\ndefault: {{ forward: a }}\ntests:\n  - request: GET https://a/\n    \
             expect: {{ backend: a }}\n"
        );
        let json = as_json(&yaml, &Nothing).unwrap();
        assert!(
            json.starts_with("{\n  \"version\": 1,\n  \"backends\": {\"a\": \"https://a.example\", \"b\""),
            "{json}"
        );
        for expected in ["\"percent\": \"0.5\"", "\"name\": \"0017\"", "\"priority\": 10", "\"010\"", "\"1.10\""] {
            assert!(json.contains(expected), "{expected}: {json}");
        }
        assert!(!json.contains("tests") && !json.contains("comment"), "{json}");
        assert!(json.find("/z/*") < json.find("/a/*"), "{json}");
        // The function reads it without falling back to YAML.
        assert!(crossfade_document::parse_json(&json, &|_| None).is_some(), "{json}");
    }

    #[test]
    fn variables_are_those_of_the_start() {
        let yaml = "version: 1\nbackends: { a: 'https://${env:HOST, a.example}' }\ndefault: { forward: a }\n";
        assert!(as_json(yaml, &Nothing).unwrap().contains("\"https://${env:HOST, a.example}\""));
    }

    #[test]
    fn json_with_another_meaning_is_not_written() {
        let yaml = format!("{BACKENDS}default: {{ fixedResponse: {{ status: 0200, body: x }} }}\n");
        assert!(RoutingTable::from_config(&yaml, "", &Nothing).is_ok());
        assert_eq!(as_json(&yaml, &Nothing), None);
    }
}
