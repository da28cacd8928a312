//! The grammar that fields share (RFC 9110 section 5.6): lists, quoted strings, parameters.

use crate::sorting;

/// Splits at a separator outside quoted strings, into pieces without white space around them. Leaves out empty ones.
pub(super) fn split(text: &str, separator: char) -> impl Iterator<Item = &str> {
    pieces(text, separator, false)
}

/// Splits a list of links, whose URLs may contain separators (RFC 8288 section 3).
pub(super) fn split_links(text: &str, separator: char) -> impl Iterator<Item = &str> {
    pieces(text, separator, true)
}

fn pieces(text: &str, separator: char, has_urls: bool) -> impl Iterator<Item = &str> {
    let (mut is_quoted, mut is_escaped, mut is_url) = (false, false, false);
    let pieces = text.split(move |character: char| {
        if std::mem::take(&mut is_escaped) {
            return false;
        }
        match character {
            '\\' if is_quoted => is_escaped = true,
            '"' if !is_url => is_quoted = !is_quoted,
            '<' if has_urls && !is_quoted => is_url = true,
            '>' if is_url => is_url = false,
            _ => return character == separator && !is_quoted && !is_url,
        }
        false
    });
    pieces.map(str::trim).filter(|piece| !piece.is_empty())
}

/// Returns the elements of a list, of all lines of the field.
pub(super) fn elements(lines: &[String]) -> impl Iterator<Item = &str> {
    lines.iter().flat_map(|line| split(line, ','))
}

/// Returns the name of a parameter or directive, in lower case, and its value.
pub(super) fn parameter(piece: &str) -> (String, Option<String>) {
    match piece.split_once('=') {
        Some((name, value)) => (name.trim().to_ascii_lowercase(), Some(unquoted(value.trim()))),
        None => (piece.to_ascii_lowercase(), None),
    }
}

/// Returns what a token or a quoted string stands for.
pub(super) fn unquoted(text: &str) -> String {
    let Some(inner) = text.strip_prefix('"') else { return text.to_owned() };
    let inner = inner.strip_suffix('"').unwrap_or(inner);
    let mut is_escaped = false;
    let is_meant = |character: &char| {
        is_escaped = *character == '\\' && !is_escaped;
        !is_escaped
    };
    inner.chars().filter(is_meant).collect()
}

/// Returns words in any order as a text.
pub(super) fn in_order(words: impl Iterator<Item = String>) -> String {
    let mut words: Vec<_> = words.collect();
    sorting::sort(&mut words);
    words.dedup();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn separators_in_quotes_and_urls_do_not_count() {
        for (text, pieces) in [
            ("a, b ,, c", &["a", "b", "c"][..]),
            ("a=\"b, \\\", c\", d", &["a=\"b, \\\", c\"", "d"]),
            ("<a,b>, <c>", &["<a", "b>", "<c>"]),
            ("\"a, b", &["\"a, b"]),
        ] {
            assert_eq!(split(text, ',').collect::<Vec<_>>(), pieces, "{text}");
        }
        let links = "<a,b;\">; title=\"x>, <\", <c>";
        assert_eq!(split_links(links, ',').collect::<Vec<_>>(), ["<a,b;\">; title=\"x>, <\"", "<c>"]);
    }

    #[test]
    fn quoted_strings_are_read() {
        for (text, value) in [("a", "a"), ("\"a\\\"b\\\\\"", "a\"b\\"), ("\"a", "a"), ("\"", ""), ("", "")] {
            assert_eq!(unquoted(text), value, "{text}");
        }
        assert_eq!(parameter("Max-Age = \"5\""), ("max-age".to_owned(), Some("5".to_owned())));
        assert_eq!(parameter("No-Store"), ("no-store".to_owned(), None));
    }
}
