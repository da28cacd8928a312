//! A Runtime API and a back end, each a few lines over blocking sockets, and the real `bootstrap` between them.
//!
//! Written apart from the emulator on purpose: a second opinion of what Lambda says on the wire.

#![allow(dead_code, unreachable_pub, missing_debug_implementations, reason = "every test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};

/// Nothing in these tests takes this long unless it hangs.
pub const PATIENCE: Duration = Duration::from_secs(20);

/// With a qualifier, as an alias has one.
const FUNCTION_ARN: &str = "arn:aws:lambda:eu-central-1:123456789012:function:shop:live";

/// One HTTP request as it came.
#[derive(Clone, Debug)]
pub struct Call {
    pub line: String,
    pub fields: Vec<(String, String)>,
    pub body: Vec<u8>,
    /// Which connection it came on, from 0.
    pub connection: usize,
}

impl Call {
    pub fn field(&self, name: &str) -> Option<&str> {
        self.fields.iter().find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.as_str())
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap()
    }
}

/// A server that hands every request to a function and writes what it returns.
pub fn serve(respond: impl Fn(Call) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let respond = Arc::new(respond);
    thread::spawn(move || {
        for (connection, stream) in listener.incoming().enumerate() {
            let (Ok(stream), respond) = (stream, respond.clone()) else { return };
            thread::spawn(move || {
                let mut reader = BufReader::new(stream.try_clone().unwrap());
                let mut writer: TcpStream = stream;
                while let Some(call) = read_call(&mut reader, connection) {
                    if writer.write_all(&respond(call)).is_err() {
                        return;
                    }
                }
            });
        }
    });
    address
}

fn read_call(reader: &mut BufReader<TcpStream>, connection: usize) -> Option<Call> {
    let mut line = String::new();
    reader.read_line(&mut line).ok().filter(|count| *count > 0)?;
    let mut fields = Vec::new();
    loop {
        let mut field = String::new();
        reader.read_line(&mut field).ok()?;
        let Some((name, value)) = field.trim_end().split_once(": ") else { break };
        fields.push((name.to_owned(), value.to_owned()));
    }
    let mut call = Call { line: line.trim_end().to_owned(), fields, body: Vec::new(), connection };
    call.body = vec![0; call.field("content-length").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut call.body).ok()?;
    Some(call)
}

pub fn response(status: &str, fields: &[(&str, &str)], body: &[u8]) -> Vec<u8> {
    let mut text = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n", body.len());
    for (name, value) in fields {
        text.push_str(&format!("{name}: {value}\r\n"));
    }
    text.push_str("\r\n");
    let mut bytes = text.into_bytes();
    bytes.extend_from_slice(body);
    bytes
}

/// The request id of invocations that need no other.
pub const REQUEST_ID: &str = "8476a536-e9f4-11e8-9739-2dfe598c3fcd";

/// What the Runtime API hands out at the next `next`.
pub struct Next {
    pub request_id: String,
    pub event: Vec<u8>,
    pub deadline: Duration,
    /// What it says to the reply.
    pub verdict: &'static str,
}

/// The function's process between a Runtime API and whatever its environment names.
pub struct Function {
    pub child: Child,
    pub runtime_api: SocketAddr,
    events: Sender<Next>,
    calls: Receiver<Call>,
    log: Arc<Mutex<Vec<String>>>,
    errors: Arc<Mutex<Vec<String>>>,
}

impl Function {
    pub fn start(environment: &[(&str, &str)]) -> Function {
        Self::start_named("127.0.0.1:PORT", environment)
    }

    /// The same with another spelling of the Runtime API's address. `PORT` is replaced in it and in the values.
    pub fn start_named(runtime_api: &str, environment: &[(&str, &str)]) -> Function {
        let (events, waiting) = channel::<Next>();
        let (posted, calls) = channel();
        let waiting = Mutex::new(waiting);
        let answers = Mutex::new((posted, "202 Accepted"));
        let address = serve(move |call| {
            if call.line == "GET /2018-06-01/runtime/invocation/next HTTP/1.1" {
                // Blocks as Lambda does; the sender is gone when the test is over.
                let Ok(next) = waiting.lock().unwrap().recv() else { return response("500 Over", &[], b"") };
                answers.lock().unwrap().1 = next.verdict;
                let deadline = SystemTime::now().duration_since(UNIX_EPOCH).unwrap() + next.deadline;
                let fields = [
                    ("Lambda-Runtime-Aws-Request-Id", next.request_id.as_str()),
                    ("Lambda-Runtime-Deadline-Ms", &deadline.as_millis().to_string()),
                    ("Lambda-Runtime-Invocation-Id", "invocation-7"),
                    ("Lambda-Runtime-Invoked-Function-Arn", FUNCTION_ARN),
                    ("Lambda-Runtime-Trace-Id", "Root=1-lambda;Parent=1;Sampled=0"),
                ];
                return response("200 OK", &fields, &next.event);
            }
            let answers = answers.lock().unwrap();
            let _ = answers.0.send(call);
            response(answers.1, &[], b"{\"status\":\"OK\"}")
        });
        let port = address.port().to_string();
        let named: Vec<_> = environment.iter().map(|(name, value)| (*name, value.replace("PORT", &port))).collect();
        let mut environment: Vec<_> = named.iter().map(|(name, value)| (*name, value.as_str())).collect();
        let runtime_api = runtime_api.replace("PORT", &port);
        environment.push(("AWS_LAMBDA_RUNTIME_API", &runtime_api));
        Self::start_process(address, &environment, events, calls)
    }

