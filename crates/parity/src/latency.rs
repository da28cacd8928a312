//! Response times in constant memory: a histogram with buckets of equal ratio.
//!
//! Owns percentiles, their precision of 1 % and their intervals, and the decision that a system is slower. `tally` decides which
//! responses count.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::assessment::{Interval, Intervals, Latency, Percentiles};
use crate::binomial::{ln_mixture, lower_quantile, upper_quantile};

/// Ratio of neighbouring buckets: the middle of a bucket is within 1 % of everything in it.
const RATIO: f64 = 1.02;
/// Range in milliseconds to which durations are clamped: ten microseconds to almost three hours.
const RANGE: (f64, f64) = (0.01, 1.0e7);

/// The chance that any percentile of any endpoint is called slower by mistake.
const ERROR: f64 = 0.05;
/// Tail on each side of the displayed intervals.
const TAIL: f64 = 0.025;
/// Relative and absolute change, in milliseconds, above which a slower system matters.
const SLOWER: (f64, f64) = (0.10, 3.0);

/// A percentile that is judged.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Percentile {
    /// The median.
    P50,
    /// The 95th percentile.
    P95,
    /// The 99th percentile.
    P99,
}

impl Percentile {
    /// All of them.
    pub const ALL: [Percentile; 3] = [Percentile::P50, Percentile::P95, Percentile::P99];

    /// The word for it in the JSON document and in gates.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Percentile::P50 => "p50",
            Percentile::P95 => "p95",
            Percentile::P99 => "p99",
        }
    }

    pub(crate) const fn share(self) -> f64 {
        match self {
            Percentile::P50 => 0.5,
            Percentile::P95 => 0.95,
            Percentile::P99 => 0.99,
        }
    }
}

/// Returns the figures of pairs of durations; `None` without any. `tests` is the number of such comparisons in the report.
pub(crate) fn latency(primary: &Histogram, mirror: &Histogram, tests: u64) -> Option<Latency> {
    let (old, new) = (primary.percentiles()?, mirror.percentiles()?);
    let tail = ERROR / 2.0 / (tests.max(1) * Percentile::ALL.len() as u64) as f64;
    let is_slower = |percentile: &Percentile| {
        let (from, to) = (old.of(*percentile), new.of(*percentile));
        let is_relevant = to > from * (1.0 + SLOWER.0) && to > from + SLOWER.1;
        let (old, new) = (primary.interval(*percentile, tail), mirror.interval(*percentile, tail));
        is_relevant && old.high.zip(new.low).is_some_and(|(old, new)| old < new)
    };
    Some(Latency {
        pairs: primary.count,
        change: Percentiles {
            p50: new.p50 / old.p50 - 1.0,
            p90: new.p90 / old.p90 - 1.0,
            p95: new.p95 / old.p95 - 1.0,
            p99: new.p99 / old.p99 - 1.0,
        },
        primary: old,
        mirror: new,
        primary_interval: primary.intervals(),
        mirror_interval: mirror.intervals(),
        slower: Percentile::ALL.into_iter().filter(is_slower).collect(),
        histograms: (primary.clone(), mirror.clone()),
    })
}

/// Returns the evidence, as the logarithm of an e-value, that a percentile is above a time: more durations are above it than may be.
pub(crate) fn ln_evidence_of_slower_than(new: &Histogram, percentile: Percentile, milliseconds: f64) -> f64 {
    ln_mixture(new.above(bucket(milliseconds)), new.count, 1.0 - percentile.share())
}

