//! The byte stream below HTTP: TCP, or TLS over it, with counters of what passed at both ends. Knows no HTTP.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use rustls::ClientConnection;
use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio_rustls::client::TlsStream;

/// A TLS record is at most 16 KiB; reading several at once saves most system calls on large answers.
const READ_BUFFER: usize = 64 * 1024;

/// Bytes that are read in a row before other tasks get their turn. Messages that HTTP reads and discards, such as informational answers,
/// would otherwise hold up the clock for as long as it comes.
const TURN: usize = 64 * 1024;

/// A connection to a back end.
#[derive(Debug)]
pub(super) struct Stream {
    transport: Transport,
    traffic: Traffic,
    /// `allowMissingCloseNotify`: the end of TCP is the end of what is sent. HTTP sees it as the end of the connection: it
    /// completes content that ends there by definition, and nothing that has a length or chunks.
    allows_bare_end: bool,
    /// Bytes read since the task last waited, or gave way.
    in_a_row: usize,
}

#[derive(Debug)]
enum Transport {
    Plain(Socket),
    Tls(Box<TlsStream<BufReader<Socket>>>),
}

/// The socket itself. Only here is it known what left: TLS may send a part of what it is given and fail with the rest, and
/// says no more than that it failed.
#[derive(Debug)]
pub(super) struct Socket {
    tcp: TcpStream,
    traffic: Traffic,
}

/// Counts of the bytes on a connection, and whether other requests may use it. Shared with the code that needs to know how
/// far a request got.
#[derive(Clone, Debug, Default)]
pub(super) struct Traffic(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    /// Bytes that HTTP has read, without those that TLS keeps to itself, such as tickets.
    read: AtomicU64,
    /// Number of writes by HTTP.
    given: AtomicU64,
    /// Bytes that the system accepted for the socket, including TLS's own messages.
    sent: AtomicU64,
    /// The connection is for the request that is on it, and no other.
    is_kept_from_others: AtomicBool,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Snapshot {
    read: u64,
    given: u64,
    sent: u64,
}

impl Traffic {
    pub(super) fn snapshot(&self) -> Snapshot {
        let Counters { read, given, sent, .. } = &*self.0;
        let [read, given, sent] = [read, given, sent].map(|counter| counter.load(Ordering::Relaxed));
        Snapshot { read, given, sent }
    }

    pub(super) fn keep_from_others(&self) {
        self.0.is_kept_from_others.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_kept_from_others(&self) -> bool {
        self.0.is_kept_from_others.load(Ordering::Relaxed)
    }
}

impl Snapshot {
    /// Returns whether nothing that HTTP has written since then can have left. A TLS alert alone does not count.
    pub(super) fn nothing_sent_until(self, later: Snapshot) -> bool {
        self.given == later.given || self.sent == later.sent
    }

    pub(super) fn nothing_read_until(self, later: Snapshot) -> bool {
        self.read == later.read
    }
}

impl Socket {
    pub(super) fn new(tcp: TcpStream) -> Self {
        Socket { tcp, traffic: Traffic::default() }
    }

    #[inline]
    fn count(&self, result: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = result {
            self.traffic.0.sent.fetch_add(*count as u64, Ordering::Relaxed);
        }
    }
}

impl AsyncRead for Socket {
    #[inline]
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_read(cx, buf)
    }
}

impl AsyncWrite for Socket {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.tcp).poll_write(cx, buf);
        self.count(&result);
        result
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = Pin::new(&mut self.tcp).poll_write_vectored(cx, bufs);
        self.count(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        self.tcp.is_write_vectored()
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.tcp).poll_shutdown(cx)
    }
}

/// A buffer for TLS to read from.
pub(super) fn buffered(socket: Socket) -> BufReader<Socket> {
    BufReader::with_capacity(READ_BUFFER, socket)
}

impl Stream {
    pub(super) fn plain(socket: Socket) -> Self {
        let traffic = socket.traffic.clone();
        Stream { transport: Transport::Plain(socket), traffic, allows_bare_end: false, in_a_row: 0 }
    }

    pub(super) fn tls(tls: TlsStream<BufReader<Socket>>, allows_bare_end: bool) -> Self {
        let traffic = tls.get_ref().0.get_ref().traffic.clone();
        Stream { transport: Transport::Tls(Box::new(tls)), traffic, allows_bare_end, in_a_row: 0 }
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.traffic.clone()
    }

    /// The TLS session; `None` without TLS.
    pub(super) fn session(&self) -> Option<&ClientConnection> {
        match &self.transport {
            Transport::Plain(_) => None,
            Transport::Tls(tls) => Some(tls.get_ref().1),
        }
    }

    #[inline]
    fn count_given(&self) {
        self.traffic.0.given.fetch_add(1, Ordering::Relaxed);
    }
}

impl AsyncRead for Stream {
    #[inline]
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        if self.in_a_row >= TURN {
            self.in_a_row = 0;
            // Wakes this task when the others, the sockets and the clock have been looked at.
            return pin!(yield_now()).poll(cx).map(Ok);
        }
        let before = buf.filled().len();
        let result = match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_read(cx, buf),
            Transport::Tls(tls) => poll_read_records(tls, cx, buf),
        };
        let result = match result {
            Poll::Ready(Err(error)) if self.allows_bare_end && error.kind() == io::ErrorKind::UnexpectedEof => {
                Poll::Ready(Ok(()))
            }
            other => other,
        };
        let count = buf.filled().len() - before;
        self.traffic.0.read.fetch_add(count as u64, Ordering::Relaxed);
        self.in_a_row = if result.is_pending() { 0 } else { self.in_a_row + count };
        result
    }
}

/// TLS hands out one record at a time; this takes all whose bytes are there, so that large answers come in few pieces.
#[inline]
fn poll_read_records(
    tls: &mut TlsStream<BufReader<Socket>>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let start = buf.filled().len();
    loop {
        let before = buf.filled().len();
        match Pin::new(&mut *tls).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {}
            // Bytes that were read before are returned first; the error or the wait comes again.
            _ if before > start => return Poll::Ready(Ok(())),
            other => return other,
        }
        let is_at_end = buf.filled().len() == before;
        if is_at_end || buf.remaining() == 0 || tls.get_ref().0.buffer().is_empty() {
            return Poll::Ready(Ok(()));
        }
    }
}

impl AsyncWrite for Stream {
    #[inline]
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        self.count_given();
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Transport::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        }
    }

    #[inline]
    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.count_given();
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Transport::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        }
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(tcp) => tcp.is_write_vectored(),
            Transport::Tls(tls) => tls.is_write_vectored(),
        }
    }

    #[inline]
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_flush(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_flush(cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_shutdown(cx),
            Transport::Tls(tls) => Pin::new(tls).poll_shutdown(cx),
        }
    }
}
