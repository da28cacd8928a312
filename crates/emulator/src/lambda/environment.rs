//! One execution environment: the runtime's process and those of external extensions, the API they talk to, and the task
//! that watches over all of them. Owns the life of an environment from start to end; which one gets an invocation is the
//! pool's business.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

use super::api;
use super::desk::{Desk, Signal, Tick};
use super::failure::Failure;
use super::memory::Memory;
use super::pool::Pool;
use super::process::{Processes, Start, Who};
use super::shutdown::{Reason, shut_down};
use super::state::Invocation;
use super::variables::variables;
use crate::notice::Backlog;
use crate::{Function, Notice, random};

/// How often memory and time are looked at while there is work.
const TICK: Duration = Duration::from_millis(50);
/// What a process gets to end by itself after it has reported an error.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// An environment, seen from outside.
pub(super) struct Environment {
    pub(super) number: u32,
    desk: Arc<Desk>,
    memory: Arc<Memory>,
}

/// What the watching task needs from the pool.
pub(super) struct Surroundings {
    pub(super) pool: Weak<Pool>,
    pub(super) notices: mpsc::UnboundedSender<Notice>,
    pub(super) backlog: Arc<Backlog>,
    /// Turns true when all is to end.
    pub(super) closing: watch::Receiver<bool>,
    /// Held until the processes are gone, so that a shutdown can wait for it.
    pub(super) alive: mpsc::Sender<()>,
}

/// How long an invocation may take.
#[derive(Clone, Copy)]
pub(super) struct Time {
    /// The function's timeout.
    pub(super) limit: Duration,
    /// What is left of it: less, if the environment had to be started twice.
    pub(super) left: Duration,
}

impl Environment {
    /// Starts the processes and waits until they ask for their first event. The new environment is the caller's until
    /// [`Environment::invoke`] is through.
    pub(super) async fn start(
        number: u32,
        function: &Arc<Function>,
        limit: Duration,
        surroundings: Surroundings,
    ) -> Result<Arc<Self>, Failure> {
        let no_socket = |error| Failure::CannotStart { program: "the Runtime API".to_owned(), error: words(&error) };
        let started = Instant::now();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(no_socket)?;
        let (signals, received) = mpsc::unbounded_channel();
        let (pool, notices) = (surroundings.pool.clone(), surroundings.notices.clone());
        let desk = Arc::new(Desk::new(number, Arc::clone(function), pool, notices, signals));
        let memory = Arc::new(Memory::default());
        let (ready, readiness) = oneshot::channel();
        let processes = Processes::new(number, surroundings.notices.clone(), Arc::clone(&surroundings.backlog));
        let watcher = Watcher {
            desk: Arc::clone(&desk),
            memory: Arc::clone(&memory),
            processes,
            surroundings,
            started,
            ready: Some(ready),
        };
        tokio::spawn(watcher.watch(listener, received));

        match tokio::time::timeout(limit, readiness).await {
            Ok(Ok(Ok(()))) => Ok(Arc::new(Self { number, desk, memory })),
            Ok(Ok(Err(failure))) => Err(failure),
            Ok(Err(_)) => Err(Failure::ShuttingDown),
            Err(_) => {
                desk.signal(Signal::TimedOut);
                Err(Failure::InitTimeout(limit))
            }
        }
    }

