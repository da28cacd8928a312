//! Finds records in logs, comparisons, requests or both, however a log was fetched: plain, after a prefix, as a string within
//! JSON, in CSV.
//!
//! Owns finding and reading, with a window over the input instead of lines, so that a log that is one line of a
//! gigabyte needs no more memory than any other. Does not own the source of the bytes or their decompression; `tally`
//! owns the meaning of records.
//!
//! A record begins with `{"type":"compare"`, or `access`, at the beginning of a line, after a blank, as an element or a member of
//! JSON, or as a whole string that is a message. Clients choose texts in records, such as paths and fields, so they could write
//! one there. Therefore every object that begins with a `type`, whatever it is, is read to its end before the search goes on
//! behind it: no text within it is searched, nor a string of any other member than those that hold messages.

use std::borrow::Cow;
use std::marker::PhantomData;

use crossfade_journal::{AccessRecord, comparison};
use memchr::memmem::Finder;
use serde::Deserialize;
use serde::de::IgnoredAny;

/// Length of the longest record in bytes. An event of CloudWatch Logs has at most a fourth of this.
const MAX_RECORD: usize = 1 << 20;
/// Bytes that are searched, and then dropped, at once.
const CHUNK: usize = 1 << 18;
/// Bytes before and after the word `type` within which a record begins, blanks and escapes included.
const LOOK_AROUND: usize = 128;
/// Levels of JSON strings within which records are recognised. Only the first is read.
const MAX_NESTING: u32 = 3;
/// The first member of each record.
const WORD: &[u8] = b"type";
/// Names of members that hold a line of a log as a string, of the formats of AWS and of programs that collect logs. No member of
/// ours that has a client's text is among them.
const MESSAGES: [&[u8]; 11] = [
    b"message",
    b"@message",
    b"Message",
    b"record",
    b"log",
    b"line",
    b"msg",
    b"text",
    b"textPayload",
    b"_raw",
    b"original",
];
/// The type of an event that contains a line of the log, if that is its first member.
const EVENT: &[u8] = b"function";

/// The records that a log is searched for: those of one type, or of several.
pub trait Logged: Sized {
    /// Returns the newest supported version of the format of a type, the first member; `None` for a type that is not sought.
    fn newest(kind: &str) -> Option<u32>;

    /// Reads a record of a type that is sought.
    ///
    /// # Errors
    ///
    /// Fails if a member is missing or has another type.
    fn read(kind: &str, record: &[u8]) -> serde_json::Result<Self>;
}

impl Logged for comparison::Record {
    fn newest(kind: &str) -> Option<u32> {
        (kind == "compare").then_some(comparison::VERSION)
    }

    fn read(_: &str, record: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(record)
    }
}

impl Logged for AccessRecord<'static> {
    fn newest(kind: &str) -> Option<u32> {
        (kind == "access").then_some(AccessRecord::VERSION)
    }

    fn read(_: &str, record: &[u8]) -> serde_json::Result<Self> {
        serde_json::from_slice(record)
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

/// Finds the records that are sought in the bytes of one log and ignores everything else.
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

/// An object whose first member is its type.
#[derive(Debug, PartialEq, Eq)]
struct Candidate<'b> {
    /// Position of its `{`.
    begin: usize,
    /// The encoding to undo before it is JSON; `None` if no record can begin there.
    wrapping: Option<Wrapping>,
    kind: &'b str,
}

/// An encoding of a record within other text.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Wrapping {
    /// Its quotes are doubled, as in CSV (RFC 4180).
    doubled: bool,
    /// Number of JSON strings that it is within.
    strings: u32,
}

/// Text that is no object of JSON.
#[derive(Debug)]
enum Broken {
    /// Its end has not been read.
    Open,
    /// It cannot be one, whatever follows, because of something after so many bytes.
    At(usize, String),
}

/// The outcome of examining a place, with the offset at which the search goes on.
enum Look<R> {
    Found(Box<R>, usize),
    /// A record for this reason not.
    Unreadable(String, usize),
    /// Something else.
    Passed(usize),
    /// The end has not been read yet.
    More,
}

