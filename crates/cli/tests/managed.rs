//! Crossfade's function on Lambda Managed Instances: several concurrent requests in one process, with the emulator's library.

use std::net::{TcpListener, TcpStream};

use crossfade_emulator::{Function, Notice, Settings, start};
use crossfade_event::HeaderMode;
use crossfade_testkit::client;
use crossfade_testkit::wait::{PATIENCE, until_ok};

const AT_ONCE: usize = 4;

/// `accept` for as long as a test may take.
fn accept(listener: &TcpListener) -> TcpStream {
    listener.set_nonblocking(true).unwrap();
    until_ok("a connection of the function", || listener.accept()).0
}

#[test]
fn one_process_serves_several_requests_at_a_time() {
    // A back end that says nothing before all have come.
    let backend = TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let url = format!("https://{}", backend.local_addr().unwrap());
    let command = vec![env!("CARGO_BIN_EXE_crossfade").to_owned(), "function".to_owned()];
    let function = Function {
        env: vec![("CROSSFADE_BACKEND".to_owned(), url)],
        timeout: PATIENCE,
        invocations_per_environment: AT_ONCE,
        ..Function::new("managed", command)
    };
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let (sender, mut notices) = tokio::sync::mpsc::unbounded_channel();
    let emulator = runtime.block_on(start(Settings::forward_all(HeaderMode::Single, function), sender)).unwrap();
    let alb = emulator.local_addr();
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..AT_ONCE)
            .map(|_| scope.spawn(move || client::send(alb, "GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")))
            .collect();
        // They wait side by side.
        let connections: Vec<_> = (0..AT_ONCE).map(|_| accept(&backend)).collect();
        drop((backend, connections));
        for client in clients {
            assert_eq!(client.join().unwrap().status, 502);
        }
    });
    runtime.block_on(emulator.shutdown());
    let mut environments = Vec::new();
    while let Ok(notice) = notices.try_recv() {
        if let Notice::Exchange(exchange) = notice {
            // The 502 is the function's own.
            assert_eq!(exchange.problem, None);
            environments.push(exchange.environment);
        }
    }
    assert_eq!(environments, [Some(1); AT_ONCE]);
}
