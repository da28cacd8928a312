//! The life of an environment: init and its second try, freezing, memory, how it ends.

use std::time::Duration;

use crossfade_emulator::{Notice, Settings};
use crossfade_event::HeaderMode;
use crossfade_testkit::folder::Folder;

use crate::support::{self, Alb, eventually, is_alive, scripted, settings, single, state_of};

/// A file that the first process leaves for the second one.
struct Once(Folder);

impl Once {
    fn new() -> Self {
        Self(Folder::new())
    }

    fn scripted(&self, script: &str) -> Settings {
        let mut settings = scripted(script);
        settings.functions[0].env.push(("ONCE".into(), self.0.join("once").to_str().unwrap().into()));
        settings
    }
}

/// "Lambda retries the Init phase at the time of the first function invocation with the configured function timeout."
#[test]
fn a_failed_init_is_tried_once_more_within_the_invocation() {
    for (script, told) in [
        ("init-error-once", "the function failed to initialise: Config.Missing: no back end configured"),
        ("exit-once", "the function's process exited before it requested an invocation (exit status: 7)"),
        ("silent-once", "the function did not request its first invocation within the init timeout of 0.5 s"),
    ] {
        let once = Once::new();
        let mut settings = once.scripted(script);
        settings.functions[0].init_timeout = Duration::from_millis(500);
        settings.functions[0].max_concurrency = 1;
        let mut alb = Alb::start(settings);
        assert_eq!(alb.get("/", "").status, 200, "{script}");
        assert_eq!(alb.warning(), format!("{told}; its init phase is retried within the invocation, as in Lambda"));
        let exchange = alb.exchange();
        assert_eq!((exchange.environment, exchange.cold, exchange.problem), (Some(2), true, None));
    }
}

#[test]
fn what_cannot_be_started_is_not_tried_twice() {
    let mut settings = settings(HeaderMode::Single);
    settings.functions[0].command = vec!["/no/such/program".into()];
    let mut alb = Alb::start(settings);
    assert_eq!(alb.get("/", "").status, 502);
    assert_eq!(alb.outcome().2, "cannot start `/no/such/program`: cannot find the file `/no/such/program`");
    assert!(!alb.has_seen(|notice| matches!(notice, Notice::Warning { .. })));
}

#[test]
fn an_init_error_after_init_is_refused() {
    assert_eq!(single().get("/init-error-late", "").json(), "403 InvalidStateTransition");
}

#[test]
#[cfg(target_os = "linux")]
fn a_frozen_process_is_stopped_between_invocations() {
    let mut settings = settings(HeaderMode::Single);
    settings.functions[0].freeze = true;
    let mut alb = Alb::start(settings);
    let answer = alb.get("/child", "").json();
    let (pid, child) = (answer["pid"].as_u64().unwrap(), answer["child"].as_u64().unwrap());
    for _ in 0..3 {
        // With what it has started.
        eventually("the freezing", || state_of(pid) == Some('T') && state_of(child) == Some('T'));
        assert_eq!(alb.get("/pid", "").json()["pid"], pid);
    }
    eventually("the freezing", || state_of(pid) == Some('T'));
    alb.shutdown();
    assert!(!is_alive(pid));
    eventually("the end of the child", || !is_alive(child));
}

#[test]
#[cfg(target_os = "linux")]
fn without_freezing_a_process_goes_on() {
    let alb = single();
    let pid = alb.get("/pid", "").json()["pid"].as_u64().unwrap();
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(state_of(pid), Some('S'));
}

#[test]
#[cfg(target_os = "linux")]
fn the_memory_of_an_environment_is_its_peak_so_far() {
    let mut alb = single();
    let mut memory = |path: &str| {
        assert_eq!(alb.get(path, "").status, 200);
        alb.exchange().memory.unwrap() >> 20
    };
    let before = memory("/");
    assert!(before < 30, "{before}");
    let used = memory("/memory/60/200");
    assert!((60..100).contains(&used), "{used}");
    // The memory is free again; the figure stays, as Lambda's `Max Memory Used` does.
    assert_eq!(memory("/"), used);
}

#[test]
#[cfg(target_os = "linux")]
fn too_much_memory_is_the_end() {
    let mut alb = single();
    assert_eq!(alb.get("/memory/200/60000", "").status, 502);
    let (status, reason, problem) = alb.outcome();
    assert_eq!((status, reason.as_str()), (502, "LambdaUnhandled"));
    // It may have been caught in the middle.
    let used = problem.strip_prefix("out of memory: the function used ").unwrap();
    let (used, rest) = used.split_once(' ').unwrap();
    assert!((129..=230).contains(&used.parse().unwrap()), "{problem}");
    assert_eq!(rest, "MiB of 128 MiB; its process was killed (`Runtime.OutOfMemory`)");
    assert_eq!(alb.exited(), (1, "signal: 9 (SIGKILL)".into()));
    assert_eq!(alb.get("/pid", "").json()["served"], 1);
    // With another limit the same is fine.
    let mut larger = settings(HeaderMode::Single);
    larger.functions[0].memory_mib = 512;
    assert_eq!(Alb::start(larger).get("/memory/200/200", "").status, 200);
}

#[test]
#[cfg(target_os = "linux")]
fn too_much_memory_in_init_is_tried_twice_too() {
    let mut alb = Alb::start(scripted("init-memory"));
    assert_eq!(alb.get("/", "").status, 502);
    assert!(alb.warning().starts_with("out of memory: "));
    assert!(alb.outcome().2.starts_with("out of memory: "));
}

/// A program that tells of a SIGTERM, and whether it was the shell or the function that started it.
fn with_a_trap(settings: &mut Settings) {
    let script = "trap 'echo terminated' TERM; \"$0\" & wait $!; wait $!";
    let command = [&["sh".to_owned(), "-c".to_owned(), script.to_owned()], &support::scripted_function()[..]].concat();
    settings.functions[0].command = command;
}

#[test]
fn without_an_extension_there_is_no_sigterm() {
    let mut settings = settings(HeaderMode::Single);
    with_a_trap(&mut settings);
    let mut alb = Alb::start(settings);
    assert_eq!(alb.get("/", "").status, 200);
    alb.shutdown();
    assert_eq!(alb.exited(), (1, "signal: 9 (SIGKILL)".into()));
    assert!(!alb.has_seen(|notice| matches!(notice, Notice::FunctionLine { line, .. } if line == "terminated")));
}

#[test]
fn with_an_internal_extension_sigterm_comes_first() {
    for freeze in [false, true] {
        let mut settings = scripted("internal");
        settings.functions[0].freeze = freeze;
        with_a_trap(&mut settings);
        let mut alb = Alb::start(settings);
        assert_eq!(alb.get("/", "").status, 200);
        alb.shutdown();
        alb.line("terminated");
        // The function has no handler, so it ended by the signal, and the shell after it.
        let (_, status) = alb.exited();
        assert_eq!(status, "exit status: 143", "{freeze}");
    }
}
