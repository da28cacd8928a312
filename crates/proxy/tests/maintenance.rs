//! Routes under maintenance (`crossfade set … maintenance=true`), as clients see them.

use crossfade_proxy::Proxy;
use crossfade_route::{Nothing, Overlay, RoutingTable};
use http::Method;

use crate::support::{Origin, Tls, ask, request};

const PAGES: &str = "errorPages:\n- { codes: 5xx, contentType: text/html; charset=utf-8, body: <h1>Back soon</h1> }\n- { codes: \
                     503, contentType: application/json, body: '{\"error\": \"maintenance\"}' }\n";

fn proxy(origin: &Origin, keys: &str, overlay: &str) -> Proxy {
    let text = format!(
        "version: 1\n{keys}backends: {{ legacy: '{}' }}\nroutes:\n- {{ name: orders, priority: 1, conditions: {{ path: \
         /orders/* }}, forward: legacy, responseHeaders: {{ set: {{ retry-after: '1', x-set: '1' }}, remove: \
         [cache-control] }} }}\n- {{ name: old, priority: 2, conditions: {{ path: /old }}, redirect: {{ host: \
         new.example.com, status: 301 }} }}\ndefault: {{ forward: legacy }}\n",
        origin.url()
    );
    let table = RoutingTable::from_config(&text, "test.yaml", &Nothing).unwrap_or_else(|errors| panic!("{errors}"));
    let overlay = format!("{{format: 1, version: 3, routes: {{{overlay}}}}}");
    let overlaid = table.overlaid(&Overlay::parse(&overlay, "overlay.json").unwrap());
    assert_eq!(overlaid.mismatches, [""; 0]);
    Proxy::new(overlaid.table, None, "crossfade-test").unwrap()
}

async fn legacy() -> Origin {
    Origin::answering(Tls::Plain, "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\nok").await
}

#[tokio::test]
async fn every_client_gets_its_page_and_when_to_ask_again() {
    const HTML: &str = "text/html; charset=utf-8";
    const PLAIN: &str = "text/plain; charset=utf-8";
    const TEXT: &str = "The service is under maintenance. Please try again later.\n";
    let origin = legacy().await;
    let json = "{\"error\": \"maintenance\"}";
    for (keys, retry_after, cases) in [
        (
            PAGES.to_owned(),
            "300",
            &[
                (Method::GET, "text/html,*/*;q=0.8", HTML, "<h1>Back soon</h1>"),
                (Method::GET, "application/json", "application/json", json),
                (Method::POST, "application/json, text/plain;q=0.5", "application/json", json),
                (Method::HEAD, "application/json", "application/json", ""),
                (Method::HEAD, "*/*", HTML, ""),
                (Method::GET, "image/png", PLAIN, TEXT),
            ][..],
        ),
        (
            "maintenance: { retryAfter: 10m }\n".to_owned(),
            "600",
            &[(Method::GET, "text/html", PLAIN, TEXT), (Method::HEAD, "text/html", PLAIN, "")],
        ),
    ] {
        let proxy = proxy(&origin, &keys, "'*': {maintenance: true}");
        for (method, accepted, media_type, body) in cases {
            for target in ["/orders/1", "/old", "/"] {
                let answer = ask(&proxy, request(method.clone(), target, &[("accept", accepted)], "")).await;
                assert_eq!((answer.status, &answer.body[..]), (503, body.as_bytes()), "{method} {target} {accepted}");
                let field = |name: &str| answer.fields.get(name).map(|value| value.to_str().unwrap());
                assert_eq!(field("content-type"), Some(media_type).copied(), "{method} {target} {accepted}");
                // Also where the route has other values for its own responses.
                assert_eq!((field("retry-after"), field("cache-control")), (Some(retry_after), Some("no-store")));
                assert_eq!(answer.fields.get_all("retry-after").iter().count(), 1);
                assert_eq!(field("vary"), (*media_type != PLAIN).then_some("accept"));
                assert_eq!((field("location"), field("proxy-status")), (None, None));
                assert!(answer.record.get("backend").is_none() && answer.record.get("error").is_none());
            }
        }
    }
    assert_eq!(origin.connections(), 0);
}

#[tokio::test]
async fn the_other_routes_go_on() {
    let origin = legacy().await;
    let proxy = proxy(&origin, PAGES, "orders: {maintenance: true}");
    for (target, status) in [("/orders/1", 503), ("/old", 301), ("/", 200)] {
        let answer = ask(&proxy, request(Method::GET, target, &[("host", "shop.example.com")], "")).await;
        assert_eq!((answer.status, answer.fields.contains_key("retry-after")), (status, status == 503), "{target}");
    }
}
