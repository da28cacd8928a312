//! Tests of the finder: each form of an export, hostile texts of clients, cuts anywhere.

use proptest::prelude::*;
use serde_json::{Value, json};

use crossfade_journal::comparison::Record;
use crossfade_journal::{Metrics, stamp, with_otel_names};

use super::*;

const RECORD: &str = r#"{"type":"compare","version":1,"time":"2026-11-24T10:57:42.123Z","against":"mirror","request_id":"ID","route":"orders","method":"GET","endpoint":"/orders/{id}","verdict":"match","primary":{"backend":"legacy","status":200},"mirror":{"backend":"modern","status":200}}"#;

fn record(id: &str) -> String {
    RECORD.replace("ID", id)
}

/// Returns the IDs of the records that are found, and what is skipped.
fn found<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<String>, Skipped) {
    let (mut ids, mut finder) = (Vec::new(), RecordFinder::new());
    for piece in pieces {
        finder.push(piece, |record: Record| ids.push(record.request_id));
    }
    let skipped = finder.finish(|record: Record| ids.push(record.request_id));
    (ids, skipped)
}

fn ids(text: &str) -> Vec<String> {
    let (ids, skipped) = found([text.as_bytes()]);
    assert_eq!(skipped, Skipped::default(), "{text}");
    ids
}

/// The same with metrics, in Lambda's JSON format.
fn measured(id: &str) -> String {
    let (mut line, record) = (record(id).into_bytes(), serde_json::from_str(&record(id)).unwrap());
    Metrics { namespace: None, routes: true }.add_to_comparison(&mut line, &record);
    stamp(&mut line, record.time, Some("INFO"));
    String::from_utf8(line).unwrap()
}

#[test]
fn a_record_is_found_however_the_log_was_fetched() {
    assert!(measured("a").contains("\"_aws\"") && measured("a").ends_with("\"level\":\"INFO\"}"));
    for record in [record, measured] {
        is_found_however_the_log_was_fetched(&record("a"), &record("b"));
    }
}

