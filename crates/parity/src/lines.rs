//! Finding records in logs, however the log was fetched: as they are, after a prefix, as a string within JSON, in CSV.
//!
//! Owns finding and reading, with a window over the input instead of lines, so that a log that is one line of a gigabyte
//! needs no more memory than another. Does not own where the bytes come from, nor decompressing them; `tally` owns what
//! records mean.
//!
//! A record begins with `{"type":"compare"`, and stands alone: at the beginning of a line, after a blank, as an element or
//! a member, or as a whole string. So no client can forge one by a path that the access log repeats: there it stands within
//! a string, behind a `/`, and a string within that one is not looked into.

use std::borrow::Cow;

use crossfade_journal::comparison::{Record, VERSION};
use memchr::memmem::Finder;
use serde::Deserialize;

/// Bytes of the longest record; an event of CloudWatch Logs has at most a fourth of it.
const LONGEST: usize = 1 << 20;
/// Bytes that are looked at, and forgotten, at once.
const CHUNK: usize = 1 << 18;
/// Bytes before the word `compare` within which a record begins, blanks and escapes included.
const LOOK_BACK: usize = 64;
/// Levels of JSON strings within which something still looks like a record. Only the first is read: a client may have made
/// the others.
const MOST_STRINGS: u32 = 3;

/// Places in a log that look like a record and cannot be read as one.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Skipped {
    /// Number of such places.
    pub count: u64,
    /// The first of them.
    pub first: Option<Unreadable>,
}

/// A place that looks like a record and cannot be read as one: cut off, garbled, longer than 1 MiB, or of another version
/// of the format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unreadable {
    /// The line on which it begins, counted from 1.
    pub line: u64,
    /// Why it cannot be read, without a full stop. May have text from the log: whoever shows it must escape it.
    pub reason: String,
}

/// Finds the comparison records in the bytes of one log. Everything else in the log is ignored.
///
/// The bytes may be cut into pieces anywhere: that has no influence on what is found. A few MiB of memory are enough,
/// however long the log and its lines are.
#[derive(Debug)]
pub struct RecordFinder {
    skipped: Skipped,
    /// The part of the log that is looked at.
    bytes: Vec<u8>,
    /// Up to where `bytes` has been dealt with.
    done: usize,
    /// Nothing new can be seen before `bytes` is as long as this.
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
enum Found {
    Record(Box<Record>),
    OtherVersion(u32),
    Garbled(String),
    CutOff,
}

/// The result of looking at a place.
enum Look {
    /// Dealt with up to here.
    Done(usize),
    /// Its end has not been read yet.
    More,
}

impl Default for RecordFinder {
    fn default() -> RecordFinder {
        RecordFinder::new()
    }
}

impl RecordFinder {
    /// A finder at the beginning of a log.
    pub fn new() -> RecordFinder {
        RecordFinder {
            skipped: Skipped::default(),
            bytes: Vec::with_capacity(LONGEST + 2 * CHUNK),
            done: 0,
            enough: 0,
            ended: false,
            lines: 0,
            word: Finder::new(b"compare"),
        }
    }

    /// Takes the next bytes of the log, and calls `each` with every record that is complete. A record may be reported by
    /// a later call, or by [`finish`](RecordFinder::finish), if what follows it decides.
    pub fn push(&mut self, bytes: &[u8], mut each: impl FnMut(Record)) {
        for piece in bytes.chunks(CHUNK) {
            self.bytes.extend_from_slice(piece);
            if self.bytes.len() >= self.enough {
                self.scan(&mut each);
                self.forget();
            }
        }
    }

    /// Ends the log: calls `each` with the records that were left, and returns what could not be read.
    pub fn finish(mut self, mut each: impl FnMut(Record)) -> Skipped {
        self.ended = true;
        self.scan(&mut each);
        self.skipped
    }

