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
mod http1;
mod limits;
mod listener;
mod loss;
mod reply;
mod rule;
mod tls;
mod transform;

use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use tokio::sync::mpsc::UnboundedSender;

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
}

/// A target group and its target.
struct Group {
    settings: TargetGroup,
    function: Option<(String, Arc<Pool>)>,
}

impl Balancer {
    pub(crate) fn new(settings: &Settings, pools: &[Arc<Pool>], notices: UnboundedSender<Notice>) -> Self {
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
        }
    }

    fn group(&self, index: usize) -> Option<&Group> {
        self.target_groups.get(index)
    }
}
