//! The recipes of `docs/back-ends.md`, verbatim, with two small servers as the systems. `docs.rs` runs the tests in the page's
//! examples.

use std::path::Path;
use std::process::Command;
use std::sync::{Arc, Mutex};

use crossfade_testkit::message::Message;
use crossfade_testkit::server::{Action, Server, response};

use crate::support::Dev;

pub(crate) fn assets_come_from_the_system_that_has_them() {
    let (legacy, mut modern) = (System::start("legacy"), System::start("modern"));
    let recipe = Recipe::start("name: assets", &legacy, &modern);

    // Whoever has the file sends it, whichever system the user is on.
    for (path, answer, asked_of_legacy) in [
        ("/static/modern.3f9c1d.js", "200 modern", 0),
        ("/assets/both.css", "200 modern", 0),
        ("/static/legacy.77aa01.js?v=1", "200 legacy", 1),
        ("/static/none.000000.js", "404 legacy", 1),
    ] {
        legacy.forget();
        assert_eq!(recipe.ask(path, &[]), answer, "{path}");
        assert_eq!(legacy.asked(), vec![format!("GET {path}"); asked_of_legacy], "{path}");
    }
    // A form below such a path is no asset: it is not sent twice.
    legacy.forget();
    modern.forget();
    recipe.ask("/static/none.000000.js", &["--data", "a=1"]);
    assert_eq!(legacy.asked().len() + modern.asked().len(), 1);

    // Nobody changes systems by logging in or out.
    for customer in 0..20 {
        let user = format!("crossfade_user=0000000000000000000000000000{customer:04}");
        let with = |session: &str| recipe.ask("/both", &["-b", &format!("{user}{session}")]);
        let anonymous = with("");
        assert_eq!([with("; sessionid=abc"), with("; sessionid=xyz"), with("")], [&*anonymous; 3], "{user}");
    }

    // What modern has cannot be got when it is down; what legacy has can.
    modern.close();
    assert_eq!(recipe.ask("/static/legacy.77aa01.js", &[]), "200 legacy");
}

pub(crate) fn http_becomes_https_though_the_back_end_does_not_ask_for_it() {
    let legacy = System::start("legacy");
    let recipe = Recipe::start("name: to-https", &legacy, &legacy);
    let redirected = recipe.ask("/both?page=2", &["-H", "host: shop.example.com", "--data", "a=1"]);
    assert_eq!(redirected, "308 https://shop.example.com/both?page=2");
    assert_eq!(legacy.asked(), [""; 0]);
    let secure = recipe.dev.banner.split_once("local ALB   https://").unwrap().1;
    let secure = format!("https://{}", secure.split_whitespace().next().unwrap());
    assert_eq!(ask(&secure, "/both", &["--insecure"]), "200 legacy");
}

/// A documented configuration, at work.
struct Recipe {
    dev: Dev,
    _folder: tempfile::TempDir,
}

impl Recipe {
    /// The example of the page that has these words.
    fn start(words: &str, legacy: &System, modern: &System) -> Recipe {
        let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/back-ends.md");
        let page = std::fs::read_to_string(page).unwrap();
        let mut blocks = page.split("```yaml\n").skip(1).filter_map(|rest| rest.split_once("```"));
        let (example, _) = blocks.find(|(block, _)| block.contains(words)).unwrap();
        let (example, _) = example.split_once("tests:").unwrap();
        let example = example.replace("https://legacy.example.com", &legacy.url);
        let example = example.replace("https://modern.example.com", &modern.url);
        let folder = tempfile::tempdir().unwrap();
        std::fs::write(folder.path().join("crossfade.yaml"), example).unwrap();
        let dev = Dev::start_in(folder.path(), &["--config", "crossfade.yaml", "--https-port", "0", "--no-inspect"]);
        Recipe { dev, _folder: folder }
    }

    fn ask(&self, path: &str, arguments: &[&str]) -> String {
        ask(&self.dev.alb, path, arguments)
    }
}

/// Status and content, or `Location`.
fn ask(base: &str, path: &str, arguments: &[&str]) -> String {
    let format = "%{stderr}%{http_code} %header{location}";
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--max-time", "25", "--noproxy", "*", "--write-out", format]);
    let output = curl.args(arguments).arg(format!("{base}{path}")).output().expect("curl is installed");
    assert!(output.status.success(), "{path}: {output:?}");
    let (head, body) = (String::from_utf8(output.stderr).unwrap(), String::from_utf8(output.stdout).unwrap());
    if head.starts_with('3') { head } else { format!("{head}{body}") }
}

/// A server that has what is named after it, and what both have; else 404. Its answers say who it is.
struct System {
    url: String,
    requests: Arc<Mutex<Vec<String>>>,
    server: Option<Server>,
}

impl System {
    fn start(name: &'static str) -> System {
        let requests = Arc::<Mutex<Vec<String>>>::default();
        let seen = requests.clone();
        let server = Server::start(None, move |_, message| answer(message, name, &seen)).unwrap();
        System { url: server.url(), requests, server: Some(server) }
    }

    fn forget(&self) {
        self.requests.lock().unwrap().clear();
    }

    fn asked(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Nobody listens afterwards.
    fn close(&mut self) {
        self.server = None;
    }
}

/// One request for each connection.
fn answer(message: &Message<'_>, name: &str, requests: &Mutex<Vec<String>>) -> Action {
    let line = String::from_utf8_lossy(message.start_line());
    let request = line.strip_suffix(" HTTP/1.1").unwrap();
    requests.lock().unwrap().push(request.to_owned());
    let has_it = [name, "both"].iter().any(|piece| request.contains(piece));
    let status = if has_it { "200 OK" } else { "404 Not Found" };
    Action::SendAndClose(response(status, &[("connection", "close")], name.as_bytes()).into())
}
