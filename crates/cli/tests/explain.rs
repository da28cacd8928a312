//! `crossfade explain` and `crossfade test` from outside. The configuration is `explain/crossfade.yaml`; each case is a file
//! `explain/NAME.args` with one argument per line, beside the expected output, which `BLESS=1` writes.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use std::sync::mpsc::channel;

use crossfade_testkit::client;
use crossfade_testkit::server::{Action, Server, response};
use crossfade_testkit::wait::PATIENCE;

use crate::support::Dev;

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/explain")
}

fn crossfade(folder: &Path, arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crossfade")).args(arguments).current_dir(folder).output().unwrap()
}

fn printed(output: &Output) -> String {
    [&output.stdout[..], &output.stderr[..]].concat().try_into().unwrap()
}

fn is_golden(golden: &Path, actual: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::write(golden, actual).unwrap();
    }
    let expected = fs::read_to_string(golden).unwrap_or_default();
    assert!(expected == actual, "{}\n--- expected\n{expected}\n--- actual\n{actual}", golden.display());
}

#[test]
fn explanations_are_the_golden_ones() {
    let mut cases = 0;
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "args") {
            continue;
        }
        cases += 1;
        let arguments = fs::read_to_string(&path).unwrap();
        let arguments: Vec<&str> = arguments.lines().collect();
        let output = crossfade(&folder(), &[&["explain"], &arguments[..]].concat());
        is_golden(&path.with_extension("txt"), &printed(&output));
    }
    assert!(cases > 8, "{cases}");
}

/// URLs as curl reads them. Nothing of a fragment, and no user name, is sent.
#[test]
fn urls_are_read_as_curl_reads_them() {
    for (url, request, upstream) in [
        ("https://shop.example.com?x=1", "https://shop.example.com/?x=1", "https://legacy.example.com/?x=1"),
        ("shop.example.com/a#b", "http://shop.example.com/a", "https://legacy.example.com/a"),
        ("HTTPS://shop.example.com:443", "https://shop.example.com/", "https://legacy.example.com/"),
        (
            "https://[::1]:8443/a//b?u=http://c@d",
            "https://[::1]:8443/a//b?u=http://c@d",
            "https://legacy.example.com/a//b?u=http://c@d",
        ),
        ("https://ann:s%20x@shop.example.com/", "https://shop.example.com/", "https://legacy.example.com/"),
    ] {
        let output = printed(&crossfade(&folder(), &["explain", url]));
        assert!(output.starts_with(&format!("request       GET {request}\n")), "{output}");
        assert!(output.contains(&format!("upstream      GET {upstream}\n")), "{output}");
        assert_eq!(output.contains("  authorization: Basic YW5uOnMgeA==\n"), url.contains("ann:"), "{output}");
    }
}

