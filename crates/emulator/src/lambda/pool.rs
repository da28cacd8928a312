//! The environments of the function, and which of them gets an invocation: one at a time each (several on Lambda
//! Managed Instances), idle ones first, a new one when all are busy, none beyond the limit; which requests wait and
//! which are throttled; and the second try of an init phase that failed. Does not own how an environment is started,
//! watched or ended.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, TryAcquireError, mpsc, watch};
use tokio::time::Instant;

use super::environment::{Environment, EnvironmentContext, TimeLimit};
use super::failure::Failure;
use super::stream::Answer;
use super::{extension, variables};
use crate::notice::Backlog;
use crate::{Function, Notice};

/// The time that a request waits for an environment that has responded but not yet called `next`, before a new one is
/// started. Without it, sequential requests would use two environments.
const ABOUT_TO_BE_IDLE: Duration = Duration::from_millis(500);
/// Likewise if no other environment may be started. Many processes on few processors take longer to call `next`, and
/// the request is throttled afterwards.
const ABOUT_TO_BE_IDLE_AT_THE_LIMIT: Duration = Duration::from_secs(5);
/// On Managed Instances, requests wait for an environment that is starting. It becomes ready or is removed long before
/// this.
const ABOUT_TO_START: Duration = Duration::from_secs(3600);
/// The most requests of a function without reserved concurrency that are in progress or wait: the default concurrency
/// of an AWS account ("Lambda quotas").
const ACCOUNT_CONCURRENCY: usize = 1000;
/// Requests that wait longer are reported, once.
const LONG_WAIT: Duration = Duration::from_secs(1);
/// The shortest limit of the init phase on Managed Instances; the function's timeout if that is longer.
const MANAGED_INIT: Duration = Duration::from_secs(130);
/// The most environments that are tried for an invocation, if each ends without having received it.
const ATTEMPTS: usize = 3;

pub(crate) struct Pool {
    function: Arc<Function>,
    /// The number of the last environment, over all functions.
    numbers: Arc<AtomicU32>,
    notices: mpsc::UnboundedSender<Notice>,
    backlog: Arc<Backlog>,
    state: Mutex<State>,
    changed: Notify,
    /// A permit for each request that is in progress or waits. Without one, a request is throttled.
    admission: Arc<Semaphore>,
    /// A permit for each invocation without a response. Requests wait for one, in their order.
    turns: Arc<Semaphore>,
    /// The most environments that start at the same time: each has its share of the processors within the init timeout.
    most_starting: usize,
    closing: watch::Sender<bool>,
    /// Becomes true when other settings are in use.
    retiring: watch::Sender<bool>,
    /// Cloned into every environment; `None` once the pool is closed.
    alive: Mutex<Option<mpsc::Sender<()>>>,
    /// The warning that there is no telemetry has been sent.
    pub(super) telemetry_warned: AtomicBool,
    wait_warned: AtomicBool,
}

