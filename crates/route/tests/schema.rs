//! The JSON Schema and the parser know the same keys and defaults, and accept the same values.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crossfade_route::{Checked, SCHEMA, Surroundings};
use jsonschema::Validator;
use serde_json::{Value, json};

/// The files next to the configurations, and two variables.
struct Fixtures(PathBuf);

impl Surroundings for Fixtures {
    fn variable(&self, name: &str) -> Option<String> {
        matches!(name, "STAGE" | "SHARE").then(|| "25".to_owned())
    }

    fn file(&self, path: &Path) -> Result<Vec<u8>, String> {
        fs::read(self.0.join(path)).map_err(|error| error.to_string())
    }
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config")
}

fn check(text: &str) -> Checked {
    Checked::new(text, "crossfade.yaml", &Fixtures(folder()))
}

fn parse(text: &str) -> Value {
    let options = serde_saphyr::options! { strict_booleans: true };
    serde_saphyr::from_str_with_options(text, options).unwrap()
}

fn full() -> Value {
    parse(&fs::read_to_string(folder().join("full.yaml")).unwrap())
}

/// Returns the document with another value in one place.
fn with(document: &Value, pointer: &str, value: Value) -> Value {
    let mut document = document.clone();
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    document.pointer_mut(parent).unwrap()[key] = value;
    document
}

fn schema() -> Value {
    serde_json::from_str(SCHEMA).unwrap()
}

fn validator() -> Validator {
    jsonschema::draft7::new(&schema()).unwrap()
}

fn assert_valid(validator: &Validator, document: &Value, name: &str) {
    let errors: Vec<_> =
        validator.iter_errors(document).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{name}: {errors:#?}");
}

/// Returns every schema within a schema that has `properties`, with its JSON pointer.
fn maps<'s>(schema: &'s Value, pointer: &str) -> Vec<(String, &'s Value)> {
    let own = schema.get("properties").map(|_| (pointer.to_owned(), schema));
    let inner: Vec<(String, &Value)> = match schema {
        Value::Object(members) => members.iter().map(|(key, value)| (key.clone(), value)).collect(),
        Value::Array(items) => items.iter().enumerate().map(|(index, value)| (index.to_string(), value)).collect(),
        _ => Vec::new(),
    };
    own.into_iter().chain(inner.iter().flat_map(|(key, value)| maps(value, &format!("{pointer}/{key}")))).collect()
}

fn keys(map: &Value) -> BTreeSet<&str> {
    map["properties"].as_object().unwrap().keys().map(String::as_str).collect()
}

