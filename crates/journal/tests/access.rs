//! The lines of the access log: each shape as it is written, and read again as what it was.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossfade_journal::{
    AccessRecord, Journal, Metrics, Names, OTEL_NAMES, Outcome, Role, Sample, milliseconds, otel_name, with_otel_names,
};

fn time() -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_767_225_600_123)
}

fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

fn record<'t>(journal: &Journal<'t>) -> AccessRecord<'t> {
    let mut record = AccessRecord::new(time(), "8f5c", journal);
    record.trace_id = Some("Root=1".into());
    (record.method, record.path) = (Some("GET".into()), Some("/a".into()));
    (record.status, record.request_bytes, record.response_bytes) = (200, 1, 2);
    record.total_ms = milliseconds(Duration::from_micros(40_500));
    record
}

const HEAD: &str = r#"{"type":"access","version":3,"time":"2026-01-01T00:00:00.123Z","request_id":"8f5c","trace_id":"Root=1","method":"GET","path":"/a""#;
const SIZES: &str = r#","status":200,"request_bytes":1,"response_bytes":2,"total_ms":40.5"#;

/// The line of a record, which is read as the same again.
fn line(record: &AccessRecord<'_>) -> String {
    let line = serde_json::to_string(record).unwrap();
    assert_eq!(&serde_json::from_str::<AccessRecord<'_>>(&line).unwrap(), record);
    // The same with OpenTelemetry's names, in any order.
    let otel = with_otel_names(line.as_bytes());
    assert_eq!(&serde_json::from_slice::<AccessRecord<'_>>(&otel).unwrap(), record);
    let members: BTreeMap<String, serde_json::Value> = serde_json::from_slice(&otel).unwrap();
    let sorted = serde_json::to_string(&members).unwrap();
    assert_eq!(&serde_json::from_str::<AccessRecord<'_>>(&sorted).unwrap(), record);
    line
}

#[test]
fn the_common_line_has_no_more_than_it_needs() {
    let mut journal = Journal::default();
    (journal.route, journal.target, journal.chosen) = (Some("orders"), Some("modern"), Some("weight"));
    let attempt = journal.begin("modern", Role::First, ms(1));
    (attempt.connect, attempt.first_byte, attempt.is_sent) = (Some(ms(5)), Some(ms(30)), true);
    attempt.end(ms(40), Outcome::Status(200), true);
    let expected = format!(
        r#"{HEAD},"route":"orders","backend":"modern","chosen":"weight"{SIZES},"began_ms":1.0,"connect_ms":5.0,"first_byte_ms":29.0,"attempts":1}}"#
    );
    assert_eq!(line(&record(&journal)), expected);
}

#[test]
fn several_attempts_are_told_one_by_one() {
    let mut journal = Journal::default();
    (journal.route, journal.target, journal.chosen) = (Some("orders"), Some("modern"), Some("hash"));
    let attempt = journal.begin("modern", Role::First, ms(1));
    attempt.is_sent = true;
    attempt.end(ms(2), Outcome::Error("connection_terminated"), false);
    let attempt = journal.begin("modern", Role::Resent, ms(2));
    (attempt.connect, attempt.first_byte, attempt.is_sent) = (Some(ms(3)), Some(ms(9)), true);
    attempt.auth = Some("ntlm");
    attempt.end(ms(10), Outcome::Status(503), true);
    let attempt = journal.begin("modern", Role::Retry, ms(15));
    attempt.end(ms(16), Outcome::Error("connection_refused"), false);
    let attempt = journal.begin("legacy", Role::Failover, ms(16));
    (attempt.first_byte, attempt.is_sent) = (Some(ms(39)), true);
    attempt.end(ms(40), Outcome::Status(200), true);
    let entries = [
        r#"{"backend":"modern","role":"first","outcome":"connection_terminated","began_ms":1.0,"took_ms":1.0}"#,
        r#"{"backend":"modern","role":"resent","outcome":"503","connect_ms":3.0,"first_byte_ms":7.0,"began_ms":2.0,"took_ms":5.0,"connection_auth":"ntlm"}"#,
        r#"{"backend":"modern","role":"retry","outcome":"connection_refused","began_ms":15.0,"took_ms":1.0}"#,
        r#"{"backend":"legacy","role":"failover","outcome":"200","first_byte_ms":23.0,"began_ms":16.0,"took_ms":24.0}"#,
    ];
    let expected = format!(
        r#"{HEAD},"route":"orders","backend":"legacy","target":"modern","chosen":"hash","skipped":[{{"backend":"modern","outcome":"connection_refused"}}]{SIZES},"began_ms":16.0,"first_byte_ms":23.0,"attempts":3,"retries":1,"journal":[{}],"connection_auth":"ntlm"}}"#,
        entries.join(",")
    );
    assert_eq!(line(&record(&journal)), expected);
}

#[test]
fn the_times_are_those_of_the_attempt_whose_response_the_client_gets() {
    let mut journal = Journal::default();
    let attempt = journal.begin("modern", Role::First, ms(1));
    (attempt.connect, attempt.first_byte, attempt.is_sent) = (Some(ms(3)), Some(ms(9)), true);
    attempt.end(ms(10), Outcome::Status(503), true);
    let attempt = journal.begin("legacy", Role::Failover, ms(11));
    (attempt.connect, attempt.is_sent) = (Some(ms(4)), true);
    attempt.end(ms(40), Outcome::Error("http_response_timeout"), true);
    journal.decide(0);
    let record = record(&journal);
    assert_eq!((record.backend.as_deref(), record.attempts), (Some("modern"), 2));
    assert_eq!((record.connect_ms, record.first_byte_ms), (Some(3.0), Some(8.0)));
    let skipped: Vec<_> = record.skipped.iter().map(|it| (&*it.backend, &*it.outcome)).collect();
    assert_eq!(skipped, [("modern", "503"), ("legacy", "http_response_timeout")]);
    line(&record);
}

#[test]
fn a_response_of_ours_says_why() {
    let mut journal = Journal::default();
    journal.skip("modern", Role::First, ms(1));
    let mut record = record(&journal);
    record.error = Some("destination_unavailable".into());
    record.detail = Some("\"x\"".into());
    let expected = format!(
        r#"{HEAD},"skipped":[{{"backend":"modern","outcome":"open"}}]{SIZES},"attempts":0,"error":"destination_unavailable","detail":"\"x\""}}"#
    );
    assert_eq!(line(&record), expected);
}

#[test]
fn lines_of_the_first_version_are_read() {
    let old = r#"{"type":"access","time":"2026-01-01T00:00:00.123Z","request_id":"8f5c","method":"GET","path":"/a","backend":"legacy",
        "passed_over":[{"backend":"modern","outcome":"down"},{"backend":"other","outcome":"503"}],"status":200,"request_bytes":0,
        "response_bytes":2,"total_ms":1.5,"attempts":1}"#;
    let record: AccessRecord<'static> = serde_json::from_str(old).unwrap();
    assert_eq!((record.time, &*record.request_id, record.status), (time(), "8f5c", 200));
    let skipped: Vec<_> = record.skipped.iter().map(|it| (&*it.backend, &*it.outcome)).collect();
    assert_eq!(skipped, [("modern", "open"), ("other", "503")]);
    assert!(record.journal.is_empty());
}

/// Version 2 counted from the event.
#[test]
fn lines_of_the_second_version_are_read() {
    let old = r#"{"type":"access","version":2,"time":"2026-01-01T00:00:00.123Z","backend":"legacy","first_byte_ms":39.0,"journal":[
        {"backend":"modern","role":"first","outcome":"503","first_byte_ms":9.0,"began_ms":2.0,"took_ms":8.0},
        {"backend":"legacy","role":"failover","outcome":"200","first_byte_ms":39.0,"began_ms":16.0,"took_ms":24.0}]}"#;
    let record: AccessRecord<'static> = serde_json::from_str(old).unwrap();
    let times: Vec<_> = record.journal.iter().map(|attempt| attempt.first_byte_ms).collect();
    assert_eq!((record.began_ms, record.first_byte_ms, times), (Some(16.0), Some(23.0), vec![Some(7.0), Some(23.0)]));
    line(&record);
}

