//! YAML as people write it: maps with one key per line, short ones on one line. Owns quoting; `file` knows the keys.

use crate::terminal::printable_json;

/// Longest line that holds a nested map or list.
const WIDTH: usize = 110;

/// A value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Yaml {
    /// A string.
    Text(String),
    /// A number, a boolean or a string with variables of the configuration, as it is.
    Raw(String),
    List(Vec<Yaml>),
    Map(Vec<(String, Yaml)>),
}

impl Yaml {
    pub(crate) fn text(text: &str) -> Yaml {
        Yaml::Text(text.to_owned())
    }

    pub(crate) fn map<const N: usize>(entries: [(&str, Yaml); N]) -> Yaml {
        Yaml::Map(entries.map(|(key, value)| (key.to_owned(), value)).into())
    }

    /// A string whose `${…}` are variables of the configuration.
    pub(crate) fn template(text: &str) -> Yaml {
        Yaml::Raw(quoted_if_needed(text))
    }

    pub(crate) fn number(number: impl std::fmt::Display) -> Yaml {
        Yaml::Raw(number.to_string())
    }

    /// The value of a key; `None` for an unknown key.
    pub(crate) fn get(&self, key: &str) -> Option<&Yaml> {
        let Yaml::Map(entries) = self else { return None };
        entries.iter().find(|(known, _)| known == key).map(|(_, value)| value)
    }

    /// On one line.
    pub(crate) fn flow(&self) -> String {
        let list = |items: Vec<String>| items.join(", ");
        match self {
            Yaml::Text(text) => scalar(text),
            Yaml::Raw(text) => text.clone(),
            Yaml::List(items) => format!("[{}]", list(items.iter().map(Yaml::flow).collect())),
            Yaml::Map(entries) if entries.is_empty() => "{}".to_owned(),
            Yaml::Map(entries) => {
                let entry = |(key, value): &(String, Yaml)| format!("{}: {}", quoted_if_needed(key), value.flow());
                format!("{{ {} }}", list(entries.iter().map(entry).collect()))
            }
        }
    }

    /// `key: value` and a line break, indented; on several lines if it is long.
    pub(crate) fn entry(&self, key: &str, indent: usize) -> String {
        let (space, flow) = (" ".repeat(indent), self.flow());
        let key = quoted_if_needed(key);
        let is_short = space.len() + key.len() + flow.len() + 2 <= WIDTH;
        match self {
            Yaml::Map(entries) if !is_short => {
                let inner: String = entries.iter().map(|(key, value)| value.entry(key, indent + 2)).collect();
                format!("{space}{key}:\n{inner}")
            }
            Yaml::List(items) if !is_short => {
                let inner: String = items.iter().map(|item| format!("{space}  - {}\n", item.flow())).collect();
                format!("{space}{key}:\n{inner}")
            }
            _ => format!("{space}{key}: {flow}\n"),
        }
    }
}

/// The start of a variable in a configuration; a further `$` before it makes it text.
const VARIABLE: &str = "${env:";

/// A text as the value of a configuration.
pub(crate) fn scalar(text: &str) -> String {
    quoted_if_needed(&text.replace(VARIABLE, "$${env:"))
}

/// A text as a YAML string: quoted unless it is clearly a word, a path or a URL. A JSON string is a YAML string.
pub(crate) fn quoted_if_needed(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "/_.*?:-".contains(c);
    let begins = text.starts_with(|c: char| c.is_ascii_alphabetic() || c == '/') && !text.ends_with(':');
    // Some version of YAML reads these as other types.
    let is_a_word_of_yaml = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"]
        .iter()
        .any(|word| word.eq_ignore_ascii_case(text));
    if begins && text.chars().all(is_plain) && !is_a_word_of_yaml {
        text.to_owned()
    } else {
        printable_json(&serde_json::json!(text).to_string())
    }
}
