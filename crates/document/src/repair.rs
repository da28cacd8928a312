//! Finds the mistake behind an error: changes a line in the ways that usual mistakes need, and names the change after
//! which the reader of the file gets furthest. A hint that was tried cannot mislead.
//!
//! Owns the usual mistakes, their messages and the order of attempts; the caller judges each attempt. For command line
//! tools: the function does not contain this code.

mod brackets;
mod characters;
mod layout;
mod line;
mod quotes;

use std::cmp::Reverse;

pub use characters::to_ascii;

use crate::diagnostic::Diagnostic;
use crate::tree::Place;

/// The state of a text: the lines of its errors, or the position of the syntax error that hides all others.
pub type Judgement = Result<Vec<u32>, Place>;

/// Longest text in bytes, number of attempts, and bytes that all attempts may read. A longer text keeps its message.
const MAX_TEXT: usize = 256 << 10;
const MAX_ATTEMPTS: usize = 600;
const MAX_READ: usize = 8 << 20;
/// Longest line in bytes that is changed, and the longest in characters that a hint shows.
const MAX_LINE: usize = 1000;
const MAX_SHOWN: usize = 120;

/// A mistake, and the text without it.
#[derive(Clone, Debug)]
pub struct Explained {
    /// States the mistake, its position and the corrected line.
    pub diagnostic: Diagnostic,
    /// The corrected text. It may have further errors.
    pub text: String,
}

/// A change of one or more consecutive lines that keeps their number.
struct Repair {
    first: usize,
    lines: Vec<String>,
    /// Position of the mistake: index of the line, and bytes before it.
    at: (usize, usize),
    message: String,
    /// Empty if the corrected line says it all.
    hint: String,
    /// `true` if the first changed line follows the hint.
    shows_line: bool,
}

/// A way to repair the line with an index, and the number of lines that are tried.
type Way = (fn(&[&str], usize, &mut Vec<Repair>), usize);

/// The line with the error, the one before it and the one after it.
const NEAR: usize = 3;
/// Also those that may contain an opening quote or bracket.
const FAR: usize = 30;

/// The ways to repair a text that is not YAML, most specific first.
const OF_SYNTAX: [Way; 15] = [
    (characters::tabs, NEAR),
    (characters::look_alikes, FAR),
    (layout::comments, NEAR),
    (quotes::escapes, NEAR),
    (layout::spaces, NEAR),
    (layout::maps_in_a_line, NEAR),
    (layout::lists_in_a_line, NEAR),
    (brackets::closing, FAR),
    (quotes::indicators, NEAR),
    (quotes::unbalanced, FAR),
    (brackets::commas, NEAR),
    (layout::missing_dashes, FAR),
    (layout::colons, NEAR),
    (layout::dashes, NEAR),
    (layout::indentation, NEAR),
];

/// Likewise for YAML that means something else than its author thinks. Few change its structure: that
/// could hide errors.
const OF_MEANING: [Way; 9] = [
    (characters::look_alikes, 1),
    (layout::comments, 1),
    (layout::spaces, 1),
    (layout::lists_in_a_line, 1),
    (quotes::indicators, 1),
    (quotes::unbalanced, 1),
    (layout::missing_dashes, 1),
    (layout::colons, 1),
    (layout::children, 1),
];

/// Looks for the mistake behind an error. A syntax error may also come from a line nearby.
/// `mask` hides secrets in the corrected line.
///
/// Returns `None` if no change of one mistake reduces the errors.
#[must_use]
pub fn explain(
    text: &str,
    error: Place,
    mask: fn(&str) -> String,
    judge: &dyn Fn(&str) -> Judgement,
) -> Option<Explained> {
    if text.len() > MAX_TEXT {
        return None;
    }
    let lines: Vec<&str> = text.lines().collect();
    let before = judge(text);
    if before.is_err()
        && let Some(diagnostic) = conflict(&lines, error.file)
    {
        return Some(Explained { diagnostic, text: text.to_owned() });
    }
    let at = (error.line.saturating_sub(1) as usize).min(lines.len().saturating_sub(1));
    let nearby = around(at, &lines);
    let mut repairs = Vec::new();
    // The first of equally good repairs wins, so the most specific ones come first.
    let ways: &[Way] = if before.is_err() { &OF_SYNTAX } else { &OF_MEANING };
    for (way, count) in ways {
        nearby.iter().take(*count).for_each(|line| way(&lines, *line, &mut repairs));
    }
    let attempts = MAX_ATTEMPTS.min(MAX_READ / text.len().max(1));
    let mut best = (progress(&before, &lines), None);
    for repair in repairs.iter().take(attempts) {
        let repaired = repair.apply(&lines);
        let judgement = judge(&repaired);
        let after = progress(&judgement, &repaired.lines().collect::<Vec<_>>());
        if after > best.0 && repair.is_conclusive(&before, &judgement) {
            best = (after, Some((repair, repaired)));
        }
    }
    let (repair, text) = best.1?;
    Some(Explained { diagnostic: repair.diagnostic(&lines, error.file, mask), text })
}

