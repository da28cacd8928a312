//! The verdict and its reasons.
//!
//! Owns the thresholds that apply without a gate, and the order of the reasons; `docs/report.md` explains both. `marks` owns
//! the conclusions about places, `latency` those about response times.

use std::cmp::Reverse;

use crate::assessment::{Difference, Endpoint, EndpointName, Latency, Mark, Summary, Verdict, Why};
use crate::binomial::mixture;
use crate::proportion::{share, wilson};
use crate::reason::{Place, Reason};

/// Parity below which systems differ, without a gate: 99.5 %.
pub const PARITY_THRESHOLD: f64 = 0.995;
/// Share of lost copies above which the remaining ones cannot prove that the systems are the same.
pub(crate) const LOST_THRESHOLD: f64 = 0.01;
/// The chance that any endpoint is said to fail more often by mistake.
const ERROR: f64 = 0.05;

/// Returns the verdict on some endpoints and everything that speaks against [`Verdict::Same`], by impact. `overall` are their
/// figures, `all` is the number of endpoints in the report.
pub(crate) fn verdict(overall: &Summary, endpoints: &[&Endpoint], all: u64) -> (Verdict, Vec<Reason>) {
    // The impact of a reason is the number of responses that it is about.
    let mut found: Vec<(u64, Reason)> = Vec::new();
    if overall.copies == 0 {
        found.push((0, Reason::NoData));
    }
    for endpoint in endpoints {
        found.extend(fails(endpoint, all));
        found.extend(regressions(endpoint));
        found.extend(slower(Some(&endpoint.name), endpoint.summary.latency.as_ref()));
        found.extend(not_compared(endpoint));
        found.extend(undecided(endpoint));
    }
    if !found.iter().any(|(_, reason)| matches!(reason, Reason::Slower { .. })) {
        found.extend(slower(None, overall.latency.as_ref()));
    }
    if share(overall.lost, overall.copies) > LOST_THRESHOLD {
        found.push((overall.lost, Reason::Lost { lost: overall.lost, copies: overall.copies }));
    }
    let is_proved = found.iter().any(|(_, reason)| reason.verdict() == Verdict::Differs);
    if !is_proved {
        found.extend(few_samples(overall));
    }
    found.sort_by_key(|(impact, reason)| (reason.verdict(), Reverse(*impact)));
    let verdict = found.first().map_or(Verdict::Same, |(_, reason)| reason.verdict());
    (verdict, found.into_iter().map(|(_, reason)| reason).collect())
}

fn place(difference: &Difference) -> Place {
    Place { class: difference.class, change: difference.change, pointer: difference.pointer.clone() }
}

/// Returns the differences with a mark, and the one with the most responses that are not accepted.
fn marked(endpoint: &Endpoint, mark: Mark) -> Option<(u64, &Difference)> {
    let with = || endpoint.differences.iter().filter(|difference| difference.mark == mark);
    // The first one of several.
    let most = with().rev().max_by_key(|difference| unaccepted(difference))?;
    Some((with().count() as u64, most))
}

fn unaccepted(difference: &Difference) -> u64 {
    difference.count.saturating_sub(difference.accepted)
}

fn regressions(endpoint: &Endpoint) -> Option<(u64, Reason)> {
    let (places, most) = marked(endpoint, Mark::Regression)?;
    let (name, responses, compared) = (endpoint.name.clone(), unaccepted(most), endpoint.summary.compared);
    Some((responses, Reason::Regressions { endpoint: name, places, place: place(most), responses, compared }))
}

/// Of the pairs in which exactly one system failed, half are the mirror's if both fail alike: an exact test that may be
/// repeated at any time, corrected for the number of endpoints (Bonferroni).
fn fails(endpoint: &Endpoint, endpoints: u64) -> Option<(u64, Reason)> {
    let Summary { mirror_failed: mirror, primary_failed: primary, .. } = endpoint.summary;
    let pairs = endpoint.summary.compared + endpoint.summary.failed;
    let is_worse = mixture(mirror, mirror + primary, 0.5) >= endpoints as f64 / ERROR;
    is_worse.then(|| (mirror, Reason::MirrorFails { endpoint: endpoint.name.clone(), mirror, primary, pairs }))
}

