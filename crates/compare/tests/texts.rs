//! Properties of text, tables, forms, scripts and lines of JSON: the same document written in another way matches, one change
//! is one place, and hostile content takes linear work.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

use std::time::UNIX_EPOCH;

use crossfade_compare::{Answer, Comparison, Rules, Salt, Settings, TreatEqual, Verdict, compare};
use http::header::CONTENT_TYPE;
use http::{HeaderMap, HeaderValue, StatusCode};
use proptest::prelude::*;

const KINDS: [&str; 8] = [
    "text/plain",
    "text/csv",
    "application/x-ndjson",
    "application/x-www-form-urlencoded",
    "application/javascript",
    "text/calendar",
    "text/yaml",
    "text/event-stream",
];

fn compared(media_type: &str, primary: &str, mirror: &str) -> Comparison {
    let rules = Rules { treat_equal: TreatEqual::ALL.to_vec(), keep_values: true, ..Rules::default() };
    let mut headers = HeaderMap::new();
    headers.insert(CONTENT_TYPE, HeaderValue::from_str(media_type).unwrap());
    let [one, other] = [primary, mirror].map(|body| Answer {
        status: StatusCode::OK,
        headers: &headers,
        body: body.as_bytes(),
        time: UNIX_EPOCH,
    });
    let comparison = compare(&one, &other, &Settings::new(&rules, UNIX_EPOCH, &Salt::default()));
    let most = 20_000 + 2_000 * (primary.len() + mirror.len()) as u64;
    assert!(comparison.work <= most, "{media_type}: {}", comparison.work);
    comparison
}

/// Returns the classes and places of the differences.
fn places(media_type: &str, primary: &str, mirror: &str) -> Vec<String> {
    let comparison = compared(media_type, primary, mirror);
    let place = |difference: &crossfade_compare::Difference| {
        format!("{:?} {}", difference.class, difference.pointer).to_lowercase()
    };
    comparison.differences.iter().map(place).collect()
}

/// Lines that are all different.
fn unique_lines() -> impl Strategy<Value = Vec<String>> {
    prop::collection::btree_set("[a-z ]{3,12}[.!]", 2..30).prop_map(|lines| lines.into_iter().collect())
}

