//! `crossfade compare` from outside: two systems on loopback, and inputs in every format.

mod site;

use std::collections::BTreeSet;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use crossfade_testkit::client;
use crossfade_testkit::folder::Folder;
use crossfade_testkit::process::{Process, Signal};
use crossfade_testkit::server::{Call, closed_port, response, serve};
use crossfade_testkit::wait::eventually;
use serde_json::Value;

use crate::support::Dev;
use site::{PLANTED, System, paths};

fn command(legacy: &str, modern: &str, arguments: &[&str], folder: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    command.args(["compare", "--legacy", legacy, "--modern", modern]).args(arguments).current_dir(folder);
    command.env_remove("SSL_CERT_FILE").stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    command
}

/// Compares two systems as fast as possible.
fn compare(systems: [SocketAddr; 2], arguments: &[&str], folder: &Path) -> Output {
    let [legacy, modern] = systems.map(|address| format!("http://{address}"));
    command(&legacy, &modern, &[&["--rate", "1000"], arguments].concat(), folder).output().unwrap()
}

/// Standard output and standard error of a run that ended with this exit code.
#[track_caller]
fn told(output: &Output, code: i32) -> (String, String) {
    let [stdout, stderr] = [&output.stdout, &output.stderr].map(|text| String::from_utf8_lossy(text).into_owned());
    assert_eq!(output.status.code(), Some(code), "{stdout}{stderr}");
    (stdout, stderr)
}

/// The records of a comparison log that are about the mirror.
fn records(log: &Path) -> Vec<Value> {
    let text = std::fs::read_to_string(log).unwrap();
    let records = text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["against"] == "mirror").collect()
}

/// The paths of the requests whose responses differed.
fn different(log: &Path) -> BTreeSet<String> {
    let records = records(log).into_iter().filter(|record| record["verdict"] == "different");
    records
        .map(|record| {
            let url = record["primary"]["url"].as_str().unwrap_or_default().to_owned();
            let (_, path) = url.split_once("://").and_then(|(_, rest)| rest.split_once('/')).unwrap();
            format!("/{path}")
        })
        .collect()
}

fn planted() -> BTreeSet<String> {
    PLANTED.map(str::to_owned).into()
}

fn both() -> [SocketAddr; 2] {
    [System::Legacy, System::Modern].map(site::start)
}

/// A server that keeps what it was asked.
fn recording() -> (SocketAddr, Arc<Mutex<Vec<Call>>>) {
    let calls = Arc::new(Mutex::new(Vec::new()));
    let kept = calls.clone();
    let address = serve(move |call| {
        kept.lock().unwrap().push(call);
        response("200 OK", &[("content-type", "text/plain")], b"ok")
    });
    (address, calls)
}

fn targets(calls: &Mutex<Vec<Call>>) -> Vec<String> {
    calls.lock().unwrap().iter().map(|call| call.line.trim_end_matches(" HTTP/1.1").to_owned()).collect()
}

#[test]
fn the_help_text_is_the_golden_one() {
    let output = Command::new(env!("CARGO_BIN_EXE_crossfade")).args(["compare", "--help"]).output().unwrap();
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/help-compare.txt");
    if std::env::var_os("BLESS").is_some() {
        std::fs::write(&file, &output.stdout).unwrap();
    }
    assert_eq!(told(&output, 0).0, std::fs::read_to_string(&file).unwrap_or_default());
}

