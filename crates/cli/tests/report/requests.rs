//! A generated access log for the tests of `report --traffic`: deterministic, two hours of a migration.

#![allow(unreachable_pub, reason = "the page's tests use it too")]

use std::time::{Duration, UNIX_EPOCH};

use serde_json::{Value, json};

/// 2026-11-24T08:00:00Z.
const BEGIN: u64 = 1_795_507_200;

/// The file of that migration.
pub const CONFIG: &str = "version: 1
backends: { legacy: https://legacy.example.com, modern: https://modern.example.com }
migration: { from: legacy, to: modern, routes: orders }
routes:
  - name: catalogue
    priority: 1
    conditions: { path: /products/* }
    forward: { targets: [{ backend: legacy, weight: 0 }, { backend: modern, weight: 1 }] }
    mirror: { backend: legacy, percent: 1, compare: { endpoints: ['/products/{slug}'] } }
  - name: search
    priority: 2
    conditions: { path: /search }
    forward: { targets: [{ backend: legacy, weight: 0 }, { backend: modern, weight: 1 }] }
  - name: orders
    priority: 3
    conditions: { path: /api/orders* }
    forward:
      targets: [{ backend: legacy, weight: 1 }, { backend: modern, weight: 0 }]
      sticky: { by: { cookie: customer_id }, pin: { legacy: [7] }, otherwise: legacy }
      failover: { on: [503, timeout], to: legacy }
  - name: exports
    priority: 4
    conditions: { path: /exports/* }
    forward: legacy
  - name: images
    priority: 5
    conditions: { path: /images/* }
    forward: modern
default: { forward: legacy }
";

/// A line so many seconds after eight, with members put in place of others.
pub fn line(second: u64, number: u64, members: &Value) -> String {
    let time = humantime::format_rfc3339_millis(UNIX_EPOCH + Duration::from_secs(BEGIN + second));
    let mut line = json!({
        "version": 3, "time": time.to_string(), "request_id": format!("{number:08x}-5d2b-4e0f-9a31-6f0c2b7d9e55"),
        "method": "GET", "path": "/", "status": 200, "total_ms": 20.0, "attempts": 1,
    });
    line.as_object_mut().unwrap().extend(members.as_object().unwrap().clone());
    line.to_string().replacen('{', "{\"type\":\"access\",", 1) + "\n"
}

/// This number of requests over two hours. Customers of `orders` move from 8:24 on, `search` has moved at 8:36.
pub fn log(requests: u64) -> String {
    (0..requests).map(|number| request(number, requests)).collect()
}

fn request(number: u64, requests: u64) -> String {
    let second = 7200 * number / requests.max(1);
    let step = second / 1440;
    let chance = number.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 32;
    let moved = [0, 10, 25, 50, 90][usize::try_from(step.min(4)).unwrap()];
    let live = if step == 0 { Value::Null } else { json!(step) };
    let backend = |is_new: bool| if is_new { "modern" } else { "legacy" };
    let members = match number % 20 {
        0..=5 => json!({
            "route": "catalogue", "path": format!("/products/tea-{number}"), "backend": "modern", "chosen": "weight",
        }),
        6..=8 => json!({ "route": "search", "path": "/search", "backend": backend(second > 2160), "chosen": "weight" }),
        9 => {
            json!({ "route": "orders", "path": "/api/orders", "method": "POST", "backend": "legacy", "chosen": "otherwise" })
        }
        10 if number % 200 == 10 => json!({
            "route": "orders", "path": format!("/api/orders/{number}"), "backend": "legacy", "target": "modern", "chosen": "hash",
            "skipped": [{ "backend": "modern", "outcome": if number % 400 == 10 { "503" } else { "connection_timeout" } }],
        }),
        10 => {
            json!({ "route": "orders", "path": format!("/api/orders/{number}"), "backend": "legacy", "chosen": "pin" })
        }
        11..=15 => json!({
            "route": "orders", "path": format!("/api/orders/{number}"), "backend": backend(chance % 100 < moved), "chosen": "hash",
        }),
        16 => {
            json!({ "route": "exports", "path": format!("/exports/{number}.csv"), "backend": "legacy", "chosen": "only" })
        }
        17 => {
            json!({ "route": "default", "path": format!("/wp-{number}.php"), "status": 404, "backend": "legacy", "chosen": "only" })
        }
        18 => json!({ "route": "images", "path": "/images/logo.png", "backend": "modern", "chosen": "only" }),
        _ => json!({ "route": "health-check", "method": null, "path": null }),
    };
    let mut members = members;
    members["live"] = live;
    line(second, number, &members)
}
