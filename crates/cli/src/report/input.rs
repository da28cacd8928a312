//! Reads logs, compressed or not, to their last byte, and each record once. `crossfade-parity` finds the records in them.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io::{BufRead, BufReader, Cursor, ErrorKind, Read, Result};
use std::path::Path;

use crossfade_journal::AccessRecord;
use crossfade_journal::comparison::Record;
use crossfade_parity::{Logged, Part, RecordFinder, Skipped};
use flate2::bufread::MultiGzDecoder;
use serde::Serialize;

use crate::system;

/// Size of the read buffer in bytes.
const CHUNK: usize = 1 << 18;
/// Records that are recognised when they occur again: 40 MB of hashes.
const MAX_KNOWN: usize = 3_000_000;
/// Length of the shortest request ID that is unique, as Lambda's and those of `crossfade compare` are.
const UNIQUE: usize = 32;

/// Records that are known when they occur again.
pub(crate) trait Sought: Logged + Serialize {
    fn request_id(&self) -> &str;
}

/// A record of either kind.
#[derive(Serialize)]
#[serde(untagged)]
pub(crate) enum Entry {
    /// A request of a user.
    Access(Box<AccessRecord<'static>>),
    /// A shadow request.
    Comparison(Box<Record>),
}

/// Places in the logs that look like a record but cannot be parsed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) count: u64,
    /// `FILE:LINE: REASON` of the first.
    pub(crate) first: Option<String>,
}

/// Several logs, in which records may occur again: the same file, its compressed copy, exports that overlap.
#[derive(Default)]
pub(crate) struct Logs {
    pub(crate) unreadable: Unreadable,
    /// Records that were left out because they had been read before.
    pub(crate) repeated: u64,
    known: Known,
    /// Device, inode and number of records of each file: a file is read once, whatever its names are.
    files: HashMap<(u64, u64), u64>,
}

/// A log that arrives in lines.
pub(crate) struct Lines<'l, S: Sought> {
    logs: &'l mut Logs,
    name: &'static str,
    finder: RecordFinder<S>,
}

/// Hashes of the records that were read.
#[derive(Default)]
struct Known {
    hasher: RandomState,
    hashes: HashSet<u64>,
    /// Those of the current log whose request ID does not prove that they are the same: known from the next log on.
    of_this_log: Vec<u64>,
    buffer: Vec<u8>,
}

impl Logs {
    /// Calls `each` with the records of a file that were not read before.
    pub(crate) fn read_file<S: Sought>(&mut self, path: &Path, each: &mut impl FnMut(S)) -> Result<()> {
        let file = File::open(path)?;
        let id = system::identity(&file)?;
        if let Some(records) = id.and_then(|id| self.files.get(&id)) {
            self.repeated += records;
            return Ok(());
        }
        let records = self.read(&path.display().to_string(), file, each)?;
        self.files.extend(id.map(|id| (id, records)));
        Ok(())
    }

    /// The same for the content of a log. Returns the number of its records; messages use `name` for it.
    pub(crate) fn read<S: Sought>(&mut self, name: &str, log: impl Read, each: &mut impl FnMut(S)) -> Result<u64> {
        self.read_parts(name, log, &mut |part| {
            if let Part::Record(record, _) = part {
                each(record);
            }
        })
    }

    /// The same with the text between records.
    pub(crate) fn read_parts<S: Sought>(
        &mut self,
        name: &str,
        log: impl Read,
        each: &mut impl FnMut(Part<'_, S>),
    ) -> Result<u64> {
        let mut records = 0;
        let Logs { unreadable, repeated, known, .. } = self;
        let read = read_plain_parts(name, decompressed(log)?, unreadable, &mut |part: Part<'_, S>| {
            if let Part::Record(record, _) = &part {
                records += 1;
                if !known.is_new(record) {
                    *repeated += 1;
                    return;
                }
            }
            each(part);
        });
        known.end_log();
        read.map(|()| records)
    }

