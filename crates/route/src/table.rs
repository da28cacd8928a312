//! What a configuration compiles to: names resolved, nothing left to parse at request time. How it is written in the
//! file is `config`'s, which route a request meets is `select`'s.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crossfade_rule::Pattern;
use http::StatusCode;
use http::header::{HeaderName, HeaderValue};

use crate::mirror::Mirror;
use crate::policy::{Failover, Outlier, Retry};
use crate::reach::Reach;
use crate::redirect::Redirect;
use crate::requirement::{All, Requirement};
use crate::select::Index;
use crate::sticky::{OptIn, Sticky};
use crate::template::Template;
use crate::transform::Transforms;

/// The whole configuration, immutable.
#[derive(Debug)]
pub struct RoutingTable {
    pub(crate) backends: Vec<Arc<Backend>>,
    /// Those that are enabled, by ascending priority.
    pub(crate) routes: Vec<Route>,
    /// Finds the few routes that a request can meet.
    pub(crate) index: Index,
    /// For a request that meets none: no conditions.
    pub(crate) default: Route,
    /// `timeouts.request`: a limit for the whole exchange. The invocation's deadline holds besides it.
    pub request_timeout: Option<Duration>,
    /// `requestId.header`: the field that takes the request's id to the back end, if the client has not set it.
    pub request_id_field: HeaderName,
    /// `healthCheck.answer`.
    pub health_check: HealthCheck,
    /// `clientIp.trustedHops`: how many proxies, the load balancer the first of them, have put the address that they saw
    /// at the end of `X-Forwarded-For`.
    pub trusted_hops: usize,
}

impl RoutingTable {
    /// All back ends, in the order of the file.
    #[must_use]
    pub fn backends(&self) -> &[Arc<Backend>] {
        &self.backends
    }

    /// The routes that are enabled, by ascending priority, without the default.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// The route of a request that meets no other.
    #[must_use]
    pub fn default_route(&self) -> &Route {
        &self.default
    }
}

/// A rule: which requests, and what happens to them.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name in the file; `default` for the last.
    pub name: String,
    /// The lowest is looked at first; absent for the default.
    pub priority: Option<u32>,
    /// All must hold.
    pub(crate) requirements: Vec<Requirement>,
    /// Before the request goes to a back end.
    pub transforms: Transforms,
    /// What happens.
    pub action: Action,
    /// `requestHeaders`: changes to the fields that a back end gets.
    pub request_fields: FieldEdits,
    /// `responseHeaders`: changes to the fields that the client gets.
    pub response_fields: FieldEdits,
    /// `mirror`: copies for another back end.
    pub mirror: Option<Mirror>,
    /// Whether groups of the path's regex are needed for any of this.
    pub(crate) uses_groups: bool,
}

impl Route {
    /// Its conditions in words; empty if there are none.
    #[must_use]
    pub fn conditions(&self) -> String {
        All(&self.requirements).to_string()
    }

    /// The values of the `path` condition, whose regex has the groups for `${1}`; empty if there is none.
    pub(crate) fn path_patterns(&self) -> &[Pattern] {
        self.requirements.iter().find_map(Requirement::path_patterns).unwrap_or_default()
    }
}

/// What happens to a request.
#[derive(Clone, Debug)]
pub enum Action {
    /// It goes to a back end.
    Forward(Forward),
    /// The client is sent elsewhere.
    Redirect(Redirect),
    /// The client gets this.
    FixedResponse(FixedResponse),
}

/// `forward`: the back ends that share a route's requests.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Never empty; the weights do not sum to zero.
    pub targets: Vec<Target>,
    /// What ties a user to a target.
    pub sticky: Option<Sticky>,
    /// How a request can choose for itself.
    pub opt_in: Option<OptIn>,
    /// Where to go when a target fails.
    pub failover: Option<Failover>,
}

impl Forward {
    /// The transforms of the target that a back end is, if it is one.
    #[must_use]
    pub fn transforms_for(&self, backend: usize) -> Option<&Transforms> {
        self.targets.iter().find(|target| target.backend == backend).map(|target| &target.transforms)
    }
}

