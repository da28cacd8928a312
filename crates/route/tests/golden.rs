//! Configurations with their compiled form and diagnostics, in `tests/config`: `NAME.yaml` -> `NAME.txt`. A new case is a
//! new file; `BLESS=1` in the environment rewrites the expectations.

#![allow(clippy::unwrap_used, reason = "a failure here is a failed test")]

use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use crossfade_journal::Names;
use crossfade_route::{Action, Checked, Expectation, Forward, Route, RoutingTable, Share, Surroundings};

/// The files next to the configurations, and two variables.
struct Fixtures(PathBuf);

impl Surroundings for Fixtures {
    fn variable(&self, name: &str) -> Option<String> {
        match name {
            "STAGE" => Some("staging".to_owned()),
            "SHARE" => Some("25".to_owned()),
            _ => None,
        }
    }

    fn file(&self, path: &Path) -> Result<Vec<u8>, String> {
        fs::read(self.0.join(path)).map_err(|_| "no such file".to_owned())
    }
}

#[test]
fn configurations_compile_or_report_errors() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/config");
    let mut cases = 0;
    for entry in fs::read_dir(&folder).unwrap() {
        let path = entry.unwrap().path();
        if path.extension().is_none_or(|extension| extension != "yaml") {
            continue;
        }
        cases += 1;
        let text = fs::read_to_string(&path).unwrap();
        let file_name = path.file_name().unwrap().to_str().unwrap();
        let checked = Checked::new(&text, file_name, &Fixtures(folder.clone()));
        let mut actual = checked.table.as_ref().map(describe).unwrap_or_default();
        for expectation in &checked.expectations {
            describe_expectation(expectation, &mut actual);
        }
        if !checked.diagnostics.list.is_empty() {
            writeln!(actual, "{}", checked.diagnostics.with_lines()).unwrap();
        }
        let golden = path.with_extension("txt");
        if std::env::var_os("BLESS").is_some() {
            fs::write(&golden, &actual).unwrap();
        }
        let expected = fs::read_to_string(&golden).unwrap_or_default();
        assert!(expected == actual, "{file_name}\n--- expected\n{expected}\n--- actual\n{actual}");
    }
    assert!(cases > 10);
}

/// Files with one mistake each, in sections of `mistakes.txt`: `=== NAME`, the file, `--->`, and its only error.
#[test]
fn a_mistake_is_one_error_and_its_hint_says_what_to_write() {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/mistakes.txt");
    let expected = fs::read_to_string(&golden).unwrap();
    let (mut actual, mut several) = (String::new(), Vec::new());
    let lines: Vec<&str> = expected.split_inclusive('\n').collect();
    for section in lines.chunk_by(|_, next| !next.starts_with("=== ")) {
        let (name, rest) = section.split_first().unwrap();
        let text: String = rest.iter().take_while(|line| **line != "--->\n").copied().collect();
        let checked = Checked::new(&text, "file.yaml", &Fixtures(PathBuf::new()));
        write!(actual, "{name}{text}--->\n{}\n", checked.diagnostics.with_lines()).unwrap();
        if checked.diagnostics.list.len() != 1 || checked.table.is_some() {
            several.push(name);
        }
    }
    assert!(several.is_empty(), "not one error: {several:?}");
    if std::env::var_os("BLESS").is_some() {
        fs::write(&golden, &actual).unwrap();
    }
    let expected = fs::read_to_string(&golden).unwrap();
    assert!(expected == actual, "{actual}");
}

