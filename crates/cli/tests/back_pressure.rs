//! The cost of a slow back end in environments, and its limits (docs/back-pressure.md): the local load balancer, real
//! function processes, and a back end that the test controls. It asserts counts, not times.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use crossfade_testkit::client;
use crossfade_testkit::message::Message;
use crossfade_testkit::server::{Action, Server, response};
use crossfade_testkit::wait::{PATIENCE, eventually};
use serde_json::Value;
use support::Dev;

/// A back end that responds to `/ok` immediately, to `/after/MS` after MS milliseconds, to `/held` when the test releases it, and
/// never to `/never`.
struct BackEnd {
    url: String,
    state: Arc<(Mutex<State>, Condvar)>,
}

#[derive(Default)]
struct State {
    /// Requests that came for other targets than `/ok`.
    received: usize,
    released: bool,
}

impl BackEnd {
    fn start() -> Self {
        let state = Arc::<(Mutex<State>, Condvar)>::default();
        let shared = Arc::clone(&state);
        let server = Server::start(None, move |_, message| answer(message, &shared)).unwrap();
        BackEnd { url: format!("http://{}", server.keep()), state }
    }

    fn received(&self) -> usize {
        self.state.0.lock().unwrap().received
    }

    fn set_released(&self, released: bool) {
        self.state.0.lock().unwrap().released = released;
        self.state.1.notify_all();
    }
}

fn answer(message: &Message<'_>, (state, changed): &(Mutex<State>, Condvar)) -> Action {
    let target = String::from_utf8_lossy(message.second_word());
    if target != "/ok" {
        state.lock().unwrap().received += 1;
        changed.notify_all();
    }
    match target.split('/').nth(1).unwrap() {
        "never" => return Action::Hang,
        "held" => drop(changed.wait_timeout_while(state.lock().unwrap(), PATIENCE, |state| !state.released).unwrap()),
        "after" => std::thread::sleep(Duration::from_millis(target.split('/').nth(2).unwrap().parse().unwrap())),
        _ => {}
    }
    Action::SendAndClose(response("200 OK", &[("connection", "close")], b"ok").into())
}

fn get(alb: &str, target: &str) -> String {
    client::get(alb, target).whole().to_ascii_lowercase()
}

/// A request that the load balancer found no environment for: its own 502, without a word of the function's.
fn is_throttled(answer: &str) -> bool {
    answer.starts_with("http/1.1 502 ")
        && answer.contains("\r\nserver: awselb/2.0\r\n")
        && !answer.contains("proxy-status")
}

fn start(folder: &Path, environments: usize, url: &str, keys: &str) -> Dev {
    let text = format!("version: 1\nbackends: {{ a: {{ url: '{url}', {keys} }} }}\ndefault: {{ forward: a }}\n");
    std::fs::write(folder.join("crossfade.yaml"), text.replace(", }", " }")).unwrap();
    let count = environments.to_string();
    Dev::start_in(folder, &["--config", "crossfade.yaml", "--no-inspect", "--max-concurrency", &count])
}

/// rate x duration = concurrent requests = environments. Requests beyond the limit are throttled.
#[test]
fn throttling_begins_where_rate_times_duration_exceeds_the_environments() {
    let environments = 4;
    let folder = tempfile::tempdir().unwrap();
    let back_end = BackEnd::start();
    let dev = start(folder.path(), environments, &back_end.url, "");
    let alb = dev.alb.as_str();
    // Requests a second, seconds that the back end takes.
    for (rate, duration) in [(1, 3), (2, 2), (5, 1), (2, 4)] {
        let under_way: usize = rate * duration;
        let before = back_end.received();
        back_end.set_released(false);
        let answers: Vec<String> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..under_way).map(|_| scope.spawn(|| get(alb, "/held"))).collect();
            // The back end responds only after all requests have arrived or been throttled.
            eventually("as many requests at the back end as there are environments", || {
                back_end.received() - before == under_way.min(environments)
            });
            let sent_away = under_way.saturating_sub(environments);
            eventually("the end of the others", || {
                clients.iter().filter(|client| client.is_finished()).count() == sent_away
            });
            back_end.set_released(true);
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        let throttled = answers.iter().filter(|answer| is_throttled(answer)).count();
        let served = answers.iter().filter(|answer| answer.starts_with("http/1.1 200 ")).count();
        let expected = under_way.saturating_sub(environments);
        assert_eq!((throttled, served), (expected, under_way - expected), "{rate}/s x {duration} s: {answers:#?}");
    }
    assert!(dev.stop("-INT").success());
}

