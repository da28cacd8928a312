//! Limits of a comparison, whatever the responses contain: memory, measured in a separate process for each case, and
//! work.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

use std::cell::Cell;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Instant, UNIX_EPOCH};

use crossfade_compare::{
    Accepted, Answer, Comparison, FieldNames, MAX_WORK, Place, Pointer, Rules, Salt, Settings, Tolerance, TreatEqual,
    Unordered, Verdict, compare,
};
use flate2::Compression;
use flate2::write::GzEncoder;
use http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

const MIB: usize = 1024 * 1024;
/// Memory of any comparison besides the two responses, in bytes.
const MOST: usize = 40 * MIB;
/// Memory for a megabyte of ordinary content, in bytes.
const USUAL: usize = 18 * MIB;

/// Two responses, and the memory that comparing them may take.
struct Case {
    name: String,
    media_type: &'static str,
    coding: &'static str,
    contents: [Vec<u8>; 2],
    most: usize,
}

fn case(name: &str, media_type: &'static str, coding: &'static str, contents: [Vec<u8>; 2], most: usize) -> Case {
    Case { name: name.to_owned(), media_type, coding, contents, most }
}

fn gzip(content: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(content).unwrap();
    encoder.finish().unwrap()
}

/// Returns a frame of 128 KiB blocks that repeat a byte.
fn zstd(window: u8, blocks: usize) -> Vec<u8> {
    let mut frame = vec![0x28, 0xB5, 0x2F, 0xFD, 0, window];
    for block in 1..=blocks {
        let header = ((128 * 1024) << 3) | (1 << 1) | usize::from(block == blocks);
        frame.extend_from_slice(&header.to_le_bytes()[..3]);
        frame.push(b' ');
    }
    frame
}

/// Returns a stream with a window of 16 MiB and uncompressed 64 KiB blocks.
fn brotli(blocks: usize) -> Vec<u8> {
    let mut content = vec![0x8F, 0xFF, 0xFF];
    for block in 0..blocks {
        content.extend_from_slice(if block > 0 { &[0xF8, 0xFF, 0x0F] } else { &[] });
        content.extend_from_slice(&[b' '; 64 * 1024]);
    }
    content.push(3);
    content
}

/// Repeats `unit` as often as `bytes` allows, between `begin` and `end`.
fn repeated(begin: &str, unit: &str, end: &str, bytes: usize) -> Vec<u8> {
    format!("{begin}{}{end}", unit.repeat(bytes / unit.len())).into_bytes()
}

/// Returns two such texts with different ends.
fn pair(begin: &str, unit: &str, ends: [&str; 2], bytes: usize) -> [Vec<u8>; 2] {
    ends.map(|end| repeated(begin, unit, end, bytes))
}

fn numbered(count: usize, unit: impl Fn(usize) -> String) -> String {
    (0..count).map(unit).collect::<Vec<_>>().join(",")
}

