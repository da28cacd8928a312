//! The inspector of `crossfade dev`, from outside: the real binary, requests through its load balancer, and the pages over
//! raw HTTP. `inspector_page.rs` tests appearance and use in a browser.

use std::net::TcpListener;
use std::process::Command;
use std::sync::mpsc::{Receiver, channel};

use crossfade_testkit::client::{self, Client};
use crossfade_testkit::server::{Action, Server, response};
use crossfade_testkit::wait::{PATIENCE, until_ok};

use crate::support::Dev;

/// Sends a raw request, with the server's own `{host}`. Returns the whole response with its head.
fn send(url: &str, request: &str) -> String {
    let host = client::host(url);
    client::send(host, request.replace("{host}", host)).whole()
}

fn get(url: &str, target: &str) -> String {
    send(url, &format!("GET {target} HTTP/1.1\r\nhost: {{host}}\r\nconnection: close\r\n\r\n"))
}

fn post(url: &str, target: &str, fields: &str, body: &str) -> String {
    let length = body.len();
    send(
        url,
        &format!(
            "POST {target} HTTP/1.1\r\nhost: {{host}}\r\nconnection: close\r\n{fields}content-length: {length}\r\n\r\n{body}"
        ),
    )
}

/// A page, once it has these words.
fn page_with(dev: &Dev, target: &str, words: &str) -> String {
    until_ok(words, || {
        let page = get(&dev.inspector, target);
        if page.contains(words) { Ok(page) } else { Err(page) }
    })
}

