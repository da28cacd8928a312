//! Values that need quotes, and quotes that are not right.

use std::ops::Range;

use super::Repair;
use super::line::{cut, is_key, parts, quoted, replaced, values};

/// Characters that may follow a backslash in double quotes (YAML 1.2 section 5.7).
const ESCAPES: &str = "0abt\tnvfre \"/\\N_LPxuU";

/// Double quotes around backslashes that are meant literally: regular expressions, and paths on Windows.
pub(super) fn escapes(lines: &[&str], at: usize, repairs: &mut Vec<Repair>) {
    let Some(line) = lines.get(at).filter(|line| line.contains('"') && line.contains('\\')) else { return };
    for knows_escapes in [true, false] {
        let (mut new, mut first, mut from) = (String::new(), None, 0);
        for range in in_double_quotes(line, knows_escapes) {
            let inner = cut(line, range.start + 1..range.end - 1);
            let Some((byte, escape)) = unknown_escape(inner) else { continue };
            first = first.or(Some((range.start + 1 + byte, escape)));
            let literal = inner.replace("\\\\", "\\").replace("\\\"", "\"");
            new += cut(line, from..range.start);
            new += &format!("'{}'", literal.replace('\'', "''"));
            from = range.end;
        }
        let Some((byte, escape)) = first else { continue };
        new += cut(line, from..line.len());
        let message = format!("`\\{escape}` is not an escape sequence in double quotes");
        repairs.push(Repair::line(lines, at, byte, new, message, "use single quotes"));
    }
}

/// Returns the position and the character of the first unknown escape; a backslash at the end is one.
fn unknown_escape(inner: &str) -> Option<(usize, char)> {
    let mut characters = inner.char_indices();
    while let Some((byte, c)) = characters.next() {
        if c != '\\' {
            continue;
        }
        match characters.next() {
            Some((_, escape)) if ESCAPES.contains(escape) => {}
            Some((_, escape)) => return Some((byte, escape)),
            None => return Some((byte, '"')),
        }
    }
    None
}

fn in_double_quotes(line: &str, knows_escapes: bool) -> Vec<Range<usize>> {
    let (mut ranges, mut open, mut is_escaped) = (Vec::new(), None, false);
    for (at, c) in line.char_indices() {
        match (open, c) {
            _ if is_escaped => is_escaped = false,
            (Some(_), '\\') => is_escaped = knows_escapes,
            (Some(start), '"') => {
                ranges.push(start..at + 1);
                open = None;
            }
            (None, '"') => open = Some(at),
            _ => {}
        }
    }
    ranges
}

/// Values that begin with a character that has a meaning in YAML, or contain one.
pub(super) fn indicators(lines: &[&str], at: usize, repairs: &mut Vec<Repair>) {
    let Some(line) = lines.get(at) else { return };
    let found: Vec<_> =
        values(line).into_iter().filter_map(|range| Some((range.clone(), indicator(cut(line, range))?))).collect();
    // All values with the same mistake at once: each alone would leave the next one.
    if let Some((first, (byte, message))) = found.first() {
        let same =
            |range: &Range<usize>| cut(line, range.clone()).chars().next() == cut(line, first.clone()).chars().next();
        let (mut new, mut from) = (String::new(), 0);
        for (range, _) in found.iter().filter(|(range, _)| same(range) && range.start >= first.start) {
            if range.start >= from {
                new += cut(line, from..range.start);
                new += &quoted(cut(line, range.clone()));
                from = range.end;
            }
        }
        new += cut(line, from..line.len());
        repairs.push(Repair::line(lines, at, first.start + byte, new, message, QUOTE));
    }
    for (range, _) in &found {
        // Quotes of other languages, and a sign on the wrong side of its number.
        let text = cut(line, range.clone());
        let backticks = text.strip_prefix('`').and_then(|text| text.strip_suffix('`')).map(quoted);
        let percent =
            text.strip_prefix('%').filter(|number| number.parse::<f64>().is_ok()).map(|number| format!("{number}%"));
        if let Some((new, (byte, message))) = backticks.or(percent).zip(indicator(text)) {
            let new = replaced(line, range.clone(), &new);
            repairs.insert(0, Repair::line(lines, at, range.start + byte, new, message, ""));
        }
    }
    for (range, (byte, message)) in found {
        let new = replaced(line, range.clone(), &quoted(cut(line, range.clone())));
        repairs.push(Repair::line(lines, at, range.start + byte, new, message, QUOTE));
    }
}

const QUOTE: &str = "put the value in quotes";

