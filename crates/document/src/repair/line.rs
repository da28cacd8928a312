//! A line of YAML as its author sees it: indentation, `- `, `key: `, value and comment. Works on lines that are not valid.

use std::ops::Range;

/// Deepest level of brackets in which values are found.
const MAX_DEPTH: usize = 8;

/// The parts of a line, as positions in bytes.
#[derive(Clone, Debug)]
pub(super) struct Parts {
    /// The key without its colon; empty without a key.
    pub(super) key: Range<usize>,
    /// The value, without a comment.
    pub(super) value: Range<usize>,
}

/// Returns a part of a line, empty if it is not at boundaries of characters.
pub(super) fn cut(line: &str, range: Range<usize>) -> &str {
    line.get(range).unwrap_or_default()
}

/// Returns the line with another text in a range.
pub(super) fn replaced(line: &str, range: Range<usize>, new: &str) -> String {
    format!("{}{new}{}", cut(line, 0..range.start), cut(line, range.end..line.len()))
}

pub(super) fn indent(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

pub(super) fn is_blank(line: &str) -> bool {
    let content = line.trim();
    content.is_empty() || content.starts_with('#')
}

/// Returns the position after the indentation and the list markers.
pub(super) fn content(line: &str) -> usize {
    let mut start = indent(line);
    while let Some(rest) = cut(line, start..line.len()).strip_prefix("- ") {
        start = line.len() - rest.trim_start().len();
    }
    start
}

pub(super) fn parts(line: &str) -> Parts {
    let start = content(line);
    let rest = cut(line, start..line.len());
    // A quoted key ends at its quote; a list or a map has no key.
    let from = match rest.chars().next() {
        Some(quote @ ('"' | '\'')) => rest.get(1..).and_then(|rest| rest.find(quote)).map(|end| end + 2),
        Some('{' | '[' | '#') => None,
        _ => Some(0),
    };
    let colon = from.and_then(|from| {
        let after = rest.get(from..)?;
        let colon = after.find(": ").or_else(|| after.trim_end().strip_suffix(':').map(str::len))?;
        (from == 0 || colon == 0).then_some(start + from + colon)
    });
    let after = colon.map_or(start, |colon| colon + 1);
    let value = line.len() - cut(line, after..line.len()).trim_start().len();
    let end = value + without_comment(cut(line, value..line.len())).trim_end().len();
    Parts { key: start..colon.unwrap_or(start), value: value..end }
}

/// Removes a comment, unless it begins inside of quotes or brackets.
fn without_comment(value: &str) -> &str {
    if value.starts_with('#') {
        return "";
    }
    let comments = value.match_indices(" #").map(|(at, _)| cut(value, 0..at));
    let is_whole = |text: &&str| {
        let count = |one: char| text.matches(one).count();
        count('[') <= count(']') && count('{') <= count('}') && count('"') % 2 == 0
    };
    comments.into_iter().find(is_whole).unwrap_or(value)
}

/// Returns the ranges of the values of a line: those inside of brackets first, then the value as a whole.
pub(super) fn values(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    collect(line, parts(line).value, 0, &mut found);
    found
}

fn collect(line: &str, range: Range<usize>, depth: usize, found: &mut Vec<Range<usize>>) {
    let text = cut(line, range.clone());
    if depth < MAX_DEPTH && text.starts_with(['[', '{']) {
        for item in items(line, range.start + 1..range.end) {
            collect(line, of_item(line, item), depth + 1, found);
        }
    }
    if !text.is_empty() {
        found.push(range);
    }
}

/// Splits the inside of brackets at its commas, up to the closing bracket.
fn items(line: &str, range: Range<usize>) -> Vec<Range<usize>> {
    let (mut items, mut start, mut depth, mut quote, mut before) = (Vec::new(), range.start, 0_usize, None, ',');
    let mut end = range.end;
    for (at, c) in cut(line, range.clone()).char_indices().map(|(at, c)| (range.start + at, c)) {
        match (quote, c) {
            (Some(open), _) => quote = Some(open).filter(|open| *open != c),
            (None, '"' | '\'') if matches!(before, ',' | ':' | '[' | '{') => quote = Some(c),
            (None, '[' | '{') => depth += 1,
            (None, ']' | '}') if depth == 0 => {
                end = at;
                break;
            }
            (None, ']' | '}') => depth -= 1,
            (None, ',') if depth == 0 => {
                items.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
        before = if c == ' ' { before } else { c };
    }
    items.push(start..end);
    items
}

/// Returns the value of an item `key: value`, or the item itself.
fn of_item(line: &str, item: Range<usize>) -> Range<usize> {
    let text = cut(line, item.clone());
    let has_key = !text.trim_start().starts_with(['"', '\'', '[', '{']) || text.contains("\": ");
    let start = match text.find(": ").filter(|_| has_key) {
        Some(colon) => item.start + colon + 1,
        None => item.start,
    };
    let value = cut(line, start..item.end);
    let start = start + value.len() - value.trim_start().len();
    start..start + value.trim().len()
}

/// Returns the text in quotes: in double ones if it needs no escapes there.
pub(super) fn quoted(text: &str) -> String {
    if text.contains(['"', '\\']) { format!("'{}'", text.replace('\'', "''")) } else { format!("\"{text}\"") }
}

/// Returns `true` for a text that looks like a key.
pub(super) fn is_key(text: &str) -> bool {
    text.starts_with(|first: char| first.is_ascii_alphabetic())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}
