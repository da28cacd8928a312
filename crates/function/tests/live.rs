//! Live state: where it comes from, when a change counts, and that nothing about it that fails is felt by a client. The stores
//! here are stand-ins that misbehave on purpose; `crates/cli/tests` has real ones.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::fs;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crossfade_testkit::process::Signal;
use crossfade_testkit::server::{Action, Server, closed_port};
use serde_json::{Value, json};
use support::{Call, Folder, Function, event, response, serve};

/// Shorter than a test's patience, longer than an invocation.
const INTERVAL: &str = "20ms";

/// A configuration with everyone on `legacy`, and its two systems, which say their names.
fn config(folder: &Folder) -> String {
    let system = |name: &'static str| serve(move |_| response("200 OK", &[], name.as_bytes()));
    let (legacy, modern) = (system("legacy"), system("modern"));
    folder.write(
        "crossfade.yaml",
        format!(
            "version: 1\nbackends: {{ legacy: 'http://{legacy}', modern: 'http://{modern}' }}\ndefault:\n  forward:\n    \
             targets: [{{ backend: legacy }}, {{ backend: modern, weight: 0 }}]\n"
        ),
    )
}

/// An overlay with everyone on one system.
fn everyone_on(system: &str, version: u32) -> String {
    let weight = |name: &str| u32::from(name == system);
    json!({
        "format": 1,
        "version": version,
        "by": "anna",
        "routes": { "default": { "weights": { "legacy": weight("legacy"), "modern": weight("modern") } } },
    })
    .to_string()
}

/// The system that answers the next request, and the version in its line.
fn ask(function: &Function) -> (String, Value) {
    let lines = |lines: &[Value]| lines.iter().filter(|line| line["type"] == "access").cloned().collect::<Vec<_>>();
    let before = lines(&function.log(0)).len();
    let reply = function.invoke(&event("GET", "/")).json();
    assert_eq!(reply["statusCode"], 200, "{reply}");
    let log = function.log_until(|log| lines(log).len() > before);
    (reply["body"].as_str().unwrap().to_owned(), lines(&log).pop().unwrap()["live"].clone())
}

/// Asks until a system answers.
#[track_caller]
fn assert_soon(function: &Function, expected: &str, version: u32) {
    let end = Instant::now() + support::PATIENCE;
    loop {
        let found = ask(function);
        if found == (expected.to_owned(), json!(version)) {
            return;
        }
        assert!(Instant::now() < end, "{found:?}, expected {expected} by version {version}\n{}", function.said());
        std::thread::sleep(Duration::from_millis(20));
    }
}

fn live_lines(function: &Function) -> Vec<Value> {
    function.log(0).into_iter().filter(|line| line["type"] == "live").collect()
}

#[test]
fn a_file_counts_from_the_next_request_on() {
    let folder = Folder::new();
    let file = folder.write("live.json", everyone_on("modern", 1));
    let config = config(&folder);
    let place = format!("file:{file}");
    let function = Function::start(&[("CROSSFADE_CONFIG", &config), ("CROSSFADE_LIVE", &place)]);
    assert_eq!(ask(&function), ("modern".to_owned(), json!(1)), "from the first request on");
    for (content, system, version) in [
        (everyone_on("legacy", 2), "legacy", 2),
        // None of these changes anything.
        ("{\"format\": 1, \"vers".to_owned(), "legacy", 2),
        (everyone_on("modern", 1), "legacy", 2),
        (everyone_on("modern", 3).replace("\"format\":1", "\"format\":2"), "legacy", 2),
        (format!("{{\"format\": 1, \"version\": 3, \"by\": \"{}\"}}", "x".repeat(1 << 20)), "legacy", 2),
        ("\u{0}\u{1}".to_owned(), "legacy", 2),
        (everyone_on("modern", 3), "modern", 3),
    ] {
        fs::write(&file, &content).unwrap();
        assert_eq!(ask(&function), (system.to_owned(), json!(version)), "{content:.60}");
    }
    // The same version with another content is another state.
    fs::write(&file, everyone_on("legacy", 3)).unwrap();
    assert_eq!(ask(&function), ("legacy".to_owned(), json!(3)), "edited by hand");
    fs::remove_file(&file).unwrap();
    assert_eq!(ask(&function), ("legacy".to_owned(), json!(3)), "gone for a moment");
    assert_eq!(ask(&function), ("legacy".to_owned(), Value::Null), "gone");
    fs::write(&file, everyone_on("modern", 1)).unwrap();
    assert_eq!(ask(&function), ("modern".to_owned(), json!(1)), "from the beginning");
    let lines = live_lines(&function);
    let errors: Vec<&str> = lines.iter().filter_map(|line| line["error"].as_str()).collect();
    assert_eq!(lines.len(), 5 + errors.len());
    for (error, part) in errors.iter().zip([
        "YAML",
        "older than 2",
        "unsupported format",
        "the limit is",
        "",
        "it is gone; if the next read",
        "the file alone decides",
    ]) {
        assert!(error.contains(part), "{error}, expected {part}");
    }
}