/// Values that are accepted in some places of `full.yaml`.
fn allowed() -> Vec<(&'static str, Value)> {
    let by = "/routes/0/forward/sticky/by";
    vec![
        ("/tests", json!([])),
        ("/tests", Value::Null),
        ("/version", json!("${env:NONE, 1}")),
        ("/streaming", json!("rest-api")),
        ("/streaming", json!(["rest-api"])),
        ("/spill", json!({ "bucket": "a.b-c" })),
        ("/spill/bucket", json!("${env:NONE, shop}")),
        ("/spill/prefix", json!("a/b_c.d/")),
        ("/spill/prefix", json!(7)),
        ("/spill/expires", json!("7d")),
        ("/accessLog", json!(true)),
        ("/accessLog", json!(false)),
        ("/accessLog", json!({})),
        ("/accessLog/percent", json!(0)),
        ("/accessLog/percent", json!("${env:SHARE}")),
        ("/metrics", json!(true)),
        ("/metrics", json!(false)),
        ("/metrics", json!({})),
        ("/metrics/routes", json!(false)),
        ("/metrics/namespace", json!(7)),
        ("/metrics/namespace", json!(" a#b:c-d_e.f")),
        ("/metrics/namespace", json!("${env:NONE, shop}")),
        ("/accessLog/names", json!("crossfade")),
        ("/tracing", json!({})),
        ("/tracing", json!({ "w3c": "forward" })),
        ("/tracing/xray", json!(false)),
        ("/tracing/sampled", json!(0.5)),
        ("/backends/modern/publicUrl", json!("https://shop.example.com")),
        ("/backends/modern/publicUrl/content", json!("text/*")),
        ("/backends/modern/tls/insecureSkipVerify", json!(true)),
        ("/backends/modern/tls/minVersion", json!("1.2")),
        ("/backends/modern/tls/allowMissingCloseNotify", json!(true)),
        ("/backends/modern/timeouts/connect", json!(".5s")),
        ("/backends/modern/retry/attempts", json!("${env:NONE, 5}")),
        ("/backends/modern/retry/codes", json!("5xx")),
        ("/backends/modern/retry/budget", json!(100)),
        ("/routes/0/conditions/query", json!({ "allOf": [{ "regex": "a" }, ""], "x": { "regex": "^$" } })),
        ("/routes/0/forward/targets/0/weight", json!(0)),
        ("/routes/0/forward/targets/0/weight", json!(999)),
        ("/routes/0/forward/targets/0/weight", json!("${env:SHARE}")),
        (by, json!("ip")),
        (by, json!("assigned")),
        (by, json!({ "assigned": "side" })),
        (by, json!({ "header": "x-user" })),
        (by, json!({ "query": "user" })),
        (by, json!({ "jwtClaim": "sub" })),
        (by, json!({ "jwtClaim": { "claim": "sub", "header": "x-token" } })),
        ("/routes/0/forward/failover/on", json!("5xx")),
        ("/routes/0/forward/failover", json!({ "to": "legacy" })),
        ("/routes/0/mirror", json!({ "backend": "modern", "percent": 0 })),
        ("/routes/0/mirror/percent", json!("0.125 %")),
        ("/routes/0/mirror/sticky/by", json!("ip")),
        ("/routes/0/mirror/credentials", json!(true)),
        ("/routes/0/mirror/credentials", json!("cookie")),
        ("/routes/0/mirror/compare", json!(false)),
        ("/routes/0/mirror/compare/headers", json!("all")),
        ("/routes/0/mirror/compare/ignore", json!("status")),
        ("/routes/0/mirror/compare/unordered", json!("/a~1b/**")),
        ("/routes/0/mirror/compare/unordered", json!("body")),
        ("/routes/0/mirror/compare/accepted", json!(["body", "/a"])),
        ("/routes/0/mirror/compare/treatEqual", json!("uuid")),
        ("/routes/0/requestHeaders/set/x-number", json!(1.5)),
        ("/routes/1/redirect/status", json!("308")),
        ("/routes/1/redirect/port", json!(8443)),
        (
            "/default",
            json!({ "forward": "local", "mirror": { "backend": "modern", "percent": 1 }, "transforms": {}, "requestHeaders": { "remove": "x-a" } }),
        ),
        ("/default", json!({ "redirect": { "port": "#{port}" }, "responseHeaders": { "set": { "x-a": true } } })),
        ("/default", json!({ "fixedResponse": { "status": 404 } })),
    ]
}

