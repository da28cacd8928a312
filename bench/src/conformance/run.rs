//! Runs one case against one function, with a new origin, local ALB and function process, so that cases cannot affect each other.
//! It owns sockets and processes; `case` compares.

use std::io::Write as _;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::Context as _;
use crossfade_emulator::{Endpoint, EndpointKind, Listener, Notice, Settings};
use crossfade_event::{HeaderMode, alb};
use crossfade_testkit::message::{Kind, Reader};
use crossfade_testkit::server::{Action, Server};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::sync::mpsc;

use super::case::{Answer, Case, Names, Seen, Step, expand, message};
use crate::certificate::Tls;
use crate::function::{Backend, Function};
use crate::runtime_api::RuntimeApi;

/// Lambda's limit for one invocation here: short, so that an origin that hangs costs seconds.
const FUNCTION_TIMEOUT: Duration = Duration::from_secs(3);
/// For a client that waits; longer than everything behind it.
const CLIENT_TIMEOUT: Duration = Duration::from_secs(20);
/// Between two requests of a case: time for a closed connection to be noticed, or not.
const PAUSE: Duration = Duration::from_millis(50);

/// A front end of the function.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Through {
    /// The load balancer, in either header mode.
    Alb(HeaderMode),
    /// Another one.
    Endpoint(EndpointKind),
}

impl Through {
    /// The front end with this function behind it.
    #[must_use]
    pub fn settings(self, function: crossfade_emulator::Function) -> Settings {
        match self {
            Self::Alb(mode) => Settings::forward_all(mode, function),
            Self::Endpoint(kind) => Settings {
                listeners: vec![Listener::endpoint(Endpoint {
                    // Without it a REST API hands base64 on; no other kind looks at it.
                    binary_media_types: vec!["*/*".to_owned()],
                    ..Endpoint::new(kind, 0)
                })],
                functions: vec![function],
                ..Settings::default()
            },
        }
    }
}

/// The parts that all cases share: certificates and a thread for the local ALB.
#[derive(Debug)]
pub struct Bed {
    tls: Tls,
    /// The certificate of an authority that no function trusts.
    untrusted: Tls,
    folder: TempDir,
    runtime: Runtime,
}

/// The requests that the origin got; their number is the position in its script.
type Record = Arc<Mutex<Vec<Seen>>>;

