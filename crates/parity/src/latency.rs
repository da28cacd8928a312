//! Response times in constant memory: a histogram with buckets of equal ratio.
//!
//! Owns percentiles and their precision of 1 %. `tally` decides which responses count.

use std::collections::BTreeMap;

/// Ratio of neighbouring buckets: the middle of a bucket is within 1 % of everything in it.
const RATIO: f64 = 1.02;
/// Range in milliseconds to which durations are clamped: ten microseconds to almost three hours.
const RANGE: (f64, f64) = (0.01, 1.0e7);

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

    /// Returns the percentile in milliseconds by nearest rank, for a share between 0 and 1; `None` without durations.
    pub fn percentile(&self, share: f64) -> Option<f64> {
        let rank = ((self.count as f64 * share).ceil() as u64).max(1);
        let mut seen = 0;
        self.buckets.iter().find_map(|(bucket, count)| {
            seen += count;
            (seen >= rank).then(|| middle(*bucket))
        })
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
