//! Finds the names of values in lines: `Host: x`, `key = value`, metrics, and the sections of INI files and `robots.txt`.

use super::{Listing, Section, split};
use crate::endpoint::is_id;
use crate::evidence::{NOWHERE, continued};
use crate::shown;
use crate::work::{Stop, Work};

/// Bytes of a key.
const MAX_KEY: usize = 120;
/// Words of a key; more are a sentence.
const MAX_WORDS: usize = 3;

/// Reads a text.
pub(super) fn read<'a>(text: &'a str, work: &Work<'_>) -> Result<Listing<'a>, Stop> {
    let lines = split(text, work)?;
    let mut listing = Listing::new();
    listing.lines.reserve_exact(lines.len());
    let mut was_agent = false;
    for line in lines {
        work.spend(line.len().min(2 * MAX_KEY))?;
        let Some((key, value)) = key(line) else {
            if let Some(name) = heading(line) {
                listing.enter(Section::new(name, false));
            }
            listing.push_plain(line);
            continue;
        };
        let name = line.get(key.clone()).unwrap_or_default();
        let is_agent = name.eq_ignore_ascii_case("user-agent");
        if is_agent && !was_agent {
            let agent = line.get(value..).unwrap_or_default().trim();
            listing.enter(Section::new(agent, true));
        }
        was_agent = is_agent;
        if name.eq_ignore_ascii_case("sitemap") {
            listing.section = 0; // belongs to no group
        }
        // The order of metrics, and of the rules of `robots.txt` (RFC 9309 section 2.2.2), has no meaning.
        listing.is_ordered &= !is_agent && !name.starts_with("# TYPE ");
        listing.push(line, key, value, name);
    }
    Ok(listing)
}

impl Section {
    fn new(name: &str, has_lists: bool) -> Self {
        let path = if is_name(name) { format!("{name}/") } else { "*/".to_owned() };
        Section { path, id: continued(NOWHERE, name.as_bytes()), has_lists }
    }
}

/// Returns the name in a line `[name]` or `[[name]]`.
fn heading(line: &str) -> Option<&str> {
    let name = line.trim_start().strip_prefix('[')?.strip_suffix(']')?;
    let name = name.strip_prefix('[').and_then(|name| name.strip_suffix(']')).unwrap_or(name);
    is_name(name).then_some(name)
}

/// Returns `true` for a text that can be part of a place: it names something, and is not data.
pub(super) fn is_name(text: &str) -> bool {
    !text.is_empty()
        && text.len() <= MAX_KEY
        && !text.chars().any(char::is_control)
        && !text.contains(" >> ")
        && !is_id(text)
        && shown::value(text, false) == text
}

/// Returns the range of a line's key and the begin of its value.
fn key(line: &str) -> Option<(std::ops::Range<usize>, usize)> {
    let begin = line.len() - line.trim_start().len();
    let text = line.get(begin..)?;
    let (length, value) = metric(text).or_else(|| named(text))?;
    let name = text.get(..length)?;
    is_name(name).then_some((begin..begin + length, begin + value))
}

/// Finds a key before `:` or `=`.
fn named(text: &str) -> Option<(usize, usize)> {
    let is_key = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-' | b'.' | b'/' | b' ' | b'\t');
    if !text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        return None;
    }
    let end = text.bytes().take(MAX_KEY).position(|byte| !is_key(byte))?;
    let behind = text.get(end + 1..)?;
    let is_separator = match text.as_bytes().get(end)? {
        b':' => !behind.starts_with(['/', ':', '=']),
        b'=' => !behind.starts_with(['=', '>', '~']),
        _ => false,
    };
    let key = text.get(..end)?.trim_end();
    let is_short = key.split_ascii_whitespace().count() <= MAX_WORDS;
    (is_separator && is_short).then_some((key.len(), end + 1))
}

/// Finds the name and the labels of a metric, in the text format of Prometheus: `name{label="value"} 1`, `# TYPE name …`.
fn metric(text: &str) -> Option<(usize, usize)> {
    let is_name = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b':' | b'.');
    let name = |text: &str| text.bytes().take(MAX_KEY).take_while(|byte| is_name(*byte)).count();
    for comment in ["# HELP ", "# TYPE ", "# UNIT "] {
        if let Some(behind) = text.strip_prefix(comment) {
            let length = comment.len() + name(behind);
            return Some((length, length));
        }
    }
    if !text.starts_with(|first: char| first.is_ascii_alphabetic() || first == '_') {
        return None;
    }
    let mut end = name(text);
    if text.get(..end)?.ends_with(':') {
        return None;
    }
    if text.get(end..)?.starts_with('{') {
        end += labels(text.get(end..)?)?;
    }
    let value = text.get(end..)?;
    let number = value.strip_prefix([' ', '\t'])?.trim_start().split(' ').next()?;
    (number.parse::<f64>().is_ok()).then_some((end, end))
}

/// Returns the length of labels in braces.
fn labels(text: &str) -> Option<usize> {
    let (mut is_quoted, mut is_escaped) = (false, false);
    for (at, byte) in text.bytes().enumerate().take(MAX_KEY) {
        match byte {
            _ if is_escaped => is_escaped = false,
            b'\\' => is_escaped = is_quoted,
            b'"' => is_quoted = !is_quoted,
            b'}' if !is_quoted => return Some(at + 1),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::work::never_over;

    #[test]
    fn lines_name_their_values() {
        for (line, expected) in [
            ("Host: a.example", Some(("Host", "a.example"))),
            ("  key = value", Some(("key", "value"))),
            ("uptime:12", Some(("uptime", "12"))),
            ("Last seen: today", Some(("Last seen", "today"))),
            ("up 1", Some(("up", "1"))),
            ("up{job=\"a } b\"} 1 1700000000", Some(("up{job=\"a } b\"}", "1 1700000000"))),
            ("# TYPE up gauge", Some(("# TYPE up", "gauge"))),
            ("https://a.example", None),
            ("a == b", None),
            ("a => b", None),
            ("He said that he would come: never", None),
            ("12:30", None),
            ("jane@example.com: x", None),
            ("550e8400-e29b-41d4-a716-446655440000: x", None),
            ("words only", None),
            ("", None),
        ] {
            let found = key(line).map(|(name, value)| (&line[name], line[value..].trim()));
            assert_eq!(found, expected, "{line}");
        }
    }

    #[test]
    fn keys_belong_to_sections() {
        let text = "a=1\n[db]\na=1\n[[x]]\nUser-agent: A\nUser-agent: B\nDisallow: /\nSitemap: x";
        let listing = read(text, &Work::new(&never_over)).unwrap();
        let places: Vec<_> = listing
            .lines
            .iter()
            .filter(|line| line.id != 0)
            .map(|line| format!("{}{}", listing.sections[line.section as usize].path, line.key()))
            .collect();
        assert_eq!(places, ["a", "db/a", "A/User-agent", "A/User-agent", "A/Disallow", "Sitemap"]);
        assert!(!listing.is_ordered);
    }
}