/// The printed request is the one that the function sends for that event, line by line, in both header modes. Only the ids
/// of the request and of the trace are random.
#[test]
fn the_printed_request_is_the_one_that_is_sent() {
    let other = tempfile::tempdir().unwrap();
    let (sender, requests) = channel();
    let server = Server::start(None, move |_, message| {
        let _ = sender.send(String::from_utf8_lossy(message.head).into_owned());
        Action::SendAndClose(response("200 OK", &[("connection", "close")], b"ok").into())
    });
    let address = server.unwrap().keep();
    let text = format!(
        "version: 1\nbackends:\n  plain: http://{address}\n  told: {{ url: 'http://{address}/base', hostHeader: preserve, via: true }}\n\
         routes:\n- name: told\n  priority: 1\n  conditions: {{ path: /told/* }}\n  forward: told\n  requestHeaders:\n    \
         set: {{ x-client: '${{clientIp}}', x-set: a }}\n    add: {{ x-twice: c }}\n    remove: [x-removed]\n\
         default: {{ forward: plain }}\n"
    );
    fs::write(other.path().join("crossfade.yaml"), text).unwrap();
    let single = "Resources:\n  L: { Type: AWS::ElasticLoadBalancingV2::Listener, Properties: { Port: 80, Protocol: HTTP, \
                  DefaultActions: [{ Type: forward, TargetGroupArn: !Ref G }] } }\n  \
                  G: { Type: AWS::ElasticLoadBalancingV2::TargetGroup, Properties: { TargetType: lambda, Targets: [{ Id: !GetAtt F.Arn }] } }\n  \
                  F: { Type: AWS::Serverless::Function, Properties: { Handler: bootstrap } }\n";
    fs::write(other.path().join("template.yml"), single).unwrap();
    let fields = [
        ("x-forwarded-for", "198.51.100.7"),
        ("X-Forwarded-For", "198.51.100.8"),
        ("x-forwarded-proto", "https"),
        ("x-forwarded-port", "1"),
        ("x-forwarded-host", "evil.example"),
        ("x-forwarded-server", "evil.example"),
        ("forwarded", "for=198.51.100.7"),
        ("via", "1.1 a"),
        ("via", "1.1 b"),
        ("cdn-loop", "other"),
        ("x-amzn-trace-id", "Root=1-5759e988-bd862e3fe1be46a994272793"),
        ("connection", "x-hop, keep-alive"),
        ("x-hop", "1"),
        ("te", "trailers"),
        ("cookie", "a=1"),
        ("cookie", "b=2"),
        ("x-twice", "a"),
        ("x-twice", "b"),
        ("x-removed", "a"),
        ("x-set", "client"),
        ("x_request_id", "lookalike"),
        ("authorization", "Bearer abc"),
        ("x-crossfade-mirror", "1"),
    ];
    for source in [&[][..], &["--template", "template.yml"]] {
        let dev = Dev::start_in(other.path(), &[&["--no-inspect", "--config", "crossfade.yaml"], source].concat());
        let host = client::host(&dev.alb).to_owned();
        for (method, target, fields) in [
            ("GET", "/", &fields[..0]),
            ("GET", "/a//b/../c?x=%20&y&x=", &fields[..]),
            ("POST", "/told/%2F?é", &fields[..]),
            ("DELETE", "/told/", &fields[..3]),
        ] {
            let lines: String = fields.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
            client::send(&host, format!("{method} {target} HTTP/1.1\r\nhost: {host}\r\n{lines}\r\n"));
            let sent = requests.recv_timeout(PATIENCE).unwrap();
            let (url, fields): (_, Vec<String>) = (
                format!("http://{host}{target}"),
                fields.iter().map(|(name, value)| format!("{name}: {value}")).collect(),
            );
            let fields: Vec<&str> = fields.iter().flat_map(|field| ["-H", field]).collect();
            let output = printed(&crossfade(other.path(), &[&["explain", method, &url], source, &fields].concat()));
            let (_, upstream) = output.split_once("\nupstream ").unwrap_or_else(|| panic!("{output}"));
            let (line, shown) = upstream.split_once("\n\n").unwrap().0.split_once('\n').unwrap();
            let shown: Vec<String> = shown.lines().map(|line| without_random_ids(line.trim())).collect();
            let (start, head) = sent.trim_end().split_once("\r\n").unwrap();
            let sent: Vec<String> = head.split("\r\n").map(without_random_ids).collect();
            assert_eq!(shown, sent, "{output}");
            assert_eq!(line.trim().replace(&format!(" http://{address}"), " ") + " HTTP/1.1", start);
        }
        assert!(dev.stop("-INT").success());
    }
}

/// A field without the id of the request, without that part of the trace which the load balancer adds, and without the
/// name and deployment of the function, which only the function knows.
fn without_random_ids(line: &str) -> String {
    match line.split_once(": ") {
        Some(("x-request-id", _)) => "x-request-id".to_owned(),
        Some(("x-amzn-trace-id", trace)) => {
            let kept = |part: &&str| *part == "Root=1-5759e988-bd862e3fe1be46a994272793";
            format!("x-amzn-trace-id: {:?}", trace.split(';').filter(kept).collect::<Vec<_>>())
        }
        _ => match line.split_once("crossfade-").filter(|_| !line.starts_with("x-")) {
            Some((before, _)) => format!("{before}crossfade"),
            None => line.to_owned(),
        },
    }
}

