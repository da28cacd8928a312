//! Finds records in logs, comparisons or requests, however a log was fetched: plain, after a prefix, as a string within JSON,
//! in CSV.
//!
//! Owns finding and reading, with a window over the input instead of lines, so that a log that is one line of a
//! gigabyte needs no more memory than any other. Does not own the source of the bytes or their decompression; `tally`
//! owns the meaning of records.
//!
//! A record begins with `{"type":"compare"`, or `access`, at the beginning of a line, after a blank, as an element or a member of
//! JSON, or as a whole string. A client therefore cannot forge one with a path that the access log repeats: there it is
//! inside a string and follows a `/`, and strings inside that string are not searched.

use std::borrow::Cow;
use std::marker::PhantomData;

use crossfade_journal::{AccessRecord, comparison};
use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::DeserializeOwned;

/// Length of the longest record in bytes. An event of CloudWatch Logs has at most a fourth of this.
const MAX_RECORD: usize = 1 << 20;
/// Bytes that are searched, and then dropped, at once.
const CHUNK: usize = 1 << 18;
/// Bytes before the word of the type within which a record begins, blanks and escapes included.
const LOOK_BACK: usize = 64;
/// Levels of JSON strings within which records are recognised. Only the first is read: a client may have created the
/// others.
const MAX_NESTING: u32 = 3;

/// A kind of record that a log may have.
pub trait Logged: DeserializeOwned {
    /// The value of `type`, the first member.
    const TYPE: &'static str;
    /// The newest version of the format that is supported.
    const VERSION: u32;

    /// Returns whether a version of the format is supported.
    fn is_supported(version: u32) -> bool;

    /// Returns the version of the format that a record was written in.
    fn version(&self) -> u32;
}

impl Logged for comparison::Record {
    const TYPE: &'static str = "compare";
    const VERSION: u32 = comparison::VERSION;

    fn is_supported(version: u32) -> bool {
        comparison::is_supported(version)
    }

    fn version(&self) -> u32 {
        self.version
    }
}

impl Logged for AccessRecord<'static> {
    const TYPE: &'static str = "access";
    const VERSION: u32 = AccessRecord::VERSION;

    fn is_supported(version: u32) -> bool {
        (1..=AccessRecord::VERSION).contains(&version)
    }

    fn version(&self) -> u32 {
        self.version
    }
}

/// Places in a log that look like a record but cannot be read.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Number of such places.
    pub count: u64,
    /// The first of those places.
    pub first: Option<Unreadable>,
}

/// A place that looks like a record but cannot be read: cut off, garbled, longer than 1 MiB, or of another version of
/// the format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// Line on which it begins, counted from 1.
    pub line: u64,
    /// The reason, without a full stop. It may contain text from the log: escape it before showing it.
    pub reason: String,
}

/// Finds the records of one kind in the bytes of one log and ignores everything else.
///
/// The bytes may be split anywhere; the result is the same. Memory is limited to a few MiB, however long the log and
/// its lines are.
#[derive(Debug)]
pub struct RecordFinder<R = comparison::Record> {
    kind: PhantomData<fn() -> R>,
    skipped: Skipped,
    /// The part of the log in the window.
    bytes: Vec<u8>,
    /// Offset in `bytes` up to which the search is complete.
    done: usize,
    /// Length of `bytes` below which another search would find nothing new.
    enough: usize,
    ended: bool,
    /// Lines before `done`.
    lines: u64,
    word: Finder<'static>,
}

/// A place that looks like a record.
#[derive(Debug, PartialEq, Eq)]
struct Candidate {
    /// Position of its `{`.
    begin: usize,
    /// The encoding to undo before it is JSON; `None` if no record can begin there.
    wrapping: Option<Wrapping>,
}

/// An encoding of a record within other text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wrapping {
    /// Its quotes are doubled, as in CSV (RFC 4180).
    doubled: bool,
    /// Number of JSON strings that it is within.
    strings: u32,
}

