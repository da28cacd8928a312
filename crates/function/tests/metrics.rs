//! Metrics in the lines of the log, as CloudWatch reads them, and the lines that Lambda's settings of the log ask for. The real
//! process runs between a Runtime API and its back ends.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crossfade_journal::{AccessRecord, Metrics, comparison};
use crossfade_testkit::emf::{Point, points};
use crossfade_testkit::server::{Call, closed_port};
use serde_json::{Value, json};
use support::{Folder, Function, event, response, serve};

type Counts = &'static [(&'static str, f64)];

/// A request for each cause of an error, and what it is to count besides `requests` and durations.
const CAUSES: [(&str, u64, Counts); 14] = [
    ("/ok", 200, &[]),
    ("/404", 404, &[("client_errors", 1.0)]),
    ("/503", 503, &[("errors", 1.0), ("backend_errors", 1.0)]),
    ("/slow", 504, &[("errors", 1.0), ("timeout_errors", 1.0)]),
    ("/dead", 502, &[("errors", 1.0), ("connect_errors", 1.0)]),
    ("/garbage", 502, &[("errors", 1.0), ("response_errors", 1.0)]),
    ("/fragile", 502, &[("errors", 1.0), ("connect_errors", 1.0)]),
    // The circuit breaker is open from here on.
    ("/fragile", 503, &[("errors", 1.0), ("circuit_errors", 1.0), ("circuit_open", 1.0)]),
    ("/fragile/failover", 200, &[("failovers", 1.0), ("circuit_open", 1.0)]),
    ("/retried/503", 503, &[("errors", 1.0), ("backend_errors", 1.0), ("retries", 2.0)]),
    ("/failover", 200, &[("failovers", 1.0)]),
    ("/loop", 508, &[("errors", 1.0), ("proxy_errors", 1.0)]),
    // The configuration's own response has no cause.
    ("/fixed", 503, &[("errors", 1.0)]),
    ("/mirrored", 200, &[]),
];

fn back_end(call: &Call) -> Vec<u8> {
    match call.target() {
        path if path.ends_with("/503") => response("503 Service Unavailable", &[], b""),
        "/404" => response("404 Not Found", &[], b""),
        "/garbage" => b"no response\r\n\r\n".to_vec(),
        "/slow" => {
            std::thread::sleep(Duration::from_millis(500));
            response("200 OK", &[], b"")
        }
        _ => response("200 OK", &[("content-type", "text/plain")], b"ok"),
    }
}

/// A route for each of the paths, and the keys at the end.
fn config(folder: &Folder, keys: &str) -> String {
    let (a, modern) = (
        serve(|call| back_end(&call)),
        serve(|call| match call.target() {
            "/late" => back_end(&Call { line: "GET /slow HTTP/1.1".to_owned(), ..call }),
            _ => response("200 OK", &[], b"other"),
        }),
    );
    let (dead, fragile) = (closed_port(), closed_port());
    let routes = [
        ("slow", "{ path: [/slow] }", "forward: slow"),
        ("dead", "{ path: [/dead] }", "forward: dead"),
        (
            "fragile-failover",
            "{ path: [/fragile/failover] }",
            "forward: { targets: [fragile], failover: { on: connectError, to: a } }",
        ),
        ("fragile", "{ path: [/fragile] }", "forward: fragile"),
        ("retried", "{ path: [/retried/*] }", "forward: retried"),
        ("failover", "{ path: [/failover] }", "forward: { targets: [dead], failover: { on: connectError, to: a } }"),
        ("fixed", "{ path: [/fixed] }", "fixedResponse: { status: 503 }"),
        (
            "mirrored",
            "{ path: [/mirrored] }",
            "forward: a, mirror: { backend: modern, percent: 100, compare: { noise: { selfCompare: 100 } } }",
        ),
        (
            "late",
            "{ path: [/late] }",
            "forward: a, mirror: { backend: modern, percent: 100, budget: 20ms, compare: {} }",
        ),
    ];
    let routes: String = (1..)
        .zip(routes)
        .map(|(priority, (name, conditions, action))| {
            format!("  - {{ name: {name}, priority: {priority}, conditions: {conditions}, {action} }}\n")
        })
        .collect();
    folder.write(
        "crossfade.yaml",
        format!(
            "version: 1\nbackends:\n  a: http://{a}\n  modern: http://{modern}\n  dead: http://127.0.0.1:{dead}\n  \
             slow: {{ url: 'http://{a}', timeouts: {{ backendRequest: 100ms }} }}\n  \
             fragile: {{ url: 'http://127.0.0.1:{fragile}', outlier: {{ failures: 1, for: 1h }} }}\n  \
             retried: {{ url: 'http://{a}', retry: {{ codes: [5xx], attempts: 2, backoff: 1ms, budget: 100 }} }}\n\
             routes:\n{routes}default: {{ forward: a }}\n{keys}\n"
        ),
    )
}

