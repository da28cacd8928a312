//! Extensions: registration, events, what they hold up and what ends with them.

use std::time::Duration;

use crossfade_emulator::Settings;
use crossfade_event::HeaderMode;
use serde_json::{Value, json};

use crate::support::{Alb, PATIENCE, eventually, example, scripted, settings, state_of};

fn with_extension(events: &str, script: &str) -> Settings {
    let mut settings = settings(HeaderMode::Single);
    add_extension(&mut settings, events, script);
    settings
}

fn add_extension(settings: &mut Settings, events: &str, script: &str) {
    let function = &mut settings.functions[0];
    function.extensions.push(example("scripted_extension"));
    function.env.push(("EXTENSION_EVENTS".into(), events.into()));
    function.env.push(("EXTENSION_SCRIPT".into(), script.into()));
}

fn event(alb: &mut Alb) -> Value {
    serde_json::from_str(&alb.line("extension event: ")).unwrap()
}

#[test]
fn an_external_extension_is_registered_before_the_runtime_starts() {
    let mut alb = Alb::start(with_extension("INVOKE,SHUTDOWN", "late"));
    assert_eq!(alb.get("/", "").status, 200);
    // Before the function's first line.
    assert_eq!(alb.line(""), "extension registers soon");
    let about = json!({
        "accountId": "000000000000", "functionName": "scripted", "functionVersion": "$LATEST", "handler": "bootstrap"
    });
    assert_eq!(alb.line("extension registered: "), format!("200 ok, {about}"));
    // Some variables are the runtime's alone.
    assert_eq!(alb.line("extension has _HANDLER: "), "false");
}

#[test]
fn an_extension_hears_of_each_invocation() {
    let mut alb = Alb::start(with_extension("INVOKE", ""));
    for _ in 0..2 {
        let fields = alb.get("/invocation", "").json();
        let event = event(&mut alb);
        assert_eq!(event["eventType"], "INVOKE");
        assert_eq!(event["requestId"], fields["lambda-runtime-aws-request-id"]);
        assert_eq!(event["invokedFunctionArn"], fields["lambda-runtime-invoked-function-arn"]);
        assert_eq!(event["deadlineMs"].to_string(), fields["lambda-runtime-deadline-ms"].as_str().unwrap());
        let tracing = json!({"type": "X-Amzn-Trace-Id", "value": fields["lambda-runtime-trace-id"]});
        assert_eq!(event["tracing"], tracing);
    }
}

/// "After receiving the function response from the runtime, Lambda returns the response to the client, even if extensions
/// are still running"; the environment is not idle before they are done.
#[test]
fn a_slow_extension_does_not_hold_up_the_client_but_the_environment() {
    let mut alb = Alb::start(with_extension("INVOKE", "slow"));
    for environment in [1, 2] {
        assert_eq!(alb.get("/", "").status, 200);
        assert_eq!(alb.exchange().environment, Some(environment));
    }
    // Once its extension is through, an environment serves again.
    for _ in 0..20 {
        std::thread::sleep(Duration::from_millis(300));
        assert_eq!(alb.get("/", "").status, 200);
        if !alb.exchange().cold {
            return;
        }
    }
    panic!("no environment is used again");
}

#[test]
fn an_extension_that_is_never_through_runs_into_the_timeout() {
    let mut settings = with_extension("INVOKE,SHUTDOWN", "stuck");
    settings.functions[0].timeout = Duration::from_millis(600);
    let mut alb = Alb::start(settings);
    assert_eq!(alb.get("/", "").status, 200);
    let text =
        "environment 1 responded but did not request another invocation within the timeout of 0.6 s; it was killed";
    assert_eq!(alb.warning(), text);
    // The runtime hears of it, and has ended before the extension's time is up.
    assert_eq!(alb.exited(), (1, "signal: 15 (SIGTERM)".into()));
}

#[test]
fn an_extension_that_wants_no_invocations_holds_up_nothing() {
    for events in ["", "SHUTDOWN"] {
        let mut alb = Alb::start(with_extension(events, ""));
        for _ in 0..3 {
            assert_eq!(alb.get("/", "").status, 200);
            assert_eq!(alb.exchange().environment, Some(1));
        }
    }
}

