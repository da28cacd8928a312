//! Failures of back ends with a policy in the configuration: retry, failover, circuit breaker, addresses.

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use tokio::sync::Notify;

use crate::support::{
    self, OK, Origin, ProxyOf as _, Tls, ask, ask_later, ask_within, closed_port, config, get, request,
};

const UNAVAILABLE: &str = "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 4\r\n\r\nbusy";
const LEGACY: &str = "HTTP/1.1 200 OK\r\ncontent-length: 6\r\n\r\nlegacy";

/// `modern` first, `legacy` when it fails.
fn with_failover(modern: &str, keys: &str, failover: &str, legacy: &Origin) -> crossfade_proxy::Proxy {
    config(
        &format!(
            "backends:\n  modern: {{ url: '{modern}', {keys} }}\n  legacy: {}\ndefault:\n  forward:\n    targets: [modern]\n    \
             failover: {{ to: legacy, {failover} }}\n",
            legacy.url()
        ),
        &[&legacy.ca_pem],
    )
}

fn post() -> http::Request<bytes::Bytes> {
    request(Method::POST, "/", &[("host", "www.example.com")], "x=1")
}

#[tokio::test]
async fn a_back_end_that_is_down_costs_nothing_but_a_line_in_the_log() {
    let legacy = Origin::answering(Tls::Good, LEGACY).await;
    let closed = format!("https://127.0.0.1:{}", closed_port());
    let proxy = with_failover(&closed, "", "", &legacy);
    for request in [get("/"), post()] {
        let answer = ask(&proxy, request).await;
        assert_eq!((answer.status, &answer.body[..]), (200, &b"legacy"[..]));
        assert_eq!(answer.record["backend"], "legacy");
        assert_eq!(answer.record["skipped"][0]["backend"], "modern");
        assert_eq!(answer.record["skipped"][0]["outcome"], "connection_refused");
        assert!(answer.record["error"].is_null());
    }
    let bodies: Vec<_> = legacy.requests().iter().map(|request| request.ends_with("x=1")).collect();
    assert_eq!(bodies, [false, true]);
}

#[tokio::test]
async fn each_attempt_is_recorded_with_its_own_times() {
    let legacy = Origin::answering(Tls::Good, LEGACY).await;
    let modern = Origin::answering(Tls::Plain, UNAVAILABLE).await;
    let proxy = with_failover(&modern.url(), "retry: { attempts: 1, codes: [503], backoff: 1ms }", "", &legacy);
    let record = ask(&proxy, get("/")).await.record;
    let journal = record["journal"].as_array().unwrap();
    let told: Vec<_> =
        journal.iter().map(|it| ["backend", "role", "outcome"].map(|name| it[name].as_str().unwrap())).collect();
    assert_eq!(told, [["modern", "first", "503"], ["modern", "retry", "503"], ["legacy", "failover", "200"]]);
    let time = |at: usize, name: &str| journal.get(at)?[name].as_f64();
    for at in 0..3 {
        // Counted from the beginning of the attempt, so that no earlier one is in it.
        let (began, first_byte) = (time(at, "began_ms").unwrap(), time(at, "first_byte_ms").unwrap());
        assert!(Some(first_byte) >= time(at, "connect_ms"), "{record}");
        assert!(Some(began + first_byte) <= time(at + 1, "began_ms").or(record["total_ms"].as_f64()), "{record}");
    }
    assert_eq!(
        (&record["backend"], &record["target"], &record["chosen"]),
        (&"legacy".into(), &"modern".into(), &"only".into())
    );
    assert!(time(0, "connect_ms").is_some() && time(2, "connect_ms").is_some(), "{record}");
    assert_eq!(
        (time(2, "connect_ms"), time(2, "first_byte_ms")),
        (record["connect_ms"].as_f64(), record["first_byte_ms"].as_f64())
    );
    assert_eq!((&record["attempts"], &record["retries"]), (&3.into(), &1.into()));
    // One attempt is told by the line itself.
    let record = ask(&legacy.proxy(), get("/")).await.record;
    assert_eq!(
        (&record["attempts"], &record["journal"], &record["version"]),
        (&1.into(), &serde_json::Value::Null, &3.into())
    );
}

