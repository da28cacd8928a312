//! Mistakes and warnings as they are gathered and shown, and the readers that make them: of a text, a number, a boolean, a
//! list, a map. Knows no key of any file.

use std::fmt;
use std::ops::RangeInclusive;

use crossfade_document::{Diagnostic, Key, MAX_FINDINGS, Place, Severity, did_you_mean};

use super::node::{Files, Node, Unknown, Value};

/// More than these nobody reads at once.
const SHOWN: usize = 100;

/// All that makes a file useless, in the order in which it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<String>);

impl Mistakes {
    pub(super) fn new(texts: Vec<String>) -> Self {
        Mistakes(texts)
    }

    /// One text for each: `file:line:column: what it belongs to: what is wrong`, and a line with a hint.
    #[must_use]
    pub fn list(&self) -> &[String] {
        &self.0
    }
}

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.get(..SHOWN).unwrap_or(&self.0).join("\n"))?;
        match self.0.len().checked_sub(SHOWN) {
            Some(more) if more > 0 => write!(f, "\n… and {more} more"),
            _ => Ok(()),
        }
    }
}

impl std::error::Error for Mistakes {}

/// Gathers what is found.
#[derive(Debug, Default)]
pub(super) struct Report {
    is_lenient: bool,
    mistakes: Vec<Diagnostic>,
    warnings: Vec<Diagnostic>,
    /// What is being read, for example ``function `a`, event 2``.
    about: String,
}

/// Longer values are cut in messages.
const EXCERPT: usize = 120;

/// A value as a message shows it.
pub(super) fn excerpt(text: &str) -> String {
    match text.char_indices().nth(EXCERPT).and_then(|(end, _)| text.get(..end)) {
        Some(start) => format!("{start}…"),
        None => text.to_owned(),
    }
}

impl Report {
    pub(super) fn new(is_lenient: bool) -> Self {
        Report { is_lenient, ..Report::default() }
    }

    /// What the next findings belong to.
    pub(super) fn about(&mut self, about: impl Into<String>) {
        self.about = about.into();
    }

    pub(super) fn subject(&self) -> &str {
        &self.about
    }

    /// Of a part that was read with a report of its own.
    pub(super) fn take_warnings(&mut self, warnings: Vec<Diagnostic>) {
        warnings.into_iter().for_each(|warning| note(&mut self.warnings, warning));
    }

    pub(super) fn mistake(&mut self, place: &Place, message: impl fmt::Display) {
        self.mistake_and(place, message, None);
    }

    pub(super) fn mistake_with_hint(&mut self, place: &Place, message: impl fmt::Display, hint: impl fmt::Display) {
        self.mistake_and(place, message, Some(hint.to_string()));
    }

    /// Of a word that is not among the known ones, which the message names.
    pub(super) fn unknown_word(&mut self, place: &Place, message: impl fmt::Display, word: &str, known: &[&str]) {
        // Looking for it takes time, and nobody reads more.
        let hint = if self.mistakes.len() < MAX_FINDINGS { did_you_mean(word, known) } else { None };
        self.mistake_and(place, message, hint);
    }

    fn mistake_and(&mut self, place: &Place, message: impl fmt::Display, hint: Option<String>) {
        let finding = self.finding(Severity::Error, place, message, hint);
        note(&mut self.mistakes, finding);
    }

    pub(super) fn warning(&mut self, place: &Place, message: impl fmt::Display) {
        let finding = self.finding(Severity::Warning, place, message, None);
        note(&mut self.warnings, finding);
    }

    pub(super) fn warning_with_hint(&mut self, place: &Place, message: impl fmt::Display, hint: impl fmt::Display) {
        let finding = self.finding(Severity::Warning, place, message, Some(hint.to_string()));
        note(&mut self.warnings, finding);
    }

    /// What AWS refuses, or what is not emulated, and can be passed over at the user's wish.
    pub(super) fn unless_lenient(&mut self, place: &Place, message: impl fmt::Display, hint: impl fmt::Display) {
        match self.is_lenient {
            true => self.warning_with_hint(place, message, hint),
            false => self.mistake_with_hint(place, message, hint),
        }
    }

    pub(super) fn quota(&mut self, place: &Place, message: impl fmt::Display) {
        match self.is_lenient {
            true => self.warning(place, message),
            false => self.mistake(place, message),
        }
    }

    /// Of a text that is no tree. A finding on all of it is at its start.
    pub(super) fn malformed(&mut self, start: &Place, malformed: Diagnostic) {
        let place = malformed.place.unwrap_or(*start);
        note(&mut self.mistakes, Diagnostic { place: Some(place), ..malformed });
    }

    pub(super) fn unknown(&mut self, what: &str, node: &Node, unknown: &Unknown) {
        let Unknown { written, why, hint, .. } = unknown;
        let message = format!("`{what}` is `{}`: {why}", excerpt(written));
        self.mistake_and(&node.place, message, hint.clone());
    }

    pub(super) fn has_mistakes(&self) -> bool {
        !self.mistakes.is_empty()
    }

