//! Reads HTTP/1.1 messages off a blocking stream, byte for byte, into a kept buffer (RFC 9112). It owns framing only:
//! it judges no field, follows no semantics and writes nothing. Everything here that speaks HTTP reads through it.

use std::borrow::Cow;
use std::io::{self, Read};

/// No head that is read here is longer; a peer that sends more is broken.
const MAX_HEAD: usize = 256 * 1024;
const FIRST_BUFFER: usize = 16 * 1024;

/// The kind of message expected next on the stream, which decides where the body ends (RFC 9112 section 6.3).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A request: no `Content-Length` and no `Transfer-Encoding` means no body.
    Request,
    /// The answer to any method but HEAD.
    Response,
    /// The answer to HEAD: never a body.
    ResponseToHead,
}

/// One message, borrowed from the reader's buffer.
#[derive(Debug)]
pub struct Message<'a> {
    /// Start line and fields with their line ends, up to and including the empty line.
    pub head: &'a [u8],
    /// The content, out of its chunks where it came in chunks.
    pub body: Cow<'a, [u8]>,
}

impl<'a> Message<'a> {
    /// The request line or status line, without its line end.
    #[must_use]
    pub fn start_line(&self) -> &'a [u8] {
        lines(self.head).next().unwrap_or_default()
    }

    /// The fields in their order: name as sent, value without surrounding blanks.
    pub fn fields(&self) -> impl Iterator<Item = (&'a [u8], &'a [u8])> {
        fields(self.head)
    }

    /// The first field of that name, in whatever letter case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&'a [u8]> {
        field(self.head, name)
    }

    /// The second word of the start line: a request's target, a response's status code.
    #[must_use]
    pub fn second_word(&self) -> &'a [u8] {
        self.start_line().split(|&byte| byte == b' ').nth(1).unwrap_or_default()
    }

    /// The status code of a response, 0 if the start line has none.
    #[must_use]
    pub fn status(&self) -> u16 {
        status(self.head)
    }
}

/// A stream and what was read from it but not yet handed out, so that pipelined messages are kept.
#[derive(Debug)]
pub struct Reader<S> {
    /// The stream itself, for writing to it.
    pub stream: S,
    buffer: Vec<u8>,
    start: usize,
    filled: usize,
}

impl<S: Read> Reader<S> {
    /// A reader with an empty buffer.
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: vec![0; FIRST_BUFFER], start: 0, filled: 0 }
    }

    /// Returns whether bytes of a further message have been read already.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.start < self.filled
    }

    /// The next whole message; `None` when the stream ended before its first byte. Whatever the stream returns as an
    /// error (also a time-out before the first byte) is passed on and loses nothing that was read.
    ///
    /// # Errors
    /// The stream's own, `UnexpectedEof` inside a message, `InvalidData` for broken framing.
    pub fn read(&mut self, kind: Kind) -> io::Result<Option<Message<'_>>> {
        self.make_room();
        let head_len = loop {
            let held = &self.buffer[self.start..self.filled];
            if let Some(end) = find(held, b"\r\n\r\n") {
                break end + 4;
            }
            if held.len() > MAX_HEAD {
                return Err(invalid("a head that does not end"));
            }
            if self.fill()? == 0 {
                return match self.has_more() {
                    true => Err(io::ErrorKind::UnexpectedEof.into()),
                    false => Ok(None),
                };
            }
        };
        let head_start = self.start;
        let body_start = head_start + head_len;
        let head = &self.buffer[head_start..body_start];
        let chunked = field(head, "transfer-encoding").is_some_and(|v| v.ends_with(b"chunked"));
        let length = field(head, "content-length").map(decimal).transpose()?;
        let without_body = match kind {
            Kind::Request => !chunked && length.is_none(),
            Kind::Response => matches!(status(head), 100..=199 | 204 | 304),
            Kind::ResponseToHead => true,
        };
        let body = if without_body {
            self.start = body_start;
            Cow::Borrowed(&[][..])
        } else if chunked {
            Cow::Owned(self.read_chunks(body_start)?)
        } else if let Some(length) = length {
            self.fill_to(body_start + length)?;
            self.start = body_start + length;
            Cow::Borrowed(&self.buffer[body_start..body_start + length])
        } else {
            while self.fill()? > 0 {}
            self.start = self.filled;
            Cow::Borrowed(&self.buffer[body_start..self.filled])
        };
        Ok(Some(Message { head: &self.buffer[head_start..body_start], body }))
    }

    /// Moves what is left to the front, so that positions hold until the next message.
    fn make_room(&mut self) {
        if self.start > 0 {
            self.buffer.copy_within(self.start..self.filled, 0);
            self.filled -= self.start;
            self.start = 0;
        }
    }

    fn fill(&mut self) -> io::Result<usize> {
        if self.filled == self.buffer.len() {
            self.buffer.resize(self.buffer.len() * 2, 0);
        }
        let count = self.stream.read(&mut self.buffer[self.filled..])?;
        self.filled += count;
        Ok(count)
    }

    fn fill_to(&mut self, end: usize) -> io::Result<()> {
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        while self.filled < end {
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(())
    }

    fn read_chunks(&mut self, mut at: usize) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let line_end = self.line_end(at)?;
            let line = self.buffer[at..line_end].to_vec();
            let digits = line.split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
            let size = std::str::from_utf8(digits)
                .ok()
                .and_then(|digits| usize::from_str_radix(digits, 16).ok())
                .ok_or_else(|| invalid("a chunk size that is no number"))?;
            at = line_end + 2;
            if size == 0 {
                break;
            }
            self.fill_to(at + size + 2)?;
            body.extend_from_slice(&self.buffer[at..at + size]);
            at += size + 2;
        }
        loop {
            let line_end = self.line_end(at)?;
            let empty = line_end == at;
            at = line_end + 2;
            if empty {
                self.start = at;
                return Ok(body);
            }
        }
    }

    fn line_end(&mut self, at: usize) -> io::Result<usize> {
        loop {
            if let Some(offset) = find(&self.buffer[at..self.filled], b"\r\n") {
                return Ok(at + offset);
            }
            if self.fill()? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }
}

