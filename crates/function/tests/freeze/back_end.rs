//! Back ends that say what they were sent, count it, and come into trouble when they are told to.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossfade_testkit::http2;
use crossfade_testkit::origin::{Conn, Door, Origin, Tls};
use tokio::io::AsyncWriteExt;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::support::PATIENCE;

/// What happens to a back end.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Trouble {
    /// It closes its connections in an orderly way: over HTTP/2 with GOAWAY.
    Closes,
    /// Over HTTP/2 without.
    Drops,
    Resets,
    Restarts,
    Moves,
    /// It takes the next request on a connection that it knows, and ends the connection.
    Dies,
    /// It restarts with another certificate, and knows no TLS session any more.
    Forgets,
    /// The network forgets its connections: what is sent on them is lost without a sign.
    Vanishes,
}

/// Those that can happen at any time.
pub(crate) const TROUBLES: [Trouble; 6] =
    [Trouble::Closes, Trouble::Drops, Trouble::Resets, Trouble::Restarts, Trouble::Moves, Trouble::Dies];

/// What a back end answers to a request of this id, and after what time.
pub(crate) type Answers = fn(&str) -> (Duration, String);

pub(crate) struct BackEnd {
    origin: Origin,
    ports: [SocketAddr; 2],
    _held: [Option<TcpSocket>; 2],
    shared: Arc<Shared>,
}

struct Shared {
    tls: Tls,
    answers: Answers,
    /// To every connection that there is.
    tell: Mutex<watch::Sender<Option<Trouble>>>,
    dies: AtomicBool,
    /// Whether it has a new certificate for each connection.
    forgets: AtomicBool,
    /// How often each request came. That of a copy begins with `copy of `, if the fields can be read: over HTTP/1.1.
    seen: Mutex<BTreeMap<String, u32>>,
    /// The requests that it has died of.
    killed: Mutex<Vec<String>>,
    /// How many of those connections are closed.
    closed: AtomicUsize,
}

impl Shared {
    /// Whether the request is to be answered.
    fn take(&self, id: &str, is_first: bool) -> bool {
        *self.seen.lock().unwrap().entry(id.to_owned()).or_insert(0) += 1;
        let dies = !is_first && self.dies.swap(false, Ordering::SeqCst);
        if dies {
            self.killed.lock().unwrap().push(id.to_owned());
        }
        !dies
    }
}

impl BackEnd {
    pub(crate) async fn start(tls: Tls, answers: Answers) -> BackEnd {
        let tell = Mutex::new(watch::channel(None).0);
        let (dies, forgets, seen, killed, closed) = Default::default();
        let shared = Arc::new(Shared { tls, answers, tell, dies, forgets, seen, killed, closed });
        let its = shared.clone();
        let mut origin = Origin::new(tls, move |door| {
            let shared = its.clone();
            let told = shared.tell.lock().unwrap().subscribe();
            async move {
                serve(door, told, &shared).await;
            }
        });
        let [(first, held), (second, also_held)] = [bind().await, bind().await];
        let ports = [first.local_addr().unwrap(), second.local_addr().unwrap()];
        origin.listen(first);
        BackEnd { origin, ports, shared, _held: [held, also_held] }
    }

    /// As `crossfade.yaml` has it, with these keys besides.
    pub(crate) fn config(&self, more: &str) -> String {
        let [home, elsewhere] = self.ports;
        format!("{{ url: '{}', addresses: ['{home}', '{elsewhere}']{more} }}", self.origin.url())
    }

    /// What these back ends' certificates are checked by.
    pub(crate) fn certificates(back_ends: &[BackEnd]) -> Vec<u8> {
        let pems: Vec<&[u8]> = back_ends.iter().map(|back_end| back_end.origin.ca_pem.as_slice()).collect();
        pems.concat()
    }

    pub(crate) async fn suffer(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Closes | Trouble::Drops | Trouble::Resets | Trouble::Vanishes => {
                let connections = std::mem::replace(&mut *self.shared.tell.lock().unwrap(), watch::channel(None).0);
                connections.send_replace(Some(trouble));
                // What is still open would meet the next request.
                let deadline = Instant::now() + PATIENCE;
                while connections.receiver_count() > 0 {
                    assert!(Instant::now() < deadline, "a connection does not end");
                    sleep(Duration::from_millis(1)).await;
                }
            }
            Trouble::Restarts => self.listen_again(self.origin.address).await,
            Trouble::Forgets => {
                self.shared.forgets.store(true, Ordering::SeqCst);
                self.listen_again(self.origin.address).await;
            }
            Trouble::Moves => {
                let elsewhere = self.ports.into_iter().find(|port| *port != self.origin.address);
                self.listen_again(elsewhere.unwrap()).await;
            }
            Trouble::Dies => self.shared.dies.store(true, Ordering::SeqCst),
        }
    }

    async fn listen_again(&mut self, address: SocketAddr) {
        self.origin.stop().await;
        // Some systems take a moment for the connections that were there.
        let deadline = Instant::now() + PATIENCE;
        let listener = loop {
            match TcpListener::bind(address).await {
                Ok(listener) => break listener,
                Err(error) => assert!(Instant::now() < deadline, "{address}: {error}"),
            }
            sleep(Duration::from_millis(5)).await;
        };
        self.origin.listen(listener);
    }

    /// How often each request came.
    pub(crate) fn seen(&self) -> BTreeMap<String, u32> {
        self.shared.seen.lock().unwrap().clone()
    }

    pub(crate) fn was_killed_by(&self, id: &str) -> bool {
        self.shared.killed.lock().unwrap().iter().any(|killed| killed == id)
    }

    /// How often it has begun to die of a request, and how often that is over.
    pub(crate) fn deaths(&self) -> (usize, usize) {
        (self.shared.killed.lock().unwrap().len(), self.shared.closed.load(Ordering::SeqCst))
    }

    pub(crate) fn connections(&self) -> u64 {
        self.origin.connections() as u64
    }
}

