//! One request from its head to its response, in the order of its steps. Owns no socket.

use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Method, Response, StatusCode, header};

use super::endpoint::{Endpoint, EndpointKind};
use super::refusal::{self, Refusal, Why};
use super::reply::{self, Reply};
use super::request::{Ids, Names, Request, decoded_path, settle_fields, target, text};
use super::{lattice, payload_1, payload_2};
use crate::Exchange;
use crate::alb::{ConnectionInfo, Listener};
use crate::http::Head;
use crate::lambda::{Answer, Failure, Pool, Streamed};

/// The largest event that Lambda takes, in bytes ("Lambda quotas": 6 MB).
const MAX_EVENT: usize = 6_291_556;
/// The bytes of a streamed response within which its prelude must end ("Set up a Lambda proxy integration with payload response
/// streaming").
const MAX_PRELUDE: usize = 16 * 1024;
/// The end of a prelude.
const DELIMITER: [u8; 8] = [0; 8];
/// The content type of a streamed response that begins with a prelude.
const WITH_PRELUDE: &[u8] = b"application/vnd.awslambda.http-integration-response";
/// The longest silence of a function that streams to a REST API, and the longest time of a response.
const STREAM_IDLE: Duration = Duration::from_secs(300);
const STREAM_TIME: Duration = Duration::from_secs(900);

/// A request, and the place where it came in.
pub(super) struct Received {
    pub(super) listener: Arc<Listener>,
    pub(super) endpoint: Arc<Endpoint>,
    pub(super) connection: Arc<ConnectionInfo>,
    pub(super) head: Head,
    pub(super) names: Names,
    pub(super) body: Bytes,
    pub(super) exchange: Box<Exchange>,
    pub(super) ids: Ids,
}

/// A response: its exchange, its head with the content that is there, and the rest if it is streamed.
pub(super) struct Responded {
    pub(super) exchange: Box<Exchange>,
    pub(super) response: Response<Bytes>,
    pub(super) rest: Option<Rest>,
}

/// The rest of a streamed response.
pub(super) struct Rest {
    streamed: Streamed,
    /// The longest silence, and the time at which the response must have ended.
    limits: Option<(Duration, Instant)>,
    pace: Option<Pace>,
}

impl Rest {
    /// Returns the next piece; `None` after the last one. An error is the problem that cut the response off.
    pub(super) async fn next(&mut self) -> Option<Result<Bytes, String>> {
        let next = self.streamed.next();
        let next = match self.limits {
            Some((idle, end)) => {
                let left = end.saturating_duration_since(Instant::now());
                match tokio::time::timeout(idle.min(left), next).await {
                    Ok(next) => next,
                    Err(_) if left <= idle => {
                        return Some(Err(format!("the response took longer than {} s", STREAM_TIME.as_secs())));
                    }
                    Err(_) => return Some(Err(format!("the function sent nothing for {} s", idle.as_secs()))),
                }
            }
            None => next.await,
        };
        if let (Some(pace), Some(Ok(piece))) = (&mut self.pace, &next) {
            pace.wait(piece.len()).await;
        }
        next.map(|piece| piece.map_err(|failure| failure.to_string()))
    }
}

/// The speed of a streamed response: its first bytes are free.
struct Pace {
    free: usize,
    bytes_per_second: u32,
    /// The time at which the bytes so far may have been sent.
    due: Instant,
}

impl Pace {
    fn of(endpoint: &Endpoint) -> Option<Self> {
        let bytes_per_second = endpoint.stream_rate?;
        Some(Self { free: endpoint.kind.burst(), bytes_per_second, due: Instant::now() })
    }

    /// Waits until these bytes may be sent.
    async fn wait(&mut self, length: usize) {
        let paced = length.saturating_sub(self.free);
        self.free = self.free.saturating_sub(length);
        if paced > 0 {
            // A function that was slower than this has saved nothing up.
            let time = Duration::from_secs_f64(paced as f64 / f64::from(self.bytes_per_second.max(1)));
            self.due = self.due.max(Instant::now()).checked_add(time).unwrap_or(self.due);
            tokio::time::sleep_until(self.due.into()).await;
        }
    }
}