fn token(dev: &Dev) -> String {
    let page = get(&dev.inspector, "/");
    page.split("data-token=\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}

fn status(answer: &str) -> u16 {
    answer.split(' ').nth(1).unwrap().parse().unwrap()
}

fn start(arguments: &[&str]) -> Dev {
    Dev::start(&[&["--inspect", "0"], arguments].concat())
}

/// A back end that tells what it got.
fn back_end() -> (String, Receiver<String>) {
    let (sender, requests) = channel();
    let server = Server::start(None, move |_, message| {
        let _ = sender.send(String::from_utf8_lossy(&[message.head, &message.body].concat()).into_owned());
        Action::SendAndClose(response("200 OK", &[("connection", "close")], b"ok").into())
    });
    (format!("http://{}", server.unwrap().keep()), requests)
}

pub(crate) fn a_request_is_told_from_the_rule_to_the_comparison() {
    let dev = start(&[]);
    get(&dev.alb, "/orders/42?q=%20");
    // The function's line, which names the back end, comes behind the answer.
    let list = page_with(&dev, "/", "<b>legacy</b>");
    for part in ["<b id=\"shown\">1</b>", "?q=***", "<span class=\"status s2\">200</span>", ">cold<", "<b>legacy</b>"] {
        assert!(list.contains(part), "{part}: {list}");
    }
    let page = page_with(&dev, "/requests/1", "Comparison");
    for part in [
        "<dd>forward to legacy ",
        "<code>path is /orders/*</code>",
        "<span class=\"name\">&quot;httpMethod&quot;</span>: &quot;GET&quot;",
        "<span class=\"name\">&quot;statusCode&quot;</span>: 200",
        "chosen by otherwise",
        "New connection",
        "<b>modern</b>",
        "curl -i --globoff --path-as-is",
        "matched_rule_priority",
        "x-demo-backend",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(dev.stop("-INT").success());
}

/// A pinned user of a back end that fails, in every place that says where the request went; and a redirect, before and after
/// its route moves in the file.
pub(crate) fn our_routes_are_explained_and_a_failover_has_both_steps() {
    let (legacy, _requests) = back_end();
    let busy = Server::start(None, |_, _| {
        Action::SendAndClose(response("503 Service Unavailable", &[("connection", "close")], b"busy").into())
    });
    let busy = busy.unwrap().keep();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("crossfade.yaml");
    let config = |path: &str| {
        format!(
            "version: 1\nbackends: {{ legacy: '{legacy}', modern: 'http://{busy}' }}\nroutes:\n- {{ name: blog, priority: 1, \
             conditions: {{ path: '${{env:BLOG}}', method: GET }}, redirect: {{ host: blog.example }} }}\n- name: orders\n  priority: 2\n  \
             conditions: {{ path: {path} }}\n  forward:\n    targets: [legacy, modern]\n    \
             sticky: {{ by: {{ cookie: id }}, pin: {{ modern: ['7'] }} }}\n    failover: {{ to: legacy }}\ndefault: {{ forward: legacy }}\n"
        )
    };
    std::fs::write(&file, config("/orders/*")).unwrap();
    // The option overrides the shell, for the function and for the page.
    let dev = Dev::start_with(
        folder.path(),
        &["--inspect", "0", "--config", "crossfade.yaml", "--env", "BLOG=/blog/s3cret"],
        &[("BLOG", "/elsewhere")],
    );
    let ask = |target: &str| {
        let request = format!("GET {target} HTTP/1.1\r\nhost: {{host}}\r\ncookie: id=7\r\nconnection: close\r\n\r\n");
        status(&send(&dev.alb, &request))
    };
    assert_eq!(ask("/orders/1"), 200);
    let line = dev.next_line();
    assert!(line.ends_with("/orders/1  [orders]  [modern by pin: 503]  [legacy by failover]  [cold start]"), "{line}");
    let list = page_with(&dev, "/", "modern by pin: 503 → legacy by failover");
    assert!(list.contains("Route</th>") && !list.contains("Rule</th>"), "{list}");
    let page = get(&dev.inspector, "/requests/1");
    for part in [
        "<s>modern</s> <small>chosen by pin</small> <small>503</small>",
        "legacy <small>by failover</small>",
        ">modern: 503</th>",
        "<code>path is ${env:BLOG}</code> <small>the path is /orders/1</small>",
        "modern: pinned by cookie id",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert_eq!(ask("/blog/s3cret"), 302);
    page_with(&dev, "/?q=route:blog", ">redirect<");

    std::fs::write(&file, config("/new/*")).unwrap();
    dev.told("has changed");
    assert_eq!(ask("/orders/2"), 200);
    page_with(&dev, "/requests/3", "all requests that match no other route");
    assert!(get(&dev.inspector, "/requests/1").contains("<b>orders</b>"), "it was under the configuration before");
    assert!(dev.stop("-INT").success());
}

/// Whatever is asked, by whom and how: the same fields, and nothing that lets others in.
pub(crate) fn every_answer_is_guarded() {
    let dev = start(&[]);
    let inspector = dev.inspector.as_str();
    let (_, port) = inspector.rsplit_once(':').unwrap();
    let with_host =
        |host: &str| send(inspector, &format!("GET / HTTP/1.1\r\nhost: {host}\r\nconnection: close\r\n\r\n"));
    let answers = [
        (200, get(inspector, "/")),
        (200, get(inspector, "/style.css")),
        (200, get(inspector, "/script.js")),
        (200, with_host(&format!("localhost:{port}"))),
        (200, with_host(&format!("[::1]:{port}"))),
        (404, get(inspector, "/requests/7")),
        (404, get(inspector, "/requests/x")),
        (404, get(inspector, "/..%2f")),
        (405, post(inspector, "/", "", "")),
        (405, get(inspector, "/requests/1/replay")),
        (421, with_host("rebound.example")),
        (421, with_host(&format!("rebound.example:{port}"))),
        (421, with_host("127.0.0.1")),
        (
            403,
            send(
                inspector,
                "GET / HTTP/1.1\r\nhost: {host}\r\nsec-fetch-site: same-site\r\nsec-fetch-mode: no-cors\r\nsec-fetch-dest: script\r\nconnection: close\r\n\r\n",
            ),
        ),
        (
            403,
            send(
                inspector,
                "GET /live HTTP/1.1\r\nhost: {host}\r\norigin: http://evil.example\r\nconnection: close\r\n\r\n",
            ),
        ),
        (403, post(inspector, "/requests/1/replay", "", "")),
    ];
    for (expected, answer) in answers {
        assert_eq!(status(&answer), expected, "{answer}");
        let head = answer.split("\r\n\r\n").next().unwrap().to_ascii_lowercase();
        for field in [
            "content-security-policy: default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; base-uri 'none'; \
             form-action 'self'; frame-ancestors 'none'",
            "x-content-type-options: nosniff",
            "referrer-policy: no-referrer",
            "cache-control: no-store",
            "cross-origin-resource-policy: same-origin",
            "cross-origin-opener-policy: same-origin",
        ] {
            assert!(head.contains(field), "{field}: {head}");
        }
        assert!(!head.contains("access-control"), "{head}");
    }
    assert!(with_host("rebound.example").contains("only at the address"));
    assert!(dev.stop("-INT").success());
}

/// Replay, the only action, works only from the page itself. It sends the real secrets, which no page shows.
pub(crate) fn a_replay_needs_the_token_and_sends_what_was_sent() {
    let (url, requests) = back_end();
    let dev = start(&["--backend", &url]);
    let fields = "authorization: Bearer s3cret\r\ncookie: a=s3cret2\r\ncontent-type: application/json\r\nx-forwarded-for: 192.0.2.7\r\n";
    post(&dev.alb, "/a//b/../c?token=s3cret3&q=%2f", fields, r#"{"password":"s3cret4"} end"#);
    let first = requests.recv_timeout(PATIENCE).unwrap();
    page_with(&dev, "/", "/a//b/../c");
    let token = token(&dev);
    let body = format!("token={token}");
    for (fields, body) in [
        ("", ""),
        ("", "token="),
        ("", "token=0000000000000000000000000000000000000000000000000000000000000000"),
        ("origin: http://evil.example\r\n", body.as_str()),
        ("origin: null\r\n", &body),
        ("sec-fetch-site: same-site\r\n", &body),
    ] {
        assert_eq!(status(&post(&dev.inspector, "/requests/1/replay", fields, body)), 403, "{fields}");
    }
    assert_eq!(status(&post(&dev.inspector, "/requests/9/replay", "", &body)), 404);
    assert!(requests.try_recv().is_err(), "nothing was sent");
    let own = format!("origin: {}\r\nsec-fetch-site: same-origin\r\n", dev.inspector);
    let answer = post(&dev.inspector, "/requests/1/replay", &own, &body);
    assert!(answer.starts_with("HTTP/1.1 303") && answer.contains("location: /requests/2\r\n"), "{answer}");
    let second = requests.recv_timeout(PATIENCE).unwrap();
    for part in
        ["POST /a//b/../c?token=s3cret3&q=%2f ", "Bearer s3cret\r", "a=s3cret2", "192.0.2.7", "\"s3cret4\"} end"]
    {
        assert!(first.contains(part) && second.contains(part), "{part}: {first}\n{second}");
    }
    for target in ["/", "/requests/1", "/requests/2"] {
        let page = get(&dev.inspector, target);
        assert!(!page.contains("s3cret"), "{page}");
    }
    assert!(get(&dev.inspector, "/requests/2").contains("REPLACE_ME"));
    assert!(dev.stop("-INT").success());
}

/// The text for curl, run as it is, is the same request again.
pub(crate) fn the_text_for_curl_does_the_same() {
    let (url, requests) = back_end();
    let dev = start(&["--backend", &url, "--show-secrets"]);
    let fields = "authorization: Bearer it's\r\nx-odd: a \"b\" $HOME \\ `c`\r\nx-empty:\r\nuser-agent: test\r\ncontent-type: text/plain\r\n";
    post(&dev.alb, "/a/../[b]?q={x}'%20", fields, "two\nlines 'quoted' @end! \t\u{202e}1\\");
    let first = requests.recv_timeout(PATIENCE).unwrap();
    let page = page_with(&dev, "/requests/1", "curl-text");
    let text =
        page.split("<pre id=\"curl-text\"").nth(1).unwrap().split_once('>').unwrap().1.split("</pre>").next().unwrap();
    let command = text
        .replace("&quot;", "\"")
        .replace("&#39;", "'")
        .replace("&lt;", "<")
        .replace("&gt;", ">")
        .replace("&amp;", "&");
    let command = command.replacen("curl ", "curl --noproxy '*' --max-time 20 ", 1);
    let output = Command::new("bash").args(["-c", &command]).output().unwrap();
    assert!(output.status.success(), "{command}\n{}", String::from_utf8_lossy(&output.stderr));
    let second = requests.recv_timeout(PATIENCE).unwrap();
    // What names the one request and not the other.
    let same = |request: &str| {
        let own = ["x-amzn-trace-id:", "x-request-id:"];
        let mut lines: Vec<String> = request
            .lines()
            .filter(|line| !own.iter().any(|name| line.to_ascii_lowercase().starts_with(name)))
            .map(str::to_owned)
            .collect();
        lines.sort();
        lines
    };
    assert_eq!(same(&first), same(&second), "{command}");
    assert!(dev.stop("-INT").success());
}

pub(crate) fn the_list_is_narrowed_by_words_and_by_choices() {
    let dev = start(&[]);
    for target in ["/orders/1", "/orders/2?token=s3cret", "/no/such", "/status/503"] {
        get(&dev.alb, target);
    }
    post(&dev.alb, "/echo", "", "");
    page_with(&dev, "/", "5 seen");
    page_with(&dev, "/?q=backend:legacy", "of <b id=\"matching\">5</b>");
    for (query, matching) in [
        ("q=orders", 2),
        ("q=ORDERS+-token", 1),
        ("q=status:5xx", 1),
        ("q=status:404", 1),
        ("status=2xx", 3),
        ("method=POST&status=2xx", 1),
        ("q=-method:GET", 1),
        ("rule=default", 5),
        ("rule=10", 0),
        ("q=is:cold", 1),
        ("q=s3cret", 0),
        ("q=%3Cscript%3E", 0),
    ] {
        let page = get(&dev.inspector, &format!("/?{query}"));
        assert!(page.contains(&format!("of <b id=\"matching\">{matching}</b> that match")), "{query}: {page}");
        assert!(!page.contains("<script>"), "{page}");
    }
    assert!(dev.stop("-INT").success());
}

/// More requests than a page can show are counted, all of them, and `dev` tells each.
pub(crate) fn many_requests_are_all_counted() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/serverless/serverless.yml");
    let dev = start(&["--serverless", file]);
    let request = "GET /hardly/anything HTTP/1.1\r\nhost: a.example\r\n\r\n";
    let alb = client::host(&dev.alb);
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                let mut client = Client::connect(alb);
                for _ in 0..500 {
                    client.write(request);
                    client.read();
                }
            });
        }
    });
    let page = page_with(&dev, "/", "2,000 seen");
    assert!(page.contains("Showing <b id=\"shown\">200</b> of <b id=\"matching\">2,000</b>"), "{page}");
    assert!(page.contains("the last 1,000 kept"), "{page}");
    let lines = (0..2000).filter(|_| dev.next_line().contains("/hardly/anything")).count();
    assert!(lines > 0, "dev tells each request");
    assert!(dev.stop("-INT").success());
}

pub(crate) fn the_inspector_can_be_elsewhere_or_not_at_all() {
    let dev = Dev::start(&["--no-inspect"]);
    assert_eq!(dev.inspector, "");
    assert!(dev.stop("-INT").success());
    // Two at a time: the second finds the usual port taken, if the first has not already.
    let devs = [Dev::start(&[]), Dev::start(&[])];
    assert_ne!(devs[0].inspector, devs[1].inspector);
    for dev in devs {
        assert_eq!(status(&get(&dev.inspector, "/")), 200);
        assert!(dev.stop("-INT").success());
    }
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let output = Command::new(env!("CARGO_BIN_EXE_crossfade"))
        .args(["dev", "--port", "0", "--inspect", &port])
        .output()
        .unwrap();
    let told = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{told}");
    assert!(told.contains("hint: choose another port with `--inspect`") && !told.contains("local ALB"), "{told}");
}