/// Every environment is to show the same, and a new one begins with what is in the store.
#[test]
fn a_state_that_goes_back_counts_if_it_stays() {
    let older = || Some(everyone_on("legacy", 3));
    let back = |states: Vec<Option<String>>| {
        let (folder, count) = (Folder::new(), Arc::new(Mutex::new(0)));
        let address = store(move |_| {
            let mut count = count.lock().unwrap();
            let state = states[states.len().min(*count + 1) - 1].clone();
            *count += 1;
            match state {
                Some(text) => response("200 OK", &[], text.as_bytes()),
                None => response("404 Not Found", &[], b"<Error><Code>NoSuchKey</Code></Error>"),
            }
        });
        let function = with_s3(&config(&folder), address);
        (folder, function)
    };
    let known = || Some(everyone_on("modern", 4));
    // A store may be slow to show the newest version everywhere.
    let (_folder, function) =
        back(vec![known(), older(), known(), None, known(), older(), Some(everyone_on("modern", 5))]);
    let end = Instant::now() + support::PATIENCE;
    loop {
        let (system, version) = ask(&function);
        assert_eq!(system, "modern", "{}", function.said());
        if version == json!(5) {
            break;
        }
        assert!(Instant::now() < end, "{}", function.said());
        std::thread::sleep(Duration::from_millis(10));
    }
    let (_folder, function) = back(vec![known(), older()]);
    assert_soon(&function, "legacy", 3);
    let line = live_lines(&function).pop().unwrap();
    assert_eq!((&line["replaces"], &line["version"]), (&json!(4), &json!(3)), "{line}");
    let (_folder, function) = back(vec![known(), None]);
    let is_over = |log: &[Value]| log.iter().any(|line| line["error"] == "it is gone: the file alone decides");
    let end = Instant::now() + support::PATIENCE;
    while !is_over(&function.log(0)) {
        assert!(Instant::now() < end, "{}", function.said());
        ask(&function);
    }
    assert_eq!(ask(&function), ("legacy".to_owned(), Value::Null));
}

/// The signature's time is the one that the service accepts.
#[test]
fn a_clock_that_is_an_hour_wrong_costs_one_request() {
    for ahead in [true, false] {
        let hour = Duration::from_secs(3600);
        let time = move || {
            let now = std::time::SystemTime::now();
            if ahead { now + hour } else { now - hour }
        };
        let (folder, refused) = (Folder::new(), Arc::new(Mutex::new(0)));
        let counted = refused.clone();
        let address = store(move |call| {
            let signed = parse_amz(call.field("x-amz-date").unwrap());
            let apart = signed.duration_since(time()).unwrap_or_else(|error| error.duration());
            let fits = apart < Duration::from_secs(600);
            if fits {
                return response("200 OK", &[], everyone_on("modern", 4).as_bytes());
            }
            *counted.lock().unwrap() += 1;
            let (date, error) = (http_date(time()), b"<Error><Code>RequestTimeTooSkewed</Code></Error>");
            response("403 Forbidden", &[("date", &date)], error)
        });
        let function = with_s3(&config(&folder), address);
        assert_soon(&function, "modern", 4);
        for _ in 0..5 {
            std::thread::sleep(Duration::from_millis(30));
            ask(&function);
        }
        assert_eq!(*refused.lock().unwrap(), 1);
        assert!(live_lines(&function).iter().all(|line| line["error"].is_null()), "{}", function.said());
    }
}

