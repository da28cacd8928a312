//! A client's HTTP/1 connection to one of these front ends: request after request, and responses whole or as they arrive. Owns
//! the order of reading and writing; the steps of a request are in `exchange`.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderValue, Method, StatusCode, Version, header};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::endpoint::Endpoint;
use super::exchange::{Received, Responded, check, respond};
use super::refusal::{self, Refusal};
use super::request::{Ids, Names};
use crate::alb::{ConnectionInfo, Listener};
use crate::http::{Connection, Framing, Head, Limits, RequestError, framing, keeps_alive, write_head};
use crate::{Exchange, RuleRef};

/// The bytes of a streamed response that an inspector gets to see.
const SHOWN: usize = 256 * 1024;
/// The status in reports of a request whose client left.
const CLIENT_LEFT: u16 = 499;

/// Serves until the client ends the connection, or a response must be its last one.
pub(crate) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send>(
    listener: Arc<Listener>,
    endpoint: Arc<Endpoint>,
    stream: S,
    already_read: BytesMut,
    connection: Arc<ConnectionInfo>,
    closing: watch::Receiver<bool>,
) {
    let kind = endpoint.kind;
    // `check` counts exactly.
    let limits = Limits {
        request_line: kind.max_head(),
        fields: kind.max_head(),
        body: kind.max_body(),
        idle: listener.idle_timeout(),
    };
    let mut client = Connection::new(stream, already_read, limits, closing);
    loop {
        let read = match client.read_head().await {
            Ok(Some(bytes)) => Head::parse(&bytes).map(|head| (head, bytes)),
            Ok(None) => return,
            Err(error) => Err(error),
        };
        let sent = match read {
            Ok((head, bytes)) => serve_one(&mut client, &listener, &endpoint, &connection, head, &bytes).await,
            Err(error) => {
                let exchange = listener.unreadable(&connection);
                let refused = refused(&endpoint, exchange, error.into());
                let sending = Sending { method: &Method::GET, version: Version::HTTP_11, close: true };
                send(&mut client, &listener, sending, refused).await;
                false
            }
        };
        if !sent {
            return client.finish().await;
        }
    }
}

/// Serves a request. Returns whether another one may follow on the connection.
async fn serve_one<S: AsyncRead + AsyncWrite + Unpin + Send>(
    client: &mut Connection<S>,
    listener: &Arc<Listener>,
    endpoint: &Arc<Endpoint>,
    connection: &Arc<ConnectionInfo>,
    head: Head,
    bytes: &[u8],
) -> bool {
    let mut exchange = listener.begin(connection, &head);
    exchange.front = endpoint.kind.name();
    exchange.rule = RuleRef::None;
    exchange.wire_bytes.0 = bytes.len();
    let (method, version) = (head.method.clone(), head.version);
    let mut close = !keeps_alive(&head) || client.is_closing();
    let read = match (check(endpoint, &head), framing(&head)) {
        (Err(refusal), framing) => {
            close |= !framing.is_ok_and(|framing: Framing| client.skip_body(framing));
            Err(refusal)
        }
        (Ok(()), Ok(framing)) => client.read_body(&head, framing).await.map_err(|error: RequestError| {
            close = true;
            Refusal::from(error)
        }),
        (Ok(()), Err(error)) => {
            close = true;
            Err(error.into())
        }
    };
    let responded = match read {
        Err(refusal) => refused(endpoint, exchange, refusal),
        Ok(body) => {
            exchange.wire_bytes.0 += body.len();
            let unanswered = exchange.clone();
            let received = Received {
                listener: Arc::clone(listener),
                endpoint: Arc::clone(endpoint),
                connection: Arc::clone(connection),
                head,
                names: Names::of(bytes),
                body,
                exchange,
                ids: Ids::new(),
            };
            // A task of its own: an invoked function finishes even if the client has gone.
            let mut responding = tokio::spawn(respond(received));
            let responded = tokio::select! {
                responded = &mut responding => responded,
                () = client.client_leaves() => {
                    let listener = Arc::clone(listener);
                    tokio::spawn(async move {
                        if let Ok(Responded { exchange, .. }) = responding.await {
                            report_left(&listener, exchange);
                        }
                    });
                    return false;
                }
            };
            let Ok(responded) = responded else {
                report_left(listener, unanswered);
                return false;
            };
            responded
        }
    };
    close |= client.is_closing();
    send(client, listener, Sending { method: &method, version, close }, responded).await
}

