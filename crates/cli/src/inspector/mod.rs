//! The inspector of `crossfade dev`: a page on a loopback port of its own that shows each request and what became of it.
//!
//! Reading order: this file (its life, and the queue between `dev` and it), `store` (what is kept), `secrets` (what is
//! shown of it), `server` with `guard` (who may ask for what), then the pages: `list` with `filter` and `live`, `detail`
//! with `rules` and `messages`, `curl`, `replay`. Described in `docs/inspector.md`.
//!
//! `dev` hands notices over and goes on: all work is done in tasks of the inspector's own.

mod curl;
mod detail;
mod filter;
mod guard;
mod json;
mod line;
mod list;
mod live;
mod messages;
mod page;
mod replay;
mod rules;
mod secrets;
mod server;
mod store;
#[cfg(test)]
mod tests;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::{Context, Result, anyhow};
use crossfade_emulator::{Exchange, Listener, Notice, Settings, TargetGroup};
use tokio::net::TcpListener;
use tokio::sync::mpsc::error::TrySendError;
use tokio::sync::mpsc::{self, Receiver, Sender};
use tokio::task::JoinSet;

use line::Line;
pub(crate) use secrets::Secrets;
use store::Store;

/// The port without `--inspect`, unless another program has it.
const USUAL_PORT: u16 = 8081;
/// Notices that may wait for the inspector; a request takes two or three.
const QUEUE: usize = 4096;
/// Bytes of messages and lines that may wait; what comes while there are more is kept without its messages, lines are not.
const QUEUED_BYTES: usize = 32 * 1024 * 1024;

/// The part of the emulated settings that pages show.
pub(crate) struct Setup {
    listeners: Vec<Listener>,
    target_groups: Vec<TargetGroup>,
    /// The function is ours and writes log lines for its requests.
    own_function: bool,
    secrets: Secrets,
}

impl Setup {
    pub(crate) fn new(settings: &Settings, own_function: bool, show_secrets: bool) -> Setup {
        let mut listeners = settings.listeners.clone();
        for listener in &mut listeners {
            // Rules are looked at in this order.
            listener.rules.sort_by_key(|rule| rule.priority);
            if let Some(tls) = &mut listener.tls {
                tls.key_pem.clear();
            }
        }
        let (target_groups, secrets) = (settings.target_groups.clone(), Secrets::of(show_secrets));
        Setup { listeners, target_groups, own_function, secrets }
    }
}

/// The state that all parts of a running inspector share.
struct Shared {
    setup: Setup,
    /// Of the emulator's listeners.
    listeners: Vec<SocketAddr>,
    address: SocketAddr,
    /// The token that a form must bring, and the name of this run. Both are random.
    token: String,
    run: String,
    store: Mutex<Store>,
    /// Bytes of messages and lines in the queue.
    queued: AtomicUsize,
    /// Requests that found the queue full.
    lost: AtomicU64,
    /// The same of lines of the function's log.
    lost_lines: AtomicU64,
}

impl Shared {
    fn store(&self) -> MutexGuard<'_, Store> {
        // A panic elsewhere leaves counts at worst a request behind.
        self.store.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An item of the queue.
enum Queued {
    Exchange(Box<Exchange>),
    Text(String),
}

impl Queued {
    /// Bytes of messages, or of a line.
    fn size(&self) -> usize {
        match self {
            Queued::Exchange(exchange) => store::size(exchange),
            Queued::Text(line) => line.len(),
        }
    }
}

/// A running inspector; it ends when dropped.
pub(crate) struct Inspector {
    queue: Sender<Queued>,
    shared: Arc<Shared>,
    _tasks: JoinSet<()>,
}

/// A port, taken as early as the user's mistake can be told.
pub(crate) async fn bind(port: Option<u16>) -> Result<TcpListener> {
    let at = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    if let Some(port) = port {
        return TcpListener::bind(at(port)).await.map_err(|error| {
            anyhow!(
                "cannot listen on `{}`: {error}\n  hint: choose another port with `--inspect`, 0 takes any free one",
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
    /// If the system tells no address or gives no random numbers.
    pub(crate) fn start(setup: Setup, listeners: &[SocketAddr], socket: TcpListener) -> Result<Inspector> {
        let address = socket.local_addr().context("the inspector's address")?;
        let shared = Arc::new(Shared {
            setup,
            listeners: listeners.to_vec(),
            address,
            token: guard::random()?,
            run: guard::random()?.chars().take(8).collect(),
            store: Mutex::new(Store::default()),
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

    /// `http://127.0.0.1:PORT`
    pub(crate) fn url(&self) -> String {
        format!("http://{}", self.shared.address)
    }

    /// Takes what it wants of a notice, and the messages out of it. Never waits: what has no room is counted.
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
                Queued::Exchange(exchange)
            }
            Notice::FunctionLine { line, .. } if self.shared.setup.own_function && Line::is_one(line) => {
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
                Queued::Exchange(_) => &self.shared.lost,
                Queued::Text(_) => &self.shared.lost_lines,
            };
            lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// From the queue to the store.
async fn keep(shared: Arc<Shared>, mut inbox: Receiver<Queued>) {
    let mut batch = Vec::new();
    while inbox.recv_many(&mut batch, 64).await > 0 {
        // Parsing and masking before the lock is taken, so that pages wait for nothing.
        let mut parsed = Vec::with_capacity(batch.len());
        for queued in batch.drain(..) {
            shared.queued.fetch_sub(queued.size(), Ordering::Relaxed);
            match queued {
                Queued::Exchange(exchange) => parsed.push(Parsed::Exchange(exchange)),
                Queued::Text(text) => parsed.extend(Line::parse(&text).map(Parsed::Line)),
            }
        }
        let mut store = shared.store();
        for parsed in parsed {
            match parsed {
                Parsed::Exchange(exchange) => store.add(*exchange, shared.setup.secrets),
                Parsed::Line(line) => store.add_line(line),
            }
        }
    }
}

/// An item for the store, parsed.
enum Parsed {
    Exchange(Box<Exchange>),
    Line(Line),
}
