//! The inspector of `crossfade dev`: pages on a separate loopback port that show each request and explain its routing.
//!
//! Reading order: this file (start, end, and the queue from `dev`), `store` (the kept requests), `secrets` (redaction), `server`
//! with `guard` (access control), then the pages: `list` with `filter` and `live`, `detail` with `timing`, `routes`, `rules` and
//! `messages`, `curl`, `replay`; and `migration`. See `docs/inspector.md`.
//!
//! `dev` never waits for the inspector, which does all its work in separate tasks.

mod curl;
mod detail;
mod filter;
mod guard;
mod json;
mod line;
mod list;
mod live;
mod messages;
mod migration;
mod page;
mod replay;
mod routes;
mod rules;
mod secrets;
mod server;
mod store;
#[cfg(test)]
mod tests;
mod timing;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use anyhow::{Context, Result, anyhow};
use crossfade_emulator::{Exchange, Listener, Notice, Settings, TargetGroup};
use tokio::net::TcpListener;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinSet;

use line::Line;
pub(crate) use line::is_record;
pub(crate) use migration::LiveState;
pub(crate) use routes::Routes;
pub(crate) use secrets::{Secrets, percent_decoded};
use store::Store;

/// The default port, unless another program uses it.
const USUAL_PORT: u16 = 8081;
/// Length of the queue; a request takes two or three notices.
const QUEUE: usize = 4096;
/// Maximum bytes of messages and lines in the queue. Beyond it, requests are kept without their messages and lines are skipped.
const QUEUED_BYTES: usize = 32 * 1024 * 1024;

/// The emulator's settings that pages show.
pub(crate) struct Setup {
    balancer: Balancer,
    /// True for Crossfade's own function, which writes a log line for each request.
    own_function: bool,
    /// The number of functions.
    functions: usize,
    secrets: Secrets,
    /// `None` if the function has none.
    live: Option<LiveState>,
}

/// The load balancer's settings of one generation.
struct Balancer {
    listeners: Vec<Listener>,
    target_groups: Vec<TargetGroup>,
    /// The addresses of the listeners.
    addresses: Vec<SocketAddr>,
    /// Those that replaced it.
    next: OnceLock<Box<Balancer>>,
}

impl Balancer {
    fn new(settings: &Settings, addresses: &[SocketAddr]) -> Balancer {
        let mut listeners = settings.listeners.clone();
        for listener in &mut listeners {
            // Rules are evaluated in this order.
            listener.rules.sort_by_key(|rule| rule.priority);
            if let Some(tls) = &mut listener.tls {
                tls.key_pem.clear();
            }
        }
        let (target_groups, addresses) = (settings.target_groups.clone(), addresses.to_vec());
        Balancer { listeners, target_groups, addresses, next: OnceLock::new() }
    }

    /// This one and those that followed.
    fn all(&self) -> impl Iterator<Item = &Balancer> {
        std::iter::successors(Some(self), |balancer| balancer.next.get().map(|next| &**next))
    }
}

impl Setup {
    pub(crate) fn new(settings: &Settings, addresses: &[SocketAddr], own_function: bool, show_secrets: bool) -> Setup {
        let (balancer, secrets) = (Balancer::new(settings, addresses), Secrets::of(show_secrets));
        Setup { balancer, own_function, functions: settings.functions.len(), secrets, live: None }
    }

    /// Shows and moves this live state.
    pub(crate) fn with_live_state(self, live: Option<LiveState>) -> Setup {
        Setup { live, ..self }
    }
}

/// The state that all parts of a running inspector share.
struct Shared {
    setup: Setup,
    address: SocketAddr,
    /// The token that a form must contain, and the name of this run. Both are random.
    token: String,
    run: String,
    store: Mutex<Store>,
    routes: routes::Current,
    migration: migration::Current,
    /// Bytes of messages and lines in the queue.
    queued: AtomicUsize,
    /// Requests skipped because the queue was full.
    lost: AtomicU64,
    /// Lines of the function's log skipped for the same reason.
    lost_lines: AtomicU64,
}

impl Shared {
    /// The load balancer's settings in use.
    fn balancer(&self) -> &Balancer {
        self.setup.balancer.all().last().unwrap_or(&self.setup.balancer)
    }

    /// Returns true if a listener has, or has had, rules besides the default one.
    fn has_rules(&self) -> bool {
        let mut listeners = self.setup.balancer.all().flat_map(|balancer| &balancer.listeners);
        listeners.any(|listener| !listener.rules.is_empty())
    }

    /// The load balancer's settings that a request was served with.
    fn balancer_of(&self, exchange: &Exchange) -> &Balancer {
        self.setup.balancer.all().nth(exchange.generation).unwrap_or_else(|| self.balancer())
    }

