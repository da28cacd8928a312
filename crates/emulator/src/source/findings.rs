//! The errors and warnings found while a file is read, and typed access to nodes that adds to them: texts, numbers,
//! booleans, lists, maps. Knows no key of any file; how findings are shown is `crossfade-document`'s.

use std::collections::BTreeSet;
use std::fmt;
use std::ops::RangeInclusive;

use crossfade_document::{Diagnostic, Key, MAX_FINDINGS, Place, Severity, closest, did_you_mean};

use super::dialect::Dialect;
use super::node::{Node, Unknown, Value, excerpt};

/// Collects errors and warnings. Beyond [`MAX_FINDINGS`] of each, further ones are dropped.
#[derive(Debug)]
pub(super) struct Findings {
    is_lenient: bool,
    dialect: &'static Dialect,
    /// The warnings that are added once, by their content.
    said: BTreeSet<String>,
    errors: Vec<Diagnostic>,
    /// The number of keys that were compared with known ones.
    comparisons: usize,
    warnings: Vec<Diagnostic>,
    /// The part that is being read, for example ``function `a`, event 2``.
    part: String,
}

impl Findings {
    pub(super) fn new(is_lenient: bool, dialect: &'static Dialect) -> Self {
        let (said, part) = (BTreeSet::new(), String::new());
        Findings { is_lenient, dialect, said, errors: Vec::new(), comparisons: 0, warnings: Vec::new(), part }
    }

    /// Returns findings for a part that can be left out as a whole.
    pub(super) fn trial(&self) -> Self {
        Findings::new(self.is_lenient, self.dialect)
    }

    /// Sets the part that further findings belong to.
    pub(super) fn set_part(&mut self, part: impl Into<String>) {
        self.part = part.into();
    }

    pub(super) fn part(&self) -> &str {
        &self.part
    }

    /// Adds the warnings of a part that was read with findings of its own.
    pub(super) fn take_warnings(&mut self, warnings: Vec<Diagnostic>) {
        warnings.into_iter().for_each(|warning| note(&mut self.warnings, warning));
    }

    pub(super) fn error(&mut self, place: &Place, message: impl fmt::Display) {
        self.error_and(place, message, None);
    }

    pub(super) fn error_with_hint(&mut self, place: &Place, message: impl fmt::Display, hint: impl fmt::Display) {
        self.error_and(place, message, Some(hint.to_string()));
    }

    /// Adds an error about an unknown word, with the closest known one as a hint.
    pub(super) fn unknown_word(&mut self, place: &Place, message: impl fmt::Display, word: &str, known: &[&str]) {
        // The search takes time, and further hints would not be shown.
        let hint = if self.errors.len() < MAX_FINDINGS { did_you_mean(word, known) } else { None };
        self.error_and(place, message, hint);
    }

    fn error_and(&mut self, place: &Place, message: impl fmt::Display, hint: Option<String>) {
        let finding = self.finding(Severity::Error, place, message, hint);
        note(&mut self.errors, finding);
    }

    pub(super) fn warning(&mut self, place: &Place, message: impl fmt::Display) {
        let finding = self.finding(Severity::Warning, place, message, None);
        note(&mut self.warnings, finding);
    }

    pub(super) fn warning_with_hint(&mut self, place: &Place, message: impl fmt::Display, hint: impl fmt::Display) {
        let finding = self.finding(Severity::Warning, place, message, Some(hint.to_string()));
        note(&mut self.warnings, finding);
    }

    /// Adds a warning with an optional hint, unless there is one with the same text.
    pub(super) fn warn_once(&mut self, place: &Place, message: String, hint: Option<String>) {
        self.warn_unless_said(message.clone(), place, message, hint);
    }

    fn warn_unless_said(&mut self, key: String, place: &Place, message: String, hint: Option<String>) {
        if self.said.len() < MAX_FINDINGS && self.said.insert(key) {
            let finding = self.finding(Severity::Warning, place, message, hint);
            note(&mut self.warnings, finding);
        }
    }

    /// Adds an error about something that AWS rejects or that is not emulated; with `lenient` it is a warning.
    pub(super) fn unless_lenient(&mut self, place: &Place, message: impl fmt::Display, hint: impl fmt::Display) {
        match self.is_lenient {
            true => self.warning_with_hint(place, message, hint),
            false => self.error_with_hint(place, message, hint),
        }
    }

    pub(super) fn quota(&mut self, place: &Place, message: impl fmt::Display) {
        match self.is_lenient {
            true => self.warning(place, message),
            false => self.error(place, message),
        }
    }

    /// Adds a syntax error. Without a place it is at the start.
    pub(super) fn malformed(&mut self, start: &Place, malformed: Diagnostic) {
        let place = malformed.place.unwrap_or(*start);
        note(&mut self.errors, Diagnostic { place: Some(place), ..malformed });
    }