    /// Looks as far as possible without more bytes.
    fn scan(&mut self, each: &mut impl FnMut(Record)) {
        loop {
            let rest = self.bytes.get(self.done..).unwrap_or_default();
            let Some(at) = self.word.find(rest).map(|at| self.done + at) else {
                // The word and what stands before it may have begun here.
                self.advance(self.bytes.len().saturating_sub(LOOK_BACK).max(self.done));
                self.enough = 0;
                return;
            };
            // What stands after it decides as well.
            if at + LOOK_BACK > self.bytes.len() && !self.ended {
                self.enough = at + LOOK_BACK;
                return;
            }
            let Some(candidate) = candidate(&self.bytes, at) else {
                self.advance(at + 1);
                continue;
            };
            match self.look(&candidate, each) {
                Look::Done(end) => self.advance(end.max(at + 1)),
                Look::More => {
                    // Twice as much, so that small pieces do not make it look at the same bytes again and again.
                    let seen = self.bytes.len() - candidate.begin;
                    self.enough = candidate.begin + (2 * seen).min(LONGEST);
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

    /// Forgets what has been dealt with but for the little that is looked back at.
    fn forget(&mut self) {
        let keep = self.done.saturating_sub(LOOK_BACK);
        if keep >= CHUNK {
            self.bytes.drain(..keep);
            self.done -= keep;
            self.enough = self.enough.saturating_sub(keep);
        }
    }

    fn look(&mut self, candidate: &Candidate, each: &mut impl FnMut(Record)) -> Look {
        let text = self.bytes.get(candidate.begin..).unwrap_or_default();
        let is_all = self.ended || text.len() >= LONGEST;
        let text = text.get(..LONGEST).unwrap_or(text);
        let (found, mut length) = match candidate.wrapping {
            Some(Wrapping { doubled: false, strings: 0 }) => plain(text),
            Some(wrapping) => match unwrapped(text, wrapping, is_all) {
                Ok((inner, length)) => (only(&inner), length),
                Err(found) => (found, 0),
            },
            None => (Found::Garbled("`type` is not its first member, or it stands within other text".to_owned()), 0),
        };
        let reason = match found {
            Found::Record(record) => {
                each(*record);
                return Look::Done(candidate.begin + length);
            }
            Found::CutOff if !is_all => return Look::More,
            // Nothing else can begin in what was looked through: it would have ended this one.
            Found::CutOff => {
                length = text.len();
                "its end is missing, or it is longer than 1 MiB".to_owned()
            }
            Found::OtherVersion(version) => {
                format!("version {version} of the format, and only {VERSION} is supported")
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

/// The record whose `"type":"compare"` has its `compare` at this place; `None` if that word is another one.
fn candidate(bytes: &[u8], at: usize) -> Option<Candidate> {
    let mut before = Backwards(bytes.get(..at)?);
    let quote = before.quote()?;
    before.blanks();
    before.text(b":")?;
    before.blanks();
    (before.quote()? == quote).then_some(())?;
    before.text(b"type")?;
    (before.quote()? == quote).then_some(())?;
    let written = quote.written();
    bytes.get(at + "compare".len()..)?.starts_with(&written).then_some(())?;
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
    /// A quote as it looks wrapped like this.
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
        let strings = (0..=MOST_STRINGS).find(|strings| (1 << strings) - 1 == escapes)?;
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
                // The end of a colour.
                Some(b'm') => self.0.iter().rev().take(12).any(|byte| *byte == 0x1b),
                Some(byte) => byte.is_ascii_whitespace(),
            },
        }
    }
}

/// The record at the beginning of a text, and how long it is.
fn plain(text: &[u8]) -> (Found, usize) {
    #[derive(Deserialize)]
    struct Head {
        version: u32,
    }
    let mut records = serde_json::Deserializer::from_slice(text).into_iter::<Record>();
    let error = match records.next() {
        Some(Ok(record)) if record.version == VERSION => {
            return (Found::Record(Box::new(record)), records.byte_offset());
        }
        Some(Ok(record)) => return (Found::OtherVersion(record.version), records.byte_offset()),
        Some(Err(error)) if !error.is_eof() => error,
        _ => return (Found::CutOff, 0),
    };
    // Another version may well have what this one cannot read.
    let head = serde_json::Deserializer::from_slice(text).into_iter::<Head>().next();
    match head {
        Some(Ok(Head { version })) if version != VERSION => (Found::OtherVersion(version), 0),
        _ => (Found::Garbled(error.to_string()), 0),
    }
}

/// The record that a text consists of.
fn only(text: &[u8]) -> Found {
    match plain(text) {
        (Found::Record(_), end) if text.get(end..).is_some_and(|rest| memchr::memchr(b'{', rest).is_some()) => {
            Found::Garbled("more than one record in one string".to_owned())
        }
        (found, _) => found,
    }
}

/// The JSON that begins here, and how long it is as it stands here.
fn unwrapped(text: &[u8], wrapping: Wrapping, is_all: bool) -> Result<(Cow<'_, [u8]>, usize), Found> {
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

/// RFC 4180 section 2: the rest of a field in quotes, its doubled quotes as one.
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

/// Position of the quote that ends a JSON string, of which this is the text after the opening quote.
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

    use super::*;

    const RECORD: &str = r#"{"type":"compare","version":1,"time":"2026-11-24T10:57:42.123Z","against":"mirror","request_id":"ID","route":"orders","method":"GET","endpoint":"/orders/{id}","verdict":"match","primary":{"backend":"legacy","status":200},"mirror":{"backend":"modern","status":200}}"#;

    fn record(id: &str) -> String {
        RECORD.replace("ID", id)
    }

    /// The ids of what is found, and what is skipped.
    fn found<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Skipped) {
        let (mut ids, mut finder) = (Vec::new(), RecordFinder::new());
        for piece in pieces {
            finder.push(piece, |record| ids.push(record.request_id));
        }
        let skipped = finder.finish(|record| ids.push(record.request_id));
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
    fn a_long_record_in_small_pieces_is_not_looked_at_for_each_of_them() {
        let (mut finder, mut looks, mut ids) = (RecordFinder::new(), 0, Vec::new());
        for byte in record(&"x".repeat(100_000)).as_bytes().chunks(1) {
            looks += u32::from(finder.bytes.len() + 1 >= finder.enough);
            finder.push(byte, |record| ids.push(record.request_id.len()));
        }
        finder.finish(|record| ids.push(record.request_id.len()));
        assert_eq!(ids, [100_000]);
        // Until the word `compare` is found, each piece is searched for it.
        assert!(looks < 100, "{looks}");
    }

    #[test]
    fn what_cannot_be_read_is_counted_with_the_first_reason_and_hides_nothing() {
        let a = record("a");
        for (line, reason) in [
            (RECORD.get(..100).unwrap().to_owned(), "expected `,` or `}`"),
            (RECORD.replace("\"match\"", "\"perhaps\""), "unknown variant `perhaps`"),
            (RECORD.replace("\"version\":1", "\"version\":2"), "version 2 of the format, and only 1 is supported"),
            (RECORD.replace("\"version\":1,\"time\"", "\"version\":7,\"when\""), "version 7 of the format"),
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

    /// Paths are written by clients, and the access log repeats them.
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
        fn no_input_does_harm(text in r#"([ {}\[\]:,"\\]|type|compare|"type":"compare"|\{\\"type\\":\\"compare\\"|\{""type"":""compare""|\n){0,60}"#) {
            found([text.as_bytes()]);
        }
    }
}
