//! Everything that can go wrong with a request, and which status and `Proxy-Status` the client gets for it. Exhaustive
//! by `match`: a new variant does not compile until it has both.

use std::error::Error;
use std::fmt;
use std::io;
use std::net::IpAddr;
use std::time::Duration;

use crossfade_journal::AccessRecord;
use crossfade_route::Prohibited;
use http::StatusCode;

use crate::time::TimeLimit;
use crate::tls_hint;

/// A request that gets its answer from us. `Display` is for logs and may name internals; the client sees
/// [`ProxyError::status`] and [`ProxyError::error_type`] only.
#[derive(Debug, thiserror::Error)]
pub enum ProxyError {
    /// The event or the request in it cannot be forwarded as it is.
    #[error("{0}")]
    RequestInvalid(String),
    /// The event is not an HTTP request. Its sender, who may invoke the function, reads the reason.
    #[error("{0}")]
    EventUnsupported(String),
    /// TRACE and CONNECT.
    #[error("method `{0}` is not forwarded")]
    MethodRefused(http::Method),
    /// A WebSocket cannot pass a Lambda function.
    #[error("WebSocket upgrades are unsupported")]
    WebSocketRefused,
    /// Our own name is in `CDN-Loop` or `Via`.
    #[error("the request has already passed through this proxy: `{field}` names `{id}`")]
    Loop {
        /// `cdn-loop` or `via`.
        field: &'static str,
        /// The name.
        id: String,
    },
    /// No answer from the resolver in time.
    #[error("no address for `{0}` in time")]
    DnsTimeout(String, TimeLimit),
    /// The resolver says no.
    #[error("no address for `{host}`: {source}")]
    Dns {
        /// The name that was looked up.
        host: String,
        /// The resolver's error.
        source: io::Error,
    },
    /// An address that no back end may have.
    #[error("`{host}` has the address {ip}, which {reason}")]
    AddressProhibited {
        /// The name of the back end.
        host: String,
        /// The last of its addresses.
        ip: IpAddr,
        /// The reason why it must not be contacted.
        reason: Prohibited,
    },
    /// Nobody listens.
    #[error("connection refused by {0}")]
    ConnectionRefused(String),
    /// No route, network down, too many descriptors.
    #[error("no connection to {address}: {source}")]
    Unroutable {
        /// The address and port.
        address: String,
        /// The system's error.
        source: io::Error,
    },
    /// TCP or TLS not there in time.
    #[error("no connection to {0} in time")]
    ConnectTimeout(String, TimeLimit),
    /// The certificate is not the back end's, or no trusted authority has issued it.
    #[error("certificate: {0}{hint}", hint = tls_hint::of(.0))]
    TlsCertificate(#[source] rustls::Error),
    /// The back end ended the TLS handshake.
    #[error("TLS: {0}{hint}", hint = tls_hint::of(.0))]
    TlsAlert(#[source] rustls::Error),
    /// TLS failed in another way.
    #[error("TLS: {0}{hint}", hint = tls_hint::of_io(.0))]
    Tls(#[source] io::Error),
    /// `http2: always`, but the back end does not speak it.
    #[error("the back end does not offer HTTP/2")]
    Http2NotOffered,
    /// The connection was made, and closed immediately or in the TLS handshake.
    #[error("the connection closed before it could be used: {0}")]
    BrokenEarly(#[source] io::Error),
    /// The connection was made, and closed before HTTP began on it.
    #[error("the connection closed immediately: {cause}", cause = Causes(.0))]
    Handshake(#[source] hyper::Error),
    /// The connection closed before a response came.
    #[error("the connection closed before the response: {cause}", cause = Causes(.0))]
    ConnectionTerminated(#[source] hyper::Error),
    /// The connection closed within the response.
    #[error("the response is incomplete: {cause}", cause = Causes(.0))]
    ResponseIncomplete(#[source] hyper::Error),
    /// Over HTTP/2: the back end reset the stream within the response, and called that no error.
    #[error("the response is incomplete: it ended after {received}{} bytes", Of(*.promised))]
    ResponseCutShort {
        /// `Content-Length`, if there was one.
        promised: Option<u64>,
        /// Bytes of content.
        received: u64,
    },
    /// The back end sent bytes that are not HTTP.
    #[error("the response is not valid HTTP: {cause}", cause = Causes(.0))]
    Protocol(#[source] hyper::Error),
    /// A transfer coding that Crossfade has not asked for and cannot decode.
    #[error("the response has a `Transfer-Encoding` other than `chunked`")]
    TransferCoding,
    /// Content that is mapped as it arrives cannot be decoded.
    #[error("the content of the response is not valid gzip, or ends within it")]
    ContentCoding,
    /// A status that no front end carries: 101 without an upgrade, or one above 599.
    #[error("the response has the invalid status {0}")]
    StatusNotCarried(u16),
    /// No complete answer in time.
    #[error("no complete response in time")]
    ResponseTimeout(TimeLimit),
    /// More than the front end carries.
    #[error("{0}")]
    ResponseTooLarge(String),
    /// More than the front end carries, and it could not be stored for the client (`spill`).
    #[error("{problem}; it could not be stored: {reason}")]
    ResponseNotStored {
        /// The same as without `spill`.
        problem: String,
        /// The problem of the store.
        reason: String,
    },
    /// More fields than the front end carries.
    #[error("{0}")]
    ResponseFieldsTooLarge(String),
    /// The circuit breaker is open, and there is no other back end for the request.
    #[error("`{backend}`: the circuit breaker is open for {} ms more", .left.as_millis())]
    CircuitOpen {
        /// Its name.
        backend: String,
        /// For how long.
        left: Duration,
    },
    /// Nothing that is begun now could end in time.
    #[error("too little time is left to send the request")]
    NoTime,
    /// A transform of the configuration makes something of this request that cannot be sent.
    #[error("{0}")]
    TransformFailed(String),
    /// A defect of ours.
    #[error("internal error: {0}")]
    Internal(String),
}

/// The whole that something is a part of, if it is known.
struct Of(Option<u64>);

impl fmt::Display for Of {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.map_or(Ok(()), |whole| write!(f, " of {whole}"))
    }
}

/// An error of the HTTP library with its causes: by itself it says no more than "connection error".
struct Causes<'e>(&'e hyper::Error);

impl fmt::Display for Causes<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)?;
        let mut cause = self.0.source();
        while let Some(error) = cause {
            write!(f, ": {error}")?;
            cause = error.source();
        }
        Ok(())
    }
}

/// The ways to a response that is too large.
const INSTEAD: &str = "send it compressed, in pages, or past the proxy";

/// Kinds of failures of a back end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// There was no connection: it has not seen the request.
    Connect,
    /// No complete answer in time.
    Timeout,
    /// The connection closed, or the response is not HTTP.
    Reset,
    /// An answer with this status.
    Status(StatusCode),
}

impl ProxyError {
    /// The error for a response that the front end cannot carry. `problem` names the limit.
    #[must_use]
    pub fn too_large(problem: &impl fmt::Display) -> Self {
        Self::ResponseTooLarge(format!("{problem}; {INSTEAD}"))
    }

    /// The same for one that could not be stored either.
    #[must_use]
    pub fn not_stored(problem: &impl fmt::Display, reason: String) -> Self {
        let problem = format!("{problem}; {INSTEAD}");
        Self::ResponseNotStored { problem, reason }
    }

    /// Notes in the record of a request that its response is ours, and why.
    pub fn note(&self, record: &mut AccessRecord<'_>) {
        record.error = Some(self.error_type().into());
        record.detail = Some(self.with_causes().into());
    }

    /// The error and, where the text of its source does not have them, the causes behind that: what the system said of a
    /// connection. They are words of libraries and of the system, never of a message.
    fn with_causes(&self) -> String {
        let mut text = self.to_string();
        let mut cause = self.source().and_then(Error::source);
        while let Some(inner) = cause {
            let words = inner.to_string();
            if !text.ends_with(&words) {
                text.push_str(": ");
                text.push_str(&words);
            }
            cause = inner.source();
        }
        text
    }

    /// The status that the client gets: 4xx where the request is at fault, 508 (RFC 5842) for loops, otherwise as RFC 9209
    /// section 2.3 recommends.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        match self {
            Self::RequestInvalid(_) | Self::EventUnsupported(_) | Self::WebSocketRefused => StatusCode::BAD_REQUEST,
            Self::MethodRefused(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Loop { .. } => StatusCode::LOOP_DETECTED,
            Self::DnsTimeout(..) | Self::ConnectTimeout(..) | Self::ResponseTimeout(_) => StatusCode::GATEWAY_TIMEOUT,
            Self::CircuitOpen { .. } | Self::NoTime => StatusCode::SERVICE_UNAVAILABLE,
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
            | Self::ResponseCutShort { .. }
            | Self::Protocol(_)
            | Self::TransferCoding
            | Self::ContentCoding
            | Self::StatusNotCarried(_)
            | Self::ResponseTooLarge(_)
            | Self::ResponseNotStored { .. }
            | Self::ResponseFieldsTooLarge(_) => StatusCode::BAD_GATEWAY,
        }
    }

    /// The proxy error type of RFC 9209 section 2.3: `error` of the `Proxy-Status` field and of the access log.
    #[must_use]
    pub fn error_type(&self) -> &'static str {
        match self {
            Self::RequestInvalid(_) | Self::EventUnsupported(_) => "http_request_error",
            Self::MethodRefused(_) => "http_request_denied",
            Self::WebSocketRefused => "http_upgrade_failed",
            Self::Loop { .. } => "proxy_loop_detected",
            Self::DnsTimeout(..) => "dns_timeout",
            Self::Dns { .. } => "dns_error",
            Self::AddressProhibited { .. } => "destination_ip_prohibited",
            Self::ConnectionRefused(_) => "connection_refused",
            Self::Unroutable { .. } => "destination_ip_unroutable",
            Self::ConnectTimeout(..) => "connection_timeout",
            Self::TlsCertificate(_) => "tls_certificate_error",
            Self::TlsAlert(_) => "tls_alert_received",
            Self::Tls(_) => "tls_protocol_error",
            Self::Http2NotOffered | Self::Protocol(_) | Self::StatusNotCarried(_) => "http_protocol_error",
            Self::BrokenEarly(_) | Self::Handshake(_) | Self::ConnectionTerminated(_) => "connection_terminated",
            Self::TransferCoding => "http_response_transfer_coding",
            Self::ContentCoding => "http_response_content_coding",
            Self::ResponseIncomplete(_) | Self::ResponseCutShort { .. } => "http_response_incomplete",
            Self::ResponseTimeout(_) => "http_response_timeout",
            Self::ResponseTooLarge(_) | Self::ResponseNotStored { .. } => "http_response_body_size",
            Self::ResponseFieldsTooLarge(_) => "http_response_header_section_size",
            Self::CircuitOpen { .. } => "destination_unavailable",
            // The only type that says that the request was sent to no back end.
            Self::NoTime => "proxy_internal_response",
            Self::TransformFailed(_) => "proxy_configuration_error",
            Self::Internal(_) => "proxy_internal_error",
        }
    }

