//! The inspector explains Crossfade's routes, and each step to a back end.

use crossfade_route::{Nothing, RoutingTable};

use super::*;
use crate::commands::environment::Environment;

/// Returns the configuration in which requests are explained.
fn routes(text: &str) -> Option<Routes> {
    let table = RoutingTable::from_config(text, "", &Nothing).unwrap();
    Some(Routes { table, environment: Environment::of([("REALM".to_owned(), "hidden-realm".to_owned())]) })
}

const CONFIG: &str = "
version: 1
backends: { legacy: https://legacy.example, modern: https://modern.example }
routes:
- { name: staff, priority: 1, conditions: { header: { name: x-realm, values: [hidden-realm] } }, forward: modern }
- { name: search, priority: 2, conditions: { query: { q: other } }, forward: modern }
- { name: writes, priority: 3, conditions: { path: /orders/*, method: POST }, forward: modern }
- name: orders
  priority: 4
  conditions: { path: /orders/* }
  forward:
    targets: [{ backend: legacy, weight: 90 }, { backend: modern, weight: 10 }]
    sticky: { by: { cookie: customer_id }, pin: { modern: ['7'] } }
    failover: { to: legacy }
- { name: blog, priority: 5, conditions: { path: /blog }, redirect: { host: blog.example, status: 301 } }
- { name: closed, priority: 6, conditions: { path: /closed }, fixedResponse: { status: 503 } }
default: { forward: legacy }
";

/// The event of a request with a cookie, as the load balancer builds it.
fn event(path: &str) -> Bytes {
    let fields = HeaderMap::from_iter([
        (HeaderName::from_static("host"), HeaderValue::from_static("shop.example")),
        (HeaderName::from_static("cookie"), HeaderValue::from_static("customer_id=7")),
        (HeaderName::from_static("x-forwarded-for"), HeaderValue::from_static("192.0.2.7")),
    ]);
    let uri: http::Uri = path.parse().unwrap();
    let line = crossfade_event::alb::RequestLine::new(&http::Method::GET, &uri);
    crossfade_event::alb::encode_request(HeaderMode::Multi, "arn", line, &fields, b"").unwrap().into()
}

/// Tells of a request with its event, and of the function's line, whose members these are.
fn tell_routed(inspector: &Inspector, id: u64, target: &str, members: &str) {
    let messages = Some(Box::new(Messages { event: Some(event(target)), ..Messages::default() }));
    let request_id = Some(format!("r{id}"));
    let function = Some("local".to_owned());
    tell(inspector, Exchange { request_id, messages, function, ..exchange("GET", target) });
    let line = format!(
        r#"{{"type":"access","version":3,"time":"2026-11-24T10:57:42.123Z","request_id":"r{id}","status":200,"total_ms":50,{members}}}"#
    );
    tell_line(inspector, &line);
}

/// The list and the pages name our route, those that were skipped and why, and each back end with the reason for it.
#[tokio::test]
async fn our_routes_are_explained_with_every_step_to_the_back_end() {
    let inspector = start().await;
    inspector.explain_with(routes(CONFIG));
    let failover = r#""route":"orders","backend":"legacy","target":"modern","chosen":"pin","skipped":[{"backend":"modern","outcome":"503"}],
        "attempts":2,"journal":[
        {"backend":"modern","role":"first","outcome":"503","connect_ms":2,"first_byte_ms":19,"began_ms":1,"took_ms":18},
        {"backend":"legacy","role":"failover","outcome":"200","first_byte_ms":9,"began_ms":22,"took_ms":10}]"#;
    let cases = [
        ("/orders/1?q=s3cret", failover),
        ("/blog", r#""route":"blog""#),
        ("/closed", r#""route":"closed""#),
        ("/other", r#""route":"default","backend":"legacy","chosen":"only","attempts":1"#),
        ("/orders/2", r#""error":"http_request_error","detail":"no""#),
        ("/orders/3", r#""route":"gone","backend":"legacy","chosen":"only","attempts":1"#),
        ("/a/../%62log", r#""route":"blog""#),
    ];
    for (id, (target, members)) in (1..).zip(cases) {
        tell_routed(&inspector, id, target, members);
    }
    seen(&inspector, 7).await;
    while !get(&inspector, "/?q=route:blog").await.contains("of <b id=\"matching\">2</b>") {
        sleep(Duration::from_millis(5)).await;
    }

    let list = get(&inspector, "/").await;
    for part in [
        "<th scope=\"col\" class=\"wide\">Route</th>",
        "<b>legacy</b> <small>modern by pin: 503 → legacy by failover</small>",
        "<td class=\"wide\">redirect</td>",
        "<td class=\"wide\">fixedResponse</td>",
        "<option>orders</option>",
    ] {
        assert!(list.contains(part), "{part}: {list}");
    }
    assert!(!list.contains("Rule</th>") && !list.contains("name=\"rule\""), "there are no rules: {list}");
    for (filter, count) in
        [("q=route:orders", 1), ("route=blog", 2), ("q=-route:orders", 6), ("q=blog", 2), ("q=route:order", 0)]
    {
        let page = get(&inspector, &format!("/?{filter}")).await;
        assert!(page.contains(&format!("of <b id=\"matching\">{count}</b>")), "{filter}: {page}");
    }

    let page = get(&inspector, "/requests/1").await;
    for part in [
        "<s>modern</s> <small>chosen by pin</small> <small>503</small>",
        "legacy <small>by failover</small>",
        "modern: pinned by cookie customer_id",
        "forward to legacy 90 %, modern 10 %",
        "<code>header x-realm is ${env:REALM}</code> <small>there is no field x-realm</small>",
        "<code>method is POST</code> <small>the method is GET</small>",
        "<small>the query is q=***</small>",
        "<code>path is /orders/*</code>",
        "This time: modern by pin: 503, then legacy by failover.",
        "<span class=\"name\">&quot;target&quot;</span>: &quot;modern&quot;",
    ] {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(!page.contains("hidden-realm") && !page.contains("q=s3cret"), "{page}");
    assert!(!page.contains("The listener has no other rule"), "{page}");
    // The routes below the match were not evaluated.
    assert!(!page.contains("blog"), "{page}");
    for (id, part) in [
        (2, "<dd>redirect 301</dd>"),
        (3, "<dd>fixedResponse 503</dd>"),
        (4, "all requests that match no other route"),
        (5, "rejected the request before it evaluated any route"),
        (6, "The configuration changed while the request was under way; the present one has it match <b>orders</b>"),
        (7, "<dt>Path in routes</dt><dd><code>/blog</code>"),
    ] {
        let page = get(&inspector, &format!("/requests/{id}")).await;
        assert!(page.contains(part), "{part}: {page}");
    }
}

/// With listener rules, both are there. Requests keep the configuration that was in use, and of many routes the nearest count.
#[tokio::test]
async fn rules_and_many_routes_stand_side_by_side() {
    let mut settings = Settings::forward_all(HeaderMode::Multi, Function::new("local", vec!["true".to_owned()]));
    settings.listeners[0].rules.push(Rule {
        priority: 10,
        conditions: vec![Condition::path(["/never"]).unwrap()],
        transforms: Default::default(),
        action: Action::forward_to(0),
        origin: String::new(),
    });
    let inspector = start_with(settings, false).await;
    let many: String = (1..=10_000)
        .map(|route| {
            format!("- {{name: r{route}, priority: {route}, conditions: {{path: /s{route}/*}}, forward: b}}\n")
        })
        .collect();
    let many = format!("version: 1\nbackends: {{b: https://b.example}}\ndefault: {{forward: b}}\nroutes:\n{many}");
    inspector.explain_with(routes(&many));
    tell_routed(&inspector, 1, "/s9000/x", r#""route":"r9000","backend":"b","chosen":"only","attempts":1"#);
    inspector.explain_with(routes(CONFIG));
    tell_routed(&inspector, 2, "/blog", r#""route":"blog""#);
    seen(&inspector, 2).await;
    while get(&inspector, "/?q=route:blog").await.contains("None matches") {
        sleep(Duration::from_millis(5)).await;
    }
    let list = get(&inspector, "/").await;
    assert!(list.contains("Rule</th>") && list.contains("Route</th>"), "{list}");
    let page = get(&inspector, "/requests/1").await;
    for part in
        ["The nearest 20 of 8,999 routes that do not match", "path is /s900/*", "path is /s9000/*", "id=\"rules\""]
    {
        assert!(page.contains(part), "{part}: {page}");
    }
    assert!(page.len() < 100_000, "{}", page.len());
    assert!(get(&inspector, "/requests/2").await.contains("path is /blog"));
}

/// All back ends of the first request failed: nothing took over.
#[tokio::test]
async fn a_failover_needs_a_back_end_that_has_answered() {
    let inspector = start().await;
    inspector.explain_with(routes(CONFIG));
    let skipped = r#""route":"orders","skipped":[{"backend":"modern","outcome":"503"}]"#;
    tell_routed(&inspector, 1, "/orders/1", &format!(r#"{skipped},"error":"http_request_error""#));
    tell_routed(&inspector, 2, "/orders/2", &format!(r#"{skipped},"backend":"legacy""#));
    seen(&inspector, 2).await;
    let mut page = String::new();
    for _ in 0..200 {
        page = get(&inspector, "/?q=is:failover").await;
        if page.contains("/orders/2") {
            break;
        }
        sleep(Duration::from_millis(5)).await;
    }
    assert!(page.contains("/orders/2") && !page.contains("/orders/1"), "{page}");
}
