//! The process stands still at any moment, also while copies for a mirror are on their way: no client notices, nothing is
//! sent more often than promised, and each comparison is of one request.

use std::collections::BTreeMap;
use std::thread;
use std::time::Duration;

use crossfade_testkit::origin::Tls;
use crossfade_testkit::process::Signal;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::back_end::{BackEnd, TROUBLES, Trouble};
use crate::records::{Known, check, complete_log, of_mirror, of_primary};
use crate::support::{Folder, Function, event};
use crate::{Figures, LIMIT, Random, signal};

#[test] // the process is frozen while copies are on their way
fn copies_are_compared_or_lost_and_never_felt() {
    crate::run("copies", |random, runtime, invocations| Run::start(random, runtime).go(invocations));
}

/// The moment of a freeze.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Moment {
    Never,
    /// Before the event comes: in Lambda no other.
    Between,
    /// After the event has been delivered.
    Answering,
    /// After the reply has been posted.
    Copying,
}

/// By the first part of the path: the mirror, as an index of `Run::back_ends`, whether it compares, and its keys.
const ROUTES: [(usize, bool, &str); 3] = [
    (1, true, "methods: [POST, PUT], budget: 3s, compare: { keepValues: true, noise: { selfCompare: 30 } }"),
    (2, true, "methods: [POST], timeouts: { backendRequest: 700ms }, compare: { keepValues: true }"),
    (1, false, "methods: [POST], compare: false"),
];

/// One environment with a primary, and a mirror of each kind.
struct Run<'r> {
    random: Random,
    runtime: &'r Runtime,
    back_ends: [BackEnd; 3],
    function: Function,
    known: BTreeMap<String, Known>,
    /// The present request and the one before, whose copy may be on its way.
    recent: [String; 2],
    figures: Figures,
    _folder: Folder,
}