    /// The kind of failure that this is, for retry, failover and circuit breaker; `None` if the back end is not at fault, or
    /// another one could do no better.
    pub(crate) fn failure(&self) -> Option<Failure> {
        match self {
            Self::DnsTimeout(..)
            | Self::Dns { .. }
            | Self::AddressProhibited { .. }
            | Self::ConnectionRefused(_)
            | Self::Unroutable { .. }
            | Self::ConnectTimeout(..)
            | Self::TlsCertificate(_)
            | Self::TlsAlert(_)
            | Self::Tls(_)
            | Self::Http2NotOffered
            | Self::BrokenEarly(_)
            | Self::Handshake(_) => Some(Failure::Connect),
            Self::ResponseTimeout(_) => Some(Failure::Timeout),
            Self::ConnectionTerminated(_)
            | Self::ResponseIncomplete(_)
            | Self::ResponseCutShort { .. }
            | Self::Protocol(_)
            | Self::TransferCoding
            | Self::StatusNotCarried(_) => Some(Failure::Reset),
            Self::RequestInvalid(_)
            | Self::EventUnsupported(_)
            | Self::MethodRefused(_)
            | Self::WebSocketRefused
            | Self::Loop { .. }
            | Self::ContentCoding
            | Self::ResponseTooLarge(_)
            | Self::ResponseNotStored { .. }
            | Self::ResponseFieldsTooLarge(_)
            | Self::CircuitOpen { .. }
            | Self::NoTime
            | Self::TransformFailed(_)
            | Self::Internal(_) => None,
        }
    }

