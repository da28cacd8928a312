//! A back end that answers by a script, one blocking thread for each connection, HTTP/1.1 with or without TLS. It reads
//! requests byte for byte and owns no meaning of them. What breaks in the middle of things needs [`crate::origin`].

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::message::{Kind, Message, Reader, read_some};
use crate::wait::PATIENCE;

/// A connection that says nothing for so long is given up, so that no thread outlives a run by much.
const IDLE: Duration = Duration::from_secs(120);

/// The server's reaction to a request.
#[derive(Debug, Clone)]
pub enum Action {
    /// Sends these bytes as they are and keeps the connection.
    Send(Arc<[u8]>),
    /// Sends these bytes and closes at once, whatever they announced.
    SendAndClose(Arc<[u8]>),
    /// Closes without a byte.
    Drop,
    /// Neither answers nor closes, until the client gives up.
    Hang,
}

/// The place of a request; both count from 0.
#[derive(Debug, Clone, Copy)]
pub struct At {
    /// The connection.
    pub connection: usize,
    /// The request on it.
    pub request: usize,
}

/// A running server. Dropping it ends the listener; connections end when their client does.
#[derive(Debug)]
pub struct Server {
    address: SocketAddr,
    has_tls: bool,
    ended: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Server {
    /// Listens on a free port of 127.0.0.1 and asks `script` for each request.
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn start(
        tls: Option<Arc<ServerConfig>>,
        script: impl Fn(At, &Message<'_>) -> Action + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start_at(0, tls, script)
    }

    /// The same on a port that is not chosen by the system, unless it is 0.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub fn start_at(
        port: u16,
        tls: Option<Arc<ServerConfig>>,
        script: impl Fn(At, &Message<'_>) -> Action + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let (has_tls, ended) = (tls.is_some(), Arc::new(AtomicBool::new(false)));
        let script = Arc::new(script);
        let acceptor = thread::spawn({
            let ended = ended.clone();
            move || {
                for (connection, stream) in listener.incoming().map_while(Result::ok).enumerate() {
                    if ended.load(Ordering::Relaxed) {
                        return;
                    }
                    let (tls, script) = (tls.clone(), script.clone());
                    // A client that breaks off ends its own connection only.
                    thread::spawn(move || accept(stream, tls, connection, &*script));
                }
            }
        });
        Ok(Self { address, has_tls, ended, acceptor: Some(acceptor) })
    }

    /// Lets it run until the process ends, and returns its address.
    #[must_use]
    pub fn keep(self) -> SocketAddr {
        let address = self.address;
        std::mem::forget(self);
        address
    }

    /// Its address.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its address as a back end.
    #[must_use]
    pub fn url(&self) -> String {
        if self.has_tls { format!("https://localhost:{}", self.port()) } else { format!("http://{}", self.address) }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

/// A stream that can be closed in an orderly way.
trait Stream: Read + Write {
    fn close(&mut self) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn close(&mut self) -> io::Result<()> {
        self.flush()
    }
}

impl Stream for StreamOwned<ServerConnection, TcpStream> {
    fn close(&mut self) -> io::Result<()> {
        self.conn.send_close_notify();
        self.flush()
    }
}

type Script = dyn Fn(At, &Message<'_>) -> Action + Send + Sync;

fn accept(stream: TcpStream, tls: Option<Arc<ServerConfig>>, connection: usize, script: &Script) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(IDLE))?;
    match tls {
        None => converse(stream, connection, script),
        Some(tls) => {
            let tls = ServerConnection::new(tls).map_err(io::Error::other)?;
            converse(StreamOwned::new(tls, stream), connection, script)
        }
    }
}

fn converse(stream: impl Stream, connection: usize, script: &Script) -> io::Result<()> {
    let mut reader = Reader::new(stream);
    for request in 0.. {
        let Some(message) = reader.read(Kind::Request)? else {
            return Ok(());
        };
        match script(At { connection, request }, &message) {
            Action::Send(bytes) => reader.stream.write_all(&bytes)?,
            Action::SendAndClose(bytes) => {
                reader.stream.write_all(&bytes)?;
                return reader.stream.close();
            }
            Action::Drop => return Ok(()),
            Action::Hang => while read_some(&mut reader.stream, &mut [0; 4096])? > 0 {},
        }
        reader.stream.flush()?;
    }
    Ok(())
}

/// One request as it came, for keeping.
#[derive(Clone, Debug)]
pub struct Call {
    /// The request line.
    pub line: String,
    /// Names as sent, values without surrounding blanks.
    pub fields: Vec<(String, String)>,
    /// The content.
    pub body: Vec<u8>,
    /// The connection that it came on, from 0.
    pub connection: usize,
}

impl Call {
    /// A copy of a message.
    #[must_use]
    pub fn of(at: At, message: &Message<'_>) -> Self {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Self {
            line: text(message.start_line()),
            fields: message.fields().map(|(name, value)| (text(name), text(value))).collect(),
            body: message.body.to_vec(),
            connection: at.connection,
        }
    }

    /// The target of the request line.
    #[must_use]
    pub fn target(&self) -> &str {
        self.line.split(' ').nth(1).unwrap_or_default()
    }

    /// The first field of that name, in whatever letter case.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    /// The content as JSON.
    ///
    /// # Panics
    /// When it is not JSON.
    #[must_use]
    pub fn json(&self) -> serde_json::Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A server without TLS, until the test process ends: it writes what `respond` returns for each request.
pub fn serve(respond: impl Fn(Call) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    Server::start(None, move |at, message| Action::Send(respond(Call::of(at, message)).into())).unwrap().keep()
}

/// A response with its length, these fields and this content.
#[must_use]
pub fn response(status: &str, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// A back end that answers when the test says so. It tells of requests in their order.
pub struct Held {
    /// Its address.
    pub address: SocketAddr,
    asked: Receiver<Call>,
    release: Sender<()>,
}

impl Held {
    /// With this content type and content.
    pub fn start(content_type: &'static str, content: fn(&Call) -> String) -> Held {
        let (tell, asked) = channel();
        let (release, released) = channel::<()>();
        let (tell, released) = (Mutex::new(tell), Mutex::new(released));
        let address = serve(move |call| {
            let content = content(&call);
            let _ = tell.lock().unwrap().send(call);
            let _ = released.lock().unwrap().recv();
            response("200 OK", &[("content-type", content_type)], content.as_bytes())
        });
        Held { address, asked, release }
    }

    /// The next request that came.
    ///
    /// # Panics
    /// When none comes.
    pub fn asked(&self) -> Call {
        self.asked.recv_timeout(PATIENCE).expect("the back end is not asked")
    }

    /// The requests that came and were not yet asked for.
    pub fn asked_so_far(&self) -> impl Iterator<Item = Call> {
        self.asked.try_iter()
    }

    /// Answers so many requests, also some to come.
    ///
    /// # Panics
    /// When the back end is gone.
    pub fn release(&self, count: usize) {
        (0..count).for_each(|_| self.release.send(()).unwrap());
    }
}

/// A port where nobody listens.
#[must_use]
pub fn closed_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}
