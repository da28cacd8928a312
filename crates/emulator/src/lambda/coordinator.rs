//! The state that the pool, the runtime and the extensions of one environment share: queued, open and finished
//! invocations, open calls, and whether the environment is frozen. Does no I/O: `runtime_api` and `extensions_api`
//! speak for the processes, `environment` acts on the [`Signal`]s.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Instant;

use http::HeaderValue;
use serde_json::json;
use tokio::sync::{Notify, mpsc};

use super::call::Rejection;
use super::extension;
use super::failure::{Failure, Hint};
use super::launch;
use super::pool::Pool;
use super::process::Group;
use super::state::{Finished, InProgress, Invocation, NextInvocation, Phase, Stage, State, milliseconds};
use super::stream::{self, Answer, Sink};
use crate::{Function, Notice, random};

/// Events that the environment reacts to.
#[derive(Debug)]
pub(super) enum Signal {
    /// All external extensions have registered: start the runtime.
    Registered,
    /// Init is done.
    Ready,
    /// The runtime or an extension reported a fatal error, or the memory is used up.
    Failed(Failure),
    /// The time for init or for an invocation is up.
    TimedOut,
}

pub(super) struct Coordinator {
    pub(super) number: u32,
    pub(super) function: Arc<Function>,
    pub(super) function_arn: String,
    /// Names of the external extensions.
    pub(super) externals: Vec<String>,
    pub(super) pool: Weak<Pool>,
    /// The Runtime API has been called.
    has_runtime_client: AtomicBool,
    notices: mpsc::UnboundedSender<Notice>,
    signals: mpsc::UnboundedSender<Signal>,
    state: Mutex<State>,
    queued: Notify,
    /// There is something new for an extension.
    pub(super) events: Notify,
    /// Notified when ticks are needed again, see [`Coordinator::tick`].
    pub(super) work: Notify,
}

/// The result of [`Coordinator::tick`].
pub(super) enum Tick {
    /// There is no work: no more ticks until [`Coordinator::work`] is notified.
    Calm,
    Busy,
    /// The response was posted, but the runtime or an extension has not called `next` in time.
    Overdue,
}

impl Coordinator {
    pub(super) fn new(
        number: u32,
        function: Arc<Function>,
        pool: Weak<Pool>,
        notices: mpsc::UnboundedSender<Notice>,
        signals: mpsc::UnboundedSender<Signal>,
    ) -> Self {
        let state = Mutex::new(State { ticking: true, ..State::default() });
        let (queued, events, work) = (Notify::new(), Notify::new(), Notify::new());
        let (function_arn, externals) = (function.arn(), extension::names(&function));
        let has_runtime_client = AtomicBool::new(false);
        Self {
            number,
            function,
            function_arn,
            externals,
            pool,
            has_runtime_client,
            notices,
            signals,
            state,
            queued,
            events,
            work,
        }
    }

    /// Several invocations at a time: Lambda Managed Instances.
    pub(super) fn is_managed(&self) -> bool {
        self.function.is_managed()
    }

    /// Notes a call of the Runtime API.
    pub(super) fn runtime_called(&self) {
        self.has_runtime_client.store(true, Ordering::Relaxed);
    }

    /// Returns true if the Runtime API has been called.
    pub(super) fn has_runtime_client(&self) -> bool {
        self.has_runtime_client.load(Ordering::Relaxed)
    }

    pub(super) fn signal(&self, signal: Signal) {
        let _ = self.signals.send(signal);
    }

    /// Adds a process group that is frozen and thawed with the environment.
    pub(super) fn add(&self, group: Group) {
        self.lock().groups.push(group);
    }