proptest! {
    #[test]
    fn any_texts_are_compared(
        one in "[a-c\\n:=\"',;{}()\\[\\]/*\\\\`&%+ 0-9]{0,80}|(\\PC|\\n){0,60}",
        other in "[a-c\\n:=\"',;{}()\\[\\]/*\\\\`&%+ 0-9]{0,80}|(\\PC|\\n){0,60}",
        kind in prop::sample::select(&KINDS[..]),
    ) {
        prop_assert_eq!(compared(kind, &one, &one).verdict, Verdict::Match);
        let (there, back) = (compared(kind, &one, &other), compared(kind, &other, &one));
        prop_assert_eq!(there.verdict, back.verdict, "{:?} {:?}", there.differences, back.differences);
        let crlf = one.replace('\n', "\r\n");
        if kind != "application/x-www-form-urlencoded" && kind != "application/javascript" {
            let comparison = compared(kind, &one, &crlf);
            prop_assert_eq!(comparison.verdict, Verdict::Match, "{:?}", comparison.differences);
        }
    }

    #[test]
    fn one_line_is_one_place(lines in unique_lines(), at in any::<prop::sample::Index>()) {
        let (at, text) = (at.index(lines.len()), lines.join("\n"));
        let changed = |change: &dyn Fn(&mut Vec<String>)| {
            let mut lines = lines.clone();
            change(&mut lines);
            places("text/plain", &text, &lines.join("\r\n"))
        };
        let number = at + 1;
        prop_assert_eq!(changed(&|lines| lines[at] = "ANOTHER".to_owned()), [format!("value line: {number}")]);
        prop_assert_eq!(changed(&|lines| lines.insert(at, "ANOTHER".to_owned())), ["extra line: *"]);
        prop_assert_eq!(changed(&|lines| drop(lines.remove(at))), [format!("missing line: {number}")]);
        let found = changed(&|lines| lines.rotate_left(at));
        prop_assert!(found.is_empty() || found == ["order line: *"], "{:?}", found);
    }

    #[test]
    fn one_key_is_one_place(
        lines in prop::collection::btree_map("[A-Z][a-z]{2,8}", "[a-z0-9]{1,8}", 1..20),
        at in any::<prop::sample::Index>(),
    ) {
        let text = |lines: &[(String, String)]| {
            lines.iter().map(|(name, value)| format!("{name}: {value}\n")).collect::<String>()
        };
        let mut lines: Vec<_> = lines.into_iter().collect();
        let (before, at) = (text(&lines), at.index(lines.len()));
        lines[at].1 = "ANOTHER".to_owned();
        let expected = format!("value line: {}", lines[at].0.to_lowercase());
        prop_assert_eq!(places("text/plain", &before, &text(&lines)), [&*expected]);
        lines.insert(0, ("Inserted".to_owned(), "x".to_owned()));
        prop_assert_eq!(places("text/plain", &before, &text(&lines)), ["extra line: inserted", &*expected]);
    }

    #[test]
    fn one_cell_is_one_place(
        rows in prop::collection::vec(("[a-z]{0,5}", "[a-z \",\n]{0,8}", 0..100_u32), 1..20),
        at in any::<prop::sample::Index>(),
        has_key in any::<bool>(),
    ) {
        let quoted = |cell: &str| format!("\"{}\"", cell.replace('"', "\"\""));
        let table = |rows: &[(String, String, u32)], always: bool| {
            let mut text = if has_key { "id,first,second,third\r\n" } else { "first,second,third\n" }.to_owned();
            for (number, (first, second, third)) in rows.iter().enumerate() {
                let first = if always { quoted(first) } else { first.clone() };
                let third = if always { quoted(&third.to_string()) } else { third.to_string() };
                let key = if has_key { format!("k{number},") } else { String::new() };
                text.push_str(&format!("{key}{first},{},{third}{}", quoted(second), if always { "\r\n" } else { "\n" }));
            }
            text
        };
        let mut changed = rows.clone();
        prop_assert_eq!(compared("text/csv", &table(&rows, false), &table(&rows, true)).verdict, Verdict::Match);
        let at = at.index(rows.len());
        changed[at].1 = "ANOTHER".to_owned();
        prop_assert_eq!(places("text/csv", &table(&rows, false), &table(&changed, true)), ["value column: second"]);
        changed.remove(at);
        if has_key && at + 1 == rows.len() {
            prop_assert_eq!(places("text/csv", &table(&rows, false), &table(&changed, true)), ["missing rows"]);
        }
    }

    #[test]
    fn one_field_is_one_place(
        fields in prop::collection::btree_map("[a-z]{1,5}", "[a-z]{0,5}", 1..12),
        at in any::<prop::sample::Index>(),
    ) {
        let form = |fields: &mut dyn Iterator<Item = (&String, &String)>| {
            fields.map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&")
        };
        let name = fields.keys().nth(at.index(fields.len())).unwrap().clone();
        let mut changed = fields.clone();
        changed.insert(name.clone(), "AN+OTHER".to_owned());
        let (before, after) = (form(&mut fields.iter()), form(&mut changed.iter().rev()));
        let kind = "application/x-www-form-urlencoded";
        prop_assert_eq!(places(kind, &before, &after), [format!("value /{name}")]);
        prop_assert_eq!(compared(kind, &before, &form(&mut fields.iter().rev())).verdict, Verdict::Match);
    }

    #[test]
    fn one_variable_is_one_place(
        variables in prop::collection::btree_map("z[a-z]{1,5}", "[a-z]{0,5}", 1..12),
        at in any::<prop::sample::Index>(),
    ) {
        let name = variables.keys().nth(at.index(variables.len())).unwrap().clone();
        let script = |quote: char, end: &str, changed: Option<&str>| {
            let statement = |(variable, value): (&String, &String)| {
                let value = if changed == Some(variable) { "ANOTHER" } else { value };
                format!("var {variable} = {{{quote}x{quote}: {quote}{value}{quote}, y: [1, 2]}}{end}f({variable} * 2);\n")
            };
            variables.iter().map(statement).collect::<String>()
        };
        let before = script('"', ";\n", None);
        let kind = "text/javascript";
        prop_assert_eq!(compared(kind, &before, &script('\'', ";\n", None)).verdict, Verdict::Match);
        let expected = format!("value variable: {name} >> /x");
        prop_assert_eq!(places(kind, &before, &script('"', ";\n", Some(&name))), [expected]);
    }
}

/// Hostile texts take work in proportion to their length, which `compared` checks.
#[test]
fn hostile_texts_take_linear_work() {
    const LENGTH: usize = 20_000;
    let units = [
        "\n",
        "a\n",
        "a: b\n",
        "a",
        "{",
        "}",
        "(",
        "[",
        "\"",
        "'",
        "`",
        "\\\"",
        "\\/",
        "/",
        "/*",
        "//",
        "=",
        "a=",
        "a={",
        "={},",
        "\"\"",
        ",",
        ";",
        "\"a\",",
        "a,b\n",
        "BEGIN:VEVENT\n",
        "END:VEVENT\n",
        "[a]\n",
        "User-agent: a\n",
        "&",
        "%",
        "a=b&",
        "{\"a\":1}\n",
        "x:{",
        "a.b[",
        "return {",
        "a[\"b\"]=",
        " ",
        "\n ",
        "é",
        "JSON.parse(\"",
        "{a:1},",
        "/[",
        "a{b=\"c\"} 1\n",
    ];
    for unit in units {
        let text = unit.repeat(LENGTH / unit.len());
        for kind in KINDS {
            let _ = compared(kind, &text, &format!("{text}.x"));
            let _ = compared(kind, &format!("BEGIN:VCALENDAR\n{text}"), &format!("BEGIN:VCALENDAR\nX:1\n{text}"));
        }
    }
    // Many lines and rows in another order, and many that differ.
    let numbered = |step: usize, unit: &str| -> String {
        (0..10_000_usize).map(|index| format!("{}{unit}\n", index * step % 10_007)).collect()
    };
    for kind in KINDS {
        for (unit, step) in [("", 7), (": x", 7), (",a", 7), ("\"", 7), (",x\n", 1)] {
            let _ = compared(kind, &numbered(1, unit), &numbered(step, unit));
            let _ = compared(kind, &format!("id,b\n{}", numbered(1, unit)), &format!("id,c\n{}", numbered(step, unit)));
        }
    }
}