/// `20261128T120000Z`.
fn parse_amz(text: &str) -> std::time::SystemTime {
    let part = |from: usize| &text[from..from + 2];
    let (month, day, hour, minute, second) = (part(4), part(6), part(9), part(11), part(13));
    humantime::parse_rfc3339(&format!("{}-{month}-{day}T{hour}:{minute}:{second}Z", &text[..4])).unwrap()
}

/// RFC 9110 section 5.6.7.
fn http_date(time: std::time::SystemTime) -> String {
    let text = humantime::format_rfc3339_seconds(time).to_string();
    let month: usize = text[5..7].parse().unwrap();
    let month = &"JanFebMarAprMayJunJulAugSepOctNovDec"[3 * month - 3..3 * month];
    format!("Sun, {} {month} {} {} GMT", &text[8..10], &text[..4], &text[11..19])
}

/// Credentials of a container expire, also while the environment is frozen.
#[test]
fn a_thawed_environment_reads_again_with_new_credentials() {
    let (folder, keys) = (Folder::new(), Arc::new(Mutex::new(0)));
    let address = serve(move |call| {
        let mut keys = keys.lock().unwrap();
        if call.target() == "/credentials" {
            assert_eq!(call.field("authorization"), Some("token"));
            *keys += 1;
            // Renewed five minutes before they expire: so they are good for two seconds.
            let expires = std::time::SystemTime::now() + Duration::from_secs(302);
            let given = json!({ "AccessKeyId": format!("KEY{keys}"), "SecretAccessKey": "s", "Token": "t",
                "Expiration": humantime::format_rfc3339_seconds(expires).to_string() });
            return response("200 OK", &[], given.to_string().as_bytes());
        }
        let key = call.field("authorization").unwrap().split(['=', '/']).nth(1).unwrap().to_owned();
        let version = key.strip_prefix("KEY").unwrap().parse().unwrap();
        let system = if version == 1 { "legacy" } else { "modern" };
        response("200 OK", &[], everyone_on(system, version).as_bytes())
    });
    let function = Function::start(&[
        ("CROSSFADE_CONFIG", &config(&folder)),
        ("CROSSFADE_LIVE", "s3://bucket/live.json"),
        ("CROSSFADE_LIVE_INTERVAL", "2s"),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", &format!("http://{address}/credentials")),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "token"),
        ("AWS_ENDPOINT_URL_S3", &format!("http://{address}")),
    ]);
    assert_soon(&function, "legacy", 1);
    function.child.signal(Signal::STOP);
    std::thread::sleep(Duration::from_secs(4));
    function.child.signal(Signal::CONT);
    // The first request gets what is known, and nobody waits.
    assert_eq!(ask(&function).0, "legacy");
    let end = Instant::now() + support::PATIENCE;
    while ask(&function).0 != "modern" {
        assert!(Instant::now() < end, "{}", function.said());
    }
    assert!(live_lines(&function).iter().all(|line| line["error"].is_null()), "{}", function.said());
}

/// A store that is slow at a cold start: the function begins with the file, and the state counts when it comes.
#[test]
fn a_slow_store_is_waited_for_in_the_background() {
    let folder = Folder::new();
    let address = store(|_| {
        std::thread::sleep(Duration::from_millis(800));
        response("200 OK", &[], everyone_on("modern", 4).as_bytes())
    });
    let function = with_s3(&config(&folder), address);
    assert_eq!(ask(&function), ("legacy".to_owned(), Value::Null), "as in the file");
    assert_soon(&function, "modern", 4);
    assert!(live_lines(&function).iter().all(|line| line["error"].is_null()), "{}", function.said());
}

