//! The load balancer that all listeners belong to: attributes, target groups, and where notices go. Serves nothing
//! itself.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use tokio::sync::mpsc::UnboundedSender;

use super::action;
use crate::lambda::Pool;
use crate::{LoadBalancerAttributes, Notice, Settings, TargetGroup};

/// The state that all listeners share.
pub(crate) struct Balancer {
    pub(super) attributes: LoadBalancerAttributes,
    target_groups: Vec<Group>,
    /// Name, Region and environments of each function, in the order of the settings.
    functions: Vec<(String, String, Arc<Pool>)>,
    pub(super) notices: UnboundedSender<Notice>,
    pub(super) keep_messages: bool,
    pub(super) exchanges: Exchanges,
    /// For each listener whose port in AWS is known, that port and the local one.
    ports: Vec<(u16, u16)>,
}

/// The state that requests share with those of former and later settings.
#[derive(Clone)]
pub(crate) struct Exchanges {
    /// The number of these settings.
    pub(super) generation: usize,
    last_number: Arc<AtomicU64>,
    pub(super) cookie_signer: action::CookieSigner,
}

impl Exchanges {
    pub(crate) fn new() -> Self {
        Self { generation: 0, last_number: Arc::default(), cookie_signer: action::CookieSigner::new() }
    }

    /// The same for the settings with this number.
    pub(crate) fn of_generation(&self, generation: usize) -> Self {
        Self { generation, ..self.clone() }
    }

    pub(super) fn next_number(&self) -> u64 {
        self.last_number.fetch_add(1, Ordering::Relaxed).wrapping_add(1)
    }
}

/// A target group and its target.
pub(super) struct Group {
    pub(super) settings: TargetGroup,
    pub(super) function: Option<(String, Arc<Pool>)>,
}

impl Balancer {
    pub(crate) fn new(
        settings: &Settings,
        addresses: &[SocketAddr],
        pools: &[Arc<Pool>],
        notices: UnboundedSender<Notice>,
        exchanges: Exchanges,
    ) -> Self {
        let target = |index: usize| Some((settings.functions.get(index)?.name.clone(), Arc::clone(pools.get(index)?)));
        let groups = settings.target_groups.iter();
        Balancer {
            attributes: settings.load_balancer.clone(),
            target_groups: groups
                .map(|group| Group { settings: group.clone(), function: group.function.and_then(target) })
                .collect(),
            functions: settings
                .functions
                .iter()
                .zip(pools)
                .map(|(function, pool)| (function.name.clone(), function.region(), Arc::clone(pool)))
                .collect(),
            notices,
            keep_messages: settings.keep_messages,
            exchanges,
            ports: settings
                .listeners
                .iter()
                .zip(addresses)
                .filter_map(|(listener, address)| Some((listener.port?, address.port())))
                .collect(),
        }
    }

    /// Returns a warning if a redirect leads to another listener by its port in AWS, which differs from the local one.
    pub(super) fn other_port(&self, location: &str, own: u16) -> Option<String> {
        let authority = location.split_once("://")?.1.split('/').next()?;
        let port: u16 = authority.rsplit_once(':')?.1.parse().ok()?;
        let (_, here) = self.ports.iter().find(|(aws, here)| *aws == port && *here != own)?;
        Some(format!("the redirect leads to the listener on port {port} in AWS, which listens on {here} here"))
    }

    pub(super) fn function(&self, index: usize) -> Option<(&str, String, &Arc<Pool>)> {
        self.functions.get(index).map(|(name, region, pool)| (name.as_str(), region.clone(), pool))
    }

    pub(super) fn group(&self, index: usize) -> Option<&Group> {
        self.target_groups.get(index)
    }
}