    /// Hands over one event and waits for the answer; gives the request id with it. When the time is up, the environment
    /// is reset, as Lambda does; on Managed Instances it goes on.
    pub(super) async fn invoke(&self, event: Bytes, trace_id: String, time: Time) -> (String, Result<Bytes, Failure>) {
        let Time { limit, left } = time;
        let (answer, answered) = oneshot::channel();
        let request_id = random::uuid();
        let (deadline, until) = (SystemTime::now() + left, Instant::now() + left);
        self.desk.leave(Invocation { request_id: request_id.clone(), event, trace_id, deadline, until, answer });
        let outcome = match tokio::time::timeout(left, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Failure::ShuttingDown),
            Err(_) if self.desk.is_managed() => {
                self.desk.expire(&request_id);
                Err(Failure::TimedOut { limit, killed: false })
            }
            Err(_) => {
                self.desk.signal(Signal::TimedOut);
                Err(Failure::TimedOut { limit, killed: true })
            }
        };
        if outcome.is_ok()
            && let Some(failure) = self.memory.look_at_answer().and_then(|used| too_much(&self.desk, used))
        {
            self.desk.signal(Signal::Failed(failure.clone()));
            return (request_id, Err(failure));
        }
        (request_id, outcome)
    }

    /// The most memory so far, in bytes.
    pub(super) fn memory(&self) -> Option<u64> {
        self.memory.peak()
    }
}

fn too_much(desk: &Desk, used: u64) -> Option<Failure> {
    let limit_mib = desk.function.memory_mib;
    (used > u64::from(limit_mib) << 20).then_some(Failure::OutOfMemory { used, limit_mib })
}

/// Without "(os error 2)", which tells a developer nothing.
fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

struct Watcher {
    desk: Arc<Desk>,
    memory: Arc<Memory>,
    processes: Processes,
    surroundings: Surroundings,
    started: Instant,
    /// Whoever waits for the start; gone once told.
    ready: Option<oneshot::Sender<Result<(), Failure>>>,
}

/// Why an environment ends.
enum End {
    /// A process has ended by itself.
    Exit(Who, String),
    /// It cannot be used any more.
    Failed(Failure),
    TimedOut,
    Closing,
}

impl Watcher {
    /// Runs for as long as the processes do.
    async fn watch(mut self, listener: TcpListener, mut signals: mpsc::UnboundedReceiver<Signal>) {
        let runtime_api = listener.local_addr();
        let served = api::serve(Arc::clone(&self.desk), listener);
        tokio::pin!(served);
        let end = match runtime_api.map_err(|error| words(&error)) {
            Err(error) => End::Failed(Failure::CannotStart { program: "the Runtime API".to_owned(), error }),
            Ok(runtime_api) => tokio::select! {
                end = self.until_the_end(runtime_api, &mut signals) => end,
                () = &mut served => End::Closing,
            },
        };
        tokio::select! {
            () = self.end(end, &mut signals) => {}
            () = &mut served => {}
        }
        let status = self.processes.status();
        self.processes.tidy_up().await;
        let environment = self.desk.number;
        let _ = self.surroundings.notices.send(Notice::Exited { environment, status });
        drop(self.surroundings.alive);
    }

    async fn until_the_end(
        &mut self,
        runtime_api: std::net::SocketAddr,
        signals: &mut mpsc::UnboundedReceiver<Signal>,
    ) -> End {
        let extensions = self.desk.function.extensions.len();
        let first: Vec<Who> = match extensions {
            0 => vec![Who::Runtime],
            _ => (0..extensions).map(Who::Extension).collect(),
        };
        for who in first {
            if let Err(failure) = self.start(who, runtime_api) {
                return End::Failed(failure);
            }
        }
        let mut closing = self.surroundings.closing.clone();
        let desk = Arc::clone(&self.desk);
        let mut ticks = tokio::time::interval(TICK);
        let mut ticking = true;
        loop {
            tokio::select! {
                (who, status) = self.processes.ended() => return End::Exit(who, status),
                () = closed(&mut closing) => return End::Closing,
                Some(signal) = signals.recv() => match signal {
                    Signal::Registered => if let Err(failure) = self.start(Who::Runtime, runtime_api) {
                        return End::Failed(failure);
                    },
                    Signal::Ready => self.tell_ready(),
                    Signal::Failed(failure) => return End::Failed(failure),
                    Signal::TimedOut => return End::TimedOut,
                },
                () = desk.work.notified(), if !ticking => {
                    ticking = true;
                    ticks.reset();
                }
                _ = ticks.tick(), if ticking => match desk.tick() {
                    Tick::Calm => ticking = false,
                    Tick::Busy => if let Some(failure) = too_much(&desk, self.memory.look()) {
                        if self.ready.is_none() && !desk.has_work() {
                            desk.warn(failure.to_string());
                        }
                        return End::Failed(failure);
                    },
                    Tick::Overdue => {
                        let limit = desk.function.timeout.as_secs_f64();
                        desk.warn(format!(
                            "environment {} answered, but did not ask for more within the timeout of {limit} s; \
                             it was killed", desk.number
                        ));
                        return End::TimedOut;
                    }
                },
            }
        }
    }