/// Makes the checks that need no body.
///
/// # Errors
///
/// The service's own response.
pub(super) fn check(endpoint: &Endpoint, head: &Head) -> Result<(), Refusal> {
    let fields: usize = head.headers.iter().map(|(name, value)| name.as_str().len() + value.len() + 4).sum();
    let (length, limit) = (fields + head.line_length, endpoint.kind.max_head());
    if length > limit {
        let problem = format!("request line and fields are {length} bytes long, the limit is {limit}");
        return Err(Refusal::new(Why::HeadTooLarge, problem));
    }
    if !head.path().starts_with(b"/") {
        return Err(Refusal::new(Why::Malformed, "the request's target has no path"));
    }
    if matches!(head.method, Method::CONNECT | Method::TRACE) {
        return Err(Refusal::new(Why::NoRoute, format!("{} has no method {}", endpoint.kind.service(), head.method)));
    }
    Ok(())
}

/// Performs the steps from the whole request to the beginning of the response.
pub(super) async fn respond(mut received: Received) -> Responded {
    let kind = received.endpoint.kind;
    received.exchange.request_bytes = received.body.len();
    if let Some(messages) = &mut received.exchange.messages {
        messages.request_body = received.body.clone();
    }
    let (response, rest) = match try_respond(&mut received).await {
        Ok(responded) => {
            received.exchange.target_status = Some(responded.0.status().as_u16());
            responded
        }
        Err(refusal) => {
            received.exchange.problem = Some(refusal.problem);
            (refusal::response(kind, refusal.why), None)
        }
    };
    let Received { exchange, ids, .. } = received;
    let mut response = response;
    refusal::add_own_fields(kind, response.headers_mut(), &ids, &exchange.trace_id);
    Responded { exchange, response, rest }
}

