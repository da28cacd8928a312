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
mod front;
#[doc(hidden)]
pub mod fuzzing;
mod generation;
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
use std::time::Duration;

use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;
use tokio::task::JoinSet;

use generation::{Generation, Lasting};

pub use alb::{access_log, add_client_fields, with_port};
pub use front::{BasePath, Cors, Endpoint, EndpointKind, Route};
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
pub struct Emulator {
    local_addrs: Vec<SocketAddr>,
    unavailable: Vec<StartError>,
    lasting: Lasting,
    /// The number of times that the settings have been replaced.
    reloads: usize,
    current: watch::Sender<Arc<Generation>>,
    closing: watch::Sender<bool>,
    tasks: JoinSet<()>,
    /// Former settings whose requests and processes have not all ended.
    retiring: JoinSet<()>,
}

impl std::fmt::Debug for Emulator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Emulator").field("local_addrs", &self.local_addrs).finish_non_exhaustive()
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
    let (lasting, mut tasks) = (Lasting::new(notices), JoinSet::new());
    let (sockets, unavailable) = bind(&settings, 0).await?;
    let local_addrs: Vec<_> = sockets.iter().map(|(address, _)| *address).collect();
    let generation = Generation::new(0, settings, &local_addrs, &lasting, &mut tasks)?;
    let (current, closing) = (watch::Sender::new(Arc::new(generation)), watch::Sender::new(false));
    let retiring = JoinSet::new();
    let local_addrs = Vec::new();
    let mut emulator = Emulator { local_addrs, unavailable, lasting, reloads: 0, current, closing, tasks, retiring };
    emulator.listen(sockets);
    Ok(emulator)
}

/// For each listener its address, and all of its sockets.
type Bound = Vec<(SocketAddr, Vec<TcpListener>)>;

/// Binds the addresses of all listeners after the first `present` ones. Returns the errors of those that a listener can do
/// without as well.
async fn bind(settings: &Settings, present: usize) -> Result<(Bound, Vec<StartError>), StartError> {
    let mut sockets = Vec::new();
    let mut unavailable = Vec::new();
    for listener in settings.listeners.iter().skip(present) {
        let bind_error = |error| StartError::Listen { address: listener.listen, error };
        let socket = TcpListener::bind(listener.listen).await.map_err(bind_error)?;
        let local = socket.local_addr().map_err(bind_error)?;
        let mut of_listener = vec![socket];
        for ip in &listener.also {
            let address = SocketAddr::new(*ip, local.port());
            match TcpListener::bind(address).await {
                Ok(socket) => of_listener.push(socket),
                Err(error) => unavailable.push(StartError::Listen { address, error }),
            }
        }
        sockets.push((local, of_listener));
    }
    Ok((sockets, unavailable))
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

    /// The addresses of [`Listener::also`] that could not be used so far, each with its error.
    pub fn unavailable(&self) -> &[StartError] {
        &self.unavailable
    }

    /// Replaces the settings. Requests in progress end with the former ones, and further requests get new environments: also
    /// with the same settings, if a function's code has changed. Idle connections are closed.
    ///
    /// Listeners keep their sockets by their number; a further one gets one of its own, and one that is no longer there closes
    /// its connections.
    ///
    /// # Errors
    ///
    /// [`StartError`] if the settings are invalid or an address is in use: the former ones stay in use.
    pub async fn reload(&mut self, settings: Settings) -> Result<(), StartError> {
        check(&settings)?;
        let (further, unavailable) = bind(&settings, self.local_addrs.len()).await?;
        let addresses: Vec<_> =
            self.local_addrs.iter().copied().chain(further.iter().map(|(address, _)| *address)).collect();
        let number = self.reloads.saturating_add(1);
        let generation = Generation::new(number, settings, &addresses, &self.lasting, &mut self.tasks)?;
        self.reloads = number;
        let former = self.current.send_replace(Arc::new(generation));
        self.listen(further);
        self.unavailable.extend(unavailable);
        self.retiring.spawn(former.retire(self.closing.subscribe()));
        // What has ended is forgotten.
        while self.retiring.try_join_next().is_some() {}
        while self.tasks.try_join_next().is_some() {}
        Ok(())
    }

    fn listen(&mut self, sockets: Bound) {
        for (address, of_listener) in sockets {
            let index = self.local_addrs.len();
            self.local_addrs.push(address);
            for socket in of_listener {
                self.tasks.spawn(alb::accept(socket, index, self.current.subscribe(), self.closing.subscribe()));
            }
        }
    }

    /// Stops listening, ends processes as Lambda does and connections after their last response, and waits until they
    /// are gone.
    pub async fn shutdown(mut self) {
        self.closing.send_replace(true);
        let current = Arc::clone(&self.current.borrow());
        current.shut_down().await;
        while self.retiring.join_next().await.is_some() {}
        // What was under way has been answered by then, if its client reads.
        let _ = tokio::time::timeout(LAST_ANSWERS, async { while self.tasks.join_next().await.is_some() {} }).await;
        self.tasks.shutdown().await;
    }
}