#[test]
fn shutdown_tells_those_that_registered_for_it() {
    let mut alb = Alb::start(with_extension("INVOKE,SHUTDOWN", ""));
    assert_eq!(alb.get("/", "").status, 200);
    assert_eq!(event(&mut alb)["eventType"], "INVOKE");
    alb.shutdown();
    let event = event(&mut alb);
    assert_eq!((&event["eventType"], &event["shutdownReason"]), (&json!("SHUTDOWN"), &json!("spindown")));
    assert!(event["deadlineMs"].is_u64());
    assert_eq!(alb.exited(), (1, "signal: 15 (SIGTERM)".into()));
}

#[test]
fn shutdown_kills_an_extension_that_does_not_go() {
    let mut alb = Alb::start(with_extension("SHUTDOWN", "stay"));
    assert_eq!(alb.get("/", "").status, 200);
    alb.shutdown();
    assert_eq!(event(&mut alb)["eventType"], "SHUTDOWN");
    alb.exited();
}

#[test]
fn extensions_are_told_why_an_environment_is_reset() {
    let told = |path, timeout| {
        let mut settings = with_extension("SHUTDOWN", "");
        settings.functions[0].timeout = timeout;
        let mut alb = Alb::start(settings);
        assert_eq!(alb.get(path, "").status, 502);
        event(&mut alb)["shutdownReason"].clone()
    };
    assert_eq!(told("/crash", PATIENCE), "failure");
    assert_eq!(told("/sleep/60000", Duration::from_millis(800)), "timeout");
    #[cfg(target_os = "linux")]
    assert_eq!(told("/memory/200/60000", PATIENCE), "failure");
}

#[test]
fn an_extension_that_fails_in_init_fails_the_init() {
    let exit = "the extension `scripted_extension` exited (exit status: 5), which ends the environment";
    let error = "the extension `scripted_extension` reported an error: Extension.Odd";
    for (script, told) in [("exit", exit), ("init-error", error)] {
        let mut alb = Alb::start(with_extension("INVOKE", script));
        assert_eq!(alb.get("/", "").status, 502);
        assert_eq!(alb.warning(), format!("{told}; its init phase is retried within the invocation, as in Lambda"));
        assert_eq!(alb.outcome(), (502, "LambdaUnhandled".into(), told.into()));
        if script == "init-error" {
            assert_eq!(alb.line("extension without a type: "), "403 Extension.MissingHeader");
            assert_eq!(alb.line("extension after its error: "), "403 Extension.InvalidExtensionState");
        }
    }
    let mut missing = settings(HeaderMode::Single);
    missing.functions[0].extensions = vec![vec!["/no/such/extension".into()]];
    let mut alb = Alb::start(missing);
    assert_eq!(alb.get("/", "").status, 502);
    assert_eq!(alb.outcome().2, "cannot start `/no/such/extension`: cannot find the file `/no/such/extension`");
}

#[test]
fn an_extension_that_fails_takes_the_environment_with_it() {
    let exit = "the extension `scripted_extension` exited (exit status: 4), which ends the environment";
    let error = "the extension `scripted_extension` reported an error: Extension.Odd: no more";
    for (script, told) in [("crash", exit), ("report", error)] {
        let mut alb = Alb::start(with_extension("INVOKE", script));
        assert_eq!(alb.get("/sleep/60000", "").status, 502);
        assert_eq!(alb.outcome(), (502, "LambdaUnhandled".into(), told.into()));
    }
}

#[test]
fn an_internal_extension_hears_of_invocations() {
    let mut alb = Alb::start(scripted("internal-invoke"));
    let fields = alb.get("/invocation", "").json();
    let event: Value = serde_json::from_str(&alb.line("internal event: ")).unwrap();
    assert_eq!(event["requestId"], fields["lambda-runtime-aws-request-id"]);
}

#[test]
fn what_cannot_be_registered_is_refused() {
    let mut alb = Alb::start(scripted("registrations"));
    assert_eq!(alb.get("/register-late", "").json(), "403 Extension.RegistrationClosed");
    let expected = [
        "403 Extension.InvalidEventType", // an internal extension may not have SHUTDOWN
        "403 Extension.InvalidEventType",
        "403 Extension.InvalidExtensionName",
        "403 InvalidRequestFormat",
        "403 Extension.MissingExtensionIdentifier",
        "403 Extension.InvalidExtensionIdentifier",
        "403 Extension.UnknownExtensionIdentifier",
        "404 NotFound",
        "403 Extension.InvalidExtensionState", // registered already
        "403 Extension.TooManyExtensions",     // the 11th
    ];
    assert_eq!(alb.line("registrations: "), expected.join(", "));
}

