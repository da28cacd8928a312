//! A system that names itself everywhere, behind `publicUrl` with `content`: Chromium, driven by `browser/public.mjs`, clicks
//! through its pages and never leaves the public host.

use std::io::Write;
use std::path::Path;

use crossfade_testkit::server::{Action, Server, response};
use serde_json::{Value, json};

use crate::support::Dev;
use crate::support::browser;

/// Both have the right hash in the page, see [`PAGE`].
const SCRIPT: &str = "document.querySelector('#script').textContent = 'http://old.test/v2/page';\n\
                      fetch('http://old.test/v2/data.json').then((response) => response.json()).then((data) => {\n  \
                      document.querySelector('#json').href = data.next;\n});\n";
const STYLE: &str =
    "@import \"http://old.test/v2/more.css\";\n#styled { color: rgb(1, 2, 3); background: url(/v2/css.png) }\n";

const PAGE: &str = r#"<!doctype html><html><head><title>Home</title><base href="http://old.test/v2/">
<link rel="stylesheet" href="/v2/style.css" integrity="sha384-rDtEI8Ar9NN7XwuLfOLwreeZwtwWp6HuLYXngDc1DgiSnE6icYUzsLqcTBrpAAMN" crossorigin="anonymous">
<script defer src="http://old.test/v2/app.js" integrity="sha384-BMcQPATdGlmC2GfVjtkaff0L4XEScgbxMWuLHAAMO0R+52oLA1y44yT4EQGa1ro6" crossorigin="anonymous"></script>
<style>#inline { background: url('/v2/inline.png') }</style></head><body>
<a id="absolute" href="http://old.test/v2/page?way=absolute">1</a>
<a id="scheme" href='//OLD.test/v2/page?way=scheme'>2</a>
<a id="port" href=http://old.test:80/v2/page?way=port>3</a>
<a id="root" href="/v2/page?way=root">4</a>
<a id="base" href="page?way=base">5</a>
<a id="redirect" href="/v2/redirect">6</a>
<a id="refresh" href="/v2/refresh">7</a>
<a id="meta" href="/v2/meta">8</a>
<a id="json">9</a>
<a id="encoded" href="/v2/login?next=http%3A%2F%2Fold.test%2Fv2%2Fpage%3Fway%3Dencoded">10</a>
<form action="http://old.test/v2/submit" method="post"><button id="form">11</button></form>
<img alt="" src="/v2/src.png" srcset="/v2/small.png 1x, http://old.test/v2/large.png 2x">
<p id="styled">styled</p><p id="inline">inline</p><p style="background: url(&quot;/v2/attribute.png&quot;)">style</p>
<p id="script"></p></body></html>
"#;