    /// The same for a log that arrives in lines.
    pub(crate) fn lines<S: Sought>(&mut self, name: &'static str) -> Lines<'_, S> {
        Lines { logs: self, name, finder: RecordFinder::default() }
    }

    /// Returns true if there were too many records to recognise all that occur again.
    pub(crate) fn may_repeat(&self) -> bool {
        self.known.hashes.len() >= MAX_KNOWN
    }
}

impl<S: Sought> Lines<'_, S> {
    /// Takes a line, and calls `each` with the records before it that are new.
    pub(crate) fn push(&mut self, line: &str, mut each: impl FnMut(S)) {
        let Lines { logs: Logs { known, repeated, .. }, finder, .. } = self;
        for bytes in [line.as_bytes(), b"\n"] {
            finder.push(bytes, |record| if known.is_new(&record) { each(record) } else { *repeated += 1 });
        }
    }

    /// Ends the log.
    pub(crate) fn end(self, mut each: impl FnMut(S)) {
        let Logs { unreadable, known, repeated, .. } = self.logs;
        let skipped = self.finder.finish(|record| if known.is_new(&record) { each(record) } else { *repeated += 1 });
        known.end_log();
        unreadable.add(self.name, skipped);
    }
}

impl Known {
    fn is_new(&mut self, record: &impl Sought) -> bool {
        self.buffer.clear();
        if serde_json::to_writer(&mut self.buffer, record).is_err() {
            return true;
        }
        let hash = self.hasher.hash_one(&self.buffer);
        if self.hashes.contains(&hash) {
            return false;
        }
        if self.hashes.len() + self.of_this_log.len() < MAX_KNOWN {
            if record.request_id().len() >= UNIQUE { _ = self.hashes.insert(hash) } else { self.of_this_log.push(hash) }
        }
        true
    }

    fn end_log(&mut self) {
        self.hashes.extend(self.of_this_log.drain(..));
    }
}

/// The content of a file as UTF-8, compressed (RFC 1952) or not.
pub(crate) fn decompressed<'r>(file: impl Read + 'r) -> Result<Box<dyn BufRead + 'r>> {
    let (head, file) = peek(BufReader::with_capacity(CHUNK, file))?;
    if head.starts_with(&[0x1f, 0x8b]) {
        as_utf8(BufReader::with_capacity(CHUNK, MultiGzDecoder::new(file)))
    } else {
        as_utf8(file)
    }
}

/// The first bytes of a file, and the whole file. A pipe may give one byte at a time.
fn peek(mut file: impl BufRead) -> Result<([u8; 3], impl BufRead)> {
    let mut bytes = Vec::new();
    file.by_ref().take(3).read_to_end(&mut bytes)?;
    let mut head = [0; 3];
    head.iter_mut().zip(&bytes).for_each(|(to, from)| *to = *from);
    Ok((head, Cursor::new(bytes).chain(file)))
}

/// Text without its byte order mark. Like [`crossfade_route::decode`], but for content of any length, and invalid
/// characters stay in it.
fn as_utf8<'r>(file: impl BufRead + 'r) -> Result<Box<dyn BufRead + 'r>> {
    let (head, mut file) = peek(file)?;
    let (mark, unit): (u64, Option<Unit>) = match head {
        [0xff, 0xfe, _] => (2, Some(u16::from_le_bytes)),
        [0xfe, 0xff, _] => (2, Some(u16::from_be_bytes)),
        [0, low, _] if low != 0 => (0, Some(u16::from_be_bytes)),
        [low, 0, next] if low != 0 && next != 0 => (0, Some(u16::from_le_bytes)),
        [0xef, 0xbb, 0xbf] => (3, None),
        _ => (0, None),
    };
    std::io::copy(&mut file.by_ref().take(mark), &mut std::io::sink())?;
    Ok(match unit {
        Some(unit) => {
            Box::new(BufReader::with_capacity(CHUNK, Utf16 { file, unit, rest: Vec::new(), text: Cursor::default() }))
        }
        None => Box::new(file),
    })
}

