//! The Lambda Web Adapter's way of working, for the tests: an extension that registers, asks the Runtime API for invocations
//! in the runtime's place, and forwards them to a server on `PORT`. With the argument `server` it is that server, which knows
//! nothing of Lambda and answers with its port.
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a crash, which the tests see")]

mod api;

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use api::{Api, EXTENSION};
use serde_json::json;

fn main() {
    let port: u16 = std::env::var("PORT").unwrap().parse().unwrap();
    match std::env::args().nth(1).as_deref() {
        Some("server") => serve(port),
        _ => adapt(port),
    }
}

fn serve(port: u16) {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    for stream in listener.incoming() {
        std::thread::sleep(Duration::from_millis(400));
        write!(stream.unwrap(), "{port}").unwrap();
    }
}

fn adapt(port: u16) {
    let mut api = Api::connect();
    let id = api.register("web_adapter", &[]).field("lambda-extension-identifier");
    let ask = || {
        let mut text = String::new();
        TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| stream.read_to_string(&mut text))?;
        Ok::<_, std::io::Error>(text)
    };
    std::thread::spawn(move || {
        let fields = [("lambda-extension-identifier", id.as_str())];
        Api::connect().call("GET", &format!("{EXTENSION}event/next"), &fields, b"")
    });
    while ask().is_err() {
        std::thread::sleep(Duration::from_millis(10));
    }
    loop {
        let next = api.call("GET", "invocation/next", &[], b"");
        let reply = json!({ "statusCode": 200, "headers": {}, "body": ask().unwrap(), "isBase64Encoded": false });
        let path = format!("invocation/{}/response", next.field("lambda-runtime-aws-request-id"));
        api.call("POST", &path, &[], reply.to_string().as_bytes());
    }
}
