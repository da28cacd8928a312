//! The only path to the terminal: all output of the commands passes through here, which makes foreign text harmless. Pages use
//! the same escapes.
//!
//! Owns standard output and standard error of the commands. It escapes nothing for HTML or a shell. Clippy denies `println!`
//! and the like in this crate, so that no command goes another way.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal, Write};

use anyhow::{Context, Result};
use crossfade_route::misleads;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The colours of our own lines: parameters of SGR (ECMA-48).
const COLOURS: [&str; 11] = ["0", "1", "2", "31", "32", "33", "35", "36", "31;1", "32;1", "33;1"];

/// The longest SGR sequence of a function that is shown as one, and the most of them that a line break repeats, in bytes.
const LONGEST_SGR: usize = 64;
const MOST_REPEATED: usize = 256;

/// Returns true if standard output is to have colours.
pub(crate) fn has_colours() -> bool {
    wants_colours(std::io::stdout().is_terminal(), |name| std::env::var_os(name))
}

/// Returns true if standard error is to have colours.
pub(crate) fn has_colours_on_stderr() -> bool {
    wants_colours(std::io::stderr().is_terminal(), |name| std::env::var_os(name))
}

/// The user's wish (no-color.org, bixense.com/clicolors), and otherwise whether it is a terminal that knows colours.
fn wants_colours(is_terminal: bool, variable: impl Fn(&str) -> Option<OsString>) -> bool {
    let value = |name| variable(name).filter(|value| !value.is_empty());
    if value("NO_COLOR").is_some() {
        return false;
    }
    if value("CLICOLOR_FORCE").is_some_and(|value| value != "0") {
        return true;
    }
    is_terminal
        && value("CLICOLOR").is_none_or(|value| value != "0")
        && value("TERM").is_none_or(|value| value != "dumb")
}

/// Writes text to standard output, escaped by [`safe`]. A closed pipe, as with `head`, is not an error.
///
/// # Errors
///
/// If writing fails for another reason.
pub(crate) fn print(text: &str) -> Result<()> {
    write_out(&safe(text))
}

/// Like [`print()`], for text with our own colours.
pub(crate) fn print_painted(text: &str) -> Result<()> {
    write_out(&painted(text, has_colours()))
}

/// Like [`print()`], for a JSON document: escapes leave its meaning unchanged.
pub(crate) fn print_json(document: &str) -> Result<()> {
    write_out(&printable_json(document))
}

fn write_out(text: &str) -> Result<()> {
    let mut output = std::io::stdout().lock();
    match output.write_all(text.as_bytes()).and_then(|()| output.flush()) {
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        written => written.context("cannot write to standard output"),
    }
}

/// Writes text and a line break to standard error, escaped by [`safe`]. Ignores failures.
pub(crate) fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "{}", safe(text));
}

/// A bar on standard error for the progress of many requests, with the time that is left. Nothing is shown if standard error is
/// not a terminal. Its message must be our own text.
pub(crate) fn progress(total: u64) -> ProgressBar {
    let style = ProgressStyle::with_template("{wide_bar} {pos}/{len}  {eta} left  {msg}");
    let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
    bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()))
}

/// Text of several lines, with misleading characters escaped, such as `\u{1b}`.
pub(crate) fn safe(text: &str) -> String {
    painted(text, false)
}

/// Like [`safe`], but keeps our own colours if `has_colours`. Foreign text must be [`printable`] before it is painted, or its
/// colours would be kept as well.
pub(crate) fn painted(text: &str, has_colours: bool) -> String {
    let mut safe = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((at, c)) = rest.char_indices().find(|(_, c)| misleads(*c)) {
        let (before, from) = rest.split_at(at);
        safe.push_str(before);
        let colour = colour(from).filter(|_| has_colours);
        match colour {
            Some(colour) => safe.push_str(colour),
            None => safe.extend(c.escape_default()),
        }
        rest = from.get(colour.map_or(c.len_utf8(), str::len)..).unwrap_or_default();
    }
    safe + rest
}

/// The colour at the start of a text.
fn colour(text: &str) -> Option<&str> {
    let (parameters, _) = text.strip_prefix("\x1b[")?.split_once('m')?;
    let length = "\x1b[".len() + parameters.len() + "m".len();
    COLOURS.contains(&parameters).then(|| text.get(..length)).flatten()
}

