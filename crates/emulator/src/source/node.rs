//! The tree of a file that describes listeners: what it has beyond `crossfade-document`'s. Owns the values that cannot
//! be known here, the files that nodes come from, and CloudFormation's short tags, which are read as the long form:
//! `!Ref X` is `{ Ref: X }`, `!Sub x` is `{ "Fn::Sub": x }`.

use crossfade_document::{Diagnostic, Key, Options, Place, Scalar, explain, merge_keys};

pub(super) type Node = crossfade_document::Node<Unknown>;
pub(super) type Value = crossfade_document::Value<Unknown>;

/// A value that cannot be known here.
#[derive(Clone, Debug)]
pub(super) struct Unknown {
    /// The text in the file.
    pub(super) written: String,
    pub(super) why: String,
    pub(super) hint: Option<String>,
    /// It is an error in the file; otherwise only AWS knows the value.
    pub(super) is_error: bool,
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

/// Longer values are cut in messages.
const EXCERPT: usize = 120;

/// A value as a message shows it: cut to a reasonable length.
pub(super) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT).and_then(|(end, _)| text.get(..end)) {
        Some(start) => format!("{start}…"),
        None => text.to_owned(),
    }
}

/// Parses a text that holds one document. An empty text gives a null node.
pub(super) fn parse(text: &str, file: u32) -> Result<Node, Box<Diagnostic>> {
    let options = Options { file, tag: Some(tagged), merge: Some(merge_keys), substitute: None, mask: excerpt };
    let mut mistakes = Vec::new();
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    let document = crossfade_document::parse(text, &options, &mut mistakes);
    // With duplicate keys it is no tree.
    match mistakes.into_iter().min_by_key(|mistake| mistake.place) {
        Some(Diagnostic { hint: Some(hint), message, severity, place, .. }) => {
            let message = format!("{message}, {hint}");
            Err(Box::new(Diagnostic { severity, place, message, ..Diagnostic::error(Place::new(1, 1), String::new()) }))
        }
        Some(mistake) => Err(Box::new(mistake)),
        None => document.map_err(|error| explained(text, &options, error)),
    }
}

/// Returns the mistake behind a syntax error, if changing a line shows it.
fn explained(text: &str, options: &Options<'_, Unknown>, error: Box<Diagnostic>) -> Box<Diagnostic> {
    let judge = |text: &str| match crossfade_document::parse(text, options, &mut Vec::new()) {
        Ok(_) => Ok(Vec::new()),
        Err(error) => error.place.map_or(Ok(Vec::new()), Err),
    };
    let mistake = error.place.and_then(|place| explain(text, place, excerpt, &judge));
    mistake.map_or(error, |mistake| Box::new(mistake.diagnostic))
}

/// Applies a tag. `!!str` makes a text; other tags of YAML change nothing. A tag of CloudFormation becomes a
/// function with the node as its argument.
fn tagged(node: Node, handle: &str, suffix: &str) -> Node {
    if handle != "!" || suffix.is_empty() {
        let is_text = suffix == "str" || handle == "!";
        return match node.value {
            Value::Scalar(scalar) => {
                let is_plain = scalar.is_plain && !is_text;
                Node { value: Value::Scalar(Scalar { is_plain, ..scalar }), ..node }
            }
            _ => node,
        };
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
            None => node,
        },
        _ => node,
    };
    Node::new(place, Value::Map(vec![(Key { place, name }, argument)]))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<Node, Box<Diagnostic>> {
        super::parse(text, 0)
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
