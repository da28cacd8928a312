//! Turns counts into a judgement: noise, parity with its interval, and latency.
//!
//! Owns the formulas and the thresholds that apply without a gate; `docs/report.md` explains both. `assessment` owns
//! the form of the result.

use std::collections::BTreeMap;

use crate::assessment::{
    Assessment, Bucket, Difference, Endpoint, Example, ExampleResponse, Judgement, Latency, Mark, Parity, Percentiles,
    Responses, Route, Summary, Timeline,
};
use crate::latency::Histogram;
use crate::proportion::{share, wilson};
use crate::repeat;
use crate::tally::{self, MAX_ENDPOINTS, PairCounts, ResponseCounts, Tally, Verdicts, merge_words};

/// Below this number of self-comparisons ([`Summary::self_compared`]), noise is not known reliably.
pub const MIN_SELF_COMPARED: u64 = 30;
/// Parity below which systems differ, without a gate: 99.5 %.
pub const PARITY_THRESHOLD: f64 = 0.995;
/// Relative change of p95 above which the new system is slower, and the number of pairs that this requires.
const SLOWER_THRESHOLD: f64 = 0.10;
const PAIRS: u64 = 100;
/// Share of lost copies above which the remaining ones cannot prove that the systems are the same.
const LOST_THRESHOLD: f64 = 0.01;

/// Judges the counted records. The result is a function of the counts alone.
pub fn judge(tally: &Tally) -> Assessment {
    let mut overall = Sum::default();
    let mut routes = BTreeMap::<&str, Sum>::new();
    let mut endpoints = Vec::new();
    let mut noise_of_endpoints = Vec::new();
    for endpoint in &tally.endpoints {
        let noise = noise(endpoint);
        let sum = Sum::of(endpoint, &noise);
        overall.merge(&sum);
        routes.entry(&endpoint.name.route).or_default().merge(&sum);
        endpoints.push(Endpoint {
            route: endpoint.name.route.clone(),
            method: endpoint.name.method.clone(),
            endpoint: endpoint.name.endpoint.clone(),
            summary: sum.summary(),
            differences: differences(endpoint, &noise),
        });
        noise_of_endpoints.push(noise);
    }
    endpoints.sort_by(|a, b| {
        let key = |endpoint: &Endpoint| endpoint.summary.parity.map_or(f64::MAX, |parity| parity.share);
        key(a)
            .total_cmp(&key(b))
            .then_with(|| b.summary.copies.cmp(&a.summary.copies))
            .then_with(|| (&a.route, &a.method, &a.endpoint).cmp(&(&b.route, &b.method, &b.endpoint)))
    });
    let hints = hints(tally, &overall);
    let overall = overall.summary();
    let (judgement, because) = judgement(&overall, &endpoints);
    Assessment {
        judgement,
        because,
        records: tally.records,
        span: tally.span,
        backends: tally.backends.clone(),
        overall,
        routes: routes
            .into_iter()
            .map(|(route, sum)| Route { route: route.to_owned(), summary: sum.summary() })
            .collect(),
        endpoints,
        timeline: timeline(tally, &noise_of_endpoints),
        hints,
    }
}

/// Returns for each place of an endpoint whether the mirror differs there no more than the primary differs from itself.
/// As in Diffy, a rate is a regression if it exceeds the noise by more than 20 % of their sum and by more than 0.03 %.
fn noise(endpoint: &tally::Endpoint) -> Vec<bool> {
    let is_noise = |place: &tally::Place| {
        let raw = share(place.raw, endpoint.mirror.compared());
        let noise = share(place.noise, endpoint.itself.compared());
        let above = raw - noise;
        place.noise > 0 && !(above > 0.0 && above / (raw + noise) > 0.20 && above > 0.0003)
    };
    endpoint.places.iter().map(is_noise).collect()
}

/// Returns `true` if noise explains all differences of a set.
fn is_noise_only(signature: &tally::Signature, noise: &[bool]) -> bool {
    let mut places = signature.places.iter();
    !signature.places.is_empty() && places.all(|place| noise.get(*place).copied().unwrap_or_default())
}

fn differences(endpoint: &tally::Endpoint, noise: &[bool]) -> Vec<Difference> {
    let compared = endpoint.mirror.compared();
    let self_compared = endpoint.itself.compared();
    let all = endpoint.places.iter().zip(noise).filter(|(place, _)| place.raw > 0);
    let mut all: Vec<_> = all
        .map(|(place, is_noise)| Difference {
            class: place.class,
            pointer: place.pointer.clone(),
            mark: mark(place, *is_noise),
            count: place.raw,
            raw: share(place.raw, compared),
            noise: (self_compared > 0).then(|| share(place.noise, self_compared)),
            examples: place.examples.iter().map(|kept| example(&endpoint.name.method, kept)).collect(),
        })
        .collect();
    all.sort_by(|a, b| {
        a.mark.cmp(&b.mark).then(b.count.cmp(&a.count)).then_with(|| (&a.pointer, a.class).cmp(&(&b.pointer, b.class)))
    });
    all
}