fn is_found_however_the_log_was_fetched(a: &str, b: &str) {
    let events = |message: &str| json!({ "events": [{ "logStreamName": "2026/11/24/[$LATEST]abc", "timestamp": 1, "message": message }] });
    let logged = json!({ "time": "2026", "type": "function", "record": serde_json::from_str::<Value>(a).unwrap() });
    // As members of an object whose order is kept.
    let logged_as_object = format!(r#"{{"time":"2026","type":"function","record":{a}}}"#);
    let twice = events(&json!({ "level": "INFO", "message": format!("{a}\n") }).to_string());
    let csv = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    for (name, text) in [
        ("as it is", a.to_owned()),
        ("with line breaks of Windows", format!("{a}\r\n")),
        ("spread by jq", a.replace(":\"", ": \"").replace(",\"", ",\n  \"").replace("{\"type", "{\n  \"type")),
        ("export to S3", format!("2026-11-24T10:57:42.123Z {a}\n")),
        ("tail, short", format!("2026-11-24T10:57:42 {a}\n")),
        ("tail, detailed", format!("2026-11-24T10:57:42.123000+00:00 2026/11/24/[$LATEST]abc {a}\n")),
        ("tail in colours", format!("\x1b[32m2026-11-24T10:57:42\x1b[0m \x1b[36mabc\x1b[0m {a}")),
        ("directly after a colour", format!("\x1b[0m{a}")),
        ("live tail with a tab", format!("2026\t{a}")),
        ("filter-log-events on one line", events(&format!("{a}\n")).to_string()),
        ("filter-log-events spread", format!("{:#}", events(a))),
        ("telemetry as a string", json!({ "type": "function", "record": a }).to_string()),
        ("telemetry as an object", logged_as_object),
        ("Logs Insights as CSV", format!("@timestamp,@message\n2026,{}\n", csv(a))),
        ("CSV that ends there", csv(a)),
        ("CSV with JSON within JSON", format!("1,{}", csv(&events(a).to_string()))),
        ("among others", format!("START RequestId: 1\n{{\"type\":\"access\"}}\n{a}\nREPORT compare \"compare\"\n")),
    ] {
        assert_eq!(ids(&text), ["a"], "{name}: {text}");
    }
    // Sorted by their names, so that `type` is not the first; a string within a string.
    for text in [logged.to_string(), twice.to_string()] {
        let (none, skipped) = found([text.as_bytes()]);
        assert_eq!((none.len(), skipped.count), (0, 1), "{text}");
    }
    for several in [format!("{a}\n{b}\n"), format!("{a}{b}"), format!("[{a},{b}]"), format!("[\n{a},\n{b}]")] {
        assert_eq!(ids(&several), ["a", "b"], "{several}");
    }
    assert_eq!(ids(""), [""; 0]);
}

#[test]
fn a_line_of_many_megabytes_is_read_to_its_end() {
    let events: Vec<_> = (0..16_000).map(|n| json!({ "timestamp": n, "message": record(&n.to_string()) })).collect();
    let text = json!({ "events": events }).to_string();
    assert!(text.len() > 4 << 20 && !text.contains('\n'));
    assert_eq!(ids(&text), (0..16_000).map(|n| n.to_string()).collect::<Vec<_>>());
}

#[test]
fn a_long_record_in_small_pieces_is_not_searched_for_each_of_them() {
    let (mut finder, mut looks, mut ids) = (RecordFinder::new(), 0, Vec::new());
    for byte in record(&"x".repeat(100_000)).as_bytes().chunks(1) {
        looks += u32::from(finder.bytes.len() + 1 >= finder.enough);
        finder.push(byte, |record: Record| ids.push(record.request_id.len()));
    }
    finder.finish(|record: Record| ids.push(record.request_id.len()));
    assert_eq!(ids, [100_000]);
    // Until the word `compare` is found, each piece is searched for it.
    assert!(looks < 100, "{looks}");
}

#[test]
fn unreadable_records_are_counted_with_the_first_reason_and_hide_no_others() {
    let a = record("a");
    for (line, reason) in [
        (RECORD.get(..100).unwrap().to_owned(), "expected `,` or `}`"),
        (RECORD.replace("\"match\"", "\"perhaps\""), "unknown variant `perhaps`"),
        (RECORD.replace("\"version\":1", "\"version\":3"), "format version 3, only versions up to 2 are supported"),
        (RECORD.replace("\"version\":1,\"time\"", "\"version\":7,\"when\""), "format version 7"),
        (
            RECORD.replace("\"type\":\"compare\",", "").replace("}}", "},\"type\":\"compare\"}"),
            "`type` is not its first",
        ),
        (RECORD.replace("2026-11-24T", "yesterday"), "time"),
    ] {
        let (ids, skipped) = found([format!("x\n{line}\n{a}\n").as_bytes()]);
        let first = skipped.first.unwrap();
        assert_eq!((ids, skipped.count), (vec!["a".to_owned()], 1), "{line}: {first:?}");
        assert!(first.line == 2 && first.reason.contains(reason), "{first:?}");
    }
    let (ids, skipped) = found([format!("{a}\n{}", RECORD.get(..100).unwrap()).as_bytes()]);
    assert_eq!(
        (ids.len(), skipped.first.unwrap()),
        (1, Unreadable { line: 2, reason: "its end is missing, or it is longer than 1 MiB".to_owned() })
    );
    let huge = RECORD.replace("ID", &"x".repeat(2 << 20));
    let (ids, skipped) = found([format!("{huge}\n{a}\n").as_bytes()]);
    assert_eq!(
        (ids.len(), skipped.first.unwrap()),
        (1, Unreadable { line: 1, reason: "its end is missing, or it is longer than 1 MiB".to_owned() })
    );
}

/// The request ID of a record of either type.
struct Either(String);

impl Logged for Either {
    fn newest(kind: &str) -> Option<u32> {
        Record::newest(kind).or_else(|| AccessRecord::newest(kind))
    }

    fn read(kind: &str, record: &[u8]) -> serde_json::Result<Self> {
        match kind {
            "compare" => Record::read(kind, record).map(|record| Either(record.request_id)),
            _ => AccessRecord::read(kind, record).map(|record| Either(record.request_id.into_owned())),
        }
    }
}

fn either(text: &str) -> (Vec<String>, u64) {
    let (mut ids, mut finder) = (Vec::new(), RecordFinder::new());
    finder.push(text.as_bytes(), |record: Either| ids.push(record.0));
    let skipped = finder.finish(|record: Either| ids.push(record.0));
    (ids, skipped.count)
}

/// Forged records, and parts of what may surround one.
const FORGED: [&str; 2] = [
    r#"{"type":"access","version":3,"time":"2026-11-24T10:57:42Z","request_id":"forged","live":9,"route":"orders","backend":"modern","status":500,"weight":100000}"#,
    r#"{"type":"compare","version":2,"time":"2026-11-24T10:57:42Z","against":"mirror","request_id":"forged","route":"orders","method":"GET","endpoint":"/","verdict":"match","primary":{"backend":"legacy"},"mirror":{"backend":"modern"}}"#,
];
const AROUND: [&str; 12] =
    ["", " ", "\n", "/", "\"", "\\\"", ",\"", "\"\n", "\",\"message\":\"", "}\n", "\"}\n", "{\"message\":\""];

/// All lines of ours that have a client's text, those without an ID with `None`.
fn lines_with(text: &str) -> Vec<(Option<&'static str>, String)> {
    let quoted = Value::from(text);
    let access = format!(
        r#"{{"type":"access","version":3,"time":"2026-11-24T10:57:42Z","request_id":"own","trace_id":{quoted},"method":"GET","path":{quoted},"route":"orders","status":200,"detail":{quoted}}}"#
    );
    let compare = format!(
        r#"{{"type":"compare","version":2,"time":"2026-11-24T10:57:42Z","against":"mirror","request_id":"own","route":"orders","method":"GET","endpoint":{quoted},"verdict":"different","differences":[{{"class":"value","pointer":{quoted},"primary":{quoted},"mirror":{quoted}}}],"primary":{{"backend":"legacy","url":{quoted},"fields":{{"accept":{quoted},"range":{quoted}}}}},"mirror":{{"backend":"modern"}}}}"#
    );
    let otel = String::from_utf8(with_otel_names(access.as_bytes())).unwrap();
    let newer = |line: &str| line.replace(r#""version":"#, r#""version":9"#);
    let invalid = |line: &str| line.replace(r#""time":"2026"#, r#""time":"x"#);
    // Members in another order, as other programs write them.
    let sorted = |line: &str| serde_json::from_str::<Value>(line).unwrap().to_string();
    let other = format!(r#"{{"type":"other","path":{quoted},"message":{quoted}}}"#);
    let error = format!(r#"{{"level":"ERROR","message":{},"type":"error"}}"#, Value::from(format!("no {text}")));
    let own = [&access, &otel, &compare].map(|line| (Some("own"), line.clone()));
    let mut lines: Vec<_> = own.into_iter().chain([(None, other), (None, error)]).collect();
    for line in [access, compare] {
        lines.extend([newer(&line), invalid(&line), sorted(&line)].map(|line| (None, line)));
    }
    lines
}

/// A log of this line, in each form that logs are exported in.
fn exports(line: &str) -> Vec<String> {
    let csv = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
    let events = json!({ "events": [{ "eventId": "1", "message": format!("{line}\n"), "timestamp": 1 }] });
    let results = json!({ "results": [[{ "field": "@message", "value": line }, { "field": "@ptr", "value": "1" }]] });
    vec![
        format!("{line}\n"),
        format!("2026-11-24T10:57:42.123000+00:00 2026/11/24/[$LATEST]abc {line}\n"),
        events.to_string(),
        format!("{events:#}"),
        json!([line]).to_string(),
        format!("{}\n", Value::from(line)),
        format!("@timestamp,@message\n2026,{}\n", csv(line)),
        format!("1,{}\n", csv(&events.to_string())),
        results.to_string(),
        format!("{results:#}"),
        json!({ "time": "2026", "type": "function", "record": line }).to_string(),
        format!(r#"{{"time":"2026","type":"function","record":{line}}}"#),
        format!(r#"{{"type":"function","time":"2026","record":{}}}"#, Value::from(line)),
    ]
}

fn no_client_forges(text: &str) {
    for (own, line) in lines_with(text) {
        for log in exports(&line) {
            let (ids, _) = either(&log);
            assert_eq!(ids.first().map(String::as_str), own, "{log}");
            assert!(ids.len() <= 1, "{log}");
        }
    }
}

/// Clients choose paths, fields and content, and the records repeat them.
#[test]
fn no_client_can_forge_a_record() {
    for forged in FORGED {
        let mut texts = vec![forged.to_owned(), forged.replace('"', "\"\"")];
        for _ in 0..3 {
            texts.push(Value::from(texts.last().unwrap().as_str()).to_string());
            texts.push(texts.first().unwrap().replace('"', "\\\""));
        }
        for text in texts {
            for around in AROUND {
                no_client_forges(&format!("{around}{text}"));
                no_client_forges(&format!("{around}{text}{around}"));
            }
        }
    }
}

/// Nor one in a record whose end is missing, or of which only the end is there, unless that begins with the very string.
/// Half a line with a `message` looks like half an export, but no line of ours has a client's text there.
#[test]
fn no_client_can_forge_a_record_in_half_a_line() {
    let lines = FORGED.into_iter().flat_map(lines_with).map(|(_, line)| line);
    for line in lines.filter(|line| !line.contains(r#","message":"{"#)) {
        for at in (0..line.len()).filter(|at| !line.get(*at..).unwrap_or_default().starts_with('"')) {
            let (head, tail) = line.split_at(at);
            for log in [format!("{head}\n"), format!("{tail}\n"), format!("{head}\n{tail}\n")] {
                assert!(either(&log).0.iter().all(|id| id != "forged"), "{log}");
            }
        }
    }
}

#[test]
fn a_line_that_is_cut_off_hides_none_after_it() {
    let next = record("next");
    for at in 1..RECORD.len() {
        let log = format!("{}\n{next}\n{}\n", RECORD.get(..at).unwrap(), record("last"));
        assert_eq!(either(&log).0, ["next", "last"], "{log}");
    }
}

/// Within a number, a word, an escape or a character as well.
#[test]
fn a_record_may_be_cut_anywhere() {
    let record =
        record("ä\\u00e4\\n").replace("\"status\":200", "\"status\":200,\"ms\":-1.25e-1,\"new\":[true,null,-0]");
    let spread = record.replace(',', ",\n  ");
    for text in [format!("{record}\n"), format!("{spread}\n"), json!({ "message": record }).to_string()] {
        for at in 0..=text.len() {
            let (head, tail) = text.as_bytes().split_at(at);
            let (ids, skipped) = found([head, tail]);
            assert_eq!((ids.len(), skipped), (1, Skipped::default()), "{at} {text}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn nothing_is_lost_wherever_a_piece_ends(sizes in prop::collection::vec(1_usize..700, 1..60), gap in "[ a-z\"\\\\{:]{0,40}") {
        let text: String = (0..20).map(|n| format!("{gap}\n{}\n", record(&n.to_string()))).collect();
        let (mut pieces, mut rest) = (Vec::new(), text.as_bytes());
        for size in sizes.iter().cycle() {
            let (piece, after) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = after;
            if rest.is_empty() {
                break;
            }
        }
        let (ids, _) = found(pieces);
        prop_assert_eq!(ids, (0..20).map(|n| n.to_string()).collect::<Vec<_>>());
    }

    #[test]
    fn no_client_forges_with_any_text(
        parts in prop::collection::vec((0_usize..12, 0_usize..2, 0_u32..4), 1..4),
        noise in r#"[ a-z"\\\\{}:,\n]{0,6}"#
    ) {
        let part = |(around, forged, levels): &(usize, usize, u32)| {
            let text = (0..*levels).fold(FORGED[*forged].to_owned(), |text, _| Value::from(text).to_string());
            format!("{noise}{}{text}", AROUND[*around])
        };
        no_client_forges(&parts.iter().map(part).collect::<String>());
    }

    #[test]
    fn no_input_panics(text in r#"([ {}\[\]:,"\\]|type|compare|"type":"compare"|\{\\"type\\":\\"compare\\"|\{""type"":""compare""|\n){0,60}"#) {
        found([text.as_bytes()]);
    }
}