/// Values that are rejected.
fn rejected() -> Vec<(&'static str, Value)> {
    let by = "/routes/0/forward/sticky/by";
    vec![
        ("/colour", json!("red")),
        ("/version", json!(2)),
        ("/backends", json!({})),
        ("/backends/a b", json!("https://a.example.com")),
        ("/backends/legacy", json!("legacy.example.com")),
        ("/backends/modern/url", json!("https://user@modern.example.com")),
        ("/backends/modern/tls/minVersion", json!(1.1)),
        ("/backends/modern/tls/allowMissingCloseNotify", json!("yes")),
        ("/backends/modern/tls/clientCert", json!({ "certFile": "files/corp-ca.pem" })),
        ("/backends/modern/http2", json!("yes")),
        ("/backends/modern/timeouts/connect", json!(5)),
        ("/backends/modern/timeouts/connect", json!("5 s")),
        ("/backends/modern/timeouts/connect", json!("0.0s")),
        ("/backends/modern/retry/attempts", json!(6)),
        ("/backends/modern/retry/codes", json!([200])),
        ("/backends/modern/retry/budget", json!("101%")),
        ("/backends/modern/retry/methods", json!("post")),
        ("/backends/modern/outlier/failures", json!("3")),
        ("/routes/0/name", json!("default")),
        ("/routes/0/priority", json!(0)),
        ("/routes/0/enabled", json!("yes")),
        ("/routes/0/redirect", json!({ "host": "a.example.com" })),
        ("/routes/0/conditions/host", json!("https://a.example.com")),
        ("/routes/0/conditions/path", json!(["api"])),
        ("/routes/0/conditions/path", json!({ "prefix": "/api", "exact": "/api" })),
        ("/routes/0/conditions/header", json!({ "values": "a" })),
        ("/routes/0/conditions/ip", json!("example.com")),
        ("/routes/0/conditions/not", json!({})),
        ("/routes/0/conditions/anyOf", json!([])),
        ("/routes/0/transforms/path", json!({ "prefix": "/a" })),
        ("/routes/0/transforms/host", json!({ "regex": "a" })),
        ("/routes/0/forward/targets/0/weight", json!(1000)),
        ("/routes/0/forward/targets/0/weight", json!(1.5)),
        (by, json!("user")),
        (by, json!({ "cookie": "a", "header": "b" })),
        (by, json!({ "jwtClaim": { "claim": "a", "header": "b", "cookie": "c" } })),
        ("/routes/0/forward/optIn", json!({ "cookie": "a" })),
        ("/routes/0/forward/failover/on", json!(["conectError"])),
        ("/routes/0/requestHeaders/remove", json!("x y")),
        ("/routes/0/mirror", json!({ "backend": "modern" })),
        ("/routes/0/mirror/percent", json!(101)),
        ("/routes/0/mirror/percent", json!("1.2345")),
        ("/routes/0/mirror/sticky/by", json!("assigned")),
        ("/routes/0/mirror/sticky/by", json!("user")),
        ("/routes/0/mirror/credentials", json!("x y")),
        ("/routes/0/mirror/compare/ignore", json!("a b")),
        ("/routes/0/mirror/compare/unordered", json!("items")),
        ("/routes/0/mirror/compare/unordered", json!("/a~2")),
        ("/routes/0/mirror/compare/tolerance", json!({ "/total": "-1" })),
        ("/routes/0/mirror/compare/tolerance", json!({ "total": 1 })),
        ("/routes/0/mirror/compare/treatEqual", json!("date")),
        ("/routes/0/mirror/compare/accepted", json!({ "pointer": "/a", "until": "31.12.2026" })),
        ("/routes/0/mirror/compare/endpoints", json!("products")),
        ("/routes/1/redirect", json!({ "status": 301 })),
        ("/routes/1/redirect/status", json!(300)),
        ("/routes/1/redirect/path", json!("a")),
        ("/routes/1/mirror", json!({ "backend": "modern", "percent": 1 })),
        ("/routes/1/transforms", json!({ "path": { "prefix": "/a", "replace": "/b" } })),
        ("/routes/3/fixedResponse/bodyFile", json!("files/closed.html")),
        ("/default", json!("legacy")),
        ("/clientIp/trustedHops", json!(11)),
        ("/healthCheck/answer", Value::Null),
        ("/streaming", json!("alb")),
        ("/spill", json!(true)),
        ("/spill", json!({ "prefix": "a" })),
        ("/spill/bucket", json!("s3://shop")),
        ("/spill/bucket", json!("ab")),
        ("/spill/bucket", json!("a..b")),
        ("/spill/prefix", json!("/a")),
        ("/spill/prefix", json!("a/../b")),
        ("/spill/prefix", json!("")),
        ("/spill/expires", json!(900)),
        ("/streaming", json!([])),
        ("/streaming", Value::Null),
        ("/streaming", json!(true)),
        ("/accessLog", json!(10)),
        ("/accessLog", json!("off")),
        ("/accessLog", Value::Null),
        ("/accessLog/percent", json!(100.5)),
        ("/accessLog/percent", json!(false)),
        ("/accessLog/errors", json!(true)),
        ("/metrics", json!("routes")),
        ("/metrics", Value::Null),
        ("/metrics/routes", json!("some")),
        ("/metrics/paths", json!(true)),
        ("/metrics/namespace", json!("")),
        ("/metrics/namespace", json!("  ")),
        ("/metrics/namespace", json!(":a")),
        ("/metrics/namespace", json!("AWS/Lambda")),
        ("/metrics/namespace", json!("a\"b")),
        ("/metrics/namespace", json!("ü")),
        ("/metrics/namespace", json!("a".repeat(256))),
        ("/accessLog/names", json!("ecs")),
        ("/tracing", json!(true)),
        ("/tracing/xray", json!("active")),
        ("/tracing/w3c", json!(true)),
        ("/tracing/sampled", json!(101)),
        ("/tracing/otlp", json!(true)),
        ("/tests/0/request", json!("GET /a")),
        ("/tests/0/expect", json!({})),
    ]
}

