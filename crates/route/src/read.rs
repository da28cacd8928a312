//! Typed access to a document that notes mistakes and goes on, so that all of them are reported at once: [`Read`] gives a
//! [`Node`] its readers, [`Findings`] gathers. Knows nothing of what the keys mean, but that routes have names.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use crossfade_document::{Diagnostic, Key, MAX_FINDINGS, Node, Piece, Place, Scalar, Severity, Value, did_you_mean};

use crate::masked::masked;
use crate::mirror::Share;

/// What is found while a document is read, each with the ID of its node.
#[derive(Debug, Default)]
pub(crate) struct Findings(Vec<(u32, Diagnostic)>);

impl Findings {
    fn add(&mut self, node: &Node, severity: Severity, place: Place, message: String, hint: Option<String>) {
        if self.0.len() < MAX_FINDINGS {
            self.0.push((node.id, Diagnostic { severity, hint, ..Diagnostic::error(place, message) }));
        }
    }

    /// Returns whether something makes the configuration useless.
    pub(crate) fn has_errors(&self) -> bool {
        self.0.iter().any(|(_, diagnostic)| diagnostic.severity == Severity::Error)
    }

    /// With the keys that lead to each: they are looked for in the end, so that a good document pays nothing for them.
    pub(crate) fn located(self, document: &Node) -> Vec<Diagnostic> {
        let mut paths = Paths { of: self.0.iter().map(|(id, _)| (*id, None)).collect() };
        paths.walk(document, String::new(), None);
        let located = self.0.into_iter().map(|(id, diagnostic)| {
            let (path, route) = paths.of.get(&id).cloned().flatten().unwrap_or_default();
            Diagnostic { path, route, ..diagnostic }
        });
        located.collect()
    }
}

/// By the IDs of nodes, the keys that lead to each and the name of its route.
struct Paths {
    of: HashMap<u32, Option<(String, Option<String>)>>,
}

impl Paths {
    fn walk(&mut self, node: &Node, path: String, route: Option<&str>) {
        for (index, item) in node.items().iter().enumerate() {
            let name = if path == "routes" { item.get("name").filter(|name| name.as_text().is_some()) } else { None };
            let name = name.map(Node::shown);
            self.walk(item, format!("{path}[{index}]"), name.as_deref().or(route));
        }
        for (key, member) in node.members() {
            let name = masked(&key.name);
            let inner = if path.is_empty() { name } else { format!("{path}.{name}") };
            self.walk(member, inner, route);
        }
        if let Some(found) = self.of.get_mut(&node.id) {
            *found = Some((path, route.map(str::to_owned)));
        }
    }
}

/// The readers of a node. Each notes what is wrong, and returns `None` where there is no usable value.
pub(crate) trait Read {
    /// The node that is read.
    fn node(&self) -> &Node;

    /// Notes something that makes the configuration useless.
    fn wrong(&self, mistakes: &mut Findings, message: impl Into<String>, hint: Option<String>) {
        mistakes.add(self.node(), Severity::Error, self.node().place, message.into(), hint);
    }

    /// Notes something that can hardly be meant.
    fn doubtful(&self, mistakes: &mut Findings, message: impl Into<String>, hint: Option<String>) {
        mistakes.add(self.node(), Severity::Warning, self.node().place, message.into(), hint);
    }

    fn is_no(&self, mistakes: &mut Findings, expected: &str, hint: Option<String>) {
        self.wrong(mistakes, format!("is {}, expected {expected}", self.node().value.kind()), hint);
    }

