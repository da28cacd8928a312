//! A migration whose truth is known: an application of some hundred endpoints in its old and its new form, and what the
//! verdict must say about each. `README.md` documents the files in `endpoints`.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

mod application;
mod shadow;
mod template;

use std::collections::BTreeSet;
use std::fmt::Write;

use crossfade_journal::comparison::Record;
use crossfade_parity::{Assessment, Mark, Tally, Verdict, judge};

use crate::application::{Endpoint, Truth, endpoints};
use crate::shadow::Run;

/// Seed of the run that is compared with the truth.
const SEED: u64 = 1;

fn assess<'a>(records: impl IntoIterator<Item = &'a Record>) -> Assessment {
    let mut tally = Tally::new(0);
    records.into_iter().for_each(|record| tally.add(record));
    judge(&tally)
}

/// Records of a run, in the order of time, with the index of the endpoint.
fn records(list: &[&Endpoint], is_same: bool, seed: u64) -> Vec<(usize, Record)> {
    let mut records = Vec::new();
    Run::new(list, is_same, seed).records(|endpoint| endpoint.requests, &mut |index, record| {
        records.push((index, record.clone()));
    });
    records
}

#[test]
fn the_verdict_says_the_truth() {
    let all = endpoints();
    let only = std::env::var("ONLY").unwrap_or_default();
    let list: Vec<&Endpoint> = all.iter().filter(|endpoint| endpoint.name().contains(&only)).collect();
    let names: BTreeSet<String> = list.iter().map(|endpoint| endpoint.name()).collect();
    assert_eq!(names.len(), list.len(), "two endpoints have the same name");
    let records = records(&list, false, SEED);
    let shared = assess(records.iter().map(|(_, record)| record));
    let mut failures = String::new();
    let mut counts = [0; 5];
    for (index, endpoint) in list.iter().enumerate() {
        let alone = assess(records.iter().filter(|(of, _)| *of == index).map(|(_, record)| record));
        let mut wrong = wrongs(endpoint, &shared, &alone);
        if endpoint.truths == [Truth::CannotBeJudged] {
            let is_busy = |of: usize| of == index || list[of].truths == [Truth::Same];
            let among = assess(records.iter().filter(|(of, _)| is_busy(*of)).map(|(_, record)| record));
            if among.verdict == Verdict::Same {
                wrong.push("green among others".to_owned());
            }
        }
        counts[alone.verdict as usize] += 1;
        if !wrong.is_empty() || !only.is_empty() {
            writeln!(failures, "{} ({})\n    truth: {:?}", endpoint.name(), endpoint.about, endpoint.truths).unwrap();
            wrong.iter().for_each(|wrong| writeln!(failures, "    WRONG: {wrong}").unwrap());
            writeln!(failures, "    alone: {:?}", alone.verdict).unwrap();
            for reason in &alone.reasons {
                writeln!(failures, "        {reason}").unwrap();
            }
            for difference in differences(endpoint, &shared) {
                let (class, pointer) = (difference.class.map_or("", |class| class.as_str()), &difference.pointer);
                let (mark, why) = (difference.mark.as_str(), difference.why);
                writeln!(
                    failures,
                    "    {mark} {class} {pointer} ({}, {:?}, e = {:.1}) {why:?}",
                    difference.count, difference.repeated, difference.e_value
                )
                .unwrap();
            }
        }
    }
    println!("{} endpoints, {} records; alone: {counts:?}", list.len(), records.len());
    assert!(failures.is_empty(), "\n{failures}\n{} wrong", failures.matches("truth:").count());
}

fn differences<'a>(endpoint: &Endpoint, assessment: &'a Assessment) -> &'a [crossfade_parity::Difference] {
    let is_it = |found: &&crossfade_parity::Endpoint| found.name.to_string() == endpoint.name();
    assessment.endpoints.iter().find(is_it).map_or(&[], |found| &found.differences)
}

/// Returns all that the report says wrongly about an endpoint.
fn wrongs(endpoint: &Endpoint, shared: &Assessment, alone: &Assessment) -> Vec<String> {
    let mut wrong = Vec::new();
    let marked = |mark: Mark| -> BTreeSet<&str> {
        let differences = differences(endpoint, shared).iter().filter(|difference| difference.mark == mark);
        differences.map(|difference| difference.pointer.as_str()).collect()
    };
    let is_green = alone.verdict == Verdict::Same;
    let is_red = alone.verdict == Verdict::Differs;
    let regressions = marked(Mark::Regression);
    let mut expected = BTreeSet::new();
    let mut is_anywhere = false;
    for truth in &endpoint.truths {
        match truth {
            Truth::Same if !differences(endpoint, shared).is_empty() => wrong.push("there are differences".to_owned()),
            Truth::Same | Truth::Noisy if is_red => wrong.push("red".to_owned()),
            Truth::Same | Truth::Noisy => {}
            Truth::Differs(place) => {
                if !is_red {
                    wrong.push("not red".to_owned());
                }
                match place {
                    Some(place) => {
                        expected.insert(place.as_str());
                        if !regressions.contains(place.as_str()) {
                            wrong.push(format!("no regression at {place}"));
                        }
                    }
                    None => is_anywhere = true,
                }
            }
            Truth::NotMeasured(place) => {
                if is_green || is_red {
                    wrong.push(format!("{:?}", alone.verdict));
                }
                if !marked(Mark::NotMeasured).contains(place.as_str()) {
                    wrong.push(format!("not `not measured` at {place}"));
                }
            }
            Truth::CannotBeJudged if is_green || is_red => wrong.push(format!("{:?}", alone.verdict)),
            Truth::CannotBeJudged => {}
        }
    }
    if !is_anywhere {
        wrong.extend(regressions.difference(&expected).map(|place| format!("blames {place}")));
    }
    wrong.dedup();
    wrong
}
