//! What a configuration compiles to: names resolved, nothing left to parse at request time. How it is written in the
//! file is `config`'s.

use std::path::PathBuf;
use std::time::Duration;

use http::header::{HeaderName, HeaderValue};

/// The whole configuration, immutable.
#[derive(Debug)]
pub struct RoutingTable {
    pub(crate) backends: Vec<Backend>,
    /// Index into `backends`.
    pub(crate) default: usize,
    /// `timeouts.request`: a limit for the whole exchange. The invocation's deadline holds besides it.
    pub request_timeout: Option<Duration>,
    /// `requestId.header`: the field that takes the request's id to the back end, if the client has not set it.
    pub request_id_field: HeaderName,
    /// `healthCheck.answer`.
    pub health_check: HealthCheck,
}

/// Where a request goes, and why.
#[derive(Clone, Copy, Debug)]
pub struct Selection<'t> {
    /// The name of the route that matched.
    pub route: &'t str,
    /// Index of `backend` in [`RoutingTable::backends`].
    pub index: usize,
    /// Its destination.
    pub backend: &'t Backend,
}

impl RoutingTable {
    /// All back ends, in the order of the file.
    #[must_use]
    pub fn backends(&self) -> &[Backend] {
        &self.backends
    }

    /// Where a request goes.
    #[must_use]
    pub fn select(&self) -> Selection<'_> {
        Selection { route: "default", index: self.default, backend: &self.backends[self.default] }
    }
}

/// A configured destination.
#[derive(Clone, Debug)]
pub struct Backend {
    /// Its name in the file.
    pub name: String,
    /// How it is spoken to.
    pub scheme: Scheme,
    /// Name or IP address to connect to; an IPv6 address without brackets.
    pub host: String,
    /// Port to connect to.
    pub port: u16,
    /// `host[:port]` as it stands in a `Host` field: without the scheme's default port.
    pub authority: HeaderValue,
    /// Put before every path: empty, or begins with `/` and does not end with one.
    pub base_path: String,
    /// What the back end sees as `Host`.
    pub host_header: HostHeader,
    /// How an `https` back end is verified.
    pub tls: TlsSettings,
    /// Which HTTP version is spoken.
    pub http2: Http2,
    /// Limits for this back end.
    pub timeouts: Timeouts,
}

/// The scheme of a back end's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Only for loopback and private networks.
    Http,
    /// Certificates are always verified.
    Https,
}

/// `hostHeader` of a back end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HostHeader {
    /// The authority of the back end's URL; what the client asked for is in `X-Forwarded-Host`.
    Backend,
    /// What the client sent.
    Preserve,
    /// This value.
    Literal(HeaderValue),
}

/// `tls` of a back end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Name for SNI and for verification; the URL's host if absent.
    pub server_name: Option<String>,
    /// PEM file with certificates to trust besides the built-in roots; relative to the configuration file.
    pub ca_file: Option<PathBuf>,
}

/// `http2` of a back end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Http2 {
    /// Where the back end offers it in the TLS handshake (ALPN).
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Never,
    /// HTTP/2 or failure; over plain `http` by prior knowledge.
    Always,
}

/// `timeouts` of a back end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Name look-up, TCP and TLS together.
    pub connect: Duration,
    /// Everything at this back end for one request, from the connection to the last byte received.
    pub backend_request: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts { connect: Duration::from_secs(3), backend_request: None }
    }
}

/// `healthCheck.answer`: who answers the load balancer's health checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthCheck {
    /// The function itself, with 200: a broken back end must not take the proxy out of service.
    #[default]
    Function,
    /// The back end that the request is routed to.
    Backend,
}
