//! The Lambda side: environments, their Runtime API, and every way in which a function can fail.

use std::collections::BTreeSet;
use std::time::Duration;

use crossfade_emulator::{Notice, Settings};
use crossfade_event::HeaderMode;
use crossfade_testkit::folder::Folder;
use serde_json::Value;

use crate::support::{self, Alb, client, eventually, is_alive, scripted, settings, single};

#[test]
fn the_environment_is_lambda_s() {
    let mut settings = settings(HeaderMode::Single);
    settings.functions[0].env = vec![("OWN".into(), "1".into()), ("AWS_REGION".into(), "eu-west-1".into())];
    let alb = Alb::start(settings);
    let variables = alb.get("/env", "").json();
    // Lambda developer guide, "Defined runtime environment variables".
    let expected = [
        ("AWS_LAMBDA_FUNCTION_NAME", "scripted"),
        ("AWS_LAMBDA_FUNCTION_VERSION", "$LATEST"),
        ("AWS_LAMBDA_FUNCTION_MEMORY_SIZE", "128"),
        ("AWS_LAMBDA_INITIALIZATION_TYPE", "on-demand"),
        ("AWS_LAMBDA_LOG_GROUP_NAME", "/aws/lambda/scripted"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_XRAY_CONTEXT_MISSING", "LOG_ERROR"),
        ("LAMBDA_RUNTIME_DIR", "/var/runtime"),
        ("LANG", "en_US.UTF-8"),
        ("TZ", ":UTC"),
        ("OWN", "1"),
    ];
    for (name, value) in expected {
        assert_eq!(variables[name], value, "{name}");
    }
    for name in ["AWS_LAMBDA_LOG_STREAM_NAME", "LAMBDA_TASK_ROOT", "_HANDLER", "PATH"] {
        assert!(variables[name].as_str().is_some_and(|value| !value.is_empty()), "{name}");
    }
    assert!(variables["AWS_LAMBDA_RUNTIME_API"].as_str().unwrap().starts_with("127.0.0.1:"));
    // Nothing else of this machine leaks in; keys are not made up; the rest is not for an OS-only runtime.
    let absent = ["CARGO_MANIFEST_DIR", "AWS_ACCESS_KEY_ID", "AWS_EXECUTION_ENV", "_X_AMZN_TRACE_ID"];
    for name in absent.into_iter().chain(["AWS_LAMBDA_MAX_CONCURRENCY", "LD_LIBRARY_PATH"]) {
        assert_eq!(variables.get(name), None, "{name}");
    }
}

#[test]
fn a_managed_runtime_is_told_its_name_and_runs_in_its_folder() {
    let folder = std::env::temp_dir().canonicalize().unwrap();
    let mut settings = settings(HeaderMode::Single);
    settings.functions[0].runtime = Some("nodejs22.x".into());
    settings.functions[0].handler = "index.handler".into();
    settings.functions[0].directory = Some(folder.clone());
    let alb = Alb::start(settings);
    let variables = alb.get("/env", "").json();
    assert_eq!(variables["AWS_EXECUTION_ENV"], "AWS_Lambda_nodejs22.x");
    assert_eq!(variables["_HANDLER"], "index.handler");
    assert_eq!(variables["LAMBDA_TASK_ROOT"], folder.to_str().unwrap());
    assert_eq!(alb.get("/directory", "").json(), folder.to_str().unwrap());
    // A `provided` runtime has no `AWS_EXECUTION_ENV`.
    let mut provided = support::settings(HeaderMode::Single);
    provided.functions[0].runtime = Some("provided.al2023".into());
    assert_eq!(Alb::start(provided).get("/env", "").json().get("AWS_EXECUTION_ENV"), None);
}

#[test]
fn more_variables_than_lambda_takes_are_told_once() {
    let mut settings = settings(HeaderMode::Single);
    // What is handed on from this machine is not deployed, and does not count.
    let inherited = ("PATH".to_owned(), std::env::var("PATH").unwrap());
    settings.functions[0].env = vec![("LARGE".into(), "x".repeat(4092)), inherited];
    let mut alb = Alb::start(settings);
    let text = "the environment variables are 4097 bytes long, names included; Lambda's limit is 4096";
    assert_eq!(alb.warning(), text);
    assert_eq!(alb.get("/", "").status, 200);
    assert!(!alb.has_seen(|notice| matches!(notice, Notice::Warning { .. })));
}

#[test]
fn an_invocation_carries_what_the_runtime_api_promises() {
    let mut alb = single();
    let trace = "X-Amzn-Trace-Id: Root=1-67891233-abcdef012345678912345678\r\n";
    let before = now_ms();
    let fields = alb.get("/invocation", trace).json();
    let text = |name: &str| fields[name].as_str().unwrap_or_else(|| panic!("{name}: {fields}")).to_owned();
    let deadline: u128 = text("lambda-runtime-deadline-ms").parse().unwrap();
    let timeout = settings(HeaderMode::Single).functions[0].timeout.as_millis();
    assert!((before + timeout..=now_ms() + timeout).contains(&deadline));
    assert_eq!(
        text("lambda-runtime-invoked-function-arn").rsplit_once(":000000000000:").unwrap().1,
        "function:scripted"
    );
    assert!(text("lambda-runtime-trace-id").starts_with("Root=1-67891233-abcdef012345678912345678;Parent="));
    assert_eq!(text("lambda-runtime-aws-request-id").len(), 36);
    assert_eq!(text("lambda-runtime-invocation-id").len(), 36);
    assert_eq!(text("content-type"), "application/json");
    // The exchange tells the same request id, for the developer to find it in the log.
    let told = alb.exchange().request_id;
    assert_eq!(told.as_deref(), fields["lambda-runtime-aws-request-id"].as_str());
    let again = alb.get("/invocation", trace).json();
    assert_ne!(fields["lambda-runtime-aws-request-id"], again["lambda-runtime-aws-request-id"]);
}

fn now_ms() -> u128 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis()
}

