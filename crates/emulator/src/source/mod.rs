//! Reads files that describe listeners, rules, target groups and functions into [`crate::Settings`], and reports all
//! errors at once, each with its place.
//!
//! Owns the entry points. The formats are in `serverless`, `cloudformation` and `describe_rules`; the latter two share
//! ELBv2's own JSON (`elbv2`). Starts nothing, and leaves commands, local ports and certificates to the caller.

mod cloudformation;
mod describe_rules;
mod dialect;
mod draft;
mod elbv2;
mod expression;
mod findings;
mod intrinsics;
mod node;
mod quota;
mod serverless;
mod table;
mod variables;

use std::path::{Path, PathBuf};

use crossfade_document::{Diagnostics, MAX_TEXT, Place};
use thiserror::Error;

use dialect::Dialect;
use draft::Draft;
use node::Node;

pub use draft::{Loaded, Options};
pub use table::{action_text, table, transforms_text};

/// The errors of a file.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The file cannot be read.
    #[error("cannot read `{}`: {error}", .file.display())]
    Read {
        /// The file.
        file: PathBuf,
        /// The operating system's error.
        error: std::io::Error,
    },
    /// The content has errors.
    #[error(transparent)]
    Invalid(#[from] Diagnostics),
}

impl SourceError {
    /// The number of errors.
    #[must_use]
    pub fn count(&self) -> usize {
        match self {
            SourceError::Read { .. } => 1,
            SourceError::Invalid(diagnostics) => diagnostics.list.len(),
        }
    }
}

/// Reads a file of the Serverless Framework: the `alb` events of its functions.
///
/// # Errors
///
/// [`SourceError`] with all errors in the file.
pub fn serverless(file: &Path, options: &Options) -> Result<Loaded, SourceError> {
    load(file, options, &SERVERLESS)
}

/// Reads a CloudFormation or SAM template, in YAML or JSON.
///
/// # Errors
///
/// [`SourceError`] with all errors in the file.
pub fn cloudformation(file: &Path, options: &Options) -> Result<Loaded, SourceError> {
    load(file, options, &CLOUDFORMATION)
}

/// Reads what `aws elbv2 describe-rules` prints, alone or merged with what `describe-listeners`,
/// `describe-target-groups` and `describe-target-health` print.
///
/// # Errors
///
/// [`SourceError`] with all errors in the file.
pub fn describe_rules(file: &Path, options: &Options) -> Result<Loaded, SourceError> {
    load(file, options, &DESCRIBE_RULES)
}

/// A format: its dialect, given the text, and its reader.
struct Format {
    dialect: fn(&str) -> &'static Dialect,
    read: fn(&mut Draft<'_>, Node),
}

const SERVERLESS: Format = Format { dialect: |_| &dialect::FRAMEWORK, read: serverless::read };
const CLOUDFORMATION: Format = Format { dialect: Dialect::of_template, read: cloudformation::read };
const DESCRIBE_RULES: Format = Format { dialect: |_| &dialect::OUTPUT, read: describe_rules::read };

fn load(file: &Path, options: &Options, format: &Format) -> Result<Loaded, SourceError> {
    match text(file) {
        Ok(text) => interpret(file, &text, options, format),
        Err(error) => Err(SourceError::Read { file: file.to_owned(), error }),
    }
}

fn interpret(file: &Path, text: &str, options: &Options, format: &Format) -> Result<Loaded, SourceError> {
    let name = file.to_string_lossy();
    let dialect = (format.dialect)(text);
    let mut draft = Draft::new(file, options, dialect);
    let start = Place { file: draft.files.add(&name), line: 1, column: 1 };
    match node::parse(text, start.file, dialect) {
        Ok((document, warnings)) => {
            draft.findings.take_warnings(warnings);
            (format.read)(&mut draft, document);
            draft.findings.set_part("");
            if draft.listeners.is_empty() && !draft.findings.has_errors() {
                draft.findings.error(&start, "the file defines no listener and no rule");
            }
            quota::whole(&mut draft);
        }
        Err(malformed) => draft.findings.malformed(&start, *malformed),
    }
    Ok(draft.finish()?)
}

/// For `crate::fuzzing`: reads a text as each kind of file.
pub(crate) fn interpret_as_each(file: &Path, text: &str, options: &Options) -> [Result<Loaded, SourceError>; 3] {
    [SERVERLESS, CLOUDFORMATION, DESCRIBE_RULES].map(|format| interpret(file, text, options, &format))
}

/// Reads a regular file, up to one byte more than a document may have.
fn text(file: &Path) -> std::io::Result<String> {
    use std::io::Read;
    // The additional byte shows that the file is too large.
    const MOST: u64 = MAX_TEXT as u64 + 1;
    let mut bytes = Vec::new();
    // Reading a pipe could wait for ever.
    if !std::fs::metadata(file)?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    std::fs::File::open(file)?.take(MOST).read_to_end(&mut bytes)?;
    String::from_utf8(bytes).map_err(|_| std::io::Error::new(std::io::ErrorKind::InvalidData, "it is not UTF-8"))
}
