//! A back end that does what a test says, byte by byte, over real sockets and real TLS; and a proxy in front of it.

#![allow(dead_code, unreachable_pub, missing_debug_implementations, reason = "every test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use crossfade_proxy::{Exchange, Invocation, Limits, Proxy};
use crossfade_route::{Nothing, PemFile, RoutingTable, Surroundings};
use http::{HeaderMap, Method, Request};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Socket for T {}

/// One accepted connection.
pub struct Conn {
    pub socket: Box<dyn Socket>,
    /// Counts from 0.
    pub number: usize,
    origin: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<String>>,
}

impl Conn {
    /// Reads a whole request (head, and content by `Content-Length`); `None` at the end of the connection.
    pub async fn request(&mut self) -> Option<String> {
        let mut bytes = Vec::new();
        let head_end = loop {
            if let Some(at) = bytes.windows(4).position(|window| window == b"\r\n\r\n") {
                break at + 4;
            }
            let mut chunk = [0; 4096];
            match self.socket.read(&mut chunk).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            }
        };
        let head = String::from_utf8_lossy(&bytes[..head_end]).into_owned();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok()).unwrap_or(0);
        while bytes.len() < head_end + length {
            let mut chunk = [0; 4096];
            match self.socket.read(&mut chunk).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => bytes.extend_from_slice(&chunk[..count]),
            }
        }
        let text = bytes.escape_ascii().to_string().replace("\\r\\n", "\n");
        self.origin.requests.lock().unwrap().push(text.clone());
        Some(text)
    }

    pub async fn write(&mut self, bytes: impl AsRef<[u8]>) {
        let _ = self.socket.write_all(bytes.as_ref()).await;
        let _ = self.socket.flush().await;
    }

    /// Answers every request alike until the client goes.
    pub async fn answer_all(mut self, answer: &'static str) {
        while self.request().await.is_some() {
            self.write(answer).await;
        }
    }
}

/// Another one for each request.
static SEED: AtomicU64 = AtomicU64::new(1);

pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// How a back end presents itself.
#[derive(Clone, Copy, PartialEq)]
pub enum Tls {
    Plain,
    Good,
    WrongHost,
    Expired,
    SelfSigned,
    Http2,
    /// Speaks TLS 1.2 only.
    Tls12,
    /// Wants a certificate of the client's.
    Mutual,
}

pub struct Origin {
    pub address: SocketAddr,
    pub ca_pem: Vec<u8>,
    pub pems: Pems,
    tls: Tls,
    seen: Arc<Seen>,
}

impl Origin {
    pub async fn start<F, Fut>(tls: Tls, serve: F) -> Origin
    where
        F: Fn(Conn) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (acceptor, pems) = acceptor(tls);
        let ca_pem = pems.ca.clone();
        let seen = Arc::new(Seen::default());
        let origin = seen.clone();
        let serve = Arc::new(serve);
        tokio::spawn(async move {
            while let Ok((tcp, _)) = listener.accept().await {
                let number = origin.connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, origin, serve) = (acceptor.clone(), origin.clone(), serve.clone());
                tokio::spawn(async move {
                    let socket = match acceptor {
                        None => Box::new(tcp) as Box<dyn Socket>,
                        Some(acceptor) => match acceptor.accept(tcp).await {
                            Ok(stream) => Box::new(stream) as Box<dyn Socket>,
                            Err(_) => return,
                        },
                    };
                    serve(Conn { socket, number, origin }).await;
                });
            }
        });
        Origin { address, ca_pem, pems, tls, seen }
    }

    /// Answers every request alike, on kept connections.
    pub async fn answering(tls: Tls, answer: &'static str) -> Origin {
        Origin::start(tls, move |conn| conn.answer_all(answer)).await
    }

    pub fn url(&self) -> String {
        let scheme = if self.tls == Tls::Plain { "http" } else { "https" };
        format!("{scheme}://localhost:{}", self.address.port())
    }

    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Every request that came, complete, with `\n` for line ends.
    pub fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }

    /// A proxy whose only back end is this one.
    pub fn proxy(&self) -> Proxy {
        self.proxy_with("")
    }

    /// The same with more keys in the back end's map, each on its own line.
    pub fn proxy_with(&self, keys: &str) -> Proxy {
        proxy(&self.url(), keys, &self.ca_pem)
    }
}

pub fn proxy(url: &str, keys: &str, ca_pem: &[u8]) -> Proxy {
    let keys = keys.replace('\n', "\n    ");
    config(&format!("backends:\n  legacy:\n    url: {url}\n    {keys}\ndefault: {{ forward: legacy }}\n"), &[ca_pem])
}

/// A proxy with this configuration, `version` apart, that trusts these authorities.
pub fn config(text: &str, ca_pems: &[&[u8]]) -> Proxy {
    config_with(text, &Nothing, ca_pems)
}

/// The same with files.
pub fn config_with(text: &str, surroundings: &dyn Surroundings, ca_pems: &[&[u8]]) -> Proxy {
    let text = format!("version: 1\n{text}");
    let table =
        RoutingTable::from_config(&text, "test.yaml", surroundings).unwrap_or_else(|mistakes| panic!("{mistakes}"));
    let all = PemFile { path: "ca.pem".into(), text: ca_pems.concat() };
    let cert_file = Some(&all).filter(|all| !all.text.is_empty());
    Proxy::new(table, cert_file, "crossfade-test", Limits { response_bytes: 1024 * 1024 }).unwrap()
}

