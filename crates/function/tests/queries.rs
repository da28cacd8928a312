//! The queries of `deploy/monitoring` over lines that a real process has written. `crates/journal/tests/monitoring.rs` has their results
//! over a day.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::net::TcpListener;

use crossfade_testkit::insights::{Event, Log, Query};
use serde_json::Value;
use support::{Folder, Function, event, response, serve};

const PACK: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy/monitoring");

/// The rows of each query, by its folder and name.
fn results(log: &[Value]) -> BTreeMap<String, Vec<String>> {
    let event =
        |(at, line): (usize, &Value)| Event { timestamp: 1_795_478_400_000 + at as u64, message: line.to_string() };
    let events: Vec<Event> = log.iter().enumerate().map(event).collect();
    let log = Log::new(&events);
    let mut results = BTreeMap::new();
    for folder in ["alarms", "queries"] {
        for file in fs::read_dir(format!("{PACK}/{folder}")).unwrap() {
            let path = file.unwrap().path();
            let query = Query::parse(&fs::read_to_string(&path).unwrap()).unwrap();
            let table = query.run(&log).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
            let rows = table.texts().iter().map(|row| row.join(" ")).collect();
            results.insert(format!("{folder}/{}", path.file_stem().unwrap().display()), rows);
        }
    }
    results
}

#[test]
fn lines_of_a_process_are_what_the_queries_expect() {
    let legacy = serve(|call| match call.target() {
        "/broken" => response("500 Internal Server Error", &[], b""),
        _ => response("200 OK", &[("content-type", "text/plain")], b"old"),
    });
    let modern = serve(|_| response("200 OK", &[("content-type", "text/plain")], b"new"));
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let folder = Folder::new();
    let config = folder.write(
        "crossfade.yaml",
        format!(
            "version: 1
backends:
  legacy: 'http://{legacy}'
  modern: 'http://{modern}'
  gone: 'http://{nobody}'
routes:
  - {{ name: moved, priority: 1, conditions: {{ path: /moved }}, forward: {{ targets: [{{ backend: gone, weight: 1 }}], failover: {{ to: legacy }} }} }}
  - {{ name: lost, priority: 2, conditions: {{ path: /lost }}, forward: gone }}
  - name: copied
    priority: 3
    conditions: {{ path: /copied }}
    forward: legacy
    mirror: {{ backend: modern, percent: 100, compare: {{ noise: false }} }}
default: {{ forward: legacy }}
"
        ),
    );
    let function = Function::start(&[("CROSSFADE_CONFIG", &config)]);
    let paths = ["/moved", "/lost", "/copied", "/broken", "/plain", "/plain"];
    for path in paths {
        function.invoke(&event("GET", path));
    }
    let log = function.log(paths.len() + 1);
    let results = results(&log);
    let first_cell = |name: &str| results[name].iter().map(|row| row.split(' ').next().unwrap()).collect::<Vec<_>>();

    assert_eq!(results["queries/requests"], ["1795478400000 6 2"]);
    assert_eq!(results["queries/errors"].len(), 2);
    assert!(results["queries/errors"].contains(&"connection_refused 502 gone 1".to_owned()), "{results:?}");
    assert!(results["queries/errors"].contains(&"from the back end 500 legacy 1".to_owned()), "{results:?}");
    assert_eq!(results["queries/failovers"], ["1795478400000 0 1 0"]);
    assert!(results["queries/first-attempts"][0].starts_with("gone connection_refused 1 1 "), "{results:?}");
    assert_eq!(results["queries/differences"].len(), 1, "{results:?}");
    assert!(results["queries/differences"][0].starts_with("/copied line: 1 value not measured 1 "), "{results:?}");
    assert!(results["queries/parity"][0].starts_with("copied GET /copied 1 1 0 "), "{results:?}");
    assert_eq!(results["alarms/back-end-failing"], ["gone 100", "legacy 25"]);
    assert_eq!(results["alarms/lost-copies"], ["0"]);
    assert_eq!(first_cell("queries/systems"), ["legacy", "gone", "legacy", "legacy"]);
    assert_eq!(results["queries/latency"].len(), 4);
    assert_eq!(results["queries/phases"].len(), 1);
    assert_eq!(first_cell("queries/connections"), ["legacy", "gone"]);
    for none in ["queries/live", "queries/spill", "queries/lost-copies", "queries/cold-starts"] {
        assert_eq!(results[none], [""; 0], "{none}");
    }
}
