//! HTTP archives (HAR 1.2), as browsers export them: method, URL, content, and the fields that identify nobody.

use std::io::{BufRead, Result};

use http::HeaderName;
use http::header::{self, CONTENT_TYPE};
use serde::Deserialize;

use super::{Asked, Line, request};
use crate::report::input::Unreadable;

/// Size of the largest file in bytes.
const MAX_SIZE: u64 = 1 << 30;
/// The fields that are sent again. Never cookies, credentials, or conditions on a response that the browser had.
const FIELDS: [HeaderName; 7] = [
    header::ACCEPT,
    header::ACCEPT_ENCODING,
    header::ACCEPT_LANGUAGE,
    header::ORIGIN,
    header::RANGE,
    header::USER_AGENT,
    HeaderName::from_static("x-requested-with"),
];

#[derive(Deserialize)]
struct Archive {
    log: Log,
}

#[derive(Deserialize)]
struct Log {
    entries: Vec<Entry>,
}

#[derive(Deserialize)]
struct Entry {
    request: Request,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Request {
    method: String,
    url: String,
    #[serde(default)]
    headers: Vec<Field>,
    post_data: Option<Content>,
}

#[derive(Deserialize)]
struct Field {
    name: String,
    value: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Content {
    #[serde(default)]
    mime_type: String,
    #[serde(default)]
    text: String,
}

/// Returns true if the file that begins like this is an archive.
pub(super) fn begins(head: &[u8]) -> bool {
    let Some(inside) = head.strip_prefix(b"{") else { return false };
    inside.trim_ascii_start().starts_with(br#""log""#) || memchr::memmem::find(head, br#""entries""#).is_some()
}

pub(super) fn read(
    name: &str,
    file: impl BufRead,
    unreadable: &mut Unreadable,
    each: &mut impl FnMut(Line),
) -> Result<()> {
    let archive: Archive = match serde_json::from_reader(file.take(MAX_SIZE)) {
        Ok(archive) => archive,
        Err(error) if error.is_io() => return Err(error.into()),
        Err(error) => {
            // Not the library's message: it may quote a value.
            let problem = if error.is_data() { "not the members of HAR 1.2" } else { "not valid JSON" };
            unreadable.note(name, error.line() as u64, &format!("{problem} in column {}", error.column()));
            return Ok(());
        }
    };
    for (number, entry) in archive.log.entries.into_iter().enumerate() {
        match parse(entry.request) {
            Ok(line) => each(line),
            // A file in one line has no useful line numbers.
            Err(reason) => unreadable.note(name, 1, &format!("entry {}: {reason}", number + 1)),
        }
    }
    Ok(())
}

fn parse(entry: Request) -> super::Parsed {
    let asked = match request(entry.method.as_bytes(), entry.url.as_bytes())? {
        Line::Request(asked) => asked,
        other => return Ok(other),
    };
    let kept = |field: &Field| FIELDS.iter().find(|name| field.name.eq_ignore_ascii_case(name.as_str())).cloned();
    let fields = entry.headers.iter().filter_map(|field| Some((kept(field)?, &field.value)));
    let asked = fields.fold(asked, |asked, (name, value)| asked.with(name, value));
    Ok(Line::Request(match entry.post_data {
        Some(content) if !content.text.is_empty() => {
            Asked { body: content.text.into(), ..asked.with(CONTENT_TYPE, &content.mime_type) }
        }
        _ => asked,
    }))
}
