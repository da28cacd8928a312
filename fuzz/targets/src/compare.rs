//! Two answers of any kind: the same is a match, there are as many differences as a record may have, and neither the
//! work nor the memory that it takes to know is more than it may be.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crossfade_compare::{
    Accepted, Answer, MAX_WORK, Place, Pointer, Rules, Salt, Settings, Tolerance, TreatEqual, Unordered, Verdict,
    endpoint,
};
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::text;

const MEDIA_TYPES: [&str; 5] = ["application/json", "text/html", "application/xml", "text/plain", "image/png"];
const CODINGS: [&str; 5] = ["identity", "gzip", "deflate", "br", "zstd"];
/// Between the two contents.
const SEPARATOR: &[u8] = b"\n---\n";

/// Maximum memory of a comparison, in KiB.
const MAX_MEMORY: u64 = 48 * 1024;

/// Returns a time that no small number stands for.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

/// The peak memory of this process, in KiB; 0 where the system does not report it.
fn peak_memory() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok()).unwrap_or(0)
}

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
    let answer = |body| Answer { status: StatusCode::OK, headers: &headers, body, time: now() };
    let pointer = |text: &str| Pointer::parse(text).into_iter();
    let place = |text: &str| Place::parse(text).into_iter();
    let rules = Rules {
        ignore: place("/**/i/**/j").chain(place("/i/*")).collect(),
        accepted: place("/**/a/*").map(|place| Accepted { place, until: None }).collect(),
        redact: place("/**/r").collect(),
        tolerance: pointer("/**/t/**").map(|pointer| (pointer, Tolerance::Relative(0.1))).collect(),
        unordered: pointer("/**/u")
            .map(|pointer| Unordered { pointer, by: Some("id".to_owned()) })
            .chain(pointer("/**/v").map(|pointer| Unordered { pointer, by: None }))
            .collect(),
        treat_equal: vec![TreatEqual::Uuid, TreatEqual::Timestamp, TreatEqual::Hash, TreatEqual::Token],
        keep_values: true,
        ..Rules::default()
    };
    let (peak, salt) = (peak_memory(), Salt::default());
    let compare = |one, other| {
        let settings = Settings::new(&rules, now(), &salt);
        let comparison = crossfade_compare::compare(&answer(one), &answer(other), &settings);
        let work = comparison.work;
        assert!(work <= MAX_WORK);
        // The work for uncompressed content is proportional to its size.
        let bytes = (primary.len() + mirror.len()) as u64;
        assert!(coding % 5 != 0 || work <= 20_000 + 2_000 * bytes, "{work} for {bytes} bytes");
        comparison
    };
    assert!(compare(primary, mirror).differences.len() <= 200);
    assert_eq!(compare(primary, primary).verdict, Verdict::Match);
    assert!(peak_memory() <= peak + MAX_MEMORY);
    let _ = endpoint(text(primary), &[]);
}
