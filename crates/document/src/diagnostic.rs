//! Diagnostics: errors and warnings with a position, a hint and, for terminals, the source line.
//!
//! Owns their form and how they are printed, and "did you mean". Does not own any rule: callers create diagnostics.

use std::borrow::Cow;
use std::fmt;

use crate::tree::Place;

/// Limit for one text, checked by whoever adds diagnostics: an invalid file of many megabytes must not exhaust memory.
pub const MAX_FINDINGS: usize = 1000;
/// Diagnostics printed before the rest is only counted.
const SHOWN: usize = 100;
/// Length in bytes of the longest line that is printed as an excerpt. A generated file can be one long line.
const EXCERPT: usize = 250;

/// One error or warning.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Decides whether the text can be used.
    pub severity: Severity,
    /// Position in the text; `None` if the text has no lines.
    pub place: Option<Place>,
    /// Keys from the top to the element, such as `backends.legacy.url` or `routes[2].forward`. Empty for the document as a
    /// whole.
    pub path: String,
    /// The part that contains it, in words with literals in backticks, such as ``function `a`, event 2``; may be empty.
    pub part: String,
    /// Name of the route that contains it.
    pub route: Option<String>,
    /// States the problem: lower case, without a full stop.
    pub message: String,
    /// States the remedy, if it is not obvious.
    pub hint: Option<String>,
}

/// Severity of a diagnostic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The text cannot be used.
    Error,
    /// The text can be used, but probably does not do what its author intended.
    Warning,
}

impl Diagnostic {
    /// Returns an error without a path, route or hint.
    #[must_use]
    pub fn error(place: Place, message: String) -> Self {
        let (path, part, route, hint) = (String::new(), String::new(), None, None);
        Diagnostic { severity: Severity::Error, place: Some(place), path, part, route, message, hint }
    }
}

/// All diagnostics of one text, in the order of the text.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    /// Name of the file or of the environment variable that holds the text.
    pub source_name: String,
    /// The errors and warnings.
    pub list: Vec<Diagnostic>,
    /// Names of the files with the numbers from 1 on.
    further_files: Vec<String>,
    /// The text, for excerpts.
    text: String,
    mask: fn(&str) -> String,
}

impl Diagnostics {
    /// `mask` is applied to a source line before it is printed. It must return as many characters as it gets, so that
    /// the caret points to the right column.
    #[must_use]
    pub fn new(source_name: &str, text: String, list: Vec<Diagnostic>, mask: fn(&str) -> String) -> Self {
        Diagnostics { source_name: source_name.to_owned(), list, further_files: Vec::new(), text, mask }
    }

    /// Returns diagnostics in several files, which the numbers in their places select from `names`. They have no excerpts.
    #[must_use]
    pub fn in_files(mut names: Vec<String>, list: Vec<Diagnostic>) -> Self {
        let further_files = names.split_off(names.len().min(1));
        let source_name = names.pop().unwrap_or_default();
        Diagnostics { source_name, list, further_files, text: String::new(), mask: str::to_owned }
    }

    /// Returns one text for each diagnostic, as [`fmt::Display`] shows it.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.list.iter().map(|diagnostic| One { all: self, diagnostic }.to_string()).collect()
    }

    /// Returns `true` if at least one diagnostic is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

impl std::error::Error for Diagnostics {}

/// For logs: one block per diagnostic, `file:line:column: message` and the hint. It never contains a source line,
/// because the lines next to an error may hold secrets.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &[])
    }
}

/// Prints each diagnostic with its source line and a caret below it. See [`Diagnostics::with_lines`].
#[derive(Clone, Copy, Debug)]
pub struct WithLines<'d>(&'d Diagnostics);

impl fmt::Display for WithLines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<&str> = self.0.text.lines().collect();
        self.0.write(f, &lines)
    }
}

/// One of the diagnostics.
struct One<'d> {
    all: &'d Diagnostics,
    diagnostic: &'d Diagnostic,
}

impl fmt::Display for One<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all.write_one(f, self.diagnostic, &[])
    }
}

