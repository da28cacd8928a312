//! Canaries: recognisable secrets in every part of requests, responses and configurations, and a search for them in all output,
//! logs, responses and pages. None may contain them unless an option allows it.

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

use crossfade_testkit::authority::Identity;
use crossfade_testkit::client::{Client, host};
use crossfade_testkit::server::{closed_port, serve};
use crossfade_testkit::wait::{PATIENCE, until_ok};

use crate::support::Dev;

/// Every secret has this in it, and the place where it is put behind it.
const CANARY: &str = "canary-";
/// `u:canary-basic`
const BASIC: &str = "dTpjYW5hcnktYmFzaWM=";
/// The value of `${env:API_TOKEN}`.
const FROM_ENVIRONMENT: &str = "canary-environment$canary-name";

/// Finds all canaries in a text, including those in base64, as in the bodies of events.
fn canaries(text: &str) -> Vec<String> {
    let place = |at: usize| text.get(at..).unwrap_or_default().chars().take(40).collect::<String>();
    let lower = text.to_ascii_lowercase();
    let mut found: Vec<String> = lower.match_indices(CANARY).map(|(at, _)| place(at)).collect();
    // `canary-` at each of the three positions that it can have, without the characters that its neighbours share.
    for encoded in ["Y2FuYXJ5L", "NhbmFyeS", "jYW5hcnkt", BASIC] {
        found.extend(text.match_indices(encoded).map(|(at, _)| format!("base64 {}", place(at))));
    }
    found
}

#[track_caller]
fn assert_clean(what: &str, text: &str) {
    assert_clean_but(what, text, &[]);
}

#[track_caller]
fn assert_clean_but(what: &str, text: &str, asked_for: &[&str]) {
    let mut found = canaries(text);
    found.retain(|found| !asked_for.iter().any(|known| found.starts_with(known)));
    assert!(found.is_empty(), "{what} has {found:#?}\n{text}");
}

/// A back end whose answers are full of secrets, other ones than those of its neighbour.
fn back_end(name: &'static str) -> String {
    format!("http://{}", serve(move |call| answer(name, call.target()).into_bytes()))
}

fn answer(name: &str, target: &str) -> String {
    let (status, body) = match target {
        path if path.contains("/redirect") => ("302 Found", String::new()),
        path if path.contains("/form") => ("200 OK", format!("password={CANARY}answer-form-{name}&a=b")),
        _ => (
            "200 OK",
            format!(
                r#"{{"password":"{CANARY}answer-password-{name}","nested":{{"api_token":"{CANARY}answer-token-{name}"}},"name":"{name}"}}"#
            ),
        ),
    };
    let content_type =
        if body.starts_with('{') { "application/json" } else { "application/x-www-form-urlencoded; charset=utf-8" };
    format!(
        "HTTP/1.1 {status}\r\nconnection: close\r\ncontent-type: {content_type}\r\ncontent-length: {}\r\n\
         set-cookie: session={CANARY}answer-cookie-{name}; Path=/\r\nset-cookie: other={CANARY}answer-other-{name}\r\n\
         x-api-key: {CANARY}answer-key-{name}\r\n\
         location: https://anna:{CANARY}answer-userinfo@{name}.example/x?code={CANARY}answer-location\r\n\r\n{body}",
        body.len()
    )
}

/// Sends bytes, and reads all that comes.
fn exchange(url: &str, request: &[u8]) -> String {
    let mut client = Client::connect(host(url));
    client.write(request);
    String::from_utf8_lossy(&client.read_all()).into_owned()
}

/// The events of an open inspector page. A thread reads them until the inspector ends.
fn live(inspector: &str) -> Arc<Mutex<String>> {
    let page = get(inspector, "/");
    let (_, run) = page.split_once("data-run=\"").unwrap();
    let run = run.split('"').next().unwrap();
    let host = host(inspector);
    let mut client = Client::connect(host);
    client.write(format!("GET /live?since={run}.0.0 HTTP/1.1\r\nhost: {host}\r\n\r\n"));
    let told = Arc::new(Mutex::new(String::new()));
    let kept = told.clone();
    std::thread::spawn(move || {
        while let Ok(piece) = client.read_some()
            && !piece.is_empty()
        {
            kept.lock().unwrap().push_str(&String::from_utf8_lossy(&piece));
        }
    });
    told
}

fn wait_for_words(told: &Mutex<String>, words: &str) -> String {
    until_ok(words, || {
        let text = told.lock().unwrap().clone();
        if text.contains(words) { Ok(text) } else { Err(text) }
    })
}

fn get(url: &str, target: &str) -> String {
    exchange(url, format!("GET {target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", host(url)).as_bytes())
}

/// The fields of every request, `${}` apart one secret each.
fn fields() -> String {
    [
        "authorization: Bearer canary-authorization",
        "cookie: session=canary-cookie; theme=canary-other-cookie",
        "proxy-authorization: Basic dTpjYW5hcnktYmFzaWM=",
        "x-api-key: canary-api-key",
        "x-auth-token: canary-auth-token",
        "x-amzn-oidc-data: canary-oidc-data",
        "x-amzn-oidc-accesstoken: canary-oidc-access",
        "x-csrf-token: canary-csrf",
        "referer: https://shop.example.com/x?a=canary-referer",
    ]
    .map(|field| format!("{field}\r\n"))
    .concat()
}

