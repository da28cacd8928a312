//! Typed access to a document that notes mistakes and goes on, so that all of them are reported at once. Knows nothing
//! of what the keys mean; how the text becomes a document is `yaml`'s.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use crate::diagnostic::{Diagnostic, MAX_FINDINGS, Severity};
use crate::masked::masked;
use crate::mirror::Share;
use crate::yaml::{Key, Node, Piece, Scalar, Value};

/// Collects what is wrong while a document is read.
#[derive(Debug, Default)]
pub(crate) struct Mistakes<'n>(Vec<(&'n Node, Diagnostic)>);

impl<'n> Mistakes<'n> {
    fn add(&mut self, node: &'n Node, severity: Severity, place: (u32, u32), message: String, hint: Option<String>) {
        if self.0.len() < MAX_FINDINGS {
            self.0.push((node, Diagnostic { severity, hint, ..Diagnostic::error(place, message) }));
        }
    }

    /// Whether there is something that makes the configuration useless.
    pub(crate) fn has_errors(&self) -> bool {
        self.0.iter().any(|(_, diagnostic)| diagnostic.severity == Severity::Error)
    }

    /// With the keys that lead to each: they are looked for in the end, so that a good document pays nothing for them.
    pub(crate) fn located(self, document: &Node) -> Vec<Diagnostic> {
        let mut paths = Paths { of: HashMap::new() };
        for (node, _) in &self.0 {
            paths.of.insert(std::ptr::from_ref(*node), None);
        }
        paths.walk(document, String::new(), None);
        let located = self.0.into_iter().map(|(node, diagnostic)| {
            let (path, route) = paths.of.get(&std::ptr::from_ref(node)).cloned().flatten().unwrap_or_default();
            Diagnostic { path, route, ..diagnostic }
        });
        located.collect()
    }
}

/// Nodes by their addresses, which stay while the document is borrowed.
struct Paths {
    of: HashMap<*const Node, Option<(String, Option<String>)>>,
}

impl Paths {
    fn walk(&mut self, node: &Node, path: String, route: Option<&str>) {
        match &node.value {
            Value::Scalar(_) => {}
            Value::List(items) => {
                for (index, item) in items.iter().enumerate() {
                    let name = if path == "routes" {
                        item.member("name").filter(|name| name.as_text().is_some())
                    } else {
                        None
                    };
                    let name = name.map(Node::shown);
                    self.walk(item, format!("{path}[{index}]"), name.as_deref().or(route));
                }
            }
            Value::Map(members) => {
                for (key, member) in members {
                    let name = masked(&key.name);
                    let inner = if path.is_empty() { name } else { format!("{path}.{name}") };
                    self.walk(member, inner, route);
                }
            }
        }
        if let Some(found) = self.of.get_mut(&std::ptr::from_ref(node)) {
            *found = Some((path, route.map(str::to_owned)));
        }
    }
}

