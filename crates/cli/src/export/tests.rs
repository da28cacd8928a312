//! The rules make the same choice as the table, and each route that needs the function says why.

use crossfade_route::{Nothing, RequestView, RoutingTable};
use http::HeaderMap;

use super::elbv2::{Kind, Values};
use super::*;

const BACKENDS: &str = "
version: 1
backends:
  legacy: { url: https://legacy.example.com, hostHeader: preserve }
  modern: { url: https://modern.example.com, hostHeader: preserve }
  below: { url: https://below.example.com/v2, hostHeader: preserve }
  own: https://own.example.com
";

fn table(rest: &str) -> RoutingTable {
    RoutingTable::from_config(&format!("{BACKENDS}{rest}"), "test", &Nothing).unwrap()
}

fn export(rest: &str) -> Export {
    Export::of(&table(rest), 1).unwrap()
}

/// The action of the first rule that matches, by ALB's conditions.
fn chosen<'e>(export: &'e Export, request: &RequestView<'_>) -> Option<&'e RuleAction> {
    let condition = |condition: &AlbCondition| {
        let texts = |values: &[String]| values.to_vec();
        let parsed = match (&condition.kind, &condition.values) {
            (Kind::Host, Values::Globs(values)) => Condition::host(texts(values)),
            (Kind::Path, Values::Globs(values)) => Condition::path(texts(values)),
            (Kind::Path, Values::Regexes(values)) => Condition::path_regex(texts(values)),
            (Kind::Method, Values::Globs(values)) => Condition::method(texts(values)),
            (Kind::Header(name), Values::Globs(values)) => Condition::header(name, texts(values)),
            _ => panic!("not in these tests: {condition:?}"),
        };
        parsed.unwrap().matches(request)
    };
    export.rules.iter().find(|rule| rule.conditions.iter().all(condition)).map(|rule| &rule.action)
}

#[test]
fn rules_choose_as_the_table_does() {
    let rest = "
routes:
  - { name: split, priority: 10, conditions: { path: /api/orders/*, cookie: { name: beta } }, forward: { targets: [{ backend: legacy }, { backend: modern }] } }
  - { name: moved, priority: 20, conditions: { path: [{ prefix: /api }, { regex: '^/v[0-9]+/' }] }, forward: { targets: [{ backend: legacy, weight: 0 }, { backend: modern, weight: 100 }] } }
  - { name: many, priority: 30, conditions: { path: [/a, /b, /c, /d, /e, /f], method: [GET, HEAD] }, forward: modern }
  - { name: old, priority: 40, conditions: { host: old.example.com }, redirect: { host: new.example.com } }
  - { name: closed, priority: 50, conditions: { header: { name: x-closed } }, fixedResponse: { status: 503, contentType: text/plain, body: closed } }
default: { forward: legacy }
";
    let (table, export) = (table(rest), export(rest));
    assert_eq!(export.kept.iter().map(|(name, _)| &**name).collect::<Vec<_>>(), ["split"]);
    for host in ["www.example.com", "old.example.com"] {
        for path in ["/", "/api", "/api/", "/api/orders/7", "/apix", "/v2/x", "/v/x", "/a", "/f", "/g"] {
            for method in ["GET", "POST"] {
                for header in [None, Some("x-closed"), Some("cookie")] {
                    let mut headers = HeaderMap::new();
                    if let Some(name) = header {
                        headers.insert(name, "beta=1".parse().unwrap());
                    }
                    let request = RequestView {
                        method,
                        host: host.as_bytes(),
                        path: path.as_bytes().into(),
                        query: None,
                        headers: &headers,
                        source_ip: None,
                    };
                    let route = table.select(&request);
                    let action = chosen(&export, &request).unwrap();
                    let is_same = match &route.action {
                        // The function chooses again.
                        _ if *action == RuleAction::Function => true,
                        Action::Forward(forward) => {
                            let backend = forward.only_target().map(|target| target.name.clone());
                            matches!(action, RuleAction::Forward { backend: found, .. } if Some(found) == backend.as_ref())
                        }
                        Action::Redirect(_) => matches!(action, RuleAction::Redirect { .. }),
                        Action::FixedResponse(_) => matches!(action, RuleAction::FixedResponse { .. }),
                    };
                    assert!(is_same, "{method} {host}{path} {header:?}: {} {action:?}", route.name);
                    // Only what the undecided route may get goes to the function.
                    assert_eq!(*action == RuleAction::Function, path == "/api/orders/7", "{path}");
                }
            }
        }
    }
}

#[test]
fn each_route_that_needs_the_function_says_why() {
    for (route, expected) in [
        ("forward: { targets: [{ backend: legacy, weight: 1 }, { backend: modern, weight: 9 }] }", "several back ends"),
        (
            "forward: { targets: [{ backend: legacy, weight: 0 }, { backend: modern }], sticky: { by: ip, pin: { legacy: [192.0.2.1] } } }",
            "`pin`",
        ),
        ("forward: { targets: [{ backend: legacy, weight: 0 }, { backend: modern }], optIn: { query: b } }", "`optIn`"),
        ("forward: { targets: [{ backend: modern }], failover: { to: legacy } }", "`failover`"),
        ("{ forward: modern, mirror: { backend: legacy, percent: 1 } }", "`mirror`"),
        ("{ forward: modern, requestHeaders: { set: { a: b } } }", "`requestHeaders`"),
        ("{ forward: modern, responseHeaders: { set: { a: b } } }", "`responseHeaders`"),
        ("{ forward: modern, transforms: { path: { prefix: /a, replace: /b } } }", "`transforms`"),
        ("{ forward: modern, compress: true }", "`compress`"),
        ("forward: below", "the base path `/v2`"),
        ("redirect: { host: a.example.com, status: 308 }", "`status: 308`"),
        ("fixedResponse: { status: 200, contentType: image/png }", "`contentType: image/png`"),
        ("fixedResponse: { status: 304 }", "`status: 304`"),
    ] {
        let action = route.strip_prefix("{ ").and_then(|inner| inner.strip_suffix(" }")).unwrap_or(route);
        let export = export(&format!("default: {{ {action} }}\n"));
        let [(name, reasons)] = export.kept.as_slice() else { panic!("{route}: {:?}", export.kept) };
        assert_eq!(name, "default");
        assert!(reasons.iter().any(|reason| reason.contains(expected)), "{route}: {reasons:?}");
        assert!(matches!(export.rules.as_slice(), [Rule { action: RuleAction::Function, .. }]));
    }
}

#[test]
fn a_back_end_gets_its_own_host_and_a_route_that_alb_cannot_see_keeps_the_later_ones() {
    let export = export(
        "
routes:
  - { name: first, priority: 1, conditions: { path: /x/* }, forward: own }
  - { name: testers, priority: 2, conditions: { cookie: { name: beta } }, forward: modern }
  - { name: later, priority: 3, conditions: { path: /y/* }, forward: modern }
default: { forward: legacy }
",
    );
    let kept: Vec<&str> = export.kept.iter().map(|(name, _)| &**name).collect();
    assert_eq!(kept, ["testers", "later", "default"]);
    let [first, rest] = export.rules.as_slice() else { panic!("{:?}", export.rules) };
    assert_eq!(
        first.action,
        RuleAction::Forward { backend: "own".to_owned(), host: Some("own.example.com".to_owned()) }
    );
    assert_eq!((&rest.action, rest.conditions.is_empty()), (&RuleAction::Function, true));
}

/// Two back ends, or one and the function, must not become one variable.
#[test]
fn each_target_group_has_a_label_of_its_own() {
    let table = RoutingTable::from_config(
        "
version: 1
backends:
  function: { url: https://f.example.com, hostHeader: preserve }
  a-b: { url: https://1.example.com, hostHeader: preserve }
  a_b: { url: https://2.example.com, hostHeader: preserve }
  ab: { url: https://3.example.com, hostHeader: preserve }
  ab-2: { url: https://4.example.com, hostHeader: preserve }
routes:
  - { name: one, priority: 1, conditions: { path: /1 }, forward: a-b }
  - { name: two, priority: 2, conditions: { path: /2 }, forward: a_b }
  - { name: three, priority: 3, conditions: { path: /3 }, forward: ab }
  - { name: four, priority: 4, conditions: { path: /4 }, forward: ab-2 }
default: { forward: function }
",
        "test",
        &Nothing,
    )
    .unwrap();
    let export = Export::of(&table, 1).unwrap();
    let (rules, groups) = export.labelled(&table);
    let mut identifiers: Vec<String> = groups.keys().map(|label| identifier(label).to_lowercase()).collect();
    identifiers.push("function".to_owned());
    identifiers.sort();
    identifiers.dedup();
    assert_eq!(identifiers.len(), 6, "{groups:?}");
    for (before, after) in export.rules.iter().zip(&rules) {
        let (RuleAction::Forward { backend: name, .. }, RuleAction::Forward { backend: label, .. }) =
            (&before.action, &after.action)
        else {
            panic!("{before:?} {after:?}");
        };
        assert!(groups[label].starts_with(&format!("{name}, https://")), "{label}: {groups:?}");
    }
}
