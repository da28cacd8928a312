//! Brackets that are not closed, closed twice or mixed up, and commas between their items.

use super::Repair;
use super::line::{cut, is_key, outside_quotes, parts, replaced};

/// Closing brackets at the end of the line.
pub(super) fn closing(lines: &[&str], at: usize, repairs: &mut Vec<Repair>) {
    let Some(line) = lines.get(at) else { return };
    let value = parts(line).value;
    let open = cut(line, value.clone()).trim_end_matches([']', '}', ' ', ',']);
    let (start, end) = (value.start, value.start + open.len());
    let excess = |text: &str, open: char, close: char| text.matches(close).count() > text.matches(open).count();
    let unclosed = unclosed(open);
    // A `#` between brackets is not meant as a comment.
    let comment = cut(line, value.end..line.len());
    let has_closers = |text: &str| excess(text, '[', ']') || excess(text, '{', '}');
    if has_closers(comment) {
        return;
    }
    if let Some((byte, bracket)) = unclosed.last() {
        let spaced =
            |closed: &str| if open.ends_with([' ', '[', '{']) { closed.to_owned() } else { format!(" {closed}") };
        let closers: Vec<&str> = unclosed.iter().rev().map(|(_, bracket)| closer(*bracket)).collect();
        let is_spaced = open.contains("{ ");
        let mut closed = String::new();
        for one in &closers {
            closed += &if is_spaced && *one == "}" { spaced(one) } else { (*one).to_owned() };
        }
        let new = replaced(line, end..value.end, &closed);
        let written: Vec<char> = cut(line, end..value.end).chars().filter(|c| matches!(c, ']' | '}')).collect();
        let (byte, message) = match written.len() {
            more if more > closers.len() => (value.end - 1, "a closing bracket too many".to_owned()),
            same if same == closers.len() => (end, "the closing brackets do not match the opening ones".to_owned()),
            _ => (start + byte, format!("`{bracket}` is not closed")),
        };
        repairs.push(Repair::line(lines, at, byte, new, message, ""));
    } else if end < value.end {
        let new = replaced(line, end..value.end, "");
        repairs.push(Repair::line(lines, at, end, new, "a closing bracket without an opening one", ""));
    }
    for (open, bracket, opened) in [('{', '}', "{ "), ('[', ']', "[")] {
        if !excess(cut(line, value.clone()), open, bracket) {
            continue;
        }
        let new = replaced(line, start..start, opened);
        repairs.push(Repair::line(lines, at, start, new, format!("`{bracket}` was not opened"), ""));
    }
    // The opening bracket may be in a line above.
    for bracket in ['[', '{'] {
        let above = lines.iter().enumerate().take(at).rev().take(super::FAR);
        let mut openers = above.filter(|(_, line)| line.trim_end().ends_with(bracket));
        if let Some((opener, text)) = openers.next() {
            let new = replaced(line, value.end..value.end, closer(bracket));
            let hint = "close it at the end of a line";
            let repair = Repair::line(lines, at, 0, new, format!("`{bracket}` is not closed"), hint);
            repairs.push(Repair { at: (opener, text.trim_end().len() - 1), ..repair });
        }
    }
}

fn closer(bracket: char) -> &'static str {
    if bracket == '[' { "]" } else { "}" }
}

/// Returns the opening brackets that have no closing one.
fn unclosed(text: &str) -> Vec<(usize, char)> {
    let mut open = Vec::new();
    for (at, c) in outside_quotes(text) {
        match c {
            '[' | '{' => open.push((at, c)),
            ']' | '}' => {
                open.pop();
            }
            _ => {}
        }
    }
    open
}

/// Commas between the items of lists and maps in brackets.
pub(super) fn commas(lines: &[&str], at: usize, repairs: &mut Vec<Repair>) {
    let Some(line) = lines.get(at) else { return };
    let value = parts(line).value;
    let text = cut(line, value.clone());
    if let Some(byte) = text.find(",,").or_else(|| text.find(", ,")) {
        let byte = value.start + byte;
        let end = cut(line, byte..line.len());
        let end = byte + end.len() - end.trim_start_matches([',', ' ']).len();
        repairs.push(Repair::line(lines, at, byte + 1, replaced(line, byte..end, ", "), "a comma too many", ""));
    }
    let colons = text.match_indices(": ").map(|(colon, _)| value.start + colon);
    for colon in colons.take(20) {
        let key = cut(line, 0..colon).rfind(' ').map_or(0, |space| space + 1);
        let before = cut(line, 0..key).trim_end();
        if is_key(cut(line, key..colon).trim_matches('"')) && !before.ends_with([',', '{', '[', ':']) {
            let message = format!("a comma is missing before `{}`", cut(line, key..colon));
            let new = replaced(line, before.len()..before.len(), ",");
            repairs.push(Repair::line(lines, at, before.len(), new, message, ""));
        }
    }
    if !value.is_empty() {
        let new = replaced(line, value.end..value.end, ",");
        repairs.push(Repair::line(lines, at, value.end, new, "a comma is missing at the end of the line", ""));
    }
}