/// The content of a place that looks like a record.
enum Found<R> {
    Record(Box<R>),
    OtherVersion(u32),
    Garbled(String),
    CutOff,
}

/// The outcome of examining a place.
enum Look {
    /// Complete up to this offset.
    Done(usize),
    /// The end has not been read yet.
    More,
}

impl<R: Logged> Default for RecordFinder<R> {
    fn default() -> Self {
        RecordFinder::new()
    }
}

impl<R: Logged> RecordFinder<R> {
    /// Returns a finder at the beginning of a log.
    pub fn new() -> Self {
        RecordFinder {
            kind: PhantomData,
            skipped: Skipped::default(),
            bytes: Vec::with_capacity(MAX_RECORD + 2 * CHUNK),
            done: 0,
            enough: 0,
            ended: false,
            lines: 0,
            word: Finder::new(R::TYPE),
        }
    }

    /// Takes the next bytes of the log and calls `each` for every complete record. A record is reported by a later
    /// call, or by [`finish`](RecordFinder::finish), if the decision depends on the bytes that follow it.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(R)) {
        for piece in bytes.chunks(CHUNK) {
            self.bytes.extend_from_slice(piece);
            if self.bytes.len() >= self.enough {
                self.scan(&mut each);
                self.forget();
            }
        }
    }

    /// Ends the log: calls `each` for the remaining records and returns the unreadable ones.
    pub fn finish(mut self, mut each: impl FnMut(R)) -> Skipped {
        self.ended = true;
        self.scan(&mut each);
        self.skipped
    }

    /// Searches as far as possible without more bytes.
    fn scan(&mut self, each: &mut impl FnMut(R)) {
        loop {
            let rest = self.bytes.get(self.done..).unwrap_or_default();
            let Some(at) = self.word.find(rest).map(|at| self.done + at) else {
                // The word and the text before it may have begun here.
                self.advance(self.bytes.len().saturating_sub(LOOK_BACK).max(self.done));
                self.enough = 0;
                return;
            };
            // The decision also depends on the text after it.
            if at + LOOK_BACK > self.bytes.len() && !self.ended {
                self.enough = at + LOOK_BACK;
                return;
            }
            let Some(candidate) = candidate(&self.bytes, at, R::TYPE) else {
                self.advance(at + 1);
                continue;
            };
            match self.look(&candidate, each) {
                Look::Done(end) => self.advance(end.max(at + 1)),
                Look::More => {
                    // Wait for twice as much, so that small pieces do not cause the same bytes to be searched again and
                    // again.
                    let seen = self.bytes.len() - candidate.begin;
                    self.enough = candidate.begin + (2 * seen).min(MAX_RECORD);
                    return;
                }
            }
        }
    }

    fn advance(&mut self, to: usize) {
        let passed = self.bytes.get(self.done..to).unwrap_or_default();
        self.lines = self.lines.saturating_add(newlines(passed));
        self.done = to;
    }

    /// Drops the bytes that are complete, except those that `LOOK_BACK` needs.
    fn forget(&mut self) {
        let keep = self.done.saturating_sub(LOOK_BACK);
        if keep >= CHUNK {
            self.bytes.drain(..keep);
            self.done -= keep;
            self.enough = self.enough.saturating_sub(keep);
        }
    }

    fn look(&mut self, candidate: &Candidate, each: &mut impl FnMut(R)) -> Look {
        let text = self.bytes.get(candidate.begin..).unwrap_or_default();
        let is_all = self.ended || text.len() >= MAX_RECORD;
        let text = text.get(..MAX_RECORD).unwrap_or(text);
        let (found, mut length) = match candidate.wrapping {
            Some(Wrapping { doubled: false, strings: 0 }) => plain(text),
            Some(wrapping) => match unwrapped(text, wrapping, is_all) {
                Ok((inner, length)) => (only(&inner), length),
                Err(found) => (found, 0),
            },
            None => (Found::Garbled("`type` is not its first member, or it is inside other text".to_owned()), 0),
        };
        let reason = match found {
            Found::Record(record) => {
                each(*record);
                return Look::Done(candidate.begin + length);
            }
            Found::CutOff if !is_all => return Look::More,
            // Nothing else can begin in the searched bytes: it would have ended this record.
            Found::CutOff => {
                length = text.len();
                "its end is missing, or it is longer than 1 MiB".to_owned()
            }
            Found::OtherVersion(version) => {
                format!("format version {version}, only versions up to {} are supported", R::VERSION)
            }
            Found::Garbled(reason) => reason,
        };
        self.skipped.count = self.skipped.count.saturating_add(1);
        let before = self.bytes.get(self.done..candidate.begin).unwrap_or_default();
        let line = self.lines.saturating_add(newlines(before)).saturating_add(1);
        self.skipped.first.get_or_insert(Unreadable { line, reason });
        Look::Done(candidate.begin + length)
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// Returns the record whose `type` has its value, this word, at `at`; `None` if the word is part of something else.
fn candidate(bytes: &[u8], at: usize, word: &str) -> Option<Candidate> {
    let mut before = Backwards(bytes.get(..at)?);
    let quote = before.quote()?;
    before.blanks();
    before.text(b":")?;
    before.blanks();
    (before.quote()? == quote).then_some(())?;
    before.text(b"type")?;
    (before.quote()? == quote).then_some(())?;
    let written = quote.written();
    bytes.get(at + word.len()..)?.starts_with(&written).then_some(())?;
    let found_by = before.0.len();
    before.blanks();
    let wrapping = before.text(b"{").and_then(|()| {
        let (begin, is_alone) = (before.0.len(), before.ends_where_a_record_begins(quote));
        is_alone.then_some((begin, quote))
    });
    Some(match wrapping {
        Some((begin, wrapping)) => Candidate { begin, wrapping: Some(wrapping) },
        None => Candidate { begin: found_by, wrapping: None },
    })
}

impl Wrapping {
    /// Returns a quotation mark in this encoding.
    fn written(self) -> Vec<u8> {
        let mut written = vec![b'\\'; (1 << self.strings) - 1];
        written.extend_from_slice(if self.doubled { b"\"\"" } else { b"\"" });
        written
    }
}

/// The text before a place, read from its end.
struct Backwards<'a>(&'a [u8]);

