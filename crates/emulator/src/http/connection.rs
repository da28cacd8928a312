//! A client's HTTP/1 connection: reads one request after another and writes responses, byte for byte (RFC 9112). Owns
//! reading, timeouts, `100 Continue`, and the orderly end. The caller decides what a request means and when to close.

use std::io;
use std::time::Duration;

use bytes::{Buf, Bytes, BytesMut};
use http::{Response, Version};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{timeout, timeout_at};

use super::error::RequestError;
use super::framing::{Framing, expects_continue};
use super::head::Head;
use crate::closing;

/// The most bytes of a rejected body that are read so that the client gets to see the response, and the time for it.
const MAX_DRAINED: usize = 8 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(1);
/// The most bytes that a client may send ahead while its request is served.
const READ_AHEAD: usize = 256 * 1024;
/// Head and body of a response are written together up to this length.
const ONE_WRITE: usize = 16 * 1024;
/// The longest line with a chunk's size, with its extensions.
const MAX_CHUNK_LINE: usize = 4096;

/// The limits of a connection; lengths are in bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    /// The longest request line.
    pub(crate) request_line: usize,
    /// All fields of a head together; also all trailer fields.
    pub(crate) fields: usize,
    /// The longest body.
    pub(crate) body: usize,
    /// The longest time without a byte in either direction.
    pub(crate) idle: Duration,
}

/// A connection of which requests are read, and to which responses are written.
pub(crate) struct Connection<S> {
    stream: S,
    buffer: BytesMut,
    limits: Limits,
    closing: watch::Receiver<bool>,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    /// `already_read` are bytes of the client that were taken from the stream. Once `closing` is true, no new request
    /// is read.
    pub(crate) fn new(stream: S, already_read: BytesMut, limits: Limits, closing: watch::Receiver<bool>) -> Self {
        Self { stream, buffer: already_read, limits, closing }
    }

    /// Returns whether the server is shutting down.
    pub(crate) fn is_closing(&self) -> bool {
        *self.closing.borrow()
    }

    /// Skips a body that is not needed, without waiting for it. Returns `false` if it has not arrived completely: then
    /// the bytes that follow cannot be read as a request.
    pub(crate) fn skip_body(&mut self, framing: Framing) -> bool {
        match framing {
            Framing::Length(length) => match usize::try_from(length) {
                Ok(length) if length <= self.buffer.len() => {
                    self.buffer.advance(length);
                    true
                }
                _ => false,
            },
            Framing::Chunked => false,
        }
    }

    /// Waits for the whole head of a request. Returns `None` if the client sends no more, or the server shuts down
    /// first.
    ///
    /// # Errors
    ///
    /// For a head that is too long, is cut off, or takes longer than the idle limit between two reads.
    pub(crate) async fn read_head(&mut self) -> Result<Option<Bytes>, RequestError> {
        let mut searched = 0;
        loop {
            // Empty lines before a request are skipped (RFC 9112 section 2.2).
            while searched == 0 && self.buffer.first().is_some_and(|byte| matches!(byte, b'\r' | b'\n')) {
                self.buffer.advance(1);
            }
            if let Some(end) = end_of_head(&self.buffer, searched) {
                return Ok(Some(self.buffer.split_to(end).freeze()));
            }
            // The end may have begun in what is there.
            searched = self.buffer.len().saturating_sub(3);
            let first_line = self.buffer.iter().position(|byte| *byte == b'\n').unwrap_or(self.buffer.len());
            let Limits { request_line, fields, idle, .. } = self.limits;
            if first_line > request_line {
                return Err(RequestError::LineTooLong { length: first_line, limit: request_line });
            }
            // Twice as much as the fields may take: the caller counts exactly, without spaces and line breaks.
            if self.buffer.len() > request_line + 2 * fields {
                return Err(RequestError::FieldsTooLong { length: self.buffer.len(), limit: fields });
            }
            let is_idle = self.buffer.is_empty();
            let read = tokio::select! {
                read = timeout(idle, self.stream.read_buf(&mut self.buffer)) => read,
                () = closing::closed(&mut self.closing), if is_idle => return Ok(None),
            };
            match read {
                Ok(Ok(0) | Err(_)) if self.buffer.is_empty() => return Ok(None),
                Ok(Ok(0) | Err(_)) => return Err(RequestError::HeadCutOff),
                Ok(Ok(_)) => {}
                Err(_) if self.buffer.is_empty() => return Ok(None),
                Err(_) => return Err(RequestError::HeadTimedOut),
            }
        }
    }

