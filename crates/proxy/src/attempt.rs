//! Sending a request to a back end: once, and once more where a kept connection turns out to be dead.
//!
//! Owns the rule for that second time, and the reading of the whole response. Connections are `upstream`'s.

use std::error::Error;
use std::io;
use std::pin::pin;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crossfade_event::Format;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::uri::{Authority, PathAndQuery, Scheme as UriScheme, Uri};
use http::{HeaderMap, Method, Request, Response, Version, request};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Body as _, Incoming};
use tokio::time::Instant;

use crossfade_journal::{Attempt, Journal, Outcome, Role, Trace};
use crossfade_route::Scheme;

use crate::body::{Body, Streamed};
use crate::error::Failure;
use crate::spilling::{self, Beginning};
use crate::time::{self, Allowance, SHORTEST, TimeLimit, by};
use crate::upstream::{Connection, Progress, SendFailure, Upstream};
use crate::{ProxyError, connection_auth, content, tracing};

/// Limits of an attempt in time and size.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Bounds {
    /// For the whole response.
    pub(crate) deadline: Instant,
    /// The format of the reply, which limits the size of the response.
    pub(crate) format: &'static Format,
    /// The response is passed on as it arrives, so an attempt ends with its head.
    pub(crate) is_streamed: bool,
    /// A larger one may be streamed as well: it is stored for the client.
    pub(crate) spills: bool,
    /// Text may be larger than that, since it is compressed for the client.
    pub(crate) compresses: bool,
    /// The start of the invocation.
    pub(crate) started: Instant,
    /// The same by the clock on the wall.
    pub(crate) now: SystemTime,
    /// From 0.5 to 1: waits are multiplied by it, so that not all environments send again at one moment.
    pub(crate) jitter: f64,
}

impl Bounds {
    /// Returns whether too little time is left to start anything.
    pub(crate) fn is_over(&self) -> bool {
        self.deadline < Instant::now() + SHORTEST
    }
}

/// Sends a request and reads the whole response, or its head if it is streamed, within `limit` (`backendRequest`). Adds an entry to the journal, or two if a
/// kept connection was dead.
pub(crate) async fn send<'t>(
    upstream: &'t Upstream,
    parts: &request::Parts,
    body: &Bytes,
    bounds: Bounds,
    limit: Option<Duration>,
    mut role: Role,
    journal: &mut Journal<'t>,
) -> Result<Response<Body<'t>>, ProxyError> {
    let mut began = Instant::now();
    let (mut end, mut limit) = match limit {
        Some(limit) => time::end(began, limit, bounds.deadline, TimeLimit::Cut),
        None => (bounds.deadline, TimeLimit::Cut),
    };
    let presented = connection_auth::presented(&parts.headers);
    let mut kept = match presented {
        None => upstream.checkout(bounds.now, parts.method.is_idempotent()).await,
        // Others may be on it.
        Some(_) => None,
    };
    loop {
        let own = journal.trace.and_then(|trace| tracing::begin(trace, &upstream.backend, parts, journal.len()));
        let parts = own.as_deref().unwrap_or(parts);
        let trace = journal.trace;
        let attempt = journal.begin(&upstream.backend.name, role, began.saturating_duration_since(bounds.started));
        attempt.auth = presented;
        if let Some(trace) = trace {
            trace.note(attempt, None);
        }
        let was_kept = kept.is_some();
        let connection = match kept.take() {
            Some(connection) => connection,
            // Boxed, so that a request on a kept connection has no room for it.
            None => match Box::pin(connect(upstream, end, limit, bounds.deadline, attempt)).await {
                Ok((connection, made_up)) => {
                    if !made_up.is_zero() {
                        (end, limit) = ((end + made_up).min(bounds.deadline), TimeLimit::Cut);
                    }
                    connection
                }
                Err(error) => return ended(Err(error), attempt, bounds, trace),
            },
        };
        if presented.is_some() {
            connection.keep_from_others();
        }
        // The process may have been frozen meanwhile.
        if end <= Instant::now() {
            return ended(Err(ProxyError::ResponseTimeout(TimeLimit::Cut)), attempt, bounds, trace);
        }
        attempt.is_sent = true;
        let result = {
            // In place, since it is large.
            let answer = pin!(async {
                let (connection, head) = match exchange(upstream, connection, parts, body).await {
                    Ok(answer) => answer,
                    Err(failure) => return Ok(Err(failure)),
                };
                attempt.first_byte = Some(bounds.started.elapsed());
                finish(upstream, connection, &parts.method, head, bounds, attempt).await.map(Ok)
            });
            by(end, limit, answer).await.unwrap_or_else(|limit| Err(ProxyError::ResponseTimeout(limit)))
        };
        let result = match result {
            Ok(Ok(response)) => Ok(response),
            Ok(Err(failure)) if was_kept && may_send_again(&parts.method, failure.progress) => {
                upstream.discard_idle();
                let may_be_seen = !failure.progress.nothing_sent;
                let outcome = Outcome::Error(no_answer(failure).error_type());
                attempt.end(bounds.started.elapsed(), outcome, may_be_seen);
                if let Some(trace) = trace {
                    trace.note(attempt, None);
                }
                (role, began) = (Role::Resent, Instant::now());
                continue;
            }
            Ok(Err(failure)) => Err(no_answer(failure)),
            Err(error) => Err(error),
        };
        // An HTTP/2 connection is kept while requests are on it; the next request must not use a dead one.
        if let Err(
            ProxyError::ResponseTimeout(_)
            | ProxyError::ConnectionTerminated(_)
            | ProxyError::ResponseIncomplete(_)
            | ProxyError::ResponseCutShort { .. },
        ) = &result
        {
            upstream.discard_idle();
        }
        return ended(result, attempt, bounds, trace);
    }
}