fn cases() -> Vec<Case> {
    const JSON: &str = "application/json";
    const HTML: &str = "text/html";
    let mut cases = Vec::new();
    // Ordinary content.
    for (name, unit) in [
        ("small objects", "{\"id\":7,\"name\":\"x\"},"),
        ("smallest objects", "{\"a\":1},"),
        ("orders", "{\"id\":\"1234\",\"price\":19.90,\"currency\":\"EUR\",\"tags\":[\"a\",\"b\"]},"),
        ("short texts", "\"abcdefgh\","),
    ] {
        cases.push(case(name, JSON, "", pair("[", unit, ["1]", "2]"], MIB), USUAL));
    }
    let shuffled =
        |step: usize| format!("[{}]", numbered(60_000, |index| format!("{{\"id\":{}}}", index * step % 60_013)));
    cases.push(case("another order", JSON, "", [shuffled(1), shuffled(7)].map(String::into_bytes), USUAL));
    cases.push(case("a page", HTML, "", pair("<p>", "<a href=\"/x\">y</a> ", ["a", "b"], MIB), USUAL));
    cases.push(case("lines", "text/csv", "", pair("", "1;2;3;4\n", ["a", "b"], MIB), USUAL));
    cases.push(case("lines of text", "text/plain", "", pair("", "1;2;3;4\n", ["a", "b"], MIB), USUAL));
    for (name, media_type, begin, unit) in [
        ("keys", "text/plain", "", "ab: 1\n"),
        ("rows", "text/csv", "a,b,c\n", "12,34,567\n"),
        ("variables", "text/javascript", "", "a=1;"),
        ("literals", "text/javascript", "a=[", "{a:'\\x41'},"),
        ("components", "text/calendar", "BEGIN:VCALENDAR\n", "BEGIN:A\nEND:A\n"),
    ] {
        // Nothing is the same.
        let other =
            ["x", "y"].map(|first| gzip(&repeated(&format!("{begin}{first}"), &format!("{first}{unit}"), "", MIB)));
        cases.push(case(name, media_type, "gzip", other, MOST));
    }
    let keys = ["x", "y"].map(|first| gzip(&repeated("", &format!("{first}b: 1\n"), "", 4 * MIB - 100)));
    cases.push(case("many keys", "text/plain", "gzip", keys, MOST));
    // Hostile content.
    for (name, begin, unit, ends) in [
        ("numbers", "[", "1,", ["1]", "2]"]),
        ("empty arrays", "[", "[],", ["1]", "2]"]),
        ("empty objects", "[", "{},", ["1]", "2]"]),
        ("empty names", "{", "\"\":{},", ["\"a\":1}", "\"a\":2}"]),
        ("escapes", "[", "\"\\n\",", ["1]", "2]"]),
        ("one text of escapes", "[\"", "\\u00e9", ["1\"]", "2\"]"]),
        ("open arrays", "", "[", ["", "["]),
        ("commas, not JSON", "{", ",", ["", ","]),
        ("names, not JSON", "{\"a\":1 ", "\"a\":", ["", ","]),
    ] {
        for (size, bytes) in [("some", 700_000), ("many", 4 * MIB - 100)] {
            let contents = pair(begin, unit, ends, bytes).map(|content| gzip(&content));
            cases.push(case(&format!("{name}, {size}"), JSON, "gzip", contents, MOST));
        }
    }
    let names = |prefix: &str| format!("{{{}}}", numbered(249_000, |index| format!("\"{prefix}{index}\":{{}}")));
    cases.push(case("names", JSON, "gzip", ["a", "b"].map(|prefix| gzip(names(prefix).as_bytes())), MOST));
    for (name, begin, unit, ends) in [
        ("attributes", "<a ", "a ", ["b>", "c>"]),
        ("many attributes in many tags", "", &*format!("<a {}>", "a ".repeat(9_000)), ["b", "c"]),
        ("a long attribute", "<a a='", "&lt;", ["b'>", "c'>"]),
        ("a long text", "", "&#x20;a", ["b", "c"]),
        ("tags", "", "<a>", ["b", "c"]),
        ("a declaration", "<!", "a ", ["b>", "c>"]),
        ("an open quote", "<a b='", "<a ", ["b", "c"]),
        ("a script", "<script>", "</", ["b", "c"]),
    ] {
        let contents = pair(begin, unit, ends, 4 * MIB - 100).map(|content| gzip(&content));
        cases.push(case(name, HTML, "gzip", contents, MOST));
    }
    for media_type in ["text/plain", HTML] {
        for bytes in [2 * MIB - 100, 4 * MIB - 100] {
            let latin = |last: u8| gzip(&[vec![0xE9; bytes], vec![last]].concat());
            let contents = [latin(0xE9), latin(0xE8)];
            cases.push(case(
                &format!("{bytes} bytes that are not UTF-8 in {media_type}"),
                media_type,
                "gzip",
                contents,
                MOST,
            ));
        }
        let words = pair("", "0123456789abcdef0 ", ["b", "c"], 4 * MIB - 100).map(|content| gzip(&content));
        cases.push(case(&format!("hashes in {media_type}"), media_type, "gzip", words, MOST));
        // Replacements must not lengthen a text, least of all one that is not UTF-8.
        let times = pair("<a a='", "1767225600 ", ["1 \u{E9}'>", "2 \u{E9}'>"], 4 * MIB - 200);
        let times = times
            .map(|content| gzip(&String::from_utf8(content).unwrap().chars().map(|c| c as u8).collect::<Vec<_>>()));
        cases.push(case(&format!("times in {media_type}"), media_type, "gzip", times, MOST));
    }
    // Decoders that may take more memory than the content.
    let other = || b"x".to_vec();
    for (name, coding, content) in [
        ("a large window", "br", b"\x11\x1e\x8d\xff\x7f\x03".to_vec()),
        ("a window of 16 MiB", "br, gzip", gzip(&brotli(63))),
        ("a window of 16 MiB, too much", "br, gzip", gzip(&brotli(64))),
        ("zstd, 4 MiB", "zstd", zstd(0x68, 32)),
        ("zstd, too much", "zstd", zstd(0x68, 200)),
        ("zstd, many frames", "zstd", zstd(0x68, 1).repeat(20_000)),
        ("zstd, frames to skip", "zstd", b"\x50\x2a\x4d\x18\0\0\0\0".repeat(100_000)),
        ("gzip, many members", "gzip", gzip(b"").repeat(40_000)),
        ("gzip on zstd", "zstd, gzip, gzip, gzip", gzip(&gzip(&gzip(&zstd(0x68, 32))))),
        ("gzip, too much", "gzip, gzip", gzip(&gzip(&vec![0; 64 * MIB]))),
    ] {
        cases.push(case(name, "text/plain", coding, [content, other()], MOST));
    }
    cases
}

