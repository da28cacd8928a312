//! The local load balancer: HTTP listeners with rules, the checks that an ALB makes, the fields that it adds, and its own
//! error pages. The event and reply formats are `crossfade-event`'s, conditions are `crossfade-rule`'s, the function is
//! behind `crate::lambda`.

pub mod access_log;
mod action;
mod desync;
mod error_page;
mod exchange;
mod forwarded;
pub(crate) mod fuzzing;
mod head;
pub(crate) mod health;
mod host;
mod http1;
mod http2;
mod limits;
mod listener;
mod loss;
mod reply;
mod rule;
mod tls;
mod transform;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::mpsc::UnboundedSender;
use tokio::sync::watch;

use crate::lambda::Pool;
use crate::{LoadBalancerAttributes, Notice, Settings, TargetGroup};
pub(crate) use listener::Listener;

/// What all listeners share.
pub(crate) struct Balancer {
    attributes: LoadBalancerAttributes,
    target_groups: Vec<Group>,
    notices: UnboundedSender<Notice>,
    keep_messages: bool,
    /// Of exchanges.
    last_number: AtomicU64,
    seal: action::Seal,
    /// Of the listeners whose port in AWS is known: that one, and the one here.
    ports: Vec<(u16, u16)>,
}

/// A target group and its target.
struct Group {
    settings: TargetGroup,
    function: Option<(String, Arc<Pool>)>,
}

impl Balancer {
    pub(crate) fn new(
        settings: &Settings,
        addresses: &[SocketAddr],
        pools: &[Arc<Pool>],
        notices: UnboundedSender<Notice>,
    ) -> Self {
        let target = |index: usize| Some((settings.functions.get(index)?.name.clone(), Arc::clone(pools.get(index)?)));
        let groups = settings.target_groups.iter();
        Balancer {
            attributes: settings.load_balancer.clone(),
            target_groups: groups
                .map(|group| Group { settings: group.clone(), function: group.function.and_then(target) })
                .collect(),
            notices,
            keep_messages: settings.keep_messages,
            last_number: AtomicU64::new(0),
            seal: action::Seal::new(),
            ports: settings
                .listeners
                .iter()
                .zip(addresses)
                .filter_map(|(listener, address)| Some((listener.port?, address.port())))
                .collect(),
        }
    }

    /// A redirect to another listener leads to its port in AWS. Here that is another one, which a developer has to type.
    fn other_port(&self, location: &str, own: u16) -> Option<String> {
        let authority = location.split_once("://")?.1.split('/').next()?;
        let port: u16 = authority.rsplit_once(':')?.1.parse().ok()?;
        let (_, here) = self.ports.iter().find(|(aws, here)| *aws == port && *here != own)?;
        Some(format!("the listener on port {port} in AWS listens on {here} here"))
    }

    fn group(&self, index: usize) -> Option<&Group> {
        self.target_groups.get(index)
    }
}

/// Runs until its end or that of all.
pub(crate) async fn until(mut closing: watch::Receiver<bool>, future: impl Future<Output = ()>) {
    tokio::select! {
        () = future => {}
        () = closed(&mut closing) => {}
    }
}

/// Ends when all is to end.
async fn closed(closing: &mut watch::Receiver<bool>) {
    // The sender is gone with the emulator, which is a closing too.
    let _ = closing.wait_for(|closing| *closing).await;
}