const QUERY: &str = "?q=canary-query&token=canary-query-token&redirect=https%3A%2F%2Fa%3Fx%3Dcanary-nested&bare";

/// With `keepValues` differing values and queries are logged, unless they look like secrets.
const KEPT: [&str; 3] = ["canary-query&", "canary-nested", "canary-answer-location"];

/// All requests of a run.
fn requests() -> Vec<Vec<u8>> {
    let with = |method: &str, path: &str, more: &str, body: &str| {
        let (fields, length) = (fields(), body.len());
        format!(
            "{method} {path}{QUERY} HTTP/1.1\r\nhost: shop.example.com\r\nconnection: close\r\n{fields}{more}\
             content-length: {length}\r\n\r\n{body}"
        )
    };
    let form = "content-type: application/x-www-form-urlencoded\r\n";
    let json = "content-type: application/json\r\n";
    let document =
        r#"{"password":"canary-json","nested":{"api_token":"canary-json-token","url":"https://a/?x=canary-json-url"}}"#;
    let texts = [
        with("GET", "/plain/1", "", ""),
        with("GET", "/kept/1", "", ""),
        with("GET", "/plain/form", "", ""),
        with("GET", "/kept/redirect", "", ""),
        with("POST", "/plain/2", form, "user=anna&password=canary-form"),
        with("POST", "/plain/3", json, document),
        with("POST", "/kept/3", json, document),
        with("GET", "/rewritten/4", "", ""),
        with("GET", "/moved/5", "", ""),
        with("GET", "/guarded/5", "", ""),
        // What ends in answers of ours.
        with("GET", "/closed/1", "", ""),
        with("GET", "/secure/1", "", ""),
        with("GET", "/plain/\"<>", "", ""),
        with("TRACE", "/plain/1", "", ""),
        with("GET", "/plain/1", "upgrade: websocket\r\n", ""),
        with("GET", "/plain/1", "via: 1.1 crossfade-proxy, 1.1 crossfade-crossfade, 1.1 crossfade\r\n", ""),
        // An ALB changes these, and `dev` warns about losses.
        with("GET", "/plain/twice", "cookie: session=canary-second-cookie\r\nauthorization: canary-second\r\n", ""),
        with("GET", "/plain/odd", "x_odd token: canary-invalid-name\r\n folded: canary-folded\r\n", ""),
        with("GET", "/plain/both", "transfer-encoding: chunked\r\nx-secret: canary-smuggled\r\n", "0\r\n\r\n"),
        with("GET", "/plain/large", &format!("x-secret: canary-large{}\r\n", "x".repeat(20_000)), ""),
    ];
    let mut requests: Vec<Vec<u8>> = texts.map(String::into_bytes).into();
    requests
        .push(b"GET /plain/raw HTTP/1.1\r\nhost: a\r\nconnection: close\r\nx-secret: canary-\xff-raw\r\n\r\n".to_vec());
    requests.push(b"GET /a?x=canary-no-version\r\nhost: a\r\nconnection: close\r\n\r\n".to_vec());
    requests
}

/// A configuration with a secret in each place for one, and the files that it names.
fn write_configuration(folder: &Path) {
    let closed = closed_port();
    let (legacy, modern) = (back_end("legacy"), back_end("modern"));
    let client = Identity::self_signed(&["client"]);
    std::fs::write(folder.join("client.pem"), client.pem()).unwrap();
    std::fs::write(folder.join("client.key"), client.key_pem()).unwrap();
    let with_token = "requestHeaders: { set: { x-backend-token: '${env:API_TOKEN}' } }";
    let mirror = |compare: &str| {
        format!(
            "mirror: {{ backend: modern, percent: 100, methods: [POST], credentials: [cookie], compare: {{ {compare} }}, \
             requestHeaders: {{ set: {{ authorization: 'Bearer ${{env:API_TOKEN}}' }} }} }}"
        )
    };
    let text = format!(
        "version: 1\nbackends:\n  legacy: {{ url: '{legacy}', tls: null }}\n  modern: '{modern}'\n  closed: 'http://127.0.0.1:{closed}'\n  \
         secure: {{ url: 'https://127.0.0.1:{closed}', tls: {{ clientCert: {{ certFile: client.pem, keyFile: client.key }} }} }}\n\
         routes:\n  - {{ name: plain, priority: 1, conditions: {{ path: '/plain/*' }}, forward: legacy, {with_token}, {} }}\n  \
         - {{ name: kept, priority: 2, conditions: {{ path: '/kept/*' }}, forward: legacy, {with_token}, {} }}\n  \
         - {{ name: closed, priority: 3, conditions: {{ path: '/closed/*' }}, forward: closed, {with_token} }}\n  \
         - {{ name: secure, priority: 4, conditions: {{ path: '/secure/*' }}, forward: secure }}\n  \
         - {{ name: rewritten, priority: 5, conditions: {{ path: '/rewritten/*', query: {{ token: 'c*' }} }}, \
         transforms: {{ query: {{ regex: '^q=', replace: 'query=' }} }}, forward: legacy, {with_token} }}\n  \
         - {{ name: moved, priority: 6, conditions: {{ path: '/moved/*' }}, redirect: {{ host: moved.example.com }} }}\n  \
         - {{ name: guarded, priority: 7, conditions: {{ path: '/guarded/*', header: {{ name: x-api-key, values: [canary-condition, \
         '${{env:API_TOKEN}}'] }} }}, forward: legacy }}\n  \
         - {{ name: guarded-by-query, priority: 8, conditions: {{ path: '/guarded/*', query: {{ token: '${{env:API_TOKEN}}' }} }}, \
         forward: legacy }}\n  \
         - {{ name: guarded-by-cookie, priority: 9, conditions: {{ path: '/guarded/*', cookie: {{ name: session, values: \
         canary-session }} }}, forward: legacy }}\n  \
         - {{ name: keyed, priority: 10, conditions: {{ path: '/keyed/*', not: {{ header: {{ name: x-secret, values: canary }} }} }}, \
         transforms: {{ query: {{ regex: '^', replace: 'api_key=${{env:API_TOKEN}}&' }} }}, forward: legacy }}\n  \
         - {{ name: told, priority: 11, conditions: {{ path: '/told/*' }}, redirect: {{ host: moved.example.com, query: \
         'token=${{env:API_TOKEN}}' }} }}\n\
         default: {{ forward: legacy }}\n",
        mirror("noise: { selfCompare: 100 }"),
        mirror("keepValues: true, noise: { selfCompare: 100 }"),
    )
    .replace(", tls: null", "");
    std::fs::write(folder.join("crossfade.yaml"), text).unwrap();
}

