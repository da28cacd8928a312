//! Requirements for the comparisons in the log, whatever happened: each belongs to one request, and is correct or lost.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::{Value, json};

use crate::back_end::BackEnd;
use crate::support::Function;
use crate::{Figures, LIMIT};

/// A stop that is shorter than this goes by unnoticed, unless something else adds to it.
const NOTICED: Duration = Duration::from_millis(240);
/// The share of one of two addresses in the shortest limit, 700 ms. A freeze from here to half a second, which may go
/// unnoticed, looks like a back end that is unreachable.
const SHARE: Duration = Duration::from_millis(350);

/// The facts about an invocation whose request may have been copied.
#[derive(Debug, Default)]
pub(crate) struct Known {
    /// For the mirror: its index among the back ends, and whether answers are compared.
    pub(crate) mirror: usize,
    pub(crate) is_compared: bool,
    /// There is a copy.
    pub(crate) is_copied: bool,
    /// The client got the response of the back end.
    pub(crate) is_answered: bool,
    /// The mirror failed while the copy may have been in flight.
    pub(crate) was_troubled: bool,
    /// The longest freeze while the copy may have been in flight.
    pub(crate) stood_still: Duration,
}

/// Of the id of a request: `METHOD-NUMBER-WAIT-odd` or `-even`. The mirror takes its time, and says more of odd ones.
pub(crate) fn of_mirror(id: &str) -> (Duration, String) {
    let wait = id.split('-').nth(2).unwrap().parse().unwrap();
    let content = match id.ends_with("-odd") {
        true => json!({ "id": id, "numbers": [1, 2, 3], "odd": true }),
        false => json!({ "id": id, "numbers": [1, 2, 3] }),
    };
    (Duration::from_millis(wait), content.to_string())
}

pub(crate) fn of_primary(id: &str) -> (Duration, String) {
    (Duration::ZERO, json!({ "id": id, "numbers": [1, 2, 3] }).to_string())
}

/// The log, once every request and every copy has its record. Second questions have records of their own, which say nothing
/// about whether the others are there.
pub(crate) fn complete_log(function: &Function, invocations: u64, known: &BTreeMap<String, Known>) -> Vec<Value> {
    let copies = known.values().filter(|known| known.is_copied).count();
    function.log_until(|lines| {
        let count = |has: fn(&Value) -> bool| lines.iter().filter(|line| has(line)).count();
        count(|line| line["type"] == "access") >= invocations as usize
            && count(|line| line["against"] == "mirror") >= copies
    })
}

pub(crate) fn check(log: &[Value], known: &BTreeMap<String, Known>, back_ends: &[BackEnd], figures: &mut Figures) {
    let mut found: BTreeMap<(&str, &str), u32> = BTreeMap::new();
    for record in log.iter().filter(|line| line["type"] == "compare") {
        let [id, against] = ["request_id", "against"].map(|name| record[name].as_str().unwrap());
        *found.entry((against, id)).or_insert(0) += 1;
        check_one(record, id, &known[id], &back_ends[known[id].mirror], figures);
    }
    for (id, known) in known {
        let count = found.remove(&("mirror", id.as_str())).unwrap_or(0);
        assert_eq!(count, u32::from(known.is_copied), "{id}: {known:?}");
        let again = found.remove(&("self", id.as_str())).unwrap_or(0);
        assert!(again <= u32::from(known.is_copied && id.starts_with("GET")), "{id}");
    }
    assert!(found.is_empty(), "{found:?}");
}

fn check_one(record: &Value, id: &str, known: &Known, mirror: &BackEnd, figures: &mut Figures) {
    let context = || format!("{id}, {known:?}: {record}");
    assert_eq!(record["method"], id.split('-').next().unwrap());
    for side in ["primary", "mirror"] {
        // Nothing is measured that is longer than it can have been.
        let ms = record[side]["ms"].as_f64().unwrap_or(0.0);
        assert!((0.0..LIMIT.as_secs_f64() * 1000.0).contains(&ms), "{}", context());
    }
    let [verdict, reason] = ["verdict", "reason"].map(|name| record[name].as_str().unwrap_or_default());
    let is_self = record["against"] == "self";
    let differences: Vec<_> = record["differences"].as_array().into_iter().flatten().collect();
    // The mirror says that it gave no answer.
    let is_silent = record["mirror"]["error"].is_string();
    let cause = match verdict {
        "lost" if reason == "frozen" && known.stood_still > NOTICED => "lost, stood still",
        // The machine was busy.
        "lost" if reason == "frozen" => "lost, got no processor",
        _ if !known.is_answered => {
            assert!(verdict == "failed" || (verdict == "unknown" && !known.is_compared), "{}", context());
            "failed"
        }
        _ if is_silent => {
            let was_killed = mirror.was_killed_by(id) || mirror.was_killed_by(&format!("copy of {id}"));
            assert!(known.was_troubled || was_killed || is_self || known.stood_still > SHARE, "{}", context());
            assert!(verdict == "different" || !known.is_compared, "{}", context());
            "no answer of a back end in trouble"
        }
        "unknown" => {
            assert!(!known.is_compared && reason == "off", "{}", context());
            "answered, not compared"
        }
        "match" => {
            assert!(known.is_compared && (is_self || id.ends_with("-even")), "{}", context());
            "compared, the same"
        }
        "different" => {
            let is_right = !is_self && id.ends_with("-odd") && differences.len() == 1;
            assert!(is_right && differences[0]["pointer"] == "/odd", "{}", context());
            "compared, different as it is"
        }
        _ => panic!("{}", context()),
    };
    figures.count(format!("{}: {cause}", if is_self { "second question" } else { "copy" }));
}
