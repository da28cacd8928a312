//! The back ends as separate processes: starts, kills, stops and restarts each on the same port, and records when it was
//! unavailable. `content` has the responses.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use crossfade_testkit::message::Message;
use crossfade_testkit::process::{Process, Signal};
use crossfade_testkit::server::{Action, Server};

use super::content::{Ask, BACK_ENDS, Random};
use super::lock;
use crate::certificate;

/// Maximum time for a back end to start; its port can be in use for a moment.
const PATIENCE: Duration = Duration::from_secs(20);

/// One back end.
#[derive(Debug)]
pub(super) struct BackEnd {
    program: PathBuf,
    folder: PathBuf,
    pub(super) port: u16,
    child: Mutex<Option<Process>>,
    /// When it was not there: from before it was killed or stopped until after it was back.
    gone: Mutex<Vec<(Instant, Option<Instant>)>>,
}

impl BackEnd {
    /// `program` is this program, which also serves as the back end.
    pub(super) fn start(program: &Path, folder: &Path) -> anyhow::Result<Self> {
        let mut back_end = BackEnd {
            program: program.to_owned(),
            folder: folder.to_owned(),
            port: 0,
            child: Mutex::default(),
            gone: Mutex::default(),
        };
        back_end.port = back_end.spawn()?;
        Ok(back_end)
    }

    fn spawn(&self) -> anyhow::Result<u16> {
        let begun = Instant::now();
        loop {
            let mut child = Command::new(&self.program)
                .args(["soak-back-end", &self.port.to_string()])
                .arg(&self.folder)
                .stdin(Stdio::null())
                .stdout(Stdio::piped())
                .stderr(Stdio::null())
                .spawn()
                .with_context(|| format!("cannot start `{}`", self.program.display()))?;
            let mut line = String::new();
            BufReader::new(child.stdout.take().context("no output")?).read_line(&mut line)?;
            if let Ok(port) = line.trim().parse() {
                *lock(&self.child) = Some(child.into());
                return Ok(port);
            }
            child.wait()?;
            ensure!(begun.elapsed() < PATIENCE, "a back end does not start on port {}", self.port);
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Kills it, and starts it again some time later.
    fn kill(&self, down: Duration) -> anyhow::Result<()> {
        self.leave();
        *lock(&self.child) = None;
        std::thread::sleep(down);
        self.spawn()?;
        self.come_back();
        Ok(())
    }

    /// Stops it, so that connections are taken and nothing is answered, and lets it go on some time later.
    fn stop(&self, down: Duration) -> anyhow::Result<()> {
        self.leave();
        lock(&self.child).as_ref().context("no process")?.signal(Signal::STOP);
        std::thread::sleep(down);
        lock(&self.child).as_ref().context("no process")?.signal(Signal::CONT);
        self.come_back();
        Ok(())
    }

    fn leave(&self) {
        lock(&self.gone).push((Instant::now(), None));
    }

    fn come_back(&self) {
        if let Some((_, end)) = lock(&self.gone).last_mut() {
            *end = Some(Instant::now());
        }
    }

    /// Returns whether it was down at any moment of this period.
    pub(super) fn was_gone(&self, from: Instant, to: Instant) -> bool {
        lock(&self.gone).iter().any(|(left, back)| *left <= to && back.is_none_or(|back| from <= back))
    }
}

/// The number of times that back ends were killed and stopped.
#[derive(Debug, Default, Clone, Copy)]
pub(super) struct Troubles {
    pub(super) kills: u32,
    pub(super) stops: u32,
}

/// Kills and stops back ends until `ended`; then all of them run again.
pub(super) fn trouble(
    back_ends: &[BackEnd],
    pause_ms: (u64, u64),
    stop_ms: Option<u64>,
    ended: &AtomicBool,
) -> anyhow::Result<Troubles> {
    let mut random = Random(7);
    let mut troubles = Troubles::default();
    loop {
        let next = Instant::now() + Duration::from_millis(random.between(pause_ms.0, pause_ms.1));
        while Instant::now() < next {
            if ended.load(Ordering::Relaxed) {
                return Ok(troubles);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        let back_end = &back_ends[(random.next() % BACK_ENDS.len() as u64) as usize];
        match stop_ms {
            Some(down) if random.one_in(5) => {
                back_end.stop(Duration::from_millis(down))?;
                troubles.stops += 1;
            }
            _ => {
                back_end.kill(Duration::from_millis(random.between(100, 2500)))?;
                troubles.kills += 1;
            }
        }
    }
}

/// The process of a back end: prints its port, and serves until it is killed.
///
/// # Errors
/// When the port is taken or the certificate cannot be read.
pub fn serve(port: u16, folder: &Path) -> anyhow::Result<()> {
    let origin = Server::start_at(port, Some(certificate::server_of(folder)?), |_, request| answer(request))?;
    println!("{}", origin.port());
    std::io::stdout().flush()?;
    loop {
        std::thread::park();
    }
}

fn answer(request: &Message<'_>) -> Action {
    let path = String::from_utf8_lossy(request.second_word());
    let Ok(ask) = Ask::parse(&path) else {
        return Action::Send((*b"HTTP/1.1 418 \r\ncontent-length: 0\r\n\r\n").into());
    };
    std::thread::sleep(Duration::from_millis(ask.delay()));
    if *request.body != *ask.body() {
        return Action::Send((*b"HTTP/1.1 422 \r\ncontent-length: 0\r\n\r\n").into());
    }
    let answer = ask.answer();
    let [one, two] = &answer.cookies;
    let mut bytes = format!(
        "HTTP/1.1 {} \r\ncontent-type: {}\r\nset-cookie: {one}\r\nset-cookie: {two}\r\nx-seed: {:x}\r\n",
        answer.status, answer.content_type, ask.seed
    )
    .into_bytes();
    if answer.chunked {
        bytes.extend_from_slice(b"transfer-encoding: chunked\r\n\r\n");
        for piece in answer.body.chunks(10_007) {
            bytes.extend_from_slice(format!("{:x}\r\n", piece.len()).as_bytes());
            bytes.extend_from_slice(piece);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
    } else {
        bytes.extend_from_slice(format!("content-length: {}\r\n\r\n", answer.body.len()).as_bytes());
        bytes.extend_from_slice(&answer.body);
    }
    Action::Send(bytes.into())
}
