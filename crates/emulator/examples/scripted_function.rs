//! A Lambda function for the tests: a Runtime API client on the standard library alone, which does what the request asks for.
//!
//! By path: `/crash`, `/error`, `/huge`, `/big/<bytes>`,
//! `/big-fields/<bytes>`, `/streaming`, `/sleep/<ms>`, `/slow-next/<ms>` (answers, then lingers), `/exit-after`
//! (answers, then ends), `/post/<case>` (misuses the Runtime API and reports the statuses that it got), `/env`, `/child`
//! (starts a process and tells its id), else the event as text. A field `x-reply` is posted as it is. By the variable
//! `SCRIPT`: `init-error`, `exit`, `silent`, `stubborn` (ignores SIGTERM as far as a process without signal handlers can: a
//! child of it does).
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a crash, which the tests see")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::{Value, json};

struct Api {
    stream: BufReader<TcpStream>,
    host: String,
}

struct Answer {
    status: u16,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Api {
    fn call(&mut self, method: &str, path: &str, fields: &[(&str, &str)], body: &[u8]) -> Answer {
        let mut head = format!("{method} /2018-06-01/runtime/{path} HTTP/1.1\r\nhost: {}\r\n", self.host);
        for (name, value) in fields {
            head += &format!("{name}: {value}\r\n");
        }
        head += &format!("content-length: {}\r\n\r\n", body.len());
        let stream = self.stream.get_mut();
        stream.write_all(head.as_bytes()).unwrap();
        stream.write_all(body).unwrap();
        self.read()
    }

    fn read(&mut self) -> Answer {
        let mut line = String::new();
        self.stream.read_line(&mut line).unwrap();
        let status = line.split(' ').nth(1).unwrap().parse().unwrap();
        let mut fields = Vec::new();
        loop {
            line.clear();
            self.stream.read_line(&mut line).unwrap();
            match line.trim_end().split_once(": ") {
                Some((name, value)) => fields.push((name.to_owned(), value.to_owned())),
                None => break,
            }
        }
        let mut answer = Answer { status, fields, body: Vec::new() };
        answer.body = vec![0; answer.field("content-length").parse().unwrap()];
        self.stream.read_exact(&mut answer.body).unwrap();
        answer
    }
}

impl Answer {
    fn field(&self, name: &str) -> String {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone()).unwrap_or_default()
    }
}

fn main() {
    let script = std::env::var("SCRIPT").unwrap_or_default();
    println!("starting with SCRIPT={script}");
    let host = std::env::var("AWS_LAMBDA_RUNTIME_API").unwrap();
    let stream = TcpStream::connect(&host).unwrap();
    stream.set_nodelay(true).unwrap();
    let mut api = Api { stream: BufReader::new(stream), host };
    match script.as_str() {
        "init-error" => {
            let error = br#"{"errorType":"Config.Missing","errorMessage":"no back end\nconfigured"}"#;
            assert_eq!(api.call("POST", "init/error", &[], error).status, 202);
            std::process::exit(1);
        }
        "exit" => std::process::exit(7),
        "silent" => std::thread::sleep(Duration::from_secs(600)),
        _ => {}
    }
    let mut served = 0;
    loop {
        let next = api.call("GET", "invocation/next", &[], b"");
        assert_eq!(next.status, 200);
        served += 1;
        serve(&mut api, &next, served);
    }
}

