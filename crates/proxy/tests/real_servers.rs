//! TLS of servers that are not ours: OpenSSL's `s_server` and Python's `http.server`.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crossfade_proxy::Proxy;
use crossfade_route::Surroundings;
use crossfade_testkit::folder;
use crossfade_testkit::process::Process;

use crate::support::{ask, config_with, get};

struct Server {
    _process: Process,
    port: u16,
}

/// A folder with keys and certificates of `openssl`.
struct Folder(folder::Folder);

impl Folder {
    fn new() -> Self {
        Folder(folder::Folder::new())
    }

    fn path(&self) -> &Path {
        self.0.path()
    }

    fn openssl(&self, arguments: &str) {
        let mut command = Command::new("openssl");
        command.current_dir(self.path()).args(arguments.split_whitespace()).stdin(Stdio::null());
        let output = command.output().unwrap();
        assert!(output.status.success(), "openssl {arguments}: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// `NAME.pem` and `NAME.key`, signed by itself or by another one of these, with these extensions.
    fn certificate(&self, name: &str, subject: &str, issuer: &str, extensions: &str) {
        self.0.write("extensions", extensions);
        self.openssl(&format!("req -new -newkey rsa:2048 -nodes -keyout {name}.key -subj {subject} -out {name}.csr"));
        let signer = match issuer {
            "" => format!("-signkey {name}.key"),
            issuer => format!("-CA {issuer}.pem -CAkey {issuer}.key -CAcreateserial"),
        };
        let extensions = if extensions.is_empty() { "" } else { "-extfile extensions" };
        self.openssl(&format!("x509 -req -in {name}.csr {signer} -days 3 {extensions} -out {name}.pem"));
    }

    fn s_server(&self, arguments: &str) -> Server {
        let mut command = Command::new("openssl");
        command
            .current_dir(self.path())
            .args("s_server -accept 127.0.0.1:0 -www".split(' '))
            .args(arguments.split(' '));
        let mut process = Process::start(command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()));
        let lines = BufReader::new(process.child.stdout.take().unwrap()).lines();
        let port =
            lines.map_while(Result::ok).find_map(|line| line.strip_prefix("ACCEPT ")?.rsplit(':').next()?.parse().ok());
        Server { _process: process, port: port.unwrap() }
    }

    fn proxy(&self, server: &Server, tls: &str) -> Proxy {
        let text = format!(
            "backends:\n  b: {{ url: 'https://localhost:{}', tls: {{ {tls} }} }}\ndefault: {{ forward: b }}\n",
            server.port
        );
        config_with(&text, &Files(self.path().to_owned()), &[])
    }
}

struct Files(PathBuf);

impl Surroundings for Files {
    fn variable(&self, _: &str) -> Option<String> {
        None
    }