fn crossfade(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crossfade"))
        .args(arguments)
        .current_dir(folder)
        .env("API_TOKEN", FROM_ENVIRONMENT)
        .output()
        .unwrap()
}

fn printed(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Waits until a file has this number of lines with these words.
fn wait_for_lines(file: &Path, words: &str, count: usize) -> String {
    until_ok(&format!("{count} times `{words}`"), || {
        let text = std::fs::read_to_string(file).unwrap_or_default();
        if text.matches(words).count() >= count { Ok(text) } else { Err(text) }
    })
}

pub(crate) fn what_is_secret_is_in_no_output() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_configuration(folder);
    for arguments in [&["--verbose"][..], &["--single-value-headers"]] {
        let (access_log, comparisons) = (folder.join("access.log"), folder.join("comparisons.log"));
        for file in [&access_log, &comparisons] {
            let _ = std::fs::remove_file(file);
        }
        let own = ["--config", "crossfade.yaml", "--inspect", "0", "--https-port", "0"];
        let logs = ["--access-log", "access.log", "--comparisons", "comparisons.log"];
        let dev = Dev::start_with(folder, &[&own[..], &logs, arguments].concat(), &[("API_TOKEN", FROM_ENVIRONMENT)]);
        let requests = requests();
        let told = live(&dev.inspector);
        let (mut mirrored, mut ours) = (0, 0);
        for request in &requests {
            let answer = exchange(&dev.alb, request);
            let lower = answer.to_ascii_lowercase();
            if lower.contains("x-api-key:") {
                let head = String::from_utf8_lossy(request);
                mirrored += usize::from(head.contains(" /plain/") || head.contains(" /kept/"));
            } else if !answer.contains(" 302 ") {
                assert_clean("an answer of ours", &answer);
                ours += 1;
            }
        }
        assert!(mirrored >= 8 && ours >= 8, "{mirrored} {ours}");

        let log = wait_for_lines(&comparisons, r#""against":"mirror""#, mirrored);
        let log = if arguments.contains(&"--verbose") {
            wait_for_lines(&comparisons, "\"against\":\"self\"", 1)
        } else {
            log
        };
        assert!(log.contains(r#""verdict":"different""#) && log.contains("***"), "{log}");
        for line in log.lines() {
            assert_clean_but("the comparison log", line, if line.contains("\"route\":\"kept\"") { &KEPT } else { &[] });
        }
        // The load balancer's own access log has the target as it was sent, as in AWS; nothing else of a request.
        let log = wait_for_lines(&access_log, "\n", requests.len());
        assert_clean_but("the access log", &log, &["canary-query", "canary-nested", "canary-no-version"]);
        assert!(log.contains("canary-query"), "{log}");

        let told = wait_for_words(&told, &format!("\"seen\":\"{} seen", requests.len()));
        for target in ["/", "/?q=plain", "/?q=status:5xx", "/?before=1000", "/style.css", "/script.js"] {
            assert_clean(&format!("the inspector's {target}"), &get(&dev.inspector, target));
        }
        for number in 1..=requests.len() {
            let page = get(&dev.inspector, &format!("/requests/{number}"));
            assert!(page.starts_with("HTTP/1.1 200"), "{number}: {page}");
            assert_clean(&format!("the inspector's page {number}"), &page);
        }
        assert!(told.matches("<tr id=").count() >= 8, "{told}");
        assert_clean("the inspector's live stream", &told);
        for option in [&[][..], &["--json"], &["--html", "report.html", "--examples", "10"]] {
            let report = crossfade(folder, &[&["report"], option, &["comparisons.log"]].concat());
            assert!(report.status.success(), "{}", printed(&report));
            assert_clean_but("the report", &printed(&report), &KEPT);
        }
        assert_clean_but("the report's page", &std::fs::read_to_string(folder.join("report.html")).unwrap(), &KEPT);

        let dev = stopped(dev);
        assert_clean("the banner", &dev.banner);
        let said: Vec<String> = dev.stdout.iter().chain(dev.stderr.iter()).collect();
        let said = said.join("\n");
        assert!(said.contains("/plain/1?q=***"), "{said}");
        assert_eq!(said.contains(r#""type":"access""#), arguments.contains(&"--verbose"), "{said}");
        // With `--verbose` the function's log is on it as it is.
        for line in said.lines() {
            assert_clean_but("the terminal", line, if line.contains("\"route\":\"kept\"") { &KEPT } else { &[] });
        }
    }
}

/// Commands print neither the values that a configuration takes from the environment nor errors that contain them.
pub(crate) fn a_configuration_keeps_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_configuration(folder);
    let key = std::fs::read_to_string(folder.join("client.key")).unwrap();
    let key = key.lines().nth(1).unwrap();
    for path in ["plain", "kept", "closed", "secure", "rewritten", "moved", "guarded", "keyed", "told"] {
        for format in [&[][..], &["--json"]] {
            let url = format!("https://shop.example.com/{path}/1?token=c");
            let output =
                crossfade(folder, &[&["explain"], format, &[&url, "-H", "authorization: Bearer of-mine"]].concat());
            let said = printed(&output);
            assert!(output.status.success(), "{said}");
            assert_clean("explain", &said);
            assert!(!said.contains(key), "{said}");
        }
    }
    let text = std::fs::read_to_string(folder.join("crossfade.yaml")).unwrap();
    let tests = "tests:\n  - { request: 'GET https://a/keyed/1?token=canary', expect: { upstream: '/x?token=canary' } }\n  \
                 - { request: 'GET https://a/told/1', expect: { location: 'https://a/?token=canary' } }\n";
    std::fs::write(folder.join("tested.yaml"), text + tests).unwrap();
    let said = printed(&crossfade(folder, &["test", "tested.yaml"]));
    assert!(said.contains("upstream: expected") && said.contains("2 failed"), "{said}");
    assert_clean("test", &said);
    let output = crossfade(folder, &["check", "crossfade.yaml"]);
    assert!(output.status.success(), "{}", printed(&output));
    assert_clean("check", &printed(&output));

    std::fs::write(folder.join("broken.key"), "-----BEGIN PRIVATE KEY-----\ncanary-key\n-----END PRIVATE KEY-----\n")
        .unwrap();
    std::fs::write(folder.join("text.key"), "canary-key").unwrap();
    let backend =
        |keys: &str| format!("backends: {{ a: {{ url: https://a.example, {keys} }} }}\ndefault: {{ forward: a }}\n");
    let route = |keys: &str| {
        format!(
            "backends: {{ a: https://a.example }}\nroutes: [{{ name: x, priority: 1, {keys} }}]\ndefault: {{ forward: a }}\n"
        )
    };
    let token = "'${env:API_TOKEN}'";
    let set = |values: &str| route(&format!("forward: a, requestHeaders: {{ set: {{ {values} }} }}"));
    let mistakes = [
        set(r#"authorization: 'Bearer canary-literal', x-a: "\u0001""#),
        set(r#"x-api-key: "canary-literal", x-a: "\u0001""#),
        set("authorization:Bearer-canary-no-space"),
        set("x-a: '${clientIp}${env:API_TOKEN}${nothing}'"),
        set("x-a: '${${env:API_TOKEN}}'"),
        route("forward: 'https://anna:canary-userinfo@a.example'"),
        route("forward: a, transforms: { query: { regex: '^', replace: '${${env:API_TOKEN}}' } }"),
        route("forward: a").replace("name: x", "name: 'x ${env:API_TOKEN}'"),
        "backends: { a: https://a.example }\ndefault: '${env:API_TOKEN}'\n".to_owned(),
        "backends: { a: 'https://anna:ca/nary-canary@a.example/' }\ndefault: { forward: a }\n".to_owned(),
        "backends: { a: 'https://a.example/?token=canary-query' }\ndefault: { forward: a }\n".to_owned(),
        backend("tls: { serverName: 'x ${env:API_TOKEN}' }"),
        "backends: { a: 'https://anna:canary-userinfo@a.example/' }\ndefault: { forward: a }\n".to_owned(),
        format!("backends: {{ a: {token} }}\ndefault: {{ forward: a }}\n"),
        "backends: { a: 'https://anna:${env:API_TOKEN}@a.example/' }\ndefault: { forward: a }\n".to_owned(),
        "backends: { a: 'https://a.example/?x=${env:API_TOKEN}' }\ndefault: { forward: a }\n".to_owned(),
        "backends: { a: '${env:API_TOKEN}://a.example/' }\ndefault: { forward: a }\n".to_owned(),
        "backends: { a: 'http://${env:API_TOKEN}^/' }\ndefault: { forward: a }\n".to_owned(),
        backend("tls: { clientCert: { certFile: client.pem, keyFile: broken.key } }"),
        backend("tls: { clientCert: { certFile: text.key, keyFile: text.key } }"),
        backend("tls: { caFile: text.key }"),
        backend(&format!("tls: {{ caFile: {token} }}")),
        backend(&format!("tls: {{ minVersion: {token}, serverName: 'x ${{env:API_TOKEN}}' }}")),
        backend(&format!("timeouts: {{ connect: {token} }}, hostHeader: 'a b ${{env:API_TOKEN}}', http2: {token}")),
        backend(&format!("retry: {{ attempts: {token}, codes: [{token}], methods: [{token}], budget: {token} }}")),
        backend(&format!("addresses: ['{}', {token}]", "${env:API_TOKEN}:x")),
        backend(&format!("publicUrl: {token}")),
        route(&format!("conditions: {{ method: {token} }}, forward: {token}")),
        route("conditions: { path: [{ regex: '(${env:API_TOKEN}' }] }, forward: a"),
        route(&format!("conditions: {{ ip: {token}, host: 'a ${{env:API_TOKEN}}/', path: {token} }}, forward: a")),
        route(&format!(
            "conditions: {{ header: {{ name: 'x ${{env:API_TOKEN}}', values: a }}, cookie: {token} }}, forward: a"
        )),
        route(&format!("forward: {{ targets: [{{ backend: a, weight: {token} }}], sticky: {{ by: {token} }} }}")),
        route(
            "forward: a, requestHeaders: { set: { x-a: \"\\u0001${env:API_TOKEN}\", x-b: '${nothing}${env:API_TOKEN}' } }",
        ),
        route("forward: a, requestHeaders: { remove: ['a ${env:API_TOKEN}'] }"),
        route("forward: a, transforms: { path: { regex: '[${env:API_TOKEN}', replace: '${9}${env:API_TOKEN}' } }"),
        route("redirect: { host: 'a/${env:API_TOKEN}', protocol: '${env:API_TOKEN}', status: '${env:API_TOKEN}' }"),
        route(&format!("fixedResponse: {{ status: {token}, contentType: \"\\u0001${{env:API_TOKEN}}\" }}")),
        route(&format!("fixedResponse: {{ status: 200, bodyFile: {token} }}")),
        route(&format!(
            "enabled: {token}, forward: a, mirror: {{ backend: {token}, percent: {token}, budget: {token} }}"
        )),
        route(
            "forward: a, mirror: { backend: a, percent: 1, compare: { ignore: ['${env:API_TOKEN}', '/~9${env:API_TOKEN}'] } }",
        ),
        format!(
            "backends: {{ a: https://a.example }}\ndefault: {{ forward: a }}\ntests: [{{ request: {token}, expect: {{ route: {token}, status: {token} }} }}]\n"
        ),
        format!(
            "backends: {{ a: https://a.example }}\ndefault: {{ forward: {token} }}\nhealthCheck: {{ answer: {token} }}\n"
        ),
        format!(
            "backends: {{ a: https://a.example }}\ndefault: {{ forward: a }}\nclientIp: {{ trustedHops: {token} }}\n"
        ),
    ];
    // `dev` looks at the file first; what only the function finds must not let it start, either.
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let file = folder.join("wrong.yaml");
    let mut told = Vec::new();
    for text in mistakes {
        std::fs::write(&file, format!("version: 1\n{text}")).unwrap();
        for arguments in [
            &["check", "wrong.yaml"][..],
            &["check", "--json", "wrong.yaml"],
            &["explain", "--config", "wrong.yaml", "https://a/"],
            &["test", "wrong.yaml"],
            &["dev", "--port", &port, "--config", "wrong.yaml"],
        ] {
            let said = printed(&crossfade(folder, arguments));
            assert!(said.contains("wrong.yaml") || said.contains("error"), "no error in {text}: {said}");
            told.extend(canaries(&said).iter().map(|found| format!("{found}: {arguments:?} of {text}\n{said}")));
        }
    }
    assert!(told.is_empty(), "{}", told.join("\n"));
}

/// The output of `test` and `explain` for a valid file, wherever it contains a value of the environment: not only behind the name
/// of a secret, and of all lengths.
pub(crate) fn values_of_the_environment_are_shown_by_their_names() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let text = "version: 1\n\
        backends:\n  a: 'https://${env:API_TOKEN_HOST}:8443/${env:API_TOKEN}'\n  \
        b: { url: https://b.example, hostHeader: 'x.${env:API_TOKEN_HOST}' }\n\
        routes:\n  \
        - { name: sent, priority: 1, conditions: { path: '/sent/*' }, forward: a, requestHeaders: { set: { x-note: '<${env:API_TOKEN}>' } }, \
        transforms: { path: { regex: '^/sent', replace: '/${env:API_TOKEN}' } } }\n  \
        - { name: moved, priority: 2, conditions: { path: '/moved/*' }, redirect: { host: '${env:API_TOKEN_HOST}', path: \
        '/${env:API_TOKEN}/#{path}', query: 'q=${env:API_TOKEN}' } }\n  \
        - { name: tenant, priority: 3, conditions: { path: '/tenant/*', header: { name: x-tenant, values: ['${env:API_TOKEN}'] } }, \
        forward: b }\n  \
        - { name: copied, priority: 4, conditions: { path: '/copied/*' }, forward: b, mirror: { backend: a, percent: 100, \
        requestHeaders: { set: { x-note: '${env:API_TOKEN}' } } } }\n\
        default: { forward: b }\n\
        tests:\n  \
        - { request: 'GET https://a/sent/1', expect: { upstream: 'https://other/${env:API_TOKEN}' } }\n  \
        - { request: 'GET https://a/sent/${env:API_TOKEN}', expect: { backend: b } }\n  \
        - { request: 'GET https://a/sent/2', expect: { upstream: '/x' } }\n  \
        - { request: 'GET https://a/moved/1', expect: { location: 'https://${env:API_TOKEN_HOST}/' } }\n  \
        - { request: 'GET https://a/moved/2?x=${env:API_TOKEN}', expect: { location: 'https://x/' } }\n  \
        - { request: 'GET https://a/tenant/2', headers: { x-tenant: '${env:API_TOKEN}' }, expect: { upstream: '/${env:API_TOKEN}' } }\n";
    std::fs::write(folder.join("crossfade.yaml"), text).unwrap();
    let service = "service: shop\nprovider: { name: aws, runtime: nodejs22.x }\nfunctions:\n  web:\n    handler: a.b\n    events:\n      \
        - alb: { listenerArn: a, priority: 1, conditions: { path: '/${env:API_TOKEN}/*', host: '${env:API_TOKEN_HOST}' } }\n      \
        - alb: { listenerArn: a, priority: 2, conditions: { path: '/*', header: [{ name: x-tenant, values: ['${env:API_TOKEN}'] }] } }\n";
    std::fs::write(folder.join("serverless.yml"), service).unwrap();
    for token in ["canary-environment", "canary-Environment.with-CASE_and~more", "canary-"] {
        let crossfade = |arguments: &[&str]| {
            let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
                .args(arguments)
                .current_dir(folder)
                .env("API_TOKEN", token)
                .env("API_TOKEN_HOST", "Canary-Host.example")
                .output()
                .unwrap();
            printed(&output)
        };
        let said = crossfade(&["test"]);
        assert!(said.contains("6 tests, 6 failed") && said.matches("${env:API_TOKEN}").count() >= 6, "{said}");
        assert_clean("test", &said);
        for path in ["sent/1", "moved/1", "tenant/1", "copied/1", "other"] {
            let url = format!("https://shop.example.com/{path}");
            for arguments in [&[][..], &["--serverless", "serverless.yml"]] {
                let text = crossfade(&[&["explain", &url], arguments].concat());
                assert!(text.starts_with("request "), "{text}");
                assert_clean("explain", &text);
                let json = crossfade(&[&["explain", "--json", &url], arguments].concat());
                assert!(json.starts_with('{'), "{json}");
                assert_clean("explain --json", &json);
            }
        }
    }
}

/// Values that are taken apart, written in another way, cut or redacted before they are shown, and references that only a
/// parser sees.
pub(crate) fn values_of_the_environment_are_shown_by_their_names_however_they_are_rendered() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let text = "version: 1\n\
        backends:\n  a: { url: https://a.example, addresses: ['${env:ADDRESS}', '${env:ADDRESS_V6}'] }\n  \
        based: '${env:URL}'\n  half: 'https://${env:PLACE}'\n\
        routes:\n  \
        - { name: near, priority: 1, conditions: { ip: ['${env:RANGE}'] }, forward: a }\n  \
        - { name: moved, priority: 2, conditions: { path: '/moved' }, redirect: { host: x.example, query: 'q=${env:QUERY}' } }\n  \
        - { name: based, priority: 3, conditions: { path: '/based/*' }, forward: based }\n  \
        - { name: half, priority: 4, conditions: { path: '/half/*' }, forward: half }\n\
        default: { forward: a, requestHeaders: { set: { x-escaped: \"\\x24{env:ESCAPED}\" } } }\n\
        tests:\n  \
        - { request: 'GET https://a/based/1', expect: { upstream: '/x' } }\n  \
        - { request: 'GET https://a/half/1', expect: { upstream: '/x' } }\n  \
        - { request: 'GET https://a/moved', expect: { location: '/x' } }\n";
    std::fs::write(folder.join("crossfade.yaml"), text).unwrap();
    // The reference is in a separate file and contains an escape.
    let service = "service: shop\nprovider: { name: aws, runtime: nodejs22.x }\nfunctions:\n  web:\n    handler: a.b\n    events:\n      \
        - alb: { listenerArn: a, priority: 1, conditions: { host: '${file(own.yml):host}', path: \"/\\x24{env:ESCAPED}\" } }\n      \
        - alb: { listenerArn: a, priority: 2, conditions: { path: '/*' } }\n";
    std::fs::write(folder.join("serverless.yml"), service).unwrap();
    std::fs::write(folder.join("own.yml"), "host: '${env:HOST_OF_RULE}'\n").unwrap();
    let crossfade = |arguments: &[&str]| {
        let variables = [
            ("ADDRESS", "Canary-address.example:5555"),
            ("ADDRESS_V6", "[2001:0DB8::5EC]:5556"),
            ("URL", "https://h.example:4444/canary-base/"),
            ("PLACE", "canary-place.example:443/canary-half"),
            ("RANGE", "2001:DB8:0::/32"),
            ("QUERY", "1canary&token=canary-token&b=canary-b"),
            ("ESCAPED", "canary-escaped"),
            ("HOST_OF_RULE", "canary-host.example"),
        ];
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        printed(&command.args(arguments).current_dir(folder).envs(variables).output().unwrap())
    };
    let assert_hidden = |arguments: &[&str], names: &[&str]| {
        let text = crossfade(arguments);
        assert_clean(&arguments.join(" "), &text);
        for leak in ["2001:", "555", "canary"] {
            assert!(!text.to_ascii_lowercase().contains(leak), "{leak}: {text}");
        }
        for name in names {
            assert!(text.contains(&format!("${{env:{name}}}")), "{name}: {text}");
        }
    };
    for format in [&[][..], &["--json"], &["--serverless", "serverless.yml"]] {
        let explained = |path: &str, names: &[&str]| {
            assert_hidden(&[&["explain", &format!("https://shop.example.com/{path}")], format].concat(), names);
        };
        explained("other", &["ADDRESS", "ADDRESS_V6", "RANGE", "ESCAPED"]);
        explained("based/1", &["URL"]);
        explained("half/1", &["PLACE"]);
        explained("moved", &["QUERY"]);
    }
    assert_hidden(&["explain", "--serverless", "serverless.yml", "https://a/"], &["HOST_OF_RULE"]);
    assert_hidden(&["test"], &["URL", "PLACE", "QUERY"]);
}

/// A file that is changed to a wrong one while it is in use, and a function that cannot start.
pub(crate) fn what_goes_wrong_in_dev_keeps_its_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let url = back_end("legacy");
    let good = format!("version: 1\nbackends: {{ a: '{url}' }}\ndefault: {{ forward: a }}\n");
    std::fs::write(folder.join("crossfade.yaml"), &good).unwrap();
    let own = ["--config", "crossfade.yaml", "--inspect", "0", "--verbose"];
    let dev = Dev::start_with(folder, &own, &[("API_TOKEN", FROM_ENVIRONMENT)]);
    let told = live(&dev.inspector);
    let mut said = Vec::new();
    for (count, mistake) in [
        "requestHeaders: { set: { authorization: 'Bearer canary-literal', x-a: \"\\u0001\" } }",
        "requestHeaders: { set: { x-a: \"\\u0001${env:API_TOKEN}\" } }",
        "redirect: 'https://anna:canary-userinfo@a.example/?token=canary-query'",
    ]
    .iter()
    .enumerate()
    {
        let text = good.replace("forward: a", &format!("forward: a, {mistake}"));
        std::fs::write(folder.join("next.yaml"), text).unwrap();
        std::fs::rename(folder.join("next.yaml"), folder.join("crossfade.yaml")).unwrap();
        loop {
            let line = dev.stderr.recv_timeout(PATIENCE).unwrap();
            let is_last = line.contains("has errors: the last valid configuration stays in use");
            said.push(line);
            if is_last {
                break;
            }
        }
        assert!(get(&dev.alb, "/").starts_with("HTTP/1.1 200"));
        wait_for_words(&told, &format!("\"seen\":\"{} seen", count + 1));
    }
    assert_clean("the live stream", &told.lock().unwrap());
    assert_clean("the inspector", &get(&dev.inspector, "/requests/1"));
    let dev = stopped(dev);
    said.extend(dev.stdout.iter().chain(dev.stderr.iter()));
    assert_clean("the terminal", &said.join("\n"));

    // `bootstrap`, as a function that `dev` does not know: its variables come from options, and are looked at by it alone.
    std::fs::write(folder.join("wrong.yaml"), good.replace("forward: a", "forward: a, x-token: canary-literal"))
        .unwrap();
    let program = env!("CARGO_BIN_EXE_crossfade");
    for variable in
        ["CROSSFADE_CONFIG=wrong.yaml", "CROSSFADE_BACKEND=https://anna:canary-userinfo@a.example/?token=canary"]
    {
        let function = format!("env {variable} {program} function");
        assert_fails_cleanly(folder, &["--function", &function, "--verbose"], "failed to initialise");
    }
}

/// A function that fails: answer, live stream, inspector and terminal say why, and nothing else.
fn assert_fails_cleanly(folder: &Path, options: &[&str], why: &str) {
    let dev = Dev::start_in(folder, &[options, &["--inspect", "0"]].concat());
    let told = live(&dev.inspector);
    let answer = get(&dev.alb, "/");
    assert!(answer.starts_with("HTTP/1.1 502"), "{answer}");
    assert_clean("the answer", &answer);
    assert_clean("the live stream", &wait_for_words(&told, "\"seen\":\"1 seen"));
    let page = get(&dev.inspector, "/requests/1");
    assert!(page.contains(why), "{page}");
    assert_clean("the inspector", &page);
    let dev = stopped(dev);
    let said: Vec<String> = dev.stdout.iter().chain(dev.stderr.iter()).collect();
    let said = said.join("\n");
    assert!(said.contains(why), "{said}");
    assert_clean("the terminal", &said);
}

/// A foreign function may log anything; the part that is shown with a request is redacted.
pub(crate) fn what_another_function_reports_is_looked_through() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    let post = |kind: &str| {
        format!(
            "#!/bin/sh\napi=http://$AWS_LAMBDA_RUNTIME_API/2018-06-01/runtime\n\
             message='{{\"errorMessage\": \"cannot sign in: password=canary-password, Bearer canary-bearer, https://a/x?sig=canary-query\", \
             \"errorType\": \"Error\"}}'\n{}",
            match kind {
                "init" => "curl -s -d \"$message\" $api/init/error\n",
                _ =>
                    "id=$(curl -s -D - -o /dev/null $api/invocation/next | tr -d '\\r' | sed -n 's/^lambda-runtime-aws-request-id: //Ip')\n\
                     curl -s -d \"$message\" $api/invocation/$id/error\ncurl -s -o /dev/null $api/invocation/next\n",
            }
        )
    };
    for kind in ["init", "invocation"] {
        std::fs::write(folder.join("function.sh"), post(kind)).unwrap();
        let function = format!("sh {}", folder.join("function.sh").display());
        assert_fails_cleanly(folder, &["--function", &function], "cannot sign in");
    }
}

/// Rules from a file: values that they compare with secrets, and errors in them.
pub(crate) fn listener_rules_keep_their_secrets() {
    let folder = tempfile::tempdir().unwrap();
    let folder = folder.path();
    write_configuration(folder);
    let service = |event: &str| {
        format!(
            "service: shop\nprovider: {{ name: aws, runtime: nodejs22.x, environment: {{ DB_PASSWORD: canary-variable }} }}\nfunctions:\n  \
             web:\n    handler: web.handler\n    events:\n      - alb: {{ listenerArn: a, priority: 1, {event} }}\n"
        )
    };
    let good =
        "conditions: { path: /guarded/*, header: [{ name: x-api-key, values: [canary-rule, '${env:API_TOKEN}'] }] }";
    let query = "conditions: { path: /plain/*, query: { token: canary-rule } }";
    for event in [good, query] {
        std::fs::write(folder.join("serverless.yml"), service(event)).unwrap();
        let rules = ["--serverless", "serverless.yml"];
        let listed = crossfade(folder, &[&["dev", "--list-rules"][..], &rules].concat());
        assert!(listed.status.success() && printed(&listed).contains("***"), "{}", printed(&listed));
        assert_clean("--list-rules", &printed(&listed));
        for format in [&[][..], &["--json"]] {
            let said =
                crossfade(folder, &[&["explain"], &rules[..], format, &["https://shop.example.com/plain/1"]].concat());
            assert!(said.status.success(), "{}", printed(&said));
            assert_clean("explain", &printed(&said));
        }
        let own = ["--config", "crossfade.yaml", "--inspect", "0"];
        let dev = Dev::start_with(folder, &[&own[..], &rules].concat(), &[("API_TOKEN", FROM_ENVIRONMENT)]);
        get(&dev.alb, "/plain/1");
        let told = live(&dev.inspector);
        assert_clean("the live stream", &wait_for_words(&told, "\"seen\":\"1 seen"));
        let page = get(&dev.inspector, "/requests/1");
        assert!(page.contains("rules evaluated"), "{page}");
        assert_clean("the inspector", &page);
        assert_clean("the banner", &stopped(dev).banner);
        let file =
            crossfade(folder, &[&["init", "--output", "-", "--legacy", "https://a.example"], &rules[..]].concat());
        // A file for the function has to have them.
        assert_clean("what init says beside it", &String::from_utf8_lossy(&file.stderr));
    }
    // Invalid values are shown, because none of these keys can contain a secret. These are not:
    let header = "header: [{ name: x-api-key, values: [canary-literal, '${env:API_TOKEN}'] }]";
    for wrong in ["path: 7, nonsense: 1", "ip: nowhere", "method: 'a b'", "query: 1"] {
        std::fs::write(folder.join("serverless.yml"), service(&format!("conditions: {{ {header}, {wrong} }}")))
            .unwrap();
        let output = crossfade(folder, &["dev", "--list-rules", "--serverless", "serverless.yml"]);
        assert!(!output.status.success(), "{wrong}: {}", printed(&output));
        assert_clean(wrong, &printed(&output));
    }
}

/// As after Ctrl-C: its pipes end.
fn stopped(mut dev: Dev) -> Dev {
    dev.end("-INT");
    dev
}