/// The match and the nearest routes, unless all are asked for, in both forms of output.
#[test]
fn of_many_routes_the_nearest_are_printed() {
    let other = tempfile::tempdir().unwrap();
    let route = |number| {
        format!("- {{ name: r{number}, priority: {number}, conditions: {{ path: /service{number}/* }}, forward: b }}\n")
    };
    let routes: String = (1..=10_000).map(route).collect();
    let text =
        format!("version: 1\nbackends: {{ b: https://b.example }}\ndefault: {{ forward: b }}\nroutes:\n{routes}");
    fs::write(other.path().join("crossfade.yaml"), text).unwrap();
    let explain = |more: &[&str]| {
        let output = crossfade(other.path(), &[&["explain", "https://shop.example/service9000/x"], more].concat());
        printed(&output)
    };
    let text = explain(&[]);
    assert!(text.lines().count() < 50, "{}", text.lines().count());
    for part in [
        "\nroutes        the nearest 20 of 8,999 that do not match; `--all` prints all\n",
        "      900 r900   no: path is /service900/* (the path is /service9000/x)\n",
        "  >  9000 r9000  path is /service9000/*\n",
    ] {
        assert!(text.contains(part), "{part}: {text}");
    }
    assert!(explain(&["--all"]).lines().count() > 9000);
    for (more, shown, left_out) in [(&["--json"][..], 20, Some(8_979)), (&["--json", "--all"], 8_999, None)] {
        let json: serde_json::Value = serde_json::from_str(&explain(more)).unwrap();
        assert_eq!((json["skipped"].as_array().unwrap().len(), json["skippedLeftOut"].as_u64()), (shown, left_out));
        assert_eq!(json["route"]["name"], "r9000");
    }
}

#[test]
fn help_texts_are_the_golden_ones() {
    for (command, golden) in [("explain", "golden/help-explain.txt"), ("test", "golden/help-test.txt")] {
        let output = crossfade(&folder(), &[command, "--help"]);
        is_golden(&folder().join("..").join(golden), &printed(&output));
    }
}

#[test]
fn the_tests_of_a_configuration_pass_or_say_what_is_different() {
    let output = crossfade(&folder(), &["test"]);
    assert_eq!(output.status.code(), Some(0), "{}", printed(&output));
    assert!(printed(&output).ends_with("2 tests, 0 failed\n"));

    let other = tempfile::tempdir().unwrap();
    let text = fs::read_to_string(folder().join("crossfade.yaml")).unwrap();
    let text =
        text.replace("status: 301, location", "status: 302, location").replace("pin: { modern:", "pin: { legacy:");
    let text = text
        + "  - request: https://shop.example.com/api/orders/7\n    expect: { route: orders-read, backend: legacy }\n";
    fs::write(other.path().join("crossfade.yaml"), text).unwrap();
    let output = crossfade(other.path(), &["test"]);
    assert_eq!(output.status.code(), Some(1), "{}", printed(&output));
    is_golden(&folder().join("../golden/test-failures.txt"), &printed(&output));
}

#[test]
fn what_cannot_be_explained_is_refused() {
    for (arguments, told) in [
        (&["explain", "/path"][..], "hint: write `https://host/path`"),
        (&["explain", "http://"], "error: `http://` is not a URL of a request: the URL has no host"),
        (&["explain", "ftp://host:99999/"], "the scheme must be `http` or `https`"),
        (&["explain", "https://host:99999/"], "the port must be a number from 1 to 65535"),
        (&["explain", "https://user:s3cret@/"], "error: `https:///` is not a URL"),
        (&["explain", "https://host/a b"], "must be percent-encoded, as in `%20`"),
        (&["explain", "G T", "https://a/"], "error: `G T` is not a method"),
        (&["report", "--since", "yesterday"], "expected a time in UTC such as `2026-11-24T08:00:00Z`"),
        (&["explain", "https://a/", "--config", "nowhere.yaml"], "cannot read `nowhere.yaml`"),
        (&["explain", "https://a/", "--serverless", "crossfade.yaml"], "no function has an `alb` event"),
        (&["explain", "https://a/", "-H", "no colon"], "expected `name: value`"),
        (&["test", "nowhere.yaml"], "cannot read `nowhere.yaml`"),
    ] {
        let output = crossfade(&folder(), arguments);
        assert_eq!(output.status.code(), Some(2), "{arguments:?}");
        assert!(printed(&output).contains(told), "{arguments:?}: {}", printed(&output));
    }
}
