//! URLs as they are spelled in content: with plain slashes, and with those that JSON, JavaScript and HTML escape. Owns a cursor that
//! knows how to wait for the next piece.

/// Spellings of a slash: plain; in JSON, once and twice; in JavaScript; in HTML.
const SLASHES: &[&[u8]] = &[b"/", b"\\/", b"\\\\/", b"\\\\\\/", b"\\u002f", b"\\x2f", b"&#x2f;", b"&#47;", b"&sol;"];
/// The same of a colon.
const COLONS: &[&[u8]] = &[b":", b"\\u003a", b"\\x3a", b"&#x3a;", b"&#58;", b"&colon;"];
/// Quotes around a URL in CSS, also within an attribute.
const QUOTES: &[&[u8]] = &[b"\"", b"'", b"&quot;", b"&apos;", b"&#34;", b"&#39;", b"&#x22;", b"&#x27;"];

/// A reason why there is no match.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Miss {
    /// No byte that follows changes that.
    No,
    /// The next piece decides.
    More,
}

/// A place in content that is read forward.
#[derive(Clone, Copy, Debug)]
pub(super) struct Cursor<'b> {
    rest: &'b [u8],
    /// Nothing follows.
    is_end: bool,
    /// Bytes that were read.
    pub(super) read: usize,
}

impl<'b> Cursor<'b> {
    pub(super) fn new(rest: &'b [u8], is_end: bool) -> Self {
        Cursor { rest, is_end, read: 0 }
    }

    /// The next byte; `None` at the end.
    pub(super) fn peek(&self) -> Result<Option<u8>, Miss> {
        self.ahead(0)
    }

    /// The byte after so many others.
    pub(super) fn ahead(&self, count: usize) -> Result<Option<u8>, Miss> {
        match self.rest.get(count) {
            Some(byte) => Ok(Some(*byte)),
            None if self.is_end => Ok(None),
            None => Err(Miss::More),
        }
    }

    pub(super) fn skip(&mut self, count: usize) {
        self.rest = self.rest.get(count..).unwrap_or_default();
        self.read += count;
    }

    /// Reads a text, in whatever case.
    pub(super) fn text(&mut self, text: &[u8]) -> Result<&'b [u8], Miss> {
        let rest = self.rest;
        match rest.get(..text.len()) {
            Some(head) if head.eq_ignore_ascii_case(text) => {
                self.skip(text.len());
                Ok(head)
            }
            None if !self.is_end && text.get(..rest.len()).is_some_and(|text| rest.eq_ignore_ascii_case(text)) => {
                Err(Miss::More)
            }
            _ => Err(Miss::No),
        }
    }

    /// Reads one of several spellings, none of which begins another.
    fn one_of(&mut self, spellings: &[&[u8]]) -> Result<&'b [u8], Miss> {
        let mut miss = Miss::No;
        for spelling in spellings {
            match self.text(spelling) {
                Err(Miss::No) => {}
                Err(Miss::More) => miss = Miss::More,
                found => return found,
            }
        }
        Err(miss)
    }

    pub(super) fn slash(&mut self) -> Result<&'b [u8], Miss> {
        self.one_of(SLASHES)
    }

    pub(super) fn colon(&mut self) -> Result<&'b [u8], Miss> {
        self.one_of(COLONS)
    }

    pub(super) fn quote(&mut self) -> Result<&'b [u8], Miss> {
        self.one_of(QUOTES)
    }

    /// Reads white space, a few bytes of it.
    pub(super) fn space(&mut self) -> Result<(), Miss> {
        for _ in 0..16 {
            match self.peek()? {
                Some(byte) if byte.is_ascii_whitespace() => self.skip(1),
                _ => return Ok(()),
            }
        }
        Err(Miss::No)
    }

    /// Reads a path whose slashes may be spelled in any way; every other byte is itself.
    pub(super) fn path(&mut self, path: &str) -> Result<(), Miss> {
        for byte in path.bytes() {
            match byte {
                b'/' => {
                    self.slash()?;
                }
                byte if self.peek()? == Some(byte) => self.skip(1),
                _ => return Err(Miss::No),
            }
        }
        Ok(())
    }
}

/// `text` with this spelling of its slashes.
pub(super) fn spelled(text: &str, slash: &[u8], out: &mut Vec<u8>) {
    for (index, part) in text.as_bytes().split(|byte| *byte == b'/').enumerate() {
        if index > 0 {
            out.extend_from_slice(slash);
        }
        out.extend_from_slice(part);
    }
}