fn request(path: &str) -> Value {
    let mut event = event("GET", path);
    if path == "/loop" {
        event["headers"]["cdn-loop"] = json!("crossfade-shop");
    }
    event
}

/// The lines so far, once one for this path or of this type has come, with their points.
fn lines(function: &Function, last: &str) -> Vec<(Value, Vec<Point>)> {
    function.log_until(|lines| lines.iter().any(|line| line["path"] == last || line["type"] == last));
    let said = function.said();
    let lines = said.lines().filter(|line| !line.is_empty());
    let lines =
        lines.map(|line| (serde_json::from_str(line).unwrap(), points(line).unwrap_or_else(|e| panic!("{e}: {line}"))));
    lines.collect()
}

/// Names and sums of the points with these dimensions, without durations.
fn counted(points: &[Point], dimensions: &[(&str, &str)]) -> BTreeMap<String, f64> {
    let wanted: BTreeMap<_, _> =
        dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
    let mut sums = BTreeMap::new();
    for point in points.iter().filter(|point| point.dimensions == wanted && point.unit != "Milliseconds") {
        *sums.entry(point.name.clone()).or_default() += point.values.iter().sum::<f64>();
    }
    sums
}

#[test]
fn each_cause_has_its_metric_and_each_line_is_a_valid_document() {
    let folder = Folder::new();
    let file = config(&folder, "metrics: { routes: true }");
    let function = Function::start(&[("CROSSFADE_CONFIG", &file), ("AWS_LAMBDA_FUNCTION_NAME", "shop")]);
    for (path, status, _) in CAUSES {
        let reply = function.invoke(&request(path)).json();
        assert_eq!(reply["statusCode"], status, "{path}: {reply}");
    }
    let mut check = event("GET", "/");
    check["headers"] = json!({ "user-agent": "ELB-HealthChecker/2.0" });
    function.invoke(&check);
    function.invoke(&event("GET", "/late"));
    function.invoke(&json!({ "headers": {}, "requestContext": { "elb": {} }, "httpMethod": "G E T", "path": "/" }));
    function.invoke(&event("GET", "/last"));
    let lines = lines(&function, "/last");

    let accesses: Vec<_> = lines.iter().filter(|(line, _)| line["type"] == "access").collect();
    for ((path, _, expected), (line, points)) in CAUSES.iter().zip(&accesses) {
        assert_eq!(line["path"], *path);
        let mut expected: BTreeMap<_, _> = expected.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect();
        expected.insert("requests".to_owned(), 1.0);
        assert_eq!(counted(points, &[]), expected, "{path}");
        let by_route = line["route"].as_str().map(|route| counted(points, &[("route", route)])).unwrap_or_default();
        assert_eq!(by_route, if line["route"].is_null() { BTreeMap::new() } else { expected }, "{path}");
        assert!(points.iter().all(|point| point.namespace == "Crossfade/shop"), "{path}");
        let time = |name: &str| points.iter().find(|point| point.name == name).map(|point| point.values[0]);
        let (total, overhead) = (time("total_ms").unwrap(), time("overhead_ms").unwrap());
        let parts = overhead + time("backend_ms").unwrap_or_default();
        assert!((total - parts).abs() < 0.01 && overhead >= 0.0, "{path}: {total} is not {parts}");
        let has_backend = line["attempts"] != 0 || line["error"] == "connection_refused";
        assert_eq!(time("backend_ms").is_some(), has_backend, "{path}");
        // The back end has its own time, not Crossfade.
        assert!(*path != "/slow" || time("backend_ms").unwrap() >= 99.0, "{path}");
    }
    let more: Vec<_> = accesses[CAUSES.len()..].iter().map(|(_, points)| counted(points, &[])).collect();
    let of = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 1.0)).collect::<BTreeMap<_, _>>();
    assert_eq!(more, [of(&[]), of(&["requests"]), of(&["requests", "client_errors"]), of(&["requests"])]);

    let compared: Vec<_> = lines.iter().filter(|(line, _)| line["type"] == "compare").collect();
    let counts = compared.iter().map(|(line, points)| {
        (
            line["against"].as_str().unwrap(),
            line["verdict"].as_str().unwrap(),
            counted(points, &[("route", line["route"].as_str().unwrap())]),
        )
    });
    let counts: Vec<_> = counts.filter(|(against, ..)| *against != "again").collect();
    assert_eq!(counts.len(), 3, "{counts:?}");
    for (against, verdict, counts) in counts {
        let expected = match (against, verdict) {
            ("mirror", "different") => of(&["compared", "different"]),
            ("mirror", "lost") => of(&["lost"]),
            ("self", "match") => of(&[]),
            other => panic!("{other:?}"),
        };
        assert_eq!(counts, expected, "{against} {verdict}");
    }

    let written: BTreeSet<_> =
        lines.iter().flat_map(|(_, points)| points).map(|point| (&*point.name, &*point.unit)).collect();
    let all = [&Metrics::OF_ANY[..], &Metrics::OF_FORWARDING, &Metrics::OF_COMPARING].concat();
    assert_eq!(written, all.iter().map(|metric| (metric.name, metric.unit)).collect());

    // For all others the lines are the same records as without metrics.
    let said = function.said();
    for line in said.lines().filter(|line| !line.is_empty()) {
        match line.strip_prefix(r#"{"type":""#).unwrap().split('"').next().unwrap() {
            "access" => drop(serde_json::from_str::<AccessRecord<'_>>(line).unwrap()),
            "compare" => drop(serde_json::from_str::<comparison::Record>(line).unwrap()),
            other => panic!("{other}"),
        }
        assert!(line.find("\"_aws\"").is_none_or(|at| at > line.rfind("\"attempts\"").unwrap_or_default()), "{line}");
    }
}