#[test]
fn misuse_of_the_runtime_api_is_refused_and_survived() {
    let mut alb = single();
    let statuses = alb.get("/post/misuse", "").json();
    let expected = [
        "400 InvalidRequestID",
        "400 InvalidInvocationId",
        "400 InvalidInvocationId",
        "403 next",
        "400 InvalidFunctionResponseMode",
    ];
    assert_eq!(statuses, serde_json::json!(expected));
    // A response without the invocation id is taken; a second one is too late.
    assert_eq!(alb.get("/post/twice", "").status, 200);
    let line = alb.notice(|notice| match notice {
        Notice::FunctionLine { line, environment: 1, .. } if line.starts_with("late answers: ") => Some(line.clone()),
        _ => None,
    });
    assert_eq!(line, "late answers: 202 ok, 410 InvocationOver, 410 InvocationOver");
    assert_eq!(alb.get("/pid", "").json()["served"], 3);
}

#[test]
fn a_reported_error_is_a_502_and_the_environment_lives_on() {
    let mut alb = single();
    assert_eq!(alb.get("/error", "").status, 502);
    let problem = "the function reported an error: Function.Odd: it went wrong";
    assert_eq!(alb.outcome(), (502, "LambdaUnhandled".into(), problem.into()));
    assert_eq!(alb.get("/streaming", "").status, 502);
    let problem = "the function streamed its response, but ALB accepts only buffered responses";
    assert_eq!(alb.outcome(), (502, "LambdaInvalidResponse".into(), problem.into()));
    assert_eq!(alb.get("/pid", "").json()["served"], 3);
}

#[test]
fn a_crash_is_a_502_at_once_and_the_next_request_gets_a_new_process() {
    let mut alb = single();
    assert_eq!(alb.get("/pid", "").status, 200);
    alb.exchange();
    assert_eq!(alb.get("/crash", "").status, 502);
    let problem = "the function's process exited before it responded (exit status: 3)";
    assert_eq!(alb.outcome(), (502, "LambdaUnhandled".into(), problem.into()));
    assert_eq!(alb.exited(), (1, "exit status: 3".into()));
    // What it wrote is there, from both streams, before its end was told.
    for expected in ["starting with SCRIPT=", "crashing"] {
        alb.notice(|notice| matches!(notice, Notice::FunctionLine { line, .. } if line == expected).then_some(()));
    }
    assert_eq!(alb.get("/pid", "").json()["served"], 1);
    let exchange = alb.exchange();
    assert_eq!((exchange.environment, exchange.cold), (Some(2), true));
}

#[test]
fn a_process_that_ends_after_its_answer_costs_no_request() {
    let mut alb = single();
    for _ in 0..5 {
        assert_eq!(alb.get("/exit-after", "").status, 200);
        assert_eq!(alb.exchange().problem, None);
    }
}

#[test]
fn a_process_that_ends_while_idle_is_replaced() {
    let mut alb = single();
    let pid = alb.get("/pid", "").json()["pid"].as_u64().unwrap();
    assert!(std::process::Command::new("kill").args(["-9", &pid.to_string()]).status().unwrap().success());
    assert_eq!(alb.exited(), (1, "signal: 9 (SIGKILL)".into()));
    assert_eq!(alb.get("/pid", "").json()["served"], 1);
}