async fn try_respond(received: &mut Received) -> Result<(Response<Bytes>, Option<Rest>), Refusal> {
    let Received { listener, endpoint, connection, head, names, body, exchange, ids } = received;
    let kind = endpoint.kind;
    let (path, query) = target(head);
    if kind == EndpointKind::RestApi && query.contains(['|', '{', '}']) {
        return Err(Refusal::new(Why::Malformed, "a REST API takes `|`, `{` and `}` in a query only percent-encoded"));
    }
    let overridden = head.headers.get("x-http-method-override").filter(|_| kind == EndpointKind::RestApi);
    let method = overridden.map_or_else(|| head.method.as_str().to_owned(), |method| text(method.as_bytes()));

    let no_stage = || Refusal::new(Why::NoStage, "the path does not begin with the stage or the base path");
    let encoded = endpoint.behind_base(&path).ok_or_else(no_stage)?;
    let decoded = match kind {
        EndpointKind::HttpApi | EndpointKind::HttpApi1 => {
            let problem = "an HTTP API decodes the path twice, and a `%` in it is part of no escape";
            decoded_path(encoded).ok_or_else(|| Refusal::new(Why::Malformed, problem))?
        }
        _ => encoded.to_owned(),
    };
    if let Some(response) = endpoint.cors.as_ref().and_then(|cors| cors.preflight(&method, &head.headers)) {
        exchange.route = Some("preflight (CORS)".to_owned());
        return Ok((response, None));
    }
    let no_route = || Refusal::new(Why::NoRoute, format!("no route has the method {method} and the path {decoded}"));
    let (route, parameters) = endpoint.route(&method, &decoded).ok_or_else(no_route)?;
    exchange.route = Some(format!("{} {}", route.method, route.path));

    let no_function = || Refusal::new(Why::Function, "the route has no function");
    let (function, region, pool) = listener.function(route.function).ok_or_else(no_function)?;
    exchange.function = Some(function.to_owned());
    let accept = head.headers.get(header::ACCEPT).cloned();
    let client = (connection.peer, connection.local.port(), connection.tls.is_some());
    settle_fields(kind, &mut head.headers, body, client);
    if let Some(session) = connection.tls.as_ref().filter(|_| kind == EndpointKind::FunctionUrl) {
        let info =
            [("x-amzn-tls-version", session.info.version), ("x-amzn-tls-cipher-suite", session.info.cipher_suite)];
        for (name, value) in info {
            head.headers.insert(name, HeaderValue::from_static(value));
        }
    }
    exchange.trace_id = crate::alb::trace_of(&head.headers);

    let request = Request {
        endpoint,
        route,
        parameters: &parameters,
        method: &method,
        path: &path,
        matched: &decoded,
        query: &query,
        headers: &head.headers,
        names,
        body,
        client: connection.peer,
        protocol: head.version_text(),
        time: exchange.time,
        ids,
        region: &region,
    };
    let event = match kind {
        EndpointKind::RestApi | EndpointKind::HttpApi1 => payload_1::event(&request),
        EndpointKind::HttpApi | EndpointKind::FunctionUrl => payload_2::event(&request),
        EndpointKind::Lattice => lattice::event_2(&request),
        EndpointKind::Lattice1 => lattice::event_1(&request),
    };
    let event = Bytes::from(event.to_string());
    if let Some(messages) = &mut exchange.messages {
        messages.event = Some(event.clone());
    }
    if event.len() > MAX_EVENT {
        let problem = format!("the event has {} bytes, Lambda takes {MAX_EVENT}", event.len());
        return Err(Refusal::new(Why::TooLarge, problem));
    }
    let trace = crate::alb::invocation_trace(&head.headers);
    let waits = kind.timeout().map(|default| route.timeout.unwrap_or(default));
    let streamed = route.streamed;
    let answer = invoke(pool, event, trace, waits.filter(|_| !streamed), exchange).await?;
    match answer {
        Answer::Whole(bytes) => {
            let mut response = whole(endpoint, streamed, bytes, accept.as_ref(), exchange)?;
            if let Some(cors) = &endpoint.cors {
                cors.apply(&head.headers, response.headers_mut());
            }
            Ok((response, None))
        }
        Answer::Streamed(answer) if streamed => {
            let (response, rest) = begun(endpoint, answer, exchange).await?;
            Ok((response, Some(rest)))
        }
        Answer::Streamed(_) => {
            if let Err(failure) = answer.whole().await
                && !matches!(failure, Failure::Streaming)
            {
                return Err(failure.into());
            }
            let problem = format!(
                "the function streamed its response, but {} is set to whole responses; turn streaming on in both",
                kind.service()
            );
            Err(Refusal::new(Why::Function, problem))
        }
    }
}

/// Invokes the function, for as long as the service waits.
async fn invoke(
    pool: &Arc<Pool>,
    event: Bytes,
    trace: String,
    waits: Option<Duration>,
    exchange: &mut Exchange,
) -> Result<Answer, Refusal> {
    let asked = exchange.started.elapsed();
    let pool = Arc::clone(pool);
    // A task of its own: the function goes on if the service waits no longer.
    let invoked = tokio::spawn(async move { pool.invoke(event, &trace).await });
    let invoked = match waits {
        Some(limit) => match tokio::time::timeout(limit, invoked).await {
            Ok(invoked) => invoked,
            Err(_) => {
                exchange.target_times = Some((asked, exchange.started.elapsed()));
                let problem =
                    format!("the function did not respond within the {} s that the API waits", limit.as_secs_f64());
                return Err(Refusal::new(Why::TimedOut, problem));
            }
        },
        None => invoked.await,
    };
    let invoked = invoked.map_err(|_| Refusal::new(Why::Function, "the emulator failed; this is a bug"))?;
    exchange.target_times = Some((asked, exchange.started.elapsed()));
    exchange.environment = invoked.environment;
    exchange.cold = invoked.cold;
    exchange.request_id = invoked.request_id;
    exchange.memory = invoked.memory;
    Ok(invoked.answer?)
}

