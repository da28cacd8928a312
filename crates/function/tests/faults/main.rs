//! Back ends that fail in every way, the real `bootstrap` before them, and `docs/faults.md`: what clients get for it.
//!
//! The cases are in `cases.rs`. For each: status, `Proxy-Status`, content, the deadline, the log, how often the request
//! was sent, and that the next requests of the same environment are right. `BLESS=1` writes the page.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod back_end;
mod cases;
#[cfg(target_os = "linux")]
mod names;
#[path = "../support/mod.rs"]
mod support;

use std::net::SocketAddr;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use crossfade_testkit::origin::{Origin, silent};
use crossfade_testkit::tests;
use crossfade_testkit::tools;
use crossfade_testkit::wait::eventually;
use serde_json::{Value, json};
use tokio::net::{TcpListener, TcpSocket, TcpStream};
use tokio::runtime::Runtime;

use back_end::{Stage, WEAK_AUTHORITIES};
use cases::{Case, When};
use support::{Call, Folder, Function, event};

/// Cases at a time: most of them wait.
const WORKERS: usize = 12;

/// For what cannot be answered; everything else has time to spare.
const SHORT: Duration = Duration::from_secs(2);
const LONG: Duration = Duration::from_secs(15);

fn main() -> ExitCode {
    #[cfg(target_os = "linux")]
    if std::env::args().any(|argument| argument == names::INSIDE) {
        names::inside();
        return ExitCode::SUCCESS;
    }
    #[cfg_attr(not(target_os = "linux"), expect(unused_mut, reason = "names need namespaces of Linux"))]
    let mut all = tests! { [] every_fault_has_its_answer_and_leaves_no_trace; };
    #[cfg(target_os = "linux")]
    all.extend(tests! { [names::NAMESPACE] names::every_fault_of_a_name_server_has_its_answer; });
    tools::run(all)
}

