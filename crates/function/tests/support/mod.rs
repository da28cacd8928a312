//! The real `bootstrap` between a Runtime API of the testkit and whatever its environment names.

#![allow(dead_code, unreachable_pub, missing_debug_implementations, reason = "every test binary uses its own part")]
#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::net::SocketAddr;
use std::ops::Deref;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use crossfade_testkit::process::{Process, kept};
use crossfade_testkit::runtime_api::RuntimeApi;
#[allow(unused_imports, reason = "every test binary uses its own part")]
pub use crossfade_testkit::{
    event::event,
    folder::Folder,
    runtime_api::REQUEST_ID,
    server::{Call, Held, response, serve},
    wait::PATIENCE,
};
use serde_json::Value;

/// The function's process with its Runtime API.
pub struct Function {
    pub child: Process,
    api: RuntimeApi,
    log: Arc<Mutex<Vec<String>>>,
    errors: Arc<Mutex<Vec<String>>>,
}

impl Deref for Function {
    type Target = RuntimeApi;

    fn deref(&self) -> &RuntimeApi {
        &self.api
    }
}

impl Function {
    pub fn start(environment: &[(&str, &str)]) -> Function {
        Self::start_named("127.0.0.1:PORT", environment)
    }

    /// The same with another spelling of the Runtime API's address. `PORT` is replaced in it and in the values.
    pub fn start_named(runtime_api: &str, environment: &[(&str, &str)]) -> Function {
        let api = RuntimeApi::start();
        let port = api.address.port().to_string();
        let mut environment: Vec<_> =
            environment.iter().map(|(name, value)| (*name, value.replace("PORT", &port))).collect();
        environment.push(("AWS_LAMBDA_RUNTIME_API", runtime_api.replace("PORT", &port)));
        let environment: Vec<_> = environment.iter().map(|(name, value)| (*name, value.as_str())).collect();
        Self::start_process(api, &environment)
    }

    /// A process that is to fail before it asks for an event of the Runtime API at this address.
    pub fn start_with_api(address: SocketAddr, environment: &[(&str, &str)]) -> Function {
        let address = address.to_string();
        Self::start_process(RuntimeApi::start(), &[&[("AWS_LAMBDA_RUNTIME_API", &*address)], environment].concat())
    }

    fn start_process(api: RuntimeApi, environment: &[(&str, &str)]) -> Function {
        let mut child = Process::start(
            Command::new(env!("CARGO_BIN_EXE_bootstrap"))
                .env_clear()
                .env("LAMBDA_TASK_ROOT", "/nonexistent")
                .envs(environment.iter().copied())
                .stdout(Stdio::piped())
                .stderr(Stdio::piped()),
        );
        let log = kept(child.child.stdout.take().unwrap());
        let errors = kept(child.child.stderr.take().unwrap());
        Function { child, api, log, errors }
    }

    /// All that it has written so far, log and standard error.
    pub fn said(&self) -> String {
        [self.log.lock().unwrap().join("\n"), self.errors.lock().unwrap().join("\n")].join("\n")
    }

    /// The log lines, once there are so many of them; or as many as there are after a long wait.
    pub fn log(&self, count: usize) -> Vec<Value> {
        self.log_until(|lines| lines.len() >= count)
    }

    /// The log lines, once they are complete; or as many as there are after a long wait.
    pub fn log_until(&self, is_complete: impl Fn(&[Value]) -> bool) -> Vec<Value> {
        let end = Instant::now() + PATIENCE;
        loop {
            let lines = self.log.lock().unwrap().clone();
            let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
            if is_complete(&lines) || Instant::now() > end {
                return lines;
            }
            std::thread::sleep(std::time::Duration::from_millis(5));
        }
    }

    pub fn wait(&mut self) -> ExitStatus {
        self.child.wait()
    }
}
