//! One function behind a load balancer, a REST API, an HTTP API and a function URL: a single `serverless.yml`, run on the laptop and
//! packaged by the real tool.

use std::path::Path;

use crossfade_emulator::source::{self, Options};
use crossfade_testkit::client;
use crossfade_testkit::wait::eventually;
use serde_json::json;

use crate::deploy_serverless::{LISTENER, packaged};
use crate::support::{Dev, word_after};

/// The function's name and URL are the framework's; the artifact is a placeholder.
const FILE: &str = "\
service: shop
frameworkVersion: '>=3.40.0 <5'
provider: { name: aws, runtime: provided.al2023, stage: prod, region: eu-west-1, memorySize: 128, timeout: 30 }
package: { artifact: bootstrap.zip }
functions:
  proxy:
    handler: bootstrap
    url: true
    events:
      - alb: { listenerArn: LISTENER, priority: 10, multiValueHeaders: true, conditions: { path: /orders/* } }
      - http: { method: any, path: '{proxy+}' }
      - httpApi: '*'
";

fn file() -> String {
    FILE.replace("LISTENER", LISTENER)
}

/// The table of a file's front ends and functions, without what differs: places, names that the tool makes up, and the region.
fn table_of(file: &Path) -> String {
    let read = if file.ends_with("serverless.yml") { source::serverless } else { source::cloudformation };
    let mut loaded = read(file, &Options::default()).unwrap_or_else(|error| panic!("{error}"));
    assert_eq!(loaded.warnings, Vec::<String>::new());
    for listener in &mut loaded.settings.listeners {
        listener.rules.iter_mut().for_each(|rule| rule.origin.clear());
        let routes = listener.endpoint.iter_mut().flat_map(|endpoint| &mut endpoint.routes);
        routes.for_each(|route| route.origin.clear());
        if listener.name.starts_with("function-url of ") {
            listener.name = "function-url".to_owned();
        }
    }
    loaded.settings.listeners.sort_by(|one, other| one.name.cmp(&other.name));
    loaded.settings.target_groups.iter_mut().for_each(|group| group.name = "group".to_owned());
    loaded.settings.functions.iter_mut().for_each(|function| function.env.retain(|(name, _)| name != "AWS_REGION"));
    source::table(&loaded.settings)
}

pub(crate) fn the_file_and_its_package_have_the_same_front_ends() {
    let resources = packaged(&file()).unwrap_or_else(|error| panic!("{error}"));
    let folder = tempfile::tempdir().unwrap();
    let template = folder.path().join("template.json");
    std::fs::write(&template, json!({ "Resources": resources }).to_string()).unwrap();
    let written = folder.path().join("serverless.yml");
    std::fs::write(&written, file()).unwrap();
    let table = table_of(&written);
    assert_eq!(table, table_of(&template));
    for line in [
        "listener front/f2f7dc8efc522ab2 (HTTP)",
        "listener function-url (function-url)",
        "listener http-api (http-api)",
        "listener rest-api (rest-api, paths begin with /prod)",
        "  10       path is /orders/*",
        "  ANY      /{proxy+}",
        "  ANY      $default",
        "           forward to shop-prod-proxy",
    ] {
        assert!(table.lines().any(|known| known == line), "{line}: {table}");
    }
}

/// The demo back end responds through each front end, and the function sees which one it was.
pub(crate) fn one_function_responds_through_each_of_them() {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("serverless.yml"), file()).unwrap();
    let dev = Dev::start_in(folder.path(), &["--serverless", "serverless.yml"]);
    let address_of = |kind: &str| {
        let fits = |line: &&str| {
            line.trim_start().starts_with("front end")
                && line.split_whitespace().any(|word| word.trim_end_matches(',') == kind)
        };
        word_after(dev.banner.lines().find(fits).unwrap_or_else(|| panic!("no {kind}: {}", dev.banner)), "front end")
    };
    let get = |address: &str, target: &str| {
        let host = address.trim_start_matches("http://").split('/').next().unwrap().to_owned();
        client::send(&host, format!("GET {target} HTTP/1.1\r\nHost: {host}\r\nConnection: close\r\n\r\n"))
    };
    let through_alb = get(&dev.alb, "/orders/42");
    assert_eq!(through_alb.status, 200, "{}", through_alb.text());
    assert!(dev.next_line().contains("[rule 10]"));
    for (kind, target, route, id) in [
        ("rest-api", "/prod/orders/42", "[rest-api ANY /{proxy+}]", "x-amzn-requestid"),
        ("http-api", "/orders/42", "[http-api ANY $default]", "apigw-requestid"),
        ("function-url", "/orders/42", "[function-url ANY $default]", "x-amzn-requestid"),
    ] {
        let response = get(&address_of(kind), target);
        assert_eq!((response.status, response.text()), (200, through_alb.text()), "{kind}");
        let line = dev.next_line();
        assert!(line.contains(route) && line.contains(" legacy "), "{kind}: {line}");
        let id = field(&response, id);
        // The line of the function's log may come after the response.
        eventually("the inspector shows the id", || inspected(&dev).contains(&id));
    }
    assert!(dev.stop("-INT").success());
}

fn field(response: &client::Response, name: &str) -> String {
    let start = format!("{name}: ");
    let line = response.head.lines().find_map(|line| line.strip_prefix(&start));
    line.unwrap_or_else(|| panic!("no {name}: {}", response.head)).to_owned()
}

/// The inspector's page of the latest request.
fn inspected(dev: &Dev) -> String {
    let address = dev.inspector.trim_start_matches("http://").trim_end_matches('/').to_owned();
    let get = |target: &str| {
        client::send(&address, format!("GET {target} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n"))
    };
    let list = get("/").text().to_owned();
    let latest =
        list.split("href=\"/").filter_map(|rest| rest.split('"').next()).find(|path| path.starts_with("requests/"));
    let latest = latest.unwrap_or_else(|| panic!("no request: {list}"));
    get(&format!("/{latest}")).text().to_owned()
}
