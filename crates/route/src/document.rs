//! Typed access to a document that notes mistakes and goes on, so that all of them are reported at once. Knows nothing
//! of what the keys mean; how the text becomes a document is `yaml`'s.

use std::time::Duration;

use crate::diagnostic::Diagnostic;
use crate::yaml::{Key, Node, Value};

/// Collects what is wrong while a document is read.
#[derive(Debug, Default)]
pub(crate) struct Mistakes(pub(crate) Vec<Diagnostic>);

impl Mistakes {
    fn add(&mut self, place: (usize, usize), path: &str, message: impl Into<String>, hint: Option<String>) {
        self.0.push(Diagnostic { place: Some(place), path: path.to_owned(), message: message.into(), hint });
    }
}

/// A node with the keys that led to it.
#[derive(Clone, Debug)]
pub(crate) struct At<'n> {
    node: &'n Node,
    path: String,
}

impl<'n> At<'n> {
    pub(crate) fn top(node: &'n Node) -> Self {
        At { node, path: String::new() }
    }

    fn inner(&self, key: &str, node: &'n Node) -> Self {
        let path = if self.path.is_empty() { key.to_owned() } else { format!("{}.{key}", self.path) };
        At { node, path }
    }

    pub(crate) fn wrong(&self, mistakes: &mut Mistakes, message: impl Into<String>, hint: Option<String>) {
        mistakes.add(self.node.place, &self.path, message, hint);
    }

    /// A map with these keys and no others; `None` if it is no map at all.
    pub(crate) fn keys<const N: usize>(
        &self,
        mistakes: &mut Mistakes,
        known: [&'static str; N],
    ) -> Option<[Option<At<'n>>; N]> {
        let mut found = [const { None }; N];
        for (key, node) in self.members(mistakes)? {
            match known.iter().position(|known| *known == key.name) {
                Some(index) => found[index] = Some(self.inner(&key.name, node)),
                None => {
                    let hint = match closest(&key.name, &known) {
                        Some(known) => format!("did you mean `{known}`?"),
                        None => format!("known keys: {}", known.join(", ")),
                    };
                    mistakes.add(key.place, &self.path, format!("unknown key `{}`", key.name), Some(hint));
                }
            }
        }
        Some(found)
    }

    /// A map with names that the user chooses.
    pub(crate) fn entries(&self, mistakes: &mut Mistakes) -> Option<Vec<(&'n str, At<'n>)>> {
        let members = self.members(mistakes)?;
        Some(members.iter().map(|(key, node)| (key.name.as_str(), self.inner(&key.name, node))).collect())
    }

    fn members(&self, mistakes: &mut Mistakes) -> Option<&'n [(Key, Node)]> {
        match &self.node.value {
            Value::Map(members) => Some(members),
            other => {
                self.wrong(mistakes, format!("is {}, expected a map", other.kind()), None);
                None
            }
        }
    }

    /// The text, if it is one: for places where a short form stands for a map.
    pub(crate) fn as_text(&self) -> Option<&'n str> {
        match &self.node.value {
            Value::Text(text) => Some(text),
            _ => None,
        }
    }

    pub(crate) fn text(&self, mistakes: &mut Mistakes) -> Option<&'n str> {
        if self.as_text().is_none() {
            self.wrong(mistakes, format!("is {}, expected a text", self.node.value.kind()), None);
        }
        self.as_text()
    }

    pub(crate) fn number(&self, mistakes: &mut Mistakes) -> Option<f64> {
        match self.node.value {
            Value::Number(number) => Some(number),
            ref other => {
                self.wrong(mistakes, format!("is {}, expected a number", other.kind()), None);
                None
            }
        }
    }

    /// One of a few words.
    pub(crate) fn word<T: Copy>(&self, mistakes: &mut Mistakes, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(mistakes)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let list: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            self.wrong(mistakes, format!("`{text}` is not one of {}", list.join(", ")), None);
        }
        found
    }

    /// A duration above zero like `250ms`, `5s`, `1.5s` or `2m`.
    pub(crate) fn duration(&self, mistakes: &mut Mistakes) -> Option<Duration> {
        const HINT: &str = "write a number and a unit, like 250ms, 5s or 2m";
        let text = match &self.node.value {
            Value::Text(text) => text.as_str(),
            other => {
                self.wrong(mistakes, format!("is {}, expected a duration", other.kind()), Some(HINT.into()));
                return None;
            }
        };
        let duration = parse_duration(text);
        if duration.is_none() {
            self.wrong(mistakes, format!("`{text}` is not a duration"), Some(HINT.into()));
        }
        duration
    }
}

fn parse_duration(text: &str) -> Option<Duration> {
    let unit_at = text.find(|letter: char| letter.is_ascii_alphabetic())?;
    let (number, unit) = text.split_at(unit_at);
    let milliseconds = match unit {
        "ms" => 1.0,
        "s" => 1_000.0,
        "m" => 60_000.0,
        _ => return None,
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let seconds = number.parse::<f64>().ok()? * milliseconds / 1_000.0;
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero())
}

/// The known word that a misspelt one most likely means.
pub(crate) fn closest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    let word = word.to_ascii_lowercase();
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&word, &known.to_ascii_lowercase()), *known))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations() {
        assert_eq!(parse_duration("250ms"), Some(Duration::from_millis(250)));
        assert_eq!(parse_duration("1.5s"), Some(Duration::from_millis(1500)));
        assert_eq!(parse_duration("2m"), Some(Duration::from_secs(120)));
        for text in ["", "5", "s", "-5s", "5 s", "5h", "0s", "1e3s", "infs", "1.2.3s", "99999999999999999999999s"] {
            assert_eq!(parse_duration(text), None, "{text}");
        }
    }

    #[test]
    fn misspelt_keys() {
        assert_eq!(closest("backend", &["backends", "default"]), Some("backends"));
        assert_eq!(closest("hostheader", &["hostHeader", "http2"]), Some("hostHeader"));
        assert_eq!(closest("colour", &["backends", "default"]), None);
    }
}