/// The old system, which knows itself as `http://old.test/v2`.
fn old_system() -> Server {
    let script = move |head: &str, cookie: &str| {
        let target = head.split(' ').nth(1).unwrap_or_default();
        let (path, query) = target.split_once('?').unwrap_or((target, ""));
        let html = ("content-type", "text/html; charset=utf-8");
        match path {
            "/v2/" => {
                let cookies = [("set-cookie", "session=1; Domain=old.test; Path=/v2/"), html];
                let is_accepted = head
                    .lines()
                    .any(|line| line.to_ascii_lowercase().starts_with("accept-encoding:") && line.contains("gzip"));
                if !is_accepted {
                    return response("200 OK", &cookies, PAGE.as_bytes());
                }
                let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
                encoder.write_all(PAGE.as_bytes()).unwrap();
                let fields = [&cookies[..], &[("content-encoding", "gzip"), ("etag", "\"1\"")]].concat();
                response("200 OK", &fields, &encoder.finish().unwrap())
            }
            "/v2/page" => {
                let text = format!("<title>{query}</title><p id=cookie>{cookie}</p>");
                response("200 OK", &[html], text.as_bytes())
            }
            "/v2/app.js" => response("200 OK", &[("content-type", "text/javascript")], SCRIPT.as_bytes()),
            "/v2/style.css" => response("200 OK", &[("content-type", "text/css")], STYLE.as_bytes()),
            "/v2/data.json" => {
                let json = r#"{"next":"http:\/\/old.test\/v2\/page?way=json"}"#;
                response("200 OK", &[("content-type", "application/json")], json.as_bytes())
            }
            "/v2/redirect" => response("302 Found", &[("location", "http://old.test/v2/page?way=redirect")], b""),
            "/v2/submit" => response("303 See Other", &[("location", "/v2/page?way=form")], b""),
            "/v2/login" => {
                let next = query.trim_start_matches("next=");
                let next = next.replace("%3A", ":").replace("%2F", "/").replace("%3F", "?").replace("%3D", "=");
                response("302 Found", &[("location", next.as_str())], b"")
            }
            "/v2/refresh" => {
                response("200 OK", &[html, ("refresh", "0; url=http://old.test/v2/page?way=refresh")], b"Wait.")
            }
            "/v2/meta" => {
                let text = "<meta http-equiv=refresh content=\"0; url=/v2/page?way=meta\">Wait.";
                response("200 OK", &[html], text.as_bytes())
            }
            path if path.ends_with(".png") => response("200 OK", &[("content-type", "image/png")], b"no picture"),
            _ => response("404 Not Found", &[], b""),
        }
    };
    let server = Server::start(None, move |_, message| {
        let cookie = message.field("cookie").map(|value| String::from_utf8_lossy(value).into_owned());
        let head = String::from_utf8_lossy(message.head).into_owned();
        Action::Send(script(&head, cookie.as_deref().unwrap_or_default()).into())
    });
    server.unwrap()
}

pub(crate) fn a_browser_never_leaves_the_public_host() {
    let old = old_system();
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "version: 1\nstreaming: function-url\nbackends:\n  old:\n    url: {}/v2\n    hostHeader: old.test\n    publicUrl: \
         {{ url: http://shop.test, content: [text/html, text/css, text/javascript, application/json] }}\n\
         default: {{ forward: old }}\n",
        old.url()
    );
    std::fs::write(folder.path().join("crossfade.yaml"), config).unwrap();
    for front in [&["--front", "alb"][..], &["--front", "function-url", "--stream"]] {
        visited(folder.path(), front, &old);
    }
}

fn visited(folder: &Path, front: &[&str], old: &Server) {
    let dev = Dev::start_in(folder, &[front, &["--config", "crossfade.yaml", "--no-inspect"]].concat());
    let output = browser::run("public.mjs", &[dev.alb.as_ref(), old.url().as_ref()]);
    let found: Value = serde_json::from_slice(&output).unwrap();

    // Directly, to see that the browser loads all of it and that its hashes are right.
    assert_eq!(found["direct"]["script"], "http://old.test/v2/page", "{found}");
    assert_eq!(found["direct"]["colour"], "rgb(1, 2, 3)", "{found}");

    let public = &found["public"];
    assert_eq!(public["script"], "http://shop.test/page", "the script is mapped, and runs: {found}");
    assert_eq!(public["colour"], "rgb(1, 2, 3)", "{found}");
    assert_eq!(public["foreign"], json!([]), "{found}");
    let ways = ["absolute", "scheme", "port", "root", "base", "redirect", "refresh", "meta", "json", "encoded", "form"];
    for way in ways {
        let expected = json!([format!("http://shop.test/page?way={way}"), format!("way={way}"), "session=1"]);
        assert_eq!(public["ways"][way], expected, "{way}: {found}");
    }
    let loaded: Vec<&str> = public["loaded"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
    for file in ["/css.png", "/inline.png", "/attribute.png", "/small.png", "/style.css", "/app.js", "/data.json"] {
        assert!(loaded.contains(&format!("http://shop.test{file}").as_str()), "{file}: {found}");
    }
    assert!(dev.stop("-INT").success());
}
