//! The cost of comparing two responses: instructions, which a busy machine does not blur, and the clock. It owns the contents
//! that are compared: ordinary ones of 100 KB, and those that would be slow if anything took more than its share.

use std::fmt::Write as _;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Context as _, ensure};
use crossfade_compare::{Answer, Comparison, Rules, Salt, Settings, Verdict, compare};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};

use crate::counts;

/// The number of timed repetitions, of which the median is shown.
const REPEATED: usize = 9;
/// Bytes of an ordinary content.
const ORDINARY: usize = 100_000;
const MEGABYTE: usize = 1_000_000;

/// Two contents that differ.
struct Case {
    name: &'static str,
    media_type: &'static str,
    contents: [String; 2],
}

/// Prints a table.
///
/// # Errors
/// When `valgrind` is missing, or two contents do not differ.
pub fn run() -> anyhow::Result<()> {
    println!("| content | size | clock | instructions | units of work | differences |");
    println!("|---|--:|--:|--:|--:|--:|");
    let program = std::env::current_exe()?;
    for (number, case) in cases().iter().enumerate() {
        let mut times = Vec::new();
        for _ in 0..REPEATED {
            let started = Instant::now();
            std::hint::black_box(compared(case)?);
            times.push(started.elapsed());
        }
        times.sort_unstable();
        let clock = times[REPEATED / 2].as_secs_f64() * 1000.0;
        let count = |times: &str| counts::instructions_of(&program, &["compare-probe", &number.to_string(), times]);
        let instructions = count("2")?.saturating_sub(count("1")?) as f64 / 1e6;
        let Comparison { verdict, work, differences, more, .. } = compared(case)?;
        let size = case.contents[0].len() as f64 / 1000.0;
        let found = match verdict {
            Verdict::Different => (differences.len() + more as usize).to_string(),
            verdict => format!("{verdict:?}").to_lowercase(),
        };
        println!("| {} | {size:.0} KB | {clock:.1} ms | {instructions:.1} M | {work} | {found} |", case.name);
    }
    Ok(())
}

/// The process that is counted: compares a case so many times.
///
/// # Errors
/// When there is no such case.
pub fn probe(number: usize, times: usize) -> anyhow::Result<()> {
    let cases = cases();
    let case = cases.get(number).context("no such case")?;
    for _ in 0..times {
        std::hint::black_box(compared(case)?);
    }
    Ok(())
}

fn compared(case: &Case) -> anyhow::Result<Comparison> {
    let headers: HeaderMap = [(CONTENT_TYPE, HeaderValue::from_static(case.media_type))].into_iter().collect();
    let (rules, salt) = (Rules::default(), Salt::default());
    let [primary, mirror] = &case.contents;
    let comparison =
        compare(&answer(primary, &headers), &answer(mirror, &headers), &Settings::new(&rules, now(), &salt));
    ensure!(comparison.verdict != Verdict::Match, "{}: no difference", case.name);
    Ok(comparison)
}

/// Returns a time that no small number stands for.
fn now() -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(1_800_000_000)
}

fn answer<'a>(body: &'a str, headers: &'a HeaderMap) -> Answer<'a> {
    Answer { status: StatusCode::OK, headers, body: body.as_bytes(), time: now() }
}

fn cases() -> Vec<Case> {
    let case = |name, media_type, contents| Case { name, media_type, contents };
    let json = |version| {
        document(ORDINARY, "[", "]", ",", |n| {
            format!(
                r#"{{"id":{n},"name":"Product {n}","price":{}.5,"tags":["a","b"],"stock":{{"at":"Berlin","n":{n}}}}}"#,
                n + version * (n % 100)
            )
        })
    };
    let page = |version| {
        document(ORDINARY, "<!DOCTYPE html><html><body><main>", "</main></body></html>", "\n", |n| {
            format!(
                r#"<article class="product" id="p{n}"><h2>Product {n}</h2><a href="/p/{n}?ref=list">More</a><p class="price">{} EUR</p></article>"#,
                n + version * (n % 100)
            )
        })
    };
    let text = |version| {
        document(ORDINARY, "", "", "\n", |n| {
            format!("2026-11-28 line {n} of the log: value {}", n + version * (n % 100))
        })
    };
    let table = |version| {
        document(ORDINARY, "id,name,price\n", "", "\n", |n| format!("{n},Product {n},{}.50", n + version * (n % 100)))
    };
    let both = |of: &dyn Fn(usize) -> String| [of(0), of(1)];
    let shuffled = |count: usize, of: &dyn Fn(usize) -> String| {
        let order = |step: usize| (0..count).map(|n| of(n * step % count)).collect::<Vec<_>>();
        [order(1), order(7_919)]
    };
    let list = |items: [Vec<String>; 2], begin: &str, between: &str, end: &str| {
        items.map(|items| format!("{begin}{}{end}", items.join(between)))
    };
    let attributes = |version: usize| {
        let mut page = "<p".to_owned();
        (0..50_000).for_each(|n| {
            let _ = write!(page, " a{n}={}", n + version * (n % 100));
        });
        page + ">x</p>"
    };
    vec![
        case("JSON", "application/json", both(&json)),
        case("HTML", "text/html", both(&page)),
        case("text", "text/plain", both(&text)),
        case("CSV", "text/csv", both(&table)),
        case(
            "10,000 shuffled objects",
            "application/json",
            list(shuffled(10_000, &|n| format!("{{\"id\":{n}}}")), "[", ",", "]"),
        ),
        case("10,000 shuffled numbers", "application/json", list(shuffled(10_000, &|n| n.to_string()), "[", ",", "]")),
        case(
            "10,000 shuffled elements",
            "text/html",
            list(shuffled(10_000, &|n| format!("<li>{n}</li>")), "<ul>", "", "</ul>"),
        ),
        case("10,000 shuffled lines", "text/plain", list(shuffled(10_000, &|n| format!("line {n}")), "", "\n", "")),
        case("a line of 1 MB", "text/plain", ["x", "y"].map(|end| "word ".repeat(MEGABYTE / 5) + end)),
        case(
            "a script of 1 MB in a line",
            "text/javascript",
            ["1", "2"].map(|end| "f(1);".repeat(MEGABYTE / 5) + "a=" + end),
        ),
        case("50,000 attributes", "text/html", both(&attributes)),
    ]
}

/// Repeats a unit, with its number, until the document has the size.
fn document(size: usize, begin: &str, end: &str, between: &str, unit: impl Fn(usize) -> String) -> String {
    let mut text = begin.to_owned();
    for number in 0.. {
        if text.len() >= size {
            break;
        }
        if number > 0 {
            text.push_str(between);
        }
        text.push_str(&unit(number));
    }
    text + end
}
