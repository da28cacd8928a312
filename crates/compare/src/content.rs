//! Comparing content. Owns what kind of content it is, and what happens if it cannot be read; how a kind is compared is
//! for `walk` and `text`.

use http::HeaderMap;
use http::header::CONTENT_TYPE;

use crate::coding::{self, NotDecoded};
use crate::comparison::Answer;
use crate::findings::Findings;
use crate::json::{self, NoTree};
use crate::record::Class;
use crate::spot::Spot;
use crate::text::{self, Language};
use crate::walk;

const TOO_LARGE: &str = "too-large";
const CODING: &str = "coding";

/// What content is, by its media type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Text(Language),
    /// Said to be plain text, or nothing is said: JSON if it looks so.
    Plain,
    Bytes,
}

/// Reports what differs. `Err` says why nobody can know.
pub(crate) fn compare(
    primary: &Answer<'_>,
    mirror: &Answer<'_>,
    findings: &mut Findings<'_>,
) -> Result<(), &'static str> {
    let (ours, theirs) = (coding::codings(primary.headers), coding::codings(mirror.headers));
    if findings.is_ignored(&Spot::Body) || (primary.body == mirror.body && ours == theirs) {
        return Ok(());
    }
    let (primary_content, mirror_content) =
        match (coding::decode(&ours, primary.body), coding::decode(&theirs, mirror.body)) {
            (Ok(ours), Ok(theirs)) => (ours, theirs),
            (Err(NotDecoded::TooLarge), _) | (_, Err(NotDecoded::TooLarge)) => return Err(TOO_LARGE),
            (Err(NotDecoded::Unknown), _) | (_, Err(NotDecoded::Unknown)) => return Err(CODING),
            (Err(NotDecoded::Broken), _) | (_, Err(NotDecoded::Broken)) => {
                findings.report(Class::Bytes, &Spot::Body, || [None, None]);
                return Ok(());
            }
        };
    if primary_content == mirror_content {
        return Ok(());
    }
    let kind = kind(primary.headers);
    match kind {
        Kind::Json | Kind::Plain => match compare_json(kind, &primary_content, &mirror_content, findings) {
            Err(NoTree::TooLarge) => return Err(TOO_LARGE),
            Err(NoTree::NotJson) => compare_text(kind, &primary_content, &mirror_content, findings),
            Ok(()) => {}
        },
        Kind::Text(_) | Kind::Bytes => compare_text(kind, &primary_content, &mirror_content, findings),
    }
    Ok(())
}

/// `Err` if the primary's content is no JSON, or one of both is too large.
fn compare_json(kind: Kind, primary: &[u8], mirror: &[u8], findings: &mut Findings<'_>) -> Result<(), NoTree> {
    let is_container = |content: &[u8]| matches!(content.trim_ascii_start().first(), Some(b'{' | b'['));
    if kind == Kind::Plain && !(is_container(primary) && is_container(mirror)) {
        return Err(NoTree::NotJson);
    }
    let ours = json::parse(primary)?;
    match json::parse(mirror) {
        Ok(theirs) => walk::compare(&ours, &theirs, findings),
        Err(NoTree::NotJson) if kind == Kind::Json => {
            findings.report(Class::Type, &Spot::Json(&[]), || [Some(ours.shown()), None]);
        }
        Err(error) => return Err(error),
    }
    Ok(())
}

fn compare_text(kind: Kind, primary: &[u8], mirror: &[u8], findings: &mut Findings<'_>) {
    let is_text = |content: &[u8]| std::str::from_utf8(content).is_ok_and(|text| !text.contains('\0'));
    match kind {
        Kind::Text(language) => text::compare(language, primary, mirror, findings),
        Kind::Json => text::compare(Language::Plain, primary, mirror, findings),
        Kind::Plain if is_text(primary) && is_text(mirror) => {
            text::compare(Language::Plain, primary, mirror, findings);
        }
        Kind::Plain | Kind::Bytes => findings.report(Class::Bytes, &Spot::Body, || [None, None]),
    }
}

/// The kind of content that a media type (RFC 9110 section 8.3.1) stands for.
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
