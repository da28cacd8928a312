//! A live migration from the first shadow request to the last user, with real processes: the load balancer and the function of
//! `crossfade dev`, the commands, and another environment of the function that gets the alarm. The file is never edited.

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Instant, SystemTime};

use crossfade_testkit::client;
use crossfade_testkit::process::{Process, kept};
use crossfade_testkit::runtime_api::RuntimeApi;
use crossfade_testkit::server::{Call, response, serve};
use crossfade_testkit::wait::PATIENCE;
use serde_json::{Value, json};

use crate::support::Dev;

const CUSTOMERS: usize = 200;
const LOG: &str = "function.log";
const LIVE: &str = "file:live.json";

/// A system that answers like the other one, and can break.
struct System {
    url: String,
    is_broken: Arc<AtomicBool>,
    /// The customers that it answered; shadow requests are not theirs.
    answered: Arc<Mutex<Vec<usize>>>,
}

impl System {
    fn start() -> System {
        let (is_broken, answered) = (Arc::new(AtomicBool::new(false)), Arc::new(Mutex::new(Vec::new())));
        let (broken, customers) = (is_broken.clone(), answered.clone());
        let address = serve(move |call: Call| {
            if broken.load(Ordering::SeqCst) {
                return response("503 Service Unavailable", &[], b"");
            }
            let customer: Option<usize> =
                call.field("cookie").and_then(|cookie| cookie.strip_prefix("customer_id=")?.parse().ok());
            if call.field("x-crossfade-mirror").is_none() {
                customers.lock().unwrap().extend(customer);
            }
            let body = json!({ "order": call.target() }).to_string();
            response("200 OK", &[("content-type", "application/json")], body.as_bytes())
        });
        System { url: format!("http://{address}"), is_broken, answered }
    }

    fn breaks(&self, is_broken: bool) {
        self.is_broken.store(is_broken, Ordering::SeqCst);
    }

    fn take(&self) -> BTreeSet<usize> {
        self.answered.lock().unwrap().drain(..).collect()
    }
}

struct Shop {
    dev: Dev,
    folder: tempfile::TempDir,
    legacy: System,
    modern: System,
}

