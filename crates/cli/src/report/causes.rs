//! The differences of a report by cause: the same difference at many endpoints is one thing to repair, or to accept.
//!
//! Owns grouping, the order by impact, and the lines for `crossfade.yaml` that make a difference intended. Pure: `text` and
//! `html` show the causes.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use crossfade_compare::{PathTemplate, Place};
use crossfade_journal::comparison::Class;
use crossfade_parity::{Change, Difference, Endpoint, EndpointName, Mark, Why};
use crossfade_route::misleads;
use serde::Serialize;

/// A rule for at most so many endpoints names them.
const FEW: usize = 3;
/// A rule that covers a whole response always names its endpoints, at most so many.
const NAMED: usize = 20;
/// Characters of a list in one line.
const LINE: usize = 60;
/// Places of one rule, and characters of a place that was not cut.
const PLACES: usize = 20;
const LONGEST: usize = 199;

/// The same difference at one or more endpoints.
#[derive(Debug, Serialize)]
pub(crate) struct Cause {
    /// The kind of difference; `None` for places that are counted together beyond a limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) class: Option<Class>,
    /// The system that has a value there.
    pub(crate) change: Change,
    /// The places, the most frequent one first: places in JSON that end alike have one cause.
    pub(crate) pointers: Vec<String>,
    /// Statuses of both systems; only for the place `status`, and only if there is an example.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) statuses: Option<[String; 2]>,
    /// The most important mark of its places.
    pub(crate) mark: Mark,
    /// Reason for that mark.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) why: Option<Why>,
    /// Responses that differ, without accepted ones. A response that differs at several of the places counts at each.
    pub(crate) responses: u64,
    /// The endpoints, the most affected first.
    pub(crate) endpoints: Vec<EndpointName>,
    /// Lines for `crossfade.yaml` that make the difference intended; `None` if no rule can name the place.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) rule: Option<String>,
    /// The difference with the most responses: indices into the endpoints of the report, and into their differences.
    #[serde(skip)]
    pub(crate) first: (usize, usize),
    /// The indices of `endpoints`.
    #[serde(skip)]
    pub(crate) numbers: Vec<usize>,
}

/// Differences with equal keys have one cause.
#[derive(PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    class: Option<Class>,
    change: Change,
    place: String,
    statuses: Option<[String; 2]>,
}

/// Returns the causes of all differences that are neither noise nor accepted: what is proved first, each by falling impact.
pub(crate) fn causes(endpoints: &[Endpoint]) -> Vec<Cause> {
    let mut groups = BTreeMap::<Key, Vec<(usize, usize, &Difference)>>::new();
    for (number, endpoint) in endpoints.iter().enumerate() {
        for (at, difference) in endpoint.differences.iter().enumerate() {
            if !matches!(difference.mark, Mark::Noise | Mark::Accepted) {
                groups.entry(key(difference)).or_default().push((number, at, difference));
            }
        }
    }
    let mut causes: Vec<Cause> =
        groups.into_iter().filter_map(|(key, members)| cause(key, members, endpoints)).collect();
    causes.sort_by_key(|cause| (cause.mark, Reverse(cause.responses), Reverse(cause.endpoints.len())));
    causes
}

fn unaccepted(difference: &Difference) -> u64 {
    difference.count.saturating_sub(difference.accepted)
}

fn key(difference: &Difference) -> Key {
    let Difference { class, change, pointer, .. } = difference;
    let example = difference.examples.first().filter(|_| pointer == "status");
    Key {
        class: *class,
        change: *change,
        place: ending(pointer),
        statuses: example.map(|example| [&example.primary, &example.mirror].map(|side| side.outcome.clone())),
    }
}

/// The last two steps of a place in JSON; other places as they are.
fn ending(pointer: &str) -> String {
    if !pointer.starts_with('/') || pointer.contains(" >> ") {
        return pointer.to_owned();
    }
    let mut steps: Vec<&str> = pointer.rsplit('/').take(3).collect();
    steps.retain(|step| !step.is_empty());
    match steps.as_slice() {
        // The end alone says too little: `/id` and `/items/*/id` have nothing in common.
        [last, before, _] => format!("…/{before}/{last}"),
        _ => pointer.to_owned(),
    }
}

