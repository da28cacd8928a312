//! What the pool, the runtime and the extensions of one environment know of each other: invocations that wait, that are
//! worked on, that are over; who has asked for more; whether the environment is frozen. Owns no I/O: `runtime_api` and
//! `extensions_api` speak for the processes, `environment` acts on the [`Signal`]s.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use bytes::Bytes;
use serde_json::json;
use tokio::sync::{Notify, mpsc};

use super::api::Rejection;
use super::extensions_api;
use super::failure::Failure;
use super::pool::Pool;
use super::process::Group;
use super::state::{Handed, Invocation, Open, Over, Phase, State, milliseconds};
use crate::{Function, Notice, random};

/// What happened, for the environment to act on.
#[derive(Debug)]
pub(super) enum Signal {
    /// All external extensions have registered: the runtime is to be started.
    Registered,
    /// Init is done.
    Ready,
    /// The runtime or an extension reported that it cannot go on, or the memory is used up.
    Failed(Failure),
    /// The time for init or for an invocation is up.
    TimedOut,
}

pub(super) struct Desk {
    pub(super) number: u32,
    pub(super) function: Arc<Function>,
    pub(super) function_arn: String,
    /// Names of the external extensions.
    pub(super) externals: Vec<String>,
    pub(super) pool: Weak<Pool>,
    notices: mpsc::UnboundedSender<Notice>,
    signals: mpsc::UnboundedSender<Signal>,
    state: Mutex<State>,
    queued: Notify,
    /// There is something new for an extension.
    pub(super) events: Notify,
    /// Told when there is something to watch again, see [`Desk::tick`].
    pub(super) work: Notify,
}

/// What [`Desk::tick`] finds.
pub(super) enum Tick {
    /// Nothing to watch: no more ticks until [`Desk::work`] says so.
    Calm,
    Busy,
    /// The answer is there, but runtime or extensions have not asked for more in time.
    Overdue,
}

impl Desk {
    pub(super) fn new(
        number: u32,
        function: Arc<Function>,
        pool: Weak<Pool>,
        notices: mpsc::UnboundedSender<Notice>,
        signals: mpsc::UnboundedSender<Signal>,
    ) -> Self {
        let state = Mutex::new(State { ticking: true, ..State::default() });
        let (queued, events, work) = (Notify::new(), Notify::new(), Notify::new());
        let (function_arn, externals) = (function.arn(), extensions_api::names(&function));
        Self { number, function, function_arn, externals, pool, notices, signals, state, queued, events, work }
    }

    /// Several invocations at a time: Lambda Managed Instances.
    pub(super) fn is_managed(&self) -> bool {
        self.function.is_managed()
    }

    pub(super) fn signal(&self, signal: Signal) {
        let _ = self.signals.send(signal);
    }

    /// A process that is frozen and thawed with the environment.
    pub(super) fn add(&self, group: Group) {
        self.lock().groups.push(group);
    }

    /// Leaves an invocation for the runtime. Its `answer` is served in any case, also if the environment has ended.
    pub(super) fn leave(&self, invocation: Invocation) {
        let mut state = self.lock();
        if let Phase::Closed(status) = &state.phase {
            let _ = invocation.answer.send(Err(Failure::NeverTaken(status.clone())));
            return;
        }
        state.thaw();
        state.idle = false;
        state.until = Some(invocation.until);
        let tells_extensions = state.extensions.iter().any(|extension| extension.invoke);
        if tells_extensions {
            let event = self.invoke_event(&invocation);
            for extension in state.extensions.iter_mut().filter(|extension| extension.invoke) {
                extension.pending.push_back(event.clone());
            }
        }
        state.queued.push_back(invocation);
        let starts_ticking = !std::mem::replace(&mut state.ticking, true);
        drop(state);
        self.queued.notify_one();
        if tells_extensions {
            self.events.notify_waiters();
        }
        if starts_ticking {
            self.work.notify_one();
        }
    }

    fn invoke_event(&self, invocation: &Invocation) -> String {
        json!({
            "eventType": "INVOKE",
            "deadlineMs": milliseconds(invocation.deadline),
            "requestId": invocation.request_id,
            "invokedFunctionArn": self.function_arn,
            "tracing": { "type": "X-Amzn-Trace-Id", "value": invocation.trace_id },
        })
        .to_string()
    }

    /// On Managed Instances a timed-out invocation is not interrupted: it keeps its worker until that answers.
    pub(super) fn expire(&self, request_id: &str) {
        let mut state = self.lock();
        if let Some(open) = state.open.iter_mut().find(|open| open.request_id == request_id) {
            open.answer = None;
            return;
        }
        let before = state.queued.len();
        state.queued.retain(|invocation| invocation.request_id != request_id);
        let removed = state.queued.len() < before;
        drop(state);
        if removed {
            self.done();
        }
    }

