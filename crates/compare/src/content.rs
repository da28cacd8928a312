//! Compares content. Owns the kinds of content and the handling of content that cannot be read; `walk` and `text`
//! compare each kind.

use crossfade_journal::comparison::Class;
use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::answer::Answer;
use crate::coding::{self, NotDecoded};
use crate::findings::{Findings, Seen, Values};
use crate::json::{self, NoTree, Tree};
use crate::matcher::{Marks, Matcher};
use crate::spot::Spot;
use crate::text::{self, Language};
use crate::walk;
use crate::work::Stop;

/// A kind of content, derived from its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Text(Language),
    /// Plain text, or no media type: treated as JSON if it parses as JSON.
    Plain,
    Bytes,
}

/// Reports the differences. `Err` is the reason why the comparison is impossible.
pub(crate) fn compare(primary: &Answer<'_>, mirror: &Answer<'_>, findings: &mut Findings<'_>) -> Result<(), Stop> {
    let work = findings.work;
    let (ours, theirs) = (coding::codings(primary.headers), coding::codings(mirror.headers));
    work.spend(primary.body.len())?;
    if findings.marks(&Spot::Body).is_ignored || (primary.body == mirror.body && ours == theirs) {
        return Ok(());
    }
    let decoded = coding::decode(&ours, primary.body, work);
    // A stop on either side ends the comparison, even if the other side's content is broken.
    let decoded = match decoded {
        Err(NotDecoded::Stopped(stop @ (Stop::Over | Stop::TooLarge))) => return Err(stop),
        decoded => (decoded, coding::decode(&theirs, mirror.body, work)),
    };
    let (primary_content, mirror_content) = match decoded {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (_, Err(NotDecoded::Stopped(stop))) | (Err(NotDecoded::Stopped(stop)), _) => return Err(stop),
        (Err(NotDecoded::Broken), _) | (_, Err(NotDecoded::Broken)) => {
            return report(Class::Bytes, &Spot::Body, findings);
        }
    };
    work.spend(primary_content.len())?;
    if primary_content == mirror_content {
        return Ok(());
    }
    let kind = kind(primary.headers);
    match kind {
        Kind::Json | Kind::Plain => match compare_json(kind, &primary_content, &mirror_content, findings) {
            Err(NoTree::Stopped(stop)) => Err(stop),
            Err(NoTree::NotJson) => compare_text(kind, &primary_content, &mirror_content, findings),
            Ok(()) => Ok(()),
        },
        Kind::Text(_) | Kind::Bytes => compare_text(kind, &primary_content, &mirror_content, findings),
    }
}

/// Compares the contents of two values that differ, if they have contents of a kind that has places of its own: JSON, markup, a
/// URL, several lines. Returns `false`, without a report, if they have not.
pub(crate) fn compare_inside(
    _spot: &Spot<'_>,
    _marks: Marks,
    _primary: &str,
    _mirror: &str,
    _findings: &mut Findings<'_>,
) -> Result<bool, Stop> {
    Ok(false)
}

/// Reports a difference without values.
fn report(class: Class, spot: &Spot<'_>, findings: &mut Findings<'_>) -> Result<(), Stop> {
    let marks = findings.marks(spot);
    findings.report(class, spot, marks, &Values::unknown)
}

/// Compares JSON. `Err` if the primary's content is not JSON, or either content is too large.
fn compare_json(kind: Kind, primary: &[u8], mirror: &[u8], findings: &mut Findings<'_>) -> Result<(), NoTree> {
    let is_container = |content: &[u8]| matches!(content.trim_ascii_start().first(), Some(b'{' | b'['));
    if kind == Kind::Plain && !(is_container(primary) && is_container(mirror)) {
        return Err(NoTree::NotJson);
    }
    let work = findings.work;
    let mut ours = json::parse(primary, json::MAX_TREES, work)?;
    match json::parse(mirror, json::MAX_TREES.saturating_sub(ours.memory()), work) {
        Ok(mut theirs) => walk::compare(&mut ours, &mut theirs, findings)?,
        Err(NoTree::NotJson) if kind == Kind::Json => {
            let marks = Matcher::new(findings.rules, findings.now).marks();
            findings.report(Class::Type, &Spot::Json(&[]), marks, &|| {
                Values::of(Seen::Text(ours.shown(Tree::ROOT)), Seen::Unknown)
            })?;
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

fn compare_text(kind: Kind, primary: &[u8], mirror: &[u8], findings: &mut Findings<'_>) -> Result<(), Stop> {
    findings.work.spend(primary.len() + mirror.len())?;
    let is_text = |content: &[u8]| std::str::from_utf8(content).is_ok_and(|text| !text.contains('\0'));
    match kind {
        Kind::Text(language) => text::compare(language, primary, mirror, findings),
        Kind::Json => text::compare(Language::Plain, primary, mirror, findings),
        Kind::Plain if is_text(primary) && is_text(mirror) => text::compare(Language::Plain, primary, mirror, findings),
        Kind::Plain | Kind::Bytes => report(Class::Bytes, &Spot::Body, findings),
    }
}

/// Returns the kind of content for a media type (RFC 9110 section 8.3.1).
fn kind(headers: &HeaderMap) -> Kind {
    let value = headers.get(CONTENT_TYPE).map(|value| value.as_bytes()).unwrap_or_default();
    let media_type = value.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let media_type = String::from_utf8_lossy(media_type).to_ascii_lowercase();
    let (main, sub) = media_type.split_once('/').unwrap_or((&media_type, ""));
    match (main, sub) {
        ("", _) | ("text", "plain") => Kind::Plain,
        (_, "json") => Kind::Json,
        _ if sub.ends_with("+json") => Kind::Json,
        ("text", "html") | ("application", "xhtml+xml") => Kind::Text(Language::Html),
        ("text" | "application", "xml") => Kind::Text(Language::Xml),
        _ if sub.ends_with("+xml") => Kind::Text(Language::Xml),
        ("text", _) => Kind::Text(Language::Plain),
        (
            "application",
            "javascript"
            | "x-javascript"
            | "ecmascript"
            | "x-www-form-urlencoded"
            | "graphql"
            | "yaml"
            | "x-yaml"
            | "toml"
            | "sql"
            | "x-ndjson"
            | "ndjson"
            | "jsonl"
            | "csv",
        ) => Kind::Text(Language::Plain),
        _ => Kind::Bytes,
    }
}