fn refused(endpoint: &Endpoint, mut exchange: Box<Exchange>, refusal: Refusal) -> Responded {
    let mut response = refusal::response(endpoint.kind, refusal.why);
    exchange.front = endpoint.kind.name();
    exchange.problem = Some(refusal.problem);
    refusal::add_own_fields(endpoint.kind, response.headers_mut(), &Ids::new(), "");
    Responded { exchange, response, rest: None }
}

fn report_left(listener: &Listener, mut exchange: Box<Exchange>) {
    exchange.problem = Some("the client closed the connection before it had the whole response".to_owned());
    listener.report(exchange, CLIENT_LEFT, HeaderMap::new(), Bytes::new(), 0);
}

/// The circumstances of a response.
struct Sending<'s> {
    method: &'s Method,
    version: Version,
    close: bool,
}

/// Sends a response. Returns whether another request may follow.
async fn send<S: AsyncRead + AsyncWrite + Unpin + Send>(
    client: &mut Connection<S>,
    listener: &Listener,
    Sending { method, version, close }: Sending<'_>,
    responded: Responded,
) -> bool {
    let Responded { mut exchange, mut response, rest } = responded;
    let status = response.status();
    let bodyless = method == Method::HEAD || matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    let Some(mut rest) = rest else {
        let length = response.body().len();
        let fields = response.headers_mut();
        match status {
            StatusCode::NO_CONTENT => drop(fields.remove(header::CONTENT_LENGTH)),
            // Only the function knows the length of a GET's content.
            _ if bodyless && length == 0 && fields.contains_key(header::CONTENT_LENGTH) => {}
            _ => drop(fields.insert(header::CONTENT_LENGTH, HeaderValue::from(length))),
        }
        if bodyless {
            *response.body_mut() = Bytes::new();
        }
        let head = write_head(&response, close);
        exchange.wire_bytes.1 = head.len() + response.body().len();
        let (fields, body) = (response.headers().clone(), response.body().clone());
        let length = body.len();
        listener.report(exchange, status.as_u16(), fields, body, length);
        return client.send(head, &response).await.is_ok() && !close;
    };

    let first = std::mem::take(response.body_mut());
    let framing = match version {
        _ if bodyless => Written::Plain,
        _ if response.headers().contains_key(header::CONTENT_LENGTH) => Written::Plain,
        Version::HTTP_10 => Written::UntilClose,
        _ => Written::Chunks,
    };
    if framing == Written::Chunks {
        response.headers_mut().insert(header::TRANSFER_ENCODING, HeaderValue::from_static("chunked"));
    }
    let mut close = close || framing == Written::UntilClose;
    let fields = response.headers().clone();
    let head = write_head(&response, close);
    let (mut wire, mut length) = (head.len(), 0);
    let mut shown = BytesMut::new();
    let mut problem = client.send(head, &response).await.err().map(|_| LEFT.to_owned());
    let mut next = Some(Ok(first));
    while let Some(piece) = next {
        match piece {
            Ok(piece) => {
                length += piece.len();
                let room = SHOWN.saturating_sub(shown.len()).min(piece.len());
                shown.extend_from_slice(piece.get(..room).unwrap_or_default());
                if problem.is_none() && !bodyless && !piece.is_empty() {
                    let written = match framing {
                        Written::Chunks => client.send_chunk(&piece).await,
                        Written::Plain | Written::UntilClose => client.send_bytes(&piece).await.map(|()| piece.len()),
                    };
                    match written {
                        Ok(bytes) => wire += bytes,
                        Err(_) => problem = Some(LEFT.to_owned()),
                    }
                }
            }
            Err(cut) => problem = Some(cut),
        }
        if problem.is_some() {
            break;
        }
        next = tokio::select! {
            next = rest.next() => next,
            () = client.client_leaves() => Some(Err(LEFT.to_owned())),
        };
    }
    let has_end = problem.is_none();
    if has_end && framing == Written::Chunks && client.send_bytes(b"0\r\n\r\n").await.is_err() {
        problem = Some(LEFT.to_owned());
    }
    // A response without its end must not look whole.
    close |= problem.is_some();
    if problem.is_some() {
        exchange.problem = problem;
    }
    exchange.wire_bytes.1 = wire;
    listener.report(exchange, status.as_u16(), fields, shown.freeze(), length);
    !close
}

const LEFT: &str = "the client closed the connection before it had the whole response";

/// The form in which a streamed response is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Written {
    /// Its length is known.
    Plain,
    Chunks,
    /// The end of the connection is its end: for HTTP/1.0.
    UntilClose,
}
