//! The only thread is held up while a connection comes about: that is no fault of the back end. The back ends have a
//! thread of their own.

use std::future::pending;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::runtime::{Builder, Runtime};
use tokio::time::sleep;

use crate::support::{self, OK, Origin, ProxyOf as _, Tls, ask, closed_port, get};

const CONNECT: Duration = Duration::from_millis(400);

/// Opens after a while that is within the limit, and within the share of one of two addresses.
fn slow(runtime: &Runtime, tls: Tls) -> Origin {
    let mut origin = Origin::new(tls, |door| async move {
        sleep(CONNECT / 4).await;
        if let Some(conn) = door.open().await {
            conn.answer_all(OK).await;
        }
    });
    origin.listen(runtime.block_on(TcpListener::bind("127.0.0.1:0")).unwrap());
    origin
}

/// The thread that the proxy runs on is busy, from when connecting has begun until long after the limit.
fn hold_up() {
    tokio::spawn(async {
        sleep(CONNECT / 8).await;
        std::thread::sleep(3 * CONNECT);
    });
}

/// Holds for each way to write the addresses of the back end.
fn a_connection_that_came_about_meanwhile_is_no_timeout(tls: Tls) {
    let back_ends = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let _in_back_ends = back_ends.enter();
    let silent = back_ends.block_on(support::silent());
    let closed = closed_port();
    let origin = slow(&back_ends, tls);
    let port = origin.address.port();
    let own = format!("'127.0.0.1:{port}'");
    let mut ways = vec![
        String::new(),
        format!("addresses: ['127.0.0.1:{closed}', {own}]"),
        format!("addresses: [{own}, '127.0.0.1:{closed}']"),
    ];
    // Without TLS whoever accepts is connected.
    if tls != Tls::Plain {
        ways.push(format!("addresses: ['{silent}', {own}]"));
    }
    for way in ways {
        let keys = format!("{way}\ntimeouts: {{ connect: 400ms }}\noutlier: {{ failures: 1 }}");
        let proxy = origin.proxy_with(&keys);
        runtime.block_on(async {
            hold_up();
            let answer = ask(&proxy, get("/")).await;
            assert_eq!(answer.status, 200, "{tls:?} {way}: {}", answer.record);
        });
    }
}

// Lambda freezes the process; a test for each kind of connection, so that they wait side by side.

#[test]
fn a_tls_connection_that_came_about_while_the_thread_was_held_up_is_no_timeout() {
    a_connection_that_came_about_meanwhile_is_no_timeout(Tls::Good);
}

#[test]
fn a_tls_1_2_connection_that_came_about_while_the_thread_was_held_up_is_no_timeout() {
    a_connection_that_came_about_meanwhile_is_no_timeout(Tls::Tls12);
}

#[test]
fn a_connection_without_tls_that_came_about_while_the_thread_was_held_up_is_no_timeout() {
    a_connection_that_came_about_meanwhile_is_no_timeout(Tls::Plain);
}

#[test] // Lambda freezes the process
fn a_timeout_while_the_thread_was_held_up_takes_no_back_end_down() {
    let back_ends = Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let runtime = Builder::new_current_thread().enable_all().build().unwrap();
    let _in_back_ends = back_ends.enter();
    let mut mute = Origin::new(Tls::Good, |door| async move {
        let _door = door;
        pending().await
    });
    mute.listen(back_ends.block_on(TcpListener::bind("127.0.0.1:0")).unwrap());
    let proxy = mute.proxy_with("timeouts: { connect: 400ms }\noutlier: { failures: 1 }");
    runtime.block_on(async {
        hold_up();
        assert_eq!(ask(&proxy, get("/")).await.error(), "connection_timeout");
        // Now it has all of its time, and that counts; unless a busy machine holds the thread up once more.
        let mut timeouts = 0;
        loop {
            match ask(&proxy, get("/")).await.error() {
                "connection_timeout" => timeouts += 1,
                error => break assert_eq!(error, "destination_unavailable"),
            }
            assert!(timeouts < 100);
        }
        assert!(timeouts > 0, "the first one took it down");
    });
}
