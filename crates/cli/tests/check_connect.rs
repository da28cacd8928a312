//! `crossfade check --connect` with real TLS servers: its output for each back end, its findings, and the exit code.

use std::process::{Command, Output};
use std::time::{Duration, SystemTime};

use crossfade_testkit::authority::Authority;
use crossfade_testkit::folder::Folder;
use crossfade_testkit::message::Message;
use crossfade_testkit::rcgen::DnType;
use crossfade_testkit::server::{Action, Server, closed_port, response};
use crossfade_testkit::{rustls, tls};
use serde_json::{Value, json};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// An authority, with the folder of a configuration that trusts it.
struct Workplace {
    folder: Folder,
    authority: Authority,
}

impl Workplace {
    fn new() -> Self {
        let authority = Authority::with(|params| params.distinguished_name.push(DnType::CommonName, "Corp CA"));
        let folder = Folder::new();
        folder.write("ca.pem", authority.pem());
        Workplace { folder, authority }
    }

    /// The port of a server whose certificate, for `localhost`, lasts this number of days. It answers a `HEAD` for `/v2/` by the
    /// `Host`: 200, or what stands for a name below.
    fn server(&self, days: i32, alpn: &[&str]) -> u16 {
        self.server_of("shop", days, alpn)
    }

    fn server_of(&self, name: &str, days: i32, alpn: &[&str]) -> u16 {
        // A quarter of a day, so that what is left is whole days while the test runs.
        let now = SystemTime::now() + DAY / 4;
        let end = if days < 0 { now - days.unsigned_abs() * DAY } else { now + days.unsigned_abs() * DAY };
        let identity = self.authority.issue_with(&["localhost"], |params| {
            params.distinguished_name.push(DnType::CommonName, name);
            params.not_after = end.into();
        });
        let config = tls::server(&identity, &[&rustls::version::TLS13], None, alpn);
        Server::start(Some(config), |_, message| answer(message)).unwrap().keep().port()
    }

    fn check(&self, backends: &str, arguments: &[&str]) -> Output {
        let names = backends.lines().filter_map(|line| line.trim().split(':').next());
        let routes: String = names
            .enumerate()
            .map(|(at, name)| {
                format!(
                    "  - {{ name: r{at}, priority: {}, conditions: {{ path: /{name} }}, forward: {name} }}\n",
                    at + 1
                )
            })
            .collect();
        let text = format!(
            "version: 1\nbackends:\n{backends}\nroutes:\n{routes}default: {{ fixedResponse: {{ status: 404 }} }}\n"
        );
        self.folder.write("crossfade.yaml", text);
        Command::new(env!("CARGO_BIN_EXE_crossfade"))
            .args(["check", "--connect"])
            .args(arguments)
            .current_dir(&self.folder)
            .env_remove("SSL_CERT_FILE")
            .output()
            .unwrap()
    }
}

fn answer(message: &Message<'_>) -> Action {
    let status = match message.field("host").unwrap_or_default() {
        _ if message.start_line() != b"HEAD /v2/ HTTP/1.1" => "404 Not Found",
        b"other.example" => "421 Misdirected Request",
        b"unknown.example" => "400 Bad Request",
        b"down.example" => "503 Service Unavailable",
        _ => "200 OK",
    };
    Action::Send(response(status, &[], b"").into())
}

