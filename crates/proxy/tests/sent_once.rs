//! An order is written once: what a back end has read of a request, and then broke the connection, is not sent again.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::io::{ErrorKind, Read};
use std::net::TcpStream;
use std::os::fd::AsFd;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use http::Method;
use support::{Conn, OK, Origin, ProxyOf as _, Tls, ask, get, request};
use tokio::net::TcpSocket;
use tokio::runtime::{Builder, Runtime};

const ROUNDS: usize = 300;

/// Bytes of an order.
const CONTENT: usize = 700_000;

/// A back end on threads of its own, with receive buffers so small that a write takes several steps. `seen` counts the
/// orders of which it had anything.
fn start(runtime: &Runtime, tls: Tls, seen: &Arc<AtomicUsize>) -> Origin {
    let seen = seen.clone();
    let mut origin = Origin::new(tls, move |door| {
        let seen = seen.clone();
        async move {
            if let Some(conn) = door.open().await {
                serve(conn, &seen).await;
            }
        }
    });
    runtime.block_on(async {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_recv_buffer_size(2048).unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        origin.listen(socket.listen(16).unwrap());
    });
    origin
}

/// Takes a request; of the next one on the connection it reads the first bytes and resets, as soon as can be.
async fn serve(mut conn: Conn, seen: &AtomicUsize) {
    let Some(first) = conn.request().await else { return };
    if first.starts_with("POST ") {
        seen.fetch_add(1, Ordering::SeqCst);
    }
    conn.write(OK).await;
    let mut tcp = TcpStream::from(conn.socket.tcp().as_fd().try_clone_to_owned().unwrap());
    let (patience, mut bytes) = (Instant::now() + Duration::from_secs(10), [0; 512]);
    while Instant::now() < patience {
        match tcp.read(&mut bytes) {
            // Shorter ones are what TLS says for itself.
            Ok(count) => {
                seen.fetch_add(usize::from(count >= 256), Ordering::SeqCst);
                break;
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => std::hint::spin_loop(),
            Err(_) => break,
        }
    }
    conn.reset();
}

#[test]
fn an_order_that_a_back_end_has_begun_to_read_is_not_sent_again() {
    let back_ends = Builder::new_multi_thread().worker_threads(4).enable_all().build().unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let large = "x".repeat(CONTENT);
    for tls in [Tls::Good, Tls::Tls12, Tls::Plain] {
        let seen = Arc::<AtomicUsize>::default();
        let origin = start(&back_ends, tls, &seen);
        let proxy = origin.proxy();
        let mut counts = Vec::new();
        runtime.block_on(async {
            for _ in 0..ROUNDS {
                let before = seen.load(Ordering::SeqCst);
                // A new connection, which the order finds.
                assert_eq!(ask(&proxy, get("/")).await.status, 200);
                let answer = ask(&proxy, request(Method::POST, "/orders", &[], &large)).await;
                assert!(matches!(answer.status, 200 | 502), "{tls:?}: {}", answer.record);
                counts.push(seen.load(Ordering::SeqCst) - before);
            }
        });
        let twice = counts.iter().filter(|count| **count > 1).count();
        assert_eq!(twice, 0, "{tls:?}: {twice} of {ROUNDS} orders arrived twice");
        assert!(counts.contains(&1), "{tls:?}: no order arrived");
    }
}
