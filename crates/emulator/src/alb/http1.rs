//! A client's HTTP/1 connection to a listener: request after request through ALB's steps. Owns their order and when the
//! connection ends; bytes and framing are `crate::http`'s, what a request leads to is `exchange`'s.

use std::sync::Arc;
use std::time::Instant;

use bytes::{Bytes, BytesMut};
use http::{Method, Response};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use super::connection_info::ConnectionInfo;
use super::error_page::Refusal;
use super::exchange::Decision;
use super::listener::Listener;
use super::{desync, limits};
use crate::Exchange;
use crate::http::{Connection, Framing, Head, framing, keeps_alive, write_head};

/// A response, and whether it is the last one of its connection.
struct Answer {
    exchange: Box<Exchange>,
    response: Response<Bytes>,
    close: bool,
}

/// Serves until the client or a rule ends the connection.
pub(super) async fn serve<S: AsyncRead + AsyncWrite + Unpin + Send>(
    listener: Arc<Listener>,
    stream: S,
    already_read: BytesMut,
    connection: Arc<ConnectionInfo>,
    closing: watch::Receiver<bool>,
) {
    let attributes = &listener.balancer().attributes;
    let last = Instant::now() + attributes.client_keep_alive;
    let mut client = Connection::new(stream, already_read, limits::of_http1(attributes.idle_timeout), closing);
    loop {
        let bytes = match client.read_head().await {
            Ok(Some(bytes)) => bytes,
            Ok(None) => return,
            Err(error) => {
                let (exchange, response) = listener.malformed(&connection, error.into());
                let answer = Answer { exchange, response, close: true };
                let _ = send(&mut client, &listener, &Method::GET, answer).await;
                return;
            }
        };
        let verdict = desync::classify(&bytes, listener.balancer().attributes.desync_mitigation);
        let parsed = match verdict.refusal {
            Some(refusal) => Err(refusal),
            None => Head::parse(&bytes).map_err(Refusal::from),
        };
        let (method, mut answer) = match parsed {
            Ok(head) => {
                let method = head.method.clone();
                let Some(mut answer) = serve_one(&mut client, &listener, &connection, head, bytes.len(), last).await
                else {
                    return;
                };
                answer.close |= verdict.close;
                (method, answer)
            }
            Err(refusal) => {
                let method = if bytes.starts_with(b"HEAD ") { Method::HEAD } else { Method::GET };
                let (exchange, response) = listener.malformed(&connection, refusal);
                (method, Answer { exchange, response, close: true })
            }
        };
        answer.exchange.classification = Some(verdict.classification);
        answer.close |= client.is_closing();
        let close = answer.close;
        if send(&mut client, &listener, &method, answer).await.is_err() || close {
            return client.finish().await;
        }
    }
}

/// Serves one request whose head has been read. Returns `None` if the client leaves before it has its response.
async fn serve_one<S: AsyncRead + AsyncWrite + Unpin + Send>(
    client: &mut Connection<S>,
    listener: &Arc<Listener>,
    connection: &Arc<ConnectionInfo>,
    mut head: Head,
    head_length: usize,
    last: Instant,
) -> Option<Answer> {
    let mut exchange = listener.begin(connection, &head);
    exchange.wire_bytes.0 = head_length;
    let mut close = !keeps_alive(&head) || Instant::now() >= last;
    let framing = framing(&head);
    let decision = listener.decide(connection, &mut head, &mut exchange);
    let response = match (framing, decision) {
        (framing, Err(refusal)) => {
            close |= !framing.is_ok_and(|framing: Framing| client.skip_body(framing));
            listener.refuse(&mut exchange, refusal)
        }
        (Err(error), _) => {
            close = true;
            listener.refuse(&mut exchange, error.into())
        }
        // A response that needs no body does not wait for one.
        (Ok(framing), Ok(Decision::Respond(response))) => {
            close |= !client.skip_body(framing);
            response
        }
        (Ok(framing), Ok(Decision::Invoke(target))) => match client.read_body(&head, framing).await {
            Err(error) => {
                close = true;
                listener.refuse(&mut exchange, error.into())
            }
            Ok(body) => {
                exchange.wire_bytes.0 += body.len();
                // A task of its own: an invoked function finishes even if the client has gone.
                let invoked = Arc::clone(listener).invoke(Arc::clone(connection), head, body, target, exchange);
                let mut invocation = tokio::spawn(invoked);
                let answered = tokio::select! {
                    answered = &mut invocation => answered,
                    () = client.client_leaves() => {
                        tokio::spawn(Arc::clone(listener).client_left(invocation));
                        return None;
                    }
                };
                let (exchange, response) = answered.unwrap_or_else(|_| listener.broken(connection));
                return Some(Answer { exchange, response, close });
            }
        },
    };
    Some(Answer { exchange, response, close })
}

async fn send<S: AsyncRead + AsyncWrite + Unpin + Send>(
    client: &mut Connection<S>,
    listener: &Listener,
    method: &Method,
    answer: Answer,
) -> std::io::Result<()> {
    let Answer { mut exchange, response, close } = answer;
    let response = listener.finish(&mut exchange, method, response);
    let head = write_head(&response, close);
    exchange.wire_bytes.1 = head.len() + response.body().len();
    listener.notify(exchange, response.clone());
    client.send(head, &response).await
}