#[tokio::test]
async fn a_write_that_a_back_end_may_have_seen_goes_nowhere_else_unless_asked() {
    let legacy = Origin::answering(Tls::Good, LEGACY).await;
    let modern = Origin::answering(Tls::Plain, UNAVAILABLE).await;
    let careful = with_failover(&modern.url(), "", "", &legacy);
    assert_eq!(ask(&careful, get("/")).await.status, 200);
    assert_eq!(ask(&careful, post()).await.status, 503);
    // Idempotent, but the two systems need not share a store.
    assert_eq!(ask(&careful, request(Method::DELETE, "/", &[("host", "www.example.com")], "")).await.status, 503);
    let asked = with_failover(&modern.url(), "", "methods: [POST]", &legacy);
    assert_eq!(ask(&asked, post()).await.status, 200);
}

#[tokio::test]
async fn a_write_that_was_seen_goes_nowhere_else_though_its_back_end_cannot_be_reached_any_more() {
    let legacy = Origin::answering(Tls::Good, LEGACY).await;
    let taken = Arc::new(Notify::new());
    let tell = taken.clone();
    let mut modern = Origin::start(Tls::Plain, move |mut conn| {
        let tell = tell.clone();
        async move {
            conn.request().await;
            conn.write(OK).await;
            conn.request().await;
            tell.notify_one();
            std::future::pending::<()>().await;
        }
    })
    .await;
    let proxy = with_failover(&modern.url(), "", "", &legacy);
    assert_eq!(&ask(&proxy, get("/")).await.body[..], b"ok");
    // On the kept connection; a new one, as for any idempotent request, is refused.
    let delete = request(Method::DELETE, "/", &[("host", "www.example.com")], "");
    let (answer, ()) = tokio::join!(ask(&proxy, delete), async {
        taken.notified().await;
        modern.stop().await;
    });
    assert_eq!((answer.status, &answer.record["error"]), (502, &"connection_refused".into()));
    assert_eq!(legacy.requests().len(), 0);
}

#[tokio::test]
async fn a_write_that_a_retry_has_sent_before_goes_nowhere_else_either() {
    let legacy = Origin::answering(Tls::Good, LEGACY).await;
    let taken = Arc::new(Notify::new());
    let tell = taken.clone();
    let mut modern = Origin::start(Tls::Plain, move |mut conn| {
        let tell = tell.clone();
        async move {
            conn.request().await;
            tell.notify_one();
        }
    })
    .await;
    let retry = "retry: { attempts: 1, backoff: 500ms, methods: [POST] }";
    let proxy = with_failover(&modern.url(), retry, "", &legacy);
    let stop = async {
        taken.notified().await;
        modern.stop().await;
    };
    let (answer, ()) = tokio::join!(ask(&proxy, post()), stop);
    assert_eq!((answer.status, &answer.record["error"]), (502, &"connection_refused".into()));
    assert_eq!((&answer.record["retries"], legacy.requests().len()), (&1.into(), 0));
    // What changes nothing may.
    assert_eq!(&ask(&proxy, get("/")).await.body[..], b"legacy");
}