fn slower(endpoint: Option<&EndpointName>, latency: Option<&Latency>) -> Option<(u64, Reason)> {
    let latency = latency?;
    let percentile = *latency.slower.first()?;
    let (primary, mirror) = (latency.primary.of(percentile), latency.mirror.of(percentile));
    let pairs = latency.pairs;
    let affected = (pairs as f64 * (1.0 - percentile.share())).ceil() as u64;
    Some((affected, Reason::Slower { endpoint: endpoint.cloned(), percentile, primary, mirror, pairs }))
}

/// An endpoint is named if less than half of its copies were compared with their content.
fn not_compared(endpoint: &Endpoint) -> Option<(u64, Reason)> {
    let summary = &endpoint.summary;
    let (copies, compared) = (summary.copies, summary.compared.saturating_sub(summary.not_modified));
    if copies == 0 || compared * 2 > copies {
        return None;
    }
    let words = summary.lost_by_reason.iter().chain(&summary.unknown_by_reason);
    let words = words.map(|(word, count)| (*count, word.as_str()));
    let others = [(summary.failed, "failed"), (summary.not_modified, "not-modified")];
    let mostly = words.chain(others).max_by_key(|(count, _)| *count).map_or("", |(_, word)| word).to_owned();
    Some((copies - compared, Reason::NotCompared { endpoint: endpoint.name.clone(), copies, compared, mostly }))
}

/// Returns the reasons for places that are neither regressions nor noise.
fn undecided(endpoint: &Endpoint) -> Vec<(u64, Reason)> {
    let compared = endpoint.summary.compared;
    // As one response of a rare endpoint is not decisive, one of a busy endpoint does not prevent a decision.
    let is_frequent = endpoint.summary.parity.is_some_and(|parity| parity.high < PARITY_THRESHOLD);
    let mut reasons = Vec::new();
    for mark in [Mark::Unjudged, Mark::NotMeasured, Mark::Unclear] {
        let Some((places, most)) = marked(endpoint, mark) else { continue };
        let (name, responses) = (endpoint.name.clone(), unaccepted(most));
        let why = most.why.unwrap_or(Why::NeverRepeated);
        let is_reproduced = |difference: &Difference| difference.mark == mark && difference.repeated.same > 0;
        let matters = match mark {
            Mark::Unclear => endpoint.differences.iter().any(is_reproduced),
            _ => responses > 1,
        };
        if !matters && !is_frequent {
            continue;
        }
        let place = place(most);
        let reason = match mark {
            Mark::Unjudged => Reason::Unjudged { endpoint: name, places, place, responses, why },
            Mark::NotMeasured => Reason::NotMeasured { endpoint: name, places, place, responses, why },
            _ => Reason::Unclear { endpoint: name, places, place, responses, compared, needed: most.needed },
        };
        reasons.push((responses, reason));
    }
    reasons
}

fn few_samples(overall: &Summary) -> Option<(u64, Reason)> {
    let is_enough = |same: u64, compared: u64| wilson(same, compared).0 >= PARITY_THRESHOLD;
    let (same, compared) = (overall.same, overall.compared);
    if compared == 0 || is_enough(same, compared) {
        return None;
    }
    // If parity stays as it is.
    let after = |factor: f64| {
        let all = (compared as f64 * factor).ceil() as u64;
        (all, all.saturating_sub(((all as f64) * share(compared - same, compared)).round() as u64))
    };
    let mut most = 1.0;
    let needed = loop {
        let (all, same) = after(most);
        if is_enough(same, all) {
            break Some(all - compared);
        }
        most *= 1.02;
        if all > 10_000_000 {
            break None;
        }
    };
    let different = compared - same;
    Some((compared, Reason::FewSamples { compared, different, needed }))
}
