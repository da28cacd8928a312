//! What is wrong in a configuration, and how it is shown: place, source line, hint. Finds nothing itself.

use std::fmt;

/// One mistake.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnostic {
    /// Where it stands; line and column count from 1, in characters. Absent where the text has no lines.
    pub place: Option<(usize, usize)>,
    /// The keys that lead there, like `backends.legacy.url`; empty at the top.
    pub path: String,
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// Every mistake in one text, in its order. Never empty.
#[derive(Clone, Debug)]
pub struct Diagnostics {
    /// The file's name, or that of the environment variable.
    pub source_name: String,
    /// The text, for excerpts.
    pub(crate) text: String,
    /// The mistakes.
    pub list: Vec<Diagnostic>,
}

/// A line with the user name and password of its URL, which nobody needs to see, replaced by stars of the same length.
pub(crate) fn without_secrets(line: &str) -> String {
    let Some((scheme, rest)) = line.split_once("://") else { return line.to_owned() };
    let authority = rest.split(['/', ' ', '\'', '"']).next().unwrap_or_default();
    match authority.rfind('@') {
        Some(end) => format!("{scheme}://{}{}", "*".repeat(end), rest.get(end..).unwrap_or_default()),
        None => line.to_owned(),
    }
}

impl std::error::Error for Diagnostics {}

/// One block for each mistake: `file:line:column: message`, the line with a caret below, the hint.
impl fmt::Display for Diagnostics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, diagnostic) in self.list.iter().enumerate() {
            if index > 0 {
                f.write_str("\n")?;
            }
            self.write_one(f, diagnostic)?;
        }
        Ok(())
    }
}

impl Diagnostics {
    fn write_one(&self, f: &mut fmt::Formatter<'_>, diagnostic: &Diagnostic) -> fmt::Result {
        f.write_str(&self.source_name)?;
        if let Some((line, column)) = diagnostic.place {
            write!(f, ":{line}:{column}")?;
        }
        if !diagnostic.path.is_empty() {
            write!(f, ": `{}`", diagnostic.path)?;
        }
        write!(f, ": {}", diagnostic.message)?;
        if let Some((line, column)) = diagnostic.place
            && let Some(source) = self.text.lines().nth(line.saturating_sub(1))
        {
            let number = line.to_string();
            let margin = " ".repeat(number.len());
            let indent = " ".repeat(column.saturating_sub(1).min(source.len()));
            write!(f, "\n {margin} |\n {number} | {}\n {margin} | {indent}^", without_secrets(source))?;
        }
        if let Some(hint) = &diagnostic.hint {
            write!(f, "\n   hint: {hint}")?;
        }
        Ok(())
    }
}