const NO_END: &str = "its end is missing, or it is longer than 1 MiB";

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
            word: Finder::new(WORD),
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
                self.advance(self.bytes.len().saturating_sub(LOOK_AROUND).max(self.done));
                self.enough = 0;
                return;
            };
            // The decision also depends on the text after it.
            if at + LOOK_AROUND > self.bytes.len() && !self.ended {
                self.enough = at + LOOK_AROUND;
                return;
            }
            let Some(candidate) = candidate(&self.bytes, at) else {
                self.advance(at + 1);
                continue;
            };
            let begin = candidate.begin;
            match look(&self.bytes, &candidate, self.ended) {
                Look::Passed(end) => self.advance(end.max(at + 1)),
                Look::Found(record, end) => {
                    each(*record);
                    self.advance(end.max(at + 1));
                }
                Look::Unreadable(reason, end) => {
                    self.skip(begin, reason);
                    self.advance(end.max(at + 1));
                }
                Look::More => {
                    // Wait for twice as much, so that small pieces do not cause the same bytes to be searched again and
                    // again.
                    let seen = self.bytes.len() - begin;
                    self.enough = begin + (2 * seen).min(MAX_RECORD);
                    return;
                }
            }
        }
    }

    fn skip(&mut self, begin: usize, reason: String) {
        self.skipped.count = self.skipped.count.saturating_add(1);
        let before = self.bytes.get(self.done..begin).unwrap_or_default();
        let line = self.lines.saturating_add(newlines(before)).saturating_add(1);
        self.skipped.first.get_or_insert(Unreadable { line, reason });
    }

    fn advance(&mut self, to: usize) {
        let passed = self.bytes.get(self.done..to).unwrap_or_default();
        self.lines = self.lines.saturating_add(newlines(passed));
        self.done = to;
    }

    /// Drops the bytes that are complete, except those that `LOOK_AROUND` needs.
    fn forget(&mut self) {
        let keep = self.done.saturating_sub(LOOK_AROUND);
        if keep >= CHUNK {
            self.bytes.drain(..keep);
            self.done -= keep;
            self.enough = self.enough.saturating_sub(keep);
        }
    }
}

/// Reads the object of a candidate. The search goes on behind it.
fn look<R: Logged>(bytes: &[u8], candidate: &Candidate<'_>, ended: bool) -> Look<R> {
    let Candidate { begin, wrapping, kind } = *candidate;
    let newest = R::newest(kind);
    // Nobody asked for objects of other types.
    let unreadable = |reason: String, end| match newest {
        Some(_) => Look::Unreadable(reason, end),
        None => Look::Passed(end),
    };
    let Some(wrapping) = wrapping else {
        return unreadable("`type` is not its first member, or it is inside other text".to_owned(), begin);
    };
    if kind.as_bytes() == EVENT {
        return Look::Passed(begin);
    }
    let text = bytes.get(begin..).unwrap_or_default();
    let is_all = ended || text.len() >= MAX_RECORD;
    let text = text.get(..MAX_RECORD).unwrap_or(text);
    let (object, length) = match object(text, wrapping, is_all) {
        Ok(object) => object,
        Err(Broken::Open) if !is_all => return Look::More,
        // Nothing else can begin in the searched bytes: it would have ended this object.
        Err(Broken::Open) => return unreadable(NO_END.to_owned(), begin + text.len()),
        Err(Broken::At(length, reason)) => return unreadable(reason, begin + length),
    };
    let end = begin + length;
    let Some(newest) = newest else { return Look::Passed(end) };
    // Another version of the format may contain values that this version cannot read.
    match (version(&object), R::read(kind, &object)) {
        (Some(version), _) if !(1..=newest).contains(&version) => {
            Look::Unreadable(format!("format version {version}, only versions up to {newest} are supported"), end)
        }
        (_, Ok(record)) => Look::Found(Box::new(record), end),
        (_, Err(error)) => Look::Unreadable(error.to_string(), end),
    }
}

