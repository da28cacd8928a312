//! A small shop in two systems. Each difference that a comparison detects occurs in one place.
//!
//! Owns the content of these pages. All except `/carts` are the same on every request.

use std::time::{Duration, SystemTime};

use http::header::{CACHE_CONTROL, HeaderValue};
use http::{StatusCode, Uri};
use maud::html;
use serde_json::{Value, json};

use super::System;
use super::answer::{Answer, content, json as json_answer, text};
use crate::html::render;

/// Extra response time of the new system's search.
const SLOW_SEARCH: Duration = Duration::from_millis(40);

/// Response time of a page.
pub(super) fn delay(system: System, uri: &Uri) -> Duration {
    if system == System::Modern && uri.path() == "/search" { SLOW_SEARCH } else { Duration::ZERO }
}

/// Returns the page of a path, if the shop has one.
pub(super) fn page(system: System, path: &str, now: SystemTime) -> Option<Answer> {
    if path == "/search" {
        return Some(json_answer(&results(system)));
    }
    let (folder, name) = path.strip_prefix('/')?.split_once('/')?;
    if name.is_empty() || name.contains('/') {
        return None;
    }
    Some(match folder {
        "orders" => json_answer(&order(system, name)),
        "products" => product(system, name),
        "customers" => customer(system, name),
        "carts" => json_answer(&cart(name, now)),
        "reviews" => json_answer(&json!({ "id": name, "stars": 4, "text": "does what it says" })),
        "help" => help(system, name),
        "invoices" => content("application/pdf", invoice(system)),
        _ => return None,
    })
}

/// A `missing` member, another `order` of a list, a `value` that is rounded differently.
fn order(system: System, id: &str) -> Value {
    let items = [json!({ "sku": "tea", "price": 4.95 }), json!({ "sku": "cup", "price": 14.95 })];
    let [tea, cup] = items;
    match system {
        System::Legacy => json!({
            "id": id, "status": "shipped", "items": [tea, cup], "total": 19.9, "discount": 1.985,
            "customer": { "name": "A. Smith", "phone": "555-0100" }
        }),
        System::Modern => json!({
            "id": id, "status": "shipped", "items": [cup, tea], "total": 19.9, "discount": 1.99,
            "customer": { "name": "A. Smith" }
        }),
    }
}

/// A price of another `type`, an `extra` member, a `header` for caches.
fn product(system: System, id: &str) -> Answer {
    let (value, caching) = match system {
        System::Legacy => (json!({ "id": id, "name": "Cup", "price": "14.95" }), "max-age=60"),
        System::Modern => (json!({ "id": id, "name": "Cup", "price": 14.95, "currency": "EUR" }), "no-store"),
    };
    let mut answer = json_answer(&value);
    answer.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static(caching));
    answer
}

/// Every tenth customer has not been migrated: another `status`.
fn customer(system: System, id: &str) -> Answer {
    if system == System::Modern && id.ends_with('0') {
        return text(StatusCode::NOT_FOUND, "no such customer\n");
    }
    json_answer(&json!({ "id": id, "name": "A. Smith", "newsletter": false }))
}

/// Noise: values that change on every request, in both systems.
fn cart(id: &str, now: SystemTime) -> Value {
    let nanos = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default().as_nanos();
    json!({ "id": id, "items": [{ "sku": "tea", "count": 2 }], "requestId": format!("{nanos:032x}"), "servedAt": nanos.to_string() })
}

/// A list of another `length`.
fn results(system: System) -> Value {
    let found = match system {
        System::Legacy => vec!["cup", "teacup", "cupboard"],
        System::Modern => vec!["cup", "teacup"],
    };
    json!({ "query": "cup", "found": found })
}

/// The same page in other markup, but for one `text`.
fn help(system: System, name: &str) -> Answer {
    let page = match system {
        System::Legacy => html! {
            h1 lang="en" class="big" { "Help" } "\n\n  " p { "About " (name) ". Call us   any day." } "\n"
        },
        System::Modern => html! {
            h1 class="big" lang="en" { "Help" } p { "About " (name) ". Write to us any day." }
        },
    };
    content("text/html; charset=utf-8", render(page))
}

/// Other `bytes`.
fn invoice(system: System) -> Vec<u8> {
    format!("%PDF-1.4\n% by {}\n%%EOF\n", system.name()).into_bytes()
}
