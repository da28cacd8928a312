//! `failover`: when a request goes to another back end than the one that was chosen for it.

use crossfade_route::Failover;
use http::Method;

use crate::error::Failure;

/// Whether this failure of the first back end sends the request to the other one. What the first may have seen, in this
/// attempt or in one before it, goes to the second only if it changes nothing, or the configuration names its method: two
/// systems with stores of their own are not one server, for which idempotence (RFC 9110 section 9.2.2) would be enough.
pub(crate) fn is_wanted(failover: &Failover, method: &Method, failure: Failure, may_be_seen: bool) -> bool {
    let is_named = match failure {
        Failure::Connect => failover.on_connect_error,
        Failure::Timeout => failover.on_timeout,
        Failure::Reset => failover.on_reset,
        Failure::Status(status) => failover.on_codes.contains(status),
    };
    is_named && (!may_be_seen || method.is_safe() || failover.methods.contains(method))
}