    /// Waits for the whole body, and sends `100 Continue` before if the client expects it.
    ///
    /// # Errors
    ///
    /// For a body that is too large, malformed or cut off, or takes longer than the idle limit between two reads.
    pub(crate) async fn read_body(&mut self, head: &Head, framing: Framing) -> Result<Bytes, RequestError> {
        let limit = self.limits.body;
        if let Framing::Length(length) = framing
            && length > limit as u64
        {
            return Err(RequestError::BodyTooLarge { length: Some(length), limit });
        }
        if framing != Framing::Length(0) && head.version == Version::HTTP_11 && expects_continue(&head.headers) {
            let sent = self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
            sent.map_err(|_| RequestError::BodyCutOff)?;
        }
        match framing {
            Framing::Length(length) => {
                // It is within the limit, see above.
                let length = usize::try_from(length).unwrap_or_default();
                while self.buffer.len() < length {
                    self.read_more().await?;
                }
                Ok(self.buffer.split_to(length).freeze())
            }
            Framing::Chunked => self.read_chunks().await,
        }
    }

    /// Reads a chunked body (RFC 9112 section 7.1). Trailer fields are dropped.
    async fn read_chunks(&mut self) -> Result<Bytes, RequestError> {
        let mut body = BytesMut::new();
        loop {
            let line = self.read_line().await?;
            let size = line.split(|byte| *byte == b';').next().unwrap_or_default().trim_ascii();
            let size = std::str::from_utf8(size).ok().filter(|size| size.bytes().all(|byte| byte.is_ascii_hexdigit()));
            let size = size.and_then(|size| usize::from_str_radix(size, 16).ok());
            let size = size.ok_or_else(|| bad_chunk("a chunk has no valid size"))?;
            if size == 0 {
                return self.skip_trailers().await.map(|()| body.freeze());
            }
            if body.len().saturating_add(size) > self.limits.body {
                return Err(RequestError::BodyTooLarge { length: None, limit: self.limits.body });
            }
            while self.buffer.len() < size + 1 {
                self.read_more().await?;
            }
            body.extend_from_slice(&self.buffer.split_to(size));
            if !self.read_line().await?.is_empty() {
                return Err(bad_chunk("a chunk is longer than its size"));
            }
        }
    }

    async fn skip_trailers(&mut self) -> Result<(), RequestError> {
        let mut length = 0;
        loop {
            let line = self.read_line().await?;
            if line.is_empty() {
                return Ok(());
            }
            length += line.len();
            if length > self.limits.fields {
                return Err(bad_chunk("the trailer fields are too long"));
            }
        }
    }

