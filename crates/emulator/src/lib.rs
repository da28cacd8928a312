//! A local Application Load Balancer (ALB) with Lambda functions as its targets.
//!
//! Listeners accept HTTP/1 and HTTP/2 requests, plain or over TLS, evaluate listener rules, build the event that ALB
//! would build, pass it over a Lambda Runtime API to a real process, check the reply as ALB does, and respond to the
//! client. It knows nothing about the function: any program that speaks the Runtime API works.
//!
//! Prints nothing: everything is reported as [`Notice`]s. The table of emulated behaviour is in
//! `docs/local-alb.md`.

// No input may end the process. `clippy.toml` says which arithmetic is left to the fuzz targets.
#![cfg_attr(
    not(test),
    deny(
        clippy::arithmetic_side_effects,
        clippy::unwrap_used,
        clippy::expect_used,
        clippy::indexing_slicing,
        clippy::string_slice,
        clippy::panic,
        clippy::unreachable
    )
)]

mod alb;
mod closing;
#[doc(hidden)]
pub mod fuzzing;
pub mod guard;
mod http;
mod lambda;
mod notice;
mod pieces;
mod random;
mod settings;
pub mod source;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, UnboundedSender};
use tokio::sync::watch;
use tokio::task::JoinSet;

pub use alb::{access_log, add_client_fields, with_port};
pub use lambda::launch::{obstacle, usual_command};
pub use notice::{Classification, Exchange, Messages, Notice, RuleRef, TlsInfo, Transformed, Waiting};
pub use settings::{
    Action, DesyncMitigation, FixedResponse, Forward, ForwardedFor, Function, HealthCheck, Listener,
    ListenerAttributes, LoadBalancerAttributes, Matcher, MutualAuthentication, Redirect, Rule, Settings, TargetGroup,
    Tls, Transforms, WeightedGroup,
};

/// The reasons for which the emulator cannot start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// A listener's address cannot be used.
    #[error("cannot listen on {address}: {}", bind_problem(.error))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// The operating system's error.
        #[source]
        error: std::io::Error,
    },
    /// Two rules of a listener have the same priority.
    #[error("two rules have the priority {0}; a listener's priorities must differ")]
    DuplicatePriority(u32),
    /// A function has no command.
    #[error("the command of function `{0}` is empty")]
    NoCommand(String),
    /// The certificate, key or trust store of a listener cannot be used.
    #[error("listener `{listener}`: {problem}")]
    Tls {
        /// Its name.
        listener: String,
        /// The problem.
        problem: String,
    },
    /// The settings have no listener.
    #[error("there is no listener")]
    NoListener,
}

fn bind_problem(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => {
            "the port is in use; stop the program that uses it or choose another port".to_owned()
        }
        _ => error.to_string(),
    }
}

/// The time for connections to send their last response at the shutdown.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// A running emulator. Dropping it stops it without waiting; [`Emulator::shutdown`] waits.
#[derive(Debug)]
pub struct Emulator {
    local_addrs: Vec<SocketAddr>,
    closing: watch::Sender<bool>,
    tasks: JoinSet<()>,
    pools: Vec<Closer>,
    ended: Vec<Receiver<()>>,
}

/// Closes the pool when dropped.
struct Closer(Arc<lambda::Pool>);

impl std::fmt::Debug for Closer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Pool")
    }
}

impl Drop for Closer {
    fn drop(&mut self) {
        self.0.close();
    }
}

/// Starts listening. As in Lambda, no process is started before the first request or health check: a function that
/// cannot be started shows in the [`Exchange::problem`] of the first request.
///
/// # Errors
///
/// [`StartError`] if an address is in use or the settings are invalid.
pub async fn start(settings: Settings, notices: UnboundedSender<Notice>) -> Result<Emulator, StartError> {
    check(&settings)?;
    let mut sockets = Vec::new();
    let mut local_addrs = Vec::new();
    for listener in &settings.listeners {
        let bind_error = |error| StartError::Listen { address: listener.listen, error };
        let socket = TcpListener::bind(listener.listen).await.map_err(bind_error)?;
        local_addrs.push(socket.local_addr().map_err(bind_error)?);
        sockets.push(socket);
    }
    let (mut pools, mut ended) = (Vec::new(), Vec::new());
    let numbers = Arc::new(AtomicU32::new(0));
    let backlog = Arc::default();
    for function in &settings.functions {
        let (pool, end) =
            lambda::Pool::new(function.clone(), Arc::clone(&numbers), notices.clone(), Arc::clone(&backlog));
        pools.push(pool);
        ended.push(end);
    }
    let mut tasks = JoinSet::new();
    let (closing, closes) = watch::channel(false);
    let balancer = Arc::new(alb::Balancer::new(&settings, &local_addrs, &pools, notices));
    for ((index, listener), socket) in settings.listeners.into_iter().enumerate().zip(sockets) {
        let name = listener.name.clone();
        let listener = alb::Listener::new(index, listener, Arc::clone(&balancer));
        let listener = listener.map_err(|problem| StartError::Tls { listener: name, problem })?;
        tasks.spawn(Arc::new(listener).serve(socket, closes.clone()));
    }
    for group in 0..settings.target_groups.len() {
        tasks.spawn(closing::until(closes.clone(), alb::health::watch(Arc::clone(&balancer), group)));
    }
    Ok(Emulator { local_addrs, closing, tasks, pools: pools.into_iter().map(Closer).collect(), ended })
}

fn check(settings: &Settings) -> Result<(), StartError> {
    if settings.listeners.is_empty() {
        return Err(StartError::NoListener);
    }
    if let Some(function) = settings.functions.iter().find(|function| function.command.is_empty()) {
        return Err(StartError::NoCommand(function.name.clone()));
    }
    for listener in &settings.listeners {
        let mut priorities: Vec<u32> = listener.rules.iter().map(|rule| rule.priority).collect();
        priorities.sort_unstable();
        let mut pairs = priorities.iter().zip(priorities.iter().skip(1));
        if let Some((twice, _)) = pairs.find(|(one, next)| one == next) {
            return Err(StartError::DuplicatePriority(*twice));
        }
    }
    Ok(())
}

impl Emulator {
    /// The address of its first listener.
    #[expect(clippy::indexing_slicing, reason = "it is not started without a listener, see `check`")]
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addrs[0]
    }

    /// The addresses of its listeners, in the order of [`Settings::listeners`].
    pub fn local_addrs(&self) -> &[SocketAddr] {
        &self.local_addrs
    }

    /// Stops listening, ends processes as Lambda does and connections after their last response, and waits until they
    /// are gone.
    pub async fn shutdown(mut self) {
        self.closing.send_replace(true);
        for pool in &self.pools {
            pool.0.close();
        }
        for ended in &mut self.ended {
            while ended.recv().await.is_some() {}
        }
        // What was under way has been answered by then, if its client reads.
        let _ = tokio::time::timeout(LAST_ANSWERS, async { while self.tasks.join_next().await.is_some() {} }).await;
        self.tasks.shutdown().await;
    }
}