fn text(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A back end at this port of `localhost` that trusts the authority, with more keys.
fn backend(name: &str, port: u16, keys: &str) -> String {
    format!("  {name}: {{ url: 'https://localhost:{port}/v2', tls: {{ caFile: ca.pem }}{keys} }}")
}

#[test]
fn a_back_end_that_is_well_is_shown_with_all_that_was_agreed_on() {
    let workplace = Workplace::new();
    let port = workplace.server(90, &["http/1.1"]);
    let output = workplace.check(&backend("legacy", port, ""), &[]);
    let shown = text(&output);
    assert_eq!(output.status.code(), Some(0), "{shown}");
    for line in [
        &format!("legacy  https://localhost:{port}/v2\n"),
        &format!("  connected    127.0.0.1:{port} in "),
        "  TLS          1.3, TLS13_AES_256_GCM_SHA384, ALPN http/1.1\n",
        " (in 90 days), by CN=Corp CA\n",
        &format!("  Host         localhost:{port}\n"),
        "  response     200 OK to HEAD /v2/ in ",
        "crossfade.yaml: ok, 1 back end, 1 route\n",
    ] {
        assert!(shown.contains(line), "{line:?} in {shown}");
    }

    let document: Value =
        serde_json::from_slice(&workplace.check(&backend("legacy", port, ""), &["--json"]).stdout).unwrap();
    let destination = &document["connections"][0]["destinations"][0];
    assert_eq!(document["connections"][0]["backend"], "legacy");
    assert_eq!(destination["address"], format!("127.0.0.1:{port}"));
    assert_eq!(destination["tls"]["version"], "1.3");
    assert_eq!(destination["tls"]["chain"][0]["issuer"], "CN=Corp CA");
    assert_eq!(destination["response"]["status"], json!(200));
    assert!(destination["ms"].as_f64().is_some_and(|ms| ms > 0.0));
}

#[test]
fn what_keeps_requests_from_a_back_end_is_an_error() {
    let workplace = Workplace::new();
    let port = workplace.server(90, &[]);
    let closed = closed_port();
    for (backend, message) in [
        (
            backend("a", closed, ""),
            format!("`backends.a`: localhost:{closed}: connection refused by 127.0.0.1:{closed}"),
        ),
        (format!("  a: https://localhost:{port}"), format!("`backends.a`: localhost:{port}: certificate: ")),
        (
            format!("  a: {{ url: 'https://127.0.0.1:{port}', tls: {{ caFile: ca.pem }} }}"),
            format!("`backends.a`: 127.0.0.1:{port}: certificate: "),
        ),
        (
            backend("a", port, ", hostHeader: other.example"),
            format!(
                "`backends.a`: localhost:{port}: it responds with 421 (Misdirected Request) to the Host `other.example`"
            ),
        ),
        (backend("a", port, ", http2: always"), format!("`backends.a`: localhost:{port}: ")),
        (backend("a", workplace.server(-2, &[]), ""), "; it ended 20".to_owned()),
    ] {
        let output = workplace.check(&backend, &[]);
        assert_eq!(output.status.code(), Some(1), "{}", text(&output));
        assert!(text(&output).contains(&message), "{message} in {}", text(&output));
    }
}

#[test]
fn what_is_not_urgent_is_a_warning() {
    let workplace = Workplace::new();
    let (soon, port) = (workplace.server(12, &[]), workplace.server(90, &[]));
    let closed = closed_port();
    for (backend, message) in [
        (backend("a", soon, ""), " (in 12 days): CN=shop".to_owned()),
        (
            backend("a", port, ", hostHeader: unknown.example"),
            "it responds with 400 (Bad Request) to `HEAD`".to_owned(),
        ),
        (
            backend("a", port, ", hostHeader: down.example"),
            "it responds with 503 Service Unavailable to `HEAD`".to_owned(),
        ),
        (
            backend("a", port, &format!(", addresses: ['127.0.0.1:{closed}', '127.0.0.1:{port}']")),
            format!("127.0.0.1:{closed}: connection refused by 127.0.0.1:{closed}"),
        ),
    ] {
        let output = workplace.check(&backend, &[]);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output));
        let warning = text(&output).lines().any(|line| line.contains(": warning: ") && line.contains(&message));
        assert!(warning, "{message} in {}", text(&output));
        assert_eq!(workplace.check(&backend, &["--deny-warnings"]).status.code(), Some(1));
    }
}

#[test]
fn the_host_of_clients_is_named_by_an_option_or_by_the_public_url() {
    let workplace = Workplace::new();
    let port = workplace.server(90, &[]);
    let preserve = backend("a", port, ", hostHeader: preserve");
    let shown = text(&workplace.check(&preserve, &[]));
    assert!(
        shown.contains(&format!(
            "Host         localhost:{port}; requests have the client's Host: name it with `--host`\n"
        ))
    );
    let output = workplace.check(&preserve, &["--host", "other.example"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output).contains("to the Host `other.example`"), "{}", text(&output));
    let public = backend("a", port, ", hostHeader: preserve, publicUrl: 'https://shop.example.com'");
    assert!(text(&workplace.check(&public, &[])).contains("Host         shop.example.com\n"));
    // An invalid host is an error here, as it is for requests.
    let output = workplace.check(&preserve, &["--host", "[::1"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
}

#[test]
fn without_a_table_nobody_is_asked() {
    let workplace = Workplace::new();
    let output = workplace.check("  a: { url: 'ftp://localhost' }", &[]);
    assert_eq!(output.status.code(), Some(1));
    assert!(!text(&output).contains("connected"), "{}", text(&output));
}

#[test]
fn a_certificate_forges_no_line() {
    let workplace = Workplace::new();
    let port = workplace.server_of("evil\n  response     200 OK", 12, &[]);
    let shown = text(&workplace.check(&backend("a", port, ""), &[]));
    assert!(shown.contains("CN=evil\\n  response     200 OK, until "), "{shown}");
    assert_eq!(shown.lines().filter(|line| line.starts_with("  response")).count(), 1, "{shown}");
}
