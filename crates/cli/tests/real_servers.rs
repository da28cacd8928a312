//! Common servers and frameworks, unchanged behind Crossfade: they must respond as they do directly. They are in
//! `tests/servers/`; Django's packages are downloaded into `target/servers/` and kept there.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crossfade_testkit::client::Response;
use crossfade_testkit::process::Process;
use crossfade_testkit::server::closed_port;
use crossfade_testkit::tools;

use crate::support::install::{installed_from, virtual_environment};
use crate::support::{Dev, word_after};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/servers");

/// The host that clients ask for.
const PUBLIC: &str = "shop.example.com";

pub(crate) fn nginx_answers_as_it_does_directly() {
    let nginx = Nginx::start();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crossfade.yaml");
    let config = |keys: &str| {
        let url = format!("http://127.0.0.1:{}", nginx.port);
        format!("version: 1\nbackends: {{ nginx: {{ url: '{url}', {keys} }} }}\ndefault: {{ forward: nginx }}\n")
    };
    fs::write(&file, config("hostHeader: preserve")).unwrap();
    let dev = Dev::start_in(folder.path(), &["--config", "crossfade.yaml", "--no-inspect"]);
    let direct = format!("http://127.0.0.1:{}", nginx.port);
    let gzip = "accept-encoding: gzip, deflate, br";
    let etag = ask(&direct, &["-H", gzip], "/small.txt").value("etag").unwrap();
    let unchanged = format!("if-none-match: {etag}");

    let mut wrong = String::new();
    for (target, arguments) in [
        ("/big.txt", &["-H", gzip][..]),
        ("/cached/big.txt", &["-H", gzip]),
        ("/small.txt", &["-H", gzip]),
        ("/small.txt", &[]),
        ("/small.txt", &["-H", gzip, "-H", &unchanged]),
        ("/small.txt", &["-H", gzip, "--head"]),
        ("/small.txt", &["-H", gzip, "-H", "range: bytes=5-20"]),
        ("/app.js", &["-H", gzip]),
        ("/cached/app.js?v=1", &["-H", "accept-encoding: gzip"]),
        ("/", &["-H", gzip]),
        ("/tiny.json", &["-H", gzip]),
        ("/image.png", &["-H", gzip]),
        ("/empty.txt", &["-H", gzip]),
        ("/folder", &["-H", gzip]),
        ("/none", &["-H", gzip]),
    ] {
        // `expires` changes each second, so both are asked again before a difference counts.
        let both = || (ask(&direct, arguments, target), ask(&dev.alb, arguments, target));
        let same = (0..5).map(|_| both()).find(|(expected, answer)| expected == answer);
        let (expected, answer) = same.unwrap_or_else(both);
        if answer != expected {
            let _ = writeln!(wrong, "{target} {arguments:?}\n  direct  {expected}\n  through {answer}");
        }
    }
    assert_eq!(wrong, "");

    let big = ask(&dev.alb, &["-H", gzip], "/big.txt");
    assert_eq!((big.status.as_str(), big.value("content-encoding").as_deref()), ("200", Some("gzip")));
    assert!(big.body.len() < 700_000, "{} bytes", big.body.len());

    // And what `via` is for that reason not sent for.
    fs::write(&file, config("via: true")).unwrap();
    dev.told("has changed: the next request uses it");
    let small = ask(&dev.alb, &["-H", gzip], "/small.txt");
    assert_eq!((small.status.as_str(), small.value("content-encoding")), ("200", None));
    assert_ne!(small.value("etag").unwrap(), etag);
    // Then the function compresses what the load balancer would not take.
    let big = ask(&dev.alb, &["-H", gzip], "/big.txt");
    assert_eq!((big.status.as_str(), big.value("content-encoding").as_deref()), ("200", Some("gzip")));
    assert_eq!(ask(&dev.alb, &[], "/big.txt").status, "502");
}

pub(crate) fn django_3_lets_its_users_log_in() {
    logins_work("django-3.2");
}

pub(crate) fn django_5_lets_its_users_log_in() {
    logins_work("django-5.2");
}

