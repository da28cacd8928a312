//! Cases in files: requests as bytes, and what is expected of each. A file has a head, `=== request`, perhaps `=== reply` with what
//! the function replies, and then `=== event` with what came out; `BLESS=1` writes that. Owns the form of the files, not what
//! comes out.

use std::path::{Path, PathBuf};

/// A case without what is expected.
pub struct Case<'c> {
    pub file: &'c Path,
    /// Lines such as `front: rest-api`.
    pub head: &'c str,
    pub request: &'c str,
    /// On one line; empty without a reply.
    pub reply: String,
}

impl<'c> Case<'c> {
    /// The value of a line of the head.
    pub fn value(&self, name: &str) -> Option<&'c str> {
        self.head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The request's bytes, with a field that tells the function its reply.
    pub fn with_instruction(&self, name: &str) -> Vec<u8> {
        let (line, rest) = self.request.trim_end().split_once('\n').unwrap();
        let instruction = if name.is_empty() { String::new() } else { format!("{name}: {}\n", self.reply) };
        // A section of a file loses its last line breaks, which may be the end of the head.
        let end = if rest.contains("\n\n") { "" } else { "\n\n" };
        unescape(&format!("{line}\n{instruction}{rest}{end}"))
    }
}

/// Runs all cases of a folder.
///
/// # Panics
///
/// If there are fewer cases than `least`, or another outcome than a file has.
pub fn each(folder: &str, least: usize, mut outcome: impl FnMut(&Case<'_>) -> String) {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    assert!(files.len() >= least, "the golden files are missing");
    let mut failures = Vec::new();
    for file in files {
        let text = std::fs::read_to_string(&file).unwrap();
        let (before, expected) = text.split_once("=== event\n").unwrap_or((&text, ""));
        let (head, rest) = before.split_once("=== request\n").expect("no `=== request`");
        let (request, reply) = rest.split_once("=== reply\n").unwrap_or((rest, ""));
        let reply = reply.lines().map(str::trim).collect::<Vec<_>>().join(" ");
        let actual = outcome(&Case { file: &file, head, request, reply });
        if std::env::var_os("BLESS").is_some() {
            std::fs::write(&file, format!("{before}=== event\n{actual}")).unwrap();
        } else if actual != expected {
            failures.push(format!("{}\n--- expected\n{expected}--- actual\n{actual}", file.display()));
        }
    }
    assert!(failures.is_empty(), "{}", failures.join("\n\n"));
}

/// Head lines get CR LF, the body none; the last line break of the section is not part of it. `\xNN` is a byte.
pub fn unescape(request: &str) -> Vec<u8> {
    let (head, body) = request.split_once("\n\n").expect("no empty line after the head");
    let body = body.strip_suffix('\n').unwrap_or(body);
    let text = format!("{}\r\n\r\n{body}", head.replace('\n', "\r\n"));
    let mut bytes = Vec::new();
    let mut rest = text.as_str();
    while let Some((before, after)) = rest.split_once("\\x") {
        bytes.extend_from_slice(before.as_bytes());
        bytes.push(u8::from_str_radix(&after[..2], 16).unwrap());
        rest = &after[2..];
    }
    bytes.extend_from_slice(rest.as_bytes());
    bytes
}