#[test]
fn planted_differences_of_two_sites_are_found_and_equal_pages_are_not_blamed() {
    let (folder, systems) = (Folder::new(), both());
    folder.write("paths.txt", paths().join("\n"));
    let gate = ["--gate", "regressions>=10", "--html", "report.html", "--output", "new.log", "paths.txt"];
    let (report, summary) = told(&compare(systems, &gate, folder.path()), 0);
    assert_eq!(different(&folder.path().join("new.log")), planted());
    assert_eq!(records(&folder.path().join("new.log")).len(), paths().len());
    assert!(
        summary.starts_with(&format!("{0} of {0} requests are sent to both systems\n", paths().len())),
        "{summary}"
    );
    for endpoint in ["/products/{id}", "/feed.xml", "/moved"] {
        assert!(report.contains(endpoint), "{report}");
    }
    assert!(folder.read("report.html").contains("/products/{id}"));

    // The same report comes from the log, and what differed can be sent once more.
    for (gate, code) in [("regressions>=10", 0), ("parity>=100%", 1)] {
        let mut again = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        let again = again.args(["report", "--gate", gate, "new.log"]).current_dir(folder.path()).output().unwrap();
        let (same, _) = told(&again, code);
        assert!(code == 1 || same == report, "{same}");
    }
    let (_, summary) = told(&compare(systems, &["--output", "retry.log", "new.log"], folder.path()), 0);
    assert!(summary.contains("the responses did not differ"), "{summary}");
    assert_eq!(different(&folder.path().join("retry.log")), planted());
    assert_eq!(records(&folder.path().join("retry.log")).len(), PLANTED.len());
}

