//! The environments of the function, and which of them gets an invocation: one at a time each, idle ones first, a new one
//! when all are busy, none beyond the limit. Does not own how an environment is started, watched or ended.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, mpsc, watch};
use tokio::time::Instant;

use super::environment::{Environment, Surroundings};
use super::failure::Failure;
use crate::{Function, Notice};

/// How long a request waits for an environment that has answered but not yet asked for more, before a new one is started.
/// Without it a client that sends request after request would have two environments.
const ABOUT_TO_BE_IDLE: Duration = Duration::from_millis(500);
/// How often an invocation is given to another environment because the chosen one ended without having taken it.
const ATTEMPTS: usize = 3;

pub(crate) struct Pool {
    function: Function,
    /// The last number that an environment has got, of all functions.
    numbers: Arc<AtomicU32>,
    notices: mpsc::UnboundedSender<Notice>,
    state: Mutex<State>,
    changed: Notify,
    closing: watch::Sender<bool>,
    /// Cloned into every environment; `None` once the pool is closed.
    alive: Mutex<Option<mpsc::Sender<()>>>,
}

/// An invocation that was tried: by which environment, and whether it had to be started.
pub(crate) struct Invoked {
    pub(crate) answer: Result<Bytes, Failure>,
    pub(crate) environment: Option<u32>,
    pub(crate) cold: bool,
    pub(crate) request_id: Option<String>,
    /// The most memory that the environment has used so far, in bytes.
    pub(crate) memory: Option<u64>,
}

#[derive(Default)]
struct State {
    slots: BTreeMap<u32, Slot>,
    /// Idle environments, the last used at the end.
    idle: Vec<u32>,
    /// How many requests wait for an environment that is about to be idle.
    waiting: usize,
}

struct Slot {
    stage: Stage,
    /// Counts the invocations, so that a late message about one is not taken for the next.
    turn: u64,
    /// `None` while it starts.
    environment: Option<Arc<Environment>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Starting or working.
    Busy,
    /// Has answered, and has not yet asked for more.
    Answered,
    Idle,
}

enum Turn {
    Reuse(Arc<Environment>, u64),
    Start(u32),
}

impl Pool {
    pub(crate) fn new(
        function: Function,
        numbers: Arc<AtomicU32>,
        notices: mpsc::UnboundedSender<Notice>,
    ) -> (Arc<Self>, mpsc::Receiver<()>) {
        let (alive, ended) = mpsc::channel(1);
        let pool = Self {
            function,
            numbers,
            notices,
            state: Mutex::default(),
            changed: Notify::new(),
            closing: watch::Sender::new(false),
            alive: Mutex::new(Some(alive)),
        };
        (Arc::new(pool), ended)
    }

    /// Invokes the function once. Do not drop the future early: an invocation completes even if nobody waits for it.
    pub(crate) async fn invoke(self: &Arc<Self>, event: Bytes, trace_id: &str) -> Invoked {
        let mut attempt = 1;
        loop {
            let (environment, turn, cold) = match self.acquire().await {
                Ok(acquired) => acquired,
                Err(answer) => {
                    let nothing = (None, None);
                    let (request_id, memory) = nothing;
                    return Invoked { answer: Err(answer), environment: None, cold: false, request_id, memory };
                }
            };
            let number = environment.number;
            let answer = environment.invoke(event.clone(), trace_id.to_owned(), self.function.timeout).await;
            match &answer {
                Err(Failure::NeverTaken(_)) if attempt < ATTEMPTS => {
                    attempt += 1;
                    continue;
                }
                // Its process is being killed; the next request need not wait for that.
                Err(Failure::TimedOut(_)) => self.forget(number),
                _ => self.answered(number, turn),
            }
            return Invoked { answer, environment: Some(number), cold, request_id: None, memory: None };
        }
    }

    /// Ends every environment: SIGTERM, then SIGKILL. Await the receiver that [`Pool::new`] gave to know that all are gone.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
        self.alive.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// An environment asks for another invocation.
    pub(super) fn waiting(&self, number: u32) {
        let mut state = self.lock();
        if let Some(slot) = state.slots.get_mut(&number).filter(|slot| slot.stage != Stage::Idle) {
            slot.stage = Stage::Idle;
            state.idle.push(number);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// An environment has ended or is about to.
    pub(super) fn forget(&self, number: u32) {
        let mut state = self.lock();
        state.slots.remove(&number);
        state.idle.retain(|idle| *idle != number);
        drop(state);
        self.changed.notify_waiters();
    }

    fn answered(&self, number: u32, turn: u64) {
        let mut state = self.lock();
        // It may have asked for more before this is heard of, and even have got it.
        if let Some(slot) = state.slots.get_mut(&number).filter(|slot| slot.turn == turn && slot.stage == Stage::Busy) {
            slot.stage = Stage::Answered;
        }
    }

    async fn acquire(self: &Arc<Self>) -> Result<(Arc<Environment>, u64, bool), Failure> {
        match self.choose().await? {
            Turn::Reuse(environment, turn) => Ok((environment, turn, false)),
            Turn::Start(number) => {
                let environment = self.start(number).await.inspect_err(|_| self.forget(number))?;
                if let Some(slot) = self.lock().slots.get_mut(&number) {
                    slot.environment = Some(Arc::clone(&environment));
                }
                Ok((environment, 0, true))
            }
        }
    }

    async fn start(self: &Arc<Self>, number: u32) -> Result<Arc<Environment>, Failure> {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let surroundings = Surroundings {
            pool: Arc::downgrade(self),
            notices: self.notices.clone(),
            closing: self.closing.subscribe(),
            alive: alive.ok_or(Failure::ShuttingDown)?,
        };
        Environment::start(number, &self.function, surroundings).await
    }

    async fn choose(&self) -> Result<Turn, Failure> {
        let patience = Instant::now() + ABOUT_TO_BE_IDLE;
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed, also not one between the look below and the wait.
            changed.as_mut().enable();
            {
                let mut state = self.lock();
                if let Some(turn) = state.reuse() {
                    return Ok(turn);
                }
                let about_to_be_idle = state.slots.values().filter(|slot| slot.stage == Stage::Answered).count();
                if about_to_be_idle <= state.waiting || Instant::now() >= patience {
                    return state.reserve(self.function.max_concurrency, &self.numbers);
                }
                state.waiting += 1;
            }
            let _ = tokio::time::timeout_at(patience, changed).await;
            self.lock().waiting -= 1;
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn reuse(&mut self) -> Option<Turn> {
        while let Some(number) = self.idle.pop() {
            if let Some(slot) = self.slots.get_mut(&number)
                && let Some(environment) = &slot.environment
            {
                slot.stage = Stage::Busy;
                slot.turn += 1;
                return Some(Turn::Reuse(Arc::clone(environment), slot.turn));
            }
        }
        None
    }

    fn reserve(&mut self, limit: usize, numbers: &AtomicU32) -> Result<Turn, Failure> {
        if self.slots.len() >= limit {
            return Err(Failure::Throttled { limit });
        }
        let number = numbers.fetch_add(1, Ordering::Relaxed) + 1;
        self.slots.insert(number, Slot { stage: Stage::Busy, turn: 0, environment: None });
        Ok(Turn::Start(number))
    }
}
