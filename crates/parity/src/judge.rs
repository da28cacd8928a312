//! Turns counts into an assessment: conclusions about places, parity with its interval, and latency.
//!
//! Owns how figures add up. `marks` and `verdict` own the conclusions, `assessment` the form of the result.

use std::collections::BTreeMap;

use crate::assessment::{
    Assessment, Bucket, Difference, Endpoint, Mark, Parity, Places, Responses, Route, Summary, Timeline,
};
use crate::latency::latency;
use crate::marks::{Conclusion, conclusions};
use crate::proportion::{share, wilson};
use crate::tally::{self, MAX_ENDPOINTS, PairCounts, ResponseCounts, Tally, Verdicts, merge_words};
use crate::verdict::verdict as verdict_of;

/// Judges the counted records. The result is a function of the counts alone.
pub fn judge(tally: &Tally) -> Assessment {
    let conclusions = conclusions(tally);
    // Each endpoint, and all together.
    let tests = tally.endpoints.len() as u64 + 1;
    let mut overall = Sum::default();
    let mut routes = BTreeMap::<&str, Sum>::new();
    let mut endpoints = Vec::new();
    for (endpoint, conclusions) in tally.endpoints.iter().zip(&conclusions) {
        let sum = Sum::of(endpoint, conclusions);
        overall.merge(&sum);
        routes.entry(&endpoint.name.route).or_default().merge(&sum);
        endpoints.push(Endpoint {
            name: endpoint.name.clone(),
            summary: sum.summary(tests),
            differences: differences(endpoint, conclusions, tally.cacert.as_deref()),
        });
    }
    endpoints.sort_by(|a, b| {
        let key = |endpoint: &Endpoint| endpoint.summary.parity.map_or(f64::MAX, |parity| parity.share);
        key(a)
            .total_cmp(&key(b))
            .then_with(|| b.summary.copies.cmp(&a.summary.copies))
            .then_with(|| a.name.cmp(&b.name))
    });
    let hints = hints(tally, &overall);
    let overall = overall.summary(tests);
    let (verdict, reasons) = verdict_of(&overall, &endpoints.iter().collect::<Vec<_>>(), tests);
    let route = |(name, sum): (&str, Sum)| {
        let of_route: Vec<_> = endpoints.iter().filter(|endpoint| endpoint.name.route == name).collect();
        let summary = sum.summary(tests);
        let (verdict, _) = verdict_of(&summary, &of_route, tests);
        Route { route: name.to_owned(), verdict, summary }
    };
    let routes = routes.into_iter().map(route).collect();
    Assessment {
        verdict,
        reasons,
        records: tally.records,
        span: tally.span,
        backends: tally.backends.clone(),
        overall,
        routes,
        endpoints,
        timeline: timeline(tally, &conclusions),
        hints,
    }
}

/// Returns `true` if noise explains all differences of a set.
fn is_noise_only(signature: &tally::Signature, conclusions: &[Conclusion]) -> bool {
    let is_noise = |place: &usize| conclusions.get(*place).is_some_and(|conclusion| conclusion.mark == Mark::Noise);
    !signature.places.is_empty() && signature.places.iter().all(is_noise)
}

fn differences(endpoint: &tally::Endpoint, conclusions: &[Conclusion], cacert: Option<&str>) -> Vec<Difference> {
    let compared = endpoint.mirror.compared();
    let self_compared = endpoint.itself.compared();
    let all = endpoint.places.iter().zip(conclusions).filter(|(place, _)| place.raw > 0);
    let mut all: Vec<_> = all
        .map(|(place, conclusion)| Difference {
            class: place.key.class,
            change: place.key.change,
            pointer: place.key.pointer.clone(),
            mark: conclusion.mark,
            why: conclusion.why,
            count: place.raw,
            accepted: place.accepted,
            raw: share(place.raw, compared),
            noise: (self_compared > 0).then(|| share(place.noise, self_compared)),
            repeated: place.outcomes,
            e_value: conclusion.e_value,
            needed: conclusion.needed,
            examples: place.examples.iter().map(|kept| kept.shown(&endpoint.name.method, cacert)).collect(),
        })
        .collect();
    all.sort_by(|a, b| {
        let name = |difference: &Difference| (difference.class, difference.change);
        a.mark
            .cmp(&b.mark)
            .then(b.count.cmp(&a.count))
            .then_with(|| a.pointer.cmp(&b.pointer))
            .then_with(|| name(a).cmp(&name(b)))
    });
    all
}

