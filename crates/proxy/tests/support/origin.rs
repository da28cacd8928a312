//! A back end that does what a test says, byte by byte, over real sockets and real TLS. Used by the tests of the
//! function, too; knows neither proxy nor Lambda.

#![allow(dead_code, unreachable_pub, missing_debug_implementations, reason = "every test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send {
    fn tcp(&self) -> &TcpStream;
}

impl Socket for TcpStream {
    fn tcp(&self) -> &TcpStream {
        self
    }
}

impl Socket for TlsStream<TcpStream> {
    fn tcp(&self) -> &TcpStream {
        self.get_ref().0
    }
}

/// A connection that has been accepted, before anything was said on it.
pub struct Door {
    pub tcp: TcpStream,
    acceptor: Option<TlsAcceptor>,
    authority: Arc<Authority>,
    number: usize,
    origin: Arc<Seen>,
}

impl Door {
    /// TLS, if the back end has it; `None` if the client does not like it.
    pub async fn open(self) -> Option<Conn> {
        let Door { tcp, acceptor, number, origin, .. } = self;
        let socket = match acceptor {
            None => Box::new(tcp) as Box<dyn Socket>,
            Some(acceptor) => Box::new(acceptor.accept(tcp).await.ok()?),
        };
        Some(Conn { socket, number, origin })
    }

    /// The same with another certificate of the same authority.
    pub async fn open_as(self, tls: Tls) -> Option<Conn> {
        let acceptor = acceptor(tls, &self.authority);
        self.open_with(acceptor).await
    }

    /// The same with any certificate.
    pub async fn open_with(mut self, acceptor: TlsAcceptor) -> Option<Conn> {
        self.acceptor = Some(acceptor);
        self.open().await
    }

    /// As it is, whatever the client believes.
    pub fn raw(self) -> Conn {
        Conn { socket: Box::new(self.tcp), number: self.number, origin: self.origin }
    }
}

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

    /// Ends the connection without a word of TLS, and throws away what was not sent.
    pub fn reset(self) {
        let _ = self.socket.tcp().set_zero_linger();
    }

    /// Answers every request alike until the client goes.
    pub async fn answer_all(mut self, answer: &'static str) {
        while self.request().await.is_some() {
            self.write(answer).await;
        }
    }
}

pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// How a back end presents itself.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tls {
    Plain,
    Good,
    WrongHost,
    Expired,
    NotYetValid,
    SelfSigned,
    /// Of an authority that nobody knows.
    Untrusted,
    Http2,
    /// Speaks TLS 1.2 only.
    Tls12,
    /// Wants a certificate of the client's.
    Mutual,
}

type Serve = dyn Fn(Door) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

pub struct Origin {
    pub address: SocketAddr,
    pub ca_pem: Vec<u8>,
    pub pems: Pems,
    tls: Tls,
    authority: Arc<Authority>,
    acceptor: Option<TlsAcceptor>,
    seen: Arc<Seen>,
    serve: Arc<Serve>,
    listening: Option<(Arc<Notify>, JoinHandle<()>)>,
}

impl Origin {
    pub async fn start<F, Fut>(tls: Tls, serve: F) -> Origin
    where
        F: Fn(Conn) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let serve = Arc::new(serve);
        let mut origin = Origin::new(tls, move |door: Door| {
            let serve = serve.clone();
            async move {
                if let Some(conn) = door.open().await {
                    serve(conn).await;
                }
            }
        });
        origin.listen(TcpListener::bind("127.0.0.1:0").await.unwrap());
        origin
    }

    /// One that does not listen yet, and decides itself when TLS begins.
    pub fn new<F, Fut>(tls: Tls, serve: F) -> Origin
    where
        F: Fn(Door) -> Fut + Send + Sync + 'static,
        Fut: Future<Output = ()> + Send + 'static,
    {
        let authority = Arc::new(authority());
        let (acceptor, pems) = match tls {
            Tls::Plain => (None, Pems::default()),
            tls => (Some(acceptor(tls, &authority)), pems(&authority)),
        };
        Origin {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            ca_pem: pems.ca.clone(),
            pems,
            tls,
            authority,
            acceptor,
            seen: Arc::default(),
            serve: Arc::new(move |door| Box::pin(serve(door))),
            listening: None,
        }
    }

    /// Serves here from now on, with the same certificate wherever that is.
    pub fn listen(&mut self, listener: TcpListener) {
        self.address = listener.local_addr().unwrap();
        let (acceptor, authority) = (self.acceptor.clone(), self.authority.clone());
        let (origin, serve) = (self.seen.clone(), self.serve.clone());
        let stop = Arc::new(Notify::new());
        let stopped = stop.clone();
        let serving = tokio::spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                let accepted = tokio::select! {
                    accepted = listener.accept() => accepted,
                    () = stopped.notified() => break,
                };
                let Ok((tcp, _)) = accepted else { break };
                let number = origin.connections.fetch_add(1, Ordering::SeqCst);
                let (acceptor, authority, origin) = (acceptor.clone(), authority.clone(), origin.clone());
                connections.spawn(serve(Door { tcp, acceptor, authority, number, origin }));
                while connections.try_join_next().is_some() {}
            }
            drop(listener);
            connections.shutdown().await;
        });
        self.listening = Some((stop, serving));
    }

    /// Closes the port and every connection.
    pub async fn stop(&mut self) {
        if let Some((stop, serving)) = self.listening.take() {
            stop.notify_one();
            let _ = serving.await;
        }
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
}

/// What the client of a back end needs.
#[derive(Default)]
pub struct Pems {
    ca: Vec<u8>,
    pub client: Vec<u8>,
    pub client_key: Vec<u8>,
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut ca = CertificateParams::new(Vec::new()).unwrap();
    ca.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(ca, KeyPair::generate().unwrap()).unwrap()
}

fn pems(ca: &Authority) -> Pems {
    let client_key = KeyPair::generate().unwrap();
    let client = CertificateParams::new(vec!["client".to_owned()]).unwrap().signed_by(&client_key, ca).unwrap();
    Pems {
        ca: ca.pem().into_bytes(),
        client: client.pem().into_bytes(),
        client_key: client_key.serialize_pem().into_bytes(),
    }
}

/// A server's side of TLS.
fn acceptor(tls: Tls, ca: &Authority) -> TlsAcceptor {
    let name = if tls == Tls::WrongHost { "other.example.com" } else { "localhost" };
    let mut leaf = CertificateParams::new(vec![name.to_owned()]).unwrap();
    match tls {
        Tls::Expired => leaf.not_after = rcgen::date_time_ymd(2020, 1, 1),
        Tls::NotYetValid => leaf.not_before = rcgen::date_time_ymd(3000, 1, 1),
        _ => {}
    }
    let key = KeyPair::generate().unwrap();
    let certificate = match tls {
        Tls::SelfSigned => leaf.self_signed(&key).unwrap(),
        Tls::Untrusted => leaf.signed_by(&key, &authority()).unwrap(),
        _ => leaf.signed_by(&key, ca).unwrap(),
    };

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
    let mut config = builder
        .with_single_cert(
            vec![CertificateDer::from(certificate.der().to_vec())],
            PrivateKeyDer::try_from(key.serialize_der()).unwrap(),
        )
        .unwrap();
    config.alpn_protocols = if tls == Tls::Http2 { vec![b"h2".to_vec()] } else { vec![b"http/1.1".to_vec()] };
    TlsAcceptor::from(Arc::new(config))
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
