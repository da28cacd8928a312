//! `--rules`: judges records again by the rules of a configuration, so that a rule needs no deployment and no new traffic.
//!
//! Owns the choice of the rules for a record, its new verdict, and the warnings about what a log cannot tell. `crossfade-compare`
//! owns the effect of rules on a difference. Pure.

use std::collections::{BTreeMap, HashMap};

use crossfade_compare::{Effect, FieldNames, Rules};
use crossfade_journal::comparison::{Record, Verdict};
use crossfade_parity::number::grouped;
use crossfade_route::{Mirror, RoutingTable};

/// Endpoints whose rules are kept, and routes that a warning counts.
const KEPT: usize = 1000;
const NAMED: usize = 5;
const UNKNOWN_ROUTES: usize = 100;

/// Judges records again; see the module.
pub(crate) struct Rejudge {
    /// The rules of each route with a mirror; `None` for `compare: false`.
    routes: BTreeMap<String, Option<Rules>>,
    /// Those for an endpoint, by route and endpoint.
    endpoints: HashMap<(String, String), Rules>,
    found: Found,
}

/// Counts of what could not be judged again.
#[derive(Default)]
struct Found {
    /// Records of routes that the file does not have.
    unknown_routes: BTreeMap<String, u64>,
    /// Differences that a mask might hide.
    undecided: u64,
    /// Differences whose place is not known.
    digests: u64,
    /// Records whose content was not compared, because the statuses differ.
    uncompared: u64,
}

impl Rejudge {
    pub(crate) fn new(table: &RoutingTable) -> Rejudge {
        let routes = table.routes().iter().chain([table.default_route()]);
        let rules = |mirror: &Mirror| mirror.compare.as_deref().cloned();
        let routes = routes.filter_map(|route| Some((route.name.clone(), rules(route.mirror.as_ref()?)))).collect();
        Rejudge { routes, endpoints: HashMap::new(), found: Found::default() }
    }

    /// Returns whether the file has a mirror.
    pub(crate) fn has_rules(&self) -> bool {
        self.routes.values().any(Option::is_some)
    }

    /// Changes a record to what it would be with these rules, as far as the record tells.
    pub(crate) fn judge(&mut self, record: &mut Record) {
        // Nothing was compared, or there was no difference to judge.
        if !matches!(record.verdict, Verdict::Different | Verdict::Accepted) || record.differences.is_empty() {
            return;
        }
        let Rejudge { routes, endpoints, found } = self;
        let rules = match routes.get(&record.route) {
            Some(rules) => Some(rules),
            // A log of `crossfade compare` has no routes.
            None if routes.len() == 1 => routes.values().next(),
            None => None,
        };
        let Some(rules) = rules else {
            let has_room = found.unknown_routes.len() < UNKNOWN_ROUTES;
            let name = if has_room { record.route.as_str() } else { "(other)" };
            *found.unknown_routes.entry(name.to_owned()).or_default() += 1;
            return;
        };
        let Some(rules) = rules else { return };
        if endpoints.len() >= KEPT {
            endpoints.clear();
        }
        let key = (record.route.clone(), record.endpoint.clone());
        let rules = endpoints.entry(key).or_insert_with(|| rules.of(&record.endpoint).into_owned());
        apply(rules, record, found);
    }

