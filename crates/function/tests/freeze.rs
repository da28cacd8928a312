//! Lambda stops the process between invocations. Meanwhile back ends close connections, restart and move; when it goes
//! on, all of that and the next event are there at once. Nothing of it may reach a client, and nothing may be sent twice
//! that must not be. // G17, T20, G25
//!
//! `INVOCATIONS=5000` for the long form, `SEED=…` for the same run again.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

#[path = "support/http2.rs"]
mod http2;
#[path = "../../proxy/tests/support/origin.rs"]
mod origin;
mod support;

use std::collections::BTreeMap;
use std::env;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::runtime::Runtime;
use tokio::sync::watch;

use origin::{Conn, Origin, Tls};
use support::{Function, PATIENCE, event};

/// Each with its own back ends, at the same time: they mostly sleep.
const ENVIRONMENTS: u64 = 6;
const SHORT_FORM: u64 = 300;

#[test] // G17, T20, G25
fn nothing_is_lost_and_nothing_repeated_that_must_not_be() {
    let number = |name| env::var(name).ok().map(|value| value.parse::<u64>().unwrap());
    let invocations = number("INVOCATIONS").unwrap_or(SHORT_FORM);
    let seed =
        number("SEED").unwrap_or_else(|| SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos() as u64);
    // Shown if the test fails.
    println!("SEED={seed} INVOCATIONS={invocations}");
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let started = Instant::now();
    let mut figures = BTreeMap::new();
    thread::scope(|scope| {
        let runs: Vec<_> = (0..ENVIRONMENTS)
            .map(|index| {
                let runtime = &runtime;
                scope.spawn(move || Run::start(seed.wrapping_add(index), runtime).go(invocations / ENVIRONMENTS))
            })
            .collect();
        for run in runs {
            for (name, count) in run.join().expect("see above") {
                *figures.entry(name).or_insert(0) += count;
            }
        }
    });
    println!("{figures:#?}\n{:?}", started.elapsed());
}

/// What happens to a back end while the process stands still.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Trouble {
    /// It closes its connections in an orderly way: over HTTP/2 with GOAWAY.
    Closes,
    /// Over HTTP/2 without.
    Drops,
    Resets,
    Restarts,
    Moves,
    /// It takes the next request on a connection that it knows, and ends the connection.
    Dies,
}

const TROUBLES: [Trouble; 6] =
    [Trouble::Closes, Trouble::Drops, Trouble::Resets, Trouble::Restarts, Trouble::Moves, Trouble::Dies];

/// A back end that says what it was sent.
struct BackEnd {
    origin: Origin,
    ports: [SocketAddr; 2],
    /// To every connection.
    tell: watch::Sender<Option<Trouble>>,
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    dies: AtomicBool,
    /// How often each request came.
    seen: Mutex<BTreeMap<String, u32>>,
    /// The request that it has died of.
    killed: Mutex<Vec<String>>,
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
    async fn start(tls: Tls) -> BackEnd {
        let (tell, told) = watch::channel(None);
        let shared = Arc::<Shared>::default();
        let its = shared.clone();
        let mut origin = Origin::new(tls, move |door| {
            let (mut told, shared) = (told.clone(), its.clone());
            async move {
                told.mark_unchanged();
                let Some(conn) = door.open().await else { return };
                match tls {
                    Tls::Http2 => serve_http2(conn, told, &shared).await,
                    _ => serve_http1(conn, told, &shared).await,
                };
            }
        });
        let listeners = [bind().await, bind().await];
        let ports = [listeners[0].local_addr().unwrap(), listeners[1].local_addr().unwrap()];
        let [first, _] = listeners;
        origin.listen(first);
        BackEnd { origin, ports, tell, shared }
    }

