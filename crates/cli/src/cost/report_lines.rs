//! Finds what Lambda reports about invocations in the text between the records of a log: its `REPORT` lines, and the events `platform.report` of its JSON
//! format. Both may be in a string of JSON, as exports have them.
//!
//! The caller leaves out our records: a client could write a report into a path. Any bytes are a log. A report that is cut off or has no billed time is ignored.

use std::collections::HashSet;
use std::hash::{BuildHasher, RandomState};

use memchr::memmem;

use super::usage::MAX_INVOCATION;

const LINE: &[u8] = b"REPORT RequestId:";
const EVENT: &[u8] = b"platform.report";

/// The longest report, in bytes.
const LONGEST: usize = 1_024;
/// Bytes that are searched at once.
const CHUNK: usize = 1 << 16;
/// Reports that are recognised when they occur again.
const MAX_KNOWN: usize = 3_000_000;

/// Sums of the reports of a log.
#[derive(Debug, Default)]
pub(super) struct Reports {
    pub(super) count: u64,
    pub(super) cold_starts: u64,
    pub(super) init_ms: f64,
    pub(super) billed_ms: f64,
    /// Memory of the last one, in MB.
    pub(super) memory_mb: Option<f64>,
    hasher: RandomState,
    known: HashSet<u64>,
    buffer: Vec<u8>,
}

impl Reports {
    /// Takes the next text.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        self.buffer.extend_from_slice(bytes);
        if self.buffer.len() >= CHUNK {
            self.search(false);
        }
    }

    /// Ends a log.
    pub(super) fn end(&mut self) {
        self.search(true);
        self.buffer.clear();
    }

    fn search(&mut self, is_end: bool) {
        let buffer = std::mem::take(&mut self.buffer);
        // A report that begins later may be incomplete.
        let complete = if is_end { buffer.len() } else { buffer.len().saturating_sub(LONGEST) };
        for needle in [LINE, EVENT] {
            for at in memmem::find_iter(&buffer, needle).take_while(|at| *at < complete) {
                let rest = buffer.get(at.saturating_add(needle.len())..).unwrap_or_default();
                let rest = String::from_utf8_lossy(rest.get(..LONGEST).unwrap_or(rest));
                self.take(if needle == LINE { Report::of_line(&rest) } else { Report::of_event(&rest) });
            }
        }
        self.buffer = buffer.get(complete..).unwrap_or_default().to_vec();
    }

    fn take(&mut self, report: Option<Report<'_>>) {
        let Some(report) = report else { return };
        let hash = self.hasher.hash_one(report.id);
        if self.known.contains(&hash) {
            return;
        }
        if self.known.len() < MAX_KNOWN {
            self.known.insert(hash);
        }
        self.count = self.count.saturating_add(1);
        self.billed_ms += report.billed_ms;
        if let Some(init) = report.init_ms {
            self.cold_starts = self.cold_starts.saturating_add(1);
            self.init_ms += init;
        }
        self.memory_mb = report.memory_mb.or(self.memory_mb);
    }
}

struct Report<'t> {
    id: &'t str,
    billed_ms: f64,
    memory_mb: Option<f64>,
    init_ms: Option<f64>,
}

impl<'t> Report<'t> {
    /// ` 8f5c…  Duration: 1.20 ms  Billed Duration: 2 ms  Memory Size: 128 MB …`, with tabs between.
    fn of_line(text: &'t str) -> Option<Self> {
        let text = text.split(['\n', '"']).next()?;
        // In a string of JSON, a tab and a line break are two characters.
        let text = text.split("\\n").next()?;
        let id = text.trim_start().split([' ', '\t', '\\']).next()?;
        Report::new(id, |name| after(text, name), ["Billed Duration:", "Memory Size:", "Init Duration:"])
    }

    /// `","record":{"requestId":"8f5c…","metrics":{"durationMs":1.2,"billedDurationMs":2,"memorySizeMB":128,…}`.
    fn of_event(text: &'t str) -> Option<Self> {
        // `platform.reportX` would be another event.
        text.strip_prefix('\\').unwrap_or(text).strip_prefix('"')?;
        let text = text.split('}').next()?;
        let is_quoted = |character| matches!(character, '"' | '\\' | ':' | ' ');
        let id = text.split_once("requestId")?.1.trim_start_matches(is_quoted).split(is_quoted).next()?;
        Report::new(id, |name| after(text, name), ["billedDurationMs", "memorySizeMB", "initDurationMs"])
    }

