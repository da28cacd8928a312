//! A list of paths or URLs, one per line, each with a method before it or not. Lines that begin with `#` are comments.

use super::{Line, Parsed, request, shown};

pub(super) fn parse(line: &[u8]) -> Parsed {
    let mut words = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    match (words.next(), words.next(), words.next()) {
        (None, ..) => Ok(Line::Nothing),
        (Some(word), ..) if word.starts_with(b"#") => Ok(Line::Nothing),
        (Some(url), None, _) => request(b"GET", url),
        (Some(method), Some(url), None) => request(method, url),
        _ => Err(format!("`{}` is neither `URL` nor `METHOD URL`", shown(line))),
    }
}
