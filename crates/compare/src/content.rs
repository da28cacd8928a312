//! Compares content. Owns the kinds of content, the handling of content that cannot be read, and contents within values; a
//! module of its own compares each kind.

use std::borrow::Cow;

use crossfade_journal::comparison::Class;
use http::header::CONTENT_TYPE;

use crate::answer::Answer;
use crate::charset::characters;
use crate::coding::{self, NotDecoded};
use crate::findings::{Findings, Seen, Values};
use crate::form;
use crate::json::{self, NoTree, Tree};
use crate::lines;
use crate::markup;
use crate::matcher::{Marks, Matcher};
use crate::ndjson;
use crate::script;
use crate::spot::{Inner, Spot};
use crate::table;
use crate::url;
use crate::walk;
use crate::work::Stop;

/// Bytes of a URL that is compared by part.
const MAX_URL: usize = 8 * 1024;

/// A kind of content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Json,
    Html,
    Xml,
    /// CSV and the like.
    Table,
    Script,
    JsonLines,
    Form,
    /// Everything else that has lines.
    Lines,
    Bytes,
}

/// One of the two contents, decoded.
struct Content<'c> {
    bytes: Cow<'c, [u8]>,
    /// Its kind according to its media type, and to its beginning where that is known better.
    kind: Kind,
}

/// Reports the differences. `Err` is the reason why the comparison is impossible.
pub(crate) fn compare(primary: &Answer<'_>, mirror: &Answer<'_>, findings: &mut Findings<'_>) -> Result<(), Stop> {
    let work = findings.work;
    let (ours, theirs) = (coding::codings(primary.headers), coding::codings(mirror.headers));
    work.spend(primary.body.len())?;
    if findings.marks(&Spot::Body).is_ignored
        || (primary.body == mirror.body && ours == theirs && is_same_type(primary, mirror))
    {
        return Ok(());
    }
    let decoded = coding::decode(&ours, primary.body, work);
    // A stop on either side ends the comparison, even if the other side's content is broken.
    let decoded = match decoded {
        Err(NotDecoded::Stopped(stop @ (Stop::Over | Stop::TooLarge))) => return Err(stop),
        decoded => (decoded, coding::decode(&theirs, mirror.body, work)),
    };
    let (ours, theirs) = match decoded {
        (Ok(ours), Ok(theirs)) => (ours, theirs),
        (_, Err(NotDecoded::Stopped(stop))) | (Err(NotDecoded::Stopped(stop)), _) => return Err(stop),
        (Err(NotDecoded::Broken), Err(NotDecoded::Broken)) => return report(Class::Bytes, findings),
        (Err(NotDecoded::Broken), _) => return invalid("primary: broken content coding", findings),
        (_, Err(NotDecoded::Broken)) => return invalid("mirror: broken content coding", findings),
    };
    work.spend(ours.len())?;
    if ours == theirs && is_same_type(primary, mirror) {
        return Ok(());
    }
    let (ours, theirs) = (Content::of(primary, ours), Content::of(mirror, theirs));
    match (ours.bytes.is_empty(), theirs.bytes.is_empty()) {
        (true, true) => return Ok(()),
        (true, false) => return report(Class::Extra, findings),
        (false, true) => return report(Class::Missing, findings),
        (false, false) => {}
    }
    decoded_contents(primary, mirror, &ours, &theirs, findings)
}

/// Returns `true` if equal bytes mean the same in both responses.
fn is_same_type(primary: &Answer<'_>, mirror: &Answer<'_>) -> bool {
    primary.headers.get(CONTENT_TYPE) == mirror.headers.get(CONTENT_TYPE)
}

fn decoded_contents(
    primary: &Answer<'_>,
    mirror: &Answer<'_>,
    ours: &Content<'_>,
    theirs: &Content<'_>,
    findings: &mut Findings<'_>,
) -> Result<(), Stop> {
    if ours.may_be_json() && theirs.may_be_json() {
        let compared = compare_json(
            &characters(primary.headers, &ours.bytes)?,
            &characters(mirror.headers, &theirs.bytes)?,
            findings,
        );
        match compared {
            Err(NoTree::Stopped(stop)) => return Err(stop),
            Err(NoTree::NotJson) => {}
            Ok(()) => return Ok(()),
        }
    }
    let (ours_kind, theirs_kind) = (ours.kind, theirs.kind);
    if ours_kind == Kind::Bytes || theirs_kind == Kind::Bytes {
        let is_same_format = signature(&ours.bytes) == signature(&theirs.bytes) && ours_kind == theirs_kind;
        return match (ours.bytes == theirs.bytes, is_same_format) {
            (true, _) => Ok(()),
            (false, true) => report(Class::Bytes, findings),
            (false, false) => report(Class::Type, findings),
        };
    }
    let (ours, theirs) = (characters(primary.headers, &ours.bytes)?, characters(mirror.headers, &theirs.bytes)?);
    findings.work.spend(ours.len() + theirs.len())?;
    match (ours_kind, theirs_kind) {
        (Kind::Html, Kind::Html) => markup::compare(true, &ours, &theirs, findings),
        (Kind::Xml, Kind::Xml | Kind::Html) | (Kind::Html, Kind::Xml) => {
            markup::compare(false, &ours, &theirs, findings)
        }
        (Kind::Html | Kind::Xml, _) | (_, Kind::Html | Kind::Xml) => report(Class::Type, findings),
        (Kind::Table, _) => table::compare(&ours, &theirs, findings),
        (Kind::Form, _) => form::compare(&ours, &theirs, findings),
        (Kind::Script, _) => script::compare(&ours, &theirs, findings),
        // What is called JSON and is not may be several documents, or JSONP.
        (Kind::JsonLines | Kind::Json, _) if ours.trim_start().starts_with(['{', '[', '\u{1E}']) => {
            ndjson::compare(&ours, &theirs, findings)
        }
        (Kind::Json, _) => script::compare(&ours, &theirs, findings),
        _ => lines::compare(&ours, &theirs, findings),
    }
}

