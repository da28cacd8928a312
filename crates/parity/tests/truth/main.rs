//! A migration whose truth is known: an application of some hundred endpoints in its old and its new form, and what the
//! verdict must say about each. `README.md` documents the files in `endpoints`.

#![allow(clippy::unwrap_used)] // a test may panic, in its helpers too

mod application;
mod shadow;
mod template;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crossfade_journal::comparison::{Against, Record};
use crossfade_parity::{Assessment, Mark, Places, Tally, Verdict, judge};

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

/// The figures of runs with the same application as both systems.
#[derive(Default)]
struct Figures {
    responses: u64,
    /// All that is said to differ.
    alarms: Vec<String>,
    places: Places,
    /// For each place, by endpoint: differences that both systems repeated, and all that were repeated.
    reproduced: BTreeMap<String, (u64, u64)>,
}

fn against_itself(seeds: std::ops::Range<u64>, responses: u64) -> Figures {
    let all = endpoints();
    let list: Vec<&Endpoint> = all.iter().collect();
    let slow: BTreeSet<String> = list.iter().filter(|endpoint| endpoint.is_slow()).map(|it| it.name()).collect();
    let sum: u64 = list.iter().map(|endpoint| endpoint.requests).sum();
    let mut figures = Figures::default();
    for seed in seeds.clone() {
        let mut tally = Tally::new(0);
        let requests = |endpoint: &Endpoint| (endpoint.requests * responses).div_ceil(sum);
        Run::new(&list, true, seed).records(requests, &mut |_, record| {
            figures.responses += u64::from(record.against == Against::Mirror);
            tally.add(record);
        });
        let assessment = judge(&tally);
        let Places { regressions, unjudged, not_measured, unclear, noise } = assessment.overall.places;
        let places = &mut figures.places;
        places.regressions += regressions;
        places.unjudged += unjudged;
        places.not_measured += not_measured;
        places.unclear += unclear;
        places.noise += noise;
        let differs = assessment.reasons.iter().filter(|reason| reason.verdict() == Verdict::Differs);
        figures.alarms.extend(differs.map(|reason| format!("seed {seed}: {reason}")));
        for endpoint in assessment.endpoints.iter().filter(|endpoint| !slow.contains(&endpoint.name.to_string())) {
            for difference in &endpoint.differences {
                let class = difference.class.map_or("", |class| class.as_str());
                let place = format!("{} {class} {}", endpoint.name, difference.pointer);
                let (same, repeated) = figures.reproduced.entry(place).or_default();
                *same += difference.repeated.same;
                *repeated += difference.repeated.repeated();
            }
        }
    }
    let (count, alarms) = (seeds.count(), figures.alarms.len());
    println!("{count} runs, {} responses: {alarms} false alarms; {:?}", figures.responses, figures.places);
    figures
}

/// Two draws from the same values repeat themselves in at most a quarter of the cases in which they differ. The judgement
/// relies on that, so it must hold at every place that the comparison finds.
fn assert_that_chance_repeats_itself_rarely(figures: &Figures) {
    let bound = |repeated: u64| 0.25 * repeated as f64 + 4.0 * (0.1875 * repeated as f64).sqrt();
    let often: Vec<_> =
        figures.reproduced.iter().filter(|(_, (same, repeated))| *same as f64 > bound(*repeated)).collect();
    assert!(often.is_empty(), "{often:#?}");
}

#[test]
fn an_application_does_not_differ_from_itself() {
    let figures = against_itself(100..102, 4_000);
    assert!(figures.alarms.is_empty(), "{:#?}", figures.alarms);
    assert_that_chance_repeats_itself_rarely(&figures);
}

/// The figure that `docs/report.md` quotes: `cargo test -p crossfade-parity --test truth -- --ignored --nocapture`.
#[test]
#[ignore = "takes a minute"]
fn twenty_runs_against_itself() {
    let figures = against_itself(0..20, 13_000);
    assert!(figures.alarms.len() <= 1, "{:#?}", figures.alarms);
    assert_that_chance_repeats_itself_rarely(&figures);
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
