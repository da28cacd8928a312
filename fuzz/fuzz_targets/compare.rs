//! Any bytes as two answers: no panic, the same is a match, and as many differences as a record may have.
#![no_main]

use std::time::UNIX_EPOCH;

use crossfade_compare::{Answer, Pointer, Rules, TreatEqual, Unordered, Verdict, compare, endpoint};
use http::{HeaderMap, HeaderValue, StatusCode};
use libfuzzer_sys::fuzz_target;

const MEDIA_TYPES: [&str; 5] = ["application/json", "text/html", "application/xml", "text/plain", "image/png"];
const CODINGS: [&str; 5] = ["identity", "gzip", "deflate", "br", "zstd"];

fuzz_target!(|input: (u8, u8, &[u8], &[u8])| {
    let (media_type, coding, primary, mirror) = input;
    let mut headers = HeaderMap::new();
    let one_of = |list: &[&'static str], choice: u8| HeaderValue::from_static(list[usize::from(choice) % list.len()]);
    headers.insert("content-type", one_of(&MEDIA_TYPES, media_type));
    headers.insert("content-encoding", one_of(&CODINGS, coding));
    let answer = |body| Answer { status: StatusCode::OK, headers: &headers, body };
    let rules = Rules {
        unordered: Pointer::parse("/**/u")
            .map(|pointer| Unordered { pointer, by: Some("id".to_owned()) })
            .into_iter()
            .collect(),
        treat_equal: vec![TreatEqual::Uuid, TreatEqual::Timestamp, TreatEqual::Hash, TreatEqual::Token],
        keep_values: true,
        ..Rules::default()
    };
    let comparison = compare(&answer(primary), &answer(mirror), &rules, UNIX_EPOCH);
    assert!(comparison.differences.len() <= 20);
    assert_eq!(compare(&answer(primary), &answer(primary), &rules, UNIX_EPOCH).verdict, Verdict::Match);
    let _ = endpoint(&String::from_utf8_lossy(primary), &[]);
});