fn serve(api: &mut Api, next: &Answer, served: u32) {
    let id = next.field("lambda-runtime-aws-request-id");
    let invocation_id = next.field("lambda-runtime-invocation-id");
    let (response, error) = (format!("invocation/{id}/response"), format!("invocation/{id}/error"));
    let event: Value = serde_json::from_slice(&next.body).unwrap();
    let path = event["path"].as_str().unwrap();
    let number = |prefix: &str| path.strip_prefix(prefix).map(|rest| Duration::from_millis(rest.parse().unwrap()));

    if path == "/crash" {
        eprintln!("crashing");
        std::process::exit(3);
    }
    if path == "/error" {
        let body = br#"{"errorType":"Function.Odd","errorMessage":"it went wrong"}"#;
        assert_eq!(api.call("POST", &error, &[("lambda-runtime-invocation-id", &invocation_id)], body).status, 202);
        return;
    }
    if path == "/huge" {
        assert_eq!(api.call("POST", &response, &[], &vec![b'x'; 7_000_000]).status, 413);
        return;
    }
    if path == "/streaming" {
        let fields = [("lambda-runtime-function-response-mode", "streaming")];
        assert_eq!(api.call("POST", &response, &fields, b"{}\0\0\0\0\0\0\0\0body").status, 202);
        return;
    }
    if let Some(pause) = number("/sleep/") {
        std::thread::sleep(pause);
    }
    let text = match path {
        "/env" => serde_json::to_string(&std::env::vars().collect::<std::collections::BTreeMap<_, _>>()).unwrap(),
        "/pid" => json!({"pid": std::process::id(), "served": served}).to_string(),
        "/child" => {
            let command = "trap '' TERM; sleep 600";
            let mut child = std::process::Command::new("sh").args(["-c", command]).spawn().unwrap();
            let answer = json!({"pid": std::process::id(), "child": child.id()}).to_string();
            std::thread::spawn(move || child.wait());
            answer
        }
        "/invocation" => {
            let fields: serde_json::Map<String, Value> =
                next.fields.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
            Value::Object(fields).to_string()
        }
        _ => event.to_string(),
    };
    let text = match number("/big/") {
        Some(size) => "x".repeat(size.as_millis() as usize),
        None => text,
    };
    let family = if event.get("headers").is_some() { "headers" } else { "multiValueHeaders" };
    let content_type = if family == "headers" { json!("application/json") } else { json!(["application/json"]) };
    let reply = match (&event["headers"]["x-reply"], &event["multiValueHeaders"]["x-reply"][0]) {
        (Value::String(reply), _) | (_, Value::String(reply)) => reply.clone(),
        _ if path.starts_with("/big-fields/") => {
            let length = path["/big-fields/".len()..].parse().unwrap();
            json!({"statusCode": 200, "headers": {"x-big": "x".repeat(length)}}).to_string()
        }
        _ => json!({"statusCode": 200, family: {"content-type": content_type}, "body": text}).to_string(),
    };

    if let Some(case) = path.strip_prefix("/post/") {
        let mut statuses = Vec::new();
        let mut post = |path: &str, fields: &[(&str, &str)], body: &str| {
            let answer = api.call("POST", path, fields, body.as_bytes());
            let kind: Value = serde_json::from_slice(&answer.body).unwrap();
            statuses.push(format!("{} {}", answer.status, kind["errorType"].as_str().unwrap_or("ok")));
        };
        match case {
            "misuse" => {
                post("invocation/no-such-id/response", &[], "{}");
                post(&response, &[("lambda-runtime-invocation-id", "stale")], "{}");
                post(&error, &[("lambda-runtime-invocation-id", "stale")], "{}");
                let next = api.call("GET", "invocation/next", &[], b"");
                statuses.push(format!("{} next", next.status));
                let text = json!(statuses).to_string();
                let reply = json!({"statusCode": 200, "body": text}).to_string();
                api.call("POST", &response, &[("lambda-runtime-invocation-id", &invocation_id)], reply.as_bytes());
            }
            _ => {
                post(&response, &[], &reply);
                post(&response, &[], &reply);
                post(&error, &[("lambda-runtime-invocation-id", &invocation_id)], "{}");
                println!("late answers: {}", statuses.join(", "));
            }
        }
        return;
    }
    assert_eq!(
        api.call("POST", &response, &[("lambda-runtime-invocation-id", &invocation_id)], reply.as_bytes()).status,
        202
    );
    if path == "/exit-after" {
        std::process::exit(0);
    }
    if let Some(pause) = number("/slow-next/") {
        std::thread::sleep(pause);
    }
}