    async fn read_line(&mut self) -> Result<Bytes, RequestError> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1).freeze();
                let line = line.slice(..end);
                return Ok(if line.ends_with(b"\r") { line.slice(..end - 1) } else { line });
            }
            if self.buffer.len() > MAX_CHUNK_LINE {
                return Err(bad_chunk("the line with a chunk's size is too long"));
            }
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> Result<(), RequestError> {
        match timeout(self.limits.idle, self.stream.read_buf(&mut self.buffer)).await {
            Ok(Ok(1..)) => Ok(()),
            Ok(Ok(0) | Err(_)) => Err(RequestError::BodyCutOff),
            Err(_) => Err(RequestError::BodyTimedOut),
        }
    }

    /// Waits until the client closes the connection. Bytes that it sends meanwhile belong to its next request.
    pub(crate) async fn client_leaves(&mut self) {
        while self.buffer.len() < READ_AHEAD {
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
        std::future::pending().await
    }

    /// Writes a response. `head` is the bytes of its head.
    ///
    /// # Errors
    ///
    /// If the client has gone, or accepts no byte for as long as the idle limit.
    pub(crate) async fn send(&mut self, mut head: Vec<u8>, response: &Response<Bytes>) -> io::Result<()> {
        let body = response.body();
        // One packet if it fits into one.
        if body.len() <= ONE_WRITE {
            head.extend_from_slice(body);
            self.write(&head).await?;
        } else {
            self.write(&head).await?;
            self.write(body).await?;
        }
        timeout(self.limits.idle, self.stream.flush()).await?
    }

    /// Writes bytes of a response's content at once.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`].
    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.write(bytes).await?;
        timeout(self.limits.idle, self.stream.flush()).await?
    }

    /// Writes a chunk of a response's content at once; returns its length on the wire. An empty one would be the end.
    ///
    /// # Errors
    ///
    /// As [`Connection::send`].
    pub(crate) async fn send_chunk(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut chunk = format!("{:x}\r\n", bytes.len()).into_bytes();
        chunk.extend_from_slice(bytes);
        chunk.extend_from_slice(b"\r\n");
        self.send_bytes(&chunk).await.map(|()| chunk.len())
    }

    /// Closes the connection so that the client can still read the last response.
    pub(crate) async fn finish(mut self) {
        let _ = self.stream.shutdown().await;
        self.drain().await;
    }

    async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = timeout(self.limits.idle, self.stream.write(bytes)).await??;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Reads and drops some of what the client still sends: closing a connection with unread data resets it, and the
    /// client loses the response.
    async fn drain(&mut self) {
        let end = tokio::time::Instant::now() + DRAIN_TIME;
        let mut left = MAX_DRAINED;
        while left > 0 {
            self.buffer.clear();
            match timeout_at(end, self.stream.read_buf(&mut self.buffer)).await {
                Ok(Ok(count @ 1..)) => left = left.saturating_sub(count),
                _ => return,
            }
        }
    }
}

/// The index behind the empty line that ends a head. Lines may end in a bare line feed.
fn end_of_head(buffer: &[u8], from: usize) -> Option<usize> {
    let mut at = from;
    while let Some(offset) = buffer.get(at..)?.iter().position(|byte| *byte == b'\n') {
        let next = at + offset + 1;
        match buffer.get(next..)? {
            [b'\n', ..] => return Some(next + 1),
            [b'\r', b'\n', ..] => return Some(next + 2),
            _ => at = next,
        }
    }
    None
}

fn bad_chunk(problem: &str) -> RequestError {
    RequestError::malformed(format!("in the body, {problem}"))
}

#[cfg(test)]
mod tests {
    use proptest::strategy::Strategy as _;

    use super::*;
    use crate::http::framing;

    #[test]
    fn a_head_ends_at_an_empty_line() {
        assert_eq!(end_of_head(b"GET / HTTP/1.1\r\n\r\nrest", 0), Some(18));
        assert_eq!(end_of_head(b"GET /\n\nrest", 0), Some(7));
        assert_eq!(end_of_head(b"GET /\r\n\nrest", 0), Some(8));
        assert_eq!(end_of_head(b"GET / HTTP/1.1\r\nHost: a\r\n", 0), None);
        assert_eq!(end_of_head(b"GET / HTTP/1.1\r\n\r", 0), None);
        assert_eq!(end_of_head(b"", 0), None);
    }

    const LIMITS: Limits =
        Limits { request_line: 16 * 1024, fields: 64 * 1024, body: 1024 * 1024, idle: Duration::from_secs(5) };

