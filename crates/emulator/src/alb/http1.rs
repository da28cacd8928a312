//! A client's HTTP/1 connection: request after request, byte for byte as an ALB takes them. Owns the framing of messages
//! (RFC 9112), timeouts, `100 Continue`, and when a connection ends. What a head means is `head`'s, what becomes of a
//! request `exchange`'s.
//!
//! Own code and no library: a library repairs or refuses by its own lights what an ALB classifies, passes on, or refuses with
//! a status of its own.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::{Buf, Bytes, BytesMut};
use crossfade_event::alb::MAX_REQUEST_BODY;
use http::{HeaderMap, Method, Response, StatusCode, Version, header};
use httpdate::HttpDate;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::{timeout, timeout_at};

use super::error_page::{self, Refusal};
use super::exchange::{Decision, Ends};
use super::head::{self, Head};
use super::listener::Listener;
use super::{desync, limits};
use crate::Exchange;

/// A head that is longer has too long a line or too many fields, whatever it is.
const LONGEST_HEAD: usize = limits::MAX_REQUEST_LINE + 2 * limits::MAX_FIELDS;
/// How much of a refused body is read so that the client gets to see the answer, and for how long.
const DRAINED: usize = 8 * 1024 * 1024;
const DRAIN_TIME: Duration = Duration::from_secs(1);
/// What a client may send ahead while its request is worked on.
const READ_AHEAD: usize = 256 * 1024;
/// Head and body of an answer go out together up to this length.
const ONE_WRITE: usize = 16 * 1024;
/// The longest line of a chunk's size, with its extensions.
const LONGEST_CHUNK_LINE: usize = 4096;

pub(super) struct Connection<S> {
    stream: S,
    buffer: BytesMut,
    idle: Duration,
    closing: watch::Receiver<bool>,
}

/// How long a body is (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Framing {
    Length(u64),
    Chunked,
}