/// One of the back ends of a route.
#[derive(Clone, Debug)]
pub struct Target {
    /// Index into [`RoutingTable::backends`].
    pub backend: usize,
    /// The back end's name, which users are hashed with.
    pub name: String,
    /// Its share, relative to the others: 0 to 999.
    pub weight: u32,
    /// After those of the route.
    pub transforms: Transforms,
}

/// `fixedResponse`.
#[derive(Clone, Debug)]
pub struct FixedResponse {
    /// 200 to 599.
    pub status: StatusCode,
    /// `contentType`.
    pub content_type: Option<HeaderValue>,
    /// `body`, or what the file named by `bodyFile` holds.
    pub body: bytes::Bytes,
}

/// `requestHeaders` or `responseHeaders`; applied in the order of the members.
#[derive(Clone, Debug, Default)]
pub struct FieldEdits {
    /// Every value goes.
    pub remove: Vec<HeaderName>,
    /// Replaces what is there; takes it away if a variable in it has no value.
    pub set: Vec<(HeaderName, FieldValue)>,
    /// Comes besides what is there; nothing happens if a variable in it has no value.
    pub add: Vec<(HeaderName, FieldValue)>,
}

impl FieldEdits {
    /// The names of all fields that an edit is about.
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.remove.iter().chain(self.set.iter().chain(&self.add).map(|(name, _)| name))
    }

    /// Whether nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}

/// The value of a field that the configuration sets.
#[derive(Clone, Debug)]
pub enum FieldValue {
    /// Always the same.
    Constant(HeaderValue),
    /// With variables.
    Template(Template),
}

/// A configured destination.
#[derive(Clone, Debug, PartialEq, Eq)]
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
    /// Whether its requests get a `Via` of ours.
    pub via: bool,
    /// How an `https` back end is verified.
    pub tls: TlsSettings,
    /// Which HTTP version is spoken.
    pub http2: Http2,
    /// Limits for this back end.
    pub timeouts: Timeouts,
    /// Where to connect instead of to what `host` resolves to: names or IP addresses with their ports, tried in this order.
    pub addresses: Vec<(String, u16)>,
    /// Which addresses it may have.
    pub reach: Reach,
    /// When a request is sent to it again.
    pub retry: Option<Retry>,
    /// When it counts as down.
    pub outlier: Option<Outlier>,
    /// What clients see in its place.
    pub public_url: Option<PublicUrl>,
}

/// `publicUrl` of a back end: what stands in its answers where it names itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PublicUrl {
    /// `https://host[:port]`, without a path.
    pub origin: String,
    /// The host alone, for cookies.
    pub host: String,
    /// Empty, or begins with `/` and does not end with one.
    pub base_path: String,
}

/// The scheme of a back end's URL.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Only for loopback and private networks.
    Http,
    /// Certificates are always verified.
    Https,
}

impl Scheme {
    /// As it stands in a URL.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Scheme::Http => "http",
            Scheme::Https => "https",
        }
    }
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
    /// `caFile`: certificates to trust besides the built-in roots.
    pub ca: Option<Arc<PemFile>>,
    /// `clientCert`: how we identify ourselves.
    pub client_cert: Option<ClientCert>,
    /// `minVersion`.
    pub min_version: TlsVersion,
    /// `insecureSkipVerify`: any certificate will do.
    pub insecure_skip_verify: bool,
    /// `allowMissingCloseNotify`: an answer without a length may end with the connection alone, not with the end of TLS.
    pub allow_missing_close_notify: bool,
}

/// `tls.minVersion`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum TlsVersion {
    /// TLS 1.2 or later.
    #[default]
    Tls12,
    /// TLS 1.3 only.
    Tls13,
}

/// `tls.clientCert`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCert {
    /// `certFile`: the certificate, and those between it and its authority.
    pub certificates: Arc<PemFile>,
    /// `keyFile`.
    pub key: Arc<PemFile>,
}

/// A PEM file as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct PemFile {
    /// As the configuration writes it.
    pub path: PathBuf,
    /// All of it.
    pub text: Vec<u8>,
}

impl std::fmt::Debug for PemFile {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "PemFile({})", self.path.display())
    }
}

/// `http2` of a back end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
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
    /// One attempt, from the connection to the last byte received.
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