/// A port that nobody else takes while it is not listened on: the address has no other user. It is held at 127.0.0.1 as well:
/// a Runtime API that got it there would forbid this back end, as all loopback addresses are one host. Where 127.0.0.1 is the
/// only one, as on macOS, it is a matter of luck.
async fn bind() -> (TcpListener, Option<TcpSocket>) {
    static USED: AtomicU8 = AtomicU8::new(1);
    let own = [127, 77, 0, USED.fetch_add(1, Ordering::Relaxed)];
    let held = TcpSocket::new_v4().unwrap();
    held.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let port = held.local_addr().unwrap().port();
    match TcpListener::bind(SocketAddr::from((own, port))).await {
        Ok(listener) => (listener, Some(held)),
        Err(_) => (TcpListener::bind("127.0.0.1:0").await.unwrap(), None),
    }
}

async fn serve(door: Door, mut told: watch::Receiver<Option<Trouble>>, shared: &Shared) -> Option<()> {
    let forgets = shared.forgets.load(Ordering::SeqCst);
    let open = async { if forgets { door.open_as(shared.tls).await } else { door.open().await } };
    let conn = tokio::select! {
        conn = open => conn?,
        _ = told.changed() => return None,
    };
    match shared.tls {
        Tls::Http2 => serve_http2(conn, told, shared).await,
        _ => serve_http1(conn, told, shared).await,
    }
}

async fn serve_http1(mut conn: Conn, mut told: watch::Receiver<Option<Trouble>>, shared: &Shared) -> Option<()> {
    let mut is_first = true;
    loop {
        let text = tokio::select! {
            text = conn.request() => text?,
            _ = told.changed() => return end(conn, told, Vec::new()).await,
        };
        let id = text.split([' ', '/']).nth(3)?.to_owned();
        let is_copy = text.contains("x-crossfade-mirror: 1");
        if !shared.take(&if is_copy { format!("copy of {id}") } else { id.clone() }, is_first) {
            return die(conn, shared);
        }
        is_first = false;
        let (after, content) = (shared.answers)(&id);
        tokio::select! {
            () = sleep(after) => {}
            _ = told.changed() => return end(conn, told, Vec::new()).await,
        }
        conn.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{content}", content.len())).await;
    }
}

async fn serve_http2(mut conn: Conn, mut told: watch::Receiver<Option<Trouble>>, shared: &Shared) -> Option<()> {
    tokio::select! {
        greeted = http2::greet(&mut conn) => greeted?,
        _ = told.changed() => return None,
    }
    let mut last = 0;
    loop {
        let (stream, content) = tokio::select! {
            request = http2::request(&mut conn) => request?,
            _ = told.changed() => return end(conn, told, http2::go_away(last)).await,
        };
        let id = String::from_utf8(content).unwrap();
        if !shared.take(&id, last == 0) {
            return die(conn, shared);
        }
        last = stream;
        let (after, content) = (shared.answers)(&id);
        tokio::select! {
            () = sleep(after) => {}
            _ = told.changed() => return end(conn, told, http2::go_away(last)).await,
        }
        http2::answer(&mut conn, stream, content.as_bytes()).await;
    }
}

fn die(conn: Conn, shared: &Shared) -> Option<()> {
    drop(conn);
    shared.closed.fetch_add(1, Ordering::SeqCst);
    None
}

/// Ends a connection, as it is told. Who told it hears of that afterwards: from the end of `told`.
async fn end(mut conn: Conn, told: watch::Receiver<Option<Trouble>>, farewell: Vec<u8>) -> Option<()> {
    let trouble = *told.borrow();
    match trouble {
        Some(Trouble::Resets) => conn.reset(),
        Some(Trouble::Vanishes) => {
            drop(told);
            // Neither read from nor closed, until the port is.
            std::future::pending::<()>().await;
            drop(conn);
            return None;
        }
        _ => {
            if trouble == Some(Trouble::Closes) {
                conn.write(farewell).await;
            }
            let _ = conn.socket.shutdown().await;
            drop(conn);
        }
    }
    drop(told);
    None
}