    /// Queues an invocation for the runtime. Its `answer` always gets a result, even if the environment has ended.
    pub(super) fn enqueue(&self, invocation: Invocation) {
        let mut state = self.lock();
        if let Phase::Closed(status) = &state.phase {
            let _ = invocation.answer.send(Err(Failure::NeverTaken(status.clone())));
            return;
        }
        state.thaw();
        state.idle = false;
        state.until = Some(invocation.until);
        let has_listeners = state.extensions.iter().any(|extension| extension.invoke);
        if has_listeners {
            let event = self.invoke_event(&invocation);
            for extension in state.extensions.iter_mut().filter(|extension| extension.invoke) {
                extension.pending.push_back(event.clone());
            }
        }
        state.queued.push_back(invocation);
        let starts_ticking = !std::mem::replace(&mut state.ticking, true);
        drop(state);
        self.queued.notify_one();
        if has_listeners {
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

    /// Expires an invocation on Managed Instances. It is not interrupted, and occupies its worker until that responds.
    pub(super) fn expire(&self, request_id: &str) {
        let mut state = self.lock();
        if let Some(open) = state.open.iter_mut().find(|open| open.request_id == request_id) {
            open.stage = Stage::TimedOut;
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

    /// Closes the environment: open invocations fail with `failure`, queued ones may be served by another environment.
    pub(super) fn close(&self, failure: &Failure, status: &str) {
        let mut state = self.lock();
        state.phase = Phase::Closed(status.to_owned());
        for invocation in std::mem::take(&mut state.queued) {
            let _ = invocation.answer.send(Err(Failure::NeverTaken(status.to_owned())));
        }
        for open in std::mem::take(&mut state.open) {
            if let Stage::Waiting(answer) = open.stage {
                let _ = answer.send(Err(failure.clone()));
            }
        }
    }

    /// Returns whether an invocation is queued or open.
    pub(super) fn has_work(&self) -> bool {
        let state = self.lock();
        !state.queued.is_empty() || !state.open.is_empty()
    }

    pub(super) fn thaw(&self) {
        self.lock().thaw();
    }

    /// Checks the state. Call it at intervals while there is work; it is cheap.
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

    /// Waits for the next invocation. A caller that hangs up drops this future between two invocations. One that it has
    /// just received is lost until the timeout, as in Lambda.
    pub(super) async fn next(&self) -> Result<NextInvocation, Rejection> {
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
                true => "all workers are already waiting",
                false => "the current invocation has no response yet",
            };
            return Err(Rejection::forbidden("InvalidStateTransition", message));
        }
        state.polls += 1;
        state.has_asked = true;
        // A worker may give up an invocation that has timed out without a word, and ask again.
        let given_up = match state.polls + state.open.len() > most {
            true => state.open.iter().position(|open| matches!(open.stage, Stage::TimedOut)),
            false => None,
        };
        if let Some(index) = given_up {
            let InProgress { request_id, .. } = state.open.swap_remove(index);
            state.remember(Finished { request_id, timed_out: true });
        }
        self.settle(state);
        if given_up.is_some() {
            self.done();
        }
        Ok(Polling { coordinator: self, counted: true })
    }

    fn take(&self, polling: &mut Polling<'_>) -> Option<NextInvocation> {
        let mut state = self.lock();
        let Invocation { request_id, event, trace_id, deadline, answer, .. } = state.queued.pop_front()?;
        polling.counted = false;
        state.polls -= 1;
        let invocation_id = random::uuid();
        let (stage, id) = (Stage::Waiting(answer), invocation_id.clone());
        let open = InProgress { request_id: request_id.clone(), invocation_id: id, stage };
        state.open.push(open);
        let more = !state.queued.is_empty();
        drop(state);
        if more {
            // One notice may have stood for two invocations.
            self.queued.notify_one();
        }
        Some(NextInvocation { request_id, invocation_id, event, trace_id, deadline_ms: milliseconds(deadline) })
    }

    /// Accepts a response under this request ID and with the invocation ID that was echoed. A missing invocation ID is
    /// tolerated.
    pub(super) fn finish(
        &self,
        request_id: &str,
        echoed: Option<&[u8]>,
        answer: Result<Answer, Failure>,
    ) -> Result<(), Rejection> {
        let mut state = self.lock();
        let index = open_at(&state, request_id, echoed)?;
        let InProgress { request_id, stage, .. } = state.open.swap_remove(index);
        state.remember(Finished { request_id, timed_out: matches!(stage, Stage::TimedOut) });
        drop(state);
        if self.is_managed() {
            self.done();
        }
        match stage {
            Stage::Waiting(waiting) => {
                let _ = waiting.send(answer);
                Ok(())
            }
            Stage::Streaming => Ok(()),
            Stage::TimedOut => Err(gone(true)),
        }
    }

    /// Begins a streamed response to an invocation, which stays open until [`Coordinator::finish`].
    pub(super) fn stream(
        &self,
        request_id: &str,
        echoed: Option<&[u8]>,
        content_type: Option<HeaderValue>,
    ) -> Result<Sink, Rejection> {
        let mut state = self.lock();
        let index = open_at(&state, request_id, echoed)?;
        let Some(open) = state.open.get_mut(index) else { return Err(gone(false)) };
        match std::mem::replace(&mut open.stage, Stage::Streaming) {
            Stage::Waiting(waiting) => {
                let (sink, streamed) = stream::channel(content_type);
                let _ = waiting.send(Ok(Answer::Streamed(streamed)));
                Ok(sink)
            }
            Stage::Streaming => Err(gone(false)),
            Stage::TimedOut => {
                open.stage = Stage::TimedOut;
                Err(gone(true))
            }
        }
    }

    /// Reports that the runtime cannot initialise.
    pub(super) fn init_error(&self, mut error: String) -> Result<(), Rejection> {
        if self.lock().phase != Phase::Init {
            return Err(Rejection::forbidden("InvalidStateTransition", "the init phase is over"));
        }
        let hint = Hint(launch::advice(&error).map(str::to_owned));
        if hint.0.is_some() && error.ends_with('.') {
            error.pop();
        }
        self.signal(Signal::Failed(Failure::InitError(error, hint)));
        Ok(())
    }

    pub(super) fn warn(&self, text: String) {
        let _ = self.notices.send(Notice::Warning { function: self.function.name.clone(), text });
    }

    /// Notes that a worker is free again.
    fn done(&self) {
        if let Some(pool) = self.pool.upgrade() {
            pool.done(self.number);
        }
    }

    /// Advances the phase when the runtime and all extensions have called `next`: from init to running, from an
    /// invocation to idle.
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

fn gone(timed_out: bool) -> Rejection {
    match timed_out {
        true => Rejection(http::StatusCode::GONE, "InvokeTimeout", "the invocation has timed out".to_owned()),
        false => Rejection(http::StatusCode::GONE, "InvocationOver", "the invocation has finished".to_owned()),
    }
}

/// The index of the open invocation with this request ID. A missing invocation ID is tolerated.
fn open_at(state: &State, request_id: &str, echoed: Option<&[u8]>) -> Result<usize, Rejection> {
    let bad = |kind, message: &str| Rejection(http::StatusCode::BAD_REQUEST, kind, message.to_owned());
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
    Ok(index)
}

/// An open `next` call of the runtime.
struct Polling<'a> {
    coordinator: &'a Coordinator,
    counted: bool,
}

impl Drop for Polling<'_> {
    fn drop(&mut self) {
        if self.counted {
            self.coordinator.lock().polls -= 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use bytes::Bytes;
    use tokio::sync::oneshot;

    use super::*;

    fn coordinator(invocations: usize) -> (Arc<Coordinator>, mpsc::UnboundedReceiver<Signal>) {
        let (signals, received) = mpsc::unbounded_channel();
        let mut function = Function::new("a", vec!["a".to_owned()]);
        function.invocations_per_environment = invocations;
        let notices = mpsc::unbounded_channel().0;
        (Arc::new(Coordinator::new(1, Arc::new(function), Weak::new(), notices, signals)), received)
    }

    fn invocation(request_id: &str) -> Invocation {
        let until = Instant::now() + Duration::from_secs(60);
        let (request_id, deadline) = (request_id.to_owned(), SystemTime::now() + Duration::from_secs(60));
        let (event, trace_id, answer) = (Bytes::new(), String::new(), oneshot::channel().0);
        Invocation { request_id, event, trace_id, deadline, until, answer }
    }

    #[tokio::test]
    async fn a_runtime_that_hangs_up_and_asks_again_is_told_once() {
        let (coordinator, mut received) = coordinator(1);
        for _ in 0..3 {
            assert!(tokio::time::timeout(Duration::from_millis(1), coordinator.next()).await.is_err());
        }
        coordinator.enqueue(invocation("a"));
        assert!(coordinator.next().await.is_ok_and(|handed| handed.request_id == "a"));
        assert!(matches!(received.try_recv(), Ok(Signal::Ready)));
        assert!(received.try_recv().is_err());
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
    async fn as_many_workers_as_invocations_get_one_each() {
        let (coordinator, _received) = coordinator(4);
        for turn in 0..200 {
            let workers: Vec<_> = (0..4)
                .map(|_| Arc::clone(&coordinator))
                .map(|coordinator| {
                    tokio::spawn(async move { coordinator.next().await.map(|handed| handed.request_id).ok() })
                })
                .collect();
            for number in 0..4 {
                coordinator.enqueue(invocation(&format!("{turn}-{number}")));
            }
            let mut ids = Vec::new();
            for worker in workers {
                let id = tokio::time::timeout(Duration::from_secs(10), worker).await;
                ids.push(id.expect("a worker waits for an invocation that is there").unwrap().unwrap());
            }
            ids.sort_unstable();
            assert_eq!(ids, [0, 1, 2, 3].map(|number| format!("{turn}-{number}")));
            for id in ids {
                assert!(coordinator.finish(&id, None, Ok(Answer::Whole(Bytes::new()))).is_ok());
            }
        }
    }
}
