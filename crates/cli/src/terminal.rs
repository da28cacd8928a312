//! The only path to the terminal: all output of the commands passes through here, which makes foreign text harmless. Pages use
//! the same escapes.
//!
//! Owns standard output and standard error of the commands. It escapes nothing for HTML or a shell. Clippy denies `println!`
//! and the like in this crate, so that no command goes another way.

use std::fmt::Write as _;
use std::io::{ErrorKind, IsTerminal, Write};

use anyhow::{Context, Result};
use crossfade_route::misleads;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// The colours of our own lines: parameters of SGR (ECMA-48).
const COLOURS: [&str; 10] = ["0", "1", "2", "31", "32", "33", "36", "31;1", "32;1", "33;1"];

/// Returns true if standard output is a terminal and the user has not opted out of colours (no-color.org).
pub(crate) fn has_colours() -> bool {
    std::io::stdout().is_terminal() && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
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
    fn only_our_own_colours_are_kept_and_only_where_there_are_some() {
        let ours = "\x1b[32;1mok\x1b[0m";
        assert_eq!(painted(ours, true), ours);
        assert_eq!(painted(ours, false), "\\u{1b}[32;1mok\\u{1b}[0m");
        for other in ["\x1b[8m", "\x1b[2J", "\x1b[32", "\x1b[;m", "\x1b[0;0m", "\x1b\x1b[", "\x1b"] {
            assert!(!painted(other, true).contains('\x1b'), "{other:?}");
        }
    }
}
