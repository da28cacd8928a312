//! The structure of a text: spaces after `:` and `-`, the signs themselves, comments and indentation.

use super::Repair;
use super::line::{Parts, content, cut, indent, is_blank, is_key, parts, replaced};

/// Comments of other languages.
pub(super) fn comments(lines: &[&str], at: usize, repairs: &mut Vec<Repair>) {
    let Some((line, start)) = lines.get(at).map(|line| (line, indent(line))) else { return };
    if cut(line, start..line.len()).starts_with("//") {
        let new = replaced(line, start..start + 2, "#");
        repairs.push(Repair::line(lines, at, start, new, "`//` does not start a comment", ""));
    }
}

/// Spaces after `:` and `-`: in this line, and in those below with the same mistake.
pub(super) fn spaces(lines: &[&str], at: usize, repairs: &mut Vec<Repair>) {
    for (spaced, sign) in
        [(after_colon as fn(&str) -> Option<(String, usize)>, ':'), (after_colons, ':'), (after_dash, '-')]
    {
        let fixed: Vec<_> = lines.iter().skip(at).map_while(|line| spaced(line)).take(super::FAR).collect();
        let Some((_, byte)) = fixed.first() else { continue };
        let repair = |count| Repair {
            first: at,
            lines: fixed.iter().take(count).map(|(line, _)| line.clone()).collect(),
            at: (at, *byte),
            message: format!("a space is missing after `{sign}`"),
            hint: String::new(),
            shows_line: true,
        };
        repairs.push(repair(1));
        if fixed.len() > 1 {
            repairs.push(repair(fixed.len()));
        }
        // The lines below are aligned with the item, which moves.
        let below = lines.iter().skip(at + 1).take_while(|line| is_blank(line) || indent(line) > *byte);
        let moved: Vec<String> = below.map(|line| format!(" {line}")).collect();
        if sign == '-' && !moved.is_empty() {
            let mut repair = repair(1);
            repair.lines.extend(moved);
            repairs.push(repair);
        }
    }
}

/// Returns the positions after the colons of `key:value`. The colon of `https://` does not count.
fn tight_colons(line: &str) -> Vec<usize> {
    let found = line.match_indices(':').map(|(colon, _)| colon).take(40);
    let is_missing = |colon: &usize| {
        let after = cut(line, colon + 1..line.len());
        let key = cut(line, 0..*colon);
        let start = key.rfind([' ', '{', '[', ',']).map_or(0, |space| space + 1);
        !after.is_empty()
            && !after.starts_with([' ', '/'])
            && is_key(cut(key, start..key.len()).trim_matches('"').trim_start_matches('-'))
    };
    found.filter(is_missing).map(|colon| colon + 1).collect()
}

fn after_colon(line: &str) -> Option<(String, usize)> {
    let byte = tight_colons(line).into_iter().next()?;
    Some((replaced(line, byte..byte, " "), byte - 1))
}

fn after_colons(line: &str) -> Option<(String, usize)> {
    let all = tight_colons(line);
    let new = all.iter().rev().fold(line.to_owned(), |line, byte| replaced(&line, *byte..*byte, " "));
    Some((new, all.first()? - 1))
}

fn after_dash(line: &str) -> Option<(String, usize)> {
    let start = content(line);
    let rest = cut(line, start..line.len()).strip_prefix('-')?;
    (!rest.is_empty() && !rest.starts_with([' ', '-'])).then(|| (replaced(line, start..start + 1, "- "), start))
}

/// `key: other: value`.
pub(super) fn maps_in_a_line(lines: &[&str], at: usize, repairs: &mut Vec<Repair>) {
    let Some((line, Parts { key, value, .. })) = lines.get(at).map(|line| (line, parts(line))) else { return };
    let inner = cut(line, value.clone());
    let Some((name, _)) = inner.split_once(": ").filter(|(name, _)| is_key(name) && !key.is_empty()) else { return };
    let byte = value.start + name.len();
    let new = replaced(line, value, &format!("{{ {inner} }}"));
    let message = "a second key in the same line needs brackets".to_owned();
    repairs.push(Repair::line(lines, at, byte, new, message, ""));
}