fn mark(place: &tally::Place, is_noise: bool) -> Mark {
    match (place.accepted == place.raw, is_noise) {
        (true, _) => Mark::Accepted,
        (false, true) => Mark::Noise,
        (false, false) => Mark::Regression,
    }
}

fn example(method: &str, kept: &tally::Example) -> Example {
    let side = |side: &tally::ExampleResponse| ExampleResponse {
        backend: side.backend.clone(),
        outcome: match (side.status, &side.error) {
            (Some(status), _) => status.to_string(),
            (None, Some(error)) => error.clone(),
            (None, None) => "no response".to_owned(),
        },
        value: side.value.clone(),
        repeat: repeat::command(method, side.url.as_deref()),
    };
    Example {
        time: humantime::format_rfc3339_millis(kept.time).to_string(),
        request_id: kept.request_id.clone(),
        at: kept.at.clone(),
        primary: side(&kept.primary),
        mirror: side(&kept.mirror),
    }
}

fn timeline(tally: &Tally, noise: &[Vec<bool>]) -> Timeline {
    let is_same = |(endpoint, signature): (usize, usize)| {
        let signature = tally.endpoints.get(endpoint).and_then(|endpoint| endpoint.signatures.get(signature));
        signature.zip(noise.get(endpoint)).is_some_and(|(signature, noise)| is_noise_only(signature, noise))
    };
    let bucket = |(number, bucket): (&u64, &tally::Bucket)| {
        let (mut same, mut compared) = (bucket.same, bucket.same);
        for (key, count) in &bucket.different {
            compared += count;
            same += if is_same(*key) { *count } else { 0 };
        }
        Bucket { begin: number * tally.timeline.width, compared, same }
    };
    Timeline { seconds: tally.timeline.width, buckets: tally.timeline.buckets.iter().map(bucket).collect() }
}

/// Sums of counts. Shares are computed after adding up.
#[derive(Default)]
struct Sum {
    mirror: Verdicts,
    itself: Verdicts,
    noise_only: u64,
    regressions: u64,
    denied: u64,
    pairs: PairCounts,
    lost: BTreeMap<String, u64>,
    unknown: BTreeMap<String, u64>,
}

impl Sum {
    fn of(endpoint: &tally::Endpoint, noise: &[bool]) -> Sum {
        let explained = endpoint.signatures.iter().filter(|signature| is_noise_only(signature, noise));
        let places = endpoint.places.iter().zip(noise).filter(|(place, _)| place.raw > 0);
        Sum {
            mirror: endpoint.mirror,
            itself: endpoint.itself,
            noise_only: explained.map(|signature| signature.count).sum(),
            regressions: places.filter(|(place, noise)| mark(place, **noise) == Mark::Regression).count() as u64,
            denied: endpoint.denied,
            pairs: endpoint.pairs.clone(),
            lost: endpoint.lost.clone(),
            unknown: endpoint.unknown.clone(),
        }
    }

    fn merge(&mut self, other: &Sum) {
        self.mirror.merge(&other.mirror);
        self.itself.merge(&other.itself);
        self.noise_only += other.noise_only;
        self.regressions += other.regressions;
        self.denied += other.denied;
        self.pairs.merge(&other.pairs);
        merge_words(&mut self.lost, &other.lost);
        merge_words(&mut self.unknown, &other.unknown);
    }

    fn summary(&self) -> Summary {
        let compared = self.mirror.compared();
        let equal = self.mirror.matching + self.mirror.accepted;
        let same = equal + self.noise_only;
        let side = |side: &ResponseCounts| Responses { statuses: side.statuses, errors: side.errors.clone() };
        Summary {
            copies: self.mirror.all(),
            compared,
            same,
            matching: self.mirror.matching,
            accepted: self.mirror.accepted,
            noise_only: self.noise_only,
            different: compared - same,
            failed: self.mirror.failed,
            unknown: self.mirror.unknown,
            lost: self.mirror.lost,
            parity: (compared > 0).then(|| {
                let (low, high) = wilson(same, compared);
                Parity { share: share(same, compared), low, high, raw: share(equal, compared) }
            }),
            regressions: self.regressions,
            mirror_failed: self.pairs.mirror_failed,
            self_compared: self.itself.compared(),
            latency: latency(&self.pairs),
            primary: side(&self.pairs.primary),
            mirror: side(&self.pairs.mirror),
            lost_by_reason: self.lost.clone(),
            unknown_by_reason: self.unknown.clone(),
        }
    }
}

fn latency(pairs: &PairCounts) -> Option<Latency> {
    let of = |histogram: &Histogram| {
        let at = |share| histogram.percentile(share);
        Some(Percentiles { p50: at(0.5)?, p90: at(0.9)?, p95: at(0.95)?, p99: at(0.99)? })
    };
    let (primary, mirror) = (of(&pairs.primary.latency)?, of(&pairs.mirror.latency)?);
    Some(Latency {
        pairs: pairs.primary.latency.count(),
        primary,
        mirror,
        change: Percentiles {
            p50: mirror.p50 / primary.p50 - 1.0,
            p90: mirror.p90 / primary.p90 - 1.0,
            p95: mirror.p95 / primary.p95 - 1.0,
            p99: mirror.p99 / primary.p99 - 1.0,
        },
        histograms: (pairs.primary.latency.clone(), pairs.mirror.latency.clone()),
    })
}

