//! HTTP/1.1 messages out of bytes, byte for byte (RFC 9112). It owns framing only: it judges no field, follows no semantics and
//! writes nothing. Everything in tests and benchmarks that reads HTTP/1 reads through it: blocking by [`Reader`], otherwise
//! by [`Buffer`].

use std::borrow::Cow;
use std::io::{self, Read};

/// No head that is read here is longer; a peer that sends more is broken.
const MAX_HEAD: usize = 256 * 1024;
const FIRST_BUFFER: usize = 16 * 1024;
/// A length that is announced is trusted up to here when memory is reserved.
const MAX_RESERVED: usize = 16 * 1024 * 1024;

/// The message expected next on the stream, which decides when its body ends (RFC 9112 section 6.3).
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
        second_word(self.head)
    }

    /// The status code of a response, 0 if the start line has none.
    #[must_use]
    pub fn status(&self) -> u16 {
        status(self.head)
    }
}

/// Bytes that came and were not yet handed out as messages. Whoever owns the connection reads into [`Buffer::room`].
#[derive(Debug)]
pub struct Buffer {
    bytes: Vec<u8>,
    filled: usize,
    /// The length of the message that was handed out last; it goes when the next one is looked for.
    taken: usize,
    /// Of the message at the front, once its head is here.
    head: Option<Head>,
}

#[derive(Debug, Clone, Copy)]
struct Head {
    length: usize,
    framing: Framing,
}

/// The end of the content.
#[derive(Debug, Clone, Copy)]
enum Framing {
    None,
    Length(usize),
    /// The position of the first chunk that is not known to be here as a whole.
    Chunked(usize),
    UntilEnd,
}

impl Default for Buffer {
    fn default() -> Self {
        Self { bytes: vec![0; FIRST_BUFFER], filled: 0, taken: 0, head: None }
    }
}

impl Buffer {
    /// True if bytes of a further message are here already.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.taken < self.filled
    }

    /// The room for the next bytes; never empty.
    pub fn room(&mut self) -> &mut [u8] {
        if self.filled == self.bytes.len() {
            let announced = match self.head {
                Some(Head { length, framing: Framing::Length(content) }) => length.saturating_add(content),
                _ => 0,
            };
            self.bytes.resize((self.filled * 2).max(announced.min(MAX_RESERVED)), 0);
        }
        &mut self.bytes[self.filled..]
    }

    /// So many bytes have been put there.
    pub fn add(&mut self, count: usize) {
        self.filled += count;
    }

    /// The length of the message at the front once it is here as a whole, for [`Buffer::message`]. `ended`: no more will
    /// come. Forgets the message before it.
    ///
    /// # Errors
    /// `UnexpectedEof` if it ended inside a message, `InvalidData` for broken framing.
    pub fn whole(&mut self, kind: Kind, ended: bool) -> io::Result<Option<usize>> {
        if self.taken > 0 {
            self.bytes.copy_within(self.taken..self.filled, 0);
            self.filled -= self.taken;
            self.taken = 0;
            self.head = None;
        }
        let length = self.find_end(kind, ended)?;
        match length {
            None if ended && self.filled > 0 => Err(io::ErrorKind::UnexpectedEof.into()),
            length => Ok(length),
        }
    }

    fn find_end(&mut self, kind: Kind, ended: bool) -> io::Result<Option<usize>> {
        let held = &self.bytes[..self.filled];
        let head = match &mut self.head {
            Some(head) => head,
            none => {
                let Some(end) = find(held, b"\r\n\r\n") else {
                    return if held.len() > MAX_HEAD { Err(invalid("a head that does not end")) } else { Ok(None) };
                };
                let length = end + 4;
                none.insert(Head { length, framing: framing(&held[..length], kind)? })
            }
        };
        Ok(match &mut head.framing {
            Framing::None => Some(head.length),
            Framing::Length(content) => Some(head.length.saturating_add(*content)).filter(|end| held.len() >= *end),
            Framing::UntilEnd => Some(held.len()).filter(|_| ended),
            Framing::Chunked(at) => loop {
                let Some((size, start)) = chunk(held, *at)? else { break None };
                if size == 0 {
                    break trailer_end(held, start);
                }
                let Some(next) = start.checked_add(size + 2).filter(|next| held.len() >= *next) else { break None };
                *at = next;
            },
        })
    }

    /// The message of this length at the front.
    pub fn message(&mut self, length: usize) -> Message<'_> {
        self.taken = length;
        let held = &self.bytes[..length];
        let Some(Head { length, framing }) = self.head else { return Message { head: held, body: Cow::default() } };
        let body = match framing {
            Framing::Chunked(_) => Cow::Owned(unchunked(held, length)),
            _ => Cow::Borrowed(&held[length..]),
        };
        Message { head: &held[..length], body }
    }
}

/// A blocking stream and what was read from it but not yet handed out, so that pipelined messages are kept.
#[derive(Debug)]
pub struct Reader<S> {
    /// The stream itself, for writing to it.
    pub stream: S,
    buffer: Buffer,
}

impl<S: Read> Reader<S> {
    /// A reader with an empty buffer.
    pub fn new(stream: S) -> Self {
        Self { stream, buffer: Buffer::default() }
    }

    /// True if bytes of a further message are here already.
    #[must_use]
    pub fn has_more(&self) -> bool {
        self.buffer.has_more()
    }

