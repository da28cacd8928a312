//! NGINX as the judge of its import: the same requests to NGINX with each `tests/import/nginx/*.conf`, and to the file that
//! `crossfade init --nginx` writes. Both must choose the same back end and path, or give the same response.

use std::collections::BTreeMap;
use std::fs;
use std::net::{Ipv4Addr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use crossfade_route::{Checked, Expectation, Nothing};
use crossfade_testkit::authority::Authority;
use crossfade_testkit::process::Process;
use crossfade_testkit::server::{Call, closed_port, response, serve};
use crossfade_testkit::tools;
use serde_json::Value;

const CASES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/import/nginx");

/// Requests with paths that no test has, for each file.
const FURTHER: usize = 60;

pub(crate) fn nginx_makes_the_same_choice_as_the_imported_file() {
    let mut wrong = String::new();
    let mut count = 0;
    let mut files: Vec<PathBuf> = fs::read_dir(CASES).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|it| it == "conf"));
    files.sort();
    for file in files {
        let case = Case::start(&file);
        let name = file.file_name().unwrap().to_string_lossy();
        for expected in &case.tests {
            let (by_nginx, ours) = (case.nginx(&Asked::of(expected)), case.expected(expected));
            count += 1;
            if !ours.is_met_by(&by_nginx) {
                wrong +=
                    &format!("{name}: {} {}: NGINX {by_nginx:?}, the test {ours:?}\n", expected.method, expected.url);
            }
        }
        for asked in case.further() {
            let Some(ours) = case.explained(&asked) else { continue };
            let by_nginx = case.nginx(&asked);
            count += 1;
            if !ours.is_met_by(&by_nginx) {
                wrong += &format!("{name}: {} {:?}: NGINX {by_nginx:?}, explain {ours:?}\n", asked.url, asked.headers);
            }
        }
    }
    assert!(wrong.is_empty(), "of {count} requests these differ:\n{wrong}");
    assert!(count > 500, "only {count} requests");
}

/// A request.
#[derive(Clone, Debug)]
struct Asked {
    method: String,
    url: String,
    headers: Vec<String>,
}

impl Asked {
    fn of(test: &Expectation) -> Asked {
        let headers = test.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap()));
        Asked { method: test.method.to_string(), url: test.url.to_string(), headers: headers.collect() }
    }
}

/// NGINX's response.
#[derive(Debug)]
enum Done {
    /// The address in the file, and the path that the back end got.
    Sent(String, String),
    Answered(u16, Option<String>),
}

/// The response by the imported file.
#[derive(Debug)]
struct Ours {
    /// Addresses in the file of the possible back ends.
    servers: Vec<String>,
    path: Option<String>,
    status: Option<u16>,
    location: Option<String>,
}

impl Ours {
    fn is_met_by(&self, done: &Done) -> bool {
        match done {
            Done::Sent(server, path) => {
                self.status.is_none() && self.servers.contains(server) && self.path.as_ref().is_none_or(|it| it == path)
            }
            Done::Answered(status, location) => {
                // What is not imported is not compared.
                self.status == Some(501) || self.status == Some(*status) && self.location == *location
            }
        }
    }
}

struct Case {
    folder: tempfile::TempDir,
    tests: Vec<Expectation>,
    http: u16,
    https: u16,
    has_https: bool,
    /// Addresses in the file by the name of the back end, and the back ends of each route.
    backends: BTreeMap<String, String>,
    routes: BTreeMap<String, Vec<String>>,
    _server: Process,
}