    pub(super) fn unknown(&mut self, what: &str, node: &Node, unknown: &Unknown) {
        let Unknown { written, why, hint, .. } = unknown;
        let message = format!("`{what}` is `{}`: {why}", excerpt(written));
        self.error_and(&node.place, message, hint.clone());
    }

    pub(super) fn has_errors(&self) -> bool {
        !self.errors.is_empty()
    }

    /// Returns the warnings.
    pub(super) fn finish(self) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        if self.errors.is_empty() { Ok(self.warnings) } else { Err(self.errors) }
    }

    fn finding(
        &self,
        severity: Severity,
        place: &Place,
        message: impl fmt::Display,
        hint: Option<String>,
    ) -> Diagnostic {
        let part = self.part.clone();
        Diagnostic { severity, part, hint, ..Diagnostic::error(*place, message.to_string()) }
    }

    /// Returns the node, unless only AWS knows its value. Then a warning says that it is left out.
    pub(super) fn if_known<'n>(&mut self, what: &str, node: &'n Node) -> Option<&'n Node> {
        match &node.value {
            Value::Unknown(Unknown { written, why, hint, is_error: false, .. }) => {
                let message = format!("`{what}` is left out: it is `{}`, and {why}", excerpt(written));
                self.warn_once(&node.place, message, hint.clone());
                None
            }
            _ => Some(node),
        }
    }

    /// Returns the ID of what a node refers to: a text, or the expression that only AWS can evaluate.
    pub(super) fn reference(&mut self, what: &str, node: &Node) -> Option<String> {
        match &node.value {
            Value::Unknown(unknown) if !unknown.is_error => Some(unknown.written.clone()),
            _ => self.string(what, node),
        }
    }

    /// Returns a scalar's text, with a warning if that is not the text in the file.
    pub(super) fn string(&mut self, what: &str, node: &Node) -> Option<String> {
        let text = self.text(what, node)?;
        if let Some(written) = source_form(node) {
            let message = format!("YAML reads the unquoted `{}` as `{}`", excerpt(written), excerpt(&text));
            self.changed(what, node, &message);
        }
        Some(text)
    }

    /// As [`Findings::string`], for a value that no message may show. The words for booleans are no secrets.
    pub(super) fn secret_string(&mut self, what: &str, node: &Node) -> Option<String> {
        if matches!(node.as_text(), Some("true" | "false")) || source_form(node).is_none() {
            return self.string(what, node);
        }
        self.changed(what, node, "YAML reads the unquoted value as a number and changes its text");
        self.text(what, node)
    }

    fn changed(&mut self, what: &str, node: &Node, message: &str) {
        let hint = match node.as_text() {
            Some(word @ ("true" | "false")) => format!("quote the value, or write `{word}`"),
            _ => "quote the value".to_owned(),
        };
        // Functions may share the value.
        let key = format!("{:?} {what}", node.place);
        self.warn_unless_said(key, &node.place, format!("`{what}`: {message}"), Some(hint));
    }

    /// As [`Findings::string`], for words and numbers whose spelling does not matter.
    pub(super) fn text(&mut self, what: &str, node: &Node) -> Option<String> {
        match &node.value {
            Value::Scalar(scalar) if scalar.is_null() => self.wrong_kind(what, node, "expected a value"),
            Value::Scalar(scalar) => Some(scalar.text.to_string()),
            Value::Unknown(unknown) => {
                self.unknown(what, node, unknown);
                None
            }
            _ => self.wrong_kind(what, node, "expected a value"),
        }
    }

    pub(super) fn boolean(&mut self, what: &str, node: &Node) -> Option<bool> {
        let text = self.text(what, node)?;
        let [yes, no] = self.dialect.booleans.map(|words| words.contains(&text.as_str()));
        if !yes && !no {
            self.error(&node.place, format!("`{what}` is `{}`; it must be true or false", excerpt(&text)));
            return None;
        }
        Some(yes)
    }

    pub(super) fn number<T>(&mut self, what: &str, node: &Node, range: RangeInclusive<T>) -> Option<T>
    where
        T: std::str::FromStr + PartialOrd + fmt::Display,
    {
        let text = self.text(what, node)?;
        let number: Option<T> = text.strip_suffix(".0").unwrap_or(&text).parse().ok();
        let number = number.filter(|number| range.contains(number));
        let written = source_form(node).unwrap_or(&text);
        match &number {
            // An octal or sexagesimal number.
            Some(number) if written.contains(':') || written.parse().is_ok_and(|other: T| other != *number) => {
                self.changed(what, node, &format!("YAML reads the unquoted `{}` as `{number}`", excerpt(written)));
            }
            Some(_) => {}
            None => {
                let (least, most) = (range.start(), range.end());
                let text = excerpt(written);
                self.error(&node.place, format!("`{what}` is `{text}`; it must be a number from {least} to {most}"));
            }
        }
        number
    }

    /// Like [`Findings::number`], but a number out of range violates a quota.
    pub(super) fn number_within(&mut self, what: &str, node: &Node, quota: RangeInclusive<u32>) -> Option<u32> {
        let number: u32 = self.number(what, node, 0..=u32::MAX)?;
        if !quota.contains(&number) {
            let (least, most) = (quota.start(), quota.end());
            self.quota(&node.place, format!("`{what}` is {number}; ALB allows {least} to {most}"));
        }
        Some(number)
    }

    pub(super) fn map<'n>(&mut self, what: &str, node: &'n Node) -> Option<&'n [(Key, Node)]> {
        match &node.value {
            Value::Map(members) => Some(members),
            Value::Unknown(unknown) => {
                self.unknown(what, node, unknown);
                None
            }
            _ => self.wrong_kind(what, node, "expected a map"),
        }
    }

    pub(super) fn list<'n>(&mut self, what: &str, node: &'n Node) -> Option<&'n [Node]> {
        match &node.value {
            Value::List(items) => Some(items),
            Value::Unknown(unknown) => {
                self.unknown(what, node, unknown);
                None
            }
            _ => self.wrong_kind(what, node, "expected a list"),
        }
    }

    /// Returns the texts of a list.
    pub(super) fn strings(&mut self, what: &str, node: &Node) -> Option<Vec<String>> {
        let items = self.list(what, node)?;
        let texts: Vec<String> = items.iter().filter_map(|item| self.string(what, item)).collect();
        (texts.len() == items.len()).then_some(texts)
    }

    /// Returns the texts of a list, or a single text.
    pub(super) fn one_or_more(&mut self, what: &str, node: &Node) -> Option<Vec<String>> {
        match &node.value {
            Value::List(_) => self.strings(what, node),
            _ => Some(vec![self.string(what, node)?]),
        }
    }

    /// Adds an error for each key that is not among `known`.
    pub(super) fn only(&mut self, what: &str, members: &[(Key, Node)], known: &[&str]) {
        for (key, _) in members.iter().filter(|(key, _)| !known.contains(&&*key.name)) {
            let message = format!("`{what}` has no key `{}`; it has {}", excerpt(&key.name), known.join(", "));
            self.unknown_word(&key.place, message, &key.name, known);
        }
    }

    /// Adds a warning for each key that is not among `known` but looks like one of them. Other keys are ignored:
    /// formats have many that have no meaning here.
    pub(super) fn misspelt(&mut self, members: &[(Key, Node)], known: &[&str]) {
        for (key, _) in members.iter().filter(|(key, _)| !known.contains(&&*key.name)) {
            // The search takes time, and further hints would not be shown.
            if self.comparisons >= MAX_FINDINGS {
                return;
            }
            self.comparisons += 1;
            if let Some(hint) = did_you_mean(&key.name, known) {
                let message = format!("the unknown key `{}` is ignored", excerpt(&key.name));
                self.warning_with_hint(&key.place, message, hint);
            }
        }
    }

    /// Adds an error about a missing key of a map, with a hint if another key looks like it. Adds nothing if that
    /// other key has an error already.
    pub(super) fn missing(&mut self, place: &Place, map: &Node, name: &str) {
        let keys: Vec<&str> = map.members().iter().take(MAX_FINDINGS).map(|(key, _)| &*key.name).collect();
        let similar = if self.errors.len() < MAX_FINDINGS { closest(name, &keys) } else { None };
        let similar = similar.and_then(|similar| map.members().iter().find(|(key, _)| *key.name == *similar));
        let is_known = |key: &Key| self.errors.iter().rev().take(10).any(|error| error.place == Some(key.place));
        if similar.is_some_and(|(key, _)| is_known(key)) {
            return;
        }
        let hint = similar.map(|(key, _)| format!("did you mean `{name}` instead of `{}`?", excerpt(&key.name)));
        self.error_and(place, format!("`{name}` is missing"), hint);
    }

    fn wrong_kind<T>(&mut self, what: &str, node: &Node, expected: &str) -> Option<T> {
        let is = match node.as_text() {
            Some(text) => format!("`{}`", excerpt(text)),
            None => node.value.kind().to_owned(),
        };
        self.error(&node.place, format!("`{what}` is {is}, {expected}"));
        None
    }
}

/// Returns the text in the file of a scalar that YAML reads as another one.
fn source_form(node: &Node) -> Option<&str> {
    node.as_scalar().and_then(|scalar| scalar.written.as_deref()).map(|written| &*written.text)
}

fn note(findings: &mut Vec<Diagnostic>, finding: Diagnostic) {
    if findings.len() < MAX_FINDINGS {
        findings.push(finding);
    }
}
