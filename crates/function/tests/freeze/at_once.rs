//! Several invocations at a time in one process, as on Lambda Managed Instances, with copies of some. There the process is
//! not frozen, but a busy host may stop it for a while, and back ends come into trouble while requests are on their way.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use crossfade_testkit::origin::Tls;
use crossfade_testkit::process::Signal;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::back_end::{BackEnd, TROUBLES};
use crate::records::{Known, check, complete_log, of_mirror, of_primary};
use crate::support::{Folder, Function, event};
use crate::{Figures, LIMIT, Random, signal};

const AT_ONCE: usize = 8;

#[test] // connections die while the process is frozen
fn side_by_side_each_gets_its_own_answer() {
    crate::run("at once", |random, runtime, invocations| Run::start(random, runtime).go(invocations));
}

/// One environment with two back ends, over HTTP/1.1 and HTTP/2, and a mirror for some of the first one's requests.
struct Run<'r> {
    random: Random,
    runtime: &'r Runtime,
    back_ends: [BackEnd; 3],
    function: Function,
    /// Those that are not answered, with the number of troubles that were over before.
    waiting: BTreeMap<String, usize>,
    troubles: usize,
    known: BTreeMap<String, Known>,
    figures: Figures,
    _folder: Folder,
}

impl<'r> Run<'r> {
    fn start(random: Random, runtime: &'r Runtime) -> Run<'r> {
        let start = |tls, answers| runtime.block_on(BackEnd::start(tls, answers));
        // They take their time, so that requests are side by side.
        let slow = |id: &str| (of_mirror(id).0 / 4, of_primary(id).1);
        let back_ends = [start(Tls::Good, slow), start(Tls::Http2, slow), start(Tls::Good, of_mirror)];
        let folder = Folder::new();
        let certificates = folder.write("ca.pem", BackEnd::certificates(&back_ends));
        // With several at a time two troubles can meet one request.
        let [http1, http2] =
            [0, 1].map(|index| back_ends[index].config(", retry: { attempts: 5, backoff: 20ms, budget: 100% }"));
        let text = format!(
            "version: 1\nbackends:\n  http1: {http1}\n  http2: {http2}\n  mirror: {}\nroutes:\n  - name: http2\n    \
             priority: 1\n    conditions: {{ path: /1/* }}\n    forward: http2\ndefault:\n  forward: http1\n  mirror: {{ \
             backend: mirror, percent: 100, methods: [POST], compare: {{ keepValues: true }} }}\n",
            back_ends[2].config("")
        );
        let config = folder.write("crossfade.yaml", text);
        let function = Function::start(&[
            ("CROSSFADE_CONFIG", &config),
            ("SSL_CERT_FILE", &certificates),
            ("AWS_LAMBDA_MAX_CONCURRENCY", &AT_ONCE.to_string()),
        ]);
        let (waiting, known, figures) = Default::default();
        Run { random, runtime, back_ends, function, waiting, troubles: 0, known, figures, _folder: folder }
    }

    fn go(mut self, invocations: u64) -> Figures {
        let mut warm = None;
        for number in 0..invocations {
            if number == invocations / 4 {
                warm = crate::held(&self.function);
            }
            self.give(number);
            if self.random.percent(12) {
                self.stand_still();
            } else if self.random.percent(8) {
                self.trouble();
            }
            while self.waiting.len() >= AT_ONCE || (self.random.percent(10) && !self.waiting.is_empty()) {
                self.take();
            }
        }
        while !self.waiting.is_empty() {
            self.take();
        }
        let log = complete_log(&self.function, invocations, &self.known);
        check(&log, &self.known, &self.back_ends, &mut self.figures);
        crate::assert_flat(warm, &self.function, &mut self.figures);
        for (index, back_end) in self.back_ends.iter().enumerate() {
            for (id, count) in back_end.seen() {
                // Of copies only the one on a connection that was dead, and the repeated one if there is a difference.
                let most =
                    if id.starts_with("POST") || id.starts_with("copy of POST") { 1 } else { [12, 12, 4][index] };
                assert!(count <= most, "{id} came {count} times");
                self.figures.add(if index == 2 { "copy: sent again" } else { "sent again" }, u64::from(count) - 1);
            }
        }
        self.figures
    }

    fn give(&mut self, number: u64) {
        let method = *self.random.of(&["GET", "PUT", "DELETE", "POST", "POST"]);
        let is_odd = if self.random.percent(30) { "odd" } else { "even" };
        let id = format!("{method}-{number}-{}-{is_odd}", self.random.below(80));
        let asked = self.random.below(2);
        let mut event = event(method, &format!("/{asked}/{id}"));
        event["body"] = json!(id);
        let is_copied = asked == 0 && matches!(method, "GET" | "POST");
        let known = Known { mirror: 2, is_compared: true, is_copied, was_troubled: true, ..Known::default() };
        self.known.insert(id.clone(), known);
        self.waiting.insert(id.clone(), self.troubles().1);
        self.figures.most("most at a time", self.waiting.len() as u64);
        self.function.give_as(&id, &event, LIMIT);
    }

    /// Takes the reply that is posted next.
    fn take(&mut self) {
        let posted = self.function.posted();
        assert!(posted.line.ends_with("/response HTTP/1.1"), "{}: {}", posted.line, posted.json());
        let id = posted.line.split('/').nth(4).unwrap().to_owned();
        let troubles_before = self.waiting.remove(&id).unwrap_or_else(|| panic!("{id} is answered twice"));
        let reply = posted.json();
        let content: Value = serde_json::from_str(reply["body"].as_str().unwrap()).unwrap_or_default();
        let is_answered = reply["statusCode"] == 200;
        assert!(!is_answered || content["id"] == id.as_str(), "{id} got the answer of another: {reply}");
        let may_fail = id.starts_with("POST") && troubles_before < self.troubles().0;
        assert!(is_answered || (may_fail && reply["statusCode"] == 502), "{id}: {reply}");
        self.known.get_mut(&id).unwrap().is_answered = is_answered;
        self.figures.count("invocations");
        if !is_answered {
            self.figures.count("POST failed, on its way in a trouble");
        }
    }

    /// The number of troubles that began, and of those that ended.
    fn troubles(&self) -> (usize, usize) {
        let deaths = self.back_ends.iter().map(BackEnd::deaths);
        deaths.fold((self.troubles, self.troubles), |(begun, over), (killed, closed)| (begun + killed, over + closed))
    }

    fn trouble(&mut self) {
        let (troubled, trouble) = (self.random.below(3) as usize, *self.random.of(&TROUBLES));
        self.runtime.block_on(self.back_ends[troubled].suffer(trouble));
        self.troubles += 1;
        self.figures.count(format!("back end {trouble:?}"));
    }

    fn stand_still(&mut self) {
        let length = match self.random.below(20) {
            0 => Duration::from_millis(300 + self.random.below(1500)),
            _ => self.random.pause(),
        };
        signal(&self.function, Signal::STOP);
        if self.random.percent(40) {
            self.trouble();
        }
        thread::sleep(length);
        signal(&self.function, Signal::CONT);
        self.known.values_mut().for_each(|known| known.stood_still = known.stood_still.max(length));
        self.figures.count("stood still");
    }
}
