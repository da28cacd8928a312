//! Every format with real lines, with hostile ones, and with random ones.

use proptest::prelude::*;

use super::*;

/// A line of the ELB user guide, with another request.
fn alb_line(kind: &str, request: &str) -> String {
    format!(
        "{kind} 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 192.168.131.39:2817 10.0.0.1:80 0.000 0.001 \
         0.000 200 200 34 366 \"{request}\" \"curl/7.46.0\" - - \
         arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 \
         \"Root=1-58337262-36d228ad5d99923122bbe354\" \"-\" \"-\" 0 2018-07-02T22:22:48.364000Z \"forward\" \"-\" \"-\" \
         \"10.0.0.1:80\" \"200\" \"-\" \"-\" TID_1234abcd5678ef90"
    )
}

fn combined_line(request: &str) -> String {
    format!(
        "192.0.2.7 - frank [10/Oct/2026:13:55:36 -0700] \"{request}\" 200 2326 \"https://a/?b\" \"Mozilla/5.0 (X11)\""
    )
}

const CLOUDFRONT_HEAD: &str = "#Version: 1.0\n#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status \
    cs(Referer) cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type x-edge-request-id x-host-header cs-protocol cs-bytes time-taken\n";

fn cloudfront_line(method: &str, stem: &str, query: &str) -> String {
    [
        "2026-12-04",
        "21:02:31",
        "LAX1",
        "392",
        "192.0.2.100",
        method,
        "d111111abcdef8.cloudfront.net",
        stem,
        "200",
        "-",
        "Mozilla/5.0%20(Windows)",
        query,
        "-",
        "Hit",
        "SOX4xwn4XV6Q4rgb7XiVGOHms_BGlTAC4KyHmureZmBNrjGdRLiNIQ==",
        "www.example.com",
        "https",
        "23",
        "0.001",
    ]
    .join("\t")
}

/// Everything in a file: `METHOD host target`, or the reason why something is skipped; and the first unreadable line.
fn all(file: impl AsRef<[u8]>) -> (Vec<String>, Unreadable) {
    let (mut found, mut unreadable) = (Vec::new(), Unreadable::default());
    read("file", file.as_ref(), &mut unreadable, &mut |_, line| {
        found.push(match line {
            Line::Request(asked) => {
                let host = asked.host.map(|host| format!("{host} ")).unwrap_or_default();
                format!("{} {host}{}", asked.method, asked.target)
            }
            other => format!("{other:?}"),
        });
    })
    .unwrap();
    (found, unreadable)
}

#[track_caller]
fn has(file: impl AsRef<[u8]>, expected: &[&str]) {
    let (found, unreadable) = all(file);
    assert_eq!(unreadable, Unreadable::default());
    assert_eq!(found, expected);
}

#[test]
fn a_list_has_paths_and_urls() {
    has(
        "\u{feff}# pages\n/\n\n/a%20b?c=d&e\r\nHEAD /x#top\n  GET   https://Shop.example:443/y?z  \nhttp://h:8080?q\nhttps://h\n\
         POST /orders\nwss://h/live\ndata:text/plain,x\n/non-ascii-ü",
        &[
            "GET /",
            "GET /a%20b?c=d&e",
            "HEAD /x",
            "GET Shop.example /y?z",
            "GET h:8080 /?q",
            "GET h /",
            "POST /orders",
            "Skipped(WebSocket)",
            "Skipped(OtherScheme)",
            "GET /non-ascii-ü",
        ],
    );
}

#[test]
fn the_first_unreadable_line_is_named() {
    for (line, reason) in [
        ("page.html", "`page.html` is neither a path that begins with `/` nor a URL"),
        ("localhost:8080/x", "`localhost:8080/x` is neither a path that begins with `/` nor a URL"),
        ("https://user:secret@h/x", "the URL has a user name"),
        ("https://h:port/x", "`h:port` is not a host"),
        ("https:///x", "`` is not a host"),
        ("/a b c", "`/a b c` is neither `URL` nor `METHOD URL`"),
        ("G@T /a", "`G@T` is not a method"),
        ("/a\x07?secret", "the URL has characters that no URL may have"),
        ("/a?b=\"c", "the URL has characters that no URL may have"),
    ] {
        let (found, unreadable) = all(format!("/first\n{line}\n/last\nwrong\n"));
        assert_eq!(found, ["GET /first", "GET /last"]);
        assert_eq!((unreadable.count, unreadable.first), (2, Some(format!("file:2: {reason}"))));
    }
    let (found, unreadable) = all(format!("/{}\n/short\n/{}", "x".repeat(MAX_LINE), "y".repeat(MAX_LINE)));
    assert_eq!((found.len(), unreadable.count), (1, 2));
}

