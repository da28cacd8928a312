//! Shadow traffic from the first request to the gate: local load balancer, function and both demo back ends as real
//! processes, which differ in every way that a comparison detects.

#![allow(clippy::unwrap_used, reason = "a test may panic, in its helpers too")]

mod support;

use std::collections::BTreeSet;
use std::path::Path;
use std::process::{Command, Output};

use crossfade_testkit::client;
use crossfade_testkit::wait::eventually;
use serde_json::Value;

use support::Dev;

/// Number of requests for each page.
const TIMES: usize = 20;
const PAGES: [&str; 8] = [
    "/orders/7",
    "/products/7",
    "/customers/10",
    "/carts/7",
    "/reviews/7",
    "/search?q=cup",
    "/help/7",
    "/invoices/7.pdf",
];

/// The differences between the demo back ends: endpoint, class, pointer, judgement.
const DIFFERENCES: [(&str, &str, &str, &str); 13] = [
    ("/carts/{id}", "value", "/requestId", "noise"),
    ("/customers/{id}", "status", "status", "regression"),
    ("/help/{id}", "text", "selector: body > p", "regression"),
    ("/invoices/{id}.pdf", "bytes", "body", "regression"),
    ("/orders/{id}", "missing", "/customer/phone", "regression"),
    ("/orders/{id}", "order", "/items", "regression"),
    ("/orders/{id}", "value", "/discount", "regression"),
    ("/products/{id}", "extra", "/currency", "regression"),
    ("/products/{id}", "extra", "cache-control/no-store", "regression"),
    ("/products/{id}", "missing", "cache-control/max-age", "regression"),
    ("/products/{id}", "type", "/price", "regression"),
    ("/search", "length", "/found", "regression"),
    ("/search", "missing", "/found/*", "regression"),
];

/// Asks for all pages and waits until the copies have been compared.
fn browse(dev: &Dev, log: &Path) {
    for page in PAGES.iter().cycle().take(PAGES.len() * TIMES) {
        let response = client::get(&dev.alb, page);
        assert!(response.status < 400, "{page}: {}", response.whole());
    }
    eventually("the comparison of all copies", || {
        std::fs::read_to_string(log).unwrap().matches(r#""against":"mirror""#).count() >= PAGES.len() * TIMES
    });
}

fn report(arguments: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_crossfade")).arg("report").args(arguments).output().unwrap()
}

/// The judgement of each difference in a report.
fn differences(report: &Value) -> BTreeSet<(String, String, String, String)> {
    let text =
        |value: &Value, key: &str| value[key].as_str().unwrap_or_else(|| panic!("no `{key}` in {value}")).to_owned();
    let endpoints = report["endpoints"].as_array().unwrap();
    let places = endpoints
        .iter()
        .flat_map(|endpoint| endpoint["differences"].as_array().unwrap().iter().map(move |place| (endpoint, place)));
    places
        .map(|(endpoint, place)| {
            (text(endpoint, "endpoint"), text(place, "class"), text(place, "pointer"), text(place, "mark"))
        })
        .collect()
}

#[test]
fn every_difference_is_found_noise_is_told_apart_and_what_is_accepted_passes_the_gate() {
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("comparisons.log");
    let file = log.to_str().unwrap();
    let dev = Dev::start(&["--comparisons", file]);
    let config = support::word_after(&dev.banner, "  config ");
    let text = std::fs::read_to_string(&config).unwrap();
    let write = |text: &str| {
        std::fs::write(&config, text).unwrap();
        dev.told("has changed: the next request uses it");
    };
    // All of them are asked twice, so that twenty requests are enough to know what is noise.
    let text = text.replace("selfCompare: 25%", "selfCompare: 100");
    write(&text);
    browse(&dev, &log);

    let gate = "parity>=99.5%,samples>=160,lost<=0%";
    let failed = report(&["--json", "--gate", gate, file]);
    assert_eq!(failed.status.code(), Some(1), "{}", String::from_utf8_lossy(&failed.stderr));
    let told: Value = serde_json::from_slice(&failed.stdout).unwrap();
    let expected = DIFFERENCES.map(|(a, b, c, d)| (a.to_owned(), b.to_owned(), c.to_owned(), d.to_owned()));
    assert_eq!(differences(&told), BTreeSet::from(expected), "{told:#}");
    let parts: Vec<_> = told["gate"].as_array().unwrap().iter().map(|part| part["ok"].as_bool().unwrap()).collect();
    assert_eq!(parts, [false, true, true], "{:#}", told["gate"]);

    // What is meant is accepted, what does not matter is said.
    std::fs::write(&log, "").unwrap();
    write(&text.replace(
        "keepValues: true",
        "accepted: [{ pointer: /customer/phone, until: 2099-12-31 }, /currency, /price, cache-control, status, body, /found], \
         unordered: /items, tolerance: { /discount: 0.01 }",
    ));
    browse(&dev, &log);
    let passed = report(&["--gate", gate, file]);
    let told = String::from_utf8_lossy(&passed.stdout);
    assert_eq!(passed.status.code(), Some(0), "{told}");
    // Nobody has asked for values any more.
    assert!(!std::fs::read_to_string(&log).unwrap().contains("555-0100"));
    assert!(dev.stop("-INT").success());
}
