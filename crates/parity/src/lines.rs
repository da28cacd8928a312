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
/// The beginning of the types of Lambda's own events.
const PLATFORM: &str = "platform.";

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

/// A part of a log.
#[derive(Debug)]
pub enum Part<'b, R> {
    /// A record, and the object that it was read from, as it was written first: without the escapes of an export.
    Record(R, &'b [u8]),
    /// Text between records, in pieces. Records that cannot be read are no part of it, nor are other objects that begin with a
    /// `type`, except Lambda's `platform` events: clients choose texts in them.
    Text(&'b [u8]),
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
enum Look<'b, R> {
    Found(Box<R>, Cow<'b, [u8]>, usize),
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
        self.push_parts(bytes, |part| {
            if let Part::Record(record, _) = part {
                each(record);
            }
        });
    }

    /// Like [`push`](RecordFinder::push), with the text between records.
    pub fn push_parts(&mut self, bytes: &[u8], mut each: impl FnMut(Part<'_, R>)) {
        for piece in bytes.chunks(CHUNK) {
            self.bytes.extend_from_slice(piece);
            if self.bytes.len() >= self.enough {
                self.scan(&mut each);
                self.forget();
            }
        }
    }

    /// Ends the log: calls `each` for the remaining records and returns the unreadable ones.
    pub fn finish(self, mut each: impl FnMut(R)) -> Skipped {
        self.finish_parts(|part| {
            if let Part::Record(record, _) = part {
                each(record);
            }
        })
    }

    /// Like [`finish`](RecordFinder::finish), with the text between records.
    pub fn finish_parts(mut self, mut each: impl FnMut(Part<'_, R>)) -> Skipped {
        self.ended = true;
        self.scan(&mut each);
        each(Part::Text(self.bytes.get(self.done..).unwrap_or_default()));
        self.skipped
    }

    /// Searches as far as possible without more bytes.
    fn scan(&mut self, each: &mut impl FnMut(Part<'_, R>)) {
        loop {
            let rest = self.bytes.get(self.done..).unwrap_or_default();
            let Some(at) = self.word.find(rest).map(|at| self.done + at) else {
                // The word and the text before it may have begun here.
                self.pass(self.bytes.len().saturating_sub(LOOK_AROUND).max(self.done), each);
                self.enough = 0;
                return;
            };
            // The decision also depends on the text after it.
            if at + LOOK_AROUND > self.bytes.len() && !self.ended {
                self.enough = at + LOOK_AROUND;
                return;
            }
            let Some(candidate) = candidate(&self.bytes, at) else {
                self.pass(at + 1, each);
                continue;
            };
            let (begin, is_text) = (candidate.begin, candidate.is_text());
            match look(&self.bytes, &candidate, self.ended) {
                Look::Passed(end) if is_text => self.pass(end.max(at + 1), each),
                Look::Passed(end) => {
                    self.pass(begin, each);
                    self.advance(end.max(at + 1));
                }
                Look::Found(record, object, end) => {
                    each(Part::Text(self.bytes.get(self.done..begin).unwrap_or_default()));
                    each(Part::Record(*record, &object));
                    drop(object);
                    self.advance(end.max(at + 1));
                }
                Look::Unreadable(reason, end) => {
                    self.skip(begin, reason);
                    self.pass(begin, each);
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

    /// Advances over text.
    fn pass(&mut self, to: usize, each: &mut impl FnMut(Part<'_, R>)) {
        // What was passed before may be part of an object.
        if let Some(text) = self.bytes.get(self.done..to) {
            each(Part::Text(text));
            self.advance(to);
        }
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
fn look<'b, R: Logged>(bytes: &'b [u8], candidate: &Candidate<'_>, ended: bool) -> Look<'b, R> {
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
        (_, Ok(record)) => Look::Found(Box::new(record), object, end),
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

impl Candidate<'_> {
    /// Returns `true` for an object that belongs to the text between records, unless it turns out to be a record.
    fn is_text(&self) -> bool {
        self.wrapping.is_none() || self.kind.as_bytes() == EVENT || self.kind.starts_with(PLATFORM)
    }
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
mod tests;
