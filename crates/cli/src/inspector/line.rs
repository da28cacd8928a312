//! The lines of our function's log on a request: its access line, and the comparison of each copy. The formats are
//! `crossfade-journal`'s, which the function writes.

use std::sync::Arc;

use crossfade_journal::AccessRecord;
use crossfade_journal::comparison::Record;

/// The beginnings of the lines that are read.
const BEGINNINGS: [&str; 2] = [r#"{"type":"access","#, r#"{"type":"compare","#];

/// A line of the function's log that tells of a request.
#[derive(Clone, Debug)]
pub(super) enum Line {
    Access { access: Arc<Access>, bytes: usize },
    Comparison { record: Arc<Record>, bytes: usize },
}

/// An access line as it was read.
pub(super) type Access = AccessRecord<'static>;

impl Line {
    /// Returns true if a line is worth parsing.
    pub(super) fn is_one(text: &str) -> bool {
        BEGINNINGS.iter().any(|beginning| text.starts_with(beginning))
    }

    pub(super) fn parse(text: &str) -> Option<Line> {
        let bytes = text.len();
        if text.starts_with(BEGINNINGS[0]) {
            return serde_json::from_str(text).ok().map(|access| Line::Access { access: Arc::new(access), bytes });
        }
        serde_json::from_str(text).ok().map(|record| Line::Comparison { record: Arc::new(record), bytes })
    }

    /// Those of its text, and about what it takes.
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