    fn start(&mut self, who: Who, runtime_api: std::net::SocketAddr) -> Result<(), Failure> {
        let function = &self.desk.function;
        let command = match who {
            Who::Runtime => &function.command,
            Who::Extension(index) => function.extensions.get(index).map_or(&[][..], Vec::as_slice),
        };
        let directory = function.directory.as_deref();
        let variables = variables(function, who, runtime_api);
        let group = self.processes.start(Start { who, command, directory, variables }).map_err(|error| {
            Failure::CannotStart { program: command.first().cloned().unwrap_or_default(), error: words(&error) }
        })?;
        self.desk.add(group.clone());
        self.memory.add(group);
        Ok(())
    }

    fn tell_ready(&mut self) {
        if let Some(ready) = self.ready.take() {
            let (environment, function) = (self.desk.number, self.desk.function.name.clone());
            let init = self.started.elapsed();
            let _ = self.surroundings.notices.send(Notice::Started { environment, function, init });
            let _ = ready.send(Ok(()));
        }
    }

    /// Tells everybody concerned, then ends what still runs.
    async fn end(&mut self, mut end: End, signals: &mut mpsc::UnboundedReceiver<Signal>) {
        // Its last words may still wait here.
        while let (End::Exit(..), Ok(signal)) = (&end, signals.try_recv()) {
            match signal {
                Signal::Ready => self.tell_ready(),
                Signal::Failed(failure) => end = End::Failed(failure),
                Signal::Registered | Signal::TimedOut => {}
            }
        }
        let was_ready = self.ready.is_none();
        let reason = match &end {
            End::Closing => Reason::Spindown,
            End::TimedOut => Reason::Timeout,
            End::Exit(..) | End::Failed(_) => Reason::Failure,
        };
        let reported = matches!(end, End::Failed(Failure::InitError(_) | Failure::ExtensionError { .. }));
        let (failure, status) = match end {
            End::Closing => (Failure::ShuttingDown, "shutting down".to_owned()),
            End::TimedOut => (Failure::Exited("timed out".to_owned()), "timed out".to_owned()),
            End::Failed(failure) => (failure.clone(), failure.to_string()),
            End::Exit(Who::Extension(index), status) => {
                let name = self.desk.external(index).to_owned();
                (Failure::ExtensionExit { name, status: status.clone() }, status)
            }
            End::Exit(Who::Runtime, status) if was_ready => (Failure::Exited(status.clone()), status),
            End::Exit(Who::Runtime, status) => (Failure::InitExit(status.clone()), status),
        };
        if was_ready {
            if let Some(pool) = self.surroundings.pool.upgrade() {
                pool.forget(self.desk.number);
            }
            // Where no exchange will tell.
            let by_extension = matches!(failure, Failure::ExtensionExit { .. } | Failure::ExtensionError { .. });
            if by_extension && !self.desk.has_work() {
                self.desk.warn(failure.to_string());
            }
        }
        self.desk.close(&failure, &status);
        if let Some(ready) = self.ready.take() {
            let _ = ready.send(Err(failure));
        }
        if reported {
            let _ = tokio::time::timeout(LAST_WORDS, self.processes.ended()).await;
        }
        shut_down(&mut self.processes, &self.desk, reason).await;
    }
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    // The sender is gone with the pool, which is a closing too.
    let _ = closing.wait_for(|closing| *closing).await;
}
