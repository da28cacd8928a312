//! What happens when a back end fails and the configuration says what to do: retry, failover, breaker, addresses.

mod support;

use std::sync::Arc;
use std::time::Duration;

use http::Method;
use support::{OK, Origin, Tls, ask, ask_later, ask_within, closed_port, config, get, request};
use tokio::sync::Notify;

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
    let closed = format!("https://127.0.0.1:{}", closed_port().await);
    let proxy = with_failover(&closed, "", "", &legacy);
    for request in [get("/"), post()] {
        let answer = ask(&proxy, request).await;
        assert_eq!((answer.status, &answer.body[..]), (200, &b"legacy"[..]));
        assert_eq!(answer.record["backend"], "legacy");
        assert_eq!(answer.record["passed_over"][0]["backend"], "modern");
        assert_eq!(answer.record["passed_over"][0]["outcome"], "connection_refused");
        assert!(answer.record["error"].is_null());
    }
    let bodies: Vec<_> = legacy.requests().iter().map(|request| request.ends_with("x=1")).collect();
    assert_eq!(bodies, [false, true]);
}

#[tokio::test] // T20
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

#[tokio::test] // T20
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

#[tokio::test] // T20
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
            "" => assert!(answer.record["passed_over"].is_null(), "{on}"),
            outcome => assert_eq!(answer.record["passed_over"][0]["outcome"], outcome),
        }
    }
}

#[tokio::test]
async fn if_both_fail_the_client_gets_the_better_of_the_two() {
    let unavailable = Origin::answering(Tls::Plain, UNAVAILABLE).await;
    let closed = closed_port().await;
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
    assert_eq!(answer.record["passed_over"][1]["outcome"], "connection_refused");
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

#[tokio::test] // G30
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
async fn a_back_end_that_keeps_failing_is_passed_over_at_once_and_tried_again_later() {
    let legacy = Origin::answering(Tls::Good, LEGACY).await;
    let modern = Origin::answering(Tls::Plain, UNAVAILABLE).await;
    let proxy = with_failover(&modern.url(), "outlier: { failures: 3, for: 30s }", "", &legacy);
    for _ in 0..10 {
        assert_eq!(ask(&proxy, get("/")).await.status, 200);
    }
    assert_eq!(modern.requests().len(), 3);
    // What it has not seen may go elsewhere, whatever the method.
    let answer = ask(&proxy, post()).await;
    assert_eq!((answer.status, &answer.record["passed_over"][0]["outcome"]), (200, &"down".into()));
    assert_eq!(ask_later(&proxy, get("/"), Duration::from_secs(31)).await.status, 200);
    assert_eq!(modern.requests().len(), 4);
    assert_eq!(ask_later(&proxy, get("/"), Duration::from_secs(32)).await.status, 200);
    assert_eq!(modern.requests().len(), 4);
}

#[tokio::test]
async fn the_first_address_that_answers_is_taken() {
    let origin = Origin::answering(Tls::Good, OK).await;
    let closed = closed_port().await;
    let port = origin.address.port();
    let proxy =
        origin.proxy_with(&format!("addresses: ['127.0.0.1:{closed}', no-such-host.invalid, '127.0.0.1:{port}']"));
    let answer = ask(&proxy, get("/")).await;
    assert_eq!(answer.status, 200, "{}", answer.record);
    assert!(origin.requests()[0].contains(&format!("host: localhost:{port}\n")));
}

#[tokio::test] // G30
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
        assert_eq!(
            (&record["passed_over"][0]["outcome"], &record["attempts"]),
            (&"down".into(), &0.into()),
            "{record}"
        );
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
    let passed_over: Vec<_> =
        answer.record["passed_over"].as_array().unwrap().iter().map(|it| it["backend"].as_str().unwrap()).collect();
    assert_eq!(passed_over, ["modern", "legacy"]);
    assert_eq!((modern.requests().len(), legacy.requests().len()), (1, 1));
}

#[tokio::test] // G30
async fn a_request_that_cannot_be_answered_in_time_is_not_sent() {
    let origin = Origin::answering(Tls::Plain, OK).await;
    let proxy = origin.proxy();
    let answer = ask_within(&proxy, get("/"), Duration::from_millis(15)).await;
    assert_eq!((answer.status, answer.error()), (503, "proxy_internal_response"));
    assert_eq!(answer.fields["retry-after"], "1");
    assert_eq!((origin.connections(), &answer.record["attempts"]), (0, &0.into()));
    assert_eq!(ask(&proxy, get("/")).await.status, 200);
}