/// Returns rules of each kind, in every variant.
fn rules(count: usize) -> Rules {
    let pointer = |text: &str| Pointer::parse(text).unwrap();
    let place = |text: &str| Place::parse(text).unwrap();
    let long = format!("/**{}/**{}", "/a".repeat(30), "/*".repeat(30));
    Rules {
        headers: FieldNames::All,
        ignore: vec![place("/**/a/**/y"); count],
        accepted: vec![Accepted { place: place(&long), until: None }; count],
        redact: vec![place("/**/secret"); count],
        unordered: vec![Unordered { pointer: pointer("/**/u/**/v"), by: Some("id".to_owned()) }; count],
        tolerance: vec![(pointer(&long), Tolerance::Absolute(0.1)); count],
        treat_equal: vec![TreatEqual::Uuid, TreatEqual::Timestamp, TreatEqual::Hash, TreatEqual::Token],
        keep_values: true,
        ..Rules::default()
    }
}

fn headers(media_type: &str, coding: &str) -> HeaderMap {
    let value = |text| HeaderValue::from_str(text).unwrap();
    [(CONTENT_TYPE, value(media_type)), (CONTENT_ENCODING, value(coding))].into_iter().collect()
}

fn run(
    media_type: &str,
    coding: &str,
    contents: &[Vec<u8>; 2],
    rules: &Rules,
    is_over: &dyn Fn() -> Option<&'static str>,
) -> (Comparison, u64) {
    let headers = headers(media_type, coding);
    let [primary, mirror] =
        contents.each_ref().map(|body| Answer { status: StatusCode::OK, headers: &headers, body, time: UNIX_EPOCH });
    let comparison =
        compare(&primary, &mirror, &Settings { is_over, ..Settings::new(rules, UNIX_EPOCH, &Salt::default()) });
    let work = comparison.work;
    (comparison, work)
}

/// Returns a line of `/proc/self/status` in bytes.
fn status(name: &str) -> usize {
    let text = fs::read_to_string("/proc/self/status").unwrap();
    let line = text.lines().find_map(|line| line.strip_prefix(name)).unwrap();
    line.trim_start_matches(':').trim().trim_end_matches(" kB").parse::<usize>().unwrap() * 1024
}

fn file(name: &str, which: usize) -> PathBuf {
    let name: String = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' }).collect();
    Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("bounds-{name}-{which}"))
}

