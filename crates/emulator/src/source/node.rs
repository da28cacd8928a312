//! The tree of a file that describes listeners: what it has beyond `crossfade-document`'s. Owns the values that cannot
//! be known here, the files that nodes come from, and CloudFormation's short tags, which are read as the long form:
//! `!Ref X` is `{ Ref: X }`, `!Sub x` is `{ "Fn::Sub": x }`.

use std::collections::BTreeSet;

use crossfade_document::{Diagnostic, Key, Options, Place, Scalar, Severity, merge_keys};

use super::dialect::Dialect;

pub(super) type Node = crossfade_document::Node<Unknown>;
pub(super) type Value = crossfade_document::Value<Unknown>;

/// A value that cannot be known here.
#[derive(Clone, Debug, Default)]
pub(super) struct Unknown {
    /// The expression, with everything evaluated that can be. It identifies what it refers to: values that are equal for
    /// certain have the same expression, whatever their spelling in the file.
    pub(super) written: String,
    pub(super) why: String,
    pub(super) hint: Option<String>,
    /// It is an error in the file; otherwise only AWS knows the value.
    pub(super) is_error: bool,
    /// The parts of a text that is known in part; empty for other values.
    pub(super) parts: Vec<Part>,
}

/// A part of a text.
#[derive(Clone, Debug)]
pub(super) enum Part {
    Known(String),
    /// An expression.
    Unknown(String),
}

impl Unknown {
    /// Returns an error in the file.
    pub(super) fn error(why: String) -> Self {
        Unknown { why, is_error: true, ..Unknown::default() }
    }

    /// Returns a value that only AWS knows.
    pub(super) fn elsewhere(why: impl Into<String>) -> Self {
        Unknown { why: why.into(), ..Unknown::default() }
    }
}

/// The names of files by the numbers that places have.
#[derive(Clone, Debug, Default)]
pub(super) struct Files(Vec<String>);

impl Files {
    /// Returns the number of a file. There are far fewer files than numbers.
    pub(super) fn add(&mut self, name: &str) -> u32 {
        self.0.push(name.to_owned());
        (self.0.len() - 1) as u32
    }

    pub(super) fn name(&self, file: u32) -> &str {
        self.0.get(file as usize).map(String::as_str).unwrap_or_default()
    }

    /// The names by number.
    pub(super) fn into_names(self) -> Vec<String> {
        self.0
    }

    /// `file:line:column`.
    pub(super) fn shown(&self, place: Place) -> String {
        format!("{}:{}:{}", self.name(place.file), place.line, place.column)
    }
}

/// The first and the last characters of a longer value that messages show.
const EXCERPT: (usize, usize) = (80, 40);

/// A value as a message shows it: a long one without its middle, since both ends tell values apart.
pub(super) fn excerpt(text: &str) -> String {
    let (first, last) = EXCERPT;
    let start = text.char_indices().nth(first).and_then(|(end, _)| text.get(..end));
    let end = text.char_indices().rev().nth(last - 1).and_then(|(begin, _)| text.get(begin..));
    match (start, end) {
        (Some(start), Some(end)) if start.len() + end.len() < text.len() => format!("{start}…{end}"),
        _ => text.to_owned(),
    }
}

/// Parses a text that holds one document. An empty text gives a null node. The second value is the warnings: duplicate
/// keys, where the dialect accepts them.
pub(super) fn parse(text: &str, file: u32, dialect: &Dialect) -> Result<(Node, Vec<Diagnostic>), Box<Diagnostic>> {
    let options = Options { file, tag: Some(tagged), merge: Some(merge), substitute: None, mask: excerpt };
    let mut found = Vec::new();
    let document = crossfade_document::parse(text, &options, &mut found);
    let mut found: Vec<Diagnostic> = found.into_iter().map(in_one_sentence).collect();
    found.sort_by_key(|diagnostic| diagnostic.place);
    if let Some(program) = dialect.last_duplicate_wins {
        for diagnostic in &mut found {
            diagnostic.severity = Severity::Warning;
            diagnostic.message.push_str(&format!("; {program} uses the last one"));
        }
    } else if !found.is_empty() {
        return Err(Box::new(found.swap_remove(0)));
    }
    let mut document = document?;
    if !found.is_empty() {
        keep_last(&mut document);
    }
    dialect.apply(&mut document);
    Ok((document, found))
}

