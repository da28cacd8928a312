//! A back end that does what a test says, byte by byte and at any point, over real sockets and real TLS. It needs a tokio
//! runtime and knows neither proxy nor Lambda.

use std::net::SocketAddr;
use std::pin::Pin;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Notify;
use tokio::task::{JoinHandle, JoinSet};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use crate::authority::{Authority, Identity};
use crate::message::{Buffer, Kind};
use crate::tls;

/// A connection with or without TLS.
pub trait Socket: AsyncRead + AsyncWrite + Unpin + Send {
    /// The socket below.
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
    /// The socket.
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
        Some(Conn { socket, number, buffer: Buffer::default(), origin })
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
        let Door { tcp, number, origin, .. } = self;
        Conn { socket: Box::new(tcp), number, buffer: Buffer::default(), origin }
    }
}

/// One accepted connection.
pub struct Conn {
    /// For what is not a request: what [`Conn::request`] has read is gone from it.
    pub socket: Box<dyn Socket>,
    /// Counts from 0.
    pub number: usize,
    buffer: Buffer,
    origin: Arc<Seen>,
}

#[derive(Default)]
struct Seen {
    connections: AtomicUsize,
    requests: Mutex<Vec<String>>,
}

impl Conn {
    /// Reads a whole HTTP/1 request: head and content, with `\n` for line ends. `None` at the end of the connection.
    pub async fn request(&mut self) -> Option<String> {
        let length = loop {
            if let Some(length) = self.buffer.whole(Kind::Request, false).ok()? {
                break length;
            }
            match self.socket.read(self.buffer.room()).await {
                Ok(0) | Err(_) => return None,
                Ok(count) => self.buffer.add(count),
            }
        };
        let message = self.buffer.message(length);
        let text = [message.head, &message.body].concat().escape_ascii().to_string().replace("\\r\\n", "\n");
        self.origin.requests.lock().unwrap().push(text.clone());
        Some(text)
    }

    /// Sends these bytes, if there is still somebody.
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

/// An answer.
pub const OK: &str = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok";

/// The side that a back end shows to a client.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Tls {
    /// Without TLS.
    Plain,
    /// With all that a client wants.
    Good,
    /// For another name.
    WrongHost,
    /// Since 2020.
    Expired,
    /// Until 3000.
    NotYetValid,
    /// By no authority.
    SelfSigned,
    /// Of an authority that nobody knows.
    Untrusted,
    /// Speaks HTTP/2 only.
    Http2,
    /// Speaks TLS 1.2 only.
    Tls12,
    /// Wants a certificate of the client's.
    Mutual,
}

type Serve = dyn Fn(Door) -> Pin<Box<dyn Future<Output = ()> + Send>> + Send + Sync;

/// The back end. Its listener and its connections live as long as the runtime, or until [`Origin::stop`].
pub struct Origin {
    /// Its address.
    pub address: SocketAddr,
    /// The certificate of its authority; empty without TLS.
    pub ca_pem: Vec<u8>,
    /// A certificate for a client of it.
    pub pems: Pems,
    tls: Tls,
    authority: Arc<Authority>,
    acceptor: Option<TlsAcceptor>,
    seen: Arc<Seen>,
    serve: Arc<Serve>,
    listening: Option<(Arc<Notify>, JoinHandle<()>)>,
}

impl Origin {
    /// One that listens on a free port and serves each connection like this.
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
        let authority = Arc::new(Authority::new());
        let (acceptor, pems) = match tls {
            Tls::Plain => (None, Pems::default()),
            tls => (Some(acceptor(tls, &authority)), pems(&authority)),
        };
        let ca_pem = if acceptor.is_some() { authority.pem().into_bytes() } else { Vec::new() };
        Origin {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            ca_pem,
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

    /// Its address as a back end.
    pub fn url(&self) -> String {
        let scheme = if self.tls == Tls::Plain { "http" } else { "https" };
        format!("{scheme}://localhost:{}", self.address.port())
    }

    /// The number of connections that it has accepted.
    pub fn connections(&self) -> usize {
        self.seen.connections.load(Ordering::SeqCst)
    }

    /// Every request that came, complete, with `\n` for line ends.
    pub fn requests(&self) -> Vec<String> {
        self.seen.requests.lock().unwrap().clone()
    }
}

/// A certificate and key of a client, as PEM texts; empty without TLS.
#[derive(Default)]
pub struct Pems {
    /// The certificate.
    pub client: Vec<u8>,
    /// Its key.
    pub client_key: Vec<u8>,
}

fn pems(authority: &Authority) -> Pems {
    let client = authority.issue(&["client"]);
    Pems { client: client.pem().into_bytes(), client_key: client.key_pem().into_bytes() }
}

/// A server's side of TLS.
fn acceptor(tls: Tls, authority: &Authority) -> TlsAcceptor {
    let names = &["localhost"];
    let identity = match tls {
        Tls::WrongHost => authority.issue(&["other.example.com"]),
        Tls::Expired => authority.issue_with(names, |it| it.not_after = rcgen::date_time_ymd(2020, 1, 1)),
        Tls::NotYetValid => authority.issue_with(names, |it| it.not_before = rcgen::date_time_ymd(3000, 1, 1)),
        Tls::SelfSigned => Identity::self_signed(names),
        Tls::Untrusted => Authority::new().issue(names),
        _ => authority.issue(names),
    };
    let versions = if tls == Tls::Tls12 { &[&rustls::version::TLS12][..] } else { rustls::DEFAULT_VERSIONS };
    let alpn = if tls == Tls::Http2 { "h2" } else { "http/1.1" };
    tls::server(&identity, versions, Some(authority).filter(|_| tls == Tls::Mutual), &[alpn]).into()
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