/// The line itself and those nearby, nearest first, without empty lines and comments.
fn around(at: usize, lines: &[&str]) -> Vec<usize> {
    let is_usual = |line: &usize| lines.get(*line).is_some_and(|line| line.len() <= MAX_LINE && !line::is_blank(line));
    let mut before = (0..at).rev().filter(is_usual).take(FAR);
    let mut after = (at + 1..lines.len()).filter(is_usual);
    let nearest = [Some(at).filter(is_usual), before.next(), after.next()];
    nearest.into_iter().flatten().chain(before).collect()
}

/// Greater for a text that can be read further. The characters after a syntax error count, not those before it, which a
/// repair may have added.
fn progress(judgement: &Judgement, lines: &[&str]) -> (usize, Reverse<usize>) {
    match judgement {
        Ok(errors) => (usize::MAX, Reverse(errors.len())),
        Err(place) => {
            let line = place.line.saturating_sub(1) as usize;
            let rest = lines.get(line).map_or(0, |line| line.trim_end().chars().count());
            (line, Reverse(rest.saturating_sub(place.column.saturating_sub(1) as usize)))
        }
    }
}

impl Repair {
    /// Replaces one line.
    fn line(lines: &[&str], at: usize, byte: usize, new: String, message: impl Into<String>, hint: &str) -> Repair {
        debug_assert!(at < lines.len());
        Repair {
            first: at,
            lines: vec![new],
            at: (at, byte),
            message: message.into(),
            hint: hint.into(),
            shows_line: true,
        }
    }

    /// Returns `false` if there were errors in the meaning, and the changed lines still have some, or other lines have
    /// new ones: a change of the structure can hide errors without mending one.
    fn is_conclusive(&self, before: &Judgement, after: &Judgement) -> bool {
        let (Ok(before), Ok(after)) = (before, after) else { return true };
        let is_changed = |line: u32| {
            let index = (line.saturating_sub(1) as usize).checked_sub(self.first);
            index.is_some_and(|index| index < self.lines.len())
        };
        after.iter().all(|line| !is_changed(*line) && before.contains(line))
    }

    fn apply(&self, lines: &[&str]) -> String {
        let mut text = String::new();
        for (index, line) in lines.iter().enumerate() {
            let new = index.checked_sub(self.first).and_then(|index| self.lines.get(index));
            text.push_str(new.map_or(line, |new| new));
            text.push('\n');
        }
        text
    }

    fn diagnostic(&self, lines: &[&str], file: u32, mask: fn(&str) -> String) -> Diagnostic {
        let (line, byte) = self.at;
        let before = lines.get(line).and_then(|line| line.get(..byte)).unwrap_or_default();
        // Lines and columns fit in 32 bits, since `MAX_TEXT` does.
        let place = Place { file, line: (line + 1) as u32, column: (before.chars().count() + 1) as u32 };
        // Without a comment, unless the line is one.
        let first = self.lines.first().filter(|_| self.shows_line).map(|line| (line, line::parts(line).value.end));
        let shown =
            first.and_then(|(line, end)| if line.trim().starts_with('#') { Some(&**line) } else { line.get(..end) });
        let shown = shown.map(str::trim).filter(|line| !line.is_empty());
        let shown = shown.filter(|line| line.chars().count() <= MAX_SHOWN);
        let hint = match shown {
            Some(line) if self.hint.is_empty() => format!("write `{}`", mask(line)),
            Some(line) => format!("{}: `{}`", self.hint, mask(line)),
            None if self.hint.is_empty() => "correct this line".to_owned(),
            None => self.hint.clone(),
        };
        Diagnostic { hint: Some(hint), ..Diagnostic::error(place, self.message.clone()) }
    }
}

/// Finds the markers that a version control system leaves in a file with conflicting changes.
fn conflict(lines: &[&str], file: u32) -> Option<Diagnostic> {
    let is_marker = |line: &&str| ["<<<<<<< ", ">>>>>>> "].iter().any(|marker| line.starts_with(marker));
    let place = Place { file, line: (lines.iter().position(is_marker)? + 1) as u32, column: 1 };
    let hint = "keep one of the versions, and remove the lines with `<<<<<<<`, `=======` and `>>>>>>>`".to_owned();
    Some(Diagnostic { hint: Some(hint), ..Diagnostic::error(place, "a merge conflict is not resolved".to_owned()) })
}

#[cfg(test)]
mod tests;