/// A duplicate key has its first place as the hint.
fn in_one_sentence(diagnostic: Diagnostic) -> Diagnostic {
    match diagnostic.hint {
        Some(hint) => Diagnostic { message: format!("{}, {hint}", diagnostic.message), hint: None, ..diagnostic },
        None => diagnostic,
    }
}

/// Keeps the last of each group of members with the same name, in all maps.
fn keep_last(node: &mut Node) {
    match &mut node.value {
        Value::List(items) => items.iter_mut().for_each(keep_last),
        Value::Map(members) => {
            keep_last_of(members);
            members.iter_mut().for_each(|(_, member)| keep_last(member));
        }
        Value::Scalar(_) | Value::Unknown(_) => {}
    }
}

fn keep_last_of(members: &mut Vec<(Key, Node)>) {
    let mut later = BTreeSet::new();
    members.reverse();
    members.retain(|(key, _)| later.insert(key.name.clone()));
    members.reverse();
}

/// YAML's merge keys. In a merged map, the last of several members with the same name counts, too.
fn merge(members: Vec<(Key, Node)>, mut merged: Vec<Node>) -> Option<Vec<(Key, Node)>> {
    merged.iter_mut().for_each(keep_last);
    merge_keys(members, merged)
}

/// Applies a tag. `!!str` makes a text; other tags of YAML change nothing. A tag of CloudFormation becomes a
/// function with the node as its argument; a scalar is then a text, whatever it looks like.
fn tagged(node: Node, handle: &str, suffix: &str) -> Node {
    let as_text = |node: Node| match node.value {
        Value::Scalar(scalar) => Node { value: Value::Scalar(Scalar { is_plain: false, ..scalar }), ..node },
        _ => node,
    };
    if handle != "!" || suffix.is_empty() {
        return if suffix == "str" || handle == "!" { as_text(node) } else { node };
    }
    let name = match suffix {
        "Ref" | "Condition" => suffix.into(),
        other => format!("Fn::{other}").into(),
    };
    let place = node.place;
    let argument = match (suffix, &node.value) {
        // `!GetAtt Function.Arn`: the attribute begins behind the first dot, save for nested stacks and SAM's aliases.
        ("GetAtt", Value::Scalar(scalar)) => match scalar.text.split_once('.') {
            Some((resource, attribute)) => {
                let parts = [resource, attribute].map(|part| Node::quoted(place, part));
                Node::new(place, Value::List(parts.into()))
            }
            None => as_text(node),
        },
        _ => as_text(node),
    };
    Node::new(place, Value::Map(vec![(Key { place, name }, argument)]))
}

/// Replaces dynamic references to the parameter store and Secrets Manager (user guide, "dynamic references") by the values
/// that the user gives for them.
///
/// # Errors
///
/// The first reference that has no value.
pub(super) fn without_dynamic_references(text: &str, given: &[(String, String)]) -> Result<String, String> {
    let mut whole = String::new();
    let mut rest = text;
    while let Some((before, reference)) = rest.find("{{resolve:").and_then(|start| rest.split_at_checked(start)) {
        let end = reference.find("}}").map_or(reference.len(), |end| end + "}}".len());
        let (reference, behind) = reference.split_at_checked(end).unwrap_or((reference, ""));
        let services = ["ssm:", "ssm-secure:", "secretsmanager:"];
        let service = reference.strip_prefix("{{resolve:").unwrap_or_default();
        let is_one = reference.ends_with("}}") && services.iter().any(|known| service.starts_with(known));
        whole.push_str(before);
        match given.iter().rev().find(|(name, _)| name == reference) {
            Some((_, value)) => whole.push_str(value),
            None if is_one => return Err(reference.to_owned()),
            None => whole.push_str(reference),
        }
        rest = behind;
    }
    Ok(whole + rest)
}

