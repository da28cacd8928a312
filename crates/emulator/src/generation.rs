//! One set of settings in use: its listeners and the pools of its functions, from its start until other settings replace
//! it. Sockets stay open meanwhile (`alb::accept`); a connection belongs to the settings that it began with.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU32;

use tokio::sync::mpsc::{Receiver, UnboundedSender};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::notice::Backlog;
use crate::{Notice, Settings, StartError, alb, closing, lambda};

/// The state that outlives settings.
pub(crate) struct Lasting {
    pub(crate) notices: UnboundedSender<Notice>,
    /// The number of the last environment, over all functions.
    pub(crate) environments: Arc<AtomicU32>,
    pub(crate) backlog: Arc<Backlog>,
    pub(crate) exchanges: alb::Exchanges,
}

/// Settings in use. Dropping it ends its processes.
pub(crate) struct Generation {
    listeners: Vec<Arc<alb::Listener>>,
    pools: Pools,
    /// Becomes true when other settings replace these, and at the shutdown. Each connection has a receiver.
    closing: watch::Sender<bool>,
}

/// The pools and, for each, the receiver that tells when its environments have ended.
struct Pools(Vec<(Arc<lambda::Pool>, tokio::sync::Mutex<Receiver<()>>)>);

impl Drop for Pools {
    fn drop(&mut self) {
        self.close();
    }
}

impl Pools {
    fn close(&self) {
        self.0.iter().for_each(|(pool, _)| pool.close());
    }

    async fn ended(&self) {
        for (_, ended) in &self.0 {
            while ended.lock().await.recv().await.is_some() {}
        }
    }
}

impl Generation {
    /// Makes listeners and pools; starts no process.
    ///
    /// # Errors
    ///
    /// [`StartError::Tls`] if a certificate, key or trust store cannot be used.
    pub(crate) fn new(
        number: usize,
        settings: Settings,
        addresses: &[SocketAddr],
        lasting: &Lasting,
        tasks: &mut JoinSet<()>,
    ) -> Result<Self, StartError> {
        let Lasting { notices, environments, backlog, exchanges } = lasting;
        let pool = |function: &crate::Function| {
            let (environments, backlog) = (Arc::clone(environments), Arc::clone(backlog));
            let (pool, ended) = lambda::Pool::new(function.clone(), environments, notices.clone(), backlog);
            (pool, tokio::sync::Mutex::new(ended))
        };
        let pools = Pools(settings.functions.iter().map(pool).collect());
        let targets: Vec<_> = pools.0.iter().map(|(pool, _)| Arc::clone(pool)).collect();
        let exchanges = exchanges.of_generation(number);
        let balancer = Arc::new(alb::Balancer::new(&settings, addresses, &targets, notices.clone(), exchanges));
        let mut listeners = Vec::new();
        for (index, listener) in settings.listeners.into_iter().enumerate() {
            let name = listener.name.clone();
            let listener = alb::Listener::new(index, listener, Arc::clone(&balancer));
            listeners.push(Arc::new(listener.map_err(|problem| StartError::Tls { listener: name, problem })?));
        }
        let closing = watch::Sender::new(false);
        for group in 0..settings.target_groups.len() {
            let check = alb::health::watch(Arc::clone(&balancer), group);
            tasks.spawn(closing::until(closing.subscribe(), check));
        }
        Ok(Self { listeners, pools, closing })
    }

    /// Returns a listener, and the receiver that tells a connection of it to end after its response.
    pub(crate) fn listener(&self, index: usize) -> Option<(Arc<alb::Listener>, watch::Receiver<bool>)> {
        Some((Arc::clone(self.listeners.get(index)?), self.closing.subscribe()))
    }

    /// Ends idle connections and environments now, the others with their requests; all of them at the shutdown. Returns when
    /// they have ended.
    pub(crate) async fn retire(self: Arc<Self>, mut shutdown: watch::Receiver<bool>) {
        self.closing.send_replace(true);
        self.pools.0.iter().for_each(|(pool, _)| pool.retire());
        let served = async {
            self.closing.closed().await;
            self.pools.0.iter().for_each(|(pool, _)| pool.leave());
            self.pools.ended().await;
        };
        tokio::select! {
            () = served => {}
            () = closing::closed(&mut shutdown) => self.shut_down().await,
        }
    }

    /// Ends connections after their response, and all processes as Lambda does. Returns when the processes are gone.
    pub(crate) async fn shut_down(&self) {
        self.closing.send_replace(true);
        self.pools.close();
        self.pools.ended().await;
    }
}

impl Lasting {
    pub(crate) fn new(notices: UnboundedSender<Notice>) -> Self {
        let (environments, backlog, exchanges) = (Arc::default(), Arc::default(), alb::Exchanges::new());
        Self { notices, environments, backlog, exchanges }
    }
}