#[test]
fn an_alb_log_has_requests_with_escapes() {
    let lines = [
        alb_line("https", "GET https://www.example.com:443/a\\x22?b=c\\x5C HTTP/2.0"),
        alb_line("http", "POST http://www.example.com:8080/x HTTP/1.1"),
        alb_line("h2", "GET https://10.0.2.105:773/ HTTP/2.0"),
        alb_line("http", "- http://www.example.com:80- -"),
        alb_line("ws", "GET http://10.0.0.140:80/live HTTP/1.1"),
        "cut off".to_owned(),
        alb_line("http", "GET http://h:80/a b HTTP/1.1"),
    ];
    let (found, unreadable) = all(lines.join("\n"));
    let expected = [
        "GET www.example.com /a\"?b=c\\",
        "POST www.example.com:8080 /x",
        "GET 10.0.2.105:773 /",
        "Skipped(NoRequest)",
        "Skipped(WebSocket)",
    ];
    assert_eq!(found, expected);
    assert_eq!(
        (unreadable.count, unreadable.first),
        (2, Some("file:6: `cut` is not a type of an ALB's access log".into()))
    );
}

#[test]
fn combined_and_common_logs_have_requests() {
    let common = "127.0.0.1 - - [10/Oct/2026:13:55:36 -0700] \"HEAD /apache_pb.gif HTTP/1.0\" 200 -";
    let lines = [
        combined_line("GET /a\\\"?b=c HTTP/1.1"),
        common.to_owned(),
        combined_line("GET http://shop.example/x HTTP/1.1"),
        format!("www.example.com:443 {}", combined_line("GET /v HTTP/1.1")),
        format!("www.example.com:8443 {}", combined_line("GET /v HTTP/1.1")),
        combined_line("-"),
        combined_line("OPTIONS * HTTP/1.0"),
    ];
    has(
        lines.join("\n"),
        &[
            "GET /a\"?b=c",
            "HEAD /apache_pb.gif",
            "GET shop.example /x",
            "GET www.example.com /v",
            "GET www.example.com:8443 /v",
            "Skipped(NoRequest)",
            "Skipped(NoRequest)",
        ],
    );
    let (found, unreadable) = all([combined_line("\\x16\\x03\\x01"), combined_line("GET /a HTTP/1.1")].join("\n"));
    assert_eq!((found.len(), unreadable.count), (1, 1));
}

#[test]
fn cloudfront_and_iis_logs_have_requests() {
    let lines = [
        cloudfront_line("GET", "/a%2520b%20c", "-"),
        cloudfront_line("POST", "/x", "a=%2522&100%25"),
        "2026-12-04\t21:02:31".to_owned(),
    ];
    let (found, unreadable) = all(CLOUDFRONT_HEAD.to_owned() + &lines.join("\n"));
    assert_eq!(found, ["GET www.example.com /a%20b%20c", "POST www.example.com /x?a=%22&100%25"]);
    let reason = "the line has fewer values than `#Fields:` has names";
    assert_eq!((unreadable.count, unreadable.first), (1, Some(format!("file:5: {reason}"))));
    has(
        "#Software: Microsoft Internet Information Services 10.0\n#Version: 1.0\n#Fields: date time cs-method cs-uri-stem cs-uri-query\n\
         2026-12-04 21:02:31 GET /default.aspx a=b\n",
        &["GET /default.aspx?a=b"],
    );
    assert_eq!(all("#Version: 1.0\n2026-12-04 21:02:31 GET /\n").1.count, 1);
}