/// Returns the position and the meaning of the first character of a plain value that makes it another kind of value.
fn indicator(text: &str) -> Option<(usize, String)> {
    let first = text.chars().next()?;
    if is_structure(text) {
        return None;
    }
    let name = text.get(1..).unwrap_or_default();
    let is_name = !name.is_empty() && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    let meaning = match first {
        // A bracket that is not closed needs no quotes.
        '[' if text.matches('[').count() > text.matches(']').count() => return None,
        '{' if text.matches('{').count() > text.matches('}').count() => return None,
        '*' if is_name => return Some((0, format!("the alias `*{name}` has no anchor `&{name}`"))),
        '*' => "starts an alias",
        '&' => "starts an anchor",
        '!' => "starts a tag",
        '[' => "starts a list",
        '{' => "starts a map",
        '|' | '>' => "starts a text on the lines below",
        '?' => "starts a complex key",
        '#' => "starts a comment",
        '`' => return Some((0, "a value cannot begin with a backtick".to_owned())),
        '%' | '@' | ',' | ']' | '}' => return Some((0, format!("a value cannot begin with `{first}`"))),
        '"' | '\'' => return None,
        _ => {
            let inside = [": ", " #", "{", "}", "[", "]"].into_iter().filter_map(|it| Some((text.find(it)?, it)));
            let (at, found) = inside.min()?;
            let meaning = match found {
                ": " => "separates a key from its value",
                " #" => "starts a comment",
                _ => "has a meaning of its own inside brackets",
            };
            return Some((at, format!("`{found}` {meaning}")));
        }
    };
    Some((0, format!("`{first}` at the beginning of a value {meaning}")))
}

/// Returns `true` for a map or a list, a template, and what is meant as several keys: quotes would make it one text.
fn is_structure(text: &str) -> bool {
    // JSON may be meant as text.
    let inside = text
        .strip_prefix(['{', '[', '('])
        .filter(|text| !text.starts_with('"'))
        .map(|text| text.trim_end_matches([']', '}', ')', ' ']));
    inside.is_some_and(|it| it.starts_with(['{', '%']) || it.contains(": ") || it.contains(", ") || it.ends_with(':'))
        || text.starts_with("( ")
        || text.contains("; ")
        || text.split(", ").skip(1).any(|part| part.split_once(": ").is_some_and(|(key, _)| is_key(key)))
}

/// Returns `true` if every quote of a kind has a second one.
fn is_balanced(text: &str, quote: &str) -> bool {
    let escaped = if quote == "\"" { text.matches("\\\"").count() } else { 0 };
    text.matches(quote).count().abs_diff(escaped).is_multiple_of(2)
}

/// Quotes that are not closed, that end too early, or that are closed but not opened.
pub(super) fn unbalanced(lines: &[&str], at: usize, repairs: &mut Vec<Repair>) {
    let Some(line) = lines.get(at) else { return };
    let value = parts(line).value;
    let mut push = |byte, range: Range<usize>, new: &str, message: String| {
        let hint = "";
        repairs.push(Repair::line(lines, at, byte, replaced(line, range, new), message, hint));
    };
    for (start, quote) in line.match_indices(['"', '\'']).filter(|(start, _)| *start >= value.start).take(10) {
        let before = cut(line, 0..start).trim_end();
        let opens = before.ends_with(['[', '{', ',', ':', '-']) || before.is_empty();
        if !opens {
            continue;
        }
        // Ends of the value: a quote, a comma or a bracket, and the end of the line.
        let rest = cut(line, start + 1..value.end);
        let is_balanced = is_balanced(cut(line, value.clone()), quote);
        if !is_balanced {
            let text = rest.find(" #").map_or(rest, |comment| cut(rest, 0..comment)).trim_end();
            let close = text.find([',', ']', '}']).unwrap_or(text.len());
            for end in [close, text.len()].map(|end| start + 1 + end) {
                push(start, end..end, quote, format!("`{quote}` is not closed"));
            }
        }
        let closes_a_word = || {
            let (inner, after) = rest.split_once(quote).unwrap_or_default();
            is_balanced && after.starts_with(' ') && !inner.ends_with(' ')
        };
        if let Some(last) = rest.rfind(quote).filter(|_| !closes_a_word()) {
            let end = start + 1 + last;
            let inner = cut(line, start + 1..end);
            if let Some(inside) = inner.find(quote) {
                let message = format!("`{quote}` inside the value closes the quote");
                push(start + 1 + inside, start..end + 1, &quoted(inner), message);
            }
        }
        if let Some(end) = rest.find(quote).map(|end| start + 1 + end) {
            let tail = cut(line, end + 1..value.end);
            let tail = tail.find([',', ']', '}']).map_or(tail, |end| cut(tail, 0..end)).trim_end();
            if !tail.is_empty() {
                let whole = start..end + 1 + tail.len();
                // What follows belongs to the value: a path goes on, other text keeps the quotes.
                let new = match tail.starts_with('/') {
                    true => quoted(&format!("{}{tail}", cut(line, start + 1..end))),
                    false => quoted(cut(line, whole.clone())),
                };
                push(end + 1, whole, &new, "text after the closing quote".into());
            }
        }
    }
    for range in values(line) {
        let text = cut(line, range.clone());
        let is_unopened = ["\"", "'"].iter().any(|quote| text.ends_with(quote) && !is_balanced(text, quote));
        let is_unopened = is_unopened && !text.starts_with(['"', '\'', '[', '{']);
        if let Some(inner) = text.strip_suffix(['"', '\'']).filter(|_| is_unopened) {
            let message = "the quote at the end of the value was not opened".to_owned();
            push(range.end - 1, range, &quoted(inner), message);
        }
    }
}