fn version(object: &[u8]) -> Option<u32> {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    serde_json::from_slice(object).ok().map(|Head { version }| version)
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

/// Returns the object that has a `type`, this word, at `at`; `None` if the word is part of something else.
fn candidate(bytes: &[u8], at: usize) -> Option<Candidate<'_>> {
    let mut before = Backwards(bytes.get(..at)?);
    let quote = before.quote()?;
    let written = quote.written();
    let after = bytes.get(at + WORD.len()..)?.strip_prefix(written.as_slice())?;
    let after = after.trim_ascii_start().strip_prefix(b":")?;
    let after = after.trim_ascii_start().strip_prefix(written.as_slice())?;
    let kind = after.get(..after.iter().take(LOOK_AROUND).position(|byte| matches!(byte, b'\\' | b'"'))?)?;
    after.get(kind.len()..)?.starts_with(&written).then_some(())?;
    let found_by = before.0.len();
    before.blanks();
    let begin = before.text(b"{").map(|()| before.0.len());
    let wrapping = begin.and_then(|_| before.ends_where_a_record_begins(quote).then_some(quote));
    Some(Candidate { begin: begin.unwrap_or(found_by), wrapping, kind: str::from_utf8(kind).ok()? })
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
                let quote = Wrapping { doubled, strings: 0 }.written();
                let before = self.0.strip_suffix(quote.as_slice());
                before.is_some_and(|before| !before.ends_with(b"\\") && Backwards(before).ends_before_a_message(&quote))
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

    /// Returns whether a string that begins here can be a line of a log: it is no member, or one that holds messages.
    fn ends_before_a_message(mut self, quote: &[u8]) -> bool {
        self.blanks();
        if self.text(b":").is_none() {
            return true;
        }
        self.blanks();
        let Some(name) = self.0.strip_suffix(quote) else { return false };
        let is = |known: &[u8]| name.strip_suffix(known).and_then(|before| before.strip_suffix(quote));
        // Logs Insights: `{"field": "@message", "value": "..."}`.
        let value = is(b"value").map(|before| before.trim_ascii_end());
        let is_field = value.and_then(|before| before.strip_suffix(b",")).is_some_and(|before| {
            let field = before.trim_ascii_end().strip_suffix(quote).and_then(|before| before.strip_suffix(b"@message"));
            field.is_some_and(|before| before.ends_with(quote))
        });
        is_field || MESSAGES.iter().any(|known| is(known).is_some())
    }
}

/// Returns the object that begins here, decoded, and the length of the text that it is written in.
fn object(text: &[u8], wrapping: Wrapping, is_all: bool) -> Result<(Cow<'_, [u8]>, usize), Broken> {
    let Wrapping { doubled, strings } = wrapping;
    let (mut inner, mut length) = (Cow::Borrowed(text), None);
    if doubled {
        let (single, end) = undoubled(text, is_all).ok_or(Broken::Open)?;
        (inner, length) = (Cow::Owned(single), Some(end));
    }
    if strings > 0 {
        let string = string(&inner);
        let (string, end) = match length {
            Some(length) => string.map_err(|broken| broken.closed(length))?,
            None => string?,
        };
        (inner, length) = (Cow::Owned(string), Some(length.unwrap_or(end)));
    }
    let Some(length) = length else {
        let end = end_of_object(text)?;
        return Ok((Cow::Borrowed(text.get(..end).unwrap_or_default()), end));
    };
    let end = end_of_object(&inner).map_err(|broken| broken.closed(length))?;
    if inner.get(end..).is_some_and(|rest| memchr::memchr(b'{', rest).is_some()) {
        return Err(Broken::At(length, "more than one record in one string".to_owned()));
    }
    let mut inner = inner.into_owned();
    inner.truncate(end);
    Ok((Cow::Owned(inner), length))
}

impl Broken {
    /// The same for all of a text of this length, whose end is known.
    fn closed(self, length: usize) -> Broken {
        match self {
            Broken::Open => Broken::At(length, NO_END.to_owned()),
            Broken::At(_, reason) => Broken::At(length, reason),
        }
    }
}

/// Returns the length of the object that a text begins with. One that is broken ends with its line: the next line may be another
/// record.
fn end_of_object(text: &[u8]) -> Result<usize, Broken> {
    let mut objects = serde_json::Deserializer::from_slice(text).into_iter::<IgnoredAny>();
    match objects.next() {
        Some(Ok(_)) => Ok(objects.byte_offset()),
        // A number that is cut off, such as `1.`, is invalid as well.
        Some(Err(error)) if !error.is_eof() && !is_at_end(&error, text) => {
            let first = memchr::memchr(b'\n', text).unwrap_or(text.len());
            let end = if error.line() > 1 { first } else { error.column().saturating_sub(1).min(first) };
            Err(Broken::At(end, error.to_string()))
        }
        _ => Err(Broken::Open),
    }
}

fn is_at_end(error: &serde_json::Error, text: &[u8]) -> bool {
    let last_line = memchr::memrchr(b'\n', text).map_or(text.len(), |at| text.len() - at - 1);
    error.line() as u64 > newlines(text) && error.column() >= last_line
}

