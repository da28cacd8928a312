//! Copies of requests: what the other back end gets, what never happens to the client's own request, and what is
//! recorded.

use std::time::Duration;

use crossfade_proxy::Proxy;
use http::Method;
use serde_json::json;

use crate::support::{self, Answer, Origin, Tls, ask, ask_later, ask_within, closed_port, config, get, request};

const LEGACY: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 27\r\n\r\n{\"id\": 7, \"total\": \"19.90\"}";
const MODERN: &str =
    "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: 25\r\n\r\n{\"id\": 7, \"total\": 19.90}";
const BROKEN: &str = "HTTP/1.1 500 Oops\r\ncontent-length: 4\r\n\r\noops";

/// `legacy` answers, `modern` gets copies.
fn mirrored(legacy: &str, modern: &str, mirror: &str, ca_pems: &[&[u8]]) -> Proxy {
    config(
        &format!(
            "backends:\n  legacy: {{ url: '{legacy}' }}\n  modern: {{ url: '{modern}', outlier: {{ failures: 2, for: 60s }}, \
             retry: {{ attempts: 2, codes: [500], backoff: 10ms }} }}\ndefault:\n  forward: legacy\n  mirror: {{ backend: modern, \
             percent: 100, {mirror} }}\n"
        ),
        ca_pems,
    )
}

async fn pair(legacy: &'static str, modern: &'static str, mirror: &str) -> (Proxy, Origin, Origin) {
    let (legacy, modern) = (Origin::answering(Tls::Good, legacy).await, Origin::answering(Tls::Good, modern).await);
    let proxy = mirrored(&legacy.url(), &modern.url(), mirror, &[&legacy.ca_pem, &modern.ca_pem]);
    (proxy, legacy, modern)
}

/// Never answers.
async fn mute() -> Origin {
    Origin::start(Tls::Plain, |mut conn| async move {
        conn.request().await;
        std::future::pending::<()>().await;
    })
    .await
}

fn only(answer: &Answer) -> &serde_json::Value {
    assert_eq!(answer.comparisons.len(), 1, "{:?}", answer.comparisons);
    &answer.comparisons[0]
}

#[tokio::test]
async fn both_answers_are_compared_and_the_client_gets_the_first() {
    let (proxy, ..) = pair(LEGACY, MODERN, "").await;
    let answer = ask(&proxy, get("/orders/42?token=secret&flag")).await;
    assert_eq!((answer.status, &answer.body[..]), (200, &br#"{"id": 7, "total": "19.90"}"#[..]));
    let record = only(&answer);
    for (member, value) in [
        ("type", json!("compare")),
        ("version", json!(2)),
        ("against", json!("mirror")),
        ("request_id", json!("8476a536-e9f4-11e8-9739-2dfe598c3fcd")),
        ("route", json!("default")),
        ("method", json!("GET")),
        ("endpoint", json!("/orders/{id}")),
        ("verdict", json!("different")),
    ] {
        assert_eq!(record[member], value, "{record}");
    }
    let [difference] = &record["differences"].as_array().unwrap()[..] else { panic!("{record}") };
    assert_eq!((&difference["class"], &difference["pointer"]), (&json!("type"), &json!("/total")));
    for (side, backend) in [("primary", "legacy"), ("mirror", "modern")] {
        assert_eq!((&record[side]["backend"], &record[side]["status"]), (&json!(backend), &json!(200)));
        assert!(record[side]["ms"].as_f64().unwrap() > 0.0);
        let url = record[side]["url"].as_str().unwrap();
        assert!(url.starts_with("https://localhost:") && url.ends_with("/orders/42?token=***&***"), "{url}");
    }
    assert!(!record.to_string().contains("secret") && !record.to_string().contains("19.9"), "{record}");
}

#[tokio::test]
async fn values_are_kept_where_the_configuration_says_so() {
    let (proxy, ..) = pair(LEGACY, MODERN, "compare: { keepValues: true }").await;
    let answer = ask(&proxy, get("/a?x=1")).await;
    let record = only(&answer);
    assert_eq!(record["differences"][0]["primary"], json!("\"19.90\""), "{record}");
    assert!(record["primary"]["url"].as_str().unwrap().ends_with("/a?x=1"));
}

/// Enough to repeat the request, and nothing that identifies its client.
#[tokio::test]
async fn fields_that_responses_depend_on_are_kept() {
    let long = "x".repeat(300);
    for (rules, kept) in [
        ("", json!({ "accept": "text/html", "range": "bytes=0-9" })),
        (
            "compare: { keepValues: true }",
            json!({ "accept": "text/html", "if-none-match": "\"7\"", "range": "bytes=0-9" }),
        ),
    ] {
        let (proxy, ..) = pair(LEGACY, MODERN, rules).await;
        let mut request = get("/a");
        for (name, value) in [
            ("accept", "text/html"),
            ("range", "bytes=0-9"),
            ("if-none-match", "\"7\""),
            ("accept-language", long.as_str()),
            ("cookie", "session=secret"),
            ("authorization", "Bearer secret"),
        ] {
            request.headers_mut().insert(name, value.parse().unwrap());
        }
        let answer = ask(&proxy, request).await;
        let record = only(&answer);
        assert_eq!(record["primary"]["fields"], kept, "{record}");
        assert!(record["mirror"]["fields"].is_null() && !record.to_string().contains("secret"), "{record}");
    }
}

#[tokio::test]
async fn rules_may_hold_for_some_endpoints() {
    let (proxy, ..) = pair(LEGACY, MODERN, "compare: { rules: [{ endpoints: /orders/**, ignore: /total }] }").await;
    for (path, verdict) in [("/orders/7?x", "match"), ("/carts/7", "different")] {
        assert_eq!(only(&ask(&proxy, get(path)).await)["verdict"], verdict, "{path}");
    }
}

#[tokio::test]
async fn writes_are_copied_only_where_named() {
    let body = "x=1";
    let post = || request(Method::POST, "/a", &[("host", "www.example.com")], body);
    let (proxy, _, modern) = pair(LEGACY, LEGACY, "").await;
    assert!(ask(&proxy, post()).await.comparisons.is_empty());
    assert!(modern.requests().is_empty());
    let (proxy, legacy, modern) =
        pair(LEGACY, LEGACY, "methods: [POST], compare: { noise: { selfCompare: 100 } }").await;
    assert_eq!(only(&ask(&proxy, post()).await)["verdict"], "match");
    assert!(modern.requests()[0].ends_with("\n\nx=1"));
    assert_eq!(legacy.requests().len(), 1, "a write is not repeated to learn about noise");
}

#[tokio::test]
async fn a_copy_is_marked_and_has_no_credentials_unless_allowed() {
    let asked = || {
        let fields = [
            ("host", "www.example.com"),
            ("authorization", "Bearer a"),
            ("cookie", "session=b"),
            ("x-amzn-oidc-data", "c"),
            ("x-crossfade-mirror", "1"),
            ("accept", "*/*"),
        ];
        request(Method::GET, "/a", &fields, "")
    };
    let names = |request: &str| -> Vec<String> {
        let names = ["authorization", "cookie", "x-amzn-oidc-data", "x-crossfade-mirror", "accept"];
        let has = |name: &&&str| request.lines().any(|line| line.starts_with(&format!("{name}: ")));
        names.iter().filter(has).map(|name| (*name).to_owned()).collect()
    };
    for (mirror, expected, withheld) in [
        ("", &["x-crossfade-mirror", "accept"][..], true),
        ("credentials: true", &["authorization", "cookie", "x-amzn-oidc-data", "x-crossfade-mirror", "accept"], false),
        ("credentials: [cookie]", &["cookie", "x-crossfade-mirror", "accept"], true),
        (
            "requestHeaders: { set: { authorization: own }, remove: accept }",
            &["authorization", "x-crossfade-mirror"],
            true,
        ),
    ] {
        let (proxy, legacy, modern) = pair(LEGACY, LEGACY, mirror).await;
        let answer = ask(&proxy, asked()).await;
        assert_eq!(names(&modern.requests()[0]), expected, "{mirror}");
        assert_eq!(names(&legacy.requests()[0]), ["authorization", "cookie", "x-amzn-oidc-data", "accept"], "{mirror}");
        assert_eq!(only(&answer)["credentials_withheld"].as_bool().unwrap_or_default(), withheld, "{mirror}");
        assert!(!answer.fields.contains_key("x-crossfade-mirror"));
    }
    let (proxy, ..) = pair(LEGACY, LEGACY, "").await;
    assert!(only(&ask(&proxy, get("/a")).await)["credentials_withheld"].is_null(), "there were none");
}

#[tokio::test] // the mirror is another system
async fn credentials_are_withheld_under_every_name() {
    let names = [
        "private-token",
        "apikey",
        "x-vault-token",
        "x-id-token",
        "dpop",
        "cf-access-jwt-assertion",
        "x-goog-iap-jwt-assertion",
        "ocp-apim-subscription-key",
        "x-functions-key",
        "x-forwarded-client-cert",
        "x-amzn-mtls-clientcert",
        "x-session-id",
        "signature",
        "x_api_key",
        "x_amzn_oidc_data",
        "x.auth.token",
        "remote_user",
        "x-arr-clientcert",
        "x-ssl-client-s-dn",
        "x-oauth2",
        "authentication",
        "appkey",
        "x-licensekey",
        "x-2fa-code",
        "x-wsse",
        "sid",
        "x-sig",
        "x-ms-client-principal-id",
        "x-goog-authenticated-user-id",
        "x-authentik-username",
        "sm_user",
        "iv-user",
        "x-forwarded-preferred-username",
        "x-webauth-user",
    ];
    let harmless = [
        "idempotency-key",
        "accept-language",
        "x-customer-segment",
        "user-agent",
        "x-passenger-count",
        "x-keyboard",
        "x-forwarded-proto",
        "x-inside",
        "content-type",
        "if-none-match",
    ];
    let fields: Vec<_> = names.iter().chain(&harmless).map(|name| (*name, "1")).collect();
    let (proxy, legacy, modern) = pair(LEGACY, LEGACY, "").await;
    ask(&proxy, request(Method::GET, "/a", &fields, "")).await;
    let sent = &modern.requests()[0];
    let has = |name: &&str| sent.lines().any(|line| line.starts_with(&format!("{name}: ")));
    assert_eq!(names.iter().copied().filter(has).collect::<Vec<_>>(), [""; 0]);
    assert_eq!(harmless.iter().copied().filter(has).collect::<Vec<_>>(), harmless);
    assert!(legacy.requests()[0].contains("\nprivate-token: 1"), "they are the primary's");
}

#[tokio::test]
async fn a_mirror_that_fails_is_neither_retried_nor_felt() {
    let closed = format!("https://127.0.0.1:{}", closed_port());
    let legacy = Origin::answering(Tls::Good, LEGACY).await;
    let proxy = mirrored(&legacy.url(), &closed, "", &[&legacy.ca_pem]);
    let mut seen = Vec::new();
    for _ in 0..4 {
        let answer = ask(&proxy, get("/a")).await;
        assert_eq!((answer.status, &answer.record["attempts"]), (200, &json!(1)));
        let record = only(&answer);
        seen.push((record["verdict"].clone(), record["mirror"]["error"].clone(), record["reason"].clone()));
    }
    let refused = (json!("different"), json!("connection_refused"), json!(null));
    let down = (json!("lost"), json!(null), json!("open"));
    // The repeated request counts as well.
    assert_eq!(seen, [refused, down.clone(), down.clone(), down]);

    let (proxy, _, modern) = pair(LEGACY, BROKEN, "").await;
    let answer = ask(&proxy, get("/a")).await;
    assert_eq!(answer.status, 200);
    assert_eq!(only(&answer)["differences"], json!([{ "class": "status", "pointer": "status", "repeated": "same" }]));
    assert_eq!(modern.requests().len(), 2, "`retry` is for requests that someone waits for");
}

#[tokio::test]
async fn failing_copies_do_not_take_the_back_end_down_for_requests() {
    let broken = Origin::start(Tls::Plain, |mut conn| async move {
        while let Some(request) = conn.request().await {
            conn.write(if request.contains("x-crossfade-mirror") { BROKEN } else { LEGACY }).await;
        }
    })
    .await;
    let legacy = Origin::answering(Tls::Plain, BROKEN).await;
    let proxy = config(
        &format!(
            "backends: {{ legacy: '{}', modern: {{ url: '{}', outlier: {{ failures: 1, for: 60s }} }} }}\nroutes:\n  - {{ name: a, \
             priority: 1, conditions: {{ path: /a }}, forward: {{ targets: [modern], failover: {{ to: legacy }} }} }}\ndefault: {{ \
             forward: legacy, mirror: {{ backend: modern, percent: 100 }} }}\n",
            legacy.url(),
            broken.url()
        ),
        &[],
    );
    ask(&proxy, get("/b")).await;
    assert_eq!(only(&ask(&proxy, get("/b")).await)["reason"], "open");
    let answer = ask(&proxy, get("/a")).await;
    assert_eq!((answer.status, &answer.record["backend"]), (200, &json!("modern")));
}

#[tokio::test] // the environment may end at any time
async fn what_does_not_fit_is_lost_and_not_silent() {
    let (legacy, mute) = (Origin::answering(Tls::Good, LEGACY).await, mute().await);
    let lost = async |mirror: &str, limit: u64| {
        let proxy = mirrored(&legacy.url(), &mute.url(), mirror, &[&legacy.ca_pem]);
        let answer = ask_within(&proxy, get("/a"), Duration::from_millis(limit)).await;
        let record = only(&answer).clone();
        (record["verdict"].clone(), record["reason"].clone(), record["mirror"]["error"].clone())
    };
    assert_eq!(lost("budget: 200ms", 10_000).await, (json!("lost"), json!("budget"), json!(null)));
    assert_eq!(lost("budget: 30s", 700).await, (json!("lost"), json!("time"), json!(null)));
    // Its own limit: that is an answer of its kind.
    let late = (json!("different"), json!(null), json!("http_response_timeout"));
    assert_eq!(lost("timeouts: { backendRequest: 200ms }", 10_000).await, late);
}

#[tokio::test] // the environment may end at any time
async fn a_shutdown_ends_a_copy_at_once() {
    let (legacy, mute) = (Origin::answering(Tls::Good, LEGACY).await, mute().await);
    let proxy = mirrored(&legacy.url(), &mute.url(), "compare: { noise: { selfCompare: 100 } }", &[&legacy.ca_pem]);
    let invocation = support::invocation(Duration::from_secs(10), std::time::SystemTime::now());
    let pending = proxy.handle(get("/a"), &invocation).await.pending.unwrap();
    let records = proxy.mirror(*pending, &invocation, async { "shutdown" }).await;
    let reasons: Vec<_> = records.iter().map(|record| record.reason.as_deref().unwrap_or_default()).collect();
    assert_eq!(reasons, ["shutdown", "shutdown"]);
}

#[tokio::test]
async fn two_failures_are_no_match() {
    for (legacy, modern, verdict) in [
        (BROKEN, BROKEN, "failed"),
        (BROKEN, LEGACY, "failed"),
        (LEGACY, BROKEN, "different"),
        (LEGACY, LEGACY, "match"),
    ] {
        let (proxy, ..) = pair(legacy, modern, "").await;
        assert_eq!(only(&ask(&proxy, get("/a")).await)["verdict"], verdict);
    }
    let (proxy, ..) = pair(LEGACY, BROKEN, "compare: { ignore: status, accepted: status }").await;
    assert_eq!(only(&ask(&proxy, get("/a")).await)["verdict"], "different", "no rule makes a breakdown right");
    let modern = Origin::answering(Tls::Good, LEGACY).await;
    let closed = format!("https://127.0.0.1:{}", closed_port());
    let proxy = mirrored(&closed, &modern.url(), "", &[&modern.ca_pem]);
    let answer = ask(&proxy, get("/a")).await;
    assert_eq!(answer.status, 502);
    let record = only(&answer);
    assert_eq!((&record["verdict"], &record["primary"]["error"]), (&json!("failed"), &json!("connection_refused")));
    assert_eq!(record["mirror"]["status"], 200, "{record}");
}

#[tokio::test]
async fn the_first_back_end_is_asked_twice_to_learn_what_differs_by_itself() {
    let wobbling = Origin::start(Tls::Plain, |mut conn| async move {
        while conn.request().await.is_some() {
            // Another one for each connection; copies have their own.
            let body = format!("{{\"at\": {}}}", conn.number);
            let head = "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\n";
            conn.write(format!("{head}content-length: {}\r\n\r\n{body}", body.len())).await;
        }
    })
    .await;
    let modern = Origin::answering(Tls::Plain, MODERN).await;
    let proxy = mirrored(&wobbling.url(), &modern.url(), "compare: { noise: { selfCompare: 100 } }", &[]);
    let answer = ask(&proxy, get("/a")).await;
    let [mirror, itself] = &answer.comparisons[..] else { panic!("{:?}", answer.comparisons) };
    assert_eq!((&mirror["against"], &itself["against"]), (&json!("mirror"), &json!("self")));
    assert_eq!((&itself["primary"]["backend"], &itself["mirror"]["backend"]), (&json!("legacy"), &json!("legacy")));
    assert_eq!(itself["verdict"], "different", "{itself}");
    let marks: Vec<bool> =
        wobbling.requests().iter().map(|request| request.contains("x-crossfade-mirror: 1")).collect();
    assert_eq!(marks, [false, true]);
}

#[tokio::test]
async fn nothing_is_copied_to_the_one_that_answers() {
    let (legacy, modern) = (Origin::answering(Tls::Plain, LEGACY).await, Origin::answering(Tls::Plain, MODERN).await);
    let closed = format!("https://127.0.0.1:{}", closed_port());
    for (targets, failover) in [("[modern]", ""), ("[closed]", ", failover: { to: modern }")] {
        let proxy = config(
            &format!(
                "backends: {{ legacy: '{}', modern: '{}', closed: '{closed}' }}\ndefault: {{ forward: {{ targets: {targets} {failover} \
                 }}, mirror: {{ backend: modern, percent: 100 }} }}\n",
                legacy.url(),
                modern.url()
            ),
            &[],
        );
        let answer = ask(&proxy, get("/a")).await;
        assert_eq!((&answer.record["backend"], answer.comparisons.len()), (&json!("modern"), 0));
    }
}

#[tokio::test]
async fn a_copy_takes_the_transforms_of_the_mirror_or_of_the_target() {
    let (legacy, modern) = (Origin::answering(Tls::Plain, LEGACY).await, Origin::answering(Tls::Plain, MODERN).await);
    for (mirror, path) in [("", "/v2/a?x=1"), (", transforms: { path: { prefix: /, replace: /v3 } }", "/v3/a?x=1")] {
        let proxy = config(
            &format!(
                "backends: {{ legacy: '{}', modern: '{}' }}\ndefault: {{ forward: {{ targets: [{{ backend: legacy }}, {{ backend: \
                 modern, weight: 0, transforms: {{ path: {{ prefix: /, replace: /v2 }} }} }}] }}, mirror: {{ backend: modern, percent: \
                 100 {mirror} }} }}\n",
                legacy.url(),
                modern.url()
            ),
            &[],
        );
        ask(&proxy, get("/a?x=1")).await;
        let sent = modern.requests().pop().unwrap();
        assert!(sent.starts_with(&format!("GET {path} HTTP/1.1\n")), "{sent}");
    }
    assert!(legacy.requests().iter().all(|request| request.starts_with("GET /a?x=1 ")));
}

#[tokio::test]
async fn each_system_may_redirect_by_its_own_name() {
    let redirecting = async |to: fn(u16) -> String| {
        Origin::start(Tls::Plain, move |mut conn| async move {
            while let Some(request) = conn.request().await {
                let (_, port) = request.split_once("host: localhost:").unwrap();
                let to = to(port.lines().next().unwrap().parse().unwrap());
                conn.write(format!("HTTP/1.1 302 Found\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")).await;
            }
        })
        .await
    };
    let legacy = redirecting(|port| format!("http://localhost:{port}/login?a=b")).await;
    for (to, verdict) in [
        ((|port| format!("http://localhost:{port}/login?a=b")) as fn(u16) -> String, "match"),
        (|_| "/login?a=b".to_owned(), "match"),
        (|port| format!("http://localhost:{port}/login"), "different"),
        (|_| "http://elsewhere.example.com/login?a=b".to_owned(), "different"),
    ] {
        let modern = redirecting(to).await;
        let proxy = mirrored(&legacy.url(), &modern.url(), "", &[]);
        assert_eq!(only(&ask(&proxy, get("/a")).await)["verdict"], verdict);
    }
}

#[tokio::test]
async fn the_new_system_is_asked_over_kept_connections_of_its_own() {
    let (proxy, legacy, modern) = pair(LEGACY, MODERN, "compare: { noise: { repeat: 0, selfCompare: 100 } }").await;
    for _ in 0..5 {
        ask(&proxy, get("/a")).await;
    }
    assert_eq!((legacy.connections(), modern.connections()), (2, 1));
    assert_eq!((legacy.requests().len(), modern.requests().len()), (10, 5));
    ask_later(&proxy, get("/a"), Duration::from_secs(600)).await;
    assert_eq!(modern.connections(), 2, "a connection that has been idle for long is not used");
}

#[tokio::test]
async fn not_compared_is_not_called_the_same() {
    let (proxy, ..) = pair(LEGACY, LEGACY, "compare: false").await;
    let answer = ask(&proxy, get("/a")).await;
    let record = only(&answer);
    assert_eq!((&record["verdict"], &record["reason"]), (&json!("unknown"), &json!("off")));
    assert_eq!((&record["primary"]["status"], &record["mirror"]["status"]), (&json!(200), &json!(200)));
}

#[tokio::test] // the environment may end at any time
async fn a_copy_that_is_cut_short_does_not_take_the_mirror_down() {
    let (legacy, mute) = (Origin::answering(Tls::Good, LEGACY).await, mute().await);
    for (mirror, time, reason) in [
        ("budget: 150ms", 10_000, json!("budget")),
        ("budget: 150ms, timeouts: { backendRequest: 5s }", 10_000, json!("budget")),
        ("budget: 30s, timeouts: { backendRequest: 5s }", 1_500, json!("time")),
        ("budget: 30s, timeouts: { backendRequest: 100ms }", 10_000, json!("open")),
    ] {
        let proxy = mirrored(&legacy.url(), &mute.url(), mirror, &[&legacy.ca_pem]);
        // A timer that a busy machine makes late is no sign of a mirror: there it takes more requests until it is down.
        let mut left = if reason == "open" { 100 } else { 3 };
        let last = loop {
            let answer = ask_within(&proxy, get("/a"), Duration::from_millis(time)).await;
            let last = only(&answer)["reason"].clone();
            left -= 1;
            if last == "open" || left == 0 {
                break last;
            }
        };
        assert_eq!(last, reason, "{mirror}");
    }
}