const HAR: &str = r#"{ "log": { "version": "1.2", "creator": {"name": "x"}, "entries": [
    {"startedDateTime": "2026-12-04T00:00:00Z", "request": {"method": "GET", "url": "https://h/a?b=c", "httpVersion": "h2", "cookies":
     [{"name": "session", "value": "secret"}], "headers": [{"name": "Accept", "value": "text/html"}, {"name": "cookie", "value": "session=secret"},
     {"name": "Accept-Language", "value": "de"}, {"name": "Authorization", "value": "secret"}, {"name": "If-None-Match", "value": "x"},
     {"name": "X-Api-Key", "value": "secret"}, {"name": ":authority", "value": "h"}, {"name": "Accept-Encoding", "value": "bad\u0007"}]},
     "response": {"content": {"text": "…"}}},
    {"request": {"method": "POST", "url": "https://h/form", "headers": [], "postData": {"mimeType": "text/plain", "text": "a\nb"}}},
    {"request": {"method": "GET", "url": "blob:https://h/x", "headers": []}},
    {"request": {"method": "GET", "url": "nonsense"}}
]}}"#;

#[test]
fn a_har_file_has_harmless_fields_and_content() {
    let (mut found, mut unreadable) = (Vec::new(), Unreadable::default());
    read("a.har", HAR.as_bytes(), &mut unreadable, &mut |format, line| found.push((format, line))).unwrap();
    let [(Format::Har, Line::Request(page)), (_, Line::Request(form)), (_, Line::Skipped(Skip::OtherScheme))] =
        &found[..]
    else {
        panic!("{found:?}");
    };
    let fields: Vec<String> =
        page.fields.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
    assert_eq!(fields, ["accept: text/html", "accept-language: de"]);
    assert_eq!((form.fields["content-type"].to_str().unwrap(), &form.body[..]), ("text/plain", &b"a\nb"[..]));
    assert!(unreadable.first.unwrap().starts_with("a.har:1: entry 4: `nonsense` is neither"));
    for (cut, line) in [(HAR.split_at(HAR.len() - 9).0, 9), (r#"{"log": {"entries": [{"request": 3}]}}"#, 1)] {
        let (found, unreadable) = all(cut);
        assert_eq!((found.len(), unreadable.count), (0, 1));
        assert!(unreadable.first.as_ref().unwrap().starts_with(&format!("file:{line}: not ")), "{unreadable:?}");
    }
}

#[test]
fn a_comparison_log_has_what_differed() {
    let record = |method: &str, against: &str, verdict: &str, url: &str| {
        format!(
            r#"2026 INFO {{"type":"compare","version":1,"time":"2026-11-24T10:57:42Z","against":"{against}","request_id":"1","route":"a","method":"{method}","endpoint":"/","verdict":"{verdict}","primary":{{"backend":"legacy","status":200{url}}},"mirror":{{"backend":"modern"}}}}"#
        )
    };
    let lines = [
        r#"{"type":"access"}"#.to_owned(),
        record("GET", "mirror", "different", r#","url":"https://old.example/a?b=c""#),
        record("GET", "mirror", "match", ""),
        record("GET", "self", "different", r#","url":"https://old.example/a?b=c""#),
        record("POST", "mirror", "different", r#","url":"https://old.example/x""#),
        record("GET", "mirror", "different", r#","url":"https://old.example/a?b=***""#),
        record("GET", "mirror", "different", ""),
        r#"{"type":"compare","version":1}"#.to_owned(),
    ];
    let (found, unreadable) = all(lines.join("\n"));
    let (skipped, masked) = ("Skipped(NotDifferent)", "Skipped(Masked)");
    assert_eq!(found, ["GET old.example /a?b=c", skipped, "POST old.example /x", masked, masked]);
    assert!(unreadable.first.unwrap().starts_with("file:8: "));
}

#[test]
fn the_format_is_detected() {
    let comparison = r#"2026-11-24T10:57:42 {"type":"compare","version":1}"#;
    for (file, expected) in [
        (String::new(), Format::List),
        ("/a\n/b\n".into(), Format::List),
        ("GET /a\n".into(), Format::List),
        ("# [x] \"y\"\n/a".into(), Format::List),
        (format!("broken\n{}", alb_line("http", "GET http://h:80/ HTTP/1.1")), Format::Alb),
        (alb_line("https", "- https://h:443- -"), Format::Alb),
        (format!("broken\n{}", combined_line("GET / HTTP/1.1")), Format::Combined),
        (CLOUDFRONT_HEAD.into(), Format::W3c),
        (HAR.into(), Format::Har),
        (comparison.into(), Format::Comparisons),
        (format!("{{\"type\":\"access\"}}\n{comparison}"), Format::Comparisons),
    ] {
        assert_eq!(detect(file.as_bytes()), expected, "{file}");
    }
}

#[test]
fn compressed_files_are_read() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    std::io::Write::write_all(&mut encoder, b"/a\n/b\n").unwrap();
    has(encoder.finish().unwrap(), &["GET /a", "GET /b"]);
}

/// Windows PowerShell writes UTF-16 with `>`, and other tools a byte order mark.
#[test]
fn every_encoding_is_read() {
    let little = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
    let big = |text: &str| text.encode_utf16().flat_map(u16::to_be_bytes).collect::<Vec<u8>>();
    for text in ["# Gr\u{fc}\u{df}e\r\n/a\r\n/b\r\n", &combined_line("GET /a HTTP/1.1"), &cloudfront(), HAR] {
        let expected = all(text);
        assert!(!expected.0.is_empty());
        for encoded in [
            [b"\xef\xbb\xbf", text.as_bytes()].concat(),
            little(text),
            [b"\xff\xfe".to_vec(), little(text)].concat(),
            [b"\xfe\xff".to_vec(), big(text)].concat(),
        ] {
            assert_eq!(all(encoded), expected, "{text}");
        }
    }
}

fn cloudfront() -> String {
    format!("{CLOUDFRONT_HEAD}{}\n", cloudfront_line("GET", "/a", "-"))
}

/// Lines that are nearly right: pieces of real ones in any order.
fn pieces() -> impl Strategy<Value = Vec<u8>> {
    let piece = prop_oneof![
        prop::sample::select(vec![
            "GET ",
            "http://h:80",
            "https://",
            "/a",
            "?b=c",
            " HTTP/1.1",
            "\"",
            "\\x2",
            "\\xff",
            "\\",
            "[",
            "] \"",
            "-",
            " ",
            "\t",
            "\n",
            "\r\n",
            "#Fields: ",
            "cs-method ",
            "cs-uri-stem ",
            "cs-uri-query ",
            "%25",
            "%252",
            "@",
            ":",
            "{\"log\":",
            "{",
            "{\"type\":\"compare\",",
            "\"entries\":[",
            "\"request\":{",
            "}",
            "\u{feff}",
            "ws",
            "http ",
            "*",
        ])
        .prop_map(|text| text.as_bytes().to_vec()),
        Just(alb_line("http", "GET http://h:80/ HTTP/1.1").into_bytes()),
        Just(combined_line("GET / HTTP/1.1").into_bytes()),
        Just(CLOUDFRONT_HEAD.as_bytes().to_vec()),
        Just(cloudfront_line("GET", "/", "-").into_bytes()),
        prop::collection::vec(any::<u8>(), 0..20),
    ];
    prop::collection::vec(piece, 0..30).prop_map(|pieces| pieces.concat())
}

proptest! {
    #[test]
    fn no_file_is_a_panic_and_no_line_is_lost(file in pieces()) {
        let (found, unreadable) = all(&file);
        let lines = file.split(|byte| *byte == b'\n').count() as u64;
        if !matches!(detect(&file), Format::Har | Format::Comparisons) {
            prop_assert!(found.len() as u64 + unreadable.count <= lines);
        }
        prop_assert_eq!(unreadable.count > 0, unreadable.first.is_some());
    }

    #[test]
    fn no_line_is_a_panic_in_any_format(line in pieces()) {
        for format in [Format::List, Format::Alb, Format::Combined, Format::W3c] {
            let _ = parse(format, &line);
        }
        let mut columns = w3c::Columns::default();
        let _ = columns.parse(b"#Fields: cs-method cs-uri-stem cs-uri-query cs(Host)");
        let _ = columns.parse(&line);
    }
}