impl<'c> Content<'c> {
    fn of(answer: &Answer<'_>, bytes: Cow<'c, [u8]>) -> Self {
        let value = answer.headers.get(CONTENT_TYPE).map(|value| value.as_bytes()).unwrap_or_default();
        let kind = kind(value, &bytes);
        Content { bytes, kind }
    }

    /// Returns `true` for content that is JSON by its media type or by its beginning.
    fn may_be_json(&self) -> bool {
        let is_container = || matches!(self.bytes.trim_ascii_start().first(), Some(b'{' | b'['));
        let begins_with_mark = || self.bytes.starts_with(b"\xEF\xBB\xBF") || self.bytes.starts_with(b"\xFF\xFE");
        self.kind == Kind::Json || (self.kind != Kind::JsonLines && (is_container() || begins_with_mark()))
    }
}

/// Returns the kind of content for a media type (RFC 9110 section 8.3.1), or for its first bytes if the media type says
/// little.
fn kind(media_type: &[u8], content: &[u8]) -> Kind {
    let media_type = media_type.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
    let media_type = String::from_utf8_lossy(media_type).to_ascii_lowercase();
    let (main, sub) = media_type.split_once('/').unwrap_or((&media_type, ""));
    match (main, sub) {
        ("", _) | ("text", "plain") | ("application", "octet-stream") => sniffed(content),
        (_, "json") => Kind::Json,
        _ if sub.ends_with("+json") => Kind::Json,
        ("text", "html") | ("application", "xhtml+xml") => Kind::Html,
        ("text" | "application", "xml") => Kind::Xml,
        _ if sub.ends_with("+xml") => Kind::Xml,
        ("text" | "application", "csv" | "tab-separated-values") => Kind::Table,
        ("text" | "application", "javascript" | "x-javascript" | "ecmascript") => Kind::Script,
        ("text" | "application", "x-ndjson" | "ndjson" | "jsonl" | "x-jsonlines" | "json-seq") => Kind::JsonLines,
        ("application", "x-www-form-urlencoded") => Kind::Form,
        ("text", _) => Kind::Lines,
        ("image" | "audio" | "video" | "font", _) | ("application", "pdf") => Kind::Bytes,
        _ => sniffed(content),
    }
}

/// Returns the kind of content whose media type says nothing about it.
fn sniffed(content: &[u8]) -> Kind {
    let begin = content.get(..64).unwrap_or(content).trim_ascii_start().to_ascii_lowercase();
    if begin.starts_with(b"<!doctype html") || begin.starts_with(b"<html") {
        return Kind::Html;
    }
    if begin.starts_with(b"<?xml") {
        return Kind::Xml;
    }
    let is_utf16 = content.starts_with(b"\xFE\xFF") || content.starts_with(b"\xFF\xFE");
    let is_text = !content.contains(&0) && std::str::from_utf8(content).is_ok();
    if is_text || is_utf16 { Kind::Lines } else { Kind::Bytes }
}

/// Returns the number of a well-known binary format that begins like this; `None` for others.
fn signature(content: &[u8]) -> Option<usize> {
    let known: [&[u8]; 9] =
        [b"%PDF", b"PK\x03\x04", b"\x89PNG", b"\xFF\xD8\xFF", b"GIF8", b"RIFF", b"\x1F\x8B", b"wOF", b"\0\0\x01\0"];
    known.iter().position(|begin| content.starts_with(begin))
}

/// Reports a difference of the whole content, without values.
fn report(class: Class, findings: &mut Findings<'_>) -> Result<(), Stop> {
    let marks = findings.marks(&Spot::Body);
    findings.report(class, &Spot::Body, marks, &Values::unknown)
}