#[tokio::test]
async fn each_kind_of_failure_is_named_for_itself() {
    let legacy = Origin::answering(Tls::Good, LEGACY).await;
    let unavailable = Origin::answering(Tls::Plain, UNAVAILABLE).await;
    let mute = Origin::start(Tls::Plain, |mut conn| async move {
        conn.request().await;
        std::future::pending::<()>().await;
    })
    .await;
    let broken = Origin::start(Tls::Plain, |mut conn| async move {
        conn.request().await;
    })
    .await;
    let limit = "timeouts: { backendRequest: 200ms }";
    for (modern, on, status, outcome) in [
        (&unavailable, "[503]", 200, "503"),
        (&unavailable, "[5xx]", 200, "503"),
        (&unavailable, "[502, timeout]", 503, ""),
        (&mute, "[timeout]", 200, "http_response_timeout"),
        (&mute, "[connectError, 504]", 504, ""),
        (&broken, "[reset]", 200, "connection_terminated"),
        (&broken, "[502]", 502, ""),
    ] {
        let proxy = with_failover(&modern.url(), limit, &format!("on: {on}"), &legacy);
        let answer = ask(&proxy, get("/")).await;
        assert_eq!(answer.status, status, "{on}: {}", answer.record);
        match outcome {
            "" => assert!(answer.record["skipped"].is_null(), "{on}"),
            outcome => assert_eq!(answer.record["skipped"][0]["outcome"], outcome),
        }
    }
}

#[tokio::test]
async fn if_both_fail_the_client_gets_the_better_of_the_two() {
    let unavailable = Origin::answering(Tls::Plain, UNAVAILABLE).await;
    let closed = closed_port();
    let proxy = config(
        &format!(
            "backends:\n  modern: {}\n  legacy: http://127.0.0.1:{closed}\ndefault:\n  forward: {{ targets: [modern], \
             failover: {{ to: legacy }} }}\n",
            unavailable.url()
        ),
        &[],
    );
    let answer = ask(&proxy, get("/")).await;
    assert_eq!((answer.status, &answer.body[..]), (503, &b"busy"[..]));
    assert_eq!(answer.record["backend"], "modern");
    assert_eq!(answer.record["skipped"][1]["outcome"], "connection_refused");
}

#[tokio::test]
async fn retries_are_counted_and_only_for_what_may_be_repeated() {
    // Bad twice on each connection, then good.
    let flaky = Origin::start(Tls::Plain, |mut conn| async move {
        for answer in [UNAVAILABLE, UNAVAILABLE, OK].iter().cycle() {
            if conn.request().await.is_none() {
                return;
            }
            conn.write(answer).await;
        }
    })
    .await;
    let keys = |retry: &str| {
        format!("backends:\n  b: {{ url: '{}', retry: {{ {retry} }} }}\ndefault: {{ forward: b }}\n", flaky.url())
    };
    let proxy = config(&keys("attempts: 2, codes: [503], backoff: 1ms"), &[]);
    let answer = ask(&proxy, get("/")).await;
    assert_eq!((answer.status, &answer.record["attempts"], &answer.record["retries"]), (200, &3.into(), &2.into()));
    let answer = ask(&proxy, post()).await;
    assert_eq!((answer.status, &answer.record["attempts"]), (503, &1.into()));
    let proxy = config(&keys("attempts: 2, codes: [503], backoff: 1ms, methods: [POST]"), &[]);
    assert_eq!(ask(&proxy, post()).await.status, 200);
}

#[tokio::test] // retries amplify an outage
async fn the_budget_ends_retries_before_they_double_the_load() {
    let unavailable = Origin::answering(Tls::Plain, UNAVAILABLE).await;
    let proxy = config(
        &format!(
            "backends:\n  b: {{ url: '{}', retry: {{ attempts: 1, codes: [503], backoff: 1ms, budget: 10% }} }}\n\
             default: {{ forward: b }}\n",
            unavailable.url()
        ),
        &[],
    );
    for _ in 0..200 {
        ask(&proxy, get("/")).await;
    }
    // 10 saved up, and one for every ten requests.
    let sent = unavailable.requests().len();
    assert!((225..=231).contains(&sent), "{sent}");
}

#[tokio::test]
async fn a_retry_does_not_wait_beyond_the_deadline() {
    let unavailable = Origin::answering(Tls::Plain, UNAVAILABLE).await;
    let proxy = config(
        &format!(
            "backends:\n  b: {{ url: '{}', retry: {{ attempts: 5, codes: [503], backoff: 60s }} }}\ndefault: {{ forward: b }}\n",
            unavailable.url()
        ),
        &[],
    );
    let answer = ask(&proxy, get("/")).await;
    assert_eq!((answer.status, &answer.record["attempts"]), (503, &1.into()));
}

