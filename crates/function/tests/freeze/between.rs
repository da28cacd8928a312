//! The process stands still between invocations, as in Lambda: no client notices.

use std::thread;
use std::time::Duration;

use crossfade_testkit::origin::Tls;
use crossfade_testkit::process::Signal;
use serde_json::json;
use tokio::runtime::Runtime;

use crate::back_end::{BackEnd, TROUBLES, Trouble};
use crate::support::{Folder, Function, event};
use crate::{Figures, LIMIT, Random, signal};

#[test] // connections die while the process is frozen
fn nothing_is_lost_and_nothing_repeated_that_must_not_be() {
    crate::run("between invocations", |random, runtime, invocations| Run::start(random, runtime).go(invocations));
}

/// The length of a freeze.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Pause {
    Short,
    /// Beyond what a connection is kept for a request that must not be sent twice.
    Long,
    /// From then on to beyond what one is kept for any.
    Minute,
}

/// One environment with a back end of each kind.
struct Run<'r> {
    random: Random,
    runtime: &'r Runtime,
    back_ends: [BackEnd; 2],
    function: Function,
    figures: Figures,
    _folder: Folder,
}

impl<'r> Run<'r> {
    fn start(random: Random, runtime: &'r Runtime) -> Run<'r> {
        let echo = |id: &str| (Duration::ZERO, id.to_owned());
        let back_ends = [Tls::Good, Tls::Http2].map(|tls| runtime.block_on(BackEnd::start(tls, echo)));
        let folder = Folder::new();
        let certificates = folder.write("ca.pem", BackEnd::certificates(&back_ends));
        let [http1, http2] = [0, 1].map(|index| back_ends[index].config(""));
        let text = format!(
            "version: 1\nbackends:\n  http1: {http1}\n  http2: {http2}\nroutes:\n  - name: http2\n    priority: 1\n    \
             conditions: {{ path: /1/* }}\n    forward: http2\ndefault: {{ forward: http1 }}\n",
        );
        let config = folder.write("crossfade.yaml", text);
        let function = Function::start(&[("CROSSFADE_CONFIG", &config), ("SSL_CERT_FILE", &certificates)]);
        Run { random, runtime, back_ends, function, figures: Figures::default(), _folder: folder }
    }

    fn go(mut self, invocations: u64) -> Figures {
        let mut warm = None;
        for number in 0..invocations {
            if number == invocations / 4 {
                warm = crate::held(&self.function);
            }
            let pause = match number % 400 {
                25 | 225 => Some(Pause::Long),
                399 => Some(Pause::Minute),
                _ => self.random.percent(70).then_some(Pause::Short),
            };
            self.invoke(&format!("request-{number}"), pause);
        }
        crate::assert_flat(warm, &self.function, &mut self.figures);
        for back_end in &self.back_ends {
            for (id, count) in back_end.seen() {
                let is_post = id.starts_with("POST");
                assert!(count <= if is_post { 1 } else { 2 }, "{id} came {count} times");
                self.figures.add("sent twice", u64::from(count == 2));
            }
            self.figures.add("connections", back_end.connections());
        }
        self.figures
    }

    fn invoke(&mut self, name: &str, pause: Option<Pause>) {
        let method = *self.random.of(&["GET", "PUT", "DELETE", "POST", "POST"]);
        let id = format!("{method}-{name}");
        let asked = self.random.below(2) as usize;
        let mut event = event(method, &format!("/{asked}/{id}"));
        event["body"] = json!(id);

        let length = match pause {
            None => None,
            Some(Pause::Short) => Some(self.random.pause()),
            Some(Pause::Long) => Some(Duration::from_millis(4200)),
            Some(Pause::Minute) => Some(Duration::from_millis(5_000 + self.random.below(65_000))),
        };
        let trouble = match length {
            // Sooner, a request that may be sent twice would wait on such a connection for its time to be over.
            Some(length) if length > Duration::from_secs(51) => Some(Trouble::Vanishes),
            Some(length) if length > Duration::from_secs(4) => self.random.percent(60).then_some(Trouble::Forgets),
            Some(_) => self.random.percent(60).then(|| *self.random.of(&TROUBLES)),
            None => self.random.percent(20).then(|| *self.random.of(&TROUBLES)),
        };
        // Mostly the back end that is asked next.
        let troubled = if self.random.percent(25) { 1 - asked } else { asked };
        let suffer = |run: &mut Self| {
            if let Some(trouble) = trouble {
                run.runtime.block_on(run.back_ends[troubled].suffer(trouble));
            }
        };
        if let Some(length) = length {
            signal(&self.function, Signal::STOP);
            suffer(self);
            thread::sleep(length);
            // The event is there when the process goes on, or comes a little later.
            if self.random.below(2) == 0 {
                self.function.give_as(&id, &event, LIMIT);
                thread::sleep(Duration::from_millis(1));
                signal(&self.function, Signal::CONT);
            } else {
                signal(&self.function, Signal::CONT);
                self.function.give_as(&id, &event, LIMIT);
            }
        } else {
            suffer(self);
            self.function.give_as(&id, &event, LIMIT);
        }

        let reply = self.function.posted().json();
        let is_answered = reply["statusCode"] == 200 && reply["body"] == id.as_str();
        let was_killed = self.back_ends[asked].was_killed_by(&id);
        match method {
            // The back end has it, or may have it: the connection ended just as it was sent.
            "POST" if was_killed || (trouble.is_some() && length.is_none()) => {
                assert!(
                    is_answered || reply["statusCode"] == 502,
                    "{id} to {asked}, {trouble:?} of {troubled}: {reply}"
                );
            }
            _ => assert!(is_answered, "{id} to {asked}, stood still {length:?}, {trouble:?} of {troubled}: {reply}"),
        }
        self.figures.count("invocations");
        if let (Some(pause), Some(length)) = (pause, length) {
            self.figures.count(format!("stood still: {pause:?}"));
            self.figures.most("most ms of standing still", length.as_millis() as u64);
        }
        if let Some(trouble) = trouble {
            self.figures.count(format!("back end {trouble:?}"));
        }
        if !is_answered {
            self.figures.count(format!("{method} failed, its back end died of it: {was_killed}"));
        }
    }
}