impl Case {
    fn start(file: &Path) -> Case {
        let conf = fs::read_to_string(file).unwrap();
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("mime.types"), "").unwrap();
        fs::write(folder.path().join("imported.conf"), &conf).unwrap();
        let program = env!("CARGO_BIN_EXE_crossfade");
        let arguments = ["init", "--nginx", "imported.conf"];
        let output = Command::new(program).current_dir(folder.path()).args(arguments).output().unwrap();
        assert!(output.status.code().is_some_and(|code| code < 2), "{}", String::from_utf8_lossy(&output.stderr));
        let yaml = fs::read_to_string(folder.path().join("crossfade.yaml")).unwrap();
        let tests = Checked::new(&yaml, "crossfade.yaml", &Nothing).expectations;
        let (backends, routes) = parts(&yaml);
        let has_https = conf.contains("listen 443");
        let (server, http, https) = start(folder.path(), &conf);
        Case { folder, tests, http, https, has_https, backends, routes, _server: server }
    }

    /// Asks NGINX.
    fn nginx(&self, asked: &Asked) -> Done {
        let (scheme, rest) = asked.url.split_once("://").unwrap();
        let is_https = scheme == "https" && self.has_https;
        let port = if is_https { self.https } else { self.http };
        let url = format!("{}://{rest}", if is_https { "https" } else { "http" });
        let mut command = Command::new("curl");
        command.args(["-sk", "-i", "--path-as-is", "--max-time", "20"]);
        match &*asked.method {
            "HEAD" => _ = command.arg("--head"),
            method => _ = command.args(["-X", method]),
        }
        command.args(["--connect-to", &format!("::127.0.0.1:{port}")]);
        asked.headers.iter().for_each(|header| _ = command.args(["-H", header]));
        let output = command.arg(&url).output().unwrap();
        let text = String::from_utf8_lossy(&output.stdout).into_owned();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or((&text, ""));
        let status: u16 = head.split(' ').nth(1).and_then(|it| it.parse().ok()).unwrap_or(0);
        let field = |name: &str| {
            head.lines().find_map(|line| {
                Some(line.split_once(": ").filter(|(it, _)| it.eq_ignore_ascii_case(name))?.1.trim().to_owned())
            })
        };
        match field("x-echo") {
            Some(server) => Done::Sent(server, body.lines().next().unwrap_or_default().to_owned()),
            None => Done::Answered(status, field("location").map(|url| self.as_asked(&url, scheme))),
        }
    }

    /// A URL with the scheme that the client would use behind a load balancer.
    fn as_asked(&self, url: &str, scheme: &str) -> String {
        let url = match url.strip_prefix("http://") {
            Some(rest) if !self.has_https && scheme == "https" => format!("https://{rest}"),
            _ => url.to_owned(),
        };
        let path_at = url.find("://").map_or(0, |at| at + 3);
        if url[path_at..].contains('/') { url } else { url + "/" }
    }

    fn servers(&self, names: &[String]) -> Vec<String> {
        names.iter().map(|name| self.backends[name].clone()).collect()
    }

    fn expected(&self, test: &Expectation) -> Ours {
        let servers = match (&test.backend, &test.route) {
            (Some(backend), _) => self.servers(std::slice::from_ref(backend)),
            (None, Some(route)) => self.servers(&self.routes[route]),
            _ => Vec::new(),
        };
        let status = test.status.map(|status| status.as_u16());
        Ours { servers, path: test.upstream.clone(), status, location: test.location.clone() }
    }

    /// Paths put together from those of the tests.
    fn further(&self) -> Vec<Asked> {
        let paths: Vec<(String, String)> = self
            .tests
            .iter()
            .map(|test| (test.url.to_string(), test.url.path().trim_end_matches('x').to_owned()))
            .collect();
        let mut state: usize = 7;
        let mut random = |below: usize| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) % below.max(1)
        };
        (0..FURTHER)
            .filter_map(|_| {
                let (url, _) = paths.get(random(paths.len()))?;
                let (_, end) = paths.get(random(paths.len()))?;
                let base = url.split('?').next().unwrap().trim_end_matches('/');
                // NGINX merges slashes, Crossfade does not.
                let url = format!("{base}{}{}", end.trim_end_matches('/'), ["", "?q=1", "/z", ".gif"][random(4)]);
                let headers = self.tests.get(random(self.tests.len())).map(|test| Asked::of(test).headers)?;
                Some(Asked { method: "GET".to_owned(), url, headers })
            })
            .collect()
    }

    /// `None` if a location is not imported.
    fn explained(&self, asked: &Asked) -> Option<Ours> {
        let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
        command.current_dir(self.folder.path()).args(["explain", "--json", &asked.url]);
        asked.headers.iter().for_each(|header| _ = command.args(["-H", header]));
        let output = command.output().unwrap();
        let found: Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{}", String::from_utf8_lossy(&output.stderr)));
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let status = found["answer"]["status"].as_u64().map(|status| u16::try_from(status).unwrap());
        let names = self.routes.get(found["route"]["name"].as_str()?).cloned().unwrap_or_default();
        let path = text(&found["upstream"]["url"]).map(|url| {
            let path_at = url.find("://").unwrap() + 3;
            url[path_at..].find('/').map_or("/".to_owned(), |at| url[path_at + at..].to_owned())
        });
        (status != Some(501)).then(|| Ours {
            servers: self.servers(&names),
            path,
            status,
            location: text(&found["answer"]["location"]),
        })
    }
}