/// `key: - item`, and `key: item, item`.
pub(super) fn lists_in_a_line(lines: &[&str], at: usize, repairs: &mut Vec<Repair>) {
    let Some((line, Parts { value, .. })) = lines.get(at).map(|line| (line, parts(line))) else { return };
    let text = cut(line, value.clone());
    let (items, message) = match text.strip_prefix("- ") {
        Some(item) => (item, "a list in the line of its key needs brackets"),
        None if text.contains(", ") && !text.contains([':', ';']) && !text.starts_with(['[', '{', '(', '"', '\'']) => {
            (text, "several values need brackets")
        }
        None => return,
    };
    let new = replaced(line, value.clone(), &format!("[{items}]"));
    repairs.push(Repair::line(lines, at, value.start, new, message, ""));
}

/// Adds the colon that a key lacks. Also returns the position of the mistake and its message.
fn with_colon(line: &str) -> Option<(String, usize, String)> {
    let start = content(line);
    let rest = cut(line, start..line.len()).trim_end();
    let (word, value) = rest.split_once(' ').unwrap_or((rest, ""));
    let value = value.trim_start();
    if !is_key(word) || value.starts_with(':') {
        return None;
    }
    let byte = start + word.len();
    let (message, value) = match value.strip_prefix("= ").or_else(|| value.strip_prefix("=> ")) {
        Some(value) => (format!("`=` after `{word}` instead of `:`"), value),
        None => (format!("a `:` is missing after `{word}`"), value),
    };
    let space = if value.is_empty() { "" } else { " " };
    Some((format!("{}:{space}{value}", cut(line, 0..byte)), byte, message))
}

/// Keys without a colon.
pub(super) fn colons(lines: &[&str], at: usize, repairs: &mut Vec<Repair>) {
    if let Some((new, byte, message)) = lines.get(at).and_then(|line| with_colon(line)) {
        repairs.push(Repair::line(lines, at, byte, new, message, ""));
    }
}

/// A list item without its `-`: its first key follows the key of the list, or repeats the first key of the item above.
pub(super) fn missing_dashes(lines: &[&str], at: usize, repairs: &mut Vec<Repair>) {
    let Some((line, Parts { key, .. })) = lines.get(at).map(|line| (*line, parts(line))) else { return };
    let own = indent(line);
    if key.is_empty() || key.start != own || own < 2 {
        return;
    }
    let mut above = lines.iter().take(at).rev().filter(|line| !is_blank(line));
    let is_first = above.clone().next().is_some_and(|above| indent(above) < own && parts(above).value.is_empty());
    let item = above.find(|above| indent(above) < own);
    let repeats = item.is_some_and(|item| {
        let first = parts(item).key;
        first.start == own && cut(item, first) == cut(line, key.clone())
    });
    if is_first || repeats {
        let new = replaced(line, own - 2..own, "- ");
        let message = format!("the `-` of the list item is missing before `{}`", cut(line, key));
        repairs.push(Repair::line(lines, at, own, new, message, ""));
    }
}

/// List items among keys, and keys among list items.
pub(super) fn dashes(lines: &[&str], at: usize, repairs: &mut Vec<Repair>) {
    let Some((line, start)) = lines.get(at).map(|line| (line, indent(line))) else { return };
    if cut(line, start..line.len()).starts_with("- ") {
        let new = replaced(line, start..start + 2, "");
        repairs.push(Repair::line(lines, at, start, new, "a list item among keys", "remove the `-`"));
    } else if !parts(line).key.is_empty() {
        let new = replaced(line, start..start, "- ");
        repairs.push(Repair::line(lines, at, start, new, "a key among list items", "begin the item with `-`"));
    }
}