/// Connections belong to back ends, not to a version of the state.
#[test]
fn a_change_keeps_connections() {
    let (folder, seen) = (Folder::new(), Arc::new(Mutex::new(Vec::new())));
    let system = |name: &'static str| {
        let seen = seen.clone();
        serve(move |call| {
            seen.lock().unwrap().push((name, call.connection));
            response("200 OK", &[], name.as_bytes())
        })
    };
    let (legacy, modern) = (system("legacy"), system("modern"));
    let config = folder.write(
        "crossfade.yaml",
        format!(
            "version: 1\nbackends: {{ legacy: 'http://{legacy}', modern: 'http://{modern}' }}\ndefault:\n  forward:\n    \
             targets: [{{ backend: legacy }}, {{ backend: modern, weight: 0 }}]\n"
        ),
    );
    let file = folder.write("live.json", everyone_on("legacy", 1));
    let place = format!("file:{file}");
    let function = Function::start(&[("CROSSFADE_CONFIG", &config), ("CROSSFADE_LIVE", &place)]);
    for version in 1..=6 {
        let system = if version % 2 == 0 { "modern" } else { "legacy" };
        fs::write(&file, everyone_on(system, version)).unwrap();
        assert_eq!(ask(&function), (system.to_owned(), json!(version)));
    }
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 6);
    assert!(seen.iter().all(|(_, connection)| *connection == 0), "{seen:?}");
}

/// A circuit breaker is the back end's as well: no change of the state sends users to one that is down.
#[test]
fn a_change_keeps_open_circuit_breakers() {
    let (folder, asked) = (Folder::new(), Arc::new(Mutex::new(0)));
    let count = asked.clone();
    let legacy = serve(move |_| {
        *count.lock().unwrap() += 1;
        response("500 Internal Server Error", &[], b"")
    });
    let config = folder.write(
        "crossfade.yaml",
        format!(
            "version: 1\nbackends:\n  legacy: {{ url: 'http://{legacy}', outlier: {{ failures: 2, for: 1h }} }}\n  modern: \
             'http://{legacy}'\ndefault:\n  forward:\n    targets: [{{ backend: legacy }}, {{ backend: modern, weight: 0 }}]\n"
        ),
    );
    let file = folder.write("live.json", everyone_on("legacy", 1));
    let place = format!("file:{file}");
    let function = Function::start(&[("CROSSFADE_CONFIG", &config), ("CROSSFADE_LIVE", &place)]);
    let statuses = [1, 1, 1, 2, 3].map(|version| {
        fs::write(&file, everyone_on("legacy", version)).unwrap();
        function.invoke(&event("GET", "/")).json()["statusCode"].as_u64().unwrap()
    });
    assert_eq!(statuses, [500, 500, 503, 503, 503], "{}", function.said());
    assert_eq!(*asked.lock().unwrap(), 2);
    assert_eq!(live_lines(&function).len(), 3, "each version was in use");
}

#[test]
fn changes_that_do_not_fit_are_told_and_the_others_apply() {
    let folder = Folder::new();
    let overlay = everyone_on("modern", 7).replace("\"default\"", "\"gone\":{\"mirror\":5},\"default\"");
    let place = format!("file:{}", folder.write("live.json", overlay));
    let function = Function::start(&[("CROSSFADE_CONFIG", &config(&folder)), ("CROSSFADE_LIVE", &place)]);
    assert_eq!(ask(&function), ("modern".to_owned(), json!(7)));
    let line = &live_lines(&function)[0];
    assert_eq!((&line["version"], &line["error"]), (&json!(7), &json!("there is no route `gone`")));
}

/// An S3 whose next answer is that of a function.
fn store(answer: impl Fn(&Call) -> Vec<u8> + Send + Sync + 'static) -> SocketAddr {
    serve(move |call| answer(&call))
}

fn with_s3(config: &str, address: SocketAddr) -> Function {
    Function::start(&[
        ("CROSSFADE_CONFIG", config),
        ("CROSSFADE_LIVE", "s3://bucket/path/live state.json"),
        ("CROSSFADE_LIVE_INTERVAL", INTERVAL),
        ("AWS_REGION", "eu-west-1"),
        ("AWS_ACCESS_KEY_ID", "AKID"),
        ("AWS_SECRET_ACCESS_KEY", "canary-secret"),
        ("AWS_SESSION_TOKEN", "canary-token"),
        ("AWS_ENDPOINT_URL_S3", &format!("http://{address}")),
    ])
}