#[tokio::test]
async fn a_back_end_that_keeps_failing_is_skipped_at_once_and_tried_again_later() {
    let legacy = Origin::answering(Tls::Good, LEGACY).await;
    let modern = Origin::answering(Tls::Plain, UNAVAILABLE).await;
    let proxy = with_failover(&modern.url(), "outlier: { failures: 3, for: 30s }", "", &legacy);
    for _ in 0..10 {
        assert_eq!(ask(&proxy, get("/")).await.status, 200);
    }
    assert_eq!(modern.requests().len(), 3);
    // What it has not seen may go elsewhere, whatever the method.
    let answer = ask(&proxy, post()).await;
    assert_eq!((answer.status, &answer.record["skipped"][0]["outcome"]), (200, &"open".into()));
    assert_eq!(ask_later(&proxy, get("/"), Duration::from_secs(31)).await.status, 200);
    assert_eq!(modern.requests().len(), 4);
    assert_eq!(ask_later(&proxy, get("/"), Duration::from_secs(32)).await.status, 200);
    assert_eq!(modern.requests().len(), 4);
}

#[tokio::test]
async fn the_first_address_that_answers_is_taken() {
    let origin = Origin::answering(Tls::Good, OK).await;
    let closed = closed_port();
    let port = origin.address.port();
    let proxy =
        origin.proxy_with(&format!("addresses: ['127.0.0.1:{closed}', no-such-host.invalid, '127.0.0.1:{port}']"));
    let answer = ask(&proxy, get("/")).await;
    assert_eq!(answer.status, 200, "{}", answer.record);
    assert!(origin.requests()[0].contains(&format!("host: localhost:{port}\n")));
}

#[tokio::test] // waiting would use up the concurrency
async fn where_nobody_else_can_be_asked_what_is_down_answers_at_once_and_says_for_how_long() {
    let mute = Origin::start(Tls::Plain, |mut conn| async move {
        conn.request().await;
        std::future::pending::<()>().await;
    })
    .await;
    let keys = "timeouts: { backendRequest: 100ms }\noutlier: { failures: 2, for: 30s }";
    let proxy = mute.proxy_with(keys);
    for _ in 0..2 {
        let answer = ask(&proxy, get("/")).await;
        assert_eq!((answer.status, answer.error()), (504, "http_response_timeout"));
        assert_eq!(answer.fields.get("retry-after"), None);
    }
    for request in [get("/"), post()] {
        let answer = ask(&proxy, request).await;
        assert_eq!((answer.status, answer.error()), (503, "destination_unavailable"));
        let seconds: u64 = answer.fields["retry-after"].to_str().unwrap().parse().unwrap();
        assert!((1..=30).contains(&seconds), "{seconds}");
        let record = &answer.record;
        assert_eq!((&record["skipped"][0]["outcome"], &record["attempts"]), (&"open".into(), &0.into()), "{record}");
        assert!(record["backend"].is_null(), "{record}");
    }
    assert_eq!(mute.requests().len(), 2);
    // Then the next request is a trial.
    assert_eq!(ask_later(&proxy, get("/"), Duration::from_secs(31)).await.status, 504);
    assert_eq!(mute.requests().len(), 3);
}

