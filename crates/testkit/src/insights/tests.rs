//! Tests of the language, with events that are easy to count by hand.

use super::{Event, Log, MOST_FIELDS, Query};

fn run(query: &str, lines: &[&str]) -> Result<String, String> {
    let events: Vec<Event> = (0..)
        .zip(lines)
        .map(|(at, line)| Event { timestamp: 1_800_000_000_000 + at * 60_000, message: (*line).to_owned() })
        .collect();
    Query::parse(query)?.run(&Log::new(&events)).map(|table| table.to_string())
}

const LINES: [&str; 6] = [
    r#"{"type":"a","n":1,"list":[{"x":"p"},{"x":"q"}],"in":{"deep":true}}"#,
    r#"{"type":"a","n":2.5,"weight":10}"#,
    r#"{"type":"b","n":3}"#,
    "a line of somebody else",
    "REPORT RequestId: 8f5c\tDuration: 12.34 ms\tBilled Duration: 13 ms\tMemory Size: 128 MB\tInit Duration: 33.1 ms\t",
    r#"{"type":7}"#,
];

#[test]
fn commands_do_what_aws_documents() {
    for (query, expected) in [
        ("fields n | filter type = \"a\" | sort n asc", "n\n1\n2.5\n"),
        ("FIELDS n as m | FILTER n > 1 | SORT n DESC | LIMIT 1", "m\n3\n"),
        ("stats count(*) as all, count(n) as some", "all  some\n6    3\n"),
        (
            "filter ispresent(n) | stats sum(coalesce(weight, 1)) as sum, avg(n), min(n), max(n) by type",
            "type  sum  avg(n)  min(n)  max(n)\na     11   1.75    1       2.5\nb     1    3       3       3\n",
        ),
        (
            "filter ispresent(n) | stats pct(n, 50) as p50, pct(n, 99) as p99, latest(type) as l, earliest(type) as e",
            "p50  p99  l  e\n2.5  3    b  a\n",
        ),
        (
            "filter type in [\"a\", \"b\"] and not ispresent(weight) | stats count(*) by bin(5m)",
            "bin(5m)        count(*)\n1800000000000  2\n",
        ),
        ("filter list.1.x = 'q' and in.deep = 1 | stats 100 * sum(n = 1) / count(*) as share", "share\n100\n"),
        (
            "filter `@type` = \"REPORT\" # a comment\n| fields @requestId, @duration, @initDuration",
            "@requestId  @duration  @initDuration\n8f5c        12.34      33.1\n",
        ),
        ("filter n - 1 = 1.5 or n * 2 = 6 | fields n + 1 as m | sort n", "m\n3.5\n4\n"),
        // The absent `weight` does not decide.
        ("filter n >= 3 or weight >= 10 | stats count(*) as lines", "lines\n2\n"),
        ("filter type = \"nothing\" | stats count(*) as lines", "lines\n"),
    ] {
        assert_eq!(run(query, &LINES).as_deref(), Ok(expected), "{query}");
    }
}

#[test]
fn what_aws_does_not_document_is_an_error() {
    for (query, expected) in [
        ("filter type != \"a\"", "`!=` with an absent field: use coalesce()"),
        ("filter not (n = 1)", "`not` of an absent field"),
        ("stats sum(n)", "a sum over events that lack the field: use coalesce()"),
        ("stats count(*) by n", "`n` groups events that lack it: use coalesce()"),
        ("filter ispresent(n) and type > 1", "`b` is not a number"),
        ("filter ispresent(n) | stats n", "`stats` needs an aggregation for each value"),
        ("filter ispresent(n) | fields sum(n)", "an aggregation outside of `stats`"),
        ("filter ispresent(n) and n and n = 1", "Number(3.0) is neither true nor false"),
    ] {
        assert_eq!(run(query, &LINES), Err(expected.to_owned()), "{query}");
    }
}

#[test]
fn unknown_words_are_errors() {
    for (query, expected) in [
        ("display n", "expected a command at `display n`"),
        ("stats median(n)", "unknown function `median`"),
        ("filter n = 1 sort n", "expected `|` at `sort n`"),
        ("filter n like /x/", "expected `|` at `like /x/`"),
        ("filter n = \"a", "\" at 11 has no end"),
        ("stats count(*) by bin(5x)", "unknown unit `x` at 22"),
        ("filter n = 1 ; limit 1", "unknown character `;` at 13"),
        ("limit 1.5", "`limit` needs a whole number"),
        ("filter", "expected a value at ``"),
        ("filter n in [m]", "a list has texts and numbers only"),
    ] {
        assert_eq!(Query::parse(query).map(|_| ()), Err(expected.to_owned()), "{query}");
    }
}

#[test]
fn a_query_knows_the_fields_that_it_does_not_define_itself() {
    let query =
        "filter type = \"a\" | fields n as m, list.0.x as m2, time | stats sum(m), max(m2) by bin(5m), time | sort m";
    let fields: Vec<String> = Query::parse(query).unwrap().fields().into_iter().collect();
    assert_eq!(fields, ["@timestamp", "list.0.x", "n", "time", "type"]);
}

#[test]
fn fields_beyond_the_limit_are_not_discovered() {
    let many: Vec<String> = (0..MOST_FIELDS).map(|at| format!("\"f{at}\":1")).collect();
    let line = format!("{{\"type\":\"a\",{},\"last\":1}}", many.join(","));
    let found = run("fields type, f198, f199, last", &[&line]).unwrap();
    assert_eq!(found.lines().nth(1), Some("a     1"));
}

#[test]
fn foreign_json_has_no_fields_unless_it_is_whole() {
    for line in ["{\"type\":\"a\"", "{\"type\":\"a\"} trailing", "[1]", "{}", ""] {
        assert_eq!(run("filter ispresent(type) | stats count(*) as n", &[line]).as_deref(), Ok("n\n"), "{line}");
    }
}
