//! The lines of the log: each variant as it is written, and read back.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

use std::time::{Duration, UNIX_EPOCH};

use crossfade_journal::comparison::{
    Against, Class, Difference, Digest, Kind, NotRepeated, Record, Repeated, Side, VERSION, Verdict,
};

fn record() -> Record {
    Record {
        kind: Kind::Compare,
        version: VERSION,
        time: UNIX_EPOCH + Duration::from_millis(1_767_225_600_123),
        against: Against::Mirror,
        request_id: "8f5c".to_owned(),
        route: "orders".to_owned(),
        method: "GET".to_owned(),
        endpoint: "/orders/{id}".to_owned(),
        verdict: Verdict::Match,
        reason: None,
        not_repeated: None,
        request: None,
        live: None,
        salt: None,
        differences: Vec::new(),
        more: 0,
        credentials_withheld: false,
        primary: Side {
            backend: "legacy".to_owned(),
            status: Some(200),
            ms: Some(12.5),
            bytes: Some(80),
            ..Side::default()
        },
        mirror: Side {
            backend: "modern".to_owned(),
            status: Some(200),
            ms: Some(9.0),
            bytes: Some(82),
            ..Side::default()
        },
    }
}

#[test]
fn lines_are_written_and_read() {
    const HEAD: &str = r#"{"type":"compare","version":2,"time":"2026-01-01T00:00:00.123Z","against":"#;
    const NAMES: &str = r#","request_id":"8f5c","route":"orders","method":"GET","endpoint":"/orders/{id}","verdict":"#;
    const PRIMARY: &str = r#","primary":{"backend":"legacy","status":200,"ms":12.5,"bytes":80}"#;
    const MIRROR: &str = r#","mirror":{"backend":"modern","status":200,"ms":9.0,"bytes":82}}"#;
    let difference = |class, pointer: &str| Difference::new(class, pointer);
    let shown = Difference {
        at: Some("/items/3/price".to_owned()),
        slot: Some(63),
        accepted: true,
        primary: Some("1".to_owned()),
        mirror: Some("</script>\n".to_owned()),
        ..difference(Class::Value, "/items/*/price")
    };
    let silent = Side { backend: "modern".to_owned(), error: Some("connection_refused".to_owned()), ..Side::default() };
    for (record, line) in [
        (record(), format!(r#"{HEAD}"mirror"{NAMES}"match"{PRIMARY}{MIRROR}"#)),
        (
            Record {
                against: Against::Itself,
                verdict: Verdict::Accepted,
                differences: vec![shown],
                more: 3,
                ..record()
            },
            format!(
                r#"{HEAD}"self"{NAMES}"accepted","differences":[{{"class":"value","pointer":"/items/*/price","at":"/items/3/price","slot":63,"accepted":true,"primary":"1","mirror":"</script>\n"}}],"more":3{PRIMARY}{MIRROR}"#
            ),
        ),
        (
            Record {
                verdict: Verdict::Different,
                differences: vec![difference(Class::Status, "status")],
                credentials_withheld: true,
                mirror: silent,
                ..record()
            },
            format!(
                r#"{HEAD}"mirror"{NAMES}"different","differences":[{{"class":"status","pointer":"status"}}],"credentials_withheld":true{PRIMARY},"mirror":{{"backend":"modern","error":"connection_refused"}}}}"#
            ),
        ),
        (
            Record {
                verdict: Verdict::Different,
                not_repeated: Some(NotRepeated::Budget),
                request: Some(Digest(0xF)),
                salt: Some(Digest(0xABCD_EF01)),
                differences: vec![Difference {
                    repeated: Some(Repeated::Same),
                    kinds: vec!["uuid".to_owned()],
                    distance: Some([0.5, 0.25]),
                    digests: [Some(Digest(1)), None],
                    ..difference(Class::Value, "/a")
                }],
                ..record()
            },
            format!(
                r#"{HEAD}"mirror"{NAMES}"different","not_repeated":"budget","request":"0000000f","salt":"abcdef01","differences":[{{"class":"value","pointer":"/a","repeated":"same","kinds":["uuid"],"distance":[0.5,0.25],"digests":["00000001",null]}}]{PRIMARY}{MIRROR}"#
            ),
        ),
        (
            Record {
                primary: Side { fields: [("range".to_owned(), "bytes=0-9".to_owned())].into(), ..record().primary },
                ..record()
            },
            format!(
                r#"{HEAD}"mirror"{NAMES}"match","primary":{{"backend":"legacy","status":200,"ms":12.5,"bytes":80,"fields":{{"range":"bytes=0-9"}}}}{MIRROR}"#
            ),
        ),
        (
            Record { verdict: Verdict::Lost, reason: Some("budget".to_owned()), ..record() },
            format!(r#"{HEAD}"mirror"{NAMES}"lost","reason":"budget"{PRIMARY}{MIRROR}"#),
        ),
    ] {
        assert_eq!(serde_json::to_string(&record).unwrap(), line);
        assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), record);
    }
    for (verdict, name) in [(Verdict::Failed, "failed"), (Verdict::Unknown, "unknown")] {
        assert_eq!(serde_json::to_string(&verdict).unwrap(), format!("\"{name}\""));
    }
    assert!(serde_json::from_str::<Record>(r#"{"type":"access"}"#).is_err());
    // As records once called an open circuit breaker.
    let open = Record { verdict: Verdict::Lost, reason: Some("open".to_owned()), ..record() };
    let line = serde_json::to_string(&open).unwrap().replace("\"open\"", "\"down\"");
    assert_eq!(serde_json::from_str::<Record>(&line).unwrap(), open);
}

#[test]
fn a_class_has_one_word() {
    let all = [
        Class::Status,
        Class::Header,
        Class::Missing,
        Class::Extra,
        Class::Type,
        Class::Value,
        Class::Order,
        Class::Length,
        Class::Text,
        Class::Bytes,
        Class::Invalid,
    ];
    for class in all {
        assert_eq!(serde_json::to_value(class).unwrap(), class.as_str());
    }
}