    /// The next whole message; `None` when the stream ended before its first byte. Whatever the stream returns as an error
    /// (also a time-out before the first byte) is passed on and loses nothing that was read.
    ///
    /// # Errors
    /// The stream's own, `UnexpectedEof` inside a message, `InvalidData` for broken framing.
    pub fn read(&mut self, kind: Kind) -> io::Result<Option<Message<'_>>> {
        let mut ended = false;
        let length = loop {
            match self.buffer.whole(kind, ended)? {
                Some(length) => break length,
                None if ended => return Ok(None),
                None => ended = self.fill()? == 0,
            }
        };
        Ok(Some(self.buffer.message(length)))
    }

    /// Reads on into the buffer: how many bytes came, 0 at the end of the stream.
    ///
    /// # Errors
    /// The stream's own.
    pub fn fill(&mut self) -> io::Result<usize> {
        let count = read_some(&mut self.stream, self.buffer.room())?;
        self.buffer.add(count);
        Ok(count)
    }
}

/// Reads what is there, in spite of signals such as the end of a child process: the system does not go on with a socket that
/// has a time limit.
///
/// # Errors
/// The stream's own.
pub fn read_some(stream: &mut impl Read, buffer: &mut [u8]) -> io::Result<usize> {
    loop {
        match stream.read(buffer) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

fn framing(head: &[u8], kind: Kind) -> io::Result<Framing> {
    let is_chunked = field(head, "transfer-encoding").is_some_and(|value| value.ends_with(b"chunked"));
    let length = field(head, "content-length").map(decimal).transpose()?;
    let has_body = match kind {
        Kind::Request => is_chunked || length.is_some(),
        Kind::Response => !matches!(status(head), 100..=199 | 204 | 304),
        Kind::ResponseToHead => false,
    };
    Ok(match length {
        _ if !has_body => Framing::None,
        _ if is_chunked => Framing::Chunked(head.len()),
        Some(length) => Framing::Length(length),
        None => Framing::UntilEnd,
    })
}

/// The size of the chunk at this position, and where its content begins; `None` before its first line is here.
fn chunk(held: &[u8], at: usize) -> io::Result<Option<(usize, usize)>> {
    let Some(line) = find(&held[at..], b"\r\n") else { return Ok(None) };
    let digits = held[at..at + line].split(|&byte| byte == b';').next().unwrap_or_default().trim_ascii();
    let size = std::str::from_utf8(digits).ok().and_then(|digits| usize::from_str_radix(digits, 16).ok());
    let size = size.ok_or_else(|| invalid("a chunk size that is no number"))?;
    Ok(Some((size, at + line + 2)))
}

/// The end of the message whose trailer section begins here.
fn trailer_end(held: &[u8], mut at: usize) -> Option<usize> {
    loop {
        let line = find(&held[at..], b"\r\n")?;
        at += line + 2;
        if line == 0 {
            return Some(at);
        }
    }
}

/// The content of chunks that are known to be whole.
fn unchunked(held: &[u8], mut at: usize) -> Vec<u8> {
    let mut body = Vec::new();
    while let Ok(Some((size, start))) = chunk(held, at)
        && size > 0
    {
        body.extend_from_slice(&held[start..start + size]);
        at = start + size + 2;
    }
    body
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

fn second_word(head: &[u8]) -> &[u8] {
    lines(head).next().unwrap_or_default().split(|&byte| byte == b' ').nth(1).unwrap_or_default()
}

fn status(head: &[u8]) -> u16 {
    std::str::from_utf8(second_word(head)).ok().and_then(|code| code.parse().ok()).unwrap_or(0)
}

fn decimal(value: &[u8]) -> io::Result<usize> {
    std::str::from_utf8(value)
        .ok()
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| invalid("a content-length that is no number"))
}

/// The position of the first `wanted` in `held`.
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

    #[test]
    fn what_is_larger_than_the_buffer_is_read_whole_and_leaves_the_next_message() {
        let content = "x".repeat(3 * FIRST_BUFFER);
        let wire = format!(
            "POST /a HTTP/1.1\r\nContent-Length: {length}\r\n\r\n{content}POST /b HTTP/1.1\r\nTransfer-Encoding: \
             chunked\r\n\r\n{length:x}\r\n{content}\r\n0\r\n\r\nGET /c HTTP/1.1\r\n\r\n",
            length = content.len()
        );
        let mut reader = Reader::new(wire.as_bytes());
        for (target, body) in [("/a", &*content), ("/b", &content), ("/c", "")] {
            let message = reader.read(Kind::Request).unwrap().unwrap();
            assert_eq!((message.second_word(), &*message.body), (target.as_bytes(), body.as_bytes()));
        }
        assert!(reader.read(Kind::Request).unwrap().is_none());
    }

    #[test]
    fn a_signal_ends_no_message() {
        struct Interrupted<'b>(bool, &'b [u8]);

        impl Read for Interrupted<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0 = !self.0;
                if self.0 { Err(io::ErrorKind::Interrupted.into()) } else { self.1.read(buffer) }
            }
        }

        let mut reader = Reader::new(Interrupted(false, b"GET / HTTP/1.1\r\n\r\n"));
        assert_eq!(reader.read(Kind::Request).unwrap().unwrap().start_line(), b"GET / HTTP/1.1");
    }
}