/// Twenty pages with an id that is another one each time; the tenth also has another price in the new system.
#[test]
fn one_page_is_enough_to_tell_a_difference_from_noise() {
    let shop = |price: &'static str| {
        let count = AtomicU64::new(0);
        serve(move |call| {
            let price = if call.target() == "/api/products/10" { price } else { "1.00" };
            let id = count.fetch_add(1, Ordering::Relaxed);
            response(
                "200 OK",
                &[("content-type", "application/json")],
                format!(r#"{{"id":{id},"price":"{price}"}}"#).as_bytes(),
            )
        })
    };
    let systems = [shop("1.00"), shop("2.00")];
    let folder = Folder::new();
    folder.write("paths.txt", (1..=20).map(|number| format!("/api/products/{number}\n")).collect::<String>());
    for (arguments, regressions) in [(&[][..], "regressions=1"), (&["--again", "0"], "regressions=0")] {
        let arguments = [arguments, &["--gate", regressions, "--output", "new.log", "paths.txt"]].concat();
        told(&compare(systems, &arguments, folder.path()), 0);
        let log = folder.join("new.log");
        assert_eq!(records(&log).len(), 20, "what is sent again is no sample");
        let again = std::fs::read_to_string(&log).unwrap().matches(r#""against":"again""#).count();
        assert!(if regressions == "regressions=0" { again == 0 } else { (7..=20).contains(&again) }, "{again}");
    }
}

#[test]
fn a_system_is_the_same_as_itself() {
    let (folder, legacy) = (Folder::new(), site::start(System::Legacy));
    folder.write("paths.txt", paths().join("\n"));
    let arguments = ["--json", "--gate", "regressions=0", "--output", "new.log", "paths.txt"];
    let (report, _) = told(&compare([legacy, legacy], &arguments, folder.path()), 0);
    let report: Value = serde_json::from_str(&report).unwrap();
    assert_eq!(report["overall"]["compared"], paths().len());
    assert_eq!(different(&folder.path().join("new.log")), BTreeSet::new());
}

#[test]
fn the_access_log_of_an_alb_is_an_input() {
    let (folder, systems) = (Folder::new(), both());
    let log = folder.path().join("access.log");
    let backend = format!("http://{}", systems[0]);
    let dev = Dev::start(&["--backend", &backend, "--no-inspect", "--access-log", log.to_str().unwrap()]);
    for path in ["/products/17", "/products/18?q=%22a%20b", "/products/18", "/about"] {
        assert_eq!(client::get(&dev.alb, path).status, 200, "{path}");
    }
    eventually("the access log", || std::fs::read_to_string(&log).unwrap().lines().count() == 4);
    assert!(dev.stop("-INT").success());
    let mut file = std::fs::OpenOptions::new().append(true).open(&log).unwrap();
    file.write_all(b"http cut off\x1b[2J\nhttp 2026-12-04T00:00:00.000000Z x\n").unwrap();
    let (_, summary) = told(&compare(systems, &["--output", "new.log", "access.log"], folder.path()), 0);
    assert!(summary.starts_with("4 of 4 requests are sent to both systems\n"), "{summary}");
    assert!(summary.contains("2 unreadable, the first: access.log:5: "), "{summary}");
    assert_eq!(different(&folder.path().join("new.log")), ["/about", "/products/17"].map(str::to_owned).into());
}

#[test]
fn the_logs_of_cloudfront_and_nginx_are_inputs_and_standard_input_is_one() {
    let (folder, (address, calls)) = (Folder::new(), recording());
    folder.write(
        "cloudfront.log",
        "#Version: 1.0\n#Fields: date time cs-method cs(Host) cs-uri-stem cs-uri-query x-host-header\n\
         2026-12-04\t21:02:31\tGET\td1.cloudfront.net\t/a%2520b\tq=1\tshop.example\n",
    );
    let nginx = "192.0.2.7 - - [04/Dec/2026:13:55:36 +0000] \"HEAD /nginx?a=b HTTP/1.1\" 200 1 \"-\" \"curl\"\n";
    let url = format!("http://{address}");
    let mut child = command(&url, &url, &["cloudfront.log", "-"], folder.path()).stdin(Stdio::piped()).spawn().unwrap();
    child.stdin.take().unwrap().write_all(nginx.as_bytes()).unwrap();
    told(&child.wait_with_output().unwrap(), 0);
    let targets: BTreeSet<String> = targets(&calls).into_iter().collect();
    assert_eq!(targets, ["GET /a%20b?q=1", "HEAD /nginx?a=b"].map(str::to_owned).into());
    let calls = calls.lock().unwrap();
    let page = calls.iter().find(|call| call.line.starts_with("GET")).unwrap();
    assert_eq!(page.field("x-forwarded-host"), Some("shop.example"));
    assert!(page.field("user-agent").unwrap().starts_with("crossfade-compare/"));
}

#[test]
fn a_har_file_is_sent_without_its_credentials_and_with_those_of_the_options() {
    let (folder, (address, calls)) = (Folder::new(), recording());
    let har = r#"{"log": {"entries": [
        {"request": {"method": "GET", "url": "http://HOST/shop/a?b=c", "headers": [{"name": "Cookie", "value": "id=secret"},
            {"name": "Authorization", "value": "secret"}, {"name": "Accept-Language", "value": "de"}]}},
        {"request": {"method": "POST", "url": "http://HOST/shop/form", "headers": [],
            "postData": {"mimeType": "application/x-www-form-urlencoded", "text": "a=b"}}},
        {"request": {"method": "GET", "url": "https://cdn.example/x.js", "headers": []}},
        {"request": {"method": "DELETE", "url": "http://HOST/shop/a", "headers": []}}
    ]}}"#;
    folder.write("a.har", har.replace("HOST", &address.to_string()));
    let (legacy, modern) = (format!("http://{address}/shop"), format!("http://{address}/new/"));
    let arguments =
        ["--method", "POST", "-H", "X-Api-Key: own", "--cookie", "session=own", "--concurrency", "1", "a.har"];
    let (_, summary) = told(&command(&legacy, &modern, &arguments, folder.path()).output().unwrap(), 0);
    assert!(summary.starts_with("2 of 4 requests are sent"), "{summary}");
    assert!(summary.contains("DELETE 1") && summary.contains("cdn.example 1"), "{summary}");
    let expected = ["GET /shop/a?b=c", "GET /new/a?b=c", "POST /shop/form", "POST /new/form"].map(str::to_owned);
    assert_eq!(targets(&calls).into_iter().collect::<BTreeSet<_>>(), expected.into());
    let calls = calls.lock().unwrap();
    for call in calls.iter() {
        assert_eq!((call.field("cookie"), call.field("authorization")), (Some("session=own"), None), "{}", call.line);
        assert_eq!(call.field("x-api-key"), Some("own"));
        let is_form = call.line.starts_with("POST");
        assert_eq!(call.body, if is_form { &b"a=b"[..] } else { b"" });
        assert_eq!(call.field("content-type"), is_form.then_some("application/x-www-form-urlencoded"));
        assert_eq!(call.field("accept-language"), (!is_form).then_some("de"));
    }
}

