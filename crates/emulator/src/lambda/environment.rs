//! One execution environment: the runtime's process and those of external extensions, the API they talk to, and the
//! task that supervises them. Owns the life of an environment from start to end; which one gets an invocation is the
//! pool's decision.

use std::io;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::{mpsc, oneshot, watch};

use super::api;
use super::coordinator::{Coordinator, Signal, Tick};
use super::failure::{Failure, Hint};
use super::launch;
use super::memory::Memory;
use super::pool::Pool;
use super::ports::Ports;
use super::process::{LaunchSpec, Processes, Role};
use super::shutdown::{Reason, shut_down};
use super::state::Invocation;
use super::stream::{Answer, Streamed};
use super::variables::variables;
use crate::notice::Backlog;
use crate::{Function, Notice, closing, random};

/// The interval at which memory and time are checked while there is work.
const TICK: Duration = Duration::from_millis(50);
/// The end of a process that has not failed.
const SUCCESS: &str = "exit status: 0";
/// The idle time after which an environment of former settings ends, in ticks: it may be about to get an invocation.
const IDLE_TICKS: u32 = 4;
/// The time for a process to end by itself after it has reported an error.
const EXIT_GRACE: Duration = Duration::from_millis(200);

/// An environment, seen from outside.
pub(super) struct Environment {
    pub(super) number: u32,
    coordinator: Arc<Coordinator>,
    memory: Arc<Memory>,
}

/// The parts of the pool that an environment's task needs.
pub(super) struct EnvironmentContext {
    pub(super) pool: Weak<Pool>,
    pub(super) notices: mpsc::UnboundedSender<Notice>,
    pub(super) backlog: Arc<Backlog>,
    /// Becomes true at the shutdown.
    pub(super) closing: watch::Receiver<bool>,
    /// Becomes true when other settings are in use: it ends when it is idle.
    pub(super) retiring: watch::Receiver<bool>,
    /// Held until the processes are gone, so that a shutdown can wait for it.
    pub(super) alive: mpsc::Sender<()>,
}

/// The time limit of an invocation.
#[derive(Clone, Copy)]
pub(super) struct TimeLimit {
    /// The function's timeout.
    pub(super) limit: Duration,
    /// The rest of it: less if the environment was started twice.
    pub(super) left: Duration,
}

impl Environment {
    /// Starts the processes and waits until they ask for their first event. The new environment is the caller's until
    /// [`Environment::invoke`] is through.
    pub(super) async fn start(
        number: u32,
        function: &Arc<Function>,
        limit: Duration,
        context: EnvironmentContext,
    ) -> Result<Arc<Self>, Failure> {
        let no_socket = |error| Failure::CannotStart { program: "the Runtime API".to_owned(), error: words(&error) };
        let started = Instant::now();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(no_socket)?;
        let (signals, received) = mpsc::unbounded_channel();
        let (pool, notices) = (context.pool.clone(), context.notices.clone());
        let coordinator = Arc::new(Coordinator::new(number, Arc::clone(function), pool, notices, signals));
        let memory = Arc::new(Memory::default());
        let (ready, readiness) = oneshot::channel();
        let processes = Processes::new(number, &function.name, context.notices.clone(), Arc::clone(&context.backlog));
        let watcher = Watcher {
            coordinator: Arc::clone(&coordinator),
            memory: Arc::clone(&memory),
            processes,
            ports: Ports::default(),
            context,
            started,
            ready: Some(ready),
        };
        tokio::spawn(watcher.watch(listener, received));

        match tokio::time::timeout(limit, readiness).await {
            Ok(Ok(Ok(()))) => Ok(Arc::new(Self { number, coordinator, memory })),
            Ok(Ok(Err(failure))) => Err(failure),
            Ok(Err(_)) => Err(Failure::ShuttingDown),
            Err(_) => {
                coordinator.signal(Signal::TimedOut);
                let hint = missing_client(&coordinator);
                Err(Failure::InitTimeout(limit, hint))
            }
        }
    }