    /// The environment ends: what is worked on fails as said, what has not been taken may be served by another one.
    pub(super) fn close(&self, failure: &Failure, status: &str) {
        let mut state = self.lock();
        state.phase = Phase::Closed(status.to_owned());
        for invocation in std::mem::take(&mut state.queued) {
            let _ = invocation.answer.send(Err(Failure::NeverTaken(status.to_owned())));
        }
        for answer in std::mem::take(&mut state.open).into_iter().filter_map(|open| open.answer) {
            let _ = answer.send(Err(failure.clone()));
        }
    }

    /// Whether an invocation waits or is worked on.
    pub(super) fn has_work(&self) -> bool {
        let state = self.lock();
        !state.queued.is_empty() || !state.open.is_empty()
    }

    pub(super) fn thaw(&self) {
        self.lock().thaw();
    }

    /// To be called now and then while there is work; cheap.
    pub(super) fn tick(&self) -> Tick {
        let mut state = self.lock();
        let has_work = !state.queued.is_empty() || !state.open.is_empty();
        let busy = match state.phase {
            Phase::Running if self.is_managed() => has_work,
            Phase::Running => !state.idle,
            Phase::Init | Phase::Closed(_) => true,
        };
        state.ticking = busy;
        let overdue = state.phase == Phase::Running
            && !self.is_managed()
            && !has_work
            && state.until.is_some_and(|until| Instant::now() > until);
        match busy {
            false => Tick::Calm,
            true if overdue => Tick::Overdue,
            true => Tick::Busy,
        }
    }

    /// The runtime's long poll. A caller that hangs up drops this future between two invocations. One that it has just
    /// been given is lost, as in Lambda, until the timeout.
    pub(super) async fn next(&self) -> Result<Handed, Rejection> {
        let mut polling = self.ask()?;
        loop {
            if let Some(handed) = self.take(&mut polling) {
                return Ok(handed);
            }
            self.queued.notified().await;
        }
    }

    fn ask(&self) -> Result<Polling<'_>, Rejection> {
        let mut state = self.lock();
        let most = self.function.invocations_per_environment.max(1);
        if !self.is_managed() && !state.open.is_empty() || self.is_managed() && state.polls >= most {
            let message = match self.is_managed() {
                true => "all workers are waiting already",
                false => "the present invocation has not been answered",
            };
            return Err(Rejection::forbidden("InvalidStateTransition", message));
        }
        state.polls += 1;
        state.has_asked = true;
        // A worker may give up an invocation that has timed out without a word, and ask again.
        let given_up = match state.polls + state.open.len() > most {
            true => state.open.iter().position(|open| open.answer.is_none()),
            false => None,
        };
        if let Some(index) = given_up {
            let Open { request_id, .. } = state.open.swap_remove(index);
            state.remember(Over { request_id, timed_out: true });
        }
        self.settle(state);
        if given_up.is_some() {
            self.done();
        }
        Ok(Polling { desk: self, counted: true })
    }

    fn take(&self, polling: &mut Polling<'_>) -> Option<Handed> {
        let mut state = self.lock();
        let Invocation { request_id, event, trace_id, deadline, answer, .. } = state.queued.pop_front()?;
        polling.counted = false;
        state.polls -= 1;
        let invocation_id = random::uuid();
        let open = Open { request_id: request_id.clone(), invocation_id: invocation_id.clone(), answer: Some(answer) };
        state.open.push(open);
        let more = !state.queued.is_empty();
        drop(state);
        if more {
            // One notice may have stood for two invocations.
            self.queued.notify_one();
        }
        Some(Handed { request_id, invocation_id, event, trace_id, deadline_ms: milliseconds(deadline) })
    }

    /// Takes an answer, if it may be given under this id and with the invocation id that was echoed. Echoing none is
    /// tolerated.
    pub(super) fn finish(
        &self,
        request_id: &str,
        echoed: Option<&[u8]>,
        answer: Result<Bytes, Failure>,
    ) -> Result<(), Rejection> {
        let gone = |timed_out| match timed_out {
            true => Rejection(http::StatusCode::GONE, "InvokeTimeout", "the invocation has timed out".to_owned()),
            false => Rejection(http::StatusCode::GONE, "InvocationOver", "the invocation is over".to_owned()),
        };
        let bad = |kind, message: &str| Rejection(http::StatusCode::BAD_REQUEST, kind, message.to_owned());
        let mut state = self.lock();
        let Some(index) = state.open.iter().position(|open| open.request_id == request_id) else {
            return Err(match state.over.iter().find(|over| over.request_id == request_id) {
                Some(over) => gone(over.timed_out),
                None => bad("InvalidRequestID", "Invalid request ID"),
            });
        };
        let own = state.open.get(index).map(|open| open.invocation_id.as_bytes());
        if echoed.is_some() && echoed != own {
            return Err(bad("InvalidInvocationId", "the invocation id is not the one of this request"));
        }
        let Open { request_id, answer: waiting, .. } = state.open.swap_remove(index);
        state.remember(Over { request_id, timed_out: waiting.is_none() });
        drop(state);
        if self.is_managed() {
            self.done();
        }
        match waiting {
            Some(waiting) => {
                let _ = waiting.send(answer);
                Ok(())
            }
            None => Err(gone(true)),
        }
    }

    /// The runtime cannot start.
    pub(super) fn init_error(&self, error: String) -> Result<(), Rejection> {
        if self.lock().phase != Phase::Init {
            return Err(Rejection::forbidden("InvalidStateTransition", "the init phase is over"));
        }
        self.signal(Signal::Failed(Failure::InitError(error)));
        Ok(())
    }

    pub(super) fn warn(&self, text: String) {
        let _ = self.notices.send(Notice::Warning { function: self.function.name.clone(), text });
    }

    /// A worker is free again.
    fn done(&self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.done(self.number);
        }
    }

    /// Moves on if all have asked that have to: from init to the first invocation, from an invocation to being idle.
    pub(super) fn settle(&self, mut state: MutexGuard<'_, State>) {
        match state.phase {
            Phase::Init => {
                let registered = state.extensions.iter().filter(|extension| extension.external).count();
                let all = registered == self.externals.len() && state.extensions.iter().all(|it| it.asking);
                if all && state.polls > 0 {
                    state.phase = Phase::Running;
                    state.idle = true;
                    self.signal(Signal::Ready);
                }
            }
            Phase::Running if !self.is_managed() && !state.idle => {
                let extensions = || state.extensions.iter().all(|it| !it.invoke || it.asking && it.pending.is_empty());
                if state.polls > 0 && state.queued.is_empty() && state.open.is_empty() && extensions() {
                    state.idle = true;
                    if self.function.freeze {
                        state.freeze();
                    }
                    drop(state);
                    if let Some(pool) = self.pool.upgrade() {
                        pool.waiting(self.number);
                    }
                }
            }
            Phase::Running | Phase::Closed(_) => {}
        }
    }

    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An open `next` call of the runtime.