/// A request's right to an invocation, until it has a response.
pub(crate) struct Turn(#[expect(dead_code, reason = "held for their drop")] [OwnedSemaphorePermit; 2]);

/// The result of an invocation, and the environment that served it.
pub(crate) struct Invoked {
    pub(crate) answer: Result<Answer, Failure>,
    pub(crate) environment: Option<u32>,
    pub(crate) cold: bool,
    pub(crate) request_id: Option<String>,
    /// The most memory that the environment has used so far, in bytes.
    pub(crate) memory: Option<u64>,
}

impl Invoked {
    /// An invocation that reached no environment.
    fn not(failure: Failure) -> Self {
        Self { answer: Err(failure), environment: None, cold: false, request_id: None, memory: None }
    }
}

#[derive(Default)]
struct State {
    slots: BTreeMap<u32, Slot>,
    /// Environments that take another invocation, the last used at the end.
    free: Vec<u32>,
    /// The number of requests that wait for an environment that is about to be free.
    waiting: usize,
}

struct Slot {
    stage: Stage,
    /// Counts the invocations, so that a late message about one is not mistaken for the next.
    turn: u64,
    /// The number of its open invocations.
    in_hand: usize,
    /// `None` while it is starting.
    environment: Option<Arc<Environment>>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// Starting or working.
    Busy,
    /// It has responded and not yet called `next`.
    Answered,
    Idle,
}

enum Choice {
    Reuse(Arc<Environment>, u64),
    Start(u32),
}

struct Acquired {
    environment: Arc<Environment>,
    turn: u64,
    cold: bool,
    time: TimeLimit,
}

impl Pool {
    pub(crate) fn new(
        function: Function,
        numbers: Arc<AtomicU32>,
        notices: mpsc::UnboundedSender<Notice>,
        backlog: Arc<Backlog>,
    ) -> (Arc<Self>, mpsc::Receiver<()>) {
        let (alive, ended) = mpsc::channel(1);
        let turns = function.max_concurrency.saturating_mul(function.invocations_per_environment.max(1));
        let admitted = if function.reserved_by.is_some() { turns } else { turns.max(ACCOUNT_CONCURRENCY) };
        let permits = |count: usize| Arc::new(Semaphore::new(count.min(Semaphore::MAX_PERMITS)));
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let pool = Self {
            function: Arc::new(function),
            numbers,
            notices,
            backlog,
            state: Mutex::default(),
            changed: Notify::new(),
            admission: permits(admitted),
            turns: permits(turns),
            most_starting: processors.saturating_mul(2).max(4),
            closing: watch::Sender::new(false),
            retiring: watch::Sender::new(false),
            alive: Mutex::new(Some(alive)),
            telemetry_warned: AtomicBool::new(false),
            // In a debugger's session, requests are meant to wait.
            wait_warned: AtomicBool::new(turns == 1),
        };
        let warnings = [variables::too_many(&pool.function), extension::same_name(&pool.function)];
        warnings.into_iter().flatten().for_each(|text| pool.warn(text));
        (Arc::new(pool), ended)
    }

    /// Invokes the function once, in its turn. Do not drop the future early: Lambda completes an invocation even if
    /// nobody waits for it.
    pub(crate) async fn invoke(self: &Arc<Self>, event: Bytes, trace_id: &str) -> Invoked {
        match self.turn().await {
            Ok(turn) => self.invoke_in(turn, event, trace_id).await,
            Err(failure) => Invoked::not(failure),
        }
    }

    /// Waits until another invocation is allowed.
    ///
    /// # Errors
    ///
    /// [`Failure::Throttled`] if a setting or AWS allows no more; [`Failure::ShuttingDown`].
    pub(crate) async fn turn(&self) -> Result<Turn, Failure> {
        let admitted = Arc::clone(&self.admission).try_acquire_owned().map_err(|error| match error {
            TryAcquireError::NoPermits => self.throttled(),
            TryAcquireError::Closed => Failure::ShuttingDown,
        })?;
        let mut turn = pin!(Arc::clone(&self.turns).acquire_owned());
        let turn = match tokio::time::timeout(LONG_WAIT, turn.as_mut()).await {
            Ok(turn) => turn,
            Err(_) => {
                self.warn_of_waiting();
                turn.await
            }
        };
        Ok(Turn([admitted, turn.map_err(|_| Failure::ShuttingDown)?]))
    }

    fn throttled(&self) -> Failure {
        let Function { max_concurrency, reserved_by, .. } = *self.function;
        let limit = if reserved_by.is_some() { max_concurrency } else { max_concurrency.max(ACCOUNT_CONCURRENCY) };
        Failure::Throttled { limit, reserved_by }
    }

    fn warn_of_waiting(&self) {
        if !self.wait_warned.swap(true, Ordering::Relaxed) {
            self.warn(format!(
                "all {} environments are busy, and further requests wait; in AWS they do not: start more with \
                 `--max-concurrency`, which throttles further requests as a reserved concurrency does",
                self.function.max_concurrency
            ));
        }
    }

    /// Like [`Pool::invoke`], for a request whose turn it is.
    pub(crate) async fn invoke_in(self: &Arc<Self>, own: Turn, event: Bytes, trace_id: &str) -> Invoked {
        let mut attempt = 1;
        loop {
            let Acquired { environment, turn, cold, time } = match self.acquire().await {
                Ok(acquired) => acquired,
                Err(failure) => return Invoked::not(failure),
            };
            let number = environment.number;
            let began = Instant::now();
            let (request_id, mut answer) = environment.invoke(event.clone(), trace_id.to_owned(), time).await;
            match &mut answer {
                // It stays busy, and the request keeps its turn, until the last byte.
                Ok(Answer::Streamed(streamed)) => {
                    let time = TimeLimit { left: time.left.saturating_sub(began.elapsed()), ..time };
                    let ended = Arc::clone(&environment).until_streamed(streamed, request_id.clone(), time);
                    streamed.keeps_busy(Arc::clone(self), number, turn);
                    let pool = Arc::clone(self);
                    tokio::spawn(async move {
                        ended.await;
                        // Again, as nobody may have read the response to its end.
                        pool.answered(number, turn);
                        drop(own);
                    });
                    let (environment, request_id, memory) = (Some(number), Some(request_id), environment.memory());
                    return Invoked { answer, environment, cold, request_id, memory };
                }
                Err(Failure::NeverTaken(_)) if attempt < ATTEMPTS => {
                    attempt += 1;
                    continue;
                }
                // It is being reset; the next request need not wait for that.
                Err(Failure::TimedOut { killed: true, .. } | Failure::OutOfMemory { .. }) => self.forget(number),
                _ => self.answered(number, turn),
            }
            let (environment, request_id, memory) = (Some(number), Some(request_id), environment.memory());
            return Invoked { answer, environment, cold, request_id, memory };
        }
    }

    /// Ends each environment as soon as it is idle. Further invocations are possible.
    pub(crate) fn retire(&self) {
        self.retiring.send_replace(true);
    }

    /// Lets the receiver from [`Pool::new`] close when all environments have ended: no other one starts.
    pub(crate) fn leave(&self) {
        self.alive.lock().unwrap_or_else(PoisonError::into_inner).take();
    }

    /// Ends every environment. The receiver from [`Pool::new`] closes when all have ended.
    pub(crate) fn close(&self) {
        self.closing.send_replace(true);
        self.admission.close();
        self.turns.close();
        self.changed.notify_waiters();
        self.leave();
    }

    /// Notes that an environment has called `next`.
    pub(super) fn waiting(&self, number: u32) {
        let mut state = self.lock();
        if let Some(slot) = state.slots.get_mut(&number).filter(|slot| slot.stage != Stage::Idle) {
            slot.stage = Stage::Idle;
            slot.in_hand = 0;
            state.free.push(number);
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// On Managed Instances: notes that one of an environment's invocations has finished.
    pub(super) fn done(&self, number: u32) {
        let mut state = self.lock();
        let capacity = self.capacity();
        if let Some(slot) = state.slots.get_mut(&number) {
            let was_full = slot.in_hand >= capacity;
            slot.in_hand = slot.in_hand.saturating_sub(1);
            if was_full {
                state.free.push(number);
            }
        }
        drop(state);
        self.changed.notify_waiters();
    }

    /// Removes an environment that has ended or is about to.
    pub(super) fn forget(&self, number: u32) {
        let mut state = self.lock();
        state.slots.remove(&number);
        state.free.retain(|free| *free != number);
        drop(state);
        self.changed.notify_waiters();
    }

    pub(super) fn answered(&self, number: u32, turn: u64) {
        let mut state = self.lock();
        // It may have asked for more before this is heard of, and even have got it.
        if let Some(slot) = state.slots.get_mut(&number).filter(|slot| slot.turn == turn && slot.stage == Stage::Busy) {
            slot.stage = Stage::Answered;
        }
    }

    async fn acquire(self: &Arc<Self>) -> Result<Acquired, Failure> {
        let limit = self.function.timeout;
        let number = match self.choose().await? {
            Choice::Reuse(environment, turn) => {
                return Ok(Acquired { environment, turn, cold: false, time: TimeLimit { limit, left: limit } });
            }
            Choice::Start(number) => number,
        };
        match self.start(number, self.init_timeout()).await {
            Ok(environment) => Ok(self.enter(environment, TimeLimit { limit, left: limit })),
            // On Managed Instances nothing is repaired, environments are replaced.
            Err(failure) if failure.is_of_init() && !self.function.is_managed() => {
                self.warn(format!(
                    "{}; its init phase is retried within the invocation, as in Lambda",
                    failure.brief()
                ));
                let number = self.renumber(number);
                let started = Instant::now();
                match self.start(number, limit).await {
                    Ok(environment) => {
                        let left = limit.saturating_sub(started.elapsed());
                        Ok(self.enter(environment, TimeLimit { limit, left }))
                    }
                    Err(failure) => {
                        self.forget(number);
                        Err(match failure {
                            Failure::InitTimeout(limit, hint) => Failure::SecondInitTimeout(limit, hint),
                            failure => failure,
                        })
                    }
                }
            }
            Err(failure) => {
                self.forget(number);
                Err(failure)
            }
        }
    }

    fn init_timeout(&self) -> Duration {
        match self.function.is_managed() {
            true => self.function.init_timeout.max(MANAGED_INIT).max(self.function.timeout),
            false => self.function.init_timeout,
        }
    }

    /// Replaces a failed environment by a slot for the second try, so that no other request can take its place.
    fn renumber(&self, failed: u32) -> u32 {
        let mut state = self.lock();
        state.slots.remove(&failed);
        state.place(&self.numbers)
    }

    fn enter(&self, environment: Arc<Environment>, time: TimeLimit) -> Acquired {
        let mut state = self.lock();
        let number = environment.number;
        if let Some(slot) = state.slots.get_mut(&number) {
            slot.environment = Some(Arc::clone(&environment));
            slot.in_hand = 1;
            if self.capacity() > 1 {
                state.free.push(number);
            }
        }
        drop(state);
        self.changed.notify_waiters();
        Acquired { environment, turn: 0, cold: true, time }
    }

    async fn start(self: &Arc<Self>, number: u32, limit: Duration) -> Result<Arc<Environment>, Failure> {
        let alive = self.alive.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let context = EnvironmentContext {
            pool: Arc::downgrade(self),
            notices: self.notices.clone(),
            backlog: Arc::clone(&self.backlog),
            closing: self.closing.subscribe(),
            retiring: self.retiring.subscribe(),
            alive: alive.ok_or(Failure::ShuttingDown)?,
        };
        Environment::start(number, &self.function, limit, context).await
    }

    async fn choose(&self) -> Result<Choice, Failure> {
        let began = Instant::now();
        let (managed, capacity) = (self.function.is_managed(), self.capacity());
        let patience = began + if managed { ABOUT_TO_START } else { ABOUT_TO_BE_IDLE };
        let throttled_at = self.function.reserved_by.map(|_| began + ABOUT_TO_BE_IDLE_AT_THE_LIMIT);
        loop {
            let changed = self.changed.notified();
            tokio::pin!(changed);
            // From here on no change is missed, also not one between the look below and the wait.
            changed.as_mut().enable();
            if *self.closing.borrow() {
                return Err(Failure::ShuttingDown);
            }
            let until = {
                let mut state = self.lock();
                if let Some(choice) = state.reuse(capacity) {
                    return Ok(choice);
                }
                let starting = state.slots.values().filter(|slot| slot.environment.is_none()).count();
                let at_the_limit = state.slots.len() >= self.function.max_concurrency;
                let about_to_be_free: usize = match managed {
                    // Whoever starts one takes the first place in it.
                    true => starting * (capacity - 1),
                    false => state.slots.values().filter(|slot| slot.stage == Stage::Answered).count(),
                };
                let now = Instant::now();
                let is_impatient = about_to_be_free <= state.waiting || now >= patience;
                if is_impatient && !at_the_limit && starting < self.most_starting {
                    return Ok(Choice::Start(state.place(&self.numbers)));
                }
                if at_the_limit && throttled_at.is_some_and(|at| now >= at) {
                    return Err(self.throttled());
                }
                state.waiting += 1;
                // Nothing but a change ends a wait that is over by this time.
                [Some(patience), throttled_at].into_iter().flatten().filter(|at| *at > now).min()
            };
            match until {
                Some(until) => drop(tokio::time::timeout_at(until, changed).await),
                None => changed.await,
            }
            self.lock().waiting -= 1;
        }
    }

    /// The most concurrent invocations in one environment.
    fn capacity(&self) -> usize {
        self.function.invocations_per_environment.max(1)
    }

    fn warn(&self, text: String) {
        let _ = self.notices.send(Notice::Warning { function: self.function.name.clone(), text });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn reuse(&mut self, capacity: usize) -> Option<Choice> {
        while let Some(number) = self.free.last() {
            let slot = self.slots.get_mut(number);
            let Some((environment, slot)) = slot.and_then(|slot| Some((slot.environment.clone()?, slot))) else {
                self.free.pop();
                continue;
            };
            slot.stage = Stage::Busy;
            slot.turn = slot.turn.wrapping_add(1);
            slot.in_hand += 1;
            let turn = slot.turn;
            if slot.in_hand >= capacity {
                self.free.pop();
            }
            return Some(Choice::Reuse(environment, turn));
        }
        None
    }

    fn place(&mut self, numbers: &AtomicU32) -> u32 {
        let number = numbers.fetch_add(1, Ordering::Relaxed).wrapping_add(1);
        self.slots.insert(number, Slot { stage: Stage::Busy, turn: 0, in_hand: 1, environment: None });
        number
    }
}