fn timeline(tally: &Tally, conclusions: &[Vec<Conclusion>]) -> Timeline {
    let is_same = |(endpoint, signature): (usize, usize)| {
        let signature = tally.endpoints.get(endpoint).and_then(|endpoint| endpoint.signatures.get(signature));
        signature
            .zip(conclusions.get(endpoint))
            .is_some_and(|(signature, conclusions)| is_noise_only(signature, conclusions))
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
    places: Places,
    not_modified: u64,
    denied: u64,
    pairs: PairCounts,
    lost: BTreeMap<String, u64>,
    unknown: BTreeMap<String, u64>,
}

impl Sum {
    fn of(endpoint: &tally::Endpoint, conclusions: &[Conclusion]) -> Sum {
        let explained = endpoint.signatures.iter().filter(|signature| is_noise_only(signature, conclusions));
        let mut places = Places::default();
        for (_, conclusion) in endpoint.places.iter().zip(conclusions).filter(|(place, _)| place.raw > 0) {
            match conclusion.mark {
                Mark::Regression => places.regressions += 1,
                Mark::Unjudged => places.unjudged += 1,
                Mark::NotMeasured => places.not_measured += 1,
                Mark::Unclear => places.unclear += 1,
                Mark::Noise => places.noise += 1,
                Mark::Accepted => {}
            }
        }
        Sum {
            mirror: endpoint.mirror,
            itself: endpoint.itself,
            noise_only: explained.map(|signature| signature.count).sum(),
            places,
            not_modified: endpoint.not_modified,
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
        self.places.merge(other.places);
        self.not_modified += other.not_modified;
        self.denied += other.denied;
        self.pairs.merge(&other.pairs);
        merge_words(&mut self.lost, &other.lost);
        merge_words(&mut self.unknown, &other.unknown);
    }

    /// `tests` is the number of comparisons of latency in the report.
    fn summary(&self, tests: u64) -> Summary {
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
            places: self.places,
            mirror_failed: self.pairs.mirror_failed,
            primary_failed: self.pairs.primary_failed,
            not_modified: self.not_modified,
            self_compared: self.itself.compared(),
            latency: latency(&self.pairs.primary.latency, &self.pairs.mirror.latency, tests),
            primary: side(&self.pairs.primary),
            mirror: side(&self.pairs.mirror),
            lost_by_reason: self.lost.clone(),
            unknown_by_reason: self.unknown.clone(),
        }
    }
}

impl Places {
    fn merge(&mut self, other: Places) {
        self.regressions += other.regressions;
        self.unjudged += other.unjudged;
        self.not_measured += other.not_measured;
        self.unclear += other.unclear;
        self.noise += other.noise;
    }
}

fn hints(tally: &Tally, overall: &Sum) -> Vec<String> {
    let mut hints = Vec::new();
    let copies = overall.mirror.all();
    if overall.denied > 0 {
        hints.push(format!(
            "{} of {copies} shadow requests were rejected and had been sent without the client's credentials: see `mirror.credentials`",
            overall.denied
        ));
    }
    if tally.folded_endpoints {
        hints.push(format!(
            "more than {MAX_ENDPOINTS} endpoints: the others are counted as `(other)`; name them with `compare.endpoints`"
        ));
    }
    if tally.folded_differences {
        hints.push("too many distinct differences to track: those beyond the limit are counted together".to_owned());
    }
    hints
}
