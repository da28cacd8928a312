//! Two HTTPS back ends, `legacy` and `modern`, for the first tour, the tests and the conformance suite.
//!
//! Owns their sockets and counts connections and requests. `pages` has the responses, `content` their bytes, and
//! `crate::certificate` issues the certificates. Nothing here knows Lambda, ALB or the proxy.

mod answer;
mod content;
mod pages;
mod shop;

use std::convert::Infallible;
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use http::{Request, Response, StatusCode};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use hyper_util::server::conn::auto;
use rustls::ServerConfig;
use rustls::pki_types::PrivatePkcs8KeyDer;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio_rustls::TlsAcceptor;

use crate::certificate::{Authority, LOCAL_NAMES};

/// Maximum request body in bytes; longer ones get 413. Far above ALB's 1 MiB for a Lambda target.
pub const MAX_BODY: usize = 16 * 1024 * 1024;

/// A silent client must not occupy a task forever.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Both demo back ends, running until this value is dropped.
#[derive(Debug)]
pub struct Demo {
    /// Address of the old system, on loopback.
    pub legacy: SocketAddr,
    /// Address of the new system, on loopback.
    pub modern: SocketAddr,
    /// The certificate authority that signed both certificates. They are valid for `localhost`, `127.0.0.1` and `::1`.
    pub ca_pem: String,
    servers: [Server; 2],
}

/// Counters of the two back ends since their start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stats {
    /// The old system.
    pub legacy: BackendStats,
    /// The new system.
    pub modern: BackendStats,
}

/// Counters of one back end since its start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BackendStats {
    /// Connections whose TLS handshake succeeded.
    pub connections: u64,
    /// Requests whose head was read.
    pub requests: u64,
}

/// The two systems: one program, two slightly different data models, as in a migration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum System {
    Legacy,
    Modern,
}

impl System {
    fn name(self) -> &'static str {
        match self {
            System::Legacy => "legacy",
            System::Modern => "modern",
        }
    }
}

/// TLS 1.2 and 1.3 with a fresh certificate, offering `h2` before `http/1.1`.
fn server_config(authority: &Authority) -> io::Result<ServerConfig> {
    let names = LOCAL_NAMES.map(String::from).to_vec();
    let (certificate, key) = authority.issue("Crossfade demo back end", names).map_err(io::Error::other)?;
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
        .map_err(io::Error::other)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(config)
}

impl Demo {
    /// Issues the certificates and starts both back ends on free ports.
    ///
    /// They speak HTTP/1.1 and HTTP/2, by ALPN. Must be called inside a tokio runtime.
    ///
    /// # Errors
    /// If no loopback port can be bound or the certificates cannot be issued.
    pub async fn start() -> io::Result<Demo> {
        let authority = Authority::new("Crossfade demo authority").map_err(io::Error::other)?;
        let legacy = Server::start(System::Legacy, server_config(&authority)?).await?;
        let modern = Server::start(System::Modern, server_config(&authority)?).await?;
        Ok(Demo { legacy: legacy.address, modern: modern.address, ca_pem: authority.pem(), servers: [legacy, modern] })
    }

    /// Returns the counters, which show whether connections are pooled and bodies are sent once.
    pub fn stats(&self) -> Stats {
        let [legacy, modern] = &self.servers;
        Stats { legacy: legacy.counters.read(), modern: modern.counters.read() }
    }

    /// Closes every open connection without notice, as a back end may while a Lambda environment is frozen. Accepts new
    /// connections as before.
    pub fn close_connections(&self) {
        for server in &self.servers {
            server.generation.send_modify(|generation| *generation += 1);
        }
    }
}

#[derive(Debug)]
struct Server {
    address: SocketAddr,
    counters: Arc<Counters>,
    /// Connections last for one generation; dropping the sender also ends them.
    generation: watch::Sender<u64>,
    accepting: JoinHandle<()>,
}

#[derive(Debug, Default)]
struct Counters {
    connections: AtomicU64,
    requests: AtomicU64,
}

impl Counters {
    fn read(&self) -> BackendStats {
        BackendStats {
            connections: self.connections.load(Ordering::Relaxed),
            requests: self.requests.load(Ordering::Relaxed),
        }
    }
}

impl Server {
    async fn start(system: System, tls: rustls::ServerConfig) -> io::Result<Server> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await?;
        let address = listener.local_addr()?;
        let counters = Arc::new(Counters::default());
        let (generation, _) = watch::channel(0);
        let accept = accept(listener, system, TlsAcceptor::from(Arc::new(tls)), counters.clone(), generation.clone());
        Ok(Server { address, counters, generation, accepting: tokio::spawn(accept) })
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.accepting.abort();
        self.generation.send_modify(|generation| *generation += 1);
    }
}

async fn accept(
    listener: TcpListener,
    system: System,
    tls: TlsAcceptor,
    counters: Arc<Counters>,
    generation: watch::Sender<u64>,
) {
    loop {
        match listener.accept().await {
            Ok((socket, _)) => {
                let mut closed = generation.subscribe();
                let connection = serve(socket, system, tls.clone(), counters.clone());
                tokio::spawn(async move {
                    tokio::select! {
                        () = connection => {}
                        _ = closed.changed() => {}
                    }
                });
            }
            // Most likely out of file descriptors: waiting prevents a busy loop.
            Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
        }
    }
}

async fn serve(socket: TcpStream, system: System, tls: TlsAcceptor, counters: Arc<Counters>) {
    // Otherwise small responses wait for the client's delayed acknowledgement.
    let _ = socket.set_nodelay(true);
    let Ok(Ok(stream)) = tokio::time::timeout(HANDSHAKE_TIMEOUT, tls.accept(socket)).await else { return };
    counters.connections.fetch_add(1, Ordering::Relaxed);
    let service = service_fn(|request| {
        counters.requests.fetch_add(1, Ordering::Relaxed);
        respond(system, request)
    });
    // Ignores clients that disconnect in the middle of a request.
    let _ = auto::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), service).await;
}

async fn respond(system: System, request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
    let (parts, body) = request.into_parts();
    let Ok(body) = Limited::new(body, MAX_BODY).collect().await else {
        return Ok(answer::text(StatusCode::PAYLOAD_TOO_LARGE, "body broken off or too large\n"));
    };
    let delay = pages::delay(system, &parts.uri);
    if !delay.is_zero() {
        tokio::time::sleep(delay).await;
    }
    Ok(pages::answer(system, &parts, body.to_bytes(), SystemTime::now()))
}
