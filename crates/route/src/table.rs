//! The compiled configuration: names are resolved, and nothing is left to parse at request time. `config` owns the
//! syntax of the file, `select` the choice of a route.

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
    /// Enabled routes by ascending priority.
    pub(crate) routes: Vec<Route>,
    /// Finds the few routes that a request can match.
    pub(crate) index: Index,
    /// Route without conditions for requests that match no other.
    pub(crate) default: Route,
    /// `timeouts.request`: time limit for the whole exchange, in addition to the invocation's deadline.
    pub request_timeout: Option<Duration>,
    /// `requestId.header`: field that passes the request ID to the back end, unless the client has set it.
    pub request_id_field: HeaderName,
    /// `healthCheck.answer`.
    pub health_check: HealthCheck,
    /// `clientIp.trustedHops`: number of proxies, starting with the load balancer, that appended the address they saw
    /// to `X-Forwarded-For`.
    pub trusted_hops: usize,
}

impl RoutingTable {
    /// Returns all back ends, in the order of the file.
    #[must_use]
    pub fn backends(&self) -> &[Arc<Backend>] {
        &self.backends
    }

    /// Returns the enabled routes by ascending priority, without the default.
    #[must_use]
    pub fn routes(&self) -> &[Route] {
        &self.routes
    }

    /// Returns the route for requests that match no other.
    #[must_use]
    pub fn default_route(&self) -> &Route {
        &self.default
    }
}

/// A rule: conditions and what happens to matching requests.
#[derive(Clone, Debug)]
pub struct Route {
    /// Its name in the file; `default` for the last route.
    pub name: String,
    /// Lower numbers are evaluated first; `None` for the default.
    pub priority: Option<u32>,
    /// Conditions, all of which must hold.
    pub(crate) requirements: Vec<Requirement>,
    /// Applied before the request goes to a back end.
    pub transforms: Transforms,
    /// The action.
    pub action: Action,
    /// `requestHeaders`: changes to the fields sent to a back end.
    pub request_fields: FieldEdits,
    /// `responseHeaders`: changes to the fields sent to the client.
    pub response_fields: FieldEdits,
    /// `mirror`: copies for another back end.
    pub mirror: Option<Mirror>,
    /// `true` if any of this uses groups of the path's regex.
    pub(crate) uses_groups: bool,
}

impl Route {
    /// Describes the conditions; empty if there are none.
    #[must_use]
    pub fn conditions(&self) -> String {
        All(&self.requirements).to_string()
    }

    /// Returns the values of the `path` condition, whose regexes define the groups such as `${1}`; empty if there is
    /// none.
    pub(crate) fn path_patterns(&self) -> &[Pattern] {
        self.requirements.iter().find_map(Requirement::path_patterns).unwrap_or_default()
    }
}

/// The action of a route.
#[derive(Clone, Debug)]
pub enum Action {
    /// Sends the request to a back end.
    Forward(Forward),
    /// Redirects the client.
    Redirect(Redirect),
    /// Responds without a back end.
    FixedResponse(FixedResponse),
}

/// `forward`: the back ends that share a route's requests.
#[derive(Clone, Debug)]
pub struct Forward {
    /// Never empty; the weights do not sum to zero.
    pub targets: Vec<Target>,
    /// Ties users to targets.
    pub sticky: Option<Sticky>,
    /// Lets requests choose a target.
    pub opt_in: Option<OptIn>,
    /// Used when a target fails.
    pub failover: Option<Failover>,
}

impl Forward {
    /// Returns the transforms of the target with this back end, if there is one.
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
    /// The back end's name, which is hashed with users.
    pub name: String,
    /// Share relative to the other targets: 0 to 999.
    pub weight: u32,
    /// Applied after those of the route.
    pub transforms: Transforms,
}

/// `fixedResponse`.
#[derive(Clone, Debug)]
pub struct FixedResponse {
    /// 200 to 599.
    pub status: StatusCode,
    /// `contentType`.
    pub content_type: Option<HeaderValue>,
    /// `body`, or the content of `bodyFile`.
    pub body: bytes::Bytes,
}

/// `requestHeaders` or `responseHeaders`, applied in the order of these members.
#[derive(Clone, Debug, Default)]
pub struct FieldEdits {
    /// Removes all values of these fields.
    pub remove: Vec<HeaderName>,
    /// Replaces the values of a field; removes it if a variable has no value.
    pub set: Vec<(HeaderName, FieldValue)>,
    /// Adds a value to a field; does nothing if a variable has no value.
    pub add: Vec<(HeaderName, FieldValue)>,
}