/// Reports that one of the contents is not valid; `at` says which, and why.
fn invalid(at: &str, findings: &mut Findings<'_>) -> Result<(), Stop> {
    let marks = findings.marks(&Spot::Body);
    let spot = Spot::Other(&Inner { pointer: "body", at: Some(at), above: &[] });
    findings.report(Class::Invalid, &spot, marks, &Values::unknown)
}

/// Compares JSON. `Err` if the primary's content is not JSON, or either content is too large.
fn compare_json(primary: &str, mirror: &str, findings: &mut Findings<'_>) -> Result<(), NoTree> {
    let work = findings.work;
    let mut ours = json::parse(primary.as_bytes(), json::MAX_TREES, work)?;
    let mut theirs = match json::parse(mirror.as_bytes(), json::MAX_TREES.saturating_sub(ours.memory()), work) {
        Ok(theirs) => theirs,
        Err(NoTree::NotJson) if matches!(mirror.trim_start().as_bytes().first(), Some(b'{' | b'[')) => {
            return Ok(invalid("mirror: not valid JSON", findings)?);
        }
        Err(NoTree::NotJson) => {
            let marks = Matcher::new(findings.rules, findings.now).marks();
            let shown = || Values::of(Seen::Text(ours.shown(Tree::ROOT)), Seen::Unknown);
            return Ok(findings.report(Class::Type, &Spot::Json(&[]), marks, &shown)?);
        }
        Err(error) => return Err(error),
    };
    let word =
        |tree: &Tree<'_>| tree.invalid().map(|(line, column, word)| format!("{word} in line {line}, column {column}"));
    match (word(&ours), word(&theirs)) {
        (Some(word), None) => invalid(&format!("primary: {word}"), findings)?,
        (None, Some(word)) => invalid(&format!("mirror: {word}"), findings)?,
        _ => {}
    }
    Ok(walk::compare(&mut ours, &mut theirs, findings)?)
}

/// Compares the contents of two values that differ, if they have contents of a kind that has places of its own: JSON, markup,
/// several lines. Returns `false`, without a report, if they have not.
pub(crate) fn compare_inside(
    spot: &Spot<'_>,
    marks: Marks,
    primary: &str,
    mirror: &str,
    findings: &mut Findings<'_>,
) -> Result<bool, Stop> {
    findings.work.spend(primary.len() + mirror.len())?;
    let both = |holds: fn(&str) -> bool| holds(primary.trim_start()) && holds(mirror.trim_start());
    if both(|text| text.starts_with(['{', '['])) {
        let compared = findings.inside(spot, marks, |findings| match compare_json(primary, mirror, findings) {
            Err(NoTree::NotJson) => Ok(false),
            Err(NoTree::Stopped(stop)) => Err(stop),
            Ok(()) => Ok(true),
        })?;
        if compared == Some(true) {
            return Ok(true);
        }
    }
    let compare: fn(&str, &str, &mut Findings<'_>) -> Result<(), Stop> = if both(is_url) {
        compare_urls
    } else if both(has_markup) {
        |primary, mirror, findings| markup::compare(true, primary, mirror, findings)
    } else if both(|text| text.trim_end().contains('\n')) {
        let before = findings.reported;
        let compared = findings.inside(spot, marks, |findings| lines::compare(primary, mirror, findings))?;
        if compared.is_none() || findings.reported > before {
            return Ok(compared.is_some());
        }
        // In a text by itself the white space at the end of a line does not count; in a value it does.
        let [ours, theirs] = [primary, mirror].map(|text| text.replace("\r\n", "\n"));
        return lines::are_equal(&ours, &theirs, findings);
    } else {
        return Ok(false);
    };
    let compared = findings.inside(spot, marks, |findings| compare(primary, mirror, findings))?;
    Ok(compared.is_some())
}

fn compare_urls(primary: &str, mirror: &str, findings: &mut Findings<'_>) -> Result<(), Stop> {
    url::compare(primary, mirror, findings, &mut |findings, class, part, [ours, theirs]| {
        let pointer = format!("url: {part}");
        let class = if class == Class::Header { Class::Value } else { class };
        let spot = Spot::Other(&Inner { pointer: &pointer, at: None, above: &[] });
        findings.report(class, &spot, Marks::default(), &|| Values::of(ours.clone(), theirs.clone()))
    })
}

/// Returns `true` for a URL, or a reference that begins with its path.
fn is_url(text: &str) -> bool {
    let begins = ["http://", "https://", "//", "/", "?"].iter().any(|begin| text.starts_with(begin));
    begins
        && text.len() <= MAX_URL
        && !text.contains(|character: char| character.is_whitespace() || "<>{}\"".contains(character))
}

/// Returns `true` for a text that contains an element.
fn has_markup(text: &str) -> bool {
    let mut tags = text.split('<').skip(1);
    text.contains('>')
        && tags.any(|tag| tag.starts_with(|first: char| first.is_ascii_alphabetic() || first == '/' || first == '!'))
}
