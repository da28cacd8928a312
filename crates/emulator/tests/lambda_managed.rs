//! Several invocations at a time in one environment: Lambda Managed Instances.

use std::time::Duration;

use crossfade_emulator::{Notice, Settings};
use crossfade_event::HeaderMode;

use crate::support::{self, Alb, example, settings};

fn managed(invocations: usize) -> Settings {
    let mut settings = settings(HeaderMode::Single);
    settings.functions[0].invocations_per_environment = invocations;
    settings
}

#[test]
fn an_environment_takes_several_invocations_at_a_time() {
    let mut alb = Alb::start(managed(4));
    // From the first moment: the others wait for the environment that starts.
    assert_eq!(alb.at_once(4, "/sleep/500"), [200; 4]);
    for _ in 0..4 {
        assert_eq!(alb.exchange().environment, Some(1));
    }
    // What is beyond its workers goes to a second one.
    assert_eq!(alb.at_once(6, "/sleep/500"), [200; 6]);
    let mut used: Vec<_> = (0..6).map(|_| alb.exchange().environment.unwrap()).collect();
    used.sort_unstable();
    assert_eq!(used, [1, 1, 1, 1, 2, 2]);
}

#[test]
fn the_environment_says_that_it_is_managed() {
    let alb = Alb::start(managed(3));
    let variables = alb.get("/env", "").json();
    assert_eq!(variables["AWS_LAMBDA_MAX_CONCURRENCY"], "3");
    assert_eq!(variables["AWS_LAMBDA_INITIALIZATION_TYPE"], "lambda-managed-instances");
}

#[test]
fn each_invocation_has_its_own_answer() {
    let alb = Alb::start(managed(8));
    std::thread::scope(|scope| {
        for client in 0..8 {
            let alb = &alb;
            scope.spawn(move || {
                for turn in 0..50 {
                    let path = format!("/echo/{client}/{turn}");
                    assert_eq!(alb.get(&path, "").json()["path"], path.as_str());
                }
            });
        }
    });
}

/// "Lambda marks that specific invocation as failed but does not interrupt other running invocations or terminate the
/// execution environment."
#[test]
fn a_timeout_fails_the_invocation_and_nothing_else() {
    let mut settings = managed(2);
    settings.functions[0].timeout = Duration::from_millis(900);
    settings.functions[0].max_concurrency = 1;
    let mut alb = Alb::start(settings);
    let pid = alb.get("/pid", "").json()["pid"].clone();
    alb.exchange();
    assert_eq!(alb.get("/sleep/1500", "").status, 502);
    let problem = "the function did not respond within its timeout of 0.9 s; \
                   its process keeps running, as on Lambda Managed Instances";
    assert_eq!(alb.outcome(), (502, "LambdaUnhandled".into(), problem.into()));
    // Its worker is still at it, and the other one serves.
    assert_eq!(alb.get("/pid", "").json()["pid"], pid);
    assert_eq!(alb.line("late answer: "), "410 InvokeTimeout");
    // Both are there again.
    assert_eq!(alb.at_once(2, "/sleep/300"), [200; 2]);
    assert!(!alb.has_seen(|notice| matches!(notice, Notice::Exited { .. })));
}

#[test]
fn a_crash_fails_all_invocations_of_the_environment() {
    let mut alb = Alb::start(managed(2));
    std::thread::scope(|scope| {
        let slow = scope.spawn(|| alb.get("/sleep/60000", "").status);
        // The crash must not come first.
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(alb.get("/crash", "").status, 502);
        assert_eq!(slow.join().unwrap(), 502);
    });
    for _ in 0..2 {
        let exit = "the function's process exited before it responded (exit status: 3)";
        assert_eq!(alb.outcome(), (502, "LambdaUnhandled".into(), exit.into()));
    }
    assert_eq!(alb.get("/pid", "").json()["served"], 1);
}

#[test]
fn nothing_is_repaired_and_an_init_is_not_tried_twice() {
    let mut settings = managed(2);
    settings.functions[0].env.push(("SCRIPT".into(), "exit".into()));
    let mut alb = Alb::start(settings);
    assert_eq!(alb.get("/", "").status, 502);
    let exit = "the function's process exited before it requested an invocation (exit status: 7)";
    assert_eq!(alb.outcome().2, exit);
    assert!(!alb.has_seen(|notice| matches!(notice, Notice::Warning { .. })));
}

#[test]
fn beyond_all_workers_requests_are_throttled() {
    let mut settings = managed(2);
    let function = &mut settings.functions[0];
    (function.max_concurrency, function.reserved_by) = (1, Some("--max-concurrency"));
    let alb = Alb::start(settings);
    let mut statuses = alb.at_once(5, "/sleep/800");
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 502, 502, 502]);
}

#[test]
fn extensions_may_not_ask_for_invocations() {
    for (events, told) in [("INVOKE", "403 Extension.InvalidEventType, "), ("SHUTDOWN", "200 ok, ")] {
        let mut settings = managed(2);
        let function = &mut settings.functions[0];
        function.extensions.push(example("scripted_extension"));
        function.env.push(("EXTENSION_EVENTS".into(), events.into()));
        let mut alb = Alb::start(settings);
        let status = alb.get("/", "").status;
        assert_eq!(status, if events == "INVOKE" { 502 } else { 200 });
        assert!(alb.line("extension registered: ").starts_with(told));
    }
}

#[test]
#[cfg(target_os = "linux")]
fn nothing_is_frozen() {
    let mut settings = managed(2);
    settings.functions[0].freeze = true;
    let alb = Alb::start(settings);
    let pid = alb.get("/pid", "").json()["pid"].as_u64().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(support::state_of(pid), Some('S'));
}
