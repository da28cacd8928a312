//! The index finds the same route as an evaluation of every route, for any routes and any request.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use crossfade_route::{Nothing, Observer, RequestView, RoutingTable, Skipped};
use http::HeaderMap;
use http::header::HeaderValue;
use proptest::prelude::*;
use serde_json::{Value, json};

/// Evaluates every route in order.
struct Everything;

impl Observer for Everything {
    const EVALUATES_ALL: bool = true;

    fn skipped(&mut self, _: Skipped<'_>) {}
}

/// A small alphabet: hosts and paths match, nest, and nearly match.
fn path() -> impl Strategy<Value = String> {
    "/[ab]{0,2}(/[ab]{0,2}){0,2}"
}

fn host() -> impl Strategy<Value = String> {
    "[aAb]\\.(x|y|xy)"
}

fn path_condition() -> impl Strategy<Value = Value> {
    prop_oneof![
        "/[ab*?]{0,3}(/[ab*?]{0,2}){0,1}".prop_map(Value::from),
        path().prop_map(|path| json!({ "prefix": path })),
        path().prop_map(|path| json!({ "exact": path })),
        "\\^?/[ab]{0,2}(\\(a\\|b\\)|[ab]\\*|[ab]\\?)?/?\\$?".prop_map(|regex| json!({ "regex": regex })),
    ]
}

fn host_condition() -> impl Strategy<Value = Value> {
    prop_oneof![
        4 => host().prop_map(Value::from),
        1 => "\\*\\.(x|y)".prop_map(Value::from),
        1 => Just(json!({ "regex": "^a" })),
    ]
}

fn conditions() -> impl Strategy<Value = Value> {
    let hosts = prop::option::of(prop::collection::vec(host_condition(), 1..4));
    let paths = prop::option::of(prop::collection::vec(path_condition(), 1..4));
    let others = prop_oneof![
        3 => Just(json!({})),
        1 => Just(json!({ "method": "POST" })),
        1 => path_condition().prop_map(|path| json!({ "not": { "path": path } })),
        1 => (path_condition(), host_condition()).prop_map(|(path, host)| json!({ "anyOf": [{ "path": path }, { "host": host }] })),
    ];
    (hosts, paths, others).prop_map(|(hosts, paths, mut conditions)| {
        for (name, values) in [("host", hosts), ("path", paths)] {
            if let Some(values) = values {
                conditions[name] = values.into();
            }
        }
        conditions
    })
}

fn table(conditions: &[Value], priorities: &[u32]) -> RoutingTable {
    let routes: Vec<Value> = conditions
        .iter()
        .zip(priorities)
        .map(|(conditions, priority)| {
            json!({ "name": format!("r{priority}"), "priority": priority, "conditions": conditions, "fixedResponse": { "status": 200 } })
        })
        .collect();
    let config = json!({ "version": 1, "backends": { "b": "https://b.example" }, "routes": routes, "default": { "forward": "b" } });
    RoutingTable::from_config(&config.to_string(), "test", &Nothing).unwrap_or_else(|errors| panic!("{errors}"))
}

fn view<'a>(host: &'a str, path: &'a str, headers: &'a HeaderMap) -> RequestView<'a> {
    RequestView { method: "GET", host: host.as_bytes(), path: path.as_bytes(), query: None, headers, source_ip: None }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]
    #[test]
    fn the_index_agrees_with_a_scan(
        conditions in prop::collection::vec(conditions(), 0..12),
        order in Just((1..=12_u32).collect::<Vec<_>>()).prop_shuffle(),
        requests in prop::collection::vec((host(), path()), 20),
    ) {
        let table = table(&conditions, &order);
        let headers = HeaderMap::new();
        for (host, path) in &requests {
            let request = view(host, path, &headers);
            let (found, expected) = (table.select(&request), table.select_observed(&request, &mut Everything));
            prop_assert_eq!(&found.name, &expected.name, "{} {}", host, path);
        }
        // A route that can never match is never selected.
        for (route, by) in table.shadowed() {
            prop_assert!(by.priority < route.priority);
            for (host, path) in &requests {
                prop_assert_ne!(&table.select(&view(host, path, &headers)).name, &route.name, "shadowed by {}", by.name);
            }
        }
    }
}

#[test]
fn a_route_with_very_many_values_is_found_by_each() {
    let hosts: Vec<String> = (0..40).map(|number| format!("h{number}.example")).collect();
    let paths: Vec<String> = (0..300).map(|number| format!("/p{number}/*")).collect();
    let few: Vec<&String> = paths.iter().take(20).collect();
    let table = table(&[json!({ "host": hosts, "path": few }), json!({ "path": paths })], &[1, 2]);
    let headers = HeaderMap::new();
    assert_eq!(table.select(&view("H39.example:443", "/p19/x", &headers)).name, "r1");
    assert_eq!(table.select(&view("h40.example", "/p19/x", &headers)).name, "r2");
    assert_eq!(table.select(&view("h39.example", "/p299/", &headers)).name, "r2");
    assert_eq!(table.select(&view("h39.example", "/p300/", &headers)).name, "default");
}

#[test]
fn conditions_see_the_request_as_received() {
    let table = table(
        &[
            json!({ "path": "/caf%C3%A9" }),
            json!({ "query": { "a": ["1", "2"], "b": "x" } }),
            json!({ "query": { "allOf": { "c": "1", "d": ["2", ""] } } }),
            json!({ "query": ["*needle*"] }),
            json!({ "cookie": { "name": "side", "values": ["new", { "regex": "^v[0-9]$" }] } }),
            json!({ "header": [{ "name": "x-a", "values": "1" }, { "name": "X-B" }] }),
        ],
        &[1, 2, 3, 4, 5, 6],
    );
    let ask = |path: &str, query: &str, fields: &[(&'static str, &str)]| {
        let headers: HeaderMap =
            fields.iter().map(|(name, value)| (name.parse().unwrap(), HeaderValue::from_str(value).unwrap())).collect();
        let request = RequestView { query: Some(query.as_bytes()), ..view("a.x", path, &headers) };
        table.select(&request).name.clone()
    };
    for (path, query, fields, route) in [
        ("/caf%C3%A9", "", &[][..], "r1"),
        ("/caf%c3%a9", "", &[], "default"),
        ("/", "A=2", &[], "r2"),
        ("/", "b=X&z", &[], "r2"),
        ("/", "a=3", &[], "default"),
        ("/", "c=1&d=2", &[], "r3"),
        ("/", "d&c=1", &[], "r3"),
        ("/", "c=1", &[], "default"),
        ("/", "q=a-Needle-b", &[], "r4"),
        ("/", "needle=1", &[], "default"),
        ("/", "", &[("cookie", "a=b; side=new")], "r5"),
        ("/", "", &[("cookie", "side=old"), ("cookie", "side=v7")], "r5"),
        ("/", "", &[("cookie", "side=NEW")], "default"),
        ("/", "", &[("cookie", "Side=new")], "default"),
        ("/", "", &[("x-a", "1"), ("x-b", "")], "r6"),
        ("/", "", &[("x-a", "1")], "default"),
    ] {
        assert_eq!(ask(path, query, fields), route, "{path}?{query} {fields:?}");
    }
}
