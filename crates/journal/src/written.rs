//! Dates and durations as the lines of the log have them.

use std::borrow::Cow;
use std::io::Write;
use std::time::{Duration, SystemTime};

use serde::{Deserialize, Deserializer, Serializer};

/// Returns a duration in milliseconds, to the microsecond.
#[must_use]
pub fn milliseconds(duration: Duration) -> f64 {
    duration.as_micros() as f64 / 1000.0
}

/// Adds the members that Lambda reads in a line of its JSON format to one that is a complete JSON object: the time, and the
/// level if the line has none yet.
pub fn stamp(line: &mut Vec<u8>, time: SystemTime, level: Option<&str>) {
    if line.pop() != Some(b'}') {
        return;
    }
    // Writing to memory does not fail.
    let _ = write!(line, r#","timestamp":"{}""#, humantime::format_rfc3339_millis(time));
    if let Some(level) = level {
        let _ = write!(line, r#","level":"{level}""#);
    }
    line.push(b'}');
}

pub(crate) mod rfc3339 {
    use super::*;

    pub(crate) fn serialize<S: Serializer>(time: &SystemTime, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&humantime::format_rfc3339_millis(*time))
    }

    pub(crate) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<SystemTime, D::Error> {
        let text = Cow::<'de, str>::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text).map_err(serde::de::Error::custom)
    }
}