#[test]
fn one_host_can_be_asked_for_in_both_systems() {
    let (folder, (address, calls)) = (Folder::new(), recording());
    folder.write("paths.txt", "/a\n");
    told(&compare([address, address], &["-H", "Host: shop.example", "paths.txt"], folder.path()), 0);
    let calls = calls.lock().unwrap();
    assert!(
        calls.len() >= 2 && calls.iter().all(|call| call.field("host") == Some("shop.example")),
        "{:?}",
        calls[0].fields
    );
}

#[test]
fn rules_of_a_route_hold_for_its_requests_or_for_all() {
    let (folder, systems) = (Folder::new(), both());
    folder.write("paths.txt", "/products/17\n/articles/9\n/products/18\n");
    let route = |name: &str, priority: u32, ignore: &str| {
        format!(
            "  - name: {name}\n    priority: {priority}\n    conditions: {{ path: ['/{name}/*'] }}\n    forward: a\n    mirror: {{ backend: b, \
             percent: 1, compare: {{ ignore: [{ignore}] }} }}\n"
        )
    };
    let backends = "version: 1\nbackends: { a: https://a.example, b: https://b.example }\n";
    let routes = route("products", 1, "body") + &route("articles", 2, "status");
    folder.write("crossfade.yaml", format!("{backends}routes:\n{routes}default: {{ forward: a }}\n"));
    let log = folder.path().join("new.log");
    let rules = ["--rules", "crossfade.yaml", "--output", "new.log", "paths.txt"];
    for (arguments, expected) in [
        (&[][..], &["/articles/9"][..]),
        (&["--route", "products"], &[]),
        (&["--route", "articles"], &["/articles/9", "/products/17"]),
    ] {
        told(&compare(systems, &[arguments, &rules].concat(), folder.path()), 0);
        let expected: BTreeSet<String> = expected.iter().map(|path| (*path).to_owned()).collect();
        assert_eq!(different(&log), expected, "{arguments:?}");
        assert_eq!(records(&log).len(), 3);
    }
    told(&compare(systems, &rules, folder.path()), 0);
    let names: BTreeSet<String> =
        records(&log).iter().map(|record| record["route"].as_str().unwrap().to_owned()).collect();
    assert_eq!(names, ["articles", "products"].map(str::to_owned).into());
    let (_, error) = told(&compare(systems, &[&["--route", "prducts"], &rules[..]].concat(), folder.path()), 2);
    assert!(error.contains("no route `prducts`") && error.contains("products, articles, default"), "{error}");
}

#[test]
fn values_can_be_hidden_and_secrets_always_are() {
    let (folder, systems) = (Folder::new(), both());
    folder.write("paths.txt", "/api/products/33?q=shown&token=hidden\n/api/products/33?q=shown\n");
    let log = folder.path().join("new.log");
    for (arguments, is_kept) in [(&[][..], true), (&["--hide-values"], false)] {
        let rest = ["--output", "new.log", "paths.txt"];
        told(&compare(systems, &[arguments, &rest].concat(), folder.path()), 0);
        let text = std::fs::read_to_string(&log).unwrap();
        assert_eq!((text.contains("shown"), text.contains("hidden")), (is_kept, false), "{text}");
        // A query that was not kept cannot be sent again.
        let code = if is_kept { 0 } else { 2 };
        let (_, summary) = told(&compare(systems, &["new.log"], folder.path()), code);
        let skipped = if is_kept { "1 skipped: the query has values" } else { "2 skipped: the query has values" };
        assert!(summary.contains(skipped), "{summary}");
    }
}

