//! A back end as it is configured: its address, TLS, limits and policies. `config` reads it, the proxy makes a client of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use http::header::HeaderValue;

use crate::policy::{Outlier, Retry};
use crate::reach::Reach;
use crate::scheme::Scheme;

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
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PublicUrl {
    /// `https://host[:port]`, without a path.
    pub origin: String,
    /// The host alone, for cookies.
    pub host: String,
    /// Empty, or begins with `/` and does not end with one.
    pub base_path: String,
    /// `content`: media types whose URLs are mapped as well, in lower case: `text/html`, `text/*`.
    pub content: Vec<String>,
}

impl PublicUrl {
    /// Returns whether the content of a media type is mapped.
    #[must_use]
    pub fn maps(&self, media_type: &str) -> bool {
        let is = |pattern: &String| match pattern.strip_suffix('*') {
            Some(prefix) => media_type.get(..prefix.len()).is_some_and(|head| head.eq_ignore_ascii_case(prefix)),
            None => media_type.eq_ignore_ascii_case(pattern),
        };
        self.content.iter().any(is)
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
