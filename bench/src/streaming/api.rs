//! A Runtime API that reads a streamed reply as it comes, and the Extensions API as far as the Lambda Web Adapter needs it (AWS pages
//! "Using the Lambda runtime API" and "Using the Lambda Extensions API"). It owns the clock on the client's side: a client
//! cannot have a byte before Lambda has it. Events are handed over one at a time.

use std::io::{self, Read, Write as _};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::linux::net::TcpStreamExt as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, anyhow, bail, ensure};
use crossfade_testkit::message::find;

use super::Times;
use super::back_end::{Content, Expected};
use super::wire::Wire;
use crate::runtime_api::hand_over;

const PATIENCE: Duration = Duration::from_secs(60);
/// The end of the JSON with status and fields (AWS page "Lambda response streaming").
const END_OF_PRELUDE: [u8; 8] = [0; 8];

/// The server. It lives until its function ends.
#[derive(Debug)]
pub(super) struct StreamingApi {
    pub(super) address: String,
    events: Sender<(Vec<u8>, Content)>,
    replies: Receiver<anyhow::Result<Times>>,
}

/// The parts that connections share.
struct Shared {
    events: Mutex<Receiver<(Vec<u8>, Content)>>,
    /// The invocation under way: when its event was written, and the content that is due.
    current: Mutex<Option<(Instant, Content)>>,
    replies: Sender<anyhow::Result<Times>>,
    sequence: AtomicU64,
}

impl StreamingApi {
    pub(super) fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address = listener.local_addr()?.to_string();
        let ((events, waiting), (answered, replies)) = (channel(), channel());
        let shared = Arc::new(Shared {
            events: Mutex::new(waiting),
            current: Mutex::default(),
            replies: answered,
            sequence: AtomicU64::new(0),
        });
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let shared = shared.clone();
                thread::spawn(move || {
                    if let Err(error) = shared.serve(stream) {
                        let _ = shared.replies.send(Err(error));
                    }
                });
            }
        });
        Ok(Self { address, events, replies })
    }

    /// Hands over an event and waits for the end of the reply.
    pub(super) fn invoke(&self, event: &[u8], content: Content) -> anyhow::Result<Times> {
        self.events.send((event.to_vec(), content)).context("the Runtime API has ended")?;
        self.replies.recv_timeout(PATIENCE).map_err(|_| anyhow!("no reply within {} s", PATIENCE.as_secs()))?
    }
}

impl Shared {
    fn serve(&self, stream: TcpStream) -> anyhow::Result<()> {
        stream.set_nodelay(true)?;
        let mut wire = Wire::new(Prompt(stream));
        while let Some(head) = wire.head()? {
            let mut words = head.split(' ').skip(1);
            let target = words.next().unwrap_or_default();
            let action = target.rsplit('/').next().unwrap_or_default();
            let mut answer = Vec::new();
            match (target, action) {
                ("/2020-01-01/extension/register", _) => {
                    wire.plain(length(&head)?, |_| Ok(()))?;
                    answer.extend_from_slice(
                        b"HTTP/1.1 200 OK\r\nLambda-Extension-Identifier: 1\r\nContent-Length: 2\r\n\r\n{}",
                    );
                }
                // No event ever comes: the function is not ended by Lambda.
                ("/2020-01-01/extension/event/next", _) => {
                    let _ = wire.head();
                    return Ok(());
                }
                (_, "next") => {
                    let Ok((event, content)) = lock(&self.events).recv() else { return Ok(()) };
                    hand_over(&mut answer, self.sequence.fetch_add(1, Ordering::Relaxed), &event)?;
                    *lock(&self.current) = Some((Instant::now(), content));
                }
                (_, "response") => {
                    let times = self.reply(&mut wire, &head)?;
                    wire.stream.0.write_all(b"HTTP/1.1 202 Accepted\r\nContent-Length: 0\r\n\r\n")?;
                    let _ = self.replies.send(Ok(times));
                    continue;
                }
                _ => bail!("the function sent `{}`", head.lines().next().unwrap_or_default()),
            }
            // A function that has ended is noticed by whoever waits for its reply.
            if wire.stream.0.write_all(&answer).is_err() {
                return Ok(());
            }
        }
        Ok(())
    }

    fn reply(&self, wire: &mut Wire<Prompt>, head: &str) -> anyhow::Result<Times> {
        let (asked, content) = lock(&self.current).take().context("a reply to no event")?;
        if !is_streamed(head) {
            wire.plain(length(head)?, |_| Ok(()))?;
            // Its content is checked where whole replies are measured.
            let last = Instant::now();
            return Ok(Times { asked, first: last, last });
        }
        let (mut expected, mut first) = (Expected::new(content), None);
        let (mut prelude, mut has_begun) = (Vec::new(), false);
        let trailers = wire.chunked(|piece| {
            if has_begun {
                if first.is_none() && !piece.is_empty() {
                    first = Some(Instant::now());
                }
                return expected.take(piece);
            }
            prelude.extend_from_slice(piece);
            let Some(end) = find(&prelude, &END_OF_PRELUDE) else { return Ok(()) };
            has_begun = true;
            let rest = &prelude[end + END_OF_PRELUDE.len()..];
            if !rest.is_empty() {
                first = Some(Instant::now());
            }
            expected.take(rest)
        })?;
        let last = Instant::now();
        let status = String::from_utf8_lossy(&prelude).replace(' ', "");
        ensure!(status.contains("\"statusCode\":200"), "the prelude `{status}`");
        ensure!(trailers.is_empty(), "the reply ended with `{trailers}`");
        expected.end()?;
        Ok(Times { asked, first: first.context("no content")?, last })
    }
}

/// A connection that acknowledges what it has read at once. The official runtime leaves Nagle's algorithm on: its second small write
/// waits for an acknowledgement of the first (RFC 896), which the system may delay by 40 ms. How soon Lambda acknowledges is unknown.
struct Prompt(TcpStream);

impl Read for Prompt {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.0.read(buffer);
        // The system forgets it after a while.
        let _ = self.0.set_quickack(true);
        read
    }
}

/// The mode of the reply ("Using the Lambda runtime API", response streaming).
fn is_streamed(head: &str) -> bool {
    field(head, "lambda-runtime-function-response-mode").is_some_and(|mode| mode.eq_ignore_ascii_case("streaming"))
}

fn length(head: &str) -> anyhow::Result<usize> {
    field(head, "content-length").map_or(Ok(0), |length| length.parse().context("a length that is no number"))
}

fn field<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    head.lines().skip(1).find_map(|line| {
        let (found, value) = line.split_once(':')?;
        found.eq_ignore_ascii_case(name).then_some(value.trim())
    })
}

fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
