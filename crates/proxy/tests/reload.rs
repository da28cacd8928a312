//! A configuration that changes while the proxy serves: what a back end keeps, and what it loses.

use crate::support::{OK, Origin, Tls, ask, changed, closed_port, config, get};

const FAILED: &str = "HTTP/1.1 500 No\r\ncontent-length: 0\r\n\r\n";

/// Two back ends: `legacy` with these keys, and `modern`, which gets everything under `/modern`.
fn text(legacy: &Origin, modern: &Origin, keys: &str, route: &str) -> String {
    format!(
        "backends:\n  legacy: {{ url: '{}'{keys} }}\n  modern: {{ url: '{}' }}\nroutes:\n  - {{ name: modern, priority: 1, \
             conditions: {{ path: /modern/* }}, forward: modern{route} }}\ndefault: {{ forward: legacy }}\n",
        legacy.url(),
        modern.url()
    )
}

#[tokio::test]
async fn a_back_end_that_did_not_change_keeps_its_connections() {
    let legacy = Origin::answering(Tls::Good, OK).await;
    let modern = Origin::answering(Tls::Plain, OK).await;
    let roots: &[&[u8]] = &[&legacy.ca_pem];
    let first = config(&text(&legacy, &modern, "", ""), roots);
    for target in ["/a", "/modern/a"] {
        assert_eq!(ask(&first, get(target)).await.status, 200);
    }
    // Routes change, a back end comes before the others, one of the two gets a limit.
    let route = ", requestHeaders: { set: { x-new: '1' } }";
    let other = text(&legacy, &modern, "", route).replace("backends:\n", "backends:\n  another: https://a.example\n");
    let second = changed(&first, &other.replace("modern: { url", "modern: { timeouts: { connect: 1s }, url"), roots);
    for target in ["/b", "/modern/b"] {
        assert_eq!(ask(&second, get(target)).await.status, 200);
    }
    assert_eq!((legacy.connections(), modern.connections()), (1, 2));
    assert!(modern.requests()[1].contains("\nx-new: 1"));
    // Whom to trust is a part of every connection.
    let third = changed(&second, &other, &[&legacy.ca_pem, &legacy.ca_pem]);
    assert_eq!(ask(&third, get("/c")).await.status, 200);
    assert_eq!(legacy.connections(), 2);
}

#[tokio::test]
async fn a_circuit_breaker_stays_open_until_its_back_end_changes() {
    let legacy = Origin::answering(Tls::Plain, FAILED).await;
    let modern = Origin::answering(Tls::Plain, OK).await;
    let outlier = ", outlier: { failures: 2, for: 1m }";
    let mut proxy = config(&text(&legacy, &modern, outlier, ""), &[]);
    for _ in 0..2 {
        assert_eq!(ask(&proxy, get("/")).await.status, 500);
    }
    for route in [", requestHeaders: { set: { x-new: '1' } }", ", enabled: false"] {
        proxy = changed(&proxy, &text(&legacy, &modern, outlier, route), &[]);
        assert_eq!(ask(&proxy, get("/")).await.error(), "destination_unavailable", "{route}");
    }
    assert_eq!(legacy.requests().len(), 2);
    let proxy = changed(&proxy, &text(&legacy, &modern, ", outlier: { failures: 3, for: 1m }", ""), &[]);
    assert_eq!(ask(&proxy, get("/")).await.status, 500);
}

#[tokio::test]
async fn a_retry_budget_is_not_filled_by_a_change() {
    let closed = format!("https://127.0.0.1:{}", closed_port());
    let modern = Origin::answering(Tls::Plain, OK).await;
    let text = |route: &str| {
        format!(
            "backends:\n  legacy: {{ url: '{closed}', retry: {{ attempts: 5, backoff: 1ms, budget: 1% }} }}\n  \
                 modern: {}\nroutes:\n  - {{ name: modern, priority: 1, conditions: {{ path: /m }}, forward: modern{route} }}\n\
             default: {{ forward: legacy }}\n",
            modern.url()
        )
    };
    let mut proxy = config(&text(""), &[]);
    let mut retries = 0;
    for number in 0..6 {
        proxy = changed(&proxy, &text(&format!(", requestHeaders: {{ set: {{ x-number: '{number}' }} }}")), &[]);
        retries += ask(&proxy, get("/")).await.record["retries"].as_u64().unwrap_or_default();
    }
    // Ten are saved up at the start, and six requests earn next to nothing.
    assert_eq!(retries, 10);
}