/// Replaces characters that would take no column or more than one, so that the caret points to the right column.
fn visible(c: char) -> char {
    match c {
        _ if c.is_control() => ' ',
        _ if misleads(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// Escapes line breaks: text from the file must not be able to imitate another diagnostic.
fn in_one_line(text: &str) -> Cow<'_, str> {
    if text.contains('\n') { Cow::Owned(text.replace('\n', "\\n")) } else { Cow::Borrowed(text) }
}

/// Returns `true` for characters that control a terminal or disguise text: control characters except line feed and tab,
/// line and paragraph separators, writing direction marks, and invisible characters.
#[must_use]
pub fn misleads(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

impl Diagnostics {
    /// For the terminal of the file's owner: source lines are included, masked.
    #[must_use]
    pub fn with_lines(&self) -> WithLines<'_> {
        WithLines(self)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, lines: &[&str]) -> fmt::Result {
        for (index, diagnostic) in self.list.iter().take(SHOWN).enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            self.write_one(f, diagnostic, lines)?;
        }
        match self.list.len().checked_sub(SHOWN) {
            Some(more) if more > 0 => write!(f, "\n… and {more} more"),
            _ => Ok(()),
        }
    }

    fn write_one(&self, f: &mut fmt::Formatter<'_>, diagnostic: &Diagnostic, lines: &[&str]) -> fmt::Result {
        let file = diagnostic.place.and_then(|place| self.further_files.get(place.file.checked_sub(1)? as usize));
        f.write_str(file.unwrap_or(&self.source_name))?;
        if let Some(Place { line, column, .. }) = diagnostic.place {
            write!(f, ":{line}:{column}")?;
        }
        if diagnostic.severity == Severity::Warning {
            f.write_str(": warning")?;
        }
        if let Some(route) = &diagnostic.route {
            write!(f, ": route `{}`", in_one_line(route))?;
        }
        let path = match &diagnostic.route {
            // The route's name replaces its index.
            Some(_) => diagnostic.path.split_once("].").map_or("", |(_, within)| within),
            None => &diagnostic.path,
        };
        if !path.is_empty() {
            write!(f, ": `{}`", in_one_line(path))?;
        }
        if !diagnostic.part.is_empty() {
            write!(f, ": {}", in_one_line(&diagnostic.part))?;
        }
        write!(f, ": {}", in_one_line(&diagnostic.message))?;
        if let Some(Place { line, column, .. }) = diagnostic.place
            && let Some(source) = lines.get(line.saturating_sub(1) as usize)
            && source.len() <= EXCERPT
        {
            let number = line.to_string();
            let margin = " ".repeat(number.len());
            let excerpt: String = (self.mask)(source).chars().map(visible).collect();
            let indent = " ".repeat((column.saturating_sub(1) as usize).min(excerpt.chars().count()));
            write!(f, "\n {margin} |\n {number} | {excerpt}\n {margin} | {indent}^")?;
        }
        if let Some(hint) = &diagnostic.hint {
            write!(f, "\n   hint: {hint}")?;
        }
        Ok(())
    }
}

/// Returns a hint that names the known word closest to a misspelt one, or `None` if no word is close.
#[must_use]
pub fn did_you_mean(word: &str, known: &[&str]) -> Option<String> {
    closest(word, known).map(|known| format!("did you mean `{known}`?"))
}

/// Returns the known word closest to a misspelt one, ignoring ASCII case, or `None` if no word is close. Words longer
/// than 64 bytes have no close word.
#[must_use]
pub fn closest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    // The distance takes time proportional to the product of both lengths.
    let word = if word.len() > 64 { return None } else { word.to_ascii_lowercase() };
    known
        .iter()
        .map(|known| (strsim::damerau_levenshtein(&word, &known.to_ascii_lowercase()), *known))
        .min_by_key(|(distance, _)| *distance)
        .filter(|(distance, known)| *distance <= 1 + known.len() / 4)
        .map(|(_, known)| known)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn findings_in_several_files_name_theirs_and_are_one_line_each() {
        let at = |file, line| Place { file, line, column: 2 };
        let error = Diagnostic { part: "function `a`".to_owned(), ..Diagnostic::error(at(1, 3), "bad".to_owned()) };
        let warning = Diagnostic {
            severity: Severity::Warning,
            hint: Some("mend it".to_owned()),
            ..Diagnostic::error(at(0, 4), "odd\nz.yml:1:1: made up".to_owned())
        };
        let nowhere = Diagnostic { place: None, ..Diagnostic::error(at(0, 1), "empty".to_owned()) };
        let names = ["x.yml", "y.yml"].map(str::to_owned);
        let found = Diagnostics::in_files(names.into(), vec![error, warning, nowhere]);
        let expected = [
            "y.yml:3:2: function `a`: bad",
            "x.yml:4:2: warning: odd\\nz.yml:1:1: made up\n   hint: mend it",
            "x.yml: empty",
        ];
        assert_eq!(found.texts(), expected);
        assert_eq!(found.to_string(), expected.join("\n"));
    }

    #[test]
    fn misspelt_keys() {
        assert_eq!(closest("backend", &["backends", "default"]), Some("backends"));
        assert_eq!(closest("hostheader", &["hostHeader", "http2"]), Some("hostHeader"));
        assert_eq!(closest("colour", &["backends", "default"]), None);
    }
}