#[test]
fn a_subscription_to_telemetry_is_taken_and_nothing_comes() {
    let mut alb = Alb::start(with_extension("INVOKE", "telemetry"));
    assert_eq!(alb.get("/", "").status, 200);
    assert_eq!(alb.line("extension subscribed: "), "202 Telemetry.NotSupported");
    let text = "the extension `scripted_extension` subscribed to telemetry or logs, which are not emulated";
    assert_eq!(alb.warning(), text);
}

#[test]
#[cfg(target_os = "linux")]
fn extensions_are_frozen_too() {
    let mut settings = with_extension("INVOKE,SHUTDOWN", "");
    settings.functions[0].freeze = true;
    let mut alb = Alb::start(settings);
    let pid = alb.get("/pid", "").json()["pid"].as_u64().unwrap();
    let extension = extension_beside(pid);
    for _ in 0..2 {
        eventually("the freezing", || state_of(pid) == Some('T') && state_of(extension) == Some('T'));
        assert_eq!(alb.get("/pid", "").json()["pid"], pid);
    }
    alb.shutdown();
    alb.line("extension event: {\"deadlineMs\"");
}

/// Such as two `node` programs: the name is the program's file name.
#[test]
fn two_extensions_of_one_name_are_told() {
    let mut settings = settings(HeaderMode::Single);
    settings.functions[0].extensions = vec![vec!["node".into(), "a.js".into()], vec!["/bin/node".into()]];
    let text = "two external extensions are called `node`, but only one can register; \
                start each by a script with a name of its own";
    assert_eq!(Alb::start(settings).warning(), text);
}

/// After the answer there is no exchange to tell it in.
#[test]
fn an_extension_that_fails_after_the_answer_is_told_all_the_same() {
    let mut alb = Alb::start(with_extension("INVOKE", "crash-late"));
    assert_eq!(alb.get("/", "").status, 200);
    assert_eq!(alb.exchange().problem, None);
    let told = "the extension `scripted_extension` exited (exit status: 4), which ends the environment";
    assert_eq!(alb.warning(), told);
    assert_eq!(alb.get("/pid", "").json()["served"], 1);
}

/// The extension in the environment of this function: other tests have some at the same time, but each environment has a
/// Runtime API of its own.
#[cfg(target_os = "linux")]
fn extension_beside(function: u64) -> u64 {
    let runtime_api = |pid: u64| {
        let variables = std::fs::read_to_string(format!("/proc/{pid}/environ")).unwrap_or_default();
        variables.split('\0').find(|variable| variable.starts_with("AWS_LAMBDA_RUNTIME_API=")).map(str::to_owned)
    };
    let own = runtime_api(function).unwrap();
    let all = std::fs::read_dir("/proc").unwrap();
    let pids = all.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<u64>().ok());
    let others: Vec<u64> = pids.filter(|pid| *pid != function && runtime_api(*pid).as_ref() == Some(&own)).collect();
    let [extension] = others[..] else { panic!("processes with {own}: {others:?}") };
    extension
}

/// As with the Lambda Web Adapter, whose server would otherwise have the same port in each environment.
#[test]
fn each_environment_has_its_own_port_for_a_server_and_its_extension() {
    let mut settings = settings(HeaderMode::Single);
    let function = &mut settings.functions[0];
    let adapter = example("web_adapter");
    function.command = [&adapter[..], &["server".to_owned()]].concat();
    function.extensions = vec![adapter];
    function.env.push(("AS_IN_AWS".to_owned(), "{port}".to_owned()));
    function.local_env.push(("PORT".to_owned(), "{port}".to_owned()));
    let alb = Alb::start(settings);
    let mut ports: Vec<String> = std::thread::scope(|scope| {
        let ask = || String::from_utf8(alb.get("/", "").body).unwrap();
        let clients: Vec<_> = (0..3).map(|_| scope.spawn(ask)).collect();
        clients.into_iter().map(|client| client.join().unwrap()).collect()
    });
    ports.sort_unstable();
    ports.dedup();
    assert!(ports.len() == 3 && ports.iter().all(|port| port.parse::<u16>().is_ok()), "{ports:?}");
}