/// Completes the entry of an attempt.
fn ended<'t>(
    result: Result<Response<Body<'t>>, ProxyError>,
    attempt: &mut Attempt<'_>,
    bounds: Bounds,
    trace: Option<&Trace>,
) -> Result<Response<Body<'t>>, ProxyError> {
    let (outcome, may_be_seen) = match &result {
        Ok(response) => (Outcome::Status(response.status().as_u16()), true),
        Err(error) => (Outcome::Error(error.error_type()), error.failure() != Some(Failure::Connect)),
    };
    attempt.end(bounds.started.elapsed(), outcome, may_be_seen);
    if let Some(trace) = trace {
        trace.note(attempt, result.as_ref().ok().and_then(|response| tracing::content_length(response.body())));
    }
    result
}

/// Reads the content of a response, and returns its connection to the pool if another request may use it. A streamed response
/// does that at its end.
async fn finish<'t>(
    upstream: &'t Upstream,
    connection: Connection,
    method: &Method,
    mut head: Response<Incoming>,
    bounds: Bounds,
    attempt: &mut Attempt<'_>,
) -> Result<Response<Body<'t>>, ProxyError> {
    let is_unambiguous = is_unambiguous(head.headers())?;
    let keep_alive = keep_alive(head.headers());
    if let Some(scheme) = connection_auth::asked_for(head.headers()) {
        attempt.auth = Some(scheme);
        connection.keep_from_others();
    }
    let streamed = |head: Response<Incoming>, connection, ahead| {
        head.map(|incoming| {
            let streamed = Streamed::new(incoming, upstream, connection, is_unambiguous, keep_alive, bounds);
            Body::Streamed(Box::new(streamed.after(ahead)))
        })
    };
    if bounds.is_streamed && !head.body().is_end_stream() {
        is_carried(&head)?;
        return Ok(streamed(head, connection, Bytes::new()));
    }
    if bounds.spills {
        let (public, limit) = (upstream.backend.public_url.as_ref(), limit(&head, bounds));
        // Boxed, so that others have no room for it.
        match Box::pin(spilling::begin(method, head, public, limit)).await? {
            Beginning::Fits(it) => head = it,
            Beginning::Whole(it) => {
                if is_unambiguous {
                    upstream.checkin(connection, bounds.now, keep_alive);
                }
                return Ok(it.map(Body::Whole));
            }
            Beginning::TooLarge(it, ahead) => return Ok(streamed(it, connection, ahead)),
        }
    }
    let response = read(head, bounds).await?;
    is_carried(&response)?;
    if is_unambiguous {
        upstream.checkin(connection, bounds.now, keep_alive);
    }
    Ok(response.map(Body::Whole))
}

fn is_carried<B>(response: &Response<B>) -> Result<(), ProxyError> {
    match response.status().as_u16() {
        200..=599 => Ok(()),
        status => Err(ProxyError::StatusNotCarried(status)),
    }
}

/// Returns whether the end of the response is unambiguous. With both `Transfer-Encoding` and `Content-Length` the first one
/// counts, but the back end may go by the second (RFC 9112 section 6.3), so that further bytes on the connection cannot be
/// trusted.
#[inline]
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
#[inline]
fn keep_alive(fields: &HeaderMap) -> Option<Duration> {
    let value = fields.get("keep-alive")?.to_str().ok()?;
    let seconds = value.split(',').find_map(|parameter| parameter.trim().strip_prefix("timeout="))?;
    Some(Duration::from_secs(seconds.trim().parse::<u64>().ok()?.min(3600).saturating_sub(1)))
}