#[test]
fn an_interruption_ends_the_run_with_a_report() {
    let (folder, (address, calls)) = (Folder::new(), recording());
    folder.write("paths.txt", (0..1000).map(|number| format!("/{number}\n")).collect::<String>());
    let url = format!("http://{address}");
    let arguments = ["--rate", "20", "--json", "--output", "new.log", "paths.txt"];
    let mut process = Process::start(&mut command(&url, &url, &arguments, folder.path()));
    eventually("some requests", || calls.lock().unwrap().len() > 10);
    process.signal(Signal::INT);
    assert_eq!(process.wait().code(), Some(0));
    let mut report = String::new();
    std::io::Read::read_to_string(&mut process.child.stdout.take().unwrap(), &mut report).unwrap();
    let report: Value = serde_json::from_str(&report).unwrap();
    let count = records(&folder.path().join("new.log")).len();
    assert_eq!(report["overall"]["compared"], count);
    assert!((5..500).contains(&count), "{count}");
    let mut errors = String::new();
    std::io::Read::read_to_string(&mut process.child.stderr.take().unwrap(), &mut errors).unwrap();
    assert!(errors.contains("interrupted after ") && errors.contains(" of 1000 requests"), "{errors}");
    assert!(!errors.contains('\x1b') && !errors.contains('\r'), "a bar without a terminal: {errors}");
}

#[test]
fn a_system_that_cannot_be_reached_is_told_early() {
    let (folder, (address, calls)) = (Folder::new(), recording());
    folder.write("paths.txt", (0..100).map(|number| format!("/{number}\n")).collect::<String>());
    let (works, closed) = (format!("http://{address}"), format!("http://127.0.0.1:{}", closed_port()));
    let without_tls = format!("https://{address}");
    for (legacy, modern, expected) in [
        (&works, &closed, "error: cannot connect to the modern system, 127.0.0.1:"),
        (&closed, &works, "error: cannot connect to the legacy system, 127.0.0.1:"),
        (&without_tls, &works, "error: cannot connect to the legacy system, 127.0.0.1:"),
        (&closed, &closed, "error: cannot connect to the legacy system, 127.0.0.1:"),
    ] {
        calls.lock().unwrap().clear();
        let output = command(legacy, modern, &["--rate", "1000", "paths.txt"], folder.path()).output().unwrap();
        let (report, error) = told(&output, 2);
        assert!(error.contains(expected) && report.is_empty(), "{error}");
        assert!(calls.lock().unwrap().len() < 50, "it stops early");
    }
}

#[test]
fn what_cannot_be_compared_is_told() {
    let folder = Folder::new();
    folder.write("empty.txt", "# nothing\n");
    folder.write("posts.txt", "POST /a\n");
    folder.write("traces.txt", "TRACE /a\n");
    folder.write("hostile.txt", "\x1b[2Jsecret\n");
    folder.write("paths.txt", "/a\n");
    let url = format!("http://127.0.0.1:{}", closed_port());
    for (legacy, arguments, expected) in [
        (&*url, &["empty.txt"][..], "the input has no request to send"),
        (&url, &["posts.txt"], "the method is not safe (POST 1)"),
        (&url, &["hostile.txt"], "`\\u{1b}[2Jsecret` is neither a path"),
        (
            &url,
            &["--method", "TRACE", "traces.txt"],
            "no request could be sent, the first: method `TRACE` is not forwarded",
        ),
        (&url, &["missing.txt"], "cannot read `missing.txt`"),
        ("ftp://h", &["paths.txt"], "--legacy"),
        ("http://192.0.2.1", &["paths.txt"], "plain `http` is allowed to loopback and private addresses only"),
        (&url, &["--rules", "missing.yaml", "paths.txt"], "cannot read `missing.yaml`"),
        (&url, &["--route", "a", "paths.txt"], "--rules"),
        (&url, &["--rate", "0", "paths.txt"], "requests per second"),
        (&url, &["--timeout", "11m", "paths.txt"], "from 100ms to 10m"),
        (&url, &["--timeout", "10m", "paths.txt"], "cannot connect to the legacy system"),
        (&url, &["--output", "no/such/folder", "paths.txt"], "cannot write `no/such/folder`"),
    ] {
        let (_, error) = told(&command(legacy, &url, arguments, folder.path()).output().unwrap(), 2);
        assert!(error.contains(expected) && !error.contains('\x1b'), "{arguments:?}: {error}");
    }
}