    /// Returns whether this error counts toward opening the circuit breaker (`outlier`). It does not if the time was shorter
    /// than the back end's own limit, if the request is at fault, or if this process ran out of a resource.
    pub(crate) fn is_outage(&self) -> bool {
        match self {
            Self::DnsTimeout(_, limit) | Self::ConnectTimeout(_, limit) | Self::ResponseTimeout(limit) => {
                *limit == TimeLimit::Own
            }
            Self::Unroutable { source, .. } => !is_of_this_process(source),
            Self::ConnectionTerminated(error) | Self::ResponseIncomplete(error) => !is_of_the_request(error),
            _ => self.failure().is_some(),
        }
    }

    /// Returns whether the end of the time is the only problem.
    pub(crate) fn is_timeout(&self) -> bool {
        matches!(self, Self::DnsTimeout(..) | Self::ConnectTimeout(..) | Self::ResponseTimeout(_))
    }

    /// In how many seconds another try can do better (RFC 9110 section 10.2.3), where that is known.
    pub(crate) fn retry_after(&self) -> Option<u64> {
        match self {
            Self::CircuitOpen { left, .. } => Some(left.as_millis().div_ceil(1000).max(1) as u64),
            Self::NoTime => Some(1),
            _ => None,
        }
    }

    /// Details that the client may see besides the type: limits of the front end, which are public, and what kinds of events
    /// there are.
    pub(crate) fn public_details(&self) -> Option<&str> {
        match self {
            Self::ResponseTooLarge(details)
            | Self::ResponseNotStored { problem: details, .. }
            | Self::ResponseFieldsTooLarge(details)
            | Self::EventUnsupported(details) => Some(details),
            _ => None,
        }
    }
}