/// A kept connection may be dead without anyone's fault. Sending again is safe if the back end cannot have seen the
/// request, or if seeing it twice is the same to it (RFC 9110 section 9.2.2) and it has not begun to respond.
fn may_send_again(method: &Method, progress: Progress) -> bool {
    progress.nothing_sent || (method.is_idempotent() && progress.nothing_received)
}

/// A new connection, within `timeouts.connect` and the rest of the attempt's time; and the time that the attempt gets in
/// addition because the process was frozen meanwhile.
async fn connect(
    upstream: &Upstream,
    end: Instant,
    limit: TimeLimit,
    latest: Instant,
    attempt: &mut Attempt<'_>,
) -> Result<(Connection, Duration), ProxyError> {
    let started = Instant::now();
    let (end, limit) = time::end(started, upstream.backend.timeouts.connect, end, limit);
    let mut time = Allowance::new(end, limit, latest);
    let connection = upstream.connect(&mut time).await?;
    attempt.connect = Some(started.elapsed());
    Ok((connection, time.made_up))
}

/// Sends a request on a connection and waits for the head of the response.
pub(crate) async fn exchange(
    upstream: &Upstream,
    mut connection: Connection,
    parts: &request::Parts,
    body: &Bytes,
) -> Result<(Connection, Response<Incoming>), SendFailure> {
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

/// Bytes of content that are read, since the front end could carry them.
#[inline]
fn limit(response: &Response<Incoming>, bounds: Bounds) -> usize {
    let limit = bounds.format.max_response_bytes;
    let is_small = response.body().size_hint().upper().is_some_and(|length| length <= limit as u64);
    if !is_small && bounds.compresses && content::is_compressible(response) {
        limit.max(content::LARGEST)
    } else {
        limit
    }
}

/// Reads the content, up to what the front end could carry.
async fn read(response: Response<Incoming>, bounds: Bounds) -> Result<Response<Bytes>, ProxyError> {
    let limit = limit(&response, bounds);
    let service = bounds.format.service;
    let (parts, mut incoming) = response.into_parts();
    let too_large = || {
        ProxyError::too_large(&format_args!(
            "the response is too large for {service}: more than {limit} bytes of content"
        ))
    };
    // Over HTTP/2 the hint is the length that the field names, also where there is no content: HEAD, 304.
    if incoming.size_hint().lower() > limit as u64 && !incoming.is_end_stream() {
        return Err(too_large());
    }
    let promised = incoming.size_hint().exact().filter(|_| !incoming.is_end_stream());
    match Limited::new(&mut incoming, limit).collect().await {
        Ok(content) => {
            let content = content.to_bytes();
            let received = content.len() as u64;
            let is_reset = parts.version == Version::HTTP_2 && !has_ended(&incoming);
            if is_reset || promised.is_some_and(|promised| promised != received) {
                return Err(ProxyError::ResponseCutShort { promised, received });
            }
            Ok(Response::from_parts(parts, content))
        }
        Err(error) => Err(match error.downcast::<hyper::Error>() {
            Ok(error) => broken(*error),
            Err(_limit) => too_large(),
        }),
    }
}

/// Returns whether a response over HTTP/2 of which no more comes is complete: its stream ends with END_STREAM (RFC 9113 section
/// 8.1). The library also takes a stream for ended that the back end resets with NO_ERROR.
#[inline]
pub(crate) fn has_ended(incoming: &Incoming) -> bool {
    incoming.is_end_stream()
}

/// The error for a response that breaks off.
pub(crate) fn broken(error: hyper::Error) -> ProxyError {
    if is_nonsense(&error) { ProxyError::Protocol(error) } else { ProxyError::ResponseIncomplete(error) }
}

/// Returns whether a response failed because it is malformed: invalid chunks, or frames that are not allowed there.
fn is_nonsense(error: &hyper::Error) -> bool {
    let Some(cause) = error.source() else { return error.is_parse() };
    if let Some(cause) = cause.downcast_ref::<io::Error>() {
        let is_of_tls = cause.get_ref().is_some_and(|inner| inner.is::<rustls::Error>());
        return !is_of_tls && matches!(cause.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::InvalidData);
    }
    error.is_parse() || cause.downcast_ref::<h2::Error>().is_some_and(h2::Error::is_library)
}

/// The error for a request without a response.
pub(crate) fn no_answer(failure: SendFailure) -> ProxyError {
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
