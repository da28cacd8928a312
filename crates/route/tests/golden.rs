//! Configurations beside what they compile to or what is wrong with them, in `fixtures/config`: `NAME.yaml` ->
//! `NAME.txt`. A new case is a new file; with `BLESS=1` in the environment the expectations are written anew.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::fmt::Write;
use std::fs;
use std::path::Path;

use crossfade_route::RoutingTable;

#[test]
fn configurations_compile_or_say_why_not() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/config");
    let mut cases = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        cases += 1;
        let text = fs::read_to_string(&path).unwrap();
        let file_name = path.file_name().unwrap().to_str().unwrap();
        let actual = match RoutingTable::from_config(&text, file_name) {
            Ok(table) => describe(&table),
            Err(diagnostics) => format!("{diagnostics}\n"),
        };
        let golden = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, &actual).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert!(expected == actual, "{file_name}\n--- expected\n{expected}\n--- actual\n{actual}");
    }
    assert!(cases > 5);
}

fn describe(table: &RoutingTable) -> String {
    let mut text = String::new();
    for backend in table.backends() {
        writeln!(text, "backend {} = {:?} {} port {}", backend.name, backend.scheme, backend.host, backend.port)
            .unwrap();
        writeln!(text, "  authority {:?}, base path {:?}", backend.authority, backend.base_path).unwrap();
        writeln!(text, "  host header {:?}, http2 {:?}", backend.host_header, backend.http2).unwrap();
        writeln!(text, "  {:?}", backend.tls).unwrap();
        writeln!(text, "  {:?}", backend.timeouts).unwrap();
    }
    writeln!(text, "request timeout {:?}, request id in {}", table.request_timeout, table.request_id_field).unwrap();
    writeln!(text, "health checks answered by {:?}", table.health_check).unwrap();
    writeln!(text, "default -> {}", table.select().backend.name).unwrap();
    text
}