    /// Sends one event and waits for the response; returns the request ID with it. At the timeout the environment
    /// is reset, as in Lambda; on Managed Instances it keeps running.
    pub(super) async fn invoke(
        &self,
        event: Bytes,
        trace_id: String,
        time: TimeLimit,
    ) -> (String, Result<Answer, Failure>) {
        let TimeLimit { limit, left } = time;
        let (answer, answered) = oneshot::channel();
        let request_id = random::uuid();
        let (deadline, until) = (SystemTime::now() + left, Instant::now() + left);
        self.coordinator.enqueue(Invocation {
            request_id: request_id.clone(),
            event,
            trace_id,
            deadline,
            until,
            answer,
        });
        let outcome = match tokio::time::timeout(left, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Failure::ShuttingDown),
            Err(_) if self.coordinator.is_managed() => {
                self.coordinator.expire(&request_id);
                Err(Failure::TimedOut { limit, killed: false })
            }
            Err(_) => {
                self.coordinator.signal(Signal::TimedOut);
                Err(Failure::TimedOut { limit, killed: true })
            }
        };
        if let Ok(Answer::Whole(_)) = &outcome
            && let Some(failure) = self.memory.look_at_answer().and_then(|used| too_much(&self.coordinator, used))
        {
            self.coordinator.signal(Signal::Failed(failure.clone()));
            return (request_id, Err(failure));
        }
        (request_id, outcome)
    }

    /// Waits until the function has posted all of a streamed response, or until its timeout ends it.
    pub(super) fn until_streamed(
        self: Arc<Self>,
        streamed: &mut Streamed,
        request_id: String,
        time: TimeLimit,
    ) -> impl Future<Output = ()> + use<> {
        let TimeLimit { limit, left } = time;
        let until = Instant::now() + left;
        let ended = streamed.limited(limit, until);
        async move {
            let Some(ended) = ended else { return };
            // An error: the function's end has been dropped, as it is at the end.
            if tokio::time::timeout_at(until.into(), ended).await.is_ok() {
                return;
            }
            match self.coordinator.is_managed() {
                true => self.coordinator.expire(&request_id),
                false => self.coordinator.signal(Signal::TimedOut),
            }
        }
    }

    /// Returns the peak memory so far, in bytes.
    pub(super) fn memory(&self) -> Option<u64> {
        self.memory.peak()
    }
}

fn too_much(coordinator: &Coordinator, used: u64) -> Option<Failure> {
    let limit_mib = coordinator.function.memory_mib;
    (used > u64::from(limit_mib) << 20).then_some(Failure::OutOfMemory { used, limit_mib })
}

/// The message of an I/O error without "(os error 2)".
fn words(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or_default().to_owned()
}

/// The reason why a command does not run, as far as its file tells.
fn obstacle(function: &Function, command: &[String]) -> Option<String> {
    let mut variables = function.local_env.iter().rev().chain(function.env.iter().rev());
    let own = variables.find(|(name, _)| name == "PATH").map(|(_, value)| value.into());
    let path = own.or_else(|| std::env::var_os("PATH"));
    let directory = function.directory.as_deref();
    let found = launch::obstacle(command, directory, path.as_deref());
    found.or_else(|| launch::foreign(command, directory, path.as_deref()))
}

/// Advice for a function that has never called the Runtime API.
fn missing_client(coordinator: &Coordinator) -> Hint {
    let function = &coordinator.function;
    let advice = || launch::runtime_client(&function.command, &function.handler);
    Hint((!coordinator.has_runtime_client()).then(advice))
}

struct Watcher {
    coordinator: Arc<Coordinator>,
    memory: Arc<Memory>,
    processes: Processes,
    ports: Ports,
    context: EnvironmentContext,
    started: Instant,
    /// Notified of the end of init; `None` afterwards.
    ready: Option<oneshot::Sender<Result<(), Failure>>>,
}

/// The reason for which an environment ends.
enum End {
    /// A process has ended by itself.
    Exit(Role, String),
    /// It cannot be used any longer.
    Failed(Failure),
    TimedOut,
    Closing,
}

impl Watcher {
    /// Runs until all processes have ended.
    async fn watch(mut self, listener: TcpListener, mut signals: mpsc::UnboundedReceiver<Signal>) {
        let runtime_api = listener.local_addr();
        let served = api::serve(Arc::clone(&self.coordinator), listener);
        tokio::pin!(served);
        let end = match runtime_api.map_err(|error| words(&error)) {
            Err(error) => End::Failed(Failure::CannotStart { program: "the Runtime API".to_owned(), error }),
            Ok(runtime_api) => tokio::select! {
                end = self.until_the_end(runtime_api, &mut signals) => end,
                () = &mut served => End::Closing,
            },
        };
        let planned = matches!(end, End::Closing);
        tokio::select! {
            () = self.end(end, &mut signals) => {}
            () = &mut served => {}
        }
        let status = self.processes.status();
        self.processes.tidy_up().await;
        let environment = self.coordinator.number;
        let _ = self.context.notices.send(Notice::Exited { environment, status, planned });
        drop(self.context.alive);
    }