impl FieldEdits {
    /// Returns the names of all fields that are changed.
    pub fn names(&self) -> impl Iterator<Item = &HeaderName> {
        self.remove.iter().chain(self.set.iter().chain(&self.add).map(|(name, _)| name))
    }

    /// Returns `true` if nothing changes.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.remove.is_empty() && self.set.is_empty() && self.add.is_empty()
    }
}

/// The value of a field that the configuration sets.
#[derive(Clone, Debug)]
pub enum FieldValue {
    /// A constant.
    Constant(HeaderValue),
    /// A text with variables.
    Template(Template),
}

/// A configured destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Backend {
    /// Its name in the file.
    pub name: String,
    /// Protocol.
    pub scheme: Scheme,
    /// Name or IP address to connect to; an IPv6 address without brackets.
    pub host: String,
    /// Port to connect to.
    pub port: u16,
    /// `host[:port]` for the `Host` field, without the scheme's default port.
    pub authority: HeaderValue,
    /// Prefix of every path: empty, or begins with `/` and does not end with one.
    pub base_path: String,
    /// The `Host` that the back end gets.
    pub host_header: HostHeader,
    /// `true` to add `Via` to its requests.
    pub via: bool,
    /// TLS settings of an `https` back end.
    pub tls: TlsSettings,
    /// HTTP version.
    pub http2: Http2,
    /// Time limits.
    pub timeouts: Timeouts,
    /// Names or IP addresses with ports to connect to instead of `host`, tried in this order.
    pub addresses: Vec<(String, u16)>,
    /// Restrictions on its addresses.
    pub reach: Reach,
    /// Retry policy.
    pub retry: Option<Retry>,
    /// Circuit breaker policy.
    pub outlier: Option<Outlier>,
    /// The URL that clients see instead.
    pub public_url: Option<PublicUrl>,
}

/// `publicUrl` of a back end: replaces its own URL in its responses.
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
    /// For loopback and private networks only.
    Http,
    /// Certificates are verified.
    Https,
}

impl Scheme {
    /// Returns the scheme as in a URL.
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
    /// The authority of the back end's URL; the client's host is in `X-Forwarded-Host`.
    Backend,
    /// The client's `Host`.
    Preserve,
    /// This value.
    Literal(HeaderValue),
}

/// `tls` of a back end.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TlsSettings {
    /// Name for SNI and verification; the URL's host if `None`.
    pub server_name: Option<String>,
    /// `caFile`: certificates to trust in addition to the built-in roots.
    pub ca: Option<Arc<PemFile>>,
    /// `clientCert`: certificate that Crossfade presents.
    pub client_cert: Option<ClientCert>,
    /// `minVersion`.
    pub min_version: TlsVersion,
    /// `insecureSkipVerify`: certificates are not verified.
    pub insecure_skip_verify: bool,
    /// `allowMissingCloseNotify`: a response without a length may end with the connection, without the end of TLS.
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
    /// `certFile`: the certificate and its intermediates.
    pub certificates: Arc<PemFile>,
    /// `keyFile`.
    pub key: Arc<PemFile>,
}

/// A PEM file as it was read.
#[derive(Clone, PartialEq, Eq)]
pub struct PemFile {
    /// Path as in the configuration.
    pub path: PathBuf,
    /// Content of the whole file.
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
    /// Used if the back end offers it in the TLS handshake (ALPN).
    #[default]
    Auto,
    /// HTTP/1.1 only.
    Never,
    /// Required; over plain `http` by prior knowledge.
    Always,
}

/// `timeouts` of a back end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Limit for name resolution, TCP and TLS together.
    pub connect: Duration,
    /// Limit for one attempt, from the connection to the last byte received.
    pub backend_request: Option<Duration>,
}

impl Default for Timeouts {
    fn default() -> Self {
        Timeouts { connect: Duration::from_secs(3), backend_request: None }
    }
}

/// `healthCheck.answer`: selects what responds to the load balancer's health checks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum HealthCheck {
    /// The function itself, with 200: a broken back end must not take the proxy out of service.
    #[default]
    Function,
    /// The back end that the request is routed to.
    Backend,
}
