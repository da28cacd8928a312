//! One finding in a text, and how findings are shown: place, hint, and for a terminal the source line. Finds nothing
//! itself.

use std::borrow::Cow;
use std::fmt;

use crate::tree::Place;

/// More than these are not even noted: a file of many megabytes can be nothing but mistakes.
pub const MAX_FINDINGS: usize = 1000;
/// More than these nobody reads at once.
const SHOWN: usize = 100;
/// The longest line that is shown, in bytes: a file can be one line, with all that nobody needs to see.
const EXCERPT: usize = 250;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// How bad it is.
    pub severity: Severity,
    /// Where it is. Absent where the text has no lines.
    pub place: Option<Place>,
    /// The keys that lead there, like `backends.legacy.url` or `routes[2].forward`; empty at the top.
    pub path: String,
    /// The part that it belongs to, in words with literals in backticks, like ``function `a`, event 2``; may be empty.
    pub part: String,
    /// The name of the route that it belongs to.
    pub route: Option<String>,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// The configuration cannot be used.
    Error,
    /// It can, but hardly means what was meant.
    Warning,
}

impl Diagnostic {
    /// An error without a path and a hint.
    #[must_use]
    pub fn error(place: Place, message: String) -> Self {
        let (path, part, route, hint) = (String::new(), String::new(), None, None);
        Diagnostic { severity: Severity::Error, place: Some(place), path, part, route, message, hint }
    }
}

/// What was found in one text, in its order.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    /// The file's name, or that of the environment variable.
    pub source_name: String,
    /// The findings.
    pub list: Vec<Diagnostic>,
    /// The names of the files from number 1 on.
    further_files: Vec<String>,
    /// For excerpts.
    text: String,
    mask: fn(&str) -> String,
}

impl Diagnostics {
    /// Findings in `text`. `mask` returns a line of it as it may be shown, with a character for each one.
    #[must_use]
    pub fn new(source_name: &str, text: String, list: Vec<Diagnostic>, mask: fn(&str) -> String) -> Self {
        Diagnostics { source_name: source_name.to_owned(), list, further_files: Vec::new(), text, mask }
    }

    /// Findings in several files, named by the numbers in their places. They are shown without lines.
    #[must_use]
    pub fn in_files(mut names: Vec<String>, list: Vec<Diagnostic>) -> Self {
        let further_files = names.split_off(names.len().min(1));
        let source_name = names.pop().unwrap_or_default();
        Diagnostics { source_name, list, further_files, text: String::new(), mask: str::to_owned }
    }

    /// One text for each finding, as [`fmt::Display`] shows it.
    #[must_use]
    pub fn texts(&self) -> Vec<String> {
        self.list.iter().map(|diagnostic| One { all: self, diagnostic }.to_string()).collect()
    }

    /// Whether the configuration cannot be used.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.list.iter().any(|diagnostic| diagnostic.severity == Severity::Error)
    }
}

impl std::error::Error for Diagnostics {}

/// One block for each finding: `file:line:column: message`, the hint. Nothing of the file's lines, which may have
/// secrets beside a mistake: this is for logs.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, &[])
    }
}

/// The same with the line in question and a caret below it.
#[derive(Clone, Copy, Debug)]
pub struct WithLines<'d>(&'d Diagnostics);

impl fmt::Display for WithLines<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let lines: Vec<&str> = self.0.text.lines().collect();
        self.0.write(f, &lines)
    }
}

/// One of the findings.
struct One<'d> {
    all: &'d Diagnostics,
    diagnostic: &'d Diagnostic,
}

impl fmt::Display for One<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.all.write_one(f, self.diagnostic, &[])
    }
}

/// A character of an excerpt, in one column, so that the caret below points right.
fn visible(c: char) -> char {
    match c {
        _ if c.is_control() => ' ',
        _ if misleads(c) => char::REPLACEMENT_CHARACTER,
        c => c,
    }
}

/// Text of the file in one line: a line break in it could look like another finding.
fn in_one_line(text: &str) -> Cow<'_, str> {
    if text.contains('\n') { Cow::Owned(text.replace('\n', "\\n")) } else { Cow::Borrowed(text) }
}

/// Returns whether a character steers a terminal, or makes text look like other text: control characters but for line
/// break and tab, line and paragraph separators, marks of writing direction, and characters that nobody sees.
#[must_use]
pub fn misleads(c: char) -> bool {
    (c.is_control() && !matches!(c, '\n' | '\t'))
        || matches!(c,
            '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}'..='\u{1160}' | '\u{17b4}'..='\u{17b5}' | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{3164}' | '\u{feff}'
            | '\u{ffa0}' | '\u{fff0}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

impl Diagnostics {
    /// For the terminal of somebody whose file it is.
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
            // The name says which of the routes.
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

/// The hint at the known word that a misspelt one most likely means.
#[must_use]
pub fn did_you_mean(word: &str, known: &[&str]) -> Option<String> {
    closest(word, known).map(|known| format!("did you mean `{known}`?"))
}

/// The known word that a misspelt one most likely means.
#[must_use]
pub fn closest<'k>(word: &str, known: &[&'k str]) -> Option<&'k str> {
    // The distance takes time by the product of both.
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
