//! The common part of the scripted function and the scripted extension: a blocking client of Lambda's local APIs.
#![allow(dead_code, reason = "each example uses its part")]

use std::io::Write;
use std::net::TcpStream;

use crossfade_testkit::message::{Kind, Reader};
use serde_json::Value;

pub(crate) const EXTENSION: &str = "/2020-01-01/extension/";

pub(crate) struct Api(Reader<TcpStream>);

/// A step of a streamed response.
pub(crate) enum Piece<'p> {
    Data(&'p [u8]),
    Pause(u64),
    Exit,
}

pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) fields: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

fn host() -> String {
    std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap()
}

impl Api {
    pub(crate) fn connect() -> Self {
        let stream = TcpStream::connect(host()).unwrap();
        stream.set_nodelay(true).unwrap();
        Self(Reader::new(stream))
    }

    /// A call of the Runtime API, or of another one if the path begins with `/`.
    pub(crate) fn call(&mut self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        let base = if path.starts_with('/') { "" } else { "/2018-06-01/runtime/" };
        let mut head = format!("{method} {base}{path} HTTP/1.1\r\nhost: {}\r\n", host());
        for (name, value) in fields {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("content-length: {}\r\n\r\n", body.len());
        let stream = &mut self.0.stream;
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        self.read()
    }

    /// Posts a response in chunks. A piece that is a number is a pause in ms.
    pub(crate) fn stream(&mut self, path: &str, content_type: &str, pieces: &[Piece<'_>], trailers: &str) -> Answer {
        let mut head = format!("POST /2018-06-01/runtime/{path} HTTP/1.1\r\nhost: {}\r\n", host());
        head += "lambda-runtime-function-response-mode: streaming\r\ntransfer-encoding: chunked\r\n";
        head += &format!("content-type: {content_type}\r\ntrailer: lambda-runtime-function-error-type\r\n\r\n");
        self.0.stream.write_all(head.as_bytes()).unwrap();
        for piece in pieces {
            match piece {
                Piece::Pause(ms) => std::thread::sleep(std::time::Duration::from_millis(*ms)),
                Piece::Data(data) => {
                    let mut chunk = format!("{:x}\r\n", data.len()).into_bytes();
                    chunk.extend_from_slice(data);
                    chunk.extend_from_slice(b"\r\n");
                    self.0.stream.write_all(&chunk).unwrap();
                }
                Piece::Exit => std::process::exit(4),
            }
        }
        self.0.stream.write_all(format!("0\r\n{trailers}\r\n").as_bytes()).unwrap();
        self.read()
    }

    fn read(&mut self) -> Answer {
        let message = self.0.read(Kind::Response).unwrap().unwrap();
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let fields = message.fields().map(|(name, value)| (text(name), text(value))).collect();
        Answer { status: message.status(), fields, body: message.body.to_vec() }
    }

    pub(crate) fn register(&mut self, name: &str, events: &[&str]) -> Answer {
        let body = serde_json::json!({ "events": events }).to_string();
        let fields = [("lambda-extension-name", name), ("lambda-extension-accept-feature", "accountId")];
        self.call("POST", &format!("{EXTENSION}register"), &fields, body.as_bytes())
    }
}

impl Answer {
    pub(crate) fn field(&self, name: &str) -> String {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }

    /// `202 ok`, `403 Extension.InvalidEventType`
    pub(crate) fn summary(&self) -> String {
        let body: Value = serde_json::from_slice(&self.body).unwrap();
        format!("{} {}", self.status, body["errorType"].as_str().unwrap_or("ok"))
    }
}