#[test]
fn the_table_of_the_documentation_has_every_metric() {
    let page = include_str!("../../../docs/metrics.md");
    let table = page.split("\n## ").find(|part| part.starts_with("The metrics")).unwrap();
    let rows = table.lines().filter_map(|line| line.strip_prefix("| `"));
    let rows: BTreeSet<_> =
        rows.map(|row| row.split('|').take(2).map(|cell| cell.trim_matches([' ', '`'])).collect()).collect();
    let groups =
        [&Metrics::OF_ANY[..], &Metrics::OF_FORWARDING, &Metrics::OF_COMPARING, &Metrics::OF_FUNCTION].concat();
    assert_eq!(rows, groups.iter().map(|metric| vec![metric.name, metric.unit]).collect());
}

/// Wherever a client puts the text of a document, it stays the text of a member.
#[test]
fn no_client_can_make_a_metric_or_a_dimension() {
    let address = serve(|_| response("200 OK", &[], b"ok"));
    let forged = r#"{"_aws":{"Timestamp":1767225600123,"CloudWatchMetrics":[{"Namespace":"AWS/Lambda","Dimensions":[[]],"Metrics":[{"Name":"Errors"}]}]},"Errors":9}"#;
    for metrics in ["off", "routes"] {
        let function =
            Function::start(&[("CROSSFADE_BACKEND", &format!("http://{address}")), ("CROSSFADE_METRICS", metrics)]);
        for path in [format!("/\",{}", &forged[1..]), format!("/%0A{forged}"), format!("/\n{forged}")] {
            let mut event = event("GET", &path);
            for field in ["x-amzn-trace-id", "user-agent", "x-forwarded-for", "host", "cdn-loop", "x-request-id"] {
                event["headers"][field] = json!(format!("a\r\n{forged}"));
            }
            function.invoke(&event);
            let mut event = self::event(&format!("G\n{forged}"), &path);
            event["headers"]["x-amzn-trace-id"] = json!(forged);
            function.invoke(&event);
        }
        function.invoke(&event("GET", "/last"));
        let lines = lines(&function, "/last");
        assert_eq!(lines.len(), 7, "{}", function.said());
        for point in lines.iter().flat_map(|(_, points)| points) {
            assert_eq!(point.namespace, "Crossfade");
            assert!(
                point.dimensions.iter().all(|pair| pair == (&"route".to_owned(), &"default".to_owned())),
                "{point:?}"
            );
        }
        assert_eq!(lines.iter().all(|(_, points)| points.is_empty()), metrics == "off");
    }
}

