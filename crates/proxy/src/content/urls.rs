//! Mapping the URLs of a back end in content of any kind, and paths in CSS.

use std::sync::Arc;

use super::names::{Names, Replacement};
use super::spelling::{Cursor, Miss};

/// Maps URLs in content that comes in pieces. It keeps back no more than the beginning of a URL.
#[derive(Debug)]
pub(crate) struct Urls<'n> {
    pub(super) names: Arc<Names<'n>>,
    /// The end of the last piece, which may begin a URL.
    pending: Vec<u8>,
    /// The byte before that.
    before: Option<u8>,
    /// Paths in `url(…)` and `@import` are mapped as well.
    pub(super) is_css: bool,
    pub(super) is_changed: bool,
}

impl<'n> Urls<'n> {
    pub(super) fn new(names: Arc<Names<'n>>, is_css: bool) -> Self {
        Urls { names, pending: Vec::new(), before: None, is_css, is_changed: false }
    }

    /// Takes a piece, and appends what is decided.
    pub(super) fn push(&mut self, piece: &[u8], out: &mut Vec<u8>) {
        if self.pending.is_empty() {
            self.scan(piece, false, out);
        } else {
            let mut joined = std::mem::take(&mut self.pending);
            joined.extend_from_slice(piece);
            self.scan(&joined, false, out);
        }
    }

    /// Returns the number of bytes that wait for the next piece.
    pub(super) fn held(&self) -> usize {
        self.pending.len()
    }

    /// Appends the rest: nothing follows that a URL could continue in.
    pub(super) fn finish(&mut self, out: &mut Vec<u8>) {
        let rest = std::mem::take(&mut self.pending);
        self.scan(&rest, true, out);
    }

    fn scan(&mut self, bytes: &[u8], is_end: bool, out: &mut Vec<u8>) {
        // Copied up to here.
        let mut done = 0;
        let mut at = 0;
        while let Some(rest) = bytes.get(at..).filter(|rest| !rest.is_empty()) {
            let Some(skipped) = rest.iter().position(|byte| self.may_begin(*byte)) else {
                at = bytes.len();
                break;
            };
            at += skipped;
            let before = if at == 0 { self.before } else { bytes.get(at - 1).copied() };
            let cursor = Cursor::new(bytes.get(at..).unwrap_or_default(), is_end);
            match self.found(before, cursor) {
                Ok((kept, Replacement { length, text })) => {
                    out.extend_from_slice(bytes.get(done..at + kept).unwrap_or_default());
                    let (start, end) = (at + kept, at + kept + length);
                    self.is_changed |= bytes.get(start..end).is_none_or(|former| former != text);
                    out.extend_from_slice(&text);
                    // Text may be inserted before the byte that was found.
                    at = end.max(at + 1);
                    out.extend_from_slice(bytes.get(end..at).unwrap_or_default());
                    done = at;
                }
                Err(Miss::No) => at += 1,
                Err(Miss::More) => break,
            }
        }
        out.extend_from_slice(bytes.get(done..at).unwrap_or_default());
        self.before = at.checked_sub(1).and_then(|last| bytes.get(last).copied()).or(self.before);
        self.pending.extend_from_slice(bytes.get(at..).unwrap_or_default());
    }

    fn may_begin(&self, byte: u8) -> bool {
        matches!(byte, b'h' | b'H' | b'/' | b'\\' | b'&') || (self.is_css && matches!(byte, b'u' | b'U' | b'@'))
    }

    /// The match at a place: bytes to keep, and the replacement of those after them.
    fn found(&self, before: Option<u8>, at: Cursor<'_>) -> Result<(usize, Replacement), Miss> {
        match at.peek()? {
            Some(b'h' | b'H') => self.names.url(at).map(|replacement| (0, replacement)),
            Some(b'u' | b'U' | b'@') => self.in_css(at),
            // A path within another URL begins no host.
            _ if before.is_none_or(|before| before.is_ascii_whitespace() || b"\"'`(=,;>|[".contains(&before)) => {
                self.names.url(at).map(|replacement| (0, replacement))
            }
            _ => Err(Miss::No),
        }
    }

    /// `url(/path)`, `url("/path")`, `@import '/path'`.
    fn in_css(&self, start: Cursor<'_>) -> Result<(usize, Replacement), Miss> {
        let mut at = start;
        if at.peek()? == Some(b'@') {
            at.text(b"@import")?;
            at.space()?;
            at.quote()?;
        } else {
            at.text(b"url(")?;
            at.space()?;
            match at.quote() {
                Err(Miss::More) => return Err(Miss::More),
                _ => at.space()?,
            }
        }
        let kept = at.read;
        let mut replacement = self.names.path(at)?;
        replacement.length -= kept.min(replacement.length);
        Ok((kept, replacement))
    }
}

/// Maps content that is here as a whole. Returns `None` if nothing changes.
pub(super) fn mapped(names: &Arc<Names<'_>>, is_css: bool, content: &[u8]) -> Option<Vec<u8>> {
    let mut urls = Urls::new(names.clone(), is_css);
    let mut out = Vec::new();
    urls.push(content, &mut out);
    urls.finish(&mut out);
    urls.is_changed.then_some(out)
}
