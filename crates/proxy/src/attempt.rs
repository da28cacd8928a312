//! Sending a request to a back end: once, and once more where a kept connection turns out to be dead.
//!
//! Owns the rule for that second time, and the reading of the whole answer. Connections are `upstream`'s.

use std::error::Error;
use std::io;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme as UriScheme, Uri};
use http::{HeaderMap, Method, Request, Response, request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body, Incoming};
use tokio::time::{Instant, timeout_at};

use crossfade_route::Scheme;

use crate::ProxyError;
use crate::upstream::{Connection, Progress, SendFailure, Upstream};

/// With less time than this nothing is begun that needs a back end: a connection over the internet takes about as long, and
/// what is sent and not waited for is worse than what is not sent.
pub(crate) const SHORTEST: Duration = Duration::from_millis(20);

/// When things have to be done, and how much may come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// For the whole answer.
    pub(crate) deadline: Instant,
    /// Bytes of content that the front end could carry at most.
    pub(crate) response_bytes: usize,
    /// When the invocation began.
    pub(crate) started: Instant,
    /// The same by the clock on the wall.
    pub(crate) now: SystemTime,
    /// From 0.5 to 1: waits are multiplied by it, so that not all environments send again at one moment.
    pub(crate) jitter: f64,
}

impl Bounds {
    /// Whether too little time is left to begin anything.
    pub(crate) fn is_over(&self) -> bool {
        self.deadline < Instant::now() + SHORTEST
    }
}

/// What happened, for the access log.
#[derive(Debug, Default)]
pub(crate) struct Trace {
    pub(crate) attempts: u32,
    pub(crate) retries: u32,
    /// Whether one of the attempts may have reached the back end.
    pub(crate) may_be_seen: bool,
    pub(crate) connect_started: Option<Instant>,
    pub(crate) connected: Option<Instant>,
    pub(crate) first_byte: Option<Instant>,
    /// The last attempt, from sending to the last byte, without the time for a new connection.
    pub(crate) took: Duration,
}

impl Trace {
    /// How long a connection took that was opened after an instant.
    fn connecting_since(&self, since: Instant) -> Duration {
        match (self.connect_started, self.connected) {
            (Some(begin), Some(end)) if begin >= since => end.saturating_duration_since(begin),
            _ => Duration::ZERO,
        }
    }
}

/// Sends a request and reads the whole answer.
pub(crate) async fn send(
    upstream: &Upstream,
    parts: &request::Parts,
    body: &Bytes,
    bounds: Bounds,
    trace: &mut Trace,
) -> Result<Response<Bytes>, ProxyError> {
    let limits = upstream.backend.timeouts;
    let started = Instant::now();
    let deadline = match limits.backend_request {
        Some(limit) => bounds.deadline.min(started + limit),
        None => bounds.deadline,
    };
    let in_time = async {
        let mut kept = upstream.checkout(bounds.now, parts.method.is_idempotent()).await;
        let (connection, head) = loop {
            let was_kept = kept.is_some();
            let connection = match kept.take() {
                Some(connection) => connection,
                None => connect(upstream, deadline, trace).await?,
            };
            // The process may have stood still meanwhile.
            if deadline <= Instant::now() {
                return Err(ProxyError::ResponseTimeout);
            }
            match exchange(upstream, connection, parts, body, trace).await {
                Ok(answer) => break answer,
                Err(failure) if was_kept && may_send_again(&parts.method, failure.progress) => {
                    upstream.discard_idle();
                    trace.may_be_seen |= !failure.progress.nothing_sent;
                }
                Err(failure) => return Err(no_answer(failure)),
            }
        };
        trace.first_byte = Some(Instant::now());
        let is_unambiguous = is_unambiguous(head.headers())?;
        let keep_alive = keep_alive(head.headers());
        let response = read(head, bounds.response_bytes).await?;
        if !(200..=599).contains(&response.status().as_u16()) {
            return Err(ProxyError::StatusNotCarried(response.status().as_u16()));
        }
        if is_unambiguous {
            upstream.checkin(connection, bounds.now, keep_alive);
        }
        trace.took = started.elapsed().saturating_sub(trace.connecting_since(started));
        Ok(response)
    };
    let mut in_time = pin!(in_time);
    let mut result = timeout_at(deadline, &mut in_time).await;
    if result.is_err() && deadline.elapsed() > SHORTEST {
        // The process stood still. The answer may have come in the meantime, and only not been read.
        result = timeout_at(Instant::now() + SHORTEST, in_time).await;
    }
    let result = result.unwrap_or(Err(ProxyError::ResponseTimeout));
    if let Err(ProxyError::ResponseTimeout | ProxyError::ConnectionTerminated(_) | ProxyError::ResponseIncomplete(_)) =
        result
    {
        // An HTTP/2 connection is kept while requests are on it; the next one shall not try a dead one again.
        upstream.discard_idle();
    }
    result
}

/// Whether there are no two opinions on where the answer ends. With both `Transfer-Encoding` and `Content-Length` the
/// first one counts, but the second may be what the back end goes by (RFC 9112 section 6.3): what comes next on the
/// connection cannot be trusted.
fn is_unambiguous(fields: &HeaderMap) -> Result<bool, ProxyError> {
    let mut codings = fields.get_all(TRANSFER_ENCODING).iter();
    let Some(coding) = codings.next() else { return Ok(true) };
    // We send no `TE`, so others must not come (RFC 9112 section 6.1); the client would get them as content.
    if codings.next().is_some() || !coding.as_bytes().eq_ignore_ascii_case(b"chunked") {
        return Err(ProxyError::TransferCoding);
    }
    Ok(!fields.contains_key(CONTENT_LENGTH))
}