    /// The warnings, or if there are mistakes, these.
    pub(super) fn finish(self) -> Result<Vec<Diagnostic>, Vec<Diagnostic>> {
        if self.mistakes.is_empty() { Ok(self.warnings) } else { Err(self.mistakes) }
    }

    fn finding(
        &self,
        severity: Severity,
        place: &Place,
        message: impl fmt::Display,
        hint: Option<String>,
    ) -> Diagnostic {
        let path = self.about.clone();
        Diagnostic { severity, path, hint, ..Diagnostic::error(*place, message.to_string()) }
    }

    /// A scalar's text.
    pub(super) fn string(&mut self, what: &str, node: &Node) -> Option<String> {
        match &node.value {
            Value::Scalar(scalar) if scalar.is_null() => self.wrong_kind(what, node, "a value belongs there"),
            Value::Scalar(scalar) => Some(scalar.text.to_string()),
            Value::Unknown(unknown) => {
                self.unknown(what, node, unknown);
                None
            }
            _ => self.wrong_kind(what, node, "a value belongs there"),
        }
    }

    pub(super) fn boolean(&mut self, what: &str, node: &Node) -> Option<bool> {
        match self.string(what, node)?.as_str() {
            "true" => Some(true),
            "false" => Some(false),
            other => {
                self.mistake(&node.place, format!("`{what}` is `{}`, it must be true or false", excerpt(other)));
                None
            }
        }
    }

    pub(super) fn number<T>(&mut self, what: &str, node: &Node, range: RangeInclusive<T>) -> Option<T>
    where
        T: std::str::FromStr + PartialOrd + fmt::Display,
    {
        let text = self.string(what, node)?;
        let number = text.parse().ok().filter(|number| range.contains(number));
        if number.is_none() {
            let (least, most) = (range.start(), range.end());
            let text = excerpt(&text);
            self.mistake(&node.place, format!("`{what}` is `{text}`, it must be a number from {least} to {most}"));
        }
        number
    }

    /// Like [`Report::number`], but a number out of range is a quota's matter.
    pub(super) fn number_within(&mut self, what: &str, node: &Node, quota: RangeInclusive<u32>) -> Option<u32> {
        let number: u32 = self.number(what, node, 0..=u32::MAX)?;
        if !quota.contains(&number) {
            let (least, most) = (quota.start(), quota.end());
            self.quota(&node.place, format!("`{what}` is {number}, ALB allows {least} to {most}"));
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
            _ => self.wrong_kind(what, node, "it must be a map"),
        }
    }

    pub(super) fn list<'n>(&mut self, what: &str, node: &'n Node) -> Option<&'n [Node]> {
        match &node.value {
            Value::List(items) => Some(items),
            Value::Unknown(unknown) => {
                self.unknown(what, node, unknown);
                None
            }
            _ => self.wrong_kind(what, node, "it must be a list"),
        }
    }

    /// The texts of a list.
    pub(super) fn strings(&mut self, what: &str, node: &Node) -> Option<Vec<String>> {
        let items = self.list(what, node)?;
        let texts: Vec<String> = items.iter().filter_map(|item| self.string(what, item)).collect();
        (texts.len() == items.len()).then_some(texts)
    }

    /// One text or a list of them.
    pub(super) fn one_or_more(&mut self, what: &str, node: &Node) -> Option<Vec<String>> {
        match &node.value {
            Value::List(_) => self.strings(what, node),
            _ => Some(vec![self.string(what, node)?]),
        }
    }

    /// Keys that are not among these are mistakes.
    pub(super) fn only(&mut self, what: &str, members: &[(Key, Node)], known: &[&str]) {
        for (key, _) in members.iter().filter(|(key, _)| !known.contains(&&*key.name)) {
            let message = format!("`{what}` has no key `{}`; it has {}", excerpt(&key.name), known.join(", "));
            self.unknown_word(&key.place, message, &key.name, known);
        }
    }

    fn wrong_kind<T>(&mut self, what: &str, node: &Node, must: &str) -> Option<T> {
        let is = match node.as_text() {
            Some(text) => format!("`{}`", excerpt(text)),
            None => node.value.kind().to_owned(),
        };
        self.mistake(&node.place, format!("`{what}` is {is}, {must}"));
        None
    }
}

fn note(findings: &mut Vec<Diagnostic>, finding: Diagnostic) {
    if findings.len() < MAX_FINDINGS {
        findings.push(finding);
    }
}

/// One text for each, as [`Mistakes::list`] has them.
pub(super) fn texts(findings: Vec<Diagnostic>, files: &Files) -> Vec<String> {
    let text = |Diagnostic { severity, place, path, message, hint, .. }| {
        let place = place.map(|place| format!("{}: ", files.shown(place))).unwrap_or_default();
        let kind = if severity == Severity::Warning { "warning: " } else { "" };
        let about = if path.is_empty() { String::new() } else { format!("{path}: ") };
        let hint = hint.map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
        format!("{place}{kind}{about}{message}{hint}")
    };
    findings.into_iter().map(text).collect()
}