    fn store(&self) -> MutexGuard<'_, Store> {
        // After a panic elsewhere, counts are off by one request at most.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn routes(&self) -> MutexGuard<'_, Option<Arc<Routes>>> {
        self.routes.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An item of the queue.
enum Queued {
    /// With the configuration in use.
    Exchange(Box<Exchange>, Option<Arc<Routes>>),
    Text(String),
}

impl Queued {
    /// The size of its messages or line.
    fn size(&self) -> usize {
        match self {
            Queued::Exchange(exchange, _) => store::size(exchange),
            Queued::Text(line) => line.len(),
        }
    }
}

/// A running inspector, which stops when dropped.
pub(crate) struct Inspector {
    queue: Sender<Queued>,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

/// A bound port. Binding early reports a port in use before anything starts.
pub(crate) async fn bind(port: Option<u16>) -> Result<TcpListener> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if let Some(port) = port {
        return TcpListener::bind(at(port)).await.map_err(|error| {
            anyhow!(
                "cannot listen on `{}`: {error}\n  hint: choose another port with `--inspect`, 0 picks a free one",
                at(port)
            )
        });
    }
    match TcpListener::bind(at(USUAL_PORT)).await {
        Ok(socket) => Ok(socket),
        Err(_) => TcpListener::bind(at(0)).await.context("cannot listen for the inspector"),
    }
}

impl Inspector {
    /// # Errors
    /// If the system provides no address or no random numbers.
    pub(crate) fn start(setup: Setup, socket: TcpListener) -> Result<Inspector> {
        let address = socket.local_addr().context("the inspector's address")?;
        let shared = Arc::new(Shared {
            setup,
            address,
            token: guard::random()?,
            run: guard::random()?.chars().take(8).collect(),
            store: Mutex::new(Store::default()),
            routes: Mutex::new(None),
            migration: migration::Current::default(),
            queued: AtomicUsize::new(0),
            lost: AtomicU64::new(0),
            lost_lines: AtomicU64::new(0),
        });
        let (queue, inbox) = mpsc::channel(QUEUE);
        let mut tasks = JoinSet::new();
        tasks.spawn(keep(Arc::clone(&shared), inbox));
        tasks.spawn(server::serve(Arc::clone(&shared), socket));
        Ok(Inspector { queue, shared, _tasks: tasks })
    }

    /// Shows later requests with other settings. Call it once for each reload of the emulator, before the next one.
    pub(crate) fn reload(&self, settings: &Settings, addresses: &[SocketAddr]) {
        // There is one caller, so that nobody else has set it.
        let _ = self.shared.balancer().next.set(Box::new(Balancer::new(settings, addresses)));
    }

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// Explains the routing of requests that end from now on with this configuration of Crossfade's function.
    pub(crate) fn explain_with(&self, routes: Option<Routes>) {
        *self.shared.routes() = routes.map(Arc::new);
    }

    /// Queues the relevant part of a notice and takes its messages. Never blocks: skips and counts whatever exceeds the limits.
    pub(crate) fn tell(&self, notice: &mut Notice) {
        let queued = match notice {
            Notice::Exchange(exchange) => {
                let messages = exchange.messages.take();
                let mut exchange = exchange.clone();
                exchange.messages = messages;
                let size = store::size(&exchange);
                let before = self.shared.queued.fetch_add(size, Ordering::Relaxed);
                if before + size > QUEUED_BYTES {
                    exchange.messages = None;
                    self.shared.queued.fetch_sub(size - store::size(&exchange), Ordering::Relaxed);
                }
                Queued::Exchange(exchange, self.shared.routes().clone())
            }
            Notice::FunctionLine { line, .. } if self.shared.setup.own_function && is_record(line) => {
                let before = self.shared.queued.fetch_add(line.len(), Ordering::Relaxed);
                if before + line.len() > QUEUED_BYTES {
                    self.shared.queued.fetch_sub(line.len(), Ordering::Relaxed);
                    self.shared.lost_lines.fetch_add(1, Ordering::Relaxed);
                    return;
                }
                Queued::Text(line.clone())
            }
            _ => return,
        };
        if let Err(TrySendError::Full(queued) | TrySendError::Closed(queued)) = self.queue.try_send(queued) {
            self.shared.queued.fetch_sub(queued.size(), Ordering::Relaxed);
            let lost = match queued {
                Queued::Exchange(..) => &self.shared.lost,
                Queued::Text(_) => &self.shared.lost_lines,
            };
            lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Moves items from the queue to the store.
async fn keep(shared: Arc<Shared>, mut inbox: Receiver<Queued>) {
    let mut batch = Vec::new();
    while inbox.recv_many(&mut batch, 64).await > 0 {
        // Parses and masks before taking the lock, so that pages do not wait for it.
        let mut parsed = Vec::with_capacity(batch.len());
        for queued in batch.drain(..) {
            shared.queued.fetch_sub(queued.size(), Ordering::Relaxed);
            match queued {
                Queued::Exchange(exchange, routes) => parsed.push(Parsed::Exchange(exchange, routes)),
                Queued::Text(text) => parsed.extend(Line::parse(&text).map(Parsed::Line)),
            }
        }
        let mut store = shared.store();
        for parsed in parsed {
            match parsed {
                Parsed::Exchange(exchange, routes) => store.add(*exchange, routes, shared.setup.secrets),
                Parsed::Line(line) => store.add_line(line),
            }
        }
    }
}

/// A parsed item for the store.
enum Parsed {
    Exchange(Box<Exchange>, Option<Arc<Routes>>),
    Line(Line),
}