/// The indentation of the line, alone or with the lines below that belong to it.
pub(super) fn indentation(lines: &[&str], at: usize, repairs: &mut Vec<Repair>) {
    let Some((line, own)) = lines.get(at).map(|line| (*line, indent(line))) else { return };
    let rest = lines.iter().skip(at);
    let all = 1 + rest.clone().skip(1).take_while(|line| is_blank(line) || indent(line) >= own).count();
    let siblings = 1 + rest.skip(1).take_while(|line| indent(line) > own).count();
    let mut push = |column, count, message, hint| repairs.push(shifted(lines, at, column, count, message, hint));
    let above = lines.iter().take(at).rev().find(|line| !is_blank(line));
    if let Some(above) = above
        && cut(above, parts(above).value).starts_with(['|', '>'])
        && own <= indent(above)
    {
        let hint = format!("indent it by {} spaces or more", indent(above) + 2);
        let message = "a text below `|` or `>` must be indented deeper than its key";
        [all, siblings].into_iter().for_each(|count| push(indent(above) + 2, count, message, hint.clone()));
    }
    // The first line decides for all others.
    if let Some((first, line)) = lines.iter().enumerate().find(|(_, line)| !is_blank(line))
        && above.is_some_and(|above| above == line)
        && indent(line) > own
    {
        let hint = format!("remove the spaces before `{}`", name(line, indent(line)));
        repairs.push(Repair {
            first,
            lines: vec![line.trim_start().to_owned()],
            at: (first, 0),
            message: "wrong indentation".into(),
            hint,
            shows_line: false,
        });
    }
    let mut push = |column, count, message, hint| repairs.push(shifted(lines, at, column, count, message, hint));
    let is_structure = !parts(line).key.is_empty() || cut(line, own..line.len()).starts_with("- ");
    if !is_structure {
        return;
    }
    let before = lines.iter().enumerate().take(at).rev().take(super::FAR);
    let after = lines.iter().enumerate().skip(at + 1).take(super::FAR);
    let others = before.chain(after).filter(|(_, line)| !is_blank(line));
    let mut columns: Vec<(usize, usize, &str)> = Vec::new();
    for (index, other) in others {
        for column in [indent(other), content(other)] {
            if column != own && columns.iter().all(|(known, ..)| *known != column) {
                columns.push((column, index, name(other, column)));
            }
        }
    }
    columns.sort_by_key(|(column, ..)| column.abs_diff(own));
    for (column, index, like) in columns.into_iter().take(6) {
        let spaces = if column == 1 { "space" } else { "spaces" };
        let own = name(line, own);
        let hint = match column {
            0 => format!("remove the spaces before `{own}`"),
            _ => format!("indent `{own}` by {column} {spaces}, like `{like}` in line {}", index + 1),
        };
        for count in [all, siblings, 1] {
            push(column, count, "wrong indentation", hint.clone());
        }
    }
}

/// The lines below a key without a value, if they are not indented deeper than the key.
pub(super) fn children(lines: &[&str], at: usize, repairs: &mut Vec<Repair>) {
    let Some((line, Parts { key, value })) = lines.get(at).map(|line| (*line, parts(line))) else { return };
    let below = lines.iter().enumerate().skip(at + 1).find(|(_, line)| !is_blank(line));
    let Some((first, child)) = below.filter(|(_, child)| indent(child) == key.start) else { return };
    if key.is_empty() || !value.is_empty() {
        return;
    }
    let column = key.start + 2;
    let hint = format!("indent `{}` and what belongs to it by {column} spaces", name(child, key.start));
    let message = format!("the lines below `{}` are not indented deeper", cut(line, key));
    for count in [1, 2, 3, 4, 6, 8] {
        repairs.push(shifted(lines, first, column, count, &message, hint.clone()));
    }
}

/// Indents a line to a column, and the lines below that belong to it by as much.
fn shifted(lines: &[&str], at: usize, column: usize, count: usize, message: &str, hint: String) -> Repair {
    let own = lines.get(at).map_or(0, |line| indent(line));
    let shift = |line: &&str| {
        let kept = cut(line, own.saturating_sub(column).min(indent(line))..line.len());
        if kept.trim().is_empty() { kept.to_owned() } else { " ".repeat(column.saturating_sub(own)) + kept }
    };
    let lines = lines.iter().skip(at).take(count).map(shift).collect();
    Repair { first: at, lines, at: (at, own), message: message.into(), hint, shows_line: false }
}

/// Returns the key at a column for messages, or a list item with its `-`.
fn name(line: &str, column: usize) -> &str {
    let Parts { key, .. } = parts(line);
    let text = cut(line, column..line.len()).trim_end();
    match key.start == column && !key.is_empty() {
        true => cut(line, key),
        false => text.char_indices().nth(40).map_or(text, |(end, _)| cut(text, 0..end)),
    }
}
