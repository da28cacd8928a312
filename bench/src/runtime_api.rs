//! A neutral Lambda Runtime API server for measuring: one function process, one invocation at a time, blocking sockets,
//! the clock read right where bytes leave and arrive (AWS page "Using the Lambda runtime API"). It owns the timing of
//! one exchange. It enforces no limit, runs no process and knows nothing of ALB; the emulator does that.

use std::io::{self, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, bail, ensure};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crossfade_testkit::message::{Kind, Message, Reader};

/// A function that says nothing for so long has failed.
const LIMIT: Duration = Duration::from_secs(60);
/// The time that a read waits before it looks for a second connection.
const GLANCE: Duration = Duration::from_millis(20);
const ACCEPTED: &[u8] =
    b"HTTP/1.1 202 Accepted\r\nContent-Type: application/json\r\nContent-Length: 16\r\n\r\n{\"status\":\"OK\"}\n";

/// The times of one invocation.
#[derive(Debug, Clone, Copy)]
pub struct Timing {
    /// From the event's first byte written to the answer's last byte read.
    pub latency: Duration,
    /// From the event's first byte written to the following `next`, without the harness's own check of the answer. It
    /// is what Lambda bills.
    pub cycle: Duration,
}

/// The server. A function connects to [`RuntimeApi::address`]; one that ended is forgotten with [`RuntimeApi::reset`].
#[derive(Debug)]
pub struct RuntimeApi {
    listener: TcpListener,
    connections: Vec<Reader<TcpStream>>,
    /// The connection whose `next` has no answer yet.
    waiting: Option<usize>,
    sequence: u64,
    outgoing: Vec<u8>,
}

impl RuntimeApi {
    /// Listens on a free port of 127.0.0.1.
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn listen() -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        listener.set_nonblocking(true)?;
        Ok(Self { listener, connections: Vec::new(), waiting: None, sequence: 0, outgoing: Vec::new() })
    }

    /// The value for `AWS_LAMBDA_RUNTIME_API`.
    ///
    /// # Errors
    /// When the socket cannot say its own port.
    pub fn address(&self) -> io::Result<String> {
        Ok(self.listener.local_addr()?.to_string())
    }

    /// Forgets every connection: the function ended.
    pub fn reset(&mut self) {
        self.connections.clear();
        self.waiting = None;
    }

    /// Waits until the function asks for work; returns at once if it already does.
    ///
    /// # Errors
    /// When the function reports an error, sends something else, or nothing.
    pub fn wait_for_next(&mut self) -> anyhow::Result<()> {
        if self.waiting.is_none() {
            let (index, target) = self.receive(|index, request| (index, request.second_word().to_vec()))?;
            ensure!(
                target.ends_with(b"/invocation/next"),
                "the function sent `{}` where `next` was due",
                String::from_utf8_lossy(&target)
            );
            self.waiting = Some(index);
        }
        Ok(())
    }

    /// Hands over `event`, takes the answer and waits for the next `next`. `check` sees the answer while the clocks
    /// stand.
    ///
    /// # Errors
    /// The error of `check`, or any error of the exchange.
    pub fn invoke(&mut self, event: &[u8], check: impl FnOnce(&[u8]) -> anyhow::Result<()>) -> anyhow::Result<Timing> {
        self.wait_for_next()?;
        let waiting = self.waiting.take().context("no function is waiting")?;
        let id = self.compose(event)?;
        let started = Instant::now();
        self.connections[waiting].stream.write_all(&self.outgoing)?;
        let (index, latency, verdict) = self.receive(|index, request| {
            let latency = started.elapsed();
            (index, latency, judge(&id, request).and_then(|()| check(&request.body)))
        })?;
        let resumed = Instant::now();
        self.connections[index].stream.write_all(ACCEPTED)?;
        self.wait_for_next()?;
        let cycle = latency + resumed.elapsed();
        verdict.map(|()| Timing { latency, cycle })
    }

    fn compose(&mut self, event: &[u8]) -> anyhow::Result<String> {
        self.sequence += 1;
        self.outgoing.clear();
        hand_over(&mut self.outgoing, self.sequence, event)
    }

    /// The next request on whichever connection brings one.
    fn receive<R>(&mut self, take: impl FnOnce(usize, &Message<'_>) -> R) -> anyhow::Result<R> {
        let started = Instant::now();
        while started.elapsed() < LIMIT {
            let Some(index) = self.readable()? else {
                continue;
            };
            match self.connections[index].read(Kind::Request) {
                Ok(Some(request)) => return Ok(take(index, &request)),
                Err(error) if matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut) => {
                    self.accept()?;
                }
                Ok(None) | Err(_) => {
                    self.connections.remove(index);
                }
            }
        }
        bail!("the function said nothing for {} s", LIMIT.as_secs())
    }

    /// With one connection a plain blocking read is the cheapest; only with more is `poll` asked which.
    fn readable(&mut self) -> anyhow::Result<Option<usize>> {
        if let Some(index) = self.connections.iter().position(Reader::has_more) {
            return Ok(Some(index));
        }
        if self.connections.len() == 1 {
            return Ok(Some(0));
        }
        let mut watched: Vec<PollFd<'_>> = vec![PollFd::new(&self.listener, PollFlags::IN)];
        watched.extend(self.connections.iter().map(|connection| PollFd::new(&connection.stream, PollFlags::IN)));
        poll(&mut watched, Some(&Timespec { tv_sec: 1, tv_nsec: 0 }))?;
        let ready: Vec<bool> = watched.iter().map(|one| !one.revents().is_empty()).collect();
        if ready[0] {
            self.accept()?;
        }
        Ok(ready[1..].iter().position(|&ready| ready))
    }

    fn accept(&mut self) -> io::Result<()> {
        match self.listener.accept() {
            Ok((stream, _)) => {
                stream.set_nonblocking(false)?;
                stream.set_nodelay(true)?;
                stream.set_read_timeout(Some(GLANCE))?;
                self.connections.push(Reader::new(stream));
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Ok(()),
            Err(error) => Err(error),
        }
    }
}

/// Writes the answer to `next` that hands over an event with 30 s left, and returns its request ID.
///
/// # Errors
/// If the clock is before 1970.
pub fn hand_over(outgoing: &mut Vec<u8>, sequence: u64, event: &[u8]) -> anyhow::Result<String> {
    let id = format!("8f5a1a6c-0c1e-4c55-9a30-{sequence:012x}");
    let now = SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis();
    write!(
        outgoing,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nLambda-Runtime-Aws-Request-Id: {id}\r\n\
         Lambda-Runtime-Invocation-Id: {id}\r\nLambda-Runtime-Deadline-Ms: {}\r\n\
         Lambda-Runtime-Invoked-Function-Arn: arn:aws:lambda:eu-west-1:111122223333:function:bench\r\n\
         Lambda-Runtime-Trace-Id: Root=1-6a5145a7-5c3686ff7df3149177a89157;Sampled=0\r\nContent-Length: {}\r\n\r\n",
        now + 30_000,
        event.len()
    )?;
    outgoing.extend_from_slice(event);
    Ok(id)
}

fn judge(id: &str, request: &Message<'_>) -> anyhow::Result<()> {
    let target = String::from_utf8_lossy(request.second_word());
    let Some((_, what)) = target.split_once(&format!("/invocation/{id}/")) else {
        bail!("the function sent `{target}` where an answer was due");
    };
    let start: String = String::from_utf8_lossy(&request.body).chars().take(120).collect();
    ensure!(what == "response", "the function reported an error: {start}");
    Ok(())
}
