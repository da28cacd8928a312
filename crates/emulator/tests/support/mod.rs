//! An emulator around the scripted function, and what it tells.
#![allow(unreachable_pub, reason = "the tests beside it use it")]

pub mod cases;

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::path::PathBuf;

use crossfade_emulator::{
    Action, Emulator, Endpoint, Exchange, Function, Listener, Notice, Rule, Settings, StartError, TargetGroup,
    Transforms, start,
};
use crossfade_event::HeaderMode;
use crossfade_rule::Condition;
pub use crossfade_testkit::{
    client::{self, Client, Response},
    wait::{PATIENCE, eventually},
};
use http::StatusCode;
use tokio::runtime::Runtime;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

pub struct Alb {
    runtime: Runtime,
    emulator: Option<Emulator>,
    notices: UnboundedReceiver<Notice>,
    seen: VecDeque<Notice>,
    pub address: SocketAddr,
}

pub fn scripted_function() -> Vec<String> {
    example("scripted_function")
}

/// An example, which cargo builds along with the tests.
pub fn example(name: &str) -> Vec<String> {
    let mut path = std::env::current_exe().unwrap();
    path.pop();
    path.pop();
    let path: PathBuf = path.join("examples").join(name);
    assert!(path.exists(), "{} is missing: run `cargo build -p crossfade-emulator --examples`", path.display());
    vec![path.to_str().unwrap().to_owned()]
}

pub fn settings(mode: HeaderMode) -> Settings {
    let function = Function {
        timeout: PATIENCE,
        init_timeout: PATIENCE,
        max_concurrency: 10,
        ..Function::new("scripted", scripted_function())
    };
    Settings::forward_all(mode, function)
}

/// The target group of [`settings`], and the one that [`Alb::with_rules`] adds.
pub const SINGLE: usize = 0;
pub const MULTI: usize = 1;

/// A rule that forwards to the first target group.
pub fn rule(priority: u32, conditions: Vec<Condition>) -> Rule {
    let (transforms, action) = (Transforms::default(), Action::forward_to(0));
    Rule { priority, conditions, transforms, action, origin: String::new() }
}

/// With one listener that stands in for this front end, in front of the scripted function.
pub fn endpoint(endpoint: Endpoint) -> Settings {
    let mut settings = settings(HeaderMode::Single);
    settings.listeners = vec![Listener::endpoint(endpoint)];
    settings
}

pub fn single() -> Alb {
    Alb::start(settings(HeaderMode::Single))
}

pub fn multi() -> Alb {
    Alb::start(settings(HeaderMode::Multi))
}

/// With this in the variable `SCRIPT`.
pub fn scripted(script: &str) -> Settings {
    let mut settings = settings(HeaderMode::Single);
    settings.functions[0].env.push(("SCRIPT".to_owned(), script.to_owned()));
    settings
}

impl Alb {
    pub fn start(settings: Settings) -> Self {
        let runtime = Runtime::new().unwrap();
        let (sender, notices) = unbounded_channel();
        let emulator = runtime.block_on(start(settings, sender)).unwrap();
        let address = emulator.local_addr();
        Self { runtime, emulator: Some(emulator), notices, seen: VecDeque::new(), address }
    }