struct Polling<'a> {
    desk: &'a Desk,
    counted: bool,
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        if self.counted {
            self.desk.lock().polls -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use tokio::sync::oneshot;

    use super::*;

    fn desk(invocations: usize) -> (Arc<Desk>, mpsc::UnboundedReceiver<Signal>) {
        let (signals, received) = mpsc::unbounded_channel();
        let mut function = Function::new("a", vec!["a".to_owned()]);
        function.invocations_per_environment = invocations;
        let notices = mpsc::unbounded_channel().0;
        (Arc::new(Desk::new(1, Arc::new(function), Weak::new(), notices, signals)), received)
    }

    fn invocation(request_id: &str) -> Invocation {
        let until = Instant::now() + Duration::from_secs(60);
        let (request_id, deadline) = (request_id.to_owned(), SystemTime::now() + Duration::from_secs(60));
        let (event, trace_id, answer) = (Bytes::new(), String::new(), oneshot::channel().0);
        Invocation { request_id, event, trace_id, deadline, until, answer }
    }

    #[tokio::test]
    async fn a_runtime_that_hangs_up_and_asks_again_is_told_once() {
        let (desk, mut received) = desk(1);
        for _ in 0..3 {
            assert!(tokio::time::timeout(Duration::from_millis(1), desk.next()).await.is_err());
        }
        desk.leave(invocation("a"));
        assert!(desk.next().await.is_ok_and(|handed| handed.request_id == "a"));
        assert!(matches!(received.try_recv(), Ok(Signal::Ready)));
        assert!(received.try_recv().is_err());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn as_many_workers_as_invocations_get_one_each() {
        let (desk, _received) = desk(4);
        for turn in 0..200 {
            let workers: Vec<_> = (0..4)
                .map(|_| Arc::clone(&desk))
                .map(|desk| tokio::spawn(async move { desk.next().await.map(|handed| handed.request_id).ok() }))
                .collect();
            for number in 0..4 {
                desk.leave(invocation(&format!("{turn}-{number}")));
            }
            let mut ids = Vec::new();
            for worker in workers {
                let id = tokio::time::timeout(Duration::from_secs(10), worker).await;
                ids.push(id.expect("a worker waits for an invocation that is there").unwrap().unwrap());
            }
            ids.sort_unstable();
            assert_eq!(ids, [0, 1, 2, 3].map(|number| format!("{turn}-{number}")));
            for id in ids {
                assert!(desk.finish(&id, None, Ok(Bytes::new())).is_ok());
            }
        }
    }
}