impl Backwards<'_> {
    fn text(&mut self, text: &[u8]) -> Option<()> {
        self.0 = self.0.strip_suffix(text)?;
        Some(())
    }

    fn blanks(&mut self) {
        self.0 = self.0.trim_ascii_end();
    }

    fn quote(&mut self) -> Option<Wrapping> {
        self.text(b"\"")?;
        let doubled = self.text(b"\"").is_some();
        let escapes = self.0.iter().rev().take_while(|byte| **byte == b'\\').count();
        let strings = (0..=MAX_NESTING).find(|strings| (1 << strings) - 1 == escapes)?;
        self.0 = self.0.get(..self.0.len() - escapes)?;
        Some(Wrapping { doubled, strings })
    }

    fn ends_where_a_record_begins(&self, wrapping: Wrapping) -> bool {
        let Wrapping { doubled, strings } = wrapping;
        match (strings.checked_sub(1), doubled) {
            (Some(0), _) => {
                let opening = Wrapping { doubled, strings: 0 }.written();
                self.0.strip_suffix(opening.as_slice()).is_some_and(|rest| !rest.ends_with(b"\\"))
            }
            (Some(_), _) => false,
            (None, true) => {
                let field = self.0.strip_suffix(b"\"");
                field.is_some_and(|before| matches!(before.last(), None | Some(b',' | b';' | b'\t' | b'\n')))
            }
            (None, false) => match self.0.last() {
                None => true,
                Some(b':' | b'[' | b',' | b'}') => true,
                // The end of a colour sequence.
                Some(b'm') => self.0.iter().rev().take(12).any(|byte| *byte == 0x1b),
                Some(byte) => byte.is_ascii_whitespace(),
            },
        }
    }
}