/// Returns the evidence, as the logarithm of an e-value, that a percentile is greater in `new` than in `old` by more than `change`.
/// If it is not, then the product for the true percentile of `old` is an e-value, and the least product is no greater.
pub(crate) fn ln_evidence_of_slower(new: &Histogram, old: &Histogram, percentile: Percentile, change: f64) -> f64 {
    let Some(((first, _), (last, _))) = old.buckets.first_key_value().zip(old.buckets.last_key_value()) else {
        return 0.0;
    };
    let shift = ((1.0 + change).max(RATIO.recip()).ln() / RATIO.ln()).round() as i16;
    let at = |bucket: i16| {
        let above = new.above(bucket.saturating_add(shift));
        let below = old.count - old.above(bucket.saturating_sub(1));
        let share = percentile.share();
        ln_mixture(above, new.count, 1.0 - share) + ln_mixture(below, old.count, share)
    };
    (*first..=*last).map(at).fold(f64::INFINITY, f64::min)
}

/// Counts of durations, each known within 1 % and clamped to 10 microseconds to 10,000 seconds. Memory does not depend
/// on their number.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Histogram {
    /// Indexed by the logarithm of milliseconds; at most 1,047 buckets.
    buckets: BTreeMap<i16, u64>,
    count: u64,
}

impl Histogram {
    /// Adds a duration in milliseconds. NaN is ignored.
    pub(crate) fn add(&mut self, milliseconds: f64) {
        if milliseconds.is_nan() {
            return;
        }
        *self.buckets.entry(bucket(milliseconds)).or_default() += 1;
        self.count += 1;
    }

    pub(crate) fn merge(&mut self, other: &Histogram) {
        for (bucket, count) in &other.buckets {
            *self.buckets.entry(*bucket).or_default() += count;
        }
        self.count += other.count;
    }

    /// Number of durations.
    pub fn count(&self) -> u64 {
        self.count
    }

    /// Number of durations in higher buckets.
    fn above(&self, bucket: i16) -> u64 {
        self.buckets.range(bucket.saturating_add(1)..).map(|(_, count)| count).sum()
    }

    /// Returns the percentile in milliseconds by nearest rank, for a share between 0 and 1; `None` without durations.
    pub fn percentile(&self, share: f64) -> Option<f64> {
        self.ranked(((self.count as f64 * share).ceil() as u64).max(1))
    }

    /// Returns the duration with this rank, counted from 1; `None` beyond the last.
    fn ranked(&self, rank: u64) -> Option<f64> {
        let mut seen = 0;
        self.buckets.iter().find_map(|(bucket, count)| {
            seen += count;
            (seen >= rank).then(|| middle(*bucket))
        })
    }

    pub(crate) fn percentiles(&self) -> Option<Percentiles> {
        let at = |share| self.percentile(share);
        Some(Percentiles { p50: at(0.5)?, p90: at(0.9)?, p95: at(0.95)?, p99: at(0.99)? })
    }

    /// Returns the interval of a percentile by order statistics (David and Nagaraja 2003, section 7.1): the number of
    /// durations below it is binomial, whatever their distribution.
    pub(crate) fn interval(&self, percentile: Percentile, tail: f64) -> Interval {
        let low = lower_quantile(self.count, percentile.share(), tail);
        let high = upper_quantile(self.count, percentile.share(), tail) + 1;
        Interval { low: (low > 0).then(|| self.ranked(low)).flatten(), high: self.ranked(high) }
    }

    fn intervals(&self) -> Intervals {
        let of = |percentile| self.interval(percentile, TAIL);
        Intervals { p50: of(Percentile::P50), p95: of(Percentile::P95), p99: of(Percentile::P99) }
    }

    /// Returns the buckets that are not empty, in ascending order: the middle in milliseconds and the number of
    /// durations.
    pub fn buckets(&self) -> impl Iterator<Item = (f64, u64)> {
        self.buckets.iter().map(|(bucket, count)| (middle(*bucket), *count))
    }
}

fn bucket(milliseconds: f64) -> i16 {
    (milliseconds.clamp(RANGE.0, RANGE.1).ln() / RATIO.ln()).floor() as i16
}

