//! The local load balancer: an HTTP listener with rules, the checks that an ALB makes, the fields that it adds, and its own
//! error pages. The event and reply formats are `crossfade-event`'s, conditions are `crossfade-rule`'s, the function is
//! behind `crate::lambda`.

mod error_page;
mod forwarded;
mod limits;
mod listener;
mod loss;
mod reply;
mod rule;

pub(crate) use listener::Listener;
