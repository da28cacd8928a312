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