/// The time that a back end keeps an idle connection (`Keep-Alive: timeout=5`), less a second for the way.
fn keep_alive(fields: &HeaderMap) -> Option<Duration> {
    let value = fields.get("keep-alive")?.to_str().ok()?;
    let seconds = value.split(',').find_map(|parameter| parameter.trim().strip_prefix("timeout="))?;
    Some(Duration::from_secs(seconds.trim().parse::<u64>().ok()?.min(3600).saturating_sub(1)))
}

/// A kept connection may be dead without anyone's fault. Sending again is safe if the back end cannot have seen the
/// request, or if seeing it twice is the same to it (RFC 9110 section 9.2.2) and it has not begun to answer.
fn may_send_again(method: &Method, progress: Progress) -> bool {
    progress.nothing_sent || (method.is_idempotent() && progress.nothing_received)
}

async fn connect(upstream: &Upstream, deadline: Instant, trace: &mut Trace) -> Result<Connection, ProxyError> {
    let started = Instant::now();
    trace.connect_started = Some(started);
    let connection = upstream.connect(deadline.min(started + upstream.backend.timeouts.connect)).await?;
    trace.connected = Some(Instant::now());
    Ok(connection)
}

async fn exchange(
    upstream: &Upstream,
    mut connection: Connection,
    parts: &request::Parts,
    body: &Bytes,
    trace: &mut Trace,
) -> Result<(Connection, Response<Incoming>), SendFailure> {
    trace.attempts += 1;
    let mut request = Request::new(Full::new(body.clone()));
    *request.method_mut() = parts.method.clone();
    *request.headers_mut() = parts.headers.clone();
    *request.uri_mut() = parts.uri.clone();
    if connection.is_http2() {
        absolute(&mut request, upstream.backend.scheme);
    }
    let head = connection.send(request).await?;
    Ok((connection, head))
}

/// HTTP/2 has the host in `:authority` (RFC 9113 section 8.3.1), which the client library takes from the URI.
fn absolute(request: &mut Request<Full<Bytes>>, scheme: Scheme) {
    let host = request.headers_mut().remove(http::header::HOST);
    let authority = host.and_then(|host| Authority::from_maybe_shared(host).ok());
    let mut parts = http::uri::Parts::default();
    parts.scheme = Some(match scheme {
        Scheme::Https => UriScheme::HTTPS,
        Scheme::Http => UriScheme::HTTP,
    });
    parts.path_and_query = Some(request.uri().path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/")));
    parts.authority = authority;
    if let Ok(uri) = Uri::from_parts(parts) {
        *request.uri_mut() = uri;
    }
}

/// Reads the content, up to what the front end could carry.
async fn read(response: Response<Incoming>, limit: usize) -> Result<Response<Bytes>, ProxyError> {
    let (parts, incoming) = response.into_parts();
    let too_large = || {
        let limit = format!("more than {limit} bytes of content");
        ProxyError::ResponseTooLarge(format!("the response is too large for the load balancer: {limit}"))
    };
    // Over HTTP/2 the hint is the length that the field names, also where there is no content: HEAD, 304.
    if incoming.size_hint().lower() > limit as u64 && !incoming.is_end_stream() {
        return Err(too_large());
    }
    match Limited::new(incoming, limit).collect().await {
        Ok(content) => Ok(Response::from_parts(parts, content.to_bytes())),
        Err(error) => Err(match error.downcast::<hyper::Error>() {
            Ok(error) if is_nonsense(&error) => ProxyError::Protocol(*error),
            Ok(error) => ProxyError::ResponseIncomplete(*error),
            Err(_limit) => too_large(),
        }),
    }
}

/// Whether an answer broke off because it cannot be understood: chunks that are none, frames that must not be there.
fn is_nonsense(error: &hyper::Error) -> bool {
    let Some(cause) = error.source() else { return error.is_parse() };
    if let Some(cause) = cause.downcast_ref::<io::Error>() {
        let is_of_tls = cause.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
        return !is_of_tls && matches!(cause.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData);
    }
    error.is_parse() || cause.downcast_ref::<h2::Error>().is_some_and(h2::Error::is_library)
}

fn no_answer(failure: SendFailure) -> ProxyError {
    let error = failure.error;
    // The library has a method for it, but for servers only.
    if error.is_parse() && error.to_string() == "message head is too large" {
        ProxyError::ResponseFieldsTooLarge("the response fields are too many or too large to be read".to_owned())
    } else if is_nonsense(&error) {
        ProxyError::Protocol(error)
    } else if failure.progress.nothing_received {
        ProxyError::ConnectionTerminated(error)
    } else {
        ProxyError::ResponseIncomplete(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_keep_alive() {
        let told = |value: &'static str| {
            keep_alive(&HeaderMap::from_iter([("keep-alive".parse().unwrap(), value.parse().unwrap())]))
        };
        assert_eq!(told("timeout=5"), Some(Duration::from_secs(4)));
        assert_eq!(told("max=100, timeout=65"), Some(Duration::from_secs(64)));
        assert_eq!(told("timeout=0"), Some(Duration::ZERO));
        assert_eq!(told("timeout=x"), None);
        assert_eq!(told("300"), None);
    }

    #[test]
    fn only_what_is_safe_is_sent_again() {
        // (method, nothing sent, nothing received) -> again?
        let cases = [
            (Method::GET, true, true, true),
            (Method::GET, false, true, true),
            (Method::GET, false, false, false),
            (Method::DELETE, false, true, true),
            (Method::POST, true, true, true),
            (Method::POST, false, true, false),
            (Method::PATCH, false, true, false),
        ];
        for (method, nothing_sent, nothing_received, expected) in cases {
            let progress = Progress { nothing_sent, nothing_received };
            assert_eq!(may_send_again(&method, progress), expected, "{method} {progress:?}");
        }
    }
}