/// An answer as text, and its record.
pub struct Answer {
    pub status: u16,
    pub fields: HeaderMap,
    pub body: Bytes,
    pub record: serde_json::Value,
    /// What came of copies of it.
    pub comparisons: Vec<serde_json::Value>,
}

impl Answer {
    pub fn error(&self) -> &str {
        let status = self.fields.get("proxy-status").map_or("", |value| value.to_str().unwrap());
        status.strip_prefix("crossfade; error=").unwrap_or(status)
    }
}

pub async fn ask(proxy: &Proxy, request: Request<Bytes>) -> Answer {
    ask_within(proxy, request, Duration::from_secs(10)).await
}

pub async fn ask_within(proxy: &Proxy, request: Request<Bytes>, limit: Duration) -> Answer {
    ask_at(proxy, request, limit, SystemTime::now()).await
}

/// As if it were so late by the clock on the wall.
pub async fn ask_later(proxy: &Proxy, request: Request<Bytes>, later: Duration) -> Answer {
    ask_at(proxy, request, Duration::from_secs(10), SystemTime::now() + later).await
}

async fn ask_at(proxy: &Proxy, request: Request<Bytes>, limit: Duration, time: SystemTime) -> Answer {
    let invocation = invocation(limit, time);
    let Exchange { response, record, pending } = proxy.handle(request, &invocation).await;
    let (head, body) = response.into_parts();
    let record = serde_json::to_value(record).unwrap();
    let records = match pending {
        Some(pending) => proxy.mirror(*pending, &invocation, std::future::pending()).await,
        None => Vec::new(),
    };
    let comparisons = records.iter().map(|record| serde_json::to_value(record).unwrap()).collect();
    Answer { status: head.status.as_u16(), fields: head.headers, body, record, comparisons }
}

pub fn invocation(limit: Duration, time: SystemTime) -> Invocation {
    let started = Instant::now();
    Invocation {
        request_id: "8476a536-e9f4-11e8-9739-2dfe598c3fcd".to_owned(),
        trace_id: None,
        started,
        time,
        deadline: started + limit,
        seed: u128::from(SEED.fetch_add(1, Ordering::Relaxed).wrapping_mul(0x9e37_79b9_7f4a_7c15)) * 0x1_0000_0001,
    }
}

pub fn request(method: Method, target: &str, fields: &[(&'static str, &str)], body: &str) -> Request<Bytes> {
    let mut request = Request::new(Bytes::copy_from_slice(body.as_bytes()));
    *request.method_mut() = method;
    *request.uri_mut() = target.parse().unwrap();
    for (name, value) in fields {
        request.headers_mut().append(*name, value.parse().unwrap());
    }
    request
}

pub fn get(target: &str) -> Request<Bytes> {
    request(Method::GET, target, &[("host", "www.example.com")], "")
}

/// What the client of a back end needs.
#[derive(Default)]
pub struct Pems {
    ca: Vec<u8>,
    pub client: Vec<u8>,
    pub client_key: Vec<u8>,
}

/// A server's side of TLS, and the CA to trust for it.
fn acceptor(tls: Tls) -> (Option<TlsAcceptor>, Pems) {
    if tls == Tls::Plain {
        return (None, Pems::default());
    }
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let ca = CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap();

    let name = if tls == Tls::WrongHost { "other.example.com" } else { "localhost" };
    let mut leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    if tls == Tls::Expired {
        leaf.not_after = rcgen::date_time_ymd(2020, 1, 1);
    }
    let key = KeyPair::generate().unwrap();
    let certificate =
        if tls == Tls::SelfSigned { leaf.self_signed(&key).unwrap() } else { leaf.signed_by(&key, &ca).unwrap() };

    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let versions = if tls == Tls::Tls12 { &[&rustls::version::TLS12][..] } else { rustls::DEFAULT_VERSIONS };
    let builder =
        rustls::ServerConfig::builder_with_provider(provider.clone()).with_protocol_versions(versions).unwrap();
    let builder = if tls == Tls::Mutual {
        let mut roots = rustls::RootCertStore::empty();
        roots.add(CertificateDer::from(ca.der().to_vec())).unwrap();
        let verifier = rustls::server::WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        builder.with_client_cert_verifier(verifier.build().unwrap())
    } else {
        builder.with_no_client_auth()
    };
    let client_key = KeyPair::generate().unwrap();
    let client = CertificateParams::new(vec!["client".to_owned()]).unwrap().signed_by(&client_key, &ca).unwrap();
    let mut config = builder
        .with_single_cert(
            vec![CertificateDer::from(certificate.der().to_vec())],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = if tls == Tls::Http2 { vec![b"h2".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    let pems = Pems {
        ca: ca.pem().into_bytes(),
        client: client.pem().into_bytes(),
        client_key: client_key.serialize_pem().into_bytes(),
    };
    (Some(TlsAcceptor::from(Arc::new(config))), pems)
}

/// A port where nobody listens.
pub async fn closed_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap().port()
}

/// Accepts connections and never says a word.
pub async fn silent() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move {
        let mut kept: Vec<TcpStream> = Vec::new();
        while let Ok((tcp, _)) = listener.accept().await {
            kept.push(tcp);
        }
    });
    address
}