/// Reads the record at the beginning of a text and returns its length.
fn plain<R: Logged>(text: &[u8]) -> (Found<R>, usize) {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    let mut records = serde_json::Deserializer::from_slice(text).into_iter::<R>();
    let error = match records.next() {
        Some(Ok(record)) if R::is_supported(record.version()) => {
            return (Found::Record(Box::new(record)), records.byte_offset());
        }
        Some(Ok(record)) => return (Found::OtherVersion(record.version()), records.byte_offset()),
        Some(Err(error)) if !error.is_eof() => error,
        _ => return (Found::CutOff, 0),
    };
    // Another version of the format may contain values that this version cannot read.
    let head = serde_json::Deserializer::from_slice(text).into_iter::<Head>().next();
    match head {
        Some(Ok(Head { version })) if !R::is_supported(version) => (Found::OtherVersion(version), 0),
        _ => (Found::Garbled(error.to_string()), 0),
    }
}

/// Reads the record that a text consists of.
fn only<R: Logged>(text: &[u8]) -> Found<R> {
    match plain(text) {
        (Found::Record(_), end) if text.get(end..).is_some_and(|rest| memchr::memchr(b'{', rest).is_some()) => {
            Found::Garbled("more than one record in one string".to_owned())
        }
        (found, _) => found,
    }
}

/// Decodes the JSON that begins here and returns its encoded length.
fn unwrapped<R>(text: &[u8], wrapping: Wrapping, is_all: bool) -> Result<(Cow<'_, [u8]>, usize), Found<R>> {
    let (mut inner, mut length) = (Cow::Borrowed(text), None);
    if wrapping.doubled {
        let (single, end) = undoubled(text, is_all).ok_or(Found::CutOff)?;
        (inner, length) = (Cow::Owned(single), Some(end));
    }
    for _ in 0..wrapping.strings {
        let end = end_of_string(&inner).ok_or(Found::CutOff)?;
        let quoted = [b"\"", inner.get(..end).unwrap_or_default(), b"\""].concat();
        let string: String = serde_json::from_slice(&quoted).map_err(|error| Found::Garbled(error.to_string()))?;
        length = length.or(Some(end));
        inner = Cow::Owned(string.into_bytes());
    }
    Ok((inner, length.unwrap_or_default()))
}

/// Decodes the rest of a quoted field (RFC 4180 section 2), in which quotation marks are doubled.
fn undoubled(text: &[u8], is_all: bool) -> Option<(Vec<u8>, usize)> {
    let (mut single, mut begin) = (Vec::new(), 0);
    loop {
        let quote = begin + memchr::memchr(b'"', text.get(begin..)?)?;
        single.extend_from_slice(text.get(begin..quote)?);
        match text.get(quote + 1) {
            Some(b'"') => single.push(b'"'),
            None if !is_all => return None,
            _ => return Some((single, quote)),
        }
        begin = quote + 2;
    }
}

