//! The load balancer's part of `crate::fuzzing`: requests from bytes, the event of a request, the head of a response.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use crossfade_event::{HeaderMode, alb};
use http::{Method, Response};

use super::connection_info::ConnectionInfo;
use super::error_page::Refusal;
use super::{desync, forwarded, limits, reply, request};
use crate::fuzzing::Pieces;
use crate::http::{Connection, Head, framing, write_head};
use crate::{DesyncMitigation, ListenerAttributes, LoadBalancerAttributes};

/// A request as it was read.
#[derive(Clone, Debug)]
pub struct Request {
    head: Head,
    /// The bytes of its head.
    pub bytes: Bytes,
    /// Its body, whatever its framing.
    pub body: Bytes,
}

impl Request {
    /// Method and target.
    pub fn line(&self) -> (&str, &[u8]) {
        (self.head.method.as_str(), &self.head.target)
    }

    /// Its fields, in the order of their names' first lines.
    pub fn fields(&self) -> &http::HeaderMap {
        &self.head.headers
    }
}

/// Returns all requests on a connection whose bytes arrive in pieces of this length, and the status code of the first
/// error.
///
/// # Panics
///
/// If it runs without a runtime.
pub async fn requests(bytes: &[u8], length: usize) -> Vec<Result<Request, u16>> {
    let pieces = Pieces { rest: bytes, length: length.max(1) };
    let (_never, closing) = tokio::sync::watch::channel(false);
    let mut connection = Connection::new(pieces, BytesMut::new(), limits::of_http1(Duration::from_secs(60)), closing);
    let mut requests = Vec::new();
    loop {
        match next(&mut connection).await {
            Ok(Some(request)) => requests.push(Ok(request)),
            Ok(None) => return requests,
            Err(Refusal { status, .. }) => {
                requests.push(Err(status.as_u16()));
                return requests;
            }
        }
    }
}

async fn next(connection: &mut Connection<Pieces<'_>>) -> Result<Option<Request>, Refusal> {
    let Some(bytes) = connection.read_head().await? else { return Ok(None) };
    let head = Head::parse(&bytes)?;
    let body = connection.read_body(&head, framing(&head)?).await?;
    Ok(Some(Request { head, bytes, body }))
}

/// Returns the tier of a head in desync mitigation, and whether the strictest mode rejects it.
pub fn classify(head: &[u8]) -> (&'static str, bool) {
    let verdict = desync::classify(head, DesyncMitigation::Strictest);
    (verdict.classification.tier, verdict.refusal.is_some())
}

/// Returns the event of a request after all steps but rules, or the status code of a refusal.
pub fn event(mut request: Request, mode: HeaderMode) -> Result<Vec<u8>, u16> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, 8080));
    let connection = ConnectionInfo { peer: address, local: address, tls: None, id: 1 };
    let head = &mut request.head;
    let checked = limits::check_head(head)
        .and_then(|()| forwarded::settle_host(head, false, Some(443), address))
        .and_then(|()| limits::check_lambda(head.version, &head.headers));
    checked.map_err(|refusal| refusal.status.as_u16())?;
    forwarded::add_fields(&mut head.headers, &LoadBalancerAttributes::default(), &connection);
    alb::encode_request(mode, "arn", request::line(head), &head.headers, &request.body).map_err(|_| 400)
}

/// Returns the head and the body of a response, as a client gets them.
pub fn answer(method: &Method, mut response: Response<Bytes>) -> (Vec<u8>, Bytes) {
    reply::finish(&ListenerAttributes::default(), method, &mut response, &mut Vec::new());
    (write_head(&response, false), response.into_body())
}
