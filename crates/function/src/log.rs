//! The log on stdout: a JSON object on each line, in one system call. Owns its levels and what Lambda's JSON format adds to a
//! line (the page "Log-level filtering" of Lambda's guide). Knows no line's content.

use std::sync::OnceLock;
use std::time::SystemTime;

use crossfade_journal::stamp;
use serde_json::json;

/// Levels of lines, in Lambda's words.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Level {
    /// Also stands for the more detailed `TRACE` and `DEBUG`, which no line has.
    #[default]
    Info,
    Warn,
    Error,
    Fatal,
}

impl Level {
    fn parse(word: &str) -> Option<Level> {
        const WORDS: [(&str, Level); 6] = [
            ("TRACE", Level::Info),
            ("DEBUG", Level::Info),
            ("INFO", Level::Info),
            ("WARN", Level::Warn),
            ("ERROR", Level::Error),
            ("FATAL", Level::Fatal),
        ];
        WORDS.into_iter().find(|(known, _)| word.eq_ignore_ascii_case(known)).map(|(_, level)| level)
    }

    fn as_str(self) -> &'static str {
        match self {
            Level::Info => "INFO",
            Level::Warn => "WARN",
            Level::Error => "ERROR",
            Level::Fatal => "FATAL",
        }
    }
}

/// The settings of the log.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Format {
    /// Lines have the time and the level, since Lambda takes those without a time for `INFO`.
    is_json: bool,
    /// Lines below it are not written.
    least: Level,
}

impl Format {
    /// The values are those of `AWS_LAMBDA_LOG_FORMAT` and `AWS_LAMBDA_LOG_LEVEL`. Unknown ones have no effect, as in Lambda.
    pub(crate) fn new(format: Option<&str>, level: Option<&str>) -> Self {
        let is_json = format.is_some_and(|format| format.eq_ignore_ascii_case("JSON"));
        Format { is_json, least: level.and_then(Level::parse).unwrap_or_default() }
    }
}

static FORMAT: OnceLock<Format> = OnceLock::new();

/// Sets the format. Only the first call has an effect.
pub(crate) fn start(format: Format) {
    let _ = FORMAT.set(format);
}

fn format() -> Format {
    FORMAT.get().copied().unwrap_or_default()
}

/// Returns `true` if lines of this level are written.
pub(crate) fn has(level: Level) -> bool {
    level >= format().least
}

/// Something that belongs to no request. Lambda takes stdout and stderr into the same log.
pub(crate) fn log_error(message: &str) {
    message_of("error", Level::Error, message);
}

/// The same for what works, but should not stay so.
pub(crate) fn log_warning(message: &str) {
    message_of("warning", Level::Warn, message);
}

/// The same for what ends the process.
pub(crate) fn log_fatal(message: &str) {
    message_of("error", Level::Fatal, message);
}

fn message_of(kind: &str, level: Level, message: &str) {
    write_line(level, json!({ "type": kind, "level": level.as_str(), "message": message }).to_string());
}

/// Writes a line that names its level.
pub(crate) fn write_line(level: Level, line: impl Into<Vec<u8>>) {
    if has(level) {
        write(line.into(), None);
    }
}

/// Writes a line that does not.
pub(crate) fn write_record(level: Level, line: impl Into<Vec<u8>>) {
    if has(level) {
        write(line.into(), Some(level.as_str()));
    }
}

/// One line in one system call, so that lines of several processes do not mix.
fn write(mut line: Vec<u8>, level: Option<&str>) {
    use std::io::Write;
    if format().is_json {
        stamp(&mut line, SystemTime::now(), level);
    }
    line.push(b'\n');
    // Without a log there is no place to report that.
    let _ = std::io::stdout().lock().write_all(&line);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_words_are_lambdas() {
        for (format, level, is_json, least) in [
            (None, None, false, Level::Info),
            (Some("Text"), None, false, Level::Info),
            (Some("JSON"), Some("TRACE"), true, Level::Info),
            (Some("json"), Some("warn"), true, Level::Warn),
            (Some("JSON"), Some("ERROR"), true, Level::Error),
            (Some("Text"), Some("FATAL"), false, Level::Fatal),
            (Some("XML"), Some("LOUD"), false, Level::Info),
        ] {
            assert_eq!(Format::new(format, level), Format { is_json, least }, "{format:?} {level:?}");
        }
    }
}