/// Judges without a gate. An endpoint differs if even the upper end of its interval is below the threshold, so that a
/// single request to a rare endpoint is not decisive.
fn judgement(overall: &Summary, endpoints: &[Endpoint]) -> (Judgement, Vec<String>) {
    let mut because = Vec::new();
    let Some(parity) = overall.parity else { return (Judgement::NotEnoughSamples, because) };
    if parity.share < PARITY_THRESHOLD {
        because.push(format!("parity is below {} %", PARITY_THRESHOLD * 100.0));
    }
    let slower =
        overall.latency.as_ref().filter(|latency| latency.pairs >= PAIRS && latency.change.p95 > SLOWER_THRESHOLD);
    because.extend(slower.map(|latency| format!("p95 is {:.0} % slower", latency.change.p95 * 100.0)));
    let is_below = |endpoint: &&Endpoint| endpoint.summary.parity.is_some_and(|parity| parity.high < PARITY_THRESHOLD);
    let below = endpoints.iter().filter(is_below).count();
    if below > 0 {
        let noun = if below == 1 { "endpoint differs" } else { "endpoints differ" };
        because
            .push(format!("{below} {noun} in more than {:.1} % of their responses", (1.0 - PARITY_THRESHOLD) * 100.0));
    }
    let is_different = !because.is_empty();
    // A system that does not respond is not compared: its copies are lost, which must not look like parity.
    let lost = share(overall.lost, overall.copies);
    if lost > LOST_THRESHOLD {
        because.push(format!("{:.1} % of the copies were lost, perhaps the slowest", lost * 100.0));
    }
    let judgement = match (is_different, parity.low >= PARITY_THRESHOLD && lost <= LOST_THRESHOLD) {
        (true, _) => Judgement::Differs,
        (false, true) => Judgement::Same,
        (false, false) => Judgement::NotEnoughSamples,
    };
    (judgement, because)
}

fn hints(tally: &Tally, overall: &Sum) -> Vec<String> {
    let mut hints = Vec::new();
    let (copies, compared) = (overall.mirror.all(), overall.mirror.compared());
    if overall.denied > 0 {
        hints.push(format!(
            "{} of {copies} shadow requests were rejected and had been sent without the client's credentials: see `mirror.credentials`",
            overall.denied
        ));
    }
    if compared > 0 && overall.itself.compared() == 0 {
        hints.push(
            "the primary was never compared with itself: differences cannot be distinguished from noise".to_owned(),
        );
    }
    if overall.mirror.lost * 10 > copies {
        hints.push("more than 10 % of the copies were lost: the rest may not be representative".to_owned());
    }
    if tally.folded_endpoints {
        hints.push(format!(
            "more than {MAX_ENDPOINTS} endpoints: the others are counted as `(other)`; name them with `compare.endpoints`"
        ));
    }
    if tally.folded_differences {
        hints.push("too many distinct differences to track: those beyond the limit count as different".to_owned());
    }
    hints
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tally::tests::record;

    #[test]
    fn rates_clearly_above_noise_are_regressions() {
        for (raw, noise, expected) in [
            (500, 490, Mark::Noise),
            (500, 334, Mark::Noise),
            (500, 330, Mark::Regression),
            (100, 400, Mark::Noise),
            (3, 1, Mark::Noise),
            (5, 1, Mark::Regression),
            (5, 0, Mark::Regression),
        ] {
            let mut tally = Tally::new(0);
            for (against, count) in [("mirror", raw), ("self", noise)] {
                for number in 0..10_000 {
                    let differences: &[&str] = if number < count { &["/a"] } else { &[] };
                    tally.add(&record(against, "/", differences, 0));
                }
            }
            let report = judge(&tally);
            let mark = report.endpoints.first().unwrap().differences.first().unwrap().mark;
            assert_eq!(mark, expected, "{raw} against {noise}");
        }
    }

    #[test]
    fn one_request_to_a_rare_endpoint_is_not_decisive_but_a_differing_endpoint_is() {
        let judged = |rare: u64, differ: u64| {
            let mut tally = Tally::new(0);
            (0..20_000).for_each(|_| tally.add(&record("mirror", "/", &[], 0)));
            (0..rare).for_each(|n| tally.add(&record("mirror", "/rare", if n < differ { &["/a"] } else { &[] }, 0)));
            judge(&tally).judgement
        };
        assert_eq!(judged(50, 1), Judgement::Same);
        assert_eq!(judged(50, 10), Judgement::Differs);
        let matching = |count: u64| {
            let mut tally = Tally::new(0);
            (0..count).for_each(|_| tally.add(&record("mirror", "/", &[], 0)));
            judge(&tally).judgement
        };
        assert_eq!(
            [0, 764, 765].map(matching),
            [Judgement::NotEnoughSamples, Judgement::NotEnoughSamples, Judgement::Same]
        );
    }
}
