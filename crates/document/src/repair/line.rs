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

/// Removes a comment: what follows a `#` after a space, outside of quotes.
fn without_comment(value: &str) -> &str {
    let is_comment = |(at, c): &(usize, char)| *c == '#' && (*at == 0 || cut(value, *at - 1..*at) == " ");
    match outside_quotes(value).find(is_comment) {
        Some((at, _)) => cut(value, 0..at),
        None => value,
    }
}

/// Returns the characters that are not in quotes, with their positions. A quote inside a word does not count.
pub(super) fn outside_quotes(text: &str) -> impl Iterator<Item = (usize, char)> {
    let (mut quote, mut before) = (None, ' ');
    text.char_indices().filter(move |(_, c)| {
        let was_open = quote.is_some();
        match quote {
            Some(open) => quote = Some(open).filter(|open| open != c),
            None if matches!(c, '"' | '\'') && matches!(before, ' ' | ',' | ':' | '[' | '{') => quote = Some(*c),
            None => {}
        }
        before = *c;
        !was_open && quote.is_none()
    })
}

/// Returns the ranges of the values of a line: those inside of brackets first, then the value as a whole.
pub(super) fn values(line: &str) -> Vec<Range<usize>> {
    let mut found = Vec::new();
    let value = parts(line).value;
    collect(line, value.clone(), 0, &mut found);
    // A comment may have been meant as a value.
    let whole = value.start..line.trim_end().len();
    if whole != value {
        collect(line, whole, 0, &mut found);
    }
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
    let (mut items, mut start, mut depth, mut end) = (Vec::new(), range.start, 0_usize, range.end);
    for (at, c) in outside_quotes(cut(line, range.clone())).map(|(at, c)| (range.start + at, c)) {
        match c {
            '[' | '{' => depth += 1,
            ']' | '}' if depth == 0 => {
                end = at;
                break;
            }
            ']' | '}' => depth -= 1,
            ',' if depth == 0 => {
                items.push(start..at);
                start = at + 1;
            }
            _ => {}
        }
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