/// Resolves the dynamic references in a tree; a text with one that has no value becomes unknown. CloudFormation resolves
/// them after all functions, so that they are ordinary texts until then.
pub(super) fn resolve_dynamic_references(node: &mut Node, given: &[(String, String)]) {
    match &mut node.value {
        Value::Scalar(scalar) if scalar.text.contains("{{resolve:") => {
            node.value = match without_dynamic_references(&scalar.text, given) {
                Ok(text) => Value::Scalar(Scalar::quoted(text)),
                Err(reference) => Value::Unknown(Unknown {
                    written: scalar.text.to_string(),
                    hint: Some(option_for(&reference)),
                    ..Unknown::elsewhere("only AWS resolves dynamic references")
                }),
            };
        }
        Value::List(items) => items.iter_mut().for_each(|item| resolve_dynamic_references(item, given)),
        Value::Map(members) => members.iter_mut().for_each(|(_, member)| resolve_dynamic_references(member, given)),
        Value::Scalar(_) | Value::Unknown(_) => {}
    }
}

/// The hint for the value of an expression, in a form that a shell takes.
pub(super) fn option_for(expression: &str) -> String {
    match expression.contains(['\'', '=']) {
        true => "write the value, or make it a parameter and set it with `--param NAME=VALUE`".to_owned(),
        false => format!("set it with `--param '{expression}=VALUE'`"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::source::dialect::{FRAMEWORK, TEMPLATE};

    fn parse(text: &str) -> Result<Node, Box<Diagnostic>> {
        super::parse(text, 0, &FRAMEWORK).map(|(node, _)| node)
    }

    /// A node in a form like JSON.
    fn shown(node: &Node) -> String {
        match &node.value {
            Value::Scalar(scalar) if scalar.is_null() => "null".to_owned(),
            Value::Scalar(scalar) => scalar.text.to_string(),
            Value::List(items) => format!("[{}]", items.iter().map(shown).collect::<Vec<_>>().join(", ")),
            Value::Map(members) => {
                let members: Vec<_> =
                    members.iter().map(|(key, node)| format!("{}: {}", key.name, shown(node))).collect();
                format!("{{{}}}", members.join(", "))
            }
            Value::Unknown(unknown) => format!("?{}", unknown.written),
        }
    }

    #[test]
    fn short_tags_are_the_long_form() {
        let node = parse(
            "a: !Ref X\nb: !GetAtt F.Arn\nc: !Sub ['${A}', { A: !Ref B }]\nd: !If [C, !Ref 'AWS::NoValue', 1]\ne: !!str 5\nf: ! 5\ng: !Condition C\n",
        );
        assert_eq!(
            shown(&node.unwrap()),
            "{a: {Ref: X}, b: {Fn::GetAtt: [F, Arn]}, c: {Fn::Sub: [${A}, {A: {Ref: B}}]}, \
             d: {Fn::If: [C, {Ref: AWS::NoValue}, 1]}, e: 5, f: 5, g: {Condition: C}}"
        );
    }

    #[test]
    fn merge_keys_add_what_is_not_written() {
        let node =
            parse("a: &a { x: 1, y: 2 }\nb: &b { y: 3, z: 4 }\nc:\n  y: 5\n  <<: [*a, *b]\nd: { <<: *a }\n").unwrap();
        assert_eq!(shown(node.get("c").unwrap()), "{y: 5, x: 1, z: 4}");
        assert_eq!(shown(node.get("d").unwrap()), "{x: 1, y: 2}");
        assert!(parse("a: { <<: 1 }").unwrap_err().message.contains("`<<`"));
    }

    #[test]
    fn templates_may_have_duplicate_keys_and_the_last_one_counts() {
        let text = "a: 1\nb: &b { x: 1, y: 2, x: 3 }\na: 4\nc: { <<: *b, y: 5 }\nd: { <<: [*b], z: 6, z: 7 }\na: 8\n";
        let (node, warnings) = super::parse(text, 0, &TEMPLATE).unwrap();
        assert_eq!(shown(&node), "{b: {y: 2, x: 3}, c: {y: 5, x: 3}, d: {z: 7, y: 2, x: 3}, a: 8}");
        let warnings: Vec<String> = warnings
            .iter()
            .map(|warning| format!("{:?} {}: {}", warning.severity, warning.place.unwrap().line, warning.message))
            .collect();
        assert_eq!(
            warnings,
            [
                "Warning 2: duplicate key `x`, first defined in line 2; CloudFormation uses the last one",
                "Warning 3: duplicate key `a`, first defined in line 1; CloudFormation uses the last one",
                "Warning 5: duplicate key `z`, first defined in line 5; CloudFormation uses the last one",
                "Warning 6: duplicate key `a`, first defined in line 1; CloudFormation uses the last one",
            ]
        );
    }

    #[test]
    fn dynamic_references_are_found_anywhere_in_a_text() {
        let given = [("{{resolve:ssm:/b}}".to_owned(), "c".to_owned())];
        for (text, result) in [
            ("{{resolve:ssm:/a}}", Err("{{resolve:ssm:/a}}")),
            ("x-{{resolve:ssm-secure:a:1}}-{{resolve", Err("{{resolve:ssm-secure:a:1}}")),
            (
                "{{resolve:x}} {{resolve:secretsmanager:a:SecretString:b}}",
                Err("{{resolve:secretsmanager:a:SecretString:b}}"),
            ),
            ("é{{resolve:ssm:/b}}-{{resolve:ssm:/b}}", Ok("éc-c")),
            ("{{resolve:ssm:/b}}{{resolve:ssm:/a}}", Err("{{resolve:ssm:/a}}")),
            ("{{resolve:ssm:/a}", Ok("{{resolve:ssm:/a}")),
            ("{{resolve:other:/a}}", Ok("{{resolve:other:/a}}")),
            ("{{ssm:/a}}", Ok("{{ssm:/a}}")),
        ] {
            let result = result.map(str::to_owned).map_err(str::to_owned);
            assert_eq!(without_dynamic_references(text, &given), result, "{text}");
        }
    }

    #[test]
    fn long_values_keep_both_ends() {
        assert_eq!(excerpt(&"a".repeat(120)), "a".repeat(120));
        let long = format!("!ImportValue {}-HttpListener", "é".repeat(200));
        let shown = excerpt(&long);
        assert!(shown.starts_with("!ImportValue éé") && shown.ends_with("éé-HttpListener"), "{shown}");
        assert_eq!(shown.chars().count(), 121);
    }

    #[test]
    fn places_count_from_one() {
        let node = parse("a:\n  - b: c\n").unwrap();
        let inner = node.at(&["a"]).unwrap().items()[0].get("b").unwrap();
        let mut files = Files::default();
        assert_eq!(files.add("x.yml"), inner.place.file);
        assert_eq!(files.shown(inner.place), "x.yml:2:8");
    }

    #[test]
    fn json_with_its_escapes() {
        let node = parse("{\n\t\"a\\/b\": \"\\u00e9\\n\", \"c\": [1, true, null]\n}").unwrap();
        assert_eq!(shown(&node), "{a/b: \u{e9}\n, c: [1, true, null]}");
    }

    #[test]
    fn what_has_no_end_or_no_sense_is_refused() {
        let mut laughs = "a0: &a0 [1]\n".to_owned();
        for level in 1..40 {
            laughs.push_str(&format!("a{level}: &a{level} [*a{0}, *a{0}]\n", level - 1));
        }
        assert_eq!(parse(&laughs).unwrap_err().message, "the document has too many nodes");
        let mut deep = "a0: &a0 [x]\n".to_owned();
        for level in 1..100 {
            deep.push_str(&format!("a{level}: &a{level} [*a{}]\n", level - 1));
        }
        assert_eq!(parse(&deep).unwrap_err().message, "the document is nested too deeply");
        for text in ["[".repeat(100_000), "{a: ".repeat(100_000), "- ".repeat(100_000), "? ".repeat(100_000)] {
            assert!(parse(&text).is_err());
        }
        assert!(parse(&"a".repeat(10_000_000)).unwrap_err().message.contains("bytes"));
        assert!(parse("a: &a [*a]").is_err());
        assert!(parse("a: 1\na: 2").unwrap_err().message.contains("duplicate key `a`"));
        assert!(parse("a: 1\n---\nb: 2").unwrap_err().message.contains("second document"));
        assert!(parse("").unwrap().is_null() && parse("# only\n").unwrap().is_null());
    }
}