impl Node {
    /// Notes something that makes the configuration useless.
    pub(crate) fn wrong<'n>(&'n self, mistakes: &mut Mistakes<'n>, message: impl Into<String>, hint: Option<String>) {
        mistakes.add(self, Severity::Error, self.place, message.into(), hint);
    }

    /// Notes something that can hardly be meant.
    pub(crate) fn doubtful<'n>(
        &'n self,
        mistakes: &mut Mistakes<'n>,
        message: impl Into<String>,
        hint: Option<String>,
    ) {
        mistakes.add(self, Severity::Warning, self.place, message.into(), hint);
    }

    fn is_no<'n>(&'n self, mistakes: &mut Mistakes<'n>, expected: &str, hint: Option<String>) {
        self.wrong(mistakes, format!("is {}, expected {expected}", self.value.kind()), hint);
    }

    /// A map with these keys and no others; `None` if it is no map at all.
    pub(crate) fn keys<'n, const N: usize>(
        &'n self,
        mistakes: &mut Mistakes<'n>,
        known: [&'static str; N],
    ) -> Option<[Option<&'n Node>; N]> {
        let mut found = [None; N];
        for (key, node) in self.members(mistakes)? {
            match known.iter().zip(&mut found).find(|(known, _)| **known == &*key.name) {
                Some((_, found)) => *found = Some(node),
                None => {
                    let hint = closest(&key.name, &known);
                    let hint = hint.map(|known| format!("did you mean `{known}`?"));
                    let hint = hint.unwrap_or_else(|| format!("known keys: {}", known.join(", ")));
                    let message = format!("unknown key `{}`", masked(&key.name));
                    mistakes.add(self, Severity::Error, key.place, message, Some(hint));
                }
            }
        }
        Some(found)
    }

    /// A map with names that the user chooses.
    pub(crate) fn members<'n>(&'n self, mistakes: &mut Mistakes<'n>) -> Option<&'n [(Key, Node)]> {
        match &self.value {
            Value::Map(members) => Some(members),
            _ => {
                self.is_no(mistakes, "a map", None);
                None
            }
        }
    }

    /// A member of a map, if there is one.
    pub(crate) fn member(&self, name: &str) -> Option<&Node> {
        match &self.value {
            Value::Map(members) => members.iter().find(|(key, _)| &*key.name == name).map(|(_, node)| node),
            _ => None,
        }
    }

    /// A list with at least one item.
    pub(crate) fn items<'n>(&'n self, mistakes: &mut Mistakes<'n>) -> Option<&'n [Node]> {
        match &self.value {
            Value::List(items) if items.is_empty() => {
                self.wrong(mistakes, "is empty", Some("leave it out, or name something".into()));
                None
            }
            Value::List(items) => Some(items),
            _ => {
                self.is_no(mistakes, "a list", None);
                None
            }
        }
    }

    /// A list with at least one item, or a single one without the list around it.
    pub(crate) fn one_or_more<'n>(&'n self, mistakes: &mut Mistakes<'n>) -> Option<&'n [Node]> {
        match &self.value {
            Value::List(_) => self.items(mistakes),
            _ => Some(std::slice::from_ref(self)),
        }
    }

    /// Whether it is nothing, or a list of nothing.
    pub(crate) fn is_empty(&self) -> bool {
        match &self.value {
            Value::Scalar(scalar) => scalar.is_null(),
            Value::List(items) => items.is_empty(),
            Value::Map(_) => false,
        }
    }

    pub(crate) fn as_map(&self) -> Option<&[(Key, Node)]> {
        match &self.value {
            Value::Map(members) => Some(members),
            _ => None,
        }
    }

    fn as_scalar(&self) -> Option<&Scalar> {
        match &self.value {
            Value::Scalar(scalar) if !scalar.is_null() => Some(scalar),
            _ => None,
        }
    }

    /// The text, if it is one: for places where a short form stands for a map.
    pub(crate) fn as_text(&self) -> Option<&str> {
        self.as_scalar().map(|scalar| &*scalar.text)
    }

    /// The text for messages: as it stands in the file.
    pub(crate) fn shown(&self) -> String {
        let shown = |scalar: &Scalar| masked(scalar.written.as_ref().map_or(&scalar.text, |written| &written.text));
        self.as_scalar().map(shown).unwrap_or_default()
    }

    /// What the text is made of.
    pub(crate) fn pieces(&self) -> Vec<Piece> {
        match self.as_scalar() {
            Some(Scalar { written: Some(written), .. }) => written.pieces.clone(),
            Some(scalar) => vec![Piece::OfFile(scalar.text.to_string())],
            None => Vec::new(),
        }
    }

    /// A text; numbers and booleans are texts, too.
    pub(crate) fn text<'n>(&'n self, mistakes: &mut Mistakes<'n>) -> Option<&'n str> {
        if self.as_text().is_none() {
            self.is_no(mistakes, "a text", None);
        }
        self.as_text()
    }

    pub(crate) fn boolean<'n>(&'n self, mistakes: &mut Mistakes<'n>) -> Option<bool> {
        let boolean = self.as_scalar().and_then(Scalar::as_bool);
        if boolean.is_none() {
            self.is_no(mistakes, "true or false", None);
        }
        boolean
    }

    /// A whole number within limits.
    pub(crate) fn whole<'n>(&'n self, mistakes: &mut Mistakes<'n>, range: RangeInclusive<u32>) -> Option<u32> {
        let limits = format!("a whole number from {} to {}", range.start(), range.end());
        let Some(number) = self.as_scalar().and_then(Scalar::as_number) else {
            self.is_no(mistakes, &limits, None);
            return None;
        };
        let within = number.fract() == 0.0 && number >= f64::from(*range.start()) && number <= f64::from(*range.end());
        if !within {
            self.wrong(mistakes, format!("`{}` is not {limits}", self.shown()), None);
        }
        // Within the limits of u32.
        within.then_some(number as u32)
    }

    /// A share from 1 to 100, with or without `%`.
    pub(crate) fn percent<'n>(&'n self, mistakes: &mut Mistakes<'n>) -> Option<u32> {
        let text = self.text(mistakes)?;
        let percent = text.strip_suffix('%').unwrap_or(text).trim_end().parse().ok();
        let percent = percent.filter(|percent| (1..=100).contains(percent));
        if percent.is_none() {
            self.wrong(mistakes, format!("`{}` is not a percentage from 1 to 100", self.shown()), None);
        }
        percent
    }

    /// A share from 0 to 100 percent, with or without `%`, and with up to three decimals.
    pub(crate) fn share<'n>(&'n self, mistakes: &mut Mistakes<'n>) -> Option<Share> {
        let text = self.text(mistakes)?;
        let share = Share::parse(text.strip_suffix('%').unwrap_or(text).trim_end());
        if share.is_none() {
            let hint = "write it with three decimals at most, like 20 or 0.5";
            self.wrong(mistakes, format!("`{}` is not a percentage from 0 to 100", self.shown()), Some(hint.into()));
        }
        share
    }

    /// One of a few words.
    pub(crate) fn word<'n, T: Copy>(&'n self, mistakes: &mut Mistakes<'n>, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(mistakes)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let list: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            // One number is not a misspelt other one.
            let hint = closest(text, &list).filter(|_| text.starts_with(|first: char| first.is_ascii_alphabetic()));
            let hint = hint.map(|known| format!("did you mean `{known}`?"));
            self.wrong(mistakes, format!("`{}` is not one of {}", self.shown(), list.join(", ")), hint);
        }
        found
    }

    /// A duration above zero like `250ms`, `5s`, `1.5s`, `2m`, `1h` or `30d`.
    pub(crate) fn duration<'n>(&'n self, mistakes: &mut Mistakes<'n>) -> Option<Duration> {
        const HINT: &str = "write a number and a unit, like 250ms, 5s or 2m";
        let is_text = self.as_scalar().is_some_and(|scalar| scalar.as_number().is_none() && scalar.as_bool().is_none());
        if !is_text {
            self.is_no(mistakes, "a duration", Some(HINT.into()));
            return None;
        }
        let duration = self.as_text().and_then(parse_duration);
        if duration.is_none() {
            self.wrong(mistakes, format!("`{}` is not a duration", self.shown()), Some(HINT.into()));
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
        "h" => 3_600_000.0,
        "d" => 86_400_000.0,
        _ => return None,
    };
    if !number.bytes().all(|byte| byte.is_ascii_digit() || byte == b'.') {
        return None;
    }
    let seconds = number.parse::<f64>().ok()? * milliseconds / 1_000.0;
    // Longer is an instant that clocks cannot tell.
    let too_long = Duration::from_secs(10 * 366 * 86_400);
    Duration::try_from_secs_f64(seconds).ok().filter(|duration| !duration.is_zero() && *duration <= too_long)
}

/// The known word that a misspelt one most likely means.
pub(crate) fn closest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    // The distance takes time by the product of both.
    let word = if word.len() > 64 { return None } else { word.to_ascii_lowercase() };
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
        assert_eq!(parse_duration("30d"), Some(Duration::from_secs(30 * 86_400)));
        for text in
            ["", "5", "s", "-5s", "5 s", "5w", "0s", "1e3s", "infs", "1.2.3s", "99999999999999999999999s", "9999d"]
        {
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
