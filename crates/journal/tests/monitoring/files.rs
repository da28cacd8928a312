//! The files of `deploy/monitoring`, and those that are made of them.

use std::collections::BTreeMap;
use std::fs;
use std::sync::OnceLock;

use serde_json::{Value, json};

const DEPLOY: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../deploy");

/// The queries on the dashboard, a row for each line, and how it shows them.
const ROWS: [&[(&str, &str)]; 6] = [
    &[("requests", "timeSeries"), ("failovers", "timeSeries")],
    &[("failed-share", "table"), ("errors", "table")],
    &[("latency", "table"), ("phases", "timeSeries")],
    &[("systems", "table"), ("live", "table")],
    &[("parity", "table"), ("differences", "table")],
    &[("lost-copies", "table"), ("slow-paths", "table"), ("messages", "table")],
];

/// The texts of the queries by folder and name, such as `alarms/lost-copies`.
pub(crate) fn pack() -> &'static BTreeMap<String, String> {
    static PACK: OnceLock<BTreeMap<String, String>> = OnceLock::new();
    PACK.get_or_init(|| {
        let mut found = BTreeMap::new();
        for folder in ["alarms", "queries"] {
            for file in fs::read_dir(format!("{DEPLOY}/monitoring/{folder}")).unwrap() {
                let path = file.unwrap().path();
                assert_eq!(path.extension(), Some("query".as_ref()), "{}", path.display());
                let name = path.file_stem().unwrap().to_str().unwrap().to_owned();
                found.insert(format!("{folder}/{name}"), fs::read_to_string(path).unwrap());
            }
        }
        found
    })
}

/// Compares a file with what it has to be, or writes it if `BLESS` is set.
#[track_caller]
pub(crate) fn blessed(path: &str, expected: &str) {
    if std::env::var_os("BLESS").is_some() {
        fs::write(path, expected).unwrap();
    }
    let found = fs::read_to_string(path).unwrap_or_default();
    let differs = found.lines().zip(expected.lines()).find(|(found, expected)| found != expected);
    assert!(found == expected, "{path} is out of date, `BLESS=1` writes it: {differs:?}");
}

/// The title of a query, and its commands.
fn parts(name: &str) -> (&'static str, &'static str) {
    let (title, commands) = pack()[name].split_once('\n').unwrap();
    (title.strip_prefix("# ").unwrap_or_else(|| panic!("{name} begins with a title")), commands.trim_end())
}

/// A widget at this place of the grid, which has 24 columns.
fn widget(kind: &str, (x, y, width): (usize, usize, usize), properties: &Value) -> String {
    let place = format!("\"x\":{x},\"y\":{y},\"width\":{width},\"height\":6");
    let properties = properties.to_string();
    let properties = properties.strip_prefix('{').unwrap();
    format!("{{\"type\":\"{kind}\",{place},\"properties\":{{\"region\":\"${{Region}}\",{properties}}}")
}

/// The dashboard, a line for each widget.
fn dashboard() -> String {
    let of_the_function = |metrics: &[(&str, &str)]| {
        let metric = |(name, stat): &(&str, &str)| json!(["AWS/Lambda", name, "FunctionName", "${FunctionName}", { "stat": stat, "label": format!("{name} ({stat})") }]);
        metrics.iter().map(metric).collect::<Vec<_>>()
    };
    let searched = |names: &[&str]| {
        let search = |name: &&str| {
            let search = format!("SEARCH('{{AWS/ApplicationELB,TargetGroup}} MetricName=\"{name}\"', 'Sum', 60)");
            json!([{ "expression": search, "id": name.to_lowercase(), "label": name }])
        };
        names.iter().map(search).collect::<Vec<_>>()
    };
    let metrics = [
        ("Invocations", of_the_function(&[("Invocations", "Sum"), ("Errors", "Sum"), ("Throttles", "Sum")])),
        ("Environments in use", of_the_function(&[("ConcurrentExecutions", "Maximum")])),
        (
            "Duration of invocations",
            of_the_function(&[("Duration", "p50"), ("Duration", "p99"), ("Duration", "Maximum")]),
        ),
        ("Errors of functions behind load balancers", searched(&["LambdaUserError", "LambdaInternalError"])),
    ];
    let mut widgets = Vec::new();
    for (at, (title, metrics)) in metrics.into_iter().enumerate() {
        let properties = json!({ "title": title, "view": "timeSeries", "period": 60, "metrics": metrics });
        widgets.push(widget("metric", (6 * at, 0, 6), &properties));
    }
    for (row, queries) in ROWS.iter().enumerate() {
        let width = 24 / queries.len();
        for (at, (name, view)) in queries.iter().enumerate() {
            let (title, commands) = parts(&format!("queries/{name}"));
            let query = format!("SOURCE '${{LogGroup}}' | {commands}");
            let properties = json!({ "title": title, "view": view, "query": query });
            widgets.push(widget("log", (width * at, 6 + 6 * row, width), &properties));
        }
    }
    format!("{{\"start\":\"-PT3H\",\"periodOverride\":\"inherit\",\"widgets\":[\n{}\n]}}\n", widgets.join(",\n"))
}

