//! Two answers of any kind: the same is a match, and there are as many differences as a record may have.

use std::time::UNIX_EPOCH;

use crossfade_compare::{Answer, Pointer, Rules, TreatEqual, Unordered, Verdict, endpoint};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::text;

const MEDIA_TYPES: [&str; 5] = ["application/json", "text/html", "application/xml", "text/plain", "image/png"];
const CODINGS: [&str; 5] = ["identity", "gzip", "deflate", "br", "zstd"];
/// Between the two contents.
const SEPARATOR: &[u8] = b"\n---\n";

/// The first two bytes choose media type and coding; then the contents, with a line of dashes between them.
pub fn compare(data: &[u8]) {
    let [media_type, coding, contents @ ..] = data else { return };
    let middle = contents.windows(SEPARATOR.len()).position(|window| window == SEPARATOR).unwrap_or(contents.len());
    let (primary, rest) = contents.split_at(middle);
    let mirror = rest.get(SEPARATOR.len()..).unwrap_or_default();

    let mut headers = HeaderMap::new();
    let one_of = |list: &[&'static str; 5], choice: u8| HeaderValue::from_static(list[usize::from(choice) % 5]);
    headers.insert("content-type", one_of(&MEDIA_TYPES, *media_type));
    headers.insert("content-encoding", one_of(&CODINGS, *coding));
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
    let compare = |one, other| crossfade_compare::compare(&answer(one), &answer(other), &rules, UNIX_EPOCH);
    assert!(compare(primary, mirror).differences.len() <= 20);
    assert_eq!(compare(primary, primary).verdict, Verdict::Match);
    let _ = endpoint(text(primary), &[]);
}