impl<'r> Run<'r> {
    fn start(random: Random, runtime: &'r Runtime) -> Run<'r> {
        let start = |tls, answers| runtime.block_on(BackEnd::start(tls, answers));
        let back_ends = [start(Tls::Good, of_primary), start(Tls::Good, of_mirror), start(Tls::Http2, of_mirror)];
        let folder = Folder::new();
        let certificates = folder.write("ca.pem", BackEnd::certificates(&back_ends));
        let mut text = "version: 1\nbackends:\n".to_owned();
        for (index, back_end) in back_ends.iter().enumerate() {
            text.push_str(&format!("  back{index}: {}\n", back_end.config("")));
        }
        text.push_str("routes:\n");
        for (index, (mirror, _, keys)) in ROUTES.iter().enumerate() {
            text.push_str(&format!(
                "  - name: r{index}\n    priority: {}\n    conditions: {{ path: /{index}/* }}\n    forward: back0\n    \
                 mirror: {{ backend: back{mirror}, percent: 100, {keys} }}\n",
                index + 1
            ));
        }
        text.push_str("default: { forward: back0 }\n");
        let config = folder.write("crossfade.yaml", text);
        let function = Function::start(&[("CROSSFADE_CONFIG", &config), ("SSL_CERT_FILE", &certificates)]);
        let (known, recent, figures) = Default::default();
        Run { random, runtime, back_ends, function, known, recent, figures, _folder: folder }
    }

    fn go(mut self, invocations: u64) -> Figures {
        let mut warm = None;
        for number in 0..invocations {
            if number == invocations / 4 {
                warm = crate::held(&self.function);
            }
            self.invoke(number);
        }
        // When this is answered, the last copy is done.
        assert_eq!(self.function.invoke(&event("DELETE", "/3/DELETE-last-0-even")).json()["statusCode"], 200);
        crate::assert_flat(warm, &self.function, &mut self.figures);
        let log = complete_log(&self.function, invocations + 1, &self.known);
        check(&log, &self.known, &self.back_ends, &mut self.figures);
        for (index, back_end) in self.back_ends.iter().enumerate() {
            for (id, count) in back_end.seen() {
                let most = match () {
                    () if id.starts_with("POST") || id.starts_with("copy of POST") => 1,
                    // Repeated if it differs.
                    () if index > 0 && id.contains("GET") => 4,
                    () => 2,
                };
                assert!(count <= most, "{id} came {count} times");
                let known = self.known.get(id.trim_start_matches("copy of "));
                assert!(index == 0 || known.is_some_and(|known| known.is_copied), "{id} was not to be copied");
                self.figures
                    .add(if index == 0 { "primary: sent twice" } else { "copy: sent twice" }, u64::from(count == 2));
            }
        }
        self.figures
    }

    fn invoke(&mut self, number: u64) {
        let method = *self.random.of(&["GET", "GET", "PUT", "POST", "POST", "DELETE"]);
        let is_odd = if self.random.percent(30) { "odd" } else { "even" };
        let id = format!("{method}-{number}-{}-{is_odd}", self.random.below(40));
        let route = self.random.below(3) as usize;
        let (mirror, is_compared, keys) = ROUTES[route];
        let mut event = event(method, &format!("/{route}/{id}"));
        event["body"] = json!(id);
        let is_copied = method == "GET" || keys.split(']').next().unwrap().contains(method);
        self.known.insert(id.clone(), Known { mirror, is_compared, is_copied, ..Known::default() });

        let moment =
            *self.random.of(&[Moment::Never, Moment::Between, Moment::Answering, Moment::Copying, Moment::Copying]);
        let trouble = self.random.percent(50).then(|| *self.random.of(&TROUBLES));
        // The primary only when no request is on its way to it: such ones are for `between`.
        let troubled = if moment == Moment::Between && self.random.percent(50) { 0 } else { mirror };
        let later = Duration::from_millis(self.random.below(30));
        let give = |run: &mut Self| {
            run.recent = [id.clone(), std::mem::take(&mut run.recent[0])];
            run.function.give_as(&id, &event, LIMIT);
        };
        match moment {
            Moment::Between => {
                self.stand_still(trouble, troubled);
                give(self);
            }
            _ => give(self),
        }
        if moment == Moment::Answering {
            thread::sleep(later / 10);
            self.stand_still(trouble, troubled);
        }
        let reply = self.function.posted().json();
        if moment == Moment::Copying {
            thread::sleep(later);
            self.stand_still(trouble, troubled);
        }

        let content: serde_json::Value = serde_json::from_str(reply["body"].as_str().unwrap()).unwrap_or_default();
        let is_answered = reply["statusCode"] == 200 && content["id"] == id.as_str();
        let may_fail = method == "POST" && self.back_ends[0].was_killed_by(&id);
        assert!(is_answered || may_fail, "{id}, {moment:?}, {trouble:?} of {troubled}: {reply}");
        self.known.get_mut(&id).unwrap().is_answered = is_answered;
        self.figures.count("invocations");
        self.figures.count(format!("stood still: {moment:?}"));
        if !is_answered {
            self.figures.count("POST failed, its back end died of it");
        }
    }

    /// Stops the process for a moment, sometimes for so long that it is noticed.
    fn stand_still(&mut self, trouble: Option<Trouble>, troubled: usize) {
        let length = match self.random.below(12) {
            0 => Duration::from_millis(300 + self.random.below(900)),
            _ => self.random.pause(),
        };
        signal(&self.function, Signal::STOP);
        let started = std::time::Instant::now();
        if let Some(trouble) = trouble {
            self.runtime.block_on(self.back_ends[troubled].suffer(trouble));
            self.figures.count(format!("{} {trouble:?}", if troubled == 0 { "primary" } else { "mirror" }));
        }
        thread::sleep(length);
        signal(&self.function, Signal::CONT);
        for id in &self.recent {
            if let Some(known) = self.known.get_mut(id) {
                known.stood_still = known.stood_still.max(started.elapsed());
                known.was_troubled |= trouble.is_some() && troubled == known.mirror;
            }
        }
    }
}