impl Bed {
    /// Makes certificates.
    ///
    /// # Errors
    /// When the temporary folder or the keys cannot be made.
    pub fn new() -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let other = folder.path().join("untrusted");
        std::fs::create_dir(&other)?;
        let (tls, untrusted) = (Tls::generate(folder.path())?, Tls::generate(&other)?);
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
        Ok(Self { tls, untrusted, folder, runtime })
    }

    /// Runs one case through one front end.
    ///
    /// # Errors
    /// A short description of the first failure.
    pub fn try_case(&self, case: &Case, function: &Function, through: Through) -> Result<(), String> {
        let record = Record::default();
        let exchange = self.exchange(case, function, through, &record);
        let (answer, names, Observed { reason: elb_reason, log }) = exchange.map_err(|error| format!("{error:#}"))?;
        let received = lock(&record);
        for check in &case.checks {
            check.hold(&received, &answer, &log, &names).map_err(|reason| {
                // The port differs from run to run.
                let reason = reason.replace(&names.backend, "{backend}");
                if elb_reason.is_empty() { reason } else { format!("{reason} ({elb_reason})") }
            })?;
        }
        Ok(())
    }

    fn exchange(
        &self,
        case: &Case,
        function: &Function,
        through: Through,
        record: &Record,
    ) -> anyhow::Result<(Seen, Names, Observed)> {
        let (origin, port) = if matches!(case.answers.first(), Some(Answer::Down)) {
            // A port that was free a moment ago: nobody listens there.
            let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
            (None, port)
        } else {
            let origin = self.origin(case, record)?;
            let port = origin.port();
            (Some(origin), port)
        };
        let backend = Backend { url: format!("https://localhost:{port}"), ca_file: self.tls.ca_file.clone() };
        let mut names = Names { backend: format!("localhost:{port}"), cdn_loop: "nobody".to_owned() };
        let mut front = self.front(case, function, through, &backend)?;
        let mut answer = Seen::default();
        for (at, step) in case.steps.iter().enumerate() {
            if at > 0 {
                std::thread::sleep(PAUSE);
                let last = lock(record).last().and_then(|seen| Some(seen.values("cdn-loop").next()?.to_vec()));
                names.cdn_loop = last.map_or(names.cdn_loop, |value| String::from_utf8_lossy(&value).into_owned());
            }
            answer = match (&mut front, step) {
                (Front::Local { address, .. }, Step::Client(source)) => ask(*address, &message(source, &names))?,
                (Front::Lambda { api, mode, .. }, Step::Event(source)) => {
                    // Inside JSON a backslash is JSON's own.
                    let event = expand(&source.replace('\\', "\\\\"), &names, None);
                    invoke(api, *mode, &event)?
                }
                _ => anyhow::bail!("a case has requests or events, not both"),
            };
        }
        let observed = self.close(front);
        drop(origin);
        Ok((answer, names, observed))
    }

    fn origin(&self, case: &Case, record: &Record) -> anyhow::Result<Server> {
        let nobody = Names { backend: String::new(), cdn_loop: String::new() };
        let script: Vec<Action> = case
            .answers
            .iter()
            .map(|answer| match answer {
                Answer::Send(source) => Action::Send(message(source, &nobody).into()),
                Answer::SendAndClose(source) => Action::SendAndClose(message(source, &nobody).into()),
                Answer::Drop | Answer::Down | Answer::Untrusted => Action::Drop,
                Answer::Hang => Action::Hang,
            })
            .collect();
        let record = Arc::clone(record);
        let untrusted = matches!(case.answers.first(), Some(Answer::Untrusted));
        let tls = if untrusted { &self.untrusted } else { &self.tls };
        let origin = Server::start(Some(tls.server.clone()), move |_, request| {
            let mut received = lock(&record);
            let at = received.len().min(script.len().saturating_sub(1));
            received.push(Seen::of(request));
            script.get(at).cloned().unwrap_or(Action::Drop)
        })?;
        Ok(origin)
    }

    fn front(&self, case: &Case, function: &Function, through: Through, backend: &Backend) -> anyhow::Result<Front> {
        if case.has_events() {
            let Through::Alb(mode) = through else { anyhow::bail!("the events of a case are the load balancer's") };
            let mut api = RuntimeApi::listen()?;
            let process = function.start(&api.address()?, backend, self.folder.path(), &[])?;
            api.wait_for_next().with_context(|| process.last_words())?;
            return Ok(Front::Lambda { api, mode, _process: process });
        }
        let command = function.command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let function = crossfade_emulator::Function {
            env: backend.environment(),
            timeout: FUNCTION_TIMEOUT,
            max_concurrency: 1,
            ..crossfade_emulator::Function::new("conformance", command)
        };
        let (sender, notices) = mpsc::unbounded_channel();
        let emulator = self.runtime.block_on(crossfade_emulator::start(through.settings(function), sender))?;
        Ok(Front::Local { address: emulator.local_addr(), emulator, notices })
    }

    /// Ends what was started.
    fn close(&self, front: Front) -> Observed {
        let mut observed = Observed::default();
        let Front::Local { emulator, mut notices, .. } = front else {
            return observed;
        };
        self.runtime.block_on(emulator.shutdown());
        while let Ok(notice) = notices.try_recv() {
            match notice {
                Notice::Exchange(exchange) => observed.reason = exchange.elb_reason.unwrap_or_default(),
                Notice::FunctionLine { line, .. } => observed.log.extend([line.as_str(), "\n"]),
                _ => {}
            }
        }
        observed
    }
}

/// The local ALB's notices about one exchange.
#[derive(Debug, Default)]
struct Observed {
    /// ALB's error reason, if the response is its own; else empty.
    reason: String,
    /// The function's output.
    log: String,
}

/// The front end of the function.
enum Front {
    Local { address: SocketAddr, emulator: crossfade_emulator::Emulator, notices: mpsc::UnboundedReceiver<Notice> },
    Lambda { api: RuntimeApi, mode: HeaderMode, _process: crate::function::Process },
}

/// Sends a raw request on a new connection and reads the final answer.
fn ask(address: SocketAddr, request: &[u8]) -> anyhow::Result<Seen> {
    let mut stream = TcpStream::connect(address)?;
    stream.set_read_timeout(Some(CLIENT_TIMEOUT))?;
    stream.set_nodelay(true)?;
    // A load balancer may refuse a request before it has read all of it.
    let _ = stream.write_all(request);
    let kind = if request.starts_with(b"HEAD ") { Kind::ResponseToHead } else { Kind::Response };
    let mut reader = Reader::new(stream);
    loop {
        let answer = reader.read(kind).context("no whole answer for the client")?;
        let answer = answer.context("the connection closed without an answer")?;
        if answer.status() >= 200 {
            return Ok(Seen::of(&answer));
        }
    }
}

/// Hands an event to the function and reads its reply as strictly as ALB does.
fn invoke(api: &mut RuntimeApi, mode: HeaderMode, event: &[u8]) -> anyhow::Result<Seen> {
    let mut seen = Seen::default();
    api.invoke(event, |reply| {
        let response = alb::decode_response(mode, reply)?.response;
        let fields = response.headers().iter();
        seen.fields = fields.map(|(name, value)| (name.as_str().to_owned(), value.as_bytes().to_vec())).collect();
        seen.start_line = format!("HTTP/1.1 {}", response.status().as_u16()).into_bytes();
        seen.body = response.into_body().to_vec();
        Ok(())
    })?;
    Ok(seen)
}

fn lock(record: &Record) -> MutexGuard<'_, Vec<Seen>> {
    record.lock().unwrap_or_else(PoisonError::into_inner)
}