    /// A map with these keys and no others; `None` if it is no map at all.
    fn keys<const N: usize>(&self, mistakes: &mut Findings, known: [&'static str; N]) -> Option<[Option<&Node>; N]> {
        let mut found = [None; N];
        for (key, node) in self.map(mistakes)? {
            match known.iter().zip(&mut found).find(|(known, _)| **known == &*key.name) {
                Some((_, found)) => *found = Some(node),
                // Looking for what is meant takes time, and nobody reads more.
                None if mistakes.0.len() >= MAX_FINDINGS => {}
                None => {
                    let hint = did_you_mean(&key.name, &known);
                    let hint = hint.unwrap_or_else(|| format!("known keys: {}", known.join(", ")));
                    let message = format!("unknown key `{}`", masked(&key.name));
                    mistakes.add(self.node(), Severity::Error, key.place, message, Some(hint));
                }
            }
        }
        Some(found)
    }

    /// A map with names that the user chooses.
    fn map(&self, mistakes: &mut Findings) -> Option<&[(Key, Node)]> {
        match &self.node().value {
            Value::Map(members) => Some(members),
            _ => {
                self.is_no(mistakes, "a map", None);
                None
            }
        }
    }

    /// A list with at least one item.
    fn list(&self, mistakes: &mut Findings) -> Option<&[Node]> {
        match &self.node().value {
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
    fn one_or_more(&self, mistakes: &mut Findings) -> Option<&[Node]> {
        match &self.node().value {
            Value::List(_) => self.list(mistakes),
            _ => Some(std::slice::from_ref(self.node())),
        }
    }

    /// Returns whether it is nothing, or a list of nothing.
    fn is_empty(&self) -> bool {
        match &self.node().value {
            Value::Scalar(scalar) => scalar.is_null(),
            Value::List(items) => items.is_empty(),
            Value::Map(_) | Value::Unknown(_) => false,
        }
    }

    /// The text for messages: as it stands in the file.
    fn shown(&self) -> String {
        let shown = |scalar: &Scalar| masked(scalar.written.as_ref().map_or(&scalar.text, |written| &written.text));
        self.node().as_scalar().map(shown).unwrap_or_default()
    }

    /// What the text is made of.
    fn pieces(&self) -> Vec<Piece> {
        match self.node().as_scalar() {
            Some(Scalar { written: Some(written), .. }) => written.pieces.clone(),
            Some(scalar) => vec![Piece::OfFile(scalar.text.to_string())],
            None => Vec::new(),
        }
    }

    /// A text. Numbers and booleans are also texts.
    fn text(&self, mistakes: &mut Findings) -> Option<&str> {
        if self.node().as_text().is_none() {
            self.is_no(mistakes, "a text", None);
        }
        self.node().as_text()
    }

    fn boolean(&self, mistakes: &mut Findings) -> Option<bool> {
        let boolean = self.node().as_scalar().and_then(Scalar::as_bool);
        if boolean.is_none() {
            self.is_no(mistakes, "true or false", None);
        }
        boolean
    }

    /// A whole number within limits.
    fn whole(&self, mistakes: &mut Findings, range: RangeInclusive<u32>) -> Option<u32> {
        let limits = format!("a whole number from {} to {}", range.start(), range.end());
        let Some(number) = self.node().as_scalar().and_then(Scalar::as_number) else {
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
    fn percent(&self, mistakes: &mut Findings) -> Option<u32> {
        let text = self.text(mistakes)?;
        let percent = text.strip_suffix('%').unwrap_or(text).trim_end().parse().ok();
        let percent = percent.filter(|percent| (1..=100).contains(percent));
        if percent.is_none() {
            self.wrong(mistakes, format!("`{}` is not a percentage from 1 to 100", self.shown()), None);
        }
        percent
    }

    /// A share from 0 to 100 percent, with or without `%`, and with up to three decimals.
    fn share(&self, mistakes: &mut Findings) -> Option<Share> {
        let text = self.text(mistakes)?;
        let share = Share::parse(text.strip_suffix('%').unwrap_or(text).trim_end());
        if share.is_none() {
            let hint = "write it with three decimals at most, like 20 or 0.5";
            self.wrong(mistakes, format!("`{}` is not a percentage from 0 to 100", self.shown()), Some(hint.into()));
        }
        share
    }

    /// One of a few words.
    fn word<T: Copy>(&self, mistakes: &mut Findings, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(mistakes)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let list: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            // One number is not a misspelt other one.
            let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic());
            let hint = did_you_mean(text, &list).filter(|_| is_word);
            self.wrong(mistakes, format!("`{}` is not one of {}", self.shown(), list.join(", ")), hint);
        }
        found
    }

    /// A duration above zero like `250ms`, `5s`, `1.5s`, `2m`, `1h` or `30d`.
    fn duration(&self, mistakes: &mut Findings) -> Option<Duration> {
        const HINT: &str = "write a number and a unit, like 250ms, 5s or 2m";
        let is_text =
            self.node().as_scalar().is_some_and(|scalar| scalar.as_number().is_none() && scalar.as_bool().is_none());
        if !is_text {
            self.is_no(mistakes, "a duration", Some(HINT.into()));
            return None;
        }
        let duration = self.node().as_text().and_then(parse_duration);
        if duration.is_none() {
            self.wrong(mistakes, format!("`{}` is not a duration", self.shown()), Some(HINT.into()));
        }
        duration
    }
}

impl Read for Node {
    fn node(&self) -> &Node {
        self
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
}
