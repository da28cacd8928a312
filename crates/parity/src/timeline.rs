//! Counts over time in constant memory: buckets that widen as the time that they span grows.

use std::collections::BTreeMap;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Buckets of a timeline.
const MAX_BUCKETS: u64 = 240;
/// Width of the narrowest bucket in seconds.
const NARROWEST: u64 = 1;

/// Counts that can be added to others.
pub(crate) trait Merge: Default {
    fn merge(&mut self, other: Self);
}

/// Counts by time.
#[derive(Clone, Debug)]
pub(crate) struct Timeline<B> {
    /// Width in seconds.
    pub(crate) width: u64,
    /// Indexed by the number of widths since 1970.
    pub(crate) buckets: BTreeMap<u64, B>,
}

impl<B> Default for Timeline<B> {
    fn default() -> Self {
        Timeline { width: NARROWEST, buckets: BTreeMap::new() }
    }
}

impl<B: Merge> Timeline<B> {
    /// Returns the bucket of a time.
    pub(crate) fn bucket(&mut self, time: SystemTime) -> &mut B {
        let seconds = time.duration_since(UNIX_EPOCH).as_ref().map_or(0, Duration::as_secs);
        self.bucket_at(seconds)
    }

    /// Returns the bucket of a time in seconds since 1970.
    fn bucket_at(&mut self, seconds: u64) -> &mut B {
        while !self.covers(seconds / self.width) {
            self.widen();
        }
        self.buckets.entry(seconds / self.width).or_default()
    }

    fn widen(&mut self) {
        self.width *= 2;
        for (number, bucket) in std::mem::take(&mut self.buckets) {
            self.buckets.entry(number / 2).or_default().merge(bucket);
        }
    }

    fn covers(&self, number: u64) -> bool {
        let first = self.buckets.first_key_value().map_or(number, |(first, _)| number.min(*first));
        let last = self.buckets.last_key_value().map_or(number, |(last, _)| number.max(*last));
        last - first < MAX_BUCKETS
    }
}

impl<B: Merge + Clone> Timeline<B> {
    /// Adds the counts of another timeline.
    pub(crate) fn merge(&mut self, other: &Timeline<B>) {
        while self.width < other.width {
            self.widen();
        }
        for (number, bucket) in &other.buckets {
            self.bucket_at(number * other.width).merge(bucket.clone());
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[derive(Clone, Debug, Default, PartialEq)]
    struct Count(u64);

    impl Merge for Count {
        fn merge(&mut self, other: Self) {
            self.0 += other.0;
        }
    }

    fn of(seconds: &[u64]) -> Timeline<Count> {
        let mut timeline = Timeline::<Count>::default();
        seconds.iter().for_each(|second| timeline.bucket(UNIX_EPOCH + Duration::from_secs(*second)).0 += 1);
        timeline
    }

    /// From 1970 to 9999, in any order.
    fn times() -> impl Strategy<Value = Vec<u64>> {
        let time = prop_oneof![Just(0), Just(253_402_300_799), 1_800_000_000..1_800_001_000_u64, 0..2_000_000_000_u64];
        prop::collection::vec(time, 0..40)
    }

    proptest! {
        #[test]
        fn merging_is_adding_whatever_the_order(left in times(), right in times()) {
            let mut merged = of(&left);
            merged.merge(&of(&right));
            let all = of(&[right, left].concat());
            prop_assert_eq!((merged.width, &merged.buckets), (all.width, &all.buckets));
            prop_assert!(all.buckets.len() as u64 <= MAX_BUCKETS && all.width.is_power_of_two());
        }
    }
}
