//! The lines of the function's log that belong to a request: its access line, and the comparison of each copy.
//! `crossfade-journal` owns the formats.

use std::sync::Arc;

use crossfade_journal::AccessRecord;
use crossfade_journal::comparison::Record;

/// Prefixes of the lines that are parsed.
const BEGINNINGS: [&str; 2] = [r#"{"type":"access","#, r#"{"type":"compare","#];

/// Returns true if a line of the function's log belongs to a request, so that it is worth parsing.
pub(crate) fn is_record(text: &str) -> bool {
    BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
}

/// A line of the function's log that belongs to a request.
#[derive(Clone, Debug)]
pub(super) enum Line {
    Access { access: Arc<Access>, bytes: usize },
    Comparison { record: Arc<Record>, bytes: usize },
}

/// A parsed access line.
pub(super) type Access = AccessRecord<'static>;

impl Line {
    pub(super) fn parse(text: &str) -> Option<Line> {
        let bytes = text.len();
        if text.starts_with(BEGINNINGS[0]) {
            return serde_json::from_str(text).ok().map(|access| Line::Access { access: Arc::new(access), bytes });
        }
        serde_json::from_str(text).ok().map(|record| Line::Comparison { record: Arc::new(record), bytes })
    }

    /// Returns the length of the text, which approximates the memory of the parsed line.
    pub(super) fn bytes(&self) -> usize {
        let (Line::Access { bytes, .. } | Line::Comparison { bytes, .. }) = self;
        *bytes
    }

    pub(super) fn request_id(&self) -> &str {
        match self {
            Line::Access { access, .. } => &access.request_id,
            Line::Comparison { record, .. } => &record.request_id,
        }
    }
}
