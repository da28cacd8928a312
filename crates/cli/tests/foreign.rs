//! Other people's functions behind `crossfade dev`, unchanged: Node on `aws-lambda-ric`, Python on `awslambdaric`, Rust on
//! `lambda_http` built with `cargo lambda`. They are in `tests/functions/`.
//!
//! Their dependencies are downloaded into `target/foreign/` and kept there. With `TRANSCRIPT=FOLDER` each test writes a
//! transcript, as in `docs/foreign-functions.md`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use base64_simd::STANDARD;
use crossfade_testkit::client::Response;
use crossfade_testkit::tools::{Absent, PYTHON, Tool, make};
use serde_json::{Value, json};

use crate::support::Dev;
use crate::support::install::{installed_from, path_with, target, virtual_environment};

const FIXTURES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/functions");

/// Lambda's default, much shorter than what `/slow` is asked for.
const TIMEOUT: &str = "3s";

pub(crate) fn node_on_awss_own_runtime_client() {
    let folder = node_client().unwrap();
    std::fs::copy(Path::new(FIXTURES).join("node/handler.js"), folder.join("handler.js")).unwrap();
    for mode in MODES {
        let command = "env _HANDLER=handler.handler node node_modules/aws-lambda-ric/index.mjs";
        let mut talk = Talk::start("node", &folder, command, mode);
        sees_the_event_as_alb_makes_it(&mut talk);
        answers_as_alb_would_send_them(&mut talk, &BOTH, "Error: as asked");
        talk.end();
    }
}

pub(crate) fn python_on_awss_own_runtime_client() {
    let folder = installed("python", &["requirements.txt"], "handler.py", |folder| {
        virtual_environment(folder, "requirements.txt")
    });
    for mode in MODES {
        let mut talk = Talk::start("python", &folder, "bin/python -m awslambdaric handler.handler", mode);
        sees_the_event_as_alb_makes_it(&mut talk);
        answers_as_alb_would_send_them(&mut talk, &BOTH, "RuntimeError: as asked");
        talk.end();
    }
}

pub(crate) fn rust_on_lambda_http() {
    let target = std::path::absolute(target().join("foreign/rust")).unwrap();
    let mut cargo = Command::new("cargo");
    cargo.args(["lambda", "build", "--locked"]).current_dir(Path::new(FIXTURES).join("rust"));
    cargo.env("CARGO_TARGET_DIR", &target).env("PATH", path_with(&build_tools().unwrap().join("bin")));
    make(&mut cargo).unwrap_or_else(|error| panic!("{error}"));
    let folder = target.join("lambda/foreign");
    for mode in MODES {
        let mut talk = Talk::start("rust", &folder, "./bootstrap", mode);
        sees_what_lambda_http_makes_of_the_event(&mut talk);
        // Of a name that it has several times the library puts the first into `headers`.
        let cookies = if mode == "multi" { &BOTH[..] } else { &BOTH[..1] };
        answers_as_alb_would_send_them(&mut talk, cookies, "as asked");
        talk.end();
    }
}

