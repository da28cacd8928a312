//! A look at a back end, outside of any invocation: a new connection to each of its destinations, made exactly as for a
//! request, and one `HEAD` on it. For `crossfade check --connect`; the function never looks, so its binary has none of this.

use std::net::SocketAddr;
use std::time::Duration;

use bytes::Bytes;
use crossfade_route::Backend;
use http::header::{HOST, HeaderValue};
use http::uri::{PathAndQuery, Uri};
use http::{Method, Request, StatusCode, Version, request};
use rustls::{CipherSuite, ClientConnection, ProtocolVersion};
use tokio::time::Instant;

use crate::ProxyError;
use crate::attempt;
use crate::forwarding::Forwarding;
use crate::proxy::Proxy;
use crate::time::{Allowance, TimeLimit, by};
use crate::upstream::{Opened, Upstream};

/// The result for one destination of a back end.
#[derive(Debug)]
pub struct Probe {
    /// `host:port` as configured: of `addresses`, else of the URL.
    pub destination: String,
    /// The `Host` that a request would have.
    pub host: HeaderValue,
    /// The connection, or the reason why it failed.
    pub outcome: Result<Reached, ProxyError>,
}

/// A connection that was made.
#[derive(Debug)]
pub struct Reached {
    /// The address and port of the connection.
    pub address: SocketAddr,
    /// The time for look-up, TCP and TLS together.
    pub took: Duration,
    /// The TLS session; `None` for plain `http`.
    pub tls: Option<Session>,
    /// The head of the response to `HEAD`.
    pub answer: Result<Answer, ProxyError>,
}

/// The parameters that a TLS handshake agreed on.
#[derive(Debug)]
pub struct Session {
    /// Such as `TLSv1_3`. A handshake that is complete has agreed on one, and on a cipher suite.
    pub version: Option<ProtocolVersion>,
    /// Such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher_suite: Option<CipherSuite>,
    /// The protocol of ALPN, if one was agreed on.
    pub alpn: Option<String>,
    /// The certificates that the back end sent, its own first, in DER.
    pub chain: Vec<Vec<u8>>,
}

/// The head of a response.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// HTTP/1.1 or HTTP/2.
    pub version: Version,
    /// Its status.
    pub status: StatusCode,
    /// From sending the request to the head of the response.
    pub took: Duration,
}

impl Proxy {
    /// Looks at each destination of the back end with this index, one after the other. `client_host` is the `Host` of a
    /// client's request, from which `hostHeader` makes that of the probe. A connection gets `timeouts.connect` of the back
    /// end, and a response as long as `patience`.
    pub async fn probe(&self, index: usize, client_host: Option<&HeaderValue>, patience: Duration) -> Vec<Probe> {
        let Some(upstream) = self.upstreams.get(index) else { return Vec::new() };
        let backend = &*upstream.backend;
        let parts = self.probe_request(backend, client_host);
        let host = parts.as_ref().ok().and_then(|parts| parts.headers.get(HOST)).unwrap_or(&backend.authority);
        let mut probes = Vec::new();
        for (name, port) in upstream.destinations() {
            let outcome = match &parts {
                Ok(parts) => reach(upstream, name, *port, parts, patience).await,
                Err(error) => Err(ProxyError::RequestInvalid(error.to_string())),
            };
            let destination = if name.contains(':') { format!("[{name}]:{port}") } else { format!("{name}:{port}") };
            probes.push(Probe { destination, host: host.clone(), outcome });
        }
        probes
    }

    /// `HEAD` for the base path, with the fields that every request has.
    fn probe_request(
        &self,
        backend: &Backend,
        client_host: Option<&HeaderValue>,
    ) -> Result<request::Parts, ProxyError> {
        let target = PathAndQuery::try_from(format!("{}/", backend.base_path));
        let target = target.map_err(|error| ProxyError::Internal(error.to_string()))?;
        let (mut parts, ()) = Request::new(()).into_parts();
        parts.method = Method::HEAD;
        parts.uri = Uri::from(target);
        parts.headers.extend(client_host.map(|host| (HOST, host.clone())));
        let forwarding = Forwarding {
            backend,
            host: None,
            identity: &self.identity,
            deployment: None,
            request_id_field: &self.table().request_id_field,
            request_id: "crossfade-check",
            trace_id: None,
        };
        forwarding.apply(&mut parts.headers, &parts.method, &Bytes::new())?;
        Ok(parts)
    }
}

async fn reach(
    upstream: &Upstream,
    host: &str,
    port: u16,
    parts: &request::Parts,
    patience: Duration,
) -> Result<Reached, ProxyError> {
    let started = Instant::now();
    let end = started + upstream.backend.timeouts.connect;
    let opened = upstream.open(host, port, &mut Allowance::new(end, TimeLimit::Own, end)).await?;
    let (address, tls, took) = (opened.address, opened.session().map(Session::of), started.elapsed());
    let answer = by(Instant::now() + patience, TimeLimit::Own, ask(upstream, opened, parts)).await;
    let answer = answer.unwrap_or_else(|limit| Err(ProxyError::ResponseTimeout(limit)));
    Ok(Reached { address, took, tls, answer })
}

async fn ask(upstream: &Upstream, opened: Opened, parts: &request::Parts) -> Result<Answer, ProxyError> {
    let connection = upstream.speak(opened).await?;
    let started = Instant::now();
    let asked = attempt::exchange(upstream, connection, parts, &Bytes::new()).await;
    let (_connection, head) = asked.map_err(attempt::no_answer)?;
    Ok(Answer { version: head.version(), status: head.status(), took: started.elapsed() })
}

impl Session {
    fn of(session: &ClientConnection) -> Self {
        Session {
            version: session.protocol_version(),
            cipher_suite: session.negotiated_cipher_suite().map(|suite| suite.suite()),
            alpn: session.alpn_protocol().map(|protocol| String::from_utf8_lossy(protocol).into_owned()),
            chain: session.peer_certificates().unwrap_or_default().iter().map(|sent| sent.to_vec()).collect(),
        }
    }
}
