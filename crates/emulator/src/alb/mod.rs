//! The local load balancer: listeners with rules, ALB's checks and limits, the fields that it adds, and its own error
//! pages. Event and reply formats belong to `crossfade-event`, conditions to `crossfade-rule`, HTTP/1 to `crate::http`,
//! the function to `crate::lambda`.

mod accept;
pub mod access_log;
mod action;
mod balancer;
mod connection_info;
mod desync;
mod error_page;
mod exchange;
mod forwarded;
pub(crate) mod fuzzing;
pub(crate) mod health;
mod host;
mod http1;
mod http2;
mod limits;
mod listener;
mod loss;
mod reply;
mod request;
mod rule;
mod tls;
mod transform;

pub(crate) use accept::accept;
pub(crate) use balancer::{Balancer, Exchanges};
pub(crate) use connection_info::ConnectionInfo;
pub use forwarded::{add_client_fields, with_port};
pub(crate) use forwarded::{invocation_trace, new_trace_id, trace_of};
pub(crate) use listener::Listener;