/// User guide, "Lambda functions as targets": encoded as the client sent it, one header family, base64 for what is no text.
fn sees_the_event_as_alb_makes_it(talk: &mut Talk) {
    let twice = ["-H", "X-Twice: 1", "-H", "X-Twice: 2"];
    let told = talk.told("/a%2Fb/c%20d?q=a%20b&q=%C3%A9+&x", &twice);
    assert_eq!((&told["mode"], &told["method"]), (&json!(talk.mode), &json!("GET")));
    assert_eq!(told["path"], "/a%2Fb/c%20d");
    let (query, twice, proto) = match talk.mode {
        "multi" => (json!({ "q": ["a%20b", "%C3%A9+"], "x": [""] }), json!(["1", "2"]), json!(["http"])),
        // The last one of a name is what is left.
        _ => (json!({ "q": "%C3%A9+", "x": "" }), json!("2"), json!("http")),
    };
    assert_eq!(told["query"], query);
    assert_eq!((&told["fields"]["x-twice"], &told["fields"]["x-forwarded-proto"]), (&twice, &proto));
    assert_eq!((&told["body"], &told["isBase64Encoded"]), (&json!(""), &json!(false)));

    let (file, bytes) = binary_file(&talk.scratch);
    let upload = ["--data-binary", file.as_str(), "-H", "content-type: application/octet-stream"];
    let told = talk.told("/upload", &upload);
    assert_eq!((&told["method"], &told["isBase64Encoded"]), (&json!("POST"), &json!(true)));
    assert_eq!(told["body"], STANDARD.encode_to_string(&bytes));
    let text = ["--data-binary", r#"{"é":1}"#, "-H", "content-type: application/json"];
    let told = talk.told("/upload", &text);
    assert_eq!((&told["body"], &told["isBase64Encoded"]), (&json!(r#"{"é":1}"#), &json!(false)));
}

/// The library parses the path and writes the query anew, so these expectations are its own, not ALB's.
fn sees_what_lambda_http_makes_of_the_event(talk: &mut Talk) {
    // One key: with several their order changes from process to process.
    for (sent, seen) in [("q=a%20b", "q=a+b"), ("q=%C3%A9", "q=%C3%A9"), ("q=%E9", "q=%EF%BF%BD"), ("q=x;y", "q=x%3By")]
    {
        let told = talk.told(&format!("/a%2Fb/c%20d?{sent}"), &[]);
        assert_eq!(told["path"], "/a%2Fb/c%20d");
        // It looks for `Host` in `headers` alone, which multi-value mode does not have.
        let authority = if talk.mode == "multi" { "" } else { talk.dev.alb.as_str() };
        assert_eq!(told["uri"], format!("{authority}/a%2Fb/c%20d?{seen}"));
    }
    let told = talk.told("/a/%2e%2e/b", &[]);
    assert_eq!(told["path"], "/a/%2e%2e/b", "the path as it came is kept beside the URI");
    assert!(told["uri"].as_str().unwrap().ends_with("/b") && !told["uri"].as_str().unwrap().contains("/a"), "{told}");

    let (file, bytes) = binary_file(&talk.scratch);
    let upload = ["--data-binary", file.as_str(), "-H", "content-type: application/octet-stream"];
    let told = talk.told("/upload", &upload);
    assert_eq!((&told["binary"], &told["body"]), (&json!(true), &json!(format!("{bytes:02x?}"))));
}

/// Elastic Load Balancing, "Troubleshoot your Application Load Balancers": a function that throws or takes too long is a 502.
fn answers_as_alb_would_send_them(talk: &mut Talk, cookies: &[&str], error: &str) {
    let answer = talk.ask("/binary", &[]);
    assert_eq!((answer.status.as_str(), answer.values("content-type")), ("200", vec!["image/x-odd"]));
    assert_eq!(answer.body, (0..=255).collect::<Vec<u8>>());

    let (file, bytes) = binary_file(&talk.scratch);
    let upload = ["--data-binary", file.as_str(), "-H", "content-type: application/octet-stream"];
    let answer = talk.ask("/same", &upload);
    assert_eq!(answer.status, "200");
    assert!(answer.body == bytes, "{} bytes came back, not {}", answer.body.len(), bytes.len());

    let answer = talk.ask("/cookies", &[]);
    assert_eq!((answer.status.as_str(), answer.values("set-cookie").as_slice()), ("200", cookies), "{}", talk.mode);

    let answer = talk.ask("/fail", &[]);
    assert_eq!((answer.status.as_str(), answer.values("server")), ("502", vec!["awselb/2.0"]));
    let said = "LambdaUnhandled: the function reported an error: ";
    assert!(answer.detail.starts_with(said) && answer.detail.ends_with(error), "{}", answer.detail);

    let answer = talk.ask("/slow?ms=60000", &[]);
    assert_eq!((answer.status.as_str(), answer.values("server")), ("502", vec!["awselb/2.0"]));
    assert!(answer.detail.starts_with("LambdaUnhandled: the function did not respond within"), "{}", answer.detail);
    let answer = talk.ask("/slow?ms=1", &[]);
    assert_eq!((answer.status.as_str(), answer.body.as_slice()), ("200", &b"at last"[..]));
    assert!(answer.line.ends_with("[cold start]"), "the process was killed: {}", answer.line);
}

/// The cookies of `/cookies`.
const BOTH: [&str; 2] = ["a=1", "b=2"];

const MODES: [&str; 2] = ["multi", "single"];

/// A function that runs behind the local ALB, and what was said so far.
struct Talk {
    dev: Dev,
    mode: &'static str,
    scratch: tempfile::TempDir,
    transcript: String,
    file: String,
}

struct Answer {
    status: String,
    /// Names in lower case.
    fields: Vec<(String, String)>,
    body: Vec<u8>,
    /// The lines that `dev` printed for the request, with errors and warnings.
    line: String,
    detail: String,
}

impl Answer {
    /// Of that name, sorted.
    fn values(&self, name: &str) -> Vec<&str> {
        let mut values: Vec<&str> =
            self.fields.iter().filter(|(field, _)| field == name).map(|(_, value)| value.as_str()).collect();
        values.sort_unstable();
        values
    }
}

impl Talk {
    fn start(name: &str, folder: &Path, command: &str, mode: &'static str) -> Talk {
        let mut arguments = vec!["--timeout", TIMEOUT, "--function", command];
        arguments.extend((mode == "multi").then_some("--multi-value-headers"));
        let transcript = format!("```console\n$ crossfade dev {}\n", shell_words::join(&arguments));
        let scratch = tempfile::tempdir().unwrap();
        Talk { dev: Dev::start_in(folder, &arguments), mode, scratch, transcript, file: format!("{name}-{mode}.md") }
    }

    /// The request as the function received it.
    fn told(&mut self, target: &str, arguments: &[&str]) -> Value {
        let answer = self.ask(target, arguments);
        assert_eq!(answer.status, "200", "{target}: {} {}", answer.line, answer.detail);
        assert_eq!(answer.values("content-type"), ["application/json"], "{target}");
        serde_json::from_slice(&answer.body).unwrap()
    }

    fn ask(&mut self, target: &str, arguments: &[&str]) -> Answer {
        let url = format!("{}{target}", self.dev.alb);
        let fixed = ["--silent", "--show-error", "--include", "--path-as-is", "--max-time", "25", "--noproxy", "*"];
        let output = Command::new("curl").args(fixed).args(arguments).arg(&url).output().expect("curl is installed");
        assert!(output.status.success(), "{target}: {}", String::from_utf8_lossy(&output.stderr));
        let response = Response::of_curl(&output.stdout).expect("a head");
        let status = response.status.to_string();
        let fields = response.fields().map(|(name, value)| (name, value.to_owned())).collect();
        let line = self.dev.next_line();
        let mut details = Vec::new();
        // An answer of the load balancer's own always has a reason; anything else may have warnings.
        if status.starts_with('5') {
            details.push(self.dev.next_line().trim_start().to_owned());
        }
        while let Ok(line) = self.dev.stdout.recv_timeout(Duration::from_millis(50)) {
            details.push(line.trim_start().to_owned());
        }
        self.note(&url, arguments, response.head.trim_end(), &response.body, &line, &details);
        Answer { status, fields, body: response.body, line, detail: details.first().cloned().unwrap_or_default() }
    }

    fn note(&mut self, url: &str, arguments: &[&str], head: &str, body: &[u8], line: &str, details: &[String]) {
        let text = &mut self.transcript;
        let scratch = format!("{}/", self.scratch.path().display());
        let sent =
            shell_words::join([&["curl", "-i", "--path-as-is"], arguments, &[url]].concat()).replace(&scratch, "");
        let shown = match std::str::from_utf8(body) {
            Ok(text) if text.chars().all(|c| !c.is_control() || c.is_whitespace()) && body.len() < 600 => {
                text.to_owned()
            }
            _ => format!("({} bytes)", body.len()),
        };
        let _ = writeln!(text, "\n$ {sent}\n{}", head.replace('\r', ""));
        if !body.is_empty() {
            let _ = writeln!(text, "\n{}", shown.replace('\r', "").trim_end());
        }
        let _ = writeln!(text, "\n  dev: {line}");
        for detail in details {
            let _ = writeln!(text, "  dev:           {detail}");
        }
    }

    fn end(self) {
        assert!(self.dev.stop("-INT").success());
        if let Some(folder) = std::env::var_os("TRANSCRIPT") {
            let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(folder);
            std::fs::create_dir_all(&folder).unwrap();
            std::fs::write(folder.join(self.file), self.transcript + "```\n").unwrap();
        }
    }
}

/// All bytes there are, more than once, as curl names a file.
fn binary_file(folder: &tempfile::TempDir) -> (String, Vec<u8>) {
    let bytes: Vec<u8> = (0..=255).cycle().take(1000).collect();
    let file = folder.path().join("binary");
    std::fs::write(&file, &bytes).unwrap();
    (format!("@{}", file.display()), bytes)
}

/// `aws-lambda-ric`, in the folder `node_modules` of [`node_client`].
pub(crate) static NODE_CLIENT: Tool = Tool::new(|| {
    BUILD_TOOLS.find()?;
    node_client().map(drop)
});

/// The folder of [`NODE_CLIENT`]. Its native part is built at installation: libcurl and aws-lambda-cpp, whose sources it brings
/// along.
pub(crate) fn node_client() -> Result<PathBuf, Absent> {
    let files = ["package.json", "package-lock.json", ".npmrc"];
    installed_from(&Path::new(FIXTURES).join("node"), "foreign/node", &files, |folder| {
        let mut npm = Command::new("npm");
        npm.args(["ci", "--no-audit", "--no-fund"])
            .current_dir(folder)
            .env("PATH", path_with(&build_tools().unwrap().join("bin")));
        // Node's headers, where its package brings them; otherwise node-gyp fetches them.
        if let Some(prefix) = node_prefix().filter(|prefix| prefix.join("include/node/node.h").exists()) {
            npm.env("npm_config_nodedir", prefix);
        }
        make(&mut npm)
    })
}

/// cmake and cargo-lambda, which come as Python packages, too.
pub(crate) static BUILD_TOOLS: Tool = Tool::new(|| {
    PYTHON.find()?;
    build_tools().map(drop)
});

/// The folder of [`BUILD_TOOLS`].
fn build_tools() -> Result<PathBuf, Absent> {
    installed_from(Path::new(FIXTURES), "foreign/tools", &["tools.txt"], |folder| {
        virtual_environment(folder, "tools.txt")
    })
}

/// A function's folder, with its handler as it is now.
fn installed(name: &str, files: &[&str], handler: &str, install: impl FnOnce(&Path) -> Result<(), Absent>) -> PathBuf {
    let source = Path::new(FIXTURES).join(name);
    let folder = installed_from(&source, &format!("foreign/{name}"), files, install);
    let folder = folder.unwrap_or_else(|error| panic!("{error}"));
    std::fs::copy(source.join(handler), folder.join(handler)).unwrap();
    folder
}

fn node_prefix() -> Option<PathBuf> {
    let output = Command::new("node").args(["--print", "process.execPath"]).output().ok()?;
    let program = PathBuf::from(String::from_utf8(output.stdout).ok()?.trim());
    Some(program.parent()?.parent()?.to_owned())
}