/// Compares the contents of two files and prints the memory that it took. Does nothing unless a case is set.
#[test]
fn in_a_process_of_its_own() {
    let Ok(name) = std::env::var("BOUNDS_CASE") else { return };
    let [media_type, coding] = ["BOUNDS_MEDIA_TYPE", "BOUNDS_CODING"].map(|name| std::env::var(name).unwrap());
    let contents = [0, 1].map(|which| fs::read(file(&name, which)).unwrap());
    let rules = rules(1);
    let before = status("VmRSS");
    let started = Instant::now();
    let (comparison, work) = run(&media_type, &coding, &contents, &rules, &|| None);
    let time = started.elapsed();
    let taken = status("VmHWM").saturating_sub(before);
    assert!(work <= MAX_WORK);
    println!("\nBOUNDS {taken} {work} {time:?} {:?} {:?}", comparison.verdict, comparison.reason);
}

/// Compares the two in a process of its own: the memory that it took in bytes, `None` if it ended early, and a line with all
/// of its figures.
fn measure(Case { name, media_type, coding, contents, .. }: &Case) -> (Option<usize>, String) {
    contents.iter().enumerate().for_each(|(which, content)| fs::write(file(name, which), content).unwrap());
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "in_a_process_of_its_own", "--nocapture", "--test-threads=1"])
        .envs([("BOUNDS_CASE", &**name), ("BOUNDS_MEDIA_TYPE", media_type), ("BOUNDS_CODING", coding)])
        .output()
        .unwrap();
    [0, 1].into_iter().for_each(|which| fs::remove_file(file(name, which)).unwrap());
    let text = String::from_utf8_lossy(&output.stdout);
    let figures = text.lines().find_map(|line| line.strip_prefix("BOUNDS "));
    (figures.map(|figures| figures.split(' ').next().unwrap().parse().unwrap()), figures.unwrap_or(&text).to_owned())
}

/// Memory must stay bounded for hostile responses.
#[test]
fn memory_is_bounded_for_any_responses() {
    let cases = cases();
    let next = AtomicUsize::new(0);
    let lane = || {
        let mut failures = String::new();
        while let Some(case) = cases.get(next.fetch_add(1, Ordering::Relaxed)) {
            let (taken, figures) = measure(case);
            println!("{}: bytes, work, time, verdict, reason: {figures}", case.name);
            if taken.is_none_or(|taken| taken > case.most) {
                failures.push_str(&format!("{}: {figures}\n", case.name));
            }
        }
        failures
    };
    // On all CPUs that there are; what is measured is in other processes.
    let lanes = thread::available_parallelism().map_or(1, usize::from);
    let failures: String = thread::scope(|scope| {
        let lanes: Vec<_> = (0..lanes).map(|_| scope.spawn(lane)).collect();
        lanes.into_iter().map(|lane| lane.join().unwrap()).collect()
    });
    assert!(failures.is_empty(), "{failures}");
}

/// Returns a document of nested arrays or objects.
fn tower(depth: usize, begin: &str, inside: &str, end: &str) -> Vec<u8> {
    format!("{}{inside}{}", begin.repeat(depth), end.repeat(depth)).into_bytes()
}

#[test]
fn the_work_of_rules_grows_with_the_values_and_not_with_their_depth() {
    let inside = |value: usize| numbered(2_000, |index| format!("{{\"b{index}\":{value}}}"));
    let work = |depth: usize, count: usize| {
        let contents = [1, 2].map(|value| tower(depth, "{\"a\":", &format!("[{}]", inside(value)), "}"));
        run("application/json", "", &contents, &rules(count), &|| None).1
    };
    assert!(work(90, 10) < 4 * work(3, 10), "{} {}", work(90, 10), work(3, 10));
    assert!(work(90, 100) < 15 * work(90, 10), "{} {}", work(90, 100), work(90, 10));
}