/// Returns the position of the quotation mark that ends a JSON string, given the text after the opening one.
fn end_of_string(text: &[u8]) -> Option<usize> {
    let mut begin = 0;
    loop {
        let at = begin + memchr::memchr2(b'"', b'\\', text.get(begin..)?)?;
        if text.get(at) == Some(&b'"') {
            return Some(at);
        }
        begin = at + 2;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use crossfade_journal::comparison::Record;

    use super::*;

    const RECORD: &str = r#"{"type":"compare","version":1,"time":"2026-11-24T10:57:42.123Z","against":"mirror","request_id":"ID","route":"orders","method":"GET","endpoint":"/orders/{id}","verdict":"match","primary":{"backend":"legacy","status":200},"mirror":{"backend":"modern","status":200}}"#;

    fn record(id: &str) -> String {
        RECORD.replace("ID", id)
    }

    /// Returns the IDs of the records that are found, and what is skipped.
    fn found<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Skipped) {
        let (mut ids, mut finder) = (Vec::new(), RecordFinder::new());
        for piece in pieces {
            finder.push(piece, |record: Record| ids.push(record.request_id));
        }
        let skipped = finder.finish(|record: Record| ids.push(record.request_id));
        (ids, skipped)
    }

    fn ids(text: &str) -> Vec<String> {
        let (ids, skipped) = found([text.as_bytes()]);
        assert_eq!(skipped, Skipped::default(), "{text}");
        ids
    }

    #[test]
    fn a_record_is_found_however_the_log_was_fetched() {
        let (a, b) = (record("a"), record("b"));
        let events = |message: &str| json!({ "events": [{ "logStreamName": "2026/11/24/[$LATEST]abc", "timestamp": 1, "message": message }] });
        let logged =
            json!({ "time": "2026", "type": "function", "record": serde_json::from_str::<Value>(&a).unwrap() });
        // As members of an object whose order is kept.
        let logged_as_object = format!(r#"{{"time":"2026","type":"function","record":{a}}}"#);
        let twice = events(&json!({ "level": "INFO", "message": format!("{a}\n") }).to_string());
        let csv = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        for (name, text) in [
            ("as it is", a.clone()),
            ("with line breaks of Windows", format!("{a}\r\n")),
            ("spread by jq", a.replace(":\"", ": \"").replace(",\"", ",\n  \"").replace("{\"type", "{\n  \"type")),
            ("export to S3", format!("2026-11-24T10:57:42.123Z {a}\n")),
            ("tail, short", format!("2026-11-24T10:57:42 {a}\n")),
            ("tail, detailed", format!("2026-11-24T10:57:42.123000+00:00 2026/11/24/[$LATEST]abc {a}\n")),
            ("tail in colours", format!("\x1b[32m2026-11-24T10:57:42\x1b[0m \x1b[36mabc\x1b[0m {a}")),
            ("directly after a colour", format!("\x1b[0m{a}")),
            ("live tail with a tab", format!("2026\t{a}")),
            ("filter-log-events on one line", events(&format!("{a}\n")).to_string()),
            ("filter-log-events spread", format!("{:#}", events(&a))),
            ("telemetry as a string", json!({ "type": "function", "record": a }).to_string()),
            ("telemetry as an object", logged_as_object),
            ("Logs Insights as CSV", format!("@timestamp,@message\n2026,{}\n", csv(&a))),
            ("CSV that ends there", csv(&a)),
            ("CSV with JSON within JSON", format!("1,{}", csv(&events(&a).to_string()))),
            ("among others", format!("START RequestId: 1\n{{\"type\":\"access\"}}\n{a}\nREPORT compare \"compare\"\n")),
        ] {
            assert_eq!(ids(&text), ["a"], "{name}: {text}");
        }
        // Sorted by their names, so that `type` is not the first; a string within a string.
        for text in [logged.to_string(), twice.to_string()] {
            let (none, skipped) = found([text.as_bytes()]);
            assert_eq!((none.len(), skipped.count), (0, 1), "{text}");
        }
        for several in [format!("{a}\n{b}\n"), format!("{a}{b}"), format!("[{a},{b}]"), format!("[\n{a},\n{b}]")] {
            assert_eq!(ids(&several), ["a", "b"], "{several}");
        }
        assert_eq!(ids(""), [""; 0]);
    }

    #[test]
    fn a_line_of_many_megabytes_is_read_to_its_end() {
        let events: Vec<_> =
            (0..16_000).map(|n| json!({ "timestamp": n, "message": record(&n.to_string()) })).collect();
        let text = json!({ "events": events }).to_string();
        assert!(text.len() > 4 << 20 && !text.contains('\n'));
        assert_eq!(ids(&text), (0..16_000).map(|n| n.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn a_long_record_in_small_pieces_is_not_searched_for_each_of_them() {
        let (mut finder, mut looks, mut ids) = (RecordFinder::new(), 0, Vec::new());
        for byte in record(&"x".repeat(100_000)).as_bytes().chunks(1) {
            looks += u32::from(finder.bytes.len() + 1 >= finder.enough);
            finder.push(byte, |record: Record| ids.push(record.request_id.len()));
        }
        finder.finish(|record: Record| ids.push(record.request_id.len()));
        assert_eq!(ids, [100_000]);
        // Until the word `compare` is found, each piece is searched for it.
        assert!(looks < 100, "{looks}");
    }

    #[test]
    fn unreadable_records_are_counted_with_the_first_reason_and_hide_no_others() {
        let a = record("a");
        for (line, reason) in [
            (RECORD.get(..100).unwrap().to_owned(), "expected `,` or `}`"),
            (RECORD.replace("\"match\"", "\"perhaps\""), "unknown variant `perhaps`"),
            (RECORD.replace("\"version\":1", "\"version\":3"), "format version 3, only versions up to 2 are supported"),
            (RECORD.replace("\"version\":1,\"time\"", "\"version\":7,\"when\""), "format version 7"),
            (
                RECORD.replace("\"type\":\"compare\",", "").replace("}}", "},\"type\":\"compare\"}"),
                "`type` is not its first",
            ),
            (RECORD.replace("2026-11-24T", "yesterday"), "time"),
        ] {
            let (ids, skipped) = found([format!("x\n{line}\n{a}\n").as_bytes()]);
            let first = skipped.first.unwrap();
            assert_eq!((ids, skipped.count), (vec!["a".to_owned()], 1), "{line}: {first:?}");
            assert!(first.line == 2 && first.reason.contains(reason), "{first:?}");
        }
        let (ids, skipped) = found([format!("{a}\n{}", RECORD.get(..100).unwrap()).as_bytes()]);
        assert_eq!(
            (ids.len(), skipped.first.unwrap()),
            (1, Unreadable { line: 2, reason: "its end is missing, or it is longer than 1 MiB".to_owned() })
        );
        let huge = RECORD.replace("ID", &"x".repeat(2 << 20));
        let (ids, skipped) = found([format!("{huge}\n{a}\n").as_bytes()]);
        assert_eq!(
            (ids.len(), skipped.first.unwrap()),
            (1, Unreadable { line: 1, reason: "its end is missing, or it is longer than 1 MiB".to_owned() })
        );
    }

    /// Clients choose paths, and the access log repeats them.
    #[test]
    fn no_client_can_forge_a_record() {
        let quoted = Value::from(RECORD).to_string();
        for path in [
            format!("/{RECORD}"),
            format!("/a?{RECORD}"),
            format!("/x,{RECORD}"),
            format!("/\\\"{RECORD}"),
            format!("/{quoted}"),
            format!("/\"{quoted}"),
            format!("/{}", Value::from(quoted.as_str())),
        ] {
            let line = json!({ "type": "access", "path": path, "detail": "" }).to_string();
            for line in [line.clone(), json!({ "message": line }).to_string(), line.replace('"', "\"\"")] {
                let (ids, skipped) = found([line.as_bytes()]);
                assert!(ids.is_empty() && skipped.count <= 1, "{line}");
            }
        }
    }

    proptest! {
        #[test]
        fn nothing_is_lost_wherever_a_piece_ends(sizes in prop::collection::vec(1_usize..700, 1..60), gap in "[ a-z\"\\\\{:]{0,40}") {
            let text: String = (0..20).map(|n| format!("{gap}\n{}\n", record(&n.to_string()))).collect();
            let (mut pieces, mut rest) = (Vec::new(), text.as_bytes());
            for size in sizes.iter().cycle() {
                let (piece, after) = rest.split_at((*size).min(rest.len()));
                pieces.push(piece);
                rest = after;
                if rest.is_empty() {
                    break;
                }
            }
            let (ids, _) = found(pieces);
            prop_assert_eq!(ids, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
        }

        #[test]
        fn no_input_panics(text in r#"([ {}\[\]:,"\\]|type|compare|"type":"compare"|\{\\"type\\":\\"compare\\"|\{""type"":""compare""|\n){0,60}"#) {
            found([text.as_bytes()]);
        }
    }
}
