//! A local stand-in for an Application Load Balancer (ALB) with a Lambda function as its target.
//!
//! A listener takes HTTP/1.1 and HTTP/2 (prior knowledge) requests, evaluates listener rules, builds the event that an ALB
//! would build, hands it over a Lambda Runtime API to a real process, holds the reply to an ALB's rules, and answers the
//! client. It knows nothing of what the function does: any program that speaks the Runtime API will do.
//!
//! Owns no output: what happens is told as [`Notice`]s. Not emulated: TLS, listener rules that do not forward,
//! authentication, transforms, health checks, load-balancer attributes other than at their defaults; and Lambda's second
//! try of an initialisation that took too long.

mod alb;
mod lambda;
mod notice;
mod pieces;
mod random;
pub mod serverless;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use crossfade_event::HeaderMode;
use crossfade_rule::Condition;
use thiserror::Error;
use tokio::net::TcpListener;
use tokio::sync::mpsc::{Receiver, UnboundedSender};
use tokio::task::JoinHandle;

pub use notice::{Exchange, Notice, RuleRef};

/// What to emulate.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Where to listen; port 0 lets the operating system choose. Meant for loopback: there is no protection of any kind.
    pub listen: SocketAddr,
    /// The listener's rules in any order; priorities must differ.
    pub rules: Vec<ListenerRule>,
    /// What to do with a request that no rule matches.
    pub default_action: DefaultAction,
    /// The target.
    pub function: Function,
}

/// The action of a listener's default rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DefaultAction {
    /// Forward to the function, through a target group with this header mode.
    Forward(HeaderMode),
    /// Answer 404.
    NotFound,
}

/// A listener rule that forwards to the function.
#[derive(Clone, Debug)]
pub struct ListenerRule {
    /// 1 to 50000; the lowest is looked at first.
    pub priority: u32,
    /// All must hold.
    pub conditions: Vec<Condition>,
    /// The header mode of the rule's target group.
    pub mode: HeaderMode,
    /// The function that the rule names, for messages: there is one [`Settings::function`] behind all rules.
    pub function: String,
}

/// The Lambda function: how to start a process of it, and the limits that Lambda sets.
#[derive(Clone, Debug)]
pub struct Function {
    /// The program and its arguments. It must speak the Runtime API, as any Lambda runtime does.
    pub command: Vec<String>,
    /// Environment variables besides those that Lambda sets; they win over those.
    pub env: Vec<(String, String)>,
    /// The function's name.
    pub name: String,
    /// For one invocation; then the process is killed.
    pub timeout: Duration,
    /// From the start of a process to its asking for the first invocation; Lambda allows 10 s.
    pub init_timeout: Duration,
    /// The most environments, and so invocations, at a time; beyond it Lambda throttles.
    pub max_concurrency: usize,
    /// Told to the function, not enforced. MiB.
    pub memory_mib: u32,
}

impl Function {
    pub(crate) fn region(&self) -> String {
        let own = self.env.iter().rev().find(|(name, _)| name == "AWS_REGION").map(|(_, value)| value.clone());
        own.or_else(|| std::env::var("AWS_REGION").ok()).unwrap_or_else(|| "us-east-1".to_owned())
    }

    pub(crate) fn arn(&self) -> String {
        format!("arn:aws:lambda:{}:000000000000:function:{}", self.region(), self.name)
    }
}

/// Why the emulator could not start.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StartError {
    /// The address cannot be listened on.
    #[error("cannot listen on {address}: {}", bind_problem(.error))]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the operating system says.
        #[source]
        error: std::io::Error,
    },
    /// Two rules have one priority.
    #[error("two rules have the priority {0}; a listener's priorities must differ")]
    DuplicatePriority(u32),
    /// There is no program to start.
    #[error("the function's command is empty")]
    NoCommand,
}

fn bind_problem(error: &std::io::Error) -> String {
    match error.kind() {
        std::io::ErrorKind::AddrInUse => "the port is in use; stop what uses it or choose another port".to_owned(),
        _ => error.to_string(),
    }
}

/// A running emulator. Dropping it stops it without waiting; [`Emulator::shutdown`] waits.
#[derive(Debug)]
pub struct Emulator {
    local_addr: SocketAddr,
    accepting: JoinHandle<()>,
    pool: Closer,
    ended: Receiver<()>,
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

/// Starts to listen. No process is started before the first request, as in Lambda: a function that cannot be started shows
/// in the [`Exchange::problem`] of the first request.
///
/// # Errors
///
/// [`StartError`] if the address is taken or the settings contradict themselves.
pub async fn start(settings: Settings, notices: UnboundedSender<Notice>) -> Result<Emulator, StartError> {
    let Settings { listen, rules, default_action, function } = settings;
    if function.command.is_empty() {
        return Err(StartError::NoCommand);
    }
    let mut priorities: Vec<u32> = rules.iter().map(|rule| rule.priority).collect();
    priorities.sort_unstable();
    if let Some(pair) = priorities.windows(2).find(|pair| pair[0] == pair[1]) {
        return Err(StartError::DuplicatePriority(pair[0]));
    }
    let bind_error = |error| StartError::Listen { address: listen, error };
    let socket = TcpListener::bind(listen).await.map_err(bind_error)?;
    let local_addr = socket.local_addr().map_err(bind_error)?;

    let (pool, ended) = lambda::Pool::new(function.clone(), notices.clone());
    let listener = alb::Listener::new(rules, default_action, &function, Arc::clone(&pool), notices);
    let accepting = tokio::spawn(Arc::new(listener).serve(socket));
    Ok(Emulator { local_addr, accepting, pool: Closer(pool), ended })
}

impl Emulator {
    /// Where it listens.
    pub fn local_addr(&self) -> SocketAddr {
        self.local_addr
    }

    /// Stops listening, ends all connections and processes (SIGTERM, then SIGKILL) and waits until they are gone.
    pub async fn shutdown(mut self) {
        self.accepting.abort();
        // Only then is the port free again.
        let _ = (&mut self.accepting).await;
        self.pool.0.close();
        while self.ended.recv().await.is_some() {}
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        self.accepting.abort();
    }
}
