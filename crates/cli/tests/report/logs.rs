//! Generated logs for the tests of `report`: deterministic, and like those of a migration.

#![allow(unreachable_pub, reason = "the page's tests use it too")]

use std::fmt::Write;
use std::time::{Duration, UNIX_EPOCH};

/// 2026-11-24T08:00:00Z.
const BEGIN: u64 = 1_795_507_200;
const TWO_HOURS: u64 = 7_200_000;

/// Numbers that look like chance and are the same on every machine (xorshift64*).
struct Chance(u64);

impl Chance {
    fn next(&mut self) -> f64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn is(&mut self, share: f64) -> bool {
        self.next() < share
    }

    /// As latencies are: most near the middle, a few far above.
    fn around(&mut self, middle: f64) -> f64 {
        let spread: f64 = (0..6).map(|_| self.next()).sum::<f64>() - 3.0;
        middle * (spread * 0.7).exp()
    }
}

/// `(route, method, endpoint, milliseconds of the old system, of the new one)`
const ENDPOINTS: [(&str, &str, &str, f64, f64); 6] = [
    ("orders-read", "GET", "/api/orders/{id}", 42.0, 31.0),
    ("orders-read", "GET", "/api/orders", 95.0, 88.0),
    ("orders-read", "HEAD", "/api/orders/{id}", 20.0, 18.0),
    ("catalogue", "GET", "/products/{slug}", 28.0, 25.0),
    ("catalogue", "GET", "/products/{slug}/reviews", 60.0, 172.0),
    ("search", "GET", "/search", 180.0, 140.0),
];

/// A log with this number of comparisons over two hours. A healthy one differs by noise only.
pub fn log(records: u64, healthy: bool) -> String {
    let mut chance = Chance(0x9e37_79b9_7f4a_7c15);
    let mut text = String::new();
    for number in 0..records {
        record(&mut text, &mut chance, number, records, healthy);
    }
    text
}

fn record(text: &mut String, chance: &mut Chance, number: u64, records: u64, healthy: bool) {
    let at = UNIX_EPOCH + Duration::from_secs(BEGIN) + Duration::from_millis(TWO_HOURS * number / records.max(1));
    let time = humantime::format_rfc3339_millis(at);
    let which = match chance.next() {
        share if share < 0.40 => 0,
        share if share < 0.55 => 1,
        share if share < 0.60 => 2,
        share if share < 0.85 => 3,
        share if share < 0.93 => 4,
        _ => 5,
    };
    let (route, method, endpoint, old, mut new) = ENDPOINTS[which];
    if healthy {
        new = new.min(old);
    }
    let itself = chance.is(0.1);
    let (against, second) = if itself { ("self", "legacy") } else { ("mirror", "modern") };
    let mut differences: Vec<String> = Vec::new();
    // Noise: another value each time in some answers, whoever gives them.
    if which == 3 && chance.is(0.3) {
        // The repeated response has a third value, or that of the mirror.
        let repeated = if chance.is(0.7) { "varies" } else { "swapped" };
        differences.push(format!(
            r#"{{"class":"value","pointer":"/recommended/*/sku","at":"/recommended/0/sku","repeated":"{repeated}"}}"#
        ));
    }
    // A release in the second hour.
    if !itself && !healthy && which == 0 && number * 2 > records && chance.is(0.06) {
        differences.push(
            r#"{"class":"value","pointer":"/items/*/price","at":"/items/2/price","repeated":"same","primary":"19.90","mirror":"19.9"}"#
                .into(),
        );
    }
    if !itself && !healthy && which == 4 && chance.is(0.015) {
        differences
            .push(r#"{"class":"missing","pointer":"/reviews/*/author/badge","at":"/reviews/0/author/badge","repeated":"same"}"#.into());
    }
    // One cause at several endpoints.
    if !itself && !healthy && which >= 3 && chance.is(0.03) {
        differences.push(r#"{"class":"missing","pointer":"strict-transport-security","repeated":"same"}"#.into());
    }
    if !itself && which == 1 && chance.is(0.2) {
        differences.push(r#"{"class":"header","pointer":"cache-control","accepted":true}"#.into());
    }
    let ms = (chance.around(old), chance.around(if itself { old } else { new }));
    let mut verdict = match differences.iter().all(|difference| difference.contains("\"accepted\"")) {
        _ if differences.is_empty() => "match",
        true => "accepted",
        false => "different",
    };
    let answered = |backend: &str, status: u16, ms: f64, url: &str| {
        format!(r#"{{"backend":"{backend}","status":{status},"ms":{ms:.1},"bytes":812{url}}}"#)
    };
    let url = |host: &str| {
        let path = endpoint.replace("{id}", "4711").replace("{slug}", "teapot");
        let query = if which == 5 { "?q=…" } else { "" };
        format!(r#","url":"https://{host}.example.com{path}{query}""#)
    };
    let mut reason = "";
    let (mut primary, mut mirror) = (answered("legacy", 200, ms.0, ""), answered(second, 200, ms.1, ""));
    match chance.next() {
        share if share < 0.006 && !itself => {
            (verdict, reason) =
                ("lost", if chance.is(0.7) { r#","reason":"time""# } else { r#","reason":"shutdown""# });
            differences.clear();
            mirror = format!(r#"{{"backend":"{second}"}}"#);
        }
        share if share < 0.008 && !itself => {
            verdict = "failed";
            differences.clear();
            primary = answered("legacy", 503, ms.0, "");
        }
        share if share < 0.010 && !itself && !healthy => {
            verdict = "different";
            differences = vec![r#"{"class":"status","pointer":"status","repeated":"unstable","primary":"200"}"#.into()];
            primary = answered("legacy", 200, ms.0, &url("legacy"));
            let to = url("modern");
            mirror = format!(r#"{{"backend":"modern","error":"connection_timeout"{to}}}"#);
        }
        share if share < 0.011 => {
            (verdict, reason) = ("unknown", r#","reason":"too-large""#);
            differences.clear();
        }
        _ if verdict == "different" => {
            (primary, mirror) =
                (answered("legacy", 200, ms.0, &url("legacy")), answered(second, 200, ms.1, &url(second_host(second))));
        }
        _ => {}
    }
    let differences =
        if differences.is_empty() { String::new() } else { format!(r#","differences":[{}]"#, differences.join(",")) };
    writeln!(
        text,
        r#"{{"type":"compare","version":2,"time":"{time}","against":"{against}","request_id":"{number:08x}-5d2b-4e0f-9a31-6f0c2b7d9e55","route":"{route}","method":"{method}","endpoint":"{endpoint}","verdict":"{verdict}"{reason}{differences},"primary":{primary},"mirror":{mirror}}}"#
    )
    .unwrap();
}

fn second_host(backend: &str) -> &str {
    if backend == "legacy" { "legacy" } else { "modern" }
}