/// What the client has to hear, and whether it is the last of this connection.
struct Outcome {
    exchange: Box<Exchange>,
    response: Response<Bytes>,
    close: bool,
}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Connection<S> {
    pub(super) fn new(stream: S, already_read: BytesMut, idle: Duration, closing: watch::Receiver<bool>) -> Self {
        Self { stream, buffer: already_read, idle, closing }
    }

    /// Serves until the client or a rule ends the connection.
    pub(super) async fn serve(mut self, listener: Arc<Listener>, ends: Arc<Ends>) {
        let last = Instant::now() + listener.balancer().attributes.client_keep_alive;
        loop {
            let bytes = match self.read_head().await {
                Ok(Some(bytes)) => bytes,
                Ok(None) => return,
                Err(refusal) => {
                    let (exchange, response) = listener.malformed(&ends, refusal);
                    let outcome = Outcome { exchange, response, close: true };
                    let _ = self.answer(&listener, &Method::GET, outcome).await;
                    return;
                }
            };
            let verdict = desync::classify(&bytes, listener.balancer().attributes.desync_mitigation);
            let parsed = match verdict.refusal {
                Some(refusal) => Err(refusal),
                None => head::parse(&bytes),
            };
            let (method, mut outcome) = match parsed {
                Ok(head) => {
                    let method = head.method.clone();
                    let Some(mut outcome) = self.exchange(&listener, &ends, head, bytes.len(), last).await else {
                        return;
                    };
                    outcome.close |= verdict.close;
                    (method, outcome)
                }
                Err(refusal) => {
                    let method = if bytes.starts_with(b"HEAD ") { Method::HEAD } else { Method::GET };
                    let (exchange, response) = listener.malformed(&ends, refusal);
                    (method, Outcome { exchange, response, close: true })
                }
            };
            outcome.exchange.classification = Some(verdict.classification);
            outcome.close |= *self.closing.borrow();
            let close = outcome.close;
            if self.answer(&listener, &method, outcome).await.is_err() || close {
                let _ = self.stream.shutdown().await;
                self.drain().await;
                return;
            }
        }
    }

    /// One request whose head is known. `None`: the client has gone.
    async fn exchange(
        &mut self,
        listener: &Arc<Listener>,
        ends: &Arc<Ends>,
        mut head: Head,
        head_length: usize,
        last: Instant,
    ) -> Option<Outcome> {
        let mut exchange = listener.begin(ends, &head);
        exchange.wire_bytes.0 = head_length;
        let mut close = !keeps_alive(&head) || Instant::now() >= last;
        let framing = framing(&head);
        let decision = listener.decide(ends, &mut head, &mut exchange);
        let response = match (framing, decision) {
            (framing, Err(refusal)) => {
                close |= !framing.is_ok_and(|framing| self.skip_body(framing));
                listener.refuse(&mut exchange, refusal)
            }
            (Err(refusal), _) => {
                close = true;
                listener.refuse(&mut exchange, refusal)
            }
            (Ok(framing), Ok(Decision::Answer(response))) => {
                close |= !self.skip_body(framing);
                response
            }
            (Ok(framing), Ok(Decision::Invoke(target))) => match self.read_body(&head, framing).await {
                Err(refusal) => {
                    close = true;
                    listener.refuse(&mut exchange, refusal)
                }
                Ok(body) => {
                    exchange.wire_bytes.0 += body.len();
                    // A task of its own, since a function that was invoked finishes even if the client is gone.
                    let invoked = Arc::clone(listener).invoke(Arc::clone(ends), head, body, target, exchange);
                    let mut invocation = tokio::spawn(invoked);
                    let answered = tokio::select! {
                        answered = &mut invocation => answered,
                        () = self.client_leaves() => {
                            tokio::spawn(Arc::clone(listener).left(invocation));
                            return None;
                        }
                    };
                    let (exchange, response) = answered.unwrap_or_else(|_| listener.broken(ends));
                    return Some(Outcome { exchange, response, close });
                }
            },
        };
        Some(Outcome { exchange, response, close })
    }

    /// An answer that needs no body does not wait for one: `false` if it is not all here, and what comes is no request.
    fn skip_body(&mut self, framing: Framing) -> bool {
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

    /// Waits for the whole head of a request; `None` if the client sends no more.
    pub(super) async fn read_head(&mut self) -> Result<Option<Bytes>, Refusal> {
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
            if first_line > limits::MAX_REQUEST_LINE {
                return Err(limits::line_too_long(first_line));
            }
            if self.buffer.len() > LONGEST_HEAD {
                return Err(limits::fields_too_long(self.buffer.len()));
            }
            let is_idle = self.buffer.is_empty();
            let read = tokio::select! {
                read = timeout(self.idle, self.stream.read_buf(&mut self.buffer)) => read,
                () = super::closed(&mut self.closing), if is_idle => return Ok(None),
            };
            match read {
                Ok(Ok(0) | Err(_)) if self.buffer.is_empty() => return Ok(None),
                Ok(Ok(0) | Err(_)) => {
                    return Err(Refusal::new(StatusCode::BAD_REQUEST, "the client did not send the whole request"));
                }
                Ok(Ok(_)) => {}
                Err(_) if self.buffer.is_empty() => return Ok(None),
                Err(_) => {
                    let problem = "the client stopped in the middle of the request's head";
                    return Err(Refusal::new(StatusCode::REQUEST_TIMEOUT, problem));
                }
            }
        }
    }

    /// The whole body, as a load balancer has it before it invokes a function, but no more than a function gets.
    pub(super) async fn read_body(&mut self, head: &Head, framing: Framing) -> Result<Bytes, Refusal> {
        if let Framing::Length(length) = framing
            && length > MAX_REQUEST_BODY as u64
        {
            return Err(limits::body_too_large(&format!("{length} bytes")));
        }
        if framing != Framing::Length(0) && head.version == Version::HTTP_11 && expects_continue(&head.headers) {
            // Whatever becomes of the request ("How Elastic Load Balancing works").
            let sent = self.stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
            sent.map_err(|_| limits::body_cut_off())?;
        }
        match framing {
            Framing::Length(length) => {
                // Not over a megabyte, see above.
                let length = usize::try_from(length).unwrap_or_default();
                while self.buffer.len() < length {
                    self.read_more().await?;
                }
                Ok(self.buffer.split_to(length).freeze())
            }
            Framing::Chunked => self.read_chunks().await,
        }
    }

    /// RFC 9112 section 7.1. Trailer fields are read over: an event has no place for them.
    async fn read_chunks(&mut self) -> Result<Bytes, Refusal> {
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
            if body.len().saturating_add(size) > MAX_REQUEST_BODY {
                return Err(limits::body_too_large("more"));
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

    async fn skip_trailers(&mut self) -> Result<(), Refusal> {
        let mut length = 0;
        loop {
            let line = self.read_line().await?;
            if line.is_empty() {
                return Ok(());
            }
            length += line.len();
            if length > limits::MAX_FIELDS {
                return Err(bad_chunk("its trailer fields are too long"));
            }
        }
    }

    async fn read_line(&mut self) -> Result<Bytes, Refusal> {
        loop {
            if let Some(end) = self.buffer.iter().position(|byte| *byte == b'\n') {
                let line = self.buffer.split_to(end + 1).freeze();
                let line = line.slice(..end);
                return Ok(if line.ends_with(b"\r") { line.slice(..end - 1) } else { line });
            }
            if self.buffer.len() > LONGEST_CHUNK_LINE {
                return Err(bad_chunk("a chunk's first line does not end"));
            }
            self.read_more().await?;
        }
    }

    async fn read_more(&mut self) -> Result<(), Refusal> {
        match timeout(self.idle, self.stream.read_buf(&mut self.buffer)).await {
            Ok(Ok(1..)) => Ok(()),
            Ok(Ok(0) | Err(_)) => Err(limits::body_cut_off()),
            Err(_) => Err(limits::body_too_slow()),
        }
    }

    /// Ends when the client closes the connection. What it sends meanwhile is its next request.
    async fn client_leaves(&mut self) {
        while self.buffer.len() < READ_AHEAD {
            match self.stream.read_buf(&mut self.buffer).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return,
            }
        }
        std::future::pending().await
    }

    async fn answer(&mut self, listener: &Listener, method: &Method, outcome: Outcome) -> io::Result<()> {
        let Outcome { mut exchange, response, close } = outcome;
        let response = listener.finish(&mut exchange, method, response);
        let mut bytes = write_head(&response, close);
        exchange.wire_bytes.1 = bytes.len() + response.body().len();
        let body = response.body().clone();
        listener.tell(exchange, response);
        // One packet where it fits in one.
        if body.len() <= ONE_WRITE {
            bytes.extend_from_slice(&body);
            self.write(&bytes).await?;
        } else {
            self.write(&bytes).await?;
            self.write(&body).await?;
        }
        timeout(self.idle, self.stream.flush()).await?
    }

    /// A client that takes nothing for as long as the idle timeout is let go.
    async fn write(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        while !bytes.is_empty() {
            let written = timeout(self.idle, self.stream.write(bytes)).await??;
            if written == 0 {
                return Err(io::ErrorKind::WriteZero.into());
            }
            bytes = bytes.get(written..).unwrap_or_default();
        }
        Ok(())
    }

    /// Closing a connection on unread data resets it, and the answer is lost with it: so some of it is read.
    async fn drain(&mut self) {
        let end = tokio::time::Instant::now() + DRAIN_TIME;
        let mut left = DRAINED;
        while left > 0 {
            self.buffer.clear();
            match timeout_at(end, self.stream.read_buf(&mut self.buffer)).await {
                Ok(Ok(count @ 1..)) => left = left.saturating_sub(count),
                _ => return,
            }
        }
    }
}

/// Where the empty line ends that ends a head. Lines may end in a bare line feed.
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

pub(super) fn framing(head: &Head) -> Result<Framing, Refusal> {
    if let Some(refusal) = limits::unknown_coding(&head.headers) {
        return Err(refusal);
    }
    // Both together: the classifier has had its say; the coding decides (RFC 9112 section 6.3).
    let mut codings = limits::list(&head.headers, "transfer-encoding");
    if codings.any(|coding| coding.eq_ignore_ascii_case(b"chunked")) {
        return Ok(Framing::Chunked);
    }
    let mut lengths = limits::list(&head.headers, "content-length").map(|length| {
        let text = std::str::from_utf8(length).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
        text.and_then(|text| text.parse::<u64>().ok())
    });
    let bad = || Refusal::new(StatusCode::BAD_REQUEST, "the request is malformed: `Content-Length` is no number");
    let Some(first) = lengths.next() else { return Ok(Framing::Length(0)) };
    let first = first.ok_or_else(bad)?;
    if lengths.any(|other| other != Some(first)) {
        let problem = "the request is malformed: there are several `Content-Length`";
        return Err(Refusal::new(StatusCode::BAD_REQUEST, problem));
    }
    Ok(Framing::Length(first))
}

fn bad_chunk(problem: &str) -> Refusal {
    Refusal::new(StatusCode::BAD_REQUEST, format!("the request's body is malformed: {problem}"))
}

fn expects_continue(headers: &HeaderMap) -> bool {
    headers.get(header::EXPECT).is_some_and(|expected| expected.as_bytes().eq_ignore_ascii_case(b"100-continue"))
}

/// RFC 9112 section 9.3.
fn keeps_alive(head: &Head) -> bool {
    let has = |option: &[u8]| limits::list(&head.headers, "connection").any(|it| it.eq_ignore_ascii_case(option));
    if head.version == Version::HTTP_10 { has(b"keep-alive") } else { !has(b"close") }
}

pub(super) fn write_head(response: &Response<Bytes>, close: bool) -> Vec<u8> {
    let status = response.status();
    let mut out = Vec::with_capacity(512);
    let reason = error_page::phrase(status);
    out.extend_from_slice(format!("HTTP/1.1 {} {reason}\r\n", status.as_str()).as_bytes());
    if !response.headers().contains_key(header::DATE) {
        out.extend_from_slice(format!("date: {}\r\n", HttpDate::from(SystemTime::now())).as_bytes());
    }
    for (name, value) in response.headers() {
        out.extend_from_slice(name.as_str().as_bytes());
        out.extend_from_slice(b": ");
        out.extend_from_slice(value.as_bytes());
        out.extend_from_slice(b"\r\n");
    }
    out.extend_from_slice(if close { b"connection: close\r\n\r\n" } else { b"connection: keep-alive\r\n\r\n" });
    out
}

#[cfg(test)]
mod tests {
    use proptest::strategy::Strategy as _;

    use super::*;

    #[test]
    fn a_head_ends_at_an_empty_line() {
        assert_eq!(end_of_head(b"GET / HTTP/1.1\r\n\r\nrest", 0), Some(18));
        assert_eq!(end_of_head(b"GET /\n\nrest", 0), Some(7));
        assert_eq!(end_of_head(b"GET /\r\n\nrest", 0), Some(8));
        assert_eq!(end_of_head(b"GET / HTTP/1.1\r\nHost: a\r\n", 0), None);
        assert_eq!(end_of_head(b"GET / HTTP/1.1\r\n\r", 0), None);
        assert_eq!(end_of_head(b"", 0), None);
    }

    #[test] // T16
    fn a_body_is_as_long_as_its_framing_says() {
        let of = |fields: &str| {
            let head = head::parse(format!("POST / HTTP/1.1\r\nHost: a\r\n{fields}\r\n").as_bytes()).unwrap();
            framing(&head).map_err(|refusal| refusal.status.as_u16())
        };
        assert_eq!(of(""), Ok(Framing::Length(0)));
        assert_eq!(of("Content-Length: 5\r\n"), Ok(Framing::Length(5)));
        assert_eq!(of("Content-Length: 5, 5\r\nContent-Length: 5\r\n"), Ok(Framing::Length(5)));
        assert_eq!(of("Transfer-Encoding: CHUNKED\r\nContent-Length: 5\r\n"), Ok(Framing::Chunked));
        assert_eq!(of("Transfer-Encoding: gzip, chunked\r\n"), Err(501));
        assert_eq!(of("Transfer-Encoding: identity\r\nContent-Length: 5\r\n"), Ok(Framing::Length(5)));
        for bad in ["5, 6", "+5", "-1", "5x", "0x5", "99999999999999999999"] {
            assert_eq!(of(&format!("Content-Length: {bad}\r\n")), Err(400), "{bad}");
        }
    }

    /// Head and body of each request that can be read of these bytes, which come in pieces of these lengths.
    fn read_all(bytes: &[u8], pieces: &[usize]) -> Vec<Result<(Bytes, Bytes), u16>> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
        runtime.block_on(async {
            let (mut client, server) = tokio::io::duplex(1 << 22);
            let (_never, closing) = watch::channel(false);
            let mut connection = Connection::new(server, BytesMut::new(), Duration::from_secs(5), closing);
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
                        let head = head::parse(&bytes)?;
                        let body = connection.read_body(&head, framing(&head)?).await?;
                        Ok(Some((bytes, body)))
                    };
                    match read.await {
                        Ok(Some(request)) => requests.push(Ok(request)),
                        Ok(None) => return requests,
                        Err(Refusal { status, .. }) => {
                            requests.push(Err(status.as_u16()));
                            return requests;
                        }
                    }
                }
            };
            tokio::join!(sending, reading).1
        })
    }

    #[test] // T16
    fn chunks_are_joined_and_what_is_none_is_refused() {
        let post = |body: &str| format!("POST / HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n{body}");
        let body = |text: &str| read_all(post(text).as_bytes(), &[4096])[0].clone().map(|(_, body)| body);
        assert_eq!(body("3\r\nabc\r\n2;x=\"y\"\r\nde\r\n0\r\n\r\n"), Ok("abcde".into()));
        assert_eq!(body("00A\r\n0123456789\r\n0\r\nx-trailer: 1\r\n\r\n"), Ok("0123456789".into()));
        for bad in
            ["\r\n", "g\r\n", "-1\r\n", "0x1\r\na\r\n0\r\n\r\n", "1\r\nab\r\n0\r\n\r\n", "+1\r\na\r\n", "5\r\nabc"]
        {
            assert_eq!(body(bad), Err(400), "{bad:?}");
        }
        assert_eq!(body("100001\r\n"), Err(413));
        assert_eq!(body("ffffffffffffffff\r\n"), Err(413));
        assert_eq!(body("fffffffffffffffff\r\n"), Err(400));
        assert_eq!(body(&"1".repeat(5000)), Err(400));
        assert_eq!(body(&format!("0\r\n{}", "x-trailer: 1\r\n".repeat(6000))), Err(400));
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

        #[test] // T7
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
            let _ = desync::classify(&noise, crate::DesyncMitigation::Defensive);
        }
    }
}