fn every_fault_has_its_answer_and_leaves_no_trace() {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    let cases = cases::all();
    let waiting = Mutex::new(cases.iter().enumerate());
    let rows = Mutex::new(vec![String::new(); cases.len()]);
    let wrong = Mutex::new(Vec::new());
    thread::scope(|scope| {
        for _ in 0..WORKERS {
            scope.spawn(|| {
                loop {
                    let next = waiting.lock().unwrap().next();
                    let Some((index, case)) = next else { return };
                    match catch_unwind(AssertUnwindSafe(|| run(case, &runtime))) {
                        Ok(row) => rows.lock().unwrap()[index] = row,
                        Err(_) => wrong.lock().unwrap().push(case.fault),
                    }
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{} of {} cases: {wrong:#?}", wrong.len(), cases.len());
    compare_page(Some(&rows.into_inner().unwrap().concat()), None);
}

/// The row of the page.
fn run(case: &'static Case, runtime: &Runtime) -> String {
    let name = case.fault;
    let mut set = runtime.block_on(Set::up(case));
    if case.when == When::Idle {
        set.stage.arm();
    }
    if case.kept {
        assert_eq!(set.ask_well("first"), "first", "{name}");
        // What a back end does with an idle connection is done, and has arrived.
        eventually("the fault of the idle connection", || set.stage.is_set());
        thread::sleep(Duration::from_millis(100));
    }
    runtime.block_on(set.break_down());

    set.stage.set_marker("good answer");
    let served_before = set.stage.served().len();
    let limit = if case.status == 504 { SHORT } else { LONG };
    let held_up = held_up(&set.function);
    let posted = set.ask(case.method, limit);
    let held_up = self::held_up(&set.function) - held_up;
    let reply = posted.json();
    assert!(posted.line.ends_with("/response HTTP/1.1"), "{name}: {}", posted.line);
    // The start warns of what a configuration gives up.
    let before = usize::from(case.kept) + usize::from(case.keys.contains("allowMissingCloseNotify"));
    let log = set.function.log(1 + before);
    let line = &log[before];
    let took = Duration::from_secs_f64(line["total_ms"].as_f64().unwrap() / 1000.0);
    assert!(
        took < limit + held_up,
        "{name}: the answer came after the deadline, in {took:?}, {held_up:?} of it without a CPU"
    );
    let proxy_status = reply["headers"]["proxy-status"].as_str().unwrap_or("");
    let error = proxy_status.strip_prefix("crossfade; error=").unwrap_or(proxy_status);
    assert_eq!((&reply["statusCode"], error), (&json!(case.status), case.error), "{name}: {reply} {line}");
    assert_eq!(reply["body"], content(case), "{name}");

    assert_eq!(line["status"], case.status, "{name}: {line}");
    assert_eq!(
        line["error"].as_str(),
        case.error.split(';').next().filter(|error| !error.is_empty()),
        "{name}: {line}"
    );
    assert!(line["detail"].as_str().unwrap_or("").starts_with(case.detail), "{name}: {line}");
    assert!(line["detail"].is_string() == line["error"].is_string(), "{name}: {line}");
    assert_eq!(line["attempts"], case.sent, "{name}: {line}");
    let reached = set.stage.served();
    let may_repeat = case.method != "POST" || case.status == 200;
    assert!(may_repeat || reached.len() <= served_before + 1, "{name}: the back end had it {reached:?}");

    runtime.block_on(set.mend());
    for marker in ["second", "third", "fourth"] {
        assert_eq!(set.ask_well(marker), marker, "{name}: the next request");
    }
    let served = set.stage.served();
    let next = served.len() - 3;
    let next_is_kept = next > 0 && served[next - 1] == served[next];
    assert_eq!(
        next_is_kept, case.next_kept,
        "{name}: whether the next request has a connection that was there: {served:?}"
    );
    for line in set.function.log(4 + before) {
        assert!(!line.to_string().contains("canary"), "{name}: {line}");
    }

    row(case.fault, case.status, proxy_status, case.sent > 1, next_is_kept)
}

fn row(fault: &str, status: u16, proxy_status: &str, is_sent_again: bool, next_is_kept: bool) -> String {
    let proxy_status = if proxy_status.is_empty() { String::new() } else { format!("`{proxy_status}`") };
    let again = if is_sent_again { "yes" } else { "no" };
    let connection = if next_is_kept { "correct, same connection" } else { "correct, new connection" };
    format!("| {fault} | {status} | {proxy_status} | {again} | {connection} |\n")
}

fn content(case: &Case) -> &str {
    match (case.status, case.body) {
        (_, "-") => "",
        (502, _) => "Bad Gateway\n",
        (504, _) => "Gateway Timeout\n",
        (_, "") => "good answer",
        (_, body) => body,
    }
}

/// A back end, a function before it, and what keeps the back end from its work.
struct Set {
    stage: std::sync::Arc<Stage>,
    origin: Origin,
    function: Function,
    case: &'static Case,
    /// The address of a back end that works.
    home: SocketAddr,
    /// A second address of it, on which it does not listen yet.
    other: Option<TcpSocket>,
    /// One where nobody ever listens.
    _closed: TcpSocket,
    /// Bound, and not listening yet; connections that fill the queue of a listener.
    held: Option<TcpSocket>,
    full: Option<(TcpListener, Vec<TcpStream>)>,
    _folder: Folder,
}

impl Set {
    async fn up(case: &'static Case) -> Set {
        let stage = Stage::new(case);
        let mut origin = back_end::origin(&stage);
        let [(own, home), (other, elsewhere), (nobody, closed)] = [bound(), bound(), bound()];
        let (mut held, mut full) = (None, None);
        match case.when {
            When::Refused => held = Some(own),
            When::Full => full = Some(fill(own, home).await),
            _ => origin.listen(own.listen(64).unwrap()),
        }
        let place = |text: &str, mute: SocketAddr| {
            let ports = [("PORT", home), ("OTHER", elsewhere), ("CLOSED", closed), ("MUTE", mute)];
            ports.iter().fold(text.to_owned(), |text, (name, address)| text.replace(name, &address.port().to_string()))
        };
        let mute = silent().await;
        let folder = Folder::new();
        let config = format!(
            "version: 1\nbackends:\n  legacy:\n    url: {}\n    {}\n  spare: https://localhost:{}\nroutes:\n  - name: spare\n    \
             priority: 1\n    conditions: {{ path: /spare }}\n    forward: spare\ndefault: {{ forward: legacy }}\n",
            place(case.url, mute),
            place(case.keys, mute).replace('\n', "\n    "),
            home.port()
        );
        let certificates = folder.write("ca.pem", [&origin.ca_pem, WEAK_AUTHORITIES[0], WEAK_AUTHORITIES[1]].concat());
        let config = folder.write("crossfade.yaml", config);
        let function = Function::start(&[("CROSSFADE_CONFIG", &config), ("SSL_CERT_FILE", &certificates)]);
        Set { stage, origin, function, case, home, other: Some(other), _closed: nobody, held, full, _folder: folder }
    }

    async fn break_down(&mut self) {
        match (self.case.when, self.other.take()) {
            (When::Moved, Some(other)) => {
                self.origin.stop().await;
                self.origin.listen(other.listen(64).unwrap());
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
            (When::Idle, _) => {}
            _ => self.stage.arm(),
        }
    }

    async fn mend(&mut self) {
        if let Some(held) = self.held.take() {
            self.origin.listen(held.listen(64).unwrap());
        }
        if let Some((listener, _)) = self.full.take() {
            self.origin.listen(listener);
        }
        assert!(self.case.when == When::Moved || self.origin.address.port() == self.home.port());
    }

    /// The answer to a request full of secrets.
    fn ask(&self, method: &str, limit: Duration) -> Call {
        let mut event = event(method, "/orders/7");
        event["queryStringParameters"] = json!({ "token": "canary-query" });
        event["headers"]["authorization"] = json!("Bearer canary-authorization");
        event["headers"]["cookie"] = json!("session=canary-cookie");
        if method == "POST" {
            event["body"] = json!("canary-body ".repeat(60_000));
        }
        self.function.give(event.to_string(), limit, "202 Accepted");
        self.function.posted()
    }

    /// The content of the answer to a request that must work.
    fn ask_well(&self, marker: &str) -> Value {
        self.stage.set_marker(marker);
        let path = if self.case.url.contains("PORT") { "/next" } else { "/spare" };
        let reply = self.function.invoke(&event("GET", path)).json();
        assert_eq!(reply["statusCode"], 200, "{}: {reply}", self.case.fault);
        reply["body"].clone()
    }
}

/// The time that the function's thread has waited for a CPU while other threads had them. Known on Linux only.
fn held_up(function: &Function) -> Duration {
    let statistics = std::fs::read_to_string(format!("/proc/{}/schedstat", function.child.id())).unwrap_or_default();
    let nanoseconds = statistics.split(' ').nth(1).and_then(|waited| waited.parse().ok());
    Duration::from_nanos(nanoseconds.unwrap_or_default())
}

/// A port of ours where nobody listens yet.
fn bound() -> (TcpSocket, SocketAddr) {
    let socket = TcpSocket::new_v4().unwrap();
    socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
    let address = socket.local_addr().unwrap();
    (socket, address)
}

/// A listener that has no room for another connection, and what fills it.
async fn fill(socket: TcpSocket, address: SocketAddr) -> (TcpListener, Vec<TcpStream>) {
    let listener = socket.listen(1).unwrap();
    let mut waiting = Vec::new();
    while let Ok(connected) = tokio::time::timeout(Duration::from_millis(300), TcpStream::connect(address)).await {
        waiting.push(connected.unwrap());
    }
    (listener, waiting)
}

/// Compares the page with these rows; a part that is not given stays as it is.
fn compare_page(rows: Option<&str>, names: Option<&str>) {
    /// Each test writes its part of one file.
    static PAGE: Mutex<()> = Mutex::new(());
    let _alone = PAGE.lock().unwrap_or_else(PoisonError::into_inner);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/faults.md");
    let written = std::fs::read_to_string(&path).unwrap_or_default();
    let (before, rest) = include_str!("page.md").split_once("ROWS\n").unwrap();
    let (between, after) = rest.split_once("NAMES\n").unwrap();
    let parts = written.strip_prefix(before).and_then(|rest| rest.strip_suffix(after));
    let (written_rows, written_names) = parts.and_then(|rest| rest.split_once(between)).unwrap_or_default();
    let page = [before, rows.unwrap_or(written_rows), between, names.unwrap_or(written_names), after].concat();
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(path, page).unwrap();
        return;
    }
    for (written, expected) in written.lines().zip(page.lines()) {
        assert_eq!(written, expected, "docs/faults.md differs; `BLESS=1` writes it");
    }
    assert_eq!(written.len(), page.len(), "docs/faults.md differs; `BLESS=1` writes it");
}