/// A record of a function's output. Each CR, which runtime clients write for a line break within a record, begins a new
/// line, and every line begins with `prefix`, so that none can be taken for one of ours. Colours and styles end with their
/// line and go on in the next one; without `has_colours` they are removed. All else that could steer the terminal is escaped.
pub(crate) fn function_output(prefix: &str, record: &str, has_colours: bool) -> String {
    let mut out = String::with_capacity(prefix.len() + record.len());
    // The sequences since the last reset.
    let mut style = String::new();
    for (index, line) in record.split('\r').enumerate() {
        if index > 0 {
            out.push('\n');
        }
        out.push_str(prefix);
        out.push_str(&style);
        let mut rest = line;
        while let Some((at, c)) = rest.char_indices().find(|(_, c)| misleads(*c)) {
            let (before, from) = rest.split_at(at);
            out.push_str(before);
            let sequence = sgr(from);
            match sequence {
                Some(_) if !has_colours => {}
                Some(sequence) => {
                    out.push_str(sequence);
                    if is_reset(sequence) || style.len() + sequence.len() > MOST_REPEATED {
                        style.clear();
                    } else {
                        style.push_str(sequence);
                    }
                }
                None => out.extend(c.escape_default()),
            }
            rest = from.get(sequence.map_or(c.len_utf8(), str::len)..).unwrap_or_default();
        }
        out.push_str(rest);
        if !style.is_empty() {
            out.push_str(RESET);
        }
    }
    out
}

/// Text without colours and styles.
pub(crate) fn without_colours(text: &str) -> String {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find('\x1b') {
        let (before, from) = rest.split_at(at);
        plain.push_str(before);
        let sequence = sgr(from);
        plain.push_str(if sequence.is_some() { "" } else { "\x1b" });
        rest = from.get(sequence.map_or(1, str::len)..).unwrap_or_default();
    }
    plain + rest
}

const RESET: &str = "\x1b[0m";

fn is_reset(sequence: &str) -> bool {
    sequence == RESET || sequence == "\x1b[m"
}

/// The sequence at the start of a text that sets colours or styles and hides nothing (ECMA-48, SGR): not blinking (5, 6) and
/// not concealed (8).
fn sgr(text: &str) -> Option<&str> {
    let parameters = text.strip_prefix("\x1b[")?;
    let length =
        parameters.bytes().take(LONGEST_SGR).position(|byte| !byte.is_ascii_digit() && !b";:".contains(&byte))?;
    let (parameters, rest) = parameters.split_at(length);
    if !rest.starts_with('m') {
        return None;
    }
    let mut codes = parameters.split(';');
    while let Some(code) = codes.next() {
        match code {
            // A colour follows: `38;5;N` or `38;2;R;G;B`, or all of it in one, `38:5:N`.
            "38" | "48" | "58" => match codes.next() {
                Some("5") => _ = codes.next(),
                Some("2") => _ = codes.nth(2),
                _ => return None,
            },
            code if ["38:", "48:", "58:", "4:"].iter().any(|start| code.starts_with(start)) => {}
            code => match code.parse::<u8>() {
                Ok(5 | 6 | 8) => return None,
                Ok(_) => {}
                Err(_) if code.is_empty() => {}
                Err(_) => return None,
            },
        }
    }
    text.get(.."\x1b[".len() + length + 1)
}

/// Foreign text in one line, with line breaks escaped as well.
pub(crate) fn printable(text: &str) -> String {
    let mut printable = String::with_capacity(text.len());
    for c in text.chars() {
        if c == '\n' || misleads(c) { printable.extend(c.escape_default()) } else { printable.push(c) }
    }
    printable
}