/// The order of the bytes of a UTF-16 code unit.
type Unit = fn([u8; 2]) -> u16;

/// UTF-16 as UTF-8.
struct Utf16<R> {
    file: R,
    unit: Unit,
    /// Bytes of a character whose end has not been read yet.
    rest: Vec<u8>,
    text: Cursor<Vec<u8>>,
}

impl<R: BufRead> Read for Utf16<R> {
    fn read(&mut self, to: &mut [u8]) -> Result<usize> {
        loop {
            let read = self.text.read(to)?;
            if read > 0 || to.is_empty() {
                return Ok(read);
            }
            let bytes = self.file.fill_buf()?;
            if bytes.is_empty() && self.rest.is_empty() {
                return Ok(0);
            }
            let (is_end, length) = (bytes.is_empty(), bytes.len());
            self.rest.extend_from_slice(bytes);
            self.file.consume(length);
            let (pairs, odd) = self.rest.as_chunks::<2>();
            let mut units: Vec<u16> = pairs.iter().map(|pair| (self.unit)(*pair)).collect();
            let is_half = units.last().is_some_and(|unit| (0xd800..0xdc00).contains(unit));
            let kept = if is_half { 2 + odd.len() } else { odd.len() };
            if is_end {
                // What is cut off is replaced.
                units.extend(odd.first().map(|_| 0xfffd));
                self.rest.clear();
            } else {
                units.truncate(units.len() - usize::from(is_half));
                self.rest.drain(..self.rest.len() - kept);
            }
            self.text = Cursor::new(String::from_utf16_lossy(&units).into_bytes());
        }
    }
}

impl Unreadable {
    /// Counts a place of a file, and keeps the first one.
    pub(crate) fn note(&mut self, name: &str, line: u64, reason: &str) {
        self.count += 1;
        self.first.get_or_insert_with(|| format!("{name}:{line}: {reason}"));
    }

    fn add(&mut self, name: &str, skipped: Skipped) {
        self.count += skipped.count;
        if let Some(first) = skipped.first {
            self.first.get_or_insert_with(|| format!("{name}:{}: {}", first.line, first.reason));
        }
    }
}

impl Sought for Record {
    fn request_id(&self) -> &str {
        &self.request_id
    }
}

impl Sought for AccessRecord<'static> {
    fn request_id(&self) -> &str {
        &self.request_id
    }
}

impl Sought for Entry {
    fn request_id(&self) -> &str {
        match self {
            Entry::Access(record) => &record.request_id,
            Entry::Comparison(record) => &record.request_id,
        }
    }
}

impl Logged for Entry {
    fn newest(kind: &str) -> Option<u32> {
        AccessRecord::newest(kind).or_else(|| Record::newest(kind))
    }

    fn read(kind: &str, record: &[u8]) -> serde_json::Result<Self> {
        match Record::newest(kind) {
            Some(_) => Record::read(kind, record).map(|record| Entry::Comparison(Box::new(record))),
            None => AccessRecord::read(kind, record).map(|record| Entry::Access(Box::new(record))),
        }
    }
}

pub(crate) fn read_plain<S: Sought>(
    name: &str,
    log: impl BufRead,
    unreadable: &mut Unreadable,
    each: &mut impl FnMut(S),
) -> Result<()> {
    read_plain_parts(name, log, unreadable, &mut |part| {
        if let Part::Record(record, _) = part {
            each(record);
        }
    })
}

