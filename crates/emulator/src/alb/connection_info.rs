//! The facts about a client's connection that requests on it share. Owns no socket.

use std::net::SocketAddr;

use super::tls;

/// A connection: its two addresses, and its TLS session.
#[derive(Debug)]
pub(super) struct ConnectionInfo {
    pub(super) peer: SocketAddr,
    pub(super) local: SocketAddr,
    pub(super) tls: Option<tls::Session>,
    /// Different for every connection.
    pub(super) id: u64,
}
