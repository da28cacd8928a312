//! Typed access to a document that collects diagnostics and continues, so that all of them are reported at once:
//! [`Read`] adds readers to [`Node`], [`Collector`] collects. Knows no keys, except that routes have names.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use crossfade_document::{Diagnostic, Key, MAX_FINDINGS, Node, Piece, Place, Scalar, Severity, Value, did_you_mean};

use crate::masked::masked;
use crate::mirror::Share;

/// The diagnostics found while a document is read, each with the ID of its node.
#[derive(Debug, Default)]
pub(crate) struct Collector(Vec<(u32, Diagnostic)>);

impl Collector {
    fn add(&mut self, node: &Node, severity: Severity, place: Place, message: String, hint: Option<String>) {
        if self.0.len() < MAX_FINDINGS {
            self.0.push((node.id, Diagnostic { severity, hint, ..Diagnostic::error(place, message) }));
        }
    }

    /// Returns `true` if there is at least one error.
    pub(crate) fn has_errors(&self) -> bool {
        self.0.iter().any(|(_, diagnostic)| diagnostic.severity == Severity::Error)
    }

    /// Adds the path and the route to each diagnostic. Paths are computed only here, so that a valid document costs
    /// nothing.
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

/// Maps the IDs of nodes to their paths and routes.
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

/// Readers of a node. Each reports an invalid value and then returns `None`.
pub(crate) trait Read {
    /// Returns the node itself.
    fn node(&self) -> &Node;

    /// Reports an error.
    fn error(&self, diagnostics: &mut Collector, message: impl Into<String>, hint: Option<String>) {
        diagnostics.add(self.node(), Severity::Error, self.node().place, message.into(), hint);
    }

    /// Reports a warning.
    fn warn(&self, diagnostics: &mut Collector, message: impl Into<String>, hint: Option<String>) {
        diagnostics.add(self.node(), Severity::Warning, self.node().place, message.into(), hint);
    }

    fn expected(&self, diagnostics: &mut Collector, expected: &str, hint: Option<String>) {
        self.error(diagnostics, format!("expected {expected}, found {}", self.node().value.kind()), hint);
    }

