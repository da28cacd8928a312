//! Whole steps: a plan, the state, a log, and what follows from them.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

use std::time::{Duration, SystemTime};

use crossfade_journal::AccessRecord;
use crossfade_journal::comparison::Record;
use crossfade_migration::{Advance, Evidences, Judgement, advance, may_promote};
use crossfade_route::migration::{Evidence, Hold, Next, Phase, Target};
use crossfade_route::{Author, Move, Nothing, Overlay, RoutingTable, Share};
use serde::Deserialize;
use serde_json::{Value, json};

const MINUTE: u64 = 60;

fn table(schedule: &str) -> RoutingTable {
    let config = format!(
        "version: 1
backends: {{ legacy: https://legacy.example, modern: https://modern.example }}
routes:
  - name: orders
    priority: 10
    conditions: {{ path: /orders/* }}
    forward: {{ targets: [legacy, {{ backend: modern, weight: 0 }}], sticky: {{ by: ip }} }}
  - name: carts
    priority: 20
    conditions: {{ path: /carts/* }}
    forward: {{ targets: [legacy, {{ backend: modern, weight: 0 }}], sticky: {{ by: ip }} }}
default: {{ forward: legacy }}
migration: {{ from: legacy, to: modern, steps: [10%, 100%], bake: 30m, samples: 100, guard: 'errors<=+1%', schedule: {schedule} }}
"
    );
    RoutingTable::from_config(&config, "crossfade.yaml", &Nothing).unwrap()
}

fn at(minute: u64) -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(1_900_000_000 + minute * MINUTE)
}

fn written(minute: u64) -> String {
    humantime::format_rfc3339(at(minute)).to_string()
}

/// Requests of users in a minute: so many, each `failing`-th of them failed.
fn users(minute: u64, route: &str, live: Option<u32>, backend: &str, count: u64, failing: u64) -> Vec<Value> {
    let line = |number: u64| {
        json!({
            "type": "access", "version": 3, "time": written(minute), "route": route, "live": live, "backend": backend,
            "status": if failing > 0 && number.is_multiple_of(failing) { 500 } else { 200 }, "first_byte_ms": 20, "attempts": 1,
        })
    };
    (0..count).map(line).collect()
}

/// Shadow requests with equal responses.
fn shadows(minute: u64, route: &str, live: Option<u32>, count: u64) -> Vec<Value> {
    let line = |number: u64| {
        json!({
            "type": "compare", "version": 3, "time": written(minute), "against": "mirror", "live": live,
            "request_id": format!("{minute}-{number}"), "route": route, "method": "GET", "endpoint": "/orders/{id}",
            "verdict": "match", "differences": [],
            "primary": {"backend": "legacy", "status": 200, "ms": 20.0},
            "mirror": {"backend": "modern", "status": 200, "ms": 20.0},
        })
    };
    (0..count).map(line).collect()
}

fn judgements(table: &RoutingTable, overlay: Option<&Overlay>, lines: &[Vec<Value>], minute: u64) -> Vec<Judgement> {
    let mut evidences = Evidences::new(table, table.plan.as_ref().unwrap(), overlay).unwrap();
    for line in lines.iter().flatten() {
        match line["type"].as_str() {
            Some("access") => evidences.add_access(&AccessRecord::deserialize(line).unwrap()),
            _ => evidences.add_comparison(&Record::deserialize(line).unwrap()),
        }
    }
    evidences.judgements(at(minute))
}

fn moved(table: &RoutingTable, overlay: Option<&Overlay>, step: Move, minute: u64) -> Overlay {
    let author = Author { by: "anna".to_owned(), reason: None };
    table.moved(overlay, &[], step, &author, at(minute)).unwrap().next
}

fn step(table: &RoutingTable, overlay: Option<&Overlay>, lines: &[Vec<Value>], minute: u64) -> Advance {
    advance(table, overlay, &judgements(table, overlay, lines, minute), "schedule", at(minute)).unwrap()
}

fn shares(overlay: &Overlay) -> Vec<(&str, Share, Phase)> {
    let progress = |(name, changes): (&'static str, &crossfade_route::RouteChanges)| {
        let progress = changes.migration.unwrap();
        (name, progress.share, progress.phase)
    };
    ["carts", "orders"].into_iter().filter_map(|name| Some(progress((name, overlay.routes.get(name)?)))).collect()
}

#[test]
fn shadow_requests_are_the_evidence_for_the_first_step() {
    let table = table("advance");
    let log = [shadows(0, "orders", None, 80), shadows(31, "orders", None, 80), shadows(31, "carts", None, 80)];
    let first = step(&table, None, &log, 32);
    assert_eq!(shares(&first.next.unwrap()), [("orders", Share::percents(10), Phase::Running)]);
    assert!(matches!(&first.routes[1], (route, Next::Hold(Hold::Baking(_))) if route == "carts"), "{:?}", first.routes);
    // Carts have baked later, and still have too few samples.
    let later = step(&table, None, &log, 100);
    assert_eq!(later.routes[1].1, Next::Hold(Hold::Evidence(Evidence::TooFew(80))));
}

#[test]
fn only_requests_that_follow_the_step_count_for_it() {
    let table = table("advance");
    let first = moved(&table, None, Move::Promote(Target::NextStep), 10);
    let before = [users(1, "orders", None, "legacy", 900, 2), users(11, "orders", None, "modern", 300, 1)];
    let state = Some(&first);
    let holds = step(&table, state, &before, 60);
    assert_eq!(holds.routes[0].1, Next::Hold(Hold::NotInEffect), "nobody has read the state yet");
    let after = [users(12, "orders", Some(1), "legacy", 900, 0), users(12, "orders", Some(1), "modern", 120, 0)];
    let log = [&before[..], &after[..]].concat();
    let holds = step(&table, state, &log, 41);
    assert_eq!(holds.routes[0].1, Next::Hold(Hold::Baking(Duration::from_secs(MINUTE))), "it counts from minute 12");
    let next = step(&table, state, &log, 42).next.unwrap();
    assert_eq!((next.version, &*next.by, next.reason.as_deref()), (2, "schedule", Some("the guard holds")));
    assert_eq!(shares(&next)[1], ("orders", Share::ALL, Phase::Finished));
}

#[test]
fn a_failure_takes_users_back_before_anything_else_moves() {
    for schedule in ["advance", "abort"] {
        let table = table(schedule);
        let first = moved(&table, None, Move::Promote(Target::NextStep), 10);
        let good = [users(12, "carts", Some(1), "legacy", 900, 0), users(12, "carts", Some(1), "modern", 120, 0)];
        let bad = [users(12, "orders", Some(1), "legacy", 900, 0), users(12, "orders", Some(1), "modern", 120, 2)];
        for paused in [false, true] {
            let state = if paused { moved(&table, Some(&first), Move::Pause, 13) } else { first.clone() };
            let next = step(&table, Some(&state), &[&good[..], &bad[..]].concat(), 50).next.unwrap();
            assert_eq!(shares(&next)[1], ("orders", Share::NONE, Phase::Aborted), "{schedule} {paused}");
            assert_eq!(shares(&next)[0].1, Share::percents(10), "carts wait for the next look");
            let reason = "orders: errors<=+1%: 50.00 % of 120 instead of 0 % of 900";
            assert_eq!(next.reason.as_deref(), Some(reason));
        }
        // Without a failure, only `advance` moves anything.
        assert_eq!(step(&table, Some(&first), &good, 50).next.is_some(), schedule == "advance");
    }
}

#[test]
fn no_data_moves_nothing() {
    let table = table("advance");
    let first = moved(&table, None, Move::Promote(Target::NextStep), 10);
    let few = [users(12, "orders", Some(1), "legacy", 9, 0), users(12, "orders", Some(1), "modern", 1, 1)];
    for (overlay, log) in [(None, &[][..]), (Some(&first), &[]), (Some(&first), &few)] {
        let held = step(&table, overlay, log, 1000);
        assert!(held.next.is_none(), "{:?}", held.routes);
        assert!(held.routes.iter().all(|(_, next)| matches!(next, Next::Hold(_))));
    }
}

#[test]
fn a_pause_keeps_the_evidence_and_a_new_beginning_does_not() {
    let table = table("advance");
    let plan = table.plan.as_ref().unwrap();
    let first = moved(&table, None, Move::Promote(Target::NextStep), 10);
    let log = [users(12, "orders", Some(1), "legacy", 900, 0), users(12, "orders", Some(1), "modern", 120, 0)];
    let paused = moved(&table, Some(&first), Move::Pause, 20);
    let may =
        |overlay: &Overlay, minute| may_promote(plan, &judgements(&table, Some(overlay), &log, minute)[0], at(minute));
    assert_eq!(may(&paused, 51), Ok(()), "a person may go on from a pause");
    assert_eq!(step(&table, Some(&paused), &log, 51).routes[0].1, Next::Hold(Hold::Phase(Phase::Paused)));
    let aborted = moved(&table, Some(&paused), Move::Abort, 30);
    assert_eq!(may(&aborted, 99), Err(Next::Hold(Hold::Phase(Phase::Aborted))));
    let resumed = moved(&table, Some(&aborted), Move::Resume, 40);
    assert_eq!(may(&resumed, 99), Err(Next::Hold(Hold::NotInEffect)));
}

#[test]
fn a_schedule_needs_permission() {
    let config = "version: 1
backends: { legacy: https://legacy.example, modern: https://modern.example }
default: { forward: { targets: [legacy, { backend: modern, weight: 1 }], sticky: { by: ip } } }
migration: { from: legacy, to: modern, guard: 'errors<=+1%' }
";
    let table = RoutingTable::from_config(config, "crossfade.yaml", &Nothing).unwrap();
    let bad = [users(12, "default", None, "legacy", 900, 0), users(12, "default", None, "modern", 900, 2)];
    let advance = step(&table, None, &bad, 99);
    assert!(matches!(advance.routes[0].1, Next::Abort(..)) && advance.next.is_none());
}

/// The state was deleted and begun anew, so the numbers of its versions are the same.
#[test]
fn requests_of_an_earlier_migration_do_not_count() {
    let table = table("advance");
    let first = moved(&table, None, Move::Promote(Target::NextStep), 1000);
    let step_of = |minute| {
        let log = [
            users(minute, "orders", Some(1), "legacy", 900, 0),
            users(minute, "orders", Some(1), "modern", 120, 1),
            shadows(minute, "orders", Some(1), 120),
        ];
        step(&table, Some(&first), &log, 1050).routes.remove(0).1
    };
    assert_eq!(step_of(10), Next::Hold(Hold::NotInEffect));
    // The clock of a function is a little behind.
    assert!(matches!(step_of(997), Next::Abort(..)));
}

/// A log of a month, and a clock that is an hour ahead.
#[test]
fn the_length_of_the_log_does_not_change_when_a_step_is_in_effect() {
    let table = table("advance");
    let first = moved(&table, None, Move::Promote(Target::NextStep), 50_000);
    let mut log: Vec<_> = (0..50).map(|day| users(day * 1000, "orders", None, "legacy", 100, 0)).collect();
    log.push(users(50_001, "orders", Some(1), "legacy", 900, 0));
    log.push(users(50_001, "orders", Some(1), "modern", 120, 0));
    log.push(users(50_061, "orders", None, "legacy", 1, 0));
    let judged = judgements(&table, Some(&first), &log, 50_061).remove(0);
    let since = judged.in_effect.unwrap();
    assert!(since >= at(50_000) && since <= at(50_001), "{since:?}");
}

/// Half of the clients get 503, from the circuit breaker.
#[test]
fn an_open_circuit_breaker_is_a_failure() {
    let table = table("advance");
    let first = moved(&table, None, Move::Promote(Target::NextStep), 10);
    let mut open = users(12, "orders", Some(1), "modern", 1252, 1);
    for line in &mut open {
        line["backend"] = Value::Null;
        line["target"] = "modern".into();
        line["skipped"] = json!([{ "backend": "modern", "outcome": "open" }]);
        line["status"] = 503.into();
    }
    let log = [users(12, "orders", Some(1), "legacy", 1243, 0), users(12, "orders", Some(1), "modern", 500, 0), open];
    assert!(matches!(&step(&table, Some(&first), &log, 50).routes[0].1, Next::Abort(..)));
}

#[test]
fn testers_do_not_block_the_first_step() {
    let table = table("advance");
    let mut pinned = users(5, "orders", None, "modern", 6, 0);
    pinned.iter_mut().for_each(|line| line["chosen"] = "pin".into());
    let log = [shadows(0, "orders", None, 3000), pinned];
    assert!(matches!(&step(&table, None, &log, 40).routes[0].1, Next::Advance(_)));
}

#[test]
fn a_pause_does_not_begin_the_step_anew() {
    let table = table("advance");
    let first = moved(&table, None, Move::Promote(Target::NextStep), 10);
    let log = [users(12, "orders", Some(1), "legacy", 900, 0), users(12, "orders", Some(1), "modern", 120, 0)];
    let paused = moved(&table, Some(&first), Move::Pause, 40);
    let resumed = moved(&table, Some(&paused), Move::Resume, 41);
    assert!(matches!(&step(&table, Some(&resumed), &log, 43).routes[0].1, Next::Advance(_)));
}
