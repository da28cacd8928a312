//! The facts about a client's connection that requests on it share. Owns no socket.

use std::net::SocketAddr;

use super::tls;

/// A connection: its two addresses, and its TLS session.
#[derive(Debug)]
pub(crate) struct ConnectionInfo {
    pub(crate) peer: SocketAddr,
    pub(crate) local: SocketAddr,
    pub(crate) tls: Option<tls::Session>,
    /// Different for every connection.
    pub(super) id: u64,
}
