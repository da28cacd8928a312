//! Reads files that describe listeners, rules, target groups and functions into [`crate::Settings`], and reports all
//! errors at once, each with its place.
//!
//! Owns the entry points. The formats are in `serverless`, `cloudformation`, `describe_rules` and `terraform`; the latter three share
//! ELBv2's own JSON (`elbv2`). Starts nothing, and leaves commands, local ports and certificates to the caller.

mod apis;
mod cloudformation;
mod conditions;
mod describe_rules;
mod dialect;
mod dotenv;
mod draft;
mod elbv2;
mod expression;
mod findings;
mod foreign;
mod intrinsics;
mod node;
mod quota;
mod references;
mod serverless;
mod table;
mod terraform;
mod variables;

use std::path::{Path, PathBuf};

use crossfade_document::{Diagnostics, MAX_TEXT, Place, decode};
use thiserror::Error;

use dialect::Dialect;
use draft::Draft;

pub use draft::{Loaded, Options};
pub use foreign::{Kind, by_text, bytes};
pub use table::{action_text, concurrency_text, table, transforms_text};

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
    /// The file is of another kind.
    #[error("`{}` is {what}\n  hint: {hint}", .file.display())]
    Foreign {
        /// The file.
        file: PathBuf,
        /// The kind, as in "it is …".
        what: String,
        /// The remedy.
        hint: String,
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
            SourceError::Read { .. } | SourceError::Foreign { .. } => 1,
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
    load(file, options, Kind::Serverless)
}

/// Reads a CloudFormation or SAM template, in YAML or JSON.
///
/// # Errors
///
/// [`SourceError`] with all errors in the file.
pub fn cloudformation(file: &Path, options: &Options) -> Result<Loaded, SourceError> {
    load(file, options, Kind::Template)
}

/// Reads what `aws elbv2 describe-rules` prints, alone or merged with what `describe-listeners`,
/// `describe-target-groups` and `describe-target-health` print.
///
/// # Errors
///
/// [`SourceError`] with all errors in the file.
pub fn describe_rules(file: &Path, options: &Options) -> Result<Loaded, SourceError> {
    load(file, options, Kind::DescribeRules)
}

/// Reads the same from a text; `name` is what messages call it.
///
/// # Errors
///
/// [`SourceError`] with all errors in the text.
pub fn described_rules(name: &str, text: &str, options: &Options) -> Result<Loaded, SourceError> {
    interpret(Path::new(name), text, options, Kind::DescribeRules)
}

/// Reads what `terraform show -json` prints of a plan or a state.
///
/// # Errors
///
/// [`SourceError`] with all errors in the file.
pub fn terraform(file: &Path, options: &Options) -> Result<Loaded, SourceError> {
    load(file, options, Kind::Terraform)
}

fn load(file: &Path, options: &Options, kind: Kind) -> Result<Loaded, SourceError> {
    let bytes = foreign::bytes(file, kind)?;
    let not_text = || SourceError::Read { file: file.to_owned(), error: std::io::Error::other(NOT_TEXT) };
    let text = decode(bytes).ok_or_else(not_text)?;
    interpret(file, &text, options, kind)
}

/// Returns the rules by which the programs that take a file of a kind read it.
fn dialect_of(kind: Kind, text: &str) -> &'static Dialect {
    match kind {
        Kind::Serverless => &dialect::FRAMEWORK,
        Kind::Template => Dialect::of_template(text),
        Kind::DescribeRules | Kind::Terraform | Kind::Configuration => &dialect::OUTPUT,
    }
}

fn interpret(file: &Path, text: &str, options: &Options, kind: Kind) -> Result<Loaded, SourceError> {
    let name = file.to_string_lossy();
    let dialect = dialect_of(kind, text);
    let mut draft = Draft::new(file, options, dialect);
    let start = Place { file: draft.files.add(&name), line: 1, column: 1 };
    let document = match node::parse(text, start.file, dialect) {
        Ok((document, warnings)) => {
            draft.findings.take_warnings(warnings);
            document
        }
        Err(malformed) => {
            draft.findings.malformed(&start, *malformed);
            return Ok(draft.finish()?);
        }
    };
    if let Some((what, hint)) = foreign::by_document(&document, kind) {
        return Err(SourceError::Foreign { file: file.to_owned(), what: what.to_owned(), hint });
    }
    let (why, hint) = foreign::nothing(&document, kind);
    match kind {
        Kind::Serverless => serverless::read(&mut draft, document),
        Kind::Template => cloudformation::read(&mut draft, document),
        Kind::DescribeRules => describe_rules::read(&mut draft, document),
        Kind::Terraform => terraform::read(&mut draft, &document),
        Kind::Configuration => {}
    }
    draft.findings.set_part("");
    if draft.listeners.is_empty() && !draft.findings.has_errors() {
        draft.findings.error_with_hint(&start, why, hint);
    }
    quota::whole(&mut draft);
    Ok(draft.finish()?)
}

/// For `crate::fuzzing`: reads a text as each kind of file.
pub(crate) fn interpret_as_each(file: &Path, text: &str, options: &Options) -> [Result<Loaded, SourceError>; 4] {
    [Kind::Serverless, Kind::Template, Kind::DescribeRules, Kind::Terraform]
        .map(|kind| interpret(file, text, options, kind))
}

const NOT_TEXT: &str = "it is neither UTF-8 nor UTF-16";

/// Reads a regular file of at most [`MAX_TEXT`] bytes.
fn text(file: &Path) -> std::io::Result<String> {
    use std::io::Read;
    const MOST: u64 = MAX_TEXT as u64;
    // Reading a pipe could wait for ever.
    if !std::fs::metadata(file)?.is_file() {
        return Err(std::io::Error::other("it is not a file"));
    }
    let mut bytes = Vec::new();
    // The additional byte shows that the file is too large.
    std::fs::File::open(file)?.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() > MAX_TEXT {
        return Err(std::io::Error::other(format!("it is longer than {MAX_TEXT} bytes")));
    }
    decode(bytes).ok_or_else(|| std::io::Error::other(NOT_TEXT))
}