#[test]
fn accepted_files_are_valid_and_use_every_key_of_the_schema() {
    let (schema, validator, full) = (schema(), validator(), full());
    let mut accepted: Vec<(String, Value)> = Vec::new();
    for entry in fs::read_dir(folder()).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_some_and(|extension| extension == "yaml") {
            let text = fs::read_to_string(&path).unwrap();
            if check(&text).table.is_some() {
                accepted.push((path.display().to_string(), parse(&text)));
            }
        }
    }
    for (pointer, value) in allowed() {
        let name = format!("full.yaml with {value} at {pointer}");
        let document = with(&full, pointer, value);
        let checked = check(&document.to_string());
        assert!(checked.table.is_some(), "{name}: {}", checked.diagnostics);
        accepted.push((name, document));
    }
    assert!(accepted.iter().any(|(name, _)| name.ends_with("full.yaml")));

    let mut used = BTreeSet::new();
    for (name, document) in &accepted {
        assert_valid(&validator, document, name);
        // Every key has annotations, at least a description.
        let evaluation = validator.evaluate(document);
        let places = evaluation.iter_annotations().filter_map(|entry| entry.schema_location.split_once('#'));
        used.extend(places.map(|(_, pointer)| pointer.to_owned()));
    }
    for (pointer, map) in maps(&schema, "") {
        for key in keys(map) {
            let place = format!("{pointer}/properties/{key}");
            assert!(map["properties"][key]["description"].is_string(), "{place} is not described");
            assert!(used.contains(&place), "no document has {place}");
        }
    }
}

#[test]
fn both_reject_the_same_values() {
    let (validator, full) = (validator(), full());
    for (pointer, value) in rejected() {
        let document = with(&full, pointer, value.clone());
        assert!(check(&document.to_string()).table.is_none(), "the parser accepts {value} at {pointer}");
        assert!(!validator.is_valid(&document), "the schema accepts {value} at {pointer}");
    }
}

#[test]
fn defaults_are_those_of_the_parser() {
    // Pins are a hash map, whose order is random.
    let full = with(&full(), "/routes/0/forward/sticky/pin", json!({}));
    let compiled = |document: &Value| format!("{:?}", check(&document.to_string()).table.unwrap());
    let validator = validator();
    let evaluation = validator.evaluate(&full);
    let mut compared = 0;
    for entry in evaluation.iter_annotations() {
        let Some(default) = entry.annotations.value().get("default") else { continue };
        let pointer = entry.instance_location.as_str();
        let (parent, key) = pointer.rsplit_once('/').unwrap();
        let mut without = full.clone();
        without.pointer_mut(parent).unwrap().as_object_mut().unwrap().remove(key).unwrap();
        assert_eq!(compiled(&with(&full, pointer, default.clone())), compiled(&without), "{pointer}");
        compared += 1;
    }
    assert!(compared > 10);
}

