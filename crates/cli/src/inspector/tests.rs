//! The inspector alone: thousands of notices at once, hostile messages, pairing. `tests/inspector.rs` tests it with real
//! processes.

use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use crossfade_emulator::{
    Action, Forward, Function, Messages, Redirect, Rule, RuleRef, Transformed, Transforms, Waiting, WeightedGroup,
};
use crossfade_event::HeaderMode;
use crossfade_rule::{Condition, Regex, Rewrite};
use crossfade_testkit::authority::Identity;
use crossfade_testkit::tls;
use http::{HeaderMap, HeaderName, HeaderValue};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

use super::*;
use crate::html::render;

const PATIENCE: Duration = Duration::from_secs(20);

async fn start() -> Inspector {
    start_with(Settings::forward_all(HeaderMode::Multi, Function::new("local", vec!["true".to_owned()])), false).await
}

async fn start_with(settings: Settings, show_secrets: bool) -> Inspector {
    let addresses = vec![SocketAddr::from(([127, 0, 0, 1], 9)); settings.listeners.len()];
    Inspector::start(Setup::new(&settings, true, show_secrets), &addresses, bind(Some(0)).await.unwrap()).unwrap()
}

fn exchange(method: &str, target: &str) -> Exchange {
    Exchange { status: 200, environment: Some(1), host: "shop.example".to_owned(), ..Exchange::new(method, target) }
}

fn tell(inspector: &Inspector, exchange: Exchange) {
    inspector.tell(&mut Notice::Exchange(Box::new(exchange)));
}

fn tell_line(inspector: &Inspector, line: &str) {
    inspector.tell(&mut Notice::FunctionLine {
        environment: 1,
        function: "local".into(),
        line: line.to_owned(),
        waiting: Waiting::default(),
    });
}

async fn open(inspector: &Inspector, target: &str) -> TcpStream {
    let mut stream = TcpStream::connect(inspector.shared.address).await.unwrap();
    let head = format!("GET {target} HTTP/1.1\r\nhost: {}\r\nconnection: close\r\n\r\n", inspector.shared.address);
    stream.write_all(head.as_bytes()).await.unwrap();
    stream
}

async fn get(inspector: &Inspector, target: &str) -> String {
    let mut text = String::new();
    timeout(PATIENCE, open(inspector, target).await.read_to_string(&mut text)).await.unwrap().unwrap();
    text
}

/// Waits until the store has counted this many requests.
async fn seen(inspector: &Inspector, count: u64) {
    let deadline = Instant::now() + PATIENCE;
    loop {
        let there = inspector.shared.store().part(|_| true, None, 0).seen;
        if there + inspector.shared.lost.load(Ordering::Relaxed) >= count {
            return;
        }
        assert!(Instant::now() < deadline, "{there} of {count}");
        sleep(Duration::from_millis(5)).await;
    }
}

