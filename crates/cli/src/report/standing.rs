//! The state of each endpoint: what is wrong there, in the order in which it matters.
//!
//! Owns the order and the short words; `crossfade-parity` owns the reasons. Pure: `text` and `html` show the states.

use std::cmp::Reverse;
use std::collections::HashMap;

use crossfade_parity::number::{grouped, percent};
use crossfade_parity::{Endpoint, EndpointName, Reason, Verdict};

use super::Report;

/// An endpoint and the reasons why it is not the same.
#[derive(Debug)]
pub(super) struct Standing<'r> {
    pub(super) endpoint: &'r Endpoint,
    /// Its index in the report.
    pub(super) number: usize,
    /// By falling importance; empty if nothing is wrong.
    pub(super) reasons: Vec<&'r Reason>,
}

/// Returns the states of all endpoints, the worst first: what differs, what cannot be judged, what needs more samples, the rest;
/// each by the number of responses that differ.
pub(super) fn standings(report: &Report) -> Vec<Standing<'_>> {
    let mut reasons = HashMap::<&EndpointName, Vec<&Reason>>::new();
    for reason in &report.reasons {
        if let Some(name) = reason.endpoint() {
            reasons.entry(name).or_default().push(reason);
        }
    }
    let standing = |(number, endpoint): (usize, &'_ Endpoint)| (number, reasons.remove(&endpoint.name));
    let found: Vec<_> = report.endpoints.iter().enumerate().map(standing).collect();
    let mut standings: Vec<_> = found
        .into_iter()
        .zip(&report.endpoints)
        .map(|((number, reasons), endpoint)| Standing { endpoint, number, reasons: reasons.unwrap_or_default() })
        .collect();
    standings.sort_by_key(|it| {
        let summary = &it.endpoint.summary;
        let is_fine = it.reasons.is_empty();
        (is_fine, it.verdict(), Reverse(summary.different), Reverse(summary.places.unclear), Reverse(summary.copies))
    });
    standings
}

impl Standing<'_> {
    /// The conclusion about the endpoint alone; [`Verdict::Same`] if nothing is wrong with what was seen.
    pub(super) fn verdict(&self) -> Verdict {
        self.reasons.iter().map(|reason| reason.verdict()).min().unwrap_or(Verdict::Same)
    }

    /// A few words for each thing that is wrong, and the verdict that it leads to. Text of the log must be escaped.
    pub(super) fn words(&self) -> Vec<(Verdict, String)> {
        self.reasons.iter().map(|reason| (reason.verdict(), words(reason))).collect()
    }
}

fn words(reason: &Reason) -> String {
    let counted =
        |count: &u64, one: &str, many: &str| format!("{} {}", grouped(*count), if *count == 1 { one } else { many });
    match reason {
        Reason::Regressions { places, .. } => counted(places, "regression", "regressions"),
        Reason::MirrorFails { mirror, .. } => counted(mirror, "new error", "new errors"),
        Reason::Slower { percentile, primary, mirror, .. } => {
            format!("{} {}", percentile.as_str(), growth(*primary, *mirror))
        }
        Reason::NotCompared { copies, compared, mostly, .. } => {
            let share = percent(crossfade_parity::share(copies.saturating_sub(*compared), *copies));
            format!("{share} not compared: {mostly}")
        }
        Reason::Unjudged { places, .. } => counted(places, "place cannot be judged", "places cannot be judged"),
        Reason::NotMeasured { places, .. } => counted(places, "place not measured", "places not measured"),
        Reason::Unclear { places, needed, .. } => {
            let needed =
                needed.map(|needed| format!(" (about {} more responses)", grouped(needed))).unwrap_or_default();
            counted(places, "unclear place", "unclear places") + &needed
        }
        Reason::Lost { .. } | Reason::FewSamples { .. } | Reason::NoData => String::new(),
    }
}

/// `6.2 times slower`, `15 % slower`.
fn growth(old: f64, new: f64) -> String {
    match new / old {
        times if times >= 2.0 && times.is_finite() => format!("{times:.1} times slower"),
        times if times.is_finite() => format!("{:.0} % slower", (times - 1.0) * 100.0),
        _ => "slower".to_owned(),
    }
}

/// Advice that would help, as part of a sentence.
pub(super) fn advice(reason: &Reason) -> Option<&'static str> {
    match reason {
        Reason::NotCompared { mostly, .. } => match mostly.as_str() {
            "failed" => Some("the old system fails there, so there is nothing to compare with"),
            "not-modified" => Some("clients have the content already; `crossfade compare` asks for it"),
            "time" | "budget" => Some("raise the function's timeout, or `mirror.budget`"),
            "open" => Some("the new system failed so often that copies were held back"),
            "too-large" => Some("the content is beyond the limits of a comparison"),
            "status" => Some("the statuses differ, so the content was not compared"),
            _ => None,
        },
        Reason::Lost { .. } => Some("raise the function's timeout, or `mirror.budget`"),
        _ => None,
    }
}