fn middle(bucket: i16) -> f64 {
    RATIO.powf(f64::from(bucket) + 0.5)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(values: &[f64]) -> Histogram {
        let mut histogram = Histogram::default();
        values.iter().for_each(|value| histogram.add(*value));
        histogram
    }

    #[test]
    fn no_durations_have_no_percentile_and_nan_is_ignored() {
        assert_eq!(of(&[f64::NAN]).percentile(0.5), None);
        for (odd, near) in [(-3.0, 0.01), (0.0, 0.01), (f64::INFINITY, 1.0e7), (f64::NEG_INFINITY, 0.01)] {
            let found = of(&[odd]).percentile(0.5).unwrap();
            assert!((found / near - 1.0).abs() < 0.03, "{odd}: {found}");
        }
    }

    /// Durations around a typical one; every hundredth is `tail` times as long.
    fn durations(count: u32, typical: f64, tail: f64) -> Histogram {
        let spread = |n: u32| typical * (0.8 + f64::from(n * 7919 % 100) / 250.0);
        of(&(0..count).map(|n| spread(n) * if n % 50 == 7 { tail } else { 1.0 }).collect::<Vec<_>>())
    }

    #[test]
    fn a_system_is_slower_if_chance_and_the_number_of_endpoints_do_not_explain_it() {
        use Percentile::{P50, P95, P99};
        for (case, old, new, tests, expected) in [
            ("equal", durations(2_000, 40.0, 1.0), durations(2_000, 40.0, 1.0), 1, &[][..]),
            ("six times slower, of many", durations(250, 20.0, 1.0), durations(250, 120.0, 1.0), 1_001, &[P50, P95]),
            ("six times slower, seldom seen", durations(8, 20.0, 1.0), durations(8, 120.0, 1.0), 1_001, &[]),
            ("a long tail", durations(2_000, 40.0, 1.0), durations(2_000, 40.0, 10.0), 50, &[P99]),
            ("5 %", durations(9_000, 40.0, 1.0), durations(9_000, 42.0, 1.0), 1, &[]),
            ("too short to matter", durations(9_000, 1.0, 1.0), durations(9_000, 2.0, 1.0), 1, &[]),
            ("12 %", durations(9_000, 40.0, 1.0), durations(9_000, 46.0, 1.0), 1, &[P50, P95, P99]),
            ("faster", durations(2_000, 40.0, 1.0), durations(2_000, 10.0, 1.0), 1, &[]),
        ] {
            assert_eq!(latency(&old, &new, tests).unwrap().slower, expected, "{case}");
        }
        assert!(latency(&of(&[]), &of(&[]), 1).is_none());
    }

    #[test]
    fn intervals_are_the_order_statistics() {
        let twenty = of(&(1..=20).map(|n| f64::from(n) * 10.0).collect::<Vec<_>>());
        let Interval { low, high } = twenty.interval(Percentile::P50, 0.025);
        assert!((low.unwrap() / 60.0 - 1.0).abs() < 0.01 && (high.unwrap() / 150.0 - 1.0).abs() < 0.01);
        let Interval { low, high } = twenty.interval(Percentile::P99, 0.025);
        assert!(low.is_some() && high.is_none());
    }

    proptest! {
        #[test]
        fn percentiles_are_within_one_percent_of_the_exact_ones(
            values in prop::collection::vec(0.02..1.0e6_f64, 1..400),
            share in 0.001..1.0_f64,
        ) {
            let mut sorted = values.clone();
            sorted.sort_by(f64::total_cmp);
            let rank = ((values.len() as f64 * share).ceil() as usize).max(1);
            let (exact, found) = (sorted[rank - 1], of(&values).percentile(share).unwrap());
            prop_assert!((found / exact - 1.0).abs() <= 0.01, "{found} for {exact}");
        }

        #[test]
        fn merging_is_adding(left in prop::collection::vec(0.1..1.0e5, 0..50), right in prop::collection::vec(0.1..1.0e5, 0..50)) {
            let mut merged = of(&left);
            merged.merge(&of(&right));
            prop_assert_eq!(merged, of(&[left, right].concat()));
        }
    }
}