#[test]
fn s3_is_asked_with_a_signature_and_the_known_tag() {
    let (folder, calls) = (Folder::new(), Arc::new(Mutex::new(Vec::new())));
    let kept = calls.clone();
    let address = store(move |call| {
        let is_known = call.field("if-none-match").is_some();
        kept.lock().unwrap().push(call.clone());
        match is_known {
            true => response("304 Not Modified", &[("etag", "\"1\"")], b""),
            false => response("200 OK", &[("etag", "\"1\"")], everyone_on("modern", 4).as_bytes()),
        }
    });
    let function = with_s3(&config(&folder), address);
    assert_eq!(ask(&function), ("modern".to_owned(), json!(4)), "a cold start reads it");
    let end = Instant::now() + support::PATIENCE;
    while calls.lock().unwrap().len() < 2 && Instant::now() < end {
        std::thread::sleep(Duration::from_millis(30));
        ask(&function);
    }
    let calls = calls.lock().unwrap();
    assert_eq!(calls[0].target(), "/bucket/path/live%20state.json");
    assert_eq!(calls[1].field("if-none-match"), Some("\"1\""));
    let authorization = calls[0].field("authorization").unwrap();
    let signed = "SignedHeaders=host;x-amz-content-sha256;x-amz-date;x-amz-security-token, Signature=";
    assert!(authorization.starts_with("AWS4-HMAC-SHA256 Credential=AKID/") && authorization.contains(signed));
    assert!(authorization.contains("/eu-west-1/s3/aws4_request"), "{authorization}");
    assert!(!function.said().contains("canary"), "{}", function.said());
}

#[test]
fn no_failure_of_the_store_is_felt() {
    let error = |status: &str, code: &str| {
        response(status, &[], format!("<?xml version=\"1.0\"?><Error><Code>{code}</Code></Error>").as_bytes())
    };
    let answers: Vec<(Vec<u8>, &str)> = vec![
        (error("403 Forbidden", "AccessDenied"), "AccessDenied"),
        (error("404 Not Found", "NoSuchKey"), "gone"),
        (error("404 Not Found", "NoSuchBucket"), "NoSuchBucket"),
        (error("503 Slow Down", "SlowDown"), "SlowDown"),
        (response("500 Internal Server Error", &[], b""), "500"),
        (response("200 OK", &[], &everyone_on("legacy", 9).as_bytes()[..20]), "YAML"),
        (response("200 OK", &[], everyone_on("legacy", 3).as_bytes()), "older than 4"),
        (response("200 OK", &[], b"\xff\xfe\xff"), "UTF-8"),
        (b"SSH-2.0-OpenSSH\r\n".to_vec(), ""),
        (Vec::new(), ""),
    ];
    for (answer, reason) in answers {
        let folder = Folder::new();
        let count = Arc::new(Mutex::new(0));
        let (counted, given) = (count.clone(), answer.clone());
        let address = store(move |_| {
            let mut count = counted.lock().unwrap();
            *count += 1;
            match *count {
                1 => response("200 OK", &[], everyone_on("modern", 4).as_bytes()),
                _ => given.clone(),
            }
        });
        let function = with_s3(&config(&folder), address);
        let end = Instant::now() + support::PATIENCE;
        while !live_lines(&function).iter().any(|line| line["error"].is_string()) {
            assert_eq!(ask(&function), ("modern".to_owned(), json!(4)), "{reason}");
            assert!(Instant::now() < end, "{reason}: {}", function.said());
            std::thread::sleep(Duration::from_millis(20));
        }
        let lines = live_lines(&function);
        let line = lines.iter().find(|line| line["error"].is_string()).unwrap();
        assert!(line["error"].as_str().unwrap().contains(reason), "{line}, expected {reason}");
        assert_eq!((&line["version"], &line["failures"]), (&json!(4), &json!(1)));
    }
}

