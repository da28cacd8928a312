//! Everything that can go wrong with a request, and which status and `Proxy-Status` the client gets for it. Exhaustive
//! by `match`: a new variant does not compile until it has both.

use std::io;
use std::net::IpAddr;
use std::time::Duration;

use crossfade_route::Prohibited;
use http::StatusCode;

/// A request that gets its answer from us. `Display` is for logs and may name internals; the client sees
/// [`ProxyError::status`] and [`ProxyError::error_type`] only.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The event or the request in it cannot be forwarded as it is.
    #[error("{0}")]
    RequestInvalid(String),
    /// TRACE and CONNECT.
    #[error("method `{0}` is not forwarded")]
    MethodRefused(http::Method),
    /// A WebSocket cannot pass a Lambda function.
    #[error("an upgrade to WebSocket is not possible")]
    WebSocketRefused,
    /// Our own name is in `CDN-Loop` or `Via`.
    #[error("the request has been here before: `{field}` names `{id}`")]
    Loop {
        /// Which of the two.
        field: &'static str,
        /// The name.
        id: String,
    },
    /// No answer from the resolver in time.
    #[error("no address for `{0}` in time")]
    DnsTimeout(String),
    /// The resolver says no.
    #[error("no address for `{host}`: {source}")]
    Dns {
        /// The name that was looked up.
        host: String,
        /// What the resolver said.
        source: io::Error,
    },
    /// An address that no back end may have.
    #[error("`{host}` has the address {ip}, which {reason}")]
    AddressProhibited {
        /// The name of the back end.
        host: String,
        /// The last of its addresses.
        ip: IpAddr,
        /// What is wrong with it.
        reason: Prohibited,
    },
    /// Nobody listens.
    #[error("connection refused by {0}")]
    ConnectionRefused(String),
    /// No route, network down, too many descriptors.
    #[error("no connection to {address}: {source}")]
    Unroutable {
        /// Where to.
        address: String,
        /// What the system said.
        source: io::Error,
    },
    /// TCP or TLS not there in time.
    #[error("no connection to {0} in time")]
    ConnectTimeout(String),
    /// The certificate is not the back end's, or nobody we trust vouches for it.
    #[error("certificate: {0}")]
    TlsCertificate(#[source] rustls::Error),
    /// The back end ended the TLS handshake.
    #[error("TLS: {0}")]
    TlsAlert(#[source] rustls::Error),
    /// TLS failed in another way.
    #[error("TLS: {0}")]
    Tls(#[source] io::Error),
    /// `http2: always`, but the back end does not speak it.
    #[error("the back end does not offer HTTP/2")]
    Http2NotOffered,
    /// The connection was made, and broke at once or in the handshake of TLS.
    #[error("the connection broke before it could be used: {0}")]
    BrokenEarly(#[source] io::Error),
    /// The connection was made, and broke before HTTP began on it.
    #[error("the connection broke at once: {0}")]
    Handshake(#[source] hyper::Error),
    /// The connection broke before an answer came.
    #[error("the connection broke before the answer: {0}")]
    ConnectionTerminated(#[source] hyper::Error),
    /// The connection broke within the answer.
    #[error("the answer is incomplete: {0}")]
    ResponseIncomplete(#[source] hyper::Error),
    /// What came is not HTTP.
    #[error("the answer is not valid HTTP: {0}")]
    Protocol(#[source] hyper::Error),
    /// A coding of the message that we have not asked for, and cannot take off.
    #[error("the answer has a `Transfer-Encoding` that is not `chunked`")]
    TransferCoding,
    /// A status that no front end carries: 101 to nobody's request, or one above 599.
    #[error("the answer has the status {0}")]
    StatusNotCarried(u16),
    /// No complete answer in time.
    #[error("no complete answer in time")]
    ResponseTimeout,
    /// More than the front end carries.
    #[error("{0}")]
    ResponseTooLarge(String),
    /// More fields than the front end carries.
    #[error("{0}")]
    ResponseFieldsTooLarge(String),
    /// It keeps failing, and there is no other back end for the request.
    #[error("`{backend}` counts as down, for {} ms more", .left.as_millis())]
    Down {
        /// Its name.
        backend: String,
        /// For how long.
        left: Duration,
    },
    /// Nothing that is begun now could end in time.
    #[error("too little time is left to ask a back end")]
    NoTime,
    /// A transform of the configuration makes something of this request that cannot be sent.
    #[error("{0}")]
    TransformFailed(String),
    /// A defect of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

/// How a back end failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There was no connection: it has not seen the request.
    Connect,
    /// No complete answer in time.
    Timeout,
    /// The connection broke, or what came is no HTTP.
    Reset,
    /// An answer with this status.
    Status(StatusCode),
}

impl ProxyError {
    /// The status that the client gets: 4xx where the request is at fault, 508 (RFC 5842) for loops, otherwise as RFC 9209
    /// section 2.3 recommends.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::RequestInvalid(_) | Self::WebSocketRefused => StatusCode::BAD_REQUEST,
            Self::MethodRefused(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Loop { .. } => StatusCode::LOOP_DETECTED,
            Self::DnsTimeout(_) | Self::ConnectTimeout(_) | Self::ResponseTimeout => StatusCode::GATEWAY_TIMEOUT,
            Self::Down { .. } | Self::NoTime => StatusCode::SERVICE_UNAVAILABLE,
            Self::TransformFailed(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Dns { .. }
            | Self::AddressProhibited { .. }
            | Self::ConnectionRefused(_)
            | Self::Unroutable { .. }
            | Self::TlsCertificate(_)
            | Self::TlsAlert(_)
            | Self::Tls(_)
            | Self::Http2NotOffered
            | Self::BrokenEarly(_)
            | Self::Handshake(_)
            | Self::ConnectionTerminated(_)
            | Self::ResponseIncomplete(_)
            | Self::Protocol(_)
            | Self::TransferCoding
            | Self::StatusNotCarried(_)
            | Self::ResponseTooLarge(_)
            | Self::ResponseFieldsTooLarge(_) => StatusCode::BAD_GATEWAY,
        }
    }

    /// The proxy error type of RFC 9209 section 2.3: `error` of the `Proxy-Status` field and of the access log.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::RequestInvalid(_) => "http_request_error",
            Self::MethodRefused(_) => "http_request_denied",
            Self::WebSocketRefused => "http_upgrade_failed",
            Self::Loop { .. } => "proxy_loop_detected",
            Self::DnsTimeout(_) => "dns_timeout",
            Self::Dns { .. } => "dns_error",
            Self::AddressProhibited { .. } => "destination_ip_prohibited",
            Self::ConnectionRefused(_) => "connection_refused",
            Self::Unroutable { .. } => "destination_ip_unroutable",
            Self::ConnectTimeout(_) => "connection_timeout",
            Self::TlsCertificate(_) => "tls_certificate_error",
            Self::TlsAlert(_) => "tls_alert_received",
            Self::Tls(_) => "tls_protocol_error",
            Self::Http2NotOffered | Self::Protocol(_) | Self::StatusNotCarried(_) => "http_protocol_error",
            Self::BrokenEarly(_) | Self::Handshake(_) | Self::ConnectionTerminated(_) => "connection_terminated",
            Self::TransferCoding => "http_response_transfer_coding",
            Self::ResponseIncomplete(_) => "http_response_incomplete",
            Self::ResponseTimeout => "http_response_timeout",
            Self::ResponseTooLarge(_) => "http_response_body_size",
            Self::ResponseFieldsTooLarge(_) => "http_response_header_section_size",
            Self::Down { .. } => "destination_unavailable",
            // The only type that says that no back end was asked.
            Self::NoTime => "proxy_internal_response",
            Self::TransformFailed(_) => "proxy_configuration_error",
            Self::Internal(_) => "proxy_internal_error",
        }
    }

    /// What kind of failure of its back end this is, for retry, failover and breaker; `None` if the back end is not at
    /// fault, or another one could do no better.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self {
            Self::DnsTimeout(_)
            | Self::Dns { .. }
            | Self::AddressProhibited { .. }
            | Self::ConnectionRefused(_)
            | Self::Unroutable { .. }
            | Self::ConnectTimeout(_)
            | Self::TlsCertificate(_)
            | Self::TlsAlert(_)
            | Self::Tls(_)
            | Self::Http2NotOffered
            | Self::BrokenEarly(_)
            | Self::Handshake(_) => Some(Failure::Connect),
            Self::ResponseTimeout => Some(Failure::Timeout),
            Self::ConnectionTerminated(_)
            | Self::ResponseIncomplete(_)
            | Self::Protocol(_)
            | Self::TransferCoding
            | Self::StatusNotCarried(_) => Some(Failure::Reset),
            Self::RequestInvalid(_)
            | Self::MethodRefused(_)
            | Self::WebSocketRefused
            | Self::Loop { .. }
            | Self::ResponseTooLarge(_)
            | Self::ResponseFieldsTooLarge(_)
            | Self::Down { .. }
            | Self::NoTime
            | Self::TransformFailed(_)
            | Self::Internal(_) => None,
        }
    }

    /// Whether the end of the time is all that went wrong.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::DnsTimeout(_) | Self::ConnectTimeout(_) | Self::ResponseTimeout)
    }

    /// In how many seconds another try can do better (RFC 9110 section 10.2.3), where that is known.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::Down { left, .. } => Some(left.as_millis().div_ceil(1000).max(1) as u64),
            Self::NoTime => Some(1),
            _ => None,
        }
    }

    /// What the client may know besides the type: limits of the front end, which are public.
    pub(crate) fn public_details(&self) -> Option<&str> {
        match self {
            Self::ResponseTooLarge(details) | Self::ResponseFieldsTooLarge(details) => Some(details),
            _ => None,
        }
    }
}