/// The response to a whole reply.
fn whole(
    endpoint: &Endpoint,
    streamed: bool,
    answer: Bytes,
    accept: Option<&HeaderValue>,
    exchange: &mut Exchange,
) -> Result<Response<Bytes>, Refusal> {
    if let Some(messages) = &mut exchange.messages {
        messages.reply = Some(answer.clone());
    }
    if streamed && endpoint.kind == EndpointKind::RestApi {
        let problem = "the function's response is not streamed, but the integration is set to `STREAM`";
        return Err(Refusal::new(Why::Function, problem));
    }
    if streamed {
        let warning = "the function's response is not streamed, but the function URL is set to `RESPONSE_STREAM`: the client \
                       gets the reply's JSON";
        exchange.warnings.push(warning.to_owned());
        exchange.reply_warnings = exchange.reply_warnings.saturating_add(1);
        let mut response = Response::new(answer);
        response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        return Ok(response);
    }
    let malformed = |problem| Refusal::new(Why::Function, format!("the function's reply is malformed: {problem}"));
    let Reply { response, warnings } = reply::read(endpoint, &answer, accept).map_err(malformed)?;
    exchange.reply_warnings = exchange.reply_warnings.saturating_add(warnings.len());
    exchange.warnings.extend(warnings);
    Ok(response)
}

/// Waits for the head of a streamed response.
async fn begun(
    endpoint: &Endpoint,
    streamed: Streamed,
    exchange: &mut Exchange,
) -> Result<(Response<Bytes>, Rest), Refusal> {
    let kind = endpoint.kind;
    let end = Instant::now().checked_add(STREAM_TIME);
    let limits = end.filter(|_| kind == EndpointKind::RestApi).map(|end| (STREAM_IDLE, end));
    let has_prelude = streamed.content_type.as_ref().is_some_and(|kind| kind.as_bytes().starts_with(WITH_PRELUDE));
    if !has_prelude && kind == EndpointKind::FunctionUrl {
        let octets = HeaderValue::from_static("application/octet-stream");
        let mut response = Response::new(Bytes::new());
        *response.status_mut() = StatusCode::OK;
        response.headers_mut().insert(header::CONTENT_TYPE, streamed.content_type.clone().unwrap_or(octets));
        return Ok((response, Rest { streamed, limits, pace: Pace::of(endpoint) }));
    }
    let malformed =
        |problem: String| Refusal::new(Why::Function, format!("the function's response is malformed: {problem}"));
    let mut rest = Rest { streamed, limits, pace: Pace::of(endpoint) };
    let mut begin = BytesMut::new();
    let at = loop {
        if let Some(at) = begin.windows(DELIMITER.len()).position(|bytes| bytes == DELIMITER) {
            break at;
        }
        if begin.len() > MAX_PRELUDE {
            return Err(malformed(format!("its prelude does not end within {MAX_PRELUDE} bytes")));
        }
        match rest.next().await {
            Some(Ok(piece)) => begin.extend_from_slice(&piece),
            Some(Err(problem)) => return Err(malformed(problem)),
            None => return Err(malformed("it ends before its prelude does".to_owned())),
        }
    };
    let prelude = begin.split_to(at);
    let content = begin.split_off(DELIMITER.len()).freeze();
    if let Some(messages) = &mut exchange.messages {
        messages.reply = Some(prelude.clone().freeze());
    }
    let Reply { mut response, warnings } = reply::read_prelude(kind, &prelude).map_err(malformed)?;
    exchange.reply_warnings = exchange.reply_warnings.saturating_add(warnings.len());
    exchange.warnings.extend(warnings);
    *response.body_mut() = content;
    Ok((response, rest))
}