/// A document for each map of the schema, with an unknown key in it.
const UNKNOWN_KEYS: &[(&str, &str)] = &[
    ("", "zzzzzz: 1"),
    ("/definitions/backend", "backends: { a: { zzzzzz: 1 } }"),
    ("/definitions/publicUrl", "backends: { a: { publicUrl: { zzzzzz: 1 } } }"),
    ("/definitions/tls", "backends: { a: { tls: { zzzzzz: 1 } } }"),
    ("/definitions/clientCert", "backends: { a: { tls: { clientCert: { zzzzzz: 1 } } } }"),
    ("/definitions/backendTimeouts", "backends: { a: { timeouts: { zzzzzz: 1 } } }"),
    ("/definitions/retry", "backends: { a: { retry: { zzzzzz: 1 } } }"),
    ("/definitions/outlier", "backends: { a: { outlier: { zzzzzz: 1 } } }"),
    ("/definitions/route", "routes: [{ zzzzzz: 1 }]"),
    ("/definitions/default", "default: { zzzzzz: 1 }"),
    ("/definitions/conditions", "routes: [{ conditions: { zzzzzz: 1 } }]"),
    ("/definitions/conditions", "routes: [{ conditions: { not: { zzzzzz: 1 } } }]"),
    ("/definitions/conditions", "routes: [{ conditions: { anyOf: [{ zzzzzz: 1 }] } }]"),
    ("/definitions/header", "routes: [{ conditions: { header: { zzzzzz: [] } } }]"),
    ("/definitions/cookie", "routes: [{ conditions: { cookie: { zzzzzz: [] } } }]"),
    ("/definitions/regex", "routes: [{ conditions: { host: { zzzzzz: 1 } } }]"),
    ("/definitions/regex", "routes: [{ conditions: { header: { name: a, values: { zzzzzz: 1 } } } }]"),
    ("/definitions/regex", "routes: [{ conditions: { query: { a: { zzzzzz: 1 } } } }]"),
    ("/definitions/path", "routes: [{ conditions: { path: { zzzzzz: 1 } } }]"),
    ("/definitions/transforms", "default: { transforms: { zzzzzz: 1 } }"),
    ("/definitions/pathTransform", "default: { transforms: { path: { zzzzzz: 1 } } }"),
    ("/definitions/rewrite", "default: { transforms: { query: { zzzzzz: 1 } } }"),
    ("/definitions/rewrite", "default: { transforms: { host: { zzzzzz: 1 } } }"),
    ("/definitions/forward", "default: { forward: { zzzzzz: 1 } }"),
    ("/definitions/target", "default: { forward: { targets: [{ zzzzzz: 1 }] } }"),
    ("/definitions/sticky", "default: { forward: { targets: [a], sticky: { zzzzzz: 1 } } }"),
    ("/definitions/user", "default: { forward: { targets: [a], sticky: { by: { zzzzzz: 1 } } } }"),
    ("/definitions/jwtClaim", "default: { forward: { targets: [a], sticky: { by: { jwtClaim: { zzzzzz: 1 } } } } }"),
    ("/definitions/optIn", "default: { forward: { targets: [a], optIn: { zzzzzz: 1 } } }"),
    ("/definitions/failover", "default: { forward: { targets: [a], failover: { zzzzzz: 1 } } }"),
    ("/definitions/mirror", "default: { forward: a, mirror: { zzzzzz: 1 } }"),
    ("/definitions/mirror/properties/sticky", "default: { forward: a, mirror: { sticky: { zzzzzz: 1 } } }"),
    ("/definitions/mirrorTimeouts", "default: { forward: a, mirror: { timeouts: { zzzzzz: 1 } } }"),
    ("/definitions/compare", "default: { forward: a, mirror: { compare: { zzzzzz: 1 } } }"),
    ("/definitions/scoped", "default: { forward: a, mirror: { compare: { rules: { zzzzzz: 1 } } } }"),
    ("/definitions/place/anyOf/3", "default: { forward: a, mirror: { compare: { ignore: { zzzzzz: 1 } } } }"),
    ("/definitions/noise", "default: { forward: a, mirror: { compare: { noise: { zzzzzz: 1 } } } }"),
    ("/definitions/unordered/anyOf/1", "default: { forward: a, mirror: { compare: { unordered: { zzzzzz: 1 } } } }"),
    ("/definitions/accepted/anyOf/1", "default: { forward: a, mirror: { compare: { accepted: { zzzzzz: 1 } } } }"),
    ("/definitions/redirect", "default: { redirect: { zzzzzz: 1 } }"),
    ("/definitions/fixedResponse", "default: { fixedResponse: { zzzzzz: 1 } }"),
    ("/definitions/fieldEdits", "default: { requestHeaders: { zzzzzz: 1 } }"),
    ("/definitions/fieldEdits", "default: { responseHeaders: { zzzzzz: 1 } }"),
    ("/definitions/migration", "migration: { zzzzzz: 1 }"),
    ("/definitions/timeouts", "timeouts: { zzzzzz: 1 }"),
    ("/definitions/requestId", "requestId: { zzzzzz: 1 }"),
    ("/definitions/clientIp", "clientIp: { zzzzzz: 1 }"),
    ("/definitions/healthCheck", "healthCheck: { zzzzzz: 1 }"),
    ("/definitions/accessLog", "accessLog: { zzzzzz: 1 }"),
    ("/definitions/metrics", "metrics: { zzzzzz: 1 }"),
    ("/definitions/tracing", "tracing: { zzzzzz: 1 }"),
    ("/definitions/spill", "spill: { zzzzzz: 1 }"),
    ("/definitions/errorPage", "errorPages: { zzzzzz: 1 }"),
    ("/definitions/maintenance", "maintenance: { zzzzzz: 1 }"),
    ("/definitions/test", "tests: [{ zzzzzz: 1 }]"),
    ("/definitions/expect", "tests: [{ request: https://a.example.com, expect: { zzzzzz: 1 } }]"),
];

#[test]
fn both_know_the_same_keys() {
    let schema = schema();
    for (pointer, text) in UNKNOWN_KEYS {
        let diagnostics = check(text).diagnostics;
        let mut hints = diagnostics.list.iter().filter_map(|found| found.hint.as_deref());
        let known = hints.find_map(|hint| hint.strip_prefix("known keys: ")).unwrap_or_else(|| panic!("{diagnostics}"));
        assert_eq!(keys(schema.pointer(pointer).unwrap()), known.split(", ").collect(), "{text}");
    }
    let of_parser: BTreeSet<_> = UNKNOWN_KEYS.iter().map(|(pointer, _)| (*pointer).to_owned()).collect();
    let closed = maps(&schema, "").into_iter().filter(|(_, map)| map["additionalProperties"] == false);
    assert_eq!(closed.map(|(pointer, _)| pointer).collect::<BTreeSet<_>>(), of_parser);
}
