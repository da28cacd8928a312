//! The clients: each sends one request after the other on a kept connection and checks the responses. A response is either the
//! back end's, byte for byte, or an error of Crossfade that the back end caused; everything else is wrong.

use std::collections::BTreeMap;
use std::io::Write as _;
use std::net::TcpStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, bail, ensure};
use crossfade_testkit::message::{Kind, Message, Reader};

use super::back_ends::BackEnd;
use super::content::{Ask, BACK_ENDS, Random};

/// Longer than the function may take.
const PATIENCE: Duration = Duration::from_secs(60);
/// The time for which the configuration keeps the circuit breaker open after a failed request.
pub(super) const HOLD: Duration = Duration::from_secs(1);
/// The response while the breaker is open.
const DOWN: &str = "503 destination_unavailable";
/// Maximum time until another client has recorded a failure.
const LATE: Duration = Duration::from_secs(1);
/// Maximum number of wrong responses that are described.
const TOLD: usize = 10;

/// The results of the requests.
#[derive(Debug, Default)]
pub(super) struct Tally {
    pub(super) requests: u64,
    /// Answers of the back end, each the very same.
    pub(super) identical: u64,
    /// Bytes of content compared: of these answers, and of the requests at the back end.
    pub(super) answer_bytes: u64,
    pub(super) request_bytes: u64,
    /// Answers of ours because of a back end that was not there, by status and error type.
    pub(super) errors: BTreeMap<String, u64>,
    /// When requests to the back end with a breaker had failed, for its breaker: these, and its own answers from 500.
    failures: Vec<Instant>,
    /// The responses of the breaker: the request, its begin and end. Each is right if a failure went before it.
    held: Vec<(String, Instant, Instant)>,
    pub(super) wrong: u64,
    /// The first of them in words.
    pub(super) told: Vec<String>,
}

enum Verdict {
    Identical,
    /// 502, 503 or 504 with `Proxy-Status`.
    Error(String),
}

impl Tally {
    pub(super) fn add(&mut self, other: Tally) {
        self.requests += other.requests;
        self.identical += other.identical;
        self.answer_bytes += other.answer_bytes;
        self.request_bytes += other.request_bytes;
        for (kind, count) in other.errors {
            *self.errors.entry(kind).or_default() += count;
        }
        self.failures.extend(other.failures);
        self.held.extend(other.held);
        self.wrong += other.wrong;
        self.told.extend(other.told);
        self.told.truncate(TOLD);
    }

    fn take(&mut self, ask: &Ask, verdict: anyhow::Result<Verdict>, begun: Instant, back_end: &BackEnd) {
        let (ended, has_breaker) = (Instant::now(), ask.back_end + 1 == BACK_ENDS.len());
        self.requests += 1;
        match verdict {
            Ok(Verdict::Identical) => {
                self.identical += 1;
                self.answer_bytes += ask.size as u64;
                self.request_bytes += ask.upload.unwrap_or(0) as u64;
                if has_breaker && ask.status() >= 500 {
                    self.failures.push(ended);
                }
            }
            Ok(Verdict::Error(kind)) if kind == DOWN && has_breaker => self.held.push((ask.path(), begun, ended)),
            Ok(Verdict::Error(kind)) if back_end.was_gone(begun, ended) => {
                *self.errors.entry(kind).or_default() += 1;
                if has_breaker {
                    self.failures.push(ended);
                }
            }
            Ok(Verdict::Error(kind)) => self.blame(&ask.path(), &format!("{kind}, and the back end was there")),
            Err(error) => self.blame(&ask.path(), &format!("{error:#}")),
        }
    }

    /// Looks at what the breaker answered, when the outcomes of all clients are together.
    pub(super) fn settle(&mut self) {
        for (path, begun, ended) in std::mem::take(&mut self.held) {
            let may_be_down = begun - HOLD..ended + LATE;
            match self.failures.iter().any(|failed| may_be_down.contains(failed)) {
                true => *self.errors.entry(DOWN.to_owned()).or_default() += 1,
                false => self.blame(&path, &format!("{DOWN}, and no request had failed")),
            }
        }
    }

    fn blame(&mut self, path: &str, why: &str) {
        self.wrong += 1;
        if self.told.len() < TOLD {
            self.told.push(format!("{path}: {why}"));
        }
    }
}

/// Sends requests until `ended`.
pub(super) fn run(alb: &str, seed: u64, back_ends: &[BackEnd], ended: &AtomicBool) -> Tally {
    let mut random = Random(seed);
    let mut tally = Tally::default();
    let mut connection = None;
    while !ended.load(Ordering::Relaxed) {
        let ask = Ask::random(&mut random);
        let begun = Instant::now();
        let verdict = exchange(&mut connection, alb, &ask);
        if verdict.is_err() {
            connection = None;
        }
        tally.take(&ask, verdict, begun, &back_ends[ask.back_end]);
        std::thread::sleep(Duration::from_millis(random.between(0, 100)));
    }
    tally
}

fn exchange(connection: &mut Option<Reader<TcpStream>>, alb: &str, ask: &Ask) -> anyhow::Result<Verdict> {
    let reader = match connection {
        Some(reader) => reader,
        None => {
            let stream = TcpStream::connect(alb)?;
            stream.set_nodelay(true)?;
            stream.set_read_timeout(Some(PATIENCE))?;
            connection.insert(Reader::new(stream))
        }
    };
    let mut head = format!(
        "{} {} HTTP/1.1\r\nhost: soak.example.com\r\n",
        if ask.upload.is_some() { "POST" } else { "GET" },
        ask.path()
    );
    if let Some(upload) = ask.upload {
        head.push_str(&format!("content-type: {}\r\ncontent-length: {upload}\r\n", ask.content_type()));
    }
    head.push_str("\r\n");
    reader.stream.write_all(head.as_bytes())?;
    reader.stream.write_all(&ask.body())?;
    let answer = reader.read(Kind::Response)?.context("the connection was closed without an answer")?;
    judge(ask, &answer)
}

fn judge(ask: &Ask, answer: &Message<'_>) -> anyhow::Result<Verdict> {
    let field = |name| answer.field(name).map(|value| String::from_utf8_lossy(value).into_owned());
    if let Some(proxy_status) = field("proxy-status") {
        let error = proxy_status.strip_prefix("crossfade; error=");
        let kind = format!("{} {}", answer.status(), error.unwrap_or(&proxy_status));
        ensure!(matches!(answer.status(), 502..=504) && error.is_some(), "{kind}");
        return Ok(Verdict::Error(kind));
    }
    let expected = ask.answer();
    if answer.status() != expected.status {
        let body: String = String::from_utf8_lossy(&answer.body).chars().take(80).collect();
        bail!("status {}, not {} ({:?}: {body:?})", answer.status(), expected.status, field("server"));
    }
    ensure!(field("x-seed") == Some(format!("{:x}", ask.seed)), "the answer is another one's");
    ensure!(
        field("content-type").as_deref() == Some(expected.content_type),
        "content type {:?}",
        field("content-type")
    );
    let cookies: Vec<&[u8]> =
        answer.fields().filter(|(name, _)| name.eq_ignore_ascii_case(b"set-cookie")).map(|(_, value)| value).collect();
    ensure!(cookies == expected.cookies.each_ref().map(String::as_bytes), "{} cookies, or others", cookies.len());
    ensure!(
        *answer.body == *expected.body,
        "{} bytes of content that differ from the {} sent",
        answer.body.len(),
        ask.size
    );
    Ok(Verdict::Identical)
}
