//! The byte stream below HTTP: TCP, or TLS over it, with counters of what passed. Knows no HTTP.

use std::io::{self, IoSlice};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, BufReader, ReadBuf};
use tokio::net::TcpStream;
use tokio::task::yield_now;
use tokio_rustls::client::TlsStream;

/// A TLS record is at most 16 KiB; reading several at once saves most system calls on large answers.
const READ_BUFFER: usize = 64 * 1024;

/// So much is read in a row before others get their turn. What HTTP reads and throws away, such as informational answers,
/// would otherwise hold up the clock for as long as it comes.
const TURN: usize = 64 * 1024;

/// A connection to a back end.
#[derive(Debug)]
pub(super) struct Stream {
    transport: Transport,
    traffic: Traffic,
    /// Bytes read since the task last waited, or gave way.
    in_a_row: usize,
}

#[derive(Debug)]
enum Transport {
    Plain(TcpStream),
    Tls(Box<TlsStream<BufReader<TcpStream>>>),
}

/// Bytes that passed a connection so far, above TLS. Shared with whoever asks how far a request got.
#[derive(Clone, Debug, Default)]
pub(super) struct Traffic(Arc<Counters>);

#[derive(Debug, Default)]
struct Counters {
    read: AtomicU64,
    written: AtomicU64,
}

/// The counters at one moment.
#[derive(Clone, Copy, Debug)]
pub(super) struct Snapshot {
    pub(super) read: u64,
    pub(super) written: u64,
}

impl Traffic {
    pub(super) fn snapshot(&self) -> Snapshot {
        Snapshot { read: self.0.read.load(Ordering::Relaxed), written: self.0.written.load(Ordering::Relaxed) }
    }
}

/// What TLS reads from.
pub(super) fn buffered(tcp: TcpStream) -> BufReader<TcpStream> {
    BufReader::with_capacity(READ_BUFFER, tcp)
}

impl Stream {
    pub(super) fn plain(tcp: TcpStream) -> Self {
        Stream { transport: Transport::Plain(tcp), traffic: Traffic::default(), in_a_row: 0 }
    }

    pub(super) fn tls(tls: TlsStream<BufReader<TcpStream>>) -> Self {
        Stream { transport: Transport::Tls(Box::new(tls)), traffic: Traffic::default(), in_a_row: 0 }
    }

    pub(super) fn traffic(&self) -> Traffic {
        self.traffic.clone()
    }

    fn count_written(&self, result: &Poll<io::Result<usize>>) {
        if let Poll::Ready(Ok(count)) = result {
            self.traffic.0.written.fetch_add(*count as u64, Ordering::Relaxed);
        }
    }
}

impl AsyncRead for Stream {
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
        let count = buf.filled().len() - before;
        self.traffic.0.read.fetch_add(count as u64, Ordering::Relaxed);
        self.in_a_row = if result.is_pending() { 0 } else { self.in_a_row + count };
        result
    }
}

/// TLS hands out one record at a time; this takes all whose bytes are there, so that large answers come in few pieces.
fn poll_read_records(
    tls: &mut TlsStream<BufReader<TcpStream>>,
    cx: &mut Context<'_>,
    buf: &mut ReadBuf<'_>,
) -> Poll<io::Result<()>> {
    let start = buf.filled().len();
    loop {
        let before = buf.filled().len();
        match Pin::new(&mut *tls).poll_read(cx, buf) {
            Poll::Ready(Ok(())) => {}
            // What was read before is handed out first; the error or the wait comes again.
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
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let result = match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write(cx, buf),
            Transport::Tls(tls) => Pin::new(tls).poll_write(cx, buf),
        };
        self.count_written(&result);
        result
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        let result = match &mut self.transport {
            Transport::Plain(tcp) => Pin::new(tcp).poll_write_vectored(cx, bufs),
            Transport::Tls(tls) => Pin::new(tls).poll_write_vectored(cx, bufs),
        };
        self.count_written(&result);
        result
    }

    fn is_write_vectored(&self) -> bool {
        match &self.transport {
            Transport::Plain(tcp) => tcp.is_write_vectored(),
            Transport::Tls(tls) => tls.is_write_vectored(),
        }
    }

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
