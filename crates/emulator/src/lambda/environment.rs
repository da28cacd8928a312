//! One execution environment: a process, its Runtime API, and the task that watches over both. Owns the life of an
//! environment from start to end; which one gets an invocation is the pool's business.

use std::sync::{Arc, Weak};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use tokio::net::TcpListener;
use tokio::sync::{Notify, mpsc, oneshot, watch};

use super::failure::Failure;
use super::pool::Pool;
use super::process::Process;
use super::runtime_api::{Invocation, RuntimeApi, Signal};
use crate::{Function, Notice};

/// An environment, seen from outside.
pub(super) struct Environment {
    pub(super) number: u32,
    api: Arc<RuntimeApi>,
    kill: Notify,
}

/// What the watching task needs from the pool.
pub(super) struct Surroundings {
    pub(super) pool: Weak<Pool>,
    pub(super) notices: mpsc::UnboundedSender<Notice>,
    /// Turns true when all is to end.
    pub(super) closing: watch::Receiver<bool>,
    /// Held until the process is gone, so that a shutdown can wait for it.
    pub(super) alive: mpsc::Sender<()>,
}

impl Environment {
    /// Starts the process and waits until it asks for its first invocation. The new environment is the caller's until
    /// [`Environment::invoke`] is through.
    pub(super) async fn start(
        number: u32,
        function: &Function,
        surroundings: Surroundings,
    ) -> Result<Arc<Self>, Failure> {
        let program = function.command.first().cloned().unwrap_or_default();
        let cannot_start = |error: std::io::Error| {
            // Without "(os error 2)", which tells a developer nothing.
            let text = error.to_string();
            let text = text.split(" (os error").next().unwrap_or_default().to_owned();
            Failure::CannotStart { program: program.clone(), error: text }
        };
        let started = Instant::now();
        let listener = TcpListener::bind(("127.0.0.1", 0)).await.map_err(cannot_start)?;
        let address = listener.local_addr().map_err(cannot_start)?;
        let process = Process::start(function, number, address, &surroundings.notices).map_err(cannot_start)?;

        let (signals, received) = mpsc::unbounded_channel();
        let api = Arc::new(RuntimeApi::new(function.arn(), signals));
        let environment = Arc::new(Self { number, api: Arc::clone(&api), kill: Notify::new() });
        let (ready, readiness) = oneshot::channel();
        let watcher = Watcher {
            environment: Arc::clone(&environment),
            function: function.name.clone(),
            surroundings,
            started,
            ready: Some(ready),
        };
        tokio::spawn(watcher.watch(process, listener, received));

        match tokio::time::timeout(function.init_timeout, readiness).await {
            Ok(Ok(Ok(()))) => Ok(environment),
            Ok(Ok(Err(failure))) => Err(failure),
            Ok(Err(_)) => Err(Failure::ShuttingDown),
            Err(_) => {
                environment.kill.notify_one();
                Err(Failure::InitTimeout(function.init_timeout))
            }
        }
    }

    /// Hands over one event and waits for the answer. When the time is up, the process is killed, as Lambda does.
    pub(super) async fn invoke(&self, event: Bytes, trace_id: String, timeout: Duration) -> Result<Bytes, Failure> {
        let (answer, answered) = oneshot::channel();
        self.api.leave(Invocation { event, trace_id, deadline: SystemTime::now() + timeout, answer });
        match tokio::time::timeout(timeout, answered).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(_)) => Err(Failure::ShuttingDown),
            Err(_) => {
                self.kill.notify_one();
                Err(Failure::TimedOut(timeout))
            }
        }
    }
}

struct Watcher {
    environment: Arc<Environment>,
    function: String,
    surroundings: Surroundings,
    started: Instant,
    /// Whoever waits for the start; gone once told.
    ready: Option<oneshot::Sender<Result<(), Failure>>>,
}

impl Watcher {
    /// Runs for as long as the process does.
    async fn watch(
        mut self,
        mut process: Process,
        listener: TcpListener,
        mut signals: mpsc::UnboundedReceiver<Signal>,
    ) {
        let status = {
            let served = Arc::clone(&self.environment.api).serve(listener);
            tokio::pin!(served);
            let environment = Arc::clone(&self.environment);
            let mut closing = self.surroundings.closing.clone();
            loop {
                tokio::select! {
                    status = process.ended() => break status,
                    () = environment.kill.notified() => break process.end(true).await,
                    () = closed(&mut closing) => break process.end(false).await,
                    () = &mut served => {}
                    Some(signal) = signals.recv() => match signal {
                        Signal::Waiting => self.waiting(),
                        Signal::InitError(error) => {
                            // A runtime ends itself after this call; it gets the time to.
                            if let Some(ready) = self.ready.take() {
                                let _ = ready.send(Err(Failure::InitError(error)));
                                self.forget();
                                let quick = tokio::time::timeout(Duration::from_millis(200), async {
                                    tokio::select! { status = process.ended() => Some(status), () = &mut served => None }
                                });
                                break match quick.await {
                                    Ok(Some(status)) => status,
                                    _ => process.end(false).await,
                                };
                            }
                        }
                    },
                }
            }
        };
        self.forget();
        if let Some(ready) = self.ready.take() {
            // Its last words may still wait here.
            let failure = match signals.try_recv() {
                Ok(Signal::InitError(error)) => Failure::InitError(error),
                _ => Failure::InitExit(status.clone()),
            };
            let _ = ready.send(Err(failure));
        }
        self.environment.api.close(&status);
        process.tidy_up().await;
        let environment = self.environment.number;
        let _ = self.surroundings.notices.send(Notice::Exited { environment, status });
        drop(self.surroundings.alive);
    }

    fn waiting(&mut self) {
        let environment = self.environment.number;
        match self.ready.take() {
            Some(ready) => {
                let (function, init) = (self.function.clone(), self.started.elapsed());
                let _ = self.surroundings.notices.send(Notice::Started { environment, function, init });
                let _ = ready.send(Ok(()));
            }
            None => {
                if let Some(pool) = self.surroundings.pool.upgrade() {
                    pool.waiting(environment);
                }
            }
        }
    }

    fn forget(&self) {
        if let Some(pool) = self.surroundings.pool.upgrade() {
            pool.forget(self.environment.number);
        }
    }
}

async fn closed(closing: &mut watch::Receiver<bool>) {
    // The sender is gone with the pool, which is a closing too.
    let _ = closing.wait_for(|closing| *closing).await;
}