/// `docs/back-ends.md`, "Logins, CSRF, Origin and Referer".
fn logins_work(version: &str) {
    let source = Path::new(FIXTURES).join(version);
    let environment = installed_from(&source, &format!("servers/{version}"), &["requirements.txt"], |folder| {
        virtual_environment(folder, "requirements.txt")
    });
    let environment = environment.unwrap_or_else(|error| panic!("{error}"));
    let (site, trusting) = (Site::start(&environment, &[]), Site::start(&environment, &["trust"]));

    // With what `init` writes.
    let folder = tempfile::tempdir().unwrap();
    crossfade(folder.path(), &["init", "--legacy", &site.url]).unwrap();
    let file = folder.path().join("crossfade.yaml");
    let dev = Dev::start_in(folder.path(), &["--config", "crossfade.yaml", "--https-port", "0", "--no-inspect"]);
    let mut browser = Browser::new(&dev, folder.path());
    let session = browser.logs_in().unwrap();
    let page = browser.post("/account/", &[]);
    assert_eq!(page.status, "200");
    let own_url = format!("{}/account/", browser.origin);
    assert_eq!(String::from_utf8_lossy(&page.body), format!("POST ada {own_url}"), "its own URL is the public one");

    // Logging in gives the browser another session, and logging out none: this cookie names no user for `sticky`.
    assert_eq!(browser.post("/logout/", &[]).status, "302");
    assert_eq!(browser.cookie("sessionid"), None);
    assert_ne!(browser.logs_in().unwrap(), session);

    let config = |host: &str, url: &str| {
        let public = &browser.origin;
        let text = format!(
            "version: 1\nbackends: {{ a: {{ url: '{url}', publicUrl: '{public}'{host} }} }}\ndefault: {{ forward: a }}\n"
        );
        fs::write(&file, text).unwrap();
        dev.told("has changed: the next request uses it");
        let mut browser = Browser { jar: browser.jar.with_extension(format!("{}", host.len())), ..browser.clone() };
        let checked = crossfade(folder.path(), &["check", "--deny-warnings"]);
        (browser.logs_in(), checked)
    };
    // The setup that fails is the one that `check` warns of.
    let (login, checked) = config("", &site.url);
    assert_eq!(login.unwrap_err(), "403");
    let told = checked.unwrap_err();
    assert!(told.contains("`backends.a.publicUrl`: the back end may reject logins and forms"), "{told}");
    assert!(told.contains("`hostHeader: preserve`"), "{told}");
    let (login, checked) = config(", hostHeader: preserve", &site.url);
    assert_eq!((login.map(|_| ()), checked.map(|_| ())), (Ok(()), Ok(())));
    let (login, checked) = config(", hostHeader: backend", &trusting.url);
    assert_eq!((login.map(|_| ()), checked.map(|_| ())), (Ok(()), Ok(())));
}

/// Runs a command of ours; what it says, as an error where it fails.
fn crossfade(folder: &Path, arguments: &[&str]) -> Result<String, String> {
    let mut command = Command::new(env!("CARGO_BIN_EXE_crossfade"));
    let output = command.args(arguments).current_dir(folder).output().unwrap();
    let told = String::from_utf8([output.stdout, output.stderr].concat()).unwrap();
    if output.status.success() { Ok(told) } else { Err(told) }
}

struct Nginx {
    port: u16,
    _server: Process,
    _folder: tempfile::TempDir,
}

impl Nginx {
    fn start() -> Nginx {
        let program = tools::nginx().unwrap();
        let folder = tempfile::tempdir().unwrap();
        resources(&folder.path().join("html"));
        fs::create_dir(folder.path().join("tmp")).unwrap();
        let config = fs::read_to_string(Path::new(FIXTURES).join("nginx.conf")).unwrap();
        // It takes no port 0: one that was free a moment ago, and another if it is not any more.
        for _ in 0..5 {
            let port = closed_port();
            fs::write(folder.path().join("nginx.conf"), config.replace("<port>", &port.to_string())).unwrap();
            let mut command = Command::new(&program);
            command.arg("-p").arg(folder.path()).args(["-e", "stderr", "-c", "nginx.conf"]).stdin(Stdio::null());
            let mut server = Process::start(&mut command);
            let deadline = Instant::now() + Duration::from_secs(20);
            while server.try_wait().unwrap().is_none() && Instant::now() < deadline {
                if TcpStream::connect(("127.0.0.1", port)).is_ok() {
                    return Nginx { port, _server: server, _folder: folder };
                }
                std::thread::sleep(Duration::from_millis(20));
            }
        }
        panic!("nginx does not start");
    }
}

/// Files of all kinds, among them one that only compressed fits into a reply of Lambda.
fn resources(folder: &Path) {
    let mut state: u64 = 7;
    let mut random = |below: u64| {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (state >> 33) % below
    };
    let words: Vec<String> = (0..1000)
        .map(|_| (0..3 + random(9)).map(|_| char::from(b'a' + u8::try_from(random(26)).unwrap())).collect())
        .collect();
    let mut text = String::new();
    while text.len() < 1_600_000 {
        let end = if random(12) == 0 { ".\n" } else { " " };
        text += &words[usize::try_from(random(1000)).unwrap()];
        text += end;
    }
    let image: Vec<u8> = (0..=255).cycle().take(5000).collect();
    fs::create_dir_all(folder.join("folder")).unwrap();
    for (name, content) in [
        ("big.txt", text.as_bytes()),
        ("small.txt", &text.as_bytes()[..20_000]),
        ("app.js", "let a = 1;\n".repeat(1000).as_bytes()),
        ("index.html", "<p>hello</p>\n".repeat(500).as_bytes()),
        ("tiny.json", b"{\"a\":1}"),
        ("image.png", &image),
        ("empty.txt", b""),
        ("folder/index.html", b"hello"),
    ] {
        fs::write(folder.join(name), content).unwrap();
    }
}

/// `login_site.py`.
struct Site {
    url: String,
    _server: Process,
}