/// Before the head, in the body, or without a listener: as fast as without live state.
#[test]
fn a_store_that_hangs_or_is_not_there_holds_nobody_up() {
    let silent = support::Held::start("text/plain", |_| String::new());
    let body: &[u8] = b"HTTP/1.1 200 OK\r\ncontent-length: 500\r\n\r\n{\"format\": 1";
    let half = Server::start(None, move |at, _| match at.request {
        0 => Action::Send(body.into()),
        _ => Action::Hang,
    });
    let nobody = SocketAddr::from(([127, 0, 0, 1], closed_port()));
    for address in [silent.address, half.unwrap().keep(), nobody] {
        let folder = Folder::new();
        let function = with_s3(&config(&folder), address);
        let mut slowest = Duration::ZERO;
        for _ in 0..20 {
            let begin = Instant::now();
            assert_eq!(ask(&function), ("legacy".to_owned(), Value::Null), "as in the file");
            slowest = slowest.max(begin.elapsed());
        }
        assert!(slowest < Duration::from_millis(1500), "{slowest:?}");
        let has_failed = |log: &[Value]| log.iter().any(|line| line["failures"] == 1);
        assert!(has_failed(&function.log_until(has_failed)), "{}", function.said());
    }
}

#[test]
fn before_the_first_step_there_is_no_state_and_no_error() {
    let (folder, overlay) = (Folder::new(), Arc::new(Mutex::new(None)));
    let known: Arc<Mutex<Option<String>>> = overlay.clone();
    let address = store(move |_| match &*known.lock().unwrap() {
        Some(text) => response("200 OK", &[], text.as_bytes()),
        None => response("404 Not Found", &[], b"<Error><Code>NoSuchKey</Code></Error>"),
    });
    let function = with_s3(&config(&folder), address);
    assert_eq!(ask(&function), ("legacy".to_owned(), Value::Null));
    *overlay.lock().unwrap() = Some(everyone_on("modern", 1));
    assert_soon(&function, "modern", 1);
    assert!(live_lines(&function).iter().all(|line| line["error"].is_null()), "{}", function.said());
}

#[test]
fn parameters_and_the_extension_of_app_config() {
    for (place, variable) in
        [("ssm:/shop/live", "AWS_ENDPOINT_URL"), ("appconfig:shop/prod/live", "AWS_APPCONFIG_EXTENSION_HTTP_PORT")]
    {
        let folder = Folder::new();
        let address = store(|call| match call.target() {
            "/" => {
                assert_eq!(call.field("x-amz-target"), Some("AmazonSSM.GetParameter"));
                let parameter =
                    json!({ "Parameter": { "Name": "/shop/live", "Value": everyone_on("modern", 5), "Version": 2 } });
                response("200 OK", &[], parameter.to_string().as_bytes())
            }
            "/applications/shop/environments/prod/configurations/live" => {
                response("200 OK", &[], everyone_on("modern", 5).as_bytes())
            }
            other => panic!("{other}"),
        });
        let value = if variable.ends_with("PORT") { address.port().to_string() } else { format!("http://{address}") };
        let function = Function::start(&[
            ("CROSSFADE_CONFIG", &config(&folder)),
            ("CROSSFADE_LIVE", place),
            ("AWS_REGION", "eu-west-1"),
            ("AWS_ACCESS_KEY_ID", "AKID"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
            (variable, &value),
        ]);
        assert_eq!(ask(&function), ("modern".to_owned(), json!(5)), "{place}");
    }
}

#[test]
fn a_place_that_cannot_be_right_is_an_init_error() {
    let folder = Folder::new();
    let config = config(&folder);
    for (place, expected) in [
        ("s3://bucket", "write file:PATH"),
        ("dynamodb:table", "write file:PATH"),
        ("appconfig:a/b", "write file:PATH"),
        ("ssm:shop/live", "ssm:/NAME"),
        ("ssm:/shop//live", "ssm:/NAME"),
        ("ssm:/x", "`AWS_REGION` is not set"),
    ] {
        let function = Function::start(&[("CROSSFADE_CONFIG", &config), ("CROSSFADE_LIVE", place)]);
        let message = function.posted().json()["errorMessage"].as_str().unwrap().to_owned();
        assert!(message.starts_with("live state: ") && message.contains(expected), "{message}");
    }
}
