//! Typed access to a document that collects diagnostics and continues, so that all of them are reported at once:
//! [`Read`] adds readers to [`Node`], [`Collector`] collects. Knows no keys, except that routes have names.

use std::collections::HashMap;
use std::ops::RangeInclusive;
use std::time::Duration;

use crossfade_document::{Diagnostic, Key, MAX_FINDINGS, Node, Piece, Scalar, Severity, Value, closest, did_you_mean};

use crate::config::Nodes;
use crate::masked::masked;
use crate::mirror::Share;
use crate::table::RoutingTable;

/// The diagnostics found while a document is read.
#[derive(Debug, Default)]
pub(crate) struct Collector {
    findings: Vec<Finding>,
    /// Maps that have a known key under another name: the ID of the map, and the key.
    misnamed: Vec<(u32, &'static str)>,
    /// The IDs of the values of misspelt keys.
    misspelt: Vec<u32>,
    advice: Option<&'static Advice>,
}

/// A diagnostic, the ID of its node, and the value that its author probably meant.
#[derive(Debug)]
struct Finding {
    node: u32,
    meant: Option<String>,
    diagnostic: Diagnostic,
}

/// Help for the author of a file. The function does not contain it.
#[derive(Debug)]
pub(crate) struct Advice {
    /// Names of keys in other tools, in lower case without `-` and `_`, and the path of ours. Paths are separated by `|`.
    pub(crate) names: &'static [(&'static str, &'static str)],
    /// Returns the value that was probably meant, as YAML in one line.
    pub(crate) meant: fn(Expected, &Node) -> Option<String>,
    /// Returns a hint for a map with these keys that has another key, or for a text in place of the map; and the known
    /// key whose absence needs no further error.
    pub(crate) keys: fn(&[&'static str], Option<&str>, &Node) -> Option<KeyHint>,
    /// Adds warnings about a valid file.
    pub(crate) warn: fn(&RoutingTable, &Nodes<'_, '_>, &mut Collector),
}

/// A hint, and the known key that it covers.
pub(crate) type KeyHint = (String, Option<&'static str>);

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expected {
    Text,
    Boolean,
    /// Several words.
    Words,
    /// An integer from the first to the second.
    Whole(u32, u32),
    /// A number from the first to the second.
    Number(u32, u32),
    Duration,
    /// A condition of the path.
    Path,
    /// The URL of a back end.
    Url,
    Map,
    List,
    /// `backends`.
    Backends,
    /// `forward`.
    Forward,
    /// An item of `targets`.
    Target,
    /// `targets` itself.
    Targets,
    /// `conditions`.
    Conditions,
    /// `routes`.
    Routes,
}

impl Collector {
    pub(crate) fn new(advice: Option<&'static Advice>) -> Self {
        Collector { advice, ..Collector::default() }
    }

    pub(crate) fn advice(&self) -> Option<&'static Advice> {
        self.advice
    }

    fn add(&mut self, node: &Node, diagnostic: Diagnostic, expected: Option<Expected>) {
        // A misspelt key may be meant as another one, which has values of another type.
        let is_of_misspelt_key = expected.is_some() && self.misspelt.contains(&node.id);
        if self.findings.len() < MAX_FINDINGS && !is_of_misspelt_key {
            let meant = self.advice.zip(expected).and_then(|(advice, expected)| (advice.meant)(expected, node));
            self.findings.push(Finding { node: node.id, meant, diagnostic });
        }
    }

    /// Returns the number of diagnostics.
    pub(crate) fn len(&self) -> usize {
        self.findings.len()
    }

    /// Returns `true` if there is at least one error.
    pub(crate) fn has_errors(&self) -> bool {
        self.findings.iter().any(|finding| finding.diagnostic.severity == Severity::Error)
    }

    /// Returns `true` if a map has this key under another name, which has been reported.
    pub(crate) fn is_misnamed(&self, map: &Node, key: &str) -> bool {
        self.misnamed.iter().any(|(id, known)| *id == map.id && *known == key)
    }

    /// Adds the path and the route to each diagnostic. Paths are computed only here, so that a valid document costs
    /// nothing.
    pub(crate) fn located(self, document: &Node) -> Vec<Diagnostic> {
        let mut paths = Paths { of: self.findings.iter().map(|finding| (finding.node, None)).collect() };
        paths.walk(document, String::new(), None);
        let located = self.findings.into_iter().map(|Finding { node, meant, diagnostic }| {
            let (path, route) = paths.of.get(&node).cloned().flatten().unwrap_or_default();
            let key = path.rsplit('.').next().filter(|key| !key.is_empty() && !key.ends_with(']'));
            let hint = match (meant, key) {
                (Some(meant), Some(key)) => Some(format!("write `{key}: {meant}`")),
                // Several values in place of an item are items.
                (Some(meant), None) => Some(format!("write `{}`", meant.trim_matches(['[', ']']))),
                (None, _) => diagnostic.hint,
            };
            Diagnostic { path, route, hint, ..diagnostic }
        });
        located.collect()
    }
}

/// Returns a name without what differs between tools: case, `-` and `_`.
pub(crate) fn normalized(name: &str) -> String {
    name.chars().filter(|c| !matches!(c, '-' | '_')).map(|c| c.to_ascii_lowercase()).collect()
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
        let error = Diagnostic::error(self.node().place, message.into());
        diagnostics.add(self.node(), Diagnostic { hint, ..error }, None);
    }

    /// Reports a warning.
    fn warn(&self, diagnostics: &mut Collector, message: impl Into<String>, hint: Option<String>) {
        let error = Diagnostic::error(self.node().place, message.into());
        diagnostics.add(self.node(), Diagnostic { severity: Severity::Warning, hint, ..error }, None);
    }

    /// Reports a value of the wrong type, with the value that was probably meant.
    fn invalid(&self, diagnostics: &mut Collector, message: String, hint: Option<&str>, expected: Expected) {
        let hint = hint.map(str::to_owned);
        let error = Diagnostic::error(self.node().place, message);
        diagnostics.add(self.node(), Diagnostic { hint, ..error }, Some(expected));
    }

    /// Likewise, with the usual message.
    fn expected(&self, diagnostics: &mut Collector, description: &str, hint: Option<&str>, expected: Expected) {
        let message = format!("expected {description}, found {}", self.node().value.kind());
        self.invalid(diagnostics, message, hint, expected);
    }

    /// Reports a key that a map lacks, unless it has it under another name.
    fn missing(&self, diagnostics: &mut Collector, key: &'static str, hint: &str) {
        if !diagnostics.is_misnamed(self.node(), key) {
            self.error(diagnostics, format!("missing key `{key}`"), Some(hint.to_owned()));
        }
    }

    /// Reads a map with these keys and no others; `None` if it is not a map. A misspelt key is reported and then read as
    /// the key that was meant, so that nothing else follows from it.
    fn keys<const N: usize>(
        &self,
        diagnostics: &mut Collector,
        known: [&'static str; N],
    ) -> Option<[Option<&Node>; N]> {
        let mut found = [None; N];
        self.find_keys(diagnostics, &known, &mut found)?;
        Some(found)
    }

    /// The same for any number of keys, so that the function's binary has this code once.
    fn find_keys<'s>(
        &'s self,
        diagnostics: &mut Collector,
        known: &[&'static str],
        found: &mut [Option<&'s Node>],
    ) -> Option<()> {
        if self.node().as_map().is_none() {
            let hint = format!("known keys: {}", known.join(", "));
            let ours = diagnostics.advice.and_then(|advice| (advice.keys)(known, None, self.node()));
            let hint = ours.map_or(hint, |(hint, _)| hint);
            self.expected(diagnostics, "a map", Some(&hint), Expected::Map);
        }
        let members = self.node().as_map()?;
        for (known, found) in known.iter().zip(&mut *found) {
            *found = members.iter().find(|(key, _)| *key.name == **known).map(|(_, node)| node);
        }
        for (key, node) in members.iter().filter(|(key, _)| !known.contains(&&*key.name)) {
            // Computing a hint takes time, and no more diagnostics are kept.
            if diagnostics.findings.len() >= MAX_FINDINGS {
                break;
            }
            let hint = match our_name(&key.name, known, diagnostics.advice) {
                Name::Misspelt(ours) => {
                    if let Some((_, found)) = known.iter().zip(&mut *found).find(|(known, _)| **known == ours) {
                        *found = found.or(Some(node));
                        diagnostics.misspelt.push(node.id);
                    }
                    format!("did you mean `{ours}`?")
                }
                Name::Foreign(paths) => {
                    let first = paths.split('|').filter_map(|path| path.split('.').next());
                    diagnostics.misnamed.extend(first.map(|first| (self.node().id, first)));
                    format!("use {} here", in_words(paths))
                }
                Name::Unknown => {
                    match diagnostics.advice.and_then(|advice| (advice.keys)(known, Some(&key.name), node)) {
                        Some((hint, absent)) => {
                            diagnostics.misnamed.extend(absent.map(|absent| (self.node().id, absent)));
                            hint
                        }
                        None => format!("known keys: {}", known.join(", ")),
                    }
                }
            };
            let error = Diagnostic::error(key.place, format!("unknown key `{}`", masked(&key.name)));
            diagnostics.add(self.node(), Diagnostic { hint: Some(hint), ..error }, None);
        }
        Some(())
    }

    /// Reads a map with names that the user chooses.
    fn map(&self, diagnostics: &mut Collector) -> Option<&[(Key, Node)]> {
        self.map_of(diagnostics, Expected::Map)
    }

    /// Likewise, for maps that are often written as something else.
    fn map_of(&self, diagnostics: &mut Collector, expected: Expected) -> Option<&[(Key, Node)]> {
        if self.node().as_map().is_none() {
            let hint = self.node().is_null().then_some("indent its keys below it");
            self.expected(diagnostics, "a map", hint, expected);
        }
        self.node().as_map()
    }

    /// Reads a list with at least one item.
    fn list(&self, diagnostics: &mut Collector) -> Option<&[Node]> {
        self.list_of(diagnostics, Expected::List)
    }

    /// Likewise, for lists that are often written as something else.
    fn list_of(&self, diagnostics: &mut Collector, expected: Expected) -> Option<&[Node]> {
        match &self.node().value {
            Value::List(items) if items.is_empty() => {
                self.error(diagnostics, "must not be empty", Some("remove it, or add an item".into()));
                None
            }
            Value::List(items) => Some(items),
            _ => {
                let hint = self.node().is_null().then_some("add an item below it, or remove it");
                self.expected(diagnostics, "a list", hint, expected);
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
            let hint = self
                .node()
                .is_null()
                .then_some("write a value, or remove the key; put a value that begins with `#`, `&` or `!` in quotes");
            self.expected(diagnostics, "a string", hint, Expected::Text);
        }
        self.node().as_text()
    }

    fn boolean(&self, diagnostics: &mut Collector) -> Option<bool> {
        let boolean = self.node().as_scalar().and_then(Scalar::as_bool);
        if boolean.is_none() {
            self.expected(diagnostics, "true or false", None, Expected::Boolean);
        }
        boolean
    }

    /// Reads an integer within limits.
    fn whole(&self, diagnostics: &mut Collector, range: RangeInclusive<u32>) -> Option<u32> {
        let limits = format!("an integer from {} to {}", range.start(), range.end());
        let Some(number) = self.node().as_scalar().and_then(Scalar::as_number) else {
            self.expected(diagnostics, &limits, None, Expected::Whole(*range.start(), *range.end()));
            return None;
        };
        // Whether `1.000` is one or a thousand depends on the language.
        let is_whole = number.fract() == 0.0 && self.node().as_text().is_some_and(|text| !text.contains('.'));
        let within = is_whole && number >= f64::from(*range.start()) && number <= f64::from(*range.end());
        if !within {
            self.invalid(
                diagnostics,
                format!("`{}` is not {limits}", self.shown()),
                None,
                Expected::Whole(*range.start(), *range.end()),
            );
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
            let message = format!("`{}` is not a percentage from 1 to 100", self.shown());
            self.invalid(diagnostics, message, None, Expected::Whole(1, 100));
        }
        percent
    }

    /// Reads a percentage from 0 to 100, with or without `%`, with up to three decimals.
    fn share(&self, diagnostics: &mut Collector) -> Option<Share> {
        let text = self.text(diagnostics)?;
        let share = Share::parse(text.strip_suffix('%').unwrap_or(text).trim_end());
        if share.is_none() {
            let hint = "write at most three decimals, like 20 or 0.5";
            let message = format!("`{}` is not a percentage from 0 to 100", self.shown());
            self.invalid(diagnostics, message, Some(hint), Expected::Number(0, 100));
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
            // `HTTP_301`, `TLSv1.2`.
            let ends = || list.iter().find(|word| text.ends_with(**word)).map(|word| format!("write `{word}`"));
            let hint = hint.or_else(ends);
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
            self.expected(diagnostics, "a duration", Some(HINT), Expected::Duration);
            return None;
        }
        let duration = self.node().as_text().and_then(parse_duration);
        if duration.is_none() {
            let message = format!("`{}` is not a duration", self.shown());
            self.invalid(diagnostics, message, Some(HINT), Expected::Duration);
        }
        duration
    }
}

/// The meaning of a key that is not known.
enum Name {
    /// A misspelt key of the same map.
    Misspelt(&'static str),
    /// Another tool's name, or a key of another map: the paths of ours.
    Foreign(&'static str),
    Unknown,
}

fn our_name(name: &str, known: &[&'static str], advice: Option<&'static Advice>) -> Name {
    // Longer names are none of the known ones.
    let plain = if name.len() > 64 { return Name::Unknown } else { normalized(name) };
    if let Some(ours) = known.iter().find(|known| normalized(known) == plain) {
        return Name::Misspelt(ours);
    }
    let names = advice.map_or(&[][..], |advice| advice.names);
    let mut paths = names.iter().filter(|(theirs, _)| *theirs == plain).map(|(_, paths)| *paths);
    // A key of this map, or one in a map below it.
    let ours = |path: &&str| path.rsplit('.').next().and_then(|last| known.iter().find(|known| **known == last));
    let is_below =
        |paths: &&str| paths.split('|').any(|path| path.split('.').next().is_some_and(|first| known.contains(&first)));
    let same = paths.clone().find_map(|path| ours(&path).copied());
    match (same, closest(name, known), paths.find(is_below)) {
        (Some(ours), Some(close), _) if ours == close => Name::Misspelt(ours),
        (Some(ours), ..) => Name::Foreign(ours),
        (None, _, Some(paths)) => Name::Foreign(paths),
        (None, Some(close), None) => Name::Misspelt(close),
        (None, None, None) => Name::Unknown,
    }
}

/// Returns the paths of keys as they are written: `a`, `b: {c: …}` or `d`.
fn in_words(paths: &str) -> String {
    let written = paths.split('|').map(|path| match path.split_once('.') {
        Some((map, key)) => format!("`{map}: {{{key}: …}}`"),
        None => format!("`{path}`"),
    });
    let written: Vec<String> = written.collect();
    match written.split_last() {
        Some((last, [])) => last.clone(),
        Some((last, others)) => format!("{} or {last}", others.join(", ")),
        None => String::new(),
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