    /// The limits of judging again, each in a sentence without a full stop.
    pub(crate) fn warnings(&self) -> Vec<String> {
        let Found { unknown_routes, undecided, digests, uncompared } = &self.found;
        let mut warnings = Vec::new();
        if !unknown_routes.is_empty() {
            let names: Vec<_> = unknown_routes.keys().take(NAMED).map(|name| format!("`{name}`")).collect();
            let records: u64 = unknown_routes.values().sum();
            let more = if unknown_routes.len() > NAMED { " and others" } else { "" };
            warnings.push(format!(
                "{} records are of routes without a mirror in the file, and are judged as they are: {}{more}",
                grouped(records),
                names.join(", ")
            ));
        }
        if self.routes.values().any(Option::is_none) {
            warnings.push("the file has `compare: false`; records of that route are judged as they are".to_owned());
        }
        let all = || self.routes.values().flatten();
        if all().any(|rules| {
            rules.headers != FieldNames::Usual || rules.scoped.iter().any(|it| it.rules.headers != FieldNames::Usual)
        }) {
            warnings.push(
                "`headers` can only leave out fields: those that were not compared are not in the log".to_owned(),
            );
        }
        if all().any(|rules| !rules.endpoints.is_empty()) {
            warnings.push(
                "`endpoints` has no effect: the log has the names that were in force when it was written".to_owned(),
            );
        }
        if *undecided > 0 {
            warnings.push(format!(
                "masks could not be applied to {} differences, whose values are not in the log: see `keepValues`",
                grouped(*undecided)
            ));
        }
        if *digests > 0 {
            warnings.push(format!(
                "rules could not be applied to {} differences, which did not fit into their records",
                grouped(*digests)
            ));
        }
        if *uncompared > 0 {
            warnings.push(format!(
                "{} responses with ignored statuses are unknown: their content was not compared",
                grouped(*uncompared)
            ));
        }
        warnings
    }
}

fn apply(rules: &Rules, record: &mut Record, found: &mut Found) {
    let mut is_uncompared = false;
    let time = record.time;
    // A system that did not respond differs whatever the rules are.
    let has_failed = record.mirror.status.is_none();
    record.differences.retain_mut(|difference| {
        if has_failed {
            return true;
        }
        let effect = rules.effect(difference, time);
        difference.accepted = effect == Effect::Accepted;
        let is_digest = difference.pointer.starts_with('#');
        found.undecided += u64::from(effect == Effect::Undecided && !is_digest);
        found.digests += u64::from(is_digest && effect != Effect::Ignored);
        is_uncompared |= effect == Effect::Ignored && difference.pointer == "status";
        effect != Effect::Ignored
    });
    if is_uncompared {
        found.uncompared += 1;
        record.verdict = Verdict::Unknown;
        record.reason = Some("status".to_owned());
        return;
    }
    record.verdict = match record.differences.as_slice() {
        _ if record.more > 0 || has_failed => record.verdict,
        [] => Verdict::Match,
        differences if differences.iter().all(|difference| difference.accepted) => Verdict::Accepted,
        _ => Verdict::Different,
    };
}

#[cfg(test)]
mod tests {
    use crossfade_journal::comparison::{Class, Difference};
    use crossfade_route::Nothing;
    use serde_json::{Value, json};

    use super::*;

    fn rejudge(mirror: &str) -> Rejudge {
        let text = format!(
            "version: 1\nbackends: {{ a: https://a.example, b: https://b.example }}\nroutes:\n  - name: orders\n    \
             priority: 1\n    conditions: {{ path: /orders/* }}\n    forward: a\n    mirror: {{ backend: b, percent: 100, compare: {mirror} }}\n\
             default: {{ forward: a }}\n"
        );
        Rejudge::new(&RoutingTable::from_config(&text, "crossfade.yaml", &Nothing).unwrap())
    }

    fn record(route: &str, differences: &[Difference], changes: Value) -> Record {
        let mut record = json!({
            "type": "compare", "version": 2, "time": "2026-11-24T08:00:00Z", "against": "mirror", "request_id": "r",
            "route": route, "method": "GET", "endpoint": "/orders/{id}", "verdict": "different",
            "differences": differences,
            "primary": { "backend": "a", "status": 200 }, "mirror": { "backend": "b", "status": 200 },
        });
        for (name, value) in changes.as_object().unwrap() {
            record[name] = value.clone();
        }
        serde_json::from_value(record).unwrap()
    }

    fn value(pointer: &str) -> Difference {
        Difference::new(Class::Value, pointer)
    }