    /// Rules that forward to the target groups [`SINGLE`] and [`MULTI`] of one function.
    pub fn with_rules(rules: Vec<Rule>) -> Self {
        let mut settings = settings(HeaderMode::Single);
        settings.target_groups.push(TargetGroup::new("scripted", HeaderMode::Multi, Some(0)));
        settings.listeners[0].rules = rules;
        settings.listeners[0].default_action = Action::status(StatusCode::NOT_FOUND);
        Self::start(settings)
    }

    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }

    pub fn emulator(&self) -> &Emulator {
        self.emulator.as_ref().unwrap()
    }

    pub fn connect(&self) -> Client {
        Client::connect(self.address)
    }

    /// One request on a connection of its own.
    pub fn send(&self, request: impl AsRef<[u8]>) -> Response {
        client::send(self.address, request)
    }

    /// A GET with the given fields, each line with its CR LF.
    pub fn get(&self, target: &str, fields: &str) -> Response {
        self.send(format!("GET {target} HTTP/1.1\r\nHost: shop.example.com\r\n{fields}\r\n"))
    }

    /// The next notice that the function takes from, in order; those of no interest stay for later questions.
    pub fn notice<T>(&mut self, wanted: impl Fn(&Notice) -> Option<T>) -> T {
        if let Some((index, found)) = self.seen.iter().enumerate().find_map(|(i, notice)| Some((i, wanted(notice)?))) {
            self.seen.remove(index);
            return found;
        }
        loop {
            let next = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, self.notices.recv()).await });
            let notice = next.expect("the notice did not come").expect("the emulator is gone");
            if let Some(found) = wanted(&notice) {
                return found;
            }
            self.seen.push_back(notice);
        }
    }

    pub fn exchange(&mut self) -> Exchange {
        self.notice(|notice| match notice {
            Notice::Exchange(exchange) => Some((**exchange).clone()),
            _ => None,
        })
    }

    pub fn exited(&mut self) -> (u32, String) {
        self.notice(|notice| match notice {
            Notice::Exited { environment, status, .. } => Some((*environment, status.clone())),
            _ => None,
        })
    }

    /// The next output line of the function or an extension that begins so: the rest of it.
    pub fn line(&mut self, start: &str) -> String {
        self.notice(|notice| match notice {
            Notice::FunctionLine { line, .. } => line.strip_prefix(start).map(str::to_owned),
            _ => None,
        })
    }

    pub fn warning(&mut self) -> String {
        self.notice(|notice| match notice {
            Notice::Warning { text, .. } => Some(text.clone()),
            _ => None,
        })
    }

    /// Returns whether such a notice has arrived.
    pub fn has_seen(&mut self, wanted: impl Fn(&Notice) -> bool) -> bool {
        while let Ok(notice) = self.notices.try_recv() {
            self.seen.push_back(notice);
        }
        self.seen.iter().any(wanted)
    }

    /// Sends requests side by side and gives their statuses.
    pub fn at_once(&self, count: usize, target: &str) -> Vec<u16> {
        std::thread::scope(|scope| {
            let threads: Vec<_> = (0..count).map(|_| scope.spawn(|| self.get(target, "").status)).collect();
            threads.into_iter().map(|thread| thread.join().unwrap()).collect()
        })
    }

    /// Status, `elb_reason` and problem of the last exchange, for one assertion.
    pub fn outcome(&mut self) -> (u16, String, String) {
        let exchange = self.exchange();
        (exchange.status, exchange.elb_reason.unwrap_or_default(), exchange.problem.unwrap_or_default())
    }

    /// As a program that ends without caring, its runtime included.
    pub fn drop_without_shutdown(mut self) {
        drop(self.emulator.take());
    }

    pub fn reload(&mut self, settings: Settings) {
        self.try_reload(settings).unwrap();
    }

    pub fn try_reload(&mut self, settings: Settings) -> Result<(), StartError> {
        let emulator = self.emulator.as_mut().unwrap();
        self.runtime.block_on(emulator.reload(settings))
    }

    pub fn addresses(&self) -> Vec<SocketAddr> {
        self.emulator.as_ref().unwrap().local_addrs().to_vec()
    }

    pub fn shutdown(&mut self) {
        let emulator = self.emulator.take().unwrap();
        self.runtime.block_on(async { tokio::time::timeout(PATIENCE, emulator.shutdown()).await }).unwrap();
    }
}

impl Drop for Alb {
    fn drop(&mut self) {
        if let Some(emulator) = self.emulator.take() {
            let _ = self.runtime.block_on(async { tokio::time::timeout(PATIENCE, emulator.shutdown()).await });
        }
    }
}

/// Returns whether a process with this ID exists and is not a zombie.
pub fn is_alive(pid: u64) -> bool {
    !matches!(state_of(pid), None | Some('Z'))
}

/// As in proc(5): `S` sleeping, `T` stopped, `Z` zombie.
pub fn state_of(pid: u64) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ")?.1.chars().next()
}
