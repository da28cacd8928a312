//! The cost of routes: compiling them at start, and selecting one for a request. Instructions, which a busy machine
//! does not blur, and the clock for compiling. It owns the routes and requests that are measured.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, bail};
use crossfade_route::{Nothing, RequestView, RoutingTable, normalised};
use http::HeaderMap;
use serde_json::{Value, json};

use crate::counts;

/// The number of routes in each round.
const SIZES: [usize; 3] = [10, 1_000, 10_000];
/// The number of selections in a round.
const SELECTIONS: usize = 1_000;
/// The number of timed repetitions, of which the median is shown.
const REPEATED: usize = 5;
/// Services of one team, which begin alike.
const TEAM: usize = 10;

/// The syntax of the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Form {
    /// As people do.
    Yaml,
    /// As programs do.
    Json,
}

/// The route that a request matches.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Meets {
    /// The one with the highest priority number.
    Last,
    /// The default, though its host and the beginning of its path are known.
    None,
}

/// Prints a table.
///
/// # Errors
/// When `valgrind` is missing, or the routes are no configuration.
pub fn run() -> anyhow::Result<()> {
    println!(
        "| routes | form | file | compile | instructions to compile | to find the last route | to find no route |"
    );
    println!("|--:|---|--:|--:|--:|--:|--:|");
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("routes.yaml");
    fs::write(&file, config(0, Form::Yaml))?;
    let nothing = counted(&file, 0, 0, Meets::None)?;
    for routes in SIZES {
        for form in [Form::Yaml, Form::Json] {
            let text = config(routes, form);
            fs::write(&file, &text)?;
            let size = text.len() as f64 / 1000.0;
            let clock = milliseconds(&text)?;
            let compile = counted(&file, routes, 0, Meets::None)?;
            let found =
                |meets| counted(&file, routes, SELECTIONS, meets).map(|all| (all - compile) / SELECTIONS as u64);
            let [last, none] = [found(Meets::Last)?, found(Meets::None)?];
            let compile = (compile - nothing) as f64 / 1e6;
            println!("| {routes} | {form:?} | {size:.1} KB | {clock:.2} ms | {compile:.1} M | {last} | {none} |");
        }
    }
    Ok(())
}

/// The median time of compiling.
fn milliseconds(text: &str) -> anyhow::Result<f64> {
    let mut times = Vec::new();
    for _ in 0..REPEATED {
        let started = Instant::now();
        table(text)?;
        times.push(started.elapsed());
    }
    times.sort_unstable();
    Ok(times[REPEATED / 2].as_secs_f64() * 1000.0)
}

/// Instructions of a process of this program that compiles a file with this number of routes and finds one.
fn counted(file: &Path, routes: usize, selections: usize, meets: Meets) -> anyhow::Result<u64> {
    let program = std::env::current_exe()?;
    let file = file.to_str().context("an odd folder")?;
    let meets = if meets == Meets::Last { "last" } else { "none" };
    counts::instructions_of(&program, &["routes-probe", file, &routes.to_string(), &selections.to_string(), meets])
}

/// The process that is counted.
///
/// # Errors
/// When the routes are no configuration, or another one is found than was expected.
pub fn probe(file: &Path, routes: usize, selections: usize, meets: Meets) -> anyhow::Result<()> {
    let table = table(&fs::read_to_string(file)?)?;
    let headers = HeaderMap::new();
    let last = routes.saturating_sub(1);
    let (path, expected) = match meets {
        Meets::Last => (path(last, "items/42"), format!("route-{last}")),
        Meets::None => (format!("/team{}/unknown/items/42", last / TEAM), "default".to_owned()),
    };
    let host = host(last);
    let request = RequestView {
        method: "GET",
        host: host.as_bytes(),
        path: normalised(path.as_bytes()),
        query: None,
        headers: &headers,
        source_ip: None,
    };
    for _ in 0..selections {
        let found = std::hint::black_box(table.select(std::hint::black_box(&request)));
        if found.name != expected {
            bail!("found {}, not {expected}", found.name);
        }
    }
    Ok(())
}

/// Routes as they are in a large migration: hosts, path prefixes that begin alike, methods, shares, failover.
fn config(routes: usize, form: Form) -> String {
    let list = (0..routes).map(route);
    if form == Form::Json {
        let backends = json!({ "legacy": "https://legacy.example.com", "modern": "https://modern.example.com" });
        let list: Vec<Value> = list.collect();
        let default = json!({ "forward": "legacy" });
        return json!({ "version": 1, "backends": backends, "routes": list, "default": default }).to_string();
    }
    let mut text = String::from(
        "version: 1\nbackends:\n  legacy: https://legacy.example.com\n  modern: https://modern.example.com\nroutes:\n",
    );
    for route in list {
        let forward = &route["forward"];
        // Within a line YAML is written as JSON.
        let _ = write!(
            text,
            "  - name: {}\n    priority: {}\n    conditions: {}\n    forward:\n      targets: {}\n      sticky: {}\n      \
             failover: {}\n",
            route["name"],
            route["priority"],
            route["conditions"],
            forward["targets"],
            forward["sticky"],
            forward["failover"],
        );
    }
    text.push_str("default: { forward: legacy }\n");
    text
}

fn route(number: usize) -> Value {
    json!({
        "name": format!("route-{number}"),
        "priority": number + 1,
        "conditions": { "host": host(number), "path": [path(number, "*")], "method": ["GET", "HEAD"] },
        "forward": {
            "targets": [{ "backend": "legacy", "weight": 90 }, { "backend": "modern", "weight": 10 }],
            "sticky": { "by": { "cookie": "customer_id" } },
            "failover": { "to": "legacy" },
        },
    })
}

fn host(route: usize) -> String {
    format!("shop{}.example.com", route % 20)
}

fn path(route: usize, end: &str) -> String {
    format!("/team{}/service{route}/{end}", route / TEAM)
}

fn table(text: &str) -> anyhow::Result<RoutingTable> {
    RoutingTable::from_config(text, "routes.yaml", &Nothing).context("the routes")
}
