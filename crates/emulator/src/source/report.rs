//! Mistakes and warnings as they are gathered and shown, and the readers that make them: of a text, a number, a boolean, a
//! list, a map. Knows no key of any file.

use std::fmt;
use std::ops::RangeInclusive;

use super::node::{Key, Malformed, Node, Place, Unknown, Value};

/// More than these are not even noted: a file of many megabytes can be nothing but mistakes.
const MAX_FINDINGS: usize = 1000;
/// More than these nobody reads at once.
const SHOWN: usize = 100;

/// All that makes a file useless, in the order in which it was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(Vec<String>);

impl Mistakes {
    pub(super) fn one(text: String) -> Self {
        Mistakes(vec![text])
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
    mistakes: Vec<String>,
    warnings: Vec<String>,
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
    pub(super) fn take_warnings(&mut self, warnings: Vec<String>) {
        warnings.into_iter().for_each(|warning| note(&mut self.warnings, warning));
    }

    pub(super) fn mistake(&mut self, place: &Place, message: impl fmt::Display) {
        let text = self.text(place, "", &message, None);
        note(&mut self.mistakes, text);
    }

    pub(super) fn mistake_with_hint(&mut self, place: &Place, message: impl fmt::Display, hint: impl fmt::Display) {
        let text = self.text(place, "", &message, Some(&hint));
        note(&mut self.mistakes, text);
    }

    pub(super) fn warning(&mut self, place: &Place, message: impl fmt::Display) {
        let text = self.text(place, "warning: ", &message, None);
        note(&mut self.warnings, text);
    }

    pub(super) fn warning_with_hint(&mut self, place: &Place, message: impl fmt::Display, hint: impl fmt::Display) {
        let text = self.text(place, "warning: ", &message, Some(&hint));
        note(&mut self.warnings, text);
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

    pub(super) fn malformed(&mut self, Malformed { place, message }: &Malformed) {
        self.mistake(place, message);
    }

    pub(super) fn unknown(&mut self, what: &str, node: &Node, unknown: &Unknown) {
        let Unknown { written, why, hint, .. } = unknown;
        let message = format!("`{what}` is `{}`: {why}", excerpt(written));
        match hint {
            Some(hint) => self.mistake_with_hint(&node.place, message, hint),
            None => self.mistake(&node.place, message),
        }
    }

    pub(super) fn has_mistakes(&self) -> bool {
        !self.mistakes.is_empty()
    }

    pub(super) fn finish(self) -> Result<Vec<String>, Mistakes> {
        if self.mistakes.is_empty() { Ok(self.warnings) } else { Err(Mistakes(self.mistakes)) }
    }

    fn text(&self, place: &Place, kind: &str, message: &dyn fmt::Display, hint: Option<&dyn fmt::Display>) -> String {
        let about = if self.about.is_empty() { String::new() } else { format!("{}: ", self.about) };
        let hint = hint.map(|hint| format!("\n  hint: {hint}")).unwrap_or_default();
        format!("{place}: {kind}{about}{message}{hint}")
    }

    /// A scalar's text.
    pub(super) fn string(&mut self, what: &str, node: &Node) -> Option<String> {
        match &node.value {
            Value::Scalar(scalar) if scalar.is_null() => self.wrong_kind(what, node, "a value belongs there"),
            Value::Scalar(scalar) => Some(scalar.text.clone()),
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
        for (key, _) in members.iter().filter(|(key, _)| !known.contains(&key.name.as_str())) {
            let name = excerpt(&key.name);
            self.mistake(&key.place, format!("`{what}` has no key `{name}`; it has {}", known.join(", ")));
        }
    }

    fn wrong_kind<T>(&mut self, what: &str, node: &Node, must: &str) -> Option<T> {
        let is = match node.as_text() {
            Some(text) => format!("`{}`", excerpt(text)),
            None => node.kind().to_owned(),
        };
        self.mistake(&node.place, format!("`{what}` is {is}, {must}"));
        None
    }
}

fn note(findings: &mut Vec<String>, text: String) {
    if findings.len() < MAX_FINDINGS {
        findings.push(text);
    }
}