/// The sums are those of all requests, and durations those of a fair sample: failures are no larger part of them than of the
/// requests.
#[test]
fn a_reduced_log_counts_all_requests_or_says_nothing_of_them() {
    let address = serve(|call| back_end(&call));
    let run = |share: &str, level: &str| {
        let function = Function::start(&[
            ("CROSSFADE_BACKEND", &format!("http://{address}")),
            ("CROSSFADE_METRICS", "on"),
            ("CROSSFADE_ACCESS_LOG", share),
            ("AWS_LAMBDA_LOG_LEVEL", level),
        ]);
        for _ in 0..100 {
            for path in ["/ok", "/404", "/503"] {
                function.invoke(&event("GET", path));
            }
        }
        function.invoke(&event("GET", "/last/503"));
        let points: Vec<_> = lines(&function, "/last/503").into_iter().flat_map(|(_, points)| points).collect();
        let durations = points.iter().filter(|point| point.name == "total_ms").count();
        (counted(&points, &[]), durations)
    };
    let (all, durations) = run("100", "INFO");
    let of = |pairs: &[(&str, f64)]| {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), *value)).collect::<BTreeMap<_, _>>()
    };
    let failures = [("errors", 101.0), ("backend_errors", 101.0)];
    assert_eq!(all, of(&[&failures[..], &[("requests", 301.0), ("client_errors", 100.0)]].concat()));
    assert_eq!(durations, 301);

    let (some, durations) = run("25", "");
    assert_eq!((some["errors"], some["backend_errors"]), (101.0, 101.0));
    assert!((201.0..401.0).contains(&some["requests"]), "{some:?}");
    assert!((30.0..200.0).contains(&some["client_errors"]), "{some:?}");
    assert!((35..125).contains(&durations), "{durations} of 301, of which 101 are failures");

    for (share, level) in [("0", "INFO"), ("100", "ERROR")] {
        assert_eq!(run(share, level), (of(&failures), 0), "{share} {level}");
    }
}

#[test]
fn the_version_of_the_live_state_is_a_metric_of_the_function() {
    let folder = Folder::new();
    let file = config(&folder, "metrics: { namespace: 'Team A/Shop', routes: true }");
    let state = folder.write("live.json", json!({ "format": 1, "version": 7, "by": "anna", "routes": {} }).to_string());
    let live = format!("file:{state}");
    let function = Function::start(&[("CROSSFADE_CONFIG", &file), ("CROSSFADE_LIVE", &live)]);
    function.invoke(&event("GET", "/last"));
    let points: Vec<_> = lines(&function, "/last").into_iter().flat_map(|(_, points)| points).collect();
    assert_eq!(counted(&points, &[])["live"], 7.0, "{points:?}");
    assert_eq!(counted(&points, &[("route", "default")]).keys().collect::<Vec<_>>(), ["requests"]);
    assert!(points.iter().all(|point| point.namespace == "Team A/Shop"));
}