    fn file(&self, path: &Path) -> Result<Vec<u8>, String> {
        std::fs::read(self.0.join(path)).map_err(|error| error.to_string())
    }
}

const NAME: &str = "subjectAltName=DNS:localhost\n";

/// Certificates are always verified.
pub(crate) async fn unsupported_tls_is_named_with_what_to_do() {
    let folder = Folder::new();
    folder.certificate("root", "/CN=root", "", "basicConstraints=critical,CA:TRUE\n");
    folder.certificate("between", "/CN=between", "root", "basicConstraints=critical,CA:TRUE\n");
    folder.certificate("leaf", "/CN=leaf", "root", NAME);
    folder.certificate("far", "/CN=far", "between", NAME);
    folder.certificate("unnamed", "/CN=localhost", "root", "basicConstraints=CA:FALSE\n");
    folder.certificate("old", "/CN=localhost", "root", "");
    let leaf = "-cert leaf.pem -key leaf.key";
    for (server, error, hint) in [
        (format!("{leaf} -tls1_2 -cipher ECDHE-RSA-AES128-SHA256"), "tls_alert_received", "no CBC"),
        (format!("{leaf} -tls1_2 -cipher AES256-SHA256"), "tls_alert_received", "no CBC"),
        (format!("{leaf} -tls1_2 -cipher AES128-GCM-SHA256"), "tls_alert_received", "no RSA key exchange"),
        (format!("{leaf} -tls1_2 -cipher DHE-RSA-AES128-GCM-SHA256"), "tls_alert_received", "no DHE"),
        (format!("{leaf} -tls1_1 -cipher DEFAULT:@SECLEVEL=0"), "tls_alert_received", "TLS 1.2 and 1.3"),
        (format!("{leaf} -tls1 -cipher DEFAULT:@SECLEVEL=0"), "tls_alert_received", "TLS 1.2 and 1.3"),
        ("-cert far.pem -key far.key".to_owned(), "tls_certificate_error", "intermediate certificates"),
        ("-cert unnamed.pem -key unnamed.key".to_owned(), "tls_certificate_error", "subjectAltName"),
        ("-cert old.pem -key old.key".to_owned(), "tls_certificate_error", "version 1"),
    ] {
        let running = folder.s_server(&server);
        let answer = ask(&folder.proxy(&running, "caFile: root.pem"), get("/")).await;
        assert_eq!((answer.status, answer.error()), (502, error), "{server}: {}", answer.record);
        assert!(answer.record["detail"].as_str().unwrap().contains(hint), "{server}: {}", answer.record);
    }
    for server in [
        format!("{leaf} -tls1_2 -cipher ECDHE-RSA-AES128-GCM-SHA256"),
        format!("{leaf} -tls1_3"),
        "-cert far.pem -key far.key -cert_chain between.pem".to_owned(),
    ] {
        let running = folder.s_server(&server);
        let answer = ask(&folder.proxy(&running, "caFile: root.pem"), get("/")).await;
        assert_eq!(answer.status, 200, "{server}: {}", answer.record);
    }
}

pub(crate) async fn a_self_signed_certificate_is_trusted_where_it_is_named() {
    let folder = Folder::new();
    // With what `openssl req -x509` writes by itself: an authority's.
    for name in ["own", "other"] {
        folder.openssl(&format!(
            "req -x509 -newkey rsa:2048 -nodes -keyout {name}.key -out {name}.pem -subj /CN=localhost -addext \
             subjectAltName=DNS:localhost -days 3"
        ));
    }
    for version in ["-tls1_2", "-tls1_3"] {
        let server = folder.s_server(&format!("-cert own.pem -key own.key {version}"));
        assert_eq!(ask(&folder.proxy(&server, "caFile: own.pem"), get("/")).await.status, 200, "{version}");
        for (tls, hint) in [
            ("caFile: other.pem", "`tls.caFile`"),
            ("minVersion: '1.2'", "`tls.caFile`"),
            ("caFile: own.pem, serverName: www.example.com", "www.example.com"),
        ] {
            let answer = ask(&folder.proxy(&server, tls), get("/")).await;
            assert_eq!((answer.status, answer.error()), (502, "tls_certificate_error"), "{tls}");
            assert!(answer.record["detail"].as_str().unwrap().contains(hint), "{tls}: {}", answer.record);
        }
    }
}

/// Ends TCP, and TLS not. `/length` and `/chunks` promise more than they send.
const PYTHON: &str = r#"
import http.server, ssl, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        if self.path == '/length': self.send_header('Content-Length', '100')
        if self.path == '/chunks': self.send_header('Transfer-Encoding', 'chunked')
        self.end_headers()
        self.wfile.write(b'5\r\nhello\r\n' if self.path == '/chunks' else b'hello')
        self.close_connection = True
    def log_message(self, *arguments): pass
class Server(http.server.ThreadingHTTPServer):
    def handle_error(self, *arguments): pass
Handler.protocol_version = 'HTTP/1.1'
server = Server(('127.0.0.1', 0), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain('own.pem', 'own.key')
server.socket = context.wrap_socket(server.socket, server_side=True)
print(server.server_address[1], flush=True)
server.serve_forever()
"#;

/// Nobody can tell it from an answer that was cut off.
pub(crate) async fn content_that_ends_with_its_connection_alone_is_complete_only_where_the_configuration_says_so() {
    let folder = Folder::new();
    folder.openssl(
        "req -x509 -newkey rsa:2048 -nodes -keyout own.key -out own.pem -subj /CN=localhost -addext \
         subjectAltName=DNS:localhost -days 3",
    );
    let mut python = Command::new("python3");
    python.current_dir(folder.path()).arg("-").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut process = Process::start(&mut python);
    process.child.stdin.take().unwrap().write_all(PYTHON.as_bytes()).unwrap();
    let mut line = String::new();
    BufReader::new(process.child.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let server = Server { _process: process, port: line.trim().parse().unwrap() };

    let strict = folder.proxy(&server, "caFile: own.pem");
    let lenient = folder.proxy(&server, "caFile: own.pem, allowMissingCloseNotify: true");
    for (proxy, target, status) in [
        (&strict, "/", 502),
        (&strict, "/length", 502),
        (&strict, "/chunks", 502),
        (&lenient, "/", 200),
        (&lenient, "/length", 502),
        (&lenient, "/chunks", 502),
    ] {
        let answer = ask(proxy, get(target)).await;
        assert_eq!(answer.status, status, "{target}: {}", answer.record);
        match status {
            200 => assert_eq!(answer.body, "hello"),
            _ => assert_eq!(answer.error(), "http_response_incomplete"),
        }
    }
}