    async fn suffer(&mut self, trouble: Trouble) {
        match trouble {
            Trouble::Closes | Trouble::Drops | Trouble::Resets => {
                self.tell.send_replace(Some(trouble));
                // One receiver is for connections to come. What is still open would meet the next request.
                let deadline = Instant::now() + PATIENCE;
                while self.tell.receiver_count() > 1 {
                    assert!(Instant::now() < deadline, "a connection does not end");
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            Trouble::Restarts => self.listen_again(self.origin.address).await,
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
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        self.origin.listen(listener);
    }
}

/// A port that nobody else takes while it is not listened on: the address has no other user. Where 127.0.0.1 is the only
/// one, as on macOS, it is a matter of luck.
async fn bind() -> TcpListener {
    static USED: AtomicU8 = AtomicU8::new(1);
    let own = [127, 77, 0, USED.fetch_add(1, Ordering::Relaxed)];
    match TcpListener::bind(SocketAddr::from((own, 0))).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind("127.0.0.1:0").await.unwrap(),
    }
}

async fn serve_http1(mut conn: Conn, mut told: watch::Receiver<Option<Trouble>>, shared: &Shared) -> Option<()> {
    let mut is_first = true;
    loop {
        let text = tokio::select! {
            text = conn.request() => text?,
            _ = told.changed() => return end(conn, &told, Vec::new()).await,
        };
        let id = text.split([' ', '/']).nth(3)?.to_owned();
        if !shared.take(&id, is_first) {
            return None;
        }
        is_first = false;
        conn.write(format!("HTTP/1.1 200 OK\r\ncontent-length: {}\r\n\r\n{id}", id.len())).await;
    }
}

async fn serve_http2(mut conn: Conn, mut told: watch::Receiver<Option<Trouble>>, shared: &Shared) -> Option<()> {
    http2::greet(&mut conn).await?;
    let mut last = 0;
    loop {
        let (stream, content) = tokio::select! {
            request = http2::request(&mut conn) => request?,
            _ = told.changed() => return end(conn, &told, http2::go_away(last)).await,
        };
        let id = String::from_utf8(content).unwrap();
        if !shared.take(&id, last == 0) {
            return None;
        }
        last = stream;
        http2::answer(&mut conn, stream, id.as_bytes()).await;
    }
}

/// Ends a connection on which no answer is due, as it is told.
async fn end(mut conn: Conn, told: &watch::Receiver<Option<Trouble>>, farewell: Vec<u8>) -> Option<()> {
    let trouble = *told.borrow();
    match trouble {
        Some(Trouble::Resets) => conn.reset(),
        Some(Trouble::Closes) => {
            conn.write(farewell).await;
            let _ = conn.socket.shutdown().await;
        }
        _ => {
            let _ = conn.socket.shutdown().await;
        }
    }
    None
}

/// One environment with a back end of each kind.
struct Run<'r> {
    random: Random,
    runtime: &'r Runtime,
    back_ends: [BackEnd; 2],
    function: Function,
    figures: BTreeMap<String, u64>,
    _folder: tempfile::TempDir,
}

impl<'r> Run<'r> {
    fn start(seed: u64, runtime: &'r Runtime) -> Run<'r> {
        let [http1, http2] = [Tls::Good, Tls::Http2].map(|tls| runtime.block_on(BackEnd::start(tls)));
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, content: &[u8]| {
            let path = folder.path().join(name);
            std::fs::write(&path, content).unwrap();
            path.to_str().unwrap().to_owned()
        };
        let certificates = file("ca.pem", &[http1.origin.ca_pem.as_slice(), &http2.origin.ca_pem].concat());
        let back_end = |back_end: &BackEnd| {
            let [home, elsewhere] = back_end.ports;
            format!("{{ url: '{}', addresses: ['{home}', '{elsewhere}'] }}", back_end.origin.url())
        };
        let config = format!(
            "version: 1\nbackends:\n  http1: {}\n  http2: {}\nroutes:\n  - name: http2\n    priority: 1\n    conditions: {{ \
             path: /1/* }}\n    forward: http2\ndefault: {{ forward: http1 }}\n",
            back_end(&http1),
            back_end(&http2)
        );
        let config = file("crossfade.yaml", config.as_bytes());
        let function = Function::start(&[("CROSSFADE_CONFIG", &config), ("SSL_CERT_FILE", &certificates)]);
        let figures = BTreeMap::new();
        Run { random: Random(seed), runtime, back_ends: [http1, http2], function, figures, _folder: folder }
    }

    fn go(mut self, invocations: u64) -> BTreeMap<String, u64> {
        for number in 0..invocations {
            // Beyond what a connection is kept for a request that must not be sent twice.
            let is_long = number % 400 == 399;
            self.invoke(&format!("request-{number}"), is_long);
        }
        for back_end in &self.back_ends {
            for (id, count) in back_end.shared.seen.lock().unwrap().iter() {
                let is_post = id.starts_with("POST");
                assert!(*count <= if is_post { 1 } else { 2 }, "{id} came {count} times");
                *self.figures.entry("sent twice".to_owned()).or_insert(0) += u64::from(*count == 2);
            }
            *self.figures.entry("connections".to_owned()).or_insert(0) += back_end.origin.connections() as u64;
        }
        self.figures
    }

    fn invoke(&mut self, name: &str, is_long: bool) {
        let method = *self.random.of(&["GET", "PUT", "DELETE", "POST", "POST"]);
        let id = format!("{method}-{name}");
        let asked = self.random.below(2) as usize;
        let mut event = event(method, &format!("/{asked}/{id}"));
        event["body"] = json!(id);
        let event = event.to_string();

        let is_frozen = is_long || self.random.below(10) < 7;
        let trouble = (self.random.below(10) < if is_frozen { 6 } else { 2 }).then(|| *self.random.of(&TROUBLES));
        // Mostly the back end that is asked next.
        let troubled = if self.random.below(4) == 0 { 1 - asked } else { asked };
        let suffer = |run: &mut Self| {
            if let Some(trouble) = trouble {
                run.runtime.block_on(run.back_ends[troubled].suffer(trouble));
            }
        };
        if is_frozen {
            self.signal(Signal::STOP);
            suffer(self);
            let milliseconds = match self.random.below(10) {
                _ if is_long => 4200,
                0..7 => 2 + self.random.below(8),
                7..9 => 10 + self.random.below(40),
                _ => 50 + self.random.below(100),
            };
            thread::sleep(Duration::from_millis(milliseconds));
            // The event is there when the process goes on, or comes a little later.
            if self.random.below(2) == 0 {
                self.function.give(&event, LIMIT, "202 Accepted");
                thread::sleep(Duration::from_millis(1));
                self.signal(Signal::CONT);
            } else {
                self.signal(Signal::CONT);
                self.function.give(&event, LIMIT, "202 Accepted");
            }
        } else {
            suffer(self);
            self.function.give(&event, LIMIT, "202 Accepted");
        }

        let reply = self.function.posted().json();
        let is_answered = reply["statusCode"] == 200 && reply["body"] == id.as_str();
        let was_killed = self.back_ends[asked].shared.killed.lock().unwrap().contains(&id);
        let context = format!("{id} to {asked}, frozen: {is_frozen}, {trouble:?} of {troubled}: {reply}");
        match method {
            // The back end has it, or may have it: the connection ended just as it was sent.
            "POST" if was_killed || (trouble.is_some() && !is_frozen) => {
                assert!(is_answered || reply["statusCode"] == 502, "{context}");
            }
            _ => assert!(is_answered, "{context}"),
        }
        self.count("invocations".to_owned());
        if is_frozen {
            self.count("frozen".to_owned());
        }
        if let Some(trouble) = trouble {
            self.count(format!("back end {trouble:?}"));
        }
        if !is_answered {
            self.count(format!("{method} failed, its back end died of it: {was_killed}"));
        }
    }

    fn count(&mut self, name: String) {
        *self.figures.entry(name).or_insert(0) += 1;
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.function.child), signal).unwrap();
    }
}

const LIMIT: Duration = Duration::from_secs(15);

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }

    fn of<'t, T>(&mut self, items: &'t [T]) -> &'t T {
        let index = self.below(items.len() as u64) as usize;
        &items[index]
    }
}
