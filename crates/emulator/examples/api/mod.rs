//! The common part of the scripted function and the scripted extension: a blocking client of Lambda's local APIs.
#![allow(dead_code, reason = "each example uses its part")]

use std::io::Write;
use std::net::TcpStream;

use crossfade_testkit::message::{Kind, Reader};
use serde_json::Value;

pub(crate) const EXTENSION: &str = "/2020-01-01/extension/";

pub(crate) struct Api(Reader<TcpStream>);

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