    /// A process that is to fail before it asks for an event of the Runtime API at this address.
    pub fn start_with_api(address: SocketAddr, environment: &[(&str, &str)]) -> Function {
        Self::start_process(address, environment, channel().0, channel().1)
    }

    fn start_process(
        address: SocketAddr,
        environment: &[(&str, &str)],
        events: Sender<Next>,
        calls: Receiver<Call>,
    ) -> Function {
        let mut child = Command::new(env!("CARGO_BIN_EXE_bootstrap"))
            .env_clear()
            .env("AWS_LAMBDA_RUNTIME_API", address.to_string())
            .env("LAMBDA_TASK_ROOT", "/nonexistent")
            .envs(environment.iter().copied())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let log = kept(child.stdout.take().unwrap());
        let errors = kept(child.stderr.take().unwrap());
        Function { child, runtime_api: address, events, calls, log, errors }
    }

    /// All that it has written so far, log and standard error.
    pub fn said(&self) -> String {
        [self.log.lock().unwrap().join("\n"), self.errors.lock().unwrap().join("\n")].join("\n")
    }

    pub fn give(&self, event: impl AsRef<[u8]>, deadline: Duration, verdict: &'static str) {
        let (request_id, event) = (REQUEST_ID.to_owned(), event.as_ref().to_vec());
        self.events.send(Next { request_id, event, deadline, verdict }).unwrap();
    }

    /// The same with a request id of its own, and a reply that is accepted.
    pub fn give_as(&self, request_id: &str, event: &Value, deadline: Duration) {
        let (request_id, event) = (request_id.to_owned(), event.to_string().into_bytes());
        self.events.send(Next { request_id, event, deadline, verdict: "202 Accepted" }).unwrap();
    }

    /// What the function posts next.
    pub fn posted(&self) -> Call {
        self.calls.recv_timeout(PATIENCE).expect("the function posts nothing")
    }

    pub fn invoke(&self, event: &Value) -> Call {
        self.give(event.to_string(), Duration::from_secs(10), "202 Accepted");
        self.posted()
    }

    /// The log lines, once there are so many of them.
    pub fn log(&self, count: usize) -> Vec<Value> {
        let deadline = SystemTime::now() + PATIENCE;
        loop {
            let lines = self.log.lock().unwrap().clone();
            if lines.len() >= count || SystemTime::now() > deadline {
                return lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
            }
            thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn wait(&mut self) -> ExitStatus {
        let deadline = SystemTime::now() + PATIENCE;
        while SystemTime::now() < deadline {
            if let Some(status) = self.child.try_wait().unwrap() {
                return status;
            }
            thread::sleep(Duration::from_millis(5));
        }
        panic!("the function does not end");
    }
}

impl Drop for Function {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The lines of a pipe, as they come.
fn kept(pipe: impl Read + Send + 'static) -> Arc<Mutex<Vec<String>>> {
    let lines = Arc::new(Mutex::new(Vec::new()));
    let kept = lines.clone();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            kept.lock().unwrap().push(line);
        }
    });
    lines
}

/// A back end that answers when the test says so. It hears of requests in their order.
pub struct Held {
    pub address: SocketAddr,
    pub asked: Receiver<Call>,
    release: Sender<()>,
}

impl Held {
    /// With this content type and content.
    pub fn start(content_type: &'static str, content: fn(&Call) -> String) -> Held {
        let (tell, asked) = channel();
        let (release, released) = channel::<()>();
        let (tell, released) = (Mutex::new(tell), Mutex::new(released));
        let address = serve(move |call| {
            let content = content(&call);
            let _ = tell.lock().unwrap().send(call);
            let _ = released.lock().unwrap().recv();
            response("200 OK", &[("content-type", content_type)], content.as_bytes())
        });
        Held { address, asked, release }
    }

    pub fn asked(&self) -> Call {
        self.asked.recv_timeout(PATIENCE).expect("the back end is not asked")
    }

    /// Answers so many requests, also some to come.
    pub fn release(&self, count: usize) {
        (0..count).for_each(|_| self.release.send(()).unwrap());
    }
}

/// An event of an ALB in single-value mode.
pub fn event(method: &str, path: &str) -> Value {
    json!({
        "requestContext": { "elb": { "targetGroupArn": "arn" } },
        "httpMethod": method,
        "path": path,
        "queryStringParameters": {},
        "headers": { "host": "www.example.com", "x-forwarded-for": "203.0.113.7", "x-amzn-trace-id": "Root=1-alb" },
        "body": "",
        "isBase64Encoded": false
    })
}