#[tokio::test]
async fn if_both_are_down_neither_is_asked() {
    let [modern, legacy] =
        [Origin::answering(Tls::Plain, UNAVAILABLE).await, Origin::answering(Tls::Plain, UNAVAILABLE).await];
    let keys = "outlier: { failures: 1, for: 30s }";
    let proxy = config(
        &format!(
            "backends:\n  modern: {{ url: '{}', {keys} }}\n  legacy: {{ url: '{}', {keys} }}\ndefault:\n  forward: {{ \
             targets: [modern], failover: {{ to: legacy }} }}\n",
            modern.url(),
            legacy.url()
        ),
        &[],
    );
    assert_eq!(ask(&proxy, get("/")).await.body, "busy");
    let answer = ask(&proxy, get("/")).await;
    assert_eq!((answer.status, answer.error()), (503, "destination_unavailable"));
    assert!(answer.fields.contains_key("retry-after"));
    let skipped: Vec<_> =
        answer.record["skipped"].as_array().unwrap().iter().map(|it| it["backend"].as_str().unwrap()).collect();
    assert_eq!(skipped, ["modern", "legacy"]);
    assert_eq!((modern.requests().len(), legacy.requests().len()), (1, 1));
}

#[tokio::test] // waiting would use up the concurrency
async fn a_request_that_cannot_be_answered_in_time_is_not_sent() {
    let origin = Origin::answering(Tls::Plain, OK).await;
    let proxy = origin.proxy();
    let answer = ask_within(&proxy, get("/"), Duration::from_millis(15)).await;
    assert_eq!((answer.status, answer.error()), (503, "proxy_internal_response"));
    assert_eq!(answer.fields["retry-after"], "1");
    assert_eq!((origin.connections(), &answer.record["attempts"]), (0, &0.into()));
    assert_eq!(ask(&proxy, get("/")).await.status, 200);
}

/// Answers after a while.
async fn slow(length: Duration) -> Origin {
    Origin::start(Tls::Plain, move |mut conn| async move {
        while conn.request().await.is_some() {
            tokio::time::sleep(length).await;
            conn.write(LEGACY).await;
        }
    })
    .await
}

async fn mute() -> Origin {
    Origin::start(Tls::Plain, |mut conn| async move {
        conn.request().await;
        std::future::pending::<()>().await;
    })
    .await
}

#[tokio::test]
async fn a_back_end_that_hangs_does_not_take_the_healthy_one_with_it() {
    let (modern, legacy) = (mute().await, slow(Duration::from_millis(400)).await);
    let proxy = config(
        &format!(
            "backends:\n  modern: {{ url: '{}', timeouts: {{ backendRequest: 300ms }} }}\n  legacy: {{ url: '{}', timeouts: {{ \
             backendRequest: 5s }}, outlier: {{ failures: 3, for: 30s }} }}\nroutes:\n  - {{ name: old, priority: 1, conditions: \
             {{ path: /old }}, forward: legacy }}\ndefault:\n  forward: {{ targets: [modern], failover: {{ to: legacy }} }}\n",
            modern.url(),
            legacy.url()
        ),
        &[],
    );
    for _ in 0..4 {
        let answer = ask_within(&proxy, get("/"), Duration::from_millis(550)).await;
        assert_eq!((answer.status, &answer.record["backend"]), (504, &"legacy".into()), "{}", answer.record);
    }
    let answer = ask(&proxy, get("/old")).await;
    assert_eq!((answer.status, &answer.body[..]), (200, &b"legacy"[..]), "{}", answer.record);
}

#[tokio::test]
async fn a_timeout_counts_if_the_back_end_had_its_own_limit() {
    let mute = mute().await;
    let silent = support::silent().await;
    let (url, tls_url) = (mute.url(), format!("https://{silent}"));
    for (url, timeouts, time, is_open) in [
        (&url, "backendRequest: 100ms", 10_000, true),
        (&url, "backendRequest: 5s", 100, false),
        // Limits that are written alike: what came before the attempt does not make it too short.
        (&url, "backendRequest: 300ms", 300, true),
        (&tls_url, "connect: 300ms", 300, true),
        // A retry gets the limit anew, but not more time.
        (&url, "backendRequest: 400ms", 250, false),
        (&url, "connect: 5s", 100, false),
        (&tls_url, "connect: 100ms", 10_000, true),
        (&tls_url, "connect: 5s", 100, false),
        (&tls_url, "connect: 5s, backendRequest: 100ms", 10_000, true),
        (&tls_url, "connect: 5s, backendRequest: 5s", 100, false),
    ] {
        let keys = format!("timeouts: {{ {timeouts} }}\noutlier: {{ failures: 2, for: 10m }}");
        let proxy = support::proxy(url, &keys, b"");
        // A timer that a busy machine makes late is no sign of a back end: there it takes more requests.
        let mut left = if is_open { 100 } else { 4 };
        let answer = loop {
            let answer = ask_within(&proxy, get("/"), Duration::from_millis(time)).await;
            left -= 1;
            if answer.status == 503 || left == 0 {
                break answer;
            }
        };
        assert_eq!(answer.status == 503, is_open, "{url} {timeouts} within {time} ms: {}", answer.record);
    }
}