#[test]
fn the_dashboard_has_the_queries() {
    let dashboard = dashboard();
    let parsed: Value = serde_json::from_str(&dashboard).unwrap();
    assert_eq!(parsed["widgets"].as_array().unwrap().len(), 17);
    // Placeholders for `Fn::Sub` and for `templatefile` of Terraform, which also has `%{`.
    let placeholders = ["${LogGroup}", "${Region}", "${FunctionName}"];
    let known: usize = placeholders.iter().map(|name| dashboard.matches(name).count()).sum();
    assert_eq!((dashboard.matches("${").count(), dashboard.matches("%{").count()), (known, 0));
    blessed(&format!("{DEPLOY}/monitoring/dashboard.json"), &dashboard);
}

/// Files with a copy of the dashboard and of the alarms' queries: their tools cannot include files.
const COPIES: [&str; 3] = ["serverless/monitoring.yml", "cloudformation/crossfade.yml", "sam/template.yml"];

/// A text with these lines, indented, between `begin` and the next `end`.
#[track_caller]
fn replaced(text: &str, begin: &str, end: &str, indent: usize, lines: &str) -> String {
    let (before, rest) = text.split_once(begin).unwrap_or_else(|| panic!("{begin} is missing"));
    let after = &rest[rest.find(end).unwrap_or_else(|| panic!("{end} is missing after {begin}"))..];
    let lines: String = lines.lines().map(|line| format!("{:indent$}{line}\n", "")).collect();
    format!("{before}{begin}{lines}{after}")
}

/// Their other lines stay as they are.
#[test]
fn the_deploy_files_have_the_dashboard_and_the_queries_of_the_alarms() {
    let paths = COPIES.iter().map(|file| format!("{DEPLOY}/{file}")).filter(|path| fs::exists(path).unwrap());
    let paths: Vec<String> = paths.collect();
    assert!(!paths.is_empty());
    for path in paths {
        let file = fs::read_to_string(&path).unwrap();
        let sub = if file.contains("!Sub\n          - |\n            {\"start\"") { "!Sub" } else { "Fn::Sub:" };
        let sub = format!("DashboardBody:\n        {sub}\n          - |\n");
        let mut expected = replaced(&file, &sub, "          - LogGroup:", 12, &dashboard());
        for name in pack().keys().filter_map(|name| name.strip_prefix("alarms/")) {
            let (_, commands) = parts(&format!("alarms/{name}"));
            let (query, aggregation) = commands.rsplit_once("\n| stats ").unwrap();
            let named = format!("-{name}\n      AlarmDescription:");
            let (before, rest) = expected.split_once(&named).unwrap_or_else(|| panic!("{path} has no alarm {name}"));
            let rest = replaced(rest, "        QueryString: |-\n", "        AggregationExpression:", 10, query);
            let (query, rest) = rest.split_once("        AggregationExpression:").unwrap();
            let rest = rest.split_once('\n').unwrap().1;
            expected = format!("{before}{named}{query}        AggregationExpression: {aggregation}\n{rest}");
        }
        blessed(&path, &expected);
    }
}

/// A module of Terraform and a package of CDK can only include what is in their own folders.
#[test]
fn folders_with_copies_have_the_same_files() {
    let folders = ["terraform/monitoring", "cdk/monitoring", "cdk/python/crossfade_cdk/monitoring"];
    let folders = folders.map(|folder| format!("{DEPLOY}/{folder}"));
    for folder in folders.iter().filter(|folder| fs::exists(folder).unwrap()) {
        blessed(&format!("{folder}/dashboard.json"), &dashboard());
        for (name, query) in pack().iter().filter(|(name, _)| name.starts_with("alarms/")) {
            blessed(&format!("{folder}/{name}.query"), query);
        }
    }
}

#[test]
fn the_readme_lists_every_query() {
    let readme = fs::read_to_string(format!("{DEPLOY}/monitoring/README.md")).unwrap();
    let on_it: Vec<&str> = ROWS.iter().flat_map(|row| row.iter().map(|(name, _)| *name)).collect();
    for name in pack().keys() {
        let (folder, short) = name.split_once('/').unwrap();
        let row = readme.lines().find(|line| line.starts_with(&format!("| [`{short}`]({folder}/{short}.query) |")));
        let row = row.unwrap_or_else(|| panic!("README.md has no row for {name}"));
        assert_eq!(row.contains("| yes |"), folder == "queries" && on_it.contains(&short), "{row}");
    }
}
