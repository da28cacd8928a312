//! A Lambda function for the tests, which does what the request asks for.
//!
//! By path: `/crash`, `/error`, `/huge`, `/big/<bytes>`, `/big-fields/<bytes>`, `/streaming`, `/sleep/<ms>`,
//! `/slow-next/<ms>` (answers, then lingers), `/exit-after` (answers, then ends), `/post/<case>` (misuses the Runtime
//! API and reports the statuses that it got), `/env`, `/child` (starts a process and tells its id),
//! `/memory/<MiB>/<ms>` (uses so much for so long), `/directory`, `/register-late`, `/init-error-late`, else the event
//! as text. A field `x-reply` is posted as it is, a field `x-stream` is the script of a streamed response. By the variable `SCRIPT`: `init-error`, `exit`, `silent`, each also
//! with `-once` (the first time; later ones see the file `ONCE`), `init-memory`, `internal` (has an internal
//! extension), `internal-invoke` (which asks for INVOKE), `registrations` (registers in all wrong ways).
#![expect(clippy::unwrap_used, reason = "a failed unwrap is a crash, which the tests see")]

mod api;

use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use api::{Answer, Api, EXTENSION, Piece};
use serde_json::{Value, json};

static SERVED: AtomicU32 = AtomicU32::new(0);

fn main() {
    let script = std::env::var("SCRIPT").unwrap_or_default();
    println!("starting with SCRIPT={script}");
    let mut api = Api::connect();
    match script.as_str() {
        "init-error" => init_error(&mut api),
        "init-error-once" if is_first() => init_error(&mut api),
        "exit" => std::process::exit(7),
        "exit-once" if is_first() => std::process::exit(7),
        "silent" => std::thread::sleep(Duration::from_secs(600)),
        "silent-once" if is_first() => std::thread::sleep(Duration::from_secs(600)),
        "init-memory" => {
            let block = vec![1_u8; 200 << 20];
            std::thread::sleep(Duration::from_secs(600));
            drop(block);
        }
        "internal" => internal(&mut api, "scripted-internal", &[]),
        "internal-invoke" => internal(&mut api, "scripted-internal", &["INVOKE"]),
        "registrations" => registrations(&mut api),
        _ => {}
    }
    let workers = std::env::var("AWS_LAMBDA_MAX_CONCURRENCY").map_or(1, |count| count.parse().unwrap());
    for _ in 1..workers {
        std::thread::spawn(|| work(&mut Api::connect()));
    }
    work(&mut api);
}

fn work(api: &mut Api) {
    loop {
        let next = api.call("GET", "invocation/next", &[], b"");
        assert_eq!(next.status, 200);
        serve(api, &next, SERVED.fetch_add(1, Ordering::Relaxed) + 1);
    }
}

/// A field, or its first value.
fn text_of(field: &Value) -> Option<&str> {
    field.as_str().or(field[0].as_str())
}

/// Streams a response: `type`, `prelude`, `pieces` (a number is a pause in ms, `EXIT` ends the process, `[text, count]` is
/// the text so often), `error`.
fn stream(api: &mut Api, path: &str, script: &str) {
    let script: Value = serde_json::from_str(script).unwrap();
    let content_type = script["type"].as_str().unwrap_or("application/vnd.awslambda.http-integration-response");
    let mut blocks = Vec::new();
    if !script["prelude"].is_null() {
        blocks.push(Block::Data(format!("{}\0\0\0\0\0\0\0\0", script["prelude"]).into_bytes()));
    }
    for piece in script["pieces"].as_array().unwrap() {
        match (piece.as_str(), piece.as_u64()) {
            (Some("EXIT"), _) => blocks.push(Block::Exit),
            (Some(text), _) => blocks.push(Block::Data(text.as_bytes().to_vec())),
            (_, Some(pause)) => blocks.push(Block::Pause(pause)),
            _ => {
                let text = piece[0].as_str().unwrap();
                blocks.extend((0..piece[1].as_u64().unwrap()).map(|_| Block::Data(text.repeat(1024).into_bytes())));
            }
        }
    }
    let pieces: Vec<Piece<'_>> = blocks
        .iter()
        .map(|block| match block {
            Block::Data(data) => Piece::Data(data),
            Block::Pause(ms) => Piece::Pause(*ms),
            Block::Exit => Piece::Exit,
        })
        .collect();
    // `{"errorType":"Odd","errorMessage":"it broke off"}`
    let body = "eyJlcnJvclR5cGUiOiJPZGQiLCJlcnJvck1lc3NhZ2UiOiJpdCBicm9rZSBvZmYifQ==";
    let trailers = match script["error"].as_bool() {
        Some(true) => {
            format!("lambda-runtime-function-error-type: Odd\r\nlambda-runtime-function-error-body: {body}\r\n")
        }
        _ => String::new(),
    };
    let answer = api.stream(path, content_type, &pieces, &trailers);
    println!("streamed: {}", answer.summary());
}

enum Block {
    Data(Vec<u8>),
    Pause(u64),
    Exit,
}

/// Returns whether this is the first process of its test; each leaves a file.
fn is_first() -> bool {
    let file = std::env::var("ONCE").unwrap();
    !Path::new(&file).exists() && std::fs::write(file, "").is_ok()
}

fn init_error(api: &mut Api) {
    let error = br#"{"errorType":"Config.Missing","errorMessage":"no back end\nconfigured"}"#;
    assert_eq!(api.call("POST", "init/error", &[], error).status, 202);
    std::process::exit(1);
}