#[test]
fn a_timeout_kills_the_process_and_replaces_it() {
    let mut settings = settings(HeaderMode::Single);
    settings.functions[0].timeout = Duration::from_millis(400);
    settings.functions[0].max_concurrency = 1;
    let mut alb = Alb::start(settings);
    let pid = alb.get("/pid", "").json()["pid"].as_u64().unwrap();
    alb.exchange();
    assert_eq!(alb.get("/sleep/60000", "").status, 502);
    let problem = "the function did not respond within its timeout of 0.4 s; its process was killed";
    assert_eq!(alb.outcome(), (502, "LambdaUnhandled".into(), problem.into()));
    // The killed one no longer counts towards the limit.
    assert_eq!(alb.get("/pid", "").json()["served"], 1);
    assert_eq!(alb.exited(), (1, "signal: 9 (SIGKILL)".into()));
    assert!(!is_alive(pid));
}

#[test]
fn failures_to_start_are_told_in_words() {
    let outcome = |settings| {
        let mut alb = Alb::start(settings);
        assert_eq!(alb.get("/", "").status, 502);
        let (_, reason, problem) = alb.outcome();
        assert_eq!(reason, "LambdaUnhandled");
        problem
    };
    let mut missing = settings(HeaderMode::Single);
    missing.functions[0].command = vec!["/no/such/program".into(), "argument".into()];
    assert_eq!(outcome(missing), "cannot start `/no/such/program`: cannot find the file `/no/such/program`");
    let error = "the function failed to initialise: Config.Missing: no back end configured";
    assert_eq!(outcome(scripted("init-error")), error);
    let exit = "the function's process exited before it requested an invocation (exit status: 7)";
    assert_eq!(outcome(scripted("exit")), exit);
    // A program that knows nothing of Lambda.
    let mut handler = settings(HeaderMode::Single);
    handler.functions[0].command = ["true", "handler.py"].map(String::from).to_vec();
    let advice = "it never called Lambda's Runtime API: a Python handler needs a runtime client: \
                  `pip install awslambdaric`, then `--function 'python3 -m awslambdaric handler.handler'`; \
                  a web server needs the Lambda Web Adapter as `--extension`";
    let exit = "the function's process exited before it requested an invocation (exit status: 0)";
    assert_eq!(outcome(handler), format!("{exit}; {advice}"));
    let mut server = settings(HeaderMode::Single);
    server.functions[0].command = ["sleep", "600"].map(String::from).to_vec();
    server.functions[0].init_timeout = Duration::from_millis(300);
    server.functions[0].timeout = Duration::from_millis(400);
    assert!(outcome(server).contains("its timeout of 0.4 s; it never called Lambda's Runtime API"));
    // `env` runs, and then finds no `sh\\r`.
    let folder = Folder::new();
    let script = folder.write("start", "#!/usr/bin/env sh\r\nexit\r\n");
    std::fs::set_permissions(&script, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    let mut windows = settings(HeaderMode::Single);
    windows.functions[0].command = vec![script];
    assert!(outcome(windows).contains("(exit status: 127); `/"));
    let mut silent = scripted("silent");
    silent.functions[0].init_timeout = Duration::from_millis(300);
    silent.functions[0].timeout = Duration::from_millis(400);
    let timeout = "the function was restarted and did not request its first invocation within its timeout of 0.4 s";
    assert!(outcome(silent).starts_with(timeout));
}

#[test]
fn a_function_that_cannot_start_is_tried_again_for_each_request() {
    let mut settings = scripted("init-error");
    settings.functions[0].max_concurrency = 1;
    let mut alb = Alb::start(settings);
    for _ in 0..3 {
        assert_eq!(alb.get("/", "").status, 502);
        assert!(alb.outcome().2.starts_with("the function failed to initialise"));
    }
}

#[test]
fn environments_are_started_as_concurrency_needs_and_the_last_used_is_reused() {
    let mut alb = single();
    assert_eq!(alb.at_once(4, "/sleep/600"), [200; 4]);
    let mut first: Vec<_> = (0..4).map(|_| alb.exchange()).collect();
    first.sort_by_key(|exchange| exchange.environment);
    assert!(first.iter().all(|exchange| exchange.cold));
    assert_eq!(first.iter().map(|exchange| exchange.environment.unwrap()).collect::<Vec<_>>(), [1, 2, 3, 4]);
    // From now on there are enough, and the one that was used last is taken first. It may not have asked for more yet when
    // the next request comes, so a change now and then is fine; taking turns is not.
    let mut used = Vec::new();
    for _ in 0..10 {
        assert_eq!(alb.get("/", "").status, 200);
        let exchange = alb.exchange();
        assert!(!exchange.cold && exchange.environment <= Some(4), "{exchange:?}");
        used.push(exchange.environment);
        std::thread::sleep(Duration::from_millis(20));
    }
    let changes = used.windows(2).filter(|pair| pair[0] != pair[1]).count();
    assert!(changes <= 4, "{used:?}");
}

// A slow back end uses up the concurrency.
#[test]
fn beyond_the_limit_lambda_throttles() {
    let mut settings = settings(HeaderMode::Single);
    reserve(&mut settings, 2);
    let mut alb = Alb::start(settings);
    let mut statuses = alb.at_once(5, "/sleep/800");
    statuses.sort_unstable();
    assert_eq!(statuses, [200, 200, 502, 502, 502]);
    let throttled = alb.notice(|notice| match notice {
        Notice::Exchange(exchange) if exchange.status == 502 => Some(exchange.clone()),
        _ => None,
    });
    assert_eq!(throttled.elb_reason.as_deref(), Some("LambdaThrottling"));
    let problem = "throttled: all 2 environments are busy, and `--max-concurrency` allows no more; \
                   raise it unless you are testing this";
    assert_eq!(throttled.problem.as_deref(), Some(problem));
    assert_eq!(throttled.environment, None);
    assert_eq!(alb.get("/", "").status, 200);
}

fn reserve(settings: &mut Settings, environments: usize) {
    let function = &mut settings.functions[0];
    (function.max_concurrency, function.reserved_by) = (environments, Some("--max-concurrency"));
}

#[test]
fn without_a_reserved_concurrency_requests_wait_for_their_turn() {
    let mut settings = settings(HeaderMode::Single);
    settings.functions[0].max_concurrency = 2;
    let mut alb = Alb::start(settings);
    assert_eq!(alb.at_once(30, "/sleep/100"), [200; 30]);
    let environments: BTreeSet<_> = (0..30).map(|_| alb.exchange().environment.unwrap()).collect();
    assert_eq!(environments, BTreeSet::from([1, 2]));
    // In 1.5 s some of them have waited longer than a second.
    let told = alb.warning();
    assert!(told.starts_with("all 2 environments are busy, and further requests wait"), "{told}");
    assert!(!alb.has_seen(|notice| matches!(notice, Notice::Warning { .. })), "it is told once");
}

#[test]
fn an_environment_that_is_killed_lets_the_next_one_in() {
    for script in ["/sleep/60000", "/crash"] {
        let mut settings = settings(HeaderMode::Single);
        settings.functions[0].timeout = Duration::from_millis(500);
        settings.functions[0].max_concurrency = 1;
        let alb = Alb::start(settings);
        assert_eq!(alb.at_once(4, script), [502; 4]);
        assert_eq!(alb.get("/", "").status, 200);
    }
}

#[test]
fn as_many_clients_as_environments_lose_no_request() {
    let mut settings = settings(HeaderMode::Single);
    reserve(&mut settings, 32);
    let alb = Alb::start(settings);
    std::thread::scope(|scope| {
        let clients: Vec<_> =
            (0..32).map(|_| scope.spawn(|| (0..20).map(|_| alb.get("/sleep/5", "").status).max())).collect();
        for client in clients {
            assert_eq!(client.join().unwrap(), Some(200));
        }
    });
}

#[test]
fn waiting_requests_do_not_hold_up_the_shutdown() {
    let mut settings = settings(HeaderMode::Single);
    settings.functions[0].max_concurrency = 1;
    let mut alb = Alb::start(settings);
    let mut clients: Vec<_> = (0..5).map(|_| alb.connect()).collect();
    for client in &mut clients {
        client.write("GET /sleep/60000 HTTP/1.1\r\nhost: a.example\r\n\r\n");
    }
    std::thread::sleep(Duration::from_millis(300));
    let began = std::time::Instant::now();
    alb.shutdown();
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    for _ in 0..5 {
        assert_eq!(alb.outcome(), (502, "LambdaServiceException".into(), "the emulator is shutting down".into()));
    }
}

#[test]
fn a_reserved_concurrency_of_0_throttles_everything() {
    let mut settings = settings(HeaderMode::Single);
    reserve(&mut settings, 0);
    let mut alb = Alb::start(settings);
    assert_eq!(alb.get("/", "").status, 502);
    let problem = "throttled: `--max-concurrency` is 0";
    assert_eq!(alb.outcome(), (502, "LambdaThrottling".into(), problem.into()));
}

#[test]
fn work_after_the_answer_keeps_an_environment_busy() {
    let mut alb = single();
    assert_eq!(alb.get("/slow-next/600", "").status, 200);
    assert_eq!(alb.get("/", "").status, 200);
    assert_eq!((alb.exchange().environment, alb.exchange().environment), (Some(1), Some(2)));
}

/// The timeout is for the whole invoke phase, which ends when the runtime asks for more.
#[test]
fn a_next_that_never_comes_ends_the_environment() {
    let mut settings = settings(HeaderMode::Single);
    settings.functions[0].timeout = Duration::from_millis(400);
    let mut alb = Alb::start(settings);
    assert_eq!(alb.get("/slow-next/600000", "").status, 200);
    assert_eq!(alb.exchange().problem, None);
    let text =
        "environment 1 responded but did not request another invocation within the timeout of 0.4 s; it was killed";
    assert_eq!(alb.warning(), text);
    assert_eq!(alb.exited(), (1, "signal: 9 (SIGKILL)".into()));
    assert_eq!(alb.get("/", "").status, 200);
}

#[test]
fn shutdown_ends_every_process_and_what_it_started() {
    let mut alb = single();
    // Two environments, one of them in the middle of an invocation, and a grandchild that ignores SIGTERM.
    let answer: Value = alb.get("/child", "").json();
    let (pid, child) = (answer["pid"].as_u64().unwrap(), answer["child"].as_u64().unwrap());
    let mut busy = alb.connect();
    busy.write(b"GET /sleep/60000 HTTP/1.1\r\nHost: a\r\n\r\n");
    let other = alb.connect();
    assert!(is_alive(pid) && is_alive(child));
    alb.shutdown();
    assert!(!is_alive(pid));
    eventually("the end of the grandchild", || !is_alive(child));
    assert!(std::net::TcpStream::connect(alb.address).is_err());
    drop(other);
}

#[test]
fn a_dropped_emulator_leaves_no_process_behind() {
    let alb = single();
    let answer: Value = alb.get("/child", "").json();
    let (pid, child) = (answer["pid"].as_u64().unwrap(), answer["child"].as_u64().unwrap());
    alb.drop_without_shutdown();
    eventually("the end of the processes", || !is_alive(pid) && !is_alive(child));
}

/// A web page, of any site, can send requests to loopback: by a name of its own that leads there it would read the next event.
/// Neither API of Lambda's answers one, and the event stays with the function.
#[test]
fn no_web_page_gets_an_event() {
    let mut alb = Alb::start(settings(HeaderMode::Single));
    let variables = alb.get("/env", "").json();
    let address = variables["AWS_LAMBDA_RUNTIME_API"].as_str().unwrap();
    let port = address.rsplit(':').next().unwrap();
    let ask = |line: &str, fields: &str| {
        let text = format!("{line} HTTP/1.1\r\n{fields}content-length: 2\r\nconnection: close\r\n\r\n{{}}");
        client::send(address, text).status
    };
    let own = format!("host: {address}\r\n");
    let pages = [
        format!("host: evil.example:{port}\r\n"),
        "host: evil.example\r\n".to_owned(),
        format!("{own}{own}"),
        format!("{own}origin: http://evil.example\r\n"),
        format!("{own}origin: null\r\n"),
        format!("{own}sec-fetch-site: cross-site\r\nsec-fetch-mode: no-cors\r\nsec-fetch-dest: image\r\n"),
        format!("{own}sec-fetch-site: none\r\nsec-fetch-mode: navigate\r\n"),
    ];
    for fields in &pages {
        for line in [
            "GET /2018-06-01/runtime/invocation/next",
            "POST /2018-06-01/runtime/init/error",
            "POST /2018-06-01/runtime/invocation/x/response",
            "GET /2020-01-01/extension/event/next",
            "POST /2020-01-01/extension/register",
            "PUT /2022-07-01/telemetry",
            "OPTIONS /2018-06-01/runtime/invocation/next",
        ] {
            assert_eq!(ask(line, fields), 403, "{line} {fields}");
        }
    }
    // Programs are answered, by whatever spelling of the address.
    for host in [address, &format!("localhost:{port}"), &format!("LOCALHOST:{port}"), &format!("[::1]:{port}")] {
        for more in ["", "user-agent: Mozilla/5.0\r\n", "sec-fetch-mode: cors\r\n"] {
            let fields = format!("host: {host}\r\n{more}");
            assert_eq!(ask("POST /2018-06-01/runtime/none", &fields), 404, "{fields}");
        }
    }
    assert_eq!(alb.get("/env", "").status, 200);
    assert_eq!(alb.exchange().environment, Some(1));
}