fn cause(key: Key, mut members: Vec<(usize, usize, &Difference)>, endpoints: &[Endpoint]) -> Option<Cause> {
    members.sort_by_key(|(number, at, difference)| (Reverse(unaccepted(difference)), *number, *at));
    let leading = members.iter().map(|(.., difference)| *difference).min_by_key(|difference| difference.mark)?;
    let (first, _) = (members.first().map(|(number, at, _)| (*number, *at))?, ());
    let mut seen = BTreeSet::new();
    let numbers: Vec<usize> =
        members.iter().map(|(number, ..)| *number).filter(|number| seen.insert(*number)).collect();
    let mut seen = BTreeSet::new();
    let pointers: Vec<String> =
        members.iter().map(|(.., it)| &it.pointer).filter(|pointer| seen.insert(*pointer)).cloned().collect();
    let endpoints: Vec<EndpointName> =
        numbers.iter().filter_map(|number| endpoints.get(*number)).map(|endpoint| endpoint.name.clone()).collect();
    let (mark, why) = (leading.mark, leading.why);
    let responses = members.iter().fold(0, |sum: u64, (.., it)| sum.saturating_add(unaccepted(it)));
    // A failure is never intended, and a rule does not hide it.
    let has_failed = key.statuses.as_ref().is_some_and(|[_, new]| new.starts_with('5') || !is_status(new));
    let rule = rule(mark, why, &pointers, &endpoints).filter(|_| !has_failed);
    let Key { class, change, statuses, .. } = key;
    Some(Cause { class, change, pointers, statuses, mark, why, responses, endpoints, rule, first, numbers })
}

impl Cause {
    /// The difference as a clause: `strict-transport-security is missing`.
    pub(crate) fn what(&self) -> String {
        if self.class.is_none() {
            return "further places, counted together".to_owned();
        }
        let place = match self.pointers.as_slice() {
            [only] => only.clone(),
            [first, ..] => ending(first),
            [] => String::new(),
        };
        match &self.statuses {
            Some([old, new]) if is_status(new) => return format!("status is {new} instead of {old}"),
            Some([old, new]) => return format!("no response ({new}) instead of {old}"),
            None => {}
        }
        let verb = match (self.change, self.class) {
            (Change::Missing, _) => "is missing",
            (Change::Extra, _) => "is extra",
            (_, Some(Class::Type)) => "has another type",
            (_, Some(Class::Order)) => "is in another order",
            (_, Some(Class::Length)) => "has another length",
            (_, Some(Class::Invalid)) => "is valid in one system only",
            _ => "differs",
        };
        format!("{place} {verb}")
    }
}

/// Returns whether the outcome of a request is a status, and not the type of an error.
fn is_status(outcome: &str) -> bool {
    outcome.len() == 3 && outcome.bytes().all(|byte| byte.is_ascii_digit())
}

/// Returns the lines for `crossfade.yaml`.
fn rule(mark: Mark, why: Option<Why>, pointers: &[String], endpoints: &[EndpointName]) -> Option<String> {
    let can_be_named = |pointer: &String| {
        // The file would replace a variable.
        let is_known = !pointer.starts_with(['#', '(']) && !pointer.contains("${env:");
        is_known && pointer.chars().count() <= LONGEST && Place::parse(pointer).is_some()
    };
    if pointers.len() > PLACES || !pointers.iter().all(can_be_named) {
        return None;
    }
    // A rule for a place that varies can only leave it out.
    let key = match (mark, why) {
        (Mark::Unjudged, _) | (_, Some(Why::Changing)) => "ignore",
        _ => "accepted",
    };
    let is_whole = pointers.iter().any(|pointer| matches!(pointer.as_str(), "status" | "body"));
    let mut templates: Vec<String> = endpoints.iter().filter_map(template).collect();
    templates.sort();
    templates.dedup();
    let has_names = endpoints.iter().all(|endpoint| template(endpoint).is_some());
    let most = if is_whole { NAMED } else { FEW };
    if has_names && templates.len() <= most {
        let (endpoints, places) = (list(&templates, 8), list(pointers, 8));
        return Some(format!("compare:\n  rules:\n    - endpoints:{endpoints}\n      {key}:{places}\n"));
    }
    (!is_whole).then(|| format!("compare:\n  {key}:{}\n", list(pointers, 4)))
}