    fn new(id: &'t str, value: impl Fn(&str) -> Option<f64>, [billed, memory, init]: [&str; 3]) -> Option<Self> {
        let is_plausible = |ms: &f64| *ms <= MAX_INVOCATION * 2.0;
        let report = Report {
            id,
            billed_ms: value(billed).filter(is_plausible)?,
            memory_mb: value(memory),
            init_ms: value(init),
        };
        (!id.is_empty()).then_some(report)
    }
}

/// The number behind a name.
fn after(text: &str, name: &str) -> Option<f64> {
    let rest = text.split_once(name)?.1.trim_start_matches(['"', '\\', ':', ' ']);
    let end = rest.find(|character: char| !character.is_ascii_digit() && character != '.').unwrap_or(rest.len());
    rest.get(..end)?.parse().ok().filter(|number: &f64| number.is_finite())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "REPORT RequestId: ID\tDuration: 60.12 ms\tBilled Duration: 76 ms\tMemory Size: 128 MB\tMax Memory Used: 20 MB\tInit Duration: 15.20 ms\t\n";
    const WARM: &str =
        "REPORT RequestId: ID Duration: 1.12 ms Billed Duration: 2 ms Memory Size: 256 MB Max Memory Used: 20 MB\n";
    const EVENT: &str = r#"{"time":"2026-11-24T10:57:42.123Z","type":"platform.report","record":{"requestId":"ID","metrics":{"durationMs":60.1,"billedDurationMs":61,"memorySizeMB":512,"maxMemoryUsedMB":20,"initDurationMs":9.5},"status":"success"}}"#;

    fn sums(log: &[u8], piece: usize) -> (u64, u64, f64, f64, Option<f64>) {
        let mut reports = Reports::default();
        for bytes in log.chunks(piece) {
            reports.push(bytes);
        }
        reports.end();
        (reports.count, reports.cold_starts, reports.init_ms, reports.billed_ms, reports.memory_mb)
    }

    #[test]
    fn both_forms_are_found_in_any_pieces_and_in_strings() {
        let log: String = (0..400)
            .map(|number| {
                let [text, exported] = ["a", "b"].map(|name| TEXT.replace("ID", &format!("{name}{number}")));
                let [event, nested] = ["c", "d"].map(|name| EVENT.replace("ID", &format!("{name}{number}")));
                let [exported, nested] = [exported, nested].map(|message| serde_json::json!({ "message": message }));
                format!("{text}noise\n{event}\n{exported}\n{nested}\n")
            })
            .collect();
        for piece in [1_000_000, 4_096, 7] {
            let (count, cold, init, billed, memory) = sums(log.as_bytes(), piece);
            assert_eq!((count, cold), (1_600, 1_600), "{piece}");
            assert!(
                (init - 800.0 * (15.2 + 9.5)).abs() < 1e-6 && (billed - 800.0 * (76.0 + 61.0)).abs() < 1e-6,
                "{piece}"
            );
            assert!(memory.is_some());
        }
    }

    #[test]
    fn a_report_counts_once_and_a_cut_one_never() {
        let log = [TEXT, TEXT, WARM.replace("ID", "warm").as_str()].concat();
        assert_eq!(sums(log.as_bytes(), 50), (2, 1, 15.2, 78.0, Some(256.0)));
        // The next line is not its own.
        let cut = "REPORT RequestId: x\tDuration: 60.12 ms\nBilled Duration: 1 ms\nREPORT RequestId:\nREPORT RequestId: \tBilled Duration: x ms";
        assert_eq!(sums(cut.as_bytes(), 9).0, 0);
        assert_eq!(sums(b"\xff\"platform.report\"\xffplatform.reportX\"billedDurationMs\":1", 3).0, 0);
        assert_eq!(sums(b"REPORT RequestId: x\tBilled Duration: 99999999999 ms", 100).0, 0);
        assert_eq!(sums(b"", 1).0, 0);
    }
}
