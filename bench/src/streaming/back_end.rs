//! The back end of streamed responses, and a client without any function in between. It owns content: a pattern that repeats, so
//! that either side knows every byte of a response without keeping it.

use std::io::Write as _;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use crossfade_testkit::message::{Kind, Reader};
use rustls::pki_types::ServerName;
use rustls::{ClientConfig, ClientConnection, ServerConfig, ServerConnection, StreamOwned};

use super::wire::Wire;
use crate::workload::binary;

/// The block that content consists of.
static PATTERN: LazyLock<Vec<u8>> = LazyLock::new(|| binary(1024 * 1024));

/// A response in two pieces, with this pause between them.
pub(super) const TWO: Content = Content { path: "/two", length: 2 * PIECE };
pub(super) const PAUSE: Duration = Duration::from_millis(10);
/// A response of the size of the first piece.
pub(super) const ONE: Content = Content { path: "/one", length: PIECE };
/// The longest response that Lambda streams.
pub(super) const LARGE: Content = Content { path: "/large", length: 200 * 1024 * 1024 };

const PIECE: usize = 1024;
/// Requests end long before.
const PATIENCE: Duration = Duration::from_secs(60);

/// The response to a path.
#[derive(Debug, Clone, Copy)]
pub(super) struct Content {
    pub(super) path: &'static str,
    pub(super) length: usize,
}

/// Checks content as it comes.
#[derive(Debug)]
pub(super) struct Expected {
    length: usize,
    seen: usize,
}

impl Expected {
    pub(super) fn new(content: Content) -> Self {
        Self { length: content.length, seen: 0 }
    }

    /// Takes the next bytes.
    pub(super) fn take(&mut self, mut piece: &[u8]) -> anyhow::Result<()> {
        while !piece.is_empty() {
            let rest = &PATTERN[self.seen % PATTERN.len()..];
            let (now, later) = piece.split_at(piece.len().min(rest.len()));
            ensure!(rest.starts_with(now), "wrong bytes after {} of them", self.seen);
            self.seen += now.len();
            piece = later;
        }
        Ok(())
    }

    /// Returns an error unless all of it has come.
    pub(super) fn end(&self) -> anyhow::Result<()> {
        ensure!(self.seen == self.length, "{} bytes of {}", self.seen, self.length);
        Ok(())
    }
}

/// The server: HTTP/1.1 over TLS, a blocking thread for each connection.
#[derive(Debug)]
pub(super) struct BackEnd {
    pub(super) port: u16,
    sent: Arc<Mutex<Option<Instant>>>,
    is_over: Arc<AtomicBool>,
}

impl BackEnd {
    pub(super) fn start(tls: Arc<ServerConfig>) -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let port = listener.local_addr()?.port();
        let (sent, is_over) = (Arc::<Mutex<Option<Instant>>>::default(), Arc::<AtomicBool>::default());
        let back_end = Self { port, sent: sent.clone(), is_over: is_over.clone() };
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                if is_over.load(Ordering::Relaxed) {
                    return;
                }
                let (tls, sent) = (tls.clone(), sent.clone());
                // A client that breaks off ends its own connection only; what it misses shows on the other side.
                thread::spawn(move || serve(stream, tls, &sent));
            }
        });
        Ok(back_end)
    }

    /// The moment before the first byte of the last response was written.
    pub(super) fn first_byte(&self) -> anyhow::Result<Instant> {
        let sent = self.sent.lock().unwrap_or_else(PoisonError::into_inner).take();
        sent.context("the back end was not asked")
    }
}

impl Drop for BackEnd {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        let _ = TcpStream::connect((Ipv4Addr::LOCALHOST, self.port));
    }
}

fn serve(stream: TcpStream, tls: Arc<ServerConfig>, sent: &Mutex<Option<Instant>>) -> anyhow::Result<()> {
    stream.set_nodelay(true)?;
    let mut reader = Reader::new(StreamOwned::new(ServerConnection::new(tls)?, stream));
    while let Some(request) = reader.read(Kind::Request)? {
        let path = request.second_word().to_vec();
        let known = [TWO, ONE, LARGE].into_iter().find(|content| content.path.as_bytes() == path);
        let Some(content) = known else {
            reader.stream.write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n")?;
            continue;
        };
        let mut left = content.length;
        let mut first =
            format!("HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: {left}\r\n\r\n")
                .into_bytes();
        if content.path != LARGE.path {
            first.extend_from_slice(&PATTERN[..PIECE]);
            left -= PIECE;
        }
        *sent.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now());
        reader.stream.write_all(&first)?;
        reader.stream.flush()?;
        if content.path == TWO.path {
            thread::sleep(PAUSE);
        }
        while left > 0 {
            let start = (content.length - left) % PATTERN.len();
            let piece = &PATTERN[start..PATTERN.len().min(start + left)];
            reader.stream.write_all(piece)?;
            left -= piece.len();
        }
        reader.stream.flush()?;
    }
    Ok(())
}

/// The client's own kept connection to the back end.
#[derive(Debug)]
pub(super) struct Direct(Wire<StreamOwned<ClientConnection, TcpStream>>);

impl Direct {
    pub(super) fn connect(port: u16, tls: &Arc<ClientConfig>) -> anyhow::Result<Self> {
        let stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let connection = ClientConnection::new(tls.clone(), ServerName::try_from("localhost")?)?;
        Ok(Self(Wire::new(StreamOwned::new(connection, stream))))
    }

    /// Fetches a response; the times are as those of an invocation.
    pub(super) fn fetch(&mut self, content: Content) -> anyhow::Result<super::Times> {
        let asked = Instant::now();
        write!(self.0.stream, "GET {} HTTP/1.1\r\nHost: www.example.com\r\n\r\n", content.path)?;
        self.0.stream.flush()?;
        let head = self.0.head()?.context("the back end closed the connection")?;
        ensure!(head.starts_with("HTTP/1.1 200 "), "`{head}`");
        let (mut expected, mut first) = (Expected::new(content), None);
        self.0.plain(content.length, |piece| {
            first.get_or_insert_with(Instant::now);
            expected.take(piece)
        })?;
        let last = Instant::now();
        expected.end()?;
        Ok(super::Times { asked, first: first.context("no content")?, last })
    }
}