#[tokio::test]
async fn answers_that_are_the_fault_of_a_request_neither_count_nor_end_the_row() {
    // The path says the status.
    let origin = Origin::start(Tls::Plain, |mut conn| async move {
        while let Some(request) = conn.request().await {
            let status = request.split(['/', ' ']).nth(2).unwrap().to_owned();
            conn.write(format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n")).await;
        }
    })
    .await;
    let keys = "outlier: { failures: 3, for: 30s }";
    let is_down_after = async |statuses: &[u16]| {
        let proxy = origin.proxy_with(keys);
        for status in statuses {
            ask(&proxy, request(Method::from_bytes(b"BREW").unwrap(), &format!("/{status}"), &[], "")).await;
        }
        ask(&proxy, get("/200")).await.error() == "destination_unavailable"
    };
    for status in [501, 505, 506, 508, 510, 511] {
        assert!(!is_down_after(&[status; 6]).await, "{status}");
        assert!(is_down_after(&[503, status, 500, status, 502]).await, "{status}");
    }
    for status in [500, 502, 503, 504, 507, 520, 599] {
        assert!(is_down_after(&[status; 3]).await, "{status}");
        assert!(!is_down_after(&[status, status, 404, status]).await, "{status}");
    }
}

#[tokio::test]
async fn a_connection_that_breaks_over_large_fields_neither_counts_nor_ends_the_row() {
    let origin = Origin::start(Tls::Plain, |mut conn| async move {
        while let Some(request) = conn.request().await {
            if request.contains("\ncookie: ") {
                return;
            }
            conn.write("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await;
        }
    })
    .await;
    let is_down_after = async |size: usize| {
        let proxy = origin.proxy_with("outlier: { failures: 2, for: 30s }");
        let cookie = "a".repeat(size);
        for _ in 0..3 {
            ask(&proxy, request(Method::GET, "/", &[("host", "a"), ("cookie", &cookie)], "")).await;
        }
        ask(&proxy, get("/")).await.error() == "destination_unavailable"
    };
    assert!(!is_down_after(9_000).await, "nginx takes 8 KB");
    assert!(is_down_after(100).await);
}

#[tokio::test]
async fn an_answer_that_is_too_large_neither_counts_nor_ends_the_row() {
    let origin = Origin::start(Tls::Plain, |mut conn| async move {
        while let Some(request) = conn.request().await {
            let large = "HTTP/1.1 500 Oops\r\ncontent-length: 5000000\r\n\r\n";
            conn.write(if request.starts_with("GET /large") { large } else { UNAVAILABLE }).await;
        }
    })
    .await;
    let proxy = origin.proxy_with("outlier: { failures: 2, for: 30s }");
    for (target, error) in [
        ("/large", "http_response_body_size"),
        ("/large", "http_response_body_size"),
        ("/", ""),
        ("/large", "http_response_body_size"),
        ("/", ""),
    ] {
        let answer = ask(&proxy, get(target)).await;
        assert!(answer.error().starts_with(error), "{target}: {}", answer.record);
    }
    assert_eq!(ask(&proxy, get("/")).await.error(), "destination_unavailable");
}