fn lines(head: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = Some(head);
    std::iter::from_fn(move || {
        let held = rest?;
        let end = memchr::memchr(b'\n', held);
        rest = end.map(|end| &held[end + 1..]);
        let line = &held[..end.unwrap_or(held.len())];
        Some(line.strip_suffix(b"\r").unwrap_or(line))
    })
}

fn fields(head: &[u8]) -> impl Iterator<Item = (&[u8], &[u8])> {
    lines(head).skip(1).filter_map(|line| {
        let colon = memchr::memchr(b':', line)?;
        Some((&line[..colon], line[colon + 1..].trim_ascii()))
    })
}

fn field<'a>(head: &'a [u8], name: &str) -> Option<&'a [u8]> {
    fields(head).find(|(found, _)| found.eq_ignore_ascii_case(name.as_bytes())).map(|(_, value)| value)
}

fn status(head: &[u8]) -> u16 {
    let code = lines(head).next().and_then(|line| line.get(9..12));
    code.and_then(|code| std::str::from_utf8(code).ok()?.parse().ok()).unwrap_or(0)
}

fn decimal(value: &[u8]) -> io::Result<usize> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| invalid("a content-length that is no number"))
}

/// The index at which `wanted` first occurs in `held`.
#[must_use]
pub fn find(held: &[u8], wanted: &[u8]) -> Option<usize> {
    memchr::memmem::find(held, wanted)
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives one byte a read: the harshest split there is.
    struct Drip<'a>(&'a [u8]);
    impl Read for Drip<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            match self.0.split_first() {
                None => Ok(0),
                Some((first, rest)) => {
                    into[0] = *first;
                    self.0 = rest;
                    Ok(1)
                }
            }
        }
    }

    #[test]
    fn pipelined_messages_come_one_by_one_with_their_bodies() {
        let wire =
            b"POST /a HTTP/1.1\r\nContent-Length: 2\r\n\r\nhiPOST /b HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n\
            3;x=y\r\nabc\r\n1\r\nd\r\n0\r\nT: 1\r\n\r\nGET /c HTTP/1.1\r\n\r\n";
        let mut reader = Reader::new(Drip(wire));
        for (target, body) in [("/a", "hi"), ("/b", "abcd"), ("/c", "")] {
            let message = reader.read(Kind::Request).unwrap().unwrap();
            assert_eq!(message.second_word(), target.as_bytes());
            assert_eq!(&*message.body, body.as_bytes());
        }
        assert!(reader.read(Kind::Request).unwrap().is_none());
    }

    #[test]
    fn a_response_without_length_ends_with_the_stream_and_one_to_head_at_its_head() {
        let wire = b"HTTP/1.1 200 OK\r\nX: y\r\n\r\nrest";
        let mut reader = Reader::new(Drip(wire));
        let message = reader.read(Kind::Response).unwrap().unwrap();
        assert_eq!((message.status(), message.field("x"), &*message.body), (200, Some(&b"y"[..]), &b"rest"[..]));
        let wire = b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n";
        let mut reader = Reader::new(Drip(wire));
        assert_eq!(reader.read(Kind::ResponseToHead).unwrap().unwrap().status(), 200);
        assert_eq!(reader.read(Kind::Response).unwrap().unwrap().status(), 204);
    }

    #[test]
    fn a_message_cut_short_is_an_error() {
        let wire = b"GET / HTTP/1.1\r\nContent-Length: 5\r\n\r\nhi";
        let error = Reader::new(Drip(wire)).read(Kind::Request).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
    }
}