    /// Head and body of each request in these bytes, which come in pieces of these lengths, and the error that ends
    /// them.
    fn read_all(bytes: &[u8], pieces: &[usize]) -> Vec<Result<(Bytes, Bytes), RequestError>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(1 << 22);
            let (_never, closing) = watch::channel(false);
            let mut connection = Connection::new(server, BytesMut::new(), LIMITS, closing);
            let sending = async move {
                let mut rest = bytes;
                for length in pieces.iter().copied().cycle().take(1000) {
                    let (piece, after) = rest.split_at(length.min(rest.len()));
                    client.write_all(piece).await.unwrap();
                    tokio::task::yield_now().await;
                    rest = after;
                }
                client.write_all(rest).await.unwrap();
                // Dropped here, which ends what the other side reads.
            };
            let reading = async {
                let mut requests = Vec::new();
                loop {
                    let read = async {
                        let Some(bytes) = connection.read_head().await? else { return Ok(None) };
                        let head = Head::parse(&bytes)?;
                        let body = connection.read_body(&head, framing(&head)?).await?;
                        Ok(Some((bytes, body)))
                    };
                    match read.await {
                        Ok(Some(request)) => requests.push(Ok(request)),
                        Ok(None) => return requests,
                        Err(error) => {
                            requests.push(Err(error));
                            return requests;
                        }
                    }
                }
            };
            tokio::join!(sending, reading).1
        })
    }

    #[test] // a wrong size would hide a second request
    fn chunks_are_joined_and_malformed_ones_are_rejected() {
        let post = |body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let body = |text: &str| read_all(post(text).as_bytes(), &[4096])[0].clone().map(|(_, body)| body);
        assert_eq!(body("3\r\nabc\r\n2;x=\"y\"\r\nde\r\n0\r\n\r\n"), Ok("abcde".into()));
        assert_eq!(body("00A\r\n0123456789\r\n0\r\nx-trailer: 1\r\n\r\n"), Ok("0123456789".into()));
        for bad in
            ["\r\n", "g\r\n", "-1\r\n", "0x1\r\na\r\n0\r\n\r\n", "1\r\nab\r\n0\r\n\r\n", "+1\r\na\r\n", "5\r\nabc"]
        {
            let read = body(bad);
            let is_rejected = matches!(read, Err(RequestError::Malformed(_) | RequestError::BodyCutOff));
            assert!(is_rejected, "{bad:?}: {read:?}");
        }
        let too_large = Err(RequestError::BodyTooLarge { length: None, limit: LIMITS.body });
        assert_eq!(body("100001\r\n"), too_large);
        assert_eq!(body("ffffffffffffffff\r\n"), too_large);
        let trailers = format!("0\r\n{}", "x-trailer: 1\r\n".repeat(6000));
        for bad in ["fffffffffffffffff\r\n", &"1".repeat(5000), &trailers] {
            assert!(matches!(body(bad), Err(RequestError::Malformed(_))));
        }
    }

    proptest::proptest! {
        #![proptest_config(proptest::prelude::ProptestConfig::with_cases(64))]

        #[test]
        fn however_the_bytes_are_cut_the_same_requests_are_read(
            bodies in proptest::collection::vec(("[ -~]{0,40}", proptest::bool::ANY), 1..5),
            pieces in proptest::collection::vec(1_usize..50, 1..8),
        ) {
            let mut sent = String::new();
            for (body, chunked) in &bodies {
                let framed = match chunked {
                    true if body.is_empty() => "Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n".to_owned(),
                    true => format!("Transfer-Encoding: chunked\r\n\r\n{:x}\r\n{body}\r\n0\r\n\r\n", body.len()),
                    false => format!("Content-Length: {}\r\n\r\n{body}", body.len()),
                };
                sent += &format!("POST /x HTTP/1.1\r\nHost: a\r\n{framed}");
            }
            let read = read_all(sent.as_bytes(), &pieces);
            let got: Vec<_> = read.into_iter().map(|request| request.unwrap().1).collect();
            let expected: Vec<_> = bodies.into_iter().map(|(body, _)| Bytes::from(body)).collect();
            proptest::prop_assert_eq!(got, expected);
        }

        #[test]
        fn no_bytes_make_it_panic(
            noise in proptest::collection::vec(
                proptest::prop_oneof![
                    "GET |POST |/a| HTTP/1\\.[01]|\r\n|\n|: |Host: a\r\n|Content-Length: [0-9]{1,3}\r\n|Transfer-Encoding: chunked\r\n|[0-9a-f]\r\n"
                        .prop_map(String::into_bytes),
                    proptest::collection::vec(proptest::num::u8::ANY, 0..6),
                ],
                0..30,
            ),
        ) {
            let noise = noise.concat();
            let _ = read_all(&noise, &[7]);
        }
    }
}