    #[test]
    fn records_become_what_they_would_be() {
        let two = [value("/a"), value("/b")];
        let accepted = [Difference { accepted: true, ..value("/a") }];
        let status = [Difference::new(Class::Status, "status")];
        let no_response = json!({ "mirror": { "backend": "b", "error": "connection_timeout" } });
        for (rules, differences, changes, verdict, left) in [
            ("{ ignore: /a }", &two[..], json!({}), Verdict::Different, 1),
            ("{ ignore: [/a, /b] }", &two, json!({}), Verdict::Match, 0),
            ("{ ignore: [/a, /b] }", &two, json!({ "more": 1 }), Verdict::Different, 0),
            ("{ ignore: /a, accepted: /b }", &two, json!({}), Verdict::Accepted, 1),
            ("{ rules: [{ endpoints: \"/orders/{order}\", ignore: [/a, /b] }] }", &two, json!({}), Verdict::Match, 0),
            ("{ rules: [{ endpoints: /carts, ignore: [/a, /b] }] }", &two, json!({}), Verdict::Different, 2),
            // A rule that was deleted.
            ("{}", &accepted, json!({ "verdict": "accepted" }), Verdict::Different, 1),
            ("{ accepted: status }", &status, json!({}), Verdict::Accepted, 1),
            ("{ ignore: status }", &status, json!({}), Verdict::Unknown, 0),
            ("{ ignore: status }", &status, no_response, Verdict::Different, 1),
            ("{ ignore: /a }", &two, json!({ "against": "self" }), Verdict::Different, 1),
            ("{ ignore: [/a, /b] }", &two, json!({ "verdict": "lost" }), Verdict::Lost, 2),
            ("false", &two, json!({}), Verdict::Different, 2),
        ] {
            for route in ["orders", "default"] {
                let mut record = record(route, differences, changes.clone());
                rejudge(rules).judge(&mut record);
                assert_eq!((record.verdict, record.differences.len()), (verdict, left), "{rules} {changes}");
            }
        }
    }

    #[test]
    fn a_warning_says_what_a_log_cannot_tell() {
        for (rules, difference, expected) in [
            ("{}", value("/a"), None),
            ("{ mask: '[0-9]+' }", value("/a"), Some("masks could not be applied to 1 differences")),
            ("{ ignore: /a }", value("#00c0ffee"), Some("rules could not be applied to 1 differences")),
            ("{ ignore: status }", Difference::new(Class::Status, "status"), Some("1 responses with ignored statuses")),
            ("{ headers: all }", value("/a"), Some("`headers` can only leave out fields")),
            ("{ endpoints: /a }", value("/a"), Some("`endpoints` has no effect")),
            ("false", value("/a"), Some("the file has `compare: false`")),
        ] {
            let mut rejudge = rejudge(rules);
            rejudge.judge(&mut record("orders", &[difference], json!({})));
            let warnings = rejudge.warnings();
            assert_eq!(warnings.len(), usize::from(expected.is_some()), "{rules}: {warnings:?}");
            assert!(warnings.iter().all(|warning| warning.starts_with(expected.unwrap_or_default())), "{warnings:?}");
        }
    }

    #[test]
    fn records_of_other_routes_stay_as_they_are() {
        let text = "version: 1\nbackends: { a: https://a.example, b: https://b.example }\nroutes:\n  - { name: x, priority: 1, \
                    conditions: { path: /x }, forward: a, mirror: { percent: 100, backend: b } }\ndefault: { forward: a, mirror: { percent: 100, backend: b, \
                    compare: { ignore: /a } } }\n";
        let mut rejudge = Rejudge::new(&RoutingTable::from_config(text, "crossfade.yaml", &Nothing).unwrap());
        for (route, verdict) in [("x", Verdict::Different), ("default", Verdict::Match), ("y", Verdict::Different)] {
            let mut record = record(route, &[value("/a")], json!({}));
            rejudge.judge(&mut record);
            assert_eq!(record.verdict, verdict, "{route}");
        }
        let warning = "1 records are of routes without a mirror in the file, and are judged as they are: `y`";
        assert_eq!(rejudge.warnings(), [warning]);
    }
}