impl Shop {
    fn open() -> Shop {
        let (legacy, modern) = (System::start(), System::start());
        let folder = tempfile::tempdir().unwrap();
        let config = format!(
            "version: 1
backends:
  legacy: {{ url: '{}' }}
  modern: {{ url: '{}' }}
routes:
  - name: orders
    priority: 10
    conditions: {{ path: /orders/* }}
    forward:
      targets: [legacy, {{ backend: modern, weight: 0 }}]
      sticky: {{ by: {{ cookie: customer_id }}, otherwise: legacy }}
      failover: {{ to: legacy }}
    mirror: {{ backend: modern, percent: 100 }}
default: {{ forward: legacy }}
migration:
  from: legacy
  to: modern
  steps: [10%, 50%, 100%]
  bake: 1s
  samples: 10
  guard: 'parity>=99%, errors<=+1%'
  alarms: [shop-errors]
",
            legacy.url, modern.url
        );
        std::fs::write(folder.path().join("crossfade.yaml"), config).unwrap();
        let dev = Dev::start_in(folder.path(), &["--config", "crossfade.yaml", "--live", LIVE, "--log", LOG]);
        Shop { dev, folder, legacy, modern }
    }

    /// Every customer orders. Returns those that the new system answered; each gets a response, whatever happens.
    fn on_modern(&self) -> BTreeSet<usize> {
        self.legacy.take();
        self.modern.take();
        for customer in 1..=CUSTOMERS {
            let request = format!(
                "GET /orders/{customer} HTTP/1.1\r\nhost: shop.example\r\ncookie: customer_id={customer}\r\nconnection: close\r\n\r\n"
            );
            let response = client::send(client::host(&self.dev.alb), request);
            assert_eq!(response.status, 200, "customer {customer}: {}", response.whole());
        }
        let (legacy, modern) = (self.legacy.take(), self.modern.take());
        assert_eq!(legacy.len() + modern.len(), CUSTOMERS, "each customer is with one system");
        modern
    }

    fn run(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command.current_dir(self.folder.path()).args(arguments).args(["--live", LIVE]).env("USER", "anna");
        command.stdin(Stdio::null()).output().unwrap()
    }

    /// Runs a command that must succeed, and returns its output.
    #[track_caller]
    fn does(&self, arguments: &[&str]) -> String {
        let output = self.run(arguments);
        let text = [&*output.stdout, b"\n", &output.stderr].concat();
        let text = String::from_utf8(text).unwrap();
        assert_eq!(output.status.code(), Some(0), "crossfade {}:\n{text}", arguments.join(" "));
        text
    }

    /// Promotes as soon as the evidence allows it. Everyone orders in the meantime.
    #[track_caller]
    fn promotes(&self) {
        let end = Instant::now() + PATIENCE;
        loop {
            let output = self.run(&["promote", "--yes", LOG]);
            if output.status.success() {
                return;
            }
            assert_eq!(output.status.code(), Some(1), "{}", String::from_utf8_lossy(&output.stderr));
            assert!(Instant::now() < end, "{}", String::from_utf8_lossy(&output.stderr));
            self.on_modern();
        }
    }

    fn status(&self) -> Value {
        let text = self.run(&["status", "--json", LOG]).stdout;
        serde_json::from_slice(&text).unwrap()
    }

    /// Another environment of the same function, which gets an event that is no request.
    fn invoke(&self, event: &Value) -> Value {
        let api = RuntimeApi::start();
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command.arg("function").current_dir(self.folder.path()).env_clear().stdout(Stdio::piped());
        command.env("AWS_LAMBDA_RUNTIME_API", api.address.to_string());
        command.env("CROSSFADE_CONFIG", self.folder.path().join("crossfade.yaml")).env("CROSSFADE_LIVE", LIVE);
        let mut process = Process::start(&mut command);
        let log = kept(process.child.stdout.take().unwrap());
        let posted = api.invoke(event);
        let lines = log.lock().unwrap().join("\n");
        assert!(posted.line.contains("/response"), "{} {lines}", posted.line);
        posted.json()
    }
}

/// As EventBridge sends it ("Alarm events and EventBridge").
fn alarm(name: &str, state: &str) -> Value {
    let now = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    json!({
        "version": "0",
        "id": "c4c1c1c9-6542-e61b-6ef0-8c4d36933a92",
        "detail-type": "CloudWatch Alarm State Change",
        "source": "aws.cloudwatch",
        "account": "123456789012",
        "time": now,
        "region": "eu-central-1",
        "resources": [format!("arn:aws:cloudwatch:eu-central-1:123456789012:alarm:{name}")],
        "detail": {
            "alarmName": name,
            "state": { "value": state, "reason": "Threshold Crossed", "timestamp": now },
            "previousState": { "value": "OK", "reason": "", "timestamp": now },
        }
    })
}

#[test]
fn users_move_are_taken_back_and_arrive() {
    let shop = Shop::open();
    let phase = |status: &Value| status["routes"][0]["phase"].as_str().unwrap_or_default().to_owned();

    // Nobody has asked for anything yet: no data is no pass.
    std::fs::write(shop.folder.path().join(LOG), "").unwrap();
    assert_eq!(shop.run(&["promote", "--yes", LOG]).status.code(), Some(1));
    assert_eq!(shop.on_modern().len(), 0);

    shop.promotes();
    let first = shop.on_modern();
    assert!((8..=35).contains(&first.len()), "{} of {CUSTOMERS}", first.len());
    assert_eq!(shop.on_modern(), first);

    shop.promotes();
    let half = shop.on_modern();
    assert!((70..=130).contains(&half.len()), "{} of {CUSTOMERS}", half.len());
    assert!(first.is_subset(&half), "{:?} moved back", first.difference(&half));

    // The new system breaks. Its users are served by the old one, the guard does not allow another step, and the alarm takes
    // them back for good.
    shop.modern.breaks(true);
    assert_eq!(shop.on_modern().len(), 0);
    assert_eq!(shop.run(&["promote", "--yes", LOG]).status.code(), Some(1));
    for (name, state) in [("shop-errors", "OK"), ("other", "ALARM")] {
        shop.invoke(&alarm(name, state));
        assert_eq!(phase(&shop.status()), "running", "{name} {state}");
    }
    shop.invoke(&alarm("shop-errors", "ALARM"));
    assert_eq!(phase(&shop.status()), "aborted");
    let version = version(shop.folder.path());
    shop.invoke(&alarm("shop-errors", "ALARM"));
    assert_eq!(self::version(shop.folder.path()), version, "once is enough");
    shop.modern.breaks(false);
    assert_eq!(shop.on_modern().len(), 0, "it is not even asked");
    let history = shop.does(&["history"]);
    assert!(history.contains("shop-errors") && history.contains("anna"), "{history}");

    // Repaired: back to the step before, with the same users.
    shop.does(&["undo", "--yes", "--reason", "repaired"]);
    assert_eq!(shop.on_modern(), half);
    shop.promotes();
    assert_eq!(shop.on_modern().len(), CUSTOMERS);
    assert_eq!(phase(&shop.status()), "finished");
    assert_eq!(shop.run(&["promote", "--yes", LOG]).status.code(), Some(1));

    // A person can take everyone back even now.
    shop.does(&["abort", "--yes", "--reason", "drill"]);
    assert_eq!(shop.on_modern().len(), 0);
}

/// The version of the state.
fn version(folder: &Path) -> u64 {
    let text = std::fs::read(folder.join("live.json")).unwrap();
    serde_json::from_slice::<Value>(&text).unwrap()["version"].as_u64().unwrap()
}