fn read_plain_parts<S: Sought>(
    name: &str,
    mut log: impl BufRead,
    unreadable: &mut Unreadable,
    each: &mut impl FnMut(Part<'_, S>),
) -> Result<()> {
    let mut finder = RecordFinder::default();
    loop {
        let bytes = match log.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            bytes => bytes?,
        };
        if bytes.is_empty() {
            break;
        }
        finder.push_parts(bytes, &mut *each);
        let length = bytes.len();
        log.consume(length);
    }
    unreadable.add(name, finder.finish_parts(each));
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    const RECORD: &str = r#"{"type":"compare","version":1,"time":"2026-11-24T10:57:42.123Z","against":"mirror","request_id":"ID","route":"orders","method":"GET","endpoint":"/orders/{id}","verdict":"match","primary":{"backend":"legacy","status":200},"mirror":{"backend":"modern","status":200}}"#;

    fn record(id: &str) -> String {
        RECORD.replace("ID", id)
    }

    fn gzipped(text: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        encoder.write_all(text).unwrap();
        encoder.finish().unwrap()
    }

    /// The request IDs of the records that count, and the number of those that occur again.
    fn ids(logs: &[&[u8]]) -> (Vec<String>, u64) {
        let (mut found, mut all) = (Vec::new(), Logs::default());
        for log in logs {
            all.read("log", *log, &mut |record: Record| found.push(record.request_id)).unwrap();
        }
        assert_eq!(all.unreadable, Unreadable::default());
        (found, all.repeated)
    }

    #[test]
    fn compressed_files_are_read_to_their_last_member() {
        let whole = [gzipped(format!("2026 {}\n", record("a")).as_bytes()), gzipped(record("b").as_bytes())].concat();
        assert_eq!(ids(&[&whole]).0, ["a", "b"]);
        let cut = whole.get(..whole.len() - 20).unwrap();
        assert!(Logs::default().read("log", cut, &mut |_: Record| {}).is_err(), "half a file is no file");
    }

    #[test]
    fn the_first_of_all_files_that_cannot_be_read_is_named() {
        let mut logs = Logs::default();
        let cut = RECORD.get(..100).unwrap();
        for (name, log) in [("a", record("a")), ("b", format!("x\n{cut}")), ("c", cut.to_owned())] {
            logs.read(name, log.as_bytes(), &mut |_: Record| {}).unwrap();
        }
        let first = "b:2: its end is missing, or it is longer than 1 MiB".to_owned();
        assert_eq!(logs.unreadable, Unreadable { count: 2, first: Some(first) });
    }

    #[test]
    fn a_record_that_occurs_again_counts_once() {
        let unique = |number: u32| record(&format!("87add8f1-20bb-4142-a5ee-{number:012x}"));
        let log = |numbers: std::ops::Range<u32>| numbers.map(|number| unique(number) + "\n").collect::<String>();
        let (first, second) = (log(0..20), log(10..30));
        let (found, repeated) = ids(&[first.as_bytes(), second.as_bytes(), &gzipped(first.as_bytes())]);
        assert_eq!((found.len(), repeated), (30, 30));
        // In one log as well, in another form: exported as a string of JSON.
        let exported = format!("{first}{{\"message\":{}}}\n", serde_json::json!(unique(0)));
        assert_eq!(ids(&[exported.as_bytes()]).1, 1);
        // The response to the primary's own repeat is another record.
        let itself = first.replace(r#""against":"mirror""#, r#""against":"self""#);
        assert_eq!(ids(&[first.as_bytes(), itself.as_bytes()]).1, 0);
        // Only other logs say anything about records whose IDs are not unique.
        let twice = [record("a"), record("a")].join("\n");
        assert_eq!(ids(&[twice.as_bytes()]).1, 0);
        assert_eq!(ids(&[twice.as_bytes(), twice.as_bytes()]).1, 2);
    }

    #[test]
    fn both_kinds_are_found_in_one_pass_and_each_record_once() {
        let id = "87add8f1-20bb-4142-a5ee-000000000000";
        let access = format!(r#"{{"type":"access","version":3,"time":"2026-11-24T10:57:42Z","request_id":"{id}"}}"#);
        let log = format!("{access}\n{}\n{access}\n{{\"type\":\"access\",\"version\":3", record(id));
        let mut logs = Logs::default();
        let (mut requests, mut comparisons) = (0, 0);
        let mut each = |entry: Entry| match entry {
            Entry::Access(_) => requests += 1,
            Entry::Comparison(_) => comparisons += 1,
        };
        logs.read("log", log.as_bytes(), &mut each).unwrap();
        let mut lines = logs.lines("the log group");
        log.lines().for_each(|line| lines.push(line, &mut each));
        lines.end(&mut each);
        assert_eq!((requests, comparisons, logs.repeated), (1, 1, 4));
        let first = "log:4: its end is missing, or it is longer than 1 MiB".to_owned();
        assert_eq!(logs.unreadable, Unreadable { count: 2, first: Some(first) });
    }

    #[test]
    fn a_file_is_read_once_whatever_its_names_are() {
        let folder = tempfile::tempdir().unwrap();
        let [log, link, hard] = ["log", "link", "hard"].map(|name| folder.path().join(name));
        std::fs::write(&log, format!("{}\n{}\n{}", record("a"), record("b"), RECORD.get(..100).unwrap())).unwrap();
        std::os::unix::fs::symlink(&log, &link).unwrap();
        std::fs::hard_link(&log, &hard).unwrap();
        let (mut logs, mut found) = (Logs::default(), 0);
        for file in [&log, &link, &hard, &folder.path().join("./log")] {
            logs.read_file(file, &mut |_: Record| found += 1).unwrap();
        }
        assert_eq!((found, logs.repeated, logs.unreadable.count), (2, 6, 1));
    }

    #[test]
    fn logs_of_windows_are_read() {
        let text = format!("{}\r\ngrüße 🦀\r\n{}\r\n", record("ä🦀"), record("b"));
        let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let big: Vec<u8> = text.encode_utf16().flat_map(u16::to_be_bytes).collect();
        for (mark, bytes) in [
            (&b""[..], text.as_bytes()),
            (b"\xef\xbb\xbf", text.as_bytes()),
            (b"\xff\xfe", &little),
            (b"\xfe\xff", &big),
            (b"", &little),
            (b"", &big),
        ] {
            let log = [mark, bytes].concat();
            assert_eq!(ids(&[&log]).0, ["ä🦀", "b"], "{mark:x?}");
            assert_eq!(ids(&[&gzipped(&log)]).0, ["ä🦀", "b"], "{mark:x?}");
        }
    }

    /// Reads a byte at a time, so that every character is cut.
    struct Trickle<'a>(&'a [u8]);

    impl Read for Trickle<'_> {
        fn read(&mut self, to: &mut [u8]) -> Result<usize> {
            let length = to.len().min(1);
            self.0.read(to.get_mut(..length).unwrap())
        }
    }

    #[test]
    fn text_in_any_pieces_is_the_same_and_invalid_characters_stay_in_it() {
        let utf16 = |units: &[u16]| units.iter().flat_map(|unit| unit.to_le_bytes()).collect::<Vec<u8>>();
        for (bytes, expected) in [
            ("ä🦀\n".encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>(), "ä🦀\n"),
            (utf16(&[0xfeff, 0x61, 0xd83e, 0xdd80, 0x62]), "a🦀b"),
            (utf16(&[0xfeff, 0x61, 0xd83e, 0x62, 0xdd80]), "a\u{fffd}b\u{fffd}"),
            ([utf16(&[0xfeff, 0x61, 0xd83e]), vec![0x3e]].concat(), "a\u{fffd}\u{fffd}"),
            (b"\xef\xbb\xbfa".to_vec(), "a"),
            (b"a".to_vec(), "a"),
            (b"\xff\xfe".to_vec(), ""),
            (Vec::new(), ""),
        ] {
            let bytes = if expected.starts_with('ä') { [b"\xfe\xff", &bytes[..]].concat() } else { bytes };
            let mut text = String::new();
            decompressed(Trickle(&bytes)).unwrap().read_to_string(&mut text).unwrap();
            assert_eq!(text, expected, "{bytes:x?}");
        }
    }
}
