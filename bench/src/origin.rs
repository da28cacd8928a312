//! An HTTPS origin on loopback, HTTP/1.1 only, one blocking thread a connection. It reads requests byte for byte and
//! does what its script says; it owns no meaning of requests or answers. The benchmark and the conformance suite share
//! it.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use rustls::{ServerConfig, ServerConnection, StreamOwned};

use crate::message::{Kind, Message, Reader};

/// A connection that says nothing for so long is given up, so that no thread outlives a run by much.
const IDLE: Duration = Duration::from_secs(120);

/// The origin's reaction to a request.
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

/// A running origin; dropping it ends the listener. Connections end when their client does.
#[derive(Debug)]
pub struct Origin {
    address: SocketAddr,
    ended: Arc<AtomicBool>,
    acceptor: Option<JoinHandle<()>>,
}

impl Origin {
    /// Listens on a free port of 127.0.0.1. `script` is asked for each request; its first argument counts the requests
    /// on this connection before it.
    ///
    /// # Errors
    /// When no port can be bound.
    pub fn start(
        tls: Arc<ServerConfig>,
        script: impl Fn(usize, &Message<'_>) -> Action + Send + Sync + 'static,
    ) -> io::Result<Self> {
        Self::start_at(0, tls, script)
    }

    /// The same on a port that is not chosen by the system, unless it is 0.
    ///
    /// # Errors
    /// When the port cannot be bound.
    pub fn start_at(
        port: u16,
        tls: Arc<ServerConfig>,
        script: impl Fn(usize, &Message<'_>) -> Action + Send + Sync + 'static,
    ) -> io::Result<Self> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        let address = listener.local_addr()?;
        let ended = Arc::new(AtomicBool::new(false));
        let script = Arc::new(script);
        let acceptor = std::thread::spawn({
            let ended = ended.clone();
            move || {
                for stream in listener.incoming().map_while(Result::ok) {
                    if ended.load(Ordering::Relaxed) {
                        return;
                    }
                    let (tls, script) = (tls.clone(), script.clone());
                    // A client that breaks off ends its own connection only.
                    std::thread::spawn(move || serve(stream, tls, &*script));
                }
            }
        });
        Ok(Self { address, ended, acceptor: Some(acceptor) })
    }

    /// The port it listens on.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its address as a back end: `https://localhost:PORT`.
    #[must_use]
    pub fn url(&self) -> String {
        format!("https://localhost:{}", self.port())
    }
}

impl Drop for Origin {
    fn drop(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        // Wakes the acceptor.
        let _ = TcpStream::connect(self.address);
        if let Some(acceptor) = self.acceptor.take() {
            let _ = acceptor.join();
        }
    }
}

fn serve(
    stream: TcpStream,
    tls: Arc<ServerConfig>,
    script: &(impl Fn(usize, &Message<'_>) -> Action + ?Sized),
) -> io::Result<()> {
    stream.set_nodelay(true)?;
    stream.set_read_timeout(Some(IDLE))?;
    let connection = ServerConnection::new(tls).map_err(io::Error::other)?;
    let mut reader = Reader::new(StreamOwned::new(connection, stream));
    for before in 0.. {
        let Some(request) = reader.read(Kind::Request)? else {
            return Ok(());
        };
        match script(before, &request) {
            Action::Send(bytes) => reader.stream.write_all(&bytes)?,
            Action::SendAndClose(bytes) => {
                reader.stream.write_all(&bytes)?;
                reader.stream.conn.send_close_notify();
                reader.stream.flush()?;
                return Ok(());
            }
            Action::Drop => return Ok(()),
            Action::Hang => while reader.stream.read(&mut [0; 4096])? > 0 {},
        }
        reader.stream.flush()?;
    }
    Ok(())
}