/// Returns the data of a stream's events, up to the first that satisfies the condition.
async fn events(stream: &mut TcpStream, mut holds: impl FnMut(&serde_json::Value) -> bool) -> serde_json::Value {
    // Each event is a chunk of the transfer, so its lines are whole.
    let mut lines = tokio::io::BufReader::new(stream).lines();
    loop {
        let line = timeout(PATIENCE, lines.next_line()).await.unwrap().unwrap().expect("another event");
        if let Some(event) = line.strip_prefix("data: ") {
            let event = serde_json::from_str(event).unwrap();
            if holds(&event) {
                return event;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn thousands_at_once_are_sampled_and_counted() {
    let inspector = start().await;
    let known = format!("{}.0.0", inspector.shared.run);
    let mut stream = open(&inspector, &format!("/live?since={known}")).await;
    for number in 0..6000 {
        tell(&inspector, exchange("GET", &format!("/orders/{number}")));
        if number % 1000 == 0 {
            sleep(Duration::from_millis(20)).await;
        }
    }
    seen(&inspector, 6000).await;
    let lost = inspector.shared.lost.load(Ordering::Relaxed);
    // All are counted, kept or not.
    let mut rows = 0;
    let last = events(&mut stream, |event| {
        let count = event["rows"].as_array().unwrap().len();
        assert!(count <= live::MOST_ROWS, "a browser gets no more than it can show");
        rows += count;
        event["all"].as_u64().unwrap() == 6000
    })
    .await;
    assert!(rows > 0 && rows < 1000, "{rows}");
    assert!(last["seen"].as_str().unwrap().starts_with("6,000 seen, the last 1,000 kept"), "{last}");
    let page = get(&inspector, "/").await;
    assert!(page.contains("Showing <b id=\"shown\">200</b> of <b id=\"matching\">6,000</b>"), "{page}");
    assert_eq!(page.contains("came too fast"), lost > 0);
    // All kept requests can be reached without a script.
    assert!(page.contains("Older requests"), "{page}");
    let page = get(&inspector, "/?q=orders&method=POST").await;
    assert!(page.contains("None matches"));
    let page = get(&inspector, "/?q=5999").await;
    assert!(lost > 0 || page.contains("/orders/5999"), "{page}");
}

#[tokio::test]
async fn what_is_kept_is_bounded_in_bytes() {
    let inspector = start().await;
    for number in 0..40 {
        let mut big = exchange("POST", &format!("/{number}"));
        let body = Bytes::from(vec![b'a'; 4 * 1024 * 1024]);
        big.messages = Some(Box::new(Messages { request_body: body, ..Messages::default() }));
        tell(&inspector, big);
        seen(&inspector, number + 1).await;
    }
    let part = inspector.shared.store().part(|_| true, None, 100);
    assert_eq!((part.kept, part.entries[0].shown.target.as_str()), (16, "/39"));
    assert_eq!(inspector.shared.queued.load(Ordering::Relaxed), 0);
    assert!(get(&inspector, "/requests/1").await.starts_with("HTTP/1.1 404"));
    let page = get(&inspector, "/requests/40").await;
    assert!(page.contains("4.19 MB") && page.len() < 500_000, "{}", page.len());
}

/// Notices that are not processed, as on a busy machine, cost neither memory nor time.
#[tokio::test(flavor = "current_thread")]
async fn a_full_queue_counts_and_does_not_wait() {
    let inspector = start().await;
    for _ in 0..QUEUE + 500 {
        let mut big = exchange("POST", "/");
        let body = Bytes::from(vec![b'a'; 100_000]);
        big.messages = Some(Box::new(Messages { request_body: body, ..Messages::default() }));
        tell(&inspector, big);
    }
    assert_eq!(inspector.shared.lost.load(Ordering::Relaxed), 500);
    assert!(inspector.shared.queued.load(Ordering::Relaxed) <= QUEUED_BYTES);
    seen(&inspector, QUEUE as u64 + 500).await;
    assert!(get(&inspector, "/").await.contains("4,596 seen, the last 1,000 kept, 500 skipped: too many at once"));
}

/// The same for lines of a function, which can be as long as a record.
#[tokio::test(flavor = "current_thread")]
async fn lines_are_bounded_in_bytes_and_counted() {
    let inspector = start().await;
    let long = compare("r", &"x".repeat(1_000_000));
    for _ in 0..100 {
        tell_line(&inspector, &long);
    }
    let queued = inspector.shared.queued.load(Ordering::Relaxed);
    assert!(queued <= QUEUED_BYTES, "{queued}");
    let kept = queued / long.len();
    assert_eq!(inspector.shared.lost_lines.load(Ordering::Relaxed), 100 - kept as u64);
    while inspector.shared.queued.load(Ordering::Relaxed) > 0 {
        sleep(Duration::from_millis(5)).await;
    }
    // The store has a separate bound, for lines that arrive one by one.
    for number in 1..=200 {
        let id = number.to_string();
        tell(&inspector, Exchange { request_id: Some(id.clone()), ..exchange("GET", "/") });
        for _ in 0..2 {
            tell_line(&inspector, &compare(&id, &"x".repeat(1_000_000)));
        }
        seen(&inspector, number).await;
    }
    let part = inspector.shared.store().part(|_| true, None, 1000);
    let lines: usize = part.entries.iter().map(|entry| entry.comparisons.len()).sum();
    assert!((1..=store::MOST_BYTES / 1_000_000).contains(&lines), "{lines}");
    assert_eq!(inspector.shared.queued.load(Ordering::Relaxed), 0);
    let page = get(&inspector, "/").await;
    assert!(page.contains(&format!("{} log lines skipped", 100 - kept)), "{page}");
}

/// Numbers in a log line that no request can have.
#[tokio::test]
async fn numbers_of_lines_may_be_anything() {
    let inspector = start().await;
    let request = |id: &str| Exchange { request_id: Some(id.to_owned()), ..exchange("GET", "/a") };
    let odd = [
        ("12.5", "1e308"),
        ("12.5", "-1e308"),
        ("2.0", "1e308"),
        ("2.0", "1e300"),
        ("10.0", "-0.0"),
        ("2.5", "1e308"),
        ("12.5", "1e999"),
    ];
    for (number, (usual, odd)) in (1..).zip(odd) {
        let id = format!("r{number}");
        tell(&inspector, request(&id));
        let journal = format!(
            r#""attempts":2,"journal":[{{"backend":"legacy","role":"first","outcome":"200","began_ms":{odd},"took_ms":{odd}}}]"#
        );
        tell_line(&inspector, &access(&id, "/a").replace(usual, odd).replace(r#""attempts":2"#, &journal));
        tell_line(&inspector, &compare(&id, "/a").replace(usual, odd));
        tell_line(
            &inspector,
            &compare(&id, "/a").replace(r#""status":200"#, r#""status":65535,"bytes":18446744073709551615"#),
        );
        tell_line(&inspector, &compare(&id, "/a").replace("2026-11-24", "9999-12-31"));
        seen(&inspector, number).await;
        sleep(Duration::from_millis(20)).await;
        let page = get(&inspector, &format!("/requests/{number}")).await;
        assert!(page.starts_with("HTTP/1.1 200") && page.ends_with("</html>\n"), "{odd}: {page}");
        assert!(!page.contains("NaN") && !page.contains("=\"inf"), "{odd}: {page}");
    }
}

/// The page shows a part of a body with many values, and says so.
#[tokio::test]
async fn a_page_has_a_part_of_what_is_long_and_says_so() {
    let inspector = start().await;
    let body = Bytes::from(format!("[{}]", vec!["1"; 400_000].join(",")));
    let event = serde_json::json!({ "body": String::from_utf8(body.to_vec()).unwrap() }).to_string();
    let differences: Vec<String> =
        (0..5000).map(|number| format!(r#"{{"class":"value","pointer":"/{number}"}}"#)).collect();
    let messages = Messages {
        request_body: body.clone(),
        response_body: body,
        event: Some(event.clone().into()),
        reply: Some(event.into()),
        ..Messages::default()
    };
    let request_id = Some("one".to_owned());
    tell(&inspector, Exchange { request_id, messages: Some(Box::new(messages)), ..exchange("POST", "/a") });
    tell_line(
        &inspector,
        &compare("one", "/a")
            .replace(r#"{"class":"value","pointer":"/a","primary":"1","mirror":"2"}"#, &differences.join(",")),
    );
    seen(&inspector, 1).await;
    sleep(Duration::from_millis(100)).await;
    let page = get(&inspector, "/requests/1").await;
    assert!(page.len() < 2_000_000, "{}", page.len());
    assert_eq!(page.matches("values more, not shown.").count(), 2, "{}", page.len());
    assert!(page.contains("4,800 more are not shown"));
    assert!(page.contains("@BODY_FILE"));
}

fn access(request_id: &str, path: &str) -> String {
    format!(
        r#"{{"type":"access","time":"2026-11-24T10:57:42.123Z","request_id":"{request_id}","method":"GET","path":"{path}","route":"orders",
        "backend":"legacy","chosen":"weight","skipped":[{{"backend":"modern","outcome":"503"}}],"status":200,"total_ms":12.5,
        "connect_ms":2.0,"first_byte_ms":10.0,"attempts":2}}"#
    )
}

fn compare(request_id: &str, pointer: &str) -> String {
    format!(
        r#"{{"type":"compare","version":1,"time":"2026-11-24T10:57:42.123Z","against":"mirror","request_id":"{request_id}",
        "route":"orders","method":"GET","endpoint":"/orders/{{id}}","verdict":"different","differences":[
        {{"class":"value","pointer":"{pointer}","primary":"1","mirror":"2"}}],"primary":{{"backend":"legacy","status":200,"ms":1.5}},
        "mirror":{{"backend":"modern","status":200,"ms":2.5,"url":"/orders/1?token=t0p"}}}}"#
    )
}

#[tokio::test]
async fn lines_find_their_request_whichever_comes_first() {
    let inspector = start().await;
    // By the request id: the line early, the record late.
    tell_line(&inspector, &access("one", "/a"));
    tell(&inspector, Exchange { request_id: Some("one".to_owned()), ..exchange("GET", "/a") });
    tell_line(&inspector, &compare("one", "/total"));
    // The record before the line.
    tell(&inspector, Exchange { request_id: Some("two".to_owned()), ..exchange("GET", "/b?q") });
    tell_line(&inspector, &compare("two", "/user/password"));
    tell_line(&inspector, &access("two", "/b"));
    // A line and a request that belong to no other.
    tell_line(&inspector, &access("three", "/c"));
    tell(&inspector, exchange("GET", "/d"));
    seen(&inspector, 3).await;
    sleep(Duration::from_millis(50)).await;
    for (id, pointer) in [(1, "/total"), (2, "/user/password")] {
        let page = get(&inspector, &format!("/requests/{id}")).await;
        for part in [
            pointer,
            "chosen by weight",
            "Wait for the first byte",
            ">differs<",
            "modern",
            "12 ms",
            "2 attempts, 0 of them retries",
        ] {
            assert!(page.contains(part), "{part}: {page}");
        }
        assert!(!page.contains("t0p"), "a secret in the query of a comparison");
        assert_eq!(page.contains("<td><code>1</code></td>"), id == 1, "the value at a pointer to a secret: {page}");
    }
    assert!(!get(&inspector, "/requests/3").await.contains("legacy"));
    assert!(get(&inspector, "/?q=is:differs+backend:legacy").await.contains("of <b id=\"matching\">2</b>"));
    assert!(get(&inspector, "/?q=-is:differs").await.contains("of <b id=\"matching\">1</b>"));
}

/// A request with several attempts has a table of them, in order. Lines of version 1 have none, and the page then has no table.
#[tokio::test]
async fn a_page_shows_every_attempt() {
    let inspector = start().await;
    let journal = r#""attempts":2,"journal":[
        {"backend":"modern","role":"first","outcome":"connection_refused","began_ms":0.5,"took_ms":1.5},
        {"backend":"modern","role":"retry","outcome":"503","connect_ms":2.0,"first_byte_ms":150.0,"began_ms":101.0,"took_ms":50.0},
        {"backend":"legacy","role":"failover","outcome":"200","first_byte_ms":171.0,"began_ms":152.0,"took_ms":20.0}]"#;
    for (id, line) in [
        (
            "one",
            access("one", "/a")
                .replace(r#""attempts":2"#, journal)
                .replace(r#""first_byte_ms":10.0"#, r#""first_byte_ms":171.0"#),
        ),
        ("two", access("two", "/b")),
        ("three", access("three", "/c").replace(r#""attempts":2"#, &journal.replace("legacy", "</td><b>"))),
    ] {
        tell(&inspector, Exchange { request_id: Some(id.to_owned()), ..exchange("GET", "/a") });
        tell_line(&inspector, &line);
    }
    seen(&inspector, 3).await;
    sleep(Duration::from_millis(50)).await;
    let page = get(&inspector, "/requests/1").await;
    let table = page.split(r#"<table id="attempts">"#).nth(1).and_then(|rest| rest.split("</table>").next());
    let rows: Vec<Vec<String>> =
        table.unwrap_or_else(|| panic!("no table: {page}")).split("<tr>").skip(2).map(cells).collect();
    assert_eq!(
        rows,
        [
            ["modern", "first", "connection_refused", "0.5 ms", "", "", "1.5 ms"],
            ["modern", "retry", "503", "101 ms", "2.0 ms", "150 ms", "50 ms"],
            ["legacy", "failover", "200", "152 ms", "", "171 ms", "20 ms"],
        ]
    );
    // The chart has the times of the attempt that decided: it began at 152 ms and took 2 ms to connect.
    for (part, time) in [("Earlier attempts", "152 ms"), ("Wait for the first byte", "17 ms")] {
        let row = format!("<th scope=\"row\">{part}</th><td class=\"number\">{time}</td>");
        assert!(page.contains(&row), "{row}: {page}");
    }
    assert!(!get(&inspector, "/requests/2").await.contains("id=\"attempts\""));
    assert!(get(&inspector, "/requests/3").await.contains("&lt;/td&gt;&lt;b&gt;"));
}

/// The texts of a row's cells.
fn cells(row: &str) -> Vec<String> {
    let (cells, _) = row.split_once("</tr>").unwrap();
    let cells = cells.replace("</th>", "</td>");
    cells.split_terminator("</td>").map(|cell| cell.rsplit_once('>').unwrap().1.to_owned()).collect()
}

const HOSTILE: &str =
    "</script></style></pre></title>\"'><script>alert(1)</script><img src=x onerror=alert(1)>\u{202e}\u{1b}[2J";

/// No part of a message becomes markup.
#[tokio::test]
async fn hostile_messages_stay_text() {
    let mut settings = Settings::forward_all(HeaderMode::Multi, Function::new("local", vec!["true".to_owned()]));
    settings.listeners[0].rules.push(Rule {
        priority: 10,
        conditions: vec![
            Condition::path(["/x*"]).unwrap(),
            Condition::header("x-evil", ["</script><script>alert(1)</script>"]).unwrap(),
            Condition::query([(Some("a"), "b")]).unwrap(),
        ],
        transforms: Default::default(),
        action: Action::status(http::StatusCode::OK),
        origin: HOSTILE.to_owned(),
    });
    let inspector = start_with(settings, true).await;
    let mut fields = HeaderMap::new();
    let value = HeaderValue::from_bytes(HOSTILE.replace('\u{1b}', "").as_bytes()).unwrap();
    fields.insert("x-evil", value.clone());
    fields.insert(HeaderName::from_static("content-type"), HeaderValue::from_static("application/json"));
    let json =
        serde_json::json!({ HOSTILE: [HOSTILE, { "body": HOSTILE }], "body": HOSTILE, "headers": { "x": HOSTILE } });
    let body = Bytes::from(json.to_string());
    let hostile = Exchange {
        host: HOSTILE.to_owned(),
        user_agent: HOSTILE.to_owned(),
        trace_id: HOSTILE.to_owned(),
        function: Some(HOSTILE.to_owned()),
        target_group: Some(HOSTILE.to_owned()),
        redirect: Some(HOSTILE.to_owned()),
        problem: Some(HOSTILE.to_owned()),
        elb_reason: Some(HOSTILE.to_owned()),
        warnings: vec![HOSTILE.to_owned()],
        skipped: vec![(10, 1)],
        request_id: Some("one".to_owned()),
        messages: Some(Box::new(Messages {
            request_fields: fields.clone(),
            request_body: body.clone(),
            event: Some(body.clone()),
            reply: Some(Bytes::from(HOSTILE)),
            response_fields: fields,
            response_body: Bytes::from(HOSTILE),
        })),
        ..exchange(HOSTILE, &format!("/{HOSTILE}?{HOSTILE}"))
    };
    tell(&inspector, hostile);
    let quoted = serde_json::Value::from(HOSTILE).to_string();
    let quoted = quoted.trim_matches('"');
    tell_line(
        &inspector,
        &access("one", quoted).replace("legacy", quoted).replace("weight", quoted).replace("503", quoted),
    );
    tell_line(&inspector, &compare("one", quoted).replace("legacy", quoted).replace("modern", quoted));
    seen(&inspector, 1).await;
    sleep(Duration::from_millis(50)).await;
    let hostile = filter::Filter::parse(&format!("q=%3C{HOSTILE}&method={HOSTILE}&status={HOSTILE}&rule={HOSTILE}"));
    let live = render(list::row(&inspector.shared, inspector.shared.store().get(1).unwrap()));
    let pages = [
        get(&inspector, "/").await,
        get(&inspector, "/requests/1").await,
        render(list::page(&inspector.shared, &hostile, None)),
        live,
    ];
    pages.iter().for_each(|page| is_all_text(page));
    assert!(pages[1].contains("the request has <code>&lt;/script&gt;"), "{}", pages[1]);
}

/// The page contains the foreign text, but not as markup, an attribute or the target of a link.
fn is_all_text(page: &str) {
    assert!(page.contains("&lt;img src=x onerror"), "{page}");
    for raw in ["<script>alert", "<img", "onerror=alert(1)>", "\u{202e}", "\u{1b}", "\"'>"] {
        assert!(!page.contains(raw), "{raw}: {page}");
    }
    for part in page.split("href=\"").skip(1) {
        assert!(part.starts_with(['/', '#']), "a link elsewhere: {part}");
    }
    for part in page.split(" action=\"").skip(1) {
        assert!(part.starts_with('/'), "a form for elsewhere: {part}");
    }
}

/// The same for text from files with listener rules: names, transforms and the targets of redirects.
#[tokio::test]
async fn hostile_settings_stay_text() {
    let redirect = Redirect {
        protocol: "javascript".to_owned(),
        host: HOSTILE.to_owned(),
        port: String::new(),
        path: HOSTILE.to_owned(),
        query: HOSTILE.to_owned(),
        status: http::StatusCode::FOUND,
    };
    let group = |weight| WeightedGroup { group: 0, weight };
    let several = Forward { targets: vec![group(1), group(2)], stickiness: Some(Duration::from_secs(60)) };
    for action in [Action::forward_to(0), Action::Forward(several), Action::Redirect(redirect)] {
        let function = Function::new(HOSTILE, vec!["true".to_owned()]);
        let mut settings = Settings::forward_all(HeaderMode::Multi, function);
        settings.target_groups[0].name = HOSTILE.to_owned();
        settings.listeners[0].name = HOSTILE.to_owned();
        let regex = || Regex::new("<script>alert.1.</script>(\"'>)").unwrap();
        let rewrite = || Some(Rewrite::new(regex(), HOSTILE).unwrap());
        settings.listeners[0].rules.push(Rule {
            priority: 10,
            conditions: vec![Condition::header("x-a", ["\"'><script>alert*"]).unwrap()],
            transforms: Transforms { url: rewrite(), host: rewrite() },
            action,
            origin: HOSTILE.to_owned(),
        });
        let inspector = start_with(settings, true).await;
        let transformed =
            Transformed { host: Some(HOSTILE.to_owned()), uri: Some(HOSTILE.to_owned()), status: "TransformSuccess" };
        let rule = RuleRef::Priority(10);
        let target = format!("javascript:{HOSTILE}");
        tell(&inspector, Exchange { rule, transformed: Some(transformed), ..exchange("GET", &target) });
        seen(&inspector, 1).await;
        let page = get(&inspector, "/requests/1").await;
        is_all_text(&page);
        assert!(page.contains("Host rewrite") && page.contains("Became"), "{page}");
        is_all_text(&get(&inspector, "/").await);
    }
}

/// Each place that can contain a secret, with and without `--show-secrets`.
#[tokio::test]
async fn secrets_are_masked_unless_asked_for() {
    for show in [false, true] {
        let settings = Settings::forward_all(HeaderMode::Multi, Function::new("local", vec!["true".to_owned()]));
        let inspector = start_with(settings, show).await;
        let mut fields = HeaderMap::new();
        for (name, value) in [
            ("authorization", "Bearer s3cret-a"),
            ("cookie", "session=s3cret-b; theme=s3cret-c"),
            ("set-cookie", "id=s3cret-d; Path=/"),
            ("x-api-key", "s3cret-e"),
            ("content-type", "application/json"),
            ("location", "/next?access_token=s3cret-f"),
        ] {
            fields.insert(name, HeaderValue::from_static(value));
        }
        let body = Bytes::from_static(br#"{"user":"ann","password":"s3cret-g","nested":{"apiKey":["s3cret-h"]}}"#);
        let event = serde_json::json!({
            "path": "/a", "queryStringParameters": { "token": "s3cret-i", "q": "1" },
            "multiValueHeaders": { "cookie": ["session=s3cret-j"], "content-type": ["application/json"] },
            "isBase64Encoded": false, "body": "{\"password\":\"s3cret-k\"}",
        });
        let mut secretive = exchange("POST", "/a?token=s3cret-l&q=1");
        secretive.redirect = Some("https://a.example/?token=s3cret-m".to_owned());
        secretive.problem = Some("no use: password=s3cret-n".to_owned());
        secretive.messages = Some(Box::new(Messages {
            request_fields: fields.clone(),
            request_body: body.clone(),
            event: Some(Bytes::from(event.to_string())),
            reply: Some(Bytes::from_static(br#"{"headers":{"set-cookie":"a=s3cret-o"},"body":"token: s3cret-p"}"#)),
            response_fields: fields,
            response_body: body,
        }));
        tell(&inspector, secretive);
        seen(&inspector, 1).await;
        let (list, detail) = (get(&inspector, "/").await, get(&inspector, "/requests/1").await);
        for secret in 'a'..='p' {
            let secret = format!("s3cret-{secret}");
            assert_eq!(detail.contains(&secret), show, "{secret}: {detail}");
            assert!(show || !list.contains(&secret), "{secret}: {list}");
        }
        assert_eq!(list.contains("secrets are hidden"), !show);
        // The filter does not find masked values either.
        assert_eq!(get(&inspector, "/?q=s3cret-l").await.contains("None matches"), !show);
        if !show {
            for part in
                ["Bearer ***", "session=***; theme=***", "id=***; Path=/", "Bearer REPLACE_ME", "token=REPLACE_ME"]
            {
                assert!(detail.contains(part), "{part}: {detail}");
            }
        }
    }
}

#[tokio::test]
async fn a_rule_says_why_it_was_passed_over() {
    let mut settings = Settings::forward_all(HeaderMode::Multi, Function::new("local", vec!["true".to_owned()]));
    let rule = |priority, conditions| Rule {
        priority,
        conditions,
        transforms: Default::default(),
        action: Action::forward_to(0),
        origin: String::new(),
    };
    settings.listeners[0].rules = vec![
        rule(20, vec![Condition::path(["/orders/*"]).unwrap()]),
        rule(
            10,
            vec![
                Condition::path(["/orders/*"]).unwrap(),
                Condition::method(["POST"]).unwrap(),
                Condition::host(["a.example"]).unwrap(),
            ],
        ),
        rule(30, vec![Condition::path(["/never"]).unwrap()]),
    ];
    let inspector = start_with(settings, false).await;
    let rule = RuleRef::Priority(20);
    tell(
        &inspector,
        Exchange { rule, skipped: vec![(10, 1)], time: SystemTime::UNIX_EPOCH, ..exchange("GET", "/orders/1") },
    );
    seen(&inspector, 1).await;
    let page = get(&inspector, "/requests/1").await;
    let rows: Vec<&str> = page.split("<tr>").filter(|row| row.contains("class=\"outcome")).collect();
    for (row, parts) in rows.iter().zip([
        ["path is /orders/*", "holds"],
        ["method is POST", "does not hold"],
        ["host is a.example", "not evaluated"],
        ["path is /orders/*", "holds"],
    ]) {
        assert!(parts.iter().all(|part| row.contains(part)), "{row}");
    }
    assert_eq!(rows.len(), 4, "{page}");
    assert!(page.contains("<small>the request has <code>GET</code></small>"), "{page}");
    assert!(page.contains("2 of 3 rules evaluated") && page.contains("forward to target group <b>local</b>"), "{page}");
    assert!(page.contains("<time datetime=\"1970-01-01T00:00:00.000Z\""));
}

/// A page of an earlier run must reload.
#[tokio::test]
async fn the_events_of_another_run_are_no_continuation() {
    let inspector = start().await;
    for since in ["", "other.1.1", "1"] {
        let told = get(&inspector, &format!("/live?since={since}")).await;
        assert!(told.contains("event: restart"), "{told}");
    }
}

/// A replay to an HTTPS listener accepts only the listener's own certificate.
#[tokio::test]
async fn a_replay_goes_to_the_listeners_own_certificate() {
    let [own, other] = [0, 1].map(|_| Identity::self_signed(&["a.example"]));
    let acceptor = tokio_rustls::TlsAcceptor::from(tls::server(&own, rustls::DEFAULT_VERSIONS, None, &[]));
    for (pem, is_own) in [(own.pem(), true), (other.pem(), false)] {
        let socket = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = socket.local_addr().unwrap();
        let mut settings = Settings::forward_all(HeaderMode::Multi, Function::new("local", vec!["true".to_owned()]));
        settings.listeners[0].tls = Some(crossfade_emulator::Tls { certificate_pem: pem, ..Default::default() });
        let setup = Setup::new(&settings, false, false);
        let inspector = Inspector::start(setup, &[address], bind(Some(0)).await.unwrap()).unwrap();
        tell(&inspector, Exchange { messages: Some(Box::default()), ..exchange("GET", "/a//b?c") });
        seen(&inspector, 1).await;
        let entry = inspector.shared.store().get(1).unwrap().clone();
        let served = async {
            let (stream, peer) = socket.accept().await.unwrap();
            let mut stream = acceptor.accept(stream).await.ok()?;
            let mut request = vec![0; 4096];
            let read = stream.read(&mut request).await.unwrap();
            tell(&inspector, Exchange { client: Some(peer), ..exchange("GET", "/again") });
            Some(String::from_utf8_lossy(&request[..read]).into_owned())
        };
        let (replayed, request) =
            timeout(PATIENCE, async { tokio::join!(replay::replay(&inspector.shared, &entry), served) }).await.unwrap();
        if is_own {
            assert_eq!(replayed.unwrap(), Some(2));
            assert_eq!(request.unwrap(), "GET /a//b?c HTTP/1.1\r\nhost: shop.example\r\nconnection: close\r\n\r\n");
        } else {
            let told = format!("{:#}", replayed.unwrap_err());
            assert!(told.contains("not the listener's certificate"), "{told}");
            assert_eq!(request, None);
        }
    }
}