impl Site {
    fn start(environment: &Path, arguments: &[&str]) -> Site {
        let mut command = Command::new(environment.join("bin/python"));
        command.arg(Path::new(FIXTURES).join("login_site.py")).args(arguments);
        let mut server = Process::start(command.stdin(Stdio::null()).stdout(Stdio::piped()));
        let mut port = String::new();
        BufReader::new(server.child.stdout.take().unwrap()).read_line(&mut port).unwrap();
        assert!(!port.is_empty(), "the site does not start");
        Site { url: format!("http://127.0.0.1:{}", port.trim()), _server: server }
    }
}

/// Fields that a browser adds: its cookies, `Origin` with a form, `Referer` with everything.
#[derive(Clone)]
struct Browser {
    /// `https://shop.example.com:PORT`, which is the local load balancer.
    origin: String,
    resolve: String,
    jar: PathBuf,
    page: String,
}

impl Browser {
    fn new(dev: &Dev, folder: &Path) -> Browser {
        let address = word_after(&dev.banner, "local ALB   https://");
        let port = address.rsplit_once(':').unwrap().1;
        Browser {
            origin: format!("https://{PUBLIC}:{port}"),
            resolve: format!("{PUBLIC}:{port}:127.0.0.1"),
            jar: folder.join("cookies"),
            page: "/".to_owned(),
        }
    }

    /// Fills in the form; the session's cookie, or the status that comes instead.
    fn logs_in(&mut self) -> Result<String, String> {
        let form = self.get("/login/");
        let text = String::from_utf8_lossy(&form.body).into_owned();
        let token = word_after(&text, "name=\"csrfmiddlewaretoken\" value=\"");
        let token = token.split('"').next().unwrap();
        let page =
            self.post("/login/", &[("csrfmiddlewaretoken", token), ("username", "ada"), ("password", "analytical")]);
        if page.status != "302" {
            return Err(page.status);
        }
        let account = page.value("location").unwrap();
        let account = account.strip_prefix(&self.origin).unwrap_or(&account);
        let page = self.get(account);
        assert!(page.body.starts_with(b"GET ada "), "{page}");
        Ok(self.cookie("sessionid").unwrap())
    }

    fn get(&mut self, path: &str) -> Answer {
        let answer = self.send(path, &[]);
        self.page = path.to_owned();
        answer
    }

    /// Sends a form. If it has no token, the token is in a header field, as scripts send it.
    fn post(&mut self, path: &str, form: &[(&str, &str)]) -> Answer {
        let origin = format!("origin: {}", self.origin);
        let token = format!("x-csrftoken: {}", self.cookie("csrftoken").unwrap());
        let pairs: Vec<String> = form.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let pairs = pairs.join("&");
        self.send(path, &["-H", &origin, "-H", &token, "--data", &pairs])
    }

    fn send(&self, path: &str, arguments: &[&str]) -> Answer {
        let jar = self.jar.to_str().unwrap();
        let referer = format!("{}{}", self.origin, self.page);
        let own = ["--insecure", "--resolve", &self.resolve, "-b", jar, "-c", jar, "--referer", &referer];
        ask(&self.origin, &[&own, arguments].concat(), path)
    }

    fn cookie(&self, name: &str) -> Option<String> {
        let jar = fs::read_to_string(&self.jar).ok()?;
        let mut cookies = jar.lines().filter_map(|line| line.rsplit_once('\t'));
        cookies.find(|(rest, _)| rest.ends_with(&format!("\t{name}"))).map(|(_, value)| value.to_owned())
    }
}

/// Without what belongs to the connection, and the time.
#[derive(PartialEq)]
struct Answer {
    status: String,
    fields: Vec<(String, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn value(&self, name: &str) -> Option<String> {
        self.fields.iter().find(|(field, _)| field == name).map(|(_, value)| value.clone())
    }
}

impl std::fmt::Display for Answer {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} {:?}, {} bytes", self.status, self.fields, self.body.len())
    }
}

/// Asks for the public host, wherever it is.
fn ask(base: &str, arguments: &[&str], target: &str) -> Answer {
    let fixed = ["--silent", "--show-error", "--include", "--http1.1", "--max-time", "25", "--noproxy", "*"];
    let host = format!("host: {PUBLIC}");
    let host = if base.contains(PUBLIC) { vec![] } else { vec!["-H", &host] };
    let url = format!("{base}{target}");
    let output =
        Command::new("curl").args(fixed).args(host).args(arguments).arg(&url).output().expect("curl is installed");
    assert!(output.status.success(), "{url}: {}", String::from_utf8_lossy(&output.stderr));
    let response = Response::of_curl(&output.stdout).expect("a head");
    let mut fields: Vec<_> = response.fields().map(|(name, value)| (name, value.to_owned())).collect();
    let of_the_connection = ["connection", "content-length", "date", "keep-alive", "transfer-encoding"];
    fields.retain(|(name, _)| !of_the_connection.contains(&name.as_str()));
    fields.sort();
    Answer { status: response.status.to_string(), fields, body: response.body }
}
