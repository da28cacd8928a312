//! Reads logs, compressed or not, to their last byte. `crossfade-parity` finds the records in them.

use std::io::{BufRead, BufReader, ErrorKind, Read, Result};

use crossfade_journal::comparison::Record;
use crossfade_parity::RecordFinder;
use flate2::bufread::MultiGzDecoder;

/// Size of the read buffer in bytes.
const CHUNK: usize = 1 << 18;

/// Places in the logs that look like a record but cannot be parsed.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Unreadable {
    pub(crate) count: u64,
    /// `FILE:LINE: REASON` of the first.
    pub(crate) first: Option<String>,
}

/// Calls `each` with every record of a log, compressed (RFC 1952) or not. Messages use `name` for the file.
pub(crate) fn read(
    name: &str,
    log: impl Read,
    unreadable: &mut Unreadable,
    each: &mut impl FnMut(Record),
) -> Result<()> {
    read_plain(name, decompressed(log)?, unreadable, each)
}

/// The content of a file, compressed (RFC 1952) or not.
pub(crate) fn decompressed<'r>(file: impl Read + 'r) -> Result<Box<dyn BufRead + 'r>> {
    let mut file = BufReader::with_capacity(CHUNK, file);
    let is_compressed = file.fill_buf()?.starts_with(&[0x1f, 0x8b]);
    Ok(if is_compressed {
        Box::new(BufReader::with_capacity(CHUNK, MultiGzDecoder::new(file)))
    } else {
        Box::new(file)
    })
}

impl Unreadable {
    /// Counts a place of a file, and keeps the first one.
    pub(crate) fn note(&mut self, name: &str, line: u64, reason: &str) {
        self.count += 1;
        self.first.get_or_insert_with(|| format!("{name}:{line}: {reason}"));
    }
}

pub(crate) fn read_plain(
    name: &str,
    mut log: impl BufRead,
    unreadable: &mut Unreadable,
    each: &mut impl FnMut(Record),
) -> Result<()> {
    let mut finder = RecordFinder::new();
    loop {
        let bytes = match log.fill_buf() {
            Err(error) if error.kind() == ErrorKind::Interrupted => continue,
            bytes => bytes?,
        };
        if bytes.is_empty() {
            break;
        }
        finder.push(bytes, &mut *each);
        let length = bytes.len();
        log.consume(length);
    }
    let skipped = finder.finish(each);
    unreadable.count += skipped.count;
    if let Some(first) = skipped.first {
        unreadable.first.get_or_insert_with(|| format!("{name}:{}: {}", first.line, first.reason));
    }
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

    #[test]
    fn compressed_files_are_read_to_their_last_member() {
        let member = |text: &str| {
            let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
            encoder.write_all(text.as_bytes()).unwrap();
            encoder.finish().unwrap()
        };
        let whole = [member(&format!("2026 {}\n", record("a"))), member(&record("b"))].concat();
        let (mut ids, mut unreadable) = (Vec::new(), Unreadable::default());
        read("log", whole.as_slice(), &mut unreadable, &mut |record| ids.push(record.request_id)).unwrap();
        assert_eq!(ids, ["a", "b"]);
        let cut = whole.get(..whole.len() - 20).unwrap();
        assert!(read("log", cut, &mut unreadable, &mut |_| {}).is_err(), "half a file is no file");
    }

    #[test]
    fn the_first_of_all_files_that_cannot_be_read_is_named() {
        let mut unreadable = Unreadable::default();
        let cut = RECORD.get(..100).unwrap();
        for (name, log) in [("a", record("a")), ("b", format!("x\n{cut}")), ("c", cut.to_owned())] {
            read(name, log.as_bytes(), &mut unreadable, &mut |_| {}).unwrap();
        }
        let first = "b:2: its end is missing, or it is longer than 1 MiB".to_owned();
        assert_eq!(unreadable, Unreadable { count: 2, first: Some(first) });
    }
}