/// A JSON document with misleading characters as JSON escapes (RFC 8259 section 7): they can only occur in strings.
pub(crate) fn printable_json(document: &str) -> String {
    let mut printable = String::with_capacity(document.len());
    for character in document.chars() {
        if !misleads(character) {
            printable.push(character);
            continue;
        }
        for unit in character.encode_utf16(&mut [0; 2]) {
            let _ = write!(printable, "\\u{unit:04x}");
        }
    }
    printable
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_steers_the_terminal_or_hides() {
        let kept = "plain\ttext\nüé漢字 \u{1f600} 100 %\n";
        assert_eq!((safe(kept).as_str(), painted(kept, true).as_str()), (kept, kept));
        for (text, shown) in [
            ("\x1b[2J", "\\u{1b}[2J"),
            ("\x1b]0;title\x07", "\\u{1b}]0;title\\u{7}"),
            ("a\rb\x08\x7f\0", "a\\rb\\u{8}\\u{7f}\\u{0}"),
            ("\u{9b}31m", "\\u{9b}31m"),
            ("\u{202a}\u{202e}\u{2066}\u{2069}", "\\u{202a}\\u{202e}\\u{2066}\\u{2069}"),
            ("\u{200e}\u{200f}\u{61c}", "\\u{200e}\\u{200f}\\u{61c}"),
            ("\u{200b}\u{200d}\u{feff}\u{2060}\u{ad}", "\\u{200b}\\u{200d}\\u{feff}\\u{2060}\\u{ad}"),
            ("\u{2028}\u{2029}\u{85}", "\\u{2028}\\u{2029}\\u{85}"),
            ("\u{e0041}", "\\u{e0041}"),
        ] {
            assert_eq!((safe(text).as_str(), printable(text).as_str()), (shown, shown));
            assert_eq!(safe(shown), shown, "twice is once");
            let document = serde_json::to_string(text).unwrap();
            let printed = printable_json(&document);
            assert!(!printed.chars().any(misleads), "{printed}");
            assert_eq!(serde_json::from_str::<String>(&printed).unwrap(), text);
        }
        assert_eq!(printable("a\nb\tc"), "a\\nb\tc");
    }

    #[test]
    fn the_user_decides_about_colours_and_otherwise_the_terminal() {
        let wants = |is_terminal, variables: &[(&str, &str)]| {
            let value = |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| value.into());
            wants_colours(is_terminal, value)
        };
        for (is_terminal, variables, expected) in [
            (true, &[][..], true),
            (false, &[], false),
            (true, &[("NO_COLOR", "1")], false),
            (true, &[("NO_COLOR", "")], true),
            (true, &[("CLICOLOR", "0")], false),
            (true, &[("CLICOLOR", "1")], true),
            (false, &[("CLICOLOR", "1")], false),
            (true, &[("TERM", "dumb")], false),
            (false, &[("CLICOLOR_FORCE", "1")], true),
            (false, &[("CLICOLOR_FORCE", "0")], false),
            (true, &[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], false),
        ] {
            assert_eq!(wants(is_terminal, variables), expected, "{is_terminal} {variables:?}");
        }
    }

    #[test]
    fn records_of_a_function_are_lines_that_cannot_be_taken_for_ours() {
        for (record, plain, coloured) in [
            ("a", "f | a", "f | a"),
            ("", "f | ", "f | "),
            (r#"{"a":"\u001b[31m"}"#, r#"f | {"a":"\u001b[31m"}"#, r#"f | {"a":"\u001b[31m"}"#),
            (
                "Error: a\r    at b\r    at c",
                "f | Error: a\nf |     at b\nf |     at c",
                "f | Error: a\nf |     at b\nf |     at c",
            ),
            (
                "10:00:00Z GET 200\r10:00:01Z GET 200",
                "f | 10:00:00Z GET 200\nf | 10:00:01Z GET 200",
                "f | 10:00:00Z GET 200\nf | 10:00:01Z GET 200",
            ),
            ("\x1b[31mred\x1b[0m", "f | red", "f | \x1b[31mred\x1b[0m"),
            ("\x1b[1;31mred\x1b[m", "f | red", "f | \x1b[1;31mred\x1b[m"),
            ("\x1b[38;5;8mgrey", "f | grey", "f | \x1b[38;5;8mgrey\x1b[0m"),
            ("\x1b[38;2;1;5;8ma\x1b[48:2::1:5:8mb", "f | ab", "f | \x1b[38;2;1;5;8ma\x1b[48:2::1:5:8mb\x1b[0m"),
            // What is open goes on behind the prefix, which has no colour.
            ("\x1b[31ma\rb\x1b[0m\rc", "f | a\nf | b\nf | c", "f | \x1b[31ma\x1b[0m\nf | \x1b[31mb\x1b[0m\nf | c"),
            ("\x1b[8mhidden", "f | \\u{1b}[8mhidden", "f | \\u{1b}[8mhidden"),
            ("\x1b[0;08m", "f | \\u{1b}[0;08m", "f | \\u{1b}[0;08m"),
            ("\x1b[31;5m", "f | \\u{1b}[31;5m", "f | \\u{1b}[31;5m"),
            ("\x1b[2J\x1b[31", "f | \\u{1b}[2J\\u{1b}[31", "f | \\u{1b}[2J\\u{1b}[31"),
            ("\x1b[?25h\u{9b}31m\x07", "f | \\u{1b}[?25h\\u{9b}31m\\u{7}", "f | \\u{1b}[?25h\\u{9b}31m\\u{7}"),
            ("a\u{2028}b\x0bc\u{85}d", "f | a\\u{2028}b\\u{b}c\\u{85}d", "f | a\\u{2028}b\\u{b}c\\u{85}d"),
        ] {
            assert_eq!(function_output("f | ", record, false), plain, "{record:?}");
            assert_eq!(function_output("f | ", record, true), coloured, "{record:?}");
        }
        let many = "\x1b[31m".repeat(1000);
        assert!(function_output("", &format!("{many}\r\r\r"), true).len() < many.len() + 4 * MOST_REPEATED);
        let long = format!("\x1b[{}m", "1;".repeat(100));
        assert!(!function_output("", &long, true).contains('\x1b'));
        assert_eq!(without_colours("\x1b[31mred\x1b[0m \x1b[2J\x1b"), "red \x1b[2J\x1b");
    }

    #[test]
    fn only_our_own_colours_are_kept_and_only_where_there_are_some() {
        let ours = "\x1b[32;1mok\x1b[0m";
        assert_eq!(painted(ours, true), ours);
        assert_eq!(painted(ours, false), "\\u{1b}[32;1mok\\u{1b}[0m");
        for other in ["\x1b[8m", "\x1b[2J", "\x1b[32", "\x1b[;m", "\x1b[0;0m", "\x1b\x1b[", "\x1b"] {
            assert!(!painted(other, true).contains('\x1b'), "{other:?}");
        }
    }
}