/// Addresses by back end, and back ends by route, from the text that the import writes.
fn parts(yaml: &str) -> (BTreeMap<String, String>, BTreeMap<String, Vec<String>>) {
    let (mut backends, mut routes) = (BTreeMap::new(), BTreeMap::<String, Vec<String>>::new());
    let (mut part, mut name) = ("", String::new());
    let unquoted = |text: &str| text.trim().trim_matches('"').to_owned();
    for line in yaml.lines().filter(|line| !line.trim_start().starts_with('#')) {
        let top = line.split(':').next().unwrap();
        if !line.starts_with([' ', '-']) && !top.is_empty() {
            part = ["backends", "routes", "default", "tests"].into_iter().find(|it| *it == top).unwrap_or("");
            name = "default".to_owned();
        }
        match part {
            "backends" => {
                if let (true, Some((key, _))) =
                    (line.starts_with("  ") && !line.starts_with("   "), line.split_once(": ").or(line.split_once(':')))
                {
                    name = unquoted(key);
                }
                if let Some((_, after)) = line
                    .split_once("http")
                    .filter(|_| !backends.contains_key(&name) && !line.trim_start().starts_with("publicUrl"))
                {
                    let host = after.trim_start_matches('s').trim_start_matches("://");
                    let host = host.split([',', ' ', '"', '}']).next().unwrap();
                    backends.insert(name.clone(), host.to_owned());
                }
            }
            "routes" | "default" => {
                if let Some(found) = line.strip_prefix("  - name: ") {
                    name = unquoted(found);
                }
                // The mirror's is no target.
                if line.trim_start().starts_with("mirror:") {
                    continue;
                }
                let route = routes.entry(name.clone()).or_default();
                if let Some((_, backend)) = line.split_once("forward: ").filter(|(_, it)| !it.starts_with('{')) {
                    route.push(unquoted(backend.trim_end_matches('}')));
                }
                for piece in line.split("backend: ").skip(1) {
                    route.push(unquoted(piece.split([',', '}']).next().unwrap()));
                }
            }
            _ => {}
        }
    }
    (backends, routes)
}

/// NGINX with this file, whose back ends are servers of this test. It takes no port 0: others if one is not free any more.
fn start(folder: &Path, conf: &str) -> (Process, u16, u16) {
    let identity = Authority::new().issue(&["shop.example.com"]);
    fs::write(folder.join("tls.pem"), identity.pem()).unwrap();
    fs::write(folder.join("tls.key"), identity.key_pem()).unwrap();
    let mut echoes = BTreeMap::new();
    let program = tools::nginx().unwrap();
    for _ in 0..5 {
        let (http, https) = (closed_port(), closed_port());
        let text = conf_for_loopback(conf, folder, http, https, &mut echoes);
        fs::write(folder.join("nginx.conf"), &text).unwrap();
        let mut command = Command::new(&program);
        command.arg("-p").arg(folder).args(["-e", "error.log", "-c", "nginx.conf"]).stdin(Stdio::null());
        let mut server = Process::start(&mut command);
        let deadline = Instant::now() + Duration::from_secs(20);
        while server.try_wait().unwrap().is_none() && Instant::now() < deadline {
            if TcpStream::connect((Ipv4Addr::LOCALHOST, http)).is_ok() {
                return (server, http, https);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
    panic!("nginx does not start: {}", fs::read_to_string(folder.join("error.log")).unwrap_or_default());
}

/// The file with ports of this machine, and without what this machine lacks.
fn conf_for_loopback(conf: &str, folder: &Path, http: u16, https: u16, echoes: &mut BTreeMap<String, u16>) -> String {
    const PATHS: &str = "client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3; uwsgi_temp_path t4; scgi_temp_path t5;\n\
                         access_log off; port_in_redirect off; server_names_hash_bucket_size 128;\n";
    let mut text = String::from("daemon off; master_process off; pid nginx.pid;\n");
    let is_whole = conf.contains("http {");
    if !is_whole {
        text += &format!("events {{}}\nhttp {{ {PATHS}");
    }
    for line in conf.lines() {
        let word = line.trim_start().split([' ', '\t']).next().unwrap_or_default();
        if ["user", "pid", "access_log", "worker_processes"].contains(&word) || line.contains("(?!") {
            continue;
        }
        let mut line = line
            .replace("listen 80", &format!("listen 127.0.0.1:{http}"))
            .replace("listen 443", &format!("listen 127.0.0.1:{https}"))
            .replace("/etc/nginx/tls/shop", &folder.join("tls").display().to_string())
            .replace("https://10.", "http://10.")
            .replace("include no-such-file.conf;", "")
            .replace("limit_req zone=one;", "");
        if line.contains("proxy_pass")
            || line.contains("server 10.")
            || line.contains("split_clients")
            || line.contains("map ")
        {
            line = with_echoes(&line, echoes);
        }
        text += &format!("{line}\n");
        if is_whole && line.starts_with("http {") {
            text += PATHS;
        }
    }
    if is_whole { text } else { text + "}\n" }
}

/// Replaces each address of 10.0.0.0/8 by that of a server that echoes requests. A range stays.
fn with_echoes(line: &str, echoes: &mut BTreeMap<String, u16>) -> String {
    let mut out = String::new();
    let mut rest = line;
    while let Some(at) = rest.find("10.0.") {
        out += &rest[..at];
        let from = &rest[at..];
        let end = from.find(|c: char| !c.is_ascii_digit() && c != '.' && c != ':').unwrap_or(from.len());
        let (address, after) = from.split_at(end);
        let port = *echoes.entry(address.to_owned()).or_insert_with(|| echo(address.to_owned()));
        out += &format!("127.0.0.1:{port}");
        rest = after;
    }
    out + rest
}

/// A server that responds with its name and the path that it got, for the rest of the test.
fn echo(name: String) -> u16 {
    let respond = move |call: Call| response("200 OK", &[("x-echo", &name)], format!("{}\n", call.target()).as_bytes());
    serve(respond).port()
}