/// Returns an endpoint as `compare.rules` names it: segments that only look like a parameter are one.
fn template(endpoint: &EndpointName) -> Option<String> {
    let path = endpoint.endpoint.strip_prefix('/')?;
    let mut template = String::new();
    for segment in path.split('/') {
        template.push('/');
        match segment {
            "…" => template.push_str("**"),
            _ if PathTemplate::parse(&format!("/{segment}")).is_some() && segment != "**" => template.push_str(segment),
            _ => template.push_str("{any}"),
        }
    }
    PathTemplate::parse(&template).map(|_| template)
}

/// A list of YAML: in one line if it is short, or else with an item in each line.
fn list(texts: &[String], indent: usize) -> String {
    let texts: Vec<String> = texts.iter().map(|text| quoted(text)).collect();
    let line = texts.join(", ");
    if line.chars().count() <= LINE {
        return format!(" [{line}]");
    }
    texts.iter().map(|text| format!("\n{:indent$}- {text}", "")).collect()
}

/// A double-quoted scalar of YAML. Nothing in it can be mistaken for something else, on a terminal as well.
fn quoted(text: &str) -> String {
    let mut quoted = String::from("\"");
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            _ if misleads(c) || c.is_control() => match u32::from(c) {
                code @ 0..=0xffff => quoted.push_str(&format!("\\u{code:04x}")),
                code => quoted.push_str(&format!("\\U{code:08x}")),
            },
            _ => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use crossfade_parity::{Tally, judge};
    use crossfade_route::{Checked, Nothing};
    use serde_json::{Value, json};

    use super::*;

    /// Judges records of an endpoint and a difference that the mirror shows each time.
    fn causes_of(records: &[(&str, Value, u64)]) -> Vec<Cause> {
        let mut tally = Tally::new(1);
        for (endpoint, difference, count) in records {
            for _ in 0..*count {
                let record = json!({
                    "type": "compare", "version": 2, "time": "2026-11-24T08:00:00Z", "against": "mirror",
                    "request_id": "r", "route": "orders", "method": "GET", "endpoint": endpoint,
                    "verdict": "different", "differences": [difference],
                    "primary": { "backend": "legacy", "status": 200 }, "mirror": { "backend": "modern", "status": 404 },
                });
                tally.add(&serde_json::from_value(record).unwrap());
            }
        }
        causes(&judge(&tally).endpoints)
    }

    fn found(class: &str, pointer: &str) -> Value {
        json!({ "class": class, "pointer": pointer, "repeated": "same" })
    }

    #[test]
    fn differences_have_one_cause_if_they_are_the_same() {
        let causes = causes_of(&[
            ("/a", found("missing", "strict-transport-security"), 30),
            ("/b", found("missing", "strict-transport-security"), 40),
            ("/b/{id}", found("value", "/order/items/*/price"), 50),
            ("/c/{id}", found("value", "/cart/items/*/price"), 10),
            ("/d", found("value", "/price"), 25),
            ("/e", found("status", "status"), 20),
            ("/f", found("value", "strict-transport-security"), 21),
        ]);
        let shown: Vec<_> = causes.iter().map(|it| (it.what(), it.responses, it.endpoints.len())).collect();
        let expected = [
            ("strict-transport-security is missing", 70, 2),
            ("…/*/price differs", 60, 2),
            ("/price differs", 25, 1),
            ("strict-transport-security differs", 21, 1),
            ("status is 404 instead of 200", 20, 1),
        ];
        assert_eq!(shown, expected.map(|(what, responses, endpoints)| (what.to_owned(), responses, endpoints)));
        assert_eq!(causes[0].endpoints[0].endpoint, "/b", "the most affected first");
    }

    #[test]
    fn what_is_proved_comes_first() {
        let unmeasured = json!({ "class": "value", "pointer": "/a" });
        let causes = causes_of(&[("/a", unmeasured, 100), ("/b", found("value", "/b"), 20)]);
        let marks: Vec<_> = causes.iter().map(|cause| (cause.mark, cause.pointers[0].as_str())).collect();
        assert_eq!(marks, [(Mark::Regression, "/b"), (Mark::NotMeasured, "/a")]);
    }

    fn endpoints(names: &[&str]) -> Vec<EndpointName> {
        let name = |endpoint: &&str| EndpointName {
            route: "orders".to_owned(),
            method: "GET".to_owned(),
            endpoint: (*endpoint).to_owned(),
        };
        names.iter().map(name).collect()
    }

    fn rule_of(pointers: &[&str], names: &[&str]) -> Option<String> {
        let pointers: Vec<_> = pointers.iter().map(|pointer| (*pointer).to_owned()).collect();
        rule(Mark::Regression, None, &pointers, &endpoints(names))
    }

    #[test]
    fn a_rule_is_as_narrow_as_it_can_be() {
        let many = ["/a", "/b", "/c", "/d"];
        for (pointers, names, expected) in [
            (&["vary"][..], &many[..], Some("compare:\n  accepted: [\"vary\"]\n")),
            (
                &["/a", "/b"],
                &["/orders/{id}"],
                Some("compare:\n  rules:\n    - endpoints: [\"/orders/{id}\"]\n      accepted: [\"/a\", \"/b\"]\n"),
            ),
            (
                &["status"],
                &many,
                Some(
                    "compare:\n  rules:\n    - endpoints: [\"/a\", \"/b\", \"/c\", \"/d\"]\n      accepted: [\"status\"]\n",
                ),
            ),
            (
                &["body"],
                &["/files/{id}.pdf", "/a b/*", "/long/…"],
                Some(
                    "compare:\n  rules:\n    - endpoints: [\"/files/{any}\", \"/long/**\", \"/{any}/{any}\"]\n      accepted: [\"body\"]\n",
                ),
            ),
            (
                &["/the/first/of/two/long/places/in/a/response", "/the/second/of/two/long/places/in/a/response"],
                &many,
                Some(
                    "compare:\n  accepted:\n    - \"/the/first/of/two/long/places/in/a/response\"\n    - \"/the/second/of/two/long/places/in/a/response\"\n",
                ),
            ),
            (&["body"], &["(other)"], None),
            (&["vary"], &["(other)"], Some("compare:\n  accepted: [\"vary\"]\n")),
            (&["#00c0ffee"], &["/a"], None),
            (&["(other)"], &["/a"], None),
            (&["/${env:PATH}"], &["/a"], None),
        ] {
            assert_eq!(rule_of(pointers, names).as_deref(), expected, "{pointers:?} {names:?}");
        }
    }

    /// Every suggestion is a valid configuration, and means what it says.
    #[test]
    fn the_configuration_takes_every_rule() {
        let pointers = [
            "status",
            "body",
            "cache-control/max-age",
            "set-cookie/basket/secure",
            "/items/*/price",
            "/facts/[name=currency]/value",
            "/it's \"quoted\" \\ # not a comment: {a}",
            "/tab\t\u{202e}\u{7f}\u{e0041}\u{1b}[2J",
            "/- a",
            "/${PATH}",
            "selector: main > p.price @title",
            "selector: footer > p.copyright",
            "column: unit price",
            "line: host",
            "selector: script#data >> /props/price",
            "location/host",
        ];
        for (number, pointer) in pointers.iter().enumerate() {
            let long = "/a/path/with/many/segments/that/does/not/fit/into/a/line/of/this/size";
            for names in [&["/orders/{id}", "/a'b\"c/{id}.pdf"][..], &["/orders/{id}", long], &["/a", "/b", "/c", "/d"]]
            {
                let Some(rule) = rule_of(&[pointer], names) else { panic!("{pointer}") };
                let rule = rule.replace('\n', "\n    ");
                let text = format!(
                    "version: 1\nbackends: {{ a: https://a.example, b: https://b.example }}\n\
                     default:\n  forward: a\n  mirror:\n    backend: b\n    percent: 100\n    {rule}\n"
                );
                let Checked { table, diagnostics, .. } = Checked::new(&text, "crossfade.yaml", &Nothing);
                assert!(diagnostics.list.is_empty(), "{number}: {text}\n{}", diagnostics.with_lines());
                let table = table.unwrap();
                let rules = table.default_route().mirror.as_ref().unwrap().compare.clone().unwrap();
                let rules = rules.of(if names.len() > 2 { "/a" } else { "/orders/17" }).into_owned();
                let accepted: Vec<_> = rules.accepted.into_iter().map(|accepted| accepted.place).collect();
                assert_eq!(accepted, [Place::parse(pointer).unwrap()], "{pointer}");
            }
        }
    }
}