/// Each back end that a request went to, in turn, with the reason for it.
#[test]
fn the_steps_of_a_request() {
    let journal = |attempts: &[(&str, &str)]| {
        let attempts = attempts.iter().map(|(backend, outcome)| {
            format!(r#"{{"backend":"{backend}","role":"first","outcome":"{outcome}","began_ms":1,"took_ms":1}}"#)
        });
        format!(r#""journal":[{}]"#, attempts.collect::<Vec<_>>().join(","))
    };
    let cases = [
        (r#""backend":"modern","chosen":"pin""#.to_owned(), "modern by pin"),
        (r#""chosen":"pin","skipped":[{"backend":"modern","outcome":"open"}]"#.to_owned(), "modern by pin: open"),
        (
            r#""backend":"legacy","chosen":"pin","skipped":[{"backend":"modern","outcome":"503"}]"#.to_owned(),
            "modern by pin: 503, legacy by failover",
        ),
        (
            format!(r#""backend":"modern","chosen":"pin",{}"#, journal(&[("modern", "503"), ("modern", "200")])),
            "modern by pin",
        ),
        (
            format!(
                r#""backend":"legacy","target":"modern","chosen":"pin",{}"#,
                journal(&[("modern", "503"), ("modern", "502"), ("legacy", "200")])
            ),
            "modern by pin: 502, legacy by failover",
        ),
        (
            format!(
                r#""backend":"modern","chosen":"hash",{}"#,
                journal(&[("modern", "503"), ("legacy", "http_response_timeout")])
            ),
            "modern by hash: 503, legacy by failover: http_response_timeout",
        ),
        (
            format!(r#""target":"modern","chosen":"hash",{}"#, journal(&[("modern", "open"), ("legacy", "open")])),
            "modern by hash: open, legacy by failover: open",
        ),
        (r#""status":404"#.to_owned(), ""),
    ];
    for (members, expected) in cases {
        let record: AccessRecord<'static> = serde_json::from_str(&format!(r#"{{"type":"access",{members}}}"#)).unwrap();
        let steps = record.steps();
        let steps = steps.iter().map(ToString::to_string);
        assert_eq!(steps.collect::<Vec<_>>().join(", "), expected, "{members}");
    }
}

#[test]
fn other_lines_are_no_access_lines() {
    for line in [r#"{"type":"compare"}"#, r#"{"message":"hello"}"#, r#"{"type":"access","status":"x"}"#, "[]", "hello"]
    {
        assert!(serde_json::from_str::<AccessRecord<'static>>(line).is_err(), "{line}");
    }
    assert!(serde_json::from_str::<AccessRecord<'static>>(r#"{"type":"access","of_the_future":1}"#).is_ok());
}

#[test]
fn a_role_has_one_word() {
    for role in [Role::First, Role::Resent, Role::Retry, Role::Failover, Role::Mirror, Role::Again] {
        assert_eq!(serde_json::to_value(role).unwrap(), role.as_str());
    }
}

#[test]
fn a_stream_that_breaks_off_is_a_failure_with_the_clients_status() {
    for (status, error, expected) in [
        (200, None, false),
        (200, Some("http_response_incomplete"), true),
        (304, None, false),
        (404, None, false),
        // An answer of ours to a request that is at fault.
        (400, Some("http_request_error"), false),
        (502, None, true),
        (504, Some("http_response_timeout"), true),
    ] {
        let mut record = record(&Journal::default());
        (record.status, record.error) = (status, error.map(Into::into));
        assert_eq!(record.is_failure(), expected, "{status} {error:?}");
    }
}

#[test]
fn the_end_of_a_stream_completes_its_last_attempt() {
    let mut journal = Journal::default();
    journal.begin("modern", Role::First, ms(1)).end(ms(10), Outcome::Status(503), true);
    journal.begin("modern", Role::Retry, ms(20)).end(ms(30), Outcome::Status(200), true);
    let mut record = record(&journal);
    record.end(7, 1000.0, 900.0, None);
    let attempts = |record: &AccessRecord<'_>| {
        record.journal.iter().map(|it| (it.outcome.to_string(), it.took_ms)).collect::<Vec<_>>()
    };
    assert_eq!((record.response_bytes, record.total_ms), (7, 1000.0));
    assert_eq!(attempts(&record), [("503".to_owned(), 9.0), ("200".to_owned(), 910.0)]);
    record.end(7, 1000.0, 0.0, Some("http_response_incomplete"));
    assert_eq!(attempts(&record)[1], ("http_response_incomplete".to_owned(), 910.0));
}

/// Their length is the one in `docs/metrics.md`.
#[test]
fn metrics_are_the_last_members_of_the_line() {
    let mut journal = Journal::default();
    (journal.route, journal.target, journal.chosen) = (Some("orders"), Some("modern"), Some("only"));
    let attempt = journal.begin("modern", Role::First, ms(1));
    (attempt.connect, attempt.first_byte, attempt.is_sent) = (Some(ms(5)), Some(ms(30)), true);
    attempt.end(ms(40), Outcome::Status(200), true);
    let mut record = record(&journal);
    record.backend_ms = journal.took().map(milliseconds);
    let plain = line(&record);
    let with = |metrics: &Metrics, record: &AccessRecord<'_>, sample: Sample| {
        let mut line = serde_json::to_vec(record).unwrap();
        metrics.add_to_access(&mut line, record, sample, Names::Crossfade);
        let line = String::from_utf8(line).unwrap();
        assert_eq!(&serde_json::from_str::<AccessRecord<'_>>(&line).unwrap(), record);
        line
    };
    let all = Sample { has_all: true, is_chosen: true };
    let metrics = Metrics { namespace: Some("Crossfade/shop".to_owned()), routes: true };
    let added = r#","_aws":{"Timestamp":1767225600123,"CloudWatchMetrics":[{"Namespace":"Crossfade/shop","Dimensions":[[],["route"]],"Metrics":[{"Name":"requests","Unit":"Count"},{"Name":"total_ms","Unit":"Milliseconds"},{"Name":"overhead_ms","Unit":"Milliseconds"},{"Name":"backend_ms","Unit":"Milliseconds"}]}]},"requests":1,"overhead_ms":1.500}"#;
    assert!(plain.contains(r#""backend_ms":39.0"#), "{plain}");
    assert_eq!(with(&metrics, &record, all), plain.strip_suffix('}').unwrap().to_owned() + added);
    assert_eq!(added.len() - 1, 327);

    // A line of a reduced log counts for others, one of a failure besides them has no durations.
    record.weight = Some(10);
    record.status = 404;
    let reduced = with(&metrics, &record, all);
    assert!(reduced.ends_with(r#""requests":10,"overhead_ms":1.500,"client_errors":10}"#), "{reduced}");
    (record.weight, record.status, record.live) = (None, 503, Some(7));
    let extra = with(&Metrics::default(), &record, Sample { has_all: true, is_chosen: false });
    let live = r#"{"Namespace":"Crossfade","Dimensions":[[]],"Metrics":[{"Name":"live","Unit":"None"}]}"#;
    assert!(extra.contains(&format!("]}},{live}]}},\"requests\":1,\"errors\":1,\"backend_errors\":1}}")), "{extra}");
    assert!(!extra.contains(r#""Name":"total_ms""#), "{extra}");

    // With OpenTelemetry's names for the line, the metrics keep theirs, and the line is still the same record.
    (record.route, record.retries) = (Some("a\"b".into()), 2);
    let mut renamed = with_otel_names(&serde_json::to_vec(&record).unwrap());
    metrics.add_to_access(&mut renamed, &record, all, Names::Otel);
    let object: serde_json::Value = serde_json::from_slice(&renamed).unwrap();
    for (name, value) in
        [("total_ms", 40.5), ("backend_ms", 39.0), ("retries", 2.0), ("live", 7.0), ("backend_errors", 1.0)]
    {
        assert_eq!(object[name].as_f64(), Some(value), "{name}: {object}");
    }
    assert_eq!(object["route"], "a\"b");
    assert_eq!(serde_json::from_slice::<AccessRecord<'_>>(&renamed).unwrap(), record);

    // A health check is no request of anybody.
    let check = AccessRecord::new(time(), "8f5c", &Journal::default());
    assert!(!with(&metrics, &check, all).contains("_aws"));
}

#[test]
fn a_line_with_opentelemetrys_names() {
    let mut journal = Journal::default();
    (journal.route, journal.target, journal.chosen) = (Some("orders"), Some("modern"), Some("weight"));
    journal.begin("modern", Role::First, ms(1)).end(ms(40), Outcome::Error("connection_refused"), false);
    let mut record = record(&journal);
    (record.xray_trace_id, record.w3c_trace_id) = (Some("1-5759e988-bd86".into()), Some("5759e988bd86".into()));
    (record.status, record.error) = (502, Some("connection_refused".into()));
    let expected = [
        r#"{"type":"access","version":3,"time":"2026-01-01T00:00:00.123Z","faas.invocation_id":"8f5c","crossfade.trace_id":"Root=1""#,
        r#""crossfade.xray_trace_id":"1-5759e988-bd86","trace_id":"5759e988bd86","http.request.method":"GET","url.path":"/a""#,
        r#""crossfade.route":"orders","crossfade.backend":"modern","crossfade.chosen":"weight","http.response.status_code":502"#,
        r#""http.request.body.size":1,"http.response.body.size":2,"http.server.request.duration":0.0405,"crossfade.began_ms":1.0"#,
        r#""crossfade.attempts":0,"error.type":"connection_refused"}"#,
    ];
    let line = line(&record);
    assert_eq!(String::from_utf8(with_otel_names(line.as_bytes())).unwrap(), expected.join(","));
    // Every name of the table is that of a member.
    for (ours, theirs) in OTEL_NAMES {
        assert!(line.contains(&format!("\"{ours}\":")), "{ours}");
        assert_eq!(otel_name(ours), theirs);
    }
}

/// The table of `docs/tracing.md` is the code's.
#[test]
fn the_documented_names_are_those_of_the_code() {
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/tracing.md")).unwrap();
    let rows = page.lines().skip_while(|line| !line.starts_with("| member | with `names: otel`")).skip(2);
    let documented: Vec<(String, String)> = rows
        .take_while(|row| row.starts_with("| `"))
        .filter_map(|row| {
            let mut codes = row.split('`').skip(1).step_by(2);
            Some((codes.next()?.to_owned(), codes.next()?.to_owned()))
        })
        .filter(|(ours, _)| ours != "type")
        .collect();
    let known = OTEL_NAMES.map(|(ours, theirs)| (ours.to_owned(), theirs.to_owned()));
    assert_eq!(documented, known);
    for kept in ["type", "version", "time"] {
        assert_eq!(otel_name(kept), kept);
    }
}