#[test]
fn work_beyond_the_limit_is_denied_and_reported() {
    let values = numbered(100_000, |index| format!("{{\"b\":{index}}}"));
    let contents = ["1", "2"].map(|last| tower(90, "{\"a\":", &format!("[{values},{last}]"), "}"));
    let (comparison, work) = run("application/json", "", &contents, &rules(400), &|| None);
    assert_eq!((comparison.verdict, comparison.reason, work), (Verdict::Unknown, Some("too-large"), MAX_WORK));
}

#[test]
fn a_comparison_ends_when_its_time_is_over() {
    // One of each kind of content and coding that is fast enough to be repeated three times.
    let names =
        ["small objects", "another order", "a page", "lines", "names", "attributes", "tags", "gzip, many members"];
    for Case { name, media_type, coding, contents, .. } in
        cases().into_iter().filter(|case| names.contains(&&*case.name))
    {
        let rules = rules(1);
        let asked = Cell::new(0_u64);
        let (whole, work) = run(media_type, coding, &contents, &rules, &|| {
            asked.set(asked.get() + 1);
            None
        });
        // Checked often enough: at most one pass over all content between two checks.
        assert!(asked.get() >= work / (5 * MIB as u64), "{name}: {} times in {work}", asked.get());
        for end in [1, asked.get() / 2, asked.get()] {
            let again = Cell::new(0);
            let is_over = || {
                again.set(again.get() + 1);
                (again.get() >= end).then_some("budget")
            };
            let headers = headers(media_type, coding);
            let [one, other] = contents.each_ref().map(|body| Answer {
                status: StatusCode::OK,
                headers: &headers,
                body,
                time: UNIX_EPOCH,
            });
            let salt = Salt::default();
            let settings = Settings { is_over: &is_over, ..Settings::new(&rules, UNIX_EPOCH, &salt) };
            let ended = compare(&one, &other, &settings);
            if asked.get() == 0 {
                assert_eq!(ended, whole, "{name}");
            } else {
                assert_eq!(ended, Comparison::without_differences(Verdict::Lost, Some("budget")), "{name}");
                assert_eq!(again.get(), end.max(1), "{name}: once over, nobody asks again");
            }
        }
    }
}

#[test]
fn the_work_of_fields_is_that_of_their_bytes() {
    let rules = rules(1);
    for (name, unit, ends) in [
        ("set-cookie", "a;", ["b", "c"]),
        ("set-cookie", "a=1;b", ["=1; b=2", "=1; b=3"]),
        ("cache-control", "a,", ["b", "c"]),
        ("cache-control", "a=\"", ["\"", "\", b"]),
        ("content-security-policy", "a a;", ["b", "c"]),
        ("www-authenticate", "a b=c,", ["d", "e"]),
        ("link", "<a>,", ["<b>", "<c>"]),
        ("link", "<a>;rel=a;a,", ["<b>;rel=a", "<c>;rel=a"]),
        ("link", "<a?a&a&a", [">;rel=\"a b c\"", ">;rel=\"a b d\""]),
        ("location", "&a=%", ["1", "2"]),
        ("location", "/..", ["/1", "/2"]),
        ("x-other", "0123456789abcdef ", ["b", "c"]),
    ] {
        let fields = |lines: usize, bytes: usize, end: &str| -> HeaderMap {
            let value = HeaderValue::from_str(&format!("{}{end}", unit.repeat(bytes / unit.len()))).unwrap();
            (0..lines).map(|_| (name.parse::<HeaderName>().unwrap(), value.clone())).collect()
        };
        for (lines, bytes) in [(1, 250_000), (100, 2_500)] {
            let headers = ends.map(|end| fields(lines, bytes, end));
            let [one, other] = headers.each_ref().map(|headers| Answer {
                status: StatusCode::OK,
                headers,
                body: b"",
                time: UNIX_EPOCH,
            });
            let comparison = compare(&one, &other, &Settings::new(&rules, UNIX_EPOCH, &Salt::default()));
            let work = comparison.work;
            assert_eq!(comparison.verdict, Verdict::Different, "{name}");
            assert!(work < 100 * 2 * 250_000, "{name}: {work}");
        }
    }
}