/// An internal extension: a thread that requests events and prints them.
fn internal(api: &mut Api, name: &str, events: &[&str]) {
    let registered = api.register(name, events);
    assert_eq!(registered.status, 200);
    let id = registered.field("lambda-extension-identifier");
    let (asks, asked) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut api = Api::connect();
        asks.send(()).unwrap();
        loop {
            let fields = [("lambda-extension-identifier", id.as_str())];
            let next = api.call("GET", &format!("{EXTENSION}event/next"), &fields, b"");
            println!("internal event: {}", String::from_utf8(next.body).unwrap());
        }
    });
    asked.recv().unwrap();
}

/// Registers in all ways that are rejected, and once more when it is too late; prints the responses in one line.
fn registrations(api: &mut Api) {
    let path = format!("{EXTENSION}register");
    let id_fields = |id: &'static str| [("lambda-extension-identifier", id)];
    let mut answers = vec![
        api.register("a", &["SHUTDOWN"]).summary(),
        api.register("a", &["OTHER"]).summary(),
        api.call("POST", &path, &[], b"{}").summary(),
        api.call("POST", &path, &[("lambda-extension-name", "a")], b"[").summary(),
        api.call("GET", &format!("{EXTENSION}event/next"), &[], b"").summary(),
        api.call("GET", &format!("{EXTENSION}event/next"), &id_fields("x"), b"").summary(),
        api.call("GET", &format!("{EXTENSION}event/next"), &id_fields("00000000-0000-4000-8000-000000000000"), b"")
            .summary(),
        api.call("POST", &format!("{EXTENSION}other"), &[], b"").summary(),
    ];
    for number in 0..11 {
        let registered = api.register(&format!("internal-{number}"), &[]);
        if number == 0 {
            answers.push(api.register("internal-0", &[]).summary());
        }
        match registered.status {
            200 => {
                let id = registered.field("lambda-extension-identifier");
                std::thread::spawn(move || {
                    let fields = [("lambda-extension-identifier", id.as_str())];
                    Api::connect().call("GET", &format!("{EXTENSION}event/next"), &fields, b"")
                });
            }
            _ => answers.push(registered.summary()),
        }
    }
    println!("registrations: {}", answers.join(", "));
}

fn serve(api: &mut Api, next: &Answer, served: u32) {
    let id = next.field("lambda-runtime-aws-request-id");
    let invocation_id = next.field("lambda-runtime-invocation-id");
    let (response, error) = (format!("invocation/{id}/response"), format!("invocation/{id}/error"));
    let event: Value = serde_json::from_slice(&next.body).unwrap();
    let path = event["path"].as_str().or(event["rawPath"].as_str()).or(event["raw_path"].as_str()).unwrap();
    if let Some(script) = text_of(&event["headers"]["x-stream"]) {
        stream(api, &response, script);
        return;
    }
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
    if let Some(rest) = path.strip_prefix("/memory/") {
        let (size, pause) = rest.split_once('/').unwrap();
        let block = vec![1_u8; size.parse::<usize>().unwrap() << 20];
        std::thread::sleep(Duration::from_millis(pause.parse().unwrap()));
        assert_eq!(block.last(), Some(&1));
        println!("used {size} MiB");
    }
    let text = match path {
        "/register-late" => json!(api.register("late", &[]).summary()).to_string(),
        "/init-error-late" => json!(api.call("POST", "init/error", &[], b"").summary()).to_string(),
        "/directory" => json!(std::env::current_dir().unwrap()).to_string(),
        "/env" => serde_json::to_string(&std::env::vars().collect::<std::collections::BTreeMap<_, _>>()).unwrap(),
        "/pid" => json!({"pid": std::process::id(), "served": served}).to_string(),
        "/child" => {
            // `exec`: a shell that is stopped while its child begins would wait for that, and not show that it is
            // stopped.
            let command = "trap '' TERM; exec sleep 600";
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
    let fields = [&event["headers"]["x-reply"], &event["multiValueHeaders"]["x-reply"]];
    let reply = match fields.into_iter().find_map(text_of) {
        Some(reply) => reply.to_owned(),
        None if path.starts_with("/big-fields/") => {
            let length = path["/big-fields/".len()..].parse().unwrap();
            json!({"statusCode": 200, "headers": {"x-big": "x".repeat(length)}}).to_string()
        }
        None => json!({"statusCode": 200, family: {"content-type": content_type}, "body": text}).to_string(),
    };

    if let Some(case) = path.strip_prefix("/post/") {
        let mut statuses = Vec::new();
        let mut post = |path: &str, fields: &[(&str, &str)], body: &str| {
            statuses.push(api.call("POST", path, fields, body.as_bytes()).summary());
        };
        match case {
            "misuse" => {
                post("invocation/no-such-id/response", &[], "{}");
                post(&response, &[("lambda-runtime-invocation-id", "stale")], "{}");
                post(&error, &[("lambda-runtime-invocation-id", "stale")], "{}");
                let next = api.call("GET", "invocation/next", &[], b"");
                statuses.push(format!("{} next", next.status));
                let odd = [("lambda-runtime-function-response-mode", "odd")];
                statuses.push(api.call("POST", &response, &odd, b"{}").summary());
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
    let posted = api.call("POST", &response, &[("lambda-runtime-invocation-id", &invocation_id)], reply.as_bytes());
    match posted.status {
        202 => {}
        // On Managed Instances a process outlives an invocation that has timed out.
        410 => println!("late answer: {}", posted.summary()),
        status => panic!("{status}"),
    }
    if path == "/exit-after" {
        std::process::exit(0);
    }
    if let Some(pause) = number("/slow-next/") {
        std::thread::sleep(pause);
    }
}