    async fn until_the_end(
        &mut self,
        runtime_api: std::net::SocketAddr,
        signals: &mut mpsc::UnboundedReceiver<Signal>,
    ) -> End {
        let extensions = self.coordinator.function.extensions.len();
        let first: Vec<Role> = match extensions {
            0 => vec![Role::Runtime],
            _ => (0..extensions).map(Role::Extension).collect(),
        };
        for role in first {
            if let Err(failure) = self.start(role, runtime_api) {
                return End::Failed(failure);
            }
        }
        let (mut shutdown, mut retiring) = (self.context.closing.clone(), self.context.retiring.clone());
        let (mut is_retiring, mut idle) = (false, 0_u32);
        let coordinator = Arc::clone(&self.coordinator);
        let mut ticks = tokio::time::interval(TICK);
        let mut ticking = true;
        loop {
            tokio::select! {
                (role, status) = self.processes.ended() => return End::Exit(role, status),
                () = closing::closed(&mut shutdown) => return End::Closing,
                () = closing::closed(&mut retiring), if !is_retiring => (is_retiring, ticking) = (true, true),
                Some(signal) = signals.recv() => match signal {
                    Signal::Registered => if let Err(failure) = self.start(Role::Runtime, runtime_api) {
                        return End::Failed(failure);
                    },
                    Signal::Ready => self.notify_ready(),
                    Signal::Failed(failure) => return End::Failed(failure),
                    Signal::TimedOut => return End::TimedOut,
                },
                () = coordinator.work.notified(), if !ticking => {
                    ticking = true;
                    ticks.reset();
                }
                _ = ticks.tick(), if ticking => match coordinator.tick() {
                    Tick::Calm if is_retiring => {
                        idle = idle.saturating_add(1);
                        if idle > IDLE_TICKS {
                            return End::Closing;
                        }
                    }
                    Tick::Calm => ticking = false,
                    Tick::Busy => {
                        idle = 0;
                        let Some(failure) = too_much(&coordinator, self.memory.look()) else { continue };
                        if self.ready.is_none() && !coordinator.has_work() {
                            coordinator.warn(failure.to_string());
                        }
                        return End::Failed(failure);
                    },
                    Tick::Overdue => {
                        let limit = coordinator.function.timeout.as_secs_f64();
                        coordinator.warn(format!(
                            "environment {} responded but did not request another invocation within the timeout of {limit} s; \
                             it was killed", coordinator.number
                        ));
                        return End::TimedOut;
                    }
                },
            }
        }
    }

    fn start(&mut self, role: Role, runtime_api: std::net::SocketAddr) -> Result<(), Failure> {
        let function = &self.coordinator.function;
        let command = match role {
            Role::Runtime => &function.command,
            Role::Extension(index) => function.extensions.get(index).map_or(&[][..], Vec::as_slice),
        };
        let directory = function.directory.as_deref();
        let ports = &mut self.ports;
        let started = variables(function, role, runtime_api, ports).and_then(|variables| {
            let command = command.iter().map(|word| ports.fill(word)).collect::<io::Result<Vec<_>>>()?;
            self.processes.start(LaunchSpec { role, command: &command, directory, variables })
        });
        let group = started.map_err(|error| Failure::CannotStart {
            program: command.first().cloned().unwrap_or_default(),
            error: obstacle(function, command).unwrap_or_else(|| words(&error)),
        })?;
        self.coordinator.add(group.clone());
        self.memory.add(group);
        Ok(())
    }

    fn notify_ready(&mut self) {
        if let Some(ready) = self.ready.take() {
            let (environment, function) = (self.coordinator.number, self.coordinator.function.name.clone());
            let init = self.started.elapsed();
            let _ = self.context.notices.send(Notice::Started { environment, function, init });
            let _ = ready.send(Ok(()));
        }
    }

    /// Reports the end to the pool and all waiting invocations, then ends the processes that still run.
    async fn end(&mut self, mut end: End, signals: &mut mpsc::UnboundedReceiver<Signal>) {
        // Its last words may still wait here.
        while let (End::Exit(..), Ok(signal)) = (&end, signals.try_recv()) {
            match signal {
                Signal::Ready => self.notify_ready(),
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
        let reported = matches!(end, End::Failed(Failure::InitError(..) | Failure::ExtensionError { .. }));
        let (failure, status) = match end {
            End::Closing => (Failure::ShuttingDown, "shutting down".to_owned()),
            End::TimedOut => (Failure::Exited("timed out".to_owned()), "timed out".to_owned()),
            End::Failed(failure) => (failure.clone(), failure.to_string()),
            End::Exit(Role::Extension(index), status) => {
                let name = self.coordinator.external(index).to_owned();
                let function = &self.coordinator.function;
                let command = function.extensions.get(index).filter(|_| !was_ready);
                let hint = Hint(command.and_then(|command| obstacle(function, command)));
                (Failure::ExtensionExit { name, status: status.clone(), hint }, status)
            }
            End::Exit(Role::Runtime, status) if was_ready => (Failure::Exited(status.clone()), status),
            End::Exit(Role::Runtime, status) => {
                let function = &self.coordinator.function;
                let hint = match obstacle(function, &function.command) {
                    // Otherwise it has failed, and has said why.
                    None if status == SUCCESS => missing_client(&self.coordinator),
                    obstacle => Hint(obstacle),
                };
                (Failure::InitExit(status.clone(), hint), status)
            }
        };
        if was_ready {
            if let Some(pool) = self.context.pool.upgrade() {
                pool.forget(self.coordinator.number);
            }
            // No exchange will report it.
            let by_extension = matches!(failure, Failure::ExtensionExit { .. } | Failure::ExtensionError { .. });
            if by_extension && !self.coordinator.has_work() {
                self.coordinator.warn(failure.to_string());
            }
        }
        self.coordinator.close(&failure, &status);
        if let Some(ready) = self.ready.take() {
            let _ = ready.send(Err(failure));
        }
        if reported {
            let _ = tokio::time::timeout(EXIT_GRACE, self.processes.ended()).await;
        }
        shut_down(&mut self.processes, &self.coordinator, reason).await;
    }
}