/// Decodes a string of JSON, given the text after its opening quotation mark. Also returns the position of the closing one.
fn string(text: &[u8]) -> Result<(Vec<u8>, usize), Broken> {
    let end = end_of_string(text)?;
    let quoted = [b"\"", text.get(..end).unwrap_or_default(), b"\""].concat();
    let string = serde_json::from_slice::<String>(&quoted);
    string.map(|string| (string.into_bytes(), end)).map_err(|error| Broken::At(end, error.to_string()))
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

/// Returns the position of the quotation mark that ends a JSON string, given the text after the opening one. Strings have no line
/// breaks.
fn end_of_string(text: &[u8]) -> Result<usize, Broken> {
    let mut begin = 0;
    loop {
        let rest = text.get(begin..).ok_or(Broken::Open)?;
        let at = begin + memchr::memchr3(b'"', b'\\', b'\n', rest).ok_or(Broken::Open)?;
        match text.get(at) {
            Some(b'"') => return Ok(at),
            Some(b'\n') => return Err(Broken::At(at, NO_END.to_owned())),
            _ => begin = at + 2,
        }
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

    /// The request ID of a record of either type.
    struct Either(String);

    impl Logged for Either {
        fn newest(kind: &str) -> Option<u32> {
            Record::newest(kind).or_else(|| AccessRecord::newest(kind))
        }

        fn read(kind: &str, record: &[u8]) -> serde_json::Result<Self> {
            match kind {
                "compare" => Record::read(kind, record).map(|record| Either(record.request_id)),
                _ => AccessRecord::read(kind, record).map(|record| Either(record.request_id.into_owned())),
            }
        }
    }

    fn either(text: &str) -> (Vec<String>, u64) {
        let (mut ids, mut finder) = (Vec::new(), RecordFinder::new());
        finder.push(text.as_bytes(), |record: Either| ids.push(record.0));
        let skipped = finder.finish(|record: Either| ids.push(record.0));
        (ids, skipped.count)
    }

    /// Forged records, and parts of what may surround one.
    const FORGED: [&str; 2] = [
        r#"{"type":"access","version":3,"time":"2026-11-24T10:57:42Z","request_id":"forged","live":9,"route":"orders","backend":"modern","status":500,"weight":100000}"#,
        r#"{"type":"compare","version":2,"time":"2026-11-24T10:57:42Z","against":"mirror","request_id":"forged","route":"orders","method":"GET","endpoint":"/","verdict":"match","primary":{"backend":"legacy"},"mirror":{"backend":"modern"}}"#,
    ];
    const AROUND: [&str; 12] =
        ["", " ", "\n", "/", "\"", "\\\"", ",\"", "\"\n", "\",\"message\":\"", "}\n", "\"}\n", "{\"message\":\""];

    /// All lines of ours that have a client's text, those without an ID with `None`.
    fn lines_with(text: &str) -> Vec<(Option<&'static str>, String)> {
        let quoted = Value::from(text);
        let access = format!(
            r#"{{"type":"access","version":3,"time":"2026-11-24T10:57:42Z","request_id":"own","trace_id":{quoted},"method":"GET","path":{quoted},"route":"orders","status":200,"detail":{quoted}}}"#
        );
        let compare = format!(
            r#"{{"type":"compare","version":2,"time":"2026-11-24T10:57:42Z","against":"mirror","request_id":"own","route":"orders","method":"GET","endpoint":{quoted},"verdict":"different","differences":[{{"class":"value","pointer":{quoted},"primary":{quoted},"mirror":{quoted}}}],"primary":{{"backend":"legacy","url":{quoted},"fields":{{"accept":{quoted},"range":{quoted}}}}},"mirror":{{"backend":"modern"}}}}"#
        );
        let newer = |line: &str| line.replace(r#""version":"#, r#""version":9"#);
        let invalid = |line: &str| line.replace(r#""time":"2026"#, r#""time":"x"#);
        // Members in another order, as other programs write them.
        let sorted = |line: &str| serde_json::from_str::<Value>(line).unwrap().to_string();
        let other = format!(r#"{{"type":"other","path":{quoted},"message":{quoted}}}"#);
        let error = format!(r#"{{"level":"ERROR","message":{},"type":"error"}}"#, Value::from(format!("no {text}")));
        let mut lines =
            vec![(Some("own"), access.clone()), (Some("own"), compare.clone()), (None, other), (None, error)];
        for line in [access, compare] {
            lines.extend([newer(&line), invalid(&line), sorted(&line)].map(|line| (None, line)));
        }
        lines
    }

    /// A log of this line, in each form that logs are exported in.
    fn exports(line: &str) -> Vec<String> {
        let csv = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let events = json!({ "events": [{ "eventId": "1", "message": format!("{line}\n"), "timestamp": 1 }] });
        let results =
            json!({ "results": [[{ "field": "@message", "value": line }, { "field": "@ptr", "value": "1" }]] });
        vec![
            format!("{line}\n"),
            format!("2026-11-24T10:57:42.123000+00:00 2026/11/24/[$LATEST]abc {line}\n"),
            events.to_string(),
            format!("{events:#}"),
            json!([line]).to_string(),
            format!("{}\n", Value::from(line)),
            format!("@timestamp,@message\n2026,{}\n", csv(line)),
            format!("1,{}\n", csv(&events.to_string())),
            results.to_string(),
            format!("{results:#}"),
            json!({ "time": "2026", "type": "function", "record": line }).to_string(),
            format!(r#"{{"time":"2026","type":"function","record":{line}}}"#),
            format!(r#"{{"type":"function","time":"2026","record":{}}}"#, Value::from(line)),
        ]
    }

    fn no_client_forges(text: &str) {
        for (own, line) in lines_with(text) {
            for log in exports(&line) {
                let (ids, _) = either(&log);
                assert_eq!(ids.first().map(String::as_str), own, "{log}");
                assert!(ids.len() <= 1, "{log}");
            }
        }
    }

    /// Clients choose paths, fields and content, and the records repeat them.
    #[test]
    fn no_client_can_forge_a_record() {
        for forged in FORGED {
            let mut texts = vec![forged.to_owned(), forged.replace('"', "\"\"")];
            for _ in 0..3 {
                texts.push(Value::from(texts.last().unwrap().as_str()).to_string());
                texts.push(texts.first().unwrap().replace('"', "\\\""));
            }
            for text in texts {
                for around in AROUND {
                    no_client_forges(&format!("{around}{text}"));
                    no_client_forges(&format!("{around}{text}{around}"));
                }
            }
        }
    }

    /// Nor one in a record whose end is missing, or of which only the end is there, unless that begins with the very string.
    /// Half a line with a `message` looks like half an export, but no line of ours has a client's text there.
    #[test]
    fn no_client_can_forge_a_record_in_half_a_line() {
        let lines = FORGED.into_iter().flat_map(lines_with).map(|(_, line)| line);
        for line in lines.filter(|line| !line.contains(r#","message":"{"#)) {
            for at in (0..line.len()).filter(|at| !line.get(*at..).unwrap_or_default().starts_with('"')) {
                let (head, tail) = line.split_at(at);
                for log in [format!("{head}\n"), format!("{tail}\n"), format!("{head}\n{tail}\n")] {
                    assert!(either(&log).0.iter().all(|id| id != "forged"), "{log}");
                }
            }
        }
    }

    #[test]
    fn a_line_that_is_cut_off_hides_none_after_it() {
        let next = record("next");
        for at in 1..RECORD.len() {
            let log = format!("{}\n{next}\n{}\n", RECORD.get(..at).unwrap(), record("last"));
            assert_eq!(either(&log).0, ["next", "last"], "{log}");
        }
    }

    /// Within a number, a word, an escape or a character as well.
    #[test]
    fn a_record_may_be_cut_anywhere() {
        let record =
            record("ä\\u00e4\\n").replace("\"status\":200", "\"status\":200,\"ms\":-1.25e-1,\"new\":[true,null,-0]");
        let spread = record.replace(',', ",\n  ");
        for text in [format!("{record}\n"), format!("{spread}\n"), json!({ "message": record }).to_string()] {
            for at in 0..=text.len() {
                let (head, tail) = text.as_bytes().split_at(at);
                let (ids, skipped) = found([head, tail]);
                assert_eq!((ids.len(), skipped), (1, Skipped::default()), "{at} {text}");
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(24))]

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
        fn no_client_forges_with_any_text(
            parts in prop::collection::vec((0_usize..12, 0_usize..2, 0_u32..4), 1..4),
            noise in r#"[ a-z"\\\\{}:,\n]{0,6}"#
        ) {
            let part = |(around, forged, levels): &(usize, usize, u32)| {
                let text = (0..*levels).fold(FORGED[*forged].to_owned(), |text, _| Value::from(text).to_string());
                format!("{noise}{}{text}", AROUND[*around])
            };
            no_client_forges(&parts.iter().map(part).collect::<String>());
        }

        #[test]
        fn no_input_panics(text in r#"([ {}\[\]:,"\\]|type|compare|"type":"compare"|\{\\"type\\":\\"compare\\"|\{""type"":""compare""|\n){0,60}"#) {
            found([text.as_bytes()]);
        }
    }
}