/// The same in time: a rate that the environments can bear, and four times the rate that they can.
#[test]
fn a_rate_is_borne_up_to_environments_by_duration() {
    let folder = tempfile::tempdir().unwrap();
    let back_end = BackEnd::start();
    // 3 environments / 0.6 s = 5 requests a second.
    let dev = start(folder.path(), 3, &back_end.url, "");
    let alb = dev.alb.as_str();
    let send = |count: usize, apart_ms: u64| -> usize {
        let answers: Vec<String> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..count)
                .map(|_| {
                    std::thread::sleep(Duration::from_millis(apart_ms));
                    scope.spawn(|| get(alb, "/after/600"))
                })
                .collect();
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        let throttled = answers.iter().filter(|answer| is_throttled(answer)).count();
        let served = answers.iter().filter(|answer| answer.starts_with("http/1.1 200 ")).count();
        assert_eq!(throttled + served, count, "{answers:#?}");
        throttled
    };
    assert_eq!(send(6, 500), 0, "2/s x 0.6 s are two environments");
    let throttled = send(40, 50);
    assert!(throttled >= 10, "20/s x 0.6 s are twelve environments, of three: {throttled} of 40");
    assert!(dev.stop("-INT").success());
}

/// Without a limit and a breaker a back end that hangs has all environments, and what needs another back end is turned away.
#[test]
fn a_back_end_that_hangs_takes_all_environments() {
    let folder = tempfile::tempdir().unwrap();
    let back_end = BackEnd::start();
    let dev = start(folder.path(), 2, &back_end.url, "");
    let alb = dev.alb.as_str();
    std::thread::scope(|scope| {
        let clients = [scope.spawn(|| get(alb, "/held")), scope.spawn(|| get(alb, "/held"))];
        eventually("two requests at the back end", || back_end.received() == 2);
        let answer = get(alb, "/ok");
        assert!(is_throttled(&answer), "{answer}");
        back_end.set_released(true);
        for client in clients {
            assert!(client.join().unwrap().starts_with("http/1.1 200 "));
        }
    });
    assert!(get(alb, "/ok").starts_with("http/1.1 200 "));
    assert!(dev.stop("-INT").success());
}

/// With both, each environment waits for it as often as `failures` says, and then not at all.
#[test]
fn with_a_breaker_a_back_end_that_hangs_takes_no_environment_for_long() {
    let (environments, failures) = (3, 2);
    let folder = tempfile::tempdir().unwrap();
    let (hanging, healthy) = (BackEnd::start(), BackEnd::start());
    let text = format!(
        "version: 1\nbackends:\n  hanging: {{ url: '{}', timeouts: {{ backendRequest: 300ms }}, outlier: {{ failures: {failures}, for: 10m }} }}\n  \
         healthy: '{}'\nroutes: [{{ name: hanging, priority: 1, conditions: {{ path: /never }}, forward: hanging }}]\n\
         default: {{ forward: healthy }}\n",
        hanging.url, healthy.url
    );
    std::fs::write(folder.path().join("crossfade.yaml"), text).unwrap();
    let count = environments.to_string();
    let arguments = ["--config", "crossfade.yaml", "--no-inspect", "--verbose", "--max-concurrency", &count];
    let dev = Dev::start_in(folder.path(), &arguments);
    let alb = dev.alb.as_str();
    // As many at a time as there are environments, until all of them have found out.
    let mut found_out = BTreeSet::new();
    // Of each environment, how long its timeouts took.
    let mut timeouts = BTreeMap::<String, Vec<f64>>::new();
    let mut waves = 0;
    while found_out.len() < environments {
        let answers: Vec<String> = std::thread::scope(|scope| {
            let clients: Vec<_> = (0..environments).map(|_| scope.spawn(|| get(alb, "/never"))).collect();
            clients.into_iter().map(|client| client.join().unwrap()).collect()
        });
        for answer in &answers {
            let is_timeout = answer.starts_with("http/1.1 504 ") && answer.contains("error=http_response_timeout");
            let is_spared = answer.starts_with("http/1.1 503 ") && answer.contains("error=destination_unavailable");
            assert!(is_timeout || (is_spared && answer.contains("\r\nretry-after: ")), "{answer}");
            let (environment, record) = next_record(&dev);
            if record["status"] == 504 {
                timeouts.entry(environment).or_default().push(record["total_ms"].as_f64().unwrap());
            } else {
                found_out.insert(environment);
            }
        }
        waves += 1;
        assert!(waves < 1000, "{found_out:?} of {timeouts:?}");
    }
    let received = hanging.received();
    for _ in 0..20 {
        assert!(get(alb, "/never").starts_with("http/1.1 503 "));
        assert!(get(alb, "/ok").starts_with("http/1.1 200 "));
    }
    assert_eq!(hanging.received(), received, "nobody asks it any more");
    for took in timeouts.values() {
        // A timer that rings late, by 20 ms, says nothing of the back end: on a busy machine there are such timeouts besides.
        let in_time = took.iter().filter(|took| **took < 320.0).count();
        assert!(in_time <= failures && took.len() >= failures, "{timeouts:?}");
    }
    assert_eq!(timeouts.values().map(Vec::len).sum::<usize>(), received);
    assert!(dev.stop("-INT").success());
}

/// The next record in the access log of the function, and its environment.
fn next_record(dev: &Dev) -> (String, Value) {
    loop {
        let line = dev.stderr.recv_timeout(PATIENCE).expect("a record for each request");
        if let Some((environment, record)) = line.split_once(" | ")
            && let Ok(record) = serde_json::from_str::<Value>(record)
            && record["type"] == "access"
        {
            return (environment.to_owned(), record);
        }
    }
}