fn describe(table: &RoutingTable) -> String {
    let mut text = String::new();
    for backend in table.backends() {
        writeln!(text, "backend {} = {:?} {} port {}", backend.name, backend.scheme, backend.host, backend.port)
            .unwrap();
        writeln!(text, "  authority {:?}, base path {:?}", backend.authority, backend.base_path).unwrap();
        let via = if backend.via { ", via" } else { "" };
        writeln!(text, "  host header {:?}, http2 {:?}{via}", backend.host_header, backend.http2).unwrap();
        writeln!(text, "  {:?}", backend.tls).unwrap();
        writeln!(text, "  {:?}", backend.timeouts).unwrap();
        if !backend.addresses.is_empty() {
            writeln!(text, "  addresses {:?}", backend.addresses).unwrap();
        }
        let more = [
            backend.reach.link_local.then(|| "may be at link-local addresses".to_owned()),
            backend.retry.as_ref().map(|retry| format!("{retry:?}")),
            backend.outlier.map(|outlier| format!("{outlier:?}")),
            backend.public_url.as_ref().map(|url| format!("{url:?}")),
        ];
        for more in more.into_iter().flatten() {
            writeln!(text, "  {more}").unwrap();
        }
    }
    writeln!(text, "request timeout {:?}, request id in {}", table.request_timeout, table.request_id_field).unwrap();
    writeln!(text, "health checks answered by {:?}, trusted hops {}", table.health_check, table.trusted_hops).unwrap();
    if table.access_log != Share::ALL {
        writeln!(text, "access log of {} %", table.access_log.percent()).unwrap();
    }
    if table.access_names != Names::default() {
        writeln!(text, "access log with names of {:?}", table.access_names).unwrap();
    }
    if let Some(metrics) = &table.metrics {
        writeln!(text, "{metrics:?}").unwrap();
    }
    if table.tracing.is_on() {
        writeln!(text, "{:?}", table.tracing).unwrap();
    }
    if let Some(spill) = &table.spill {
        writeln!(text, "{spill:?}").unwrap();
    }
    for page in &table.error_pages {
        writeln!(text, "page for {:?}: {:?}, {} bytes", page.codes, page.content_type, page.body.len()).unwrap();
    }
    if table.maintenance_retry_after.as_secs() != 300 {
        writeln!(text, "maintenance: retry after {:?}", table.maintenance_retry_after).unwrap();
    }
    for route in table.routes() {
        let priority = route.priority.unwrap();
        writeln!(text, "route {} priority {priority}: {}", route.name, route.conditions()).unwrap();
        describe_route(route, &mut text);
    }
    if let Some(plan) = &table.plan {
        writeln!(text, "{plan:?}").unwrap();
    }
    writeln!(text, "default").unwrap();
    describe_route(table.default_route(), &mut text);
    text
}

fn describe_route(route: &Route, text: &mut String) {
    if !route.transforms.is_empty() {
        writeln!(text, "  {:?}", route.transforms).unwrap();
    }
    match &route.action {
        Action::Forward(Forward { targets, sticky, opt_in, failover }) => {
            for target in targets {
                writeln!(text, "  -> {} weight {}", target.name, target.weight).unwrap();
                if !target.transforms.is_empty() {
                    writeln!(text, "     {:?}", target.transforms).unwrap();
                }
            }
            let more = [
                sticky.as_ref().map(|sticky| format!("sticky by {}", sticky.describe())),
                opt_in.as_ref().map(|opt_in| format!("{opt_in:?}")),
                failover.as_ref().map(|failover| format!("{failover:?}")),
            ];
            for more in more.into_iter().flatten() {
                writeln!(text, "  {more}").unwrap();
            }
        }
        Action::Redirect(redirect) => writeln!(text, "  {redirect:?}").unwrap(),
        Action::FixedResponse(fixed) => writeln!(text, "  {fixed:?}").unwrap(),
    }
    for (name, edits) in [("request", &route.request_fields), ("response", &route.response_fields)] {
        if !edits.is_empty() {
            writeln!(text, "  {name} {edits:?}").unwrap();
        }
    }
    if let Some(compress) = route.compress {
        writeln!(text, "  compress {compress}").unwrap();
    }
    if !route.spills {
        writeln!(text, "  spill false").unwrap();
    }
    if let Some(mirror) = &route.mirror {
        writeln!(text, "  {mirror:#?}").unwrap();
    }
}

fn describe_expectation(expectation: &Expectation, text: &mut String) {
    let Expectation { line, method, url, headers, ip, route, backend, upstream, status, location } = expectation;
    writeln!(text, "test in line {line}: {method} {url} {headers:?} {ip:?}").unwrap();
    writeln!(text, "  {route:?} {backend:?} {upstream:?} {status:?} {location:?}").unwrap();
}
