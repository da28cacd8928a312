//! What our function's log says of a request: its access line, and what came of each copy. The formats are the function's
//! (`crossfade_proxy::AccessRecord`) and the comparison's.

use std::sync::Arc;

use crossfade_compare::Record;
use serde::Deserialize;

/// How the lines begin that are looked at.
const BEGINNINGS: [&str; 2] = [r#"{"type":"access","#, r#"{"type":"compare","#];

/// A line of the function's log that tells of a request.
#[derive(Clone, Debug)]
pub(super) enum Line {
    Access { access: Arc<Access>, bytes: usize },
    Comparison { record: Arc<Record>, bytes: usize },
}

/// As much of an access line as is shown.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Access {
    pub(super) request_id: String,
    pub(super) path: Option<String>,
    pub(super) route: Option<String>,
    pub(super) backend: Option<String>,
    pub(super) chosen: Option<String>,
    pub(super) passed_over: Vec<PassedOver>,
    pub(super) total_ms: Option<f64>,
    pub(super) connect_ms: Option<f64>,
    pub(super) first_byte_ms: Option<f64>,
    pub(super) request_bytes: u64,
    pub(super) response_bytes: u64,
    pub(super) attempts: u32,
    pub(super) retries: u32,
    pub(super) error: Option<String>,
    pub(super) detail: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct PassedOver {
    pub(super) backend: String,
    pub(super) outcome: String,
}

impl Line {
    /// Whether a line is worth parsing.
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