#[test]
fn a_word_for_metrics_that_is_none_ends_the_start() {
    let function = Function::start(&[("CROSSFADE_BACKEND", "http://127.0.0.1:1"), ("CROSSFADE_METRICS", "yes")]);
    let message = function.posted().json()["errorMessage"].as_str().unwrap().to_owned();
    assert_eq!(message, "`CROSSFADE_METRICS` is not `off`, `on` or `routes`");
}

/// Lambda takes a line without a time for `INFO`, so each has one with its level.
#[test]
fn lines_of_the_json_format_have_a_time_and_a_level() {
    let folder = Folder::new();
    let file = config(&folder, "metrics: true");
    let live = format!("file:{}", folder.write("live.json", "no state"));
    let start = |format: &str, level: &str| {
        let environment = [
            ("CROSSFADE_CONFIG", &*file),
            ("AWS_LAMBDA_LOG_FORMAT", format),
            ("AWS_LAMBDA_LOG_LEVEL", level),
            ("CROSSFADE_LIVE", &live),
        ];
        let function = Function::start(&environment);
        for path in ["/ok", "/404", "/failover", "/mirrored", "/503"] {
            function.invoke(&request(path));
        }
        let lines = lines(&function, "/503");
        (function, lines)
    };
    let summary = |lines: &[(Value, Vec<Point>)]| -> Vec<(String, String, String)> {
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        lines.iter().map(|(line, _)| (text(&line["type"]), text(&line["path"]), text(&line["level"]))).collect()
    };
    let (function, all) = start("JSON", "DEBUG");
    for line in function.said().lines().filter(|line| !line.is_empty()) {
        let value: Value = serde_json::from_str(line).unwrap();
        // Readers find records by it.
        assert!(line.starts_with(r#"{"type":""#) || value["type"] == "live", "{line}");
        humantime::parse_rfc3339(value["timestamp"].as_str().unwrap()).unwrap();
        assert_eq!(line.matches("\"level\"").count(), 1, "{line}");
    }
    let levels: BTreeMap<_, _> = summary(&all).into_iter().map(|(kind, path, level)| (kind + &path, level)).collect();
    let expected = [
        ("access/404", "INFO"),
        ("access/503", "ERROR"),
        ("access/failover", "WARN"),
        ("access/mirrored", "INFO"),
        ("access/ok", "INFO"),
        ("compare", "INFO"),
        ("live", "ERROR"),
    ];
    assert_eq!(levels, expected.map(|(line, level)| (line.to_owned(), level.to_owned())).into());
    assert!(all.iter().any(|(_, points)| !points.is_empty()), "the lines are metrics as well");

    for (level, kinds) in
        [("WARN", &["access/503", "access/failover", "live", "warning"][..]), ("ERROR", &["access/503", "live"])]
    {
        let (_function, lines) = start("JSON", level);
        let found: BTreeSet<_> = summary(&lines).into_iter().map(|(kind, path, _)| kind + &path).collect();
        assert_eq!(found, kinds.iter().map(|kind| (*kind).to_owned()).collect(), "{level}");
    }

    let (_function, lines) = start("Text", "");
    assert!(lines.iter().all(|(line, _)| line.get("timestamp").is_none()));
    let leveled = lines.iter().filter(|(line, _)| line.get("level").is_some());
    assert!(leveled.clone().count() > 0 && leveled.clone().all(|(line, _)| line["type"] == "live"));
}

#[test]
fn what_ends_the_process_has_the_highest_level() {
    let mut function = Function::start(&[
        ("CROSSFADE_BACKEND", "nowhere"),
        ("AWS_LAMBDA_LOG_FORMAT", "JSON"),
        ("AWS_LAMBDA_LOG_LEVEL", "FATAL"),
    ]);
    function.posted();
    function.wait();
    let log = function.log(1);
    assert_eq!((&log[0]["type"], &log[0]["level"]), (&json!("error"), &json!("FATAL")), "{log:?}");
}