    /// Reads a map with these keys and no others; `None` if it is not a map.
    fn keys<const N: usize>(
        &self,
        diagnostics: &mut Collector,
        known: [&'static str; N],
    ) -> Option<[Option<&Node>; N]> {
        let mut found = [None; N];
        for (key, node) in self.map(diagnostics)? {
            match known.iter().zip(&mut found).find(|(known, _)| **known == &*key.name) {
                Some((_, found)) => *found = Some(node),
                // Computing a hint takes time, and no more diagnostics are kept.
                None if diagnostics.0.len() >= MAX_FINDINGS => {}
                None => {
                    let hint = did_you_mean(&key.name, &known);
                    let hint = hint.unwrap_or_else(|| format!("known keys: {}", known.join(", ")));
                    let message = format!("unknown key `{}`", masked(&key.name));
                    diagnostics.add(self.node(), Severity::Error, key.place, message, Some(hint));
                }
            }
        }
        Some(found)
    }

    /// Reads a map with names that the user chooses.
    fn map(&self, diagnostics: &mut Collector) -> Option<&[(Key, Node)]> {
        match &self.node().value {
            Value::Map(members) => Some(members),
            _ => {
                self.expected(diagnostics, "a map", None);
                None
            }
        }
    }

    /// Reads a list with at least one item.
    fn list(&self, diagnostics: &mut Collector) -> Option<&[Node]> {
        match &self.node().value {
            Value::List(items) if items.is_empty() => {
                self.error(diagnostics, "must not be empty", Some("remove it, or add an item".into()));
                None
            }
            Value::List(items) => Some(items),
            _ => {
                self.expected(diagnostics, "a list", None);
                None
            }
        }
    }

    /// Reads a list with at least one item, or a single item without a list.
    fn one_or_more(&self, diagnostics: &mut Collector) -> Option<&[Node]> {
        match &self.node().value {
            Value::List(_) => self.list(diagnostics),
            _ => Some(std::slice::from_ref(self.node())),
        }
    }

    /// Returns `true` for null, and for a list of nulls.
    fn is_empty(&self) -> bool {
        match &self.node().value {
            Value::Scalar(scalar) => scalar.is_null(),
            Value::List(items) => items.is_empty(),
            Value::Map(_) | Value::Unknown(_) => false,
        }
    }

    /// Returns the source text for messages, masked.
    fn shown(&self) -> String {
        let shown = |scalar: &Scalar| masked(scalar.written.as_ref().map_or(&scalar.text, |written| &written.text));
        self.node().as_scalar().map(shown).unwrap_or_default()
    }

    /// Returns the text split into parts from the file and from the environment.
    fn pieces(&self) -> Vec<Piece> {
        match self.node().as_scalar() {
            Some(Scalar { written: Some(written), .. }) => written.pieces.clone(),
            Some(scalar) => vec![Piece::OfFile(scalar.text.to_string())],
            None => Vec::new(),
        }
    }

    /// Reads a string. Numbers and booleans are also strings.
    fn text(&self, diagnostics: &mut Collector) -> Option<&str> {
        if self.node().as_text().is_none() {
            self.expected(diagnostics, "a string", None);
        }
        self.node().as_text()
    }

    fn boolean(&self, diagnostics: &mut Collector) -> Option<bool> {
        let boolean = self.node().as_scalar().and_then(Scalar::as_bool);
        if boolean.is_none() {
            self.expected(diagnostics, "true or false", None);
        }
        boolean
    }

    /// Reads an integer within limits.
    fn whole(&self, diagnostics: &mut Collector, range: RangeInclusive<u32>) -> Option<u32> {
        let limits = format!("an integer from {} to {}", range.start(), range.end());
        let Some(number) = self.node().as_scalar().and_then(Scalar::as_number) else {
            self.expected(diagnostics, &limits, None);
            return None;
        };
        let within = number.fract() == 0.0 && number >= f64::from(*range.start()) && number <= f64::from(*range.end());
        if !within {
            self.error(diagnostics, format!("`{}` is not {limits}", self.shown()), None);
        }
        // Within the limits of u32.
        within.then_some(number as u32)
    }

    /// Reads a percentage from 1 to 100, with or without `%`.
    fn percent(&self, diagnostics: &mut Collector) -> Option<u32> {
        let text = self.text(diagnostics)?;
        let percent = text.strip_suffix('%').unwrap_or(text).trim_end().parse().ok();
        let percent = percent.filter(|percent| (1..=100).contains(percent));
        if percent.is_none() {
            self.error(diagnostics, format!("`{}` is not a percentage from 1 to 100", self.shown()), None);
        }
        percent
    }

    /// Reads a percentage from 0 to 100, with or without `%`, with up to three decimals.
    fn share(&self, diagnostics: &mut Collector) -> Option<Share> {
        let text = self.text(diagnostics)?;
        let share = Share::parse(text.strip_suffix('%').unwrap_or(text).trim_end());
        if share.is_none() {
            let hint = "write at most three decimals, like 20 or 0.5";
            self.error(diagnostics, format!("`{}` is not a percentage from 0 to 100", self.shown()), Some(hint.into()));
        }
        share
    }

    /// Reads one of a few words.
    fn word<T: Copy>(&self, diagnostics: &mut Collector, words: &[(&str, T)]) -> Option<T> {
        let text = self.text(diagnostics)?;
        let found = words.iter().find(|(word, _)| *word == text).map(|(_, value)| *value);
        if found.is_none() {
            let list: Vec<_> = words.iter().map(|(word, _)| *word).collect();
            // A number is not a misspelling of another one.
            let is_word = text.starts_with(|first: char| first.is_ascii_alphabetic());
            let hint = did_you_mean(text, &list).filter(|_| is_word);
            self.error(diagnostics, format!("`{}` is not one of {}", self.shown(), list.join(", ")), hint);
        }
        found
    }

    /// Reads a positive duration like `250ms`, `5s`, `1.5s`, `2m`, `1h` or `30d`.
    fn duration(&self, diagnostics: &mut Collector) -> Option<Duration> {
        const HINT: &str = "write a number and a unit, like 250ms, 5s or 2m";
        let is_text =
            self.node().as_scalar().is_some_and(|scalar| scalar.as_number().is_none() && scalar.as_bool().is_none());
        if !is_text {
            self.expected(diagnostics, "a duration", Some(HINT.into()));
            return None;
        }
        let duration = self.node().as_text().and_then(parse_duration);
        if duration.is_none() {
            self.error(diagnostics, format!("`{}` is not a duration", self.shown()), Some(HINT.into()));
        }
        duration
    }
}

impl Read for Node {
    fn node(&self) -> &Node {
        self
    }
}

/// Parses a positive duration like `250ms`, `5s`, `1.5s`, `2m`, `1h` or `30d`, of at most ten years.
#[must_use]
pub fn parse_duration(text: &str) -> Option<Duration> {
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
    // Longer durations would exceed the range of instants.
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