/// Returns whether this environment has no descriptor, port or memory left. The codes are the same on Linux and macOS.
fn is_of_this_process(error: &io::Error) -> bool {
    const ENFILE: i32 = 23;
    const EMFILE: i32 = 24;
    matches!(error.raw_os_error(), Some(ENFILE | EMFILE))
        || matches!(error.kind(), io::ErrorKind::AddrNotAvailable | io::ErrorKind::OutOfMemory)
}

/// Returns whether a back end has rejected this one request over HTTP/2 (RFC 9113 section 7), on a connection that stays
/// open.
fn is_of_the_request(error: &hyper::Error) -> bool {
    let cause = error.source().and_then(|cause| cause.downcast_ref::<h2::Error>());
    cause.is_some_and(|cause| {
        let of_request = [h2::Reason::PROTOCOL_ERROR, h2::Reason::HTTP_1_1_REQUIRED];
        cause.is_remote() && cause.is_reset() && cause.reason().is_some_and(|reason| of_request.contains(&reason))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_a_back_end_is_to_blame_for_is_an_outage() {
        let unroutable = |source| ProxyError::Unroutable { address: String::new(), source };
        let address = || "192.0.2.1:443".to_owned();
        for (error, expected) in [
            (ProxyError::ResponseTimeout(TimeLimit::Own), true),
            (ProxyError::ResponseTimeout(TimeLimit::Cut), false),
            (ProxyError::ConnectTimeout(address(), TimeLimit::Own), true),
            (ProxyError::ConnectTimeout(address(), TimeLimit::Cut), false),
            (ProxyError::DnsTimeout(address(), TimeLimit::Own), true),
            (ProxyError::DnsTimeout(address(), TimeLimit::Cut), false),
            (ProxyError::ConnectionRefused(address()), true),
            (unroutable(io::ErrorKind::HostUnreachable.into()), true),
            (unroutable(io::Error::from_raw_os_error(24)), false),
            (unroutable(io::ErrorKind::AddrNotAvailable.into()), false),
            (ProxyError::ResponseTooLarge(String::new()), false),
            (ProxyError::ResponseFieldsTooLarge(String::new()), false),
            (ProxyError::TransferCoding, true),
        ] {
            assert_eq!(error.is_outage(), expected, "{error:?}");
        }
    }
}
